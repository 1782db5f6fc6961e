//! Gives every entry its position, and hands it to the log's writer and to the readers of its partition.
//!
//! Promises: positions only grow and are never given twice; the writer and every reader get the same entries in the
//! same order. Nobody waits for the disk. A partition that nobody reads costs nothing: whoever begins to read it finds
//! what came before in the store.
//! When a partition or the writer is full, this waits, its provider's next message waits, and so the venue does.

use crate::actors::environment::Environment;
use crate::actors::guard::{self, ActorKind};
use crate::actors::messages::{AppendEntries, Flush, Ingest, UnparsedInput};
use crate::metrics::{Span, Stage};
use crate::models::entry::{Entry, Position};
use crate::models::time::Nanos;
use crate::names::SymbolTable;
use crate::stores::log::checkpoint::partition_of;
use crate::stores::log::high_water::HighWater;
use crate::stores::log::{Partition, PartitionBatch};
use actix::{
    Actor, ActorFutureExt, AtomicResponse, Context, Handler, Message, MessageResult, Recipient, WrapFuture,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot};

/// Messages of providers that may wait. Providers send one and await the answer, so this bounds how many there are.
const MAILBOX_CAPACITY: usize = 16;

/// What a reader of a partition gets.
pub enum Delivery {
    /// Entries.
    Batch(PartitionBatch),
    /// To be dropped once everything before it has been handed on.
    Barrier(oneshot::Sender<()>),
}

/// Bring what comes from now on to this reader of a partition. Answers with the last position that it does not get.
#[derive(Message)]
#[rtype(result = "Position")]
pub struct Attach {
    /// The partition.
    pub partition: Partition,
    /// The reader's queue.
    pub to: mpsc::Sender<Delivery>,
}

/// Bring nothing of a partition to its reader any more: its queue ends.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Detach(pub Partition);

/// Where entries go besides their partitions.
pub struct LogOutputs {
    /// Commits entries; `None` when nothing outlives the process.
    pub writer: Option<Recipient<AppendEntries>>,
    /// Takes what never became an entry.
    pub letters: Option<Recipient<UnparsedInput>>,
}

/// Sorts entries by partition.
pub struct PartitionMap {
    num_partitions: u32,
    symbols: Arc<SymbolTable>,
    /// By symbol id, as far as they were met.
    known: Vec<Option<Partition>>,
}

impl PartitionMap {
    /// Makes the map of a log with so many partitions.
    #[must_use]
    pub const fn new(num_partitions: u32, symbols: Arc<SymbolTable>) -> PartitionMap {
        PartitionMap { num_partitions, symbols, known: Vec::new() }
    }

    /// Returns the partition of an entry's symbol; `None` for what concerns all.
    fn partition_of(&mut self, entry: &Entry) -> Option<Partition> {
        if entry.is_broadcast() {
            return None;
        }
        let at = entry.symbol.index();
        if self.known.len() <= at {
            self.known.resize(at + 1, None);
        }
        let found = || partition_of(&self.symbols.spec(entry.symbol).name, self.num_partitions);
        Some(*self.known[at].get_or_insert_with(found))
    }

    /// Returns the entries of a partition, broadcasts among them.
    #[must_use]
    pub fn entries_of(&mut self, partition: Partition, entries: &Arc<Vec<Entry>>) -> Arc<Vec<Entry>> {
        if self.num_partitions == 1 {
            return Arc::clone(entries);
        }
        let is_own = |entry: &&Entry| self.partition_of(entry).is_none_or(|of| of == partition);
        Arc::new(entries.iter().filter(is_own).copied().collect())
    }
}

/// Gives positions.
pub struct LogActor {
    /// The last position given; shared with whoever counts what is not committed.
    last: Arc<AtomicU64>,
    high_water: Option<HighWater>,
    /// The last try to raise it failed.
    mark_fails: bool,
    map: PartitionMap,
    /// By partition: its reader's queue, while it has one.
    readers: Vec<Option<mpsc::Sender<Delivery>>>,
    /// Shared, never cloned: every fresh clone of an address may put one message more into a full mailbox.
    outputs: Arc<LogOutputs>,
    env: Environment,
    /// It was told already.
    writer_is_gone: bool,
    letters_are_lost: bool,
}

impl LogActor {
    /// Makes the log of so many partitions that goes on after `last`.
    #[must_use]
    pub fn new(
        last: Arc<AtomicU64>,
        high_water: Option<HighWater>,
        num_partitions: u32,
        outputs: LogOutputs,
        env: Environment,
    ) -> LogActor {
        let map = PartitionMap::new(num_partitions, Arc::clone(&env.symbols));
        let readers = (0..num_partitions).map(|_| None).collect();
        LogActor {
            last,
            high_water,
            mark_fails: false,
            map,
            readers,
            outputs: Arc::new(outputs),
            env,
            writer_is_gone: false,
            letters_are_lost: false,
        }
    }

    /// Counts what came in.
    fn observe(&self, ingest: &Ingest) {
        self.env.faults.actor(ActorKind::Log);
        let stage = self.env.metrics.stage(Stage::Log);
        stage.received.inc_by(ingest.entries.len() as u64);
        let newest = ingest.entries.last().map(|entry| entry.body.time());
        if let (Some(newest), true) = (newest, ingest.received != Nanos::MIN) {
            self.env.metrics.observe(Span::ExchangeToReceived, newest, ingest.received);
        }
    }

    /// Gives positions.
    fn number(&mut self, ingest: &mut Ingest) {
        let mut last = self.last.load(Ordering::Acquire);
        for entry in &mut ingest.entries {
            last += 1;
            entry.pos = last;
        }
        self.last.store(last, Ordering::Release);
        let Some(high_water) = &self.high_water else { return };
        let was_failing = self.mark_fails;
        let raised = high_water.raise(last);
        self.mark_fails = raised.is_err();
        self.env.metrics.mark_failures.inc_by(u64::from(raised.is_err()));
        match raised {
            // Said once; health and the counter go on saying it.
            Err(error) if !was_failing => {
                tracing::error!(
                    %error,
                    "failed to note the highest position: a crash now would lose uncounted entries"
                );
            }
            Ok(()) if was_failing => tracing::info!("the highest position can be noted again"),
            Ok(()) | Err(_) => {}
        }
    }

    /// Returns what a message has for each partition that is read.
    fn deliveries(&mut self, batch: &PartitionBatch) -> Vec<(usize, mpsc::Sender<Delivery>, PartitionBatch)> {
        let readers = (0_u32..).zip(&self.readers);
        let mut deliveries = Vec::with_capacity(self.readers.len());
        for (partition, reader) in readers {
            let Some(reader) = reader else { continue };
            let entries = self.map.entries_of(Partition(partition), &batch.entries);
            deliveries.push((
                partition as usize,
                reader.clone(),
                PartitionBatch { entries, ..batch.clone() },
            ));
        }
        deliveries
    }

    /// Tells of receivers that are gone, once each. A reader that was not detached has failed, and says why itself: its
    /// partition stands until it is read again.
    fn tell_gone(&mut self, gone: &Gone) {
        for partition in &gone.readers {
            tracing::error!(
                partition,
                "nobody reads the partition any more: what comes for it is not applied"
            );
            self.readers[*partition] = None;
        }
        if gone.writer && !std::mem::replace(&mut self.writer_is_gone, true) {
            tracing::error!("the log's writer is gone: what comes is not committed");
        }
        if gone.letters && !std::mem::replace(&mut self.letters_are_lost, true) {
            tracing::error!("who keeps dead letters is gone: rows that became no entry are lost");
        }
    }
}

/// Receivers that a message did not reach.
#[derive(Default)]
struct Gone {
    readers: Vec<usize>,
    writer: bool,
    letters: bool,
}

impl Actor for LogActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_CAPACITY);
    }
}

impl Handler<Ingest> for LogActor {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, mut ingest: Ingest, _ctx: &mut Self::Context) -> Self::Result {
        let metrics = Arc::clone(&self.env.metrics);
        // A panic here costs a count; giving positions cannot panic, so no entry goes without one.
        guard::run(ActorKind::Log, &metrics, || self.observe(&ingest));
        self.number(&mut ingest);
        metrics.observe(Span::ReceivedToLogged, ingest.received, (self.env.now)());
        let (outputs, through) = (Arc::clone(&self.outputs), self.last.load(Ordering::Acquire));
        let Ingest { entries, dead_letters, progress, received } = ingest;
        let batch = PartitionBatch { entries: Arc::new(entries), through, received };
        let deliveries = self.deliveries(&batch);
        let deliver_all = async move {
            let mut gone = Gone::default();
            if let (Some(letters), false) = (&outputs.letters, dead_letters.is_empty()) {
                // Once the progress is committed nobody reads these rows again; and without a wait here they would pile
                // up where the disk is slower than what brings them.
                gone.letters = letters.send(UnparsedInput(dead_letters)).await.is_err();
            }
            for (partition, reader, batch) in deliveries {
                if reader.send(Delivery::Batch(batch)).await.is_err() {
                    gone.readers.push(partition);
                }
            }
            let num_entries = batch.entries.len() as u64;
            if let Some(writer) = &outputs.writer {
                // Its answer is what holds the feed back when too much waits for the disk.
                let append = AppendEntries { entries: batch.entries, progress, received };
                gone.writer = writer.send(append).await.is_err();
            }
            metrics.stage(Stage::Log).sent.inc_by(num_entries);
            gone
        };
        AtomicResponse::new(Box::pin(
            deliver_all.into_actor(self).map(|gone, actor, _| actor.tell_gone(&gone)),
        ))
    }
}

impl Handler<Attach> for LogActor {
    type Result = MessageResult<Attach>;

    fn handle(&mut self, Attach { partition, to }: Attach, _ctx: &mut Self::Context) -> Self::Result {
        self.readers[partition.0 as usize] = Some(to);
        MessageResult(self.last.load(Ordering::Acquire))
    }
}

impl Handler<Detach> for LogActor {
    type Result = ();

    fn handle(&mut self, Detach(partition): Detach, _ctx: &mut Self::Context) {
        self.readers[partition.0 as usize] = None;
    }
}

impl Handler<Flush> for LogActor {
    type Result = AtomicResponse<Self, ()>;

    /// Answers once everything before it has been handed on to the shards of every partition that is read.
    fn handle(&mut self, _: Flush, _ctx: &mut Self::Context) -> Self::Result {
        let readers: Vec<_> = self.readers.iter().cloned().enumerate().collect();
        let pass_all = async move {
            let mut gone = Gone::default();
            for (partition, reader) in readers {
                let Some(reader) = reader else { continue };
                let (passed, passes) = oneshot::channel();
                if reader.send(Delivery::Barrier(passed)).await.is_err() {
                    gone.readers.push(partition);
                }
                // It passes by being dropped, be it with a queue that ends.
                _ = passes.await;
            }
            gone
        };
        AtomicResponse::new(Box::pin(pass_all.into_actor(self).map(|gone, actor, _| actor.tell_gone(&gone))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::history::DeadLetterRecord;
    use actix::ResponseFuture;
    use futures_util::future::join_all;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Notify;

    /// A history that writes nothing until it is told to.
    #[derive(Clone, Default)]
    struct SlowDisk {
        waiting: Arc<AtomicUsize>,
        most_waiting: Arc<AtomicUsize>,
        came: Arc<Notify>,
        may_write: Arc<Notify>,
    }

    impl Actor for SlowDisk {
        type Context = Context<Self>;
    }

    impl Handler<UnparsedInput> for SlowDisk {
        type Result = ResponseFuture<()>;

        fn handle(
            &mut self,
            UnparsedInput(letters): UnparsedInput,
            _ctx: &mut Self::Context,
        ) -> Self::Result {
            let waiting = self.waiting.fetch_add(letters.len(), Ordering::SeqCst) + letters.len();
            self.most_waiting.fetch_max(waiting, Ordering::SeqCst);
            self.came.notify_one();
            let disk = self.clone();
            Box::pin(async move {
                disk.may_write.notified().await;
                disk.waiting.fetch_sub(letters.len(), Ordering::SeqCst);
            })
        }
    }

    fn letter() -> DeadLetterRecord {
        DeadLetterRecord {
            reason: "malformed".to_owned(),
            symbol: None,
            provider: "file".to_owned(),
            received_at: Nanos(0),
            payload: "garbage".to_owned(),
            pos: None,
            origin: "-:1".to_owned(),
            id: 0,
        }
    }

    #[actix::test]
    async fn dead_letters_never_pile_up_behind_a_slow_disk() {
        let disk = SlowDisk::default();
        let letters = Some(disk.clone().start().recipient());
        let outputs = LogOutputs { writer: None, letters };
        let log = LogActor::new(Arc::default(), None, 1, outputs, Environment::for_test()).start();
        let stretch = || Ingest {
            entries: Vec::new(),
            dead_letters: vec![letter(); 10],
            progress: None,
            received: Nanos::MIN,
        };
        let sent = join_all((0..3).map(|_| log.send(stretch())));
        let written = async {
            for _ in 0..3 {
                disk.came.notified().await;
                disk.may_write.notify_one();
            }
        };
        let (taken, ()) = futures_util::future::join(sent, written).await;
        assert!(taken.iter().all(Result::is_ok));
        let left = disk.waiting.load(Ordering::SeqCst);
        assert_eq!((disk.most_waiting.load(Ordering::SeqCst), left), (10, 0), "those of one message");
    }
}
