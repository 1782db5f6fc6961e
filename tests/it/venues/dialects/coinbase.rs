//! Coinbase, its Exchange feed: one message subscribes, heartbeats a second, past trades backwards by id.

use crate::venues::fake::market::{MarketBar, SECOND, rfc3339};
use crate::venues::fake::{
    Clock, Dialect, Form, HttpAnswer, HttpRequest, Ids, MarketTrade, Past, Session, fill,
};
use serde_json::Value;

/// Trades of a page: few, so that holes take several.
const PAGE_LEN: usize = 100;

/// Bars of a page.
const CANDLES_MAX: usize = 300;

/// The dialect.
pub struct Coinbase;

const TRADE: &str = r#"{"type":"<kind>","trade_id":<id>,"sequence":<sequence>,"maker_order_id":"ac928c66-ca53-498f-9c13-a110027a60e8","taker_order_id":"132fb6ae-456b-4654-b4e0-d681ac05cea1","time":"<time>","product_id":"<product>","size":"<size>","price":"<price>","side":"sell"}"#;
const HEARTBEAT: &str =
    r#"{"type":"heartbeat","sequence":90,"last_trade_id":<id>,"product_id":"<product>","time":"<time>"}"#;
const SUBSCRIPTIONS: &str = r#"{"type":"subscriptions","channels":[{"name":"matches","product_ids":[<products>]},{"name":"heartbeat","product_ids":[<products>]}]}"#;
const PRODUCT: &str =
    r#"{"id":"<product>","quote_increment":"0.01","base_increment":"0.00000001","status":"online"}"#;
const PAST_TRADE: &str =
    r#"{"time":"<time>","trade_id":<id>,"price":"<price>","size":"<size>","side":"sell"}"#;

/// Returns a trade as the stream says it: `match` or `last_match`.
pub fn frame(trade: &MarketTrade, kind: &str) -> String {
    fill(
        TRADE,
        &[
            ("kind", &kind),
            ("id", &trade.id),
            ("sequence", &(trade.id * 7)),
            ("time", &rfc3339(trade.ts, 6)),
            ("product", &trade.symbol),
            ("size", &trade.size),
            ("price", &trade.price),
        ],
    )
}

/// Answers with bars, newest first: `[time, low, high, open, close, volume]`.
fn candles(symbol: &str, request: &HttpRequest, past: &Past<'_>) -> HttpAnswer {
    let width: i64 = request.field("granularity").unwrap_or("60").parse().unwrap();
    let time = |name: &str| {
        let text = request.field(name)?;
        let seconds = || chrono::DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp());
        text.parse().ok().or_else(seconds)
    };
    let (from, to) = (time("start").unwrap_or(i64::MIN), time("end").unwrap_or(i64::MAX));
    let mut bars = past.bars(symbol, width * SECOND);
    bars.retain(|bar| (from..=to).contains(&(bar.start / SECOND)));
    if bars.len() > CANDLES_MAX {
        let said =
            "granularity too small for the requested time range. Count of aggregations requested exceeds 300";
        return HttpAnswer::with_status(
            "400 Bad Request",
            fill(r#"{"message":"<said>"}"#, &[("said", &said)]),
        );
    }
    let candle = |bar: &MarketBar| {
        let MarketBar { start, open, high, low, close, volume, .. } = bar;
        format!("[{},{low},{high},{open},{close},{volume}]", start / SECOND)
    };
    HttpAnswer::ok(format!("[{}]", bars.iter().rev().map(candle).collect::<Vec<_>>().join(",")))
}

impl Dialect for Coinbase {
    fn name(&self) -> &'static str {
        "coinbase"
    }

    fn symbols(&self) -> [&'static str; 2] {
        ["BTC-USD", "ETH-USD"]
    }

    fn ids(&self) -> Ids {
        Ids::Consecutive
    }

    fn form(&self) -> Form {
        Form { precision: 1_000, has_unique_times: false, has_whole_sizes: false }
    }

    fn has_past_trades(&self) -> bool {
        true
    }

    fn clock(&self) -> Clock {
        Clock::Told
    }

    fn hear(&self, message: &str, session: &mut Session, past: &Past<'_>) -> Vec<String> {
        let asked: Value = serde_json::from_str(message).unwrap();
        let names = asked["product_ids"].as_array().unwrap();
        let names = past.symbols.iter().filter(|symbol| names.iter().any(|name| name == symbol.as_str()));
        match asked["type"].as_str() {
            Some("subscribe") => names.for_each(|name| session.add(name)),
            Some("unsubscribe") => names.for_each(|name| session.symbols.retain(|symbol| symbol != name)),
            _ => panic!("no message of this venue: {message}"),
        }
        let products: Vec<String> = session.symbols.iter().map(|name| format!("\"{name}\"")).collect();
        let mut said = vec![fill(SUBSCRIPTIONS, &[("products", &products.join(","))])];
        let last = session.symbols.iter().filter_map(|symbol| past.last(symbol));
        said.extend(last.map(|trade| frame(trade, "last_match")));
        said
    }

    fn trades(&self, trades: &[&MarketTrade]) -> Vec<String> {
        trades.iter().map(|trade| frame(trade, "match")).collect()
    }

    fn heartbeat(&self, session: &Session, past: &Past<'_>) -> Vec<String> {
        let beat = |symbol: &String| {
            let id = past.last(symbol).map_or(0, |trade| trade.id);
            fill(HEARTBEAT, &[("id", &id), ("product", symbol), ("time", &rfc3339(past.now, 6))])
        };
        session.symbols.iter().map(beat).collect()
    }

    fn answer(&self, request: &HttpRequest, past: &Past<'_>) -> HttpAnswer {
        if request.header("user-agent").is_none() {
            let said = r#"{"message":"User-Agent header is required."}"#;
            return HttpAnswer::with_status("400 Bad Request", said);
        }
        if request.path == "/products" {
            let products: Vec<String> =
                past.symbols.iter().map(|symbol| fill(PRODUCT, &[("product", symbol)])).collect();
            return HttpAnswer::ok(format!("[{}]", products.join(",")));
        }
        let product = request.path.strip_prefix("/products/").and_then(|rest| rest.split_once('/'));
        let Some((symbol, what)) = product.filter(|(name, _)| past.symbols.iter().any(|one| one == name))
        else {
            return HttpAnswer::with_status("404 Not Found", r#"{"message":"NotFound"}"#);
        };
        if what == "candles" {
            return candles(symbol, request, past);
        }
        let older_than: u64 = request.field("after").map_or(u64::MAX, |id| id.parse().unwrap());
        let page = past.known(symbol).rev().filter(|trade| trade.id < older_than).take(PAGE_LEN);
        let trade = |trade: &MarketTrade| {
            fill(
                PAST_TRADE,
                &[
                    ("time", &rfc3339(trade.ts, 6)),
                    ("id", &trade.id),
                    ("price", &trade.price),
                    ("size", &trade.size),
                ],
            )
        };
        HttpAnswer::ok(format!("[{}]", page.map(trade).collect::<Vec<_>>().join(",")))
    }

    fn failure(&self, _status: &str) -> String {
        r#"{"message":"try again"}"#.to_owned()
    }
}
