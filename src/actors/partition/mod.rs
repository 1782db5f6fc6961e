//! The data path: from the log to the effects that leave it, a unit for each partition of the log.
//!
//! ```text
//! log ─┬► unit (reader ─► router ─► symbol ─► fan-out; recovery) ─► sinks, hub
//!      └► log writer
//! ```

pub mod catch_up;
pub mod durability;
pub mod fanout;
pub mod in_process;
pub mod journal;
pub mod log;
pub mod log_writer;
pub mod marks;
pub mod missed;
pub mod needed;
pub mod outbox;
pub mod rebuild;
pub mod recovered;
pub mod recovery;
pub mod retention;
pub mod router;
pub mod shard;
pub mod shards;
pub mod symbol;
pub mod unit;
