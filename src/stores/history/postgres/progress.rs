//! How far the log is done with, as the database has it: what makes rows exactly once, and keeps a second writer out.
//!
//! Promises: it moves in the transaction of the rows, and only from where this writer left it. Ticks have no unique index;
//! one is known to be there by the position up to which its symbol has them. That is mostly the position up to which the
//! whole log is done with; symbols of shards that are ahead of it are listed beside it.
//! On failure: a writer that finds what it did not write is told that another one has taken over, for good.

use super::error::failed;
use crate::models::entry::Position;
use crate::models::symbol::SymbolId;
use crate::names::SymbolTable;
use crate::stores::error::StoreError;
use sqlx::postgres::PgConnection;
use std::collections::HashMap;

/// A log in the process has one sequence of positions for all its partitions, and one generation of it.
const PARTITION: i32 = 0;
const GENERATION: i32 = 0;

const READING: &str = "failed to read how far the history is";

/// Position, symbols that are ahead of it and up to where, batch, writer, epoch.
type ProgressRow = (i64, Vec<String>, Vec<i64>, i64, String, String);

/// A row of `progress`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Everything up to here is in the tables.
    pub pos: Position,
    /// Symbols of which more ticks are there, and up to where.
    pub ahead: HashMap<SymbolId, Position>,
    /// Counts the transactions that moved it; 0 where there is no row yet.
    pub batch: i64,
    /// Who did last.
    pub writer: String,
    /// Which log it is about.
    pub epoch: Option<String>,
}

impl Progress {
    /// Reads it. Symbols that the process does not know are added to the table by whoever opens the history.
    pub async fn load(conn: &mut PgConnection, symbols: &SymbolTable) -> Result<Progress, StoreError> {
        let row: Option<ProgressRow> = sqlx::query_as(
            "SELECT pos, ahead_symbols, ahead_pos, batch, writer, epoch FROM progress WHERE partition = $1",
        )
        .bind(PARTITION)
        .fetch_optional(conn)
        .await
        .map_err(failed(READING))?;
        let Some((pos, names, positions, batch, writer, epoch)) = row else {
            return Ok(Progress::default());
        };
        let ahead = names
            .iter()
            .zip(positions)
            .filter_map(|(name, pos)| Some((symbols.get(name)?, pos.cast_unsigned())))
            .collect();
        Ok(Progress { pos: pos.cast_unsigned(), ahead, batch, writer, epoch: Some(epoch) })
    }

    /// True when the tables have what the symbol reported at this position.
    pub fn has(&self, symbol: SymbolId, pos: Position) -> bool {
        pos <= self.pos || self.ahead.get(&symbol).is_some_and(|ahead| pos <= *ahead)
    }

    /// Returns what follows it, once ticks up to these positions are written and everything up to `acknowledged` is done
    /// with.
    pub fn after(&self, ticks: &HashMap<SymbolId, Position>, acknowledged: Position) -> Progress {
        let pos = self.pos.max(acknowledged);
        let mut ahead = self.ahead.clone();
        for (symbol, reached) in ticks {
            let known = ahead.entry(*symbol).or_default();
            *known = (*known).max(*reached);
        }
        ahead.retain(|_, reached| *reached > pos);
        Progress { pos, ahead, batch: self.batch + 1, ..self.clone() }
    }

    /// Moves the row from `self` to `next`, as the last thing in a transaction. Returns false when it is not where it was
    /// left.
    pub async fn advance(
        &self,
        conn: &mut PgConnection,
        next: &Progress,
        writer: &str,
        epoch: &str,
        symbols: &SymbolTable,
    ) -> Result<bool, StoreError> {
        let (ids, positions): (Vec<SymbolId>, Vec<i64>) =
            next.ahead.iter().map(|(symbol, pos)| (*symbol, pos.cast_signed())).unzip();
        let names: Vec<String> = ids.iter().map(|id| symbols.spec(*id).name.clone()).collect();
        let sql = if self.batch == 0 {
            "INSERT INTO progress (partition, generation, pos, ahead_symbols, ahead_pos, batch, writer, epoch) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING"
        } else {
            "UPDATE progress SET pos = $3, ahead_symbols = $4, ahead_pos = $5, batch = $6, writer = $7, moved_at = now() \
             WHERE partition = $1 AND generation = $2 AND batch = $6 - 1 AND writer = $9 AND epoch = $8"
        };
        let mut query = sqlx::query(sql)
            .bind(PARTITION)
            .bind(GENERATION)
            .bind(next.pos.cast_signed())
            .bind(names)
            .bind(positions)
            .bind(next.batch)
            .bind(writer)
            .bind(epoch);
        if self.batch > 0 {
            query = query.bind(&self.writer);
        }
        let done = query.execute(conn).await.map_err(failed("failed to note how far the history is"))?;
        Ok(done.rows_affected() == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_known_by_its_symbol_and_position() {
        let (a, b) = (SymbolId(0), SymbolId(1));
        let begun = Progress::default();
        let next = begun.after(&HashMap::from([(a, 7), (b, 3)]), 4);
        assert_eq!((next.pos, &next.ahead, next.batch), (4, &HashMap::from([(a, 7)]), 1));
        assert!(next.has(a, 7) && next.has(b, 4) && !next.has(a, 8) && !next.has(b, 5));
        // What comes again changes nothing, and a part of a batch acknowledges nothing.
        let again = next.after(&HashMap::from([(a, 5), (b, 9)]), 0);
        assert_eq!((again.pos, again.ahead), (4, HashMap::from([(a, 7), (b, 9)])));
    }
}
