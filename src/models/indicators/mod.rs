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
