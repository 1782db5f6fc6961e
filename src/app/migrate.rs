//! `tickwire migrate`: brings the stores to the schema of this version, and says what it does.
//!
//! Promises: with `--dry-run` nothing is changed. Tables in PostgreSQL are made and changed by this command alone; files of
//! the data directory are migrated by whoever opens them, so here they are only opened.
//! On failure: the steps that were done stand, and another run goes on from there.

use crate::config::{Config, HistoryKind, LogKind};
use crate::node::{Node, postgres};
use crate::stores::history::postgres::migrate::Migration;
use anyhow::Context;
use std::io::Write;

/// Migrates the stores, or shows what there is to do.
///
/// # Errors
/// When a store cannot be opened or migrated.
pub fn run(config: &Config, is_dry: bool) -> anyhow::Result<()> {
    actix::System::new().block_on(async {
        if config.history.kind == HistoryKind::Postgres {
            migrate_postgres(config, is_dry).await?;
        }
        if is_dry {
            if config.log.kind == LogKind::Sqlite {
                say(&format!(
                    "data directory `{}`: its files are migrated when they are opened",
                    config.data_dir.display()
                ));
            }
            return Ok(());
        }
        // Opening a store migrates it.
        let node = Node::open(config).await?;
        let tail = node.log.tail().await?;
        node.close().await;
        tracing::info!(entries_through = tail.last, "the stores have the schema of this version");
        Ok(())
    })
}

async fn migrate_postgres(config: &Config, is_dry: bool) -> anyhow::Result<()> {
    let mut migration = Migration::begin(&postgres::settings(config)?, postgres::migration(config))
        .await
        .context("cannot migrate PostgreSQL")?;
    let plan = migration.plan().await?;
    let word = if is_dry { "to do" } else { "doing" };
    for step in &plan.steps {
        say(&format!("{word}: {step}"));
    }
    if plan.steps.is_empty() {
        say("PostgreSQL: the tables are as this version has them");
    }
    if is_dry {
        return Ok(());
    }
    // What the configuration says of retention is told the database each time.
    for lacking in migration.apply().await? {
        tracing::warn!("the server's licence does not have it, and the rest goes on: {lacking}");
    }
    Ok(())
}

/// Writes a line to standard output. A closed pipe is no failure: the exit code carries the result.
fn say(line: &str) {
    writeln!(std::io::stdout(), "{line}").ok();
}
