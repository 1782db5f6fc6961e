//! Variables of the environment: `TICKWIRE__SECTION__KEY`, the names of the former system, and those among them that
//! nothing here uses, or that an embedded run has no use for.
//!
//! Promises: a variable that is ignored is named to the user, never its value. On failure a variable is a fault with
//! its name.

use super::fault::Fault;
use super::layers::{Layers, split};
use super::postgres_env::PostgresPart;
use super::redis_env::RedisPart;
use super::sources::Origin;
use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::path::Path;
use toml::Value;

/// Prefix of Tickwire's own names.
const PREFIX: &str = "TICKWIRE__";

/// Names of services: reported as ignored where they are not used, without their values.
const IGNORED: [&str; 5] =
    ["DATABASE_URL", "SLACK_WEBHOOK_URL", "ALERT_EMAIL", "SMTP_URL", "ML_RETRAIN_INTERVAL_HOURS"];

/// Prefixes of such names.
const IGNORED_PREFIXES: [&str; 4] = ["KAFKA_", "TIMESCALEDB_", "INFLUXDB_", "REDIS_"];

/// The meaning of a former name.
#[derive(Clone, Copy)]
enum Legacy {
    /// The value of a key.
    Value(&'static str),
    /// The span of a key, in milliseconds.
    Millis(&'static str),
    /// The host of these addresses: the former system had one for both of its servers.
    Host([&'static str; 2]),
    /// The port of an address.
    Port(&'static str),
    /// Where PostgreSQL is, which then keeps the history.
    PostgresUrl,
    /// A part of that; its host has it keep the history.
    Postgres(PostgresPart),
    /// The value of a key of a service.
    Service(&'static str),
    /// The values of such a key, with commas between.
    Services(&'static str),
    /// Where Redis is.
    RedisUrl,
    /// A part of that.
    Redis(RedisPart),
}

/// The keys of the addresses of PostgreSQL and Redis.
const POSTGRES_URL: &str = "postgres.url";
const REDIS_URL: &str = "redis.url";

/// The former names that are still supported; a later one wins over an earlier one.
const LEGACY: [(&str, Legacy); 30] = [
    ("API_HOST", Legacy::Host(["server.rest", "server.websocket"])),
    ("API_PORT", Legacy::Port("server.rest")),
    ("WEBSOCKET_PORT", Legacy::Port("server.websocket")),
    ("SYMBOLS", Legacy::Value("provider.symbols")),
    ("PROCESSING_LATENCY_THRESHOLD_MS", Legacy::Millis("metrics.latency_threshold")),
    ("MAX_MESSAGES_PER_SECOND", Legacy::Value("provider.max_messages_per_second")),
    ("POLYGON_API_KEY", Legacy::Value("venues.polygon.key")),
    ("ALPHA_VANTAGE_API_KEY", Legacy::Value("venues.alpha_vantage.key")),
    ("FINAGE_API_KEY", Legacy::Value("venues.finage.key")),
    ("FMP_API_KEY", Legacy::Value("venues.fmp.key")),
    ("TIMESCALEDB_HOST", Legacy::Postgres(PostgresPart::Host)),
    ("TIMESCALEDB_PORT", Legacy::Postgres(PostgresPart::Port)),
    ("TIMESCALEDB_USER", Legacy::Postgres(PostgresPart::User)),
    ("TIMESCALEDB_PASSWORD", Legacy::Postgres(PostgresPart::Password)),
    ("TIMESCALEDB_DATABASE", Legacy::Postgres(PostgresPart::Database)),
    // The whole wins over its parts.
    ("DATABASE_URL", Legacy::PostgresUrl),
    ("KAFKA_BOOTSTRAP_SERVERS", Legacy::Service("kafka.bootstrap_servers")),
    ("KAFKA_TICK_TOPIC", Legacy::Service("kafka.topics.ticks")),
    ("KAFKA_AGGREGATED_TOPIC", Legacy::Service("kafka.topics.aggregated")),
    ("INFLUXDB_URL", Legacy::Service("influxdb.url")),
    ("INFLUXDB_TOKEN", Legacy::Service("influxdb.token")),
    ("INFLUXDB_ORG", Legacy::Service("influxdb.org")),
    ("INFLUXDB_BUCKET", Legacy::Service("influxdb.bucket")),
    ("SLACK_WEBHOOK_URL", Legacy::Service("alerts.slack.webhook_url")),
    ("SMTP_URL", Legacy::Service("alerts.email.smtp_url")),
    ("ALERT_EMAIL", Legacy::Services("alerts.email.to")),
    ("REDIS_HOST", Legacy::Redis(RedisPart::Host)),
    ("REDIS_PORT", Legacy::Redis(RedisPart::Port)),
    ("REDIS_DB", Legacy::Redis(RedisPart::Database)),
    ("REDIS_URL", Legacy::RedisUrl),
];

fn is_ignored(name: &str) -> bool {
    IGNORED.contains(&name) || IGNORED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

impl Legacy {
    /// True for a variable that names an external service.
    const fn is_of_a_service(self) -> bool {
        matches!(
            self,
            Legacy::PostgresUrl
                | Legacy::Postgres(_)
                | Legacy::Service(_)
                | Legacy::Services(_)
                | Legacy::RedisUrl
                | Legacy::Redis(_)
        )
    }
}

/// Returns the key of a legacy variable, where it is honoured.
fn legacy(name: &str, is_embedded: bool) -> Option<Legacy> {
    let (_, meaning) = LEGACY.iter().find(|(legacy, _)| *legacy == name)?;
    (!(is_embedded && meaning.is_of_a_service())).then_some(*meaning)
}

fn is_ours(name: &str) -> bool {
    name.starts_with(PREFIX) || LEGACY.iter().any(|(legacy, _)| *legacy == name)
}

/// Variables of one source. A variable with an empty value counts as not set, since compose files pass on unset
/// variables that way.
pub(super) struct Variables {
    values: BTreeMap<String, String>,
    origin: fn(String) -> Origin,
}

impl Variables {
    /// Takes the environment of a process.
    pub fn of_process(environment: &[(String, String)]) -> Variables {
        Variables { values: environment.iter().cloned().collect(), origin: Origin::Environment }
    }

    /// Reads a file of variables, except those that the process has as well. A malformed line is a fault only if it
    /// sets a variable of Tickwire, since other programs use such files too.
    pub fn of_file(path: &Path, process: &Variables, faults: &mut Vec<Fault>) -> Variables {
        let mut values = BTreeMap::new();
        let mut fault = |name: &str, reason: String| {
            let origin = Origin::DotEnv(name.to_owned());
            faults.push(Fault { key: None, found: None, origin, reason });
        };
        let text = match path.is_file().then(|| std::fs::read_to_string(path)) {
            None => String::new(),
            Some(Ok(text)) => text,
            Some(Err(error)) => {
                fault("", format!("cannot be read: {error}"));
                String::new()
            }
        };
        for variable in dotenvy::from_read_iter(text.as_bytes()) {
            match variable {
                Ok((name, value)) => {
                    values.insert(name, value);
                }
                Err(dotenvy::Error::LineParse(unread, _)) => {
                    let name = name_on_line(&text, &unread);
                    if is_ours(name) && !process.values.contains_key(name) {
                        fault(name, "the line cannot be read; does the value need quotes?".to_owned());
                    }
                }
                Err(error) => fault("", format!("cannot be read: {error}")),
            }
        }
        values.retain(|name, _| !process.values.contains_key(name));
        Variables { values, origin: Origin::DotEnv }
    }

    fn given(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.values.iter().map(|(name, value)| (name.as_str(), value.trim()));
        pairs.filter(|(_, value)| !value.is_empty())
    }
}

/// Returns the variable's name on the line that ends in the text that could not be read.
fn name_on_line<'a>(text: &'a str, unread: &str) -> &'a str {
    let end = unread.trim().lines().next().unwrap_or_default();
    let line = text.lines().find(|line| line.trim_end().ends_with(end)).unwrap_or_default();
    let name = line.split('=').next().unwrap_or_default().trim();
    name.strip_prefix("export ").unwrap_or(name).trim()
}

/// What was seen among variables and not used.
#[derive(Default)]
pub(super) struct LeftAside {
    /// Names that other backends would use.
    pub ignored: Vec<String>,
    /// Names that are almost those of keys, with what was probably meant.
    pub mistakes: Vec<String>,
}

/// Prefix of what is almost one of our names.
const ALMOST_PREFIX: &str = "TICKWIRE_";

/// Returns the key that a name with single underscores was probably to set: `TICKWIRE_SERVER_REST` is `server.rest`.
fn meant_by(name: &str, layers: &Layers) -> Option<Vec<String>> {
    let words: Vec<String> =
        name.strip_prefix(ALMOST_PREFIX)?.split('_').map(str::to_ascii_lowercase).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| !word.is_empty()).collect();
    layers.known_path(&words)
}

/// Applies variables to the layers, former names first. Returns what is left aside.
pub(super) fn apply(variables: &Variables, is_embedded: bool, layers: &mut Layers) -> LeftAside {
    for (name, _) in LEGACY {
        let Some(meaning) = legacy(name, is_embedded) else { continue };
        if let Some((_, text)) = variables.given().find(|(given, _)| *given == name) {
            let origin = (variables.origin)(name.to_owned());
            for (key, readings) in legacy_readings(meaning, text, layers) {
                layers.offer(&split(key), &readings, text, origin.clone());
            }
        }
    }
    let mut aside = LeftAside::default();
    for (name, text) in variables.given() {
        if let Some(key) = name.strip_prefix(PREFIX) {
            let path: Vec<String> = key.split("__").map(str::to_ascii_lowercase).collect();
            layers.offer(&path, &readings(text), text, (variables.origin)(name.to_owned()));
        } else if is_ignored(name) && legacy(name, is_embedded).is_none() {
            aside.ignored.push(name.to_owned());
        } else if let Some(path) = meant_by(name, layers) {
            let right = path.join("__").to_ascii_uppercase();
            aside.mistakes.push(format!(
                "the variable `{name}` sets nothing: did you mean `{PREFIX}{right}`, which sets `{}`?",
                path.join(".")
            ));
        }
    }
    aside
}

/// Returns the keys that a former name sets, with the possible values of its text.
fn legacy_readings(meaning: Legacy, text: &str, layers: &Layers) -> Vec<(&'static str, Vec<Value>)> {
    let address = |key, change: &dyn Fn(&mut String, &mut String)| {
        let before = layers.text(key);
        let (host, port) = before.rsplit_once(':').expect("an accepted address has a port");
        let (mut host, mut port) = (host.to_owned(), port.to_owned());
        change(&mut host, &mut port);
        (key, vec![Value::String(format!("{host}:{port}"))])
    };
    match meaning {
        Legacy::Value(key) => vec![(key, readings(text))],
        Legacy::Millis(key) => vec![(key, vec![Value::String(format!("{text}ms"))])],
        Legacy::Port(key) => vec![address(key, &|_, port| text.clone_into(port))],
        Legacy::PostgresUrl => vec![keeps_history(), (POSTGRES_URL, vec![Value::String(text.to_owned())])],
        Legacy::Postgres(part) => {
            let url = part.put_into(layers.text(POSTGRES_URL), text);
            let kind = matches!(part, PostgresPart::Host).then(keeps_history);
            kind.into_iter().chain([(POSTGRES_URL, vec![Value::String(url)])]).collect()
        }
        // Only texts: a token of digits is none the less a text.
        Legacy::Service(key) => vec![(key, vec![Value::String(text.to_owned())])],
        Legacy::Services(key) => vec![(key, vec![listed(text)])],
        Legacy::RedisUrl => vec![(REDIS_URL, vec![Value::String(text.to_owned())])],
        Legacy::Redis(part) => {
            vec![(REDIS_URL, vec![Value::String(part.put_into(layers.text(REDIS_URL), text))])]
        }
        Legacy::Host(keys) => {
            let is_bare_v6 = text.parse::<Ipv6Addr>().is_ok();
            let host = if is_bare_v6 { format!("[{text}]") } else { text.to_owned() };
            keys.map(|key| address(key, &|before, _| host.clone_into(before))).to_vec()
        }
    }
}

/// Says that the history is kept in PostgreSQL.
fn keeps_history() -> (&'static str, Vec<Value>) {
    ("history.kind", vec![Value::String("postgres".to_owned())])
}

/// Returns the values that an untyped text may stand for: a number, a boolean or a list; the text itself; a list by
/// commas.
fn readings(text: &str) -> Vec<Value> {
    let literal = text.parse::<Value>().ok().filter(|value| !value.is_str() && !value.is_table());
    literal.into_iter().chain([Value::String(text.to_owned()), listed(text)]).collect()
}

/// Returns the list of what stands between commas.
fn listed(text: &str) -> Value {
    Value::Array(text.split(',').map(|item| Value::String(item.trim().to_owned())).collect())
}
