//! A data directory belongs to what it was begun with, is shown without being changed, and is not emptied by a clock.

use crate::support::process::{Program, command, replay, run_args, wait_for};
use crate::support::rows::{assert_same_rows, block_on, history_rows, log_entries};
use crate::support::scenario::{bad_day, write_csv};
use std::path::Path;
use std::sync::Arc;
use tickwire::clock::{Clock, SystemClock};
use tickwire::models::bar::{Bar, BarOrigin, BarState};
use tickwire::models::effect::Effect;
use tickwire::models::entry::{Body, Entry, Trade, TradeId, Updates};
use tickwire::models::num::{Price, Size};
use tickwire::models::symbol::SymbolSpec;
use tickwire::models::time::{DAY, MINUTE, Width};
use tickwire::names::{SourceTable, SymbolTable};
use tickwire::stores::history::sqlite::SqliteHistory;
use tickwire::stores::history::{History, HistoryBatch};
use tickwire::stores::log::sqlite::SqliteLog;
use tickwire::stores::log::{CommitLog, LogGroup};
use tickwire::stores::sqlite::SqliteSettings;

fn replayed(dir: &Path) -> String {
    let (file, data) = (dir.join("day.csv"), dir.join("data"));
    write_csv(&file, &bad_day(4, 10.0, 3_000, 5));
    let data = data.to_str().unwrap().to_owned();
    replay(&[file.to_str().unwrap(), "--data-dir", &data]).summary();
    data
}

#[test]
fn a_run_and_a_replay_do_not_mix() {
    let dir = tempfile::tempdir().unwrap();
    let data = replayed(dir.path());
    let rows = history_rows(data.as_ref());
    let ended = Program::start(command(&run_args(data.as_ref(), &[]))).wait();
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains(&data) && ended.stderr.contains("day.csv"), "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("tickwire serve --data-dir {data}")), "{}", ended.stderr);
    assert_same_rows(&rows, &history_rows(data.as_ref()), "after a run that was refused");

    let live = dir.path().join("live");
    let program = Program::start(command(&run_args(&live, &["--symbols", "AAPL"])));
    program.line_with("SIMULATED");
    program.line_with(" ready");
    program.stop();
    let file = dir.path().join("day.csv");
    let ended = replay(&[file.to_str().unwrap(), "--data-dir", live.to_str().unwrap()]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("what the provider `simulated` made up"), "{}", ended.stderr);
}

#[test]
fn a_replayed_directory_is_shown_and_not_changed() {
    let dir = tempfile::tempdir().unwrap();
    let data = replayed(dir.path());
    let (rows, entries) = (history_rows(data.as_ref()), log_entries(data.as_ref()));
    let mut show = command(&["serve", "--data-dir", &data]);
    // The directory's own settings hold.
    show.env("TICKWIRE__CORE__HORIZON", "1min");
    let program = Program::start(show);
    program.line_with("REPLAY");
    program.line_with(" ready");
    let get = |path: &str| program.get("REST", path).unwrap();
    for path in ["/", "/health"] {
        let service = get(path).json();
        assert_eq!((&service["data"], &service["provider"]), (&"replay".into(), &"file".into()), "{service}");
    }
    assert_eq!(get("/health/ready").status, 200);
    let symbols = get("/api/v1/symbols").json();
    let name = symbols["symbols"][0].as_str().unwrap().to_owned();
    assert_eq!(symbols["details"][&name]["data"], "replay");
    // Defaults and relative times count from the end of the recording.
    for path in [
        format!("/api/v1/ticks/{name}"),
        format!("/api/v1/aggregated/{name}?start_time=-1h&limit=1000"),
        format!("/api/v1/indicators/{name}?start_time=-1h"),
    ] {
        let answer = get(&path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    }
    let bars = get(&format!("/api/v1/aggregated/{name}?include_forming=true&limit=1000")).json();
    let states: Vec<&str> =
        bars.as_array().unwrap().iter().map(|bar| bar["state"].as_str().unwrap()).collect();
    assert!(!states.is_empty() && !states.contains(&"forming"), "the end of a replay closes all: {states:?}");
    let second = Program::start(command(&["serve", "--data-dir", &data])).wait();
    assert_eq!(second.status.code(), Some(1), "a directory is for one process");
    program.stop();
    assert_same_rows(&rows, &history_rows(data.as_ref()), "after it was shown");
    assert!(entries == log_entries(data.as_ref()), "the log was changed");

    let nothing = Program::start(command(&["serve", "--data-dir", dir.path().to_str().unwrap()])).wait();
    assert_eq!(nothing.status.code(), Some(1));
    assert!(nothing.stderr.contains("holds nothing to serve"), "{}", nothing.stderr);
}

#[test]
fn a_directory_keeps_the_windows_that_it_was_begun_with() {
    let dir = tempfile::tempdir().unwrap();
    let windows = |args: &[&str], set: Option<&str>| {
        let mut run = command(args);
        run.envs(set.map(|windows| ("TICKWIRE__CORE__WINDOWS", windows)));
        let program = Program::start(run);
        program.line_with(" ready");
        let found = program.get("REST", "/api/v1/symbols").unwrap().json()["windows"].to_string();
        wait_for("a past", || {
            program.get("REST", "/api/v1/aggregated/AAPL?limit=1").filter(|got| got.status == 200)
        });
        program.stop();
        found
    };
    let all = r#"["1min","5min","15min","1h","1d"]"#;
    let new = dir.path().join("new");
    assert_eq!(windows(&run_args(&new, &["--symbols", "AAPL"]), None), all);

    // As every directory of before there were so many.
    let old = dir.path().join("old");
    let run = run_args(&old, &["--symbols", "AAPL"]);
    let three = r#"["1min","5min","15min"]"#;
    assert_eq!(windows(&run, Some("1min,5min,15min")), three);
    let closed = || history_rows(&old).len();
    let before = closed();
    assert!(before > 0, "it has a past");
    assert_eq!(windows(&run, None), three);
    assert_eq!(windows(&["serve", "--data-dir", old.to_str().unwrap()], None), three);
    assert!(closed() >= before, "nothing is lost");
    let check = Program::start(command(&["check", "--data-dir", old.to_str().unwrap()])).wait();
    assert_eq!(check.status.code(), Some(0), "{}", check.stdout);
    let mut of_hours = command(&run);
    of_hours.env("TICKWIRE__DETECTION__WINDOW", "1h");
    let refused = Program::start(of_hours).wait();
    assert_eq!(refused.status.code(), Some(1), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("has windows of 1min,5min,15min")
            && refused.stderr.contains("detection.window")
    );
    assert_eq!(windows(&run, Some("1min,1h")), r#"["1min","1h"]"#, "others when somebody wants them");
    assert_eq!(windows(&run, None), r#"["1min","1h"]"#, "which then are its own");

    // A replay into a directory that has one takes its windows too.
    let (file, data) = (dir.path().join("day.csv"), dir.path().join("replay"));
    write_csv(&file, &bad_day(2, 10.0, 3_000, 5));
    let replayed = |set: Option<&str>| {
        let args = ["replay", "--json", file.to_str().unwrap(), "--data-dir", data.to_str().unwrap()];
        let mut replay = command(&args);
        replay.envs(set.map(|windows| ("TICKWIRE__CORE__WINDOWS", windows)));
        Program::start(replay).wait().summary()["bars"].to_string()
    };
    let bars = replayed(Some("1min,5min"));
    assert!(bars.contains("5min") && !bars.contains("15min"), "{bars}");
    assert_eq!(replayed(None), bars);
}

#[test]
fn a_clock_far_ahead_deletes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let then = SystemClock.now().plus(-400 * DAY);
    let width = Width::new(MINUTE).unwrap();
    let newest = width.start_of(then);
    block_on(async {
        let (symbols, sources) = (Arc::new(SymbolTable::default()), Arc::new(SourceTable::default()));
        let symbol = symbols.intern(SymbolSpec::named("AAPL"));
        let source = sources.intern("simulated");
        let settings = SqliteSettings::default();
        let log =
            SqliteLog::open(dir.path(), symbols.clone(), sources.clone(), settings.clone()).await.unwrap();
        let trade = Trade {
            ts: newest,
            received: newest,
            price: Price(1_000_000_000),
            size: Size(100_000_000),
            seq: 0,
            id: TradeId::number(1),
            source,
            updates: Updates::ALL,
        };
        let entries = vec![Entry { pos: 1, symbol, body: Body::Trade(trade) }];
        log.append(&LogGroup { entries, progress: None }).await.unwrap();
        let history = SqliteHistory::open(dir.path(), symbols, sources, settings, log.epoch()).await.unwrap();
        let bar = |nth: i64| {
            Effect::Bar(Bar {
                symbol,
                width,
                start: newest.plus(-nth * MINUTE),
                open: Price(1),
                high: Price(1),
                low: Price(1),
                close: Price(1),
                volume: 1,
                vwap: Some(1),
                trade_count: 1,
                state: BarState::Closed,
                origin: BarOrigin::Trades,
                revision: 1,
                coverage: 1.0,
                late: 0,
                duplicates: 0,
                cancelled: 0,
                seq: 1,
                log_pos: 1,
            })
        };
        let effects = vec![Arc::new((1..=500).map(bar).collect())];
        history.write(&HistoryBatch { effects, acknowledged: 1, ..HistoryBatch::default() }).await.unwrap();
    });
    let bars = || history_rows(dir.path()).iter().filter(|row| row.contains("closed")).count();
    let before = bars();
    assert!(before >= 500, "{before}");
    for _ in 0..2 {
        let program = Program::start(command(&run_args(dir.path(), &["--symbols", "AAPL"])));
        program.line_with("the system's clock jumped ahead");
        let health = wait_for("word of the clock", || {
            let health = program.get("REST", "/health")?.json();
            (health["components"]["clock"] == "degraded").then_some(health)
        });
        let text = health["details"]["messages"]["clock"].as_str().unwrap();
        assert!(text.contains("400 days ahead") || text.contains("399 days ahead"), "{text}");
        program.stop();
        assert!(bars() >= before, "{} bars are left", bars());
    }
}
