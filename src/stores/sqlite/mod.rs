//! What the two SQLite files of the data directory have in common: the log in `log.db` ([`super::log::sqlite`]) and the
//! history in `history.db` ([`super::history::sqlite`]).
//!
//! Both are in WAL mode and readable by any other program while this one runs: `tick_data`, `aggregated_data`,
//! `technical_indicators` and `dead_letters` are the relations made for people. With [`Synchronous::Normal`] what was
//! acknowledged survives the end of the process by whatever signal; a loss of power may take the last commits, never
//! the consistency of the file. [`Synchronous::Full`] survives that too, at the price of one flush a commit.
//!
//! Rows carry checksums (see `checked`): what the disk has changed is an error that names the row, and the rest stays
//! readable.
//!
//! A failure is transient where another try can help (busy, disk full, I/O) and permanent otherwise (foreign or damaged
//! file, a schema of another version). After a failure nothing of the group or batch is in the file.

pub mod check;
pub(super) mod checked;
pub(super) mod database;
pub(super) mod meta;
pub(super) mod names;
pub mod settings;

pub use settings::{SqliteSettings, Synchronous};
