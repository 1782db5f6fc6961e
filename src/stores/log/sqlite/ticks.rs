//! The ticks of one symbol, newest first by (event time, position).
//!
//! Runs are read from the newest event time down, a page of ticks at a time, until no run that is left can hold
//! anything newer than what is found. The order of event times and that of positions differ, so it is the runs' latest
//! event times that say when to stop.

use super::blocks::{Run, Span};
use super::file::FILE_NAME;
use super::known::SharedKnown;
use super::rows;
use crate::models::entry::{Entry, Position};
use crate::models::time::Nanos;
use crate::stores::error::StoreError;
use crate::stores::log::TickQuery;
use crate::stores::sqlite::checked::{Fault, damaged, get, get_unsigned};
use crate::stores::sqlite::database::{Database, failed};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, SqliteConnection};
use std::cmp::Reverse;

const READING: &str = "failed to read ticks";

/// How many blocks of a part are asked for runs at once, at most. The first question is about one, each further one
/// about four times as many: the newest ticks are mostly in the first.
const BLOCKS_AT_ONCE_MAX: usize = 1_024;

/// Answers a query.
pub(super) async fn find(
    database: &Database,
    known: &SharedKnown,
    query: &TickQuery,
) -> Result<Vec<Entry>, StoreError> {
    let mut page = Page::new(*query);
    if query.limit == 0 || page.upper < query.start {
        return Ok(page.found);
    }
    // What is in memory is taken first: all of it is committed.
    let (stored, open_part, open_runs, blocks) = {
        let known = known.read();
        let Some(stored) = known.symbols.stored(query.symbol) else { return Ok(page.found) };
        let runs: Vec<Run> =
            known.open.runs_of(query.symbol).iter().filter(|run| page.wants(run.span)).cloned().collect();
        let blocks: Vec<(u32, Position, Span)> = known
            .finished
            .iter()
            .rev()
            .filter_map(|block| Some((block.part, block.first, block.span?)))
            .filter(|(_, _, span)| page.wants(*span))
            .collect();
        (stored, known.open_part, runs, blocks)
    };
    let mut conn = database.readers().acquire().await.map_err(failed(READING))?;
    let conn = &mut *conn;
    let added = page.add_runs(known, conn, open_part, open_runs).await;
    unless_dropped(conn, open_part, added).await?;
    let mut blocks = blocks.into_iter().peekable();
    let mut at_once = 1;
    while let Some(part) = blocks.peek().map(|(part, ..)| *part) {
        let mut firsts = Vec::new();
        while firsts.len() < at_once
            && let Some((_, first, span)) = blocks.next_if(|block| block.0 == part)
        {
            if page.wants(span) {
                firsts.push(first);
            }
        }
        if !firsts.is_empty() {
            let added = match page.read_runs(conn, part, stored, &firsts).await {
                Ok(runs) => page.add_runs(known, conn, part, runs).await,
                Err(error) => Err(error),
            };
            unless_dropped(conn, part, added).await?;
            at_once = (at_once * 4).min(BLOCKS_AT_ONCE_MAX);
        }
    }
    Ok(page.found)
}

/// Takes a failure for an end where retention has dropped the part meanwhile. To ask only then is cheaper than a
/// transaction round every page.
async fn unless_dropped(
    conn: &mut SqliteConnection,
    part: u32,
    outcome: Result<(), StoreError>,
) -> Result<(), StoreError> {
    let Err(error) = outcome else { return Ok(()) };
    let is_there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM parts WHERE number = ?)")
        .bind(part)
        .fetch_one(conn)
        .await
        .map_err(failed(READING))?;
    if is_there { Err(error) } else { Ok(()) }
}

/// A page in the making.
struct Page {
    query: TickQuery,
    /// Nothing after this event time is asked for.
    upper: Nanos,
    /// The best so far, newest first, at most `limit`.
    found: Vec<Entry>,
}

impl Page {
    fn new(query: TickQuery) -> Page {
        let upper = query.before.map_or(query.end, |(ts, _)| ts.min(query.end));
        Page { query, upper, found: Vec::new() }
    }

    /// The oldest event time that can still get onto the page.
    fn lower(&self) -> Nanos {
        match self.found.last() {
            Some(last) if self.found.len() >= self.query.limit => last.body.time().max(self.query.start),
            _ => self.query.start,
        }
    }

    /// True when something of these event times may belong onto the page.
    fn wants(&self, span: Span) -> bool {
        span.max >= self.lower() && span.min <= self.upper
    }

    /// Reads a symbol's runs in some blocks of a part.
    async fn read_runs(
        &self,
        conn: &mut SqliteConnection,
        part: u32,
        stored: u32,
        blocks: &[Position],
    ) -> Result<Vec<Run>, StoreError> {
        let sql = format!(
            "SELECT runs.block, runs.symbol, runs.first_pos, runs.ts_min, runs.ts_max, runs.count, runs.offsets \
             FROM json_each(?) AS wanted CROSS JOIN runs_{part:06} AS runs \
             WHERE runs.block = wanted.value AND runs.symbol = ? AND runs.ts_max >= ? AND runs.ts_min <= ?"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(json_list(blocks))
            .bind(stored)
            .bind(self.lower().0)
            .bind(self.upper.0)
            .fetch_all(conn)
            .await
            .map_err(failed(READING))?;
        let run = |row: &SqliteRow| {
            decode_run(row).map_err(|fault| {
                damaged(FILE_NAME, &format!("runs_{part:06}"), format_args!("symbol {stored}"), &fault)
            })
        };
        rows.iter().map(run).collect()
    }

    /// Adds the ticks of runs, as long as they can still get onto the page.
    async fn add_runs(
        &mut self,
        known: &SharedKnown,
        conn: &mut SqliteConnection,
        part: u32,
        mut runs: Vec<Run>,
    ) -> Result<(), StoreError> {
        runs.sort_unstable_by_key(|run| Reverse((run.span.max, run.first)));
        let mut runs = runs.into_iter().peekable();
        loop {
            // A row costs far more than a run that is looked at twice: no more are read than the page lacks.
            let lacking = (self.query.limit - self.found.len()).max(1);
            let mut positions = Vec::new();
            while positions.len() < lacking
                && let Some(run) = runs.next_if(|run| self.wants(run.span))
            {
                let place = || {
                    damaged(
                        FILE_NAME,
                        &format!("runs_{part:06}"),
                        format_args!("first position {}", run.first),
                        &Fault::new("its offsets say nothing"),
                    )
                };
                positions.extend(run.positions().ok_or_else(place)?);
            }
            if positions.is_empty() {
                return Ok(());
            }
            self.add_rows(known, conn, part, &positions).await?;
        }
    }

    async fn add_rows(
        &mut self,
        known: &SharedKnown,
        conn: &mut SqliteConnection,
        part: u32,
        positions: &[Position],
    ) -> Result<(), StoreError> {
        let sql = format!(
            "SELECT {} FROM json_each(?) AS wanted CROSS JOIN log_{part:06} AS log \
             WHERE log.pos = wanted.value AND log.ts >= ? AND log.ts <= ?",
            rows::COLUMNS.split(", ").map(|column| format!("log.{column}")).collect::<Vec<_>>().join(", ")
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(json_list(positions))
            .bind(self.lower().0)
            .bind(self.upper.0)
            .fetch_all(conn)
            .await
            .map_err(failed(READING))?;
        let known = known.read();
        for row in &rows {
            let entry = rows::decode(row, part, &known.symbols, &known.sources)?;
            if self.query.before.is_none_or(|before| (entry.body.time(), entry.pos) < before) {
                self.found.push(entry);
            }
        }
        self.found.sort_unstable_by_key(|entry| Reverse((entry.body.time(), entry.pos)));
        self.found.truncate(self.query.limit);
        Ok(())
    }
}

/// Reads block, symbol and the rest of a row of `runs_NNNNNN`.
pub(super) fn decode_run(row: &SqliteRow) -> Result<Run, Fault> {
    let first = get_unsigned(row, 2)?;
    let span = Span { min: Nanos(get(row, 3)?), max: Nanos(get(row, 4)?) };
    Run { first, last: first, span, count: get(row, 5)?, offsets: get(row, 6)? }
        .unpack(get_unsigned(row, 0)?, get(row, 1)?)
}

/// Writes positions as a JSON list: one statement then serves any number of them.
fn json_list(positions: &[Position]) -> String {
    let mut text = String::with_capacity(positions.len() * 10 + 2);
    for pos in positions {
        text.push(if text.is_empty() { '[' } else { ',' });
        text.push_str(&pos.to_string());
    }
    text.push(']');
    text
}
