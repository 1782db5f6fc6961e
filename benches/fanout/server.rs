//! The server as a process of its own, and what it shows of itself.

use super::Case;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tickwire::config::{Config, Sources};
use tickwire::models::symbol::is_symbol_name;
use tickwire::{app, telemetry};

/// Has this very program serve symbols of the given names.
pub const SERVE: &str = "--serve";

/// Serves as the built program does, but symbols of any name: a longer one makes longer frames.
pub fn serve(symbols: &str) {
    let mut config = Config::load(&Sources::of_process(None, Vec::new())).unwrap();
    config.provider.symbols = symbols.split(',').map(str::to_owned).collect();
    telemetry::init(config.log_format, config.log_level).unwrap();
    app::run(config, false).unwrap();
}

/// A running server; it is killed at the end.
pub struct Server {
    child: Child,
    addresses: Vec<(String, SocketAddr)>,
    _dir: tempfile::TempDir,
}

impl Server {
    /// Starts it, and waits until it is ready.
    pub fn start(case: &Case) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let symbols: Vec<String> = (0..case.num_symbols).map(|nth| case.symbol(nth)).collect();
        let mut command = if symbols.iter().all(|name| is_symbol_name(name.as_bytes())) {
            let mut command = Command::new(env!("CARGO_BIN_EXE_tickwire"));
            command.args(["run", "--symbols"]);
            command
        } else {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.arg(SERVE);
            command
        };
        let rate = case.rate.to_string();
        let mut child = command
            .arg(symbols.join(","))
            .env_clear()
            .envs(case.window.map(|window| ("TICKWIRE__CORE__WINDOWS", window)))
            .envs([
                ("TICKWIRE__LOG_FORMAT", "json"),
                ("TICKWIRE__PROVIDER__RATE", &rate),
                // The same pace at any hour.
                ("TICKWIRE__PROVIDER__SIMULATED__SWING", "0"),
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

    /// Returns where it listens: `REST`, `WebSocket`, `metrics`.
    pub fn address(&self, name: &str) -> SocketAddr {
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
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        // Without it every latency would be missing, and a figure that is missing is no figure.
        assert!(text.starts_with("HTTP/1.1 200"), "no metrics: {text}");
        text
    }

    /// Looks at everything at once.
    pub fn reading(&self) -> Reading {
        Reading { at: Instant::now(), cpu: self.cpu(), memory: self.memory(), metrics: self.metrics() }
    }
}

/// What the server shows at one moment.
pub struct Reading {
    pub at: Instant,
    pub cpu: Duration,
    pub memory: u64,
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
    pub fn quantile_since(&self, before: &Reading, component: &str, share: f64) -> Option<(f64, f64)> {
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
