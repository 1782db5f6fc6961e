//! What the data path publishes for readers: the picture of each symbol, the clocks of the sources, and how each
//! component is.
//!
//! Promises: a reader never waits for a writer, nor a writer for a reader, but for the moment in which the board of
//! views grows; what a reader got stays as it was.

use crate::models::entry::SourceId;
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use crate::models::view::SymbolView;
use arc_swap::{ArcSwap, ArcSwapOption};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Where one symbol's picture hangs. Its writer holds it, so that publishing is one swap.
pub type ViewSlot = Arc<ArcSwapOption<SymbolView>>;

/// The pictures of all symbols.
#[derive(Default)]
pub struct ViewBoard {
    slots: ArcSwap<Vec<ViewSlot>>,
    growing: Mutex<()>,
}

impl ViewBoard {
    /// Returns the symbol's slot, making it where it is new.
    pub fn slot(&self, symbol: SymbolId) -> ViewSlot {
        if let Some(slot) = self.slots.load().get(symbol.index()) {
            return Arc::clone(slot);
        }
        let _growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.slots.load_full();
        if let Some(slot) = old.get(symbol.index()) {
            return Arc::clone(slot);
        }
        // By doubling, so that symbols that come one by one do not copy the board each time.
        let len = (symbol.index() + 1).next_power_of_two().max(16);
        let mut slots = Vec::with_capacity(len);
        slots.extend(old.iter().cloned());
        slots.resize_with(len, ViewSlot::default);
        let slot = Arc::clone(&slots[symbol.index()]);
        self.slots.store(Arc::new(slots));
        slot
    }

    /// Publishes a picture in place of the symbol's last one.
    pub fn publish(&self, view: SymbolView) {
        self.slot(view.symbol).store(Some(Arc::new(view)));
    }

    /// Returns the symbol's newest picture, if it has one.
    #[must_use]
    pub fn get(&self, symbol: SymbolId) -> Option<Arc<SymbolView>> {
        self.slots.load().get(symbol.index())?.load_full()
    }

    /// Returns the newest picture of every symbol that has one, by symbol id.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<SymbolView>> {
        self.slots.load().iter().filter_map(|slot| slot.load_full()).collect()
    }
}

/// The newest event time that each source has vouched for, by a trade, a quote or a clock mark.
///
/// A view moves only when something happens to its symbol, so a quiet symbol and a dead feed look the same in it.
/// This board tells them apart.
pub struct SourceClocks {
    times: Box<[AtomicI64]>,
}

/// Clocks are kept for this many sources; nobody configures more feeds than that, and one beyond has no clock.
const NUM_CLOCKS: usize = 1024;

impl Default for SourceClocks {
    fn default() -> Self {
        SourceClocks { times: (0..=NUM_CLOCKS).map(|_| AtomicI64::new(i64::MIN)).collect() }
    }
}

impl SourceClocks {
    fn place(&self, source: SourceId) -> Option<&AtomicI64> {
        let at = if source == SourceId::ANY { NUM_CLOCKS } else { usize::from(source.0) };
        self.times.get(at)
    }

    /// Moves the source's clock on; an earlier time than it shows changes nothing.
    pub fn advance(&self, source: SourceId, time: Nanos) {
        if let Some(place) = self.place(source) {
            place.fetch_max(time.0, Ordering::Relaxed);
        }
    }

    /// Returns the time that the source's clock shows, or [`Nanos::MIN`] when it never ran. A mark of
    /// [`SourceId::ANY`] counts for every source.
    #[must_use]
    pub fn get(&self, source: SourceId) -> Nanos {
        let read = |source| self.place(source).map_or(i64::MIN, |place| place.load(Ordering::Relaxed));
        Nanos(read(source).max(read(SourceId::ANY)))
    }
}

/// How a component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Not in use: says nothing about the whole.
    Disabled,
    /// Does its work.
    Healthy,
    /// Does part of its work, or late.
    Degraded,
    /// Does not do its work.
    Unhealthy,
}

impl Health {
    /// Returns the word that answers use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Health::Disabled => "disabled",
            Health::Healthy => "healthy",
            Health::Degraded => "degraded",
            Health::Unhealthy => "unhealthy",
        }
    }
}

/// How one component is, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentHealth {
    /// How it is.
    pub status: Health,
    /// Why, for people; may be empty.
    pub detail: String,
}

/// How every component is, by name.
#[derive(Default)]
pub struct HealthBoard {
    components: Mutex<BTreeMap<String, ComponentHealth>>,
    ready: AtomicBool,
}

impl HealthBoard {
    /// Notes how a component is.
    pub fn set(&self, name: &str, status: Health, detail: impl Into<String>) {
        let health = ComponentHealth { status, detail: detail.into() };
        let mut components = self.components.lock().unwrap_or_else(PoisonError::into_inner);
        match components.get_mut(name) {
            Some(known) => *known = health,
            None => _ = components.insert(name.to_owned(), health),
        }
    }

    /// Says whether the process takes requests: recovered, and not stopping.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }

    /// True when the process takes requests and is not [`Health::Unhealthy`].
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire) && self.overall() != Health::Unhealthy
    }

    /// Returns the worst health of any component; [`Health::Healthy`] without one.
    #[must_use]
    pub fn overall(&self) -> Health {
        let components = self.components.lock().unwrap_or_else(PoisonError::into_inner);
        components.values().map(|component| component.status).fold(Health::Healthy, Health::max)
    }

    /// Returns all components by name.
    #[must_use]
    pub fn components(&self) -> Vec<(String, ComponentHealth)> {
        let components = self.components.lock().unwrap_or_else(PoisonError::into_inner);
        components.iter().map(|(name, health)| (name.clone(), health.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::ledger::Ledger;

    fn view(symbol: u32, pos: u64) -> SymbolView {
        SymbolView {
            symbol: SymbolId(symbol),
            pos,
            last: None,
            reference: None,
            source: SourceId(0),
            watermark: Nanos(0),
            sealed_until: Nanos(0),
            ledger: Ledger::default(),
            ledgers: Arc::new([]),
            windows: Arc::new([]),
        }
    }

    #[test]
    fn a_slot_stays_the_same_while_the_board_grows() {
        let board = ViewBoard::default();
        let slot = board.slot(SymbolId(3));
        assert!(board.get(SymbolId(3)).is_none());
        board.publish(view(900, 1));
        slot.store(Some(Arc::new(view(3, 2))));
        assert_eq!(board.get(SymbolId(3)).map(|view| view.pos), Some(2));
        let kept = board.get(SymbolId(3)).expect("published");
        board.publish(view(3, 7));
        assert_eq!((kept.pos, board.get(SymbolId(3)).map(|view| view.pos)), (2, Some(7)));
        let all: Vec<u32> = board.all().iter().map(|view| view.symbol.0).collect();
        assert_eq!(all, [3, 900]);
        assert!(board.get(SymbolId(5_000)).is_none());
    }

    #[test]
    fn threads_that_grow_the_board_lose_no_view() {
        let board = ViewBoard::default();
        std::thread::scope(|scope| {
            for first in 0..4_u32 {
                let board = &board;
                scope.spawn(move || {
                    for at in 0..500 {
                        board.publish(view(at * 4 + first, 1));
                    }
                });
            }
        });
        assert_eq!(board.all().len(), 2_000);
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

    #[test]
    fn the_whole_is_as_well_as_its_worst_part() {
        let board = HealthBoard::default();
        assert_eq!((board.overall(), board.is_ready()), (Health::Healthy, false));
        board.set_ready(true);
        board.set("kafka", Health::Disabled, "");
        assert_eq!((board.overall(), board.is_ready()), (Health::Healthy, true));
        board.set("history", Health::Degraded, "busy");
        assert_eq!((board.overall(), board.is_ready()), (Health::Degraded, true));
        board.set("log", Health::Unhealthy, "disk full");
        assert_eq!((board.overall(), board.is_ready()), (Health::Unhealthy, false));
        board.set("log", Health::Healthy, "");
        assert_eq!(board.overall(), Health::Degraded);
        let names: Vec<String> = board.components().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["history", "kafka", "log"]);
    }
}
