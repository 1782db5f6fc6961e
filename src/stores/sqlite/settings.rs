//! How the two SQLite files are kept, and what follows from that for their sizes. Nothing here fails.

use crate::models::time::DAY;

/// Pages that a WAL takes before they go to the file: larger than SQLite's 1,000, since under load every page of a
/// checkpoint is flushed and the same pages come again.
pub(in crate::stores) const CHECKPOINT_PAGES: u32 = 8_192;

/// Bytes of a page, unless the file was made with others.
pub(in crate::stores) const PAGE_BYTES: u32 = 4_096;

/// When a commit is safe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// Against the end of the process.
    #[default]
    Normal,
    /// Against the loss of power too.
    Full,
}

/// Settings of both files. Ages in nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteSettings {
    /// When a commit is safe.
    pub synchronous: Synchronous,
    /// Parts of the log that were finished longer ago are dropped.
    pub retention_ticks_age: i64,
    /// While the log holds more bytes than this, its oldest part is dropped.
    pub retention_ticks_bytes: u64,
    /// Bars and indicators of windows older than this are dropped, dead letters too.
    pub retention_bars_age: i64,
    /// A part of the log takes about this many entries, or fewer where `retention_ticks_bytes` is small. Appends wait
    /// while one is dropped, a tenth of a second per million; the view over the parts speaks of at most 500.
    pub part_entries: u64,
    /// A part of the log takes entries for at most this long.
    pub part_age: i64,
    /// Connections for readers, per file.
    pub num_readers: u32,
}

/// Into how many parts a full log is cut at least: what is dropped at once is at most so much of it.
const PARTS_MIN: u64 = 16;

/// Bytes that an entry takes with its share of the index, roughly.
const ENTRY_BYTES: u64 = 48;

/// Entries of the smallest part that is worth a table.
const PART_ENTRIES_MIN: u64 = 5_000;

impl SqliteSettings {
    /// Returns how many entries end a part: fewer than asked for where the log may not get large.
    pub(in crate::stores) const fn entries_a_part(&self) -> u64 {
        let small = self.retention_ticks_bytes / PARTS_MIN / ENTRY_BYTES;
        let small = if small < PART_ENTRIES_MIN { PART_ENTRIES_MIN } else { small };
        if small < self.part_entries { small } else { self.part_entries }
    }

    /// Returns the pages that the log's WAL takes before they go to the file: few where the log may not get large.
    pub(in crate::stores) fn log_checkpoint_pages(&self) -> u32 {
        let share = self.retention_ticks_bytes / PARTS_MIN / u64::from(PAGE_BYTES);
        u32::try_from(share).unwrap_or(u32::MAX).clamp(256, CHECKPOINT_PAGES)
    }
}

impl Default for SqliteSettings {
    fn default() -> Self {
        SqliteSettings {
            synchronous: Synchronous::Normal,
            retention_ticks_age: 7 * DAY,
            retention_ticks_bytes: 20_000_000_000,
            retention_bars_age: 365 * DAY,
            part_entries: 4_000_000,
            part_age: DAY,
            num_readers: 4,
        }
    }
}
