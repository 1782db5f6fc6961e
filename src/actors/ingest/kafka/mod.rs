//! The venue `kafka`: ticks that other programs write to a topic, those of the former system among them.
//!
//! It is no venue of the shell: there is nobody to subscribe with, a topic keeps what was not read, and so nothing that was
//! missed has to be fetched. A thread finds the topic (`search`) and reads it (`reader`), all partitions in the order of event times (`merge`, `lane`); the
//! feed hands what it reads to the log (`feed`), together with how far the topic has been read (`positions`).
//!
//! Promises: each message becomes one entry or one dead letter, whatever is killed when; a message that cannot be read holds up
//! nothing. What the log does not take is not read either, so a backlog of any length needs no memory. A symbol is one symbol
//! whatever partitions it stands in. On failure (brokers away, no such topic) health says so, and the reading goes on where it
//! was as soon as it can. What a topic has dropped before it was read is a gap.

mod begin;
pub mod config;
mod ends;
mod feed;
mod inbox;
mod lane;
mod losses;
mod merge;
mod plan;
pub mod positions;
mod quiet;
mod reader;
mod search;
mod standing;

pub use feed::start;
pub use plan::TopicPlan;
