//! What a data path is built of, and why it did not start.
//!
//! Promises: values and errors alone; nothing here works.

use super::super::messages::{LiveBatch, LogDurable};
use super::super::partition::durability::Durability;
use super::super::partition::log_writer::GroupPolicy;
use super::super::partition::recovery::CheckpointPolicy;
use super::super::partition::retention::RetentionClock;
use super::super::partition::unit::UnitError;
use super::super::sinks::set::SinkSetup;
use super::super::sinks::{SinkError, SinkPolicy};
use crate::stores::StoreError;
use crate::stores::history::History;
use crate::stores::log::TickLog;
use crate::stores::log::high_water::HighWater;
use actix::{MailboxError, Recipient};
use std::sync::Arc;

/// Why a pipeline did not start or continue.
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

impl From<SinkError> for PipelineError {
    fn from(error: SinkError) -> PipelineError {
        PipelineError::Store(error.into())
    }
}

impl From<UnitError> for PipelineError {
    fn from(error: UnitError) -> PipelineError {
        match error {
            UnitError::Store(error) => PipelineError::Store(error),
            UnitError::Gone(_) => PipelineError::Stopped,
        }
    }
}

/// How a pipeline is built.
#[derive(Clone, Copy, Debug)]
pub struct PipelineSettings {
    /// Threads, and shards that the symbols of each partition are spread over.
    pub num_shards: usize,
    /// Partitions of the log.
    pub num_partitions: u32,
    /// When groups of entries are committed.
    pub group: GroupPolicy,
    /// When checkpoints are taken.
    pub checkpoints: CheckpointPolicy,
}

/// The stores and sinks of a pipeline.
pub struct Storage {
    /// The log, if entries are stored.
    pub log: Option<Arc<dyn TickLog>>,
    /// Whether the log outlives the process, so that checkpoints make sense.
    pub is_durable: bool,
    /// The highest position ever given, if that is stored.
    pub high_water: Option<HighWater>,
    /// The history.
    pub history: Arc<dyn History>,
    /// How it is served.
    pub history_policy: SinkPolicy,
    /// Why nobody knows yet what it holds, where its backend was not there when it was opened.
    pub history_away: Option<String>,
    /// How far the log is durable.
    pub durability: Arc<Durability>,
    /// Sinks other than the history.
    pub sinks: Vec<SinkSetup>,
    /// Serves live clients.
    pub live: Option<LiveOutputs>,
    /// The clock that judges the age of entries; `None` drops nothing, as for replayed data.
    pub retention: Option<Arc<RetentionClock>>,
    /// True when nothing is handed in: no checkpoints are taken.
    pub is_shown_only: bool,
}

/// The messages to the hub.
pub struct LiveOutputs {
    /// Ticks and effects.
    pub batches: Recipient<LiveBatch>,
    /// How far the log is durable.
    pub durable: Recipient<LogDurable>,
}
