//! What is Polygon's own in `[venues.polygon]`: addresses, limits, channels.

use super::super::pairs::Market;
use super::symbols::{MARKETS, segment};
use crate::actors::ingest::config::VenueConfig;
use crate::models::time::{MINUTE, SECOND, Width};
use reqwest::Url;
use std::time::Duration;

/// Name of the provider and of its source.
pub const NAME: &str = "polygon";

/// What the company calls itself since 2025.
pub const ALIASES: [&str; 1] = ["massive"];

/// The former name of the variable that holds the key.
pub const KEY_VARIABLE: &str = "POLYGON_API_KEY";

/// Keys of the section that not every venue has.
pub const OWN_KEYS: [&str; 5] =
    ["key", "key_file", "crypto_stream_url", "forex_stream_url", "extended_hours"];

/// What is followed where nobody names symbols.
pub const DEFAULT_SYMBOLS: [&str; 5] = ["AAPL", "GOOGL", "MSFT", "AMZN", "TSLA"];

/// Paid plans have no limit and are asked to stay below 100 requests a second; free ones have 5 a minute and neither
/// trades nor streams.
pub const REQUESTS_PER_MINUTE: u32 = 600;

const STREAM_URL: &str = "wss://socket.massive.com";
const REST_URL: &str = "https://api.massive.com";

/// Begins the names of hosts whose data is late.
const DELAYED: &str = "delayed";

/// How late it is.
const DELAY: Duration = Duration::from_mins(15);

/// A channel of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Channel {
    name: &'static str,
    market: Market,
    /// Width of its bars, if it has bars.
    width: Option<Width>,
}

/// Every channel that is served. Of each market the first one is what is subscribed to where nobody says otherwise.
const CHANNELS: [Channel; 11] = [
    Channel::new("T", Market::Stocks, None),
    Channel::new("Q", Market::Stocks, None),
    Channel::new("A", Market::Stocks, Some(SECOND)),
    Channel::new("AM", Market::Stocks, Some(MINUTE)),
    Channel::new("XT", Market::Crypto, None),
    Channel::new("XQ", Market::Crypto, None),
    Channel::new("XAS", Market::Crypto, Some(SECOND)),
    Channel::new("XA", Market::Crypto, Some(MINUTE)),
    Channel::new("C", Market::Forex, None),
    Channel::new("CAS", Market::Forex, Some(SECOND)),
    Channel::new("CA", Market::Forex, Some(MINUTE)),
];

impl Channel {
    const fn new(name: &'static str, market: Market, width: Option<i64>) -> Channel {
        let width = match width {
            Some(nanos) => Width::new(nanos),
            None => None,
        };
        Channel { name, market, width }
    }

    /// Returns a channel by its name, which is also that of its events.
    pub fn find(name: &str) -> Option<Channel> {
        CHANNELS.iter().find(|channel| channel.name == name).copied()
    }

    /// Returns its name.
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// Returns the market that it is of.
    pub const fn market(self) -> Market {
        self.market
    }

    /// Returns the width of its bars in milliseconds, if it has bars.
    pub fn bar_width_ms(self) -> Option<u32> {
        self.width.and_then(|width| u32::try_from(width.nanos() / 1_000_000).ok())
    }
}

/// The channels that are subscribed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Channels(Vec<Channel>);

impl Channels {
    /// Takes those asked for. A market of which none is asked for has its first one.
    pub fn of_config(config: &VenueConfig) -> Channels {
        let asked = config.channels.iter().filter_map(|name| Channel::find(name));
        let mut channels: Vec<Channel> = asked.collect();
        for market in MARKETS {
            if !channels.iter().any(|channel| channel.market == market) {
                channels.extend(CHANNELS.iter().find(|channel| channel.market == market));
            }
        }
        Channels(channels)
    }

    /// Returns those of a market; there is at least one.
    pub fn of(&self, market: Market) -> impl Iterator<Item = Channel> + '_ {
        self.0.iter().copied().filter(move |channel| channel.market == market)
    }
}

/// Returns what is wrong with the channels asked for.
#[must_use]
pub fn channel_fault(channels: &[String]) -> Option<String> {
    let unknown = channels.iter().find(|name| Channel::find(name).is_none())?;
    let names = CHANNELS.map(|channel| format!("`{}`", channel.name));
    Some(format!("the channel `{unknown}` is not served; there are {}", names.join(", ")))
}

/// Returns the width of a channel's bars, if it has bars.
#[must_use]
pub fn channel_width(channel: &str) -> Option<Width> {
    Channel::find(channel)?.width
}

/// Where the venue is.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    /// The streams, in the order of [`MARKETS`].
    pub streams: Vec<Url>,
    /// REST.
    pub rest: Url,
    /// How late the data of the stocks is.
    pub delay: Duration,
}

impl Addresses {
    /// Takes those of the configuration, and the venue's own where it has none.
    pub fn of_config(config: &VenueConfig) -> Addresses {
        let stocks = config.stream_at(STREAM_URL);
        let base = |market| {
            let given = match market {
                Market::Stocks => None,
                Market::Crypto => config.crypto_stream_url.as_ref(),
                Market::Forex => config.forex_stream_url.as_ref(),
            };
            match (given, market) {
                (Some(given), _) => given.url().clone(),
                (None, Market::Stocks) => stocks.clone(),
                (None, Market::Crypto | Market::Forex) => in_time(&stocks),
            }
        };
        let is_delayed = stocks.host_str().is_some_and(|host| host.starts_with(DELAYED));
        Addresses {
            streams: MARKETS.map(|market| stream(&base(market), market)).to_vec(),
            rest: config.rest_at(REST_URL),
            delay: if is_delayed { DELAY } else { Duration::ZERO },
        }
    }
}

/// Returns the address of a market's stream behind a base, which may name a market already.
fn stream(base: &Url, market: Market) -> Url {
    let mut url = base.clone();
    let last = base.path_segments().and_then(|mut all| all.next_back());
    let names_market = MARKETS.iter().any(|market| last == Some(segment(*market)));
    let mut segments = url.path_segments_mut().expect("the base has a host");
    segments.pop_if_empty();
    if names_market {
        segments.pop();
    }
    segments.push(segment(market));
    drop(segments);
    url
}

/// Returns the address without delay for one whose data is late: only stocks have such.
fn in_time(base: &Url) -> Url {
    let mut url = base.clone();
    let host = base.host_str().unwrap_or_default();
    let prompt = match host.strip_prefix(DELAYED) {
        Some(rest) if rest.starts_with('.') => format!("socket{rest}"),
        Some(rest) if rest.starts_with('-') => rest[1..].to_owned(),
        _ => return url,
    };
    url.set_host(Some(&prompt)).expect("a part of a host's name is one");
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> VenueConfig {
        toml::from_str(text).expect("a section")
    }

    fn names(channels: &Channels, market: Market) -> Vec<&'static str> {
        channels.of(market).map(Channel::name).collect()
    }

    #[test]
    fn a_market_has_the_channels_asked_for_or_its_first_one() {
        let plain = Channels::of_config(&VenueConfig::default());
        assert_eq!(MARKETS.map(|market| names(&plain, market)), [["T"], ["XT"], ["C"]]);
        let asked = Channels::of_config(&of("channels = ['AM', 'T', 'CA']"));
        assert_eq!(names(&asked, Market::Stocks), ["AM", "T"]);
        assert_eq!((names(&asked, Market::Crypto), names(&asked, Market::Forex)), (vec!["XT"], vec!["CA"]));
        assert_eq!(channel_fault(&of("channels = ['T', 'XA']").channels), None);
        let said = channel_fault(&of("channels = ['T', 'LULD']").channels).expect("not served");
        assert!(said.starts_with("the channel `LULD` is not served; there are `T`, `Q`, `A`"), "{said}");
        assert_eq!(channel_width("AM"), Width::new(MINUTE));
        assert_eq!((channel_width("T"), channel_width("nope")), (None, None));
    }

    #[test]
    fn addresses_follow_from_one_another() {
        for (section, streams, rest, minutes) in [
            (
                "",
                [
                    "wss://socket.massive.com/stocks",
                    "wss://socket.massive.com/crypto",
                    "wss://socket.massive.com/forex",
                ],
                "https://api.massive.com/",
                0,
            ),
            (
                "stream_url = 'wss://delayed.polygon.io'\nrest_url = 'https://api.polygon.io'",
                [
                    "wss://delayed.polygon.io/stocks",
                    "wss://socket.polygon.io/crypto",
                    "wss://socket.polygon.io/forex",
                ],
                "https://api.polygon.io/",
                15,
            ),
            (
                "stream_url = 'wss://delayed-business.massive.com/stocks'\nforex_stream_url = 'ws://127.0.0.1:9/x/'",
                [
                    "wss://delayed-business.massive.com/stocks",
                    "wss://business.massive.com/crypto",
                    "ws://127.0.0.1:9/x/forex",
                ],
                "https://api.massive.com/",
                15,
            ),
        ] {
            let addresses = Addresses::of_config(&of(section));
            let found: Vec<&str> = addresses.streams.iter().map(Url::as_str).collect();
            assert_eq!((found, addresses.rest.as_str()), (streams.to_vec(), rest), "{section}");
            assert_eq!(addresses.delay, Duration::from_mins(minutes), "{section}");
        }
    }
}
