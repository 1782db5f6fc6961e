//! The trades of one window: 32 bytes each while the window is open, some 12 once it is packed.
//!
//! Promises: a trade keeps its row, and what is read of it is the same, packed or not. A packed window may still get
//! trades, which stand unpacked behind the others, and flags, which unpack it for good: both are rare.

use super::packed::{Packed, Reader};
use super::retained::{RetainedTrade, TradeFlags};
use super::sources::{LocalSource, LocalSources};
use crate::models::bar::TradeOrder;
use crate::models::entry::{TradeId, Updates};
use crate::models::num::{Price, Size};
use crate::models::time::Nanos;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// At most so many trades of one window: the bits that the index has for rows.
pub const NUM_ROWS_MAX: usize = 1 << 26;

/// Fewer trades than this take more room packed.
const PACKED_MIN: usize = 4;

/// A trade, as it is read: words of its id, sequence, time since the window's start, price, size, and the rest.
type Columns = [u64; 7];

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Row {
    id_lo: u64,
    /// From the top: 47 bits of time since the window's start, 11 of source, 3 of updates, 3 of flags.
    meta: u64,
    price: Price,
    size: Size,
}

const SOURCE_SHIFT: u32 = 6;
const UPDATES_SHIFT: u32 = 3;
const TIME_SHIFT: u32 = 17;
const REST_MASK: u64 = (1 << TIME_SHIFT) - 1;

/// The trades of one window.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rows {
    start: Nanos,
    packed: Packed<7>,
    /// Those behind the packed ones.
    rows: Vec<Row>,
    /// High words of their ids; empty as long as all are zero (numeric ids).
    id_hi: Vec<u64>,
    /// Their venue sequences; empty as long as all are zero.
    seq: Vec<u64>,
}

/// What identifies a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowIdentity {
    /// Place of its source.
    pub local: LocalSource,
    /// Its id.
    pub id: TradeId,
    /// Another version of it won and stands elsewhere.
    pub is_gone: bool,
}

impl Rows {
    /// Makes the rows of a window.
    #[must_use]
    pub fn new(start: Nanos) -> Rows {
        let (rows, id_hi, seq) = (Vec::new(), Vec::new(), Vec::new());
        Rows { start, packed: Packed::default(), rows, id_hi, seq }
    }

    /// Returns the start of the window.
    #[must_use]
    pub const fn start(&self) -> Nanos {
        self.start
    }

    /// Returns the number of rows.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.packed.len() + self.rows.len()
    }

    /// Appends a trade to fewer than [`NUM_ROWS_MAX`] and returns its row.
    #[inline]
    pub fn push(&mut self, retained: &RetainedTrade) -> u32 {
        let at = self.rows.len();
        let (id_hi, id_lo) = retained.order.id.words();
        push_sparse(&mut self.id_hi, at, id_hi);
        push_sparse(&mut self.seq, at, retained.order.seq);
        let meta = (retained.order.ts.since(self.start) as u64) << TIME_SHIFT
            | u64::from(retained.local) << SOURCE_SHIFT
            | u64::from(retained.updates.bits()) << UPDATES_SHIFT
            | u64::from(retained.flags.bits());
        self.rows.push(Row { id_lo, meta, price: retained.price, size: retained.size });
        u32::try_from(self.packed.len() + at).expect("fewer than 2^26 trades in a window")
    }

    /// Returns a trade.
    #[must_use]
    pub fn get(&self, row: usize, sources: &LocalSources) -> RetainedTrade {
        self.retained(&self.columns(row), sources)
    }

    /// Returns all trades in order of arrival.
    pub fn iter<'a>(&'a self, sources: &'a LocalSources) -> impl Iterator<Item = RetainedTrade> + 'a {
        self.all().map(|columns| self.retained(&columns, sources))
    }

    /// Returns what identifies a trade.
    #[must_use]
    pub fn identity(&self, row: usize) -> RowIdentity {
        identity(&self.columns(row))
    }

    /// Returns what identifies each trade, in order of arrival.
    pub fn identities(&self) -> impl Iterator<Item = RowIdentity> + '_ {
        self.all().map(|columns| identity(&columns))
    }

    /// Adds flags to a trade.
    pub fn mark(&mut self, row: usize, flags: TradeFlags) {
        if row < self.packed.len() {
            self.unpack();
        }
        let row = row - self.packed.len();
        self.rows[row].meta |= u64::from(flags.bits());
    }

    /// Packs the trades; for windows that will hardly change any more. Returns false where they stay as they are.
    pub fn pack(&mut self) -> bool {
        let packs = self.packed.len() == 0 && self.rows.len() >= PACKED_MIN;
        if packs {
            self.packed = Packed::of((0..self.rows.len()).map(|at| self.unpacked(at)));
            (self.rows, self.id_hi, self.seq) = (Vec::new(), Vec::new(), Vec::new());
        }
        packs
    }

    /// Returns the number of packed rows: the first ones.
    #[must_use]
    pub const fn num_packed(&self) -> usize {
        self.packed.len()
    }

    /// Returns the first and the last identity among the packed rows, if each row's is above the one before, all are of
    /// one source, and none is gone.
    #[must_use]
    pub fn ascending(&self) -> Option<(RowIdentity, RowIdentity)> {
        let mut identities = self.identities().take(self.packed.len());
        let first = identities.next()?;
        let mut last = first;
        for next in identities {
            if next.local != last.local || next.id <= last.id || next.is_gone {
                return None;
            }
            last = next;
        }
        (!first.is_gone).then_some((first, last))
    }

    /// Finds an id among the packed rows, which are ascending.
    #[must_use]
    pub fn search(&self, id: TradeId) -> Option<u32> {
        let reader = self.packed.reader();
        let (mut low, mut high) = (0, self.packed.len());
        while low < high {
            let middle = low.midpoint(high);
            match identity(&reader.row(middle)).id.cmp(&id) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return u32::try_from(middle).ok(),
            }
        }
        None
    }

    /// Gives back what the rows grew to in advance.
    pub fn shrink(&mut self) {
        self.rows.shrink_to_fit();
        self.id_hi.shrink_to_fit();
        self.seq.shrink_to_fit();
    }

    fn unpack(&mut self) {
        let mut all = Rows::new(self.start);
        all.rows.reserve_exact(self.len());
        for (at, columns) in self.all().enumerate() {
            let [id_hi, id_lo, seq, time, price, size, rest] = columns;
            push_sparse(&mut all.id_hi, at, id_hi);
            push_sparse(&mut all.seq, at, seq);
            let (price, size) = (Price(price.cast_signed()), Size(size.cast_signed()));
            all.rows.push(Row { id_lo, meta: time << TIME_SHIFT | rest, price, size });
        }
        *self = all;
    }

    fn all(&self) -> impl Iterator<Item = Columns> + '_ {
        let reader: Reader<'_, 7> = self.packed.reader();
        let packed = (0..self.packed.len()).map(move |at| reader.row(at));
        packed.chain((0..self.rows.len()).map(|at| self.unpacked(at)))
    }

    fn columns(&self, row: usize) -> Columns {
        match row.checked_sub(self.packed.len()) {
            Some(at) => self.unpacked(at),
            None => self.packed.reader().row(row),
        }
    }

    fn unpacked(&self, at: usize) -> Columns {
        let Row { id_lo, meta, price, size } = self.rows[at];
        let sparse = |column: &[u64]| column.get(at).copied().unwrap_or(0);
        let (price, size) = (price.0.cast_unsigned(), size.0.cast_unsigned());
        [sparse(&self.id_hi), id_lo, sparse(&self.seq), meta >> TIME_SHIFT, price, size, meta & REST_MASK]
    }

    fn retained(&self, columns: &Columns, sources: &LocalSources) -> RetainedTrade {
        let &[id_hi, id_lo, seq, time, price, size, rest] = columns;
        let local = local(rest);
        RetainedTrade {
            order: TradeOrder {
                ts: self.start.plus(time.cast_signed()),
                seq,
                id: TradeId::from_words(id_hi, id_lo),
                source: sources.rank(local),
            },
            source: sources.id(local),
            price: Price(price.cast_signed()),
            size: Size(size.cast_signed()),
            updates: Updates::from_bits((rest >> UPDATES_SHIFT) as u8 & 7),
            local,
            flags: TradeFlags::from_bits(rest as u8 & 7),
        }
    }
}

const fn local(rest: u64) -> LocalSource {
    (rest >> SOURCE_SHIFT) as LocalSource
}

fn identity(columns: &Columns) -> RowIdentity {
    let &[id_hi, id_lo, .., rest] = columns;
    let is_gone = TradeFlags::from_bits(rest as u8 & 7).has(TradeFlags::GONE);
    RowIdentity { local: local(rest), id: TradeId::from_words(id_hi, id_lo), is_gone }
}

/// Appends to a column that stays empty as long as it holds zeros only.
fn push_sparse(column: &mut Vec<u64>, at: usize, value: u64) {
    if value != 0 || !column.is_empty() {
        column.resize(at, 0);
        column.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::entry::SourceId;
    use proptest::prelude::*;

    fn sources() -> LocalSources {
        let mut sources = LocalSources::default();
        for (id, name) in [(4, "m"), (9, "z"), (2, "a")] {
            sources.add(SourceId(id), name.into()).expect("room");
        }
        sources
    }

    fn retained(n: i64, text: bool, seq: u64, local: LocalSource) -> RetainedTrade {
        let id =
            if text { TradeId::from_text(format!("t-{n}").as_bytes()) } else { TradeId::number(n as u64) };
        RetainedTrade {
            order: TradeOrder { ts: Nanos(1_000 + n * 1_000_000), seq, id, source: sources().rank(local) },
            source: sources().id(local),
            price: Price(100_000_000_000 + n % 7 * 10_000_000),
            size: Size(n + 1),
            updates: Updates::from_bits(n as u8 & 7),
            local,
            flags: TradeFlags::from_bits(n as u8 >> 3 & 3),
        }
    }

    proptest! {
        #[test]
        fn a_row_reads_the_same_packed_or_not(
            trades in prop::collection::vec((0_i64..60_000, any::<bool>(), 0_u64..3, 0_u16..3), 0..80),
            late in prop::collection::vec((0_i64..60_000, any::<bool>(), 0_u64..3, 0_u16..3), 0..5),
            marked in any::<prop::sample::Index>(),
        ) {
            let mut rows = Rows::new(Nanos(1_000));
            let mut expected = Vec::new();
            for (is_late, &(n, text, seq, local)) in
                trades.iter().map(|trade| (false, trade)).chain(late.iter().map(|trade| (true, trade)))
            {
                if is_late && expected.len() == trades.len() {
                    rows.pack();
                }
                let retained = retained(n, text, seq, local);
                prop_assert_eq!(rows.push(&retained) as usize, expected.len());
                expected.push(retained);
            }
            rows.pack();
            for step in 0..2 {
                prop_assert_eq!(rows.len(), expected.len());
                prop_assert_eq!(&rows.iter(&sources()).collect::<Vec<_>>(), &expected);
                for (row, retained) in expected.iter().enumerate() {
                    let is_gone = retained.flags.has(TradeFlags::GONE);
                    prop_assert_eq!(&rows.get(row, &sources()), retained);
                    let identity = RowIdentity { local: retained.local, id: retained.order.id, is_gone };
                    prop_assert_eq!(rows.identity(row), identity);
                }
                if step == 0 && !expected.is_empty() {
                    let row = marked.index(expected.len());
                    rows.mark(row, TradeFlags::GONE);
                    expected[row].flags = expected[row].flags.with(TradeFlags::GONE);
                }
            }
        }
    }
}
