//! The log: the truth. Everything that can change a result stands in it, in the order in which the core sees it.
//!
//! A log has partitions; a symbol lives in one of them, found by its name. Who uses a log sees the part of it that is
//! his, so that a log in the process and one in a broker are used alike:
//!
//! - [`LogWriter`]: ingest. Appends entries; the log gives them their positions.
//! - [`LogConsumer`] and [`PartitionReader`]: the process. Learns which partitions are its own, reads each at its own
//!   pace, and gives one back once everything it did with it is acknowledged.
//! - [`CheckpointStore`]: recovery. Keeps states by partition and symbol name.
//! - [`LogReader`]: whoever looks things up.
//! - [`CommitLog`]: the log in the process, which gives positions itself and has groups of entries committed behind.
//!
//! Promises, for every implementation: an entry whose append was acknowledged is there after a crash of the process;
//! positions of a partition only grow and are never given twice. On failure nothing of a group is there, and the error
//! says whether another try can help.

pub mod checkpoint;
pub mod high_water;
pub mod memory;
pub mod sqlite;

pub use checkpoint::{Checkpoint, CheckpointSet, Checkpoints, NUM_SLICES, SetHeader};

use crate::models::entry::{Entry, Position};
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use crate::stores::error::StoreError;
use async_trait::async_trait;
use std::sync::Arc;

/// A part of a log whose entries have one order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub u32);

impl Partition {
    /// The only one of a log in the process, unless it is split.
    pub const EMBEDDED: Partition = Partition(0);
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
    /// The symbol.
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

/// Entries on their way into the log.
#[derive(Clone, Debug, Default)]
pub struct LogInput {
    /// Entries in the order received; their positions are not given yet.
    pub entries: Vec<Entry>,
    /// Progress of a bounded input, committed together with them.
    pub progress: Option<Progress>,
    /// When the oldest of them was received; [`Nanos::MIN`] for files and for what tells of the past.
    pub received: Nanos,
}

/// Takes entries in: ingest's end of a log.
#[async_trait]
pub trait LogWriter: Send + Sync {
    /// Appends entries; the log gives each its position and brings it to its symbol's partition, broadcasts to all. Returns
    /// when the log has room for more, which is how a full pipeline pushes back to the venue.
    ///
    /// # Errors
    /// When the log has stopped: nothing was appended.
    async fn append(&self, input: LogInput) -> Result<(), StoreError>;

    /// Waits until everything appended before is durable and with the readers of its partitions.
    ///
    /// # Errors
    /// When the log has stopped.
    async fn flush(&self) -> Result<(), StoreError>;
}

/// Entries of one partition, in its order.
#[derive(Clone, Debug)]
pub struct PartitionBatch {
    /// Entries with ascending positions, shared with whoever else has to do with them.
    pub entries: Arc<Vec<Entry>>,
    /// The last position it covers: none of the partition's entries up to here is still to come.
    pub through: Position,
    /// When the oldest entry was received; [`Nanos::MIN`] for files, and for what is read again.
    pub received: Nanos,
}

/// What a reader of a partition gives out.
#[derive(Clone, Debug)]
pub enum PartitionEvent {
    /// What comes next.
    Batch(PartitionBatch),
    /// Everything that the partition held when its reader started has been given out; comes once. From here on the log
    /// waits for the reader.
    CaughtUp,
}

/// Reads one partition. Each has a queue of its own, so that one that is not read holds up no other.
///
/// Entries carry as their position what is stored beside rows ([`crate::models::log_pos::LogPos`]): a log that was made
/// anew, or to which a symbol moved, gives them a higher generation, and nothing else need know of it.
#[async_trait]
pub trait PartitionReader: Send {
    /// Has the batches begin after a position: the checkpoints hold what comes before. Comes before the first batch.
    ///
    /// # Errors
    /// When the log cannot be read, or does not reach back that far.
    async fn start_after(&mut self, pos: Position) -> Result<(), StoreError>;

    /// Returns what comes next; `None` once the partition is revoked and all that was read of it has been given out. To
    /// ask says that the batch before has been handed on.
    ///
    /// # Errors
    /// When the log cannot be read.
    async fn next(&mut self) -> Result<Option<PartitionEvent>, StoreError>;
}

/// A partition that the process is to work on.
pub struct Assignment {
    /// The partition.
    pub partition: Partition,
    /// Reads it.
    pub reader: Box<dyn PartitionReader>,
}

/// What a log tells the process of its partitions.
pub enum LogEvent {
    /// These are the process' own from now on.
    Assigned(Vec<Assignment>),
    /// These go to somebody else. The log waits for the acknowledgement, within a limit of its own: everything that the
    /// process read of them is applied, committed by every durable sink, and in a checkpoint.
    Revoked(Vec<Partition>, RevokeAck),
}

/// Lets go of revoked partitions.
pub struct RevokeAck(tokio::sync::oneshot::Sender<()>);

impl RevokeAck {
    /// Makes an acknowledgement, and what waits for it.
    #[must_use]
    pub fn new() -> (RevokeAck, tokio::sync::oneshot::Receiver<()>) {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        (RevokeAck(sender), receiver)
    }

    /// Says that the partitions may go. A log that has stopped waiting took them already.
    pub fn done(self) {
        if self.0.send(()).is_err() {
            tracing::warn!("a log took partitions before they were acknowledged");
        }
    }
}

/// Learns which partitions are the process' own.
#[async_trait]
pub trait LogConsumer: Send {
    /// Returns what happens next; `None` when the log has stopped.
    ///
    /// # Errors
    /// When the log cannot be asked.
    async fn next(&mut self) -> Result<Option<LogEvent>, StoreError>;
}

/// Keeps what recovery starts from.
#[async_trait]
pub trait CheckpointStore: Send + Sync {
    /// Writes the checkpoints of a slice; the newest two sets of a slice are kept.
    async fn save_checkpoints(&self, partition: Partition, set: &CheckpointSet) -> Result<(), StoreError>;

    /// Returns the checkpoints of a partition. What is damaged is left out.
    async fn load_checkpoints(&self, partition: Partition) -> Result<Checkpoints, StoreError>;

    /// Returns the checkpoints of one symbol, newest first.
    async fn checkpoints_of(
        &self,
        partition: Partition,
        symbol: &str,
    ) -> Result<Vec<Checkpoint>, StoreError> {
        let found = self.load_checkpoints(partition).await?.symbols.into_iter();
        let is_wanted = |of_symbol: &Vec<Checkpoint>| of_symbol.iter().any(|found| &*found.symbol == symbol);
        Ok(found.into_iter().find(is_wanted).unwrap_or_default())
    }

    /// Remembers a position that every later replay skips.
    async fn mark_poison(&self, partition: Partition, pos: Position) -> Result<(), StoreError>;

    /// Returns the positions to skip, ascending.
    async fn poison(&self, partition: Partition) -> Result<Vec<Position>, StoreError>;
}

/// Looks up what a log holds, of all its partitions.
#[async_trait]
pub trait LogReader: Send + Sync {
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
}

/// Commits what a log in the process was given. One writer.
#[async_trait]
pub trait CommitLog: Send + Sync {
    /// Commits the group. When it returns, a crash of the process loses none of it.
    async fn append(&self, group: &LogGroup) -> Result<(), StoreError>;

    /// Drops finished parts that are too old or too much, but none after `needed_from` (the checkpoints need those).
    /// Returns the number of entries dropped.
    async fn retain(&self, now: Nanos, needed_from: Position) -> Result<u64, StoreError>;
}

/// The store behind a log in the process: everything at one place.
#[async_trait]
pub trait TickLog: CommitLog + LogReader + CheckpointStore {
    /// Returns the first damaged row that was met since the start, for people.
    fn damage(&self) -> Option<String> {
        None
    }

    /// Puts everything committed where a copy of the store's file has it. The last call; nothing may run beside it.
    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
