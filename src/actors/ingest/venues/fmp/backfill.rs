//! Ready-made bars over REST, and what answers mean that are none.
//!
//! The venue cuts how far an answer reaches without saying so, and has no cursor: pages are spans of days that it is known to
//! give whole. It writes times of the exchanges' wall clock, and the start of each bar.

use super::wire::{Problem, Row};
use crate::actors::ingest::config::{BarZone, behind};
use crate::actors::ingest::venue::{
    BarsPage, Context, Cursor, FrameFault, Heard, Judgement, Request, VenueEvent,
};
use crate::actors::ingest::venues::eastern;
use crate::actors::ingest::venues::reports::{BarTexts, Reader, is_wanted};
use crate::actors::ingest::venues::text::{excerpt, number, unusable};
use crate::models::time::{DAY, HOUR, MINUTE, Nanos, Width};
use reqwest::Url;
use std::time::Duration;

/// Widths that the venue has and our windows can have, its name of each, and the days of a page: two fewer than an answer
/// holds, since a span that begins and ends within a day touches one more, and the exchanges' date may be the one before.
const WIDTHS: [(i64, &str, i64); 5] = [
    (MINUTE, "1min", 1),
    (5 * MINUTE, "5min", 8),
    (15 * MINUTE, "15min", 43),
    (30 * MINUTE, "30min", 28),
    (HOUR, "1hour", 88),
];

/// How long a limit that is counted by the minute may last.
const LIMIT_PAUSE: Duration = Duration::from_secs(60);
/// The limit of traffic is counted over thirty days: asking sooner brings nothing.
const BANDWIDTH_PAUSE: Duration = Duration::from_hours(1);

/// The exchanges' clock is at most five hours behind UTC.
const BEHIND_UTC: i64 = 5 * HOUR;

/// Returns where a page is. It may hold more than is wanted: whole days, on a clock that need not be the exchanges'.
pub(super) fn request(rest_url: &Url, key: &str, page: &BarsPage<'_>) -> Option<Request> {
    let (_, name, days) = WIDTHS.into_iter().find(|(nanos, ..)| *nanos == page.width.nanos())?;
    let first = page.cursor.and_then(|cursor| cursor.parse().ok().map(Nanos)).unwrap_or(page.from);
    let last = first.plus(days * DAY - 1).min(page.to);
    // What starts after its end would be answered with something else.
    if key.is_empty() || first >= page.to {
        return None;
    }
    let mut url = behind(rest_url, &["historical-chart", name]);
    url.query_pairs_mut()
        .append_pair("symbol", &page.instrument.venue_symbol.to_ascii_uppercase())
        .append_pair("from", &date(first.plus(-BEHIND_UTC)))
        .append_pair("to", &date(last));
    Some(Request { headers: vec![("apikey", key.to_owned())], ..Request::to(url) })
}

fn date(time: Nanos) -> String {
    let mut text = Width::new(DAY).map_or(time, |day| day.start_of(time)).to_rfc3339();
    text.truncate("2026-09-08".len());
    text
}

/// Reads a page, newest first as the venue gives it. `zone` is the clock of its times.
pub(super) fn read(
    body: &str,
    zone: BarZone,
    page: &BarsPage<'_>,
    context: &Context<'_>,
    heard: &mut Heard,
) -> Result<Option<Cursor>, FrameFault> {
    let rows: Vec<Row<'_>> =
        serde_json::from_str(body).map_err(|error| FrameFault::malformed("page of bars", error))?;
    let symbol = &page.instrument.venue_symbol;
    let local = |row: &Row<'_>| match zone {
        BarZone::Eastern => eastern::read(&row.date),
        BarZone::Utc => Nanos::from_rfc3339(&row.date),
    };
    // A bar that is yet to begin means that all times are of another clock, and all bars would stand in the wrong place.
    let is_ahead =
        |row: &&Row<'_>| local(row).is_some_and(|start| start.since(context.received) > page.width.nanos());
    if let Some(row) = rows.iter().find(is_ahead) {
        return Err(FrameFault {
            kind: "bad_time",
            reason: format!("bars of the future (`{}`): `bar_zone` is another one", excerpt(&row.date)),
            venue_symbol: Some(symbol.clone()),
        });
    }
    let span = (page.from, page.to);
    for row in &rows {
        let Some(start) = local(row) else {
            heard.faults.push(unusable("bad_time", "date", &row.date, symbol));
            continue;
        };
        // Bars of an hour begin at half past where the session does; no window does.
        let is_aligned = page.width.start_of(start) == start;
        if !is_aligned || !is_wanted(start, page.width, span, context.received) {
            heard.num_ignored += 1;
            continue;
        }
        let texts = BarTexts {
            open: number(row.open),
            high: number(row.high),
            low: number(row.low),
            close: number(row.close),
            volume: number(row.volume),
        };
        let mut reader = Reader { instrument: page.instrument, context, num_rounded: &mut heard.num_rounded };
        match reader.bar(start, page.width, &texts) {
            Ok(entry) => heard.events.push(VenueEvent::Report(entry)),
            Err(fault) => heard.faults.push(fault),
        }
    }
    Ok(next(page))
}

/// Returns where the next page begins: pages go forwards in time.
fn next(page: &BarsPage<'_>) -> Option<Cursor> {
    let (.., days) = WIDTHS.into_iter().find(|(nanos, ..)| *nanos == page.width.nanos())?;
    let first = page.cursor.and_then(|cursor| cursor.parse().ok().map(Nanos)).unwrap_or(page.from);
    let next = first.plus(days * DAY);
    (next < page.to).then(|| next.0.to_string())
}

/// Says what an answer means. The text of a limit can come with a good status, so the body is looked at first.
pub(super) fn judge(status: u16, body: &str) -> Judgement {
    let problem = serde_json::from_str::<Problem<'_>>(body).ok().map(|problem| problem.message);
    let said = excerpt(problem.as_deref().unwrap_or(body));
    let reason = format!("answer is {status}: {said}");
    let transient = |pause| Judgement::Transient { reason: reason.clone(), pause: Some(pause) };
    match (status, &problem) {
        (_, Some(text)) if text.starts_with("Bandwidth Limit Reach") => transient(BANDWIDTH_PAUSE),
        (_, Some(text)) if text.starts_with("Limit Reach") => transient(LIMIT_PAUSE),
        (429, _) => transient(LIMIT_PAUSE),
        (401..=403, _) => Judgement::NotEntitled { reason },
        (200..=299, Some(text)) if text.starts_with("Invalid API KEY") => Judgement::NotEntitled { reason },
        (200..=299, Some(_)) => Judgement::Permanent { reason },
        (200..=299, None) => Judgement::Good,
        (status, _) => Judgement::by_status(status, &said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::ingest::venue::{Instrument, Instruments};
    use crate::actors::ingest::venues::fixture::{self, at};
    use crate::models::entry::{Body, Entry, SourceId};
    use crate::models::num::Size;

    fn instrument(name: &str) -> Instrument {
        fixture::instrument(1, name, [2, 0])
    }

    fn page<'a>(
        instrument: &'a Instrument,
        from: &str,
        to: &str,
        cursor: Option<&'a Cursor>,
    ) -> BarsPage<'a> {
        BarsPage {
            instrument,
            width: Width::new(MINUTE).expect("a width"),
            from: at(from),
            to: at(to),
            cursor,
        }
    }

    #[test]
    fn pages_are_spans_of_days_and_the_key_stands_in_a_header() {
        let (base, aapl) = (Url::parse("https://api.example/stable").expect("a URL"), instrument("aapl"));
        let first = page(&aapl, "2026-09-01T03:00:00Z", "2026-09-05T12:00:00Z", None);
        let asked = request(&base, "secret", &first).expect("a page");
        assert_eq!(
            asked.url.as_str(),
            "https://api.example/stable/historical-chart/1min?symbol=AAPL&from=2026-08-31&to=2026-09-02"
        );
        assert_eq!(asked.headers, [("apikey", "secret".to_owned())]);
        let cursor = next(&first).expect("days are left");
        let second = BarsPage { cursor: Some(&cursor), ..first };
        let asked = request(&base, "secret", &second).expect("a page");
        assert!(asked.url.as_str().ends_with("from=2026-09-01&to=2026-09-03"), "{}", asked.url);
        assert_eq!(next(&BarsPage { to: at("2026-09-03T03:00:00Z"), ..second }), None);
        let day = Width::new(DAY).expect("a width");
        assert!(request(&base, "secret", &BarsPage { width: day, ..first }).is_none());
        assert!(request(&base, "", &first).is_none(), "nobody asks without a key");
        assert!(request(&base, "secret", &BarsPage { to: first.from, ..first }).is_none());
    }

    #[test]
    fn rows_are_bars_of_the_exchanges_clock() {
        let aapl = instrument("aapl");
        let page = page(&aapl, "2026-09-08T19:58:00Z", "2026-09-09T00:00:00Z", None);
        let instruments = Instruments::default();
        let context = |received| Context { instruments: &instruments, source: SourceId(0), received };
        let body = r#"[{"date":"2026-09-08 15:59:00","open":229.4,"low":229.3,"high":229.6,"close":229.5,"volume":812345},
            {"date":"2026-09-08 15:58:00","open":229.4,"low":229.3,"high":"229.6","close":229.5,"volume":null},
            {"date":"2026-09-08 15:57:00","open":229.4,"low":229.3,"high":229.6,"close":229.5,"volume":5},
            {"date":"2026-09-08 15:58:30","open":229.4,"low":229.3,"high":229.6,"close":229.5,"volume":5},
            {"date":"never","open":229.4,"low":229.3,"high":229.6,"close":229.5,"volume":5},
            {"date":"2026-09-08 15:58:00","open":229.4,"high":229.6,"close":229.5,"volume":5}]"#;
        let mut heard = Heard::default();
        let next = read(body, BarZone::Eastern, &page, &context(at("2026-09-08T20:00:00Z")), &mut heard);
        assert_eq!(next, Ok(None));
        let bars: Vec<_> = heard
            .events
            .iter()
            .map(|event| match event {
                VenueEvent::Report(Entry { body: Body::VenueBar(bar), .. }) => {
                    (bar.start, bar.high.0, bar.volume)
                }
                event => panic!("{event:?}"),
            })
            .collect();
        let expected = [
            (at("2026-09-08T19:59:00Z"), 22_960, Size(812_345)),
            (at("2026-09-08T19:58:00Z"), 22_960, Size(0)),
        ];
        assert_eq!((bars.as_slice(), heard.num_ignored), (&expected[..], 2));
        assert_eq!(
            heard.faults.iter().map(|fault| fault.kind).collect::<Vec<_>>(),
            ["bad_time", "bad_price"]
        );
        let mut forming = Heard::default();
        let now = context(at("2026-09-08T19:59:30Z"));
        read(body, BarZone::Eastern, &page, &now, &mut forming).expect("a page");
        assert_eq!(forming.events.len(), 1, "the newest one is not over");
        let none = read("[]", BarZone::Eastern, &page, &now, &mut Heard::default());
        assert_eq!(none, Ok(None), "an unknown symbol has no rows");
    }

    #[test]
    fn bars_of_another_clock_are_refused_as_a_whole() {
        let coin = instrument("btcusd");
        let page = page(&coin, "2026-09-08T00:00:00Z", "2026-09-09T00:00:00Z", None);
        let instruments = Instruments::default();
        let context =
            Context { instruments: &instruments, source: SourceId(0), received: at("2026-09-08T19:59:30Z") };
        let body = r#"[{"date":"2026-09-08 19:58:00","open":1,"low":1,"high":1,"close":1,"volume":1},
                       {"date":"2026-09-08 12:00:00","open":1,"low":1,"high":1,"close":1,"volume":1}]"#;
        let mut heard = Heard::default();
        let fault = read(body, BarZone::Eastern, &page, &context, &mut heard).expect_err("of the future");
        assert!(fault.reason.contains("`bar_zone`") && heard.events.is_empty(), "{fault}");
        read(body, BarZone::Utc, &page, &context, &mut heard).expect("a page");
        assert_eq!(heard.events.len(), 2);
    }

    #[test]
    fn answers_are_told_by_their_body_first() {
        let told = |status, body: &str| match judge(status, body) {
            Judgement::Good => "good".to_owned(),
            Judgement::Transient { pause, .. } => format!("wait {:?}", pause.map(|pause| pause.as_secs())),
            Judgement::Permanent { .. } => "wrong".to_owned(),
            Judgement::NotEntitled { .. } => "not entitled".to_owned(),
        };
        let message = |text: &str| format!("{{\"Error Message\":\"{text}\"}}");
        let limit = message("Limit Reach . Please upgrade your plan or visit our documentation");
        for (status, body, expected) in [
            (200, "[]", "good"),
            (200, &limit, "wait Some(60)"),
            (429, &limit, "wait Some(60)"),
            (429, "", "wait Some(60)"),
            (200, &message("Bandwidth Limit Reach . Please upgrade"), "wait Some(3600)"),
            (401, &message("Invalid API KEY. Feel free to create a Free API Key"), "not entitled"),
            (200, &message("Invalid API KEY. Feel free to create a Free API Key"), "not entitled"),
            (402, "Premium Query Parameter: upgrade", "not entitled"),
            (403, &message("Exclusive Endpoint : This endpoint is not available"), "not entitled"),
            (400, "Query Error: Invalid or missing query parameter - symbol", "wrong"),
            (200, &message("something else"), "wrong"),
            (503, "<html>", "wait None"),
        ] {
            assert_eq!(told(status, body), expected, "{status} {body}");
        }
    }
}
