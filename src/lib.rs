//! Tickwire: real-time market data in; bars, indicators, anomalies, alerts and forecasts out.
//!
//! Imports run one way: `models ◄ wire ◄ stores ◄ actors ◄ web ◄ app`.

pub mod actors;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod data_dir;
pub mod metrics;
pub mod models;
pub mod node;
pub mod output;
pub mod replay;
pub mod stores;
pub mod telemetry;
pub mod visible;
pub mod web;
pub mod wire;
