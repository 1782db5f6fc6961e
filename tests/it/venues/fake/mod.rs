//! Fake venues on this machine: a WebSocket and a REST server on real sockets that play trades in a venue's own bytes, and
//! go wrong where a script says so.
//!
//! The market goes on by itself: what it trades while nobody listens is gone from the stream, and there over REST where the
//! venue has that. Both servers stop when the fake is dropped. Nothing here imports from `src`.

mod connection;
pub mod dialect;
pub mod market;
mod proxy;
mod script;
mod sockets;
mod tests;

pub use crate::support::tls::Authority;
pub use dialect::{Clock, Dialect, Ids, Past, Refusal, Session, fill};
pub use market::{Form, MarketTrade};
pub use proxy::FakeProxy;
pub use script::{Fault, RestFault, Welcome};
pub use sockets::{HttpAnswer, HttpRequest, Port, Stream};

use crate::support::process::wait_for;
use connection::Connection;
use market::SECOND;
use script::Script;
use sockets::LOOK_INTERVAL;
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// What the threads share.
struct Shared {
    dialect: &'static dyn Dialect,
    trades: Vec<MarketTrade>,
    symbols: Vec<String>,
    /// Trades that have happened.
    played: AtomicUsize,
    /// Which of them a stream has brought.
    sent: Vec<AtomicBool>,
    script: Script,
    /// Trades that REST does not know.
    forgotten: Mutex<Vec<MarketTrade>>,
    /// The time is an hour after the last trade.
    is_over: AtomicBool,
    /// No more trades for now.
    is_paused_at: AtomicUsize,
    /// What each open connection is subscribed to.
    subscribed: Mutex<BTreeMap<usize, Vec<String>>>,
    /// Symbols that must be subscribed to before the market trades.
    num_awaited: AtomicUsize,
    num_connections: AtomicUsize,
    num_requests: AtomicUsize,
    rest_url: Mutex<String>,
    is_dropped: Arc<AtomicBool>,
}

/// A venue.
pub struct FakeVenue {
    shared: Arc<Shared>,
    stream_url: String,
    rest_url: String,
    ports: [Port; 2],
}

impl FakeVenue {
    /// Starts a market that trades as fast as it can, once somebody listens.
    pub fn start(
        dialect: &'static dyn Dialect,
        trades: &[MarketTrade],
        script: &[(usize, Fault)],
    ) -> FakeVenue {
        FakeVenue::open(dialect, trades, script, None)
    }

    /// Starts one that speaks TLS only.
    pub fn start_secure(
        dialect: &'static dyn Dialect,
        trades: &[MarketTrade],
        authority: &Authority,
    ) -> FakeVenue {
        FakeVenue::open(dialect, trades, &[], Some(authority))
    }

    fn open(
        dialect: &'static dyn Dialect,
        trades: &[MarketTrade],
        script: &[(usize, Fault)],
        authority: Option<&Authority>,
    ) -> FakeVenue {
        let mut symbols: Vec<String> = Vec::new();
        for trade in trades {
            if !symbols.contains(&trade.symbol) {
                symbols.push(trade.symbol.clone());
            }
        }
        let is_dropped = Arc::<AtomicBool>::default();
        let shared = Arc::new(Shared {
            dialect,
            symbols,
            played: AtomicUsize::new(0),
            sent: trades.iter().map(|_| AtomicBool::default()).collect(),
            script: Script::new(script),
            forgotten: Mutex::default(),
            is_over: AtomicBool::new(false),
            is_paused_at: AtomicUsize::new(trades.len()),
            trades: trades.to_vec(),
            subscribed: Mutex::default(),
            num_awaited: AtomicUsize::new(1),
            num_connections: AtomicUsize::new(0),
            num_requests: AtomicUsize::new(0),
            rest_url: Mutex::default(),
            is_dropped: Arc::clone(&is_dropped),
        });
        let tls = authority.map(|authority| &authority.server);
        let (streams, rest) = (Arc::clone(&shared), Arc::clone(&shared));
        let stream_port = Port::serve(&is_dropped, tls, move |stream| streams.serve_stream(stream));
        let rest_port = Port::serve(&is_dropped, tls, move |stream| rest.serve_rest(stream));
        let secure = if tls.is_some() { "s" } else { "" };
        let stream_url = format!("ws{secure}://127.0.0.1:{}", stream_port.number);
        let rest_url = format!("http{secure}://127.0.0.1:{}", rest_port.number);
        shared.rest_url.lock().unwrap().clone_from(&rest_url);
        FakeVenue { shared, stream_url, rest_url, ports: [stream_port, rest_port] }
    }

    /// Returns the environment that leads the program here, gives it its keys, and has it come back at once.
    pub fn environment(&self) -> Vec<(String, String)> {
        let dialect = self.shared.dialect;
        let mut section = dialect.section(&self.stream_url, &self.rest_url);
        section.extend(dialect.keys().into_iter().map(|(key, value)| (key, value.to_owned())));
        for (key, value) in [
            ("retry_delay", "5ms"),
            ("retry_max_delay", "50ms"),
            ("breaker_failures", "0"),
            ("ping_interval", "200ms"),
            ("idle_timeout", "1s"),
            ("requests_per_minute", "60000"),
        ] {
            section.push((key, value.to_owned()));
        }
        section.into_iter().map(|(key, value)| (self.variable(key), value)).collect()
    }

    /// Returns how it speaks.
    pub fn dialect(&self) -> &'static dyn Dialect {
        self.shared.dialect
    }

    /// Returns what is traded, in our spelling.
    pub fn symbols(&self) -> &[String] {
        &self.shared.symbols
    }

    /// Returns host and port of the stream and of REST.
    pub fn addresses(&self) -> [String; 2] {
        self.ports.each_ref().map(|port| format!("127.0.0.1:{}", port.number))
    }

    /// Returns the name that a key of the venue's section has in the environment.
    pub fn variable(&self, key: &str) -> String {
        let name = self.shared.dialect.name().to_ascii_uppercase();
        format!("TICKWIRE__VENUES__{name}__{}", key.to_ascii_uppercase())
    }

    /// Has REST forget trades.
    pub fn forget(&self, trades: &[MarketTrade]) {
        self.shared.forgotten.lock().unwrap().extend_from_slice(trades);
    }

    /// Lets the market rest after so many trades.
    pub fn pause_at(&self, num_trades: usize) {
        self.shared.is_paused_at.store(num_trades, Ordering::SeqCst);
    }

    /// Lets it go on to its end.
    pub fn resume(&self) {
        self.pause_at(self.shared.trades.len());
    }

    /// Lets so many trades happen while nobody listens: first it waits until the last client is gone, which would get them.
    pub fn pass(&self, num_trades: usize) {
        let subscribed = &self.shared.subscribed;
        wait_for("the end of each connection", || subscribed.lock().unwrap().is_empty().then_some(()));
        self.shared.play(num_trades);
    }

    /// Lets the market trade only while so many of its symbols are subscribed to; at first it is one.
    pub fn wait_for_symbols(&self, num_symbols: usize) {
        self.shared.num_awaited.store(num_symbols, Ordering::SeqCst);
    }

    /// Meets so many of the next connections so.
    pub fn meet(&self, times: usize, welcome: Welcome) {
        self.shared.script.set_welcome(times, welcome);
    }

    /// Answers so many of the next requests so.
    pub fn fail_rest(&self, times: usize, fault: RestFault) {
        self.shared.script.set_rest(times, fault);
    }

    /// Lets nothing go wrong any more that lasts.
    pub fn forgive(&self) {
        self.shared.script.forgive();
    }

    /// Returns how many trades have happened.
    pub fn num_played(&self) -> usize {
        self.shared.played.load(Ordering::SeqCst)
    }

    /// Returns how many connections to the stream there were.
    pub fn num_connections(&self) -> usize {
        self.shared.num_connections.load(Ordering::SeqCst)
    }

    /// True while a connection is subscribed to a symbol, in our spelling.
    pub fn is_subscribed(&self, symbol: &str) -> bool {
        let subscribed = self.shared.subscribed.lock().unwrap();
        subscribed.values().any(|symbols| symbols.iter().any(|one| one == symbol))
    }

    /// Returns how many requests there were.
    pub fn num_requests(&self) -> usize {
        self.shared.num_requests.load(Ordering::SeqCst)
    }

    /// Returns the trades that happened and that no stream has brought.
    pub fn missed(&self) -> Vec<MarketTrade> {
        let played = self.num_played();
        let is_missed = |at: &usize| !self.shared.sent[*at].load(Ordering::SeqCst);
        (0..played).filter(is_missed).map(|at| self.shared.trades[at].clone()).collect()
    }

    /// Returns what tells the market's time.
    pub fn clock(&self) -> impl Fn() -> i64 + Send + Sync + 'static {
        let shared = Arc::clone(&self.shared);
        move || shared.now()
    }

    /// Lets an hour pass, so that every window closes.
    pub fn finish(&self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
    }
}

impl Drop for FakeVenue {
    fn drop(&mut self) {
        self.shared.is_dropped.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    fn is_dropped(&self) -> bool {
        self.is_dropped.load(Ordering::SeqCst)
    }

    /// Returns the market's time.
    fn now(&self) -> i64 {
        let played = self.played.load(Ordering::SeqCst);
        let last = self.trades[..played].last();
        let now = last.map_or_else(|| self.trades[0].ts - SECOND / 2, |trade| trade.ts);
        if self.is_over.load(Ordering::SeqCst) { now + 3_600 * SECOND } else { now }
    }

    /// Lets so many trades happen.
    fn play(&self, count: usize) {
        self.play_up_to(count, self.trades.len());
    }

    /// Lets so many trades happen, as long as the market does not rest.
    fn play_up_to(&self, count: usize, limit: usize) {
        let limit = limit.min(self.trades.len());
        let on = |played: usize| (played < limit).then(|| (played + count).min(limit));
        // At its end it stays where it is.
        self.played.fetch_update(Ordering::SeqCst, Ordering::SeqCst, on).ok();
    }

    /// True when as many symbols are subscribed to as the market waits for.
    fn is_heard(&self) -> bool {
        let subscribed = self.subscribed.lock().unwrap();
        let is_heard = |symbol: &&String| subscribed.values().any(|symbols| symbols.contains(symbol));
        self.symbols.iter().filter(is_heard).count() >= self.num_awaited.load(Ordering::SeqCst)
    }

    /// Looks at what has happened so far.
    fn look<T>(&self, look: impl FnOnce(&Past<'_>) -> T) -> T {
        let forgotten = self.forgotten.lock().unwrap();
        let rest_url = self.rest_url.lock().unwrap();
        look(&Past {
            trades: &self.trades[..self.played.load(Ordering::SeqCst)],
            forgotten: &forgotten,
            now: self.now(),
            symbols: &self.symbols,
            rest_url: &rest_url,
        })
    }

    fn serve_stream(&self, stream: Stream) {
        let number = self.num_connections.fetch_add(1, Ordering::SeqCst);
        match self.script.next_welcome() {
            Some(Welcome::Refuse) => {}
            Some(Welcome::Hang) => self.hang(stream),
            welcome => Connection::serve(self, number, stream, welcome),
        }
        self.subscribed.lock().unwrap().remove(&number);
    }

    /// Says nothing until the client has had enough.
    fn hang(&self, mut stream: Stream) {
        stream.tcp().set_read_timeout(Some(LOOK_INTERVAL)).unwrap();
        let mut bytes = [0; 1 << 10];
        while !self.is_dropped() {
            match stream.read(&mut bytes) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if connection::is_timeout(&error) => {}
                Err(_) => return,
            }
        }
    }

    fn serve_rest(&self, mut stream: Stream) {
        let Some(request) = HttpRequest::read(&mut stream) else { return };
        self.num_requests.fetch_add(1, Ordering::SeqCst);
        self.play_up_to(self.dialect.trades_per_answer(), self.is_paused_at.load(Ordering::SeqCst));
        let answer = self.look(|past| self.dialect.answer(&request, past));
        let (answer, body_len) = match self.script.next_rest() {
            None => (answer, usize::MAX),
            Some(RestFault::Hang) => return self.hang(stream),
            Some(RestFault::CutAfter(len)) => (answer, len),
            Some(RestFault::Status(status)) => {
                let mut failed = HttpAnswer::with_status(status, self.dialect.failure(status));
                failed.headers.push(("Retry-After", "0".to_owned()));
                (failed, usize::MAX)
            }
            Some(RestFault::Limit(seconds)) => {
                let status = "429 Too Many Requests";
                let mut limited = HttpAnswer::with_status(status, self.dialect.failure(status));
                limited.headers.push(("Retry-After", seconds.to_string()));
                (limited, usize::MAX)
            }
            Some(RestFault::RefuseKey(which)) => (self.dialect.rest_refusals()[which].clone(), usize::MAX),
        };
        answer.write(&mut stream, body_len);
    }
}
