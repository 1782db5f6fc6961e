//! librdkafka's statistics, as the metrics of this process show them.
//!
//! Promises: nothing is guessed: totals, queues and lags are those of librdkafka, once a second. Nothing here fails.

use crate::metrics::{KafkaMetrics, TopicSample};
use crate::models::time::{Nanos, SECOND};
use rdkafka::statistics::{Statistics, Topic};

/// Takes in what a producer tells.
pub fn produced(metrics: &KafkaMetrics, statistics: &Statistics) {
    let topic = |topic: &Topic| {
        let mut sample = TopicSample { topic: topic.topic.clone(), ..TopicSample::default() };
        for partition in topic.partitions.values() {
            sample.messages += partition.txmsgs;
            sample.bytes += partition.txbytes;
            sample.queued += queued(partition.msgq_cnt) + queued(partition.xmit_msgq_cnt);
        }
        sample
    };
    let topics: Vec<TopicSample> = statistics.topics.values().map(topic).collect();
    metrics.produced(at(statistics), &topics, statistics.msg_cnt, statistics.msg_size);
}

/// Takes in what a consumer tells. A partition whose place is not known yet has no lag.
pub fn consumed(metrics: &KafkaMetrics, group: &str, statistics: &Statistics) {
    let topic = |topic: &Topic| {
        let mut sample = TopicSample { topic: topic.topic.clone(), ..TopicSample::default() };
        // Partition -1 is librdkafka's own, for messages without a place.
        for partition in topic.partitions.values().filter(|partition| partition.partition >= 0) {
            sample.messages += partition.rxmsgs;
            sample.bytes += partition.rxbytes;
            sample.queued += queued(partition.fetchq_cnt);
            // Who commits nothing to its group has only the lag of what it has taken.
            let lag = match partition.consumer_lag {
                0.. => partition.consumer_lag,
                _ => partition.consumer_lag_stored,
            };
            if lag >= 0 {
                sample.lags.push((partition.partition, lag));
            }
        }
        sample.lags.sort_unstable();
        sample
    };
    let topics: Vec<TopicSample> = statistics.topics.values().map(topic).collect();
    metrics.consumed(at(statistics), group, &topics);
}

/// Returns when they were made: whole seconds.
fn at(statistics: &Statistics) -> Nanos {
    Nanos(statistics.time.saturating_mul(SECOND))
}

fn queued(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
