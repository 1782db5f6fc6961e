//! Judges readings every few seconds, and tells of what begins, gets worse or ends: the history, live clients, the counter.
//!
//! Promises: a condition that was open when the process ended is gone on with, so it is one anomaly. What the history does not
//! take is kept, the last word on each condition, and written once it answers; until it does for the first time nothing is
//! judged, since nobody knows what is open.

use super::readings::Readings;
use crate::actors::guard::{self, ActorKind};
use crate::actors::hub::messages::Announce;
use crate::metrics::Metrics;
use crate::models::anomaly::{Anomaly, AnomalyState};
use crate::models::conditions::{ConditionKind, Conditions};
use crate::models::time::{MINUTE, Nanos};
use crate::stores::error::StoreError;
use crate::stores::history::History;
use crate::stores::history::signals::{AnomalyQuery, SignalBatch, SignalPage};
use actix::{Arbiter, Recipient};
use std::sync::Arc;
use std::time::Duration;

/// The pause between two rounds.
const EVERY: Duration = Duration::from_secs(5);

/// How long after the start nothing is judged: connections are made, and what was missed is brought.
const GRACE: i64 = MINUTE;

/// Conditions of each kind that are looked at to find those that are open.
const RESUMED_MAX: usize = 1_000;

/// What a watch works with.
pub struct WatchParts {
    /// Reads what is judged.
    pub readings: Readings,
    /// Where anomalies are kept.
    pub history: Arc<dyn History>,
    /// Tells live clients.
    pub hub: Recipient<Announce>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Returns the time.
    pub now: Arc<dyn Fn() -> Nanos + Send + Sync>,
}

/// Judges conditions.
pub struct Watch {
    parts: WatchParts,
    began: Nanos,
    /// `None` until the history has said what is open.
    conditions: Option<Conditions>,
    /// What the history has not taken: the last word on each condition.
    unwritten: Vec<Anomaly>,
}

impl Watch {
    /// Makes one.
    #[must_use]
    pub fn new(parts: WatchParts) -> Watch {
        let began = (parts.now)();
        Watch { parts, began, conditions: None, unwritten: Vec::new() }
    }

    /// Judges once.
    ///
    /// # Errors
    /// When the history cannot be read or written: what was found is kept.
    pub async fn round(&mut self) -> Result<(), StoreError> {
        let now = (self.parts.now)();
        if now.since(self.began) < GRACE {
            return Ok(());
        }
        if self.conditions.is_none() {
            self.conditions = Some(self.open().await?);
        }
        let readings = self.parts.readings.read(now);
        let levels = self.parts.readings.settings().levels;
        let Some(conditions) = &mut self.conditions else { return Ok(()) };
        let found: Vec<Anomaly> =
            readings.iter().filter_map(|reading| conditions.judge(reading, now, &levels)).collect();
        for anomaly in found {
            self.tell(&anomaly);
            self.unwritten.retain(|known| known.id != anomaly.id);
            self.unwritten.push(anomaly);
        }
        if self.unwritten.is_empty() {
            return Ok(());
        }
        let batch = SignalBatch { anomalies: self.unwritten.clone(), ..SignalBatch::default() };
        self.parts.history.write_signals(&batch).await?;
        self.unwritten.clear();
        Ok(())
    }

    fn tell(&self, anomaly: &Anomaly) {
        if anomaly.state == AnomalyState::Active && anomaly.revision() == 0 {
            self.parts.metrics.anomaly(&anomaly.anomaly_type, anomaly.severity.as_str());
        }
        match anomaly.state {
            AnomalyState::Active => {
                tracing::warn!(r#type = anomaly.anomaly_type, "{}", anomaly.description);
            }
            AnomalyState::Ended | AnomalyState::Withdrawn => {
                tracing::info!(r#type = anomaly.anomaly_type, "over: {}", anomaly.description);
            }
        }
        // A hub that is full or gone serves nobody: REST has it.
        _ = self.parts.hub.try_send(Announce(Box::new(anomaly.clone())));
    }

    /// Returns the conditions that were open when the history was written last.
    async fn open(&self) -> Result<Conditions, StoreError> {
        let mut conditions = Conditions::default();
        for kind in ConditionKind::ALL {
            let query = AnomalyQuery {
                symbol: None,
                anomaly_type: Some(kind.as_str().to_owned()),
                severity: None,
                page: SignalPage::newest(RESUMED_MAX),
            };
            let found = self.parts.history.anomalies(&query).await?;
            conditions.resume(found.into_iter().map(|found| found.row).collect());
        }
        Ok(conditions)
    }
}

/// Starts a watch on a thread of its own, which runs until the arbiter stops. `make` makes what it works with, again after a
/// panic.
#[must_use]
pub fn start(make: Arc<dyn Fn() -> WatchParts + Send + Sync>) -> Arbiter {
    let arbiter = Arbiter::new();
    arbiter.spawn(async move {
        let mut watch = Watch::new(make());
        let mut pause = tokio::time::interval(EVERY);
        pause.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            pause.tick().await;
            let metrics = Arc::clone(&watch.parts.metrics);
            match guard::watch(ActorKind::Conditions, &metrics, watch.round()).await {
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    tracing::debug!(%error, "what is wrong with the system is not written; it is tried again");
                }
                None => watch = Watch::new(make()),
            }
        }
    });
    arbiter
}
