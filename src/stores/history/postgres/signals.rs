//! Anomalies, predictions and alerts as rows of tables, written in one statement a kind.
//!
//! Promises: a row that meets the one of its key does to it what the models say. Rows of the system before this one are read
//! too: what they lack is empty, and a severity that is none of ours reads as `low`. On failure nothing of a batch is there.

use super::error::failed;
use crate::models::alert::{Alert, AlertStatus};
use crate::models::anomaly::{Anomaly, AnomalyState, Severity};
use crate::models::prediction::Prediction;
use crate::models::time::Nanos;
use crate::stores::error::StoreError;
use crate::stores::history::signals::{
    AlertQuery, AnomalyQuery, Numbered, PredictionQuery, SignalBatch, SignalPage,
};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Row};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

const WRITING: &str = "failed to write signals";
const READING: &str = "failed to read signals";

/// Columns of anomalies as they are read; the number comes last, in every list here.
pub(super) const ANOMALY_COLUMNS: &str = "coalesce(id, 'row ' || number) AS id, time, symbol, coalesce(anomaly_type, '') AS anomaly_type, \
    coalesce(severity, '') AS severity, coalesce(description, '') AS description, current_value, expected_value, threshold, \
    metadata, coalesce(state, 'active') AS state, log_pos, number";

const PREDICTION_COLUMNS: &str = "time, symbol, coalesce(current_price, 'NaN') AS current_price, \
    coalesce(predicted_price, 'NaN') AS predicted_price, coalesce(confidence, 0) AS confidence, \
    coalesce(time_horizon_minutes, 0) AS time_horizon_minutes, coalesce(model_version, '') AS model_version, lower, upper, \
    coalesce(abstained, false) AS abstained, actual_price, skill, number";

const ALERT_COLUMNS: &str =
    "id, time, symbol, anomaly_type, severity, channel, status, reason, attempts, anomaly_id, number";

/// Brings rows of one key together, in the order in which keys come: a statement may not meet a row twice, and numbers are
/// given in its order.
fn by_key<'a, K: Eq + Hash, T: Clone>(
    rows: &'a [T],
    key: impl Fn(&'a T) -> K,
    meet: impl Fn(&T, &T) -> Option<T>,
) -> Vec<T> {
    let mut places: HashMap<K, usize> = HashMap::new();
    let mut met: Vec<T> = Vec::with_capacity(rows.len());
    for row in rows {
        match places.entry(key(row)) {
            Entry::Vacant(place) => {
                place.insert(met.len());
                met.push(row.clone());
            }
            Entry::Occupied(place) => {
                let stored = &mut met[*place.get()];
                if let Some(changed) = meet(row, stored) {
                    *stored = changed;
                }
            }
        }
    }
    met
}

/// Returns a time as PostgreSQL keeps it: in microseconds.
pub(super) fn stamp(time: Nanos) -> DateTime<Utc> {
    DateTime::from_timestamp_nanos(time.to_micros().0)
}

/// Values that are no number are none: that is how the embedded store keeps them.
fn number(value: Option<f64>) -> Option<f64> {
    value.filter(|value| !value.is_nan())
}

/// Writes rows of every kind. Returns the ids and times of the anomalies that changed something.
pub(super) async fn write(conn: &mut PgConnection, batch: &SignalBatch) -> Result<Changed, StoreError> {
    let changed = match batch.anomalies.is_empty() {
        true => Changed::default(),
        false => write_anomalies(conn, &batch.anomalies).await?,
    };
    if !batch.predictions.is_empty() {
        write_predictions(conn, &batch.predictions).await?;
    }
    if !batch.alerts.is_empty() {
        write_alerts(conn, &batch.alerts).await?;
    }
    Ok(changed)
}

/// Ids and times of anomalies.
pub(super) type Changed = (Vec<String>, Vec<DateTime<Utc>>);

/// Writes anomalies. Returns the ids and times of those that changed something.
async fn write_anomalies(conn: &mut PgConnection, rows: &[Anomaly]) -> Result<Changed, StoreError> {
    let meet = |row: &Anomaly, stored: &Anomaly| row.replaces(stored).then(|| row.clone());
    let rows = by_key(rows, |row| row.id.as_str(), meet);
    let texts = |of: fn(&Anomaly) -> &str| rows.iter().map(|row| of(row).to_owned()).collect::<Vec<_>>();
    let numbers =
        |of: fn(&Anomaly) -> Option<f64>| rows.iter().map(|row| number(of(row))).collect::<Vec<_>>();
    let metadata: Vec<String> =
        rows.iter().map(|row| Value::Object(row.metadata.clone()).to_string()).collect();
    sqlx::query(
        "INSERT INTO anomalies (time, symbol, anomaly_type, severity, description, current_value, expected_value, threshold, \
         metadata, id, state, log_pos) \
         SELECT time, symbol, anomaly_type, severity, description, current_value, expected_value, threshold, metadata::jsonb, \
         id, state, log_pos \
         FROM unnest($1::timestamptz[], $2::varchar[], $3::varchar[], $4::varchar[], $5::varchar[], $6::float8[], \
         $7::float8[], $8::float8[], $9::text[], $10::varchar[], $11::varchar[], $12::bigint[]) \
         AS given (time, symbol, anomaly_type, severity, description, current_value, expected_value, threshold, metadata, id, \
         state, log_pos) \
         ON CONFLICT (id, time) DO UPDATE SET symbol = excluded.symbol, anomaly_type = excluded.anomaly_type, \
         severity = excluded.severity, description = excluded.description, current_value = excluded.current_value, \
         expected_value = excluded.expected_value, threshold = excluded.threshold, metadata = excluded.metadata, \
         state = excluded.state, log_pos = excluded.log_pos \
         WHERE (excluded.log_pos, coalesce((excluded.metadata->>'revision')::bigint, 0)) \
         > (anomalies.log_pos, coalesce((anomalies.metadata->>'revision')::bigint, 0)) \
         RETURNING id, time",
    )
    .bind(rows.iter().map(|row| stamp(row.time)).collect::<Vec<_>>())
    .bind(texts(|row| &row.symbol))
    .bind(texts(|row| &row.anomaly_type))
    .bind(texts(|row| row.severity.as_str()))
    .bind(texts(|row| &row.description))
    .bind(numbers(|row| row.current_value))
    .bind(numbers(|row| row.expected_value))
    .bind(numbers(|row| row.threshold))
    .bind(metadata)
    .bind(texts(|row| &row.id))
    .bind(texts(|row| row.state.as_str()))
    .bind(rows.iter().map(|row| row.log_pos.cast_signed()).collect::<Vec<_>>())
    .fetch_all(conn)
    .await
    .and_then(|changed| {
        let changed: Vec<(String, DateTime<Utc>)> = changed
            .iter()
            .map(|row| Ok((row.try_get("id")?, row.try_get("time")?)))
            .collect::<Result<_, sqlx::Error>>()?;
        Ok(changed.into_iter().unzip())
    })
    .map_err(failed(WRITING))
}

async fn write_predictions(conn: &mut PgConnection, rows: &[Prediction]) -> Result<(), StoreError> {
    let meet = |row: &Prediction, stored: &Prediction| {
        let mut stored = stored.clone();
        stored.learn(row).then_some(stored)
    };
    let key = |row: &'_ Prediction| {
        (row.symbol.clone(), row.time.to_micros(), row.horizon_minutes, row.model_version.clone())
    };
    let rows = by_key(rows, key, meet);
    let texts = |of: fn(&Prediction) -> &str| rows.iter().map(|row| of(row).to_owned()).collect::<Vec<_>>();
    let numbers =
        |of: fn(&Prediction) -> Option<f64>| rows.iter().map(|row| number(of(row))).collect::<Vec<_>>();
    sqlx::query(
        "INSERT INTO predictions (time, symbol, current_price, predicted_price, confidence, time_horizon_minutes, \
         model_version, lower, upper, abstained, actual_price, skill) \
         SELECT * FROM unnest($1::timestamptz[], $2::varchar[], $3::float8[], $4::float8[], $5::float8[], $6::integer[], \
         $7::varchar[], $8::float8[], $9::float8[], $10::boolean[], $11::float8[], $12::float8[]) \
         ON CONFLICT (symbol, time_horizon_minutes, time, model_version) DO UPDATE SET actual_price = excluded.actual_price \
         WHERE predictions.actual_price IS NULL AND excluded.actual_price IS NOT NULL",
    )
    .bind(rows.iter().map(|row| stamp(row.time)).collect::<Vec<_>>())
    .bind(texts(|row| &row.symbol))
    .bind(rows.iter().map(|row| row.current_price).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.predicted_price).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.confidence).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| signed(row.horizon_minutes)).collect::<Vec<_>>())
    .bind(texts(|row| &row.model_version))
    .bind(numbers(|row| row.lower))
    .bind(numbers(|row| row.upper))
    .bind(rows.iter().map(|row| row.abstained).collect::<Vec<_>>())
    .bind(numbers(|row| row.actual_price))
    .bind(numbers(|row| row.skill))
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(failed(WRITING))
}

/// Returns a count as PostgreSQL keeps it.
pub(super) fn signed(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// Writes alerts.
pub(super) async fn write_alerts(conn: &mut PgConnection, rows: &[Alert]) -> Result<(), StoreError> {
    let meet = |row: &Alert, stored: &Alert| row.replaces(stored).then(|| row.clone());
    let rows = by_key(rows, |row| row.id.as_str(), meet);
    let texts = |of: fn(&Alert) -> &str| rows.iter().map(|row| of(row).to_owned()).collect::<Vec<_>>();
    sqlx::query(
        "INSERT INTO alerts (id, time, symbol, anomaly_type, severity, channel, status, reason, attempts, anomaly_id) \
         SELECT * FROM unnest($1::varchar[], $2::timestamptz[], $3::varchar[], $4::varchar[], $5::varchar[], $6::varchar[], \
         $7::varchar[], $8::varchar[], $9::integer[], $10::varchar[]) \
         ON CONFLICT (id) DO UPDATE SET time = excluded.time, symbol = excluded.symbol, anomaly_type = excluded.anomaly_type, \
         severity = excluded.severity, channel = excluded.channel, status = excluded.status, reason = excluded.reason, \
         attempts = excluded.attempts, anomaly_id = excluded.anomaly_id \
         WHERE (excluded.attempts, array_position($11::varchar[], excluded.status)) \
         > (alerts.attempts, array_position($11::varchar[], alerts.status))",
    )
    .bind(texts(|row| &row.id))
    .bind(rows.iter().map(|row| stamp(row.time)).collect::<Vec<_>>())
    .bind(texts(|row| &row.symbol))
    .bind(texts(|row| &row.anomaly_type))
    .bind(texts(|row| row.severity.as_str()))
    .bind(texts(|row| &row.channel))
    .bind(texts(|row| row.status.as_str()))
    .bind(texts(|row| &row.reason))
    .bind(rows.iter().map(|row| signed(row.attempts)).collect::<Vec<_>>())
    .bind(texts(|row| &row.anomaly_id))
    // In the order in which one replaces the other.
    .bind(AlertStatus::ALL.map(|status| status.as_str().to_owned()).to_vec())
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(failed(WRITING))
}

/// A condition on a column, where something is asked for.
pub(super) type Asked<'a> = (&'static str, Option<&'a str>);

/// Returns the rows of a page that fit.
pub(super) async fn find<T>(
    readers: &PgPool,
    (table, columns): (&'static str, &'static str),
    asked: &[Asked<'_>],
    page: &SignalPage,
    decode: impl Fn(&PgRow) -> Result<T, sqlx::Error>,
) -> Result<Vec<Numbered<T>>, StoreError> {
    let asked: Vec<(&str, &str)> =
        asked.iter().filter_map(|(column, value)| Some((*column, (*value)?))).collect();
    let fits: String =
        (6..).zip(&asked).map(|(place, (column, _))| format!("{column} = ${place} AND ")).collect();
    let sql = format!(
        "SELECT {columns} FROM {table} WHERE {fits}time BETWEEN $1 AND $2 AND (time, number) < ($3, $4) \
         ORDER BY time DESC, number DESC LIMIT $5"
    );
    let (before, number) = page.bound();
    let mut query = sqlx::query(AssertSqlSafe(sql))
        // A time that is finer than those stored is not reached by the microsecond before it.
        .bind(stamp(page.start.plus(999)))
        .bind(stamp(page.end.min(before)))
        .bind(stamp(before))
        .bind(number)
        .bind(i64::try_from(page.limit).unwrap_or(i64::MAX));
    for (_, value) in asked {
        query = query.bind(value);
    }
    let rows = query.fetch_all(readers).await.map_err(failed(READING))?;
    let numbered = |row: &PgRow| {
        Ok(Numbered { number: row.try_get::<i64, _>("number")?.cast_unsigned(), row: decode(row)? })
    };
    rows.iter().map(numbered).collect::<Result<_, _>>().map_err(failed(READING))
}

/// Returns a row's time.
pub(super) fn time_of(row: &PgRow) -> Result<Nanos, sqlx::Error> {
    let time: DateTime<Utc> = row.try_get("time")?;
    Ok(Nanos(time.timestamp_micros().saturating_mul(1_000)))
}

fn unsigned(row: &PgRow, column: &str) -> Result<u32, sqlx::Error> {
    let count: i32 = row.try_get(column)?;
    Ok(u32::try_from(count).unwrap_or(0))
}

/// Reads a row of [`ANOMALY_COLUMNS`].
pub(super) fn anomaly_of(row: &PgRow) -> Result<Anomaly, sqlx::Error> {
    let metadata: Option<Value> = row.try_get("metadata")?;
    Ok(Anomaly {
        id: row.try_get("id")?,
        time: time_of(row)?,
        symbol: row.try_get("symbol")?,
        anomaly_type: row.try_get("anomaly_type")?,
        severity: Severity::parse(row.try_get("severity")?).unwrap_or_default(),
        description: row.try_get("description")?,
        current_value: row.try_get("current_value")?,
        expected_value: row.try_get("expected_value")?,
        threshold: row.try_get("threshold")?,
        metadata: match metadata {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(metadata)) => metadata,
            Some(other) => Map::from_iter([("value".to_owned(), other)]),
        },
        state: AnomalyState::parse(row.try_get("state")?).unwrap_or_default(),
        log_pos: row.try_get::<i64, _>("log_pos")?.cast_unsigned(),
    })
}

fn prediction_of(row: &PgRow) -> Result<Prediction, sqlx::Error> {
    Ok(Prediction {
        symbol: row.try_get("symbol")?,
        time: time_of(row)?,
        horizon_minutes: unsigned(row, "time_horizon_minutes")?,
        model_version: row.try_get("model_version")?,
        current_price: row.try_get("current_price")?,
        predicted_price: row.try_get("predicted_price")?,
        confidence: row.try_get("confidence")?,
        lower: row.try_get("lower")?,
        upper: row.try_get("upper")?,
        abstained: row.try_get("abstained")?,
        actual_price: row.try_get("actual_price")?,
        skill: row.try_get("skill")?,
    })
}

fn alert_of(row: &PgRow) -> Result<Alert, sqlx::Error> {
    Ok(Alert {
        id: row.try_get("id")?,
        time: time_of(row)?,
        symbol: row.try_get("symbol")?,
        anomaly_type: row.try_get("anomaly_type")?,
        severity: Severity::parse(row.try_get("severity")?).unwrap_or_default(),
        channel: row.try_get("channel")?,
        status: AlertStatus::parse(row.try_get("status")?).unwrap_or_default(),
        reason: row.try_get("reason")?,
        attempts: unsigned(row, "attempts")?,
        anomaly_id: row.try_get("anomaly_id")?,
    })
}

/// Answers a query for anomalies.
pub(super) async fn anomalies(
    readers: &PgPool,
    query: &AnomalyQuery,
) -> Result<Vec<Numbered<Anomaly>>, StoreError> {
    let asked = [
        ("symbol", query.symbol.as_deref()),
        ("anomaly_type", query.anomaly_type.as_deref()),
        ("lower(severity)", query.severity.map(Severity::as_str)),
    ];
    find(readers, ("anomalies", ANOMALY_COLUMNS), &asked, &query.page, anomaly_of).await
}

/// Answers a query for predictions.
pub(super) async fn predictions(
    readers: &PgPool,
    query: &PredictionQuery,
) -> Result<Vec<Numbered<Prediction>>, StoreError> {
    let asked = [("symbol", Some(query.symbol.as_str()))];
    find(readers, ("predictions", PREDICTION_COLUMNS), &asked, &query.page, prediction_of).await
}

/// Returns the newest prediction of each horizon.
pub(super) async fn newest_predictions(
    readers: &PgPool,
    symbol: &str,
) -> Result<Vec<Prediction>, StoreError> {
    // One search a horizon in the index instead of a walk over all rows of the symbol.
    let sql = format!(
        "WITH RECURSIVE horizons AS ( \
         SELECT min(time_horizon_minutes) AS horizon FROM predictions WHERE symbol = $1 \
         UNION ALL SELECT (SELECT min(time_horizon_minutes) FROM predictions \
         WHERE symbol = $1 AND time_horizon_minutes > horizons.horizon) FROM horizons WHERE horizon IS NOT NULL) \
         SELECT newest.* FROM horizons, LATERAL (SELECT {PREDICTION_COLUMNS} FROM predictions \
         WHERE symbol = $1 AND time_horizon_minutes = horizon ORDER BY time DESC, number DESC LIMIT 1) AS newest \
         ORDER BY horizon"
    );
    let rows =
        sqlx::query(AssertSqlSafe(sql)).bind(symbol).fetch_all(readers).await.map_err(failed(READING))?;
    rows.iter().map(prediction_of).collect::<Result<_, _>>().map_err(failed(READING))
}

/// Answers a query for alerts.
pub(super) async fn alerts(readers: &PgPool, query: &AlertQuery) -> Result<Vec<Numbered<Alert>>, StoreError> {
    let asked = [
        ("symbol", query.symbol.as_deref()),
        ("anomaly_type", query.anomaly_type.as_deref()),
        ("severity", query.severity.map(Severity::as_str)),
        ("channel", query.channel.as_deref()),
        ("status", query.status.map(AlertStatus::as_str)),
        ("anomaly_id", query.anomaly_id.as_deref()),
    ];
    find(readers, ("alerts", ALERT_COLUMNS), &asked, &query.page, alert_of).await
}
