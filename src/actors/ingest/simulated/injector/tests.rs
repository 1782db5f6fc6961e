//! What each fault does to the feed of a simulated market, one fault at a time.

use super::super::faults::{Episodes, Shift};
use super::super::market::{Market, MarketSettings, SimulatedSymbol};
use super::*;
use crate::models::time::{HOUR, MINUTE, SECOND};
use std::collections::HashMap;
use std::time::Duration;

const NUM_TRADES: usize = 20_000;
const START: Nanos = Nanos(1_790_000_000 * SECOND);

/// Runs a market of 100 trades a second through a feed, and returns what was sent, what arrived, and the counts.
fn run(faults: &InjectedFaults, chunk: usize) -> (Vec<Entry>, Vec<Entry>, InjectedCounts) {
    run_from(START, faults, chunk)
}

fn run_from(start: Nanos, faults: &InjectedFaults, chunk: usize) -> (Vec<Entry>, Vec<Entry>, InjectedCounts) {
    let symbols =
        (0..5).map(|id| SimulatedSymbol { id: SymbolId(id), initial_price: Price(10_000 * TICK) }).collect();
    let settings = MarketSettings::new(symbols, SourceId(2), start);
    let mut market = Market::new(&settings);
    let mut injector = FaultInjector::new(faults, SourceId(2), 5, 9);
    let (mut sent, mut arrived) = (Vec::new(), Vec::new());
    while sent.len() < NUM_TRADES {
        let from = sent.len();
        market.fill(Nanos::MAX, chunk.min(NUM_TRADES - from), &mut sent);
        sent[from..].iter().for_each(|entry| injector.send(entry));
        injector.deliver(received(sent.last().expect("filled")), &mut arrived);
    }
    injector.deliver_rest(&mut arrived);
    (sent, arrived, injector.counts())
}

fn received(entry: &Entry) -> Nanos {
    match entry.body {
        Body::Trade(trade) => trade.received,
        Body::Cancel(cancel) => cancel.received,
        Body::Correction(correction) => correction.trade.received,
        _ => panic!("no report: {entry:?}"),
    }
}

fn reports(entries: &[Entry]) -> Vec<Entry> {
    entries.iter().filter(|entry| entry.body.is_report()).copied().collect()
}

fn shift(seconds: u64) -> Shift {
    Shift { probability: 0.1, max: Duration::from_secs(seconds) }
}

/// A tenth of the trades, give or take what chance does.
fn is_a_tenth(count: u64) -> bool {
    (1_800..=2_200).contains(&count)
}

#[test]
fn switched_off_it_changes_nothing_but_adds_marks() {
    let (sent, arrived, counts) = run(&InjectedFaults::default(), 512);
    assert_eq!(reports(&arrived), sent);
    assert_eq!(counts, InjectedCounts::default());
    let marks = arrived.len() - sent.len();
    assert!((180..=220).contains(&marks), "{marks} marks in about 200 s");
}

#[test]
fn cuts_do_not_matter() {
    let all = InjectedFaults::everything();
    assert_eq!(run(&all, 1).1, run(&all, 777).1);
}

#[test]
fn marks_ascend_and_stay_behind_what_is_still_under_way() {
    let (_, arrived, _) = run(&InjectedFaults::default(), 512);
    let mut marked = Nanos::MIN;
    for entry in &arrived {
        match entry.body {
            Body::ClockMark { time, source } => {
                assert!(time >= marked && source == SourceId(2));
                marked = time;
            }
            _ => assert!(marked.since(entry.body.time()) < 10_000_000, "{entry:?} after the mark {marked:?}"),
        }
    }
}

#[test]
fn arrivals_are_in_order_whatever_happens() {
    let (_, arrived, _) = run(&InjectedFaults::everything(), 100);
    let times: Vec<Nanos> = reports(&arrived).iter().map(received).collect();
    assert!(times.is_sorted());
}

#[test]
fn what_is_dropped_is_missing() {
    let (sent, arrived, counts) = run(&InjectedFaults { drop: 0.1, ..InjectedFaults::default() }, 512);
    assert!(is_a_tenth(counts.dropped), "{counts:?}");
    assert_eq!(reports(&arrived).len() as u64, sent.len() as u64 - counts.dropped);
}

#[test]
fn duplicates_say_the_same_and_conflicts_another_price() {
    let (sent, arrived, counts) =
        run(&InjectedFaults { duplicate: shift(5), ..InjectedFaults::default() }, 512);
    assert!(is_a_tenth(counts.duplicated), "{counts:?}");
    let clean = |entry: &Entry| match entry.body {
        Body::Trade(trade) => (entry.symbol, Trade { received: Nanos::MIN, ..trade }),
        _ => panic!("no trade: {entry:?}"),
    };
    let key = |(symbol, trade): &(SymbolId, Trade)| (*symbol, trade.id);
    let mut distinct: Vec<_> = reports(&arrived).iter().map(clean).collect();
    assert_eq!(distinct.len() as u64, sent.len() as u64 + counts.duplicated);
    distinct.sort_by_key(key);
    distinct.dedup();
    let mut expected: Vec<_> = sent.iter().map(clean).collect();
    expected.sort_by_key(key);
    assert_eq!(distinct, expected);

    let (sent, arrived, counts) =
        run(&InjectedFaults { conflict: shift(5), ..InjectedFaults::default() }, 512);
    assert!(is_a_tenth(counts.conflicts), "{counts:?}");
    let mut distinct: Vec<_> = reports(&arrived).iter().map(clean).collect();
    distinct.sort_by_key(key);
    distinct.dedup();
    assert_eq!(distinct.len() as u64, sent.len() as u64 + counts.conflicts);
}

#[test]
fn delays_stay_within_their_span_and_late_ones_go_beyond() {
    let delay_of = |entry: &Entry| received(entry).since(entry.body.time());
    let (_, arrived, counts) = run(&InjectedFaults { delay: shift(60), ..InjectedFaults::default() }, 512);
    let slow = reports(&arrived).iter().filter(|entry| delay_of(entry) > SECOND).count() as u64;
    assert!(is_a_tenth(counts.delayed) && slow <= counts.delayed && slow > 1_700, "{slow} {counts:?}");
    assert!(reports(&arrived).iter().all(|entry| delay_of(entry) < MINUTE + SECOND));

    let (_, arrived, counts) = run(&InjectedFaults { late: shift(480), ..InjectedFaults::default() }, 512);
    let late = reports(&arrived).iter().filter(|entry| delay_of(entry) >= 8 * MINUTE).count() as u64;
    assert!(is_a_tenth(counts.late) && late == counts.late, "{late} {counts:?}");

    let (_, arrived, counts) = run(&InjectedFaults { reorder: shift(1), ..InjectedFaults::default() }, 512);
    let overtaken = |pair: &&[Entry]| pair[0].body.time() > pair[1].body.time();
    let num_overtaken = reports(&arrived).windows(2).filter(overtaken).count();
    assert!(is_a_tenth(counts.reordered) && num_overtaken > 1_000, "{num_overtaken} {counts:?}");
}

#[test]
fn cancels_and_corrections_name_their_trade() {
    let faults = InjectedFaults {
        cancel: shift(20),
        cancel_early: shift(20),
        correct: shift(20),
        correct_new_id: shift(20),
        ..InjectedFaults::default()
    };
    let (_, arrived, counts) = run(&faults, 512);
    let arrived = reports(&arrived);
    let arrival: HashMap<(SymbolId, TradeId), usize> = (0..)
        .zip(&arrived)
        .filter_map(|(at, entry)| match entry.body {
            Body::Trade(trade) => Some(((entry.symbol, trade.id), at)),
            _ => None,
        })
        .collect();
    assert_eq!(arrival.len(), NUM_TRADES);
    let [mut early, mut later, mut same_id, mut new_id] = [0_u64; 4];
    for (at, entry) in arrived.iter().enumerate() {
        match entry.body {
            Body::Cancel(cancel) if at < arrival[&(entry.symbol, cancel.target)] => early += 1,
            Body::Cancel(_) => later += 1,
            Body::Correction(correction) => {
                assert!(arrival.contains_key(&(entry.symbol, correction.target)));
                let same = correction.trade.id == correction.target;
                same_id += u64::from(same);
                new_id += u64::from(!same && !arrival.contains_key(&(entry.symbol, correction.trade.id)));
            }
            _ => {}
        }
    }
    assert_eq!(
        [early, later, same_id, new_id],
        [counts.cancelled_early, counts.cancelled, counts.corrected, counts.corrected_new_id]
    );
    assert!(early > 1_500 && later > 1_500 && same_id > 1_200 && new_id > 1_200, "{counts:?}");
}

#[test]
fn ids_of_corrections_never_name_two_trades_not_even_after_a_restart() {
    let faults = InjectedFaults { correct_new_id: shift(20), ..InjectedFaults::default() };
    let mut named: HashMap<(SymbolId, TradeId), TradeId> = HashMap::new();
    for start in [START, START.plus(HOUR)] {
        let (_, arrived, counts) = run_from(start, &faults, 512);
        assert!(counts.corrected_new_id > 1_000, "{counts:?}");
        for entry in &arrived {
            if let Body::Correction(correction) = entry.body {
                let target = named.entry((entry.symbol, correction.trade.id)).or_insert(correction.target);
                assert_eq!(*target, correction.target, "{:?}", correction.trade.id);
            }
        }
    }
}

#[test]
fn wrong_clocks_are_wrong_and_do_not_reach_the_marks() {
    let (_, arrived, counts) =
        run(&InjectedFaults { wrong_time: shift(86_400), ..InjectedFaults::default() }, 512);
    assert!(is_a_tenth(counts.wrong_time), "{counts:?}");
    let wrong_by = |entry: &Entry| entry.body.time().since(received(entry));
    let ahead = reports(&arrived).iter().filter(|entry| wrong_by(entry) > HOUR - SECOND).count() as u64;
    let behind = reports(&arrived).iter().filter(|entry| wrong_by(entry) < SECOND - HOUR).count() as u64;
    assert_eq!(ahead + behind, counts.wrong_time);
    assert!(ahead > 800 && behind > 800, "{ahead} {behind}");
    let end = reports(&arrived).iter().map(received).max().expect("not empty");
    let marks = arrived.iter().filter(|entry| matches!(entry.body, Body::ClockMark { .. }));
    assert!(marks.map(|mark| mark.body.time()).all(|time| time <= end));

    let skew = Shift { probability: 0.5, max: Duration::from_secs(5) };
    let (_, _, counts) = run(&InjectedFaults { clock_skew: skew, ..InjectedFaults::default() }, 512);
    assert!(counts.skewed > 0 && counts.skewed < NUM_TRADES as u64, "{counts:?}");
}

#[test]
fn spikes_malformed_values_and_conditions_show_in_the_trades() {
    let spike = Spike { probability: 0.1, factor: 2.0 };
    let faults = InjectedFaults {
        price_spike: spike,
        volume_spike: Spike { factor: 1_000.0, ..spike },
        malformed: 0.1,
        conditions: 0.1,
        ..InjectedFaults::default()
    };
    let (sent, arrived, counts) = run(&faults, 512);
    let sized = |entry: &Entry| match entry.body {
        Body::Trade(trade) => Some(((entry.symbol, trade.id), trade.size.0)),
        _ => None,
    };
    let count = |wanted: &dyn Fn(&Trade) -> bool| {
        let trade = |entry: &Entry| match entry.body {
            Body::Trade(trade) => wanted(&trade),
            _ => false,
        };
        arrived.iter().filter(|entry| trade(entry)).count() as u64
    };
    let off = |trade: &Trade| !(7_000 * TICK..15_000 * TICK).contains(&trade.price.0) && trade.price.0 > 0;
    assert_eq!(count(&off), counts.price_spikes);
    let sizes: HashMap<(SymbolId, TradeId), i64> = sent.iter().filter_map(sized).collect();
    let spiked = arrived.iter().filter_map(sized).filter(|(key, size)| *size == sizes[key] * 1_000);
    assert_eq!(spiked.count() as u64, counts.volume_spikes);
    assert_eq!(count(&|trade| trade.price.0 <= 0 || trade.size.0 <= 0), counts.malformed);
    assert_eq!(count(&|trade| trade.updates != Updates::ALL), counts.conditions);
    assert!(is_a_tenth(counts.malformed), "{counts:?}");
}

#[test]
fn bursts_halts_and_disconnects_last_as_long_as_they_say() {
    let episodes = Episodes { every: Duration::from_secs(20), length: Duration::from_secs(5) };
    let times = |entries: &[Entry]| reports(entries).iter().map(received).collect::<Vec<_>>();
    let longest_silence = |times: &[Nanos]| times.windows(2).map(|pair| pair[1].since(pair[0])).max();

    let (sent, arrived, counts) = run(&InjectedFaults { burst: episodes, ..InjectedFaults::default() }, 512);
    assert_eq!(reports(&arrived).len(), sent.len());
    assert!(counts.in_bursts > 1_000, "{counts:?}");
    assert!(longest_silence(&times(&arrived)).is_some_and(|silence| silence > 4 * SECOND));
    let together = times(&arrived).chunk_by(|a, b| a == b).map(<[Nanos]>::len).max();
    assert!(together.is_some_and(|count| count > 300), "{together:?} at once");

    let (sent, arrived, counts) = run(&InjectedFaults { halt: episodes, ..InjectedFaults::default() }, 512);
    assert!(counts.halted > 100, "{counts:?}");
    assert_eq!(reports(&arrived).len() as u64, sent.len() as u64 - counts.halted);

    let (sent, arrived, counts) =
        run(&InjectedFaults { disconnect: episodes, ..InjectedFaults::default() }, 512);
    assert!(counts.disconnects > 2 && counts.lost > 1_000, "{counts:?}");
    assert_eq!(reports(&arrived).len() as u64, sent.len() as u64 - counts.lost);
    let mut before = START;
    let mut num_gaps = 0;
    for entry in &arrived {
        if let Body::Gap(gap) = entry.body {
            num_gaps += 1;
            assert!(!gap.filled && (gap.to.since(gap.from) - 5 * SECOND).abs() < 10_000_000, "{gap:?}");
            assert!(
                gap.from.since(before) > -10_000_000 && gap.from.since(before) < SECOND,
                "{gap:?} {before:?}"
            );
        }
        before = entry.body.time();
    }
    assert!((counts.disconnects - 1..=counts.disconnects).contains(&num_gaps));
}
