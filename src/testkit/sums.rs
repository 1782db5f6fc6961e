//! Bars of lists of trades, computed slowly and plainly, without the arithmetic that the core uses.

use crate::models::entry::{SourceId, Trade, TradeId};
use std::cmp::Ordering;

/// Orders trades for open and close: event time, venue sequence, identity, source.
type OrderKey = (i64, u64, TradeId, SourceId);

/// What the trades of a window add up to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    /// First and last trade that count for open and close: order and price.
    first: Option<(OrderKey, i64)>,
    last: Option<(OrderKey, i64)>,
    high: Option<i64>,
    low: Option<i64>,
    /// Sum of sizes.
    pub volume: i128,
    /// Sum of price times size.
    notional: i128,
    /// Trades that count for volume.
    pub count: u64,
}

/// Returns the start of the window of that width that holds a time, both in nanoseconds.
pub(super) const fn window_start(time: i64, width: i64) -> i64 {
    // Before 1970 the remainder is negative.
    let rest = time % width;
    if rest < 0 { time - rest - width } else { time - rest }
}

impl Sum {
    /// Adds a trade as far as its conditions let it count.
    pub(super) fn add(&mut self, trade: &Trade) {
        let price = trade.price.0;
        if trade.updates.high_low() {
            self.high = Some(self.high.map_or(price, |high| if price > high { price } else { high }));
            self.low = Some(self.low.map_or(price, |low| if price < low { price } else { low }));
        }
        if trade.updates.open_close() {
            let order = (trade.ts.0, trade.seq, trade.id, trade.source);
            self.widen(order, price);
        }
        if trade.updates.volume() {
            let size = i128::from(trade.size.0);
            self.volume += size;
            self.notional += size * i128::from(price);
            self.count += 1;
        }
    }

    /// Adds everything that another sum holds.
    pub(super) fn add_sum(&mut self, other: &Sum) {
        for (order, price) in other.first.into_iter().chain(other.last) {
            self.widen(order, price);
        }
        self.high = self.high.into_iter().chain(other.high).max();
        self.low = self.low.into_iter().chain(other.low).min();
        self.volume += other.volume;
        self.notional += other.notional;
        self.count += other.count;
    }

    fn widen(&mut self, order: OrderKey, price: i64) {
        if self.first.is_none_or(|(first, _)| order < first) {
            self.first = Some((order, price));
        }
        if self.last.is_none_or(|(last, _)| order > last) {
            self.last = Some((order, price));
        }
    }

    /// True when some trade counts for open and close, without which there is no bar.
    pub(super) const fn is_bar(&self) -> bool {
        self.first.is_some()
    }

    /// Returns open, high, low and close in scaled units, if there is a bar.
    pub(super) fn prices(&self) -> Option<[i64; 4]> {
        // What counts for open and close counts for high and low.
        Some([self.first?.1, self.high?, self.low?, self.last?.1])
    }

    /// Returns the volume-weighted mean price at 9 decimals of prices at 9 decimals, ties to the even one.
    pub(super) fn mean(&self) -> Option<i64> {
        if self.volume == 0 {
            return None;
        }
        let (whole, rest) = (self.notional / self.volume, self.notional % self.volume);
        // Prices and sizes are positive, so the quotient is cut towards the smaller one.
        let is_up = match (2 * rest).cmp(&self.volume) {
            Ordering::Less => false,
            Ordering::Equal => whole % 2 != 0,
            Ordering::Greater => true,
        };
        i64::try_from(whole + i128::from(is_up)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::entry::Updates;
    use crate::models::num::{Price, Size};
    use crate::models::time::Nanos;

    fn trade(ts: i64, price: i64, size: i64, updates: &str) -> Trade {
        Trade {
            price: Price(price),
            size: Size(size),
            updates: Updates::parse(updates.as_bytes()).unwrap(),
            ..Trade::for_test(ts.unsigned_abs(), Nanos(ts))
        }
    }

    fn sum(trades: &[Trade]) -> Sum {
        let mut sum = Sum::default();
        trades.iter().for_each(|trade| sum.add(trade));
        sum
    }

    #[test]
    fn windows_begin_at_multiples_of_their_width() {
        for (time, start) in [(0, 0), (59, 0), (60, 60), (-1, -60), (-60, -60), (-61, -120)] {
            assert_eq!(window_start(time, 60), start, "{time}");
        }
    }

    #[test]
    fn each_trade_counts_for_what_its_conditions_say() {
        let trades =
            [trade(3, 30, 1, "hcv"), trade(1, 10, 2, "hc"), trade(4, 99, 5, "v"), trade(2, 50, 7, "h")];
        let whole = sum(&trades);
        assert_eq!(whole.prices(), Some([10, 50, 10, 30]));
        assert_eq!((whole.volume, whole.count), (6, 2));
        let mut parts = sum(&trades[2..]);
        assert!(!parts.is_bar() && parts.prices().is_none());
        parts.add_sum(&sum(&trades[..2]));
        assert_eq!((parts.prices(), parts.volume), (whole.prices(), whole.volume));
    }

    #[test]
    fn a_mean_is_rounded_to_the_nearest_and_ties_to_even() {
        let mean = |pairs: &[(i64, i64)]| {
            let trades: Vec<Trade> = pairs.iter().map(|&(price, size)| trade(1, price, size, "v")).collect();
            sum(&trades).mean()
        };
        assert_eq!(mean(&[]), None);
        assert_eq!(mean(&[(17, 1), (18, 1)]), Some(18));
        assert_eq!(mean(&[(18, 1), (19, 1)]), Some(18));
        assert_eq!(mean(&[(10, 2), (11, 1)]), Some(10));
        assert_eq!(mean(&[(10, 1), (11, 2)]), Some(11));
    }
}
