//! What a symbol's actor needs to come back from a panic and nobody else could give it.
//!
//! Promises: with a log that can be read back, the last saved point, the log and the journal together hold everything
//! that the symbol was given, and the journal holds only what the log may not hold yet. Without one, the journal and a
//! point in memory hold everything.

use crate::models::entry::{Entry, Position};
use std::collections::VecDeque;
use std::sync::Arc;

/// A symbol's journal.
#[derive(Default)]
pub struct Journal {
    /// In order.
    entries: VecDeque<Arc<[Entry]>>,
    len: usize,
    /// The last entry recorded.
    last: Position,
    /// Everything the symbol knows comes after this.
    begins_after: Position,
    /// Where the last point in the store is good to.
    saved: Position,
    /// Entries since then, and those of them that were there when the newest point was taken.
    num_unsaved: usize,
    num_taken: usize,
    /// The last point, where there is no store.
    point: Option<Vec<u8>>,
}

impl Journal {
    /// Keeps entries, and lets go of those that the log holds by now.
    pub fn record(&mut self, entries: &Arc<[Entry]>, durable: Position, is_new: bool) {
        if let (true, 0, Some(first)) = (is_new, self.last, entries.first()) {
            self.begins_after = first.pos - 1;
        }
        self.trim(durable);
        self.len += entries.len();
        self.num_unsaved += entries.len();
        self.last = entries.last().map_or(self.last, |last| last.pos);
        self.entries.push_back(Arc::clone(entries));
    }

    /// Returns the number of entries kept.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// True when no entries are kept.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns about how many entries came since the last point in the store.
    #[must_use]
    pub const fn num_unsaved(&self) -> usize {
        self.num_unsaved
    }

    /// True when the state differs from the last point in the store.
    #[must_use]
    pub const fn is_touched(&self) -> bool {
        self.last > self.saved
    }

    /// Returns the position after which the log has to be read where no point is of use.
    #[must_use]
    pub const fn begins_after(&self) -> Position {
        self.begins_after
    }

    /// Notes that a point for the store is being taken.
    pub const fn taken(&mut self) {
        self.num_taken = self.num_unsaved;
    }

    /// Notes that the store has a point, and lets go of what it makes superfluous.
    pub fn saved(&mut self, good_to: Position) {
        self.saved = self.saved.max(good_to);
        self.num_unsaved = self.num_unsaved.saturating_sub(std::mem::take(&mut self.num_taken));
        self.trim(good_to);
    }

    /// Lets go of entries that the log holds by now.
    pub fn let_go(&mut self, durable: Position) {
        self.trim(durable);
    }

    /// Keeps a point in memory, in place of the entries up to it.
    pub fn keep_point(&mut self, pos: Position, bytes: Vec<u8>) {
        self.point = Some(bytes);
        self.trim(pos);
    }

    /// Returns the point kept in memory.
    #[must_use]
    pub fn point(&self) -> Option<&[u8]> {
        self.point.as_deref()
    }

    /// Returns the entries.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<[Entry]>> {
        self.entries.iter()
    }

    fn trim(&mut self, through: Position) {
        while let Some(entries) = self.entries.front()
            && entries.last().is_none_or(|last| last.pos <= through)
        {
            self.len -= entries.len();
            self.entries.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::entry::{Body, SourceId};
    use crate::models::symbol::SymbolId;
    use crate::models::time::Nanos;

    fn marks(positions: &[Position]) -> Arc<[Entry]> {
        let body = Body::ClockMark { source: SourceId(0), time: Nanos(0) };
        positions.iter().map(|&pos| Entry { pos, symbol: SymbolId::NONE, body }).collect()
    }

    fn positions(journal: &Journal) -> Vec<Position> {
        journal.iter().flat_map(|entries| entries.iter().map(|entry| entry.pos)).collect()
    }

    #[test]
    fn only_what_the_log_may_not_hold_is_kept() {
        let mut journal = Journal::default();
        journal.record(&marks(&[11, 12]), 0, true);
        journal.record(&marks(&[13, 15]), 12, true);
        assert_eq!(positions(&journal), [13, 15]);
        journal.record(&marks(&[16]), 14, true);
        assert_eq!(
            (positions(&journal), journal.len()),
            (vec![13, 15, 16], 3),
            "part of a batch is not enough"
        );
        assert_eq!((journal.begins_after(), journal.num_unsaved()), (10, 5));
        journal.record(&marks(&[20]), 20, true);
        assert_eq!(positions(&journal), [20]);

        journal.taken();
        journal.record(&marks(&[21]), 20, true);
        assert!(journal.is_touched());
        journal.saved(20);
        assert_eq!((positions(&journal), journal.num_unsaved(), journal.is_touched()), (vec![21], 1, true));
        journal.taken();
        journal.saved(21);
        assert_eq!((journal.is_empty(), journal.num_unsaved(), journal.is_touched()), (true, 0, false));
    }

    #[test]
    fn without_a_log_everything_since_the_point_in_memory_is_kept() {
        let mut journal = Journal::default();
        journal.record(&marks(&[5]), 0, false);
        assert_eq!((journal.begins_after(), journal.point()), (0, None), "its point was there before");
        journal.record(&marks(&[6, 7]), 0, false);
        journal.keep_point(5, vec![1]);
        assert_eq!((positions(&journal), journal.point()), (vec![6, 7], Some(&[1][..])));
    }
}
