//! A history that is behind the checkpoints, checkpoints that are damaged, and starts that come one after another: every
//! row is the one of a run that nothing happened to.

use crate::support::rows::{
    assert_same_rows, damage_checkpoints, execute, history_rows, log_end, rows_by_log,
};
use crate::support::scenario::bad_day;
use std::path::Path;
use std::sync::Arc;
use tickwire::actors::health::Health;
use tickwire::actors::messages::Ingest;
use tickwire::actors::pipeline::{Pipeline, PipelineSettings, Storage};
use tickwire::config::{Config, Sources};
use tickwire::models::entry::Entry;
use tickwire::models::ledger::Ledger;
use tickwire::models::settings::CoreSettings;
use tickwire::models::symbol::{SymbolId, SymbolSpec};
use tickwire::models::time::Nanos;
use tickwire::node::{Node, pipeline_settings};
use tickwire::stores::history::sqlite::SqliteHistory;
use tickwire::stores::log::sqlite::SqliteLog;
use tickwire::stores::log::{CheckpointStore, CommitLog, LogReader, Partition, TickLog};
use tickwire::stores::sqlite::SqliteSettings;

const NUM_SYMBOLS: u32 = 6;
/// Entries in one message.
const BATCH: usize = 300;

/// Does something to the history in a directory; in the other one is an older copy.
type Disturb = fn(&Path, &Path);

/// How a run ends.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// As SIGTERM ends it.
    Stop,
    /// Its input has ended.
    Finish,
    /// At once, as a crash does.
    Crash,
}

/// What a run found at its start, and what came of it.
struct Run {
    num_replayed: u64,
    num_caught_up: u64,
    history: (Health, String),
    ledger: Option<Ledger>,
}

/// A pipeline over the stores of a directory.
struct Site<'a> {
    dir: &'a Path,
    stores: SqliteSettings,
    environment: Vec<(&'static str, &'static str)>,
}

impl<'a> Site<'a> {
    /// Two shards, and checkpoints of each slice every few milliseconds.
    fn new(dir: &'a Path) -> Site<'a> {
        let environment = vec![("TICKWIRE__CORE__SHARDS", "2"), ("TICKWIRE__RECOVERY__MAX_AGE", "320ms")];
        Site { dir, stores: SqliteSettings::default(), environment }
    }

    /// Feeds it a part of a day. Before the end it waits for what `until` says of the log.
    fn run_until(&self, day: &[Entry], end: End, until: &impl AsyncFn(&SqliteLog)) -> Run {
        let environment =
            self.environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let config = Config::load(&Sources { environment: environment.collect(), ..Sources::default() });
        let config = config.unwrap();
        actix::System::new().block_on(async {
            let node = Node::in_memory(&config, usize::MAX).await.unwrap();
            let tables = || (Arc::clone(&node.symbols), Arc::clone(&node.sources), self.stores.clone());
            let (symbols, sources, settings) = tables();
            let log = Arc::new(SqliteLog::open(self.dir, symbols, sources, settings).await.unwrap());
            let (symbols, sources, settings) = tables();
            let history =
                SqliteHistory::open(self.dir, symbols, sources, settings, log.epoch()).await.unwrap();
            let storage = Storage {
                sinks: Vec::new(),
                log: Some(Arc::clone(&log) as Arc<dyn TickLog>),
                is_durable: true,
                high_water: None,
                history: Arc::new(history),
                history_policy: node.history_policy,
                history_away: None,
                durability: Arc::clone(&node.durability),
                live: None,
                retention: None,
                is_shown_only: false,
            };
            let settings: PipelineSettings = pipeline_settings(&config);
            let pipeline =
                Pipeline::start(node.env.clone(), settings, storage, Arc::clone(&node.health)).await.unwrap();
            let found = node.health.components().into_iter().find(|(name, _)| name == "history").unwrap().1;
            feed(&pipeline, &node, day).await;
            until(&log).await;
            let (num_replayed, num_caught_up) = (pipeline.num_replayed, pipeline.num_caught_up);
            let mut ledger = None;
            match end {
                End::Stop => pipeline.stop().await.unwrap(),
                End::Crash => pipeline.end(),
                End::Finish => {
                    ledger = Some(pipeline.finish().await.unwrap());
                    pipeline.end();
                }
            }
            Run { num_replayed, num_caught_up, history: (found.status, found.detail), ledger }
        })
    }

    fn run(&self, day: &[Entry], end: End) -> Run {
        self.run_until(day, end, &async |_| {})
    }

    /// Checks every row and the ledger of a run that was finished against what the log says they must be.
    fn check(&self, run: &Run, context: &str) {
        let (expected, ledger) = rows_by_log(self.dir, CoreSettings::default(), true);
        assert_same_rows(&expected, &history_rows(self.dir), context);
        assert_eq!((run.ledger.unwrap(), ledger.residue()), (ledger, 0), "{context}");
    }
}

async fn feed(pipeline: &Pipeline, node: &Node, day: &[Entry]) {
    let source = node.sources.intern("venue");
    let names = tickwire::actors::ingest::simulated::symbol_names(NUM_SYMBOLS as usize);
    // A log that is opened again gives symbols the numbers they had.
    let ids: Vec<SymbolId> = names.iter().map(|name| node.symbols.intern(SymbolSpec::named(name))).collect();
    for part in day.chunks(BATCH) {
        let mut entries = part.to_vec();
        for entry in &mut entries {
            assert_eq!(entry.body.source(), source);
            if let Some(id) = ids.get(entry.symbol.index()) {
                entry.symbol = *id;
            }
        }
        let ingest = Ingest { entries, dead_letters: Vec::new(), progress: None, received: Nanos::MIN };
        pipeline.log().send(ingest).await.unwrap();
    }
}

/// Puts one file, with what belongs to it, in place of another.
fn copy_store(from: &Path, to: &Path, name: &str) {
    for suffix in ["", "-wal", "-shm"] {
        let file = format!("{name}{suffix}");
        std::fs::remove_file(to.join(&file)).ok();
        if suffix != "-shm" && from.join(&file).exists() {
            std::fs::copy(from.join(&file), to.join(&file)).unwrap();
        }
    }
}

#[test]
fn a_history_that_is_behind_is_caught_up() {
    let day = bad_day(NUM_SYMBOLS, 4.0, 9_000, 211);
    let quarter = day.len() / 4;
    let table: [(&str, Disturb); 4] = [
        ("an older copy", |dir, older| copy_store(older, dir, "history.db")),
        ("no file", |dir, _| copy_store(Path::new("/nowhere"), dir, "history.db")),
        ("a file without its write-ahead log", |dir, older| {
            copy_store(older, dir, "history.db");
            execute(dir, "history.db", "PRAGMA wal_checkpoint(TRUNCATE)");
        }),
        ("rows taken out", |dir, _| {
            execute(dir, "history.db", "DELETE FROM bars WHERE trade_count % 3 = 0");
            execute(dir, "history.db", "DELETE FROM indicators WHERE log_pos % 2 = 0");
            execute(dir, "history.db", "UPDATE meta SET value = 0, checksum = ~0 WHERE key = 'acknowledged'");
        }),
    ];
    for (what, disturb) in table {
        let (dir, older) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let site = Site::new(dir.path());
        assert_eq!(site.run(&day[..quarter], End::Stop).num_caught_up, 0, "{what}");
        copy_store(dir.path(), older.path(), "history.db");
        let calm = site.run(&day[quarter..3 * quarter], End::Stop);
        assert_eq!((calm.num_caught_up, calm.history.0), (0, Health::Healthy), "{what}: nothing is behind");
        disturb(dir.path(), older.path());
        let run = site.run(&day[3 * quarter..], End::Finish);
        assert!(run.num_caught_up > 0, "{what}: nothing was caught up");
        assert_eq!(run.history.0, Health::Healthy, "{what}: {}", run.history.1);
        site.check(&run, what);
    }
}

#[test]
fn a_loss_of_power_that_spared_the_log_is_caught_up_from_older_checkpoints() {
    let day = bad_day(NUM_SYMBOLS, 4.0, 9_000, 221);
    let (dir, older) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let site = Site::new(dir.path());
    let third = day.len() / 3;
    site.run(&day[..third], End::Stop);
    site.run(&day[third..third + 600], End::Stop);
    copy_store(dir.path(), older.path(), "history.db");
    site.run(&day[third + 600..third + 1_200], End::Stop);
    copy_store(older.path(), dir.path(), "history.db");
    let run = site.run(&day[third + 1_200..], End::Finish);
    assert!((1..=1_200).contains(&run.num_caught_up), "{} entries were read again", run.num_caught_up);
    site.check(&run, "after a loss of power");
}

#[test]
fn what_the_log_does_not_hold_any_more_is_told_and_never_forgotten() {
    let day = bad_day(NUM_SYMBOLS, 4.0, 9_000, 231);
    let (dir, calm_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    Site::new(calm_dir.path()).run(&day, End::Stop);
    let expected = history_rows(calm_dir.path());
    let stores =
        SqliteSettings { part_entries: 1_000, retention_ticks_bytes: 0, ..SqliteSettings::default() };
    let site = Site { stores, ..Site::new(dir.path()) };
    let half = day.len() / 2;
    site.run_until(&day[..half], End::Stop, &async |log| {
        let needed = u64::MAX;
        while log.tail().await.unwrap().last < half as u64 {
            tokio::task::yield_now().await;
        }
        assert!(log.retain(Nanos(0), needed).await.unwrap() > 1_000, "nothing was dropped");
    });
    copy_store(Path::new("/nowhere"), dir.path(), "history.db");
    for part in [&day[half..], &[]] {
        let run = site.run(part, End::Stop);
        assert_eq!(run.history.0, Health::Degraded, "{}", run.history.1);
        assert!(run.history.1.contains("lacks what followed from"), "{}", run.history.1);
        assert_eq!(run.num_caught_up > 0, !part.is_empty());
    }
    // `seq` and indicators begin anew, and people's view of a bar shows neither.
    let bars = |rows: &[String]| -> Vec<String> {
        rows.iter().filter(|row| row.starts_with("aggregated_data")).cloned().collect()
    };
    let (expected, found) = (bars(&expected), bars(&history_rows(dir.path())));
    assert!(found.len() > expected.len() / 2 && found.len() < expected.len(), "{} bars", found.len());
    let wrong: Vec<_> = found.iter().filter(|row| expected.binary_search(row).is_err()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn damaged_checkpoints_of_quiet_symbols_lose_nothing() {
    let day = bad_day(NUM_SYMBOLS, 4.0, 12_000, 241);
    let fifth = day.len() / 5;
    // Half of the symbols say nothing for a while, and nobody tells the time either, while the slices' lines go on.
    let (quiet, part) = (2 * fifth, fifth / 3);
    let is_said = |at: usize, entry: &Entry| {
        let is_quiet = entry.symbol.0 < NUM_SYMBOLS / 2 || entry.body.is_broadcast();
        !((quiet..quiet + 6 * part).contains(&at) && is_quiet)
    };
    let day: Vec<Entry> =
        day.iter().enumerate().filter(|(at, entry)| is_said(*at, entry)).map(|(_, entry)| *entry).collect();
    for only_newest in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        // Only a stop saves checkpoints.
        let environment = vec![("TICKWIRE__CORE__SHARDS", "2"), ("TICKWIRE__RECOVERY__MAX_AGE", "10h")];
        let site = Site { environment, ..Site::new(dir.path()) };
        let steps = [0, fifth, quiet, quiet + 100, quiet + 200, quiet + 300];
        for step in steps.windows(2) {
            site.run(&day[step[0]..step[1]], End::Stop);
        }
        let (num_symbols, num_checkpoints) = damage_checkpoints(dir.path(), only_newest);
        assert_eq!((num_symbols, num_checkpoints), (NUM_SYMBOLS as usize, 2 * NUM_SYMBOLS as usize));
        let run = site.run(&day[steps[5]..], End::Finish);
        assert!(run.num_replayed > fifth as u64, "{} entries replayed", run.num_replayed);
        site.check(&run, "after damage");
    }
}

#[test]
fn a_start_has_little_to_replay_however_often_the_one_before_crashed() {
    const EACH: usize = 400;
    let day = bad_day(NUM_SYMBOLS, 4.0, 12_000, 251);
    let dir = tempfile::tempdir().unwrap();
    let site = Site {
        environment: vec![
            ("TICKWIRE__CORE__SHARDS", "2"),
            ("TICKWIRE__RECOVERY__MAX_AGE", "1h"),
            ("TICKWIRE__RECOVERY__REPLAY_ENTRIES", "1"),
        ],
        ..Site::new(dir.path())
    };
    let mut replayed = Vec::new();
    for part in day.chunks(EACH).take(20) {
        let before = if replayed.is_empty() { 0 } else { log_end(dir.path()) };
        let run = site.run_until(part, End::Crash, &async |log| {
            // No run lives long enough to save the checkpoints of more than a few slices.
            loop {
                let found = log.load_checkpoints(Partition::EMBEDDED).await.unwrap();
                let saved = found.slices.iter().filter(|[newest, _]| newest.covers_through > before);
                if saved.count() >= 16 {
                    return;
                }
                tokio::task::yield_now().await;
            }
        });
        replayed.push(run.num_replayed);
    }
    println!("entries replayed at each start: {replayed:?}");
    assert!(replayed.len() == 20 && replayed[19] > 0);
    assert!(replayed.iter().all(|entries| *entries <= 8 * EACH as u64), "{replayed:?}");
}
