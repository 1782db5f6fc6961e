//! Finds instruments by a part of their tickers or names: the venue lists tens of thousands, so it is asked for those that
//! fit, and not for all of them.
//!
//! Promises: only what the streams bring is found: stocks, crypto and forex. A row that cannot be read is left out.

use super::rest::{Envelope, request};
use super::symbols::spell;
use crate::actors::ingest::config::behind;
use crate::actors::ingest::venue::{FrameFault, Listed, Request};
use crate::secret::Secret;
use reqwest::Url;
use serde::Deserialize;
use std::borrow::Cow;

/// Rows that an answer has at the most.
const ROWS_MAX: usize = 1_000;

/// A row.
#[derive(Debug, Deserialize)]
struct Ticker<'a> {
    #[serde(default, borrow)]
    ticker: Option<Cow<'a, str>>,
    #[serde(default)]
    active: Option<bool>,
}

/// Returns where instruments that fit are.
pub(super) fn search_request(rest_url: &Url, query: &str, limit: usize, key: Option<&Secret>) -> Request {
    let mut url = behind(rest_url, &["v3", "reference", "tickers"]);
    let limit = limit.min(ROWS_MAX).to_string();
    url.query_pairs_mut().extend_pairs([("search", query), ("active", "true"), ("limit", &limit)]);
    request(url, key)
}

/// Reads what was found.
pub(super) fn read_search(body: &str) -> Result<Vec<Listed>, FrameFault> {
    let envelope = Envelope::read(body, "list of tickers")?;
    let rows = envelope.results.unwrap_or_default().into_iter();
    let listed = |row: Ticker<'_>| {
        let listed = spell(row.ticker?.as_ref()).ok()?;
        Some(Listed { is_trading: row.active.unwrap_or(true), ..listed })
    };
    Ok(rows.filter_map(|row| listed(serde_json::from_str(row.get()).ok()?)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::asset_class::AssetClass;

    #[test]
    fn what_fits_is_asked_for_and_what_no_stream_brings_left_out() {
        let base = Url::parse("https://api.massive.com").expect("a URL");
        let key = Secret::new("KEY".to_owned());
        let request = search_request(&base, "a&b", 5_000, Some(&key));
        let expected = "https://api.massive.com/v3/reference/tickers?search=a%26b&active=true&limit=1000";
        assert_eq!(request.url.as_str(), expected);
        assert_eq!(request.headers, [("authorization", "Bearer KEY".to_owned())]);
        let body = r#"{"status":"OK","results":[
            {"ticker":"AAPL","market":"stocks","active":true,"more":{}},{"ticker":"X:BTCUSD","active":false},
            {"ticker":"C:EURUSD"},{"ticker":"I:SPX","active":true},{"active":true},7]}"#;
        let found = read_search(body).expect("a list");
        let names: Vec<(&str, bool)> = found.iter().map(|one| (one.name.as_str(), one.is_trading)).collect();
        assert_eq!(names, [("AAPL", true), ("BTC-USD", false), ("EUR-USD", true)]);
        assert_eq!((found[0].asset_class, found[2].has_only_quotes), (AssetClass::Equity, true));
        assert!(read_search(r#"{"status":"ERROR","error":"Unknown API Key"}"#).is_err());
        assert_eq!(read_search(r#"{"status":"OK","count":0}"#), Ok(Vec::new()));
    }
}
