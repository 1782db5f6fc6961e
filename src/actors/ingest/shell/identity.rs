//! Identities for trades of venues that give them none.
//!
//! Promises: a trade's id is a hash of its time, its price, its size, and how many alike came before it on the same
//! connection, so a trade that comes again over another connection, or after a restart, has the same id; a trade that is
//! taken back by price and size is found by its id while its window can take it. Memory is bounded. Nothing fails.

use crate::models::entry::{Trade, TradeId};
use crate::models::num::{Price, Size};
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use std::collections::{HashMap, VecDeque};

/// Trades after which those alike are forgotten: they come next to each other.
const ALIKE_MAX: usize = 4_096;

/// Trades that can be found by price and size: a hundred liquid stocks make as many in some minutes, and what is older
/// than the horizon of the windows cannot be taken back any more. 6 MB.
const RECENT_MAX: usize = 131_072;

/// What trades are told apart by where they have no ids.
type Content = (SymbolId, Nanos, Price, Size);

/// Counts trades that are alike, for one connection.
#[derive(Debug, Default)]
pub struct Alike {
    /// How many came of each, and the ones counted before [`ALIKE_MAX`] others.
    counts: HashMap<Content, u64>,
    before: HashMap<Content, u64>,
}

impl Alike {
    /// Returns the id of a trade that comes without one.
    pub fn identify(&mut self, symbol: SymbolId, trade: &Trade) -> TradeId {
        let content = (symbol, trade.ts, trade.price, trade.size);
        if self.counts.len() == ALIKE_MAX && !self.counts.contains_key(&content) {
            self.before = std::mem::take(&mut self.counts);
        }
        let before = self.before.get(&content).copied().unwrap_or(0);
        let count = self.counts.entry(content).or_insert(before);
        let id = hash(trade, *count);
        *count += 1;
        id
    }
}

/// Ids stay when the process does not, so what is hashed, and how, must stay as it is.
fn hash(trade: &Trade, num_alike: u64) -> TradeId {
    let mut bytes = [0; 32];
    let words = [trade.ts.0, trade.price.0, trade.size.0].map(i64::to_le_bytes);
    for (room, word) in bytes.chunks_exact_mut(8).zip(words.into_iter().chain([num_alike.to_le_bytes()])) {
        room.copy_from_slice(&word);
    }
    // Longer than what an id holds as it stands, so it is hashed.
    TradeId::from_text(&bytes)
}

/// The last trades of a feed, for venues that take trades back without naming them.
#[derive(Debug, Default)]
pub struct RecentTrades {
    /// Oldest first.
    trades: VecDeque<(SymbolId, Price, Size, TradeId)>,
}

impl RecentTrades {
    /// Keeps a trade.
    pub fn push(&mut self, symbol: SymbolId, trade: &Trade) {
        if self.trades.len() == RECENT_MAX {
            self.trades.pop_front();
        }
        self.trades.push_back((symbol, trade.price, trade.size, trade.id));
    }

    /// Takes out the newest trade of a price and a size, and returns its id.
    pub fn take(&mut self, symbol: SymbolId, price: Price, size: Size) -> Option<TradeId> {
        let is_it =
            |trade: &&(SymbolId, Price, Size, TradeId)| (trade.0, trade.1, trade.2) == (symbol, price, size);
        let id = self.trades.iter().rev().find(is_it)?.3;
        // It may have come more than once.
        self.trades.retain(|trade| trade.0 != symbol || trade.3 != id);
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const SYMBOL: SymbolId = SymbolId(1);

    fn trade(ts: i64, price: i64, size: i64) -> Trade {
        Trade { price: Price(price), size: Size(size), ..Trade::for_test(0, Nanos(ts)) }
    }

    #[test]
    fn a_repeat_in_the_same_order_has_the_same_ids() {
        let trades = [trade(1, 2, 3), trade(1, 2, 3), trade(1, 2, 4), trade(1, 3, 3), trade(2, 2, 3)];
        let ids = || {
            let mut alike = Alike::default();
            trades.map(|trade| alike.identify(SYMBOL, &trade))
        };
        assert_eq!(ids(), ids());
        assert_eq!(ids().iter().collect::<HashSet<_>>().len(), trades.len(), "each is another trade");
        let expected = "#9dbd4def312b596f62527c888dc462b4";
        assert_eq!(ids()[0].to_text(), expected, "an id outlives the process");
        let mut alike = Alike::default();
        assert_eq!(alike.identify(SYMBOL, &trades[0]), alike.identify(SymbolId(2), &trades[0]));
    }

    #[test]
    fn alike_trades_are_counted_over_many_others() {
        let mut alike = Alike::default();
        let mut ids = HashSet::new();
        for ts in 0..20_000 {
            assert!(ids.insert(alike.identify(SYMBOL, &trade(ts, 1, 1))));
            assert!(ids.insert(alike.identify(SYMBOL, &trade(ts, 1, 1))));
        }
        assert!(ids.insert(alike.identify(SYMBOL, &trade(19_000, 1, 1))), "the third one of these");
        assert!(alike.counts.len() <= ALIKE_MAX && alike.before.len() <= ALIKE_MAX);
    }

    #[test]
    fn a_trade_is_taken_back_once_and_the_newest_first() {
        let mut recent = RecentTrades::default();
        let with_id = |id: u64, price: i64| Trade { id: TradeId::number(id), ..trade(1, price, 3) };
        for (id, price) in [(1, 2), (2, 2), (3, 5), (2, 2)] {
            recent.push(SYMBOL, &with_id(id, price));
        }
        recent.push(SymbolId(2), &with_id(9, 2));
        let mut take = |price: i64| recent.take(SYMBOL, Price(price), Size(3));
        assert_eq!(take(2), Some(TradeId::number(2)), "it came twice");
        assert_eq!(take(2), Some(TradeId::number(1)));
        assert_eq!((take(2), take(7)), (None, None));
        assert_eq!(take(5), Some(TradeId::number(3)));
        for at in 0..RECENT_MAX as u64 + 5 {
            recent.push(SYMBOL, &with_id(at, 2));
        }
        assert_eq!(recent.trades.len(), RECENT_MAX);
    }
}
