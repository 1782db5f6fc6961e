//! A feed of live venues: what is followed of each, at the start and later.
//!
//! Promises: keys are read, and a symbol of the configuration that the first venue does not have is refused, before anything is
//! opened; a venue that does not answer then holds nobody up. A symbol that was added while a run went on and that the first
//! venue does not have any more is left out, which is said.

use super::candidate::{Candidate, Refused};
use super::instruments::{Catalogue, WrongUse, scale};
use super::keys::with_keys;
use super::opening::{Opening, definition};
use super::symbols::FeedChanges;
use crate::actors::ingest::config::VenueConfig;
use crate::actors::ingest::failover::{FeedChange, FeedPlan, Follow, Rules, VenuePlan};
use crate::actors::ingest::registry::{self, VenueEntry};
use crate::actors::ingest::shell::{RequestLimit, Tls};
use crate::actors::ingest::venue::{Instrument, Instruments, Listed, Venue};
use crate::config::{Config, FeedSpec};
use crate::models::entry::SourceId;
use crate::models::num::Scale;
use crate::models::symbol::{PriceSource, SymbolId, SymbolSpec};
use crate::models::time::Nanos;
use crate::node::Node;
use crate::web::symbol_control::{RefusalReason, UnaskedVenue};
use futures_util::future::join_all;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use tokio::sync::mpsc;

/// A feed of live venues, and what is followed of each.
pub struct LiveFeed {
    spec: FeedSpec,
    venues: Vec<LiveVenue>,
    compared: Vec<LiveVenue>,
    /// Symbols that the configuration names, in our spelling.
    configured: BTreeSet<String>,
}

/// A live venue, and what is followed of it.
struct LiveVenue {
    entry: &'static VenueEntry,
    venue: Arc<dyn Venue>,
    config: VenueConfig,
    tls: Tls,
    limit: RequestLimit,
    catalogue: Catalogue,
    /// What is followed when it begins.
    listed: Vec<Listed>,
}

/// The names of venues as sources. A venue that serves several feeds is a source of its own in each: clock marks and gaps
/// speak of every symbol of their source, and one feed's connection says nothing of another's.
#[derive(Default)]
pub struct SourceNames(BTreeSet<&'static str>);

impl SourceNames {
    fn next(&mut self, venue: &'static str, feed: &str) -> String {
        if self.0.insert(venue) { venue.to_owned() } else { format!("{venue}:{feed}") }
    }
}

/// How often each venue may be asked over REST: one limit, whichever of the feeds asks, and whoever searches.
#[derive(Default)]
pub struct RequestLimits(BTreeMap<&'static str, RequestLimit>);

impl RequestLimits {
    fn of(&mut self, entry: &VenueEntry, config: &VenueConfig) -> RequestLimit {
        let limit = || RequestLimit::new(config, entry.requests_per_minute);
        self.0.entry(entry.name).or_insert_with(limit).clone()
    }
}

/// What all feeds of a run are begun with.
pub struct Beginning<'a> {
    /// What the process works with.
    pub node: &'a Node,
    /// Where the log ended; `None` at a first start.
    pub ended: Option<Nanos>,
    /// There is no other feed.
    pub is_alone: bool,
    /// Frames a second that are taken of each venue at the most.
    pub rate_max: Option<u32>,
}

impl LiveVenue {
    /// Opens a venue.
    async fn open(config: &Config, name: &str, limits: &mut RequestLimits) -> anyhow::Result<LiveVenue> {
        let Some(entry) = registry::find(name) else { anyhow::bail!("nobody serves `{name}`") };
        let config = with_keys(entry.name, config.venues.of(entry.name))?;
        let tls = Tls::of(&config)?;
        let venue = (entry.open)(&config);
        let limit = limits.of(entry, &config);
        let catalogue = Catalogue::of(Arc::clone(&venue), &config, limit.clone(), &tls).await;
        Ok(LiveVenue { entry, venue, config, tls, limit, catalogue, listed: Vec::new() })
    }

    /// Returns what its shell is run with. A symbol that is known already keeps the scales that its state was made with.
    fn plan(&self, node: &Node, symbols: &HashMap<String, SymbolId>, source: SourceId) -> VenuePlan {
        let follow = |listed: &Listed| Some(instrument(node, *symbols.get(&listed.name)?, listed));
        VenuePlan {
            instruments: Instruments::new(self.listed.iter().filter_map(follow).collect()),
            venue: Arc::clone(&self.venue),
            config: self.config.clone(),
            tls: self.tls.clone(),
            limit: self.limit.clone(),
            source,
            warm_up_bars: 0,
        }
    }
}

/// Returns an instrument that is followed, with the scales of its symbol.
fn instrument(node: &Node, symbol: SymbolId, listed: &Listed) -> Instrument {
    let spec = node.symbols.spec(symbol);
    Instrument {
        symbol,
        venue_symbol: listed.venue_symbol.clone(),
        price_scale: spec.price_scale,
        size_scale: spec.size_scale,
    }
}

impl LiveFeed {
    /// Asks the venues of a feed whether they have what the configuration names, and what was added since.
    ///
    /// # Errors
    /// [`WrongUse`] for a symbol of the configuration that the first venue, or every symbol that another one, does not have;
    /// otherwise when certificates or keys cannot be read.
    pub async fn make(
        config: &Config,
        spec: FeedSpec,
        changes: &FeedChanges,
        limits: &mut RequestLimits,
    ) -> anyhow::Result<LiveFeed> {
        let mut feed =
            LiveFeed { venues: Vec::new(), compared: Vec::new(), configured: BTreeSet::new(), spec };
        for name in feed.spec.venues.clone() {
            let mut venue = LiveVenue::open(config, &name, limits).await?;
            venue.listed = match feed.venues.first() {
                None => {
                    let named: Vec<String> = feed
                        .spec
                        .symbols
                        .iter()
                        .filter(|name| !changes.removed.contains(*name))
                        .cloned()
                        .collect();
                    let mut listed = venue.catalogue.find_all(&named)?;
                    feed.configured = listed.iter().map(|one| one.name.clone()).collect();
                    feed.configured.extend(changes.removed.iter().cloned());
                    listed.retain(|one| !changes.removed.contains(&one.name));
                    add(&venue.catalogue, changes, &mut listed);
                    listed
                }
                Some(first) if first.listed.is_empty() => Vec::new(),
                Some(first) => venue.catalogue.find_some(&names_of(&first.listed))?,
            };
            feed.venues.push(venue);
        }
        for name in feed.spec.compare.clone() {
            let mut venue = LiveVenue::open(config, &name, limits).await?;
            let names = feed.venues.first().map(|first| names_of(&first.listed)).unwrap_or_default();
            if !names.is_empty() {
                venue.listed = venue.catalogue.find_some(&names)?;
            }
            feed.compared.push(venue);
        }
        Ok(feed)
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Returns the names of its venues.
    pub fn venue_names(&self) -> impl Iterator<Item = &'static str> {
        self.venues.iter().map(|venue| venue.entry.name)
    }

    /// Returns how many bars of each window a new symbol begins with at the most.
    #[must_use]
    pub fn warm_up_bars(&self) -> u32 {
        self.spec.warm_up_bars
    }

    /// Returns the symbols of the feed: those that its first venue is followed for.
    pub fn symbols(&self) -> impl Iterator<Item = &str> {
        self.venues.iter().take(1).flat_map(|first| &first.listed).map(|listed| listed.name.as_str())
    }

    /// True when the configuration names a symbol.
    #[must_use]
    pub fn is_configured(&self, name: &str) -> bool {
        self.configured.contains(name)
    }

    /// Leaves a symbol out before it begins.
    pub fn leave_out(&mut self, name: &str) {
        for venue in self.venues.iter_mut().chain(&mut self.compared) {
            venue.listed.retain(|one| one.name != name);
        }
    }

    /// Returns what a symbol is: scales as fine as the finest that a venue of the feed lists.
    fn spec_of(&self, listed: &Listed, all: &[&Listed]) -> SymbolSpec {
        let finest = |of: fn(&Listed) -> Option<Scale>| {
            all.iter().filter_map(|one| of(one)).max_by_key(|scale| scale.decimals())
        };
        let mut spec = SymbolSpec::named(&listed.name);
        spec.asset_class = listed.asset_class;
        spec.price_scale = scale(self.spec.price_scale, finest(|one| one.price_scale), Scale::PRICE);
        spec.size_scale = scale(self.spec.size_scale, finest(|one| one.size_scale), Scale::SIZE);
        let usual = if listed.has_only_quotes { PriceSource::Mid } else { PriceSource::Trade };
        spec.price = self.spec.price.unwrap_or(usual);
        spec
    }

    /// Returns what it is started with, and who reports what it brings.
    ///
    /// # Errors
    /// When a symbol's bars are made of something else than they have been.
    pub fn plan(
        &self,
        beginning: &Beginning<'_>,
        sources: &mut SourceNames,
        changes: mpsc::Receiver<FeedChange>,
    ) -> anyhow::Result<FeedPlan> {
        let Beginning { node, ended, is_alone, rate_max } = *beginning;
        let own_source = |venue: &LiveVenue, sources: &mut SourceNames| {
            node.sources.intern(&sources.next(venue.entry.name, &self.spec.name))
        };
        let venue_sources: Vec<SourceId> =
            self.venues.iter().map(|venue| own_source(venue, sources)).collect();
        let first = self.venues.first().map(|venue| venue.listed.as_slice()).unwrap_or_default();
        let mut opening = Opening::new(node, venue_sources[0], self.venues.len() > 1);
        let mut symbols = HashMap::new();
        for listed in first {
            let all: Vec<&Listed> = self
                .venues
                .iter()
                .flat_map(|venue| &venue.listed)
                .filter(|one| one.name == listed.name)
                .collect();
            let spec = self.spec_of(listed, &all);
            let symbol = node.symbols.intern(spec.clone());
            opening.symbol(symbol, &spec, &listed.venue_symbol)?;
            symbols.insert(listed.name.clone(), symbol);
        }
        let down_since = if is_alone { ended } else { opening.told_until(ended) };
        let mut plans = Vec::new();
        for (venue, source) in self.venues.iter().zip(venue_sources) {
            let warm_up_bars = self.warm_up_bars();
            plans.push(VenuePlan { warm_up_bars, ..venue.plan(node, &symbols, source) });
        }
        let has_past = plans.first().is_some_and(VenuePlan::has_past);
        let (entries, charged_from) = opening.finish(down_since, node.env.settings.lateness, has_past);
        // Its reports are in no log, so its name as a source meets no other.
        let compared = self.compared.iter().map(|venue| {
            let source = node.sources.intern(venue.entry.name);
            venue.plan(node, &symbols, source)
        });
        Ok(FeedPlan {
            compared: compared.collect(),
            venues: plans,
            rules: Rules { stale_after: self.spec.stale_after, failback_after: self.spec.failback_after },
            dead_after: self.spec.dead_after,
            name: self.spec.name.clone(),
            opening: entries,
            charged_from,
            down_since,
            rate_max,
            changes,
        })
    }

    /// Finds a symbol that may be followed while the feed runs. The first venue says whether there is one, or, while it does
    /// not answer, the next one that has it.
    ///
    /// # Errors
    /// When the first venue does not have it, or nobody says now whether there is one.
    pub async fn find(&mut self, name: &str) -> Result<Candidate, Refused> {
        let Some(first) = self.venues.first_mut() else { unreachable!("validated: a feed has a venue") };
        let venue = first.entry.name;
        let mut found = first.catalogue.find(name);
        if found.is_err() || first.catalogue.trouble().is_some() {
            first.catalogue.refresh().await;
            found = first.catalogue.find(name);
        }
        if let Some(trouble) = first.catalogue.trouble() {
            let detail = format!("`{venue}` does not say now whether it has `{name}`: {trouble}");
            found = Err(WrongUse(detail));
            for other in self.venues.iter_mut().skip(1) {
                other.catalogue.refresh().await;
                if other.catalogue.trouble().is_none()
                    && let Ok(listed) = other.catalogue.find(name)
                {
                    found = Ok(listed);
                    break;
                }
            }
            let unavailable = |WrongUse(detail)| Refused { reason: RefusalReason::Unavailable, detail };
            return Ok(self.candidate(&found.map_err(unavailable)?));
        }
        let unknown = |WrongUse(detail)| Refused { reason: RefusalReason::UnknownSymbol, detail };
        Ok(self.candidate(&found.map_err(unknown)?))
    }

    /// Returns what each venue has of a symbol that one of them lists.
    fn candidate(&self, listed: &Listed) -> Candidate {
        let of = |venue: &LiveVenue| venue.catalogue.find(&listed.name).ok();
        let venues: Vec<Option<Listed>> = self.venues.iter().map(of).collect();
        let compared = self.compared.iter().map(of).collect();
        let all: Vec<&Listed> = venues.iter().flatten().collect();
        let spec = self.spec_of(listed, &all);
        Candidate { spec, venues, compared }
    }

    /// Returns how the running feed is told to follow symbols, and their ids. `source` is that of its first venue.
    pub fn follow(&self, node: &Node, source: SourceId, candidates: &[Candidate]) -> (Follow, Vec<SymbolId>) {
        let mut follow = Follow {
            venues: vec![Vec::new(); self.venues.len()],
            compared: vec![Vec::new(); self.compared.len()],
            ..Follow::default()
        };
        let mut symbols = Vec::new();
        for candidate in candidates {
            let symbol = node.symbols.intern(candidate.spec.clone());
            symbols.push(symbol);
            match node.env.published.snapshots.as_ref().and_then(|snapshots| snapshots.get(symbol)) {
                Some(snapshot) => follow.known.push((symbol, snapshot.source)),
                None => {
                    let venue_symbol =
                        candidate.venues.iter().flatten().next().map(|one| one.venue_symbol.as_str());
                    follow.definitions.extend(definition(
                        node,
                        source,
                        symbol,
                        &candidate.spec,
                        venue_symbol.unwrap_or_default(),
                    ));
                }
            }
            let told = [(&mut follow.venues, &candidate.venues), (&mut follow.compared, &candidate.compared)];
            for (instruments, listed) in told {
                for (instruments, listed) in instruments.iter_mut().zip(listed) {
                    instruments.extend(listed.iter().map(|listed| instrument(node, symbol, listed)));
                }
            }
        }
        (follow, symbols)
    }

    /// Searches what its venues have, at most so many instruments of each. Returns those, and the venues that did not answer.
    pub async fn search(
        &mut self,
        query: &str,
        limit: usize,
    ) -> (Vec<(&'static str, Listed)>, Vec<UnaskedVenue>) {
        let asked = self
            .venues
            .iter_mut()
            .map(async |venue| (venue.entry.name, venue.catalogue.search(query, limit).await));
        let (mut found, mut unasked) = (Vec::new(), Vec::new());
        for (venue, answer) in join_all(asked).await {
            match answer {
                Ok(listed) => found.extend(listed.into_iter().map(|one| (venue, one))),
                Err(reason) => unasked.push(UnaskedVenue { venue: venue.to_owned(), reason }),
            }
        }
        (found, unasked)
    }
}

fn names_of(listed: &[Listed]) -> Vec<String> {
    listed.iter().map(|one| one.name.clone()).collect()
}

/// Adds what was added while a run went on, as far as the venue has it still.
fn add(catalogue: &Catalogue, changes: &FeedChanges, listed: &mut Vec<Listed>) {
    for name in &changes.added {
        match catalogue.find(name) {
            Ok(one) if listed.iter().all(|other| other.name != one.name) => listed.push(one),
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "a symbol that was added before is left out; remove it, or wait for the venue");
            }
        }
    }
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
