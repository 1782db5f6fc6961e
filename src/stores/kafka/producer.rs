//! Writes messages to topics, and waits until the brokers have them.
//!
//! Promises: a batch has been written when every message of it was confirmed by all copies that are in step (`acks=all`),
//! in order within a partition and without repeats of librdkafka's own making (`enable.idempotence`). Keys go where Java
//! clients put them (`murmur2_random`). One batch at a time is under way, so no more than one batch is held in memory.
//! On failure: what is under way is given up, and the batch can be written again: what of it had arrived is there twice.

use super::certificate;
use super::client::Contact;
use super::fault::KafkaFault;
use super::settings::{ClientSetup, KafkaSettings};
use crate::metrics::KafkaMetrics;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, PurgeConfig, ThreadedProducer};
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaErrorCode;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How often a wait looks whether the brokers refuse us.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Longest single question for metadata: in between we look whether the brokers refuse us.
const ASK_MAX: Duration = Duration::from_millis(500);

/// How long a full queue of librdkafka is waited for before it is tried again.
const FULL_PAUSE: Duration = Duration::from_millis(1);

/// What becomes of the messages of the batch that is under way. One lock for all of it, so that what is told of an earlier
/// batch is never counted for this one.
#[derive(Default)]
struct Deliveries {
    state: Mutex<UnderWay>,
    done: Notify,
}

#[derive(Default)]
struct UnderWay {
    /// Number of the batch, which its messages carry.
    batch: u32,
    /// Messages that are under way, and one while more may come.
    open: usize,
    fault: Option<KafkaFault>,
    refused: Vec<(usize, String)>,
}

impl UnderWay {
    fn note(&mut self, row: usize, fault: KafkaFault) {
        if fault.is_of_message {
            self.refused.push((row, fault.text));
        } else {
            self.fault.get_or_insert(fault);
        }
    }
}

impl Deliveries {
    fn state(&self) -> MutexGuard<'_, UnderWay> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a message of a batch is done, or that no more of them come.
    fn close_one(&self, batch: u32, failed: Option<(usize, KafkaFault)>) {
        let mut state = self.state();
        if state.batch != batch {
            return;
        }
        if let Some((row, fault)) = failed {
            state.note(row, fault);
        }
        state.open -= 1;
        if state.open == 0 {
            self.done.notify_one();
        }
    }
}

/// The context of a producer.
struct ProducerContact {
    contact: Contact,
    deliveries: Arc<Deliveries>,
    metrics: Arc<KafkaMetrics>,
}

impl ClientContext for ProducerContact {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.contact.log(level, facility, line);
    }

    fn stats(&self, statistics: Statistics) {
        self.contact.stats(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.contact.error(error, reason);
    }
}

impl ProducerContext for ProducerContact {
    /// Number of the batch, and place of the message in it.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: usize) {
        let failed = result.as_ref().err().map(|(error, message)| {
            self.metrics.delivery_failed(message.topic());
            (opaque & u32::MAX as usize, KafkaFault::of(error))
        });
        self.deliveries.close_one((opaque >> 32) as u32, failed);
    }
}

/// A message.
pub struct Outgoing<'a> {
    /// Where it goes.
    pub topic: &'a str,
    /// What decides the partition; `None` leaves that to librdkafka.
    pub key: Option<&'a str>,
    /// What it says.
    pub value: &'a [u8],
    /// Its place among the rows of the batch.
    pub row: usize,
}

/// Why a batch was not written.
#[derive(Debug)]
pub enum WriteError {
    /// The brokers did not take it.
    Brokers(KafkaFault),
    /// These rows are refused, with what was said of the first one; the others are written.
    Rows(Vec<usize>, String),
}

/// Writes batches of messages.
pub struct TopicProducer {
    inner: ThreadedProducer<ProducerContact>,
    deliveries: Arc<Deliveries>,
    /// Which of our settings do not hold.
    setup: ClientSetup,
    timeout: Duration,
    /// Certificates that are trusted in place of the system's.
    ca_file: Option<PathBuf>,
}

/// A batch that messages are added to.
pub struct Batch<'a> {
    producer: &'a TopicProducer,
    number: u32,
    num_messages: usize,
}

impl TopicProducer {
    /// Makes a producer. It reaches for the brokers by itself, and waits for none.
    ///
    /// # Errors
    /// When librdkafka refuses a setting.
    pub fn new(
        settings: &KafkaSettings,
        compression: &str,
        linger: Duration,
        metrics: Arc<KafkaMetrics>,
    ) -> Result<TopicProducer, KafkaFault> {
        let own = [
            ("acks", "all".to_owned()),
            ("enable.idempotence", "true".to_owned()),
            ("partitioner", "murmur2_random".to_owned()),
            ("compression.type", compression.to_owned()),
            ("linger.ms", format!("{}", linger.as_secs_f64() * 1_000.0)),
            ("message.timeout.ms", settings.timeout.as_millis().to_string()),
            // A batch of rows, whose bytes are limited by its number of rows.
            ("queue.buffering.max.messages", "1000000".to_owned()),
            ("queue.buffering.max.kbytes", "1048576".to_owned()),
        ];
        let setup = settings.client("producer", &own);
        let deliveries = Arc::<Deliveries>::default();
        let sampled = Arc::clone(&metrics);
        let contact = Contact::new(
            "producer",
            Box::new(move |statistics| super::statistics::produced(&sampled, statistics)),
        );
        let context = ProducerContact { contact, deliveries: Arc::clone(&deliveries), metrics };
        let inner = setup.config.create_with_context(context).map_err(|error| KafkaFault::of(&error))?;
        let ca_file = settings.tls.as_ref().and_then(|tls| tls.ca_file.clone());
        Ok(TopicProducer { inner, deliveries, setup, timeout: settings.timeout, ca_file })
    }

    /// Says which properties of ours the user's take the place of.
    pub fn say_overridden(&self) {
        self.contact().say_overridden(&self.setup);
    }

    fn contact(&self) -> &Contact {
        &self.inner.client().context().contact
    }

    /// Begins a batch. What an earlier one has left under way is given up.
    #[must_use]
    pub fn begin(&self) -> Batch<'_> {
        if self.inner.in_flight_count() > 0 {
            self.inner.purge(PurgeConfig::default().queue().inflight());
        }
        let mut state = self.deliveries.state();
        let number = state.batch.wrapping_add(1);
        *state = UnderWay { batch: number, open: 1, ..UnderWay::default() };
        Batch { producer: self, number, num_messages: 0 }
    }

    /// Returns the topics that we may see, each with the number of its partitions.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn topics(&self) -> Result<BTreeMap<String, usize>, KafkaFault> {
        self.ask(None).await
    }

    /// Asks whether a broker answers.
    ///
    /// # Errors
    /// When none does.
    pub async fn check(&self) -> Result<(), KafkaFault> {
        // Of one topic, since there may be thousands; nobody makes this one by asking for it.
        self.ask(Some("__consumer_offsets")).await.map(|_| ())
    }

    async fn ask(&self, topic: Option<&'static str>) -> Result<BTreeMap<String, usize>, KafkaFault> {
        let (inner, timeout) = (self.inner.clone(), self.timeout);
        let asked = tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            loop {
                match inner.client().fetch_metadata(topic, ASK_MAX.min(timeout)) {
                    Ok(metadata) => {
                        let topics = metadata.topics().iter();
                        return Ok(topics
                            .map(|one| (one.name().to_owned(), one.partitions().len()))
                            .collect());
                    }
                    Err(error) => {
                        let refused =
                            inner.client().context().contact.fault().is_some_and(|fault| !fault.is_transient);
                        if refused || begun.elapsed() >= timeout {
                            return Err(KafkaFault::of(&error));
                        }
                    }
                }
            }
        });
        match asked.await {
            Ok(Ok(topics)) => {
                self.contact().works();
                Ok(topics)
            }
            Ok(Err(fault)) => Err(self.looked_at(self.told(fault)).await),
            Err(_) => Err(KafkaFault::transient("the look at the brokers was cut off")),
        }
    }

    /// Finds out what is wrong with a certificate that could not be verified.
    async fn looked_at(&self, fault: KafkaFault) -> KafkaFault {
        let Some(address) = fault.unverified.clone() else { return fault };
        let (ca_file, timeout) = (self.ca_file.clone(), self.timeout);
        let look = move || certificate::look(&address, ca_file.as_deref(), timeout);
        match tokio::task::spawn_blocking(look).await {
            Ok(Some(reason)) => fault.with_reason(reason),
            // Then what librdkafka said is all that is known.
            Ok(None) | Err(_) => fault,
        }
    }

    /// Returns why, where that is known better than by what became of a message.
    fn told(&self, fault: KafkaFault) -> KafkaFault {
        if fault.is_transient { self.contact().fault().unwrap_or(fault) } else { fault }
    }
}

impl Batch<'_> {
    /// Hands a message to librdkafka, which begins to send. A queue that is full is waited for.
    pub async fn send(&mut self, message: &Outgoing<'_>) {
        let producer = self.producer;
        let opaque = (self.number as usize) << 32 | message.row & u32::MAX as usize;
        producer.deliveries.state().open += 1;
        let mut record = BaseRecord::with_opaque_to(message.topic, opaque).payload(message.value);
        if let Some(key) = message.key {
            record = record.key(key);
        }
        self.num_messages += 1;
        loop {
            match producer.inner.send(record) {
                Ok(()) => return,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    tokio::time::sleep(FULL_PAUSE).await;
                }
                Err((error, _)) => {
                    let failed = Some((message.row, KafkaFault::of(&error)));
                    producer.deliveries.close_one(self.number, failed);
                    return;
                }
            }
        }
    }

    /// Waits until every message is with the brokers. May be dropped where it takes too long.
    ///
    /// # Errors
    /// When the brokers do not take them, or refuse some.
    pub async fn finish(self) -> Result<(), WriteError> {
        let TopicProducer { inner, deliveries, .. } = self.producer;
        deliveries.close_one(self.number, None);
        while deliveries.state().open > 0 {
            // Looks again from time to time: brokers that refuse us let every message run into its time limit.
            if tokio::time::timeout(LOOK_INTERVAL, deliveries.done.notified()).await.is_err()
                && let Some(fault) = self.producer.contact().fault().filter(|fault| !fault.is_transient)
            {
                inner.purge(PurgeConfig::default().queue().inflight());
                return Err(WriteError::Brokers(fault));
            }
        }
        let UnderWay { fault, mut refused, .. } = {
            let mut state = deliveries.state();
            let batch = state.batch;
            std::mem::replace(&mut *state, UnderWay { batch, ..UnderWay::default() })
        };
        if let Some(fault) = fault {
            return Err(WriteError::Brokers(self.producer.told(fault)));
        }
        if self.num_messages > refused.len() {
            self.producer.contact().works();
        }
        refused.sort_unstable();
        match refused.first() {
            None => Ok(()),
            Some((_, cause)) => {
                let cause = cause.clone();
                Err(WriteError::Rows(refused.into_iter().map(|(row, _)| row).collect(), cause))
            }
        }
    }
}
