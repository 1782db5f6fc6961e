//! The shards of one partition, on the threads that host them.
//!
//! Promises: a batch goes to every shard in the order in which it came; each takes what is its own. Shards of any number
//! of partitions share a thread, and a partition's shards may be on fewer threads than there are shards.
//! On failure: a shard whose thread has ended is an error to whoever feeds it.

use super::fanout::{FanOutActor, Outputs};
use super::recovered::Recovered;
use super::router::RouterActor;
use super::shard::{PartitionContext, Shard};
use crate::actors::environment::Environment;
use crate::actors::messages::{Barrier, EndUnit, Finish, LogBatch, ReportProgress};
use crate::models::entry::Position;
use crate::models::ledger::Ledger;
use actix::dev::SendError;
use actix::{Actor, Addr, ArbiterHandle};
use futures_util::future::join_all;
use std::rc::Rc;
use tokio::sync::oneshot;

/// A shard's thread has ended: the process is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a shard has ended")]
pub struct ShardGone;

/// The shards of one partition.
pub struct Shards {
    /// One a shard.
    pub routers: Vec<Addr<RouterActor>>,
    fanouts: Vec<Addr<FanOutActor>>,
}

impl Shards {
    /// Starts the shards with the states that belong to each, on the threads given, in turn.
    ///
    /// # Errors
    /// [`ShardGone`].
    ///
    /// # Panics
    /// Without a thread.
    pub async fn start(
        env: &Environment,
        context: &PartitionContext,
        threads: &[ArbiterHandle],
        recovered: Recovered,
        poison: &[Position],
        outputs: &Outputs,
    ) -> Result<Shards, ShardGone> {
        let mut states: Vec<Vec<_>> = (0..context.num_shards).map(|_| Vec::new()).collect();
        for state in recovered.states {
            states[context.shard_of(&env.symbols.spec(state.symbol()).name)].push(state);
        }
        let mut shards = Shards { routers: Vec::new(), fanouts: Vec::new() };
        for (index, states) in states.into_iter().enumerate() {
            let (started, start) = oneshot::channel();
            let (env, context, outputs) = (env.clone(), context.clone(), outputs.clone());
            let (marks, poison) = (recovered.marks.clone(), poison.to_vec());
            let detection = recovered.detection;
            threads[index % threads.len()].spawn_fn(move || {
                let shard = Shard::new(index, env, context, &poison);
                let fanout = FanOutActor::new(Rc::clone(&shard), outputs).start();
                shard.set_fanout(fanout.clone().recipient());
                let router = RouterActor::new(shard, states, marks, detection).start();
                // Who asked for the start may have gone meanwhile.
                _ = started.send((router, fanout));
            });
            let (router, fanout) = start.await.map_err(|_| ShardGone)?;
            shards.routers.push(router);
            shards.fanouts.push(fanout);
        }
        Ok(shards)
    }

    /// Brings a batch to every shard, waiting where one is full.
    ///
    /// # Errors
    /// [`ShardGone`].
    pub async fn feed(routers: &[Addr<RouterActor>], batch: LogBatch) -> Result<(), ShardGone> {
        for router in routers {
            match router.try_send(batch.clone()) {
                Ok(()) => {}
                Err(SendError::Full(batch)) => router.send(batch).await.map_err(|_| ShardGone)?,
                Err(SendError::Closed(_)) => return Err(ShardGone),
            }
        }
        Ok(())
    }

    /// Waits until the symbols have applied everything that they were fed.
    ///
    /// # Errors
    /// [`ShardGone`].
    pub async fn barrier(&self) -> Result<(), ShardGone> {
        for router in &self.routers {
            router.send(Barrier).await.map_err(|_| ShardGone)?;
        }
        Ok(())
    }

    /// Waits until the sinks have everything that follows from what the symbols have applied.
    ///
    /// # Errors
    /// [`ShardGone`].
    pub async fn report(&self) -> Result<(), ShardGone> {
        for fanout in &self.fanouts {
            fanout.send(ReportProgress).await.map_err(|_| ShardGone)?;
        }
        Ok(())
    }

    /// Closes every bar, and returns the outcomes of all reports. Nothing may be fed after.
    ///
    /// # Errors
    /// [`ShardGone`].
    pub async fn finish(&self) -> Result<Ledger, ShardGone> {
        let mut sum = Ledger::default();
        for router in &self.routers {
            sum.merge(&router.send(Finish).await.map_err(|_| ShardGone)?);
        }
        Ok(sum)
    }

    /// Ends the shards; their threads go on. What they did not report is lost.
    pub async fn end(self) {
        // One that has ended already needs no telling.
        join_all(self.routers.iter().map(|router| router.send(EndUnit))).await;
        join_all(self.fanouts.iter().map(|fanout| fanout.send(EndUnit))).await;
    }
}
