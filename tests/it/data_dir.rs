//! The files of a data directory: copied, deleted under the process, and kept to the size that was asked for.

use crate::support::process::{Program, command, run_args, wait_for};
use crate::support::rows::{block_on, execute, log_entries};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use tickwire::clock::{Clock, SystemClock};
use tickwire::models::entry::{Body, Entry, Position, SourceId, Trade, TradeId, Updates};
use tickwire::models::num::{Price, Size};
use tickwire::models::symbol::{SymbolId, SymbolSpec};
use tickwire::models::time::Nanos;
use tickwire::stores::log::sqlite::SqliteLog;
use tickwire::stores::log::{CommitLog, LogGroup, LogReader};
use tickwire::stores::sqlite::SqliteSettings;

fn with_short_past(dir: &Path) -> Command {
    let mut run = command(&run_args(dir, &["--symbols", "AAPL,MSFT", "--rate", "2000"]));
    run.env("TICKWIRE__PROVIDER__WARM_UP", "10min")
        .env("TICKWIRE__PROVIDER__SIMULATED__WARM_UP_TRADES_MAX", "2000");
    run
}

fn started(dir: &Path) -> Program {
    let program = Program::start(with_short_past(dir));
    program.line_with(" ready");
    program
}

fn files_of(program: &Program) -> (String, String) {
    let health = program.get("REST", "/health").unwrap().json();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    (text(&health["components"]["files"]), text(&health["details"]["messages"]["files"]))
}

#[test]
fn after_a_stop_each_file_can_be_copied_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let program = started(dir.path());
    wait_for("live entries", || (program.metric("tickwire_log_position ") > 3_000).then_some(()));
    program.stop();
    let names: Vec<String> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(!names.iter().any(|name| name.contains("-wal")), "{names:?}");
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(dir.path().join("log.db"), copy.path().join("log.db")).unwrap();
    let entries = log_entries(copy.path());
    assert!(entries.len() > 3_000);
    assert_eq!(entries, log_entries(dir.path()));
}

#[test]
fn a_log_is_copied_while_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let program = started(dir.path());
    wait_for("live entries", || (program.metric("tickwire_log_position ") > 3_000).then_some(()));
    let known = program.metric("tickwire_log_position ");
    let copy = tempfile::tempdir().unwrap();
    let file = copy.path().join("log.db");
    execute(dir.path(), "log.db", &format!("VACUUM INTO '{}'", file.display()));
    program.stop();
    let (copied, entries) = (log_entries(copy.path()), log_entries(dir.path()));
    assert!(copied.last().unwrap().pos >= known, "it holds what was committed when it was made");
    assert_eq!(copied, entries[..copied.len()]);
}

#[test]
fn a_deleted_lock_is_seen_and_lets_nobody_in() {
    let dir = tempfile::tempdir().unwrap();
    let program = started(dir.path());
    wait_for("healthy files", || (files_of(&program).0 == "healthy").then_some(()));
    std::fs::remove_file(dir.path().join("lock")).unwrap();
    let second = Program::start(with_short_past(dir.path())).wait();
    assert_eq!(second.status.code(), Some(1), "{}", second.stderr);
    assert!(second.stderr.contains("another process uses the data directory"), "{}", second.stderr);
    // The second has made the file anew; it is not the one that the first holds.
    let (_, detail) =
        wait_for("unhealthy files", || Some(files_of(&program)).filter(|files| files.0 == "unhealthy"));
    assert!(detail.contains("`lock` was "), "{detail}");
    assert_eq!(program.get("REST", "/health/ready").unwrap().status, 503);
    program.line_with("files of the data directory are missing, replaced or damaged");
    program.stop();
}

#[test]
fn a_log_deleted_under_the_process_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let program = started(dir.path());
    wait_for("healthy files", || (files_of(&program).0 == "healthy").then_some(()));
    std::fs::remove_file(dir.path().join("log.db")).unwrap();
    let (_, detail) =
        wait_for("unhealthy files", || Some(files_of(&program)).filter(|files| files.0 == "unhealthy"));
    assert!(detail.contains("`log.db` was deleted"), "{detail}");
    program.line_with("`log.db` was deleted under the running process");
}

/// A group of trades as a live venue sends them.
fn trades(first: Position, len: u64) -> LogGroup {
    let entry = |pos: Position| {
        let ts = Nanos(1_780_000_000_000_000_000 + pos.cast_signed() * 100_000);
        let trade = Trade {
            ts,
            received: ts.plus(1_000_000),
            price: Price(150_000_000_000 + pos.cast_signed() % 1_000 * 10_000_000),
            size: Size(100_000_000),
            seq: 0,
            id: TradeId::number(pos),
            source: SourceId(0),
            updates: Updates::ALL,
        };
        Entry { pos, symbol: SymbolId((pos % 50) as u32), body: Body::Trade(trade) }
    };
    LogGroup { entries: (first..first + len).map(entry).collect(), progress: None }
}

#[test]
fn a_small_log_stays_small_on_disk() {
    const LIMIT: u64 = 4_000_000;
    const GROUP: u64 = 1_000;
    let dir = tempfile::tempdir().unwrap();
    let bytes = || {
        let size = |name: &str| std::fs::metadata(dir.path().join(name)).map_or(0, |file| file.len());
        size("log.db") + size("log.db-wal")
    };
    let (mut largest, mut dropped, mut last) = (0, 0, 0);
    block_on(async {
        let (symbols, sources) = (Arc::<tickwire::names::SymbolTable>::default(), Arc::default());
        for at in 0..50 {
            symbols.intern(SymbolSpec::named(&format!("S{at}")));
        }
        tickwire::names::SourceTable::intern(&sources, "simulated");
        let settings = SqliteSettings { retention_ticks_bytes: LIMIT, ..SqliteSettings::default() };
        let log = SqliteLog::open(dir.path(), symbols, sources, settings).await.unwrap();
        for _ in 0..400 {
            log.append(&trades(last + 1, GROUP)).await.unwrap();
            last += GROUP;
            dropped += log.retain(SystemClock.now(), last).await.unwrap();
            largest = largest.max(bytes());
        }
        assert_eq!(log.read(0, usize::MAX).await.unwrap().len() as u64 + dropped, last);
    });
    println!("{largest} bytes at most, {dropped} of {last} entries dropped");
    assert!(dropped > last / 2, "far more was written than the limit allows");
    assert!(largest < LIMIT * 2, "{largest} bytes for a limit of {LIMIT}");
}
