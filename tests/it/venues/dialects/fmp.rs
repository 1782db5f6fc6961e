//! FMP: a login, one message for all symbols, heartbeats; trades without ids; bars over REST in New York's time.

use crate::venues::fake::{
    Dialect, Form, HttpAnswer, HttpRequest, Ids, MarketTrade, Past, Refusal, Session, fill,
};
use chrono::{TimeZone, Utc};
use serde_json::Value;

/// The dialect.
pub struct Fmp;

/// Nanoseconds of a minute.
const MINUTE: i64 = 60_000_000_000;

const KEY: &str = "fmp-key-90d3e";

const TRADE: &str = r#"{"s":"<symbol>","t":<time>,"type":"T","lp":<price>,"ls":<size>}"#;
const BAR: &str =
    r#"{"date":"<date>","open":<open>,"low":<low>,"high":<high>,"close":<close>,"volume":<volume>}"#;
const STATUS: &str = r#"{"event":"<event>","status":<status>,"message":"<message>"}"#;

fn status(event: &str, status: u16, message: &str) -> String {
    fill(STATUS, &[("event", &event), ("status", &status), ("message", &message)])
}

impl Dialect for Fmp {
    fn name(&self) -> &'static str {
        "fmp"
    }

    fn symbols(&self) -> [&'static str; 2] {
        ["AAPL", "MSFT"]
    }

    fn ids(&self) -> Ids {
        Ids::None
    }

    fn form(&self) -> Form {
        Form { precision: 1, has_unique_times: true, has_whole_sizes: true }
    }

    fn has_past_trades(&self) -> bool {
        false
    }

    fn keys(&self) -> Vec<(&'static str, &'static str)> {
        vec![("key", KEY)]
    }

    fn hear(&self, message: &str, session: &mut Session, past: &Past<'_>) -> Vec<String> {
        let asked: Value = serde_json::from_str(message).unwrap();
        let tickers = asked["data"]["ticker"].as_array().cloned().unwrap_or_default();
        let tickers: Vec<&str> = tickers.iter().map(|ticker| ticker.as_str().unwrap()).collect();
        let spelled = |symbol: &&String| tickers.contains(&symbol.to_lowercase().as_str());
        match asked["event"].as_str() {
            Some("login") if asked["data"]["apiKey"] == KEY => {
                session.is_authenticated = true;
                vec![status("login", 200, "Authenticated")]
            }
            Some("login") => vec![status("login", 401, "Unauthorized")],
            Some("subscribe") if session.is_authenticated => {
                past.symbols.iter().filter(spelled).for_each(|symbol| session.add(symbol));
                vec![status("subscribe", 200, &format!("Subscribed to [{}]", tickers.join(", ")))]
            }
            Some("unsubscribe") => {
                session.symbols.retain(|symbol| !spelled(&symbol));
                vec![status("unsubscribe", 200, "Unsubscribed")]
            }
            _ => vec![status("subscribe", 401, "Unauthorized")],
        }
    }

    fn trades(&self, trades: &[&MarketTrade]) -> Vec<String> {
        let frame = |trade: &&MarketTrade| {
            fill(
                TRADE,
                &[
                    ("symbol", &trade.symbol.to_lowercase()),
                    ("time", &trade.ts),
                    ("price", &trade.price),
                    ("size", &trade.size),
                ],
            )
        };
        trades.iter().map(frame).collect()
    }

    fn heartbeat(&self, _session: &Session, _past: &Past<'_>) -> Vec<String> {
        vec![r#"{"event":"heartbeat"}"#.to_owned()]
    }

    fn answer(&self, request: &HttpRequest, past: &Past<'_>) -> HttpAnswer {
        if request.header("apikey") != Some(KEY) {
            return self.rest_refusals().remove(0);
        }
        let minutes = match request.path.as_str() {
            "/stable/historical-chart/1min" => 1,
            "/stable/historical-chart/5min" => 5,
            "/stable/historical-chart/15min" => 15,
            _ => return HttpAnswer::with_status("404 Not Found", "[]"),
        };
        let bars = past.bars(request.field("symbol").unwrap_or_default(), minutes * MINUTE);
        let row = |bar: &crate::venues::fake::market::MarketBar| {
            let local = Utc.timestamp_nanos(bar.start).with_timezone(&chrono_tz::America::New_York);
            fill(
                BAR,
                &[
                    ("date", &local.format("%Y-%m-%d %H:%M:%S")),
                    ("open", &bar.open),
                    ("low", &bar.low),
                    ("high", &bar.high),
                    ("close", &bar.close),
                    ("volume", &bar.volume),
                ],
            )
        };
        HttpAnswer::ok(format!("[{}]", bars.iter().rev().map(row).collect::<Vec<_>>().join(",")))
    }

    fn refusals(&self) -> Vec<Refusal> {
        let answer = |message: &str| Refusal::Answer(vec![status("login", 401, message)]);
        vec![
            answer("Unauthorized"),
            answer("You are not authorized to use the websocket"),
            answer("Connected from another location"),
            Refusal::Upgrade("401 Unauthorized", ""),
        ]
    }

    fn rest_refusals(&self) -> Vec<HttpAnswer> {
        vec![
            HttpAnswer::with_status(
                "401 Unauthorized",
                r#"{"Error Message":"Invalid API KEY. Feel free to create a Free API Key or visit the documentation"}"#,
            ),
            HttpAnswer::with_status(
                "403 Forbidden",
                r#"{"Error Message":"Exclusive Endpoint : This endpoint is not available under your current subscription agreement"}"#,
            ),
            HttpAnswer::with_status("402 Payment Required", "Premium Query Parameter: upgrade"),
            HttpAnswer::ok(r#"{"Error Message":"Limit Reach . Please upgrade your plan"}"#),
        ]
    }
}
