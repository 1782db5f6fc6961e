//! Ticks in columns: trades, quotes, cancels, corrections and the bars of venues, all of one symbol.
//!
//! A row has the columns that its `tick_type` needs; the others are null. The event time stands there twice: as a time,
//! and as an integer, since some readers keep only microseconds of a time.

use super::{
    ColumnError, column, decimal_type, known, narrow, needed, needed_column, optional, time_type, widened,
};
use crate::models::entry::{
    Body, Cancel, Correction, Entry, Position, Quote, SourceId, Trade, TradeId, Updates, VenueBar,
};
use crate::models::num::{Price, Scale, Size};
use crate::models::symbol::SymbolSpec;
use crate::models::time::Nanos;
use crate::wire::WireError;
use arrow::array::{
    Array, AsArray, Decimal128Array, Int64Array, PrimitiveArray, RecordBatch, StringArray,
    TimestampNanosecondArray, UInt32Array, UInt64Array,
};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Int64Type, Schema, SchemaRef, TimestampNanosecondType,
    UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use std::sync::{Arc, LazyLock};

/// The decimals, in the order of [`Row::decimals`].
const DECIMALS: [&str; 10] =
    ["price", "volume", "bid", "ask", "bid_size", "ask_size", "open", "high", "low", "vwap"];
const PRICE: usize = 0;
const VOLUME: usize = 1;
const BID: usize = 2;
const ASK: usize = 3;
const BID_SIZE: usize = 4;
const ASK_SIZE: usize = 5;
const OPEN: usize = 6;
const HIGH: usize = 7;
const LOW: usize = 8;
const VWAP: usize = 9;

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let mut fields = vec![
        optional("time", time_type()),
        needed("ts_ns", DataType::Int64),
        needed("tick_type", DataType::Utf8),
    ];
    fields.extend(DECIMALS.map(|name| optional(name, decimal_type())));
    fields.extend([
        optional("trade_count", DataType::UInt32),
        optional("window_ms", DataType::UInt32),
        optional("trade_id", DataType::Utf8),
        optional("ref_trade_id", DataType::Utf8),
        optional("seq", DataType::UInt64),
        optional("updates", DataType::Utf8),
        needed("provider", DataType::Utf8),
        optional("received_at", time_type()),
        needed("log_pos", DataType::UInt64),
    ]);
    Arc::new(Schema::new(fields))
});

/// Returns the columns of ticks.
#[must_use]
pub fn ticks_schema() -> SchemaRef {
    Arc::clone(&SCHEMA)
}

/// One tick, cut into columns.
#[derive(Default)]
struct Row {
    tick_type: &'static str,
    decimals: [Option<i128>; DECIMALS.len()],
    trade_count: Option<u32>,
    window_ms: Option<u32>,
    trade_id: Option<String>,
    ref_trade_id: Option<String>,
    seq: Option<u64>,
    updates: Option<&'static str>,
    received: Option<i64>,
}

impl Row {
    /// Cuts an entry; `None` for one that is no tick.
    fn of(body: &Body, spec: &SymbolSpec) -> Option<Row> {
        let price = |price: Price| Some(widened(price.0, spec.price_scale));
        let size = |size: Size| Some(widened(size.0, spec.size_scale));
        // A side, a mean or a count that there is none of.
        let side = |value: Price| (value.0 != 0).then(|| widened(value.0, spec.price_scale));
        let trade = |tick_type: &'static str, trade: &Trade| {
            let mut row = Row {
                tick_type,
                trade_id: Some(trade.id.to_text()),
                seq: (trade.seq != 0).then_some(trade.seq),
                updates: Some(trade.updates.as_str()),
                received: known(trade.received),
                ..Row::default()
            };
            row.decimals[PRICE] = price(trade.price);
            row.decimals[VOLUME] = size(trade.size);
            row
        };
        Some(match body {
            Body::Trade(of) => trade("trade", of),
            Body::Correction(Correction { target, trade: of }) => {
                Row { ref_trade_id: Some(target.to_text()), ..trade("correction", of) }
            }
            Body::Cancel(cancel) => Row {
                tick_type: "cancel",
                ref_trade_id: Some(cancel.target.to_text()),
                received: known(cancel.received),
                ..Row::default()
            },
            Body::Quote(quote) => {
                let mut row = Row { tick_type: "quote", received: known(quote.received), ..Row::default() };
                row.decimals[BID] = side(quote.bid);
                row.decimals[ASK] = side(quote.ask);
                row.decimals[BID_SIZE] = size(quote.bid_size);
                row.decimals[ASK_SIZE] = size(quote.ask_size);
                row
            }
            Body::VenueBar(bar) => {
                let mut row = Row {
                    tick_type: "bar",
                    trade_count: (bar.trade_count != 0).then_some(bar.trade_count),
                    window_ms: Some(bar.width_ms),
                    received: known(bar.received),
                    ..Row::default()
                };
                let prices = [(PRICE, bar.close), (OPEN, bar.open), (HIGH, bar.high), (LOW, bar.low)];
                for (at, value) in prices {
                    row.decimals[at] = price(value);
                }
                row.decimals[VOLUME] = size(bar.volume);
                row.decimals[VWAP] = side(bar.vwap);
                row
            }
            Body::Gap(_)
            | Body::SourceInCharge { .. }
            | Body::Symbol { .. }
            | Body::Detection { .. }
            | Body::ClockMark { .. } => {
                return None;
            }
        })
    }
}

/// Puts ticks of one symbol into columns; entries that are no ticks are left out. `source` names a source.
///
/// # Errors
/// Never in practice: the columns fit the schema.
pub fn ticks(
    entries: &[Entry],
    spec: &SymbolSpec,
    source: impl Fn(SourceId) -> String,
) -> Result<RecordBatch, ArrowError> {
    let rows: Vec<(&Entry, Row)> =
        entries.iter().filter_map(|entry| Some((entry, Row::of(&entry.body, spec)?))).collect();
    let times = || rows.iter().map(|(entry, _)| entry.body.time());
    let mut named: Option<(SourceId, String)> = None;
    let providers = StringArray::from_iter_values(rows.iter().map(|(entry, _)| {
        let id = entry.body.source();
        match &named {
            Some((known, name)) if *known == id => name.clone(),
            _ => {
                let name = source(id);
                named = Some((id, name.clone()));
                name
            }
        }
    }));
    let mut columns: Vec<Arc<dyn Array>> = vec![
        Arc::new(TimestampNanosecondArray::from_iter(times().map(known)).with_timezone("UTC")),
        Arc::new(Int64Array::from_iter_values(times().map(|time| time.0))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|(_, row)| row.tick_type))),
    ];
    for at in 0..DECIMALS.len() {
        let values = Decimal128Array::from_iter(rows.iter().map(|(_, row)| row.decimals[at]));
        columns.push(Arc::new(values.with_data_type(decimal_type())));
    }
    let received = TimestampNanosecondArray::from_iter(rows.iter().map(|(_, row)| row.received));
    columns.extend([
        Arc::new(UInt32Array::from_iter(rows.iter().map(|(_, row)| row.trade_count))) as Arc<dyn Array>,
        Arc::new(UInt32Array::from_iter(rows.iter().map(|(_, row)| row.window_ms))),
        Arc::new(StringArray::from_iter(rows.iter().map(|(_, row)| row.trade_id.as_deref()))),
        Arc::new(StringArray::from_iter(rows.iter().map(|(_, row)| row.ref_trade_id.as_deref()))),
        Arc::new(UInt64Array::from_iter(rows.iter().map(|(_, row)| row.seq))),
        Arc::new(StringArray::from_iter(rows.iter().map(|(_, row)| row.updates))),
        Arc::new(providers),
        Arc::new(received.with_timezone("UTC")),
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|(entry, _)| entry.pos))),
    ]);
    RecordBatch::try_new(ticks_schema(), columns)
}

/// Ticks in columns, to be read row by row.
pub struct TickRows {
    ts: Int64Array,
    tick_type: StringArray,
    decimals: [Decimal128Array; DECIMALS.len()],
    trade_count: UInt32Array,
    window_ms: UInt32Array,
    trade_id: StringArray,
    ref_trade_id: StringArray,
    seq: UInt64Array,
    updates: StringArray,
    provider: StringArray,
    received: TimestampNanosecondArray,
    pos: UInt64Array,
}

impl TickRows {
    /// Takes the columns of a batch.
    ///
    /// # Errors
    /// When one that is needed is missing, or holds something else.
    pub fn of(batch: &RecordBatch) -> Result<TickRows, ColumnError> {
        let text = |name| column(batch, name, &DataType::Utf8).map(|found| found.as_string::<i32>().clone());
        let mut decimals = Vec::with_capacity(DECIMALS.len());
        for name in DECIMALS {
            decimals.push(column(batch, name, &decimal_type())?.as_primitive::<Decimal128Type>().clone());
        }
        let tick_type = needed_column(batch, "tick_type", &DataType::Utf8)?;
        Ok(TickRows {
            ts: needed_column(batch, "ts_ns", &DataType::Int64)?.as_primitive::<Int64Type>().clone(),
            tick_type: tick_type.as_string::<i32>().clone(),
            decimals: decimals.try_into().expect("one for each name"),
            trade_count: column(batch, "trade_count", &DataType::UInt32)?
                .as_primitive::<UInt32Type>()
                .clone(),
            window_ms: column(batch, "window_ms", &DataType::UInt32)?.as_primitive::<UInt32Type>().clone(),
            trade_id: text("trade_id")?,
            ref_trade_id: text("ref_trade_id")?,
            seq: column(batch, "seq", &DataType::UInt64)?.as_primitive::<UInt64Type>().clone(),
            updates: text("updates")?,
            provider: text("provider")?,
            received: column(batch, "received_at", &time_type())?
                .as_primitive::<TimestampNanosecondType>()
                .clone(),
            pos: needed_column(batch, "log_pos", &DataType::UInt64)?.as_primitive::<UInt64Type>().clone(),
        })
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ts.len()
    }

    /// True for no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ts.is_empty()
    }

    /// Returns the row's place in the log that it comes from.
    #[must_use]
    pub fn pos(&self, at: usize) -> Position {
        self.pos.value(at)
    }

    /// Returns the name of the row's source, where it has one.
    #[must_use]
    pub fn provider(&self, at: usize) -> Option<&str> {
        text_at(&self.provider, at)
    }

    /// Reads a row. `given` identifies a trade without an id.
    ///
    /// # Errors
    /// When a value that its type needs is missing, a word is unknown, or a number does not fit the scales.
    pub fn body(
        &self,
        at: usize,
        (price_scale, size_scale): (Scale, Scale),
        source: SourceId,
        given: TradeId,
    ) -> Result<Body, WireError> {
        let (ts, received) =
            (Nanos(self.ts.value(at)), Nanos(value(&self.received, at).unwrap_or(Nanos::MIN.0)));
        let decimal = |of: usize, scale: Scale| -> Result<Option<i64>, WireError> {
            let found = value(&self.decimals[of], at).map(|wide| narrow(wide, scale)).transpose();
            found.map_err(|cause| WireError::Number { field: DECIMALS[of], cause })
        };
        let side = |of: usize| decimal(of, price_scale).map(|found| Price(found.unwrap_or(0)));
        let amount = |of: usize| decimal(of, size_scale).map(|found| Size(found.unwrap_or(0)));
        let price = |of: usize| -> Result<Price, WireError> {
            decimal(of, price_scale)?.map(Price).ok_or(WireError::Missing(DECIMALS[of]))
        };
        let size = |of: usize| -> Result<Size, WireError> {
            decimal(of, size_scale)?.map(Size).ok_or(WireError::Missing(DECIMALS[of]))
        };
        let target = || -> Result<TradeId, WireError> {
            let text = text_at(&self.ref_trade_id, at).ok_or(WireError::Missing("ref_trade_id"))?;
            Ok(TradeId::from_text(text.as_bytes()))
        };
        let trade = || -> Result<Trade, WireError> {
            let updates = text_at(&self.updates, at).unwrap_or_default();
            let id = text_at(&self.trade_id, at).map(|text| TradeId::from_text(text.as_bytes()));
            Ok(Trade {
                ts,
                received,
                price: price(PRICE)?,
                size: size(VOLUME)?,
                seq: value(&self.seq, at).unwrap_or(0),
                id: id.unwrap_or(given),
                source,
                updates: Updates::parse(updates.as_bytes())
                    .ok_or_else(|| WireError::Word { field: "updates", found: updates.to_owned() })?,
            })
        };
        match self.tick_type.value(at) {
            "trade" => Ok(Body::Trade(trade()?)),
            "correction" => Ok(Body::Correction(Correction { target: target()?, trade: trade()? })),
            "cancel" => Ok(Body::Cancel(Cancel { ts, received, target: target()?, source })),
            "quote" => Ok(Body::Quote(Quote {
                ts,
                received,
                bid: side(BID)?,
                ask: side(ASK)?,
                bid_size: amount(BID_SIZE)?,
                ask_size: amount(ASK_SIZE)?,
                source,
            })),
            "bar" => Ok(Body::VenueBar(VenueBar {
                start: ts,
                received,
                open: price(OPEN)?,
                high: price(HIGH)?,
                low: price(LOW)?,
                close: price(PRICE)?,
                volume: size(VOLUME)?,
                vwap: side(VWAP)?,
                trade_count: value(&self.trade_count, at).unwrap_or(0),
                width_ms: value(&self.window_ms, at).ok_or(WireError::Missing("window_ms"))?,
                source,
            })),
            other => Err(WireError::Word { field: "tick_type", found: other.to_owned() }),
        }
    }
}

/// Returns the value of a row; `None` for a null.
pub(super) fn value<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, at: usize) -> Option<T::Native> {
    array.is_valid(at).then(|| array.value(at))
}

/// As [`value`], for text.
pub(super) fn text_at(array: &StringArray, at: usize) -> Option<&str> {
    array.is_valid(at).then(|| array.value(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::symbol::SymbolId;
    use proptest::prelude::*;

    fn bodies() -> impl Strategy<Value = Body> {
        let id = (any::<u64>(), any::<u32>(), 0..3_u8).prop_map(|(number, epoch, form)| match form {
            0 => TradeId::number(number),
            1 => TradeId::given(epoch, number),
            _ => TradeId::from_text(format!("a-{number}").as_bytes()),
        });
        let received = prop_oneof![Just(Nanos::MIN), any::<i64>().prop_map(Nanos)];
        let trade = (any::<[i64; 3]>(), received, any::<u64>(), id, 0..8_u8).prop_map(
            |([ts, price, size], received, seq, id, updates)| Trade {
                ts: Nanos(ts),
                received,
                price: Price(price),
                size: Size(size),
                seq,
                id,
                source: SourceId(3),
                // `c` implies `h`, so one combination has no spelling of its own.
                updates: Updates::parse(Updates::from_bits(updates).as_str().as_bytes()).expect("a spelling"),
            },
        );
        (trade, any::<[i64; 4]>(), any::<[u32; 2]>(), 0..5_u8).prop_map(
            |(trade, [a, b, c, d], [count, width], kind)| {
                let Trade { ts, received, source, id, .. } = trade;
                match kind {
                    0 => Body::Trade(trade),
                    1 => Body::Correction(Correction { target: id.corrected(), trade }),
                    2 => Body::Cancel(Cancel { ts, received, target: id, source }),
                    3 => Body::Quote(Quote {
                        ts,
                        received,
                        bid: Price(a),
                        ask: Price(b),
                        bid_size: Size(c),
                        ask_size: Size(d),
                        source,
                    }),
                    _ => Body::VenueBar(VenueBar {
                        start: ts,
                        received,
                        open: Price(a),
                        high: Price(b),
                        low: Price(c),
                        close: Price(d),
                        volume: trade.size,
                        vwap: trade.price,
                        trade_count: count,
                        width_ms: width,
                        source,
                    }),
                }
            },
        )
    }

    proptest! {
        #[test]
        fn ticks_read_back_to_the_last_bit(
            bodies in prop::collection::vec(bodies(), 1..20),
            scales in (0_u8..=12, 0_u8..=12),
        ) {
            let scale = |decimals| Scale::new(decimals).expect("at most 12");
            let scales = (scale(scales.0), scale(scales.1));
            let spec = SymbolSpec { price_scale: scales.0, size_scale: scales.1, ..SymbolSpec::named("X") };
            let entries: Vec<Entry> =
                (1..).zip(&bodies).map(|(pos, &body)| Entry { pos, symbol: SymbolId(0), body }).collect();
            let batch = ticks(&entries, &spec, |_| "venue".to_owned()).expect("columns");
            let rows = TickRows::of(&batch).expect("columns");
            prop_assert_eq!(rows.len(), entries.len());
            for (at, entry) in entries.iter().enumerate() {
                prop_assert_eq!(rows.body(at, scales, SourceId(3), TradeId::default()), Ok(entry.body));
                prop_assert_eq!((rows.pos(at), rows.provider(at)), (entry.pos, Some("venue")));
            }
        }
    }

    #[test]
    fn what_is_no_tick_is_left_out_and_what_is_missing_is_named() {
        let mark = Body::ClockMark { source: SourceId(0), time: Nanos(5) };
        let entries = [
            Entry { pos: 1, symbol: SymbolId::NONE, body: mark },
            Entry { pos: 2, symbol: SymbolId(0), body: Body::Trade(Trade::for_test(7, Nanos(4))) },
        ];
        let batch = ticks(&entries, &SymbolSpec::named("X"), |_| String::new()).expect("columns");
        assert_eq!(batch.num_rows(), 1);
        let mut without = batch.clone();
        without.remove_column(1);
        assert!(matches!(TickRows::of(&without), Err(ColumnError::Missing("ts_ns"))));
    }
}
