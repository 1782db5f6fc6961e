//! SQLite: ticks into the log, which is where that store keeps them.

use super::measure::{cpu, print};
use super::rows::entries;
use std::sync::Arc;
use std::time::Instant;
use tickwire::config::Config;
use tickwire::node::Node;
use tickwire::stores::log::sqlite::SqliteLog;
use tickwire::stores::log::{CommitLog, LogGroup};
use tickwire::stores::sqlite::SqliteSettings;

const NUM_ROWS: usize = 1_000_000;

/// Appends ticks in groups of the largest size.
pub async fn measure(node: &Node) {
    let dir = tempfile::tempdir().expect("a directory");
    let (symbols, sources) = (Arc::clone(&node.symbols), Arc::clone(&node.sources));
    let log = SqliteLog::open(dir.path(), symbols, sources, SqliteSettings::default()).await.expect("opens");
    let group_rows = Config::default().log.group_entries;
    let groups: Vec<LogGroup> = (0..NUM_ROWS / group_rows)
        .map(|nth| LogGroup { entries: entries((nth * group_rows) as u64, group_rows), progress: None })
        .collect();
    let (begun, before) = (Instant::now(), cpu());
    for group in &groups {
        log.append(group).await.expect("it is written");
    }
    print("sqlite", "rows", groups.len() * group_rows, begun.elapsed(), cpu() - before);
}
