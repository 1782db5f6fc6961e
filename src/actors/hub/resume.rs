//! What clients that come back missed, where it is in the history only: after a restart, or a long absence.
//!
//! The history keeps the newest version of each bar with its number. Where the numbers that a client missed are all
//! there, each once, they are what it missed; where one is not (the bar was amended since, or is void), nobody can say
//! what it was, and the client is told to read anew.

use super::board::Settled;
use crate::models::effect::{Effect, IndicatorPoint};
use crate::models::symbol::SymbolId;
use crate::models::time::{Nanos, Width};
use crate::stores::{History, WindowQuery};

/// Bars that a client may have missed and still go on: more is a matter for REST.
const NUM_MISSED_MAX: u64 = 500;

/// Rows read beyond them: amended bars are not the newest by time.
const NUM_MORE_ROWS: usize = 64;

/// Reads what was told with numbers above `known` up to `last`. `None` when that cannot be had whole.
pub async fn missed(
    history: &dyn History,
    symbol: SymbolId,
    width: Width,
    known: u64,
    last: u64,
) -> Option<Vec<Settled>> {
    let num_missed = last.checked_sub(known).filter(|missed| *missed <= NUM_MISSED_MAX)?;
    let limit = num_missed as usize + NUM_MORE_ROWS;
    let query = WindowQuery { symbol, width, start: Nanos::MIN, end: Nanos::MAX, limit };
    let mut bars = history.bars(&query).await.ok()?;
    bars.retain(|bar| known < bar.seq && bar.seq <= last);
    bars.sort_unstable_by_key(|bar| bar.seq);
    if bars.len() as u64 != num_missed {
        return None;
    }
    let mut points = history.indicators(&query).await.ok()?;
    points.sort_unstable_by_key(|point| point.start);
    let mut settled = Vec::with_capacity(2 * bars.len());
    for bar in &bars {
        settled.push(Settled { seq: bar.seq, effect: Effect::Bar(*bar) });
        let has_own_bar = |point: &IndicatorPoint| {
            bars.iter().any(|bar| (bar.log_pos, bar.start) == (point.log_pos, point.start))
        };
        let followed = points.iter().filter(|point| {
            point.log_pos == bar.log_pos && (point.start == bar.start || !has_own_bar(point))
        });
        settled.extend(followed.map(|point| Settled { seq: bar.seq, effect: Effect::Indicators(*point) }));
    }
    Some(settled)
}
