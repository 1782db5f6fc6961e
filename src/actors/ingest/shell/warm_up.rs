//! Fetches ready-made bars: the past of symbols that are new here, and of holes whose trades cannot be had.
//!
//! Promises: the past of a new symbol is one message to the log with the reports that came meanwhile behind it, so no clock
//! mark comes in between, none of it is late, and a start can see from the symbol alone whether it has a past; a report
//! waits for it no longer than [`HOLD_MAX`], and then its symbol goes on without. Bars go into the log only where they can
//! still count; of a window that has trades nothing changes. Everything is asked for within the venue's limit.
//! On failure, or where the venue has none, that is said, and the symbol begins empty.

use super::super::client::LogGone;
use super::super::warm_up::{NUM_BARS_MAX, joint, put_in_order};
use super::bars::BarsAsked;
use super::feed::{Batch, Feed};
use super::gaps::Stretch;
use super::held::HOLD_MAX;
use super::hole::Hole;
use super::past::{Askers, Refused, Scope, ask, past};
use crate::models::entry::{Body, Entry, VenueBar};
use futures_util::future::try_join;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Holes that may wait for bars: a further one stays empty, since a venue that loses so much is not made whole by bars.
pub(super) const HOLES_MAX: usize = 4_096;

/// How often it is looked at whether a report has waited long enough.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Fetches what new symbols lack, then what holes lack, until the log is gone.
pub(super) async fn run(feed: &Feed, holes: mpsc::Receiver<Hole>) {
    let fetch = async {
        fill_new(feed).await?;
        // Symbols that are followed from now on do not wait for holes.
        try_join(fill_added(feed), fill_holes(feed, holes)).await
    };
    // Whoever is told that the log is gone has nothing left to do.
    try_join(fetch, let_go_overdue(feed)).await.ok();
}

/// Lets every report go that waits: the feed stops. A symbol that has none stays new, for another venue of the feed or the
/// next start.
pub(super) async fn stop(feed: &Feed) {
    let mut batch = Batch::default();
    while let Some(place) = feed.waiting.next() {
        if feed.waiting.earliest(place).is_some() {
            feed.let_go(&mut batch, place, Vec::new());
        } else {
            feed.waiting.let_go(place);
        }
    }
    // A log that is gone takes nothing, and the stop is on its way.
    feed.send(&mut batch).await.ok();
}

async fn fill_new(feed: &Feed) -> Result<(), LogGone> {
    let num_symbols = feed.waiting.len();
    let (mut num_bars, begun) = (0, Instant::now());
    let mut askers = Askers::of(feed);
    while let Some(place) = feed.waiting.next() {
        feed.health.note_warming_up(feed.waiting.len());
        let bars = match past(feed, place, &mut askers).await {
            // Another venue of the feed came first.
            _ if !feed.is_untold(place) => Vec::new(),
            Ok(bars) => bars,
            Err(Refused { reason, scope }) => {
                // Of one that was let go meanwhile it is said already why.
                if feed.waiting.has(place) {
                    feed.goes_without_past(place, &reason);
                }
                if scope == Scope::Always {
                    go_without(feed, &reason).await?;
                }
                Vec::new()
            }
        };
        num_bars += bars.len();
        feed.wait_for_room().await?;
        let mut batch = Batch::default();
        let_go(feed, &mut batch, place, &bars);
        feed.send(&mut batch).await?;
    }
    feed.health.note_warming_up(0);
    if num_bars > 0 {
        let (venue, seconds) = (feed.venue.name(), begun.elapsed().as_secs_f64());
        tracing::info!(venue, symbols = num_symbols, bars = num_bars, seconds, "new symbols have their past");
    }
    Ok(())
}

/// Fetches what symbols lack that are added.
async fn fill_added(feed: &Feed) -> Result<(), LogGone> {
    loop {
        feed.waiting.added().await;
        fill_new(feed).await?;
    }
}

/// Lets all symbols go whose past cannot be had.
async fn go_without(feed: &Feed, reason: &str) -> Result<(), LogGone> {
    feed.wait_for_room().await?;
    let mut batch = Batch::default();
    while let Some(place) = feed.waiting.next() {
        feed.goes_without_past(place, reason);
        let_go(feed, &mut batch, place, &[]);
    }
    feed.send(&mut batch).await
}

/// Lets symbols go whose reports have waited long enough.
async fn let_go_overdue(feed: &Feed) -> Result<(), LogGone> {
    loop {
        feed.waiting.added().await;
        tokio::time::sleep(LOOK_INTERVAL).await;
        feed.wait_for_room().await?;
        let mut batch = Batch::default();
        for place in feed.waiting.overdue(Instant::now()) {
            feed.goes_without_past(place, "the venue's limit of requests left no time for it");
            let_go(feed, &mut batch, place, &[]);
        }
        for place in feed.waiting.places().into_iter().filter(|&place| !feed.is_untold(place)) {
            feed.let_go(&mut batch, place, Vec::new());
        }
        feed.send(&mut batch).await?;
    }
}

/// Ends the wait of a symbol with its past, which may be empty. Where the widest window began before what is known of it, the
/// log is told that the symbol lacks that: a day of which only the last hours are there is not whole.
fn let_go(feed: &Feed, batch: &mut Batch, place: usize, bars: &[VenueBar]) {
    let settings = &feed.env.settings;
    let smallest = bars.iter().filter(|bar| bar.width() == Some(settings.base()));
    let known = smallest.map(|bar| bar.start).min().unwrap_or_else(|| {
        let now = feed.waiting.earliest(place).unwrap_or_else(|| (feed.env.now)());
        joint(&settings.widths).start_of(now)
    });
    let begin = settings.widths.last().map_or(known, |widest| widest.start_of(known));
    let mut past: Vec<Entry> = bars.iter().map(|bar| entry_of(feed, place, bar)).collect();
    if begin < known && past.is_empty() {
        feed.open_gap_of(batch, Some(place), (begin, known), 0);
    } else if begin < known {
        let symbol = feed.instruments.symbol(place);
        // Behind the first bar, with which the symbol begins: behind the last one, a window that the later bars have sealed
        // would never know of it.
        past.insert(1, feed.gap_entry(Stretch { symbol, from: begin, to: known, is_filled: false }));
    }
    feed.let_go(batch, place, past);
}

fn entry_of(feed: &Feed, place: usize, bar: &VenueBar) -> Entry {
    Entry { pos: 0, symbol: feed.instruments.symbol(place), body: Body::VenueBar(*bar) }
}

async fn fill_holes(feed: &Feed, mut holes: mpsc::Receiver<Hole>) -> Result<(), LogGone> {
    let gap_hold = Duration::from_nanos(feed.env.settings.gap_hold.unsigned_abs());
    let mut is_denied = false;
    while let Some(hole) = holes.recv().await {
        if is_denied || hole.seen.elapsed() >= gap_hold {
            continue;
        }
        match bars_of_hole(feed, &hole, (hole.seen + gap_hold).min(Instant::now() + HOLD_MAX)).await {
            // What came after the seal would be late.
            Ok(_) if hole.seen.elapsed() >= gap_hold => {}
            Ok(bars) => {
                let entries = bars.iter().map(|bar| entry_of(feed, hole.place, bar)).collect();
                feed.send(&mut Batch { entries, ..Batch::default() }).await?;
            }
            Err(Refused { reason, scope }) => {
                is_denied = scope == Scope::Always;
                let (venue, symbol) = (feed.venue.name(), &feed.instruments.venue_symbol(hole.place));
                tracing::warn!(venue, symbol, reason, "the venue gave no bars for what was missed");
            }
        }
    }
    Ok(())
}

/// Returns the bars of the windows that lie in a hole from their beginning to their end; of one that is very long the newest.
async fn bars_of_hole(feed: &Feed, hole: &Hole, deadline: Instant) -> Result<Vec<VenueBar>, Refused> {
    let widths = &feed.env.settings.widths;
    let until = hole.until.unwrap_or_else(|| (feed.env.now)());
    let mut bars = Vec::new();
    for &width in widths {
        let to = width.start_of(until);
        let span = i64::from(NUM_BARS_MAX).saturating_mul(width.nanos());
        let oldest = joint(widths).max(width).start_of(to.plus(-span));
        let from = width.start_of(hole.since.plus(width.nanos() - 1)).max(oldest);
        if from < to {
            let asked = BarsAsked { instrument: &feed.instruments.at(hole.place), width, from, to };
            bars.extend(ask(feed, &asked, deadline).await?.unwrap_or_default());
        }
    }
    put_in_order(&mut bars);
    Ok(bars)
}
