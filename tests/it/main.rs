//! Tests of real parts together, in one binary so that everything links once.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod cli;
mod clients;
mod config;
mod files;
mod indicators;
mod oracle;
mod order;
mod reference;
mod rest;
mod simulator;
mod stores;
mod support;
mod websocket;
