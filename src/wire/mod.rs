//! The objects that leave the process as JSON or CSV: the same for REST, live feed, topics and caches.
//!
//! Promises: names and order of the fields are the contract's; times are RFC 3339 UTC; a price or a size is the `f64`
//! nearest to the exact value, written in the shortest form that reads back as it ([`to_json`] also drops `.0`).
//! Every object is one flat row, so that it is a line of CSV as well, and has a default, so that a list without rows
//! still has its header.

use crate::models::bar::{Bar, BarState};
use crate::models::effect::IndicatorPoint;
use crate::models::entry::{Body, Cancel, Correction, Entry, Position, Quote, Trade};
use crate::models::num::Scale;
use crate::models::symbol::SymbolSpec;
use crate::models::time::Nanos;
use crate::models::view::LastTrade;
use serde::{Serialize, Serializer};
use serde_json::ser::{CompactFormatter, Formatter};
use std::io;
use utoipa::ToSchema;

/// A time on the wire: RFC 3339 UTC with 0, 3 or 6 fractional digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Time(pub Nanos);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339())
    }
}

impl Time {
    /// Returns the time, or `None` for the mark of an unknown one.
    #[must_use]
    pub fn known(time: Nanos) -> Option<Time> {
        (time != Nanos::MIN).then_some(Time(time))
    }
}

/// Returns the `f64` nearest to a scaled integer.
#[must_use]
pub fn nearest(raw: i128, scale: Scale) -> f64 {
    // Both sides are exact below 2^53, so that the one division rounds correctly.
    if raw.unsigned_abs() <= 1 << 53 {
        return scale.wide_to_f64(raw);
    }
    scale.show(raw).to_string().parse().expect("a decimal is a number")
}

/// Writes numbers in the shortest form: `100`, not `100.0`.
struct Shortest;

impl Formatter for Shortest {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
        if value.fract() == 0.0 && value.abs() <= EXACT_MAX {
            return CompactFormatter.write_i64(writer, value as i64);
        }
        CompactFormatter.write_f64(writer, value)
    }
}

/// Appends a value as JSON.
///
/// # Panics
/// Never: the objects here have text keys only, and memory takes every byte.
pub fn append_json<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    let mut serializer = serde_json::Serializer::with_formatter(out, Shortest);
    value.serialize(&mut serializer).expect("wire objects are plain data");
}

/// Returns a value as JSON.
#[must_use]
pub fn to_json<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(384);
    append_json(value, &mut out);
    out
}

/// The newest trade of a symbol.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct LatestObject<'a> {
    /// The symbol in its one spelling.
    #[schema(example = "BTC-USD")]
    pub symbol: &'a str,
    /// Price of the newest trade.
    #[schema(example = 25714.11)]
    pub price: f64,
    /// Its size.
    #[schema(example = 0.25)]
    pub volume: f64,
    /// Its event time.
    #[schema(value_type = String, format = DateTime, example = "2023-09-05T17:00:00.123Z")]
    pub timestamp: Time,
    /// Always `trade`.
    #[schema(example = "trade")]
    pub tick_type: &'a str,
    /// Milliseconds since the event time; negative where that is ahead of the server's clock.
    #[schema(example = 42)]
    pub age_ms: i64,
    /// `live`, `quiet`, `stale` or `dead`.
    #[schema(example = "live")]
    pub feed: &'a str,
    /// Price less the last one of the UTC day before, else less the first one seen.
    #[schema(example = -12.5)]
    pub change: Option<f64>,
    /// The change in percent.
    #[schema(example = -0.0486)]
    pub change_percent: Option<f64>,
}

impl<'a> LatestObject<'a> {
    /// Makes the object of a symbol's newest trade.
    #[must_use]
    pub fn new(
        spec: &'a SymbolSpec,
        last: &LastTrade,
        reference: Option<crate::models::num::Price>,
        age_ms: i64,
        feed: &'a str,
    ) -> LatestObject<'a> {
        let reference = reference.filter(|price| price.0 != 0);
        let change = reference.map(|price| i128::from(last.price.0) - i128::from(price.0));
        LatestObject {
            symbol: &spec.name,
            price: nearest(i128::from(last.price.0), spec.price_scale),
            volume: nearest(i128::from(last.size.0), spec.size_scale),
            timestamp: Time(last.ts),
            tick_type: "trade",
            age_ms,
            feed,
            change: change.map(|change| nearest(change, spec.price_scale)),
            change_percent: change
                .zip(reference)
                .map(|(change, reference)| change as f64 / reference.0 as f64 * 100.0),
        }
    }
}

/// A report or a quote as the log holds it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct TickObject<'a> {
    /// The symbol in its one spelling.
    #[schema(example = "BTC-USD")]
    pub symbol: &'a str,
    /// Price of the trade; the middle of a quote that has both sides; none of a cancel.
    #[schema(example = 25714.11)]
    pub price: Option<f64>,
    /// Size of the trade.
    #[schema(example = 0.25)]
    pub volume: Option<f64>,
    /// Event time.
    #[schema(value_type = String, format = DateTime, example = "2023-09-05T17:00:00.123Z")]
    pub timestamp: Time,
    /// Event time in nanoseconds since 1970, exact.
    #[schema(example = "1693933200123000000")]
    pub ts_ns: String,
    /// `trade`, `quote`, `cancel` or `correction`.
    #[schema(example = "trade")]
    pub tick_type: &'a str,
    /// Name of its source.
    #[schema(example = "simulated")]
    pub provider: String,
    /// The venue's id, where it can be had back.
    #[schema(example = "1001")]
    pub trade_id: Option<String>,
    /// The venue's sequence number.
    pub seq: Option<u64>,
    /// What it counts for: any of `h`, `c`, `v`, or `-`.
    #[schema(example = "hcv")]
    pub updates: Option<&'a str>,
    /// The trade that a cancel or a correction speaks of.
    pub ref_trade_id: Option<String>,
    /// Best bid of a quote.
    pub bid: Option<f64>,
    /// Best ask of a quote.
    pub ask: Option<f64>,
    /// Size at the bid.
    pub bid_size: Option<f64>,
    /// Size at the ask.
    pub ask_size: Option<f64>,
    /// When it was received, where that is known.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub received_at: Option<Time>,
    /// Its place in the log.
    #[schema(value_type = u64, example = 1)]
    pub log_pos: Position,
}

impl<'a> TickObject<'a> {
    /// Makes the object of an entry; `None` for entries that are neither report nor quote.
    #[must_use]
    pub fn new(entry: &Entry, spec: &'a SymbolSpec, provider: &str) -> Option<TickObject<'a>> {
        let common = TickObject {
            symbol: &spec.name,
            timestamp: Time(entry.body.time()),
            ts_ns: entry.body.time().0.to_string(),
            provider: provider.to_owned(),
            log_pos: entry.pos,
            ..TickObject::default()
        };
        match &entry.body {
            Body::Trade(trade) => Some(common.with_trade("trade", trade, spec)),
            Body::Correction(Correction { target, trade }) => Some(TickObject {
                ref_trade_id: target.to_text(),
                ..common.with_trade("correction", trade, spec)
            }),
            Body::Cancel(Cancel { received, target, .. }) => Some(TickObject {
                tick_type: "cancel",
                ref_trade_id: target.to_text(),
                received_at: Time::known(*received),
                ..common
            }),
            Body::Quote(quote) => Some(common.with_quote(quote, spec)),
            Body::VenueBar(_) | Body::Gap(_) | Body::SourceInCharge { .. } | Body::ClockMark { .. } => None,
        }
    }

    fn with_trade(self, tick_type: &'a str, trade: &Trade, spec: &SymbolSpec) -> TickObject<'a> {
        TickObject {
            price: Some(nearest(i128::from(trade.price.0), spec.price_scale)),
            volume: Some(nearest(i128::from(trade.size.0), spec.size_scale)),
            tick_type,
            trade_id: trade.id.to_text(),
            seq: (trade.seq != 0).then_some(trade.seq),
            updates: Some(trade.updates.as_str()),
            received_at: Time::known(trade.received),
            ..self
        }
    }

    fn with_quote(self, quote: &Quote, spec: &SymbolSpec) -> TickObject<'a> {
        let side = |price: i64| (price != 0).then(|| nearest(i128::from(price), spec.price_scale));
        let size = |size: i64| nearest(i128::from(size), spec.size_scale);
        let (bid, ask) = (side(quote.bid.0), side(quote.ask.0));
        let sum = i128::from(quote.bid.0) + i128::from(quote.ask.0);
        TickObject {
            price: bid.and(ask).map(|_| nearest(sum, spec.price_scale) / 2.0),
            tick_type: "quote",
            bid,
            ask,
            bid_size: bid.map(|_| size(quote.bid_size.0)),
            ask_size: ask.map(|_| size(quote.ask_size.0)),
            received_at: Time::known(quote.received),
            ..self
        }
    }
}

/// One bar.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct BarObject<'a> {
    /// End of the window.
    #[schema(value_type = String, format = DateTime, example = "2023-09-05T17:01:00Z")]
    pub time: Time,
    /// The symbol in its one spelling.
    #[schema(example = "BTC-USD")]
    pub symbol: &'a str,
    /// Name of the window's width.
    #[schema(example = "1min")]
    pub window: &'a str,
    /// Start of the window, inclusive.
    #[schema(value_type = String, format = DateTime, example = "2023-09-05T17:00:00Z")]
    pub window_start: Time,
    /// End of the window, exclusive.
    #[schema(value_type = String, format = DateTime, example = "2023-09-05T17:01:00Z")]
    pub window_end: Time,
    /// First price.
    #[schema(example = 25714.11)]
    pub open: f64,
    /// Highest price.
    #[schema(example = 25720)]
    pub high: f64,
    /// Lowest price.
    #[schema(example = 25710.5)]
    pub low: f64,
    /// Last price.
    #[schema(example = 25718.25)]
    pub close: f64,
    /// Sum of sizes.
    #[schema(example = 3.5)]
    pub volume: f64,
    /// Volume-weighted mean price.
    #[schema(example = 25_716.123_456_789)]
    pub vwap: Option<f64>,
    /// Trades that count for volume.
    #[schema(example = 17)]
    pub trade_count: u64,
    /// `forming`, `closed` or `amended`; `void` in messages only.
    #[schema(example = "closed")]
    pub state: &'a str,
    /// How many log entries changed it after it closed.
    #[schema(example = 0)]
    pub revision: u32,
    /// Share of the window in which its source was healthy.
    #[schema(example = 1)]
    pub coverage: f64,
    /// Trades that came after the close and still counted.
    #[schema(example = 0)]
    pub late: u32,
    /// Repeated reports that were set aside.
    #[schema(example = 0)]
    pub duplicates: u32,
    /// Trades that were taken out.
    #[schema(example = 0)]
    pub cancelled: u32,
}

impl<'a> BarObject<'a> {
    /// Makes the object of a bar; `window` is the name of its width.
    #[must_use]
    pub fn new(bar: &Bar, spec: &'a SymbolSpec, window: &'a str) -> BarObject<'a> {
        let price = |price: crate::models::num::Price| nearest(i128::from(price.0), spec.price_scale);
        BarObject {
            time: Time(bar.end()),
            symbol: &spec.name,
            window,
            window_start: Time(bar.start),
            window_end: Time(bar.end()),
            open: price(bar.open),
            high: price(bar.high),
            low: price(bar.low),
            close: price(bar.close),
            volume: nearest(bar.volume, spec.size_scale),
            vwap: bar.vwap.map(|vwap| nearest(i128::from(vwap), Scale::VWAP)),
            trade_count: bar.trade_count,
            state: BarState::as_str(bar.state),
            revision: bar.revision,
            coverage: bar.coverage,
            late: bar.late,
            duplicates: bar.duplicates,
            cancelled: bar.cancelled,
        }
    }
}

/// The indicators of one window after its bar closed; `null` until warmed up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct IndicatorsObject<'a> {
    /// The symbol in its one spelling.
    #[schema(example = "BTC-USD")]
    pub symbol: &'a str,
    /// Name of the window's width.
    #[schema(example = "1min")]
    pub window: &'a str,
    /// End of the window.
    #[schema(value_type = String, format = DateTime, example = "2023-09-05T17:01:00Z")]
    pub timestamp: Time,
    /// Simple moving average of 20 closes.
    pub sma_20: Option<f64>,
    /// Simple moving average of 50 closes.
    pub sma_50: Option<f64>,
    /// Simple moving average of 200 closes.
    pub sma_200: Option<f64>,
    /// Exponential moving average over 12.
    pub ema_12: Option<f64>,
    /// Exponential moving average over 26.
    pub ema_26: Option<f64>,
    /// Relative strength index over 14.
    pub rsi_14: Option<f64>,
    /// The same as `rsi_14`, under the name it had before.
    pub rsi: Option<f64>,
    /// MACD 12/26.
    pub macd: Option<f64>,
    /// EMA 9 of MACD.
    pub macd_signal: Option<f64>,
    /// MACD less its signal.
    pub macd_histogram: Option<f64>,
    /// Bollinger 20: middle + 2 deviations.
    pub bb_upper: Option<f64>,
    /// Bollinger 20: the mean.
    pub bb_middle: Option<f64>,
    /// Bollinger 20: middle - 2 deviations.
    pub bb_lower: Option<f64>,
    /// The bar's volume-weighted mean price.
    pub vwap: Option<f64>,
}

impl<'a> IndicatorsObject<'a> {
    /// Makes the object of the indicators of a window; `window` is the name of its width.
    #[must_use]
    pub fn new(point: &IndicatorPoint, spec: &'a SymbolSpec, window: &'a str) -> IndicatorsObject<'a> {
        let values = &point.values;
        IndicatorsObject {
            symbol: &spec.name,
            window,
            timestamp: Time(point.start.plus(point.width.nanos())),
            sma_20: values.sma_20,
            sma_50: values.sma_50,
            sma_200: values.sma_200,
            ema_12: values.ema_12,
            ema_26: values.ema_26,
            rsi_14: values.rsi_14,
            rsi: values.rsi_14,
            macd: values.macd,
            macd_signal: values.macd_signal,
            macd_histogram: values.macd_histogram,
            bb_upper: values.bb_upper,
            bb_middle: values.bb_middle,
            bb_lower: values.bb_lower,
            vwap: point.vwap.map(|vwap| nearest(i128::from(vwap), Scale::VWAP)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_written_short_and_read_back() {
        let table = [
            (100.0, "100"),
            (-3.0, "-3"),
            (0.1, "0.1"),
            (25714.11, "25714.11"),
            (1e-8, "1e-8"),
            (f64::NAN, "null"),
            (1e300, "1e+300"),
        ];
        for (value, text) in table {
            let written = String::from_utf8(to_json(&value)).expect("JSON is UTF-8");
            let same = |a: &str| serde_json::from_str::<Option<f64>>(a).expect("JSON");
            assert_eq!(same(&written), same(text), "{written}");
            assert!(written.len() <= text.len(), "{written} is longer than {text}");
        }
    }

    proptest! {
        #[test]
        fn the_nearest_number_is_that_of_the_decimal_text(raw in any::<i64>(), decimals in 0_u8..=12) {
            let scale = Scale::new(decimals).expect("in range");
            let text = scale.show(i128::from(raw)).to_string();
            prop_assert_eq!(nearest(i128::from(raw), scale), text.parse::<f64>().expect("a number"));
        }
    }
}
