//! Recovery points: a line per slice, and the two newest pictures of every symbol.

use super::checked::{Fault, checked_row, get, get_unsigned, verify};
use super::database::failed;
use super::names::Symbols;
use crate::stores::{NUM_SLICES, PointSet, Points, SliceLine, StoreError, SymbolPoint};
use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, SqlitePool};

const SAVING: &str = "failed to save recovery points";
const LOADING: &str = "failed to load recovery points";

/// Writes a set. Of the slice's lines the two newest stay, and of each symbol's pictures too: the newest for a restart,
/// the one before for the case that it is damaged.
pub(super) async fn save(
    conn: &mut SqliteConnection,
    set: &PointSet,
    symbols: &Symbols,
) -> Result<(), StoreError> {
    for point in &set.points {
        let stored = symbols.stored(point.symbol).ok_or_else(|| StoreError::Permanent {
            context: SAVING,
            cause: format!("symbol {} has no entry in the log", point.symbol.0),
        })?;
        sqlx::query("INSERT OR REPLACE INTO points (symbol, pos, bytes) VALUES (?, ?, ?)")
            .bind(stored)
            .bind(point.pos.cast_signed())
            .bind(point.bytes.as_slice())
            .execute(&mut *conn)
            .await
            .map_err(failed(SAVING))?;
        sqlx::query(
            "DELETE FROM points WHERE symbol = ?1 AND pos < \
             (SELECT pos FROM points WHERE symbol = ?1 ORDER BY pos DESC LIMIT 1 OFFSET 1)",
        )
        .bind(stored)
        .execute(&mut *conn)
        .await
        .map_err(failed(SAVING))?;
    }
    let arguments = checked_row(SAVING, |row| {
        row.integer(i64::from(set.slice))?;
        row.unsigned(set.good_to)?;
        row.blob(&set.context)
    })?;
    let sql = "INSERT OR IGNORE INTO point_sets (slice, good_to, context, checksum) VALUES (?, ?, ?, ?)";
    sqlx::query_with(sql, arguments).execute(&mut *conn).await.map_err(failed(SAVING))?;
    sqlx::query(
        "DELETE FROM point_sets WHERE slice = ?1 AND good_to < \
         (SELECT good_to FROM point_sets WHERE slice = ?1 ORDER BY good_to DESC LIMIT 1 OFFSET 1)",
    )
    .bind(set.slice)
    .execute(&mut *conn)
    .await
    .map_err(failed(SAVING))?;
    sqlx::query(
        "INSERT INTO meta (key, value) VALUES ('relied_on', ?) \
         ON CONFLICT DO UPDATE SET value = max(value, excluded.value)",
    )
    .bind(set.newest().cast_signed())
    .execute(&mut *conn)
    .await
    .map_err(failed(SAVING))?;
    Ok(())
}

/// Reads a row of `point_sets` with its checksum.
pub(super) fn decode_line(row: &SqliteRow) -> Result<(u32, SliceLine), Fault> {
    verify(row, 0..3)?;
    Ok((get(row, 0)?, SliceLine { good_to: get_unsigned(row, 1)?, context: get(row, 2)? }))
}

/// Reads a row of `points`; the core checks the bytes.
pub(super) fn decode_point(row: &SqliteRow, symbols: &Symbols) -> Result<SymbolPoint, Fault> {
    Ok(SymbolPoint {
        symbol: symbols.process(get(row, 0)?)?,
        pos: get_unsigned(row, 1)?,
        bytes: get(row, 2)?,
    })
}

/// Reads all points, as of one moment. What is damaged is left out: the set before, or the log, serves instead.
pub(super) async fn load(readers: &SqlitePool, symbols: &Symbols) -> Result<Points, StoreError> {
    let mut transaction = readers.begin().await.map_err(failed(LOADING))?;
    let lines =
        sqlx::query("SELECT slice, good_to, context, checksum FROM point_sets ORDER BY slice, good_to DESC")
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed(LOADING))?;
    let mut slices: Vec<[SliceLine; 2]> = vec![Default::default(); NUM_SLICES as usize];
    for row in &lines {
        let (slice, read) = match decode_line(row) {
            Ok(read) => read,
            Err(fault) => {
                tracing::warn!(%fault, "a row of `point_sets` in `log.db` is of no use");
                continue;
            }
        };
        let Some([newest, before]) = slices.get_mut(slice as usize) else { continue };
        let line = if newest.good_to == 0 { newest } else { before };
        *line = read;
    }
    let relied_on: Option<i64> = sqlx::query_scalar("SELECT value FROM meta WHERE key = 'relied_on'")
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed(LOADING))?;
    let rows = sqlx::query("SELECT symbol, pos, bytes FROM points ORDER BY symbol, pos DESC")
        .fetch_all(&mut *transaction)
        .await
        .map_err(failed(LOADING))?;
    let mut by_symbol: Vec<Vec<SymbolPoint>> = Vec::new();
    for row in &rows {
        let point = match decode_point(row, symbols) {
            Ok(point) => point,
            Err(fault) => {
                tracing::warn!(%fault, "a row of `points` in `log.db` is of no use");
                continue;
            }
        };
        let at = point.symbol.index();
        if by_symbol.len() <= at {
            by_symbol.resize_with(at + 1, Vec::new);
        }
        by_symbol[at].push(point);
    }
    Ok(Points { slices, symbols: by_symbol, relied_on: relied_on.map(i64::cast_unsigned) })
}
