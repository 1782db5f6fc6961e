//! `kill -9` at any moment, again and again: what the log holds is all there is, and all of it comes out.

use crate::support::process::{Program, command, replay, replay_command, run_args, wait_for};
use crate::support::rows::{assert_same_rows, history_rows, log_end, log_entries, rows_by_log};
use crate::support::scenario::{bad_day, write_csv};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tickwire::models::detection::settings::DetectionSettings;
use tickwire::models::entry::{Body, Entry, Position};
use tickwire::models::settings::CoreSettings;
use tickwire::models::time::{MINUTE, SECOND, Width};
use tickwire::stores::log::high_water::HighWater;

const NUM_KILLS: usize = 20;

/// Lets a program run for a while, or to its end. Returns true when it still runs.
fn let_run(program: &mut Program, time: Duration) -> bool {
    let begun = Instant::now();
    wait_for("kill", || (begun.elapsed() >= time || program.has_ended()).then_some(()));
    !program.has_ended()
}

#[test]
fn a_replay_killed_twenty_times_ends_as_one_never_killed() {
    let (dir, calm_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = dir.path().join("day.csv");
    let num_damaged = write_csv(&file, &bad_day(40, 50.0, 60_000, 41));
    let data = dir.path().join("data");
    let (file, data_text) = (file.to_str().unwrap(), data.to_str().unwrap());
    let begun = Instant::now();
    let calm = replay(&[file, "--data-dir", calm_dir.path().to_str().unwrap()]).summary();
    let took = begun.elapsed();
    let mut random = Pcg64Mcg::seed_from_u64(42);
    let (mut num_kills, mut reached) = (0, Vec::new());
    while num_kills < NUM_KILLS {
        // Held back to a speed that it cannot reach, it reads in small steps.
        let speed = if random.random_bool(0.8) { "1000000" } else { "max" };
        let mut replay = replay_command(&[file, "--data-dir", data_text, "--speed", speed]);
        replay.env("TICKWIRE__RECOVERY__MAX_AGE", "4s");
        let mut program = Program::start(replay);
        let runs_on = if random.random_bool(0.75) {
            program.commits(&data, random.random_range(1..12))
        } else {
            let_run(&mut program, took.mul_f64(random.random_range(0.0..0.9)))
        };
        if runs_on {
            reached.push(rows_known(&program.kill().stderr));
            num_kills += 1;
        } else {
            // Done sooner than killed: the rest of the kills need another run.
            assert_eq!(program.wait().summary(), calm);
            check_replay(&calm, &data, calm_dir.path(), file);
            std::fs::remove_dir_all(&data).unwrap();
        }
    }
    println!("rows known at each start {reached:?}");
    check_replay(&calm, &data, calm_dir.path(), file);
    assert_eq!(calm["ledger"]["residue"], 0);
    let rows = history_rows(&data);
    let damaged = rows.iter().filter(|row| row.contains("twelve")).count();
    assert_eq!(damaged, num_damaged, "each damaged row is a dead letter once");
    reached.sort_unstable();
    reached.dedup();
    assert!(reached.len() > NUM_KILLS / 4, "the kills hit no work: {reached:?}");
}

/// Reads from how many rows on a replay went.
fn rows_known(stderr: &str) -> u64 {
    number(stderr, "resuming where", "rows=").unwrap_or(0)
}

/// Reads a field of the first log line that holds a text.
fn number(stderr: &str, text: &str, field: &str) -> Option<u64> {
    let line = stderr.lines().find(|line| line.contains(text))?;
    line.split(field).nth(1)?.split_whitespace().next()?.parse().ok()
}

/// Runs a replay to its end and compares it with one that was never disturbed.
fn check_replay(calm: &Value, data: &Path, calm_data: &Path, file: &str) {
    assert_eq!(&replay(&[file, "--data-dir", data.to_str().unwrap()]).summary(), calm);
    assert_same_rows(&history_rows(calm_data), &history_rows(data), "after kills");
    let entries = log_entries(data);
    assert!(entries.iter().map(|entry| entry.pos).eq(1..=entries.len() as Position), "positions have holes");
    assert!(entries == log_entries(calm_data), "the logs differ");
}

#[test]
fn a_run_killed_twenty_times_keeps_what_the_log_holds() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["--rate", "20000", "--symbol-count", "20", "--seed", "5"];
    let mut random = Pcg64Mcg::seed_from_u64(52);
    let (mut losses, mut ends) = (Vec::new(), Vec::new());
    for _ in 0..NUM_KILLS {
        let program = Program::start(with_short_past(dir.path(), &args));
        program.line_with(" ready");
        let mut program = program;
        assert!(let_run(&mut program, Duration::from_millis(random.random_range(20..700))));
        let ended = program.kill();
        losses.push(num_lost(&ended.stderr));
        ends.push(log_end(dir.path()));
    }
    let program = Program::start(with_short_past(dir.path(), &args));
    program.line_with(" ready");
    let ended = program.stop();
    losses.push(num_lost(&ended.stderr));
    println!("lost at each end {losses:?}");

    let entries = log_entries(dir.path());
    // Not up to the last entry alone: the last runs may have ended before they committed anything.
    let num_given = HighWater::open(dir.path(), 0).unwrap().found();
    let num_missing = num_given - entries.len() as Position;
    assert_eq!(num_missing, losses.iter().sum::<Position>(), "every position that is missing was told once");
    // At most what gathers for one commit is lost, and what is received while it is written. The first starts make up
    // a past, which takes no time.
    assert!(losses[3..].iter().all(|lost| *lost <= 20_000), "{losses:?}");
    // Whatever a run commits, it tells first since when nobody listened.
    let is_gap = |entry: &&Entry| matches!(entry.body, Body::Gap(_));
    let begins = ends.iter().filter(|end| **end > 0).map(|end| entries.iter().find(|entry| entry.pos > *end));
    let mut begins: Vec<&Entry> = begins.flatten().collect();
    begins.dedup_by_key(|entry| entry.pos);
    assert!(begins.len() > 2, "hardly a run committed anything: {ends:?}");
    assert!(begins.iter().all(is_gap), "{begins:?}");
    assert_eq!(entries.iter().filter(is_gap).count(), begins.len(), "one gap a stop");
    let (expected, ledger) = rows_by_log(dir.path(), quick_core(), false);
    assert_same_rows(&expected, &history_rows(dir.path()), "after kills");
    assert_eq!(ledger.residue(), 0);
    assert!(ledger.received > 10_000, "{ledger:?}");
}

/// What [`with_short_past`] sets: windows that close all the time.
fn quick_core() -> CoreSettings {
    let widths = [SECOND / 10, SECOND, MINUTE].map(|nanos| Width::new(nanos).unwrap());
    let detection = Some(DetectionSettings { width: widths[0], ..DetectionSettings::default() });
    CoreSettings { widths: widths.to_vec(), lateness: SECOND / 100, detection, ..CoreSettings::default() }
}

/// Prepares a run with little made-up past, a checkpoint of each slice every few milliseconds, bars that close all
/// the time, and a log that trails behind: what is not in it must not be in the history either.
fn with_short_past(dir: &Path, args: &[&str]) -> Command {
    let mut run = command(&run_args(dir, args));
    run.env("TICKWIRE__PROVIDER__WARM_UP", "1min")
        .env("TICKWIRE__PROVIDER__SIMULATED__WARM_UP_TRADES_MAX", "5000")
        .env("TICKWIRE__RECOVERY__MAX_AGE", "640ms")
        .env("TICKWIRE__CORE__WINDOWS", "100ms,1s,1min")
        .env("TICKWIRE__CORE__LATENESS", "10ms")
        .env("TICKWIRE__DETECTION__WINDOW", "100ms")
        .env("TICKWIRE__LOG__GROUP_ENTRIES", "100000")
        .env("TICKWIRE__LOG__GROUP_AGE", "250ms");
    run
}

/// Reads how many entries a start found lost.
fn num_lost(stderr: &str) -> Position {
    number(stderr, "never committed", "entries=").unwrap_or(0)
}

#[test]
fn a_run_that_is_told_to_stop_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let mut program = Program::start(with_short_past(dir.path(), &["--rate", "20000"]));
        program.line_with(" ready");
        assert!(let_run(&mut program, Duration::from_millis(700)));
        assert_eq!(num_lost(&program.stop().stderr), 0);
    }
    let entries = log_entries(dir.path());
    let given = HighWater::open(dir.path(), 0).unwrap().found();
    assert_eq!(entries.last().map(|entry| entry.pos), Some(given), "received and not in the log");
    assert_eq!(entries.len() as Position, given);
    let (expected, ledger) = rows_by_log(dir.path(), quick_core(), false);
    assert_same_rows(&expected, &history_rows(dir.path()), "after two stops");
    assert_eq!(ledger.residue(), 0);
}
