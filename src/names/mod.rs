//! The names of a process: which symbols and sources it has met, and the small ids that it gave them.
//!
//! Everything in memory speaks of symbols and sources by id. Two processes give ids differently, so what outlives a process
//! holds names, and these tables translate. They are the only state that a whole process shares by lock, and no lock of
//! them is held on the path of a tick: names are looked up when a symbol or source is met for the first time.

mod sources;
mod symbols;

pub use sources::SourceTable;
pub use symbols::SymbolTable;

use crate::models::entry::SourceId;
use crate::models::names::Interner;
use crate::models::symbol::{SymbolDefinition, SymbolId, SymbolSpec};
use std::sync::Arc;

/// Both tables of a process.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Its symbols.
    pub symbols: Arc<SymbolTable>,
    /// Its sources.
    pub sources: Arc<SourceTable>,
}

impl Names {
    /// Puts the tables together for the core.
    #[must_use]
    pub fn interner(symbols: &Arc<SymbolTable>, sources: &Arc<SourceTable>) -> Arc<dyn Interner> {
        Arc::new(Names { symbols: Arc::clone(symbols), sources: Arc::clone(sources) })
    }
}

impl Interner for Names {
    fn source_name(&self, id: SourceId) -> Arc<str> {
        self.sources.name(id).into()
    }

    fn source_id(&self, name: &str) -> Option<SourceId> {
        self.sources.intern_foreign(name)
    }

    fn symbol_id(&self, spec: &SymbolSpec) -> SymbolId {
        self.symbols.intern(spec.clone())
    }

    fn define(&self, symbol: SymbolId, definition: &SymbolDefinition) {
        self.symbols.define(symbol, definition);
    }
}
