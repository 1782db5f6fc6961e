//! Checkpoints: a header per slice, and the two newest states of every symbol, by partition and name.
//!
//! Promises: a set is there whole or not at all, since its caller commits it. What is damaged is left out when
//! checkpoints are loaded, with a warning: the one before, or the log, serves instead.

use crate::stores::error::StoreError;
use crate::stores::log::Partition;
use crate::stores::log::checkpoint::{Checkpoint, CheckpointSet, Checkpoints, NUM_SLICES, SetHeader};
use crate::stores::sqlite::checked::{Fault, checked_row, get, get_unsigned, verify};
use crate::stores::sqlite::database::failed;
use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, SqlitePool};

const SAVING: &str = "failed to save checkpoints";
const LOADING: &str = "failed to load checkpoints";

/// Writes a set. Of the slice's headers the two newest stay, and of each symbol's states too: the newest for a restart,
/// the one before for the case that it is damaged.
pub(super) async fn save(
    conn: &mut SqliteConnection,
    partition: Partition,
    set: &CheckpointSet,
) -> Result<(), StoreError> {
    for checkpoint in &set.checkpoints {
        sqlx::query("INSERT OR REPLACE INTO checkpoints (partition, symbol, pos, bytes) VALUES (?, ?, ?, ?)")
            .bind(partition.0)
            .bind(&*checkpoint.symbol)
            .bind(checkpoint.pos.cast_signed())
            .bind(checkpoint.bytes.as_slice())
            .execute(&mut *conn)
            .await
            .map_err(failed(SAVING))?;
        sqlx::query(
            "DELETE FROM checkpoints WHERE partition = ?1 AND symbol = ?2 AND pos < (SELECT pos FROM checkpoints \
             WHERE partition = ?1 AND symbol = ?2 ORDER BY pos DESC LIMIT 1 OFFSET 1)",
        )
        .bind(partition.0)
        .bind(&*checkpoint.symbol)
        .execute(&mut *conn)
        .await
        .map_err(failed(SAVING))?;
    }
    let arguments = checked_row(SAVING, |row| {
        row.integer(i64::from(partition.0))?;
        row.integer(i64::from(set.slice))?;
        row.unsigned(set.covers_through)?;
        row.blob(&set.context)
    })?;
    let sql = "INSERT OR IGNORE INTO checkpoint_sets (partition, slice, covers_through, context, checksum) \
               VALUES (?, ?, ?, ?, ?)";
    sqlx::query_with(sql, arguments).execute(&mut *conn).await.map_err(failed(SAVING))?;
    sqlx::query(
        "DELETE FROM checkpoint_sets WHERE partition = ?1 AND slice = ?2 AND covers_through < \
         (SELECT covers_through FROM checkpoint_sets WHERE partition = ?1 AND slice = ?2 \
         ORDER BY covers_through DESC LIMIT 1 OFFSET 1)",
    )
    .bind(partition.0)
    .bind(set.slice)
    .execute(&mut *conn)
    .await
    .map_err(failed(SAVING))?;
    sqlx::query(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = max(value, excluded.value)",
    )
    .bind(relied_on_key(partition))
    .bind(set.newest().cast_signed())
    .execute(&mut *conn)
    .await
    .map_err(failed(SAVING))?;
    Ok(())
}

/// Returns the key of `meta` that says up to where a partition's checkpoints rely on the history.
fn relied_on_key(partition: Partition) -> String {
    match partition {
        // As it was called when a log had no partitions.
        Partition::EMBEDDED => "relied_on".to_owned(),
        Partition(number) => format!("relied_on_{number}"),
    }
}

/// Reads partition and the rest of a row of `checkpoint_sets` with its checksum.
pub(super) fn decode_header(row: &SqliteRow) -> Result<(u32, SetHeader), Fault> {
    verify(row, 0..4)?;
    Ok((get(row, 1)?, SetHeader { covers_through: get_unsigned(row, 2)?, context: get(row, 3)? }))
}

/// Reads a row of `checkpoints`; the core checks the bytes.
pub(super) fn decode_checkpoint(row: &SqliteRow) -> Result<Checkpoint, Fault> {
    let symbol: String = get(row, 0)?;
    Ok(Checkpoint { symbol: symbol.into(), pos: get_unsigned(row, 1)?, bytes: get(row, 2)? })
}

/// Reads the checkpoints of a partition, as of one moment.
pub(super) async fn load(readers: &SqlitePool, partition: Partition) -> Result<Checkpoints, StoreError> {
    let mut transaction = readers.begin().await.map_err(failed(LOADING))?;
    let headers = sqlx::query(
        "SELECT partition, slice, covers_through, context, checksum FROM checkpoint_sets WHERE partition = ? \
         ORDER BY slice, covers_through DESC",
    )
    .bind(partition.0)
    .fetch_all(&mut *transaction)
    .await
    .map_err(failed(LOADING))?;
    let mut slices: Vec<[SetHeader; 2]> = vec![Default::default(); NUM_SLICES as usize];
    for row in &headers {
        let (slice, header) = match decode_header(row) {
            Ok(read) => read,
            Err(fault) => {
                tracing::warn!(%fault, "a row of `checkpoint_sets` in `log.db` is of no use");
                continue;
            }
        };
        let Some([newest, before]) = slices.get_mut(slice as usize) else { continue };
        let place = if newest.covers_through == 0 { newest } else { before };
        *place = header;
    }
    let relied_on: Option<i64> = sqlx::query_scalar("SELECT value FROM meta WHERE key = ?")
        .bind(relied_on_key(partition))
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed(LOADING))?;
    let rows = sqlx::query(
        "SELECT symbol, pos, bytes FROM checkpoints WHERE partition = ? ORDER BY symbol, pos DESC",
    )
    .bind(partition.0)
    .fetch_all(&mut *transaction)
    .await
    .map_err(failed(LOADING))?;
    let symbols = by_symbol(&rows);
    Ok(Checkpoints { slices, symbols, relied_on: relied_on.map(i64::cast_unsigned) })
}

/// Reads the checkpoints of one symbol, newest first.
pub(super) async fn of_symbol(
    readers: &SqlitePool,
    partition: Partition,
    symbol: &str,
) -> Result<Vec<Checkpoint>, StoreError> {
    let rows = sqlx::query(
        "SELECT symbol, pos, bytes FROM checkpoints WHERE partition = ? AND symbol = ? ORDER BY pos DESC",
    )
    .bind(partition.0)
    .bind(symbol)
    .fetch_all(readers)
    .await
    .map_err(failed(LOADING))?;
    Ok(by_symbol(&rows).pop().unwrap_or_default())
}

/// Puts the rows of each symbol together; they come in order.
fn by_symbol(rows: &[SqliteRow]) -> Vec<Vec<Checkpoint>> {
    let mut by_symbol: Vec<Vec<Checkpoint>> = Vec::new();
    for row in rows {
        let checkpoint = match decode_checkpoint(row) {
            Ok(checkpoint) => checkpoint,
            Err(fault) => {
                tracing::warn!(%fault, "a row of `checkpoints` in `log.db` is of no use");
                continue;
            }
        };
        match by_symbol.last_mut().filter(|known| known[0].symbol == checkpoint.symbol) {
            Some(known) => known.push(checkpoint),
            None => by_symbol.push(vec![checkpoint]),
        }
    }
    by_symbol
}
