//! Symbols of a feed that are new: what the log is yet to be told of them, whichever of its venues comes to it first.
//!
//! Promises: of each symbol the log is told once what it is and who is in charge of it, before anything else of it. All venues
//! of a feed share one, on one thread, so nothing waits. Nothing here fails.

use crate::models::entry::Entry;
use crate::models::symbol::SymbolId;
use std::cell::RefCell;
use std::collections::HashMap;

/// The new symbols of a feed.
#[derive(Debug, Default)]
pub struct Newcomers {
    /// By symbol, what comes before everything else of it.
    untold: RefCell<HashMap<SymbolId, Vec<Entry>>>,
}

impl Newcomers {
    /// Takes up a symbol of which the log is to be told nothing before its past; what was kept of it before is forgotten.
    pub fn add(&self, symbol: SymbolId) {
        self.untold.borrow_mut().insert(symbol, Vec::new());
    }

    /// True for a symbol of which the log was told nothing.
    #[must_use]
    pub fn has(&self, symbol: SymbolId) -> bool {
        self.untold.borrow().contains_key(&symbol)
    }

    /// Keeps an entry of a new symbol, such as who is in charge of it, until it is introduced. Returns false for any other
    /// symbol: then the log is to be told at once.
    #[must_use]
    pub fn keep(&self, entry: &Entry) -> bool {
        let mut untold = self.untold.borrow_mut();
        let kept = untold.get_mut(&entry.symbol).map(|entries| entries.push(*entry));
        kept.is_some()
    }

    /// Returns what the log is told of a symbol before anything else; `None` where that was done.
    #[must_use]
    pub fn introduce(&self, symbol: SymbolId) -> Option<Vec<Entry>> {
        self.untold.borrow_mut().remove(&symbol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::entry::{Body, SourceId};
    use crate::models::time::Nanos;

    #[test]
    fn a_symbol_is_introduced_once_with_what_is_known_of_it_by_then() {
        let [known, new, plain] = [0, 1, 2].map(SymbolId);
        let newcomers = Newcomers::default();
        [new, plain].into_iter().for_each(|symbol| newcomers.add(symbol));
        assert_eq!([known, new, plain].map(|symbol| newcomers.has(symbol)), [false, true, true]);
        let charge = |symbol, source, from| {
            let body = Body::SourceInCharge { source: SourceId(source), from: Nanos(from) };
            Entry { pos: 0, symbol, body }
        };
        let (first, second) = (charge(new, 0, 0), charge(new, 1, 7));
        assert!(newcomers.keep(&first) && newcomers.keep(&second) && !newcomers.keep(&charge(known, 1, 7)));
        assert_eq!(newcomers.introduce(new), Some(vec![first, second]));
        assert_eq!(newcomers.introduce(plain), Some(Vec::new()));
        assert!(!newcomers.keep(&charge(new, 0, 9)), "it is told");
        assert_eq!([known, new, plain].map(|symbol| newcomers.introduce(symbol)), [None, None, None]);
        newcomers.add(new);
        assert!(newcomers.keep(&first));
        newcomers.add(new);
        assert_eq!(
            newcomers.introduce(new),
            Some(Vec::new()),
            "it was left before its past came, and begins anew"
        );
    }
}
