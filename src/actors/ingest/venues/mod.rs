//! The live venues, a folder each, and what several of them share: values (`text.rs`), numbered trades, ready-made bars,
//! pairs, increments, the wall clock of the US exchanges. `registry.rs` lists them.

mod bars;
pub mod binance;
pub mod coinbase;
pub mod eastern;
mod increments;
pub mod kraken;
mod numbered;
mod pairs;
pub mod polygon;
mod text;
