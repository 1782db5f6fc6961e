//! What is asked, and how often: there is no stream to subscribe to.

use super::config::Settings;
use crate::actors::ingest::config::{Entitlement, behind};
use crate::actors::ingest::venue::{Poll, Request};
use crate::actors::ingest::venues::pairs::{Market, market_of, split};
use crate::models::time::Width;
use std::time::Duration;

/// Rows of a short answer, less some: if more bars may come between two requests, the long one is asked for.
const SHORT_ROWS: u32 = 90;

/// Returns the requests that bring the symbols.
pub(super) fn polls(settings: &Settings, venue_symbols: &[&str]) -> Vec<Poll> {
    let is_pair = |symbol: &&&str| split(symbol).is_some();
    let num_quotes = if settings.has_quotes { venue_symbols.iter().filter(is_pair).count() } else { 0 };
    let num_polls = venue_symbols.len() * settings.intervals.len() + num_quotes;
    let poll = |symbol: &str, every, query: Vec<(&str, String)>| {
        let mut url = behind(&settings.rest_url, &["query"]);
        url.query_pairs_mut().extend_pairs(query).append_pair("apikey", &settings.key);
        Poll { request: Request::to(url), venue_symbols: vec![symbol.to_owned()], every }
    };
    let mut polls = Vec::with_capacity(num_polls);
    for symbol in venue_symbols {
        for (interval, width) in &settings.intervals {
            let every = settings.every(num_polls, Some(*width));
            let query = bars_query(settings, symbol, interval, is_long(every, *width));
            polls.push(poll(symbol, every, query));
        }
        if let Some((from, to)) = split(symbol).filter(|_| settings.has_quotes) {
            let query = vec![
                ("function", "CURRENCY_EXCHANGE_RATE".to_owned()),
                ("from_currency", from.to_owned()),
                ("to_currency", to.to_owned()),
            ];
            polls.push(poll(symbol, settings.every(num_polls, None), query));
        }
    }
    polls
}

fn is_long(every: Duration, width: Width) -> bool {
    every > Duration::from_nanos(width.nanos().unsigned_abs()) * SHORT_ROWS
}

fn bars_query(
    settings: &Settings,
    symbol: &str,
    interval: &str,
    is_long: bool,
) -> Vec<(&'static str, String)> {
    let (_, market) = market_of(symbol);
    let (base, quote) = split(symbol).unwrap_or((symbol, ""));
    let mut query = match market {
        Market::Stocks => vec![
            ("function", "TIME_SERIES_INTRADAY".to_owned()),
            ("symbol", symbol.to_owned()),
            // What was traded, as other venues have it.
            ("adjusted", "false".to_owned()),
            ("extended_hours", "true".to_owned()),
        ],
        Market::Forex => vec![
            ("function", "FX_INTRADAY".to_owned()),
            ("from_symbol", base.to_owned()),
            ("to_symbol", quote.to_owned()),
        ],
        Market::Crypto => vec![
            ("function", "CRYPTO_INTRADAY".to_owned()),
            ("symbol", base.to_owned()),
            ("market", quote.to_owned()),
        ],
    };
    query.push(("interval", interval.to_owned()));
    query.push(("outputsize", if is_long { "full" } else { "compact" }.to_owned()));
    let entitlement = settings.entitlement.filter(|_| market == Market::Stocks);
    query.extend(entitlement.map(|entitlement| {
        let word = match entitlement {
            Entitlement::Realtime => "realtime",
            Entitlement::Delayed => "delayed",
        };
        ("entitlement", word.to_owned())
    }));
    query
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_market_has_its_function() {
        let section = "key = 'secret'\nrest_url = 'https://api.example/x'\nrequests_per_minute = 75\n\
                       entitlement = 'delayed'\nchannels = ['1min', 'quotes']";
        let settings = Settings::of(&toml::from_str(section).expect("a section"));
        let polls = polls(&settings, &["MSFT", "EUR-USD", "BTC-USD"]);
        let asked: Vec<(&str, u64)> =
            polls.iter().map(|poll| (poll.request.url.as_str(), poll.every.as_secs())).collect();
        let at = "https://api.example/x/query?function=";
        let expected = [
            (
                "TIME_SERIES_INTRADAY&symbol=MSFT&adjusted=false&extended_hours=true&interval=1min&outputsize=compact&entitlement=delayed",
                60,
            ),
            ("FX_INTRADAY&from_symbol=EUR&to_symbol=USD&interval=1min&outputsize=compact", 60),
            ("CURRENCY_EXCHANGE_RATE&from_currency=EUR&to_currency=USD", 4),
            ("CRYPTO_INTRADAY&symbol=BTC&market=USD&interval=1min&outputsize=compact", 60),
            ("CURRENCY_EXCHANGE_RATE&from_currency=BTC&to_currency=USD", 4),
        ];
        let expected: Vec<(String, u64)> =
            expected.iter().map(|(query, every)| (format!("{at}{query}&apikey=secret"), *every)).collect();
        assert_eq!(
            asked.iter().map(|(url, every)| ((*url).to_owned(), *every)).collect::<Vec<_>>(),
            expected
        );
        assert!(
            polls.iter().all(|poll| !format!("{poll:?}").contains("secret")),
            "they print without the key"
        );
    }

    #[test]
    fn a_free_key_asks_seldom_and_for_more() {
        let settings = Settings::of(&toml::from_str("key = 'secret'").expect("a section"));
        let polls = polls(&settings, &["MSFT", "AAPL"]);
        assert_eq!(polls.len(), 2);
        for poll in &polls {
            assert_eq!(poll.every, Duration::from_mins(144));
            assert!(poll.request.url.as_str().contains("outputsize=full"), "{}", poll.request.url);
        }
    }
}
