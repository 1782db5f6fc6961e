//! Reads everything in the history's file, says what is damaged, and deletes damaged rows where it is to be mended.
//!
//! Promises: every row is read as the program reads it. A row that is deleted is named to the caller, who works it out
//! again from the log.

use super::file::KIND;
use super::signals::{self, Signal};
use super::{dead_letters, windows};
use crate::models::alert::Alert;
use crate::models::alerts::incident::Incident;
use crate::models::alerts::outgoing::Outgoing;
use crate::models::alerts::silence::Silence;
use crate::models::anomaly::Anomaly;
use crate::models::prediction::Prediction;
use crate::names::SymbolTable;
use crate::stores::error::StoreError;
use crate::stores::sqlite::check::{CHECKING, Checked, File, PAGE_ROWS, Tell, WindowKey, check};
use crate::stores::sqlite::checked::{Fault, damaged, get};
use crate::stores::sqlite::database::{Database, failed};
use crate::stores::sqlite::meta;
use crate::stores::sqlite::names::Symbols;
use crate::stores::sqlite::settings::SqliteSettings;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Connection};
use std::path::Path;

/// Checks the history of a directory that nobody uses.
///
/// # Errors
/// As [`check_log`](crate::stores::log::sqlite::check_log).
pub async fn check_history(dir: &Path, mends: bool, tell: Tell<'_>) -> Result<Checked, StoreError> {
    check(dir, &KIND, mends, tell, read_history).await
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
    read_letters(file).await?;
    read_signals::<Anomaly>(file).await?;
    read_signals::<Prediction>(file).await?;
    read_signals::<Alert>(file).await?;
    read_signals::<Incident>(file).await?;
    read_signals::<Silence>(file).await?;
    read_signals::<Outgoing>(file).await
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

/// Reads rows of one kind. Nothing can work them out again: a damaged one is deleted where the file is to be mended.
async fn read_signals<T: Signal>(file: &mut File<'_>) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT {} FROM {} WHERE number > ? ORDER BY number LIMIT {PAGE_ROWS}",
        signals::selected::<T>(),
        T::TABLE
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
            after = get(row, T::COLUMNS.len() + 1)
                .map_err(|fault| damaged(file.name, T::TABLE, "a number", &fault))?;
            if let Err(fault) = signals::decode::<T>(row) {
                let mends = file.mends;
                file.found_row(T::TABLE, signals::number_text::<T>(row), &fault, mends);
                bad.push(after);
            }
        }
        (file.tell)(T::TABLE, num_rows);
    }
    file.checked.num_rows += num_rows;
    if file.mends {
        for number in bad {
            file.execute(format!("DELETE FROM {} WHERE number = {number}", T::TABLE)).await?;
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
    let database = Database::open(dir, &KIND, &SqliteSettings::default()).await?;
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
