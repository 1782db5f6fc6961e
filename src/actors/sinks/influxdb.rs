//! The store of metrics as a sink: accepted trades, bars, indicators, and the latencies and topics of this process as points
//! in InfluxDB.
//!
//! Transient failure: tried again with growing pauses, or as long as the server asks; meanwhile the oldest rows make room.
//! Permanent failure: said, and tried again at the longest pause.
//! Repeats: a point that is written again takes its own place, so they change nothing.
//! Rows that are refused: a line that cannot be read is found, and is a dead letter; points that are older than the bucket's
//! retention, or whose fields have another type there, are left out by the server for good. These are counted and said once;
//! they are no dead letters, since the history has them.
//!
//! What the server has is found out with the first write (see [`setup`]), and again where the bucket is gone.

use super::{Delivery, Sink, SinkBatch, SinkError, SinkSpec, Wants};
use crate::actors::guard::ActorKind;
use crate::metrics::history::MetricsHistory;
use crate::metrics::{Metrics, SinkMetrics};
use crate::models::effect::Effect;
use crate::models::entry::Position;
use crate::models::symbol::SymbolId;
use crate::models::time::{Nanos, SECOND};
use crate::names::SymbolTable;
use crate::stores::influxdb::answer::{InfluxError, LeftOut};
use crate::stores::influxdb::client::InfluxClient;
use crate::stores::influxdb::line::{Lines, SymbolTag};
use crate::stores::influxdb::setup::{self, Features, Wanted};
use crate::stores::log::Partition;
use async_trait::async_trait;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often the server is asked whether it is there when there is nothing to write.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// How often latencies are written.
const LATENCY_INTERVAL: i64 = 10 * SECOND;

/// Endings of the names that latencies have in this process, and their fields.
const LATENCY_FIELDS: [(&str, &str); 2] = [("_p50_ms", "latency_ms"), ("_p99_ms", "latency_p99_ms")];

/// How far back topics are looked at again: their values are some seconds old, and one that is written again changes nothing.
const TOPICS_REACH: i64 = 2 * LATENCY_INTERVAL;

/// Returns the field of a value of a topic, of those that are written.
fn topic_field(name: &str) -> Option<&'static str> {
    match name {
        "produced_messages_per_second" | "consumed_messages_per_second" => Some("messages_per_sec"),
        "lag" => Some("lag"),
        _ => None,
    }
}

/// Writes points.
pub struct InfluxSink {
    name: &'static str,
    client: InfluxClient,
    wanted: Wanted,
    symbols: Arc<SymbolTable>,
    all_metrics: Arc<Metrics>,
    metrics: SinkMetrics,
    now: Arc<dyn Fn() -> Nanos + Send + Sync>,
    /// What the server has is known.
    is_prepared: AtomicBool,
    /// What was said of it.
    said: Mutex<Option<Features>>,
    /// Points that were left out have been said since the last write without any.
    has_said_left_out: AtomicBool,
    /// Latencies are written up to here, in nanoseconds since the epoch.
    latency_through: AtomicI64,
}

impl InfluxSink {
    /// Makes the sink, under the name that health and metrics show.
    #[must_use]
    pub fn new(
        name: &'static str,
        client: InfluxClient,
        wanted: Wanted,
        symbols: Arc<SymbolTable>,
        all_metrics: Arc<Metrics>,
        now: Arc<dyn Fn() -> Nanos + Send + Sync>,
    ) -> InfluxSink {
        let begun = now();
        InfluxSink {
            name,
            client,
            wanted,
            symbols,
            metrics: all_metrics.sink(name),
            all_metrics,
            now,
            is_prepared: AtomicBool::new(false),
            said: Mutex::default(),
            has_said_left_out: AtomicBool::new(false),
            latency_through: AtomicI64::new(begun.0),
        }
    }

    async fn prepare(&self) -> Result<(), SinkError> {
        if self.is_prepared.load(Ordering::Acquire) {
            return Ok(());
        }
        let failed = |error| self.error("failed to look what InfluxDB has", error, &[]);
        self.say(setup::prepare(&self.client, &self.wanted).await.map_err(failed)?);
        self.is_prepared.store(true, Ordering::Release);
        Ok(())
    }

    /// Says what the server has, unless it was so the last time.
    fn say(&self, features: Features) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.as_ref() == Some(&features) {
            return;
        }
        let Features { server, present, missing } = &features;
        let present =
            if present.is_empty() { "nothing besides writing".to_owned() } else { present.join("; ") };
        tracing::info!(server, has = present, "metrics go to {}", self.name);
        for missing in missing {
            tracing::warn!(server, "{}: {missing}; points are written all the same", self.name);
        }
        *said = Some(features);
    }

    /// Returns the points of a batch, and the row of each.
    fn points(&self, batch: &SinkBatch) -> (Lines, Vec<usize>) {
        let mut tags = Tags { symbols: &self.symbols, known: HashMap::new() };
        let (mut lines, mut rows) = (Lines::default(), Vec::with_capacity(batch.num_rows()));
        let effects = batch.effects.iter().flat_map(|part| part.iter());
        for (row, effect) in effects.enumerate() {
            let is_point = match effect {
                Effect::Bar(bar) => {
                    lines.bar(tags.of(bar.symbol), bar);
                    true
                }
                Effect::Indicators(point) => lines.indicators(tags.of(point.symbol), point),
                Effect::Anomaly(detected) => {
                    let spec = self.symbols.spec(detected.symbol);
                    lines.anomaly(tags.of(detected.symbol), &spec, detected);
                    true
                }
                Effect::DeadLetter(_) | Effect::Sealed(_) => false,
            };
            if is_point {
                rows.push(row);
            }
        }
        let num_effects: usize = batch.effects.iter().map(|part| part.len()).sum();
        let ticks = batch.ticks.iter().flat_map(|part| part.iter());
        for (row, tick) in ticks.enumerate() {
            lines.tick(tags.of(tick.symbol), tick.ts, tick.seq, tick.price, tick.size);
            rows.push(num_effects + row);
        }
        (lines, rows)
    }

    /// Returns the latencies that have not been written, with the values of topics, and up to when they are; nothing before there
    /// are enough.
    fn latencies(&self) -> Option<(Lines, Nanos)> {
        let through = Nanos(self.latency_through.load(Ordering::Acquire));
        if (self.now)().since(through) < LATENCY_INTERVAL {
            return None;
        }
        let read = |history: &MetricsHistory| (history.latency(through), history.newest());
        let (points, newest) = self.all_metrics.with_history(read);
        let mut lines = Lines::default();
        for point in points {
            let named =
                LATENCY_FIELDS.iter().find_map(|(end, field)| Some((point.field.strip_suffix(end)?, field)));
            if let Some((component, field)) = named {
                lines.latency(component, field, point.value, point.time);
            }
        }
        for point in self.all_metrics.kafka.since(through.plus(-TOPICS_REACH)) {
            if let Some(field) = topic_field(&point.field) {
                lines.topic(&point.topic, field, point.value, point.time);
            }
        }
        Some((lines, newest.filter(|newest| *newest > through)?))
    }

    /// Writes latencies and values of topics. What the server refuses of them is said, and nothing waits for it.
    async fn write_latencies(&self) -> Result<(), SinkError> {
        let Some((lines, through)) = self.latencies() else { return Ok(()) };
        if !lines.is_empty() {
            match self.client.write(&lines).await {
                Ok(left_out) => self.note(left_out),
                Err(InfluxError::Lines { cause, .. }) => {
                    tracing::warn!(cause, "{} does not take latencies", self.name);
                }
                Err(error) => return Err(self.error("failed to write latencies to InfluxDB", error, &[])),
            }
        }
        self.latency_through.store(through.0, Ordering::Release);
        Ok(())
    }

    /// Counts what the server has left out, and says it unless it has been said.
    fn note(&self, left_out: Option<LeftOut>) {
        let Some(LeftOut { num_points, cause }) = left_out else {
            self.has_said_left_out.store(false, Ordering::Relaxed);
            return;
        };
        self.metrics.refused.inc_by(num_points);
        if !self.has_said_left_out.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                num_points,
                cause,
                "{} leaves points out; they are counted, the rest is written",
                self.name
            );
        }
    }

    /// Returns what an error means for a batch whose points are of these rows.
    fn error(&self, context: &'static str, error: InfluxError, rows: &[usize]) -> SinkError {
        match error {
            InfluxError::Transient { cause, pause } => SinkError::Transient { context, cause, pause },
            InfluxError::Permanent { cause } => SinkError::Permanent { context, cause },
            InfluxError::NoBucket { cause } => {
                // It is made with the next try, where that is wanted and permitted.
                self.is_prepared.store(false, Ordering::Release);
                SinkError::Permanent { context, cause }
            }
            InfluxError::Lines { cause, lines } => {
                let rows = lines.iter().filter_map(|line| rows.get(*line)).copied().collect();
                SinkError::Rows { context, cause, rows }
            }
        }
    }
}

/// The symbols of a batch, each looked up once.
struct Tags<'a> {
    symbols: &'a SymbolTable,
    known: HashMap<SymbolId, SymbolTag>,
}

impl Tags<'_> {
    fn of(&mut self, symbol: SymbolId) -> &SymbolTag {
        self.known.entry(symbol).or_insert_with(|| SymbolTag::of(&self.symbols.spec(symbol)))
    }
}

#[async_trait]
impl Sink for InfluxSink {
    fn spec(&self) -> SinkSpec {
        SinkSpec {
            name: self.name,
            kind: ActorKind::MetricsStore,
            stage: None,
            wants: Wants { ticks: true, reports: false, effects: true },
            delivery: Delivery::BestEffort,
            waits_for_log: false,
            hurries_log: false,
            keeps_dead_letters: false,
            repair_advice: "check `influxdb.url`, `org`, `bucket`, and the token and its permissions",
            checked_every: Some(CHECK_INTERVAL),
        }
    }

    /// Nobody relies on what it holds.
    async fn acknowledged(&self, _: Partition) -> Result<Position, SinkError> {
        Ok(0)
    }

    async fn write(&self, batch: &SinkBatch) -> Result<(), SinkError> {
        const CONTEXT: &str = "failed to write to InfluxDB";
        self.prepare().await?;
        let (lines, rows) = self.points(batch);
        if lines.is_empty() {
            let reply = self.client.get("ping", &[]).await;
            let reply = reply.map_err(|error| self.error(CONTEXT, error, &rows))?;
            if !reply.is_success() {
                return Err(self.error(CONTEXT, reply.error(), &rows));
            }
        } else {
            let left_out = self.client.write(&lines).await;
            self.note(left_out.map_err(|error| self.error(CONTEXT, error, &rows))?);
        }
        self.write_latencies().await
    }
}
