//! What is Coinbase's own in `[venues.coinbase]`: addresses, limits, channels.

use crate::actors::ingest::config::{RestUrl, StreamUrl, VenueConfig, address};
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
    address(config.stream_url.as_ref().map(StreamUrl::url), STREAM_URL)
}

pub(super) fn rest_url(config: &VenueConfig) -> Url {
    address(config.rest_url.as_ref().map(RestUrl::url), REST_URL)
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
    let there = format!("there are `{MATCHES}` and `{HEARTBEAT}`");
    if let Some(unknown) = channels.iter().find(|name| ![MATCHES, HEARTBEAT].contains(&name.as_str())) {
        return Some(format!("the channel `{unknown}` is not served; {there}"));
    }
    let lacks_trades = !channels.is_empty() && !channels.iter().any(|name| name == MATCHES);
    lacks_trades.then(|| format!("without `{MATCHES}` there are no trades; {there}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_that_are_not_served_are_refused_with_those_that_are() {
        let fault =
            |names: &[&str]| channel_fault(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        for names in [&[][..], &["matches"], &["heartbeat", "matches"]] {
            assert_eq!(fault(names), None, "{names:?}");
        }
        for names in [&["ticker"][..], &["heartbeat"], &["matches", "level2"]] {
            assert!(fault(names).is_some_and(|said| said.contains("`matches` and `heartbeat`")), "{names:?}");
        }
    }
}
