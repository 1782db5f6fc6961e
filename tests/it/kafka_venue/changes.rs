//! A topic that is deleted and made anew, one that gets partitions, and a broker that is away, all while it is read or between two
//! runs.

use super::world::{OldProducer, made_by, num_trades, old_tick, run, wait_until_read};
use crate::support::kafka::{Kafka, KafkaServer};
use crate::support::process::{Program, wait_for};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use std::path::Path;
use std::process::Command;
use tickwire::models::time::{Nanos, SECOND};

/// Noon of a day long gone.
const NOON: Nanos = Nanos(1_410_955_200 * SECOND);

/// Settings under which what becomes of a topic or a broker is soon seen.
const SOON: [(&str, &str); 2] = [
    ("TICKWIRE__KAFKA__LIBRDKAFKA__topic.metadata.refresh.interval.ms", "500"),
    ("TICKWIRE__KAFKA__LIBRDKAFKA__reconnect.backoff.max.ms", "200"),
];

/// Prepares a run under these settings.
fn run_soon(kafka: &Kafka, topic: &str, data: &Path) -> Command {
    let mut run = run(kafka, topic, data, &[]);
    run.envs(SOON);
    run
}

/// Writes ticks of these seconds after noon to a partition.
fn send(kafka: &Kafka, topic: &str, partition: i32, seconds: std::ops::Range<i64>) {
    let producer = OldProducer::new(kafka, "murmur2_random");
    for second in seconds {
        producer.send_to(topic, partition, &old_tick("A", "1", "2", NOON.plus(second * SECOND)));
    }
    producer.flush();
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn delete(kafka: &Kafka, topic: &str) {
    let admin: AdminClient<DefaultClientContext> = kafka.client().create().unwrap();
    let deleted = block_on(admin.delete_topics(&[topic], &AdminOptions::new())).unwrap();
    assert_eq!(deleted, [Ok(topic.to_owned())]);
}

/// Makes a topic of the name of one that was deleted, as soon as the name is free.
fn make_again(kafka: &Kafka, topic: &str) {
    let admin: AdminClient<DefaultClientContext> = kafka.client().create().unwrap();
    wait_for("the new topic", || {
        let new = NewTopic::new(topic, 1, TopicReplication::Fixed(-1));
        let made = block_on(admin.create_topics([&new], &AdminOptions::new())).unwrap();
        made[0].is_ok().then_some(())
    });
}

/// Checks that the log has so many trades, none of which counts as a repeat.
fn assert_all_count(data: &Path, num: usize) {
    assert_eq!(num_trades(data), num);
    let (_, ledger) = made_by(data);
    assert_eq!((ledger.received, ledger.in_bars, ledger.duplicate), (num as u64, num as u64, 0));
    assert_eq!(ledger.residue(), 0);
}

#[test]
fn a_topic_that_was_made_anew_between_two_runs_is_read_whole() {
    let Some(kafka) = Kafka::take("a_topic_that_was_made_anew_between") else { return };
    let dir = tempfile::tempdir().unwrap();
    // The new one is shorter than the one before, or longer, which offsets alone do not tell.
    for num_new in [3, 8] {
        let topic = kafka.topic(&format!("ticks-{num_new}"));
        kafka.create(&topic, 1, &[]);
        let data = dir.path().join(num_new.to_string());
        send(&kafka, &topic, 0, 0..5);
        let program = Program::start(run(&kafka, &topic, &data, &[]));
        wait_until_read(&program, 5);
        program.stop();

        delete(&kafka, &topic);
        make_again(&kafka, &topic);
        send(&kafka, &topic, 0, 5..5 + num_new);
        let program = Program::start(run(&kafka, &topic, &data, &[]));
        wait_until_read(&program, num_new as u64);
        let ended = program.stop();
        assert_eq!(ended.stderr.matches("made anew").count(), 1, "{}", ended.stderr);
        assert_all_count(&data, 5 + num_new as usize);

        let program = Program::start(run(&kafka, &topic, &data, &[]));
        program.line_with("reading the topic");
        let ended = program.stop();
        assert!(!ended.stderr.contains("made anew"), "the same topic is no other one: {}", ended.stderr);
        assert_all_count(&data, 5 + num_new as usize);
    }
}

#[test]
fn a_topic_that_is_made_anew_while_it_is_read_is_read_whole() {
    let Some(kafka) = Kafka::take("a_topic_that_is_made_anew_while") else { return };
    let topic = kafka.topic("ticks");
    kafka.create(&topic, 1, &[]);
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    send(&kafka, &topic, 0, 0..5);
    let program = Program::start(run(&kafka, &topic, &data, &[]));
    wait_until_read(&program, 5);
    delete(&kafka, &topic);
    wait_for("word of the missing topic", || {
        let health = program.get("REST", "/health")?.json();
        let said = health["details"]["messages"]["feed_kafka"].as_str()?.to_owned();
        (said.contains("not there") || said.contains("no such topic")).then_some(())
    });
    make_again(&kafka, &topic);
    send(&kafka, &topic, 0, 5..13);
    wait_until_read(&program, 13);
    let ended = program.stop();
    assert_eq!(ended.stderr.matches("made anew").count(), 1, "{}", ended.stderr);
    assert_all_count(&data, 13);
}

#[test]
fn a_partition_that_is_added_while_it_is_read_is_read_from_its_beginning() {
    let Some(kafka) = Kafka::take("a_partition_that_is_added_while") else { return };
    let topic = kafka.topic("ticks");
    kafka.create(&topic, 1, &[]);
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    send(&kafka, &topic, 0, 0..5);
    let mut command = run_soon(&kafka, &topic, &data);
    // Which holds for a topic that is new, and not for a partition.
    command.env("TICKWIRE__VENUES__KAFKA__START", "2014-09-17");
    let program = Program::start(command);
    wait_until_read(&program, 5);
    let admin: AdminClient<DefaultClientContext> = kafka.client().create().unwrap();
    let added = block_on(admin.create_partitions(&[NewPartitions::new(&topic, 2)], &AdminOptions::new()));
    assert_eq!(added.unwrap(), [Ok(topic.clone())]);
    wait_for("the new partition", || {
        let metadata = admin.inner().fetch_metadata(Some(&topic), std::time::Duration::from_secs(10)).ok()?;
        (metadata.topics()[0].partitions().len() == 2).then_some(())
    });
    send(&kafka, &topic, 1, 5..9);
    wait_until_read(&program, 9);
    program.stop();
    assert_all_count(&data, 9);
}

#[test]
fn a_broker_that_is_away_for_a_while_costs_no_tick_and_repeats_none() {
    let Some(server) = KafkaServer::start("a_broker_that_is_away") else { return };
    let kafka = server.client("a_broker_that_is_away");
    let topic = kafka.topic("ticks");
    kafka.create(&topic, 2, &[]);
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    (0..2).for_each(|partition| send(&kafka, &topic, partition, 0..50));
    let program = Program::start(run_soon(&kafka, &topic, &data));
    wait_until_read(&program, 100);
    let stopped = server.kill();
    wait_for("word of the broker", || {
        let health = program.get("REST", "/health")?.json();
        let said = health["details"]["messages"]["feed_kafka"].as_str()?.to_owned();
        said.contains("broker").then_some(())
    });
    let server = stopped.start();
    (0..2).for_each(|partition| send(&kafka, &topic, partition, 50..80));
    wait_until_read(&program, 160);
    let ended = program.stop();
    assert!(!ended.stderr.contains("made anew"), "{}", ended.stderr);
    assert_all_count(&data, 160);
    drop(server);
}

#[test]
fn a_partition_in_which_nothing_comes_goes_by_the_clock_of_the_others() {
    let Some(kafka) = Kafka::take("a_partition_in_which_nothing_comes") else { return };
    let topic = kafka.topic("ticks");
    kafka.create(&topic, 2, &[]);
    let dir = tempfile::tempdir().unwrap();
    let program = Program::start(run(&kafka, &topic, &dir.path().join("data"), &[]));
    let producer = OldProducer::new(&kafka, "murmur2_random");
    producer.send_to(&topic, 0, &old_tick("QUIET", "1.5", "2", NOON));
    producer.flush();
    wait_until_read(&program, 1);
    // Ten minutes of the other partition, which is more than this test may take by the clock of the day.
    send(&kafka, &topic, 1, 0..600);
    wait_for("the close of the quiet symbol's bar", || {
        let path = "/api/v1/aggregated/QUIET?window=5min&start_time=2014-09-17&end_time=2014-09-18&empty=ok";
        let bars = program.get("REST", path)?.json();
        let bar = bars.as_array()?.first()?.clone();
        assert_eq!(bar["close"], 1.5);
        (bar["state"] == "closed").then_some(())
    });
    program.stop();
}
