//! Dead letters: what was not accepted, known by its place in the log or in its input.

use super::database::failed;
use crate::models::time::Nanos;
use crate::stores::{DeadLetterQuery, DeadLetterRecord, StoreError};
use sqlx::{Row, SqliteConnection, SqlitePool};

/// Writes a letter; one that is there already stays as it is.
pub(super) async fn write(conn: &mut SqliteConnection, letter: &DeadLetterRecord) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO dead_letters (reason, symbol, provider, received_at, payload, pos, origin) \
         VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(letter.reason.as_str())
    .bind(letter.symbol.as_deref())
    .bind(letter.provider.as_str())
    .bind(letter.received_at.0)
    .bind(letter.payload.as_str())
    .bind(letter.pos.map(u64::cast_signed))
    .bind(letter.origin.as_str())
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(failed("failed to write a dead letter"))
}

/// Answers a query.
pub(super) async fn find(
    readers: &SqlitePool,
    query: &DeadLetterQuery,
) -> Result<Vec<DeadLetterRecord>, StoreError> {
    let (before, id) = query.before.unwrap_or((Nanos::MAX, u64::MAX / 2));
    let rows = sqlx::query(
        "SELECT reason, symbol, provider, received_at, payload, pos, origin, id FROM dead_letters \
         WHERE (?1 IS NULL OR reason = ?1) AND (?2 IS NULL OR symbol = ?2) AND received_at >= ?3 \
         AND received_at <= ?5 AND (received_at, id) < (?5, ?6) \
         ORDER BY received_at DESC, id DESC LIMIT ?4",
    )
    .bind(query.reason.as_deref())
    .bind(query.symbol.as_deref())
    .bind(query.start.unwrap_or(Nanos::MIN).0)
    .bind(i64::try_from(query.limit).unwrap_or(i64::MAX))
    .bind(before.0)
    .bind(id.cast_signed())
    .fetch_all(readers)
    .await
    .map_err(failed("failed to read dead letters"))?;
    let record = |row: &sqlx::sqlite::SqliteRow| DeadLetterRecord {
        reason: row.get_unchecked(0),
        symbol: row.get_unchecked(1),
        provider: row.get_unchecked(2),
        received_at: Nanos(row.get_unchecked(3)),
        payload: row.get_unchecked(4),
        pos: row.get_unchecked::<Option<i64>, _>(5).map(i64::cast_unsigned),
        origin: row.get_unchecked(6),
        id: row.get_unchecked::<i64, _>(7).cast_unsigned(),
    };
    Ok(rows.iter().map(record).collect())
}

/// Drops what was received at or before a time. Returns the number of rows.
pub(super) async fn drop_before(conn: &mut SqliteConnection, oldest: Nanos) -> Result<u64, StoreError> {
    sqlx::query("DELETE FROM dead_letters WHERE received_at <= ?")
        .bind(oldest.0)
        .execute(conn)
        .await
        .map(|done| done.rows_affected())
        .map_err(failed("failed to drop old dead letters"))
}
