//! Anomalies, predictions and alerts as rows, each with its number and a checksum over the rest.
//!
//! Promises: a row that meets the one of its key does to it what the models say. A row whose checksum differs is an error
//! for who reads it; a new row of its key is written over it.

use super::file::FILE_NAME;
use crate::models::alert::{Alert, AlertStatus};
use crate::models::anomaly::{Anomaly, AnomalyState, Severity};
use crate::models::prediction::Prediction;
use crate::models::time::Nanos;
use crate::stores::error::StoreError;
use crate::stores::history::signals::{
    AlertQuery, AnomalyQuery, Numbered, PredictionQuery, SignalBatch, SignalPage,
};
use crate::stores::sqlite::checked::{Binder, Fault, checked_row, damaged, get, get_unsigned, verify_all};
use crate::stores::sqlite::database::failed;
use serde_json::{Map, Value};
use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, SqliteConnection, SqlitePool};

const WRITING: &str = "failed to write a signal";
const READING: &str = "failed to read signals";

/// A kind of row: its table, its columns, and what happens where two of one key meet.
pub(super) trait Signal: Clone + Sized {
    /// The table.
    const TABLE: &'static str;
    /// The columns that have a checksum.
    const COLUMNS: &'static [&'static str];
    /// Those of them that are the key.
    const KEY: &'static [&'static str];

    /// Binds the key.
    fn bind_key(&self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError>;
    /// Binds the columns.
    fn bind(&self, row: &mut Binder<'_>) -> Result<(), BoxDynError>;
    /// Reads the columns.
    fn decode(row: &SqliteRow) -> Result<Self, Fault>;
    /// Returns what stays of this and the one that is stored; `None` where that is the stored one as it is.
    fn meet(&self, stored: Self) -> Option<Self>;
}

impl Signal for Anomaly {
    const TABLE: &'static str = "anomaly_rows";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "time",
        "symbol",
        "anomaly_type",
        "severity",
        "description",
        "current_value",
        "expected_value",
        "threshold",
        "metadata",
        "state",
        "log_pos",
    ];
    const KEY: &'static [&'static str] = &["id"];

    fn bind_key(&self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError> {
        arguments.add(self.id.as_str())
    }

    fn bind(&self, row: &mut Binder<'_>) -> Result<(), BoxDynError> {
        row.text(self.id.as_str())?;
        row.integer(self.time.to_micros().0)?;
        row.text(self.symbol.as_str())?;
        row.text(self.anomaly_type.as_str())?;
        row.text(self.severity.as_str())?;
        row.text(self.description.as_str())?;
        row.real(self.current_value)?;
        row.real(self.expected_value)?;
        row.real(self.threshold)?;
        row.text(serde_json::to_string(&self.metadata)?.as_str())?;
        row.text(self.state.as_str())?;
        row.unsigned(self.log_pos)
    }

    fn decode(row: &SqliteRow) -> Result<Anomaly, Fault> {
        let metadata: Map<String, Value> =
            serde_json::from_str(get(row, 9)?).map_err(|error| Fault::new(error.to_string()))?;
        Ok(Anomaly {
            id: get(row, 0)?,
            time: Nanos(get(row, 1)?),
            symbol: get(row, 2)?,
            anomaly_type: get(row, 3)?,
            severity: Severity::parse(get(row, 4)?).ok_or_else(|| Fault::new("there is no such severity"))?,
            description: get(row, 5)?,
            current_value: get(row, 6)?,
            expected_value: get(row, 7)?,
            threshold: get(row, 8)?,
            metadata,
            state: AnomalyState::parse(get(row, 10)?).ok_or_else(|| Fault::new("there is no such state"))?,
            log_pos: get_unsigned(row, 11)?,
        })
    }

    fn meet(&self, stored: Anomaly) -> Option<Anomaly> {
        self.replaces(&stored).then(|| self.clone())
    }
}

impl Signal for Prediction {
    const TABLE: &'static str = "prediction_rows";
    const COLUMNS: &'static [&'static str] = &[
        "time",
        "symbol",
        "current_price",
        "predicted_price",
        "confidence",
        "time_horizon_minutes",
        "model_version",
        "lower",
        "upper",
        "abstained",
        "actual_price",
        "skill",
    ];
    const KEY: &'static [&'static str] = &["symbol", "time_horizon_minutes", "time", "model_version"];

    fn bind_key(&self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError> {
        arguments.add(self.symbol.as_str())?;
        arguments.add(self.horizon_minutes)?;
        arguments.add(self.time.to_micros().0)?;
        arguments.add(self.model_version.as_str())
    }

    fn bind(&self, row: &mut Binder<'_>) -> Result<(), BoxDynError> {
        row.integer(self.time.to_micros().0)?;
        row.text(self.symbol.as_str())?;
        row.real(self.current_price)?;
        row.real(self.predicted_price)?;
        row.real(self.confidence)?;
        row.integer(i64::from(self.horizon_minutes))?;
        row.text(self.model_version.as_str())?;
        row.real(self.lower)?;
        row.real(self.upper)?;
        row.integer(i64::from(self.abstained))?;
        row.real(self.actual_price)?;
        row.real(self.skill)
    }

    fn decode(row: &SqliteRow) -> Result<Prediction, Fault> {
        Ok(Prediction {
            time: Nanos(get(row, 0)?),
            symbol: get(row, 1)?,
            current_price: get(row, 2)?,
            predicted_price: get(row, 3)?,
            confidence: get(row, 4)?,
            horizon_minutes: get(row, 5)?,
            model_version: get(row, 6)?,
            lower: get(row, 7)?,
            upper: get(row, 8)?,
            abstained: get(row, 9)?,
            actual_price: get(row, 10)?,
            skill: get(row, 11)?,
        })
    }

    fn meet(&self, mut stored: Prediction) -> Option<Prediction> {
        stored.learn(self).then_some(stored)
    }
}

impl Signal for Alert {
    const TABLE: &'static str = "alert_rows";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "time",
        "symbol",
        "anomaly_type",
        "severity",
        "channel",
        "status",
        "reason",
        "attempts",
        "anomaly_id",
    ];
    const KEY: &'static [&'static str] = &["id"];

    fn bind_key(&self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError> {
        arguments.add(self.id.as_str())
    }

    fn bind(&self, row: &mut Binder<'_>) -> Result<(), BoxDynError> {
        row.text(self.id.as_str())?;
        row.integer(self.time.to_micros().0)?;
        row.text(self.symbol.as_str())?;
        row.text(self.anomaly_type.as_str())?;
        row.text(self.severity.as_str())?;
        row.text(self.channel.as_str())?;
        row.text(self.status.as_str())?;
        row.text(self.reason.as_str())?;
        row.integer(i64::from(self.attempts))?;
        row.text(self.anomaly_id.as_str())
    }

    fn decode(row: &SqliteRow) -> Result<Alert, Fault> {
        Ok(Alert {
            id: get(row, 0)?,
            time: Nanos(get(row, 1)?),
            symbol: get(row, 2)?,
            anomaly_type: get(row, 3)?,
            severity: Severity::parse(get(row, 4)?).ok_or_else(|| Fault::new("there is no such severity"))?,
            channel: get(row, 5)?,
            status: AlertStatus::parse(get(row, 6)?).ok_or_else(|| Fault::new("there is no such status"))?,
            reason: get(row, 7)?,
            attempts: get(row, 8)?,
            anomaly_id: get(row, 9)?,
        })
    }

    fn meet(&self, stored: Alert) -> Option<Alert> {
        self.replaces(&stored).then(|| self.clone())
    }
}

/// Returns the columns of a kind with the checksum and the number behind them.
pub(super) fn selected<T: Signal>() -> String {
    format!("{}, checksum, number", T::COLUMNS.join(", "))
}

/// Reads a row of [`selected`].
pub(super) fn decode<T: Signal>(row: &SqliteRow) -> Result<Numbered<T>, Fault> {
    let len = T::COLUMNS.len();
    verify_all(row, 0..len, false)?;
    Ok(Numbered { number: get_unsigned(row, len + 1)?, row: T::decode(row)? })
}

/// Writes rows of every kind. Returns the anomalies that changed something.
pub(super) async fn write<'a>(
    conn: &mut SqliteConnection,
    batch: &'a SignalBatch,
) -> Result<Vec<&'a Anomaly>, StoreError> {
    let changed = write_all(conn, &batch.anomalies).await?;
    write_all(conn, &batch.predictions).await?;
    write_all(conn, &batch.alerts).await?;
    Ok(changed)
}

/// Writes rows of one kind. Returns those that changed something.
pub(super) async fn write_all<'a, T: Signal>(
    conn: &mut SqliteConnection,
    rows: &'a [T],
) -> Result<Vec<&'a T>, StoreError> {
    let mut changed_rows = Vec::new();
    let is_key = T::KEY.iter().map(|column| format!("{column} = ?")).collect::<Vec<_>>().join(" AND ");
    let select = format!("SELECT {} FROM {} WHERE {is_key}", selected::<T>(), T::TABLE);
    let places = vec!["?"; T::COLUMNS.len() + 1].join(", ");
    let changes: Vec<String> = T::COLUMNS
        .iter()
        .chain(&["checksum"])
        .map(|column| format!("{column} = excluded.{column}"))
        .collect();
    let upsert = format!(
        "INSERT INTO {} ({}, checksum) VALUES ({places}) ON CONFLICT ({}) DO UPDATE SET {}",
        T::TABLE,
        T::COLUMNS.join(", "),
        T::KEY.join(", "),
        changes.join(", ")
    );
    for row in rows {
        let mut key = SqliteArguments::default();
        row.bind_key(&mut key)
            .map_err(|error| StoreError::Permanent { context: WRITING, cause: error.to_string() })?;
        let stored = sqlx::query_with(AssertSqlSafe(select.clone()), key)
            .fetch_optional(&mut *conn)
            .await
            .map_err(failed(WRITING))?;
        // A stored row that is damaged has nothing to say any more.
        let stored = stored.and_then(|stored| decode::<T>(&stored).ok());
        let written = match stored {
            None => row.clone(),
            Some(stored) => match row.meet(stored.row) {
                Some(changed) => changed,
                None => continue,
            },
        };
        let arguments = checked_row(WRITING, |row| written.bind(row))?;
        sqlx::query_with(AssertSqlSafe(upsert.clone()), arguments)
            .execute(&mut *conn)
            .await
            .map_err(failed(WRITING))?;
        changed_rows.push(row);
    }
    Ok(changed_rows)
}

/// A condition on a column, where something is asked for.
pub(super) type Asked<'a> = (&'static str, Option<&'a str>);

/// Returns the rows of a page that fit.
pub(super) async fn find<T: Signal>(
    readers: &SqlitePool,
    asked: &[Asked<'_>],
    page: &SignalPage,
) -> Result<Vec<Numbered<T>>, StoreError> {
    let asked: Vec<(&str, &str)> =
        asked.iter().filter_map(|(column, value)| Some((*column, (*value)?))).collect();
    let fits: String = asked.iter().map(|(column, _)| format!("{column} = ? AND ")).collect();
    // The second bound alone would say it, but only the first one lets the index begin there.
    let sql = format!(
        "SELECT {} FROM {} WHERE {fits}time BETWEEN ? AND ? AND (time, number) < (?, ?) \
         ORDER BY time DESC, number DESC LIMIT ?",
        selected::<T>(),
        T::TABLE
    );
    let (before, number) = page.bound();
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for (_, value) in asked {
        query = query.bind(value);
    }
    let rows = query
        .bind(page.start.0)
        .bind(page.end.min(before).0)
        .bind(before.0)
        .bind(number)
        .bind(i64::try_from(page.limit).unwrap_or(i64::MAX))
        .fetch_all(readers)
        .await
        .map_err(failed(READING))?;
    rows.iter().map(read_row).collect()
}

/// Reads a row of [`selected`], or says which one is damaged.
pub(super) fn read_row<T: Signal>(row: &SqliteRow) -> Result<Numbered<T>, StoreError> {
    decode(row).map_err(|fault| damaged(FILE_NAME, T::TABLE, number_text::<T>(row), &fault))
}

/// Names a row by its number, as far as that can be read.
pub(super) fn number_text<T: Signal>(row: &SqliteRow) -> String {
    get_unsigned(row, T::COLUMNS.len() + 1)
        .map_or_else(|_| "number unreadable".to_owned(), |number| format!("number {number}"))
}

/// Answers a query for anomalies.
pub(super) async fn anomalies(
    readers: &SqlitePool,
    query: &AnomalyQuery,
) -> Result<Vec<Numbered<Anomaly>>, StoreError> {
    let asked = [
        ("symbol", query.symbol.as_deref()),
        ("anomaly_type", query.anomaly_type.as_deref()),
        ("severity", query.severity.map(Severity::as_str)),
    ];
    find(readers, &asked, &query.page).await
}

/// Answers a query for predictions.
pub(super) async fn predictions(
    readers: &SqlitePool,
    query: &PredictionQuery,
) -> Result<Vec<Numbered<Prediction>>, StoreError> {
    find(readers, &[("symbol", Some(query.symbol.as_str()))], &query.page).await
}

/// Returns the newest prediction of each horizon.
pub(super) async fn newest_predictions(
    readers: &SqlitePool,
    symbol: &str,
) -> Result<Vec<Prediction>, StoreError> {
    let mut newest = Vec::new();
    let mut horizon = -1_i64;
    // One search a horizon in the unique index instead of a walk over all rows of the symbol.
    loop {
        let next: Option<i64> = sqlx::query_scalar(
            "SELECT min(time_horizon_minutes) FROM prediction_rows WHERE symbol = ? AND time_horizon_minutes > ?",
        )
        .bind(symbol)
        .bind(horizon)
        .fetch_one(readers)
        .await
        .map_err(failed(READING))?;
        let Some(next) = next else { return Ok(newest) };
        horizon = next;
        let sql = format!(
            "SELECT {} FROM prediction_rows WHERE symbol = ? AND time_horizon_minutes = ? \
             ORDER BY time DESC, number DESC LIMIT 1",
            selected::<Prediction>()
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(symbol)
            .bind(horizon)
            .fetch_optional(readers)
            .await
            .map_err(failed(READING))?;
        // Retention may have taken it in between.
        if let Some(row) = row {
            newest.push(read_row::<Prediction>(&row)?.row);
        }
    }
}

/// Answers a query for alerts.
pub(super) async fn alerts(
    readers: &SqlitePool,
    query: &AlertQuery,
) -> Result<Vec<Numbered<Alert>>, StoreError> {
    let asked = [
        ("symbol", query.symbol.as_deref()),
        ("anomaly_type", query.anomaly_type.as_deref()),
        ("severity", query.severity.map(Severity::as_str)),
        ("channel", query.channel.as_deref()),
        ("status", query.status.map(AlertStatus::as_str)),
        ("anomaly_id", query.anomaly_id.as_deref()),
    ];
    find(readers, &asked, &query.page).await
}

/// Drops what is of a time at or before this. Returns the number of rows.
pub(super) async fn drop_before(conn: &mut SqliteConnection, oldest: Nanos) -> Result<u64, StoreError> {
    let mut num_dropped = 0;
    for table in [Anomaly::TABLE, Prediction::TABLE, Alert::TABLE] {
        let done = sqlx::query(AssertSqlSafe(format!("DELETE FROM {table} WHERE time <= ?")))
            .bind(oldest.0)
            .execute(&mut *conn)
            .await
            .map_err(failed("failed to drop old signals"))?;
        num_dropped += done.rows_affected();
    }
    Ok(num_dropped)
}
