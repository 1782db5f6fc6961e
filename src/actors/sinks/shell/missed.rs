//! What the shell of a sink does with those who catch it up: it takes what the sink missed, and says where the two meet.
//!
//! Promises: what is brought from the log is written in the order in which it comes, before anything that the run brought
//! after the place where they meet; whoever brings it waits while there is no room. What was to be written before they began
//! is forgotten, since it comes again. On failure: as with everything else that the sink writes.

use super::{SinkActor, wait_for};
use crate::actors::health::Health;
use crate::actors::messages::EffectBatch;
use crate::models::entry::Position;
use crate::stores::log::Partition;
use actix::{Context, Handler, Message, MessageResult, ResponseFuture};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// From now on nobody waits for the sink, if it is one that can be caught up.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct BeginLive;

/// What the sink lacks is brought from now on: by partition, everything after these positions, which it holds.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct BeginCatchUp(pub BTreeMap<Partition, Position>);

/// What the sink lacks, in order.
#[derive(Message)]
#[rtype(result = "()")]
pub struct MissedBatch(pub EffectBatch);

/// Keep what the run brings from now on. Answers with the position up to which the rest has to be brought.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Position")]
pub struct JoinRun;

/// Everything up to where the sink joins was brought. Answers false where it fell behind again meanwhile.
#[derive(Clone, Debug, Message)]
#[rtype(result = "bool")]
pub struct CaughtUp {
    /// How the sink is from now on, while it can be written.
    pub normal: (Health, String),
}

impl Handler<BeginLive> for SinkActor {
    type Result = ();

    fn handle(&mut self, _: BeginLive, _ctx: &mut Self::Context) {
        self.is_live = true;
        self.let_go_where_full();
    }
}

impl Handler<BeginCatchUp> for SinkActor {
    type Result = ();

    fn handle(&mut self, BeginCatchUp(held): BeginCatchUp, _ctx: &mut Self::Context) {
        self.forget_waiting();
        for (id, reached) in held {
            if let Some(partition) = self.partitions.get_mut(&id) {
                partition.followed.acknowledged.fetch_max(reached, Ordering::AcqRel);
                partition.written_through.iter_mut().for_each(|through| *through = (*through).max(reached));
            }
        }
    }
}

impl Handler<MissedBatch> for SinkActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, MissedBatch(batch): MissedBatch, ctx: &mut Self::Context) -> Self::Result {
        self.queue(batch, ctx);
        // Two writes' worth: what waits besides is what the run brings.
        let is_full = self.num_waiting > self.policy.rows_max.min(2 * self.policy.batch_rows);
        wait_for(is_full.then(|| Arc::clone(&self.progress)))
    }
}

impl Handler<JoinRun> for SinkActor {
    type Result = MessageResult<JoinRun>;

    fn handle(&mut self, _: JoinRun, _ctx: &mut Self::Context) -> Self::Result {
        let shards = self
            .partitions
            .iter()
            .flat_map(|(id, partition)| (0..partition.written_through.len()).map(|shard| (*id, shard)));
        MessageResult(self.lag.join(shards))
    }
}

impl Handler<CaughtUp> for SinkActor {
    type Result = bool;

    fn handle(&mut self, CaughtUp { normal }: CaughtUp, ctx: &mut Context<Self>) -> Self::Result {
        let Some((kept, _)) = self.lag.meet() else { return false };
        self.normal = normal;
        self.metrics.behind.set(0);
        for batch in kept {
            self.queue(batch, ctx);
        }
        if self.backoff.num_failures() == 0 {
            self.tell_health();
        }
        true
    }
}
