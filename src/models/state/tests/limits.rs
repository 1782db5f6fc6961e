//! What hostile or broken input cannot do to the core: wrong times, and too much of anything.

use super::{Bench, SECOND, T, bars, cancel, names, trade};
use crate::models::effect::{DeadReason, Effect};
use crate::models::entry::{Body, Correction, Quote, SourceId, TradeId, VenueBar};
use crate::models::ledger::RejectReason;
use crate::models::num::{Price, Size};
use crate::models::settings::CoreSettings;
use crate::models::state::pending_cancels::NUM_WAITING_MAX;
use crate::models::state::{CheckpointError, SymbolState};
use crate::models::time::{DAY, HOUR, Nanos};
use std::sync::Arc;

const DAY_S: i64 = DAY / SECOND;
const HOUR_S: i64 = HOUR / SECOND;

fn rejected(effects: &[Effect], reason: RejectReason) -> bool {
    matches!(effects, [Effect::DeadLetter(letter)] if letter.reason == DeadReason::Rejected(reason))
}

#[test]
fn wrong_times_at_the_start_or_hours_apart_discard_nothing() {
    let wrong_at: [&[(u64, i64)]; 5] = [
        &[(0, DAY_S)],
        &[(0, -DAY_S)],
        &[(0, DAY_S), (1, DAY_S + 5 * HOUR_S)],
        &[(0, DAY_S), (2_000, DAY_S + 5 * HOUR_S)],
        &[(1_000, DAY_S), (8_000, DAY_S), (9_000, 2 * DAY_S)],
    ];
    for wrong in wrong_at {
        let mut bench = Bench::new();
        for n in 0..10_000_u64 {
            let ahead = wrong.iter().find(|(at, _)| *at == n).map_or(0, |(_, ahead)| *ahead);
            bench.trade(n, n as i64 + ahead, 50);
        }
        let ledger = bench.state.ledger();
        assert_eq!((ledger.late, ledger.in_bars), (0, 10_000), "{wrong:?}");
        assert!(
            bench.state.snapshot().sealed_until > Nanos(T + 9_000 * SECOND),
            "{wrong:?}: the clock goes on"
        );
    }
}

#[test]
fn quotes_and_received_times_are_held_to_their_range() {
    let quote = |ts: Nanos, received: Nanos, bid: i64, ask_size: i64| {
        let (bid, ask, bid_size, ask_size) = (Price(bid), Price(60), Size(1), Size(ask_size));
        Body::Quote(Quote { ts, received, bid, ask, bid_size, ask_size, source: SourceId(0) })
    };
    let (now, never) = (Nanos(T), Nanos::MIN);
    let table = [
        (quote(Nanos::MAX, never, 50, 1), RejectReason::BadTime),
        (quote(Nanos(-1), never, 50, 1), RejectReason::BadTime),
        (quote(now, Nanos::MAX, 50, 1), RejectReason::BadTime),
        (quote(now, never, -1, 1), RejectReason::BadPrice),
        (quote(now, never, 50, -1), RejectReason::BadSize),
    ];
    for (body, reason) in table {
        assert!(rejected(&Bench::new().apply(body), reason), "{body:?}");
    }
    assert_eq!(Bench::new().apply(quote(now, never, 0, 0)), [], "a side may be empty");
    let mut received_late = trade(1, 0, 50);
    received_late.received = Nanos::MAX;
    assert!(rejected(&Bench::new().apply(Body::Trade(received_late)), RejectReason::BadTime));
}

#[test]
fn a_bar_whose_prices_contradict_each_other_is_rejected() {
    let bar = |[open, high, low, close, vwap]: [i64; 5]| VenueBar {
        start: Nanos(T),
        received: Nanos::MIN,
        open: Price(open),
        high: Price(high),
        low: Price(low),
        close: Price(close),
        volume: Size(5),
        vwap: Price(vwap),
        trade_count: 2,
        width_ms: 60_000,
        source: SourceId(0),
    };
    let contradictions =
        [[50, 40, 60, 50, 50], [70, 60, 40, 50, 50], [50, 60, 40, 30, 50], [50, 60, 40, 55, -50]];
    for prices in contradictions {
        let mut bench = Bench::new();
        assert!(rejected(&bench.apply(Body::VenueBar(bar(prices))), RejectReason::BadPrice), "{prices:?}");
        assert_eq!(bars(&bench.mark(62)), [], "{prices:?}");
    }
    let mut bench = Bench::new();
    bench.apply(Body::VenueBar(bar([50, 60, 40, 55, 0])));
    assert_eq!(bars(&bench.mark(62)).len(), 1);
}

#[test]
fn cancels_of_unknown_trades_wait_only_so_many_and_the_rest_is_told_at_once() {
    let mut bench = Bench::new();
    bench.mark(0);
    for id in 0..NUM_WAITING_MAX as u64 {
        bench.apply_unchecked(cancel(id, 10));
    }
    let further = bench.apply(cancel(u64::MAX, 10));
    assert!(rejected(&further, RejectReason::NoTrade));
    bench.trade(5, 10, 50);
    assert_eq!(bench.apply(cancel(u64::MAX, 10)), [], "one that found its trade makes room");
    let letters = bench.mark(60 + 300 + 2);
    assert_eq!(
        letters.iter().filter(|effect| matches!(effect, Effect::DeadLetter(_))).count(),
        NUM_WAITING_MAX
    );
    let ledger = bench.state.ledger();
    assert_eq!((ledger.num_rejected(), ledger.cancelled), (NUM_WAITING_MAX as u64 + 1, 2));
}

#[test]
fn a_cancel_dated_far_ahead_is_given_up_unless_the_clock_follows() {
    for (leap, given_up) in [(false, true), (true, false)] {
        let mut bench = Bench::new();
        bench.mark(0);
        bench.apply(cancel(1, DAY_S));
        if leap {
            bench.mark(DAY_S + 1);
        } else {
            assert_eq!(bench.mark(300 + 60 + 300 + 1), []);
        }
        let effects = bench.mark(if leap { DAY_S + 200 } else { 300 + 60 + 300 + 2 });
        assert_eq!(rejected(&effects, RejectReason::NoTrade), given_up);
        // The trade itself counts if nobody remembers its cancel.
        bench.trade(1, DAY_S, 50);
        assert_eq!(bench.state.ledger().cancelled, if given_up { 0 } else { 2 });
    }
}

#[test]
fn a_full_window_takes_no_more_trades_and_says_so() {
    let mut bench = Bench::new();
    bench.state.retained.limit_rows(3);
    for id in 0..3 {
        assert_eq!(bench.trade(id, 1, 50), []);
    }
    assert!(rejected(&bench.trade(3, 1, 50), RejectReason::BadTime));
    let correction = |id: u64| Correction { target: TradeId::number(0), trade: trade(id, 1, 55) };
    assert!(rejected(&bench.apply(Body::Correction(correction(4))), RejectReason::BadTime));
    bench.trade(2, 1, 60);
    assert_eq!(bench.trade(4, 61, 50), [], "another window has room");
    let ledger = bench.state.ledger();
    assert_eq!((ledger.in_bars, ledger.duplicate, ledger.conflicts, ledger.num_rejected()), (4, 1, 1, 2));
}

#[test]
fn corrections_go_with_the_window_of_their_trade() {
    let mut bench = Bench::new();
    let correct = |target: u64, id: u64, seconds: i64, price: i64| {
        Body::Correction(Correction { target: TradeId::number(target), trade: trade(id, seconds, price) })
    };
    bench.apply(correct(1, 11, 10, 50));
    bench.apply(correct(2, 12, 70, 50));
    // Another version of the third trade moves it to a later window.
    bench.apply(correct(3, 13, 10, 50));
    bench.apply(correct(3, 13, 130, 60));
    let known =
        |bench: &Bench| [1, 2, 3].map(|id| bench.state.corrections.contains((0, TradeId::number(id))));
    assert_eq!(known(&bench), [true; 3]);
    for (seconds, left) in [(60, [false, true, true]), (120, [false, false, true]), (180, [false; 3])] {
        bench.mark(seconds + 300 + 2);
        assert_eq!(known(&bench), left, "{seconds}");
    }
}

#[test]
fn a_checkpoint_of_another_version_says_so() {
    let mut bench = Bench::new();
    bench.trade(1, 0, 50);
    let settings = Arc::new(CoreSettings::default());
    let mut bytes = bench.state.encode();
    for version in [2, 3, 99] {
        bytes[4] = version;
        let error = SymbolState::decode(&bytes, Arc::clone(&settings), names()).err();
        assert_eq!(error, Some(CheckpointError::Version(version.into())));
    }
}

#[test]
fn what_waits_to_be_confirmed_survives_in_a_checkpoint() {
    let mut bench = Bench::new();
    bench.trade(1, DAY_S, 50);
    bench.trade(2, 0, 50);
    bench.apply(cancel(900, 5));
    let bytes = bench.state.encode();
    let again =
        SymbolState::decode(&bytes, Arc::new(CoreSettings::default()), names()).expect("just encoded");
    let mut twin = Bench { state: again, effects: Vec::new(), pos: bench.pos };
    for (id, seconds) in [(3, 1), (4, 700), (5, 701)] {
        assert_eq!(bench.trade(id, seconds, 60), twin.trade(id, seconds, 60));
        assert_eq!(bench.state.encode(), twin.state.encode());
    }
    assert_eq!(bench.state.ledger().num_rejected(), 1);
}
