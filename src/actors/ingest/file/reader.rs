//! One file of rows: opened by what it holds, read row by row.

use super::csv::Columns;
use super::error::{BadRow, FileError, RowFault, excerpt, shown};
use super::fingerprint::{GZIP_MAGIC, epoch_of};
use super::frames::Frames;
use super::json::{self, Record};
use super::lines::{EXCERPT_LEN, LINE_LEN_MAX, Line, LineReader};
use super::names::{FILE_SOURCE, Names};
use super::row::Row;
use super::scan::scan;
use crate::actors::ingest::recording::MAGIC;
use crate::models::entry::{Entry, TradeId};
use crate::models::time::Nanos;
use crate::stores::history::DeadLetterRecord;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

enum Format {
    Json,
    Csv(Columns),
    /// What a venue sent.
    Frames(Box<Frames>),
}

/// A file that is being read.
pub(super) struct RowReader {
    /// How messages call it.
    path: String,
    lines: LineReader,
    format: Format,
    is_gzip: bool,
    /// Lines taken so far, the header among them: the number of the row that was read last.
    row: u64,
    /// Epoch of given ids.
    epoch: u32,
}

impl RowReader {
    /// Opens a file, or standard input where the path is `-`, and reads the header. Trades without an id are given one
    /// of an epoch that follows from the file's beginning; `epoch` is that of what is no file. `bytes_read` counts what
    /// is read.
    pub(super) fn open(path: &Path, epoch: u32, bytes_read: &Arc<AtomicU64>) -> Result<RowReader, FileError> {
        let counted = |input: Box<dyn Read + Send>| Counted { input, count: Arc::clone(bytes_read) };
        if path.as_os_str() == "-" {
            let lines = LineReader::new(Box::new(counted(Box::new(io::stdin()))));
            let path = "-".to_owned();
            return Ok(RowReader { path, lines, format: Format::Json, is_gzip: false, row: 0, epoch });
        }
        let epoch = epoch_of(path)?.unwrap_or(epoch);
        let shown = shown(path);
        let failed = |cause| FileError::Open { path: shown.clone(), cause };
        let mut file = File::open(path).map_err(failed)?;
        let mut magic = Vec::new();
        (&mut file).take(2).read_to_end(&mut magic).map_err(failed)?;
        let is_gzip = magic == GZIP_MAGIC;
        let whole = counted(Box::new(io::Cursor::new(magic).chain(file)));
        let mut lines = LineReader::new(if is_gzip {
            Box::new(MultiGzDecoder::new(io::BufReader::with_capacity(64 * 1024, whole)))
        } else {
            Box::new(whole)
        });
        let byte_order_mark = b"\xef\xbb\xbf";
        if lines.peek().starts_with(byte_order_mark) {
            lines.drop_front(byte_order_mark.len());
        }
        let is_json = is_json(path, lines.peek());
        let mut reader = RowReader { path: shown, lines, format: Format::Json, is_gzip, row: 0, epoch };
        if !is_json {
            reader.format = Format::Csv(reader.read_header()?);
        }
        Ok(reader)
    }

    fn read_header(&mut self) -> Result<Columns, FileError> {
        let header = match self.lines.next_line() {
            Ok(Some(Line::Whole(line) | Line::TooLong(line))) => line,
            Ok(None) => b"",
            Err(cause) => return Err(self.read_error(cause)),
        };
        if header.trim_ascii().is_empty() {
            return Err(FileError::Empty { path: self.path.clone() });
        }
        let columns = Columns::from_header(header).map_err(|missing| FileError::Header {
            path: self.path.clone(),
            missing,
            found: excerpt(header),
        })?;
        self.row = 1;
        Ok(columns)
    }

    /// Returns the next row that is not blank. `now` is the time that stands in a dead letter of a row without one.
    #[inline]
    pub(super) fn next_row(&mut self, names: &mut Names, now: Nanos) -> Result<Option<Row>, FileError> {
        loop {
            if let Format::Frames(frames) = &mut self.format
                && let Some(row) = frames.next()
            {
                return Ok(Some(row));
            }
            let line = match self.lines.next_line() {
                Ok(Some(line)) => line,
                Ok(None) => {
                    let Format::Frames(frames) = &mut self.format else { return Ok(None) };
                    return Ok(frames.next_of_rest());
                }
                Err(cause) => return Err(self.read_error(cause)),
            };
            self.row += 1;
            let Line::Whole(text) = line else {
                let (Line::Whole(text) | Line::TooLong(text)) = line;
                let fault = RowFault::TooLong { max: LINE_LEN_MAX };
                return Ok(Some(Row::Bad(bad_row(&self.path, self.row, &self.format, text, fault, now))));
            };
            if self.row == 1 && text.starts_with(MAGIC.as_bytes()) {
                let failed = |cause| FileError::Frames { path: self.path.clone(), cause };
                self.format = Format::Frames(Box::new(Frames::begin(text, names).map_err(failed)?));
                continue;
            }
            let given = TradeId::given(self.epoch, self.row);
            let read = match &mut self.format {
                Format::Json => match scan(text) {
                    Some(row) => row.entry(names, given).map(Option::<Entry>::into),
                    None if text.trim_ascii().is_empty() => continue,
                    None => json::read(text, names, given),
                },
                Format::Csv(_) | Format::Frames(_) if text.trim_ascii().is_empty() => continue,
                Format::Frames(frames) => {
                    match frames.read(text, &format!("{}:{}", self.path, self.row), now) {
                        Ok(()) => continue,
                        Err(fault) => Err(fault),
                    }
                }
                Format::Csv(columns) => {
                    columns.read(text, |row| row.entry(names, given)).map(Option::<Entry>::into)
                }
            };
            return Ok(Some(match read {
                Ok(Record::Entry(entry)) => Row::Entry(entry),
                Ok(Record::Skipped) => Row::Skipped,
                Err(fault) => Row::Bad(bad_row(&self.path, self.row, &self.format, text, fault, now)),
            }));
        }
    }

    fn read_error(&self, cause: io::Error) -> FileError {
        let (path, row) = (self.path.clone(), self.row);
        if self.is_gzip { FileError::Gzip { path, row, cause } } else { FileError::Read { path, row, cause } }
    }
}

/// True for a file of JSON lines: by its name, else by its first character.
fn is_json(path: &Path, head: &[u8]) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("json" | "jsonl" | "ndjson") => true,
        Some("csv") => false,
        _ => head.trim_ascii_start().first().is_none_or(|&byte| byte == b'{'),
    }
}

#[cold]
fn bad_row(path: &str, row: u64, format: &Format, text: &[u8], fault: RowFault, now: Nanos) -> Box<BadRow> {
    let (symbol, provider) = match (format, &fault) {
        (Format::Frames(_), _) | (_, RowFault::TooLong { .. }) => (None, None),
        (Format::Json, _) => json::labels(text),
        (Format::Csv(columns), _) => (columns.symbol(text), None),
    };
    let payload = String::from_utf8_lossy(&text[..text.len().min(EXCERPT_LEN)]).into_owned();
    let record = DeadLetterRecord {
        reason: fault.word().to_owned(),
        symbol,
        provider: provider.unwrap_or_else(|| FILE_SOURCE.to_owned()),
        received_at: if now == Nanos::MIN { Nanos(0) } else { now },
        payload,
        pos: None,
        origin: format!("{path}:{row}"),
        id: 0,
    };
    Box::new(BadRow { record, fault })
}

/// Counts the bytes that are read.
struct Counted {
    input: Box<dyn Read + Send>,
    count: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.input.read(buffer)?;
        self.count.fetch_add(len as u64, Ordering::Relaxed);
        Ok(len)
    }
}
