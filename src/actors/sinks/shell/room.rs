//! What waits for a sink, and what is done where it is too much.
//!
//! Promises: what is being written stays. What makes room is counted: as dropped, or as deferred where the log brings it later.
//! Nothing here fails.

use super::SinkActor;
use crate::actors::health::Health;
use crate::actors::messages::EffectBatch;
use crate::actors::sinks::OnFull;
use actix::Context;
use std::ops::Range;

impl SinkActor {
    /// Puts a batch to what is to be written.
    pub(super) fn queue(&mut self, batch: EffectBatch, ctx: &mut Context<Self>) {
        if let Some(stage) = self.stage() {
            stage.received.inc_by(batch.effects.len() as u64);
        }
        self.num_waiting += batch.num_rows();
        self.waiting.push_back(batch);
        if self.policy.on_full == OnFull::DropOldest {
            self.drop_oldest();
        }
        self.metrics.queue_length.set(self.num_waiting as i64);
        if self.num_waiting >= self.policy.batch_rows {
            self.flush(ctx);
        }
    }

    /// Lets go of what waits where there is too much of it, and the policy says so: in a run at once, in a recovery, which
    /// has nothing else to do, once writes fail.
    pub(super) fn let_go_where_full(&mut self) {
        let is_full = self.policy.on_full == OnFull::CatchUp && self.num_waiting > self.policy.rows_max;
        if !is_full || self.lag.is_behind() || !(self.is_live || self.backoff.num_failures() > 0) {
            return;
        }
        let num_rows = self.num_waiting;
        self.lag.fall_behind(self.waiting.range(self.num_writing..));
        self.forget_waiting();
        self.metrics.deferred.inc_by((num_rows - self.num_waiting) as u64);
        let name = self.spec.name;
        tracing::warn!(
            rows = num_rows,
            "the {name} takes less than comes: nobody waits for it, and what it lacks is brought from the log later"
        );
        if self.backoff.num_failures() == 0 {
            self.tell_health();
        }
        // Whoever waited for room has it.
        self.progress.notify_waiters();
    }

    /// Forgets what waits, but for what is being written: that counts if it succeeds, and is forgotten too if it fails.
    pub(super) fn forget_waiting(&mut self) {
        self.forget(self.num_writing..self.waiting.len());
        self.num_forgotten = self.num_writing;
    }

    pub(super) fn forget(&mut self, batches: Range<usize>) {
        let (mut num_rows, mut num_effects) = (0, 0);
        for batch in self.waiting.drain(batches) {
            num_rows += batch.num_rows();
            num_effects += batch.effects.len() as u64;
        }
        self.num_waiting -= num_rows;
        self.metrics.queue_length.set(self.num_waiting as i64);
        if let Some(stage) = self.stage() {
            stage.sent.inc_by(num_effects);
        }
    }

    /// Makes room by dropping what waits longest. What is being written is with the sink already.
    fn drop_oldest(&mut self) {
        let mut num_dropped = 0;
        while self.num_waiting > self.policy.rows_max
            && let Some(oldest) = self.waiting.remove(self.num_writing)
        {
            self.num_waiting -= oldest.num_rows();
            num_dropped += oldest.num_rows() as u64;
        }
        if num_dropped == 0 {
            return;
        }
        self.metrics.dropped.inc_by(num_dropped);
        if !std::mem::replace(&mut self.is_dropping, true) {
            let name = self.spec.name;
            tracing::warn!("{name} takes less than comes: what waits longest is dropped and counted");
            if self.backoff.num_failures() == 0 {
                self.health.set(name, Health::Degraded, "it takes less than comes; rows are dropped");
            }
        }
    }
}
