//! Hands the effects of one shard, and the ticks where somebody wants them, to every sink and to the hub.
//!
//! Promises: each sink gets what it wants of the shard in order, and a durable one learns how far the shard is done even
//! when nothing followed from the entries. A sink that is waited for answers when it has room: until then the outbox
//! fills, and the router takes no more. Any other gets what its mailbox has room for; the rest is counted as dropped.
//! On failure: effects leave the outbox only with their message, which is kept until every sink took it; after a panic
//! it is sent again, and sinks write by key and position, so repeats change nothing.

use super::outbox::{Outgoing, OutgoingTicks, TickDemand};
use super::shard::Shard;
use crate::actors::guard::{self, ActorKind};
use crate::actors::messages::{EffectBatch, EmptyOutbox, EndUnit, LiveBatch, LiveTick, ReportProgress};
use crate::actors::sinks::Wants;
use crate::metrics::{Metrics, Stage};
use crate::models::entry::Position;
use actix::dev::SendError;
use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, AtomicResponse, Context, Handler, Recipient,
    WrapFuture,
};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Requests that may wait: one that finds the mailbox full is superfluous, since those in it take everything.
const MAILBOX_CAPACITY: usize = 4;

/// Tries to empty the outbox at one request: a report must not end with a panic that the next try would not meet.
const NUM_TRIES: usize = 3;

/// How often sinks hear how far the shard is done when nothing follows from its entries.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(50);

/// Whom a fan-out serves.
#[derive(Clone)]
pub struct Outputs {
    /// The hub.
    pub live: Option<Recipient<LiveBatch>>,
    /// The sinks.
    pub sinks: Vec<SinkOutput>,
}

/// A sink as a fan-out serves it.
#[derive(Clone)]
pub struct SinkOutput {
    /// Its name.
    pub name: &'static str,
    /// Where its batches go.
    pub batches: Recipient<EffectBatch>,
    /// What it wants.
    pub wants: Wants,
    /// True when it is to miss nothing: it hears how far the shard is, also without effects, and of ticks of the past.
    pub is_durable: bool,
    /// True when a batch waits until the sink has room for it.
    pub is_waited_for: bool,
}

impl SinkOutput {
    /// Returns the sink's part of what is on its way, if there is any.
    fn part_of(&self, sending: &Sending) -> Option<EffectBatch> {
        let mut part = sending.batch.clone();
        if let (Some(all), true) = (&sending.with_past, self.is_durable) {
            part.ticks = Arc::clone(all);
        }
        if !self.wants.effects && !part.effects.is_empty() {
            part.effects = Arc::default();
        }
        if !self.wants.ticks && !part.ticks.is_empty() {
            part.ticks = Arc::default();
        }
        let takes_reports = self.wants.reports && self.is_durable;
        if !takes_reports && !part.reports.is_empty() {
            part.reports = Arc::default();
        }
        (self.is_durable || part.num_rows() > 0).then_some(part)
    }

    /// Hands a batch on, waiting where that is wanted.
    async fn send(&self, batch: EffectBatch, metrics: &Metrics) {
        if self.is_waited_for {
            if self.batches.send(batch).await.is_err() {
                tracing::error!(sink = self.name, "sink is gone: effects do not reach it");
            }
        } else if let Err(SendError::Full(batch)) = self.batches.try_send(batch) {
            metrics.sink(self.name).dropped.inc_by(batch.num_rows() as u64);
        }
    }
}

/// Out of the outbox, and not yet with every sink.
#[derive(Clone)]
struct Sending {
    batch: EffectBatch,
    /// The ticks for durable sinks, where some of them are of the past.
    with_past: Option<Arc<Vec<LiveTick>>>,
}

/// Hands effects on.
pub struct FanOutActor {
    shard: Rc<Shard>,
    /// Shared, never cloned: every fresh clone of an address may put one message more into a full mailbox.
    outputs: Rc<Outputs>,
    /// What the sinks have been told.
    told_through: Position,
    sending: Option<Sending>,
    /// What the hub has yet to get.
    live: Option<LiveBatch>,
}

impl FanOutActor {
    /// Makes the fan-out of a shard.
    #[must_use]
    pub fn new(shard: Rc<Shard>, outputs: Outputs) -> FanOutActor {
        let demands = outputs.sinks.iter().filter(|sink| sink.wants.ticks);
        let demands = demands.map(|sink| match (sink.is_durable, sink.is_waited_for) {
            (true, _) => TickDemand::EveryAndPast,
            (false, true) => TickDemand::Every,
            (false, false) => TickDemand::Newest,
        });
        shard.tick_demand.set(demands.max().unwrap_or_default());
        shard.wants_reports.set(outputs.sinks.iter().any(|sink| sink.wants.reports && sink.is_durable));
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
        let OutgoingTicks { past: past_ticks, live, num_dropped } = self.shard.take_ticks();
        self.count_dropped(num_dropped);
        let reports = Arc::new(self.shard.take_reports());
        let with_past =
            (!past_ticks.is_empty()).then(|| Arc::new([past_ticks.as_slice(), live.as_slice()].concat()));
        let (ticks, for_sinks) = self.share_ticks(live);
        if !(effects.is_empty() && ticks.is_empty()) {
            let effects = Arc::clone(&effects);
            self.live = Some(LiveBatch { shard: self.shard.number(), effects, past, received, ticks });
        }
        let has_rows =
            !effects.is_empty() || !for_sinks.is_empty() || with_past.is_some() || !reports.is_empty();
        let has_progress = progress_alone && through > self.told_through;
        if !has_rows && !has_progress {
            return;
        }
        self.shard.env.metrics.stage(Stage::Fanout).received.inc_by(effects.len() as u64);
        let (partition, shard) = (self.shard.context.partition, self.shard.index);
        let batch = EffectBatch { partition, shard, effects, ticks: for_sinks, reports, through };
        self.sending = Some(Sending { batch, with_past });
    }

    /// Counts ticks that the outbox had no room for with each sink that wanted them.
    fn count_dropped(&self, num_dropped: usize) {
        if num_dropped == 0 {
            return;
        }
        for sink in self.outputs.sinks.iter().filter(|sink| sink.wants.ticks) {
            self.shard.env.metrics.sink(sink.name).dropped.inc_by(num_dropped as u64);
        }
    }

    /// Returns the ticks for the hub, as far as it wants any, and those for the sinks.
    fn share_ticks(&self, ticks: Vec<LiveTick>) -> (Vec<LiveTick>, Arc<Vec<LiveTick>>) {
        if ticks.is_empty() || !self.shard.sinks_want_ticks() {
            return (ticks, Arc::default());
        }
        if self.shard.env.published.live.as_ref().is_some_and(|live| live.ticks()) {
            return (ticks.clone(), Arc::new(ticks));
        }
        (Vec::new(), Arc::new(ticks))
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
            let sending = sending?;
            for sink in &outputs.sinks {
                if let Some(part) = sink.part_of(&sending) {
                    sink.send(part, &metrics).await;
                }
            }
            Some(sending.batch)
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
            // A hub that is gone has no clients left.
            _ = hub.send(batch).await;
        }
    }
}

impl Actor for FanOutActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_CAPACITY);
        ctx.run_interval(PROGRESS_INTERVAL, |_, ctx| {
            // A full mailbox is busy with the same.
            _ = ctx.address().try_send(ReportProgress);
        });
    }
}

impl Handler<EmptyOutbox> for FanOutActor {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, _: EmptyOutbox, _ctx: &mut Self::Context) -> Self::Result {
        self.pump(false)
    }
}

impl Handler<ReportProgress> for FanOutActor {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, _: ReportProgress, _ctx: &mut Self::Context) -> Self::Result {
        self.pump(true)
    }
}

impl Handler<EndUnit> for FanOutActor {
    type Result = ();

    fn handle(&mut self, _: EndUnit, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
