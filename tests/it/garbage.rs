//! Files of garbage: what they hold costs no more than it may, and does nothing to the terminal of who reads them.

use crate::support::process::{Ended, Program, replay, replay_command};
use crate::support::rows::history_rows;
use std::fmt::Write as _;
use std::path::Path;

/// Replays rows of CSV into a data directory of their own, with some variables set.
fn replay_rows(dir: &Path, rows: &str, environment: &[(&str, &str)]) -> Ended {
    let file = dir.join("rows.csv");
    std::fs::write(&file, format!("ts_ns,symbol,price,size,trade_id\n{rows}")).unwrap();
    let data = dir.join("data");
    let mut command = replay_command(&[file.to_str().unwrap(), "--data-dir", data.to_str().unwrap()]);
    command.envs(environment.iter().copied());
    Program::start(command).wait()
}

#[test]
fn symbols_beyond_the_limit_are_counted_dead_letters() {
    let dir = tempfile::tempdir().unwrap();
    let mut rows = String::new();
    for n in 0..500_i64 {
        let ts = 1_700_000_000_000_000_000 + n * 1_000_000;
        writeln!(rows, "{ts},S{},10,1,{n}", n % 50).unwrap();
    }
    let summary = replay_rows(dir.path(), &rows, &[("TICKWIRE__CORE__MAX_SYMBOLS", "20")]).summary();
    let ledger = &summary["ledger"];
    let outcomes =
        ["received", "in_bars", "rejected", "residue"].map(|outcome| ledger[outcome].as_i64().unwrap());
    assert_eq!(outcomes, [500, 200, 300, 0], "{summary}");
    let stored = history_rows(&dir.path().join("data"));
    assert_eq!(stored.iter().filter(|row| row.contains("too_many_symbols")).count(), 300);
}

#[test]
fn one_wrong_first_row_discards_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let day = 86_400_000_000_000;
    let mut rows = String::new();
    for n in 0..2_000_i64 {
        let wrong_by = if n == 0 || n == 900 { day } else { 0 };
        let ts = 1_700_000_000_000_000_000 + n * 1_000_000_000 + wrong_by;
        writeln!(rows, "{ts},AIG,10,1,{n}").unwrap();
    }
    let summary = replay_rows(dir.path(), &rows, &[]).summary();
    assert_eq!(summary["ledger"]["late"], 0, "{summary}");
    assert_eq!(summary["ledger"]["in_bars"], 2_000, "{summary}");
}

#[test]
fn what_a_file_holds_never_acts_on_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let is_plain = |ended: &Ended| {
        let shown = format!("{}{}", ended.stdout, ended.stderr);
        !shown.chars().any(|c| c != '\n' && c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c))
    };
    let hostile = "\u{1b}[2J\u{9b}31m\u{202e}\rX";
    let rows = format!("1700000000000000000,{hostile},10,1,1\n1700000000000000000,AIG,{hostile},1,2\n");
    let ended = replay_rows(dir.path(), &rows, &[]);
    assert!(ended.stderr.contains("row became no tick"), "{}", ended.stderr);
    assert!(ended.stderr.contains("\\u{1b}[2J"), "it is shown, escaped: {}", ended.stderr);
    assert!(is_plain(&ended), "{:?}", ended.stderr);
    let file = dir.path().join("head\u{1b}[2J\ner.csv");
    std::fs::write(&file, format!("a,{hostile}\n")).unwrap();
    for path in [file.clone(), file.with_extension("missing")] {
        let ended = replay(&[path.to_str().unwrap()]);
        assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
        assert!(is_plain(&ended), "{:?}", ended.stderr);
        assert!(ended.stderr.contains("head\\u{1b}[2J\\ner"), "{:?}", ended.stderr);
    }
}
