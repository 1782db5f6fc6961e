//! Rules of the user's own in the core: beside an oracle, over cuts and restarts, and with trades that are taken back.

mod whole;

use crate::detection::{START, cancel, detected, history, made, mark, outcome_of, run, trade};
use crate::support::outcome::{Outcome, core, log, names};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use tickwire::models::anomaly::AnomalyState;
use tickwire::models::bar::Bar;
use tickwire::models::detection::settings::{DetectionSettings, Thresholds};
use tickwire::models::detection::{AnomalyKind, Detected};
use tickwire::models::entry::{Body, Correction, Trade, TradeId};
use tickwire::models::indicators::IndicatorValues;
use tickwire::models::num::{Price, Scale};
use tickwire::models::rules::{Fire, Rule};
use tickwire::models::settings::CoreSettings;
use tickwire::models::state::SymbolState;
use tickwire::models::symbol::SymbolSpec;
use tickwire::models::time::{Nanos, SECOND, Width};

fn seconds(n: i64) -> Width {
    Width::new(n * SECOND).unwrap()
}

/// Prices of these tests are whole units of the scale.
fn price(raw: i64) -> f64 {
    Scale::PRICE.to_f64(raw)
}

fn rule(name: &str, when: String, fire: Fire, holds_for: i64) -> Rule {
    Rule { name: name.to_owned(), when, fire, holds_for, ..Rule::default() }
}

fn settings(rules: Vec<Rule>, enabled: bool) -> Arc<CoreSettings> {
    let thresholds = Thresholds { enabled, ..Thresholds::default() };
    let settings = CoreSettings {
        lateness: SECOND / 2,
        horizon: 10 * SECOND,
        widths: vec![seconds(1), seconds(5)],
        detection: Some(DetectionSettings {
            width: seconds(1),
            thresholds,
            rules: rules.into(),
            ..DetectionSettings::default()
        }),
        ..CoreSettings::default()
    };
    let set = &settings.detection.as_ref().unwrap().rules;
    assert_eq!(set.faults(&settings.widths, settings.rule_width()), []);
    Arc::new(settings)
}

/// A rule on closed bars, and what it says of a bar by its place among all of its width.
type Judged = (Rule, Width, fn(&[(Bar, IndicatorValues)], usize) -> Option<bool>);

fn judged() -> Vec<Judged> {
    let close_rule = |name: &str, when: String, held: i64| rule(name, when, Fire::BarClose, held * SECOND);
    vec![
        (close_rule("above", format!("price > {}", price(1_040)), 0), seconds(1), |bars, at| {
            Some(bars[at].0.close.0 > 1_040)
        }),
        (close_rule("held", format!("low < {} on 5s", price(1_000)), 10), seconds(5), |bars, at| {
            Some(bars[at].0.low.0 < 1_000)
        }),
        (close_rule("volume", "volume > 1.5 * avg(volume, 4)".to_owned(), 0), seconds(1), |bars, at| {
            let first = (at + 1).checked_sub(4)?;
            // In the numbers that rules see, since one that is just at the limit may be rounded to either side.
            let volume = |at: usize| Scale::SIZE.wide_to_f64(bars[at].0.volume);
            let mean = (first..=at).map(volume).sum::<f64>() / 4.0;
            Some(volume(at) > 1.5 * mean)
        }),
        (close_rule("rsi", "rsi_14 < 45 or rsi_14 > 55".to_owned(), 0), seconds(1), |bars, at| {
            let moved = bars[..=at].iter().any(|(bar, _)| bar.close != bars[0].0.close);
            let rsi = bars[at].1.rsi_14.filter(|_| moved)?;
            Some(!(45.0..=55.0).contains(&rsi))
        }),
        (close_rule("change", "not pct_change(5s) < 2".to_owned(), 0), seconds(1), |bars, at| {
            let start = bars[at].0.start;
            let before = bars[..at].iter().rev().find(|(bar, _)| bar.start.0 + 5 * SECOND <= start.0)?;
            let (now, before) = (price(bars[at].0.close.0), price(before.0.close.0));
            Some((now - before) / before * 100.0 >= 2.0)
        }),
    ]
}

type All = BTreeMap<(String, Nanos), AnomalyState>;

fn of_rules(effects: &[Detected]) -> Vec<Detected> {
    effects.iter().filter(|one| one.finding.kind.rule().is_some()).copied().collect()
}

fn last_said(effects: &[Detected]) -> All {
    let mut all = All::new();
    for Detected { finding, state, .. } in of_rules(effects) {
        let key = (finding.kind.rule().unwrap().to_owned(), finding.time);
        if state == AnomalyState::Withdrawn {
            assert!(all.remove(&key).is_some(), "{key:?} is withdrawn, and was not there");
        } else {
            all.insert(key, state);
        }
    }
    all
}

/// One look over the final bars.
fn oracle(outcome: &Outcome) -> All {
    let mut all = All::new();
    for (rule, width, holds) in judged() {
        let own = outcome.bars.iter().filter(|((known, _), _)| *known == width);
        let bars: Vec<_> = own.map(|(window, bar)| (*bar, outcome.indicators[window].values)).collect();
        let (mut since, mut open): (Option<Nanos>, Option<Nanos>) = (None, None);
        for at in 0..bars.len() {
            let end = bars[at].0.end();
            match holds(&bars, at) {
                None => {}
                Some(false) => {
                    if let Some(began) = open.take() {
                        all.insert((rule.name.clone(), began), AnomalyState::Ended);
                    }
                    since = None;
                }
                Some(true) => {
                    let held = end.since(*since.get_or_insert(end));
                    if open.is_none() && held >= rule.holds_for {
                        open = Some(end);
                        all.insert((rule.name.clone(), end), AnomalyState::Active);
                    }
                }
            }
        }
    }
    all
}

fn traded() -> Vec<Rule> {
    vec![
        rule("tick", format!("price > {}", price(1_040)), Fire::Tick, 0),
        rule("mean", "price > avg(close, 3) or price < sma_20 on 1s".to_owned(), Fire::Tick, SECOND),
        rule("bar", format!("high > {} on 5s", price(1_050)), Fire::Bar, 0),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn what_rules_find_on_closed_bars_follows_from_the_final_ones(made in made()) {
        let rules = judged().into_iter().map(|(rule, ..)| rule).collect();
        let effects = run(&log(history(&made).0), &settings(rules, true))?;
        prop_assert_eq!(last_said(&detected(&effects)), oracle(&outcome_of(&effects)));
    }

    #[test]
    fn batches_checkpoints_and_detectors_change_nothing_that_rules_find(
        made in made(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let rules: Vec<Rule> = judged().into_iter().map(|(rule, ..)| rule).chain(traded()).collect();
        let settings = |enabled| settings(rules.clone(), enabled);
        let entries = log(history(&made).0);
        let expected = run(&entries, &settings(true))?;
        let mut borders: Vec<usize> = cuts.iter().map(|cut| cut.index(entries.len())).collect();
        borders.extend([0, entries.len()]);
        borders.sort_unstable();
        let (mut state, mut effects) = (core(&settings(true)), Vec::new());
        for range in borders.windows(2) {
            state.apply(&entries[range[0]..range[1]], &mut effects);
            state = SymbolState::decode(&state.encode(), settings(true), names()).unwrap();
        }
        state.finish(&mut effects);
        prop_assert_eq!(&effects, &expected);
        let alone = run(&entries, &settings(false))?;
        let without_seq = |effects: &[Detected]| -> Vec<Detected> {
            of_rules(effects).into_iter().map(|one| Detected { seq: 0, ..one }).collect()
        };
        prop_assert_eq!(without_seq(&detected(&alone)), without_seq(&detected(&expected)));
        prop_assert_eq!(outcome_of(&alone).digest(), outcome_of(&expected).digest());
    }
}

fn apply(rules: Vec<Rule>, bodies: &[Body]) -> Vec<Detected> {
    let mut effects = Vec::new();
    core(&settings(rules, false)).apply(&log(bodies.iter().copied()), &mut effects);
    detected(&effects)
}

fn said(found: &[Detected]) -> Vec<(AnomalyState, u32, u64)> {
    found.iter().map(|one| (one.state, one.revision, one.log_pos)).collect()
}

#[test]
fn a_trade_that_fires_is_the_evidence_and_its_cancel_withdraws_it() {
    let rules = || vec![rule("over", format!("price > {}", price(1_040)), Fire::Tick, 0)];
    let one = |id, tenths, price| Body::Trade(trade(id, tenths, price, 1, b"hcv"));
    let bodies = [one(1, 0, 1_000), one(2, 1, 1_050), one(3, 2, 1_060), cancel(3, 2), cancel(2, 1)];
    let found = apply(rules(), &bodies);
    assert_eq!(said(&found), [(AnomalyState::Active, 0, 2), (AnomalyState::Withdrawn, 1, 5)]);
    let spec = SymbolSpec::named("TEST");
    let anomaly = found[0].anomaly(&spec);
    assert_eq!(anomaly.id, format!("TEST/rule/over/1s/{}", START.plus(SECOND / 10).0));
    assert_eq!((anomaly.anomaly_type.as_str(), anomaly.metadata["rule"].as_str()), ("rule", Some("over")));
    assert_eq!((anomaly.current_value, anomaly.threshold), (Some(price(1_050)), Some(price(1_040))));
    assert_eq!(anomaly.expected_value, None);
    assert_eq!(
        (anomaly.metadata["trade_id"].as_str(), anomaly.metadata["log_pos"].as_str()),
        (Some("2"), Some("2"))
    );
    assert_eq!(anomaly.description, "rule over: 0.000001 is above 0.000001");

    let late = [one(1, 5, 1_000), one(2, 1, 1_050)];
    assert_eq!(apply(rules(), &late), [], "it does not set the price");
    let moot = [Body::Trade(trade(1, 0, 1_050, 1, b"v")), Body::Trade(trade(2, 1, 1_050, 1, b"h"))];
    assert_eq!(apply(rules(), &moot), [], "neither does what counts for the volume or the extremes alone");
    let close_only = [Body::Trade(trade(1, 0, 1_050, 1, b"c"))];
    assert_eq!(apply(rules(), &close_only).len(), 1, "what counts for the close alone does");
}

#[test]
fn a_correction_at_the_same_moment_is_said_once() {
    let rules = || vec![rule("over", format!("price > {}", price(1_040)), Fire::Tick, 0)];
    let corrected = |price: i64| {
        let first = trade(1, 1, 1_050, 1, b"hcv");
        let other = Trade { id: TradeId::number(2), price: Price(price), ..first };
        [Body::Trade(first), Body::Correction(Correction { target: first.id, trade: other })]
    };
    let found = apply(rules(), &corrected(1_100));
    assert_eq!(said(&found), [(AnomalyState::Active, 0, 1), (AnomalyState::Active, 1, 2)]);
    assert_eq!(found[1].finding.value, price(1_100));
    let gone = apply(rules(), &corrected(1_000));
    assert_eq!(said(&gone), [(AnomalyState::Active, 0, 1), (AnomalyState::Withdrawn, 1, 2)]);
}

#[test]
fn one_moment_has_one_anomaly_of_a_rule() {
    let rules = || vec![rule("over", format!("price > {}", price(1_040)), Fire::Tick, 0)];
    let one = |id, price| Body::Trade(trade(id, 1, price, 1, b"hcv"));
    let (active, ended) = (AnomalyState::Active, AnomalyState::Ended);
    let to_and_fro = [one(1, 1_050), one(2, 1_000), one(3, 1_060), cancel(1, 1)];
    let found = apply(rules(), &to_and_fro);
    let expected = [(active, 0, 1), (ended, 1, 2), (active, 2, 3), (AnomalyState::Withdrawn, 3, 4)];
    assert_eq!(said(&found), expected, "the trade that began it is the evidence");
    assert!(found.iter().all(|one| one.finding.value == price(1_050)));

    let found = apply(rules(), &[one(1, 1_050), cancel(1, 1), one(2, 1_060), one(3, 1_000)]);
    assert_eq!(
        said(&found),
        [(active, 0, 1), (AnomalyState::Withdrawn, 1, 2), (active, 2, 3), (ended, 3, 4)]
    );
    assert_eq!(found[2].finding.value, price(1_060));
}

#[test]
fn a_rule_is_about_its_symbols() {
    let other =
        Rule { symbols: vec!["OTHER".to_owned()], ..rule("x", "price > 0".to_owned(), Fire::Tick, 0) };
    let own = Rule { symbols: vec!["TEST".to_owned()], name: "own".to_owned(), ..other.clone() };
    let found = apply(vec![other, own], &[Body::Trade(trade(1, 0, 1_000, 1, b"hcv"))]);
    assert_eq!(found.iter().map(|one| one.finding.kind.rule()).collect::<Vec<_>>(), [Some("own")]);
    assert!(matches!(found[0].finding.kind, AnomalyKind::Rule(_)));
}

#[test]
fn a_rule_that_is_gone_after_a_restart_ends_what_was_active_and_the_others_go_on() {
    let rules = vec![
        rule("gone", "price > 0".to_owned(), Fire::BarClose, 0),
        rule("tick", "price > 0".to_owned(), Fire::Tick, 0),
        rule("stays", "price > 0".to_owned(), Fire::BarClose, 0),
    ];
    let bodies = [
        Body::Trade(trade(1, 0, 1_000, 1, b"hcv")),
        mark(20),
        Body::Trade(trade(2, 30, 1_000, 1, b"hcv")),
        mark(50),
    ];
    let entries = log(bodies);
    let mut state = core(&settings(rules.clone(), true));
    let mut effects = Vec::new();
    state.apply(&entries[..2], &mut effects);
    assert_eq!(of_rules(&detected(&effects)).len(), 3);
    let rest = settings(rules[2..].to_vec(), true);
    let mut state = SymbolState::decode(&state.encode(), rest, names()).unwrap();
    let mut effects = Vec::new();
    state.apply(&entries[2..], &mut effects);
    let found = detected(&effects);
    let states: Vec<_> =
        found.iter().map(|one| (one.finding.kind.rule().unwrap(), one.state, one.seq)).collect();
    let ended = AnomalyState::Ended;
    assert_eq!(states, [("gone", ended, 4), ("tick", ended, 5)], "`stays` goes on");
}

#[test]
fn a_checkpoint_of_before_is_read_and_rules_begin_anew() {
    let with = settings(vec![rule("over", "price > 0".to_owned(), Fire::BarClose, 0)], true);
    let without = settings(Vec::new(), true);
    let mut plain = core(&without);
    plain.apply(&log([Body::Trade(trade(1, 0, 1_000, 1, b"hcv"))]), &mut Vec::new());
    let mut before = plain.encode();
    // Version 5 had the same body but for the last parts: what rules found, what is looked for, and how many anomalies there
    // were before. Here it is nothing, one byte each.
    before.truncate(before.len() - 3);
    before[4..6].copy_from_slice(&5_u16.to_le_bytes());
    let checksum = crc32fast::hash(&before[18..]);
    before[14..18].copy_from_slice(&checksum.to_le_bytes());
    let mut read = SymbolState::decode(&before, with, names()).unwrap();
    let mut effects = Vec::new();
    read.apply(&log([mark(0), mark(20)]), &mut effects);
    assert_eq!(detected(&effects).len(), 1, "the bar that was open then");
}
