//! Alpha Vantage: no stream; bars of coins by asking, values as text behind ordinals, errors with a good status.

use crate::venues::fake::market::MarketBar;
use crate::venues::fake::{Dialect, Form, HttpAnswer, HttpRequest, Ids, MarketTrade, Past, Session, fill};
use chrono::{TimeZone, Utc};

/// The dialect.
pub struct AlphaVantage;

/// Nanoseconds of a minute.
const MINUTE: i64 = 60_000_000_000;

/// Bars of an answer.
const ROWS: usize = 100;

const KEY: &str = "ALPHAKEY5TQ";

const BARS: &str = r#"{"Meta Data":{"1. Information":"Crypto Intraday (1min) Time Series","2. Digital Currency Code":"<base>","4. Market Code":"<quote>","9. Time Zone":"UTC"},"Time Series Crypto (1min)":{<rows>}}"#;
const ROW: &str = r#""<time>":{"1. open":"<open>","2. high":"<high>","3. low":"<low>","4. close":"<close>","5. volume":"<volume>"}"#;
const REFUSED: [&str; 2] = [
    r#"{"Error Message":"the parameter apikey is invalid or missing. Please claim your free API key (ALPHAKEY5TQ)"}"#,
    r#"{"Information":"We have detected your API key as ALPHAKEY5TQ and our standard API rate limit is 25 requests per day. Please subscribe to any of the premium plans to instantly remove all daily rate limits."}"#,
];

impl Dialect for AlphaVantage {
    fn name(&self) -> &'static str {
        "alpha_vantage"
    }

    fn symbols(&self) -> [&'static str; 2] {
        ["BTC-USD", "ETH-USD"]
    }

    fn ids(&self) -> Ids {
        Ids::None
    }

    fn form(&self) -> Form {
        Form { precision: 1, has_unique_times: false, has_whole_sizes: false }
    }

    fn has_past_trades(&self) -> bool {
        false
    }

    fn section(&self, _stream_url: &str, rest_url: &str) -> Vec<(&'static str, String)> {
        vec![("rest_url", rest_url.to_owned()), ("poll_interval", "5ms".to_owned())]
    }

    fn keys(&self) -> Vec<(&'static str, &'static str)> {
        vec![("key", KEY)]
    }

    fn hear(&self, message: &str, _session: &mut Session, _past: &Past<'_>) -> Vec<String> {
        panic!("this venue has no stream: {message}");
    }

    fn trades(&self, _trades: &[&MarketTrade]) -> Vec<String> {
        Vec::new()
    }

    fn answer(&self, request: &HttpRequest, past: &Past<'_>) -> HttpAnswer {
        if request.field("apikey") != Some(KEY) {
            return HttpAnswer::ok(REFUSED[0]);
        }
        let (Some(base), Some(quote)) = (request.field("symbol"), request.field("market")) else {
            return HttpAnswer::ok(r#"{"Error Message":"Invalid API call. Please retry."}"#);
        };
        assert_eq!((request.path.as_str(), request.field("function")), ("/query", Some("CRYPTO_INTRADAY")));
        let bars = past.bars(&format!("{base}-{quote}"), MINUTE);
        let row = |bar: &MarketBar| {
            fill(
                ROW,
                &[
                    ("time", &Utc.timestamp_nanos(bar.start).format("%Y-%m-%d %H:%M:%S")),
                    ("open", &bar.open),
                    ("high", &bar.high),
                    ("low", &bar.low),
                    ("close", &bar.close),
                    ("volume", &bar.volume),
                ],
            )
        };
        let rows: Vec<String> = bars.iter().rev().take(ROWS).map(row).collect();
        HttpAnswer::ok(fill(BARS, &[("base", &base), ("quote", &quote), ("rows", &rows.join(","))]))
    }

    fn rest_refusals(&self) -> Vec<HttpAnswer> {
        REFUSED.map(HttpAnswer::ok).to_vec()
    }

    fn trades_per_answer(&self) -> usize {
        20
    }
}
