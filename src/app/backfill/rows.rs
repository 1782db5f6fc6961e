//! Which rows of the history a venue's bars become.
//!
//! Promises: a window whose stored bar is whole is left as it is; whole are bars of trades or quotes whose source was healthy
//! all the time, and bars that a venue gave. Indicators go on from the bars before, and through those that stay. The numbers
//! are those that the core makes of the same bars. Nothing here fails.

use crate::models::bar::{Bar, BarOrigin, BarState, BarSum, VendorBar};
use crate::models::effect::{Effect, IndicatorPoint};
use crate::models::entry::{Position, VenueBar};
use crate::models::indicators::IndicatorSeries;
use crate::models::num::{Price, Scale};
use crate::models::symbol::SymbolId;
use crate::models::time::{Nanos, Width};
use std::collections::BTreeMap;

/// Stored bars before a stretch with which its indicators begin. The slowest of them forgets 1/14 of where it began with
/// each bar, so that bars before these change less of a value than its last digit.
pub const SEED_BARS: usize = 600;

/// What all rows of a stretch have in common.
#[derive(Clone, Copy, Debug)]
pub struct Series {
    /// The symbol that the bars are of.
    pub symbol: SymbolId,
    /// Decimals of its prices.
    pub price_scale: Scale,
    /// Their width.
    pub width: Width,
    /// Where the rows stand: in a generation above that of the log, so that nothing which follows from it replaces them.
    pub log_pos: Position,
}

/// True when a venue's bar would not better what is stored.
#[must_use]
pub fn is_whole(bar: &Bar) -> bool {
    bar.origin == BarOrigin::Vendor || bar.coverage >= 1.0
}

/// A bar on its way through the indicators.
enum Step {
    Kept(Price),
    New(Bar),
}

impl Series {
    /// Returns the rows of a stretch: `before` and `stored` are what the history has before and in it, oldest first,
    /// `given` is what the venue has.
    #[must_use]
    pub fn rows(&self, before: &[Bar], stored: &[Bar], given: &[VenueBar]) -> Vec<Effect> {
        let mut steps: BTreeMap<Nanos, Step> =
            stored.iter().map(|bar| (bar.start, Step::Kept(bar.close))).collect();
        let stored: BTreeMap<Nanos, &Bar> = stored.iter().map(|bar| (bar.start, bar)).collect();
        for bar in given {
            let old = stored.get(&bar.start).copied();
            if !old.is_some_and(is_whole)
                && let Some(new) = self.bar(bar, old)
            {
                steps.insert(bar.start, Step::New(new));
            }
        }
        let mut series = IndicatorSeries::new(self.price_scale);
        let mut rows = Vec::new();
        for bar in before {
            series.upsert(bar.start, bar.close);
        }
        for (start, step) in steps {
            let (Step::Kept(close) | Step::New(Bar { close, .. })) = step;
            series.upsert(start, close);
            if let Step::New(bar) = step {
                rows.push(Effect::Bar(bar));
                rows.extend(series.latest().map(|(start, close, values)| {
                    let Bar { symbol, width, vwap, log_pos, .. } = bar;
                    Effect::Indicators(IndicatorPoint { symbol, width, start, close, vwap, values, log_pos })
                }));
            }
            // What came before does not change any more, so only what the next bar needs is kept.
            series.seal(start);
        }
        rows
    }

    /// Makes the bar of a window in place of what is stored of it; `None` of one that has no price.
    fn bar(&self, given: &VenueBar, old: Option<&Bar>) -> Option<Bar> {
        let sum = BarSum::of_vendor(&VendorBar::of(given), given.start, self.width);
        let figures = sum.figures(self.price_scale, BarOrigin::Trades)?;
        let [open, high, low, close] = figures.ohlc;
        if !(0..Price::LIMIT).contains(&close.0) {
            return None;
        }
        Some(Bar {
            symbol: self.symbol,
            width: self.width,
            start: given.start,
            open,
            high,
            low,
            close,
            volume: figures.volume,
            vwap: figures.vwap,
            trade_count: figures.trade_count,
            state: BarState::Closed,
            origin: figures.origin,
            revision: 0,
            // The share in which our own source was healthy stays what it was.
            coverage: old.map_or(0.0, |old| old.coverage),
            late: 0,
            duplicates: 0,
            cancelled: 0,
            // It was never published, so it has no number among those that were.
            seq: 0,
            log_pos: self.log_pos,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::entry::SourceId;
    use crate::models::num::Size;
    use crate::models::time::MINUTE;

    const WIDTH: Width = Width::new(MINUTE).expect("a width");
    const SERIES: Series =
        Series { symbol: SymbolId(4), price_scale: Scale::PRICE, width: WIDTH, log_pos: (1 << 48) + 7 };

    fn given(at: i64) -> VenueBar {
        let close = Price(1_000 + at * at % 37);
        VenueBar {
            start: Nanos(at * MINUTE),
            received: Nanos::MIN,
            open: close,
            high: close,
            low: close,
            close,
            volume: Size(300),
            vwap: Price(1_001),
            trade_count: 3,
            width_ms: 60_000,
            source: SourceId(0),
        }
    }

    /// What the history holds after a stretch was filled.
    fn bars(rows: &[Effect]) -> Vec<Bar> {
        rows.iter().filter_map(|row| if let Effect::Bar(bar) = row { Some(*bar) } else { None }).collect()
    }

    fn points(rows: &[Effect]) -> Vec<IndicatorPoint> {
        let point = |row: &Effect| if let Effect::Indicators(point) = row { Some(*point) } else { None };
        rows.iter().filter_map(point).collect()
    }

    fn stored(at: i64, origin: BarOrigin, coverage: f64) -> Bar {
        Bar { origin, coverage, ..bars(&SERIES.rows(&[], &[], &[given(at)]))[0] }
    }

    #[test]
    fn whole_bars_stay_and_others_are_filled() {
        let own = [
            stored(2, BarOrigin::Trades, 1.0),
            stored(3, BarOrigin::Trades, 0.75),
            stored(4, BarOrigin::Vendor, 0.0),
            stored(5, BarOrigin::Quotes, 0.0),
            stored(6, BarOrigin::Quotes, 1.0),
        ];
        let all: Vec<VenueBar> = (1..8).map(given).collect();
        let rows = SERIES.rows(&[], &own, &all);
        let found: Vec<(i64, f64)> =
            bars(&rows).iter().map(|bar| (bar.start.0 / MINUTE, bar.coverage)).collect();
        assert_eq!(found, [(1, 0.0), (3, 0.75), (5, 0.0), (7, 0.0)]);
        for bar in bars(&rows) {
            assert_eq!(
                (bar.origin, bar.state, bar.log_pos),
                (BarOrigin::Vendor, BarState::Closed, (1 << 48) + 7)
            );
            assert_eq!((bar.volume, bar.vwap, bar.trade_count, bar.seq), (300, Some(1_001), 3, 0));
        }
        assert_eq!(points(&rows).len(), 4);
    }

    #[test]
    fn indicators_are_those_of_a_run_over_all_bars_whatever_the_stretches() {
        let all: Vec<VenueBar> = (0..3_000).map(given).collect();
        let at_once = SERIES.rows(&[], &[], &all);
        let (mut held, mut in_parts) = (Vec::<Bar>::new(), Vec::new());
        for part in all.chunks(700) {
            let seeds = &held[held.len().saturating_sub(SEED_BARS)..];
            let rows = SERIES.rows(seeds, &[], part);
            held.extend(bars(&rows));
            in_parts.extend(rows);
        }
        assert_eq!(bars(&in_parts), bars(&at_once));
        for (part, whole) in points(&in_parts).iter().zip(points(&at_once)) {
            let pairs = part.values.in_order().into_iter().zip(whole.values.in_order());
            for (part, whole) in pairs {
                let (Some(part), Some(whole)) = (part, whole) else {
                    assert_eq!(part, whole);
                    continue;
                };
                assert!((part - whole).abs() <= 1e-12 * whole.abs().max(1.0), "{part} {whole}");
            }
        }
        assert!(points(&at_once).last().expect("rows").values.sma_200.is_some());
    }

    #[test]
    fn bars_that_stay_are_steps_of_the_indicators() {
        let all: Vec<VenueBar> = (0..400).map(given).collect();
        let own: Vec<Bar> = (100..250).map(|at| stored(at, BarOrigin::Trades, 1.0)).collect();
        let mixed = points(&SERIES.rows(&[], &own, &all));
        let alone = points(&SERIES.rows(&[], &[], &all));
        assert_eq!(mixed.len(), 250);
        assert_eq!(mixed.last(), alone.last());
        let none = Nanos(150 * MINUTE);
        assert!(mixed.iter().all(|point| point.start != none));
    }
}
