//! What a connection missed: the time without it, holes in trade ids, and symbols that have not shown yet what they traded
//! meanwhile.
//!
//! Promises: time without a connection is a gap from the last moment that the venue spoke of to the first one after. Where
//! ids have no holes, each symbol's first id after it tells which trades were missed; elsewhere the whole stretch is asked
//! for once the subscription is complete. Trades that are only out of order are waited for. Nothing here fails.

use super::super::venue::{Ids, VenueEvent};
use super::continuity::{Hole, Step};
use super::feed::{Batch, Feed, Pending};
use super::gaps::{GapId, Stretch};
use super::job::Job;
use crate::models::entry::Entry;
use crate::models::symbol::SymbolId;
use crate::models::time::{HOUR, Nanos, SECOND};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a trade may be overtaken by others before its absence is a hole.
const REORDER_GRACE: Duration = Duration::from_millis(500);

/// How long a symbol may be silent after a connection came back before its trades are asked for without knowing more.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// How much later than the stream REST may have a trade: what is asked for by time is asked for no sooner.
const REST_LAG: Duration = Duration::from_secs(2);

/// Last trades that wait for the first moment after a connection came back: one a symbol, and repeats.
const LAST_TRADES_MAX: usize = 16_384;

/// What one connection missed.
pub(super) struct Outages {
    feed: Rc<Feed>,
    /// The connection's place among the feed's.
    at: usize,
    /// The instruments that the connection brings.
    pub places: Vec<usize>,
    /// Since when it has been down; the inner `None` is a first start. `None` while it is up.
    down_since: Option<Option<Nanos>>,
    /// The newest moment that the venue spoke of here.
    newest: Nanos,
    /// What the venue sent about the time before it told the time.
    last_trades: Vec<Entry>,
    /// Holes that may be no more than reordered trades.
    suspects: Vec<(usize, Hole, Instant)>,
    resumed: Instant,
    /// The gap of an outage that is over, while some symbols may not be subscribed to yet. The inner `None`: no time was
    /// missed.
    incomplete: Option<Option<GapId>>,
}

impl Outages {
    /// Makes those of a connection that was not there yet.
    pub fn new(feed: Rc<Feed>, at: usize, places: Vec<usize>) -> Outages {
        let down_since = Some(feed.down_since.map(|since| since.plus(-feed.env.settings.lateness)));
        Outages {
            feed,
            at,
            places,
            down_since,
            newest: Nanos::MIN,
            last_trades: Vec::new(),
            suspects: Vec::new(),
            resumed: Instant::now(),
            incomplete: None,
        }
    }

    /// Makes those of a connection that is to bring symbols which are followed from now on: nothing of it can be missing.
    pub fn none(feed: Rc<Feed>, at: usize) -> Outages {
        Outages { down_since: None, ..Outages::new(feed, at, Vec::new()) }
    }

    /// A symbol is followed from now on over this connection. What it has traded since the beginning of the smallest window
    /// is asked for; of larger ones the rest is a gap of the symbol's own, as nobody else misses anything.
    pub fn begin(&mut self, batch: &mut Batch, place: usize) {
        self.places.push(place);
        if self.down_since.is_some() {
            // The end of the outage tells what is missing of all symbols.
            return;
        }
        let feed = Rc::clone(&self.feed);
        let now = feed.event_time_now(place);
        let base = feed.env.settings.base().start_of(now);
        let start = feed.unknown_since(now);
        let left = feed.products.borrow_mut()[place].left.take();
        if let Some((from, to)) = left
            && from < base
            && base < to
        {
            // What was given up when it was left goes on only to here.
            let symbol = feed.instruments.symbol(place);
            feed.tell_gap(batch, Stretch { symbol, from: base, to, is_filled: true });
        }
        if start < base {
            feed.open_gap_of(batch, Some(place), (start, base), 0);
        }
        // Until the venue brings it, some time passes.
        let until = now.plus(feed.env.settings.lateness);
        let gap = Some(feed.open_gap_of(batch, Some(place), (base, until), 1));
        let product = &mut feed.products.borrow_mut()[place];
        product.is_new = false;
        product.pending = Some(Pending { gap, since: base });
        self.resumed = Instant::now();
        if !self.has_numbers() {
            self.incomplete.get_or_insert(None);
        }
    }

    /// A symbol is followed no more: what its bars lack from here on shows.
    pub fn leave(&mut self, batch: &mut Batch, place: usize) {
        let feed = Rc::clone(&self.feed);
        self.places.retain(|&other| other != place);
        self.suspects.retain(|&(other, ..)| other != place);
        self.note_suspects();
        let (pending, since) = {
            let product = &mut feed.products.borrow_mut()[place];
            (
                product.pending.take(),
                if self.newest == Nanos::MIN { feed.event_time_now(place) } else { self.newest },
            )
        };
        if let Some(gap) = pending.and_then(|pending| pending.gap) {
            feed.give_up_gap(gap);
        }
        feed.forget_gaps(place);
        let widths = feed.env.settings.widths.iter().filter(|width| width.nanos() <= HOUR);
        if let Some(end) = widths.map(|width| width.end_of(since)).max() {
            let symbol = feed.instruments.symbol(place);
            feed.tell_gap(batch, Stretch { symbol, from: since, to: end, is_filled: false });
            feed.products.borrow_mut()[place].left = Some((since, end));
        }
    }

    /// The connection is closed because nothing is followed over it any more.
    pub fn rest(&mut self) {
        *self = Outages::none(Rc::clone(&self.feed), self.at);
    }

    /// True while nothing has come since the connection was lost.
    pub fn is_down(&self) -> bool {
        self.down_since.is_some()
    }

    /// Returns the newest moment that the venue spoke of.
    pub fn newest(&self) -> Nanos {
        self.newest
    }

    fn has_numbers(&self) -> bool {
        self.feed.needs.ids == Ids::Consecutive
    }

    /// The venue speaks of a moment: the first one ends the outage, though not before `subscribed`, where that is known.
    pub fn is_at(&mut self, batch: &mut Batch, time: Nanos, subscribed: Option<Nanos>) {
        if let Some(since) = self.down_since.take() {
            self.resume(batch, since, subscribed.map_or(time, |subscribed| subscribed.max(time)));
        }
        self.newest = self.newest.max(time);
    }

    /// Tells the gap of an outage, whose trades each symbol's next id will show.
    fn resume(&mut self, batch: &mut Batch, since: Option<Nanos>, now: Nanos) {
        let feed = Rc::clone(&self.feed);
        let since = since.unwrap_or_else(|| self.first_start(batch, now));
        let gap = (since < now).then(|| {
            feed.metrics.holes.inc();
            feed.open_gap(batch, since, now, self.places.len())
        });
        self.resumed = Instant::now();
        for &place in &self.places {
            let product = &mut feed.products.borrow_mut()[place];
            // What happened before a symbol was followed comes as bars, behind which older trades would be late.
            let is_new = std::mem::take(&mut product.is_new);
            let since = if is_new { since.max(feed.env.settings.base().start_of(now)) } else { since };
            product.pending = Some(Pending { gap, since });
        }
        self.incomplete = (!self.has_numbers()).then_some(gap);
        for entry in std::mem::take(&mut self.last_trades) {
            self.last_trade(batch, entry);
        }
    }

    /// Returns the moment from which on a first start wants to know everything: the beginning of the smallest window, so
    /// that the first bar is whole. Larger windows began earlier, and what they lack shows in their coverage.
    fn first_start(&self, batch: &mut Batch, now: Nanos) -> Nanos {
        let settings = Arc::clone(&self.feed.env.settings);
        let base = settings.base().start_of(now);
        let start = self.feed.unknown_since(now);
        if start < base {
            self.feed.open_gap(batch, start, base, 0);
        }
        base
    }

    /// Every symbol is subscribed to: where ids tell nothing, what was missed until now is asked for.
    pub fn complete(&mut self, batch: &mut Batch) {
        let Some(gap) = self.incomplete.take() else { return };
        if let Some(gap) = gap {
            self.feed.extend_gap(batch, gap, self.newest);
        }
        for &place in &self.places {
            let pending = self.feed.products.borrow()[place].pending;
            if let Some(gap) = pending.and_then(|pending| pending.gap) {
                self.feed.extend_gap(batch, gap, self.newest);
            }
        }
        self.ask_for_pending(Some(self.newest.plus(self.feed.env.settings.lateness)));
    }

    /// The newest trade there was at the subscription. One from before the outage tells that nothing was missed; it is no
    /// report of ours.
    pub fn last_trade(&mut self, batch: &mut Batch, entry: Entry) {
        if self.down_since.is_some() {
            if self.last_trades.len() < LAST_TRADES_MAX {
                self.last_trades.push(entry);
            }
            return;
        }
        let feed = Rc::clone(&self.feed);
        let Some(place) = feed.instruments.place(entry.symbol) else { return };
        if !self.has_numbers() {
            // Without an id it could not be told from the same trade over the stream.
            let since = feed.products.borrow()[place].pending.map(|pending| pending.since);
            let is_missed = since.is_some_and(|since| entry.body.time() >= since);
            if is_missed && feed.needs.ids == Ids::Unique {
                feed.push(batch, entry);
            }
            return;
        }
        let Some((symbol, id, ts)) = VenueEvent::trade_number(&entry) else { return };
        let mut products = feed.products.borrow_mut();
        let product = &mut products[place];
        let is_old = product.pending.is_some_and(|pending| ts < pending.since);
        if is_old && product.ids.reached().is_none() {
            product.ids.saw(id, ts);
            let pending = product.pending.take();
            drop(products);
            self.settle(batch, pending);
            return;
        }
        let is_known =
            product.ids.reached().is_some_and(|reached| id <= reached && !product.ids.lacks(id, id));
        drop(products);
        if is_known {
            self.is_told(batch, symbol, id, ts);
        } else {
            self.report(batch, &entry);
            feed.push(batch, entry);
        }
    }

    /// Sees by a report's id what is missing before it.
    pub fn report(&mut self, batch: &mut Batch, entry: &Entry) {
        if !self.has_numbers() {
            return;
        }
        let feed = Rc::clone(&self.feed);
        if let Some((symbol, id, ts)) = VenueEvent::trade_number(entry)
            && let Some(place) = feed.instruments.place(symbol)
        {
            let mut products = feed.products.borrow_mut();
            let before = products[place].ids.reached();
            let step = products[place].ids.saw(id, ts);
            let pending = products[place].pending.take();
            drop(products);
            self.follow(batch, place, (before, id, ts), step, pending);
        }
    }

    /// The venue says how far a symbol's ids have come.
    pub fn is_told(&mut self, batch: &mut Batch, symbol: SymbolId, id: u64, time: Nanos) {
        let feed = Rc::clone(&self.feed);
        let Some(place) = feed.instruments.place(symbol) else { return };
        let mut products = feed.products.borrow_mut();
        let product = &mut products[place];
        let before = product.ids.reached();
        if before.is_none() && product.pending.is_none() {
            return;
        }
        // An id below the last one says nothing.
        let tells = before.is_none_or(|reached| id >= reached);
        let pending = if tells { product.pending.take() } else { None };
        let step = if before.is_none() { product.ids.saw(id, time) } else { product.ids.is_told(id, time) };
        drop(products);
        let step = if step == Step::Repeat { Step::Expected } else { step };
        // What is asked for reaches up to the id itself, which did not come.
        let id = id.saturating_add(u64::from(before.is_none()));
        self.follow(batch, place, (before, id, time), step, pending);
    }

    /// Does what an id shows to be necessary: `before` is the one reached before it.
    fn follow(
        &mut self,
        batch: &mut Batch,
        place: usize,
        (before, id, ts): (Option<u64>, u64, Nanos),
        step: Step,
        pending: Option<Pending>,
    ) {
        let feed = Rc::clone(&self.feed);
        let seen = Instant::now();
        let job = |after: Option<u64>, before: u64, since: Nanos, gap: Option<GapId>| {
            let before = Some(before);
            feed.ask(Job { place, after, before, since, until: None, gap, seen, due: seen });
        };
        match (step, pending) {
            (Step::Repeat, None) => feed.metrics.repeats.inc(),
            (Step::Expected, None) => {}
            (Step::Jump(hole), None) => {
                self.suspects.push((place, hole, seen));
                self.note_suspects();
            }
            (Step::Jump(hole), Some(Pending { gap, .. })) => {
                job(Some(hole.first - 1), hole.last + 1, hole.from, gap);
            }
            (Step::Expected, Some(Pending { gap, since })) if before.is_none() => job(None, id, since, gap),
            (Step::Expected | Step::Repeat, pending) => self.settle(batch, pending),
            (Step::Renumbered, pending) => {
                let venue = feed.venue.name();
                let symbol = &feed.instruments.venue_symbol(place);
                tracing::warn!(venue, symbol, id, "trade ids leapt: what lies between is unknown");
                feed.metrics.holes.inc();
                feed.metrics.given_up.inc();
                match pending.and_then(|pending| pending.gap) {
                    Some(gap) => feed.give_up_gap(gap),
                    None => {
                        let stretch = (self.newest.plus(-SECOND), ts.plus(1));
                        feed.open_gap_of(batch, Some(place), stretch, 0);
                    }
                }
            }
        }
    }

    /// A symbol has missed nothing.
    fn settle(&self, batch: &mut Batch, pending: Option<Pending>) {
        if let Some(gap) = pending.and_then(|pending| pending.gap) {
            self.feed.release_gap(batch, gap);
        }
    }

    /// Looks whether reordered trades have come, and whether silent symbols must be asked for.
    pub fn look(&mut self, batch: &mut Batch) {
        if !self.suspects.is_empty() {
            let is_due = |(_, _, seen): &(usize, Hole, Instant)| seen.elapsed() >= REORDER_GRACE;
            let (due, rest) = std::mem::take(&mut self.suspects).into_iter().partition(is_due);
            self.suspects = rest;
            self.ask_for(batch, due);
            self.note_suspects();
        }
        if self.has_numbers() && self.down_since.is_none() && self.resumed.elapsed() >= SILENCE_MAX {
            self.ask_for_pending(None);
        }
    }

    /// Tells where the earliest hole begins that may be none: up to there everything was said.
    fn note_suspects(&self) {
        let from = self.suspects.iter().map(|(_, hole, _)| hole.from.min(hole.to)).min();
        self.feed.note_suspect(self.at, from.unwrap_or(Nanos::MAX));
    }

    /// Has the holes filled that are there still.
    fn ask_for(&self, batch: &mut Batch, suspects: Vec<(usize, Hole, Instant)>) {
        let feed = &self.feed;
        for (place, hole, seen) in suspects {
            if !feed.products.borrow()[place].ids.lacks(hole.first, hole.last) {
                continue;
            }
            feed.metrics.holes.inc();
            let (from, to) = (hole.from.min(hole.to), hole.from.max(hole.to).plus(1));
            let gap = Some(feed.open_gap_of(batch, Some(place), (from, to), 1));
            let (after, before) = (Some(hole.first - 1), Some(hole.last + 1));
            feed.ask(Job { place, after, before, since: from, until: None, gap, seen, due: seen });
        }
    }

    /// Asks for the trades of symbols that have not shown by an id what they missed.
    fn ask_for_pending(&self, until: Option<Nanos>) {
        let feed = &self.feed;
        let seen = Instant::now();
        let due = if self.has_numbers() { seen } else { seen + REST_LAG };
        for &place in &self.places {
            let mut products = feed.products.borrow_mut();
            let Some(Pending { gap, since }) = products[place].pending.take() else { continue };
            let after = products[place].ids.reached();
            drop(products);
            feed.ask(Job { place, after, before: None, since, until, gap, seen, due });
        }
    }

    /// The venue does not have a symbol: nothing of it can be missing.
    pub fn leave_out(&mut self, batch: &mut Batch, place: usize) {
        self.places.retain(|&other| other != place);
        let pending = self.feed.products.borrow_mut()[place].pending.take();
        self.settle(batch, pending);
    }

    /// Notes that the connection is gone.
    pub fn lose(&mut self, batch: &mut Batch) {
        if self.down_since.is_none() && self.newest == Nanos::MIN {
            // It never was there, so what is missing is what was before.
            return;
        }
        let suspects = std::mem::take(&mut self.suspects);
        self.ask_for(batch, suspects);
        self.note_suspects();
        if let Some(Some(gap)) = self.incomplete.take() {
            self.feed.extend_gap(batch, gap, self.newest);
        }
        self.ask_for_pending(None);
        self.last_trades.clear();
        if self.down_since.is_none() {
            // By ids what is missing shows to the last trade; by time some may have been on their way.
            let margin = if self.has_numbers() { 0 } else { self.feed.env.settings.lateness };
            self.down_since = Some(Some(self.newest.plus(-margin)));
        }
    }

    /// Nothing comes over this connection any more, and the others of the source go on: the bars that its symbols have
    /// begun show that they are not whole.
    pub fn end(&mut self, batch: &mut Batch) {
        let Some(Some(since)) = self.down_since else { return };
        let widths = self.feed.env.settings.widths.iter().filter(|width| width.nanos() <= HOUR);
        if let Some(end) = widths.map(|width| width.end_of(since)).max() {
            self.feed.open_gap(batch, since, end, 0);
        }
    }
}
