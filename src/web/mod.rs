//! How it is shown: REST over HTTP, and the metrics for Prometheus.
//!
//! Promises: a request never waits for the data path. What is now comes from published views, what was from the
//! stores; names and shapes are the contract's. On failure a client gets a problem with a stable code, and a store
//! that is down fails only the requests that need it.

pub mod accept;
pub mod assets;
pub mod connections;
pub mod cores;
pub mod error;
pub mod openapi;
pub mod param_docs;
pub mod params;
pub mod recent;
pub mod reply;
pub mod routes;
pub mod server;
pub mod state;
pub mod visitors;
pub mod ws;

mod bars;
mod dashboard;
mod dead_letters;
mod health;
mod indicators;
mod latest;
mod symbols;
mod system_metrics;
mod ticks;
mod windows;
