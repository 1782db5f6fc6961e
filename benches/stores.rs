//! How fast the SQLite stores take entries and bars, and find ticks.
//!
//! `cargo bench --bench stores [-- entries]`. Prints wall time and the CPU time of the whole process, since the writes
//! run on a thread of their own.

use sqlx::{Connection, SqliteConnection};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tickwire::models::bar::{Bar, BarOrigin, BarState};
use tickwire::models::effect::{Effect, IndicatorPoint};
use tickwire::models::entry::{Body, Entry, Trade, TradeId, Updates};
use tickwire::models::indicators::IndicatorValues;
use tickwire::models::num::{Price, Size};
use tickwire::models::symbol::{SymbolId, SymbolSpec};
use tickwire::models::time::{MINUTE, Nanos, Width};
use tickwire::names::{SourceTable, SymbolTable};
use tickwire::stores::history::sqlite::SqliteHistory;
use tickwire::stores::history::{History, HistoryBatch};
use tickwire::stores::log::sqlite::SqliteLog;
use tickwire::stores::log::{CommitLog, LogGroup, LogReader, TickQuery};
use tickwire::stores::sqlite::SqliteSettings;

const NUM_SYMBOLS: u32 = 1_000;
const BEGIN: i64 = 1_780_000_000_000_000_000;

fn main() {
    let num_entries = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(2_000_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async {
        for group in [10, 100, 1_000, 10_000, 50_000] {
            append(num_entries.min(group * 10_000), group).await;
        }
        bars().await;
    });
}

fn tables() -> (Arc<SymbolTable>, Arc<SourceTable>) {
    let (symbols, sources) = (Arc::new(SymbolTable::default()), Arc::new(SourceTable::default()));
    for at in 0..NUM_SYMBOLS {
        symbols.intern(SymbolSpec::named(&format!("SIM{at:04}")));
    }
    sources.intern("simulated");
    (symbols, sources)
}

/// Trades as a busy venue sends them: a few microseconds apart, symbols in no order, ids that count.
fn entry(pos: u64) -> Entry {
    let mixed = pos.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let symbol = SymbolId((mixed >> 40) as u32 % NUM_SYMBOLS);
    let ts = Nanos(BEGIN + pos as i64 * 4_000);
    let trade = Trade {
        ts,
        received: ts.plus(1_500_000 + (mixed >> 44) as i64),
        price: Price(100_000_000_000 + (mixed >> 50) as i64 * 10_000_000),
        size: Size(((mixed >> 30) as i64 % 500 + 1) * 100_000_000),
        seq: 0,
        id: TradeId::number(pos),
        source: tickwire::models::entry::SourceId(0),
        updates: Updates::ALL,
    };
    Entry { pos, symbol, body: Body::Trade(trade) }
}

/// CPU time that the process has used, all threads together.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks: u64 = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|word| word.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}

async fn append(num_entries: u64, group_len: u64) {
    let dir = tempfile::tempdir().expect("a directory");
    let (symbols, sources) = tables();
    let log = SqliteLog::open(dir.path(), symbols, sources, SqliteSettings::default()).await.expect("opens");
    let groups: Vec<LogGroup> = (0..num_entries / group_len)
        .map(|at| LogGroup {
            entries: (1..=group_len).map(|offset| entry(at * group_len + offset)).collect(),
            progress: None,
        })
        .collect();
    let (begun, cpu_before) = (Instant::now(), cpu());
    for group in &groups {
        log.append(group).await.expect("appends");
    }
    let (took, cpu_took) = (begun.elapsed(), cpu() - cpu_before);
    let bytes = num_bytes(&dir.path().join("log.db")).await;
    println!(
        "append, groups of {group_len}: {:.0} entries/s, {:.2} s of CPU per million, {} bytes each",
        num_entries as f64 / took.as_secs_f64(),
        cpu_took.as_secs_f64() * 1e6 / num_entries as f64,
        bytes / num_entries,
    );
    if group_len != 1_000 {
        return;
    }
    let begun = Instant::now();
    let mut after = 0;
    loop {
        let page = log.read(after, 10_000).await.expect("reads");
        let Some(last) = page.last() else { break };
        after = last.pos;
    }
    println!("read: {:.0} entries/s", num_entries as f64 / begun.elapsed().as_secs_f64());
    let mut worst = Duration::ZERO;
    let (begun, cpu_before) = (Instant::now(), cpu());
    for at in 0..NUM_SYMBOLS {
        let query =
            TickQuery { symbol: SymbolId(at), start: Nanos::MIN, end: Nanos::MAX, before: None, limit: 100 };
        let asked = Instant::now();
        assert_eq!(log.ticks(&query).await.expect("finds").len(), 100);
        worst = worst.max(asked.elapsed());
    }
    println!(
        "latest 100 ticks of a symbol: {:?} on average ({:?} of CPU), {worst:?} at worst",
        begun.elapsed() / NUM_SYMBOLS,
        (cpu() - cpu_before) / NUM_SYMBOLS,
    );
    let begun = Instant::now();
    drop(log);
    let (symbols, sources) = tables();
    let log = SqliteLog::open(
        dir.path(),
        symbols,
        sources,
        SqliteSettings { part_entries: 1, ..SqliteSettings::default() },
    );
    let log = log.await.expect("opens");
    println!("open: {:?}", begun.elapsed());
    let rest = LogGroup { entries: vec![entry(num_entries + 1)], progress: None };
    log.append(&rest).await.expect("appends");
    let begun = Instant::now();
    let dropped = log.retain(Nanos(i64::MAX), u64::MAX).await.expect("drops");
    println!("dropping a part of {dropped} entries: {:?}", begun.elapsed());
}

/// Bytes of the database, whether they are in the file or still in its WAL.
async fn num_bytes(file: &Path) -> u64 {
    let url = format!("sqlite://{}?mode=ro", file.display());
    let mut conn = SqliteConnection::connect(&url).await.expect("connects");
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut conn).await.expect("counts");
    let size: i64 = sqlx::query_scalar("PRAGMA page_size").fetch_one(&mut conn).await.expect("knows");
    (pages * size).cast_unsigned()
}

async fn bars() {
    let dir = tempfile::tempdir().expect("a directory");
    let (symbols, sources) = tables();
    let settings = SqliteSettings::default();
    let history = SqliteHistory::open(dir.path(), symbols, sources, settings, 1).await.expect("opens");
    let widths = [1, 5, 15].map(|minutes| Width::new(minutes * MINUTE).expect("valid"));
    let num_minutes = 60;
    let (begun, cpu_before) = (Instant::now(), cpu());
    let mut num_rows = 0;
    for minute in 1..=num_minutes {
        let now = Nanos(BEGIN - BEGIN % (15 * MINUTE) + minute * MINUTE);
        let mut effects = Vec::new();
        for width in widths.into_iter().filter(|width| width.start_of(now) == now) {
            for symbol in (0..NUM_SYMBOLS).map(SymbolId) {
                let (bar, point) = window(symbol, width, now.plus(-width.nanos()), minute as u64);
                effects.extend([Effect::Bar(bar), Effect::Indicators(point)]);
            }
        }
        num_rows += effects.len();
        let batch = HistoryBatch {
            effects: vec![Arc::new(effects)],
            acknowledged: minute as u64,
            ..HistoryBatch::default()
        };
        history.write(&batch).await.expect("writes");
    }
    let (took, cpu_took) = (begun.elapsed(), cpu() - cpu_before);
    println!(
        "history: {:.0} rows/s, {:.2} s of CPU per million, {} bytes each",
        num_rows as f64 / took.as_secs_f64(),
        cpu_took.as_secs_f64() * 1e6 / num_rows as f64,
        num_bytes(&dir.path().join("history.db")).await / num_rows as u64,
    );
}

fn window(symbol: SymbolId, width: Width, start: Nanos, log_pos: u64) -> (Bar, IndicatorPoint) {
    let price = Price(123_450_000_000 + i64::from(symbol.0));
    let bar = Bar {
        symbol,
        width,
        start,
        open: price,
        high: price,
        low: price,
        close: price,
        volume: 12_345_600_000_000,
        vwap: Some(price.0),
        trade_count: 600,
        state: BarState::Closed,
        origin: BarOrigin::Trades,
        revision: 0,
        coverage: 1.0,
        late: 0,
        duplicates: 0,
        cancelled: 0,
        seq: log_pos,
        log_pos,
    };
    let value = Some(123.45 + f64::from(symbol.0) / 7.0);
    let values = IndicatorValues {
        sma_20: value,
        sma_50: value,
        sma_200: value,
        ema_12: value,
        ema_26: value,
        rsi_14: value,
        macd: value,
        macd_signal: value,
        macd_histogram: value,
        bb_upper: value,
        bb_middle: value,
        bb_lower: value,
    };
    let point = IndicatorPoint { symbol, width, start, close: price, vwap: bar.vwap, values, log_pos };
    (bar, point)
}
