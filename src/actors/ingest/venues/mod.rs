//! The live venues, a folder each, and what several of them share: values (`text.rs`), numbered trades, ready-made bars,
//! pairs, increments. `registry.rs` lists them.

mod bars;
pub mod binance;
pub mod coinbase;
mod increments;
pub mod kraken;
mod numbered;
mod pairs;
mod text;
