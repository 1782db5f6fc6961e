//! The core against the simulated venue's truth: a bad day must end in the true bars and in a ledger without residue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tickwire::actors::ingest::simulated::{
    Episodes, InjectedCounts, InjectedFaults, MarketSettings, Shift, SimulatedSymbol, Spike, initial_price,
    symbol_names,
};
use tickwire::models::bar::BarState;
use tickwire::models::effect::Effect;
use tickwire::models::entry::{Body, Entry, SourceId};
use tickwire::models::ledger::Ledger;
use tickwire::models::settings::CoreSettings;
use tickwire::models::state::SymbolState;
use tickwire::models::symbol::{SymbolId, SymbolSpec};
use tickwire::models::time::{Nanos, SECOND, Width};
use tickwire::testkit::{ExpectedBar, Scenario};

/// 2026-11-02, a Monday, in the middle of a minute.
const START: Nanos = Nanos(1_793_628_000 * SECOND + 17_000_000_000);

type BarKey = (SymbolId, Width, Nanos);

/// The cores of a market's symbols, as a shard would hold them.
struct Cores {
    states: Vec<SymbolState>,
    num_entries: u64,
    effects: Vec<Effect>,
    /// The last revision of each bar.
    bars: BTreeMap<BarKey, ExpectedBar>,
    num_amended: u64,
}

impl Cores {
    fn new(num_symbols: u32, settings: &CoreSettings) -> Cores {
        let settings = Arc::new(settings.clone());
        let names = symbol_names(num_symbols as usize);
        let states = (0..).map(SymbolId).zip(&names).map(|(id, name)| {
            SymbolState::new(
                id,
                &SymbolSpec::named(name),
                Arc::clone(&settings),
                Arc::<tickwire::names::Names>::default(),
            )
        });
        let (effects, bars) = (Vec::new(), BTreeMap::new());
        Cores { states: states.collect(), num_entries: 0, effects, bars, num_amended: 0 }
    }

    fn apply(&mut self, mut entry: Entry) {
        self.num_entries += 1;
        entry.pos = self.num_entries;
        if entry.body.is_broadcast() {
            for state in &mut self.states {
                state.apply(&[entry], &mut self.effects);
            }
        } else {
            self.states[entry.symbol.index()].apply(&[entry], &mut self.effects);
        }
        self.publish();
    }

    fn finish(&mut self) {
        for state in &mut self.states {
            state.finish(&mut self.effects);
        }
        self.publish();
    }

    fn publish(&mut self) {
        for effect in self.effects.drain(..) {
            let Effect::Bar(bar) = effect else { continue };
            self.num_amended += u64::from(bar.state == BarState::Amended);
            let key = (bar.symbol, bar.width, bar.start);
            if bar.state == BarState::Void {
                self.bars.remove(&key);
                continue;
            }
            let shown = ExpectedBar {
                symbol: bar.symbol,
                width: bar.width,
                start: bar.start,
                open: bar.open,
                high: bar.high,
                low: bar.low,
                close: bar.close,
                volume: bar.volume,
                vwap: bar.vwap,
                trade_count: bar.trade_count,
            };
            self.bars.insert(key, shown);
        }
    }

    fn ledger(&self) -> Ledger {
        self.states.iter().fold(Ledger::default(), |mut sum, state| {
            sum.merge(&state.ledger());
            sum
        })
    }
}

fn market(num_symbols: u32, rate_per_second: f64, seed: u64) -> MarketSettings {
    let names = symbol_names(num_symbols as usize);
    let symbols = (0..).map(SymbolId).zip(&names);
    let symbols =
        symbols.map(|(id, name)| SimulatedSymbol { id, initial_price: initial_price(name) }).collect();
    MarketSettings { rate_per_second, seed, ..MarketSettings::new(symbols, SourceId(0), START) }
}

/// Plays a day through the core, and compares all bars and the ledger with the truth.
fn play(market: &MarketSettings, faults: &InjectedFaults, num_trades: usize) -> (InjectedCounts, Ledger) {
    let settings = CoreSettings::default();
    let num_symbols = u32::try_from(market.symbols.len()).expect("few");
    let mut cores = Cores::new(num_symbols, &settings);
    let mut scenario = Scenario::new(market, faults, settings, num_trades);
    let mut batch = Vec::new();
    let mut num_reports = 0;
    loop {
        batch.clear();
        let more = scenario.next_batch(1_000, &mut batch);
        for entry in &batch {
            num_reports += u64::from(entry.body.is_report());
            cores.apply(*entry);
        }
        if !more {
            break;
        }
    }
    cores.finish();
    let context = format!("seed {}: {:?}", market.seed, scenario.counts());
    let truth = scenario.truth();
    let ledger = cores.ledger();
    assert_eq!(ledger.residue(), 0, "{ledger:?} {context}");
    assert_eq!(ledger, truth.expected_ledger(), "{context}");
    assert_eq!(ledger.received, num_reports, "{context}");
    let expected = truth.bars();
    assert!(!expected.is_empty(), "a day without bars proves nothing");
    let found: Vec<ExpectedBar> = cores.bars.into_values().collect();
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected, "{context}");
    }
    assert_eq!(found.len(), expected.len(), "{context}");
    // What is withheld is not tested, so it must stay a small part.
    assert!(truth.num_withheld() * 50 <= num_reports, "{} withheld of {num_reports}", truth.num_withheld());
    (scenario.counts(), ledger)
}

/// A faults, its name, and where its count stands.
type Case = (&'static str, InjectedFaults, fn(&InjectedCounts) -> u64);

fn shift(seconds: u64) -> Shift {
    Shift { probability: 0.05, max: Duration::from_secs(seconds) }
}

#[test]
fn a_clean_day_ends_in_the_true_bars() {
    let (counts, ledger) = play(&market(5, 50.0, 1), &InjectedFaults::default(), 60_000);
    assert_eq!(counts, InjectedCounts::default());
    assert_eq!((ledger.received, ledger.in_bars), (60_000, 60_000));
}

#[test]
fn each_fault_alone_ends_in_the_true_bars() {
    let off = InjectedFaults::default();
    let episodes = Episodes { every: Duration::from_secs(60), length: Duration::from_secs(20) };
    let spike = Spike { probability: 0.01, factor: 5.0 };
    let table: [Case; 18] = [
        ("drop", InjectedFaults { drop: 0.05, ..off.clone() }, |m| m.dropped),
        ("duplicate", InjectedFaults { duplicate: shift(240), ..off.clone() }, |m| m.duplicated),
        ("conflict", InjectedFaults { conflict: shift(120), ..off.clone() }, |m| m.conflicts),
        ("reorder", InjectedFaults { reorder: shift(1), ..off.clone() }, |m| m.reordered),
        ("delay", InjectedFaults { delay: shift(290), ..off.clone() }, |m| m.delayed),
        ("late", InjectedFaults { late: shift(480), ..off.clone() }, |m| m.late),
        ("cancel", InjectedFaults { cancel: shift(240), ..off.clone() }, |m| m.cancelled),
        ("cancel_early", InjectedFaults { cancel_early: shift(120), ..off.clone() }, |m| m.cancelled_early),
        ("correct", InjectedFaults { correct: shift(240), ..off.clone() }, |m| m.corrected),
        ("correct_new_id", InjectedFaults { correct_new_id: shift(240), ..off.clone() }, |m| {
            m.corrected_new_id
        }),
        ("wrong_time", InjectedFaults { wrong_time: shift(86_400), ..off.clone() }, |m| m.wrong_time),
        (
            "clock_skew",
            InjectedFaults { clock_skew: Shift { probability: 0.5, ..shift(5) }, ..off.clone() },
            |m| m.skewed,
        ),
        ("spikes", InjectedFaults { price_spike: spike, volume_spike: spike, ..off.clone() }, |m| {
            m.price_spikes.min(m.volume_spikes)
        }),
        ("malformed", InjectedFaults { malformed: 0.05, ..off.clone() }, |m| m.malformed),
        ("conditions", InjectedFaults { conditions: 0.9, ..off.clone() }, |m| m.conditions),
        ("burst", InjectedFaults { burst: episodes, ..off.clone() }, |m| m.in_bursts),
        ("halt", InjectedFaults { halt: episodes, ..off.clone() }, |m| m.halted),
        ("disconnect", InjectedFaults { disconnect: episodes, late: shift(480), ..off.clone() }, |m| m.lost),
    ];
    for (name, faults, count) in table {
        // Slow enough that many windows hold one trade or none, long enough that most are sealed.
        let (counts, _) = play(&market(5, 2.0, 7), &faults, 4_000);
        assert!(count(&counts) > 0, "{name} did nothing: {counts:?}");
    }
}

#[test]
fn bad_days_of_many_seeds_end_in_the_true_bars() {
    for seed in 0..30 {
        play(&market(8, 3.0, seed), &InjectedFaults::everything(), 5_000);
    }
}

#[test]
fn two_million_trades_with_all_faults_end_in_the_true_bars() {
    // A debug build takes a tenth of the trades; the long day is for release builds.
    let num_trades = if cfg!(debug_assertions) { 200_000 } else { 2_000_000 };
    let rate = num_trades as f64 / 7_200.0;
    let (counts, ledger) = play(&market(5, rate, 42), &InjectedFaults::everything(), num_trades);
    println!("{counts:?}\n{ledger:?}");
    let outcomes =
        [ledger.in_bars, ledger.filtered, ledger.late, ledger.duplicate, ledger.cancelled, ledger.conflicts];
    assert!(
        outcomes.iter().all(|count| *count > 0) && ledger.num_rejected() > 0,
        "each outcome occurs: {ledger:?}"
    );
}

#[test]
fn a_scenario_is_the_same_however_it_is_cut() {
    let run = |max: usize| {
        let settings = CoreSettings::default();
        let mut scenario =
            Scenario::new(&market(5, 20.0, 3), &InjectedFaults::everything(), settings, 20_000);
        let mut entries = Vec::new();
        while scenario.next_batch(max, &mut entries) {}
        (entries, scenario.truth().bars(), scenario.truth().expected_ledger())
    };
    let (entries, bars, ledger) = run(1);
    assert!(entries.iter().any(|entry| matches!(entry.body, Body::Correction(_))));
    assert!(run(4_097) == (entries, bars, ledger), "the cuts of batches show");
}
