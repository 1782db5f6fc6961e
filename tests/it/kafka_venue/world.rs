//! A topic of the former system, the program that reads it, and what came of it.

use crate::support::kafka::Kafka;
use crate::support::process::{Program, command, run_args, wait_for};
use crate::support::rows::{Applied, apply_log, log_entries};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tickwire::models::effect::Effect;
use tickwire::models::entry::Body;
use tickwire::models::ledger::Ledger;
use tickwire::models::settings::CoreSettings;
use tickwire::models::time::Nanos;

/// How librdkafka places keys where nobody tells it otherwise: another way than Java clients.
pub const LIBRDKAFKA_DEFAULT: &str = "consistent_random";

/// Prepares a run that reads a topic into a data directory, and writes none.
pub fn run(kafka: &Kafka, topic: &str, data: &Path, args: &[&str]) -> Command {
    let mut all = vec!["--provider", "kafka"];
    all.extend(args);
    let mut run = command(&run_args(data, &all));
    run.envs([
        ("KAFKA_BOOTSTRAP_SERVERS", kafka.servers.as_str()),
        ("TICKWIRE__VENUES__KAFKA__TOPIC", topic),
        ("TICKWIRE__KAFKA__ENABLED", "false"),
    ]);
    run
}

/// Returns a tick as the former system writes it: with a time that names no zone.
pub fn old_tick(symbol: &str, price: &str, volume: &str, time: Nanos) -> String {
    let time = time.to_rfc3339();
    let naive = time.trim_end_matches('Z');
    format!(r#"{{"symbol": "{symbol}", "price": {price}, "volume": {volume}, "timestamp": "{naive}"}}"#)
}

/// A producer that places keys in one of two ways.
pub struct OldProducer(ThreadedProducer<DefaultProducerContext>);

impl OldProducer {
    pub fn new(kafka: &Kafka, partitioner: &str) -> OldProducer {
        OldProducer(kafka.producer(&[
            ("partitioner", partitioner),
            ("compression.type", "snappy"),
            ("message.max.bytes", "4000000"),
        ]))
    }

    /// Sends to a partition.
    pub fn send_to(&self, topic: &str, partition: i32, value: &str) {
        let record = BaseRecord::<str, str>::to(topic).partition(partition).payload(value);
        self.0.send(record).map_err(|(error, _)| error).unwrap();
    }

    pub fn send(&self, topic: &str, key: &str, value: &[u8]) {
        self.0.send(BaseRecord::to(topic).key(key).payload(value)).map_err(|(error, _)| error).unwrap();
    }

    /// Waits until the broker has everything.
    pub fn flush(&self) {
        self.0.flush(Duration::from_secs(60)).unwrap();
    }
}

/// Returns how many messages the program has read, those that it could not read among them.
pub fn num_read(program: &Program) -> Option<u64> {
    let metrics = program.get("metrics", "/metrics")?.body;
    let of_venue = |line: &&str| {
        let is_counted = ["entries_total", "faults_total", "ignored_frames_total"]
            .iter()
            .any(|name| line.starts_with(&format!("tickwire_venue_{name}{{")));
        is_counted && line.contains("venue=\"kafka\"")
    };
    let counts = metrics.lines().filter(of_venue);
    Some(counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum())
}

/// Waits until the program has read so many messages, and then the topic to its end.
pub fn wait_until_read(program: &Program, num_messages: u64) {
    wait_for("messages that are read", || num_read(program).filter(|count| *count >= num_messages));
    // A message is counted when it is read, and then handed to the log.
    wait_for("the end of the topic", || {
        let health = program.get("REST", "/health")?.json();
        let said = health["details"]["messages"]["feed_kafka"].as_str()?.to_owned();
        said.contains("read to their end").then_some(())
    });
}

/// Returns how many trades the log of a data directory holds.
pub fn num_trades(data: &Path) -> usize {
    log_entries(data).iter().filter(|entry| matches!(entry.body, Body::Trade(_))).count()
}

/// A bar as the digest of a replay knows it.
pub type BarText = String;

/// Returns what the log of a data directory makes, its last bars closed: bars by symbol, width and start, and the outcomes of
/// all reports. Indicators are among them.
pub fn made_by(data: &Path) -> (BTreeMap<String, BarText>, Ledger) {
    let Applied { effects, ledger, symbols, .. } = apply_log(data, CoreSettings::default(), true);
    let mut made = BTreeMap::new();
    for effect in effects {
        match effect {
            Effect::Bar(bar) => {
                let key = format!("{} {} {} bar", symbols.spec(bar.symbol).name, bar.width, bar.start.0);
                let (ends, range) = ((bar.open, bar.close), (bar.high, bar.low));
                made.insert(
                    key,
                    format!("{ends:?} {range:?} {} {:?} {}", bar.volume, bar.vwap, bar.trade_count),
                );
            }
            Effect::Indicators(point) => {
                let key = format!(
                    "{} {} {} indicators",
                    symbols.spec(point.symbol).name,
                    point.width,
                    point.start.0
                );
                let values = point.values.in_order().map(|value| value.map(f64::to_bits));
                made.insert(key, format!("{values:x?}"));
            }
            Effect::Anomaly(_) | Effect::DeadLetter(_) | Effect::Sealed(_) => {}
        }
    }
    (made, ledger)
}
