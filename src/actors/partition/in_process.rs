//! The ends of the log in the process: its writer, its consumer, and what reads a partition, first what the store holds,
//! then what comes in.
//!
//! Promises: entries come in order, each once, and none is left out between the two. While the store is read the
//! partition is not attached, so the others go on; only the last stretch, which the store may not hold yet, is waited
//! for, with a commit that is asked for. On failure: an error where the store cannot be read; the reader ends there.

use super::log::{Attach, Delivery, Detach, LogActor, PartitionMap};
use crate::actors::messages::{Flush, Ingest};
use crate::models::entry::Position;
use crate::models::time::Nanos;
use crate::names::SymbolTable;
use crate::stores::error::StoreError;
use crate::stores::log::{
    Assignment, LogConsumer, LogEvent, LogInput, LogReader, LogWriter, Partition, PartitionBatch,
    PartitionEvent, PartitionReader, RevokeAck,
};
use actix::{Addr, Recipient};
use async_trait::async_trait;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Entries that are read of a store at once: large enough to be fast, small enough for every queue.
pub const PAGE_ENTRIES: usize = 8_192;

/// Batches that may wait for a partition besides those with its routers: the reader takes each as soon as they have room.
/// When it is full the log waits.
const QUEUE: usize = 1;

const READING: &str = "failed to use the log in the process";

/// The entries of a partition in a store, a page at a time.
pub struct StoredEntries {
    store: Arc<dyn LogReader>,
    partition: Partition,
    map: PartitionMap,
    /// What was read.
    through: Position,
}

impl StoredEntries {
    /// Begins to read after a position.
    #[must_use]
    pub fn new(
        store: Arc<dyn LogReader>,
        partition: Partition,
        num_partitions: u32,
        symbols: Arc<SymbolTable>,
        after: Position,
    ) -> StoredEntries {
        StoredEntries { store, partition, map: PartitionMap::new(num_partitions, symbols), through: after }
    }

    /// Returns the position up to which everything was read.
    #[must_use]
    pub const fn through(&self) -> Position {
        self.through
    }

    /// Returns what comes next, up to a position; `None` where the store holds no more of it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn next(&mut self, last: Position) -> Result<Option<PartitionBatch>, StoreError> {
        if self.through >= last {
            return Ok(None);
        }
        let mut entries = self.store.read(self.through, PAGE_ENTRIES).await?;
        entries.truncate(entries.partition_point(|entry| entry.pos <= last));
        let Some(through) = entries.last().map(|entry| entry.pos) else { return Ok(None) };
        self.through = through;
        let entries = self.map.entries_of(self.partition, &Arc::new(entries));
        Ok(Some(PartitionBatch { entries, through, received: Nanos::MIN }))
    }
}

/// Where a reader is.
enum Stage {
    /// Nothing was asked for yet.
    New,
    /// What the store holds comes first.
    Stored(StoredEntries),
    /// It is attached; the store has yet to bring what came before that.
    Joining(StoredEntries, Position, mpsc::Receiver<Delivery>),
    /// It is attached, and has given out what came before that.
    Joined(mpsc::Receiver<Delivery>),
    /// What comes in.
    Live(mpsc::Receiver<Delivery>),
}

/// Reads one partition.
struct InProcessReader {
    partition: Partition,
    num_partitions: u32,
    symbols: Arc<SymbolTable>,
    log: Addr<LogActor>,
    /// Where entries are read again; `None` of a log that keeps none.
    store: Option<Arc<dyn LogReader>>,
    /// Has what was given out committed; `None` where nothing is.
    writer: Option<Recipient<Flush>>,
    stage: Stage,
}

fn stopped() -> StoreError {
    StoreError::Permanent { context: READING, cause: "the log has stopped".to_owned() }
}

impl InProcessReader {
    /// Has the log bring what comes in. Returns what brings it, and the position after which it begins.
    async fn attach(&self) -> Result<(Position, mpsc::Receiver<Delivery>), StoreError> {
        let (to, queue) = mpsc::channel(QUEUE);
        let attach = Attach { partition: self.partition, to };
        let begins_after = self.log.send(attach).await.map_err(|_| stopped())?;
        Ok((begins_after, queue))
    }
}

#[async_trait]
impl PartitionReader for InProcessReader {
    async fn start_after(&mut self, pos: Position) -> Result<(), StoreError> {
        self.stage = match &self.store {
            Some(store) => {
                let (store, symbols) = (Arc::clone(store), Arc::clone(&self.symbols));
                Stage::Stored(StoredEntries::new(store, self.partition, self.num_partitions, symbols, pos))
            }
            None => Stage::Joined(self.attach().await?.1),
        };
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<PartitionEvent>, StoreError> {
        loop {
            match std::mem::replace(&mut self.stage, Stage::New) {
                Stage::New => self.start_after(0).await?,
                Stage::Stored(mut stored) => {
                    if let Some(batch) = stored.next(Position::MAX).await? {
                        self.stage = Stage::Stored(stored);
                        return Ok(Some(PartitionEvent::Batch(batch)));
                    }
                    let (begins_after, queue) = self.attach().await?;
                    self.stage = Stage::Joining(stored, begins_after, queue);
                }
                Stage::Joining(mut stored, begins_after, queue) => {
                    if let Some(batch) = stored.next(begins_after).await? {
                        self.stage = Stage::Joining(stored, begins_after, queue);
                        return Ok(Some(PartitionEvent::Batch(batch)));
                    }
                    // Given out and not committed: the writer has it. A position that was given before the last start and
                    // lost with it is in no store, so one commit is all there is to wait for.
                    if let Some(writer) = self.writer.take() {
                        writer.send(Flush).await.map_err(|_| stopped())?;
                        self.stage = Stage::Joining(stored, begins_after, queue);
                    } else {
                        self.stage = Stage::Joined(queue);
                    }
                }
                Stage::Joined(queue) => {
                    self.stage = Stage::Live(queue);
                    return Ok(Some(PartitionEvent::CaughtUp));
                }
                Stage::Live(mut queue) => {
                    let next = queue.recv().await;
                    self.stage = Stage::Live(queue);
                    match next {
                        Some(Delivery::Batch(batch)) => return Ok(Some(PartitionEvent::Batch(batch))),
                        Some(Delivery::Barrier(passed)) => drop(passed),
                        None => return Ok(None),
                    }
                }
            }
        }
    }
}

/// Appends to the log in the process.
pub struct InProcessWriter {
    log: Addr<LogActor>,
    writer: Option<Recipient<Flush>>,
}

impl InProcessWriter {
    /// Makes a writer of a log; `writer` commits what it gave positions to, where anything is kept.
    #[must_use]
    pub const fn new(log: Addr<LogActor>, writer: Option<Recipient<Flush>>) -> InProcessWriter {
        InProcessWriter { log, writer }
    }
}

#[async_trait]
impl LogWriter for InProcessWriter {
    async fn append(&self, input: LogInput) -> Result<(), StoreError> {
        let LogInput { entries, progress, received } = input;
        let ingest = Ingest { entries, dead_letters: Vec::new(), progress, received };
        self.log.send(ingest).await.map_err(|_| stopped())
    }

    async fn flush(&self) -> Result<(), StoreError> {
        self.log.send(Flush).await.map_err(|_| stopped())?;
        match &self.writer {
            Some(writer) => writer.send(Flush).await.map_err(|_| stopped()),
            None => Ok(()),
        }
    }
}

/// Assigns the partitions of the log in the process, all of which are the process' own: what there is to tell of them
/// follows from what the process itself asks for.
pub struct InProcessConsumer {
    log: Addr<LogActor>,
    num_partitions: u32,
    symbols: Arc<SymbolTable>,
    /// Where entries are read again; `None` of a log that keeps none.
    store: Option<Arc<dyn LogReader>>,
    writer: Option<Recipient<Flush>>,
    events: VecDeque<LogEvent>,
}

impl InProcessConsumer {
    /// Makes the consumer of a log.
    #[must_use]
    pub const fn new(
        log: Addr<LogActor>,
        num_partitions: u32,
        symbols: Arc<SymbolTable>,
        store: Option<Arc<dyn LogReader>>,
        writer: Option<Recipient<Flush>>,
    ) -> InProcessConsumer {
        InProcessConsumer { log, num_partitions, symbols, store, writer, events: VecDeque::new() }
    }

    /// Assigns partitions that nobody reads.
    pub fn assign(&mut self, partitions: impl Iterator<Item = Partition>) {
        let assignment = |partition| {
            let reader = InProcessReader {
                partition,
                num_partitions: self.num_partitions,
                symbols: Arc::clone(&self.symbols),
                log: self.log.clone(),
                store: self.store.clone(),
                writer: self.writer.clone(),
                stage: Stage::New,
            };
            Assignment { partition, reader: Box::new(reader) }
        };
        self.events.push_back(LogEvent::Assigned(partitions.map(assignment).collect()));
    }

    /// Revokes a partition: its reader ends once it has given out what it got. Returns what tells that it may go.
    ///
    /// # Errors
    /// When the log has stopped.
    pub async fn revoke(&mut self, partition: Partition) -> Result<oneshot::Receiver<()>, StoreError> {
        self.log.send(Detach(partition)).await.map_err(|_| stopped())?;
        let (ack, acknowledged) = RevokeAck::new();
        self.events.push_back(LogEvent::Revoked(vec![partition], ack));
        Ok(acknowledged)
    }
}

#[async_trait]
impl LogConsumer for InProcessConsumer {
    /// Waits for ever where there is nothing to tell: nobody else takes the log's partitions.
    async fn next(&mut self) -> Result<Option<LogEvent>, StoreError> {
        match self.events.pop_front() {
            Some(event) => Ok(Some(event)),
            None => std::future::pending().await,
        }
    }
}
