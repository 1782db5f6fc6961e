//! The log in SQLite: `log.db`, with entries in parts, an index of ticks by symbol, checkpoints, progress and poison.

mod blocks;
mod check;
mod checkpoints;
mod file;
mod known;
mod parts;
mod rows;
mod store;
mod ticks;

pub use check::check_log;
pub use store::SqliteLog;
