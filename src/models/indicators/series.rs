//! The indicators of one symbol and one window width, bar after bar, while the latest bars may still change.
//!
//! Promises: after any sequence of inserting, replacing, removing and sealing, the values are bit for bit those of a new
//! series that was given the final closes in order. A bar at the end costs O(1); a changed bar costs one step for itself
//! and for each bar after it. One ring holds the closes: the last 200 sealed ones and all unsealed ones; an unsealed bar
//! adds one [`Step`], and values are computed when asked for.
//!
//! Nothing here fails: what would break a promise (a bar before the sealed frontier) is a bug of the caller and asserted.

use super::IndicatorValues;
use super::step::{LONGEST_WINDOW, Step};
use crate::models::num::{Price, Scale};
use crate::models::time::Nanos;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// A series of closed bars and the indicators after each that is not sealed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IndicatorSeries {
    scale: Scale,
    /// Bars that start before this are sealed.
    frontier: Nanos,
    /// State after the newest sealed bar; count 0 when there is none.
    base: Step,
    /// Unsealed bars in order of start.
    steps: VecDeque<Step>,
    /// The last sealed closes, as many as the longest window may still need, then one close for each of `steps`.
    closes: VecDeque<i64>,
}

impl IndicatorSeries {
    /// Returns a series without bars, for closes of the given scale.
    #[must_use]
    pub fn new(price_scale: Scale) -> IndicatorSeries {
        IndicatorSeries {
            scale: price_scale,
            frontier: Nanos::MIN,
            base: Step::blank(Nanos::MIN),
            steps: VecDeque::new(),
            closes: VecDeque::new(),
        }
    }

    /// Puts a bar in its place by start, or replaces the close of the bar that is there.
    ///
    /// Returns the index of the first step that changed, or `None` when the bar had that close already.
    /// The start must not lie before the sealed frontier.
    pub fn upsert(&mut self, start: Nanos, close: Price) -> Option<usize> {
        debug_assert!(start >= self.frontier, "a sealed bar does not change");
        debug_assert!((0..Price::LIMIT).contains(&close.0), "a close is a checked price");
        let index = match self.place_of(start) {
            Ok(index) => {
                let at = self.num_sealed_closes() + index;
                if self.closes[at] == close.0 {
                    return None;
                }
                self.closes[at] = close.0;
                index
            }
            Err(index) if index == self.steps.len() => {
                self.steps.push_back(self.step_after_newest(start, close));
                self.closes.push_back(close.0);
                return Some(index);
            }
            Err(index) => {
                let at = self.num_sealed_closes() + index;
                self.closes.insert(at, close.0);
                self.steps.insert(index, Step::blank(start));
                index
            }
        };
        self.recompute_from(index);
        Some(index)
    }

    /// Takes out the bar that starts there, because it became void.
    ///
    /// Returns the index of the first step that followed it (the new length if none did), or `None` without such a bar.
    /// The start must not lie before the sealed frontier.
    pub fn remove(&mut self, start: Nanos) -> Option<usize> {
        debug_assert!(start >= self.frontier, "a sealed bar does not change");
        let index = self.index_of(start)?;
        let at = self.num_sealed_closes() + index;
        self.closes.remove(at);
        self.steps.remove(index);
        self.recompute_from(index);
        Some(index)
    }

    /// Returns the number of unsealed steps.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Tells whether no step is unsealed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Returns start, close and indicators of an unsealed step.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    #[must_use]
    pub fn step(&self, index: usize) -> (Nanos, Price, IndicatorValues) {
        let step = &self.steps[index];
        (step.start, Price(self.closes[self.num_sealed_closes() + index]), step.values(self.scale))
    }

    /// Returns the RSI of an unsealed step, unless it is no more than a convention: while prices have never moved.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    #[must_use]
    pub fn moving_rsi(&self, index: usize) -> Option<f64> {
        self.steps[index].moving_rsi()
    }

    /// Returns the RSI of the newest step where it starts there and is unsealed, unless it is no more than a convention.
    #[must_use]
    pub fn newest_moving_rsi(&self, start: Nanos) -> Option<f64> {
        self.steps.back().filter(|newest| newest.start == start).and_then(Step::moving_rsi)
    }

    /// Returns the index of the unsealed step that starts there.
    #[must_use]
    pub fn index_of(&self, start: Nanos) -> Option<usize> {
        self.place_of(start).ok()
    }

    /// Says that no bar that starts before `until` changes any more, and frees what was kept for that.
    pub fn seal(&mut self, until: Nanos) {
        self.frontier = self.frontier.max(until);
        let num_sealed = self.steps.partition_point(|step| step.start < until);
        let newest_sealed = self.steps.drain(..num_sealed).next_back();
        if let Some(newest) = newest_sealed {
            self.base = newest;
            // A new bar may still come right after the base, and what leaves its window must be here.
            let num_unneeded = self.num_sealed_closes().saturating_sub(LONGEST_WINDOW);
            self.closes.drain(..num_unneeded);
            shrink(&mut self.steps);
            shrink(&mut self.closes);
        }
    }

    /// Returns start, close and indicators of the newest bar, sealed or not; `None` before the first.
    #[must_use]
    pub fn latest(&self) -> Option<(Nanos, Price, IndicatorValues)> {
        let close = *self.closes.back()?;
        let newest = self.newest();
        Some((newest.start, Price(close), newest.values(self.scale)))
    }

    /// Returns what a bar with this close after the newest one would give.
    #[must_use]
    pub fn preview(&self, close: Price) -> IndicatorValues {
        self.step_after_newest(Nanos::MAX, close).values(self.scale)
    }

    fn newest(&self) -> &Step {
        self.steps.back().unwrap_or(&self.base)
    }

    fn step_after_newest(&self, start: Nanos, close: Price) -> Step {
        let at = self.closes.len();
        self.newest().next(start, close.0, self.scale, |ago| self.closes[at - ago])
    }

    fn num_sealed_closes(&self) -> usize {
        self.closes.len() - self.steps.len()
    }

    /// Where the step with this start is, or else belongs. Nearly always that is the end.
    fn place_of(&self, start: Nanos) -> Result<usize, usize> {
        match self.steps.back() {
            Some(newest) if newest.start >= start => {
                self.steps.binary_search_by_key(&start, |step| step.start)
            }
            _ => Err(self.steps.len()),
        }
    }

    fn recompute_from(&mut self, first: usize) {
        let num_sealed = self.num_sealed_closes();
        let mut step = first.checked_sub(1).map_or(self.base, |before| self.steps[before]);
        for index in first..self.steps.len() {
            let at = num_sealed + index;
            step =
                step.next(self.steps[index].start, self.closes[at], self.scale, |ago| self.closes[at - ago]);
            self.steps[index] = step;
        }
    }
}

/// Gives back what a burst of unsealed bars took, yet not so eagerly that the next bar allocates again.
fn shrink<T>(ring: &mut VecDeque<T>) {
    let wanted = ring.len().max(4);
    if ring.capacity() > 4 * wanted {
        ring.shrink_to(2 * wanted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::time::MINUTE;

    /// Scale of two decimals keeps the tables readable.
    fn series() -> IndicatorSeries {
        IndicatorSeries::new(Scale::new(2).expect("in range"))
    }

    fn start(bar: i64) -> Nanos {
        Nanos(bar * MINUTE)
    }

    fn fed(closes: impl IntoIterator<Item = i64>) -> IndicatorSeries {
        let mut series = series();
        for (bar, close) in (0..).zip(closes) {
            assert_eq!(series.upsert(start(bar), Price(close)), usize::try_from(bar).ok());
        }
        series
    }

    /// Forty made-up closes whose indicators TA-Lib 0.8.1 was asked for.
    fn forty() -> impl Iterator<Item = i64> {
        (0..40).map(|i| 10_000 + i * i * 7 % 23 * 100 + i % 5 * 25)
    }

    #[test]
    fn gives_what_ta_lib_gives_and_nothing_while_it_warms_up() {
        // Per bar: sma_20, ema_12, ema_26, rsi_14, macd, signal, upper band, lower band; NaN stands for none.
        const NO: f64 = f64::NAN;
        #[rustfmt::skip]
        let table = [
            (0, [NO, NO, NO, NO, NO, NO, NO, NO]),
            (10, [NO, NO, NO, NO, NO, NO, NO, NO]),
            (11, [NO, 113.854_166_666_666_67, NO, NO, NO, NO, NO, NO]),
            (13, [NO, 114.111_563_116_370_8, NO, NO, NO, NO, NO, NO]),
            (14, [NO, 114.402_091_867_698_37, NO, 59.523_809_523_809_526, NO, NO, NO, NO]),
            (18, [NO, 115.946_991_598_157_34, NO, 56.021_688_236_088_79, NO, NO, NO, NO]),
            (19, [115.15, 116.724_377_506_133_14, NO, 59.276_885_012_369_88, NO, NO, 127.442_680_749_128_73, 102.857_319_250_871_29]),
            (24, [114.5, 111.238_872_593_181_8, NO, 50.787_278_183_305_65, NO, NO, 126.661_414_391_426_69, 102.338_585_608_573_31]),
            (25, [114.05, 110.279_046_040_384_6, 113.326_923_076_923_08, 48.951_158_688_563_225, NO, NO,
                126.898_735_346_328_83, 101.201_264_653_671_16]),
            (32, [114.2, 115.003_508_232_805_69, 115.023_760_900_310_89, 52.847_081_136_764_885, NO, NO,
                126.933_420_593_069_24, 101.466_579_406_930_76]),
            (33, [114.2, 114.349_122_350_835_59, 114.707_186_018_806_38, 49.860_478_371_836_855,
                0.225_561_777_632_194_1, 0.338_472_312_911_760_16, 126.933_420_593_069_24, 101.466_579_406_930_76]),
            (39, [113.8, 115.676_432_720_036_91, 115.333_384_367_347_3, 55.668_517_598_962_474,
                0.557_253_654_378_129_7, 0.371_743_600_089_713_36, 126.207_255_941_585_15, 101.392_744_058_414_85]),
        ];
        let series = fed(forty());
        for (bar, expected) in table {
            let (at, _, v) = series.step(bar);
            assert_eq!(at, start(bar as i64));
            let found =
                [v.sma_20, v.ema_12, v.ema_26, v.rsi_14, v.macd, v.macd_signal, v.bb_upper, v.bb_lower];
            for (column, (found, expected)) in found.into_iter().zip(expected).enumerate() {
                assert_eq!(found.is_none(), expected.is_nan(), "bar {bar}, column {column}");
                if let Some(found) = found {
                    assert!(
                        (found - expected).abs() <= 1e-12 * expected.abs(),
                        "bar {bar}: {found} for {expected}"
                    );
                }
            }
            assert_eq!(v.bb_middle, v.sma_20);
            assert_eq!(v.macd_histogram, v.macd.zip(v.macd_signal).map(|(macd, signal)| macd - signal));
        }
    }

    #[test]
    fn shows_each_indicator_from_its_first_full_window_on() {
        // sma 20, 50, 200, ema 12, 26, rsi, macd, signal, histogram, bands.
        let first_bars = [19, 49, 199, 11, 25, 14, 33, 33, 33, 19, 19, 19];
        let series = fed((0..201).map(|i| 500 + i));
        for bar in 0..201 {
            let shown = series.step(bar).2.in_order().map(|value| value.is_some());
            assert_eq!(shown, first_bars.map(|first| bar >= first), "bar {bar}");
        }
    }

    #[test]
    fn knows_nothing_before_the_first_bar_and_little_after_it() {
        let mut series = series();
        assert_eq!((series.latest(), series.len(), series.is_empty()), (None, 0, true));
        assert_eq!(series.preview(Price(100)), IndicatorValues::default());
        assert_eq!(series.remove(start(0)), None);
        assert_eq!(series.upsert(start(3), Price(100)), Some(0));
        assert_eq!(series.latest(), Some((start(3), Price(100), IndicatorValues::default())));
    }

    #[test]
    fn a_constant_price_has_no_strength_and_no_width() {
        let series = fed([500; 250]);
        let (_, _, values) = series.latest().expect("fed");
        let five = Some(5.0);
        assert_eq!((values.sma_20, values.sma_50, values.sma_200), (five, five, five));
        assert_eq!((values.bb_upper, values.bb_middle, values.bb_lower), (five, five, five));
        assert_eq!(values.rsi_14, Some(0.0));
        for (found, expected) in
            [(values.ema_12, 5.0), (values.ema_26, 5.0), (values.macd, 0.0), (values.macd_signal, 0.0)]
        {
            assert!((found.expect("warm") - expected).abs() < 1e-13);
        }
    }

    #[test]
    fn strength_is_100_when_it_only_rises_and_0_when_it_only_falls() {
        for (step, expected) in [(1, 100.0), (-1, 0.0)] {
            let series = fed((0..30).map(|i| 1_000 + step * i));
            assert_eq!(series.latest().and_then(|(_, _, values)| values.rsi_14), Some(expected));
        }
    }

    #[test]
    fn says_where_a_change_begins() {
        let mut series = fed([100, 200, 300]);
        assert_eq!(series.upsert(start(1), Price(200)), None, "the close it had");
        assert_eq!(series.upsert(start(1), Price(201)), Some(1));
        assert_eq!(series.upsert(Nanos(MINUTE + 1), Price(7)), Some(2), "between two bars");
        assert_eq!(series.index_of(start(2)), Some(3));
        assert_eq!(series.step(3).1, Price(300));
        assert_eq!(series.remove(Nanos(MINUTE + 1)), Some(2));
        assert_eq!(series.remove(Nanos(MINUTE + 1)), None);
        assert_eq!(series.remove(start(2)), Some(2), "nothing followed");
        assert_eq!(series.len(), 2);
    }

    #[test]
    fn sealing_frees_but_forgets_nothing_that_counts() {
        let mut series = fed((0..1_000).map(|i| 10_000 + i % 37));
        let before = series.latest();
        series.seal(start(990));
        assert_eq!((series.len(), series.closes.len()), (10, 210));
        assert!(series.closes.capacity() <= 840 && series.steps.capacity() <= 40);
        series.seal(start(1_000));
        assert_eq!((series.len(), series.closes.len()), (0, 200));
        assert_eq!(series.latest(), before);
        assert_eq!(series.upsert(start(1_000), Price(5)), Some(0));
    }

    #[test]
    #[should_panic(expected = "a sealed bar does not change")]
    #[cfg(debug_assertions)]
    fn refuses_a_sealed_bar() {
        let mut series = fed([100, 200]);
        series.seal(start(2));
        series.upsert(start(1), Price(300));
    }

    #[test]
    fn an_unsealed_bar_costs_two_cache_lines() {
        assert_eq!(size_of::<Step>(), 128);
    }
}
