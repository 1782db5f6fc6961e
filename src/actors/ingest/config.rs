//! The section `[venues.NAME]`: how a live venue is reached and watched. What is not set is the venue's own choice. All venues
//! have the same keys, but for those that [`VenueConfig::OWN_KEYS`] names: the registry says who has which.

use super::span;
use super::time_of_day::TimeOfDay;
use crate::breaker::BreakerPolicy;
use crate::retry::RetryPolicy;
use crate::secret::{Redaction, Secret};
use reqwest::Url;
use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// How a venue is reached and watched.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VenueConfig {
    /// The key that the venue gave to the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Secret>,
    /// A file that holds the key, in place of `key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// The key of the stream, where that is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket_key: Option<Secret>,
    /// A file that holds the key of the stream, in place of `socket_key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket_key_file: Option<PathBuf>,
    /// Where the stream is, `wss://host` or, without encryption, `ws://host`; not set: the venue's own address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_url: Option<StreamUrl>,
    /// Where the stream of coins is, where a venue has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crypto_stream_url: Option<StreamUrl>,
    /// Where the stream of currencies is, where a venue has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forex_stream_url: Option<StreamUrl>,
    /// Where REST is, `https://host` or, without encryption, `http://host`; not set: the venue's own address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rest_url: Option<RestUrl>,
    /// Where past trades are asked for over REST, where that may be another address than `rest_url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trades_url: Option<RestUrl>,
    /// A proxy for both, `http://host:port` or `http://user:password@host:port`; it is asked to CONNECT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_url: Option<ProxyUrl>,
    /// A file of certificates in PEM that are trusted beside the public ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// How long a connection may take to come about, and a request to be answered.
    #[serde(with = "span")]
    pub connect_timeout: Duration,
    /// A connection that brings nothing for this long is lost; not set: what the venue's protocol lets one expect.
    #[serde(with = "span::optional", skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<Duration>,
    /// How often the venue is asked whether it is there.
    #[serde(with = "span")]
    pub ping_interval: Duration,
    /// Pause before the second try; it doubles from there.
    #[serde(with = "span")]
    pub retry_delay: Duration,
    /// Longest pause between two tries.
    #[serde(with = "span")]
    pub retry_max_delay: Duration,
    /// Failures in a row after which the venue is left alone for `breaker_open`; 0 is never.
    pub breaker_failures: u32,
    /// How long a venue is left alone that failed so often.
    #[serde(with = "span")]
    pub breaker_open: Duration,
    /// REST requests a minute at the most; not set: what the venue allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<NonZeroU32>,
    /// Symbols that one connection brings at the most; not set: all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_symbols_per_connection: Option<NonZeroUsize>,
    /// How often a venue is asked that has no stream; not set: as often as its limit allows.
    #[serde(with = "span::optional", skip_serializing_if = "Option::is_none")]
    pub poll_interval: Option<Duration>,
    /// When a connection is replaced that the venue would end at a certain age; not set: by its age.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconnect_at: Option<TimeOfDay>,
    /// Whether trades outside the regular session make prices, where a venue has sessions; not set: yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extended_hours: Option<bool>,
    /// Whether sale conditions say what a trade of a share counts for, where the venue does not document its codes; not
    /// set: no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conditions: Option<bool>,
    /// Connections that a key may have at a time, where the venue limits them; not set: what the venue documents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<NonZeroUsize>,
    /// What the key may have of the exchanges' data, where the venue wants to be told; not set: nothing of the current day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entitlement: Option<Entitlement>,
    /// The clock on which the venue writes its bars, where nobody documents it; not set: the likelier one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bar_zone: Option<BarZone>,
    /// Which end of a bar its time is, where nobody documents it; not set: the likelier one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bar_stamp: Option<BarStamp>,
    /// What is subscribed to; empty: what the venue needs for trades and its clock.
    pub channels: Vec<String>,
}

impl Default for VenueConfig {
    fn default() -> Self {
        VenueConfig {
            key: None,
            key_file: None,
            socket_key: None,
            socket_key_file: None,
            stream_url: None,
            crypto_stream_url: None,
            forex_stream_url: None,
            rest_url: None,
            trades_url: None,
            proxy_url: None,
            ca_file: None,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: None,
            ping_interval: Duration::from_secs(20),
            retry_delay: Duration::from_secs(1),
            retry_max_delay: Duration::from_secs(60),
            breaker_failures: 5,
            breaker_open: Duration::from_secs(30),
            requests_per_minute: None,
            max_symbols_per_connection: None,
            poll_interval: None,
            reconnect_at: None,
            extended_hours: None,
            conditions: None,
            max_connections: None,
            entitlement: None,
            bar_zone: None,
            bar_stamp: None,
            channels: Vec::new(),
        }
    }
}

impl VenueConfig {
    /// Keys that not every venue has.
    pub const OWN_KEYS: [&'static str; 15] = [
        "key",
        "key_file",
        "socket_key",
        "socket_key_file",
        "crypto_stream_url",
        "forex_stream_url",
        "trades_url",
        "poll_interval",
        "reconnect_at",
        "extended_hours",
        "conditions",
        "max_connections",
        "entitlement",
        "bar_zone",
        "bar_stamp",
    ];

    /// Returns those of [`VenueConfig::OWN_KEYS`] that are set.
    #[must_use]
    pub fn own_keys_set(&self) -> Vec<&'static str> {
        let set = [
            self.key.is_some(),
            self.key_file.is_some(),
            self.socket_key.is_some(),
            self.socket_key_file.is_some(),
            self.crypto_stream_url.is_some(),
            self.forex_stream_url.is_some(),
            self.trades_url.is_some(),
            self.poll_interval.is_some(),
            self.reconnect_at.is_some(),
            self.extended_hours.is_some(),
            self.conditions.is_some(),
            self.max_connections.is_some(),
            self.entitlement.is_some(),
            self.bar_zone.is_some(),
            self.bar_stamp.is_some(),
        ];
        VenueConfig::OWN_KEYS.into_iter().zip(set).filter(|(_, is_set)| *is_set).map(|(key, _)| key).collect()
    }

    /// Returns what takes the secrets of this section out of texts.
    #[must_use]
    pub fn redaction(&self) -> Redaction {
        let password = self.proxy_url.as_ref().and_then(|proxy| proxy.url().password());
        let password = password.map(|text| Secret::new(text.to_owned()));
        Redaction::of([&self.key, &self.socket_key, &password].into_iter().flatten())
    }

    /// Returns when the venue is left alone.
    #[must_use]
    pub const fn breaker_policy(&self) -> BreakerPolicy {
        BreakerPolicy { failures: self.breaker_failures, open_for: self.breaker_open }
    }

    /// Returns how long to wait between tries.
    #[must_use]
    pub const fn retry_policy(&self) -> RetryPolicy {
        RetryPolicy { delay: self.retry_delay, max_delay: self.retry_max_delay }
    }

    /// Returns where the stream is, as [`address`] does; `own` is the venue's own address.
    #[must_use]
    pub fn stream_at(&self, own: &'static str) -> Url {
        address(self.stream_url.as_ref().map(StreamUrl::url), own)
    }

    /// Returns where REST is, as [`address`] does; `own` is the venue's own address.
    #[must_use]
    pub fn rest_at(&self, own: &'static str) -> Url {
        address(self.rest_url.as_ref().map(RestUrl::url), own)
    }

    /// Returns the key as text; empty where none is set. It goes into requests, and nowhere else.
    #[must_use]
    pub fn key_text(&self) -> String {
        self.key.as_ref().map(|key| key.expose().to_owned()).unwrap_or_default()
    }

    /// Returns every fault: its key, and what is wrong.
    #[must_use]
    pub fn validate(&self) -> Vec<(&'static str, String)> {
        let spans = [
            ("connect_timeout", self.connect_timeout),
            ("ping_interval", self.ping_interval),
            ("retry_delay", self.retry_delay),
            ("breaker_open", self.breaker_open),
        ];
        let set = [("idle_timeout", self.idle_timeout), ("poll_interval", self.poll_interval)];
        let set = set.into_iter().filter_map(|(key, span)| Some((key, span?)));
        let zero = spans.into_iter().chain(set).filter(|(_, span)| span.is_zero());
        let mut faults: Vec<_> = zero.map(|(key, _)| (key, "must be more than 0".to_owned())).collect();
        if self.retry_max_delay < self.retry_delay {
            faults.push(("retry_max_delay", "must be at least `retry_delay`".to_owned()));
        }
        if self.idle_timeout.is_some_and(|span| span <= self.ping_interval) {
            faults.push((
                "idle_timeout",
                "must be more than `ping_interval`: a quiet venue speaks when asked".to_owned(),
            ));
        }
        faults
    }
}

/// What a key may have of the exchanges' data of the current day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Entitlement {
    /// All of it.
    Realtime,
    /// What is older than a quarter of an hour.
    Delayed,
}

/// The clock of times that are written without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum BarZone {
    /// The wall clock of the US exchanges.
    #[serde(rename = "America/New_York")]
    Eastern,
    /// UTC.
    #[serde(rename = "UTC")]
    Utc,
}

/// Which end of a bar its time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BarStamp {
    /// When it begins.
    Start,
    /// When it ends.
    End,
}

/// Why a text is no URL of the wanted kind. Does not repeat the text, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a URL such as `{0}`")]
pub struct UrlError(&'static str);

/// Reads a URL with a host and one of the schemes. A query or a fragment has no place in a base.
fn read_url(text: &str, schemes: &[&str], example: &'static str) -> Result<Url, UrlError> {
    Url::parse(text.trim())
        .ok()
        .filter(|url| schemes.contains(&url.scheme()) && url.has_host())
        .filter(|url| url.query().is_none() && url.fragment().is_none())
        .ok_or(UrlError(example))
}

/// Shows a URL without what may be secret: scheme, host and port.
#[must_use]
pub fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

/// Makes the type of a URL with its schemes.
macro_rules! url_type {
    ($(#[$doc:meta])* $name:ident, $schemes:expr, $example:expr, $print:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name(Url);

        impl $name {
            /// Returns the URL itself.
            #[must_use]
            pub fn url(&self) -> &Url {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = UrlError;

            fn from_str(text: &str) -> Result<Self, UrlError> {
                read_url(text, &$schemes, $example).map($name)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let print: fn(&Url) -> String = $print;
                serializer.serialize_str(&print(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&shown(&self.0))
            }
        }
    };
}

/// Returns where a venue is: the address given, behind which the path of the venue's own goes where it has none, else the
/// venue's own.
///
/// # Panics
/// Never: the venue's own address is a URL.
#[must_use]
pub fn address(given: Option<&Url>, own: &'static str) -> Url {
    let own = Url::parse(own).expect("the venue's own address is a URL");
    let Some(given) = given else { return own };
    let mut url = given.clone();
    if url.path() == "/" {
        url.set_path(own.path());
    }
    url
}

/// Returns a base as it was given: without the slash that parsing adds.
fn as_given(url: &Url) -> String {
    let text = url.as_str();
    if url.path() == "/" { text.trim_end_matches('/').to_owned() } else { text.to_owned() }
}

url_type!(
    /// Where a stream is.
    StreamUrl, ["ws", "wss"], "wss://stream.example", as_given
);
url_type!(
    /// Where REST is.
    RestUrl, ["http", "https"], "https://api.example", as_given
);
url_type!(
    /// A proxy. It prints without its user and password.
    ProxyUrl, ["http"], "http://proxy.example:3128", shown
);

/// Puts what a venue's documentation names behind a base.
///
/// # Panics
/// Never: a base of `http`, `https`, `ws` or `wss` takes segments.
#[must_use]
pub fn behind(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    url.path_segments_mut().expect("the base has a host").pop_if_empty().extend(segments);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_keeps_its_path_and_names_no_secret() {
        let base: RestUrl = "http://127.0.0.1:8080/coinbase/".parse().expect("a URL");
        let url = behind(base.url(), &["products", "BTC-USD", "trades"]);
        assert_eq!(url.as_str(), "http://127.0.0.1:8080/coinbase/products/BTC-USD/trades");
        let plain: RestUrl = "https://api.example".parse().expect("a URL");
        assert_eq!(behind(plain.url(), &["products"]).as_str(), "https://api.example/products");
        assert_eq!(address(None, "https://own.example/api").as_str(), "https://own.example/api");
        assert_eq!(address(Some(plain.url()), "https://own.example/api").as_str(), "https://api.example/api");
        assert_eq!(address(Some(base.url()), "https://own.example/api"), *base.url());
        assert_eq!(toml::Value::try_from(&plain).expect("text").as_str(), Some("https://api.example"));
        let proxy: ProxyUrl = "http://me:hunter2@proxy.example:3128".parse().expect("a URL");
        assert_eq!(format!("{proxy:?}"), "http://proxy.example:3128");
        for text in ["", "ftp://a", "wss://", "https://a?key=1", "https://a#b", "//a"] {
            assert!(text.parse::<RestUrl>().is_err(), "{text}");
        }
        assert!("https://a".parse::<StreamUrl>().is_err() && "ws://a".parse::<StreamUrl>().is_ok());
        let said = "http://x:hunter2@".parse::<ProxyUrl>().expect_err("no host").to_string();
        assert!(!said.contains("hunter2"), "{said}");
    }
}
