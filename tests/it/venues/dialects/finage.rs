//! Finage: greets, takes one message, acknowledges nothing; trades without ids; bars over REST by days.

use crate::venues::fake::{
    Dialect, Form, HttpAnswer, HttpRequest, Ids, MarketTrade, Past, Refusal, Session, fill,
};
use serde_json::Value;

/// The dialect.
pub struct Finage;

/// Nanoseconds of a millisecond.
const MILLISECOND: i64 = 1_000_000;
/// Nanoseconds of a minute.
const MINUTE: i64 = 60_000 * MILLISECOND;

const SOCKET_KEY: &str = "finage-socket-4f1c9";
const KEY: &str = "finage-rest-77ab2";

const AUTHORIZING: &str =
    r#"{"status_code":200,"message":"authorizing","id":"e0fb1b68-1905-48e3-9fd2-d482bf5e1f0a"}"#;
const CONNECTED: &str =
    r#"{"status_code":200,"message":"connected to the adapter","id":"e0fb1b68-1905-48e3-9fd2-d482bf5e1f0a"}"#;
const TRADE: &str = r#"{"s":"<symbol>","p":<price>,"c":[37],"v":<size>,"dp":false,"t":<time>}"#;
const BAR: &str = r#"{"o":<open>,"h":<high>,"l":<low>,"c":<close>,"v":<volume>,"t":<start>}"#;
const BARS: &str = r#"{"symbol":"<symbol>","totalResults":<count>,"results":[<rows>]}"#;

impl Dialect for Finage {
    fn name(&self) -> &'static str {
        "finage"
    }

    fn symbols(&self) -> [&'static str; 2] {
        ["AAPL", "MSFT"]
    }

    fn ids(&self) -> Ids {
        Ids::None
    }

    fn form(&self) -> Form {
        Form { precision: MILLISECOND, has_unique_times: true, has_whole_sizes: true }
    }

    fn has_past_trades(&self) -> bool {
        false
    }

    fn keys(&self) -> Vec<(&'static str, &'static str)> {
        vec![("socket_key", SOCKET_KEY), ("key", KEY)]
    }

    fn greeting(&self, session: &mut Session) -> Vec<String> {
        session.is_authenticated = session.target.contains(&format!("token={SOCKET_KEY}"));
        let refused = r#"{"status_code":401,"message":"invalid socket key"}"#;
        let said = if session.is_authenticated { CONNECTED } else { refused };
        vec![AUTHORIZING.to_owned(), said.to_owned()]
    }

    fn hear(&self, message: &str, session: &mut Session, _past: &Past<'_>) -> Vec<String> {
        let asked: Value = serde_json::from_str(message).unwrap();
        let symbols = asked["symbols"].as_str().unwrap().split(',');
        match asked["action"].as_str() {
            Some("subscribe") if session.is_authenticated => symbols.for_each(|symbol| session.add(symbol)),
            Some("unsubscribe") => {
                let symbols: Vec<&str> = symbols.collect();
                session.symbols.retain(|symbol| !symbols.contains(&symbol.as_str()));
            }
            _ => panic!("no message of this venue: {message}"),
        }
        Vec::new()
    }

    fn trades(&self, trades: &[&MarketTrade]) -> Vec<String> {
        let frame = |trade: &&MarketTrade| {
            fill(
                TRADE,
                &[
                    ("symbol", &trade.symbol),
                    ("price", &trade.price),
                    ("size", &trade.size),
                    ("time", &(trade.ts / MILLISECOND)),
                ],
            )
        };
        trades.iter().map(frame).collect()
    }

    fn answer(&self, request: &HttpRequest, past: &Past<'_>) -> HttpAnswer {
        let has_gzip = request.header("accept-encoding").is_some_and(|accepted| accepted.contains("gzip"));
        if !has_gzip {
            return HttpAnswer::with_status("406 Not Acceptable", r#"{"error":"GZip compression required"}"#);
        }
        if request.field("apikey") != Some(KEY) {
            return self.rest_refusals().remove(0);
        }
        let parts: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
        let ["agg", "stock", symbol, count, "minute", _, _] = parts[..] else {
            return HttpAnswer::with_status(
                "400 Bad Request",
                r#"{"error":"Please check the symbol and try again."}"#,
            );
        };
        let bars = past.bars(symbol, count.parse::<i64>().unwrap() * MINUTE);
        let rows: Vec<String> = bars
            .iter()
            .map(|bar| {
                fill(
                    BAR,
                    &[
                        ("open", &bar.open),
                        ("high", &bar.high),
                        ("low", &bar.low),
                        ("close", &bar.close),
                        ("volume", &bar.volume),
                        ("start", &(bar.start / MILLISECOND)),
                    ],
                )
            })
            .collect();
        HttpAnswer::ok(fill(BARS, &[("symbol", &symbol), ("count", &rows.len()), ("rows", &rows.join(","))]))
    }

    fn refusals(&self) -> Vec<Refusal> {
        let greeting = |message: &str| {
            Refusal::Greeting(vec![
                AUTHORIZING.to_owned(),
                fill(r#"{"status_code":401,"message":"<message>"}"#, &[("message", &message)]),
            ])
        };
        vec![
            greeting("invalid socket key"),
            greeting("use your socket key to connect"),
            greeting("please upgrade your package to access this market"),
            Refusal::Upgrade("401 Unauthorized", "invalid socket key"),
            Refusal::Close(1008, "invalid socket key"),
        ]
    }

    fn rest_refusals(&self) -> Vec<HttpAnswer> {
        [
            "Please use your APIKey to make a request.",
            "You do not have permission to make a request to this endpoint.",
        ]
        .map(|error| {
            HttpAnswer::with_status(
                "406 Not Acceptable",
                fill(r#"{"error":"<error>"}"#, &[("error", &error)]),
            )
        })
        .to_vec()
    }
}
