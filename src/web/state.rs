//! What every request can reach.

use super::error::ApiError;
use super::live::Live;
use super::recent::RecentBars;
use super::visitors::Visitors;
use crate::actors::views::{HealthBoard, SourceClocks, ViewBoard};
use crate::metrics::Metrics;
use crate::models::provenance::Provenance;
use crate::models::settings::CoreSettings;
use crate::models::source::SourceTable;
use crate::models::symbol::{SymbolId, SymbolSpec, SymbolTable};
use crate::models::time::{Nanos, Width};
use crate::models::view::{SymbolView, WindowView};
use crate::stores::{History, TickLog};
use std::sync::{Arc, OnceLock};

/// Tells the time; tests turn it by hand.
pub type Clock = Arc<dyn Fn() -> Nanos + Send + Sync>;

/// The handles that the endpoints work with.
pub struct AppState {
    /// All symbols.
    pub symbols: Arc<SymbolTable>,
    /// All sources.
    pub sources: Arc<SourceTable>,
    /// The newest picture of each symbol.
    pub views: Arc<ViewBoard>,
    /// The clocks of the sources.
    pub clocks: Arc<SourceClocks>,
    /// The log, read for ticks.
    pub log: Arc<dyn TickLog>,
    /// The history, read for bars, indicators and dead letters.
    pub history: Arc<dyn History>,
    /// How the components are.
    pub health: Arc<HealthBoard>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The newest bars, encoded.
    pub recent: RecentBars,
    /// The time.
    pub clock: Clock,
    /// The settings of the core: which windows there are.
    pub core: Arc<CoreSettings>,
    /// Where all that is served comes from.
    pub provenance: Provenance,
    /// The newest time that there is, where nothing is added any more: see [`AppState::query_now`].
    pub shown_until: OnceLock<Nanos>,
    /// Version of the service.
    pub version: &'static str,
    /// When the process started.
    pub started: Nanos,
    /// Who may ask.
    pub visitors: Visitors,
    /// The live feed; `None` where there is none.
    pub live: Option<Arc<Live>>,
}

impl AppState {
    /// Returns the time now.
    #[must_use]
    pub fn now(&self) -> Nanos {
        (self.clock)()
    }

    /// Returns the time that a request means by now: what relative times and defaults count from. Where a recording is
    /// shown that is its end.
    #[must_use]
    pub fn query_now(&self) -> Nanos {
        self.shown_until.get().copied().unwrap_or_else(|| self.now())
    }

    /// Finds the symbol that a user means.
    ///
    /// # Errors
    /// When nobody has seen it, or the text may mean several.
    pub fn resolve(&self, text: &str) -> Result<(SymbolId, Arc<SymbolSpec>), ApiError> {
        let id = self.symbols.resolve(text)?;
        Ok((id, self.symbols.spec(id)))
    }

    /// Returns all symbols by name.
    #[must_use]
    pub fn symbols_by_name(&self) -> Vec<(SymbolId, Arc<SymbolSpec>)> {
        let mut all = self.symbols.since(0);
        all.sort_unstable_by(|(_, a), (_, b)| a.name.cmp(&b.name));
        all
    }
}

/// Returns what a window of the symbol looks like.
#[must_use]
pub fn window_of(view: &SymbolView, width: Width) -> Option<&WindowView> {
    view.windows.iter().find(|window| window.width == width)
}
