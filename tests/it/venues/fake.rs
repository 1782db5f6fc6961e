//! Coinbase on this machine: a WebSocket and a REST server on real sockets that play trades, and go wrong where a script
//! says so.
//!
//! The market goes on by itself: what it trades while nobody listens is gone from the stream and there over REST. Both
//! servers stop when the fake is dropped.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tickwire::models::time::{HOUR, Nanos, SECOND};
use tungstenite::{Message, WebSocket};

/// Trades of a page of past trades: few, so that holes take several.
const PAGE_LEN: usize = 100;

/// Trades between two heartbeats.
const HEARTBEAT_EVERY: usize = 50;

/// Pause between heartbeats when nothing trades.
const IDLE: Duration = Duration::from_millis(20);

/// One trade of the market, numbers as the venue writes them.
#[derive(Clone, Debug)]
pub struct MarketTrade {
    pub product: &'static str,
    pub id: u64,
    pub ts: Nanos,
    pub price: String,
    pub size: String,
}

impl MarketTrade {
    fn over_rest(&self) -> Value {
        json!({"time": time(self.ts), "trade_id": self.id, "price": self.price, "size": self.size, "side": "sell"})
    }

    /// Returns the trade as the stream says it.
    pub fn frame(&self, kind: &str) -> String {
        let mut frame = self.over_rest();
        let fields = frame.as_object_mut().unwrap();
        fields.insert("type".to_owned(), json!(kind));
        fields.insert("product_id".to_owned(), json!(self.product));
        fields.insert("sequence".to_owned(), json!(self.id * 7));
        fields.insert("maker_order_id".to_owned(), json!("ac928c66-ca53-498f-9c13-a110027a60e8"));
        frame.to_string()
    }
}

/// The venue writes microseconds, always six digits.
fn time(ts: Nanos) -> String {
    let text = ts.to_rfc3339();
    let text = text.trim_end_matches('Z');
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}.{fraction:0<6}Z")
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The connection is closed, and the market trades so many before the next one.
    Kick(usize),
    /// The connection is cut without a word.
    Cut,
    /// So many trades are not sent.
    Skip(usize),
    /// So many trades are sent again.
    Repeat(usize),
    /// So many trades are sent in reverse order.
    Reorder(usize),
    /// Nothing is sent any more, and the market trades so many meanwhile.
    Silence(usize),
    /// A frame that is none.
    Garbage(&'static [u8]),
    /// So many of the next connections are refused.
    Refuse(usize),
    /// The next so many requests over REST fail, with this status.
    RestFails(usize, &'static str),
}

/// What the threads share.
struct Shared {
    trades: Vec<MarketTrade>,
    products: Vec<&'static str>,
    /// Trades that have happened.
    played: AtomicUsize,
    /// Faults and the number of trades after which each comes.
    script: Mutex<Vec<(usize, Fault)>>,
    num_refusals: AtomicUsize,
    rest_fails: Mutex<(usize, &'static str)>,
    /// Ids that REST does not know.
    forgotten: Mutex<Vec<u64>>,
    /// The time is an hour after the last trade.
    is_over: AtomicBool,
    /// No more trades for now.
    is_paused_at: AtomicUsize,
    is_dropped: AtomicBool,
}

/// The venue.
pub struct FakeVenue {
    shared: Arc<Shared>,
    stream_port: u16,
    rest_port: u16,
    threads: Vec<JoinHandle<()>>,
}

impl FakeVenue {
    /// Starts a market that trades as fast as it can, once somebody listens.
    pub fn start(trades: Vec<MarketTrade>, script: &[(usize, Fault)]) -> FakeVenue {
        let mut products: Vec<&'static str> = Vec::new();
        for trade in &trades {
            if !products.contains(&trade.product) {
                products.push(trade.product);
            }
        }
        let shared = Arc::new(Shared {
            is_paused_at: AtomicUsize::new(trades.len()),
            trades,
            products,
            played: AtomicUsize::new(0),
            script: Mutex::new(script.to_vec()),
            num_refusals: AtomicUsize::new(0),
            rest_fails: Mutex::new((0, "")),
            forgotten: Mutex::default(),
            is_over: AtomicBool::new(false),
            is_dropped: AtomicBool::new(false),
        });
        let (stream_port, stream) = serve(&shared, Shared::serve_stream);
        let (rest_port, rest) = serve(&shared, Shared::serve_rest);
        FakeVenue { shared, stream_port, rest_port, threads: vec![stream, rest] }
    }

    /// Returns the environment that leads the program here and has it come back at once.
    pub fn environment(&self) -> Vec<(String, String)> {
        let venue = |key: &str, value: String| (format!("TICKWIRE__VENUES__COINBASE__{key}"), value);
        vec![
            venue("STREAM_URL", format!("ws://127.0.0.1:{}", self.stream_port)),
            venue("REST_URL", format!("http://127.0.0.1:{}", self.rest_port)),
            venue("RETRY_DELAY", "5ms".to_owned()),
            venue("RETRY_MAX_DELAY", "50ms".to_owned()),
            venue("BREAKER_FAILURES", "0".to_owned()),
            venue("PING_INTERVAL", "200ms".to_owned()),
            venue("IDLE_TIMEOUT", "1s".to_owned()),
            venue("REQUESTS_PER_MINUTE", "60000".to_owned()),
        ]
    }

    /// Has REST forget trades.
    pub fn forget(&self, ids: impl IntoIterator<Item = u64>) {
        self.shared.forgotten.lock().unwrap().extend(ids);
    }

    /// Lets the market rest after so many trades.
    pub fn pause_at(&self, num_trades: usize) {
        self.shared.is_paused_at.store(num_trades, Ordering::SeqCst);
    }

    /// Lets it go on to its end.
    pub fn resume(&self) {
        self.pause_at(self.shared.trades.len());
    }

    /// Lets so many trades happen while nobody listens.
    pub fn pass(&self, num_trades: usize) {
        self.shared.play(num_trades);
    }

    /// Refuses nobody any more.
    pub fn forgive(&self) {
        self.shared.num_refusals.store(0, Ordering::SeqCst);
    }

    /// Returns how many trades have happened.
    pub fn num_played(&self) -> usize {
        self.shared.played.load(Ordering::SeqCst)
    }

    /// Lets an hour pass, so that every window closes.
    pub fn finish(&self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
    }
}

impl Drop for FakeVenue {
    fn drop(&mut self) {
        self.shared.is_dropped.store(true, Ordering::SeqCst);
        for port in [self.stream_port, self.rest_port] {
            // Wakes the thread that waits for a connection.
            TcpStream::connect(("127.0.0.1", port)).ok();
        }
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the fake venue panicked");
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
            assert!(client.join().is_ok(), "a connection of the fake venue panicked");
        }
    });
    (port, thread)
}

/// What a fault does to the connection that it comes to.
enum Then {
    GoOn,
    End,
}

impl Shared {
    fn is_dropped(&self) -> bool {
        self.is_dropped.load(Ordering::SeqCst)
    }

    /// Returns the market's time.
    fn now(&self) -> Nanos {
        let played = self.played.load(Ordering::SeqCst);
        let last = self.trades[..played].last();
        let now = last.map_or_else(|| self.trades[0].ts.plus(-SECOND / 2), |trade| trade.ts);
        if self.is_over.load(Ordering::SeqCst) { now.plus(HOUR) } else { now }
    }

    fn last_of(&self, product: &str) -> Option<&MarketTrade> {
        let played = self.played.load(Ordering::SeqCst);
        self.trades[..played].iter().rev().find(|trade| trade.product == product)
    }

    /// Takes the next fault that is due.
    fn due_fault(&self) -> Option<Fault> {
        let played = self.played.load(Ordering::SeqCst);
        let mut script = self.script.lock().unwrap();
        let at = script.iter().position(|(after, _)| *after <= played)?;
        Some(script.remove(at).1)
    }

    /// Lets so many trades happen. Returns them.
    fn play(&self, count: usize) -> &[MarketTrade] {
        let from = self.played.load(Ordering::SeqCst);
        let end = (from + count).min(self.trades.len());
        self.played.store(end, Ordering::SeqCst);
        &self.trades[from..end]
    }

    fn serve_stream(&self, stream: TcpStream) {
        let one_less = |count: usize| count.checked_sub(1);
        if self.num_refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
            return;
        }
        // A client that goes away in the middle is a part of the tests.
        let Ok(mut socket) = tungstenite::accept(stream) else { return };
        let Ok(Message::Text(asked)) = socket.read() else { return };
        let asked: Value = serde_json::from_str(&asked).unwrap();
        assert_eq!(asked["type"], "subscribe", "{asked}");
        let products: Vec<&str> = self
            .products
            .iter()
            .copied()
            .filter(|name| asked["product_ids"].as_array().unwrap().contains(&json!(name)))
            .collect();
        self.stream(&mut socket, &products).ok();
    }

    fn stream(&self, socket: &mut WebSocket<TcpStream>, products: &[&str]) -> tungstenite::Result<()> {
        socket.get_ref().set_nonblocking(false).unwrap();
        socket.get_ref().set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let said =
            json!({"type": "subscriptions", "channels": [{"name": "matches", "product_ids": products}]});
        socket.send(Message::text(said.to_string()))?;
        for product in products {
            if let Some(last) = self.last_of(product) {
                socket.send(Message::text(last.frame("last_match")))?;
            }
        }
        self.heartbeats(socket, products)?;
        let mut since_heartbeat = 0;
        while !self.is_dropped() {
            while let Some(fault) = self.due_fault() {
                if let Then::End = self.go_wrong(&fault, socket)? {
                    return Ok(());
                }
            }
            let limit = self.is_paused_at.load(Ordering::SeqCst);
            let trade = if self.played.load(Ordering::SeqCst) < limit { self.play(1).first() } else { None };
            match trade {
                Some(trade) => {
                    socket.write(Message::text(trade.frame("match")))?;
                    since_heartbeat += 1;
                }
                None => std::thread::park_timeout(IDLE),
            }
            if trade.is_none() || since_heartbeat == HEARTBEAT_EVERY {
                since_heartbeat = 0;
                socket.flush()?;
                self.heartbeats(socket, products)?;
                hear(socket)?;
            }
        }
        Ok(())
    }

    fn heartbeats(&self, socket: &mut WebSocket<TcpStream>, products: &[&str]) -> tungstenite::Result<()> {
        for product in products {
            let last = self.last_of(product).map_or(0, |trade| trade.id);
            let beat = json!({
                "type": "heartbeat", "sequence": 90, "last_trade_id": last, "product_id": product, "time": time(self.now()),
            });
            socket.send(Message::text(beat.to_string()))?;
        }
        Ok(())
    }

    fn go_wrong(&self, fault: &Fault, socket: &mut WebSocket<TcpStream>) -> tungstenite::Result<Then> {
        match fault {
            Fault::Kick(count) => {
                self.play(*count);
                socket.close(None)?;
                socket.flush().ok();
                return Ok(Then::End);
            }
            Fault::Cut => return Ok(Then::End),
            Fault::Skip(count) => {
                self.play(*count);
            }
            Fault::Repeat(count) => {
                let played = self.played.load(Ordering::SeqCst);
                for trade in &self.trades[played.saturating_sub(*count)..played] {
                    socket.write(Message::text(trade.frame("match")))?;
                }
            }
            Fault::Reorder(count) => {
                for trade in self.play(*count).iter().rev() {
                    socket.write(Message::text(trade.frame("match")))?;
                }
            }
            Fault::Silence(count) => {
                self.play(*count);
                // Until the client has had enough. Its pings are answered: the machine in front of a dead feed does so.
                socket.flush()?;
                while !self.is_dropped() {
                    hear(socket)?;
                }
            }
            Fault::Garbage(bytes) => socket.write(match std::str::from_utf8(bytes) {
                Ok(text) => Message::text(text),
                Err(_) => Message::binary(*bytes),
            })?,
            Fault::Refuse(count) => self.num_refusals.store(*count, Ordering::SeqCst),
            Fault::RestFails(count, status) => *self.rest_fails.lock().unwrap() = (*count, status),
        }
        Ok(Then::GoOn)
    }

    fn serve_rest(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut request = String::new();
        // A client that goes away in the middle is a part of the tests.
        if reader.read_line(&mut request).is_err() || request.is_empty() {
            return;
        }
        let mut has_agent = false;
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|len| len > 2) {
            has_agent |= line.to_ascii_lowercase().starts_with("user-agent:");
            line.clear();
        }
        let (status, body) = if has_agent {
            self.answer(request.split(' ').nth(1).unwrap())
        } else {
            ("400 Bad Request", json!({"message": "User-Agent header is required."}))
        };
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nRetry-After: 0\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).ok();
    }

    fn answer(&self, path: &str) -> (&'static str, Value) {
        if path == "/products" {
            let product = |id: &&str| json!({"id": id, "quote_increment": "0.01", "base_increment": "0.00000001", "status": "online"});
            return ("200 OK", self.products.iter().map(product).collect());
        }
        let mut fails = self.rest_fails.lock().unwrap();
        if fails.0 > 0 {
            fails.0 -= 1;
            return (fails.1, json!({"message": "try again"}));
        }
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let field = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
        let before: u64 = field("after").map_or(u64::MAX, |id| id.parse().unwrap());
        let product = path.strip_prefix("/products/").and_then(|rest| rest.strip_suffix("/trades"));
        let Some(product) = product.filter(|product| self.products.contains(product)) else {
            return ("404 Not Found", json!({"message": "NotFound"}));
        };
        let forgotten = self.forgotten.lock().unwrap();
        let played = self.played.load(Ordering::SeqCst);
        let page = self.trades[..played].iter().rev();
        let page = page
            .filter(|trade| trade.product == product && trade.id < before && !forgotten.contains(&trade.id));
        ("200 OK", page.take(PAGE_LEN).map(MarketTrade::over_rest).collect())
    }
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
