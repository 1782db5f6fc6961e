//! Bars and indicators as rows: exact integers in, exact integers out.

use crate::models::bar::{Bar, BarOrigin, BarState};
use crate::models::effect::{Effect, IndicatorPoint};
use crate::models::indicators::IndicatorValues;
use crate::models::num::Price;
use crate::models::symbol::SymbolId;
use crate::models::time::{Nanos, Width};
use crate::stores::error::StoreError;
use crate::stores::history::WindowQuery;
use crate::stores::sqlite::checked::{Binder, Fault, damaged, get, get_unsigned, verify_added, verify_all};
use crate::stores::sqlite::database::failed;
use crate::stores::sqlite::names::Symbols;
use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Row, SqliteConnection, SqlitePool, TypeInfo, ValueRef};
use std::collections::BTreeMap;
use std::sync::LazyLock;

const KEY: &str = "symbol, width, start";
const KEY_COLUMNS: [&str; 3] = ["symbol", "width", "start"];

const BAR_COLUMNS: [&str; 16] = [
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
    // Came after the checksums: nothing in it means trades, and leaves the checksum as it was.
    "origin",
];

/// The values, with close and VWAP before them and the log position behind.
static INDICATOR_COLUMNS: LazyLock<Vec<&str>> =
    LazyLock::new(|| [&["close", "vwap"], IndicatorValues::NAMES.as_slice(), &["log_pos"]].concat());

/// Number of columns before the others: those of [`KEY`].
const KEY_LEN: usize = KEY_COLUMNS.len();

/// Rows are written by statements of 2^0 to 2^7 rows, so that each is prepared once.
const UPSERT_POWERS: u32 = 8;

static BAR_UPSERTS: LazyLock<Vec<String>> = LazyLock::new(|| upserts("bars", &BAR_COLUMNS));
static INDICATOR_UPSERTS: LazyLock<Vec<String>> = LazyLock::new(|| upserts("indicators", &INDICATOR_COLUMNS));

fn upserts(table: &str, columns: &[&str]) -> Vec<String> {
    let row = format!("({})", vec!["?"; KEY_LEN + columns.len() + 1].join(","));
    let changes: Vec<String> =
        columns.iter().chain(&["checksum"]).map(|column| format!("{column} = excluded.{column}")).collect();
    let upsert = |power: u32| {
        format!(
            "INSERT INTO {table} ({KEY}, {}, checksum) VALUES {} ON CONFLICT DO UPDATE SET {} \
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
    pub(super) fn of<'a>(
        effects: impl Iterator<Item = &'a Effect>,
        symbols: &Symbols,
    ) -> Result<Batch<'a>, StoreError> {
        let mut batch = Batch { bars: BTreeMap::new(), indicators: BTreeMap::new() };
        for effect in effects {
            let (symbol, width, start) = match effect {
                Effect::Bar(bar) => (bar.symbol, bar.width, bar.start),
                Effect::Indicators(point) => (point.symbol, point.width, point.start),
                Effect::Anomaly(_) | Effect::DeadLetter(_) | Effect::Sealed(_) => continue,
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
                Effect::Anomaly(_) | Effect::DeadLetter(_) | Effect::Sealed(_) => {}
            }
        }
        Ok(batch)
    }

    /// Writes the rows over those with lower positions.
    pub(super) async fn write(&self, conn: &mut SqliteConnection) -> Result<(), StoreError> {
        write_rows(conn, &BAR_UPSERTS, self.bars.iter(), |row, (key, bar)| {
            bind_key(row, *key)?;
            bind_bar(row, bar)
        })
        .await?;
        write_rows(conn, &INDICATOR_UPSERTS, self.indicators.iter(), |row, (key, (log_pos, point))| {
            bind_key(row, *key)?;
            bind_indicators(row, *log_pos, *point)
        })
        .await
    }
}

async fn write_rows<T>(
    conn: &mut SqliteConnection,
    upserts: &'static [String],
    mut rows: impl ExactSizeIterator<Item = T>,
    bind: impl Fn(&mut Binder<'_>, T) -> Result<(), BoxDynError>,
) -> Result<(), StoreError> {
    const WRITING: &str = "failed to write to the history";
    while rows.len() > 0 {
        let power = rows.len().ilog2().min(UPSERT_POWERS - 1);
        let mut arguments = SqliteArguments::default();
        for row in rows.by_ref().take(1 << power) {
            let mut binder = Binder::new(&mut arguments);
            bind(&mut binder, row)
                .and_then(|()| binder.finish())
                .map_err(|error| StoreError::Permanent { context: WRITING, cause: error.to_string() })?;
        }
        let sql: &'static str = &upserts[power as usize];
        sqlx::query_with(sql, arguments).execute(&mut *conn).await.map_err(failed(WRITING))?;
    }
    Ok(())
}

fn bind_key(row: &mut Binder<'_>, (symbol, width, start): Key) -> Result<(), BoxDynError> {
    row.integer(i64::from(symbol))?;
    row.integer(width)?;
    row.integer(start)
}

fn bind_bar(row: &mut Binder<'_>, bar: &Bar) -> Result<(), BoxDynError> {
    for price in [bar.open, bar.high, bar.low, bar.close] {
        row.integer(price.0)?;
    }
    match i64::try_from(bar.volume) {
        Ok(volume) => row.integer(volume)?,
        Err(_) => row.text(bar.volume.to_string().as_str())?,
    }
    row.integer(bar.vwap)?;
    row.unsigned(bar.trade_count)?;
    row.text(bar.state.as_str())?;
    row.integer(i64::from(bar.revision))?;
    row.real(bar.coverage)?;
    row.integer(i64::from(bar.late))?;
    row.integer(i64::from(bar.duplicates))?;
    row.integer(i64::from(bar.cancelled))?;
    row.unsigned(bar.seq)?;
    row.unsigned(bar.log_pos)?;
    row.added(match bar.origin {
        BarOrigin::Trades => None,
        BarOrigin::Vendor => Some(ORIGIN_VENDOR),
        BarOrigin::Quotes => Some(ORIGIN_QUOTES),
    })
}

/// Of most bars that the simulated past is made of, hence the number that takes no byte.
const ORIGIN_VENDOR: i64 = 1;
const ORIGIN_QUOTES: i64 = 2;

fn bind_indicators(
    row: &mut Binder<'_>,
    log_pos: u64,
    point: Option<&IndicatorPoint>,
) -> Result<(), BoxDynError> {
    let values = point.map(|point| point.values).unwrap_or_default();
    row.integer(point.map(|point| point.close.0))?;
    row.integer(point.and_then(|point| point.vwap))?;
    for value in values.in_order() {
        row.real(value)?;
    }
    row.unsigned(log_pos)
}

/// Columns of a row of `bars` with its checksum.
pub(super) static BAR_SELECT: LazyLock<String> =
    LazyLock::new(|| select("bars", &[&KEY_COLUMNS[..], &BAR_COLUMNS, &["checksum"]].concat()));

/// Columns of a row of `indicators` with its checksum.
pub(super) static INDICATOR_SELECT: LazyLock<String> =
    LazyLock::new(|| select("indicators", &[&KEY_COLUMNS[..], &INDICATOR_COLUMNS, &["checksum"]].concat()));

fn select(table: &str, columns: &[&str]) -> String {
    columns.iter().map(|column| format!("{table}.{column}")).collect::<Vec<_>>().join(", ")
}

/// Columns of [`BAR_SELECT`].
const BAR_LEN: usize = KEY_LEN + BAR_COLUMNS.len() + 1;

/// Symbol, width and start, from a column on.
fn decode_key(row: &SqliteRow, at: usize, symbols: &Symbols) -> Result<(SymbolId, Width, Nanos), Fault> {
    let symbol = symbols.process(get(row, at)?)?;
    let width = Width::new(get(row, at + 1)?).ok_or_else(|| Fault::new("there is no such width"))?;
    Ok((symbol, width, Nanos(get(row, at + 2)?)))
}

/// Names a row of either table by its key, as far as that can be read.
pub(super) fn key_text(row: &SqliteRow, at: usize) -> String {
    let key = || Ok::<[i64; 3], Fault>([get(row, at)?, get(row, at + 1)?, get(row, at + 2)?]);
    key().map_or_else(
        |_| "a row whose key cannot be read".to_owned(),
        |[symbol, width, start]| format!("symbol {symbol}, width {width}, start {start}"),
    )
}

fn decode_bar(row: &SqliteRow, symbols: &Symbols) -> Result<Bar, StoreError> {
    bar_of(row, symbols).map_err(|fault| damaged(super::file::FILE_NAME, "bars", key_text(row, 0), &fault))
}

/// Reads a row of [`BAR_SELECT`].
pub(super) fn bar_of(row: &SqliteRow, symbols: &Symbols) -> Result<Bar, Fault> {
    verify_added(row, 0..BAR_LEN - 1, BAR_LEN - 2, symbols.has_unchecked_rows)?;
    let (symbol, width, start) = decode_key(row, 0, symbols)?;
    let price = |at: usize| get(row, KEY_LEN + at).map(Price);
    let volume = row.try_get_raw(KEY_LEN + 4).map_err(|error| Fault::new(error.to_string()))?;
    let volume = match volume.type_info().name() {
        "INTEGER" => i128::from(get::<i64>(row, KEY_LEN + 4)?),
        _ => get::<&str>(row, KEY_LEN + 4)?.parse().map_err(|_| Fault::new("there is no such volume"))?,
    };
    Ok(Bar {
        symbol,
        width,
        start,
        open: price(0)?,
        high: price(1)?,
        low: price(2)?,
        close: price(3)?,
        volume,
        vwap: get(row, KEY_LEN + 5)?,
        trade_count: get_unsigned(row, KEY_LEN + 6)?,
        state: BarState::parse(get(row, KEY_LEN + 7)?).ok_or_else(|| Fault::new("there is no such state"))?,
        origin: match get::<Option<i64>>(row, KEY_LEN + 15)? {
            None => BarOrigin::Trades,
            Some(ORIGIN_VENDOR) => BarOrigin::Vendor,
            Some(ORIGIN_QUOTES) => BarOrigin::Quotes,
            Some(_) => return Err(Fault::new("there is no such origin")),
        },
        revision: get(row, KEY_LEN + 8)?,
        coverage: get(row, KEY_LEN + 9)?,
        late: get(row, KEY_LEN + 10)?,
        duplicates: get(row, KEY_LEN + 11)?,
        cancelled: get(row, KEY_LEN + 12)?,
        seq: get_unsigned(row, KEY_LEN + 13)?,
        log_pos: get_unsigned(row, KEY_LEN + 14)?,
    })
}

fn decode_indicators(
    row: &SqliteRow,
    at: usize,
    symbols: &Symbols,
) -> Result<Option<IndicatorPoint>, StoreError> {
    indicators_of(row, at, symbols)
        .map_err(|fault| damaged(super::file::FILE_NAME, "indicators", key_text(row, at), &fault))
}

/// Reads the columns of [`INDICATOR_SELECT`] from column `at` on; a row without a close stands for the indicators of a
/// void bar.
pub(super) fn indicators_of(
    row: &SqliteRow,
    at: usize,
    symbols: &Symbols,
) -> Result<Option<IndicatorPoint>, Fault> {
    let of = at + KEY_LEN;
    verify_all(row, at..of + INDICATOR_COLUMNS.len(), symbols.has_unchecked_rows)?;
    let (symbol, width, start) = decode_key(row, at, symbols)?;
    let mut values = [None; IndicatorValues::NAMES.len()];
    for (value, at) in values.iter_mut().zip(of + 2..) {
        *value = get(row, at)?;
    }
    let log_pos = get_unsigned(row, of + 2 + values.len())?;
    let (close, vwap): (Option<i64>, Option<i64>) = (get(row, of)?, get(row, of + 1)?);
    let values = IndicatorValues::from_order(values);
    Ok(close.map(|close| IndicatorPoint { symbol, width, start, close: Price(close), vwap, values, log_pos }))
}

/// Answers a query for bars.
pub(super) async fn bars(
    readers: &SqlitePool,
    symbols: &Symbols,
    query: &WindowQuery,
) -> Result<Vec<Bar>, StoreError> {
    let sql = format!(
        "SELECT {} FROM bars WHERE symbol = ? AND width = ? AND start BETWEEN ? AND ? AND state <> 'void' \
         ORDER BY start DESC LIMIT ?",
        *BAR_SELECT
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
        "SELECT {} FROM bars WHERE symbol = ? AND width = ? AND start BETWEEN ? AND ? \
         ORDER BY start DESC LIMIT ?",
        *BAR_SELECT
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
        "SELECT {} FROM indicators WHERE symbol = ? AND width = ? AND start BETWEEN ? AND ? \
         AND close IS NOT NULL ORDER BY start DESC LIMIT ?",
        *INDICATOR_SELECT
    );
    let rows = select_windows(readers, symbols, query, sql).await?;
    rows.iter().filter_map(|row| decode_indicators(row, 0, symbols).transpose()).collect()
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
    let sql = format!(
        "SELECT {}, {} \
         FROM symbols CROSS JOIN bars ON bars.symbol = symbols.id \
         LEFT JOIN indicators ON indicators.symbol = bars.symbol AND indicators.width = bars.width \
         AND indicators.start = bars.start AND indicators.close IS NOT NULL \
         WHERE symbols.name >= ?1 AND (symbols.name > ?1 OR (bars.width, bars.start) > (?2, ?3)) \
         AND bars.state <> 'void' \
         ORDER BY symbols.name, bars.width, bars.start LIMIT ?4",
        *BAR_SELECT, *INDICATOR_SELECT
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
        let has_indicators = row.try_get_raw(BAR_LEN).is_ok_and(|symbol| !symbol.is_null());
        let point = if has_indicators { decode_indicators(row, BAR_LEN, symbols)? } else { None };
        // A bar whose indicators are not there (yet) has none that are warm.
        let (values, log_pos) =
            point.map_or((IndicatorValues::default(), bar.log_pos), |point| (point.values, point.log_pos));
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
