//! `tickwire export` as people use it: what comes out, what a replay makes of it, interruptions, a process beside it.

mod readers;

use crate::support::process::{Ended, Program, command, replay, wait_for};
use crate::support::rows::{assert_same_rows, history_rows, log_entries, rows_by_log};
use crate::support::scenario::bad_day;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tickwire::actors::ingest::simulated::symbol_names;
use tickwire::models::entry::Body;
use tickwire::models::settings::CoreSettings;
use tickwire::models::symbol::SymbolSpec;
use tickwire::models::time::{MINUTE, Nanos, SECOND};
use tickwire::wire::payload;

/// The day of [`bad_day`] begins at 14:00:17; so much later it has midnight in its middle.
const TO_MIDNIGHT: i64 = (9 * 60 + 50) * MINUTE;

/// What arrived on a bad day, as lines of JSON: trades with every fault, cancels and corrections, over midnight.
fn bad_night(path: &Path, seed: u64) {
    let names = symbol_names(8);
    let mut text = String::new();
    for entry in bad_day(8, 10.0, 12_000, seed) {
        let mut body = entry.body;
        match &mut body {
            Body::Trade(trade) => trade.ts = trade.ts.plus(TO_MIDNIGHT),
            Body::Cancel(cancel) => cancel.ts = cancel.ts.plus(TO_MIDNIGHT),
            Body::Correction(correction) => correction.trade.ts = correction.trade.ts.plus(TO_MIDNIGHT),
            _ => continue,
        }
        let spec = SymbolSpec::named(&names[entry.symbol.index()]);
        text += &payload(&body, Some(&spec), ["alpha", "beta"][entry.symbol.index() % 2]);
        text.push('\n');
    }
    // The kinds that no simulated venue has, and names that need care.
    let second = (1_793_664_600 * SECOND).to_string();
    text += &format!(
        "{{\"symbol\":\"X:BTC/USD\",\"ts_ns\":\"{second}\",\"tick_type\":\"quote\",\"bid\":1.5,\"ask\":2.5,\"bid_size\":3}}\n\
         {{\"symbol\":\"IBM\",\"ts_ns\":\"{second}\",\"tick_type\":\"bar\",\"window\":\"1min\",\"open\":1,\"high\":3,\"low\":1,\
         \"close\":2.000000001,\"volume\":9,\"trade_count\":4}}\n"
    );
    fs::write(path, text).unwrap();
}

/// A data directory of a bad night, and what the replay into it said.
struct Night {
    dir: tempfile::TempDir,
    summary: Value,
}

impl Night {
    fn new(seed: u64) -> Night {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("night.jsonl");
        bad_night(&file, seed);
        let data = dir.path().join("data");
        let summary = replay(&[text(&file), "--data-dir", text(&data)]).summary();
        Night { dir, summary }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn export(&self, out: &Path, args: &[&str]) -> Value {
        export(&self.path("data"), text(out), args)
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn export_args<'a>(data: &'a Path, out: &'a str, args: &[&'a str]) -> Vec<&'a str> {
    [&["export", "--data-dir", text(data), "--out", out, "--json"], args].concat()
}

/// Exports, and returns the line of JSON.
fn export(data: &Path, out: &str, args: &[&str]) -> Value {
    summary(&Program::start(command(&export_args(data, out, args))).wait())
}

fn summary(ended: &Ended) -> Value {
    assert!(ended.status.success(), "{}: {}", ended.status, ended.stderr);
    serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap()
}

/// Returns the data files of an export, by name, from its root.
fn files(out: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders: Vec<PathBuf> = ["ticks", "control", "bars"].map(|name| out.join(name)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(out).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn a_replay_of_an_export_is_a_replay_of_the_log_it_was_made_from() {
    let night = Night::new(7);
    let out = night.path("out");
    let said = night.export(&out, &[]);
    let names: Vec<String> = files(&out).into_keys().collect();
    assert_eq!(said["files"], names.len());
    let entries = log_entries(&night.path("data"));
    let num_ticks = entries.iter().filter(|entry| !entry.body.is_broadcast()).count();
    assert_eq!(said["ticks"], num_ticks);
    assert_eq!(said["control"], entries.len() - num_ticks, "clock marks");
    for part in
        ["ticks/date=2026-11-02/symbol=AAPL/", "bars/date=2026-11-03/symbol=AAPL/", "symbol=X%3ABTC-USD/"]
    {
        assert!(names.iter().any(|name| name.contains(part)), "{part} in {names:?}");
    }

    let again = night.path("again");
    let summary = replay(&[text(&out), "--data-dir", text(&again)]).summary();
    assert_eq!(summary["digest"], night.summary["digest"]);
    assert_eq!(summary["bars"], night.summary["bars"]);
    for outcome in ["in_bars", "late", "duplicate", "cancelled", "residue"] {
        assert_eq!(summary["ledger"][outcome], night.summary["ledger"][outcome], "{outcome}");
    }
    assert!(
        summary["ledger"]["late"].as_u64() > Some(0) && summary["ledger"]["cancelled"].as_u64() > Some(0)
    );
    assert!(log_entries(&again) == entries, "the logs differ");
    let bars = |data: &Path| -> Vec<String> {
        history_rows(data).into_iter().filter(|row| !row.contains("dead_letters")).collect()
    };
    assert_same_rows(&bars(&night.path("data")), &bars(&again), "of the export's replay");

    // Some of it alone: the files of one symbol, whose clock marks are then those of a file.
    let folder = out.join("ticks/date=2026-11-02/symbol=AAPL");
    assert!(replay(&[text(&folder)]).summary()["ticks"].as_u64() > Some(500));
    assert_eq!(replay(&[text(&out), "--symbols", "AAPL"]).summary()["ledger"]["residue"], 0);
}

#[test]
fn only_the_range_and_the_symbols_asked_for_are_exported_and_ranges_do_not_overlap() {
    let night = Night::new(8);
    let (all, parts) = (night.path("all"), night.path("parts"));
    let midnight = "2026-11-03";
    let whole = night.export(&all, &["--symbols", "AAPL,msft"]);
    let before = night.export(&parts, &["--symbols", "AAPL,MSFT", "--to", midnight]);
    let after = night.export(&parts, &["--symbols", "AAPL,MSFT", "--from", midnight]);
    for count in ["ticks", "bars"] {
        let sum = before[count].as_u64().unwrap() + after[count].as_u64().unwrap();
        assert!(
            before[count].as_u64() > Some(0) && after[count].as_u64() > Some(0),
            "{count}: {before} {after}"
        );
        assert_eq!(Some(sum), whole[count].as_u64(), "{count}");
    }
    let names = |out: &Path| -> Vec<String> {
        files(out).into_keys().filter(|name| !name.starts_with("control")).collect()
    };
    assert_eq!(names(&all), names(&parts), "a day's files are the same however the range was cut");
    assert!(names(&all).iter().all(|name| name.contains("AAPL") || name.contains("MSFT")));
    let said = night.export(&all, &["--symbols", "AAPL,MSFT"]);
    assert_eq!((&said["files"], &said["bytes"]), (&whole["files"], &whole["bytes"]), "done before");

    let refused = |args: &[&str], word: &str| {
        let ended = Program::start(command(&export_args(&night.path("data"), text(&parts), args))).wait();
        assert_eq!(ended.status.code(), Some(2), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(word), "{args:?}: {}", ended.stderr);
    };
    refused(&[], "rows would be there twice");
    refused(&["--symbols", "AAPL", "--from", "2026-11-02"], "rows would be there twice");
    refused(&["--symbols", "NONE"], "`NONE` is unknown");
    refused(&["--from", "2026-11-03", "--to", "2026-11-02"], "is not before");
    refused(&["--from", "noon"], "neither a date nor a time");
}

#[test]
fn what_cannot_be_exported_to_or_from_is_named() {
    let night = Night::new(9);
    let data = night.path("data");
    let ended = Program::start(command(&export_args(&night.path("none"), "out", &[]))).wait();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("holds nothing to export"), "{}", ended.stderr);
    assert!(!night.path("none").exists(), "nothing was made");
    let refused = |data: &Path, out: &str, environment: &[(&str, &str)], word: &str| {
        let mut command = command(&export_args(data, out, &[]));
        command.envs(environment.iter().copied());
        let ended = Program::start(command).wait();
        assert_eq!(ended.status.code(), Some(2), "{out}: {}", ended.stderr);
        assert!(ended.stderr.contains(word) && !ended.stderr.contains("secret"), "{out}: {}", ended.stderr);
    };
    let keys = [("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    let plain = [keys[0], keys[1], ("AWS_ENDPOINT_URL", "http://127.0.0.1:1")];
    refused(&data, "ftp://host/out", &[], "neither a folder nor `s3://BUCKET/PREFIX`");
    refused(&data, "s3://bucket/out", &[], "there are no credentials");
    refused(&data, "s3:///out", &keys, "it names no bucket");
    refused(&data, "s3://bucket/out", &plain, "AWS_ALLOW_HTTP=true");

    let other = Night::new(10);
    let out = night.path("out");
    night.export(&out, &["--symbols", "AAPL"]);
    refused(&other.path("data"), text(&out), &[], "another data directory");
}

/// Replays a trade of each of 16 symbols every six hours of 30 days into a directory.
fn month(dir: &Path) -> PathBuf {
    let mut rows = "ts_ns,symbol,price,size,trade_id\n".to_owned();
    for at in 0..30 * 4_i64 {
        let ts = Nanos(1_793_577_600 * SECOND).plus(at * 6 * 60 * MINUTE);
        for symbol in 0..16 {
            rows += &format!("{},S{symbol},{}.25,{},{at}\n", ts.plus(symbol).0, at + 1, symbol + 1);
        }
    }
    let (file, data) = (dir.join("month.csv"), dir.join("data"));
    fs::write(&file, rows).unwrap();
    replay(&[text(&file), "--data-dir", text(&data)]).summary();
    data
}

#[test]
fn an_export_that_was_killed_goes_on_and_ends_in_the_same_files() {
    let dir = tempfile::tempdir().unwrap();
    let data = month(dir.path());
    let (calm, out) = (dir.path().join("calm"), dir.path().join("out"));
    let expected = export(&data, text(&calm), &[]);
    assert!(expected["files"].as_u64() > Some(900), "{expected}");

    for dataset in ["ticks", "bars"] {
        let mut program = Program::start(command(&export_args(&data, text(&out), &[])));
        let num_days = || fs::read_dir(out.join(dataset)).map_or(0, Iterator::count);
        wait_for("some days", || (num_days() > 3 || program.has_ended()).then_some(()));
        assert!(!program.kill().status.success(), "it ended before it was killed");
        let refused = replay(&[text(&out)]);
        assert_eq!(refused.status.code(), Some(1), "{}", refused.stderr);
        assert!(refused.stderr.contains("was interrupted"), "{}", refused.stderr);
    }
    let first = out.join("ticks/date=2026-11-02/symbol=S7");
    let inodes = || -> Vec<u64> {
        fs::read_dir(&first).unwrap().map(|entry| entry.unwrap().metadata().unwrap().ino()).collect()
    };
    let before = inodes();
    let said = export(&data, text(&out), &[]);
    assert_eq!(inodes(), before, "what was done is not done again");
    for count in ["ticks", "control", "bars", "files", "bytes", "through"] {
        assert_eq!(said[count], expected[count], "{count}");
    }
    let (calm, out) = (files(&calm), files(&out));
    assert_eq!(calm.keys().collect::<Vec<_>>(), out.keys().collect::<Vec<_>>());
    assert!(calm == out, "the content of files differs");
}

#[test]
fn a_directory_is_exported_beside_the_process_that_fills_it() {
    let dir = tempfile::tempdir().unwrap();
    let program = Program::serve(dir.path(), &["--rate", "2000"], &[("TICKWIRE__PROVIDER__WARM_UP", "1h")]);
    let data = dir.path().join("data");
    wait_for("ticks in the log", || (program.metric("tickwire_log_position ") > 3_000).then_some(()));
    wait_for("bars of its past", || {
        let bars = program.get("REST", "/api/v1/aggregated/AAPL?limit=100")?;
        (bars.body.matches("window_start").count() >= 50).then_some(())
    });
    let out = dir.path().join("out");
    let said = export(&data, text(&out), &[]);
    assert!(said["ticks"].as_u64() > Some(1_000) && said["bars"].as_u64() > Some(50), "{said}");
    let health = program.get("REST", "/health").unwrap().json();
    assert_eq!(health["components"]["log"], "healthy", "{health}");
    program.stop();
    let entries = log_entries(&data);
    let exported = entries.iter().filter(|entry| Some(entry.pos) <= said["through"].as_u64());
    assert_eq!(exported.count() as u64, said["ticks"].as_u64().unwrap() + said["control"].as_u64().unwrap());
    assert_eq!(replay(&[text(&out)]).summary()["ledger"]["residue"], 0);

    // All of it, with what a live log holds beside ticks: bars of its past, gaps, the marks of its source.
    let (whole, again) = (dir.path().join("whole"), dir.path().join("again"));
    let said = export(&data, text(&whole), &[]);
    assert_eq!(said["through"].as_u64(), entries.last().map(|entry| entry.pos));
    replay(&[text(&whole), "--data-dir", text(&again)]).summary();
    let rows = |dir: &Path| rows_by_log(dir, CoreSettings::default(), false);
    let ((expected, ledger), (found, replayed)) = (rows(&data), rows(&again));
    assert_same_rows(&expected, &found, "by the log of the export's replay");
    assert_eq!(ledger, replayed);
}

#[test]
fn files_that_are_damaged_or_no_ticks_are_refused_by_name() {
    let night = Night::new(11);
    let out = night.path("out");
    night.export(&out, &[]);
    let refused = |path: &Path, word: &str| {
        let ended = replay(&[text(path)]);
        assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
        assert!(ended.stderr.contains(text(path)), "{}", ended.stderr);
    };
    let all = files(&out);
    let find = |part: &str| out.join(all.keys().find(|name| name.contains(part)).unwrap());
    refused(&find("bars/"), "it holds bars");
    refused(&night.path("data"), "holds no ticks of an export");
    let ticks = find("ticks/date=2026-11-02/symbol=AAPL");
    let bytes = fs::read(&ticks).unwrap();
    let cut = night.path("cut.parquet");
    fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    refused(&cut, "cannot be replayed");
    let mut flipped = bytes.clone();
    for byte in &mut flipped[100..bytes.len() / 3] {
        *byte ^= 0x5A;
    }
    let damaged = night.path("damaged.parquet");
    fs::write(&damaged, &flipped).unwrap();
    refused(&damaged, "cannot read");
}
