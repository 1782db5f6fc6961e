//! The topics that a run writes: complete, where Java clients look for them, and as the schemas say.

use super::schemas;
use super::world::{
    assert_complete, assert_complete_with, core, run, stop, wait_for_health, wait_for_messages,
};
use crate::support::kafka::{Kafka, KafkaServer};
use crate::support::process::{Program, wait_for};
use crate::support::python::Python;
use crate::support::rows::apply_log;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use tickwire::models::effect::Effect;
use tickwire::models::settings::CoreSettings;
use tickwire::models::time::SECOND;

/// Returns the compressions of the batches that lie in a broker's folder: 2 is snappy.
fn compressions(data: &Path, topic: &str) -> BTreeSet<u8> {
    let mut found = BTreeSet::new();
    for partition in 0..6 {
        let path = data.join(format!("{topic}-{partition}/00000000000000000000.log"));
        let bytes = std::fs::read(path).unwrap();
        let mut at = 0;
        // A batch: base offset (8), length of the rest (4), epoch (4), magic (1), checksum (4), attributes (2), ...
        while let Some(length) = bytes.get(at + 8..at + 12) {
            found.insert(bytes[at + 22] & 7);
            at += 12 + u32::from_be_bytes(length.try_into().unwrap()) as usize;
        }
    }
    found
}

#[test]
fn a_foreign_client_finds_what_the_contract_says() {
    let Some(server) = KafkaServer::start("foreign") else { return };
    let Some(python) = Python::with("topics") else { return };
    let kafka = server.client("foreign");
    let dir = tempfile::tempdir().unwrap();
    let program = Program::start(run(dir.path(), &kafka, &[("TICKWIRE__PROVIDER__WARM_UP", "0s")]));
    program.line_with(" ready");
    wait_for_health(&program, "healthy");
    wait_for_messages(&kafka, 3_000);
    let rest = program.get("REST", "/api/v1/symbols").unwrap().json();
    let symbol = rest["symbols"][0].as_str().unwrap().to_owned();
    wait_for("the rate of a topic", || {
        let values = program.get("REST", "/api/v1/metrics/kafka")?.json()["metrics"].clone();
        let of_ticks = values.as_array()?.iter().find(|value| {
            value["topic"] == kafka.topic("tick_data") && value["field"] == "produced_messages_per_second"
        });
        of_ticks?["value"].as_f64().filter(|rate| *rate > 0.0)
    });
    assert!(
        program
            .metric(&format!("tickwire_kafka_produced_messages{{topic=\"{}\"}} ", kafka.topic("tick_data")))
            > 0
    );
    stop(program);

    let mut client = Command::new(python.program());
    client.arg(python.client("topics.py")).args([
        &kafka.servers,
        schemas::folder().to_str().unwrap(),
        &kafka.prefix,
    ]);
    let output = client.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let topics: Vec<&str> = found.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        topics,
        [
            "aggregated_data_100ms",
            "aggregated_data_1min",
            "aggregated_data_1s",
            "anomalies",
            "predictions",
            "technical_indicators",
            "tick_data",
            "tick_data_dlq"
        ]
    );
    for (name, topic) in found.as_object().unwrap() {
        assert_eq!(topic["partitions"], 6, "{name}");
        assert_eq!(topic["settings"]["retention.ms"], "604800000", "{name}");
        assert_eq!(topic["settings"]["compression.type"], "snappy", "{name}");
    }
    assert!(found["tick_data"]["messages"].as_u64().unwrap() > 1_000);
    assert_eq!(compressions(&server.data(), &kafka.topic("tick_data")), BTreeSet::from([2]));
    assert_eq!(assert_complete(&kafka, dir.path()), 0, "nothing was written twice");

    // Of each bar the highest position is that of the bar as it ended.
    let applied = apply_log(dir.path(), core(), false);
    let mut last = BTreeMap::new();
    for effect in &applied.effects {
        if let Effect::Bar(bar) = effect {
            let name = applied.symbols.spec(bar.symbol).name.clone();
            last.insert(format!("{name}|{}|{}", bar.width, bar.start.to_rfc3339()), bar.log_pos);
        }
    }
    let of_seconds = found["aggregated_data_1s"]["highest"].as_object().unwrap();
    assert!(of_seconds.len() > 20 && of_seconds.keys().any(|key| key.starts_with(&symbol)));
    for (key, position) in of_seconds {
        assert_eq!(position.as_u64(), last.get(key).copied(), "{key}");
    }
}

#[test]
fn a_topic_that_differs_is_told_and_written_all_the_same() {
    let Some(kafka) = Kafka::take("differs") else { return };
    let topic = kafka.topic("tick_data");
    kafka.create(&topic, 3, &[("retention.ms", "3600000"), ("compression.type", "gzip")]);
    let dir = tempfile::tempdir().unwrap();
    let program = Program::start(run(dir.path(), &kafka, &[]));
    program.line_with(" ready");
    wait_for_messages(&kafka, 500);
    for (setting, found, key, wanted) in [
        ("partitions", "3", "kafka.partitions", "6"),
        ("retention.ms", "3600000", "kafka.retention", "604800000"),
        ("compression.type", "gzip", "kafka.compression", "snappy"),
    ] {
        let text = format!("topic `{topic}` has `{setting}` {found}, and `{key}` wants {wanted}");
        assert!(program.find_line(&text).is_some(), "{text}");
        let health = program.get("REST", "/health").unwrap();
        assert!(health.body.contains(&text), "{}", health.body);
    }
    stop(program);
    assert_complete(&kafka, dir.path());
}

#[test]
fn each_bar_comes_once_when_it_is_sealed_whatever_ends_the_program() {
    let Some(kafka) = Kafka::take("sealed") else { return };
    let dir = tempfile::tempdir().unwrap();
    let sealed = [("TICKWIRE__KAFKA__BARS", "sealed"), ("TICKWIRE__CORE__HORIZON", "500ms")];
    let core = CoreSettings { horizon: SECOND / 2, tells_seals: true, ..core() };
    for is_last in [false, false, true] {
        let program = Program::start(run(dir.path(), &kafka, &sealed));
        program.line_with(" ready");
        wait_for_messages(&kafka, 3_000);
        if is_last {
            wait_for_health(&program, "healthy");
            stop(program);
        } else {
            program.kill();
        }
    }
    assert_complete_with(&kafka, dir.path(), core.clone(), 0);
    let bars = apply_log(dir.path(), core, false).effects;
    let num = |is_wanted: fn(&Effect) -> bool| bars.iter().filter(|effect| is_wanted(effect)).count();
    let (num_sealed, num_published) =
        (num(|effect| matches!(effect, Effect::Sealed(_))), num(|effect| matches!(effect, Effect::Bar(_))));
    assert!(num_sealed > 100 && num_sealed < num_published, "{num_sealed} of {num_published}");
    // What a restart repeats is the same to the letter, so of each bar there is one message.
    let records = kafka.consume(&kafka.topic("aggregated_data_1s"));
    let messages: BTreeSet<&str> = records.iter().map(|record| record.value.as_str()).collect();
    let about = |value: &str| {
        let value: Value = serde_json::from_str(value).unwrap();
        (value["symbol"].to_string(), value["window_start"].to_string())
    };
    let bars: BTreeSet<_> = messages.iter().map(|value| about(value)).collect();
    assert!(!bars.is_empty() && bars.len() == messages.len(), "{} of {}", bars.len(), messages.len());
}
