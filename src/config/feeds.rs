//! Sections `feeds` and `venues`: what feeds a run, and how live venues are reached.
//!
//! A feed is said the short way, by `provider`, or the long way, by a table of `[[feeds]]`. Keys that this version does not
//! serve are known and refused, so that nobody believes in a failover that is not there.

use super::Config;
use super::sources::Origin;
use super::text::symbols;
use crate::actors::ingest::config::VenueConfig;
use crate::actors::ingest::registry::{self, SIMULATED};
use crate::models::num::Scale;
use serde::{Deserialize, Serialize};
use toml::Value;

/// One table of `[[feeds]]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FeedConfig {
    /// Its name in health; empty is that of its venue.
    pub name: String,
    /// Symbols to follow; empty is what `provider` would follow.
    #[serde(with = "symbols")]
    pub symbols: Vec<String>,
    /// Its venues, the first one in charge. One so far.
    pub venues: Vec<String>,
    /// Decimals of prices; not set: what the venue lists, and 9 at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_scale: Option<u8>,
    /// Decimals of sizes; not set: what the venue lists, and 8 at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_scale: Option<u8>,
    /// What makes the bars: `trade` so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<String>,
    /// Venues to compare with. Not served by this version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compare: Option<Value>,
    /// Bars to begin with. Not served by this version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm_up_bars: Option<Value>,
    /// Silence after which the feed is stale. Not served by this version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_after: Option<Value>,
    /// Silence after which the feed is dead. Not served by this version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_after: Option<Value>,
    /// When the first venue is in charge again. Not served by this version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failback_after: Option<Value>,
}

/// Section `venues`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Venues {
    /// Binance, its spot market; needs no key.
    pub binance: VenueConfig,
    /// Coinbase, its Exchange feed; needs no key.
    pub coinbase: VenueConfig,
    /// Kraken, its spot market; needs no key.
    pub kraken: VenueConfig,
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
            "binance" => Some(&self.binance),
            "coinbase" => Some(&self.coinbase),
            "kraken" => Some(&self.kraken),
            _ => None,
        }
    }
}

/// What feeds a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedSpec {
    /// Its name.
    pub name: String,
    /// `simulated`, or a venue of the registry.
    pub provider: String,
    /// Symbols to follow, as the user spells them.
    pub symbols: Vec<String>,
    /// Decimals of prices where the user wants them so.
    pub price_scale: Option<Scale>,
    /// Decimals of sizes where the user wants them so.
    pub size_scale: Option<Scale>,
}

impl Config {
    /// Returns what feeds a run.
    #[must_use]
    pub fn feed(&self) -> FeedSpec {
        let given = self.feeds.first();
        let provider = given.and_then(|feed| feed.venues.first()).unwrap_or(&self.provider.name).clone();
        let venue = registry::find(&provider);
        let symbols = given.map(|feed| &feed.symbols).filter(|symbols| !symbols.is_empty());
        let symbols = match (symbols, venue) {
            (Some(symbols), _) => symbols.clone(),
            // The simulator's own symbols are stocks, which no venue of coins has.
            (None, Some(venue)) if self.origin("provider.symbols") == &Origin::Default => {
                venue.default_symbols.iter().map(|&name| name.to_owned()).collect()
            }
            (None, _) => self.provider.symbols.clone(),
        };
        let name = given.map(|feed| feed.name.clone()).filter(|name| !name.is_empty());
        let scale = |of: fn(&FeedConfig) -> Option<u8>| given.and_then(of).and_then(Scale::new);
        FeedSpec {
            name: name.unwrap_or_else(|| provider.clone()),
            symbols,
            price_scale: scale(|feed| feed.price_scale),
            size_scale: scale(|feed| feed.size_scale),
            provider,
        }
    }
}

/// Returns every fault of the two sections, and of what else a live venue has no use for.
pub(super) fn faults(config: &Config) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut fault = |key: &str, reason: String| found.push((key.to_owned(), reason));
    if config.feeds.len() > 1 {
        fault("feeds", "one feed runs at a time in this version".to_owned());
    }
    for feed in &config.feeds {
        feed.faults().into_iter().for_each(|reason| fault("feeds", reason));
    }
    if !config.feeds.is_empty() {
        for key in ["provider.name", "provider.symbols", "provider.symbol_count"] {
            if let Origin::Flag(flag) = config.origin(key) {
                fault(key, format!("`[[feeds]]` says what runs; leave `{flag}` or the feeds out"));
            }
        }
    }
    if config.feed().provider != SIMULATED && registry::find(&config.feed().provider).is_some() {
        for key in ["provider.symbol_count", "provider.rate", "provider.seed"] {
            let is_asked_for = matches!(config.origin(key), Origin::Flag(_));
            if is_asked_for || (key == "provider.symbol_count" && config.provider.symbol_count.is_some()) {
                fault(key, format!("is for the provider `{SIMULATED}` alone"));
            }
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
    }
    found
}

impl FeedConfig {
    fn faults(&self) -> Vec<String> {
        let mut found = Vec::new();
        match self.venues.as_slice() {
            [] => found.push("`venues` names none".to_owned()),
            [one] => found.extend(registry::name_fault(one)),
            _ => found.push("`venues` names several: failover is not served by this version".to_owned()),
        }
        for (key, scale) in [("price_scale", self.price_scale), ("size_scale", self.size_scale)] {
            if scale.is_some_and(|scale| Scale::new(scale).is_none()) {
                found.push(format!("`{key}` must be from 0 to 12"));
            }
        }
        if self.price.as_ref().is_some_and(|price| price != "trade") {
            found.push("`price` is `trade` in this version: no venue served sends quotes".to_owned());
        }
        let later = [
            ("compare", &self.compare),
            ("warm_up_bars", &self.warm_up_bars),
            ("stale_after", &self.stale_after),
            ("dead_after", &self.dead_after),
            ("failback_after", &self.failback_after),
        ];
        let set = later.into_iter().filter(|(_, value)| value.is_some());
        found.extend(set.map(|(key, _)| format!("`{key}` is not served by this version")));
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

    #[test]
    fn a_feed_is_said_the_short_way_or_the_long_way() {
        let simulated = Config::default().feed();
        assert_eq!((simulated.name.as_str(), simulated.provider.as_str()), ("simulated", "simulated"));
        assert_eq!(simulated.symbols, Config::default().provider.symbols);
        let short = of("provider.name = 'coinbase'").feed();
        assert_eq!(
            (short.provider.as_str(), short.symbols),
            ("coinbase", vec!["BTC-USD".into(), "ETH-USD".into()])
        );
        let long =
            of("[[feeds]]\nname = 'coins'\nvenues = ['coinbase']\nsymbols = ['sol/usd']\nprice_scale = 4\n");
        assert_eq!(faults(&long), []);
        let expected = FeedSpec {
            name: "coins".to_owned(),
            provider: "coinbase".to_owned(),
            symbols: vec!["SOL-USD".to_owned()],
            price_scale: Scale::new(4),
            size_scale: None,
        };
        assert_eq!(long.feed(), expected);
    }

    #[test]
    fn what_is_not_served_is_refused() {
        for (feed, said) in [
            ("venues = []", "names none"),
            ("venues = ['coinbase', 'kraken']", "failover is not served"),
            ("venues = ['kafka']", "`kafka` is not served by this version; there is `simulated`, `"),
            ("venues = ['coinbase']\nprice = 'mid'", "`price` is `trade`"),
            ("venues = ['coinbase']\nprice_scale = 13", "from 0 to 12"),
            ("venues = ['coinbase']\ncompare = ['kraken']", "`compare` is not served"),
            ("venues = ['coinbase']\nwarm_up_bars = 200", "`warm_up_bars` is not served"),
            ("venues = ['coinbase']\nstale_after = '30s'", "`stale_after` is not served"),
            ("venues = ['coinbase']\ndead_after = '5min'", "`dead_after` is not served"),
            ("venues = ['coinbase']\nfailback_after = '60s'", "`failback_after` is not served"),
            ("venues = ['simulated']\n[[feeds]]\nvenues = ['coinbase']", "one feed runs at a time"),
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
            ("key = 'secret'", "venues.coinbase.key"),
            ("poll_interval = '1s'", "venues.coinbase.poll_interval"),
            ("reconnect_at = '04:00'", "venues.coinbase.reconnect_at"),
            ("trades_url = 'https://a.example'", "venues.coinbase.trades_url"),
        ] {
            let found = faults(&of(&format!("[venues.coinbase]\n{section}\n")));
            assert_eq!(found.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), [key], "{section}");
        }
        let counted = faults(&of("[provider]\nname = 'coinbase'\nsymbol_count = 5\n"));
        assert_eq!(
            counted.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(),
            ["provider.symbol_count"]
        );
    }
}
