//! The history in PostgreSQL: ticks, bars, indicators and dead letters, in the tables that users know.
//!
//! Promises: rows go in exactly once, since how far the log is done with is committed with them; a writer that finds that
//! somebody else has moved it writes nothing any more. Nothing here makes or changes a table but [`migrate`].
//! On failure: every error of the server has a class in `error`, and with it an answer to whether another try helps.

mod address;
mod alerts;
mod connect;
mod copy;
mod dead_letters;
mod error;
mod exact;
pub mod migrate;
mod progress;
mod read;
mod schema;
mod settings;
mod signals;
mod store;
mod symbols;
mod ticks;
mod windows;

pub use address::check_url;
pub use settings::PostgresSettings;
pub use store::PostgresHistory;
