//! Files that `tickwire export` wrote, as one input: all that come from one log are merged in the order of that log.
//!
//! Promises: entries come out in the order in which the log had them, whatever the files are called and wherever a day or
//! a symbol ends. Where what the log held beside its ticks was exported too, the entries are those of the log, clock
//! marks included, so a replay of them is a replay of that log. Files that were copied out of an export by themselves
//! are read as well. Only the files whose entries are due are open, and no more than a page of each column of them is in
//! memory. On failure: a file that is no export's is refused when it is opened; one that is damaged further on is an error
//! that names it, after the entries before it.

use super::error::{BadRow, FileError, RowFault, excerpt, shown};
use super::names::{FILE_SOURCE, KnownSymbol, Names};
use super::row::Row;
use crate::models::entry::{Body, Entry, Position, SourceId, TradeId};
use crate::models::symbol::{SymbolDefinition, SymbolId, SymbolSpec, VenueSymbol};
use crate::models::time::Nanos;
use crate::stores::history::DeadLetterRecord;
use crate::wire::WireError;
use crate::wire::columns::{About, ColumnError, ControlRows, Dataset, TickRows};
use arrow::array::RecordBatch;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::statistics::Statistics;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// First bytes of a Parquet file.
const MAGIC: [u8; 4] = *b"PAR1";

/// The column that orders the rows.
const ORDER_COLUMN: &str = "log_pos";

/// Rows that are taken out of a file at once: some 50 kB in columns, of each of as many files as a day has symbols.
const ROWS_AT_ONCE: usize = 256;

/// What another column says as well.
const NOT_READ: &str = "time";

/// True for a file that begins as a Parquet file does. What cannot be read is none: whoever reads it as text says why.
#[must_use]
pub fn is_exported(path: &Path) -> bool {
    let begins = || -> io::Result<bool> {
        let mut magic = [0; MAGIC.len()];
        File::open(path)?.read_exact(&mut magic)?;
        Ok(magic == MAGIC)
    };
    path.is_file() && begins().unwrap_or(false)
}

/// Returns the files of an export, or of a folder in it, that a replay reads; a file or standard input is itself.
///
/// # Errors
/// [`FileError::Open`] for a folder that cannot be read, [`FileError::Exported`] for one without such files.
pub fn exported_files(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let (mut found, mut folders) = (Vec::new(), vec![path.to_owned()]);
    while let Some(folder) = folders.pop() {
        let failed = |cause| FileError::Open { path: shown(&folder), cause };
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            // What begins so is not data, as in every data set in folders.
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(['_', '.'])) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "parquet")
                && Described::read(&path)?.about.dataset != Dataset::Bars
            {
                found.push(path);
            }
        }
    }
    if found.is_empty() {
        let cause = "the folder holds no ticks of an export".to_owned();
        return Err(FileError::Exported { path: shown(path), cause });
    }
    found.sort_unstable();
    Ok(found)
}

/// A file before its rows are read.
pub(super) struct Described {
    path: PathBuf,
    about: About,
    first: Position,
}

impl Described {
    /// Reads what a file says of itself.
    pub(super) fn read(path: &Path) -> Result<Described, FileError> {
        let refused = |cause: String| FileError::Exported { path: shown(path), cause };
        let input = Reopened::new(path, &Arc::default())
            .map_err(|cause| FileError::Open { path: shown(path), cause })?;
        let metadata = ArrowReaderMetadata::load(&input, ArrowReaderOptions::new())
            .map_err(|error| refused(error.to_string()))?;
        let about = about(metadata.metadata()).map_err(|error| refused(error.to_string()))?;
        let first = first_position(metadata.metadata()).map_err(refused)?;
        Ok(Described { path: path.to_owned(), about, first })
    }

    /// Returns the log that the file comes from.
    pub(super) const fn log(&self) -> u64 {
        self.about.log
    }
}

fn about(metadata: &ParquetMetaData) -> Result<About, crate::wire::columns::AboutError> {
    let pairs = metadata.file_metadata().key_value_metadata();
    About::read(|key| pairs?.iter().find(|pair| pair.key == key)?.value.as_deref())
}

/// Returns the places of the columns that say anything: each costs memory for as long as the file is open.
fn told(metadata: &ParquetMetaData) -> Vec<usize> {
    let columns = metadata.file_metadata().schema_descr().columns();
    let is_told = |at: usize| {
        metadata.row_groups().iter().any(|group| {
            let num_nulls = group.column(at).statistics().and_then(Statistics::null_count_opt);
            num_nulls.is_none_or(|num| i64::try_from(num) != Ok(group.num_rows()))
        })
    };
    (0..columns.len()).filter(|&at| columns[at].name() != NOT_READ && is_told(at)).collect()
}

/// Returns the lowest position in a file; the highest there is of one without rows.
fn first_position(metadata: &ParquetMetaData) -> Result<Position, String> {
    let columns = metadata.file_metadata().schema_descr().columns();
    let at = columns.iter().position(|column| column.name() == ORDER_COLUMN);
    let at = at.ok_or_else(|| ColumnError::Missing(ORDER_COLUMN).to_string())?;
    let Some(group) = metadata.row_groups().first() else { return Ok(Position::MAX) };
    match group.column(at).statistics() {
        Some(Statistics::Int64(of)) => of.min_opt().map(|first| first.cast_unsigned()).ok_or_else(unordered),
        _ => Err(unordered()),
    }
}

fn unordered() -> String {
    format!("it does not say where its `{ORDER_COLUMN}` begins")
}

/// Files of one log that are being read.
pub(super) struct ExportReader {
    /// Files that are not open yet, the one that begins first last.
    waiting: Vec<Described>,
    /// Open files; one that was read to its end leaves its place to another.
    open: Vec<Option<Exported>>,
    /// Open files by the position of their next row.
    due: BinaryHeap<Reverse<(Position, usize)>>,
    /// True when clock marks are among the entries.
    has_marks: bool,
    /// Entries that come before the next row: what a symbol is, where the export has not said it.
    ahead: Vec<Entry>,
    defined: Vec<SymbolId>,
    bytes_read: Arc<AtomicU64>,
    /// Kept until the rows before it are taken.
    failure: Option<FileError>,
}

impl ExportReader {
    pub(super) fn new(
        mut files: Vec<Described>,
        bytes_read: &Arc<AtomicU64>,
    ) -> Result<ExportReader, FileError> {
        if let Some(file) = files.iter().find(|file| file.about.dataset == Dataset::Bars) {
            let cause = "it holds bars; a replay makes bars of ticks".to_owned();
            return Err(FileError::Exported { path: shown(&file.path), cause });
        }
        files.sort_unstable_by(|a, b| (b.first, &b.path).cmp(&(a.first, &a.path)));
        Ok(ExportReader {
            has_marks: files.iter().any(|file| file.about.dataset == Dataset::Control),
            waiting: files,
            open: Vec::new(),
            due: BinaryHeap::new(),
            ahead: Vec::new(),
            defined: Vec::new(),
            bytes_read: Arc::clone(bytes_read),
            failure: None,
        })
    }

    /// True when the clock marks of the log are among the entries.
    pub(super) const fn has_marks(&self) -> bool {
        self.has_marks
    }

    /// Returns the next row. `now` is the time that stands in a dead letter.
    pub(super) fn next_row(&mut self, names: &mut Names, now: Nanos) -> Result<Option<Row>, FileError> {
        if let Some(entry) = self.ahead.pop() {
            return Ok(Some(Row::Entry(entry)));
        }
        while self.failure.is_none()
            && self
                .waiting
                .last()
                .is_some_and(|next| self.due.peek().is_none_or(|Reverse((due, _))| next.first <= *due))
        {
            let next = self.waiting.pop().expect("there is one");
            if let Err(failure) = self.begin(next, names) {
                self.fail(failure);
            }
        }
        let Some(Reverse((_, at))) = self.due.pop() else {
            return self.failure.take().map_or(Ok(None), Err);
        };
        let file = self.open[at].as_mut().expect("what is due is open");
        let row = file.row(names, now);
        match file.advance() {
            Ok(true) => self.due.push(Reverse((file.pos(), at))),
            Ok(false) => self.open[at] = None,
            Err(failure) => {
                self.open[at] = None;
                self.fail(failure);
            }
        }
        Ok(Some(row))
    }

    /// Ends the reading: nothing may follow a row that cannot be read.
    fn fail(&mut self, failure: FileError) {
        self.waiting.clear();
        self.due.clear();
        self.failure = Some(failure);
    }

    /// Opens a file and has its first row wait for its turn.
    fn begin(&mut self, file: Described, names: &mut Names) -> Result<(), FileError> {
        let mut file = Exported::open(file, names, &self.bytes_read)?;
        if let Some(definition) = self.definition_of(&file) {
            self.ahead.push(definition);
        }
        if !file.advance()? {
            return Ok(());
        }
        let free = self.open.iter().position(Option::is_none).unwrap_or(self.open.len());
        self.due.push(Reverse((file.pos(), free)));
        match self.open.get_mut(free) {
            Some(place) => *place = Some(file),
            None => self.open.push(Some(file)),
        }
        Ok(())
    }

    /// Returns an entry that says what the symbol of a file is, where no entry of the log is going to say it and it is not
    /// what a symbol is unless said otherwise.
    fn definition_of(&mut self, file: &Exported) -> Option<Entry> {
        let (known, spec) = file.symbol.as_ref()?;
        let is_usual = {
            let usual = SymbolSpec::named(&spec.name);
            (usual.price_scale, usual.size_scale, usual.price)
                == (spec.price_scale, spec.size_scale, spec.price)
        };
        if self.has_marks || is_usual || known.id == SymbolId::NONE || self.defined.contains(&known.id) {
            return None;
        }
        self.defined.push(known.id);
        let definition = SymbolDefinition::of(spec, VenueSymbol::default());
        let body = Body::Symbol { source: file.file_source, received: Nanos::MIN, definition };
        Some(Entry { pos: 0, symbol: known.id, body })
    }
}

/// Rows of either kind.
enum Rows {
    Ticks(Box<TickRows>),
    Control(Box<ControlRows>),
}

/// One open file.
struct Exported {
    path: PathBuf,
    dataset: Dataset,
    log: u64,
    /// The symbol of its ticks, as the process knows it, and as the file describes it.
    symbol: Option<(KnownSymbol, SymbolSpec)>,
    file_source: SourceId,
    reader: ParquetRecordBatchReader,
    rows: Option<Rows>,
    /// The next row of them.
    at: usize,
    /// Rows before them.
    num_before: u64,
}

impl Exported {
    fn open(file: Described, names: &mut Names, bytes_read: &Arc<AtomicU64>) -> Result<Exported, FileError> {
        let Described { path, about, .. } = file;
        let refused = |cause: String| FileError::Exported { path: shown(&path), cause };
        let symbol = match (about.dataset, about.symbol) {
            (Dataset::Ticks, None) => {
                return Err(refused("it does not say of which symbol it is".to_owned()));
            }
            (_, None) => None,
            (_, Some(spec)) => {
                Some((names.define(spec.clone()).map_err(|fault| refused(fault.to_string()))?, spec))
            }
        };
        let file_source = names.source(None).map_err(|fault| refused(fault.to_string()))?;
        let input = Reopened::new(&path, bytes_read)
            .map_err(|cause| FileError::Open { path: shown(&path), cause })?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(input)
            .and_then(|builder| {
                let columns = ProjectionMask::leaves(builder.parquet_schema(), told(builder.metadata()));
                builder.with_projection(columns).with_batch_size(ROWS_AT_ONCE).build()
            })
            .map_err(|error| refused(error.to_string()))?;
        let (dataset, log) = (about.dataset, about.log);
        Ok(Exported { path, dataset, log, symbol, file_source, reader, rows: None, at: 0, num_before: 0 })
    }

    fn num_rows(&self) -> usize {
        match &self.rows {
            None => 0,
            Some(Rows::Ticks(rows)) => rows.len(),
            Some(Rows::Control(rows)) => rows.len(),
        }
    }

    /// Goes on to the next row; false at the end.
    fn advance(&mut self) -> Result<bool, FileError> {
        if self.rows.is_some() {
            self.at += 1;
        }
        while self.at >= self.num_rows() {
            let Some(batch) = self.reader.next() else { return Ok(false) };
            let failed = |cause: String| FileError::Read {
                path: shown(&self.path),
                row: self.num_before + self.num_rows() as u64,
                cause: io::Error::new(io::ErrorKind::InvalidData, cause),
            };
            let batch = batch.map_err(|error| failed(error.to_string()))?;
            let rows = self.rows_of(&batch).map_err(|error| failed(error.to_string()))?;
            self.num_before += self.num_rows() as u64;
            self.rows = Some(rows);
            self.at = 0;
        }
        Ok(true)
    }

    fn rows_of(&self, batch: &RecordBatch) -> Result<Rows, ColumnError> {
        match self.dataset {
            Dataset::Control => ControlRows::of(batch).map(|rows| Rows::Control(Box::new(rows))),
            Dataset::Ticks | Dataset::Bars => TickRows::of(batch).map(|rows| Rows::Ticks(Box::new(rows))),
        }
    }

    /// Returns the position of the next row.
    fn pos(&self) -> Position {
        match self.rows.as_ref().expect("there is a next row") {
            Rows::Ticks(rows) => rows.pos(self.at),
            Rows::Control(rows) => rows.pos(self.at),
        }
    }

    /// Reads the next row.
    fn row(&self, names: &mut Names, now: Nanos) -> Row {
        match self.entry(names) {
            Ok(Some(entry)) => Row::Entry(entry),
            Ok(None) => Row::Skipped,
            Err(fault) => {
                let record = DeadLetterRecord {
                    reason: fault.word().to_owned(),
                    symbol: self.symbol.as_ref().map(|(_, spec)| spec.name.clone()),
                    provider: FILE_SOURCE.to_owned(),
                    received_at: if now == Nanos::MIN { Nanos(0) } else { now },
                    payload: format!("position {} of log {:016x}", self.pos(), self.log),
                    pos: None,
                    origin: format!("{}:{}", shown(&self.path), self.num_before + self.at as u64 + 1),
                    id: 0,
                };
                Row::Bad(Box::new(BadRow { record, fault }))
            }
        }
    }

    fn entry(&self, names: &mut Names) -> Result<Option<Entry>, RowFault> {
        match self.rows.as_ref().expect("there is a next row") {
            Rows::Ticks(rows) => {
                let Some((known, _)) = self.symbol.as_ref().filter(|(known, _)| known.id != SymbolId::NONE)
                else {
                    return Ok(None);
                };
                let source = names.source(rows.provider(self.at).map(str::as_bytes))?;
                let given = TradeId::given(self.log as u32, rows.pos(self.at));
                let scales = (known.price_scale, known.size_scale);
                let body = rows.body(self.at, scales, source, given).map_err(fault_of)?;
                Ok(Some(Entry { pos: 0, symbol: known.id, body }))
            }
            Rows::Control(rows) => {
                let source = match rows.source(self.at) {
                    Some(name) => names.source(Some(name.as_bytes()))?,
                    None => SourceId::ANY,
                };
                let body = rows.body(self.at, source).map_err(fault_of)?;
                let symbol = match (rows.symbol(self.at), &body) {
                    (None, _) => SymbolId::NONE,
                    (Some(name), Body::Symbol { definition, .. }) => {
                        match names.redefine(name, definition)? {
                            Some(symbol) => symbol,
                            None => return Ok(None),
                        }
                    }
                    (Some(name), _) => match names.symbol(name.as_bytes())? {
                        Some(known) => known.id,
                        None => return Ok(None),
                    },
                };
                Ok(Some(Entry { pos: 0, symbol, body }))
            }
        }
    }
}

fn fault_of(error: WireError) -> RowFault {
    match error {
        WireError::Missing(field) => RowFault::Missing { field },
        WireError::Word { field, found } => {
            RowFault::Invalid { field, problem: "no word for it", found: excerpt(found.as_bytes()) }
        }
        WireError::Number { field, cause } => RowFault::Number { field, cause, found: String::new() },
    }
}

/// A file that is opened for each piece that is read: a day has as many files as symbols, and a process may have only so
/// many of them open.
struct Reopened {
    path: PathBuf,
    len: u64,
    bytes_read: Arc<AtomicU64>,
}

impl Reopened {
    fn new(path: &Path, bytes_read: &Arc<AtomicU64>) -> io::Result<Reopened> {
        let len = path.metadata()?.len();
        Ok(Reopened { path: path.to_owned(), len, bytes_read: Arc::clone(bytes_read) })
    }

    fn at(&self, start: u64) -> Result<File, ParquetError> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(start))?;
        Ok(file)
    }
}

impl Length for Reopened {
    fn len(&self) -> u64 {
        self.len
    }
}

impl ChunkReader for Reopened {
    type T = io::BufReader<File>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        // For the header of a page: what follows is read by itself.
        Ok(io::BufReader::with_capacity(512, self.at(start)?))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let mut bytes = Vec::with_capacity(length);
        self.at(start)?.take(length as u64).read_to_end(&mut bytes)?;
        if bytes.len() != length {
            return Err(ParquetError::EOF(format!("{} bytes of {length} are left", bytes.len())));
        }
        self.bytes_read.fetch_add(length as u64, Ordering::Relaxed);
        Ok(Bytes::from(bytes))
    }
}
