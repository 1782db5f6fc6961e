//! `tickwire replay` as people use it: outputs, data directories, interruptions, several processes.

use crate::support::process::{Ended, Program, command, replay, replay_command};
use crate::support::rows::{assert_same_rows, history_rows, log_entries};
use crate::support::scenario::{bad_day, write_csv};
use crate::support::shared;
use rustix::process::Signal;
use serde_json::Value;
use sqlx::{Connection, Row, SqliteConnection};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tickwire::models::time::Width;

/// A bad day in a file, and what a plain replay says of it.
struct Day {
    dir: tempfile::TempDir,
    file: PathBuf,
    num_damaged: usize,
}

impl Day {
    fn new(seed: u64, num_trades: usize) -> Day {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("day.csv");
        let num_damaged = write_csv(&file, &bad_day(8, 10.0, num_trades, seed));
        Day { dir, file, num_damaged }
    }

    fn file(&self) -> &str {
        self.file.to_str().unwrap()
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn plain(&self) -> Value {
        replay(&[self.file()]).summary()
    }
}

#[test]
fn a_finished_replay_adds_nothing_and_says_the_same() {
    let day = Day::new(61, 8_000);
    let data = day.path("data");
    let first = replay(&[day.file(), "--data-dir", &data]).summary();
    assert_eq!(first, day.plain(), "with and without a data directory");
    let (rows, entries) = (history_rows(data.as_ref()), log_entries(data.as_ref()));
    let letters: Vec<_> = rows.iter().filter(|row| row.contains("twelve")).collect();
    assert_eq!(letters.len(), day.num_damaged, "damaged rows are dead letters");
    assert_eq!(first["ledger"]["residue"], 0);
    assert!(first["ledger"]["rejected"].as_u64() >= Some(day.num_damaged as u64), "{first}");
    for _ in 0..2 {
        assert_eq!(replay(&[day.file(), "--data-dir", &data]).summary(), first);
    }
    assert_same_rows(&rows, &history_rows(data.as_ref()), "after more replays");
    assert!(entries == log_entries(data.as_ref()), "the log grew");
}

#[test]
fn an_interrupted_replay_goes_on() {
    let day = Day::new(71, 12_000);
    let (calm, data) = (day.path("calm"), day.path("data"));
    let expected = replay(&[day.file(), "--data-dir", &calm]).summary();
    for signal in [Signal::INT, Signal::TERM] {
        // A day has twenty minutes: at 50 times the speed it cannot end before it is interrupted.
        let half = replay_command(&[day.file(), "--data-dir", &data, "--speed", "50"]);
        let mut program = Program::start(half);
        assert!(program.commits(data.as_ref(), 20));
        program.signal(signal);
        let ended = program.wait();
        assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains("run the same command again to go on"), "{}", ended.stderr);
        let num_entries = log_entries(data.as_ref()).len();
        assert!(num_entries > 0 && num_entries < log_entries(calm.as_ref()).len(), "{num_entries}");
    }
    assert_eq!(replay(&[day.file(), "--data-dir", &data]).summary(), expected);
    assert_same_rows(&history_rows(calm.as_ref()), &history_rows(data.as_ref()), "after interruptions");
    assert!(log_entries(calm.as_ref()) == log_entries(data.as_ref()), "the logs differ");
}

#[test]
fn shards_batches_speed_and_standard_input_change_nothing() {
    let day = Day::new(81, 8_000);
    let expected = day.plain();
    for shards in ["1", "3", "4"] {
        for speed in ["max", "100000"] {
            let mut command = replay_command(&[day.file(), "--speed", speed]);
            command.env("TICKWIRE__CORE__SHARDS", shards);
            let summary = Program::start(command).wait().summary();
            assert_eq!(summary, expected, "{shards} shards at speed {speed}");
        }
    }
    assert_eq!(replay(&[day.file(), "--speed", "1000"]).summary(), expected);

    let rows = |shards: &str, speed: &str| {
        let data = day.path(&format!("data-{shards}-{speed}"));
        let mut command = replay_command(&[day.file(), "--speed", speed, "--data-dir", &data]);
        command.env("TICKWIRE__CORE__SHARDS", shards);
        assert_eq!(Program::start(command).wait().summary(), expected);
        history_rows(data.as_ref())
    };
    assert_same_rows(&rows("1", "max"), &rows("4", "1000"), "of 4 shards in small batches");

    let lines = std::fs::read_to_string(&day.file).unwrap();
    let as_json = |row: &str| {
        let fields: Vec<&str> = row.split(',').collect();
        format!(
            "{{\"ts\":{},\"symbol\":\"{}\",\"price\":\"{}\",\"size\":\"{}\",\"trade_id\":\"{}\"}}\n",
            fields[0], fields[1], fields[2], fields[3], fields[4]
        )
    };
    let json: String = lines.lines().skip(1).map(as_json).collect();
    let mut program = replay_command(&["-"]);
    let mut child =
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(json.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let ended = Ended { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) };
    let piped = ended.summary();
    for field in ["ticks", "bars", "digest", "ledger"] {
        assert_eq!(piped[field], expected[field], "{field} from standard input");
    }
}

#[test]
fn bars_that_the_end_closes_say_the_same_of_the_log_at_any_speed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("quiet.csv");
    let mut text = "ts_ns,symbol,price,size,trade_id\n1793628000000000000,QUIET,1,1,0\n".to_owned();
    for second in 1..800_i64 {
        // Far more rows than a paced replay reads at once.
        for id in [2 * second, 2 * second + 1] {
            text += &format!("{},BUSY,2,1,{id}\n", 1_793_628_000_000_000_000 + second * 1_000_000_000);
        }
    }
    std::fs::write(&file, text).unwrap();
    let rows = |speed: &str| {
        let data = dir.path().join(speed);
        let args = [file.to_str().unwrap(), "--speed", speed, "--data-dir", data.to_str().unwrap()];
        assert_eq!(replay(&args).summary()["ledger"]["residue"], 0);
        history_rows(&data)
    };
    assert_same_rows(&rows("max"), &rows("1000"), "in small batches");
}

#[test]
fn only_the_symbols_asked_for_count() {
    let day = Day::new(91, 4_000);
    let (bars, some) = (day.path("all.csv"), day.path("some.csv"));
    replay(&[day.file(), "--bars", &bars]).summary();
    replay(&[day.file(), "--symbols", "AAPL,MSFT", "--bars", &some]).summary();
    let rows = std::fs::read_to_string(&bars).unwrap();
    let wanted = |line: &&str| ["symbol,", "AAPL,", "MSFT,"].iter().any(|name| line.starts_with(name));
    let expected: Vec<&str> = rows.lines().filter(wanted).collect();
    let found = std::fs::read_to_string(&some).unwrap();
    assert!(expected.len() > 10 && expected.len() < rows.lines().count());
    assert_eq!(found.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn output_files_hold_what_the_history_holds_and_are_not_replaced_unasked() {
    let day = Day::new(101, 6_000);
    let (data, bars, indicators) = (day.path("data"), day.path("bars.csv"), day.path("indicators.csv"));
    let args = [day.file(), "--data-dir", &data, "--bars", &bars, "--indicators", &indicators];
    replay(&args).summary();
    let rows = read(Path::new(&data));
    assert_eq!(table(&bars), rows.bars);
    assert_eq!(table(&indicators), rows.indicators);
    assert!(rows.bars.len() > 50, "{}", rows.bars.len());

    let before = std::fs::read(&bars).unwrap();
    let refused = replay(&args);
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
    std::fs::write(&bars, "mine").unwrap();
    assert_eq!(replay(&args).status.code(), Some(1));
    assert_eq!(std::fs::read(&bars).unwrap(), b"mine");
    let forced: Vec<&str> = args.iter().copied().chain(["--force"]).collect();
    replay(&forced).summary();
    assert_eq!(std::fs::read(&bars).unwrap(), before);
}

/// Numbers by symbol, window and start.
type Table = BTreeMap<(String, i64, i64), Vec<Option<f64>>>;

struct Tables {
    bars: Table,
    indicators: Table,
}

/// Reads the numbers of an output file, with the width in nanoseconds.
fn table(file: &str) -> Table {
    let text = std::fs::read_to_string(file).unwrap();
    let is_bars = text.starts_with("symbol,window,window_start_ns,window_end_ns");
    let width = |name: &str| Width::parse(name).unwrap().nanos();
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let numbers = if is_bars { &fields[4..11] } else { &fields[3..] };
        let numbers = numbers.iter().map(|field| field.parse().ok()).collect();
        ((fields[0].to_owned(), width(fields[1]), fields[2].parse().unwrap()), numbers)
    };
    text.lines().skip(1).map(row).collect()
}

/// Reads the same numbers from the history.
fn read(data: &Path) -> Tables {
    let bars = "SELECT name, width, start, open / 1e9, high / 1e9, low / 1e9, close / 1e9, volume / 1e8, vwap / 1e9, \
                CAST(trade_count AS REAL) FROM bars JOIN symbols ON id = symbol WHERE state <> 'void'";
    let indicators = "SELECT name, width, start, close / 1e9, sma_20, sma_50, sma_200, ema_12, ema_26, rsi_14, macd, \
                      macd_signal, macd_histogram, bb_upper, bb_middle, bb_lower \
                      FROM indicators JOIN symbols ON id = symbol WHERE close IS NOT NULL";
    crate::support::rows::block_on(async {
        let mut conn = SqliteConnection::connect(data.join("history.db").to_str().unwrap()).await.unwrap();
        let mut tables = Vec::new();
        for (sql, num_columns) in [(bars, 7), (indicators, 13)] {
            let rows = sqlx::query(sql).fetch_all(&mut conn).await.unwrap();
            let row = |row: &sqlx::sqlite::SqliteRow| {
                let numbers = (3..3 + num_columns).map(|at| row.get::<Option<f64>, _>(at)).collect();
                ((row.get(0), row.get(1), row.get(2)), numbers)
            };
            tables.push(rows.iter().map(row).collect());
        }
        let indicators = tables.pop().unwrap();
        Tables { bars: tables.pop().unwrap(), indicators }
    })
}

#[test]
fn a_data_directory_is_for_one_process() {
    let day = Day::new(111, 2_000);
    let data = day.path("data");
    let first = Program::start(replay_command(&[day.file(), "--data-dir", &data, "--speed", "1"]));
    crate::support::process::wait_for("lock", || Path::new(&data).join("log.db").exists().then_some(()));
    for other in [
        vec!["replay", day.file(), "--data-dir", &data],
        vec!["run", "--data-dir", &data],
        vec!["migrate", "--data-dir", &data],
    ] {
        let refused = Program::start(command(&other)).wait();
        assert_eq!(refused.status.code(), Some(1), "{other:?}");
        assert!(refused.stderr.contains("another process uses the data directory"), "{}", refused.stderr);
    }
    first.kill();
    assert_eq!(replay(&[day.file(), "--data-dir", &data]).summary(), day.plain());
}

#[test]
fn every_recorded_file_leaves_no_residue() {
    let names = [
        "crypto_binance_btcusdt_20210108_trades.csv.gz",
        "crypto_binance_xrpeth_20191011_trades.csv.gz",
        "crypto_coinbase_btcusd_20230905_trades.csv.gz",
        "eq_nasdaq_amzn_20120621_trades.csv.gz",
        "eq_taq_20140917_trades.csv.gz",
        "eq_taq_xxx_20180102_trades.csv.gz",
        "eq_us_20131007_trades.csv.gz",
        "eq_us_20131008_trades.csv.gz",
        "fut_es_20231225_trades.csv.gz",
        "fut_gc_20131007_trades.csv.gz",
        "fx_fxcm_20140502_mids.csv.gz",
    ];
    let mut paths = Vec::new();
    for name in names {
        let Some(path) = shared::path(name) else { continue };
        let path = path.to_str().unwrap().to_owned();
        let summary = replay(&[&path]).summary();
        let ledger = &summary["ledger"];
        assert_eq!(ledger["residue"], 0, "{name}: {ledger}");
        assert_eq!(
            (&ledger["received"], ledger["late"].as_u64()),
            (&summary["ticks"], Some(0)),
            "{name}: {ledger}"
        );
        assert!(ledger["in_bars"].as_u64() > Some(1_000), "{name}: {ledger}");
        paths.push(path);
    }
    if paths.len() == names.len() {
        // Days apart, merged by time.
        let summary = replay(&[&paths[7], &paths[6]]).summary();
        assert_eq!(summary["ticks"], 363_066 + 610_798);
        assert_eq!(
            (summary["ledger"]["residue"].as_u64(), summary["ledger"]["late"].as_u64()),
            (Some(0), Some(0))
        );
    }
}
