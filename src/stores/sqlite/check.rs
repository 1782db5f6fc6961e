//! What the checks of both files have in common: how a file is opened, what was found, and what SQLite says of it.
//!
//! Promises: every row is read as the program reads it, by type and checksum; SQLite's own check of the file's structure
//! comes before. Without `mends` nothing is changed but that a file of an earlier version is migrated. Damage to the
//! structure of a file or to its names is only said.

use super::checked::{Fault, damaged, get};
use super::database::{Database, FileKind, failed};
use super::settings::SqliteSettings;
use crate::models::entry::Position;
use crate::stores::error::StoreError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection};
use std::path::Path;

/// What is being done when a check fails.
pub(in crate::stores) const CHECKING: &str = "failed to check a file";

/// How findings of SQLite's own check begin.
const STRUCTURE: &str = "the structure of the file";

/// Rows that are read at once.
pub(in crate::stores) const PAGE_ROWS: usize = 10_000;

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
pub(in crate::stores) struct File<'a> {
    pub name: &'static str,
    pub conn: SqliteConnection,
    pub mends: bool,
    pub tell: Tell<'a>,
    pub checked: Checked,
}

impl File<'_> {
    fn found(&mut self, error: &StoreError, is_mended: bool) {
        let text = match error {
            StoreError::Permanent { cause, .. }
            | StoreError::Transient { cause, .. }
            | StoreError::Fenced { cause, .. }
            | StoreError::Refused { cause, .. } => cause,
        };
        let text = text.trim_end_matches("; `tickwire check` finds every such row").to_owned();
        self.checked.findings.push(Finding { text, is_mended });
    }

    pub(in crate::stores) fn found_row(
        &mut self,
        table: &str,
        row: impl std::fmt::Display,
        fault: &Fault,
        is_mended: bool,
    ) {
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
        // A definition that cannot be read counts as missing, which is reported below.
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
    pub(in crate::stores) async fn small_table<T>(
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

    pub(in crate::stores) async fn execute(&mut self, sql: String) -> Result<(), StoreError> {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut self.conn).await.map(|_| ()).map_err(failed(CHECKING))
    }
}

/// Opens a file that nobody uses, or says what makes it of no use.
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

/// Checks a file: its structure, its definitions, then what `read` reads of it.
///
/// # Errors
/// When the file cannot be read for a reason other than damage, or not be written where it should be mended.
pub(in crate::stores) async fn check<'a>(
    dir: &Path,
    kind: &FileKind,
    mends: bool,
    tell: Tell<'a>,
    read: impl AsyncFnOnce(&mut File<'a>) -> Result<(), StoreError>,
) -> Result<Checked, StoreError> {
    let mut file = match open(dir, kind, mends, tell).await? {
        Ok(file) => file,
        Err(unusable) => return Ok(unusable),
    };
    file.structure().await;
    let read = match file.definitions(kind).await {
        Ok(()) => read(&mut file).await,
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
