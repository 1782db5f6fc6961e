//! Starts the simulator as the feed of a run, and has it make up other symbols.

use super::candidate::Candidate;
use super::symbols::FeedChanges;
use crate::actors::ingest::handle::FeedHandle;
use crate::actors::ingest::registry::SIMULATED;
use crate::actors::ingest::simulated::{
    self, HistorySettings, MarketChange, PastSettings, SimulatedFeed, SimulatedSymbol, initial_price,
    symbol_names,
};
use crate::actors::pipeline::Pipeline;
use crate::config::{Config, FeedSpec};
use crate::models::asset_class::AssetClass;
use crate::models::symbol::{SymbolId, SymbolSpec};
use crate::models::time::Nanos;
use crate::node::Node;
use std::collections::BTreeSet;
use tokio::sync::mpsc;

/// The symbols of the simulator.
pub struct SimulatedMarket {
    /// Those that it begins with.
    names: Vec<String>,
    configured: BTreeSet<String>,
}

impl SimulatedMarket {
    /// Makes that of a feed.
    #[must_use]
    pub fn new(config: &Config, feed: &FeedSpec, changes: &FeedChanges) -> SimulatedMarket {
        let mut names = match config.provider.symbol_count {
            Some(count) => symbol_names(count.get() as usize),
            None => feed.symbols.clone(),
        };
        let configured: BTreeSet<String> = names.iter().cloned().collect();
        names.retain(|name| !changes.removed.contains(name));
        names.extend(changes.added.iter().filter(|name| !configured.contains(*name)).cloned());
        SimulatedMarket { names, configured }
    }

    /// Returns the names of the symbols that it begins with.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// True when the configuration names a symbol.
    #[must_use]
    pub fn is_configured(&self, name: &str) -> bool {
        self.configured.contains(name)
    }

    /// Returns a symbol of any name, since it makes up what it is asked for.
    #[must_use]
    pub fn find(name: &str) -> Candidate {
        let spec = spec_of(&name.to_ascii_uppercase().replace('/', "-"));
        Candidate { spec, venues: Vec::new(), compared: Vec::new() }
    }

    /// Returns a symbol as the market begins with it: after a restart prices go on where they were.
    #[must_use]
    pub fn symbol(node: &Node, spec: &SymbolSpec) -> SimulatedSymbol {
        let id = node.symbols.intern(spec.clone());
        let snapshot = node.env.published.snapshots.as_ref().and_then(|snapshots| snapshots.get(id));
        let last = snapshot.and_then(|snapshot| snapshot.last);
        SimulatedSymbol {
            id,
            initial_price: last.map_or_else(|| initial_price(&spec.name), |last| last.price),
        }
    }

    /// Starts the simulator on a thread of its own. Symbols that nothing is known of get a past.
    pub fn start(
        &self,
        config: &Config,
        node: &Node,
        pipeline: &Pipeline,
        down_since: Option<Nanos>,
        changes: mpsc::Receiver<MarketChange>,
    ) -> FeedHandle {
        let provider = &config.provider;
        let source = node.sources.intern(SIMULATED);
        let symbols: Vec<(SymbolId, &str)> =
            self.names.iter().map(|name| (node.symbols.intern(spec_of(name)), name.as_str())).collect();
        let now: Nanos = (node.env.now)();
        let mut market = provider.simulated.market(&symbols, source, now, provider.rate, provider.seed);
        let mut lacking = Vec::new();
        for (place, symbol) in market.symbols.iter_mut().enumerate() {
            match node.env.published.snapshots.as_ref().and_then(|snapshots| snapshots.get(symbol.id)) {
                Some(_) => *symbol = SimulatedMarket::symbol(node, &node.symbols.spec(symbol.id)),
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
            changes,
        };
        simulated::start(feed, pipeline.log().clone(), node.env.clone(), node.health.clone())
    }
}

/// Returns what a simulated symbol is.
fn spec_of(name: &str) -> SymbolSpec {
    let mut spec = SymbolSpec::named(name);
    if spec.asset_class == AssetClass::Unknown {
        spec.asset_class = AssetClass::Equity;
    }
    spec
}
