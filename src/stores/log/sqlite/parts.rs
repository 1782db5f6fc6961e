//! Parts of the log: made when the one before is full, dropped whole when they are too old or too much.

use super::blocks::{BlockSummary, OpenBlock, Span};
use super::file::FILE_NAME;
use super::rows::{COLUMNS, NUM_COLUMNS, tick_data_sql};
use crate::models::entry::Position;
use crate::models::time::Nanos;
use crate::stores::error::StoreError;
use crate::stores::sqlite::checked::{Fault, checked_row, damaged, get, get_unsigned, verify};
use crate::stores::sqlite::database::failed;
use crate::stores::sqlite::names::Symbols;
use crate::stores::sqlite::settings::SqliteSettings;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, SqliteConnection};
use std::sync::Arc;

/// The largest INSERT takes 2^10 rows: beyond that the rows cost no less.
const INSERT_POWERS: u32 = 11;

/// The number of a log's first part.
pub(super) const FIRST_PART: u32 = 1;

/// Rows of `runs_NNNNNN` written by one statement.
const RUNS_A_STATEMENT: usize = 64;

/// The newest part, which takes the entries.
#[derive(Clone)]
pub(super) struct Part {
    pub number: u32,
    first: Position,
    pub created: Nanos,
    pub entries: u64,
    inserts: Arc<[Insert]>,
}

/// An INSERT of a fixed number of rows.
pub(super) struct Insert {
    pub num_rows: usize,
    pub sql: Arc<str>,
}

impl Part {
    fn new(line: &PartLine) -> Part {
        let PartLine { number, first, created, .. } = *line;
        let row = format!("({})", ["?"; NUM_COLUMNS].join(","));
        let insert = |power: u32| {
            let num_rows = 1 << power;
            let values = vec![row.as_str(); num_rows].join(",");
            let sql = format!("INSERT INTO log_{number:06} ({COLUMNS}) VALUES {values}").into();
            Insert { num_rows, sql }
        };
        Part { number, first, created, entries: 0, inserts: (0..INSERT_POWERS).map(insert).collect() }
    }

    const fn line(&self) -> PartLine {
        PartLine { number: self.number, first: self.first, created: self.created, finished: None }
    }

    /// Returns the largest statement that takes no more than this many rows, which is at least one.
    pub(super) fn insert_for(&self, num_rows: usize) -> &Insert {
        let power = num_rows.ilog2().min(INSERT_POWERS - 1);
        &self.inserts[power as usize]
    }

    /// True when the next group belongs into another part.
    pub(super) const fn is_full(&self, settings: &SqliteSettings, now: Nanos) -> bool {
        self.entries >= settings.entries_a_part()
            || self.entries > 0 && now.since(self.created) >= settings.part_age
    }
}

/// Returns the newest part, its entries not counted.
pub(super) async fn newest(conn: &mut SqliteConnection) -> Result<Option<Part>, StoreError> {
    Ok(lines(conn).await?.last().map(Part::new))
}

/// Makes a part.
pub(super) async fn create(
    conn: &mut SqliteConnection,
    number: u32,
    first: Position,
    now: Nanos,
) -> Result<Part, StoreError> {
    const CREATING: &str = "failed to begin a part of the log";
    let tables = [
        format!(
            "CREATE TABLE log_{number:06} (pos INTEGER PRIMARY KEY, head INTEGER NOT NULL, ts INTEGER NOT NULL, \
             received INTEGER, price INTEGER, size INTEGER, id, seq INTEGER, extra BLOB)"
        ),
        format!(
            "CREATE TABLE runs_{number:06} (block INTEGER NOT NULL, symbol INTEGER NOT NULL, first_pos INTEGER NOT NULL, \
             ts_min INTEGER NOT NULL, ts_max INTEGER NOT NULL, count INTEGER NOT NULL, offsets BLOB NOT NULL, \
             PRIMARY KEY (block, symbol, first_pos)) WITHOUT ROWID"
        ),
    ];
    for sql in tables {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *conn).await.map_err(failed(CREATING))?;
    }
    let line = PartLine { number, first, created: now, finished: None };
    write_line(conn, CREATING, &line).await?;
    refresh_view(conn).await?;
    Ok(Part::new(&line))
}

/// Notes that a part takes no more entries.
pub(super) async fn finish(conn: &mut SqliteConnection, part: &Part, now: Nanos) -> Result<(), StoreError> {
    let line = PartLine { finished: Some(now), ..part.line() };
    write_line(conn, "failed to finish a part of the log", &line).await
}

/// A row of `parts`.
#[derive(Clone, Copy)]
pub(super) struct PartLine {
    pub number: u32,
    /// Every position in the part is at or after this one.
    pub first: Position,
    pub created: Nanos,
    pub finished: Option<Nanos>,
}

async fn write_line(
    conn: &mut SqliteConnection,
    context: &'static str,
    line: &PartLine,
) -> Result<(), StoreError> {
    let arguments = checked_row(context, |row| {
        row.integer(i64::from(line.number))?;
        row.unsigned(line.first)?;
        row.integer(line.created.0)?;
        row.integer(line.finished.map(|at| at.0))
    })?;
    let sql = "INSERT OR REPLACE INTO parts (number, first_pos, created, finished, checksum) VALUES (?, ?, ?, ?, ?)";
    sqlx::query_with(sql, arguments).execute(conn).await.map(|_| ()).map_err(failed(context))
}

/// Returns the parts, oldest first.
pub(super) async fn lines(conn: &mut SqliteConnection) -> Result<Vec<PartLine>, StoreError> {
    let rows =
        sqlx::query("SELECT number, first_pos, created, finished, checksum FROM parts ORDER BY number")
            .fetch_all(conn)
            .await
            .map_err(failed("failed to read the parts of the log"))?;
    (1..).zip(&rows).map(|(at, row)| decode_line(row, at)).collect()
}

fn decode_line(row: &SqliteRow, at: u32) -> Result<PartLine, StoreError> {
    let decode = || -> Result<PartLine, Fault> {
        verify(row, 0..4)?;
        Ok(PartLine {
            number: get(row, 0)?,
            first: get_unsigned(row, 1)?,
            created: Nanos(get(row, 2)?),
            finished: get::<Option<i64>>(row, 3)?.map(Nanos),
        })
    };
    decode().map_err(|fault| damaged(FILE_NAME, "parts", format_args!("row {at}"), &fault))
}

/// Lets `tick_data` speak of the parts that there are.
async fn refresh_view(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    const VIEWING: &str = "failed to make the view `tick_data`";
    let parts: Vec<u32> = sqlx::query_scalar("SELECT number FROM parts ORDER BY number")
        .fetch_all(&mut *conn)
        .await
        .map_err(failed(VIEWING))?;
    sqlx::query("DROP VIEW IF EXISTS tick_data").execute(&mut *conn).await.map_err(failed(VIEWING))?;
    let sql = format!("CREATE VIEW tick_data AS {}", tick_data_sql(&parts));
    sqlx::query(AssertSqlSafe(sql)).execute(&mut *conn).await.map_err(failed(VIEWING))?;
    Ok(())
}

/// Writes a finished block: its line in `blocks` and the runs of its symbols.
pub(super) async fn write_block(
    conn: &mut SqliteConnection,
    block: &OpenBlock,
    part: u32,
    symbols: &Symbols,
) -> Result<BlockSummary, StoreError> {
    const WRITING: &str = "failed to write a block of the log";
    let mut runs = Vec::new();
    for (symbol, run) in block.runs() {
        let stored = symbols.stored(symbol).ok_or_else(|| StoreError::Permanent {
            context: WRITING,
            cause: format!("symbol {} has no name", symbol.0),
        })?;
        runs.push((stored, run));
    }
    // In the order of the key, so that the table only grows at its end.
    runs.sort_unstable_by_key(|(symbol, run)| (*symbol, run.first));
    let insert = |num_rows: usize| {
        let values = vec!["(?,?,?,?,?,?,?)"; num_rows].join(",");
        format!(
            "INSERT INTO runs_{part:06} (block, symbol, first_pos, ts_min, ts_max, count, offsets) VALUES {values}"
        )
    };
    let whole: Arc<str> = insert(RUNS_A_STATEMENT).into();
    for chunk in runs.chunks(RUNS_A_STATEMENT) {
        let mut arguments = SqliteArguments::default();
        let mut add = || -> Result<(), sqlx::error::BoxDynError> {
            for (symbol, run) in chunk {
                arguments.add(block.first.cast_signed())?;
                arguments.add(*symbol)?;
                arguments.add(run.first.cast_signed())?;
                arguments.add(run.span.min.0)?;
                arguments.add(run.span.max.0)?;
                arguments.add(run.count)?;
                arguments.add(run.pack(block.first, *symbol))?;
            }
            Ok(())
        };
        add().map_err(|error| StoreError::Permanent { context: WRITING, cause: error.to_string() })?;
        let (sql, kept) = if chunk.len() == RUNS_A_STATEMENT {
            (Arc::clone(&whole), true)
        } else {
            (insert(chunk.len()).into(), false)
        };
        sqlx::query_with(AssertSqlSafe(sql), arguments)
            .persistent(kept)
            .execute(&mut *conn)
            .await
            .map_err(failed(WRITING))?;
    }
    let summary = block.summary(part);
    let arguments = checked_row(WRITING, |row| {
        row.unsigned(summary.first)?;
        row.unsigned(summary.last)?;
        row.integer(i64::from(part))?;
        row.unsigned(summary.entries)?;
        row.integer(summary.span.map(|span| span.min.0))?;
        row.integer(summary.span.map(|span| span.max.0))?;
        row.integer(summary.newest.map(|ts| ts.0))
    })?;
    let sql = "INSERT INTO blocks (first_pos, last_pos, part, entries, ts_min, ts_max, newest, checksum) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    sqlx::query_with(sql, arguments).execute(&mut *conn).await.map_err(failed(WRITING))?;
    Ok(summary)
}

/// Reads a row of `blocks` with its checksum.
pub(super) fn decode_block(row: &SqliteRow) -> Result<BlockSummary, Fault> {
    verify(row, 0..7)?;
    let time = |at: usize| -> Result<Option<Nanos>, Fault> { Ok(get::<Option<i64>>(row, at)?.map(Nanos)) };
    Ok(BlockSummary {
        first: get_unsigned(row, 0)?,
        last: get_unsigned(row, 1)?,
        part: get(row, 2)?,
        entries: get_unsigned(row, 3)?,
        span: time(4)?.zip(time(5)?).map(|(min, max)| Span { min, max }),
        newest: time(6)?,
    })
}

/// Returns the finished blocks, oldest first.
pub(super) async fn blocks(conn: &mut SqliteConnection) -> Result<Vec<BlockSummary>, StoreError> {
    let rows = sqlx::query(
        "SELECT first_pos, last_pos, part, entries, ts_min, ts_max, newest, checksum FROM blocks ORDER BY first_pos",
    )
    .fetch_all(conn)
    .await
    .map_err(failed("failed to read the blocks"))?;
    let decode = |(at, row): (u32, &SqliteRow)| {
        decode_block(row).map_err(|fault| damaged(FILE_NAME, "blocks", format_args!("row {at}"), &fault))
    };
    (1..).zip(&rows).map(decode).collect()
}

/// A part that was dropped.
pub(super) struct Dropped {
    pub part: u32,
    pub entries: u64,
    /// Everything up to here is gone.
    pub through: Position,
    /// The lowest position that is left; 0 where nothing is.
    pub first_left: Position,
}

/// Returns the lowest position of the log; 0 when it is empty.
pub(super) async fn first_position(conn: &mut SqliteConnection) -> Result<Position, StoreError> {
    const READING: &str = "failed to read the beginning of the log";
    for PartLine { number: part, .. } in lines(conn).await? {
        let sql = AssertSqlSafe(format!("SELECT min(pos) FROM log_{part:06}"));
        let first: Option<i64> =
            sqlx::query_scalar(sql).fetch_one(&mut *conn).await.map_err(failed(READING))?;
        if let Some(first) = first {
            return Ok(first.cast_unsigned());
        }
    }
    Ok(0)
}

/// Returns the position up to which everything has been dropped; 0 while the first part is there.
pub(super) async fn dropped_through(conn: &mut SqliteConnection) -> Result<Position, StoreError> {
    let oldest: Option<(u32, i64)> =
        sqlx::query_as("SELECT number, first_pos FROM parts ORDER BY number LIMIT 1")
            .fetch_optional(conn)
            .await
            .map_err(failed("failed to read the beginning of the log"))?;
    let begins = oldest.filter(|(number, _)| *number > FIRST_PART);
    Ok(begins.map_or(0, |(_, first)| first.cast_unsigned().saturating_sub(1)))
}

/// Drops the oldest part, if there is reason to and nobody needs it.
pub(super) async fn drop_oldest(
    conn: &mut SqliteConnection,
    settings: &SqliteSettings,
    now: Nanos,
    needed_from: Position,
) -> Result<Option<Dropped>, StoreError> {
    const DROPPING: &str = "failed to drop a part of the log";
    let oldest: Vec<(u32, Option<i64>)> =
        sqlx::query_as("SELECT number, finished FROM parts ORDER BY number LIMIT 2")
            .fetch_all(&mut *conn)
            .await
            .map_err(failed(DROPPING))?;
    let [(part, Some(finished)), _] = oldest[..] else { return Ok(None) };
    let (last, entries): (Option<i64>, Option<i64>) =
        sqlx::query_as("SELECT max(last_pos), sum(entries) FROM blocks WHERE part = ?")
            .bind(part)
            .fetch_one(&mut *conn)
            .await
            .map_err(failed(DROPPING))?;
    if last.unwrap_or(0).cast_unsigned() >= needed_from {
        return Ok(None);
    }
    let too_old = now.since(Nanos(finished)) > settings.retention_ticks_age;
    if !too_old && used_bytes(conn).await? <= settings.retention_ticks_bytes {
        return Ok(None);
    }
    sqlx::query("DROP VIEW IF EXISTS tick_data").execute(&mut *conn).await.map_err(failed(DROPPING))?;
    for table in ["log", "runs"] {
        let sql = AssertSqlSafe(format!("DROP TABLE {table}_{part:06}"));
        sqlx::query(sql).execute(&mut *conn).await.map_err(failed(DROPPING))?;
    }
    for sql in ["DELETE FROM blocks WHERE part = ?", "DELETE FROM parts WHERE number = ?"] {
        sqlx::query(sql).bind(part).execute(&mut *conn).await.map_err(failed(DROPPING))?;
    }
    refresh_view(conn).await?;
    let first_left = first_position(conn).await?;
    let through = dropped_through(conn).await?;
    Ok(Some(Dropped { part, entries: entries.unwrap_or(0).cast_unsigned(), through, first_left }))
}

/// Returns the bytes that hold something; the file itself does not shrink, what is free is used again.
async fn used_bytes(conn: &mut SqliteConnection) -> Result<u64, StoreError> {
    const MEASURING: &str = "failed to measure the log";
    let mut pages = [0_i64; 3];
    for (value, sql) in
        pages.iter_mut().zip(["PRAGMA page_count", "PRAGMA freelist_count", "PRAGMA page_size"])
    {
        *value = sqlx::query_scalar(sql).fetch_one(&mut *conn).await.map_err(failed(MEASURING))?;
    }
    let [count, free, size] = pages.map(i64::cast_unsigned);
    Ok(count.saturating_sub(free) * size)
}
