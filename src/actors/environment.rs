//! What every actor of the data path works with, whichever partition and thread it belongs to.
//!
//! Promises: nothing in it belongs to one partition, and what can change is safe to share between threads. Nothing here
//! fails.

use super::buffers::EffectBuffers;
use super::faults::FaultPlan;
use super::hub::demand::LiveDemand;
use super::looked_for::{LookedFor, StatedAt};
use super::snapshots::SymbolSnapshots;
use super::source_clocks::SourceClocks;
use crate::metrics::Metrics;
use crate::models::detection::statement;
use crate::models::entry::{Body, Entry};
use crate::models::names::Interner;
use crate::models::settings::CoreSettings;
use crate::models::time::Nanos;
use crate::names::SymbolTable;
use std::sync::Arc;

/// What the data path publishes for readers, and what they demand of it.
#[derive(Clone, Default)]
pub struct Published {
    /// The newest snapshots; `None` when there are no readers (a replay).
    pub snapshots: Option<Arc<SymbolSnapshots>>,
    /// What live clients follow; `None` when there can be none (a replay).
    pub live: Option<Arc<LiveDemand>>,
    /// Clocks of the sources.
    pub clocks: Arc<SourceClocks>,
    /// What is looked for.
    pub looked_for: Arc<LookedFor>,
}

/// What every actor of the data path works with.
#[derive(Clone)]
pub struct Environment {
    /// The settings that change results.
    pub settings: Arc<CoreSettings>,
    /// Symbols of the process.
    pub symbols: Arc<SymbolTable>,
    /// Names of its symbols and sources, for the core.
    pub names: Arc<dyn Interner>,
    /// What readers get.
    pub published: Published,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Panics planned by tests.
    pub faults: Arc<FaultPlan>,
    /// Buffers of effects to use again.
    pub buffers: Arc<EffectBuffers>,
    /// Returns the time, by which latencies are measured.
    pub now: Arc<dyn Fn() -> Nanos + Send + Sync>,
}

impl Environment {
    /// Takes note of an entry that says what is looked for. One that this process cannot read is said and counted, once: all
    /// symbols go on with what they had.
    pub fn note_looked_for(&self, entry: &Entry) {
        let Body::Detection { at, document } = entry.body else { return };
        let is_new = self.published.looked_for.note(StatedAt { pos: entry.pos, at, document });
        if is_new && let Err(reason) = statement::read(document) {
            self.metrics.unread_detection.inc();
            tracing::error!(
                pos = entry.pos,
                reason = &*reason,
                "what the log says is to be looked for cannot be read: what was looked for before goes on"
            );
        }
    }

    /// Returns an environment for work without readers, and that was counted when it happened first.
    #[must_use]
    pub fn unobserved(&self) -> Environment {
        Environment {
            published: Published::default(),
            metrics: Arc::new(Metrics::new(0)),
            buffers: Arc::default(),
            ..self.clone()
        }
    }
}

#[cfg(test)]
use crate::names::Names;

#[cfg(test)]
impl Environment {
    /// Makes an environment without readers, in which time stands still.
    #[must_use]
    pub fn for_test() -> Environment {
        let names = Names::default();
        names.sources.intern("test");
        Environment {
            settings: Arc::new(CoreSettings::default()),
            symbols: Arc::clone(&names.symbols),
            names: Arc::new(names),
            published: Published::default(),
            metrics: Arc::new(Metrics::new(0)),
            faults: Arc::new(FaultPlan::default()),
            buffers: Arc::default(),
            now: Arc::new(|| Nanos(0)),
        }
    }
}
