//! The stores against real files, and against naive models of what they promise.

use proptest::prelude::*;
use sqlx::{Column, Connection, Row, SqliteConnection};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use tickwire::clock::{Clock, SystemClock};
use tickwire::models::bar::{Bar, BarOrigin, BarState};
use tickwire::models::effect::{DeadLetter, DeadReason, Effect, IndicatorPoint};
use tickwire::models::entry::{
    Body, Cancel, Correction, Entry, Gap, Position, Quote, SourceId, Trade, TradeId, Updates, VenueBar,
};
use tickwire::models::indicators::IndicatorValues;
use tickwire::models::num::{Price, Scale, Size};
use tickwire::models::symbol::{
    AssetClass, PriceSource, SymbolDefinition, SymbolId, SymbolSpec, VenueSymbol,
};
use tickwire::models::time::{DAY, MINUTE, Nanos, SECOND, Width};
use tickwire::names::{SourceTable, SymbolTable};
use tickwire::stores::StoreError;
use tickwire::stores::history::memory::MemoryHistory;
use tickwire::stores::history::sqlite::SqliteHistory;
use tickwire::stores::history::{DeadLetterQuery, DeadLetterRecord, History, HistoryBatch, WindowQuery};
use tickwire::stores::log::memory::MemoryLog;
use tickwire::stores::log::sqlite::SqliteLog;
use tickwire::stores::log::{
    Checkpoint, CheckpointSet, CheckpointStore, CommitLog, LogGroup, LogReader, NUM_SLICES, Partition,
    Progress, SetHeader, TickLog, TickQuery,
};
use tickwire::stores::sqlite::SqliteSettings;

const BEGIN: i64 = 1_780_000_000 * SECOND;
const EPOCH: u64 = 7;

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(test)
}

struct Names {
    symbols: Arc<SymbolTable>,
    sources: Arc<SourceTable>,
}

impl Names {
    fn new() -> Names {
        Names { symbols: Arc::default(), sources: Arc::default() }
    }

    /// Three symbols and two sources.
    fn some() -> Names {
        let names = Names::new();
        for name in ["MSFT", "AAPL", "BTC-USD"] {
            names.symbols.intern(SymbolSpec::named(name));
        }
        for name in ["simulated", "file"] {
            names.sources.intern(name);
        }
        names
    }

    async fn log(&self, dir: &Path, settings: SqliteSettings) -> Result<SqliteLog, StoreError> {
        SqliteLog::open(dir, Arc::clone(&self.symbols), Arc::clone(&self.sources), settings).await
    }

    async fn history(&self, dir: &Path) -> Result<SqliteHistory, StoreError> {
        let settings = SqliteSettings::default();
        SqliteHistory::open(dir, Arc::clone(&self.symbols), Arc::clone(&self.sources), settings, EPOCH).await
    }
}

fn small_parts(part_entries: u64) -> SqliteSettings {
    SqliteSettings { part_entries, ..SqliteSettings::default() }
}

fn trade_at(pos: Position, symbol: u32, ts: i64) -> Entry {
    let trade = Trade {
        ts: Nanos(ts),
        received: Nanos(ts + 5_000_000),
        price: Price(150_250_000_000),
        size: Size(300_000_000),
        seq: 0,
        id: TradeId::number(pos),
        source: SourceId(0),
        updates: Updates::ALL,
    };
    Entry { pos, symbol: SymbolId(symbol), body: Body::Trade(trade) }
}

fn trades(positions: std::ops::RangeInclusive<Position>) -> LogGroup {
    let entry = |pos: Position| trade_at(pos, (pos % 3) as u32, BEGIN + pos as i64 * 1_000);
    LogGroup { entries: positions.map(entry).collect(), progress: None }
}

async fn read_all(log: &dyn TickLog) -> Vec<Entry> {
    let mut all: Vec<Entry> = Vec::new();
    loop {
        let page = log.read(all.last().map_or(0, |entry| entry.pos), 7).await.expect("reads");
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

fn wall_clock() -> Nanos {
    SystemClock.now()
}

fn arb_id() -> impl Strategy<Value = TradeId> {
    prop_oneof![
        any::<u64>().prop_map(TradeId::number),
        (any::<u32>(), any::<u64>()).prop_map(|(epoch, counter)| TradeId::given(epoch, counter)),
        "[ -~]{0,40}".prop_map(|text| TradeId::from_text(text.as_bytes())),
        prop::collection::vec(any::<u8>(), 0..16).prop_map(|text| TradeId::from_text(&text)),
        any::<u64>().prop_map(|number| TradeId::number(number).corrected()),
        (any::<u64>(), any::<u64>()).prop_map(|(hi, lo)| TradeId::from_words(hi, lo)),
    ]
}

fn arb_definition() -> impl Strategy<Value = SymbolDefinition> {
    let scale = || (0_u8..=12).prop_map(|decimals| Scale::new(decimals).expect("at most 12"));
    let prices = vec![PriceSource::Trade, PriceSource::Mid, PriceSource::Bid, PriceSource::Ask];
    let classes = vec![AssetClass::Equity, AssetClass::Pair, AssetClass::Future, AssetClass::Unknown];
    let (prices, classes) = (prop::sample::select(prices), prop::sample::select(classes));
    (scale(), scale(), classes, prices, "[ -~]{0,32}").prop_map(
        |(price_scale, size_scale, asset_class, price, spelling)| SymbolDefinition {
            price_scale,
            size_scale,
            asset_class,
            price,
            venue_symbol: VenueSymbol::new(&spelling).expect("short enough"),
        },
    )
}

fn arb_time() -> impl Strategy<Value = Nanos> {
    prop_oneof![
        (0_i64..DAY).prop_map(|after| Nanos(BEGIN + after)),
        any::<i64>().prop_map(Nanos),
        Just(Nanos::MIN),
        Just(Nanos::MAX),
    ]
}

fn arb_source() -> impl Strategy<Value = SourceId> {
    prop_oneof![Just(SourceId(0)), Just(SourceId(1)), Just(SourceId::ANY)]
}

fn arb_trade() -> impl Strategy<Value = Trade> {
    let seq = prop_oneof![Just(0), any::<u64>()];
    (arb_time(), arb_time(), any::<i64>(), any::<i64>(), seq, arb_id(), arb_source(), any::<u8>()).prop_map(
        |(ts, received, price, size, seq, id, source, updates)| {
            let updates = Updates::from_bits(updates);
            Trade { ts, received, price: Price(price), size: Size(size), seq, id, source, updates }
        },
    )
}

fn arb_body() -> impl Strategy<Value = Body> {
    let numbers = any::<[i64; 6]>;
    prop_oneof![
        arb_trade().prop_map(Body::Trade),
        (arb_time(), arb_time(), arb_id(), arb_source())
            .prop_map(|(ts, received, target, source)| Body::Cancel(Cancel { ts, received, target, source })),
        (arb_id(), arb_trade()).prop_map(|(target, trade)| Body::Correction(Correction { target, trade })),
        (arb_time(), arb_time(), numbers(), arb_source()).prop_map(|(ts, received, n, source)| {
            let (bid, ask, bid_size, ask_size) = (Price(n[0]), Price(n[1]), Size(n[2]), Size(n[3]));
            Body::Quote(Quote { ts, received, bid, ask, bid_size, ask_size, source })
        }),
        (arb_time(), arb_time(), numbers(), any::<(u32, u32)>(), arb_source()).prop_map(
            |(start, received, n, (trade_count, width_ms), source)| {
                let [open, high, low, close, vwap] = [n[0], n[1], n[2], n[3], n[4]].map(Price);
                let volume = Size(n[5]);
                Body::VenueBar(VenueBar {
                    start,
                    received,
                    open,
                    high,
                    low,
                    close,
                    volume,
                    vwap,
                    trade_count,
                    width_ms,
                    source,
                })
            }
        ),
        (arb_source(), arb_time(), arb_time(), any::<bool>())
            .prop_map(|(source, from, to, filled)| Body::Gap(Gap { source, from, to, filled })),
        (arb_source(), arb_time()).prop_map(|(source, from)| Body::SourceInCharge { source, from }),
        (arb_source(), arb_time(), arb_definition())
            .prop_map(|(source, received, definition)| Body::Symbol { source, received, definition }),
        (arb_source(), arb_time()).prop_map(|(source, time)| Body::ClockMark { source, time }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_entry_comes_back_as_it_was(
        bodies in prop::collection::vec((arb_body(), 0_u32..3, 1_u64..1_000), 1..200),
        group_len in 1_usize..80,
    ) {
        run(async {
            let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
            let log = names.log(dir.path(), small_parts(60)).await.expect("opens");
            let mut pos = 0;
            let entries: Vec<Entry> = bodies.iter().map(|(body, symbol, step)| {
                pos += step;
                let symbol = if body.is_broadcast() { SymbolId::NONE } else { SymbolId(*symbol) };
                Entry { pos, symbol, body: *body }
            }).collect();
            for chunk in entries.chunks(group_len) {
                log.append(&LogGroup { entries: chunk.to_vec(), progress: None }).await.expect("appends");
            }
            assert_eq!(read_all(&log).await, entries);
            let tail = log.tail().await.expect("knows");
            assert_eq!((tail.first, tail.last), (entries[0].pos, pos));

            drop(log);
            let names = Names::new();
            let log = names.log(dir.path(), small_parts(60)).await.expect("opens");
            assert_eq!(names.symbols.get("BTC-USD"), Some(SymbolId(2)), "ids are those of before");
            assert_eq!(log.tail().await.expect("knows"), tail);
            assert_eq!(read_all(&log).await, entries);
        });
    }

    #[test]
    fn ticks_are_those_of_a_sorted_list(
        ticks in prop::collection::vec((0_i64..200, 0_u32..3, prop::bool::weighted(0.9)), 1..400),
        part_entries in 20_u64..200,
        (start, end, limit) in (0_i64..100, 50_i64..250, 1_usize..40),
    ) {
        run(async {
            let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
            let log = names.log(dir.path(), small_parts(part_entries)).await.expect("opens");
            let memory = MemoryLog::new();
            let entries: Vec<Entry> = (1..).zip(&ticks).map(|(pos, (ts, symbol, is_trade))| {
                let tick = trade_at(pos, *symbol, BEGIN + ts);
                let mark = Body::ClockMark { source: SourceId::ANY, time: Nanos(BEGIN + ts) };
                if *is_trade { tick } else { Entry { pos, symbol: SymbolId::NONE, body: mark } }
            }).collect();
            for chunk in entries.chunks(17) {
                let group = LogGroup { entries: chunk.to_vec(), progress: None };
                log.append(&group).await.expect("appends");
                memory.append(&group).await.expect("appends");
            }
            for log in [&log as &dyn TickLog, &memory] {
                for symbol in (0..3).map(SymbolId) {
                    let (start, end) = (Nanos(BEGIN + start), Nanos(BEGIN + end));
                    let mut expected: Vec<Entry> = entries.iter().copied()
                        .filter(|entry| entry.symbol == symbol)
                        .filter(|entry| (start..=end).contains(&entry.body.time()))
                        .collect();
                    expected.sort_by_key(|entry| std::cmp::Reverse((entry.body.time(), entry.pos)));
                    let (mut found, mut before) = (Vec::new(), None);
                    loop {
                        let query = TickQuery { symbol, start, end, before, limit };
                        let page = log.ticks(&query).await.expect("finds");
                        assert!(page.len() <= limit);
                        let Some(last) = page.last() else { break };
                        before = Some((last.body.time(), last.pos));
                        found.extend(page);
                    }
                    assert_eq!(found, expected);
                }
            }
        });
    }
}

#[test]
fn ticks_are_found_across_whole_blocks() {
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        let log = names.log(dir.path(), SqliteSettings::default()).await.expect("opens");
        // One symbol ticks once at the beginning, another one all the time: two blocks are written, one is open.
        log.append(&LogGroup { entries: vec![trade_at(1, 1, BEGIN)], progress: None })
            .await
            .expect("appends");
        for group in 0..14_u64 {
            let positions = group * 10_000 + 2..=group * 10_000 + 10_001;
            let entries = positions.map(|pos| trade_at(pos, 0, BEGIN + pos as i64)).collect();
            log.append(&LogGroup { entries, progress: None }).await.expect("appends");
        }
        drop(log);
        let log = names.log(dir.path(), SqliteSettings::default()).await.expect("opens");
        let query = |symbol, limit| TickQuery {
            symbol: SymbolId(symbol),
            start: Nanos::MIN,
            end: Nanos::MAX,
            before: None,
            limit,
        };
        let newest = log.ticks(&query(0, 20_000)).await.expect("finds");
        let positions: Vec<Position> = newest.iter().map(|entry| entry.pos).collect();
        assert_eq!(positions, (120_002..=140_001).rev().collect::<Vec<_>>());
        assert_eq!(log.ticks(&query(1, 5)).await.expect("finds").len(), 1);
        let cursor = TickQuery { before: Some((Nanos(BEGIN + 3), 3)), ..query(0, 5) };
        assert_eq!(log.ticks(&cursor).await.expect("finds").len(), 1, "only the tick at 2 is older");
    });
}

#[test]
fn a_log_goes_on_where_it_stopped() {
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        let log = names.log(dir.path(), small_parts(25)).await.expect("opens");
        assert_eq!(log.tail().await.expect("knows").newest, None);
        let progress = |value: &[u8]| Some(Progress { key: "day.csv".to_owned(), value: value.to_vec() });
        log.append(&LogGroup { progress: progress(b"40"), ..trades(1..=40) }).await.expect("appends");
        log.append(&LogGroup { progress: progress(b"end"), entries: Vec::new() }).await.expect("appends");
        log.mark_poison(Partition::EMBEDDED, 17).await.expect("marks");
        log.mark_poison(Partition::EMBEDDED, 17).await.expect("marks");
        let tail = log.tail().await.expect("knows");
        assert_eq!(tail.newest, Some(Nanos(BEGIN + 40_000)));
        drop(log);

        let log = names.log(dir.path(), small_parts(25)).await.expect("opens");
        assert_eq!(log.tail().await.expect("knows"), tail);
        assert_eq!(log.progress("day.csv").await.expect("knows").as_deref(), Some(&b"end"[..]));
        assert_eq!(log.progress("other.csv").await.expect("knows"), None);
        assert_eq!(log.poison(Partition::EMBEDDED).await.expect("knows"), [17]);
        let again = log.append(&trades(40..=45)).await.expect_err("position 40 is taken");
        assert!(!again.is_transient(), "{again}");
        names.symbols.intern(SymbolSpec::named("NEW"));
        let entry = trade_at(41, 3, BEGIN);
        log.append(&LogGroup { entries: vec![entry], progress: None }).await.expect("appends");
        assert_eq!(log.read(40, 9).await.expect("reads"), [entry]);

        let other = tempfile::tempdir().expect("a directory");
        let other = names.log(other.path(), small_parts(25)).await.expect("opens");
        assert_ne!(other.tail().await.expect("knows").epoch, tail.epoch);
    });
}

#[test]
fn names_met_in_another_order_are_translated() {
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        let log = names.log(dir.path(), small_parts(5)).await.expect("opens");
        for first in [1, 7, 13] {
            log.append(&trades(first..=first + 5)).await.expect("appends");
        }
        drop(log);

        let names = Names::new();
        for name in ["NEW", "BTC-USD", "AAPL"] {
            names.symbols.intern(SymbolSpec::named(name));
        }
        names.sources.intern("other");
        let log = names.log(dir.path(), small_parts(5)).await.expect("opens");
        let aapl = names.symbols.get("AAPL").expect("known");
        let entries = log.read(0, 100).await.expect("reads");
        for entry in &entries {
            let name = ["MSFT", "AAPL", "BTC-USD"][(entry.pos % 3) as usize];
            assert_eq!(names.symbols.spec(entry.symbol).name, name);
            assert_eq!(names.sources.name(entry.body.source()), "simulated");
        }
        let query = TickQuery { symbol: aapl, start: Nanos::MIN, end: Nanos::MAX, before: None, limit: 100 };
        assert_eq!(log.ticks(&query).await.expect("finds").len(), 6);
        let new = Entry { symbol: names.symbols.get("NEW").expect("known"), ..trade_at(19, 0, BEGIN) };
        log.append(&LogGroup { entries: vec![new], progress: None }).await.expect("appends");
        assert_eq!(log.read(18, 9).await.expect("reads"), [new]);

        let other = Names::new();
        let scale = Scale::new(2).expect("valid");
        other.symbols.intern(SymbolSpec {
            price_scale: scale,
            asset_class: AssetClass::Equity,
            ..SymbolSpec::named("AAPL")
        });
        let refused = other.log(dir.path(), small_parts(5)).await.err().expect("refused");
        assert!(!refused.is_transient() && refused.to_string().contains("`AAPL`"), "{refused}");
    });
}

#[test]
fn the_two_newest_checkpoints_of_a_partition_are_kept() {
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        let log = names.log(dir.path(), SqliteSettings::default()).await.expect("opens");
        let memory = MemoryLog::new();
        // Names that neither the process nor the file has seen: a store needs no numbers.
        let checkpoint =
            |symbol: &str, pos| Checkpoint { symbol: symbol.into(), pos, bytes: vec![pos as u8] };
        let set = |slice, covers_through: u64, checkpoints| CheckpointSet {
            slice,
            covers_through,
            context: vec![covers_through as u8],
            checkpoints,
        };
        let sets = [
            set(0, 3, vec![checkpoint("NEW", 3)]),
            set(0, 6, vec![checkpoint("NEW", 5)]),
            set(2, 7, vec![checkpoint("ALSO", 6)]),
            set(0, 9, vec![checkpoint("NEW", 8)]),
            set(0, 12, Vec::new()),
        ];
        let (here, elsewhere) = (Partition(3), Partition(4));
        log.append(&trades(1..=12)).await.expect("appends");
        for log in [&log as &dyn TickLog, &memory] {
            for set in &sets {
                log.save_checkpoints(here, set).await.expect("saves");
            }
            log.save_checkpoints(here, &sets[4]).await.expect("a repeat is no new set");
            log.save_checkpoints(elsewhere, &sets[0]).await.expect("saves");
            let found = log.load_checkpoints(here).await.expect("loads");
            assert_eq!((found.slices.len(), found.relied_on), (NUM_SLICES as usize, Some(12)));
            let header = |covers_through: u64| SetHeader {
                covers_through,
                context: if covers_through == 0 { vec![] } else { vec![covers_through as u8] },
            };
            let expected = [[header(12), header(9)], [header(0), header(0)], [header(7), header(0)]];
            assert_eq!(found.slices[..3], expected);
            let of_new = vec![checkpoint("NEW", 8), checkpoint("NEW", 5)];
            assert_eq!(found.symbols, [vec![checkpoint("ALSO", 6)], of_new.clone()]);
            assert_eq!(log.checkpoints_of(here, "NEW").await.expect("loads"), of_new);
            assert_eq!(log.checkpoints_of(here, "NONE").await.expect("loads"), []);
            let found = log.load_checkpoints(elsewhere).await.expect("loads");
            assert_eq!((found.symbols, found.relied_on), (vec![vec![checkpoint("NEW", 3)]], Some(3)));
        }
    });
}

#[test]
fn retention_drops_whole_parts_that_nobody_needs() {
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        let log = names.log(dir.path(), small_parts(10)).await.expect("opens");
        for first in [1, 11, 21, 31] {
            log.append(&trades(first..=first + 9)).await.expect("appends");
        }
        let (now, later) = (wall_clock(), wall_clock().plus(8 * DAY));
        assert_eq!(log.retain(now, 100).await.expect("retains"), 0, "nothing is old yet");
        assert_eq!(log.retain(later, 20).await.expect("retains"), 10, "the entry at 20 is needed");
        assert_eq!(log.tail().await.expect("knows").first, 11);
        assert_eq!(log.retain(later, 100).await.expect("retains"), 20, "the newest part stays");
        assert_eq!(log.retain(later, 100).await.expect("retains"), 0);
        assert_eq!(read_all(&log).await, trades(31..=40).entries);
        let query =
            TickQuery { symbol: SymbolId(1), start: Nanos::MIN, end: Nanos::MAX, before: None, limit: 100 };
        assert_eq!(log.ticks(&query).await.expect("finds").len(), 4);
        let tail = log.tail().await.expect("knows");
        assert_eq!((tail.first, tail.last), (31, 40));
        drop(log);
        let settings = SqliteSettings { retention_ticks_bytes: 0, ..small_parts(10) };
        let log = names.log(dir.path(), settings).await.expect("opens");
        assert_eq!(log.tail().await.expect("knows"), tail);
        log.append(&trades(41..=42)).await.expect("appends");
        assert_eq!(log.retain(now, 100).await.expect("retains"), 10, "more bytes than allowed");
        log.append(&trades(43..=44)).await.expect("appends");
        assert_eq!(read_all(&log).await, trades(41..=44).entries);
    });
}

#[test]
fn a_foreign_or_damaged_file_is_refused_and_left_alone() {
    run(async {
        let names = Names::some();
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(
            dir.path().join("log.db"),
            "not a database, but long enough to be read as one".repeat(99),
        )
        .expect("writes");
        let refused = names.log(dir.path(), SqliteSettings::default()).await.err().expect("refused");
        assert!(!refused.is_transient() && refused.to_string().contains("log.db"), "{refused}");

        let path = dir.path().join("history.db");
        let url = format!("sqlite://{}?mode=rwc", path.display());
        let mut conn = SqliteConnection::connect(&url).await.expect("connects");
        sqlx::query("CREATE TABLE theirs (x)").execute(&mut conn).await.expect("creates");
        conn.close().await.expect("closes");
        let before = std::fs::read(&path).expect("reads");
        let refused = names.history(dir.path()).await.err().expect("refused");
        assert!(!refused.is_transient() && refused.to_string().contains("history.db"), "{refused}");
        assert_eq!(std::fs::read(&path).expect("reads"), before);
    });
}

const CHILD_DIR: &str = "TICKWIRE_TEST_CHILD_DIR";

/// Not a test of its own: the process that [`what_was_acknowledged_survives_a_kill`] kills.
#[test]
fn child_that_appends_until_it_is_killed() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    run(async {
        let log = Names::some().log(Path::new(&dir), small_parts(2_000)).await.expect("opens");
        let mut last = 0;
        loop {
            let group_len = last % 37 + 1;
            log.append(&trades(last + 1..=last + group_len)).await.expect("appends");
            last += group_len;
            // Straight to the pipe: what the harness captures would be lost.
            writeln!(std::io::stdout(), " {last}").expect("the parent reads");
        }
    });
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut child = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "stores::child_that_appends_until_it_is_killed", "--nocapture"])
        .env(CHILD_DIR, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut acknowledged: Position = 0;
    for line in stdout.lines() {
        let line = line.expect("text");
        let Some(last) = line.rsplit(' ').next().and_then(|word| word.parse().ok()) else { continue };
        acknowledged = last;
        if acknowledged > 5_000 {
            child.kill().expect("is alive");
        }
    }
    child.wait().expect("ends");
    assert!(acknowledged > 5_000, "the child ended early");
    run(async {
        let names = Names::new();
        let log = names.log(dir.path(), small_parts(2_000)).await.expect("opens");
        let last = log.tail().await.expect("knows").last;
        assert!(last >= acknowledged, "{acknowledged} was acknowledged, {last} is there");
        assert_eq!(log.read(0, usize::MAX).await.expect("reads"), trades(1..=last).entries);
        let query = TickQuery {
            symbol: SymbolId(0),
            start: Nanos::MIN,
            end: Nanos::MAX,
            before: None,
            limit: usize::MAX,
        };
        assert_eq!(log.ticks(&query).await.expect("finds").len(), last as usize / 3);
        log.append(&trades(last + 1..=last + 9)).await.expect("goes on");
    });
}

fn minute(width: i64) -> Width {
    Width::new(width * MINUTE).expect("divides a day")
}

fn bar_at(symbol: u32, width: i64, at: i64, state: BarState, log_pos: Position) -> Bar {
    Bar {
        symbol: SymbolId(symbol),
        width: minute(width),
        start: Nanos(at * width * MINUTE),
        open: Price(10_500_000_000),
        high: Price(11_000_000_000),
        low: Price(10_000_000_000),
        close: Price(10_250_000_000 + log_pos as i64),
        volume: if log_pos.is_multiple_of(5) { i128::MAX - 3 } else { 1_250_000_000 },
        vwap: (state != BarState::Void).then_some(10_300_000_000),
        trade_count: 12,
        state,
        origin: [BarOrigin::Trades, BarOrigin::Quotes, BarOrigin::Vendor][log_pos as usize % 3],
        revision: 1,
        coverage: 0.75,
        late: 2,
        duplicates: 3,
        cancelled: 4,
        seq: log_pos + 1,
        log_pos,
    }
}

fn point_of(bar: &Bar) -> IndicatorPoint {
    let values = IndicatorValues {
        sma_20: Some(1.0 / 3.0),
        rsi_14: Some(bar.log_pos as f64 / 7.0),
        ..IndicatorValues::default()
    };
    let Bar { symbol, width, start, close, vwap, log_pos, .. } = *bar;
    IndicatorPoint { symbol, width, start, close, vwap, values, log_pos }
}

fn batch(effects: Vec<Effect>) -> HistoryBatch {
    let acknowledged = effects.iter().map(Effect::log_pos).max().unwrap_or(0);
    HistoryBatch { effects: vec![Arc::new(effects)], dead_letters: Vec::new(), acknowledged }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn batches_in_any_order_end_in_the_same_history(
        changes in prop::collection::vec((0_u32..3, prop::sample::select(vec![1_i64, 5]), 0_i64..4, 0_u8..3), 1..60),
        batches in prop::collection::vec((any::<prop::sample::Index>(), 1_usize..10), 0..20),
    ) {
        run(async {
            let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
            let sqlite = names.history(dir.path()).await.expect("opens");
            let memory = MemoryHistory::new(Arc::clone(&names.symbols), Arc::clone(&names.sources), usize::MAX);
            let mut effects = Vec::new();
            let mut bars: BTreeMap<(String, Width, Nanos), (Bar, Option<IndicatorPoint>)> = BTreeMap::new();
            for (log_pos, (symbol, width, at, kind)) in (1..).zip(&changes) {
                let state = if *kind == 0 { BarState::Void } else { BarState::Amended };
                let bar = bar_at(*symbol, *width, *at, state, log_pos);
                let key = (names.symbols.spec(bar.symbol).name.clone(), bar.width, bar.start);
                match kind {
                    0 => {
                        effects.push(Effect::Bar(bar));
                        bars.insert(key, (bar, None));
                    }
                    1 => {
                        effects.extend([Effect::Bar(bar), Effect::Indicators(point_of(&bar))]);
                        bars.insert(key, (bar, Some(point_of(&bar))));
                    }
                    // A bar before it changed: the indicators follow, the bar does not. A void bar has none.
                    _ => if let Some((bar, Some(point))) = bars.get_mut(&key) {
                        *point = IndicatorPoint { log_pos, ..point_of(bar) };
                        effects.push(Effect::Indicators(*point));
                    },
                }
            }
            // Some stretches come early and again, then everything in order, then some once more.
            for history in [&sqlite as &dyn History, &memory] {
                let stretch = |(at, len): &(prop::sample::Index, usize)| {
                    let at = at.index(effects.len().max(1)).min(effects.len());
                    batch(effects[at..(at + len).min(effects.len())].to_vec())
                };
                let (early, again) = batches.split_at(batches.len() / 2);
                for part in early {
                    history.write(&stretch(part)).await.expect("writes");
                }
                for chunk in effects.chunks(7) {
                    history.write(&batch(chunk.to_vec())).await.expect("writes");
                }
                for part in again {
                    history.write(&stretch(part)).await.expect("writes");
                }
                let expected: Vec<(Bar, IndicatorPoint)> = bars.values()
                    .filter_map(|(bar, point)| Some((*bar, (*point)?)))
                    .collect();
                let (mut found, mut after) = (Vec::new(), None);
                loop {
                    let page = history.scan(after, 3).await.expect("scans");
                    let Some((last, _)) = page.last() else { break };
                    after = Some((last.symbol, last.width, last.start));
                    found.extend(page);
                }
                assert_eq!(found, expected);
                for (symbol, width) in [(0, 1), (1, 5), (2, 1)] {
                    let query = WindowQuery {
                        symbol: SymbolId(symbol), width: minute(width),
                        start: Nanos(MINUTE), end: Nanos(3 * width * MINUTE), limit: 2,
                    };
                    let mut wanted: Vec<&(Bar, IndicatorPoint)> = expected.iter().filter(|(bar, _)| {
                        (bar.symbol, bar.width) == (query.symbol, query.width)
                            && bar.start >= query.start && bar.end() <= query.end
                    }).collect();
                    wanted.reverse();
                    wanted.truncate(2);
                    let (wanted_bars, wanted_points): (Vec<Bar>, Vec<IndicatorPoint>) = wanted.into_iter().copied().unzip();
                    assert_eq!(history.bars(&query).await.expect("finds"), wanted_bars);
                    assert_eq!(history.indicators(&query).await.expect("finds"), wanted_points);
                }
                let last = effects.iter().map(Effect::log_pos).max().unwrap_or(0);
                assert_eq!(history.acknowledged().await.expect("knows"), last);
            }
        });
    }
}

#[test]
fn dead_letters_are_kept_once() {
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        let sqlite = names.history(dir.path()).await.expect("opens");
        let memory = MemoryHistory::new(Arc::clone(&names.symbols), Arc::clone(&names.sources), 10);
        let late = DeadLetter {
            pos: 4,
            symbol: SymbolId(1),
            reason: DeadReason::Late,
            body: trade_at(4, 1, BEGIN).body,
        };
        let letter = |origin: &str, received_at| DeadLetterRecord {
            reason: "malformed".to_owned(),
            symbol: None,
            provider: "file".to_owned(),
            received_at: Nanos(received_at),
            payload: "?".to_owned(),
            pos: None,
            origin: origin.to_owned(),
            id: 0,
        };
        let batch = HistoryBatch {
            effects: vec![Arc::new(vec![Effect::DeadLetter(late)])],
            dead_letters: vec![letter("day.csv:7", BEGIN + SECOND), letter("day.csv:8", BEGIN - SECOND)],
            acknowledged: 4,
        };
        for history in [&sqlite as &dyn History, &memory] {
            history.write(&batch).await.expect("writes");
            history.write(&batch).await.expect("writes");
            let query = DeadLetterQuery { limit: 10, ..DeadLetterQuery::default() };
            let all = history.dead_letters(&query).await.expect("finds");
            let origins: Vec<(&str, Option<Position>)> =
                all.iter().map(|letter| (letter.origin.as_str(), letter.pos)).collect();
            assert_eq!(origins, [("day.csv:7", None), ("", Some(4)), ("day.csv:8", None)]);
            assert_eq!(all[1].symbol.as_deref(), Some("AAPL"));
            for (query, expected) in [
                (DeadLetterQuery { reason: Some("late".to_owned()), ..query.clone() }, 1),
                (DeadLetterQuery { symbol: Some("AAPL".to_owned()), ..query.clone() }, 1),
                (DeadLetterQuery { start: Some(Nanos(BEGIN)), ..query.clone() }, 2),
                (DeadLetterQuery { limit: 2, ..query.clone() }, 2),
            ] {
                assert_eq!(history.dead_letters(&query).await.expect("finds").len(), expected, "{query:?}");
            }
            // New letters of any time, the same time too, neither repeat nor hide what a walk has still to come.
            let mut walked = Vec::new();
            let mut query = DeadLetterQuery { limit: 1, ..query };
            for number in 0.. {
                let page = history.dead_letters(&query).await.expect("finds");
                let Some(last) = page.first() else { break };
                query.before = Some((last.received_at, last.id));
                walked.push(last.origin.clone());
                if number < 2 {
                    let newer =
                        [letter(&format!("new:{number}"), last.received_at.0), letter("", BEGIN + DAY)];
                    let batch = HistoryBatch { dead_letters: newer.into(), acknowledged: 4, ..batch.clone() };
                    history.write(&batch).await.expect("writes");
                }
            }
            assert_eq!(walked, ["day.csv:7", "", "day.csv:8"]);
        }
        assert_eq!(sqlite.retain(Nanos(BEGIN).plus(365 * DAY)).await.expect("retains"), 1);
    });
}

#[test]
fn old_windows_are_dropped_and_another_log_is_refused() {
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        let history = names.history(dir.path()).await.expect("opens");
        let mut effects = Vec::new();
        for (log_pos, at) in (1..).zip(0..10) {
            for symbol in 0..2 {
                let bar = bar_at(symbol, 1, at, BarState::Closed, log_pos);
                effects.extend([Effect::Bar(bar), Effect::Indicators(point_of(&bar))]);
            }
        }
        history.write(&batch(effects)).await.expect("writes");
        let now = Nanos(4 * MINUTE).plus(365 * DAY);
        assert_eq!(
            history.retain(now).await.expect("retains"),
            16,
            "four windows of two symbols end by then"
        );
        assert_eq!(history.scan(None, 100).await.expect("scans").len(), 12);
        drop(history);

        let history = names.history(dir.path()).await.expect("opens");
        assert_eq!(history.acknowledged().await.expect("knows"), 10);
        let Names { symbols, sources } = names;
        let other =
            SqliteHistory::open(dir.path(), symbols, sources, SqliteSettings::default(), EPOCH + 1).await;
        let refused = other.err().expect("refused");
        assert!(!refused.is_transient() && refused.to_string().contains("another log"), "{refused}");
    });
}

#[test]
fn people_read_the_relations_they_know() {
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        let log = names.log(dir.path(), small_parts(3)).await.expect("opens");
        let quote = Quote {
            ts: Nanos(BEGIN + 1_500_000),
            received: Nanos::MIN,
            bid: Price(1_500_000_000),
            ask: Price(1_750_000_000),
            bid_size: Size(50_000_000),
            ask_size: Size(25_000_000),
            source: SourceId(1),
        };
        let text_id = |pos, text: &str| {
            let mut entry = trade_at(pos, 2, BEGIN);
            if let Body::Trade(trade) = &mut entry.body {
                trade.id = TradeId::from_text(text.as_bytes());
            }
            entry
        };
        let entries = vec![
            trade_at(1, 1, BEGIN),
            Entry { pos: 2, symbol: SymbolId(2), body: Body::Quote(quote) },
            Entry {
                pos: 3,
                symbol: SymbolId::NONE,
                body: Body::ClockMark { source: SourceId::ANY, time: Nanos(BEGIN) },
            },
        ];
        log.append(&LogGroup { entries, progress: None }).await.expect("appends");
        let entries = vec![text_id(4, "A-7"), text_id(5, "a text that is longer than fifteen bytes")];
        log.append(&LogGroup { entries, progress: None }).await.expect("appends");
        let history = names.history(dir.path()).await.expect("opens");
        let bar = bar_at(1, 5, 3, BarState::Amended, 10);
        let void = bar_at(1, 5, 4, BarState::Void, 11);
        let effects = vec![Effect::Bar(bar), Effect::Indicators(point_of(&bar)), Effect::Bar(void)];
        history.write(&batch(effects)).await.expect("writes");

        let connect = |file: &str| {
            let url = format!("sqlite://{}?mode=ro", dir.path().join(file).display());
            async move { SqliteConnection::connect(&url).await.expect("connects") }
        };
        let (mut log_db, mut history_db) = (connect("log.db").await, connect("history.db").await);
        let ticks = sqlx::query("SELECT * FROM tick_data ORDER BY log_pos").fetch_all(&mut log_db).await;
        let ticks = ticks.expect("reads");
        assert_eq!(
            columns(&ticks[0]),
            "time symbol price volume tick_type bid ask bid_size ask_size exchange metadata trade_id provider \
             conditions received_at ts_ns log_pos"
        );
        assert_eq!(ticks.len(), 4, "the clock mark is none of them");
        let text = |at: usize, column: &str| ticks[at].get::<Option<String>, _>(column);
        let real = |at: usize, column: &str| ticks[at].get::<Option<f64>, _>(column);
        assert_eq!(text(0, "time").as_deref(), Some("2026-05-28T20:26:40.000000Z"));
        assert_eq!(text(0, "received_at").as_deref(), Some("2026-05-28T20:26:40.005000Z"));
        assert_eq!(text(0, "symbol").as_deref(), Some("AAPL"));
        assert_eq!((real(0, "price"), real(0, "volume"), real(0, "bid")), (Some(150.25), Some(3.0), None));
        assert_eq!(text(0, "tick_type").as_deref(), Some("trade"));
        assert_eq!(
            (text(0, "trade_id").as_deref(), text(0, "conditions").as_deref()),
            (Some("1"), Some("hcv"))
        );
        assert_eq!(ticks[0].get::<i64, _>("ts_ns"), BEGIN);
        assert_eq!((real(1, "price"), real(1, "bid"), real(1, "ask")), (None, Some(1.5), Some(1.75)));
        assert_eq!((real(1, "bid_size"), real(1, "ask_size")), (Some(0.5), Some(0.25)));
        assert_eq!((text(1, "received_at"), text(1, "trade_id")), (None, None));
        assert_eq!(text(1, "provider").as_deref(), Some("file"));
        assert_eq!(text(2, "trade_id").as_deref(), Some("A-7"));
        let hashed = text(3, "trade_id").expect("a trade has an id");
        assert!(hashed.starts_with('#') && hashed.len() == 33, "a hash: {hashed}");

        let bars =
            sqlx::query("SELECT * FROM aggregated_data").fetch_all(&mut history_db).await.expect("reads");
        assert_eq!(
            columns(&bars[0]),
            "time symbol window_start window_end window_duration open high low close volume vwap trade_count \
             state revision coverage log_pos"
        );
        assert_eq!(bars.len(), 1, "void bars are left out");
        assert_eq!(bars[0].get::<String, _>("window_start"), "1970-01-01T00:15:00.000000Z");
        assert_eq!(bars[0].get::<String, _>("time"), "1970-01-01T00:20:00.000000Z");
        assert_eq!(bars[0].get::<String, _>("window_duration"), "5min");
        assert_eq!((bars[0].get::<f64, _>("open"), bars[0].get::<f64, _>("vwap")), (10.5, 10.3));
        assert!(bars[0].get::<f64, _>("volume") > 1e30);
        let points = sqlx::query("SELECT * FROM technical_indicators").fetch_all(&mut history_db).await;
        let points = points.expect("reads");
        assert_eq!(
            columns(&points[0]),
            "time symbol sma_20 sma_50 sma_200 ema_12 ema_26 rsi macd macd_signal macd_histogram bb_upper \
             bb_middle bb_lower window_duration vwap log_pos"
        );
        assert_eq!(points.len(), 1);
        assert_eq!(points[0].get::<Option<f64>, _>("sma_50"), None);
    });
}

#[test]
fn the_view_covers_as_many_parts_as_retention_leaves() {
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        let log = names.log(dir.path(), small_parts(1)).await.expect("opens");
        for pos in 1..=150 {
            log.append(&trades(pos..=pos)).await.expect("appends");
        }
        let url = format!("sqlite://{}?mode=ro", dir.path().join("log.db").display());
        let mut conn = SqliteConnection::connect(&url).await.expect("connects");
        let count = "SELECT count(*) FROM tick_data WHERE symbol = 'AAPL' AND price = 150.25";
        let count: i64 = sqlx::query_scalar(count).fetch_one(&mut conn).await.expect("counts");
        assert_eq!(count, 50);
    });
}

fn columns(row: &sqlx::sqlite::SqliteRow) -> String {
    row.columns().iter().map(Column::name).collect::<Vec<_>>().join(" ")
}
