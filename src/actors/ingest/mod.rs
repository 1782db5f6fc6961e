//! Where market data comes from.
//!
//! A *venue* is a market with its protocol: Coinbase. A *provider* is what a run is fed by, by its name in the
//! configuration: a live venue, or the simulator. A *feed* is a running connection to a provider: its symbols, and the
//! state of what came. A *source* is who reported an entry, as the log has it: a venue, the simulator, or what a file
//! names; sources are told apart by name.
//!
//! `shell/` runs every live venue of `venues/`, `failover/` decides which venue of a feed is in charge, `registry.rs` knows
//! them by name, `warm_up/` says which past new symbols get; `simulated/` makes a market up, `file/`
//! reads recorded ones, `kafka/` a topic that other programs write to. All of them hand their entries to the log through `client.rs`.

pub mod client;
pub mod config;
pub mod failover;
pub mod file;
pub mod handle;
pub mod kafka;
pub mod recording;
pub mod registry;
pub mod shell;
pub mod simulated;
mod span;
pub mod time_of_day;
pub mod venue;
pub mod venues;
pub mod warm_up;
