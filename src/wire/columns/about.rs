//! What a file of an export says of itself, in its metadata: which data it holds, of which log, and of which symbol.
//!
//! Promises: a file tells what it is wherever it lies and whatever it is called. On failure, reading says what is missing.

use crate::models::asset_class::AssetClass;
use crate::models::num::Scale;
use crate::models::symbol::{PriceSource, SymbolSpec};

/// The form of the files. Readers refuse a higher one.
const FORMAT: &str = "1";

const FORMAT_KEY: &str = "tickwire.format";
const DATASET_KEY: &str = "tickwire.dataset";
const LOG_KEY: &str = "tickwire.log";
const SYMBOL_KEY: &str = "tickwire.symbol";
const PRICE_SCALE_KEY: &str = "tickwire.price_scale";
const SIZE_SCALE_KEY: &str = "tickwire.size_scale";
const ASSET_CLASS_KEY: &str = "tickwire.asset_class";
const PRICE_SOURCE_KEY: &str = "tickwire.price_source";

/// Which data a file holds; also the name of the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dataset {
    /// Trades, quotes, cancels, corrections, and bars of venues.
    Ticks,
    /// Entries of the log that are no ticks: clock marks, gaps, sources in charge, what symbols are.
    Control,
    /// Bars with their indicators.
    Bars,
}

impl Dataset {
    /// Returns the name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Dataset::Ticks => "ticks",
            Dataset::Control => "control",
            Dataset::Bars => "bars",
        }
    }

    fn parse(text: &str) -> Option<Dataset> {
        [Dataset::Ticks, Dataset::Control, Dataset::Bars].into_iter().find(|of| of.as_str() == text)
    }
}

/// What a file says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Which data it holds.
    pub dataset: Dataset,
    /// Names the log that it comes from: positions of two logs cannot be compared.
    pub log: u64,
    /// The symbol of all its rows; `None` where rows name theirs.
    pub symbol: Option<SymbolSpec>,
}

/// Why a file does not say what it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AboutError {
    /// It was not written by an export.
    #[error("it does not say in `{0}` what it holds; only files that `tickwire export` wrote can be read")]
    Missing(&'static str),
    /// It was written by a later version.
    #[error("it has the format {0}, which a later version of the program has written")]
    Later(String),
    /// It says what cannot be.
    #[error("`{key}` is `{found}`")]
    Word {
        /// Which metadata.
        key: &'static str,
        /// What it says.
        found: String,
    },
}

impl About {
    /// Returns the metadata as pairs of key and value.
    #[must_use]
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![
            (FORMAT_KEY, FORMAT.to_owned()),
            (DATASET_KEY, self.dataset.as_str().to_owned()),
            (LOG_KEY, format!("{:016x}", self.log)),
        ];
        if let Some(spec) = &self.symbol {
            pairs.extend([
                (SYMBOL_KEY, spec.name.clone()),
                (PRICE_SCALE_KEY, spec.price_scale.decimals().to_string()),
                (SIZE_SCALE_KEY, spec.size_scale.decimals().to_string()),
                (ASSET_CLASS_KEY, spec.asset_class.as_str().to_owned()),
                (PRICE_SOURCE_KEY, spec.price.as_str().to_owned()),
            ]);
        }
        pairs
    }

    /// Reads the metadata. `get` gives the value of a key.
    ///
    /// # Errors
    /// When the file is not of an export, or of a later version.
    pub fn read<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Result<About, AboutError> {
        let needed = |key: &'static str| get(key).ok_or(AboutError::Missing(key));
        let word = |key: &'static str, found: &str| AboutError::Word { key, found: found.to_owned() };
        let format = needed(FORMAT_KEY)?;
        if format != FORMAT {
            return Err(AboutError::Later(format.to_owned()));
        }
        let dataset = needed(DATASET_KEY)?;
        let log = needed(LOG_KEY)?;
        let scale = |key: &'static str| {
            let text = needed(key)?;
            text.parse().ok().and_then(Scale::new).ok_or_else(|| word(key, text))
        };
        let symbol = match get(SYMBOL_KEY) {
            None => None,
            Some(name) => {
                let (class, price) = (needed(ASSET_CLASS_KEY)?, needed(PRICE_SOURCE_KEY)?);
                Some(SymbolSpec {
                    name: name.to_owned(),
                    price_scale: scale(PRICE_SCALE_KEY)?,
                    size_scale: scale(SIZE_SCALE_KEY)?,
                    asset_class: AssetClass::parse(class).ok_or_else(|| word(ASSET_CLASS_KEY, class))?,
                    price: PriceSource::parse(price).ok_or_else(|| word(PRICE_SOURCE_KEY, price))?,
                })
            }
        };
        Ok(About {
            dataset: Dataset::parse(dataset).ok_or_else(|| word(DATASET_KEY, dataset))?,
            log: u64::from_str_radix(log, 16).map_err(|_| word(LOG_KEY, log))?,
            symbol,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_file_tells_what_it_is_and_others_are_refused() {
        let symbol = SymbolSpec { price: PriceSource::Mid, ..SymbolSpec::named("EUR-USD") };
        for about in [
            About { dataset: Dataset::Ticks, log: u64::MAX, symbol: Some(symbol) },
            About { dataset: Dataset::Control, log: 7, symbol: None },
        ] {
            let mut pairs: BTreeMap<&str, String> = about.pairs().into_iter().collect();
            assert_eq!(About::read(|key| pairs.get(key).map(String::as_str)), Ok(about));
            pairs.insert(FORMAT_KEY, "2".to_owned());
            let refused = About::read(|key| pairs.get(key).map(String::as_str));
            assert_eq!(refused, Err(AboutError::Later("2".to_owned())));
        }
        assert_eq!(About::read(|_| None), Err(AboutError::Missing(FORMAT_KEY)));
    }
}
