//! Cache of the newest closed bars of each symbol, encoded: what charts ask for when they open.
//!
//! A page is made from the history on the first read and kept current by the snapshot's `seq`: when one bar closes, the
//! snapshot holds that bar and the page is extended by it; anything else (an amended bar, several bars at once) reads the
//! history again. When all pages together exceed their limit, the least recently used are dropped, so that 10,000
//! symbols cost bounded memory and a dropped page costs a read of the history.
//!
//! Promises: a new bar shows at once, and never behind a hole. The history lags behind the snapshot by its batch; a page read
//! meanwhile is served together with the snapshot's newest bar, where none is missing before it, and made again until the
//! history has caught up, so an amended older bar shows that much later. On failure of the history an older page is served while there is one, else the error is returned.

mod newest;
mod page;

pub use newest::{Reach, merge_newest};
pub use page::{NUM_RECENT, Naming, Page};

use crate::models::bar::BarState;
use crate::models::entry::Position;
use crate::models::snapshot::WindowSnapshot;
use crate::models::symbol::SymbolId;
use crate::models::time::{Nanos, Width};
use crate::stores::StoreError;
use crate::stores::history::{History, WindowQuery};
use arc_swap::ArcSwapOption;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// How long a page that is behind serves before the history is asked again. Shorter, and a history that is slow to
/// commit would be read by every request; longer, and amended bars show late.
const RELOAD_AFTER: Duration = Duration::from_millis(50);

/// What is kept of one symbol and window.
#[derive(Default)]
struct Slot {
    page: ArcSwapOption<Page>,
    /// Held by the one request that reads the history; the others serve the old page, or wait when there is none.
    loading: tokio::sync::Mutex<()>,
    /// The snapshot's (`seq`, position) when the history was first found to lack this `seq`.
    missing: std::sync::Mutex<(u64, Position)>,
    used: AtomicU64,
}

/// The pages of all symbols and windows that are read.
pub struct RecentBars {
    slots: RwLock<HashMap<(SymbolId, Width), Arc<Slot>>>,
    /// Counts reads, to know which page was used last.
    reads: AtomicU64,
    bytes_max: usize,
}

impl RecentBars {
    /// Makes room for pages of that many bytes in total.
    #[must_use]
    pub fn new(bytes_max: usize) -> RecentBars {
        RecentBars { slots: RwLock::default(), reads: AtomicU64::new(0), bytes_max }
    }

    /// Returns the page of a window: from memory when it is up to the snapshot, else by way of the history.
    ///
    /// # Errors
    /// When the history had to be read, cannot be, and there is no older page to serve.
    pub async fn page(
        &self,
        history: &dyn History,
        symbol: SymbolId,
        window: &WindowSnapshot,
        pos: Position,
        naming: &Naming<'_>,
    ) -> Result<Arc<Page>, StoreError> {
        let slot = self.slot((symbol, window.width));
        slot.used.store(self.reads.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        let known = slot.page.load_full();
        if let Some(page) = known.as_ref().filter(|page| serves(page, window)) {
            return Ok(Arc::clone(page));
        }
        if let Some(page) = known.as_ref().and_then(|page| follow(page, window, naming)) {
            slot.page.store(Some(Arc::clone(&page)));
            return Ok(page);
        }
        // Serving the older page is better than waiting for the request that reads the history already.
        let _loading = match (slot.loading.try_lock(), known) {
            (Ok(guard), _) => guard,
            (Err(_), Some(page)) => return Ok(page),
            (Err(_), None) => slot.loading.lock().await,
        };
        if let Some(page) = slot.page.load_full().filter(|page| serves(page, window)) {
            return Ok(page);
        }
        let first_missing = slot.first_missing(window.seq, pos);
        let page = match load(history, symbol, window, first_missing, naming).await {
            Ok(page) => Arc::new(page),
            Err(error) => return slot.page.load_full().ok_or(error),
        };
        slot.page.store(Some(Arc::clone(&page)));
        self.make_room();
        Ok(page)
    }

    fn slot(&self, key: (SymbolId, Width)) -> Arc<Slot> {
        if let Some(slot) = self.slots.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Arc::clone(slot);
        }
        Arc::clone(self.slots.write().unwrap_or_else(PoisonError::into_inner).entry(key).or_default())
    }

    /// Drops the pages that were not read for longest, to an eighth below the limit, so that it is not done each time.
    fn make_room(&self) {
        let cost = |slot: &Slot| slot.page.load().as_ref().map_or(0, |page| page.cost());
        let total: usize =
            self.slots.read().unwrap_or_else(PoisonError::into_inner).values().map(|slot| cost(slot)).sum();
        if total <= self.bytes_max {
            return;
        }
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let mut by_use: Vec<_> =
            slots.iter().map(|(key, slot)| (slot.used.load(Ordering::Relaxed), *key, cost(slot))).collect();
        by_use.sort_unstable_by_key(|(used, ..)| *used);
        let mut left = total;
        for (_, key, cost) in by_use {
            if left <= self.bytes_max / 8 * 7 {
                break;
            }
            slots.remove(&key);
            left = left.saturating_sub(cost);
        }
    }
}

impl Slot {
    /// Returns the position of the snapshot in which this `seq` was first missing: once the history has acknowledged it,
    /// the history holds every bar up to the `seq`.
    fn first_missing(&self, seq: u64, pos: Position) -> Position {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        if missing.0 != seq {
            *missing = (seq, pos);
        }
        missing.1
    }
}

/// True when the page can be served for the snapshot.
fn serves(page: &Page, window: &WindowSnapshot) -> bool {
    page.seq >= window.seq && (page.is_whole || page.loaded.elapsed() < RELOAD_AFTER)
}

/// Returns the page that follows, when the snapshot is ahead by just the bar that it holds.
fn follow(page: &Page, window: &WindowSnapshot, naming: &Naming<'_>) -> Option<Arc<Page>> {
    let bar = window.closed.as_ref()?;
    let is_next = page.is_whole && page.seq + 1 == window.seq && bar.seq == window.seq;
    let is_newer = page.newest_start().is_none_or(|newest| newest < bar.start);
    (is_next && is_newer && bar.state != BarState::Void).then(|| Arc::new(page.with_newest(bar, naming)))
}

async fn load(
    history: &dyn History,
    symbol: SymbolId,
    window: &WindowSnapshot,
    first_missing: Position,
    naming: &Naming<'_>,
) -> Result<Page, StoreError> {
    // Asked before the bars are read: what is acknowledged by then is among them.
    let acknowledged = history.readable().await?;
    let query = WindowQuery {
        symbol,
        width: window.width,
        start: Nanos::MIN,
        end: Nanos::MAX,
        // One more tells that there are older ones, one may turn out void.
        limit: NUM_RECENT + 2,
    };
    let mut bars = history.bars(&query).await?;
    let seq = bars.iter().map(|bar| bar.seq).max().unwrap_or(0);
    let is_whole = acknowledged >= first_missing || seq >= window.seq;
    if let Some(newest) = window.closed.as_ref().filter(|newest| is_whole || newest::joins(&bars, newest)) {
        merge_newest(&mut bars, newest);
    }
    let has_older = bars.len() > NUM_RECENT;
    bars.truncate(NUM_RECENT);
    Ok(Page::new(seq.max(window.seq), is_whole, &bars, has_older, naming))
}

#[cfg(test)]
pub(crate) mod samples {
    //! Bars for the tests of this folder.

    use crate::models::bar::{Bar, BarOrigin, BarState};
    use crate::models::num::Price;
    use crate::models::symbol::SymbolId;
    use crate::models::time::{MINUTE, Nanos, Width};

    /// The bar of the n-th minute, closed as number n + 1.
    pub(crate) fn bar(nth: i64) -> Bar {
        let price = Price((100 + nth) * 1_000_000_000);
        Bar {
            symbol: SymbolId(0),
            width: Width::parse("1min").unwrap(),
            start: Nanos(nth * MINUTE),
            open: price,
            high: price,
            low: price,
            close: price,
            volume: 100_000_000,
            vwap: None,
            trade_count: 1,
            state: BarState::Closed,
            origin: BarOrigin::Trades,
            revision: 0,
            coverage: 1.0,
            late: 0,
            duplicates: 0,
            cancelled: 0,
            seq: nth as u64 + 1,
            log_pos: 10 * (nth as u64 + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::bar;
    use super::*;
    use crate::models::bar::Bar;
    use crate::models::effect::Effect;
    use crate::models::symbol::SymbolSpec;
    use crate::names::{SourceTable, SymbolTable};
    use crate::stores::history::HistoryBatch;
    use crate::stores::history::memory::MemoryHistory;

    /// A history, the cache before it, and what the snapshot of the symbol shows.
    struct World {
        history: MemoryHistory,
        spec: SymbolSpec,
        recent: RecentBars,
        window: WindowSnapshot,
    }

    impl World {
        fn new(bytes_max: usize) -> World {
            let symbols = Arc::new(SymbolTable::default());
            symbols.intern(SymbolSpec::named("AAPL"));
            let width = bar(0).width;
            World {
                history: MemoryHistory::new(symbols, Arc::new(SourceTable::default()), 5_000),
                spec: SymbolSpec::named("AAPL"),
                recent: RecentBars::new(bytes_max),
                window: WindowSnapshot {
                    width,
                    forming: None,
                    closed: None,
                    indicators: None,
                    preview: None,
                    seq: 0,
                },
            }
        }

        /// Commits bars to the history.
        async fn commit(&self, bars: &[Bar]) {
            let acknowledged = bars.iter().map(|bar| bar.log_pos).max().unwrap();
            let effects = vec![Arc::new(bars.iter().copied().map(Effect::Bar).collect())];
            let batch = HistoryBatch { effects, acknowledged, ..HistoryBatch::default() };
            self.history.write(&batch).await.unwrap();
        }

        /// Shows a bar as the newest one in the snapshot.
        fn show(&mut self, newest: Bar) {
            self.window.seq = newest.seq;
            self.window.closed = Some(newest);
        }

        async fn page_of(&self, symbol: u32) -> Arc<Page> {
            let naming = Naming { spec: &self.spec, window: "1min" };
            let pos = self.window.closed.map_or(0, |bar| bar.log_pos);
            self.recent.page(&self.history, SymbolId(symbol), &self.window, pos, &naming).await.unwrap()
        }

        async fn page(&self) -> Arc<Page> {
            self.page_of(0).await
        }
    }

    /// Starts of the bars in a page's JSON, in minutes.
    fn minutes(page: &Page) -> Vec<i64> {
        let bars: Vec<serde_json::Value> = serde_json::from_slice(&page.body(NUM_RECENT).0).unwrap();
        let start = |bar: &serde_json::Value| Nanos::from_rfc3339(bar["window_start"].as_str().unwrap());
        bars.iter().map(|bar| start(bar).unwrap().0 / crate::models::time::MINUTE).collect()
    }

    #[actix_web::test]
    async fn a_new_bar_shows_at_once_and_costs_no_read_of_the_history() {
        let mut world = World::new(1 << 20);
        world.commit(&[bar(0), bar(1)]).await;
        world.show(bar(1));
        let first = world.page().await;
        assert_eq!(minutes(&first), [1, 0]);
        assert!(Arc::ptr_eq(&first, &world.page().await), "served as it is");

        // The history does not hold the next bar yet, so it can only come from the snapshot.
        world.show(bar(2));
        let next = world.page().await;
        assert_eq!(minutes(&next), [2, 1, 0]);
        assert_eq!(next.loaded, first.loaded, "extended, not read again");
    }

    #[actix_web::test]
    async fn a_bar_waits_for_those_before_it() {
        let mut world = World::new(1 << 20);
        world.commit(&[bar(0), bar(1)]).await;
        world.show(bar(4));
        let page = world.page().await;
        assert_eq!((minutes(&page), page.is_whole), (vec![1, 0], false));
        world.commit(&[bar(2), bar(3)]).await;
        world.recent.slot((SymbolId(0), world.window.width)).page.store(None);
        assert_eq!(minutes(&*world.page().await), [4, 3, 2, 1, 0], "the history holds all but itself");
    }

    #[actix_web::test]
    async fn an_amended_bar_is_read_from_the_history_once_it_is_there() {
        let mut world = World::new(1 << 20);
        world.commit(&[bar(0), bar(1)]).await;
        world.show(bar(1));
        world.page().await;

        let amended = Bar { state: BarState::Amended, revision: 1, seq: 3, log_pos: 99, ..bar(0) };
        // The snapshot shows the newest bar, and by its number that another one changed.
        world.window.seq = amended.seq;
        world.window.closed = Some(Bar { log_pos: 99, ..bar(1) });
        let stale = world.page().await;
        assert!(!stale.is_whole && !String::from_utf8_lossy(&stale.body(2).0).contains("amended"));
        world.commit(&[amended]).await;
        let slot = world.recent.slot((SymbolId(0), world.window.width));
        slot.page.store(None);
        let page = world.page().await;
        assert!(page.is_whole && String::from_utf8_lossy(&page.body(2).0).contains("amended"));
    }

    #[actix_web::test]
    async fn a_void_bar_leaves_the_page() {
        let mut world = World::new(1 << 20);
        world.commit(&[bar(0), bar(1)]).await;
        world.show(bar(1));
        assert_eq!(minutes(&*world.page().await), [1, 0]);
        let void = Bar { state: BarState::Void, seq: 3, log_pos: 99, ..bar(1) };
        world.commit(&[void]).await;
        world.window.seq = 3;
        world.window.closed = Some(bar(0));
        assert_eq!(minutes(&*world.page().await), [0]);
    }

    #[actix_web::test]
    async fn the_least_recently_used_pages_go_first() {
        let world = World::new(10 * size_of::<Page>());
        for symbol in 0..12 {
            world.page_of(symbol).await;
            world.page_of(0).await;
        }
        let slots = world.recent.slots.read().unwrap();
        let has = |symbol| slots.contains_key(&(SymbolId(symbol), world.window.width));
        assert!(slots.len() < 12, "{} pages", slots.len());
        assert!(has(0) && has(11) && !has(1), "the first is read all the time");
    }
}
