//! Starts the simulator as the feed of a run.

use crate::actors::ingest::handle::FeedHandle;
use crate::actors::ingest::registry::SIMULATED;
use crate::actors::ingest::simulated::{self, HistorySettings, PastSettings, SimulatedFeed, symbol_names};
use crate::actors::pipeline::Pipeline;
use crate::config::{Config, FeedSpec};
use crate::models::symbol::{AssetClass, SymbolId, SymbolSpec};
use crate::models::time::Nanos;
use crate::node::Node;

/// Starts the simulator on a thread of its own. Symbols that nothing is known of get a past.
pub fn start(
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
