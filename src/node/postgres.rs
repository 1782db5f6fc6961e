//! The history in PostgreSQL as the configuration wants it: how it is reached, how it is served, what `migrate` is told.
//!
//! Promises: files that hold secrets are read once, and no message names what is in them. On failure the error names the key
//! of the configuration.

use crate::actors::pipeline::FIRST_CONTACT_MAX;
use crate::actors::sinks::{OnFull, SinkPolicy};
use crate::breaker::BreakerPolicy;
use crate::config::{Config, Enabled};
use crate::names::{SourceTable, SymbolTable};
use crate::retry::RetryPolicy;
use crate::secret::Secret;
use crate::stores::history::History;
use crate::stores::history::postgres::migrate::MigrationSettings;
use crate::stores::history::postgres::{PostgresHistory, PostgresSettings, check_url};
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const OPENING: &str = "cannot open the history in PostgreSQL";

/// Returns how PostgreSQL is reached.
///
/// # Errors
/// When a file cannot be read, or an address in one is none.
pub fn settings(config: &Config) -> anyhow::Result<PostgresSettings> {
    let (postgres, history) = (&config.postgres, &config.history);
    let url = address("postgres.url_file", postgres.url.as_ref(), postgres.url_file.as_ref())?;
    let password = match (&postgres.password, &postgres.password_file) {
        (Some(password), _) => Some(password.expose().to_owned()),
        (None, Some(path)) => Some(read("postgres.password_file", path)?),
        (None, None) => None,
    };
    Ok(PostgresSettings {
        url: url.context("`postgres.url` is not set")?,
        password,
        ca_file: postgres.ca_file.clone(),
        schema: postgres.schema.clone(),
        max_connections: postgres.max_connections,
        statement_timeout: postgres.statement_timeout,
        keeps_ticks: postgres.ticks,
        read_url: address(
            "history.read_url_file",
            history.read_url.as_ref(),
            history.read_url_file.as_ref(),
        )?,
        max_replica_lag: history.max_replica_lag,
        ..PostgresSettings::of_url("")
    })
}

/// Opens the history in PostgreSQL. It writes nothing before it is given something to write.
///
/// # Errors
/// When a setting cannot be used, no server answers, or its tables are not as this version has them.
pub async fn open(
    config: &Config,
    symbols: Arc<SymbolTable>,
    sources: Arc<SourceTable>,
    epoch: u64,
) -> anyhow::Result<Arc<dyn History>> {
    let history = PostgresHistory::open(&settings(config)?, symbols, sources, epoch).await;
    Ok(Arc::new(history.context(OPENING)?))
}

/// The same for a run, which goes on without PostgreSQL where `postgres.on_full` lets it. Returns also why nobody knows yet
/// what it holds, if it does not answer within a moment.
///
/// # Errors
/// When a setting cannot be used, or the server is there and refuses, or its tables are not as this version has them.
pub async fn open_for_run(
    config: &Config,
    symbols: Arc<SymbolTable>,
    sources: Arc<SourceTable>,
    epoch: u64,
) -> anyhow::Result<(Arc<dyn History>, Option<String>)> {
    if config.postgres.on_full != OnFull::CatchUp {
        return Ok((open(config, symbols, sources, epoch).await?, None));
    }
    let history = PostgresHistory::new(&settings(config)?, symbols, sources, epoch).context(OPENING)?;
    let away = match tokio::time::timeout(FIRST_CONTACT_MAX, history.connect()).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) if error.is_transient() => Some(error.to_string()),
        Ok(Err(error)) => return Err(error).context(OPENING),
        Err(_) => Some(format!("PostgreSQL does not answer within {FIRST_CONTACT_MAX:?}")),
    };
    let away = away.map(|why| format!("{why}; it is tried again: start the server, or see `postgres.url`"));
    Ok((Arc::new(history), away))
}

/// Returns how a history in PostgreSQL is served, in a run or in whatever has nothing to do without it.
#[must_use]
pub fn policy(config: &Config, is_run: bool) -> SinkPolicy {
    let postgres = &config.postgres;
    let rows_max = usize::try_from(postgres.queue_rows.get()).unwrap_or(usize::MAX);
    SinkPolicy {
        timeout: Some(postgres.timeout),
        retry: RetryPolicy { delay: postgres.retry_delay, max_delay: postgres.retry_max_delay },
        breaker: BreakerPolicy { failures: postgres.breaker_failures, open_for: postgres.breaker_open },
        on_full: if is_run { postgres.on_full } else { OnFull::Block },
        rows_max,
        batch_rows: postgres.batch.max_events.min(rows_max),
        batch_age: postgres.batch.max_age,
    }
}

/// Returns what `migrate` is told.
#[must_use]
pub fn migration(config: &Config) -> MigrationSettings {
    let postgres = &config.postgres;
    MigrationSettings {
        timescale: match postgres.timescale {
            Enabled::Auto => None,
            Enabled::Yes => Some(true),
            Enabled::No => Some(false),
        },
        compress_after: postgres.compress_after,
        retention_ticks: postgres.retention_ticks,
        retention_bars: postgres.retention_bars,
    }
}

fn address(
    key: &'static str,
    url: Option<&Secret>,
    file: Option<&PathBuf>,
) -> anyhow::Result<Option<String>> {
    if let Some(url) = url {
        return Ok(Some(url.expose().to_owned()));
    }
    let Some(path) = file else { return Ok(None) };
    let url = read(key, path)?;
    check_url(&url).map_err(|fault| anyhow::anyhow!("`{key}`: `{}`: {fault}", path.display()))?;
    Ok(Some(url))
}

fn read(key: &'static str, path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("`{key}`: cannot read `{}`", path.display()))?;
    let text = text.trim();
    anyhow::ensure!(!text.is_empty(), "`{key}`: there is nothing in `{}`", path.display());
    Ok(text.to_owned())
}
