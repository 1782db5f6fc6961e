//! Entries as rows of a part of the log, compact and exact.
//!
//! | column | trade, correction | cancel | quote | venue's bar | others |
//! | --- | --- | --- | --- | --- | --- |
//! | `pos` | place in the log | ← | ← | ← | ← |
//! | `head` | kind (3 bits), updates (3), source (16), symbol + 1 | ← | ← | ← | ← |
//! | `ts` | event time | ← | ← | start | gap: end |
//! | `received` | received − ts; NULL unknown | ← | ← | ← | |
//! | `price`, `size` | price, size | | bid, its size | close, volume | |
//! | `id` | identity | target | ask | | |
//! | `seq` | sequence; NULL 0 | | size at the ask | | |
//! | `extra` | correction: target | | | the rest | gap: the rest |

use super::database::corrupt;
use super::names::{Sources, Symbols};
use crate::models::entry::{
    Body, Cancel, Correction, Entry, Gap, Quote, SourceId, Trade, TradeId, Updates, VenueBar,
};
use crate::models::num::{Price, Size};
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use crate::stores::StoreError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, Row, TypeInfo, ValueRef};

/// The columns, in the order in which [`bind`] gives and [`decode`] takes them.
pub(super) const COLUMNS: &str = "pos, head, ts, received, price, size, id, seq, extra";

/// Number of columns.
pub(super) const NUM_COLUMNS: usize = 9;

const TRADE: i64 = 0;
const CANCEL: i64 = 1;
const CORRECTION: i64 = 2;
const QUOTE: i64 = 3;
const VENUE_BAR: i64 = 4;
const GAP: i64 = 5;
const SOURCE_IN_CHARGE: i64 = 6;
const CLOCK_MARK: i64 = 7;

const UPDATES_AT: u32 = 3;
const SOURCE_AT: u32 = 6;
/// The bits of `head` from here on are the symbol's number plus one; 0 for entries of no symbol.
pub(super) const SYMBOL_AT: u32 = 22;

/// A row before it is bound.
#[derive(Default)]
struct Columns {
    kind: i64,
    updates: u8,
    ts: Nanos,
    received: Option<Nanos>,
    price: Option<i64>,
    size: Option<i64>,
    id: Option<Id>,
    seq: Option<i64>,
    extra: Option<Vec<u8>>,
}

/// The column `id`: the venue's spelling where it can be had back, so that people can read it, else the 16 bytes.
enum Id {
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Id {
    fn of(id: TradeId) -> Id {
        let (hi, lo) = id.words();
        match i64::try_from(lo) {
            Ok(number) if hi == 0 => return Id::Number(number),
            _ => {}
        }
        match id.to_text() {
            // A number beyond 2^63 would come back as another kind of id, and so would odd inline texts.
            Some(text) if TradeId::from_text(text.as_bytes()) == id => Id::Text(text),
            _ => Id::Bytes([hi.to_be_bytes(), lo.to_be_bytes()].concat()),
        }
    }
}

impl Columns {
    fn of(body: &Body) -> Columns {
        match body {
            Body::Trade(trade) => Columns::trade(TRADE, trade),
            Body::Cancel(cancel) => Columns {
                kind: CANCEL,
                ts: cancel.ts,
                received: Some(cancel.received),
                id: Some(Id::of(cancel.target)),
                ..Columns::default()
            },
            Body::Correction(Correction { target, trade }) => {
                Columns { extra: Some(pack(target)), ..Columns::trade(CORRECTION, trade) }
            }
            Body::Quote(quote) => Columns {
                kind: QUOTE,
                ts: quote.ts,
                received: Some(quote.received),
                price: Some(quote.bid.0),
                size: Some(quote.bid_size.0),
                id: Some(Id::Number(quote.ask.0)),
                seq: Some(quote.ask_size.0),
                ..Columns::default()
            },
            Body::VenueBar(bar) => Columns {
                kind: VENUE_BAR,
                ts: bar.start,
                received: Some(bar.received),
                price: Some(bar.close.0),
                size: Some(bar.volume.0),
                extra: Some(pack(&(bar.open, bar.high, bar.low, bar.vwap, bar.trade_count, bar.width_ms))),
                ..Columns::default()
            },
            Body::Gap(gap) => Columns {
                kind: GAP,
                ts: gap.to,
                extra: Some(pack(&(gap.from, gap.filled))),
                ..Columns::default()
            },
            Body::SourceInCharge { from, .. } => {
                Columns { kind: SOURCE_IN_CHARGE, ts: *from, ..Columns::default() }
            }
            Body::ClockMark { time, .. } => Columns { kind: CLOCK_MARK, ts: *time, ..Columns::default() },
        }
    }

    fn trade(kind: i64, trade: &Trade) -> Columns {
        Columns {
            kind,
            updates: trade.updates.bits(),
            ts: trade.ts,
            received: Some(trade.received),
            price: Some(trade.price.0),
            size: Some(trade.size.0),
            id: Some(Id::of(trade.id)),
            seq: (trade.seq != 0).then_some(trade.seq.cast_signed()),
            extra: None,
        }
    }
}

fn pack(value: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(value).expect("plain data")
}

fn unpack<T: DeserializeOwned>(row: &SqliteRow) -> Result<T, StoreError> {
    postcard::from_bytes(row.get_unchecked::<&[u8], _>(8)).map_err(|_| corrupt("an entry's `extra`"))
}

/// Adds the entry's columns to the arguments of an INSERT.
pub(super) fn bind(
    entry: &Entry,
    symbols: &Symbols,
    sources: &Sources,
    arguments: &mut SqliteArguments,
) -> Result<(), StoreError> {
    let unnamed = || StoreError::Permanent {
        context: "failed to write an entry",
        cause: format!("entry {} has a symbol or source without a name", entry.pos),
    };
    let columns = Columns::of(&entry.body);
    let symbol = match entry.symbol {
        SymbolId::NONE => 0,
        symbol => i64::from(symbols.stored(symbol).ok_or_else(unnamed)?) + 1,
    };
    let source = sources.stored(entry.body.source()).ok_or_else(unnamed)?;
    let head = columns.kind
        | i64::from(columns.updates) << UPDATES_AT
        | i64::from(source) << SOURCE_AT
        | symbol << SYMBOL_AT;
    let received = columns.received.filter(|at| *at != Nanos::MIN).map(|at| at.0.wrapping_sub(columns.ts.0));
    let add = || -> Result<(), sqlx::error::BoxDynError> {
        arguments.add(entry.pos.cast_signed())?;
        arguments.add(head)?;
        arguments.add(columns.ts.0)?;
        arguments.add(received)?;
        arguments.add(columns.price)?;
        arguments.add(columns.size)?;
        match columns.id {
            Some(Id::Number(number)) => arguments.add(number)?,
            Some(Id::Text(text)) => arguments.add(text)?,
            Some(Id::Bytes(bytes)) => arguments.add(bytes)?,
            None => arguments.add(None::<i64>)?,
        }
        arguments.add(columns.seq)?;
        arguments.add(columns.extra)
    };
    add().map_err(|error| StoreError::Permanent {
        context: "failed to write an entry",
        cause: error.to_string(),
    })
}

/// Reads an entry from a row of [`COLUMNS`].
pub(super) fn decode(row: &SqliteRow, symbols: &Symbols, sources: &Sources) -> Result<Entry, StoreError> {
    let head: i64 = row.get_unchecked(1);
    let symbol = match u32::try_from(head >> SYMBOL_AT).map_err(|_| corrupt("an entry's `head`"))? {
        0 => SymbolId::NONE,
        stored => symbols.process(stored - 1)?,
    };
    let source = sources.process((head >> SOURCE_AT) as u16)?;
    let updates = Updates::from_bits((head >> UPDATES_AT) as u8);
    let ts = Nanos(row.get_unchecked(2));
    let received =
        row.get_unchecked::<Option<i64>, _>(3).map_or(Nanos::MIN, |after| Nanos(ts.0.wrapping_add(after)));
    let (price, size) = (Price(row.get_unchecked(4)), Size(row.get_unchecked(5)));
    let trade = || -> Result<Trade, StoreError> {
        let seq = row.get_unchecked::<Option<i64>, _>(7).unwrap_or(0).cast_unsigned();
        Ok(Trade { ts, received, price, size, seq, id: decode_id(row)?, source, updates })
    };
    let body = match head & 7 {
        TRADE => Body::Trade(trade()?),
        CANCEL => Body::Cancel(Cancel { ts, received, target: decode_id(row)?, source }),
        CORRECTION => Body::Correction(Correction { target: unpack(row)?, trade: trade()? }),
        QUOTE => Body::Quote(Quote {
            ts,
            received,
            bid: price,
            ask: Price(row.get_unchecked(6)),
            bid_size: size,
            ask_size: Size(row.get_unchecked(7)),
            source,
        }),
        VENUE_BAR => Body::VenueBar(decode_bar(row, ts, received, source)?),
        GAP => {
            let (from, filled) = unpack(row)?;
            Body::Gap(Gap { source, from, to: ts, filled })
        }
        SOURCE_IN_CHARGE => Body::SourceInCharge { source, from: ts },
        _ => Body::ClockMark { source, time: ts },
    };
    Ok(Entry { pos: row.get_unchecked::<i64, _>(0).cast_unsigned(), symbol, body })
}

fn decode_id(row: &SqliteRow) -> Result<TradeId, StoreError> {
    let damaged = || corrupt("a trade's identity");
    let value = row.try_get_raw(6).map_err(|_| damaged())?;
    match value.type_info().name() {
        "INTEGER" => Ok(TradeId::number(row.get_unchecked::<i64, _>(6).cast_unsigned())),
        "TEXT" => Ok(TradeId::from_text(row.get_unchecked::<&str, _>(6).as_bytes())),
        _ => {
            let bytes = <[u8; 16]>::try_from(row.get_unchecked::<&[u8], _>(6)).map_err(|_| damaged())?;
            let packed = u128::from_be_bytes(bytes);
            Ok(TradeId::from_words((packed >> 64) as u64, packed as u64))
        }
    }
}

fn decode_bar(
    row: &SqliteRow,
    start: Nanos,
    received: Nanos,
    source: SourceId,
) -> Result<VenueBar, StoreError> {
    let (open, high, low, vwap, trade_count, width_ms) = unpack(row)?;
    let (close, volume) = (Price(row.get_unchecked(4)), Size(row.get_unchecked(5)));
    Ok(VenueBar { start, received, open, high, low, close, volume, vwap, trade_count, width_ms, source })
}

/// The SELECT behind the view `tick_data` over the rows of the given parts.
pub(super) fn tick_data_sql(parts: &[u32]) -> String {
    let log: Vec<String> = parts.iter().map(|part| format!("SELECT {COLUMNS} FROM log_{part:06}")).collect();
    let time = |ts: &str| {
        format!(
            "strftime('%Y-%m-%dT%H:%M:%S', {ts} / 1000000000, 'unixepoch') \
             || printf('.%06dZ', {ts} % 1000000000 / 1000)"
        )
    };
    let (event_time, received_at) = (time("log.ts"), time("(log.ts + log.received)"));
    let log = log.join(" UNION ALL ");
    format!(
        "SELECT {event_time} AS time, symbols.name AS symbol, \
         CASE WHEN log.head & 7 <> {QUOTE} THEN log.price / symbols.price_unit END AS price, \
         CASE WHEN log.head & 7 <> {QUOTE} THEN log.size / symbols.size_unit END AS volume, \
         CASE log.head & 7 WHEN {TRADE} THEN 'trade' WHEN {CANCEL} THEN 'cancel' \
         WHEN {CORRECTION} THEN 'correction' WHEN {QUOTE} THEN 'quote' ELSE 'bar' END AS tick_type, \
         CASE WHEN log.head & 7 = {QUOTE} THEN log.price / symbols.price_unit END AS bid, \
         CASE WHEN log.head & 7 = {QUOTE} THEN log.id / symbols.price_unit END AS ask, \
         CASE WHEN log.head & 7 = {QUOTE} THEN log.size / symbols.size_unit END AS bid_size, \
         CASE WHEN log.head & 7 = {QUOTE} THEN log.seq / symbols.size_unit END AS ask_size, \
         NULL AS exchange, NULL AS metadata, \
         CASE WHEN log.head & 7 = {QUOTE} THEN NULL WHEN typeof(log.id) = 'blob' THEN lower(hex(log.id)) \
         ELSE CAST(log.id AS TEXT) END AS trade_id, \
         sources.name AS provider, \
         CASE WHEN log.head & 7 IN ({TRADE}, {CORRECTION}) THEN \
         CASE (log.head >> {UPDATES_AT}) & 7 WHEN 0 THEN '-' WHEN 1 THEN 'h' WHEN 2 THEN 'hc' WHEN 3 THEN 'hc' \
         WHEN 4 THEN 'v' WHEN 5 THEN 'hv' ELSE 'hcv' END END AS conditions, \
         {received_at} AS received_at, log.ts AS ts_ns, log.pos AS log_pos \
         FROM ({log}) AS log \
         JOIN (SELECT id, name, CAST('1e' || price_scale AS REAL) AS price_unit, \
         CAST('1e' || size_scale AS REAL) AS size_unit FROM symbols) AS symbols \
         ON symbols.id = (log.head >> {SYMBOL_AT}) - 1 \
         LEFT JOIN sources ON sources.id = (log.head >> {SOURCE_AT}) & 65535 \
         WHERE log.head & 7 <= {VENUE_BAR}"
    )
}
