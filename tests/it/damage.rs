//! Bits that the disk has changed: found, named, and mended where the log holds what was lost; never read as data.

use crate::support::process::{Ended, Program, command, replay, replay_command, run_args, wait_for};
use crate::support::rows::{assert_same_rows, block_on, damage_table, execute, history_rows, log_entries};
use crate::support::scenario::{bad_day, write_csv};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use tickwire::models::entry::Entry;
use tickwire::names::{SourceTable, SymbolTable};
use tickwire::stores::StoreError;
use tickwire::stores::history::sqlite::{SqliteHistory, check_history};
use tickwire::stores::history::{DeadLetterQuery, History};
use tickwire::stores::log::sqlite::{SqliteLog, check_log};
use tickwire::stores::log::{CheckpointStore, LogReader, Partition, TickQuery};
use tickwire::stores::sqlite::SqliteSettings;
use tickwire::stores::sqlite::check::Checked;

/// Small parts, so that there are finished blocks.
const SMALL_LOG: (&str, &str) = ("TICKWIRE__LOG__RETENTION_SIZE", "1MB");

fn check(data: &Path, args: &[&str]) -> Ended {
    let mut all = vec!["check", "--data-dir", data.to_str().unwrap()];
    all.extend(args);
    Program::start(command(&all)).wait()
}

/// Replays a day into a directory and returns it.
fn replayed(dir: &Path) -> PathBuf {
    replayed_with(dir, 30_000, &[SMALL_LOG])
}

fn replayed_with(dir: &Path, num_trades: usize, environment: &[(&str, &str)]) -> PathBuf {
    let file = dir.join("day.csv");
    write_csv(&file, &bad_day(6, 20.0, num_trades, 61));
    let data = dir.join("data");
    let mut run = replay_command(&[file.to_str().unwrap(), "--data-dir", data.to_str().unwrap()]);
    run.envs(environment.iter().copied());
    Program::start(run).wait().summary();
    data
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[test]
fn damaged_rows_of_the_history_are_named_and_worked_out_again() {
    let dir = tempfile::tempdir().unwrap();
    let data = replayed(dir.path());
    let rows = history_rows(&data);
    let sound = check(&data, &[]);
    assert!(sound.status.success(), "{}{}", sound.stdout, sound.stderr);
    let last_line = sound.stdout.lines().last().unwrap();
    let num_read: usize = last_line.split(' ').next().unwrap().parse().unwrap();
    assert!(num_read > rows.len() / 2 && last_line.ends_with("0 mended, 0 damaged"), "{last_line}");

    let key = |table: &str, at: u32| {
        format!("(symbol, width, start) = (SELECT symbol, width, start FROM {table} LIMIT 1 OFFSET {at})")
    };
    let damages = [
        ("bars", format!("UPDATE bars SET high = high + 1 WHERE {}", key("bars", 3))),
        ("bars", format!("UPDATE bars SET state = CAST(x'c3' AS TEXT) WHERE {}", key("bars", 9))),
        ("bars", format!("UPDATE bars SET volume = 'many' WHERE {}", key("bars", 12))),
        // The last ones are there because the replay ended.
        ("bars", "UPDATE bars SET close = 0 WHERE (symbol, width, start) = (SELECT symbol, width, start FROM bars \
                  ORDER BY start DESC LIMIT 1)".to_owned()),
        ("indicators", format!("UPDATE indicators SET sma_20 = 1.5 WHERE {}", key("indicators", 5))),
        ("dead_letters", "UPDATE dead_letters SET payload = CAST(x'ff' AS TEXT) WHERE pos = \
                          (SELECT max(pos) FROM dead_letters)".to_owned()),
    ];
    for (table, sql) in damages {
        execute(&data, "history.db", &sql);
        let found = check(&data, &[]);
        assert_eq!(found.status.code(), Some(1), "{sql}: {}", found.stdout);
        let named = format!("damaged: `history.db`, table `{table}`, ");
        assert!(found.stdout.contains(&named), "{sql}: {}", found.stdout);
        let mended = check(&data, &["--repair"]);
        assert!(mended.status.success(), "{sql}: {}{}", mended.stdout, mended.stderr);
        assert!(mended.stdout.contains(&named.replace("damaged", "mended")), "{sql}: {}", mended.stdout);
        assert_same_rows(&rows, &history_rows(&data), &sql);
        assert!(check(&data, &[]).status.success(), "{sql}");
    }
}

#[test]
fn a_damaged_entry_is_lost_and_said_and_the_index_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    // More than a block of the log, 65,536 entries, and in one part: the index of a block is written when it is full. Smaller
    // parts end when their file is large enough, which depends on when SQLite writes it.
    let data = replayed_with(dir.path(), 90_000, &[]);
    let entries = log_entries(&data);
    assert!(entries.len() > 70_000, "{}", entries.len());
    let table: [(&str, &str, &str); 3] = [
        (
            "UPDATE runs_000001 SET ts_max = ts_max - 1 WHERE (block, symbol, first_pos) = \
          (SELECT block, symbol, first_pos FROM runs_000001 LIMIT 1)",
            "`runs_000001`",
            "mended",
        ),
        ("UPDATE blocks SET ts_max = ts_min WHERE part = 1", "`blocks`", "mended"),
        ("UPDATE log_000001 SET ts = ts + 1 WHERE pos = 100", "`log_000001`, position 100", "damaged"),
    ];
    let mut expected = entries.clone();
    for (sql, place, outcome) in table {
        let num_changed = execute(&data, "log.db", sql);
        assert!(num_changed > 0, "{sql} finds nothing to damage");
        let found = check(&data, &[]);
        assert_eq!(found.status.code(), Some(1), "{sql}: {}", found.stdout);
        assert!(found.stdout.contains(place), "{sql}: {}", found.stdout);
        let mended = check(&data, &["--repair"]);
        assert!(mended.stdout.contains(&format!("{outcome}: `log.db`, table {place}")), "{}", mended.stdout);
        if outcome == "damaged" {
            assert_eq!(mended.status.code(), Some(1), "an entry is lost: {}", mended.stdout);
            expected.retain(|entry| entry.pos != 100);
        } else {
            assert!(mended.status.success(), "{sql}: {}", mended.stdout);
        }
        let sound = check(&data, &[]);
        assert!(sound.status.success(), "{sql}: {}", sound.stdout);
        assert_eq!(log_entries(&data), expected, "{sql}");
    }
    assert_eq!(ticks_by_index(&data), expected.iter().filter(|entry| is_tick(entry)).count());
}

#[test]
fn a_history_that_is_gone_or_unusable_is_made_anew_from_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let data = replayed(dir.path());
    let file = dir.path().join("day.csv");
    let exact = |data: &Path| -> Vec<String> {
        history_rows(data).into_iter().filter(|row| !row.starts_with("dead_letters")).collect()
    };
    let rows = exact(&data);
    // `None` for a file that is gone; else where it is overwritten, in parts of its length.
    for damaged_at in [None, Some(0.5), Some(0.0)] {
        let path = data.join("history.db");
        if let Some(share) = damaged_at {
            let mut bytes = std::fs::read(&path).unwrap();
            let from = (bytes.len() as f64 * share) as usize / 4_096 * 4_096;
            bytes[from..from + 8_192].fill(0x5A);
            std::fs::write(&path, bytes).unwrap();
        } else {
            std::fs::remove_file(&path).unwrap();
        }
        assert_eq!(check(&data, &[]).status.code(), Some(1));
        if damaged_at == Some(0.0) {
            let refused = replay(&[file.to_str().unwrap(), "--data-dir", data.to_str().unwrap()]);
            assert_eq!(refused.status.code(), Some(1), "{}", refused.stderr);
            assert!(refused.stderr.contains("tickwire check --data-dir"), "{}", refused.stderr);
        }
        let mended = check(&data, &["--repair"]);
        assert!(mended.status.success(), "{}{}", mended.stdout, mended.stderr);
        assert!(check(&data, &[]).status.success());
        // What the end of the replay closed comes with its end.
        replay(&[file.to_str().unwrap(), "--data-dir", data.to_str().unwrap()]).summary();
        assert_same_rows(&rows, &exact(&data), "made anew");
    }
    assert!(data.join("history.db.damaged").exists());
}

#[test]
fn a_replay_ends_where_a_store_cannot_be_written_and_names_the_next_step() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("day.csv");
    write_csv(&file, &bad_day(6, 20.0, 30_000, 91));
    let (file, calm) = (file.to_str().unwrap(), dir.path().join("calm"));
    let expected = replay(&[file, "--data-dir", calm.to_str().unwrap()]).summary();
    for (broken, table) in [("history", "bars"), ("log", "runs_")] {
        let data = dir.path().join(broken);
        let replayed = |args: &[&str]| {
            let mut run = replay_command(&[&[file, "--data-dir", data.to_str().unwrap()], args].concat());
            run.env(SMALL_LOG.0, SMALL_LOG.1);
            Program::start(run)
        };
        let mut begun = replayed(&["--speed", "100"]);
        assert!(begun.commits(&data, 10), "it ended by itself");
        begun.kill();
        damage_table(&data, &format!("{broken}.db"), table);
        let ended = replayed(&[]).wait();
        assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
        let error = format!("the {broken} cannot be written: ");
        assert!(ended.stderr.contains(&error), "{}", ended.stderr);
        assert!(ended.stderr.contains("once it is repaired, the same command goes on"), "{}", ended.stderr);
        assert!(ended.stderr.contains("tickwire check --data-dir"), "{}", ended.stderr);
        if broken == "history" {
            let mended = check(&data, &["--repair"]);
            assert!(mended.status.success(), "{}{}", mended.stdout, mended.stderr);
            assert_eq!(replayed(&[]).wait().summary(), expected);
            // Rows that never became an entry are not in the log.
            let exact = |data: &Path| -> Vec<String> {
                history_rows(data).into_iter().filter(|row| !row.starts_with("dead_letters")).collect()
            };
            assert_same_rows(&exact(&calm), &exact(&data), "after the repair");
        }
    }
}

#[test]
fn a_run_whose_history_cannot_be_written_is_unhealthy_and_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let program = Program::start(with_short_past(dir.path()));
    program.line_with("every symbol has its past");
    program.stop();
    damage_table(dir.path(), "history.db", "bars");
    // The past of a new symbol brings bars at once.
    let args = run_args(dir.path(), &["--symbols", "AAPL,MSFT,NVDA", "--rate", "200"]);
    let mut run = command(&args);
    run.env("TICKWIRE__PROVIDER__WARM_UP", "10min");
    let program = Program::start(run);
    let line = program.line_with("failed to write the history");
    assert!(line.contains("tickwire check"), "{line}");
    let health = wait_for("unhealthy history", || {
        let health = program.get("REST", "/health").unwrap().json();
        (health["components"]["history"] == "unhealthy").then_some(health)
    });
    let detail = health["details"]["messages"]["history"].as_str().unwrap();
    assert!(detail.contains("tickwire check"), "{health}");
    assert_eq!(program.get("REST", "/health/ready").unwrap().status, 503);
    program.kill();
}

fn is_tick(entry: &Entry) -> bool {
    use tickwire::models::entry::Body;
    entry.body.is_report() || matches!(entry.body, Body::Quote(_))
}

/// Counts the ticks of all symbols that the index finds.
fn ticks_by_index(data: &Path) -> usize {
    use tickwire::models::time::Nanos;
    block_on(async {
        let symbols = Arc::<SymbolTable>::default();
        let log = SqliteLog::open(data, Arc::clone(&symbols), Arc::default(), SqliteSettings::default());
        let log = log.await.unwrap();
        let mut num_found = 0;
        for (symbol, _) in symbols.since(0) {
            let query =
                TickQuery { symbol, start: Nanos::MIN, end: Nanos::MAX, before: None, limit: usize::MAX };
            num_found += log.ticks(&query).await.unwrap().len();
        }
        num_found
    })
}

/// Reads everything in a directory as the program does. Gives the first error.
async fn read_everything(data: &Path) -> Result<(Vec<Entry>, usize), StoreError> {
    let (symbols, sources) = (Arc::<SymbolTable>::default(), Arc::<SourceTable>::default());
    let settings = SqliteSettings::default();
    let log = SqliteLog::open(data, Arc::clone(&symbols), Arc::clone(&sources), settings.clone()).await?;
    let history = SqliteHistory::open(data, symbols, sources, settings, log.epoch()).await?;
    log.load_checkpoints(Partition::EMBEDDED).await?;
    let entries = log.read(0, usize::MAX).await?;
    let num_bars = history.scan(None, usize::MAX).await?.len();
    let letters = DeadLetterQuery { limit: usize::MAX, ..DeadLetterQuery::default() };
    let num_letters = history.dead_letters(&letters).await?.len();
    Ok((entries, num_bars + num_letters))
}

#[test]
fn a_flipped_bit_is_found_or_changes_nothing() {
    const NUM_FLIPS: usize = 60;
    let dir = tempfile::tempdir().unwrap();
    let data = replayed(dir.path());
    let (entries, rows) = (log_entries(&data), history_rows(&data));
    let (read, num_rows) = block_on(read_everything(&data)).unwrap();
    assert_eq!(read, entries);
    let mut random = Pcg64Mcg::seed_from_u64(71);
    let (mut num_found, mut num_read) = (0, 0);
    for flip in 0..NUM_FLIPS {
        let trial = dir.path().join("trial");
        copy(&data, &trial);
        let name = ["log.db", "history.db"][flip % 2];
        let mut bytes = std::fs::read(trial.join(name)).unwrap();
        let (at, bit) = (random.random_range(100..bytes.len()), random.random_range(0..8));
        bytes[at] ^= 1 << bit;
        std::fs::write(trial.join(name), bytes).unwrap();
        let place = format!("bit {bit} of byte {at} of {name}");
        let found = block_on(async {
            let log = check_log(&trial, false, &mut |_, _| {}).await.unwrap();
            let history = check_history(&trial, false, &mut |_, _| {}).await.unwrap();
            log.findings.len() + history.findings.len()
        });
        match block_on(read_everything(&trial)) {
            Ok((read, num_read_here)) if found == 0 => {
                let changed = read.iter().zip(&entries).find(|(read, entry)| read != entry);
                assert_eq!((read.len(), changed), (entries.len(), None), "{place}");
                assert_eq!(num_read_here, num_rows, "{place}");
                assert_same_rows(&rows, &history_rows(&trial), &place);
                num_read += 1;
            }
            Ok((read, _)) => {
                // What is found and still read is an index, or not asked for: no entry is another one.
                assert!(read.iter().all(|entry| entries.contains(entry)), "{place}");
                num_found += 1;
            }
            Err(error) => {
                assert!(found > 0, "{place}: {error}, which the check does not find");
                num_found += 1;
            }
        }
        std::fs::remove_dir_all(&trial).unwrap();
    }
    println!("{num_found} found, {num_read} in places that hold nothing");
    assert!(num_found > NUM_FLIPS / 2, "hardly a flip hit anything");
}

#[test]
fn a_checksum_that_is_gone_and_a_view_that_says_something_else_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let data = replayed(dir.path());
    execute(&data, "history.db", "UPDATE bars SET checksum = NULL WHERE symbol = 0 AND width = 60000000000");
    execute(&data, "history.db", "DROP VIEW aggregated_data");
    execute(&data, "history.db", "CREATE VIEW aggregated_data AS SELECT start AS time FROM bars");
    let part = "(SELECT pos FROM log_000001 ORDER BY pos LIMIT 1 OFFSET 7)";
    execute(&data, "log.db", &format!("UPDATE log_000001 SET extra = NULL WHERE pos = {part}"));
    let found = |checked: Checked| -> Vec<String> { checked.findings.into_iter().map(|f| f.text).collect() };
    let history = found(block_on(check_history(&data, false, &mut |_, _| {})).unwrap());
    assert!(
        history.iter().any(|text| text.contains("`aggregated_data` is defined otherwise")),
        "{history:?}"
    );
    assert!(
        history.iter().any(|text| text.contains("`bars`") && text.ends_with("it has no checksum")),
        "{history:?}"
    );
    let log = found(block_on(check_log(&data, false, &mut |_, _| {})).unwrap());
    assert!(matches!(log.as_slice(), [text, ..] if text.ends_with("it has no checksum")), "{log:?}");

    // In a file that is older than checksums, such rows are taken as they are.
    for name in ["log.db", "history.db"] {
        execute(&data, name, "UPDATE meta SET value = 1, checksum = ~1 WHERE key = 'unchecked_rows'");
    }
    let log = found(block_on(check_log(&data, false, &mut |_, _| {})).unwrap());
    assert!(log.is_empty(), "{log:?}");
    let history = found(block_on(check_history(&data, false, &mut |_, _| {})).unwrap());
    assert_eq!(history.len(), 1, "{history:?}");
}

fn with_short_past(dir: &Path) -> Command {
    let mut run = command(&run_args(dir, &["--symbols", "AAPL,MSFT", "--rate", "200"]));
    run.env("TICKWIRE__PROVIDER__WARM_UP", "10min")
        .env("TICKWIRE__PROVIDER__SIMULATED__WARM_UP_TRADES_MAX", "2000");
    run
}

#[test]
fn a_damaged_bar_is_an_error_for_its_range_and_seen_in_health() {
    let dir = tempfile::tempdir().unwrap();
    let program = Program::start(with_short_past(dir.path()));
    program.line_with("every symbol has its past");
    program.stop();
    execute(
        dir.path(),
        "history.db",
        "UPDATE bars SET low = low - 1 WHERE symbol = (SELECT id FROM symbols WHERE name = 'AAPL') AND state <> 'void'",
    );
    let program = Program::start(with_short_past(dir.path()));
    program.line_with(" ready");
    let bars = |symbol: &str| {
        program.get("REST", &format!("/api/v1/aggregated/{symbol}?window=1min&limit=50")).unwrap()
    };
    assert_eq!(bars("MSFT").status, 200);
    let refused = bars("AAPL");
    assert_eq!((refused.status, refused.json()["code"].as_str()), (500, Some("internal")));
    let line = program.line_with("a store did not answer a request");
    assert!(
        line.contains("history.db") && line.contains("bars") && line.contains("width 60000000000"),
        "{line}"
    );
    let health = wait_for("degraded files", || {
        let health = program.get("REST", "/health").unwrap().json();
        (health["components"]["files"] == "degraded").then_some(health)
    });
    assert!(health["details"]["messages"]["files"].as_str().unwrap().contains("history.db"), "{health}");
    assert_eq!(program.get("REST", "/health/ready").unwrap().status, 200, "the rest is served");
    for _ in 0..50 {
        assert_eq!(bars("AAPL").status, 500);
    }
    let ended = program.stop();
    let lines: Vec<&str> =
        ended.stderr.lines().filter(|line| line.contains("a store did not answer a request")).collect();
    // A few for each minute in which somebody asks, and a client makes none of them an error.
    assert!(lines.len() < 25 && lines.iter().all(|line| line.contains(" WARN ")), "{lines:?}");
    let mended = check(dir.path(), &["--repair"]);
    assert!(mended.status.success(), "{}{}", mended.stdout, mended.stderr);
}

#[test]
fn a_damaged_mark_of_positions_costs_the_count_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("day.csv");
    write_csv(&file, &bad_day(4, 10.0, 3_000, 81));
    let data = dir.path().join("data");
    let args = [file.to_str().unwrap(), "--data-dir", data.to_str().unwrap()];
    let calm = replay(&args).summary();
    // As an earlier version wrote it, with its highest bit flipped.
    std::fs::write(data.join("positions"), [1_u64.rotate_right(1).to_le_bytes(), [0; 8]].concat()).unwrap();
    let found = check(&data, &[]);
    assert_eq!(found.status.code(), Some(1));
    assert!(found.stdout.contains("damaged: `positions`"), "{}", found.stdout);
    let again = replay(&args);
    assert!(again.stderr.contains("positions.damaged"), "{}", again.stderr);
    assert_eq!(again.summary(), calm);
    assert!(check(&data, &[]).status.success());
}
