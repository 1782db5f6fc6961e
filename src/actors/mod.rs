//! Who does it, when: the stages of the data path, and what they publish for readers.
//!
//! ```text
//! provider ─► log ─┬► router ─► symbol ─► fan-out ─► sinks (history), hub
//!                  └► log writer
//! ```

pub mod catch_up;
pub mod fanout;
pub mod faults;
pub mod guard;
pub mod hub;
pub mod journal;
pub mod log;
pub mod log_writer;
pub mod marks;
pub mod messages;
pub mod pipeline;
pub mod providers;
pub mod read_back;
pub mod recovered;
pub mod recovery;
pub mod retention;
pub mod router;
pub mod shard;
pub mod sinks;
pub mod symbol;
pub mod views;
