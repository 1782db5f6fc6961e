//! Four partitions over the embedded stores, two of which move to other threads while entries come in: every row and
//! every `seq` is the one of a run with one partition that nothing happened to.

use crate::support::rows::{assert_same_rows, block_on, history_rows, log_entries};
use crate::support::scenario::bad_day;
use std::path::Path;
use std::sync::Arc;
use tickwire::actors::ingest::simulated::symbol_names;
use tickwire::actors::pipeline::{Pipeline, PipelineSettings};
use tickwire::config::{Config, Sources};
use tickwire::models::entry::Entry;
use tickwire::models::ledger::Ledger;
use tickwire::models::symbol::{SymbolId, SymbolSpec};
use tickwire::models::time::Nanos;
use tickwire::node::{Node, pipeline_settings};
use tickwire::stores::log::checkpoint::partition_of;
use tickwire::stores::log::sqlite::SqliteLog;
use tickwire::stores::log::{CheckpointStore, LogInput, LogWriter, NUM_SLICES, Partition, SetHeader};

const NUM_PARTITIONS: u32 = 4;
const NUM_SYMBOLS: u32 = 12;
/// Entries in one message: small, so that many come while a partition moves.
const BATCH: usize = 60;

fn config(dir: &Path) -> Config {
    let environment = [
        ("TICKWIRE__DATA_DIR", dir.to_str().unwrap()),
        ("TICKWIRE__CORE__SHARDS", "4"),
        // Nothing here notes what the directory was begun with.
        ("TICKWIRE__CORE__WINDOWS", "1min,5min,15min,1h,1d"),
        ("TICKWIRE__RECOVERY__MAX_AGE", "320ms"),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    Config::load(&Sources { environment, ..Sources::default() }).unwrap()
}

/// What came of a run.
struct Played {
    ledger: Ledger,
    /// Everything that the history gives out.
    scanned: String,
    num_replayed: u64,
}

/// Brings entries to a pipeline's log.
struct Feeder {
    log: Box<dyn LogWriter>,
    ids: Vec<SymbolId>,
}

impl Feeder {
    fn new(pipeline: &Pipeline, node: &Node) -> Feeder {
        node.sources.intern("venue");
        // A log that is opened again gives symbols the numbers they had.
        let intern = |name: &String| node.symbols.intern(SymbolSpec::named(name));
        let ids = symbol_names(NUM_SYMBOLS as usize).iter().map(intern).collect();
        Feeder { log: Box::new(pipeline.writer()), ids }
    }

    async fn feed(&self, day: &[Entry]) {
        for part in day.chunks(BATCH) {
            let mut entries = part.to_vec();
            for entry in &mut entries {
                if let Some(id) = self.ids.get(entry.symbol.index()) {
                    entry.symbol = *id;
                }
            }
            self.log.append(LogInput { entries, progress: None, received: Nanos::MIN }).await.unwrap();
        }
    }
}

async fn open(config: &Config, num_partitions: u32) -> (Node, Pipeline) {
    let mut node = Node::open(config).await.unwrap();
    let settings = PipelineSettings { num_partitions, ..pipeline_settings(config) };
    let storage = node.storage(true);
    let pipeline =
        Pipeline::start(node.env.clone(), settings, storage, Arc::clone(&node.health)).await.unwrap();
    (node, pipeline)
}

async fn finish(node: &Node, pipeline: &Pipeline) -> Played {
    let ledger = pipeline.finish().await.unwrap();
    pipeline.end();
    let scanned = format!("{:?}", node.history.scan(None, usize::MAX >> 1).await.unwrap());
    Played { ledger, scanned, num_replayed: pipeline.num_replayed }
}

fn plain(dir: &Path, day: &[Entry]) -> Played {
    actix::System::new().block_on(async {
        let (node, pipeline) = open(&config(dir), 1).await;
        Feeder::new(&pipeline, &node).feed(day).await;
        finish(&node, &pipeline).await
    })
}

/// Feeds a day in four parts. While the second and the third come in, a partition moves.
fn moved(dir: &Path, day: &[Entry]) -> Played {
    actix::System::new().block_on(async {
        let (node, mut pipeline) = open(&config(dir), NUM_PARTITIONS).await;
        let feeder = Feeder::new(&pipeline, &node);
        let parts: Vec<_> = day.chunks(day.len().div_ceil(4)).collect();
        feeder.feed(parts[0]).await;
        for (part, partition, threads) in [(parts[1], 1, [0, 1]), (parts[2], 2, [2, 3])] {
            let (before, after) = part.split_at(part.len() / 3);
            feeder.feed(before).await;
            let moving = pipeline.move_partition(Partition(partition), &threads);
            let (moved, ()) = futures_util::future::join(moving, feeder.feed(after)).await;
            moved.unwrap();
        }
        feeder.feed(parts[3]).await;
        finish(&node, &pipeline).await
    })
}

#[test]
fn partitions_that_move_under_load_end_in_the_rows_of_one_that_stays() {
    let day = bad_day(NUM_SYMBOLS, 4.0, 16_000, 77);
    let names = symbol_names(NUM_SYMBOLS as usize);
    for moves in [1, 2] {
        let is_in = |name: &&String| partition_of(name, NUM_PARTITIONS) == Partition(moves);
        assert!(names.iter().any(|name| is_in(&name)), "partition {moves} has symbols");
    }
    let (plain_dir, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let plain = plain(plain_dir.path(), &day);
    let moved = moved(dir.path(), &day);
    assert_eq!((moved.ledger, moved.ledger.residue()), (plain.ledger, 0));
    assert_same_rows(&history_rows(plain_dir.path()), &history_rows(dir.path()), "after moves");
    assert_eq!(moved.scanned, plain.scanned);
    assert_eq!(log_entries(dir.path()).len(), day.len());
}

#[test]
fn a_partition_goes_on_from_its_own_checkpoints() {
    let day = bad_day(NUM_SYMBOLS, 4.0, 8_000, 78);
    let half = day.len() / 2;
    let (plain_dir, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let plain = plain(plain_dir.path(), &day);
    actix::System::new().block_on(async {
        let (node, pipeline) = open(&config(dir.path()), NUM_PARTITIONS).await;
        Feeder::new(&pipeline, &node).feed(&day[..half]).await;
        pipeline.stop().await.unwrap();
    });
    block_on(async {
        let settings = Config::default().sqlite_settings();
        let log = SqliteLog::open(dir.path(), Arc::default(), Arc::default(), settings).await.unwrap();
        let mut num_symbols = 0;
        for partition in (0..NUM_PARTITIONS).map(Partition) {
            let found = log.load_checkpoints(partition).await.unwrap();
            let is_covered = |slice: &[_; 2]| slice[0] != SetHeader::default();
            assert_eq!(found.slices.iter().filter(|slice| is_covered(slice)).count(), NUM_SLICES as usize);
            for of_symbol in &found.symbols {
                assert_eq!(partition_of(&of_symbol[0].symbol, NUM_PARTITIONS), partition);
            }
            num_symbols += found.symbols.len();
        }
        assert_eq!(num_symbols, NUM_SYMBOLS as usize);
    });
    let second = actix::System::new().block_on(async {
        let (node, pipeline) = open(&config(dir.path()), NUM_PARTITIONS).await;
        Feeder::new(&pipeline, &node).feed(&day[half..]).await;
        finish(&node, &pipeline).await
    });
    assert_eq!((second.num_replayed, second.ledger), (0, plain.ledger));
    assert_same_rows(&history_rows(plain_dir.path()), &history_rows(dir.path()), "after a restart");
}
