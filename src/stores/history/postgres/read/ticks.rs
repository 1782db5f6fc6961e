//! Ticks of a symbol, newest first by (event time, place in the log).
//!
//! Promises: reports are read back to the entries that they were. Rows of the system before this one have no place in the log;
//! their place in the table stands in for it, so that rows of one time are told apart by cursors. On failure: the error says
//! whether another try can help.

use super::super::error::failed;
use super::super::exact;
use super::spans::{NewestSeen, newest};
use super::stamps::{at_or_before, nanos, senseless};
use crate::models::entry::{Body, Cancel, Correction, Entry, Quote, SourceId, Trade, TradeId, Updates};
use crate::models::num::{Price, Size};
use crate::models::symbol::SymbolSpec;
use crate::models::time::{HOUR, Nanos};
use crate::names::SourceTable;
use crate::stores::error::StoreError;
use crate::stores::log::TickQuery;
use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};

const READING: &str = "failed to read ticks";

/// A row of `tick_data` as it is read.
struct TickRow {
    ts: Nanos,
    pos: i64,
    price: Option<f64>,
    volume: Option<f64>,
    bid: Option<f64>,
    ask: Option<f64>,
    bid_size: Option<f64>,
    ask_size: Option<f64>,
    tick_type: String,
    trade_id: Option<String>,
    ref_trade_id: Option<String>,
    venue_seq: Option<i64>,
    updates: Option<String>,
    provider: Option<String>,
    received_at: Option<DateTime<Utc>>,
    exact: Option<String>,
}

impl TickRow {
    fn of(row: &PgRow) -> Result<TickRow, sqlx::Error> {
        Ok(TickRow {
            ts: Nanos(row.try_get("ts")?),
            pos: row.try_get("pos")?,
            price: row.try_get("price")?,
            volume: row.try_get("volume")?,
            bid: row.try_get("bid")?,
            ask: row.try_get("ask")?,
            bid_size: row.try_get("bid_size")?,
            ask_size: row.try_get("ask_size")?,
            tick_type: row.try_get("tick_type")?,
            trade_id: row.try_get("trade_id")?,
            ref_trade_id: row.try_get("ref_trade_id")?,
            venue_seq: row.try_get("venue_seq")?,
            updates: row.try_get("updates")?,
            provider: row.try_get("provider")?,
            received_at: row.try_get("received_at")?,
            exact: row.try_get("exact")?,
        })
    }

    fn body(&self, spec: &SymbolSpec, sources: &SourceTable) -> Result<Body, String> {
        let source = self.source(sources)?;
        let received = self.received_at.map_or(Nanos::MIN, nanos);
        let id = |text: &Option<String>| text.as_ref().map(|text| TradeId::from_text(text.as_bytes()));
        let target = || id(&self.ref_trade_id).ok_or("it names no trade");
        Ok(match self.tick_type.as_str() {
            // What a cancel takes back stands in `trade_id`, as users of the table know it.
            "cancel" => {
                let target = id(&self.trade_id).or(id(&self.ref_trade_id)).ok_or("it names no trade")?;
                Body::Cancel(Cancel { ts: self.ts, received, target, source })
            }
            "correction" => {
                Body::Correction(Correction { target: target()?, trade: self.trade(spec, source, received)? })
            }
            "quote" => Body::Quote(self.quote(spec, source, received)),
            _ => Body::Trade(self.trade(spec, source, received)?),
        })
    }

    /// Returns who reported it; rows of before do not say.
    fn source(&self, sources: &SourceTable) -> Result<SourceId, String> {
        let name = self.provider.as_deref().unwrap_or("unknown");
        sources.intern_foreign(name).ok_or_else(|| format!("there are too many sources for `{name}`"))
    }

    fn trade(&self, spec: &SymbolSpec, source: SourceId, received: Nanos) -> Result<Trade, String> {
        let [price, size] = match &self.exact {
            Some(text) => exact::parse(text).ok_or_else(|| format!("`exact` is `{text}`"))?,
            None => [
                self.price.map(|price| i128::from(exact::raw_of(price, spec.price_scale))),
                self.volume.map(|size| i128::from(exact::raw_of(size, spec.size_scale))),
            ],
        };
        let narrow = |raw: i128| i64::try_from(raw).map_err(|_| format!("`exact` is {:?}", self.exact));
        let updates = self.updates.as_deref().unwrap_or_default();
        Ok(Trade {
            ts: self.ts,
            received,
            price: Price(narrow(price.ok_or("it has no price")?)?),
            size: Size(narrow(size.unwrap_or_default())?),
            seq: self.venue_seq.map_or(0, i64::cast_unsigned),
            id: self.trade_id.as_ref().map_or(TradeId::given(0, self.pos.cast_unsigned()), |text| {
                TradeId::from_text(text.as_bytes())
            }),
            source,
            updates: Updates::parse(updates.as_bytes()).ok_or_else(|| format!("`updates` is `{updates}`"))?,
        })
    }

    fn quote(&self, spec: &SymbolSpec, source: SourceId, received: Nanos) -> Quote {
        let raw = |value: Option<f64>, scale| value.map_or(0, |value| exact::raw_of(value, scale));
        Quote {
            ts: self.ts,
            received,
            bid: Price(raw(self.bid, spec.price_scale)),
            ask: Price(raw(self.ask, spec.price_scale)),
            bid_size: Size(raw(self.bid_size, spec.size_scale)),
            ask_size: Size(raw(self.ask_size, spec.size_scale)),
            source,
        }
    }
}

/// Answers a query for the ticks of the symbol that `spec` is.
pub(in crate::stores::history::postgres) async fn find(
    readers: &PgPool,
    seen: &NewestSeen,
    query: &TickQuery,
    spec: &SymbolSpec,
    sources: &SourceTable,
) -> Result<Vec<Entry>, StoreError> {
    let (before, pos) = query.before.unwrap_or((Nanos::MAX, u64::MAX / 2));
    let range = (query.start, query.end.min(before));
    let rows = newest(range, seen, HOUR, query.limit, |from, until, limit| {
        async move {
        sqlx::query(
            "SELECT * FROM ( \
             SELECT time, coalesce(ts_ns, (extract(epoch FROM time) * 1000000)::bigint * 1000) AS ts, \
             coalesce(log_pos, ((ctid::text::point)[0])::bigint * 65536 + ((ctid::text::point)[1])::bigint) AS pos, \
             price, volume, bid, ask, bid_size, ask_size, coalesce(tick_type, 'trade') AS tick_type, trade_id, \
             ref_trade_id, venue_seq, updates, provider, received_at, exact \
             FROM tick_data WHERE symbol = $1 AND time BETWEEN $2 AND $3 \
             AND (price IS NOT NULL OR tick_type IN ('cancel', 'quote'))) AS ticks \
             WHERE ts BETWEEN $4 AND $5 AND (ts, pos) < ($6, $7) \
             ORDER BY time DESC, ts DESC, pos DESC LIMIT $8",
        )
        .bind(&spec.name)
        .bind(at_or_before(from))
        .bind(at_or_before(until))
        .bind(from.0)
        .bind(until.0)
        .bind(before.0)
        .bind(pos.cast_signed())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(readers)
        .await
        .map_err(failed(READING))
    }
    })
    .await?;
    let entry = |row: &PgRow| {
        let row = TickRow::of(row).map_err(failed(READING))?;
        seen.note(row.ts);
        let body = row.body(spec, sources);
        let body =
            body.map_err(|what| senseless("tick_data", format!("{} at {}", spec.name, row.ts.0), what))?;
        Ok(Entry { pos: row.pos.cast_unsigned(), symbol: query.symbol, body })
    };
    rows.iter().map(entry).collect()
}
