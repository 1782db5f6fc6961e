//! Asks a venue for ready-made bars, page by page; those of a width that it lacks are made of smaller ones.
//!
//! Promises: within the venue's limit of requests; a bar that still forms, or was not asked for, is left out, whatever the
//! venue gives. On failure nothing of what was asked for is returned, and the error says whether another try can help.

use super::super::config::VenueConfig;
use super::super::venue::{BarsPage, Context, Cursor, Heard, Instrument, Instruments, Venue, VenueEvent};
use super::super::warm_up::larger;
use super::Tls;
use super::request_limit::RequestLimit;
use super::rest::{RestClient, RestError};
use crate::actors::environment::Environment;
use crate::metrics::VenueMetrics;
use crate::models::entry::{Body, SourceId, VenueBar};
use crate::models::time::{Nanos, Width};
use crate::retry::{Backoff, RetryPolicy};
use crate::secret::Redaction;
use std::sync::Arc;
use std::time::Duration;

/// A stretch of ready-made bars of one width, from `from` to `to`, over as many pages as it takes.
#[derive(Clone, Copy, Debug)]
pub struct BarsAsked<'a> {
    /// The instrument in the venue's spelling, with the scales that its prices are read in.
    pub instrument: &'a Instrument,
    /// Their width.
    pub width: Width,
    /// Bars that start before this are not wanted.
    pub from: Nanos,
    /// Nor those that end after this.
    pub to: Nanos,
}

/// Whom bars are asked of.
pub(super) struct Asker<'a> {
    pub rest: &'a RestClient,
    pub venue: &'a dyn Venue,
    pub source: SourceId,
    pub metrics: &'a VenueMetrics,
    /// Returns the time.
    pub now: &'a dyn Fn() -> Nanos,
}

/// What has been fetched so far: after a failure it goes on from there.
#[derive(Default)]
pub(super) struct Fetched {
    bars: Vec<VenueBar>,
    cursor: Option<Cursor>,
    num_pages: u64,
}

impl Asker<'_> {
    /// Returns the bars in no order; `None` where the venue has none of that width, nor of one that they can be made of.
    /// After a failure the same `fetched` goes on where it was.
    pub async fn bars(
        &self,
        asked: &BarsAsked<'_>,
        fetched: &mut Fetched,
    ) -> Result<Option<Vec<VenueBar>>, RestError> {
        let BarsAsked { instrument, width, from, to } = *asked;
        let Some(part) = given_width(self.venue, instrument, width) else { return Ok(None) };
        if part == width {
            self.pages(asked, fetched).await?;
            return Ok(Some(std::mem::take(&mut fetched.bars)));
        }
        // One window more on both sides, which tells whether the venue's history begins or ends within one that is wanted.
        let before = width.start_of(from).plus(-width.nanos()).max(Nanos(0));
        let after = width.start_of(to).plus(width.nanos());
        self.pages(&BarsAsked { width: part, from: before, to: after, ..*asked }, fetched).await?;
        let parts = std::mem::take(&mut fetched.bars);
        Ok(Some(larger::merged(parts, width, from, to.min((self.now)()))))
    }

    async fn pages(&self, asked: &BarsAsked<'_>, fetched: &mut Fetched) -> Result<(), RestError> {
        let BarsAsked { instrument, width, from, to } = *asked;
        let instruments = Instruments::new(vec![instrument.clone()]);
        let mut heard = Heard::default();
        loop {
            let page = BarsPage { instrument, width, from, to, cursor: fetched.cursor.as_ref() };
            let Some(request) = self.venue.bars_request(&page) else { return Ok(()) };
            let body = self.rest.get(self.venue, request).await?;
            heard.clear();
            let context = Context { instruments: &instruments, source: self.source, received: (self.now)() };
            let read = self.venue.read_bars(&body, &page, &context, &mut heard);
            heard.faults.iter().for_each(|fault| self.metrics.fault(fault.kind));
            self.metrics.rounded.inc_by(heard.num_rounded);
            let next = read.map_err(|fault| RestError::Transient { reason: fault.reason, pause: None })?;
            let latest = to.min(context.received);
            fetched.bars.extend(heard.events.iter().filter_map(|event| match event {
                VenueEvent::Report(entry) => match entry.body {
                    Body::VenueBar(bar)
                        if bar.width() == Some(width)
                            && bar.start >= from
                            && bar.start.plus(width.nanos()) <= latest =>
                    {
                        Some(bar)
                    }
                    _ => None,
                },
                _ => None,
            }));
            fetched.num_pages += 1;
            // A page that leads to itself would be asked for again and again.
            if next.is_none() || next == fetched.cursor {
                return Ok(());
            }
            fetched.cursor = next;
        }
    }
}

/// Returns the width that a venue is asked for where bars of another one are wanted: that itself, or else the largest that
/// they can be made of; `None` where the venue has no bars that help.
#[must_use]
pub fn given_width(venue: &dyn Venue, instrument: &Instrument, width: Width) -> Option<Width> {
    larger::parts(width).find(|&part| {
        let (from, to) = (Nanos(0), Nanos(part.nanos()));
        venue.bars_request(&BarsPage { instrument, width: part, from, to, cursor: None }).is_some()
    })
}

/// Failures in a row after which bars are given up: some minutes with the usual pauses.
const TRIES_MAX: u32 = 10;

/// Longest pause that is waited for where a venue wants to be left alone: more is told, for people to decide.
const PAUSE_MAX: Duration = Duration::from_mins(10);

/// Why a venue gave no bars.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BarsError {
    /// It does not answer, or not with bars, however often it is asked.
    #[error("the venue does not give them: {0}")]
    Unavailable(String),
    /// Another try gives the same.
    #[error("{0}")]
    Refused(String),
    /// The key, or its plan, does not have bars: none of another symbol need be asked for.
    #[error("the venue refuses the key, or the plan does not have this: {0}")]
    NotEntitled(String),
}

/// Asks a venue for bars where no feed runs. Errors hold no key.
pub struct BarsClient {
    rest: RestClient,
    venue: Arc<dyn Venue>,
    source: SourceId,
    metrics: VenueMetrics,
    policy: RetryPolicy,
    /// Takes keys out of what the venue says.
    redaction: Redaction,
    now: Arc<dyn Fn() -> Nanos + Send + Sync>,
}

impl BarsClient {
    /// Makes one, which takes turns with all who share the limit.
    #[must_use]
    pub fn new(
        venue: Arc<dyn Venue>,
        config: &VenueConfig,
        limit: RequestLimit,
        tls: &Tls,
        source: SourceId,
        env: &Environment,
    ) -> BarsClient {
        let metrics = env.metrics.venue(venue.name());
        let rest = RestClient::new(config, limit, &tls.0, Some(metrics.clone()));
        BarsClient {
            rest,
            venue,
            source,
            metrics,
            policy: config.retry_policy(),
            redaction: config.redaction(),
            now: Arc::clone(&env.now),
        }
    }

    /// Returns bars in no order; `None` where the venue has none that help. Waits and asks again where that may help.
    ///
    /// # Errors
    /// [`BarsError`].
    pub async fn bars(&self, asked: &BarsAsked<'_>) -> Result<Option<Vec<VenueBar>>, BarsError> {
        let asker = Asker {
            rest: &self.rest,
            venue: self.venue.as_ref(),
            source: self.source,
            metrics: &self.metrics,
            now: self.now.as_ref(),
        };
        let (mut fetched, mut num_pages) = (Fetched::default(), 0);
        let mut backoff = Backoff::new(self.policy);
        loop {
            let error = match asker.bars(asked, &mut fetched).await {
                Ok(bars) => return Ok(bars),
                Err(error) => error,
            };
            let reason = self.redaction.apply(&error.to_string()).into_owned();
            let pause = match error {
                RestError::Transient { pause, .. } => pause.unwrap_or_default(),
                RestError::Permanent { .. } => return Err(BarsError::Refused(reason)),
                RestError::NotEntitled { .. } => return Err(BarsError::NotEntitled(reason)),
            };
            if fetched.num_pages > num_pages {
                num_pages = fetched.num_pages;
                backoff.reset();
            }
            if pause > PAUSE_MAX {
                let minutes = pause.as_secs().div_ceil(60);
                let reason = format!("{reason}; it wants to be left alone for {minutes} minutes");
                return Err(BarsError::Unavailable(reason));
            }
            let pause = backoff.failed().max(pause);
            if backoff.num_failures() >= TRIES_MAX {
                return Err(BarsError::Unavailable(reason));
            }
            tracing::info!(venue = self.venue.name(), reason, "bars are asked for again");
            tokio::time::sleep(pause).await;
        }
    }
}
