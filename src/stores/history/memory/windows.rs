//! Bars and indicators in memory, packed: a replay of ten thousand symbols brings a million of them.
//!
//! Promises: a window takes some 130 bytes while its indicators warm up and 180 later, whether its series is long or
//! short, and 80 more where it has a story (it was amended, trades came late, a source was silent); writing at the end of
//! a series and reading in order cost the same for one series and for ten thousand; of two rows that meet under one key
//! the one with the higher log position stays. Nothing here fails.

use super::rows::Rows;
use crate::models::bar::{Bar, BarState};
use crate::models::effect::IndicatorPoint;
use crate::models::symbol::SymbolId;
use crate::models::time::{Nanos, Width};
use std::collections::VecDeque;

/// The windows of one symbol and width.
#[derive(Debug)]
struct Series {
    width: Width,
    /// Starts, ascending, with the places of their rows.
    places: VecDeque<(Nanos, u32)>,
}

impl Series {
    /// Returns the index of the first window from a start on.
    fn from(&self, start: Nanos) -> usize {
        self.places.partition_point(|(known, _)| *known < start)
    }
}

/// Windows of all symbols and widths.
#[derive(Debug, Default)]
pub(super) struct Windows {
    rows: Rows,
    /// By symbol id; ascending by width.
    series: Vec<Vec<Series>>,
    /// The window that was written last, and its place: after a bar come its indicators.
    latest: Option<(SymbolId, Width, Nanos, u32)>,
}

impl Windows {
    /// Keeps a bar; a void one has no indicators. The oldest window goes where the series has more than `max_rows`.
    pub(super) fn put_bar(&mut self, bar: &Bar, max_rows: usize) {
        if let Some(place) = self.place(bar.symbol, bar.width, bar.start, max_rows) {
            self.rows.put_bar(place, bar);
        }
    }

    /// Keeps indicators, as [`Windows::put_bar`] does a bar.
    pub(super) fn put_point(&mut self, point: &IndicatorPoint, max_rows: usize) {
        if let Some(place) = self.place(point.symbol, point.width, point.start, max_rows) {
            self.rows.put_point(place, point.log_pos, Some(point));
        }
    }

    /// Returns the bars of a series, void ones too, newest first.
    pub(super) fn bars(&self, symbol: SymbolId, width: Width) -> impl Iterator<Item = Bar> + '_ {
        let places = self.find(symbol, width).into_iter().flat_map(|series| series.places.iter().rev());
        places.filter_map(move |&(start, place)| self.rows.bar(place, symbol, width, start))
    }

    /// Returns the indicators of a series, newest first.
    pub(super) fn points(&self, symbol: SymbolId, width: Width) -> impl Iterator<Item = IndicatorPoint> + '_ {
        let places = self.find(symbol, width).into_iter().flat_map(|series| series.places.iter().rev());
        places.filter_map(move |&(start, place)| self.rows.point(place, symbol, width, start))
    }

    /// Returns the bars of a symbol that are not void, with their indicators, by width and start, after a key.
    pub(super) fn of_symbol(
        &self,
        symbol: SymbolId,
        after: Option<(Width, Nanos)>,
    ) -> impl Iterator<Item = (Bar, Option<IndicatorPoint>)> + '_ {
        let all = self.series.get(symbol.index()).map_or(&[][..], Vec::as_slice);
        let rest = all.iter().filter(move |series| after.is_none_or(|(width, _)| width <= series.width));
        rest.flat_map(move |series| {
            let width = series.width;
            let first = match after {
                Some((last, start)) if last == width => series.from(start.plus(1)),
                _ => 0,
            };
            series.places.range(first..).filter_map(move |&(start, place)| {
                let bar = self.rows.bar(place, symbol, width, start);
                let bar = bar.filter(|bar| bar.state != BarState::Void)?;
                Some((bar, self.rows.point(place, symbol, width, start)))
            })
        })
    }

    /// Returns the place of a window's row, made where there is none; `None` where it would be the oldest of too many.
    fn place(&mut self, symbol: SymbolId, width: Width, start: Nanos, max_rows: usize) -> Option<u32> {
        if let Some((.., place)) = self.latest.filter(|&(s, w, t, _)| (s, w, t) == (symbol, width, start)) {
            return Some(place);
        }
        if symbol.index() >= self.series.len() {
            self.series.resize_with(symbol.index() + 1, Vec::new);
        }
        let of_symbol = &mut self.series[symbol.index()];
        let at = match of_symbol.iter().position(|series| series.width >= width) {
            Some(at) if of_symbol[at].width == width => at,
            at => {
                let at = at.unwrap_or(of_symbol.len());
                of_symbol.insert(at, Series { width, places: VecDeque::new() });
                at
            }
        };
        let places = &mut of_symbol[at].places;
        // Nearly always it is the newest window, or one after it.
        let at = match places.back() {
            Some((newest, _)) if *newest == start => places.len() - 1,
            Some((newest, _)) if *newest > start => places.partition_point(|(known, _)| *known < start),
            _ => places.len(),
        };
        let place = match places.get(at) {
            Some((known, place)) if *known == start => *place,
            _ if places.len() >= max_rows && at == 0 => return None,
            _ => {
                let place = self.rows.add();
                places.insert(at, (start, place));
                if places.len() > max_rows
                    && let Some((_, oldest)) = places.pop_front()
                {
                    self.rows.remove(oldest);
                }
                place
            }
        };
        self.latest = Some((symbol, width, start, place));
        Some(place)
    }

    fn find(&self, symbol: SymbolId, width: Width) -> Option<&Series> {
        self.series.get(symbol.index())?.iter().find(|series| series.width == width)
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::CHUNK;
    use super::*;
    use crate::models::bar::BarOrigin;
    use crate::models::entry::Position;
    use crate::models::indicators::IndicatorValues;
    use crate::models::num::Price;
    use crate::models::time::MINUTE;

    const SYMBOL: SymbolId = SymbolId(2);

    fn width() -> Width {
        Width::new(MINUTE).expect("divides a day")
    }

    fn bar(minute: i64, log_pos: Position) -> Bar {
        Bar {
            symbol: SYMBOL,
            width: width(),
            start: Nanos(minute * MINUTE),
            open: Price(1),
            high: Price(2),
            low: Price(3),
            close: Price(4),
            volume: -(1 << 100) + 5,
            vwap: (minute % 2 == 0).then_some(6),
            trade_count: 7,
            state: BarState::Amended,
            origin: BarOrigin::Quotes,
            revision: 8,
            coverage: 0.5,
            late: 9,
            duplicates: 10,
            cancelled: 11,
            seq: 12,
            log_pos,
        }
    }

    fn point(minute: i64, log_pos: Position) -> IndicatorPoint {
        let values = std::array::from_fn(|at| (at % 3 > 0).then_some(at as f64));
        IndicatorPoint {
            symbol: SYMBOL,
            width: width(),
            start: Nanos(minute * MINUTE),
            close: Price(4),
            vwap: (minute % 2 == 1).then_some(6),
            values: IndicatorValues::from_order(values),
            log_pos,
        }
    }

    #[test]
    fn what_is_kept_comes_back_as_it_was() {
        let mut windows = Windows::default();
        for minute in [1, 3, 2, 4] {
            windows.put_bar(&bar(minute, 5), usize::MAX);
            windows.put_point(&point(minute, 5), usize::MAX);
        }
        let newest_first = [4, 3, 2, 1];
        assert!(windows.bars(SYMBOL, width()).eq(newest_first.map(|minute| bar(minute, 5))));
        assert!(windows.points(SYMBOL, width()).eq(newest_first.map(|minute| point(minute, 5))));
        let after = Some((width(), Nanos(2 * MINUTE)));
        assert!(windows.of_symbol(SYMBOL, after).eq([3, 4].map(|m| (bar(m, 5), Some(point(m, 5))))));
        assert_eq!(
            windows.bars(SymbolId(0), width()).count() + windows.bars(SymbolId(9), width()).count(),
            0
        );
    }

    #[test]
    fn an_older_row_changes_nothing_and_a_void_bar_takes_its_indicators_along() {
        let mut windows = Windows::default();
        windows.put_bar(&bar(1, 5), usize::MAX);
        windows.put_point(&point(1, 5), usize::MAX);
        windows.put_bar(&Bar { close: Price(9), ..bar(1, 4) }, usize::MAX);
        windows.put_point(&IndicatorPoint { close: Price(9), ..point(1, 4) }, usize::MAX);
        assert!(windows.of_symbol(SYMBOL, None).eq([(bar(1, 5), Some(point(1, 5)))]));
        windows.put_bar(&Bar { state: BarState::Void, ..bar(1, 6) }, usize::MAX);
        windows.put_point(&point(1, 5), usize::MAX);
        assert_eq!(
            (windows.of_symbol(SYMBOL, None).count(), windows.points(SYMBOL, width()).count()),
            (0, 0)
        );
    }

    #[test]
    fn the_oldest_goes_and_its_room_is_used_again() {
        let mut windows = Windows::default();
        for minute in 0..3 * CHUNK as i64 {
            windows.put_bar(&bar(minute, 5), 10);
            windows.put_point(&point(minute, 5), 10);
        }
        assert_eq!((windows.bars(SYMBOL, width()).count(), windows.rows.chunks.len()), (10, 1));
        assert!(windows.rows.chunks[0].len() <= 11, "{} rows", windows.rows.chunks[0].len());
        windows.put_bar(&bar(1, 5), 10);
        assert_eq!(
            windows.bars(SYMBOL, width()).last().map(|bar| bar.start),
            Some(bar(3 * CHUNK as i64 - 10, 5).start)
        );
    }

    #[test]
    fn a_plain_window_has_no_story_and_one_that_warms_up_gets_more_room() {
        let mut windows = Windows::default();
        let plain =
            Bar { volume: 5, revision: 0, coverage: 1.0, late: 0, duplicates: 0, cancelled: 0, ..bar(2, 5) };
        let point_of = |num: usize, log_pos| IndicatorPoint {
            vwap: plain.vwap,
            values: IndicatorValues::from_order(std::array::from_fn(|at| (at < num).then_some(at as f64))),
            ..point(2, log_pos)
        };
        windows.put_bar(&plain, usize::MAX);
        windows.put_point(&point_of(3, 5), usize::MAX);
        assert_eq!(windows.rows.stories.len(), 0);
        windows.put_point(&point_of(5, 7), usize::MAX);
        assert_eq!(
            (windows.rows.stories.len(), windows.rows.values.free[3].len()),
            (1, 1),
            "it knows more than its bar"
        );
        let later = Bar { log_pos: 8, ..plain };
        windows.put_bar(&later, usize::MAX);
        assert!(windows.of_symbol(SYMBOL, None).eq([(later, Some(point_of(5, 7)))]));
        windows.put_point(&point_of(3, 8), usize::MAX);
        assert!(windows.of_symbol(SYMBOL, None).eq([(later, Some(point_of(3, 8)))]));
        assert_eq!((windows.rows.stories.len(), windows.rows.values.chunks[0].len()), (0, 8));
    }
}
