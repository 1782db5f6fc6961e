//! How far a sink is behind the run, of those that let go of what they have no room for (`OnFull::CatchUp`).
//!
//! Such a sink stands in one of three places. It *follows*: what the run brings is written. It is *behind*: the queue was full,
//! or nobody knows yet what the backend holds, so what the run brings is passed over; the log has it. It *joins*: whoever
//! works the rest out again from the log has nearly met the run, and what the run brings is kept until the two meet.
//!
//! Promises: no row is left out, and none is given twice. A row up to the position at which the sink joins comes from the
//! log; one after it comes from the run, since whatever was passed over before lies at that position or earlier. The run may
//! still bring rows of before, of shards and symbols that trail; these are left out. Nothing here fails.

use crate::actors::messages::EffectBatch;
use crate::models::effect::Effect;
use crate::models::entry::Position;
use crate::stores::log::Partition;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;

/// Whether a sink needs to be caught up, for whoever does that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It follows the run.
    Nothing,
    /// It is behind, and its backend does not take anything yet.
    Backend,
    /// It is behind, and its backend takes what it lacks.
    Rows,
}

/// Where a sink stands.
enum Standing {
    Follows,
    Behind,
    /// What the run brought meanwhile, and how many rows.
    Joins(VecDeque<EffectBatch>, usize),
}

/// How far a sink is behind the run.
pub(super) struct Lag {
    standing: Standing,
    /// Everything that was passed over lies at this position or before it.
    passed_over: Arc<AtomicU64>,
    /// What the sink is likely to hold, where its backend could not be asked.
    likely: Position,
    /// What comes of the log up to here the sink got when it joined; shards that may bring it again.
    joined_at: Position,
    trailing: BTreeSet<(Partition, usize)>,
    need: watch::Sender<Need>,
}

/// Returns the last position that a batch speaks of: its rows may be ahead of what its shard is done with.
fn newest(batch: &EffectBatch) -> Position {
    let effects = batch.effects.iter().map(Effect::log_pos);
    let ticks = batch.ticks.iter().map(|tick| tick.log_pos);
    let reports = batch.reports.iter().map(|report| report.entry.pos);
    effects.chain(ticks).chain(reports).fold(batch.through, Position::max)
}

/// Leaves out rows up to a position.
fn after(mut batch: EffectBatch, pos: Position) -> EffectBatch {
    fn keep<T: Clone>(rows: &mut Arc<Vec<T>>, is_kept: impl Fn(&T) -> bool) {
        if !rows.iter().all(&is_kept) {
            *rows = Arc::new(rows.iter().filter(|row| is_kept(row)).cloned().collect());
        }
    }
    keep(&mut batch.effects, |effect| effect.log_pos() > pos);
    keep(&mut batch.ticks, |tick| tick.log_pos > pos);
    keep(&mut batch.reports, |report| report.entry.pos > pos);
    batch
}

impl Lag {
    /// Makes the lag of a sink that follows the run.
    pub fn new() -> Lag {
        Lag {
            standing: Standing::Follows,
            passed_over: Arc::default(),
            likely: 0,
            joined_at: 0,
            trailing: BTreeSet::new(),
            need: watch::Sender::new(Need::Nothing),
        }
    }

    /// Returns what tells whether the sink needs to be caught up.
    pub fn need(&self) -> watch::Receiver<Need> {
        self.need.subscribe()
    }

    /// Returns up to where the run was passed over.
    pub fn passed_over(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.passed_over)
    }

    pub const fn is_behind(&self) -> bool {
        !matches!(self.standing, Standing::Follows)
    }

    /// True when nobody knows whether the backend takes anything, and nothing else is there to find out with.
    pub fn wants_probe(&self) -> bool {
        *self.need.borrow() == Need::Backend
    }

    /// Returns how many positions lie between what is acknowledged and what was passed over.
    pub fn positions(&self, acknowledged: Position) -> u64 {
        self.passed_over.load(Ordering::Acquire).saturating_sub(acknowledged.max(self.likely))
    }

    /// Notes whether the backend takes anything, of a sink that is behind.
    pub fn answered(&self, is_well: bool) {
        if self.is_behind() {
            self.need.send_replace(if is_well { Need::Rows } else { Need::Backend });
        }
    }

    /// Is behind from the beginning: the log has everything up to `tail`, of which the run may bring less.
    pub fn begin_behind(&mut self, tail: Position, likely: Position) {
        self.likely = likely;
        self.passed_over.fetch_max(tail, Ordering::AcqRel);
        self.fall_behind(std::iter::empty());
    }

    /// Falls behind. What waits is passed over.
    pub fn fall_behind<'a>(&mut self, waiting: impl Iterator<Item = &'a EffectBatch>) {
        waiting.for_each(|batch| self.pass_over(batch));
        self.standing = Standing::Behind;
        self.need.send_replace(Need::Backend);
    }

    fn pass_over(&self, batch: &EffectBatch) {
        self.passed_over.fetch_max(newest(batch), Ordering::AcqRel);
    }

    /// Takes what the run brings, and returns it where it is to be written. Where there is no room for what is kept, all
    /// of that is passed over again, and its rows are counted.
    pub fn take(&mut self, batch: EffectBatch, rows_max: usize) -> Result<EffectBatch, usize> {
        let batch = self.without_repeats(batch);
        match &mut self.standing {
            Standing::Follows => Ok(batch),
            Standing::Behind => {
                self.pass_over(&batch);
                Err(batch.num_rows())
            }
            Standing::Joins(kept, num_kept) => {
                *num_kept += batch.num_rows();
                kept.push_back(batch);
                if *num_kept <= rows_max {
                    return Err(0);
                }
                let (kept, num_kept) = (std::mem::take(kept), *num_kept);
                kept.iter().for_each(|batch| self.pass_over(batch));
                self.standing = Standing::Behind;
                Err(num_kept)
            }
        }
    }

    /// Leaves out what the sink got from the log before it joined.
    fn without_repeats(&mut self, batch: EffectBatch) -> EffectBatch {
        if self.trailing.is_empty() {
            return batch;
        }
        if batch.through >= self.joined_at {
            self.trailing.remove(&(batch.partition, batch.shard));
        }
        after(batch, self.joined_at)
    }

    /// Keeps what the run brings from now on. Returns the position up to which the log has to bring the rest.
    pub fn join(&mut self, shards: impl Iterator<Item = (Partition, usize)>) -> Position {
        if let Standing::Joins(kept, _) = &self.standing {
            kept.iter().for_each(|batch| self.pass_over(batch));
        }
        self.joined_at = self.passed_over.load(Ordering::Acquire);
        self.trailing = shards.collect();
        self.standing = Standing::Joins(VecDeque::new(), 0);
        self.joined_at
    }

    /// Follows the run again, once everything up to where it joined was brought. Returns what was kept and how many rows
    /// that is; `None` where it fell behind meanwhile.
    pub fn meet(&mut self) -> Option<(VecDeque<EffectBatch>, usize)> {
        match std::mem::replace(&mut self.standing, Standing::Behind) {
            Standing::Joins(kept, num_kept) => {
                self.standing = Standing::Follows;
                self.need.send_replace(Need::Nothing);
                Some((kept, num_kept))
            }
            other => {
                self.standing = other;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::messages::LiveTick;
    use crate::models::num::{Price, Size};
    use crate::models::symbol::SymbolId;
    use crate::models::time::Nanos;

    fn batch(shard: usize, positions: &[Position], through: Position) -> EffectBatch {
        let tick = |&log_pos| LiveTick {
            symbol: SymbolId(0),
            ts: Nanos(0),
            received: Nanos(0),
            price: Price(1),
            size: Size(1),
            seq: log_pos,
            log_pos,
        };
        EffectBatch {
            partition: Partition::EMBEDDED,
            shard,
            effects: Arc::default(),
            ticks: Arc::new(positions.iter().map(tick).collect()),
            reports: Arc::default(),
            through,
        }
    }

    fn positions(batch: &EffectBatch) -> Vec<Position> {
        batch.ticks.iter().map(|tick| tick.log_pos).collect()
    }

    #[test]
    fn between_what_the_log_brings_and_what_the_run_brings_is_no_hole_and_no_repeat() {
        let mut lag = Lag::new();
        let shards = || (0..2).map(|shard| (Partition::EMBEDDED, shard));
        assert_eq!(lag.take(batch(0, &[1], 1), 10).map(|batch| positions(&batch)), Ok(vec![1]));
        lag.fall_behind([batch(0, &[2], 2)].iter());
        assert_eq!(lag.take(batch(0, &[3, 9], 3), 10).map(|_| ()), Err(2), "one row is ahead of its shard");
        assert_eq!((lag.is_behind(), lag.positions(1)), (true, 8));
        assert_eq!(lag.join(shards()), 9);
        // The other shard trails.
        assert!(lag.take(batch(1, &[5, 12], 8), 10).is_err() && lag.take(batch(0, &[10], 11), 10).is_err());
        let (kept, num_kept) = lag.meet().expect("it joined");
        assert_eq!(kept.iter().map(positions).collect::<Vec<_>>(), [vec![12], vec![10]]);
        assert_eq!((num_kept, lag.is_behind()), (2, false));
        assert_eq!(lag.take(batch(1, &[7, 13], 13), 10).map(|batch| positions(&batch)), Ok(vec![13]));
        assert!(lag.trailing.is_empty(), "both are past the place where it joined");
        assert!(lag.meet().is_none());
    }

    #[test]
    fn what_finds_no_room_while_it_joins_comes_from_the_log_as_well() {
        let mut lag = Lag::new();
        lag.begin_behind(9, 5);
        assert_eq!((lag.wants_probe(), lag.positions(0), lag.positions(8)), (true, 4, 1));
        lag.answered(true);
        assert!(!lag.wants_probe() && *lag.need().borrow() == Need::Rows);
        // What the log had before the run began is for the log to bring.
        assert_eq!(lag.join(std::iter::once((Partition::EMBEDDED, 0))), 9);
        assert_eq!(lag.take(batch(0, &[11, 12], 12), 3).map(|_| ()), Err(0));
        assert_eq!(lag.take(batch(0, &[13, 14], 14), 3).map(|_| ()), Err(4), "all that was kept");
        assert!(lag.meet().is_none());
        assert_eq!(lag.join(std::iter::once((Partition::EMBEDDED, 0))), 14);
        assert_eq!(lag.meet().map(|(kept, _)| kept.len()), Some(0));
    }
}
