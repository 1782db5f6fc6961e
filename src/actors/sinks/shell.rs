//! What every sink has around it: a queue of its own, batches, a time limit, tries, isolation of refused rows,
//! acknowledgement, health and metrics. The sink itself only writes.
//!
//! Promises: batches come to the sink in the order in which they came here, one at a time. What is acknowledged was
//! written, and of a sink that waits for the log the log holds it. Progress without rows is no reason for a write,
//! unless a checkpoint is to rely on it or the process stops: what is acknowledged is always in the backend, so that a
//! start can tell a sink that is behind its checkpoints.
//! On failure: a batch that could not be written is written again, after pauses that grow up to a limit, or at once when
//! somebody waits for the end; after a permanent failure at the longest pause, and of a durable sink whoever has nothing
//! to do without it is told ([`HealthRegistry::broken`]). After several failures in a row a circuit breaker opens: nothing is
//! asked of the backend for a while, then one try decides. Meanwhile rows gather up to a limit.
//! Then, as the sink's policy says, whoever brings more waits, the oldest are dropped and counted, or all of it is let go of,
//! since the log brings it later (`lag`).
//! After a panic the same batch is written again.

mod failure;
mod lag;
mod missed;
mod room;
mod unparsed;

pub use lag::Need;
pub use missed::{BeginCatchUp, BeginLive, CaughtUp, JoinRun, MissedBatch};
pub use unparsed::CopyUnparsedInput;

use super::isolate::{self, Written};
use super::{Delivery, OnFull, Sink, SinkBatch, SinkError, SinkPolicy, SinkSpec};
use crate::actors::environment::Environment;
use crate::actors::guard;
use crate::actors::health::{Health, HealthRegistry};
use crate::actors::messages::{EffectBatch, Flush, LogDurable, UnparsedInput};
use crate::actors::partition::durability::Durability;
use crate::breaker::{Breaker, BreakerState};
use crate::metrics::{SinkMetrics, StageMetrics};
use crate::models::effect::Effect;
use crate::models::entry::Position;
use crate::retry::Backoff;
use crate::stores::history::DeadLetterRecord;
use crate::stores::log::Partition;
use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Recipient, ResponseFuture, SpawnHandle};
use lag::Lag;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// Batches that may wait besides what has been taken in: it is taken in at once, so this only covers a busy thread.
const MAILBOX_CAPACITY: usize = 64;

/// How long the end of the process waits for a sink that nobody else waits for.
const GRACE: Duration = Duration::from_secs(1);

/// How long the end of the process waits for a durable sink that can be caught up by the next start, while nothing of it is
/// written: half of the time that a stop has.
const STUCK_GRACE: Duration = Duration::from_secs(2);

/// How far one partition is, shared with whoever must know without asking.
#[derive(Clone, Default)]
pub struct Followed {
    /// What its log holds; `None` when nothing outlives the process, so that nothing is waited for.
    pub durable: Option<Arc<Durability>>,
    /// What the sink holds.
    pub acknowledged: Arc<AtomicU64>,
    /// What somebody waits for the sink to hold: up to there, progress is acknowledged without rows too.
    pub wanted: Arc<AtomicU64>,
    /// Shards that the partition's symbols are spread over.
    pub num_shards: usize,
}

/// How far a partition has come in the sink.
struct PartitionState {
    followed: Followed,
    /// What each shard has brought to the sink.
    written_through: Vec<Position>,
}

/// What is known of a sink that is behind from the beginning: it lacks some of what the log has, or nobody knows what it holds.
#[derive(Clone, Debug)]
pub struct BehindAtStart {
    /// What health says until its backend answers.
    pub why: String,
    /// Up to where the log has entries.
    pub tail: Position,
    /// What it is likely to hold.
    pub likely: Position,
}

/// How far each shard of each partition is.
type Through = BTreeMap<Partition, Vec<Position>>;

/// Says of an effect whether it is left out.
pub type LeaveOut = Box<dyn FnMut(&Effect) -> bool + Send>;

/// Serves one sink.
pub struct SinkActor {
    sink: Arc<dyn Sink>,
    spec: SinkSpec,
    policy: SinkPolicy,
    env: Environment,
    health: Arc<HealthRegistry>,
    metrics: SinkMetrics,
    /// How it is while it can be written.
    normal: (Health, String),
    /// Effects that are not to be written.
    leaves_out: Option<LeaveOut>,
    /// Who keeps the dead letters of a sink that does not.
    dead_letters: Option<Recipient<UnparsedInput>>,
    partitions: BTreeMap<Partition, PartitionState>,
    waiting: VecDeque<EffectBatch>,
    /// Rows in `waiting`.
    num_waiting: usize,
    /// Batches at the front of `waiting` that are being written.
    num_writing: usize,
    unparsed: Vec<DeadLetterRecord>,
    /// Who gets it as well.
    copies: Vec<CopyUnparsedInput>,
    /// Unparsed input taken in, and how much of it is written.
    num_unparsed: u64,
    num_unparsed_written: Arc<AtomicU64>,
    writing: bool,
    backoff: Backoff,
    /// A permanent failure was told since it last worked.
    told_permanent: bool,
    breaker: Breaker,
    /// The next try, where one failed.
    retry: Option<SpawnHandle>,
    /// Rows were dropped since the queue was last empty.
    is_dropping: bool,
    /// How far it is behind, where its policy lets it be.
    lag: Lag,
    /// Nobody waits for it any more, where its policy says so.
    is_live: bool,
    /// Batches at the front of `waiting` that are forgotten unless the write under way succeeds.
    num_forgotten: usize,
    /// When the backend last took something; `None` before it did.
    contact: Option<Instant>,
    progress: Arc<Notify>,
}

/// A batch on its way to the sink.
struct Next {
    batch: SinkBatch,
    num_taken: usize,
    through: Through,
}

/// Why a batch was not written.
enum Failure {
    Sink(SinkError),
    Panic,
}

impl SinkActor {
    /// Makes the shell of a sink that already holds of each partition what it has acknowledged.
    ///
    /// # Panics
    /// When a durable sink is to drop what finds no room: that would break its promise.
    #[must_use]
    pub fn new(
        sink: Arc<dyn Sink>,
        policy: SinkPolicy,
        env: Environment,
        health: Arc<HealthRegistry>,
        partitions: impl IntoIterator<Item = (Partition, Followed)>,
    ) -> SinkActor {
        let spec = sink.spec();
        let is_durable = spec.delivery == Delivery::Durable;
        assert!(!is_durable || policy.on_full != OnFull::DropOldest, "a durable sink drops nothing");
        assert!(is_durable || policy.on_full != OnFull::CatchUp, "only a durable sink is caught up");
        let (status, detail) = match spec.checked_every {
            Some(_) => (Health::Degraded, "it has not answered yet"),
            None => (Health::Healthy, ""),
        };
        health.set(spec.name, status, detail);
        if policy.on_full == OnFull::CatchUp {
            health.set_optional(spec.name);
        }
        let partition = |followed: Followed| {
            let held = followed.acknowledged.load(Ordering::Acquire);
            PartitionState { written_through: vec![held; followed.num_shards], followed }
        };
        SinkActor {
            metrics: env.metrics.sink(spec.name),
            sink,
            spec,
            policy,
            env,
            health,
            normal: (Health::Healthy, String::new()),
            leaves_out: None,
            dead_letters: None,
            partitions: partitions.into_iter().map(|(id, followed)| (id, partition(followed))).collect(),
            waiting: VecDeque::new(),
            num_waiting: 0,
            num_writing: 0,
            unparsed: Vec::new(),
            copies: Vec::new(),
            num_unparsed: 0,
            num_unparsed_written: Arc::default(),
            writing: false,
            backoff: Backoff::new(policy.retry),
            told_permanent: false,
            breaker: Breaker::new(policy.breaker),
            retry: None,
            is_dropping: false,
            lag: Lag::new(),
            is_live: false,
            num_forgotten: 0,
            contact: None,
            progress: Arc::new(Notify::new()),
        }
    }

    /// Says how the sink is while it can be written.
    #[must_use]
    pub fn with_health(mut self, status: Health, detail: String) -> SinkActor {
        self.health.set(self.spec.name, status, detail.clone());
        self.normal = (status, detail);
        self
    }

    /// Says that the sink is behind from the beginning.
    #[must_use]
    pub fn behind(mut self, behind: BehindAtStart) -> SinkActor {
        let BehindAtStart { why, tail, likely } = behind;
        self.lag.begin_behind(tail, likely);
        self.health.set(self.spec.name, Health::Unhealthy, why);
        self
    }

    /// Returns what tells whether the sink needs to be caught up.
    #[must_use]
    pub fn need(&self) -> watch::Receiver<Need> {
        self.lag.need()
    }

    /// Returns up to where the run was passed over, of a sink that is behind.
    #[must_use]
    pub fn passed_over(&self) -> Arc<AtomicU64> {
        self.lag.passed_over()
    }

    /// Leaves out effects of which the function says so.
    #[must_use]
    pub fn leaving_out(mut self, leaves_out: LeaveOut) -> SinkActor {
        self.leaves_out = Some(leaves_out);
        self
    }

    /// Says who keeps the rows that the backend refuses.
    #[must_use]
    pub fn with_dead_letters(mut self, keeper: Recipient<UnparsedInput>) -> SinkActor {
        self.dead_letters = Some(keeper);
        self
    }

    /// Returns the sink.
    #[must_use]
    pub fn sink(&self) -> Arc<dyn Sink> {
        Arc::clone(&self.sink)
    }

    /// Returns what is known of the sink.
    #[must_use]
    pub const fn spec(&self) -> SinkSpec {
        self.spec
    }

    /// Returns how it is served.
    #[must_use]
    pub const fn policy(&self) -> SinkPolicy {
        self.policy
    }

    fn stage(&self) -> Option<&StageMetrics> {
        self.spec.stage.map(|stage| self.env.metrics.stage(stage))
    }

    fn is_durable(&self) -> bool {
        self.spec.delivery == Delivery::Durable
    }

    /// Returns what the log of a partition holds, as far as that must be waited for.
    fn durable(&self, partition: Partition) -> Position {
        let durable = self.partitions.get(&partition).and_then(|known| known.followed.durable.as_ref());
        let durable = durable.filter(|_| self.spec.waits_for_log);
        durable.map_or(Position::MAX, |durable| durable.through())
    }

    /// True when the log does not hold yet what a batch follows from.
    fn is_too_early(&self, batch: &EffectBatch) -> bool {
        let durable = self.durable(batch.partition);
        // A shard's rows may be ahead of what it is done with, never ahead of their own entry.
        let effects = || batch.effects.iter().map(Effect::log_pos);
        let ticks = || batch.ticks.iter().map(|tick| tick.log_pos);
        let reports = || batch.reports.iter().map(|report| report.entry.pos);
        let newest = || effects().chain(ticks()).chain(reports()).max().unwrap_or(0);
        durable < Position::MAX && newest().max(batch.through) > durable
    }

    /// Has the log commit what a batch waits for, where the sink's readers wait for that in turn.
    fn hurry_log(&self, batch: &EffectBatch) {
        if self.spec.hurries_log
            && self.is_too_early(batch)
            && let Some(PartitionState { followed, .. }) = self.partitions.get(&batch.partition)
            && let Some(durable) = &followed.durable
        {
            durable.request_flush();
        }
    }

    /// Brings what may be written to the front where another partition's log holds up what came before it. Batches of one
    /// partition keep their order.
    fn bring_forward(&mut self) {
        if self.partitions.len() < 2 || self.waiting.front().is_none_or(|first| !self.is_too_early(first)) {
            return;
        }
        let mut held_up = BTreeSet::new();
        let (mut ready, mut others) = (VecDeque::new(), VecDeque::new());
        for batch in std::mem::take(&mut self.waiting) {
            let is_held_up = held_up.contains(&batch.partition) || self.is_too_early(&batch);
            if is_held_up {
                held_up.insert(batch.partition);
                others.push_back(batch);
            } else {
                ready.push_back(batch);
            }
        }
        ready.append(&mut others);
        self.waiting = ready;
    }

    /// Returns the next batch, and has its parts at the front of the queue. A partition whose log is behind holds back
    /// what comes after it from the same partition, and nothing of others.
    fn next_batch(&mut self) -> Next {
        self.bring_forward();
        let of_partition =
            |(id, partition): (&Partition, &PartitionState)| (*id, partition.written_through.clone());
        let mut through: Through = self.partitions.iter().map(of_partition).collect();
        let mut batch = SinkBatch { dead_letters: self.unparsed.clone(), ..SinkBatch::default() };
        let (mut num_taken, mut num_rows) = (0, 0);
        for waiting in &self.waiting {
            let is_full = num_taken > 0 && num_rows + waiting.num_rows() > self.policy.batch_rows;
            if is_full || self.is_too_early(waiting) {
                break;
            }
            num_rows += waiting.num_rows();
            if !waiting.effects.is_empty() {
                batch.effects.push(Arc::clone(&waiting.effects));
            }
            if !waiting.ticks.is_empty() {
                batch.ticks.push(Arc::clone(&waiting.ticks));
            }
            if !waiting.reports.is_empty() {
                batch.reports.push(Arc::clone(&waiting.reports));
            }
            if let Some(through) =
                through.get_mut(&waiting.partition).and_then(|all| all.get_mut(waiting.shard))
            {
                *through = (*through).max(waiting.through);
            }
            num_taken += 1;
        }
        if self.is_durable() {
            let reached = |shards: &Vec<Position>| shards.iter().copied().min().unwrap_or(0);
            batch.acknowledged = through.iter().map(|(id, shards)| (*id, reached(shards))).collect();
        }
        Next { batch, num_taken, through }
    }

    /// True when progress alone is to be written: somebody waits for it.
    fn acknowledges(&self, batch: &SinkBatch, is_end: bool) -> bool {
        batch.acknowledged.iter().any(|(id, reached)| {
            let Some(PartitionState { followed, .. }) = self.partitions.get(id) else { return false };
            let held = followed.acknowledged.load(Ordering::Acquire);
            (is_end || followed.wanted.load(Ordering::Acquire) > held) && *reached > held
        })
    }

    /// True when it is time to ask whether the backend is there: at the start, and when nothing was written for long.
    fn is_check_due(&self) -> bool {
        let is_over = |every| self.contact.is_none_or(|contact| contact.elapsed() >= every);
        self.spec.checked_every.is_some_and(is_over) || self.lag.wants_probe()
    }

    fn flush(&mut self, ctx: &mut Context<Self>) {
        if self.lag.is_behind() {
            self.metrics.behind.set(i64::try_from(self.num_behind()).unwrap_or(i64::MAX));
            if self.backoff.num_failures() == 0 && !self.lag.wants_probe() {
                self.tell_health();
            }
        }
        self.write(false, ctx);
    }

    /// Returns how many positions of the log the sink is behind.
    fn num_behind(&self) -> u64 {
        let held = |partition: &PartitionState| partition.followed.acknowledged.load(Ordering::Acquire);
        self.lag.positions(self.partitions.values().map(held).min().unwrap_or(0))
    }

    /// Says how the sink is, as long as it can be written.
    fn tell_health(&self) {
        let (status, detail) = if self.lag.is_behind() {
            (
                Health::Degraded,
                format!("it is to catch up with the log: {} positions behind", self.num_behind()),
            )
        } else {
            self.normal.clone()
        };
        self.health.set(self.spec.name, status, detail);
    }

    /// Writes what waits, and where somebody waits for the end even progress alone.
    fn write(&mut self, is_end: bool, ctx: &mut Context<Self>) {
        if self.writing {
            return;
        }
        let Next { batch, num_taken, through } = self.next_batch();
        let num_unparsed = batch.dead_letters.len();
        let acknowledges = self.acknowledges(&batch, is_end);
        let is_check = self.is_check_due();
        if num_taken == 0 && num_unparsed == 0 && !acknowledges && !is_check {
            return;
        }
        self.writing = true;
        self.num_writing = num_taken;
        // Progress alone is no reason for a write: it goes with the next rows.
        let is_progress = batch.num_rows() == 0 && !acknowledges && !is_check;
        let acknowledged = if is_progress { BTreeMap::new() } else { batch.acknowledged.clone() };
        let work = self.work(batch, is_progress);
        let task = actix::spawn(work);
        ctx.spawn(wrap_future::<_, Self>(task).map(move |joined, actor, ctx| {
            actor.writing = false;
            actor.num_writing = 0;
            let num_forgotten = std::mem::take(&mut actor.num_forgotten);
            match joined.unwrap_or(Err(Failure::Panic)) {
                Ok(()) => {
                    actor.acknowledged(through, &acknowledged);
                    actor.written(num_taken, num_unparsed, ctx);
                }
                Err(failure) => {
                    actor.forget(0..num_forgotten);
                    actor.failed(&failure, ctx);
                }
            }
        }));
    }

    /// Writes a batch, in a task of its own: a panic comes back as a failure.
    fn work(&self, batch: SinkBatch, is_progress: bool) -> impl Future<Output = Result<(), Failure>> + use<> {
        let (sink, timeout, kind) = (Arc::clone(&self.sink), self.policy.timeout, self.spec.kind);
        let (faults, symbols) = (Arc::clone(&self.env.faults), Arc::clone(&self.env.symbols));
        let (all_metrics, metrics) = (Arc::clone(&self.env.metrics), self.metrics.clone());
        let keeper = self.dead_letters.clone();
        async move {
            let write = async {
                faults.actor(kind);
                if is_progress {
                    return Ok(());
                }
                let begun = Instant::now();
                let Written { num_refused, dead_letters } =
                    isolate::write(&*sink, &batch, timeout, &symbols).await?;
                metrics.write_seconds.observe(begun.elapsed().as_secs_f64());
                metrics.refused.inc_by(num_refused);
                if let (Some(keeper), false) = (keeper, dead_letters.is_empty()) {
                    // A keeper that is gone stopped with the process, and what is not acknowledged comes again.
                    keeper.send(UnparsedInput(dead_letters)).await.ok();
                }
                Ok(())
            };
            let written = guard::watch(kind, &all_metrics, write).await;
            written.map_or(Err(Failure::Panic), |written| written.map_err(Failure::Sink))
        }
    }

    fn acknowledged(&mut self, through: Through, acknowledged: &BTreeMap<Partition, Position>) {
        for (id, written_through) in through {
            if let Some(partition) = self.partitions.get_mut(&id) {
                partition.written_through = written_through;
            }
        }
        for (id, reached) in acknowledged {
            if let Some(partition) = self.partitions.get(id) {
                partition.followed.acknowledged.fetch_max(*reached, Ordering::AcqRel);
            }
        }
    }

    fn written(&mut self, num_taken: usize, num_unparsed: usize, ctx: &mut Context<Self>) {
        let (mut num_rows, mut num_effects) = (0, 0);
        for batch in self.waiting.drain(..num_taken) {
            num_rows += batch.num_rows();
            num_effects += batch.effects.len();
            self.env.buffers.put(batch.effects);
        }
        self.num_waiting -= num_rows;
        let letters: Vec<DeadLetterRecord> = self.unparsed.drain(..num_unparsed).collect();
        self.hand_copies(&letters);
        self.num_unparsed_written.fetch_add(num_unparsed as u64, Ordering::Release);
        self.metrics.written.inc_by(num_rows as u64);
        self.metrics.queue_length.set(self.num_waiting as i64);
        if let Some(stage) = self.stage() {
            stage.sent.inc_by(num_effects as u64);
        }
        let is_first = self.contact.replace(Instant::now()).is_none();
        let is_reached = is_first && (self.spec.checked_every.is_some() || self.lag.is_behind());
        self.lag.answered(true);
        let was_failing = self.backoff.num_failures() > 0;
        let has_caught_up = self.is_dropping && self.num_waiting <= self.policy.batch_rows;
        if is_reached || was_failing || has_caught_up {
            self.backoff.reset();
            self.told_permanent = false;
            self.breaker.succeeded();
            self.metrics.breaker.set(BreakerState::Closed.level());
            self.is_dropping = false;
            self.tell_health();
            let again = if is_reached { "" } else { " again" };
            tracing::info!("{} can be written{again}", self.spec.name);
        }
        self.progress.notify_waiters();
        if self.num_waiting >= self.policy.batch_rows {
            self.flush(ctx);
        }
    }
}

impl Actor for SinkActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_CAPACITY);
        ctx.run_interval(self.policy.batch_age, SinkActor::flush);
    }
}

impl Handler<EffectBatch> for SinkActor {
    type Result = ResponseFuture<()>;

    /// Answers once there is room for more; at once where the oldest make room. The actor itself must go on meanwhile:
    /// it is what makes the room.
    fn handle(&mut self, mut batch: EffectBatch, ctx: &mut Self::Context) -> Self::Result {
        if let Some(leaves_out) = &mut self.leaves_out {
            let written = batch.effects.iter().filter(|effect| !leaves_out(effect));
            batch.effects = Arc::new(written.copied().collect());
        }
        match self.lag.take(batch, self.policy.rows_max) {
            Ok(batch) => {
                self.hurry_log(&batch);
                self.queue(batch, ctx);
            }
            Err(num_passed_over) => {
                self.metrics.deferred.inc_by(num_passed_over as u64);
                return wait_for(None);
            }
        }
        self.let_go_where_full();
        let is_full = self.policy.on_full != OnFull::DropOldest && self.num_waiting > self.policy.rows_max;
        wait_for(is_full.then(|| Arc::clone(&self.progress)))
    }
}

/// Waits for the next progress, where somebody has to.
fn wait_for(progress: Option<Arc<Notify>>) -> ResponseFuture<()> {
    let progress = progress.map(Notify::notified_owned);
    Box::pin(async move {
        if let Some(progress) = progress {
            progress.await;
        }
    })
}

impl Handler<LogDurable> for SinkActor {
    type Result = ();

    /// What is durable now is written at the next flush; only a long queue, or a sink that hurries, does not wait for that.
    fn handle(&mut self, _: LogDurable, ctx: &mut Self::Context) {
        if self.spec.hurries_log || self.num_waiting >= self.policy.batch_rows {
            self.flush(ctx);
        }
    }
}

impl Handler<Flush> for SinkActor {
    type Result = ResponseFuture<()>;

    /// Answers once everything that has come in is written, progress too. Of a sink that nobody waits for it answers in
    /// a second at the latest; of one that can be caught up at once while it is behind, and soon where nothing is written.
    fn handle(&mut self, _: Flush, ctx: &mut Self::Context) -> Self::Result {
        // Who waits for the end does not wait for the next try: a full disk may have room again.
        if let Some(retry) = self.retry.take() {
            ctx.cancel_future(retry);
            self.try_again(true, ctx);
        } else {
            self.write(true, ctx);
        }
        let is_idle = self.waiting.is_empty() && self.unparsed.is_empty() && !self.writing;
        let progress = Arc::clone(&self.progress).notified_owned();
        let addr = ctx.address();
        // For how long nothing may be written, and how long all of it may take.
        let (stuck_for, grace) = match self.policy.on_full {
            OnFull::CatchUp if self.lag.is_behind() => (Duration::ZERO, Duration::MAX),
            OnFull::CatchUp => (STUCK_GRACE, Duration::MAX),
            _ if self.is_durable() => (Duration::MAX, Duration::MAX),
            _ => (Duration::MAX, GRACE),
        };
        let written = async move {
            if !is_idle && tokio::time::timeout(stuck_for, progress).await.is_ok() {
                // One that is gone has nothing more to write.
                addr.send(Flush).await.ok();
            }
        };
        Box::pin(async move {
            // What is not written in its time comes again with the next start, or nobody was to wait for it.
            tokio::time::timeout(grace, written).await.ok();
        })
    }
}
