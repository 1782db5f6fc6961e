//! Reads everything in the log's file, says what is damaged, and mends what can be mended without guessing.
//!
//! Promises: every row is read as the program reads it, and every index of ticks is compared with the ticks. What is
//! mended: indexes of ticks are made anew, damaged checkpoints are deleted since others serve. An entry that is damaged is
//! deleted too, and lost.

use super::blocks::{BLOCK_ENTRIES, BlockSummary, OpenBlock, Run};
use super::file::KIND;
use super::parts::PartLine;
use super::{checkpoints, parts, rows, store, ticks};
use crate::models::entry::{Entry, Position};
use crate::models::state::SymbolState;
use crate::names::{SourceTable, SymbolTable};
use crate::stores::error::StoreError;
use crate::stores::sqlite::check::{CHECKING, Checked, File, PAGE_ROWS, Tell, check};
use crate::stores::sqlite::checked::{DIFFERS, Fault, damaged, get};
use crate::stores::sqlite::database::{begin, failed};
use crate::stores::sqlite::meta;
use crate::stores::sqlite::names::{Sources, Symbols};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, SqliteConnection};
use std::path::Path;

/// Checks the log of a directory that nobody uses.
///
/// # Errors
/// When the file cannot be read for a reason other than damage, or not be written where it should be mended.
pub async fn check_log(dir: &Path, mends: bool, tell: Tell<'_>) -> Result<Checked, StoreError> {
    check(dir, &KIND, mends, tell, read_log).await
}

async fn read_log(file: &mut File<'_>) -> Result<(), StoreError> {
    meta::get(&mut file.conn, file.name, "epoch").await?;
    let symbols = Symbols::load(&mut file.conn, file.name, &SymbolTable::default()).await?;
    let sources = Sources::load(&mut file.conn, file.name, &SourceTable::default()).await?;
    for row in file
        .small_table("progress", "SELECT key, value, checksum FROM progress", store::decode_progress)
        .await?
    {
        let key = get::<String>(&row, 0).unwrap_or_else(|_| "unreadable".to_owned());
        file.found_row("progress", format_args!("key `{}`", key.escape_debug()), &Fault::new(DIFFERS), false);
    }
    read_checkpoints(file).await?;
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

/// Reads the checkpoints; damaged ones may go, since the one before serves.
async fn read_checkpoints(file: &mut File<'_>) -> Result<(), StoreError> {
    let mends = file.mends;
    let headers = "SELECT partition, slice, covers_through, context, checksum FROM checkpoint_sets";
    for row in file.small_table("checkpoint_sets", headers, checkpoints::decode_header).await? {
        let fault = Fault::new("its checksum differs; the one before serves");
        file.found_row("checkpoint_sets", "a row", &fault, mends);
        if mends {
            let [partition, slice, covers_through]: [i64; 3] =
                [0, 1, 2].map(|at| get(&row, at).unwrap_or(-1));
            file.execute(format!(
                "DELETE FROM checkpoint_sets WHERE partition = {partition} AND slice = {slice} \
                 AND covers_through = {covers_through}"
            ))
            .await?;
        }
    }
    let is_sound = |row: &SqliteRow| {
        let checkpoint = checkpoints::decode_checkpoint(row)?;
        if SymbolState::is_whole(&checkpoint.bytes) { Ok(()) } else { Err(Fault::new("it is damaged")) }
    };
    let states = "SELECT symbol, pos, bytes, rowid FROM checkpoints";
    for row in file.small_table("checkpoints", states, is_sound).await? {
        let symbol = get::<String>(&row, 0).unwrap_or_else(|_| "unreadable".to_owned());
        let (pos, rowid): (i64, i64) = (get(&row, 1).unwrap_or(-1), get(&row, 3).unwrap_or(-1));
        let fault = Fault::new("its checksum differs; the one before serves");
        let place = format_args!("symbol `{}`, position {pos}", symbol.escape_debug());
        file.found_row("checkpoints", place, &fault, mends);
        if mends {
            file.execute(format!("DELETE FROM checkpoints WHERE rowid = {rowid}")).await?;
        }
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
