//! Bars and indicators as rows: exact integers in, exact integers out.

use super::database::{corrupt, failed};
use super::names::Symbols;
use crate::models::bar::{Bar, BarState};
use crate::models::effect::{Effect, IndicatorPoint};
use crate::models::indicators::IndicatorValues;
use crate::models::num::Price;
use crate::models::symbol::SymbolId;
use crate::models::time::{Nanos, Width};
use crate::stores::{StoreError, WindowQuery};
use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Row, SqliteConnection, SqlitePool, TypeInfo, ValueRef};
use std::collections::BTreeMap;
use std::sync::LazyLock;

const KEY: &str = "symbol, width, start";

const BAR_COLUMNS: [&str; 15] = [
    "open",
    "high",
    "low",
    "close",
    "volume",
    "vwap",
    "trade_count",
    "state",
    "revision",
    "coverage",
    "late",
    "duplicates",
    "cancelled",
    "seq",
    "log_pos",
];

/// The values, with close and VWAP before them and the log position behind.
static INDICATOR_COLUMNS: LazyLock<Vec<&str>> =
    LazyLock::new(|| [&["close", "vwap"], IndicatorValues::NAMES.as_slice(), &["log_pos"]].concat());

/// Number of columns before the others: those of [`KEY`].
const KEY_LEN: usize = 3;

/// Rows are written by statements of 2^0 to 2^7 rows, so that each is prepared once.
const UPSERT_POWERS: u32 = 8;

static BAR_UPSERTS: LazyLock<Vec<String>> = LazyLock::new(|| upserts("bars", &BAR_COLUMNS));
static INDICATOR_UPSERTS: LazyLock<Vec<String>> = LazyLock::new(|| upserts("indicators", &INDICATOR_COLUMNS));

fn upserts(table: &str, columns: &[&str]) -> Vec<String> {
    let row = format!("({})", vec!["?"; KEY_LEN + columns.len()].join(","));
    let changes: Vec<String> = columns.iter().map(|column| format!("{column} = excluded.{column}")).collect();
    let upsert = |power: u32| {
        format!(
            "INSERT INTO {table} ({KEY}, {}) VALUES {} ON CONFLICT DO UPDATE SET {} \
             WHERE excluded.log_pos >= {table}.log_pos",
            columns.join(", "),
            vec![row.as_str(); 1 << power].join(","),
            changes.join(", ")
        )
    };
    (0..UPSERT_POWERS).map(upsert).collect()
}

/// Number of the symbol in the file, width, start: the key of both tables, in its order.
type Key = (u32, i64, i64);

/// The rows that a batch comes down to: one a key, in the order of the tables.
pub(super) struct Batch<'a> {
    bars: BTreeMap<Key, &'a Bar>,
    /// `None` stands for the indicators of a void bar.
    indicators: BTreeMap<Key, (u64, Option<&'a IndicatorPoint>)>,
}

impl Batch<'_> {
    /// Collects the effects; the last one of a key counts.
    pub(super) fn of<'a>(effects: &'a [Effect], symbols: &Symbols) -> Result<Batch<'a>, StoreError> {
        let mut batch = Batch { bars: BTreeMap::new(), indicators: BTreeMap::new() };
        for effect in effects {
            let (symbol, width, start) = match effect {
                Effect::Bar(bar) => (bar.symbol, bar.width, bar.start),
                Effect::Indicators(point) => (point.symbol, point.width, point.start),
                Effect::DeadLetter(_) => continue,
            };
            let stored = symbols.stored(symbol).ok_or_else(|| StoreError::Permanent {
                context: "failed to write to the history",
                cause: format!("symbol {} has no name", symbol.0),
            })?;
            let key = (stored, width.nanos(), start.0);
            match effect {
                Effect::Bar(bar) => {
                    batch.bars.insert(key, bar);
                    if bar.state == BarState::Void {
                        batch.indicators.insert(key, (bar.log_pos, None));
                    }
                }
                Effect::Indicators(point) => {
                    batch.indicators.insert(key, (point.log_pos, Some(point)));
                }
                Effect::DeadLetter(_) => {}
            }
        }
        Ok(batch)
    }

    /// Writes the rows over those with lower positions.
    pub(super) async fn write(&self, conn: &mut SqliteConnection) -> Result<(), StoreError> {
        write_rows(conn, &BAR_UPSERTS, self.bars.iter(), |arguments, (key, bar)| {
            bind_key(arguments, *key)?;
            bind_bar(arguments, bar)
        })
        .await?;
        write_rows(conn, &INDICATOR_UPSERTS, self.indicators.iter(), |arguments, (key, (log_pos, point))| {
            bind_key(arguments, *key)?;
            bind_indicators(arguments, *log_pos, *point)
        })
        .await
    }
}

async fn write_rows<T>(
    conn: &mut SqliteConnection,
    upserts: &'static [String],
    mut rows: impl ExactSizeIterator<Item = T>,
    bind: impl Fn(&mut SqliteArguments, T) -> Result<(), BoxDynError>,
) -> Result<(), StoreError> {
    const WRITING: &str = "failed to write to the history";
    while rows.len() > 0 {
        let power = rows.len().ilog2().min(UPSERT_POWERS - 1);
        let mut arguments = SqliteArguments::default();
        for row in rows.by_ref().take(1 << power) {
            bind(&mut arguments, row)
                .map_err(|error| StoreError::Permanent { context: WRITING, cause: error.to_string() })?;
        }
        let sql: &'static str = &upserts[power as usize];
        sqlx::query_with(sql, arguments).execute(&mut *conn).await.map_err(failed(WRITING))?;
    }
    Ok(())
}

fn bind_key(arguments: &mut SqliteArguments, (symbol, width, start): Key) -> Result<(), BoxDynError> {
    arguments.add(symbol)?;
    arguments.add(width)?;
    arguments.add(start)
}

fn bind_bar(arguments: &mut SqliteArguments, bar: &Bar) -> Result<(), BoxDynError> {
    for price in [bar.open, bar.high, bar.low, bar.close] {
        arguments.add(price.0)?;
    }
    match i64::try_from(bar.volume) {
        Ok(volume) => arguments.add(volume)?,
        Err(_) => arguments.add(bar.volume.to_string())?,
    }
    arguments.add(bar.vwap)?;
    arguments.add(bar.trade_count.cast_signed())?;
    arguments.add(bar.state.as_str())?;
    arguments.add(bar.revision)?;
    arguments.add(bar.coverage)?;
    arguments.add(bar.late)?;
    arguments.add(bar.duplicates)?;
    arguments.add(bar.cancelled)?;
    arguments.add(bar.seq.cast_signed())?;
    arguments.add(bar.log_pos.cast_signed())
}

fn bind_indicators(
    arguments: &mut SqliteArguments,
    log_pos: u64,
    point: Option<&IndicatorPoint>,
) -> Result<(), BoxDynError> {
    let values = point.map(|point| point.values).unwrap_or_default();
    arguments.add(point.map(|point| point.close.0))?;
    arguments.add(point.and_then(|point| point.vwap))?;
    for value in values.in_order() {
        arguments.add(value)?;
    }
    arguments.add(log_pos.cast_signed())
}

/// Symbol, width and start at the beginning of a row.
fn decode_key(row: &SqliteRow, symbols: &Symbols) -> Result<(SymbolId, Width, Nanos), StoreError> {
    let symbol = symbols.process(row.get_unchecked(0))?;
    let width = Width::new(row.get_unchecked(1)).ok_or_else(|| corrupt("a window's width"))?;
    Ok((symbol, width, Nanos(row.get_unchecked(2))))
}

fn decode_bar(row: &SqliteRow, symbols: &Symbols) -> Result<Bar, StoreError> {
    let (symbol, width, start) = decode_key(row, symbols)?;
    let price = |at: usize| Price(row.get_unchecked(KEY_LEN + at));
    let volume = row.try_get_raw(KEY_LEN + 4).map_err(failed("failed to read a bar"))?;
    let volume = match volume.type_info().name() {
        "INTEGER" => i128::from(row.get_unchecked::<i64, _>(KEY_LEN + 4)),
        _ => row.get_unchecked::<&str, _>(KEY_LEN + 4).parse().map_err(|_| corrupt("a bar's volume"))?,
    };
    Ok(Bar {
        symbol,
        width,
        start,
        open: price(0),
        high: price(1),
        low: price(2),
        close: price(3),
        volume,
        vwap: row.get_unchecked(KEY_LEN + 5),
        trade_count: row.get_unchecked::<i64, _>(KEY_LEN + 6).cast_unsigned(),
        state: BarState::parse(row.get_unchecked(KEY_LEN + 7)).ok_or_else(|| corrupt("a bar's state"))?,
        revision: row.get_unchecked(KEY_LEN + 8),
        coverage: row.get_unchecked(KEY_LEN + 9),
        late: row.get_unchecked(KEY_LEN + 10),
        duplicates: row.get_unchecked(KEY_LEN + 11),
        cancelled: row.get_unchecked(KEY_LEN + 12),
        seq: row.get_unchecked::<i64, _>(KEY_LEN + 13).cast_unsigned(),
        log_pos: row.get_unchecked::<i64, _>(KEY_LEN + 14).cast_unsigned(),
    })
}

/// Reads values whose first one is in column `at`; close and vwap are the two columns before it, the log position is
/// the one after.
fn decode_indicators(row: &SqliteRow, at: usize) -> (IndicatorValues, u64) {
    let value = |offset: usize| row.get_unchecked::<Option<f64>, _>(at + offset);
    let values = IndicatorValues::from_order(std::array::from_fn(value));
    (values, row.get_unchecked::<i64, _>(at + IndicatorValues::NAMES.len()).cast_unsigned())
}

/// Answers a query for bars.
pub(super) async fn bars(
    readers: &SqlitePool,
    symbols: &Symbols,
    query: &WindowQuery,
) -> Result<Vec<Bar>, StoreError> {
    let sql = format!(
        "SELECT {KEY}, {} FROM bars WHERE symbol = ? AND width = ? AND start BETWEEN ? AND ? AND state <> 'void' \
         ORDER BY start DESC LIMIT ?",
        BAR_COLUMNS.join(", ")
    );
    let rows = select_windows(readers, symbols, query, sql).await?;
    rows.iter().map(|row| decode_bar(row, symbols)).collect()
}

/// Returns the newest windows of a symbol as they are now, void ones too.
pub(super) async fn revisions(
    readers: &SqlitePool,
    symbols: &Symbols,
    symbol: SymbolId,
    width: Width,
    limit: usize,
) -> Result<Vec<Bar>, StoreError> {
    let query = WindowQuery { symbol, width, start: Nanos::MIN, end: Nanos::MAX, limit };
    let sql = format!(
        "SELECT {KEY}, {} FROM bars WHERE symbol = ? AND width = ? AND start BETWEEN ? AND ? \
         ORDER BY start DESC LIMIT ?",
        BAR_COLUMNS.join(", ")
    );
    let rows = select_windows(readers, symbols, &query, sql).await?;
    rows.iter().map(|row| decode_bar(row, symbols)).collect()
}

/// Answers a query for indicators.
pub(super) async fn indicators(
    readers: &SqlitePool,
    symbols: &Symbols,
    query: &WindowQuery,
) -> Result<Vec<IndicatorPoint>, StoreError> {
    let sql = format!(
        "SELECT {KEY}, {} FROM indicators WHERE symbol = ? AND width = ? AND start BETWEEN ? AND ? \
         AND close IS NOT NULL ORDER BY start DESC LIMIT ?",
        INDICATOR_COLUMNS.join(", ")
    );
    let rows = select_windows(readers, symbols, query, sql).await?;
    let point = |row: &SqliteRow| {
        let (symbol, width, start) = decode_key(row, symbols)?;
        let (values, log_pos) = decode_indicators(row, KEY_LEN + 2);
        let (close, vwap) = (Price(row.get_unchecked(KEY_LEN)), row.get_unchecked(KEY_LEN + 1));
        Ok(IndicatorPoint { symbol, width, start, close, vwap, values, log_pos })
    };
    rows.iter().map(point).collect()
}

async fn select_windows(
    readers: &SqlitePool,
    symbols: &Symbols,
    query: &WindowQuery,
    sql: String,
) -> Result<Vec<SqliteRow>, StoreError> {
    let Some(stored) = symbols.stored(query.symbol) else { return Ok(Vec::new()) };
    sqlx::query(AssertSqlSafe(sql))
        .bind(stored)
        .bind(query.width.nanos())
        .bind(query.start.0)
        .bind(query.end.plus(-query.width.nanos()).0)
        .bind(i64::try_from(query.limit).unwrap_or(i64::MAX))
        .fetch_all(readers)
        .await
        .map_err(failed("failed to read the history"))
}

/// Returns a page of bars with their indicators by symbol name, width and start.
pub(super) async fn scan(
    readers: &SqlitePool,
    symbols: &Symbols,
    after: Option<(&str, Width, Nanos)>,
    limit: usize,
) -> Result<Vec<(Bar, IndicatorPoint)>, StoreError> {
    let of = |table: &str, columns: &[&str]| {
        columns.iter().map(|column| format!("{table}.{column}")).collect::<Vec<_>>().join(", ")
    };
    let sql = format!(
        "SELECT bars.symbol, bars.width, bars.start, {}, {} \
         FROM symbols CROSS JOIN bars ON bars.symbol = symbols.id \
         LEFT JOIN indicators ON indicators.symbol = bars.symbol AND indicators.width = bars.width \
         AND indicators.start = bars.start AND indicators.close IS NOT NULL \
         WHERE symbols.name >= ?1 AND (symbols.name > ?1 OR (bars.width, bars.start) > (?2, ?3)) \
         AND bars.state <> 'void' \
         ORDER BY symbols.name, bars.width, bars.start LIMIT ?4",
        of("bars", &BAR_COLUMNS),
        of("indicators", &INDICATOR_COLUMNS)
    );
    let (name, width, start) =
        after.map_or(("", 0, 0), |(name, width, start)| (name, width.nanos(), start.0));
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(name)
        .bind(width)
        .bind(start)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(readers)
        .await
        .map_err(failed("failed to scan the history"))?;
    let pair = |row: &SqliteRow| {
        let bar = decode_bar(row, symbols)?;
        let at = KEY_LEN + BAR_COLUMNS.len();
        // A bar whose indicators are not there (yet) has none that are warm.
        let (values, log_pos) = match row.get_unchecked::<Option<i64>, _>(at) {
            Some(_) => decode_indicators(row, at + 2),
            None => (IndicatorValues::default(), bar.log_pos),
        };
        let Bar { symbol, width, start, close, vwap, .. } = bar;
        Ok((bar, IndicatorPoint { symbol, width, start, close, vwap, values, log_pos }))
    };
    rows.iter().map(pair).collect()
}

/// Drops the windows of a symbol that end at or before a time. Returns the number of rows.
pub(super) async fn drop_before(
    conn: &mut SqliteConnection,
    stored: u32,
    oldest: Nanos,
) -> Result<u64, StoreError> {
    const DROPPING: &str = "failed to drop old bars";
    let mut num_dropped = 0;
    for table in ["bars", "indicators"] {
        // The key begins with (symbol, width): one search a width instead of a walk over all rows.
        let mut width = 0_i64;
        loop {
            let next = format!("SELECT min(width) FROM {table} WHERE symbol = ? AND width > ?");
            let next: Option<i64> = sqlx::query_scalar(AssertSqlSafe(next))
                .bind(stored)
                .bind(width)
                .fetch_one(&mut *conn)
                .await
                .map_err(failed(DROPPING))?;
            let Some(next) = next else { break };
            width = next;
            let sql = format!("DELETE FROM {table} WHERE symbol = ? AND width = ? AND start <= ?");
            let done = sqlx::query(AssertSqlSafe(sql))
                .bind(stored)
                .bind(width)
                .bind(oldest.plus(-width).0)
                .execute(&mut *conn)
                .await
                .map_err(failed(DROPPING))?;
            num_dropped += done.rows_affected();
        }
    }
    Ok(num_dropped)
}
