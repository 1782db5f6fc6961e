//! What must come of a stream of entries: the true bars, and the true ledger.
//!
//! A second, slow and simple judgement of the rules that the core applies, written to be checked against, not to be
//! fast. It keeps every trade of a window until that window is surely sealed, and adds up only then, with sums of its
//! own.
//!
//! Promises: it never guesses. When exactly a symbol's watermark moves is the core's business; the truth knows two
//! bounds. The *high* one takes the newest time that anything of any symbol has claimed (an event time counts up to its
//! received time plus the tolerance), the *low* one the last clock mark, which every symbol has seen. A window that
//! ends after the high frontier is open in any core that keeps the rules, one that ends before the low frontier is
//! sealed. A report that falls between, [`Truth::witness`] refuses: it must not be delivered at all. Gaps hold both
//! frontiers.

use super::sums::{Sum, window_start};
use crate::models::entry::{Body, Cancel, Correction, Entry, Gap, Trade, TradeId};
use crate::models::ledger::{Ledger, RejectReason};
use crate::models::num::{NOTIONAL_LIMIT, Price};
use crate::models::settings::CoreSettings;
use crate::models::symbol::SymbolId;
use crate::models::time::{Nanos, Width};
use std::collections::{BTreeMap, HashMap, HashSet};

/// A bar as it must be once everything has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of `Bar`")]
pub struct ExpectedBar {
    pub symbol: SymbolId,
    pub width: Width,
    pub start: Nanos,
    pub open: Price,
    pub high: Price,
    pub low: Price,
    pub close: Price,
    pub volume: i128,
    pub vwap: Option<i64>,
    pub trade_count: u64,
}

/// Whether a window takes entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Open,
    Sealed,
    Unclear,
}

/// A trade that is known while its window may be open.
#[derive(Clone, Copy, Debug)]
struct Known {
    trade: Trade,
    outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Counts,
    Cancelled,
    Corrected,
}

/// What the trades of one smallest window add up to, and how many reports that is.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    sum: Sum,
    /// Count for open and close: they make the bar.
    num_making: u64,
    /// Count for something, if another trade makes the bar.
    num_joining: u64,
    /// Count for nothing.
    num_idle: u64,
}

impl Tally {
    fn add(&mut self, known: &Known) {
        let Known { trade, outcome } = known;
        if *outcome != Outcome::Counts {
            return;
        }
        self.sum.add(trade);
        match trade.updates {
            updates if updates.open_close() => self.num_making += 1,
            updates if updates.bits() == 0 => self.num_idle += 1,
            _ => self.num_joining += 1,
        }
    }
}

/// The bounds of what may be sealed.
#[derive(Clone, Debug)]
struct Bounds {
    newest: Nanos,
    marked: Nanos,
    gaps: Vec<Gap>,
    high: Nanos,
    low: Nanos,
}

type TradeKey = (SymbolId, TradeId);

/// The judgement of a stream, as far as it was witnessed.
#[derive(Clone, Debug)]
pub struct Truth {
    core: CoreSettings,
    bounds: Bounds,
    /// Symbols that reported something, and whether a mark came since.
    symbols: HashMap<SymbolId, bool>,
    known: HashMap<TradeKey, Known>,
    /// Ids of the known trades, by smallest window.
    unsealed: BTreeMap<(Nanos, SymbolId), Vec<TradeId>>,
    sealed: BTreeMap<(SymbolId, Nanos), Tally>,
    /// Trades that a cancel waits for.
    awaited: HashSet<TradeKey>,
    /// Trades that a correction has replaced before they came.
    replaced: HashSet<TradeKey>,
    ledger: Ledger,
    num_withheld: u64,
}

impl Truth {
    /// Makes the truth about an empty stream, for one source and symbols with the default scales.
    #[must_use]
    pub fn new(core: CoreSettings) -> Truth {
        let (min, gaps) = (Nanos::MIN, Vec::new());
        Truth {
            core,
            bounds: Bounds { newest: min, marked: min, gaps, high: min, low: min },
            symbols: HashMap::new(),
            known: HashMap::new(),
            unsealed: BTreeMap::new(),
            sealed: BTreeMap::new(),
            awaited: HashSet::new(),
            replaced: HashSet::new(),
            ledger: Ledger::default(),
            num_withheld: 0,
        }
    }

    /// Takes the next entry that arrives. False means that what becomes of it is not certain: it must be withheld.
    pub fn witness(&mut self, entry: &Entry) -> bool {
        let clear = match &entry.body {
            Body::Trade(trade) => self.witness_trade(entry.symbol, trade),
            Body::Cancel(cancel) => self.witness_cancel(entry.symbol, cancel),
            Body::Correction(correction) => self.witness_correction(entry.symbol, correction),
            Body::Quote(_) => true,
            Body::Gap(gap) => {
                self.bounds.gaps.push(*gap);
                true
            }
            Body::ClockMark { time, .. } => {
                self.witness_mark(*time);
                true
            }
            Body::VenueBar(_)
            | Body::SourceInCharge { .. }
            | Body::Symbol { .. }
            | Body::Detection { .. } => false,
        };
        if !clear {
            self.num_withheld += 1;
            return false;
        }
        self.ledger.received += u64::from(entry.body.is_report());
        if !entry.body.is_broadcast() {
            self.symbols.entry(entry.symbol).or_insert(false);
            self.witness_time(entry);
        }
        true
    }

    /// Returns the number of entries that were refused.
    #[must_use]
    pub const fn num_withheld(&self) -> u64 {
        self.num_withheld
    }

    /// Returns the bars that must exist after the end of input, sorted by symbol, width and start.
    #[must_use]
    pub fn bars(&self) -> Vec<ExpectedBar> {
        let sums = self.sums(&self.tallies());
        let bars = sums.into_iter().filter_map(|((symbol, width, start), sum)| {
            let [open, high, low, close] = sum.prices()?.map(Price);
            let (volume, vwap, trade_count) = (sum.volume, sum.mean(), sum.count);
            Some(ExpectedBar { symbol, width, start, open, high, low, close, volume, vwap, trade_count })
        });
        bars.collect()
    }

    /// Returns the ledger that must stand after the end of input, all symbols together.
    #[must_use]
    pub fn expected_ledger(&self) -> Ledger {
        let tallies = self.tallies();
        let sums = self.sums(&tallies);
        let mut ledger = self.ledger;
        for ((symbol, start), tally) in &tallies {
            let joins = self
                .core
                .widths
                .iter()
                .any(|width| sums[&(*symbol, *width, start_of(*width, *start))].is_bar());
            let (joining, waiting) = if joins { (tally.num_joining, 0) } else { (0, tally.num_joining) };
            ledger.in_bars += tally.num_making + joining;
            ledger.filtered += tally.num_idle + waiting;
        }
        ledger
    }

    /// Returns the sums of all smallest windows, sealed or not.
    fn tallies(&self) -> BTreeMap<(SymbolId, Nanos), Tally> {
        let mut tallies = self.sealed.clone();
        for (&(start, symbol), ids) in &self.unsealed {
            let tally = tallies.entry((symbol, start)).or_default();
            ids.iter().for_each(|id| tally.add(&self.known[&(symbol, *id)]));
        }
        tallies
    }

    fn sums(&self, tallies: &BTreeMap<(SymbolId, Nanos), Tally>) -> BTreeMap<(SymbolId, Width, Nanos), Sum> {
        let mut sums: BTreeMap<_, Sum> = BTreeMap::new();
        for (&(symbol, start), tally) in tallies {
            for &width in &self.core.widths {
                let key = (symbol, width, start_of(width, start));
                sums.entry(key).or_default().add_sum(&tally.sum);
            }
        }
        sums
    }

    fn witness_trade(&mut self, symbol: SymbolId, trade: &Trade) -> bool {
        if let Some(reason) = fault(trade) {
            self.ledger.reject(reason);
            return true;
        }
        match self.verdict(symbol, trade.ts) {
            Verdict::Unclear => return false,
            Verdict::Sealed => self.ledger.late += 1,
            Verdict::Open => self.take_trade(symbol, trade),
        }
        true
    }

    fn take_trade(&mut self, symbol: SymbolId, trade: &Trade) {
        let key = (symbol, trade.id);
        if let Some(known) = self.known.get_mut(&key) {
            self.ledger.duplicate += 1;
            let rank = |trade: &Trade| (trade.seq, trade.ts, trade.price, trade.size);
            if rank(&known.trade) != rank(trade) {
                self.ledger.conflicts += 1;
            }
            // The feed gives no two event times to one id, so the winner stays in its window.
            if rank(trade) > rank(&known.trade) && known.trade.ts == trade.ts {
                known.trade = *trade;
            }
            return;
        }
        let outcome = if self.awaited.remove(&key) {
            // Until now its cancel had found no trade.
            self.ledger.rejected[RejectReason::NoTrade as usize] -= 1;
            self.ledger.cancelled += 2;
            Outcome::Cancelled
        } else if self.replaced.remove(&key) {
            self.ledger.cancelled += 1;
            Outcome::Corrected
        } else {
            Outcome::Counts
        };
        self.remember(key, Known { trade: *trade, outcome });
    }

    fn witness_cancel(&mut self, symbol: SymbolId, cancel: &Cancel) -> bool {
        let key = (symbol, cancel.target);
        if self.verdict(symbol, cancel.ts) != Verdict::Open {
            return false;
        }
        match self.known.get(&key).copied() {
            Some(known) if self.verdict(symbol, known.trade.ts) != Verdict::Open => return false,
            // What a cancel of a corrected trade does to its correction is for a test of its own.
            Some(Known { outcome: Outcome::Corrected, .. }) => return false,
            Some(Known { outcome: Outcome::Cancelled, .. }) => self.ledger.duplicate += 1,
            Some(Known { trade, .. }) => {
                self.ledger.cancelled += 2;
                self.known.insert(key, Known { trade, outcome: Outcome::Cancelled });
            }
            None if self.awaited.insert(key) => self.ledger.reject(RejectReason::NoTrade),
            None => self.ledger.duplicate += 1,
        }
        true
    }

    fn witness_correction(&mut self, symbol: SymbolId, correction: &Correction) -> bool {
        let Correction { target, mut trade } = *correction;
        match self.verdict(symbol, trade.ts) {
            Verdict::Unclear => return false,
            Verdict::Sealed => {
                self.ledger.late += 1;
                return true;
            }
            Verdict::Open => {}
        }
        if trade.id == target {
            trade.id = target.corrected();
        }
        let (key, target_key) = ((symbol, trade.id), (symbol, target));
        if self.known.contains_key(&key) {
            self.ledger.duplicate += 1;
            return true;
        }
        match self.known.get_mut(&target_key) {
            Some(known) => {
                self.ledger.cancelled += 1;
                known.outcome = Outcome::Corrected;
            }
            None => {
                self.replaced.insert(target_key);
            }
        }
        self.remember(key, Known { trade, outcome: Outcome::Counts });
        true
    }

    fn remember(&mut self, key: TradeKey, known: Known) {
        let start = start_of(self.core.base(), known.trade.ts);
        self.unsealed.entry((start, key.0)).or_default().push(key.1);
        self.known.insert(key, known);
    }

    fn verdict(&self, symbol: SymbolId, ts: Nanos) -> Verdict {
        let base = self.core.base();
        let end = start_of(base, ts).plus(base.nanos());
        if end > self.bounds.high {
            Verdict::Open
        } else if end <= self.bounds.low && self.symbols.get(&symbol) == Some(&true) {
            Verdict::Sealed
        } else {
            Verdict::Unclear
        }
    }

    /// Notes what an entry may have done to its symbol's watermark.
    fn witness_time(&mut self, entry: &Entry) {
        let Some(received) = entry.body.received() else { return };
        self.bounds.newest =
            self.bounds.newest.max(entry.body.time().min(received.plus(self.core.future_tolerance)));
        self.raise_high();
    }

    fn witness_mark(&mut self, time: Nanos) {
        self.symbols.values_mut().for_each(|marked| *marked = true);
        self.bounds.newest = self.bounds.newest.max(time);
        self.bounds.marked = self.bounds.marked.max(time);
        self.raise_high();
        self.bounds.low = self.bounds.low.max(self.frontier(self.bounds.marked));
        let given_up = self.bounds.marked.plus(-self.core.lateness - self.core.gap_hold);
        self.bounds.gaps.retain(|gap| gap.to > given_up);
        self.add_up_sealed();
    }

    fn raise_high(&mut self) {
        self.bounds.high = self.bounds.high.max(self.frontier(self.bounds.newest));
    }

    /// Returns the end of the last smallest window that is sealed when the newest known time is `newest`.
    fn frontier(&self, newest: Nanos) -> Nanos {
        let base = self.core.base();
        let watermark = newest.plus(-self.core.lateness);
        let held = self.bounds.gaps.iter().filter(|gap| watermark < gap.to.plus(self.core.gap_hold));
        let reached = start_of(base, watermark.plus(-self.core.horizon));
        held.map(|gap| start_of(base, gap.from)).fold(reached, Nanos::min)
    }

    /// Adds up the windows that are surely sealed, and forgets their trades.
    fn add_up_sealed(&mut self) {
        let base = self.core.base().nanos();
        while let Some(first) = self.unsealed.first_entry() {
            let (start, symbol) = *first.key();
            if start.plus(base) > self.bounds.low {
                return;
            }
            let tally = self.sealed.entry((symbol, start)).or_default();
            for id in first.remove() {
                let known = self.known.remove(&(symbol, id)).expect("every id by window is known");
                tally.add(&known);
            }
        }
    }
}

/// Returns the start of the window that holds a time.
fn start_of(width: Width, time: Nanos) -> Nanos {
    Nanos(window_start(time.0, width.nanos()))
}

/// Returns why a trade is not accepted whatever its time.
fn fault(trade: &Trade) -> Option<RejectReason> {
    let notional = i128::from(trade.price.0) * i128::from(trade.size.0);
    match trade {
        _ if trade.price.0 <= 0 || trade.price.0 >= Price::LIMIT => Some(RejectReason::BadPrice),
        _ if trade.size.0 <= 0 || notional >= NOTIONAL_LIMIT => Some(RejectReason::BadSize),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::ingest::simulated::{InjectedFaults, MarketSettings, Shift, SimulatedSymbol, TICK};
    use crate::models::entry::{SourceId, Updates};
    use crate::models::num::Size;
    use crate::models::time::{MINUTE, SECOND};
    use crate::testkit::Scenario;
    use proptest::prelude::*;
    use std::time::Duration;

    const AAPL: SymbolId = SymbolId(0);
    /// The start of a quarter of an hour.
    const T: Nanos = Nanos(1_989_000 * 15 * MINUTE);

    fn trade(id: u64, after: i64, price: i64) -> Trade {
        let ts = T.plus(after);
        Trade {
            ts,
            received: ts,
            price: Price(price * TICK),
            size: Size(100),
            seq: 0,
            id: TradeId::number(id),
            source: SourceId(0),
            updates: Updates::ALL,
        }
    }

    fn tell(truth: &mut Truth, body: Body) -> bool {
        let symbol = if body.is_broadcast() { SymbolId::NONE } else { AAPL };
        truth.witness(&Entry { pos: 0, symbol, body })
    }

    fn mark(truth: &mut Truth, after: i64) {
        assert!(tell(truth, Body::ClockMark { source: SourceId(0), time: T.plus(after) }));
    }

    fn cancel(target: u64, after: i64) -> Body {
        let ts = T.plus(after);
        Body::Cancel(Cancel { ts, received: ts, target: TradeId::number(target), source: SourceId(0) })
    }

    #[test]
    fn between_the_bounds_nothing_is_judged() {
        let mut truth = Truth::new(CoreSettings::default());
        assert!(tell(&mut truth, Body::Trade(trade(1, 0, 100))));
        mark(&mut truth, 0);
        // Some other symbol's trade may or may not be known to this one's core: the first minute ends, plus five, plus
        // 2 s.
        let other =
            Entry { pos: 0, symbol: SymbolId(1), body: Body::Trade(trade(1, 6 * MINUTE + 2 * SECOND, 50)) };
        assert!(truth.witness(&other));
        assert!(!tell(&mut truth, Body::Trade(trade(2, SECOND, 101))), "open or sealed, nobody knows");
        mark(&mut truth, 6 * MINUTE + 2 * SECOND);
        assert!(tell(&mut truth, Body::Trade(trade(2, SECOND, 101))), "sealed for sure");
        assert!(tell(&mut truth, Body::Trade(trade(3, MINUTE, 102))), "open for sure");
        let ledger = truth.expected_ledger();
        assert_eq!((ledger.received, ledger.in_bars, ledger.late), (4, 3, 1));
        assert_eq!((ledger.residue(), truth.num_withheld()), (0, 1));
    }

    #[test]
    fn a_gap_holds_the_seal_until_it_is_given_up() {
        let mut truth = Truth::new(CoreSettings::default());
        assert!(tell(&mut truth, Body::Trade(trade(1, 0, 100))));
        let gap =
            Gap { source: SourceId(0), from: T.plus(90 * SECOND), to: T.plus(100 * SECOND), filled: false };
        assert!(tell(&mut truth, Body::Gap(gap)));
        mark(&mut truth, 11 * MINUTE);
        assert!(tell(&mut truth, Body::Trade(trade(2, MINUTE, 100))), "held: the gap begins in its window");
        assert!(tell(&mut truth, Body::Trade(trade(3, 0, 100))), "sealed: it ends before the gap");
        let give_up = 100 * SECOND + 10 * MINUTE + 2 * SECOND;
        mark(&mut truth, give_up);
        assert!(tell(&mut truth, Body::Trade(trade(4, MINUTE, 100))));
        assert_eq!(truth.expected_ledger().late, 2, "the third, and the fourth once the gap is given up");
    }

    #[test]
    fn outcomes_of_cancels_corrections_and_repeats() {
        let mut truth = Truth::new(CoreSettings::default());
        let correction = |target, id, price| {
            Body::Correction(Correction {
                target: TradeId::number(target),
                trade: trade(id, target as i64 * SECOND, price),
            })
        };
        let story = [
            (Body::Trade(trade(1, 0, 100)), "in bars"),
            (Body::Trade(trade(1, 0, 100)), "duplicate"),
            (Body::Trade(trade(1, 0, 105)), "duplicate, conflict, wins"),
            (cancel(2, SECOND), "no trade yet"),
            (cancel(2, SECOND), "duplicate"),
            (Body::Trade(trade(2, SECOND, 900)), "cancelled with its cancel"),
            (cancel(9, SECOND), "no trade ever"),
            (Body::Trade(trade(3, 3 * SECOND, 800)), "corrected"),
            (correction(3, 3, 90), "in bars"),
            (correction(3, 3, 90), "duplicate"),
            (correction(4, 40, 95), "in bars"),
            (Body::Trade(trade(4, 4 * SECOND, 700)), "corrected already"),
            (Body::Trade(Trade { price: Price(0), ..trade(5, 0, 0) }), "bad price"),
            (Body::Trade(Trade { size: Size(-1), ..trade(6, 0, 100) }), "bad size"),
            (Body::Trade(Trade { updates: Updates::NONE, ..trade(7, 0, 1) }), "filtered"),
        ];
        for (body, outcome) in story {
            assert!(tell(&mut truth, body), "{outcome}");
        }
        let ledger = truth.expected_ledger();
        let mut wanted = Ledger {
            received: 15,
            in_bars: 3,
            filtered: 1,
            duplicate: 4,
            cancelled: 4,
            conflicts: 1,
            ..Ledger::default()
        };
        for reason in [RejectReason::NoTrade, RejectReason::BadPrice, RejectReason::BadSize] {
            wanted.reject(reason);
        }
        assert_eq!((ledger, ledger.residue()), (wanted, 0));
        let bars = truth.bars();
        assert_eq!(bars.len(), CoreSettings::default().widths.len(), "one of each width");
        let bar = bars[0];
        assert_eq!([bar.open, bar.high, bar.low, bar.close].map(|price| price.0 / TICK), [105, 105, 90, 95]);
        assert_eq!((bar.volume, bar.trade_count), (300, 3));
    }

    /// Adds up bars from a plain list of trades that count, in no way that the truth uses.
    fn add_up(trades: &[(SymbolId, Trade)], widths: &[Width]) -> Vec<ExpectedBar> {
        let mut bars = Vec::new();
        let mut keys: Vec<(SymbolId, Width, Nanos)> = trades
            .iter()
            .flat_map(|(symbol, trade)| {
                widths.iter().map(|width| (*symbol, *width, width.start_of(trade.ts)))
            })
            .collect();
        keys.sort();
        keys.dedup();
        for (symbol, width, start) in keys {
            let mut inside: Vec<&Trade> = trades
                .iter()
                .filter(|(id, trade)| *id == symbol && width.start_of(trade.ts) == start)
                .map(|(_, trade)| trade)
                .collect();
            inside.sort_by_key(|trade| (trade.ts, trade.id));
            let prices = || inside.iter().map(|trade| trade.price);
            let volume: i128 = inside.iter().map(|trade| i128::from(trade.size.0)).sum();
            let notional: f64 = inside.iter().map(|trade| trade.price.0 as f64 * trade.size.0 as f64).sum();
            let bar = ExpectedBar {
                symbol,
                width,
                start,
                open: inside[0].price,
                high: prices().max().expect("not empty"),
                low: prices().min().expect("not empty"),
                close: inside[inside.len() - 1].price,
                volume,
                vwap: Some((notional / volume as f64) as i64),
                trade_count: inside.len() as u64,
            };
            bars.push(bar);
        }
        bars
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn bars_are_those_of_the_trades_that_survive(seed in any::<u64>(), num_trades in 50_usize..600) {
            let symbols = [0, 1, 2].map(|id| SimulatedSymbol { id: SymbolId(id), initial_price: Price(10_000 * TICK) });
            let market = MarketSettings {
                seed,
                rate_per_second: 0.5,
                ..MarketSettings::new(symbols.to_vec(), SourceId(0), T)
            };
            // Nothing here comes beyond the horizon, so whatever comes and is not cancelled counts.
            let shift = |seconds| Shift { probability: 0.1, max: Duration::from_secs(seconds) };
            let faults = InjectedFaults {
                drop: 0.1,
                duplicate: shift(60),
                reorder: shift(1),
                delay: shift(120),
                cancel: shift(60),
                cancel_early: shift(60),
                ..InjectedFaults::default()
            };
            let core = CoreSettings::default();
            let widths = core.widths.clone();
            let mut scenario = Scenario::new(&market, &faults, core, num_trades);
            let mut entries = Vec::new();
            while scenario.next_batch(64, &mut entries) {}
            let cancelled: HashSet<TradeKey> = entries
                .iter()
                .filter_map(|entry| match entry.body {
                    Body::Cancel(cancel) => Some((entry.symbol, cancel.target)),
                    _ => None,
                })
                .collect();
            let mut survivors: BTreeMap<TradeKey, Trade> = BTreeMap::new();
            for entry in &entries {
                if let Body::Trade(trade) = entry.body && !cancelled.contains(&(entry.symbol, trade.id)) {
                    survivors.insert((entry.symbol, trade.id), trade);
                }
            }
            let survivors: Vec<(SymbolId, Trade)> =
                survivors.into_iter().map(|((symbol, _), trade)| (symbol, trade)).collect();
            prop_assert_eq!(scenario.truth().num_withheld(), 0);
            let (found, wanted) = (scenario.truth().bars(), add_up(&survivors, &widths));
            prop_assert_eq!(found.len(), wanted.len());
            for (found, wanted) in found.into_iter().zip(wanted) {
                // The naive mean is a floating-point one: the exact one is near it.
                let (vwap, naive) = (found.vwap.expect("has volume"), wanted.vwap.expect("has volume"));
                prop_assert!((vwap - naive).abs() <= 1 + naive / 1_000_000_000, "{} beside {}", vwap, naive);
                prop_assert_eq!(found, ExpectedBar { vwap: found.vwap, ..wanted });
            }
            let ledger = scenario.truth().expected_ledger();
            prop_assert_eq!((ledger.residue(), ledger.in_bars), (0, survivors.len() as u64));
        }
    }
}
