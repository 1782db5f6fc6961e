//! The indicators of one window as JSON.
//!
//! Promises: what was written is read back to the same values, except the close and `log_pos`. On failure, reading
//! names the field.

use super::number::{WireError, exact, nearest};
use super::time::Time;
use crate::models::effect::IndicatorPoint;
use crate::models::indicators::IndicatorValues;
use crate::models::num::{Price, Scale};
use crate::models::symbol::{SymbolId, SymbolSpec};
use crate::models::time::Width;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::ToSchema;

/// The indicators of one window after its bar closed; `null` until warmed up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IndicatorsObject<'a> {
    /// The symbol in its one spelling.
    #[schema(example = "BTC-USD")]
    #[serde(borrow)]
    pub symbol: Cow<'a, str>,
    /// Name of the window's width.
    #[schema(example = "1min")]
    #[serde(borrow)]
    pub window: Cow<'a, str>,
    /// End of the window.
    #[schema(value_type = String, format = DateTime, example = "2023-09-05T17:01:00Z")]
    pub timestamp: Time,
    /// Simple moving average of 20 closes.
    pub sma_20: Option<f64>,
    /// Simple moving average of 50 closes.
    pub sma_50: Option<f64>,
    /// Simple moving average of 200 closes.
    pub sma_200: Option<f64>,
    /// Exponential moving average over 12.
    pub ema_12: Option<f64>,
    /// Exponential moving average over 26.
    pub ema_26: Option<f64>,
    /// Relative strength index over 14.
    pub rsi_14: Option<f64>,
    /// The same as `rsi_14`, under the name it had before.
    pub rsi: Option<f64>,
    /// MACD 12/26.
    pub macd: Option<f64>,
    /// EMA 9 of MACD.
    pub macd_signal: Option<f64>,
    /// MACD less its signal.
    pub macd_histogram: Option<f64>,
    /// Bollinger 20: middle + 2 deviations.
    pub bb_upper: Option<f64>,
    /// Bollinger 20: the mean.
    pub bb_middle: Option<f64>,
    /// Bollinger 20: middle - 2 deviations.
    pub bb_lower: Option<f64>,
    /// The bar's volume-weighted mean price.
    pub vwap: Option<f64>,
}

impl<'a> IndicatorsObject<'a> {
    /// Makes the object of the indicators of a window; `window` is the name of its width.
    #[must_use]
    pub fn new(point: &IndicatorPoint, spec: &'a SymbolSpec, window: &'a str) -> IndicatorsObject<'a> {
        let values = &point.values;
        IndicatorsObject {
            symbol: Cow::Borrowed(&spec.name),
            window: Cow::Borrowed(window),
            timestamp: Time(point.start.plus(point.width.nanos())),
            sma_20: values.sma_20,
            sma_50: values.sma_50,
            sma_200: values.sma_200,
            ema_12: values.ema_12,
            ema_26: values.ema_26,
            rsi_14: values.rsi_14,
            rsi: values.rsi_14,
            macd: values.macd,
            macd_signal: values.macd_signal,
            macd_histogram: values.macd_histogram,
            bb_upper: values.bb_upper,
            bb_middle: values.bb_middle,
            bb_lower: values.bb_lower,
            vwap: point.vwap.map(|vwap| nearest(i128::from(vwap), Scale::VWAP)),
        }
    }

    /// Reads the indicators of a symbol back. What only the core knows, the close and `log_pos`, is 0.
    ///
    /// # Errors
    /// When the window's name is unknown, or the mean price does not fit its scale.
    pub fn read(&self, symbol: SymbolId) -> Result<IndicatorPoint, WireError> {
        let width = Width::parse(&self.window).ok_or_else(|| WireError::word("window", &self.window))?;
        Ok(IndicatorPoint {
            symbol,
            width,
            start: self.timestamp.0.plus(-width.nanos()),
            close: Price(0),
            vwap: self.vwap.map(|vwap| exact(vwap, Scale::VWAP, "vwap")).transpose()?,
            values: IndicatorValues {
                sma_20: self.sma_20,
                sma_50: self.sma_50,
                sma_200: self.sma_200,
                ema_12: self.ema_12,
                ema_26: self.ema_26,
                rsi_14: self.rsi_14,
                macd: self.macd,
                macd_signal: self.macd_signal,
                macd_histogram: self.macd_histogram,
                bb_upper: self.bb_upper,
                bb_middle: self.bb_middle,
                bb_lower: self.bb_lower,
            },
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
    fn indicators_read_back_as_they_were_written() {
        let spec = SymbolSpec::named("AAPL");
        let values = IndicatorValues {
            sma_20: Some(182.1),
            rsi_14: Some(55.234_567_890_123),
            macd: Some(-1e-9),
            bb_lower: Some(181.0),
            ..IndicatorValues::default()
        };
        let point = IndicatorPoint {
            symbol: SymbolId(3),
            width: Width::parse("1min").unwrap(),
            start: Nanos(1_700_000_040_000_000_000),
            close: Price(0),
            vwap: Some(182_284_166_667),
            values,
            log_pos: 0,
        };
        let json = to_json(&IndicatorsObject::new(&point, &spec, "1min"));
        let object: IndicatorsObject<'_> = serde_json::from_slice(&json).unwrap();
        assert_eq!(object.read(point.symbol), Ok(point));
        assert_eq!(object.rsi, object.rsi_14);
    }
}
