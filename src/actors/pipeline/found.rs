//! What a start finds in the stores, and whether each durable sink holds what the checkpoints rely on.
//!
//! Promises: a sink that waits for nobody is caught up before this returns; of one that may fall behind it is said how far it
//! is, within [`FIRST_CONTACT_MAX`]. What is gone for good is told, never passed over. On failure: the error of the store or of
//! the sink comes back.

use super::super::environment::Environment;
use super::super::health::{Health, HealthRegistry};
use super::super::partition::catch_up::{self, CatchUp, catch_up};
use super::super::partition::recovered::Recovered;
use super::super::partition::shard::PartitionContext;
use super::super::sinks::shell::BehindAtStart;
use super::super::sinks::{Sink, SinkBatch, SinkError, SinkPolicy};
use super::parts::PipelineError;
use crate::models::entry::Position;
use crate::stores::StoreError;
use crate::stores::history::History;
use crate::stores::log::high_water::HighWater;
use crate::stores::log::{Checkpoints, LogTail, Partition, TickLog};
use actix::ArbiterHandle;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a start waits for the backend of a sink that may fall behind.
pub const FIRST_CONTACT_MAX: Duration = Duration::from_secs(2);

/// What recovery found of a partition.
pub(super) struct Found {
    pub(super) checkpoints: Checkpoints,
    pub(super) poison: Vec<Position>,
}

impl Found {
    pub(super) async fn of(
        store: Option<&Arc<dyn TickLog>>,
        partition: Partition,
    ) -> Result<Found, StoreError> {
        let Some(store) = store else {
            return Ok(Found { checkpoints: Checkpoints::default(), poison: Vec::new() });
        };
        let checkpoints = store.load_checkpoints(partition).await?;
        Ok(Found { checkpoints, poison: store.poison(partition).await? })
    }
}

/// What is brought together where a durable sink is behind.
pub(super) struct CatchUpParts<'a> {
    pub sink: &'a Arc<dyn Sink>,
    pub policy: SinkPolicy,
    /// Where it is noted what the sink lacks for good.
    pub notes_missing: Option<&'a Arc<dyn History>>,
    /// The log, where it outlives the process.
    pub store: Option<&'a Arc<dyn TickLog>>,
    pub tail: LogTail,
    pub threads: &'a [ArbiterHandle],
}

impl CatchUpParts<'_> {
    /// Has the sink hold what the checkpoints of every partition rely on. Returns up to where it has everything of each,
    /// and how many entries were read.
    pub(super) async fn catch_up(
        &self,
        found: &BTreeMap<Partition, Found>,
        context: impl Fn(Partition) -> PartitionContext,
        env: &Environment,
        health: &Arc<HealthRegistry>,
    ) -> Result<(BTreeMap<Partition, Position>, u64), PipelineError> {
        let (before, mut num_entries) = (self.held(found).await?, 0);
        let Some(log) = self.store else { return Ok((before, num_entries)) };
        let mut held = before.clone();
        for (partition, found) in found {
            let job = CatchUp {
                context: &context(*partition),
                log,
                tail: self.tail,
                sink: self.sink,
                policy: self.policy,
                notes_missing: self.notes_missing,
                acknowledged: before[partition],
                checkpoints: &found.checkpoints,
                poison: &found.poison,
                threads: self.threads,
            };
            let (has, read) = catch_up(job, env, health).await?;
            held.insert(*partition, has);
            num_entries += read;
        }
        if held == before {
            return Ok((held, num_entries));
        }
        self.sink.write(&SinkBatch { acknowledged: held, ..SinkBatch::default() }).await?;
        Ok((self.held(found).await?, num_entries))
    }

    /// Returns what a sink that may fall behind holds of each partition, and whether it is behind from the beginning: its
    /// backend is away, or it lacks what the checkpoints rely on.
    pub(super) async fn standing(
        &self,
        found: &BTreeMap<Partition, Found>,
        away: Option<String>,
    ) -> Result<(BTreeMap<Partition, Position>, Option<BehindAtStart>), PipelineError> {
        let name = self.sink.spec().name;
        let asked = async {
            match tokio::time::timeout(FIRST_CONTACT_MAX, self.held(found)).await {
                Ok(held) => held.map_err(StoreError::from),
                Err(_) => Err(catch_up::no_answer(FIRST_CONTACT_MAX)),
            }
        };
        let held = match away {
            Some(why) => Err(why),
            None => match asked.await {
                Err(error) if error.is_transient() => Err(error.to_string()),
                held => Ok(held?),
            },
        };
        let behind = |why, likely| BehindAtStart { why, tail: self.tail.last, likely };
        let relied_on = |found: &Found| catch_up::relied_on(&found.checkpoints);
        match held {
            Ok(held) if found.iter().all(|(id, found)| held[id] >= relied_on(found)) => Ok((held, None)),
            Ok(held) => {
                tracing::warn!("the {name} is behind the checkpoints: what it lacks is brought from the log");
                let why = "it is behind the log, and is about to be caught up".to_owned();
                Ok((held, Some(behind(why, 0))))
            }
            Err(why) => {
                tracing::error!(
                    error = why,
                    "the {name} is not there: the rest goes on, and what it lacks is brought from the log"
                );
                let likely = found.values().map(relied_on).min().unwrap_or(0);
                Ok((found.keys().map(|id| (*id, 0)).collect(), Some(behind(why, likely))))
            }
        }
    }

    /// Returns up to where the sink has everything of each partition.
    async fn held(
        &self,
        found: &BTreeMap<Partition, Found>,
    ) -> Result<BTreeMap<Partition, Position>, SinkError> {
        let mut held = BTreeMap::new();
        for partition in found.keys() {
            held.insert(*partition, self.sink.acknowledged(*partition).await?);
        }
        Ok(held)
    }
}

/// Tells what the checkpoints and the log do not hold any more.
pub(super) fn tell_unknown(recovered: &Recovered, tail: LogTail, health: &HealthRegistry) {
    if recovered.replay_after >= tail.dropped_through || recovered.without_checkpoint.is_empty() {
        return;
    }
    let detail = format!(
        "{} symbols have no usable checkpoint, and the log begins at position {}: what came before is unknown",
        recovered.without_checkpoint.len(),
        tail.first
    );
    tracing::error!("{detail}");
    health.set("recovery", Health::Degraded, detail);
}

/// Tells how many entries were received before the last end and never committed.
pub(super) fn tell_lost(env: &Environment, high_water: Option<&HighWater>, tail: LogTail) -> u64 {
    let Some(mark) = high_water else { return 0 };
    let num_lost = mark.num_lost(tail.last);
    if num_lost > 0 {
        env.metrics.lost_entries.inc_by(num_lost);
        tracing::error!(
            entries = num_lost,
            "received before the last end of the process and never committed"
        );
        if let Err(error) = mark.tell() {
            tracing::debug!(%error, "failed to note that the loss is told");
        }
    }
    num_lost
}
