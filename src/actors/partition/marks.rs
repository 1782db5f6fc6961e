//! Clock marks on their way to symbols.
//!
//! A batch has one list of marks for all symbols of a shard, and a symbol observes only what it needs of it: those for
//! which something is due, and the newest of each source before its next own entry. So a mark costs what it brings
//! about and not an entry for every symbol.
//!
//! Promises: a symbol ends as if it had been given every mark. A new symbol starts after the marks already seen, so it
//! needs none of them.
//! Nothing here fails.

use crate::models::entry::{Body, Entry, Position, SourceId};
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use smallvec::SmallVec;
use std::ops::Range;

/// A clock mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its place in the log.
    pub pos: Position,
    /// The source's event time then.
    pub time: Nanos,
    /// The source whose clock it is.
    pub source: SourceId,
}

impl Mark {
    /// Returns the mark that an entry is, if it is one.
    #[must_use]
    pub const fn of(entry: &Entry) -> Option<Mark> {
        match entry.body {
            Body::ClockMark { source, time } => Some(Mark { pos: entry.pos, time, source }),
            _ => None,
        }
    }

    /// Returns it as an entry.
    #[must_use]
    pub const fn entry(self) -> Entry {
        let Mark { pos, time, source } = self;
        Entry { pos, symbol: SymbolId::NONE, body: Body::ClockMark { source, time } }
    }
}

/// The newest mark of each source before a batch, then the marks in it; by position.
#[derive(Debug, Default)]
pub struct MarkList {
    marks: Vec<Mark>,
    /// All are of one source and no time is before the one ahead of it, so that they can be searched.
    is_plain: bool,
}

/// Newest marks, one a source.
type Newest = SmallVec<[Mark; 2]>;

impl MarkList {
    /// Makes a list of marks with ascending positions.
    #[must_use]
    pub fn new(marks: Vec<Mark>) -> MarkList {
        debug_assert!(marks.is_sorted_by_key(|mark| mark.pos), "positions ascend");
        let is_plain =
            marks.windows(2).all(|two| two[0].source == two[1].source && two[0].time <= two[1].time);
        MarkList { marks, is_plain }
    }

    /// Returns the index of the first mark after a position, looking from an index on.
    fn after(&self, pos: Position, from: usize) -> usize {
        match self.marks.get(from) {
            Some(next) if next.pos <= pos => {
                from + self.marks[from..].partition_point(|mark| mark.pos <= pos)
            }
            _ => from,
        }
    }

    /// Returns the index of the first mark at which something is due.
    fn first_due(&self, range: Range<usize>, due: Nanos) -> Option<usize> {
        let marks = &self.marks[range.clone()];
        if marks.last().is_none_or(|last| self.is_plain && last.time < due) {
            return None;
        }
        let found = if self.is_plain {
            Some(marks.partition_point(|mark| mark.time < due))
        } else {
            marks.iter().position(|mark| mark.time >= due)
        };
        found.map(|at| range.start + at)
    }

    /// Returns the newest mark of each source, by position.
    fn newest(&self, range: Range<usize>) -> Newest {
        let mut newest = Newest::new();
        let wanted = if self.is_plain { 1 } else { usize::MAX };
        for mark in self.marks[range].iter().rev().take(wanted) {
            if newest.iter().all(|known| known.source != mark.source) {
                newest.push(*mark);
            }
        }
        newest.reverse();
        newest
    }
}

/// What observes marks and takes entries: a symbol.
pub trait Listener {
    /// Returns the last entry it knows; 0 when it knows nothing.
    fn pos(&self) -> Position;
    /// Returns the time from which on a mark brings something about.
    fn due(&self) -> Nanos;
    /// Observes a mark.
    fn observe(&mut self, mark: Mark);
    /// Takes an entry of its own.
    fn take(&mut self, entry: &Entry);
}

/// Gives a symbol its own entries and what it needs of the marks up to a position, in log order.
pub fn deliver(to: &mut impl Listener, entries: &[Entry], marks: &MarkList, through: Position) {
    let mut from = 0;
    for entry in entries {
        let until = marks.after(entry.pos, from);
        give(to, marks, from..until, true);
        from = until;
        to.take(entry);
    }
    give(to, marks, from..marks.after(through, from), false);
}

/// Gives a symbol what it needs of some marks, ahead of its own next entry or with none in sight.
fn give(to: &mut impl Listener, marks: &MarkList, range: Range<usize>, is_ahead: bool) {
    if range.is_empty() || to.pos() == 0 {
        return;
    }
    // After a start a symbol may know more than the batch brings.
    let mut from = marks.after(to.pos(), range.start).min(range.end);
    while let Some(at) = marks.first_due(from..range.end, to.due()) {
        if !marks.is_plain {
            marks.newest(from..at).into_iter().for_each(|mark| to.observe(mark));
        }
        to.observe(marks.marks[at]);
        from = at + 1;
    }
    if is_ahead {
        marks.newest(from..range.end).into_iter().for_each(|mark| to.observe(mark));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::effect::Effect;
    use crate::models::entry::Trade;
    use crate::models::names::for_test::ListedNames;
    use crate::models::settings::CoreSettings;
    use crate::models::state::SymbolState;
    use crate::models::symbol::SymbolSpec;
    use crate::models::time::SECOND;
    use proptest::prelude::*;
    use std::sync::Arc;

    struct Observer {
        state: SymbolState,
        effects: Vec<Effect>,
        positions: Vec<Position>,
    }

    impl Observer {
        fn new() -> Observer {
            let names = ListedNames::of_sources(&["a", "b", "c", "d", "e", "f", "g", "h"]);
            let settings = Arc::new(CoreSettings::default());
            let state = SymbolState::new(SymbolId(0), &SymbolSpec::named("A"), settings, names);
            Observer { state, effects: Vec::new(), positions: Vec::new() }
        }
    }

    impl Listener for Observer {
        fn pos(&self) -> Position {
            self.state.pos()
        }

        fn due(&self) -> Nanos {
            self.state.next_due()
        }

        fn observe(&mut self, mark: Mark) {
            self.take(&mark.entry());
        }

        fn take(&mut self, entry: &Entry) {
            self.positions.push(entry.pos);
            self.state.apply(std::slice::from_ref(entry), &mut self.effects);
        }
    }

    fn trade(pos: Position, second: i64) -> Entry {
        let body = Body::Trade(Trade::for_test(pos, Nanos(second * SECOND)));
        Entry { pos, symbol: SymbolId(0), body }
    }

    fn mark(pos: Position, second: i64, source: u16) -> Mark {
        Mark { pos, time: Nanos(second * SECOND), source: SourceId(source) }
    }

    #[test]
    fn a_symbol_observes_the_newest_mark_before_its_entry_and_what_is_due() {
        let mut symbol = Observer::new();
        let marks = MarkList::new(vec![mark(1, 1, 0), mark(3, 2, 0), mark(4, 3, 0), mark(6, 4, 0)]);
        deliver(&mut symbol, &[trade(2, 1), trade(5, 3)], &marks, 6);
        assert_eq!(symbol.positions, [2, 4, 5], "it begins after the first; the last may still be outdated");
        let marks = MarkList::new(vec![mark(6, 4, 0), mark(7, 100, 0), mark(8, 101, 0)]);
        deliver(&mut symbol, &[], &marks, 8);
        assert_eq!(symbol.positions, [2, 4, 5, 7], "the one that closes its bar");
        deliver(&mut symbol, &[trade(9, 102)], &marks, 9);
        assert_eq!(symbol.positions, [2, 4, 5, 7, 8, 9], "what it knows is not given again");
    }

    #[test]
    fn a_symbol_that_knows_more_than_the_batch_observes_only_what_is_new() {
        let mut symbol = Observer::new();
        deliver(&mut symbol, &[trade(5, 3)], &MarkList::default(), 5);
        let marks = MarkList::new(vec![mark(1, 1, 0), mark(3, 2, 0), mark(4, 3, 0), mark(7, 100, 0)]);
        deliver(&mut symbol, &[trade(2, 1), trade(5, 3)], &marks, 6);
        assert_eq!(
            (symbol.state.pos(), symbol.state.num_accepted()),
            (5, 1),
            "what it knows changes nothing"
        );
        deliver(&mut symbol, &[], &marks, 7);
        assert_eq!(symbol.positions.last(), Some(&7));
    }

    #[test]
    fn marks_of_other_sources_keep_their_place() {
        let mut symbol = Observer::new();
        deliver(&mut symbol, &[trade(1, 1)], &MarkList::default(), 1);
        let marks = MarkList::new(vec![mark(2, 1, 7), mark(3, 2, 0), mark(4, 3, 7), mark(5, 2, 0)]);
        deliver(&mut symbol, &[trade(6, 2)], &marks, 6);
        assert_eq!(symbol.positions, [1, 4, 5, 6]);
    }

    proptest! {
        /// Trades and marks of two sources, cut into batches anywhere; batches of which nothing is due are left out, as
        /// the router does.
        #[test]
        fn it_ends_as_if_every_mark_had_been_given(
            steps in prop::collection::vec((0_u8..6, 0_i64..20, any::<bool>()), 1..200),
        ) {
            let (mut all, mut lazy) = (Observer::new(), Observer::new());
            let (mut own, mut known, mut fresh, mut second) = (Vec::new(), Vec::<Mark>::new(), Vec::new(), 0);
            for (pos, (kind, seconds, cut)) in (1..).zip(steps) {
                second += seconds;
                let entry = match kind {
                    0 | 1 => trade(pos, second - i64::from(kind) * seconds),
                    2 => mark(pos, second, 1).entry(),
                    _ => mark(pos, second, 0).entry(),
                };
                if all.pos() > 0 || !entry.is_broadcast() {
                    all.take(&entry);
                }
                match Mark::of(&entry) {
                    Some(mark) => fresh.push(mark),
                    None => own.push(entry),
                }
                if cut {
                    let is_due = fresh.iter().any(|mark: &Mark| mark.time >= lazy.due());
                    let list = MarkList::new(known.iter().chain(&fresh).copied().collect());
                    if is_due || !own.is_empty() {
                        deliver(&mut lazy, &own, &list, pos);
                    }
                    own.clear();
                    fresh.clear();
                    known = list.newest(0..list.marks.len()).into_vec();
                }
            }
            let list = MarkList::new(known.iter().chain(&fresh).copied().collect());
            deliver(&mut lazy, &own, &list, Position::MAX);
            if lazy.pos() > 0 {
                list.newest(0..list.marks.len()).into_iter().for_each(|mark| lazy.observe(mark));
            }
            prop_assert_eq!(all.effects, lazy.effects);
            prop_assert_eq!(all.state.encode(), lazy.state.encode());
        }
    }
}
