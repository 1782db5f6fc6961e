//! A topic in which nothing comes any more, one that is not there yet, and one that gets partitions.

use super::world::{OldProducer, old_tick, run, wait_until_read};
use crate::support::kafka::Kafka;
use crate::support::process::{Program, wait_for};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use tickwire::models::time::{Nanos, SECOND};

/// Noon of a day long gone: the topic has a time of day of its own.
const NOON: Nanos = Nanos(1_410_955_200 * SECOND);

fn newest_bar(program: &Program, symbol: &str) -> Option<serde_json::Value> {
    let answer = program.get(
        "REST",
        &format!("/api/v1/aggregated/{symbol}?window=1s&start_time=2014-09-17&end_time=2014-09-18&empty=ok"),
    )?;
    answer.json().as_array()?.first().cloned()
}

#[test]
fn bars_of_a_topic_that_falls_silent_close_by_its_own_clock() {
    let Some(kafka) = Kafka::take("bars_of_a_topic_that_falls_silent") else { return };
    let topic = kafka.topic("ticks");
    let dir = tempfile::tempdir().unwrap();
    let mut command = run(&kafka, &topic, &dir.path().join("data"), &[]);
    command.env("TICKWIRE__CORE__WINDOWS", "1s");
    let program = Program::start(command);
    program.line_with(" ready");
    // The former system may make its topic later.
    wait_for("word of the missing topic", || {
        let health = program.get("REST", "/health")?.json();
        health["details"]["messages"]["feed_kafka"]
            .as_str()
            .filter(|said| said.contains("no such topic"))
            .map(|_| ())
    });
    kafka.create(&topic, 3, &[]);
    let producer = OldProducer::new(&kafka, "murmur2_random");
    for (symbol, second) in [("A", 0), ("B", 0), ("A", 1)] {
        let tick = old_tick(symbol, "1.5", "2", NOON.plus(second * SECOND));
        producer.send(&topic, symbol, tick.as_bytes());
        producer.flush();
    }
    wait_until_read(&program, 3);
    let last = wait_for("the close of the last bar", || {
        newest_bar(&program, "A").filter(|bar| bar["window_start"] == "2014-09-17T12:00:01Z")
    });
    assert_eq!((&last["state"], &last["close"]), (&"closed".into(), &1.5.into()));
    assert_eq!(newest_bar(&program, "B").unwrap()["window_start"], "2014-09-17T12:00:00Z");
    assert_eq!(program.metric(&format!("kafka_consumer_lag{{group=\"tickwire\",topic=\"{topic}\"}}")), 0);
    program.stop();
}

#[test]
fn a_partition_that_is_added_is_read_from_its_beginning_at_the_next_start() {
    let Some(kafka) = Kafka::take("a_partition_that_is_added") else { return };
    let topic = kafka.topic("ticks");
    kafka.create(&topic, 1, &[]);
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let producer = OldProducer::new(&kafka, "murmur2_random");
    let send = |number: i64| {
        let symbol = format!("S{number}");
        let tick = old_tick(&symbol, "1", "2", NOON.plus(number * SECOND));
        producer.send(&topic, &symbol, tick.as_bytes());
    };
    (0..10).for_each(send);
    producer.flush();
    let program =
        Program::start(run(&kafka, &topic, &data, &["--symbols", "S1,S2,S11,S12,S13,S14,S15,S16,S17"]));
    wait_until_read(&program, 10);
    assert_read_in_one_go(program);

    let admin: AdminClient<DefaultClientContext> = kafka.client().create().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let added =
        runtime.block_on(admin.create_partitions(&[NewPartitions::new(&topic, 4)], &AdminOptions::new()));
    assert_eq!(added.unwrap(), [Ok(topic.clone())]);
    let producer = OldProducer::new(&kafka, "murmur2_random");
    wait_for("new partitions", || {
        let metadata = admin.inner().fetch_metadata(Some(&topic), std::time::Duration::from_secs(10)).ok()?;
        (metadata.topics()[0].partitions().len() == 4).then_some(())
    });
    for number in 10..20 {
        let symbol = format!("S{number}");
        producer.send(&topic, &symbol, old_tick(&symbol, "1", "2", NOON.plus(number * SECOND)).as_bytes());
    }
    producer.flush();
    // Only what was written before would be skipped by `latest`.
    let mut command = run(&kafka, &topic, &data, &[]);
    command.env("TICKWIRE__VENUES__KAFKA__START", "latest");
    let program = Program::start(command);
    wait_until_read(&program, 10);
    let known = program.get("REST", "/api/v1/symbols").unwrap().json();
    assert_eq!(known["count"], 12, "{known}: two of the first ten, and all of the others");
    assert_read_in_one_go(program);
}

/// Stops a run, whose reading must not have begun anew: it does where a message comes past the queue of its partition.
fn assert_read_in_one_go(program: Program) {
    let ended = program.stop();
    assert!(!ended.stderr.contains("the reading of the topic ended"), "{}", ended.stderr);
}
