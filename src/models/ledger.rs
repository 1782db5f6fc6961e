//! Conservation: every report is counted once, by its last known outcome.

use serde::{Deserialize, Serialize};

/// The reason in dead letters of rows that name one symbol too many. They count as [`RejectReason::Malformed`].
pub const TOO_MANY_SYMBOLS: &str = "too_many_symbols";

/// The reason in dead letters of messages of a topic whose version is not known here. They count as
/// [`RejectReason::Malformed`].
pub const FUTURE_VERSION: &str = "future_version";

/// The reason in dead letters of what a venue says about a symbol that nobody asked it for.
pub const UNKNOWN_SYMBOL: &str = "unknown_symbol";

/// The reason in dead letters of rows that the backend of a sink refused.
pub const REFUSED: &str = "refused";

/// Why a report was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// A price that is zero, negative or beyond the limit.
    BadPrice,
    /// A size that is zero, negative, or too large beside its price.
    BadSize,
    /// An event time that no window can hold.
    BadTime,
    /// A cancel that found no trade by the seal.
    NoTrade,
    /// A venue's bar of a width that no window has.
    UnknownWidth,
    /// A row or message that could not be read.
    Malformed,
    /// An entry that made its symbol's actor panic twice.
    Poison,
    /// What a symbol is would change although prices are known already.
    SymbolFixed,
}

impl RejectReason {
    /// Every reason, in the order of [`Ledger::rejected`].
    pub const ALL: [RejectReason; 8] = [
        RejectReason::BadPrice,
        RejectReason::BadSize,
        RejectReason::BadTime,
        RejectReason::NoTrade,
        RejectReason::UnknownWidth,
        RejectReason::Malformed,
        RejectReason::Poison,
        RejectReason::SymbolFixed,
    ];

    /// Returns the word that answers, metrics and dead letters use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            RejectReason::BadPrice => "bad_price",
            RejectReason::BadSize => "bad_size",
            RejectReason::BadTime => "bad_time",
            RejectReason::NoTrade => "no_trade",
            RejectReason::UnknownWidth => "unknown_width",
            RejectReason::Malformed => "malformed",
            RejectReason::Poison => "poison",
            RejectReason::SymbolFixed => "symbol_fixed",
        }
    }
}

/// The outcomes of reports (trades, cancels, corrections). `received` equals the sum of the others but `conflicts`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Reports that came in.
    pub received: u64,
    /// Count in at least one window.
    pub in_bars: u64,
    /// Count for nothing, found no bar in their window, or their source was not in charge.
    pub filtered: u64,
    /// Came after the smallest window that holds them was sealed.
    pub late: u64,
    /// Repeat another report.
    pub duplicate: u64,
    /// Not accepted, by [`RejectReason::ALL`].
    pub rejected: [u64; RejectReason::ALL.len()],
    /// Cancels, the trades they took out, and trades that a correction replaced.
    pub cancelled: u64,
    /// Among the duplicates: those with other content than the report they repeat.
    pub conflicts: u64,
}

impl Ledger {
    /// Counts a rejected report.
    pub fn reject(&mut self, reason: RejectReason) {
        self.rejected[reason as usize] += 1;
    }

    /// Returns the number of rejected reports.
    #[must_use]
    pub fn num_rejected(&self) -> u64 {
        self.rejected.iter().sum()
    }

    /// Returns received less all outcomes: 0 at every quiet point.
    #[must_use]
    pub fn residue(&self) -> i64 {
        let outcomes =
            self.in_bars + self.filtered + self.late + self.duplicate + self.num_rejected() + self.cancelled;
        self.received as i64 - outcomes as i64
    }

    /// Adds another ledger.
    pub fn merge(&mut self, other: &Ledger) {
        self.received += other.received;
        self.in_bars += other.in_bars;
        self.filtered += other.filtered;
        self.late += other.late;
        self.duplicate += other.duplicate;
        for (mine, theirs) in self.rejected.iter_mut().zip(other.rejected) {
            *mine += theirs;
        }
        self.cancelled += other.cancelled;
        self.conflicts += other.conflicts;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_residue_is_what_no_outcome_explains() {
        let mut ledger = Ledger { received: 3, in_bars: 1, ..Ledger::default() };
        ledger.reject(RejectReason::BadPrice);
        assert_eq!((ledger.num_rejected(), ledger.residue()), (1, 1));
        let mut sum = ledger;
        sum.merge(&ledger);
        assert_eq!((sum.received, sum.residue()), (6, 2));
    }

    #[test]
    fn reasons_stand_at_their_own_place() {
        for (at, reason) in RejectReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, at, "{}", reason.as_str());
        }
    }
}
