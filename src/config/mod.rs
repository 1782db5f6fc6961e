//! Configuration: typed sections, laid over each other from the defaults, a file, the environment and the flags.
//!
//! [`Sources::of_process`] reads the environment that settings come from; besides it only `telemetry` does, for
//! `RUST_LOG` and `NO_COLOR`, since logging starts before the configuration is read. [`Config::load`] returns either a
//! configuration that is valid as a whole or every fault at once, each with its key, the value found and its source.
//! Nothing here is global: code that needs settings is handed a section.

mod alerts;
mod conditions;
mod detection;
mod environment;
mod fault;
mod feeds;
mod influxdb;
mod kafka;
mod layers;
mod mapping;
mod merge;
mod origin;
mod postgres;
mod postgres_env;
mod print;
mod redis_env;
mod sections;
mod sinks;
mod sources;
mod text;
mod validate;

pub use crate::secret::Secret;
pub(crate) use alerts::http_url;
pub use alerts::{
    Alerts, AlertsAlertmanager, AlertsEmail, AlertsHeartbeat, AlertsRoute, AlertsSlack, AlertsWebhook,
};
pub use detection::Detection;
pub use fault::{ConfigError, Fault};
pub use feeds::{FeedConfig, FeedSpec, Venues};
pub use influxdb::InfluxDb;
pub use kafka::{Kafka, KafkaBars, KafkaSasl, KafkaTls, KafkaTopics, Properties};
pub use origin::{OriginError, OriginPattern, WebOrigin, split_authority};
pub use postgres::Postgres;
pub use sections::{
    Core, Durability, History, HistoryKind, Limits, Log, LogFormat, LogKind, LogLevel, Metrics, Provider,
    Recovery, Server,
};
pub use sinks::{Batch, Enabled, Redis};
pub use sources::{Origin, Override, Sources};
pub use text::{ByteSize, ListenAddress, TextError};
pub(crate) use text::{duration_text, parse_duration};

use crate::models::settings::CoreSettings;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Everything that can be set. Each field's comment is its documentation for users.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Directory that holds what outlives the process; one process at a time uses it.
    pub data_dir: PathBuf,
    /// Form of the log lines on standard error.
    pub log_format: LogFormat,
    /// Lines of this level and above are written: `error`, `warn`, `info`, `debug` or `trace`. The variable `RUST_LOG` wins
    /// over it.
    pub log_level: LogLevel,
    /// Where Tickwire listens, and what it allows its clients.
    pub server: Server,
    /// Where ticks come from.
    pub provider: Provider,
    /// Feeds with all their settings; if there is one, `provider` is not used.
    pub feeds: Vec<FeedConfig>,
    /// How live venues are reached.
    pub venues: Venues,
    /// What changes results: windows and their deadlines.
    pub core: Core,
    /// What counts as unusual.
    pub detection: Detection,
    /// The log of everything received.
    pub log: Log,
    /// Bars, indicators and dead letters, computed from the log.
    pub history: History,
    /// PostgreSQL, where the history is when `history.kind` says so.
    pub postgres: Postgres,
    /// Kafka: topics that other programs read.
    pub kafka: Kafka,
    /// Newest prices, bars and indicators for other programs, by key.
    pub redis: Redis,
    /// Trades, bars, indicators and latencies as metrics, for dashboards.
    pub influxdb: InfluxDb,
    /// Who is told when something is unusual, and how.
    pub alerts: Alerts,
    /// How often the state is saved, so that a start need not read the whole log.
    pub recovery: Recovery,
    /// What is measured about Tickwire itself.
    pub metrics: Metrics,
    #[serde(skip)]
    provenance: Provenance,
}

/// Where the values came from, and what was seen and not used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Provenance {
    origins: BTreeMap<String, Origin>,
    ignored: Vec<String>,
    mistakes: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            data_dir: PathBuf::from("data"),
            log_format: LogFormat::Human,
            log_level: LogLevel::Info,
            server: Server::default(),
            provider: Provider::default(),
            feeds: Vec::new(),
            venues: Venues::default(),
            core: Core::default(),
            detection: Detection::default(),
            log: Log::default(),
            history: History::default(),
            postgres: Postgres::default(),
            kafka: Kafka::default(),
            redis: Redis::default(),
            influxdb: InfluxDb::default(),
            alerts: Alerts::default(),
            recovery: Recovery::default(),
            metrics: Metrics::default(),
            provenance: Provenance::default(),
        }
    }
}

impl Config {
    /// Lays the sources over the defaults: file, then `.env`, then the environment, then flags; the later one wins.
    ///
    /// # Errors
    /// Every unknown key and every bad value of every source, in one [`ConfigError`].
    pub fn load(sources: &Sources) -> Result<Config, ConfigError> {
        let merge::Merged { mut config, origins, ignored, mistakes, mut faults } = merge::merge(sources);
        config.provenance = Provenance { origins, ignored, mistakes };
        faults.extend(validate::faults(&config));
        if faults.is_empty() { Ok(config) } else { Err(ConfigError { faults }) }
    }

    /// Returns the names of the variables that other backends would use and this run does not; never their values.
    #[must_use]
    pub fn ignored(&self) -> &[String] {
        &self.provenance.ignored
    }

    /// Returns what is said of variables whose names are almost those of keys, such as `TICKWIRE_SERVER_REST`.
    #[must_use]
    pub fn likely_mistakes(&self) -> &[String] {
        &self.provenance.mistakes
    }

    /// Returns where the value of a key such as `server.rest` came from.
    #[must_use]
    pub fn origin(&self, key: &str) -> &Origin {
        self.provenance.origins.get(key).unwrap_or(&Origin::Default)
    }

    /// Returns the settings of the core: those that change results, as they hold for a data directory, and what sinks want.
    #[must_use]
    pub fn core_settings(&self, core: &Core) -> CoreSettings {
        CoreSettings {
            detection: self.detection.settings(self.alerts.rule_set()),
            tells_seals: self.kafka.wants_seals(),
            ..core.settings()
        }
    }

    /// Checks the configuration against the settings that hold in a data directory: what speaks of a window has to speak of one
    /// that is there.
    ///
    /// # Errors
    /// Every fault.
    pub fn check_with(&self, core: &Core) -> Result<(), ConfigError> {
        let faults = validate::faults(&Config { core: core.clone(), ..self.clone() });
        if faults.is_empty() { Ok(()) } else { Err(ConfigError { faults }) }
    }

    /// Prints the configuration as TOML that [`Config::load`] reads back; what is not a default says where it came
    /// from, and secrets are `***`.
    #[must_use]
    pub fn to_toml(&self) -> String {
        print::to_toml(self)
    }
}
