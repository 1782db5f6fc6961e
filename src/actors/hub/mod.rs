//! Serves live clients: encodes what the shards report into frames, once each, and hands them to the threads on which
//! the clients' sessions run.
//!
//! Promises: closed, amended and void bars and their indicators reach every thread in order, each once; nothing here
//! waits for a client. Bars are published once the log holds the entries they follow from, so that no crash takes back
//! what a client got; ticks and forming bars do not wait. When too much waits, ticks are dropped and counted. On
//! failure: a panic loses the frames of the message it happened on. Clients see the hole by the numbers, and one that
//! resumes gets what it missed from the history.

mod actor;
mod answer;
pub mod demand;
pub mod frame;
mod held;
mod job;
pub mod last_values;
pub mod ledgers;
pub mod messages;
mod pace;
mod pending;
mod periodic;
mod publish;
mod resume;
pub mod system;
pub mod topic;
mod worker;

pub use actor::{HubActor, HubSettings};
