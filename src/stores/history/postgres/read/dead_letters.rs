//! Dead letters, newest first by (time of receipt, id).
//!
//! Promises: as the queries say. On failure: the error says whether another try can help.

use super::super::error::failed;
use crate::models::time::Nanos;
use crate::stores::error::StoreError;
use crate::stores::history::{DeadLetterQuery, DeadLetterRecord};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgPool, Row};

const READING: &str = "failed to read dead letters";

fn letter_of(row: &PgRow) -> Result<DeadLetterRecord, sqlx::Error> {
    Ok(DeadLetterRecord {
        reason: row.try_get("reason")?,
        symbol: row.try_get("symbol")?,
        provider: row.try_get("provider")?,
        received_at: Nanos(row.try_get("received_ns")?),
        payload: row.try_get("payload")?,
        pos: row.try_get::<Option<i64>, _>("log_pos")?.map(i64::cast_unsigned),
        origin: row.try_get("origin")?,
        id: row.try_get::<i64, _>("id")?.cast_unsigned(),
    })
}

/// Answers a query.
pub(in crate::stores::history::postgres) async fn find(
    readers: &PgPool,
    query: &DeadLetterQuery,
) -> Result<Vec<DeadLetterRecord>, StoreError> {
    let (before, id) = query.before.unwrap_or((Nanos::MAX, u64::MAX / 2));
    let asked = [("reason", query.reason.as_deref()), ("symbol", query.symbol.as_deref())];
    let asked: Vec<(&str, &str)> =
        asked.iter().filter_map(|(column, value)| Some((*column, (*value)?))).collect();
    let fits: String =
        (5..).zip(&asked).map(|(place, (column, _))| format!("{column} = ${place} AND ")).collect();
    let sql = format!(
        "SELECT reason, symbol, provider, received_ns, payload, log_pos, origin, id FROM dead_letters \
         WHERE {fits}received_ns >= $1 AND (received_ns, id) < ($2, $3) ORDER BY received_ns DESC, id DESC LIMIT $4"
    );
    let mut statement = sqlx::query(AssertSqlSafe(sql))
        .bind(query.start.unwrap_or(Nanos::MIN).0)
        .bind(before.0)
        .bind(id.cast_signed())
        .bind(i64::try_from(query.limit).unwrap_or(i64::MAX));
    for (_, value) in asked {
        statement = statement.bind(value);
    }
    let rows = statement.fetch_all(readers).await.map_err(failed(READING))?;
    rows.iter().map(letter_of).collect::<Result<_, _>>().map_err(failed(READING))
}
