//! What a file says of itself: a few integers by name, each with its complement beside it.
//!
//! The complement rather than a checksum, since SQL can work it out while it changes the value.

use super::checked::{Fault, damaged, get as column};
use super::database::failed;
use crate::stores::error::StoreError;
use sqlx::SqliteConnection;

const WRITING: &str = "failed to write what the file says of itself";
const READING: &str = "failed to read what the file says of itself";

/// Writes a value where there is none; completes one that was written before there were complements.
pub(in crate::stores) async fn put_if_missing(
    conn: &mut SqliteConnection,
    key: &str,
    value: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO meta (key, value, checksum) VALUES (?1, ?2, ~?2) \
         ON CONFLICT DO UPDATE SET checksum = ~value WHERE checksum IS NULL",
    )
    .bind(key)
    .bind(value)
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(failed(WRITING))
}

/// Writes a value over a lower one.
pub(in crate::stores) async fn raise(
    conn: &mut SqliteConnection,
    key: &str,
    value: i64,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE meta SET value = ?2, checksum = ~?2 WHERE key = ?1 AND value < ?2")
        .bind(key)
        .bind(value)
        .execute(conn)
        .await
        .map(|_| ())
        .map_err(failed(WRITING))
}

/// Reads a value.
pub(in crate::stores) async fn get(
    conn: &mut SqliteConnection,
    file: &str,
    key: &str,
) -> Result<i64, StoreError> {
    let row = sqlx::query("SELECT value, checksum FROM meta WHERE key = ?")
        .bind(key)
        .fetch_optional(conn)
        .await
        .map_err(failed(READING))?;
    let value = || -> Result<i64, Fault> {
        let row = row.ok_or_else(|| Fault::new("it is missing"))?;
        let (value, complement): (i64, Option<i64>) = (column(&row, 0)?, column(&row, 1)?);
        match complement {
            Some(complement) if complement != !value => Err(Fault::new("its complement differs")),
            _ => Ok(value),
        }
    };
    value().map_err(|fault| damaged(file, "meta", format_args!("key `{key}`"), &fault))
}
