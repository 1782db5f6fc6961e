//! The checkpoints of one partition: taken slice by slice while it runs, those first that a start would have to read
//! the most of the log for.
//!
//! Promises: a checkpoint is saved only once the log is durable and every durable sink has committed everything up to it,
//! so nothing that recovery leaves out is missing outside. Two checkpoints of every symbol are kept, and the log from the
//! older one on: a damaged checkpoint costs the replay from the one before. However often the process ends, a start
//! finds little more than [`CheckpointPolicy::replay_entries`] to replay, since each run goes on with the oldest
//! checkpoints.
//! On failure to save: said, and tried again; until then a restart reads more of the log.

use super::needed::NeededFrom;
use super::recovered::SavedCheckpoints;
use super::retention::RetentionClock;
use super::shard::PartitionContext;
use crate::actors::environment::Environment;
use crate::actors::guard::{self, ActorKind};
use crate::actors::messages::{CheckpointsSaved, EndUnit, SaveLastCheckpoints, TakeCheckpoints};
use crate::models::entry::Position;
use crate::stores::log::checkpoint::slice_of;
use crate::stores::log::{CheckpointSet, NUM_SLICES, TickLog};
use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Recipient, ResponseFuture,
    WrapFuture,
};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Sets that may wait for log and sinks. When so many do, no more are taken: older ones would only grow stale.
const WAITING_MAX: usize = 4;

/// How often the log is asked to drop what is too old or too much: a busy one grows by 5 MB meanwhile.
const RETENTION_INTERVAL: Duration = Duration::from_secs(10);

/// How often it is looked whether a set is due.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// A turn that comes before its time waits so many times as long as the one before took, so that checkpoints cost a busy
/// shard and the log's writer 2 % of their time at the most.
const PAUSE_FACTOR: u32 = 50;

/// A symbol whose older checkpoint is so many entries behind is saved even though it is untouched: the log must be kept
/// from there on. Some 50 MB of it.
const OLDER_CHECKPOINT_ENTRIES: u64 = 1 << 20;

/// Whom the checkpoints come from, by shard.
#[derive(Clone)]
pub struct CheckpointSources {
    /// Takes checkpoints.
    pub take: Vec<Recipient<TakeCheckpoints>>,
    /// Is told that they are saved.
    pub saved: Vec<Recipient<CheckpointsSaved>>,
}

/// When checkpoints are taken.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointPolicy {
    /// Every symbol's state is saved at least once in this time.
    pub max_age: Duration,
    /// When a start would have to read more entries than this again, checkpoints are taken sooner.
    pub replay_entries: u64,
    /// Entries of a symbol after which its checkpoint is saved before its turn.
    pub max_entries: usize,
}

/// What the checkpoints of a partition follow.
#[derive(Clone)]
pub struct CheckpointRules {
    /// When they are taken.
    pub policy: CheckpointPolicy,
    /// When the log drops what they make superfluous.
    pub retention: LogRetention,
}

/// When old entries of the log are dropped.
#[derive(Clone)]
pub struct LogRetention {
    /// By what their age is judged; `None` drops nothing.
    pub clock: Option<Arc<RetentionClock>>,
    /// From where on they are needed.
    pub needed: Arc<NeededFrom>,
}

/// How far the stores are with a partition, shared with those who write them.
#[derive(Clone, Default)]
pub struct Reached {
    /// The log holds everything up to here.
    pub durable: Arc<AtomicU64>,
    /// Each durable sink has committed everything up to here.
    pub acknowledged: Vec<Arc<AtomicU64>>,
    /// Up to where checkpoints wait for the durable sinks.
    pub wanted: Arc<AtomicU64>,
}

impl Reached {
    /// Returns the position up to which every durable sink has committed everything.
    #[must_use]
    pub fn acknowledged(&self) -> Position {
        let positions = self.acknowledged.iter().map(|acknowledged| acknowledged.load(Ordering::Acquire));
        positions.min().unwrap_or(Position::MAX)
    }

    fn by_all(&self) -> Position {
        self.durable.load(Ordering::Acquire).min(self.acknowledged())
    }
}

/// Writes checkpoints.
pub struct RecoveryActor {
    log: Arc<dyn TickLog>,
    context: PartitionContext,
    env: Environment,
    sources: CheckpointSources,
    retention: LogRetention,
    policy: CheckpointPolicy,
    reached: Reached,
    waiting: VecDeque<CheckpointSet>,
    busy: bool,
    stopped: bool,
    /// When the last turn began and ended.
    began: Instant,
    ended: Instant,
    saved: SavedCheckpoints,
    /// Per slice: what the newest set that was taken covers.
    taken: Vec<Position>,
}

impl RecoveryActor {
    /// Makes the writer of checkpoints that follow those in the store.
    #[must_use]
    pub fn new(
        log: Arc<dyn TickLog>,
        context: PartitionContext,
        env: Environment,
        sources: CheckpointSources,
        rules: CheckpointRules,
        reached: Reached,
        saved: SavedCheckpoints,
    ) -> RecoveryActor {
        let (now, CheckpointRules { policy, retention }) = (Instant::now(), rules);
        RecoveryActor {
            log,
            context,
            env,
            sources,
            retention,
            policy,
            reached,
            waiting: VecDeque::new(),
            busy: false,
            stopped: false,
            began: now,
            ended: now,
            taken: saved.lines.iter().map(|(newest, _)| *newest).collect(),
            saved,
        }
    }

    /// Time between two turns: one takes a slice's checkpoints, another saves them.
    fn interval(&self) -> Duration {
        self.policy.max_age / NUM_SLICES / 2
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        self.env.faults.actor(ActorKind::Recovery);
        if self.stopped || self.busy {
            return;
        }
        let oldest = self.taken.iter().copied().min().unwrap_or(0);
        let replay = self.reached.durable.load(Ordering::Acquire).saturating_sub(oldest);
        let paused = self.ended.elapsed() >= self.ended.duration_since(self.began) * PAUSE_FACTOR;
        let is_early = replay > self.policy.replay_entries && paused;
        if is_early || self.began.elapsed() >= self.interval() {
            self.turn(ctx);
        }
    }

    fn turn(&mut self, ctx: &mut Context<Self>) {
        if let Some(first) = self.waiting.front() {
            self.reached.wanted.fetch_max(first.newest(), Ordering::AcqRel);
            if first.newest() <= self.reached.by_all() {
                self.save(ctx);
                return;
            }
        }
        if self.waiting.len() < WAITING_MAX {
            self.take(ctx);
        }
    }

    fn begin(&mut self) {
        self.busy = true;
        self.began = Instant::now();
    }

    fn end(&mut self) {
        self.busy = false;
        self.ended = Instant::now();
    }

    fn take(&mut self, ctx: &mut Context<Self>) {
        let slice = self.urgent_slice().unwrap_or_else(|| oldest_slice(&self.taken));
        self.begin();
        let router = self.sources.take[self.context.shard_of_slice(slice)].clone();
        let also = self.with_old_checkpoints(slice);
        // A router that is gone ends with its unit, and the checkpoints of before hold.
        let take = async move { router.send(TakeCheckpoints { slice, also }).await.ok().flatten() };
        ctx.spawn(take.into_actor(self).map(|set, actor, _ctx| {
            actor.end();
            if let Some(set) = set {
                actor.taken[set.slice as usize] = set.covers_through;
                actor.reached.wanted.fetch_max(set.newest(), Ordering::AcqRel);
                actor.waiting.push_back(set);
            }
        }));
    }

    /// Takes a slice that should not wait for its turn.
    fn urgent_slice(&self) -> Option<u32> {
        // From the slice that is next in turn on, so that busy ones do not starve the others.
        let next = oldest_slice(&self.taken);
        let urgent = self.context.urgent.load(Ordering::Relaxed).rotate_right(next);
        let slice = (urgent.trailing_zeros() + next) % NUM_SLICES;
        (urgent != 0).then(|| {
            self.context.urgent.fetch_and(!(1 << slice), Ordering::Relaxed);
            slice
        })
    }

    /// Returns the symbols of a slice whose older checkpoint keeps more of the log than it should.
    fn with_old_checkpoints(&self, slice: u32) -> Vec<Arc<str>> {
        let durable = self.reached.durable.load(Ordering::Acquire);
        let is_old = |before: Position| durable.saturating_sub(before) > OLDER_CHECKPOINT_ENTRIES;
        let symbols = self.saved.symbols.iter().filter(|(symbol, _)| slice_of(symbol) == slice);
        symbols.filter(|(_, (_, before))| is_old(*before)).map(|(symbol, _)| Arc::clone(symbol)).collect()
    }

    fn save(&mut self, ctx: &mut Context<Self>) {
        let Some(set) = self.waiting.pop_front() else { return };
        self.begin();
        let (log, partition) = (Arc::clone(&self.log), self.context.partition);
        let save = async move {
            let saved = log.save_checkpoints(partition, &set).await;
            (set, saved)
        };
        ctx.spawn(save.into_actor(self).map(|(set, saved), actor, _ctx| {
            actor.end();
            match saved {
                Ok(()) => actor.saved(&set),
                Err(error) => {
                    tracing::warn!(%error, "failed to save checkpoints; they are tried again");
                    actor.waiting.push_front(set);
                }
            }
        }));
    }

    fn saved(&mut self, set: &CheckpointSet) {
        let line = &mut self.saved.lines[set.slice as usize];
        *line = (set.covers_through, line.0);
        for checkpoint in &set.checkpoints {
            let known = self.saved.symbols.entry(Arc::clone(&checkpoint.symbol)).or_default();
            *known = (checkpoint.pos, known.0);
        }
        let router = &self.sources.saved[self.context.shard_of_slice(set.slice)];
        // One that has no room is told of the slice's next set.
        _ = router.try_send(CheckpointsSaved { slice: set.slice, covers_through: set.covers_through });
    }

    fn retain(&self) {
        // A sink may be behind what older checkpoints relied on: it is caught up with the log from there on.
        let needed_from = self.saved.needed_from().min(self.reached.acknowledged());
        let needed_from = self.retention.needed.note(self.context.partition, needed_from);
        let Some(clock) = &self.retention.clock else { return };
        let (log, now) = (Arc::clone(&self.log), clock.now());
        actix::spawn(async move {
            match log.retain(now, needed_from).await {
                Ok(0) => {}
                Ok(dropped) => {
                    tracing::info!(entries = dropped, "dropped entries that are past their retention");
                }
                Err(error) => tracing::warn!(%error, "failed to drop old entries; it is tried again"),
            }
        });
    }
}

/// Returns the slice whose newest set leaves the most of the log to a replay. In a run that lasts, this is each in turn;
/// after a start it is where the run before did not get to.
fn oldest_slice(taken: &[Position]) -> u32 {
    let slices = (0..).zip(taken);
    slices.min_by_key(|(_, covers_through)| **covers_through).map_or(0, |(slice, _)| slice)
}

impl Actor for RecoveryActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(self.interval().min(LOOK_INTERVAL), |actor, ctx| {
            let metrics = Arc::clone(&actor.env.metrics);
            guard::run(ActorKind::Recovery, &metrics, || actor.look(ctx));
        });
        ctx.run_interval(RETENTION_INTERVAL, |actor, _| actor.retain());
    }
}

impl Handler<SaveLastCheckpoints> for RecoveryActor {
    type Result = ResponseFuture<()>;

    /// Takes the checkpoints of all slices a last time and saves them, so that the next start has little to replay. Comes
    /// after log and sinks are flushed. The actor goes on meanwhile: a save under way has the log's writer, and must
    /// end to give it back.
    fn handle(&mut self, _: SaveLastCheckpoints, _ctx: &mut Self::Context) -> Self::Result {
        self.stopped = true;
        self.waiting.clear();
        let (log, sources, reached) = (Arc::clone(&self.log), self.sources.clone(), self.reached.clone());
        let context = self.context.clone();
        let also: Vec<_> = (0..NUM_SLICES).map(|slice| self.with_old_checkpoints(slice)).collect();
        Box::pin(async move {
            for (slice, also) in (0..NUM_SLICES).zip(also) {
                let router = &sources.take[context.shard_of_slice(slice)];
                // A router that is gone ends with its unit, and the checkpoints of before hold.
                let Some(set) = router.send(TakeCheckpoints { slice, also }).await.ok().flatten() else {
                    return;
                };
                if set.newest() > reached.by_all() {
                    tracing::warn!(
                        "the last checkpoints are ahead of the stores; the next start replays more"
                    );
                    return;
                }
                if let Err(error) = log.save_checkpoints(context.partition, &set).await {
                    tracing::warn!(%error, "failed to save the last checkpoints; the next start replays more");
                    return;
                }
            }
        })
    }
}

impl Handler<EndUnit> for RecoveryActor {
    type Result = ();

    fn handle(&mut self, _: EndUnit, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slice_that_is_furthest_behind_comes_first() {
        let mut taken = vec![0; NUM_SLICES as usize];
        let mut order = Vec::new();
        for pos in 1..=2 * Position::from(NUM_SLICES) {
            let slice = oldest_slice(&taken);
            taken[slice as usize] = pos;
            order.push(slice);
        }
        assert!(order.iter().copied().eq((0..NUM_SLICES).chain(0..NUM_SLICES)), "each in turn: {order:?}");
        taken[40] = 1;
        assert_eq!(oldest_slice(&taken), 40, "the one that an earlier run did not get to");
    }
}
