//! The symbols of a process, in the order in which it met them.
//!
//! Promises: an id is given once and never taken back. What is fixed about a symbol stays, except for what a log entry
//! says before the symbol's first report. Readers wait only for a writer that adds a symbol. On failure: a text that
//! names no symbol, or may mean several, is an error.

use crate::models::symbol::{SymbolDefinition, SymbolError, SymbolId, SymbolSpec, folded, is_symbol_name};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

#[derive(Debug, Default)]
struct Names {
    specs: Vec<Arc<SymbolSpec>>,
    by_name: HashMap<String, SymbolId>,
    /// How venues spell those that they do not spell as we do.
    by_venue: HashMap<SymbolId, Arc<str>>,
    /// Grows with every symbol that is added, and every change of what is fixed about one.
    version: u64,
}

/// The symbols of a process.
#[derive(Debug, Default)]
pub struct SymbolTable {
    names: RwLock<Names>,
}

impl SymbolTable {
    fn read(&self) -> RwLockReadGuard<'_, Names> {
        self.names.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the id of exactly this name, if it was seen.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<SymbolId> {
        self.read().by_name.get(name).copied()
    }

    /// Returns the id of the name, adding the symbol where it is new; one that is there keeps what is fixed about it.
    pub fn intern(&self, spec: SymbolSpec) -> SymbolId {
        if let Some(id) = self.get(&spec.name) {
            return id;
        }
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(&id) = names.by_name.get(&spec.name) {
            return id;
        }
        let id = SymbolId(u32::try_from(names.specs.len()).expect("fewer than 2^32 symbols"));
        names.by_name.insert(spec.name.clone(), id);
        names.specs.push(Arc::new(spec));
        names.version += 1;
        id
    }

    /// Returns what is fixed about the symbol.
    ///
    /// # Panics
    /// When the id is not of this table: ids are only made by [`SymbolTable::intern`].
    #[must_use]
    pub fn spec(&self, id: SymbolId) -> Arc<SymbolSpec> {
        Arc::clone(self.read().specs.get(id.index()).expect("id is of this table"))
    }

    /// Takes note of what the symbol is, as a log entry says from before its first report. Whoever appends such an entry, or
    /// converts prices before the core has it, calls this first.
    ///
    /// # Panics
    /// When the id is not of this table.
    pub fn define(&self, id: SymbolId, definition: &SymbolDefinition) {
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        let spec = names.specs.get_mut(id.index()).expect("id is of this table");
        let defined = spec.defined(definition);
        if **spec != defined {
            *spec = Arc::new(defined);
            names.version += 1;
        }
        match definition.venue_symbol.as_str() {
            "" => names.by_venue.remove(&id),
            spelling => names.by_venue.insert(id, Arc::from(spelling)),
        };
    }

    /// Returns the venue's spelling of the symbol: ours, unless the venue has another one.
    ///
    /// # Panics
    /// When the id is not of this table.
    #[must_use]
    pub fn venue_symbol(&self, id: SymbolId) -> String {
        let names = self.read();
        match names.by_venue.get(&id) {
            Some(spelling) => spelling.to_string(),
            None => names.specs.get(id.index()).expect("id is of this table").name.clone(),
        }
    }

    /// Returns the number of symbols.
    #[must_use]
    pub fn len(&self) -> usize {
        self.read().specs.len()
    }

    /// Returns a number that is another one after a symbol was added, or what is fixed about one has changed.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.read().version
    }

    /// True when no symbol was seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns all symbols from this id on, with their ids.
    #[must_use]
    pub fn since(&self, first: usize) -> Vec<(SymbolId, Arc<SymbolSpec>)> {
        let names = self.read();
        (0_u32..).zip(&names.specs).skip(first).map(|(id, spec)| (SymbolId(id), Arc::clone(spec))).collect()
    }

    /// Finds the symbol that a user means: the name itself, else lower case, `BTC/USD`, `X:BTCUSD` or `BTCUSD`.
    ///
    /// # Errors
    /// [`SymbolError::Malformed`], [`SymbolError::Unknown`], or [`SymbolError::Ambiguous`] where the alias fits several.
    pub fn resolve(&self, text: &str) -> Result<SymbolId, SymbolError> {
        if !is_symbol_name(text.as_bytes()) {
            return Err(SymbolError::malformed(text));
        }
        let names = self.read();
        if let Some(&id) = names.by_name.get(text).or_else(|| names.by_name.get(&text.to_ascii_uppercase())) {
            return Ok(id);
        }
        let wanted = folded(text);
        let fits: Vec<usize> =
            (0..names.specs.len()).filter(|&at| folded(&names.specs[at].name) == wanted).collect();
        match fits[..] {
            [] => Err(SymbolError::Unknown(text.to_owned())),
            [at] => Ok(names.by_name[&names.specs[at].name]),
            _ => {
                let all: Vec<&str> = fits.iter().map(|&at| names.specs[at].name.as_str()).collect();
                Err(SymbolError::Ambiguous(text.to_owned(), all.join(" or ")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::asset_class::AssetClass;
    use crate::models::num::Scale;
    use crate::models::symbol::{PriceSource, VenueSymbol};

    #[test]
    fn aliases_find_their_symbol_and_ambiguous_ones_say_so() {
        let table = SymbolTable::default();
        let btc = table.intern(SymbolSpec::named("BTC-USD"));
        let brk = table.intern(SymbolSpec::named("BRK.B"));
        assert_eq!(table.intern(SymbolSpec::named("BTC-USD")), btc);
        for alias in ["BTC-USD", "btc-usd", "BTC/USD", "X:BTCUSD", "btcusd", "BTC_USD"] {
            assert_eq!(table.resolve(alias), Ok(btc), "{alias}");
        }
        assert_eq!(table.resolve("brk.b"), Ok(brk));
        assert!(matches!(table.resolve("ETHUSD"), Err(SymbolError::Unknown(_))));
        assert!(matches!(table.resolve("a b"), Err(SymbolError::Malformed(_))));
        table.intern(SymbolSpec::named("BT-CUSD"));
        assert!(matches!(table.resolve("BTCUSD"), Err(SymbolError::Ambiguous(..))));
        assert_eq!(table.len(), 3);
        assert_eq!(table.venue_symbol(btc), "BTC-USD");
        let scale = Scale::new(2).expect("at most 12");
        let definition = SymbolDefinition {
            price_scale: scale,
            size_scale: Scale::SIZE,
            asset_class: AssetClass::Pair,
            price: PriceSource::Mid,
            venue_symbol: VenueSymbol::new("X:BTCUSD").expect("short"),
        };
        let version = table.version();
        table.define(btc, &definition);
        assert_ne!(table.version(), version);
        assert_eq!((table.spec(btc).price_scale, table.spec(btc).price), (scale, PriceSource::Mid));
        assert_eq!((table.spec(btc).name.as_str(), table.spec(brk).price_scale), ("BTC-USD", Scale::PRICE));
        assert_eq!((table.venue_symbol(btc), table.venue_symbol(brk)), ("X:BTCUSD".into(), "BRK.B".into()));
        assert_eq!(table.since(2).len(), 1);
    }
}
