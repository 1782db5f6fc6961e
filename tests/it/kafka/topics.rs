//! The topics that a run writes: complete, where Java clients look for them, as the schemas say, whatever becomes of the
//! program and of the broker.

use super::schemas;
use crate::support::kafka::{Kafka, KafkaServer};
use crate::support::process::{Program, command, run_args, wait_for};
use crate::support::proxy::{Mode, Proxy};
use crate::support::python::Python;
use crate::support::rows::{Applied, apply_log};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tickwire::models::effect::Effect;
use tickwire::models::settings::CoreSettings;
use tickwire::models::time::{MINUTE, SECOND, Width};
use tickwire::wire::{BarMessage, IndicatorsMessage, TickMessage, to_json};

/// Bars that close all the time, and little made-up past.
fn run(dir: &Path, kafka: &Kafka, further: &[(&str, &str)]) -> Command {
    let mut run = command(&run_args(dir, &["--rate", "3000", "--symbol-count", "20", "--seed", "5"]));
    run.env("KAFKA_BOOTSTRAP_SERVERS", &kafka.servers)
        .env("TICKWIRE__KAFKA__PARTITIONS", "6")
        .env("TICKWIRE__PROVIDER__WARM_UP", "1min")
        .env("TICKWIRE__PROVIDER__SIMULATED__WARM_UP_TRADES_MAX", "2000")
        .env("TICKWIRE__RECOVERY__MAX_AGE", "640ms")
        .env("TICKWIRE__CORE__WINDOWS", "100ms,1s,1min")
        .env("TICKWIRE__CORE__LATENESS", "10ms")
        .env("KAFKA_TICK_TOPIC", kafka.topic("tick_data"))
        .env("KAFKA_AGGREGATED_TOPIC", kafka.topic("aggregated_data"))
        .env("TICKWIRE__KAFKA__TOPICS__INDICATORS", kafka.topic("technical_indicators"))
        .env("TICKWIRE__KAFKA__TOPICS__DLQ", kafka.topic("tick_data_dlq"))
        .envs(further.iter().copied());
    run
}

fn core() -> CoreSettings {
    let widths = [SECOND / 10, SECOND, MINUTE].map(|nanos| Width::new(nanos).unwrap());
    CoreSettings { widths: widths.to_vec(), lateness: SECOND / 100, ..CoreSettings::default() }
}

/// Returns what must stand in the topics by a log: each topic's values.
fn expected(applied: &Applied) -> BTreeMap<String, BTreeSet<String>> {
    let mut topics: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut add = |topic: &str, value: Vec<u8>| {
        topics.entry(topic.to_owned()).or_default().insert(String::from_utf8(value).unwrap());
    };
    for effect in &applied.effects {
        match effect {
            Effect::Bar(bar) => {
                let (spec, window) = (applied.symbols.spec(bar.symbol), bar.width.to_string());
                add(&format!("aggregated_data_{window}"), to_json(&BarMessage::new(bar, &spec, &window)));
            }
            Effect::Indicators(point) => {
                let (spec, window) = (applied.symbols.spec(point.symbol), point.width.to_string());
                add("technical_indicators", to_json(&IndicatorsMessage::new(point, &spec, &window)));
            }
            Effect::DeadLetter(_) => {}
        }
    }
    for report in &applied.reports {
        let spec = applied.symbols.spec(report.entry.symbol);
        let provider = applied.sources.name(report.entry.body.source());
        add("tick_data", to_json(&TickMessage::new(&report.entry, &spec, &provider).unwrap()));
    }
    topics
}

/// Compares what stands in the topics with what follows from the log. Returns how many messages were there twice.
fn assert_complete(kafka: &Kafka, dir: &Path) -> usize {
    let applied = apply_log(dir, core(), false);
    assert!(applied.reports.len() > 500, "{}", applied.reports.len());
    let mut num_repeats = 0;
    for (topic, expected) in expected(&applied) {
        let records = kafka.consume(&kafka.topic(&topic));
        let found: BTreeSet<String> = records.iter().map(|record| record.value.clone()).collect();
        let missing: Vec<&String> = expected.difference(&found).take(3).collect();
        let surplus: Vec<&String> = found.difference(&expected).take(3).collect();
        assert!(
            missing.is_empty() && surplus.is_empty(),
            "{topic}: {} expected, {} found; missing: {missing:#?}; surplus: {surplus:#?}",
            expected.len(),
            found.len()
        );
        num_repeats += records.len() - found.len();
    }
    num_repeats
}

fn wait_for_health(program: &Program, status: &str) {
    wait_for(status, || {
        let health = program.get("REST", "/health")?.json();
        (health["components"]["kafka"] == status).then_some(())
    });
}

fn wait_for_messages(kafka: &Kafka, num: u64) {
    let topic = kafka.topic("tick_data");
    let begun = std::cell::Cell::new(None);
    wait_for("messages", || {
        let there = kafka.num_messages(&topic);
        let first = begun.get().unwrap_or(there);
        begun.set(Some(first));
        (there > first + num).then_some(())
    });
}

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
    let metrics = wait_for("values of the topics", || {
        let values = program.get("REST", "/api/v1/metrics/kafka").unwrap().json()["metrics"].clone();
        (!values.as_array().unwrap().is_empty()).then_some(values)
    });
    let rate = metrics.as_array().unwrap().iter().find(|value| {
        value["topic"] == kafka.topic("tick_data") && value["field"] == "produced_messages_per_second"
    });
    assert!(rate.unwrap()["value"].as_f64().unwrap() > 0.0, "{metrics}");
    assert!(
        program
            .metric(&format!("tickwire_kafka_produced_messages{{topic=\"{}\"}} ", kafka.topic("tick_data")))
            > 0
    );
    program.stop();

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
fn a_run_killed_again_and_again_leaves_complete_topics() {
    let Some(kafka) = Kafka::take("killed") else { return };
    let dir = tempfile::tempdir().unwrap();
    for nth in 0..5 {
        let mut program = Program::start(run(dir.path(), &kafka, &[]));
        program.line_with(" ready");
        wait_for_messages(&kafka, 200 + 300 * nth);
        assert!(!program.has_ended());
        program.kill();
    }
    let program = Program::start(run(dir.path(), &kafka, &[]));
    program.line_with(" ready");
    wait_for_messages(&kafka, 100);
    program.stop();
    assert_complete(&kafka, dir.path());
}

#[test]
fn a_broker_that_is_away_in_every_way_misses_nothing() {
    let proxy = RefCell::new(None);
    let advertised = |ports: crate::support::kafka::Ports| {
        let before = Proxy::before(ports.broker);
        let text = format!("advertised.listeners=PLAINTEXT://127.0.0.1:{}\n", before.port());
        *proxy.borrow_mut() = Some(before);
        text
    };
    let Some(server) = KafkaServer::start_with("away", &[], advertised) else { return };
    let proxy = proxy.into_inner().unwrap();
    let kafka = server.client("away").at(proxy.port());
    let dir = tempfile::tempdir().unwrap();
    let quick = [
        ("TICKWIRE__KAFKA__TIMEOUT", "500ms"),
        ("TICKWIRE__KAFKA__RETRY_MAX_DELAY", "200ms"),
        ("TICKWIRE__KAFKA__BREAKER_OPEN", "200ms"),
        ("TICKWIRE__KAFKA__LIBRDKAFKA__reconnect.backoff.max.ms", "200"),
    ];
    let program = Program::start(run(dir.path(), &kafka, &quick));
    program.line_with(" ready");
    wait_for_health(&program, "healthy");
    let said = program.find_line("overrides").unwrap_or_default();
    assert!(said.contains("reconnect.backoff.max.ms") && said.contains("10000"), "{said}");
    for mode in [Mode::Close, Mode::Hang, Mode::Slow(Duration::from_secs(2)), Mode::Reset(10_000)] {
        proxy.set(mode);
        wait_for_health(&program, "unhealthy");
        let before = program.metric("tickwire_log_position ");
        wait_for("live entries", || {
            (program.metric("tickwire_log_position ") > before + 1_000).then_some(())
        });
        proxy.set(Mode::Pass);
        wait_for_health(&program, "healthy");
        wait_for_messages(&kafka, 500);
    }
    let stopped = server.kill();
    wait_for_health(&program, "unhealthy");
    let _server = stopped.start();
    wait_for_health(&program, "healthy");
    wait_for_messages(&kafka, 500);
    let metric = "tickwire_sink_retries_total{sink=\"kafka\"} ";
    assert!(program.metric(metric) > 0 && proxy.num_resets() > 0);
    program.stop();
    assert_complete(&kafka, dir.path());
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
    program.stop();
    assert_complete(&kafka, dir.path());
}
