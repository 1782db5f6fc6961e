//! Merges the newest row of a symbol's snapshot into rows of the history, which lags behind the snapshot by its batch.
//!
//! Promises: the newer version of a row stays, by log position, and a void one removes it; the order stays newest
//! first. Nothing here fails.

use crate::models::bar::{Bar, BarState};
use crate::models::effect::IndicatorPoint;
use crate::models::entry::Position;
use crate::models::time::Nanos;

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
