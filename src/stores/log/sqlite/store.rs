//! The log in SQLite: [`TickLog`] over parts, blocks and checkpoints.
//!
//! Rows are keyed by their position and nothing else, so that a commit only appends. What finds the ticks of a symbol
//! is written aside, once per block ([`super::blocks`]).
//!
//! Promises: readers see what was committed and nothing else; a caller that goes away halfway leaves a log that works.
//! On failure nothing of a group is there, and the same group may come again.

use super::blocks::{BLOCK_ENTRIES, BlockSummary, OpenBlock};
use super::file::{FILE_NAME, KIND};
use super::known::{Known, SharedKnown};
use super::parts::{Part, PartLine};
use super::{checkpoints, parts, rows, ticks};
use crate::clock::{Clock, SystemClock};
use crate::models::entry::{Entry, Position};
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use crate::names::{SourceTable, SymbolTable};
use crate::stores::error::StoreError;
use crate::stores::log::{
    Checkpoint, CheckpointSet, CheckpointStore, Checkpoints, CommitLog, LogGroup, LogReader, LogTail,
    Partition, Progress, TickLog, TickQuery,
};
use crate::stores::sqlite::checked::{Fault, checked_row, damaged, get, verify};
use crate::stores::sqlite::database::{Database, FileKind, begin, failed, settle};
use crate::stores::sqlite::meta;
use crate::stores::sqlite::names::{Sources, Symbols};
use crate::stores::sqlite::settings::SqliteSettings;
use async_trait::async_trait;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Connection, SqliteConnection};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Mutex;

/// The log in `log.db`.
pub struct SqliteLog {
    database: Database,
    settings: SqliteSettings,
    symbol_table: Arc<SymbolTable>,
    source_table: Arc<SourceTable>,
    epoch: u64,
    known: SharedKnown,
    writer: Mutex<Option<Writer>>,
}

/// The connection that appends, and the part it appends to.
struct Writer {
    conn: SqliteConnection,
    part: Part,
}

impl SqliteLog {
    /// Opens the log in the directory, or makes one. The symbols and sources it knows are added to the tables, in the
    /// order in which the log met them.
    ///
    /// # Errors
    /// [`StoreError::Permanent`] for a file that is damaged, foreign or of another version.
    pub async fn open(
        dir: &Path,
        symbols: Arc<SymbolTable>,
        sources: Arc<SourceTable>,
        settings: SqliteSettings,
    ) -> Result<SqliteLog, StoreError> {
        let kind = FileKind { checkpoint_pages: settings.log_checkpoint_pages(), ..KIND };
        let database = Database::open(dir, &kind, &settings).await?;
        let mut log = SqliteLog {
            database,
            settings,
            symbol_table: symbols,
            source_table: sources,
            epoch: 0,
            known: SharedKnown::default(),
            writer: Mutex::new(None),
        };
        let mut conn = log.database.connect().await?;
        // The migration that makes the table gives the log its name.
        meta::put_if_missing(&mut conn, "epoch", 0).await?;
        log.epoch = meta::get(&mut conn, FILE_NAME, "epoch").await?.cast_unsigned();
        let writer = log.load(conn).await?;
        log.known.read().symbols.check_scales(&log.symbol_table)?;
        log.writer = Mutex::new(Some(writer));
        Ok(log)
    }

    /// Opens the log of a directory to look things up, also while another process appends to it: what it holds at this
    /// moment is seen, and nothing is changed. What retention drops meanwhile is gone here too.
    ///
    /// # Errors
    /// [`StoreError::Permanent`] for a file that is missing, damaged, foreign or of another version.
    pub async fn open_to_read(
        dir: &Path,
        symbols: Arc<SymbolTable>,
        sources: Arc<SourceTable>,
        settings: SqliteSettings,
    ) -> Result<Arc<dyn LogReader>, StoreError> {
        const READING: &str = "failed to read the log";
        let database = Database::open_to_read(dir, &KIND, &settings).await?;
        let mut log = SqliteLog {
            database,
            settings,
            symbol_table: symbols,
            source_table: sources,
            epoch: 0,
            known: SharedKnown::default(),
            writer: Mutex::new(None),
        };
        let mut conn = log.database.connect().await?;
        // In one transaction, so that the names belong to the entries.
        sqlx::query("BEGIN").execute(&mut conn).await.map_err(failed(READING))?;
        log.epoch = meta::get(&mut conn, FILE_NAME, "epoch").await?.cast_unsigned();
        if let Some(mut part) = parts::newest(&mut conn).await? {
            let known = log.read_known(&mut conn, &mut part).await?;
            log.known.update(|current| *current = known);
        }
        log.known.read().symbols.check_scales(&log.symbol_table)?;
        sqlx::query("COMMIT").execute(&mut conn).await.map_err(failed(READING))?;
        conn.close().await.map_err(failed(READING))?;
        Ok(Arc::new(log))
    }

    /// Returns what names the log: see [`LogTail::epoch`].
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Takes the writer. Where an earlier call was dropped halfway there is none, and nobody knows whether it was
    /// committed: everything is read anew.
    async fn take_writer(&self, slot: &mut Option<Writer>) -> Result<Writer, StoreError> {
        match slot.take() {
            Some(writer) => Ok(writer),
            None => self.load(self.database.connect().await?).await,
        }
    }

    /// Reads what the file holds, and sees to it that there is a part to append to.
    async fn load(&self, mut conn: SqliteConnection) -> Result<Writer, StoreError> {
        let mut part = match parts::newest(&mut conn).await? {
            Some(part) => part,
            None => {
                begin(&mut conn).await?;
                let made = parts::create(&mut conn, parts::FIRST_PART, 1, wall_clock()).await;
                let (made, settled) = settle(conn, made).await;
                conn = match settled {
                    Some(conn) => conn,
                    None => self.database.connect().await?,
                };
                made?
            }
        };
        let known = self.read_known(&mut conn, &mut part).await?;
        self.known.update(|current| *current = known);
        Ok(Writer { conn, part })
    }

    /// Reads what the file holds, of whose parts `part` is the newest, and counts the entries of that.
    async fn read_known(&self, conn: &mut SqliteConnection, part: &mut Part) -> Result<Known, StoreError> {
        let mut known = Known {
            symbols: Symbols::load(conn, FILE_NAME, &self.symbol_table).await?,
            sources: Sources::load(conn, FILE_NAME, &self.source_table).await?,
            finished: parts::blocks(conn).await?,
            ..Known::default()
        };
        let finished_to = known.finished.last().map_or(0, |block| block.last);
        let mut after = finished_to;
        loop {
            let sql = AssertSqlSafe(format!(
                "SELECT {} FROM log_{:06} WHERE pos > ? ORDER BY pos LIMIT {BLOCK_ENTRIES}",
                rows::COLUMNS,
                part.number
            ));
            let page = sqlx::query(sql)
                .bind(after.cast_signed())
                .fetch_all(&mut *conn)
                .await
                .map_err(failed("failed to read the end of the log"))?;
            for row in &page {
                let entry = rows::decode(row, part.number, &known.symbols, &known.sources)?;
                known.open.push(&entry);
                after = entry.pos;
            }
            if page.is_empty() {
                break;
            }
        }
        part.entries = known.open.entries
            + known
                .finished
                .iter()
                .filter(|block| block.part == part.number)
                .map(|block| block.entries)
                .sum::<u64>();
        known.open_part = part.number;
        known.tail = LogTail {
            last: after,
            first: parts::first_position(conn).await?,
            dropped_through: parts::dropped_through(conn).await?,
            newest: known.open.newest.max(known.finished.last().and_then(|block| block.newest)),
            epoch: self.epoch,
        };
        Ok(known)
    }

    /// Does everything of a commit but the commit. Returns what readers may see once it is made.
    async fn write_group(&self, writer: &mut Writer, group: &LogGroup) -> Result<Step, StoreError> {
        let mut step = Step::default();
        let (symbols, sources, tail) = {
            let known = self.known.read();
            (known.symbols.clone(), known.sources.clone(), known.tail)
        };
        let conn = &mut writer.conn;
        if let Some(progress) = &group.progress {
            write_progress(conn, progress).await?;
        }
        let Some(first) = group.entries.first() else { return Ok(step) };
        if first.pos <= tail.last {
            return Err(StoreError::Permanent {
                context: "failed to append to the log",
                cause: format!("position {} is not after {}", first.pos, tail.last),
            });
        }
        step.symbols = symbols.persist(conn, &self.symbol_table).await?;
        step.sources = sources.persist(conn, &self.source_table).await?;
        let symbols = step.symbols.as_ref().unwrap_or(&symbols);
        let sources = step.sources.as_ref().unwrap_or(&sources);

        let now = wall_clock();
        if writer.part.is_full(&self.settings, now) {
            let open = self.known.read().open.clone();
            if open.entries != 0 {
                step.finished.push(parts::write_block(conn, &open, writer.part.number, symbols).await?);
            }
            parts::finish(conn, &writer.part, now).await?;
            writer.part = parts::create(conn, writer.part.number + 1, first.pos, now).await?;
            step.next_block = Some(OpenBlock::default());
        }
        insert_entries(conn, &writer.part, &group.entries, symbols, sources).await?;
        writer.part.entries += group.entries.len() as u64;

        let open_entries = match &step.next_block {
            Some(_) => 0,
            None => self.known.read().open.entries,
        };
        if open_entries + group.entries.len() as u64 >= BLOCK_ENTRIES {
            // The block is completed on a copy: what readers see changes only with the commit.
            let mut full = step.next_block.take().unwrap_or_else(|| self.known.read().open.clone());
            group.entries.iter().for_each(|entry| full.push(entry));
            step.finished.push(parts::write_block(conn, &full, writer.part.number, symbols).await?);
            step.next_block = Some(OpenBlock::default());
            step.group_is_indexed = true;
        }
        step.part = writer.part.number;
        Ok(step)
    }

    /// Lets readers see a committed group.
    fn publish(&self, step: Step, entries: &[Entry]) {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return };
        self.known.update(|known| {
            if let Some(symbols) = step.symbols {
                known.symbols = symbols;
            }
            if let Some(sources) = step.sources {
                known.sources = sources;
            }
            let newest_finished = step.finished.iter().filter_map(|block| block.newest).max();
            known.finished.extend(step.finished);
            if let Some(block) = step.next_block {
                known.open = block;
            }
            if !step.group_is_indexed {
                entries.iter().for_each(|entry| known.open.push(entry));
            }
            known.open_part = step.part;
            if known.tail.first == 0 {
                known.tail.first = first.pos;
            }
            known.tail.last = last.pos;
            known.tail.newest = known.tail.newest.max(newest_finished).max(known.open.newest);
        });
    }

    /// Reads entries after a position that meet a condition, in order.
    async fn read_where(
        &self,
        condition: Option<&str>,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        const READING: &str = "failed to read the log";
        let mut found = Vec::new();
        // One transaction sees the parts and their rows as of one moment, whatever retention drops meanwhile.
        let mut transaction = self.database.readers().begin().await.map_err(failed(READING))?;
        let parts = parts::lines(&mut transaction).await?;
        for (at, PartLine { number: part, .. }) in parts.iter().enumerate() {
            let next_first = parts.get(at + 1).map(|next| next.first);
            if next_first.is_some_and(|first| first <= after.saturating_add(1)) || found.len() >= limit {
                continue;
            }
            let sql = format!(
                "SELECT {} FROM log_{part:06} WHERE pos > ? AND {} ORDER BY pos LIMIT ?",
                rows::COLUMNS,
                condition.unwrap_or("true")
            );
            let page = sqlx::query(AssertSqlSafe(sql))
                .bind(i64::try_from(after).unwrap_or(i64::MAX))
                .bind(i64::try_from(limit - found.len()).unwrap_or(i64::MAX))
                .fetch_all(&mut *transaction)
                .await
                .map_err(failed(READING))?;
            let known = self.known.read();
            for row in &page {
                found.push(rows::decode(row, *part, &known.symbols, &known.sources)?);
            }
        }
        Ok(found)
    }

    /// Settles a transaction of the writer and puts it back, if its state is known.
    async fn settle<T>(
        &self,
        slot: &mut Option<Writer>,
        writer: Writer,
        part_before: &Part,
        outcome: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let (outcome, conn) = settle(writer.conn, outcome).await;
        let part = if outcome.is_ok() { writer.part } else { part_before.clone() };
        *slot = conn.map(|conn| Writer { conn, part });
        outcome
    }
}

/// What a commit changes for readers.
#[derive(Default)]
struct Step {
    symbols: Option<Symbols>,
    sources: Option<Sources>,
    finished: Vec<BlockSummary>,
    /// The block that takes the place of the open one.
    next_block: Option<OpenBlock>,
    /// True when the group is in a finished block already.
    group_is_indexed: bool,
    part: u32,
}

#[async_trait]
impl CommitLog for SqliteLog {
    async fn append(&self, group: &LogGroup) -> Result<(), StoreError> {
        let mut slot = self.writer.lock().await;
        let mut writer = self.take_writer(&mut slot).await?;
        let part_before = writer.part.clone();
        let step = match begin(&mut writer.conn).await {
            Ok(()) => self.write_group(&mut writer, group).await,
            Err(error) => Err(error),
        };
        let step = self.settle(&mut slot, writer, &part_before, step).await?;
        self.publish(step, &group.entries);
        Ok(())
    }

    async fn retain(&self, now: Nanos, needed_from: Position) -> Result<u64, StoreError> {
        let mut num_dropped = 0;
        // A transaction a part, so that the log takes entries in between.
        loop {
            let mut slot = self.writer.lock().await;
            let mut writer = self.take_writer(&mut slot).await?;
            let part = writer.part.clone();
            let dropped = match begin(&mut writer.conn).await {
                Ok(()) => parts::drop_oldest(&mut writer.conn, &self.settings, now, needed_from).await,
                Err(error) => Err(error),
            };
            let Some(dropped) = self.settle(&mut slot, writer, &part, dropped).await? else {
                return Ok(num_dropped);
            };
            self.known.update(|known| {
                known.finished.retain(|block| block.part != dropped.part);
                known.tail.first = dropped.first_left;
                known.tail.dropped_through = dropped.through;
            });
            num_dropped += dropped.entries;
        }
    }
}

#[async_trait]
impl LogReader for SqliteLog {
    async fn tail(&self) -> Result<LogTail, StoreError> {
        Ok(self.known.read().tail)
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.database.note(self.read_where(None, after, limit).await)
    }

    async fn read_of(
        &self,
        symbol: SymbolId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let stored = self.known.read().symbols.stored(symbol);
        // One that no entry named yet has no number: it shares the broadcasts.
        let filter = format!("head >> {} IN (0, {})", rows::SYMBOL_AT, stored.map_or(0, |stored| stored + 1));
        self.database.note(self.read_where(Some(&filter), after, limit).await)
    }

    async fn ticks(&self, query: &TickQuery) -> Result<Vec<Entry>, StoreError> {
        self.database.note(ticks::find(&self.database, &self.known, query).await)
    }

    async fn progress(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let row = sqlx::query("SELECT key, value, checksum FROM progress WHERE key = ?")
            .bind(key)
            .fetch_optional(self.database.readers())
            .await
            .map_err(failed("failed to read progress"))?;
        let value = row.as_ref().map(decode_progress).transpose();
        value.map_err(|fault| damaged(FILE_NAME, "progress", format_args!("key `{key}`"), &fault))
    }
}

#[async_trait]
impl CheckpointStore for SqliteLog {
    async fn save_checkpoints(&self, partition: Partition, set: &CheckpointSet) -> Result<(), StoreError> {
        let mut slot = self.writer.lock().await;
        let mut writer = self.take_writer(&mut slot).await?;
        let part = writer.part.clone();
        let saved = match begin(&mut writer.conn).await {
            Ok(()) => checkpoints::save(&mut writer.conn, partition, set).await,
            Err(error) => Err(error),
        };
        self.settle(&mut slot, writer, &part, saved).await
    }

    async fn load_checkpoints(&self, partition: Partition) -> Result<Checkpoints, StoreError> {
        checkpoints::load(self.database.readers(), partition).await
    }

    async fn checkpoints_of(
        &self,
        partition: Partition,
        symbol: &str,
    ) -> Result<Vec<Checkpoint>, StoreError> {
        checkpoints::of_symbol(self.database.readers(), partition, symbol).await
    }

    // Positions are given once in all partitions together, so each may know of what the others skip.
    async fn mark_poison(&self, _: Partition, pos: Position) -> Result<(), StoreError> {
        let mut slot = self.writer.lock().await;
        let mut writer = self.take_writer(&mut slot).await?;
        let marked = sqlx::query("INSERT OR IGNORE INTO poison (pos, checksum) VALUES (?1, ~?1)")
            .bind(pos.cast_signed())
            .execute(&mut writer.conn)
            .await;
        *slot = Some(writer);
        marked.map(|_| ()).map_err(failed("failed to mark a poisonous entry"))
    }

    async fn poison(&self, _: Partition) -> Result<Vec<Position>, StoreError> {
        let positions: Vec<(i64, Option<i64>)> =
            sqlx::query_as("SELECT pos, checksum FROM poison ORDER BY pos")
                .fetch_all(self.database.readers())
                .await
                .map_err(failed("failed to read the poisonous entries"))?;
        let whole = |(pos, complement): &(i64, Option<i64>)| complement.is_none_or(|other| other == !pos);
        match positions.iter().find(|line| !whole(line)) {
            Some((pos, _)) => {
                let fault = Fault::new("its complement differs");
                Err(damaged(FILE_NAME, "poison", format_args!("position {pos}"), &fault))
            }
            None => Ok(positions.into_iter().map(|(pos, _)| pos.cast_unsigned()).collect()),
        }
    }
}

#[async_trait]
impl TickLog for SqliteLog {
    fn damage(&self) -> Option<String> {
        self.database.damage()
    }

    async fn close(&self) -> Result<(), StoreError> {
        let writer = self.writer.lock().await.take();
        self.database.close(writer.map(|writer| writer.conn)).await
    }
}

async fn write_progress(conn: &mut SqliteConnection, progress: &Progress) -> Result<(), StoreError> {
    const WRITING: &str = "failed to write progress";
    let arguments = checked_row(WRITING, |row| {
        row.text(progress.key.as_str())?;
        row.blob(&progress.value)
    })?;
    let sql = "INSERT OR REPLACE INTO progress (key, value, checksum) VALUES (?, ?, ?)";
    sqlx::query_with(sql, arguments).execute(conn).await.map(|_| ()).map_err(failed(WRITING))
}

/// Reads key, value and checksum of a row of `progress`.
pub(super) fn decode_progress(row: &SqliteRow) -> Result<Vec<u8>, Fault> {
    verify(row, 0..2)?;
    get(row, 1)
}

/// Inserts the entries by statements of a few fixed sizes, powers of two, so that each is prepared once.
async fn insert_entries(
    conn: &mut SqliteConnection,
    part: &Part,
    entries: &[Entry],
    symbols: &Symbols,
    sources: &Sources,
) -> Result<(), StoreError> {
    let mut rest = entries;
    while !rest.is_empty() {
        let statement = part.insert_for(rest.len());
        let (chunk, behind) = rest.split_at(statement.num_rows);
        let mut arguments = SqliteArguments::default();
        arguments.reserve(chunk.len() * rows::NUM_COLUMNS, 0);
        for entry in chunk {
            rows::bind(entry, symbols, sources, &mut arguments)?;
        }
        sqlx::query_with(AssertSqlSafe(Arc::clone(&statement.sql)), arguments)
            .execute(&mut *conn)
            .await
            .map_err(failed("failed to append to the log"))?;
        rest = behind;
    }
    Ok(())
}

/// Ages of parts are counted on the wall clock: the entries of a replayed file are old by their own time.
fn wall_clock() -> Nanos {
    SystemClock.now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::entry::{Body, SourceId, Trade};
    use crate::models::symbol::{SymbolId, SymbolSpec};
    use std::task::{Context, Waker};

    async fn limit_pages(log: &SqliteLog, extra: i64) {
        let mut slot = log.writer.lock().await;
        let conn = &mut slot.as_mut().expect("the connection outlives a full disk").conn;
        let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut *conn).await.expect("counts");
        let limit = AssertSqlSafe(format!("PRAGMA max_page_count = {}", pages + extra));
        sqlx::query(limit).execute(conn).await.expect("limits");
    }

    #[tokio::test]
    async fn a_full_disk_takes_nothing_and_the_same_group_fits_later() {
        let dir = tempfile::tempdir().expect("a directory");
        let symbols = Arc::new(SymbolTable::default());
        let symbol: SymbolId = symbols.intern(SymbolSpec::named("AAPL"));
        let sources = Arc::new(SourceTable::default());
        let source: SourceId = sources.intern("simulated");
        let settings = SqliteSettings { part_entries: 1_000, ..SqliteSettings::default() };
        let log = SqliteLog::open(dir.path(), symbols, sources, settings).await.expect("opens");
        let group = |first: Position, len: u64| {
            let trade = |pos: Position| Trade { source, ..Trade::for_test(pos, Nanos(pos.cast_signed())) };
            let entry = |pos| Entry { pos, symbol, body: Body::Trade(trade(pos)) };
            LogGroup { entries: (first..first + len).map(entry).collect(), progress: None }
        };
        log.append(&group(1, 1_000)).await.expect("appends");
        let tail = log.tail().await.expect("knows");

        limit_pages(&log, 4).await;
        // This group begins a part too: that is undone with it.
        let (refused, wanted) = (group(1_001, 5_000), group(1, 6_000).entries);
        for _ in 0..2 {
            let error = log.append(&refused).await.expect_err("full");
            assert!(error.is_transient(), "{error}");
            assert_eq!(log.tail().await.expect("knows"), tail);
            assert_eq!(log.read(0, usize::MAX).await.expect("reads"), wanted[..1_000]);
        }
        limit_pages(&log, 10_000).await;
        log.append(&refused).await.expect("appends");
        assert_eq!(log.read(0, usize::MAX).await.expect("reads"), wanted);
        let query = TickQuery { symbol, start: Nanos::MIN, end: Nanos::MAX, before: None, limit: usize::MAX };
        assert_eq!(log.ticks(&query).await.expect("finds").len(), 6_000);
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_halfway_leaves_a_log_that_works() {
        let dir = tempfile::tempdir().expect("a directory");
        let tables = (Arc::default(), Arc::default());
        let log =
            SqliteLog::open(dir.path(), tables.0, tables.1, SqliteSettings::default()).await.expect("opens");
        let mark = |pos| LogGroup {
            entries: vec![Entry {
                pos,
                symbol: SymbolId::NONE,
                body: Body::ClockMark { source: SourceId::ANY, time: Nanos(0) },
            }],
            progress: None,
        };
        for polls in 1..20 {
            let next = log.tail().await.expect("knows").last + 1;
            let group = mark(next);
            let mut append = log.append(&group);
            let mut context = Context::from_waker(Waker::noop());
            for _ in 0..polls {
                if append.as_mut().poll(&mut context).is_ready() {
                    break;
                }
                std::thread::yield_now();
            }
            drop(append);
            {
                let mut slot = log.writer.lock().await;
                let writer = log.take_writer(&mut slot).await.expect("connects anew");
                *slot = Some(writer);
            }
            let next = log.tail().await.expect("knows").last + 1;
            log.append(&mark(next)).await.expect("appends");
        }
    }
}
