//! Plans and starts what feeds a run: the simulator, or a live venue.
//!
//! Promises: a symbol that the venue does not have is refused before anything is opened; a venue that does not answer then
//! holds nobody up: what was asked for is taken as it is, and that is said.

use crate::actors::ingest::handle::FeedHandle;
use crate::actors::ingest::registry::{self, SIMULATED, VenueEntry};
use crate::actors::ingest::shell::{self, FeedSettings, ListingError, list_instruments};
use crate::actors::ingest::simulated::{self, HistorySettings, PastSettings, SimulatedFeed, symbol_names};
use crate::actors::ingest::venue::{Instrument, Instruments, Listed, Venue};
use crate::actors::pipeline::Pipeline;
use crate::config::{Config, FeedSpec};
use crate::models::num::Scale;
use crate::models::provenance::{DataKind, Provenance};
use crate::models::symbol::{AssetClass, SymbolError, SymbolId, SymbolSpec};
use crate::models::time::Nanos;
use crate::names::SymbolTable;
use crate::node::Node;
use std::collections::HashMap;
use std::sync::Arc;

/// Instruments of a venue that are named where one is not found.
const NAMED_MAX: usize = 10;

/// The command asks for what there is not: the exit code says so, as with a wrong flag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WrongUse(String);

/// What will feed the run.
pub struct Plan {
    feed: FeedSpec,
    live: Option<LivePlan>,
}

/// A live venue, and what is followed of it.
struct LivePlan {
    entry: &'static VenueEntry,
    venue: Arc<dyn Venue>,
    listed: Vec<Listed>,
}

impl Plan {
    /// Finds out what the configuration asks for, and asks a live venue whether it has it.
    ///
    /// # Errors
    /// [`WrongUse`] for a symbol that the venue does not have; otherwise when certificates cannot be read.
    pub async fn make(config: &Config) -> anyhow::Result<Plan> {
        let feed = config.feed();
        let Some(entry) = registry::find(&feed.provider) else { return Ok(Plan { feed, live: None }) };
        let section = config.venues.of(entry.name);
        let venue = (entry.open)(section);
        let listed = match list_instruments(venue.as_ref(), section, entry.requests_per_minute).await {
            Ok(Some(all)) => pick(entry.name, &feed.symbols, &all)?,
            Ok(None) => as_asked(venue.as_ref(), &feed.symbols)?,
            Err(ListingError::Unavailable(error)) => {
                tracing::warn!(
                    venue = entry.name,
                    error,
                    "the venue's list of instruments cannot be had; what was asked for is followed unchecked"
                );
                as_asked(venue.as_ref(), &feed.symbols)?
            }
            Err(error @ ListingError::Certificate(_)) => return Err(error.into()),
        };
        Ok(Plan { feed, live: Some(LivePlan { entry, venue, listed }) })
    }

    /// Returns what kind of data it is, and who it comes from.
    #[must_use]
    pub fn provenance(&self) -> Provenance {
        match &self.live {
            None => Provenance::simulated(),
            Some(live) => Provenance { data: DataKind::Live, provider: live.entry.name.to_owned() },
        }
    }

    /// Starts it on a thread of its own.
    ///
    /// # Errors
    /// When the log cannot be asked where it ends.
    pub async fn start(
        self,
        config: &Config,
        node: &Node,
        pipeline: &Pipeline,
    ) -> anyhow::Result<FeedHandle> {
        let down_since = node.log.tail().await?.newest;
        match self.live {
            None => Ok(start_simulated(config, &self.feed, node, pipeline, down_since)),
            Some(live) => live.start(config, &self.feed, node, pipeline, down_since),
        }
    }
}

impl LivePlan {
    fn start(
        self,
        config: &Config,
        feed: &FeedSpec,
        node: &Node,
        pipeline: &Pipeline,
        down_since: Option<Nanos>,
    ) -> anyhow::Result<FeedHandle> {
        let follow = |listed: &Listed| {
            let mut spec = SymbolSpec::named(&listed.name);
            spec.asset_class = listed.asset_class;
            spec.price_scale = scale(feed.price_scale, listed.price_scale, Scale::PRICE);
            spec.size_scale = scale(feed.size_scale, listed.size_scale, Scale::SIZE);
            let symbol = node.symbols.intern(spec);
            // One that is known already keeps the scales that its state was made with.
            let spec = node.symbols.spec(symbol);
            Instrument {
                symbol,
                venue_symbol: listed.venue_symbol.clone(),
                price_scale: spec.price_scale,
                size_scale: spec.size_scale,
            }
        };
        let instruments = Instruments::new(self.listed.iter().map(follow).collect());
        let settings = FeedSettings {
            name: feed.name.clone(),
            source: node.sources.intern(self.entry.name),
            venue: self.venue,
            config: config.venues.of(self.entry.name).clone(),
            requests_per_minute: self.entry.requests_per_minute,
            instruments,
            down_since,
            rate_max: config.provider.max_messages_per_second.map(std::num::NonZeroU32::get),
            recorder: None,
        };
        Ok(shell::start(settings, pipeline.log().clone(), node.env.clone(), node.health.clone())?)
    }
}

/// Returns the scale to use. That of the venue's list is taken where it is finer than the default, and never a coarser
/// one: a venue may refine its increments while the state lives, and then a scale just as fine as today's would round.
fn scale(wanted: Option<Scale>, listed: Option<Scale>, default: Scale) -> Scale {
    wanted.unwrap_or_else(|| match listed {
        Some(listed) if listed.decimals() > default.decimals() => listed,
        _ => default,
    })
}

/// Takes symbols as they are asked for, in the venue's spelling.
fn as_asked(venue: &dyn Venue, symbols: &[String]) -> anyhow::Result<Vec<Listed>> {
    let listed = |name: &String| {
        let reason =
            |reason| WrongUse(format!("`{}` cannot have the symbol `{name}`: {reason}", venue.name()));
        Ok(venue.spell(name).map_err(reason)?)
    };
    symbols.iter().map(listed).collect()
}

/// Finds symbols in a venue's list, aliases included.
fn pick(venue: &str, symbols: &[String], all: &[Listed]) -> anyhow::Result<Vec<Listed>> {
    let table = SymbolTable::default();
    let by_id: HashMap<SymbolId, &Listed> =
        all.iter().map(|one| (table.intern(SymbolSpec::named(&one.name)), one)).collect();
    let mut picked: Vec<Listed> = Vec::new();
    for name in symbols {
        let found = match table.resolve(name) {
            Ok(id) => by_id[&id],
            Err(SymbolError::Ambiguous(_, several)) => {
                return Err(WrongUse(format!("`{name}` may mean {several} at `{venue}`")).into());
            }
            Err(_) => return Err(WrongUse(not_there(venue, name, all)).into()),
        };
        if !found.is_trading {
            tracing::warn!(venue, symbol = found.name, "the venue does not trade this at present");
        }
        if !picked.contains(found) {
            picked.push(found.clone());
        }
    }
    Ok(picked)
}

/// Says that a venue does not have a symbol, and what it has that is like it.
fn not_there(venue: &str, name: &str, all: &[Listed]) -> String {
    let half = |name: &str| name.split('-').next().unwrap_or_default().to_owned();
    let mut alike: Vec<&str> = all
        .iter()
        .filter(|one| one.is_trading && half(&one.name) == half(name))
        .map(|one| one.name.as_str())
        .collect();
    if alike.is_empty() {
        alike = all.iter().filter(|one| one.is_trading).map(|one| one.name.as_str()).collect();
    }
    alike.sort_unstable();
    let rest = alike.len().saturating_sub(NAMED_MAX);
    alike.truncate(NAMED_MAX);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("`{venue}` has no symbol `{name}`; there is {}{more}", alike.join(", "))
}

fn start_simulated(
    config: &Config,
    feed: &FeedSpec,
    node: &Node,
    pipeline: &Pipeline,
    down_since: Option<Nanos>,
) -> FeedHandle {
    let provider = &config.provider;
    let names = match provider.symbol_count {
        Some(count) => symbol_names(count.get() as usize),
        None => feed.symbols.clone(),
    };
    let source = node.sources.intern(SIMULATED);
    let symbols: Vec<(SymbolId, &str)> = names
        .iter()
        .map(|name| {
            let mut spec = SymbolSpec::named(name);
            if spec.asset_class == AssetClass::Unknown {
                spec.asset_class = AssetClass::Equity;
            }
            (node.symbols.intern(spec), name.as_str())
        })
        .collect();
    let now: Nanos = (node.env.now)();
    let mut market = provider.simulated.market(&symbols, source, now, provider.rate, provider.seed);
    let mut lacking = Vec::new();
    for (place, symbol) in market.symbols.iter_mut().enumerate() {
        match node.env.published.snapshots.as_ref().and_then(|snapshots| snapshots.get(symbol.id)) {
            // After a restart prices go on where they were.
            Some(snapshot) => {
                symbol.initial_price = snapshot.last.map_or(symbol.initial_price, |last| last.price);
            }
            // Nothing is known of it: it is new, or its past was not made before the last end.
            None => lacking.push(place),
        }
    }
    let past = (!provider.warm_up.is_zero()).then(|| {
        let most = provider.simulated.warm_up_trades_max;
        let warm = HistorySettings::warm_up(&node.env.settings.widths, most);
        let span = i64::try_from(provider.warm_up.as_nanos()).unwrap_or(i64::MAX);
        PastSettings { history: HistorySettings { span: span.max(warm.span), ..warm }, lacking }
    });
    let feed = SimulatedFeed {
        market,
        past,
        faults: provider.simulated.faults.clone(),
        down_since,
        rate_max: provider.max_messages_per_second.map(std::num::NonZeroU32::get),
    };
    simulated::start(feed, pipeline.log().clone(), node.env.clone(), node.health.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(names: &[&str]) -> Vec<Listed> {
        names.iter().map(|&name| Listed::pair(name, name)).collect()
    }

    fn picked(symbols: &[&str]) -> Result<Vec<String>, String> {
        let all = listed(&["BTC-USD", "BTC-EUR", "ETH-USD"]);
        let symbols: Vec<String> = symbols.iter().map(|&name| name.to_owned()).collect();
        let names = |picked: Vec<Listed>| picked.into_iter().map(|one| one.name).collect();
        pick("coinbase", &symbols, &all).map(names).map_err(|error| error.to_string())
    }

    #[test]
    fn symbols_are_found_by_their_aliases_and_others_refused_with_a_hint() {
        assert_eq!(picked(&["ETHUSD", "BTC-USD", "BTC-USD"]), Ok(vec!["ETH-USD".into(), "BTC-USD".into()]));
        let said = picked(&["BTC-USDX"]).expect_err("none");
        assert_eq!(said, "`coinbase` has no symbol `BTC-USDX`; there is BTC-EUR, BTC-USD");
        let said = picked(&["AAPL"]).expect_err("none");
        assert_eq!(said, "`coinbase` has no symbol `AAPL`; there is BTC-EUR, BTC-USD, ETH-USD");
    }

    #[test]
    fn a_scale_is_never_coarser_than_the_default_unless_it_is_asked_for() {
        let of = |decimals: u8| Scale::new(decimals).expect("at most 12");
        assert_eq!(scale(None, Some(of(2)), Scale::PRICE), Scale::PRICE);
        assert_eq!(scale(None, Some(of(12)), Scale::PRICE), of(12));
        assert_eq!(scale(None, None, Scale::SIZE), Scale::SIZE);
        assert_eq!(scale(Some(of(2)), Some(of(12)), Scale::PRICE), of(2));
    }
}
