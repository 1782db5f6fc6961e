//! Ready-made bars over REST, for warm-up and for history that is filled by hand.
//!
//! They are asked for as they were traded, and not adjusted for splits, since our own bars are not either: indicators
//! over both must see one series.

use super::parse::BarTexts;
use super::rest::{Envelope, next_request, request};
use super::symbols::ticker;
use crate::actors::ingest::config::behind;
use crate::actors::ingest::venue::{BarsPage, Context, Cursor, FrameFault, Heard, Request, VenueEvent};
use crate::actors::ingest::venues::text::{number, object};
use crate::models::entry::Entry;
use crate::models::time::{HOUR, MINUTE, Nanos, SECOND, Width};
use crate::secret::Secret;
use reqwest::Url;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::time::Duration;

/// Bars of the venue's own width, seconds or minutes, that a page is made of at the most.
const PAGE_LEN: &str = "50000";

/// A row.
#[derive(Debug, Deserialize)]
struct PastBar<'a> {
    #[serde(default, borrow)]
    t: Option<&'a RawValue>,
    #[serde(default, borrow)]
    o: Option<&'a RawValue>,
    #[serde(default, borrow)]
    h: Option<&'a RawValue>,
    #[serde(default, borrow)]
    l: Option<&'a RawValue>,
    #[serde(default, borrow)]
    c: Option<&'a RawValue>,
    #[serde(default, borrow)]
    v: Option<&'a RawValue>,
    #[serde(default, borrow)]
    vw: Option<&'a RawValue>,
    #[serde(default, borrow)]
    n: Option<&'a RawValue>,
}

/// Returns how the venue calls a width: how many of what. Wider bars than an hour begin at hours of New York, and ours
/// at those of UTC.
fn span(width: Width) -> Option<(i64, &'static str)> {
    let nanos = width.nanos();
    match nanos {
        _ if HOUR % nanos != 0 => None,
        _ if nanos % MINUTE == 0 => Some((nanos / MINUTE, "minute")),
        _ if nanos % SECOND == 0 => Some((nanos / SECOND, "second")),
        _ => None,
    }
}

/// Returns where a page is; `None` for a width that the venue does not have as we do.
pub(super) fn bars_request(rest_url: &Url, page: &BarsPage<'_>, key: Option<&Secret>) -> Option<Request> {
    let (count, unit) = span(page.width)?;
    if let Some(cursor) = page.cursor {
        return next_request(rest_url, cursor, key);
    }
    let millis = |time: Nanos| (time.0.max(0) / 1_000_000).to_string();
    let ticker = ticker(&page.instrument.venue_symbol);
    let (count, from, to) = (count.to_string(), millis(page.from), millis(page.to.plus(-1)));
    let mut url = behind(rest_url, &["v2", "aggs", "ticker", &ticker, "range", &count, unit, &from, &to]);
    url.query_pairs_mut().extend_pairs([("adjusted", "false"), ("sort", "asc"), ("limit", PAGE_LEN)]);
    Some(request(url, key))
}

/// Reads a page. `delay` is how late the venue's data is: what forms for it is left out.
pub(super) fn read_bars(
    rest_url: &Url,
    delay: Duration,
    body: &str,
    page: &BarsPage<'_>,
    context: &Context<'_>,
    heard: &mut Heard,
) -> Result<Option<Cursor>, FrameFault> {
    let envelope = Envelope::read(body, "page of bars")?;
    let delay = i64::try_from(delay.as_nanos()).unwrap_or(i64::MAX);
    let now = context.received.plus(-delay);
    let width = page.width.nanos();
    for row in envelope.results.iter().flatten() {
        match past_bar(row, page, context, heard) {
            Ok(entry) => {
                let start = entry.body.time();
                let is_wanted = (page.from..page.to).contains(&start) && start.plus(width) <= now;
                if is_wanted && page.width.start_of(start) == start {
                    heard.events.push(VenueEvent::Report(entry));
                } else {
                    heard.num_ignored += 1;
                }
            }
            Err(fault) => heard.faults.push(fault),
        }
    }
    envelope.next(rest_url, page.cursor)
}

fn past_bar(
    row: &RawValue,
    page: &BarsPage<'_>,
    context: &Context<'_>,
    heard: &mut Heard,
) -> Result<Entry, FrameFault> {
    let row: PastBar<'_> = object("bar", row.get())?;
    let texts = BarTexts {
        start: number(row.t),
        open: number(row.o),
        high: number(row.h),
        low: number(row.l),
        close: number(row.c),
        volume: number(row.v),
        vwap: number(row.vw),
        trade_count: number(row.n),
    };
    // A width that divides an hour is a number of milliseconds that fits.
    let width_ms = u32::try_from(page.width.nanos() / 1_000_000).unwrap_or(0);
    texts.entry(page.instrument, width_ms, context, heard)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{RECEIVED, context, instruments};
    use super::*;
    use crate::models::entry::Body;

    fn base() -> Url {
        Url::parse("https://api.massive.com").expect("a URL")
    }

    #[test]
    fn widths_within_an_hour_are_asked_for_in_the_venues_words() {
        let instruments = instruments();
        let request = |width, at: usize| {
            let page = BarsPage {
                instrument: &instruments.all()[at],
                width: Width::new(width).expect("a width"),
                from: Nanos(1_788_876_000_000_000_000),
                to: Nanos(1_788_879_600_000_000_000),
                cursor: None,
            };
            bars_request(&base(), &page, None).map(|request| request.url.to_string())
        };
        let url = |ticker: &str, range: &str| {
            format!(
                "https://api.massive.com/v2/aggs/ticker/{ticker}/range/{range}/1788876000000/1788879599999?adjusted=false&sort=asc&limit=50000"
            )
        };
        assert_eq!(request(15 * MINUTE, 0), Some(url("MSFT", "15/minute")));
        assert_eq!(request(HOUR, 2), Some(url("X:BTCUSD", "60/minute")));
        assert_eq!(request(30 * SECOND, 3), Some(url("C:EURUSD", "30/second")));
        for width in [4 * HOUR, 24 * HOUR, 90 * SECOND / 1_000, 1_000_000] {
            assert_eq!(request(width, 0), None, "{width}");
        }
    }

    #[test]
    fn rows_are_bars_and_what_still_forms_is_left_out() {
        let instruments = instruments();
        let start = 1_788_876_840_000; // A minute before it was received.
        let row = |t: i64| {
            format!(r#"{{"o":74.06,"h":75.15,"l":73.79,"c":75.08,"v":1.5e+3,"vw":74.6099,"n":12,"t":{t}}}"#)
        };
        let body = format!(
            r#"{{"ticker":"MSFT","adjusted":false,"queryCount":2,"resultsCount":2,"count":2,"status":"DELAYED","request_id":"6a7e","results":[{},{},{},{},5]}}"#,
            row(start - 60_000),
            row(start),
            row(start + 60_000),
            row(start + 1),
        );
        let page = BarsPage {
            instrument: &instruments.all()[0],
            width: Width::new(MINUTE).expect("a width"),
            from: Nanos(0),
            to: Nanos::MAX,
            cursor: None,
        };
        let starts = |delay| {
            let mut heard = Heard::default();
            let next = read_bars(&base(), delay, &body, &page, &context(&instruments), &mut heard);
            assert_eq!((next, heard.faults.len()), (Ok(None), 1));
            let start = |event: &VenueEvent| match event {
                VenueEvent::Report(entry) => entry.body.time().0 / 1_000_000,
                other => panic!("no bar: {other:?}"),
            };
            (heard.events.iter().map(start).collect::<Vec<_>>(), heard)
        };
        let (found, heard) = starts(Duration::ZERO);
        assert_eq!((found, heard.num_ignored), (vec![start - 60_000, start], 2));
        let VenueEvent::Report(Entry { body: Body::VenueBar(bar), .. }) = heard.events[0] else {
            panic!("a bar");
        };
        assert_eq!((bar.open.0, bar.high.0, bar.low.0, bar.close.0), (740_600, 751_500, 737_900, 750_800));
        assert_eq!((bar.volume.0, bar.vwap.0, bar.trade_count), (150_000_000_000, 746_099, 12));
        assert_eq!((bar.width_ms, bar.received), (60_000, RECEIVED));
        assert_eq!(starts(Duration::from_mins(1)).0, [start - 60_000], "for delayed data it still forms");
    }
}
