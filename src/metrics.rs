//! The one list of metric names, and the handles that stages count with.
//!
//! Promises: a handle costs an atomic addition; nothing here is looked up by name on the data path, except reasons of
//! drops, which are rare. Series by symbol are capped, so that 10,000 symbols do not become 10,000 series.
//! A fault here (two metrics of one name) is a bug of this file and ends the process at its start.

mod alerts;
mod feeds;
mod gauges;
pub mod history;
mod kafka;
mod path;
mod venue;

pub use alerts::AlertMetrics;
pub use feeds::{DivergenceMetrics, FeedVenueMetrics};
pub use kafka::{KafkaMetrics, TopicPoint, TopicSample};
pub use path::{Span, Stage};
pub use venue::VenueMetrics;

use crate::models::ledger::{Ledger, RejectReason};
use crate::models::time::{Nanos, SECOND};
use feeds::FeedSeries;
use history::{MetricsHistory, Sample, tidy};
use prometheus::core::Collector;
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use venue::VenueSeries;

/// Upper bounds of the latency buckets in seconds: 50 us to 10 s.
pub const LATENCY_BUCKETS: [f64; 19] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.007_5, 0.01, 0.015, 0.025, 0.05, 0.1,
    0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Counters of one stage.
#[derive(Clone, Debug)]
pub struct StageMetrics {
    /// Entries, effects or frames that came in.
    pub received: IntCounter,
    /// Entries, effects or frames that went out.
    pub sent: IntCounter,
}

/// Counters of one sink.
#[derive(Clone, Debug)]
pub struct SinkMetrics {
    /// Rows that wait.
    pub queue_length: IntGauge,
    /// Rows that were written, but for those refused.
    pub written: IntCounter,
    /// Rows that found no room, or made some.
    pub dropped: IntCounter,
    /// Rows that were let go of, to be brought from the log later.
    pub deferred: IntCounter,
    /// Positions of the log that it is behind, of one that catches up.
    pub behind: IntGauge,
    /// Rows that the backend refused.
    pub refused: IntCounter,
    /// Writes that were tried again.
    pub retries: IntCounter,
    /// Writes that failed and may work when they are tried again.
    pub transient_failures: IntCounter,
    /// Writes that failed and will fail until somebody mends what is wrong.
    pub permanent_failures: IntCounter,
    /// Time that writes take, in seconds.
    pub write_seconds: Histogram,
    /// Its circuit breaker: 0 closed, 1 half open, 2 open.
    pub breaker: IntGauge,
    /// Times the breaker opened.
    pub breaker_opened: IntCounter,
}

impl SinkMetrics {
    /// Counts a write that failed.
    pub fn failed(&self, is_transient: bool) {
        if is_transient { self.transient_failures.inc() } else { self.permanent_failures.inc() }
    }
}

/// Counters of one symbol, or of all symbols beyond the cap together.
#[derive(Clone, Debug)]
pub struct SymbolMetrics {
    /// Ticks accepted for the symbol.
    pub ticks: IntCounter,
    /// Bars published for the symbol.
    pub bars: IntCounter,
}

/// One series of `messages_per_second`.
#[derive(Debug)]
struct SymbolRate {
    name: String,
    metrics: SymbolMetrics,
    rate: Gauge,
    ticks_before: u64,
}

/// The symbols that have series of their own, at most `cap`, and the series that sums the rest.
#[derive(Debug)]
struct SymbolSeries {
    cap: usize,
    places: HashMap<String, usize>,
    rates: Vec<SymbolRate>,
}

/// Series of the sinks, by name.
#[derive(Debug)]
struct SinkSeries {
    queue_length: IntGaugeVec,
    written: IntCounterVec,
    dropped: IntCounterVec,
    deferred: IntCounterVec,
    behind: IntGaugeVec,
    retries: IntCounterVec,
    failures: IntCounterVec,
    write_seconds: HistogramVec,
    breaker: IntGaugeVec,
    breaker_opened: IntCounterVec,
}

/// Label of the symbols beyond the cap.
const OTHER: &str = "other";

/// All metrics of the process.
pub struct Metrics {
    registry: Registry,
    ticks: IntCounterVec,
    bars: IntCounterVec,
    anomalies: IntCounterVec,
    rates: GaugeVec,
    latency: [Histogram; Span::ALL.len()],
    stages: [StageMetrics; Stage::ALL.len()],
    dropped: IntCounterVec,
    sinks: SinkSeries,
    ledger: IntGaugeVec,
    rejected: IntGaugeVec,
    residue: IntGaugeVec,
    restarts: IntCounterVec,
    venues: VenueSeries,
    feeds: FeedSeries,
    symbols: Mutex<SymbolSeries>,
    history: Mutex<MetricsHistory>,
    slow: IntGaugeVec,
    /// Entries that wait to be committed to the log.
    pub log_queue: IntGauge,
    /// Flushes that wait for threads with live clients.
    pub hub_queue: IntGauge,
    /// Live clients.
    pub websocket_connections: IntGauge,
    /// Alerts.
    pub alerts: AlertMetrics,
    /// Topics that are written and read.
    pub kafka: Arc<KafkaMetrics>,
    /// Entries that were received and are lost: 0 unless something is broken.
    pub lost_entries: IntCounter,
    /// Entries set aside because their symbol's actor panicked on them twice.
    pub poison_entries: IntCounter,
    /// Entries that say what is looked for, and cannot be read.
    pub unread_detection: IntCounter,
    /// Times that the highest position could not be written down: a crash meanwhile would lose uncounted entries.
    pub mark_failures: IntCounter,
    /// Bytes that the log takes on disk.
    pub log_size_bytes: IntGauge,
    /// The last position that the log holds durably.
    pub log_position: IntGauge,
    /// Reads that the cache answered.
    pub cache_hits: IntCounter,
    /// Reads that it did not answer: it had nothing, or was not there.
    pub cache_misses: IntCounter,
    /// Symbols whose past is made up by this process, and those of them that have it by now.
    pub past_symbols: IntGauge,
    /// See `past_symbols`.
    pub past_symbols_made: IntGauge,
}

/// Makes a metric and registers it.
macro_rules! registered {
    ($registry:expr, $metric:expr) => {{
        let metric = $metric.expect("the metric is well formed");
        $registry.register(Box::new(metric.clone())).expect("metric names are given once");
        metric
    }};
}

impl Metrics {
    /// Makes all metrics; at most `max_symbols` symbols get series of their own, the rest is summed as `other`.
    ///
    /// # Panics
    /// When two metrics of this file share a name.
    #[must_use]
    pub fn new(max_symbols: usize) -> Metrics {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            registered!(registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            registered!(registry, IntGaugeVec::new(Opts::new(name, help), labels))
        };
        let counter = |name: &str, help: &str| registered!(registry, IntCounter::new(name, help));
        let gauge = |name: &str, help: &str| registered!(registry, IntGauge::new(name, help));

        let latency = registered!(
            registry,
            HistogramVec::new(
                HistogramOpts::new(
                    "processing_latency_seconds",
                    "Time that ticks take, by stretch of the way"
                )
                .buckets(LATENCY_BUCKETS.to_vec()),
                &["component"],
            )
        );
        let received = counters("tickwire_stage_received_total", "What came into a stage", &["stage"]);
        let sent = counters("tickwire_stage_sent_total", "What left a stage", &["stage"]);
        let queue_depth = gauges("tickwire_queue_depth", "What waits in a stage", &["stage"]);
        let sinks = SinkSeries {
            queue_length: gauges("tickwire_sink_queue_length", "Rows that wait for a sink", &["sink"]),
            written: counters("tickwire_sink_written_total", "Rows written", &["sink"]),
            dropped: counters(
                "tickwire_sink_dropped_total",
                "Rows not written: the queue was full, or the backend refused them",
                &["sink", "reason"],
            ),
            deferred: counters(
                "tickwire_sink_deferred_total",
                "Rows let go of, which the log brings later",
                &["sink"],
            ),
            behind: gauges(
                "tickwire_sink_behind_positions",
                "Positions of the log between what a sink holds and what it was to get",
                &["sink"],
            ),
            retries: counters("tickwire_sink_retries_total", "Writes tried again", &["sink"]),
            failures: counters("tickwire_sink_failures_total", "Writes that failed", &["sink", "kind"]),
            write_seconds: registered!(
                registry,
                HistogramVec::new(
                    HistogramOpts::new("tickwire_sink_write_seconds", "Time that writes to a sink take")
                        .buckets(LATENCY_BUCKETS.to_vec()),
                    &["sink"],
                )
            ),
            breaker: gauges(
                "tickwire_sink_breaker_state",
                "Circuit breaker of a sink: 0 closed, 1 half open, 2 open",
                &["sink"],
            ),
            breaker_opened: counters(
                "tickwire_sink_breaker_opened_total",
                "Times a sink's backend was left alone",
                &["sink"],
            ),
        };
        let cache_reads = counters("tickwire_cache_reads_total", "Reads of the cache", &["result"]);
        #[cfg(target_os = "linux")]
        registry
            .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
            .expect("metric names are given once");

        let metrics = Metrics {
            ticks: counters("tick_messages_received_total", "Ticks accepted", &["symbol"]),
            bars: counters("aggregated_messages_received_total", "Bars published", &["symbol"]),
            anomalies: counters("tickwire_anomalies_total", "Anomalies found", &["type", "severity"]),
            rates: registered!(
                registry,
                GaugeVec::new(Opts::new("messages_per_second", "Ticks in the last second"), &["symbol"])
            ),
            latency: Span::ALL.map(|span| latency.with_label_values(&[span.as_str()])),
            stages: Stage::ALL.map(|stage| StageMetrics {
                received: received.with_label_values(&[stage.as_str()]),
                sent: sent.with_label_values(&[stage.as_str()]),
            }),
            log_queue: queue_depth.with_label_values(&[Stage::Log.as_str()]),
            hub_queue: queue_depth.with_label_values(&[Stage::Hub.as_str()]),
            slow: gauges(
                "tickwire_latency_over_threshold",
                "1 while the 99th percentile of the last 10 s is above `metrics.latency_threshold`",
                &["component"],
            ),
            dropped: counters(
                "tickwire_stage_dropped_total",
                "What a stage did not pass on, by reason",
                &["stage", "reason"],
            ),
            sinks,
            ledger: gauges(
                "tickwire_ledger_reports",
                "Reports by source and last known outcome",
                &["source", "fate"],
            ),
            rejected: gauges("tickwire_ledger_rejected", "Rejected reports by reason", &["source", "reason"]),
            residue: gauges("tickwire_ledger_residue", "Reports that no outcome explains", &["source"]),
            restarts: counters("tickwire_actor_restarts_total", "Actors made again", &["actor"]),
            venues: VenueSeries::new(&registry),
            feeds: FeedSeries::new(&registry),
            symbols: Mutex::new(SymbolSeries { cap: max_symbols, places: HashMap::new(), rates: Vec::new() }),
            history: Mutex::default(),
            websocket_connections: gauge("active_websocket_connections", "Live clients"),
            alerts: AlertMetrics::new(&registry),
            kafka: Arc::new(KafkaMetrics::new(
                &registry,
                gauges("kafka_consumer_lag", "Messages a group is behind", &["topic", "group"]),
            )),
            lost_entries: counter("tickwire_lost_entries_total", "Entries received and lost"),
            poison_entries: counter("tickwire_poison_entries_total", "Entries set aside after two panics"),
            unread_detection: counter(
                "tickwire_detection_unread_total",
                "Entries that say what is looked for, and cannot be read",
            ),
            mark_failures: counter(
                "tickwire_position_mark_failures_total",
                "Failed writes of the highest position",
            ),
            log_size_bytes: gauge("tickwire_log_size_bytes", "Bytes the log takes on disk"),
            log_position: gauge("tickwire_log_position", "Last position the log holds durably"),
            cache_hits: cache_reads.with_label_values(&["hit"]),
            cache_misses: cache_reads.with_label_values(&["miss"]),
            past_symbols: gauge("tickwire_past_symbols", "Symbols whose past is made up"),
            past_symbols_made: gauge("tickwire_past_symbols_made", "Those of them that have it by now"),
            registry,
        };
        metrics.symbol(OTHER);
        metrics
    }

    /// Returns the counters of a stage.
    #[must_use]
    pub fn stage(&self, stage: Stage) -> &StageMetrics {
        &self.stages[stage as usize]
    }

    /// Counts an anomaly that was found.
    pub fn anomaly(&self, anomaly_type: &str, severity: &str) {
        self.anomalies.with_label_values(&[anomaly_type, severity]).inc();
    }

    /// Counts what a stage dropped. The reason becomes a label, so it must be one of few words.
    pub fn dropped(&self, stage: Stage, reason: &str, count: u64) {
        self.dropped.with_label_values(&[stage.as_str(), reason]).inc_by(count);
    }

    /// Returns the counters of a sink. Its shell keeps them.
    #[must_use]
    pub fn sink(&self, name: &str) -> SinkMetrics {
        let SinkSeries {
            queue_length,
            written,
            dropped,
            deferred,
            behind,
            retries,
            failures,
            write_seconds,
            breaker,
            breaker_opened,
        } = &self.sinks;
        SinkMetrics {
            queue_length: queue_length.with_label_values(&[name]),
            written: written.with_label_values(&[name]),
            dropped: dropped.with_label_values(&[name, "full"]),
            refused: dropped.with_label_values(&[name, "refused"]),
            deferred: deferred.with_label_values(&[name]),
            behind: behind.with_label_values(&[name]),
            retries: retries.with_label_values(&[name]),
            transient_failures: failures.with_label_values(&[name, "transient"]),
            permanent_failures: failures.with_label_values(&[name, "permanent"]),
            write_seconds: write_seconds.with_label_values(&[name]),
            breaker: breaker.with_label_values(&[name]),
            breaker_opened: breaker_opened.with_label_values(&[name]),
        }
    }

    /// Returns the histogram of a span, in seconds. To time many ticks, use its `local()` and flush that per batch.
    #[must_use]
    pub fn latency(&self, span: Span) -> &Histogram {
        &self.latency[span as usize]
    }

    /// Records one interval; an unknown start ([`Nanos::MIN`]) is left out, and a start in the future counts as zero.
    pub fn observe(&self, span: Span, from: Nanos, to: Nanos) {
        if from != Nanos::MIN {
            self.latency(span).observe(to.since(from).max(0) as f64 / SECOND as f64);
        }
    }

    /// Returns the counters of a symbol: its own, or those of `other` once the cap is reached. Its actor keeps them.
    pub fn symbol(&self, name: &str) -> SymbolMetrics {
        let mut symbols = self.symbols.lock().unwrap_or_else(PoisonError::into_inner);
        // `other` always stands at place 0, beside the capped ones.
        let is_full = symbols.rates.len() > symbols.cap;
        let known = symbols.places.get(name).copied().or(if is_full { Some(0) } else { None });
        if let Some(at) = known {
            return symbols.rates[at].metrics.clone();
        }
        let metrics = SymbolMetrics {
            ticks: self.ticks.with_label_values(&[name]),
            bars: self.bars.with_label_values(&[name]),
        };
        let at = symbols.rates.len();
        symbols.places.insert(name.to_owned(), at);
        symbols.rates.push(SymbolRate {
            name: name.to_owned(),
            metrics: metrics.clone(),
            rate: self.rates.with_label_values(&[name]),
            ticks_before: 0,
        });
        metrics
    }

    /// Sets the gauges of a source's reports by outcome.
    pub fn set_ledger(&self, source: &str, ledger: &Ledger) {
        let as_gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        for (outcome, count) in outcomes(ledger) {
            self.ledger.with_label_values(&[source, outcome]).set(as_gauge(count));
        }
        for (reason, count) in RejectReason::ALL.into_iter().zip(ledger.rejected) {
            self.rejected.with_label_values(&[source, reason.as_str()]).set(as_gauge(count));
        }
        self.residue.with_label_values(&[source]).set(ledger.residue());
    }

    /// Returns the counters of a live venue.
    #[must_use]
    pub fn venue(&self, name: &str) -> VenueMetrics {
        self.venues.of(name)
    }

    /// Returns the series of a venue of a feed.
    #[must_use]
    pub fn feed(&self, feed: &str, venue: &str) -> FeedVenueMetrics {
        self.feeds.of(feed, venue)
    }

    /// Returns the series of a venue that is compared with the one in charge of a feed.
    #[must_use]
    pub fn divergence(&self, feed: &str, venue: &str) -> DivergenceMetrics {
        self.feeds.divergence(feed, venue)
    }

    /// Returns the gaps that are yet to be filled, by venue.
    #[must_use]
    pub fn gaps_open(&self) -> Vec<(String, f64)> {
        self.venues.gaps_open()
    }

    /// Returns how far this machine's clock is ahead of each venue's, in seconds.
    #[must_use]
    pub fn clock_offsets(&self) -> Vec<(String, f64)> {
        self.venues.clock_offsets()
    }

    /// Returns how far each venue that is compared is from the one in charge, in basis points of the price; the name is
    /// `feed/venue`.
    #[must_use]
    pub fn price_divergences(&self) -> Vec<(String, f64)> {
        self.feeds.price_divergences()
    }

    /// Counts a restart of an actor, by its kind.
    pub fn restarted(&self, actor: &str) {
        self.restarts.with_label_values(&[actor]).inc();
    }

    /// Takes the sample of this second: feeds `messages_per_second` and the metrics that REST serves.
    /// To be called once per second.
    pub fn sample(&self, now: Nanos) {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = history.newest().map(|before| now.since(before).max(1) as f64 / SECOND as f64);
        let mut sample = Sample { time: now, ticks: 0, bars: 0, latency: [[0; _]; _] };
        let mut symbols = self.symbols.lock().unwrap_or_else(PoisonError::into_inner);
        for series in &mut symbols.rates {
            let ticks = series.metrics.ticks.get();
            sample.ticks += ticks;
            sample.bars += series.metrics.bars.get();
            if let Some(elapsed) = elapsed {
                series.rate.set(tidy((ticks - series.ticks_before) as f64 / elapsed));
            }
            series.ticks_before = ticks;
        }
        drop(symbols);
        for (counts, histogram) in sample.latency.iter_mut().zip(&self.latency) {
            *counts = cumulative_counts(histogram);
        }
        history.push(sample);
    }

    /// Says of each span that was timed lately whether its 99th percentile is above `threshold`. To be called after
    /// [`Metrics::sample`].
    pub fn judge_latency(&self, threshold: Duration) {
        let slowest = self.with_history(MetricsHistory::latest_p99_ms);
        for (span, millis) in Span::ALL.into_iter().zip(slowest) {
            let is_over = millis.is_some_and(|millis| millis > threshold.as_secs_f64() * 1_000.0);
            self.slow.with_label_values(&[span.as_str()]).set(i64::from(is_over));
        }
    }

    /// Runs a reader over the samples kept.
    pub fn with_history<T>(&self, read: impl FnOnce(&MetricsHistory) -> T) -> T {
        read(&self.history.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns ticks in the last second by symbol, for the symbols that have series and for `other`.
    #[must_use]
    pub fn symbol_rates(&self) -> Vec<(String, f64)> {
        let symbols = self.symbols.lock().unwrap_or_else(PoisonError::into_inner);
        symbols.rates.iter().map(|series| (series.name.clone(), series.rate.get())).collect()
    }

    /// Returns everything in Prometheus' text format.
    ///
    /// # Panics
    /// Never: all metrics here have names and values that the format can hold.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text).expect("metrics are well formed");
        String::from_utf8(text).expect("the text format is UTF-8")
    }
}

/// Returns the outcomes of a ledger by the names that answers and labels use.
#[must_use]
pub fn outcomes(ledger: &Ledger) -> [(&'static str, u64); 7] {
    [
        ("received", ledger.received),
        ("in_bars", ledger.in_bars),
        ("filtered", ledger.filtered),
        ("late", ledger.late),
        ("duplicate", ledger.duplicate),
        ("rejected", ledger.num_rejected()),
        ("cancelled", ledger.cancelled),
    ]
}

/// Reads a histogram's cumulative counts; the last one counts everything.
fn cumulative_counts(histogram: &Histogram) -> [u64; LATENCY_BUCKETS.len() + 1] {
    let mut counts = [0; LATENCY_BUCKETS.len() + 1];
    let families = histogram.collect();
    let Some(read) = families.first().and_then(|family| family.get_metric().first()) else { return counts };
    let read = read.get_histogram();
    for (count, bucket) in counts.iter_mut().zip(read.get_bucket()) {
        *count = bucket.cumulative_count();
    }
    counts[LATENCY_BUCKETS.len()] = read.get_sample_count();
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kept_name_is_there_from_the_start_or_once_used() {
        let metrics = Metrics::new(2);
        let sample =
            TopicSample { topic: "tick_data".to_owned(), lags: vec![(0, 4)], ..TopicSample::default() };
        metrics.kafka.consumed(Nanos(0), "process", &[sample]);
        metrics.observe(Span::ReceivedToBar, Nanos(0), Nanos(1_000_000));
        let text = metrics.encode();
        for name in [
            "tick_messages_received_total",
            "aggregated_messages_received_total",
            "processing_latency_seconds_bucket",
            "active_websocket_connections",
            "messages_per_second",
            "kafka_consumer_lag",
            "tickwire_stage_received_total",
            "tickwire_lost_entries_total",
        ] {
            assert!(text.contains(name), "{name} is missing");
        }
        let bucket =
            "processing_latency_seconds_bucket{component=\"received_to_bar\",le=\"0.001\"} 1".to_owned();
        assert!(text.contains(&bucket), "a millisecond falls into its bucket");
    }

    #[test]
    fn symbols_beyond_the_cap_share_a_series() {
        let metrics = Metrics::new(2);
        for (name, count) in [("A", 1), ("B", 2), ("C", 3), ("D", 4), ("A", 5)] {
            metrics.symbol(name).ticks.inc_by(count);
        }
        let text = metrics.encode();
        for (name, count) in [("A", 6), ("B", 2), ("other", 7)] {
            let line = format!("tick_messages_received_total{{symbol=\"{name}\"}} {count}");
            assert!(text.contains(&line), "{line}");
        }
        assert!(!text.contains("symbol=\"C\""));
    }

    #[test]
    fn a_sample_turns_counts_into_rates() {
        let metrics = Metrics::new(2);
        let symbol = metrics.symbol("A");
        symbol.ticks.inc_by(100);
        metrics.sample(Nanos(0));
        symbol.ticks.inc_by(50);
        metrics.sample(Nanos(2 * SECOND));
        let rates = metrics.symbol_rates();
        assert!(rates.contains(&("A".to_owned(), 25.0)), "{rates:?}");
    }

    #[test]
    fn a_span_is_over_the_threshold_while_its_slow_ticks_are_recent() {
        let metrics = Metrics::new(1);
        let threshold = Duration::from_millis(100);
        let is_over = |component: &str| {
            let series = format!("tickwire_latency_over_threshold{{component=\"{component}\"}} ");
            let text = metrics.encode();
            let value = text.lines().find_map(|line| line.strip_prefix(&series));
            value.expect("the series is there") == "1"
        };
        let mut now = 0;
        let mut second = |slow: bool| {
            let took = if slow { 200_000_000 } else { 1_000_000 };
            metrics.observe(Span::ReceivedToBar, Nanos(0), Nanos(took));
            metrics.sample(Nanos(now * SECOND));
            metrics.judge_latency(threshold);
            now += 1;
            (is_over("received_to_bar"), is_over("received_to_sent"))
        };
        second(false);
        assert_eq!(second(false), (false, false));
        assert_eq!(second(true), (true, false));
        let after: Vec<bool> = (0..12).map(|_| second(false).0).collect();
        assert!(after[0] && !after[11], "{after:?}");
    }

    #[test]
    fn a_ledger_shows_by_source_and_outcome() {
        let metrics = Metrics::new(1);
        let mut ledger = Ledger { received: 3, in_bars: 1, ..Ledger::default() };
        ledger.reject(RejectReason::BadPrice);
        metrics.set_ledger("simulated", &ledger);
        let text = metrics.encode();
        for line in [
            "tickwire_ledger_reports{fate=\"in_bars\",source=\"simulated\"} 1",
            "tickwire_ledger_rejected{reason=\"bad_price\",source=\"simulated\"} 1",
            "tickwire_ledger_residue{source=\"simulated\"} 1",
        ] {
            assert!(text.contains(line), "{line}");
        }
    }
}
