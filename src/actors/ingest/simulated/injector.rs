//! Turns the clean stream of a market into what a bad feed delivers, in order of arrival.
//!
//! Promises: seeded, and independent of how the calls are cut. Every entry is stamped with its arrival as the received
//! time. Each second a clock mark says how far the source has come; it is never ahead of an undelayed trade that is
//! still under way by more than that trade's way takes. The first trade of each symbol arrives clean, so that whoever
//! listens knows the symbol before anything odd happens to it.

use super::calendar::Calendar;
use super::draws::{Dice, nanos};
use super::faults::{InjectedFaults, Spike};
use super::market::TICK;
use crate::models::entry::{Body, Cancel, Correction, Entry, Gap, SourceId, Trade, TradeId, Updates};
use crate::models::num::{Price, Size};
use crate::models::symbol::SymbolId;
use crate::models::time::{HOUR, Nanos, SECOND};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Clock marks come this often.
const MARK_INTERVAL: i64 = SECOND;
/// A wrong event time is wrong by at least this much: nobody could take it for a delay.
const WRONG_TIME_MIN: i64 = HOUR;
/// A correction that has an id of its own has that of its trade, with this added: no market's ids get there, and no two
/// trades share one, be they of different runs.
const CORRECTION_IDS: u64 = 1 << 60;

/// How often each thing was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each counts what the setting of its name does")]
pub struct InjectedCounts {
    pub dropped: u64,
    pub duplicated: u64,
    pub conflicts: u64,
    pub reordered: u64,
    pub delayed: u64,
    pub late: u64,
    pub cancelled: u64,
    pub cancelled_early: u64,
    pub corrected: u64,
    pub corrected_new_id: u64,
    pub wrong_time: u64,
    pub skewed: u64,
    pub price_spikes: u64,
    pub volume_spikes: u64,
    pub malformed: u64,
    pub conditions: u64,
    pub in_bursts: u64,
    pub halted: u64,
    /// Entries that would have arrived while the connection was down.
    pub lost: u64,
    pub disconnects: u64,
}

/// An entry on its way. Ordered by arrival, then by when it was sent.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    at: Nanos,
    sent: u64,
    entry: Entry,
}

impl Arrival {
    const fn key(&self) -> (Nanos, u64) {
        (self.at, self.sent)
    }
}

impl PartialEq for Arrival {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Arrival {}

impl PartialOrd for Arrival {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Arrival {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// Injects faults into the feed of a source.
#[derive(Clone, Debug)]
pub struct FaultInjector {
    settings: InjectedFaults,
    source: SourceId,
    dice: Dice,
    /// Draws for the connection alone: these are drawn on delivery, the others on sending.
    line_dice: Dice,
    seed: u64,
    under_way: BinaryHeap<Reverse<Arrival>>,
    num_sent: u64,
    /// Symbols whose first trade was sent, by id, and how many are still to come.
    seen: Vec<bool>,
    num_unseen: usize,
    /// When the last symbol became known.
    all_seen_at: Nanos,
    burst: Calendar,
    halt: Calendar,
    halted: (Nanos, Option<SymbolId>),
    disconnect: Calendar,
    down: bool,
    next_mark: Nanos,
    /// Newest event time that arrived, and when it did.
    newest: Option<(Nanos, Nanos)>,
    /// The last mark: a clock that was ahead does not turn back.
    marked: Nanos,
    counts: InjectedCounts,
}

impl FaultInjector {
    /// Makes the feed of a source that lists `num_symbols` symbols.
    #[must_use]
    pub fn new(settings: &InjectedFaults, source: SourceId, num_symbols: usize, seed: u64) -> FaultInjector {
        FaultInjector {
            burst: Calendar::new(settings.burst),
            halt: Calendar::new(settings.halt),
            disconnect: Calendar::new(settings.disconnect),
            settings: settings.clone(),
            source,
            dice: Dice::new(seed, 4),
            line_dice: Dice::new(seed, 5),
            seed,
            under_way: BinaryHeap::new(),
            num_sent: 0,
            seen: Vec::new(),
            num_unseen: num_symbols,
            all_seen_at: Nanos::MAX,
            halted: (Nanos::MIN, None),
            down: false,
            next_mark: Nanos::MAX,
            newest: None,
            marked: Nanos::MIN,
            counts: InjectedCounts::default(),
        }
    }

    /// Returns how often each thing was done so far.
    #[must_use]
    pub const fn counts(&self) -> &InjectedCounts {
        &self.counts
    }

    /// Takes a clean entry, in order, and sends what the feed makes of it.
    pub fn send(&mut self, entry: &Entry) {
        match entry.body {
            Body::Trade(trade) => self.send_trade(entry.symbol, trade),
            Body::Quote(quote) => self.dispatch(quote.received, entry.symbol, entry.body),
            _ => {}
        }
    }

    fn send_trade(&mut self, symbol: SymbolId, clean: Trade) {
        let now = clean.received;
        if self.next_mark == Nanos::MAX {
            self.next_mark = now.plus(MARK_INTERVAL);
            self.burst.plan(now, &mut self.dice);
            self.halt.plan(now, &mut self.dice);
            self.disconnect.plan(now, &mut self.line_dice);
        }
        if self.is_first(symbol) {
            if self.num_unseen == 0 {
                self.all_seen_at = now;
            }
            self.dispatch(now, symbol, Body::Trade(clean));
            return;
        }
        if self.is_halted(symbol, now) {
            self.counts.halted += 1;
            return;
        }
        let mut trade = clean;
        self.skew(symbol, &mut trade);
        if self.dice.chance(self.settings.malformed) {
            self.counts.malformed += 1;
            match self.dice.place(4) {
                0 => trade.price = Price(0),
                1 => trade.price = Price(-trade.price.0),
                2 => trade.size = Size(0),
                _ => trade.size = Size(-trade.size.0),
            }
            self.dispatch(now, symbol, Body::Trade(trade));
            return;
        }
        self.distort(&mut trade);
        let wrong_time = self.settings.wrong_time;
        if self.dice.chance(wrong_time.probability) {
            self.counts.wrong_time += 1;
            let wrong_by = self.dice.within(wrong_time.max).max(WRONG_TIME_MIN);
            let ahead = self.dice.chance(0.5);
            trade.ts = trade.ts.plus(if ahead { wrong_by } else { -wrong_by });
            self.dispatch(now, symbol, Body::Trade(trade));
            return;
        }
        let mut at = self.arrival(now);
        if self.dice.chance(self.settings.cancel_early.probability) {
            self.counts.cancelled_early += 1;
            let later = self.dice.within(self.settings.cancel_early.max);
            at = at.max(now.plus(later));
            self.send_cancel(symbol, &trade, now);
        } else if self.dice.chance(self.settings.cancel.probability) {
            self.counts.cancelled += 1;
            let later = now.plus(self.dice.within(self.settings.cancel.max));
            self.send_cancel(symbol, &trade, later);
        } else if self.dice.chance(self.settings.correct.probability) {
            self.counts.corrected += 1;
            let later = now.plus(self.dice.within(self.settings.correct.max));
            self.send_correction(symbol, &trade, trade.id, later);
        } else if self.dice.chance(self.settings.correct_new_id.probability) {
            self.counts.corrected_new_id += 1;
            let later = now.plus(self.dice.within(self.settings.correct_new_id.max));
            let id = TradeId::number(CORRECTION_IDS + trade.id.words().1);
            self.send_correction(symbol, &trade, id, later);
        } else if self.dice.chance(self.settings.conflict.probability) {
            self.counts.conflicts += 1;
            let later = at.plus(self.dice.within(self.settings.conflict.max));
            let price = self.other_price(trade.price);
            self.dispatch(later, symbol, Body::Trade(Trade { price, ..trade }));
        }
        // A trade can be lost although its cancel comes.
        if self.dice.chance(self.settings.drop) {
            self.counts.dropped += 1;
            return;
        }
        self.dispatch_maybe_twice(at, symbol, Body::Trade(trade));
    }

    /// True for the first trade of a symbol.
    fn is_first(&mut self, symbol: SymbolId) -> bool {
        if self.seen.len() <= symbol.index() {
            self.seen.resize(symbol.index() + 1, false);
        }
        let first = !std::mem::replace(&mut self.seen[symbol.index()], true);
        self.num_unseen = self.num_unseen.saturating_sub(usize::from(first));
        first
    }

    /// True while the symbol does not trade. The first symbol that would have traded in an episode is the one.
    fn is_halted(&mut self, symbol: SymbolId, now: Nanos) -> bool {
        let Some(end) = self.halt.current(now, &mut self.dice) else { return false };
        if self.halted.0 != end {
            self.halted = (end, Some(symbol));
        }
        self.halted.1 == Some(symbol)
    }

    /// Shifts the event time by what the symbol's clock is wrong.
    fn skew(&mut self, symbol: SymbolId, trade: &mut Trade) {
        if self.settings.clock_skew.probability <= 0.0 {
            return;
        }
        let mut clock = Dice::new(self.seed, (6 << 32) + u64::from(symbol.0));
        if clock.chance(self.settings.clock_skew.probability) {
            self.counts.skewed += 1;
            let wrong_by = clock.within(self.settings.clock_skew.max);
            let ahead = clock.chance(0.5);
            trade.ts = trade.ts.plus(if ahead { wrong_by } else { -wrong_by });
        }
    }

    /// Changes price, size and conditions.
    fn distort(&mut self, trade: &mut Trade) {
        let InjectedFaults { price_spike, volume_spike, conditions, .. } = self.settings;
        if self.dice.chance(price_spike.probability) {
            self.counts.price_spikes += 1;
            let ticks = self.spiked(trade.price.0 / TICK, price_spike);
            trade.price = Price(ticks * TICK);
        }
        if self.dice.chance(volume_spike.probability) {
            self.counts.volume_spikes += 1;
            trade.size = Size((trade.size.0 as f64 * volume_spike.factor) as i64);
        }
        if self.dice.chance(conditions) {
            self.counts.conditions += 1;
            // Nothing; high and low; volume; high, low and volume; all but volume.
            trade.updates = Updates::from_bits([0, 1, 4, 5, 3][self.dice.place(5)]);
        }
    }

    fn spiked(&mut self, value: i64, spike: Spike) -> i64 {
        let up = self.dice.chance(0.5);
        let spiked = value as f64 * if up { spike.factor } else { 1.0 / spike.factor };
        (spiked.round() as i64).max(1)
    }

    fn other_price(&mut self, price: Price) -> Price {
        let ticks = 1 + self.dice.place(50) as i64;
        let down = self.dice.chance(0.5) && price.0 > ticks * TICK;
        Price(price.0 + if down { -ticks * TICK } else { ticks * TICK })
    }

    /// Chooses when a trade arrives that was sent at `now`.
    fn arrival(&mut self, now: Nanos) -> Nanos {
        let InjectedFaults { reorder, delay, late, .. } = self.settings;
        if self.dice.chance(late.probability) {
            self.counts.late += 1;
            return now.plus(nanos(late.max)).plus(self.dice.within(late.max / 2));
        }
        if self.dice.chance(delay.probability) {
            self.counts.delayed += 1;
            return now.plus(self.dice.within(delay.max));
        }
        if self.dice.chance(reorder.probability) {
            self.counts.reordered += 1;
            return now.plus(self.dice.within(reorder.max));
        }
        match self.burst.current(now, &mut self.dice) {
            Some(end) => {
                self.counts.in_bursts += 1;
                end
            }
            None => now,
        }
    }

    fn send_cancel(&mut self, symbol: SymbolId, trade: &Trade, at: Nanos) {
        // Venues differ: some give the time of the cancel, some that of its trade.
        let ts = if self.dice.chance(0.5) { trade.ts } else { trade.ts.max(at) };
        let cancel = Cancel { ts, received: at, target: trade.id, source: self.source };
        self.dispatch_maybe_twice(at, symbol, Body::Cancel(cancel));
    }

    fn send_correction(&mut self, symbol: SymbolId, trade: &Trade, id: TradeId, at: Nanos) {
        let price = self.other_price(trade.price);
        let correction = Correction { target: trade.id, trade: Trade { id, price, ..*trade } };
        self.dispatch_maybe_twice(at, symbol, Body::Correction(correction));
    }

    fn dispatch_maybe_twice(&mut self, at: Nanos, symbol: SymbolId, body: Body) {
        self.dispatch(at, symbol, body);
        let duplicate = self.settings.duplicate;
        if self.dice.chance(duplicate.probability) {
            self.counts.duplicated += 1;
            let again = at.plus(self.dice.within(duplicate.max));
            self.dispatch(again, symbol, body);
        }
    }

    fn dispatch(&mut self, at: Nanos, symbol: SymbolId, mut body: Body) {
        match &mut body {
            Body::Trade(Trade { received, .. })
            | Body::Cancel(Cancel { received, .. })
            | Body::Correction(Correction { trade: Trade { received, .. }, .. }) => *received = at,
            _ => {}
        }
        let entry = Entry { pos: 0, symbol, body };
        self.under_way.push(Reverse(Arrival { at, sent: self.num_sent, entry }));
        self.num_sent += 1;
    }

    /// Appends everything that arrives up to and including `now`, with the clock marks and gaps in between. Whatever
    /// was made by then must have been sent.
    pub fn deliver(&mut self, now: Nanos, out: &mut Vec<Entry>) {
        while let Some(Reverse(next)) = self.under_way.peek().copied().filter(|Reverse(next)| next.at <= now)
        {
            self.under_way.pop();
            self.turn_clock(next.at, out);
            if self.down {
                self.counts.lost += 1;
                continue;
            }
            // A wrong event time is no news of how far the source has come.
            let ts = next.entry.body.time();
            let plausible = ts <= next.at.plus(WRONG_TIME_MIN / 2);
            if plausible && self.newest.is_none_or(|(newest, _)| ts > newest) {
                self.newest = Some((ts, next.at));
            }
            out.push(next.entry);
        }
        self.turn_clock(now, out);
    }

    /// Appends everything that is still under way.
    pub fn deliver_rest(&mut self, out: &mut Vec<Entry>) {
        let last = self.under_way.iter().map(|Reverse(arrival)| arrival.at).max();
        if let Some(last) = last {
            self.deliver(last, out);
        }
    }

    /// Brings marks, and the connection's end and return, up to `now`.
    fn turn_clock(&mut self, now: Nanos, out: &mut Vec<Entry>) {
        loop {
            let turn = if self.down { self.disconnect.end } else { self.disconnect.begin };
            if self.next_mark.min(turn) > now {
                return;
            }
            if turn <= self.next_mark {
                self.turn_connection(turn, out);
            } else {
                self.mark(out);
            }
        }
    }

    fn turn_connection(&mut self, at: Nanos, out: &mut Vec<Entry>) {
        if self.down {
            self.down = false;
            let from = self.source_time(self.disconnect.begin);
            let gap = Gap { source: self.source, from, to: self.source_time(at), filled: false };
            out.push(Entry { pos: 0, symbol: SymbolId::NONE, body: Body::Gap(gap) });
            self.disconnect.plan(at, &mut self.line_dice);
        } else if at <= self.all_seen_at {
            // Whoever does not know a symbol yet could not hold its windows open: not now.
            self.disconnect.plan(at.plus(1), &mut self.line_dice);
        } else {
            self.down = true;
            self.counts.disconnects += 1;
        }
    }

    fn mark(&mut self, out: &mut Vec<Entry>) {
        if !self.down && self.newest.is_some() {
            self.marked = self.marked.max(self.source_time(self.next_mark));
            let body = Body::ClockMark { source: self.source, time: self.marked };
            out.push(Entry { pos: 0, symbol: SymbolId::NONE, body });
        }
        self.next_mark = self.next_mark.plus(MARK_INTERVAL);
    }

    /// Returns the source's time now: its newest event time and what has passed since that arrived.
    fn source_time(&self, now: Nanos) -> Nanos {
        self.newest.map_or(now, |(ts, received)| ts.plus(now.since(received)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::faults::{Episodes, Shift};
    use super::super::market::{Market, MarketSettings, SimulatedSymbol};
    use super::*;
    use crate::models::time::MINUTE;
    use std::collections::HashMap;
    use std::time::Duration;

    const NUM_TRADES: usize = 20_000;
    const START: Nanos = Nanos(1_790_000_000 * SECOND);

    /// Runs a market of 100 trades a second through a feed, and returns what was sent, what arrived, and the counts.
    fn run(faults: &InjectedFaults, chunk: usize) -> (Vec<Entry>, Vec<Entry>, InjectedCounts) {
        run_from(START, faults, chunk)
    }

    fn run_from(
        start: Nanos,
        faults: &InjectedFaults,
        chunk: usize,
    ) -> (Vec<Entry>, Vec<Entry>, InjectedCounts) {
        let symbols = (0..5)
            .map(|id| SimulatedSymbol { id: SymbolId(id), initial_price: Price(10_000 * TICK) })
            .collect();
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
        (sent, arrived, *injector.counts())
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
                _ => assert!(
                    marked.since(entry.body.time()) < 10_000_000,
                    "{entry:?} after the mark {marked:?}"
                ),
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
        let (_, arrived, counts) =
            run(&InjectedFaults { delay: shift(60), ..InjectedFaults::default() }, 512);
        let slow = reports(&arrived).iter().filter(|entry| delay_of(entry) > SECOND).count() as u64;
        assert!(is_a_tenth(counts.delayed) && slow <= counts.delayed && slow > 1_700, "{slow} {counts:?}");
        assert!(reports(&arrived).iter().all(|entry| delay_of(entry) < MINUTE + SECOND));

        let (_, arrived, counts) =
            run(&InjectedFaults { late: shift(480), ..InjectedFaults::default() }, 512);
        let late = reports(&arrived).iter().filter(|entry| delay_of(entry) >= 8 * MINUTE).count() as u64;
        assert!(is_a_tenth(counts.late) && late == counts.late, "{late} {counts:?}");

        let (_, arrived, counts) =
            run(&InjectedFaults { reorder: shift(1), ..InjectedFaults::default() }, 512);
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
                    let target =
                        named.entry((entry.symbol, correction.trade.id)).or_insert(correction.target);
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
        let off =
            |trade: &Trade| !(7_000 * TICK..15_000 * TICK).contains(&trade.price.0) && trade.price.0 > 0;
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

        let (sent, arrived, counts) =
            run(&InjectedFaults { burst: episodes, ..InjectedFaults::default() }, 512);
        assert_eq!(reports(&arrived).len(), sent.len());
        assert!(counts.in_bursts > 1_000, "{counts:?}");
        assert!(longest_silence(&times(&arrived)).is_some_and(|silence| silence > 4 * SECOND));
        let together = times(&arrived).chunk_by(|a, b| a == b).map(<[Nanos]>::len).max();
        assert!(together.is_some_and(|count| count > 300), "{together:?} at once");

        let (sent, arrived, counts) =
            run(&InjectedFaults { halt: episodes, ..InjectedFaults::default() }, 512);
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
}
