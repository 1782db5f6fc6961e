//! What a symbol's actor needs to come back from a panic and nobody else could give it.
//!
//! Promises: with a log that can be read back, the last saved checkpoint, the log and the journal together hold
//! everything that the symbol has applied, and the journal holds only what the log may not hold yet. Without one, the
//! journal and a checkpoint in memory hold everything. Of clock marks it keeps those that the symbol observed, which
//! are few: a mark takes 24 bytes here and an entry over 100.

use super::marks::Mark;
use crate::models::entry::{Entry, Position};
use std::collections::VecDeque;
use std::sync::Arc;

/// A symbol's journal.
#[derive(Default)]
pub struct Journal {
    /// In order.
    entries: VecDeque<Arc<[Entry]>>,
    /// Marks that were observed between them, in order.
    marks: VecDeque<Mark>,
    /// Entries kept, marks not counted.
    len: usize,
    /// The last entry sent.
    last: Position,
    /// Everything the symbol knows comes after this.
    begins_after: Position,
    /// What the last checkpoint in the store covers.
    saved: Position,
    /// Entries since then, and those of them that were there when the newest checkpoint was taken.
    num_unsaved: usize,
    num_taken: usize,
    /// The last checkpoint, where there is no store.
    checkpoint: Option<Box<[u8]>>,
}

impl Journal {
    /// Notes that entries are on their way to the symbol; `through` is the last position that they may change it up to.
    pub fn sent(&mut self, entries: &[Entry], through: Position, is_new: bool) {
        if let (true, 0, Some(first)) = (is_new, self.last, entries.first()) {
            self.begins_after = first.pos - 1;
        }
        self.num_unsaved += entries.len();
        self.last = self.last.max(through);
    }

    /// Keeps entries that were applied, and lets go of what the log holds by now.
    pub fn record(&mut self, entries: &Arc<[Entry]>, durable: Position) {
        if !entries.is_empty() {
            self.len += entries.len();
            self.entries.push_back(Arc::clone(entries));
        }
        // Looking for what may go is not free: without a log it is never anything.
        if durable > 0 {
            self.trim(durable);
        }
    }

    /// Keeps a mark that is being applied.
    pub fn observe(&mut self, mark: Mark) {
        self.marks.push_back(mark);
    }

    /// Forgets marks after a position: they are applied again.
    pub fn forget_after(&mut self, after: Position) {
        while self.marks.pop_back_if(|mark| mark.pos > after).is_some() {}
    }

    /// Returns what it holds, in entries: four marks count as one.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.len + self.marks.len() / 4
    }

    /// True when nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.marks.is_empty()
    }

    /// Returns about how many entries came since the last checkpoint in the store.
    #[must_use]
    pub const fn num_unsaved(&self) -> usize {
        self.num_unsaved
    }

    /// True when the state differs from the last checkpoint in the store.
    #[must_use]
    pub const fn is_touched(&self) -> bool {
        self.last > self.saved
    }

    /// Returns the position after which the log has to be read where no checkpoint is of use.
    #[must_use]
    pub const fn begins_after(&self) -> Position {
        self.begins_after
    }

    /// Notes that a checkpoint for the store is being taken.
    pub const fn taken(&mut self) {
        self.num_taken = self.num_unsaved;
    }

    /// Notes that the store has a checkpoint, and lets go of what it makes superfluous.
    pub fn saved(&mut self, covers_through: Position) {
        self.saved = self.saved.max(covers_through);
        self.num_unsaved = self.num_unsaved.saturating_sub(std::mem::take(&mut self.num_taken));
        self.trim(covers_through);
    }

    /// Lets go of entries that the log holds by now.
    pub fn let_go(&mut self, durable: Position) {
        self.trim(durable);
    }

    /// Keeps a checkpoint in memory, in place of the entries up to it.
    pub fn keep_checkpoint(&mut self, pos: Position, bytes: Vec<u8>) {
        self.checkpoint = Some(bytes.into_boxed_slice());
        self.trim(pos);
        self.entries.shrink_to_fit();
        self.marks.shrink_to_fit();
    }

    /// Returns the checkpoint kept in memory.
    #[must_use]
    pub fn checkpoint(&self) -> Option<&[u8]> {
        self.checkpoint.as_deref()
    }

    /// Returns the entries up to a position, marks among them, in order.
    #[must_use]
    pub fn up_to(&self, last: Position) -> Vec<Entry> {
        let marks = self.marks.iter().map(|mark| mark.entry());
        let own = self.entries.iter().flat_map(|entries| entries.iter().copied());
        let mut all: Vec<Entry> = own.chain(marks).filter(|entry| entry.pos <= last).collect();
        all.sort_unstable_by_key(|entry| entry.pos);
        all
    }

    fn trim(&mut self, through: Position) {
        while let Some(entries) = self.entries.front()
            && entries.last().is_none_or(|last| last.pos <= through)
        {
            self.len -= entries.len();
            self.entries.pop_front();
        }
        while self.marks.pop_front_if(|mark| mark.pos <= through).is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::entry::{Body, SourceId, Trade};
    use crate::models::symbol::SymbolId;
    use crate::models::time::Nanos;

    fn trades(positions: &[Position]) -> Arc<[Entry]> {
        let trade = |&pos: &Position| Entry {
            pos,
            symbol: SymbolId(0),
            body: Body::Trade(Trade::for_test(pos, Nanos(0))),
        };
        positions.iter().map(trade).collect()
    }

    fn mark(pos: Position) -> Mark {
        Mark { pos, time: Nanos(0), source: SourceId(0) }
    }

    fn keep(journal: &mut Journal, positions: &[Position], durable: Position, is_new: bool) {
        let entries = trades(positions);
        journal.sent(&entries, positions.last().copied().unwrap_or_default(), is_new);
        journal.record(&entries, durable);
    }

    fn positions(journal: &Journal) -> Vec<Position> {
        journal.up_to(Position::MAX).iter().map(|entry| entry.pos).collect()
    }

    #[test]
    fn only_what_the_log_may_not_hold_is_kept() {
        let mut journal = Journal::default();
        keep(&mut journal, &[11, 12], 0, true);
        journal.observe(mark(14));
        keep(&mut journal, &[13, 15], 12, true);
        assert_eq!(positions(&journal), [13, 14, 15]);
        keep(&mut journal, &[16], 14, true);
        assert_eq!(
            (positions(&journal), journal.weight()),
            (vec![13, 15, 16], 3),
            "part of a batch is not enough"
        );
        assert_eq!((journal.begins_after(), journal.num_unsaved()), (10, 5));
        keep(&mut journal, &[20], 20, true);
        assert!(journal.is_empty());

        journal.taken();
        keep(&mut journal, &[21], 20, true);
        assert!(journal.is_touched());
        journal.saved(20);
        assert_eq!((positions(&journal), journal.num_unsaved(), journal.is_touched()), (vec![21], 1, true));
        journal.taken();
        journal.saved(21);
        assert_eq!((journal.is_empty(), journal.num_unsaved(), journal.is_touched()), (true, 0, false));
        journal.sent(&[], 23, false);
        assert!(journal.is_touched(), "marks may have changed it");
    }

    #[test]
    fn without_a_log_everything_since_the_point_in_memory_is_kept() {
        let mut journal = Journal::default();
        keep(&mut journal, &[5], 0, false);
        assert_eq!(
            (journal.begins_after(), journal.checkpoint()),
            (0, None),
            "its checkpoint was there before"
        );
        keep(&mut journal, &[6, 7], 0, false);
        journal.observe(mark(9));
        journal.keep_checkpoint(5, vec![1]);
        assert_eq!((positions(&journal), journal.checkpoint()), (vec![6, 7, 9], Some(&[1][..])));
        journal.forget_after(8);
        assert_eq!(positions(&journal), [6, 7]);
    }
}
