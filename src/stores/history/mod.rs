//! The history: bars, indicators and dead letters, as they are looked up later; anomalies, predictions and alerts, in
//! [`signals`]; what alerts are decided on and sent from, in [`alerts`].
//!
//! Promises, for every implementation: writes are idempotent by key and log position, and of two rows that meet under one
//! key the one with the higher log position stays; what a batch acknowledges is committed with its rows or not at all.
//! On failure nothing of a batch is there, and the error says whether another try can help.

pub mod alerts;
mod dead_letter;
pub mod memory;
pub mod postgres;
pub mod signals;
pub mod sqlite;

use crate::models::bar::Bar;
use crate::models::effect::{Effect, IndicatorPoint};
use crate::models::entry::{Entry, Position};
use crate::models::report::AcceptedReport;
use crate::models::symbol::SymbolId;
use crate::models::time::{Nanos, Width};
use crate::stores::error::StoreError;
use crate::stores::log::TickQuery;
use alerts::AlertStore;
use async_trait::async_trait;
use signals::SignalHistory;
use std::sync::Arc;

/// Asks for rows of one symbol and window, newest first by start. Void bars are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowQuery {
    /// The symbol.
    pub symbol: SymbolId,
    /// Width of the windows.
    pub width: Width,
    /// Windows that start at or after this.
    pub start: Nanos,
    /// Windows that end at or before this.
    pub end: Nanos,
    /// At most this many.
    pub limit: usize,
}

/// Something that was not accepted, as people look it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterRecord {
    /// Why: `late`, a word of [`crate::models::ledger::RejectReason`], or one of those beside it.
    pub reason: String,
    /// The symbol, where it was readable.
    pub symbol: Option<String>,
    /// The source's name.
    pub provider: String,
    /// When it was received, or its event time where nobody knows.
    pub received_at: Nanos,
    /// The payload, or the entry as JSON.
    pub payload: String,
    /// Place in the log, for entries; `None` for what never became one.
    pub pos: Option<Position>,
    /// Where it stood in its input (`file:row`); with `provider` it makes what has no position unique. Empty otherwise.
    pub origin: String,
    /// Given by the store, higher than all that it gave before; 0 of what is not stored yet.
    pub id: u64,
}

/// Asks for dead letters, newest first by (time of receipt, id).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterQuery {
    /// Only this reason.
    pub reason: Option<String>,
    /// Only this symbol.
    pub symbol: Option<String>,
    /// Received at or after this.
    pub start: Option<Nanos>,
    /// Only those before this place in the order: (time of receipt, id) of the last one of the page before.
    pub before: Option<(Nanos, u64)>,
    /// At most this many.
    pub limit: usize,
}

/// What the history commits as one: effects in log order, and how far the log is done with.
#[derive(Clone, Debug, Default)]
pub struct HistoryBatch {
    /// Effects in log order, in the parts they came in; of several for one key the last one counts.
    pub effects: Vec<Arc<Vec<Effect>>>,
    /// Accepted reports, those of each symbol in log order; empty for a history that keeps none.
    pub reports: Vec<Arc<Vec<AcceptedReport>>>,
    /// Dead letters that never became entries.
    pub dead_letters: Vec<DeadLetterRecord>,
    /// Everything up to this position has reached the history with this batch.
    pub acknowledged: Position,
}

/// What a history lacks for good, since the log did not hold it any more when it was missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What followed from the entries after this position is not there ...
    pub after: Position,
    /// ... up to this one.
    pub through: Position,
    /// About the event time of the last of them.
    pub until: Nanos,
}

/// Whether reads go to a copy of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplicaUse {
    /// They do.
    Read,
    /// They do not, and why.
    PassedOver(String),
}

/// The history of bars, indicators and dead letters.
#[async_trait]
pub trait History: SignalHistory {
    /// Commits the batch. Repeats change nothing.
    async fn write(&self, batch: &HistoryBatch) -> Result<(), StoreError>;

    /// Returns what an operator can do when trying again does not help.
    fn repair_advice(&self) -> &'static str {
        "stop the program, and run `tickwire check`"
    }

    /// True when it keeps accepted reports as well.
    fn keeps_reports(&self) -> bool {
        false
    }

    /// Returns the position up to which everything has reached the history. Where this is less than what checkpoints
    /// rely on, the next start works out again from the log what is missing after it, over whatever rows there are. So
    /// whoever removes rows sets it back to before the first of them (0 for all) in the same transaction.
    async fn acknowledged(&self) -> Result<Position, StoreError>;

    /// Returns what it lacks for good, as far as that was ever noted.
    async fn missing(&self) -> Result<Option<Missing>, StoreError> {
        Ok(None)
    }

    /// Notes what it lacks for good; together with what was noted before, as one stretch.
    async fn note_missing(&self, _: Missing) -> Result<(), StoreError> {
        Ok(())
    }

    /// Returns the position up to which reads show everything: less than [`History::acknowledged`] where they go to a copy
    /// that is behind.
    async fn readable(&self) -> Result<Position, StoreError> {
        self.acknowledged().await
    }

    /// Returns bars, newest first.
    async fn bars(&self, query: &WindowQuery) -> Result<Vec<Bar>, StoreError>;

    /// Returns the newest revision of the newest `limit` windows of a symbol, newest first. Void bars are among them.
    async fn revisions(&self, symbol: SymbolId, width: Width, limit: usize) -> Result<Vec<Bar>, StoreError>;

    /// Returns indicators, newest first.
    async fn indicators(&self, query: &WindowQuery) -> Result<Vec<IndicatorPoint>, StoreError>;

    /// Returns every bar that is not void with its indicators, by symbol name, width and start, a page at a time:
    /// those after the given key, at most `limit`.
    async fn scan(
        &self,
        after: Option<(SymbolId, Width, Nanos)>,
        limit: usize,
    ) -> Result<Vec<(Bar, IndicatorPoint)>, StoreError>;

    /// Returns dead letters, newest first.
    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<Vec<DeadLetterRecord>, StoreError>;

    /// Returns ticks of a symbol as the log does, newest first by (event time, position); `None` of a history that keeps none.
    async fn ticks(&self, _: &TickQuery) -> Result<Option<Vec<Entry>>, StoreError> {
        Ok(None)
    }

    /// Drops rows that are too old. Returns the number of rows dropped.
    async fn retain(&self, now: Nanos) -> Result<u64, StoreError>;

    /// Returns what alerts are decided on and sent from; `None` of a history that has nothing of the kind.
    fn alert_store(&self) -> Option<&dyn AlertStore> {
        None
    }

    /// Returns the first damaged row that was met since the start, for people.
    fn damage(&self) -> Option<String> {
        None
    }

    /// Looks at the copy that reads go to, and says whether they do; `None` where there is no copy.
    async fn replica(&self) -> Option<ReplicaUse> {
        None
    }

    /// Puts everything committed where a copy of the store's file has it. The last call; nothing may run beside it.
    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
