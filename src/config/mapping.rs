//! The configuration in the terms of the stores and actors that it configures. Nothing here fails: values are
//! validated before.

use super::{Config, Durability};
use crate::actors::partition::log_writer::GroupPolicy;
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

#[cfg(test)]
mod tests {
    use super::super::ByteSize;
    use super::*;

    #[test]
    fn the_stores_get_what_is_set() {
        let mut config = Config::default();
        assert_eq!(config.sqlite_settings(), SqliteSettings::default());
        config.log.synchronous = Durability::Full;
        config.log.retention_age = Duration::from_secs(1);
        config.log.retention_size = ByteSize(2);
        config.history.retention_age = Duration::from_secs(3);
        let expected = SqliteSettings {
            synchronous: Synchronous::Full,
            retention_ticks_age: 1_000_000_000,
            retention_ticks_bytes: 2,
            retention_bars_age: 3_000_000_000,
            ..SqliteSettings::default()
        };
        assert_eq!(config.sqlite_settings(), expected);
    }

    #[test]
    fn the_log_writer_gets_what_is_set() {
        let mut config = Config::default();
        (config.log.group_entries, config.log.spill_entries) = (5, 6);
        config.log.group_age = Duration::from_millis(7);
        let GroupPolicy { max_entries, max_age, spill_entries } = config.group_policy();
        assert_eq!((max_entries, max_age, spill_entries), (5, Duration::from_millis(7), 6));
    }
}
