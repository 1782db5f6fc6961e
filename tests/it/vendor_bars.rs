//! Bars that a venue gives ready-made: they fill windows without trades and warm indicators, a window with trades wins, and
//! neither order nor repeats change the result.

use crate::support::outcome::{Outcome, core, log, run};
use proptest::prelude::*;
use std::sync::Arc;
use tickwire::models::bar::{Bar, BarOrigin, BarState};
use tickwire::models::effect::Effect;
use tickwire::models::entry::{Body, SourceId, Trade, TradeId, Updates, VenueBar};
use tickwire::models::num::{Price, Size};
use tickwire::models::settings::CoreSettings;
use tickwire::models::state::SymbolState;
use tickwire::models::time::{DAY, HOUR, MINUTE, Nanos, SECOND, Width};

const START: i64 = 19_000 * DAY;

/// A bar of so many minutes that begins so many minutes after the start, with one price.
fn venue_bar(minutes: i64, at: i64, price: i64, trade_count: u32, source: u16) -> VenueBar {
    let start = Nanos(START + at * MINUTE);
    VenueBar {
        start,
        received: start.plus(minutes * MINUTE),
        open: Price(price),
        high: Price(price),
        low: Price(price),
        close: Price(price),
        volume: Size(100),
        vwap: Price(price),
        trade_count,
        width_ms: u32::try_from(minutes * MINUTE / 1_000_000).expect("less than 49 days"),
        source: SourceId(source),
    }
}

fn trade(id: u64, seconds: i64, price: i64) -> Trade {
    Trade {
        ts: Nanos(START + seconds * SECOND),
        received: Nanos(START + seconds * SECOND),
        price: Price(price),
        size: Size(1),
        seq: 0,
        id: TradeId::number(id),
        source: SourceId(0),
        updates: Updates::ALL,
    }
}

fn width(minutes: i64) -> Width {
    Width::new(minutes * MINUTE).expect("divides a day")
}

fn settings(horizon: i64) -> Arc<CoreSettings> {
    Arc::new(CoreSettings { horizon, ..CoreSettings::default() })
}

/// A symbol, and what was published of it last.
struct Followed {
    state: SymbolState,
    outcome: Outcome,
    num_entries: usize,
}

impl Followed {
    fn new(settings: &Arc<CoreSettings>) -> Followed {
        Followed { state: core(settings), outcome: Outcome::default(), num_entries: 0 }
    }

    /// Applies one more entry; returns how many effects followed.
    fn apply(&mut self, body: Body) -> usize {
        let mut entry = log([body])[0];
        self.num_entries += 1;
        entry.pos = self.num_entries as u64;
        let mut effects: Vec<Effect> = Vec::new();
        self.state.apply(&[entry], &mut effects);
        self.outcome.extend(&effects);
        effects.len()
    }

    fn mark(&mut self, minutes: i64) -> usize {
        self.apply(Body::ClockMark {
            source: SourceId::ANY,
            time: Nanos(START + minutes * MINUTE + 2 * SECOND),
        })
    }

    fn bar(&self, minutes: i64) -> Bar {
        self.outcome.bars[&(width(minutes), Nanos(START))]
    }
}

#[test]
fn a_wide_bar_fills_a_window_without_trades_and_yields_to_the_first() {
    let mut symbol = Followed::new(&settings(HOUR));
    symbol.apply(Body::VenueBar(venue_bar(5, 0, 70, 9, 0)));
    symbol.mark(5);
    let bar = symbol.bar(5);
    assert_eq!((bar.origin, bar.coverage, bar.trade_count), (BarOrigin::Vendor, 0.0, 9));
    assert_eq!((bar.close, bar.state, symbol.outcome.bars.len()), (Price(70), BarState::Closed, 1));
    assert_eq!(symbol.outcome.indicators.len(), 1, "it warms the indicators of its width");
    symbol.apply(Body::Trade(trade(1, 90, 50)));
    let bar = symbol.bar(5);
    assert_eq!((bar.origin, bar.coverage, bar.trade_count), (BarOrigin::Trades, 1.0, 1));
    assert_eq!((bar.close, bar.state, bar.revision), (Price(50), BarState::Amended, 1));
    assert_eq!(symbol.apply(Body::VenueBar(venue_bar(5, 0, 70, 10, 0))), 0, "it stays so");
    assert_eq!(symbol.state.ledger().residue(), 0);
}

#[test]
fn a_bar_of_the_smallest_width_counts_in_every_window_over_it() {
    let mut symbol = Followed::new(&settings(HOUR));
    symbol.apply(Body::VenueBar(venue_bar(1, 0, 70, 9, 0)));
    symbol.mark(5);
    for minutes in [1, 5] {
        assert_eq!((symbol.bar(minutes).origin, symbol.bar(minutes).close), (BarOrigin::Vendor, Price(70)));
    }
    symbol.apply(Body::Trade(trade(1, 90, 50)));
    assert_eq!((symbol.bar(1).origin, symbol.bar(5).origin), (BarOrigin::Vendor, BarOrigin::Trades));
    assert_eq!(symbol.bar(5).trade_count, 10);
}

#[test]
fn wide_bars_before_the_first_trade_warm_the_indicators() {
    let mut symbol = Followed::new(&settings(5 * MINUTE));
    for nth in 0..210 {
        symbol.apply(Body::VenueBar(venue_bar(15, 15 * nth, 100 + nth % 7, 1, 0)));
    }
    symbol.apply(Body::Trade(trade(1, 210 * 900, 100)));
    symbol.mark(211 * 15);
    let of_width = |minutes: i64| symbol.outcome.indicators.range((width(minutes), Nanos::MIN)..).next();
    assert_eq!(of_width(1).map(|(window, _)| window.1), Some(Nanos(START + 210 * 900 * SECOND)));
    let (_, newest) = symbol.outcome.indicators.iter().next_back().expect("bars of a quarter of an hour");
    assert!(newest.width == width(15) && newest.values.sma_200.is_some(), "{newest:?}");
    assert_eq!(symbol.state.ledger().in_bars, 1);
}

#[test]
fn a_wide_bar_that_is_too_late_or_of_no_window_is_a_dead_letter() {
    let mut symbol = Followed::new(&settings(5 * MINUTE));
    symbol.apply(Body::Trade(trade(1, 0, 50)));
    symbol.mark(10);
    let before = symbol.outcome.bars.len();
    assert_eq!(symbol.apply(Body::VenueBar(venue_bar(5, 0, 70, 1, 0))), 1, "sealed");
    assert_eq!(symbol.apply(Body::VenueBar(venue_bar(3, 9, 70, 1, 0))), 1, "no window has the width");
    assert_eq!(symbol.apply(Body::VenueBar(venue_bar(5, 11, 70, 1, 0))), 1, "no window begins then");
    assert_eq!(symbol.outcome.bars.len(), before);
}

proptest! {
    #[test]
    fn order_and_repeats_change_nothing(
        bars in prop::collection::vec((0_usize..3, 0_i64..45, 1_i64..5, 0_u32..3, 0_u16..2), 1..30),
        trades in prop::collection::vec((0_i64..2_700, 1_i64..9), 0..10),
        order in prop::collection::vec((any::<u32>(), any::<bool>()), 40),
    ) {
        let bar = |&(width, at, price, count, source): &(usize, i64, i64, u32, u16)| {
            let minutes = [1, 5, 15][width];
            Body::VenueBar(venue_bar(minutes, at - at % minutes, price, count, source))
        };
        let mut bodies: Vec<Body> = bars.iter().map(bar).collect();
        let trade = |(id, &(seconds, price)): (u64, &(i64, i64))| Body::Trade(trade(id, seconds, price));
        bodies.extend((0..).zip(&trades).map(trade));
        let mut arrivals: Vec<(u32, Body)> = Vec::new();
        for (body, &(place, again)) in bodies.iter().zip(&order) {
            arrivals.push((place, *body));
            if again {
                arrivals.push((place.rotate_left(16), *body));
            }
        }
        arrivals.sort_by_key(|(place, _)| *place);
        bodies.sort_by_key(Body::time);
        let settings = settings(HOUR);
        let clean = run(&log(bodies), &settings);
        let shuffled = run(&log(arrivals.into_iter().map(|(_, body)| body)), &settings);
        prop_assert_eq!(clean.digest(), shuffled.digest());
        let origins = |outcome: &Outcome| outcome.bars.values().map(|bar| bar.origin).collect::<Vec<_>>();
        prop_assert_eq!(origins(&clean), origins(&shuffled));
        prop_assert_eq!((clean.ledger.residue(), shuffled.ledger.residue()), (0, 0));
    }
}
