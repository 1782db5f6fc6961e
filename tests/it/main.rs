//! Tests of real parts together, in one binary so that everything links once.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod catch_up;
mod cli;
mod clients;
mod config;
mod damage;
mod data_dir;
mod directory;
mod disk;
mod export;
mod failover;
mod files;
mod first_start;
mod garbage;
mod indicators;
mod influxdb;
mod inputs;
mod kafka;
mod kill;
mod layers;
mod oracle;
mod order;
mod other_process;
mod outage;
mod partitions;
mod postgres;
mod quarantine;
mod quotes;
mod redis;
mod reference;
mod replay_cli;
mod rest;
mod serve;
mod shell;
mod simulator;
mod sinks;
mod stores;
mod supervision;
mod support;
mod symbols;
mod vendor_bars;
mod venues;
mod venues_command;
mod websocket;
mod wire;
