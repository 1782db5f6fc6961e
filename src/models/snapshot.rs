//! The current state of one symbol for readers: immutable, and shared with the actor that made it.

use super::bar::Bar;
use super::effect::IndicatorPoint;
use super::entry::{Position, SourceId, Updates};
use super::feed::{self, AgeLimits};
use super::ledger::Ledger;
use super::num::{Price, Size};
use super::symbol::SymbolId;
use super::time::{Nanos, Width};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The newest trade of a symbol, by event time; the newest quote where quotes make its bars.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastTrade {
    /// Event time.
    pub ts: Nanos,
    /// When it was received; [`Nanos::MIN`] where nobody knows.
    pub received: Nanos,
    /// Price in the symbol's price scale.
    pub price: Price,
    /// Size in the symbol's size scale; 0 of a quote, which no trade has.
    pub size: Size,
    /// What it counts for.
    pub updates: Updates,
    /// Accepted trades of the symbol up to this one: the `seq` of topic `ticks`.
    pub seq: u64,
}

/// The current state of one window width of a symbol.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowSnapshot {
    /// The width.
    pub width: Width,
    /// The bar in progress, if a trade that counts is in an open window.
    pub forming: Option<Bar>,
    /// The newest closed bar.
    pub closed: Option<Bar>,
    /// The indicators of the newest closed bar.
    pub indicators: Option<IndicatorPoint>,
    /// The indicators as they would be if the forming bar closed now, where somebody wants to know.
    pub preview: Option<Box<IndicatorPoint>>,
    /// Closed, amended and void bars so far: the `seq` of topic `bars`.
    pub seq: u64,
}

/// State of a symbol after the entry at `pos`.
#[derive(Clone, Debug, PartialEq)]
pub struct SymbolSnapshot {
    /// The symbol.
    pub symbol: SymbolId,
    /// The last entry it knows.
    pub pos: Position,
    /// The newest trade.
    pub last: Option<LastTrade>,
    /// Price that `change` is counted from: the last one of the UTC day before, else the first one seen.
    pub reference: Option<Price>,
    /// Its source.
    pub source: SourceId,
    /// From which event time on that source is in charge; [`Nanos::MIN`] where no hand-over says so.
    pub charged_from: Nanos,
    /// Everything before this event time (less lateness) is known, but for late entries.
    pub watermark: Nanos,
    /// Windows that end at or before this take no entries any more.
    pub sealed_until: Nanos,
    /// Outcomes of its reports.
    pub ledger: Ledger,
    /// The same, by source.
    pub ledgers: Arc<[(SourceId, Ledger)]>,
    /// One for each width, ascending.
    pub windows: Arc<[WindowSnapshot]>,
}

impl SymbolSnapshot {
    /// Returns until when its source is known: by the source's clock, or by its own watermark, which stays `lateness` behind.
    #[must_use]
    pub fn known_until(&self, source_clock: Nanos, lateness: i64) -> Nanos {
        source_clock.max(self.watermark.plus(lateness))
    }

    /// Returns the word for its feed as it looks at `now`; `None` before its first trade. `limits` says how old the clock of
    /// its source may be.
    #[must_use]
    pub fn feed(
        &self,
        source_clock: Nanos,
        lateness: i64,
        limits: AgeLimits,
        now: Nanos,
    ) -> Option<&'static str> {
        let last = self.last.as_ref()?;
        let clock = self.known_until(source_clock, lateness);
        Some(feed::state(now, last.ts, last.received, clock, limits))
    }
}
