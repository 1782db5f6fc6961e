//! The simulated venue: a market that needs no keys and no network, and repeats itself for a seed.
//!
//! Promises: everything but `feed.rs` and `past.rs` is pure. No clock is read; the same settings give the same entries,
//! however the calls are divided. [`Market`] makes clean trades, [`History`] makes the trades before them, and
//! [`FaultInjector`] makes of them what a bad feed would deliver; `testkit` says what the result must be. Nothing here
//! fails: [`SimulatedConfig::validate`] refuses what cannot work, and whoever starts it refuses a rate that is not positive.

mod calendar;
mod config;
mod connection;
mod draws;
mod faults;
mod feed;
mod history;
mod injector;
mod market;
mod past;
mod symbols;

pub use config::SimulatedConfig;
pub use faults::{Episodes, InjectedFaults, Shift, Spike};
pub use feed::{MarketChange, SimulatedFeed, start};
pub use history::{History, HistorySettings};
pub use injector::{FaultInjector, InjectedCounts};
pub use market::{Market, MarketSettings, SimulatedSymbol, TICK};
pub use past::PastSettings;
pub use symbols::{initial_price, symbol_names};
