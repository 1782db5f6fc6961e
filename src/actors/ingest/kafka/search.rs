//! Finds a topic and has it read, and looks for it again where it was deleted.
//!
//! Promises: reading goes on where the log left it, or where this process did. On failure: brokers that are away, or a topic that is
//! not there, are waited for; what restarting may mend comes back as an error.

use super::begin::begin;
use super::ends::{TIMEOUT, count_partitions, is_gone};
use super::plan::{FromReader, TopicPlan};
use super::positions::Positions;
use super::reader::{End, EndsSeen, Reader};
use super::standing::StandingHealth;
use crate::actors::environment::Environment;
use crate::actors::health::{Health, HealthRegistry};
use crate::stores::kafka::client::Contact;
use crate::stores::kafka::statistics::consumed;
use anyhow::Context as _;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::statistics::Statistics;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Pause between two tries to reach a broker or a topic that is not there.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Reads a topic until the feed is gone.
///
/// # Errors
/// When it cannot go on without being started anew.
pub(super) fn read(
    plan: &TopicPlan,
    resume: Option<(String, Positions)>,
    env: &Environment,
    health: &Arc<HealthRegistry>,
    feed: &mpsc::Sender<FromReader>,
) -> anyhow::Result<()> {
    let mut resume = resume;
    loop {
        // One that knows a topic that was deleted takes long to find another of its name.
        let seen = EndsSeen::default();
        let consumer = Arc::new(consumer(plan, env, &seen)?);
        let mut standing = StandingHealth::new(plan, health, &consumer);
        standing.say(Health::Degraded, "looking for the topic");
        let Some((cluster, num_partitions)) = look_for(&consumer, plan, &mut standing, feed) else {
            return Ok(());
        };
        let kept = match resume.take() {
            Some((of, positions)) if of == cluster => Some(positions),
            _ => {
                let (ask, answer) = oneshot::channel();
                let key = Positions::key(&cluster, &plan.topic);
                if feed.blocking_send(FromReader::Positions(key, ask)).is_err() {
                    return Ok(());
                }
                let Ok(bytes) = answer.blocking_recv() else { return Ok(()) };
                bytes?.map(|bytes| Positions::decode(&bytes)).transpose()?
            }
        };
        let begun = match begin(plan, &consumer, num_partitions, kept.clone()) {
            Ok(begun) => begun,
            // It was deleted in this moment, or a partition of it has only just been made.
            Err(error) if error.downcast_ref().is_some_and(is_gone) => {
                resume = kept.map(|positions| (cluster, positions));
                std::thread::park_timeout(RETRY_PAUSE);
                continue;
            }
            Err(error) => return Err(error),
        };
        let mut reader = Reader::new(plan, env, &consumer, cluster, begun, &seen)?;
        match reader.run(&mut standing, feed)? {
            End::OfFeed => return Ok(()),
            End::OfTopic => resume = Some(reader.reached()),
        }
        std::thread::park_timeout(RETRY_PAUSE);
    }
}

/// Waits for the topic. Returns the cluster's name and how many partitions the topic has; `None` where the feed is gone.
fn look_for(
    consumer: &BaseConsumer<Contact>,
    plan: &TopicPlan,
    standing: &mut StandingHealth<'_>,
    feed: &mpsc::Sender<FromReader>,
) -> Option<(String, i32)> {
    while !feed.is_closed() {
        // Nothing is assigned yet: it only has librdkafka tell of its brokers.
        _ = consumer.poll(Duration::ZERO);
        match find(consumer, &plan.topic) {
            Some(found) => return Some(found),
            None => standing.say_not_found(),
        }
        std::thread::park_timeout(RETRY_PAUSE);
    }
    None
}

fn consumer(plan: &TopicPlan, env: &Environment, seen: &EndsSeen) -> anyhow::Result<BaseConsumer<Contact>> {
    let own = [
        ("group.id", plan.group.clone()),
        ("enable.auto.commit", "false".to_owned()),
        // Where reading begins is said always; a place that is not there must never quietly become another.
        ("auto.offset.reset", "error".to_owned()),
        ("enable.partition.eof", "true".to_owned()),
        // The end of a partition is told when a request for more comes back empty.
        ("fetch.wait.max.ms", "100".to_owned()),
        // Memory for what is read ahead, of each partition.
        ("queued.max.messages.kbytes", "2048".to_owned()),
        // Once that is used up librdkafka would ask for more only after a second, whatever was taken meanwhile.
        ("fetch.queue.backoff.ms", "5".to_owned()),
        ("topic.metadata.refresh.interval.ms", "30000".to_owned()),
    ];
    let setup = plan.kafka.client("venue", &own);
    let (metrics, group, topic) = (Arc::clone(&env.metrics.kafka), plan.group.clone(), plan.topic.clone());
    let seen = Arc::clone(seen);
    let on_statistics = move |statistics: &Statistics| {
        consumed(&metrics, &group, statistics);
        let Some(of_topic) = statistics.topics.get(&topic) else { return };
        let known = of_topic.partitions.iter().filter(|(partition, _)| **partition >= 0);
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (&partition, told) in known {
            seen.insert(partition, told.eof_offset);
        }
    };
    let contact = Contact::new("venue", Box::new(on_statistics));
    contact.say_overridden(&setup);
    setup.config.create_with_context(contact).context("librdkafka refuses the settings of Kafka")
}

/// Returns the cluster's name and how many partitions the topic has, once both are known.
fn find(consumer: &BaseConsumer<Contact>, topic: &str) -> Option<(String, i32)> {
    let count = count_partitions(consumer, topic).ok().filter(|count| *count > 0)?;
    consumer.client().fetch_cluster_id(TIMEOUT).map(|cluster| (cluster, count))
}
