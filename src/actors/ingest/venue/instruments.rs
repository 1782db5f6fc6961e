//! The instruments of a venue: as it lists them, and those that are followed.

use crate::models::asset_class::AssetClass;
use crate::models::entry::SourceId;
use crate::models::num::Scale;
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use std::collections::HashMap;

/// An instrument as the venue lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Our spelling: `BRK.B`, `BTC-USD`.
    pub name: String,
    /// The venue's spelling, as its stream has it.
    pub venue_symbol: String,
    /// What kind of instrument it is.
    pub asset_class: AssetClass,
    /// There are quotes of it and no trades, so that its bars are made of quotes unless the user says otherwise.
    pub has_only_quotes: bool,
    /// Decimals of its prices, where the venue says so.
    pub price_scale: Option<Scale>,
    /// Decimals of its sizes, where the venue says so.
    pub size_scale: Option<Scale>,
    /// It can be traded now.
    pub is_trading: bool,
}

impl Listed {
    /// Makes a pair that trades, of which nothing more is known than its name, `BASE-QUOTE`.
    #[must_use]
    pub fn pair(name: &str, venue_symbol: &str) -> Listed {
        Listed {
            name: name.to_owned(),
            venue_symbol: venue_symbol.to_owned(),
            asset_class: AssetClass::suggested_by(name),
            has_only_quotes: false,
            price_scale: None,
            size_scale: None,
            is_trading: true,
        }
    }
}

/// An instrument that is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// Its id in this process.
    pub symbol: SymbolId,
    /// The venue's spelling.
    pub venue_symbol: String,
    /// Decimals of its prices.
    pub price_scale: Scale,
    /// Decimals of its sizes.
    pub size_scale: Scale,
}

/// The instruments that are followed, by their place and by the venue's spelling.
#[derive(Clone, Debug, Default)]
pub struct Instruments {
    all: Vec<Instrument>,
    by_venue_symbol: HashMap<String, usize>,
    by_symbol: HashMap<SymbolId, usize>,
}

impl Instruments {
    /// Takes the instruments; of two with one spelling the later one counts.
    #[must_use]
    pub fn new(all: Vec<Instrument>) -> Instruments {
        let by_venue_symbol =
            all.iter().enumerate().map(|(at, one)| (one.venue_symbol.clone(), at)).collect();
        let by_symbol = all.iter().enumerate().map(|(at, one)| (one.symbol, at)).collect();
        Instruments { all, by_venue_symbol, by_symbol }
    }

    /// Returns them with some more behind them.
    #[must_use]
    pub fn with(&self, more: Vec<Instrument>) -> Instruments {
        Instruments::new(self.all.iter().cloned().chain(more).collect())
    }

    /// Returns them without those of some symbols.
    #[must_use]
    pub fn without(&self, symbols: &[SymbolId]) -> Instruments {
        Instruments::new(self.all.iter().filter(|one| !symbols.contains(&one.symbol)).cloned().collect())
    }

    /// Returns them all.
    #[must_use]
    pub fn all(&self) -> &[Instrument] {
        &self.all
    }

    /// Returns the one that the venue spells so.
    #[must_use]
    pub fn find(&self, venue_symbol: &str) -> Option<&Instrument> {
        self.by_venue_symbol.get(venue_symbol).map(|&at| &self.all[at])
    }

    /// Returns the place of a symbol.
    #[must_use]
    pub fn place(&self, symbol: SymbolId) -> Option<usize> {
        self.by_symbol.get(&symbol).copied()
    }
}

/// What a frame or an answer is read with.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The instruments that are followed.
    pub instruments: &'a Instruments,
    /// The venue as a source.
    pub source: SourceId,
    /// When it was received.
    pub received: Nanos,
}
