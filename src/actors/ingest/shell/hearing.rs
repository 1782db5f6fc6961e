//! From what a venue says to entries of the log.
//!
//! Promises: events are taken in the venue's order; what cannot be read, and what claims to be of the future, is counted and
//! set aside as a dead letter; the source's clock moves on only as far as the venue has said everything. Nothing here
//! fails: a frame that makes the venue's parser panic loses the frames being read.

use super::super::recording::Origin;
use super::super::venue::{Clock, FrameFault, Heard, Ids, Refusal, Then, VenueEvent};
use super::AHEAD_MAX;
use super::feed::{Batch, Feed};
use super::health::Condition;
use super::offset::ClockOffset;
use super::outages::Outages;
use super::subscription::Moment;
use super::talk::Talk;
use crate::actors::guard::ActorKind;
use crate::models::entry::{Body, Cancel, Entry};
use crate::models::num::{Price, Size};
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Reads what comes over one connection, and over the one that takes its place.
pub(super) struct Hearing {
    feed: Rc<Feed>,
    /// Its place among the feed's connections.
    at: usize,
    /// How far its stream is behind the market, where our clock tells the time; `None` where the venue does.
    delay: Option<i64>,
    /// How far our clock is from the venue's, as this connection shows it: others may be faster or slower.
    offset: ClockOffset,
    /// What was missed.
    pub outages: Outages,
    /// What is on its way to the log.
    pub batch: Batch,
    heard: Heard,
}

impl Hearing {
    pub fn new(feed: Rc<Feed>, at: usize, stream: usize, outages: Outages) -> Hearing {
        let delay = match feed.needs.clock {
            Clock::Told => None,
            Clock::Ours { .. } => Some(delay_nanos(feed.venue.delay_of(stream))),
        };
        let (offset, batch, heard) = Default::default();
        Hearing { feed, at, delay, offset, outages, batch, heard }
    }

    /// Takes a frame that was read just now.
    pub fn take(&mut self, text: &str, talk: &mut Talk, now: Instant) {
        let feed = Rc::clone(&self.feed);
        feed.env.faults.actor(ActorKind::Provider);
        feed.metrics.frames.inc();
        let received = (feed.env.now)();
        self.batch.received.get_or_insert(received);
        talk.is_alive(Moment { instant: now, time: received });
        if let Some(recorder) = &feed.recorder {
            recorder.frame(received, Origin::Connection(self.at), &feed.redaction.apply(text));
        }
        let mut heard = std::mem::take(&mut self.heard);
        heard.clear();
        let instruments = feed.instruments.now();
        feed.venue.parse(text, &feed.context(&instruments, received), &mut heard);
        feed.metrics.ignored.inc_by(heard.num_ignored);
        feed.metrics.rounded.inc_by(heard.num_rounded);
        feed.metrics.unknown_conditions.inc_by(heard.num_unknown_conditions);
        feed.metrics.unconfirmed_conditions.inc_by(heard.num_unconfirmed_conditions);
        for fault in heard.faults.drain(..) {
            feed.fault(&mut self.batch, fault, text, received);
        }
        for event in heard.events.drain(..) {
            self.hear(event, text, received, talk);
        }
        self.heard = heard;
    }

    fn hear(&mut self, event: VenueEvent, text: &str, received: Nanos, talk: &mut Talk) {
        let now = Moment { instant: talk.alive.instant, time: received };
        match event {
            VenueEvent::Report(entry) => self.report(entry, text, received, talk),
            VenueEvent::Clock { time, reached } => {
                talk.has_data = true;
                self.saw_time(time, received);
                let time = self.believed(time, received);
                self.outages.is_at(&mut self.batch, time, None);
                if let Some((symbol, id)) = reached {
                    self.outages.is_told(&mut self.batch, symbol, id, time);
                }
                self.feed.mark(&mut self.batch, self.at, self.outages.newest());
            }
            VenueEvent::LastTrade(entry) if self.is_of_the_future(&entry, text, received) => {}
            VenueEvent::LastTrade(entry) => self.outages.last_trade(&mut self.batch, entry),
            VenueEvent::Break { symbol, ts, price, size } => {
                self.take_back(symbol, ts, (price, size), text, received);
            }
            VenueEvent::Alive => talk.has_data = true,
            VenueEvent::Next(step) => talk.steps.push(step),
            VenueEvent::Subscribed(venue_symbol) => self.confirm(venue_symbol.as_deref(), now, talk),
            VenueEvent::NotSubscribed { venue_symbol: Some(symbol), reason } => {
                if let Some(place) = self.place_of(&symbol) {
                    talk.subscription.refuse(place, now.instant);
                    self.leave_out(place, &self.feed.hide(&reason));
                }
            }
            VenueEvent::NotSubscribed { venue_symbol: None, reason } => {
                talk.subscription.refuse_unnamed(self.feed.hide(&reason), now.instant);
            }
            VenueEvent::Refused(Refusal { reason, then }) => {
                talk.refusal = Some(Refusal { reason: self.feed.hide(&reason), then });
            }
            VenueEvent::Ending => talk.is_ending = true,
        }
    }

    /// Notes when an event happened that was received just now.
    #[inline]
    fn saw_time(&mut self, event: Nanos, received: Nanos) {
        if self.offset.saw(event, received) {
            self.feed.note_offset(self.at, self.offset.known());
        }
    }

    /// Returns a time as far as it is believed: one wrong clock must not seal the future.
    fn believed(&self, time: Nanos, received: Nanos) -> Nanos {
        time.min(received.plus(self.feed.env.settings.future_tolerance))
    }

    fn report(&mut self, mut entry: Entry, text: &str, received: Nanos, talk: &mut Talk) {
        let feed = Rc::clone(&self.feed);
        let ts = entry.body.time();
        talk.has_data = true;
        if self.is_of_the_future(&entry, text, received) {
            // Its id came nevertheless, and to ask for it again would bring the same.
            return self.outages.report(&mut self.batch, &entry);
        }
        if let Some(delay) = self.delay
            && matches!(entry.body, Body::Trade(_) | Body::Quote(_))
        {
            self.saw_time(ts.plus(delay), received);
        }
        if feed.needs.ids == Ids::None
            && let Body::Trade(trade) = &mut entry.body
        {
            trade.id = talk.alike.identify(entry.symbol, trade);
            feed.recent.borrow_mut().push(entry.symbol, trade);
        }
        feed.metrics.entries.inc();
        let time = self.believed(ts, received);
        let subscribed = self.subscribed_from(talk);
        self.outages.is_at(&mut self.batch, time, subscribed);
        self.outages.report(&mut self.batch, &entry);
        feed.push(&mut self.batch, entry);
    }

    /// Sets aside what claims to be of the future. Returns whether it does.
    fn is_of_the_future(&mut self, entry: &Entry, text: &str, received: Nanos) -> bool {
        let ts = entry.body.time();
        if ts <= received.plus(AHEAD_MAX) {
            return false;
        }
        let reason = format!("it claims to be of {}", ts.to_rfc3339());
        let fault = FrameFault { kind: "bad_time", reason, venue_symbol: self.spelled(entry.symbol) };
        self.feed.fault(&mut self.batch, fault, text, received);
        true
    }

    /// Returns the venue's spelling of a symbol.
    fn spelled(&self, symbol: SymbolId) -> Option<String> {
        let place = self.feed.instruments.place(symbol)?;
        Some(self.feed.instruments.venue_symbol(place))
    }

    /// Finds the trade that did not happen, and reports that.
    fn take_back(
        &mut self,
        symbol: SymbolId,
        ts: Nanos,
        (price, size): (Price, Size),
        text: &str,
        received: Nanos,
    ) {
        let feed = Rc::clone(&self.feed);
        let found = feed.recent.borrow_mut().take(symbol, price, size);
        let Some(target) = found else {
            let venue_symbol = self.spelled(symbol);
            let reason = "no trade of this price and size is known that could be taken back".to_owned();
            let fault = FrameFault { kind: "no_trade", reason, venue_symbol };
            return feed.fault(&mut self.batch, fault, text, received);
        };
        let cancel = Cancel { ts, received, target, source: feed.source };
        feed.metrics.entries.inc();
        feed.push(&mut self.batch, Entry { pos: 0, symbol, body: Body::Cancel(cancel) });
    }

    /// Returns the place of a symbol in the venue's spelling.
    fn place_of(&self, venue_symbol: &str) -> Option<usize> {
        self.feed.instruments.place_of(venue_symbol)
    }

    fn confirm(&mut self, venue_symbol: Option<&str>, now: Moment, talk: &mut Talk) {
        let place = venue_symbol.map(|symbol| self.place_of(symbol));
        if place == Some(None) {
            return;
        }
        let place = place.flatten();
        talk.subscription.confirm(place, now);
        if let Some(place) = place
            && !self.outages.places.contains(&place)
            && !self.feed.instruments.is_left(place)
        {
            // It seemed refused, and was only late.
            self.outages.places.push(place);
            self.feed.leave_out(place, None);
        }
    }

    /// Goes on without a symbol that the venue refuses.
    fn leave_out(&mut self, place: usize, reason: &str) {
        if !self.outages.places.contains(&place) {
            return;
        }
        let symbol = &self.feed.instruments.venue_symbol(place);
        let venue = self.feed.venue.name();
        tracing::warn!(
            venue,
            symbol,
            reason,
            "the venue refuses this symbol; it is left out until the next start"
        );
        self.feed.leave_out(place, Some(reason.to_owned()));
        self.outages.leave_out(&mut self.batch, place);
    }

    /// Looks at what time alone brings: the end of a subscription, holes that stay, and the clock where it is ours.
    pub fn look(&mut self, talk: &mut Talk) {
        let now = Instant::now();
        if let Some((places, reason)) = talk.subscription.find_refused(now) {
            if places.is_empty() {
                let venue = self.feed.venue.name();
                tracing::warn!(venue, reason, "the venue refuses a part of the subscription, and no symbol");
            }
            places.into_iter().for_each(|place| self.leave_out(place, &reason));
        }
        if self.outages.places.is_empty() && talk.refusal.is_none() {
            let reason = "it refuses every symbol".to_owned();
            talk.refusal = Some(Refusal { reason, then: Then::Stop });
        }
        if !talk.is_complete && talk.subscription.is_settled(now) {
            talk.is_complete = true;
            let (venue, symbols) = (self.feed.venue.name(), self.outages.places.len());
            tracing::info!(venue, symbols, "subscribed");
        }
        if talk.is_complete || (talk.has_data && talk.subscription.is_asked()) {
            self.feed.note(self.at, Condition::Well);
        }
        if self.delay.is_some() {
            self.tell_time(now, talk);
        }
        if talk.is_complete && !self.outages.is_down() {
            self.outages.complete(&mut self.batch);
        }
        self.outages.look(&mut self.batch);
    }

    /// Tells the time for a venue that does not: as far as the last sign of life goes, less what events are behind.
    fn tell_time(&mut self, now: Instant, talk: &Talk) {
        let Some(subscribed) = self.subscribed_from(talk) else { return };
        if self.outages.is_down() {
            // The first report says best how far behind events are; a quiet market has none.
            if talk.subscription.is_quiet(now) {
                self.outages.is_at(&mut self.batch, subscribed, None);
            }
            return;
        }
        let time = self.behind(talk.alive.time);
        self.outages.is_at(&mut self.batch, time, None);
        self.feed.mark(&mut self.batch, self.at, self.outages.newest());
    }

    /// Returns the event time from which on everything came, where our clock has to say it.
    fn subscribed_from(&self, talk: &Talk) -> Option<Nanos> {
        self.delay?;
        talk.subscription.since().map(|since| self.behind(since))
    }

    /// Returns the event time up to which everything has come by a moment of receipt.
    fn behind(&self, received: Nanos) -> Nanos {
        let behind = self.offset.behind(received).unwrap_or(0).max(0);
        received.plus(-self.delay.unwrap_or(0) - behind)
    }
}

fn delay_nanos(delay: Duration) -> i64 {
    i64::try_from(delay.as_nanos()).unwrap_or(i64::MAX / 4)
}
