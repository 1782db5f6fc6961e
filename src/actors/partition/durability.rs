//! How far the log is durable, and the request that it be so sooner.
//!
//! Lives with the pipeline: the log's writer moves it, and whoever must wait for what the log holds reads it. Promises:
//! the position only grows, and everything up to it survives a crash of the process.

use crate::models::entry::Position;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;

/// Shared by the log's writer and those who wait for it.
#[derive(Debug, Default)]
pub struct Durability {
    position: Arc<AtomicU64>,
    flush: Notify,
}

impl Durability {
    /// Returns the position up to which the log is durable.
    #[must_use]
    pub fn through(&self) -> Position {
        self.position.load(Ordering::Acquire)
    }

    /// Moves the position; never back.
    pub fn advance(&self, through: Position) {
        self.position.fetch_max(through, Ordering::AcqRel);
    }

    /// Returns the position itself, for those who only read it.
    #[must_use]
    pub fn position(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.position)
    }

    /// Asks the log's writer to commit what it was given without waiting for more. One that comes before the entries it
    /// is about is for those.
    pub fn request_flush(&self) {
        self.flush.notify_one();
    }

    /// Waits for a request.
    pub async fn flush_requested(&self) {
        self.flush.notified().await;
    }
}
