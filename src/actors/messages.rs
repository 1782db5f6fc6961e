//! The messages between the stages of the data path. Commands are imperative, facts are nouns; those of one folder
//! alone stand in it.
//!
//! Promises: a message owns what it says and is not changed once made; what goes to several receivers is shared.

use crate::models::effect::Effect;
use crate::models::entry::{Entry, Position};
use crate::models::ledger::Ledger;
use crate::models::num::{Price, Size};
use crate::models::report::AcceptedReport;
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use crate::stores::history::DeadLetterRecord;
use crate::stores::log::{CheckpointSet, Partition, Progress};
use actix::Message;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// What a provider hands to the log: entries without positions, in the order received. The answer comes when the next
/// one may be sent: this is how a full pipeline pushes back to the venue.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Ingest {
    /// Entries, positions not yet given.
    pub entries: Vec<Entry>,
    /// What was received and never became an entry.
    pub dead_letters: Vec<DeadLetterRecord>,
    /// Progress of a bounded input.
    pub progress: Option<Progress>,
    /// When the oldest of them was received; [`Nanos::MIN`] for files and for what tells of the past, which live clients
    /// do not hear one by one.
    pub received: Nanos,
}

/// A stretch of a partition on its way to its symbols. All its shards share it; each takes what is its own.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub struct LogBatch {
    /// Entries with ascending positions.
    pub entries: Arc<Vec<Entry>>,
    /// The last position it covers.
    pub through: Position,
    /// Effects of entries up to here are known outside already and are not said again.
    pub muted_through: Position,
    /// When the oldest entry was received; [`Nanos::MIN`] for files.
    pub received: Nanos,
}

impl fmt::Debug for LogBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogBatch({} entries through {})", self.entries.len(), self.through)
    }
}

/// Entries to be committed.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AppendEntries {
    /// Entries with ascending positions.
    pub entries: Arc<Vec<Entry>>,
    /// Progress of the input they came from.
    pub progress: Option<Progress>,
    /// When the oldest entry was received.
    pub received: Nanos,
}

/// The log holds everything up to here.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct LogDurable(pub Position);

/// What one shard of a partition has for a sink, in order, and how far the shard is done.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub struct EffectBatch {
    /// The partition of the log.
    pub partition: Partition,
    /// The shard's number within the partition.
    pub shard: usize,
    /// What followed from its entries.
    pub effects: Arc<Vec<Effect>>,
    /// Trades that were accepted, for sinks that want them; to a durable sink also those of the past and of a replay.
    pub ticks: Arc<Vec<LiveTick>>,
    /// Reports that were accepted, for durable sinks that want them: also those of the past and of a replay.
    pub reports: Arc<Vec<AcceptedReport>>,
    /// The shard has applied everything up to here.
    pub through: Position,
}

impl EffectBatch {
    /// Returns the number of effects, ticks and reports.
    #[must_use]
    pub fn num_rows(&self) -> usize {
        self.effects.len() + self.ticks.len() + self.reports.len()
    }
}

/// An accepted trade, as sinks and live clients see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveTick {
    /// The symbol.
    pub symbol: SymbolId,
    /// Event time.
    pub ts: Nanos,
    /// When it was received; [`Nanos::MIN`] where nobody knows.
    pub received: Nanos,
    /// Price in the symbol's price scale.
    pub price: Price,
    /// Size in the symbol's size scale.
    pub size: Size,
    /// Accepted trades of the symbol, this one included.
    pub seq: u64,
    /// The entry that it comes from.
    pub log_pos: Position,
}

/// What one shard has for live clients, in order.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub struct LiveBatch {
    /// The shard's number in the process.
    pub shard: usize,
    /// What followed from its entries.
    pub effects: Arc<Vec<Effect>>,
    /// Which of them tell of the past, ascending: clients are shown what came of these, not each.
    pub past: Vec<Range<usize>>,
    /// When the oldest entry that they may follow from was received; [`Nanos::MIN`] where nobody knows.
    pub received: Nanos,
    /// Trades that were accepted, as far as somebody wants them.
    pub ticks: Vec<LiveTick>,
}

/// Input that never became an entry, and rows that a sink refused, for the sink that keeps dead letters.
#[derive(Message)]
#[rtype(result = "()")]
pub struct UnparsedInput(pub Vec<DeadLetterRecord>);

/// Encode the states of the touched symbols of one slice.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Option<CheckpointSet>")]
pub struct TakeCheckpoints {
    /// The slice.
    pub slice: u32,
    /// Names of symbols of the slice that are to be taken even though they are untouched.
    pub also: Vec<Arc<str>>,
}

/// The checkpoints of a slice are durable: what they make superfluous may go.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct CheckpointsSaved {
    /// The slice.
    pub slice: u32,
    /// Its untouched symbols are covered up to here.
    pub covers_through: Position,
}

/// Empty a shard's outbox. May come as often as it likes: the fan-out takes whatever is there.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct EmptyOutbox;

/// Empty a shard's outbox and say how far the shard is, even where nothing followed from its entries. The answer comes
/// when every sink has taken it.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct ReportProgress;

/// Answer once everything before this message is applied.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Barrier;

/// Hand on or write what came before this message without waiting for more, then answer.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Flush;

/// Bring nothing any more; answer once everything brought before has been taken.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct StopFeed;

/// Take the checkpoints of all slices a last time and save them.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct SaveLastCheckpoints;

/// End: the unit is being taken down, and everything before is done.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct EndUnit;

/// The input has ended: close every bar. Answers with the outcomes of all reports of the shard.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Ledger")]
pub struct Finish;
