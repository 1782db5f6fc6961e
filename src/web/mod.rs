//! How it is shown: REST over HTTP, and the metrics for Prometheus.
//!
//! Promises: a request never waits for the data path. What is now comes from published views, what was from the
//! stores; names and shapes are the contract's. On failure a client gets a problem with a stable code, and a store
//! that is down fails only the requests that need it.

pub mod accept;
pub mod connections;
pub mod cores;
pub mod error;
pub mod live;
pub mod page;
pub mod params;
pub mod recent;
pub mod reply;
pub mod rest;
pub mod routes;
pub mod server;
pub mod state;
pub mod visitors;
