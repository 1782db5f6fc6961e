//! Takes dead letters in again: by the log of a data directory, or by a topic.
//!
//! Promises: a letter is read as a message of a topic is, and its trade has the id that it had, or one that follows from where the
//! letter's payload stood; so a trade that was taken in again twice is there once. On failure what was handed on by then stays.

use super::letters::Letter;
use crate::actors::ingest::client::LogClient;
use crate::actors::ingest::file::MessageReader;
use crate::actors::ingest::registry::KAFKA;
use crate::actors::messages::Ingest;
use crate::actors::pipeline::Pipeline;
use crate::config::{Config, LogKind};
use crate::metrics::outcomes;
use crate::models::entry::TradeId;
use crate::models::ledger::Ledger;
use crate::models::time::Nanos;
use crate::node::{Node, pipeline_settings};
use crate::stores::kafka::client::Contact;
use crate::stores::kafka::fault::KafkaFault;
use crate::stores::kafka::settings::KafkaSettings;
use anyhow::Context;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::Value;
use std::sync::Arc;

/// Letters that are handed to the log at once.
const BATCH: usize = 1_000;

/// What became of letters.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Letters that were handed on.
    pub num_sent: usize,
    /// What became of them there, as far as that is known.
    pub fates: Vec<(&'static str, u64)>,
    /// Letters that are no ticks, and why.
    pub unreadable: Vec<(String, String)>,
}

/// Has the log of the data directory take letters in. No other process may use the directory.
///
/// # Errors
/// When the directory cannot be opened, or the log takes nothing.
pub async fn into_log(letters: &[Letter], config: &Config) -> anyhow::Result<Outcome> {
    anyhow::ensure!(
        config.log.kind != LogKind::Memory,
        "`log.kind` is `memory`: there is no log to take them in"
    );
    let mut node =
        Node::open(config).await.context("a process that runs reads them from a topic: see `--to`")?;
    anyhow::ensure!(node.record.is_some(), "the data directory is new: there is nothing that they belong to");
    let snapshots = node.publish_snapshots();
    let ledger = || {
        let mut sum = Ledger::default();
        snapshots.all().iter().for_each(|snapshot| sum.merge(&snapshot.ledger));
        sum
    };
    let storage = node.storage(true);
    let settings = pipeline_settings(config);
    let pipeline = Pipeline::start(node.env.clone(), settings, storage, node.health.clone()).await?;
    pipeline.drain().await?;
    let before = ledger();
    let (symbols, sources) = (Arc::clone(&node.symbols), Arc::clone(&node.sources));
    let mut reader = MessageReader::new(symbols, sources, None, config.core.max_symbols.get(), KAFKA);
    let mut client = LogClient::new(pipeline.log().clone(), Arc::clone(&node.env.metrics));
    let mut outcome = Outcome::default();
    for part in letters.chunks(BATCH) {
        let mut entries = Vec::with_capacity(part.len());
        for letter in part {
            match reader.read(letter.payload.as_bytes(), id_of(letter), letter.received_at.0) {
                Ok(Some(entry)) => entries.push(entry),
                Ok(None) => outcome.unreadable.push((letter.id.clone(), "it is no tick".to_owned())),
                Err(fault) => outcome.unreadable.push((letter.id.clone(), fault.to_string())),
            }
        }
        outcome.num_sent += entries.len();
        client
            .send(Ingest { entries, dead_letters: Vec::new(), progress: None, received: Nanos::MIN })
            .await?;
    }
    client.settle().await?;
    pipeline.drain().await?;
    let counts = outcomes(&ledger()).into_iter().zip(outcomes(&before));
    outcome.fates = counts
        .skip(1)
        .map(|((name, after), (_, before))| (name, after.saturating_sub(before)))
        .filter(|(_, count)| *count > 0)
        .collect();
    pipeline.stop().await?;
    node.close().await;
    Ok(outcome)
}

/// Returns the id of a trade whose payload has none: it follows from where the payload stood.
fn id_of(letter: &Letter) -> TradeId {
    let place = if letter.origin.is_empty() { &letter.payload } else { &letter.origin };
    TradeId::from_text(format!("dead letter {place}").as_bytes())
}

/// Writes the payloads of letters to a topic, keyed by their symbols, where whoever reads it takes them in.
///
/// # Errors
/// When the brokers do not take one.
pub async fn into_topic(letters: &[Letter], topic: &str, kafka: &KafkaSettings) -> anyhow::Result<Outcome> {
    let own = [
        ("acks", "all".to_owned()),
        ("enable.idempotence", "true".to_owned()),
        ("partitioner", "murmur2_random".to_owned()),
        ("message.timeout.ms", "30000".to_owned()),
    ];
    let setup = kafka.client("dlq", &own);
    let contact = Contact::without_statistics("dlq");
    let producer: FutureProducer<Contact> =
        setup.config.create_with_context(contact).context("librdkafka refuses the settings of Kafka")?;
    let mut outcome = Outcome::default();
    for letter in letters {
        let key = symbol_of(letter);
        let record = FutureRecord::to(topic).payload(&letter.payload);
        let record = if let Some(key) = &key { record.key(key) } else { record };
        let sent = producer.send(record, kafka.timeout).await;
        sent.map_err(|(error, _)| KafkaFault::of(&error)).with_context(|| {
            format!("the topic `{topic}` took {} letters and not the next", outcome.num_sent)
        })?;
        outcome.num_sent += 1;
    }
    Ok(outcome)
}

/// Returns the symbol by which a letter's payload is keyed.
fn symbol_of(letter: &Letter) -> Option<String> {
    let named = || {
        let payload: Value = serde_json::from_str(&letter.payload).ok()?;
        Some(payload.get("symbol")?.as_str()?.to_owned())
    };
    letter.symbol.clone().or_else(named)
}
