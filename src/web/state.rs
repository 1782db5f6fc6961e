//! The state that every request handler can reach: handles to what others own.
//!
//! Promises: nothing here waits. Where the live feed is off, `live` is `None`. On failure: a name that is no symbol,
//! or may be several, is an error that says so.

use super::answer::error::ApiError;
use super::detection_control::DetectionControl;
use super::live::Live;
use super::recent::RecentBars;
use super::symbol_control::SymbolControl;
use super::visitors::Visitors;
use crate::actors::health::HealthRegistry;
use crate::actors::looked_for::LookedFor;
use crate::actors::snapshots::SymbolSnapshots;
use crate::actors::source_clocks::SourceClocks;
use crate::metrics::Metrics;
use crate::models::entry::Entry;
use crate::models::provenance::Provenance;
use crate::models::settings::CoreSettings;
use crate::models::snapshot::{SymbolSnapshot, WindowSnapshot};
use crate::models::symbol::{SymbolId, SymbolSpec};
use crate::models::time::{Nanos, Width};
use crate::names::{SourceTable, SymbolTable};
use crate::stores::StoreError;
use crate::stores::cache::reader::CacheReader;
use crate::stores::history::History;
use crate::stores::history::alerts::AlertStore;
use crate::stores::log::{TickLog, TickQuery};
use crate::telemetry::Throttle;
use std::sync::{Arc, OnceLock};

/// Warnings a minute of requests that a store did not answer.
pub const STORE_FAULTS_PER_MINUTE: u64 = 6;

/// Returns the time now; tests set it by hand.
pub type Clock = Arc<dyn Fn() -> Nanos + Send + Sync>;

/// The handles that the endpoints work with.
pub struct AppState {
    /// All symbols.
    pub symbols: Arc<SymbolTable>,
    /// All sources.
    pub sources: Arc<SourceTable>,
    /// The newest snapshot of each symbol.
    pub snapshots: Arc<SymbolSnapshots>,
    /// The clocks of the sources.
    pub clocks: Arc<SourceClocks>,
    /// The log: read for ticks that the history does not keep.
    pub log: Arc<dyn TickLog>,
    /// The history: read for bars, indicators and dead letters.
    pub history: Arc<dyn History>,
    /// Health of the components.
    pub health: Arc<HealthRegistry>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Reads the cache of newest values, where there is one.
    pub cache: Option<CacheReader>,
    /// Cache of the newest bars, encoded.
    pub recent: RecentBars,
    /// The clock.
    pub clock: Clock,
    /// Settings of the core, such as the windows.
    pub core: Arc<CoreSettings>,
    /// Kind and provider of the data that is served.
    pub provenance: Provenance,
    /// End of the data, where nothing is added any more: see [`AppState::query_now`].
    pub shown_until: OnceLock<Nanos>,
    /// Version of the service.
    pub version: &'static str,
    /// Start time of the process.
    pub started: Nanos,
    /// Holds back repeated warnings of requests that a store did not answer.
    pub store_faults: Throttle<()>,
    /// Decides which requests are admitted.
    pub visitors: Visitors,
    /// The live feed; `None` where there is none.
    pub live: Option<Arc<Live>>,
    /// Changes which symbols are followed; `None` where nothing is added to the data.
    pub symbol_control: Option<Arc<dyn SymbolControl>>,
    /// What is looked for.
    pub looked_for: Arc<LookedFor>,
    /// Changes what is looked for; `None` where nothing is added to the data.
    pub detection_control: Option<Arc<dyn DetectionControl>>,
}

impl AppState {
    /// Returns the time now.
    #[must_use]
    pub fn now(&self) -> Nanos {
        (self.clock)()
    }

    /// Returns the time that relative times and defaults of a query count from: now, or the end of a recording that is
    /// shown.
    #[must_use]
    pub fn query_now(&self) -> Nanos {
        self.shown_until.get().copied().unwrap_or_else(|| self.now())
    }

    /// Resolves a name or an alias to a symbol.
    ///
    /// # Errors
    /// When the symbol is unknown, or the text fits several.
    pub fn resolve(&self, text: &str) -> Result<(SymbolId, Arc<SymbolSpec>), ApiError> {
        let id = self.symbols.resolve(text)?;
        Ok((id, self.symbols.spec(id)))
    }

    /// True for a symbol that gets more messages than the limit allows, where there is one.
    #[must_use]
    pub fn is_over_limit(&self, symbol: SymbolId) -> bool {
        let limit = self.cache.as_ref().and_then(CacheReader::limit);
        limit.is_some_and(|limit| limit.is_over(symbol, self.now()))
    }

    /// Returns what alerts are decided on and sent from.
    ///
    /// # Errors
    /// Of a history that has nothing of the kind.
    pub fn alerts(&self) -> Result<&dyn AlertStore, StoreError> {
        self.history.alert_store().ok_or_else(|| StoreError::Transient {
            context: "failed to read alerts",
            cause: "this history keeps none".to_owned(),
        })
    }

    /// Returns ticks of a symbol: from the history where it keeps them, which reaches further back, else from the log.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn ticks(&self, query: &TickQuery) -> Result<Vec<Entry>, StoreError> {
        match self.history.ticks(query).await {
            Ok(Some(entries)) => Ok(entries),
            Ok(None) => Ok(self.log.ticks(query).await?),
            Err(error) => self.ticks_of_log(query).await?.ok_or(error),
        }
    }

    /// Returns ticks of the log in place of those of a history that does not answer: also repeats and late ones, which the
    /// history leaves out. `None` where the log does not reach back to the whole page.
    async fn ticks_of_log(&self, query: &TickQuery) -> Result<Option<Vec<Entry>>, StoreError> {
        let entries = self.log.ticks(query).await?;
        let dropped = self.log.tail().await?.dropped_through;
        if dropped == 0 || entries.len() >= query.limit {
            return Ok(Some(entries));
        }
        let first = self.log.read(dropped, 1).await?;
        // What is older than that came before the log's first entry, but for what was late.
        let reaches_back = |first: &Entry| query.start >= first.body.time().plus(self.core.horizon);
        Ok(first.first().is_some_and(reaches_back).then_some(entries))
    }

    /// Returns all symbols, sorted by name.
    #[must_use]
    pub fn symbols_by_name(&self) -> Vec<(SymbolId, Arc<SymbolSpec>)> {
        let mut all = self.symbols.since(0);
        all.sort_unstable_by(|(_, a), (_, b)| a.name.cmp(&b.name));
        all
    }
}

/// Returns the snapshot of one window of a symbol.
#[must_use]
pub fn window_of(snapshot: &SymbolSnapshot, width: Width) -> Option<&WindowSnapshot> {
    snapshot.windows.iter().find(|window| window.width == width)
}
