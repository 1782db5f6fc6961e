//! Order does not matter: real trades, shuffled, repeated, delayed and partly cancelled within the horizon, end in the
//! same bars and indicators as the sorted, clean list, to the last bit.

use crate::support::outcome::{Outcome, log, run};
use crate::support::shared;
use proptest::prelude::*;
use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use std::sync::Arc;
use tickwire::models::entry::{Body, Cancel, SourceId, Trade, Updates};
use tickwire::models::settings::CoreSettings;
use tickwire::models::time::{Nanos, SECOND};

/// How roughly the way from the venue treats the trades.
#[derive(Clone, Copy, Debug)]
struct Disorder {
    seed: u64,
    /// Longest delay of an ordinary trade, in nanoseconds; the 5 % that come late may take the whole horizon.
    jitter: i64,
    /// True when every report says when it was received, as in a live feed; else nobody knows, as in a file.
    stamped: bool,
}

/// A report on its way: when it arrives, and what it says.
type Arrival = (Nanos, Body);

/// Shuffles, repeats, delays and cancels; returns what arrives, in order of arrival with clock marks between, and the
/// trades that are left.
fn disturb(trades: &[Trade], horizon: i64, disorder: Disorder) -> (Vec<Body>, Vec<Trade>) {
    let mut random = Pcg64Mcg::seed_from_u64(disorder.seed);
    let mut arrivals: Vec<Arrival> = Vec::new();
    let mut left = Vec::new();
    for &trade in trades {
        let longest = if random.random_ratio(5, 100) { horizon } else { disorder.jitter };
        let arrival = trade.ts.plus(random.random_range(0..longest));
        send(&mut arrivals, arrival, Body::Trade(trade), disorder);
        if random.random_ratio(5, 100) {
            let again = trade.ts.plus(random.random_range(0..horizon));
            send(&mut arrivals, again, Body::Trade(trade), disorder);
        }
        if random.random_ratio(1, 100) {
            let cancelled = cancel_arrival(&mut random, trade.ts, arrival, horizon);
            let cancel =
                Cancel { ts: trade.ts, received: Nanos::MIN, target: trade.id, source: trade.source };
            send(&mut arrivals, cancelled, Body::Cancel(cancel), disorder);
        } else {
            left.push(trade);
        }
    }
    arrivals.sort_by_key(|(arrival, _)| *arrival);
    (with_marks(&arrivals), left)
}

/// Draws when a cancel comes: in half of the cases before its trade.
fn cancel_arrival(random: &mut impl Rng, ts: Nanos, trade: Nanos, horizon: i64) -> Nanos {
    if random.random_bool(0.5) {
        ts.plus(random.random_range(0..=trade.since(ts)))
    } else {
        trade.plus(random.random_range(0..ts.plus(horizon).since(trade)))
    }
}

fn send(arrivals: &mut Vec<Arrival>, arrival: Nanos, mut body: Body, disorder: Disorder) {
    if disorder.stamped {
        match &mut body {
            Body::Trade(trade) => trade.received = arrival,
            Body::Cancel(cancel) => cancel.received = arrival,
            _ => {}
        }
    }
    arrivals.push((arrival, body));
}

/// Puts a clock mark behind each second of arrivals. A mark says the time of arrival, so what arrives within the
/// horizon of its event time never finds its window sealed.
fn with_marks(arrivals: &[Arrival]) -> Vec<Body> {
    let mut bodies = Vec::new();
    let mut marked = Nanos::MIN;
    for &(arrival, body) in arrivals {
        bodies.push(body);
        if arrival >= marked {
            bodies.push(Body::ClockMark { source: SourceId::ANY, time: arrival });
            marked = arrival.plus(SECOND);
        }
    }
    bodies
}

/// Differing lines, the first few.
fn differences(expected: &Outcome, actual: &Outcome) -> Vec<String> {
    let (expected, actual) = (expected.digest(), actual.digest());
    let missing = expected.iter().filter(|line| !actual.contains(line)).map(|line| format!("- {line}"));
    let extra = actual.iter().filter(|line| !expected.contains(line)).map(|line| format!("+ {line}"));
    missing.take(3).chain(extra.take(3)).collect()
}

/// Checks one list of trades under one disorder.
fn assert_order_does_not_matter(name: &str, trades: &[Trade], disorder: Disorder) {
    let settings = Arc::new(CoreSettings::default());
    let (disturbed, mut left) = disturb(trades, settings.horizon, disorder);
    left.sort_by_key(|trade| trade.ts);
    let clean = run(&log(left.iter().copied().map(Body::Trade)), &settings);
    let outcome = run(&log(disturbed.iter().copied()), &settings);
    assert!(!clean.bars.is_empty(), "{name}: nothing was compared");
    assert!(clean.digest() == outcome.digest(), "{name} {disorder:?}: {:#?}", differences(&clean, &outcome));
    assert_eq!((clean.ledger.residue(), outcome.ledger.residue()), (0, 0), "{name} {disorder:?}");
    assert_eq!(outcome.ledger.late, 0, "{name} {disorder:?}");
    assert_eq!(outcome.ledger.in_bars, clean.ledger.in_bars, "{name} {disorder:?}");
    assert_eq!(outcome.ledger.filtered, clean.ledger.filtered, "{name} {disorder:?}");
    let num_cancelled = (trades.len() - left.len()) as u64;
    assert_eq!(outcome.ledger.cancelled, 2 * num_cancelled, "{name} {disorder:?}");
    assert!(num_cancelled > 0 && outcome.ledger.duplicate > 0, "{name}: the disorder was none");
}

/// Most trades taken of one symbol: enough for all windows to have neighbours, little enough for a debug build.
const NUM_TRADES_MAX: usize = 20_000;

/// Gives every seventh trade fewer rights, so that what only sets extremes or only adds volume is shuffled too.
fn with_mixed_updates(trades: &[Trade]) -> Vec<Trade> {
    let forms = [b"v".as_slice(), b"h", b"hv", b"-", b"hc"];
    let limited = |(at, trade): (usize, &Trade)| {
        let form = forms[at / 7 % forms.len()];
        let updates = if at % 7 == 0 { Updates::parse(form).expect("valid") } else { Updates::ALL };
        Trade { updates, ..*trade }
    };
    trades.iter().enumerate().map(limited).collect()
}

#[test]
fn order_does_not_matter_to_real_trades() {
    let files = [
        "crypto_binance_xrpeth_20191011_trades.csv.gz",
        "crypto_coinbase_btcusd_20230905_trades.csv.gz",
        "eq_nasdaq_amzn_20120621_trades.csv.gz",
        "eq_us_20131007_trades.csv.gz",
        "fut_gc_20131007_trades.csv.gz",
    ];
    for (seed, file) in (1..).zip(files) {
        let Some(by_symbol) = shared::trades(file) else { continue };
        for (symbol, trades) in by_symbol {
            let trades: Vec<Trade> = trades.into_iter().filter(|trade| trade.size.0 > 0).collect();
            if trades.len() < 1_000 {
                continue;
            }
            let part = &trades[..trades.len().min(NUM_TRADES_MAX)];
            let disorder = Disorder { seed, jitter: 120 * SECOND, stamped: seed % 2 == 0 };
            assert_order_does_not_matter(&symbol, &with_mixed_updates(part), disorder);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_does_not_matter_however_rough_the_way(
        seed in any::<u64>(),
        jitter in prop_oneof![Just(1), 1..10 * SECOND, Just(300 * SECOND)],
        stamped in any::<bool>(),
    ) {
        let Some(by_symbol) = shared::trades("crypto_binance_xrpeth_20191011_trades.csv.gz") else { return Ok(()) };
        for (symbol, trades) in by_symbol {
            assert_order_does_not_matter(&symbol, &trades[..3_000], Disorder { seed, jitter, stamped });
        }
    }
}
