//! Ready-made bars over REST, and what answers mean that are none. Past trades cannot be had.

use super::parse::is_forex;
use super::wire::{Page, Problem};
use crate::actors::ingest::config::behind;
use crate::actors::ingest::venue::{
    BarsPage, Context, Cursor, FrameFault, Heard, Judgement, Request, VenueEvent,
};
use crate::actors::ingest::venues::pairs;
use crate::actors::ingest::venues::reports::{BarTexts, Reader, is_wanted};
use crate::actors::ingest::venues::text::{epoch, excerpt, number, object, unusable};
use crate::models::time::{DAY, HOUR, MINUTE, Nanos, Width};
use reqwest::Url;
use std::time::Duration;

/// Bars of an answer at the most: the venue gives no more.
const ROWS_MAX: usize = 50_000;

/// How long to wait after a status that tells of a limit: nobody documents which, and the smallest is a month's.
const LIMIT_PAUSE: Duration = Duration::from_secs(60);

/// Returns a width as the venue counts it.
fn span(width: Width) -> Option<(i64, &'static str)> {
    match width.nanos() {
        nanos if nanos % DAY == 0 => Some((nanos / DAY, "day")),
        nanos if nanos % HOUR == 0 => Some((nanos / HOUR, "hour")),
        nanos if nanos % MINUTE == 0 => Some((nanos / MINUTE, "minute")),
        _ => None,
    }
}

/// Returns where a page is: whole days of UTC, oldest first. A page that is full is followed by one from its last day on.
pub(super) fn request(rest_url: &Url, key: &str, page: &BarsPage<'_>) -> Option<Request> {
    let (count, unit) = span(page.width)?;
    let first = page.cursor.and_then(|cursor| cursor.parse().ok().map(Nanos)).unwrap_or(page.from);
    if key.is_empty() || first >= page.to {
        return None;
    }
    let spelled = &page.instrument.venue_symbol;
    let market = match () {
        () if is_forex(spelled) => "forex",
        () if pairs::split(spelled).is_some() => "crypto",
        () => "stock",
    };
    let symbol = spelled.replace('/', "");
    let segments = ["agg", market, &symbol, &count.to_string(), unit, &date(first), &date(page.to.plus(-1))];
    let mut url = behind(rest_url, &segments);
    url.query_pairs_mut()
        .append_pair("limit", &ROWS_MAX.to_string())
        .append_pair("sort", "asc")
        .append_pair("apikey", key);
    Some(Request::to(url))
}

fn date(time: Nanos) -> String {
    let mut text = Width::new(DAY).map_or(time, |day| day.start_of(time)).to_rfc3339();
    text.truncate("2026-09-08".len());
    text
}

/// Reads a page.
pub(super) fn read(
    body: &str,
    page: &BarsPage<'_>,
    context: &Context<'_>,
    heard: &mut Heard,
) -> Result<Option<Cursor>, FrameFault> {
    let Page { results } = object("page of bars", body)?;
    let mut newest = None;
    for row in &results {
        let text = number(row.t);
        let Some(start) = epoch(text, 1) else {
            heard.faults.push(unusable("bad_time", "t", text, &page.instrument.venue_symbol));
            continue;
        };
        newest = newest.max(Some(start));
        let is_aligned = page.width.start_of(start) == start;
        if !is_aligned || !is_wanted(start, page.width, (page.from, page.to), context.received) {
            heard.num_ignored += 1;
            continue;
        }
        let texts = BarTexts {
            open: number(row.o),
            high: number(row.h),
            low: number(row.l),
            close: number(row.c),
            volume: number(row.v),
        };
        let mut reader = Reader { instrument: page.instrument, context, num_rounded: &mut heard.num_rounded };
        match reader.bar(start, page.width, &texts) {
            Ok(entry) => heard.events.push(VenueEvent::Report(entry)),
            Err(fault) => heard.faults.push(fault),
        }
    }
    let next = newest.map(|newest| newest.plus(page.width.nanos())).filter(|next| *next < page.to);
    Ok(next.filter(|_| results.len() >= ROWS_MAX).map(|next| next.0.to_string()))
}

/// Says what an answer means.
pub(super) fn judge(status: u16, body: &str) -> Judgement {
    let problem = serde_json::from_str::<Problem<'_>>(body).ok().map(|problem| problem.error);
    let said = excerpt(problem.as_deref().unwrap_or(body));
    let reason = format!("answer is {status}: {said}");
    let lower = said.to_ascii_lowercase();
    match status {
        200..=299 if problem.is_none() => Judgement::Good,
        406 if lower.contains("apikey") || lower.contains("permission") => Judgement::NotEntitled { reason },
        429 => Judgement::Transient { reason, pause: Some(LIMIT_PAUSE) },
        200..=299 => Judgement::Permanent { reason },
        status => Judgement::by_status(status, &said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::ingest::venue::{Instrument, Instruments};
    use crate::actors::ingest::venues::fixture::{self, at};
    use crate::models::entry::{Body, Entry, SourceId};
    use crate::models::num::{Price, Size};

    fn instrument(name: &str) -> Instrument {
        fixture::instrument(1, name, [2, 0])
    }

    fn page<'a>(instrument: &'a Instrument, minutes: i64) -> BarsPage<'a> {
        BarsPage {
            instrument,
            width: Width::new(minutes * MINUTE).expect("a width"),
            from: at("2026-09-08T14:00:00Z"),
            to: at("2026-09-09T00:00:00Z"),
            cursor: None,
        }
    }

    #[test]
    fn each_market_has_its_path_and_the_key_stands_in_the_query() {
        let base = Url::parse("https://api.example").expect("a URL");
        for (symbol, minutes, path) in [
            ("AAPL", 1, "agg/stock/AAPL/1/minute"),
            ("BTCUSD", 15, "agg/crypto/BTCUSD/15/minute"),
            ("EUR/USD", 240, "agg/forex/EURUSD/4/hour"),
            ("AAPL", 1_440, "agg/stock/AAPL/1/day"),
        ] {
            let instrument = instrument(symbol);
            let asked = request(&base, "se&cret", &page(&instrument, minutes)).expect("a page");
            let expected = format!(
                "https://api.example/{path}/2026-09-08/2026-09-08?limit=50000&sort=asc&apikey=se%26cret"
            );
            assert_eq!(asked.url.as_str(), expected);
            assert!(!format!("{asked:?}").contains("cret"), "it prints without the key");
        }
        let aapl = instrument("AAPL");
        let seconds = BarsPage { width: Width::parse("30s").expect("a width"), ..page(&aapl, 1) };
        assert!(request(&base, "secret", &seconds).is_none());
        assert!(request(&base, "", &page(&aapl, 1)).is_none(), "nobody asks without a key");
    }

    #[test]
    fn rows_are_bars_and_a_full_page_has_a_next_one() {
        let aapl = instrument("AAPL");
        let page = page(&aapl, 1);
        let instruments = Instruments::default();
        let context =
            Context { instruments: &instruments, source: SourceId(0), received: at("2026-09-08T14:08:30Z") };
        let body = r#"{"symbol":"AAPL","totalResults":5,"results":[{"o":229.1,"h":229.4,"l":229.0,"c":"229.3","v":10233,"t":1788876420000},
            {"o":229.1,"h":229.4,"l":229.0,"c":229.3,"t":1788876480000},
            {"o":229.1,"h":229.4,"l":229.0,"c":229.3,"v":1,"t":1788000000000},
            {"o":229.1,"h":229.4,"l":229.0,"c":229.3,"v":1,"t":0},
            {"o":229.1,"h":229.4,"c":229.3,"v":1,"t":1788876420000}]}"#;
        let mut heard = Heard::default();
        assert_eq!(read(body, &page, &context, &mut heard), Ok(None));
        let [VenueEvent::Report(Entry { body: Body::VenueBar(bar), .. })] = heard.events[..] else {
            panic!("{heard:?}");
        };
        assert_eq!(
            (bar.start, bar.close, bar.volume),
            (at("2026-09-08T14:07:00Z"), Price(22_930), Size(10_233))
        );
        assert_eq!(
            heard.faults.iter().map(|fault| fault.kind).collect::<Vec<_>>(),
            ["bad_time", "bad_price"]
        );
        assert_eq!(heard.num_ignored, 2, "one forms still, one is older than asked for");
        let row = r#"{"o":1,"h":1,"l":1,"c":1,"v":1,"t":1788876420000}"#;
        let full = format!("{{\"results\":[{}]}}", vec![row; ROWS_MAX].join(","));
        let next = read(&full, &page, &context, &mut Heard::default()).expect("a page").expect("more");
        let base = Url::parse("https://api.example").expect("a URL");
        assert_eq!(Nanos(next.parse().expect("a time")), at("2026-09-08T14:08:00Z"));
        assert!(request(&base, "secret", &BarsPage { cursor: Some(&next), ..page }).is_some());
    }

    #[test]
    fn answers_have_their_meaning() {
        let told = |status, body: &str| match judge(status, body) {
            Judgement::Good => "good".to_owned(),
            Judgement::Transient { pause, .. } => format!("wait {:?}", pause.map(|pause| pause.as_secs())),
            Judgement::Permanent { .. } => "wrong".to_owned(),
            Judgement::NotEntitled { .. } => "not entitled".to_owned(),
        };
        for (status, body, expected) in [
            (200, r#"{"symbol":"AAPL","results":[]}"#, "good"),
            (200, r#"{"error":"odd"}"#, "wrong"),
            (406, r#"{"error":"GZip compression required"}"#, "wrong"),
            (406, r#"{"error":"Please use your APIKey to make a request."}"#, "not entitled"),
            (
                406,
                r#"{"error":"You do not have permission to make a request to this endpoint."}"#,
                "not entitled",
            ),
            (400, r#"{"error":"Please check the symbol and try again."}"#, "wrong"),
            (429, "", "wait Some(60)"),
            (502, "<html>", "wait None"),
        ] {
            assert_eq!(told(status, body), expected, "{status} {body}");
        }
    }
}
