//! How it is shown: REST over HTTP, the live feed over WebSocket, the dashboard, and the metrics for Prometheus.
//!
//! Promises: a request never waits for the data path. Current values come from published snapshots, older ones from the
//! stores; names and shapes are the contract's. On failure a client gets a problem with a stable code, and a store that
//! is down fails only the requests that need it.

pub mod answer;
pub mod connections;
pub mod cores;
pub mod detection_control;
mod fields;
pub mod live;
pub mod page;
mod preflight;
pub mod recent;
pub mod rest;
pub mod routes;
pub mod safeguards;
pub mod server;
pub mod state;
pub mod symbol_control;
pub mod visitors;
