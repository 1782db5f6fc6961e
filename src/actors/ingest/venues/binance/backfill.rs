//! Past trades and ready-made bars over REST.
//!
//! Trades are asked for by id and come oldest first, at most so many from an id on. Where a hole begins may be known by its
//! time alone, which no request takes together with an id, so pages go backwards: each ends where the one after it begins.

use super::super::bars::{self, BarTexts, Weight};
use super::super::numbered::{self, TradeTexts};
use super::super::text::{epoch, number, unusable};
use super::config::Channel;
use super::parse::PRECISION;
use super::wire::{PastTrade, Row};
use crate::actors::ingest::config::behind;
use crate::actors::ingest::venue::{
    BarsPage, Context, Cursor, FrameFault, Heard, Request, TradesPage, VenueEvent,
};
use crate::models::time::{DAY, HOUR, MINUTE, Nanos, SECOND, Width};
use reqwest::Url;

/// Trades of a page: the most that the venue gives.
const PAGE_LEN: u64 = 1_000;

/// Bars of a page: the most that the venue gives.
const BARS_PAGE_LEN: usize = 1_000;

/// What a page of bars costs of the venue's limit.
const BARS_COST: u32 = 2;

/// Widths of the bars that there are, and their names.
const WIDTHS: [(i64, &str); 13] = [
    (SECOND, "1s"),
    (MINUTE, "1m"),
    (3 * MINUTE, "3m"),
    (5 * MINUTE, "5m"),
    (15 * MINUTE, "15m"),
    (30 * MINUTE, "30m"),
    (HOUR, "1h"),
    (2 * HOUR, "2h"),
    (4 * HOUR, "4h"),
    (6 * HOUR, "6h"),
    (8 * HOUR, "8h"),
    (12 * HOUR, "12h"),
    (DAY, "1d"),
];

impl Channel {
    /// Returns where its past trades are, and what a page of them costs.
    const fn past(self) -> (&'static str, u32) {
        match self {
            Channel::Trade => ("historicalTrades", 25),
            Channel::AggTrade => ("aggTrades", 4),
        }
    }
}

/// The first id behind the page, where one is known.
fn end_of(page: &TradesPage<'_>) -> Option<u64> {
    page.cursor.map_or(page.before, |cursor| cursor.parse().ok())
}

/// Returns where a page of trades is: the last ones before its end, or the newest where no end is known.
pub(super) fn trades_request(trades_url: &Url, channel: Channel, page: &TradesPage<'_>) -> Request {
    let (path, cost) = channel.past();
    let mut url = behind(trades_url, &[path]);
    let mut query = url.query_pairs_mut();
    query.append_pair("symbol", &page.instrument.venue_symbol);
    let mut limit = PAGE_LEN;
    if let Some(end) = end_of(page) {
        let first = page.after.map_or(0, |after| after.saturating_add(1));
        let from = end.saturating_sub(PAGE_LEN).max(first);
        limit = end.saturating_sub(from).clamp(1, PAGE_LEN);
        query.append_pair("fromId", &from.to_string());
    }
    query.append_pair("limit", &limit.to_string());
    drop(query);
    Request { cost, ..Request::to(url) }
}

/// Reads a page of trades. The next one ends before its oldest.
pub(super) fn read_trades(
    body: &str,
    page: &TradesPage<'_>,
    context: &Context<'_>,
    heard: &mut Heard,
) -> Result<Option<Cursor>, FrameFault> {
    let trades: Vec<PastTrade<'_>> =
        serde_json::from_str(body).map_err(|error| FrameFault::malformed("page of trades", error))?;
    let texts = trades.iter().map(|trade| {
        let time = number(trade.time);
        TradeTexts {
            id: number(trade.id),
            price: number(trade.price),
            size: number(trade.qty),
            time,
            read: epoch(time, PRECISION),
            precision: PRECISION,
        }
    });
    let oldest = numbered::page(texts, page.instrument, context, heard);
    let more = oldest.filter(|oldest| {
        let is_before = end_of(page).is_none_or(|end| oldest.id < end);
        is_before
            && match page.after {
                Some(after) => oldest.id > after.saturating_add(1),
                None => oldest.id > 0 && oldest.ts >= page.since,
            }
    });
    Ok(more.map(|oldest| oldest.id.to_string()))
}

/// Returns the venue's name of a width.
fn interval(width: Width) -> Option<&'static str> {
    WIDTHS.iter().find(|(nanos, _)| *nanos == width.nanos()).map(|(_, name)| *name)
}

/// Returns where a page of bars is.
pub(super) fn bars_request(rest_url: &Url, page: &BarsPage<'_>) -> Option<Request> {
    const MILLISECOND: i64 = 1_000_000;
    let from = (page.from.0 / MILLISECOND).to_string();
    let mut url = behind(rest_url, &["klines"]);
    url.query_pairs_mut()
        .append_pair("symbol", &page.instrument.venue_symbol)
        .append_pair("interval", interval(page.width)?)
        .append_pair("startTime", page.cursor.unwrap_or(&from))
        .append_pair("endTime", &(page.to.0 / MILLISECOND - 1).to_string())
        .append_pair("limit", &BARS_PAGE_LEN.to_string());
    Some(Request { cost: BARS_COST, ..Request::to(url) })
}

/// Reads a page of bars, oldest first. The next one begins behind its last bar; a page that is not full is the last one.
pub(super) fn read_bars(
    body: &str,
    page: &BarsPage<'_>,
    context: &Context<'_>,
    heard: &mut Heard,
) -> Result<Option<Cursor>, FrameFault> {
    let rows: Vec<Row<'_>> =
        serde_json::from_str(body).map_err(|error| FrameFault::malformed("page of bars", error))?;
    let mut last = None;
    for row in &rows {
        let column = |at: usize| number(row.get(at).copied());
        let texts = BarTexts {
            open: column(1),
            high: column(2),
            low: column(3),
            close: column(4),
            volume: column(5),
            weight: Weight::Notional(column(7)),
            trade_count: column(8),
        };
        let start = epoch(column(0), PRECISION)
            .ok_or_else(|| unusable("bad_time", "time", column(0), &page.instrument.venue_symbol));
        last = last.max(start.as_ref().ok().copied());
        let entry = start.and_then(|start| bars::entry(start, &texts, page, context, &mut heard.num_rounded));
        match entry {
            Ok(entry) => heard.events.extend(entry.map(VenueEvent::Report)),
            Err(fault) => heard.faults.push(fault),
        }
    }
    let next = last.filter(|_| rows.len() >= BARS_PAGE_LEN).map(|last: Nanos| last.plus(page.width.nanos()));
    Ok(next.filter(|next| *next < page.to).map(|next| (next.0 / 1_000_000).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::ingest::venue::{Instrument, Instruments};
    use crate::models::entry::{Body, SourceId, VenueBar};
    use crate::models::num::{Price, Scale, Size};
    use crate::models::symbol::SymbolId;

    const RECEIVED: Nanos = Nanos(1_800_000_000_000_000_000);
    const TRADES: &str = include_str!("../../../../../tests/fixtures/venues/binance/trades_page.json");
    const AGG_TRADES: &str =
        include_str!("../../../../../tests/fixtures/venues/binance/trades_aggregates.json");

    fn instrument() -> Instrument {
        Instrument {
            symbol: SymbolId(1),
            venue_symbol: "BTCUSDT".to_owned(),
            price_scale: Scale::PRICE,
            size_scale: Scale::SIZE,
        }
    }

    fn first_page(instrument: &Instrument) -> TradesPage<'_> {
        TradesPage { instrument, after: None, before: None, since: Nanos(0), until: None, cursor: None }
    }

    fn with_context<T>(instrument: &Instrument, use_it: impl FnOnce(&Context<'_>) -> T) -> T {
        let instruments = Instruments::new(vec![instrument.clone()]);
        use_it(&Context { instruments: &instruments, source: SourceId(0), received: RECEIVED })
    }

    fn read(body: &str, page: &TradesPage<'_>) -> (Heard, Result<Option<Cursor>, FrameFault>) {
        let mut heard = Heard::default();
        let next = with_context(page.instrument, |context| read_trades(body, page, context, &mut heard));
        (heard, next)
    }

    #[test]
    fn a_page_has_the_trades_of_the_stream() {
        let instrument = instrument();
        let trade = r#"{"e":"trade","E":1788876549591,"s":"BTCUSDT","t":28457,"p":"4.00000000","q":"12.00000000","T":1788876549590}"#;
        let aggregate = r#"{"e":"aggTrade","E":1788876709154,"s":"BTCUSDT","a":26129,"p":"0.01630000","q":"4.70000000","f":27781,"l":27781,"T":1788876709153}"#;
        for (channel, body, frame) in
            [(Channel::Trade, TRADES, trade), (Channel::AggTrade, AGG_TRADES, aggregate)]
        {
            let (page, next) = read(body, &first_page(&instrument));
            let mut stream = Heard::default();
            with_context(&instrument, |context| {
                super::super::parse::frame(frame, channel, context, &mut stream);
            });
            assert_eq!(page.events, stream.events, "to the last bit, or it would be a conflict");
            assert_eq!((page.faults.len(), stream.faults.len(), page.events.len()), (0, 0, 1));
            assert!(next.expect("a page").is_some(), "older ones may be wanted");
        }
        let damaged = TRADES.replace("[{", r#"[{"id":28456,"price":"4.0","qty":"12.0","time":null},{"#);
        let (page, _) = read(&damaged, &first_page(&instrument));
        assert_eq!(page.events.len(), 1);
        assert_eq!(page.faults.iter().map(|fault| fault.kind).collect::<Vec<_>>(), ["bad_time"]);
        assert_eq!(read("[]", &first_page(&instrument)).1, Ok(None));
        for body in ["<html>", "{}", r#"{"code":-1003,"msg":"Too many requests"}"#] {
            assert!(read(body, &first_page(&instrument)).1.is_err(), "{body}");
        }
    }

    #[test]
    fn pages_go_backwards_until_the_hole_is_reached() {
        let base = Url::parse("https://api.example/api/v3").expect("a URL");
        let instrument = instrument();
        let first = first_page(&instrument);
        let asked = |page: &TradesPage<'_>| {
            let url = trades_request(&base, Channel::Trade, page).url;
            let rest =
                url.as_str().strip_prefix("https://api.example/api/v3/historicalTrades?symbol=BTCUSDT&");
            rest.expect("the path").to_owned()
        };
        let cursor = "28457".to_owned();
        assert_eq!(asked(&first), "limit=1000");
        let hole = TradesPage { after: Some(28_000), before: Some(30_000), ..first };
        assert_eq!(asked(&hole), "fromId=29000&limit=1000");
        assert_eq!(asked(&TradesPage { cursor: Some(&cursor), ..hole }), "fromId=28001&limit=456");
        assert_eq!(asked(&TradesPage { before: Some(7), ..first }), "fromId=0&limit=7");
        assert_eq!(asked(&TradesPage { before: Some(0), ..first }), "fromId=0&limit=1");
        assert_eq!(trades_request(&base, Channel::Trade, &hole).cost, 25);
        let aggregate = trades_request(&base, Channel::AggTrade, &hole);
        assert_eq!((aggregate.url.path(), aggregate.cost), ("/api/v3/aggTrades", 4));

        let next = |page: TradesPage<'_>| read(TRADES, &page).1.expect("a page");
        let ts = 1_788_876_549_590_000_000;
        assert_eq!(next(TradesPage { after: Some(28_455), ..first }), Some(cursor.clone()));
        assert_eq!(next(TradesPage { after: Some(28_456), ..first }), None);
        assert_eq!(next(TradesPage { since: Nanos(ts), ..first }), Some(cursor.clone()));
        assert_eq!(next(TradesPage { since: Nanos(ts + 1), ..first }), None);
        // The venue begins later than it was asked to: there is nothing older.
        assert_eq!(next(TradesPage { cursor: Some(&cursor), ..first }), None);
    }

    #[test]
    fn bars_are_those_of_the_widths_that_there_are() {
        let base = Url::parse("https://api.example/api/v3").expect("a URL");
        let instrument = instrument();
        let page = |width: i64| BarsPage {
            instrument: &instrument,
            width: Width::new(width).expect("a width"),
            from: Nanos(1_788_876_000 * SECOND),
            to: Nanos(1_788_936_060 * SECOND),
            cursor: None,
        };
        let url = |page: &BarsPage<'_>| bars_request(&base, page).map(|request| request.url.to_string());
        let asked = "https://api.example/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=";
        let first = format!("{asked}1788876000000&endTime=1788936059999&limit=1000");
        assert_eq!(url(&page(MINUTE)), Some(first));
        assert_eq!(url(&page(2 * MINUTE)), None);

        let body = r#"[
            [1788876000000,"63020.00","63030.00","63019.90","63025.40","12.50000000",1788876059999,"787815.0000",101,"6.1","384000.2","0"],
            [1788876060000,"63025.40","63025.40","63025.40","63025.40","0.00000000",1788876119999,"0.00",0,"0","0","0"],
            [1788876120000,"x","1","1","1","1",1788876179999,"1",1,"0","0","0"]
        ]"#;
        let mut heard = Heard::default();
        let next = with_context(&instrument, |context| read_bars(body, &page(MINUTE), context, &mut heard));
        assert_eq!(next, Ok(None), "a page that is not full is the last one");
        let bar = VenueBar {
            start: Nanos(1_788_876_000 * SECOND),
            received: RECEIVED,
            open: Price(63_020_000_000_000),
            high: Price(63_030_000_000_000),
            low: Price(63_019_900_000_000),
            close: Price(63_025_400_000_000),
            volume: Size(1_250_000_000),
            vwap: Price(63_025_200_000_000),
            trade_count: 101,
            width_ms: 60_000,
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

        let row = |at: i64| {
            let start = (1_788_876_000 + 60 * at) * 1_000;
            format!(r#"[{start},"1","1","1","1","1",{},"1",1,"0","0","0"]"#, start + 59_999)
        };
        let full: Vec<String> = (0..1_000).map(row).collect();
        let full = format!("[{}]", full.join(","));
        let mut heard = Heard::default();
        let next = with_context(&instrument, |context| read_bars(&full, &page(MINUTE), context, &mut heard));
        let cursor = next.expect("a page").expect("one bar more");
        assert_eq!((cursor.as_str(), heard.events.len()), ("1788936000000", 1_000));
        let second = format!("{asked}1788936000000&endTime=1788936059999&limit=1000");
        assert_eq!(url(&BarsPage { cursor: Some(&cursor), ..page(MINUTE) }), Some(second));
        let all = BarsPage { to: Nanos(1_788_936_000 * SECOND), ..page(MINUTE) };
        let next =
            with_context(&instrument, |context| read_bars(&full, &all, context, &mut Heard::default()));
        assert_eq!(next, Ok(None), "the page reaches its end");
    }
}
