//! Hands the effects of one shard to every sink, and to the hub, which gets the ticks as well.
//!
//! Promises: each sink gets the shard's effects in order, and learns how far the shard is done even when nothing
//! followed from the entries. A sink answers when it has room: until then the outbox fills, and the router takes no more.
//! On failure: effects leave the outbox only with their message, which is kept until every sink took it; after a panic
//! it is sent again, and sinks write by key and position, so repeats change nothing.

use super::shard::{Outgoing, Shard};
use crate::actors::guard::{self, ActorKind};
use crate::actors::messages::{Drain, EffectBatch, LiveBatch};
use crate::metrics::{Metrics, Stage};
use crate::models::entry::Position;
use actix::dev::SendError;
use actix::{
    Actor, ActorFutureExt, AsyncContext, AtomicResponse, Context, Handler, Message, Recipient, WrapFuture,
};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Empty the outbox. May come as often as it likes: the fan-out takes whatever is there.
#[derive(Message)]
#[rtype(result = "()")]
pub struct DrainOutbox;

/// Requests that may wait: one that finds the mailbox full is superfluous, since those in it take everything.
const MAILBOX_CAPACITY: usize = 4;

/// Tries to empty the outbox at one request: a drain must not end with a panic that the next try would not meet.
const NUM_TRIES: usize = 3;

/// How often sinks hear how far the shard is done when nothing follows from its entries.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(50);

/// Whom a fan-out serves.
#[derive(Clone)]
pub struct Outputs {
    /// The hub.
    pub live: Option<Recipient<LiveBatch>>,
    /// Those that keep effects.
    pub sinks: Vec<Recipient<EffectBatch>>,
}

/// Hands effects on.
pub struct FanOutActor {
    shard: Rc<Shard>,
    /// Shared, never cloned: every fresh clone of an address may put one message more into a full mailbox.
    outputs: Rc<Outputs>,
    /// What the sinks have been told.
    told_through: Position,
    /// Out of the outbox, and not yet with every sink.
    sending: Option<EffectBatch>,
    /// What the hub has yet to get.
    live: Option<LiveBatch>,
}

impl FanOutActor {
    /// Makes the fan-out of a shard.
    #[must_use]
    pub fn new(shard: Rc<Shard>, outputs: Outputs) -> FanOutActor {
        FanOutActor { shard, outputs: Rc::new(outputs), told_through: 0, sending: None, live: None }
    }

    /// Takes the next message out of the outbox, unless one is on its way still.
    fn load(&mut self, progress_alone: bool) {
        self.shard.env.faults.actor(ActorKind::FanOut);
        if self.sending.is_some() {
            return;
        }
        let Outgoing { effects, past, received, through } = self.shard.take_effects();
        let effects = Arc::new(effects);
        let ticks = self.shard.take_ticks();
        if !(effects.is_empty() && ticks.is_empty()) {
            let effects = Arc::clone(&effects);
            self.live = Some(LiveBatch { shard: self.shard.index, effects, past, received, ticks });
        }
        if effects.is_empty() && !(progress_alone && through > self.told_through) {
            return;
        }
        self.shard.env.metrics.stage(Stage::Fanout).received.inc_by(effects.len() as u64);
        self.sending = Some(EffectBatch { shard: self.shard.index, effects, through });
    }

    /// Moves what waits to the sinks, waiting for those that are full.
    fn pump(&mut self, progress_alone: bool) -> AtomicResponse<Self, ()> {
        let metrics = Arc::clone(&self.shard.env.metrics);
        let mut load = || guard::run(ActorKind::FanOut, &metrics, || self.load(progress_alone));
        (0..NUM_TRIES).any(|_| load().is_some());
        let (sending, live, outputs) = (self.sending.clone(), self.live.take(), Rc::clone(&self.outputs));
        let send = async move {
            if let (Some(hub), Some(batch)) = (&outputs.live, live) {
                send_live(hub, batch, &metrics).await;
            }
            let batch = sending?;
            for sink in &outputs.sinks {
                sink.send(batch.clone()).await.ok();
            }
            Some(batch)
        };
        AtomicResponse::new(Box::pin(send.into_actor(self).map(|sent, actor, _ctx| {
            if let Some(batch) = sent {
                actor.sending = None;
                actor.told_through = batch.through;
                actor.shard.env.metrics.stage(Stage::Fanout).sent.inc_by(batch.effects.len() as u64);
            }
        })))
    }
}

/// Serves the hub: when it is full, ticks are left out, which it sees by their numbers; effects wait for room.
async fn send_live(hub: &Recipient<LiveBatch>, batch: LiveBatch, metrics: &Metrics) {
    if let Err(SendError::Full(mut batch)) = hub.try_send(batch) {
        metrics.dropped(Stage::Fanout, "ticks_conflated", batch.ticks.len() as u64);
        batch.ticks.clear();
        if !batch.effects.is_empty() {
            hub.send(batch).await.ok();
        }
    }
}

impl Actor for FanOutActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_CAPACITY);
        ctx.run_interval(PROGRESS_INTERVAL, |_, ctx| {
            ctx.address().try_send(Drain).ok();
        });
    }
}

impl Handler<DrainOutbox> for FanOutActor {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, _: DrainOutbox, _ctx: &mut Self::Context) -> Self::Result {
        self.pump(false)
    }
}

impl Handler<Drain> for FanOutActor {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, _: Drain, _ctx: &mut Self::Context) -> Self::Result {
        self.pump(true)
    }
}
