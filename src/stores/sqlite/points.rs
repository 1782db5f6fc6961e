//! Recovery points: a line per slice, and the two newest pictures of every symbol.

use super::database::failed;
use super::names::Symbols;
use crate::stores::{NUM_SLICES, PointSet, Points, SliceLine, StoreError, SymbolPoint};
use sqlx::{Row, SqliteConnection, SqlitePool};

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
    sqlx::query("INSERT OR IGNORE INTO point_sets (slice, good_to, context) VALUES (?, ?, ?)")
        .bind(set.slice)
        .bind(set.good_to.cast_signed())
        .bind(set.context.as_slice())
        .execute(&mut *conn)
        .await
        .map_err(failed(SAVING))?;
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

/// Reads all points, as of one moment.
pub(super) async fn load(readers: &SqlitePool, symbols: &Symbols) -> Result<Points, StoreError> {
    let mut transaction = readers.begin().await.map_err(failed(LOADING))?;
    let sets: Vec<(u32, i64, Vec<u8>)> =
        sqlx::query_as("SELECT slice, good_to, context FROM point_sets ORDER BY slice, good_to DESC")
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed(LOADING))?;
    let mut slices: Vec<[SliceLine; 2]> = vec![Default::default(); NUM_SLICES as usize];
    for (slice, good_to, context) in sets {
        let Some([newest, before]) = slices.get_mut(slice as usize) else { continue };
        let line = if newest.good_to == 0 { newest } else { before };
        *line = SliceLine { good_to: good_to.cast_unsigned(), context };
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
    for row in rows {
        let symbol = symbols.process(row.get_unchecked(0))?;
        let pos = row.get_unchecked::<i64, _>(1).cast_unsigned();
        if by_symbol.len() <= symbol.index() {
            by_symbol.resize_with(symbol.index() + 1, Vec::new);
        }
        by_symbol[symbol.index()].push(SymbolPoint { symbol, pos, bytes: row.get_unchecked(2) });
    }
    Ok(Points { slices, symbols: by_symbol, relied_on: relied_on.map(i64::cast_unsigned) })
}
