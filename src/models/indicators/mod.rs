//! Technical indicators on closed bars, with the values of TA-Lib at its default settings.
//!
//! [`IndicatorSeries`] promises them to 1e-9 × max(1, |value|), and `None` exactly while TA-Lib is warming up. The files
//! by subject: `ema` the seeded average over `ta`, `step` what one close does, `series` bars that may still change.
//! Nothing here fails: closes were checked when they entered as prices.

mod ema;
#[cfg(test)]
mod properties;
mod series;
mod step;

pub use series::IndicatorSeries;

use serde::{Deserialize, Serialize};

/// Indicators after one closed bar; `None` until warmed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IndicatorValues {
    /// Simple moving average of 20 closes.
    pub sma_20: Option<f64>,
    /// Simple moving average of 50 closes.
    pub sma_50: Option<f64>,
    /// Simple moving average of 200 closes.
    pub sma_200: Option<f64>,
    /// Exponential moving average over 12, seeded with the mean of its first 12 closes.
    pub ema_12: Option<f64>,
    /// Exponential moving average over 26, seeded with the mean of its first 26 closes.
    pub ema_26: Option<f64>,
    /// Wilder's relative strength index over 14.
    pub rsi_14: Option<f64>,
    /// MACD 12/26.
    pub macd: Option<f64>,
    /// EMA 9 of MACD.
    pub macd_signal: Option<f64>,
    /// MACD less its signal.
    pub macd_histogram: Option<f64>,
    /// Bollinger 20: middle + 2 population deviations.
    pub bb_upper: Option<f64>,
    /// Bollinger 20: the mean.
    pub bb_middle: Option<f64>,
    /// Bollinger 20: middle - 2 population deviations.
    pub bb_lower: Option<f64>,
}

impl IndicatorValues {
    /// Names of the values, in the order in which objects, tables and files list them.
    pub const NAMES: [&str; 12] = [
        "sma_20",
        "sma_50",
        "sma_200",
        "ema_12",
        "ema_26",
        "rsi_14",
        "macd",
        "macd_signal",
        "macd_histogram",
        "bb_upper",
        "bb_middle",
        "bb_lower",
    ];

    /// Returns the values in the order of [`IndicatorValues::NAMES`].
    #[must_use]
    pub const fn in_order(&self) -> [Option<f64>; 12] {
        [
            self.sma_20,
            self.sma_50,
            self.sma_200,
            self.ema_12,
            self.ema_26,
            self.rsi_14,
            self.macd,
            self.macd_signal,
            self.macd_histogram,
            self.bb_upper,
            self.bb_middle,
            self.bb_lower,
        ]
    }

    /// Makes the values from a list in the order of [`IndicatorValues::NAMES`].
    #[must_use]
    pub const fn from_order(values: [Option<f64>; 12]) -> IndicatorValues {
        let [
            sma_20,
            sma_50,
            sma_200,
            ema_12,
            ema_26,
            rsi_14,
            macd,
            macd_signal,
            macd_histogram,
            bb_upper,
            bb_middle,
            bb_lower,
        ] = values;
        IndicatorValues {
            sma_20,
            sma_50,
            sma_200,
            ema_12,
            ema_26,
            rsi_14,
            macd,
            macd_signal,
            macd_histogram,
            bb_upper,
            bb_middle,
            bb_lower,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_lists_follow_the_fields() {
        let list = std::array::from_fn(|at| Some(at as f64));
        let values = IndicatorValues::from_order(list);
        assert_eq!(values.in_order(), list);
        let json = serde_json::to_string(&values).expect("plain data");
        let expected: Vec<String> =
            IndicatorValues::NAMES.iter().zip(0..).map(|(name, at)| format!("\"{name}\":{at}.0")).collect();
        assert_eq!(json, format!("{{{}}}", expected.join(",")));
    }
}
