//! Reports of symbols whose past is yet to come: they wait, so that what the venue's bars say of the time before them is
//! in the log first.
//!
//! Promises: reports of a symbol keep their order; none is lost, and each waits only so long. Where there is no room for
//! one more, its symbol goes without its past. Nothing here fails.

use crate::models::entry::Entry;
use crate::models::time::Nanos;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How long a report waits at the most: well below the time after which a window takes no more.
pub(super) const HOLD_MAX: Duration = Duration::from_secs(15);

/// Reports of all symbols that wait at the most: 30 MB.
const REPORTS_MAX: usize = 1 << 18;

/// Reports of one symbol.
#[derive(Default)]
struct Held {
    reports: Vec<Entry>,
    since: Option<Instant>,
}

/// What becomes of a report.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It waits.
    Waits,
    /// Its symbol waits for nothing.
    Goes,
    /// There is no room: its symbol waits no more, and these come before it.
    Overflows(Vec<Entry>),
}

/// Symbols that wait for their past, by their places.
#[derive(Default)]
pub(super) struct Waiting {
    symbols: RefCell<BTreeMap<usize, Held>>,
    num_reports: Cell<usize>,
    added: Notify,
}

impl Waiting {
    /// Has the symbols of these places wait.
    pub fn new(places: impl Iterator<Item = usize>) -> Waiting {
        let symbols = places.map(|place| (place, Held::default())).collect();
        Waiting { symbols: RefCell::new(symbols), num_reports: Cell::new(0), added: Notify::new() }
    }

    /// Has one more symbol wait.
    pub fn add(&self, place: usize) {
        self.symbols.borrow_mut().insert(place, Held::default());
        self.added.notify_waiters();
    }

    /// Waits until a symbol waits.
    pub async fn added(&self) {
        loop {
            let added = self.added.notified();
            if self.len() > 0 {
                return;
            }
            added.await;
        }
    }

    /// Returns how many symbols wait.
    pub fn len(&self) -> usize {
        self.symbols.borrow().len()
    }

    /// True when the symbol at a place waits.
    pub fn has(&self, place: usize) -> bool {
        self.symbols.borrow().contains_key(&place)
    }

    /// Takes a report of the symbol at a place.
    pub fn hold(&self, place: usize, entry: &Entry) -> Taken {
        let mut symbols = self.symbols.borrow_mut();
        let Some(held) = symbols.get_mut(&place) else { return Taken::Goes };
        if self.num_reports.get() >= REPORTS_MAX {
            drop(symbols);
            return Taken::Overflows(self.let_go(place).unwrap_or_default());
        }
        self.num_reports.set(self.num_reports.get() + 1);
        held.since.get_or_insert_with(Instant::now);
        held.reports.push(*entry);
        Taken::Waits
    }

    /// Returns the place whose past is wanted first: one whose reports wait the longest, or else the first one.
    pub fn next(&self) -> Option<usize> {
        let symbols = self.symbols.borrow();
        let since = |held: &Held| (held.since.is_none(), held.since);
        symbols.iter().min_by_key(|(place, held)| (since(held), **place)).map(|(place, _)| *place)
    }

    /// Returns the places that wait.
    pub fn places(&self) -> Vec<usize> {
        self.symbols.borrow().keys().copied().collect()
    }

    /// Returns the places whose reports have waited long enough.
    pub fn overdue(&self, now: Instant) -> Vec<usize> {
        let is_overdue =
            |held: &Held| held.since.is_some_and(|since| now.saturating_duration_since(since) >= HOLD_MAX);
        self.symbols.borrow().iter().filter(|(_, held)| is_overdue(held)).map(|(place, _)| *place).collect()
    }

    /// Returns the earliest event time of the reports that wait at a place.
    pub fn earliest(&self, place: usize) -> Option<Nanos> {
        self.symbols.borrow().get(&place)?.reports.iter().map(|entry| entry.body.time()).min()
    }

    /// Ends the wait of a place; returns its reports, unless it was over before.
    pub fn let_go(&self, place: usize) -> Option<Vec<Entry>> {
        let Held { reports, .. } = self.symbols.borrow_mut().remove(&place)?;
        self.num_reports.set(self.num_reports.get() - reports.len());
        Some(reports)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::entry::{Body, Trade};
    use crate::models::symbol::SymbolId;

    fn report(at: i64) -> Entry {
        Entry { pos: 0, symbol: SymbolId(1), body: Body::Trade(Trade::for_test(1, Nanos(at))) }
    }

    #[test]
    fn reports_wait_in_their_order_and_only_so_long() {
        let waiting = Waiting::new([2, 5, 7].into_iter());
        assert_eq!(waiting.hold(3, &report(1)), Taken::Goes);
        assert_eq!(waiting.next(), Some(2));
        for at in [30, 20, 40] {
            assert_eq!(waiting.hold(7, &report(at)), Taken::Waits);
        }
        assert_eq!(
            (waiting.next(), waiting.earliest(7)),
            (Some(7), Some(Nanos(20))),
            "who trades comes first"
        );
        let now = Instant::now();
        assert_eq!(waiting.overdue(now), [0; 0]);
        assert_eq!(waiting.overdue(now + HOLD_MAX), [7]);
        let times = |held: Vec<Entry>| held.iter().map(|entry| entry.body.time().0).collect::<Vec<_>>();
        assert_eq!(waiting.let_go(7).map(times), Some(vec![30, 20, 40]));
        assert_eq!((waiting.let_go(7), waiting.len(), waiting.has(7)), (None, 2, false));
    }

    #[test]
    fn without_room_a_symbol_goes_on_with_what_waits() {
        let waiting = Waiting::new([2, 5].into_iter());
        for _ in 0..REPORTS_MAX {
            waiting.hold(2, &report(1));
        }
        assert_eq!(waiting.hold(5, &report(2)), Taken::Overflows(Vec::new()));
        let Taken::Overflows(held) = waiting.hold(2, &report(3)) else { panic!("there is no room") };
        assert_eq!(
            (held.len(), waiting.hold(2, &report(4)), waiting.num_reports.get()),
            (REPORTS_MAX, Taken::Goes, 0)
        );
    }
}
