//! The digest: one hash over all final bars with their indicators, to tell whether two runs came to the same result.
//!
//! It speaks of symbol, window, start, prices, volume, VWAP, count and indicators; not of state, revision, coverage or
//! places in the log, which may differ between runs that agree. Numbers enter by what they mean, not by how a symbol's
//! scale stores them.

use super::bar::Bar;
use super::indicators::IndicatorValues;
use super::num::Scale;
use super::symbol::SymbolSpec;

/// Takes in final bars in the order of (symbol name, width, start) and gives their hash.
#[derive(Clone, Debug, Default)]
pub struct Digest {
    hasher: blake3::Hasher,
    /// What the hasher has yet to take: it is several times faster with much at once.
    waiting: Vec<u8>,
    /// Key of the bar taken in last, for the check of the order.
    last: Option<(String, i64, i64)>,
}

/// Bytes that the hasher takes at once.
const WAITING_MAX: usize = 32 * 1024;

/// Decimals in which prices and sizes enter: the most that a scale has.
const DECIMALS: u32 = 12;

impl Digest {
    /// Returns the digest of no bars.
    #[must_use]
    pub fn new() -> Digest {
        Digest::default()
    }

    /// Takes in a bar and the indicators of its window.
    ///
    /// # Panics
    /// In debug builds, when the bar does not come after the one before by (symbol name, width, start).
    pub fn add(&mut self, symbol_name: &str, spec: &SymbolSpec, bar: &Bar, values: &IndicatorValues) {
        if cfg!(debug_assertions) {
            let key = (symbol_name.to_owned(), bar.width.nanos(), bar.start.0);
            assert!(self.last.as_ref() < Some(&key), "bar {key:?} comes after {:?}", self.last);
            self.last = Some(key);
        }
        // Each record is of one length but for the name, which its length precedes: no two lists of bars look alike.
        let mut put = |bytes: &[u8]| self.waiting.extend_from_slice(bytes);
        put(&(symbol_name.len() as u64).to_le_bytes());
        put(symbol_name.as_bytes());
        put(&bar.width.nanos().to_le_bytes());
        put(&bar.start.0.to_le_bytes());
        for price in [bar.open, bar.high, bar.low, bar.close] {
            put(&in_decimals(i128::from(price.0), spec.price_scale));
        }
        put(&in_decimals(bar.volume, spec.size_scale));
        put(&[u8::from(bar.vwap.is_some())]);
        put(&bar.vwap.unwrap_or(0).to_le_bytes());
        put(&bar.trade_count.to_le_bytes());
        for value in values.in_order() {
            put(&[u8::from(value.is_some())]);
            put(&value.map_or(0, f64::to_bits).to_le_bytes());
        }
        if self.waiting.len() >= WAITING_MAX {
            self.hasher.update(&self.waiting);
            self.waiting.clear();
        }
    }

    /// Returns the hash as 64 hexadecimal digits.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.hasher.update(&self.waiting);
        self.hasher.finalize().to_hex().to_string()
    }
}

/// Wraps only for volumes beyond 10^26 units, which no market reaches.
fn in_decimals(raw: i128, scale: Scale) -> [u8; 16] {
    let missing = DECIMALS - u32::from(scale.decimals());
    raw.wrapping_mul(10_i128.pow(missing)).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::bar::{BarOrigin, BarState};
    use super::super::num::Price;
    use super::super::symbol::SymbolId;
    use super::super::time::{MINUTE, Nanos, Width};
    use super::*;

    fn bar(start: i64) -> Bar {
        Bar {
            symbol: SymbolId(0),
            width: Width::new(MINUTE).expect("divides a day"),
            start: Nanos(start * MINUTE),
            open: Price(10),
            high: Price(12),
            low: Price(9),
            close: Price(11),
            volume: 100,
            vwap: Some(10),
            trade_count: 3,
            state: BarState::Closed,
            origin: BarOrigin::Trades,
            revision: 0,
            coverage: 1.0,
            late: 0,
            duplicates: 0,
            cancelled: 0,
            seq: 1,
            log_pos: 5,
        }
    }

    fn digest(bars: &[(Bar, IndicatorValues)]) -> String {
        let spec = SymbolSpec::named("A");
        let mut digest = Digest::new();
        for (bar, values) in bars {
            digest.add("A", &spec, bar, values);
        }
        digest.finish()
    }

    #[test]
    fn every_field_that_counts_changes_it_and_no_other_does() {
        let none = IndicatorValues::default();
        let plain = digest(&[(bar(1), none)]);
        let counting: [fn(&mut Bar, &mut IndicatorValues); 13] = [
            |bar, _| bar.start = Nanos(0),
            |bar, _| bar.width = Width::new(5 * MINUTE).expect("divides a day"),
            |bar, _| bar.open = Price(11),
            |bar, _| bar.high = Price(13),
            |bar, _| bar.low = Price(8),
            |bar, _| bar.close = Price(10),
            |bar, _| bar.volume = 101,
            |bar, _| bar.vwap = None,
            |bar, _| bar.vwap = Some(11),
            |bar, _| bar.trade_count = 4,
            |_, values| values.sma_20 = Some(0.0),
            |_, values| values.ema_12 = Some(0.0),
            |_, values| values.bb_lower = Some(-0.0),
        ];
        let mut seen = vec![plain.clone()];
        for (at, change) in counting.into_iter().enumerate() {
            let (mut bar, mut values) = (bar(1), none);
            change(&mut bar, &mut values);
            let changed = digest(&[(bar, values)]);
            assert!(!seen.contains(&changed), "change {at}");
            seen.push(changed);
        }
        let other = Bar {
            state: BarState::Amended,
            origin: BarOrigin::Vendor,
            revision: 2,
            coverage: 0.5,
            late: 1,
            duplicates: 2,
            cancelled: 3,
            seq: 4,
            log_pos: 6,
            symbol: SymbolId(9),
            ..bar(1)
        };
        assert_eq!(digest(&[(other, none)]), plain);
    }

    #[test]
    fn scales_do_not_matter_but_names_do() {
        let scaled = |factor: i64| Bar {
            open: Price(10 * factor),
            high: Price(12 * factor),
            low: Price(9 * factor),
            close: Price(11 * factor),
            volume: 100 * i128::from(factor),
            ..bar(1)
        };
        let of = |name: &str, decimals: u8, bar: &Bar| {
            let scale = Scale::new(decimals).expect("at most 12");
            let spec = SymbolSpec { price_scale: scale, size_scale: scale, ..SymbolSpec::named(name) };
            let mut digest = Digest::new();
            digest.add(name, &spec, bar, &IndicatorValues::default());
            digest.finish()
        };
        assert_eq!(of("A", 2, &scaled(1)), of("A", 4, &scaled(100)));
        assert_ne!(of("A", 2, &scaled(1)), of("B", 2, &scaled(1)));
        assert_ne!(of("A", 2, &scaled(1)), of("A", 2, &scaled(100)));
    }

    #[test]
    #[should_panic(expected = "comes after")]
    #[cfg(debug_assertions)]
    fn bars_out_of_order_are_a_fault_of_the_caller() {
        let none = IndicatorValues::default();
        digest(&[(bar(2), none), (bar(1), none)]);
    }
}
