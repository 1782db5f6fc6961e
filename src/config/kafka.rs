//! Section `[kafka]`: the brokers, the topics that other programs read, and how both are reached.
//!
//! Promises: as the other sinks' sections ([`super::sinks`]); passwords are never printed. What is passed through to
//! librdkafka is checked with it, so that a property that it does not know, or a value that it refuses, is a fault of
//! the configuration and not of a start.

use super::sinks::{Batch, Enabled};
use super::text::span;
use crate::actors::sinks::OnFull;
use crate::secret::{MASK, Secret, is_secret_key};
use crate::stores::kafka::settings::{self, Mechanism};
use serde::de::{self, Deserializer};
use serde::ser::{SerializeMap, Serializer};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Which bars the topics get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KafkaBars {
    /// Each revision of a bar, from its close on.
    #[default]
    Revisions,
    /// Each bar once, when nothing can change it any more.
    Sealed,
}

/// Section `kafka`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kafka {
    /// Whether Kafka is used: `auto` where its brokers are known, `true` or `false`.
    pub enabled: Enabled,
    /// Some of its brokers, with commas between: `host:9092,other:9092`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap_servers: Option<String>,
    /// Whether Kafka gets topics alone, and the log stays where `log.kind` says. It stays there for both values so far, since
    /// the log cannot stand in Kafka yet.
    pub topics_only: bool,
    /// Whether topics that are missing are made.
    pub create_topics: bool,
    /// Partitions of each topic. Keys keep their partition, so it is not changed later.
    pub partitions: u32,
    /// Copies of each partition; -1 takes what the brokers are set to.
    pub replication: i32,
    /// Copies that must be there for a message to be taken.
    pub min_insync_replicas: u32,
    /// How batches are compressed: `snappy`, `lz4`, `zstd`, `gzip` or `none`.
    pub compression: String,
    /// How long topics that are made keep their messages.
    #[serde(with = "span")]
    pub retention: Duration,
    /// Which bars are written: `revisions` writes each revision of a bar, `sealed` each bar once.
    pub bars: KafkaBars,
    /// How long messages gather for one request.
    #[serde(with = "span")]
    pub linger: Duration,
    /// Names of the topics.
    pub topics: KafkaTopics,
    /// Encryption of the connections.
    pub tls: KafkaTls,
    /// Who we are.
    pub sasl: KafkaSasl,
    /// Properties of librdkafka, by their names there; they win over all of the above.
    pub librdkafka: Properties,
    /// A write that takes longer has failed.
    #[serde(with = "span")]
    pub timeout: Duration,
    /// Longest pause before the first new try of a write that failed.
    #[serde(with = "span")]
    pub retry_delay: Duration,
    /// Longest pause before any.
    #[serde(with = "span")]
    pub retry_max_delay: Duration,
    /// Failures in a row after which it is left alone for `breaker_open`; 0 is never.
    pub breaker_failures: u32,
    /// How long it is left alone before the next try.
    #[serde(with = "span")]
    pub breaker_open: Duration,
    /// When its queue is full: `catch_up` lets go of what waits, and brings it from the log later; `block` has the data path
    /// wait. The topics drop nothing.
    pub on_full: OnFull,
    /// How rows gather for one write.
    pub batch: Batch,
}

impl Default for Kafka {
    fn default() -> Self {
        Kafka {
            enabled: Enabled::Auto,
            bootstrap_servers: None,
            topics_only: false,
            create_topics: true,
            partitions: 24,
            replication: -1,
            min_insync_replicas: 1,
            compression: "snappy".to_owned(),
            retention: Duration::from_hours(7 * 24),
            bars: KafkaBars::Revisions,
            linger: Duration::from_millis(2),
            topics: KafkaTopics::default(),
            tls: KafkaTls::default(),
            sasl: KafkaSasl::default(),
            librdkafka: Properties::default(),
            timeout: Duration::from_secs(10),
            retry_delay: Duration::from_millis(100),
            retry_max_delay: Duration::from_secs(30),
            breaker_failures: 5,
            // Short, since the log keeps what the topics have not got.
            breaker_open: Duration::from_secs(5),
            on_full: OnFull::CatchUp,
            // Readers wait for it; librdkafka gathers larger requests by itself.
            batch: Batch { max_events: 20_000, max_age: Duration::from_millis(5) },
        }
    }
}

/// Section `kafka.topics`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaTopics {
    /// Accepted trades, corrections and cancels.
    pub ticks: String,
    /// Bars: what the names of their topics begin with; `_` and the window follow.
    pub aggregated: String,
    /// Indicators.
    pub indicators: String,
    /// Anomalies.
    pub anomalies: String,
    /// Predictions.
    pub predictions: String,
    /// What was not accepted.
    pub dlq: String,
}

impl Default for KafkaTopics {
    fn default() -> Self {
        KafkaTopics {
            ticks: "tick_data".to_owned(),
            aggregated: "aggregated_data".to_owned(),
            indicators: "technical_indicators".to_owned(),
            anomalies: "anomalies".to_owned(),
            predictions: "predictions".to_owned(),
            dlq: "tick_data_dlq".to_owned(),
        }
    }
}

/// Section `kafka.tls`.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaTls {
    /// Whether connections are encrypted: `auto` where a file below is named, `true` or `false`.
    pub enabled: Enabled,
    /// Certificates to trust in place of the system's, as PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Our certificate, where the brokers ask for one, as PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<PathBuf>,
    /// Its key, as PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// The password of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_password: Option<Secret>,
    /// A file that holds it; `key_password` wins over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_password_file: Option<PathBuf>,
    /// Whether a broker's certificate must name the host that it is reached by: `auto` and `true` check it.
    pub verify_hostname: Enabled,
}

/// Section `kafka.sasl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaSasl {
    /// How we say who we are: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`; not set, we do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mechanism: Option<Mechanism>,
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// A file that holds it; `password` wins over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
}

impl KafkaTls {
    /// True when connections are encrypted.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        match self.enabled {
            Enabled::Auto => self.ca_file.is_some() || self.cert_file.is_some(),
            Enabled::Yes => true,
            Enabled::No => false,
        }
    }
}

/// Properties by name, as text. In TOML `socket.keepalive.enable = true` and `"socket.keepalive.enable" = "true"` are the
/// same. Values whose names tell of a secret are printed as `***`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(pub BTreeMap<String, String>);

impl std::fmt::Debug for Properties {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(key, value)| (key, shown(key, value)))).finish()
    }
}

/// Returns the value of a property as it may be shown.
fn shown<'a>(key: &str, value: &'a str) -> &'a str {
    // Keys and tokens can stand in these as text.
    let is_secret = is_secret_key(key) || key.ends_with(".pem") || key == "sasl.oauthbearer.config";
    if is_secret { MASK } else { value }
}

impl serde::Serialize for Properties {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, shown(key, value))?;
        }
        map.end()
    }
}

impl<'de> serde::Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Properties, D::Error> {
        let table = toml::Table::deserialize(deserializer)?;
        let mut properties = BTreeMap::new();
        flatten("", table, &mut properties).map_err(de::Error::custom)?;
        Ok(Properties(properties))
    }
}

fn flatten(
    section: &str,
    table: toml::Table,
    properties: &mut BTreeMap<String, String>,
) -> Result<(), String> {
    for (name, value) in table {
        let key = if section.is_empty() { name } else { format!("{section}.{name}") };
        let text = match value {
            toml::Value::Table(inner) => {
                flatten(&key, inner, properties)?;
                continue;
            }
            toml::Value::String(text) => text,
            value @ (toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_)) => {
                value.to_string()
            }
            toml::Value::Array(_) | toml::Value::Datetime(_) => {
                return Err("invalid type: expected a text, a number, true or false".to_owned());
            }
        };
        properties.insert(key, text);
    }
    Ok(())
}

impl Kafka {
    /// True when it is used.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        match self.enabled {
            Enabled::Auto => self.bootstrap_servers.is_some(),
            Enabled::Yes => true,
            Enabled::No => false,
        }
    }

    /// True when it gets each bar once, when it is sealed.
    pub(super) fn wants_seals(&self) -> bool {
        self.is_enabled() && self.bars == KafkaBars::Sealed
    }

    /// Returns every fault: its key, and what is wrong.
    pub(super) fn faults(&self) -> Vec<(String, String)> {
        let mut found = self.own_faults();
        let key = |name: &str| format!("kafka.librdkafka.{name}");
        for (name, value) in &self.librdkafka.0 {
            found.extend(settings::property_fault(name, value).map(|reason| (key(name), reason)));
        }
        found
    }

    fn own_faults(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut fault = |key: &str, reason: &str| found.push((format!("kafka.{key}"), reason.to_owned()));
        if self.bootstrap_servers.as_deref().is_some_and(|list| !is_list_of_brokers(list)) {
            fault("bootstrap_servers", "is no list of brokers such as `host:9092,other:9092`");
        }
        if self.enabled == Enabled::Yes && self.bootstrap_servers.is_none() {
            fault("enabled", "is true, and `kafka.bootstrap_servers` is not set");
        }
        if self.partitions == 0 {
            fault("partitions", "must be more than 0");
        }
        if self.replication == 0 || self.replication < -1 || self.replication > 32_767 {
            fault("replication", "must be 1 or more, or -1 for what the brokers are set to");
        }
        if self.min_insync_replicas == 0
            || self.replication > 0 && i64::from(self.min_insync_replicas) > i64::from(self.replication)
        {
            fault("min_insync_replicas", "must be from 1 to `kafka.replication`");
        }
        if !["none", "gzip", "snappy", "lz4", "zstd"].contains(&self.compression.as_str()) {
            fault("compression", "must be `snappy`, `lz4`, `zstd`, `gzip` or `none`");
        }
        for (key, span) in [
            ("retention", self.retention),
            ("timeout", self.timeout),
            ("retry_delay", self.retry_delay),
            ("breaker_open", self.breaker_open),
            ("batch.max_age", self.batch.max_age),
        ] {
            if span.is_zero() {
                fault(key, "must be more than 0");
            }
        }
        if self.batch.max_events == 0 {
            fault("batch.max_events", "must be more than 0");
        }
        if self.linger > Duration::from_secs(1) || !self.linger.subsec_nanos().is_multiple_of(1_000) {
            fault("linger", "must be whole microseconds, at most a second");
        }
        if self.retry_max_delay < self.retry_delay {
            fault("retry_max_delay", "must be at least `kafka.retry_delay`");
        }
        if self.on_full == OnFull::DropOldest {
            fault("on_full", "must be `catch_up` or `block`: the topics drop nothing");
        }
        for (name, topic) in self.topics.named() {
            if !is_topic(topic) {
                fault(
                    &format!("topics.{name}"),
                    "must be 1 to 200 letters, digits, `.`, `_` and `-`, and not only dots",
                );
            } else if self.topics.named().iter().any(|(other, text)| *other < name && *text == topic) {
                fault(&format!("topics.{name}"), "is the name of another topic too");
            }
        }
        if self.tls.cert_file.is_some() != self.tls.key_file.is_some() {
            fault("tls.cert_file", "needs `kafka.tls.key_file`, and the other way round");
        }
        if self.sasl.mechanism.is_some() && self.sasl.username.is_none() {
            fault("sasl.username", "is needed where `kafka.sasl.mechanism` is set");
        }
        if self.sasl.mechanism.is_some() && self.sasl.password.is_none() && self.sasl.password_file.is_none()
        {
            fault("sasl.password", "is needed where `kafka.sasl.mechanism` is set");
        }
        if self.sasl.mechanism.is_none() && self.sasl.username.is_some() {
            fault("sasl.mechanism", "is needed where `kafka.sasl.username` is set");
        }
        found
    }
}

impl KafkaTopics {
    /// Returns the names by their keys, sorted by these.
    fn named(&self) -> [(&'static str, &str); 6] {
        [
            ("aggregated", &self.aggregated),
            ("anomalies", &self.anomalies),
            ("dlq", &self.dlq),
            ("indicators", &self.indicators),
            ("predictions", &self.predictions),
            ("ticks", &self.ticks),
        ]
    }
}

/// True for what Kafka takes as a topic's name, with room for the window behind it.
fn is_topic(name: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=200).contains(&name.len()) && name.chars().all(is_letter) && name.chars().any(|c| c != '.')
}

/// True for brokers with commas between, each with its port.
fn is_list_of_brokers(list: &str) -> bool {
    list.split(',').all(|broker| {
        let (host, port) = broker.trim().rsplit_once(':').unwrap_or_default();
        let host = host.rsplit_once("://").map_or(host, |(_, host)| host);
        !host.is_empty()
            && !host.contains(char::is_whitespace)
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_the_same_nested_or_not_and_hide_secrets() {
        let nested = "socket.keepalive.enable = true\nsasl.password = 'hunter2'\nfetch.wait.max.ms = 5";
        let flat =
            "'socket.keepalive.enable' = 'true'\n'sasl.password' = 'hunter2'\n'fetch.wait.max.ms' = '5'";
        let [nested, flat] = [nested, flat].map(|text| toml::from_str::<Properties>(text).unwrap());
        assert_eq!(nested, flat);
        assert_eq!(nested.0["socket.keepalive.enable"], "true");
        let printed = format!("{nested:?}{}", serde_json::to_string(&nested).unwrap());
        assert!(!printed.contains("hunter2") && printed.contains("***"), "{printed}");
        assert!(toml::from_str::<Properties>("a = [1]").is_err());
    }

    #[test]
    fn a_list_of_brokers_names_a_port_each() {
        for good in ["127.0.0.1:9092", "a:1, b:2,c.example:9093", "[::1]:9092", "SSL://h:9093"] {
            assert!(is_list_of_brokers(good), "{good}");
        }
        for bad in ["", "host", "host:", ":9092", "a:1,,b:2", "a:0", "a b:1", "a:70000"] {
            assert!(!is_list_of_brokers(bad), "{bad}");
        }
    }

    #[test]
    fn what_librdkafka_refuses_is_a_fault_under_its_key() {
        let with = |name: &str, value: &str| {
            let librdkafka = Properties(BTreeMap::from([(name.to_owned(), value.to_owned())]));
            Kafka { librdkafka, ..Kafka::default() }.faults()
        };
        assert_eq!(with("socket.keepalive.enable", "true"), []);
        assert_eq!(with("fetch.wait.max.ms", "5"), [], "one of consumers alone");
        for (name, value) in [("no.such.thing", "1"), ("socket.timeout.ms", "soon"), ("acks", "7000")] {
            let found = with(name, value);
            assert_eq!(found.len(), 1, "{name}");
            assert_eq!(found[0].0, format!("kafka.librdkafka.{name}"));
            assert!(!found[0].1.is_empty());
        }
    }

    #[test]
    fn names_of_topics_are_kafkas_and_differ() {
        assert!(is_topic("a.b-c_D9") && !is_topic("") && !is_topic("..") && !is_topic("a b"));
        let mut kafka = Kafka::default();
        kafka.topics.dlq = kafka.topics.ticks.clone();
        let faults = kafka.faults();
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!(faults[0].0, "kafka.topics.ticks");
    }
}
