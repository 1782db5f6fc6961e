//! The cache as a sink: the newest trade, bar and indicators of each symbol, for programs that read them by key.
//!
//! Transient failure: tried again with growing pauses; meanwhile what is older makes room for what is newer.
//! Permanent failure: said, and tried again at the longest pause.
//! Repeats: change nothing but the count of messages, which may then be too high: it is a gauge, not an account.
//! Rows that are refused: a count whose key holds something else; it is counted, and is no dead letter, since nothing of
//! the market is lost.
//!
//! What is written is what REST gives at that moment: rows say which symbols and windows have changed, and the newest of
//! the row and of the symbol's snapshot is taken. So a batch of any size costs one write a key, and a late trade or an
//! amended older bar never takes the place of a newer one.

use super::{Delivery, Sink, SinkBatch, SinkError, SinkSpec, Wants};
use crate::actors::guard::ActorKind;
use crate::actors::messages::LiveTick;
use crate::actors::snapshots::SymbolSnapshots;
use crate::actors::source_clocks::SourceClocks;
use crate::metrics::SinkMetrics;
use crate::models::bar::{Bar, BarState};
use crate::models::effect::{Effect, IndicatorPoint};
use crate::models::entry::{Position, Updates};
use crate::models::feed;
use crate::models::settings::CoreSettings;
use crate::models::snapshot::{LastTrade, SymbolSnapshot};
use crate::models::symbol::{SymbolId, SymbolSpec};
use crate::models::time::{Nanos, Width};
use crate::names::SymbolTable;
use crate::stores::cache::limit::MessageLimit;
use crate::stores::cache::{
    COUNT_SPAN, Cache, CacheOutcome, CacheTtls, CacheWrite, aggregated_key, count_key, indicators_key,
    latest_key,
};
use crate::stores::log::Partition;
use crate::wire::{BarObject, IndicatorsObject, LatestObject, to_json};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How often the cache is asked whether it is there when there is nothing to write.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// What the sink looks at.
pub struct CacheSources {
    /// All symbols.
    pub symbols: Arc<SymbolTable>,
    /// The newest snapshot of each.
    pub snapshots: Arc<SymbolSnapshots>,
    /// The clocks of the sources.
    pub clocks: Arc<SourceClocks>,
    /// The settings of the core.
    pub core: Arc<CoreSettings>,
    /// Tells the time.
    pub now: Arc<dyn Fn() -> Nanos + Send + Sync>,
}

/// Keeps a cache up to date.
pub struct CacheSink {
    name: &'static str,
    cache: Arc<dyn Cache>,
    ttls: CacheTtls,
    sources: CacheSources,
    metrics: SinkMetrics,
    limit: Option<Arc<MessageLimit>>,
}

impl CacheSink {
    /// Makes the sink of a cache, under the name that health and metrics show.
    #[must_use]
    pub fn new(
        name: &'static str,
        cache: Arc<dyn Cache>,
        ttls: CacheTtls,
        sources: CacheSources,
        metrics: SinkMetrics,
    ) -> CacheSink {
        CacheSink { name, cache, ttls, sources, metrics, limit: None }
    }

    /// Has the sink watch a limit of messages by symbol.
    #[must_use]
    pub fn with_limit(self, limit: Option<Arc<MessageLimit>>) -> CacheSink {
        CacheSink { limit, ..self }
    }

    fn latest(&self, newest: &LiveTick, spec: &SymbolSpec, snapshot: Option<&SymbolSnapshot>) -> Vec<u8> {
        let now = (self.sources.now)();
        let known = snapshot.filter(|snapshot| snapshot.last.is_some_and(|last| last.ts >= newest.ts));
        let lateness = self.sources.core.lateness;
        let object = known.and_then(|snapshot| {
            let clocks = &self.sources.clocks;
            let (clock, limits) =
                (clocks.get(snapshot.source), clocks.limits_of(snapshot.symbol, snapshot.source));
            LatestObject::of_snapshot(spec, snapshot, clock, limits, lateness, now)
        });
        to_json(&object.unwrap_or_else(|| {
            let LiveTick { ts, received, price, size, seq, .. } = *newest;
            let last = LastTrade { ts, received, price, size, updates: Updates::ALL, seq };
            let age_ms = now.since(ts).div_euclid(1_000_000);
            let reference = snapshot.and_then(|snapshot| snapshot.reference);
            let limits =
                snapshot.map(|snapshot| self.sources.clocks.limits_of(snapshot.symbol, snapshot.source));
            let state = feed::state(now, ts, received, ts, limits.unwrap_or_default());
            LatestObject::new(spec, &last, reference, age_ms, state)
        }))
    }

    /// Returns the changes, and the symbol of each.
    fn changes(&self, batch: &SinkBatch) -> (Vec<CacheWrite>, Vec<SymbolId>) {
        let changed = Changed::of(batch);
        let (mut writes, mut symbols) = (Vec::new(), Vec::new());
        for (symbol, of_symbol) in &changed.0 {
            let spec = self.sources.symbols.spec(*symbol);
            let snapshot = self.sources.snapshots.get(*symbol);
            if let Some(newest) = &of_symbol.newest {
                let value = self.latest(newest, &spec, snapshot.as_deref());
                writes.push(CacheWrite::Set { key: latest_key(&spec.name), value, ttl: self.ttls.latest });
                let key = count_key(&spec.name);
                writes.push(CacheWrite::Count { key, by: of_symbol.num_ticks, ttl: COUNT_SPAN });
            }
            for (width, of_window) in &of_symbol.windows {
                let window = width.to_string();
                let seen = snapshot
                    .as_ref()
                    .and_then(|snapshot| snapshot.windows.iter().find(|seen| seen.width == *width));
                let bar =
                    later(of_window.bar, seen.and_then(|seen| seen.closed), |bar| (bar.start, bar.log_pos));
                if let Some(bar) = bar {
                    let key = aggregated_key(&spec.name, &window);
                    writes.push(if bar.state == BarState::Void {
                        CacheWrite::Remove { key }
                    } else {
                        let value = to_json(&BarObject::new(&bar, &spec, &window));
                        CacheWrite::Set { key, value, ttl: self.ttls.aggregated }
                    });
                }
                let point = later(of_window.indicators, seen.and_then(|seen| seen.indicators), |point| {
                    (point.start, point.log_pos)
                });
                if let Some(point) = point {
                    let key = indicators_key(&spec.name, &window);
                    let value = to_json(&IndicatorsObject::new(&point, &spec, &window));
                    writes.push(CacheWrite::Set { key, value, ttl: self.ttls.indicators });
                }
            }
            symbols.resize(writes.len(), *symbol);
        }
        (writes, symbols)
    }

    /// Counts what was refused, and notes what the counters are.
    fn note(&self, outcomes: &[CacheOutcome], symbols: &[SymbolId]) {
        let now = (self.sources.now)();
        let mut num_refused = 0;
        for (outcome, symbol) in outcomes.iter().zip(symbols) {
            match (outcome, &self.limit) {
                (CacheOutcome::Refused, _) => num_refused += 1,
                (CacheOutcome::Counted(count), Some(limit)) if limit.note(*symbol, *count, now) => {
                    let (symbol, max) = (&self.sources.symbols.spec(*symbol).name, limit.max());
                    tracing::warn!(
                        symbol,
                        count,
                        "more than `redis.message_limit` ({max}) messages in a minute"
                    );
                }
                (CacheOutcome::Counted(_) | CacheOutcome::Done, _) => {}
            }
        }
        if num_refused > 0 {
            self.metrics.refused.inc_by(num_refused);
            tracing::debug!(num_refused, "counters whose keys hold something else");
        }
    }
}

/// Returns the later one of what a row says and what the snapshot shows; nothing where no row says anything.
fn later<T: Copy, K: Ord>(row: Option<T>, seen: Option<T>, key: impl Fn(&T) -> K) -> Option<T> {
    let row = row?;
    Some(seen.filter(|seen| key(seen) >= key(&row)).unwrap_or(row))
}

/// What a batch comes down to.
#[derive(Default)]
struct Changed(BTreeMap<SymbolId, ChangedSymbol>);

#[derive(Default)]
struct ChangedSymbol {
    newest: Option<LiveTick>,
    num_ticks: u64,
    windows: BTreeMap<Width, ChangedWindow>,
}

#[derive(Default)]
struct ChangedWindow {
    bar: Option<Bar>,
    indicators: Option<IndicatorPoint>,
}

impl Changed {
    fn of(batch: &SinkBatch) -> Changed {
        let mut changed = Changed::default();
        for tick in batch.ticks.iter().flat_map(|part| part.iter()) {
            let symbol = changed.0.entry(tick.symbol).or_default();
            symbol.num_ticks += 1;
            if symbol.newest.is_none_or(|newest| newest.ts <= tick.ts) {
                symbol.newest = Some(*tick);
            }
        }
        for effect in batch.effects.iter().flat_map(|part| part.iter()) {
            match effect {
                Effect::Bar(bar) => {
                    let window = changed.window(bar.symbol, bar.width);
                    if window.bar.is_none_or(|newest| newest.start <= bar.start) {
                        window.bar = Some(*bar);
                    }
                }
                Effect::Indicators(point) => {
                    let window = changed.window(point.symbol, point.width);
                    if window.indicators.is_none_or(|newest| newest.start <= point.start) {
                        window.indicators = Some(*point);
                    }
                }
                Effect::Anomaly(_) | Effect::DeadLetter(_) | Effect::Sealed(_) => {}
            }
        }
        changed
    }

    fn window(&mut self, symbol: SymbolId, width: Width) -> &mut ChangedWindow {
        self.0.entry(symbol).or_default().windows.entry(width).or_default()
    }
}

#[async_trait]
impl Sink for CacheSink {
    fn spec(&self) -> SinkSpec {
        SinkSpec {
            name: self.name,
            kind: ActorKind::Cache,
            stage: None,
            wants: Wants { ticks: true, reports: false, effects: true },
            delivery: Delivery::BestEffort,
            // A price that the log does not hold yet is on the WebSocket already.
            waits_for_log: false,
            hurries_log: false,
            keeps_dead_letters: false,
            repair_advice: "check its address, and the name and password in it",
            checked_every: Some(CHECK_INTERVAL),
        }
    }

    /// Nobody relies on what the cache holds.
    async fn acknowledged(&self, _: Partition) -> Result<Position, SinkError> {
        Ok(0)
    }

    async fn write(&self, batch: &SinkBatch) -> Result<(), SinkError> {
        let (writes, symbols) = self.changes(batch);
        let outcomes = self.cache.write(&writes).await?;
        self.note(&outcomes, &symbols);
        Ok(())
    }
}
