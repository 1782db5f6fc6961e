//! What live clients cost, and how long their frames take: the built program under a simulated feed, with clients in
//! this process.
//!
//! `cargo bench --bench fanout -- [--quick] [--json] [WORD]...`: a word picks the cases whose names contain it; `--quick`
//! measures each for a shorter time; `--json` prints one object a line.

#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tickwire::clock::{Clock, SystemClock};
use tickwire::models::time::Nanos;

/// Until this the market and the clients settle.
const SETTLE: Duration = Duration::from_secs(3);

/// One frame in this many has its age looked at, where there are many.
const SAMPLE: u64 = 16;

/// A stretch of time that is measured.
struct Phase {
    seconds: u64,
    /// The same with `--quick`.
    seconds_if_quick: u64,
    /// Clients that stop reading when it begins, and never read again.
    num_stopped: usize,
}

const ONE_PHASE: &[Phase] = &[Phase { seconds: 20, seconds_if_quick: 6, num_stopped: 0 }];

/// With and without a stopped reader in turns, so that what the machine does otherwise meets both.
const STOPPED_IN_TURNS: &[Phase] = &[
    Phase { seconds: 60, seconds_if_quick: 6, num_stopped: 0 },
    Phase { seconds: 60, seconds_if_quick: 6, num_stopped: 1 },
    Phase { seconds: 60, seconds_if_quick: 6, num_stopped: 0 },
    Phase { seconds: 60, seconds_if_quick: 6, num_stopped: 1 },
];

struct Case {
    name: &'static str,
    num_symbols: usize,
    rate: u32,
    num_clients: usize,
    /// Symbols that each client follows; 0 for all of them.
    num_followed: usize,
    channel: &'static str,
    /// The only window of the server, where not its default ones.
    window: Option<&'static str>,
    phases: &'static [Phase],
}

const CASES: [Case; 5] = [
    Case {
        name: "no clients",
        num_symbols: 1,
        rate: 12_000,
        num_clients: 0,
        num_followed: 1,
        channel: "ticks",
        window: None,
        phases: ONE_PHASE,
    },
    Case {
        name: "one topic",
        num_symbols: 1,
        rate: 12_000,
        num_clients: 100,
        num_followed: 1,
        channel: "ticks",
        window: None,
        phases: ONE_PHASE,
    },
    Case {
        name: "five of fifty",
        num_symbols: 50,
        rate: 11_000,
        num_clients: 10,
        num_followed: 5,
        channel: "ticks",
        window: None,
        phases: ONE_PHASE,
    },
    Case {
        name: "closed bars",
        num_symbols: 1,
        rate: 200,
        num_clients: 1_000,
        num_followed: 0,
        channel: "bars",
        window: Some("1s"),
        phases: &[Phase { seconds: 60, seconds_if_quick: 15, num_stopped: 0 }],
    },
    Case {
        name: "stopped reader",
        num_symbols: 50,
        rate: 2_000,
        num_clients: 1_000,
        num_followed: 1,
        channel: "ticks",
        window: None,
        phases: STOPPED_IN_TURNS,
    },
];

fn symbol(nth: usize) -> String {
    format!("S{nth:03}")
}

struct Server {
    child: Child,
    addresses: Vec<(String, SocketAddr)>,
    _dir: tempfile::TempDir,
}

impl Server {
    fn start(case: &Case) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let symbols: Vec<String> = (0..case.num_symbols).map(symbol).collect();
        let rate = case.rate.to_string();
        let mut child = Command::new(env!("CARGO_BIN_EXE_tickwire"))
            .args(["run", "--rate", &rate, "--symbols", &symbols.join(","), "--log-format", "json"])
            .env_clear()
            .envs(case.window.map(|window| ("TICKWIRE__CORE__WINDOWS", window)))
            .envs([
                ("TICKWIRE__SERVER__REST", "127.0.0.1:0"),
                ("TICKWIRE__SERVER__WEBSOCKET", "127.0.0.1:0"),
                ("TICKWIRE__SERVER__DASHBOARD", "127.0.0.1:0"),
                ("TICKWIRE__SERVER__METRICS", "127.0.0.1:0"),
                ("TICKWIRE__SERVER__WEBSOCKET_BROADCAST", "false"),
                ("TICKWIRE__PROVIDER__WARM_UP", "0s"),
            ])
            .current_dir(dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut addresses = Vec::new();
        loop {
            let line = lines.next().expect("the program starts").unwrap();
            if let Some((before, after)) = line.split_once(" listens on ") {
                let name = before.rsplit('"').next().unwrap().to_owned();
                let address = after.split('"').next().unwrap().split("//").nth(1).unwrap().parse().unwrap();
                addresses.push((name, address));
            }
            if line.contains("\"ready\"") {
                break;
            }
        }
        std::thread::spawn(move || lines.for_each(drop));
        Server { child, addresses, _dir: dir }
    }

    fn address(&self, name: &str) -> SocketAddr {
        self.addresses.iter().find(|(known, _)| known == name).unwrap().1
    }

    /// Returns the processor time used so far.
    fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(10 * ticks)
    }

    /// Returns the memory in use, in MB.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1_000
    }

    fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(self.address("metrics")).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    fn reading(&self) -> Reading {
        Reading { at: Instant::now(), cpu: self.cpu(), memory: self.memory(), metrics: self.metrics() }
    }
}

/// What the server shows at one moment.
struct Reading {
    at: Instant,
    cpu: Duration,
    memory: u64,
    metrics: String,
}

impl Reading {
    /// Returns cumulative counts of a latency, by upper bound in seconds.
    fn buckets(&self, component: &str) -> Vec<(f64, f64)> {
        let prefix = format!("processing_latency_seconds_bucket{{component=\"{component}\",le=\"");
        self.metrics
            .lines()
            .filter_map(|line| line.strip_prefix(&prefix))
            .map(|rest| {
                let (bound, count) = rest.split_once("\"} ").unwrap();
                (bound.parse().unwrap_or(f64::INFINITY), count.parse().unwrap())
            })
            .collect()
    }

    /// Returns a quantile of what was counted since an earlier reading, in milliseconds: the bound of its bucket, and
    /// where it is when the bucket is filled evenly. `None` when nothing was counted.
    fn quantile_since(&self, before: &Reading, component: &str, share: f64) -> Option<(f64, f64)> {
        let (old, new) = (before.buckets(component), self.buckets(component));
        let counts: Vec<(f64, f64)> = new.iter().zip(&old).map(|(new, old)| (new.0, new.1 - old.1)).collect();
        let rank = share * counts.last()?.1;
        let (mut lower, mut below) = (0.0, 0.0);
        for (bound, count) in counts {
            if rank > 0.0 && count >= rank {
                return Some((
                    bound * 1e3,
                    (lower + (bound - lower) * (rank - below) / (count - below)) * 1e3,
                ));
            }
            (lower, below) = (bound, count);
        }
        None
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What the clients are told, and what they count.
#[derive(Default)]
struct Shared {
    frames: AtomicU64,
    skipped: AtomicU64,
    /// Which phase it is; 0 is before the first.
    phase: AtomicUsize,
    /// Clients numbered below this do not read any more.
    num_stopped: AtomicUsize,
    is_over: AtomicBool,
}

/// What the clients' thread finds out, by phase.
struct Ages {
    /// Microseconds from a tick's event to its reading.
    ticks: Vec<Histogram<u64>>,
    /// Microseconds from the first reading of a bar by any client to its reading.
    bars: Vec<Histogram<u64>>,
    first_read: HashMap<Vec<u8>, Instant>,
}

impl Ages {
    fn new(num_phases: usize) -> Ages {
        let histograms =
            || (0..num_phases).map(|_| Histogram::new_with_max(60_000_000, 3).unwrap()).collect();
        Ages { ticks: histograms(), bars: histograms(), first_read: HashMap::new() }
    }

    fn note_tick(&mut self, phase: usize, payload: &[u8]) {
        let text = std::str::from_utf8(payload).unwrap();
        let time = text.split("\"timestamp\":\"").nth(1).and_then(|rest| rest.split('"').next());
        if let Some(time) = time.and_then(Nanos::from_rfc3339) {
            let age = SystemClock.now().since(time).max(0) as u64 / 1_000;
            self.ticks[phase].saturating_record(age);
        }
    }

    fn note_bar(&mut self, phase: usize, payload: &[u8]) {
        let now = Instant::now();
        match self.first_read.get(payload) {
            Some(first) => self.bars[phase].saturating_record((now - *first).as_micros() as u64),
            None => {
                self.bars[phase].saturating_record(0);
                self.first_read.insert(payload.to_owned(), now);
            }
        }
    }
}

fn subscribe(address: SocketAddr, case: &Case, symbols: &[String]) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    let (mut socket, _) = tungstenite::client(format!("ws://{address}/"), stream).unwrap();
    let request =
        json!({"type": "subscribe", "symbols": symbols, "channels": [case.channel], "forming": false});
    socket.send(tungstenite::Message::text(request.to_string())).unwrap();
    socket.get_ref().try_clone().unwrap()
}

/// An answer to the server's question whether the client is there: a masked pong without a payload.
const PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];

/// Reads frames until it is over, or the client is one that stops: its connection stays open.
async fn read(
    number: usize,
    stream: &mut tokio::net::TcpStream,
    shared: Arc<Shared>,
    ages: Rc<RefCell<Ages>>,
) {
    use tokio::io::AsyncReadExt;
    let (mut buffer, mut filled) = (vec![0_u8; 1 << 16], 0);
    while number >= shared.num_stopped.load(Ordering::Relaxed) {
        let count = stream.read(&mut buffer[filled..]).await.unwrap_or(0);
        if shared.is_over.load(Ordering::Relaxed) {
            return;
        }
        assert!(count > 0, "the session goes on");
        filled += count;
        let (mut at, mut frames, phase) = (0, 0, shared.phase.load(Ordering::Relaxed));
        while let Some((header, len)) = frame_at(&buffer[at..filled]) {
            let (kind, payload) = (buffer[at], &buffer[at + header..at + header + len]);
            at += header + len;
            if kind == 0x89 {
                stream.try_write(&PONG).unwrap();
                continue;
            }
            frames += 1;
            if payload.starts_with(b"{\"type\":\"bar\"") {
                ages.borrow_mut().note_bar(phase, payload);
            } else if payload.starts_with(b"{\"type\":\"skipped\"") {
                shared.skipped.fetch_add(1, Ordering::Relaxed);
            } else if (shared.frames.load(Ordering::Relaxed) + frames).is_multiple_of(SAMPLE) {
                ages.borrow_mut().note_tick(phase, payload);
            }
        }
        shared.frames.fetch_add(frames, Ordering::Relaxed);
        buffer.copy_within(at..filled, 0);
        filled -= at;
    }
}

/// Returns the lengths of the header and of the payload of a whole frame.
fn frame_at(bytes: &[u8]) -> Option<(usize, usize)> {
    let (header, len) = match *bytes.get(1)? {
        126 => (4, usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]))),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize),
        len => (2, usize::from(len)),
    };
    (bytes.len() >= header + len).then_some((header, len))
}

/// Runs the clients in this thread until it is over. They step back behind the server, with which they share the
/// machine: elsewhere they would not take its processor time.
fn run_clients(streams: Vec<TcpStream>, num_phases: usize, shared: &Arc<Shared>) -> Ages {
    rustix::process::nice(19).unwrap();
    let ages = Rc::new(RefCell::new(Ages::new(num_phases)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let start = |(number, stream): (usize, TcpStream)| {
            let (shared, ages) = (Arc::clone(shared), Rc::clone(&ages));
            stream.set_nonblocking(true).unwrap();
            let mut stream = tokio::net::TcpStream::from_std(stream).unwrap();
            tokio::task::spawn_local(async move {
                read(number, &mut stream, shared, ages).await;
                stream
            })
        };
        let tasks: Vec<_> = streams.into_iter().enumerate().map(start).collect();
        let mut streams = Vec::new();
        for task in tasks {
            streams.push(task.await.unwrap());
        }
    });
    Rc::into_inner(ages).unwrap().into_inner()
}

fn run(case: &Case, is_quick: bool) -> Vec<Value> {
    let server = Server::start(case);
    let address = server.address("WebSocket");
    let followed = |nth: usize| -> Vec<String> {
        if case.num_followed == 0 {
            return vec!["*".to_owned()];
        }
        (0..case.num_followed).map(|at| symbol((nth * case.num_followed + at) % case.num_symbols)).collect()
    };
    let streams: Vec<TcpStream> =
        (0..case.num_clients).map(|nth| subscribe(address, case, &followed(nth))).collect();
    let ends: Vec<TcpStream> = streams.iter().map(|stream| stream.try_clone().unwrap()).collect();
    let shared = Arc::<Shared>::default();
    let clients = {
        let (shared, num_phases) = (Arc::clone(&shared), case.phases.len() + 1);
        std::thread::spawn(move || run_clients(streams, num_phases, &shared))
    };
    std::thread::sleep(SETTLE);
    let mut found = Vec::new();
    for (at, phase) in case.phases.iter().enumerate() {
        let (before, frames) = (server.reading(), shared.frames.load(Ordering::Relaxed));
        shared.num_stopped.fetch_add(phase.num_stopped, Ordering::Relaxed);
        shared.phase.store(at + 1, Ordering::Relaxed);
        let seconds = if is_quick { phase.seconds_if_quick } else { phase.seconds };
        std::thread::sleep(Duration::from_secs(seconds));
        let frames = shared.frames.load(Ordering::Relaxed) - frames;
        let after = server.reading();
        let elapsed = (after.at - before.at).as_secs_f64();
        let cpu = (after.cpu - before.cpu).as_secs_f64();
        let sent = |component: &str| {
            let quantile = |share| after.quantile_since(&before, component, share);
            let (p50, p99) = (quantile(0.5)?, quantile(0.99)?);
            Some(json!({"p50": p50.1, "p50_at_most": p50.0, "p99": p99.1, "p99_at_most": p99.0}))
        };
        found.push(json!({
            "case": case.name,
            "phase": at + 1,
            "seconds": seconds,
            "clients": case.num_clients,
            "stopped": phase.num_stopped,
            "deliveries_per_second": frames as f64 / elapsed,
            "cores": cpu / elapsed,
            "us_per_delivery": if frames == 0 { None } else { Some(cpu * 1e6 / frames as f64) },
            "memory_mb": after.memory,
            "sent_ms": sent("received_to_sent"),
            "bar_sent_ms": sent("received_to_bar_sent"),
        }));
    }
    shared.is_over.store(true, Ordering::Relaxed);
    ends.iter().for_each(|end| drop(end.shutdown(Shutdown::Both)));
    let ages = clients.join().unwrap();
    let ms = |histogram: &Histogram<u64>| {
        let quantile = |share| histogram.value_at_quantile(share) as f64 / 1e3;
        (!histogram.is_empty()).then(
            || json!({"p50": quantile(0.5), "p99": quantile(0.99), "max": histogram.max() as f64 / 1e3}),
        )
    };
    for (at, found) in found.iter_mut().enumerate() {
        found["tick_read_ms"] = json!(ms(&ages.ticks[at + 1]));
        found["bar_spread_ms"] = json!(ms(&ages.bars[at + 1]));
        found["skips_told"] = json!(shared.skipped.load(Ordering::Relaxed));
    }
    found
}

fn print(found: &Value) {
    let number = |name: &str| found[name].as_f64().unwrap_or(f64::NAN);
    let range = |name: &str| {
        let value = &found[name];
        match (value["p50"].as_f64(), value["p99"].as_f64()) {
            (Some(p50), Some(p99)) => format!("p50 {p50:.2} p99 {p99:.2} ms"),
            _ => "none".to_owned(),
        }
    };
    println!(
        "{:<15} {} stopped, {:>9.0} deliveries/s, server {:>3.0} % of a core, {:>5.2} us each, {:>3.0} MB; \
         ticks sent {}, read {} after the event; bars sent {}, read {} after the first client",
        found["case"].as_str().unwrap(),
        found["stopped"],
        number("deliveries_per_second"),
        number("cores") * 100.0,
        number("us_per_delivery"),
        number("memory_mb"),
        range("sent_ms"),
        range("tick_read_ms"),
        range("bar_sent_ms"),
        range("bar_spread_ms"),
    );
}

fn main() {
    let (flags, words): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|word| word.starts_with('-'));
    let has = |flag: &str| flags.iter().any(|known| known == flag);
    for case in &CASES {
        if !words.is_empty() && !words.iter().any(|word| case.name.contains(word.as_str())) {
            continue;
        }
        for found in run(case, has("--quick")) {
            if has("--json") {
                println!("{found}");
            } else {
                print(&found);
            }
        }
    }
}
