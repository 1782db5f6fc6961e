//! The history in a real PostgreSQL: what is written once, who may write, what is taken over, and servers that come and go.

mod failover;
mod fenced;
pub mod kill;
mod order;
mod reading;
mod roles;
mod secure;
mod takeover;
mod writer;

use crate::support::postgres::SharedPostgres;
use std::sync::Arc;
use std::time::Duration;
use tickwire::names::{SourceTable, SymbolTable};
use tickwire::stores::StoreError;
use tickwire::stores::history::postgres::migrate::{Migration, MigrationSettings};
use tickwire::stores::history::postgres::{PostgresHistory, PostgresSettings};

pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Names that a history speaks of.
#[derive(Clone, Default)]
struct Names {
    symbols: Arc<SymbolTable>,
    sources: Arc<SourceTable>,
}

impl Names {
    async fn open(&self, url: &str, epoch: u64) -> Result<PostgresHistory, StoreError> {
        let settings = PostgresSettings::of_url(url);
        PostgresHistory::open(&settings, Arc::clone(&self.symbols), Arc::clone(&self.sources), epoch).await
    }
}

/// Makes the tables. They keep everything, since the tests' rows have dates that do not move on.
pub async fn migrate(url: &str) -> Result<Vec<String>, StoreError> {
    let century = Duration::from_hours(24 * 36_500);
    let kept = MigrationSettings {
        retention_ticks: century,
        retention_bars: century,
        ..MigrationSettings::default()
    };
    let settings = PostgresSettings::of_url(url);
    Migration::begin(&settings, kept).await?.apply().await
}

/// Returns a database with the tables in it.
pub fn migrated(test: &str) -> Option<SharedPostgres> {
    let database = SharedPostgres::take(test)?;
    block_on(migrate(&database.url)).unwrap();
    Some(database)
}
