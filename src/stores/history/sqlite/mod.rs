//! The history in SQLite: `history.db`, with bars, indicators and dead letters.

mod check;
mod dead_letters;
mod file;
mod store;
mod windows;

pub use check::{check_history, missing_windows};
pub use store::SqliteHistory;
