//! Bars with their indicators, in columns, all of one symbol. They are written and not read back: a replay makes them of
//! ticks.

use super::{decimal_type, needed, optional, time_type, widen, widened};
use crate::models::bar::Bar;
use crate::models::effect::IndicatorPoint;
use crate::models::indicators::IndicatorValues;
use crate::models::num::{Price, Scale};
use crate::models::symbol::SymbolSpec;
use crate::models::time::Nanos;
use arrow::array::{
    Array, Decimal128Array, Float64Array, RecordBatch, StringArray, TimestampNanosecondArray, UInt32Array,
    UInt64Array,
};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::error::ArrowError;
use std::sync::{Arc, LazyLock};

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let mut fields = vec![
        needed("time", time_type()),
        needed("window", DataType::Utf8),
        needed("window_start", time_type()),
        needed("window_end", time_type()),
    ];
    fields.extend(["open", "high", "low", "close", "volume"].map(|name| needed(name, decimal_type())));
    fields.extend([
        optional("vwap", decimal_type()),
        needed("trade_count", DataType::UInt64),
        needed("state", DataType::Utf8),
        needed("revision", DataType::UInt32),
        needed("coverage", DataType::Float64),
        needed("late", DataType::UInt32),
        needed("duplicates", DataType::UInt32),
        needed("cancelled", DataType::UInt32),
        needed("origin", DataType::Utf8),
        needed("log_pos", DataType::UInt64),
    ]);
    fields.extend(IndicatorValues::NAMES.map(|name| optional(name, DataType::Float64)));
    Arc::new(Schema::new(fields))
});

/// Returns the columns of bars.
#[must_use]
pub fn bars_schema() -> SchemaRef {
    Arc::clone(&SCHEMA)
}

/// Puts bars of one symbol into columns.
///
/// # Errors
/// When a volume has more than 38 digits.
pub fn bars(rows: &[(Bar, IndicatorPoint)], spec: &SymbolSpec) -> Result<RecordBatch, ArrowError> {
    let of = || rows.iter().map(|(bar, _)| bar);
    let times = |time: fn(&Bar) -> Nanos| -> Arc<dyn Array> {
        let values = of().map(|bar| time(bar).0);
        Arc::new(TimestampNanosecondArray::from_iter_values(values).with_timezone("UTC"))
    };
    let decimals =
        |values: Decimal128Array| -> Arc<dyn Array> { Arc::new(values.with_data_type(decimal_type())) };
    let prices = |price: fn(&Bar) -> Price| {
        decimals(of().map(|bar| Some(widened(price(bar).0, spec.price_scale))).collect())
    };
    let counts = |count: fn(&Bar) -> u32| -> Arc<dyn Array> {
        Arc::new(UInt32Array::from_iter_values(of().map(count)))
    };
    let volume = |bar: &Bar| {
        let too_much = || ArrowError::InvalidArgumentError(format!("the volume {} is too large", bar.volume));
        widen(bar.volume, spec.size_scale).map(Some).ok_or_else(too_much)
    };
    let volumes = of().map(volume).collect::<Result<Decimal128Array, ArrowError>>()?;
    let mut columns = vec![
        times(Bar::end),
        Arc::new(StringArray::from_iter_values(of().map(|bar| bar.width.to_string()))),
        times(|bar| bar.start),
        times(Bar::end),
        prices(|bar| bar.open),
        prices(|bar| bar.high),
        prices(|bar| bar.low),
        prices(|bar| bar.close),
        decimals(volumes),
        decimals(of().map(|bar| bar.vwap.map(|vwap| widened(vwap, Scale::VWAP))).collect()),
        Arc::new(UInt64Array::from_iter_values(of().map(|bar| bar.trade_count))),
        Arc::new(StringArray::from_iter_values(of().map(|bar| bar.state.as_str()))),
        counts(|bar| bar.revision),
        Arc::new(Float64Array::from_iter_values(of().map(|bar| bar.coverage))),
        counts(|bar| bar.late),
        counts(|bar| bar.duplicates),
        counts(|bar| bar.cancelled),
        Arc::new(StringArray::from_iter_values(of().map(|bar| bar.origin.as_str()))),
        Arc::new(UInt64Array::from_iter_values(of().map(|bar| bar.log_pos))),
    ];
    for at in 0..IndicatorValues::NAMES.len() {
        let values = rows.iter().map(|(_, point)| point.values.in_order()[at]);
        columns.push(Arc::new(Float64Array::from_iter(values)));
    }
    RecordBatch::try_new(bars_schema(), columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::bar::{BarOrigin, BarState};
    use crate::models::symbol::SymbolId;
    use crate::models::time::{MINUTE, Width};
    use arrow::array::AsArray;
    use arrow::datatypes::{Decimal128Type, Float64Type};

    fn row() -> (Bar, IndicatorPoint) {
        let width = Width::new(MINUTE).expect("divides a day");
        let bar = Bar {
            symbol: SymbolId(0),
            width,
            start: Nanos(300_000_000_000),
            open: Price(123_456_700_000),
            high: Price(124_000_000_000),
            low: Price(123_000_000_000),
            close: Price(123_000_000_001),
            volume: 1_050_000_000,
            vwap: Some(123_333_333_333),
            trade_count: 7,
            state: BarState::Amended,
            origin: BarOrigin::Trades,
            revision: 2,
            coverage: 1.0,
            late: 0,
            duplicates: 0,
            cancelled: 0,
            seq: 1,
            log_pos: 5,
        };
        let values = IndicatorValues { sma_20: Some(0.1 + 0.2), ..IndicatorValues::default() };
        let Bar { symbol, start, close, vwap, log_pos, .. } = bar;
        (bar, IndicatorPoint { symbol, width, start, close, vwap, values, log_pos })
    }

    #[test]
    fn values_are_exact_and_what_cannot_be_is_refused() {
        let spec = SymbolSpec::named("BTC-USD");
        let (bar, point) = row();
        let batch = bars(&[(bar, point), (Bar { vwap: None, ..bar }, point)], &spec).expect("columns");
        let decimal = |name: &str| {
            let column = batch.column_by_name(name).expect("there").as_primitive::<Decimal128Type>();
            (column.value_as_string(0), column.null_count())
        };
        assert_eq!(decimal("close"), ("123.000000001000".to_owned(), 0));
        assert_eq!(decimal("volume"), ("10.500000000000".to_owned(), 0));
        assert_eq!(decimal("vwap"), ("123.333333333000".to_owned(), 1));
        let sma = batch.column_by_name("sma_20").expect("there").as_primitive::<Float64Type>();
        assert_eq!(sma.value(0).to_bits(), (0.1_f64 + 0.2).to_bits());
        let refused = bars(&[(Bar { volume: i128::MAX, ..bar }, point)], &spec).expect_err("too large");
        assert!(refused.to_string().contains("too large"), "{refused}");
    }
}
