//! A disk that is full, and files on it that are damaged or belong to others.

use crate::support::process::{
    Ended, Program, command, command_without_size_signal, replay, replay_command, run_args, wait_for,
};
use crate::support::rows::{
    assert_same_rows, damage_checkpoints, execute, history_rows, log_end, log_entries, rows_by_log,
};
use crate::support::scenario::{bad_day, write_csv};
use rustix::process::{Resource, Rlimit, Signal, prlimit};
use std::time::{Duration, Instant};
use tickwire::models::entry::{Body, Position};
use tickwire::models::settings::CoreSettings;

/// Lets files of a program grow, or not.
fn limit_files(program: &Program, bytes: Option<u64>) {
    prlimit(Some(program.pid()), Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

fn health_of(program: &Program, component: &str) -> String {
    let health = program.get("REST", "/health").unwrap().json();
    health["components"][component].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_full_disk_holds_the_feed_and_loses_nothing_that_was_taken() {
    let dir = tempfile::tempdir().unwrap();
    let args = run_args(dir.path(), &["--rate", "4000", "--seed", "3"]);
    let mut run = command_without_size_signal(&args);
    run.env("TICKWIRE__PROVIDER__WARM_UP", "10min")
        .env("TICKWIRE__PROVIDER__SIMULATED__WARM_UP_TRADES_MAX", "2000")
        .env("TICKWIRE__LOG__SPILL_ENTRIES", "6000");
    let program = Program::start(run);
    program.line_with(" ready");
    wait_for("live entries", || (program.metric("tickwire_log_position ") > 4_000).then_some(()));
    assert_eq!(health_of(&program, "log"), "healthy");

    limit_files(&program, Some(0));
    let full_since = Instant::now();
    wait_for("unhealthy log", || (health_of(&program, "log") == "unhealthy").then_some(()));
    assert_eq!(program.get("REST", "/health/ready").unwrap().status, 503);
    let before = program.metric("tickwire_log_position ");
    program.line_with("the feed waits");
    // Longer than the venue waits before what it traded meanwhile is a gap.
    wait_for("the time that the venue waits", || {
        (full_since.elapsed() > Duration::from_secs(5)).then_some(())
    });
    assert_eq!(program.metric("tickwire_log_position "), before, "nothing can be written");
    assert_eq!(program.get("REST", "/api/v1/latest/AAPL").unwrap().status, 200, "it serves what it knows");

    limit_files(&program, None);
    wait_for("healthy log", || (health_of(&program, "log") == "healthy").then_some(()));
    wait_for("healthy history", || (health_of(&program, "history") == "healthy").then_some(()));
    program.line_with("the pipeline delayed the venue");
    let now = program.metric("tickwire_log_position ");
    assert!(now >= before + 6_000, "what waited in memory is written: {before} to {now}");
    wait_for("more entries", || (program.metric("tickwire_log_position ") > now + 1_000).then_some(()));
    program.stop();

    let entries = log_entries(dir.path());
    assert!(entries.iter().map(|entry| entry.pos).eq(1..=entries.len() as Position), "positions have holes");
    assert!(entries.iter().any(|entry| matches!(entry.body, Body::Gap(_))), "the gap is told");
    let (expected, ledger) = rows_by_log(dir.path(), CoreSettings::default(), false);
    assert_same_rows(&expected, &history_rows(dir.path()), "after a full disk");
    assert_eq!(ledger.residue(), 0);
}

/// Sends a signal and waits for the end, which must come in 5 s.
fn end_by(program: Program, signal: Signal) -> Ended {
    let told = Instant::now();
    program.signal(signal);
    let ended = program.wait();
    assert!(told.elapsed() < Duration::from_secs(5), "it took {:?}: {}", told.elapsed(), ended.stderr);
    ended
}

#[test]
fn a_stop_while_the_disk_is_full_says_what_is_lost() {
    for signal in [Signal::TERM, Signal::HUP] {
        let dir = tempfile::tempdir().unwrap();
        let args = run_args(dir.path(), &["--rate", "4000", "--seed", "7"]);
        let mut run = command_without_size_signal(&args);
        run.env("TICKWIRE__PROVIDER__WARM_UP", "10min")
            .env("TICKWIRE__PROVIDER__SIMULATED__WARM_UP_TRADES_MAX", "2000")
            .env("TICKWIRE__LOG__SPILL_ENTRIES", "3000");
        let program = Program::start(run);
        program.line_with(" ready");
        program.line_with("every symbol has its past");
        wait_for("live entries", || (program.metric("tickwire_log_position ") > 4_000).then_some(()));
        limit_files(&program, Some(0));
        program.line_with("the feed waits");
        let ended = end_by(program, signal);
        assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
        let told = " entries received were never committed and are lost";
        let line = ended.stderr.lines().find(|line| line.contains(told));
        let line = line.unwrap_or_else(|| panic!("nothing is said of a loss: {}", ended.stderr));
        let lost: u64 = line.split(told).next().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
        assert!(lost > 3_000, "{line}");

        let committed = log_end(dir.path());
        let program = Program::start(command(&args));
        program.line_with(" ready");
        wait_for("live entries", || {
            (program.metric("tickwire_log_position ") > committed + lost).then_some(())
        });
        program.stop();
        let next = log_entries(dir.path()).into_iter().find(|entry| entry.pos > committed).unwrap();
        assert!(matches!(next.body, Body::Gap(_)), "the time since is a gap: {next:?}");
        let (expected, ledger) = rows_by_log(dir.path(), CoreSettings::default(), false);
        assert_same_rows(&expected, &history_rows(dir.path()), "after a stop with a full disk");
        assert_eq!(ledger.residue(), 0);
    }
}

#[test]
fn a_start_on_a_full_disk_ends_when_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let args = run_args(dir.path(), &["--rate", "4000", "--seed", "9"]);
    let start = || {
        let mut run = command_without_size_signal(&args);
        run.env("TICKWIRE__PROVIDER__WARM_UP", "3h")
            .env("TICKWIRE__PROVIDER__SIMULATED__WARM_UP_TRADES_MAX", "20000");
        Program::start(run)
    };
    let program = start();
    program.line_with(" ready");
    program.line_with("every symbol has its past");
    wait_for("live entries", || (program.metric("tickwire_log_position ") > 20_000).then_some(()));
    program.kill();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        // All of the history is to be written again, and there is room for its tables only.
        for name in ["history.db", "history.db-wal", "history.db-shm"] {
            std::fs::remove_file(dir.path().join(name)).ok();
        }
        let program = start();
        limit_files(&program, Some(450_000));
        wait_for("unhealthy history", || (health_of(&program, "history") == "unhealthy").then_some(()));
        assert_eq!(program.get("REST", "/health/ready").unwrap().status, 503);
        let ended = end_by(program, signal);
        assert!(ended.status.success(), "{}: {}", ended.status, ended.stderr);
        assert!(ended.stderr.contains("nothing was received"), "{}", ended.stderr);
    }
    let program = start();
    program.line_with(" ready");
    program.stop();
    let (expected, ledger) = rows_by_log(dir.path(), CoreSettings::default(), false);
    assert_same_rows(&expected, &history_rows(dir.path()), "after starts on a full disk");
    assert_eq!(ledger.residue(), 0);
}

#[test]
fn a_replay_on_a_full_disk_ends_when_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("day.csv");
    write_csv(&file, &bad_day(8, 10.0, 12_000, 171));
    let file = file.to_str().unwrap();
    let calm = dir.path().join("calm");
    let expected = replay(&[file, "--data-dir", calm.to_str().unwrap()]).summary();
    let data = dir.path().join("data");
    let args = ["replay", "--json", file, "--data-dir", data.to_str().unwrap(), "--speed", "100"];
    for signal in [Signal::INT, Signal::HUP] {
        let mut program = Program::start(command_without_size_signal(&args));
        assert!(program.commits(&data, 10), "it ended by itself");
        limit_files(&program, Some(0));
        // The log, or the history: rows that cannot be read are written before what comes after them.
        program.line_with("failed to write the ");
        let ended = end_by(program, signal);
        assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains("run the same command again to go on"), "{}", ended.stderr);
    }
    assert_eq!(replay(&[file, "--data-dir", data.to_str().unwrap()]).summary(), expected);
    assert_same_rows(&history_rows(&calm), &history_rows(&data), "after stops with a full disk");
}

#[test]
fn damaged_checkpoints_cost_time_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("day.csv");
    write_csv(&file, &bad_day(8, 10.0, 12_000, 131));
    let (file, calm) = (file.to_str().unwrap(), dir.path().join("calm"));
    let expected = replay(&[file, "--data-dir", calm.to_str().unwrap()]).summary();
    for only_newest in [true, false] {
        let data = dir.path().join(format!("data-{only_newest}"));
        let data_text = data.to_str().unwrap();
        // The second run saves checkpoints over those of the first, so that most symbols have two.
        for _ in 0..2 {
            let mut half = replay_command(&[file, "--data-dir", data_text, "--speed", "100"]);
            half.env("TICKWIRE__RECOVERY__MAX_AGE", "320ms");
            let mut program = Program::start(half);
            assert!(program.commits(&data, 40));
            program.signal(Signal::INT);
            assert_eq!(program.wait().status.code(), Some(1));
        }
        let (num_symbols, num_checkpoints) = damage_checkpoints(&data, only_newest);
        assert!(
            num_symbols > 4 && num_checkpoints > num_symbols,
            "{num_checkpoints} checkpoints of {num_symbols} symbols"
        );
        let ended = replay(&[file, "--data-dir", data_text]);
        let told = ended.stderr.matches("checkpoint is of no use").count();
        assert_eq!(told, if only_newest { num_symbols } else { num_checkpoints }, "{}", ended.stderr);
        assert_eq!(ended.summary(), expected);
        assert_same_rows(&history_rows(&calm), &history_rows(&data), "after damage");
    }
}

#[test]
fn a_log_that_is_none_is_refused_with_a_reason() {
    let other = tempfile::tempdir().unwrap();
    crate::support::rows::create_file(&other.path().join("other.db"));
    let foreign = std::fs::read(other.path().join("other.db")).unwrap();
    let table: [(&str, Vec<u8>); 3] = [
        ("text", b"time,price\n".repeat(1_000)),
        ("another program's database", foreign),
        ("zeros", vec![0; 8_192]),
    ];
    for (what, bytes) in table {
        for name in ["log.db", "history.db"] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(name), &bytes).unwrap();
            let ended = Program::start(command(&run_args(dir.path(), &[]))).wait();
            assert_eq!(ended.status.code(), Some(1), "{what} as {name}: {}", ended.stderr);
            assert!(ended.stderr.contains(name), "{what} as {name}: {}", ended.stderr);
            assert_eq!(std::fs::read(dir.path().join(name)).unwrap(), bytes, "{what} as {name} was changed");
        }
    }
}

#[test]
fn a_log_cut_short_is_refused_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("day.csv");
    write_csv(&file, &bad_day(4, 10.0, 3_000, 141));
    let data = dir.path().join("data");
    let args = [file.to_str().unwrap(), "--data-dir", data.to_str().unwrap()];
    replay(&args).summary();
    // What stands in the write-ahead log could heal the file.
    execute(&data, "log.db", "PRAGMA wal_checkpoint(TRUNCATE)");
    let log = std::fs::read(data.join("log.db")).unwrap();
    std::fs::write(data.join("log.db"), &log[..log.len() / 2]).unwrap();
    let ended = replay(&args);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains(&format!("cannot open the log in `{}`", data.display())),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}
