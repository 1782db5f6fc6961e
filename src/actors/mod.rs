//! The actors: the stages of the data path, and what they publish for readers.
//!
//! ```text
//! ingest ─► partition (log ─► router ─► symbol ─► fan-out) ─► sinks (history), hub
//! ```

pub mod alerts;
pub mod buffers;
pub mod channels;
pub mod conditions;
pub mod environment;
pub mod faults;
pub mod guard;
pub mod health;
pub mod hub;
pub mod ingest;
pub mod looked_for;
pub mod messages;
pub mod partition;
pub mod pipeline;
pub(crate) mod retry_after;
pub mod sinks;
pub mod snapshots;
pub mod source_clocks;
