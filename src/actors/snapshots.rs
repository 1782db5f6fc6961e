//! The newest snapshot of each symbol, published by the data path for readers.
//!
//! Promises: a reader never waits for a writer, nor a writer for a reader or another writer, except while room for new
//! symbols is made; a snapshot that a reader holds does not change. Nothing here fails.

use crate::models::snapshot::SymbolSnapshot;
use crate::models::symbol::SymbolId;
use arc_swap::{ArcSwap, ArcSwapOption};
use std::sync::{Arc, Mutex, PoisonError};

/// Holds one symbol's newest snapshot. Its writer keeps the slot, so that publishing is one swap.
pub type SnapshotSlot = Arc<ArcSwapOption<SymbolSnapshot>>;

/// The newest snapshot of every symbol.
#[derive(Default)]
pub struct SymbolSnapshots {
    slots: ArcSwap<Vec<SnapshotSlot>>,
    growing: Mutex<()>,
}

impl SymbolSnapshots {
    /// Returns the symbol's slot, making it where it is new.
    pub fn slot(&self, symbol: SymbolId) -> SnapshotSlot {
        if let Some(slot) = self.slots.load().get(symbol.index()) {
            return Arc::clone(slot);
        }
        let _growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.slots.load_full();
        if let Some(slot) = old.get(symbol.index()) {
            return Arc::clone(slot);
        }
        // By doubling, so that symbols that come one by one do not copy all slots each time.
        let len = (symbol.index() + 1).next_power_of_two().max(16);
        let mut slots = Vec::with_capacity(len);
        slots.extend(old.iter().cloned());
        slots.resize_with(len, SnapshotSlot::default);
        let slot = Arc::clone(&slots[symbol.index()]);
        self.slots.store(Arc::new(slots));
        slot
    }

    /// Publishes a snapshot in place of the symbol's last one.
    pub fn publish(&self, snapshot: SymbolSnapshot) {
        self.slot(snapshot.symbol).store(Some(Arc::new(snapshot)));
    }

    /// Returns the symbol's newest snapshot, if it has one.
    #[must_use]
    pub fn get(&self, symbol: SymbolId) -> Option<Arc<SymbolSnapshot>> {
        self.slots.load().get(symbol.index())?.load_full()
    }

    /// Returns the newest snapshot of every symbol that has one, by symbol id.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<SymbolSnapshot>> {
        self.slots.load().iter().filter_map(|slot| slot.load_full()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::entry::SourceId;
    use crate::models::ledger::Ledger;
    use crate::models::time::Nanos;

    fn snapshot(symbol: u32, pos: u64) -> SymbolSnapshot {
        SymbolSnapshot {
            symbol: SymbolId(symbol),
            pos,
            last: None,
            reference: None,
            source: SourceId(0),
            charged_from: Nanos::MIN,
            watermark: Nanos(0),
            sealed_until: Nanos(0),
            ledger: Ledger::default(),
            ledgers: Arc::new([]),
            windows: Arc::new([]),
        }
    }

    #[test]
    fn a_slot_stays_the_same_while_others_are_added() {
        let snapshots = SymbolSnapshots::default();
        let slot = snapshots.slot(SymbolId(3));
        assert!(snapshots.get(SymbolId(3)).is_none());
        snapshots.publish(snapshot(900, 1));
        slot.store(Some(Arc::new(snapshot(3, 2))));
        assert_eq!(snapshots.get(SymbolId(3)).map(|snapshot| snapshot.pos), Some(2));
        let kept = snapshots.get(SymbolId(3)).expect("published");
        snapshots.publish(snapshot(3, 7));
        assert_eq!((kept.pos, snapshots.get(SymbolId(3)).map(|snapshot| snapshot.pos)), (2, Some(7)));
        let all: Vec<u32> = snapshots.all().iter().map(|snapshot| snapshot.symbol.0).collect();
        assert_eq!(all, [3, 900]);
        assert!(snapshots.get(SymbolId(5_000)).is_none());
    }

    #[test]
    fn threads_that_add_symbols_lose_no_snapshot() {
        let snapshots = SymbolSnapshots::default();
        std::thread::scope(|scope| {
            for first in 0..4_u32 {
                let snapshots = &snapshots;
                scope.spawn(move || {
                    for at in 0..500 {
                        snapshots.publish(snapshot(at * 4 + first, 1));
                    }
                });
            }
        });
        assert_eq!(snapshots.all().len(), 2_000);
    }
}
