//! Bars and indicators of a symbol and a width.
//!
//! Promises: scaled integers come back as they were. A bar that was emptied stands in a table of its own, so lists do not hold
//! it. On failure: the error says whether another try can help; a row that makes no sense is named.

use super::super::error::failed;
use super::super::exact;
use super::spans::{NewestSeen, newest};
use super::stamps::{at_or_after, at_or_before, nanos, senseless};
use crate::models::bar::{Bar, BarOrigin, BarState};
use crate::models::effect::IndicatorPoint;
use crate::models::indicators::IndicatorValues;
use crate::models::num::{Price, Scale};
use crate::models::symbol::{SymbolId, SymbolSpec};
use crate::models::time::{Nanos, Width};
use crate::stores::error::StoreError;
use crate::stores::history::WindowQuery;
use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgPool, Row};

const READING: &str = "failed to read the history";

/// Columns of a bar. Rows of the system before this one lack most of those that are not its own.
const BAR_COLUMNS: &str = "bars.time AS time, open, high, low, bars.close AS close, coalesce(volume, 0) AS volume, \
    bars.vwap AS vwap, coalesce(trade_count, 0) AS trade_count, coalesce(state, 'closed') AS state, \
    coalesce(revision, 0) AS revision, coalesce(coverage, 1) AS coverage, coalesce(late, 0) AS late, \
    coalesce(duplicates, 0) AS duplicates, coalesce(cancelled, 0) AS cancelled, coalesce(origin, 'trades') AS origin, \
    coalesce(seq, 0) AS seq, coalesce(bars.log_pos, 0) AS log_pos, bars.exact AS exact";

/// Columns of a row of indicators, with the names that they have beside a bar.
const POINT_COLUMNS: &str = "points.time AS point_time, sma_20, sma_50, sma_200, ema_12, ema_26, rsi AS rsi_14, macd, \
    macd_signal, macd_histogram, bb_upper, bb_middle, bb_lower, points.close AS point_close, points.vwap AS point_vwap, \
    coalesce(points.log_pos, 0) AS point_log_pos, points.exact AS point_exact";

/// A bar without a price, which only another program can have written, is none.
const HAS_PRICES: &str = "num_nulls(bars.open, bars.high, bars.low, bars.close) = 0";

/// A symbol's windows of one width.
#[derive(Clone, Copy)]
pub(in crate::stores::history::postgres) struct Windows<'a> {
    /// The symbol.
    pub symbol: SymbolId,
    /// What it is.
    pub spec: &'a SymbolSpec,
    /// The width.
    pub width: Width,
}

impl Windows<'_> {
    fn key_text(&self, end: Nanos) -> String {
        format!("{} {} until {}", self.spec.name, self.width, end.to_rfc3339())
    }

    /// Returns about how long that many windows take.
    fn span(&self, limit: usize) -> i64 {
        self.width.nanos().saturating_mul(i64::try_from(limit).unwrap_or(i64::MAX))
    }

    /// Returns the first and the last end of a window of a query.
    fn ends(&self, query: &WindowQuery) -> (Nanos, Nanos) {
        (query.start.plus(self.width.nanos()), query.end)
    }

    fn bar(&self, row: &PgRow) -> Result<Bar, StoreError> {
        let read = BarRow::of(row).map_err(failed(READING))?;
        self.bar_of(&read).map_err(|what| senseless("aggregated_data", self.key_text(read.end), what))
    }

    fn bar_of(&self, row: &BarRow) -> Result<Bar, String> {
        let price = |value| i128::from(exact::raw_of(value, self.spec.price_scale));
        let [open, high, low, close, volume, vwap] = match &row.exact {
            Some(text) => exact::parse(text).ok_or_else(|| format!("`exact` is `{text}`"))?,
            None => {
                let volume = i128::from(exact::raw_of(row.volume, self.spec.size_scale));
                let vwap = row.vwap.map(|vwap| i128::from(exact::raw_of(vwap, Scale::VWAP)));
                let [open, high, low, close] = row.prices.map(|value| Some(price(value)));
                [open, high, low, close, Some(volume), vwap]
            }
        };
        let price = |raw: Option<i128>| {
            let fitting = raw.and_then(|raw| i64::try_from(raw).ok());
            fitting.map(Price).ok_or_else(|| format!("`exact` is {:?}", row.exact))
        };
        let count = |value: i64, column| u32::try_from(value).map_err(|_| format!("`{column}` is {value}"));
        Ok(Bar {
            symbol: self.symbol,
            width: self.width,
            start: row.end.plus(-self.width.nanos()),
            open: price(open)?,
            high: price(high)?,
            low: price(low)?,
            close: price(close)?,
            volume: volume.unwrap_or_default(),
            vwap: vwap.and_then(|vwap| i64::try_from(vwap).ok()),
            trade_count: row.trade_count.cast_unsigned(),
            state: BarState::parse(&row.state).ok_or_else(|| format!("`state` is `{}`", row.state))?,
            origin: BarOrigin::parse(&row.origin).ok_or_else(|| format!("`origin` is `{}`", row.origin))?,
            revision: count(row.revision, "revision")?,
            coverage: row.coverage,
            late: count(row.late, "late")?,
            duplicates: count(row.duplicates, "duplicates")?,
            cancelled: count(row.cancelled, "cancelled")?,
            seq: row.seq.cast_unsigned(),
            log_pos: row.log_pos.cast_unsigned(),
        })
    }

    fn point(&self, row: &PgRow) -> Result<IndicatorPoint, StoreError> {
        let read = PointRow::of(row).map_err(failed(READING))?;
        self.point_of(&read).map_err(|what| senseless("technical_indicators", self.key_text(read.end), what))
    }

    fn point_of(&self, row: &PointRow) -> Result<IndicatorPoint, String> {
        let [close, vwap] = match &row.exact {
            Some(text) => exact::parse(text).ok_or_else(|| format!("`exact` is `{text}`"))?,
            None => [
                row.close.map(|close| i128::from(exact::raw_of(close, self.spec.price_scale))),
                row.vwap.map(|vwap| i128::from(exact::raw_of(vwap, Scale::VWAP))),
            ],
        };
        let narrow = |raw: Option<i128>| raw.and_then(|raw| i64::try_from(raw).ok());
        Ok(IndicatorPoint {
            symbol: self.symbol,
            width: self.width,
            start: row.end.plus(-self.width.nanos()),
            // Rows of before do not say what they step on.
            close: Price(narrow(close).unwrap_or_default()),
            vwap: narrow(vwap),
            values: row.values,
            log_pos: row.log_pos.cast_unsigned(),
        })
    }
}

/// A row of [`BAR_COLUMNS`].
struct BarRow {
    end: Nanos,
    /// Open, high, low and close.
    prices: [f64; 4],
    volume: f64,
    vwap: Option<f64>,
    trade_count: i64,
    state: String,
    revision: i64,
    coverage: f64,
    late: i64,
    duplicates: i64,
    cancelled: i64,
    origin: String,
    seq: i64,
    log_pos: i64,
    exact: Option<String>,
}

impl BarRow {
    fn of(row: &PgRow) -> Result<BarRow, sqlx::Error> {
        Ok(BarRow {
            end: nanos(row.try_get::<DateTime<Utc>, _>("time")?),
            prices: [row.try_get("open")?, row.try_get("high")?, row.try_get("low")?, row.try_get("close")?],
            volume: row.try_get("volume")?,
            vwap: row.try_get("vwap")?,
            trade_count: row.try_get("trade_count")?,
            state: row.try_get("state")?,
            revision: row.try_get("revision")?,
            coverage: row.try_get("coverage")?,
            late: row.try_get("late")?,
            duplicates: row.try_get("duplicates")?,
            cancelled: row.try_get("cancelled")?,
            origin: row.try_get("origin")?,
            seq: row.try_get("seq")?,
            log_pos: row.try_get("log_pos")?,
            exact: row.try_get("exact")?,
        })
    }
}

/// A row of [`POINT_COLUMNS`].
struct PointRow {
    end: Nanos,
    values: IndicatorValues,
    close: Option<f64>,
    vwap: Option<f64>,
    log_pos: i64,
    exact: Option<String>,
}

impl PointRow {
    fn of(row: &PgRow) -> Result<PointRow, sqlx::Error> {
        let mut values = [None; IndicatorValues::NAMES.len()];
        for (value, name) in values.iter_mut().zip(IndicatorValues::NAMES) {
            *value = row.try_get(name)?;
        }
        Ok(PointRow {
            end: nanos(row.try_get::<DateTime<Utc>, _>("point_time")?),
            values: IndicatorValues::from_order(values),
            close: row.try_get("point_close")?,
            vwap: row.try_get("point_vwap")?,
            log_pos: row.try_get("point_log_pos")?,
            exact: row.try_get("point_exact")?,
        })
    }
}

/// Reads the newest rows of a range of ends.
async fn read_newest(
    readers: &PgPool,
    seen: &NewestSeen,
    windows: Windows<'_>,
    sql: &str,
    range: (Nanos, Nanos),
    limit: usize,
) -> Result<Vec<PgRow>, StoreError> {
    let name = windows.width.to_string();
    newest(range, seen, windows.span(limit), limit, |from, until, limit| {
        let name = &name;
        async move {
            sqlx::query(AssertSqlSafe(sql.to_owned()))
                .bind(&windows.spec.name)
                .bind(name)
                .bind(at_or_after(from))
                .bind(at_or_before(until))
                .bind(i64::try_from(limit).unwrap_or(i64::MAX))
                .fetch_all(readers)
                .await
                .map_err(failed(READING))
        }
    })
    .await
}

/// Answers a query for bars.
pub(in crate::stores::history::postgres) async fn bars(
    readers: &PgPool,
    seen: &NewestSeen,
    windows: Windows<'_>,
    query: &WindowQuery,
) -> Result<Vec<Bar>, StoreError> {
    let sql = format!(
        "SELECT {BAR_COLUMNS} FROM aggregated_data AS bars WHERE symbol = $1 AND window_duration = $2 \
         AND time BETWEEN $3 AND $4 AND {HAS_PRICES} ORDER BY time DESC LIMIT $5"
    );
    let rows = read_newest(readers, seen, windows, &sql, windows.ends(query), query.limit).await?;
    let bars: Vec<Bar> = rows.iter().map(|row| windows.bar(row)).collect::<Result<_, _>>()?;
    if let Some(bar) = bars.first() {
        seen.note(bar.end());
    }
    Ok(bars)
}

/// Answers a query for indicators.
pub(in crate::stores::history::postgres) async fn indicators(
    readers: &PgPool,
    seen: &NewestSeen,
    windows: Windows<'_>,
    query: &WindowQuery,
) -> Result<Vec<IndicatorPoint>, StoreError> {
    let sql = format!(
        "SELECT {POINT_COLUMNS} FROM technical_indicators AS points WHERE symbol = $1 AND window_duration = $2 \
         AND time BETWEEN $3 AND $4 ORDER BY time DESC LIMIT $5"
    );
    let rows = read_newest(readers, seen, windows, &sql, windows.ends(query), query.limit).await?;
    rows.iter().map(|row| windows.point(row)).collect()
}

/// Returns the newest windows as they are now, void ones too.
pub(in crate::stores::history::postgres) async fn revisions(
    readers: &PgPool,
    seen: &NewestSeen,
    windows: Windows<'_>,
    limit: usize,
) -> Result<Vec<Bar>, StoreError> {
    let of = |table: &str, also: &str| {
        format!(
            "(SELECT {BAR_COLUMNS} FROM {table} AS bars WHERE bars.symbol = $1 AND bars.window_duration = $2 \
             AND bars.time BETWEEN $3 AND $4 AND {also} ORDER BY bars.time DESC LIMIT $5)"
        )
    };
    // A bar that came after the void one has taken its place.
    let is_void = "NOT EXISTS (SELECT 1 FROM aggregated_data AS later WHERE later.symbol = $1 \
                   AND later.window_duration = $2 AND later.time BETWEEN $3 AND $4 AND later.time = bars.time)";
    let sql = format!(
        "SELECT * FROM ({} UNION ALL {}) AS every ORDER BY time DESC LIMIT $5",
        of("aggregated_data", HAS_PRICES),
        of("void_bars", is_void)
    );
    let rows = read_newest(readers, seen, windows, &sql, (Nanos::MIN, Nanos::MAX), limit).await?;
    let bars: Vec<Bar> = rows.iter().map(|row| windows.bar(row)).collect::<Result<_, _>>()?;
    if let Some(bar) = bars.first() {
        seen.note(bar.end());
    }
    Ok(bars)
}

/// Returns the widths that a symbol has bars of, ascending.
pub(in crate::stores::history::postgres) async fn widths(
    readers: &PgPool,
    symbol: &str,
) -> Result<Vec<Width>, StoreError> {
    // One search a width in the index instead of a walk over all rows of the symbol.
    let names: Vec<String> = sqlx::query_scalar(
        "WITH RECURSIVE widths AS ( \
         SELECT min(window_duration) AS width FROM aggregated_data WHERE symbol = $1 \
         UNION ALL SELECT (SELECT min(window_duration) FROM aggregated_data \
         WHERE symbol = $1 AND window_duration > widths.width) FROM widths WHERE width IS NOT NULL) \
         SELECT width FROM widths WHERE width IS NOT NULL",
    )
    .bind(symbol)
    .fetch_all(readers)
    .await
    .map_err(failed(READING))?;
    // A name that is none of ours is of rows that nobody can ask for.
    let mut widths: Vec<Width> = names.iter().filter_map(|name| Width::parse(name)).collect();
    widths.sort_unstable();
    Ok(widths)
}

/// Returns bars with their indicators by start, those after a time.
pub(in crate::stores::history::postgres) async fn scan(
    readers: &PgPool,
    windows: Windows<'_>,
    after: Option<Nanos>,
    limit: usize,
) -> Result<Vec<(Bar, IndicatorPoint)>, StoreError> {
    let sql = format!(
        "SELECT {BAR_COLUMNS}, {POINT_COLUMNS} FROM aggregated_data AS bars \
         LEFT JOIN technical_indicators AS points USING (symbol, window_duration, time) \
         WHERE symbol = $1 AND window_duration = $2 AND bars.time > $3 AND {HAS_PRICES} ORDER BY bars.time LIMIT $4"
    );
    let after = after.map_or(Nanos::MIN, |start| start.plus(windows.width.nanos()));
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(&windows.spec.name)
        .bind(windows.width.to_string())
        .bind(at_or_before(after))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(readers)
        .await
        .map_err(failed("failed to scan the history"))?;
    let pair = |row: &PgRow| {
        let bar = windows.bar(row)?;
        let end: Option<DateTime<Utc>> = row.try_get("point_time").map_err(failed(READING))?;
        // A bar whose indicators are not there (yet) has none that are warm.
        let (values, log_pos) = match end {
            Some(_) => windows.point(row).map(|point| (point.values, point.log_pos))?,
            None => (IndicatorValues::default(), bar.log_pos),
        };
        let Bar { symbol, width, start, close, vwap, .. } = bar;
        Ok((bar, IndicatorPoint { symbol, width, start, close, vwap, values, log_pos }))
    };
    rows.iter().map(pair).collect()
}
