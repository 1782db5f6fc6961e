//! Plans and starts what feeds a run: the simulator, or feeds of live venues.
//!
//! Promises: keys are read, and a symbol that the first venue of its feed does not have is refused, before anything is
//! opened; a venue that does not answer then holds nobody up.

use super::instruments::{Catalogue, WrongUse, scale};
use super::keys::with_keys;
use super::opening::Opening;
use super::simulator;
use crate::actors::ingest::config::VenueConfig;
use crate::actors::ingest::failover::{self, FeedPlan, Rules, VenuePlan};
use crate::actors::ingest::handle::FeedHandle;
use crate::actors::ingest::registry::{self, VenueEntry};
use crate::actors::ingest::shell::Tls;
use crate::actors::ingest::venue::{Instrument, Instruments, Listed, Venue};
use crate::actors::pipeline::Pipeline;
use crate::config::{Config, FeedSpec};
use crate::models::entry::{Body, SourceId};
use crate::models::num::Scale;
use crate::models::provenance::{DataKind, Provenance};
use crate::models::symbol::{PriceSource, SymbolId, SymbolSpec};
use crate::models::time::Nanos;
use crate::node::Node;
use futures_util::future::join_all;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// What will feed the run.
pub enum Plan {
    /// The simulator.
    Simulated(FeedSpec),
    /// Feeds of live venues.
    Live(Vec<LiveFeed>),
}

/// A feed of live venues, and what is followed of each.
pub struct LiveFeed {
    spec: FeedSpec,
    venues: Vec<LiveVenue>,
    compared: Vec<LiveVenue>,
}

/// A live venue, and what is followed of it.
struct LiveVenue {
    entry: &'static VenueEntry,
    venue: Arc<dyn Venue>,
    config: VenueConfig,
    tls: Tls,
    listed: Vec<Listed>,
}

impl Plan {
    /// Finds out what the configuration asks for, and asks live venues whether they have it.
    ///
    /// # Errors
    /// [`WrongUse`] for a symbol that the first venue of its feed, or every symbol that another one, does not have;
    /// otherwise when certificates or keys cannot be read.
    pub async fn make(config: &Config) -> anyhow::Result<Plan> {
        let mut feeds: Vec<LiveFeed> = Vec::new();
        for spec in config.feed_specs() {
            if spec.is_simulated() {
                return Ok(Plan::Simulated(spec));
            }
            feeds.push(LiveFeed::make(config, spec).await?);
        }
        let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
        for feed in &feeds {
            for symbol in feed.symbols() {
                if let Some(other) = taken.insert(symbol, &feed.spec.name) {
                    let name = &feed.spec.name;
                    return Err(WrongUse(format!(
                        "the symbol `{symbol}` is in the feeds `{other}` and `{name}`"
                    ))
                    .into());
                }
            }
        }
        Ok(Plan::Live(feeds))
    }

    /// Returns what kind of data it is, and who it comes from.
    #[must_use]
    pub fn provenance(&self) -> Provenance {
        match self {
            Plan::Simulated(_) => Provenance::simulated(),
            Plan::Live(feeds) => {
                let mut names: Vec<&str> = Vec::new();
                for venue in feeds.iter().flat_map(|feed| &feed.venues) {
                    if !names.contains(&venue.entry.name) {
                        names.push(venue.entry.name);
                    }
                }
                Provenance { data: DataKind::Live, provider: names.join(",") }
            }
        }
    }

    /// Starts it, each feed on a thread of its own.
    ///
    /// # Errors
    /// When the log cannot be asked where it ends, or a symbol's bars are made of something else than they have been.
    pub async fn start(
        self,
        config: &Config,
        node: &Node,
        pipeline: &Pipeline,
    ) -> anyhow::Result<RunningFeeds> {
        let ended = node.log.tail().await?.newest;
        match self {
            Plan::Simulated(spec) => {
                Ok(RunningFeeds(vec![simulator::start(config, &spec, node, pipeline, ended)]))
            }
            Plan::Live(feeds) => {
                let is_alone = feeds.len() == 1;
                let mut sources = SourceNames::default();
                let rate_max = config.provider.max_messages_per_second.map(std::num::NonZeroU32::get);
                let plans =
                    feeds.into_iter().map(|feed| feed.plan(node, &mut sources, ended, is_alone, rate_max));
                let plans: Vec<FeedPlan> = plans.collect::<anyhow::Result<_>>()?;
                let start = |plan| {
                    failover::start(plan, pipeline.log().clone(), node.env.clone(), Arc::clone(&node.health))
                };
                Ok(RunningFeeds(plans.into_iter().map(start).collect()))
            }
        }
    }
}

/// The feeds of a run.
pub struct RunningFeeds(Vec<FeedHandle>);

impl RunningFeeds {
    /// Stops them all: what they have received is handed to the log first.
    pub async fn stop(self) {
        join_all(self.0.into_iter().map(FeedHandle::stop)).await;
    }
}

/// The names of venues as sources. A venue that serves several feeds is a source of its own in each: clock marks and gaps
/// speak of every symbol of their source, and one feed's connection says nothing of another's.
#[derive(Default)]
struct SourceNames(BTreeSet<&'static str>);

impl SourceNames {
    fn next(&mut self, venue: &'static str, feed: &str) -> String {
        if self.0.insert(venue) { venue.to_owned() } else { format!("{venue}:{feed}") }
    }
}

impl LiveVenue {
    /// Opens a venue, and finds the symbols there.
    async fn make(
        config: &Config,
        name: &str,
        find: impl FnOnce(&Catalogue<'_>) -> Result<Vec<Listed>, WrongUse>,
    ) -> anyhow::Result<LiveVenue> {
        let Some(entry) = registry::find(name) else { anyhow::bail!("nobody serves `{name}`") };
        let config = with_keys(entry.name, config.venues.of(entry.name))?;
        let tls = Tls::of(&config)?;
        let venue = (entry.open)(&config);
        let listed = find(&Catalogue::of(venue.as_ref(), &config, entry.requests_per_minute).await?)?;
        Ok(LiveVenue { entry, venue, config, tls, listed })
    }

    /// Returns what its shell is run with. A symbol that is known already keeps the scales that its state was made with.
    fn plan(self, node: &Node, symbols: &HashMap<String, SymbolId>, source: SourceId) -> VenuePlan {
        let follow = |listed: &Listed| {
            let symbol = *symbols.get(&listed.name)?;
            let spec = node.symbols.spec(symbol);
            Some(Instrument {
                symbol,
                venue_symbol: listed.venue_symbol.clone(),
                price_scale: spec.price_scale,
                size_scale: spec.size_scale,
            })
        };
        VenuePlan {
            instruments: Instruments::new(self.listed.iter().filter_map(follow).collect()),
            venue: self.venue,
            config: self.config,
            tls: self.tls,
            requests_per_minute: self.entry.requests_per_minute,
            source,
            warm_up_bars: 0,
            definitions: Vec::new(),
        }
    }
}

impl LiveFeed {
    async fn make(config: &Config, spec: FeedSpec) -> anyhow::Result<LiveFeed> {
        let mut venues: Vec<LiveVenue> = Vec::new();
        for name in &spec.venues {
            let venue = match venues.first() {
                None => LiveVenue::make(config, name, |catalogue| catalogue.find_all(&spec.symbols)).await?,
                Some(first) => {
                    let names = names_of(&first.listed);
                    LiveVenue::make(config, name, |catalogue| catalogue.find_some(&names)).await?
                }
            };
            venues.push(venue);
        }
        let mut compared = Vec::new();
        for name in &spec.compare {
            let names = venues.first().map(|first| names_of(&first.listed)).unwrap_or_default();
            compared.push(LiveVenue::make(config, name, |catalogue| catalogue.find_some(&names)).await?);
        }
        Ok(LiveFeed { spec, venues, compared })
    }

    /// Returns the symbols of the feed: those that its first venue is followed for.
    fn symbols(&self) -> impl Iterator<Item = &str> {
        self.venues.iter().take(1).flat_map(|first| &first.listed).map(|listed| listed.name.as_str())
    }

    /// Returns what a symbol is: scales as fine as the finest that a venue of the feed lists.
    fn spec_of(&self, listed: &Listed) -> SymbolSpec {
        let all = || self.venues.iter().flat_map(|venue| &venue.listed).filter(|one| one.name == listed.name);
        let finest =
            |of: fn(&Listed) -> Option<Scale>| all().filter_map(of).max_by_key(|scale| scale.decimals());
        let mut spec = SymbolSpec::named(&listed.name);
        spec.asset_class = listed.asset_class;
        spec.price_scale = scale(self.spec.price_scale, finest(|one| one.price_scale), Scale::PRICE);
        spec.size_scale = scale(self.spec.size_scale, finest(|one| one.size_scale), Scale::SIZE);
        let usual = if listed.has_only_quotes { PriceSource::Mid } else { PriceSource::Trade };
        spec.price = self.spec.price.unwrap_or(usual);
        spec
    }

    fn plan(
        self,
        node: &Node,
        sources: &mut SourceNames,
        ended: Option<Nanos>,
        is_alone: bool,
        rate_max: Option<u32>,
    ) -> anyhow::Result<FeedPlan> {
        let own_source = |venue: &LiveVenue, sources: &mut SourceNames| {
            node.sources.intern(&sources.next(venue.entry.name, &self.spec.name))
        };
        let venue_sources: Vec<SourceId> =
            self.venues.iter().map(|venue| own_source(venue, sources)).collect();
        let first = self.venues.first().map(|venue| venue.listed.as_slice()).unwrap_or_default();
        let mut opening = Opening::new(node, venue_sources[0], self.venues.len() > 1);
        let mut symbols = HashMap::new();
        for listed in first {
            let spec = self.spec_of(listed);
            let symbol = node.symbols.intern(spec.clone());
            opening.symbol(symbol, &spec, &listed.venue_symbol)?;
            symbols.insert(listed.name.clone(), symbol);
        }
        let down_since = if is_alone { ended } else { opening.told_until(ended) };
        let (mut entries, charged_from) = opening.finish(down_since, node.env.settings.lateness);
        let mut plans = Vec::new();
        for (venue, source) in self.venues.into_iter().zip(venue_sources) {
            plans.push(venue.plan(node, &symbols, source));
        }
        // Where several venues may speak of a symbol, the clock of one may seal its past before it is there.
        if let [alone] = &mut plans[..]
            && self.spec.warm_up_bars > 0
        {
            alone.warm_up_bars = self.spec.warm_up_bars;
            alone.definitions =
                entries.extract_if(.., |entry| matches!(entry.body, Body::Symbol { .. })).collect();
        }
        // Its reports are in no log, so its name as a source meets no other.
        let compared = self.compared.into_iter().map(|venue| {
            let source = node.sources.intern(venue.entry.name);
            venue.plan(node, &symbols, source)
        });
        Ok(FeedPlan {
            compared: compared.collect(),
            venues: plans,
            rules: Rules { stale_after: self.spec.stale_after, failback_after: self.spec.failback_after },
            dead_after: self.spec.dead_after,
            name: self.spec.name,
            opening: entries,
            charged_from,
            down_since,
            rate_max,
        })
    }
}

fn names_of(listed: &[Listed]) -> Vec<String> {
    listed.iter().map(|one| one.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_venue_of_several_feeds_is_a_source_of_its_own_in_each() {
        let mut names = SourceNames::default();
        assert_eq!(names.next("polygon", "stocks"), "polygon");
        assert_eq!(names.next("finage", "stocks"), "finage");
        assert_eq!(names.next("polygon", "fx"), "polygon:fx");
    }
}
