//! What a symbol knows of its sources: who is in charge when, and when one of them was not whole.

use crate::models::entry::{Gap, SourceId};
use crate::models::time::{Nanos, Width};
use serde::{Deserialize, Serialize};

/// Which source is in charge from which event time on.
///
/// `S` tells sources apart: ids in a process, places in a list of names in a checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SourceSchedule<S = SourceId> {
    /// The first source that spoke of the symbol: its health counts before the first handover.
    first: Option<S>,
    /// Ascending by time.
    handovers: Vec<(Nanos, S)>,
}

impl Default for SourceSchedule {
    fn default() -> SourceSchedule {
        SourceSchedule { first: None, handovers: Vec::new() }
    }
}

impl<S: Copy> SourceSchedule<S> {
    /// Names all sources another way; `None` where one has no other name.
    pub fn map<T>(&self, mut to: impl FnMut(S) -> Option<T>) -> Option<SourceSchedule<T>> {
        let first = match self.first {
            Some(source) => Some(to(source)?),
            None => None,
        };
        let handovers =
            self.handovers.iter().map(|&(from, source)| Some((from, to(source)?))).collect::<Option<_>>()?;
        Some(SourceSchedule { first, handovers })
    }
}

impl SourceSchedule {
    /// Notes the first source that speaks of the symbol.
    pub fn observe(&mut self, source: SourceId) {
        self.first = Some(source);
    }

    /// Puts a source in charge from a time on, until the next handover.
    pub fn hand_over(&mut self, from: Nanos, source: SourceId) {
        match self.handovers.binary_search_by_key(&from, |handover| handover.0) {
            Ok(at) => self.handovers[at].1 = source,
            Err(at) => self.handovers.insert(at, (from, source)),
        }
    }

    /// True when trades of the source count at that time. Before the first handover all count.
    #[must_use]
    pub fn counts(&self, source: SourceId, ts: Nanos) -> bool {
        self.handovers
            .iter()
            .rev()
            .find(|handover| handover.0 <= ts)
            .is_none_or(|handover| handover.1 == source)
    }

    /// Returns the source of the last handover, else the first that spoke: whose clock counts.
    #[must_use]
    pub fn primary(&self) -> Option<SourceId> {
        self.handovers.last().map(|handover| handover.1).or(self.first)
    }

    /// Returns the time of the last handover; [`Nanos::MIN`] before the first.
    #[must_use]
    pub fn charged_from(&self) -> Nanos {
        self.handovers.last().map_or(Nanos::MIN, |handover| handover.0)
    }

    /// Returns the stretches of time in which the source is in charge; [`SourceId::ANY`] always is.
    fn stretches(&self, source: SourceId) -> impl Iterator<Item = (Nanos, Nanos)> {
        let begins = [(Nanos::MIN, self.first)].into_iter();
        let begins = begins.chain(self.handovers.iter().map(|&(from, source)| (from, Some(source))));
        let ends = self.handovers.iter().map(|handover| handover.0).chain([Nanos::MAX]);
        begins
            .zip(ends)
            .filter(move |((_, charged), _)| source == SourceId::ANY || *charged == Some(source))
            .map(|((from, _), to)| (from, to))
    }

    /// Forgets handovers that no time from this one on needs.
    pub fn prune(&mut self, oldest: Nanos) {
        let needed = self.handovers.iter().rposition(|handover| handover.0 <= oldest).unwrap_or(0);
        self.handovers.drain(..needed);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Hole<S = SourceId> {
    source: S,
    from: Nanos,
    to: Nanos,
}

/// Stretches in which a source may have reported less than happened. `S` as in [`SourceSchedule`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Gaps<S = SourceId> {
    holes: Vec<Hole<S>>,
}

impl Default for Gaps {
    fn default() -> Gaps {
        Gaps { holes: Vec::new() }
    }
}

impl<S: Copy> Gaps<S> {
    /// Names all sources another way; `None` where one has no other name.
    pub fn map<T>(&self, mut to: impl FnMut(S) -> Option<T>) -> Option<Gaps<T>> {
        let hole = |hole: &Hole<S>| Some(Hole { source: to(hole.source)?, from: hole.from, to: hole.to });
        Some(Gaps { holes: self.holes.iter().map(hole).collect::<Option<_>>()? })
    }
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

    /// Returns the parts of holes in which their source is in charge, each with the end of its whole hole.
    fn of(&self, schedule: &SourceSchedule) -> impl Iterator<Item = (Nanos, Nanos, Nanos)> {
        let parts = |hole: &Hole| {
            let Hole { source, from, to } = *hole;
            schedule.stretches(source).map(move |(start, end)| (from.max(start), to.min(end), to))
        };
        self.holes.iter().flat_map(parts).filter(|(from, to, _)| from < to)
    }

    /// Returns the share of the window in which the source in charge was healthy.
    #[must_use]
    pub fn coverage(&self, schedule: &SourceSchedule, start: Nanos, width: Width) -> f64 {
        let end = start.plus(width.nanos());
        if !self.holes.iter().any(|hole| hole.from < end && start < hole.to) {
            return 1.0;
        }
        let mut parts: Vec<(Nanos, Nanos)> = self
            .of(schedule)
            .map(|(from, to, _)| (from.max(start), to.min(end)))
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
    /// A gap that lies before what is sealed already keeps nothing.
    #[must_use]
    pub fn hold(
        &self,
        schedule: &SourceSchedule,
        sealed_until: Nanos,
        watermark: Nanos,
        gap_hold: i64,
    ) -> Option<(Nanos, Nanos)> {
        self.of(schedule)
            .filter(|&(_, to, _)| to > sealed_until)
            .map(|(from, _, whole)| (from, whole.plus(gap_hold)))
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
        let mut schedule = SourceSchedule::default();
        assert!(schedule.counts(A, Nanos(5)));
        schedule.hand_over(Nanos(10), A);
        schedule.hand_over(Nanos(20), B);
        let table =
            [(5, A, true), (5, B, true), (10, A, true), (19, B, false), (20, A, false), (20, B, true)];
        for (ts, source, counts) in table {
            assert_eq!(schedule.counts(source, Nanos(ts)), counts, "{ts} {source:?}");
        }
        schedule.prune(Nanos(25));
        assert!(!schedule.counts(A, Nanos(25)) && schedule.primary() == Some(B));
    }

    #[test]
    fn coverage_counts_overlaps_once_and_fills_undo_it() {
        let width = Width::new(100).expect("divides a day");
        let (mut gaps, mut schedule) = (Gaps::default(), SourceSchedule::default());
        schedule.observe(A);
        gaps.apply(&gap(A, 10, 40, false));
        gaps.apply(&gap(SourceId::ANY, 30, 60, false));
        gaps.apply(&gap(B, 0, 100, false));
        assert_eq!(gaps.coverage(&schedule, Nanos(0), width), 0.5);
        gaps.apply(&gap(A, 20, 35, true));
        assert_eq!(gaps.coverage(&schedule, Nanos(0), width), 0.6, "10..20 and 30..60 are left");
        assert_eq!(gaps.hold(&schedule, Nanos(0), Nanos(0), 5), Some((Nanos(10), Nanos(25))));
        assert_eq!(
            gaps.hold(&schedule, Nanos(0), Nanos(25), 5),
            Some((Nanos(30), Nanos(65))),
            "the first is given up"
        );
        schedule.hand_over(Nanos(50), B);
        assert_eq!(
            gaps.coverage(&schedule, Nanos(0), width),
            0.2,
            "from 50 on it is the health of the other"
        );
        assert_eq!(gaps.hold(&schedule, Nanos(40), Nanos(25), 5), Some((Nanos(30), Nanos(65))));
        assert_eq!(gaps.hold(&schedule, Nanos(60), Nanos(65), 5), Some((Nanos(50), Nanos(105))));
        gaps.prune(Nanos(60));
        schedule.hand_over(Nanos(0), B);
        assert_eq!(gaps.coverage(&schedule, Nanos(0), width), 0.0);
    }
}
