//! What stands in a data directory: every row of the history as text, and what they must be by the log.

use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, Executor, SqlitePool};
use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use tickwire::actors::sinks::history::HistorySink;
use tickwire::actors::sinks::{Sink, SinkBatch};
use tickwire::config::Config;
use tickwire::models::detection::settings::DetectionSettings;
use tickwire::models::effect::Effect;
use tickwire::models::entry::{Entry, Position};
use tickwire::models::ledger::Ledger;
use tickwire::models::report::AcceptedReport;
use tickwire::models::settings::CoreSettings;
use tickwire::models::state::SymbolState;
use tickwire::models::symbol::SymbolId;
use tickwire::names::{Names, SourceTable, SymbolTable};
use tickwire::stores::history::sqlite::SqliteHistory;
use tickwire::stores::log::sqlite::SqliteLog;
use tickwire::stores::log::{CheckpointStore, LogReader, Partition};

/// Runs a future to its end.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Tables that tell symbols by number.
const EXACT: [&str; 2] = ["bars", "indicators"];
/// Relations that tell them by name. Alerts follow the wall clock, and not the log.
const NAMED: [&str; 5] =
    ["aggregated_data", "technical_indicators", "dead_letters", "anomalies", "predictions"];

/// Returns every row of the history, all columns, exactly, in an order of its own. Numbers that a file gives to its
/// symbols and dead letters are left out: they follow from the order in which it met them.
pub fn history_rows(dir: &Path) -> Vec<String> {
    block_on(async {
        let pool = open(&dir.join("history.db")).await;
        let mut rows = Vec::new();
        for table in EXACT {
            let columns = columns(&pool, table, "symbol").await;
            let sql =
                format!("SELECT '{table}|' || name || {columns} FROM {table} JOIN symbols ON id = symbol");
            rows.extend(texts(&pool, &sql).await);
        }
        for relation in NAMED {
            let columns = columns(&pool, relation, "id").await;
            rows.extend(texts(&pool, &format!("SELECT '{relation}' || {columns} FROM {relation}")).await);
        }
        pool.close().await;
        rows.sort();
        rows
    })
}

/// Runs one statement on a file of the directory. Returns how many rows it has changed.
pub fn execute(dir: &Path, file: &str, sql: &str) -> u64 {
    block_on(async {
        let pool = open(&dir.join(file)).await;
        let done = pool.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
        pool.close().await;
        done.rows_affected()
    })
}

/// Overwrites the first page of the newest table whose name begins so: the file can still be opened, and nothing can be
/// read from the table or written to it.
pub fn damage_table(dir: &Path, file: &str, name: &str) {
    let path = dir.join(file);
    let (page, page_bytes): (i64, i64) = block_on(async {
        let pool = open(&path).await;
        // What stands in the write-ahead log would heal it.
        pool.execute("PRAGMA wal_checkpoint(TRUNCATE)").await.unwrap();
        let sql = "SELECT rootpage FROM sqlite_schema WHERE type = 'table' AND name GLOB ? || '*' ORDER BY name DESC";
        let page = sqlx::query_scalar(sql).bind(name).fetch_one(&pool).await.unwrap();
        let page_bytes = sqlx::query_scalar("PRAGMA page_size").fetch_one(&pool).await.unwrap();
        pool.close().await;
        (page, page_bytes)
    });
    let mut bytes = std::fs::read(&path).unwrap();
    let from = usize::try_from((page - 1) * page_bytes).unwrap();
    bytes[from..from + usize::try_from(page_bytes).unwrap()].fill(0x5A);
    std::fs::write(&path, bytes).unwrap();
}

/// Returns number and revision of each bar of a symbol and a width in nanoseconds, by number.
pub fn bar_numbers(dir: &Path, symbol: &str, width: i64) -> Vec<(u64, u64)> {
    block_on(async {
        let pool = open(&dir.join("history.db")).await;
        let sql = "SELECT seq, revision FROM bars JOIN symbols ON id = symbol WHERE name = ? AND width = ? ORDER BY seq";
        let rows: Vec<(i64, i64)> =
            sqlx::query_as(sql).bind(symbol).bind(width).fetch_all(&pool).await.unwrap();
        pool.close().await;
        rows.into_iter().map(|(seq, revision)| (seq.cast_unsigned(), revision.cast_unsigned())).collect()
    })
}

/// Makes a database that is not ours.
pub fn create_file(file: &Path) {
    block_on(async {
        let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
        let pool = SqlitePoolOptions::new().connect_with(options).await.unwrap();
        pool.execute("CREATE TABLE songs (title TEXT)").await.unwrap();
        pool.close().await;
    });
}

/// Flips a bit in the checkpoints of a data directory: the newest of each symbol, or all. Returns how many symbols
/// have a checkpoint, and how many checkpoints there are.
pub fn damage_checkpoints(dir: &Path, only_newest: bool) -> (usize, usize) {
    block_on(async {
        let pool = open(&dir.join("log.db")).await;
        let sql = "SELECT symbol, pos, bytes FROM checkpoints ORDER BY symbol, pos DESC";
        let checkpoints: Vec<(String, i64, Vec<u8>)> = sqlx::query_as(sql).fetch_all(&pool).await.unwrap();
        let num_checkpoints = checkpoints.len();
        let (mut last, mut num_symbols) = (String::new(), 0);
        for (symbol, pos, mut bytes) in checkpoints {
            let is_newest = last != symbol;
            last.clone_from(&symbol);
            num_symbols += usize::from(is_newest);
            if only_newest && !is_newest {
                continue;
            }
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x40;
            let update = sqlx::query("UPDATE checkpoints SET bytes = ? WHERE symbol = ? AND pos = ?");
            update.bind(bytes).bind(symbol).bind(pos).execute(&pool).await.unwrap();
        }
        pool.close().await;
        (num_symbols, num_checkpoints)
    })
}

async fn open(file: &Path) -> SqlitePool {
    let options = SqliteConnectOptions::new().filename(file);
    SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap()
}

async fn columns(pool: &SqlitePool, relation: &str, without: &str) -> String {
    // A checksum covers the number that the file gave the symbol.
    let sql = format!(
        "SELECT name FROM pragma_table_info('{relation}') WHERE name NOT IN ('{without}', 'checksum')"
    );
    let names = texts(pool, &sql).await;
    assert!(!names.is_empty(), "{relation}");
    names.iter().map(|name| format!("'|' || quote(\"{name}\")")).collect::<Vec<_>>().join(" || ")
}

async fn texts(pool: &SqlitePool, sql: &str) -> Vec<String> {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_all(pool).await.unwrap()
}

/// Compares rows, and shows the first that differ.
pub fn assert_same_rows(expected: &[String], found: &[String], context: &str) {
    assert!(!expected.is_empty(), "{context}: nothing was compared");
    if expected == found {
        return;
    }
    let missing: Vec<_> = expected.iter().filter(|row| found.binary_search(row).is_err()).collect();
    let extra: Vec<_> = found.iter().filter(|row| expected.binary_search(row).is_err()).collect();
    let (first_missing, first_extra) = (&missing[..missing.len().min(4)], &extra[..extra.len().min(4)]);
    panic!(
        "{context}: {} rows for {}; {} missing: {first_missing:#?}\n{} not expected: {first_extra:#?}",
        found.len(),
        expected.len(),
        missing.len(),
        extra.len()
    );
}

/// Reads the whole log of a data directory that nobody uses, and checks that no position comes twice.
pub fn log_entries(dir: &Path) -> Vec<Entry> {
    block_on(async {
        let (symbols, sources) = (Arc::<SymbolTable>::default(), Arc::<SourceTable>::default());
        let settings = Config::default().sqlite_settings();
        let log = SqliteLog::open(dir, symbols, sources, settings).await.unwrap();
        read_all(&log).await
    })
}

/// Reads where the log of a data directory ends.
pub fn log_end(dir: &Path) -> Position {
    block_on(async {
        let (symbols, sources) = (Arc::<SymbolTable>::default(), Arc::<SourceTable>::default());
        let settings = Config::default().sqlite_settings();
        let log = SqliteLog::open(dir, symbols, sources, settings).await.unwrap();
        log.tail().await.unwrap().last
    })
}

async fn read_all(log: &SqliteLog) -> Vec<Entry> {
    let (mut entries, mut after): (Vec<Entry>, Position) = (Vec::new(), 0);
    loop {
        let page = log.read(after, 50_000).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page[0].pos > after && page.is_sorted_by(|a, b| a.pos < b.pos), "positions only grow");
        after = last.pos;
        entries.extend(page);
    }
    entries
}

/// What follows from a log.
pub struct Applied {
    pub effects: Vec<Effect>,
    pub reports: Vec<AcceptedReport>,
    pub ledger: Ledger,
    pub symbols: Arc<SymbolTable>,
    pub sources: Arc<SourceTable>,
    pub epoch: u64,
}

/// Applies the log of a data directory to fresh states, one entry at a time.
pub fn apply_log(dir: &Path, core: CoreSettings, is_finished: bool) -> Applied {
    block_on(async {
        let (symbols, sources) = (Arc::<SymbolTable>::default(), Arc::<SourceTable>::default());
        let settings = Config::default().sqlite_settings();
        let log = SqliteLog::open(dir, Arc::clone(&symbols), Arc::clone(&sources), settings);
        let log = log.await.unwrap();
        let poison = log.poison(Partition::EMBEDDED).await.unwrap();
        // As a run has it where nothing else is configured.
        let detection = core.detection.clone().or(Some(DetectionSettings::default()));
        let core = Arc::new(CoreSettings { detection, ..core });
        let names = Names::interner(&symbols, &sources);
        let mut states: BTreeMap<SymbolId, SymbolState> = BTreeMap::new();
        let (mut effects, mut reports, mut looked_for) = (Vec::new(), Vec::new(), None);
        for entry in read_all(&log).await {
            if entry.body.is_broadcast() {
                looked_for = entry.body.looked_for().or(looked_for);
                states.values_mut().for_each(|state| state.apply(&[entry], &mut effects));
                continue;
            }
            let fresh = || {
                let spec = symbols.spec(entry.symbol);
                let mut state = SymbolState::new(entry.symbol, &spec, Arc::clone(&core), Arc::clone(&names));
                if let Some(document) = looked_for {
                    state.look_for(document);
                }
                state
            };
            let state = states.entry(entry.symbol).or_insert_with(fresh);
            if poison.contains(&entry.pos) {
                state.set_aside_poison(&entry, &mut effects);
                continue;
            }
            let (accepted, cancels) = (state.num_accepted(), state.num_cancels());
            state.apply(&[entry], &mut effects);
            let seq = state.num_accepted();
            if seq > accepted || state.num_cancels() > cancels {
                reports.push(AcceptedReport { seq: (seq > accepted).then_some(seq), entry });
            }
        }
        if is_finished {
            states.values_mut().for_each(|state| state.finish(&mut effects));
        }
        let mut ledger = Ledger::default();
        states.values().for_each(|state| ledger.merge(&state.ledger()));
        Applied { effects, reports, ledger, symbols, sources, epoch: log.epoch() }
    })
}

/// Applies the log of a data directory, and returns what the history must hold, and the outcomes of all reports.
pub fn rows_by_log(dir: &Path, core: CoreSettings, is_finished: bool) -> (Vec<String>, Ledger) {
    let fresh = tempfile::tempdir().unwrap();
    let Applied { effects, ledger, symbols, sources, epoch, .. } = apply_log(dir, core, is_finished);
    block_on(async {
        let settings = Config::default().sqlite_settings();
        let history = SqliteHistory::open(fresh.path(), Arc::clone(&symbols), sources, settings, epoch);
        let sink = HistorySink::new(Arc::new(history.await.unwrap()), Partition::EMBEDDED, symbols);
        for part in effects.chunks(20_000) {
            let batch = SinkBatch { effects: vec![Arc::new(part.to_vec())], ..SinkBatch::default() };
            sink.write(&batch).await.unwrap();
        }
    });
    (history_rows(fresh.path()), ledger)
}
