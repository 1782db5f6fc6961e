//! What outlives the process: the log of entries with its recovery points, and the history of what came out of it.
//!
//! The traits are the seam for other backends. Every implementation promises: an entry that [`TickLog::append`]
//! acknowledged is there after a crash of the process; writes to the history are idempotent by key and log position,
//! and of two rows that meet under one key the one with the higher log position stays.

mod dead_letter;
pub mod high_water;
pub mod memory;
pub mod sqlite;

use crate::models::bar::Bar;
use crate::models::effect::{Effect, IndicatorPoint};
use crate::models::entry::{Entry, Position};
use crate::models::symbol::SymbolId;
use crate::models::time::{Nanos, Width};
use async_trait::async_trait;
use std::sync::Arc;

/// Why a store did not do what it was asked. Says where it is made whether another try can help.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// May go away by itself: busy, full disk, lost connection.
    #[error("{context}: {cause}")]
    Transient {
        /// What was being done.
        context: &'static str,
        /// What the backend said.
        cause: String,
    },
    /// Will not go away by itself: foreign format, corrupt file, refused statement.
    #[error("{context}: {cause}")]
    Permanent {
        /// What was being done.
        context: &'static str,
        /// What the backend said.
        cause: String,
    },
}

impl StoreError {
    /// True when another try may help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, StoreError::Transient { .. })
    }
}

/// Progress of a bounded input, committed together with the entries it speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Names the input.
    pub key: String,
    /// Opaque to the store.
    pub value: Vec<u8>,
}

/// What ends as one commit.
#[derive(Clone, Debug, Default)]
pub struct LogGroup {
    /// Entries with ascending positions, each above all appended before.
    pub entries: Vec<Entry>,
    /// Progress of the input they came from.
    pub progress: Option<Progress>,
}

/// Where a log ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogTail {
    /// The highest committed position; 0 when the log is empty.
    pub last: Position,
    /// The lowest position that retention has left; 0 when the log is empty.
    pub first: Position,
    /// Everything up to here has been dropped, or was never kept; 0 while the log is whole.
    pub dropped_through: Position,
    /// The newest event time among the last entries; [`Nanos::MIN`] of an empty log.
    pub newest: Option<Nanos>,
    /// Names the log: made at random when it was created, the same ever after.
    pub epoch: u64,
}

/// Asks for reports of one symbol, newest first by (event time, position).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TickQuery {
    /// Whose.
    pub symbol: SymbolId,
    /// First event time.
    pub start: Nanos,
    /// Last event time, inclusive.
    pub end: Nanos,
    /// Only those before this place in the order: (event time, position) of the last one of the page before.
    pub before: Option<(Nanos, Position)>,
    /// At most this many.
    pub limit: usize,
}

/// Asks for rows of one symbol and window, newest first by start. Void bars are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowQuery {
    /// Whose.
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

/// A picture of one symbol's state that recovery can start from. Opaque here: the core encodes and checks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolPoint {
    /// Whose state.
    pub symbol: SymbolId,
    /// It holds everything of the symbol up to here, clock marks too: a replay that begins after this needs nothing else.
    pub pos: Position,
    /// The encoded state, with version, fingerprint and checksum inside.
    pub bytes: Vec<u8>,
}

/// Recovery points of one slice of the symbols (symbol id modulo [`NUM_SLICES`]), written as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointSet {
    /// Which slice.
    pub slice: u32,
    /// Symbols of the slice that are not in `points` are unchanged since their last point up to here.
    pub good_to: Position,
    /// What a replay from there must know beside the states. Opaque here.
    pub context: Vec<u8>,
    /// States of the symbols touched since the slice's last set.
    pub points: Vec<SymbolPoint>,
}

impl PointSet {
    /// Returns the last entry that the set knows of. A symbol that was too busy to be asked at once may be ahead of the
    /// others.
    #[must_use]
    pub fn newest(&self) -> Position {
        self.points.iter().map(|point| point.pos).fold(self.good_to, Position::max)
    }
}

/// Into how many slices the symbols are spread, so that recovery points cost a little always instead of much at once.
pub const NUM_SLICES: u32 = 64;

/// What is kept of a set besides its points.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SliceLine {
    /// As in [`PointSet`].
    pub good_to: Position,
    /// As in [`PointSet`].
    pub context: Vec<u8>,
}

/// What recovery starts from, per symbol: the newest point first, then the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Points {
    /// Per slice: the newest set's line, and that of the set before; default where there is none.
    pub slices: Vec<[SliceLine; 2]>,
    /// By symbol id: the points of the symbol, newest first, at most two.
    pub symbols: Vec<Vec<SymbolPoint>>,
    /// The points leave out what the history must hold therefore: everything up to here. `None` of points that were
    /// saved before this was noted.
    pub relied_on: Option<Position>,
}

/// The log: the truth. One writer; any number of readers.
#[async_trait]
pub trait TickLog: Send + Sync {
    /// Commits the group. When it returns, a crash of the process loses none of it.
    async fn append(&self, group: &LogGroup) -> Result<(), StoreError>;

    /// Returns where the log ends.
    async fn tail(&self) -> Result<LogTail, StoreError>;

    /// Returns up to `limit` entries after a position, in order.
    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Entry>, StoreError>;

    /// Returns up to `limit` entries after a position that concern a symbol, in order: its own, and those of no symbol.
    async fn read_of(
        &self,
        symbol: SymbolId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut found = Vec::new();
        let mut after = after;
        while found.len() < limit {
            let page = self.read(after, limit).await?;
            let Some(last) = page.last() else { break };
            after = last.pos;
            let of_symbol = |entry: &Entry| entry.symbol == symbol || entry.symbol == SymbolId::NONE;
            let room = limit - found.len();
            found.extend(page.into_iter().filter(of_symbol).take(room));
        }
        Ok(found)
    }

    /// Returns reports (trades, cancels, corrections) and quotes of a symbol, newest first.
    async fn ticks(&self, query: &TickQuery) -> Result<Vec<Entry>, StoreError>;

    /// Returns the progress committed last under a key.
    async fn progress(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Writes the recovery points of a slice; the newest two sets of a slice are kept.
    async fn save_points(&self, set: &PointSet) -> Result<(), StoreError>;

    /// Returns the recovery points.
    async fn load_points(&self) -> Result<Points, StoreError>;

    /// Returns the recovery points of one symbol, newest first.
    async fn points_of(&self, symbol: SymbolId) -> Result<Vec<SymbolPoint>, StoreError> {
        let mut points = self.load_points().await?.symbols;
        Ok(points.get_mut(symbol.index()).map(std::mem::take).unwrap_or_default())
    }

    /// Remembers a position that every later replay skips.
    async fn mark_poison(&self, pos: Position) -> Result<(), StoreError>;

    /// Returns the positions to skip, ascending.
    async fn poison(&self) -> Result<Vec<Position>, StoreError>;

    /// Drops finished parts that are too old or too much, but none after `needed_from` (the recovery points need those).
    /// Returns the number of entries dropped.
    async fn retain(&self, now: Nanos, needed_from: Position) -> Result<u64, StoreError>;

    /// Returns the first damaged row that was met since the start, for people.
    fn damage(&self) -> Option<String> {
        None
    }

    /// Puts everything committed where a copy of the store's file has it. The last call; nothing may run beside it.
    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Something that was not accepted, as people look it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterRecord {
    /// Why: `late`, or a word of [`crate::models::ledger::RejectReason`].
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

/// The history of bars, indicators and dead letters.
#[async_trait]
pub trait History: Send + Sync {
    /// Commits the batch. Repeats change nothing.
    async fn write(&self, batch: &HistoryBatch) -> Result<(), StoreError>;

    /// Returns the position up to which everything has reached the history. Where this is less than what recovery points
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

    /// Drops rows that are too old. Returns the number of rows dropped.
    async fn retain(&self, now: Nanos) -> Result<u64, StoreError>;

    /// As [`TickLog::damage`].
    fn damage(&self) -> Option<String> {
        None
    }

    /// As [`TickLog::close`].
    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
