//! What holds for the judges, whatever was done to them.

use super::{BarJudge, Fire, ReadRule, Row, Rule, RuledBar, Tick, TickJudge};
use crate::models::anomaly::AnomalyState;
use crate::models::bar::{BarOrigin, Figures, SourceRank, TradeOrder};
use crate::models::detection::Publisher;
use crate::models::effect::Effect;
use crate::models::entry::{Position, TradeId};
use crate::models::indicators::IndicatorValues;
use crate::models::num::Price;
use crate::models::symbol::{SymbolId, SymbolSpec};
use crate::models::time::{MINUTE, Nanos, Width};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Closes by the number of the minute.
type Closes = BTreeMap<i64, i64>;
/// What is known of anomalies in the end: by rule and time, value, threshold and state.
type Known = BTreeMap<(String, i64), (f64, f64, AnomalyState)>;

fn rule(name: &str, when: &str, minutes: i64, fire: Fire) -> Arc<ReadRule> {
    let rule = Rule {
        name: name.to_owned(),
        when: when.to_owned(),
        holds_for: minutes * MINUTE,
        fire,
        ..Rule::default()
    };
    Arc::new(rule.read(&[Width::MINUTE], Width::MINUTE).unwrap_or_else(|faults| panic!("{faults:?}")))
}

fn rules() -> Vec<Arc<ReadRule>> {
    let close = Fire::BarClose;
    vec![
        rule("above", "close > 5", 0, close),
        rule("held", "close > 3", 2, close),
        rule("mean", "close > avg(close, 3) + 1", 0, close),
        rule("before", "prev(close, 2) < close and not close == 7", 0, close),
        rule("change", "pct_change(3min) > 40", 0, close),
        rule("indicator", "sma_20 > 5 or close < 2", 0, close),
    ]
}

/// The mean of the two closes up to a bar stands for an indicator.
fn row(closes: &Closes, minute: i64) -> Row {
    let spec = SymbolSpec::named("A");
    let price = |close: i64| Price(close * spec.price_scale.factor());
    let newest: Vec<i64> = closes.range(..=minute).rev().take(2).map(|(_, close)| *close).collect();
    let mean = (newest.len() == 2).then(|| newest.iter().sum::<i64>() as f64 / 2.0);
    let close = price(closes[&minute]);
    let figures =
        Figures { ohlc: [close; 4], volume: 1, vwap: None, trade_count: 1, origin: BarOrigin::Trades };
    Row::new(&figures, Some(&IndicatorValues { sma_20: mean, ..IndicatorValues::default() }), &spec)
}

/// A judge, and what it published.
struct World {
    judge: BarJudge,
    known: Known,
    seq: u64,
    pos: Position,
}

impl World {
    fn new() -> World {
        let mut judge = BarJudge::new(Width::MINUTE);
        judge.begin(rules(), &[]);
        World { judge, known: Known::new(), seq: 0, pos: 0 }
    }

    fn judge(&mut self, closes: &Closes) -> Result<(), TestCaseError> {
        let mut effects = Vec::new();
        self.pos += 1;
        let (seq, pos) = (&mut self.seq, self.pos);
        let mut publisher =
            Publisher { symbol: SymbolId(0), width: Width::MINUTE, pos, seq, effects: &mut effects };
        self.judge.judge(|start| Some(row(closes, start.0 / MINUTE)), &mut publisher);
        let mut times = std::collections::BTreeSet::new();
        for said in said(&effects) {
            prop_assert!(times.insert(said.0.clone()), "twice in one entry: {said:?}");
            self.known.insert(said.0, said.1);
        }
        Ok(())
    }

    fn upsert(&mut self, closes: &Closes, minute: i64) {
        let bar = RuledBar { pos: self.pos + 1, revision: 0 };
        self.judge.upsert(Nanos(minute * MINUTE), &row(closes, minute), bar);
    }

    /// Returns what stands.
    fn standing(&self) -> Known {
        let standing = self.known.iter().filter(|(_, (.., state))| *state != AnomalyState::Withdrawn);
        standing.map(|(key, value)| (key.clone(), *value)).collect()
    }
}

/// One thing that was published, as [`Known`] has it.
type Said = ((String, i64), (f64, f64, AnomalyState));

fn said(effects: &[Effect]) -> Vec<Said> {
    let of = |effect: &Effect| match effect {
        Effect::Anomaly(said) => {
            let finding = said.finding;
            let rule = finding.kind.rule().expect("of a rule").to_owned();
            ((rule, finding.time.0), (finding.value, finding.threshold, said.state))
        }
        other => panic!("{other:?}"),
    };
    effects.iter().map(of).collect()
}

/// What stands after one pass over bars.
fn one_pass(closes: &Closes) -> Result<Known, TestCaseError> {
    let mut world = World::new();
    let mut before = Closes::new();
    for (minute, close) in closes {
        before.insert(*minute, *close);
        world.upsert(&before, *minute);
        world.judge(&before)?;
    }
    Ok(world.standing())
}

#[derive(Clone, Debug)]
enum Action {
    Append { gap: i64, close: i64 },
    Upsert { slot: i64, close: i64 },
    Remove { slot: i64 },
    Seal { minutes: i64 },
    Restart,
}

fn action() -> impl Strategy<Value = Action> {
    let close = 1_i64..9;
    prop_oneof![
        5 => (1_i64..3, close.clone()).prop_map(|(gap, close)| Action::Append { gap, close }),
        4 => (0_i64..12, close).prop_map(|(slot, close)| Action::Upsert { slot, close }),
        2 => (0_i64..12).prop_map(|slot| Action::Remove { slot }),
        1 => (0_i64..8).prop_map(|minutes| Action::Seal { minutes }),
        1 => Just(Action::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_amendments_ends_in_what_one_pass_finds(actions in prop::collection::vec(action(), 0..80)) {
        let (mut world, mut closes, mut frontier) = (World::new(), Closes::new(), 0);
        for action in actions {
            match action {
                Action::Append { gap, close } => {
                    let minute = closes.keys().next_back().map_or(frontier, |newest| frontier.max(newest + gap));
                    closes.insert(minute, close);
                    world.upsert(&closes, minute);
                }
                Action::Upsert { slot, close } => {
                    closes.insert(frontier + slot, close);
                    world.upsert(&closes, frontier + slot);
                }
                Action::Remove { slot } => {
                    closes.remove(&(frontier + slot));
                    world.judge.remove(Nanos((frontier + slot) * MINUTE));
                }
                Action::Seal { minutes } => {
                    frontier += minutes;
                    world.judge.seal(Nanos(frontier * MINUTE));
                }
                Action::Restart => {
                    let bytes = postcard::to_stdvec(&world.judge).expect("plain data");
                    world.judge = postcard::from_bytes(&bytes).expect("as it was written");
                    prop_assert!(world.judge.begin(rules(), &[]).is_empty());
                }
            }
            world.judge(&closes)?;
        }
        prop_assert_eq!(world.standing(), one_pass(&closes)?);
    }
}

#[test]
fn a_rule_fires_once_it_held_long_enough_and_ends() {
    let closes: Closes =
        [1, 4, 4, 4, 6, 6, 2, 4, 4].into_iter().enumerate().map(|(at, close)| (at as i64, close)).collect();
    let known = one_pass(&closes).expect("nothing twice");
    let of = |name: &str| {
        let own = known.iter().filter(|((rule, _), _)| rule == name);
        own.map(|((_, time), (value, threshold, state))| (time / MINUTE, *value, *threshold, *state))
            .collect::<Vec<_>>()
    };
    assert_eq!(of("above"), [(5, 6.0, 5.0, AnomalyState::Ended)], "at the end of the window of minute 4");
    assert_eq!(of("held"), [(4, 4.0, 3.0, AnomalyState::Ended)], "two minutes after the end of minute 1");
    assert_eq!(of("indicator")[0], (1, 1.0, 2.0, AnomalyState::Ended), "the indicator is not known yet");
}

#[test]
fn a_rule_that_is_new_says_nothing_of_bars_before_it_and_one_that_is_gone_leaves_what_is_active() {
    let mut world = World::new();
    let mut closes = Closes::from([(0, 9), (1, 9)]);
    let (old, new) =
        (rule("old", "close > 1", 0, Fire::BarClose), rule("new", "close > 2", 0, Fire::BarClose));
    assert!(world.judge.begin(vec![Arc::clone(&old)], &[]).is_empty());
    for minute in 0..2 {
        world.upsert(&closes, minute);
    }
    world.judge(&closes).expect("nothing twice");
    assert_eq!(world.standing().len(), 1);
    let left = world.judge.begin(vec![new], &[]);
    assert_eq!(left.len(), 1, "the excursion of the old one");
    closes.insert(1, 8);
    world.upsert(&closes, 1);
    world.judge(&closes).expect("nothing twice");
    assert_eq!(world.standing().len(), 1, "an amended bar from before the rule");
    closes.insert(2, 8);
    world.upsert(&closes, 2);
    world.judge(&closes).expect("nothing twice");
    assert!(world.standing().contains_key(&("new".to_owned(), 3 * MINUTE)));
}

/// Judges prices of trades, one a second; returns what was published of each.
struct Ticks {
    judge: TickJudge,
    bars: BarJudge,
    seq: u64,
    pos: Position,
}

impl Ticks {
    fn new(rules: Vec<Arc<ReadRule>>) -> Ticks {
        let mut bars = BarJudge::new(Width::MINUTE);
        bars.begin(Vec::new(), &rules);
        let mut judge = TickJudge::default();
        judge.begin(rules);
        Ticks { judge, bars, seq: 0, pos: 0 }
    }

    fn order(second: i64) -> TradeOrder {
        let id = TradeId::number(second.unsigned_abs());
        TradeOrder { ts: Nanos(second * 1_000_000_000), seq: 0, id, source: SourceRank(0) }
    }

    fn with(
        &mut self,
        act: impl FnOnce(&mut TickJudge, &BarJudge, &mut Publisher<'_>),
    ) -> Vec<(i64, AnomalyState)> {
        let mut effects = Vec::new();
        self.pos += 1;
        let (seq, pos) = (&mut self.seq, self.pos);
        let mut publisher =
            Publisher { symbol: SymbolId(0), width: Width::MINUTE, pos, seq, effects: &mut effects };
        act(&mut self.judge, &self.bars, &mut publisher);
        said(&effects).into_iter().map(|((_, time), (.., state))| (time / 1_000_000_000, state)).collect()
    }

    fn trade(&mut self, second: i64, price: i64) -> Vec<(i64, AnomalyState)> {
        let start = Nanos(second / 60 * MINUTE);
        let row = row(&Closes::from([(second / 60, price)]), second / 60);
        let tick = Tick { order: Ticks::order(second), start, row: &row };
        self.with(|judge, bars, publisher| judge.judge(bars.samples(), &tick, publisher))
    }

    fn cancel(&mut self, second: i64) -> Vec<(i64, AnomalyState)> {
        self.with(|judge, _, publisher| {
            judge.withdraw(Ticks::order(second));
            judge.settle(publisher);
        })
    }
}

#[test]
fn a_trade_fires_once_an_excursion_and_is_withdrawn_when_it_is_cancelled() {
    let (active, ended, withdrawn) = (AnomalyState::Active, AnomalyState::Ended, AnomalyState::Withdrawn);
    let mut ticks = Ticks::new(vec![rule("tick", "price > 5", 0, Fire::Tick)]);
    assert_eq!(ticks.trade(0, 5), []);
    assert_eq!(ticks.trade(1, 6), [(1, active)]);
    assert_eq!(ticks.trade(2, 7), [], "the same excursion");
    assert_eq!(ticks.trade(3, 5), [(1, ended)]);
    assert_eq!(ticks.trade(4, 8), [(4, active)]);
    assert_eq!(ticks.cancel(1), [(1, withdrawn)], "its trade is no more");
    assert_eq!(ticks.cancel(2), [], "it caused nothing");
    assert_eq!(ticks.trade(5, 8), [], "the other excursion goes on");
    assert_eq!(ticks.cancel(4), [(4, withdrawn)]);
    assert_eq!(ticks.cancel(4), []);
    assert_eq!(ticks.trade(6, 8), [(6, active)], "another excursion");
    ticks.judge.seal(Nanos(MINUTE));
    assert_eq!(ticks.trade(61, 1), [(6, ended)], "it is known until it has ended");
    assert_eq!(ticks.trade(62, 9), [(62, active)]);
}

#[test]
fn a_trade_that_is_cancelled_leaves_alone_how_long_a_rule_has_held_since() {
    let (active, ended, withdrawn) = (AnomalyState::Active, AnomalyState::Ended, AnomalyState::Withdrawn);
    let mut ticks = Ticks::new(vec![rule("held", "price > 5", 1, Fire::Tick)]);
    assert_eq!(ticks.trade(0, 6), []);
    assert_eq!(ticks.trade(60, 6), [(60, active)]);
    assert_eq!(ticks.trade(61, 5), [(60, ended)]);
    assert_eq!(ticks.trade(62, 6), [], "it holds again, for no time yet");
    assert_eq!(ticks.cancel(60), [(60, withdrawn)], "of the excursion before");
    assert_eq!(ticks.trade(122, 6), [(122, active)], "a minute after it began to hold");
}

#[test]
fn once_a_bar_is_once_a_bar() {
    let (active, ended) = (AnomalyState::Active, AnomalyState::Ended);
    let mut ticks = Ticks::new(vec![rule("bar", "price > 5", 0, Fire::Bar)]);
    assert_eq!(ticks.trade(1, 6), [(1, active)]);
    assert_eq!(ticks.trade(2, 5), [(1, ended)]);
    assert_eq!(ticks.trade(3, 6), [], "once in this bar");
    assert_eq!(ticks.trade(59, 6), []);
    assert_eq!(ticks.trade(60, 6), [(60, active)], "it still holds, in another bar");
}

#[test]
fn a_trade_is_held_against_the_closed_bars_and_must_hold_for_its_time() {
    let mut ticks = Ticks::new(vec![rule("tick", "price > 1.5 * avg(close, 2) - 1", 1, Fire::Tick)]);
    assert_eq!(ticks.trade(1, 9), [], "nothing is known of a bar before");
    let closes = Closes::from([(0, 4)]);
    ticks.bars.upsert(Nanos(0), &row(&closes, 0), RuledBar { pos: 1, revision: 0 });
    assert_eq!(ticks.trade(60, 9), [], "9 is above 1.5 × 6.5 - 1, for no time yet");
    assert_eq!(ticks.trade(119, 9), []);
    assert_eq!(ticks.trade(120, 9), [(120, AnomalyState::Active)]);
}
