//! Several files as one input: merged by time, with clock marks, in batches.

use super::clock::RecordedClock;
use super::error::{BadRow, FileError};
use super::exported::{Described, ExportReader, is_exported};
use super::names::{FILE_SOURCE, Names};
use super::reader::RowReader;
use super::row::Row;
use crate::models::entry::{Body, Entry, SourceId};
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use crate::names::{SourceTable, SymbolTable};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How an input is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileOptions {
    /// Only these symbols, aliases included; `None` for all.
    pub symbols: Option<Vec<String>>,
    /// New symbols are refused when the process knows so many.
    pub symbols_max: usize,
    /// Nanoseconds beyond which a time ahead of the newest one needs another to confirm it: the core's horizon.
    pub horizon: i64,
    /// Epoch of the ids that trades without one are given on standard input or a pipe; of a file's trades it follows
    /// from the file.
    pub epoch: u32,
}

/// What [`FileInput::next_batch`] fills.
#[derive(Debug, Default)]
pub struct InputBatch {
    /// Entries in the order of the log, positions not yet given.
    pub entries: Vec<Entry>,
    /// Rows that became no entry.
    pub bad_rows: Vec<BadRow>,
    /// Rows consumed since the input was opened, of every kind: where [`FileInput::skip_rows`] goes on.
    pub rows: u64,
    /// Rows among them that are not for the log: symbols not asked for, and control lines of a recorded topic.
    pub skipped: u64,
    /// Bytes read so far, as they lie on the disk.
    pub bytes_read: u64,
    /// Bytes of all files; `None` with standard input.
    pub total_bytes: Option<u64>,
}

/// A bounded input that is read from beginning to end. Blocking: give it a thread of its own.
pub struct FileInput {
    merge: Merge,
    names: Names,
    clock: RecordedClock,
    /// False where all of the input has the clock marks of the log that it comes from.
    makes_marks: bool,
    rows: u64,
    skipped: u64,
    bytes_read: Arc<AtomicU64>,
    total_bytes: Option<u64>,
    /// Kept until everything before it is delivered.
    failure: Option<FileError>,
    is_done: bool,
}

impl FileInput {
    /// Opens the files and reads their headers.
    ///
    /// # Errors
    /// When a file cannot be opened, a CSV file has no right header, or nothing is named.
    pub fn open(
        paths: &[PathBuf],
        options: FileOptions,
        symbols: Arc<SymbolTable>,
        sources: Arc<SourceTable>,
    ) -> Result<FileInput, FileError> {
        match paths.iter().filter(|path| path.as_os_str() == "-").count() {
            _ if paths.is_empty() => return Err(FileError::NoInput),
            0 | 1 => {}
            _ => return Err(FileError::StdinTwice),
        }
        let bytes_read = Arc::new(AtomicU64::new(0));
        let (mut readers, mut exported) = (Vec::new(), BTreeMap::<u64, Vec<Described>>::new());
        for path in paths {
            if is_exported(path) {
                let file = Described::read(path)?;
                exported.entry(file.log()).or_default().push(file);
            } else {
                readers.push(Reader::Rows(Box::new(RowReader::open(path, options.epoch, &bytes_read)?)));
            }
        }
        let has_rows = !readers.is_empty();
        for files in exported.into_values() {
            readers.push(Reader::Export(Box::new(ExportReader::new(files, &bytes_read)?)));
        }
        let has_marks = |reader: &Reader| matches!(reader, Reader::Export(export) if export.has_marks());
        let makes_marks = has_rows || !readers.iter().all(has_marks);
        // Standard input, or a pipe with a name, has no size.
        let sizes = paths
            .iter()
            .map(|path| path.metadata().ok().filter(std::fs::Metadata::is_file).map(|file| file.len()));
        Ok(FileInput {
            merge: Merge::new(readers, options.horizon),
            names: Names::new(symbols, sources, options.symbols, options.symbols_max, FILE_SOURCE),
            clock: RecordedClock::new(options.horizon),
            makes_marks,
            rows: 0,
            skipped: 0,
            bytes_read,
            total_bytes: sizes.sum(),
            failure: None,
            is_done: false,
        })
    }

    /// Fills the batch with what the next rows, at most `max_rows`, turn into: an entry or a bad row or nothing each,
    /// and a clock mark behind an entry that makes one due. Returns false at the end of the input.
    ///
    /// # Errors
    /// When a file cannot be read on. Everything before the fault was delivered by earlier calls.
    pub fn next_batch(&mut self, max_rows: usize, batch: &mut InputBatch) -> Result<bool, FileError> {
        batch.entries.clear();
        batch.bad_rows.clear();
        let rows_before = self.rows;
        if !self.is_done
            && let Err(failure) = self.read_rows(max_rows, batch)
        {
            self.failure = Some(failure);
            self.is_done = true;
        }
        batch.rows = self.rows;
        batch.skipped = self.skipped;
        batch.bytes_read = self.bytes_read.load(Ordering::Relaxed);
        batch.total_bytes = self.total_bytes;
        if self.rows > rows_before {
            return Ok(true);
        }
        self.failure.take().map_or(Ok(false), Err)
    }

    /// Goes past the first rows of an input that was opened anew, so that what follows is what followed them then.
    /// Reads them all again, since the clock and the merge depend on what they say. Returns the rows gone past: fewer
    /// than asked for where the input is shorter.
    ///
    /// # Errors
    /// As [`FileInput::next_batch`].
    pub fn skip_rows(&mut self, rows: u64) -> Result<u64, FileError> {
        const ROWS_AT_ONCE: u64 = 4_096;
        let mut batch = InputBatch::default();
        while self.rows < rows {
            let max_rows = (rows - self.rows).min(ROWS_AT_ONCE) as usize;
            if !self.next_batch(max_rows, &mut batch)? {
                break;
            }
        }
        Ok(self.rows)
    }

    fn read_rows(&mut self, max_rows: usize, batch: &mut InputBatch) -> Result<(), FileError> {
        for _ in 0..max_rows {
            let Some(row) = self.merge.next_row(&mut self.names, self.clock.newest())? else { break };
            self.rows += 1;
            match row {
                Row::Entry(entry) => {
                    batch.entries.push(entry);
                    // What a symbol is holds for all time, and what is looked for goes by positions: they tell of none.
                    if matches!(entry.body, Body::Symbol { .. } | Body::Detection { .. }) {
                        continue;
                    }
                    if let Some(time) = self.clock.observe(entry.body.time())
                        && self.makes_marks
                    {
                        let body = Body::ClockMark { source: SourceId::ANY, time };
                        batch.entries.push(Entry { pos: 0, symbol: SymbolId::NONE, body });
                    }
                }
                Row::Bad(bad) => batch.bad_rows.push(*bad),
                Row::Skipped => self.skipped += 1,
            }
        }
        Ok(())
    }
}

/// What rows are read from.
enum Reader {
    /// A file of rows.
    Rows(Box<RowReader>),
    /// All files that were exported of one log.
    Export(Box<ExportReader>),
}

impl Reader {
    #[inline]
    fn next_row(&mut self, names: &mut Names, now: Nanos) -> Result<Option<Row>, FileError> {
        match self {
            Reader::Rows(rows) => rows.next_row(names, now),
            Reader::Export(export) => export.next_row(names, now),
        }
    }
}

/// Takes rows from several files in the order of their times; the order within a file stays. Rows without a time follow
/// the row before them.
struct Merge {
    lanes: Vec<Lane>,
    /// Lanes by the time at which their next row takes its turn, earliest first.
    waiting: BinaryHeap<Reverse<(Nanos, usize)>>,
    /// Lanes whose next row has not been looked at.
    unseen: Vec<usize>,
}

impl Merge {
    fn new(readers: Vec<Reader>, horizon: i64) -> Merge {
        let lanes: Vec<Lane> = readers.into_iter().map(|reader| Lane::new(reader, horizon)).collect();
        Merge { unseen: (0..lanes.len()).collect(), lanes, waiting: BinaryHeap::new() }
    }

    #[inline]
    fn next_row(&mut self, names: &mut Names, now: Nanos) -> Result<Option<Row>, FileError> {
        if let [lane] = &mut self.lanes[..] {
            return lane.reader.next_row(names, now);
        }
        // A row is looked at when its turn may have come, not earlier: a fault there comes after the rows before it.
        while let Some(at) = self.unseen.pop() {
            if let Some(time) = self.lanes[at].next_time(names, now)? {
                self.waiting.push(Reverse((time, at)));
            }
        }
        let Some(Reverse((_, at))) = self.waiting.pop() else { return Ok(None) };
        self.unseen.push(at);
        Ok(self.lanes[at].ahead.pop_front())
    }
}

/// A file among others.
struct Lane {
    reader: Reader,
    horizon: i64,
    /// Newest time of the rows that took their turn in time.
    newest: Nanos,
    /// Rows that were read but not taken: one, or more where a time needs another to confirm it.
    ahead: VecDeque<Row>,
    is_done: bool,
    /// Kept until the rows before it are taken.
    failure: Option<FileError>,
}

/// How many rows are read ahead to find the one that confirms a time far ahead.
const LOOK_AHEAD_MAX: usize = 16;

impl Lane {
    fn new(reader: Reader, horizon: i64) -> Lane {
        Lane { reader, horizon, newest: Nanos::MIN, ahead: VecDeque::new(), is_done: false, failure: None }
    }

    /// Returns the time at which the next row takes its turn, reading it if need be; `None` at the end of the file.
    ///
    /// That is the row's own time. But a single wrong time far ahead must not hold up the rows behind it until the
    /// other files have come so far: when the row behind it is far behind in time as well, its turn is now.
    fn next_time(&mut self, names: &mut Names, now: Nanos) -> Result<Option<Nanos>, FileError> {
        let time = match self.peek(0, names, now) {
            None => return self.failure.take().map_or(Ok(None), Err),
            Some(Row::Entry(entry)) => entry.body.time(),
            Some(Row::Bad(_) | Row::Skipped) => return Ok(Some(self.newest)),
        };
        let is_ahead_of = |other: Nanos, horizon: i64| time.0 > other.0.saturating_add(horizon);
        if self.newest == Nanos::MIN || is_ahead_of(self.newest, self.horizon) {
            for at in 1..LOOK_AHEAD_MAX {
                let horizon = self.horizon;
                match self.peek(at, names, now) {
                    Some(Row::Bad(_) | Row::Skipped) => {}
                    Some(Row::Entry(next)) if is_ahead_of(next.body.time(), horizon) => {
                        return Ok(Some(self.newest));
                    }
                    Some(Row::Entry(_)) | None => break,
                }
            }
        }
        self.newest = self.newest.max(time);
        Ok(Some(time))
    }

    /// Returns a row that is still to be taken, reading up to it.
    fn peek(&mut self, at: usize, names: &mut Names, now: Nanos) -> Option<&Row> {
        while self.ahead.len() <= at && !self.is_done {
            match self.reader.next_row(names, now) {
                Ok(Some(row)) => self.ahead.push_back(row),
                Ok(None) => self.is_done = true,
                Err(failure) => {
                    self.failure = Some(failure);
                    self.is_done = true;
                }
            }
        }
        self.ahead.get(at)
    }
}
