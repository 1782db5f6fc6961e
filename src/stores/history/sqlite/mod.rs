//! The history in SQLite: `history.db`, with bars, indicators, dead letters, anomalies, predictions and alerts.

mod alerts;
mod check;
mod dead_letters;
mod file;
mod signals;
mod store;
mod windows;

pub use check::{check_history, missing_windows};
pub use store::SqliteHistory;
