//! What live clients cost, and how long their frames take: the built program under a simulated feed, with clients in
//! this process. Goals: 1,000,000 deliveries/s to 100 clients of one topic at 1 us of the server's time each; at
//! 10,000 ticks/s and 10 clients of 5 symbols, from received to sent in less than 1 ms (p99).
//!
//! `cargo bench --bench fanout`; a word behind `--` picks the cases that contain it.

#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tickwire::clock::{Clock, SystemClock};
use tickwire::models::time::Nanos;

/// How long a case is measured.
const SPAN: Duration = Duration::from_secs(6);

/// Until this the market and the clients settle.
const SETTLE: Duration = Duration::from_secs(3);

/// One frame in this many has its age looked at.
const SAMPLE: u64 = 16;

struct Case {
    name: &'static str,
    num_symbols: usize,
    rate: u32,
    num_clients: usize,
    num_followed: usize,
    /// Clients that subscribe and never read.
    num_stopped: usize,
}

const CASES: [Case; 5] = [
    Case { name: "idle", num_symbols: 1, rate: 10_000, num_clients: 0, num_followed: 0, num_stopped: 0 },
    Case {
        name: "one topic",
        num_symbols: 1,
        rate: 12_000,
        num_clients: 100,
        num_followed: 1,
        num_stopped: 0,
    },
    Case {
        name: "five of fifty",
        num_symbols: 50,
        rate: 10_000,
        num_clients: 10,
        num_followed: 5,
        num_stopped: 0,
    },
    Case {
        name: "thousand",
        num_symbols: 50,
        rate: 2_000,
        num_clients: 1_000,
        num_followed: 1,
        num_stopped: 0,
    },
    Case {
        name: "thousand, one stopped",
        num_symbols: 50,
        rate: 2_000,
        num_clients: 999,
        num_followed: 1,
        num_stopped: 1,
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
        let mut child = Command::new(env!("CARGO_BIN_EXE_tickwire"))
            .args([
                "run",
                "--rate",
                &case.rate.to_string(),
                "--symbols",
                &symbols.join(","),
                "--log-format",
                "json",
            ])
            .env_clear()
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

    /// Returns cumulative counts of the latency from received to sent, by upper bound in seconds.
    fn sent_latency(&self) -> Vec<(f64, f64)> {
        let mut stream = TcpStream::connect(self.address("metrics")).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let prefix = "processing_latency_seconds_bucket{component=\"received_to_sent\",le=\"";
        text.lines()
            .filter_map(|line| line.strip_prefix(prefix))
            .map(|rest| {
                let (bound, count) = rest.split_once("\"} ").unwrap();
                (bound.parse().unwrap_or(f64::INFINITY), count.parse().unwrap())
            })
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[derive(Default)]
struct Counts {
    frames: AtomicU64,
    skipped: AtomicU64,
    is_over: AtomicBool,
}

fn subscribe(address: SocketAddr, symbols: &[String]) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    let (mut socket, _) = tungstenite::client(format!("ws://{address}/"), stream).unwrap();
    let request = serde_json::json!({"type": "subscribe", "symbols": symbols});
    socket.send(tungstenite::Message::text(request.to_string())).unwrap();
    socket.get_ref().try_clone().unwrap()
}

/// Reads frames until it is over. Returns the ages of some, in microseconds.
async fn read(stream: TcpStream, counts: Arc<Counts>) -> Vec<u64> {
    use tokio::io::AsyncReadExt;
    stream.set_nonblocking(true).unwrap();
    let mut stream = tokio::net::TcpStream::from_std(stream).unwrap();
    let (mut buffer, mut filled, mut ages) = (vec![0_u8; 1 << 17], 0, Vec::new());
    while !counts.is_over.load(Ordering::Relaxed) {
        let read = tokio::time::timeout(Duration::from_millis(200), stream.read(&mut buffer[filled..]));
        let Ok(Ok(count)) = read.await else { continue };
        assert!(count > 0, "the session goes on");
        filled += count;
        let (mut at, mut frames, mut now) = (0, 0, Nanos::MIN);
        while let Some((header, len)) = frame_at(&buffer[at..filled]) {
            let payload = &buffer[at + header..at + header + len];
            frames += 1;
            if payload.starts_with(b"{\"type\":\"skipped\"") {
                counts.skipped.fetch_add(1, Ordering::Relaxed);
            }
            if (counts.frames.load(Ordering::Relaxed) + frames).is_multiple_of(SAMPLE) {
                let text = std::str::from_utf8(payload).unwrap();
                let time = text.split("\"timestamp\":\"").nth(1).and_then(|rest| rest.split('"').next());
                if let Some(time) = time.and_then(Nanos::from_rfc3339) {
                    if now == Nanos::MIN {
                        now = SystemClock.now();
                    }
                    ages.push(now.since(time).max(0) as u64 / 1_000);
                }
            }
            at += header + len;
        }
        counts.frames.fetch_add(frames, Ordering::Relaxed);
        buffer.copy_within(at..filled, 0);
        filled -= at;
    }
    ages
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

fn quantile(before: &[(f64, f64)], after: &[(f64, f64)], share: f64) -> f64 {
    let counts: Vec<(f64, f64)> = after.iter().zip(before).map(|(a, b)| (a.0, a.1 - b.1)).collect();
    let total = counts.last().map_or(0.0, |last| last.1);
    counts.iter().find(|(_, count)| *count >= share * total).map_or(f64::NAN, |(bound, _)| *bound)
}

fn run(case: &Case) {
    let server = Server::start(case);
    let address = server.address("WebSocket");
    let followed = |nth: usize| -> Vec<String> {
        (0..case.num_followed).map(|at| symbol((nth * case.num_followed + at) % case.num_symbols)).collect()
    };
    let stopped: Vec<TcpStream> =
        (0..case.num_stopped).map(|nth| subscribe(address, &followed(nth))).collect();
    let streams: Vec<TcpStream> =
        (0..case.num_clients).map(|nth| subscribe(address, &followed(nth))).collect();
    let counts = Arc::<Counts>::default();
    let readers = {
        let counts = Arc::clone(&counts);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, async move {
                let tasks: Vec<_> = streams
                    .into_iter()
                    .map(|stream| tokio::task::spawn_local(read(stream, Arc::clone(&counts))))
                    .collect();
                let mut ages = Vec::new();
                for task in tasks {
                    ages.extend(task.await.unwrap());
                }
                ages
            })
        })
    };
    std::thread::sleep(SETTLE);
    let (cpu, memory, latency) = (server.cpu(), server.memory(), server.sent_latency());
    let (frames, start) = (counts.frames.load(Ordering::Relaxed), Instant::now());
    std::thread::sleep(SPAN);
    let frames = counts.frames.load(Ordering::Relaxed) - frames;
    let (elapsed, used) = (start.elapsed().as_secs_f64(), (server.cpu() - cpu).as_secs_f64());
    let (grown, sent) = (server.memory() - memory.min(server.memory()), server.sent_latency());
    counts.is_over.store(true, Ordering::Relaxed);
    let mut ages = readers.join().unwrap();
    ages.sort_unstable();
    let age = |share: f64| ages.get((ages.len() as f64 * share) as usize).copied().unwrap_or(0) as f64 / 1e3;
    println!(
        "{:<22} {:>9.0} deliveries/s, server {:>4.0} % of a core, {:>5.2} us each; sent within p50 {:.2} p99 {:.2} ms; \
         read {:.2} / {:.2} ms after the event; {} told of skips; memory {memory} MB, grown {grown} MB",
        case.name,
        frames as f64 / elapsed,
        used / elapsed * 100.0,
        used * 1e6 / frames.max(1) as f64,
        quantile(&latency, &sent, 0.5) * 1e3,
        quantile(&latency, &sent, 0.99) * 1e3,
        age(0.5),
        age(0.99),
        counts.skipped.load(Ordering::Relaxed),
    );
    drop(stopped);
}

fn main() {
    let wanted = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    for case in
        CASES.iter().filter(|case| wanted.as_ref().is_none_or(|word| case.name.contains(word.as_str())))
    {
        run(case);
    }
}
