//! The live venues, a folder each, and what several of them share: values (`text.rs`), numbered trades, increments.
//! `registry.rs` lists them.

pub mod coinbase;
mod increments;
mod numbered;
mod text;
