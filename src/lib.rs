//! Tickwire: real-time market data in; bars and indicators out.
//!
//! Imports run one way: `models ◄ wire, names ◄ stores ◄ actors ◄ web ◄ app`; `tests/it/layers.rs` holds the order.

pub mod actors;
pub mod app;
pub mod breaker;
pub mod cli;
pub mod clock;
pub mod config;
pub mod data_dir;
pub mod metrics;
pub mod models;
pub mod names;
pub mod node;
pub mod output;
pub mod replay;
pub mod retry;
pub mod secret;
pub mod stores;
pub mod telemetry;
pub mod testkit;
pub mod tls;
pub mod visible;
pub mod web;
pub mod wire;
