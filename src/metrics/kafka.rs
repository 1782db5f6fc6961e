//! Topics that this process writes and reads: how fast, what waits, how far a reader is behind.
//!
//! Promises: totals come from librdkafka's statistics, so rates are those of what the brokers took or gave. REST shows the
//! last hour, a value each ten seconds; that takes some 2 MB at the most, and the oldest values go first.

use crate::models::time::{Nanos, SECOND};
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// The interval of what REST shows.
const INTERVAL: i64 = 10 * SECOND;

/// Values that are kept: an hour of ten topics with five values each.
const NUM_VALUES_MAX: usize = 18_000;

/// What is known of a topic at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicSample {
    /// The topic.
    pub topic: String,
    /// Messages so far.
    pub messages: u64,
    /// Their bytes, as they came or went.
    pub bytes: u64,
    /// Messages that wait in this process.
    pub queued: u64,
    /// By partition: messages that a reader is behind.
    pub lags: Vec<(i32, i64)>,
}

/// A value of a topic.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicPoint {
    /// Its time.
    pub time: Nanos,
    /// The topic.
    pub topic: Arc<str>,
    /// Name of the value.
    pub field: Arc<str>,
    /// The value.
    pub value: f64,
}

/// The totals of a topic when values of it were last kept.
struct Known {
    name: Arc<str>,
    time: Nanos,
    messages: u64,
    bytes: u64,
    errors: u64,
}

#[derive(Default)]
struct History {
    known: HashMap<(bool, String), Known>,
    points: VecDeque<TopicPoint>,
}

/// The metrics of Kafka.
pub struct KafkaMetrics {
    lag: IntGaugeVec,
    produced: IntGaugeVec,
    produced_bytes: IntGaugeVec,
    consumed: IntGaugeVec,
    delivery_errors: IntCounterVec,
    missed: IntCounterVec,
    queue: IntGauge,
    queue_bytes: IntGauge,
    history: Mutex<History>,
}

impl KafkaMetrics {
    pub(super) fn new(registry: &Registry, lag: IntGaugeVec) -> KafkaMetrics {
        let gauges = |name: &str, help: &str| {
            registered(registry, IntGaugeVec::new(Opts::new(name, help), &["topic"]))
        };
        let gauge = |name: &str, help: &str| registered(registry, IntGauge::new(name, help));
        let counters = |name: &str, help: &str| {
            registered(registry, IntCounterVec::new(Opts::new(name, help), &["topic"]))
        };
        KafkaMetrics {
            lag,
            // Totals of librdkafka's; they begin anew with its client, as counters may.
            produced: gauges("tickwire_kafka_produced_messages", "Messages that the brokers took"),
            produced_bytes: gauges(
                "tickwire_kafka_produced_bytes",
                "Bytes of messages that the brokers took",
            ),
            consumed: gauges("tickwire_kafka_consumed_messages", "Messages that the brokers gave"),
            delivery_errors: counters(
                "tickwire_kafka_delivery_errors_total",
                "Messages that were not delivered",
            ),
            missed: counters(
                "tickwire_kafka_missed_messages_total",
                "Messages that a topic dropped before they were read",
            ),
            queue: gauge("tickwire_kafka_queue_messages", "Messages that wait for the brokers"),
            queue_bytes: gauge("tickwire_kafka_queue_bytes", "Bytes of messages that wait for the brokers"),
            history: Mutex::default(),
        }
    }

    /// Counts a message that was not delivered.
    pub fn delivery_failed(&self, topic: &str) {
        self.delivery_errors.with_label_values(&[topic]).inc();
    }

    /// Counts messages that a topic dropped before they were read.
    pub fn missed(&self, topic: &str, num_messages: u64) {
        self.missed.with_label_values(&[topic]).inc_by(num_messages);
    }

    /// Takes in what a producer tells at a time: its topics, and what waits in it.
    pub fn produced(&self, at: Nanos, topics: &[TopicSample], num_queued: u64, bytes_queued: u64) {
        self.queue.set(gauge(num_queued));
        self.queue_bytes.set(gauge(bytes_queued));
        for sample in topics {
            self.produced.with_label_values(&[&sample.topic]).set(gauge(sample.messages));
            self.produced_bytes.with_label_values(&[&sample.topic]).set(gauge(sample.bytes));
        }
        self.keep(at, true, topics);
    }

    /// Takes in what a consumer of a group tells at a time.
    pub fn consumed(&self, at: Nanos, group: &str, topics: &[TopicSample]) {
        for sample in topics {
            self.consumed.with_label_values(&[&sample.topic]).set(gauge(sample.messages));
            let lag: i64 = sample.lags.iter().map(|(_, lag)| lag).sum();
            self.lag.with_label_values(&[&sample.topic, group]).set(lag);
        }
        self.keep(at, false, topics);
    }

    fn keep(&self, now: Nanos, is_produced: bool, topics: &[TopicSample]) {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let History { known, points } = &mut *history;
        for sample in topics {
            let errors = self.delivery_errors.with_label_values(&[&sample.topic]).get();
            let fresh = || Known {
                name: Arc::from(sample.topic.as_str()),
                time: now,
                messages: sample.messages,
                bytes: sample.bytes,
                errors,
            };
            let before = known.entry((is_produced, sample.topic.clone())).or_insert_with(fresh);
            let passed = now.since(before.time);
            if passed < INTERVAL {
                continue;
            }
            let seconds = passed as f64 / SECOND as f64;
            let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
            let mut add = |field: &str, value: f64| {
                let (topic, field) = (Arc::clone(&before.name), Arc::from(field));
                points.push_back(TopicPoint { time: now, topic, field, value });
            };
            let kind = if is_produced { "produced" } else { "consumed" };
            add(&format!("{kind}_messages_per_second"), rate(sample.messages, before.messages));
            add(&format!("{kind}_bytes_per_second"), rate(sample.bytes, before.bytes));
            add("queue", sample.queued as f64);
            if is_produced {
                add("delivery_errors", errors.saturating_sub(before.errors) as f64);
            } else {
                add("lag", sample.lags.iter().map(|(_, lag)| *lag as f64).sum());
                for (partition, lag) in &sample.lags {
                    add(&format!("lag_{partition}"), *lag as f64);
                }
            }
            *before = fresh();
        }
        let surplus = points.len().saturating_sub(NUM_VALUES_MAX);
        points.drain(..surplus);
    }

    /// Returns the values since `start`, oldest first.
    #[must_use]
    pub fn since(&self, start: Nanos) -> Vec<TopicPoint> {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.points.iter().filter(|point| point.time >= start).cloned().collect()
    }
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn registered<M: prometheus::core::Collector + Clone + 'static>(
    registry: &Registry,
    metric: prometheus::Result<M>,
) -> M {
    let metric = metric.expect("the metric is well formed");
    registry.register(Box::new(metric.clone())).expect("metric names are given once");
    metric
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_rates_between_totals_and_lag_is_the_sum_of_partitions() {
        let registry = Registry::new();
        let lag = IntGaugeVec::new(Opts::new("lag", "lag"), &["topic", "group"]).unwrap();
        let metrics = KafkaMetrics::new(&registry, lag.clone());
        let sample = |messages, lags: &[(i32, i64)]| TopicSample {
            topic: "t".to_owned(),
            messages,
            bytes: messages * 10,
            queued: 3,
            lags: lags.to_vec(),
        };
        metrics.produced(Nanos(0), &[sample(100, &[])], 5, 50);
        metrics.consumed(Nanos(0), "g", &[sample(10, &[(0, 4), (1, 5)])]);
        assert_eq!(lag.with_label_values(&["t", "g"]).get(), 9);
        assert_eq!(metrics.since(Nanos::MIN), []);
        metrics.delivery_failed("t");
        metrics.produced(Nanos(INTERVAL), &[sample(300, &[])], 0, 0);
        metrics.consumed(Nanos(INTERVAL), "g", &[sample(20, &[(0, 1), (1, 2)])]);
        let found: Vec<(String, f64)> = metrics
            .since(Nanos(INTERVAL))
            .iter()
            .map(|point| (point.field.to_string(), point.value))
            .collect();
        let expected = [
            ("produced_messages_per_second", 20.0),
            ("produced_bytes_per_second", 200.0),
            ("queue", 3.0),
            ("delivery_errors", 1.0),
            ("consumed_messages_per_second", 1.0),
            ("consumed_bytes_per_second", 10.0),
            ("queue", 3.0),
            ("lag", 3.0),
            ("lag_0", 1.0),
            ("lag_1", 2.0),
        ];
        assert_eq!(found, expected.map(|(field, value)| (field.to_owned(), value)));
    }
}
