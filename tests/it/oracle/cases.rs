//! Histories that once told the core and the model apart, cut down to what matters.

use super::{START, compare};
use crate::support::outcome::{core, log};
use std::sync::Arc;
use tickwire::models::entry::{Body, Cancel, Correction, Gap, SourceId, Trade, TradeId, Updates};
use tickwire::models::ledger::Ledger;
use tickwire::models::num::{Price, Size};
use tickwire::models::settings::CoreSettings;
use tickwire::models::time::{Nanos, SECOND, Width};

const A: SourceId = SourceId(0);
const B: SourceId = SourceId(1);

/// Windows of 1 and 5 seconds; no lateness, so that a time seals what ends 3 seconds before it.
fn settings() -> Arc<CoreSettings> {
    let seconds = |n: i64| Width::new(n * SECOND).expect("divides a day");
    Arc::new(CoreSettings {
        lateness: 0,
        horizon: 3 * SECOND,
        gap_hold: 4 * SECOND,
        future_tolerance: SECOND,
        widths: vec![seconds(1), seconds(5)],
        detection: None,
        tells_seals: true,
    })
}

/// A time in tenths of a second.
fn at(tenths: i64) -> Nanos {
    START.plus(tenths * SECOND / 10)
}

fn trade(source: SourceId, id: u64, tenths: i64) -> Trade {
    Trade {
        ts: at(tenths),
        received: Nanos::MIN,
        price: Price(SECOND + tenths),
        size: Size(1),
        seq: 0,
        id: TradeId::number(id),
        source,
        updates: Updates::ALL,
    }
}

fn cancel(target: u64, tenths: i64) -> Body {
    Body::Cancel(Cancel { ts: at(tenths), received: Nanos::MIN, target: TradeId::number(target), source: A })
}

fn correction(target: u64, by: u64, tenths: i64) -> Body {
    Body::Correction(Correction { target: TradeId::number(target), trade: trade(A, by, tenths) })
}

fn gap(from: i64, to: i64, filled: bool) -> Body {
    Body::Gap(Gap { source: A, from: at(from), to: at(to), filled })
}

fn mark(tenths: i64) -> Body {
    Body::ClockMark { source: SourceId::ANY, time: at(tenths) }
}

/// Runs core and model, which must agree, and returns the outcomes.
fn outcomes(bodies: &[Body]) -> Ledger {
    let (entries, settings) = (log(bodies.iter().copied()), settings());
    compare(&entries, &settings).unwrap();
    let mut state = core(&settings);
    state.apply(&entries, &mut Vec::new());
    state.ledger()
}

/// Every order of three things.
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

#[test]
fn a_correction_replaces_its_trade_even_where_what_stands_for_it_was_known() {
    let bodies = [Body::Trade(trade(A, 1, 0)), Body::Trade(trade(A, 2, 5)), correction(1, 2, 5)];
    for order in ORDERS {
        let ledger = outcomes(&order.map(|at| bodies[at]));
        assert_eq!((ledger.in_bars, ledger.cancelled, ledger.duplicate), (1, 1, 1), "{order:?}");
    }
}

#[test]
fn a_cancel_reaches_the_correction_of_a_correction_in_any_order() {
    let bodies = [correction(1, 2, 2), correction(2, 3, 4), cancel(1, 4)];
    for order in ORDERS {
        let mut bodies: Vec<Body> = order.map(|at| bodies[at]).to_vec();
        bodies.insert(0, Body::Trade(trade(A, 1, 0)));
        let ledger = outcomes(&bodies);
        assert_eq!((ledger.in_bars, ledger.cancelled), (0, 4), "{order:?}");
    }
}

#[test]
fn a_cancel_waits_no_longer_because_a_correction_names_the_same_trade() {
    let bodies = [
        Body::Trade(trade(A, 9, 0)),
        correction(1, 2, 35),
        cancel(1, 1),
        mark(45),
        Body::Trade(trade(A, 1, 42)),
    ];
    let ledger = outcomes(&bodies);
    assert_eq!(ledger.num_rejected(), 1, "its own time was sealed when the trade came");
}

#[test]
fn a_change_of_source_leaves_the_coverage_of_what_was_before_it() {
    let bodies = [
        Body::Trade(trade(A, 1, 0)),
        gap(2, 7, false),
        Body::Trade(trade(A, 2, 12)),
        Body::SourceInCharge { source: B, from: at(20) },
        Body::Trade(trade(A, 3, 3)),
        Body::Trade(Trade { updates: Updates::NONE, ..trade(A, 4, 4) }),
        Body::Trade(trade(B, 1, 60)),
    ];
    assert_eq!(outcomes(&bodies).in_bars, 4);
}

#[test]
fn a_gap_that_comes_after_the_seal_opens_nothing_again() {
    let bodies = [
        Body::Trade(trade(A, 1, 0)),
        mark(95),
        // Nothing is open any more, so this one has nothing to close; yet it seals all before 11 s.
        mark(145),
        gap(61, 130, false),
        Body::Trade(trade(A, 2, 82)),
    ];
    assert_eq!(outcomes(&bodies).late, 1);
}

#[test]
fn a_filled_gap_lets_the_seal_go_on_at_once() {
    let bodies = [
        Body::Trade(trade(A, 1, 0)),
        gap(0, 45, false),
        cancel(2, 1),
        mark(50),
        gap(0, 45, true),
        Body::Trade(trade(A, 2, 40)),
    ];
    assert_eq!(outcomes(&bodies).in_bars, 2, "the cancel was given up before its trade came");
}
