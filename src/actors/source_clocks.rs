//! The newest event time that each source has vouched for, published by the data path for readers, and how old it may be.
//!
//! Promises: readers and writers never wait for each other; a clock never goes back. Nothing here fails.

use crate::models::entry::SourceId;
use crate::models::feed::AgeLimits;
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use arc_swap::ArcSwap;
use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};

/// The newest event time that each source has vouched for, by a trade, a quote or a clock mark.
///
/// A snapshot changes only when something happens to its symbol, so a quiet symbol and a dead feed look the same in it;
/// these clocks tell them apart.
pub struct SourceClocks {
    times: Box<[AtomicI64]>,
    /// The ages from which on a source is stale and dead.
    limits: Box<[[AtomicI64; 2]]>,
    /// Symbols that were left while the run goes on.
    unfollowed: ArcSwap<HashSet<SymbolId>>,
}

/// Sources that have a clock. Nobody configures more feeds than that; a source beyond it has none.
const NUM_CLOCKS: usize = 1024;

impl Default for SourceClocks {
    fn default() -> Self {
        let AgeLimits { stale, dead } = AgeLimits::default();
        SourceClocks {
            times: (0..=NUM_CLOCKS).map(|_| AtomicI64::new(i64::MIN)).collect(),
            limits: (0..NUM_CLOCKS).map(|_| [stale, dead].map(AtomicI64::new)).collect(),
            unfollowed: ArcSwap::default(),
        }
    }
}

impl SourceClocks {
    fn clock(&self, source: SourceId) -> Option<&AtomicI64> {
        let at = if source == SourceId::ANY { NUM_CLOCKS } else { usize::from(source.0) };
        self.times.get(at)
    }

    /// Moves the source's clock on; an earlier time than it shows changes nothing.
    pub fn advance(&self, source: SourceId, time: Nanos) {
        if let Some(clock) = self.clock(source) {
            clock.fetch_max(time.0, Ordering::Relaxed);
        }
    }

    /// Sets how old a source's clock may be.
    pub fn set_limits(&self, source: SourceId, limits: AgeLimits) {
        if let Some([stale, dead]) = self.limits.get(usize::from(source.0)) {
            stale.store(limits.stale, Ordering::Relaxed);
            dead.store(limits.dead, Ordering::Relaxed);
        }
    }

    /// Notes whether a feed brings symbols. What the source of one that none brings vouches for says nothing of it.
    pub fn note_followed(&self, symbols: &[SymbolId], is_followed: bool) {
        self.unfollowed.rcu(|known| {
            let mut unfollowed = HashSet::clone(known);
            for symbol in symbols {
                if is_followed {
                    unfollowed.remove(symbol)
                } else {
                    unfollowed.insert(*symbol)
                };
            }
            unfollowed
        });
    }

    /// Returns how old the clock of a symbol's source may be.
    #[must_use]
    pub fn limits_of(&self, symbol: SymbolId, source: SourceId) -> AgeLimits {
        if self.unfollowed.load().contains(&symbol) { AgeLimits::UNFOLLOWED } else { self.limits(source) }
    }

    /// Returns how old a source's clock may be: as its feed says, or as is usual.
    #[must_use]
    pub fn limits(&self, source: SourceId) -> AgeLimits {
        let limits = self.limits.get(usize::from(source.0)).map(|limits| {
            let [stale, dead] = limits.each_ref().map(|limit| limit.load(Ordering::Relaxed));
            AgeLimits { stale, dead }
        });
        limits.unwrap_or_default()
    }

    /// Returns the time that the source's clock shows, or [`Nanos::MIN`] before the first one. A mark of
    /// [`SourceId::ANY`] counts for every source.
    #[must_use]
    pub fn get(&self, source: SourceId) -> Nanos {
        let read = |source| self.clock(source).map_or(i64::MIN, |clock| clock.load(Ordering::Relaxed));
        Nanos(read(source).max(read(SourceId::ANY)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_as_old_as_its_feed_says() {
        let clocks = SourceClocks::default();
        let limits = AgeLimits { stale: 1, dead: 2 };
        clocks.set_limits(SourceId(3), limits);
        assert_eq!((clocks.limits(SourceId(3)), clocks.limits(SourceId(4))), (limits, AgeLimits::default()));
        let symbol = SymbolId(7);
        clocks.note_followed(&[symbol], false);
        assert_eq!(clocks.limits_of(symbol, SourceId(3)), AgeLimits::UNFOLLOWED);
        assert_eq!(clocks.limits_of(SymbolId(8), SourceId(3)), limits);
        clocks.note_followed(&[symbol], true);
        assert_eq!(clocks.limits_of(symbol, SourceId(3)), limits);
        clocks.set_limits(SourceId(60_000), limits);
        assert_eq!(clocks.limits(SourceId(60_000)), AgeLimits::default(), "beyond the table it is the usual");
    }

    #[test]
    fn clocks_only_move_on_and_a_mark_for_all_counts_for_each() {
        let clocks = SourceClocks::default();
        let (a, b) = (SourceId(0), SourceId(1));
        assert_eq!(clocks.get(a), Nanos::MIN);
        clocks.advance(a, Nanos(10));
        clocks.advance(a, Nanos(5));
        assert_eq!((clocks.get(a), clocks.get(b)), (Nanos(10), Nanos::MIN));
        clocks.advance(SourceId::ANY, Nanos(20));
        assert_eq!((clocks.get(a), clocks.get(b)), (Nanos(20), Nanos(20)));
        clocks.advance(SourceId(60_000), Nanos(30));
        assert_eq!(clocks.get(SourceId(60_000)), Nanos(20), "beyond the table only the mark for all counts");
    }
}
