//! The connection of a simulated feed: what was sent arrives over it, with clock marks, and with gaps for the times in
//! which it was down.
//!
//! Promises: entries come out by arrival, and those that arrive together in the order in which they were sent. A clock
//! mark each second says how far the source has come; marks ascend. What would have arrived while the connection was
//! down is lost, and a gap says so. Memory: what is delayed, so some minutes of the market with the longest delay that
//! the settings allow. Nothing here fails.

use super::calendar::Calendar;
use super::draws::Dice;
use super::faults::{Episodes, WRONG_TIME_MIN};
use crate::models::entry::{Body, Cancel, Correction, Entry, Gap, SourceId, Trade};
use crate::models::symbol::SymbolId;
use crate::models::time::{Nanos, SECOND};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Clock marks come this often.
const MARK_INTERVAL: i64 = SECOND;

/// An entry that is under way. Ordered by arrival, then by when it was sent.
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

/// The connection of a source.
#[derive(Clone, Debug)]
pub struct Connection {
    source: SourceId,
    /// Draws for the connection alone: these are drawn on delivery, others on sending.
    dice: Dice,
    under_way: BinaryHeap<Reverse<Arrival>>,
    num_sent: u64,
    disconnect: Calendar,
    is_down: bool,
    /// It does not go down before this time.
    up_until: Nanos,
    next_mark: Nanos,
    /// Newest event time that arrived, and when it did.
    newest: Option<(Nanos, Nanos)>,
    /// The last mark: a clock that was ahead does not turn back.
    marked: Nanos,
    num_lost: u64,
    num_disconnects: u64,
}

impl Connection {
    /// Makes a connection that has carried nothing yet.
    #[must_use]
    pub fn new(source: SourceId, disconnect: Episodes, seed: u64) -> Connection {
        Connection {
            source,
            dice: Dice::new(seed, 5),
            under_way: BinaryHeap::new(),
            num_sent: 0,
            disconnect: Calendar::new(disconnect),
            is_down: false,
            up_until: Nanos::MAX,
            next_mark: Nanos::MAX,
            newest: None,
            marked: Nanos::MIN,
            num_lost: 0,
            num_disconnects: 0,
        }
    }

    /// Opens the connection: marks and disconnects begin. Returns false if it was open already.
    pub fn open(&mut self, now: Nanos) -> bool {
        if self.next_mark != Nanos::MAX {
            return false;
        }
        self.next_mark = now.plus(MARK_INTERVAL);
        self.disconnect.plan(now, &mut self.dice);
        true
    }

    /// Lets the connection go down after this time. Before, it stays up: a receiver that does not know a symbol yet
    /// could not hold the symbol's windows open for a gap.
    pub const fn allow_disconnects(&mut self, after: Nanos) {
        self.up_until = after;
    }

    /// Returns the number of entries that were lost because it was down.
    #[must_use]
    pub const fn num_lost(&self) -> u64 {
        self.num_lost
    }

    /// Returns how often it went down.
    #[must_use]
    pub const fn num_disconnects(&self) -> u64 {
        self.num_disconnects
    }

    /// Sends an entry that arrives at `at`, which becomes its received time.
    pub fn send(&mut self, at: Nanos, symbol: SymbolId, mut body: Body) {
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

    /// Appends everything that arrives up to and including `now`, with the clock marks and gaps in between. Everything
    /// made by then must have been sent.
    pub fn deliver(&mut self, now: Nanos, out: &mut Vec<Entry>) {
        while let Some(Reverse(next)) = self.under_way.peek().copied().filter(|Reverse(next)| next.at <= now)
        {
            self.under_way.pop();
            self.advance(next.at, out);
            if self.is_down {
                self.num_lost += 1;
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
        self.advance(now, out);
    }

    /// Appends everything that is still under way.
    pub fn deliver_rest(&mut self, out: &mut Vec<Entry>) {
        let last = self.under_way.iter().map(|Reverse(arrival)| arrival.at).max();
        if let Some(last) = last {
            self.deliver(last, out);
        }
    }

    /// Appends the clock marks that are due by `now`, and takes the connection down and up when it is time.
    fn advance(&mut self, now: Nanos, out: &mut Vec<Entry>) {
        loop {
            let switch_at = if self.is_down { self.disconnect.end } else { self.disconnect.begin };
            if self.next_mark.min(switch_at) > now {
                return;
            }
            if switch_at <= self.next_mark {
                self.switch(switch_at, out);
            } else {
                self.mark(out);
            }
        }
    }

    fn switch(&mut self, at: Nanos, out: &mut Vec<Entry>) {
        if self.is_down {
            self.is_down = false;
            let from = self.source_time(self.disconnect.begin);
            let gap = Gap { source: self.source, from, to: self.source_time(at), filled: false };
            out.push(Entry { pos: 0, symbol: SymbolId::NONE, body: Body::Gap(gap) });
            self.disconnect.plan(at, &mut self.dice);
        } else if at <= self.up_until {
            self.disconnect.plan(at.plus(1), &mut self.dice);
        } else {
            self.is_down = true;
            self.num_disconnects += 1;
        }
    }

    fn mark(&mut self, out: &mut Vec<Entry>) {
        if !self.is_down && self.newest.is_some() {
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
