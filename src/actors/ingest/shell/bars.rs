//! Asks a venue for ready-made bars, page by page.
//!
//! Promises: within the venue's limit of requests; a bar that still forms, or was not asked for, is left out, whatever the
//! venue gives. On failure nothing of what was asked for is returned, and the error says whether another try can help.

use super::super::config::VenueConfig;
use super::super::venue::{BarsPage, Context, Cursor, Heard, Instrument, Instruments, Venue, VenueEvent};
use super::connect::{self, CertificateError};
use super::rest::{RestClient, RestError};
use crate::metrics::VenueMetrics;
use crate::models::entry::{Body, SourceId, VenueBar};
use crate::models::time::{Nanos, Width};
use std::sync::Arc;
use std::time::Duration;

/// Whose bars are asked for, and which.
#[derive(Clone, Copy, Debug)]
pub struct BarsAsked<'a> {
    /// Whose.
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
    pub metrics: Option<&'a VenueMetrics>,
    /// Returns the time.
    pub now: &'a dyn Fn() -> Nanos,
}

impl Asker<'_> {
    /// Returns the bars in no order; `None` where the venue has none of that width.
    pub async fn bars(&self, asked: &BarsAsked<'_>) -> Result<Option<Vec<VenueBar>>, RestError> {
        let BarsAsked { instrument, width, from, to } = *asked;
        let instruments = Instruments::new(vec![instrument.clone()]);
        let (mut bars, mut cursor, mut heard): (_, Option<Cursor>, _) = (Vec::new(), None, Heard::default());
        loop {
            let page = BarsPage { instrument, width, from, to, cursor: cursor.as_ref() };
            let Some(request) = self.venue.bars_request(&page) else { return Ok(None) };
            let body = self.rest.get(self.venue, request).await?;
            heard.clear();
            let context = Context { instruments: &instruments, source: self.source, received: (self.now)() };
            let read = self.venue.read_bars(&body, &page, &context, &mut heard);
            if let Some(metrics) = self.metrics {
                heard.faults.iter().for_each(|fault| metrics.fault(fault.kind));
                metrics.rounded.inc_by(heard.num_rounded);
            }
            let next = read.map_err(|fault| RestError::Transient { reason: fault.reason, pause: None })?;
            let latest = to.min(context.received);
            bars.extend(heard.events.iter().filter_map(|event| match event {
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
            // A page that leads to itself would be asked for again and again.
            if next.is_none() || next == cursor {
                return Ok(Some(bars));
            }
            cursor = next;
        }
    }
}

/// Why there are no bars.
#[derive(Debug, thiserror::Error)]
pub enum BarsError {
    /// Another try may help, after the pause where one is said.
    #[error("{reason}")]
    Transient {
        /// What happened, for people.
        reason: String,
        /// When to try again at the earliest.
        pause: Option<Duration>,
    },
    /// Another try gives the same.
    #[error("{0}")]
    Permanent(String),
}

impl From<RestError> for BarsError {
    fn from(error: RestError) -> BarsError {
        match error {
            RestError::Transient { reason, pause } => BarsError::Transient { reason, pause },
            RestError::Permanent { reason } | RestError::NotEntitled { reason } => {
                BarsError::Permanent(reason)
            }
        }
    }
}

/// Asks a venue for bars where no feed runs.
pub struct BarsClient {
    rest: RestClient,
    venue: Arc<dyn Venue>,
    source: SourceId,
    now: Arc<dyn Fn() -> Nanos + Send + Sync>,
}

impl BarsClient {
    /// Makes a client of a venue. `requests_per_minute` counts where the configuration sets none.
    ///
    /// # Errors
    /// When the certificates that the configuration names cannot be read.
    pub fn new(
        venue: Arc<dyn Venue>,
        config: &VenueConfig,
        requests_per_minute: u32,
        source: SourceId,
        now: Arc<dyn Fn() -> Nanos + Send + Sync>,
    ) -> Result<BarsClient, CertificateError> {
        let tls = connect::tls(config.ca_file.as_deref())?;
        let rest = RestClient::new(config, requests_per_minute, &tls, None);
        Ok(BarsClient { rest, venue, source, now })
    }

    /// Returns the bars in no order; `None` where the venue has none of that width.
    ///
    /// # Errors
    /// [`BarsError`].
    pub async fn bars(&self, asked: &BarsAsked<'_>) -> Result<Option<Vec<VenueBar>>, BarsError> {
        let now = &*self.now;
        let asker = Asker {
            rest: &self.rest,
            venue: self.venue.as_ref(),
            source: self.source,
            metrics: None,
            now: &now,
        };
        Ok(asker.bars(asked).await?)
    }
}
