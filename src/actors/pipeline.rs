//! Puts the data path together, from its end to its start, and takes it down from its start to its end.
//!
//! Promises: when [`Pipeline::start`] returns, everything that the log holds has been applied; when [`Pipeline::drain`]
//! returns, everything handed in before it has been applied and is durable.

use super::fanout::{FanOutActor, Outputs};
use super::log::{LogActor, LogOutputs};
use super::log_writer::{GroupPolicy, LogWriterActor};
use super::messages::{Drain, Finish, LiveBatch, LogBatch, LogDurable};
use super::recovery::{PointSources, Recovered, RecoveryActor, recover};
use super::router::RouterActor;
use super::shard::{Environment, Shard, shard_of, slice_of};
use super::sinks::history::HistoryActor;
use super::views::HealthBoard;
use crate::models::entry::Position;
use crate::models::ledger::Ledger;
use crate::models::time::Nanos;
use crate::stores::high_water::HighWater;
use crate::stores::{History, StoreError, TickLog};
use actix::{Actor, Addr, Arbiter, MailboxError, Recipient};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
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
    /// Every symbol's state is saved at least once in this time.
    pub point_age: Duration,
}

/// Where a pipeline keeps what it is told and what it finds out.
pub struct Storage {
    /// The log, if entries are to be kept.
    pub log: Option<Arc<dyn TickLog>>,
    /// Whether the log outlives the process, so that recovery points make sense.
    pub is_durable: bool,
    /// The highest position ever given, if that is kept.
    pub high_water: Option<HighWater>,
    /// The history.
    pub history: Arc<dyn History>,
    /// Serves live clients.
    pub live: Option<LiveOutputs>,
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
    routers: Vec<Addr<RouterActor>>,
    fanouts: Vec<Addr<FanOutActor>>,
    writer: Option<Addr<LogWriterActor>>,
    history: Addr<HistoryActor>,
    recovery: Option<Addr<RecoveryActor>>,
    arbiters: Vec<Arbiter>,
    /// Entries that had been received before this start and are lost.
    pub num_lost: u64,
}

impl Pipeline {
    /// Builds the data path and replays what the log holds beyond the recovery points.
    ///
    /// # Errors
    /// When the stores cannot be read.
    pub async fn start(
        env: Environment,
        settings: PipelineSettings,
        storage: Storage,
        health: Arc<HealthBoard>,
    ) -> Result<Pipeline, PipelineError> {
        let acknowledged = storage.history.acknowledged().await?;
        let durable_log = storage.log.clone().filter(|_| storage.is_durable);
        let (tail, recovered) = match &durable_log {
            Some(log) => (log.tail().await?, recover(log.as_ref(), &env.settings).await?),
            None => {
                let nothing =
                    Recovered { states: Vec::new(), marks: Vec::new(), replay_after: 0, poison: Vec::new() };
                (Default::default(), nothing)
            }
        };
        let replay_after = recovered.replay_after;
        let stores = Arbiter::new();
        // Where nothing is kept, nobody need wait for it.
        let kept = if storage.log.is_some() { tail.last } else { Position::MAX };
        let durable = env.live.as_ref().map_or_else(Arc::default, |live| Arc::clone(&live.durable));
        durable.store(kept, Ordering::Release);
        let acked = Arc::new(AtomicU64::new(acknowledged));

        let watched = storage.log.is_some().then(|| Arc::clone(&durable));
        let history = HistoryActor::new(
            Arc::clone(&storage.history),
            env.clone(),
            Arc::clone(&health),
            settings.num_shards,
            watched,
            Arc::clone(&acked),
        );
        let history = HistoryActor::start_in_arbiter(&stores.handle(), move |_| history);

        let (live, live_durable) = storage.live.map(|live| (live.batches, live.durable)).unzip();
        let outputs = Outputs { live, sinks: vec![history.clone().recipient()] };
        let readable = durable_log.is_some().then(|| Arc::clone(&durable));
        let shards = spawn_shards(&env, settings.num_shards, readable, recovered, &outputs).await?;
        let (mut routers, mut fanouts, mut arbiters) = (Vec::new(), Vec::new(), vec![]);
        for (arbiter, router, fanout) in shards {
            arbiters.push(arbiter);
            routers.push(router);
            fanouts.push(fanout);
        }

        let writer = storage.log.as_ref().map(|log| {
            let (log, env, health) = (Arc::clone(log), env.clone(), Arc::clone(&health));
            let listeners = live_durable.into_iter().chain([history.clone().recipient()]).collect();
            let durable = Arc::clone(&durable);
            LogWriterActor::start_in_arbiter(&stores.handle(), move |_| {
                LogWriterActor::new(log, settings.group, env, health, durable, listeners)
            })
        });
        let recovery = durable_log.as_ref().map(|log| {
            let sources = PointSources {
                take: routers.iter().map(|router| router.clone().recipient()).collect(),
                saved: routers.iter().map(|router| router.clone().recipient()).collect(),
            };
            let actor = RecoveryActor::new(
                Arc::clone(log),
                env.clone(),
                sources,
                settings.point_age,
                Arc::clone(&durable),
                Arc::clone(&acked),
            );
            RecoveryActor::start_in_arbiter(&stores.handle(), move |_| actor)
        });
        arbiters.push(stores);

        if let Some(log) = &durable_log {
            replay(log.as_ref(), &routers, replay_after, tail.last, acknowledged).await?;
        }
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
            letters: Some(history.clone().recipient()),
        };
        let log =
            LogActor::new(tail.last.max(given).max(acknowledged), storage.high_water, outputs, env).start();
        Ok(Pipeline { log, routers, fanouts, writer, history, recovery, arbiters, num_lost })
    }

    /// Returns who takes entries in.
    #[must_use]
    pub const fn log(&self) -> &Addr<LogActor> {
        &self.log
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
        for router in &self.routers {
            router.send(Drain).await?;
        }
        self.drain_effects().await
    }

    async fn drain_effects(&self) -> Result<(), PipelineError> {
        for fanout in &self.fanouts {
            fanout.send(Drain).await?;
        }
        self.history.send(Drain).await?;
        Ok(())
    }

    /// Ends a bounded input: closes every bar and returns the fates of all reports. Nothing may be handed in after.
    ///
    /// # Errors
    /// [`PipelineError::Stopped`].
    pub async fn finish(&self) -> Result<Ledger, PipelineError> {
        self.drain().await?;
        self.save_points().await?;
        let mut sum = Ledger::default();
        for router in &self.routers {
            sum.merge(&router.send(Finish).await?);
        }
        self.drain_effects().await?;
        Ok(sum)
    }

    async fn save_points(&self) -> Result<(), PipelineError> {
        if let Some(recovery) = &self.recovery {
            recovery.send(Drain).await?;
        }
        Ok(())
    }

    /// Stops: what was handed in is applied and written first, then the recovery points.
    ///
    /// # Errors
    /// [`PipelineError::Stopped`].
    pub async fn stop(self) -> Result<(), PipelineError> {
        self.drain().await?;
        self.save_points().await?;
        self.end();
        Ok(())
    }

    /// Ends the threads at once. For a pipeline that has finished.
    pub fn end(self) {
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
    }
}

type ShardParts = (Arbiter, Addr<RouterActor>, Addr<FanOutActor>);

/// Starts the shards, each on a thread of its own, with the states that belong to it.
async fn spawn_shards(
    env: &Environment,
    num_shards: usize,
    readable: Option<Arc<AtomicU64>>,
    recovered: Recovered,
    outputs: &Outputs,
) -> Result<Vec<ShardParts>, PipelineError> {
    let mut states: Vec<Vec<_>> = (0..num_shards).map(|_| Vec::new()).collect();
    for state in recovered.states {
        states[shard_of(slice_of(state.symbol()), num_shards)].push(state);
    }
    let mut shards = Vec::with_capacity(num_shards);
    for (index, states) in states.into_iter().enumerate() {
        let arbiter = Arbiter::new();
        let (started, start) = oneshot::channel();
        let (env, readable, outputs) = (env.clone(), readable.clone(), outputs.clone());
        let (marks, poison) = (recovered.marks.clone(), recovered.poison.clone());
        arbiter.spawn_fn(move || {
            let shard = Shard::new(index, num_shards, env, readable, &poison);
            let fanout = FanOutActor::new(std::rc::Rc::clone(&shard), outputs).start();
            shard.set_fanout(fanout.clone());
            let router = RouterActor::new(shard, states, marks).start();
            started.send((router, fanout)).ok();
        });
        let (router, fanout) = start.await.map_err(|_| PipelineError::Stopped)?;
        shards.push((arbiter, router, fanout));
    }
    Ok(shards)
}

/// Sends the log's entries after a position to the shards again.
async fn replay(
    log: &dyn TickLog,
    routers: &[Addr<RouterActor>],
    after: Position,
    last: Position,
    muted_through: Position,
) -> Result<(), PipelineError> {
    let mut after = after;
    while after < last {
        let entries = log.read(after, REPLAY_BATCH).await?;
        let Some(through) = entries.last().map(|entry| entry.pos) else { break };
        let batch = LogBatch { entries: Arc::new(entries), through, muted_through, received: Nanos::MIN };
        for router in routers {
            router.send(batch.clone()).await?;
        }
        after = through;
    }
    for router in routers {
        router.send(Drain).await?;
    }
    Ok(())
}
