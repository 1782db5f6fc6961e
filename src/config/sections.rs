//! The sections of the configuration with their defaults. A span reads `10ms`, `5min`, `7d`; a size `20GB`, `64KiB`.
//!
//! Promises: the defaults are valid, and a key that is not listed here is refused. On failure, serde's error names the
//! type it expects; `layers` adds the key.

use super::origin::OriginPattern;
use super::text::{ByteSize, ListenAddress, nanos, span, symbols, widths};
use crate::actors::ingest::simulated::SimulatedConfig;
use crate::models::settings::CoreSettings;
use crate::models::time::Width;
use crate::secret::Secret;
use serde::{Deserialize, Serialize};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

/// Form of the log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people; with colours on a terminal.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// Which log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Faults that cost something.
    Error,
    /// What somebody should look at, too.
    Warn,
    /// What happens, too.
    #[default]
    Info,
    /// How it happens, too.
    Debug,
    /// Every step.
    Trace,
}

/// Section `server`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Address of the REST interface; port 0 picks a free one.
    pub rest: ListenAddress,
    /// Address of the WebSocket.
    pub websocket: ListenAddress,
    /// Address of the dashboard.
    pub dashboard: ListenAddress,
    /// Address of the Prometheus metrics.
    pub metrics: ListenAddress,
    /// Whether a WebSocket client that has not subscribed to anything yet gets every tick.
    pub websocket_broadcast: bool,
    /// Web pages that may use the server, besides its own: `https://desk.example`, `http://localhost:*` for any port,
    /// `*` for every page. A host that is named here is also a name of the server, as behind a proxy.
    pub cors_origins: Vec<OriginPattern>,
    /// The page's address as people reach it, `https://desk.example`: alerts link to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// Number of threads that serve requests, a port. Where there are no more cores, each keeps to a core of its own.
    pub workers: usize,
    /// How long a stop may take before what is left is cut off.
    #[serde(with = "span")]
    pub stop_timeout: Duration,
    /// Limits of one client, and of all together.
    pub limits: Limits,
}

impl Default for Server {
    fn default() -> Self {
        Server {
            rest: ListenAddress::loopback(8000),
            websocket: ListenAddress::loopback(8001),
            dashboard: ListenAddress::loopback(8050),
            metrics: ListenAddress::loopback(9100),
            websocket_broadcast: true,
            cors_origins: OriginPattern::of_this_machine(),
            public_url: None,
            workers: 2,
            stop_timeout: Duration::from_secs(4),
            limits: Limits::default(),
        }
    }
}

/// Section `server.limits`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// WebSocket clients at one time; the next one is refused.
    pub max_connections: usize,
    /// Topics that one WebSocket client may follow.
    pub max_subscriptions: usize,
    /// Longest message that a WebSocket client may send.
    pub max_message_bytes: ByteSize,
    /// Messages a second that one WebSocket client may send.
    pub max_messages_per_second: u32,
    /// How often a WebSocket client is asked whether it is there.
    #[serde(with = "span")]
    pub ping_interval: Duration,
    /// A WebSocket client from which nothing came for this long, not even an answer to a ping, is closed.
    #[serde(with = "span")]
    pub idle_timeout: Duration,
    /// A WebSocket client for which something waits and that takes none of it for this long is closed.
    #[serde(with = "span")]
    pub stall_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_connections: 10_000,
            max_subscriptions: 16_000,
            max_message_bytes: ByteSize(64_000),
            max_messages_per_second: 50,
            ping_interval: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(45),
            stall_timeout: Duration::from_secs(30),
        }
    }
}

/// Section `provider`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Provider {
    /// Who feeds Tickwire: `simulated`, or a live venue by its name.
    pub name: String,
    /// Symbols to follow; by default some well-known ones of the venue.
    #[serde(with = "symbols")]
    pub symbols: Vec<String>,
    /// Makes this many simulated symbols in place of `symbols`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symbol_count: Option<NonZeroU32>,
    /// Simulated ticks a second, over all symbols, as the mean of a day; from 0.001 to 100,000,000.
    pub rate: f64,
    /// Seed of the simulated venue: the same seed gives the same ticks.
    pub seed: u64,
    /// How much simulated past is made of symbols that have none: of all of them on a first start. What the indicators
    /// need is made in any case, but for `0s`, which makes none; nor are bars of the past asked for at a live venue then.
    #[serde(with = "span")]
    pub warm_up: Duration,
    /// Messages a second that are taken from the venue; more push back to it, none is dropped. Not set: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_messages_per_second: Option<NonZeroU32>,
    /// What the simulated venue's market is like, and the faults injected into its feed.
    pub simulated: SimulatedConfig,
}

impl Default for Provider {
    fn default() -> Self {
        Provider {
            name: "simulated".to_owned(),
            symbols: ["AAPL", "GOOGL", "MSFT", "AMZN", "TSLA"].map(str::to_owned).to_vec(),
            symbol_count: None,
            rate: 50.0,
            seed: 42,
            warm_up: Duration::from_hours(50),
            max_messages_per_second: None,
            simulated: SimulatedConfig::default(),
        }
    }
}

/// Section `core`. Two runs over one log agree only if all of it but `shards` agrees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Core {
    /// Widths of the windows: ascending, each a multiple of the first and a divisor of 24 hours; a day is one of UTC. Not set:
    /// those that the data directory was begun with, and of a new one those of [`CoreSettings::default`].
    #[serde(with = "widths", skip_serializing_if = "Option::is_none")]
    pub windows: Option<Vec<Width>>,
    /// How far the watermark stays behind the newest event time.
    #[serde(with = "nanos")]
    pub lateness: i64,
    /// How long after its close a window still takes entries.
    #[serde(with = "nanos")]
    pub horizon: i64,
    /// How long a known gap keeps the windows it touches from being sealed.
    #[serde(with = "nanos")]
    pub gap_hold: i64,
    /// How far an event time may be ahead of its received time and still move the watermark.
    #[serde(with = "nanos")]
    pub future_tolerance: i64,
    /// Pipelines that share the symbols out among them; 0 is one for each processor core but one, which reads the feed.
    pub shards: usize,
    /// Symbols that a process may know; rows of files that name a further one are dead letters, `too_many_symbols`.
    pub max_symbols: NonZeroUsize,
}

impl Default for Core {
    fn default() -> Self {
        let settings = CoreSettings::default();
        Core {
            windows: None,
            lateness: settings.lateness,
            horizon: settings.horizon,
            gap_hold: settings.gap_hold,
            future_tolerance: settings.future_tolerance,
            shards: 0,
            max_symbols: NonZeroUsize::new(20_000).expect("not 0"),
        }
    }
}

impl Core {
    /// Returns the settings that change results.
    #[must_use]
    pub fn settings(&self) -> CoreSettings {
        CoreSettings {
            lateness: self.lateness,
            horizon: self.horizon,
            gap_hold: self.gap_hold,
            future_tolerance: self.future_tolerance,
            widths: self.windows.clone().unwrap_or_else(|| CoreSettings::default().widths),
            detection: None,
            tells_seals: false,
        }
    }

    /// Returns the number of pipelines: as set, else the number of processor cores less one.
    #[must_use]
    pub fn shard_count(&self) -> usize {
        match self.shards {
            0 => std::thread::available_parallelism().map_or(1, |cores| (cores.get() - 1).max(1)),
            set => set,
        }
    }
}

/// Where the log is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogKind {
    /// In SQLite, in the data directory.
    #[default]
    Sqlite,
    /// Nowhere: gone with the process.
    Memory,
}

/// What an acknowledged group of entries survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// A crash of the process; the last groups may be lost with the power.
    #[default]
    Normal,
    /// A loss of power too, at the cost of one disk flush a group.
    Full,
}

/// Section `log`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Where the log is kept: `sqlite`, or `memory`, which keeps nothing.
    pub kind: LogKind,
    /// Entries that are committed together at most.
    pub group_entries: usize,
    /// How long an entry waits for others to be committed with at most.
    #[serde(with = "span")]
    pub group_age: Duration,
    /// What a commit survives: `normal` a crash of the process, `full` a loss of power too.
    pub synchronous: Durability,
    /// Entries older than this are dropped, once nothing needs them.
    #[serde(with = "span")]
    pub retention_age: Duration,
    /// When the log is larger than this its oldest entries are dropped, once nothing needs them.
    pub retention_size: ByteSize,
    /// Entries that wait in memory while the disk does not take them; when it is full the venue waits.
    pub spill_entries: usize,
    /// When the disk has less room than this, health is degraded and a warning is logged.
    pub disk_low: ByteSize,
}

impl Default for Log {
    fn default() -> Self {
        Log {
            kind: LogKind::Sqlite,
            group_entries: 1_000,
            group_age: Duration::from_millis(10),
            synchronous: Durability::Normal,
            retention_age: Duration::from_hours(7 * 24),
            retention_size: ByteSize(20_000_000_000),
            spill_entries: 200_000,
            disk_low: ByteSize(1_000_000_000),
        }
    }
}

/// Where the history is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryKind {
    /// In SQLite, in the data directory.
    #[default]
    Sqlite,
    /// In PostgreSQL.
    Postgres,
}

/// Section `history`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct History {
    /// Where it is kept: `sqlite`, in the data directory, or `postgres`.
    pub kind: HistoryKind,
    /// Bars, indicators and dead letters older than this are dropped from SQLite; PostgreSQL has settings of its own.
    #[serde(with = "span")]
    pub retention_age: Duration,
    /// The address of a PostgreSQL that is read in place of the one that is written to: a replica.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_url: Option<Secret>,
    /// A file that holds it; `read_url` wins over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_url_file: Option<PathBuf>,
    /// A replica that is further behind is not read.
    #[serde(with = "span")]
    pub max_replica_lag: Duration,
}

impl Default for History {
    fn default() -> Self {
        History {
            kind: HistoryKind::Sqlite,
            retention_age: Duration::from_hours(365 * 24),
            read_url: None,
            read_url_file: None,
            max_replica_lag: Duration::from_secs(10),
        }
    }
}

/// Section `recovery`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recovery {
    /// A symbol's state is saved at the latest this long after it changed.
    #[serde(with = "span")]
    pub max_age: Duration,
    /// A symbol's state is saved at the latest after this many of its entries.
    pub max_entries: u64,
    /// States are saved sooner while a start would have to read more entries of the log again than this.
    pub replay_entries: u64,
}

impl Default for Recovery {
    fn default() -> Self {
        Recovery { max_age: Duration::from_mins(1), max_entries: 50_000, replay_entries: 250_000 }
    }
}

/// Section `metrics`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// Symbols that have series of their own; the rest is summed as `other`.
    pub max_symbols: usize,
    /// What counts as slow: `tickwire_latency_over_threshold` is 1 while the 99th percentile of the last 10 s is above it.
    #[serde(with = "span")]
    pub latency_threshold: Duration,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics { max_symbols: 500, latency_threshold: Duration::from_millis(100) }
    }
}
