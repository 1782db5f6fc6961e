//! Serves live clients: turns what the shards say into frames, once each, and hands them to the threads on which the
//! clients' sessions run.
//!
//! Promises: closed, amended and void bars and their indicators reach every thread in order, each once; nothing here
//! waits for a client. Bars are told once the log holds what they follow from, so that no crash takes back what a
//! client was told; ticks and forming bars do not wait. When too much waits, ticks are left out and counted.
//! On failure: a panic loses the frames of the batch it happened on; the numbers show clients the hole.

mod actor;
mod answer;
pub mod board;
pub mod frame;
pub mod interest;
mod job;
pub mod messages;
mod pace;
mod pending;
mod resume;
pub mod topic;

pub use actor::{HubActor, HubSettings};
