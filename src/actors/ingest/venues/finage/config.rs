//! What is Finage's own in `[venues.finage]`: addresses that each account has of its own, limits, channels.

use crate::actors::ingest::config::{StreamUrl, VenueConfig};
use crate::actors::ingest::venues::channels;
use crate::actors::ingest::venues::pairs::Market;
use crate::secret::Secret;
use reqwest::Url;

/// Name of the provider and of its source.
pub const NAME: &str = "finage";

/// What is followed where nobody names symbols.
pub const DEFAULT_SYMBOLS: [&str; 2] = ["AAPL", "MSFT"];

/// No limit by the second is documented, and small plans are counted by the month: what is asked for is little anyway.
pub const REQUESTS_PER_MINUTE: u32 = 60;

/// The channel of trades; of currencies, of which there are none, that of quotes.
const TRADES: &str = "trades";
/// The channel of the quotes of shares.
const QUOTES: &str = "quotes";

const REST_URL: &str = "https://api.finage.co.uk";

/// Markets in the order of their streams, and the key that says where each is.
const MARKETS: [(Market, &str); 3] = [
    (Market::Stocks, "stream_url"),
    (Market::Crypto, "crypto_stream_url"),
    (Market::Forex, "forex_stream_url"),
];

/// What the venue is made of.
pub(super) struct Settings {
    /// Where the stream of each market is, with its key; `None` where nobody said.
    streams: [Option<Url>; 3],
    has_socket_key: bool,
    pub key: String,
    pub rest_url: Url,
    /// How frames are read.
    pub reading: Reading,
}

/// How frames are read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reading {
    /// The quotes of shares are wanted too.
    pub has_quotes: bool,
    /// The conditions of a share's trade say what it counts for.
    pub has_conditions: bool,
}

impl Settings {
    pub fn of(config: &VenueConfig) -> Settings {
        let socket_key = config.socket_key.as_ref().map(Secret::expose);
        let stream = |given: &Option<StreamUrl>| {
            let mut url = given.as_ref()?.url().clone();
            url.query_pairs_mut().append_pair("token", socket_key.unwrap_or_default());
            Some(url)
        };
        Settings {
            streams: [
                stream(&config.stream_url),
                stream(&config.crypto_stream_url),
                stream(&config.forex_stream_url),
            ],
            has_socket_key: socket_key.is_some(),
            key: config.key_text(),
            rest_url: config.rest_at(REST_URL),
            reading: Reading {
                has_quotes: config.channels.iter().any(|name| name == QUOTES),
                has_conditions: config.conditions.unwrap_or(false),
            },
        }
    }

    /// Returns the streams that there are.
    pub fn streams(&self) -> Vec<Url> {
        self.streams.iter().flatten().cloned().collect()
    }

    /// Returns the place of a market's stream among those that there are.
    pub fn place_of(&self, market: Market) -> usize {
        let before = MARKETS.into_iter().zip(&self.streams).take_while(|((one, _), _)| *one != market);
        before.filter(|(_, stream)| stream.is_some()).count()
    }

    /// Says what is missing to follow a market.
    pub fn missing(&self, market: Market) -> Option<String> {
        let ((_, key), stream) =
            MARKETS.into_iter().zip(&self.streams).find(|((one, _), _)| *one == market)?;
        if stream.is_none() {
            return Some(format!(
                "each account has addresses of its own: set `venues.{NAME}.{key}` to the one that the dashboard \
                 of Finage shows for this market, such as `wss://host.finage.ws:7002`"
            ));
        }
        (!self.has_socket_key).then(|| {
            format!(
                "the stream has a key of its own: set `venues.{NAME}.socket_key` to the one that the dashboard of \
                 Finage shows"
            )
        })
    }
}

/// Returns what is wrong with the channels asked for.
#[must_use]
pub fn channel_fault(channels: &[String]) -> Option<String> {
    channels::fault(channels, TRADES, QUOTES, "bars of shares and coins")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        Settings::of(&toml::from_str(text).expect("a section"))
    }

    #[test]
    fn streams_are_those_that_are_configured_and_what_is_missing_is_said() {
        let both = settings(
            "stream_url = 'wss://a.finage.ws:7002'\nforex_stream_url = 'wss://b.finage.ws:8001/x'\nsocket_key = 's&1'",
        );
        let urls: Vec<String> = both.streams().iter().map(Url::to_string).collect();
        assert_eq!(urls, ["wss://a.finage.ws:7002/?token=s%261", "wss://b.finage.ws:8001/x?token=s%261"]);
        assert_eq!((both.place_of(Market::Stocks), both.place_of(Market::Forex)), (0, 1));
        assert_eq!((both.missing(Market::Stocks), both.missing(Market::Forex)), (None, None));
        let said = both.missing(Market::Crypto).expect("no address");
        assert!(said.contains("`venues.finage.crypto_stream_url`") && said.contains("dashboard"), "{said}");
        let said = settings("stream_url = 'ws://127.0.0.1:1'").missing(Market::Stocks).expect("no key");
        assert!(said.contains("`venues.finage.socket_key`"), "{said}");
        assert_eq!(settings("").streams(), []);
    }
}
