//! Tickwire: real-time market data in; bars, indicators, anomalies, alerts and forecasts out.
//!
//! Imports run one way: `models ◄ stores ◄ actors ◄ web ◄ app`.

pub mod actors;
pub mod metrics;
pub mod models;
pub mod stores;
pub mod web;
