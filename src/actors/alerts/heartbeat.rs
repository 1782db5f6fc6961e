//! The dead man's switch: an address that is pinged as long as somebody would be alerted.
//!
//! Promises: a ping goes out only where the manager has decided lately, so that its absence tells of a process that is gone as
//! well as of one whose alerts stand still. On failure of a ping: it is counted and said once, and the next one is tried at its
//! time.

use crate::actors::channels::http::Poster;
use crate::metrics::Metrics;
use crate::secret::Secret;
use reqwest::header::HeaderMap;
use rustls::ClientConfig;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Where to ping, and how often.
pub struct HeartbeatSettings {
    /// The address, which may be a key.
    pub url: Url,
    /// The pause between two pings.
    pub every: Duration,
    /// Whom to trust.
    pub tls: Arc<ClientConfig>,
    /// A ping that takes longer has failed.
    pub timeout: Duration,
}

/// Pings.
pub struct Heartbeat {
    settings: HeartbeatSettings,
    poster: Poster,
    metrics: Arc<Metrics>,
}

impl Heartbeat {
    /// Makes one.
    #[must_use]
    pub fn new(settings: HeartbeatSettings, metrics: Arc<Metrics>) -> Heartbeat {
        let secret = Secret::new(settings.url.as_str().to_owned());
        let poster = Poster::new(&settings.tls, settings.timeout, [&secret]);
        Heartbeat { settings, poster, metrics }
    }

    /// Returns the pause between two pings.
    #[must_use]
    pub const fn every(&self) -> Duration {
        self.settings.every
    }

    /// Pings once. Returns whether that was answered.
    pub async fn ping(&self) -> bool {
        let answer = self.poster.post(&self.settings.url, HeaderMap::new(), Vec::new()).await;
        match answer.and_then(|answer| answer.judge()) {
            Ok(_) => {
                self.metrics.alerts.heartbeats.inc();
                true
            }
            Err(error) => {
                self.metrics.alerts.heartbeat_failures.inc();
                tracing::debug!(%error, "the dead man's switch was not reached");
                false
            }
        }
    }
}
