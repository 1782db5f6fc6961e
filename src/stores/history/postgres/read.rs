//! Reads bars, indicators and dead letters.
//!
//! Promises: what is read is what was written, to the last digit. Of rows that another program wrote, what it did not know
//! is taken for the usual: a closed bar of trades that was never changed.

use super::error::failed;
use super::exact;
use super::ticks::timestamp;
use crate::models::bar::{Bar, BarOrigin, BarState};
use crate::models::effect::IndicatorPoint;
use crate::models::indicators::IndicatorValues;
use crate::models::num::{Price, Scale};
use crate::models::symbol::{SymbolId, SymbolSpec};
use crate::models::time::{Nanos, Width};
use crate::names::SymbolTable;
use crate::stores::error::StoreError;
use crate::stores::history::{DeadLetterQuery, DeadLetterRecord, WindowQuery};
use chrono::{DateTime, Utc};
use sqlx::postgres::{PgPool, PgRow};
use sqlx::{AssertSqlSafe, Row};

const READING: &str = "failed to read the history";

/// Columns of a bar, as `decode_bar` reads them.
const BAR: &str = "time, symbol, window_duration, open, high, low, close, volume, vwap, trade_count, state, revision, coverage, \
     log_pos, late, duplicates, cancelled, origin, seq, exact";

/// Columns of indicators, as `decode_point` reads them.
const POINT: &str = "time, symbol, window_duration, close, vwap, log_pos, exact, sma_20, sma_50, sma_200, ema_12, ema_26, rsi, macd, \
     macd_signal, macd_histogram, bb_upper, bb_middle, bb_lower";

fn get<'r, T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>>(
    row: &'r PgRow,
    column: &str,
) -> Result<T, StoreError> {
    row.try_get(column).map_err(failed(READING))
}

fn odd(what: &str, value: &str) -> StoreError {
    StoreError::Permanent { context: READING, cause: format!("there is no such {what} as `{value}`") }
}

fn nanos(time: DateTime<Utc>) -> Nanos {
    Nanos(time.timestamp_micros().saturating_mul(1_000))
}

/// Reads the window of a row: its symbol, width and start.
fn decode_window(row: &PgRow, symbols: &SymbolTable) -> Result<(SymbolId, Width, Nanos), StoreError> {
    let (name, window): (&str, &str) = (get(row, "symbol")?, get(row, "window_duration")?);
    // Another program may have told of it since this one started.
    let symbol = symbols.get(name).unwrap_or_else(|| symbols.intern(SymbolSpec::named(name)));
    let width = Width::parse(window).ok_or_else(|| odd("window", window))?;
    Ok((symbol, width, nanos(get(row, "time")?).plus(-width.nanos())))
}

fn decode_bar(row: &PgRow, symbols: &SymbolTable) -> Result<Bar, StoreError> {
    let (symbol, width, start) = decode_window(row, symbols)?;
    let spec = symbols.spec(symbol);
    let exact: Option<&str> = get(row, "exact")?;
    let [open, high, low, close, volume, vwap] = match exact {
        Some(text) => exact::parse(text).ok_or_else(|| odd("list of integers", text))?,
        None => {
            let value = |column, scale| -> Result<Option<i128>, StoreError> {
                let value: Option<f64> = get(row, column)?;
                Ok(value.map(|value| i128::from(exact::raw_of(value, scale))))
            };
            let price = |column| value(column, spec.price_scale);
            let (volume, vwap) = (value("volume", spec.size_scale)?, value("vwap", Scale::VWAP)?);
            [price("open")?, price("high")?, price("low")?, price("close")?, volume, vwap]
        }
    };
    let price = |raw: Option<i128>| Price(raw.and_then(|raw| i64::try_from(raw).ok()).unwrap_or_default());
    let count = |column| -> Result<u64, StoreError> {
        Ok(get::<Option<i64>>(row, column)?.unwrap_or_default().cast_unsigned())
    };
    let small = |column| -> Result<u32, StoreError> { Ok(u32::try_from(count(column)?).unwrap_or(u32::MAX)) };
    let (state, origin): (Option<&str>, Option<&str>) = (get(row, "state")?, get(row, "origin")?);
    Ok(Bar {
        symbol,
        width,
        start,
        open: price(open),
        high: price(high),
        low: price(low),
        close: price(close),
        volume: volume.unwrap_or_default(),
        vwap: vwap.and_then(|vwap| i64::try_from(vwap).ok()),
        trade_count: count("trade_count")?,
        state: match state {
            Some(word) => BarState::parse(word).ok_or_else(|| odd("state", word))?,
            None => BarState::Closed,
        },
        origin: match origin {
            Some(word) => BarOrigin::parse(word).ok_or_else(|| odd("origin", word))?,
            None => BarOrigin::Trades,
        },
        revision: small("revision")?,
        coverage: get::<Option<f64>>(row, "coverage")?.unwrap_or(1.0),
        late: small("late")?,
        duplicates: small("duplicates")?,
        cancelled: small("cancelled")?,
        seq: count("seq")?,
        log_pos: count("log_pos")?,
    })
}

fn decode_point(row: &PgRow, symbols: &SymbolTable) -> Result<IndicatorPoint, StoreError> {
    let (symbol, width, start) = decode_window(row, symbols)?;
    let spec = symbols.spec(symbol);
    let [close, vwap] = match get::<Option<&str>>(row, "exact")? {
        Some(text) => exact::parse(text).ok_or_else(|| odd("list of integers", text))?,
        None => {
            let value = |column, scale| -> Result<Option<i128>, StoreError> {
                Ok(get::<Option<f64>>(row, column)?.map(|value| i128::from(exact::raw_of(value, scale))))
            };
            [value("close", spec.price_scale)?, value("vwap", Scale::VWAP)?]
        }
    };
    let mut values = [None; IndicatorValues::NAMES.len()];
    for (value, at) in values.iter_mut().zip(7..) {
        *value = row.try_get(at).map_err(failed(READING))?;
    }
    let narrow = |raw: Option<i128>| raw.and_then(|raw| i64::try_from(raw).ok());
    Ok(IndicatorPoint {
        symbol,
        width,
        start,
        close: Price(narrow(close).unwrap_or_default()),
        vwap: narrow(vwap),
        values: IndicatorValues::from_order(values),
        log_pos: get::<Option<i64>>(row, "log_pos")?.unwrap_or_default().cast_unsigned(),
    })
}

/// Returns the rows of a symbol and window in a table, newest first.
async fn windows(
    readers: &PgPool,
    symbols: &SymbolTable,
    query: &WindowQuery,
    (columns, table): (&str, &str),
) -> Result<Vec<PgRow>, StoreError> {
    let sql = format!(
        "SELECT {columns} FROM {table} WHERE symbol = $1 AND window_duration = $2 AND time BETWEEN $3 AND $4 \
         ORDER BY time DESC LIMIT $5"
    );
    // Windows are of whole microseconds: one that ends within one ends after it.
    let first = query.start.plus(query.width.nanos()).plus(999);
    sqlx::query(AssertSqlSafe(sql))
        .bind(symbols.spec(query.symbol).name.as_str())
        .bind(query.width.to_string())
        .bind(bound(first))
        .bind(bound(query.end))
        .bind(i64::try_from(query.limit).unwrap_or(i64::MAX))
        .fetch_all(readers)
        .await
        .map_err(failed(READING))
}

/// Returns a time as a bound: PostgreSQL knows none before the year -4713.
fn bound(time: Nanos) -> DateTime<Utc> {
    timestamp(time)
}

/// Answers a query for bars.
pub(super) async fn bars(
    readers: &PgPool,
    symbols: &SymbolTable,
    query: &WindowQuery,
) -> Result<Vec<Bar>, StoreError> {
    let rows = windows(readers, symbols, query, (BAR, "aggregated_data")).await?;
    rows.iter().map(|row| decode_bar(row, symbols)).collect()
}

/// Returns the newest windows of a symbol as they are now, void ones too.
pub(super) async fn revisions(
    readers: &PgPool,
    symbols: &SymbolTable,
    symbol: SymbolId,
    width: Width,
    limit: usize,
) -> Result<Vec<Bar>, StoreError> {
    let query = WindowQuery { symbol, width, start: Nanos::MIN, end: Nanos::MAX, limit };
    let mut found = bars(readers, symbols, &query).await?;
    let voids = windows(readers, symbols, &query, (BAR, "void_bars")).await?;
    for row in &voids {
        let void = decode_bar(row, symbols)?;
        // A bar that came after it took its place.
        if found.iter().all(|bar| bar.start != void.start) {
            found.push(void);
        }
    }
    found.sort_by_key(|bar| std::cmp::Reverse(bar.start));
    found.truncate(limit);
    Ok(found)
}

/// Answers a query for indicators.
pub(super) async fn indicators(
    readers: &PgPool,
    symbols: &SymbolTable,
    query: &WindowQuery,
) -> Result<Vec<IndicatorPoint>, StoreError> {
    let rows = windows(readers, symbols, query, (POINT, "technical_indicators")).await?;
    rows.iter().map(|row| decode_point(row, symbols)).collect()
}

/// Returns a page of bars with their indicators by symbol name, width and start.
pub(super) async fn scan(
    readers: &PgPool,
    symbols: &SymbolTable,
    after: Option<(SymbolId, Width, Nanos)>,
    limit: usize,
) -> Result<Vec<(Bar, IndicatorPoint)>, StoreError> {
    // A width is not ordered as its text is.
    const WIDTH: &str = "extract(epoch FROM window_duration::interval)";
    let sql = format!(
        "SELECT {BAR} FROM aggregated_data WHERE symbol COLLATE \"C\" >= $1 \
         AND (symbol COLLATE \"C\" > $1 OR ({WIDTH}, time) > ($2, $3)) \
         ORDER BY symbol COLLATE \"C\", {WIDTH}, time LIMIT $4"
    );
    let (name, width, end) = match after {
        Some((symbol, width, start)) => {
            (symbols.spec(symbol).name.clone(), width.nanos() as f64 / 1e9, start.plus(width.nanos()))
        }
        None => (String::new(), 0.0, Nanos(0)),
    };
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(name)
        .bind(width)
        .bind(bound(end))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(readers)
        .await
        .map_err(failed("failed to scan the history"))?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let bar = decode_bar(row, symbols)?;
        let Bar { symbol, width, start, close, vwap, log_pos, .. } = bar;
        let query = WindowQuery { symbol, width, start, end: bar.end(), limit: 1 };
        let point = indicators(readers, symbols, &query).await?.pop();
        // A bar whose indicators are not there (yet) has none that are warm.
        let values = point.map_or(IndicatorValues::default(), |point| point.values);
        let log_pos = point.map_or(log_pos, |point| point.log_pos);
        found.push((bar, IndicatorPoint { symbol, width, start, close, vwap, values, log_pos }));
    }
    Ok(found)
}

/// Answers a query for dead letters.
pub(super) async fn dead_letters(
    readers: &PgPool,
    query: &DeadLetterQuery,
) -> Result<Vec<DeadLetterRecord>, StoreError> {
    let (before, id) = query.before.unwrap_or((Nanos::MAX, u64::MAX / 2));
    let rows = sqlx::query(
        "SELECT id, received_ns, reason, symbol, provider, payload, origin, log_pos FROM dead_letters \
         WHERE ($1::varchar IS NULL OR reason = $1) AND ($2::varchar IS NULL OR symbol = $2) AND received_ns >= $3 \
         AND (received_ns, id) < ($4, $5) ORDER BY received_ns DESC, id DESC LIMIT $6",
    )
    .bind(query.reason.as_deref())
    .bind(query.symbol.as_deref())
    .bind(query.start.unwrap_or(Nanos::MIN).0)
    .bind(before.0)
    .bind(id.cast_signed())
    .bind(i64::try_from(query.limit).unwrap_or(i64::MAX))
    .fetch_all(readers)
    .await
    .map_err(failed("failed to read dead letters"))?;
    let record = |row: &PgRow| {
        Ok(DeadLetterRecord {
            reason: get(row, "reason")?,
            symbol: get(row, "symbol")?,
            provider: get(row, "provider")?,
            received_at: Nanos(get(row, "received_ns")?),
            payload: get(row, "payload")?,
            pos: get::<Option<i64>>(row, "log_pos")?.map(i64::cast_unsigned),
            origin: get(row, "origin")?,
            id: get::<i64>(row, "id")?.cast_unsigned(),
        })
    };
    rows.iter().map(record).collect()
}
