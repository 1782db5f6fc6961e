//! What is retained of a trade until its windows are sealed.

use super::sources::{LocalSource, LocalSources};
use crate::models::bar::TradeOrder;
use crate::models::entry::{SourceId, Trade, Updates};
use crate::models::num::{Price, Size};

/// What became of a retained trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TradeFlags(u8);

impl TradeFlags {
    /// A trade that stands.
    pub const NONE: TradeFlags = TradeFlags(0);
    /// An explicit cancel took it out.
    pub const CANCELLED: TradeFlags = TradeFlags(1);
    /// A correction took its place.
    pub const REPLACED: TradeFlags = TradeFlags(2);
    /// Another version of it won and stands elsewhere: the row is dead.
    pub const GONE: TradeFlags = TradeFlags(4);

    /// Takes three bits.
    #[must_use]
    pub const fn from_bits(bits: u8) -> TradeFlags {
        TradeFlags(bits)
    }

    /// Returns three bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Joins two.
    #[must_use]
    pub const fn with(self, other: TradeFlags) -> TradeFlags {
        TradeFlags(self.0 | other.0)
    }

    /// True when all of the other's flags are there.
    #[must_use]
    pub const fn has(self, other: TradeFlags) -> bool {
        self.0 & other.0 == other.0
    }

    /// True when the trade was neither cancelled nor replaced, nor stands elsewhere.
    #[must_use]
    pub const fn stands(self) -> bool {
        self.0 == 0
    }
}

/// A retained trade, unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetainedTrade {
    /// Event time, venue sequence, identity and rank of the source.
    pub order: TradeOrder,
    /// Who reported it.
    pub source: SourceId,
    /// Price in the symbol's scale.
    pub price: Price,
    /// Size in the symbol's scale.
    pub size: Size,
    /// What it counts for.
    pub updates: Updates,
    /// The source's place in the symbol's list.
    pub local: LocalSource,
    /// What became of it.
    pub flags: TradeFlags,
}

impl RetainedTrade {
    /// Takes what is retained of a trade; `local` is the place of its source.
    #[inline]
    #[must_use]
    pub fn of(trade: &Trade, local: LocalSource, sources: &LocalSources) -> RetainedTrade {
        let source = sources.rank(local);
        RetainedTrade {
            order: TradeOrder { ts: trade.ts, seq: trade.seq, id: trade.id, source },
            source: trade.source,
            price: trade.price,
            size: trade.size,
            updates: trade.updates,
            local,
            flags: TradeFlags::NONE,
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
