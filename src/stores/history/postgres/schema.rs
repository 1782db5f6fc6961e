//! Which migrations a database has, and whether this program fits it.
//!
//! Promises: nothing here changes the database.

use super::error::failed;
use crate::stores::error::StoreError;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;
use std::collections::BTreeMap;

pub(super) static MIGRATOR: Migrator = sqlx::migrate!("migrations/postgres");

const READING: &str = "failed to read the version of the tables";

/// How the tables compare with what this program knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SchemaState {
    /// They are as this program has them.
    Current,
    /// These migrations are missing, by version.
    Behind(Vec<i64>),
    /// Another version of the program has made them into something else.
    Foreign(String),
}

/// Returns how the tables are.
pub(super) async fn state(conn: &mut PgConnection) -> Result<SchemaState, StoreError> {
    let is_known: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *conn)
        .await
        .map_err(failed(READING))?;
    let applied: Vec<(i64, Vec<u8>, bool)> = if is_known {
        sqlx::query_as("SELECT version, checksum, success FROM _sqlx_migrations ORDER BY version")
            .fetch_all(&mut *conn)
            .await
            .map_err(failed(READING))?
    } else {
        Vec::new()
    };
    let known: BTreeMap<i64, &[u8]> =
        MIGRATOR.iter().map(|migration| (migration.version, &*migration.checksum)).collect();
    for (version, checksum, is_done) in &applied {
        match known.get(version) {
            None => {
                return Ok(SchemaState::Foreign(format!(
                    "migration {version} is of a newer version of the program: use that one"
                )));
            }
            Some(ours) if *ours != checksum.as_slice() || !is_done => {
                return Ok(SchemaState::Foreign(format!(
                    "migration {version} is not the one that this version of the program has"
                )));
            }
            Some(_) => {}
        }
    }
    let missing: Vec<i64> =
        known.into_keys().filter(|version| applied.iter().all(|(of, ..)| of != version)).collect();
    Ok(if missing.is_empty() { SchemaState::Current } else { SchemaState::Behind(missing) })
}

/// Makes sure that the tables are as this program has them.
pub(super) async fn check(conn: &mut PgConnection) -> Result<(), StoreError> {
    let cause = match state(conn).await? {
        SchemaState::Current => return Ok(()),
        SchemaState::Behind(_) => {
            "the tables are missing, or of an older version: run `tickwire migrate`".to_owned()
        }
        SchemaState::Foreign(cause) => cause,
    };
    Err(StoreError::Permanent { context: "PostgreSQL cannot be used", cause })
}
