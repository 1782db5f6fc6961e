//! Which venues are asked for which symbol: the one that the command names, or those of the feed that follows the symbol.
//!
//! Promises: a symbol that none of them has is refused, with what the first one has that is like it, before anything is
//! written. On failure the error says what to set.

use super::BackfillSettings;
use crate::actors::ingest::config::VenueConfig;
use crate::actors::ingest::registry::{self, VenueEntry};
use crate::actors::ingest::shell::{RequestLimit, Tls};
use crate::actors::ingest::venue::{Listed, Venue};
use crate::app::instruments::{Catalogue, WrongUse, scale};
use crate::app::keys::with_keys;
use crate::app::venues::lacks;
use crate::config::{Config, FeedSpec};
use crate::models::num::Scale;
use crate::models::symbol::{PriceSource, SymbolSpec, folded};
use std::sync::Arc;

/// A venue that can be asked.
pub struct OpenVenue {
    pub entry: &'static VenueEntry,
    pub venue: Arc<dyn Venue>,
    pub config: VenueConfig,
    pub tls: Tls,
    pub limit: RequestLimit,
}

/// A symbol, and who has it.
pub struct Wanted {
    /// What it is, unless the directory knows it otherwise.
    pub spec: SymbolSpec,
    /// The places in [`Places::venues`] of those that have it, in the order in which they are asked, and its name there.
    pub at: Vec<(usize, Listed)>,
}

/// Who is asked for what.
pub struct Places {
    pub venues: Vec<OpenVenue>,
    pub symbols: Vec<Wanted>,
}

impl Places {
    /// Finds the symbols.
    ///
    /// # Errors
    /// [`WrongUse`] for a venue or a symbol that there is not, and for a missing key; otherwise when certificates or keys
    /// cannot be read.
    pub async fn find(asked: &BackfillSettings, config: &Config) -> anyhow::Result<Places> {
        let feeds = config.feed_specs();
        let mut places = Places { venues: Vec::new(), symbols: Vec::new() };
        for (name, symbols) in by_venue(asked, &feeds)? {
            let Some(entry) = registry::find(&name) else {
                let fault = registry::name_fault(&name);
                return Err(WrongUse(fault.unwrap_or_else(|| NOT_LIVE.to_owned())).into());
            };
            let section = config.venues.of(entry.name);
            if let Some(lack) = lacks(entry, section) {
                return Err(WrongUse(lack).into());
            }
            let config = with_keys(entry.name, section)?;
            let tls = Tls::of(&config)?;
            let venue = (entry.open)(&config);
            let limit = RequestLimit::new(&config, entry.requests_per_minute);
            let catalogue = Catalogue::of(Arc::clone(&venue), &config, limit.clone(), &tls).await;
            let at = places.venues.len();
            for asked in symbols {
                match catalogue.find(&asked.name) {
                    Ok(listed) => places.add(at, listed, asked.feed),
                    Err(error) if asked.is_first => return Err(error.into()),
                    // A venue that stands by may lack a symbol.
                    Err(error) => tracing::debug!(%error, "not asked for this symbol"),
                }
            }
            places.venues.push(OpenVenue { entry, venue, config, tls, limit });
        }
        Ok(places)
    }

    fn add(&mut self, at: usize, listed: Listed, feed: Option<&FeedSpec>) {
        let (wanted_price, wanted_size) =
            feed.map_or((None, None), |feed| (feed.price_scale, feed.size_scale));
        let known = self.symbols.iter_mut().find(|wanted| wanted.spec.name == listed.name);
        if let Some(known) = known {
            if known.at.iter().any(|(place, _)| *place == at) {
                return;
            }
            // As a run of the feed has it: as fine as the finest that one of its venues lists.
            known.spec.price_scale = scale(wanted_price, listed.price_scale, known.spec.price_scale);
            known.spec.size_scale = scale(wanted_size, listed.size_scale, known.spec.size_scale);
            known.at.push((at, listed));
            return;
        }
        let mut spec = SymbolSpec::named(&listed.name);
        spec.asset_class = listed.asset_class;
        spec.price_scale = scale(wanted_price, listed.price_scale, Scale::PRICE);
        spec.size_scale = scale(wanted_size, listed.size_scale, Scale::SIZE);
        let usual = if listed.has_only_quotes { PriceSource::Mid } else { PriceSource::Trade };
        spec.price = feed.and_then(|feed| feed.price).unwrap_or(usual);
        self.symbols.push(Wanted { spec, at: vec![(at, listed)] });
    }
}

const NOT_LIVE: &str = "the simulator makes its market up: there is no past to fetch; name a venue with `--venue`, such as `coinbase`";

/// A symbol as the command names it.
#[derive(Clone, Debug)]
struct Asked<'a> {
    name: String,
    feed: Option<&'a FeedSpec>,
    /// The venue is the first one that is asked for it.
    is_first: bool,
}

/// Returns which symbols are looked for at which venue. First ones come first.
fn by_venue<'a>(
    asked: &BackfillSettings,
    feeds: &'a [FeedSpec],
) -> Result<Vec<(String, Vec<Asked<'a>>)>, WrongUse> {
    let mut found: Vec<(String, Vec<Asked<'a>>)> = Vec::new();
    let mut add = |venue: &str, asked: Asked<'a>| match found.iter_mut().find(|(name, _)| name == venue) {
        Some((_, symbols)) => symbols.push(asked),
        None => found.push((venue.to_owned(), vec![asked])),
    };
    for name in &asked.symbols {
        let follows = |feed: &&FeedSpec| feed.symbols.iter().any(|symbol| folded(symbol) == folded(name));
        let feed = feeds.iter().find(follows);
        let asked_as = |is_first| Asked { name: name.clone(), feed, is_first };
        if let Some(venue) = &asked.venue {
            add(venue, asked_as(true));
            continue;
        }
        let ((Some(feed), _) | (None, [feed])) = (feed, feeds) else {
            return Err(WrongUse(format!(
                "no feed of the configuration follows `{name}`: name a venue with `--venue`"
            )));
        };
        for (at, venue) in feed.venues.iter().enumerate() {
            add(venue, asked_as(at == 0));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(symbols: &[&str], venue: Option<&str>) -> BackfillSettings {
        BackfillSettings {
            symbols: symbols.iter().map(|&name| name.to_owned()).collect(),
            venue: venue.map(str::to_owned),
            from: String::new(),
            to: None,
            windows: Vec::new(),
        }
    }

    fn found(symbols: &[&str], venue: Option<&str>, config: &str) -> Result<Vec<String>, String> {
        let config: Config = toml::from_str(config).expect("the types are right");
        let feeds = config.feed_specs();
        let found = by_venue(&settings(symbols, venue), &feeds).map_err(|error| error.to_string())?;
        let line = |(venue, symbols): &(String, Vec<Asked<'_>>)| {
            let mark = |asked: &Asked<'_>| format!("{}{}", asked.name, if asked.is_first { "!" } else { "" });
            format!("{venue}: {}", symbols.iter().map(mark).collect::<Vec<_>>().join(" "))
        };
        Ok(found.iter().map(line).collect())
    }

    #[test]
    fn the_venues_of_the_feed_are_asked_in_their_order_unless_one_is_named() {
        let feeds = "[[feeds]]\nname = \"a\"\nvenues = [\"kraken\", \"coinbase\"]\nsymbols = [\"BTC-USD\"]\n\
                     [[feeds]]\nname = \"b\"\nvenues = [\"coinbase\"]\nsymbols = [\"ETH-USD\"]";
        let both = ["btc/usd", "ETHUSD"];
        assert_eq!(
            found(&both, None, feeds),
            Ok(vec!["kraken: btc/usd!".into(), "coinbase: btc/usd ETHUSD!".into()])
        );
        assert_eq!(found(&both, Some("binance"), feeds), Ok(vec!["binance: btc/usd! ETHUSD!".into()]));
        assert!(found(&["SOL-USD"], None, feeds).is_err_and(|said| said.contains("`--venue`")));
        let short = "[provider]\nname = \"kraken\"";
        assert_eq!(found(&["SOL-USD"], None, short), Ok(vec!["kraken: SOL-USD!".into()]));
    }
}
