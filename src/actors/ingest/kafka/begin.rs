//! Where the reading of a topic begins.
//!
//! Promises: where the log left it, however the topic looks by now; what the topic has dropped meanwhile, or that it was made anew,
//! is said. On failure nothing was read.

use super::config::Start;
use super::ends::{TIMEOUT, offsets};
use super::inbox::received;
use super::plan::TopicPlan;
use super::positions::Positions;
use crate::models::time::Nanos;
use crate::stores::kafka::client::Contact;
use anyhow::Context;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;

/// Where reading begins.
pub(super) struct Begin {
    /// How far the topic is read.
    pub positions: Positions,
    /// Where its partitions end.
    pub ends: BTreeMap<i32, i64>,
    /// By partition: how many messages it has dropped that were not read.
    pub lost: BTreeMap<i32, u64>,
    /// The topic was made anew: what the one before it had at last is not known.
    pub is_another: bool,
    /// The log knows nothing of the topic.
    pub is_new: bool,
}

/// Finds out where each partition is begun: where the log left it, or as the configuration says.
pub(super) fn begin(
    plan: &TopicPlan,
    consumer: &BaseConsumer<Contact>,
    num_partitions: i32,
    kept: Option<Positions>,
) -> anyhow::Result<Begin> {
    let ask = |at| {
        offsets(consumer, &plan.topic, 0..num_partitions, at)
            .context("failed to ask where the topic begins and ends")
    };
    let (firsts, ends) = (ask(Offset::Beginning)?, ask(Offset::End)?);
    let is_new = kept.is_none();
    let mut positions = kept.unwrap_or_default();
    let is_beyond = |(partition, next): (&i32, &i64)| ends.get(partition).is_none_or(|end| next > end);
    let is_shorter = positions.next.iter().any(is_beyond);
    let holds_last = holds_last(plan, consumer, &positions, &firsts, &ends)
        .context("failed to look at the messages that were read last")?;
    let is_another = !holds_last.unwrap_or(!is_shorter);
    if is_shorter && !is_another {
        tracing::error!(
            topic = plan.topic,
            "the topic has lost messages that were read: it is read from where it ends now on, and what it gets there counts as \
             new"
        );
        for (partition, next) in &mut positions.next {
            if let Some(end) = ends.get(partition).filter(|end| *end < next) {
                *next = *end;
                positions.last.remove(partition);
            }
        }
        positions.generation += 1;
    }
    if is_another {
        tracing::warn!(
            topic = plan.topic,
            "the topic was made anew: it is read from its beginning, and none of its ticks counts as a repeat of the former \
             one's; what that one had at last and was not read is a gap"
        );
        positions.next.clear();
        positions.last.clear();
        positions.generation += 1;
    }
    let wanted = match plan.start {
        Start::Earliest => None,
        Start::Latest => Some(ends.clone()),
        Start::Time(time) => Some(ask(Offset::Offset(time.0.max(0) / 1_000_000))?),
    };
    let mut lost = BTreeMap::new();
    for (&partition, &first) in &firsts {
        let end = ends.get(&partition).copied().unwrap_or(first);
        let next = match (positions.next.get(&partition), &wanted) {
            (Some(&next), _) if next < first => {
                lost.insert(partition, first.abs_diff(next));
                first
            }
            (Some(&next), _) => next,
            // A partition that was added since is read from its beginning, or its first messages would be missing.
            (None, Some(wanted)) if is_new => {
                wanted.get(&partition).copied().filter(|offset| *offset >= 0).unwrap_or(end)
            }
            (None, _) => first,
        };
        positions.next.insert(partition, next);
    }
    Ok(Begin { positions, ends, lost, is_another, is_new })
}

/// Returns whether partitions have the messages that were read last of them; `None` where none of these can be there. Offsets alone
/// do not tell a topic that was made anew and has grown as long as the one before.
fn holds_last(
    plan: &TopicPlan,
    consumer: &BaseConsumer<Contact>,
    positions: &Positions,
    firsts: &BTreeMap<i32, i64>,
    ends: &BTreeMap<i32, i64>,
) -> anyhow::Result<Option<bool>> {
    let mut asked = TopicPartitionList::new();
    let mut open = BTreeMap::new();
    for (&partition, &timestamp) in &positions.last {
        let Some(offset) = positions.next.get(&partition).map(|next| next - 1) else { continue };
        let is_there = |first: &i64| (*first..ends.get(&partition).copied().unwrap_or(0)).contains(&offset);
        if timestamp != Nanos::MIN && firsts.get(&partition).is_some_and(is_there) {
            asked.add_partition_offset(&plan.topic, partition, Offset::Offset(offset))?;
            open.insert(partition, (offset, timestamp));
        }
    }
    if open.is_empty() {
        return Ok(None);
    }
    consumer.assign(&asked)?;
    let mut is_same = None;
    while is_same != Some(false) && !open.is_empty() {
        match consumer.poll(TIMEOUT) {
            Some(Ok(message)) => {
                // It may be gone, where only the newest of each key is kept.
                let known =
                    open.remove(&message.partition()).filter(|(offset, _)| *offset == message.offset());
                is_same = known.map(|(_, timestamp)| received(&message) == timestamp).or(is_same);
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => _ = open.remove(&partition),
            Some(Err(error)) => return Err(error.into()),
            None => anyhow::bail!("the brokers do not answer"),
        }
    }
    consumer.unassign()?;
    Ok(is_same)
}
