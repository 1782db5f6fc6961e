//! What is counted about feeds: who is in charge, how the breakers of their venues are, and how far a venue that is compared
//! is from the one in charge.

use super::gauges::by_labels;
use prometheus::core::Collector;
use prometheus::{Gauge, GaugeVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// Series of every feed.
pub(super) struct FeedSeries {
    in_charge: IntGaugeVec,
    breaker: IntGaugeVec,
    hand_overs: IntCounterVec,
    price: GaugeVec,
    volume: GaugeVec,
}

impl FeedSeries {
    /// Makes the series.
    pub fn new(registry: &Registry) -> FeedSeries {
        let labels = ["feed", "venue"];
        let gauge = |name: &str, help: &str| {
            let vec = IntGaugeVec::new(Opts::new(name, help), &labels);
            register(registry, vec.expect("the metric is well formed"))
        };
        let share = |name: &str, help: &str| {
            register(
                registry,
                GaugeVec::new(Opts::new(name, help), &labels).expect("the metric is well formed"),
            )
        };
        let hand_overs = Opts::new("tickwire_feed_hand_overs_total", "Times a venue took charge of a feed");
        let hand_overs = IntCounterVec::new(hand_overs, &["feed", "venue", "reason"]);
        FeedSeries {
            in_charge: gauge(
                "tickwire_feed_in_charge",
                "1 for the venue in charge of a feed, 0 for the others",
            ),
            breaker: gauge(
                "tickwire_venue_breaker_state",
                "Circuit breaker of a venue of a feed: 0 closed, 1 half open, 2 open",
            ),
            hand_overs: register(registry, hand_overs.expect("the metric is well formed")),
            price: share(
                "tickwire_feed_divergence_price_bps",
                "Largest difference of a symbol's last prices from those of the venue in charge, in basis points",
            ),
            volume: share(
                "tickwire_feed_divergence_volume_ratio",
                "Mean difference of volumes in the newest closed window, as a share of the larger one",
            ),
        }
    }

    /// Returns the series of one venue of a feed.
    pub fn of(&self, feed: &str, venue: &str) -> FeedVenueMetrics {
        FeedVenueMetrics {
            in_charge: self.in_charge.with_label_values(&[feed, venue]),
            breaker: self.breaker.with_label_values(&[feed, venue]),
            hand_overs: self.hand_overs.clone(),
            feed: feed.to_owned(),
            venue: venue.to_owned(),
        }
    }

    /// Returns how far venues that are compared are from those in charge, in basis points, by feed and venue: `feed/venue`.
    pub fn price_divergences(&self) -> Vec<(String, f64)> {
        by_labels(&self.price)
    }

    /// Returns the series of a venue that is compared.
    pub fn divergence(&self, feed: &str, venue: &str) -> DivergenceMetrics {
        DivergenceMetrics {
            price_bps: self.price.with_label_values(&[feed, venue]),
            volume_ratio: self.volume.with_label_values(&[feed, venue]),
        }
    }
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> C {
    registry.register(Box::new(metric.clone())).expect("metric names are given once");
    metric
}

/// Series of one venue of a feed.
#[derive(Clone, Debug)]
pub struct FeedVenueMetrics {
    /// 1 while it is in charge.
    pub in_charge: IntGauge,
    /// Its circuit breaker.
    pub breaker: IntGauge,
    hand_overs: IntCounterVec,
    feed: String,
    venue: String,
}

impl FeedVenueMetrics {
    /// Counts that it took charge. The reason is one of few words: it becomes a label.
    pub fn took_charge(&self, reason: &str) {
        self.hand_overs.with_label_values(&[self.feed.as_str(), self.venue.as_str(), reason]).inc();
    }
}

/// How far a venue that is compared is from the one in charge.
#[derive(Clone, Debug)]
pub struct DivergenceMetrics {
    /// Of last prices, in basis points.
    pub price_bps: Gauge,
    /// Of volumes, 0 to 1.
    pub volume_ratio: Gauge,
}
