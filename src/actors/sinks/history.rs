//! Commits effects to the history.
//!
//! Delivery: effects of entries that the log holds durably, in order, each row exactly once by key and log position.
//! Transient failure: tried again with growing pauses; meanwhile effects gather up to a limit, then the fan-outs wait.
//! Permanent failure: said loudly and tried again all the same, since an operator can mend it and nothing is lost.
//! After a panic the same batch is written again.
//!
//! Progress without effects is no reason for a transaction, unless a checkpoint is to rely on it or the process
//! stops: what `acknowledged` says is always in the file, so that a start can tell a history that is behind its
//! checkpoints.

use crate::actors::guard::{self, ActorKind};
use crate::actors::messages::{Drain, EffectBatch, LogDurable, StrayLetters};
use crate::actors::partition::shard::Environment;
use crate::actors::views::{Health, HealthBoard};
use crate::metrics::Stage;
use crate::models::effect::Effect;
use crate::models::entry::Position;
use crate::stores::history::{DeadLetterRecord, History, HistoryBatch};
use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, ResponseFuture, SpawnHandle};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// Batches that may wait besides what has been taken in.
const MAILBOX_CAPACITY: usize = 64;

/// Effects that may wait for the disk: 80 MB of bars at the most.
const EFFECTS_LIMIT: usize = 200_000;

/// How long effects gather: few large transactions cost the disk and the log's writer less than many small ones.
const FLUSH_INTERVAL: Duration = Duration::from_millis(100);

/// Effects that end a transaction: about 50 ms of writing.
const BATCH_LIMIT: usize = 20_000;

const RETRY_DELAY_MAX: Duration = Duration::from_secs(5);

/// Commits effects.
pub struct HistoryActor {
    history: Arc<dyn History>,
    env: Environment,
    health: Arc<HealthBoard>,
    /// What the log holds; `None` when nothing outlives the process, so that nothing is waited for.
    durable: Option<Arc<AtomicU64>>,
    /// What the history holds, shared with whoever needs to know without asking.
    acknowledged: Arc<AtomicU64>,
    /// What somebody waits for the history to hold: up to there, progress is committed without effects too.
    wanted: Arc<AtomicU64>,
    /// How it is while it can be written.
    normal: (Health, String),
    /// Effects that are not to be written.
    leaves_out: Option<LeaveOut>,
    waiting: VecDeque<EffectBatch>,
    letters: Vec<DeadLetterRecord>,
    /// Letters taken in, and those of them that are written.
    num_letters: u64,
    num_letters_written: Arc<AtomicU64>,
    num_waiting: usize,
    /// What each shard has brought to the history.
    written_through: Vec<Position>,
    writing: bool,
    failures: u32,
    /// The next try, where one failed.
    retry: Option<SpawnHandle>,
    progress: Arc<Notify>,
}

/// Says of an effect whether it is left out.
pub type LeaveOut = Box<dyn FnMut(&Effect) -> bool + Send>;

impl HistoryActor {
    /// Makes the sink of a history that already holds everything up to `acknowledged`.
    #[must_use]
    pub fn new(
        history: Arc<dyn History>,
        env: Environment,
        health: Arc<HealthBoard>,
        num_shards: usize,
        durable: Option<Arc<AtomicU64>>,
        acknowledged: Arc<AtomicU64>,
        wanted: Arc<AtomicU64>,
    ) -> HistoryActor {
        health.set("history", Health::Healthy, "");
        let written_through = vec![acknowledged.load(Ordering::Acquire); num_shards];
        HistoryActor {
            history,
            env,
            health,
            durable,
            acknowledged,
            wanted,
            normal: (Health::Healthy, String::new()),
            leaves_out: None,
            waiting: VecDeque::new(),
            letters: Vec::new(),
            num_letters: 0,
            num_letters_written: Arc::default(),
            num_waiting: 0,
            written_through,
            writing: false,
            failures: 0,
            retry: None,
            progress: Arc::new(Notify::new()),
        }
    }

    /// Says how the history is while it can be written.
    #[must_use]
    pub fn with_health(mut self, status: Health, detail: String) -> HistoryActor {
        self.health.set("history", status, detail.clone());
        self.normal = (status, detail);
        self
    }

    /// Leaves out effects of which the function says so.
    #[must_use]
    pub fn leaving_out(mut self, leaves_out: LeaveOut) -> HistoryActor {
        self.leaves_out = Some(leaves_out);
        self
    }

    fn durable(&self) -> Position {
        self.durable.as_ref().map_or(Position::MAX, |durable| durable.load(Ordering::Acquire))
    }

    /// Returns the next transaction, the number of batches in it, and how far it brings each shard.
    fn next_batch(&mut self) -> (HistoryBatch, usize, Vec<Position>) {
        let durable = self.durable();
        let mut through = self.written_through.clone();
        let mut batch =
            HistoryBatch { effects: Vec::new(), dead_letters: self.letters.clone(), acknowledged: 0 };
        let (mut num_taken, mut num_effects) = (0, 0);
        for waiting in &self.waiting {
            // A shard's effects may be ahead of what it is done with, never ahead of their own entry.
            let newest = || waiting.effects.iter().map(Effect::log_pos).max().unwrap_or(0);
            let too_early = durable < Position::MAX && newest().max(waiting.through) > durable;
            if too_early || (num_taken > 0 && num_effects + waiting.effects.len() > BATCH_LIMIT) {
                break;
            }
            if !waiting.effects.is_empty() {
                num_effects += waiting.effects.len();
                batch.effects.push(Arc::clone(&waiting.effects));
            }
            through[waiting.shard] = through[waiting.shard].max(waiting.through);
            num_taken += 1;
        }
        batch.acknowledged = through.iter().copied().min().unwrap_or(0);
        (batch, num_taken, through)
    }

    fn flush(&mut self, ctx: &mut Context<Self>) {
        self.write(false, ctx);
    }

    /// Writes what waits, and where it must even progress alone.
    fn write(&mut self, must_acknowledge: bool, ctx: &mut Context<Self>) {
        if self.writing {
            return;
        }
        let (batch, num_taken, through) = self.next_batch();
        let num_letters = batch.dead_letters.len();
        let held = self.acknowledged.load(Ordering::Acquire);
        let is_wanted = must_acknowledge || self.wanted.load(Ordering::Acquire) > held;
        let acknowledges = is_wanted && batch.acknowledged > held;
        if num_taken == 0 && num_letters == 0 && !acknowledges {
            return;
        }
        self.writing = true;
        let acknowledged = batch.acknowledged;
        let history = Arc::clone(&self.history);
        let (faults, metrics) = (Arc::clone(&self.env.faults), Arc::clone(&self.env.metrics));
        // Progress alone is no reason for a transaction: it is written with the next effects.
        let is_progress = batch.effects.is_empty() && num_letters == 0 && !acknowledges;
        let write = async move {
            let write = async {
                faults.actor(ActorKind::History);
                if is_progress { Ok(()) } else { history.write(&batch).await }
            };
            guard::watch(ActorKind::History, &metrics, write).await
        };
        let task = actix::spawn(write);
        ctx.spawn(wrap_future::<_, Self>(task).map(move |joined, actor, ctx| {
            actor.writing = false;
            match joined.unwrap_or_default() {
                Some(Ok(())) => {
                    actor.written_through = through;
                    if !is_progress {
                        actor.acknowledged.fetch_max(acknowledged, Ordering::AcqRel);
                    }
                    actor.written(num_taken, num_letters, ctx);
                }
                Some(Err(error)) => actor.failed(&error.to_string(), ctx),
                None => actor.failed("the writer panicked", ctx),
            }
        }));
    }

    fn written(&mut self, num_taken: usize, num_letters: usize, ctx: &mut Context<Self>) {
        let mut num_effects = 0;
        for batch in self.waiting.drain(..num_taken) {
            num_effects += batch.effects.len();
            self.env.spare.put(batch.effects);
        }
        self.num_waiting -= num_effects;
        self.letters.drain(..num_letters);
        self.num_letters_written.fetch_add(num_letters as u64, Ordering::Release);
        self.env.metrics.stage(Stage::History).sent.inc_by(num_effects as u64);
        if self.failures > 0 {
            self.failures = 0;
            self.health.set("history", self.normal.0, self.normal.1.clone());
            tracing::info!("history can be written again");
        }
        self.progress.notify_waiters();
        if self.num_waiting >= BATCH_LIMIT {
            self.flush(ctx);
        }
    }

    fn failed(&mut self, error: &str, ctx: &mut Context<Self>) {
        if self.failures == 0 {
            tracing::error!(error, "failed to write the history; effects wait in memory");
        }
        self.health.set("history", Health::Unhealthy, format!("{error}; {} effects wait", self.num_waiting));
        let delay = FLUSH_INTERVAL.saturating_mul(1 << self.failures.min(10)).min(RETRY_DELAY_MAX);
        self.failures += 1;
        self.writing = true;
        self.retry = Some(ctx.run_later(delay, |actor, ctx| {
            actor.retry = None;
            actor.writing = false;
            actor.flush(ctx);
        }));
    }
}

impl Actor for HistoryActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_CAPACITY);
        ctx.run_interval(FLUSH_INTERVAL, HistoryActor::flush);
    }
}

impl Handler<EffectBatch> for HistoryActor {
    type Result = ResponseFuture<()>;

    /// Answers once there is room for more. The actor itself must go on meanwhile: it is what makes the room.
    fn handle(&mut self, mut batch: EffectBatch, ctx: &mut Self::Context) -> Self::Result {
        if let Some(leaves_out) = &mut self.leaves_out {
            let written = batch.effects.iter().filter(|effect| !leaves_out(effect));
            batch.effects = Arc::new(written.copied().collect());
        }
        self.env.metrics.stage(Stage::History).received.inc_by(batch.effects.len() as u64);
        self.num_waiting += batch.effects.len();
        self.waiting.push_back(batch);
        if self.num_waiting >= BATCH_LIMIT {
            self.flush(ctx);
        }
        let full = self.num_waiting > EFFECTS_LIMIT;
        let room = Arc::clone(&self.progress).notified_owned();
        Box::pin(async move {
            if full {
                room.await;
            }
        })
    }
}

impl Handler<LogDurable> for HistoryActor {
    type Result = ();

    /// What is durable now is written at the next flush; only a long queue does not wait for that.
    fn handle(&mut self, _: LogDurable, ctx: &mut Self::Context) {
        if self.num_waiting >= BATCH_LIMIT {
            self.flush(ctx);
        }
    }
}

impl Handler<StrayLetters> for HistoryActor {
    type Result = ResponseFuture<()>;

    /// Answers once they are written.
    fn handle(&mut self, StrayLetters(letters): StrayLetters, ctx: &mut Self::Context) -> Self::Result {
        self.num_letters += letters.len() as u64;
        self.letters.extend(letters);
        self.flush(ctx);
        let target = self.num_letters;
        let (written, progress) = (Arc::clone(&self.num_letters_written), Arc::clone(&self.progress));
        Box::pin(async move {
            loop {
                let notified = progress.notified();
                if written.load(Ordering::Acquire) >= target {
                    return;
                }
                notified.await;
            }
        })
    }
}

impl Handler<Drain> for HistoryActor {
    type Result = ResponseFuture<()>;

    /// Answers once everything that has come in is written, progress too.
    fn handle(&mut self, _: Drain, ctx: &mut Self::Context) -> Self::Result {
        // Who waits for the end does not wait for the next try: a full disk may have room again.
        if let Some(retry) = self.retry.take() {
            ctx.cancel_future(retry);
            self.writing = false;
        }
        self.write(true, ctx);
        let is_idle = self.waiting.is_empty() && self.letters.is_empty() && !self.writing;
        let progress = Arc::clone(&self.progress).notified_owned();
        let addr = ctx.address();
        Box::pin(async move {
            if !is_idle {
                progress.await;
                addr.send(Drain).await.ok();
            }
        })
    }
}
