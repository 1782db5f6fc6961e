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
//!
//! What a symbol is shares the kind of a change of source, and is told from it by `updates`, which is 1: three bits have no
//! room for a ninth kind. Its `ts` is when it was received, and what it says stands in `extra`. In the same way what is looked
//! for shares the kind of a gap; its `ts` is when it was stated. A program that does not know it finds a damaged gap there
//! and stops.
//!
//! `extra` ends with the checksum of the row, and is the checksum alone where there is nothing else to say; so it takes
//! four bytes and no column of its own. Rows without one were written before there were any.

use crate::models::entry::{Body, Cancel, Correction, Entry, Gap, Quote, Trade, TradeId, Updates, VenueBar};
use crate::models::num::{Price, Size};
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use crate::stores::error::StoreError;
use crate::stores::sqlite::checked::{DIFFERS, Fault, LACKING, damaged, get, get_unsigned};
use crate::stores::sqlite::names::{Sources, Symbols};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, Row, TypeInfo, ValueRef};
use std::borrow::Cow;

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

/// In `updates` of a row of the kind [`SOURCE_IN_CHARGE`]: it says what a symbol is.
const DEFINES_SYMBOL: u8 = 1;

/// In `updates` of a row of the kind [`GAP`]: it says what is looked for.
const SAYS_DETECTION: u8 = 1;

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
    id: Option<Id<'static>>,
    seq: Option<i64>,
    extra: Option<Vec<u8>>,
}

/// The column `id`: the venue's spelling where it can be had back, so that people can read it, else the 16 bytes.
enum Id<'r> {
    Number(i64),
    Text(Cow<'r, str>),
    Bytes(Cow<'r, [u8]>),
}

impl<'r> Id<'r> {
    fn of(id: TradeId) -> Id<'static> {
        let (hi, lo) = id.words();
        match i64::try_from(lo) {
            Ok(number) if hi == 0 => return Id::Number(number),
            _ => {}
        }
        match id.venue_text() {
            Some(text) => Id::Text(text.into()),
            None => Id::Bytes([hi.to_be_bytes(), lo.to_be_bytes()].concat().into()),
        }
    }

    /// Reads the column of a row.
    fn read(row: &'r SqliteRow) -> Result<Option<Id<'r>>, Fault> {
        let value = row.try_get_raw(ID).map_err(|error| Fault::new(error.to_string()))?;
        if value.is_null() {
            return Ok(None);
        }
        Ok(Some(match value.type_info().name() {
            "INTEGER" => Id::Number(get(row, ID)?),
            "TEXT" => Id::Text(Cow::Borrowed(get(row, ID)?)),
            _ => Id::Bytes(Cow::Borrowed(get(row, ID)?)),
        }))
    }

    fn trade_id(&self) -> Result<TradeId, Fault> {
        match self {
            Id::Number(number) => Ok(TradeId::number(number.cast_unsigned())),
            Id::Text(text) => Ok(TradeId::from_text(text.as_bytes())),
            Id::Bytes(bytes) => {
                let bytes = <[u8; 16]>::try_from(&**bytes).map_err(|_| Fault::new("no identity"))?;
                let packed = u128::from_be_bytes(bytes);
                Ok(TradeId::from_words((packed >> 64) as u64, packed as u64))
            }
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
            Body::Symbol { received, definition, .. } => Columns {
                kind: SOURCE_IN_CHARGE,
                updates: DEFINES_SYMBOL,
                ts: *received,
                extra: Some(pack(definition)),
                ..Columns::default()
            },
            Body::Detection { at, document } => Columns {
                kind: GAP,
                updates: SAYS_DETECTION,
                ts: *at,
                extra: Some(pack(document)),
                ..Columns::default()
            },
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

/// Works out the checksum of a row; `extra` is what stands before it. It is on the path of every entry: hence an array,
/// which holds which integers there are and of what kind the id is, the integers, and the id where it is one.
fn checksum(integers: [Option<i64>; 7], id: Option<&Id<'_>>, extra: &[u8]) -> i32 {
    const WORD: usize = 8;
    let mut bytes = [0; 2 + 8 * WORD];
    let (mut end, mut present) = (2, 0);
    let (id_kind, id_number, id_bytes): (u8, Option<i64>, &[u8]) = match id {
        None => (0, None, &[]),
        Some(Id::Number(number)) => (1, Some(*number), &[]),
        Some(Id::Text(text)) => (2, None, text.as_bytes()),
        Some(Id::Bytes(bytes)) => (3, None, bytes),
    };
    for (at, value) in integers.into_iter().chain([id_number]).enumerate() {
        if let Some(value) = value {
            present |= 1 << at;
            bytes[end..end + WORD].copy_from_slice(&value.to_le_bytes());
            end += WORD;
        }
    }
    bytes[0] = present;
    bytes[1] = id_kind;
    if id_bytes.is_empty() && extra.is_empty() {
        return crc32fast::hash(&bytes[..end]).cast_signed();
    }
    let mut sum = crc32fast::Hasher::new();
    sum.update(&bytes[..end]);
    sum.update(&(id_bytes.len() as u64).to_le_bytes());
    sum.update(id_bytes);
    sum.update(extra);
    sum.finalize().cast_signed()
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
    let integers = [
        Some(entry.pos.cast_signed()),
        Some(head),
        Some(columns.ts.0),
        received,
        columns.price,
        columns.size,
        columns.seq,
    ];
    let checksum = checksum(integers, columns.id.as_ref(), columns.extra.as_deref().unwrap_or_default());
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
        match columns.extra {
            Some(mut extra) => {
                extra.extend_from_slice(&checksum.to_le_bytes());
                arguments.add(extra)
            }
            None => arguments.add(checksum),
        }
    };
    add().map_err(|error| StoreError::Permanent {
        context: "failed to write an entry",
        cause: error.to_string(),
    })
}

/// Columns of [`COLUMNS`] that hold values of more than one type.
const ID: usize = 6;
const EXTRA: usize = 8;

/// The columns of a row that was read, before anything is made of them.
struct Stored<'r> {
    head: i64,
    ts: Nanos,
    received: Option<i64>,
    price: Option<i64>,
    size: Option<i64>,
    id: Option<Id<'r>>,
    seq: Option<i64>,
    /// Without the checksum, unless it was written before there were any.
    extra: &'r [u8],
}

impl<'r> Stored<'r> {
    fn read(row: &'r SqliteRow, may_lack_checksum: bool) -> Result<Stored<'r>, Fault> {
        let extra = row.try_get_raw(EXTRA).map_err(|error| Fault::new(error.to_string()))?;
        let (extra, expected): (&[u8], Option<i64>) = match extra.is_null() {
            true => (&[], None),
            false if extra.type_info().name() == "INTEGER" => (&[], Some(get(row, EXTRA)?)),
            false => (get(row, EXTRA)?, None),
        };
        let mut stored = Stored {
            head: get(row, 1)?,
            ts: Nanos(get(row, 2)?),
            received: get(row, 3)?,
            price: get(row, 4)?,
            size: get(row, 5)?,
            id: Id::read(row)?,
            seq: get(row, 7)?,
            extra,
        };
        let pos = get(row, 0)?;
        let integers = [
            Some(pos),
            Some(stored.head),
            Some(stored.ts.0),
            stored.received,
            stored.price,
            stored.size,
            stored.seq,
        ];
        match (expected, extra.split_last_chunk::<4>()) {
            (Some(expected), _) if expected != i64::from(checksum(integers, stored.id.as_ref(), &[])) => {
                return Err(Fault::new(DIFFERS));
            }
            // Where it differs the row is older, if nothing is behind what it says, and damaged otherwise.
            (None, Some((said, sum)))
                if i32::from_le_bytes(*sum) == checksum(integers, stored.id.as_ref(), said) =>
            {
                stored.extra = said;
            }
            (None, Some(_)) if !may_lack_checksum => return Err(Fault::new(DIFFERS)),
            (None, None) if !may_lack_checksum => return Err(Fault::new(LACKING)),
            _ => {}
        }
        Ok(stored)
    }

    fn unpack<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        match postcard::take_from_bytes(self.extra) {
            Ok((value, [])) => Ok(value),
            Ok((_, [_, _, _, _])) => Err(Fault::new(DIFFERS)),
            _ => Err(Fault::new("`extra` says nothing")),
        }
    }

    fn trade_id(&self) -> Result<TradeId, Fault> {
        self.id.as_ref().ok_or_else(|| missing("id"))?.trade_id()
    }

    fn price(&self) -> Result<Price, Fault> {
        self.price.map(Price).ok_or_else(|| missing("price"))
    }

    fn size(&self) -> Result<Size, Fault> {
        self.size.map(Size).ok_or_else(|| missing("size"))
    }
}

fn missing(column: &str) -> Fault {
    Fault::new(format!("there is no `{column}`"))
}

/// Reads an entry from a row of [`COLUMNS`] in a part of the log.
pub(super) fn decode(
    row: &SqliteRow,
    part: u32,
    symbols: &Symbols,
    sources: &Sources,
) -> Result<Entry, StoreError> {
    decode_row(row, symbols, sources).map_err(|fault| {
        let pos: Result<i64, Fault> = get(row, 0);
        let place = pos.map_or_else(|_| "position unreadable".to_owned(), |pos| format!("position {pos}"));
        damaged(super::file::FILE_NAME, &format!("log_{part:06}"), place, &fault)
    })
}

/// As [`decode`], for whoever knows which row it is.
pub(super) fn decode_row(row: &SqliteRow, symbols: &Symbols, sources: &Sources) -> Result<Entry, Fault> {
    let stored = Stored::read(row, symbols.has_unchecked_rows)?;
    let head = stored.head;
    let symbol = match u32::try_from(head >> SYMBOL_AT).map_err(|_| Fault::new("`head` says nothing"))? {
        0 => SymbolId::NONE,
        number => symbols.process(number - 1)?,
    };
    let source = sources.process((head >> SOURCE_AT) as u16)?;
    let updates = Updates::from_bits((head >> UPDATES_AT) as u8);
    let ts = stored.ts;
    let received = stored.received.map_or(Nanos::MIN, |after| Nanos(ts.0.wrapping_add(after)));
    let trade = || -> Result<Trade, Fault> {
        let seq = stored.seq.unwrap_or(0).cast_unsigned();
        let (price, size, id) = (stored.price()?, stored.size()?, stored.trade_id()?);
        Ok(Trade { ts, received, price, size, seq, id, source, updates })
    };
    let body = match head & 7 {
        TRADE => Body::Trade(trade()?),
        CANCEL => Body::Cancel(Cancel { ts, received, target: stored.trade_id()?, source }),
        CORRECTION => Body::Correction(Correction { target: stored.unpack()?, trade: trade()? }),
        QUOTE => Body::Quote(Quote {
            ts,
            received,
            bid: stored.price()?,
            ask: match stored.id {
                Some(Id::Number(ask)) => Price(ask),
                _ => return Err(missing("id")),
            },
            bid_size: stored.size()?,
            ask_size: Size(stored.seq.ok_or_else(|| missing("seq"))?),
            source,
        }),
        VENUE_BAR => {
            let (open, high, low, vwap, trade_count, width_ms) = stored.unpack()?;
            let (close, volume) = (stored.price()?, stored.size()?);
            Body::VenueBar(VenueBar {
                start: ts,
                received,
                open,
                high,
                low,
                close,
                volume,
                vwap,
                trade_count,
                width_ms,
                source,
            })
        }
        GAP if updates.bits() == SAYS_DETECTION => Body::Detection { at: ts, document: stored.unpack()? },
        GAP => {
            let (from, filled) = stored.unpack()?;
            Body::Gap(Gap { source, from, to: ts, filled })
        }
        SOURCE_IN_CHARGE if updates.bits() == DEFINES_SYMBOL => {
            Body::Symbol { source, received: ts, definition: stored.unpack()? }
        }
        SOURCE_IN_CHARGE => Body::SourceInCharge { source, from: ts },
        _ => Body::ClockMark { source, time: ts },
    };
    Ok(Entry { pos: get_unsigned(row, 0)?, symbol, body })
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
         CASE WHEN log.head & 7 = {QUOTE} THEN NULL WHEN typeof(log.id) = 'blob' THEN '#' || lower(hex(log.id)) \
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
