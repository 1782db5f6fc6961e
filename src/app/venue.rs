//! Starts the provider that the configuration names.

use crate::actors::ingest::simulated::{
    HistorySettings, PastSettings, SimulatedActor, SimulatedFeed, symbol_names,
};
use crate::actors::pipeline::Pipeline;
use crate::config::Config;
use crate::models::symbol::{AssetClass, SymbolId, SymbolSpec};
use crate::models::time::Nanos;
use crate::node::Node;
use actix::{Actor, Addr, Arbiter};

/// What comes from the simulated venue is never under another name.
const SIMULATED: &str = "simulated";

/// Starts the venue on a thread of its own.
///
/// # Errors
/// When the log cannot be asked where it ends.
pub async fn open(config: &Config, node: &Node, pipeline: &Pipeline) -> anyhow::Result<Addr<SimulatedActor>> {
    let provider = &config.provider;
    let names = match provider.symbol_count {
        Some(count) => symbol_names(count.get() as usize),
        None => provider.symbols.clone(),
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
    let down_since = node.log.tail().await?.newest;
    let now: Nanos = (node.env.now)();
    let mut market = provider.simulated.market(&symbols, source, now, provider.rate, provider.seed);
    let mut lacking = Vec::new();
    for (place, symbol) in market.symbols.iter_mut().enumerate() {
        match node.env.views.as_ref().and_then(|views| views.get(symbol.id)) {
            // After a restart prices go on where they were.
            Some(view) => symbol.initial_price = view.last.map_or(symbol.initial_price, |last| last.price),
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
        misbehaviour: provider.simulated.misbehaviour.clone(),
        down_since,
        rate_max: provider.max_messages_per_second.map(std::num::NonZeroU32::get),
    };
    let (log, env, health) = (pipeline.log().clone(), node.env.clone(), node.health.clone());
    let arbiter = Arbiter::new();
    Ok(SimulatedActor::start_in_arbiter(&arbiter.handle(), move |_| {
        SimulatedActor::new(feed, log, env, health)
    }))
}
