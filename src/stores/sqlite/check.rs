//! Reads everything in the two files, says what is damaged, and mends what can be mended without guessing.
//!
//! Promises: every row is read as the program reads it, by type and checksum, and every index of ticks is compared with
//! the ticks; SQLite's own check of the file's structure comes before. Without `mends` nothing is changed but that a file
//! of an earlier version is migrated.
//! What is mended: damaged rows of the history are deleted, for the caller to work out again; indexes of ticks are made
//! anew. An entry of the log that is damaged is deleted too, and lost. Damage to the structure of a file or to its names is only said.

use super::blocks::{BLOCK_ENTRIES, BlockSummary, OpenBlock, Run};
use super::checked::{DIFFERS, Fault, damaged, get};
use super::database::{Database, FileKind, begin, failed};
use super::names::{Sources, Symbols};
use super::parts::PartLine;
use super::{SqliteSettings, dead_letters, history, log, meta, parts, points, rows, ticks, windows};
use crate::models::entry::{Entry, Position};
use crate::models::source::SourceTable;
use crate::models::state::SymbolState;
use crate::models::symbol::SymbolTable;
use crate::stores::StoreError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection};
use std::path::Path;

const CHECKING: &str = "failed to check a file";

/// How findings of SQLite's own check begin.
const STRUCTURE: &str = "the structure of the file";

/// Rows that are read at once.
const PAGE_ROWS: usize = 10_000;

/// One thing that is wrong, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// File, table, row, and what is wrong with it.
    pub text: String,
    /// True when it is no more.
    pub is_mended: bool,
}

impl Finding {
    fn is_structural(&self) -> bool {
        self.text.contains(STRUCTURE)
    }
}

/// The row of a bar or of indicators in its file: number of the symbol, width, start.
pub type WindowKey = (i64, i64, i64);

/// What a check of one file came to.
#[derive(Debug, Default)]
pub struct Checked {
    /// Rows read.
    pub num_rows: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// The log's last position.
    pub last: Position,
    /// Positions that the log does not hold between its first and its last.
    pub num_missing: u64,
    /// Windows whose bar or indicators were damaged.
    pub windows: Vec<(&'static str, WindowKey)>,
    /// Damaged dead letters, by their place in the log where they have one.
    pub letters: Vec<Option<i64>>,
}

/// Hears how far a check has come: which table, and how many of its rows.
pub type Tell<'a> = &'a mut dyn FnMut(&str, u64);

/// A file under check.
struct File<'a> {
    name: &'static str,
    conn: SqliteConnection,
    mends: bool,
    tell: Tell<'a>,
    checked: Checked,
}

impl File<'_> {
    fn found(&mut self, error: &StoreError, is_mended: bool) {
        let text = match error {
            StoreError::Permanent { cause, .. } | StoreError::Transient { cause, .. } => cause,
        };
        let text = text.trim_end_matches("; `tickwire check` finds every such row").to_owned();
        self.checked.findings.push(Finding { text, is_mended });
    }

    fn found_row(&mut self, table: &str, row: impl std::fmt::Display, fault: &Fault, is_mended: bool) {
        self.found(&damaged(self.name, table, row, fault), is_mended);
    }

    /// Asks SQLite whether the file's structure is sound.
    async fn structure(&mut self) {
        let said: Result<Vec<String>, sqlx::Error> =
            sqlx::query_scalar("PRAGMA integrity_check(20)").fetch_all(&mut self.conn).await;
        let faults = match said {
            Ok(lines) => lines.into_iter().filter(|line| line != "ok").collect(),
            Err(error) => vec![error.to_string()],
        };
        for fault in faults {
            let text = format!("`{}`, {STRUCTURE}: {}", self.name, fault.replace('\n', " "));
            self.checked.findings.push(Finding { text, is_mended: false });
        }
    }

    /// Compares what the migrations make of a new file with what this one has under the same names. Parts of the log
    /// and the view over them come and go, and are no part of that.
    async fn definitions(&mut self, kind: &FileKind) -> Result<(), StoreError> {
        const DEFINITIONS: &str = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL";
        let new = SqliteConnectOptions::new().in_memory(true).disable_statement_logging();
        let mut new = new.connect().await.map_err(failed(CHECKING))?;
        let migrated = kind.migrator.run(&mut new).await;
        migrated.expect("the migrations make a file from nothing, or none could have been opened");
        let expected: Vec<(String, String)> =
            sqlx::query_as(DEFINITIONS).fetch_all(&mut new).await.map_err(failed(CHECKING))?;
        let rows = sqlx::query(DEFINITIONS).fetch_all(&mut self.conn).await.map_err(failed(CHECKING))?;
        let read = |row: &SqliteRow| Ok::<(String, String), Fault>((get(row, 0)?, get(row, 1)?));
        let here: Vec<_> = rows.iter().filter_map(|row| read(row).ok()).collect();
        for definition in &expected {
            if !here.contains(definition) {
                let text = format!("`{}`, {STRUCTURE}: `{}` is defined otherwise", self.name, definition.0);
                self.checked.findings.push(Finding { text, is_mended: false });
            }
        }
        new.close().await.map_err(failed(CHECKING))
    }

    /// Reads all rows of a query that need not be paged, and returns the numbers of those that are damaged.
    async fn small_table<T>(
        &mut self,
        table: &str,
        sql: &'static str,
        decode: impl Fn(&SqliteRow) -> Result<T, Fault>,
    ) -> Result<Vec<SqliteRow>, StoreError> {
        let rows = sqlx::query(sql).fetch_all(&mut self.conn).await.map_err(failed(CHECKING))?;
        self.checked.num_rows += rows.len() as u64;
        (self.tell)(table, rows.len() as u64);
        Ok(rows.into_iter().filter(|row| decode(row).is_err()).collect())
    }

    async fn execute(&mut self, sql: String) -> Result<(), StoreError> {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut self.conn).await.map(|_| ()).map_err(failed(CHECKING))
    }
}

async fn open<'a>(
    dir: &Path,
    kind: &FileKind,
    mends: bool,
    tell: Tell<'a>,
) -> Result<Result<File<'a>, Checked>, StoreError> {
    let name = kind.name;
    let unusable = |error: &StoreError| Checked {
        findings: vec![Finding { text: format!("`{name}` cannot be opened: {error}"), is_mended: false }],
        ..Checked::default()
    };
    if !dir.join(name).exists() {
        let finding = Finding { text: format!("`{name}` is missing"), is_mended: false };
        return Ok(Err(Checked { findings: vec![finding], ..Checked::default() }));
    }
    let database = match Database::open(dir, kind, &SqliteSettings::default()).await {
        Ok(database) => database,
        Err(error) if error.is_transient() => return Err(error),
        Err(error) => return Ok(Err(unusable(&error))),
    };
    let conn = database.connect().await?;
    Ok(Ok(File { name, conn, mends, tell, checked: Checked::default() }))
}

/// Checks the log of a directory that nobody uses.
///
/// # Errors
/// When the file cannot be read for a reason other than damage, or not be written where it should be mended.
pub async fn check_log(dir: &Path, mends: bool, tell: Tell<'_>) -> Result<Checked, StoreError> {
    let mut file = match open(dir, &log::KIND, mends, tell).await? {
        Ok(file) => file,
        Err(unusable) => return Ok(unusable),
    };
    file.structure().await;
    let read = match file.definitions(&log::KIND).await {
        Ok(()) => read_log(&mut file).await,
        Err(error) => Err(error),
    };
    finish(file, read).await
}

/// Checks the history of a directory that nobody uses.
///
/// # Errors
/// As [`check_log`].
pub async fn check_history(dir: &Path, mends: bool, tell: Tell<'_>) -> Result<Checked, StoreError> {
    let mut file = match open(dir, &history::KIND, mends, tell).await? {
        Ok(file) => file,
        Err(unusable) => return Ok(unusable),
    };
    file.structure().await;
    let read = match file.definitions(&history::KIND).await {
        Ok(()) => read_history(&mut file).await,
        Err(error) => Err(error),
    };
    finish(file, read).await
}

/// A file that cannot be read on is damaged there.
async fn finish(mut file: File<'_>, read: Result<(), StoreError>) -> Result<Checked, StoreError> {
    match read {
        Ok(()) => {}
        Err(error) if error.is_transient() => return Err(error),
        Err(error) => file.found(&error, false),
    }
    if file.mends && file.checked.findings.iter().any(Finding::is_structural) {
        // What SQLite found may have been in rows that are deleted by now, or in an index. What it says next tells
        // whether this helped.
        if let Err(error) = file.execute("REINDEX".to_owned()).await {
            tracing::debug!(%error, "the indexes cannot be made anew");
        }
        let before = file.checked.findings.len();
        file.structure().await;
        let still = file.checked.findings.split_off(before);
        for finding in &mut file.checked.findings {
            finding.is_mended |= finding.is_structural() && !still.contains(finding);
        }
    }
    file.conn.close().await.map_err(failed(CHECKING))?;
    Ok(file.checked)
}

async fn read_log(file: &mut File<'_>) -> Result<(), StoreError> {
    meta::get(&mut file.conn, file.name, "epoch").await?;
    let symbols = Symbols::load(&mut file.conn, file.name, &SymbolTable::default()).await?;
    let sources = Sources::load(&mut file.conn, file.name, &SourceTable::default()).await?;
    for row in file
        .small_table("progress", "SELECT key, value, checksum FROM progress", log::decode_progress)
        .await?
    {
        let key = get::<String>(&row, 0).unwrap_or_else(|_| "unreadable".to_owned());
        file.found_row("progress", format_args!("key `{}`", key.escape_debug()), &Fault::new(DIFFERS), false);
    }
    let lines = "SELECT slice, good_to, context, checksum FROM point_sets";
    for row in file.small_table("point_sets", lines, points::decode_line).await? {
        let mends = file.mends;
        file.found_row(
            "point_sets",
            "a row",
            &Fault::new("its checksum differs; the one before serves"),
            mends,
        );
        if mends {
            let (slice, good_to): (i64, i64) = (get(&row, 0).unwrap_or(-1), get(&row, 1).unwrap_or(-1));
            file.execute(format!("DELETE FROM point_sets WHERE slice = {slice} AND good_to = {good_to}"))
                .await?;
        }
    }
    let is_sound = |row: &SqliteRow| {
        let point = points::decode_point(row, &symbols)?;
        if SymbolState::is_whole(&point.bytes) { Ok(()) } else { Err(Fault::new("it is damaged")) }
    };
    for row in file.small_table("points", "SELECT symbol, pos, bytes FROM points", is_sound).await? {
        let (symbol, pos): (i64, i64) = (get(&row, 0).unwrap_or(-1), get(&row, 1).unwrap_or(-1));
        let mends = file.mends;
        let fault = Fault::new("its checksum differs; the one before serves");
        file.found_row("points", format_args!("symbol {symbol}, position {pos}"), &fault, mends);
        if mends {
            file.execute(format!("DELETE FROM points WHERE symbol = {symbol} AND pos = {pos}")).await?;
        }
    }
    let blocks = "SELECT first_pos, last_pos, part, entries, ts_min, ts_max, newest, checksum FROM blocks";
    for row in file.small_table("blocks", blocks, parts::decode_block).await? {
        let first: i64 = get(&row, 0).unwrap_or(-1);
        let mends = file.mends;
        file.found_row("blocks", format_args!("first position {first}"), &Fault::new(DIFFERS), mends);
        if mends {
            file.execute(format!("DELETE FROM blocks WHERE first_pos = {first}")).await?;
        }
    }
    for part in parts::lines(&mut file.conn).await? {
        let before = file.checked.last;
        file.checked.last = read_part(file, &part, before, &symbols, &sources).await?;
    }
    Ok(())
}

/// Reads a part's entries and compares its index with them. Returns the last position.
async fn read_part(
    file: &mut File<'_>,
    part: &PartLine,
    before: Position,
    symbols: &Symbols,
    sources: &Sources,
) -> Result<Position, StoreError> {
    let number = part.number;
    let table = format!("log_{number:06}");
    let sql = format!("SELECT {} FROM {table} WHERE pos > ? ORDER BY pos LIMIT {PAGE_ROWS}", rows::COLUMNS);
    let (mut bad, mut index, mut last) = (Vec::new(), Index::open(file, part).await?, before);
    let (mut after, mut num_rows) = (i64::MIN, 0);
    loop {
        let page = sqlx::query(AssertSqlSafe(sql.clone()))
            .bind(after)
            .fetch_all(&mut file.conn)
            .await
            .map_err(failed(CHECKING))?;
        let Some(newest) = page.last() else { break };
        after = get(newest, 0).map_err(|fault| damaged(file.name, &table, "a row", &fault))?;
        num_rows += page.len() as u64;
        for row in &page {
            match rows::decode_row(row, symbols, sources) {
                Ok(entry) => {
                    if last != 0 {
                        file.checked.num_missing += entry.pos.saturating_sub(last + 1);
                    }
                    last = entry.pos;
                    index.push(file, &entry, symbols).await?;
                }
                Err(fault) => {
                    let pos: i64 =
                        get(row, 0).map_err(|fault| damaged(file.name, &table, "a row", &fault))?;
                    let end = if file.mends { ", so it was deleted: what it said is lost" } else { "" };
                    let fault = Fault::new(format!("{fault}{end}"));
                    file.found_row(&table, format_args!("position {pos}"), &fault, false);
                    bad.push(pos);
                }
            }
        }
        (file.tell)(&table, num_rows);
    }
    file.checked.num_rows += num_rows;
    // A block that lacks a row cannot be compared: its index is made anew without it.
    let is_index_damaged = index.close(file, symbols).await? && bad.is_empty();
    if is_index_damaged {
        let mends = file.mends;
        file.found_row(
            &format!("runs_{number:06}"),
            "the index",
            &Fault::new("it does not fit the entries"),
            mends,
        );
    }
    if file.mends && (is_index_damaged || !bad.is_empty()) {
        for pos in &bad {
            file.execute(format!("DELETE FROM {table} WHERE pos = {pos}")).await?;
        }
        make_index(file, part, symbols, sources).await?;
    }
    Ok(last)
}

/// The index of a part, while it is compared with the entries.
struct Index {
    part: u32,
    /// The part takes no more entries: each of them is in a block.
    is_finished: bool,
    blocks: std::iter::Peekable<std::vec::IntoIter<BlockSummary>>,
    open: OpenBlock,
    is_damaged: bool,
}

impl Index {
    async fn open(file: &mut File<'_>, part: &PartLine) -> Result<Index, StoreError> {
        let (blocks, is_damaged) = match parts::blocks(&mut file.conn).await {
            Ok(blocks) => (blocks, false),
            Err(error) if error.is_transient() => return Err(error),
            Err(_) => (Vec::new(), true),
        };
        let blocks: Vec<_> = blocks.into_iter().filter(|block| block.part == part.number).collect();
        Ok(Index {
            part: part.number,
            is_finished: part.finished.is_some(),
            blocks: blocks.into_iter().peekable(),
            open: OpenBlock::default(),
            is_damaged,
        })
    }

    async fn push(
        &mut self,
        file: &mut File<'_>,
        entry: &Entry,
        symbols: &Symbols,
    ) -> Result<(), StoreError> {
        while self.blocks.peek().is_some_and(|block| entry.pos > block.last) {
            self.compare(file, symbols).await?;
        }
        match self.blocks.peek() {
            Some(block) if entry.pos >= block.first => self.open.push(entry),
            Some(_) => self.is_damaged = true,
            None => self.is_damaged |= self.is_finished,
        }
        Ok(())
    }

    async fn compare(&mut self, file: &mut File<'_>, symbols: &Symbols) -> Result<(), StoreError> {
        let Some(block) = self.blocks.next() else { return Ok(()) };
        let expected = std::mem::take(&mut self.open);
        let sql = format!(
            "SELECT block, symbol, first_pos, ts_min, ts_max, count, offsets FROM runs_{:06} WHERE block = ? \
             ORDER BY symbol, first_pos",
            self.part
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(block.first.cast_signed())
            .fetch_all(&mut file.conn)
            .await
            .map_err(failed(CHECKING))?;
        file.checked.num_rows += rows.len() as u64 + 1;
        let stored = |row: &SqliteRow| Ok::<(u32, Run), Fault>((get(row, 1)?, ticks::decode_run(row)?));
        let stored: Result<Vec<(u32, Run)>, Fault> = rows.iter().map(stored).collect();
        let mut runs: Vec<(u32, Run)> = expected
            .runs()
            .filter_map(|(symbol, run)| {
                Some((symbols.stored(symbol)?, Run { last: run.first, ..run.clone() }))
            })
            .collect();
        runs.sort_unstable_by_key(|(symbol, run)| (*symbol, run.first));
        self.is_damaged |= stored != Ok(runs) || expected.summary(self.part) != block;
        Ok(())
    }

    /// Compares what is left. Returns whether anything did not fit.
    async fn close(mut self, file: &mut File<'_>, symbols: &Symbols) -> Result<bool, StoreError> {
        while self.blocks.peek().is_some() {
            self.compare(file, symbols).await?;
        }
        Ok(self.is_damaged)
    }
}

/// Makes the index of a part anew from its entries. The rest that is smaller than a block stays open, as in a log that
/// is being written, unless the part is finished.
async fn make_index(
    file: &mut File<'_>,
    part: &PartLine,
    symbols: &Symbols,
    sources: &Sources,
) -> Result<(), StoreError> {
    begin(&mut file.conn).await?;
    let made = write_index(&mut file.conn, part, symbols, sources).await;
    let end = if made.is_ok() { "COMMIT" } else { "ROLLBACK" };
    made.and(file.execute(end.to_owned()).await)
}

async fn write_index(
    conn: &mut SqliteConnection,
    part: &PartLine,
    symbols: &Symbols,
    sources: &Sources,
) -> Result<(), StoreError> {
    let number = part.number;
    for sql in [
        format!("DELETE FROM runs_{number:06}"),
        format!("DELETE FROM blocks WHERE part = {number}"),
        // One whose row is damaged may say another part.
        format!("DELETE FROM blocks WHERE first_pos IN (SELECT pos FROM log_{number:06})"),
    ] {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *conn).await.map_err(failed(CHECKING))?;
    }
    let sql = format!(
        "SELECT {} FROM log_{number:06} WHERE pos > ? ORDER BY pos LIMIT {BLOCK_ENTRIES}",
        rows::COLUMNS
    );
    let mut after = 0;
    loop {
        let page = sqlx::query(AssertSqlSafe(sql.clone()))
            .bind(after)
            .fetch_all(&mut *conn)
            .await
            .map_err(failed(CHECKING))?;
        let is_whole = page.len() as u64 == BLOCK_ENTRIES;
        if page.is_empty() || !is_whole && part.finished.is_none() {
            return Ok(());
        }
        let mut block = OpenBlock::default();
        for row in &page {
            block.push(&rows::decode(row, number, symbols, sources)?);
        }
        after = block.last.cast_signed();
        parts::write_block(conn, &block, number, symbols).await?;
    }
}

async fn read_history(file: &mut File<'_>) -> Result<(), StoreError> {
    for key in ["epoch", "acknowledged"] {
        meta::get(&mut file.conn, file.name, key).await?;
    }
    let symbols = Symbols::load(&mut file.conn, file.name, &SymbolTable::default()).await?;
    let bar = |row: &SqliteRow| windows::bar_of(row, &symbols).map(|_| ());
    let indicators = |row: &SqliteRow| windows::indicators_of(row, 0, &symbols).map(|_| ());
    read_windows(file, "bars", windows::BAR_SELECT.as_str(), bar).await?;
    read_windows(file, "indicators", windows::INDICATOR_SELECT.as_str(), indicators).await?;
    read_letters(file).await
}

async fn read_windows(
    file: &mut File<'_>,
    table: &'static str,
    columns: &str,
    decode: impl Fn(&SqliteRow) -> Result<(), Fault>,
) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT {columns} FROM {table} WHERE (symbol, width, start) > (?, ?, ?) ORDER BY symbol, width, start \
         LIMIT {PAGE_ROWS}"
    );
    let (mut after, mut num_rows) = ((i64::MIN, i64::MIN, i64::MIN), 0);
    loop {
        let page = sqlx::query(AssertSqlSafe(sql.clone()))
            .bind(after.0)
            .bind(after.1)
            .bind(after.2)
            .fetch_all(&mut file.conn)
            .await
            .map_err(failed(CHECKING))?;
        if page.is_empty() {
            break;
        }
        num_rows += page.len() as u64;
        for row in &page {
            let key = || Ok::<WindowKey, Fault>((get(row, 0)?, get(row, 1)?, get(row, 2)?));
            let key = key().map_err(|fault| damaged(file.name, table, "a key", &fault))?;
            after = key;
            if let Err(fault) = decode(row) {
                let mends = file.mends;
                file.found_row(table, windows::key_text(row, 0), &fault, mends);
                file.checked.windows.push((table, key));
            }
        }
        (file.tell)(table, num_rows);
    }
    file.checked.num_rows += num_rows;
    if file.mends {
        let damaged: Vec<WindowKey> =
            file.checked.windows.iter().filter(|(of, _)| *of == table).map(|(_, key)| *key).collect();
        for (symbol, width, start) in damaged {
            file.execute(format!(
                "DELETE FROM {table} WHERE symbol = {symbol} AND width = {width} AND start = {start}"
            ))
            .await?;
        }
    }
    Ok(())
}

async fn read_letters(file: &mut File<'_>) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT {}, id FROM dead_letters WHERE id > ? ORDER BY id LIMIT {PAGE_ROWS}",
        dead_letters::COLUMNS
    );
    let (mut after, mut num_rows, mut bad) = (i64::MIN, 0, Vec::new());
    loop {
        let page = sqlx::query(AssertSqlSafe(sql.clone()))
            .bind(after)
            .fetch_all(&mut file.conn)
            .await
            .map_err(failed(CHECKING))?;
        if page.is_empty() {
            break;
        }
        num_rows += page.len() as u64;
        for row in &page {
            after = get(row, 8).map_err(|fault| damaged(file.name, "dead_letters", "an id", &fault))?;
            if let Err(fault) = dead_letters::decode(row) {
                let mends = file.mends;
                file.found_row("dead_letters", format_args!("id {after}"), &fault, mends);
                file.checked.letters.push(get(row, 5).unwrap_or(None));
                bad.push(after);
            }
        }
        (file.tell)("dead_letters", num_rows);
    }
    file.checked.num_rows += num_rows;
    if file.mends {
        for id in bad {
            file.execute(format!("DELETE FROM dead_letters WHERE id = {id}")).await?;
        }
    }
    Ok(())
}

/// Returns those of the windows that the history of a directory does not hold.
///
/// # Errors
/// When the file cannot be read.
pub async fn missing_windows(
    dir: &Path,
    windows: &[(&'static str, WindowKey)],
) -> Result<Vec<(&'static str, WindowKey)>, StoreError> {
    let database = Database::open(dir, &history::KIND, &SqliteSettings::default()).await?;
    let mut conn = database.connect().await?;
    let mut missing = Vec::new();
    for (table, (symbol, width, start)) in windows {
        let sql =
            format!("SELECT EXISTS (SELECT 1 FROM {table} WHERE symbol = ? AND width = ? AND start = ?)");
        let is_there: bool = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(symbol)
            .bind(width)
            .bind(start)
            .fetch_one(&mut conn)
            .await
            .map_err(failed(CHECKING))?;
        if !is_there {
            missing.push((*table, (*symbol, *width, *start)));
        }
    }
    conn.close().await.map_err(failed(CHECKING))?;
    Ok(missing)
}
