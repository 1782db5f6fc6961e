//! What live clients follow, so that the data path makes nothing that no client gets.
//!
//! Promises: a read is one atomic load, done once per batch. A change takes effect with the next batch.

use std::sync::atomic::{AtomicBool, Ordering};

/// The demand of all live clients together: written by the hub, read by the data path.
#[derive(Debug, Default)]
pub struct LiveDemand {
    ticks: AtomicBool,
    previews: AtomicBool,
}

impl LiveDemand {
    /// True when some client follows ticks.
    #[must_use]
    pub fn ticks(&self) -> bool {
        self.ticks.load(Ordering::Relaxed)
    }

    /// True when some client follows the indicators of forming bars.
    #[must_use]
    pub fn previews(&self) -> bool {
        self.previews.load(Ordering::Relaxed)
    }

    /// Sets what clients follow.
    pub fn set(&self, ticks: bool, previews: bool) {
        self.ticks.store(ticks, Ordering::Relaxed);
        self.previews.store(previews, Ordering::Relaxed);
    }
}
