//! The live venues, a folder each. `registry.rs` lists them.

pub mod coinbase;
