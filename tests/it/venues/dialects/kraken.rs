//! Kraken, spot v2: a status unasked, an answer for each symbol, heartbeats without a time, past trades forwards by time.
//! REST has older names of coins, and seven digits behind the second.

use crate::venues::fake::market::{MarketBar, SECOND, rfc3339};
use crate::venues::fake::{Dialect, Form, HttpAnswer, HttpRequest, Ids, MarketTrade, Past, Session, fill};
use serde_json::Value;

/// Trades of a snapshot.
const SNAPSHOT_LEN: usize = 50;

/// The dialect.
pub struct Kraken;

const STATUS: &str = r#"{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online","api_version":"v2","connection_id":18125794168470749634}]}"#;
const CONFIRMED: &str = r#"{"method":"<method>","result":{"channel":"trade","snapshot":<snapshot>,"symbol":"<pair>"},"success":true,"time_in":"2026-09-08T09:04:31.742599Z","time_out":"2026-09-08T09:04:31.742648Z"}"#;
const NOT_SUPPORTED: &str = r#"{"error":"Currency pair not supported <pair>","method":"subscribe","success":false,"symbol":"<pair>","time_in":"2026-09-08T09:04:31.742599Z","time_out":"2026-09-08T09:04:31.742648Z"}"#;
const FRAME: &str = r#"{"channel":"trade","type":"<kind>","data":[<trades>]}"#;
const TRADE: &str = r#"{"symbol":"<pair>","side":"buy","price":<price>,"qty":<size>,"ord_type":"limit","trade_id":<id>,"timestamp":"<time>"}"#;
const HEARTBEAT: &str = r#"{"channel":"heartbeat"}"#;
const PAIR: &str = r#""X<rest>":{"altname":"<rest>","wsname":"<listed>","pair_decimals":2,"lot_decimals":8,"status":"online"}"#;
const RESULT: &str = r#"{"error":[],"result":{"X<rest>":[<rows>],"last":<last>}}"#;
const PAST_TRADE: &str = r#"["<price>","<size>",<time>,"b","l","",<id>]"#;
const BAR: &str = r#"[<time>,"<open>","<high>","<low>","<close>","<vwap>","<volume>",<count>]"#;

/// Returns the stream's spelling: `BTC/USD`.
fn pair(symbol: &str) -> String {
    symbol.replace('-', "/")
}

/// Returns REST's spelling, with what stands between the halves.
fn rest_pair(symbol: &str, separator: &str) -> String {
    symbol.replace("BTC", "XBT").replace('-', separator)
}

/// Returns a frame of trades.
pub fn frame(kind: &str, trades: &[&MarketTrade]) -> String {
    let trade = |trade: &&MarketTrade| {
        fill(
            TRADE,
            &[
                ("pair", &pair(&trade.symbol)),
                ("price", &trade.price),
                ("size", &trade.size),
                ("id", &trade.id),
                ("time", &rfc3339(trade.ts, 6)),
            ],
        )
    };
    let trades: Vec<String> = trades.iter().map(trade).collect();
    fill(FRAME, &[("kind", &kind), ("trades", &trades.join(","))])
}

impl Dialect for Kraken {
    fn name(&self) -> &'static str {
        "kraken"
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

    fn greeting(&self, _session: &mut Session) -> Vec<String> {
        vec![STATUS.to_owned()]
    }

    fn hear(&self, message: &str, session: &mut Session, past: &Past<'_>) -> Vec<String> {
        let asked: Value = serde_json::from_str(message).unwrap();
        let (method, params) = (asked["method"].as_str().unwrap(), &asked["params"]);
        assert_eq!(params["channel"], "trade", "{message}");
        let wants_snapshot = params["snapshot"] == true;
        let mut said = Vec::new();
        for name in params["symbol"].as_array().unwrap() {
            let name = name.as_str().unwrap();
            let Some(symbol) = past.symbols.iter().find(|symbol| pair(symbol) == name) else {
                said.push(fill(NOT_SUPPORTED, &[("pair", &name)]));
                continue;
            };
            said.push(fill(
                CONFIRMED,
                &[("method", &method), ("snapshot", &wants_snapshot), ("pair", &name)],
            ));
            match method {
                "subscribe" => session.add(symbol),
                "unsubscribe" => session.symbols.retain(|known| known != symbol),
                _ => panic!("no message of this venue: {message}"),
            }
            let mut newest: Vec<&MarketTrade> =
                past.trades.iter().rev().filter(|trade| trade.symbol == *symbol).take(SNAPSHOT_LEN).collect();
            newest.reverse();
            if wants_snapshot && !newest.is_empty() {
                said.push(frame("snapshot", &newest));
            }
        }
        said
    }

    fn trades(&self, trades: &[&MarketTrade]) -> Vec<String> {
        trades.chunk_by(|a, b| a.symbol == b.symbol).map(|alike| frame("update", alike)).collect()
    }

    fn heartbeat(&self, session: &Session, _past: &Past<'_>) -> Vec<String> {
        // They begin with the first subscription.
        if session.symbols.is_empty() { Vec::new() } else { vec![HEARTBEAT.to_owned()] }
    }

    fn answer(&self, request: &HttpRequest, past: &Past<'_>) -> HttpAnswer {
        let path = request.path.strip_prefix("/0/public/").unwrap_or_default();
        if path == "AssetPairs" {
            let pair = |symbol: &String| {
                let (rest, listed) = (rest_pair(symbol, ""), rest_pair(symbol, "/"));
                fill(PAIR, &[("rest", &rest), ("listed", &listed)])
            };
            let pairs: Vec<String> = past.symbols.iter().map(pair).collect();
            return HttpAnswer::ok(format!(r#"{{"error":[],"result":{{{}}}}}"#, pairs.join(",")));
        }
        let asked = request.field("pair").unwrap_or_default();
        let Some(symbol) = past.symbols.iter().find(|symbol| rest_pair(symbol, "") == asked) else {
            return HttpAnswer::ok(r#"{"error":["EQuery:Unknown asset pair"]}"#);
        };
        let number = |name: &str| request.field(name).map(|text| text.parse::<i64>().unwrap());
        let since = number("since").unwrap_or(0);
        let (rows, last) = match path {
            "Trades" => {
                // Those behind the moment asked for.
                let page = past.known(symbol).filter(|trade| trade.ts > since);
                let page: Vec<&MarketTrade> = page.take(number("count").unwrap_or(1_000) as usize).collect();
                let last = page.last().map_or(since, |trade| trade.ts);
                (page.into_iter().map(past_trade).collect::<Vec<_>>(), format!("\"{last}\""))
            }
            "OHLC" => {
                let width = number("interval").unwrap_or(1) * 60 * SECOND;
                let bars = past.bars(symbol, width);
                let rows = bars.iter().filter(|bar| bar.start > since * SECOND).map(bar_row);
                // The last row is the one that forms.
                let forming = past.now - past.now.rem_euclid(width);
                let forming = MarketBar { start: forming, ..bars.last().cloned().unwrap_or_else(no_bar) };
                (rows.chain([bar_row(&forming)]).collect(), (forming.start / SECOND).to_string())
            }
            _ => return HttpAnswer::with_status("404 Not Found", ""),
        };
        HttpAnswer::ok(fill(RESULT, &[("rest", &asked), ("rows", &rows.join(",")), ("last", &last)]))
    }

    fn failure(&self, _status: &str) -> String {
        r#"{"error":["EService:Unavailable"]}"#.to_owned()
    }
}

fn past_trade(trade: &MarketTrade) -> String {
    let (seconds, rest) = (trade.ts / SECOND, trade.ts % SECOND);
    let time = format!("{seconds}.{:07}", rest / 100);
    fill(PAST_TRADE, &[("price", &trade.price), ("size", &trade.size), ("time", &time), ("id", &trade.id)])
}

fn bar_row(bar: &MarketBar) -> String {
    fill(
        BAR,
        &[
            ("time", &(bar.start / SECOND)),
            ("open", &bar.open),
            ("high", &bar.high),
            ("low", &bar.low),
            ("close", &bar.close),
            ("vwap", &bar.vwap),
            ("volume", &bar.volume),
            ("count", &bar.num_trades),
        ],
    )
}

fn no_bar() -> MarketBar {
    let zero = || "0".to_owned();
    MarketBar {
        start: 0,
        open: zero(),
        high: zero(),
        low: zero(),
        close: zero(),
        volume: zero(),
        vwap: zero(),
        num_trades: 0,
    }
}
