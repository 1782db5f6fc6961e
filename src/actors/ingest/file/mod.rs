//! Recorded trades: CSV, JSON lines and the raw frames of a venue, plain or gzip, from files or standard input, and what
//! `tickwire export` wrote, as entries of the log.
//!
//! Promises: one input gives one sequence of entries, clock marks included, whatever the size of the batches; several
//! files are merged by time, and the order within a file is kept; a row that cannot be read stops nothing, but comes
//! out as a dead letter that says what is wrong and where. On failure (unreadable file, wrong header, cut-off gzip)
//! everything before the fault is delivered first.

mod answers;
mod clock;
mod csv;
mod error;
mod exported;
mod fingerprint;
mod frames;
mod input;
mod json;
mod lines;
mod message;
mod names;
mod reader;
mod row;
mod scan;

pub(super) use clock::RecordedClock;
pub use error::{BadRow, FileError, RowFault};
pub use exported::{exported_files, is_exported};
pub use fingerprint::content_hash;
pub use input::{FileInput, FileOptions, InputBatch};
pub use message::MessageReader;
