//! What one more close does to the indicators: a pure step from one state to the next.
//!
//! A state is a function of the closes so far, in order, and of nothing else: equal closes give equal bits, by whatever
//! detours a series came to them. Sums are exact integers, so nothing drifts. It cannot fail for closes in
//! `0..`[`Price::LIMIT`](crate::models::num::Price::LIMIT), where 400 squared closes still fit an `i128`.

use super::IndicatorValues;
use super::ema::SeededEma;
use crate::models::num::Scale;
use crate::models::time::Nanos;
use serde::{Deserialize, Serialize};

/// How many closes the longest window spans.
pub(super) const LONGEST_WINDOW: usize = 200;

/// Closes that MACD's fast average leaves out, so that it opens together with the slow one.
const MACD_FAST_SKIPS: u64 = 26 - 12;
/// Closes before MACD exists inside; it is shown only when its signal is seeded too.
const MACD_LAG: u64 = 25;
/// Closes until MACD and its signal are shown.
const MACD_WARM_UP: u64 = MACD_LAG + 9;
/// Closes until RSI is shown: 14 changes.
const RSI_WARM_UP: u64 = 15;
/// Inputs of Bollinger's bands.
const BOLLINGER: i128 = 20;

/// Wilder's smoothing over n is an exponential average over 2n - 1.
type Wilder14 = SeededEma<27, 14>;

/// The state of the indicators after one bar.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Step {
    /// Start of the bar's window.
    pub start: Nanos,
    /// Closes taken, this one included.
    pub count: u64,
    sum_20: i128,
    sum_50: i128,
    sum_200: i128,
    squares_20: i128,
    ema_12: SeededEma<12, 12>,
    /// Also MACD's slow average: TA-Lib seeds both alike.
    ema_26: SeededEma<26, 26>,
    macd_fast: SeededEma<12, 12>,
    macd_signal: SeededEma<9, 9>,
    gain: Wilder14,
    loss: Wilder14,
}

impl Step {
    /// Returns the state before the first close, under the given start.
    pub fn blank(start: Nanos) -> Step {
        Step {
            start,
            count: 0,
            sum_20: 0,
            sum_50: 0,
            sum_200: 0,
            squares_20: 0,
            ema_12: SeededEma::default(),
            ema_26: SeededEma::default(),
            macd_fast: SeededEma::default(),
            macd_signal: SeededEma::default(),
            gain: SeededEma::default(),
            loss: SeededEma::default(),
        }
    }

    /// Returns the state after one more bar; `ago(n)` is the close n bars before it, asked only where there is one.
    pub fn next(&self, start: Nanos, close: i64, scale: Scale, ago: impl Fn(usize) -> i64) -> Step {
        let seen = self.count;
        let left = |width: usize| if seen < width as u64 { 0 } else { i128::from(ago(width)) };
        let entering = i128::from(close);
        let left_20 = left(20);

        let mut next = *self;
        next.start = start;
        next.count = seen + 1;
        next.sum_20 += entering - left_20;
        next.sum_50 += entering - left(50);
        next.sum_200 += entering - left(LONGEST_WINDOW);
        next.squares_20 += entering * entering - left_20 * left_20;

        let price = scale.to_f64(close);
        next.ema_12.push(seen, price);
        next.ema_26.push(seen, price);
        if let Some(seen) = seen.checked_sub(MACD_FAST_SKIPS) {
            next.macd_fast.push(seen, price);
        }
        if let Some(seen) = seen.checked_sub(MACD_LAG) {
            next.macd_signal.push(seen, next.macd());
        }
        if let Some(seen) = seen.checked_sub(1) {
            let change = close - ago(1);
            next.gain.push(seen, scale.to_f64(change.max(0)));
            next.loss.push(seen, scale.to_f64((-change).max(0)));
        }
        next
    }

    /// Returns the indicators of this state.
    pub fn values(&self, scale: Scale) -> IndicatorValues {
        let mean = |sum: i128, width: u64| {
            // The divisor is at most 2 × 10^14, so exact in binary: one rounding of the sum, one of the quotient.
            (self.count >= width).then(|| sum as f64 / (width as f64 * scale.factor() as f64))
        };
        let middle = mean(self.sum_20, 20);
        let two_deviations = 2.0 * self.deviation_20(scale);
        let macd = (self.count >= MACD_WARM_UP).then(|| (self.macd(), self.macd_signal.value()));
        IndicatorValues {
            sma_20: middle,
            sma_50: mean(self.sum_50, 50),
            sma_200: mean(self.sum_200, LONGEST_WINDOW as u64),
            ema_12: (self.count >= 12).then(|| self.ema_12.value()),
            ema_26: (self.count >= 26).then(|| self.ema_26.value()),
            rsi_14: self.rsi_14(),
            macd: macd.map(|(macd, _)| macd),
            macd_signal: macd.map(|(_, signal)| signal),
            macd_histogram: macd.map(|(macd, signal)| macd - signal),
            bb_upper: middle.map(|middle| middle + two_deviations),
            bb_middle: middle,
            bb_lower: middle.map(|middle| middle - two_deviations),
        }
    }

    fn macd(&self) -> f64 {
        self.macd_fast.value() - self.ema_26.value()
    }

    fn rsi_14(&self) -> Option<f64> {
        (self.count >= RSI_WARM_UP).then(|| self.rsi())
    }

    /// Returns the RSI; `None` until it is warmed up, and while prices have never moved: then it is 0 by convention.
    pub fn moving_rsi(&self) -> Option<f64> {
        self.rsi_14().filter(|_| self.gain.value() + self.loss.value() > 0.0)
    }

    fn rsi(&self) -> f64 {
        let (gain, loss) = (self.gain.value(), self.loss.value());
        let moved = gain + loss;
        if moved > 0.0 { 100.0 * (gain / moved) } else { 0.0 }
    }

    /// Population deviation of the last 20 closes, from n·Σx² - (Σx)², which an integer holds without cancellation.
    fn deviation_20(&self, scale: Scale) -> f64 {
        let spread = BOLLINGER * self.squares_20 - self.sum_20 * self.sum_20;
        (spread as f64).sqrt() / (BOLLINGER as f64 * scale.factor() as f64)
    }
}
