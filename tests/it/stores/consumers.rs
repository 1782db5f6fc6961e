//! What every log promises to the process that reads it: which partitions are its own, what is in each, and how one is
//! given back. Runs for every log that has a [`LogConsumer`]: that in the process, which keeps its entries or does not.

use super::*;
use actix::{Actor, Addr};
use async_trait::async_trait;
use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use tickwire::actors::partition::in_process::{InProcessConsumer, InProcessWriter};
use tickwire::actors::partition::log::{LogActor, LogOutputs};
use tickwire::actors::partition::log_writer::LogWriterActor;
use tickwire::config::{Config, Sources};
use tickwire::node::{Node, pipeline_settings};
use tickwire::stores::log::checkpoint::partition_of;
use tickwire::stores::log::{
    Assignment, LogConsumer, LogEvent, LogInput, LogWriter, PartitionBatch, PartitionEvent, PartitionReader,
    RevokeAck,
};
use tokio::sync::{mpsc, oneshot};

const NUM_PARTITIONS: u32 = 2;
const BOTH: [Partition; 2] = [Partition(0), Partition(1)];
/// Entries in one append: a trade in each partition, and a clock mark for both.
const INPUT: usize = 3;

/// A log with two partitions, and the means to have it give partitions to the process and take them back.
#[async_trait(?Send)]
trait Subject {
    fn writer(&self) -> &dyn LogWriter;

    fn consumer(&mut self) -> &mut dyn LogConsumer;

    /// Has the log assign partitions.
    async fn assign(&mut self, partitions: &[Partition]);

    /// Has the log take a partition back. What it returns resolves once the process has let go of it.
    async fn revoke(&mut self, partition: Partition) -> oneshot::Receiver<()>;

    /// True when what came before a reader started can be read.
    fn keeps_entries(&self) -> bool;

    /// A symbol of each partition.
    fn symbols(&self) -> [SymbolId; 2];
}

/// The log in the process.
struct InProcess {
    writer: InProcessWriter,
    consumer: InProcessConsumer,
    keeps_entries: bool,
    symbols: [SymbolId; 2],
    _node: Node,
    _dir: tempfile::TempDir,
}

impl InProcess {
    async fn new(keeps_entries: bool) -> InProcess {
        let dir = tempfile::tempdir().expect("a directory");
        let data_dir = ("TICKWIRE__DATA_DIR".to_owned(), dir.path().to_str().expect("is text").to_owned());
        let sources = Sources { environment: vec![data_dir], ..Sources::default() };
        let config = Config::load(&sources).expect("a configuration");
        let node = match keeps_entries {
            true => Node::open(&config).await.expect("opens"),
            false => Node::in_memory(&config, usize::MAX).await.expect("is made"),
        };
        node.sources.intern("simulated");
        let writer = keeps_entries.then(|| {
            let (env, health) = (node.env.clone(), Arc::clone(&node.health));
            let (log, durability) = (Arc::clone(&node.log), Arc::clone(&node.durability));
            let policy = pipeline_settings(&config).group;
            LogWriterActor::new(log, policy, env, health, durability, Vec::new()).start()
        });
        let outputs = LogOutputs { writer: writer.clone().map(Addr::recipient), letters: None };
        let given = Arc::<AtomicU64>::default();
        let log = LogActor::new(given, None, NUM_PARTITIONS, outputs, node.env.clone()).start();
        let committer = writer.map(Addr::recipient);
        let store = keeps_entries.then(|| -> Arc<dyn LogReader> { Arc::clone(&node.log) as _ });
        let table = Arc::clone(&node.symbols);
        let symbols = BOTH.map(|partition| {
            let mut names = (0..).map(|nth| format!("S{nth}"));
            let name = names.find(|name| partition_of(name, NUM_PARTITIONS) == partition);
            node.symbols.intern(SymbolSpec::named(&name.expect("names without end")))
        });
        InProcess {
            writer: InProcessWriter::new(log.clone(), committer.clone()),
            consumer: InProcessConsumer::new(log, NUM_PARTITIONS, table, store, committer),
            keeps_entries,
            symbols,
            _node: node,
            _dir: dir,
        }
    }
}

#[async_trait(?Send)]
impl Subject for InProcess {
    fn writer(&self) -> &dyn LogWriter {
        &self.writer
    }

    fn consumer(&mut self) -> &mut dyn LogConsumer {
        &mut self.consumer
    }

    async fn assign(&mut self, partitions: &[Partition]) {
        self.consumer.assign(partitions.iter().copied());
    }

    async fn revoke(&mut self, partition: Partition) -> oneshot::Receiver<()> {
        self.consumer.revoke(partition).await.expect("the log runs")
    }

    fn keeps_entries(&self) -> bool {
        self.keeps_entries
    }

    fn symbols(&self) -> [SymbolId; 2] {
        self.symbols
    }
}

/// Runs a check for every log there is, each of them empty.
fn for_each_log(check: &impl AsyncFn(&mut dyn Subject)) {
    for keeps_entries in [true, false] {
        actix::System::new().block_on(async { check(&mut InProcess::new(keeps_entries).await).await });
    }
}

async fn append(log: &dyn Subject, inputs: std::ops::Range<i64>) {
    for nth in inputs {
        let of = |symbol: SymbolId| trade_at(0, symbol.0, BEGIN + nth);
        let time = Nanos(BEGIN + nth);
        let body = Body::ClockMark { source: SourceId(0), time };
        let mark = Entry { pos: 0, symbol: SymbolId::NONE, body };
        let [first, second] = log.symbols();
        let entries = vec![of(first), of(second), mark];
        log.writer().append(LogInput { entries, progress: None, received: time }).await.expect("appends");
    }
}

async fn next(log: &mut dyn Subject) -> LogEvent {
    log.consumer().next().await.expect("the log runs").expect("it has not stopped")
}

/// Assigns partitions and returns their readers, in the order of the partitions.
async fn assigned(log: &mut dyn Subject, partitions: &[Partition]) -> Vec<Box<dyn PartitionReader>> {
    log.assign(partitions).await;
    let LogEvent::Assigned(mut assignments) = next(log).await else { panic!("nothing was assigned") };
    assignments.sort_by_key(|assignment| assignment.partition);
    assert!(assignments.iter().map(|assignment| assignment.partition).eq(partitions.iter().copied()));
    assignments.into_iter().map(|Assignment { reader, .. }| reader).collect()
}

/// A partition that is read, as fast as it gives out.
struct Reading(mpsc::UnboundedReceiver<PartitionEvent>);

/// What a reader has given out.
#[derive(Default)]
struct Given {
    /// Entries before and after it had caught up.
    stored: Vec<Entry>,
    live: Vec<Entry>,
    num_caught_up: usize,
    through: Position,
}

impl Given {
    fn positions(&self) -> Vec<Position> {
        self.stored.iter().chain(&self.live).map(|entry| entry.pos).collect()
    }
}

impl Reading {
    async fn begin(mut reader: Box<dyn PartitionReader>, after: Position) -> Reading {
        reader.start_after(after).await.expect("it reaches back so far");
        let (sender, receiver) = mpsc::unbounded_channel();
        actix::spawn(async move {
            while let Some(event) = reader.next().await.expect("the log can be read") {
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        Reading(receiver)
    }

    /// Waits until everything that the partition held has been given out.
    async fn caught_up(&mut self, given: &mut Given) {
        while given.num_caught_up == 0 {
            let event = self.0.recv().await.expect("it goes on");
            given.add(event);
        }
    }

    /// Takes what was given out so far.
    fn take(&mut self, given: &mut Given) {
        while let Ok(event) = self.0.try_recv() {
            given.add(event);
        }
    }

    /// Waits for the end.
    async fn end(&mut self, given: &mut Given) {
        while let Some(event) = self.0.recv().await {
            given.add(event);
        }
    }
}

impl Given {
    fn add(&mut self, event: PartitionEvent) {
        let PartitionBatch { entries, through, .. } = match event {
            PartitionEvent::Batch(batch) => batch,
            PartitionEvent::CaughtUp => {
                self.num_caught_up += 1;
                assert_eq!(self.num_caught_up, 1, "it is told once");
                return;
            }
        };
        assert!(through >= self.through, "what a batch covers only grows");
        assert!(entries.iter().all(|entry| entry.pos > self.through && entry.pos <= through));
        assert!(entries.is_sorted_by(|one, other| one.pos < other.pos), "positions only grow");
        self.through = through;
        let given = if self.num_caught_up == 0 { &mut self.stored } else { &mut self.live };
        given.extend(entries.iter().copied());
    }
}

#[test]
fn each_partition_gives_its_own_entries_and_what_concerns_all_in_one_order() {
    for_each_log(&async |log| {
        let mut readings = Vec::new();
        for reader in assigned(log, &BOTH).await {
            readings.push(Reading::begin(reader, 0).await);
        }
        let mut given = [Given::default(), Given::default()];
        for (reading, given) in readings.iter_mut().zip(&mut given) {
            reading.caught_up(given).await;
        }
        append(log, 0..40).await;
        log.writer().flush().await.expect("the log runs");
        for (at, (reading, given)) in readings.iter_mut().zip(&mut given).enumerate() {
            reading.take(given);
            assert_eq!((given.stored.len(), given.live.len()), (0, 80), "partition {at}");
            let own = log.symbols()[at];
            assert!(given.live.iter().all(|entry| entry.symbol == own || entry.body.is_broadcast()));
            let times = given.live.iter().map(|entry| entry.body.time().0 - BEGIN);
            assert!(times.eq((0..40).flat_map(|nth| [nth, nth])), "in the order in which they were appended");
        }
        let marks = |given: &Given| -> Vec<Entry> {
            given.live.iter().filter(|entry| entry.body.is_broadcast()).copied().collect()
        };
        assert_eq!(marks(&given[0]), marks(&given[1]));
        let all: BTreeSet<Position> = given.iter().flat_map(Given::positions).collect();
        assert_eq!(all.len(), 40 * INPUT, "no position is given twice");
    });
}

#[test]
fn a_reader_begins_where_it_is_told_to_and_says_once_when_it_has_caught_up() {
    for_each_log(&async |log| {
        let mut readers = assigned(log, &BOTH).await;
        let second = readers.pop().expect("two");
        append(log, 0..20).await;
        log.writer().flush().await.expect("the log runs");
        // The first comes to it with the log behind it, the second from the middle.
        let (mut all, mut later) = (Given::default(), Given::default());
        let mut first = Reading::begin(readers.pop().expect("two"), 0).await;
        first.caught_up(&mut all).await;
        let after = 10 * INPUT as Position;
        let mut second = Reading::begin(second, after).await;
        second.caught_up(&mut later).await;
        append(log, 20..30).await;
        log.writer().flush().await.expect("the log runs");
        first.take(&mut all);
        second.take(&mut later);
        let (num_all, num_later) = if log.keeps_entries() { (40, 20) } else { (0, 0) };
        assert_eq!((all.stored.len(), all.live.len()), (num_all, 20));
        assert_eq!((later.stored.len(), later.live.len()), (num_later, 20));
        assert!(later.positions().into_iter().all(|pos| pos > after));
    });
}

#[test]
fn a_partition_that_is_not_read_holds_up_no_other() {
    for_each_log(&async |log| {
        let mut readers = assigned(log, &BOTH).await;
        let unread = readers.pop().expect("two");
        let (mut reading, mut given) =
            (Reading::begin(readers.pop().expect("two"), 0).await, Given::default());
        reading.caught_up(&mut given).await;
        append(log, 0..200).await;
        log.writer().flush().await.expect("the log runs");
        reading.take(&mut given);
        assert_eq!(given.live.len(), 400);
        drop(unread);
    });
}

#[test]
fn a_partition_that_is_given_back_ends_when_it_is_acknowledged_and_goes_on_with_whoever_gets_it_next() {
    for_each_log(&async |log| {
        let mut readings = Vec::new();
        for reader in assigned(log, &BOTH).await {
            readings.push(Reading::begin(reader, 0).await);
        }
        let mut given = [Given::default(), Given::default()];
        for (reading, given) in readings.iter_mut().zip(&mut given) {
            reading.caught_up(given).await;
        }
        append(log, 0..10).await;
        let mut acknowledged = log.revoke(Partition(0)).await;
        let LogEvent::Revoked(partitions, ack) = next(log).await else { panic!("nothing was revoked") };
        assert_eq!(partitions, [Partition(0)]);
        readings[0].end(&mut given[0]).await;
        assert_eq!(given[0].live.len(), 20, "all that it got is given out before the end");
        assert!(acknowledged.try_recv().is_err(), "the log waits for the acknowledgement");
        RevokeAck::done(ack);
        acknowledged.await.expect("it was acknowledged");

        // The other one goes on meanwhile.
        append(log, 10..20).await;
        log.writer().flush().await.expect("the log runs");
        readings[1].take(&mut given[1]);
        assert_eq!(given[1].live.len(), 40);

        let reader = assigned(log, &[Partition(0)]).await.pop().expect("one");
        let (mut again, mut rest) = (Reading::begin(reader, given[0].through).await, Given::default());
        again.caught_up(&mut rest).await;
        append(log, 20..30).await;
        log.writer().flush().await.expect("the log runs");
        again.take(&mut rest);
        assert_eq!(rest.live.len(), 20);
        if log.keeps_entries() {
            let before = given[0].positions();
            let positions: Vec<Position> = before.into_iter().chain(rest.positions()).collect();
            assert!(positions.is_sorted_by(|one, other| one < other), "nothing comes twice");
            assert_eq!(positions.len(), 60, "nothing is missing");
        }
    });
}
