//! Past trades over REST, and past quotes of forex, where there are no trades.
//!
//! The venue takes back and corrects trades in its past ones, where a code marks them; its stream says nothing of it.
//! A trade that is marked as taken back becomes a cancel, since it may have come over the stream; one that is marked as
//! corrected stands corrected in its row, and becomes a correction of itself; the records of these deeds are no trades.
//! The codes are those of the tape's own history files, and no source of the venue's confirms them.

use super::super::pairs::Market;
use super::identity::Identity;
use super::parse::{self, PRECISION, Parser, TradeTexts};
use super::rest::{Envelope, next_request, request};
use super::symbols::{market_of, ticker};
use crate::actors::ingest::config::behind;
use crate::actors::ingest::venue::{Context, Cursor, FrameFault, Heard, Request, TradesPage, VenueEvent};
use crate::actors::ingest::venues::text::{number, object};
use crate::models::entry::{Body, Cancel, Correction, Entry, Trade};
use crate::models::time::Nanos;
use crate::secret::Secret;
use reqwest::Url;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Rows of a page. The venue gives 50,000, which may be more than an answer may be long.
const PAGE_LEN: &str = "20000";

/// A row of past trades.
#[derive(Debug, Deserialize)]
struct PastTrade<'a> {
    #[serde(default, borrow)]
    price: Option<&'a RawValue>,
    #[serde(default, borrow)]
    size: Option<&'a RawValue>,
    #[serde(default, borrow)]
    decimal_size: Option<&'a RawValue>,
    #[serde(default, borrow)]
    exchange: Option<&'a RawValue>,
    #[serde(default, borrow)]
    trf_id: Option<&'a RawValue>,
    #[serde(default, borrow)]
    id: Option<&'a RawValue>,
    #[serde(default, borrow)]
    conditions: Option<&'a RawValue>,
    #[serde(default, borrow)]
    correction: Option<&'a RawValue>,
    #[serde(default, borrow)]
    sip_timestamp: Option<&'a RawValue>,
    #[serde(default, borrow)]
    participant_timestamp: Option<&'a RawValue>,
    #[serde(default, borrow)]
    sequence_number: Option<&'a RawValue>,
}

/// A row of past quotes of forex.
#[derive(Debug, Deserialize)]
struct PastQuote<'a> {
    #[serde(default, borrow)]
    bid_price: Option<&'a RawValue>,
    #[serde(default, borrow)]
    ask_price: Option<&'a RawValue>,
    #[serde(default, borrow)]
    participant_timestamp: Option<&'a RawValue>,
}

/// Returns where a page is.
pub(super) fn trades_request(rest_url: &Url, page: &TradesPage<'_>, key: Option<&Secret>) -> Option<Request> {
    if let Some(cursor) = page.cursor {
        return next_request(rest_url, cursor, key);
    }
    let venue_symbol = &page.instrument.venue_symbol;
    let kind = if market_of(venue_symbol) == Market::Forex { "quotes" } else { "trades" };
    let mut url = behind(rest_url, &["v3", kind, &ticker(venue_symbol)]);
    let cut = |time: Nanos| time.0 - time.0.rem_euclid(PRECISION);
    let mut query = url.query_pairs_mut();
    query.append_pair("timestamp.gte", &cut(page.since).max(0).to_string());
    if let Some(until) = page.until {
        // Trades of the last millisecond stand at its beginning for us.
        query.append_pair("timestamp.lt", &cut(until.plus(PRECISION - 1)).max(0).to_string());
    }
    query.extend_pairs([("order", "asc"), ("sort", "timestamp"), ("limit", PAGE_LEN)]);
    drop(query);
    Some(request(url, key))
}

/// Reads a page.
pub(super) fn read_trades(
    parser: &Parser,
    rest_url: &Url,
    body: &str,
    page: &TradesPage<'_>,
    context: &Context<'_>,
    heard: &mut Heard,
) -> Result<Option<Cursor>, FrameFault> {
    let envelope = Envelope::read(body, "page of trades")?;
    let is_forex = market_of(&page.instrument.venue_symbol) == Market::Forex;
    for row in envelope.results.iter().flatten() {
        let read = if is_forex {
            past_quote(row, page, context, heard).map(Some)
        } else {
            past_trade(parser, row, page, context, heard)
        };
        match read {
            Ok(Some(entry)) => heard.events.push(VenueEvent::Report(entry)),
            Ok(None) => heard.num_ignored += 1,
            Err(fault) => heard.faults.push(fault),
        }
    }
    envelope.next(rest_url, page.cursor)
}

/// Reads a row; `None` for the record of a deed.
fn past_trade(
    parser: &Parser,
    row: &RawValue,
    page: &TradesPage<'_>,
    context: &Context<'_>,
    heard: &mut Heard,
) -> Result<Option<Entry>, FrameFault> {
    let row: PastTrade<'_> = object("trade", row.get())?;
    let first = |one, other| if number(one).is_empty() { number(other) } else { number(one) };
    let texts = TradeTexts {
        identity: Identity {
            exchange: number(row.exchange),
            facility: number(row.trf_id),
            id: number(row.id),
        },
        price: number(row.price),
        size: first(row.decimal_size, row.size),
        // Crypto has the exchange's time alone.
        time: first(row.sip_timestamp, row.participant_timestamp),
        seq: number(row.sequence_number),
        conditions: number(row.conditions),
    };
    let trade = parser.read_trade(&texts, page.instrument, context, heard)?;
    let body = match number(row.correction) {
        // Corrected later: the row holds what is right.
        "1" | "01" => Body::Correction(Correction { target: trade.id, trade }),
        // An error, or cancelled.
        "7" | "07" | "8" | "08" => {
            let Trade { ts, received, id: target, source, .. } = trade;
            Body::Cancel(Cancel { ts, received, target, source })
        }
        // The records of a cancel, an error, a correction.
        "10" | "11" | "12" => return Ok(None),
        _ => Body::Trade(trade),
    };
    Ok(Some(Entry { pos: 0, symbol: page.instrument.symbol, body }))
}

fn past_quote(
    row: &RawValue,
    page: &TradesPage<'_>,
    context: &Context<'_>,
    heard: &mut Heard,
) -> Result<Entry, FrameFault> {
    let row: PastQuote<'_> = object("quote", row.get())?;
    let sides = [number(row.bid_price), "", number(row.ask_price), ""];
    parse::quote(page.instrument, number(row.participant_timestamp), sides, context, heard)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{context, instruments, parser, read};
    use super::*;
    use crate::actors::ingest::venue::Instruments;

    const SINCE: Nanos = Nanos(1_788_876_818_784_500_000);

    fn base() -> Url {
        Url::parse("https://api.massive.com").expect("a URL")
    }

    fn page<'a>(instruments: &'a Instruments, at: usize, cursor: Option<&'a Cursor>) -> TradesPage<'a> {
        let (instrument, until) = (&instruments.all()[at], Some(SINCE.plus(PRECISION)));
        TradesPage { instrument, after: None, before: None, since: SINCE, until, cursor }
    }

    fn rows(at: usize, rows: &str) -> Heard {
        let (instruments, mut heard) = (instruments(), Heard::default());
        let body = format!(r#"{{"status":"OK","request_id":"a47d","results":[{rows}]}}"#);
        let next = read_trades(
            &parser(""),
            &base(),
            &body,
            &page(&instruments, at, None),
            &context(&instruments),
            &mut heard,
        );
        assert_eq!(next, Ok(None));
        heard
    }

    #[test]
    fn pages_go_forward_in_time_and_cover_whole_milliseconds() {
        let instruments = instruments();
        let key = Secret::new("KEY".to_owned());
        let query = "timestamp.gte=1788876818784000000&timestamp.lt=1788876818786000000&order=asc&sort=timestamp&limit=20000";
        for (at, path) in [(0, "v3/trades/MSFT"), (2, "v3/trades/X:BTCUSD"), (3, "v3/quotes/C:EURUSD")] {
            let request =
                trades_request(&base(), &page(&instruments, at, None), Some(&key)).expect("a request");
            assert_eq!(request.url.as_str(), format!("https://api.massive.com/{path}?{query}"));
            assert_eq!(request.headers, [("authorization", "Bearer KEY".to_owned())]);
        }
        let open = TradesPage { until: None, ..page(&instruments, 0, None) };
        let url = trades_request(&base(), &open, None).expect("a request").url;
        assert!(!url.as_str().contains("timestamp.lt"), "{url}");
        let next = "https://api.massive.com/v3/trades/MSFT?cursor=YWN0".to_owned();
        let url = trades_request(&base(), &page(&instruments, 0, Some(&next)), None).expect("a request").url;
        assert_eq!(url.as_str(), next);
    }

    #[test]
    fn a_row_is_the_trade_of_the_stream_to_the_last_bit() {
        let stream = read(
            r#"[{"ev":"T","sym":"MSFT","x":4,"i":"12345","z":3,"p":414.125,"s":100,"ds":"100.25","c":[12,37],"t":1788876818784,"q":3681328,"trfi":202}]"#,
        );
        let row = r#"{"conditions":[12,37],"exchange":4,"id":"12345","participant_timestamp":1788876818771000000,"price":414.1250,"sequence_number":3681328,"sip_timestamp":1788876818784999999,"size":100,"decimal_size":"100.25","tape":3,"trf_id":202,"trf_timestamp":1788876818771000000}"#;
        assert_eq!(rows(0, row).events, stream.events);
        let stream = read(
            r#"[{"ev":"XT","pair":"BTC-USD","p":63021.9,"t":1788876007425,"s":0.01616617,"c":[2],"i":"14272084","x":3,"r":1788876007576}]"#,
        );
        let row = r#"{"conditions":[2],"exchange":3,"id":"14272084","participant_timestamp":1788876007425999999,"price":63021.90,"size":1.616617e-2}"#;
        assert_eq!(rows(2, row).events, stream.events);
        let stream = read(r#"[{"ev":"C","p":"EUR/USD","x":"44","a":1.09229,"b":1.09227,"t":1788876818784}]"#);
        let row = r#"{"ask_exchange":44,"ask_price":1.09229,"bid_exchange":44,"bid_price":1.09227,"participant_timestamp":1788876818784123456}"#;
        assert_eq!(rows(3, row).events, stream.events);
    }

    #[test]
    fn a_mark_says_what_became_of_a_trade() {
        let row = |code: &str| {
            format!(
                r#"{{"exchange":11,"id":"1","price":171.55,"sequence_number":1063,"sip_timestamp":1788876818784036600,"size":100,"correction":{code}}}"#
            )
        };
        let body = |code: &str| match rows(0, &row(code)).events.as_slice() {
            [VenueEvent::Report(entry)] => Some(entry.body),
            [] => None,
            other => panic!("{other:?}"),
        };
        let Some(Body::Trade(trade)) = body("0") else { panic!("a trade") };
        for code in ["null", "\"00\"", "99"] {
            assert_eq!(body(code), Some(Body::Trade(trade)), "{code}");
        }
        assert_eq!(body("1"), Some(Body::Correction(Correction { target: trade.id, trade })));
        let Trade { ts, received, id: target, source, .. } = trade;
        for code in ["7", "8", "\"08\""] {
            assert_eq!(body(code), Some(Body::Cancel(Cancel { ts, received, target, source })), "{code}");
        }
        for code in ["10", "11", "12"] {
            assert_eq!((body(code), rows(0, &row(code)).num_ignored), (None, 1), "{code}");
        }
    }

    #[test]
    fn one_bad_row_costs_itself_alone() {
        let good = r#"{"exchange":11,"id":"1","price":171.55,"sequence_number":1063,"sip_timestamp":1788876818784036600,"size":100}"#;
        for (bad, kind) in [
            ("5", "malformed"),
            ("{}", "bad_time"),
            (&good.replace("171.55", "\"x\"")[..], "bad_price"),
            (&good.replace(":100", ":[]"), "bad_size"),
        ] {
            let heard = rows(0, &format!("{bad},{good}"));
            assert_eq!(heard.faults.iter().map(|fault| fault.kind).collect::<Vec<_>>(), [kind], "{bad}");
            assert_eq!(heard.events.len(), 1, "{bad}");
        }
    }
}
