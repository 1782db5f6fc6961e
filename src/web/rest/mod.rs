//! REST: one file for each endpoint, with the OpenAPI document that describes them.

mod body;
mod cached;
mod fill;
pub mod openapi;
pub mod param_docs;

pub(super) mod alerts;
pub(super) mod anomalies;
pub(super) mod bars;
pub(super) mod dead_letters;
pub(super) mod detection;
pub(super) mod health;
pub(super) mod incidents;
pub(super) mod indicators;
pub(super) mod latest;
pub(super) mod predictions;
pub(super) mod rule_trials;
pub(super) mod rules;
pub(super) mod signals;
pub(super) mod silences;
pub(super) mod symbol_changes;
pub(super) mod symbols;
pub(super) mod system_metrics;
pub(super) mod ticks;
pub(super) mod windows;
