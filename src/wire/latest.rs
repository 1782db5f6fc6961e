//! The newest trade of a symbol as JSON.
//!
//! Promises: its age and the state of its feed are those of the moment for which it was made. Nothing here fails.

use super::number::nearest;
use super::time::Time;
use crate::models::feed::AgeLimits;
use crate::models::num::{Price, Size};
use crate::models::snapshot::{LastTrade, SymbolSnapshot};
use crate::models::symbol::SymbolSpec;
use crate::models::time::Nanos;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Returns what kind of tick set a symbol's price: a quote has no size, and every trade has one.
#[must_use]
pub const fn tick_type(size: Size) -> &'static str {
    if size.0 == 0 { "quote" } else { "trade" }
}

/// The newest trade of a symbol.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
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
    /// `trade`, or `quote` where quotes make the bars.
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
    /// True where the symbol gets more ticks a minute than `redis.message_limit`, else left out; never in tables.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schema(example = true)]
    pub over_limit: bool,
}

impl<'a> LatestObject<'a> {
    /// Makes the object of a symbol as it looks at `now`; `None` before its first trade. `source_clock` is what the
    /// clock of its source shows, `limits` how old that may be, `lateness` how far a watermark stays behind.
    #[must_use]
    pub fn of_snapshot(
        spec: &'a SymbolSpec,
        snapshot: &SymbolSnapshot,
        source_clock: Nanos,
        limits: AgeLimits,
        lateness: i64,
        now: Nanos,
    ) -> Option<LatestObject<'a>> {
        let last = snapshot.last.as_ref()?;
        let feed = snapshot.feed(source_clock, lateness, limits, now)?;
        // A negative age means that a clock is wrong: ours was set back, or the venue's is ahead.
        Some(LatestObject::new(
            spec,
            last,
            snapshot.reference,
            now.since(last.ts).div_euclid(1_000_000),
            feed,
        ))
    }

    /// Makes the object of a symbol's newest trade.
    #[must_use]
    pub fn new(
        spec: &'a SymbolSpec,
        last: &LastTrade,
        reference: Option<Price>,
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
            tick_type: tick_type(last.size),
            age_ms,
            feed,
            change: change.map(|change| nearest(change, spec.price_scale)),
            change_percent: change
                .zip(reference)
                .map(|(change, reference)| change as f64 / reference.0 as f64 * 100.0),
            over_limit: false,
        }
    }
}
