//! Exchanges on this machine that share one market: each is a WebSocket and a REST server in the words of Coinbase, and can be
//! taken away, frozen and brought back. The market trades on whoever listens.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tickwire::actors::ingest::config::VenueConfig;
use tickwire::models::time::{HOUR, Nanos, SECOND};
use tungstenite::{Message, WebSocket};

/// 2023-11-14T22:15:00Z: a whole quarter of an hour.
const START: Nanos = Nanos(1_700_000_100 * SECOND);

/// Trades of a page of past trades.
const PAGE_LEN: usize = 1_000;

/// Pause between looks at a market in which nothing happens.
const IDLE: Duration = Duration::from_millis(5);

pub const PRODUCTS: [&str; 2] = ["BTC-USD", "ETH-USD"];

/// A trade of the market, as the venue writes it.
struct MarketTrade {
    product: usize,
    id: u64,
    ts: Nanos,
    price: String,
    size: String,
}

impl MarketTrade {
    fn fields(&self) -> String {
        let MarketTrade { id, ts, price, size, .. } = self;
        let time = time(*ts);
        format!(r#""time":"{time}","trade_id":{id},"price":"{price}","size":"{size}","side":"sell""#)
    }
}

/// The market: so many trades a second from the moment it begins until it is stopped, the same ones each time.
pub struct Market {
    per_second: usize,
    begun: Mutex<Option<Instant>>,
    /// Trades that have happened once it is stopped.
    ended: Mutex<Option<usize>>,
    is_over: AtomicBool,
}

impl Market {
    pub fn new(per_second: usize) -> Arc<Market> {
        Arc::new(Market {
            per_second,
            begun: Mutex::default(),
            ended: Mutex::default(),
            is_over: AtomicBool::default(),
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

    fn now(&self, played: usize) -> Nanos {
        let now = self.time_of(played);
        if self.is_over.load(Ordering::SeqCst) { now.plus(HOUR) } else { now }
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
            product,
            id: 1_000 + place as u64,
            ts: self.time_of(at),
            price: format!("{}.{:02}", cents / 100, cents % 100),
            size: format!("{}.{:08}", size / 100_000_000, size % 100_000_000),
        }
    }

    /// Returns the trade of a product by its id.
    fn by_id(&self, product: usize, id: u64) -> MarketTrade {
        let place = usize::try_from(id - 1_000).unwrap();
        self.trade(if product == 1 { 3 * place } else { place + place / 2 + 1 })
    }

    /// Returns the id that the next trade of a product will have.
    fn next_id(product: usize, played: usize) -> u64 {
        let num_second = played.div_ceil(3);
        1_000 + if product == 1 { num_second } else { played - num_second } as u64
    }

    /// Returns the trades that have happened as a file.
    pub fn csv(&self) -> String {
        let mut text = "ts_ns,symbol,price,size,trade_id\n".to_owned();
        for at in 0..self.num_played() {
            let MarketTrade { product, ts, price, size, id } = self.trade(at);
            writeln!(text, "{},{},{price},{size},{id}", ts.0, PRODUCTS[product]).unwrap();
        }
        text
    }
}

/// The venue writes microseconds, always six digits.
fn time(ts: Nanos) -> String {
    let text = ts.to_rfc3339();
    let text = text.trim_end_matches('Z');
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}.{fraction:0<6}Z")
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
    market: Arc<Market>,
    state: AtomicU8,
    has_past: AtomicBool,
    num_connections: AtomicUsize,
    num_open: AtomicUsize,
    is_dropped: AtomicBool,
}

/// An exchange. Both of its servers stop when it is dropped.
pub struct Exchange {
    shared: Arc<Shared>,
    ports: [u16; 2],
    threads: Vec<JoinHandle<()>>,
}

impl Exchange {
    pub fn start(market: &Arc<Market>) -> Exchange {
        let shared = Arc::new(Shared {
            market: Arc::clone(market),
            state: AtomicU8::new(State::Well as u8),
            has_past: AtomicBool::new(true),
            num_connections: AtomicUsize::new(0),
            num_open: AtomicUsize::new(0),
            is_dropped: AtomicBool::new(false),
        });
        let (stream_port, stream) = serve(&shared, Shared::serve_stream);
        let (rest_port, rest) = serve(&shared, Shared::serve_rest);
        Exchange { shared, ports: [stream_port, rest_port], threads: vec![stream, rest] }
    }

    /// Returns where its stream and its REST are.
    pub fn addresses(&self) -> [String; 2] {
        [format!("ws://127.0.0.1:{}", self.ports[0]), format!("http://127.0.0.1:{}", self.ports[1])]
    }

    /// Returns how it is reached.
    pub fn config(&self) -> VenueConfig {
        let [stream, rest] = self.addresses();
        VenueConfig {
            stream_url: Some(stream.parse().unwrap()),
            rest_url: Some(rest.parse().unwrap()),
            retry_delay: Duration::from_millis(20),
            retry_max_delay: Duration::from_millis(100),
            breaker_failures: 0,
            breaker_open: Duration::from_millis(300),
            ..VenueConfig::default()
        }
    }

    pub fn set(&self, state: State) {
        self.shared.state.store(state as u8, Ordering::SeqCst);
    }

    /// Knows no past trades any more.
    pub fn forget_past(&self) {
        self.shared.has_past.store(false, Ordering::SeqCst);
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
        for port in self.ports {
            // Wakes the thread that waits for a connection.
            TcpStream::connect(("127.0.0.1", port)).ok();
        }
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the exchange panicked");
        }
    }
}

/// Serves a port, a thread a connection.
fn serve(shared: &Arc<Shared>, handle: fn(&Shared, TcpStream)) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let shared = Arc::clone(shared);
    let thread = std::thread::spawn(move || {
        let mut clients = Vec::new();
        for stream in listener.incoming() {
            if shared.is_dropped.load(Ordering::SeqCst) {
                break;
            }
            let (stream, shared) = (stream.unwrap(), Arc::clone(&shared));
            clients.push(std::thread::spawn(move || handle(&shared, stream)));
        }
        for client in clients {
            assert!(client.join().is_ok(), "a connection of the exchange panicked");
        }
    });
    (port, thread)
}

impl Shared {
    fn is(&self, state: State) -> bool {
        self.state.load(Ordering::SeqCst) == state as u8
    }

    fn serve_stream(&self, stream: TcpStream) {
        if self.is(State::Gone) {
            return;
        }
        // A client that goes away in the middle is a part of the tests.
        let Ok(mut socket) = tungstenite::accept(stream) else { return };
        let Ok(Message::Text(asked)) = socket.read() else { return };
        assert!(asked.contains("subscribe"), "{asked}");
        self.num_connections.fetch_add(1, Ordering::SeqCst);
        self.num_open.fetch_add(1, Ordering::SeqCst);
        self.stream(&mut socket, PRODUCTS.map(|name| asked.contains(name))).ok();
        self.num_open.fetch_sub(1, Ordering::SeqCst);
    }

    /// Streams the products that are asked for.
    fn stream(&self, socket: &mut WebSocket<TcpStream>, asked: [bool; 2]) -> tungstenite::Result<()> {
        socket.get_ref().set_nonblocking(false).unwrap();
        socket.get_ref().set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        socket.get_ref().set_write_timeout(Some(Duration::from_secs(1))).unwrap();
        let said =
            r#"{"type":"subscriptions","channels":[{"name":"matches","product_ids":["BTC-USD","ETH-USD"]}]}"#;
        socket.send(Message::text(said))?;
        let mut sent = self.market.num_played();
        for product in (0..2).filter(|&product| asked[product]) {
            if let Some(last) = Self::last_id(product, sent) {
                let last = self.market.by_id(product, last);
                socket.write(Message::text(frame("last_match", &last)))?;
            }
        }
        let mut heard = Instant::now();
        while !self.is_dropped.load(Ordering::SeqCst) && !self.is(State::Gone) {
            let played = self.market.num_played();
            let is_idle = played == sent || self.is(State::Frozen);
            if !is_idle {
                let trades = (sent..played.min(sent + 500)).map(|at| self.market.trade(at));
                for trade in trades.filter(|trade| asked[trade.product]) {
                    socket.write(Message::text(frame("match", &trade)))?;
                }
                sent = played.min(sent + 500);
            }
            if !self.is(State::Frozen) && sent == played {
                self.heartbeats(socket, asked, played)?;
            }
            if is_idle || heard.elapsed() > Duration::from_millis(50) {
                hear(socket)?;
                heard = Instant::now();
            }
            if is_idle {
                std::thread::park_timeout(IDLE);
            }
        }
        Ok(())
    }

    /// Returns the id of the newest trade of a product.
    fn last_id(product: usize, played: usize) -> Option<u64> {
        Some(Market::next_id(product, played) - 1).filter(|&id| id >= 1_000)
    }

    fn heartbeats(
        &self,
        socket: &mut WebSocket<TcpStream>,
        asked: [bool; 2],
        played: usize,
    ) -> tungstenite::Result<()> {
        let now = time(self.market.now(played));
        for (product, name) in PRODUCTS.iter().enumerate().filter(|(product, _)| asked[*product]) {
            let last = Self::last_id(product, played).unwrap_or_default();
            socket.write(Message::text(format!(
                r#"{{"type":"heartbeat","sequence":90,"last_trade_id":{last},"product_id":"{name}","time":"{now}"}}"#
            )))?;
        }
        socket.flush()
    }

    fn serve_rest(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut request = String::new();
        // A client that goes away in the middle is a part of the tests.
        if reader.read_line(&mut request).is_err() || request.is_empty() {
            return;
        }
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|len| len > 2) {
            line.clear();
        }
        let page = Some(request.split(' ').nth(1).unwrap()).filter(|_| self.has_past.load(Ordering::SeqCst));
        let (status, body) = match page.and_then(|path| self.page(path)) {
            Some(body) => ("200 OK", body),
            None => ("404 Not Found", r#"{"message":"NotFound"}"#.to_owned()),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).ok();
    }

    fn page(&self, path: &str) -> Option<String> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let product = path.strip_prefix("/products/")?.strip_suffix("/trades")?;
        let product = PRODUCTS.iter().position(|name| *name == product)?;
        let before = query.split('&').find_map(|pair| pair.strip_prefix("after="));
        let before: u64 = before.map_or(u64::MAX, |id| id.parse().unwrap());
        let end = Market::next_id(product, self.market.num_played()).min(before);
        let page: Vec<String> = (1_000..end)
            .rev()
            .take(PAGE_LEN)
            .map(|id| format!("{{{}}}", self.market.by_id(product, id).fields()))
            .collect();
        Some(format!("[{}]", page.join(",")))
    }
}

fn frame(kind: &str, trade: &MarketTrade) -> String {
    let fields = trade.fields();
    format!(r#"{{"type":"{kind}","product_id":"{}","sequence":1,{fields}}}"#, PRODUCTS[trade.product])
}

/// Reads what the client says, such as pings, which are answered on the way.
fn hear(socket: &mut WebSocket<TcpStream>) -> tungstenite::Result<()> {
    match socket.read() {
        Ok(_) => Ok(()),
        Err(tungstenite::Error::Io(error))
            if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
        {
            Ok(())
        }
        Err(error) => Err(error),
    }
}
