//! Starts the provider that the configuration names.

use crate::actors::pipeline::Pipeline;
use crate::actors::providers::simulated::{HistorySettings, SimulatedActor, SimulatedFeed, symbol_names};
use crate::config::Config;
use crate::models::symbol::{AssetClass, SymbolId, SymbolSpec};
use crate::models::time::Nanos;
use crate::node::Node;
use actix::{Actor, Addr, Arbiter};

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
    let source = node.sources.intern(&provider.name);
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
    for symbol in &mut market.symbols {
        // After a restart prices go on where they were.
        if let Some(last) = last_price(node, symbol.id) {
            symbol.initial_price = last;
        }
    }
    let wants_past = down_since.is_none() && !provider.warm_up.is_zero();
    let history = wants_past.then(|| {
        let most = provider.simulated.warm_up_trades_max;
        let warm = HistorySettings::warm_up(now, &node.env.settings.widths, most);
        let from = now.plus(-i64::try_from(provider.warm_up.as_nanos()).unwrap_or(i64::MAX));
        HistorySettings { from: from.min(warm.from), ..warm }
    });
    let feed = SimulatedFeed {
        market,
        history,
        misbehaviour: provider.simulated.misbehaviour.clone(),
        down_since,
        rate_max: provider.max_messages_per_second.map(std::num::NonZeroU32::get),
    };
    let (log, env, health) = (pipeline.log().clone(), node.env.clone(), node.health.clone());
    let arbiter = Arbiter::new();
    Ok(SimulatedActor::start_in_arbiter(&arbiter.handle(), move |_| {
        SimulatedActor::new(feed, log, env, &health)
    }))
}

fn last_price(node: &Node, symbol: SymbolId) -> Option<crate::models::num::Price> {
    let view = node.env.views.as_ref()?.get(symbol)?;
    view.last.map(|last| last.price)
}
