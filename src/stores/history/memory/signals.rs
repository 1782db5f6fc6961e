//! Anomalies, predictions and alerts in memory.
//!
//! Promises: of each at most [`ROWS_MAX`] rows; the one that came first goes when another one comes. Nothing here fails.

use super::alert_tables::MemoryAlerts;
use crate::models::alert::Alert;
use crate::models::anomaly::Anomaly;
use crate::models::prediction::Prediction;
use crate::models::time::Nanos;
use crate::stores::error::StoreError;
use crate::stores::history::signals::{
    AlertQuery, AnomalyQuery, Numbered, PredictionQuery, SignalBatch, SignalHistory, SignalPage,
};
use async_trait::async_trait;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Rows kept of each: some megabytes.
pub const ROWS_MAX: usize = 10_000;

/// Anomalies, predictions and alerts of this process.
#[derive(Debug, Default)]
pub struct MemorySignals {
    tables: Mutex<Tables>,
    pub(super) alerts: MemoryAlerts,
}

#[derive(Debug, Default)]
struct Tables {
    anomalies: Table<String, Anomaly>,
    predictions: Table<PredictionKey, Prediction>,
    alerts: Table<String, Alert>,
}

type PredictionKey = (String, Nanos, u32, String);

/// Rows by the number that they were given, and where each key is.
#[derive(Debug)]
struct Table<K, T> {
    numbers: HashMap<K, u64>,
    rows: BTreeMap<u64, (K, T)>,
    last: u64,
}

impl<K, T> Default for Table<K, T> {
    fn default() -> Table<K, T> {
        Table { numbers: HashMap::new(), rows: BTreeMap::new(), last: 0 }
    }
}

impl<K: Clone + Eq + Hash, T: Clone> Table<K, T> {
    /// Adds a row, or brings it together with the one of its key.
    fn put(&mut self, key: K, row: T, meet: impl FnOnce(&mut T, T)) {
        let known = self.numbers.get(&key).and_then(|number| self.rows.get_mut(number));
        if let Some((_, stored)) = known {
            meet(stored, row);
            return;
        }
        if self.rows.len() == ROWS_MAX
            && let Some((_, (oldest, _))) = self.rows.pop_first()
        {
            self.numbers.remove(&oldest);
        }
        self.last += 1;
        self.numbers.insert(key.clone(), self.last);
        self.rows.insert(self.last, (key, row));
    }

    /// Returns the rows of a page that fit, newest first.
    fn find(
        &self,
        page: &SignalPage,
        time: impl Fn(&T) -> Nanos,
        fits: impl Fn(&T) -> bool,
    ) -> Vec<Numbered<T>> {
        let rows = self.rows.iter().map(|(number, (_, row))| (time(row), *number, row));
        let mut found: Vec<(Nanos, u64, &T)> =
            rows.filter(|(time, number, row)| page.has(*time, *number) && fits(row)).collect();
        found.sort_unstable_by_key(|(time, number, _)| Reverse((*time, *number)));
        let found = found.into_iter().take(page.limit);
        found.map(|(_, number, row)| Numbered { number, row: row.clone() }).collect()
    }
}

impl MemorySignals {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns an anomaly as it is kept.
fn row_of(anomaly: &Anomaly) -> Anomaly {
    Anomaly { time: anomaly.time.to_micros(), ..anomaly.clone() }
}

/// True when nothing is asked for, or just this.
fn is_asked<T: PartialEq + ?Sized>(asked: Option<&T>, found: &T) -> bool {
    asked.is_none_or(|asked| asked == found)
}

#[async_trait]
impl SignalHistory for MemorySignals {
    async fn write_signals(&self, batch: &SignalBatch) -> Result<(), StoreError> {
        let mut tables = self.tables();
        let mut changed = Vec::new();
        for anomaly in &batch.anomalies {
            let mut is_repeat = false;
            tables.anomalies.put(anomaly.id.clone(), row_of(anomaly), |stored, row| {
                is_repeat = !row.replaces(stored);
                if !is_repeat {
                    *stored = row;
                }
            });
            if !is_repeat {
                changed.push(anomaly);
            }
        }
        self.alerts.tables().fill_inbox(changed.into_iter().map(row_of));
        for prediction in &batch.predictions {
            let row = Prediction { time: prediction.time.to_micros(), ..prediction.clone() };
            let key = (row.symbol.clone(), row.time, row.horizon_minutes, row.model_version.clone());
            tables.predictions.put(key, row, |stored, row| _ = stored.learn(&row));
        }
        for alert in &batch.alerts {
            let row = Alert { time: alert.time.to_micros(), ..alert.clone() };
            tables.alerts.put(row.id.clone(), row, |stored, row| {
                if row.replaces(stored) {
                    *stored = row;
                }
            });
        }
        Ok(())
    }

    async fn anomalies(&self, query: &AnomalyQuery) -> Result<Vec<Numbered<Anomaly>>, StoreError> {
        let fits = |anomaly: &Anomaly| {
            is_asked(query.symbol.as_ref(), &anomaly.symbol)
                && is_asked(query.anomaly_type.as_ref(), &anomaly.anomaly_type)
                && is_asked(query.severity.as_ref(), &anomaly.severity)
        };
        Ok(self.tables().anomalies.find(&query.page, |anomaly| anomaly.time, fits))
    }

    async fn predictions(&self, query: &PredictionQuery) -> Result<Vec<Numbered<Prediction>>, StoreError> {
        let fits = |prediction: &Prediction| prediction.symbol == query.symbol;
        Ok(self.tables().predictions.find(&query.page, |prediction| prediction.time, fits))
    }

    async fn newest_predictions(&self, symbol: &str) -> Result<Vec<Prediction>, StoreError> {
        let mut newest: BTreeMap<u32, Prediction> = BTreeMap::new();
        let page = SignalPage::newest(ROWS_MAX);
        let fits = |prediction: &Prediction| prediction.symbol == symbol;
        for found in self.tables().predictions.find(&page, |prediction| prediction.time, fits) {
            newest.entry(found.row.horizon_minutes).or_insert(found.row);
        }
        Ok(newest.into_values().collect())
    }

    async fn alerts(&self, query: &AlertQuery) -> Result<Vec<Numbered<Alert>>, StoreError> {
        let fits = |alert: &Alert| {
            is_asked(query.symbol.as_ref(), &alert.symbol)
                && is_asked(query.anomaly_type.as_ref(), &alert.anomaly_type)
                && is_asked(query.severity.as_ref(), &alert.severity)
                && is_asked(query.channel.as_ref(), &alert.channel)
                && is_asked(query.status.as_ref(), &alert.status)
                && is_asked(query.anomaly_id.as_ref(), &alert.anomaly_id)
        };
        Ok(self.tables().alerts.find(&query.page, |alert| alert.time, fits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rows_go_when_there_are_too_many() {
        let mut table = Table::<u64, u64>::default();
        for key in 0..ROWS_MAX as u64 + 5 {
            table.put(key, key, |_, _| {});
        }
        assert_eq!((table.rows.len(), table.numbers.len()), (ROWS_MAX, ROWS_MAX));
        let all = table.find(&SignalPage::newest(usize::MAX), |row| Nanos(row.cast_signed()), |_| true);
        assert_eq!(all.last().map(|found| found.row), Some(5));
    }
}
