//! What is Kraken's own in `[venues.kraken]`: addresses, limits, channels.

use crate::actors::ingest::config::VenueConfig;
use reqwest::Url;

/// Name of the provider and of its source.
pub const NAME: &str = "kraken";

/// What is followed where nobody names symbols.
pub const DEFAULT_SYMBOLS: [&str; 2] = ["BTC-USD", "ETH-USD"];

/// Public REST bears about one request a second and address; a little less leaves room for others behind the same address.
pub const REQUESTS_PER_MINUTE: u32 = 50;

/// The channel of trades.
pub const TRADE: &str = "trade";

const STREAM_URL: &str = "wss://ws.kraken.com/v2";
const REST_URL: &str = "https://api.kraken.com/0/public";

pub(super) fn stream_url(config: &VenueConfig) -> Url {
    config.stream_at(STREAM_URL)
}

pub(super) fn rest_url(config: &VenueConfig) -> Url {
    config.rest_at(REST_URL)
}

/// Returns what is wrong with the channels asked for.
#[must_use]
pub fn channel_fault(channels: &[String]) -> Option<String> {
    let unknown = channels.iter().find(|name| *name != TRADE)?;
    Some(format!("the channel `{unknown}` is not served; there is `{TRADE}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_alone_keeps_the_paths_of_the_venue() {
        let own = VenueConfig::default();
        assert_eq!((stream_url(&own).as_str(), rest_url(&own).as_str()), (STREAM_URL, REST_URL));
        let given = VenueConfig {
            stream_url: Some("wss://beta-ws.kraken.com".parse().expect("a URL")),
            rest_url: Some("http://127.0.0.1:8080/proxied".parse().expect("a URL")),
            ..own
        };
        assert_eq!(stream_url(&given).as_str(), "wss://beta-ws.kraken.com/v2");
        assert_eq!(rest_url(&given).as_str(), "http://127.0.0.1:8080/proxied");
    }

    #[test]
    fn a_channel_that_is_not_served_is_refused() {
        assert_eq!(channel_fault(&[]), None);
        assert_eq!(channel_fault(&["trade".to_owned()]), None);
        assert!(channel_fault(&["trade".to_owned(), "book".to_owned()]).is_some());
    }
}
