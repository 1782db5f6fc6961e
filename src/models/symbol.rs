//! Symbols: one spelling each, what is fixed about them, and which other spellings mean the same one.
//!
//! Promises: pure values and rules; which symbols there are, the process's table knows. A text that is no symbol's name is
//! refused with an error that says what one looks like.

use super::num::Scale;
use serde::{Deserialize, Serialize};

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

/// What kind of instrument a symbol names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssetClass {
    /// A share or a fund.
    Equity,
    /// A pair of currencies or coins.
    Pair,
    /// A future.
    Future,
    /// Nobody said.
    Unknown,
}

impl AssetClass {
    /// Returns the word that answers use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            AssetClass::Equity => "equity",
            AssetClass::Pair => "pair",
            AssetClass::Future => "future",
            AssetClass::Unknown => "unknown",
        }
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
}

impl SymbolSpec {
    /// Makes a symbol with the default scales and a guessed class: a dash makes a pair.
    #[must_use]
    pub fn named(name: &str) -> SymbolSpec {
        let asset_class = if name.contains('-') { AssetClass::Pair } else { AssetClass::Unknown };
        SymbolSpec { name: name.to_owned(), price_scale: Scale::PRICE, size_scale: Scale::SIZE, asset_class }
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
}
