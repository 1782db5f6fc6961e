//! The index of ticks by symbol: blocks of the log, and in each block the runs of every symbol.
//!
//! An index over the entries themselves would cost more than writing them. Instead the positions of a symbol's ticks are
//! collected in memory while a block of the log fills, and written once, packed, when it is full. A run is short, so
//! that the newest ticks of a symbol can be had without reading all of its block.

use crate::models::entry::{Body, Entry, Position};
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use crate::stores::sqlite::checked::{DIFFERS, Fault, Sum};
use hashbrown::HashMap;
use smallvec::SmallVec;

/// A block ends with the group that brings it to this many entries.
pub(super) const BLOCK_ENTRIES: u64 = 65_536;

/// A run takes at most this many ticks: what a page of the newest ticks has to read and sort.
pub(super) const RUN_TICKS: u32 = 256;

/// First and last event time of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub min: Nanos,
    pub max: Nanos,
}

impl Span {
    fn including(span: Option<Span>, ts: Nanos) -> Span {
        span.map_or(Span { min: ts, max: ts }, |span| Span { min: span.min.min(ts), max: span.max.max(ts) })
    }
}

/// Some ticks of one symbol that stand one after another in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub first: Position,
    pub last: Position,
    pub span: Span,
    pub count: u32,
    /// Distances from each tick to the next, as LEB128.
    pub offsets: Vec<u8>,
}

impl Run {
    fn start(pos: Position, ts: Nanos) -> Run {
        Run { first: pos, last: pos, span: Span { min: ts, max: ts }, count: 1, offsets: Vec::new() }
    }

    fn push(&mut self, pos: Position, ts: Nanos) {
        let mut distance = pos - self.last;
        while distance >= 0x80 {
            self.offsets.push((distance as u8) | 0x80);
            distance >>= 7;
        }
        self.offsets.push(distance as u8);
        self.last = pos;
        self.span = Span::including(Some(self.span), ts);
        self.count += 1;
    }

    /// Returns what stands in the file for the offsets: them, and behind them the checksum of the row.
    pub(super) fn pack(&self, block: Position, symbol: u32) -> Vec<u8> {
        [self.offsets.as_slice(), &self.checksum(block, symbol).to_le_bytes()].concat()
    }

    /// Takes the checksum off packed offsets and compares it. Runs without one were written before there were any.
    pub(super) fn unpack(mut self, block: Position, symbol: u32) -> Result<Run, Fault> {
        let ends = |(_, byte): &(usize, &u8)| **byte & 0x80 == 0;
        let last = self.offsets.iter().enumerate().filter(ends).nth((self.count as usize).wrapping_sub(2));
        let len = match self.count {
            0 => return Err(Fault::new("it has no ticks")),
            1 => 0,
            _ => last.map_or(usize::MAX, |(at, _)| at + 1),
        };
        let Some((_, sum)) = self.offsets.split_at_checked(len) else {
            return Err(Fault::new("its offsets are cut short"));
        };
        let sum = <[u8; 4]>::try_from(sum).ok();
        if sum.is_none() && self.offsets.len() != len {
            return Err(Fault::new(DIFFERS));
        }
        self.offsets.truncate(len);
        match sum {
            Some(sum) if i32::from_le_bytes(sum) != self.checksum(block, symbol) => Err(Fault::new(DIFFERS)),
            _ => Ok(self),
        }
    }

    fn checksum(&self, block: Position, symbol: u32) -> i32 {
        let mut sum = Sum::default();
        for value in [block, u64::from(symbol), self.first, u64::from(self.count)] {
            sum.integer(value.cast_signed());
        }
        sum.integer(self.span.min.0);
        sum.integer(self.span.max.0);
        sum.bytes(false, &self.offsets);
        sum.finish()
    }

    /// Returns the positions of the ticks, ascending; nothing where the offsets are damaged.
    pub(super) fn positions(&self) -> Option<Vec<Position>> {
        let mut positions = Vec::with_capacity(self.count as usize);
        let (mut pos, mut distance, mut shift) = (self.first, 0_u64, 0);
        positions.push(pos);
        for byte in &self.offsets {
            distance |= u64::from(byte & 0x7f).checked_shl(shift)?;
            shift += 7;
            if byte & 0x80 == 0 {
                pos = pos.checked_add(distance)?;
                positions.push(pos);
                (distance, shift) = (0, 0);
            }
        }
        (positions.len() == self.count as usize).then_some(positions)
    }
}

/// What is known of a finished block without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockSummary {
    pub first: Position,
    pub last: Position,
    pub part: u32,
    pub entries: u64,
    /// Event times of its ticks.
    pub span: Option<Span>,
    /// The newest event time that any of its entries knows.
    pub newest: Option<Nanos>,
}

/// The block that is being filled.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenBlock {
    pub first: Position,
    pub last: Position,
    pub entries: u64,
    pub span: Option<Span>,
    pub newest: Option<Nanos>,
    /// Mostly one run a symbol, and thousands of symbols.
    runs: HashMap<SymbolId, SmallVec<[Run; 1]>>,
}

impl OpenBlock {
    /// Adds one entry; positions ascend.
    pub(super) fn push(&mut self, entry: &Entry) {
        if self.entries == 0 {
            self.first = entry.pos;
        }
        self.last = entry.pos;
        self.entries += 1;
        self.newest = self.newest.max(event_time(&entry.body));
        if !is_tick(&entry.body) {
            return;
        }
        let ts = entry.body.time();
        self.span = Some(Span::including(self.span, ts));
        let runs = self.runs.entry(entry.symbol).or_default();
        match runs.last_mut() {
            Some(run) if run.count < RUN_TICKS => run.push(entry.pos, ts),
            _ => runs.push(Run::start(entry.pos, ts)),
        }
    }

    /// Returns the runs of a symbol in the order of the log.
    pub(super) fn runs_of(&self, symbol: SymbolId) -> &[Run] {
        self.runs.get(&symbol).map_or(&[], SmallVec::as_slice)
    }

    /// Returns the runs of every symbol.
    pub(super) fn runs(&self) -> impl Iterator<Item = (SymbolId, &Run)> {
        self.runs.iter().flat_map(|(symbol, runs)| runs.iter().map(|run| (*symbol, run)))
    }

    /// Returns what stays in memory of the block once it is written.
    pub(super) const fn summary(&self, part: u32) -> BlockSummary {
        BlockSummary {
            first: self.first,
            last: self.last,
            part,
            entries: self.entries,
            span: self.span,
            newest: self.newest,
        }
    }
}

/// True for what [`crate::stores::log::LogReader::ticks`] returns: reports and quotes.
pub(super) const fn is_tick(body: &Body) -> bool {
    body.is_report() || matches!(body, Body::Quote(_))
}

/// The event time that an entry knows of. A gap and a change of source speak of times that may never come, what a symbol
/// is holds for all time, and what is looked for goes by positions.
const fn event_time(body: &Body) -> Option<Nanos> {
    match body {
        Body::Gap(_) | Body::SourceInCharge { .. } | Body::Symbol { .. } | Body::Detection { .. } => None,
        _ => Some(body.time()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::entry::Trade;
    use proptest::prelude::*;

    fn trade(pos: Position, symbol: u32, ts: i64) -> Entry {
        Entry { pos, symbol: SymbolId(symbol), body: Body::Trade(Trade::for_test(pos, Nanos(ts))) }
    }

    proptest! {
        #[test]
        fn runs_give_back_every_position(steps in prop::collection::vec((1_u64..1_000_000, 0_u32..3), 1..2_000)) {
            let mut block = OpenBlock::default();
            let mut expected: [Vec<Position>; 3] = Default::default();
            let mut pos = 0;
            for (step, symbol) in steps {
                pos += step;
                block.push(&trade(pos, symbol, -(pos as i64)));
                expected[symbol as usize].push(pos);
            }
            for (symbol, positions) in (0..).zip(&expected) {
                let runs = block.runs_of(SymbolId(symbol));
                let found: Vec<Position> = runs.iter().flat_map(|run| run.positions().expect("whole")).collect();
                prop_assert_eq!(&found, positions);
                for run in runs {
                    prop_assert!(run.count <= RUN_TICKS);
                    prop_assert_eq!(run.span, Span { min: Nanos(-(run.last as i64)), max: Nanos(-(run.first as i64)) });
                }
            }
            prop_assert_eq!(block.summary(1).last, pos);
        }
    }

    #[test]
    fn damaged_offsets_are_noticed() {
        let mut run = Run::start(1, Nanos(0));
        run.push(300, Nanos(0));
        run.offsets.pop();
        assert_eq!(run.positions(), None);
    }
}
