//! What is usual: the baseline of some bars, and the limits beyond which a value is not.
//!
//! Promises: the same values give the same bits, since only sums of integers, products, quotients and an order are
//! taken; no logarithm or power, which differ between systems.
//!
//! The median variants know how far values usually are from the median, and leave out what is within four robust
//! standard deviations. Of prices that is the median absolute deviation, times 1.4826 where they are normally
//! distributed. Volumes differ by factors rather than by amounts (their logarithms are nearer to a normal distribution), so
//! their deviation is a factor: the median of how many times larger or smaller than the median they are. Six of such
//! factors are about four standard deviations (6 / 1.4826).

use super::settings::{Method, PriceThreshold, VolumeThreshold};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Robust standard deviations that are usual.
const DEVIATIONS: f64 = 4.0;
/// Median absolute deviations in a standard deviation of a normal distribution.
const NORMAL: f64 = 1.4826;
/// Factors in [`DEVIATIONS`].
const FACTORS: usize = 6;
/// Volumes differ by this factor at least: twenty that are alike by chance must not make the next one unusual.
const FACTOR_MIN: f64 = 1.5;

type Values = SmallVec<[f64; 32]>;

/// Which prices are usual, in the symbol's price scale.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PriceBand {
    /// The lowest.
    pub low: i64,
    /// The highest.
    pub high: i64,
    /// The baseline.
    pub expected: f64,
    /// How far from it the limits are.
    pub distance: f64,
    /// The same, in per cent of it.
    pub percent: f64,
}

impl PriceBand {
    /// Every price is usual, since nothing is known.
    pub const OPEN: PriceBand =
        PriceBand { low: i64::MIN, high: i64::MAX, expected: 0.0, distance: 0.0, percent: 0.0 };

    /// Makes the band around the closes of as many bars as the threshold wants.
    #[must_use]
    pub fn of(closes: impl Iterator<Item = i64> + Clone, threshold: &PriceThreshold) -> PriceBand {
        match threshold.method {
            Method::Mean => PriceBand::around_mean(closes.map(i128::from).sum(), threshold),
            Method::Median => {
                let mut values: Values = closes.map(|close| close as f64).collect();
                let middle = median(&mut values);
                values.iter_mut().for_each(|value| *value = (*value - middle).abs());
                PriceBand::around(middle, DEVIATIONS * (NORMAL * median(&mut values)), threshold)
            }
        }
    }

    /// Makes the band around the mean of closes with this sum.
    #[must_use]
    pub fn around_mean(sum: i128, threshold: &PriceThreshold) -> PriceBand {
        let expected = mean(sum, threshold.bars);
        PriceBand::within(expected, expected * (threshold.percent / 100.0), threshold.percent)
    }

    fn around(expected: f64, spread: f64, threshold: &PriceThreshold) -> PriceBand {
        let set = expected * (threshold.percent / 100.0);
        let (distance, percent) =
            if spread > set { (spread, spread / expected * 100.0) } else { (set, threshold.percent) };
        PriceBand::within(expected, distance, percent)
    }

    #[inline]
    fn within(expected: f64, distance: f64, percent: f64) -> PriceBand {
        // Whole prices are beyond a limit exactly where they are beyond the last whole price before it.
        let (low, high) = (rounded_up(expected - distance), rounded_down(expected + distance));
        PriceBand { low, high, expected, distance, percent }
    }

    /// True for a price within it.
    #[inline]
    #[must_use]
    pub const fn has(&self, price: i64) -> bool {
        self.low <= price && price <= self.high
    }
}

/// Which volumes are usual, in the symbol's size scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VolumeLimit {
    /// The baseline.
    pub expected: f64,
    /// How many times it the largest is.
    pub times: f64,
    /// The largest.
    pub limit: f64,
}

impl VolumeLimit {
    /// Makes the limit over the volumes of as many bars as the threshold wants; `None` where bars usually have none.
    #[must_use]
    pub fn of(
        volumes: impl Iterator<Item = i128> + Clone,
        threshold: &VolumeThreshold,
    ) -> Option<VolumeLimit> {
        match threshold.method {
            Method::Mean => VolumeLimit::over_mean(volumes.sum(), threshold),
            Method::Median => {
                let mut values: Values = volumes.map(|volume| volume as f64).collect();
                let middle = median(&mut values);
                values.iter_mut().for_each(|value| *value = (*value / middle).max(middle / *value));
                let factor = median(&mut values).max(FACTOR_MIN);
                let spread = (0..FACTORS).fold(1.0, |power, _| power * factor);
                VolumeLimit::over(middle, spread, threshold)
            }
        }
    }

    /// Makes the limit over the mean of volumes with this sum.
    #[must_use]
    pub fn over_mean(sum: i128, threshold: &VolumeThreshold) -> Option<VolumeLimit> {
        VolumeLimit::over(mean(sum, threshold.bars), 1.0, threshold)
    }

    fn over(expected: f64, spread: f64, threshold: &VolumeThreshold) -> Option<VolumeLimit> {
        let times = threshold.factor * spread;
        let limit = expected * times;
        (expected > 0.0 && limit.is_finite()).then_some(VolumeLimit { expected, times, limit })
    }
}

#[inline]
fn mean(sum: i128, bars: usize) -> f64 {
    to_f64(sum) / f64::from(bars as u32)
}

/// Rounds a price up. Not by the function of the standard library, which is a call on processors of every age.
fn rounded_up(price: f64) -> i64 {
    let whole = price as i64;
    whole + i64::from(price > whole as f64)
}

fn rounded_down(price: f64) -> i64 {
    let whole = price as i64;
    whole - i64::from(price < whole as f64)
}

/// Converts to the nearest `f64`. Nearly all numbers fit 64 bits, of which a processor converts one in one step.
#[inline]
pub fn to_f64(number: i128) -> f64 {
    #[cold]
    #[inline(never)]
    fn large(number: i128) -> f64 {
        number as f64
    }
    i64::try_from(number).map_or_else(|_| large(number), |number| number as f64)
}

/// Returns the middle one, or the mean of both. Not for no values.
fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { values[half] } else { (values[half - 1] + values[half]) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_unusual_beyond_the_limit_and_not_at_it() {
        let threshold = PriceThreshold { percent: 5.0, bars: 2, method: Method::Mean };
        let band = PriceBand::of([90, 110].into_iter(), &threshold);
        assert_eq!((band.expected, band.low, band.high), (100.0, 95, 105));
        assert!(band.has(105) && !band.has(106) && band.has(95) && !band.has(94));
        let uneven = PriceBand::of([90, 111].into_iter(), &threshold);
        assert_eq!((uneven.low, uneven.high), (96, 105), "95.475 and 105.525");
    }

    #[test]
    fn the_median_forgets_an_outlier_and_remembers_unrest() {
        let threshold = PriceThreshold { percent: 5.0, bars: 5, method: Method::Median };
        let calm = PriceBand::of([100, 100, 101, 99, 900].into_iter(), &threshold);
        assert_eq!((calm.expected, calm.low, calm.high), (100.0, 95, 105));
        let restless = PriceBand::of([100, 110, 90, 105, 95].into_iter(), &threshold);
        assert_eq!(restless.distance, 4.0 * (1.4826 * 5.0));
    }

    #[test]
    fn volumes_are_measured_by_factors() {
        let of = |method, volumes: [i128; 5]| {
            VolumeLimit::of(volumes.into_iter(), &VolumeThreshold { factor: 3.0, bars: 5, method })
        };
        let mean = of(Method::Mean, [1, 2, 3, 4, 90]).expect("some volume");
        assert_eq!((mean.expected, mean.times, mean.limit), (20.0, 3.0, 60.0));
        let median = of(Method::Median, [10, 20, 40, 80, 10_000]).expect("some volume");
        assert_eq!((median.expected, median.limit), (40.0, 40.0 * 3.0 * 64.0), "usually twice or half of it");
        let alike = of(Method::Median, [7; 5]).expect("some volume");
        assert_eq!(alike.limit, 7.0 * (3.0 * 11.390_625));
        assert_eq!(of(Method::Mean, [0; 5]), None);
        assert_eq!(of(Method::Median, [0, 0, 0, 5, 9]), None);
    }
}
