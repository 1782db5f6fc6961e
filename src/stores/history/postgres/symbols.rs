//! The table of symbols: which there are, and what is fixed about each.
//!
//! Promises: what the process knows of a symbol is in the table before a row of it is, in the same transaction.

use super::error::failed;
use crate::models::asset_class::AssetClass;
use crate::models::num::Scale;
use crate::models::symbol::{PriceSource, SymbolSpec};
use crate::names::SymbolTable;
use crate::stores::error::StoreError;
use sqlx::postgres::PgConnection;

/// Adds the symbols of the table to those of the process.
pub(super) async fn load(conn: &mut PgConnection, table: &SymbolTable) -> Result<(), StoreError> {
    const READING: &str = "failed to read the symbols";
    let known: Vec<(String, i16, i16, String)> =
        sqlx::query_as("SELECT name, price_scale, size_scale, asset_class FROM symbols ORDER BY name")
            .fetch_all(conn)
            .await
            .map_err(failed(READING))?;
    for (name, price_scale, size_scale, asset_class) in known {
        let scale = |decimals: i16| {
            u8::try_from(decimals).ok().and_then(Scale::new).ok_or_else(|| StoreError::Permanent {
                context: READING,
                cause: format!("`{name}` has {decimals} decimals"),
            })
        };
        let (price_scale, size_scale) = (scale(price_scale)?, scale(size_scale)?);
        let asset_class = AssetClass::parse(&asset_class).unwrap_or(AssetClass::Unknown);
        // Which prices make the bars stands in the log, as an entry.
        table.intern(SymbolSpec { name, price_scale, size_scale, asset_class, price: PriceSource::Trade });
    }
    Ok(())
}

/// Writes what the process knows of its symbols.
pub(super) async fn store(conn: &mut PgConnection, table: &SymbolTable) -> Result<(), StoreError> {
    let specs = table.since(0);
    let texts = |of: fn(&SymbolSpec) -> &str| specs.iter().map(|(_, spec)| of(spec)).collect::<Vec<_>>();
    let scales = |of: fn(&SymbolSpec) -> Scale| {
        specs.iter().map(|(_, spec)| i16::from(of(spec).decimals())).collect::<Vec<_>>()
    };
    sqlx::query(
        "INSERT INTO symbols (name, price_scale, size_scale, asset_class) \
         SELECT * FROM unnest($1::varchar[], $2::smallint[], $3::smallint[], $4::varchar[]) \
         ON CONFLICT (name) DO UPDATE SET price_scale = excluded.price_scale, size_scale = excluded.size_scale, \
         asset_class = excluded.asset_class \
         WHERE (symbols.price_scale, symbols.size_scale, symbols.asset_class) \
         IS DISTINCT FROM (excluded.price_scale, excluded.size_scale, excluded.asset_class)",
    )
    .bind(texts(|spec| &spec.name))
    .bind(scales(|spec| spec.price_scale))
    .bind(scales(|spec| spec.size_scale))
    .bind(texts(|spec| spec.asset_class.as_str()))
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(failed("failed to write the symbols"))
}
