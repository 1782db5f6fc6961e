//! Kafka, what is written to it: the sink beside a plain loop that hands the same messages, made before, to librdkafka.

use super::measure::{cpu, print};
use super::rows::entries;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tickwire::actors::sinks::kafka::{KafkaSink, KafkaSinkParts, TopicNames};
use tickwire::actors::sinks::{Sink, SinkBatch};
use tickwire::config::Kafka;
use tickwire::models::report::AcceptedReport;
use tickwire::node::Node;
use tickwire::stores::kafka::position::TopicPosition;
use tickwire::stores::kafka::producer::TopicProducer;
use tickwire::stores::kafka::settings::KafkaSettings;
use tickwire::stores::kafka::topics::TopicSettings;
use tickwire::wire::{self, TickMessage};

const NUM_MESSAGES: usize = 400_000;
/// How often the two take turns.
const NUM_TURNS: usize = 3;
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// Returns how the broker is reached.
pub fn settings(brokers: &str) -> KafkaSettings {
    KafkaSettings {
        bootstrap_servers: brokers.to_owned(),
        tls: None,
        sasl: None,
        properties: BTreeMap::new(),
        timeout: TIMEOUT,
    }
}

/// Returns the name of a topic of this run.
pub fn topic(what: &str) -> String {
    format!("bench-{}-{what}", std::process::id())
}

/// Writes trades to a topic of its own, by the sink and by the plain loop, in turn.
pub async fn measure(node: &Node, brokers: &str) {
    let (settings, own) = (settings(brokers), Kafka::default());
    let names = TopicNames {
        ticks: topic("ticks"),
        bars: Vec::new(),
        indicators: topic("indicators"),
        anomalies: topic("anomalies"),
        dlq: topic("dlq"),
        reserved: Vec::new(),
    };
    let sink = sink(node, &settings, &own, &names);
    let report = |entry| AcceptedReport { seq: None, entry };
    let batch_rows = own.batch.max_events;
    let batches: Vec<Arc<Vec<AcceptedReport>>> = (0..NUM_MESSAGES / batch_rows)
        .map(|nth| {
            let entries = entries((nth * batch_rows) as u64, batch_rows);
            Arc::new(entries.into_iter().map(report).collect())
        })
        .collect();
    let messages: Vec<(String, Vec<u8>)> = batches
        .iter()
        .flat_map(|part| part.iter())
        .map(|report| {
            let spec = node.symbols.spec(report.entry.symbol);
            let message = TickMessage::new(&report.entry, &spec, "simulated").expect("a trade");
            (spec.name.clone(), wire::to_json(&message))
        })
        .collect();
    let write = async |parts: &[Arc<Vec<AcceptedReport>>]| {
        for part in parts {
            let batch = SinkBatch { reports: vec![Arc::clone(part)], ..SinkBatch::default() };
            sink.write(&batch).await.expect("it is written");
        }
    };
    let plain = Plain::new(&settings, &own, &names.ticks);
    // Makes the topics, finds their leaders, and has the broker's code compiled.
    write(&batches[..5]).await;
    plain.write(&messages[..5 * batch_rows]);
    for _ in 0..NUM_TURNS {
        let (begun, before) = (Instant::now(), cpu());
        write(&batches).await;
        print("kafka", "messages", messages.len(), begun.elapsed(), cpu() - before);
        let (begun, before) = (Instant::now(), cpu());
        plain.write(&messages);
        print("rdkafka", "messages", messages.len(), begun.elapsed(), cpu() - before);
    }
}

fn sink(node: &Node, settings: &KafkaSettings, own: &Kafka, names: &TopicNames) -> KafkaSink {
    let metrics = Arc::clone(&node.env.metrics.kafka);
    let producer = TopicProducer::new(settings, &own.compression, own.linger, metrics);
    KafkaSink::new(KafkaSinkParts {
        producer: producer.expect("good settings"),
        settings: settings.clone(),
        topic_settings: TopicSettings {
            create: true,
            partitions: own.partitions,
            replication: own.replication,
            min_insync_replicas: own.min_insync_replicas,
            compression: own.compression.clone(),
            retention: own.retention,
        },
        position: TopicPosition::open(None, 0, names.all()).expect("no file"),
        names: names.clone(),
        symbols: Arc::clone(&node.symbols),
        sources: Arc::clone(&node.sources),
        log: Arc::clone(&node.log) as _,
        only_sealed: false,
        health: Arc::clone(&node.health),
    })
}

/// librdkafka and the broker alone, with the properties that the sink has.
pub struct Plain {
    producer: ThreadedProducer<DefaultProducerContext>,
    topic: String,
}

impl Plain {
    /// Makes a producer for a topic.
    pub fn new(settings: &KafkaSettings, own: &Kafka, topic: &str) -> Plain {
        let properties = [
            ("acks", "all".to_owned()),
            ("enable.idempotence", "true".to_owned()),
            ("partitioner", "murmur2_random".to_owned()),
            ("compression.type", own.compression.clone()),
            ("linger.ms", own.linger.as_millis().to_string()),
            ("queue.buffering.max.messages", "1000000".to_owned()),
        ];
        let setup = settings.client("bench", &properties);
        Plain { producer: setup.config.create().expect("good settings"), topic: topic.to_owned() }
    }

    /// Writes messages and waits until the broker has them.
    pub fn write(&self, messages: &[(String, Vec<u8>)]) {
        for (key, value) in messages {
            let record = BaseRecord::to(&self.topic).key(key.as_str()).payload(value);
            self.producer.send(record).map_err(|(error, _)| error).expect("there is room");
        }
        self.producer.flush(TIMEOUT).expect("it is written");
    }
}
