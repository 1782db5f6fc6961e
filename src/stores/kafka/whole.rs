//! Reads a topic once: all of it, for commands, or the newest message of each partition.
//!
//! Promises: what the topic held when the reading began is read, whoever writes meanwhile; no group is joined and nothing is
//! committed. On failure the error names the topic.

use super::client::Contact;
use super::fault::KafkaFault;
use super::settings::KafkaSettings;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long brokers may take to answer a command, and to bring the next message.
const TIMEOUT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);

/// Reads every message that a topic holds now, those of a partition in order: partition, offset, value. Blocking.
///
/// # Errors
/// When it is not there, or cannot be read to its end.
pub fn read_topic(
    kafka: &KafkaSettings,
    topic: &str,
    purpose: &'static str,
    take: impl FnMut(i32, i64, &[u8]),
) -> Result<(), KafkaFault> {
    read(kafka, topic, purpose, TIMEOUT, |first, _| first, take)
}

/// Reads the newest message of each partition: partition, offset, value. Blocking; brokers that take longer than
/// `kafka.timeout` for an answer have failed.
///
/// # Errors
/// When the topic is not there, or cannot be read.
pub fn read_newest(
    kafka: &KafkaSettings,
    topic: &str,
    purpose: &'static str,
    take: impl FnMut(i32, i64, &[u8]),
) -> Result<(), KafkaFault> {
    read(kafka, topic, purpose, kafka.timeout, |_, end| end - 1, take)
}

/// Reads each partition from the offset that `from` makes of its first one and its end.
fn read(
    kafka: &KafkaSettings,
    topic: &str,
    purpose: &'static str,
    timeout: Duration,
    from: impl Fn(i64, i64) -> i64,
    mut take: impl FnMut(i32, i64, &[u8]),
) -> Result<(), KafkaFault> {
    let own = [
        ("group.id", format!("tickwire-{purpose}")),
        ("enable.auto.commit", "false".to_owned()),
        ("auto.offset.reset", "error".to_owned()),
        ("enable.partition.eof", "true".to_owned()),
    ];
    let setup = kafka.client(purpose, &own);
    let contact = Contact::without_statistics(purpose);
    let made: Result<BaseConsumer<Contact>, KafkaError> = setup.config.create_with_context(contact);
    let consumer = made.map_err(|error| KafkaFault::of(&error))?;
    // What is wrong with the brokers says more than what a call has failed with.
    let failed = |error: &KafkaError| {
        let fault = consumer.context().fault().unwrap_or_else(|| KafkaFault::of(error));
        KafkaFault { text: format!("cannot read the topic `{topic}`: {}", fault.text), ..fault }
    };
    let metadata = consumer.fetch_metadata(Some(topic), timeout).map_err(|error| failed(&error))?;
    let partitions = metadata.topics().first().map(MetadataTopic::partitions).unwrap_or_default();
    if partitions.is_empty() {
        return Err(KafkaFault::permanent(format!("there is no topic `{topic}`")));
    }
    let mut given = TopicPartitionList::new();
    let mut open = BTreeMap::new();
    for partition in partitions.iter().map(MetadataPartition::id) {
        let (first, end) =
            consumer.fetch_watermarks(topic, partition, timeout).map_err(|error| failed(&error))?;
        if first < end {
            given
                .add_partition_offset(topic, partition, Offset::Offset(from(first, end)))
                .map_err(|error| failed(&error))?;
            open.insert(partition, end);
        }
    }
    consumer.assign(&given).map_err(|error| failed(&error))?;
    let mut last = Instant::now();
    while !open.is_empty() {
        match consumer.poll(PAUSE) {
            Some(Ok(message)) => {
                last = Instant::now();
                let (partition, offset) = (message.partition(), message.offset());
                let Some(&end) = open.get(&partition) else { continue };
                if offset < end {
                    take(partition, offset, message.payload().unwrap_or_default());
                }
                if offset + 1 >= end {
                    open.remove(&partition);
                }
            }
            // What is left before the end may be marks of transactions.
            Some(Err(KafkaError::PartitionEOF(partition))) => _ = open.remove(&partition),
            // Brokers that are lost are waited for.
            Some(Err(error)) if last.elapsed() >= timeout => return Err(failed(&error)),
            None if last.elapsed() >= timeout => {
                let none =
                    KafkaError::MessageConsumption(rdkafka::types::RDKafkaErrorCode::OperationTimedOut);
                return Err(failed(&none));
            }
            Some(Err(_)) | None => {}
        }
    }
    Ok(())
}
