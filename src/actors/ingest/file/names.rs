//! The names of a file's symbols and providers, looked up without a lock or a copy.
//!
//! A file's spelling becomes ours here: `btc/usd` is `BTC-USD`. The shared tables are asked once per spelling, as far as
//! spellings are remembered. Symbols and providers are limited, since whatever stands in the field may be no name at all:
//! beyond the limit a row is refused.

use super::error::{RowFault, excerpt};
use crate::models::entry::SourceId;
use crate::models::num::Scale;
use crate::models::symbol::{SymbolDefinition, SymbolId, SymbolSpec, is_symbol_name};
use crate::names::{SourceTable, SymbolTable};
use hashbrown::HashMap;
use std::sync::Arc;

/// More providers than this in one input are a field that is no provider; each costs a place in the shared table.
const NUM_PROVIDERS_MAX: usize = 1_000;
/// Longest name of a provider in bytes.
const PROVIDER_LEN_MAX: usize = 64;
/// Who reported what names no provider.
pub(super) const FILE_SOURCE: &str = "file";

/// What a row needs to know about its symbol.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownSymbol {
    /// Its id; [`SymbolId::NONE`] for one that was not asked for.
    pub id: SymbolId,
    pub price_scale: Scale,
    pub size_scale: Scale,
}

/// Symbols and providers by the bytes that stand in the file.
pub(super) struct Names {
    symbols: Arc<SymbolTable>,
    sources: Arc<SourceTable>,
    wanted: Option<Vec<String>>,
    /// Symbols that the process may know, and spellings that are remembered.
    symbols_max: usize,
    known: HashMap<Box<[u8]>, KnownSymbol>,
    providers: Vec<(Box<[u8]>, SourceId)>,
    /// Who reported what names no provider.
    unnamed: SourceId,
}

impl Names {
    /// `unnamed` is the source of what names no provider.
    pub(super) fn new(
        symbols: Arc<SymbolTable>,
        sources: Arc<SourceTable>,
        wanted: Option<Vec<String>>,
        symbols_max: usize,
        unnamed: &str,
    ) -> Names {
        let unnamed = sources.intern(unnamed);
        let (known, providers) = (HashMap::new(), Vec::new());
        Names { symbols, sources, wanted, symbols_max, known, providers, unnamed }
    }

    /// Returns every source that has been named so far, that of what names none first.
    pub(super) fn sources(&self) -> impl Iterator<Item = SourceId> {
        std::iter::once(self.unnamed).chain(self.providers.iter().map(|&(_, id)| id))
    }

    /// Returns the symbol that the text names; `None` when it was not asked for.
    #[inline]
    pub(super) fn symbol(&mut self, text: &[u8]) -> Result<Option<KnownSymbol>, RowFault> {
        let known = match self.known.get(text) {
            Some(known) => *known,
            None => self.learn_symbol(text)?,
        };
        Ok((known.id != SymbolId::NONE).then_some(known))
    }

    #[cold]
    fn learn_symbol(&mut self, text: &[u8]) -> Result<KnownSymbol, RowFault> {
        if text.is_empty() {
            return Err(RowFault::Missing { field: "symbol" });
        }
        let name =
            std::str::from_utf8(text).ok().filter(|_| is_symbol_name(text)).map(one_spelling).ok_or_else(
                || RowFault::Invalid { field: "symbol", problem: "no symbol", found: excerpt(text) },
            )?;
        let known = self.define(SymbolSpec::named(&name))?;
        if self.known.len() < self.symbols_max {
            self.known.insert(text.into(), known);
        }
        Ok(known)
    }

    /// Makes a symbol known as it is described, unless it is known already; its id is [`SymbolId::NONE`] when it was not
    /// asked for.
    pub(super) fn define(&mut self, spec: SymbolSpec) -> Result<KnownSymbol, RowFault> {
        if !self.is_wanted(&spec.name) {
            let (price_scale, size_scale) = (Scale::PRICE, Scale::SIZE);
            return Ok(KnownSymbol { id: SymbolId::NONE, price_scale, size_scale });
        }
        if self.symbols.get(&spec.name).is_none() && self.symbols.len() >= self.symbols_max {
            return Err(RowFault::TooManySymbols { symbol: spec.name, max: self.symbols_max });
        }
        let id = self.symbols.intern(spec);
        let spec = self.symbols.spec(id);
        Ok(KnownSymbol { id, price_scale: spec.price_scale, size_scale: spec.size_scale })
    }

    /// Makes known what a symbol is, as an entry of an exported log says; `None` for one that was not asked for, or that the
    /// process counts in other decimals: then its prices are converted, and what the entry says of it does not hold here.
    pub(super) fn redefine(
        &mut self,
        name: &str,
        definition: &SymbolDefinition,
    ) -> Result<Option<SymbolId>, RowFault> {
        let known = self.define(SymbolSpec::named(name).defined(definition))?;
        let scales = (definition.price_scale, definition.size_scale);
        if known.id == SymbolId::NONE || (known.price_scale, known.size_scale) != scales {
            return Ok(None);
        }
        self.symbols.define(known.id, definition);
        Ok(Some(known.id))
    }

    /// True when the symbol answers to one of the names that were asked for, aliases included.
    fn is_wanted(&self, name: &str) -> bool {
        let Some(wanted) = &self.wanted else { return true };
        let alone = SymbolTable::default();
        alone.intern(SymbolSpec::named(name));
        wanted.iter().any(|text| alone.resolve(text).is_ok())
    }

    /// Returns the source that the text names, the one given to [`Names::new`] where there is none.
    #[inline]
    pub(super) fn source(&mut self, provider: Option<&[u8]>) -> Result<SourceId, RowFault> {
        match provider {
            None | Some(b"") => Ok(self.unnamed),
            Some(text) => match self.providers.iter().find(|(known, _)| **known == *text) {
                Some((_, id)) => Ok(*id),
                None => self.learn_provider(text),
            },
        }
    }

    #[cold]
    fn learn_provider(&mut self, text: &[u8]) -> Result<SourceId, RowFault> {
        let invalid = |problem| RowFault::Invalid { field: "provider", problem, found: excerpt(text) };
        let name = std::str::from_utf8(text)
            .ok()
            .filter(|name| name.len() <= PROVIDER_LEN_MAX && !name.chars().any(char::is_control))
            .ok_or_else(|| invalid("no provider's name"))?;
        if self.providers.len() >= NUM_PROVIDERS_MAX {
            return Err(invalid("one of too many providers"));
        }
        let id = self.sources.intern_foreign(name).ok_or_else(|| invalid("one of too many providers"))?;
        self.providers.push((text.into(), id));
        Ok(id)
    }
}

/// Brings a name to the one spelling: a pair has a dash, and what is all lower case is meant in upper case. Mixed case
/// stays, since some venues tell a preferred share (`BACpL`) from another symbol by it.
fn one_spelling(name: &str) -> String {
    let name = name.replace('/', "-");
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) { name } else { name.to_ascii_uppercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(wanted: Option<&[&str]>) -> Names {
        let wanted = wanted.map(|names| names.iter().map(|&name| name.to_owned()).collect());
        Names::new(Arc::default(), Arc::default(), wanted, 100, FILE_SOURCE)
    }

    #[test]
    fn spellings_of_one_symbol_share_its_id() {
        let mut names = names(None);
        let mut id = |text: &str| names.symbol(text.as_bytes()).map(|known| known.map(|known| known.id));
        assert_eq!(id("BTC-USD"), id("btc/usd"));
        assert_ne!(id("BACpL"), id("BACPL"));
        assert!(matches!(id(""), Err(RowFault::Missing { .. })));
        assert!(matches!(id("A B"), Err(RowFault::Invalid { .. })));
        assert_eq!(names.symbols.len(), 3);
    }

    #[test]
    fn only_symbols_that_were_asked_for_are_known_to_the_process() {
        let mut names = names(Some(&["btcusd", "IBM"]));
        for (text, wanted) in [("BTC-USD", true), ("IBM", true), ("IBMX", false), ("ETH-USD", false)] {
            assert_eq!(names.symbol(text.as_bytes()).expect("valid").is_some(), wanted, "{text}");
        }
        assert_eq!(names.symbols.len(), 2);
    }

    #[test]
    fn new_symbols_are_refused_beyond_the_limit_and_known_ones_are_not() {
        let mut names = names(None);
        for n in 0..100 {
            assert!(names.symbol(format!("S{n}").as_bytes()).is_ok());
        }
        for text in ["T", "T", "t"] {
            let refused = names.symbol(text.as_bytes()).expect_err("one too many");
            assert_eq!(refused, RowFault::TooManySymbols { symbol: "T".to_owned(), max: 100 });
            assert_eq!(refused.word(), "too_many_symbols");
        }
        for text in ["S7", "s7", "S99"] {
            assert!(names.symbol(text.as_bytes()).is_ok(), "{text} is known");
        }
        assert_eq!((names.symbols.len(), names.known.len()), (100, 100));
    }

    #[test]
    fn spellings_of_unwanted_symbols_are_not_all_remembered() {
        let mut names = names(Some(&["IBM"]));
        for n in 0..500 {
            assert_eq!(names.symbol(format!("S{n}").as_bytes()).expect("valid").map(|known| known.id), None);
        }
        assert_eq!((names.symbols.len(), names.known.len()), (0, 100));
    }

    #[test]
    fn providers_are_sources_and_their_number_is_limited() {
        let mut names = names(None);
        let file = names.source(None).expect("valid");
        assert_eq!(names.source(Some(b"file")), Ok(file));
        assert_eq!(names.source(Some(b"")), Ok(file));
        assert_ne!(names.source(Some(b"polygon")), Ok(file));
        assert!(names.source(Some(&[b'x'; 65])).is_err());
        for n in 0..NUM_PROVIDERS_MAX {
            let _ = names.source(Some(format!("p{n}").as_bytes()));
        }
        assert!(names.source(Some(b"one more")).is_err());
        assert!(names.source(Some(b"polygon")).is_ok());
    }
}
