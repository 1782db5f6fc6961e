//! Where results go: the seam for everything that keeps or shows them elsewhere.
//!
//! A [`Sink`] says what it wants, whether anybody may have to wait for it, and how a batch is written; [`shell`] does
//! the rest for all of them alike: queue, batches, time limits, tries, rows that are refused, acknowledgement, health,
//! metrics.
//!
//! Promises, for every sink: rows come in the order of the log, each symbol's at least. A durable sink gets every row,
//! and repeats after a restart or a failed write: it removes them by key and log position. A best-effort sink gets
//! what it has the room for, and never holds anybody.

pub mod cache;
pub mod history;
pub mod influxdb;
mod isolate;
pub mod kafka;
pub mod set;
pub mod shell;

use super::guard::ActorKind;
use super::messages::LiveTick;
use crate::breaker::BreakerPolicy;
use crate::metrics::Stage;
use crate::models::effect::Effect;
use crate::models::entry::Position;
use crate::models::report::AcceptedReport;
use crate::retry::RetryPolicy;
use crate::stores::StoreError;
use crate::stores::history::DeadLetterRecord;
use crate::stores::log::Partition;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What is to be known of a sink before it gets anything.
#[derive(Clone, Copy, Debug)]
pub struct SinkSpec {
    /// Its name in health, metrics and logs.
    pub name: &'static str,
    /// Its kind among the actors.
    pub kind: ActorKind,
    /// The stage of the data path that it is, where it is one.
    pub stage: Option<Stage>,
    /// What it wants to hear of.
    pub wants: Wants,
    /// Who may wait for it.
    pub delivery: Delivery,
    /// True when it gets only what the log holds durably.
    pub waits_for_log: bool,
    /// Whether the log is asked to commit at once what the sink waits for: others read what it writes as it comes.
    pub hurries_log: bool,
    /// True when it is the place where dead letters are kept.
    pub keeps_dead_letters: bool,
    /// What an operator can do when trying again does not help.
    pub repair_advice: &'static str,
    /// An empty batch is written when there was nothing to write for so long, so that its health is known; `None` never.
    pub checked_every: Option<Duration>,
}

/// What a sink wants to hear of. What nobody wants is not collected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Accepted trades, each with its `seq`. A durable sink gets every one: also those that tell of the past, and after a
    /// restart those that it had not acknowledged, which it removes by symbol and `seq` where it has them. Any other hears of
    /// them as they happen; one that nobody waits for may miss some, which are counted as dropped.
    pub ticks: bool,
    /// Accepted reports, each with all that it says: trades, corrections and cancels in the order of their symbol. Only a
    /// durable sink gets them, every one, and after a restart those again that it had not acknowledged, which it removes by
    /// symbol and position.
    pub reports: bool,
    /// Bars, indicators and dead letters. What never became an entry comes to a durable sink too, once the sink that keeps
    /// dead letters holds it; after a restart it does not come again.
    pub effects: bool,
}

/// Who may wait for a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It gets everything: checkpoints and the log's retention wait for what it acknowledges, and so does the end.
    Durable,
    /// Nobody waits for it.
    BestEffort,
}

/// What happens to a batch that finds the queue full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFull {
    /// Whoever brings it waits, and with it the data path.
    Block,
    /// What waits longest makes room, and is counted.
    DropOldest,
    /// A durable sink lets go of all that waits, and gets it from the log once its backend takes what comes: nothing of a
    /// run waits for it. While the log is read at the start, whoever brings rows waits as long as they can be written.
    CatchUp,
}

/// How a sink is served.
#[derive(Clone, Copy, Debug)]
pub struct SinkPolicy {
    /// A write that takes longer has failed; `None` waits for it.
    pub timeout: Option<Duration>,
    /// Pauses between tries.
    pub retry: RetryPolicy,
    /// When it is left alone for a while.
    pub breaker: BreakerPolicy,
    /// What happens when the queue is full.
    pub on_full: OnFull,
    /// Rows that fill the queue.
    pub rows_max: usize,
    /// Rows that end a batch.
    pub batch_rows: usize,
    /// How long rows gather for a batch.
    pub batch_age: Duration,
}

/// Rows for a sink, and how far the log is done with.
#[derive(Clone, Debug, Default)]
pub struct SinkBatch {
    /// Bars, indicators and dead letters, in order, in the parts they came in.
    pub effects: Vec<Arc<Vec<Effect>>>,
    /// Accepted trades in order, in the parts they came in.
    pub ticks: Vec<Arc<Vec<LiveTick>>>,
    /// Accepted reports in the order of their symbol, in the parts they came in.
    pub reports: Vec<Arc<Vec<AcceptedReport>>>,
    /// What never became an entry, for durable sinks.
    pub dead_letters: Vec<DeadLetterRecord>,
    /// By partition: everything up to this position has reached the sink with this batch. Empty where the rows are a
    /// part of a batch, of which another part follows.
    pub acknowledged: BTreeMap<Partition, Position>,
}

impl SinkBatch {
    /// Returns the number of rows.
    #[must_use]
    pub fn num_rows(&self) -> usize {
        let effects: usize = self.effects.iter().map(|part| part.len()).sum();
        let ticks: usize = self.ticks.iter().map(|part| part.len()).sum();
        let reports: usize = self.reports.iter().map(|part| part.len()).sum();
        effects + ticks + reports + self.dead_letters.len()
    }
}

/// Why a sink did not take a batch. Says where it is made what another try can bring.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// May go away by itself: no connection, busy, full disk.
    #[error("{context}: {cause}")]
    Transient {
        /// What was being done.
        context: &'static str,
        /// What the backend said.
        cause: String,
        /// How long the backend asks to be left alone, where it says so.
        pause: Option<Duration>,
    },
    /// Will not go away by itself: wrong password, foreign format.
    #[error("{context}: {cause}")]
    Permanent {
        /// What was being done.
        context: &'static str,
        /// What the backend said.
        cause: String,
    },
    /// Another process writes to the backend in place of this one, which is to stop.
    #[error("{context}: {cause}")]
    Fenced {
        /// What was being done.
        context: &'static str,
        /// How that shows.
        cause: String,
    },
    /// Rows of the batch are refused. None of the batch is written; without the refused rows the others are taken.
    #[error("{context}: {cause}")]
    Rows {
        /// What was being done.
        context: &'static str,
        /// What the backend said.
        cause: String,
        /// Places of the refused rows: effects, then ticks, then reports, then dead letters. Empty where the backend does not say.
        rows: Vec<usize>,
    },
}

impl SinkError {
    /// True when another try of the same may help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, SinkError::Transient { .. })
    }
}

impl From<SinkError> for StoreError {
    fn from(error: SinkError) -> StoreError {
        match error {
            SinkError::Transient { context, cause, pause: _ } => StoreError::Transient { context, cause },
            SinkError::Permanent { context, cause } => StoreError::Permanent { context, cause },
            SinkError::Fenced { context, cause } => StoreError::Fenced { context, cause },
            SinkError::Rows { context, cause, rows } => StoreError::Refused { context, cause, rows },
        }
    }
}

impl From<StoreError> for SinkError {
    fn from(error: StoreError) -> SinkError {
        match error {
            StoreError::Transient { context, cause } => SinkError::Transient { context, cause, pause: None },
            StoreError::Permanent { context, cause } => SinkError::Permanent { context, cause },
            StoreError::Fenced { context, cause } => SinkError::Fenced { context, cause },
            StoreError::Refused { context, cause, rows } => SinkError::Rows { context, cause, rows },
        }
    }
}

/// Something that takes results.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Returns what is to be known of it; the same each time.
    fn spec(&self) -> SinkSpec;

    /// Returns up to where the backend holds everything of a partition. Asked at the start, and only of a durable sink:
    /// what comes after it is brought again, and where checkpoints are ahead of it, what is missing is worked out from the
    /// log.
    ///
    /// # Errors
    /// When the backend cannot be read.
    async fn acknowledged(&self, partition: Partition) -> Result<Position, SinkError>;

    /// Writes a batch; one after another, never two at a time. May be dropped where it takes too long. An empty batch
    /// asks whether the backend is there.
    ///
    /// # Errors
    /// [`SinkError`]. After a transient or permanent one the same rows come again: what was written of them already
    /// must do no harm.
    async fn write(&self, batch: &SinkBatch) -> Result<(), SinkError>;
}
