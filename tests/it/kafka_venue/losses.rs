//! Messages that a topic drops before they are read: counted, and a gap.

use super::world::{OldProducer, made_by, num_read, num_trades, old_tick, run, wait_until_read};
use crate::support::kafka::Kafka;
use crate::support::process::{Program, wait_for};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::time::Duration;
use tickwire::models::time::{MINUTE, Nanos, SECOND};

/// Noon of a day long gone.
const NOON: Nanos = Nanos(1_410_955_200 * SECOND);

/// Has the broker drop what is before an offset, as it does of itself when it is old.
fn drop_before(kafka: &Kafka, topic: &str, partition: i32, offset: i64) {
    let admin: AdminClient<DefaultClientContext> = kafka.client().create().unwrap();
    let mut places = TopicPartitionList::new();
    places.add_partition_offset(topic, partition, Offset::Offset(offset)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let dropped = runtime.block_on(admin.delete_records(&places, &AdminOptions::new())).unwrap();
    dropped.elements().iter().for_each(|element| element.error().unwrap());
}

fn num_missed(program: &Program, topic: &str) -> u64 {
    program.metric(&format!("tickwire_kafka_missed_messages_total{{topic=\"{topic}\"}}"))
}

#[test]
fn what_was_dropped_between_two_runs_is_a_gap() {
    let Some(kafka) = Kafka::take("what_was_dropped_between") else { return };
    let topic = kafka.topic("ticks");
    kafka.create(&topic, 2, &[]);
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let producer = OldProducer::new(&kafka, "murmur2_random");
    let send = |minutes: std::ops::Range<i64>| {
        for minute in minutes {
            // One symbol in both partitions, of which one drops nothing.
            for partition in 0..2 {
                let time = NOON.plus(minute * MINUTE + i64::from(partition) * SECOND);
                producer.send_to(&topic, partition, &old_tick("A", "1.5", "2", time));
            }
        }
        producer.flush();
    };
    send(0..10);
    let program = Program::start(run(&kafka, &topic, &data, &[]));
    wait_until_read(&program, 20);
    program.stop();
    send(10..20);
    drop_before(&kafka, &topic, 0, 15);

    let program = Program::start(run(&kafka, &topic, &data, &[]));
    wait_until_read(&program, 15);
    assert_eq!(num_missed(&program, &topic), 5);
    let health = program.get("REST", "/health").unwrap().json();
    let said = health["details"]["messages"]["feed_kafka"].as_str().unwrap();
    assert!(said.ends_with("5 messages were dropped before they were read"), "{said}");
    // Bars close one after the other once the last message is read.
    let coverage = |minute: &str| {
        let path = format!(
            "/api/v1/aggregated/A?window=1min&start_time=2014-09-17T12:{minute}:00&limit=1000&empty=ok"
        );
        let start = format!("2014-09-17T12:{minute}:00Z");
        let bar = wait_for(&start, || {
            let bars = program.get("REST", &path)?.json();
            bars.as_array()?.iter().find(|bar| bar["window_start"] == start.as_str()).cloned()
        });
        bar["coverage"].as_f64().unwrap()
    };
    assert_eq!((coverage("12"), coverage("14")), (0.0, 0.0), "the other partition alone");
    assert_eq!(coverage("16"), 1.0);
    let ended = program.stop();
    assert!(ended.stderr.contains("has dropped messages that were not read"), "{}", ended.stderr);
    assert_eq!(num_trades(&data), 35);
    let (_, ledger) = made_by(&data);
    assert_eq!((ledger.late, ledger.duplicate, ledger.residue()), (0, 0, 0));
}

#[test]
fn what_is_dropped_while_it_is_read_is_passed_over() {
    let Some(kafka) = Kafka::take("what_is_dropped_while") else { return };
    let topic = kafka.topic("ticks");
    kafka.create(&topic, 1, &[]);
    // Little is fetched at once, so that most of it is still with the broker.
    let producer = kafka.producer(&[("batch.num.messages", "5")]);
    for number in 0..3_000 {
        let tick = old_tick("A", "1.5", "2", NOON.plus(number * SECOND));
        let record = BaseRecord::<str, str>::to(&topic).payload(&tick);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(Duration::from_secs(60)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (data, config) = (dir.path().join("data"), dir.path().join("tickwire.toml"));
    let properties = "[kafka.librdkafka]\n\"queued.max.messages.kbytes\" = 1\n\"queued.min.messages\" = 1\n\
                      \"fetch.message.max.bytes\" = 1000\n";
    std::fs::write(&config, properties).unwrap();
    let mut command = run(&kafka, &topic, &data, &["--config", config.to_str().unwrap()]);
    command.env("MAX_MESSAGES_PER_SECOND", "200");
    let program = Program::start(command);
    wait_for("messages that are read", || num_read(&program).filter(|num| *num > 0));
    drop_before(&kafka, &topic, 0, 2_900);
    wait_for("word of the loss", || (num_missed(&program, &topic) > 0).then_some(()));
    let num_missed = num_missed(&program, &topic);
    wait_until_read(&program, 3_000 - num_missed);
    program.stop();
    assert_eq!(num_trades(&data) as u64, 3_000 - num_missed);
    let (_, ledger) = made_by(&data);
    assert_eq!((ledger.late, ledger.duplicate, ledger.residue()), (0, 0, 0));
}
