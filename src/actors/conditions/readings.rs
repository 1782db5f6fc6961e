//! Reads what conditions are judged by.
//!
//! Promises: a round over 10,000 symbols takes about a millisecond and holds up nobody. Nothing here fails; what is not known is
//! not read.

use crate::actors::health::{Health, HealthRegistry};
use crate::actors::snapshots::SymbolSnapshots;
use crate::actors::source_clocks::SourceClocks;
use crate::metrics::history::MetricsHistory;
use crate::metrics::{Metrics, Span};
use crate::models::conditions::{ConditionKind, ConditionSettings, Reading};
use crate::models::entry::SourceId;
use crate::models::feed::AgeLimits;
use crate::models::settings::CoreSettings;
use crate::models::time::{Nanos, SECOND};
use crate::names::SourceTable;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Components whose health says how a sink does.
const SINKS: [&str; 4] = ["history", "kafka", "influxdb", "redis"];

/// Stages of the data path. The way from the venue is not ours, and a history that gathers rows for half a second is no
/// slower than it is meant to be: `sink_behind` looks at it.
const SPANS: [Span; 5] = [
    Span::ReceivedToLogged,
    Span::ReceivedToBar,
    Span::ReceivedToCommitted,
    Span::ReceivedToSent,
    Span::ReceivedToBarSent,
];

/// Where it is read.
pub struct Observed {
    /// Latencies, gaps, clocks and divergences.
    pub metrics: Arc<Metrics>,
    /// The sinks.
    pub health: Arc<HealthRegistry>,
    /// The symbols' ledgers and last trades.
    pub snapshots: Arc<SymbolSnapshots>,
    /// When sources were heard.
    pub clocks: Arc<SourceClocks>,
    /// Their names.
    pub sources: Arc<SourceTable>,
    /// By how much watermarks are behind.
    pub core: Arc<CoreSettings>,
}

/// Reads what is looked for.
pub struct Readings {
    observed: Observed,
    settings: ConditionSettings,
    /// Since when sinks do not do their work.
    failing: BTreeMap<&'static str, Nanos>,
}

/// What is known of a source from its symbols.
struct Heard {
    /// When it was heard last.
    last: Nanos,
    limits: AgeLimits,
}

impl Readings {
    /// Makes a reader.
    #[must_use]
    pub const fn new(observed: Observed, settings: ConditionSettings) -> Readings {
        Readings { observed, settings, failing: BTreeMap::new() }
    }

    /// Returns what it looks for.
    #[must_use]
    pub const fn settings(&self) -> &ConditionSettings {
        &self.settings
    }

    /// Reads everything once.
    pub fn read(&mut self, now: Nanos) -> Vec<Reading> {
        let mut readings = Vec::new();
        if let Some(threshold) = self.settings.high_latency {
            readings.extend(self.latencies(threshold));
        }
        if let Some(threshold) = self.settings.sink_behind {
            readings.extend(self.sinks(threshold, now));
        }
        let metrics = &self.observed.metrics;
        let of = |kind: ConditionKind, threshold: f64| {
            move |(subject, value): (String, f64)| Reading { kind, subject, value: value.abs(), threshold }
        };
        if self.settings.gap {
            readings.extend(metrics.gaps_open().into_iter().map(of(ConditionKind::Gap, 0.0)));
        }
        if let Some(threshold) = self.settings.venue_divergence {
            let divergences = metrics.price_divergences().into_iter();
            readings.extend(divergences.map(of(ConditionKind::VenueDivergence, threshold)));
        }
        if let Some(threshold) = self.settings.clock_off {
            let offsets = metrics.clock_offsets().into_iter();
            readings.extend(offsets.map(of(ConditionKind::ClockOff, threshold)));
        }
        if self.settings.stale_feed || self.settings.ledger_residue {
            readings.extend(self.symbols(now));
        }
        readings
    }

    /// Reads the 99th percentiles. A stage in which nothing was timed lately has none.
    fn latencies(&self, threshold: f64) -> impl Iterator<Item = Reading> {
        let latest = self.observed.metrics.with_history(MetricsHistory::latest_p99_ms);
        SPANS.into_iter().filter_map(move |span| {
            let subject = span.as_str().to_owned();
            latest[span as usize].map(|value| Reading {
                kind: ConditionKind::HighLatency,
                subject,
                value,
                threshold,
            })
        })
    }

    fn sinks(&mut self, threshold: f64, now: Nanos) -> Vec<Reading> {
        let components = self.observed.health.components();
        let mut readings = Vec::new();
        for sink in SINKS {
            let Some((_, health)) = components.iter().find(|(name, _)| name == sink) else { continue };
            let value = match health.status {
                Health::Disabled => continue,
                Health::Healthy => {
                    self.failing.remove(sink);
                    0.0
                }
                Health::Degraded | Health::Unhealthy => {
                    let since = *self.failing.entry(sink).or_insert(now);
                    let value = seconds(now.since(since));
                    // It has not recovered, and whether it has failed for long nobody knows after a restart.
                    if value <= threshold {
                        continue;
                    }
                    value
                }
            };
            let subject = sink.to_owned();
            readings.push(Reading { kind: ConditionKind::SinkBehind, subject, value, threshold });
        }
        readings
    }

    /// Reads when sources were heard, by the symbols that follow them, and what ledgers do not explain.
    fn symbols(&self, now: Nanos) -> Vec<Reading> {
        let Observed { snapshots, clocks, core, sources, .. } = &self.observed;
        let mut heard: BTreeMap<SourceId, Heard> = BTreeMap::new();
        let mut residues: BTreeMap<SourceId, i64> = BTreeMap::new();
        for snapshot in snapshots.all() {
            for (source, ledger) in &*snapshot.ledgers {
                *residues.entry(*source).or_default() += ledger.residue();
            }
            let limits = clocks.limits_of(snapshot.symbol, snapshot.source);
            let Some(last) = snapshot.last.as_ref().filter(|_| limits != AgeLimits::UNFOLLOWED) else {
                continue;
            };
            let clock = snapshot.known_until(clocks.get(snapshot.source), core.lateness);
            // A time that lies ahead says nothing of when it was heard.
            let time = [clock, last.ts].into_iter().filter(|time| *time <= now).max();
            let time = time.unwrap_or_else(|| last.received.min(now));
            let known = heard.entry(snapshot.source).or_insert(Heard { last: time, limits });
            known.last = known.last.max(time);
        }
        let name = |source: SourceId| sources.name(source);
        let mut readings = Vec::new();
        if self.settings.stale_feed {
            readings.extend(heard.into_iter().map(|(source, Heard { last, limits })| Reading {
                kind: ConditionKind::StaleFeed,
                subject: name(source),
                value: seconds(now.since(last)),
                threshold: seconds(limits.stale),
            }));
        }
        if self.settings.ledger_residue {
            readings.extend(residues.into_iter().map(|(source, residue)| Reading {
                kind: ConditionKind::LedgerResidue,
                subject: name(source),
                value: residue.unsigned_abs() as f64,
                threshold: 0.0,
            }));
        }
        readings
    }
}

fn seconds(nanos: i64) -> f64 {
    nanos.max(0) as f64 / SECOND as f64
}
