//! The first start of many symbols: it trades at once, makes up the past behind that, and can be cut short.

use crate::support::process::{Program, command, run_args, wait_for};
use crate::support::rows::{assert_same_rows, history_rows, log_entries, rows_by_log};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tickwire::models::entry::{Body, Entry};
use tickwire::models::settings::CoreSettings;
use tickwire::models::symbol::SymbolId;
use tickwire::models::time::{MINUTE, Nanos, SECOND, Width};
use tungstenite::Message;
use tungstenite::stream::MaybeTlsStream;

const NUM_SYMBOLS: usize = 400;

/// What a start says once every symbol has its past.
const MADE: &str = "every symbol has its past";

/// Prepares a run of many symbols. The log commits seldom, so that the history trails, and with it the past: whoever
/// wants to cut it short has time to.
fn many(dir: &Path) -> Command {
    let mut run = command(&run_args(dir, &["--symbol-count", "400", "--rate", "2000"]));
    run.env("TICKWIRE__CORE__WINDOWS", "1min").env("TICKWIRE__LOG__GROUP_AGE", "500ms");
    run.env("TICKWIRE__LOG__GROUP_ENTRIES", "200000").env("TICKWIRE__PROVIDER__WARM_UP", "1min");
    run
}

/// Returns how many symbols have their past, and of how many; `None` once it is made.
fn progress(program: &Program) -> Option<(u64, u64)> {
    let health = program.get("REST", "/health")?.json();
    let past = &health["details"]["past"];
    Some((past["done"].as_u64()?, past["total"].as_u64()?))
}

/// Waits until some symbols more have their past.
fn let_make(program: &Program, wanted: u64) {
    program.line_with(" ready");
    wait_for("a part of the past", || {
        let (done, total) = progress(program)?;
        assert!(done < total, "progress without anything to do");
        (done >= wanted).then_some(())
    });
    let health = program.get("REST", "/health").unwrap().json();
    let message = health["details"]["messages"]["provider"].as_str().unwrap_or_default();
    assert!(message.contains("making up the past: "), "{health}");
}

/// Returns the symbols that have entries of their own.
fn known(entries: &[Entry]) -> BTreeSet<SymbolId> {
    entries.iter().filter(|entry| !entry.body.is_broadcast()).map(|entry| entry.symbol).collect()
}

/// Checks that every symbol begins with its whole past, in one piece. Returns where each past stands.
fn check_pasts(entries: &[Entry]) -> Vec<(usize, usize)> {
    let mut pasts: BTreeMap<SymbolId, (usize, usize)> = BTreeMap::new();
    for (at, entry) in entries.iter().enumerate() {
        if let Body::VenueBar(_) = entry.body {
            let place = pasts.entry(entry.symbol).or_insert((at, at));
            place.1 = at;
        }
    }
    assert_eq!(pasts.keys().copied().collect::<BTreeSet<_>>(), known(entries));
    for (symbol, (first, last)) in &pasts {
        let past = &entries[*first..=*last];
        assert!(past.iter().all(|entry| entry.symbol == *symbol), "something came in between");
        let num_bars = past.iter().filter(|entry| matches!(entry.body, Body::VenueBar(_))).count();
        assert!((203..=206).contains(&num_bars), "{num_bars} bars of {symbol:?}: half a past, or two");
        let before = entries[..*first].iter().find(|entry| entry.symbol == *symbol);
        assert!(before.is_none(), "it traded before it had a past: {before:?}");
    }
    pasts.into_values().collect()
}

#[test]
fn a_past_that_is_cut_short_is_finished_by_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let program = Program::start(many(dir.path()));
    let_make(&program, 20);
    program.stop();
    let stopped = known(&log_entries(dir.path())).len();
    assert!((20..NUM_SYMBOLS).contains(&stopped), "{stopped} symbols: it was not cut short");

    let program = Program::start(many(dir.path()));
    // So many that the log holds some of them for sure.
    let_make(&program, 130);
    program.kill();
    let entries = log_entries(dir.path());
    let killed = known(&entries).len();
    assert!(stopped < killed && killed < NUM_SYMBOLS, "{stopped}, then {killed}");
    check_pasts(&entries);

    let program = Program::start(many(dir.path()));
    program.line_with(MADE);
    assert_eq!(progress(&program), None);
    program.stop();
    let entries = log_entries(dir.path());
    let pasts = check_pasts(&entries);
    assert_eq!(pasts.len(), NUM_SYMBOLS);
    // Live trades go first: what is live stands between the pasts, from the first on.
    let (second, last) = (pasts[1].0, pasts.iter().map(|past| past.0).max().unwrap());
    let is_mark = |entry: &Entry| matches!(entry.body, Body::ClockMark { .. });
    assert!(entries[second..last].iter().any(is_mark), "nothing is live until all have their past");

    let core = CoreSettings { widths: vec![Width::new(MINUTE).unwrap()], ..CoreSettings::default() };
    let (expected, ledger) = rows_by_log(dir.path(), core, false);
    assert_same_rows(&expected, &history_rows(dir.path()), "after two cuts");
    assert_eq!((ledger.residue(), ledger.late), (0, 0));

    let program = Program::start(many(dir.path()));
    program.line_with(" ready");
    let ended = program.stop();
    assert!(!ended.stderr.contains("past"), "there is nothing left to make: {}", ended.stderr);
}

/// What a client that follows everything received.
#[derive(Default)]
struct Received {
    /// The last number of each topic.
    seqs: BTreeMap<String, u64>,
    num_ticks: usize,
    num_snapshots: usize,
    /// Bars that came one by one.
    bars: Vec<Value>,
}

impl Received {
    fn take(&mut self, frame: Value) {
        match frame["type"].as_str().unwrap() {
            "tick" => self.num_ticks += 1,
            "snapshot" => {
                self.num_snapshots += 1;
                for bar in frame["bars"].as_array().unwrap() {
                    self.seqs.insert(topic(bar), bar["seq"].as_u64().unwrap());
                }
            }
            "bar" => {
                let seq = frame["seq"].as_u64().unwrap();
                let before = self.seqs.insert(topic(&frame), seq);
                assert!(before.is_none_or(|before| before + 1 == seq), "{before:?}, then {frame}");
                self.bars.push(frame);
            }
            _ => {}
        }
    }
}

fn topic(bar: &Value) -> String {
    format!("{}:{}", bar["symbol"].as_str().unwrap(), bar["window"].as_str().unwrap())
}

#[test]
fn who_follows_all_bars_is_shown_what_came_of_the_past_and_hears_only_what_is_live() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = command(&run_args(dir.path(), &["--symbol-count", "60", "--rate", "2000"]));
    run.env("TICKWIRE__CORE__WINDOWS", "1s,1min").env("TICKWIRE__CORE__LATENESS", "100ms");
    run.env("TICKWIRE__PROVIDER__WARM_UP", "1min");
    let begun = Nanos(i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos()).unwrap());
    let program = Program::start(run);
    let (mut socket, _) = tungstenite::connect(program.address("WebSocket")).unwrap();
    if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    }
    let request = json!({
        "type": "subscribe", "symbols": ["*"], "channels": ["ticks", "bars", "indicators"], "forming": false,
    });
    socket.send(Message::text(request.to_string())).unwrap();
    let mut received = Received::default();
    let is_enough = |received: &Received| {
        received.seqs.len() == 2 * 60 && received.num_ticks > 100 && received.bars.len() > 60
    };
    while !is_enough(&received) || program.find_line(MADE).is_none() {
        match socket.read().unwrap() {
            Message::Text(text) => received.take(serde_json::from_str(&text).unwrap()),
            Message::Close(frame) => panic!("a healthy client is closed: {frame:?}"),
            _ => {}
        }
    }
    let span = Nanos(begun.0 - 2 * SECOND);
    for bar in &received.bars {
        let end = Nanos::from_rfc3339(bar["window_end"].as_str().unwrap()).unwrap();
        assert!(end > span, "of the past: {bar}");
    }
    assert!(received.num_snapshots > 60, "{}: nothing came of the past", received.num_snapshots);
    assert!(received.seqs.values().all(|seq| *seq > 200), "{:?}", received.seqs);
    program.stop();
}

#[test]
fn a_symbol_that_does_not_trade_after_a_start_is_seen_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let names = ["--symbols", "AAPL,MSFT,TSLA"];
    let start = |rate: &str| {
        let mut run = command(&run_args(dir.path(), &names));
        run.args(["--rate", rate]).env("TICKWIRE__CORE__WINDOWS", "1min");
        let program = Program::start(run);
        program.line_with(" ready");
        program
    };
    let latest = |program: &Program| program.get("REST", "/api/v1/latest?symbols=AAPL,MSFT,TSLA");
    let program = start("100");
    program.line_with(MADE);
    let before = latest(&program).unwrap();
    assert_eq!(before.status, 200, "{}", before.body);
    program.stop();
    let program = start("0.001");
    let after = latest(&program).unwrap();
    assert_eq!(after.status, 200, "{}", after.body);
    assert_eq!(after.json().as_array().map(Vec::len), Some(3), "{}", after.body);
    assert!(program.find_line("past").is_none(), "each has its past");
    program.stop();
}
