//! Sections `feeds` and `venues`: what feeds a run, and how live venues are reached.
//!
//! A feed is said the short way, by `provider`, or the long way, by tables of `[[feeds]]`.

use super::Config;
use super::sources::Origin;
use super::text::{span, symbols};
use crate::actors::ingest::config::VenueConfig;
use crate::actors::ingest::kafka::config::TopicConfig;
use crate::actors::ingest::registry::{self, KAFKA, SIMULATED};
use crate::actors::ingest::warm_up::{NUM_BARS_DEFAULT, NUM_BARS_MAX};
use crate::models::num::Scale;
use crate::models::symbol::PriceSource;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// One table of `[[feeds]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FeedConfig {
    /// Its name in health; empty is that of its first venue.
    pub name: String,
    /// Symbols to follow; empty is what `provider` would follow.
    #[serde(with = "symbols")]
    pub symbols: Vec<String>,
    /// Its venues: the first one is in charge, the others take over in this order.
    pub venues: Vec<String>,
    /// Venues that run beside the one in charge and enter no bar: how far they differ is measured.
    pub compare: Vec<String>,
    /// What makes the bars: `trade`, `mid`, `bid` or `ask`; not set: trades, and the middle of quotes where there are no trades.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<PriceSource>,
    /// Decimals of prices; not set: what the venue lists, and 9 at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_scale: Option<u8>,
    /// Decimals of sizes; not set: what the venue lists, and 8 at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_scale: Option<u8>,
    /// Bars of each window that a new symbol begins with, as far as the first venue that can give them has them; not set:
    /// 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm_up_bars: Option<u32>,
    /// The venue in charge is left when nothing of the whole feed has come for this long.
    #[serde(with = "span")]
    pub stale_after: Duration,
    /// The feed is dead when its clock has stood still for this long.
    #[serde(with = "span")]
    pub dead_after: Duration,
    /// A venue before the one in charge takes charge again when it has been well for this long.
    #[serde(with = "span")]
    pub failback_after: Duration,
}

impl Default for FeedConfig {
    fn default() -> Self {
        FeedConfig {
            name: String::new(),
            symbols: Vec::new(),
            venues: Vec::new(),
            compare: Vec::new(),
            price: None,
            price_scale: None,
            size_scale: None,
            warm_up_bars: None,
            stale_after: Duration::from_secs(30),
            dead_after: Duration::from_mins(5),
            failback_after: Duration::from_mins(1),
        }
    }
}

/// Section `venues`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Venues {
    /// Alpha Vantage; needs a key.
    pub alpha_vantage: VenueConfig,
    /// Binance, its spot market; needs no key.
    pub binance: VenueConfig,
    /// Coinbase, its Exchange feed; needs no key.
    pub coinbase: VenueConfig,
    /// Finage; needs a socket key and addresses of the account's own.
    pub finage: VenueConfig,
    /// Financial Modeling Prep; needs a key.
    pub fmp: VenueConfig,
    /// A topic of Kafka that other programs write ticks to; where its brokers are says `kafka`.
    pub kafka: TopicConfig,
    /// Kraken, its spot market; needs no key.
    pub kraken: VenueConfig,
    /// Polygon, which calls itself Massive; wants a key.
    pub polygon: VenueConfig,
}

impl Venues {
    /// Returns the section of a venue of the registry.
    ///
    /// # Panics
    /// For a name that is none: every venue of the registry has its section, which a test checks.
    #[must_use]
    pub fn of(&self, name: &str) -> &VenueConfig {
        self.find(name).expect("every venue has its section")
    }

    fn find(&self, name: &str) -> Option<&VenueConfig> {
        match name {
            "alpha_vantage" => Some(&self.alpha_vantage),
            "binance" => Some(&self.binance),
            "coinbase" => Some(&self.coinbase),
            "finage" => Some(&self.finage),
            "fmp" => Some(&self.fmp),
            "kraken" => Some(&self.kraken),
            "polygon" => Some(&self.polygon),
            _ => None,
        }
    }
}

/// One of the feeds of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedSpec {
    /// Its name.
    pub name: String,
    /// `simulated` alone, or venues of the registry by their own names, the first one in charge.
    pub venues: Vec<String>,
    /// Venues of the registry that are compared.
    pub compare: Vec<String>,
    /// Symbols to follow, as the user spells them; of a topic none is all.
    pub symbols: Vec<String>,
    /// What makes the bars where the user says so.
    pub price: Option<PriceSource>,
    /// Decimals of prices where the user wants them so.
    pub price_scale: Option<Scale>,
    /// Decimals of sizes where the user wants them so.
    pub size_scale: Option<Scale>,
    /// Bars of each window that a new symbol begins with; 0: none.
    pub warm_up_bars: u32,
    /// The venue in charge is left when nothing of the whole feed has come for this long.
    pub stale_after: Duration,
    /// The feed is dead when its clock has stood still for this long.
    pub dead_after: Duration,
    /// A venue before the one in charge takes charge again when it has been well for this long.
    pub failback_after: Duration,
}

impl FeedSpec {
    /// True for a feed that the simulator makes up.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        self.venues.iter().any(|name| name == SIMULATED)
    }

    /// True for a feed that is read from a topic.
    #[must_use]
    pub fn is_topic(&self) -> bool {
        self.venues.iter().any(|name| name == KAFKA)
    }

    /// Returns the names of all its venues.
    fn all_venues(&self) -> impl Iterator<Item = &str> {
        self.venues.iter().chain(&self.compare).map(String::as_str)
    }
}

impl Config {
    /// Returns what feeds a run: one feed at least.
    #[must_use]
    pub fn feed_specs(&self) -> Vec<FeedSpec> {
        if self.feeds.is_empty() {
            let venues = self.provider.name.split(',').map(|name| name.trim().to_owned()).collect();
            return vec![self.feed_spec(&FeedConfig { venues, ..FeedConfig::default() })];
        }
        self.feeds.iter().map(|feed| self.feed_spec(feed)).collect()
    }

    /// Returns the topic that a feed reads, where one does.
    #[must_use]
    pub fn topic_read(&self) -> Option<&str> {
        let is_read = self.feed_specs().iter().any(FeedSpec::is_topic);
        is_read.then(|| self.venues.kafka.topic.as_deref().unwrap_or(&self.kafka.topics.ticks))
    }

    fn feed_spec(&self, feed: &FeedConfig) -> FeedSpec {
        let own_names = |names: &[String]| -> Vec<String> {
            names
                .iter()
                .map(|name| registry::find(name).map_or(name.as_str(), |venue| venue.name).to_owned())
                .collect()
        };
        let venues = own_names(&feed.venues);
        let first = venues.first().and_then(|name| registry::find(name));
        let is_topic = venues.iter().any(|name| name == KAFKA);
        let symbols = match first {
            _ if !feed.symbols.is_empty() => feed.symbols.clone(),
            None if is_topic && self.origin("provider.symbols") == &Origin::Default => Vec::new(),
            // The simulator's own symbols are stocks, which no venue of coins has.
            Some(venue) if self.origin("provider.symbols") == &Origin::Default => {
                venue.default_symbols.iter().map(|&name| name.to_owned()).collect()
            }
            _ => self.provider.symbols.clone(),
        };
        // Who wants no past of the simulator wants none of a venue.
        let warm_up_bars = if self.provider.warm_up.is_zero() { 0 } else { NUM_BARS_DEFAULT };
        FeedSpec {
            name: if feed.name.is_empty() {
                venues.first().cloned().unwrap_or_default()
            } else {
                feed.name.clone()
            },
            compare: own_names(&feed.compare),
            symbols,
            price: feed.price,
            price_scale: feed.price_scale.and_then(Scale::new),
            size_scale: feed.size_scale.and_then(Scale::new),
            warm_up_bars: feed.warm_up_bars.unwrap_or(warm_up_bars),
            stale_after: feed.stale_after,
            dead_after: feed.dead_after,
            failback_after: feed.failback_after,
            venues,
        }
    }
}

/// Returns every fault of the two sections, and of what else a live venue has no use for.
pub(super) fn faults(config: &Config) -> Vec<(String, String)> {
    let specs = config.feed_specs();
    let mut found = Vec::new();
    let mut fault = |key: &str, reason: String| found.push((key.to_owned(), reason));
    for feed in &config.feeds {
        feed.faults().into_iter().for_each(|reason| fault("feeds", reason));
    }
    if !config.feeds.is_empty() {
        shared(&specs).into_iter().for_each(|reason| fault("feeds", reason));
        for key in ["provider.name", "provider.symbols", "provider.symbol_count"] {
            if let Origin::Flag(flag) = config.origin(key) {
                fault(key, format!("`[[feeds]]` says what runs; leave `{flag}` or the feeds out"));
            }
        }
    }
    let reads_topic = specs.iter().any(FeedSpec::is_topic);
    let used: BTreeSet<&str> = specs.iter().flat_map(FeedSpec::all_venues).collect();
    let used: Vec<_> = used.into_iter().filter_map(registry::find).collect();
    if reads_topic && config.kafka.bootstrap_servers.is_none() {
        let reason =
            "is not set, and the provider `kafka` reads there; `KAFKA_BOOTSTRAP_SERVERS` sets it too";
        fault("kafka.bootstrap_servers", reason.to_owned());
    }
    if config.kafka.is_enabled() && config.topic_read() == Some(&config.kafka.topics.ticks) {
        let reason = "is the topic that ticks are written to, so each would be read again: name another one, name \
                      `kafka.topics.ticks` otherwise, or write no topics (`kafka.enabled = false`)";
        fault("venues.kafka.topic", reason.to_owned());
    }
    if !used.is_empty() || reads_topic {
        for key in ["provider.symbol_count", "provider.rate", "provider.seed"] {
            let is_asked_for = matches!(config.origin(key), Origin::Flag(_));
            if is_asked_for || (key == "provider.symbol_count" && config.provider.symbol_count.is_some()) {
                fault(key, format!("is for the provider `{SIMULATED}` alone"));
            }
        }
    }
    for venue in used {
        let section = config.venues.of(venue.name);
        if let Some(key) = venue.missing_key(section) {
            let (name, places) = (venue.name, venue.places_of(key));
            fault(
                &format!("venues.{name}.{key}"),
                format!("is not set, and `{name}` needs a key: set {places}"),
            );
        }
    }
    for venue in &registry::VENUES {
        let section = config.venues.of(venue.name);
        for (key, reason) in section.validate() {
            fault(&format!("venues.{}.{key}", venue.name), reason);
        }
        for key in section.own_keys_set().into_iter().filter(|key| !venue.own_keys.contains(key)) {
            fault(&format!("venues.{}.{key}", venue.name), "is not for this venue".to_owned());
        }
        if let Some(reason) = (venue.channel_fault)(&section.channels) {
            fault(&format!("venues.{}.channels", venue.name), reason);
        }
        for channel in &section.channels {
            let width = registry::channel_width(venue.name, channel);
            if let Some(width) = width.filter(|width| !config.core.settings().widths.contains(width)) {
                let reason = format!("`{channel}` has bars of {width}, which is none of `core.windows`");
                fault(&format!("venues.{}.channels", venue.name), reason);
            }
        }
    }
    found
}

/// Returns what several feeds must not have in common.
fn shared(specs: &[FeedSpec]) -> Vec<String> {
    let mut found = Vec::new();
    let (mut names, mut symbols) = (BTreeSet::new(), BTreeMap::new());
    for spec in specs {
        if !names.insert(&spec.name) {
            found.push(format!("two feeds have the name `{}`: give one another `name`", spec.name));
        }
        if spec.is_simulated() && specs.len() > 1 {
            found.push(format!(
                "`{SIMULATED}` feeds a run alone: made-up trades never stand beside those of a market"
            ));
        }
        if spec.is_topic() && specs.iter().filter(|other| other.is_topic()).count() > 1 {
            found.push(format!("`{KAFKA}` is in several feeds: one reads all of the topic"));
        }
        for symbol in &spec.symbols {
            match symbols.insert(symbol, &spec.name) {
                Some(other) if other != &spec.name => found.push(format!(
                    "the symbol `{symbol}` is in `{other}` and in `{}`: it belongs to one feed",
                    spec.name
                )),
                _ => {}
            }
        }
    }
    found
}

impl FeedConfig {
    fn faults(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.venues.is_empty() {
            found.push("`venues` names none".to_owned());
        } else {
            found.extend(registry::list_fault(&self.venues));
        }
        if !self.compare.is_empty() {
            let beside: Vec<String> = self.venues.iter().chain(&self.compare).cloned().collect();
            found.extend(registry::list_fault(&beside).map(|reason| format!("`compare`: {reason}")));
        }
        for (key, scale) in [("price_scale", self.price_scale), ("size_scale", self.size_scale)] {
            if scale.is_some_and(|scale| Scale::new(scale).is_none()) {
                found.push(format!("`{key}` must be from 0 to 12"));
            }
        }
        for (key, span) in [("stale_after", self.stale_after), ("failback_after", self.failback_after)] {
            if span.is_zero() {
                found.push(format!("`{key}` must be more than 0"));
            }
        }
        if self.dead_after < self.stale_after {
            found.push("`dead_after` must be at least `stale_after`".to_owned());
        }
        if self.warm_up_bars.is_some_and(|bars| bars > NUM_BARS_MAX) {
            found.push(format!("`warm_up_bars` must be from 0 to {NUM_BARS_MAX}"));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Config {
        toml::from_str(text).expect("the types are right")
    }

    #[test]
    fn every_venue_has_its_section() {
        for venue in &registry::VENUES {
            assert_eq!(Venues::default().find(venue.name), Some(&VenueConfig::default()), "{}", venue.name);
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_feed_is_said_the_short_way_or_the_long_way() {
        let [simulated] = &Config::default().feed_specs()[..] else { panic!("one feed") };
        assert_eq!((simulated.name.as_str(), simulated.is_simulated()), ("simulated", true));
        assert_eq!(simulated.symbols, Config::default().provider.symbols);
        let [short] = &of("provider.name = 'coinbase'").feed_specs()[..] else { panic!("one feed") };
        assert_eq!((&short.venues, &short.symbols), (&names(&["coinbase"]), &names(&["BTC-USD", "ETH-USD"])));
        let long = of(
            "[[feeds]]\nname = 'coins'\nvenues = ['coinbase']\nsymbols = ['sol/usd']\nprice_scale = 4\nprice = 'mid'\nstale_after = '5s'\n[[feeds]]\nvenues = ['coinbase']\n",
        );
        assert_eq!(faults(&long), []);
        let expected = FeedSpec {
            name: "coins".to_owned(),
            venues: names(&["coinbase"]),
            compare: Vec::new(),
            symbols: names(&["SOL-USD"]),
            price: Some(PriceSource::Mid),
            price_scale: Scale::new(4),
            size_scale: None,
            warm_up_bars: 200,
            stale_after: Duration::from_secs(5),
            dead_after: Duration::from_mins(5),
            failback_after: Duration::from_mins(1),
        };
        let specs = long.feed_specs();
        assert_eq!((specs.len(), &specs[0], specs[1].name.as_str()), (2, &expected, "coinbase"));
        let bars = |text: &str| of(text).feed_specs()[0].warm_up_bars;
        assert_eq!(bars("provider.name = 'coinbase'\nprovider.warm_up = '0s'"), 0);
        assert_eq!(bars("[[feeds]]\nvenues = ['coinbase']\nwarm_up_bars = 50"), 50);
    }

    #[test]
    fn a_topic_has_all_symbols_unless_some_are_named_and_needs_brokers() {
        let read = of("provider.name = 'kafka'");
        assert!(read.feed_specs()[0].is_topic() && read.feed_specs()[0].symbols.is_empty());
        assert_eq!(faults(&read)[0].0, "kafka.bootstrap_servers");
        assert_eq!(read.topic_read(), Some("tick_data"));
        let set = "[kafka]\nbootstrap_servers = 'h:9092'\n[venues.kafka]\ntopic = 'old'\nstart = 'latest'\n";
        let read = of(&format!("{set}[[feeds]]\nvenues = ['kafka']\nsymbols = ['aapl']\n"));
        assert_eq!((faults(&read), read.topic_read()), (Vec::new(), Some("old")));
        assert_eq!(read.feed_specs()[0].symbols, ["AAPL"]);
        assert_eq!(of(set).topic_read(), None);
        let both = of("provider.name = 'kafka'\n[kafka]\nbootstrap_servers = 'h:9092'\n");
        assert_eq!(faults(&both)[0].0, "venues.kafka.topic");
    }

    #[test]
    fn what_is_not_served_is_refused() {
        for (feed, said) in [
            ("venues = []", "names none"),
            ("venues = ['coinbase', 'nope']", "nobody serves `nope`; there is `simulated`, "),
            ("venues = ['coinbase', 'coinbase']", "`coinbase` is named twice"),
            ("venues = ['simulated', 'coinbase']", "`simulated` feeds a run alone"),
            ("venues = ['coinbase']\ncompare = ['coinbase']", "`compare`: `coinbase` is named twice"),
            ("venues = ['kafka', 'coinbase']", "`kafka` is a feed of its own"),
            ("name = 'x'\nvenues = ['kafka']\n[[feeds]]\nvenues = ['kafka']", "`kafka` is in several feeds"),
            ("venues = ['coinbase']\nprice_scale = 13", "from 0 to 12"),
            ("venues = ['coinbase']\nwarm_up_bars = 5001", "from 0 to 5000"),
            ("venues = ['coinbase']\nstale_after = '0s'", "`stale_after` must be more than 0"),
            ("venues = ['coinbase']\ndead_after = '5s'", "at least `stale_after`"),
            ("venues = ['coinbase']\nfailback_after = '0s'", "`failback_after` must be more than 0"),
            ("venues = ['simulated']\n[[feeds]]\nvenues = ['coinbase']", "`simulated` feeds a run alone"),
            ("venues = ['coinbase']\n[[feeds]]\nvenues = ['coinbase']", "the name `coinbase`"),
            (
                "venues = ['coinbase']\nsymbols = ['BTC-USD', 'A']\n[[feeds]]\nname = 'x'\nvenues = ['coinbase']\nsymbols = ['btc/usd']",
                "the symbol `BTC-USD` is in `coinbase` and in `x`",
            ),
        ] {
            let found = faults(&of(&format!("[[feeds]]\n{feed}\n")));
            assert!(
                found.iter().any(|(key, reason)| key == "feeds" && reason.contains(said)),
                "{feed}: {found:?}"
            );
        }
        for (section, key) in [
            ("idle_timeout = '20s'", "venues.coinbase.idle_timeout"),
            ("retry_delay = '0s'", "venues.coinbase.retry_delay"),
            ("retry_max_delay = '1ms'", "venues.coinbase.retry_max_delay"),
            ("channels = ['ticker']", "venues.coinbase.channels"),
            ("extended_hours = true", "venues.coinbase.extended_hours"),
            ("key = 'secret'", "venues.coinbase.key"),
            ("poll_interval = '1s'", "venues.coinbase.poll_interval"),
            ("reconnect_at = '04:00'", "venues.coinbase.reconnect_at"),
            ("trades_url = 'https://a.example'", "venues.coinbase.trades_url"),
        ] {
            let found = faults(&of(&format!("[venues.coinbase]\n{section}\n")));
            assert_eq!(found.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), [key], "{section}");
        }
        let barred = faults(&of("[venues.polygon]\nkey = 'secret'\nchannels = ['T', 'AM', 'A']\n"));
        let said = "`A` has bars of 1s, which is none of `core.windows`".to_owned();
        assert_eq!(barred, [("venues.polygon.channels".to_owned(), said)]);
        let counted = faults(&of("[provider]\nname = 'coinbase'\nsymbol_count = 5\n"));
        assert_eq!(
            counted.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(),
            ["provider.symbol_count"]
        );
    }
}
