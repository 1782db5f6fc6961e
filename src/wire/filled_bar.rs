//! A bar as JSON in a list without gaps: what stands for a window in which nothing was traded has the same fields, some of
//! them without a value.
//!
//! Promises: a bar that is there reads as in a list with gaps. Nothing here fails.

use super::bar::BarObject;
use super::time::Time;
use crate::models::time::{Nanos, Width};
use serde::Serialize;
use std::borrow::Cow;
use utoipa::ToSchema;

/// One window of a list without gaps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct FilledBarObject<'a> {
    /// End of the window.
    #[schema(value_type = String, format = DateTime, example = "2023-09-05T17:01:00Z")]
    pub time: Time,
    /// The symbol in its one spelling.
    #[schema(example = "BTC-USD")]
    pub symbol: Cow<'a, str>,
    /// Name of the window's width.
    #[schema(example = "1min")]
    pub window: Cow<'a, str>,
    /// Start of the window, inclusive.
    #[schema(value_type = String, format = DateTime, example = "2023-09-05T17:00:00Z")]
    pub window_start: Time,
    /// End of the window, exclusive.
    #[schema(value_type = String, format = DateTime, example = "2023-09-05T17:01:00Z")]
    pub window_end: Time,
    /// First price; of an empty window as `fill` says, like the three after it.
    #[schema(example = 25714.11)]
    pub open: Option<f64>,
    /// Highest price.
    #[schema(example = 25720)]
    pub high: Option<f64>,
    /// Lowest price.
    #[schema(example = 25710.5)]
    pub low: Option<f64>,
    /// Last price.
    #[schema(example = 25718.25)]
    pub close: Option<f64>,
    /// Sum of sizes.
    #[schema(example = 0)]
    pub volume: f64,
    /// Volume-weighted mean price.
    pub vwap: Option<f64>,
    /// Trades that count for volume.
    #[schema(example = 0)]
    pub trade_count: u64,
    /// `forming`, `closed` or `amended`; `empty` for a window without a trade.
    #[schema(example = "empty")]
    pub state: Cow<'a, str>,
    /// How many log entries changed it after it closed.
    #[schema(example = 0)]
    pub revision: u32,
    /// Share of the window in which its source was healthy; nobody keeps it for an empty window.
    pub coverage: Option<f64>,
    /// Trades that came after the close and still counted.
    #[schema(example = 0)]
    pub late: u32,
    /// Repeated reports that were set aside.
    #[schema(example = 0)]
    pub duplicates: u32,
    /// Trades that were taken out.
    #[schema(example = 0)]
    pub cancelled: u32,
    /// What it is made of: `trades`, `quotes`, `vendor`, or `none` for an empty window.
    #[schema(example = "none")]
    pub origin: Cow<'a, str>,
}

impl<'a> FilledBarObject<'a> {
    /// Makes the object of a window without a trade; its prices are all `price`.
    #[must_use]
    pub fn empty(symbol: &'a str, window: &'a str, start: Nanos, width: Width, price: Option<f64>) -> Self {
        let end = start.plus(width.nanos());
        FilledBarObject {
            time: Time(end),
            symbol: Cow::Borrowed(symbol),
            window: Cow::Borrowed(window),
            window_start: Time(start),
            window_end: Time(end),
            open: price,
            high: price,
            low: price,
            close: price,
            state: Cow::Borrowed("empty"),
            origin: Cow::Borrowed("none"),
            ..FilledBarObject::default()
        }
    }
}

impl<'a> From<BarObject<'a>> for FilledBarObject<'a> {
    fn from(bar: BarObject<'a>) -> FilledBarObject<'a> {
        FilledBarObject {
            time: bar.time,
            symbol: bar.symbol,
            window: bar.window,
            window_start: bar.window_start,
            window_end: bar.window_end,
            open: Some(bar.open),
            high: Some(bar.high),
            low: Some(bar.low),
            close: Some(bar.close),
            volume: bar.volume,
            vwap: bar.vwap,
            trade_count: bar.trade_count,
            state: bar.state,
            revision: bar.revision,
            coverage: Some(bar.coverage),
            late: bar.late,
            duplicates: bar.duplicates,
            cancelled: bar.cancelled,
            origin: bar.origin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::to_json;

    #[test]
    fn a_bar_of_a_list_without_gaps_reads_as_one_of_a_list_with_gaps() {
        let bar =
            BarObject { vwap: Some(1.5), coverage: 0.5, state: "closed".into(), ..BarObject::default() };
        assert_eq!(to_json(&FilledBarObject::from(bar.clone())), to_json(&bar));
    }
}
