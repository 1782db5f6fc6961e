//! Catches up a durable sink that is behind the run, while the run goes on.
//!
//! A sink whose queue was full, or whose backend was away at the start, let go of what it was to get (`OnFull::CatchUp`). Once
//! its backend takes rows again, the entries after what it holds are applied once more, to states of their own that begin at
//! the checkpoints, as at a start (see `catch_up`), and what follows from them goes to this sink alone, at its pace. When
//! that has nearly met the run, the sink keeps what the run brings; when it has met it, the sink follows the run again.
//!
//! Promises: the sink ends with every row once, by its own means against repeats. Checkpoints, and the log from them on, stay
//! as they are until it has what they rely on. The work has a thread of its own, of a lower priority than the data path, and
//! memory for one more state of each symbol while it lasts.
//! On failure: said, and begun anew from what the sink holds by then. A process that ends meanwhile goes on with it at the next
//! start.

use super::catch_up::{self, Begin};
use super::fanout::{Outputs, SinkOutput};
use super::in_process::StoredEntries;
use super::shard::PartitionContext;
use super::shards::{ShardGone, Shards};
use super::unit::UnitError;
use crate::actors::environment::Environment;
use crate::actors::health::Health;
use crate::actors::messages::{EffectBatch, LogBatch};
use crate::actors::sinks::set::Straggler;
use crate::actors::sinks::shell::{BeginCatchUp, CaughtUp, JoinRun, LeaveOut, MissedBatch, Need};
use crate::models::entry::Position;
use crate::models::time::Nanos;
use crate::retry::{Backoff, RetryPolicy};
use crate::stores::StoreError;
use crate::stores::history::History;
use crate::stores::log::{LogReader, Partition, TickLog};
use actix::{Actor, Arbiter, ArbiterHandle, Context, Handler, Recipient, ResponseFuture};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How often it is looked whether the log holds what was applied already.
const DURABLE_INTERVAL: Duration = Duration::from_millis(5);

/// How much nicer the thread is than the others: the run goes first where there are few cores.
const NICENESS: i32 = 10;

/// A sink that may fall behind, and what it is caught up with.
#[derive(Clone)]
pub struct MissedRows {
    /// The sink.
    pub straggler: Straggler,
    /// Where it is noted what the sink lacks for good: the history, of its own sink.
    pub notes_missing: Option<Arc<dyn History>>,
    /// The partitions that it follows.
    pub contexts: Vec<PartitionContext>,
    /// The truth.
    pub log: Arc<dyn TickLog>,
    /// What the log holds durably.
    pub durable: Arc<AtomicU64>,
    /// What the states work with.
    pub env: Environment,
}

/// One partition on its way to the run.
struct Missed {
    shards: Shards,
    stored: StoredEntries,
    muted_through: Position,
}

/// Hands what a shard brings to the sink, as what it missed.
struct Forward {
    to: Recipient<MissedBatch>,
    leaves_out: Option<LeaveOut>,
}

impl Actor for Forward {
    type Context = Context<Self>;
}

impl Handler<EffectBatch> for Forward {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, mut batch: EffectBatch, _ctx: &mut Self::Context) -> Self::Result {
        if let Some(leaves_out) = &mut self.leaves_out {
            batch.effects =
                Arc::new(batch.effects.iter().filter(|effect| !leaves_out(effect)).copied().collect());
        }
        let sent = self.to.send(MissedBatch(batch));
        // A sink that is gone stopped with the process, and gets the rest at the next start.
        Box::pin(async move { sent.await.unwrap_or_default() })
    }
}

/// A thread that ends with its value.
struct OwnThread(Arbiter);

impl OwnThread {
    fn start() -> OwnThread {
        let thread = Arbiter::new();
        thread.spawn_fn(|| {
            // On Linux this is about the calling thread.
            if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
                tracing::debug!(%error, "what catches up has the priority of everything else");
            }
        });
        OwnThread(thread)
    }
}

impl Drop for OwnThread {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Catches the sink up each time it is behind and can be written, until it is gone.
pub async fn follow(missed: MissedRows) {
    let name = missed.straggler.sink.spec().name;
    let mut backoff = Backoff::new(RetryPolicy::LOCAL);
    let mut need = missed.straggler.need.clone();
    while need.wait_for(|need| *need == Need::Rows).await.is_ok() {
        let thread = OwnThread::start();
        let (ended, end) = oneshot::channel();
        let (work, handle) = (missed.clone(), thread.0.handle());
        thread.0.spawn_fn(move || {
            actix::spawn(async move {
                // Whoever waits for it may have stopped.
                ended.send(work.bring(handle).await).ok();
            });
        });
        match end.await {
            Ok(Ok(())) => backoff.reset(),
            Ok(Err(UnitError::Gone(_))) => return,
            Ok(Err(UnitError::Store(error))) => {
                tracing::warn!(%error, "the {name} could not be caught up with the log; it is tried again");
                tokio::time::sleep(backoff.failed()).await;
            }
            // A panic takes the task with it.
            Err(_) => tokio::time::sleep(backoff.failed()).await,
        }
    }
}

impl MissedRows {
    /// Brings the sink what it lacks, until it follows the run.
    async fn bring(self, thread: ArbiterHandle) -> Result<(), UnitError> {
        let (name, begun) = (self.straggler.sink.spec().name, Instant::now());
        let held = self.held().await?;
        let sink = &self.straggler.addr;
        sink.send(BeginCatchUp(held.clone())).await.map_err(|_| ShardGone)?;
        let mut all = Vec::new();
        for context in &self.contexts {
            all.push(self.begin(context, held[&context.partition], &thread).await?);
        }
        let lacks_from = all.iter().map(|missed| missed.stored.through()).min().unwrap_or(0);
        tracing::info!(
            holds_through = held.values().min(),
            replays_after = lacks_from,
            "the {name} takes rows: what it lacks is brought from the log"
        );
        let normal = loop {
            self.approach(&mut all).await?;
            let until = sink.send(JoinRun).await.map_err(|_| ShardGone)?;
            for missed in &mut all {
                self.read_to(missed, until).await?;
                missed.shards.barrier().await?;
                missed.shards.report().await?;
            }
            let normal = self.normal().await;
            if sink.send(CaughtUp { normal: normal.clone() }).await.map_err(|_| ShardGone)? {
                break normal;
            }
        };
        for missed in all {
            missed.shards.end().await;
        }
        let seconds = begun.elapsed().as_secs_f64();
        tracing::info!(seconds, health = normal.0.as_str(), "the {name} has caught up with the run");
        Ok(())
    }

    /// Returns up to where the sink holds everything of each partition.
    async fn held(&self) -> Result<BTreeMap<Partition, Position>, UnitError> {
        let mut held = BTreeMap::new();
        for context in &self.contexts {
            let asked = self.straggler.sink.acknowledged(context.partition);
            let limit = self.straggler.policy.timeout.unwrap_or(Duration::MAX);
            let found = tokio::time::timeout(limit, asked).await.map_err(|_| catch_up::no_answer(limit))?;
            held.insert(context.partition, found.map_err(StoreError::from)?);
        }
        Ok(held)
    }

    /// Starts the states of a partition from the checkpoints.
    async fn begin(
        &self,
        context: &PartitionContext,
        held: Position,
        thread: &ArbiterHandle,
    ) -> Result<Missed, UnitError> {
        let env = self.env.unobserved();
        let checkpoints = self.log.load_checkpoints(context.partition).await?;
        let poison = self.log.poison(context.partition).await?;
        let Begin { recovered, leaves_out } = catch_up::begin(
            self.log.as_ref(),
            self.log.tail().await?,
            &checkpoints,
            held,
            &env,
            (self.straggler.sink.spec().name, self.notes_missing.as_ref()),
        )
        .await?;
        let context =
            PartitionContext { store: None, durable: None, urgent: Arc::default(), ..context.clone() };
        let (to, spec) = (self.straggler.addr.clone().recipient(), self.straggler.sink.spec());
        let forward = Forward { to, leaves_out }.start();
        let output = SinkOutput {
            name: spec.name,
            batches: forward.recipient(),
            wants: spec.wants,
            is_durable: true,
            is_waited_for: true,
        };
        let outputs = Outputs { live: None, sinks: vec![output] };
        let after = recovered.replay_after;
        let threads = std::slice::from_ref(thread);
        let shards = Shards::start(&env, &context, threads, recovered, &poison, &outputs).await?;
        let reader: Arc<dyn LogReader> = Arc::clone(&self.log) as _;
        let symbols = Arc::clone(&env.symbols);
        let stored = StoredEntries::new(reader, context.partition, context.num_partitions, symbols, after);
        Ok(Missed { shards, stored, muted_through: held })
    }

    /// Reads until the run is near: what it brings while the rest is read has room in the sink's queue.
    async fn approach(&self, all: &mut [Missed]) -> Result<(), UnitError> {
        let near = self.straggler.policy.rows_max as u64 / 4;
        loop {
            let goal = self.straggler.passed_over.load(Ordering::Acquire);
            let mut is_far = false;
            for missed in &mut *all {
                if missed.stored.through().saturating_add(near) < goal {
                    is_far |= self.read(missed, goal).await?;
                }
            }
            if !is_far {
                return Ok(());
            }
        }
    }

    /// Reads a page, up to a position. Returns false where the log holds no more of it yet.
    async fn read(&self, missed: &mut Missed, last: Position) -> Result<bool, UnitError> {
        let Some(batch) = missed.stored.next(last).await? else { return Ok(false) };
        let (entries, through, received) = (batch.entries, batch.through, batch.received);
        let batch = LogBatch { entries, through, muted_through: missed.muted_through, received };
        Shards::feed(&missed.shards.routers, batch).await?;
        Ok(true)
    }

    /// Reads everything up to a position, which the log may not hold yet: a run applies entries before that.
    async fn read_to(&self, missed: &mut Missed, last: Position) -> Result<(), UnitError> {
        loop {
            let is_held = self.durable.load(Ordering::Acquire) >= last;
            if self.read(missed, last).await? {
                continue;
            }
            if is_held {
                break;
            }
            tokio::time::sleep(DURABLE_INTERVAL).await;
        }
        // A position may have no entry of this partition, or none at all.
        let end = LogBatch {
            entries: Arc::default(),
            through: last.max(missed.stored.through()),
            muted_through: missed.muted_through,
            received: Nanos::MIN,
        };
        Ok(Shards::feed(&missed.shards.routers, end).await?)
    }

    /// Returns how the sink is while it can be written: a history may lack something for good.
    async fn normal(&self) -> (Health, String) {
        let Some(history) = &self.notes_missing else { return (Health::Healthy, String::new()) };
        catch_up::health_of(history.as_ref()).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "nobody could say whether the history lacks something for good");
            (Health::Healthy, String::new())
        })
    }
}
