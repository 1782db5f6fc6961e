//! One window in memory: its bar, its indicators, and what few windows have besides.
//!
//! Promises: what is put comes back as it was; of two rows that meet under one place the one with the higher log position
//! stays; room that is given up is used again. Nothing here fails.

use crate::models::bar::{Bar, BarOrigin, BarState};
use crate::models::effect::IndicatorPoint;
use crate::models::entry::Position;
use crate::models::indicators::IndicatorValues;
use crate::models::num::Price;
use crate::models::symbol::SymbolId;
use crate::models::time::{Nanos, Width};
use hashbrown::HashMap;

/// Rows that get room at once: 350 kB.
pub(super) const CHUNK: usize = 4_096;

/// Indicators that a window can have.
const NUM_VALUES: usize = IndicatorValues::NAMES.len();

/// The bits of the indicators that there are.
const VALUES: u16 = (1 << NUM_VALUES) - 1;
const HAS_BAR: u16 = 1 << 12;
const HAS_VWAP: u16 = 1 << 13;
/// Somebody said whether there are indicators, and there are.
const POINT_KNOWN: u16 = 1 << 14;
const HAS_POINT: u16 = 1 << 15;

/// A bar, and where the indicators of its window are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Which indicators there are, and what else.
    flags: u16,
    state: BarState,
    /// Bit 0: it has a story. The bits above: its origin.
    kind: u8,
    /// Place of the first indicator.
    values: u32,
    prices: [Price; 4],
    /// The lower half of the volume.
    volume: u64,
    vwap: i64,
    trade_count: u64,
    seq: u64,
    /// The log position that says so.
    pos: Position,
}

/// What most windows have in common: a row with another story keeps it apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Story {
    revision: u32,
    late: u32,
    duplicates: u32,
    cancelled: u32,
    coverage: f64,
    /// The upper half of the volume.
    volume: u64,
    /// Of the indicators: the log position that says so, the close and the VWAP.
    point_pos: Position,
    close: Price,
    vwap: Option<i64>,
}

impl Row {
    const EMPTY: Row = Row {
        flags: 0,
        state: BarState::Forming,
        kind: 0,
        values: 0,
        prices: [Price(0); 4],
        volume: 0,
        vwap: 0,
        trade_count: 0,
        seq: 0,
        pos: 0,
    };

    const fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    const fn set(&mut self, flag: u16, on: bool) {
        self.flags = if on { self.flags | flag } else { self.flags & !flag };
    }

    const fn has_story(&self) -> bool {
        self.kind & 1 != 0
    }

    fn set_story(&mut self, on: bool) {
        self.kind = self.kind & !1 | u8::from(on);
    }

    const fn origin(&self) -> BarOrigin {
        match self.kind >> 1 {
            0 => BarOrigin::Trades,
            1 => BarOrigin::Quotes,
            _ => BarOrigin::Vendor,
        }
    }

    const fn set_origin(&mut self, origin: BarOrigin) {
        let code = match origin {
            BarOrigin::Trades => 0,
            BarOrigin::Quotes => 1,
            BarOrigin::Vendor => 2,
        };
        self.kind = self.kind & 1 | code << 1;
    }

    fn vwap(&self) -> Option<i64> {
        self.has(HAS_VWAP).then_some(self.vwap)
    }

    /// Returns what the story is unless it is told.
    fn plain_story(&self) -> Story {
        Story {
            revision: 0,
            late: 0,
            duplicates: 0,
            cancelled: 0,
            coverage: 1.0,
            volume: 0,
            point_pos: if self.has(POINT_KNOWN) { self.pos } else { 0 },
            close: self.prices[3],
            vwap: self.vwap(),
        }
    }

    const fn num_values(&self) -> usize {
        (self.flags & VALUES).count_ones() as usize
    }
}

/// Room for rows and what belongs to them. It is taken in chunks that never move.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) chunks: Vec<Vec<Row>>,
    free: Vec<u32>,
    pub(super) stories: HashMap<u32, Story>,
    pub(super) values: Values,
}

impl Rows {
    /// Makes an empty row and returns its place.
    pub(super) fn add(&mut self) -> u32 {
        if let Some(place) = self.free.pop() {
            *self.at_mut(place) = Row::EMPTY;
            return place;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let at = self.chunks.len() - 1;
        self.chunks[at].push(Row::EMPTY);
        u32::try_from(at * CHUNK + self.chunks[at].len() - 1).expect("memory ends before 2^32 rows")
    }

    /// Gives a row's room back.
    pub(super) fn remove(&mut self, place: u32) {
        let row = *self.at(place);
        self.values.remove(row.values, row.num_values());
        self.stories.remove(&place);
        self.free.push(place);
    }

    fn at(&self, place: u32) -> &Row {
        &self.chunks[place as usize / CHUNK][place as usize % CHUNK]
    }

    fn at_mut(&mut self, place: u32) -> &mut Row {
        &mut self.chunks[place as usize / CHUNK][place as usize % CHUNK]
    }

    fn story(&self, place: u32) -> Story {
        let row = self.at(place);
        let told = if row.has_story() { self.stories.get(&place).copied() } else { None };
        told.unwrap_or_else(|| row.plain_story())
    }

    fn tell(&mut self, place: u32, story: Story) {
        let row = self.at_mut(place);
        let (had_story, has_story) = (row.has_story(), row.plain_story() != story);
        row.set_story(has_story);
        if has_story {
            self.stories.insert(place, story);
        } else if had_story {
            self.stories.remove(&place);
        }
    }

    /// Keeps a bar, unless a newer one is there; a void one has no indicators.
    pub(super) fn put_bar(&mut self, place: u32, bar: &Bar) {
        let before = self.story(place);
        let row = self.at_mut(place);
        if row.has(HAS_BAR) && row.pos > bar.log_pos {
            return;
        }
        row.set(HAS_BAR, true);
        row.set(HAS_VWAP, bar.vwap.is_some());
        row.state = bar.state;
        row.set_origin(bar.origin);
        row.prices = [bar.open, bar.high, bar.low, bar.close];
        row.volume = bar.volume as u64;
        row.vwap = bar.vwap.unwrap_or(0);
        row.trade_count = bar.trade_count;
        row.seq = bar.seq;
        row.pos = bar.log_pos;
        let known = row.has(POINT_KNOWN);
        let of_point = if known { before } else { row.plain_story() };
        let story = Story {
            revision: bar.revision,
            late: bar.late,
            duplicates: bar.duplicates,
            cancelled: bar.cancelled,
            coverage: bar.coverage,
            volume: (bar.volume >> 64) as u64,
            ..of_point
        };
        self.tell(place, story);
        if bar.state == BarState::Void {
            self.put_point(place, bar.log_pos, None);
        }
    }

    /// Keeps indicators, or that there are none, unless something newer is known.
    pub(super) fn put_point(&mut self, place: u32, log_pos: Position, point: Option<&IndicatorPoint>) {
        let mut story = self.story(place);
        if story.point_pos > log_pos {
            return;
        }
        let Row { flags, values, .. } = *self.at(place);
        let given = point.map(|point| point.values.in_order()).unwrap_or_default();
        let mut mask = 0;
        for (at, value) in given.iter().enumerate() {
            mask |= u16::from(value.is_some()) << at;
        }
        let (num_before, num) = ((flags & VALUES).count_ones() as usize, mask.count_ones() as usize);
        let first = if num == num_before {
            values
        } else {
            self.values.remove(values, num_before);
            self.values.add(num)
        };
        for (value, room) in given.iter().flatten().zip(self.values.at_mut(first, num)) {
            *room = *value;
        }
        let row = self.at_mut(place);
        row.values = first;
        row.flags = (flags & !VALUES) | mask | POINT_KNOWN;
        row.set(HAS_POINT, point.is_some());
        story.point_pos = log_pos;
        (story.close, story.vwap) = match point {
            Some(point) => (point.close, point.vwap),
            None => (row.prices[3], row.vwap()),
        };
        self.tell(place, story);
    }

    /// Returns the bar, if there is one.
    pub(super) fn bar(&self, place: u32, symbol: SymbolId, width: Width, start: Nanos) -> Option<Bar> {
        let row = self.at(place);
        if !row.has(HAS_BAR) {
            return None;
        }
        let (story, [open, high, low, close]) = (self.story(place), row.prices);
        Some(Bar {
            symbol,
            width,
            start,
            open,
            high,
            low,
            close,
            volume: (u128::from(story.volume) << 64 | u128::from(row.volume)).cast_signed(),
            vwap: row.vwap(),
            trade_count: row.trade_count,
            state: row.state,
            origin: row.origin(),
            revision: story.revision,
            coverage: story.coverage,
            late: story.late,
            duplicates: story.duplicates,
            cancelled: story.cancelled,
            seq: row.seq,
            log_pos: row.pos,
        })
    }

    /// Returns the indicators, if there are any.
    pub(super) fn point(
        &self,
        place: u32,
        symbol: SymbolId,
        width: Width,
        start: Nanos,
    ) -> Option<IndicatorPoint> {
        let row = self.at(place);
        if !row.has(HAS_POINT) {
            return None;
        }
        let story = self.story(place);
        let mut known = self.values.at(row.values, row.num_values()).iter().copied();
        let value = |at: usize| if row.has(1 << at) { known.next() } else { None };
        Some(IndicatorPoint {
            symbol,
            width,
            start,
            close: story.close,
            vwap: story.vwap,
            values: IndicatorValues::from_order(std::array::from_fn(value)),
            log_pos: story.point_pos,
        })
    }
}

/// Numbers that get room at once: 512 kB.
const VALUES_CHUNK: usize = 1 << 16;

/// Room for indicators: as many numbers in a row as a window has.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub(super) chunks: Vec<Vec<f64>>,
    /// Places that are free, by how many numbers have room there.
    pub(super) free: [Vec<u32>; NUM_VALUES + 1],
}

impl Values {
    fn add(&mut self, num: usize) -> u32 {
        if let Some(place) = self.free[num].pop() {
            return place;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() + num > VALUES_CHUNK) {
            self.chunks.push(Vec::with_capacity(VALUES_CHUNK));
        }
        let at = self.chunks.len() - 1;
        let first = self.chunks[at].len();
        self.chunks[at].resize(first + num, 0.0);
        u32::try_from(at * VALUES_CHUNK + first).expect("memory ends before 2^32 numbers")
    }

    fn remove(&mut self, place: u32, num: usize) {
        if num > 0 {
            self.free[num].push(place);
        }
    }

    fn at(&self, place: u32, num: usize) -> &[f64] {
        let (chunk, first) = (place as usize / VALUES_CHUNK, place as usize % VALUES_CHUNK);
        if num == 0 { &[] } else { &self.chunks[chunk][first..first + num] }
    }

    fn at_mut(&mut self, place: u32, num: usize) -> &mut [f64] {
        let (chunk, first) = (place as usize / VALUES_CHUNK, place as usize % VALUES_CHUNK);
        if num == 0 { &mut [] } else { &mut self.chunks[chunk][first..first + num] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_stays_small() {
        assert!(size_of::<Row>() <= 88, "{} bytes a window", size_of::<Row>());
    }
}
