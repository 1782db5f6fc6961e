//! Asks a venue for ready-made bars, page by page.
//!
//! Promises: within the venue's limit of requests; a bar that still forms, or was not asked for, is left out, whatever the
//! venue gives. On failure nothing of what was asked for is returned, and the error says whether another try can help.

use super::super::venue::{BarsPage, Context, Cursor, Heard, Instrument, Instruments, Venue, VenueEvent};
use super::rest::{RestClient, RestError};
use crate::metrics::VenueMetrics;
use crate::models::entry::{Body, SourceId, VenueBar};
use crate::models::time::{Nanos, Width};

/// A stretch of ready-made bars of one width, from `from` to `to`, over as many pages as it takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct BarsAsked<'a> {
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
            heard.faults.iter().for_each(|fault| self.metrics.fault(fault.kind));
            self.metrics.rounded.inc_by(heard.num_rounded);
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
