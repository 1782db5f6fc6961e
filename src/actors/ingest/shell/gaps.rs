//! The open gaps of a source: stretches of event time in which it may have reported less than happened, of all its symbols or
//! of one.
//!
//! Promises: a stretch is reported as filled once, and only as far as no other open gap covers it; it counts as waiting until
//! the log has been told. What is filled for all symbols is filled for each of them, so the gaps of single ones in it are told
//! anew. Nothing here fails.

use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use std::collections::BTreeMap;

/// Names an open gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GapId(u64);

/// A stretch of which the log is told: of the symbol, or of all ([`SymbolId::NONE`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub symbol: SymbolId,
    pub from: Nanos,
    pub to: Nanos,
    pub is_filled: bool,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    symbol: SymbolId,
    from: Nanos,
    to: Nanos,
    /// What is yet to be filled before the gap is.
    holds: usize,
    /// A part of it was given up: it stays a gap, whatever else is filled.
    is_given_up: bool,
}

/// The gaps of one source.
#[derive(Debug, Default)]
pub(super) struct GapBook {
    open: BTreeMap<GapId, Open>,
    /// Where those begin that are filled, while the entries that say so are on their way to the log.
    untold: BTreeMap<GapId, Nanos>,
    next: u64,
}

impl GapBook {
    /// Opens a gap of a symbol, or of all, that ends when it has been released `holds` times.
    pub fn open(&mut self, symbol: SymbolId, from: Nanos, to: Nanos, holds: usize) -> GapId {
        let id = GapId(self.next);
        self.next += 1;
        self.open.insert(id, Open { symbol, from, to, holds, is_given_up: holds == 0 });
        id
    }

    /// Moves the end of an open gap on. Returns what it is longer by; `None` where nothing changes.
    pub fn extend(&mut self, id: GapId, to: Nanos) -> Option<Stretch> {
        let gap = self.open.get_mut(&id).filter(|gap| gap.to < to)?;
        let from = std::mem::replace(&mut gap.to, to);
        Some(Stretch { symbol: gap.symbol, from, to, is_filled: false })
    }

    /// Takes one hold off a gap. Returns what the log is then to be told, and [`GapBook::told`] after that; nothing while
    /// something else is missing.
    pub fn release(&mut self, id: GapId) -> Vec<Stretch> {
        let Some(gap) = self.open.get_mut(&id) else { return Vec::new() };
        gap.holds = gap.holds.saturating_sub(1);
        if gap.holds > 0 || gap.is_given_up {
            return Vec::new();
        }
        let Open { symbol, from, to, .. } = *gap;
        self.open.remove(&id);
        self.untold.insert(id, from);
        let filled = self.without_others(symbol, from, to);
        let stretch = |(from, to)| Stretch { symbol, from, to, is_filled: true };
        let mut told: Vec<Stretch> = filled.into_iter().map(stretch).collect();
        if symbol == SymbolId::NONE {
            told.extend(
                self.stretches().filter(|one| one.symbol != SymbolId::NONE && one.from < to && from < one.to),
            );
        }
        told
    }

    /// Forgets the gaps of one symbol: nothing is told of it any more.
    pub fn forget(&mut self, symbol: SymbolId) {
        self.open.retain(|_, gap| gap.symbol != symbol);
    }

    /// True for a gap that is filled, which the log has not been told.
    pub fn is_untold(&self, id: GapId) -> bool {
        self.untold.contains_key(&id)
    }

    /// The log knows that gaps are filled.
    pub fn told(&mut self, filled: &[GapId]) {
        filled.iter().for_each(|id| _ = self.untold.remove(id));
    }

    /// Takes one hold off a gap whose trades cannot be had: it stays open for good.
    pub fn give_up(&mut self, id: GapId) {
        if let Some(gap) = self.open.get_mut(&id) {
            gap.holds = gap.holds.saturating_sub(1);
            gap.is_given_up = true;
        }
    }

    /// Returns every open stretch.
    pub fn stretches(&self) -> impl Iterator<Item = Stretch> {
        let stretch =
            |gap: &Open| Stretch { symbol: gap.symbol, from: gap.from, to: gap.to, is_filled: false };
        self.open.values().map(stretch)
    }

    /// Returns where the earliest gap begins that is yet to be filled, whosever it is; [`Nanos::MAX`] where there is none.
    pub fn first_waiting(&self) -> Nanos {
        let waiting = self.open.values().filter(|gap| !gap.is_given_up).map(|gap| gap.from);
        waiting.chain(self.untold.values().copied()).min().unwrap_or(Nanos::MAX)
    }

    /// Returns how many gaps are yet to be filled.
    pub fn num_waiting(&self) -> usize {
        self.open.values().filter(|gap| !gap.is_given_up).count() + self.untold.len()
    }

    /// Forgets gaps that were given up and end before a time: nothing that is filled reaches back to them.
    pub fn forget_before(&mut self, time: Nanos) {
        self.open.retain(|_, gap| gap.holds > 0 || gap.to > time);
    }

    /// Returns the parts of a stretch that no other open gap covers: of all symbols, or of the same one.
    fn without_others(&self, symbol: SymbolId, from: Nanos, to: Nanos) -> Vec<(Nanos, Nanos)> {
        let mut parts = vec![(from, to)];
        let others = self.stretches().filter(|one| one.symbol == SymbolId::NONE || one.symbol == symbol);
        for Stretch { from: start, to: end, .. } in others {
            let cut = |(from, to): (Nanos, Nanos)| [(from, to.min(start)), (from.max(end), to)];
            let touches = |&(from, to): &(Nanos, Nanos)| start < to && from < end;
            parts = parts
                .into_iter()
                .flat_map(|part| if touches(&part) { cut(part).to_vec() } else { vec![part] })
                .filter(|(from, to)| from < to)
                .collect();
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(from: i64, to: i64) -> Stretch {
        Stretch { symbol: SymbolId::NONE, from: Nanos(from), to: Nanos(to), is_filled: true }
    }

    #[test]
    fn a_gap_of_one_symbol_is_nobody_elses() {
        let mut book = GapBook::default();
        let (one, other) = (SymbolId(1), SymbolId(2));
        let own = book.open(one, Nanos(5), Nanos(15), 1);
        let others = book.open(other, Nanos(0), Nanos(10), 1);
        assert_eq!(book.first_waiting(), Nanos(0), "whoever takes charge is to bring it");
        assert_eq!(book.release(others), [Stretch { symbol: other, ..filled(0, 10) }]);
        assert_eq!((book.first_waiting(), book.num_waiting()), (Nanos(0), 2), "the log is yet to be told");
        book.told(&[others]);
        assert_eq!((book.first_waiting(), book.num_waiting()), (Nanos(5), 1));
        let all = book.open(SymbolId::NONE, Nanos(0), Nanos(10), 1);
        let told = Stretch { symbol: one, is_filled: false, ..filled(5, 15) };
        assert_eq!(book.release(all), [filled(0, 10), told], "what it lacks is told again");
        let all = book.open(SymbolId::NONE, Nanos(10), Nanos(20), 1);
        assert_eq!(book.release(own), [Stretch { symbol: one, ..filled(5, 10) }]);
        assert_eq!(book.release(all), [filled(10, 20)]);
        book.open(one, Nanos(0), Nanos(5), 0);
        book.forget(one);
        assert_eq!(book.stretches().count(), 0);
    }

    #[test]
    fn a_gap_is_filled_when_its_last_hold_is_released() {
        let mut book = GapBook::default();
        let gap = book.open(SymbolId::NONE, Nanos(0), Nanos(10), 2);
        assert_eq!(book.release(gap), []);
        assert_eq!(book.stretches().collect::<Vec<_>>(), [Stretch { is_filled: false, ..filled(0, 10) }]);
        assert_eq!(book.first_waiting(), Nanos(0));
        assert_eq!(book.release(gap), [filled(0, 10)]);
        assert_eq!((book.first_waiting(), book.num_waiting()), (Nanos(0), 1), "the log is yet to be told");
        book.told(&[gap]);
        assert_eq!((book.first_waiting(), book.num_waiting()), (Nanos::MAX, 0));
        assert_eq!(book.release(gap), [], "once");
        assert_eq!(book.stretches().count(), 0);
    }

    #[test]
    fn a_gap_that_grew_is_filled_as_a_whole() {
        let mut book = GapBook::default();
        let gap = book.open(SymbolId::NONE, Nanos(0), Nanos(10), 1);
        let longer = Stretch { is_filled: false, ..filled(10, 25) };
        assert_eq!(book.extend(gap, Nanos(25)), Some(longer));
        assert_eq!(book.extend(gap, Nanos(20)), None, "it never shrinks");
        assert_eq!(book.release(gap), [filled(0, 25)]);
        assert_eq!(book.extend(gap, Nanos(30)), None, "it is no more");
    }

    #[test]
    fn what_is_given_up_stays_open_until_it_is_old() {
        let mut book = GapBook::default();
        let gap = book.open(SymbolId::NONE, Nanos(0), Nanos(10), 2);
        book.give_up(gap);
        assert_eq!((book.release(gap), book.first_waiting()), (vec![], Nanos::MAX));
        let other = book.open(SymbolId::NONE, Nanos(5), Nanos(20), 1);
        assert_eq!(book.release(other), [filled(10, 20)]);
        book.forget_before(Nanos(9));
        assert_eq!(book.stretches().count(), 1);
        book.forget_before(Nanos(10));
        assert_eq!(book.stretches().count(), 0);
        assert_eq!(book.release(gap), []);
    }

    proptest! {
        /// Whatever overlaps and in whatever order it ends: nothing is filled twice or while something covers it, and in
        /// the end everything is.
        #[test]
        fn each_moment_is_filled_once_when_its_last_gap_ends(
            gaps in prop::collection::vec((0_i64..50, 1_i64..30), 1..8),
            order in prop::collection::vec(any::<prop::sample::Index>(), 8),
        ) {
            let mut book = GapBook::default();
            let mut open: Vec<(GapId, i64, i64)> = gaps
                .iter()
                .map(|&(from, len)| (book.open(SymbolId::NONE, Nanos(from), Nanos(from + len), 1), from, from + len))
                .collect();
            let covered: Vec<bool> =
                (0..100).map(|at| open.iter().any(|&(_, from, to)| (from..to).contains(&at))).collect();
            let mut filled = vec![0; 100];
            for index in order {
                if open.is_empty() {
                    break;
                }
                let (id, ..) = open.remove(index.index(open.len()));
                for Stretch { from, to, .. } in book.release(id) {
                    for at in from.0..to.0 {
                        prop_assert!(!open.iter().any(|&(_, from, to)| (from..to).contains(&at)));
                        filled[at as usize] += 1;
                    }
                }
            }
            for (id, ..) in open {
                for Stretch { from, to, .. } in book.release(id) {
                    (from.0..to.0).for_each(|at| filled[at as usize] += 1);
                }
            }
            let expected: Vec<i32> = covered.iter().map(|&covered| i32::from(covered)).collect();
            prop_assert_eq!(filled, expected);
        }
    }
}
