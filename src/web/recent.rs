//! The newest closed bars of symbols that are read, encoded: what charts ask for when they open.
//!
//! Each page holds the newest [`NUM_RECENT`] bars of a symbol and window as the JSON that leaves, so that a request
//! costs a copy. A page is made from the history on the first read and kept up by the view's `seq`: one step ahead is
//! the new bar itself, which the view holds; anything else (an amended bar, several bars at once) reads the history
//! again. Pages that nobody reads go first when all together exceed their limit; with 10,000 symbols that bounds the
//! memory, and the price is a read of the history.
//!
//! The history lags behind the view by its batch. A page read meanwhile is served, together with the view's newest
//! bar, but made again until the history has caught up: an amended older bar shows that much later, a new one at once.

use super::reply::hash;
use super::rest::bars::merge_newest;
use crate::models::bar::{Bar, BarState};
use crate::models::entry::Position;
use crate::models::symbol::{SymbolId, SymbolSpec};
use crate::models::time::{Nanos, Width};
use crate::models::view::WindowView;
use crate::stores::{History, StoreError, WindowQuery};
use crate::wire::{self, BarObject};
use actix_web::web::Bytes;
use arc_swap::ArcSwapOption;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Bars in a page: the default limit of the endpoint.
pub const NUM_RECENT: usize = 500;

/// How long a page that is behind serves before the history is asked again. Shorter, and a history that is slow to
/// commit would be read by every request; longer, and amended bars show late.
const RELOAD_AFTER: Duration = Duration::from_millis(50);

/// How the bars of a page are named.
#[derive(Clone, Copy)]
pub struct Naming<'a> {
    /// The symbol.
    pub spec: &'a SymbolSpec,
    /// Name of the window's width.
    pub window: &'a str,
}

impl<'a> Naming<'a> {
    /// Makes the object of a bar.
    #[must_use]
    pub fn object(&self, bar: &Bar) -> BarObject<'a> {
        BarObject::new(bar, self.spec, self.window)
    }
}

/// The newest closed bars of one symbol and window. Never changed once made.
pub struct Page {
    /// The view's `seq` up to which every bar is in it.
    seq: u64,
    /// False while the history had not caught up with `seq`.
    is_whole: bool,
    loaded: Instant,
    /// `[` bar `,` bar … `]`, newest first.
    body: Bytes,
    tag: u64,
    /// Where each bar ends in `body`.
    ends: Vec<u32>,
    starts: Vec<Nanos>,
    /// True when the history holds older bars.
    has_older: bool,
}

impl Page {
    fn new(seq: u64, is_whole: bool, bars: &[Bar], has_older: bool, naming: &Naming<'_>) -> Page {
        let mut body = Vec::with_capacity(2 + 384 * bars.len());
        let mut ends = Vec::with_capacity(bars.len());
        body.push(b'[');
        for (at, bar) in bars.iter().enumerate() {
            if at > 0 {
                body.push(b',');
            }
            wire::append_json(&naming.object(bar), &mut body);
            ends.push(offset(body.len()));
        }
        body.push(b']');
        Page {
            seq,
            is_whole,
            loaded: Instant::now(),
            tag: hash(&body),
            body: body.into(),
            ends,
            starts: bars.iter().map(|bar| bar.start).collect(),
            has_older,
        }
    }

    /// Makes the page that follows when one newer bar closes.
    fn with_newest(&self, bar: &Bar, naming: &Naming<'_>) -> Page {
        let kept = self.ends.len().min(NUM_RECENT - 1);
        let body = self.body_after(&wire::to_json(&naming.object(bar)), kept);
        // The first bar of the old body starts behind `[`; in the new one behind `[`, the new bar and `,`.
        let first = body.len() - 1 - kept.checked_sub(1).map_or(0, |at| self.ends[at] as usize - 1);
        let new_end = if kept == 0 { first } else { first - 1 };
        let moved = self.ends[..kept].iter().map(|&end| offset(end as usize - 1 + first));
        Page {
            seq: self.seq + 1,
            is_whole: true,
            loaded: self.loaded,
            tag: hash(&body),
            ends: std::iter::once(offset(new_end)).chain(moved).collect(),
            starts: std::iter::once(bar.start).chain(self.starts[..kept].iter().copied()).collect(),
            has_older: self.has_older || self.ends.len() > kept,
            body: body.into(),
        }
    }

    /// True without any bar.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// True when there are more than the newest `count` bars, here or in the history.
    #[must_use]
    pub fn has_more(&self, count: usize) -> bool {
        self.ends.len() > count || self.has_older
    }

    /// Returns the start of the bar at a place (or of the last one here), newest first.
    #[must_use]
    pub fn start(&self, at: usize) -> Option<Nanos> {
        self.starts.get(at).or(self.starts.last()).copied()
    }

    /// Returns the newest `count` bars as JSON, and a hash that tells versions apart.
    #[must_use]
    pub fn body(&self, count: usize) -> (Bytes, u64) {
        if count >= self.ends.len() {
            return (self.body.clone(), self.tag);
        }
        let mut body = Vec::with_capacity(2 + self.prefix(count).len());
        body.push(b'[');
        body.extend_from_slice(self.prefix(count));
        body.push(b']');
        (body.into(), self.tag ^ (count as u64 + 1))
    }

    /// Returns one bar and the newest `count` bars behind it as JSON.
    #[must_use]
    pub fn body_after(&self, bar: &[u8], count: usize) -> Vec<u8> {
        let rest = self.prefix(count);
        let mut body = Vec::with_capacity(3 + bar.len() + rest.len());
        body.push(b'[');
        body.extend_from_slice(bar);
        if !rest.is_empty() {
            body.push(b',');
        }
        body.extend_from_slice(rest);
        body.push(b']');
        body
    }

    /// The newest `count` bars without brackets.
    fn prefix(&self, count: usize) -> &[u8] {
        match count.min(self.ends.len()).checked_sub(1) {
            Some(last) => &self.body[1..self.ends[last] as usize],
            None => &[],
        }
    }

    /// Bytes that it takes.
    fn cost(&self) -> usize {
        self.body.len() + self.ends.len() * (size_of::<u32>() + size_of::<Nanos>()) + size_of::<Page>()
    }
}

/// A place in a page's body as it is kept.
fn offset(at: usize) -> u32 {
    u32::try_from(at).expect("a page of 500 bars is far below 4 GiB")
}

#[derive(Default)]
struct Place {
    page: ArcSwapOption<Page>,
    /// One request reads the history, the others serve what is there, or wait when nothing is.
    loading: tokio::sync::Mutex<()>,
    /// The view's (`seq`, position) when this `seq` was first missing.
    missing: std::sync::Mutex<(u64, Position)>,
    used: AtomicU64,
}

/// The pages of all symbols and windows that are read.
pub struct RecentBars {
    places: RwLock<HashMap<(SymbolId, Width), Arc<Place>>>,
    /// Counts reads, to know which page was used last.
    reads: AtomicU64,
    bytes_max: usize,
}

impl RecentBars {
    /// Makes room for pages of that many bytes in total.
    #[must_use]
    pub fn new(bytes_max: usize) -> RecentBars {
        RecentBars { places: RwLock::default(), reads: AtomicU64::new(0), bytes_max }
    }

    /// Returns the page of a window: from memory when it is up to the view, else by way of the history.
    ///
    /// # Errors
    /// What the history says, when it had to be read and there is no older page to serve.
    pub async fn page(
        &self,
        history: &dyn History,
        symbol: SymbolId,
        window: &WindowView,
        pos: Position,
        naming: &Naming<'_>,
    ) -> Result<Arc<Page>, StoreError> {
        let place = self.place((symbol, window.width));
        place.used.store(self.reads.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        let known = place.page.load_full();
        if let Some(page) = known.as_ref().filter(|page| serves(page, window)) {
            return Ok(Arc::clone(page));
        }
        if let Some(page) = known.as_ref().and_then(|page| follow(page, window, naming)) {
            place.page.store(Some(Arc::clone(&page)));
            return Ok(page);
        }
        // Serving what is there is better than waiting for whoever reads the history already.
        let _loading = match (place.loading.try_lock(), known) {
            (Ok(guard), _) => guard,
            (Err(_), Some(page)) => return Ok(page),
            (Err(_), None) => place.loading.lock().await,
        };
        if let Some(page) = place.page.load_full().filter(|page| serves(page, window)) {
            return Ok(page);
        }
        let first_missing = place.first_missing(window.seq, pos);
        let page = Arc::new(load(history, symbol, window, first_missing, naming).await?);
        place.page.store(Some(Arc::clone(&page)));
        self.make_room();
        Ok(page)
    }

    fn place(&self, key: (SymbolId, Width)) -> Arc<Place> {
        if let Some(place) = self.places.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Arc::clone(place);
        }
        Arc::clone(self.places.write().unwrap_or_else(PoisonError::into_inner).entry(key).or_default())
    }

    /// Drops the pages that were not read for longest, to an eighth below the limit, so that it is not done each time.
    fn make_room(&self) {
        let cost = |place: &Place| place.page.load().as_ref().map_or(0, |page| page.cost());
        let total: usize = self
            .places
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .map(|place| cost(place))
            .sum();
        if total <= self.bytes_max {
            return;
        }
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        let mut by_use: Vec<_> = places
            .iter()
            .map(|(key, place)| (place.used.load(Ordering::Relaxed), *key, cost(place)))
            .collect();
        by_use.sort_unstable_by_key(|(used, ..)| *used);
        let mut left = total;
        for (_, key, cost) in by_use {
            if left <= self.bytes_max / 8 * 7 {
                break;
            }
            places.remove(&key);
            left = left.saturating_sub(cost);
        }
    }
}

impl Place {
    /// Returns the position of the view in which this `seq` was first missing: once the history has acknowledged it,
    /// the history holds every bar up to the `seq`.
    fn first_missing(&self, seq: u64, pos: Position) -> Position {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        if missing.0 != seq {
            *missing = (seq, pos);
        }
        missing.1
    }
}

/// True when the page can be served for the view.
fn serves(page: &Page, window: &WindowView) -> bool {
    page.seq >= window.seq && (page.is_whole || page.loaded.elapsed() < RELOAD_AFTER)
}

/// Returns the page that follows, when the view is ahead by just the bar that it holds.
fn follow(page: &Page, window: &WindowView, naming: &Naming<'_>) -> Option<Arc<Page>> {
    let bar = window.closed.as_ref()?;
    let is_next = page.is_whole && page.seq + 1 == window.seq && bar.seq == window.seq;
    let is_newer = page.starts.first().is_none_or(|newest| *newest < bar.start);
    (is_next && is_newer && bar.state != BarState::Void).then(|| Arc::new(page.with_newest(bar, naming)))
}

async fn load(
    history: &dyn History,
    symbol: SymbolId,
    window: &WindowView,
    first_missing: Position,
    naming: &Naming<'_>,
) -> Result<Page, StoreError> {
    // Asked before the bars are read: what is acknowledged by then is among them.
    let acknowledged = history.acknowledged().await?;
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
    if let Some(newest) = &window.closed {
        merge_newest(&mut bars, newest);
    }
    let has_older = bars.len() > NUM_RECENT;
    bars.truncate(NUM_RECENT);
    Ok(Page::new(seq.max(window.seq), is_whole, &bars, has_older, naming))
}
