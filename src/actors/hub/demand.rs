//! What live clients follow, so that the data path makes nothing that no client gets; and how far the log is durable.
//!
//! Promises: a read is one atomic load, done once per batch. A change takes effect with the next batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::Notify;

/// The demand of all live clients together: written by the hub, read by the data path.
#[derive(Debug, Default)]
pub struct LiveDemand {
    ticks: AtomicBool,
    previews: AtomicBool,
    /// Position up to which the log is durable; set by its writer.
    pub durable: Arc<AtomicU64>,
    /// A flush request: clients wait for a commit, so the log's writer should not wait for more entries.
    pub commit: Notify,
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
