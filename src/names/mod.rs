//! The names of a process: which symbols and sources it has met, and the small ids that it gave them.
//!
//! Everything in memory speaks of symbols and sources by id. Two processes give ids differently, so what outlives a process
//! holds names, and these tables translate. They are the only state that a whole process shares by lock, and no lock of
//! them is held on the path of a tick: names are looked up when a symbol or source is met for the first time.

mod sources;
mod symbols;

pub use sources::SourceTable;
pub use symbols::SymbolTable;
