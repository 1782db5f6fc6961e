//! Binance, spot: combined streams, an answer for each message, no heartbeats; past trades from an id on.

use crate::venues::fake::market::MarketBar;
use crate::venues::fake::{Dialect, Form, HttpAnswer, HttpRequest, Ids, MarketTrade, Past, Session, fill};
use serde_json::Value;
use std::fmt::Display;

/// Nanoseconds of a millisecond.
const MILLISECOND: i64 = 1_000_000;

/// The dialect.
pub struct Binance {
    /// It is asked for the trades of an order at one price together, which here are one each.
    pub is_aggregated: bool,
}

/// What it is asked for by default: every trade.
pub const TRADES: Binance = Binance { is_aggregated: false };
/// The aggregates.
pub const AGGREGATES: Binance = Binance { is_aggregated: true };

const TRADE: &str = r#"{"stream":"<stream>@trade","data":{"e":"trade","E":<time>,"s":"<symbol>","t":<id>,"p":"<price>","q":"<size>","T":<time>,"m":true,"M":true}}"#;
const PAST_TRADE: &str = r#"{"id":<id>,"price":"<price>","qty":"<size>","quoteQty":"48.0","time":<time>,"isBuyerMaker":true,"isBestMatch":true}"#;
const AGGREGATE: &str = r#"{"stream":"<stream>@aggTrade","data":{"e":"aggTrade","E":<time>,"s":"<symbol>","a":<id>,"p":"<price>","q":"<size>","f":<first>,"l":<first>,"T":<time>,"m":true,"M":true}}"#;
const PAST_AGGREGATE: &str =
    r#"{"a":<id>,"p":"<price>","q":"<size>","f":<first>,"l":<first>,"T":<time>,"m":true,"M":true}"#;
const BAR: &str =
    r#"[<start>,"<open>","<high>","<low>","<close>","<volume>",<end>,"<notional>",<count>,"0","0","0"]"#;
const SYMBOL: &str = r#"{"symbol":"<symbol>","status":"TRADING","baseAsset":"<base>","quoteAsset":"<quote>","filters":[{"filterType":"PRICE_FILTER","tickSize":"0.00000100"},{"filterType":"LOT_SIZE","stepSize":"0.00000001"}]}"#;

/// Returns the venue's spelling: `BTCUSDT`.
fn spelled(symbol: &str) -> String {
    symbol.replace('-', "")
}

impl Binance {
    fn channel(&self) -> &'static str {
        if self.is_aggregated { "aggTrade" } else { "trade" }
    }

    /// Returns a trade as the stream says it.
    fn frame(&self, trade: &MarketTrade) -> String {
        let symbol = spelled(&trade.symbol);
        let own = [("stream", symbol.to_lowercase()), ("symbol", symbol)];
        let own: Vec<(&str, &dyn Display)> = own.iter().map(|(name, text)| (*name, text as _)).collect();
        let template = fill(if self.is_aggregated { AGGREGATE } else { TRADE }, &own);
        self.say(&template, trade)
    }

    /// Fills in what the stream and a page have in common.
    fn say(&self, template: &str, trade: &MarketTrade) -> String {
        let MarketTrade { id, price, size, .. } = trade;
        let time = trade.ts / MILLISECOND;
        let text = fill(template, &[("id", id), ("price", price), ("size", size), ("time", &time)]);
        // The ids of trades are others than those of their aggregates.
        if self.is_aggregated { fill(&text, &[("first", &(id * 3))]) } else { text }
    }
}

impl Dialect for Binance {
    fn name(&self) -> &'static str {
        "binance"
    }

    fn symbols(&self) -> [&'static str; 2] {
        ["BTC-USDT", "ETH-USDT"]
    }

    fn ids(&self) -> Ids {
        Ids::Consecutive
    }

    fn form(&self) -> Form {
        Form { precision: MILLISECOND, has_unique_times: false, has_whole_sizes: false }
    }

    fn has_past_trades(&self) -> bool {
        true
    }

    fn section(&self, stream_url: &str, rest_url: &str) -> Vec<(&'static str, String)> {
        let urls = [("stream_url", stream_url.to_owned()), ("rest_url", rest_url.to_owned())];
        urls.into_iter().chain([("channels", self.channel().to_owned())]).collect()
    }

    fn hear(&self, message: &str, session: &mut Session, past: &Past<'_>) -> Vec<String> {
        let asked: Value = serde_json::from_str(message).unwrap();
        assert_eq!(session.target, "/stream", "combined streams");
        for stream in asked["params"].as_array().unwrap() {
            let (name, channel) = stream.as_str().unwrap().split_once('@').unwrap();
            assert_eq!(channel, self.channel(), "{message}");
            // A stream of an unknown symbol is confirmed, and says nothing.
            let Some(symbol) = past.symbols.iter().find(|symbol| spelled(symbol).to_lowercase() == name)
            else {
                continue;
            };
            match asked["method"].as_str() {
                Some("SUBSCRIBE") => session.add(symbol),
                Some("UNSUBSCRIBE") => session.symbols.retain(|known| known != symbol),
                _ => panic!("no message of this venue: {message}"),
            }
        }
        vec![format!(r#"{{"result":null,"id":{}}}"#, asked["id"])]
    }

    fn trades(&self, trades: &[&MarketTrade]) -> Vec<String> {
        trades.iter().map(|trade| self.frame(trade)).collect()
    }

    fn answer(&self, request: &HttpRequest, past: &Past<'_>) -> HttpAnswer {
        let path = request.path.strip_prefix("/api/v3/").unwrap_or_default();
        if path == "exchangeInfo" {
            let symbol = |symbol: &String| {
                let (base, quote) = symbol.split_once('-').unwrap();
                fill(SYMBOL, &[("symbol", &spelled(symbol)), ("base", &base), ("quote", &quote)])
            };
            let symbols: Vec<String> = past.symbols.iter().map(symbol).collect();
            return HttpAnswer::ok(format!(r#"{{"timezone":"UTC","symbols":[{}]}}"#, symbols.join(",")));
        }
        let asked = request.field("symbol").unwrap_or_default();
        let Some(symbol) = past.symbols.iter().find(|symbol| spelled(symbol) == asked) else {
            return HttpAnswer::with_status("400 Bad Request", r#"{"code":-1121,"msg":"Invalid symbol."}"#);
        };
        let number = |name: &str| request.field(name).map(|text| text.parse::<i64>().unwrap());
        let limit = number("limit").unwrap_or(500).min(1_000) as usize;
        let rows: Vec<String> = match path {
            "historicalTrades" | "aggTrades" => {
                assert_eq!(path == "aggTrades", self.is_aggregated);
                let template = if self.is_aggregated { PAST_AGGREGATE } else { PAST_TRADE };
                let known: Vec<&MarketTrade> = past.known(symbol).collect();
                let from = number("fromId").map_or_else(
                    || known.len().saturating_sub(limit),
                    |id| known.partition_point(|trade| trade.id < id.unsigned_abs()),
                );
                known[from..].iter().take(limit).map(|trade| self.say(template, trade)).collect()
            }
            "klines" => {
                let minutes = request.field("interval").and_then(|name| name.strip_suffix('m')).unwrap();
                let width = minutes.parse::<i64>().unwrap() * 60_000 * MILLISECOND;
                let span =
                    number("startTime").unwrap() * MILLISECOND..=number("endTime").unwrap() * MILLISECOND;
                let bars = past.bars(symbol, width);
                let wanted = bars.iter().filter(|bar| span.contains(&bar.start));
                wanted.take(limit).map(|bar| bar_row(bar, width)).collect()
            }
            _ => return HttpAnswer::with_status("404 Not Found", ""),
        };
        HttpAnswer::ok(format!("[{}]", rows.join(",")))
    }

    fn failure(&self, _status: &str) -> String {
        r#"{"code":-1001,"msg":"Internal error; unable to process your request. Please try again."}"#
            .to_owned()
    }
}

fn bar_row(bar: &MarketBar, width: i64) -> String {
    let notional = bar.vwap.parse::<f64>().unwrap() * bar.volume.parse::<f64>().unwrap();
    fill(
        BAR,
        &[
            ("start", &(bar.start / MILLISECOND)),
            ("open", &bar.open),
            ("high", &bar.high),
            ("low", &bar.low),
            ("close", &bar.close),
            ("volume", &bar.volume),
            ("end", &((bar.start + width) / MILLISECOND - 1)),
            ("notional", &format!("{notional:.8}")),
            ("count", &bar.num_trades),
        ],
    )
}
