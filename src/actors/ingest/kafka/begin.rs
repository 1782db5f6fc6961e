//! Where the reading of a topic begins.
//!
//! Promises: where the log left it, however the topic looks by now; what the topic has dropped meanwhile, or that it was made anew,
//! is said. On failure nothing was read.

use super::config::Start;
use super::ends::offsets;
use super::plan::TopicPlan;
use super::positions::Positions;
use crate::stores::kafka::client::Contact;
use anyhow::Context;
use rdkafka::Offset;
use rdkafka::consumer::BaseConsumer;
use std::collections::BTreeMap;

/// Where reading begins.
pub(super) struct Begin {
    /// How far the topic is read.
    pub positions: Positions,
    /// Where its partitions end.
    pub ends: BTreeMap<i32, i64>,
    /// The topic has dropped something that was not read.
    pub is_lossy: bool,
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
    let topic = plan.topic.as_str();
    let is_new = kept.is_none();
    let mut positions = kept.unwrap_or_default();
    let is_beyond = |(partition, next): (&i32, &i64)| ends.get(partition).is_none_or(|end| next > end);
    let mut is_lossy = false;
    if positions.next.iter().any(is_beyond) {
        tracing::error!(
            topic,
            "the topic ends before the place up to which it was read: it was made anew, and is read from its beginning"
        );
        positions.next.clear();
        positions.generation += 1;
        is_lossy = true;
    }
    let wanted = match plan.start {
        Start::Earliest => None,
        Start::Latest => Some(ends.clone()),
        Start::Time(time) => Some(ask(Offset::Offset(time.0.max(0) / 1_000_000))?),
    };
    for (&partition, &first) in &firsts {
        let end = ends.get(&partition).copied().unwrap_or(first);
        let next = match (positions.next.get(&partition), &wanted) {
            (Some(&next), _) if next < first => {
                let num_lost = first - next;
                tracing::error!(
                    topic,
                    partition,
                    num_lost,
                    "the topic has dropped messages that were not read; their time is a gap"
                );
                is_lossy = true;
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
    Ok(Begin { positions, ends, is_lossy, is_new })
}
