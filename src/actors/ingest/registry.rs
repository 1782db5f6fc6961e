//! The providers that there are: the simulator, the topic of other programs and the live venues, by name. An unknown name is refused here, before
//! anything is started.

use super::config::VenueConfig;
use super::venue::Venue;
use super::venues::{alpha_vantage, binance, coinbase, finage, fmp, kraken, polygon};
use crate::models::time::Width;
use std::sync::Arc;

/// Name of the simulator. What it makes up is never under another name.
pub const SIMULATED: &str = "simulated";

/// Name of the topic that other programs write ticks to (`kafka/`).
pub const KAFKA: &str = "kafka";

/// What is known of a live venue before it is opened.
pub struct VenueEntry {
    /// Its name.
    pub name: &'static str,
    /// Other names that the configuration takes for it.
    pub aliases: &'static [&'static str],
    /// What it has, in a line for people.
    pub about: &'static str,
    /// The key of its section without which it cannot be followed: `key`, or `socket_key` where REST may be left out.
    pub needed_key: Option<&'static str>,
    /// The variable of the environment that may hold the `key` of its section, where it has one.
    pub key_variable: Option<&'static str>,
    /// Those of [`VenueConfig::OWN_KEYS`] that it has.
    pub own_keys: &'static [&'static str],
    /// What is followed where nobody names symbols.
    pub default_symbols: &'static [&'static str],
    /// REST requests a minute where nobody sets them.
    pub requests_per_minute: u32,
    /// Says what is wrong with the channels asked for.
    pub channel_fault: fn(&[String]) -> Option<String>,
    /// Makes the venue.
    pub open: fn(&VenueConfig) -> Arc<dyn Venue>,
}

impl VenueEntry {
    /// Returns the key of its section that it needs and that is set neither there nor by a file.
    #[must_use]
    pub fn missing_key(&self, section: &VenueConfig) -> Option<&'static str> {
        self.needed_key.filter(|key| match *key {
            "socket_key" => section.socket_key.is_none() && section.socket_key_file.is_none(),
            _ => section.key.is_none() && section.key_file.is_none(),
        })
    }

    /// Says where a key can be set, for people.
    #[must_use]
    pub fn places_of(&self, key: &str) -> String {
        let name = self.name;
        let own = format!("`venues.{name}.{key}` or `venues.{name}.{key}_file`");
        match self.key_variable.filter(|_| key == "key") {
            Some(variable) => format!("the variable `{variable}`, {own}"),
            None => own,
        }
    }
}

/// The live venues.
pub static VENUES: [VenueEntry; 7] = [
    VenueEntry {
        name: alpha_vantage::NAME,
        aliases: &[],
        about: "US shares, currencies, coins: bars and rates, polled",
        needed_key: Some("key"),
        key_variable: Some("ALPHA_VANTAGE_API_KEY"),
        own_keys: &["key", "key_file", "poll_interval", "entitlement", "bar_stamp"],
        default_symbols: &alpha_vantage::DEFAULT_SYMBOLS,
        requests_per_minute: alpha_vantage::REQUESTS_PER_MINUTE,
        channel_fault: alpha_vantage::channel_fault,
        open: alpha_vantage::AlphaVantage::open,
    },
    VenueEntry {
        name: binance::NAME,
        aliases: &[],
        about: "coins: every trade, or trades by order",
        needed_key: None,
        key_variable: None,
        own_keys: &binance::OWN_KEYS,
        default_symbols: &binance::DEFAULT_SYMBOLS,
        requests_per_minute: binance::REQUESTS_PER_MINUTE,
        channel_fault: binance::channel_fault,
        open: binance::Binance::open,
    },
    VenueEntry {
        name: coinbase::NAME,
        aliases: &[],
        about: "coins: every trade (Exchange feed)",
        needed_key: None,
        key_variable: None,
        own_keys: &[],
        default_symbols: &coinbase::DEFAULT_SYMBOLS,
        requests_per_minute: coinbase::REQUESTS_PER_MINUTE,
        channel_fault: coinbase::channel_fault,
        open: coinbase::Coinbase::open,
    },
    VenueEntry {
        name: finage::NAME,
        aliases: &[],
        about: "US shares, coins: trades; currencies: quotes",
        needed_key: Some("socket_key"),
        key_variable: Some("FINAGE_API_KEY"),
        own_keys: &[
            "key",
            "key_file",
            "socket_key",
            "socket_key_file",
            "crypto_stream_url",
            "forex_stream_url",
            "conditions",
        ],
        default_symbols: &finage::DEFAULT_SYMBOLS,
        requests_per_minute: finage::REQUESTS_PER_MINUTE,
        channel_fault: finage::channel_fault,
        open: finage::Finage::open,
    },
    VenueEntry {
        name: fmp::NAME,
        aliases: &[],
        about: "US shares, coins: trades; currencies: quotes",
        needed_key: Some("key"),
        key_variable: Some("FMP_API_KEY"),
        own_keys: &[
            "key",
            "key_file",
            "crypto_stream_url",
            "forex_stream_url",
            "max_connections",
            "bar_zone",
        ],
        default_symbols: &fmp::DEFAULT_SYMBOLS,
        requests_per_minute: fmp::REQUESTS_PER_MINUTE,
        channel_fault: fmp::channel_fault,
        open: fmp::Fmp::open,
    },
    VenueEntry {
        name: kraken::NAME,
        aliases: &[],
        about: "coins and currencies: every trade",
        needed_key: None,
        key_variable: None,
        own_keys: &[],
        default_symbols: &kraken::DEFAULT_SYMBOLS,
        requests_per_minute: kraken::REQUESTS_PER_MINUTE,
        channel_fault: kraken::channel_fault,
        open: kraken::Kraken::open,
    },
    VenueEntry {
        name: polygon::NAME,
        aliases: &polygon::ALIASES,
        about: "US stocks and coins: every trade; currencies: every quote",
        needed_key: Some("key"),
        key_variable: Some(polygon::KEY_VARIABLE),
        own_keys: &polygon::OWN_KEYS,
        default_symbols: &polygon::DEFAULT_SYMBOLS,
        requests_per_minute: polygon::REQUESTS_PER_MINUTE,
        channel_fault: polygon::channel_fault,
        open: polygon::Polygon::open,
    },
];

/// Returns the width of the ready-made bars that a venue's channel brings, if it brings bars.
#[must_use]
pub fn channel_width(venue: &str, channel: &str) -> Option<Width> {
    if venue == polygon::NAME { polygon::channel_width(channel) } else { None }
}

/// Returns a live venue by its name, or another name of it.
#[must_use]
pub fn find(name: &str) -> Option<&'static VenueEntry> {
    VENUES.iter().find(|entry| entry.name == name || entry.aliases.contains(&name))
}

/// Returns the names of all providers, for people.
#[must_use]
pub fn names() -> String {
    let own = [SIMULATED, KAFKA].into_iter();
    let all: Vec<String> =
        own.chain(VENUES.iter().map(|entry| entry.name)).map(|name| format!("`{name}`")).collect();
    all.join(", ")
}

/// Returns what is wrong with the name of a provider, or with a list of names with commas between; the text says what there
/// is.
#[must_use]
pub fn name_fault(name: &str) -> Option<String> {
    let names: Vec<&str> = name.split(',').map(str::trim).collect();
    list_fault(&names)
}

/// Returns what is wrong with a list of providers, in the order in which they take over from each other; the text says what
/// there is.
#[must_use]
pub fn list_fault(names: &[impl AsRef<str>]) -> Option<String> {
    let own_name = |name: &str| match name {
        SIMULATED => Some(SIMULATED),
        KAFKA => Some(KAFKA),
        name => find(name).map(|venue| venue.name),
    };
    let mut known: Vec<&str> = Vec::new();
    let mut reasons: Vec<String> = Vec::new();
    for name in names.iter().map(AsRef::as_ref) {
        match own_name(name) {
            Some(own) if known.contains(&own) => return Some(format!("`{own}` is named twice")),
            Some(own) => known.push(own),
            None => reasons.push(match name {
                "" => "an empty name".to_owned(),
                name => format!("nobody serves `{name}`"),
            }),
        }
    }
    if !reasons.is_empty() {
        return Some(format!("{}; there is {}", reasons.join(", "), self::names()));
    }
    if known.len() > 1 && known.contains(&KAFKA) {
        return Some(format!(
            "`{KAFKA}` is a feed of its own: nobody takes over from a topic, and it from nobody"
        ));
    }
    (known.len() > 1 && known.contains(&SIMULATED)).then(|| {
        format!("`{SIMULATED}` feeds a run alone: made-up trades never stand beside those of a market")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_that_nobody_serves_is_refused_with_what_there_is() {
        for name in [SIMULATED, KAFKA, "coinbase"] {
            assert_eq!(name_fault(name), None, "{name}");
        }
        for (name, said) in [("nope,simulated", "nobody serves `nope`"), ("", "an empty name")] {
            assert_eq!(name_fault(name), Some(format!("{said}; there is {}", names())));
        }
        assert!(names().starts_with("`simulated`, ") && names().contains(", `coinbase`"), "{}", names());
        assert_eq!(name_fault("coinbase, coinbase").as_deref(), Some("`coinbase` is named twice"));
        let mixed = name_fault("simulated,coinbase").expect("made up beside real");
        assert!(mixed.starts_with("`simulated` feeds a run alone"), "{mixed}");
        assert_eq!(name_fault("coinbase, kraken"), None);
        assert_eq!(find("massive").map(|entry| entry.name), Some("polygon"));
        let beside = name_fault("polygon,kafka").expect("a topic and a venue");
        assert!(beside.starts_with("`kafka` is a feed of its own"), "{beside}");
    }

    #[test]
    fn every_venue_opens_under_its_own_name() {
        for entry in &VENUES {
            let venue = (entry.open)(&VenueConfig::default());
            assert_eq!(venue.name(), entry.name);
            assert!(find(entry.name).is_some() && !entry.default_symbols.is_empty());
            assert_eq!((entry.channel_fault)(&[]), None);
        }
        assert!(VENUES.is_sorted_by_key(|entry| entry.name));
    }
}
