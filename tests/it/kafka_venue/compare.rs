//! Our bars beside those of the former system.

use crate::support::kafka::Kafka;
use crate::support::process::{Program, command, replay};
use crate::support::shared;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const DAY: &str = "eq_taq_20140917_trades.csv.gz";

#[test]
fn bars_that_differ_are_found_and_explained() {
    let Some(kafka) = Kafka::take("bars_that_differ") else { return };
    let Some(file) = shared::path(DAY) else { return };
    let dir = tempfile::tempdir().unwrap();
    let (data, bars) = (dir.path().join("data"), dir.path().join("bars.csv"));
    let (data, bars) = (data.to_str().unwrap(), bars.to_str().unwrap());
    replay(&[file.to_str().unwrap(), "--data-dir", data, "--bars", bars]).summary();

    let prefix = kafka.topic("aggregated_data");
    let topic = format!("{prefix}_1min");
    kafka.create(&topic, 3, &[]);
    let text = std::fs::read_to_string(bars).unwrap();
    let mut theirs: Vec<Value> = text.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>()).filter(|row| row[1] == "1min").map(|row| {
        let number = |at: usize| row[at].parse::<f64>().unwrap();
        let seconds = |at: usize| row[at].parse::<i64>().unwrap() / 1_000_000_000;
        json!({
            "symbol": row[0], "window_start": seconds(2), "window_end": seconds(3), "open": number(4), "high": number(5),
            "low": number(6), "close": number(7), "volume": number(8), "trade_count": number(10) as u64,
        })
    }).collect();
    let num_bars = theirs.len();
    assert!(num_bars > 20, "{num_bars}");
    // One bar is missing there, one more is there, one counts trades that are not here, one has another first trade.
    let missing = theirs.remove(0);
    theirs[3]["trade_count"] = json!(theirs[3]["trade_count"].as_u64().unwrap() + 2);
    theirs[3]["volume"] = json!(theirs[3]["volume"].as_f64().unwrap() + 250.0);
    theirs[6]["open"] = json!(theirs[6]["open"].as_f64().unwrap() + 0.01);
    let mut more = theirs[9].clone();
    more["window_start"] = json!("2014-09-17T03:00:00");
    theirs.push(more);
    // One is written twice, first with fewer trades; ours stands there as well.
    let mut first = theirs[12].clone();
    first["trade_count"] = json!(0);
    let mut own = missing.clone();
    own["log_pos"] = json!("7");
    let values: Vec<String> = [&first, &own].into_iter().chain(&theirs).map(Value::to_string).collect();
    kafka.produce(&topic, values.iter().map(|value| ("A", value.as_bytes())));

    let mut compare =
        command(&["compare", "--data-dir", data, "--topics", &prefix, "--json", "--from", "2014-09-17"]);
    compare.env("KAFKA_BOOTSTRAP_SERVERS", &kafka.servers);
    let ended = Program::start(compare).wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let windows: BTreeMap<String, u64> = serde_json::from_value(report["windows"].clone()).unwrap();
    let expected = [
        ("equal", num_bars as u64 - 3),
        ("missing_here", 1),
        ("only_ours", 1),
        ("only_theirs", 1),
        ("order", 1),
    ];
    assert_eq!(windows, expected.map(|(word, count)| (word.to_owned(), count)).into(), "{report}");
    assert_eq!((&report["replaced_there"], &report["written_by_us"]), (&json!(1), &json!(1)));
    assert_eq!(report["differences"].as_array().unwrap().len(), 4);
}
