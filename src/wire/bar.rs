//! A bar as JSON.
//!
//! Promises: what was written is read back to the same bar, except `seq` and `log_pos`, which only the log knows. On
//! failure, reading names the field.

use super::number::{WireError, exact, nearest};
use super::time::Time;
use crate::models::bar::{Bar, BarOrigin, BarState};
use crate::models::num::{Price, Scale};
use crate::models::symbol::{SymbolId, SymbolSpec};
use crate::models::time::Width;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::ToSchema;

/// One bar.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BarObject<'a> {
    /// End of the window.
    #[schema(value_type = String, format = DateTime, example = "2023-09-05T17:01:00Z")]
    pub time: Time,
    /// The symbol in its one spelling.
    #[schema(example = "BTC-USD")]
    #[serde(borrow)]
    pub symbol: Cow<'a, str>,
    /// Name of the window's width.
    #[schema(example = "1min")]
    #[serde(borrow)]
    pub window: Cow<'a, str>,
    /// Start of the window, inclusive.
    #[schema(value_type = String, format = DateTime, example = "2023-09-05T17:00:00Z")]
    pub window_start: Time,
    /// End of the window, exclusive.
    #[schema(value_type = String, format = DateTime, example = "2023-09-05T17:01:00Z")]
    pub window_end: Time,
    /// First price.
    #[schema(example = 25714.11)]
    pub open: f64,
    /// Highest price.
    #[schema(example = 25720)]
    pub high: f64,
    /// Lowest price.
    #[schema(example = 25710.5)]
    pub low: f64,
    /// Last price.
    #[schema(example = 25718.25)]
    pub close: f64,
    /// Sum of sizes.
    #[schema(example = 3.5)]
    pub volume: f64,
    /// Volume-weighted mean price.
    #[schema(example = 25_716.123_456_789)]
    pub vwap: Option<f64>,
    /// Trades that count for volume.
    #[schema(example = 17)]
    pub trade_count: u64,
    /// `forming`, `closed` or `amended`; `void` in messages only.
    #[schema(example = "closed")]
    #[serde(borrow)]
    pub state: Cow<'a, str>,
    /// How many log entries changed it after it closed.
    #[schema(example = 0)]
    pub revision: u32,
    /// Share of the window in which its source was healthy.
    #[schema(example = 1)]
    pub coverage: f64,
    /// Trades that came after the close and still counted.
    #[schema(example = 0)]
    pub late: u32,
    /// Repeated reports that were set aside.
    #[schema(example = 0)]
    pub duplicates: u32,
    /// Trades that were taken out.
    #[schema(example = 0)]
    pub cancelled: u32,
    /// What it is made of: `trades`, `quotes`, or `vendor` where only the venue's own bars are known. Objects of earlier
    /// versions lack it.
    #[schema(required = true, example = "trades")]
    #[serde(borrow, default)]
    pub origin: Cow<'a, str>,
}

impl<'a> BarObject<'a> {
    /// Makes the object of a bar; `window` is the name of its width.
    #[must_use]
    pub fn new(bar: &Bar, spec: &'a SymbolSpec, window: &'a str) -> BarObject<'a> {
        let price = |price: Price| nearest(i128::from(price.0), spec.price_scale);
        BarObject {
            time: Time(bar.end()),
            symbol: Cow::Borrowed(&spec.name),
            window: Cow::Borrowed(window),
            window_start: Time(bar.start),
            window_end: Time(bar.end()),
            open: price(bar.open),
            high: price(bar.high),
            low: price(bar.low),
            close: price(bar.close),
            volume: nearest(bar.volume, spec.size_scale),
            vwap: bar.vwap.map(|vwap| nearest(i128::from(vwap), Scale::VWAP)),
            trade_count: bar.trade_count,
            state: Cow::Borrowed(bar.state.as_str()),
            revision: bar.revision,
            coverage: bar.coverage,
            late: bar.late,
            duplicates: bar.duplicates,
            cancelled: bar.cancelled,
            origin: Cow::Borrowed(bar.origin.as_str()),
        }
    }

    /// Reads the bar of a symbol back. What only the log knows, `seq` and `log_pos`, is 0.
    ///
    /// # Errors
    /// When a word is unknown, or a number does not fit the symbol's scales.
    pub fn read(&self, symbol: SymbolId, spec: &SymbolSpec) -> Result<Bar, WireError> {
        let price = |value, field| exact(value, spec.price_scale, field).map(Price);
        Ok(Bar {
            symbol,
            width: Width::parse(&self.window).ok_or_else(|| WireError::word("window", &self.window))?,
            start: self.window_start.0,
            open: price(self.open, "open")?,
            high: price(self.high, "high")?,
            low: price(self.low, "low")?,
            close: price(self.close, "close")?,
            volume: i128::from(exact(self.volume, spec.size_scale, "volume")?),
            vwap: self.vwap.map(|vwap| exact(vwap, Scale::VWAP, "vwap")).transpose()?,
            trade_count: self.trade_count,
            state: BarState::parse(&self.state).ok_or_else(|| WireError::word("state", &self.state))?,
            origin: match &*self.origin {
                "" => BarOrigin::default(),
                text => BarOrigin::parse(text).ok_or_else(|| WireError::word("origin", &self.origin))?,
            },
            revision: self.revision,
            coverage: self.coverage,
            late: self.late,
            duplicates: self.duplicates,
            cancelled: self.cancelled,
            seq: 0,
            log_pos: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::time::Nanos;
    use crate::wire::to_json;

    #[test]
    fn a_bar_reads_back_as_it_was_written() {
        let spec = SymbolSpec::named("BTC-USD");
        let bar = Bar {
            symbol: SymbolId(7),
            width: Width::parse("5min").unwrap(),
            start: Nanos(1_700_000_100_000_000_000),
            open: Price(25_714_110_000_000),
            high: Price(25_720_000_000_000),
            low: Price(25_710_500_000_001),
            close: Price(1),
            volume: 350_000_001,
            vwap: Some(25_716_123_456_789),
            trade_count: 17,
            state: BarState::Amended,
            origin: BarOrigin::Vendor,
            revision: 2,
            coverage: 0.75,
            late: 1,
            duplicates: 3,
            cancelled: 4,
            seq: 0,
            log_pos: 0,
        };
        for bar in [bar, Bar { vwap: None, volume: 0, state: BarState::Closed, ..bar }] {
            let json = to_json(&BarObject::new(&bar, &spec, "5min"));
            let object: BarObject<'_> = serde_json::from_slice(&json).unwrap();
            assert!(matches!(object.symbol, Cow::Borrowed("BTC-USD")), "nothing is copied");
            assert_eq!(object.read(bar.symbol, &spec), Ok(bar));
            assert_eq!(to_json(&object), json);
        }
        let object = BarObject { state: "open".into(), window: "1min".into(), ..BarObject::default() };
        assert_eq!(object.read(SymbolId(0), &spec).unwrap_err().to_string(), "`state` is `open`");
    }
}
