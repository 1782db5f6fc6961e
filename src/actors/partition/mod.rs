//! The data path of one process: from the log to the effects that leave it.
//!
//! ```text
//! log ─┬► router ─► symbol ─► fan-out ─► sinks, hub
//!      └► log writer
//! ```

pub mod catch_up;
pub mod fanout;
pub mod journal;
pub mod log;
pub mod log_writer;
pub mod marks;
pub mod read_back;
pub mod recovered;
pub mod recovery;
pub mod retention;
pub mod router;
pub mod shard;
pub mod symbol;
