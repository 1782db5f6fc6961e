//! The core's rules, one by one. The whole is held against a slow model elsewhere.

mod definition;
mod limits;

use super::SymbolState;
use crate::models::bar::{Bar, BarState};
use crate::models::effect::{DeadReason, Effect};
use crate::models::entry::{Body, Cancel, Correction, Entry, Gap, SourceId, Trade, TradeId, Updates};
use crate::models::names::Interner;
use crate::models::names::for_test::ListedNames;
use crate::models::num::{Price, Size};
use crate::models::settings::CoreSettings;
use crate::models::symbol::{SymbolId, SymbolSpec};
use crate::models::time::{MINUTE, Nanos, SECOND};
use std::sync::Arc;

const T: i64 = 1_700_000_100 * SECOND;

/// Names of a process that knows the symbol and its only source.
fn names() -> Arc<dyn Interner> {
    let names = ListedNames::of_sources(&["one"]);
    names.symbol_id(&SymbolSpec::named("TEST"));
    names
}

/// A symbol with its log.
struct Bench {
    state: SymbolState,
    effects: Vec<Effect>,
    pos: u64,
}

impl Bench {
    fn new() -> Bench {
        let spec = SymbolSpec::named("TEST");
        let state = SymbolState::new(SymbolId(0), &spec, Arc::new(CoreSettings::default()), names());
        Bench { state, effects: Vec::new(), pos: 0 }
    }

    /// Appends an entry and returns what followed from it.
    fn apply(&mut self, body: Body) -> Vec<Effect> {
        self.pos += 1;
        self.effects.clear();
        self.state.apply(&[Entry { pos: self.pos, symbol: SymbolId(0), body }], &mut self.effects);
        assert_eq!(self.state.ledger().residue(), 0, "after {body:?}");
        self.effects.clone()
    }

    /// Appends an entry from which nothing follows, without counting everything that is there.
    fn apply_unchecked(&mut self, body: Body) {
        self.pos += 1;
        self.effects.clear();
        self.state.apply(&[Entry { pos: self.pos, symbol: SymbolId(0), body }], &mut self.effects);
        assert_eq!(self.effects, []);
    }

    fn trade(&mut self, id: u64, seconds: i64, price: i64) -> Vec<Effect> {
        self.apply(Body::Trade(trade(id, seconds, price)))
    }

    fn mark(&mut self, seconds: i64) -> Vec<Effect> {
        self.apply(Body::ClockMark { source: SourceId::ANY, time: Nanos(T + seconds * SECOND) })
    }
}

fn trade(id: u64, seconds: i64, price: i64) -> Trade {
    Trade {
        ts: Nanos(T + seconds * SECOND),
        received: Nanos::MIN,
        price: Price(price),
        size: Size(10),
        seq: 0,
        id: TradeId::number(id),
        source: SourceId(0),
        updates: Updates::ALL,
    }
}

fn cancel(target: u64, seconds: i64) -> Body {
    Body::Cancel(Cancel {
        ts: Nanos(T + seconds * SECOND),
        received: Nanos::MIN,
        target: TradeId::number(target),
        source: SourceId(0),
    })
}

fn bars(effects: &[Effect]) -> Vec<Bar> {
    let bar = |effect: &Effect| if let Effect::Bar(bar) = effect { Some(*bar) } else { None };
    effects.iter().filter_map(bar).collect()
}

#[test]
fn a_bar_closes_when_the_watermark_passes_its_end() {
    let mut bench = Bench::new();
    for (id, seconds, price) in [(1, 0, 50), (2, 59, 70), (3, 30, 40), (4, 61, 60)] {
        assert_eq!(bench.trade(id, seconds, price), []);
    }
    assert_eq!(bench.state.next_due(), Nanos(T + 62 * SECOND), "two seconds of lateness");
    let effects = bench.trade(5, 62, 61);
    let [bar] = bars(&effects)[..] else { panic!("one bar closes: {effects:?}") };
    assert_eq!(
        (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.trade_count, bar.state, bar.revision),
        (Price(50), Price(70), Price(40), Price(70), 30, 3, BarState::Closed, 0)
    );
    assert!(matches!(effects[1], Effect::Indicators(point) if point.start == bar.start));
}

#[test]
fn what_comes_after_the_close_amends_and_after_the_seal_is_late() {
    let mut bench = Bench::new();
    bench.trade(1, 0, 50);
    bench.mark(62);
    let [bar] = bars(&bench.trade(2, 10, 90))[..] else { panic!("the minute is amended") };
    assert_eq!((bar.high, bar.state, bar.revision, bar.late), (Price(90), BarState::Amended, 1, 1));
    let [bar] = bars(&bench.apply(cancel(2, 10)))[..] else { panic!("and again") };
    assert_eq!((bar.high, bar.revision, bar.cancelled), (Price(50), 2, 1));
    let [bar] = bars(&bench.apply(cancel(1, 10)))[..] else { panic!("nothing is left") };
    assert_eq!((bar.state, bar.trade_count), (BarState::Void, 0));
    bench.mark(60 + 300 + 1);
    assert_eq!(bars(&bench.trade(3, 20, 60)).len(), 2, "not sealed yet: the minute, and the five around it");
    bench.mark(60 + 300 + 2);
    let effects = bench.trade(4, 20, 60);
    assert!(matches!(effects[..], [Effect::DeadLetter(letter)] if letter.reason == DeadReason::Late));
    let ledger = bench.state.ledger();
    assert_eq!((ledger.received, ledger.in_bars, ledger.cancelled, ledger.late), (6, 1, 4, 1));
}

#[test]
fn cancels_and_corrections_find_their_trade_in_any_order() {
    let replace = |target: u64, id: u64, price: i64| {
        Body::Correction(Correction { target: TradeId::number(target), trade: trade(id, 5, price) })
    };
    let steps = [Body::Trade(trade(1, 5, 50)), replace(1, 1, 55), Body::Trade(trade(2, 6, 70)), cancel(2, 7)];
    let orders = [[0, 1, 2, 3], [1, 0, 3, 2], [3, 1, 2, 0], [2, 3, 0, 1]];
    for order in orders {
        let mut bench = Bench::new();
        for step in order {
            bench.apply(steps[step]);
        }
        let [bar, ..] = bars(&bench.mark(62))[..] else { panic!("a bar closes") };
        assert_eq!((bar.open, bar.high, bar.trade_count), (Price(55), Price(55), 1), "{order:?}");
        let ledger = bench.state.ledger();
        assert_eq!((ledger.in_bars, ledger.cancelled, ledger.num_rejected()), (1, 3, 0), "{order:?}");
    }
}

#[test]
fn a_gap_holds_the_seal_and_shows_in_the_coverage() {
    let mut bench = Bench::new();
    bench.trade(1, 0, 50);
    let gap = |filled| {
        let (from, to) = (Nanos(T + 30 * SECOND), Nanos(T + 45 * SECOND));
        Body::Gap(Gap { source: SourceId(0), from, to, filled })
    };
    bench.apply(gap(false));
    let [bar] = bars(&bench.mark(62))[..] else { panic!("the close does not wait") };
    assert_eq!(bar.coverage, 0.75);
    bench.mark(600);
    assert_eq!(bars(&bench.trade(2, 31, 80)).len(), 2, "the minute still takes what is filled in");
    let [bar, ..] = bars(&bench.apply(gap(true)))[..] else { panic!("it is whole again") };
    assert_eq!((bar.coverage, bar.revision), (1.0, 2));
    let effects = bench.trade(3, 32, 80);
    assert!(matches!(effects[..], [Effect::DeadLetter(_)]), "without a gap it is sealed: {effects:?}");
}

#[test]
fn a_state_goes_on_from_its_bytes() {
    let mut bench = Bench::new();
    for id in 0..500_u64 {
        bench.trade(id, id as i64 * 7 % 900, 1_000 + id as i64);
    }
    let settings = Arc::new(CoreSettings::default());
    let bytes = bench.state.encode();
    let again = SymbolState::decode(&bytes, Arc::clone(&settings), names()).expect("just encoded");
    let mut twin = Bench { state: again, effects: Vec::new(), pos: bench.pos };
    assert_eq!(bench.trade(3, 21, 1_003), twin.trade(3, 21, 1_003), "a repeat stays a repeat");
    assert_eq!(bench.mark(2_000), twin.mark(2_000));
    assert_eq!(bench.state.encode(), twin.state.encode());
    let mut damaged = bytes.clone();
    *damaged.last_mut().expect("not empty") ^= 1;
    let other = CoreSettings { horizon: MINUTE, ..CoreSettings::default() };
    for (bytes, settings) in [(&damaged, settings), (&bytes, Arc::new(other))] {
        assert!(SymbolState::decode(bytes, settings, names()).is_err());
    }
}
