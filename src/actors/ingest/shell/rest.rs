//! REST requests to a venue: few at a time, at a limited rate, and none to a venue that keeps failing.
//!
//! Promises: no more requests than the venue's limit lets through; a venue that says when it may be asked again is not asked before, a day at the
//! most: who asks meanwhile waits where that is seconds, and else is told so at once, which is said in the log; bodies are
//! limited; an error says whether another try can help, and names neither path nor query.

use super::super::config::VenueConfig;
use super::super::venue::{Judgement, Request, Venue};
use super::request_limit::RequestLimit;
use crate::actors::retry_after::retry_after;
use crate::breaker::Breaker;
use crate::metrics::VenueMetrics;
use crate::secret::Redaction;
use reqwest::{Client, Proxy};
use rustls::ClientConfig;
use std::cell::RefCell;
use std::time::{Duration, Instant};

/// Longest body: a list of some thousand instruments is 1 MB.
const BODY_LEN_MAX: usize = 16 << 20;

/// Longest pause of a venue's that a request waits for; a longer one is its answer.
const WAITED_MAX: Duration = Duration::from_secs(5);

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
    limit: RequestLimit,
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
        limit: RequestLimit,
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
        RestClient {
            http: builder.build().expect("the settings of the client are complete"),
            limit,
            breaker: RefCell::new(Breaker::new(config.breaker_policy())),
            redaction: config.redaction(),
            metrics,
        }
    }

    /// Returns how long a request would wait for its turn.
    pub fn wait(&self) -> Duration {
        self.limit.wait()
    }

    /// Asks for a body. Waits for its turn first.
    pub async fn get(&self, venue: &dyn Venue, request: Request) -> Result<String, RestError> {
        let now = Instant::now();
        if let Some(pause) = self.breaker.borrow().pause(now) {
            let reason = "the venue failed too often and is left alone".to_owned();
            return Err(RestError::Transient { reason, pause: Some(pause) });
        }
        self.take_turn(request.cost).await?;
        if let Some(metrics) = &self.metrics {
            metrics.requests.inc();
        }
        let answer = self.ask(venue, request).await;
        match &answer {
            Err(RestError::Transient { reason, pause }) => {
                let opens = self.breaker.borrow_mut().failed(Instant::now());
                if let Some(metrics) = self.metrics.as_ref().filter(|_| opens) {
                    metrics.breaker_opened.inc();
                }
                if let Some(pause) = pause {
                    self.leave_alone(venue, reason, *pause);
                }
            }
            Ok(_) | Err(RestError::Permanent { .. } | RestError::NotEntitled { .. }) => {
                self.breaker.borrow_mut().succeeded();
            }
        }
        answer
    }

    /// Waits until the venue may be asked.
    async fn take_turn(&self, cost: u32) -> Result<(), RestError> {
        self.hear_pause()?;
        let mut turn = self.limit.turn(cost);
        while turn > Instant::now() {
            tokio::time::sleep_until(turn.into()).await;
            // The answer to another request may have asked for a pause meanwhile.
            turn = self.hear_pause()?.unwrap_or(turn);
        }
        Ok(())
    }

    /// Returns the end of a pause that the venue asked for; an error where it is too long to wait for.
    fn hear_pause(&self) -> Result<Option<Instant>, RestError> {
        let Some((until, reason)) = self.left_alone() else { return Ok(None) };
        let pause = until.saturating_duration_since(Instant::now());
        if pause <= WAITED_MAX {
            return Ok(Some(until));
        }
        Err(RestError::Transient { reason, pause: Some(pause) })
    }

    /// Returns until when the venue wants to be left alone, and why; `None` where it may be asked.
    pub fn left_alone(&self) -> Option<(Instant, String)> {
        self.limit.left_alone()
    }

    fn leave_alone(&self, venue: &dyn Venue, reason: &str, pause: Duration) {
        if self.limit.leave_alone(reason, pause) && pause > WAITED_MAX {
            let (venue, pause_s) = (venue.name(), pause.as_secs());
            tracing::warn!(venue, reason, pause_s, "the venue wants to be left alone over REST");
        }
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
        let pause = retry_after(answer.headers());
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
