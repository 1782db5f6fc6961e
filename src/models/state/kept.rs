//! The trades of the windows that are not sealed, found by identity.
//!
//! Promises: a trade costs 32 bytes and some 10 of index (8 more each for text ids and venue sequences), since ten
//! thousand symbols keep seven minutes of trades each; finding one touches its row only when hashes agree; nothing
//! here depends on the order of a hash table.

use crate::models::bar::TradeOrder;
use crate::models::entry::{SourceId, Trade, TradeId, Updates};
use crate::models::num::{Price, Size};
use crate::models::time::Nanos;
use hashbrown::HashTable;
use serde::{Deserialize, Serialize};

/// A source's place in the symbol's own list of sources.
pub type LocalSource = u16;

/// At most so many sources may report one symbol: the bits that a row has for it.
pub const NUM_SOURCES_MAX: usize = 1 << 11;

/// At most so many windows of one symbol may be unsealed: the bits that the index has for them.
pub const NUM_WINDOWS_MAX: usize = 1 << 14;

/// What became of a kept trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks(u8);

impl Marks {
    /// A trade that stands.
    pub const NONE: Marks = Marks(0);
    /// An explicit cancel took it out.
    pub const CANCELLED: Marks = Marks(1);
    /// A correction took its place.
    pub const REPLACED: Marks = Marks(2);
    /// Another version of it won and stands elsewhere: the row is dead.
    pub const GONE: Marks = Marks(4);

    /// Joins two.
    #[must_use]
    pub const fn with(self, other: Marks) -> Marks {
        Marks(self.0 | other.0)
    }

    /// True when all of the other's marks are there.
    #[must_use]
    pub const fn has(self, other: Marks) -> bool {
        self.0 & other.0 == other.0
    }

    /// True when the trade was neither cancelled nor replaced, nor stands elsewhere.
    #[must_use]
    pub const fn stands(self) -> bool {
        self.0 == 0
    }
}

/// A kept trade, unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Event time, venue sequence, identity and source.
    pub order: TradeOrder,
    /// Price in the symbol's scale.
    pub price: Price,
    /// Size in the symbol's scale.
    pub size: Size,
    /// What it counts for.
    pub updates: Updates,
    /// The source's place in the symbol's list.
    pub local: LocalSource,
    /// What became of it.
    pub marks: Marks,
}

impl Kept {
    /// Takes what is kept of a trade.
    #[must_use]
    pub const fn of(trade: &Trade, local: LocalSource) -> Kept {
        Kept {
            order: TradeOrder { ts: trade.ts, seq: trade.seq, id: trade.id, source: trade.source },
            price: trade.price,
            size: trade.size,
            updates: trade.updates,
            local,
            marks: Marks::NONE,
        }
    }

    /// True when it says the same as the trade.
    #[must_use]
    pub fn same_content(&self, trade: &Trade) -> bool {
        (self.order.ts, self.order.seq, self.price, self.size, self.updates)
            == (trade.ts, trade.seq, trade.price, trade.size, trade.updates)
    }

    /// True when the trade, another version of this one, wins: higher sequence, then larger (time, price, size).
    #[must_use]
    pub fn loses_to(&self, trade: &Trade) -> bool {
        (self.order.seq, self.order.ts, self.price, self.size, self.updates.bits())
            < (trade.seq, trade.ts, trade.price, trade.size, trade.updates.bits())
    }
}

/// Where a kept trade stands: the slot of its window and its row there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Slot of the window.
    pub slot: u16,
    /// Row in the window, in order of arrival.
    pub row: u32,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Row {
    id_lo: u64,
    /// From the top: 47 bits of time since the window's start, 11 of source, 3 of updates, 3 of marks.
    meta: u64,
    price: Price,
    size: Size,
}

const SOURCE_SHIFT: u32 = 6;
const UPDATES_SHIFT: u32 = 3;
const TIME_SHIFT: u32 = 17;

/// The trades of one window.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Rows {
    start: Nanos,
    rows: Vec<Row>,
    /// High words of the ids; empty as long as all are zero (numeric ids).
    id_hi: Vec<u64>,
    /// Venue sequences; empty as long as all are zero.
    seq: Vec<u64>,
}

impl Rows {
    const fn new(start: Nanos) -> Rows {
        Rows { start, rows: Vec::new(), id_hi: Vec::new(), seq: Vec::new() }
    }

    fn push(&mut self, kept: &Kept) -> u32 {
        let at = self.rows.len();
        let (id_hi, id_lo) = kept.order.id.words();
        push_sparse(&mut self.id_hi, at, id_hi);
        push_sparse(&mut self.seq, at, kept.order.seq);
        let meta = (kept.order.ts.since(self.start) as u64) << TIME_SHIFT
            | u64::from(kept.local) << SOURCE_SHIFT
            | u64::from(kept.updates.bits()) << UPDATES_SHIFT
            | u64::from(kept.marks.0);
        self.rows.push(Row { id_lo, meta, price: kept.price, size: kept.size });
        u32::try_from(at).expect("fewer than 2^26 trades in a window")
    }

    fn id(&self, row: usize) -> TradeId {
        TradeId::from_words(self.id_hi.get(row).copied().unwrap_or(0), self.rows[row].id_lo)
    }

    fn get(&self, row: usize, sources: &[SourceId]) -> Kept {
        let Row { meta, price, size, .. } = self.rows[row];
        let local = ((meta >> SOURCE_SHIFT) & 0x7ff) as LocalSource;
        Kept {
            order: TradeOrder {
                ts: self.start.plus((meta >> TIME_SHIFT) as i64),
                seq: self.seq.get(row).copied().unwrap_or(0),
                id: self.id(row),
                source: sources[usize::from(local)],
            },
            price,
            size,
            updates: Updates::from_bits((meta >> UPDATES_SHIFT) as u8 & 7),
            local,
            marks: Marks(meta as u8 & 7),
        }
    }
}

/// Appends to a column that stays empty as long as it holds zeros only.
fn push_sparse(column: &mut Vec<u64>, at: usize, value: u64) {
    if value != 0 || !column.is_empty() {
        column.resize(at, 0);
        column.push(value);
    }
}

/// The index' entry: 24 bits of hash (enough to grow without touching rows), 14 of slot, 26 of row.
#[derive(Clone, Copy, Debug)]
struct IndexEntry(u64);

impl IndexEntry {
    const fn new(hash: u32, place: Place) -> IndexEntry {
        IndexEntry((hash as u64) << 40 | (place.slot as u64) << 26 | place.row as u64)
    }

    const fn hash(self) -> u32 {
        (self.0 >> 40) as u32
    }

    const fn place(self) -> Place {
        Place { slot: ((self.0 >> 26) & 0x3fff) as u16, row: (self.0 & 0x3ff_ffff) as u32 }
    }
}

/// Hashes an identity to 24 bits. Fixed for ever in a process, so a table's layout never differs between runs.
fn hash(local: LocalSource, id: TradeId) -> u32 {
    let (hi, lo) = id.words();
    let mixed = (lo ^ hi.rotate_left(32) ^ u64::from(local) << 48).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ mixed >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93) >> 40) as u32
}

/// Spreads the 24 bits over the word that the table takes its tag and its bucket from.
const fn spread(hash: u32) -> u64 {
    (hash as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// All trades of a symbol's unsealed windows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct KeptTrades {
    windows: Vec<Option<Rows>>,
    sources: Vec<SourceId>,
    #[serde(skip)]
    index: HashTable<IndexEntry>,
}

impl KeptTrades {
    /// Rebuilds the index after decoding.
    pub fn reindex(&mut self) {
        let KeptTrades { windows, index, .. } = self;
        index.clear();
        for (slot, rows) in (0_u16..).zip(windows.iter()) {
            let Some(rows) = rows else { continue };
            for (at, row) in rows.rows.iter().enumerate() {
                if !Marks(row.meta as u8 & 7).has(Marks::GONE) {
                    let local = ((row.meta >> SOURCE_SHIFT) & 0x7ff) as LocalSource;
                    let hash = hash(local, rows.id(at));
                    let entry = IndexEntry::new(hash, Place { slot, row: at as u32 });
                    index.insert_unique(spread(hash), entry, |entry| spread(entry.hash()));
                }
            }
        }
    }

    /// Returns the source's place in the symbol's list, or `None` when there are too many.
    pub fn local(&mut self, source: SourceId) -> Option<LocalSource> {
        let at = match self.sources.iter().position(|&known| known == source) {
            Some(at) => at,
            None if self.sources.len() < NUM_SOURCES_MAX => {
                self.sources.push(source);
                self.sources.len() - 1
            }
            None => return None,
        };
        LocalSource::try_from(at).ok()
    }

    /// Returns the number of trades that can be found.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Returns the sources seen, in the order of their places.
    #[must_use]
    pub fn sources(&self) -> &[SourceId] {
        &self.sources
    }

    /// Makes room for a window and returns its slot, or `None` when too many are unsealed.
    pub fn open(&mut self, start: Nanos) -> Option<u16> {
        let at = match self.windows.iter().position(Option::is_none) {
            Some(at) => at,
            None if self.windows.len() < NUM_WINDOWS_MAX => {
                self.windows.push(None);
                self.windows.len() - 1
            }
            None => return None,
        };
        self.windows[at] = Some(Rows::new(start));
        u16::try_from(at).ok()
    }

    /// Finds a trade by its identity.
    #[must_use]
    #[inline]
    pub fn find(&self, local: LocalSource, id: TradeId) -> Option<Place> {
        let hash = hash(local, id);
        let same = |entry: &IndexEntry| {
            entry.hash() == hash && {
                let Place { slot, row } = entry.place();
                let (rows, row) = (self.rows(slot), row as usize);
                rows.id(row) == id && (rows.rows[row].meta >> SOURCE_SHIFT) & 0x7ff == u64::from(local)
            }
        };
        self.index.find(spread(hash), same).map(|entry| entry.place())
    }

    /// Keeps a trade in the window of the slot.
    #[inline]
    pub fn insert(&mut self, slot: u16, kept: &Kept) -> Place {
        let row = self.rows_mut(slot).push(kept);
        let hash = hash(kept.local, kept.order.id);
        let place = Place { slot, row };
        self.index.insert_unique(spread(hash), IndexEntry::new(hash, place), |entry| spread(entry.hash()));
        place
    }

    /// Returns a kept trade.
    #[must_use]
    pub fn get(&self, place: Place) -> Kept {
        self.rows(place.slot).get(place.row as usize, &self.sources)
    }

    /// Adds marks to a kept trade; one that is gone is found no more.
    pub fn mark(&mut self, place: Place, marks: Marks) {
        let kept = self.get(place);
        self.rows_mut(place.slot).rows[place.row as usize].meta |= u64::from(marks.0);
        if marks.has(Marks::GONE) {
            self.forget(hash(kept.local, kept.order.id), place);
        }
    }

    /// Returns the trades of a window that are not gone, in order of arrival.
    pub fn iter(&self, slot: u16) -> impl Iterator<Item = Kept> + '_ {
        let rows = self.rows(slot);
        (0..rows.rows.len())
            .map(|row| rows.get(row, &self.sources))
            .filter(|kept| !kept.marks.has(Marks::GONE))
    }

    /// Gives back what a window grew to in advance; for windows that will hardly grow any more.
    pub fn shrink(&mut self, slot: u16) {
        let rows = self.rows_mut(slot);
        rows.rows.shrink_to_fit();
        rows.id_hi.shrink_to_fit();
        rows.seq.shrink_to_fit();
    }

    /// Lets go of a window and all its trades.
    pub fn release(&mut self, slot: u16) {
        let Some(rows) = self.windows.get_mut(usize::from(slot)).and_then(Option::take) else { return };
        // Walking the whole index in memory order is cheaper than looking up more than a few rows.
        if rows.rows.len() * 8 > self.index.len() {
            self.index.retain(|entry| entry.place().slot != slot);
        } else {
            for (at, row) in rows.rows.iter().enumerate() {
                if !Marks(row.meta as u8 & 7).has(Marks::GONE) {
                    let local = ((row.meta >> SOURCE_SHIFT) & 0x7ff) as LocalSource;
                    self.forget(hash(local, rows.id(at)), Place { slot, row: at as u32 });
                }
            }
        }
        let capacity = self.index.capacity();
        if capacity > 64 && self.index.len() * 4 < capacity {
            self.index.shrink_to(self.index.len() * 2, |entry| spread(entry.hash()));
        }
    }

    fn forget(&mut self, hash: u32, place: Place) {
        let wanted = IndexEntry::new(hash, place).0;
        if let Ok(found) = self.index.find_entry(spread(hash), |entry| entry.0 == wanted) {
            found.remove();
        }
    }

    fn rows(&self, slot: u16) -> &Rows {
        self.windows[usize::from(slot)].as_ref().expect("a slot is used only while its window is open")
    }

    fn rows_mut(&mut self, slot: u16) -> &mut Rows {
        self.windows[usize::from(slot)].as_mut().expect("a slot is used only while its window is open")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trade(id: &[u8], ts: i64, seq: u64) -> Trade {
        Trade {
            ts: Nanos(ts),
            received: Nanos::MIN,
            price: Price(5),
            size: Size(7),
            seq,
            id: TradeId::from_text(id),
            source: SourceId(3),
            updates: Updates::ALL,
        }
    }

    #[test]
    fn a_trade_is_found_until_it_is_gone_or_its_window_is_released() {
        let mut kept = KeptTrades::default();
        let local = kept.local(SourceId(3)).expect("room");
        let slot = kept.open(Nanos(100)).expect("room");
        let other = kept.open(Nanos(200)).expect("room");
        let trades = [trade(b"1", 100, 0), trade(b"text-id", 150, 9), trade(b"2", 199, 0)];
        let places: Vec<Place> = trades.iter().map(|t| kept.insert(slot, &Kept::of(t, local))).collect();
        let moved = kept.insert(other, &Kept::of(&trade(b"3", 200, 0), local));
        for (trade, &place) in trades.iter().zip(&places) {
            assert_eq!(kept.find(local, trade.id), Some(place));
            assert_eq!(kept.get(place), Kept::of(trade, local), "packs and unpacks");
        }
        kept.mark(places[0], Marks::CANCELLED);
        assert_eq!(kept.find(local, trades[0].id), Some(places[0]), "a cancelled trade is remembered");
        kept.mark(places[1], Marks::GONE);
        assert_eq!(kept.find(local, trades[1].id), None);
        assert_eq!(kept.iter(slot).count(), 2);
        let bytes = postcard::to_stdvec(&kept).expect("plain data");
        let mut again: KeptTrades = postcard::from_bytes(&bytes).expect("just encoded");
        again.reindex();
        assert_eq!(again.find(local, trades[2].id), Some(places[2]));
        assert_eq!(again.find(local, trades[1].id), None);
        kept.release(slot);
        assert_eq!(kept.find(local, trades[2].id), None);
        assert_eq!(kept.find(local, TradeId::number(3)), Some(moved));
        assert_eq!(kept.open(Nanos(300)), Some(slot), "slots are used again");
    }

    #[test]
    fn many_windows_and_trades_do_not_mix_up() {
        let mut kept = KeptTrades::default();
        let local = kept.local(SourceId(3)).expect("room");
        let slots: Vec<u16> = (0..50).map(|w| kept.open(Nanos(w * 1000)).expect("room")).collect();
        for id in 0..20_000_i64 {
            let (window, text) = (id % 50, id.to_string());
            kept.insert(slots[window as usize], &Kept::of(&trade(text.as_bytes(), window * 1000, 0), local));
        }
        kept.release(slots[7]);
        for id in 0..20_000_u64 {
            let found = kept.find(local, TradeId::number(id));
            assert_eq!(found.is_some(), id % 50 != 7, "{id}");
            if let Some(place) = found {
                assert_eq!(kept.get(place).order.id, TradeId::number(id));
            }
        }
    }
}
