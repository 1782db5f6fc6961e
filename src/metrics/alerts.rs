//! What is counted about alerts.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Counters of alerts.
#[derive(Clone, Debug)]
pub struct AlertMetrics {
    decisions: IntCounterVec,
    messages: IntCounterVec,
    /// Incidents that are open, acknowledged or without data.
    pub open: IntGauge,
    /// Messages that wait to be sent.
    pub waiting: IntGauge,
    /// Age of the oldest of them in seconds.
    pub waiting_seconds: IntGauge,
    /// Pings of the dead man's switch that were answered.
    pub heartbeats: IntCounter,
    /// Pings that were not.
    pub heartbeat_failures: IntCounter,
}

impl AlertMetrics {
    /// Makes the series.
    pub(super) fn new(registry: &Registry) -> AlertMetrics {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let vec = IntCounterVec::new(Opts::new(name, help), labels).expect("the metric is well formed");
            registry.register(Box::new(vec.clone())).expect("metric names are given once");
            vec
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help).expect("the metric is well formed");
            registry.register(Box::new(gauge.clone())).expect("metric names are given once");
            gauge
        };
        let heartbeats = counters(
            "tickwire_alert_heartbeats_total",
            "Pings of the dead man's switch, and whether they were answered",
            &["result"],
        );
        AlertMetrics {
            heartbeats: heartbeats.with_label_values(&["answered"]),
            heartbeat_failures: heartbeats.with_label_values(&["failed"]),
            decisions: counters(
                "tickwire_alert_decisions_total",
                "Decisions on incidents: `queued`, or why they were held back",
                &["decision"],
            ),
            messages: counters(
                "tickwire_alert_messages_total",
                "Messages by channel and what came of a try",
                &["channel", "result"],
            ),
            open: gauge("tickwire_incidents_open", "Incidents that are not closed"),
            waiting: gauge("tickwire_alert_outbox_messages", "Messages that wait to be sent"),
            waiting_seconds: gauge("tickwire_alert_outbox_seconds", "Age of the oldest message that waits"),
        }
    }

    /// Counts a decision, by the word that its reason begins with.
    pub fn decided(&self, reason: &str) {
        self.decisions.with_label_values(&[reason.split(':').next().unwrap_or_default()]).inc();
    }

    /// Counts what came of a try to send: `sent`, `retried` or `failed`.
    pub fn tried(&self, channel: &str, result: &str) {
        self.messages.with_label_values(&[channel, result]).inc();
    }
}
