//! What live clients want, for those who would otherwise work for nobody; and how far the log is durable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::Notify;

/// Shared by the hub, which writes it, and the data path, which reads it once a batch.
#[derive(Debug, Default)]
pub struct Interest {
    ticks: AtomicBool,
    previews: AtomicBool,
    /// The log holds everything up to here; the pipeline lets its writer move it.
    pub durable: Arc<AtomicU64>,
    /// Somebody waits for the log to hold what it was given: its writer need not wait for more to write with it.
    pub commit: Notify,
}

impl Interest {
    /// True when somebody wants ticks.
    #[must_use]
    pub fn ticks(&self) -> bool {
        self.ticks.load(Ordering::Relaxed)
    }

    /// True when somebody wants the indicators of forming bars.
    #[must_use]
    pub fn previews(&self) -> bool {
        self.previews.load(Ordering::Relaxed)
    }

    /// Says what is wanted.
    pub fn set(&self, ticks: bool, previews: bool) {
        self.ticks.store(ticks, Ordering::Relaxed);
        self.previews.store(previews, Ordering::Relaxed);
    }
}
