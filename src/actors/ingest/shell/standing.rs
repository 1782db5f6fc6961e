//! How a venue stands: what its feed tells whoever decides between several venues.
//!
//! Promises: it is written and read on one thread, so nothing waits; a report costs two stores. Nothing here fails.

use super::super::venue::Then;
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How the connections of a venue are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Not all of them have come about, and none has failed.
    #[default]
    Connecting,
    /// All of them are subscribed.
    Up,
    /// One of them is broken, or could not be made.
    Down,
}

/// How a venue stands. Its feed writes it.
#[derive(Debug)]
pub struct Standing {
    phase: Cell<Phase>,
    reason: RefCell<String>,
    num_breaks: Cell<u32>,
    num_reports: Cell<u64>,
    newest: Cell<Nanos>,
    clock: Cell<Nanos>,
    gap: Cell<Nanos>,
    suspect: Cell<Nanos>,
    sending_since: Cell<Option<Instant>>,
    left_out: RefCell<BTreeSet<SymbolId>>,
    refused: Cell<Option<Then>>,
}

impl Default for Standing {
    fn default() -> Standing {
        Standing {
            phase: Cell::default(),
            reason: RefCell::default(),
            num_breaks: Cell::default(),
            num_reports: Cell::default(),
            newest: Cell::new(Nanos::MIN),
            clock: Cell::new(Nanos::MIN),
            gap: Cell::new(Nanos::MAX),
            suspect: Cell::new(Nanos::MAX),
            sending_since: Cell::default(),
            left_out: RefCell::default(),
            refused: Cell::default(),
        }
    }
}

impl Standing {
    /// Notes that all connections are subscribed.
    pub fn note_up(&self) {
        self.phase.set(Phase::Up);
        self.refused.set(None);
        self.reason.borrow_mut().clear();
    }

    /// Notes that a connection is broken, or could not be made, and why.
    pub fn note_down(&self, reason: &str) {
        self.phase.set(Phase::Down);
        self.num_breaks.set(self.num_breaks.get().wrapping_add(1));
        reason.clone_into(&mut self.reason.borrow_mut());
    }

    /// Notes a report, which is on its way to the log.
    pub fn note_report(&self) {
        self.num_reports.set(self.num_reports.get() + 1);
    }

    /// Notes the event time of a report that the log has.
    pub fn note_newest(&self, time: Nanos) {
        self.newest.set(self.newest.get().max(time));
    }

    /// Notes the venue's clock, that of its connection that is behind, as far as the log has what was said until then.
    pub fn note_clock(&self, time: Nanos) {
        self.clock.set(self.clock.get().max(time));
    }

    /// Notes where the earliest gap begins that is yet to be filled; [`Nanos::MAX`] where there is none.
    pub fn note_gap(&self, time: Nanos) {
        self.gap.set(time);
    }

    /// Notes where the earliest hole begins that may be no more than reordered trades; [`Nanos::MAX`] where there is none.
    pub fn note_suspect(&self, time: Nanos) {
        self.suspect.set(time);
    }

    /// Notes since when something has been handed to the log that it has not taken; `None`: it has taken everything.
    pub fn note_sending(&self, since: Option<Instant>) {
        self.sending_since.set(since);
    }

    /// Notes that the venue refuses a symbol, or that it has it after all.
    pub fn note_left_out(&self, symbol: SymbolId, is_left_out: bool) {
        let mut left_out = self.left_out.borrow_mut();
        if is_left_out {
            left_out.insert(symbol)
        } else {
            left_out.remove(&symbol)
        };
    }

    /// Notes that the venue refuses what it was asked for, and what its feed does then.
    pub fn note_refusal(&self, then: Then) {
        self.refused.set(Some(then));
    }

    /// Returns how the connections are.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Returns why a connection is down, for people; empty where none is.
    #[must_use]
    pub fn reason(&self) -> String {
        self.reason.borrow().clone()
    }

    /// Returns how often a connection broke, or could not be made.
    #[must_use]
    pub fn num_breaks(&self) -> u32 {
        self.num_breaks.get()
    }

    /// Returns how many reports came.
    #[must_use]
    pub fn num_reports(&self) -> u64 {
        self.num_reports.get()
    }

    /// Returns the newest event time of a report that the log has; [`Nanos::MIN`] before the first.
    #[must_use]
    pub fn newest(&self) -> Nanos {
        self.newest.get()
    }

    /// Returns what the venue's clock shows; [`Nanos::MIN`] before it told the time.
    #[must_use]
    pub fn clock(&self) -> Nanos {
        self.clock.get()
    }

    /// Returns where the earliest gap begins that is yet to be filled; [`Nanos::MAX`] where there is none.
    #[must_use]
    pub fn gap(&self) -> Nanos {
        self.gap.get()
    }

    /// Returns up to when everything was said, but for what may come in another order: where the earliest gap or hole begins;
    /// [`Nanos::MAX`] where there is none.
    #[must_use]
    pub fn whole_until(&self) -> Nanos {
        self.gap.get().min(self.suspect.get())
    }

    /// True when the log has not taken for so long what was handed to it, so that nothing more is read of the venue.
    #[must_use]
    pub fn is_held_up(&self, span: Duration) -> bool {
        self.sending_since.get().is_some_and(|since| since.elapsed() >= span)
    }

    /// Returns the symbols that the venue refuses.
    #[must_use]
    pub fn left_out(&self) -> BTreeSet<SymbolId> {
        self.left_out.borrow().clone()
    }

    /// Returns how many symbols the venue refuses.
    #[must_use]
    pub fn num_left_out(&self) -> usize {
        self.left_out.borrow().len()
    }

    /// Returns what is done about the last refusal, if there was one since the connections were up last.
    #[must_use]
    pub fn refused(&self) -> Option<Then> {
        self.refused.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_venue_that_comes_up_again_is_not_refused_any_more() {
        let standing = Standing::default();
        assert_eq!((standing.phase(), standing.gap()), (Phase::Connecting, Nanos::MAX));
        standing.note_refusal(Then::Stop);
        standing.note_down("bad key");
        assert_eq!((standing.refused(), standing.num_breaks()), (Some(Then::Stop), 1));
        assert_eq!(standing.reason(), "bad key");
        standing.note_up();
        assert_eq!((standing.refused(), standing.reason().as_str()), (None, ""));
        standing.note_down("kicked");
        assert_eq!(standing.refused(), None);
    }

    #[test]
    fn a_hole_that_may_be_none_counts_like_a_gap_for_what_was_said() {
        let standing = Standing::default();
        assert_eq!(standing.whole_until(), Nanos::MAX);
        standing.note_suspect(Nanos(7));
        assert_eq!((standing.whole_until(), standing.gap()), (Nanos(7), Nanos::MAX));
        standing.note_gap(Nanos(5));
        assert_eq!(standing.whole_until(), Nanos(5));
    }

    #[test]
    fn a_symbol_is_left_out_until_the_venue_has_it_after_all() {
        let standing = Standing::default();
        [1, 2, 2].into_iter().for_each(|symbol| standing.note_left_out(SymbolId(symbol), true));
        standing.note_left_out(SymbolId(1), false);
        assert_eq!((standing.num_left_out(), standing.left_out()), (1, BTreeSet::from([SymbolId(2)])));
    }

    #[test]
    fn times_only_move_on() {
        let standing = Standing::default();
        for time in [5, 9, 7] {
            standing.note_report();
            standing.note_newest(Nanos(time));
            standing.note_clock(Nanos(time * 10));
        }
        assert_eq!((standing.num_reports(), standing.newest(), standing.clock()), (3, Nanos(9), Nanos(90)));
    }
}
