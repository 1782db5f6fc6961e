//! Tests of the whole: one binary, so that everything links once.

mod cli;
mod config;
