//! What can be wrong with a file as a whole, and with one of its rows.

use crate::models::ledger::{FUTURE_VERSION, RejectReason, TOO_MANY_SYMBOLS};
use crate::models::num::NumError;
use crate::stores::history::DeadLetterRecord;
use crate::visible::visible;
use std::io;
use std::path::Path;

/// Why an input cannot be read, or not to its end. Names the file, the row and what to do next.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// No file was named.
    #[error("no input; name at least one file, or `-` for standard input")]
    NoInput,
    /// Standard input was named twice.
    #[error("`-` is given twice; standard input can be read only once")]
    StdinTwice,
    /// The file cannot be opened.
    #[error("cannot open `{path}`: {cause}; check the path and its permissions")]
    Open {
        /// The file.
        path: String,
        /// What the system said.
        cause: io::Error,
    },
    /// Reading failed in the middle.
    #[error(
        "cannot read `{path}` beyond row {row}: {cause}; what stands before it was read, check the disk and repeat"
    )]
    Read {
        /// The file.
        path: String,
        /// Last row that was read.
        row: u64,
        /// What the system said.
        cause: io::Error,
    },
    /// A gzip file ends too early or is damaged.
    #[error(
        "`{path}` is cut off or damaged behind row {row} ({cause}); what stands before it was read, fetch the file again and repeat"
    )]
    Gzip {
        /// The file.
        path: String,
        /// Last row that was read.
        row: u64,
        /// What the decoder said.
        cause: io::Error,
    },
    /// A CSV file has no byte in it, or nothing but blanks.
    #[error("`{path}` is empty: its first row must name `ts_ns,symbol,price,size,trade_id`")]
    Empty {
        /// The file.
        path: String,
    },
    /// A CSV file does not begin with the header.
    #[error(
        "row 1 of `{path}` does not name {missing} (once): `{found}`; the first row must name `ts_ns,symbol,price,size,trade_id`"
    )]
    Header {
        /// The file.
        path: String,
        /// Columns that are not named.
        missing: String,
        /// The beginning of the first row.
        found: String,
    },
    /// A file, or a folder, is none that an export wrote, or is damaged.
    #[error("`{path}` cannot be replayed: {cause}")]
    Exported {
        /// The file or folder.
        path: String,
        /// What is wrong.
        cause: String,
    },
    /// A file begins as recorded frames do, and is none that can be read.
    #[error("the frames recorded in `{path}` cannot be read: {cause}")]
    Frames {
        /// The file.
        path: String,
        /// What is wrong.
        cause: String,
    },
}

/// A row that became no entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// What goes to the dead letters.
    pub record: DeadLetterRecord,
    /// What is wrong, for people.
    pub fault: RowFault,
}

/// Why a row is no entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowFault {
    /// The row is not UTF-8.
    #[error("row is not utf-8 text")]
    NotUtf8,
    /// The row is longer than a row can be.
    #[error("row is longer than {max} bytes")]
    TooLong {
        /// The limit in bytes.
        max: usize,
    },
    /// The row is not one JSON object.
    #[error("row is not a json object: {cause}")]
    NotJson {
        /// What the parser said.
        cause: String,
    },
    /// The venue's parser cannot read a recorded frame.
    #[error("frame cannot be read: {cause}")]
    Frame {
        /// What the parser said.
        cause: String,
    },
    /// The row has more or fewer columns than the header.
    #[error("row has {found} columns, the header has {expected}")]
    NumColumns {
        /// Columns of the header.
        expected: usize,
        /// Columns of the row.
        found: usize,
    },
    /// The row names a new symbol although there are as many as may be.
    #[error("`{symbol}` is one symbol too many; {max} are known, `core.max_symbols` sets the limit")]
    TooManySymbols {
        /// The symbol.
        symbol: String,
        /// The limit.
        max: usize,
    },
    /// The message is of a version that is not known here.
    #[error("message is of version {found}, and this program reads none above 1")]
    FutureVersion {
        /// Its version.
        found: u64,
    },
    /// The message tells of an event that lies far behind the moment at which it was received.
    #[error("the event is minutes later than when its message was received")]
    Future,
    /// A field that must be there is not, or is empty.
    #[error("`{field}` is missing")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// A field has a value that it cannot have.
    #[error("`{field}` is {problem}: `{found}`")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
        /// The beginning of what stands there.
        found: String,
    },
    /// A price or size is not a number that can be used.
    #[error("`{field}` is unusable, {cause}: `{found}`")]
    Number {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        cause: NumError,
        /// The beginning of what stands there.
        found: String,
    },
    /// A time lies outside the years that nanoseconds can count (1677 to 2262).
    #[error("`{field}` is outside the range of nanoseconds: `{found}`")]
    TimeRange {
        /// The field.
        field: &'static str,
        /// The beginning of what stands there.
        found: String,
    },
}

impl RowFault {
    /// Returns the reason under which the row is counted.
    #[must_use]
    pub fn reason(&self) -> RejectReason {
        match self {
            RowFault::Number { field, .. } if field.ends_with("size") || *field == "volume" => {
                RejectReason::BadSize
            }
            RowFault::Number { .. } => RejectReason::BadPrice,
            RowFault::TimeRange { .. } | RowFault::Future => RejectReason::BadTime,
            _ => RejectReason::Malformed,
        }
    }

    /// Returns the word for it in dead letters.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            RowFault::TooManySymbols { .. } => TOO_MANY_SYMBOLS,
            RowFault::FutureVersion { .. } => FUTURE_VERSION,
            _ => self.reason().as_str(),
        }
    }
}

/// Returns a path as it may stand in a message.
pub(super) fn shown(path: &Path) -> String {
    visible(&path.display().to_string()).into_owned()
}

/// Returns the beginning of a value as it may stand in a message.
pub(super) fn excerpt(text: &[u8]) -> String {
    const EXCERPT_LEN_MAX: usize = 80;
    let shown = String::from_utf8_lossy(&text[..text.len().min(EXCERPT_LEN_MAX)]);
    let mut shown = visible(&shown).into_owned();
    if text.len() > EXCERPT_LEN_MAX {
        shown.push('…');
    }
    shown
}
