//! What every actor of the data path works with, whichever partition and thread it belongs to.
//!
//! Promises: nothing in here is of one partition, and what can change is safe to share between threads.

use super::faults::FaultPlan;
use super::hub::demand::LiveDemand;
use super::snapshots::SymbolSnapshots;
use super::source_clocks::SourceClocks;
use super::spare::SpareRoom;
use crate::metrics::Metrics;
use crate::models::names::Interner;
use crate::models::settings::CoreSettings;
use crate::models::time::Nanos;
use crate::names::SymbolTable;
use std::sync::Arc;

/// What readers see of the data path, and what they ask of it.
#[derive(Clone, Default)]
pub struct Published {
    /// Where snapshots of symbols hang; `None` when nobody looks (a replay).
    pub snapshots: Option<Arc<SymbolSnapshots>>,
    /// What live clients want; `None` when there can be none (a replay).
    pub live: Option<Arc<LiveDemand>>,
    /// Clocks of the sources.
    pub clocks: Arc<SourceClocks>,
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
    /// What readers see.
    pub published: Published,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Panics on purpose.
    pub faults: Arc<FaultPlan>,
    /// Room that effects had before.
    pub spare: Arc<SpareRoom>,
    /// Tells the time that latencies are measured by.
    pub now: Arc<dyn Fn() -> Nanos + Send + Sync>,
}

impl Environment {
    /// Returns an environment for work that nobody looks at, and that was counted when it happened.
    #[must_use]
    pub fn unobserved(&self) -> Environment {
        Environment {
            published: Published::default(),
            metrics: Arc::new(Metrics::new(0)),
            spare: Arc::default(),
            ..self.clone()
        }
    }
}

#[cfg(test)]
use crate::names::Names;

#[cfg(test)]
impl Environment {
    /// Makes one with which nobody looks, and time stands still.
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
            spare: Arc::default(),
            now: Arc::new(|| Nanos(0)),
        }
    }
}
