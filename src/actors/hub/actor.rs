//! The hub's actor: its state, its messages, and the flushes that it sends to the threads of the sessions.
//!
//! The rest of what it does is in files by subject: `publish` what the shards report, `periodic` what changes by
//! itself, `answer` subscriptions. Promises: no panic leaves a handler; the work of the message is lost, and clients
//! see the hole by the numbers. When a thread takes nothing for long, ticks are dropped and counted, then the shards
//! wait.

use super::demand::LiveDemand;
use super::held::HeldEffects;
use super::job::{Jobs, Share};
use super::last_values::LastValues;
use super::ledgers::PublishedLedgers;
use super::messages::{
    Announce, AttachWorker, BeginServing, ContinueAnswer, Deliver, ReleaseTopics, StopServing,
    SubscribeTopics, WorkerId,
};
use super::pace::{GATHER_MAX, GATHER_MIN, Pace};
use super::pending::Pending;
use super::topic::{Channel, Topic};
use super::worker::WorkerLink;
use crate::actors::faults::FaultPlan;
use crate::actors::guard::{self, ActorKind};
use crate::actors::health::HealthRegistry;
use crate::actors::messages::{LiveBatch, LogDurable};
use crate::actors::partition::durability::Durability;
use crate::actors::snapshots::SymbolSnapshots;
use crate::actors::source_clocks::SourceClocks;
use crate::metrics::{Metrics, Stage};
use crate::models::settings::CoreSettings;
use crate::models::time::Nanos;
use crate::names::SymbolTable;
use crate::stores::history::History;
use actix::fut::wrap_future;
use actix::{Actor, AsyncContext, Context, Handler};
use hashbrown::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Batches of the shards that may wait. Each may be large, and the hub is fast: a full mailbox means that it has too
/// much to do, and then ticks are dropped.
const MAILBOX_CAPACITY: usize = 64;

/// How often forming bars are published: a chart draws no more.
const FORMING_INTERVAL: Duration = Duration::from_millis(50);

/// How often feed states and metrics are published.
const SECOND_INTERVAL: Duration = Duration::from_secs(1);

/// Effects that may wait for the log: some 60 MB. The log delays the venue long before, so more would mean that the log
/// has stopped for good.
const HELD_MAX: usize = 200_000;

/// Bytes of ticks that may wait while a thread is behind; above it they are dropped.
const TICK_BYTES_MAX: usize = 4 << 20;

/// Bytes of other frames that may wait; above it the shards wait.
const FRAME_BYTES_MAX: usize = 16 << 20;

/// Requests for which the history is read at the same time: after a restart all clients resume at once.
const NUM_READERS: usize = 4;

/// The settings of the hub, and what it works with.
pub struct HubSettings {
    /// The name of the log.
    pub epoch: String,
    /// The name of this run of the process.
    pub run: String,
    /// All symbols.
    pub symbols: Arc<SymbolTable>,
    /// The newest snapshot of each symbol.
    pub snapshots: Arc<SymbolSnapshots>,
    /// The clocks of the sources.
    pub clocks: Arc<SourceClocks>,
    /// The history, read for clients that resume.
    pub history: Arc<dyn History>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The health of the components.
    pub health: Arc<HealthRegistry>,
    /// What clients follow, for the data path.
    pub demand: Arc<LiveDemand>,
    /// How far the log is durable: settled bars go out when it holds them.
    pub durability: Arc<Durability>,
    /// The settings of the core: which windows there are.
    pub core: Arc<CoreSettings>,
    /// Panics planned by tests.
    pub faults: Arc<FaultPlan>,
    /// Returns the time.
    pub now: Arc<dyn Fn() -> Nanos + Send + Sync>,
}

/// Serves live clients.
pub struct HubActor {
    pub(super) settings: HubSettings,
    pub(super) last_values: LastValues,
    pub(super) pending: Pending,
    pub(super) published_ledgers: PublishedLedgers,
    /// Anomalies announced that are about no symbol.
    pub(super) num_announced: u64,
    /// Effects that wait for the log.
    pub(super) held: HeldEffects,
    pub(super) workers: HashMap<WorkerId, WorkerLink>,
    /// The number of sessions that follow each topic.
    pub(super) wanted: HashMap<Topic, u32>,
    /// Followed topics of each channel, of all sessions together.
    num_followers: [u32; Channel::NUM],
    pace: Pace,
    /// When the next check of waiting frames is due.
    check_at: Option<Instant>,
    /// Requests that are being answered.
    pub(super) jobs: Jobs,
    /// The share of the hub's time that answers get.
    pub(super) share: Share,
    /// Permits to read the history.
    pub(super) readers: Arc<Semaphore>,
    /// True once recovery is done: requests are answered from then on.
    pub(super) is_serving: bool,
}

impl HubActor {
    /// Makes the hub.
    #[must_use]
    pub fn new(settings: HubSettings) -> HubActor {
        HubActor {
            last_values: LastValues::new(Arc::clone(&settings.symbols), &settings.core.widths),
            settings,
            pending: Pending::default(),
            published_ledgers: PublishedLedgers::default(),
            num_announced: 0,
            held: HeldEffects::new(HELD_MAX),
            workers: HashMap::new(),
            wanted: HashMap::new(),
            num_followers: [0; Channel::NUM],
            pace: Pace::new(Instant::now()),
            check_at: None,
            jobs: Jobs::default(),
            share: Share::new(Instant::now()),
            readers: Arc::new(Semaphore::new(NUM_READERS)),
            is_serving: false,
        }
    }

    pub(super) fn is_wanted(&self, topic: Topic) -> bool {
        self.wanted.contains_key(&topic) || self.wanted.contains_key(&topic.of_all())
    }

    pub(super) fn wants_channel(&self, channel: Channel) -> bool {
        self.num_followers[channel as usize] > 0
    }

    pub(super) fn wants_settled(&self) -> bool {
        [Channel::Bars, Channel::Indicators, Channel::Anomalies]
            .into_iter()
            .any(|channel| self.wants_channel(channel))
    }

    /// Tells the data path what clients follow.
    fn publish_demand(&self) {
        self.settings.demand.set(self.wants_channel(Channel::Ticks), self.wants_channel(Channel::Previews));
    }

    /// Sends waiting frames if they are due, or schedules a check for when they are.
    fn flush_in_time(&mut self, ctx: &mut Context<Self>) {
        if !self.pending.is_empty() {
            let now = Instant::now();
            let wait = self.pace.wait(now, self.num_sessions(), self.pending.is_urgent());
            if wait.is_zero() && self.has_room() {
                self.flush();
            } else {
                self.check_after(ctx, now, wait.max(GATHER_MIN));
            }
        }
        self.bound_pending(ctx);
        self.answer_in_time(ctx);
    }

    /// Schedules a check of waiting frames, unless one is due by then anyway.
    pub(super) fn check_after(&mut self, ctx: &mut Context<Self>, now: Instant, wait: Duration) {
        let at = now + wait;
        if self.check_at.is_some_and(|due| due <= at) {
            return;
        }
        self.check_at = Some(at);
        ctx.run_later(wait, move |hub, ctx| {
            hub.check_at.take_if(|due| *due == at);
            hub.drain_backlogs();
            hub.guarded(ctx, |_| {});
        });
    }

    fn num_sessions(&self) -> u32 {
        u32::try_from(self.settings.metrics.websocket_connections.get()).unwrap_or(0)
    }

    /// Bounds waiting frames: drops ticks when a thread takes nothing for long, and in the end makes the shards wait.
    fn bound_pending(&mut self, ctx: &mut Context<Self>) {
        if self.pending.num_tick_bytes() > TICK_BYTES_MAX {
            let count = self.pending.drop_ticks();
            self.settings.metrics.dropped(Stage::Hub, "ticks_conflated", count);
        }
        if self.pending.num_frame_bytes() > FRAME_BYTES_MAX {
            ctx.wait(wrap_future(tokio::time::sleep(GATHER_MAX)));
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.workers.values().all(WorkerLink::has_room)
    }

    pub(super) fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        self.pace.flushed(Instant::now(), self.num_sessions(), self.pending.is_urgent());
        let num_frames = self.pending.num_frames();
        let flush = Deliver::Flush(Arc::new(self.pending.take()));
        for worker in self.workers.values_mut() {
            worker.send(flush.clone());
        }
        let stage = self.settings.metrics.stage(Stage::Hub);
        stage.sent.inc_by(num_frames as u64);
        let waiting: usize = self.workers.values().map(WorkerLink::num_waiting).sum();
        self.settings.metrics.hub_queue.set(waiting as i64);
    }

    fn drain_backlogs(&mut self) {
        for worker in self.workers.values_mut() {
            worker.drain();
        }
        self.workers.retain(|_, worker| worker.is_connected());
    }

    /// Does some work, then sends what is due. A panic ends the work, not the hub.
    fn guarded(&mut self, ctx: &mut Context<Self>, work: impl FnOnce(&mut Self)) {
        let metrics = Arc::clone(&self.settings.metrics);
        guard::run(ActorKind::Hub, &metrics, || work(self));
        guard::run(ActorKind::Hub, &metrics, || self.flush_in_time(ctx));
    }

    pub(super) fn want(&mut self, added: &[Topic]) {
        let had_ticks = self.wants_channel(Channel::Ticks);
        for topic in added {
            *self.wanted.entry(*topic).or_default() += 1;
        }
        for topic in added {
            self.num_followers[topic.channel as usize] += 1;
        }
        // Before the snapshots are read: what is applied from now on comes as ticks.
        self.publish_demand();
        if !had_ticks && self.wants_channel(Channel::Ticks) {
            // While no client follows ticks the hub gets none; what happened meanwhile is in the snapshots only.
            for snapshot in self.settings.snapshots.all() {
                self.last_values.refresh_tick(&snapshot);
            }
        }
    }

    fn release_topics(&mut self, topics: &[Topic]) {
        for topic in topics {
            let followers = &mut self.num_followers[topic.channel as usize];
            *followers = followers.saturating_sub(1);
            if let Some(count) = self.wanted.get_mut(topic) {
                *count -= 1;
                if *count == 0 {
                    self.wanted.remove(topic);
                }
            }
        }
        self.publish_demand();
    }
}

impl Actor for HubActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_CAPACITY);
        ctx.run_interval(FORMING_INTERVAL, |hub, ctx| {
            hub.drain_backlogs();
            hub.guarded(ctx, |hub| {
                // Messages about commits are dropped while the mailbox is full.
                hub.release();
                hub.publish_forming();
            });
        });
        ctx.run_interval(SECOND_INTERVAL, |hub, ctx| {
            hub.guarded(ctx, |hub| {
                hub.publish_feeds();
                hub.publish_metrics();
                hub.publish_ledgers();
                hub.publish_system();
            });
        });
    }
}

impl Handler<LiveBatch> for HubActor {
    type Result = ();

    fn handle(&mut self, batch: LiveBatch, ctx: &mut Self::Context) {
        self.guarded(ctx, |hub| {
            hub.settings.faults.actor(ActorKind::Hub);
            hub.take_batch(batch);
        });
    }
}

impl Handler<LogDurable> for HubActor {
    type Result = ();

    fn handle(&mut self, _: LogDurable, ctx: &mut Self::Context) {
        if !self.held.is_empty() {
            self.guarded(ctx, HubActor::release);
        }
    }
}

impl Handler<Announce> for HubActor {
    type Result = ();

    fn handle(&mut self, Announce(anomaly): Announce, ctx: &mut Self::Context) {
        self.guarded(ctx, |hub| hub.announce(&anomaly));
    }
}

impl Handler<AttachWorker> for HubActor {
    type Result = ();

    fn handle(&mut self, AttachWorker { worker, recipient }: AttachWorker, _ctx: &mut Self::Context) {
        self.workers.insert(worker, WorkerLink::new(recipient));
    }
}

impl Handler<SubscribeTopics> for HubActor {
    type Result = ();

    fn handle(&mut self, request: SubscribeTopics, ctx: &mut Self::Context) {
        self.guarded(ctx, |hub| hub.subscribe(request));
    }
}

impl Handler<ContinueAnswer> for HubActor {
    type Result = ();

    fn handle(&mut self, message: ContinueAnswer, ctx: &mut Self::Context) {
        let ContinueAnswer { worker, session, request } = message;
        if self.jobs.resume((worker, session), request).is_some() {
            self.guarded(ctx, |_| {});
        }
    }
}

impl Handler<ReleaseTopics> for HubActor {
    type Result = ();

    fn handle(&mut self, message: ReleaseTopics, _ctx: &mut Self::Context) {
        self.release_topics(&message.topics);
        if message.presence.has_left() {
            self.jobs.forget((message.worker, message.session));
        }
    }
}

impl Handler<BeginServing> for HubActor {
    type Result = ();

    fn handle(&mut self, _: BeginServing, ctx: &mut Self::Context) {
        self.guarded(ctx, |hub| {
            hub.release();
            for snapshot in hub.settings.snapshots.all() {
                hub.last_values.begin(&snapshot);
            }
        });
        self.is_serving = true;
        self.guarded(ctx, |_| {});
    }
}

impl Handler<StopServing> for HubActor {
    type Result = ();

    fn handle(&mut self, _: StopServing, ctx: &mut Self::Context) {
        self.guarded(ctx, HubActor::release);
        self.flush();
        for worker in self.workers.values_mut() {
            worker.send(Deliver::Stop);
        }
    }
}
