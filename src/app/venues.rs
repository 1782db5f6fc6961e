//! `tickwire venues`: the providers that there are, what each needs, and whether it has it.
//!
//! Promises: nothing is connected to, and no key is read or shown: only whether one is there. Addresses are shown without
//! paths, which may hold a key. Nothing here fails.

use crate::actors::ingest::config::{VenueConfig, shown};
use crate::actors::ingest::registry::{KAFKA, SIMULATED, VENUES, VenueEntry};
use crate::actors::ingest::venue::{BarsPage, Instrument, TradesPage, Transport, Venue};
use crate::config::Config;
use crate::models::num::Scale;
use crate::models::symbol::SymbolId;
use crate::models::time::{MINUTE, Nanos, Width};
use reqwest::Url;
use serde::Serialize;
use std::fmt::Write;

/// What is known of a provider.
#[derive(Debug, Serialize)]
struct Known {
    /// Its name, as `provider.name` and `[[feeds]]` take it.
    name: &'static str,
    /// Other names for it.
    aliases: &'static [&'static str],
    /// What it has.
    about: &'static str,
    /// Its section of the configuration; the simulator's is that of the provider.
    section: String,
    /// Whether it wants a key.
    needs_key: bool,
    /// The variable of the environment that may hold the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_variable: Option<&'static str>,
    /// What to set, where it lacks a key.
    #[serde(skip)]
    missing: Option<String>,
    /// Which keys of the configuration give it its key, as far as they are set.
    key_from: Vec<&'static str>,
    /// True when it lacks nothing that it needs.
    is_configured: bool,
    /// Where its streams are; empty where it is polled, and for the simulator.
    streams: Vec<String>,
    /// Where its REST is.
    #[serde(skip_serializing_if = "Option::is_none")]
    rest: Option<String>,
    /// What is followed where nobody names symbols.
    default_symbols: Vec<String>,
}

/// Returns the list: for people, or as a line of JSON.
#[must_use]
pub fn list(config: &Config, is_json: bool) -> String {
    let all: Vec<Known> = [simulator(), topic(config)]
        .into_iter()
        .chain(VENUES.iter().map(|entry| known(entry, config)))
        .collect();
    if is_json {
        return format!("{}\n", serde_json::to_string(&all).expect("the list is plain data"));
    }
    all.iter().map(Known::describe).collect::<Vec<_>>().join("\n")
}

/// Returns what a venue lacks before it can be connected to, for people; `None` when nothing is missing.
#[must_use]
pub fn lacks(entry: &VenueEntry, section: &VenueConfig) -> Option<String> {
    let key = entry.missing_key(section)?;
    Some(format!("`{}` needs a key: set {}", entry.name, entry.places_of(key)))
}

fn simulator() -> Known {
    Known {
        name: SIMULATED,
        aliases: &[],
        about: "a made-up market: every tick is invented",
        section: "provider".to_owned(),
        needs_key: false,
        key_variable: None,
        missing: None,
        key_from: Vec::new(),
        is_configured: true,
        streams: Vec::new(),
        rest: None,
        default_symbols: Config::default().provider.symbols.clone(),
    }
}

fn topic(config: &Config) -> Known {
    let servers = config.kafka.bootstrap_servers.clone();
    Known {
        name: KAFKA,
        aliases: &[],
        about: "ticks that other programs write to a topic of Kafka",
        section: "venues.kafka".to_owned(),
        needs_key: false,
        key_variable: None,
        missing: servers
            .is_none()
            .then(|| "`kafka.bootstrap_servers` or `KAFKA_BOOTSTRAP_SERVERS`".to_owned()),
        key_from: Vec::new(),
        is_configured: servers.is_some(),
        streams: servers.into_iter().collect(),
        rest: None,
        default_symbols: Vec::new(),
    }
}

fn known(entry: &'static VenueEntry, config: &Config) -> Known {
    let section = config.venues.of(entry.name);
    let venue = (entry.open)(section);
    let is_key = |key: &&'static str| ["key", "key_file", "socket_key", "socket_key_file"].contains(key);
    let streams = match venue.needs().transport {
        Transport::Streams(urls) => urls.iter().map(shown).collect(),
        Transport::Polls => Vec::new(),
    };
    Known {
        name: entry.name,
        aliases: entry.aliases,
        about: entry.about,
        section: format!("venues.{}", entry.name),
        needs_key: entry.needed_key.is_some(),
        key_variable: entry.key_variable,
        missing: entry.missing_key(section).map(|key| entry.places_of(key)),
        key_from: section.own_keys_set().into_iter().filter(is_key).collect(),
        is_configured: lacks(entry, section).is_none(),
        streams,
        rest: rest_of(venue.as_ref(), entry).as_ref().map(shown),
        default_symbols: entry.default_symbols.iter().map(|&name| name.to_owned()).collect(),
    }
}

/// Returns where a venue is asked over REST, by the first request that it would make.
fn rest_of(venue: &dyn Venue, entry: &VenueEntry) -> Option<Url> {
    let venue_symbol = venue.spell(entry.default_symbols.first()?).ok()?.venue_symbol;
    let polled = || venue.polls(&[&venue_symbol]).into_iter().next().map(|poll| poll.request);
    let instrument = Instrument {
        symbol: SymbolId::NONE,
        venue_symbol: venue_symbol.clone(),
        price_scale: Scale::PRICE,
        size_scale: Scale::SIZE,
    };
    let (from, to) = (Nanos(0), Nanos(MINUTE));
    let instrument = &instrument;
    let trades = || {
        let page =
            TradesPage { instrument, after: None, before: None, since: from, until: Some(to), cursor: None };
        venue.trades_request(&page)
    };
    let bars = || {
        let width = Width::new(MINUTE)?;
        venue.bars_request(&BarsPage { instrument, width, from, to, cursor: None })
    };
    let request = venue.instruments_request().or_else(trades).or_else(bars).or_else(polled)?;
    Some(request.url)
}

impl Known {
    fn describe(&self) -> String {
        let mut text = self.name.to_owned();
        if !self.aliases.is_empty() {
            _ = write!(text, " (also {})", self.aliases.join(", "));
        }
        _ = writeln!(text, ": {}", self.about);
        let mut row = |name: &str, value: &str| _ = writeln!(text, "  {name:<11}{value}");
        row(
            "configured",
            if self.is_configured {
                "yes"
            } else if self.name == KAFKA {
                "no: it needs brokers"
            } else {
                "no: it needs a key"
            },
        );
        let section = &self.section;
        let from: Vec<String> = self.key_from.iter().map(|key| format!("`{section}.{key}`")).collect();
        let key = match (&self.missing, from.as_slice()) {
            (Some(places), _) if self.needs_key => format!("missing; set {places}"),
            (Some(places), _) => format!("none needed; set {places}"),
            (None, []) => "none needed".to_owned(),
            (None, _) => format!("there, by {}", from.join(" and ")),
        };
        row("key", &key);
        row("settings", &format!("[{section}]"));
        if !self.streams.is_empty() {
            row("stream", &self.streams.join(" "));
        }
        if let Some(rest) = &self.rest {
            row("REST", rest);
        }
        let usual = self.default_symbols.join(" ");
        row(
            "follows",
            &format!("{} unless symbols are named", if usual.is_empty() { "all" } else { &usual }),
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::ingest::registry;

    #[test]
    fn every_provider_is_listed_with_what_it_needs() {
        let config = Config::default();
        let text = list(&config, false);
        let json: serde_json::Value = serde_json::from_str(&list(&config, true)).expect("it is JSON");
        let all = json.as_array().expect("a list");
        assert_eq!(all.len(), VENUES.len() + 2);
        assert_eq!((&all[0]["name"], &all[0]["is_configured"]), (&SIMULATED.into(), &true.into()));
        for (entry, known) in VENUES.iter().zip(&all[2..]) {
            let name = entry.name;
            assert!(text.contains(&format!("[venues.{name}]")), "{text}");
            assert_eq!(known["name"], name);
            assert_eq!(known["is_configured"], lacks(entry, config.venues.of(name)).is_none(), "{name}");
            assert_eq!(known["needs_key"], entry.needed_key.is_some(), "{name}");
            assert!(!known["default_symbols"].as_array().expect("a list").is_empty(), "{name}");
        }
        let coinbase = all.iter().find(|known| known["name"] == "coinbase").expect("it is there");
        assert_eq!(coinbase["streams"], serde_json::json!(["wss://ws-feed.exchange.coinbase.com"]));
        assert_eq!(coinbase["rest"], "https://api.exchange.coinbase.com");
    }

    #[test]
    fn a_missing_key_is_named_and_a_key_that_is_there_is_not_shown() {
        let of = |name| registry::find(name).expect("it is served");
        let missing = |name, section: &str| {
            let config: Config = toml::from_str(&format!("[venues.{name}]\n{section}\n")).expect("valid");
            lacks(of(name), config.venues.of(name))
        };
        let said = "`polygon` needs a key: set the variable `POLYGON_API_KEY`, `venues.polygon.key` or `venues.polygon.key_file`";
        assert_eq!(missing("polygon", "").as_deref(), Some(said));
        assert_eq!((missing("polygon", "key_file = '/x'"), missing("coinbase", "")), (None, None));
        let said = "`finage` needs a key: set `venues.finage.socket_key` or `venues.finage.socket_key_file`";
        assert_eq!(missing("finage", "key = 'hunter2-hunter2'").as_deref(), Some(said));
        assert_eq!(missing("finage", "socket_key = 'hunter2-hunter2'"), None, "REST can be left out");
        let config: Config = toml::from_str("[venues.polygon]\nkey = 'hunter2-hunter2'\n").expect("valid");
        let text = list(&config, false);
        assert!(text.contains("key        there, by `venues.polygon.key`"), "{text}");
        assert!(!text.contains("hunter2") && !list(&config, true).contains("hunter2"), "{text}");
    }
}
