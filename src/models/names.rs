//! The names behind ids, as far as the core needs them.
//!
//! A process numbers symbols and sources in the order in which it meets them, and another process numbers them otherwise.
//! So whatever the core decides by, or writes down for another process, is a name; it asks for one here, seldom: when a
//! source first reports a symbol, and when a state becomes bytes or comes back from them.

use super::entry::SourceId;
use super::symbol::{SymbolDefinition, SymbolId, SymbolSpec};
use std::fmt::Debug;
use std::sync::Arc;

/// Gives names their ids in this process, and ids their names.
pub trait Interner: Debug + Send + Sync {
    /// Returns the source's name. The answer for an id never changes.
    fn source_name(&self, id: SourceId) -> Arc<str>;

    /// Returns the id of a source, adding it where it is new; `None` when there are too many.
    fn source_id(&self, name: &str) -> Option<SourceId>;

    /// Returns the id of a symbol, adding it where it is new; one that is there keeps what is fixed about it.
    fn symbol_id(&self, spec: &SymbolSpec) -> SymbolId;

    /// Takes note of what a log entry says that the symbol is, from before its first report.
    fn define(&self, symbol: SymbolId, definition: &SymbolDefinition);
}

#[cfg(test)]
pub mod for_test {
    //! Names for tests of the core.

    use super::{Interner, SourceId, SymbolDefinition, SymbolId, SymbolSpec};
    use std::sync::{Arc, Mutex};

    /// Names of sources and symbols, whose ids are their places.
    #[derive(Debug, Default)]
    pub struct ListedNames {
        sources: Mutex<Vec<Arc<str>>>,
        symbols: Mutex<Vec<String>>,
    }

    impl ListedNames {
        /// Makes the names of a process that has met these sources, in this order.
        #[must_use]
        pub fn of_sources(names: &[&str]) -> Arc<ListedNames> {
            let sources = Mutex::new(names.iter().map(|name| Arc::from(*name)).collect());
            Arc::new(ListedNames { sources, symbols: Mutex::default() })
        }
    }

    impl Interner for ListedNames {
        fn source_name(&self, id: SourceId) -> Arc<str> {
            let sources = self.sources.lock().expect("no test panics with it");
            Arc::clone(sources.get(usize::from(id.0)).expect("the test named its sources"))
        }

        fn source_id(&self, name: &str) -> Option<SourceId> {
            let mut sources = self.sources.lock().expect("no test panics with it");
            let at = sources.iter().position(|known| **known == *name).unwrap_or_else(|| {
                sources.push(name.into());
                sources.len() - 1
            });
            u16::try_from(at).ok().map(SourceId)
        }

        fn symbol_id(&self, spec: &SymbolSpec) -> SymbolId {
            let mut symbols = self.symbols.lock().expect("no test panics with it");
            let at = symbols.iter().position(|known| *known == spec.name).unwrap_or_else(|| {
                symbols.push(spec.name.clone());
                symbols.len() - 1
            });
            SymbolId(u32::try_from(at).expect("few symbols"))
        }

        /// Nobody asks these names what a symbol is.
        fn define(&self, _: SymbolId, _: &SymbolDefinition) {}
    }
}
