//! Detection beside an oracle that is slow and obvious: whatever the order, repeats, cancels and corrections by which
//! trades came about, what is known at the end of anomalies is what one look over the final trades finds.
//!
//! The oracle keeps the trades that stand, sorts them, makes bars of them and judges one after the other; it takes the RSI from
//! the core's indicators, which have an oracle of their own.

use crate::support::outcome::{Outcome, SYMBOL, core, log, names};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tickwire::models::anomaly::{AnomalyState, Severity};
use tickwire::models::detection::document::Document;
use tickwire::models::detection::settings::{
    DetectionSettings, Method, PriceThreshold, Thresholds, VolumeThreshold,
};
use tickwire::models::detection::statement::{self, Statement};
use tickwire::models::detection::{AnomalyKind, Detected};
use tickwire::models::effect::Effect;
use tickwire::models::entry::{Body, Cancel, Correction, Entry, SourceId, Trade, TradeId, Updates};
use tickwire::models::num::{Price, Size};
use tickwire::models::settings::CoreSettings;
use tickwire::models::state::SymbolState;
use tickwire::models::symbol::SymbolId;
use tickwire::models::time::{DAY, Nanos, SECOND, Width};

pub const START: Nanos = Nanos(16_000 * DAY);
const A: SourceId = SourceId(0);
/// Bars of a baseline: few, so that short histories have many.
const BARS: usize = 3;
/// How far entries may be out of order: less than the horizon, so nothing is late.
const DISORDER: i64 = 8 * SECOND;

fn seconds(n: i64) -> Width {
    Width::new(n * SECOND).unwrap()
}

fn settings(width: i64, method: Method) -> Arc<CoreSettings> {
    let by_default = Thresholds::default();
    let thresholds = Thresholds {
        price: PriceThreshold { bars: BARS, method, ..by_default.price },
        volume: VolumeThreshold { bars: BARS, method, factor: 1.5 },
        ..by_default
    };
    let detection = DetectionSettings { width: seconds(width), thresholds, ..DetectionSettings::default() };
    Arc::new(CoreSettings {
        lateness: SECOND / 2,
        horizon: 10 * SECOND,
        widths: vec![seconds(1), seconds(5)],
        detection: Some(detection),
        ..CoreSettings::default()
    })
}

pub fn trade(id: u64, tenths: i64, price: i64, size: i64, updates: &[u8]) -> Trade {
    Trade {
        ts: START.plus(tenths * SECOND / 10),
        received: Nanos::MIN,
        price: Price(price),
        size: Size(size),
        seq: 0,
        id: TradeId::number(id),
        source: A,
        updates: Updates::parse(updates).unwrap(),
    }
}

pub fn cancel(target: u64, tenths: i64) -> Body {
    let ts = START.plus(tenths * SECOND / 10);
    Body::Cancel(Cancel { ts, received: Nanos::MIN, target: TradeId::number(target), source: A })
}

pub fn mark(tenths: i64) -> Body {
    Body::ClockMark { source: SourceId::ANY, time: START.plus(tenths * SECOND / 10) }
}

/// What is known of an anomaly at the end.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Known {
    value: f64,
    expected: f64,
    severity: Severity,
    state: AnomalyState,
}

type All = BTreeMap<(AnomalyKind, Nanos), Known>;

pub fn detected(effects: &[Effect]) -> Vec<Detected> {
    let anomaly = |effect: &Effect| if let Effect::Anomaly(anomaly) = effect { Some(*anomaly) } else { None };
    effects.iter().filter_map(anomaly).collect()
}

/// What was said last of each anomaly that was not withdrawn.
fn last_said(effects: &[Effect]) -> All {
    let mut all = All::new();
    for Detected { finding, state, .. } in detected(effects) {
        let key = (finding.kind, finding.time);
        let (value, expected, severity) = (finding.value, finding.expected, finding.severity);
        if state == AnomalyState::Withdrawn {
            assert!(all.remove(&key).is_some(), "{key:?} is withdrawn, and was not there");
        } else {
            all.insert(key, Known { value, expected, severity, state });
        }
    }
    all
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
}

fn severity_of(times: f64) -> Severity {
    let over = [1.5, 2.0, 3.0].iter().filter(|least| times >= **least).count();
    Severity::ALL[over]
}

/// Baseline and limit of prices: how far from it is unusual.
fn price_limit(closes: &[i64], method: Method) -> (f64, f64) {
    let closes: Vec<f64> = closes.iter().map(|close| *close as f64).collect();
    if method == Method::Mean {
        let mean = closes.iter().sum::<f64>() / closes.len() as f64;
        return (mean, mean * 0.05);
    }
    let middle = median(closes.clone());
    let spread = median(closes.iter().map(|close| (close - middle).abs()).collect());
    (middle, (middle * 0.05).max(4.0 * (1.4826 * spread)))
}

fn volume_limit(volumes: &[i64], method: Method) -> (f64, f64) {
    let volumes: Vec<f64> = volumes.iter().map(|volume| *volume as f64).collect();
    if method == Method::Mean {
        let mean = volumes.iter().sum::<f64>() / volumes.len() as f64;
        return (mean, mean * 1.5);
    }
    let middle = median(volumes.clone());
    let factor = median(volumes.iter().map(|v| (v / middle).max(middle / v)).collect()).max(1.5);
    let power = factor * factor * factor * factor * factor * factor;
    (middle, middle * (1.5 * power))
}

/// The trades of windows of a width, in order.
fn windows(trades: &[Trade], width: Width) -> BTreeMap<Nanos, Vec<Trade>> {
    let mut windows: BTreeMap<Nanos, Vec<Trade>> = BTreeMap::new();
    for trade in trades {
        windows.entry(width.start_of(trade.ts)).or_default().push(*trade);
    }
    windows.values_mut().for_each(|trades| trades.sort_by_key(|trade| (trade.ts, trade.id)));
    windows
}

fn close_of(trades: &[Trade]) -> Option<i64> {
    trades.iter().rev().find(|trade| trade.updates.open_close()).map(|trade| trade.price.0)
}

/// One look over the final trades.
fn oracle(trades: &[Trade], outcome: &Outcome, width: Width, method: Method) -> All {
    let mut all = All::new();
    let bars: Vec<(Nanos, i64, i64)> = windows(trades, width)
        .into_iter()
        .filter_map(|(start, trades)| {
            let sizes = trades.iter().filter(|trade| trade.updates.volume());
            Some((start, close_of(&trades)?, sizes.map(|trade| trade.size.0).sum()))
        })
        .collect();
    let mut was_spike = false;
    let mut excursion: Option<(AnomalyKind, Nanos)> = None;
    for (at, (start, _, volume)) in bars.iter().enumerate() {
        let end = start.plus(width.nanos());
        let limit = at.checked_sub(BARS).map(|first| {
            volume_limit(&bars[first..at].iter().map(|(.., volume)| *volume).collect::<Vec<_>>(), method)
        });
        let spike = limit.filter(|(expected, limit)| *expected > 0.0 && *volume as f64 > *limit);
        if let Some((expected, limit)) = spike.filter(|_| !was_spike) {
            let value = *volume as f64;
            let severity = severity_of(value / limit);
            all.insert(
                (AnomalyKind::Volume, end),
                Known { value, expected, severity, state: AnomalyState::Active },
            );
        }
        was_spike = spike.is_some();
        // Of prices that have never moved it is 0 by convention.
        let has_moved = bars[..=at].iter().any(|(_, close, _)| *close != bars[0].1);
        let rsi = outcome.indicators[&(width, *start)].values.rsi_14.filter(|_| has_moved);
        if let Some((kind, began)) = excursion {
            let goes_on = rsi.is_some_and(|rsi| match kind {
                AnomalyKind::Overbought => rsi >= 68.0,
                _ => rsi <= 32.0,
            });
            if !goes_on {
                all.get_mut(&(kind, began)).unwrap().state = AnomalyState::Ended;
                excursion = None;
            }
        }
        if let (None, Some(value)) = (excursion, rsi) {
            let kind = match value {
                _ if value > 70.0 => AnomalyKind::Overbought,
                _ if value < 30.0 => AnomalyKind::Oversold,
                _ => continue,
            };
            excursion = Some((kind, end));
            let severity = severity_of((value - 50.0).abs() / 20.0);
            let known = Known { value, expected: 50.0, severity, state: AnomalyState::Active };
            all.insert((kind, end), known);
        }
    }
    let mut beyond_before: Option<AnomalyKind> = None;
    for (start, trades) in windows(trades, seconds(1)) {
        let before: Vec<i64> = bars
            .iter()
            .filter(|(bar, ..)| bar.plus(width.nanos()) <= start)
            .map(|(_, close, _)| *close)
            .collect();
        let limits = before.len().checked_sub(BARS).map(|first| price_limit(&before[first..], method));
        let side = |price: i64| {
            let (expected, distance) = limits?;
            match price as f64 {
                price if price > expected + distance => Some(AnomalyKind::PriceAbove),
                price if price < expected - distance => Some(AnomalyKind::PriceBelow),
                _ => None,
            }
        };
        for kind in [AnomalyKind::PriceAbove, AnomalyKind::PriceBelow] {
            let first = trades
                .iter()
                .find(|trade| trade.updates.high_low() && side(trade.price.0) == Some(kind))
                .filter(|_| beyond_before != Some(kind));
            if let (Some(trade), Some((expected, distance))) = (first, limits) {
                let value = trade.price.0 as f64;
                let severity = severity_of((value - expected).abs() / distance);
                let known = Known { value, expected, severity, state: AnomalyState::Active };
                all.insert((kind, trade.ts), known);
            }
        }
        if let Some(close) = close_of(&trades) {
            beyond_before = side(close);
        }
    }
    all
}

/// One step of a history: a trade, and what becomes of it.
#[derive(Clone, Debug)]
pub struct Made {
    tenths: i64,
    price: i64,
    size: i64,
    updates: &'static [u8],
    delay: i64,
    fate: u8,
}

pub fn made() -> impl Strategy<Value = Vec<Made>> {
    let price = prop_oneof![
        6 => 980_i64..1_020,
        1 => prop::sample::select(vec![880, 940, 1_060, 1_120, 1_500]),
        2 => 1_040_i64..1_080,
    ];
    let size = prop_oneof![5 => 1_i64..20, 1 => 30_i64..200];
    let updates = prop::sample::select(vec![&b"hcv"[..], b"hcv", b"hcv", b"hcv", b"hv", b"v", b"h"]);
    let delay = prop_oneof![2 => Just(0), 1 => 0..DISORDER / SECOND * 10];
    let one = (0_i64..700, price, size, updates, delay, 0_u8..12);
    prop::collection::vec(one, 30..160).prop_map(|all| {
        let made =
            |(tenths, price, size, updates, delay, fate)| Made { tenths, price, size, updates, delay, fate };
        all.into_iter().map(made).collect()
    })
}

/// Returns a history in the order of arrival, and the trades that stand at its end.
pub fn history(made: &[Made]) -> (Vec<Body>, Vec<Trade>) {
    let mut arriving: Vec<(i64, usize, Body)> = Vec::new();
    let mut standing = Vec::new();
    for (id, made) in (1_u64..).zip(made) {
        let one = trade(id, made.tenths, made.price, made.size, made.updates);
        let at = made.tenths + made.delay;
        let mut arrive = |at: i64, body| arriving.push((at, arriving.len(), body));
        arrive(at, Body::Trade(one));
        match made.fate {
            0 | 1 => arrive(at + made.size % 10, cancel(id, made.tenths)),
            2 => {
                let other = Trade { id: TradeId::number(10_000 + id), price: Price(1_000), ..one };
                let target = TradeId::number(id);
                arrive(at + made.size % 10, Body::Correction(Correction { target, trade: other }));
                standing.push(other);
            }
            3 => {
                arrive(at + made.size % 10, Body::Trade(one));
                standing.push(one);
            }
            _ => standing.push(one),
        }
    }
    // The clock moves on as it would without the disorder.
    let end = made.iter().map(|made| made.tenths).max().unwrap_or(0);
    arriving.extend((0..=end / 10).map(|second| (second * 10, usize::MAX, mark(second * 10))));
    arriving.sort_by_key(|(at, nth, _)| (*at, *nth));
    (arriving.into_iter().map(|(.., body)| body).collect(), standing)
}

/// Applies entry by entry, and checks what holds of each effect.
pub fn run(entries: &[Entry], settings: &Arc<CoreSettings>) -> Result<Vec<Effect>, TestCaseError> {
    let mut state = core(settings);
    let (mut all, mut seq) = (Vec::new(), 0);
    for entry in entries {
        let mut effects = Vec::new();
        state.apply(&[*entry], &mut effects);
        let mut said = BTreeSet::new();
        for anomaly in detected(&effects) {
            seq += 1;
            prop_assert_eq!((anomaly.seq, anomaly.log_pos, anomaly.symbol), (seq, entry.pos, SYMBOL));
            let is_new = said.insert((anomaly.finding.kind, anomaly.finding.time));
            prop_assert!(is_new, "an entry says one thing of an anomaly: {:?}", anomaly);
        }
        all.extend(effects);
    }
    state.finish(&mut all);
    Ok(all)
}

pub fn outcome_of(effects: &[Effect]) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.extend(effects);
    outcome
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_is_known_at_the_end_follows_from_the_final_trades(
        made in made(),
        width in prop::sample::select(vec![1_i64, 5]),
        method in prop::sample::select(vec![Method::Mean, Method::Median]),
    ) {
        let settings = settings(width, method);
        let (bodies, standing) = history(&made);
        let effects = run(&log(bodies), &settings)?;
        let letters = effects.iter().filter(|effect| matches!(effect, Effect::DeadLetter(_))).count();
        prop_assert_eq!(letters, 0, "nothing is late");
        let expected = oracle(&standing, &outcome_of(&effects), seconds(width), method);
        prop_assert_eq!(last_said(&effects), expected);
    }

    #[test]
    fn batches_checkpoints_and_detection_itself_change_nothing(
        made in made(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        width in prop::sample::select(vec![1_i64, 5]),
    ) {
        let settings = settings(width, Method::Mean);
        let entries = log(history(&made).0);
        let expected = run(&entries, &settings)?;
        let mut borders: Vec<usize> = cuts.iter().map(|cut| cut.index(entries.len())).collect();
        borders.extend([0, entries.len()]);
        borders.sort_unstable();
        let (mut state, mut effects) = (core(&settings), Vec::new());
        for range in borders.windows(2) {
            state.apply(&entries[range[0]..range[1]], &mut effects);
            state = SymbolState::decode(&state.encode(), Arc::clone(&settings), names()).unwrap();
        }
        state.finish(&mut effects);
        prop_assert_eq!(&effects, &expected);
        let without = Arc::new(CoreSettings { detection: None, ..(*settings).clone() });
        let plain = run(&entries, &without)?;
        prop_assert_eq!(detected(&plain).len(), 0);
        prop_assert_eq!(outcome_of(&plain).digest(), outcome_of(&expected).digest());
    }
}

/// Says what is looked for from here on.
fn stated(settings: &DetectionSettings) -> Body {
    let document = Statement::of_config(settings).document().expect("short");
    Body::Detection { at: START, document }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_run_that_goes_on_from_any_checkpoint_finds_what_one_run_finds_under_changing_thresholds(
        made in made(),
        changes in prop::collection::vec(
            (any::<prop::sample::Index>(), 1.0..20.0_f64, 2_usize..6, prop::sample::select(vec![1_i64, 5]), any::<bool>()),
            1..4,
        ),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
    ) {
        let settings = settings(1, Method::Mean);
        let mut bodies = history(&made).0;
        for (at, percent, bars, width, enabled) in changes {
            let mut wanted = settings.detection.clone().expect("it is on");
            wanted.width = seconds(width);
            wanted.thresholds.enabled = enabled;
            wanted.thresholds.price = PriceThreshold { percent, bars, ..wanted.thresholds.price };
            wanted.thresholds.volume = VolumeThreshold { bars, ..wanted.thresholds.volume };
            bodies.insert(at.index(bodies.len() + 1), stated(&wanted));
        }
        let mut entries = log(bodies);
        for entry in entries.iter_mut().filter(|entry| entry.is_broadcast()) {
            entry.symbol = SymbolId::NONE;
        }
        let expected = run(&entries, &settings)?;
        let by_default = settings.detection.as_ref().expect("it is on");
        for one in detected(&expected) {
            let is_price = one.finding.kind.anomaly_type() == "price_spike";
            if !is_price || one.state == AnomalyState::Withdrawn { continue }
            let before = entries[..one.log_pos as usize].iter().rev();
            let document = before.filter_map(|entry| entry.body.looked_for()).next();
            let stated = document.map(|document| statement::read(document).expect("it is one"));
            let price = stated.as_ref().map_or(by_default, |stated| &stated.settings).thresholds.price;
            prop_assert_eq!((one.finding.threshold, usize::from(one.finding.bars)), (price.percent, price.bars));
        }
        // What the process is configured to look for is of no consequence from the first statement on.
        let first = entries.iter().position(|entry| entry.body.looked_for().is_some()).expect("one");
        let otherwise = CoreSettings { detection: None, ..(*settings).clone() };
        let (mut state, mut effects) = (core(&settings), Vec::new());
        let mut borders: Vec<usize> = cuts.iter().map(|cut| cut.index(entries.len())).collect();
        borders.extend([0, first + 1, entries.len()]);
        borders.sort_unstable();
        for range in borders.windows(2) {
            state.apply(&entries[range[0]..range[1]], &mut effects);
            let of = if range[1] > first { Arc::new(otherwise.clone()) } else { Arc::clone(&settings) };
            state = SymbolState::decode(&state.encode(), of, names()).unwrap();
        }
        state.finish(&mut effects);
        prop_assert_eq!(&effects, &expected);
    }
}

#[test]
fn a_threshold_holds_from_its_place_in_the_log_on() {
    let lower = |percent| {
        let mut settings = DetectionSettings::default();
        settings.thresholds.price.percent = percent;
        stated(&settings)
    };
    let spike = |id, tenths| Body::Trade(trade(id, NEXT + tenths, 1_030, 1, b"hcv"));
    let usual = |id, tenths| Body::Trade(trade(id, NEXT + tenths, 1_000, 1, b"hcv"));
    let found = |bodies: &[Body]| -> Vec<_> {
        after_quiet(&by_default(), bodies)
            .into_iter()
            .map(|one| (one.log_pos, one.finding.threshold))
            .collect()
    };
    assert_eq!(found(&[spike(100, 50), usual(101, 60)]), []);
    assert_eq!(found(&[spike(100, 50), usual(101, 60), lower(2.0), usual(102, 70)]), [], "it was usual then");
    assert_eq!(found(&[lower(2.0), spike(100, 50)]), [(22, 2.0)]);
    let again = [lower(2.0), spike(100, 50), usual(101, 60), lower(5.0), spike(102, 1_250)];
    assert_eq!(found(&again), [(22, 2.0)], "as it was before");
    let beyond_two = [lower(2.0), spike(100, 50), lower(5.0), spike(101, 40)];
    assert_eq!(found(&beyond_two), [(22, 2.0), (24, 2.0)], "another trade of its window: withdrawn");
    let narrower =
        [lower(2.0), spike(100, 50), lower(1.0), Body::Trade(trade(101, NEXT + 60, 985, 1, b"hcv"))];
    assert_eq!(found(&narrower), [(22, 2.0), (24, 1.0), (24, 1.0)], "by what holds, and the one before too");
    let unread = Body::Detection { at: START, document: Document::new("{}").expect("short") };
    assert_eq!(
        found(&[lower(2.0), unread, spike(100, 50)]),
        [(23, 2.0)],
        "what cannot be read changes nothing"
    );
}

#[test]
fn numbers_of_anomalies_go_on_where_nothing_was_looked_for_meanwhile() {
    let on = |enabled| {
        let mut settings = DetectionSettings::default();
        settings.thresholds.enabled = enabled;
        stated(&settings)
    };
    let quiet = |from: i64, id: u64| {
        (0..20).map(move |nth| Body::Trade(trade(id + nth as u64, from + nth * 600, 1_000, 10, b"hcv")))
    };
    let spike = |id, tenths| Body::Trade(trade(id, tenths, 1_100, 1, b"hcv"));
    let mut bodies: Vec<Body> = vec![spike(100, NEXT + 50), on(false), spike(101, NEXT + 1_250), on(true)];
    bodies.extend(quiet(NEXT + 2_400, 200));
    bodies.push(spike(300, NEXT + 2_400 + NEXT));
    let seqs: Vec<_> = after_quiet(&by_default(), &bodies)
        .into_iter()
        .filter(|one| one.state == AnomalyState::Active)
        .map(|one| (one.seq, one.finding.cause.trade))
        .collect();
    let [(first, one), (second, other)] = seqs[..] else { panic!("{seqs:?}") };
    assert_eq!([one, other], [100, 300].map(|id| Some(TradeId::number(id))));
    assert!(second > first, "{first} and {second}");
}

/// Price spikes after twenty minutes at 1,000.
fn after_quiet(settings: &Arc<CoreSettings>, bodies: &[Body]) -> Vec<Detected> {
    let quiet = (0..20).map(|nth| Body::Trade(trade(nth as u64 + 1, nth * 600, 1_000, 10, b"hcv")));
    let mut state = core(settings);
    let mut effects = Vec::new();
    state.apply(&log(quiet.chain(bodies.iter().copied())), &mut effects);
    let is_price = |one: &Detected| one.finding.kind.anomaly_type() == "price_spike";
    detected(&effects).into_iter().filter(is_price).collect()
}

fn by_default() -> Arc<CoreSettings> {
    Arc::new(CoreSettings { detection: Some(DetectionSettings::default()), ..CoreSettings::default() })
}

const NEXT: i64 = 20 * 600;

#[test]
fn a_trade_more_than_5_percent_off_is_a_price_spike_at_once() {
    let spike = |price| Body::Trade(trade(100, NEXT + 50, price, 1, b"hcv"));
    assert_eq!(after_quiet(&by_default(), &[spike(1_050)]), [], "5 % and no more");
    let [found] = after_quiet(&by_default(), &[spike(1_051)])[..] else { panic!("one") };
    assert_eq!(
        (found.finding.value, found.finding.expected, found.finding.threshold),
        (1_051.0, 1_000.0, 5.0)
    );
    assert_eq!((found.log_pos, found.finding.cause.pos), (21, 21), "the trade itself");
    assert_eq!(found.finding.cause.trade, Some(TradeId::number(100)));
    for (price, severity) in [(1_074, Severity::Low), (1_075, Severity::Medium), (900, Severity::High)] {
        let [found] = after_quiet(&by_default(), &[spike(price)])[..] else { panic!("one") };
        assert_eq!(found.finding.severity, severity, "{price}");
    }
    let spec = tickwire::models::symbol::SymbolSpec::named("TEST");
    let anomaly = found.anomaly(&spec);
    assert_eq!(anomaly.id, format!("TEST/price_spike_up/1min/{}", START.plus((NEXT + 50) * SECOND / 10).0));
    assert_eq!(anomaly.description, "5.1 % above the mean of 20 closes");
    assert_eq!(
        (anomaly.metadata["trade_id"].as_str(), anomaly.metadata["log_pos"].as_str()),
        (Some("100"), Some("21"))
    );
}

#[test]
fn one_excursion_is_one_anomaly_and_is_withdrawn_with_the_trade_that_showed_it() {
    let spike = |id, tenths, price| Body::Trade(trade(id, NEXT + tenths, price, 1, b"hcv"));
    let high = [spike(100, 50, 1_100), spike(101, 60, 1_110), spike(102, 650, 1_120), spike(103, 660, 1_000)];
    assert_eq!(after_quiet(&by_default(), &high).len(), 1);
    let again = [high.as_slice(), &[spike(104, 1_250, 1_120)]].concat();
    assert_eq!(after_quiet(&by_default(), &again).len(), 2, "it was over in between");
    let alone = [spike(100, 50, 1_100), cancel(100, NEXT + 70)];
    let found = after_quiet(&by_default(), &alone);
    let states: Vec<_> = found.iter().map(|one| (one.state, one.revision, one.log_pos)).collect();
    assert_eq!(states, [(AnomalyState::Active, 0, 21), (AnomalyState::Withdrawn, 1, 22)]);
    assert_eq!(found[0].finding, found[1].finding, "it names the first");
}

#[test]
fn a_checkpoint_of_before_is_read_and_detection_begins_anew() {
    let settings = by_default();
    let mut state = core(&settings);
    let entries = log((0..30).map(|nth| Body::Trade(trade(nth as u64 + 1, nth * 600, 1_000, 10, b"hcv"))));
    let without = Arc::new(CoreSettings { detection: None, ..(*settings).clone() });
    let mut plain = core(&without);
    plain.apply(&entries, &mut Vec::new());
    let mut before = plain.encode();
    // Version 4 had the same body but for the last parts: what detectors and rules found, what is looked for, and how many
    // anomalies there were before. Here it is nothing, one byte each.
    before.truncate(before.len() - 4);
    before[4..6].copy_from_slice(&4_u16.to_le_bytes());
    let checksum = crc32fast::hash(&before[18..]);
    before[14..18].copy_from_slice(&checksum.to_le_bytes());
    let read = SymbolState::decode(&before, Arc::clone(&settings), names()).unwrap();
    assert_eq!((read.pos(), read.num_accepted()), (30, 30));
    state.apply(&entries, &mut Vec::new());
    assert_ne!(read.encode(), state.encode(), "it has yet to see twenty bars");
}

#[test]
fn a_market_that_stands_still_is_neither_overbought_nor_oversold() {
    let mut state = core(&by_default());
    let still = (0..60).map(|nth| Body::Trade(trade(nth as u64 + 1, nth * 600, 1_000, 10, b"hcv")));
    let rising = (60..90).map(|nth| Body::Trade(trade(nth as u64 + 1, nth * 600, 941 + nth, 10, b"hcv")));
    let falling = (90..99).map(|nth| Body::Trade(trade(nth as u64 + 1, nth * 600, 1_119 - nth, 10, b"hcv")));
    let entries = log(still.chain(rising).chain(falling));
    let mut effects = Vec::new();
    state.apply(&entries[..60], &mut effects);
    assert_eq!(detected(&effects), []);
    state.apply(&entries[60..90], &mut effects);
    let said: Vec<_> = detected(&effects).into_iter().map(|one| (one.finding.kind, one.state)).collect();
    assert_eq!(said, [(AnomalyKind::Overbought, AnomalyState::Active)], "once, however long it rises");
    state.apply(&entries[90..], &mut effects);
    let [first, second] = detected(&effects)[..] else { panic!("it is over") };
    assert_eq!((second.state, second.revision, second.finding), (AnomalyState::Ended, 1, first.finding));
}
