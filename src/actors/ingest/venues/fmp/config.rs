//! What is FMP's own in `[venues.fmp]`: addresses, limits, channels.

use crate::actors::ingest::config::{BarZone, StreamUrl, VenueConfig, address};
use crate::actors::ingest::venues::channels;
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
        let given = [&config.stream_url, &config.crypto_stream_url, &config.forex_stream_url];
        let stream = |(given, own): (&Option<StreamUrl>, _)| address(given.as_ref().map(StreamUrl::url), own);
        Settings {
            key: config.key_text(),
            streams: given.into_iter().zip(STREAM_URLS).map(stream).collect(),
            rest_url: config.rest_at(REST_URL),
            has_quotes: config.channels.iter().any(|name| name == QUOTES),
            pair_zone: config.bar_zone.unwrap_or(BarZone::Eastern),
        }
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
