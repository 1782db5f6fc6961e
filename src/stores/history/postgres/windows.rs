//! Bars and indicators: one row a symbol, window and end, of which the one with the higher log position stays.
//!
//! Promises: a bar that cancels have emptied is not in `aggregated_data`, since people's SQL does not ask for its state; it
//! stands in `void_bars`, and what came before it and comes again stays away.

use super::error::failed;
use super::exact;
use super::ticks::timestamp;
use crate::models::bar::{Bar, BarState};
use crate::models::effect::{Effect, IndicatorPoint};
use crate::models::num::Scale;
use crate::models::symbol::{SymbolId, SymbolSpec};
use crate::models::time::{Nanos, Width};
use crate::names::SymbolTable;
use crate::stores::error::StoreError;
use chrono::{DateTime, Utc};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

const WRITING: &str = "failed to write to the history";

/// Columns of a bar with their types, in the order in which they are bound.
const BAR_COLUMNS: [(&str, &str); 22] = [
    ("time", "timestamptz"),
    ("symbol", "varchar"),
    ("window_start", "timestamptz"),
    ("window_end", "timestamptz"),
    ("window_duration", "varchar"),
    ("open", "float8"),
    ("high", "float8"),
    ("low", "float8"),
    ("close", "float8"),
    ("volume", "float8"),
    ("vwap", "float8"),
    ("trade_count", "bigint"),
    ("state", "varchar"),
    ("revision", "bigint"),
    ("coverage", "float8"),
    ("log_pos", "bigint"),
    ("late", "bigint"),
    ("duplicates", "bigint"),
    ("cancelled", "bigint"),
    ("origin", "varchar"),
    ("seq", "bigint"),
    ("exact", "varchar"),
];

/// Columns of indicators likewise.
const POINT_COLUMNS: [(&str, &str); 19] = [
    ("time", "timestamptz"),
    ("symbol", "varchar"),
    ("window_duration", "varchar"),
    ("sma_20", "float8"),
    ("sma_50", "float8"),
    ("sma_200", "float8"),
    ("ema_12", "float8"),
    ("ema_26", "float8"),
    ("rsi", "float8"),
    ("macd", "float8"),
    ("macd_signal", "float8"),
    ("macd_histogram", "float8"),
    ("bb_upper", "float8"),
    ("bb_middle", "float8"),
    ("bb_lower", "float8"),
    ("vwap", "float8"),
    ("close", "float8"),
    ("log_pos", "bigint"),
    ("exact", "varchar"),
];

/// Returns the statement that writes rows over those with lower positions, but for those that `unless` another table holds
/// with a higher one.
fn upsert(table: &str, columns: &[(&str, &str)], unless: &str) -> String {
    let names = columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let arrays: Vec<String> =
        columns.iter().zip(1..).map(|((_, sql_type), at)| format!("${at}::{sql_type}[]")).collect();
    let changes: Vec<String> = columns
        .iter()
        .filter(|(name, _)| !["time", "symbol", "window_duration"].contains(name))
        .map(|(name, _)| format!("{name} = excluded.{name}"))
        .collect();
    format!(
        "INSERT INTO {table} ({names}) SELECT {names} FROM unnest({}) AS given ({names}) \
         WHERE NOT EXISTS (SELECT 1 FROM {unless} AS other WHERE other.symbol = given.symbol \
         AND other.window_duration = given.window_duration AND other.time = given.time AND other.log_pos > given.log_pos) \
         ON CONFLICT (symbol, window_duration, time) DO UPDATE SET {} \
         WHERE {table}.log_pos IS NULL OR {table}.log_pos <= excluded.log_pos",
        arrays.join(", "),
        changes.join(", ")
    )
}

static BAR_UPSERT: LazyLock<String> = LazyLock::new(|| upsert("aggregated_data", &BAR_COLUMNS, "void_bars"));
static VOID_UPSERT: LazyLock<String> = LazyLock::new(|| upsert("void_bars", &BAR_COLUMNS, "aggregated_data"));
static POINT_UPSERT: LazyLock<String> =
    LazyLock::new(|| upsert("technical_indicators", &POINT_COLUMNS, "void_bars"));

/// Symbol, width and start.
type Key = (SymbolId, Width, Nanos);

/// The rows that a batch comes down to: one a key.
pub(super) struct WindowRows<'a> {
    bars: BTreeMap<Key, &'a Bar>,
    voids: BTreeMap<Key, &'a Bar>,
    points: BTreeMap<Key, &'a IndicatorPoint>,
    specs: HashMap<SymbolId, Arc<SymbolSpec>>,
    windows: HashMap<Width, String>,
}

impl<'a> WindowRows<'a> {
    /// Collects the effects; the last one of a key counts.
    pub fn of(effects: impl Iterator<Item = &'a Effect>, symbols: &SymbolTable) -> WindowRows<'a> {
        let mut rows = WindowRows {
            bars: BTreeMap::new(),
            voids: BTreeMap::new(),
            points: BTreeMap::new(),
            specs: HashMap::new(),
            windows: HashMap::new(),
        };
        for effect in effects {
            let key = match effect {
                Effect::Bar(bar) => (bar.symbol, bar.width, bar.start),
                Effect::Indicators(point) => (point.symbol, point.width, point.start),
                Effect::Anomaly(_) | Effect::DeadLetter(_) | Effect::Sealed(_) => continue,
            };
            rows.specs.entry(key.0).or_insert_with(|| symbols.spec(key.0));
            rows.windows.entry(key.1).or_insert_with(|| key.1.to_string());
            match effect {
                Effect::Bar(bar) if bar.state == BarState::Void => {
                    rows.voids.insert(key, bar);
                    rows.bars.remove(&key);
                    rows.points.remove(&key);
                }
                Effect::Bar(bar) => {
                    rows.bars.insert(key, bar);
                    rows.voids.remove(&key);
                }
                Effect::Indicators(point) => _ = rows.points.insert(key, point),
                Effect::Anomaly(_) | Effect::DeadLetter(_) | Effect::Sealed(_) => {}
            }
        }
        rows
    }

    /// Returns the ends of the windows.
    pub fn times(&self) -> impl Iterator<Item = Nanos> {
        let keys = self.bars.keys().chain(self.points.keys());
        keys.map(|(_, width, start)| start.plus(width.nanos()))
    }

    fn window(&self, width: Width) -> &str {
        &self.windows[&width]
    }

    /// Writes the rows over those with lower positions.
    pub async fn write(&self, conn: &mut PgConnection) -> Result<(), StoreError> {
        self.write_voids(conn).await?;
        self.write_bars(conn, &BAR_UPSERT, &self.bars).await?;
        self.write_points(conn).await
    }

    async fn write_voids(&self, conn: &mut PgConnection) -> Result<(), StoreError> {
        if self.voids.is_empty() {
            return Ok(());
        }
        for table in ["aggregated_data", "technical_indicators"] {
            let sql = format!(
                "DELETE FROM {table} AS old USING unnest($1::varchar[], $2::varchar[], $3::timestamptz[], $4::bigint[]) \
                 AS void (symbol, window_duration, time, log_pos) \
                 WHERE old.symbol = void.symbol AND old.window_duration = void.window_duration AND old.time = void.time \
                 AND coalesce(old.log_pos, 0) <= void.log_pos"
            );
            sqlx::query(AssertSqlSafe(sql))
                .bind(self.voids.keys().map(|key| self.specs[&key.0].name.as_str()).collect::<Vec<_>>())
                .bind(self.voids.keys().map(|key| self.window(key.1)).collect::<Vec<_>>())
                .bind(self.voids.values().map(|bar| timestamp(bar.end())).collect::<Vec<_>>())
                .bind(self.voids.values().map(|bar| bar.log_pos.cast_signed()).collect::<Vec<_>>())
                .execute(&mut *conn)
                .await
                .map_err(failed(WRITING))?;
        }
        self.write_bars(conn, &VOID_UPSERT, &self.voids).await
    }

    async fn write_bars(
        &self,
        conn: &mut PgConnection,
        sql: &'static str,
        bars: &BTreeMap<Key, &Bar>,
    ) -> Result<(), StoreError> {
        if bars.is_empty() {
            return Ok(());
        }
        let bars: Vec<(&Bar, &SymbolSpec)> =
            bars.values().map(|bar| (*bar, &*self.specs[&bar.symbol])).collect();
        let price = |of: fn(&Bar) -> i64| -> Vec<f64> {
            bars.iter().map(|(bar, spec)| spec.price_scale.to_f64(of(bar))).collect()
        };
        let count = |of: fn(&Bar) -> i64| -> Vec<i64> { bars.iter().map(|(bar, _)| of(bar)).collect() };
        let time = |of: fn(&Bar) -> Nanos| -> Vec<DateTime<Utc>> {
            bars.iter().map(|(bar, _)| timestamp(of(bar))).collect()
        };
        let text =
            |of: fn(&Bar) -> &'static str| -> Vec<&str> { bars.iter().map(|(bar, _)| of(bar)).collect() };
        let volume: Vec<f64> =
            bars.iter().map(|(bar, spec)| spec.size_scale.wide_to_f64(bar.volume)).collect();
        let vwap: Vec<Option<f64>> =
            bars.iter().map(|(bar, _)| bar.vwap.map(|vwap| Scale::VWAP.to_f64(vwap))).collect();
        let exact: Vec<Option<String>> = bars.iter().map(|(bar, _)| exact_of(bar)).collect();
        sqlx::query(sql)
            .bind(time(Bar::end))
            .bind(bars.iter().map(|(_, spec)| spec.name.as_str()).collect::<Vec<_>>())
            .bind(time(|bar| bar.start))
            .bind(time(Bar::end))
            .bind(bars.iter().map(|(bar, _)| self.window(bar.width)).collect::<Vec<_>>())
            .bind(price(|bar| bar.open.0))
            .bind(price(|bar| bar.high.0))
            .bind(price(|bar| bar.low.0))
            .bind(price(|bar| bar.close.0))
            .bind(volume)
            .bind(vwap)
            .bind(count(|bar| bar.trade_count.cast_signed()))
            .bind(text(|bar| bar.state.as_str()))
            .bind(count(|bar| i64::from(bar.revision)))
            .bind(bars.iter().map(|(bar, _)| bar.coverage).collect::<Vec<_>>())
            .bind(count(|bar| bar.log_pos.cast_signed()))
            .bind(count(|bar| i64::from(bar.late)))
            .bind(count(|bar| i64::from(bar.duplicates)))
            .bind(count(|bar| i64::from(bar.cancelled)))
            .bind(text(|bar| bar.origin.as_str()))
            .bind(count(|bar| bar.seq.cast_signed()))
            .bind(exact)
            .execute(conn)
            .await
            .map(|_| ())
            .map_err(failed(WRITING))
    }

    async fn write_points(&self, conn: &mut PgConnection) -> Result<(), StoreError> {
        if self.points.is_empty() {
            return Ok(());
        }
        let points: Vec<(&IndicatorPoint, &SymbolSpec)> =
            self.points.values().map(|point| (*point, &*self.specs[&point.symbol])).collect();
        let ends = points.iter().map(|(point, _)| timestamp(point.start.plus(point.width.nanos())));
        let mut query = sqlx::query(POINT_UPSERT.as_str())
            .bind(ends.collect::<Vec<_>>())
            .bind(points.iter().map(|(_, spec)| spec.name.as_str()).collect::<Vec<_>>())
            .bind(points.iter().map(|(point, _)| self.window(point.width)).collect::<Vec<_>>());
        let values: Vec<[Option<f64>; 12]> =
            points.iter().map(|(point, _)| point.values.in_order()).collect();
        for at in 0..12 {
            query = query.bind(values.iter().map(|values| values[at]).collect::<Vec<_>>());
        }
        let vwaps = points.iter().map(|(point, _)| point.vwap.map(|vwap| Scale::VWAP.to_f64(vwap)));
        let closes = points.iter().map(|(point, spec)| spec.price_scale.to_f64(point.close.0));
        let exact = points
            .iter()
            .map(|(point, _)| exact::text([Some(i128::from(point.close.0)), point.vwap.map(i128::from)]));
        query
            .bind(vwaps.collect::<Vec<_>>())
            .bind(closes.collect::<Vec<_>>())
            .bind(points.iter().map(|(point, _)| point.log_pos.cast_signed()).collect::<Vec<_>>())
            .bind(exact.collect::<Vec<_>>())
            .execute(conn)
            .await
            .map(|_| ())
            .map_err(failed(WRITING))
    }
}

/// Returns the integers of a bar where its doubles would not give all of them back.
fn exact_of(bar: &Bar) -> Option<String> {
    let [open, high, low, close] =
        [bar.open, bar.high, bar.low, bar.close].map(|price| Some(i128::from(price.0)));
    exact::text([open, high, low, close, Some(bar.volume), bar.vwap.map(i128::from)])
}
