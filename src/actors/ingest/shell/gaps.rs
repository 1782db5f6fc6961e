//! The open gaps of a source: stretches of event time in which it may have reported less than happened.
//!
//! Promises: a stretch is reported as filled once, and only as far as no other open gap covers it, since one `filled`
//! entry counts for every symbol of the source; it counts as waiting until the log has been told. Nothing here fails.

use crate::models::time::Nanos;
use std::collections::BTreeMap;

/// Names an open gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GapId(u64);

#[derive(Clone, Copy, Debug)]
struct Open {
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
    /// Opens a gap that ends when it has been released `holds` times.
    pub fn open(&mut self, from: Nanos, to: Nanos, holds: usize) -> GapId {
        let id = GapId(self.next);
        self.next += 1;
        self.open.insert(id, Open { from, to, holds, is_given_up: holds == 0 });
        id
    }

    /// Moves the end of an open gap on. Returns where it ended before; `None` where nothing changes.
    pub fn extend(&mut self, id: GapId, to: Nanos) -> Option<Nanos> {
        let gap = self.open.get_mut(&id).filter(|gap| gap.to < to)?;
        Some(std::mem::replace(&mut gap.to, to))
    }

    /// Takes one hold off a gap. Returns the stretches that are whole with it, which the log is then to be told, and
    /// [`GapBook::told`] after that; none while something else is missing.
    pub fn release(&mut self, id: GapId) -> Vec<(Nanos, Nanos)> {
        let Some(gap) = self.open.get_mut(&id) else { return Vec::new() };
        gap.holds = gap.holds.saturating_sub(1);
        if gap.holds > 0 || gap.is_given_up {
            return Vec::new();
        }
        let Open { from, to, .. } = *gap;
        self.open.remove(&id);
        self.untold.insert(id, from);
        self.without_others(from, to)
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
    pub fn stretches(&self) -> impl Iterator<Item = (Nanos, Nanos)> {
        self.open.values().map(|gap| (gap.from, gap.to))
    }

    /// Returns where the earliest gap begins that is yet to be filled; [`Nanos::MAX`] where there is none.
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

    /// Returns the parts of a stretch that no open gap covers.
    fn without_others(&self, from: Nanos, to: Nanos) -> Vec<(Nanos, Nanos)> {
        let mut parts = vec![(from, to)];
        for (start, end) in self.stretches() {
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

    #[test]
    fn a_gap_is_filled_when_its_last_hold_is_released() {
        let mut book = GapBook::default();
        let gap = book.open(Nanos(0), Nanos(10), 2);
        assert_eq!(book.release(gap), []);
        assert_eq!(book.stretches().collect::<Vec<_>>(), [(Nanos(0), Nanos(10))]);
        assert_eq!(book.first_waiting(), Nanos(0));
        assert_eq!(book.release(gap), [(Nanos(0), Nanos(10))]);
        assert_eq!((book.first_waiting(), book.num_waiting()), (Nanos(0), 1), "the log is yet to be told");
        book.told(&[gap]);
        assert_eq!((book.first_waiting(), book.num_waiting()), (Nanos::MAX, 0));
        assert_eq!(book.release(gap), [], "once");
        assert_eq!(book.stretches().count(), 0);
    }

    #[test]
    fn a_gap_that_grew_is_filled_as_a_whole() {
        let mut book = GapBook::default();
        let gap = book.open(Nanos(0), Nanos(10), 1);
        assert_eq!(book.extend(gap, Nanos(25)), Some(Nanos(10)));
        assert_eq!(book.extend(gap, Nanos(20)), None, "it never shrinks");
        assert_eq!(book.release(gap), [(Nanos(0), Nanos(25))]);
        assert_eq!(book.extend(gap, Nanos(30)), None, "it is no more");
    }

    #[test]
    fn what_is_given_up_stays_open_until_it_is_old() {
        let mut book = GapBook::default();
        let gap = book.open(Nanos(0), Nanos(10), 2);
        book.give_up(gap);
        assert_eq!((book.release(gap), book.first_waiting()), (vec![], Nanos::MAX));
        let other = book.open(Nanos(5), Nanos(20), 1);
        assert_eq!(book.release(other), [(Nanos(10), Nanos(20))]);
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
                .map(|&(from, len)| (book.open(Nanos(from), Nanos(from + len), 1), from, from + len))
                .collect();
            let covered: Vec<bool> =
                (0..100).map(|at| open.iter().any(|&(_, from, to)| (from..to).contains(&at))).collect();
            let mut filled = vec![0; 100];
            for index in order {
                if open.is_empty() {
                    break;
                }
                let (id, ..) = open.remove(index.index(open.len()));
                for (from, to) in book.release(id) {
                    for at in from.0..to.0 {
                        prop_assert!(!open.iter().any(|&(_, from, to)| (from..to).contains(&at)));
                        filled[at as usize] += 1;
                    }
                }
            }
            for (id, ..) in open {
                for (from, to) in book.release(id) {
                    (from.0..to.0).for_each(|at| filled[at as usize] += 1);
                }
            }
            let expected: Vec<i32> = covered.iter().map(|&covered| i32::from(covered)).collect();
            prop_assert_eq!(filled, expected);
        }
    }
}
