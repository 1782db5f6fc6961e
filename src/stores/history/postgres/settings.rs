//! How PostgreSQL is reached, and what is kept there.

use std::path::PathBuf;
use std::time::Duration;

/// How PostgreSQL is reached, and what is kept there.
#[derive(Clone)]
pub struct PostgresSettings {
    /// `postgres://user:password@host:5432,other:5432/database?sslmode=…`. Secret.
    pub url: String,
    /// The password, where the address has none. Secret.
    pub password: Option<String>,
    /// Certificates of who signs the server's, as PEM.
    pub ca_file: Option<PathBuf>,
    /// The schema that holds the tables.
    pub schema: String,
    /// Connections of readers, at the most; the writer has one of its own.
    pub max_connections: u32,
    /// A statement that takes longer is ended.
    pub statement_timeout: Duration,
    /// A connection that takes longer to be made has failed.
    pub connect_timeout: Duration,
    /// Whether accepted ticks are kept there.
    pub keeps_ticks: bool,
    /// Where readers are served, where that is another server. Secret.
    pub read_url: Option<String>,
    /// A server of `read_url` that is this far behind is not read.
    pub max_replica_lag: Duration,
}

impl PostgresSettings {
    /// Returns the usual settings for an address.
    #[must_use]
    pub fn of_url(url: &str) -> PostgresSettings {
        PostgresSettings {
            url: url.to_owned(),
            password: None,
            ca_file: None,
            schema: "public".to_owned(),
            max_connections: 8,
            statement_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            keeps_ticks: true,
            read_url: None,
            max_replica_lag: Duration::from_secs(10),
        }
    }
}
