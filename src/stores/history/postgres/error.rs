//! What errors of PostgreSQL mean: whether another try can help, or rows are refused.
//!
//! Promises: it goes by SQLSTATE and by nothing in the text, so the server's language does not matter.

use crate::stores::error::StoreError;
use sqlx::error::DatabaseError;

/// What follows from an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// Another try may help.
    Transient,
    /// It does not.
    Permanent,
    /// Rows are refused.
    Rows,
}

/// What SQLSTATEs mean, by what they begin with; the first one that fits counts, and what is not here is permanent.
const MEANINGS: [(&str, Meaning); 16] = [
    // A statement that was ended, since it took too long or somebody asked for it.
    ("57014", Meaning::Transient),
    // The database was dropped under us: nothing brings it back.
    ("57P04", Meaning::Permanent),
    // The server stops, starts, or has crashed.
    ("57", Meaning::Transient),
    // No connection.
    ("08", Meaning::Transient),
    // It became a standby: the next connection looks for the one that may be written to.
    ("25006", Meaning::Transient),
    // Deadlock or conflict with another transaction.
    ("40", Meaning::Transient),
    // No disk, memory or connections left.
    ("53", Meaning::Transient),
    // A row that is larger than the server can hold.
    ("54000", Meaning::Rows),
    // A lock that was not to be had in time, or an object in use.
    ("55P03", Meaning::Transient),
    ("55006", Meaning::Transient),
    // The server's own files.
    ("58", Meaning::Transient),
    // The server's own fault; of damage it says so for itself.
    ("XX001", Meaning::Permanent),
    ("XX002", Meaning::Permanent),
    ("XX", Meaning::Transient),
    // Values that a type does not have, and those that a constraint or a trigger does not take.
    ("22", Meaning::Rows),
    ("23", Meaning::Rows),
];

fn meaning(code: &str) -> Meaning {
    let found = MEANINGS.iter().find(|(prefix, _)| code.starts_with(prefix));
    // What a trigger raises without a code of its own.
    if code == "P0001" { Meaning::Rows } else { found.map_or(Meaning::Permanent, |(_, meaning)| *meaning) }
}

/// Says of an error of the server, or of the way there, what follows from it.
pub(super) fn failed(context: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |error| {
        let meaning = match &error {
            sqlx::Error::Database(database) => {
                database.code().map_or(Meaning::Permanent, |code| meaning(&code))
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Meaning::Transient,
            _ => Meaning::Permanent,
        };
        let cause = match error.as_database_error().and_then(DatabaseError::code) {
            Some(code) => format!("{error} (SQLSTATE {code})"),
            None => error.to_string(),
        };
        match meaning {
            Meaning::Transient => StoreError::Transient { context, cause },
            Meaning::Permanent => StoreError::Permanent { context, cause },
            Meaning::Rows => StoreError::Refused { context, cause, rows: Vec::new() },
        }
    }
}

/// True for what a server says of features that its licence does not have.
pub(super) fn is_unavailable(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(DatabaseError::code).is_some_and(|code| code == "0A000")
}

/// True when a lock was not to be had: somebody else is at it.
pub(super) fn is_locked_out(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| code == "55P03" || code == "40P01")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_meaning() {
        for (code, expected) in [
            ("08006", Meaning::Transient),
            ("57P01", Meaning::Transient),
            ("57P03", Meaning::Transient),
            ("57P04", Meaning::Permanent),
            ("25006", Meaning::Transient),
            ("40001", Meaning::Transient),
            ("53100", Meaning::Transient),
            ("55P03", Meaning::Transient),
            ("22021", Meaning::Rows),
            ("22003", Meaning::Rows),
            ("23514", Meaning::Rows),
            ("P0001", Meaning::Rows),
            ("28P01", Meaning::Permanent),
            ("3D000", Meaning::Permanent),
            ("42P01", Meaning::Permanent),
            ("42501", Meaning::Permanent),
            ("0A000", Meaning::Permanent),
            ("XX000", Meaning::Transient),
            ("XX001", Meaning::Permanent),
        ] {
            assert_eq!(meaning(code), expected, "{code}");
        }
    }
}
