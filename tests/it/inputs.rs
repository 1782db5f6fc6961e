//! Several inputs in one data directory: each is read once and in its order, or refused with what works.

use crate::support::process::{Program, replay, replay_command};
use crate::support::rows::{assert_same_rows, history_rows, log_entries};
use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::process::Signal;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

const SECOND: i64 = 1_000_000_000;
/// 2026-11-02, a Monday.
const MONDAY: i64 = 1_793_577_600 * SECOND;
const DAY: i64 = 86_400 * SECOND;

/// Files of two symbols, each an hour of trades long, and a place for data.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Files {
        Files(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file of trades without ids, one a second.
    fn hour(&self, name: &str, first: i64) -> String {
        let mut text = "ts_ns,symbol,price,size,trade_id\n".to_owned();
        for row in 0..3_600_i64 {
            let (symbol, price) = (if row % 3 == 0 { "AAPL" } else { "MSFT" }, 100 + (row * 7) % 13);
            writeln!(text, "{},{symbol},{price},{},", first + row * SECOND, 1 + row % 5).unwrap();
        }
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }
}

fn ledger(summary: &Value) -> [u64; 4] {
    ["received", "in_bars", "late", "duplicate"].map(|field| summary["ledger"][field].as_u64().unwrap())
}

/// Replays and expects a refusal that changes nothing.
fn refused(args: &[&str], data: &str) -> String {
    let data_path = PathBuf::from(data);
    let before =
        data_path.join("log.db").exists().then(|| (history_rows(&data_path), log_entries(&data_path)));
    let ended = replay(&[args, &["--data-dir", data]].concat());
    assert_eq!(ended.status.code(), Some(1), "{args:?}: {} {}", ended.stdout, ended.stderr);
    if let Some((rows, entries)) = before {
        assert_same_rows(&rows, &history_rows(&data_path), "after a refusal");
        assert!(entries == log_entries(&data_path), "a refusal added to the log");
    }
    ended.stderr
}

#[test]
fn days_go_in_by_their_order_and_the_other_way_round_is_refused() {
    let files = Files::new();
    let (monday, tuesday) = (files.hour("monday.csv", MONDAY), files.hour("tuesday.csv", MONDAY + DAY));
    let (right, wrong, both) = (files.path("right"), files.path("wrong"), files.path("both"));
    replay(&[&monday, "--data-dir", &right]).summary();
    let summary = replay(&[&tuesday, "--data-dir", &right]).summary();
    assert_eq!(ledger(&summary), [7_200, 7_200, 0, 0], "{summary}");
    // Whatever the order on the command line.
    let merged = replay(&[&tuesday, &monday, "--data-dir", &both]).summary();
    assert_eq!(ledger(&merged), [7_200, 7_200, 0, 0], "{merged}");
    assert_eq!(merged["digest"], replay(&[&monday, &tuesday]).summary()["digest"]);
    assert_eq!(
        replay(&[&monday, &tuesday, "--data-dir", &both]).summary(),
        merged,
        "the order is no other input"
    );

    replay(&[&tuesday, "--data-dir", &wrong]).summary();
    let message = refused(&[&monday], &wrong);
    assert!(
        message.contains("3600 of the 3600 trades") && message.contains("in the order of their times"),
        "{message}"
    );
    // What is refused can be had otherwise.
    let again = replay(&[&tuesday, "--data-dir", &wrong]).summary();
    assert_eq!(ledger(&again), [3_600, 3_600, 0, 0]);
}

#[test]
fn a_file_is_known_by_its_content() {
    let files = Files::new();
    let (monday, tuesday) = (files.hour("monday.csv", MONDAY), files.hour("tuesday.csv", MONDAY + DAY));
    let data = files.path("data");
    let first = replay(&[&monday, "--data-dir", &data]).summary();
    let copy = files.path("copy.csv");
    std::fs::copy(&monday, &copy).unwrap();
    let ended = replay(&[&copy, "--data-dir", &data]);
    assert!(ended.stderr.contains("holds this file already"), "{}", ended.stderr);
    assert_eq!(ended.summary(), first);
    // Of what is there and what is not, the rest is read.
    let ended = replay(&[&tuesday, &copy, "--data-dir", &data]);
    assert!(ended.stderr.contains("holds this file already"), "{}", ended.stderr);
    assert_eq!(ledger(&ended.summary()), [7_200, 7_200, 0, 0]);
    // Twice in one command is once.
    let twice = replay(&[&monday, &copy, "--data-dir", &files.path("twice")]);
    assert!(twice.stderr.contains("it is read once"), "{}", twice.stderr);
    assert_eq!(twice.summary(), first);
}

#[test]
fn a_packed_copy_counts_nothing_twice() {
    let files = Files::new();
    let data = files.path("data");
    // All of it is within the horizon, so that nothing is late.
    let whole = std::fs::read_to_string(files.hour("hour.csv", MONDAY)).unwrap();
    let text: String = whole.lines().take(200).flat_map(|line| [line, "\n"]).collect();
    std::fs::write(files.path("plain.csv"), &text).unwrap();
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(text.as_bytes()).unwrap();
    std::fs::write(files.path("packed.csv.gz"), packed.finish().unwrap()).unwrap();
    let first = replay(&[&files.path("plain.csv"), "--data-dir", &data]).summary();
    assert_eq!(ledger(&first), [199, 199, 0, 0]);
    let second = replay(&[&files.path("packed.csv.gz"), "--data-dir", &data]).summary();
    assert_eq!(ledger(&second), [398, 199, 0, 199], "{second}");
    assert_eq!(second["digest"], first["digest"]);
}

#[test]
fn an_interrupted_replay_is_finished_before_another_begins() {
    let files = Files::new();
    let (monday, tuesday) = (files.hour("monday.csv", MONDAY), files.hour("tuesday.csv", MONDAY + DAY));
    let (data, calm) = (files.path("data"), files.path("calm"));
    replay(&[&monday, "--data-dir", &calm]).summary();
    let expected = replay(&[&tuesday, "--data-dir", &calm]).summary();
    let mut program = Program::start(replay_command(&[&monday, "--data-dir", &data, "--speed", "300"]));
    assert!(program.commits(data.as_ref(), 20));
    program.signal(Signal::TERM);
    assert_eq!(program.wait().status.code(), Some(1));
    let message = refused(&[&tuesday], &data);
    assert!(message.contains(&format!("tickwire replay {monday} --data-dir {data}")), "{message}");
    assert_eq!(ledger(&replay(&[&monday, "--data-dir", &data]).summary()), [3_600, 3_600, 0, 0]);
    assert_eq!(replay(&[&tuesday, "--data-dir", &data]).summary(), expected);
    assert_same_rows(&history_rows(calm.as_ref()), &history_rows(data.as_ref()), "after an interruption");
}

#[test]
fn other_settings_are_refused_and_what_cannot_be_read_blocks_nothing() {
    let files = Files::new();
    let (monday, tuesday) = (files.hour("monday.csv", MONDAY), files.hour("tuesday.csv", MONDAY + DAY));
    let data = files.path("data");
    std::fs::write(files.path("none.csv"), "no,header\n1,2\n").unwrap();
    refused(&[&files.path("none.csv")], &data);
    replay(&[&monday, "--data-dir", &data]).summary();
    let message = refused(&[&monday, "--horizon", "1min"], &data);
    assert!(message.contains("`core.horizon` = \"5min\", not \"1min\""), "{message}");
    assert_eq!(ledger(&replay(&[&tuesday, "--data-dir", &data]).summary()), [7_200, 7_200, 0, 0]);
}

#[test]
fn a_filter_that_matches_nothing_fails() {
    let files = Files::new();
    let monday = files.hour("monday.csv", MONDAY);
    let (data, bars) = (files.path("data"), files.path("bars.csv"));
    for place in [&[][..], &["--data-dir", &data][..]] {
        // The second time the directory knows the file already.
        for _ in 0..2 {
            let args = [&[monday.as_str(), "--symbols", "NOPE", "--bars", &bars][..], place].concat();
            let ended = replay(&args);
            assert_eq!(ended.status.code(), Some(1), "{}", ended.stdout);
            assert!(ended.stderr.contains("`--symbols NOPE`"), "{}", ended.stderr);
            assert!(ended.stderr.contains("AAPL, MSFT"), "{}", ended.stderr);
            assert!(!PathBuf::from(&bars).exists());
        }
    }
    let some = replay(&[&monday, "--symbols", "AAPL,NOPE"]);
    assert!(some.stderr.contains("NOPE"), "{}", some.stderr);
    assert_eq!(ledger(&some.summary()), [1_200, 1_200, 0, 0]);
    assert_eq!(ledger(&replay(&[&monday, "--data-dir", &data]).summary()), [3_600, 3_600, 0, 0]);
}

#[test]
fn an_output_never_overwrites_an_input() {
    let files = Files::new();
    let monday = files.hour("monday.csv", MONDAY);
    let before = std::fs::read(&monday).unwrap();
    let link = files.path("link.csv");
    std::os::unix::fs::symlink(&monday, &link).unwrap();
    for output in [&monday, &link] {
        for flag in ["--bars", "--indicators"] {
            let ended = replay(&[&monday, flag, output, "--force"]);
            assert_eq!(ended.status.code(), Some(1), "{}", ended.stdout);
            assert!(ended.stderr.contains("would overwrite the input"), "{}", ended.stderr);
        }
    }
    let out = files.path("out.csv");
    let ended = replay(&[&monday, "--bars", &out, "--indicators", &out]);
    assert!(
        ended.status.code() == Some(1) && ended.stderr.contains("name the same file"),
        "{}",
        ended.stderr
    );
    assert_eq!(std::fs::read(&monday).unwrap(), before);
}
