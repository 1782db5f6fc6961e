//! What a symbol knows of its sources: who is in charge when, and when one of them was not whole.

use crate::models::entry::{Gap, SourceId};
use crate::models::time::{Nanos, Width};
use serde::{Deserialize, Serialize};

/// Which source is in charge from which event time on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Charge {
    /// Ascending by time.
    turns: Vec<(Nanos, SourceId)>,
}

impl Charge {
    /// Puts a source in charge from a time on, until the next turn.
    pub fn hand_over(&mut self, from: Nanos, source: SourceId) {
        match self.turns.binary_search_by_key(&from, |turn| turn.0) {
            Ok(at) => self.turns[at].1 = source,
            Err(at) => self.turns.insert(at, (from, source)),
        }
    }

    /// True when trades of the source count at that time. Before the first turn all count.
    #[must_use]
    pub fn counts(&self, source: SourceId, ts: Nanos) -> bool {
        self.turns.iter().rev().find(|turn| turn.0 <= ts).is_none_or(|turn| turn.1 == source)
    }

    /// Returns the source of the last turn.
    #[must_use]
    pub fn last(&self) -> Option<SourceId> {
        self.turns.last().map(|turn| turn.1)
    }

    /// Forgets turns that no unsealed time needs.
    pub fn prune(&mut self, sealed_until: Nanos) {
        let needed = self.turns.iter().rposition(|turn| turn.0 <= sealed_until).unwrap_or(0);
        self.turns.drain(..needed);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Hole {
    source: SourceId,
    from: Nanos,
    to: Nanos,
}

/// Stretches in which a source may have reported less than happened.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Gaps {
    holes: Vec<Hole>,
}

impl Gaps {
    /// Takes in a gap, or takes out what a back-fill has filled.
    pub fn apply(&mut self, gap: &Gap) {
        if gap.from >= gap.to {
            return;
        }
        if gap.filled {
            let rest = |hole: Hole| {
                let before = Hole { to: hole.to.min(gap.from), ..hole };
                let after = Hole { from: hole.from.max(gap.to), ..hole };
                let touched = hole.source == gap.source && hole.from < gap.to && gap.from < hole.to;
                let parts = if touched { [before, after] } else { [hole, Hole { to: hole.from, ..hole }] };
                parts.into_iter().filter(|part| part.from < part.to)
            };
            self.holes = self.holes.iter().copied().flat_map(rest).collect();
        } else {
            self.holes.push(Hole { source: gap.source, from: gap.from, to: gap.to });
        }
    }

    fn of(&self, home: Option<SourceId>) -> impl Iterator<Item = &Hole> {
        self.holes.iter().filter(move |hole| hole.source == SourceId::ANY || Some(hole.source) == home)
    }

    /// Returns the share of the window in which the source was healthy.
    #[must_use]
    pub fn coverage(&self, home: Option<SourceId>, start: Nanos, width: Width) -> f64 {
        if self.holes.is_empty() {
            return 1.0;
        }
        let end = start.plus(width.nanos());
        let mut parts: Vec<(Nanos, Nanos)> = self
            .of(home)
            .map(|hole| (hole.from.max(start), hole.to.min(end)))
            .filter(|(from, to)| from < to)
            .collect();
        parts.sort_unstable();
        let (mut missing, mut reached) = (0, start);
        for (from, to) in parts {
            let from = from.max(reached);
            if from < to {
                missing += to.since(from);
                reached = to;
            }
        }
        (width.nanos() - missing) as f64 / width.nanos() as f64
    }

    /// Returns the first moment that a gap keeps from being sealed, and the watermark at which that gap is given up.
    #[must_use]
    pub fn hold(&self, home: Option<SourceId>, watermark: Nanos, gap_hold: i64) -> Option<(Nanos, Nanos)> {
        self.of(home)
            .map(|hole| (hole.from, hole.to.plus(gap_hold)))
            .filter(|&(_, given_up)| watermark < given_up)
            .min()
    }

    /// Forgets gaps before the oldest window that is not sealed.
    pub fn prune(&mut self, oldest: Nanos) {
        self.holes.retain(|hole| hole.to > oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SourceId = SourceId(1);
    const B: SourceId = SourceId(2);

    fn gap(source: SourceId, from: i64, to: i64, filled: bool) -> Gap {
        Gap { source, from: Nanos(from), to: Nanos(to), filled }
    }

    #[test]
    fn charge_goes_by_event_time() {
        let mut charge = Charge::default();
        assert!(charge.counts(A, Nanos(5)));
        charge.hand_over(Nanos(10), A);
        charge.hand_over(Nanos(20), B);
        let table =
            [(5, A, true), (5, B, true), (10, A, true), (19, B, false), (20, A, false), (20, B, true)];
        for (ts, source, counts) in table {
            assert_eq!(charge.counts(source, Nanos(ts)), counts, "{ts} {source:?}");
        }
        charge.prune(Nanos(25));
        assert!(!charge.counts(A, Nanos(25)) && charge.last() == Some(B));
    }

    #[test]
    fn coverage_counts_overlaps_once_and_fills_undo_it() {
        let width = Width::new(100).expect("divides a day");
        let mut gaps = Gaps::default();
        gaps.apply(&gap(A, 10, 40, false));
        gaps.apply(&gap(SourceId::ANY, 30, 60, false));
        gaps.apply(&gap(B, 0, 100, false));
        assert_eq!(gaps.coverage(Some(A), Nanos(0), width), 0.5);
        gaps.apply(&gap(A, 20, 35, true));
        assert_eq!(gaps.coverage(Some(A), Nanos(0), width), 0.6, "10..20 and 30..60 are left");
        assert_eq!(gaps.hold(Some(A), Nanos(0), 5), Some((Nanos(10), Nanos(25))));
        assert_eq!(gaps.hold(Some(A), Nanos(25), 5), Some((Nanos(30), Nanos(65))), "the first is given up");
        gaps.prune(Nanos(60));
        assert_eq!(gaps.coverage(Some(B), Nanos(0), width), 0.0);
    }
}
