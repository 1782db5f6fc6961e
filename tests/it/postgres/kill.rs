//! A program that is killed again and again ends with the rows of its log, each once.

use super::{Names, block_on, migrated};
use crate::support::postgres::{SharedPostgres, rows};
use crate::support::process::{Program, command, run_args, wait_for};
use crate::support::rows::{apply_log, assert_same_rows};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use tickwire::actors::sinks::history::HistorySink;
use tickwire::actors::sinks::{Sink, SinkBatch};
use tickwire::models::detection::settings::DetectionSettings;
use tickwire::models::settings::CoreSettings;
use tickwire::models::time::{MINUTE, SECOND, Width};
use tickwire::stores::log::Partition;

/// Bars that close all the time, and little made-up past.
fn run(dir: &Path, url: &str) -> Command {
    let mut run = command(&run_args(dir, &["--rate", "3000", "--symbol-count", "20", "--seed", "5"]));
    run.env("DATABASE_URL", url)
        .env("TICKWIRE__PROVIDER__WARM_UP", "1min")
        .env("TICKWIRE__PROVIDER__SIMULATED__WARM_UP_TRADES_MAX", "2000")
        .env("TICKWIRE__RECOVERY__MAX_AGE", "640ms")
        .env("TICKWIRE__CORE__WINDOWS", "100ms,1s,1min")
        .env("TICKWIRE__CORE__LATENESS", "10ms")
        .env("TICKWIRE__DETECTION__WINDOW", "100ms")
        .env("TICKWIRE__POSTGRES__BATCH__MAX_AGE", "10ms");
    run
}

fn core() -> CoreSettings {
    let widths = [SECOND / 10, SECOND, MINUTE].map(|nanos| Width::new(nanos).unwrap());
    let detection = Some(DetectionSettings { width: widths[0], ..DetectionSettings::default() });
    CoreSettings { widths: widths.to_vec(), lateness: SECOND / 100, detection, ..CoreSettings::default() }
}

/// Returns every row of a database, but for what follows from the order in which rows came.
pub fn all_rows(url: &str) -> Vec<String> {
    let mut all = Vec::new();
    for (table, columns) in [
        ("tick_data", "*"),
        ("aggregated_data", "*"),
        (
            "anomalies",
            "id, time, symbol, anomaly_type, severity, description, current_value, expected_value, threshold, metadata, state, \
             log_pos",
        ),
        ("technical_indicators", "*"),
        ("void_bars", "*"),
        ("symbols", "*"),
        ("dead_letters", "received_at, reason, symbol, provider, payload, origin, log_pos, received_ns"),
    ] {
        let found = rows(url, &format!("SELECT {columns} FROM {table}"));
        all.extend(found.into_iter().map(|row| format!("{table}|{row}")));
    }
    all.sort();
    all
}

#[test]
fn a_run_killed_again_and_again_leaves_each_row_of_its_log_once() {
    let Some(database) = migrated("killed") else { return };
    let dir = tempfile::tempdir().unwrap();
    for nth in 0..5 {
        let mut program = Program::start(run(dir.path(), &database.url));
        program.line_with(" ready");
        let moved =
            || database.rows("SELECT batch FROM progress").pop().map(|batch| batch.parse::<u64>().unwrap());
        let before = moved().unwrap_or(0);
        wait_for("some batches", || (moved()? > before + 7 * nth).then_some(()));
        assert!(!program.has_ended());
        program.kill();
    }
    let program = Program::start(run(dir.path(), &database.url));
    program.line_with(" ready");
    program.stop();

    let applied = apply_log(dir.path(), core(), false);
    assert!(applied.reports.len() > 500, "{}", applied.reports.len());
    let Some(expected) = migrated("expected") else { return };
    write(&expected, &applied);
    let found = all_rows(&database.url);
    assert!(found.iter().any(|row| row.starts_with("anomalies|")), "nothing was unusual");
    assert_same_rows(&all_rows(&expected.url), &found, "after kills");
}

/// Writes what follows from a log into another database.
pub fn write(database: &SharedPostgres, applied: &crate::support::rows::Applied) {
    block_on(async {
        let names = Names { symbols: Arc::clone(&applied.symbols), sources: Arc::clone(&applied.sources) };
        let history = names.open(&database.url, 1).await.unwrap();
        let batch = SinkBatch {
            effects: vec![Arc::new(applied.effects.clone())],
            reports: vec![Arc::new(applied.reports.clone())],
            acknowledged: BTreeMap::from([(Partition::EMBEDDED, 1)]),
            ..SinkBatch::default()
        };
        let symbols = Arc::clone(&applied.symbols);
        let sink = HistorySink::new(Arc::new(history), Partition::EMBEDDED, symbols);
        sink.write(&batch).await.unwrap();
    });
}
