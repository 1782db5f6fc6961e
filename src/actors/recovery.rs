//! Recovery points: taken slice by slice while the pipeline runs, and found again when it starts.
//!
//! Promises: a point is saved only once the log is durable and the history has acknowledged everything up to it, so
//! nothing that recovery leaves out is missing outside. Two sets of every slice are kept; a damaged point costs the
//! replay from the one before.
//! On failure to save: said, and tried again; until then a restart reads more of the log.

use super::guard::{self, ActorKind};
use super::messages::{Drain, PointsSaved, TakePoints};
use super::router::{Marks, marks_of};
use super::shard::{Environment, shard_of, slice_of};
use crate::models::entry::Position;
use crate::models::settings::CoreSettings;
use crate::models::state::SymbolState;
use crate::stores::{NUM_SLICES, PointSet, SliceLine, StoreError, SymbolPoint, TickLog};
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Recipient, ResponseFuture, WrapFuture};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Sets that may wait for log and history. When so many do, no more are taken: older ones would only grow stale.
const WAITING_MAX: usize = 4;

/// How often the log is asked to drop what is too old or too much.
const RETENTION_INTERVAL: Duration = Duration::from_secs(60);

/// Whom the points come from, by shard.
#[derive(Clone)]
pub struct PointSources {
    /// Takes points.
    pub take: Vec<Recipient<TakePoints>>,
    /// Hears that they are saved.
    pub saved: Vec<Recipient<PointsSaved>>,
}

/// Writes recovery points.
pub struct RecoveryActor {
    log: Arc<dyn TickLog>,
    env: Environment,
    sources: PointSources,
    /// Time between two turns.
    interval: Duration,
    durable: Arc<AtomicU64>,
    acknowledged: Arc<AtomicU64>,
    next_slice: u32,
    waiting: VecDeque<PointSet>,
    busy: bool,
    stopped: bool,
    /// Per slice: where the newest saved set and the one before are good to.
    good_to: Vec<(Position, Position)>,
}

impl RecoveryActor {
    /// Makes the writer of points that takes every symbol's at least once in `max_age`.
    #[must_use]
    pub fn new(
        log: Arc<dyn TickLog>,
        env: Environment,
        sources: PointSources,
        max_age: Duration,
        durable: Arc<AtomicU64>,
        acknowledged: Arc<AtomicU64>,
    ) -> RecoveryActor {
        RecoveryActor {
            log,
            env,
            sources,
            // One turn takes a slice's points, another saves them.
            interval: max_age / NUM_SLICES / 2,
            durable,
            acknowledged,
            next_slice: 0,
            waiting: VecDeque::new(),
            busy: false,
            stopped: false,
            good_to: vec![(0, 0); NUM_SLICES as usize],
        }
    }

    fn turn(&mut self, ctx: &mut Context<Self>) {
        self.env.faults.actor(ActorKind::Recovery);
        if self.stopped || self.busy {
            return;
        }
        let reached = self.durable.load(Ordering::Acquire).min(self.acknowledged.load(Ordering::Acquire));
        if self.waiting.front().is_some_and(|set| newest_of(set) <= reached) {
            self.save(ctx);
        } else if self.waiting.len() < WAITING_MAX {
            self.take(ctx);
        }
    }

    fn take(&mut self, ctx: &mut Context<Self>) {
        let slice = self.urgent_slice().unwrap_or_else(|| {
            let slice = self.next_slice;
            self.next_slice = (slice + 1) % NUM_SLICES;
            slice
        });
        self.busy = true;
        let router = self.sources.take[shard_of(slice, self.sources.take.len())].clone();
        let take = async move { router.send(TakePoints { slice }).await.ok().flatten() };
        ctx.spawn(take.into_actor(self).map(|set, actor, _ctx| {
            actor.busy = false;
            actor.waiting.extend(set);
        }));
    }

    /// Takes a slice that should not wait for its turn.
    fn urgent_slice(&self) -> Option<u32> {
        // From the slice that is next in turn on, so that busy ones do not starve the others.
        let urgent = self.env.urgent.load(Ordering::Relaxed).rotate_right(self.next_slice);
        let slice = (urgent.trailing_zeros() + self.next_slice) % NUM_SLICES;
        (urgent != 0).then(|| {
            self.env.urgent.fetch_and(!(1 << slice), Ordering::Relaxed);
            slice
        })
    }

    fn save(&mut self, ctx: &mut Context<Self>) {
        let Some(set) = self.waiting.pop_front() else { return };
        self.busy = true;
        let log = Arc::clone(&self.log);
        let save = async move {
            let saved = log.save_points(&set).await;
            (set, saved)
        };
        ctx.spawn(save.into_actor(self).map(|(set, saved), actor, _ctx| {
            actor.busy = false;
            match saved {
                Ok(()) => actor.saved(&set),
                Err(error) => {
                    tracing::warn!(%error, "failed to save recovery points; they are tried again");
                    actor.waiting.push_front(set);
                }
            }
        }));
    }

    fn saved(&mut self, set: &PointSet) {
        let good_to = &mut self.good_to[set.slice as usize];
        *good_to = (set.good_to, good_to.0);
        let router = &self.sources.saved[shard_of(set.slice, self.sources.saved.len())];
        // One that has no room hears of the slice's next set.
        router.try_send(PointsSaved { slice: set.slice, good_to: set.good_to }).ok();
    }

    fn retain(&self) {
        let needed_from = self.good_to.iter().map(|(_, before)| *before).min().unwrap_or(0);
        let (log, now) = (Arc::clone(&self.log), (self.env.now)());
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

/// Returns the last entry that a set knows of. A symbol that was too busy to be asked at once may be ahead of the set.
fn newest_of(set: &PointSet) -> Position {
    set.points.iter().map(|point| point.pos).fold(set.good_to, Position::max)
}

impl Actor for RecoveryActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(self.interval, |actor, ctx| {
            let metrics = Arc::clone(&actor.env.metrics);
            guard::run(ActorKind::Recovery, &metrics, || actor.turn(ctx));
        });
        ctx.run_interval(RETENTION_INTERVAL, |actor, _| actor.retain());
    }
}

impl Handler<Drain> for RecoveryActor {
    type Result = ResponseFuture<()>;

    /// Takes the points of all slices a last time and saves them, so that the next start has little to replay. Comes
    /// after log and history are drained. The actor goes on meanwhile: a save under way has the log's writer, and must
    /// end to give it back.
    fn handle(&mut self, _: Drain, _ctx: &mut Self::Context) -> Self::Result {
        self.stopped = true;
        self.waiting.clear();
        let (log, sources) = (Arc::clone(&self.log), self.sources.clone());
        Box::pin(async move {
            for slice in 0..NUM_SLICES {
                let router = &sources.take[shard_of(slice, sources.take.len())];
                let Some(set) = router.send(TakePoints { slice }).await.ok().flatten() else { return };
                if let Err(error) = log.save_points(&set).await {
                    tracing::warn!(%error, "failed to save the last recovery points; the next start replays more");
                    return;
                }
            }
        })
    }
}

/// What a pipeline starts from.
pub struct Recovered {
    /// States that were found, for all shards together.
    pub states: Vec<SymbolState>,
    /// The clock marks heard of where the replay begins.
    pub marks: Marks,
    /// The log is replayed after this position.
    pub replay_after: Position,
    /// Positions to skip.
    pub poison: Vec<Position>,
}

/// Finds the newest usable point of every symbol.
///
/// # Errors
/// When the log cannot be read at all.
pub async fn recover(log: &dyn TickLog, settings: &Arc<CoreSettings>) -> Result<Recovered, StoreError> {
    let points = log.load_points().await?;
    let poison = log.poison().await?;
    let nothing = <[SliceLine; 2]>::default();
    let slice = |slice: u32| points.slices.get(slice as usize).unwrap_or(&nothing);
    let mut replay_after = (0..NUM_SLICES).map(|at| slice(at)[0].good_to).min().unwrap_or(0);
    let mut states = Vec::new();
    for of_symbol in &points.symbols {
        let Some(SymbolPoint { symbol, .. }) = of_symbol.first() else { continue };
        let found = of_symbol.iter().zip(slice(slice_of(*symbol))).find_map(|(point, line)| {
            match SymbolState::decode(&point.bytes, Arc::clone(settings)) {
                Ok(state) => Some((state, line.good_to)),
                Err(error) => {
                    tracing::warn!(symbol = symbol.0, pos = point.pos, %error, "recovery point is of no use");
                    None
                }
            }
        });
        match found {
            Some((state, good_to)) => {
                replay_after = replay_after.min(good_to);
                states.push(state);
            }
            None => replay_after = 0,
        }
    }
    let lines = points.slices.iter().flatten().filter(|line| line.good_to <= replay_after);
    let marks = lines.max_by_key(|line| line.good_to).map(|line| marks_of(&line.context)).unwrap_or_default();
    Ok(Recovered { states, marks, replay_after, poison })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::entry::{Body, Entry, SourceId};
    use crate::models::symbol::{SymbolId, SymbolSpec};
    use crate::models::time::Nanos;
    use crate::stores::memory::MemoryLog;

    #[tokio::test]
    async fn a_start_knows_the_marks_before_its_replay() {
        let (log, settings) = (MemoryLog::new(), Arc::new(CoreSettings::default()));
        let mark = |pos| Entry {
            pos,
            symbol: SymbolId::NONE,
            body: Body::ClockMark { source: SourceId(0), time: Nanos(pos.cast_signed()) },
        };
        for slice in 0..NUM_SLICES {
            let symbol = SymbolId(slice);
            let state = SymbolState::new(symbol, &SymbolSpec::named("A"), Arc::clone(&settings));
            let points = vec![SymbolPoint { symbol, pos: 5, bytes: state.encode() }];
            let good_to = 10 + Position::from(slice);
            let context = postcard::to_stdvec(&vec![mark(good_to - 1)]).expect("plain data");
            log.save_points(&PointSet { slice, good_to, context, points }).await.expect("saves");
        }
        let recovered = recover(&log, &settings).await.expect("recovers");
        assert_eq!((recovered.replay_after, recovered.states.len()), (10, NUM_SLICES as usize));
        assert_eq!(recovered.marks, [mark(9)], "those of later sets come again with the replay");
    }
}
