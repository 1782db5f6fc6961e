//! One partition at work: what reads it, its shards, and its recovery.
//!
//! A unit knows no other partition. It starts from its checkpoints, wherever those were made, and can be taken down while
//! others run; then another unit of the same partition goes on elsewhere as if nothing had happened.
//!
//! Promises: when [`PartitionUnit::start`] returns, everything that the partition held then has been applied. When
//! [`PartitionUnit::take_down`] returns without an error, everything that was read is applied, every durable sink has
//! committed it, and the checkpoints hold it.
//! On failure: a partition that cannot be read on is said, and stands until a unit is started for it again.

use super::fanout::Outputs;
use super::recovered::{Recovered, SavedCheckpoints};
use super::recovery::{CheckpointRules, CheckpointSources, Reached, RecoveryActor};
use super::router::RouterActor;
use super::shard::PartitionContext;
use super::shards::{ShardGone, Shards};
use crate::actors::environment::Environment;
use crate::actors::messages::{EndUnit, LogBatch, SaveLastCheckpoints};
use crate::models::entry::Position;
use crate::models::ledger::Ledger;
use crate::stores::error::StoreError;
use crate::stores::log::{PartitionBatch, PartitionEvent, PartitionReader};
use actix::{Actor, Addr, ArbiterHandle};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How often a unit that is taken down looks whether every durable sink has acknowledged all of it: it waits for other
/// partitions' next commit at the most.
const ACKNOWLEDGE_INTERVAL: Duration = Duration::from_millis(10);

/// Why a unit did not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum UnitError {
    /// The log or the checkpoints cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A thread has ended: the process is stopping.
    #[error(transparent)]
    Gone(#[from] ShardGone),
}

/// What a unit is made of.
pub struct UnitParts<'a> {
    /// What every actor works with.
    pub env: &'a Environment,
    /// What is known of the partition.
    pub context: PartitionContext,
    /// Threads that host its shards.
    pub threads: &'a [ArbiterHandle],
    /// The thread that its recovery runs on.
    pub stores: &'a ArbiterHandle,
    /// Who gets what follows.
    pub outputs: &'a Outputs,
    /// How far the stores are with it.
    pub reached: Reached,
    /// What the checkpoints hold.
    pub recovered: Recovered,
    /// Up to where the checkpoints in the store hold.
    pub saved: SavedCheckpoints,
    /// Entries to skip.
    pub poison: &'a [Position],
    /// When checkpoints are taken; `None` when none are.
    pub checkpoints: Option<CheckpointRules>,
}

/// A partition at work.
pub struct PartitionUnit {
    shards: Shards,
    recovery: Option<Addr<RecoveryActor>>,
    reached: Reached,
    feeding: JoinHandle<Result<Position, UnitError>>,
    /// Entries that were applied again for the states.
    pub num_replayed: u64,
}

/// Reads a partition and feeds its shards until it is revoked. Says how many entries it held at the start once these are
/// with the shards. Returns the last position read.
async fn feed(
    mut reader: Box<dyn PartitionReader>,
    routers: Vec<Addr<RouterActor>>,
    muted_through: Position,
    caught_up: oneshot::Sender<u64>,
) -> Result<Position, UnitError> {
    let (mut last, mut num_entries, mut caught_up) = (0, 0, Some(caught_up));
    while let Some(event) = reader.next().await? {
        match event {
            PartitionEvent::Batch(PartitionBatch { entries, through, received }) => {
                num_entries += entries.len() as u64;
                Shards::feed(&routers, LogBatch { entries, through, muted_through, received }).await?;
                last = through;
            }
            // Whoever waited for it may have gone meanwhile.
            PartitionEvent::CaughtUp => _ = caught_up.take().map(|caught_up| caught_up.send(num_entries)),
        }
    }
    Ok(last)
}

impl PartitionUnit {
    /// Starts a unit from the checkpoints, and applies what the partition holds after them.
    ///
    /// # Errors
    /// When the log cannot be read, or the process is stopping.
    pub async fn start(
        parts: UnitParts<'_>,
        mut reader: Box<dyn PartitionReader>,
    ) -> Result<PartitionUnit, UnitError> {
        let UnitParts {
            env,
            context,
            threads,
            stores,
            outputs,
            reached,
            recovered,
            saved,
            poison,
            checkpoints,
        } = parts;
        let replay_after = recovered.replay_after;
        let muted_through = reached.acknowledged();
        let shards = Shards::start(env, &context, threads, recovered, poison, outputs).await?;
        reader.start_after(replay_after).await?;
        let (caught_up, catches_up) = oneshot::channel();
        let (feeding, partition) =
            (feed(reader, shards.routers.clone(), muted_through, caught_up), context.partition);
        let feeding = actix::spawn(async move {
            let ended = feeding.await;
            match &ended {
                Ok(_) => {}
                Err(UnitError::Store(error)) => {
                    tracing::error!(partition = partition.0, %error, "the partition cannot be read on, and stands");
                }
                Err(UnitError::Gone(_)) => {
                    tracing::debug!(partition = partition.0, "its shards have ended");
                }
            }
            ended
        });
        // Before that the log does not wait for the reader, and nobody could wait for what is handed in.
        let Ok(num_replayed) = catches_up.await else { return Err(failure_of(feeding).await) };
        shards.barrier().await?;
        // Checkpoints from the middle of the replay would know less of the clock marks than those in the store.
        let store = context.store.clone();
        let recovery = store.zip(checkpoints).map(|(store, rules)| {
            let sources = CheckpointSources {
                take: shards.routers.iter().map(|router| router.clone().recipient()).collect(),
                saved: shards.routers.iter().map(|router| router.clone().recipient()).collect(),
            };
            let (env, reached) = (env.clone(), reached.clone());
            let actor = RecoveryActor::new(store, context, env, sources, rules, reached, saved);
            RecoveryActor::start_in_arbiter(stores, move |_| actor)
        });
        Ok(PartitionUnit { shards, recovery, reached, feeding, num_replayed })
    }

    /// Waits until the symbols have applied everything that they were fed.
    ///
    /// # Errors
    /// When the process is stopping.
    pub async fn barrier(&self) -> Result<(), UnitError> {
        Ok(self.shards.barrier().await?)
    }

    /// Waits until the sinks have everything that follows from what the symbols have applied.
    ///
    /// # Errors
    /// When the process is stopping.
    pub async fn report(&self) -> Result<(), UnitError> {
        Ok(self.shards.report().await?)
    }

    /// Closes every bar, and returns the outcomes of all reports. Nothing may come after.
    ///
    /// # Errors
    /// When the process is stopping.
    pub async fn finish(&self) -> Result<Ledger, UnitError> {
        Ok(self.shards.finish().await?)
    }

    /// Saves the checkpoints of everything applied so far, as far as the stores have it. None are saved after.
    ///
    /// # Errors
    /// When the process is stopping.
    pub async fn save_last_checkpoints(&self) -> Result<(), UnitError> {
        match &self.recovery {
            Some(recovery) => Ok(recovery.send(SaveLastCheckpoints).await.map_err(|_| ShardGone)?),
            None => Ok(()),
        }
    }

    /// Takes the unit down, after its partition was revoked: what was read is applied, acknowledged and in a checkpoint
    /// when this returns. `flush` has the log and the sinks write what they have.
    ///
    /// # Errors
    /// When the partition could not be read to the end, or the process is stopping.
    pub async fn take_down<F>(self, flush: impl Fn() -> F) -> Result<Position, UnitError>
    where
        F: Future<Output = Result<(), UnitError>>,
    {
        let through = match self.feeding.await {
            Ok(read) => read?,
            Err(_) => return Err(ShardGone.into()),
        };
        self.shards.barrier().await?;
        self.shards.report().await?;
        flush().await?;
        while self.reached.acknowledged() < through {
            tokio::time::sleep(ACKNOWLEDGE_INTERVAL).await;
            flush().await?;
        }
        if let Some(recovery) = &self.recovery {
            recovery.send(SaveLastCheckpoints).await.map_err(|_| ShardGone)?;
            recovery.send(EndUnit).await.map_err(|_| ShardGone)?;
        }
        self.shards.end().await;
        Ok(through)
    }
}

/// Returns why the feeding of a unit ended before its time.
async fn failure_of(feeding: JoinHandle<Result<Position, UnitError>>) -> UnitError {
    match feeding.await {
        Ok(Err(error)) => error,
        Ok(Ok(_)) | Err(_) => ShardGone.into(),
    }
}
