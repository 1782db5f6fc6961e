//! Injects faults (drops, repeats, delays, wrong times, and more) into the clean feed of a simulated market.
//!
//! Promises: the result depends on the settings and the seed, not on how the calls are divided. Every entry carries its
//! arrival as the received time. The first trade of each symbol arrives clean, so that the receiver knows the symbol
//! before anything odd happens to it. A clock mark is never further ahead of an undelayed trade that is still under way
//! than that trade's travel time. Nothing here fails.

use super::calendar::Calendar;
use super::connection::Connection;
use super::draws::{Dice, nanos};
use super::faults::{InjectedFaults, Spike, WRONG_TIME_MIN};
use super::market::TICK;
use crate::models::entry::{Body, Cancel, Correction, Entry, SourceId, Trade, TradeId, Updates};
use crate::models::num::{Price, Size};
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;

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

/// Injects faults into the feed of a source.
#[derive(Clone, Debug)]
pub struct FaultInjector {
    settings: InjectedFaults,
    source: SourceId,
    dice: Dice,
    seed: u64,
    /// Symbols whose first trade was sent, by id, and how many are still to come.
    seen: Vec<bool>,
    num_unseen: usize,
    burst: Calendar,
    halt: Calendar,
    halted: (Nanos, Option<SymbolId>),
    connection: Connection,
    counts: InjectedCounts,
}

impl FaultInjector {
    /// Makes the feed of a source that lists `num_symbols` symbols.
    #[must_use]
    pub fn new(settings: &InjectedFaults, source: SourceId, num_symbols: usize, seed: u64) -> FaultInjector {
        FaultInjector {
            burst: Calendar::new(settings.burst),
            halt: Calendar::new(settings.halt),
            connection: Connection::new(source, settings.disconnect, seed),
            settings: settings.clone(),
            source,
            dice: Dice::new(seed, 4),
            seed,
            seen: Vec::new(),
            num_unseen: num_symbols,
            halted: (Nanos::MIN, None),
            counts: InjectedCounts::default(),
        }
    }

    /// Notes that the source lists so many symbols more.
    pub const fn expect(&mut self, num_symbols: usize) {
        self.num_unseen += num_symbols;
    }

    /// Returns how often each thing was done so far.
    #[must_use]
    pub const fn counts(&self) -> InjectedCounts {
        let (lost, disconnects) = (self.connection.num_lost(), self.connection.num_disconnects());
        InjectedCounts { lost, disconnects, ..self.counts }
    }

    /// Takes a clean entry, in order, and sends what the feed makes of it.
    pub fn send(&mut self, entry: &Entry) {
        match entry.body {
            Body::Trade(trade) => self.send_trade(entry.symbol, trade),
            Body::Quote(quote) => self.connection.send(quote.received, entry.symbol, entry.body),
            _ => {}
        }
    }

    fn send_trade(&mut self, symbol: SymbolId, clean: Trade) {
        let now = clean.received;
        if self.connection.open(now) {
            self.burst.plan(now, &mut self.dice);
            self.halt.plan(now, &mut self.dice);
        }
        if self.is_first(symbol) {
            if self.num_unseen == 0 {
                self.connection.allow_disconnects(now);
            }
            self.connection.send(now, symbol, Body::Trade(clean));
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
            self.connection.send(now, symbol, Body::Trade(trade));
            return;
        }
        self.distort(&mut trade);
        let wrong_time = self.settings.wrong_time;
        if self.dice.chance(wrong_time.probability) {
            self.counts.wrong_time += 1;
            let wrong_by = self.dice.within(wrong_time.max).max(WRONG_TIME_MIN);
            let ahead = self.dice.chance(0.5);
            trade.ts = trade.ts.plus(if ahead { wrong_by } else { -wrong_by });
            self.connection.send(now, symbol, Body::Trade(trade));
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
            self.connection.send(later, symbol, Body::Trade(Trade { price, ..trade }));
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
        self.connection.send(at, symbol, body);
        let duplicate = self.settings.duplicate;
        if self.dice.chance(duplicate.probability) {
            self.counts.duplicated += 1;
            let again = at.plus(self.dice.within(duplicate.max));
            self.connection.send(again, symbol, body);
        }
    }

    /// Appends everything that arrives up to and including `now`, with the clock marks and gaps in between. Whatever
    /// was made by then must have been sent.
    pub fn deliver(&mut self, now: Nanos, out: &mut Vec<Entry>) {
        self.connection.deliver(now, out);
    }

    /// Appends everything that is still under way.
    pub fn deliver_rest(&mut self, out: &mut Vec<Entry>) {
        self.connection.deliver_rest(out);
    }
}

#[cfg(test)]
mod tests;
