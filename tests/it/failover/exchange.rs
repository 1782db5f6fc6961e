//! Exchanges on this machine that share one market: each is a WebSocket and a REST server in a venue's own words, and can be
//! taken away, frozen and brought back. The market trades on whoever listens.

use crate::venues::fake::{Dialect, HttpAnswer, HttpRequest, MarketTrade, Past, Port, Session, Stream};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};
use tickwire::models::time::{HOUR, Nanos, SECOND};
use tungstenite::handshake::server::{Callback, ErrorResponse, Request, Response};
use tungstenite::{Message, WebSocket};

/// 2023-11-14T22:15:00Z: a whole quarter of an hour.
const START: Nanos = Nanos(1_700_000_100 * SECOND);

/// Pause between looks at a market in which nothing happens.
const IDLE: Duration = Duration::from_millis(5);

/// Trades that are said before the client is listened to again.
const SAID_MAX: usize = 500;

/// Id of the first trade of a product.
const FIRST_ID: u64 = 1_000;

pub const PRODUCTS: [&str; 2] = ["BTC-USD", "ETH-USD"];

/// The market: so many trades a second from the moment it begins until it is stopped, the same ones each time.
pub struct Market {
    per_second: usize,
    begun: Mutex<Option<Instant>>,
    /// Trades that have happened once it is stopped.
    ended: Mutex<Option<usize>>,
    is_over: AtomicBool,
    /// Those that have happened, and some more.
    trades: RwLock<Vec<MarketTrade>>,
}

impl Market {
    pub fn new(per_second: usize) -> Arc<Market> {
        Arc::new(Market {
            per_second,
            begun: Mutex::default(),
            ended: Mutex::default(),
            is_over: AtomicBool::default(),
            trades: RwLock::default(),
        })
    }

    /// Begins to trade.
    pub fn begin(&self) {
        self.begun.lock().unwrap().get_or_insert_with(Instant::now);
    }

    /// Trades no more. Returns how many trades have happened.
    pub fn stop(&self) -> usize {
        let mut ended = self.ended.lock().unwrap();
        *ended.get_or_insert_with(|| self.num_played_by_now())
    }

    /// Lets an hour pass, so that every window closes.
    pub fn finish(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    fn num_played_by_now(&self) -> usize {
        let elapsed = self.begun.lock().unwrap().map_or(Duration::ZERO, |begun| begun.elapsed());
        usize::try_from(elapsed.as_nanos() * self.per_second as u128 / 1_000_000_000).unwrap()
    }

    /// Returns how many trades have happened.
    pub fn num_played(&self) -> usize {
        let ended = self.ended.lock().unwrap();
        ended.unwrap_or_else(|| self.num_played_by_now())
    }

    fn time_of(&self, at: usize) -> Nanos {
        START.plus(
            SECOND / i64::try_from(self.per_second).unwrap() * i64::try_from(at).unwrap() / 1_000 * 1_000,
        )
    }

    fn time_after(&self, played: usize) -> Nanos {
        let now = self.time_of(played);
        if self.is_over.load(Ordering::SeqCst) { now.plus(HOUR) } else { now }
    }

    /// Returns its time.
    pub fn now(&self) -> Nanos {
        self.time_after(self.num_played())
    }

    /// Returns a trade by its place in the market: every third one is of the second product.
    fn trade(&self, at: usize) -> MarketTrade {
        let product = usize::from(at.is_multiple_of(3));
        let place = if product == 1 { at / 3 } else { at - at / 3 - 1 };
        let drawn = (at as u64 + 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29)
            .wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let cents = if product == 0 { 6_890_000 + drawn % 9_000 } else { 230_000 + drawn % 900 };
        let size = (drawn >> 20) % 400_000_000 + 1;
        MarketTrade {
            symbol: PRODUCTS[product].to_owned(),
            id: FIRST_ID + place as u64,
            ts: self.time_of(at).0,
            price: format!("{}.{:02}", cents / 100, cents % 100),
            size: format!("{}.{:08}", size / 100_000_000, size % 100_000_000),
        }
    }

    /// Looks at the trades that have happened.
    fn look<T>(&self, played: usize, look: impl FnOnce(&[MarketTrade]) -> T) -> T {
        if self.trades.read().unwrap().len() < played {
            let mut trades = self.trades.write().unwrap();
            // A second more, so that they are seldom made.
            for at in trades.len()..played + self.per_second {
                trades.push(self.trade(at));
            }
        }
        look(&self.trades.read().unwrap()[..played])
    }

    /// Returns the trades that have happened as a file.
    pub fn csv(&self) -> String {
        let mut text = "ts_ns,symbol,price,size,trade_id\n".to_owned();
        self.look(self.num_played(), |trades| {
            for MarketTrade { symbol, id, ts, price, size } in trades {
                writeln!(text, "{ts},{symbol},{price},{size},{id}").unwrap();
            }
        });
        text
    }

    /// Returns when each product traded last.
    pub fn last_times(&self) -> BTreeMap<String, i64> {
        self.look(self.num_played(), |trades| {
            trades.iter().map(|trade| (trade.symbol.clone(), trade.ts)).collect()
        })
    }

    /// Returns how many trades of a product there were in each second.
    pub fn trades_by_second(&self, product: &str) -> BTreeMap<i64, u64> {
        let mut counts = BTreeMap::new();
        self.look(self.num_played(), |trades| {
            for trade in trades.iter().filter(|trade| trade.symbol == product) {
                *counts.entry(trade.ts - trade.ts % SECOND).or_default() += 1;
            }
        });
        counts
    }
}

/// How an exchange is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It serves.
    Well = 0,
    /// Its connections are cut, and new ones refused.
    Gone = 1,
    /// It accepts, confirms and says nothing more, heartbeats included.
    Frozen = 2,
}

struct Shared {
    dialect: &'static dyn Dialect,
    market: Arc<Market>,
    /// What it has.
    products: Mutex<Vec<String>>,
    state: AtomicU8,
    has_past: AtomicBool,
    num_connections: AtomicUsize,
    num_open: AtomicUsize,
    is_dropped: Arc<AtomicBool>,
}

/// An exchange. Both of its servers stop when it is dropped.
pub struct Exchange {
    shared: Arc<Shared>,
    ports: [Port; 2],
}

impl Exchange {
    pub fn start(dialect: &'static dyn Dialect, market: &Arc<Market>) -> Exchange {
        let is_dropped = Arc::<AtomicBool>::default();
        let shared = Arc::new(Shared {
            dialect,
            market: Arc::clone(market),
            products: Mutex::new(PRODUCTS.map(str::to_owned).to_vec()),
            state: AtomicU8::new(State::Well as u8),
            has_past: AtomicBool::new(true),
            num_connections: AtomicUsize::new(0),
            num_open: AtomicUsize::new(0),
            is_dropped: Arc::clone(&is_dropped),
        });
        let (streams, rest) = (Arc::clone(&shared), Arc::clone(&shared));
        let stream = Port::serve(&is_dropped, None, move |stream| streams.serve_stream(stream));
        let rest = Port::serve(&is_dropped, None, move |stream| rest.serve_rest(stream));
        Exchange { shared, ports: [stream, rest] }
    }

    /// Returns its name, as `--provider` takes it.
    pub fn name(&self) -> &'static str {
        self.shared.dialect.name()
    }

    /// Returns the environment that leads the program here, and has it come back at once.
    pub fn environment(&self) -> Vec<(String, String)> {
        let [stream, rest] = self.ports.each_ref().map(|port| port.number);
        let mut section = self
            .shared
            .dialect
            .section(&format!("ws://127.0.0.1:{stream}"), &format!("http://127.0.0.1:{rest}"));
        for (key, value) in [
            ("retry_delay", "20ms"),
            ("retry_max_delay", "100ms"),
            ("breaker_failures", "0"),
            ("breaker_open", "300ms"),
            ("requests_per_minute", "60000"),
        ] {
            section.push((key, value.to_owned()));
        }
        let name = self.name().to_ascii_uppercase();
        let variable = |key: &str| format!("TICKWIRE__VENUES__{name}__{}", key.to_ascii_uppercase());
        section.into_iter().map(|(key, value)| (variable(key), value)).collect()
    }

    pub fn set(&self, state: State) {
        self.shared.state.store(state as u8, Ordering::SeqCst);
    }

    /// Knows no past trades any more.
    pub fn forget_past(&self) {
        self.shared.has_past.store(false, Ordering::SeqCst);
    }

    /// Has a product no more: its list does not name it, and its stream refuses it.
    pub fn drop_product(&self, product: &str) {
        self.shared.products.lock().unwrap().retain(|known| known != product);
    }

    /// Returns how many connections to its stream are open.
    pub fn num_open(&self) -> usize {
        self.shared.num_open.load(Ordering::SeqCst)
    }

    /// Returns how many connections were made to its stream so far.
    pub fn num_connections(&self) -> usize {
        self.shared.num_connections.load(Ordering::SeqCst)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.shared.is_dropped.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    fn is(&self, state: State) -> bool {
        self.state.load(Ordering::SeqCst) == state as u8
    }

    /// Looks at what has happened after so many trades.
    fn look<T>(&self, played: usize, look: impl FnOnce(&Past<'_>) -> T) -> T {
        let products = self.products.lock().unwrap().clone();
        let now = self.market.time_after(played).0;
        self.market.look(played, |trades| {
            look(&Past { trades, forgotten: &[], now, symbols: &products, rest_url: "" })
        })
    }

    fn serve_stream(&self, stream: Stream) {
        if self.is(State::Gone) {
            return;
        }
        let mut session = Session::default();
        // A client that goes away in the middle is a part of the tests.
        let Ok(mut socket) = tungstenite::accept_hdr(stream, Target(&mut session.target)) else { return };
        self.num_open.fetch_add(1, Ordering::SeqCst);
        self.stream(&mut socket, session).ok();
        self.num_open.fetch_sub(1, Ordering::SeqCst);
    }

    /// Streams the products that are asked for.
    fn stream(&self, socket: &mut WebSocket<Stream>, mut session: Session) -> tungstenite::Result<()> {
        socket.get_ref().tcp().set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        socket.get_ref().tcp().set_write_timeout(Some(Duration::from_secs(1))).unwrap();
        say(socket, &self.dialect.greeting(&mut session))?;
        socket.flush()?;
        let mut sent = 0;
        let mut heard = Instant::now();
        while !self.is_dropped.load(Ordering::SeqCst) && !self.is(State::Gone) {
            let played = self.market.num_played();
            if session.symbols.is_empty() {
                sent = played;
                if let Some(asked) = hear(socket)? {
                    let answers = self.look(played, |past| self.dialect.hear(&asked, &mut session, past));
                    say(socket, &answers)?;
                    socket.flush()?;
                    self.num_connections
                        .fetch_add(usize::from(!session.symbols.is_empty()), Ordering::SeqCst);
                }
                continue;
            }
            let is_idle = played == sent || self.is(State::Frozen);
            if !is_idle {
                let end = played.min(sent + SAID_MAX);
                let frames = self.look(end, |past| {
                    let own = |trade: &&MarketTrade| session.symbols.contains(&trade.symbol);
                    self.dialect.trades(&past.trades[sent..].iter().filter(own).collect::<Vec<_>>())
                });
                say(socket, &frames)?;
                sent = end;
            }
            if !self.is(State::Frozen) && sent == played {
                say(socket, &self.look(played, |past| self.dialect.heartbeat(&session, past)))?;
                socket.flush()?;
            }
            if is_idle || heard.elapsed() > Duration::from_millis(50) {
                if let Some(asked) = hear(socket)? {
                    say(socket, &self.look(sent, |past| self.dialect.hear(&asked, &mut session, past)))?;
                }
                heard = Instant::now();
            }
            if is_idle {
                std::thread::park_timeout(IDLE);
            }
        }
        Ok(())
    }

    fn serve_rest(&self, mut stream: Stream) {
        // A client that goes away in the middle is a part of the tests.
        let Some(request) = HttpRequest::read(&mut stream) else { return };
        let answer = if self.has_past.load(Ordering::SeqCst) {
            self.look(self.market.num_played(), |past| self.dialect.answer(&request, past))
        } else {
            HttpAnswer::with_status("404 Not Found", r#"{"message":"NotFound"}"#)
        };
        answer.write(&mut stream, usize::MAX);
    }
}

/// Takes the path and the query that a client asks for.
struct Target<'a>(&'a mut String);

impl Callback for Target<'_> {
    fn on_request(self, request: &Request, response: Response) -> Result<Response, ErrorResponse> {
        *self.0 = request.uri().to_string();
        Ok(response)
    }
}

fn say(socket: &mut WebSocket<Stream>, frames: &[String]) -> tungstenite::Result<()> {
    frames.iter().try_for_each(|frame| socket.write(Message::text(frame.as_str())))
}

/// Reads what the client says, if it says something; pings are answered on the way.
fn hear(socket: &mut WebSocket<Stream>) -> tungstenite::Result<Option<String>> {
    match socket.read() {
        Ok(Message::Text(said)) => Ok(Some(said.to_string())),
        Ok(_) => Ok(None),
        Err(tungstenite::Error::Io(error))
            if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
