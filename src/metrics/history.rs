//! The last hour of the process's own metrics, one sample per second, so that REST can show them over time without a
//! metrics store.
//!
//! Promises: samples hold running totals and not rates, so the rates and quantiles of an interval are exactly those of
//! that interval. An hour takes some 2 MB; the oldest sample is dropped when there are too many.

use super::{LATENCY_BUCKETS, Span};
use crate::models::time::{Nanos, SECOND};
use std::collections::VecDeque;

/// Samples kept: an hour and some, so that `-1h` is always whole.
const NUM_SAMPLES_MAX: usize = 3_660;

/// Points that an answer holds at most per field: what a chart can show.
const NUM_POINTS_MAX: usize = 300;

/// What counts as lately, in nanoseconds.
const LATEST: i64 = 10 * SECOND;

/// Running totals at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Time of the sample.
    pub time: Nanos,
    /// Ticks accepted so far.
    pub ticks: u64,
    /// Bars published so far.
    pub bars: u64,
    /// Per [`Span`]: how many took at most as long as the bucket's bound; the last one counts all.
    pub latency: [[u64; LATENCY_BUCKETS.len() + 1]; Span::ALL.len()],
}

/// One value of one field over the interval that ends at `time`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// End of the interval.
    pub time: Nanos,
    /// Name of the value: a component and a quantile, or a rate.
    pub field: &'static str,
    /// The value.
    pub value: f64,
}

/// The newest samples, oldest first.
#[derive(Debug, Default)]
pub struct MetricsHistory {
    samples: VecDeque<Sample>,
}

impl MetricsHistory {
    /// Returns the time of the newest sample.
    #[must_use]
    pub fn newest(&self) -> Option<Nanos> {
        self.samples.back().map(|sample| sample.time)
    }

    /// Adds a sample; the oldest goes when there are too many.
    pub fn push(&mut self, sample: Sample) {
        if self.samples.len() == NUM_SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    /// Returns the intervals since `start` as pairs of samples at their ends, oldest first.
    fn intervals(&self, start: Nanos) -> impl Iterator<Item = (&Sample, &Sample)> {
        let first = self.samples.partition_point(|sample| sample.time < start);
        let step = (self.samples.len() - first).div_ceil(NUM_POINTS_MAX).max(1);
        let ends = || self.samples.range(first..).step_by(step);
        ends().zip(ends().skip(1))
    }

    /// Returns median, 99th percentile and rate of each span, in milliseconds, since `start`, oldest first. An
    /// interval in which nothing was timed has no points.
    #[must_use]
    pub fn latency(&self, start: Nanos) -> Vec<Point> {
        let mut points = Vec::new();
        for (from, to) in self.intervals(start) {
            for (span, fields) in Span::ALL.into_iter().zip(LATENCY_FIELDS) {
                let before = &from.latency[span as usize];
                let after = &to.latency[span as usize];
                let counts: [u64; LATENCY_BUCKETS.len() + 1] =
                    std::array::from_fn(|at| after[at] - before[at]);
                for (field, share) in fields.into_iter().zip([0.5, 0.99]) {
                    if let Some(value) = quantile_ms(&counts, share) {
                        points.push(Point { time: to.time, field, value });
                    }
                }
            }
        }
        points
    }

    /// Returns the 99th percentile of each span in milliseconds, over the last ten seconds; `None` where nothing was timed.
    #[must_use]
    pub fn latest_p99_ms(&self) -> [Option<f64>; Span::ALL.len()] {
        let Some(newest) = self.samples.back() else { return [None; Span::ALL.len()] };
        let first = self.samples.partition_point(|sample| newest.time.since(sample.time) > LATEST);
        let oldest = self.samples.get(first).unwrap_or(newest);
        std::array::from_fn(|span| {
            let (before, after) = (&oldest.latency[span], &newest.latency[span]);
            quantile_ms(&std::array::from_fn(|at| after[at] - before[at]), 0.99)
        })
    }

    /// Returns ticks and bars a second since `start`, oldest first.
    #[must_use]
    pub fn throughput(&self, start: Nanos) -> Vec<Point> {
        let mut points = Vec::new();
        for (from, to) in self.intervals(start) {
            let seconds = to.time.since(from.time).max(1) as f64 / SECOND as f64;
            for (field, count) in
                [("messages_per_second", to.ticks - from.ticks), ("bars_per_second", to.bars - from.bars)]
            {
                points.push(Point { time: to.time, field, value: tidy(count as f64 / seconds) });
            }
        }
        points
    }
}

/// Names of the two values of each span, in the order of [`Span::ALL`].
const LATENCY_FIELDS: [[&str; 2]; Span::ALL.len()] = [
    ["exchange_to_received_p50_ms", "exchange_to_received_p99_ms"],
    ["received_to_logged_p50_ms", "received_to_logged_p99_ms"],
    ["received_to_bar_p50_ms", "received_to_bar_p99_ms"],
    ["received_to_committed_p50_ms", "received_to_committed_p99_ms"],
    ["received_to_history_p50_ms", "received_to_history_p99_ms"],
    ["received_to_sent_p50_ms", "received_to_sent_p99_ms"],
    ["received_to_bar_sent_p50_ms", "received_to_bar_sent_p99_ms"],
];

/// Estimates a quantile in milliseconds as Prometheus' `histogram_quantile` does: linear within a bucket, and the
/// highest bound for what lies beyond it.
fn quantile_ms(counts: &[u64; LATENCY_BUCKETS.len() + 1], share: f64) -> Option<f64> {
    let total = counts[LATENCY_BUCKETS.len()];
    if total == 0 {
        return None;
    }
    let rank = share * total as f64;
    let at = counts.iter().position(|&count| count as f64 >= rank)?;
    let seconds = match LATENCY_BUCKETS.get(at) {
        None => LATENCY_BUCKETS[LATENCY_BUCKETS.len() - 1],
        Some(upper) => {
            let (lower, below) = if at == 0 { (0.0, 0) } else { (LATENCY_BUCKETS[at - 1], counts[at - 1]) };
            lower + (upper - lower) * (rank - below as f64) / (counts[at] - below) as f64
        }
    };
    Some(tidy(seconds * 1_000.0))
}

/// Rounds to six significant digits: more of a rate or an estimated quantile would only be noise of the arithmetic, such as
/// `999.9999999999999`.
#[must_use]
pub(super) fn tidy(value: f64) -> f64 {
    format!("{value:.5e}").parse().expect("a number reads back")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(second: i64, ticks: u64) -> Sample {
        let mut latency = [[0; _]; _];
        // Everything so far took between 1 and 2.5 ms.
        latency[Span::ReceivedToBar as usize] = std::array::from_fn(|at| if at >= 5 { ticks } else { 0 });
        Sample { time: Nanos(second * SECOND), ticks, bars: 0, latency }
    }

    #[test]
    fn a_stretch_shows_only_what_happened_in_it() {
        let mut history = MetricsHistory::default();
        for (second, ticks) in [(0, 1_000), (1, 1_100), (2, 1_100), (3, 1_400)] {
            history.push(sample(second, ticks));
        }
        let rates: Vec<f64> = history
            .throughput(Nanos(0))
            .iter()
            .filter(|point| point.field == "messages_per_second")
            .map(|point| point.value)
            .collect();
        assert_eq!(rates, [100.0, 0.0, 300.0]);
        let latency = history.latency(Nanos(SECOND));
        let medians: Vec<(Nanos, f64)> = latency
            .iter()
            .filter(|point| point.field == "received_to_bar_p50_ms")
            .map(|point| (point.time, point.value))
            .collect();
        assert_eq!(medians, [(Nanos(3 * SECOND), 1.75)], "the second without ticks has no latency");
    }

    #[test]
    fn an_hour_is_kept_and_shown_with_bounded_points() {
        let mut history = MetricsHistory::default();
        for second in 0..10_000 {
            history.push(sample(second, 10 * second as u64));
        }
        assert_eq!(history.samples.len(), NUM_SAMPLES_MAX);
        let points = history.throughput(Nanos(0));
        assert!((200..=2 * NUM_POINTS_MAX).contains(&points.len()), "{}", points.len());
        assert!(points.iter().all(|point| point.field != "messages_per_second" || point.value == 10.0));
    }

    #[test]
    fn values_have_no_noise_of_their_arithmetic() {
        for (value, shown) in [
            (0.1 + 0.2, 0.3),
            (999.999_999_999_999_9, 1_000.0),
            (1_234_567.89, 1_234_570.0),
            (2.0 / 3.0, 0.666_667),
            (0.0, 0.0),
            (1e-7 / 3.0, 3.333_33e-8),
        ] {
            assert_eq!(tidy(value), shown);
        }
        let mut history = MetricsHistory::default();
        for (time, ticks) in [(0, 0), (1_000_000_333, 1_000), (1_999_999_771, 2_001)] {
            history.push(Sample { time: Nanos(time), ..sample(0, ticks) });
        }
        let points = [history.throughput(Nanos(0)), history.latency(Nanos(0))].concat();
        assert!(points.len() > 4, "{points:?}");
        assert!(points.iter().all(|point| point.value.to_string().len() <= 8), "{points:?}");
    }

    #[test]
    fn quantiles_beyond_the_last_bound_show_the_bound() {
        let mut counts = [0; LATENCY_BUCKETS.len() + 1];
        assert_eq!(quantile_ms(&counts, 0.5), None);
        counts[LATENCY_BUCKETS.len()] = 5;
        assert_eq!(quantile_ms(&counts, 0.5), Some(10_000.0));
    }
}
