//! Puts the data path together, from its end to its start, and takes it down from its start to its end.
//!
//! Promises: when [`Pipeline::start`] returns, everything that the log holds has been applied, and the history has what
//! the checkpoints rely on, or says what it lacks; when [`Pipeline::drain`] returns, everything handed in before it
//! has been applied and is durable.

use super::messages::{Drain, Finish, LiveBatch, LogBatch, LogDurable};
use super::partition::catch_up::{self, CatchUp, catch_up};
use super::partition::fanout::{FanOutActor, Outputs};
use super::partition::log::{LogActor, LogOutputs};
use super::partition::log_writer::{GroupPolicy, LogWriterActor};
use super::partition::recovered::{Recovered, SavedCheckpoints};
use super::partition::recovery::{CheckpointPolicy, CheckpointSources, Reached, RecoveryActor};
use super::partition::retention::RetentionClock;
use super::partition::router::RouterActor;
use super::partition::shard::{Environment, Shard, shard_of};
use super::sinks::history::{self, HistorySink};
use super::sinks::set::{SinkSetup, Sinks};
use super::sinks::shell::{Followed, SinkActor};
use super::views::{Health, HealthBoard};
use crate::models::entry::Position;
use crate::models::ledger::Ledger;
use crate::models::time::Nanos;
use crate::stores::StoreError;
use crate::stores::history::History;
use crate::stores::log::checkpoint::slice_of;
use crate::stores::log::high_water::HighWater;
use crate::stores::log::{Checkpoints, LogTail, Partition, TickLog};
use actix::{Actor, Addr, Arbiter, MailboxError, Recipient};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::oneshot;

/// Entries that recovery reads at once: large enough to be fast, small enough for every queue.
const REPLAY_BATCH: usize = 8_192;

/// Why a pipeline did not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The stores cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An actor is gone: the process is stopping.
    #[error("the pipeline has stopped")]
    Stopped,
}

impl From<MailboxError> for PipelineError {
    fn from(_: MailboxError) -> PipelineError {
        PipelineError::Stopped
    }
}

/// How a pipeline is built.
#[derive(Clone, Copy, Debug)]
pub struct PipelineSettings {
    /// Shards; each has a thread.
    pub num_shards: usize,
    /// When groups of entries are committed.
    pub group: GroupPolicy,
    /// When checkpoints are taken.
    pub checkpoints: CheckpointPolicy,
}

/// Where a pipeline keeps what it is told and what it finds out.
pub struct Storage {
    /// The log, if entries are to be kept.
    pub log: Option<Arc<dyn TickLog>>,
    /// Whether the log outlives the process, so that checkpoints make sense.
    pub is_durable: bool,
    /// The highest position ever given, if that is kept.
    pub high_water: Option<HighWater>,
    /// The history.
    pub history: Arc<dyn History>,
    /// Sinks beside the history, which nobody waits for.
    pub sinks: Vec<SinkSetup>,
    /// Serves live clients.
    pub live: Option<LiveOutputs>,
    /// By what the age of entries is judged; `None` drops nothing, as for what was replayed.
    pub retention: Option<Arc<RetentionClock>>,
    /// True when nothing is handed in: no checkpoints are taken.
    pub is_shown_only: bool,
}

/// What the hub is told.
pub struct LiveOutputs {
    /// What happens.
    pub batches: Recipient<LiveBatch>,
    /// How far the log is durable.
    pub durable: Recipient<LogDurable>,
}

/// A running data path.
pub struct Pipeline {
    log: Addr<LogActor>,
    shards: Shards,
    writer: Option<Addr<LogWriterActor>>,
    sinks: Sinks,
    recovery: Option<Addr<RecoveryActor>>,
    stores: Arbiter,
    /// Entries that had been received before this start and are lost.
    pub num_lost: u64,
    /// Entries that were applied again for the states.
    pub num_replayed: u64,
    /// Entries that were applied again for the history, since it was behind the checkpoints.
    pub num_caught_up: u64,
    /// The last position given, and the one before the first that this run gave.
    given: Arc<AtomicU64>,
    begun_after: Position,
    durable: Arc<AtomicU64>,
}

/// What is known where a pipeline starts.
struct Found {
    tail: LogTail,
    recovered: Recovered,
    poison: Vec<Position>,
    saved: SavedCheckpoints,
    acknowledged: Position,
    num_caught_up: u64,
}

impl Pipeline {
    /// Builds the data path and replays what the log holds beyond the checkpoints.
    ///
    /// # Errors
    /// When the stores cannot be read.
    pub async fn start(
        env: Environment,
        settings: PipelineSettings,
        storage: Storage,
        health: Arc<HealthBoard>,
    ) -> Result<Pipeline, PipelineError> {
        let durable_log = storage.log.clone().filter(|_| storage.is_durable);
        let Found { tail, recovered, poison, saved, acknowledged, num_caught_up } =
            find(durable_log.as_ref(), &storage.history, &env, settings.num_shards, &health).await?;
        let replay_after = recovered.replay_after;
        let stores = Arbiter::new();
        // Where nothing is kept, nobody need wait for it.
        let kept = if storage.log.is_some() { tail.last } else { Position::MAX };
        let durable = env.live.as_ref().map_or_else(Arc::default, |live| Arc::clone(&live.durable));
        durable.store(kept, Ordering::Release);
        let reached = Reached {
            durable: Arc::clone(&durable),
            acknowledged: Arc::new(AtomicU64::new(acknowledged)),
            wanted: Arc::default(),
        };
        let (status, detail) = catch_up::health_of(storage.history.as_ref()).await?;

        let watched = storage.log.is_some().then(|| Arc::clone(&durable));
        let followed = Followed {
            durable: watched,
            acknowledged: Arc::clone(&reached.acknowledged),
            wanted: Arc::clone(&reached.wanted),
            num_shards: settings.num_shards,
        };
        let sink = Arc::new(HistorySink::new(Arc::clone(&storage.history), Partition::EMBEDDED));
        let history = SinkActor::new(
            sink,
            history::POLICY,
            env.clone(),
            Arc::clone(&health),
            [(Partition::EMBEDDED, followed)],
        )
        .with_health(status, detail);
        let sinks = Sinks::start(history, &stores.handle(), storage.sinks, &env, &health);

        let (live, live_durable) = storage.live.map(|live| (live.batches, live.durable)).unzip();
        let outputs = Outputs { live, sinks: sinks.outputs() };
        let readable = durable_log.is_some().then(|| Arc::clone(&durable));
        let shards = Shards::spawn(&env, settings.num_shards, readable, recovered, &poison, &outputs).await?;

        let writer = storage.log.as_ref().map(|log| {
            let (log, env, health) = (Arc::clone(log), env.clone(), Arc::clone(&health));
            let listeners = live_durable.into_iter().chain(sinks.log_listeners()).collect();
            let durable = Arc::clone(&durable);
            LogWriterActor::start_in_arbiter(&stores.handle(), move |_| {
                LogWriterActor::new(log, settings.group, env, health, durable, listeners)
            })
        });
        let routers = &shards.routers;
        let mut num_replayed = 0;
        if let Some(log) = &durable_log {
            let replay = Replay { after: replay_after, last: tail.last, muted_through: acknowledged };
            num_replayed = replay.run(log.as_ref(), routers, |_| {}).await?;
            tracing::info!(entries = num_replayed, "the log is applied up to its end");
        }
        // Checkpoints from the middle of the replay would know less of the clock marks than those in the store.
        let recovery = durable_log.as_ref().filter(|_| !storage.is_shown_only).map(|log| {
            let sources = CheckpointSources {
                take: routers.iter().map(|router| router.clone().recipient()).collect(),
                saved: routers.iter().map(|router| router.clone().recipient()).collect(),
            };
            let log = Arc::clone(log);
            let actor = RecoveryActor::new(
                log,
                env.clone(),
                sources,
                storage.retention.clone(),
                settings.checkpoints,
                reached,
                saved,
            );
            RecoveryActor::start_in_arbiter(&stores.handle(), move |_| actor)
        });
        let given = storage.high_water.as_ref().map_or(0, HighWater::found);
        let num_lost = storage.high_water.as_ref().map_or(0, |mark| mark.num_lost(tail.last));
        if num_lost > 0 {
            env.metrics.lost_entries.inc_by(num_lost);
            tracing::error!(
                entries = num_lost,
                "received before the last end of the process and never committed"
            );
            if let Some(Err(error)) = storage.high_water.as_ref().map(HighWater::tell) {
                tracing::debug!(%error, "failed to note that the loss is told");
            }
        }
        let outputs = LogOutputs {
            routers: routers.iter().map(|router| router.clone().recipient()).collect(),
            writer: writer.clone().map(Addr::recipient),
            letters: Some(sinks.unparsed_input()),
        };
        let last = tail.last.max(given).max(acknowledged);
        let given = Arc::new(AtomicU64::new(last));
        let log = LogActor::new(Arc::clone(&given), storage.high_water, outputs, env).start();
        Ok(Pipeline {
            log,
            shards,
            writer,
            sinks,
            recovery,
            stores,
            num_lost,
            num_replayed,
            num_caught_up,
            given,
            begun_after: last,
            durable,
        })
    }

    /// Returns who takes entries in.
    #[must_use]
    pub const fn log(&self) -> &Addr<LogActor> {
        &self.log
    }

    /// Returns how many entries were given a position since the start and are not committed.
    #[must_use]
    pub fn num_uncommitted(&self) -> u64 {
        let held = self.durable.load(Ordering::Acquire).max(self.begun_after);
        self.given.load(Ordering::Acquire).saturating_sub(held)
    }

    /// Waits until everything handed in so far has been applied, said and written.
    ///
    /// # Errors
    /// [`PipelineError::Stopped`].
    pub async fn drain(&self) -> Result<(), PipelineError> {
        self.log.send(Drain).await?;
        if let Some(writer) = &self.writer {
            writer.send(Drain).await?;
        }
        self.drain_symbols().await?;
        self.drain_effects().await
    }

    /// Waits until the symbols have applied everything that the log has handed on so far.
    ///
    /// # Errors
    /// [`PipelineError::Stopped`].
    pub async fn drain_symbols(&self) -> Result<(), PipelineError> {
        for router in &self.shards.routers {
            router.send(Drain).await?;
        }
        Ok(())
    }

    async fn drain_effects(&self) -> Result<(), PipelineError> {
        for fanout in &self.shards.fanouts {
            fanout.send(Drain).await?;
        }
        self.sinks.drain().await?;
        Ok(())
    }

    /// Ends a bounded input: closes every bar and returns the fates of all reports. Nothing may be handed in after.
    ///
    /// # Errors
    /// [`PipelineError::Stopped`].
    pub async fn finish(&self) -> Result<Ledger, PipelineError> {
        self.drain().await?;
        self.save_checkpoints().await?;
        let mut sum = Ledger::default();
        for router in &self.shards.routers {
            sum.merge(&router.send(Finish).await?);
        }
        self.drain_effects().await?;
        Ok(sum)
    }

    async fn save_checkpoints(&self) -> Result<(), PipelineError> {
        if let Some(recovery) = &self.recovery {
            recovery.send(Drain).await?;
        }
        Ok(())
    }

    /// Stops: what was handed in is applied and written first, then the checkpoints.
    ///
    /// # Errors
    /// [`PipelineError::Stopped`].
    pub async fn stop(&self) -> Result<(), PipelineError> {
        self.drain().await?;
        self.save_checkpoints().await?;
        self.sinks.flush_others().await;
        self.end();
        Ok(())
    }

    /// Ends the threads at once. For a pipeline that has finished.
    pub fn end(&self) {
        self.shards.end();
        self.sinks.end();
        self.stores.stop();
    }
}

/// Reads where to start, and has the history hold what the checkpoints rely on.
async fn find(
    log: Option<&Arc<dyn TickLog>>,
    history: &Arc<dyn History>,
    env: &Environment,
    num_shards: usize,
    health: &Arc<HealthBoard>,
) -> Result<Found, PipelineError> {
    let Some(log) = log else {
        let acknowledged = history.acknowledged().await?;
        let checkpoints = Checkpoints::default();
        let (tail, recovered, poison) = (LogTail::default(), Recovered::default(), Vec::new());
        let saved = SavedCheckpoints::of(&checkpoints);
        return Ok(Found { tail, recovered, poison, saved, acknowledged, num_caught_up: 0 });
    };
    let (tail, checkpoints, poison) = (
        log.tail().await?,
        log.load_checkpoints(Partition::EMBEDDED).await?,
        log.poison(Partition::EMBEDDED).await?,
    );
    let job = CatchUp { log, tail, history, checkpoints: &checkpoints, poison: &poison, num_shards };
    let (acknowledged, num_caught_up) = catch_up(job, env, health).await?;
    let recovered = Recovered::of(&checkpoints, env, Position::MAX);
    if recovered.replay_after < tail.dropped_through && !recovered.without_checkpoint.is_empty() {
        let detail = format!(
            "{} symbols have no usable checkpoint, and the log begins at position {}: what came before is unknown",
            recovered.without_checkpoint.len(),
            tail.first
        );
        tracing::error!("{detail}");
        health.set("recovery", Health::Degraded, detail);
    }
    let saved = SavedCheckpoints::of(&checkpoints);
    Ok(Found { tail, recovered, poison, saved, acknowledged, num_caught_up })
}

/// Shards, each on a thread of its own.
pub struct Shards {
    /// One a shard.
    pub routers: Vec<Addr<RouterActor>>,
    /// One a shard.
    pub fanouts: Vec<Addr<FanOutActor>>,
    arbiters: Vec<Arbiter>,
}

impl Shards {
    /// Starts the shards with the states that belong to each.
    ///
    /// # Errors
    /// [`PipelineError::Stopped`].
    pub async fn spawn(
        env: &Environment,
        num_shards: usize,
        readable: Option<Arc<AtomicU64>>,
        recovered: Recovered,
        poison: &[Position],
        outputs: &Outputs,
    ) -> Result<Shards, PipelineError> {
        let mut states: Vec<Vec<_>> = (0..num_shards).map(|_| Vec::new()).collect();
        for state in recovered.states {
            let slice = slice_of(&env.symbols.spec(state.symbol()).name);
            states[shard_of(slice, num_shards)].push(state);
        }
        let mut shards = Shards { routers: Vec::new(), fanouts: Vec::new(), arbiters: Vec::new() };
        for (index, states) in states.into_iter().enumerate() {
            let arbiter = Arbiter::new();
            let (started, start) = oneshot::channel();
            let (env, readable, outputs) = (env.clone(), readable.clone(), outputs.clone());
            let (marks, poison) = (recovered.marks.clone(), poison.to_vec());
            arbiter.spawn_fn(move || {
                let shard = Shard::new(index, num_shards, env, readable, &poison);
                let fanout = FanOutActor::new(std::rc::Rc::clone(&shard), outputs).start();
                shard.set_fanout(fanout.clone());
                let router = RouterActor::new(shard, states, marks).start();
                started.send((router, fanout)).ok();
            });
            let (router, fanout) = start.await.map_err(|_| PipelineError::Stopped)?;
            shards.arbiters.push(arbiter);
            shards.routers.push(router);
            shards.fanouts.push(fanout);
        }
        Ok(shards)
    }

    /// Ends the threads.
    pub fn end(&self) {
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
    }
}

/// A stretch of the log that shards are to apply again.
pub struct Replay {
    /// It begins after this position.
    pub after: Position,
    /// The last position in it.
    pub last: Position,
    /// Effects of entries up to here are known outside.
    pub muted_through: Position,
}

impl Replay {
    /// Sends the entries to the shards, and waits until they are applied. Says again and again how far it is. Returns
    /// the number of entries.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn run(
        self,
        log: &dyn TickLog,
        routers: &[Addr<RouterActor>],
        mut reached: impl FnMut(Position),
    ) -> Result<u64, PipelineError> {
        let (mut after, mut num_entries) = (self.after, 0);
        while after < self.last {
            let mut entries = log.read(after, REPLAY_BATCH).await?;
            entries.truncate(entries.partition_point(|entry| entry.pos <= self.last));
            let Some(through) = entries.last().map(|entry| entry.pos) else { break };
            num_entries += entries.len() as u64;
            let entries = Arc::new(entries);
            let batch =
                LogBatch { entries, through, muted_through: self.muted_through, received: Nanos::MIN };
            for router in routers {
                router.send(batch.clone()).await?;
            }
            after = through;
            reached(after);
        }
        for router in routers {
            router.send(Drain).await?;
        }
        Ok(num_entries)
    }
}
