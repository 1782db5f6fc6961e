//! One open connection: its handshake, what is sent over it, and whether it lives.
//!
//! Promises: a venue that takes nothing, says nothing, or does not come to an end with its handshake is lost after the
//! time that the configuration says; a stop waits for no venue; what is read is text, or shows that the venue is there.

use super::super::venue::{Clock, Judgement, Refusal, Step, Then};
use super::connect::{self, ConnectError, Socket};
use super::feed::Feed;
use super::subscription::Moment;
use super::talk::Talk;
use crate::metrics::VenueMetrics;
use futures_util::{FutureExt, SinkExt, StreamExt};
use reqwest::Url;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

/// How often a venue is asked whether it is there whose clock is ours and that says nothing: so far behind are its marks.
const QUIET_PING_INTERVAL: Duration = Duration::from_secs(2);

/// How long a connection may take to say goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(200);

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// The feed is to stop.
    Stopped,
    /// It was lost, or did not come about.
    Lost(String),
    /// The venue refuses it.
    Refused(Refusal),
    /// Nothing is followed over it any more.
    Idle,
}

/// What came over a socket, of whatever kind it was.
pub(super) type Received = Option<Result<Message, Error>>;

/// One open connection.
pub(super) struct Session {
    feed: Rc<Feed>,
    socket: Socket,
    pinged: Instant,
    /// What was said over it.
    pub talk: Talk,
    _open: OpenConnection,
}

impl Session {
    /// Opens a connection, and takes the first step towards the subscription of the instruments in these places.
    pub async fn open(feed: Rc<Feed>, url: Url, places: Vec<usize>) -> Result<Box<Session>, End> {
        let config = &feed.config;
        let opened = tokio::select! {
            () = feed.stop.told() => return Err(End::Stopped),
            opened = connect::open(&url, config.proxy_url.as_ref(), &feed.tls, config.connect_timeout) => opened,
        };
        let socket = opened.map_err(|error| end_of(&feed, &error))?;
        feed.metrics.connects.inc();
        let (first, now) = (feed.needs.first, (feed.env.now)());
        let open = OpenConnection::count(feed.metrics.clone());
        let pinged = Instant::now();
        let mut session = Box::new(Session { feed, socket, pinged, talk: Talk::begin(now), _open: open });
        session.go(first, &places).await?;
        Ok(session)
    }

    /// Waits for what comes next.
    pub async fn next(&mut self) -> Received {
        self.socket.next().await
    }

    /// Returns what has come already.
    pub fn next_now(&mut self) -> Option<Received> {
        self.socket.next().now_or_never()
    }

    /// Returns the text of what came, if it has one; what has none may show that the venue is there.
    pub fn text_of(&mut self, received: Received) -> Result<Option<Utf8Bytes>, End> {
        let closed = || End::Lost("the venue closed the connection".to_owned());
        let message = received.ok_or_else(closed)?.map_err(|error| End::Lost(error.to_string()))?;
        match message {
            Message::Text(text) => return Ok(Some(text)),
            Message::Binary(bytes) => return Ok(Some(String::from_utf8_lossy(&bytes).into_owned().into())),
            Message::Close(None) => return Err(closed()),
            Message::Close(Some(frame)) => {
                let reason = format!("the venue closed the connection: {} {}", frame.code, frame.reason);
                return Err(End::Lost(reason));
            }
            // A venue with heartbeats is heard by them: its pongs come from a machine in front of it.
            _ if self.feed.needs.has_heartbeats => {}
            _ => self.talk.is_alive(Moment { instant: Instant::now(), time: (self.feed.env.now)() }),
        }
        Ok(None)
    }

    /// Takes the steps that the venue waits for.
    pub async fn go_on(&mut self, places: &[usize]) -> Result<(), End> {
        for step in std::mem::take(&mut self.talk.steps) {
            self.go(step, places).await?;
        }
        Ok(())
    }

    async fn go(&mut self, step: Step, places: &[usize]) -> Result<(), End> {
        let feed = Rc::clone(&self.feed);
        let messages = match step {
            Step::Wait => Vec::new(),
            Step::Authenticate => feed.venue.authenticate(),
            Step::Subscribe => with_spelled(&feed, places, |symbols| feed.venue.subscribe(symbols)),
        };
        for message in messages {
            self.say(Message::text(message)).await?;
        }
        if step == Step::Subscribe {
            self.talk.subscription.ask(places, Instant::now());
        }
        Ok(())
    }

    /// Asks for more symbols; where nothing was asked for yet, they are among those that will be.
    pub async fn subscribe(&mut self, places: &[usize]) -> Result<(), End> {
        if !self.talk.subscription.is_asked() {
            return Ok(());
        }
        self.talk.is_complete = false;
        self.go(Step::Subscribe, places).await
    }

    /// Ends the subscription of symbols.
    pub async fn unsubscribe(&mut self, places: &[usize]) -> Result<(), End> {
        let feed = Rc::clone(&self.feed);
        for &place in places {
            self.talk.subscription.leave(place);
        }
        if !self.talk.subscription.is_asked() {
            return Ok(());
        }
        for message in with_spelled(&feed, places, |symbols| feed.venue.unsubscribe(symbols)) {
            self.say(Message::text(message)).await?;
        }
        Ok(())
    }

    /// Asks whether the venue is there when it is time to, and ends where it does not seem to be.
    pub async fn watch(&mut self) -> Result<(), End> {
        let config = &self.feed.config;
        if let Some(refusal) = self.talk.refusal.take() {
            return Err(End::Refused(refusal));
        }
        let silence = self.talk.alive.instant.elapsed();
        let idle_timeout = self.feed.idle_timeout();
        if silence >= idle_timeout {
            return Err(End::Lost(format!("nothing came for {idle_timeout:?}")));
        }
        let timeout = config.connect_timeout;
        if !self.talk.subscription.is_asked() && self.talk.opened.elapsed() >= timeout {
            return Err(End::Lost(format!(
                "the venue did not take the handshake to its end within {timeout:?}"
            )));
        }
        let needs = &self.feed.needs;
        let is_clock = needs.clock != Clock::Told && !needs.has_heartbeats;
        let since_ping = self.pinged.elapsed();
        let is_due = since_ping >= config.ping_interval
            || (is_clock && silence.min(since_ping) >= QUIET_PING_INTERVAL);
        if is_due {
            self.pinged = Instant::now();
            self.say(Message::Ping(Vec::new().into())).await?;
        }
        Ok(())
    }

    /// Sends a message; a venue that takes nothing is lost.
    async fn say(&mut self, message: Message) -> Result<(), End> {
        let timeout = self.feed.config.connect_timeout;
        tokio::select! {
            () = self.feed.stop.told() => Err(End::Stopped),
            sent = tokio::time::timeout(timeout, self.socket.send(message)) => match sent {
                Ok(sent) => sent.map_err(|error| End::Lost(error.to_string())),
                Err(_) => Err(End::Lost(format!("the venue took nothing for {timeout:?}"))),
            },
        }
    }

    /// Says goodbye.
    pub async fn close(mut self) {
        // Whether or not the venue hears of it, it is over.
        tokio::time::timeout(CLOSE_TIMEOUT, self.socket.close(None)).await.ok();
    }
}

/// Returns how a connection ends that did not come about. What the venue answers in place of a stream is judged like
/// any answer of its over HTTP: a key that is refused stays refused, and a pause that it asks for is kept.
fn end_of(feed: &Feed, error: &ConnectError) -> End {
    let ConnectError::Answered { status, body, pause } = error else { return End::Lost(error.to_string()) };
    let (reason, then) = match feed.venue.judge(*status, &feed.hide(body)) {
        Judgement::NotEntitled { reason } => (reason, Then::Stop),
        Judgement::Transient { reason, pause: own } => match (*pause).max(own) {
            Some(pause) => (reason, Then::Wait(pause)),
            None => return End::Lost(reason),
        },
        Judgement::Permanent { reason } => return End::Lost(reason),
        Judgement::Good => return End::Lost(error.to_string()),
    };
    End::Refused(Refusal { reason: feed.hide(&reason), then })
}

/// Calls with the symbols at some places in the venue's spelling.
fn with_spelled<T>(feed: &Feed, places: &[usize], call: impl FnOnce(&[&str]) -> T) -> T {
    let instruments = feed.instruments.now();
    let symbols: Vec<&str> = places.iter().map(|&at| instruments.all()[at].venue_symbol.as_str()).collect();
    call(&symbols)
}

/// Counts an open connection as long as it lives, a panic included.
struct OpenConnection(VenueMetrics);

impl OpenConnection {
    fn count(metrics: VenueMetrics) -> OpenConnection {
        metrics.connections.inc();
        OpenConnection(metrics)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}
