//! Finds holes in the trade ids of one symbol, for venues that number a symbol's trades without holes.
//!
//! Promises: every id between two that came is either seen or in a hole, whatever the order and the repeats; the memory
//! is bounded by the number of holes, which is capped. A jump larger than [`JUMP_MAX`] is no hole but another numbering.

use crate::models::time::Nanos;

/// Ids that may be missing at once. More than a venue trades in hours, so a larger jump means that ids began anew.
const JUMP_MAX: u64 = 1_000_000;

/// Holes that are remembered of a symbol; the oldest goes when there is one more. Reordered trades leave some for a
/// moment, losses leave few.
const HOLES_MAX: usize = 1_024;

/// Ids that did not come, and the times of the trades around them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    /// First missing id.
    pub first: u64,
    /// Last missing id.
    pub last: u64,
    /// Time of the trade before.
    pub from: Nanos,
    /// Time of what came after.
    pub to: Nanos,
}

/// What an id says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is the first id ever, or the next one, or one that was missing.
    Expected,
    /// It came before.
    Repeat,
    /// Ids before it are missing.
    Jump(Hole),
    /// It is so far from the others that it begins another numbering.
    Renumbered,
}

/// The ids of one symbol.
#[derive(Clone, Debug, Default)]
pub(super) struct Continuity {
    /// The highest id, and the time of its trade.
    reached: Option<(u64, Nanos)>,
    holes: Vec<Hole>,
}

impl Continuity {
    /// Returns the highest id so far.
    pub fn reached(&self) -> Option<u64> {
        self.reached.map(|(id, _)| id)
    }

    /// Notes that a trade came.
    pub fn saw(&mut self, id: u64, time: Nanos) -> Step {
        let step = self.extend(id, time, id);
        if step != Step::Repeat {
            return step;
        }
        if self.fill(id) { Step::Expected } else { Step::Repeat }
    }

    /// Notes that the venue has come to an id without saying its trade.
    pub fn is_told(&mut self, id: u64, time: Nanos) -> Step {
        match self.reached {
            // Nobody knows what was before.
            None => Step::Expected,
            Some(_) => self.extend(id, time, id.saturating_add(1)),
        }
    }

    /// Moves on to an id; those from the last one up to `expected`, exclusive, are missing.
    fn extend(&mut self, id: u64, time: Nanos, expected: u64) -> Step {
        let Some((reached, at)) = self.reached else {
            self.reached = Some((id, time));
            return Step::Expected;
        };
        if id <= reached {
            return Step::Repeat;
        }
        self.reached = Some((id, time));
        if expected == reached + 1 {
            return Step::Expected;
        }
        if id - reached > JUMP_MAX {
            self.holes.clear();
            return Step::Renumbered;
        }
        let hole = Hole { first: reached + 1, last: expected - 1, from: at, to: time };
        if self.holes.len() == HOLES_MAX {
            self.holes.remove(0);
        }
        self.holes.push(hole);
        Step::Jump(hole)
    }

    /// Takes an id out of the holes. Returns whether it was in one.
    pub fn fill(&mut self, id: u64) -> bool {
        let Some(at) = self.holes.iter().position(|hole| (hole.first..=hole.last).contains(&id)) else {
            return false;
        };
        let hole = self.holes.remove(at);
        let parts = [Hole { last: id.wrapping_sub(1), ..hole }, Hole { first: id + 1, ..hole }];
        let parts = parts.into_iter().filter(|part| part.first <= part.last && id > 0);
        self.holes.splice(at..at, parts);
        true
    }

    /// True when an id of the range is missing.
    pub fn lacks(&self, first: u64, last: u64) -> bool {
        self.holes.iter().any(|hole| hole.first <= last && first <= hole.last)
    }

    /// Forgets what is missing in a range: it was given up.
    pub fn forget(&mut self, first: u64, last: u64) {
        self.holes.retain(|hole| hole.last < first || last < hole.first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_jump_is_a_hole_until_its_ids_come() {
        let mut ids = Continuity::default();
        assert_eq!(ids.saw(5, Nanos(50)), Step::Expected);
        assert_eq!(ids.saw(6, Nanos(60)), Step::Expected);
        let hole = Hole { first: 7, last: 8, from: Nanos(60), to: Nanos(90) };
        assert_eq!(ids.saw(9, Nanos(90)), Step::Jump(hole));
        assert_eq!(ids.saw(8, Nanos(80)), Step::Expected);
        assert_eq!(ids.saw(8, Nanos(80)), Step::Repeat);
        assert!(ids.lacks(1, 7) && !ids.lacks(8, 9));
        assert!(ids.fill(7) && !ids.fill(7));
        assert!(!ids.lacks(0, u64::MAX));
    }

    #[test]
    fn a_heartbeat_shows_a_hole_and_never_that_there_is_none() {
        let mut ids = Continuity::default();
        assert_eq!(ids.is_told(9, Nanos(1)), Step::Expected);
        assert_eq!(ids.reached(), None, "what was before nobody knows");
        ids.saw(10, Nanos(2));
        assert_eq!(ids.is_told(0, Nanos(3)), Step::Repeat);
        assert_eq!(ids.is_told(10, Nanos(3)), Step::Repeat);
        let hole = Hole { first: 11, last: 12, from: Nanos(2), to: Nanos(4) };
        assert_eq!(ids.is_told(12, Nanos(4)), Step::Jump(hole));
        assert_eq!(ids.saw(12, Nanos(3)), Step::Expected);
        assert!(ids.lacks(11, 11) && !ids.lacks(12, 12));
    }

    #[test]
    fn another_numbering_is_no_hole() {
        let mut ids = Continuity::default();
        ids.saw(5, Nanos(1));
        assert_eq!(ids.saw(5 + JUMP_MAX + 1, Nanos(2)), Step::Renumbered);
        assert!(!ids.lacks(0, u64::MAX));
        for id in [u64::MAX, 0, u64::MAX] {
            ids.saw(id, Nanos(3));
            ids.is_told(id, Nanos(3));
        }
    }

    proptest! {
        #[test]
        fn an_id_is_seen_or_missing(order in prop::collection::vec(0_u64..60, 1..80)) {
            let (mut ids, mut seen) = (Continuity::default(), BTreeSet::new());
            for (at, &id) in order.iter().enumerate() {
                let step = ids.saw(id, Nanos(at as i64));
                let first = *order.first().expect("not empty");
                prop_assert_eq!(step == Step::Repeat, !seen.insert(id) || id < first, "{}", id);
                let reached = ids.reached().expect("one came");
                for asked in first..=reached {
                    prop_assert_eq!(ids.lacks(asked, asked), !seen.contains(&asked), "{}", asked);
                }
            }
        }
    }
}
