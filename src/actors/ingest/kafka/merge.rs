//! Takes the messages of all partitions in the order of their event times.
//!
//! A backlog is read from each partition at another pace, and one symbol may stand in several. So while the broker has more of
//! a partition than was taken, nothing of another one that happened later is taken. Partitions that are read to their end hold
//! up nobody, nor does one that brings nothing for [`super::lane::WAIT_MAX`].
//!
//! Promises: the same messages come in the same order whatever the pace, but for those that came alive at about the same
//! time. Nothing here fails.

use super::lane::{Lane, Polled, Row};
use crate::models::time::Nanos;
use std::time::Instant;

/// The partitions of a topic.
pub(super) struct Merge {
    pub lanes: Vec<Lane>,
    /// The lane that messages are being taken from, and the time up to which it is ahead of no other.
    current: Option<(usize, Nanos)>,
    /// A lane is waited for: nothing is taken.
    is_held: bool,
}

impl Merge {
    /// Makes the merge of partitions.
    pub fn new(lanes: Vec<Lane>) -> Merge {
        Merge { lanes, current: None, is_held: false }
    }

    /// Looks what the partitions have that had nothing. `read` asks the partition at that place.
    pub fn begin_round(&mut self, now: Instant, mut read: impl FnMut(usize) -> Polled) {
        self.current = None;
        for (at, lane) in self.lanes.iter_mut().enumerate() {
            if lane.turn().is_none() {
                lane.look(now, || read(at));
            }
        }
        self.is_held = self.lanes.iter().any(|lane| lane.is_waited_for(now));
    }

    /// Returns the place of the lane whose turn it is, and its message; `None` where there is none, or its turn has not come.
    pub fn next(&mut self, now: Instant, mut read: impl FnMut(usize) -> Polled) -> Option<(usize, Row)> {
        if self.is_held {
            return None;
        }
        let at = match self.current {
            Some((at, limit)) if self.lanes[at].turn().is_some_and(|turn| turn <= limit) => at,
            _ => self.earliest()?,
        };
        let lane = &mut self.lanes[at];
        let row = lane.take()?;
        lane.look(now, || read(at));
        self.is_held = lane.is_waited_for(now);
        Some((at, row))
    }

    fn earliest(&mut self) -> Option<usize> {
        let mut first: Option<(Nanos, usize)> = None;
        let mut limit = Nanos::MAX;
        for (at, lane) in self.lanes.iter().enumerate() {
            let Some(turn) = lane.turn() else { continue };
            match first {
                Some((time, _)) if time <= turn => limit = limit.min(turn),
                _ => {
                    limit = first.map_or(limit, |(time, _)| time);
                    first = Some((turn, at));
                }
            }
        }
        let (_, at) = first?;
        self.current = Some((at, limit));
        Some(at)
    }

    /// True while the broker is known to have more than was taken.
    pub fn is_behind(&self) -> bool {
        self.lanes.iter().any(Lane::is_behind)
    }

    /// Returns how many messages the broker is known to have that were not taken.
    pub fn lag(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.end.saturating_sub(lane.next).max(0).cast_unsigned()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::lane::{WAIT_MAX, What};
    use super::*;
    use crate::models::entry::{Body, Entry, Trade};
    use crate::models::symbol::SymbolId;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    const HORIZON: i64 = 1_000;

    fn row(offset: i64, time: i64) -> Row {
        let body = Body::Trade(Trade::for_test(offset.cast_unsigned(), Nanos(time)));
        let what = What::Entry(Entry { pos: 0, symbol: SymbolId(0), body });
        Row { offset, received: Nanos::MIN, what }
    }

    /// Partitions whose messages arrive when a test says so.
    struct World {
        merge: Merge,
        there: Vec<VecDeque<Row>>,
        now: Instant,
    }

    impl World {
        fn new(ends: &[i64]) -> World {
            let lane = |(partition, &end)| Lane::new(partition, 0, end, HORIZON);
            let lanes = (0..).zip(ends).map(lane).collect();
            let there = ends.iter().map(|_| VecDeque::new()).collect();
            World { merge: Merge::new(lanes), there, now: Instant::now() }
        }

        fn take(&mut self) -> Vec<i64> {
            let there = &mut self.there;
            let mut read = |at: usize| there[at].pop_front().map_or(Polled::Nothing, Polled::Row);
            self.merge.begin_round(self.now, &mut read);
            let mut taken = Vec::new();
            while let Some((_, row)) = self.merge.next(self.now, &mut read) {
                if let What::Entry(entry) = row.what {
                    taken.push(entry.body.time().0);
                }
            }
            taken
        }

        fn bring(&mut self, at: usize, times: &[i64]) {
            let next = self.merge.lanes[at].next;
            self.there[at].extend((next..).zip(times).map(|(offset, &time)| row(offset, time)));
        }
    }

    #[test]
    fn a_backlog_is_taken_in_the_order_of_time_whatever_comes_first() {
        let mut world = World::new(&[3, 3]);
        world.bring(0, &[1, 4, 5]);
        assert_eq!(world.take(), [0_i64; 0], "the other partition has more, which may be earlier");
        world.bring(1, &[2, 3, 6]);
        assert_eq!(world.take(), [1, 2, 3, 4, 5, 6]);
        assert!(!world.merge.is_behind() && world.merge.lag() == 0);
    }

    #[test]
    fn a_partition_at_its_end_holds_up_nobody() {
        let mut world = World::new(&[0, 0]);
        world.bring(0, &[1, 2]);
        assert_eq!(world.take(), [1, 2]);
        world.bring(1, &[1]);
        assert_eq!(world.take(), [1], "what came alive is taken as it comes");
    }

    #[test]
    fn a_partition_that_brings_nothing_is_waited_for_only_so_long() {
        let mut world = World::new(&[2, 2]);
        world.bring(0, &[1, 2]);
        assert_eq!(world.take(), [0_i64; 0]);
        world.now += WAIT_MAX;
        assert_eq!(world.take(), [1, 2]);
        assert!(world.merge.is_behind());
    }

    #[test]
    fn one_wrong_time_far_ahead_holds_up_nothing() {
        let mut world = World::new(&[4, 3]);
        world.bring(0, &[10, 1_000_000, 11, 12]);
        world.bring(1, &[5, 13, 14]);
        assert_eq!(world.take(), [5, 10, 1_000_000, 11, 12, 13, 14]);
        let mut world = World::new(&[3, 2]);
        world.bring(0, &[10, 1_000_000, 1_000_001]);
        world.bring(1, &[11, 12]);
        assert_eq!(world.take(), [10, 11, 12, 1_000_000, 1_000_001], "a night is another thing");
    }

    proptest! {
        #[test]
        fn whatever_the_pace_the_order_is_that_of_the_times(
            mut lanes in prop::collection::vec(prop::collection::vec(0_i64..500, 0..20), 1..5),
            cuts in prop::collection::vec((any::<prop::sample::Index>(), 1_usize..4), 0..60),
        ) {
            lanes.iter_mut().for_each(|times| times.sort_unstable());
            let ends: Vec<i64> = lanes.iter().map(|times| times.len() as i64).collect();
            let mut world = World::new(&ends);
            let mut sorted: Vec<i64> = lanes.iter().flatten().copied().collect();
            sorted.sort_unstable();
            let mut given = vec![0_i64; lanes.len()];
            let mut taken = Vec::new();
            let all = (0..lanes.len()).map(|at| (at, usize::MAX));
            let cuts: Vec<_> = cuts.iter().map(|(at, n)| (at.index(lanes.len()), *n)).chain(all).collect();
            for (at, most) in cuts {
                for &time in lanes[at].iter().skip(given[at] as usize).take(most) {
                    world.there[at].push_back(row(given[at], time));
                    given[at] += 1;
                }
                taken.extend(world.take());
            }
            prop_assert_eq!(taken, sorted);
        }
    }
}
