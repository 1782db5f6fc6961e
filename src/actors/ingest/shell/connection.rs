//! One connection to a venue, opened again and again.
//!
//! Promises: what is read is handed to the log before more is read; a connection that brings nothing for `idle_timeout` is
//! given up; pauses between tries grow until data comes. Time without a connection is a gap from the last moment that the
//! venue spoke of to the first one after, and each symbol's first id after it tells which trades were missed.

use super::super::venue::{Heard, Ids, Step as Handshake, VenueEvent};
use super::breaker::Breaker;
use super::connect::{self, Socket};
use super::continuity::{Hole, Step};
use super::feed::{Batch, Feed, Pending, Share};
use super::job::Job;
use crate::actors::guard::{self, ActorKind};
use crate::models::entry::Entry;
use crate::models::symbol::SymbolId;
use crate::models::time::{HOUR, Nanos, SECOND};
use crate::retry::Backoff;
use futures_util::{FutureExt, SinkExt, StreamExt};
use reqwest::Url;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::{MissedTickBehavior, interval};
use tokio_tungstenite::tungstenite::{Error, Message};

/// Frames that are read before they are handed to the log, if so many have come: more would only come later.
const FRAMES_MAX: usize = 512;

/// How long a trade may be overtaken by others before its absence is a hole.
const REORDER_GRACE: Duration = Duration::from_millis(500);

/// How long a symbol may be silent after a connection came back before its trades are asked for without knowing more.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// How often holes and silence are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Last trades that wait for the first moment after a connection came back: one a symbol, and repeats.
const LAST_TRADES_MAX: usize = 16_384;

/// Why a connection ended.
enum End {
    /// The feed is to stop.
    Stopped,
    /// It was lost, or did not come about.
    Lost(String),
}

/// One connection.
pub(super) struct Connection {
    feed: Rc<Feed>,
    /// Its place among the feed's connections.
    at: usize,
    /// Where its stream is.
    url: Url,
    /// The instruments it brings.
    places: Vec<usize>,
    /// What the venue waits for.
    steps: Vec<Handshake>,
    /// Since when it has been down; the inner `None` is a first start. `None` while it is up.
    down_since: Option<Option<Nanos>>,
    /// The newest moment that the venue spoke of here.
    newest: Nanos,
    /// What the venue sent about the time before it told the time.
    last_trades: Vec<Entry>,
    /// Holes that may be no more than reordered trades.
    suspects: Vec<(usize, Hole, Instant)>,
    resumed: Instant,
    /// Something of use came since it was opened.
    has_data: bool,
    heard: Heard,
    batch: Batch,
}

impl Connection {
    pub fn new(feed: Rc<Feed>, at: usize, share: Share) -> Connection {
        let down_since = Some(feed.down_since.map(|since| since.plus(-feed.env.settings.lateness)));
        Connection {
            feed,
            at,
            url: share.url,
            places: share.places,
            steps: Vec::new(),
            down_since,
            newest: Nanos::MIN,
            last_trades: Vec::new(),
            suspects: Vec::new(),
            resumed: Instant::now(),
            has_data: false,
            heard: Heard::default(),
            batch: Batch::default(),
        }
    }

    /// Connects again and again until the feed stops.
    pub async fn run(mut self) {
        let feed = Rc::clone(&self.feed);
        let config = &feed.config;
        // They begin anew only after data, since servers accept, confirm and then kick.
        let mut backoff = Backoff::new(config.retry_policy());
        let mut breaker = Breaker::new(config.breaker_failures, config.breaker_open);
        loop {
            self.has_data = false;
            let session = guard::watch(ActorKind::Provider, &feed.env.metrics, self.session()).await;
            let reason = match session {
                Some(End::Stopped) => return,
                Some(End::Lost(reason)) => reason,
                None => "reading it panicked".to_owned(),
            };
            feed.metrics.failures.inc();
            self.lose();
            if feed.send(&mut self.batch).await.is_err() {
                return;
            }
            if self.has_data {
                backoff.reset();
                breaker.succeeded();
            } else if breaker.failed(Instant::now()) {
                feed.metrics.breaker_opened.inc();
            }
            let pause = backoff.failed().max(breaker.pause(Instant::now()).unwrap_or_default());
            let venue = feed.venue.name();
            tracing::warn!(
                venue,
                reason,
                pause_s = pause.as_secs_f64(),
                "the connection to the venue is lost"
            );
            feed.note_trouble(self.at, reason);
            tokio::select! {
                () = feed.stop.told() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Opens the connection, and reads it to its end.
    async fn session(&mut self) -> End {
        let feed = Rc::clone(&self.feed);
        let config = &feed.config;
        let proxy = config.proxy_url.as_ref();
        let opened = tokio::select! {
            () = feed.stop.told() => return End::Stopped,
            opened = connect::open(&self.url, proxy, &feed.tls, config.connect_timeout) => opened,
        };
        let mut socket = match opened {
            Ok(socket) => socket,
            Err(error) => return End::Lost(error.to_string()),
        };
        if let Err(reason) = self.go(&mut socket, feed.needs.first).await {
            return End::Lost(reason);
        }
        feed.metrics.connects.inc();
        let _open = OpenConnection::count(&feed);
        self.listen(&mut socket).await
    }

    /// Takes a step towards the subscription.
    async fn go(&self, socket: &mut Socket, step: Handshake) -> Result<(), String> {
        let feed = &self.feed;
        let messages = match step {
            Handshake::Wait => Vec::new(),
            Handshake::Authenticate => feed.venue.authenticate(),
            Handshake::Subscribe => {
                let spelled = |&at: &usize| feed.instruments.all()[at].venue_symbol.as_str();
                let symbols: Vec<&str> = self.places.iter().map(spelled).collect();
                feed.venue.subscribe(&symbols)
            }
        };
        for message in messages {
            say(socket, Message::text(message), feed.config.connect_timeout).await?;
        }
        Ok(())
    }

    async fn listen(&mut self, socket: &mut Socket) -> End {
        let feed = Rc::clone(&self.feed);
        let mut ping = interval(feed.config.ping_interval);
        let mut look = interval(LOOK_INTERVAL);
        for timer in [&mut ping, &mut look] {
            timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        let mut pace = Pace { most: feed.rate_max, begun: Instant::now(), used: 0 };
        let mut spoken = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = feed.stop.told() => return End::Stopped,
                _ = look.tick() => {
                    self.look();
                    if spoken.elapsed() >= feed.config.idle_timeout {
                        return End::Lost(format!("nothing came for {:?}", feed.config.idle_timeout));
                    }
                }
                _ = ping.tick() => {
                    let nothing = Message::Ping(Vec::new().into());
                    if let Err(reason) = say(socket, nothing, feed.config.connect_timeout).await {
                        return End::Lost(reason);
                    }
                }
                message = socket.next() => {
                    let mut next = Some(message);
                    let mut num_frames = 0;
                    while let Some(message) = next {
                        match self.take(message) {
                            Ok(has_spoken) if has_spoken => spoken = Instant::now(),
                            Ok(_) => {}
                            Err(reason) => return End::Lost(reason),
                        }
                        num_frames += 1;
                        next = if num_frames < FRAMES_MAX { socket.next().now_or_never() } else { None };
                    }
                    for step in std::mem::take(&mut self.steps) {
                        if let Err(reason) = self.go(socket, step).await {
                            return End::Lost(reason);
                        }
                    }
                    if let Some(pause) = pace.pause_after(num_frames) {
                        tokio::select! {
                            () = feed.stop.told() => {}
                            () = tokio::time::sleep(pause) => {}
                        }
                        spoken = Instant::now();
                    }
                }
            }
            if feed.send(&mut self.batch).await.is_err() {
                return End::Stopped;
            }
        }
    }

    /// Takes what came over the socket. Returns whether it shows that the venue is there.
    fn take(&mut self, message: Option<Result<Message, Error>>) -> Result<bool, String> {
        let text = match message {
            None => return Err("the venue closed the connection".to_owned()),
            Some(Err(error)) => return Err(error.to_string()),
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Binary(bytes))) => String::from_utf8_lossy(&bytes).into_owned().into(),
            Some(Ok(Message::Close(frame))) => {
                return Err(match frame {
                    Some(frame) => {
                        format!("the venue closed the connection: {} {}", frame.code, frame.reason)
                    }
                    None => "the venue closed the connection".to_owned(),
                });
            }
            // A venue with heartbeats is heard by them: its pongs come from a machine in front of it.
            Some(Ok(_)) => return Ok(!self.feed.needs.has_heartbeats),
        };
        let feed = Rc::clone(&self.feed);
        feed.env.faults.actor(ActorKind::Provider);
        feed.metrics.frames.inc();
        let received = (feed.env.now)();
        self.batch.received.get_or_insert(received);
        let mut heard = std::mem::take(&mut self.heard);
        heard.clear();
        feed.venue.parse(&text, &feed.context(received), &mut heard);
        feed.metrics.ignored.inc_by(heard.num_ignored);
        feed.metrics.rounded.inc_by(heard.num_rounded);
        for fault in heard.faults.drain(..) {
            feed.fault(&mut self.batch, fault, &text, received);
        }
        let mut refused = None;
        for event in heard.events.drain(..) {
            match event {
                VenueEvent::Refused(refusal) => {
                    refused = Some(format!("the venue refuses: {}", refusal.reason));
                }
                event => self.hear(&event, received),
            }
        }
        self.heard = heard;
        refused.map_or(Ok(true), Err)
    }

    fn hear(&mut self, event: &VenueEvent, received: Nanos) {
        // One wrong clock must not seal the future.
        let latest = received.plus(self.feed.env.settings.future_tolerance);
        match *event {
            VenueEvent::Clock { time, reached } => {
                let time = time.min(latest);
                self.is_at(time);
                if let Some((symbol, id)) = reached {
                    self.is_told(symbol, id, time);
                }
                self.feed.mark(&mut self.batch, self.at, self.newest);
            }
            VenueEvent::Report(entry) => {
                self.is_at(entry.body.time().min(latest));
                self.feed.metrics.entries.inc();
                self.report(entry);
            }
            VenueEvent::LastTrade(entry) => {
                if self.down_since.is_none() {
                    self.last_trade(entry);
                } else if self.last_trades.len() < LAST_TRADES_MAX {
                    self.last_trades.push(entry);
                }
            }
            VenueEvent::Subscribed(_) => {
                let venue = self.feed.venue.name();
                tracing::info!(venue, symbols = self.places.len(), "subscribed");
                self.feed.note_trouble(self.at, String::new());
            }
            VenueEvent::Next(step) => self.steps.push(step),
            VenueEvent::Alive => self.has_data = true,
            // What ends the connection, see above.
            VenueEvent::Refused(_)
            | VenueEvent::NotSubscribed { .. }
            | VenueEvent::Ending
            | VenueEvent::Break { .. } => {}
        }
    }

    /// The venue speaks of a moment: the first one ends the outage.
    fn is_at(&mut self, time: Nanos) {
        self.has_data = true;
        if let Some(since) = self.down_since.take() {
            self.resume(since, time);
        }
        self.newest = self.newest.max(time);
    }

    /// Tells the gap of an outage, whose trades each symbol's next id will show.
    fn resume(&mut self, since: Option<Nanos>, now: Nanos) {
        let feed = Rc::clone(&self.feed);
        let since = since.unwrap_or_else(|| self.first_start(now));
        let gap = (since < now).then(|| {
            feed.metrics.holes.inc();
            feed.open_gap(&mut self.batch, since, now, self.places.len())
        });
        self.resumed = Instant::now();
        for &place in &self.places {
            feed.products.borrow_mut()[place].pending = Some(Pending { gap, since, until: Some(now) });
        }
        if feed.needs.ids != Ids::Consecutive {
            self.ask_for_pending();
        }
        for entry in std::mem::take(&mut self.last_trades) {
            self.last_trade(entry);
        }
    }

    /// Returns the moment from which on a first start wants to know everything: the beginning of the smallest window, so
    /// that the first bar is whole. Larger windows began earlier, and what they lack shows in their coverage.
    fn first_start(&mut self, now: Nanos) -> Nanos {
        let settings = Arc::clone(&self.feed.env.settings);
        let base = settings.base().start_of(now);
        let largest = settings.widths.iter().filter(|width| width.nanos() <= HOUR).max();
        let start = largest.map_or(base, |width| width.start_of(now));
        if start < base {
            self.feed.open_gap(&mut self.batch, start, base, 0);
        }
        base
    }

    /// The newest trade there was at the subscription. One from before the outage tells that nothing was missed; it is no
    /// report of ours.
    fn last_trade(&mut self, entry: Entry) {
        let Some((symbol, id, ts)) = VenueEvent::trade_number(&entry) else { return };
        let Some(place) = self.feed.instruments.place(symbol) else { return };
        let mut products = self.feed.products.borrow_mut();
        let product = &mut products[place];
        let is_old = product.pending.is_some_and(|pending| ts < pending.since);
        if is_old && product.ids.reached().is_none() {
            product.ids.saw(id, ts);
            let pending = product.pending.take();
            drop(products);
            self.settle(pending);
            return;
        }
        let is_known =
            product.ids.reached().is_some_and(|reached| id <= reached && !product.ids.lacks(id, id));
        drop(products);
        if is_known {
            self.is_told(symbol, id, ts);
        } else {
            self.report(entry);
        }
    }

    /// Takes a report, and sees by its id what is missing before it.
    fn report(&mut self, entry: Entry) {
        let feed = Rc::clone(&self.feed);
        if feed.needs.ids == Ids::Consecutive
            && let Some((symbol, id, ts)) = VenueEvent::trade_number(&entry)
            && let Some(place) = feed.instruments.place(symbol)
        {
            let mut products = feed.products.borrow_mut();
            let before = products[place].ids.reached();
            let step = products[place].ids.saw(id, ts);
            let pending = products[place].pending.take();
            drop(products);
            self.follow(place, (before, id, ts), step, pending);
        }
        feed.push(&mut self.batch, entry);
    }

    /// The venue says how far a symbol's ids have come.
    fn is_told(&mut self, symbol: SymbolId, id: u64, time: Nanos) {
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
        self.follow(place, (before, id.saturating_add(u64::from(before.is_none())), time), step, pending);
    }

    /// Does what an id shows to be necessary: `before` is the one reached before it.
    fn follow(
        &mut self,
        place: usize,
        (before, id, ts): (Option<u64>, u64, Nanos),
        step: Step,
        pending: Option<Pending>,
    ) {
        let feed = Rc::clone(&self.feed);
        let seen = Instant::now();
        match (step, pending) {
            (Step::Repeat, None) => feed.metrics.repeats.inc(),
            (Step::Expected, None) => {}
            (Step::Jump(hole), None) => self.suspects.push((place, hole, seen)),
            (Step::Jump(hole), Some(Pending { gap, .. })) => {
                let (after, before) = (Some(hole.first - 1), Some(hole.last + 1));
                feed.ask(Job { place, after, before, since: hole.from, until: None, gap, seen });
            }
            (Step::Expected, Some(Pending { gap, since, .. })) if before.is_none() => {
                feed.ask(Job { place, after: None, before: Some(id), since, until: None, gap, seen });
            }
            (Step::Expected | Step::Repeat, pending) => self.settle(pending),
            (Step::Renumbered, pending) => {
                let venue = feed.venue.name();
                let symbol = &feed.instruments.all()[place].venue_symbol;
                tracing::warn!(venue, symbol, id, "trade ids leapt: what lies between is unknown");
                feed.metrics.holes.inc();
                feed.metrics.given_up.inc();
                match pending.and_then(|pending| pending.gap) {
                    Some(gap) => feed.give_up_gap(gap),
                    None => _ = feed.open_gap(&mut self.batch, self.newest.plus(-SECOND), ts.plus(1), 0),
                }
            }
        }
    }

    /// A symbol has missed nothing.
    fn settle(&mut self, pending: Option<Pending>) {
        if let Some(gap) = pending.and_then(|pending| pending.gap) {
            self.feed.release_gap(&mut self.batch, gap);
        }
    }

    /// Looks whether reordered trades have come, and whether silent symbols must be asked for.
    fn look(&mut self) {
        let is_due = |(_, _, seen): &(usize, Hole, Instant)| seen.elapsed() >= REORDER_GRACE;
        let (due, rest) = std::mem::take(&mut self.suspects).into_iter().partition(is_due);
        self.suspects = rest;
        self.ask_for(due);
        if self.down_since.is_none() && self.resumed.elapsed() >= SILENCE_MAX {
            self.ask_for_pending();
        }
    }

    /// Has the holes filled that are there still.
    fn ask_for(&mut self, suspects: Vec<(usize, Hole, Instant)>) {
        let feed = Rc::clone(&self.feed);
        for (place, hole, seen) in suspects {
            if !feed.products.borrow()[place].ids.lacks(hole.first, hole.last) {
                continue;
            }
            feed.metrics.holes.inc();
            let (from, to) = (hole.from.min(hole.to), hole.from.max(hole.to).plus(1));
            let gap = Some(feed.open_gap(&mut self.batch, from, to, 1));
            let (after, before) = (Some(hole.first - 1), Some(hole.last + 1));
            feed.ask(Job { place, after, before, since: from, until: None, gap, seen });
        }
    }

    /// Asks for the trades of symbols that have not shown by an id what they missed.
    fn ask_for_pending(&mut self) {
        let feed = Rc::clone(&self.feed);
        for &place in &self.places {
            let mut products = feed.products.borrow_mut();
            let Some(Pending { gap, since, until }) = products[place].pending.take() else { continue };
            let after = products[place].ids.reached();
            drop(products);
            feed.ask(Job { place, after, before: None, since, until, gap, seen: Instant::now() });
        }
    }

    /// Notes that the connection is gone.
    fn lose(&mut self) {
        let suspects = std::mem::take(&mut self.suspects);
        self.ask_for(suspects);
        self.ask_for_pending();
        self.last_trades.clear();
        if self.down_since.is_none() {
            self.down_since = Some(Some(self.newest));
        }
    }
}

/// Sends a message; a venue that takes nothing is lost.
async fn say(socket: &mut Socket, message: Message, timeout: Duration) -> Result<(), String> {
    match tokio::time::timeout(timeout, socket.send(message)).await {
        Ok(sent) => sent.map_err(|error| error.to_string()),
        Err(_) => Err(format!("the venue took nothing for {timeout:?}")),
    }
}

/// Counts an open connection as long as it lives, a panic included.
struct OpenConnection(crate::metrics::VenueMetrics);

impl OpenConnection {
    fn count(feed: &Feed) -> OpenConnection {
        feed.metrics.connections.inc();
        OpenConnection(feed.metrics.clone())
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}

/// Takes no more frames a second than it may.
struct Pace {
    most: Option<u32>,
    begun: Instant,
    used: u32,
}

impl Pace {
    /// Returns how long to wait after so many frames.
    fn pause_after(&mut self, num_frames: usize) -> Option<Duration> {
        const PERIOD: Duration = Duration::from_secs(1);
        let most = self.most?;
        if self.begun.elapsed() >= PERIOD {
            (self.begun, self.used) = (Instant::now(), 0);
        }
        self.used = self.used.saturating_add(u32::try_from(num_frames).unwrap_or(u32::MAX));
        (self.used >= most).then(|| PERIOD.saturating_sub(self.begun.elapsed()))
    }
}
