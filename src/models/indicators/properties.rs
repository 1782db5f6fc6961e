//! What holds for every series, whatever was done to it.

use super::{IndicatorSeries, IndicatorValues};
use crate::models::num::{Price, Scale};
use crate::models::time::Nanos;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// One thing done to a series. Slots are counted from the sealed frontier; the bars fed first stand on even ones.
#[derive(Clone, Debug)]
enum Action {
    Append { gap: i64, close: i64 },
    Upsert { slot: i64, close: i64 },
    Remove { slot: i64 },
    Seal { slots: i64 },
}

fn close() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => 1_i64..50,
        4 => 60_000_000_000_000_i64..61_000_000_000_000,
        1 => Just(Price::LIMIT - 1),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        3 => (1_i64..4, close()).prop_map(|(gap, close)| Action::Append { gap, close }),
        4 => (0_i64..30, close()).prop_map(|(slot, close)| Action::Upsert { slot, close }),
        2 => (0_i64..30).prop_map(|slot| Action::Remove { slot }),
        1 => (0_i64..20).prop_map(|slots| Action::Seal { slots }),
    ]
}

fn bits(values: &IndicatorValues) -> [Option<u64>; 12] {
    values.in_order().map(|value| value.map(f64::to_bits))
}

fn fresh(bars: &BTreeMap<i64, i64>) -> IndicatorSeries {
    let mut series = IndicatorSeries::new(Scale::PRICE);
    for (&start, &close) in bars {
        series.upsert(Nanos(start), Price(close));
    }
    series
}

/// Checks a series against one that was fed the final closes in order.
fn agrees(series: &IndicatorSeries, bars: &BTreeMap<i64, i64>, frontier: i64) -> Result<(), TestCaseError> {
    let fresh = fresh(bars);
    let num_sealed = bars.range(..frontier).count();
    prop_assert_eq!(series.len(), fresh.len() - num_sealed);
    for index in 0..series.len() {
        let (found, expected) = (series.step(index), fresh.step(num_sealed + index));
        prop_assert_eq!((found.0, found.1), (expected.0, expected.1));
        prop_assert_eq!(bits(&found.2), bits(&expected.2), "bar {} of {}", num_sealed + index, fresh.len());
    }
    let newest = |series: &IndicatorSeries| {
        series.latest().map(|(start, close, values)| (start, close, bits(&values)))
    };
    // A series whose unsealed bars all went still knows its newest sealed one.
    prop_assert_eq!(newest(series), newest(&fresh));
    let preview = Price(61_234_000_000_000);
    prop_assert_eq!(bits(&series.preview(preview)), bits(&fresh.preview(preview)));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn any_history_ends_in_the_values_of_the_final_closes(
        first in prop::collection::vec(close(), 0..300),
        sealed_of_first in 0_usize..300,
        actions in prop::collection::vec(action(), 0..80),
    ) {
        let mut series = IndicatorSeries::new(Scale::PRICE);
        let mut bars = BTreeMap::new();
        for (at, &close) in (0_i64..).zip(&first) {
            series.upsert(Nanos(2 * at), Price(close));
            bars.insert(2 * at, close);
        }
        let mut frontier = 2 * i64::try_from(sealed_of_first.min(first.len())).expect("small");
        series.seal(Nanos(frontier));
        agrees(&series, &bars, frontier)?;

        for action in actions {
            let place = |bars: &BTreeMap<i64, i64>, start: i64| bars.range(frontier..start).count();
            match action {
                Action::Append { gap, close } => {
                    let start = bars.keys().next_back().map_or(frontier, |&newest| frontier.max(newest + gap));
                    let index = place(&bars, start);
                    prop_assert_eq!(series.upsert(Nanos(start), Price(close)), Some(index));
                    prop_assert_eq!(series.index_of(Nanos(start)), Some(index));
                    bars.insert(start, close);
                }
                Action::Upsert { slot, close } => {
                    let start = frontier + slot;
                    let changed = bars.insert(start, close) != Some(close);
                    let index = place(&bars, start);
                    prop_assert_eq!(series.upsert(Nanos(start), Price(close)), changed.then_some(index));
                }
                Action::Remove { slot } => {
                    let start = frontier + slot;
                    let was_there = bars.remove(&start).is_some();
                    prop_assert_eq!(series.remove(Nanos(start)), was_there.then(|| place(&bars, start)));
                }
                Action::Seal { slots } => {
                    frontier += slots;
                    series.seal(Nanos(frontier));
                }
            }
        }
        agrees(&series, &bars, frontier)?;

        let bytes = postcard::to_stdvec(&series).expect("serializes");
        let decoded: IndicatorSeries = postcard::from_bytes(&bytes).expect("deserializes");
        prop_assert_eq!(&decoded, &series);
        agrees(&decoded, &bars, frontier)?;
    }

    #[test]
    fn values_are_finite_and_within_their_bounds(closes in prop::collection::vec(close(), 200..260)) {
        let bars: BTreeMap<i64, i64> = (0..).zip(closes.iter().copied()).collect();
        let price = |raw: Option<&i64>| Scale::PRICE.to_f64(*raw.expect("not empty"));
        let (lowest, highest) = (price(closes.iter().min()), price(closes.iter().max()));
        let slack = highest * 1e-12;
        let (_, _, values) = fresh(&bars).latest().expect("fed");
        for mean in [values.sma_20, values.sma_50, values.sma_200, values.ema_12, values.ema_26, values.bb_middle] {
            let mean = mean.expect("warm");
            prop_assert!((lowest - slack..=highest + slack).contains(&mean), "{mean} in {lowest}..{highest}");
        }
        prop_assert!((0.0..=100.0).contains(&values.rsi_14.expect("warm")));
        prop_assert!(values.bb_lower <= values.bb_middle && values.bb_middle <= values.bb_upper);
        for value in [values.macd, values.macd_signal, values.macd_histogram] {
            prop_assert!(value.expect("warm").abs() <= 4.0 * highest);
        }
    }
}

#[test]
fn a_million_large_prices_leave_no_drift() {
    const BARS: i64 = 1_000_000;
    let mut series = IndicatorSeries::new(Scale::PRICE);
    let mut closes = Vec::new();
    let mut noise: u64 = 1;
    for bar in 0..BARS {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Spikes up to the limit among tiny prices: the mix that a floating sum does not survive.
        let close = if bar % 1_000 < 300 {
            Price::LIMIT - 1 - (noise >> 40) as i64
        } else {
            1 + (noise >> 54) as i64
        };
        closes.push(close);
        series.upsert(Nanos(bar), Price(close));
        series.seal(Nanos(bar - 5));
        if bar % 997 != 0 && bar != BARS - 1 {
            continue;
        }
        let (_, _, values) = series.latest().expect("fed");
        for (width, found) in [(20_usize, values.sma_20), (50, values.sma_50), (200, values.sma_200)] {
            let Some(from) = closes.len().checked_sub(width) else { continue };
            let sum: i128 = closes[from..].iter().map(|&close| i128::from(close)).sum();
            assert_eq!(found, Some(sum as f64 / (width as f64 * 1e9)), "bar {bar}");
        }
        if let Some(from) = closes.len().checked_sub(20) {
            let (sum, spread) = exact_spread(&closes[from..]);
            let (mean, deviation) = (sum as f64 / 20e9, (spread as f64).sqrt() / 20e9);
            assert_eq!(values.bb_upper, Some(mean + 2.0 * deviation), "bar {bar}");
            assert_eq!(values.bb_lower, Some(mean - 2.0 * deviation), "bar {bar}");
        }
    }
}

/// Σx and n² times the population variance, from all pairs rather than from sums of squares.
fn exact_spread(closes: &[i64]) -> (i128, i128) {
    let spread = closes
        .iter()
        .enumerate()
        .flat_map(|(at, &a)| closes[at + 1..].iter().map(move |&b| (i128::from(a) - i128::from(b)).pow(2)))
        .sum();
    (closes.iter().map(|&close| i128::from(close)).sum(), spread)
}
