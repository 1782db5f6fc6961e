//! Assembles the data path from its end to its beginning, and takes it down from its beginning to its end: the log, the
//! units that work on its partitions, the sinks, the hub.
//!
//! Promises: when [`Pipeline::start`] returns, everything that the log holds has been applied, and the history has what
//! the checkpoints rely on, or says what it lacks; when [`Pipeline::drain`] returns, everything handed in before it has
//! been applied and is durable, but for a sink that is behind the run or whose backend is away: the log has what it lacks. Such
//! a sink delays nothing, not the start either, and is caught up while the run goes on. A partition that moves to other
//! threads misses nothing and repeats nothing.

mod found;
mod parts;

pub use found::FIRST_CONTACT_MAX;
pub use parts::{LiveOutputs, PipelineError, PipelineSettings, Storage};

use super::environment::Environment;
use super::health::{Health, HealthRegistry};
use super::messages::Flush;
use super::partition::catch_up;
use super::partition::durability::Durability;
use super::partition::fanout::Outputs;
use super::partition::in_process::{InProcessConsumer, InProcessWriter};
use super::partition::log::{LogActor, LogOutputs};
use super::partition::log_writer::LogWriterActor;
use super::partition::missed::{self, MissedRows};
use super::partition::needed::NeededFrom;
use super::partition::recovered::{Recovered, SavedCheckpoints};
use super::partition::recovery::{CheckpointRules, LogRetention, Reached};
use super::partition::shard::PartitionContext;
use super::partition::shards::ShardGone;
use super::partition::unit::{PartitionUnit, UnitError, UnitParts};
use super::sinks::history::HistorySink;
use super::sinks::set::{SinkSetup, Sinks, Starting, Straggler};
use super::sinks::shell::{BehindAtStart, Followed, SinkActor};
use super::sinks::{OnFull, Sink};
use crate::models::entry::Position;
use crate::models::ledger::Ledger;
use crate::stores::StoreError;
use crate::stores::history::History;
use crate::stores::log::high_water::HighWater;
use crate::stores::log::{
    Assignment, LogConsumer, LogEvent, LogReader, LogTail, LogWriter, Partition, TickLog,
};
use actix::{Actor, Addr, Arbiter, ArbiterHandle};
use found::{CatchUpParts, Found, tell_lost, tell_unknown};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::task::JoinHandle;

/// A running data path.
pub struct Pipeline {
    log: Addr<LogActor>,
    consumer: InProcessConsumer,
    units: BTreeMap<Partition, PartitionUnit>,
    /// What recovery found of partitions that are not at work yet.
    found: BTreeMap<Partition, Found>,
    works: Works,
    /// Catch up the sinks that fall behind.
    catching_up: Vec<JoinHandle<()>>,
    /// Entries that had been received before this start and are lost.
    pub num_lost: u64,
    /// Entries that were applied again for the states.
    pub num_replayed: u64,
    /// Entries that were applied again for durable sinks, since these were behind the checkpoints.
    pub num_caught_up: u64,
    /// The last position given, and the one before the first that this run gave.
    given: Arc<AtomicU64>,
    begun_after: Position,
}

/// What units are made of, whichever partition they are of.
struct Works {
    env: Environment,
    settings: PipelineSettings,
    /// The log, where it outlives the process.
    store: Option<Arc<dyn TickLog>>,
    reached: BTreeMap<Partition, Reached>,
    retention: LogRetention,
    takes_checkpoints: bool,
    outputs: Outputs,
    writer: Option<Addr<LogWriterActor>>,
    sinks: Sinks,
    health: Arc<HealthRegistry>,
    durability: Arc<Durability>,
    stores: Arbiter,
    threads: Vec<Arbiter>,
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
        health: Arc<HealthRegistry>,
    ) -> Result<Pipeline, PipelineError> {
        let Storage {
            log,
            is_durable,
            high_water,
            history,
            history_policy,
            history_away,
            durability,
            sinks,
            live,
            retention,
            is_shown_only,
        } = storage;
        let stores = Arbiter::new();
        let threads: Vec<Arbiter> = (0..settings.num_shards).map(|_| Arbiter::new()).collect();
        let store = log.clone().filter(|_| is_durable);
        let tail = match &store {
            Some(store) => store.tail().await?,
            None => LogTail::default(),
        };
        let partitions = || (0..settings.num_partitions).map(Partition);
        let mut found = BTreeMap::new();
        for partition in partitions() {
            found.insert(partition, Found::of(store.as_ref(), partition).await?);
        }
        let context = |partition| context(&settings, store.as_ref(), &durability, partition);
        let handles = handles_of(&threads);
        let of_history =
            HistorySink::of_all(Arc::clone(&history), settings.num_partitions, Arc::clone(&env.symbols));
        let of_history: Arc<dyn Sink> = Arc::new(of_history.measured_in(env.clone()));
        let setup = SinkSetup { sink: Arc::clone(&of_history), policy: history_policy };
        let mut jobs = vec![(setup, Some(&history), history_away)];
        jobs.extend(sinks.iter().filter(|setup| setup.is_durable()).map(|setup| (setup.clone(), None, None)));
        // By durable sink, the history first: what it holds, and why it is behind, if it is.
        let (mut held, mut behind, mut num_caught_up) = (Vec::new(), Vec::new(), 0);
        for (SinkSetup { sink, policy }, notes_missing, away) in jobs {
            let job = CatchUpParts {
                sink: &sink,
                policy,
                notes_missing,
                store: store.as_ref(),
                tail,
                threads: &handles,
            };
            if policy.on_full == OnFull::CatchUp {
                let (has, why) = job.standing(&found, away).await?;
                held.push(has);
                behind.push(why);
                continue;
            }
            behind.push(None);
            let (has, num_entries) = job.catch_up(&found, context, &env, &health).await?;
            held.push(has);
            num_caught_up += num_entries;
        }
        // Where nothing is kept, nothing is waited for.
        durability.advance(if log.is_some() { tail.last } else { Position::MAX });
        let reached = |partition| {
            let acknowledged = held.iter().map(|has| Arc::new(AtomicU64::new(has[&partition]))).collect();
            (partition, Reached { durable: durability.position(), acknowledged, wanted: Arc::default() })
        };
        let reached: BTreeMap<Partition, Reached> = partitions().map(reached).collect();

        let (status, detail) = match &behind[0] {
            None => catch_up::health_of(history.as_ref()).await?,
            Some(_) => (Health::Healthy, String::new()),
        };
        let notes_missing = Arc::clone(&history);
        let is_kept = log.is_some();
        let mut durables = 0..;
        let mut followed = |is_durable: bool| -> (Vec<(Partition, Followed)>, Option<BehindAtStart>) {
            let Some(at) = is_durable.then(|| durables.next()).flatten() else { return (Vec::new(), None) };
            let followed = |(partition, reached): (&Partition, &Reached)| {
                let (acknowledged, wanted) =
                    (Arc::clone(&reached.acknowledged[at]), Arc::clone(&reached.wanted));
                let durable = is_kept.then(|| Arc::clone(&durability));
                (*partition, Followed { durable, acknowledged, wanted, num_shards: settings.num_shards })
            };
            (reached.iter().map(followed).collect(), behind[at].take())
        };
        let (follows, is_behind) = followed(true);
        let history = SinkActor::new(of_history, history_policy, env.clone(), Arc::clone(&health), follows)
            .with_health(status, detail);
        let history = match is_behind {
            Some(behind) => history.behind(behind),
            None => history,
        };
        let starting = |setup: SinkSetup| {
            let (followed, behind) = followed(setup.is_durable());
            Starting { setup, followed, behind }
        };
        let sinks = sinks.into_iter().map(starting).collect();
        let sinks = Sinks::start(history, &stores.handle(), sinks, &env, &health);
        let (live, live_durable) = live.map(|live| (live.batches, live.durable)).unzip();
        let outputs = Outputs { live, sinks: sinks.outputs() };
        let listeners = live_durable.into_iter().chain(sinks.log_listeners()).collect();

        let writer = log.map(|log| {
            let (env, health, durability) = (env.clone(), Arc::clone(&health), Arc::clone(&durability));
            LogWriterActor::start_in_arbiter(&stores.handle(), move |_| {
                LogWriterActor::new(log, settings.group, env, health, durability, listeners)
            })
        });
        let num_lost = tell_lost(&env, high_water.as_ref(), tail);
        let last_held = held.iter().flat_map(BTreeMap::values).copied().max().unwrap_or(0);
        let last = tail.last.max(high_water.as_ref().map_or(0, HighWater::found)).max(last_held);
        let given = Arc::new(AtomicU64::new(last));
        let log_outputs =
            LogOutputs { writer: writer.clone().map(Addr::recipient), letters: Some(sinks.unparsed_input()) };
        let num_partitions = settings.num_partitions;
        let log =
            LogActor::new(Arc::clone(&given), high_water, num_partitions, log_outputs, env.clone()).start();

        let needed = Arc::new(NeededFrom::new(num_partitions));
        let retention = LogRetention { clock: retention, needed };
        let works = Works {
            env,
            settings,
            store,
            reached,
            retention,
            takes_checkpoints: !is_shown_only,
            outputs,
            writer,
            sinks,
            health,
            durability,
            stores,
            threads,
        };
        let reader = works.store.clone().map(|store| -> Arc<dyn LogReader> { store });
        let committer = works.writer.clone().map(Addr::recipient);
        let symbols = Arc::clone(&works.env.symbols);
        let consumer = InProcessConsumer::new(log.clone(), num_partitions, symbols, reader, committer);
        let (of_history, of_others) = works.sinks.stragglers();
        let mut catching_up = Vec::new();
        for (straggler, notes_missing) in of_history
            .map(|it| (it, Some(notes_missing)))
            .into_iter()
            .chain(of_others.into_iter().map(|it| (it, None)))
        {
            catching_up
                .extend(works.catch_up(straggler, notes_missing).map(missed::follow).map(actix::spawn));
        }
        let mut pipeline = Pipeline {
            log,
            catching_up,
            consumer,
            units: BTreeMap::new(),
            found,
            works,
            num_lost,
            num_replayed: 0,
            num_caught_up,
            given,
            begun_after: last,
        };
        pipeline.consumer.assign(partitions());
        pipeline.follow(&handles).await?;
        pipeline.works.sinks.begin_live().await?;
        if pipeline.works.store.is_some() {
            tracing::info!(entries = pipeline.num_replayed, "the log is applied up to its end");
        }
        Ok(pipeline)
    }

    /// Handles the next change of the partitions; new units run on these threads.
    async fn follow(&mut self, threads: &[ArbiterHandle]) -> Result<(), PipelineError> {
        match self.consumer.next().await?.ok_or(PipelineError::Stopped)? {
            LogEvent::Assigned(assignments) => {
                for assignment in assignments {
                    self.begin(assignment, threads).await?;
                }
            }
            LogEvent::Revoked(partitions, ack) => {
                for partition in partitions {
                    let Some(unit) = self.units.remove(&partition) else { continue };
                    let works = &self.works;
                    unit.take_down(|| works.flush()).await?;
                }
                ack.done();
            }
        }
        Ok(())
    }

    /// Starts the unit of a partition, from its checkpoints.
    async fn begin(
        &mut self,
        assignment: Assignment,
        threads: &[ArbiterHandle],
    ) -> Result<(), PipelineError> {
        let Assignment { partition, reader } = assignment;
        let works = &self.works;
        let found = match self.found.remove(&partition) {
            Some(found) => found,
            None => Found::of(works.store.as_ref(), partition).await?,
        };
        let tail = match &works.store {
            Some(store) => store.tail().await?,
            None => LogTail::default(),
        };
        let recovered = Recovered::of(&found.checkpoints, &works.env, Position::MAX);
        tell_unknown(&recovered, tail, &works.health);
        let rules =
            || CheckpointRules { policy: works.settings.checkpoints, retention: works.retention.clone() };
        let parts = UnitParts {
            env: &works.env,
            context: context(&works.settings, works.store.as_ref(), &works.durability, partition),
            threads,
            stores: &works.stores.handle(),
            outputs: &works.outputs,
            reached: works.reached[&partition].clone(),
            recovered,
            saved: SavedCheckpoints::of(&found.checkpoints),
            poison: &found.poison,
            checkpoints: works.takes_checkpoints.then(rules),
        };
        let unit = PartitionUnit::start(parts, reader).await?;
        self.num_replayed += unit.num_replayed;
        self.units.insert(partition, unit);
        Ok(())
    }

    /// Moves a partition to other threads, by their numbers, while the others go on: its unit is taken down with
    /// everything acknowledged, and another one starts from the checkpoints.
    ///
    /// # Errors
    /// When the log cannot be read, does not outlive the process, or the process is stopping. The partition may then
    /// make no progress until the next start.
    ///
    /// # Panics
    /// When there is no such partition or thread.
    pub async fn move_partition(
        &mut self,
        partition: Partition,
        threads: &[usize],
    ) -> Result<(), PipelineError> {
        if self.works.store.is_none() {
            return Err(PipelineError::Store(StoreError::Permanent {
                context: "failed to move a partition",
                cause: "the log is not stored, so that another unit cannot start from it".to_owned(),
            }));
        }
        let handles = handles_of(&self.works.threads);
        let threads: Vec<_> = threads.iter().map(|at| handles[*at].clone()).collect();
        let acknowledged = self.consumer.revoke(partition).await?;
        self.follow(&threads).await?;
        acknowledged.await.map_err(|_| PipelineError::Stopped)?;
        self.consumer.assign(std::iter::once(partition));
        self.follow(&threads).await
    }

    /// Returns a writer of the log.
    #[must_use]
    pub fn writer(&self) -> impl LogWriter + use<> {
        InProcessWriter::new(self.log.clone(), self.works.writer.clone().map(Addr::recipient))
    }

    /// Returns who takes entries in.
    #[must_use]
    pub const fn log(&self) -> &Addr<LogActor> {
        &self.log
    }

    /// Returns how many entries were given a position since the start and are not committed.
    #[must_use]
    pub fn num_uncommitted(&self) -> u64 {
        let held = self.works.durability.through().max(self.begun_after);
        self.given.load(Ordering::Acquire).saturating_sub(held)
    }

    /// Waits until everything handed in so far has been applied, published and written.
    ///
    /// # Errors
    /// [`PipelineError::Stopped`].
    pub async fn drain(&self) -> Result<(), PipelineError> {
        self.writer().flush().await.map_err(|_| PipelineError::Stopped)?;
        self.drain_symbols().await?;
        self.drain_effects().await
    }

    /// Waits until the symbols have applied everything that the log has handed on so far.
    ///
    /// # Errors
    /// [`PipelineError::Stopped`].
    pub async fn drain_symbols(&self) -> Result<(), PipelineError> {
        for unit in self.units.values() {
            unit.barrier().await?;
        }
        Ok(())
    }

    async fn drain_effects(&self) -> Result<(), PipelineError> {
        for unit in self.units.values() {
            unit.report().await?;
        }
        self.works.sinks.flush().await?;
        Ok(())
    }

    /// Ends a bounded input: closes every bar and returns the outcomes of all reports. Nothing may be handed in after.
    ///
    /// # Errors
    /// [`PipelineError::Stopped`].
    pub async fn finish(&self) -> Result<Ledger, PipelineError> {
        self.drain().await?;
        self.save_checkpoints().await?;
        let mut sum = Ledger::default();
        for unit in self.units.values() {
            sum.merge(&unit.finish().await?);
        }
        self.drain_effects().await?;
        Ok(sum)
    }

    async fn save_checkpoints(&self) -> Result<(), PipelineError> {
        for unit in self.units.values() {
            unit.save_last_checkpoints().await?;
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
        self.works.sinks.flush_best_effort().await;
        self.end();
        Ok(())
    }

    /// Ends the threads at once. For a pipeline that has finished.
    pub fn end(&self) {
        self.catching_up.iter().for_each(JoinHandle::abort);
        for thread in &self.works.threads {
            thread.stop();
        }
        self.works.sinks.end();
        self.works.stores.stop();
    }
}

impl Works {
    /// Returns what catches up a sink that falls behind; `None` where no log outlives the process.
    fn catch_up(&self, straggler: &Straggler, notes_missing: Option<Arc<dyn History>>) -> Option<MissedRows> {
        let (store, durability) = (self.store.as_ref()?, &self.durability);
        let context = |partition| context(&self.settings, Some(store), durability, partition);
        Some(MissedRows {
            straggler: straggler.clone(),
            notes_missing,
            contexts: (0..self.settings.num_partitions).map(Partition).map(context).collect(),
            log: Arc::clone(store),
            durable: durability.position(),
            env: self.env.clone(),
        })
    }

    /// Has the log and the sinks write what they have.
    async fn flush(&self) -> Result<(), UnitError> {
        if let Some(writer) = &self.writer {
            writer.send(Flush).await.map_err(|_| ShardGone)?;
        }
        Ok(self.sinks.flush().await.map_err(|_| ShardGone)?)
    }
}

/// Returns what is known of a partition.
fn context(
    settings: &PipelineSettings,
    store: Option<&Arc<dyn TickLog>>,
    durability: &Durability,
    partition: Partition,
) -> PartitionContext {
    PartitionContext {
        partition,
        num_partitions: settings.num_partitions,
        num_shards: settings.num_shards,
        store: store.cloned(),
        durable: store.map(|_| durability.position()),
        max_entries: settings.checkpoints.max_entries,
        urgent: Arc::default(),
    }
}

fn handles_of(threads: &[Arbiter]) -> Vec<ArbiterHandle> {
    threads.iter().map(Arbiter::handle).collect()
}
