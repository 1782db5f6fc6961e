//! One SQLite file: how it is opened, who may write to it, and what its errors mean.
//!
//! There is one writing connection, handed from caller to caller, and a pool of read-only ones, which WAL keeps from
//! waiting for the writer. Whoever takes the writing connection gives it back only in a known state: a caller that fails
//! oddly, or whose future is dropped halfway, leaves the place empty, and the next one connects anew.

use super::settings::{PAGE_BYTES, SqliteSettings, Synchronous};
use crate::stores::error::StoreError;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection, SqlitePool};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

/// What tells one kind of file from others.
pub(in crate::stores) struct FileKind {
    /// Name in the data directory.
    pub name: &'static str,
    /// `PRAGMA application_id`: `TWLG`, `TWHS`.
    pub application_id: i32,
    /// Brings a file up to this version.
    pub migrator: &'static Migrator,
    /// Pages that the WAL takes before they go to the file.
    pub checkpoint_pages: u32,
}

impl FileKind {
    /// Bytes that an idle WAL keeps: writing over it is cheaper than to let it grow anew.
    const fn wal_bytes_kept(&self) -> u32 {
        self.checkpoint_pages * PAGE_BYTES * 4
    }
}

/// An open file.
pub(in crate::stores) struct Database {
    options: SqliteConnectOptions,
    readers: SqlitePool,
    /// The first damage that a read met.
    damage: OnceLock<String>,
}

impl Database {
    /// Opens the file, makes it where it is missing, and applies the migrations.
    pub(in crate::stores) async fn open(
        dir: &Path,
        kind: &FileKind,
        settings: &SqliteSettings,
    ) -> Result<Database, StoreError> {
        std::fs::create_dir_all(dir).map_err(|error| StoreError::Permanent {
            context: "failed to make the data directory",
            cause: format!("`{}`: {error}", dir.display()),
        })?;
        let path = dir.join(kind.name);
        let synchronous = match settings.synchronous {
            Synchronous::Normal => SqliteSynchronous::Normal,
            Synchronous::Full => SqliteSynchronous::Full,
        };
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .foreign_keys(false)
            .busy_timeout(Duration::from_secs(5))
            .statement_cache_capacity(64)
            .row_buffer_size(1_024)
            .pragma("wal_autocheckpoint", kind.checkpoint_pages.to_string())
            .pragma("journal_size_limit", kind.wal_bytes_kept().to_string())
            .pragma("cache_size", "-8192")
            .pragma("temp_store", "memory")
            .disable_statement_logging();
        let named = |error| match error {
            StoreError::Permanent { context, cause } => {
                StoreError::Permanent { context, cause: format!("`{}`: {cause}", path.display()) }
            }
            other => other,
        };
        claim(&path, kind).await.map_err(named)?;
        migrate(&options, kind).await.map_err(named)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(settings.num_readers.max(1))
            .acquire_timeout(Duration::from_secs(10))
            .test_before_acquire(false)
            .connect_lazy_with(
                options.clone().create_if_missing(false).read_only(true).pragma("cache_size", "-2048"),
            );
        Ok(Database { options, readers, damage: OnceLock::new() })
    }

    /// Opens a file to read it, also while another process writes to it. Nothing in it is changed, so it is refused where it
    /// is not of this version.
    pub(in crate::stores) async fn open_to_read(
        dir: &Path,
        kind: &FileKind,
        settings: &SqliteSettings,
    ) -> Result<Database, StoreError> {
        let path = dir.join(kind.name);
        let refused = |cause: &str| StoreError::Permanent {
            context: OPENING,
            cause: format!("`{}`: {cause}", path.display()),
        };
        if !path.is_file() {
            return Err(refused("there is no such file"));
        }
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(false)
            .read_only(true)
            .busy_timeout(Duration::from_secs(5))
            .row_buffer_size(1_024)
            .pragma("cache_size", "-8192")
            .pragma("temp_store", "memory")
            .disable_statement_logging();
        let mut conn = options.connect().await.map_err(failed(OPENING))?;
        let application_id: i32 = sqlx::query_scalar("PRAGMA application_id")
            .fetch_one(&mut conn)
            .await
            .map_err(failed(OPENING))?;
        if application_id != kind.application_id {
            return Err(refused("the file holds something else"));
        }
        let applied: Vec<i64> =
            sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")
                .fetch_all(&mut conn)
                .await
                .map_err(failed(OPENING))?;
        let known: Vec<i64> = kind.migrator.iter().map(|migration| migration.version).collect();
        if applied != known {
            let is_older = applied.iter().all(|version| known.contains(version));
            return Err(refused(if is_older {
                "the file is of an earlier version of the program; `tickwire migrate` brings it up to this one"
            } else {
                "the file belongs to another version of the program"
            }));
        }
        conn.close().await.map_err(failed(OPENING))?;
        let readers = SqlitePoolOptions::new()
            .max_connections(settings.num_readers.max(1))
            .acquire_timeout(Duration::from_secs(10))
            .test_before_acquire(false)
            .connect_lazy_with(options.clone());
        Ok(Database { options, readers, damage: OnceLock::new() })
    }

    /// Returns the read-only connections.
    pub(in crate::stores) const fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// Notes an error that speaks of damage, so that health can tell. Returns the outcome as it is.
    pub(in crate::stores) fn note<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error @ StoreError::Permanent { .. }) = &outcome {
            // The first one says enough; the check finds the others.
            self.damage.get_or_init(|| error.to_string());
        }
        outcome
    }

    /// Returns the first damage noted.
    pub(in crate::stores) fn damage(&self) -> Option<String> {
        self.damage.get().cloned()
    }

    /// Closes the readers, then the writer: the last connection moves what is in the WAL to the file and deletes it.
    pub(in crate::stores) async fn close(&self, writer: Option<SqliteConnection>) -> Result<(), StoreError> {
        const CLOSING: &str = "failed to close the database";
        self.readers.close().await;
        let mut writer = match writer {
            Some(writer) => writer,
            None => self.connect().await?,
        };
        // Says so where it cannot; closing alone would not.
        let (busy, ..): (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)")
            .fetch_one(&mut writer)
            .await
            .map_err(failed(CLOSING))?;
        writer.close().await.map_err(failed(CLOSING))?;
        if busy == 0 {
            Ok(())
        } else {
            Err(StoreError::Transient { context: CLOSING, cause: "another program reads it".to_owned() })
        }
    }

    /// Makes a connection that may write.
    pub(in crate::stores) async fn connect(&self) -> Result<SqliteConnection, StoreError> {
        self.options.connect().await.map_err(failed(OPENING))
    }
}

const OPENING: &str = "failed to open the database";

/// Makes sure that the file is one of ours before anything in it is touched; an empty one becomes ours.
async fn claim(path: &Path, kind: &FileKind) -> Result<(), StoreError> {
    let plain =
        SqliteConnectOptions::new().filename(path).create_if_missing(true).disable_statement_logging();
    let mut conn = plain.connect().await.map_err(failed(OPENING))?;
    let application_id: i32 =
        sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut conn).await.map_err(failed(OPENING))?;
    if application_id != kind.application_id {
        let num_tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema")
            .fetch_one(&mut conn)
            .await
            .map_err(failed(OPENING))?;
        if application_id != 0 || num_tables != 0 {
            return Err(StoreError::Permanent {
                context: OPENING,
                cause: "the file holds something else; move it away, and a new one is made".to_owned(),
            });
        }
        let mark = AssertSqlSafe(format!("PRAGMA application_id = {}", kind.application_id));
        sqlx::query(mark).execute(&mut conn).await.map_err(failed(OPENING))?;
    }
    conn.close().await.map_err(failed(OPENING))
}

/// Brings the file up to this version.
async fn migrate(options: &SqliteConnectOptions, kind: &FileKind) -> Result<(), StoreError> {
    const MIGRATING: &str = "failed to migrate the database";
    let mut conn = options.connect().await.map_err(failed(OPENING))?;
    kind.migrator.run(&mut conn).await.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => failed(MIGRATING)(error),
        other => StoreError::Permanent {
            context: MIGRATING,
            cause: format!("{other}: the file belongs to another version of the program"),
        },
    })?;
    conn.close().await.map_err(failed(OPENING))
}

/// Begins a transaction that will write.
pub(in crate::stores) async fn begin(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query("BEGIN IMMEDIATE")
        .execute(conn)
        .await
        .map(|_| ())
        .map_err(failed("failed to begin a transaction"))
}

/// Ends a transaction by the outcome of what was done in it. Returns the outcome, and the connection if it is in a known
/// state.
pub(in crate::stores) async fn settle<T>(
    mut conn: SqliteConnection,
    outcome: Result<T, StoreError>,
) -> (Result<T, StoreError>, Option<SqliteConnection>) {
    let outcome = match outcome {
        Ok(value) => match sqlx::query("COMMIT").execute(&mut conn).await {
            Ok(_) => return (Ok(value), Some(conn)),
            Err(error) => Err(failed("failed to commit")(error)),
        },
        Err(error) => Err(error),
    };
    // After a full disk SQLite may have rolled back by itself, and then refuses to do so again: that state is known too.
    let known = match sqlx::query("ROLLBACK").execute(&mut conn).await {
        Ok(_) => true,
        Err(error) => primary_code(&error) == Some(SQLITE_ERROR),
    };
    (outcome, known.then_some(conn))
}

const SQLITE_ERROR: i32 = 1;

/// SQLite's result code without its extension.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

/// What SQLite says of values that a table does not take: too big, against a constraint or a trigger, of the wrong type,
/// out of range.
const REFUSALS: [i32; 4] = [18, 19, 20, 25];

/// Says whether another try can help: busy, locked, out of memory, interrupted, I/O, full, WAL lock protocol.
pub(in crate::stores) fn failed(context: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |error| {
        let cause = error.to_string();
        if primary_code(&error).is_some_and(|code| REFUSALS.contains(&code)) {
            return StoreError::Refused { context, cause, rows: Vec::new() };
        }
        let transient = match &error {
            sqlx::Error::Database(_) => matches!(primary_code(&error), Some(5 | 6 | 7 | 9 | 10 | 13 | 15)),
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => true,
            _ => false,
        };
        if transient {
            StoreError::Transient { context, cause }
        } else {
            StoreError::Permanent { context, cause }
        }
    }
}
