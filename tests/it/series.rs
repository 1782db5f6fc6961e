//! The series of Prometheus: those of a run that is well move while it runs.

use crate::support::process::{Program, command, wait_for};
use std::collections::BTreeMap;

/// Series with their labels, and their values.
fn scrape(program: &Program) -> BTreeMap<String, f64> {
    let text = program.get("metrics", "/metrics").expect("it answers").body;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
        .collect()
}

#[test]
fn every_series_of_the_data_path_moves_while_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = command(&["run", "--rate", "2000", "--symbols", "AAPL"]);
    run.env("TICKWIRE__CORE__WINDOWS", "1s,1min").env("TICKWIRE__CORE__LATENESS", "100ms");
    run.env("TICKWIRE__METRICS__LATENCY_THRESHOLD", "1ns").current_dir(dir.path());
    let program = Program::start(run);
    program.line_with(" ready");
    let address = program.address("WebSocket");
    let (mut client, _) = tungstenite::connect(address).unwrap();
    client
        .send(tungstenite::Message::text(
            r#"{"type":"subscribe","symbols":["AAPL"],"channels":["ticks","bars"]}"#,
        ))
        .unwrap();
    let reader = std::thread::spawn(move || while client.read().is_ok() {});
    let mut moved = vec![
        "tick_messages_received_total{symbol=\"AAPL\"}".to_owned(),
        "aggregated_messages_received_total{symbol=\"AAPL\"}".to_owned(),
        "messages_per_second{symbol=\"AAPL\"}".to_owned(),
        "active_websocket_connections".to_owned(),
        "tickwire_log_size_bytes".to_owned(),
        "tickwire_log_position".to_owned(),
        "tickwire_sink_written_total{sink=\"history\"}".to_owned(),
        "tickwire_ledger_reports{fate=\"in_bars\",source=\"simulated\"}".to_owned(),
    ];
    for stage in ["provider", "log", "router", "fanout", "history", "hub"] {
        for direction in ["received", "sent"] {
            moved.push(format!("tickwire_stage_{direction}_total{{stage=\"{stage}\"}}"));
        }
    }
    for component in [
        "exchange_to_received",
        "received_to_bar",
        "received_to_committed",
        "received_to_sent",
        "received_to_bar_sent",
    ] {
        moved.push(format!("processing_latency_seconds_count{{component=\"{component}\"}}"));
    }
    moved.push("tickwire_latency_over_threshold{component=\"received_to_bar\"}".to_owned());
    for name in &moved {
        wait_for(name, || scrape(&program).get(name).is_some_and(|value| *value > 0.0).then_some(()));
    }
    // Depths are 0 while all is well; there are no others than those that somebody sets.
    let depths: Vec<String> =
        scrape(&program).into_keys().filter(|name| name.starts_with("tickwire_queue_depth")).collect();
    assert_eq!(depths, ["tickwire_queue_depth{stage=\"hub\"}", "tickwire_queue_depth{stage=\"log\"}"]);
    wait_for("bars a second", || {
        let rows = program.get("REST", "/api/v1/metrics/throughput")?.json();
        let of_bars = rows["metrics"].as_array()?.iter().filter(|row| row["field"] == "bars_per_second");
        of_bars.filter_map(|row| row["value"].as_f64()).any(|value| value > 0.0).then_some(())
    });
    // All that is there was looked at, or tells of something that did not happen.
    let unknown: Vec<String> = scrape(&program)
        .into_iter()
        .filter(|(name, value)| *value == 0.0 && name.starts_with("tickwire_stage_") && !moved.contains(name))
        .map(|(name, _)| name)
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    program.stop();
    reader.join().unwrap();
}
