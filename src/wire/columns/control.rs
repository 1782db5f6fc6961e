//! What the log holds beside ticks, in columns: clock marks, gaps, sources in charge, what symbols are, and what is
//! looked for.
//!
//! With these a replay of an export has the log from which it was made, entry by entry.

use super::ticks::{text_at, value};
use super::{ColumnError, column, known, needed, needed_column, optional, time_type};
use crate::models::asset_class::AssetClass;
use crate::models::detection::document::Document;
use crate::models::entry::{Body, Entry, Gap, Position, SourceId};
use crate::models::num::Scale;
use crate::models::symbol::{PriceSource, SymbolDefinition, SymbolId, VenueSymbol, shortened};
use crate::models::time::Nanos;
use crate::wire::WireError;
use arrow::array::{
    Array, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray, UInt8Array,
    UInt64Array,
};
use arrow::datatypes::{DataType, Int64Type, Schema, SchemaRef, UInt8Type, UInt64Type};
use arrow::error::ArrowError;
use std::sync::{Arc, LazyLock};

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        optional("time", time_type()),
        needed("ts_ns", DataType::Int64),
        needed("control", DataType::Utf8),
        optional("symbol", DataType::Utf8),
        optional("source", DataType::Utf8),
        optional("from_ns", DataType::Int64),
        optional("filled", DataType::Boolean),
        optional("price_scale", DataType::UInt8),
        optional("size_scale", DataType::UInt8),
        optional("asset_class", DataType::Utf8),
        optional("price_source", DataType::Utf8),
        optional("venue_symbol", DataType::Utf8),
        optional("detection", DataType::Utf8),
        needed("log_pos", DataType::UInt64),
    ]))
});

/// Returns the columns.
#[must_use]
pub fn control_schema() -> SchemaRef {
    Arc::clone(&SCHEMA)
}

fn word(body: &Body) -> Option<&'static str> {
    match body {
        Body::ClockMark { .. } => Some("mark"),
        Body::Gap(_) => Some("gap"),
        Body::SourceInCharge { .. } => Some("charge"),
        Body::Symbol { .. } => Some("symbol"),
        Body::Detection { .. } => Some("detection"),
        Body::Trade(_) | Body::Cancel(_) | Body::Correction(_) | Body::Quote(_) | Body::VenueBar(_) => None,
    }
}

/// Puts entries into columns; ticks are left out. A mark that counts for every source names none.
///
/// # Errors
/// Never in practice: the columns fit the schema.
pub fn control(
    entries: &[Entry],
    symbol: impl Fn(SymbolId) -> String,
    source: impl Fn(SourceId) -> String,
) -> Result<RecordBatch, ArrowError> {
    let rows: Vec<(&Entry, &str)> =
        entries.iter().filter_map(|entry| Some((entry, word(&entry.body)?))).collect();
    let bodies = || rows.iter().map(|(entry, _)| &entry.body);
    let definition = |body: &Body| match body {
        Body::Symbol { definition, .. } => Some(*definition),
        _ => None,
    };
    let gap = |body: &Body| match body {
        Body::Gap(gap) => Some(*gap),
        _ => None,
    };
    let document = |body: &Body| match body {
        Body::Detection { document, .. } => Some(*document),
        _ => None,
    };
    let symbols =
        rows.iter().map(|(entry, _)| (entry.symbol != SymbolId::NONE).then(|| symbol(entry.symbol)));
    let sources = bodies().map(Body::source).map(|id| (id != SourceId::ANY).then(|| source(id)));
    let defined = || bodies().map(definition);
    let columns: Vec<Arc<dyn Array>> = vec![
        Arc::new(
            TimestampNanosecondArray::from_iter(bodies().map(|body| known(body.time()))).with_timezone("UTC"),
        ),
        Arc::new(Int64Array::from_iter_values(bodies().map(|body| body.time().0))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|(_, word)| word))),
        Arc::new(StringArray::from_iter(symbols)),
        Arc::new(StringArray::from_iter(sources)),
        Arc::new(Int64Array::from_iter(bodies().map(|body| gap(body).map(|gap| gap.from.0)))),
        Arc::new(BooleanArray::from_iter(bodies().map(|body| gap(body).map(|gap| gap.filled)))),
        Arc::new(UInt8Array::from_iter(defined().map(|of| of.map(|of| of.price_scale.decimals())))),
        Arc::new(UInt8Array::from_iter(defined().map(|of| of.map(|of| of.size_scale.decimals())))),
        Arc::new(StringArray::from_iter(defined().map(|of| of.map(|of| of.asset_class.as_str())))),
        Arc::new(StringArray::from_iter(defined().map(|of| of.map(|of| of.price.as_str())))),
        Arc::new(StringArray::from_iter(
            defined().map(|of| of.map(|of| of.venue_symbol.as_str().to_owned())),
        )),
        Arc::new(StringArray::from_iter(bodies().map(|body| document(body).map(|of| of.text().to_owned())))),
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|(entry, _)| entry.pos))),
    ];
    RecordBatch::try_new(control_schema(), columns)
}

/// Entries in columns, to be read row by row.
pub struct ControlRows {
    ts: Int64Array,
    control: StringArray,
    symbol: StringArray,
    source: StringArray,
    from: Int64Array,
    filled: BooleanArray,
    price_scale: UInt8Array,
    size_scale: UInt8Array,
    asset_class: StringArray,
    price_source: StringArray,
    venue_symbol: StringArray,
    detection: StringArray,
    pos: UInt64Array,
}

impl ControlRows {
    /// Takes the columns of a batch.
    ///
    /// # Errors
    /// When one that is needed is missing, or holds something else.
    pub fn of(batch: &RecordBatch) -> Result<ControlRows, ColumnError> {
        let text = |name| column(batch, name, &DataType::Utf8).map(|found| found.as_string::<i32>().clone());
        let scale =
            |name| column(batch, name, &DataType::UInt8).map(|of| of.as_primitive::<UInt8Type>().clone());
        Ok(ControlRows {
            ts: needed_column(batch, "ts_ns", &DataType::Int64)?.as_primitive::<Int64Type>().clone(),
            control: needed_column(batch, "control", &DataType::Utf8)?.as_string::<i32>().clone(),
            symbol: text("symbol")?,
            source: text("source")?,
            from: column(batch, "from_ns", &DataType::Int64)?.as_primitive::<Int64Type>().clone(),
            filled: column(batch, "filled", &DataType::Boolean)?.as_boolean().clone(),
            price_scale: scale("price_scale")?,
            size_scale: scale("size_scale")?,
            asset_class: text("asset_class")?,
            price_source: text("price_source")?,
            venue_symbol: text("venue_symbol")?,
            detection: text("detection")?,
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

    /// Returns the symbol that the row speaks of; `None` for all of its source.
    #[must_use]
    pub fn symbol(&self, at: usize) -> Option<&str> {
        text_at(&self.symbol, at)
    }

    /// Returns the name of the row's source; `None` for every source.
    #[must_use]
    pub fn source(&self, at: usize) -> Option<&str> {
        text_at(&self.source, at)
    }

    /// Reads a row.
    ///
    /// # Errors
    /// When a value is missing, or a word is unknown.
    pub fn body(&self, at: usize, source: SourceId) -> Result<Body, WireError> {
        let ts = Nanos(self.ts.value(at));
        let text = |array: &StringArray, field: &'static str| {
            text_at(array, at).map(str::to_owned).ok_or(WireError::Missing(field))
        };
        let scale = |array: &UInt8Array, field: &'static str| {
            value(array, at).and_then(Scale::new).ok_or(WireError::Missing(field))
        };
        let unknown = |field: &'static str, found: &str| WireError::Word { field, found: found.to_owned() };
        match self.control.value(at) {
            "mark" => Ok(Body::ClockMark { source, time: ts }),
            "charge" => Ok(Body::SourceInCharge { source, from: ts }),
            "gap" => Ok(Body::Gap(Gap {
                source,
                from: Nanos(value(&self.from, at).ok_or(WireError::Missing("from_ns"))?),
                to: ts,
                filled: self.filled.is_valid(at) && self.filled.value(at),
            })),
            "symbol" => {
                let (class, price, spelling) = (
                    text(&self.asset_class, "asset_class")?,
                    text(&self.price_source, "price_source")?,
                    text(&self.venue_symbol, "venue_symbol")?,
                );
                let definition = SymbolDefinition {
                    price_scale: scale(&self.price_scale, "price_scale")?,
                    size_scale: scale(&self.size_scale, "size_scale")?,
                    asset_class: AssetClass::parse(&class).ok_or_else(|| unknown("asset_class", &class))?,
                    price: PriceSource::parse(&price).ok_or_else(|| unknown("price_source", &price))?,
                    venue_symbol: VenueSymbol::new(&spelling)
                        .ok_or_else(|| unknown("venue_symbol", &spelling))?,
                };
                Ok(Body::Symbol { source, received: ts, definition })
            }
            "detection" => {
                let said = text(&self.detection, "detection")?;
                let document =
                    Document::new(&said).map_err(|_| unknown("detection", &shortened(&said, 40)))?;
                Ok(Body::Detection { at: ts, document })
            }
            other => Err(unknown("control", other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::entry::Trade;
    use crate::models::symbol::SymbolSpec;

    #[test]
    fn entries_read_back_as_they_were() {
        let (source, time) = (SourceId(2), Nanos(1_700_000_000_123_456_789));
        let spec = SymbolSpec { price: PriceSource::Mid, ..SymbolSpec::named("EUR-USD") };
        let definition = SymbolDefinition::of(&spec, VenueSymbol::new("C:EUR-USD").expect("short"));
        let bodies = [
            Body::Symbol { source, received: Nanos::MIN, definition },
            Body::SourceInCharge { source, from: time },
            Body::Gap(Gap { source, from: Nanos(5), to: time, filled: true }),
            Body::Detection { at: time, document: Document::new("{}").expect("short") },
            Body::ClockMark { source: SourceId::ANY, time },
            Body::ClockMark { source, time },
        ];
        let symbol = |body: &Body| if body.is_broadcast() { SymbolId::NONE } else { SymbolId(0) };
        let mut entries: Vec<Entry> =
            (1..).zip(bodies).map(|(pos, body)| Entry { pos, symbol: symbol(&body), body }).collect();
        let tick = Body::Trade(Trade::for_test(1, time));
        entries.push(Entry { pos: 9, symbol: SymbolId(0), body: tick });
        let batch = control(&entries, |_| "EUR-USD".to_owned(), |_| "polygon".to_owned()).expect("columns");
        let rows = ControlRows::of(&batch).expect("columns");
        assert_eq!(rows.len(), bodies.len(), "no tick");
        for (at, body) in bodies.into_iter().enumerate() {
            let expected = if body.source() == SourceId::ANY { None } else { Some("polygon") };
            assert_eq!(rows.source(at), expected);
            assert_eq!(rows.symbol(at).is_some(), !body.is_broadcast());
            assert_eq!(rows.body(at, body.source()), Ok(body));
            assert_eq!(rows.pos(at), at as u64 + 1);
        }
    }
}
