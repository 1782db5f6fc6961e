//! Asks the brokers once a second where the partitions of the topic end.
//!
//! The answer is the proof that nothing more was there when it was asked: without it a quiet topic and a broker that is away
//! look the same, and a clock that went on by itself would seal what is still to come.
//!
//! Promises: a slow answer holds up nobody, since a thread of its own waits for it. On failure the last answer stays, and it is
//! asked again.

use crate::stores::kafka::client::Contact;
use crate::stores::kafka::fault::KafkaFault;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

/// Time between two questions.
const INTERVAL: Duration = Duration::from_secs(1);
/// Questions after which it is asked how many partitions there are: what is written to a new one should not wait until the
/// windows that it belongs to are closed.
const QUESTIONS_PER_COUNT: u32 = 2;
/// How long an answer may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// Where partitions ended.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    /// When it was asked, before the answer.
    pub asked: Instant,
    /// By partition: the offset behind the last message.
    pub ends: BTreeMap<i32, i64>,
}

/// What the brokers have told.
#[derive(Clone, Debug)]
pub(super) enum Told {
    /// Where the partitions end.
    Ends(Ends),
    /// The topic is not there, or has lost a partition.
    Gone,
}

/// What the asking thread and the reader share.
#[derive(Default)]
struct Shared {
    newest: Mutex<Option<Told>>,
    stopping: AtomicBool,
}

/// The thread that asks. Dropped, it ends.
pub(super) struct EndsWatch {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

impl EndsWatch {
    /// Starts asking about so many partitions, and tells `reader` of each answer by waking it.
    pub fn start(
        consumer: Arc<BaseConsumer<Contact>>,
        topic: String,
        num_partitions: i32,
        reader: Thread,
    ) -> std::io::Result<EndsWatch> {
        let shared = Arc::<Shared>::default();
        let ours = Arc::clone(&shared);
        let ask = move || {
            let mut num_partitions = num_partitions;
            let mut num_asked = 0_u32;
            while !ours.stopping.load(Ordering::Acquire) {
                num_asked += 1;
                if num_asked.is_multiple_of(QUESTIONS_PER_COUNT)
                    && let Ok(count) = count_partitions(&consumer, &topic)
                {
                    num_partitions = num_partitions.max(count);
                }
                let asked = Instant::now();
                let told = match offsets(&consumer, &topic, 0..num_partitions, Offset::End) {
                    Ok(ends) => {
                        consumer.context().works();
                        Some(Told::Ends(Ends { asked, ends }))
                    }
                    Err(error) => {
                        consumer.context().failed(KafkaFault::of(&error));
                        is_gone(&error).then_some(Told::Gone)
                    }
                };
                if told.is_some() {
                    *ours.newest.lock().unwrap_or_else(PoisonError::into_inner) = told;
                    reader.unpark();
                }
                std::thread::park_timeout(INTERVAL);
            }
        };
        let thread = std::thread::Builder::new().name("kafka-ends".to_owned()).spawn(ask)?;
        Ok(EndsWatch { shared, thread })
    }

    /// Returns the answer that came since the last call.
    pub fn take(&self) -> Option<Told> {
        self.shared.newest.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for EndsWatch {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.thread.thread().unpark();
    }
}

/// True of an error that says that the topic or a partition of it is not there.
pub(super) fn is_gone(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{UnknownPartition, UnknownTopic, UnknownTopicId, UnknownTopicOrPartition};
    let code = error.rdkafka_error_code();
    matches!(code, Some(UnknownTopicOrPartition | UnknownTopic | UnknownPartition | UnknownTopicId))
}

/// Asks where partitions begin ([`Offset::Beginning`]), end ([`Offset::End`]), or reach a time in milliseconds
/// ([`Offset::Offset`]). One that no broker tells of is an error.
pub(super) fn offsets(
    consumer: &BaseConsumer<Contact>,
    topic: &str,
    partitions: impl IntoIterator<Item = i32>,
    at: Offset,
) -> Result<BTreeMap<i32, i64>, KafkaError> {
    let mut asked = TopicPartitionList::new();
    for partition in partitions {
        asked.add_partition_offset(topic, partition, at)?;
    }
    let told = consumer.offsets_for_times(asked, TIMEOUT)?;
    let mut found = BTreeMap::new();
    for element in told.elements() {
        element.error()?;
        // Nothing is from that time on: what comes is.
        let offset = match element.offset() {
            Offset::Offset(offset) => offset,
            _ => -1,
        };
        found.insert(element.partition(), offset);
    }
    Ok(found)
}

/// Asks how many partitions the topic has; 0 where it is not there.
pub(super) fn count_partitions(consumer: &BaseConsumer<Contact>, topic: &str) -> Result<i32, KafkaError> {
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    Ok(found.map_or(0, |found| i32::try_from(found.partitions().len()).unwrap_or(i32::MAX)))
}
