//! What readers of the log's file need to know and only commits change.
//!
//! Promises: a reader sees what one commit left, never half of the next. Nothing here waits but for the moment of a
//! change, and nothing fails.

use super::blocks::{BlockSummary, OpenBlock};
use crate::stores::log::LogTail;
use crate::stores::sqlite::names::{Sources, Symbols};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

/// As of the last commit.
#[derive(Default)]
pub(super) struct Known {
    pub tail: LogTail,
    pub finished: Vec<BlockSummary>,
    pub open: OpenBlock,
    /// The part that holds the open block.
    pub open_part: u32,
    pub symbols: Symbols,
    pub sources: Sources,
}

/// The same, shared by readers and the writer.
#[derive(Default)]
pub(super) struct SharedKnown(RwLock<Known>);

impl SharedKnown {
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what readers see; nothing in it can fail or wait.
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}
