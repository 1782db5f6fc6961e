//! Symbols: one spelling each, what is fixed about them, and which other spellings mean the same one.
//!
//! Promises: pure values and rules; which symbols there are, the process's table knows. A text that is no symbol's name is
//! refused with an error that says what one looks like.

use super::asset_class::AssetClass;
use super::num::Scale;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// An interned symbol: its place in the process's table of symbols. Two processes number symbols differently, so it
/// stands in nothing that outlives one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SymbolId(pub u32);

impl SymbolId {
    /// Stands in entries that speak of every symbol of a source.
    pub const NONE: SymbolId = SymbolId(u32::MAX);

    /// Returns the id as an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Which prices make a symbol's bars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceSource {
    /// Those of trades.
    #[default]
    Trade,
    /// The middle of each quote that has both sides, rounded half-even.
    Mid,
    /// The bid of each quote that has one.
    Bid,
    /// The ask of each quote that has one.
    Ask,
}

impl PriceSource {
    /// Returns the word that the configuration and the log use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            PriceSource::Trade => "trade",
            PriceSource::Mid => "mid",
            PriceSource::Bid => "bid",
            PriceSource::Ask => "ask",
        }
    }

    /// Reads the word that the configuration and the log use.
    #[must_use]
    pub fn parse(text: &str) -> Option<PriceSource> {
        [PriceSource::Trade, PriceSource::Mid, PriceSource::Bid, PriceSource::Ask]
            .into_iter()
            .find(|price| price.as_str() == text)
    }

    /// True when quotes make the bars, and trades do not.
    #[must_use]
    pub const fn is_quotes(self) -> bool {
        !matches!(self, PriceSource::Trade)
    }
}

/// What is fixed about a symbol while its state lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SymbolSpec {
    /// The one spelling.
    pub name: String,
    /// Decimals of its prices.
    pub price_scale: Scale,
    /// Decimals of its sizes.
    pub size_scale: Scale,
    /// Kind of instrument.
    pub asset_class: AssetClass,
    /// Which prices make its bars.
    pub price: PriceSource,
}

impl SymbolSpec {
    /// Makes a symbol with the default scales and the class that its name suggests.
    #[must_use]
    pub fn named(name: &str) -> SymbolSpec {
        let asset_class = AssetClass::suggested_by(name);
        SymbolSpec {
            name: name.to_owned(),
            price_scale: Scale::PRICE,
            size_scale: Scale::SIZE,
            asset_class,
            price: PriceSource::Trade,
        }
    }

    /// Returns the symbol as a log entry defines it.
    #[must_use]
    pub fn defined(&self, definition: &SymbolDefinition) -> SymbolSpec {
        let SymbolDefinition { price_scale, size_scale, asset_class, price, .. } = *definition;
        SymbolSpec { name: self.name.clone(), price_scale, size_scale, asset_class, price }
    }
}

/// How a venue spells a symbol, as a small `Copy` value: log entries are made of such. Nothing in it means that the venue
/// spells it as we do.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct VenueSymbol {
    len: u8,
    bytes: [u8; NAME_LEN_MAX],
}

impl VenueSymbol {
    /// Takes a spelling of at most [`NAME_LEN_MAX`] bytes; `None` of a longer one.
    #[must_use]
    pub fn new(text: &str) -> Option<VenueSymbol> {
        let mut bytes = [0; NAME_LEN_MAX];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        let len = u8::try_from(text.len()).expect("at most 32");
        Some(VenueSymbol { len, bytes })
    }

    /// Returns the spelling; empty where the venue spells the symbol as we do.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).expect("it was made of a text")
    }
}

impl fmt::Debug for VenueSymbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl Serialize for VenueSymbol {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for VenueSymbol {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<VenueSymbol, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        VenueSymbol::new(&text).ok_or_else(|| D::Error::custom("a venue's spelling is too long"))
    }
}

/// What a log entry says that a symbol is. It comes before the symbol's first report, so that every process that reads the
/// log rounds alike; a symbol without one has the defaults. All of it stands in the entry, the spelling too: what is only in
/// one store's table of names is not in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SymbolDefinition {
    /// Decimals of its prices.
    pub price_scale: Scale,
    /// Decimals of its sizes.
    pub size_scale: Scale,
    /// Kind of instrument.
    pub asset_class: AssetClass,
    /// Which prices make its bars.
    pub price: PriceSource,
    /// How the venue spells it.
    pub venue_symbol: VenueSymbol,
}

impl SymbolDefinition {
    /// Makes the definition of a symbol that a venue spells in this way.
    #[must_use]
    pub const fn of(spec: &SymbolSpec, venue_symbol: VenueSymbol) -> SymbolDefinition {
        SymbolDefinition {
            price_scale: spec.price_scale,
            size_scale: spec.size_scale,
            asset_class: spec.asset_class,
            price: spec.price,
            venue_symbol,
        }
    }
}

/// Returns a text as errors repeat it: one that is cut ends with `…`, so that the rest is never taken for the whole.
#[must_use]
pub fn shortened(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Why a text names no symbol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SymbolError {
    /// Empty, too long, or with characters that no symbol has.
    #[error("`{0}` is not a symbol: 1 to 32 of A-Z a-z 0-9 . - _ : / = ^ are")]
    Malformed(String),
    /// Nobody has seen it.
    #[error("symbol `{0}` is unknown")]
    Unknown(String),
    /// Several symbols answer to it.
    #[error("`{0}` may mean {1}")]
    Ambiguous(String, String),
}

impl SymbolError {
    /// Makes the error of a text that names no symbol, of which an answer repeats the beginning.
    #[must_use]
    pub fn malformed(text: &str) -> SymbolError {
        SymbolError::Malformed(shortened(text, NAME_LEN_MAX))
    }
}

/// Longest name in bytes.
pub const NAME_LEN_MAX: usize = 32;

/// True for a text that can be a symbol's name.
#[must_use]
pub fn is_symbol_name(text: &[u8]) -> bool {
    (1..=NAME_LEN_MAX).contains(&text.len())
        && text.iter().all(|b| b.is_ascii_alphanumeric() || b".-_:/=^".contains(b))
}

/// Folds the spellings of one pair together: no venue prefix, no separator, upper case. Texts that fold alike mean the
/// same symbol.
#[must_use]
pub fn folded(name: &str) -> String {
    let name = name.rsplit(':').next().unwrap_or(name);
    name.chars().filter(|c| !matches!(c, '-' | '/' | '_')).map(|c| c.to_ascii_uppercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_pair_fold_alike() {
        for alias in ["BTC-USD", "btc-usd", "BTC/USD", "X:BTCUSD", "btcusd", "BTC_USD"] {
            assert_eq!(folded(alias), "BTCUSD", "{alias}");
        }
        assert_ne!(folded("BRK.B"), folded("BRKB"), "a class of shares is not folded away");
    }

    #[test]
    fn a_name_that_was_cut_is_not_one_that_could_be_right() {
        let long = "A".repeat(NAME_LEN_MAX + 1);
        let SymbolError::Malformed(shown) = SymbolError::malformed(&long) else { panic!("it is malformed") };
        assert_eq!(shown, format!("{}…", "A".repeat(NAME_LEN_MAX)));
        assert!(!is_symbol_name(shown.as_bytes()));
        assert_eq!(SymbolError::malformed("a b"), SymbolError::Malformed("a b".to_owned()));
    }

    #[test]
    fn a_spelling_comes_back_and_one_that_is_too_long_is_refused() {
        for text in ["", "X:BTCUSD", "O:SPY251219C00650000", &"x".repeat(NAME_LEN_MAX)] {
            let spelling = VenueSymbol::new(text).expect("short enough");
            assert_eq!(spelling.as_str(), text);
            let bytes = postcard::to_stdvec(&spelling).expect("plain data");
            assert_eq!(postcard::from_bytes::<VenueSymbol>(&bytes), Ok(spelling));
        }
        assert_eq!(VenueSymbol::new(&"x".repeat(NAME_LEN_MAX + 1)), None);
    }

    #[test]
    fn words_are_read_back() {
        for price in [PriceSource::Trade, PriceSource::Mid, PriceSource::Bid, PriceSource::Ask] {
            assert_eq!(PriceSource::parse(price.as_str()), Some(price));
        }
        for class in [AssetClass::Equity, AssetClass::Pair, AssetClass::Future, AssetClass::Unknown] {
            assert_eq!(AssetClass::parse(class.as_str()), Some(class));
        }
        assert_eq!((PriceSource::parse("last"), AssetClass::parse("")), (None, None));
    }
}
