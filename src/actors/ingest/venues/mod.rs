//! The live venues, a folder each, and what several of them share: values (`text.rs`), channels, numbered trades and others, ready-made bars,
//! sale conditions, pairs, increments, the wall clock of the US exchanges. `registry.rs` lists them.

pub mod alpha_vantage;
mod bars;
pub mod binance;
mod channels;
pub mod coinbase;
mod conditions;
pub mod eastern;
pub mod finage;
#[cfg(test)]
mod fixture;
pub mod fmp;
mod increments;
pub mod kraken;
mod numbered;
mod pairs;
pub mod polygon;
mod reports;
mod text;
