//! What is Coinbase's own in `[venues.coinbase]`: addresses, limits, channels.

use crate::actors::ingest::config::VenueConfig;
use crate::actors::ingest::venues::channels;
use reqwest::Url;

/// Name of the provider and of its source.
pub const NAME: &str = "coinbase";

/// What is followed where nobody names symbols.
pub const DEFAULT_SYMBOLS: [&str; 2] = ["BTC-USD", "ETH-USD"];

/// Public REST allows 10 requests a second and address; half of that leaves room for others behind the same address.
pub const REQUESTS_PER_MINUTE: u32 = 300;

/// The channel of trades.
pub const MATCHES: &str = "matches";
/// The channel of the venue's clock.
pub const HEARTBEAT: &str = "heartbeat";

const STREAM_URL: &str = "wss://ws-feed.exchange.coinbase.com";
const REST_URL: &str = "https://api.exchange.coinbase.com";

pub(super) fn stream_url(config: &VenueConfig) -> Url {
    config.stream_at(STREAM_URL)
}

pub(super) fn rest_url(config: &VenueConfig) -> Url {
    config.rest_at(REST_URL)
}

/// Returns the channels that are subscribed to.
pub(super) fn channels(config: &VenueConfig) -> Vec<String> {
    if config.channels.is_empty() {
        return vec![MATCHES.to_owned(), HEARTBEAT.to_owned()];
    }
    config.channels.clone()
}

/// Returns what is wrong with the channels asked for.
#[must_use]
pub fn channel_fault(channels: &[String]) -> Option<String> {
    channels::fault(channels, MATCHES, HEARTBEAT, "trades")
}
