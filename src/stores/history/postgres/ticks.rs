//! Accepted reports as rows of `tick_data`.
//!
//! Promises: a report that the tables have is not written again. On failure: a text that no column of PostgreSQL can hold
//! is found before anything is sent, so that the row that has it is named.

use super::copy::CopyRows;
use super::error::failed;
use super::exact;
use super::progress::Progress;
use crate::models::entry::{Body, Correction, Entry, Position, Quote, SourceId, Trade};
use crate::models::num::{Price, Size};
use crate::models::report::AcceptedReport;
use crate::models::symbol::{SymbolId, SymbolSpec};
use crate::models::time::Nanos;
use crate::names::{SourceTable, SymbolTable};
use crate::stores::error::StoreError;
use chrono::{DateTime, Utc};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;
use std::collections::HashMap;
use std::sync::Arc;

/// Returns the time as the database has it: cut to microseconds.
pub(super) fn timestamp(time: Nanos) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(time.0.div_euclid(1_000))
        .expect("292 years from 1970 are in chrono's range")
}

const WRITING: &str = "failed to write ticks";

/// Rows from which on COPY is quicker than an INSERT of arrays: one that is small waits some 40 ms for the network's
/// acknowledgement.
const COPIED_FROM: usize = 5_000;

/// The columns that are written, in the order of [`TickRows`].
const COLUMNS: &str = "time, symbol, price, volume, tick_type, bid, ask, bid_size, ask_size, trade_id, ref_trade_id, seq, \
                       updates, provider, received_at, ts_ns, log_pos, venue_seq, exact";
const NUM_COLUMNS: i16 = 19;

/// Rows by column.
#[derive(Default)]
pub(super) struct TickRows {
    time: Vec<DateTime<Utc>>,
    symbol: Vec<Arc<str>>,
    price: Vec<Option<f64>>,
    volume: Vec<Option<f64>>,
    tick_type: Vec<&'static str>,
    bid: Vec<Option<f64>>,
    ask: Vec<Option<f64>>,
    bid_size: Vec<Option<f64>>,
    ask_size: Vec<Option<f64>>,
    trade_id: Vec<Option<String>>,
    ref_trade_id: Vec<Option<String>>,
    seq: Vec<Option<i64>>,
    updates: Vec<Option<&'static str>>,
    provider: Vec<Arc<str>>,
    received_at: Vec<Option<DateTime<Utc>>>,
    ts_ns: Vec<i64>,
    log_pos: Vec<i64>,
    venue_seq: Vec<Option<i64>>,
    exact: Vec<Option<String>>,
    /// Places, among all reports, of those with a text that PostgreSQL does not take: one with a NUL in it.
    pub unwritable: Vec<usize>,
    /// Up to where the rows bring each symbol.
    pub reached: HashMap<SymbolId, Position>,
}

/// Names as they are looked up for a batch: once a symbol and source.
struct Lookup<'a> {
    symbols: &'a SymbolTable,
    sources: &'a SourceTable,
    specs: HashMap<SymbolId, (Arc<str>, Arc<SymbolSpec>)>,
    providers: HashMap<SourceId, Arc<str>>,
}

impl Lookup<'_> {
    fn symbol(&mut self, id: SymbolId) -> (Arc<str>, Arc<SymbolSpec>) {
        let known = self.specs.entry(id).or_insert_with(|| {
            let spec = self.symbols.spec(id);
            (Arc::from(spec.name.as_str()), spec)
        });
        (Arc::clone(&known.0), Arc::clone(&known.1))
    }

    fn provider(&mut self, id: SourceId) -> Arc<str> {
        let sources = self.sources;
        Arc::clone(self.providers.entry(id).or_insert_with(|| Arc::from(sources.name(id))))
    }
}

impl TickRows {
    /// Makes rows of those reports that the tables do not have.
    pub fn of(
        reports: &[Arc<Vec<AcceptedReport>>],
        progress: &Progress,
        symbols: &SymbolTable,
        sources: &SourceTable,
    ) -> TickRows {
        let mut rows = TickRows::default();
        let mut names = Lookup { symbols, sources, specs: HashMap::new(), providers: HashMap::new() };
        for (place, report) in reports.iter().flat_map(|part| part.iter()).enumerate() {
            let Entry { pos, symbol, body } = &report.entry;
            if progress.has(*symbol, *pos) {
                continue;
            }
            let (name, spec) = names.symbol(*symbol);
            rows.push(place, report, name, &spec, names.provider(body.source()));
            let reached = rows.reached.entry(*symbol).or_default();
            *reached = (*reached).max(*pos);
        }
        rows
    }

    fn push(
        &mut self,
        place: usize,
        report: &AcceptedReport,
        name: Arc<str>,
        spec: &SymbolSpec,
        provider: Arc<str>,
    ) {
        let body = &report.entry.body;
        let row = Row::of(body, spec);
        if [&row.trade_id, &row.ref_trade_id].into_iter().flatten().any(|id| id.contains('\0')) {
            self.unwritable.push(place);
        }
        self.time.push(timestamp(body.time()));
        self.symbol.push(name);
        self.price.push(row.price.map(|price| spec.price_scale.to_f64(price.0)));
        self.volume.push(row.size.map(|size| spec.size_scale.to_f64(size.0)));
        self.tick_type.push(row.tick_type);
        let side = |price: Price| (price.0 > 0).then(|| spec.price_scale.to_f64(price.0));
        let quote = row.quote;
        self.bid.push(quote.and_then(|quote| side(quote.bid)));
        self.ask.push(quote.and_then(|quote| side(quote.ask)));
        self.bid_size.push(quote.map(|quote| spec.size_scale.to_f64(quote.bid_size.0)));
        self.ask_size.push(quote.map(|quote| spec.size_scale.to_f64(quote.ask_size.0)));
        self.trade_id.push(row.trade_id);
        self.ref_trade_id.push(row.ref_trade_id);
        self.seq.push(report.seq.map(u64::cast_signed));
        self.updates.push(row.trade.map(|trade| trade.updates.as_str()));
        self.provider.push(provider);
        let received = body.received().filter(|received| *received != Nanos::MIN);
        self.received_at.push(received.map(timestamp));
        self.ts_ns.push(body.time().0);
        self.log_pos.push(report.entry.pos.cast_signed());
        let venue_seq = row.trade.map(|trade| trade.seq).filter(|seq| *seq != 0);
        self.venue_seq.push(venue_seq.map(u64::cast_signed));
        let values = [row.price.map(|price| i128::from(price.0)), row.size.map(|size| i128::from(size.0))];
        self.exact.push(exact::text(values));
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.time.len()
    }

    /// Returns the event times.
    pub fn times(&self) -> impl Iterator<Item = Nanos> {
        self.ts_ns.iter().map(|ts| Nanos(*ts))
    }

    /// Inserts the rows.
    pub async fn write(&self, conn: &mut PgConnection) -> Result<(), StoreError> {
        match self.len() {
            0 => Ok(()),
            num_rows if num_rows >= COPIED_FROM => self.copy(conn).await,
            _ => self.insert(conn).await,
        }
    }

    async fn copy(&self, conn: &mut PgConnection) -> Result<(), StoreError> {
        let copying = format!("COPY tick_data ({COLUMNS}) FROM STDIN (FORMAT binary)");
        let mut copy = conn.copy_in_raw(&copying).await.map_err(failed(WRITING))?;
        copy.send(self.copied()).await.map_err(failed(WRITING))?;
        copy.finish().await.map(|_| ()).map_err(failed(WRITING))
    }

    /// Returns the rows as COPY takes them, in the order of [`COLUMNS`].
    fn copied(&self) -> Vec<u8> {
        let mut rows = CopyRows::new(NUM_COLUMNS, self.len() * 256);
        for at in 0..self.len() {
            rows.row();
            rows.time(Some(self.time[at]));
            rows.text(Some(&self.symbol[at]));
            rows.double(self.price[at]);
            rows.double(self.volume[at]);
            rows.text(Some(self.tick_type[at]));
            rows.double(self.bid[at]);
            rows.double(self.ask[at]);
            rows.double(self.bid_size[at]);
            rows.double(self.ask_size[at]);
            rows.text(self.trade_id[at].as_deref());
            rows.text(self.ref_trade_id[at].as_deref());
            rows.integer(self.seq[at]);
            rows.text(self.updates[at]);
            rows.text(Some(&self.provider[at]));
            rows.time(self.received_at[at]);
            rows.integer(Some(self.ts_ns[at]));
            rows.integer(Some(self.log_pos[at]));
            rows.integer(self.venue_seq[at]);
            rows.text(self.exact[at].as_deref());
        }
        rows.finish()
    }

    async fn insert(&self, conn: &mut PgConnection) -> Result<(), StoreError> {
        let sql = format!(
            "INSERT INTO tick_data ({COLUMNS}) SELECT * FROM unnest($1::timestamptz[], $2::varchar[], $3::float8[], $4::float8[], $5::varchar[], \
             $6::float8[], $7::float8[], $8::float8[], $9::float8[], $10::varchar[], $11::varchar[], $12::bigint[], \
             $13::varchar[], $14::varchar[], $15::timestamptz[], $16::bigint[], $17::bigint[], $18::bigint[], \
             $19::varchar[])"
        );
        sqlx::query(AssertSqlSafe(sql))
            .bind(&self.time)
            .bind(texts(&self.symbol))
            .bind(&self.price)
            .bind(&self.volume)
            .bind(&self.tick_type)
            .bind(&self.bid)
            .bind(&self.ask)
            .bind(&self.bid_size)
            .bind(&self.ask_size)
            .bind(&self.trade_id)
            .bind(&self.ref_trade_id)
            .bind(&self.seq)
            .bind(&self.updates)
            .bind(texts(&self.provider))
            .bind(&self.received_at)
            .bind(&self.ts_ns)
            .bind(&self.log_pos)
            .bind(&self.venue_seq)
            .bind(&self.exact)
            .execute(conn)
            .await
            .map(|_| ())
            .map_err(failed(WRITING))
    }
}

fn texts(of: &[Arc<str>]) -> Vec<&str> {
    of.iter().map(|text| &**text).collect()
}

/// What the columns have of a report.
#[derive(Default)]
struct Row<'a> {
    tick_type: &'static str,
    price: Option<Price>,
    size: Option<Size>,
    trade: Option<&'a Trade>,
    quote: Option<&'a Quote>,
    trade_id: Option<String>,
    ref_trade_id: Option<String>,
}

impl<'a> Row<'a> {
    fn of(body: &'a Body, spec: &SymbolSpec) -> Row<'a> {
        let of_trade = |tick_type, trade: &'a Trade| Row {
            tick_type,
            price: Some(trade.price),
            size: Some(trade.size),
            trade: Some(trade),
            trade_id: Some(trade.id.to_text()),
            ..Row::default()
        };
        match body {
            Body::Trade(trade) => of_trade("trade", trade),
            Body::Correction(Correction { target, trade }) => {
                Row { ref_trade_id: Some(target.to_text()), ..of_trade("correction", trade) }
            }
            Body::Cancel(cancel) => {
                Row { tick_type: "cancel", trade_id: Some(cancel.target.to_text()), ..Row::default() }
            }
            Body::Quote(quote) => Row {
                tick_type: "quote",
                price: quote.price(spec.price),
                quote: Some(quote),
                ..Row::default()
            },
            Body::VenueBar(_)
            | Body::Gap(_)
            | Body::SourceInCharge { .. }
            | Body::Symbol { .. }
            | Body::Detection { .. }
            | Body::ClockMark { .. } => Row::default(),
        }
    }
}
