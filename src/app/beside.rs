//! The history of a data directory, opened so that nothing in it can be changed: for commands that run beside the process
//! that fills it.
//!
//! On failure the error names the directory.

use crate::config::{Config, HistoryKind};
use crate::names::{SourceTable, SymbolTable};
use crate::node::postgres;
use crate::stores::history::History;
use crate::stores::history::sqlite::SqliteHistory;
use crate::stores::log::sqlite::SqliteLog;
use anyhow::Context;
use std::sync::Arc;

/// A history to read.
pub struct Beside {
    /// The symbols that the directory knows.
    pub symbols: Arc<SymbolTable>,
    /// Its history.
    pub history: Arc<dyn History>,
}

impl Beside {
    /// Opens the stores that the configuration names.
    ///
    /// # Errors
    /// When there are none, or they cannot be read.
    pub async fn open(config: &Config) -> anyhow::Result<Beside> {
        let dir = &config.data_dir;
        anyhow::ensure!(
            dir.join("log.db").is_file(),
            "the data directory `{}` holds nothing: name one that `run` or `replay` has filled",
            dir.display()
        );
        let (symbols, sources) = (Arc::<SymbolTable>::default(), Arc::<SourceTable>::default());
        let tables = || (Arc::clone(&symbols), Arc::clone(&sources));
        let sqlite = config.sqlite_settings();
        let log = SqliteLog::open_to_read(dir, tables().0, tables().1, sqlite.clone()).await;
        let log = log.with_context(|| format!("cannot read the log in `{}`", dir.display()))?;
        let epoch = log.tail().await?.epoch;
        let history = match config.history.kind {
            HistoryKind::Sqlite => {
                let history = SqliteHistory::open_to_read(dir, tables().0, tables().1, sqlite, epoch).await;
                history.with_context(|| format!("cannot read the history in `{}`", dir.display()))?
            }
            HistoryKind::Postgres => postgres::open(config, tables().0, tables().1, epoch).await?,
        };
        Ok(Beside { symbols, history })
    }
}
