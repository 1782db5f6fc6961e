//! The stores against real files, and against naive models of what they promise. Suites that every log, every end of a log
//! and every history passes run for all of them.

mod alerts;
mod consumers;
mod files;
mod history;
mod log;
mod plans;
mod property;
mod replica;
mod signals;

use crate::support::postgres::SharedPostgres;
use proptest::prelude::*;
use sqlx::{Column, Connection, Row, SqliteConnection};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use tickwire::clock::{Clock, SystemClock};
use tickwire::models::asset_class::AssetClass;
use tickwire::models::bar::{Bar, BarOrigin, BarState};
use tickwire::models::effect::{DeadLetter, DeadReason, Effect, IndicatorPoint};
use tickwire::models::entry::{
    Body, Cancel, Correction, Entry, Gap, Position, Quote, SourceId, Trade, TradeId, Updates, VenueBar,
};
use tickwire::models::indicators::IndicatorValues;
use tickwire::models::num::{Price, Scale, Size};
use tickwire::models::symbol::{PriceSource, SymbolDefinition, SymbolId, SymbolSpec, VenueSymbol};
use tickwire::models::time::{DAY, HOUR, MINUTE, Nanos, SECOND, Width};
use tickwire::names::{SourceTable, SymbolTable};
use tickwire::stores::StoreError;
use tickwire::stores::history::memory::MemoryHistory;
use tickwire::stores::history::postgres::migrate::{Migration, MigrationSettings};
use tickwire::stores::history::postgres::{PostgresHistory, PostgresSettings};
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

impl Names {
    /// Returns every log there is, each empty: the suite in `log` runs for all of them.
    async fn logs(&self, dir: &Path, settings: SqliteSettings) -> Vec<Box<dyn TickLog>> {
        let sqlite = self.log(dir, settings).await.expect("opens");
        vec![Box::new(sqlite), Box::new(MemoryLog::new())]
    }

    /// Returns every history there is, each empty: the suite in `history` runs for all of them.
    async fn histories(&self, dir: &Path) -> Histories {
        let sqlite = self.history(dir).await.expect("opens");
        let names = || (Arc::clone(&self.symbols), Arc::clone(&self.sources));
        let memory = MemoryHistory::new(names().0, names().1, usize::MAX);
        let mut all: Vec<Box<dyn History>> = vec![Box::new(sqlite), Box::new(memory)];
        let database = SharedPostgres::take("histories");
        if let Some(database) = &database {
            all.push(Box::new(self.postgres(&database.url).await.expect("opens")));
        }
        Histories { all, _database: database }
    }

    /// Makes the tables in a database, and opens it.
    async fn postgres(&self, url: &str) -> Result<PostgresHistory, StoreError> {
        let settings = PostgresSettings::of_url(url);
        Migration::begin(&settings, MigrationSettings::default()).await?.apply().await?;
        let (symbols, sources) = (Arc::clone(&self.symbols), Arc::clone(&self.sources));
        PostgresHistory::open(&settings, symbols, sources, EPOCH).await
    }
}

/// Histories, and the database of the one in PostgreSQL as long as they last.
struct Histories {
    all: Vec<Box<dyn History>>,
    _database: Option<SharedPostgres>,
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
