//! PostgreSQL: accepted ticks into its tables, through the writer that the history has. The table is left for the script, which
//! gives the same rows to `psql`.

use super::measure::{cpu, print};
use super::rows::entries;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::sync::Arc;
use std::time::Instant;
use tickwire::config::Config;
use tickwire::models::report::AcceptedReport;
use tickwire::node::Node;
use tickwire::stores::history::postgres::migrate::{Migration, MigrationSettings};
use tickwire::stores::history::postgres::{PostgresHistory, PostgresSettings};
use tickwire::stores::history::{History, HistoryBatch};

/// The database that it leaves.
const DATABASE: &str = "bench_ticks";
const NUM_ROWS: usize = 1_000_000;

/// Writes ticks in batches of the usual size, and of a tenth of it.
pub async fn measure(node: &Node, url: &str) {
    let full = Config::default().postgres.batch.max_events;
    for (what, batch_rows) in [("postgres-small", full / 10), ("postgres", full)] {
        let mut admin = PgConnection::connect(url).await.expect("a server that answers");
        for sql in [
            format!("DROP DATABASE IF EXISTS {DATABASE}"),
            format!("CREATE DATABASE {DATABASE} TEMPLATE template0"),
        ] {
            admin.execute(AssertSqlSafe(sql)).await.expect("a superuser");
        }
        let (server, _) = url.rsplit_once('/').expect("an address with a database");
        let settings = PostgresSettings::of_url(&format!("{server}/{DATABASE}"));
        let migration = Migration::begin(&settings, MigrationSettings::default()).await.expect("connects");
        migration.apply().await.expect("makes the tables");
        let (symbols, sources) = (Arc::clone(&node.symbols), Arc::clone(&node.sources));
        let history = PostgresHistory::open(&settings, symbols, sources, 1).await.expect("opens");
        let batches: Vec<HistoryBatch> =
            (0..NUM_ROWS / batch_rows).map(|nth| batch(nth, batch_rows)).collect();
        let (begun, before) = (Instant::now(), cpu());
        for batch in &batches {
            history.write(batch).await.expect("it is written");
        }
        print(what, "rows", NUM_ROWS, begun.elapsed(), cpu() - before);
    }
}

fn batch(nth: usize, num_rows: usize) -> HistoryBatch {
    let after = (nth * num_rows) as u64;
    let report = |entry| AcceptedReport { seq: Some(after), entry };
    HistoryBatch {
        reports: vec![Arc::new(entries(after, num_rows).into_iter().map(report).collect())],
        acknowledged: after + num_rows as u64,
        ..HistoryBatch::default()
    }
}
