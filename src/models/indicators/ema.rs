//! An exponential moving average that opens as TA-Lib's do: with the mean of its first inputs.
//!
//! The recursion is that of `ta`, run around the present value: `ta`'s average is opened at zero and fed how far the input
//! is away. That is the order in which TA-Lib rounds, so the two agree where a plain `k·x + (1 - k)·y` loses the last bits
//! of a large price, which MACD's difference would show; a price that stands still stays exactly where it is. And only the
//! value has to be kept: 8 bytes instead of 32 for each average of each unsealed bar.

use serde::{Deserialize, Serialize};
use ta::Next;
use ta::indicators::ExponentialMovingAverage;

/// An average with smoothing 2 / (`PERIOD` + 1) whose first value is the mean of `SEED` inputs.
///
/// It does not count its inputs: whoever feeds it knows how many there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct SeededEma<const PERIOD: usize, const SEED: u64>(f64);

impl<const PERIOD: usize, const SEED: u64> SeededEma<PERIOD, SEED> {
    /// Takes the input that follows `seen` earlier ones.
    pub fn push(&mut self, seen: u64, input: f64) {
        if seen < SEED {
            self.0 += input;
            if seen + 1 == SEED {
                self.0 /= SEED as f64;
            }
            return;
        }
        let mut ema = ExponentialMovingAverage::new(PERIOD).expect("the period is not zero");
        ema.next(0.0);
        self.0 += ema.next(input - self.0);
    }

    /// Returns the average. It means something once `SEED` inputs were taken.
    pub fn value(self) -> f64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_with_the_mean_and_then_smooths() {
        // (input, value once seeded): 2 / (3 + 1) = 1/2, so every value is exact in binary.
        let table = [
            (2.0, None),
            (4.0, None),
            (9.0, Some(5.0)),
            (6.0, Some(5.5)),
            (1.5, Some(3.5)),
            (3.5, Some(3.5)),
        ];
        let mut ema = SeededEma::<3, 3>::default();
        for (seen, (input, expected)) in (0_u64..).zip(table) {
            ema.push(seen, input);
            if let Some(expected) = expected {
                assert_eq!(ema.value(), expected, "after {} inputs", seen + 1);
            }
        }
    }

    #[test]
    fn one_value_is_enough_when_the_seed_is_one() {
        let mut ema = SeededEma::<1, 1>::default();
        for (seen, input) in (0..).zip([7.0, -3.0, 0.25]) {
            ema.push(seen, input);
            assert_eq!(ema.value(), input);
        }
    }

    #[test]
    fn follows_an_average_that_was_never_put_down() {
        let mut whole = ExponentialMovingAverage::new(12).expect("not zero");
        let mut kept = SeededEma::<12, 1>::default();
        for seen in 0..1_000_u64 {
            let input = (seen * 7_919 % 1_013) as f64 / 7.0;
            kept.push(seen, input);
            assert!((kept.value() - whole.next(input)).abs() < 1e-12);
        }
    }

    #[test]
    fn a_price_that_stands_still_leaves_it_where_it_is() {
        let mut ema = SeededEma::<26, 1>::default();
        for seen in 0..1_000 {
            ema.push(seen, 0.1);
            assert_eq!(ema.value(), 0.1);
        }
    }
}
