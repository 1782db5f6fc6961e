//! Sees every frame that a probe receives: what is in it, and how much came of each symbol.
//!
//! Promises: a frame that the venue's parser cannot read is counted, and the first one is told. It runs on the feed's thread
//! and waits for nothing. Nothing here fails.

use super::SHOWN_MAX;
use super::keeper::Keeper;
use crate::actors::ingest::recording::Origin;
use crate::actors::ingest::shell::{Brought, Recorder};
use crate::actors::ingest::venue::{Context, Heard, Instrument, Instruments, Poll, Venue, VenueEvent};
use crate::models::entry::{Body, Entry, SourceId};
use crate::models::num::Price;
use crate::models::time::{Nanos, SECOND};
use std::sync::{Arc, Mutex, PoisonError};

/// What came.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub num_frames: u64,
    /// Ticks of each symbol, by its place.
    pub num_ticks: Vec<u64>,
    /// Frames, or parts of them, that cannot be read.
    pub num_faults: u64,
    /// Lines for people that were not shown yet.
    pub news: Vec<String>,
}

/// Sees the frames of one feed.
pub(super) struct Watcher {
    venue: Arc<dyn Venue>,
    instruments: Instruments,
    source: SourceId,
    /// What the venue is asked again and again, and what has come of it.
    polls: Mutex<Vec<(Poll, Brought)>>,
    /// Keeps them as well, where that is asked for.
    keeper: Option<Arc<Keeper>>,
    seen: Mutex<Seen>,
}

impl Watcher {
    pub fn new(
        venue: Arc<dyn Venue>,
        instruments: Instruments,
        source: SourceId,
        keeper: Option<Arc<Keeper>>,
    ) -> Watcher {
        let seen = Seen { num_ticks: vec![0; instruments.all().len()], ..Seen::default() };
        let symbols: Vec<&str> = instruments.all().iter().map(|one| one.venue_symbol.as_str()).collect();
        let polls = venue.polls(&symbols).into_iter().map(|poll| (poll, Brought::of_recording()));
        let polls = Mutex::new(polls.collect());
        Watcher { venue, instruments, source, polls, keeper, seen: Mutex::new(seen) }
    }

    /// Returns what came so far; its news are given out once.
    pub fn look(&self) -> Seen {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let news = std::mem::take(&mut seen.news);
        Seen { news, ..seen.clone() }
    }

    fn see(&self, seen: &mut Seen, entry: &Entry, received: Nanos) {
        let Some(place) = self.instruments.place(entry.symbol) else { return };
        let Some(line) = describe(entry, &self.instruments.all()[place], received) else { return };
        seen.num_ticks[place] += 1;
        if seen.num_ticks[place] <= SHOWN_MAX as u64 {
            seen.news.push(line);
        }
    }
}

impl Recorder for Watcher {
    fn frame(&self, received: Nanos, origin: Origin, text: &str) {
        if let Some(keeper) = &self.keeper {
            keeper.keep(received, origin, text);
        }
        let context = Context { instruments: &self.instruments, source: self.source, received };
        let mut heard = Heard::default();
        match origin {
            Origin::Connection(_) => self.venue.parse(text, &context, &mut heard),
            Origin::Poll(at) => {
                let mut polls = self.polls.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((poll, brought)) = polls.get_mut(at) {
                    brought.read(self.venue.as_ref(), text, poll, &context, &mut heard);
                }
            }
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.num_frames += 1;
        for fault in heard.faults {
            if seen.num_faults == 0 {
                seen.news.push(format!("a frame cannot be read: {fault}"));
            }
            seen.num_faults += 1;
        }
        for event in &heard.events {
            if let VenueEvent::Report(entry) | VenueEvent::LastTrade(entry) = event {
                self.see(&mut seen, entry, received);
            }
        }
    }
}

/// Says what a tick is; `None` for what is no tick.
fn describe(entry: &Entry, instrument: &Instrument, received: Nanos) -> Option<String> {
    let price = |price: Price| instrument.price_scale.show(i128::from(price.0));
    let what = match &entry.body {
        Body::Trade(trade) => {
            let size = instrument.size_scale.show(i128::from(trade.size.0));
            format!("trade {} x {size}", price(trade.price))
        }
        Body::Quote(quote) => format!("quote {} / {}", price(quote.bid), price(quote.ask)),
        Body::VenueBar(bar) => format!("bar, closed at {}", price(bar.close)),
        _ => return None,
    };
    let ts = entry.body.time();
    let behind = received.since(ts) as f64 / SECOND as f64;
    Some(format!("{} {} {what} (received {behind:.3} s later)", ts.to_rfc3339(), instrument.venue_symbol))
}
