//! Section `[influxdb]`: the store of metrics.
//!
//! Promises: as the other sinks' sections ([`super::sinks`]); the token is never printed.

use super::sinks::{Batch, Enabled};
use super::text::span;
use crate::actors::sinks::OnFull;
use crate::secret::Secret;
use std::path::PathBuf;
use std::time::Duration;

/// Section `influxdb`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InfluxDb {
    /// Whether InfluxDB is used: `auto` where its address is known, `true` or `false`.
    pub enabled: Enabled,
    /// Its address: `http://host:8086`, or `https://` for TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The token; a server that asks for none needs none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// A file that holds the token; `token` wins over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// The organization.
    pub org: String,
    /// The bucket.
    pub bucket: String,
    /// Whether a bucket that is missing is made, where the token may.
    pub create_bucket: bool,
    /// How long a bucket that is made keeps its points; `0s` is for ever.
    #[serde(with = "span")]
    pub retention: Duration,
    /// The interval of the coarse copy that a task makes; `0s` makes none.
    #[serde(with = "span")]
    pub downsample_every: Duration,
    /// The bucket of the coarse copy, which keeps it for ever; empty is the bucket's name with `_downsampled`.
    pub downsample_bucket: String,
    /// Whether requests are compressed.
    pub gzip: bool,
    /// Certificates to trust besides the public ones, as PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
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

impl Default for InfluxDb {
    fn default() -> Self {
        InfluxDb {
            enabled: Enabled::Auto,
            url: None,
            token: None,
            token_file: None,
            org: String::new(),
            bucket: "tickwire".to_owned(),
            create_bucket: true,
            retention: Duration::from_hours(90 * 24),
            downsample_every: Duration::from_hours(1),
            downsample_bucket: String::new(),
            gzip: true,
            ca_file: None,
            timeout: Duration::from_secs(10),
            retry_delay: Duration::from_millis(100),
            retry_max_delay: Duration::from_secs(30),
            breaker_failures: 5,
            breaker_open: Duration::from_secs(30),
            on_full: OnFull::DropOldest,
            // A few requests a second at the most: dashboards look no closer, and each has a price of its own.
            batch: Batch { max_events: 5_000, max_age: Duration::from_millis(500) },
        }
    }
}

impl InfluxDb {
    /// True when it is used.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        match self.enabled {
            Enabled::Auto => self.url.is_some(),
            Enabled::Yes => true,
            Enabled::No => false,
        }
    }

    /// Returns the name of the bucket of the coarse copy.
    #[must_use]
    pub fn coarse_bucket(&self) -> String {
        match self.downsample_bucket.as_str() {
            "" => format!("{}_downsampled", self.bucket),
            named => named.to_owned(),
        }
    }

    /// Returns every fault: its key, and what is wrong.
    pub(super) fn faults(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        if let Some(reason) = self.url.as_deref().and_then(url_fault) {
            found.push(("influxdb.url", reason));
        }
        if self.enabled == Enabled::Yes && self.url.is_none() {
            found.push(("influxdb.enabled", "is true, and `influxdb.url` is not set".to_owned()));
        }
        if self.bucket.is_empty() {
            found.push(("influxdb.bucket", "must not be empty".to_owned()));
        }
        if self.coarse_bucket() == self.bucket {
            found.push((
                "influxdb.downsample_bucket",
                "must be another one than `influxdb.bucket`".to_owned(),
            ));
        }
        if !self.retention.is_zero() && self.retention < Duration::from_hours(1) {
            found.push(("influxdb.retention", "must be an hour or more, or `0s` for ever".to_owned()));
        }
        if self.downsample_every.subsec_nanos() != 0 {
            found.push(("influxdb.downsample_every", "must be whole seconds".to_owned()));
        }
        if self.retry_max_delay < self.retry_delay {
            found.push(("influxdb.retry_max_delay", "must be at least `influxdb.retry_delay`".to_owned()));
        }
        found
    }
}

/// Returns what is wrong with an address, without repeating it.
fn url_fault(text: &str) -> Option<String> {
    let Ok(url) = url::Url::parse(text) else {
        return Some("is no address such as `http://host:8086`".to_owned());
    };
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Some("must begin with `http://` or `https://` and name a host".to_owned());
    }
    let has_user = !url.username().is_empty() || url.password().is_some();
    has_user.then(|| "must not hold a user: who we are is shown by `influxdb.token`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_of_http_without_a_user() {
        for good in ["http://127.0.0.1:8086", "https://influx.example/behind/a/proxy/"] {
            assert_eq!(url_fault(good), None, "{good}");
        }
        for bad in ["", "127.0.0.1:8086", "redis://h", "http://me:hunter2@h", "http://"] {
            let fault = url_fault(bad).unwrap_or_default();
            assert!(!fault.is_empty() && !fault.contains("hunter2"), "{bad}: {fault}");
        }
    }
}
