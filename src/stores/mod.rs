//! What outlives the process: the log of entries with its checkpoints, and the history of what came out of it.
//!
//! Each is a room with its traits in `mod.rs` and a folder an implementation; `sqlite` holds what the files of both have
//! in common. The traits are the seams for other backends. Every implementation promises: an entry whose append was
//! acknowledged is there after a crash of the process; writes to the history are idempotent by key and log position,
//! and of two rows that meet under one key the one with the higher log position stays.

pub mod cache;
pub mod error;
pub mod history;
pub mod influxdb;
pub mod kafka;
pub mod log;
pub mod sqlite;

pub use error::StoreError;
