//! What is FMP's own in `[venues.fmp]`: addresses, limits, channels.

use crate::actors::ingest::config::{BarZone, StreamUrl, VenueConfig};
use crate::actors::ingest::venues::pairs::Market;
use reqwest::Url;

/// Name of the provider and of its source.
pub const NAME: &str = "fmp";

/// What is followed where nobody names symbols.
pub const DEFAULT_SYMBOLS: [&str; 2] = ["AAPL", "MSFT"];

/// The smallest plan with history within a day allows 300 requests a minute; half of that leaves room for the user's own.
pub const REQUESTS_PER_MINUTE: u32 = 150;

/// The channel of trades; of currencies, of which there are none, that of quotes.
const TRADES: &str = "trades";
/// The channel of the quotes of shares and coins.
const QUOTES: &str = "quotes";

/// Streams in the order of [`place_of`].
const STREAM_URLS: [&str; 3] = [
    "wss://websockets.financialmodelingprep.com",
    "wss://crypto.financialmodelingprep.com",
    "wss://forex.financialmodelingprep.com",
];

const REST_URL: &str = "https://financialmodelingprep.com/stable";

/// Returns the place of a market's stream.
pub(super) const fn place_of(market: Market) -> usize {
    match market {
        Market::Stocks => 0,
        Market::Crypto => 1,
        Market::Forex => 2,
    }
}

/// What the venue is made of.
pub(super) struct Settings {
    pub key: String,
    pub streams: Vec<Url>,
    pub rest_url: Url,
    pub has_quotes: bool,
    /// The clock on which bars of pairs are written.
    pub pair_zone: BarZone,
}

impl Settings {
    pub fn of(config: &VenueConfig) -> Settings {
        let own = |url: &str| Url::parse(url).expect("the venue's address is a URL");
        let given = [&config.stream_url, &config.crypto_stream_url, &config.forex_stream_url];
        let stream = |(given, url): (&Option<StreamUrl>, &str)| match given {
            Some(given) => given.url().clone(),
            None => own(url),
        };
        Settings {
            key: config.key.as_ref().map(|key| key.expose().to_owned()).unwrap_or_default(),
            streams: given.into_iter().zip(STREAM_URLS).map(stream).collect(),
            rest_url: config.rest_url.as_ref().map_or_else(|| own(REST_URL), |given| given.url().clone()),
            has_quotes: config.channels.iter().any(|name| name == QUOTES),
            pair_zone: config.bar_zone.unwrap_or(BarZone::Eastern),
        }
    }
}

/// Returns what is wrong with the channels asked for.
#[must_use]
pub fn channel_fault(channels: &[String]) -> Option<String> {
    let there = format!("there are `{TRADES}` and `{QUOTES}`");
    if let Some(unknown) = channels.iter().find(|name| ![TRADES, QUOTES].contains(&name.as_str())) {
        return Some(format!("the channel `{unknown}` is not served; {there}"));
    }
    let lacks_trades = !channels.is_empty() && !channels.iter().any(|name| name == TRADES);
    lacks_trades.then(|| format!("without `{TRADES}` there are no bars of shares and coins; {there}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_that_are_not_served_are_refused_with_those_that_are() {
        let fault =
            |names: &[&str]| channel_fault(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        for names in [&[][..], &["trades"], &["quotes", "trades"]] {
            assert_eq!(fault(names), None, "{names:?}");
        }
        for names in [&["ticker"][..], &["quotes"]] {
            assert!(fault(names).is_some_and(|said| said.contains("`trades` and `quotes`")), "{names:?}");
        }
    }

    #[test]
    fn each_market_has_its_stream() {
        let config: VenueConfig =
            toml::from_str("crypto_stream_url = 'ws://127.0.0.1:9/x'").expect("a section");
        let streams = Settings::of(&config).streams;
        let of = |market| streams[place_of(market)].as_str();
        assert_eq!(of(Market::Stocks), "wss://websockets.financialmodelingprep.com/");
        assert_eq!(of(Market::Crypto), "ws://127.0.0.1:9/x");
        assert_eq!(of(Market::Forex), "wss://forex.financialmodelingprep.com/");
    }
}
