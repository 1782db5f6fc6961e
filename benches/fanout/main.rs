//! What live clients cost, and how long their frames take: the built program under a simulated feed, with clients in
//! this process.
//!
//! `cargo bench --bench fanout -- [--quick] [--json] [WORD]...`: a word picks the cases whose names contain it; `--quick`
//! measures each for a shorter time; `--json` prints one object a line.

#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

mod clients;
mod server;

use clients::Shared;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use server::{SERVE, Server};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// As in the program: this one serves too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Until this the market and the clients settle.
const SETTLE: Duration = Duration::from_secs(3);

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
    /// Bytes of a symbol's name: 92 make a tick of 220.
    name_len: usize,
    /// How often clients read; zero is at once. Where it is shown how fast the server writes, clients that read meanwhile
    /// would only take its processor time, which elsewhere they do not.
    pause: Duration,
    phases: &'static [Phase],
}

impl Case {
    fn symbol(&self, nth: usize) -> String {
        format!("S{nth:0width$}", width = self.name_len - 1)
    }
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
        name_len: 4,
        pause: Duration::ZERO,
        phases: ONE_PHASE,
    },
    Case {
        name: "one topic",
        num_symbols: 1,
        rate: 12_000,
        num_clients: 100,
        num_followed: 0,
        channel: "ticks",
        window: None,
        name_len: 92,
        pause: Duration::ZERO,
        phases: ONE_PHASE,
    },
    Case {
        name: "five of fifty",
        num_symbols: 50,
        rate: 10_500,
        num_clients: 10,
        num_followed: 5,
        channel: "ticks",
        window: None,
        name_len: 4,
        pause: Duration::ZERO,
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
        name_len: 4,
        pause: Duration::from_millis(500),
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
        name_len: 4,
        pause: Duration::ZERO,
        phases: STOPPED_IN_TURNS,
    },
];

fn run(case: &Case, is_quick: bool) -> Vec<Value> {
    let server = Server::start(case);
    let address = server.address("WebSocket");
    let followed = |nth: usize| -> Vec<String> {
        if case.num_followed == 0 {
            return vec!["*".to_owned()];
        }
        (0..case.num_followed)
            .map(|at| case.symbol((nth * case.num_followed + at) % case.num_symbols))
            .collect()
    };
    let streams: Vec<TcpStream> =
        (0..case.num_clients).map(|nth| clients::subscribe(address, case, &followed(nth))).collect();
    let ends: Vec<TcpStream> = streams.iter().map(|stream| stream.try_clone().unwrap()).collect();
    let shared = Arc::<Shared>::default();
    let clients = {
        let (shared, num_phases, pause) = (Arc::clone(&shared), case.phases.len() + 1, case.pause);
        std::thread::spawn(move || clients::run(streams, num_phases, pause, &shared))
    };
    std::thread::sleep(SETTLE);
    let mut found = Vec::new();
    for (at, phase) in case.phases.iter().enumerate() {
        let received = || (shared.frames.load(Ordering::Relaxed), shared.bytes.load(Ordering::Relaxed));
        let (before, (frames, bytes)) = (server.reading(), received());
        shared.num_stopped.fetch_add(phase.num_stopped, Ordering::Relaxed);
        shared.phase.store(at + 1, Ordering::Relaxed);
        let seconds = if is_quick { phase.seconds_if_quick } else { phase.seconds };
        std::thread::sleep(Duration::from_secs(seconds));
        let (frames, bytes) = (received().0 - frames, received().1 - bytes);
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
            "bytes": if frames == 0 { None } else { Some(bytes as f64 / frames as f64) },
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
        found["tick_read_ms"] = json!(ms(&ages[at + 1]));
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
        "{:<15} {} stopped, {:>9.0} deliveries/s of {:.0} bytes, server {:>3.0} % of a core, {:>5.2} us each, {:>3.0} MB; \
         ticks sent {}, read {} after the event; bars sent {}",
        found["case"].as_str().unwrap(),
        found["stopped"],
        number("deliveries_per_second"),
        number("bytes"),
        number("cores") * 100.0,
        number("us_per_delivery"),
        number("memory_mb"),
        range("sent_ms"),
        range("tick_read_ms"),
        range("bar_sent_ms"),
    );
}

fn main() {
    if let Some(symbols) = std::env::args().skip_while(|arg| arg != SERVE).nth(1) {
        return server::serve(&symbols);
    }
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
