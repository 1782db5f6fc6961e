//! How far a venue that is compared is from the one in charge: in price and in volume.
//!
//! Promises: what is compared enters no bar and no log; windows are compared once both venues have told everything in them,
//! and only those in which one venue was in charge from their beginning to their end. Nothing here fails.

use crate::models::entry::{Body, Entry};
use crate::models::num::Price;
use crate::models::symbol::{PriceSource, SymbolId};
use crate::models::time::{Nanos, Width};
use std::collections::{BTreeMap, HashMap};

/// Windows of a symbol that wait to be compared, at the most: when one of the venues says nothing more, older ones are
/// dropped, since nobody will compare them.
const WINDOWS_MAX: usize = 16;

/// The side of the comparison that a report comes from; its number is the place in the arrays of [`Symbol`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// That of the venue in charge.
    Charged = 0,
    /// That of the venue that is compared.
    Compared = 1,
}

#[derive(Debug, Default)]
struct Symbol {
    /// Newest price of both, with its time.
    last: [Option<(Nanos, Price)>; 2],
    /// Sums of sizes of both by start of the smallest window.
    volumes: BTreeMap<Nanos, [i128; 2]>,
}

/// The divergence of one venue from the one in charge.
#[derive(Debug)]
pub struct Divergence {
    base: Width,
    symbols: HashMap<SymbolId, Symbol>,
    /// Windows that begin earlier are not compared.
    from: Nanos,
    /// Windows that end at or before this are compared.
    until: Nanos,
    volume: Option<f64>,
}

impl Divergence {
    /// Makes one over the smallest windows.
    #[must_use]
    pub fn new(base: Width) -> Divergence {
        Divergence { base, symbols: HashMap::new(), from: Nanos::MIN, until: Nanos::MIN, volume: None }
    }

    /// Begins anew: windows that began before this are not compared.
    pub fn begin(&mut self, from: Nanos) {
        self.from = self.from.max(from);
        self.symbols.values_mut().for_each(|symbol| symbol.last = [None; 2]);
    }

    /// Takes a report in.
    pub fn observe(&mut self, who: Who, entry: &Entry) {
        let (ts, price, size) = match &entry.body {
            Body::Trade(trade) => (trade.ts, trade.price, trade.size.0),
            Body::Quote(quote) => match quote.price(PriceSource::Mid) {
                Some(price) => (quote.ts, price, 0),
                None => return,
            },
            _ => return,
        };
        let symbol = self.symbols.entry(entry.symbol).or_default();
        let last = &mut symbol.last[who as usize];
        if last.is_none_or(|(before, _)| before <= ts) {
            *last = Some((ts, price));
        }
        let start = self.base.start_of(ts);
        if start < self.from || start.plus(self.base.nanos()) <= self.until {
            return;
        }
        symbol.volumes.entry(start).or_default()[who as usize] += i128::from(size);
        if symbol.volumes.len() > WINDOWS_MAX {
            symbol.volumes.pop_first();
        }
    }

    /// Compares the windows that end by `until`, up to which both venues have told everything.
    pub fn close(&mut self, until: Nanos) {
        self.until = self.until.max(until);
        let width = self.base.nanos();
        let mut newest: Option<Nanos> = None;
        let mut shares = Vec::new();
        for symbol in self.symbols.values_mut() {
            while let Some(first) = symbol.volumes.first_entry()
                && first.key().plus(width) <= self.until
            {
                let (start, [charged, compared]) = first.remove_entry();
                if start < self.from {
                    continue;
                }
                let most = charged.max(compared);
                let share = if most == 0 { 0.0 } else { (charged - compared).abs() as f64 / most as f64 };
                newest = newest.max(Some(start));
                shares.push((start, share));
            }
        }
        let of_newest: Vec<f64> =
            shares.iter().filter(|(start, _)| Some(*start) == newest).map(|(_, share)| *share).collect();
        if !of_newest.is_empty() {
            self.volume = Some(of_newest.iter().sum::<f64>() / of_newest.len() as f64);
        }
    }

    /// Returns the largest difference of the last prices of a symbol, in hundredths of a percent of the price of the venue in
    /// charge. Prices that lie more than a window apart are not compared.
    #[must_use]
    pub fn price_bps(&self) -> Option<f64> {
        let bps = |symbol: &Symbol| {
            let (charged_at, charged) = symbol.last[Who::Charged as usize]?;
            let (compared_at, compared) = symbol.last[Who::Compared as usize]?;
            let is_near = charged_at.since(compared_at).abs() <= self.base.nanos();
            (is_near && charged.0 > 0)
                .then(|| (charged.0 - compared.0).abs() as f64 / charged.0 as f64 * 10_000.0)
        };
        self.symbols.values().filter_map(bps).max_by(f64::total_cmp)
    }

    /// Returns the difference of volumes in the newest window that was compared, as a share of the larger one, 0 to 1: the
    /// mean over the symbols that traded.
    #[must_use]
    pub const fn volume_share(&self) -> Option<f64> {
        self.volume
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::entry::Trade;
    use crate::models::num::Size;
    use crate::models::time::SECOND;

    fn trade(symbol: u32, second: i64, price: i64, size: i64) -> Entry {
        let trade =
            Trade { price: Price(price), size: Size(size), ..Trade::for_test(1, Nanos(second * SECOND)) };
        Entry { pos: 0, symbol: SymbolId(symbol), body: Body::Trade(trade) }
    }

    fn minutes() -> Divergence {
        Divergence::new(Width::new(60 * SECOND).expect("divides a day"))
    }

    fn is(found: Option<f64>, expected: f64) -> bool {
        found.is_some_and(|found| (found - expected).abs() < 1e-9)
    }

    #[test]
    fn the_largest_difference_of_last_prices_counts() {
        let mut divergence = minutes();
        assert_eq!(divergence.price_bps(), None);
        divergence.observe(Who::Charged, &trade(0, 5, 10_000, 1));
        assert_eq!(divergence.price_bps(), None, "one alone diverges from nothing");
        divergence.observe(Who::Compared, &trade(0, 6, 10_001, 1));
        assert!(is(divergence.price_bps(), 1.0));
        divergence.observe(Who::Compared, &trade(0, 2, 20_000, 1));
        assert!(is(divergence.price_bps(), 1.0), "an older one changes nothing");
        divergence.observe(Who::Charged, &trade(1, 5, 200, 1));
        divergence.observe(Who::Compared, &trade(1, 5, 199, 1));
        assert!(is(divergence.price_bps(), 50.0));
        divergence.observe(Who::Charged, &trade(1, 500, 300, 1));
        assert!(is(divergence.price_bps(), 1.0), "what lies far apart in time is not compared");
    }

    #[test]
    fn volumes_are_compared_once_a_window_is_told_by_both() {
        let mut divergence = minutes();
        divergence.observe(Who::Charged, &trade(0, 10, 1, 30));
        divergence.observe(Who::Charged, &trade(0, 59, 1, 10));
        divergence.observe(Who::Compared, &trade(0, 30, 1, 30));
        divergence.observe(Who::Compared, &trade(1, 30, 1, 7));
        divergence.observe(Who::Charged, &trade(0, 60, 1, 500));
        divergence.close(Nanos(59 * SECOND));
        assert_eq!(divergence.volume_share(), None);
        divergence.close(Nanos(60 * SECOND));
        assert!(is(divergence.volume_share(), f64::midpoint(0.25, 1.0)));
        divergence.observe(Who::Compared, &trade(0, 58, 1, 10));
        divergence.close(Nanos(61 * SECOND));
        assert!(is(divergence.volume_share(), f64::midpoint(0.25, 1.0)), "what is late changes nothing");
        divergence.observe(Who::Compared, &trade(0, 61, 1, 500));
        divergence.close(Nanos(120 * SECOND));
        assert!(is(divergence.volume_share(), 0.0));
    }

    #[test]
    fn windows_of_a_hand_over_are_left_out_and_those_that_nobody_closes_dropped() {
        let mut divergence = minutes();
        divergence.observe(Who::Charged, &trade(0, 10, 1, 30));
        divergence.begin(Nanos(20 * SECOND));
        divergence.observe(Who::Charged, &trade(0, 30, 1, 30));
        divergence.close(Nanos(60 * SECOND));
        assert_eq!(divergence.volume_share(), None);
        for minute in 1..1_000 {
            divergence.observe(Who::Charged, &trade(0, minute * 60, 1, 30));
        }
        assert_eq!(divergence.symbols[&SymbolId(0)].volumes.len(), WINDOWS_MAX);
    }
}
