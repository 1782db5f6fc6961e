//! The trades of the windows that are not sealed, found by identity.
//!
//! Promises: a trade costs 32 bytes (8 more each for text ids and venue sequences), some 12 once its window is packed,
//! and some 14 of index unless its window's ids ascend, since ten thousand symbols keep seven minutes of trades each;
//! finding one touches its row only when hashes agree; nothing here depends on the order of a hash table.

use super::retained::{RetainedTrade, TradeFlags};
use super::rows::{NUM_ROWS_MAX, RowIdentity, Rows};
use super::sources::{LocalSource, LocalSources};
use crate::models::entry::TradeId;
use crate::models::time::Nanos;
use hashbrown::HashTable;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// At most so many windows of one symbol may be unsealed: the bits that the index has for them.
pub const NUM_WINDOWS_MAX: usize = 1 << 14;

/// Where a retained trade stands: the slot of its window and its row there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Slot of the window.
    pub slot: u16,
    /// Row in the window, in order of arrival.
    pub row: u32,
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

/// A window whose packed trades ascend by id: they are searched for where they are, and not in the index.
#[derive(Clone, Copy, Debug)]
struct Span {
    local: LocalSource,
    first: TradeId,
    last: TradeId,
    slot: u16,
    count: u32,
}

/// All trades of a symbol's unsealed windows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RetainedTrades {
    windows: Vec<Option<Rows>>,
    /// Stands by name in a checkpoint, and so apart.
    #[serde(skip)]
    sources: LocalSources,
    /// Every trade but those of the spans.
    #[serde(skip)]
    index: HashTable<IndexEntry>,
    /// By source and id; no two overlap, so that an id is searched for in one of them at the most.
    #[serde(skip)]
    spans: Vec<Span>,
    /// No slot below this is free.
    #[serde(skip)]
    lowest_free: usize,
    /// Trades that one window may keep: less than [`NUM_ROWS_MAX`] only where a test cannot make so many.
    #[serde(skip, default = "most_rows")]
    rows_max: usize,
    /// Rows that were ever made: no window has more.
    #[serde(skip)]
    num_rows: usize,
}

const fn most_rows() -> usize {
    NUM_ROWS_MAX
}

impl Default for RetainedTrades {
    fn default() -> RetainedTrades {
        RetainedTrades {
            windows: Vec::new(),
            sources: LocalSources::default(),
            index: HashTable::new(),
            spans: Vec::new(),
            lowest_free: 0,
            rows_max: NUM_ROWS_MAX,
            num_rows: 0,
        }
    }
}

impl RetainedTrades {
    /// Puts back after decoding what a checkpoint does not hold: the sources, and the index.
    pub fn restore(&mut self, sources: LocalSources) {
        self.sources = sources;
        self.index.clear();
        self.spans.clear();
        self.num_rows = self.windows.iter().flatten().map(Rows::len).sum();
        for slot in 0..u16::try_from(self.windows.len()).expect("slots have 14 bits") {
            let Some(rows) = &self.windows[usize::from(slot)] else { continue };
            let (num_packed, num_rows) = (rows.num_packed(), rows.len());
            let first = if self.add_span(slot) { num_packed } else { 0 };
            self.index_rows(slot, first..num_rows);
        }
    }

    /// Puts some rows of a window into the index.
    fn index_rows(&mut self, slot: u16, range: Range<usize>) {
        let RetainedTrades { windows, index, .. } = self;
        let Some(rows) = &windows[usize::from(slot)] else { return };
        let identities = (0..).zip(rows.identities()).take(range.end).skip(range.start);
        for (row, RowIdentity { local, id, is_gone }) in identities {
            if !is_gone {
                let entry = IndexEntry::new(hash(local, id), Place { slot, row });
                index.insert_unique(spread(entry.hash()), entry, |entry| spread(entry.hash()));
            }
        }
    }

    /// Makes a span of a window's packed rows, if their ids ascend and lie apart from those of all other spans.
    fn add_span(&mut self, slot: u16) -> bool {
        let rows = self.rows(slot);
        let Some((first, last)) = rows.ascending() else { return false };
        let count = u32::try_from(rows.num_packed()).expect("fewer than 2^26 trades in a window");
        let span = Span { local: first.local, first: first.id, last: last.id, slot, count };
        let at = self.spans.partition_point(|known| (known.local, known.last) < (span.local, span.first));
        if self.spans.get(at).is_some_and(|next| (next.local, next.first) <= (span.local, span.last)) {
            return false;
        }
        self.spans.insert(at, span);
        true
    }

    /// Lets go of a window's span. Returns true if it had one.
    fn remove_span(&mut self, slot: u16) -> bool {
        let at = self.spans.iter().position(|span| span.slot == slot);
        at.map(|at| self.spans.remove(at)).is_some()
    }

    /// Returns the sources that report the symbol.
    #[inline]
    #[must_use]
    pub const fn sources(&self) -> &LocalSources {
        &self.sources
    }

    /// Returns the same, to add one. Whoever does makes room for it in what is ordered by rank.
    pub const fn sources_mut(&mut self) -> &mut LocalSources {
        &mut self.sources
    }

    /// Returns the number of trades that can be found.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len() + self.spans.iter().map(|span| span.count as usize).sum::<usize>()
    }

    /// Makes room for a window and returns its slot, or `None` when too many are unsealed.
    pub fn open(&mut self, start: Nanos) -> Option<u16> {
        let free = self.windows.iter().skip(self.lowest_free).position(Option::is_none);
        let at = match free.map(|at| self.lowest_free + at) {
            Some(at) => at,
            None if self.windows.len() < NUM_WINDOWS_MAX => {
                self.windows.push(None);
                self.windows.len() - 1
            }
            None => return None,
        };
        self.windows[at] = Some(Rows::new(start));
        self.lowest_free = at + 1;
        u16::try_from(at).ok()
    }

    /// Returns the start of the window that has the slot.
    #[must_use]
    pub fn start_of(&self, slot: u16) -> Nanos {
        self.rows(slot).start()
    }

    /// False while no window can be full: as good as always, and cheaper to ask for than a window.
    #[must_use]
    #[inline]
    pub const fn may_be_full(&self) -> bool {
        self.num_rows >= self.rows_max
    }

    /// True when the window of the slot has no room for another trade.
    #[must_use]
    pub fn is_full(&self, slot: u16) -> bool {
        self.rows(slot).len() >= self.rows_max
    }

    /// Lets windows keep fewer trades than they can.
    #[cfg(test)]
    pub const fn limit_rows(&mut self, rows_max: usize) {
        self.rows_max = rows_max;
    }

    /// Finds a trade by its identity.
    #[must_use]
    #[inline]
    pub fn find(&self, local: LocalSource, id: TradeId) -> Option<Place> {
        let hash = hash(local, id);
        let same = |entry: &IndexEntry| {
            entry.hash() == hash && {
                let Place { slot, row } = entry.place();
                let found = self.rows(slot).identity(row as usize);
                (found.local, found.id) == (local, id)
            }
        };
        match self.index.find(spread(hash), same) {
            Some(entry) => Some(entry.place()),
            None => self.find_in_spans(local, id),
        }
    }

    #[inline]
    fn find_in_spans(&self, local: LocalSource, id: TradeId) -> Option<Place> {
        // Ids mostly grow: a new one is behind them all.
        if self.spans.last().is_none_or(|last| (last.local, last.last) < (local, id)) {
            return None;
        }
        let at = self.spans.partition_point(|span| (span.local, span.last) < (local, id));
        let span = self.spans.get(at).filter(|span| (span.local, span.first) <= (local, id))?;
        let row = self.rows(span.slot).search(id)?;
        Some(Place { slot: span.slot, row })
    }

    /// Keeps a trade in the window of the slot, which must not be full.
    #[inline]
    pub fn insert(&mut self, slot: u16, retained: &RetainedTrade) -> Place {
        self.num_rows += 1;
        let row = self.rows_mut(slot).push(retained);
        let hash = hash(retained.local, retained.order.id);
        let place = Place { slot, row };
        self.index.insert_unique(spread(hash), IndexEntry::new(hash, place), |entry| spread(entry.hash()));
        place
    }

    /// Returns a retained trade.
    #[must_use]
    pub fn get(&self, place: Place) -> RetainedTrade {
        self.rows(place.slot).get(place.row as usize, &self.sources)
    }

    /// Adds flags to a retained trade; one that is gone is found no more.
    pub fn mark(&mut self, place: Place, flags: TradeFlags) {
        let retained = self.get(place);
        if (place.row as usize) < self.rows(place.slot).num_packed() && self.remove_span(place.slot) {
            let packed = 0..self.rows(place.slot).num_packed();
            self.index_rows(place.slot, packed);
        }
        self.rows_mut(place.slot).mark(place.row as usize, flags);
        if flags.has(TradeFlags::GONE) {
            self.forget(hash(retained.local, retained.order.id), place);
        }
    }

    /// Returns the trades of a window that are not gone, in order of arrival.
    pub fn iter(&self, slot: u16) -> impl Iterator<Item = RetainedTrade> + '_ {
        self.rows(slot).iter(&self.sources).filter(|retained| !retained.flags.has(TradeFlags::GONE))
    }

    /// Gives back what a window grew to in advance; for windows that will hardly grow any more.
    pub fn shrink(&mut self, slot: u16) {
        self.rows_mut(slot).shrink();
    }

    /// Packs the trades of a window that will hardly change any more.
    pub fn pack(&mut self, slot: u16) {
        if self.rows_mut(slot).pack() && self.add_span(slot) {
            self.index.retain(|entry| entry.place().slot != slot);
            self.shrink_index();
        }
    }

    /// Lets go of a window and all its trades.
    pub fn release(&mut self, slot: u16) {
        let Some(rows) = self.windows.get_mut(usize::from(slot)).and_then(Option::take) else { return };
        self.lowest_free = self.lowest_free.min(usize::from(slot));
        let first = if self.remove_span(slot) { rows.num_packed() } else { 0 };
        let num_indexed = rows.len() - first;
        // Walking the whole index in memory order is cheaper than looking up more than a few rows.
        if num_indexed * 8 > self.index.len() {
            self.index.retain(|entry| entry.place().slot != slot);
        } else if num_indexed > 0 {
            for (row, RowIdentity { local, id, is_gone }) in (0..).zip(rows.identities()).skip(first) {
                if !is_gone {
                    self.forget(hash(local, id), Place { slot, row });
                }
            }
        }
        self.shrink_index();
    }

    fn shrink_index(&mut self) {
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
    use crate::models::entry::{SourceId, Trade, Updates};
    use crate::models::num::{Price, Size};
    use proptest::prelude::*;
    use std::collections::{BTreeMap, btree_map};

    fn sources() -> LocalSources {
        let mut sources = LocalSources::default();
        sources.add(SourceId(3), "one".into()).expect("room");
        sources
    }

    /// No trades, of the only source, whose place is 0.
    fn empty() -> RetainedTrades {
        RetainedTrades { sources: sources(), ..RetainedTrades::default() }
    }

    fn of(trade: &Trade) -> RetainedTrade {
        RetainedTrade::of(trade, 0, &sources())
    }

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
        let mut retained = empty();
        let local = 0;
        let slot = retained.open(Nanos(100)).expect("room");
        let other = retained.open(Nanos(200)).expect("room");
        let trades = [trade(b"1", 100, 0), trade(b"text-id", 150, 9), trade(b"2", 199, 0)];
        let places: Vec<Place> = trades.iter().map(|t| retained.insert(slot, &of(t))).collect();
        let moved = retained.insert(other, &of(&trade(b"3", 200, 0)));
        for (trade, &place) in trades.iter().zip(&places) {
            assert_eq!(retained.find(local, trade.id), Some(place));
            assert_eq!(retained.get(place), of(trade), "packs and unpacks");
        }
        retained.pack(slot);
        assert_eq!(retained.get(places[2]), of(&trades[2]), "packs and unpacks");
        retained.mark(places[0], TradeFlags::CANCELLED);
        assert_eq!(retained.find(local, trades[0].id), Some(places[0]), "a cancelled trade is remembered");
        retained.mark(places[1], TradeFlags::GONE);
        assert_eq!(retained.find(local, trades[1].id), None);
        assert_eq!(retained.iter(slot).count(), 2);
        let bytes = postcard::to_stdvec(&retained).expect("plain data");
        let mut again: RetainedTrades = postcard::from_bytes(&bytes).expect("just encoded");
        again.restore(sources());
        assert_eq!(again.find(local, trades[2].id), Some(places[2]));
        assert_eq!(again.find(local, trades[1].id), None);
        retained.release(slot);
        assert_eq!(retained.find(local, trades[2].id), None);
        assert_eq!(retained.find(local, TradeId::number(3)), Some(moved));
        assert_eq!(retained.open(Nanos(300)), Some(slot), "slots are used again");
    }

    /// What happens to the trades of four windows; ids are taken from a counter, or from anywhere.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Insert { window: u16, id: u64, skip: u64 },
        Pack(u16),
        Mark(prop::sample::Index, u8),
        Release(u16),
        Decode,
    }

    fn step() -> impl Strategy<Value = Step> {
        let insert = |ids: Range<u64>| {
            (0_u16..4, ids, 1_u64..4).prop_map(|(window, id, skip)| Step::Insert { window, id, skip })
        };
        prop_oneof![
            20 => insert(0..1),
            2 => insert(1..200),
            2 => (0_u16..4).prop_map(Step::Pack),
            1 => (any::<prop::sample::Index>(), 1_u8..5).prop_map(|(at, flags)| Step::Mark(at, flags & 5)),
            1 => (0_u16..4).prop_map(Step::Release),
            1 => Just(Step::Decode),
        ]
    }

    proptest! {
        #[test]
        fn what_is_found_does_not_depend_on_packing(steps in prop::collection::vec(step(), 0..300)) {
            let mut retained = empty();
            let local = 0;
            let mut slots: Vec<u16> = (0..4).map(|w| retained.open(Nanos(w * 1_000)).expect("room")).collect();
            let mut model: BTreeMap<TradeId, (usize, RetainedTrade)> = BTreeMap::new();
            let mut next = 0;
            for step in steps {
                match step {
                    Step::Insert { window, id, skip } => {
                        next += skip;
                        let id = TradeId::number(if id == 0 { next } else { id });
                        if let btree_map::Entry::Vacant(free) = model.entry(id) {
                            let ts = Nanos(i64::from(window) * 1_000 + 7);
                            let new = of(&Trade { id, ts, ..trade(b"1", 0, 0) });
                            retained.insert(slots[usize::from(window)], &new);
                            free.insert((usize::from(window), new));
                        }
                    }
                    Step::Pack(window) => retained.pack(slots[usize::from(window)]),
                    Step::Mark(at, flags) if !model.is_empty() => {
                        let id = *model.keys().nth(at.index(model.len())).expect("in range");
                        let place = retained.find(local, id).expect("retained");
                        let flags = TradeFlags::from_bits(flags);
                        retained.mark(place, flags);
                        let known = model.get_mut(&id).expect("in range");
                        known.1.flags = known.1.flags.with(flags);
                        if flags.has(TradeFlags::GONE) {
                            model.remove(&id);
                        }
                    }
                    Step::Mark(..) => {}
                    Step::Release(window) => {
                        let window = usize::from(window);
                        retained.release(slots[window]);
                        slots[window] = retained.open(Nanos(window as i64 * 1_000)).expect("room");
                        model.retain(|_, (home, _)| *home != window);
                    }
                    Step::Decode => {
                        let bytes = postcard::to_stdvec(&retained).expect("plain data");
                        retained = postcard::from_bytes(&bytes).expect("just encoded");
                        retained.restore(sources());
                    }
                }
                prop_assert_eq!(retained.len(), model.len());
            }
            for id in (0..next + 200).map(TradeId::number) {
                let found = retained.find(local, id).map(|place| retained.get(place));
                prop_assert_eq!(found, model.get(&id).map(|(_, retained)| *retained), "{:?}", id);
            }
        }
    }

    #[test]
    fn many_windows_and_trades_do_not_mix_up() {
        let mut retained = empty();
        let local = 0;
        let slots: Vec<u16> = (0..50).map(|w| retained.open(Nanos(w * 1000)).expect("room")).collect();
        for id in 0..20_000_i64 {
            let (window, text) = (id % 50, id.to_string());
            retained.insert(slots[window as usize], &of(&trade(text.as_bytes(), window * 1000, 0)));
        }
        slots.iter().step_by(2).for_each(|slot| retained.pack(*slot));
        retained.release(slots[7]);
        for id in 0..20_000_u64 {
            let found = retained.find(local, TradeId::number(id));
            assert_eq!(found.is_some(), id % 50 != 7, "{id}");
            if let Some(place) = found {
                assert_eq!(retained.get(place).order.id, TradeId::number(id));
            }
        }
    }
}
