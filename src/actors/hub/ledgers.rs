//! What became of the reports of each symbol, as clients are told it, and what they were told last.
//!
//! Promises: the counts are those that REST has under the same names. Nothing here fails.

use crate::models::ledger::Ledger;
use crate::models::symbol::SymbolId;
use serde::Serialize;

/// Outcomes of reports, by the names that `metrics/ledger` has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LedgerCounts {
    /// Reports that came in.
    pub received: u64,
    /// Those that count in at least one window.
    pub in_bars: u64,
    /// Those that count for nothing.
    pub filtered: u64,
    /// Those that came too late.
    pub late: u64,
    /// Those that repeat another.
    pub duplicate: u64,
    /// Those that were not accepted.
    pub rejected: u64,
    /// Cancels, and what they and corrections took out.
    pub cancelled: u64,
    /// Received less all outcomes: 0 whenever nothing is under way.
    pub residue: i64,
}

impl LedgerCounts {
    /// Takes the counts of a ledger.
    #[must_use]
    pub fn of(ledger: &Ledger) -> LedgerCounts {
        LedgerCounts {
            received: ledger.received,
            in_bars: ledger.in_bars,
            filtered: ledger.filtered,
            late: ledger.late,
            duplicate: ledger.duplicate,
            rejected: ledger.num_rejected(),
            cancelled: ledger.cancelled,
            residue: ledger.residue(),
        }
    }
}

/// What became of the reports of one symbol.
#[derive(Serialize)]
pub struct LedgerFrame<'a> {
    r#type: &'static str,
    symbol: &'a str,
    feed: Option<&'static str>,
    ledger: LedgerCounts,
}

impl<'a> LedgerFrame<'a> {
    /// Makes the frame; `feed` is the state of the symbol's feed, `None` before its first trade.
    #[must_use]
    pub const fn new(symbol: &'a str, feed: Option<&'static str>, ledger: LedgerCounts) -> LedgerFrame<'a> {
        LedgerFrame { r#type: "ledger", symbol, feed, ledger }
    }
}

/// What was published last, so that only changes are sent.
#[derive(Default)]
pub struct PublishedLedgers {
    by_symbol: Vec<Option<(LedgerCounts, Option<&'static str>)>>,
}

impl PublishedLedgers {
    /// Notes what is published of a symbol now. Returns true when it differs from what was published last.
    pub(super) fn note(
        &mut self,
        symbol: SymbolId,
        counts: LedgerCounts,
        feed: Option<&'static str>,
    ) -> bool {
        if self.by_symbol.len() <= symbol.index() {
            self.by_symbol.resize(symbol.index() + 1, None);
        }
        self.by_symbol[symbol.index()].replace((counts, feed)) != Some((counts, feed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::ledger::RejectReason;

    #[test]
    fn only_what_changed_is_published() {
        let mut published = PublishedLedgers::default();
        let counts = LedgerCounts { received: 1, in_bars: 1, ..LedgerCounts::default() };
        let (symbol, other) = (SymbolId(7), SymbolId(0));
        assert!(published.note(symbol, counts, None));
        assert!(!published.note(symbol, counts, None));
        assert!(published.note(symbol, counts, Some("live")), "the state of the feed changed");
        assert!(published.note(other, counts, Some("live")), "another symbol");
        let more = LedgerCounts { received: 2, late: 1, ..counts };
        assert!(published.note(symbol, more, Some("live")));
        assert!(!published.note(symbol, more, Some("live")));
    }

    #[test]
    fn a_ledger_is_counted_by_the_names_of_rest() {
        let mut ledger = Ledger { received: 9, in_bars: 3, late: 2, duplicate: 1, ..Ledger::default() };
        ledger.reject(RejectReason::BadPrice);
        ledger.cancelled = 1;
        let counts = serde_json::to_value(LedgerCounts::of(&ledger)).expect("plain data");
        for (outcome, count) in crate::metrics::outcomes(&ledger) {
            assert_eq!(counts[outcome], count, "{outcome}");
        }
        assert_eq!(counts["residue"], 1);
        assert_eq!(counts.as_object().map(serde_json::Map::len), Some(8));
    }
}
