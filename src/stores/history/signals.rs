//! What detectors, the predictor and the notifier have to say, as it is stored and looked up: anomalies, predictions, alerts.
//!
//! Promises, for every implementation: a row once by its key, and of two that meet under one key the one that the models say
//! (`Anomaly::replaces`, `Prediction::learn`, `Alert::replaces`), whatever the order in which they come; so repeats change
//! nothing. Times are kept in microseconds. Lists are newest first by (time, number): a number is given by the store when it
//! first sees a key and stays, so that a walk by pages neither repeats nor omits a row that was there at its beginning.
//! Whoever makes rows from entries of the log writes them here before the history's batch that acknowledges those entries:
//! then a crash between both brings them again, and nothing is missing.
//! On failure nothing of a batch is there, and the error says whether another try can help.

use crate::models::alert::{Alert, AlertStatus};
use crate::models::anomaly::{Anomaly, Severity};
use crate::models::effect::Effect;
use crate::models::prediction::Prediction;
use crate::models::time::Nanos;
use crate::names::SymbolTable;
use crate::stores::error::StoreError;
use async_trait::async_trait;
use std::collections::BTreeMap;

/// Rows that are written as one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SignalBatch {
    /// Anomalies, by id.
    pub anomalies: Vec<Anomaly>,
    /// Predictions, by symbol, time, horizon and model version.
    pub predictions: Vec<Prediction>,
    /// Alerts, by id.
    pub alerts: Vec<Alert>,
}

impl SignalBatch {
    /// Makes the rows of what was found: the newest of what is said of each anomaly.
    #[must_use]
    pub fn of_effects<'a>(
        effects: impl IntoIterator<Item = &'a Effect>,
        symbols: &SymbolTable,
    ) -> SignalBatch {
        let mut newest: BTreeMap<String, Anomaly> = BTreeMap::new();
        for effect in effects {
            let Effect::Anomaly(detected) = effect else { continue };
            let anomaly = detected.anomaly(&symbols.spec(detected.symbol));
            if newest.get(&anomaly.id).is_none_or(|known| anomaly.replaces(known)) {
                newest.insert(anomaly.id.clone(), anomaly);
            }
        }
        SignalBatch { anomalies: newest.into_values().collect(), ..SignalBatch::default() }
    }

    /// True when there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.anomalies.is_empty() && self.predictions.is_empty() && self.alerts.is_empty()
    }
}

/// A row, and the number that its store gave it.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbered<T> {
    /// Tells rows of one time apart; never given twice.
    pub number: u64,
    /// The row.
    pub row: T,
}

/// The part of a list that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalPage {
    /// Rows at or after this.
    pub start: Nanos,
    /// Rows at or before this.
    pub end: Nanos,
    /// Only those before this place in the order: (time, number) of the last row of the page before.
    pub before: Option<(Nanos, u64)>,
    /// At most this many.
    pub limit: usize,
}

impl SignalPage {
    /// Makes the first page of everything.
    #[must_use]
    pub const fn newest(limit: usize) -> SignalPage {
        SignalPage { start: Nanos::MIN, end: Nanos::MAX, before: None, limit }
    }

    /// True for a row that the page may hold.
    #[must_use]
    pub fn has(&self, time: Nanos, number: u64) -> bool {
        (self.start..=self.end).contains(&time) && self.before.is_none_or(|before| (time, number) < before)
    }

    /// Returns the place before which rows stand, as numbers that every store can compare.
    pub(in crate::stores) fn bound(&self) -> (Nanos, i64) {
        let beyond = (Nanos::MAX, i64::MAX);
        self.before.map_or(beyond, |(time, number)| (time, i64::try_from(number).unwrap_or(i64::MAX)))
    }
}

/// Asks for anomalies.
#[derive(Clone, Debug, PartialEq)]
pub struct AnomalyQuery {
    /// Only of this symbol.
    pub symbol: Option<String>,
    /// Only of this type.
    pub anomaly_type: Option<String>,
    /// Only of this severity.
    pub severity: Option<Severity>,
    /// Which of them.
    pub page: SignalPage,
}

/// Asks for the predictions of a symbol.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictionQuery {
    /// The symbol.
    pub symbol: String,
    /// Which of them.
    pub page: SignalPage,
}

/// Asks for alerts.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertQuery {
    /// Only of this symbol.
    pub symbol: Option<String>,
    /// Only for anomalies of this type.
    pub anomaly_type: Option<String>,
    /// Only of this severity.
    pub severity: Option<Severity>,
    /// Only over this channel.
    pub channel: Option<String>,
    /// Only those that stand there.
    pub status: Option<AlertStatus>,
    /// Only about this anomaly.
    pub anomaly_id: Option<String>,
    /// Which of them.
    pub page: SignalPage,
}

/// The history of anomalies, predictions and alerts.
#[async_trait]
pub trait SignalHistory: Send + Sync {
    /// Commits the batch. Repeats change nothing.
    async fn write_signals(&self, batch: &SignalBatch) -> Result<(), StoreError>;

    /// Returns anomalies, newest first.
    async fn anomalies(&self, query: &AnomalyQuery) -> Result<Vec<Numbered<Anomaly>>, StoreError>;

    /// Returns predictions, newest first.
    async fn predictions(&self, query: &PredictionQuery) -> Result<Vec<Numbered<Prediction>>, StoreError>;

    /// Returns the newest prediction of a symbol for each horizon, the shortest first.
    async fn newest_predictions(&self, symbol: &str) -> Result<Vec<Prediction>, StoreError>;

    /// Returns alerts, newest first.
    async fn alerts(&self, query: &AlertQuery) -> Result<Vec<Numbered<Alert>>, StoreError>;
}
