//! Merges the newest row of a symbol's snapshot into rows of the history, which lags behind the snapshot by its batch.
//!
//! The snapshot has the newest bar alone. Where the history lacks others before it too, because several closed within a
//! batch or because it catches up, that bar would stand behind a hole, and whoever asks for what comes after the last bar
//! they have would never see those between. It waits for the history then.
//!
//! Promises: the newer version of a row stays, by log position, and a void one removes it; the order stays newest
//! first. On failure of the history: its error.

use crate::models::bar::{Bar, BarState};
use crate::models::effect::IndicatorPoint;
use crate::models::entry::Position;
use crate::models::snapshot::WindowSnapshot;
use crate::models::symbol::SymbolId;
use crate::models::time::{Nanos, Width};
use crate::stores::StoreError;
use crate::stores::history::{History, WindowQuery};

/// Bars read to see what the history holds: its last change may be one of a bar that is not the newest.
const NUM_CHANGED: usize = 8;

/// How far the history holds every bar of a symbol and window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Every one before the newest of the snapshot, and perhaps that one.
    Snapshot,
    /// Those of windows that end at or before this; [`Nanos::MIN`] where it holds none.
    Until(Nanos),
}

impl Reach {
    /// Asks the history. Rows that are read afterwards reach as far at least.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub async fn of(
        history: &dyn History,
        symbol: SymbolId,
        width: Width,
        window: Option<&WindowSnapshot>,
    ) -> Result<Reach, StoreError> {
        let query = WindowQuery { symbol, width, start: Nanos::MIN, end: Nanos::MAX, limit: NUM_CHANGED };
        let bars = history.bars(&query).await?;
        let reaches = window.is_some_and(|window| window.closed.is_none_or(|newest| joins(&bars, &newest)));
        Ok(if reaches { Reach::Snapshot } else { Reach::Until(bars.first().map_or(Nanos::MIN, Bar::end)) })
    }
}

/// Returns true when no bar is missing between the newest bars of the history, newest first, and that of the snapshot: they
/// hold its window, or the change before its own.
pub(super) fn joins(bars: &[Bar], newest: &Bar) -> bool {
    let changes = bars.iter().map(|bar| bar.seq).max().unwrap_or(0);
    newest.seq <= changes + 1 || bars.first().is_some_and(|bar| bar.start >= newest.start)
}

/// A row of one window: a bar or its indicators.
pub trait WindowRow: Copy {
    /// Returns the start of the window.
    fn start(&self) -> Nanos;
    /// Returns the position of the last log entry that changed the row.
    fn log_pos(&self) -> Position;
    /// True when the row says that the window has none.
    fn is_void(&self) -> bool;
}

impl WindowRow for Bar {
    fn start(&self) -> Nanos {
        self.start
    }

    fn log_pos(&self) -> Position {
        self.log_pos
    }

    fn is_void(&self) -> bool {
        self.state == BarState::Void
    }
}

impl WindowRow for IndicatorPoint {
    fn start(&self) -> Nanos {
        self.start
    }

    fn log_pos(&self) -> Position {
        self.log_pos
    }

    fn is_void(&self) -> bool {
        false
    }
}

/// Merges `newest` into `rows`, which are sorted newest first. Of two rows of one window the one with the higher log
/// position stays; a void row removes the other.
pub fn merge_newest<R: WindowRow>(rows: &mut Vec<R>, newest: &R) {
    match rows.binary_search_by(|row| newest.start().cmp(&row.start())) {
        Ok(at) if rows[at].log_pos() > newest.log_pos() => {}
        Ok(at) if newest.is_void() => _ = rows.remove(at),
        Ok(at) => rows[at] = *newest,
        Err(_) if newest.is_void() => {}
        Err(at) => rows.insert(at, *newest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::recent::samples::bar;

    fn starts(rows: &[Bar]) -> Vec<(i64, Position)> {
        rows.iter().map(|row| (row.start.0, row.log_pos)).collect()
    }

    #[test]
    fn bars_join_the_snapshot_where_none_is_missing_between() {
        let table = [
            (vec![], 0, true),
            (vec![], 1, false),
            (vec![1, 0], 2, true),
            (vec![1, 0], 1, true),
            (vec![1, 0], 3, false),
            (vec![3, 2], 2, true),
        ];
        for (known, newest, expected) in table {
            let bars: Vec<Bar> = known.iter().copied().map(bar).collect();
            assert_eq!(joins(&bars, &bar(newest)), expected, "{known:?}, {newest}");
        }
        let amended = Bar { seq: 3, ..bar(0) };
        let newest = Bar { seq: 4, ..bar(2) };
        assert!(joins(&[bar(1), amended], &newest), "the last change was one of an older bar");
        assert!(joins(&[bar(1)], &Bar { seq: 9, ..bar(1) }), "only a newer version of the same");
    }

    #[test]
    fn the_higher_log_position_stays_and_void_removes() {
        let at = |nth: i64, log_pos| Bar { start: Nanos(nth), log_pos, ..bar(0) };
        let void = |nth, log_pos| Bar { state: BarState::Void, ..at(nth, log_pos) };
        let table = [
            (at(4, 9), vec![(4, 9), (3, 30), (1, 10)]),
            (at(2, 20), vec![(3, 30), (2, 20), (1, 10)]),
            (at(0, 1), vec![(3, 30), (1, 10), (0, 1)]),
            (at(3, 31), vec![(3, 31), (1, 10)]),
            (at(3, 29), vec![(3, 30), (1, 10)]),
            (void(3, 31), vec![(1, 10)]),
            (void(3, 29), vec![(3, 30), (1, 10)]),
            (void(2, 99), vec![(3, 30), (1, 10)]),
        ];
        for (newest, expected) in table {
            let mut rows = vec![at(3, 30), at(1, 10)];
            merge_newest(&mut rows, &newest);
            assert_eq!(starts(&rows), expected, "{newest:?}");
        }
    }
}
