//! The way into the log for everything that brings entries: venues, the simulator, files.
//!
//! Promises: messages arrive in the order they were sent; at most so many are under way, so that a full pipeline holds
//! up whoever sends; what was handed in is counted. On failure: a log that is gone is an error at the next call, and
//! means that the process is stopping.

use crate::actors::messages::Ingest;
use crate::actors::partition::log::LogActor;
use crate::metrics::{Metrics, Stage};
use actix::Addr;
use actix::dev::Request;
use futures_util::FutureExt;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

/// Messages that one sender may have under way: enough that neither side waits for the other's turn on a busy machine,
/// and few enough that the log's mailbox holds those of every sender.
pub const UNDER_WAY_MAX: usize = 4;

/// The log takes nothing any more: the process is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pipeline has stopped")]
pub struct LogGone;

/// Sends batches to the log.
pub struct LogClient {
    log: Addr<LogActor>,
    metrics: Arc<Metrics>,
    /// Oldest first; the log answers them in this order.
    under_way: VecDeque<Pin<Box<Request<LogActor, Ingest>>>>,
}

impl LogClient {
    /// Makes a client of a log.
    #[must_use]
    pub fn new(log: Addr<LogActor>, metrics: Arc<Metrics>) -> LogClient {
        LogClient { log, metrics, under_way: VecDeque::with_capacity(UNDER_WAY_MAX) }
    }

    /// Sends a batch, after waiting until fewer than [`UNDER_WAY_MAX`] are under way. Dropped while it waits, it has
    /// sent nothing.
    ///
    /// # Errors
    /// [`LogGone`].
    pub async fn send(&mut self, ingest: Ingest) -> Result<(), LogGone> {
        self.wait_for_room().await?;
        let (stage, num_entries) = (self.metrics.stage(Stage::Provider), ingest.entries.len() as u64);
        stage.received.inc_by(num_entries);
        self.under_way.push_back(Box::pin(self.log.send(ingest)));
        stage.sent.inc_by(num_entries);
        Ok(())
    }

    /// Waits until fewer than [`UNDER_WAY_MAX`] are under way, so that the next batch is made only when it can go.
    ///
    /// # Errors
    /// [`LogGone`].
    pub async fn wait_for_room(&mut self) -> Result<(), LogGone> {
        while self.under_way.len() >= UNDER_WAY_MAX {
            self.wait_for_oldest().await?;
        }
        Ok(())
    }

    /// Waits until everything sent has been taken.
    ///
    /// # Errors
    /// [`LogGone`].
    pub async fn settle(&mut self) -> Result<(), LogGone> {
        while !self.under_way.is_empty() {
            self.wait_for_oldest().await?;
        }
        Ok(())
    }

    /// Returns how many batches are under way.
    ///
    /// # Errors
    /// [`LogGone`].
    pub fn num_under_way(&mut self) -> Result<usize, LogGone> {
        while let Some(oldest) = self.under_way.front_mut()
            && let Some(taken) = oldest.now_or_never()
        {
            self.under_way.pop_front();
            taken.map_err(|_| LogGone)?;
        }
        Ok(self.under_way.len())
    }

    async fn wait_for_oldest(&mut self) -> Result<(), LogGone> {
        let Some(oldest) = self.under_way.front_mut() else { return Ok(()) };
        let taken = oldest.await;
        self.under_way.pop_front();
        taken.map_err(|_| LogGone)
    }
}
