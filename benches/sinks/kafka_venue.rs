//! Kafka, what is read from it: the venue with a log in memory and with one on disk, up to bars and indicators, beside a plain loop
//! that takes the same messages from librdkafka and does nothing with them.
//!
//! Counted from the first message on, so that neither's way to the broker is in it.

use super::kafka::{Plain, TIMEOUT, settings, topic};
use super::measure::{cpu, print};
use super::rows::entries;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Message, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tickwire::actors::ingest::kafka::config::Start;
use tickwire::actors::ingest::kafka::{TopicPlan, start};
use tickwire::actors::ingest::registry::KAFKA;
use tickwire::actors::pipeline::Pipeline;
use tickwire::config::{Config, Kafka, LogKind};
use tickwire::models::entry::Body;
use tickwire::models::time::Nanos;
use tickwire::node::{Node, pipeline_settings};
use tickwire::stores::kafka::settings::KafkaSettings;
use tickwire::stores::kafka::topics::{TopicSettings, prepare};

const NUM_MESSAGES: usize = 500_000;
const NUM_PARTITIONS: u32 = 6;
/// Event time from one tick to the next: 10,000 a second.
const SPACING: i64 = 100_000;
/// How often the three take turns.
const NUM_TURNS: usize = 3;
/// The symbol of the last message.
const LAST: &str = "LAST";
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// Fills a topic with ticks of the former system, and has it read.
pub async fn measure(brokers: &str) {
    let (settings, topic) = (settings(brokers), topic("old-ticks"));
    fill(&settings, &topic).await;
    // Has the broker's code compiled and its files in memory.
    plain(&settings, &topic, false);
    for _ in 0..NUM_TURNS {
        plain(&settings, &topic, true);
        venue(&settings, &topic, LogKind::Memory, "kafka-venue").await;
        venue(&settings, &topic, LogKind::Sqlite, "kafka-venue-sqlite").await;
    }
}

async fn fill(settings: &KafkaSettings, topic: &str) {
    let own = Kafka::default();
    let wanted = TopicSettings {
        create: true,
        partitions: NUM_PARTITIONS,
        replication: own.replication,
        min_insync_replicas: own.min_insync_replicas,
        compression: own.compression.clone(),
        retention: own.retention,
    };
    prepare(settings, &wanted, &[topic.to_owned()], &BTreeMap::new()).await.expect("the topic is made");
    let made = entries(0, NUM_MESSAGES);
    let begin = made[0].body.time().plus(-(NUM_MESSAGES as i64) * SPACING);
    let message = |(at, entry): (i64, &tickwire::models::entry::Entry)| {
        let Body::Trade(trade) = entry.body else { unreachable!("only trades are made") };
        let is_last = at + 1 == NUM_MESSAGES as i64;
        let symbol = if is_last { LAST.to_owned() } else { format!("SIM{:04}", entry.symbol.0) };
        (symbol.clone(), old_tick(&symbol, trade.price.0, trade.size.0, begin.plus(at * SPACING)))
    };
    let messages: Vec<(String, Vec<u8>)> = (0..).zip(&made).map(message).collect();
    Plain::new(settings, &own, topic).write(&messages);
}

/// A tick as the former system writes it.
fn old_tick(symbol: &str, price: i64, size: i64, time: Nanos) -> Vec<u8> {
    let (price, size) = (price as f64 / 1e9, size as f64 / 1e8);
    let time = time.to_rfc3339();
    let naive = time.trim_end_matches('Z');
    format!(r#"{{"symbol": "{symbol}", "price": {price}, "volume": {size}, "timestamp": "{naive}"}}"#)
        .into_bytes()
}

/// librdkafka and the broker alone.
fn plain(settings: &KafkaSettings, topic: &str, is_counted: bool) {
    let own = [("group.id", "bench".to_owned()), ("enable.auto.commit", "false".to_owned())];
    let consumer: BaseConsumer = settings.client("bench", &own).config.create().expect("good settings");
    let mut places = TopicPartitionList::new();
    for partition in 0..NUM_PARTITIONS {
        let partition = i32::try_from(partition).expect("a few");
        places.add_partition_offset(topic, partition, Offset::Beginning).expect("a partition");
    }
    consumer.assign(&places).expect("the topic is there");
    let (mut begun, mut before, mut num_bytes) = (Instant::now(), cpu(), 0);
    for at in 0..NUM_MESSAGES {
        let message = consumer.poll(TIMEOUT).expect("a message in time").expect("a message");
        num_bytes += message.payload().map_or(0, <[u8]>::len);
        if at == 0 {
            (begun, before) = (Instant::now(), cpu());
        }
    }
    assert!(num_bytes > NUM_MESSAGES * 50, "messages are ticks");
    if is_counted {
        print("rdkafka-consumer", "messages", NUM_MESSAGES, begun.elapsed(), cpu() - before);
    }
}

async fn venue(settings: &KafkaSettings, topic: &str, kind: LogKind, what: &str) {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = Config::default();
    config.data_dir = dir.path().to_owned();
    config.log.kind = kind;
    let mut node = Node::open(&config).await.expect("a node");
    let snapshots = node.publish_snapshots();
    let storage = node.storage(kind == LogKind::Sqlite);
    let pipeline_settings = pipeline_settings(&config);
    let pipeline =
        Pipeline::start(node.env.clone(), pipeline_settings, storage, Arc::clone(&node.health)).await;
    let pipeline = pipeline.expect("a pipeline");
    let plan = TopicPlan {
        name: "bench".to_owned(),
        kafka: settings.clone(),
        topic: topic.to_owned(),
        group: "bench".to_owned(),
        start: Start::Earliest,
        wanted: None,
        symbols_max: usize::MAX,
        rate_max: None,
        ended: None,
        sources: Arc::clone(&node.sources),
        kept: Arc::clone(&node.log) as _,
    };
    let read = node.env.metrics.venue(KAFKA).entries;
    let feed = start(plan, pipeline.log().clone(), node.env.clone(), Arc::clone(&node.health));
    while read.get() == 0 {
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    let (begun, before, num_before) = (Instant::now(), cpu(), read.get() as usize);
    while node.symbols.get(LAST).and_then(|symbol| snapshots.get(symbol)).is_none() {
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    pipeline.drain().await.expect("the pipeline runs");
    let (took, used) = (begun.elapsed(), cpu() - before);
    assert_eq!(read.get() as usize, NUM_MESSAGES);
    print(what, "messages", NUM_MESSAGES - num_before, took, used);
    feed.stop().await;
    pipeline.stop().await.expect("the pipeline stops");
    node.close().await;
}
