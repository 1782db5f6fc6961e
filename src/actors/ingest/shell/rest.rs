//! REST requests to a venue: few at a time, at a limited rate, and none to a venue that keeps failing.
//!
//! Promises: at most `requests_per_minute`; a venue that says when it may be asked again is not asked before; bodies are
//! limited; an error says whether another try can help, and names neither path nor query.

use super::super::config::VenueConfig;
use super::super::venue::{Judgement, Request, Venue};
use super::breaker::Breaker;
use crate::metrics::VenueMetrics;
use crate::secret::Redaction;
use reqwest::{Client, Proxy, header};
use rustls::ClientConfig;
use std::cell::{Cell, RefCell};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// Longest body: a list of some thousand instruments is 1 MB.
const BODY_LEN_MAX: usize = 16 << 20;

/// Longest pause that a venue's `Retry-After` is believed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// Why a request brought nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum RestError {
    /// Another try may help, after the pause where one is said.
    #[error("{reason}")]
    Transient {
        /// What happened.
        reason: String,
        /// When to try again at the earliest.
        pause: Option<Duration>,
    },
    /// Another try gives the same.
    #[error("{reason}")]
    Permanent {
        /// What happened.
        reason: String,
    },
    /// The key, or its plan, does not have this: nothing of the kind need be asked for again.
    #[error("{reason}")]
    NotEntitled {
        /// What happened.
        reason: String,
    },
}

/// Asks a venue over REST.
pub(super) struct RestClient {
    http: Client,
    interval: Duration,
    next: Cell<Instant>,
    breaker: RefCell<Breaker>,
    /// Takes keys out of what the venue says.
    redaction: Redaction,
    /// `None` where nobody counts yet.
    metrics: Option<VenueMetrics>,
}

impl RestClient {
    /// Makes a client.
    pub fn new(
        config: &VenueConfig,
        own_rate: u32,
        tls: &ClientConfig,
        metrics: Option<VenueMetrics>,
    ) -> RestClient {
        let agent = concat!("tickwire/", env!("CARGO_PKG_VERSION"));
        let mut builder = Client::builder()
            .use_preconfigured_tls(tls.clone())
            .user_agent(agent)
            .connect_timeout(config.connect_timeout)
            .timeout(config.connect_timeout)
            // What a redirect leads to is not what was configured.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        if let Some(proxy) = &config.proxy_url {
            builder = builder.proxy(Proxy::all(proxy.url().clone()).expect("a proxy's URL was read already"));
        }
        let rate = config.requests_per_minute.map_or(own_rate, NonZeroU32::get).max(1);
        RestClient {
            http: builder.build().expect("the settings of the client are complete"),
            interval: Duration::from_secs(60) / rate,
            next: Cell::new(Instant::now()),
            breaker: RefCell::new(Breaker::new(config.breaker_failures, config.breaker_open)),
            redaction: config.redaction(),
            metrics,
        }
    }

    /// Asks for a body. Waits for its turn first.
    pub async fn get(&self, venue: &dyn Venue, request: Request) -> Result<String, RestError> {
        let now = Instant::now();
        if let Some(pause) = self.breaker.borrow().pause(now) {
            let reason = "the venue failed too often and is left alone".to_owned();
            return Err(RestError::Transient { reason, pause: Some(pause) });
        }
        let turn = self.next.get().max(now);
        self.next.set(turn + self.interval * request.cost);
        tokio::time::sleep_until(turn.into()).await;
        if let Some(metrics) = &self.metrics {
            metrics.requests.inc();
        }
        let answer = self.ask(venue, request).await;
        match &answer {
            Err(RestError::Transient { pause, .. }) => {
                let opens = self.breaker.borrow_mut().failed(Instant::now());
                if let Some(metrics) = self.metrics.as_ref().filter(|_| opens) {
                    metrics.breaker_opened.inc();
                }
                if let Some(pause) = pause {
                    self.next.set(self.next.get().max(Instant::now() + *pause));
                }
            }
            Ok(_) | Err(RestError::Permanent { .. } | RestError::NotEntitled { .. }) => {
                self.breaker.borrow_mut().succeeded();
            }
        }
        answer
    }

    async fn ask(&self, venue: &dyn Venue, request: Request) -> Result<String, RestError> {
        let failed = |error: reqwest::Error| {
            let reason = format!("request failed: {}", root_cause(&error.without_url()));
            RestError::Transient { reason, pause: None }
        };
        let mut get = self.http.get(request.url);
        for (name, value) in request.headers {
            get = get.header(name, value);
        }
        let mut answer = get.send().await.map_err(failed)?;
        let status = answer.status();
        let pause =
            answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let pause = pause.map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > BODY_LEN_MAX {
                return Err(RestError::Permanent {
                    reason: format!("answer is longer than {BODY_LEN_MAX} bytes"),
                });
            }
            body.extend_from_slice(&chunk);
        }
        // A venue may repeat the key in an error, which is then in what is read from it.
        let body = self.redaction.apply(&String::from_utf8_lossy(&body)).into_owned();
        match venue.judge(status.as_u16(), &body) {
            Judgement::Good => Ok(body),
            Judgement::Transient { reason, pause: said } => {
                Err(RestError::Transient { reason, pause: pause.max(said) })
            }
            Judgement::Permanent { reason } => Err(RestError::Permanent { reason }),
            Judgement::NotEntitled { reason } => Err(RestError::NotEntitled { reason }),
        }
    }
}

/// Returns what lies behind an error: reqwest's own words say little.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
