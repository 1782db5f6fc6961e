//! What is Binance's own in `[venues.binance]`: addresses, limits, channels.

use crate::actors::ingest::config::{RestUrl, VenueConfig, address};
use reqwest::Url;

/// Name of the provider and of its source.
pub const NAME: &str = "binance";

/// What is followed where nobody names symbols.
pub const DEFAULT_SYMBOLS: [&str; 2] = ["BTC-USDT", "ETH-USDT"];

/// The keys of [`VenueConfig::OWN_KEYS`] that this venue has.
pub const OWN_KEYS: [&str; 2] = ["trades_url", "reconnect_at"];

/// The venue counts the weight of requests, 6,000 a minute and address; half of that leaves room for others behind the
/// same address.
pub const REQUESTS_PER_MINUTE: u32 = 3_000;

/// Both addresses below serve market data alone, and need no account. The second one does not serve single trades of the
/// past, so those are asked for at the third.
const STREAM_URL: &str = "wss://data-stream.binance.vision/stream";
const REST_URL: &str = "https://data-api.binance.vision/api/v3";
const TRADES_URL: &str = "https://api.binance.com/api/v3";

/// What is followed of a symbol. Each numbers what it reports by itself, so a source has one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    /// Every trade.
    Trade,
    /// The trades that one order caused at one price, together.
    AggTrade,
}

impl Channel {
    /// All there are.
    pub const ALL: [Channel; 2] = [Channel::Trade, Channel::AggTrade];

    /// Returns the name that the venue uses in streams and in events.
    pub const fn name(self) -> &'static str {
        match self {
            Channel::Trade => "trade",
            Channel::AggTrade => "aggTrade",
        }
    }

    /// Returns the channel of a configuration that [`channel_fault`] finds right.
    pub fn of(config: &VenueConfig) -> Channel {
        let asked = config.channels.first();
        let is_asked = |channel: &Channel| asked.is_some_and(|name| name == channel.name());
        Channel::ALL.into_iter().find(is_asked).unwrap_or(Channel::Trade)
    }
}

pub(super) fn stream_url(config: &VenueConfig) -> Url {
    config.stream_at(STREAM_URL)
}

pub(super) fn rest_url(config: &VenueConfig) -> Url {
    config.rest_at(REST_URL)
}

/// Returns where past trades are asked for. An address that the user gave for all of REST is meant for them too.
pub(super) fn trades_url(config: &VenueConfig, channel: Channel) -> Url {
    let given = config.trades_url.as_ref().or(config.rest_url.as_ref()).map(RestUrl::url);
    let own = match channel {
        Channel::Trade => TRADES_URL,
        Channel::AggTrade => REST_URL,
    };
    address(given, own)
}

/// Returns what is wrong with the channels asked for.
#[must_use]
pub fn channel_fault(channels: &[String]) -> Option<String> {
    let [trade, agg_trade] = Channel::ALL.map(Channel::name);
    let there = format!("there are `{trade}` and `{agg_trade}`");
    let is_known = |name: &String| [trade, agg_trade].contains(&name.as_str());
    if let Some(unknown) = channels.iter().find(|name| !is_known(name)) {
        return Some(format!("the channel `{unknown}` is not served; {there}"));
    }
    let is_both = channels.iter().any(|name| *name != channels[0]);
    is_both.then(|| "one of `trade` and `aggTrade`: with both every trade would count twice".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_trades_are_where_the_venue_serves_them() {
        let own = VenueConfig::default();
        assert_eq!((stream_url(&own).as_str(), rest_url(&own).as_str()), (STREAM_URL, REST_URL));
        assert_eq!(trades_url(&own, Channel::Trade).as_str(), TRADES_URL);
        assert_eq!(trades_url(&own, Channel::AggTrade).as_str(), REST_URL);
        let rest = VenueConfig { rest_url: Some("https://a.example".parse().expect("a URL")), ..own };
        assert_eq!(rest_url(&rest).as_str(), "https://a.example/api/v3");
        for channel in Channel::ALL {
            assert_eq!(trades_url(&rest, channel).as_str(), "https://a.example/api/v3");
        }
        let both = VenueConfig { trades_url: Some("https://b.example/x".parse().expect("a URL")), ..rest };
        assert_eq!(rest_url(&both).as_str(), "https://a.example/api/v3");
        assert_eq!(trades_url(&both, Channel::Trade).as_str(), "https://b.example/x");
    }

    #[test]
    fn one_channel_is_followed() {
        let of = |names: &[&str]| VenueConfig {
            channels: names.iter().map(|&name| name.to_owned()).collect(),
            ..VenueConfig::default()
        };
        for (names, channel) in [
            (&[][..], Channel::Trade),
            (&["trade"], Channel::Trade),
            (&["aggTrade"], Channel::AggTrade),
            (&["aggTrade", "aggTrade"], Channel::AggTrade),
        ] {
            let config = of(names);
            assert_eq!((channel_fault(&config.channels), Channel::of(&config)), (None, channel), "{names:?}");
        }
        for names in [&["ticker"][..], &["trade", "aggTrade"], &["trade", "depth"], &["aggtrade"]] {
            assert!(channel_fault(&of(names).channels).is_some(), "{names:?}");
        }
    }
}
