//! Sections of the sinks. Each has the keys of [`Redis::timeout`] to [`Redis::batch`] under the same names.
//!
//! Promises: the defaults use no external service, and a key that is not listed here is refused.

use super::text::span;
use crate::actors::sinks::OnFull;
use crate::secret::Secret;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Whether a backend is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Enabled {
    /// When its address is known.
    #[default]
    Auto,
    /// Yes; without an address that is a fault.
    Yes,
    /// No, whatever else is set.
    No,
}

impl Serialize for Enabled {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Enabled::Auto => serializer.serialize_str("auto"),
            Enabled::Yes => serializer.serialize_bool(true),
            Enabled::No => serializer.serialize_bool(false),
        }
    }
}

impl<'de> Deserialize<'de> for Enabled {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Enabled, D::Error> {
        struct Word;

        impl Visitor<'_> for Word {
            type Value = Enabled;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`auto`, true or false")
            }

            fn visit_bool<E: de::Error>(self, is_enabled: bool) -> Result<Enabled, E> {
                Ok(if is_enabled { Enabled::Yes } else { Enabled::No })
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Enabled, E> {
                match word {
                    "auto" => Ok(Enabled::Auto),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }
        }

        deserializer.deserialize_any(Word)
    }
}

/// Section `batch` of a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Batch {
    /// Rows that end a batch.
    pub max_events: usize,
    /// How long rows gather for a batch.
    #[serde(with = "span")]
    pub max_age: Duration,
}

impl Default for Batch {
    fn default() -> Self {
        Batch { max_events: 10_000, max_age: Duration::from_millis(100) }
    }
}

/// Section `redis`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Redis {
    /// Whether Redis is used: `auto` where its address is known, `true` or `false`.
    pub enabled: Enabled,
    /// Its address, with user, password and database where needed: `redis://host:6379/0`, or `rediss://` for TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Secret>,
    /// A file that holds the address; `url` wins over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_file: Option<PathBuf>,
    /// Certificates that `rediss://` trusts in place of the system's, as PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Whether the address is one of a cluster's servers.
    pub cluster: bool,
    /// Most connections that requests share; the sink has one of its own.
    pub pool_size: usize,
    /// What every key begins with.
    pub key_prefix: String,
    /// How long a newest price lives.
    #[serde(with = "span")]
    pub ttl_latest: Duration,
    /// How long newest indicators live.
    #[serde(with = "span")]
    pub ttl_indicators: Duration,
    /// How long a newest bar lives.
    #[serde(with = "span")]
    pub ttl_aggregated: Duration,
    /// Ticks of a symbol in a minute above which the API says so; they are taken all the same. 0 is no limit.
    pub message_limit: u64,
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
    /// When its queue is full: `drop_oldest` makes room, `block` has the data path wait.
    pub on_full: OnFull,
    /// How rows gather for one write.
    pub batch: Batch,
}

impl Default for Redis {
    fn default() -> Self {
        Redis {
            enabled: Enabled::Auto,
            url: None,
            url_file: None,
            ca_file: None,
            cluster: false,
            pool_size: 4,
            key_prefix: String::new(),
            ttl_latest: Duration::from_mins(1),
            ttl_indicators: Duration::from_mins(5),
            ttl_aggregated: Duration::from_mins(5),
            message_limit: 0,
            timeout: Duration::from_secs(10),
            retry_delay: Duration::from_millis(100),
            retry_max_delay: Duration::from_secs(30),
            breaker_failures: 5,
            breaker_open: Duration::from_secs(30),
            on_full: OnFull::DropOldest,
            batch: Batch::default(),
        }
    }
}

impl Redis {
    /// True when it is used.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        match self.enabled {
            Enabled::Auto => self.url.is_some() || self.url_file.is_some(),
            Enabled::Yes => true,
            Enabled::No => false,
        }
    }
}
