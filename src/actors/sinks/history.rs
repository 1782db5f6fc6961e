//! The history as a sink: bars, indicators, anomalies and dead letters, each row exactly once.
//!
//! Transient failure: tried again with growing pauses; meanwhile effects gather up to a limit, then the data path waits.
//! Permanent failure: said loudly, with the advice to run `tickwire check`, and tried again at the longest pause, since
//! nothing is lost meanwhile. A replay, which has nothing else to do, ends with it.
//! Repeats: a batch may come again whole, after a failure or a restart. The key is symbol, window and start, of a dead
//! letter its place in the log or its input; of two rows the one with the higher log position stays.
//! Rows that the backend refuses become dead letters in the same place, with what the backend said.

use super::{Delivery, OnFull, Sink, SinkBatch, SinkError, SinkPolicy, SinkSpec, Wants};
use crate::actors::environment::Environment;
use crate::actors::guard::ActorKind;
use crate::breaker::BreakerPolicy;
use crate::metrics::{Span, Stage};
use crate::models::entry::Position;
use crate::models::report::AcceptedReport;
use crate::names::SymbolTable;
use crate::retry::RetryPolicy;
use crate::stores::history::signals::SignalBatch;
use crate::stores::history::{History, HistoryBatch};
use crate::stores::log::Partition;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

/// How a history on this machine is served.
pub const POLICY: SinkPolicy = SinkPolicy {
    // A slow disk is waited for: a transaction that is cut off begins anew and takes as long again.
    timeout: None,
    retry: RetryPolicy::LOCAL,
    // No longer than the longest pause: a disk that has room again is to be noticed as soon.
    breaker: BreakerPolicy { failures: 5, open_for: RetryPolicy::LOCAL.max_delay },
    on_full: OnFull::Block,
    // 80 MB of bars at the most.
    rows_max: 200_000,
    // About 50 ms of writing.
    batch_rows: 20_000,
    // Few large transactions cost the disk and the log's writer less than many small ones.
    batch_age: Duration::from_millis(100),
};

/// Commits effects.
pub struct HistorySink {
    history: Arc<dyn History>,
    /// Those that it follows: it has everything up to where it has everything of each.
    partitions: Vec<Partition>,
    /// The names that anomalies are stored under.
    symbols: Arc<SymbolTable>,
    /// Where the time that reports take is measured.
    env: Option<Environment>,
}

impl HistorySink {
    /// Makes the sink of a history that follows this partition.
    #[must_use]
    pub fn new(history: Arc<dyn History>, partition: Partition, symbols: Arc<SymbolTable>) -> HistorySink {
        HistorySink { history, partitions: vec![partition], symbols, env: None }
    }

    /// Makes the sink of a history that follows so many partitions, whose positions are of one sequence.
    #[must_use]
    pub fn of_all(history: Arc<dyn History>, num_partitions: u32, symbols: Arc<SymbolTable>) -> HistorySink {
        HistorySink { history, partitions: (0..num_partitions).map(Partition).collect(), symbols, env: None }
    }

    /// Measures how long reports take from their receipt to the commit.
    #[must_use]
    pub fn measured_in(mut self, env: Environment) -> HistorySink {
        self.env = Some(env);
        self
    }

    /// Counts for each part of a batch what its oldest report took: one clock and no more for many ticks.
    fn observe(&self, reports: &[Arc<Vec<AcceptedReport>>]) {
        let Some(env) = &self.env else { return };
        let now = (env.now)();
        for received in reports.iter().filter_map(|part| part.first()?.entry.body.received()) {
            env.metrics.observe(Span::ReceivedToHistory, received, now);
        }
    }
}

#[async_trait]
impl Sink for HistorySink {
    fn spec(&self) -> SinkSpec {
        SinkSpec {
            name: "history",
            kind: ActorKind::History,
            stage: Some(Stage::History),
            wants: Wants { ticks: false, reports: self.history.keeps_reports(), effects: true },
            delivery: Delivery::Durable,
            waits_for_log: true,
            hurries_log: false,
            keeps_dead_letters: true,
            repair_advice: self.history.repair_advice(),
            checked_every: None,
        }
    }

    /// The history has one position for all partitions, since the log in the process gives them from one sequence.
    async fn acknowledged(&self, _: Partition) -> Result<Position, SinkError> {
        Ok(self.history.acknowledged().await?)
    }

    async fn write(&self, batch: &SinkBatch) -> Result<(), SinkError> {
        let acknowledged = |partition| batch.acknowledged.get(partition).copied().unwrap_or(0);
        let batch = HistoryBatch {
            effects: batch.effects.clone(),
            reports: batch.reports.clone(),
            dead_letters: batch.dead_letters.clone(),
            acknowledged: self.partitions.iter().map(acknowledged).min().unwrap_or(0),
        };
        let signals =
            SignalBatch::of_effects(batch.effects.iter().flat_map(|part| part.iter()), &self.symbols);
        if !signals.is_empty() {
            // Before the batch acknowledges the entries that they follow from: after a crash in between they come again.
            self.history.write_signals(&signals).await?;
        }
        self.history.write(&batch).await?;
        self.observe(&batch.reports);
        Ok(())
    }
}
