//! The messages of each partition, as librdkafka has fetched them, and what each turns out to be.
//!
//! Promises: nothing is fetched from a partition that is not asked for its next message, beyond what librdkafka reads ahead. On
//! failure a message that cannot be read is a dead letter with its place; a topic that is gone, or has dropped the next message of
//! a partition, says so ([`Inbox::is_gone`]).

use super::ends::is_gone;
use super::lane::{Polled, Row, What};
use super::positions::PlaceIds;
use crate::actors::ingest::file::{MessageReader, RowFault};
use crate::metrics::VenueMetrics;
use crate::models::ledger::RejectReason;
use crate::models::time::{MINUTE, Nanos};
use crate::stores::history::DeadLetterRecord;
use crate::stores::kafka::client::Contact;
use crate::stores::kafka::fault::KafkaFault;
use crate::stores::kafka::place::place;
use anyhow::Context as _;
use rdkafka::Message;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Timestamp};
use rdkafka::types::RDKafkaErrorCode;
use std::sync::Arc;
use std::thread::Thread;
use std::time::Duration;

/// An event so far ahead of when the broker got it is a fault, as with every venue.
const FUTURE_MAX: i64 = 5 * MINUTE;

/// Reads the partitions of a topic.
pub(super) struct Inbox {
    consumer: Arc<BaseConsumer<Contact>>,
    topic: String,
    queues: Vec<PartitionQueue<Contact>>,
    /// The brokers have said that the topic is not there, or not what comes next of a partition.
    pub is_gone: bool,
    ids: PlaceIds,
    pub messages: MessageReader,
    metrics: VenueMetrics,
}

impl Inbox {
    /// Makes the inbox of a topic.
    pub fn new(
        consumer: Arc<BaseConsumer<Contact>>,
        topic: String,
        ids: PlaceIds,
        messages: MessageReader,
        metrics: VenueMetrics,
    ) -> Inbox {
        Inbox { consumer, topic, queues: Vec::new(), is_gone: false, ids, messages, metrics }
    }

    /// Adds a partition that the consumer is given next. `reader` is woken when something comes.
    ///
    /// # Errors
    /// When librdkafka cannot have such a partition.
    pub fn add(&mut self, partition: i32, reader: Thread) -> anyhow::Result<()> {
        let queue = self.consumer.split_partition_queue(&self.topic, partition);
        let mut queue =
            queue.with_context(|| format!("librdkafka gives no queue of partition {partition}"))?;
        queue.set_nonempty_callback(move || reader.unpark());
        self.queues.push(queue);
        Ok(())
    }

    /// Asks the partition at a place for its next message.
    pub fn read(&mut self, at: usize) -> Polled {
        match self.queues[at].poll(Duration::ZERO) {
            None => Polled::Nothing,
            Some(Ok(message)) => {
                Polled::Row(to_row(&message, &self.topic, self.ids, &mut self.messages, &self.metrics))
            }
            Some(Err(KafkaError::PartitionEOF(_))) => Polled::End,
            Some(Err(error)) => {
                let is_lost = matches!(
                    error.rdkafka_error_code(),
                    Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)
                );
                self.is_gone |= is_lost || is_gone(&error);
                if !is_lost {
                    self.consumer.context().failed(KafkaFault::of(&error));
                }
                Polled::Nothing
            }
        }
    }
}

/// Returns when the broker got a message, or its producer made it; [`Nanos::MIN`] where nobody said so.
pub(super) fn received(message: &BorrowedMessage<'_>) -> Nanos {
    match message.timestamp() {
        Timestamp::CreateTime(millis) | Timestamp::LogAppendTime(millis) if millis > 0 => {
            Nanos(millis.saturating_mul(1_000_000))
        }
        _ => Nanos::MIN,
    }
}

fn to_row(
    message: &BorrowedMessage<'_>,
    topic: &str,
    ids: PlaceIds,
    messages: &mut MessageReader,
    metrics: &VenueMetrics,
) -> Row {
    let (partition, offset) = (message.partition(), message.offset());
    let received = received(message);
    let value = message.payload().unwrap_or_default();
    let letter = |messages: &MessageReader, fault| {
        let received = if received == Nanos::MIN { Nanos(0) } else { received };
        messages.dead_letter(value, &fault, received, place(topic, partition, offset))
    };
    let what = match messages.read(value, ids.of(partition, offset), received) {
        Ok(Some(entry)) => {
            let at = entry.body.received().unwrap_or(Nanos::MIN);
            if at != Nanos::MIN && entry.body.time() > at.plus(FUTURE_MAX) {
                let fault = RowFault::Future;
                metrics.fault(RejectReason::BadTime.as_str());
                What::Bad(Box::new(letter(messages, fault)))
            } else {
                metrics.entries.inc();
                What::Entry(entry)
            }
        }
        Ok(None) => {
            metrics.ignored.inc();
            What::Skipped
        }
        Err(fault) => {
            metrics.fault(fault.word());
            let letter: DeadLetterRecord = letter(messages, fault);
            What::Bad(Box::new(letter))
        }
    };
    Row { offset, received, what }
}
