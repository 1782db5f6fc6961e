//! Effects that wait until the log holds the entries that they follow from.
//!
//! Promises: effects are released in the order of their shard, and none before the log holds its entry. The number that
//! waits is bounded: above the bound the oldest are dropped and counted. Clients see the hole by the numbers, and one
//! that resumes gets what was dropped from the history.

use crate::actors::messages::LiveBatch;
use crate::models::effect::Effect;
use crate::models::entry::Position;
use crate::models::time::Nanos;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// The effects of one batch of a shard.
pub(super) struct Held {
    shard: usize,
    /// Position of the newest entry that they follow from.
    through: Position,
    /// When the oldest entry that they follow from was received.
    pub received: Nanos,
    pub effects: Arc<Vec<Effect>>,
    /// The effects among them that belong to a made-up past.
    pub past: Vec<Range<usize>>,
}

impl Held {
    /// True when some of the effects are not of a made-up past.
    fn is_live(&self) -> bool {
        self.past.iter().map(Range::len).sum::<usize>() < self.effects.len()
    }
}

/// The effects that wait, of all shards.
pub(super) struct HeldEffects {
    batches: VecDeque<Held>,
    num_effects: usize,
    max: usize,
}

impl HeldEffects {
    /// Holds at most `max` effects.
    pub(super) const fn new(max: usize) -> HeldEffects {
        HeldEffects { batches: VecDeque::new(), num_effects: 0, max }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// True when some of the effects are not of a made-up past, so that clients wait for them.
    pub(super) fn has_live(&self) -> bool {
        self.batches.iter().any(Held::is_live)
    }

    /// Holds the effects of a batch. Returns the number of older ones that were dropped for them.
    pub(super) fn hold(&mut self, batch: LiveBatch) -> usize {
        let LiveBatch { shard, effects, past, received, .. } = batch;
        let Some(through) = effects.iter().map(Effect::log_pos).max() else { return 0 };
        self.num_effects += effects.len();
        self.batches.push_back(Held { shard, through, received, effects, past });
        let mut num_dropped = 0;
        while self.num_effects > self.max && self.batches.len() > 1 {
            let Some(oldest) = self.batches.pop_front() else { break };
            self.num_effects -= oldest.effects.len();
            num_dropped += oldest.effects.len();
        }
        num_dropped
    }

    /// Takes out what may be published now that the log is durable up to this position.
    pub(super) fn release(&mut self, durable: Position) -> Vec<Held> {
        let mut released = Vec::new();
        let mut waiting: VecDeque<Held> = VecDeque::new();
        for held in std::mem::take(&mut self.batches) {
            if held.through > durable || waiting.iter().any(|before| before.shard == held.shard) {
                waiting.push_back(held);
            } else {
                self.num_effects -= held.effects.len();
                released.push(held);
            }
        }
        self.batches = waiting;
        released
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::effect::{DeadLetter, DeadReason};
    use crate::models::entry::{Body, SourceId};
    use crate::models::symbol::SymbolId;

    fn batch(shard: usize, positions: Range<Position>) -> LiveBatch {
        let effect = |pos| {
            let body = Body::ClockMark { source: SourceId(0), time: Nanos(0) };
            Effect::DeadLetter(DeadLetter { pos, symbol: SymbolId(0), reason: DeadReason::Late, body })
        };
        let effects = Arc::new(positions.map(effect).collect());
        LiveBatch { shard, effects, past: Vec::new(), received: Nanos::MIN, ticks: Vec::new() }
    }

    fn released(held: &mut HeldEffects, durable: Position) -> Vec<(usize, Position)> {
        held.release(durable).iter().map(|held| (held.shard, held.through)).collect()
    }

    #[test]
    fn each_shard_keeps_its_order_and_waits_for_the_log() {
        let mut held = HeldEffects::new(100);
        for (shard, positions) in [(0, 1..3), (1, 3..5), (0, 5..9), (0, 2..4)] {
            assert_eq!(held.hold(batch(shard, positions)), 0);
        }
        assert_eq!(held.hold(batch(7, 0..0)), 0);
        assert_eq!(released(&mut held, 1), []);
        assert_eq!(
            released(&mut held, 4),
            [(0, 2), (1, 4)],
            "the last one of shard 0 waits for the one before"
        );
        assert!(held.has_live() && !held.is_empty());
        assert_eq!(released(&mut held, 8), [(0, 8), (0, 3)]);
        assert!(held.is_empty() && !held.has_live() && held.num_effects == 0);
    }

    #[test]
    fn the_oldest_are_dropped_and_counted_when_the_log_takes_nothing_for_long() {
        let mut held = HeldEffects::new(10);
        let num_dropped: usize = (0..100_u64).map(|nth| held.hold(batch(0, nth * 4..nth * 4 + 4))).sum();
        assert_eq!((num_dropped, held.num_effects), (392, 8));
        assert_eq!(released(&mut held, 1_000), [(0, 395), (0, 399)]);
        assert_eq!(held.hold(batch(0, 0..50)), 0, "a batch is never dropped for itself");
    }
}
