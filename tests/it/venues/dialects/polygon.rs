//! Polygon: a greeting, a key, then topics; every frame an array; past trades forward in time with the address of the next
//! page. Ids are unique for an exchange and a day.

use crate::venues::fake::dialect::{Recording, Refusal};
use crate::venues::fake::{Dialect, Form, HttpAnswer, HttpRequest, Ids, MarketTrade, Past, Session, fill};
use serde_json::Value;

/// Trades of a page: few, so that holes take several.
const PAGE_LEN: usize = 100;

/// The key that it takes.
const KEY: &str = "polygon-key-of-the-tests";

/// Most trades of a frame.
const FRAME_LEN: usize = 20;

/// The dialect.
pub struct Polygon;

const STATUS: &str = r#"{"ev":"status","status":"<status>","message":"<message>"}"#;
const TRADE: &str = r#"{"ev":"T","sym":"<symbol>","x":11,"i":"<id>","z":3,"p":<price>,"s":<size>,"c":[14,41],"t":<ms>,"q":<sequence>}"#;
const PAST_TRADE: &str = r#"{"conditions":[14,41],"exchange":11,"id":"<id>","participant_timestamp":<ns>,"price":<price>,"sequence_number":<sequence>,"sip_timestamp":<ns>,"size":<size>,"tape":3}"#;
const BAR: &str =
    r#"{"v":<volume>,"vw":<vwap>,"o":<open>,"c":<close>,"h":<high>,"l":<low>,"t":<ms>,"n":<count>}"#;
const PAGE: &str =
    r#"{"results":[<rows>],"status":"OK","request_id":"a47d1beb8c11b6ae897ab76cdbbf35a3"<next>}"#;

/// Returns a frame of one status.
fn status(word: &str, message: &str) -> String {
    format!("[{}]", fill(STATUS, &[("status", &word), ("message", &message)]))
}

/// Returns a trade as the stream says it.
fn trade(trade: &MarketTrade) -> String {
    fill(
        TRADE,
        &[
            ("symbol", &trade.symbol),
            ("id", &trade.id),
            ("price", &trade.price),
            ("size", &trade.size),
            ("ms", &(trade.ts / 1_000_000)),
            ("sequence", &(trade.id * 3)),
        ],
    )
}

impl Polygon {
    fn past_trades(request: &HttpRequest, symbol: &str, past: &Past<'_>) -> HttpAnswer {
        let field = |name: &str| request.field(name).map(|text| text.parse::<i64>().unwrap());
        let (from, to) = (field("timestamp.gte").unwrap(), field("timestamp.lt").unwrap_or(i64::MAX));
        assert_eq!((request.field("order"), request.field("sort")), (Some("asc"), Some("timestamp")));
        let skipped = field("cursor").map_or(0, |at| usize::try_from(at).unwrap());
        // What REST has more of than the stream: a part of a millisecond.
        let ns = |trade: &MarketTrade| trade.ts + i64::try_from(trade.id % 1_000_000).unwrap();
        let rows: Vec<String> = past
            .known(symbol)
            .filter(|trade| (from..to).contains(&ns(trade)))
            .skip(skipped)
            .take(PAGE_LEN)
            .map(|trade| {
                fill(
                    PAST_TRADE,
                    &[
                        ("id", &trade.id),
                        ("ns", &ns(trade)),
                        ("price", &trade.price),
                        ("sequence", &(trade.id * 3)),
                        ("size", &trade.size),
                    ],
                )
            })
            .collect();
        let mut next = String::new();
        if rows.len() == PAGE_LEN {
            let cursor = skipped + PAGE_LEN;
            let until = field("timestamp.lt").map(|to| format!("&timestamp.lt={to}")).unwrap_or_default();
            next = format!(
                r#","next_url":"{}/v3/trades/{symbol}?cursor={cursor}&timestamp.gte={from}{until}&order=asc&sort=timestamp""#,
                past.rest_url
            );
        }
        HttpAnswer::ok(fill(PAGE, &[("rows", &rows.join(",")), ("next", &next)]))
    }

    fn bars(path: &str, past: &Past<'_>) -> Option<HttpAnswer> {
        let parts: Vec<&str> = path.strip_prefix("/v2/aggs/ticker/")?.split('/').collect();
        let [symbol, "range", count, unit, from, to] = parts.as_slice() else { return None };
        let unit = match *unit {
            "minute" => 60_000_000_000,
            "second" => 1_000_000_000,
            _ => return None,
        };
        let width = count.parse::<i64>().ok()? * unit;
        let (from, to): (i64, i64) = (from.parse().ok()?, to.parse().ok()?);
        let bars =
            past.bars(symbol, width).into_iter().filter(|bar| (from..=to).contains(&(bar.start / 1_000_000)));
        let rows = bars.map(|bar| {
            fill(
                BAR,
                &[
                    ("volume", &bar.volume),
                    ("vwap", &bar.vwap),
                    ("open", &bar.open),
                    ("close", &bar.close),
                    ("high", &bar.high),
                    ("low", &bar.low),
                    ("ms", &(bar.start / 1_000_000)),
                    ("count", &bar.num_trades),
                ],
            )
        });
        let rows: Vec<String> = rows.collect();
        Some(HttpAnswer::ok(fill(PAGE, &[("rows", &rows.join(",")), ("next", &"")])))
    }
}

impl Dialect for Polygon {
    fn name(&self) -> &'static str {
        "polygon"
    }

    fn symbols(&self) -> [&'static str; 2] {
        ["AMZN", "AAPL"]
    }

    fn ids(&self) -> Ids {
        Ids::Unique
    }

    fn form(&self) -> Form {
        Form { precision: 1_000_000, has_unique_times: false, has_whole_sizes: true }
    }

    fn has_past_trades(&self) -> bool {
        true
    }

    fn recording(&self) -> Recording {
        Recording { file: "eq_nasdaq_amzn_20120621_trades.csv.gz", symbols: vec![("AMZN", "AMZN")] }
    }

    fn keys(&self) -> Vec<(&'static str, &'static str)> {
        vec![("key", KEY)]
    }

    fn greeting(&self, _session: &mut Session) -> Vec<String> {
        vec![status("connected", "Connected Successfully")]
    }

    fn hear(&self, message: &str, session: &mut Session, past: &Past<'_>) -> Vec<String> {
        let asked: Value = serde_json::from_str(message).unwrap();
        let params = asked["params"].as_str().unwrap();
        match asked["action"].as_str() {
            Some("auth") if params == KEY => {
                session.is_authenticated = true;
                vec![status("auth_success", "authenticated")]
            }
            Some("auth") => vec![status("auth_failed", "authentication failed")],
            Some(action @ ("subscribe" | "unsubscribe")) => {
                assert!(session.is_authenticated, "subscribed without a key");
                let topics: Vec<&str> = params.split(',').collect();
                for topic in &topics {
                    let symbol = topic.strip_prefix("T.").expect("trades are asked for");
                    // An unknown ticker is confirmed and brings nothing.
                    if past.symbols.iter().all(|known| known != symbol) {
                        continue;
                    }
                    if action == "subscribe" {
                        session.add(symbol);
                    } else {
                        session.symbols.retain(|known| known != symbol);
                    }
                }
                let said = |topic: &&str| {
                    fill(STATUS, &[("status", &"success"), ("message", &format!("{action}d to: {topic}"))])
                };
                vec![format!("[{}]", topics.iter().map(said).collect::<Vec<_>>().join(","))]
            }
            _ => panic!("no message of this venue: {message}"),
        }
    }

    fn trades(&self, trades: &[&MarketTrade]) -> Vec<String> {
        let frame = |trades: &[&MarketTrade]| {
            format!("[{}]", trades.iter().map(|one| trade(one)).collect::<Vec<_>>().join(","))
        };
        trades.chunks(FRAME_LEN).map(frame).collect()
    }

    fn answer(&self, request: &HttpRequest, past: &Past<'_>) -> HttpAnswer {
        if request.header("authorization") != Some(&format!("Bearer {KEY}")) {
            let said = r#"{"status":"ERROR","request_id":"6a7e","error":"Unknown API Key"}"#;
            return HttpAnswer::with_status("401 Unauthorized", said);
        }
        let ticker = request.path.strip_prefix("/v3/trades/");
        if let Some(symbol) = ticker.filter(|ticker| past.symbols.iter().any(|symbol| symbol == ticker)) {
            return Polygon::past_trades(request, symbol, past);
        }
        Polygon::bars(&request.path, past).unwrap_or_else(|| {
            let said = r#"{"status":"NOT_FOUND","request_id":"6a7e","message":"Data not found."}"#;
            HttpAnswer::with_status("404 Not Found", said)
        })
    }

    fn failure(&self, _status: &str) -> String {
        r#"{"status":"ERROR","request_id":"6a7e","error":"try again"}"#.to_owned()
    }

    fn refusals(&self) -> Vec<Refusal> {
        vec![
            Refusal::Answer(vec![status("auth_failed", "authentication failed")]),
            Refusal::Answer(vec![status("auth_failed", "Your plan doesn't include websocket access.")]),
            Refusal::Answer(vec![status("auth_timeout", "No authentication request received.")]),
            Refusal::Greeting(vec![status(
                "max_connections",
                "Maximum number of websocket connections exceeded. ",
            )]),
        ]
    }

    fn rest_refusals(&self) -> Vec<HttpAnswer> {
        vec![
            HttpAnswer::with_status(
                "401 Unauthorized",
                r#"{"status":"ERROR","request_id":"6a7e","error":"Unknown API Key"}"#,
            ),
            HttpAnswer::with_status(
                "403 Forbidden",
                r#"{"status":"NOT_AUTHORIZED","request_id":"6a7e","message":"You are not entitled to this data."}"#,
            ),
        ]
    }
}
