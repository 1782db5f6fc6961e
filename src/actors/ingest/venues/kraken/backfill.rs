//! Past trades and ready-made bars over REST.
//!
//! Trades are asked for by time and come oldest first. Whether the moment asked for is included is not said, several trades
//! may share it, and the stream's times are cut, so each page overlaps the one before; ids remove what comes twice.

use super::super::bars::{self, BarTexts, Weight};
use super::super::numbered::TradeTexts;
use super::super::text::{epoch, number, unusable};
use super::instruments::rest_pair;
use super::parse::PRECISION;
use super::wire::{Answer, ByPair, Row};
use crate::actors::ingest::config::behind;
use crate::actors::ingest::venue::{
    BarsPage, Context, Cursor, FrameFault, Heard, Request, TradesPage, VenueEvent,
};
use crate::models::num::{Scale, parse_decimal};
use crate::models::time::{MINUTE, Nanos, SECOND};
use reqwest::Url;
use serde_json::value::RawValue;

/// Trades of a page: the most that the venue gives.
const PAGE_LEN: usize = 1_000;

/// How far the first page reaches back behind the hole.
const FIRST_OVERLAP: i64 = SECOND;

/// How far a page reaches back into the one before.
const OVERLAP: i64 = 1_000;

/// Widths of the bars that there are, in minutes. There are wider ones, which no window here has.
const WIDTHS: [i64; 7] = [1, 5, 15, 30, 60, 240, 1_440];

/// Returns where a page of trades is.
pub(super) fn trades_request(rest_url: &Url, page: &TradesPage<'_>) -> Request {
    let since = page.since.plus(-FIRST_OVERLAP).0.max(0).to_string();
    let mut url = behind(rest_url, &["Trades"]);
    url.query_pairs_mut()
        .append_pair("pair", &rest_pair(&page.instrument.venue_symbol))
        .append_pair("since", page.cursor.unwrap_or(&since))
        .append_pair("count", &PAGE_LEN.to_string());
    Request::to(url)
}

/// Reads a page of trades. The next one begins at its end; a page that is not full is the last one.
pub(super) fn read_trades(
    body: &str,
    page: &TradesPage<'_>,
    context: &Context<'_>,
    heard: &mut Heard,
) -> Result<Option<Cursor>, FrameFault> {
    let (rows, last) = rows(body, "page of trades")?;
    let mut newest = None;
    for row in &rows {
        let column = |at: usize| number(row.get(at).copied());
        let texts = TradeTexts {
            id: column(6),
            price: column(0),
            size: column(1),
            time: column(2),
            read: seconds(column(2)),
            precision: PRECISION,
        };
        match texts.entry(page.instrument, context, &mut heard.num_rounded) {
            Ok(entry) => {
                newest = newest.max(VenueEvent::trade_number(&entry).map(|(_, id, ts)| (id, ts)));
                heard.events.push(VenueEvent::Report(entry));
            }
            Err(fault) => heard.faults.push(fault),
        }
    }
    let Some((id, ts)) = newest.filter(|_| rows.len() >= PAGE_LEN) else { return Ok(None) };
    let is_reached = page.before.is_some_and(|before| before <= id.saturating_add(1))
        || page.until.is_some_and(|until| until <= ts);
    if is_reached {
        return Ok(None);
    }
    let end = last.map_or(ts, |last| last.min(ts));
    let asked: Option<i64> = page.cursor.and_then(|cursor| cursor.parse().ok());
    let overlapping = end.plus(-OVERLAP).0;
    // A page whose trades all share a moment would lead to itself.
    let next =
        if asked.is_some_and(|asked| overlapping <= asked) { last.unwrap_or(end).0 } else { overlapping };
    Ok(Some(next.to_string()))
}

/// Returns the rows of an answer, and what it says of where it ends. The name of the pair may be another than the one that
/// was asked for.
fn rows<'a>(body: &'a str, what: &str) -> Result<(Vec<Row<'a>>, Option<Nanos>), FrameFault> {
    let malformed = |error: serde_json::Error| FrameFault::malformed(what, error);
    let answer: Answer<'a> = serde_json::from_str(body).map_err(malformed)?;
    let result: &'a str = answer.result.map_or("null", RawValue::get);
    let mut result: ByPair<'a> = serde_json::from_str(result).map_err(malformed)?;
    let last = result.remove("last").and_then(|last| epoch(number(Some(last)), 1));
    let rows = result.into_values().next().ok_or_else(|| FrameFault::malformed(what, "no rows"))?;
    let rows: Vec<Row<'a>> = serde_json::from_str(rows.get()).map_err(malformed)?;
    Ok((rows, last))
}

/// Reads a time in seconds with decimals, from its digits.
fn seconds(text: &str) -> Option<Nanos> {
    let nanos = Scale::new(9).expect("9 decimals are a scale");
    parse_decimal(text.as_bytes(), nanos).ok().map(|parsed| Nanos(parsed.raw))
}

/// Returns where bars are. The venue has the newest 720 of each width, and gives all that it has since a time at once.
pub(super) fn bars_request(rest_url: &Url, page: &BarsPage<'_>) -> Option<Request> {
    let minutes = page.width.nanos() / MINUTE;
    let has_width = page.width.nanos() % MINUTE == 0 && WIDTHS.contains(&minutes);
    if !has_width || page.cursor.is_some() {
        return None;
    }
    // Whether the bar that begins at the time asked for is included is not said.
    let since = page.from.plus(-page.width.nanos()).0.max(0) / SECOND;
    let mut url = behind(rest_url, &["OHLC"]);
    url.query_pairs_mut()
        .append_pair("pair", &rest_pair(&page.instrument.venue_symbol))
        .append_pair("interval", &minutes.to_string())
        .append_pair("since", &since.to_string());
    Some(Request::to(url))
}

/// Reads the bars. The last row still forms.
pub(super) fn read_bars(
    body: &str,
    page: &BarsPage<'_>,
    context: &Context<'_>,
    heard: &mut Heard,
) -> Result<(), FrameFault> {
    let (mut rows, _) = rows(body, "page of bars")?;
    rows.pop();
    for row in &rows {
        let column = |at: usize| number(row.get(at).copied());
        let texts = BarTexts {
            open: column(1),
            high: column(2),
            low: column(3),
            close: column(4),
            weight: Weight::Vwap(column(5)),
            volume: column(6),
            trade_count: column(7),
        };
        let start = epoch(column(0), SECOND)
            .ok_or_else(|| unusable("bad_time", "time", column(0), &page.instrument.venue_symbol));
        let entry = start.and_then(|start| bars::entry(start, &texts, page, context, &mut heard.num_rounded));
        match entry {
            Ok(entry) => heard.events.extend(entry.map(VenueEvent::Report)),
            Err(fault) => heard.faults.push(fault),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::ingest::venue::{Instrument, Instruments};
    use crate::models::entry::{Body, SourceId, VenueBar};
    use crate::models::num::{Price, Size};
    use crate::models::symbol::SymbolId;
    use crate::models::time::Width;
    use std::fmt::Write;

    const RECEIVED: Nanos = Nanos(1_800_000_000_000_000_000);
    const PAGE: &str = include_str!("../../../../../tests/fixtures/venues/kraken/trades_page.json");

    fn instrument() -> Instrument {
        Instrument {
            symbol: SymbolId(1),
            venue_symbol: "BTC/USD".to_owned(),
            price_scale: Scale::PRICE,
            size_scale: Scale::SIZE,
        }
    }

    fn first_page(instrument: &Instrument) -> TradesPage<'_> {
        let since = Nanos(1_788_876_433_000_000_000);
        TradesPage { instrument, after: None, before: None, since, until: None, cursor: None }
    }

    fn read(body: &str, page: &TradesPage<'_>) -> (Heard, Result<Option<Cursor>, FrameFault>) {
        let instruments = Instruments::new(vec![page.instrument.clone()]);
        let context = Context { instruments: &instruments, source: SourceId(0), received: RECEIVED };
        let mut heard = Heard::default();
        let next = read_trades(body, page, &context, &mut heard);
        (heard, next)
    }

    #[test]
    fn a_page_has_the_trades_of_the_stream() {
        let instrument = instrument();
        let (page, next) = read(PAGE, &first_page(&instrument));
        assert_eq!(next, Ok(None), "a page that is not full is the last one");
        let mut stream = Heard::default();
        let instruments = Instruments::new(vec![instrument.clone()]);
        let context = Context { instruments: &instruments, source: SourceId(0), received: RECEIVED };
        let frame = r#"{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy","price":105433.6,"qty":0.00027625,"ord_type":"limit","trade_id":10218208,"timestamp":"2026-09-08T14:07:13.971744Z"}]}"#;
        super::super::parse::frame(frame, &context, &mut stream);
        assert_eq!(page.events, stream.events, "to the last bit, or it would be a conflict");
        assert_eq!((page.faults.len(), stream.faults.len()), (0, 0));

        let row = r#"["105433.60000","0.00027625",1788876433.9717445,"b","l","",10218208]"#;
        let damaged = r#"["105433.6","1",null,"b","l","",10218207],["105433.6","1",1788876433.9,"b","l",""]"#;
        let (page, _) = read(&PAGE.replace(row, &format!("{damaged},{row}")), &first_page(&instrument));
        assert_eq!(page.events, stream.events);
        let kinds: Vec<_> = page.faults.iter().map(|fault| fault.kind).collect();
        assert_eq!(kinds, ["bad_time", "malformed"]);
        for body in
            ["<html>", "[]", r#"{"error":["EService:Busy"]}"#, r#"{"error":[],"result":{"last":"1"}}"#]
        {
            assert!(read(body, &first_page(&instrument)).1.is_err(), "{body}");
        }
    }

    /// Returns a full page whose last trade is the one of this id, and that ends at this time.
    fn full_page(last_id: usize, seconds: &str) -> String {
        let mut rows = String::new();
        for id in last_id + 1 - PAGE_LEN..=last_id {
            write!(rows, "[\"1\",\"1\",{seconds},\"b\",\"l\",\"\",{id}],").expect("text");
        }
        let last = Nanos(self::seconds(seconds).expect("a time").0 + 44);
        format!(
            r#"{{"error":[],"result":{{"last":"{}","XXBTZUSD":[{}]}}}}"#,
            last.0,
            rows.trim_end_matches(',')
        )
    }

    #[test]
    fn pages_go_on_where_they_ended_until_the_hole_is_reached() {
        let base = Url::parse("https://api.example/0/public").expect("a URL");
        let instrument = instrument();
        let first = first_page(&instrument);
        let url = |page: &TradesPage<'_>| trades_request(&base, page).url.to_string();
        let asked = "https://api.example/0/public/Trades?pair=XBTUSD&since=";
        assert_eq!(url(&first), format!("{asked}1788876432000000000&count=1000"));
        let body = full_page(5_000, "1788876433.9717445");
        let (heard, next) = read(&body, &first);
        assert_eq!(heard.events.len(), PAGE_LEN);
        // The trade's own time is cut; the page's end is later. What lies between comes again.
        let cursor = next.expect("a page").expect("more");
        assert_eq!(cursor, "1788876433971743000");
        let next = TradesPage { cursor: Some(&cursor), ..first };
        assert_eq!(url(&next), format!("{asked}1788876433971743000&count=1000"));
        let (_, again) = read(&body, &next);
        assert_eq!(
            again.expect("a page").as_deref(),
            Some("1788876433971744544"),
            "it does not lead to itself"
        );

        let is_more = |page: TradesPage<'_>| read(&body, &page).1.expect("a page").is_some();
        assert!(is_more(TradesPage { before: Some(5_002), ..first }));
        assert!(!is_more(TradesPage { before: Some(5_001), ..first }));
        assert!(is_more(TradesPage { until: Some(Nanos(1_788_876_434_000_000_000)), ..first }));
        assert!(!is_more(TradesPage { until: Some(Nanos(1_788_876_433_971_744_000)), ..first }));
    }

    #[test]
    fn bars_are_those_of_the_widths_that_there_are_without_the_one_that_forms() {
        let base = Url::parse("https://api.example/0/public").expect("a URL");
        let instrument = instrument();
        let page = |minutes: i64| BarsPage {
            instrument: &instrument,
            width: Width::new(minutes * MINUTE).expect("a width"),
            from: Nanos(1_788_876_000 * SECOND),
            to: Nanos(1_788_876_900 * SECOND),
            cursor: None,
        };
        let url = |minutes| bars_request(&base, &page(minutes)).map(|request| request.url.to_string());
        let expected = "https://api.example/0/public/OHLC?pair=XBTUSD&interval=5&since=1788875700";
        assert_eq!(url(5).as_deref(), Some(expected));
        assert_eq!(url(3), None);
        let body = r#"{"error":[],"result":{"XXBTZUSD":[
            [1788875700,"1","1","1","1","1","1",1],
            [1788876000,"105433.6","105500.0","105400.1","105450.0","105444.4","2.5",31],
            [1788876300,"105450.0","105450.0","105450.0","105450.0","0","0.00000000",0],
            [1788876600,"x","1","1","1","1","1",1],
            [1788876600,"1","1","1","1","1","1",1]
        ],"last":1788876300}}"#;
        let instruments = Instruments::new(vec![instrument.clone()]);
        let context = Context { instruments: &instruments, source: SourceId(0), received: RECEIVED };
        let mut heard = Heard::default();
        read_bars(body, &page(5), &context, &mut heard).expect("bars");
        let bar = VenueBar {
            start: Nanos(1_788_876_000 * SECOND),
            received: RECEIVED,
            open: Price(105_433_600_000_000),
            high: Price(105_500_000_000_000),
            low: Price(105_400_100_000_000),
            close: Price(105_450_000_000_000),
            volume: Size(250_000_000),
            vwap: Price(105_444_400_000_000),
            trade_count: 31,
            width_ms: 300_000,
            source: SourceId(0),
        };
        let bodies: Vec<_> = heard
            .events
            .iter()
            .map(|event| match event {
                VenueEvent::Report(entry) => entry.body,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(bodies, [Body::VenueBar(bar)]);
        assert_eq!(heard.faults.iter().map(|fault| fault.kind).collect::<Vec<_>>(), ["bad_price"]);
        assert!(read_bars("[]", &page(5), &context, &mut heard).is_err());
    }
}
