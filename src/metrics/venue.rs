//! What is counted about live venues, by venue.

use super::gauges::by_labels;
use prometheus::{Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// Series of every venue.
pub(super) struct VenueSeries {
    frames: IntCounterVec,
    entries: IntCounterVec,
    ignored: IntCounterVec,
    rounded: IntCounterVec,
    unknown_conditions: IntCounterVec,
    unconfirmed_conditions: IntCounterVec,
    repeats: IntCounterVec,
    faults: IntCounterVec,
    connects: IntCounterVec,
    failures: IntCounterVec,
    breaker_opened: IntCounterVec,
    refusals: IntCounterVec,
    replaced: IntCounterVec,
    holes: IntCounterVec,
    given_up: IntCounterVec,
    backfilled: IntCounterVec,
    requests: IntCounterVec,
    connections: IntGaugeVec,
    gaps_open: IntGaugeVec,
    backfill_jobs: IntGaugeVec,
    left_out: IntGaugeVec,
    clock_offset: GaugeVec,
}

impl VenueSeries {
    /// Makes the series.
    pub fn new(registry: &Registry) -> VenueSeries {
        let register = |name: &str, help: &str, labels: &[&str]| {
            let vec = IntCounterVec::new(Opts::new(name, help), labels).expect("the metric is well formed");
            registry.register(Box::new(vec.clone())).expect("metric names are given once");
            vec
        };
        let counter = |name: &str, help: &str| register(name, help, &["venue"]);
        let gauge = |name: &str, help: &str| {
            let vec = IntGaugeVec::new(Opts::new(name, help), &["venue"]).expect("the metric is well formed");
            registry.register(Box::new(vec.clone())).expect("metric names are given once");
            vec
        };
        let clock_offset = Opts::new(
            "tickwire_venue_clock_offset_seconds",
            "How far this machine's clock is ahead of the venue's, with the way of a message",
        );
        let clock_offset = GaugeVec::new(clock_offset, &["venue"]).expect("the metric is well formed");
        registry.register(Box::new(clock_offset.clone())).expect("metric names are given once");
        VenueSeries {
            frames: counter("tickwire_venue_frames_total", "Frames received"),
            entries: counter("tickwire_venue_entries_total", "Reports received over the stream"),
            ignored: counter("tickwire_venue_ignored_frames_total", "Frames that are none of ours"),
            rounded: counter("tickwire_venue_rounded_total", "Numbers finer than their symbol's scale"),
            unknown_conditions: counter(
                "tickwire_venue_unknown_conditions_total",
                "Trades with a sale condition that the table lacks",
            ),
            unconfirmed_conditions: counter(
                "tickwire_venue_unconfirmed_conditions_total",
                "Trades with a sale condition whose rule no source confirms",
            ),
            repeats: counter("tickwire_venue_repeats_total", "Trades whose id came before"),
            faults: register(
                "tickwire_venue_faults_total",
                "Frames that could not be read",
                &["venue", "kind"],
            ),
            connects: counter("tickwire_venue_connects_total", "Connections made"),
            failures: counter("tickwire_venue_failures_total", "Connections lost or not made"),
            breaker_opened: counter("tickwire_venue_breaker_opened_total", "Times the venue was left alone"),
            refusals: counter("tickwire_venue_refusals_total", "Connections that the venue refused"),
            replaced: counter("tickwire_venue_replaced_total", "Connections replaced before they ended"),
            holes: counter("tickwire_venue_holes_total", "Holes in what the venue sent"),
            given_up: counter("tickwire_venue_holes_given_up_total", "Holes that could not be filled"),
            backfilled: counter("tickwire_venue_backfilled_total", "Trades fetched over REST"),
            requests: counter("tickwire_venue_requests_total", "REST requests"),
            connections: gauge("tickwire_venue_connections", "Open connections to a venue"),
            gaps_open: gauge("tickwire_venue_gaps_open", "Gaps that are yet to be filled"),
            backfill_jobs: gauge("tickwire_venue_backfill_jobs", "Holes that are yet to be filled"),
            left_out: gauge("tickwire_venue_symbols_left_out", "Symbols that the venue refuses"),
            clock_offset,
        }
    }

    /// Returns the gaps that are yet to be filled, by venue.
    pub fn gaps_open(&self) -> Vec<(String, f64)> {
        by_labels(&self.gaps_open)
    }

    /// Returns how far this machine's clock is ahead, in seconds, by venue.
    pub fn clock_offsets(&self) -> Vec<(String, f64)> {
        by_labels(&self.clock_offset)
    }

    /// Returns the series of one venue.
    pub fn of(&self, venue: &str) -> VenueMetrics {
        let of = |vec: &IntCounterVec| vec.with_label_values(&[venue]);
        VenueMetrics {
            frames: of(&self.frames),
            entries: of(&self.entries),
            ignored: of(&self.ignored),
            rounded: of(&self.rounded),
            unknown_conditions: of(&self.unknown_conditions),
            unconfirmed_conditions: of(&self.unconfirmed_conditions),
            repeats: of(&self.repeats),
            connects: of(&self.connects),
            failures: of(&self.failures),
            breaker_opened: of(&self.breaker_opened),
            refusals: of(&self.refusals),
            replaced: of(&self.replaced),
            holes: of(&self.holes),
            given_up: of(&self.given_up),
            backfilled: of(&self.backfilled),
            requests: of(&self.requests),
            connections: self.connections.with_label_values(&[venue]),
            gaps_open: self.gaps_open.with_label_values(&[venue]),
            backfill_jobs: self.backfill_jobs.with_label_values(&[venue]),
            left_out: self.left_out.with_label_values(&[venue]),
            clock_offset: self.clock_offset.with_label_values(&[venue]),
            faults: self.faults.clone(),
            venue: venue.to_owned(),
        }
    }
}

/// Counters of one venue.
#[derive(Clone, Debug)]
pub struct VenueMetrics {
    /// Frames received.
    pub frames: IntCounter,
    /// Reports received over the stream.
    pub entries: IntCounter,
    /// Frames that are none of ours.
    pub ignored: IntCounter,
    /// Numbers with more decimals than their symbol's scale.
    pub rounded: IntCounter,
    /// Trades with a sale condition that the table lacks.
    pub unknown_conditions: IntCounter,
    /// Trades with a sale condition whose rule no source confirms.
    pub unconfirmed_conditions: IntCounter,
    /// Trades whose id came before.
    pub repeats: IntCounter,
    /// Connections made.
    pub connects: IntCounter,
    /// Connections lost or not made.
    pub failures: IntCounter,
    /// Times that the venue was left alone after failures in a row.
    pub breaker_opened: IntCounter,
    /// Times that the venue refused a connection: its key, its plan, one connection too many.
    pub refusals: IntCounter,
    /// Connections that another one took the place of before the venue ended them.
    pub replaced: IntCounter,
    /// Holes in what the venue sent: ids that did not come, and times without a connection.
    pub holes: IntCounter,
    /// Holes that could not be filled.
    pub given_up: IntCounter,
    /// Trades fetched over REST.
    pub backfilled: IntCounter,
    /// REST requests.
    pub requests: IntCounter,
    /// Open connections.
    pub connections: IntGauge,
    /// Gaps that are yet to be filled, those that were given up left out.
    pub gaps_open: IntGauge,
    /// Holes of symbols that are yet to be filled.
    pub backfill_jobs: IntGauge,
    /// Symbols that the venue refuses.
    pub left_out: IntGauge,
    /// How far our clock is ahead of the venue's, in seconds, with the way that a message takes.
    pub clock_offset: Gauge,
    faults: IntCounterVec,
    venue: String,
}

impl VenueMetrics {
    /// Counts a frame, or a part of one, that could not be read. The kind is one of few words: it becomes a label.
    pub fn fault(&self, kind: &str) {
        self.faults.with_label_values(&[self.venue.as_str(), kind]).inc();
    }
}
