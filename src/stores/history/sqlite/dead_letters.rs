//! Dead letters: what was not accepted, known by its place in the log or in its input.

use crate::models::time::Nanos;
use crate::stores::error::StoreError;
use crate::stores::history::{DeadLetterQuery, DeadLetterRecord};
use crate::stores::sqlite::checked::{Fault, checked_row, damaged, get, get_unsigned, verify};
use crate::stores::sqlite::database::failed;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, SqliteConnection, SqlitePool};

/// The columns that have a checksum, and it. The id is left out: the file gives it.
pub(super) const COLUMNS: &str = "reason, symbol, provider, received_at, payload, pos, origin, checksum";

/// Writes a letter; one that is there already stays as it is.
pub(super) async fn write(conn: &mut SqliteConnection, letter: &DeadLetterRecord) -> Result<(), StoreError> {
    const WRITING: &str = "failed to write a dead letter";
    let arguments = checked_row(WRITING, |row| {
        row.text(letter.reason.as_str())?;
        row.text(letter.symbol.as_deref())?;
        row.text(letter.provider.as_str())?;
        row.integer(letter.received_at.0)?;
        row.text(letter.payload.as_str())?;
        row.unsigned(letter.pos)?;
        row.text(letter.origin.as_str())
    })?;
    let sql = format!(
        "INSERT INTO dead_letters ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
    );
    sqlx::query_with(AssertSqlSafe(sql), arguments).execute(conn).await.map(|_| ()).map_err(failed(WRITING))
}

/// Reads a row of [`COLUMNS`] and the id.
pub(super) fn decode(row: &SqliteRow) -> Result<DeadLetterRecord, Fault> {
    verify(row, 0..7)?;
    Ok(DeadLetterRecord {
        reason: get(row, 0)?,
        symbol: get(row, 1)?,
        provider: get(row, 2)?,
        received_at: Nanos(get(row, 3)?),
        payload: get(row, 4)?,
        pos: get::<Option<i64>>(row, 5)?.map(i64::cast_unsigned),
        origin: get(row, 6)?,
        id: get_unsigned(row, 8)?,
    })
}

/// Answers a query.
pub(super) async fn find(
    readers: &SqlitePool,
    query: &DeadLetterQuery,
) -> Result<Vec<DeadLetterRecord>, StoreError> {
    let (before, id) = query.before.unwrap_or((Nanos::MAX, u64::MAX / 2));
    let sql = format!(
        "SELECT {COLUMNS}, id FROM dead_letters \
         WHERE (?1 IS NULL OR reason = ?1) AND (?2 IS NULL OR symbol = ?2) AND received_at >= ?3 \
         AND received_at <= ?5 AND (received_at, id) < (?5, ?6) \
         ORDER BY received_at DESC, id DESC LIMIT ?4"
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(query.reason.as_deref())
        .bind(query.symbol.as_deref())
        .bind(query.start.unwrap_or(Nanos::MIN).0)
        .bind(i64::try_from(query.limit).unwrap_or(i64::MAX))
        .bind(before.0)
        .bind(id.cast_signed())
        .fetch_all(readers)
        .await
        .map_err(failed("failed to read dead letters"))?;
    let record = |row: &SqliteRow| {
        decode(row).map_err(|fault| {
            let id =
                get_unsigned(row, 8).map_or_else(|_| "id unreadable".to_owned(), |id| format!("id {id}"));
            damaged(super::file::FILE_NAME, "dead_letters", id, &fault)
        })
    };
    rows.iter().map(record).collect()
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
