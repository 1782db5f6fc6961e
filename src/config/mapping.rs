//! The configuration in the words of those who are configured.

use super::{Config, Durability};
use crate::actors::log_writer::GroupPolicy;
use crate::stores::sqlite::{SqliteSettings, Synchronous};
use std::time::Duration;

impl Config {
    /// Returns how the SQLite stores are kept.
    #[must_use]
    pub fn sqlite_settings(&self) -> SqliteSettings {
        SqliteSettings {
            synchronous: match self.log.synchronous {
                Durability::Normal => Synchronous::Normal,
                Durability::Full => Synchronous::Full,
            },
            retention_ticks_age: nanos(self.log.retention_age),
            retention_ticks_bytes: self.log.retention_size.0,
            retention_bars_age: nanos(self.history.retention_age),
            ..SqliteSettings::default()
        }
    }

    /// Returns when the log's writer commits, and how much may wait for it.
    #[must_use]
    pub const fn group_policy(&self) -> GroupPolicy {
        GroupPolicy {
            max_entries: self.log.group_entries,
            max_age: self.log.group_age,
            spill_entries: self.log.spill_entries,
        }
    }
}

fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}
