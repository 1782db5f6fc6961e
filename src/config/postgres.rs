//! Section `postgres`: where the history is when `history.kind` says so.
//!
//! Promises: the defaults are valid but for the address, of which there is none; nothing here is used while the history is
//! elsewhere.

use super::sinks::{Batch, Enabled};
use super::text::span;
use crate::actors::sinks::OnFull;
use crate::secret::Secret;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

const DAY: Duration = Duration::from_hours(24);

/// Section `postgres`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Postgres {
    /// Its address: `postgres://user:password@host:5432/database`; several hosts with commas between, of which the one that
    /// may be written to is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Secret>,
    /// A file that holds the address; `url` wins over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_file: Option<PathBuf>,
    /// The password, where the address has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// A file that holds it; `password` wins over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// Certificates, as PEM, of who signs the server's. Where it is set the server's name is checked too, unless the
    /// address says otherwise with `sslmode`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The schema that holds the tables.
    pub schema: String,
    /// Most connections that requests share; the writer has one of its own.
    pub max_connections: u32,
    /// A statement that takes longer is ended.
    #[serde(with = "span")]
    pub statement_timeout: Duration,
    /// Whether the large tables are hypertables: `auto` where the database has TimescaleDB.
    pub timescale: Enabled,
    /// Whether accepted ticks are kept there as well.
    pub ticks: bool,
    /// Chunks of hypertables that are older are compressed.
    #[serde(with = "span")]
    pub compress_after: Duration,
    /// Ticks that are older are dropped.
    #[serde(with = "span")]
    pub retention_ticks: Duration,
    /// Bars, indicators and dead letters that are older are dropped.
    #[serde(with = "span")]
    pub retention_bars: Duration,
    /// A write that takes longer has failed.
    #[serde(with = "span")]
    pub timeout: Duration,
    /// Longest pause before the first new try of a write that failed.
    #[serde(with = "span")]
    pub retry_delay: Duration,
    /// Longest pause before any.
    #[serde(with = "span")]
    pub retry_max_delay: Duration,
    /// Failures in a row after which it is left alone for `breaker_open`; 0 is never.
    pub breaker_failures: u32,
    /// How long it is left alone before the next try: short, since the log waits for what it has not got.
    #[serde(with = "span")]
    pub breaker_open: Duration,
    /// When its queue is full: `catch_up` lets go of what waits, and brings it from the log later; `block` has the data path
    /// wait.
    pub on_full: OnFull,
    /// Rows that fill its queue.
    pub queue_rows: NonZeroU32,
    /// How rows gather for one write.
    pub batch: Batch,
}

impl Default for Postgres {
    fn default() -> Self {
        Postgres {
            url: None,
            url_file: None,
            password: None,
            password_file: None,
            ca_file: None,
            schema: "public".to_owned(),
            max_connections: 8,
            statement_timeout: Duration::from_secs(10),
            timescale: Enabled::Auto,
            ticks: true,
            compress_after: DAY * 7,
            retention_ticks: DAY * 365,
            retention_bars: DAY * 365,
            timeout: Duration::from_secs(10),
            retry_delay: Duration::from_millis(100),
            retry_max_delay: Duration::from_secs(30),
            breaker_failures: 5,
            breaker_open: Duration::from_secs(5),
            on_full: OnFull::CatchUp,
            queue_rows: NonZeroU32::new(200_000).expect("not 0"),
            // A transaction is no dearer for coming sooner, and a tick is in the history some 15 ms after it came.
            batch: Batch { max_age: Duration::from_millis(10), ..Batch::default() },
        }
    }
}
