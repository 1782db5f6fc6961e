//! One connection to a venue, opened again and again, and replaced in time where the venue would end it.
//!
//! Promises: what is read is handed to the log before more is read; pauses between tries grow until data comes, and are no
//! shorter than the venue says; one that the venue refuses for good is not tried again. A connection that is about to be
//! ended by the venue is read on until the one that takes its place is subscribed, so that nothing is missed.

use super::super::venue::{Refusal, Then};
use super::feed::Feed;
use super::health::Condition;
use super::hearing::Hearing;
use super::limit::Pace;
use super::outages::Outages;
use super::schedule::replace_after;
use super::session::{End, Received, Session};
use super::share::Share;
use crate::actors::guard::{self, ActorKind};
use crate::breaker::Breaker;
use crate::retry::Backoff;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::time::{MissedTickBehavior, interval};

/// Frames that are read before they are handed to the log, if so many have come: more would only come later.
const FRAMES_MAX: usize = 512;

/// How often holes, silence and age are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// How long a connection is read on after another one has taken its place: what it says may be on its way.
const OVERLAP: Duration = Duration::from_secs(1);

/// One connection.
pub(super) struct Connection {
    feed: Rc<Feed>,
    /// Its place among the feed's connections.
    at: usize,
    /// What it is to bring.
    share: Rc<Share>,
    /// What of that it has taken note of.
    taken: Vec<usize>,
    hearing: Hearing,
    /// The session that is going on has shown to be a good one.
    is_good: bool,
}

impl Connection {
    /// Makes one of those that a feed begins with: the time before is an outage.
    pub fn new(feed: Rc<Feed>, at: usize, share: Rc<Share>) -> Connection {
        let taken = share.places.borrow().clone();
        let outages = Outages::new(Rc::clone(&feed), at, taken.clone());
        let hearing = Hearing::new(Rc::clone(&feed), at, share.stream, outages);
        Connection { feed, at, share, taken, hearing, is_good: false }
    }

    /// Makes one for symbols that are followed from now on.
    pub fn added(feed: Rc<Feed>, at: usize, share: Rc<Share>) -> Connection {
        let hearing = Hearing::new(Rc::clone(&feed), at, share.stream, Outages::none(Rc::clone(&feed), at));
        Connection { feed, at, share, taken: Vec::new(), hearing, is_good: false }
    }

    /// Connects again and again until the feed stops.
    pub async fn run(mut self) {
        let feed = Rc::clone(&self.feed);
        let (config, venue) = (&feed.config, feed.venue.name());
        // They begin anew only after data, since servers accept, confirm and then kick.
        let mut backoff = Backoff::new(config.retry_policy());
        let mut breaker = Breaker::new(config.breaker_policy());
        loop {
            if !self.has_symbols().await {
                return;
            }
            self.is_good = false;
            let session = guard::watch(ActorKind::Provider, &feed.env.metrics, self.session()).await;
            let (reason, least) = match session {
                Some(End::Stopped) => return,
                Some(End::Idle) => continue,
                Some(End::Lost(reason)) => (feed.hide(&reason), Duration::ZERO),
                None => ("reading it panicked".to_owned(), Duration::ZERO),
                Some(End::Refused(Refusal { reason, then })) => {
                    feed.metrics.refusals.inc();
                    if then != Then::Stop {
                        feed.note_refusal(then);
                    }
                    match then {
                        Then::Stop => {
                            if self.refused(reason).await {
                                continue;
                            }
                            return;
                        }
                        Then::Wait(pause) => (format!("the venue refuses: {reason}"), pause),
                        Then::Retry => (format!("the venue refuses: {reason}"), Duration::ZERO),
                    }
                }
            };
            feed.metrics.failures.inc();
            self.hearing.outages.lose(&mut self.hearing.batch);
            if feed.send(&mut self.hearing.batch).await.is_err() {
                return;
            }
            if self.is_good {
                backoff.reset();
                breaker.succeeded();
            } else if breaker.failed(Instant::now()) {
                feed.metrics.breaker_opened.inc();
            }
            let pause = backoff.failed().max(breaker.pause(Instant::now()).unwrap_or_default()).max(least);
            let pause_s = pause.as_secs_f64();
            tracing::warn!(venue, reason, pause_s, "the connection to the venue is lost");
            feed.note(self.at, Condition::Down(reason));
            tokio::select! {
                () = feed.stop.told() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Waits until there is something to bring. Returns whether there is: else the feed stops.
    async fn has_symbols(&mut self) -> bool {
        let feed = Rc::clone(&self.feed);
        loop {
            self.compare();
            if feed.send(&mut self.hearing.batch).await.is_err() {
                return false;
            }
            if !self.taken.is_empty() {
                return true;
            }
            self.hearing.outages.rest();
            feed.stop_clock(self.at);
            feed.note(self.at, Condition::Well);
            tokio::select! {
                () = feed.stop.told() => return false,
                () = self.share.changed.notified() => {}
            }
        }
    }

    /// Takes note of what it is to bring from now on. Returns what is new, and what is left.
    fn compare(&mut self) -> (Vec<usize>, Vec<usize>) {
        let wanted = self.share.places.borrow().clone();
        let missing = |all: &[usize], from: &[usize]| -> Vec<usize> {
            all.iter().copied().filter(|place| !from.contains(place)).collect()
        };
        let (added, left) = (missing(&wanted, &self.taken), missing(&self.taken, &wanted));
        for &place in &left {
            self.hearing.outages.leave(&mut self.hearing.batch, place);
        }
        for &place in &added {
            self.hearing.outages.begin(&mut self.hearing.batch, place);
        }
        self.taken = wanted;
        (added, left)
    }

    /// Subscribes to what is new, and ends the subscription of what is left.
    async fn adjust(&mut self, session: &mut Session) -> Result<(), End> {
        let (added, left) = self.compare();
        if !left.is_empty() {
            session.unsubscribe(&left).await?;
        }
        if self.taken.is_empty() {
            return Err(End::Idle);
        }
        if !added.is_empty() {
            session.subscribe(&added).await?;
        }
        Ok(())
    }

    /// The venue refuses for good: nothing is tried until the feed stops, or the connection is to bring something else.
    /// Returns whether it is. Where the venue has other connections they go on, and only the symbols of this one are left out:
    /// a plan may have one market and not another.
    async fn refused(&mut self, reason: String) -> bool {
        let feed = Rc::clone(&self.feed);
        let (venue, symbols) = (feed.venue.name(), self.hearing.outages.places.len());
        tracing::error!(
            venue,
            symbols,
            reason,
            "the venue refuses the connection, which is not tried again before the next start"
        );
        feed.metrics.failures.inc();
        self.hearing.outages.lose(&mut self.hearing.batch);
        if feed.num_connections() > 1 {
            feed.leave_out_all(&self.hearing.outages.places, &reason);
            self.hearing.outages.end(&mut self.hearing.batch);
            feed.stop_clock(self.at);
        }
        feed.note(self.at, Condition::Refused(reason));
        // A log that is gone takes nothing, and the stop is on its way.
        feed.send(&mut self.hearing.batch).await.ok();
        tokio::select! {
            () = feed.stop.told() => false,
            () = self.share.changed.notified() => {
                feed.bring_back(&self.hearing.outages.places);
                true
            }
        }
    }

    /// Opens the connection, and reads it to its end.
    async fn session(&mut self) -> End {
        let mut current = match self.open().await {
            Ok(session) => session,
            Err(end) => return end,
        };
        loop {
            match self.listen(&mut current).await {
                Ok(next) => std::mem::replace(&mut current, next).close().await,
                Err(end) => return end,
            }
        }
    }

    fn open(&self) -> LocalBoxFuture<'static, Result<Box<Session>, End>> {
        let places = self.hearing.outages.places.clone();
        Session::open(Rc::clone(&self.feed), self.share.url.clone(), places).boxed_local()
    }

    /// Reads a connection until it ends, or another one has taken its place, which is returned.
    async fn listen(&mut self, current: &mut Session) -> Result<Box<Session>, End> {
        let (feed, share) = (Rc::clone(&self.feed), Rc::clone(&self.share));
        let mut look = interval(LOOK_INTERVAL);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pace = Pace::new(feed.rate_max);
        let mut successor = Successor::new(&feed, self.at);
        loop {
            let num_frames = tokio::select! {
                biased;
                () = feed.stop.told() => return Err(End::Stopped),
                _ = look.tick() => {
                    self.look(current).await?;
                    if let Some(next) = successor.look(self, current).await {
                        return Ok(next);
                    }
                    0
                }
                received = current.next() => match self.read(current, received).await {
                    Ok(num_frames) => num_frames,
                    Err(End::Lost(reason)) => {
                        let Some(next) = successor.take_over() else { return Err(End::Lost(reason)) };
                        feed.metrics.replaced.inc();
                        return Ok(next);
                    }
                    Err(end) => return Err(end),
                },
                news = successor.next() => {
                    successor.take(self, news).await;
                    0
                }
                () = share.changed.notified() => {
                    self.adjust(current).await?;
                    successor.begin_anew();
                    0
                }
            };
            self.is_good |= current.talk.is_good();
            let read = Instant::now();
            if feed.send(&mut self.hearing.batch).await.is_err() {
                return Err(End::Stopped);
            }
            if let Some(pause) = pace.pause_after(num_frames) {
                tokio::select! {
                    () = feed.stop.told() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
            // Time in which it is not listened to is no silence of the venue's.
            current.talk.alive.instant += read.elapsed();
        }
    }

    /// Looks at what time alone brings.
    async fn look(&mut self, session: &mut Session) -> Result<(), End> {
        self.hearing.look(&mut session.talk);
        self.feed.show();
        session.watch().await
    }

    /// Reads what has come. Returns how many frames it was.
    async fn read(&mut self, session: &mut Session, first: Received) -> Result<usize, End> {
        let (mut next, mut num_frames, now) = (Some(first), 0, Instant::now());
        while let Some(received) = next {
            if let Some(text) = session.text_of(received)? {
                self.hearing.take(&text, &mut session.talk, now);
                if let Some(refusal) = session.talk.refusal.take() {
                    return Err(End::Refused(refusal));
                }
            }
            num_frames += 1;
            next = if num_frames < FRAMES_MAX { session.next_now() } else { None };
        }
        session.go_on(&self.hearing.outages.places).await?;
        Ok(num_frames)
    }
}

/// The connection that is to take another one's place.
struct Successor {
    due: Option<Instant>,
    backoff: Backoff,
    state: State,
}

/// What happened to it.
enum News {
    Opened(Result<Box<Session>, End>),
    Received(Received),
}

/// How far it is.
enum State {
    /// There is none, or it failed.
    None,
    Opening(LocalBoxFuture<'static, Result<Box<Session>, End>>),
    Open(Box<Session>),
    /// It is subscribed, since when.
    Ready(Box<Session>, Instant),
}

impl Successor {
    fn new(feed: &Feed, at: usize) -> Successor {
        let age = feed.needs.connection_age_max;
        let due = age.map(|age| replace_after(age, (feed.env.now)(), at, feed.config.reconnect_at));
        let due = due.and_then(|age| Instant::now().checked_add(age));
        Successor { due, backoff: Backoff::new(feed.config.retry_policy()), state: State::None }
    }

    /// Begins one when it is time to. Returns it once the other connection can go.
    async fn look(&mut self, connection: &mut Connection, current: &mut Session) -> Option<Box<Session>> {
        let now = Instant::now();
        if std::mem::take(&mut current.talk.is_ending) {
            self.due = Some(now);
        }
        self.state = match std::mem::replace(&mut self.state, State::None) {
            State::None if self.due.is_some_and(|due| due <= now) => {
                tracing::info!(
                    venue = connection.feed.venue.name(),
                    "a connection is replaced before the venue ends it"
                );
                State::Opening(connection.open())
            }
            State::Open(mut session) => match connection.look(&mut session).await {
                Ok(()) if session.talk.is_complete => State::Ready(session, now),
                Ok(()) => State::Open(session),
                Err(end) => self.failed(connection, end),
            },
            State::Ready(mut session, since) => match connection.look(&mut session).await {
                Ok(()) if since.elapsed() >= OVERLAP => {
                    connection.feed.metrics.replaced.inc();
                    return Some(session);
                }
                Ok(()) => State::Ready(session, since),
                Err(end) => self.failed(connection, end),
            },
            state => state,
        };
        None
    }

    /// Waits until there is something to do for it. May be dropped and called again.
    async fn next(&mut self) -> News {
        match &mut self.state {
            State::None => std::future::pending().await,
            State::Opening(opening) => News::Opened(opening.await),
            State::Open(session) | State::Ready(session, _) => News::Received(session.next().await),
        }
    }

    /// Does it.
    async fn take(&mut self, connection: &mut Connection, news: News) {
        let outcome = match (news, &mut self.state) {
            (News::Opened(Ok(session)), state) => {
                *state = State::Open(session);
                Ok(0)
            }
            (News::Opened(Err(end)), _) => Err(end),
            (News::Received(received), State::Open(session) | State::Ready(session, _)) => {
                connection.read(session, received).await
            }
            (News::Received(_), _) => Ok(0),
        };
        if let Err(end) = outcome {
            self.state = self.failed(connection, end);
        }
    }

    /// Drops what would bring other symbols than are wanted now.
    fn begin_anew(&mut self) {
        if !matches!(self.state, State::None) {
            self.state = State::None;
            self.due = Some(Instant::now());
        }
    }

    /// The other connection goes on, and another try is made later.
    fn failed(&mut self, connection: &Connection, end: End) -> State {
        let reason = match end {
            End::Stopped | End::Idle => return State::None,
            End::Lost(reason) => connection.feed.hide(&reason),
            End::Refused(refusal) => refusal.reason,
        };
        let pause = self.backoff.failed();
        self.due = Instant::now().checked_add(pause);
        let venue = connection.feed.venue.name();
        tracing::warn!(
            venue,
            reason,
            pause_s = pause.as_secs_f64(),
            "the connection that replaces another failed"
        );
        State::None
    }

    /// Returns it where the other connection has ended and it is subscribed.
    fn take_over(&mut self) -> Option<Box<Session>> {
        match std::mem::replace(&mut self.state, State::None) {
            State::Ready(session, _) => Some(session),
            _ => None,
        }
    }
}
