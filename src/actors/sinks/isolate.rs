//! Writes a batch, and finds the rows in it that the backend refuses, so that the others get through.
//!
//! Promises: every row is written or returned as a dead letter with what the backend said, in order; the batch is
//! acknowledged last, together with the dead letters where the sink keeps them. A row that is refused costs one more
//! write where the backend names it, else about twice the logarithm of the batch.
//! On failure of the whole backend: the error comes back, and the batch is written again from its beginning.

use super::{Sink, SinkBatch, SinkError};
use crate::actors::messages::LiveTick;
use crate::models::effect::{Effect, SealedBar};
use crate::models::entry::Position;
use crate::models::ledger::REFUSED;
use crate::models::report::AcceptedReport;
use crate::models::time::Nanos;
use crate::names::SymbolTable;
use crate::stores::history::DeadLetterRecord;
use crate::stores::log::Partition;
use crate::wire::{self, AnomalyObject, BarObject, IndicatorsObject, TickObject, Time};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A row by itself.
#[derive(Clone)]
enum SinkRow {
    Effect(Effect),
    Tick(LiveTick),
    Report(AcceptedReport),
    DeadLetter(DeadLetterRecord),
}

/// A row that the backend refused, and why.
struct Refused {
    row: SinkRow,
    cause: String,
}

/// What came of a batch.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Rows that were refused.
    pub num_refused: u64,
    /// The same as dead letters, where the sink does not keep them itself.
    pub dead_letters: Vec<DeadLetterRecord>,
}

/// Writes the batch to its end.
///
/// # Errors
/// What the backend said, where that is not about single rows.
pub(super) async fn write(
    sink: &dyn Sink,
    batch: &SinkBatch,
    timeout: Option<Duration>,
    symbols: &SymbolTable,
) -> Result<Written, SinkError> {
    let Err(error) = attempt(sink, batch, timeout).await else { return Ok(Written::default()) };
    if !matches!(error, SinkError::Rows { .. }) {
        return Err(error);
    }
    let refused = write_rows_apart(sink, batch, error, timeout).await?;
    let spec = sink.spec();
    tracing::error!(
        sink = spec.name,
        rows = refused.len(),
        cause = refused.first().map_or("", |first| first.cause.as_str()),
        "rows are refused and go to the dead letters"
    );
    let num_refused = refused.len() as u64;
    let letters: Vec<DeadLetterRecord> =
        refused.iter().filter_map(|refused| refused.to_dead_letter(spec.name, symbols)).collect();
    if !spec.keeps_dead_letters {
        acknowledge(sink, Vec::new(), &batch.acknowledged, timeout).await?;
        return Ok(Written { num_refused, dead_letters: letters });
    }
    match acknowledge(sink, letters, &batch.acknowledged, timeout).await {
        Err(SinkError::Rows { cause, .. }) => {
            tracing::error!(
                sink = spec.name,
                cause,
                "dead letters of refused rows are refused too, and lost"
            );
            acknowledge(sink, Vec::new(), &batch.acknowledged, timeout).await?;
        }
        other => other?,
    }
    Ok(Written { num_refused, dead_letters: Vec::new() })
}

/// Writes a batch once, within its time.
async fn attempt(sink: &dyn Sink, batch: &SinkBatch, timeout: Option<Duration>) -> Result<(), SinkError> {
    let Some(limit) = timeout else { return sink.write(batch).await };
    match tokio::time::timeout(limit, sink.write(batch)).await {
        Ok(written) => written,
        Err(_) => Err(SinkError::Transient {
            context: "failed to write in time",
            cause: format!("no answer within {limit:?}"),
            pause: None,
        }),
    }
}

async fn acknowledge(
    sink: &dyn Sink,
    dead_letters: Vec<DeadLetterRecord>,
    acknowledged: &BTreeMap<Partition, Position>,
    timeout: Option<Duration>,
) -> Result<(), SinkError> {
    let batch = SinkBatch { dead_letters, acknowledged: acknowledged.clone(), ..SinkBatch::default() };
    attempt(sink, &batch, timeout).await
}

/// Writes all rows but those that are refused, and returns these. Each step takes a row out or halves a part.
async fn write_rows_apart(
    sink: &dyn Sink,
    batch: &SinkBatch,
    error: SinkError,
    timeout: Option<Duration>,
) -> Result<Vec<Refused>, SinkError> {
    let mut refused = Vec::new();
    // The next part is at the end.
    let mut parts = vec![(rows_of(batch), Some(error))];
    while let Some((rows, known)) = parts.pop() {
        if rows.is_empty() {
            continue;
        }
        let error = match known {
            Some(error) => error,
            None => match attempt(sink, &batch_of(&rows), timeout).await {
                Ok(()) => continue,
                Err(error) => error,
            },
        };
        let SinkError::Rows { cause, rows: places, .. } = error else { return Err(error) };
        if places.iter().any(|place| *place < rows.len()) {
            let mut others = Vec::new();
            for (place, row) in rows.into_iter().enumerate() {
                if places.contains(&place) {
                    refused.push(Refused { row, cause: cause.clone() });
                } else {
                    others.push(row);
                }
            }
            parts.push((others, None));
        } else if let [row] = rows.as_slice() {
            refused.push(Refused { row: row.clone(), cause });
        } else {
            let (first, second) = rows.split_at(rows.len() / 2);
            parts.push((second.to_vec(), None));
            parts.push((first.to_vec(), None));
        }
    }
    Ok(refused)
}

fn rows_of(batch: &SinkBatch) -> Vec<SinkRow> {
    let effects = batch.effects.iter().flat_map(|part| part.iter()).copied().map(SinkRow::Effect);
    let ticks = batch.ticks.iter().flat_map(|part| part.iter()).copied().map(SinkRow::Tick);
    let letters = batch.dead_letters.iter().cloned().map(SinkRow::DeadLetter);
    let reports = batch.reports.iter().flat_map(|part| part.iter()).copied().map(SinkRow::Report);
    effects.chain(ticks).chain(reports).chain(letters).collect()
}

fn batch_of(rows: &[SinkRow]) -> SinkBatch {
    let mut batch = SinkBatch::default();
    let (mut effects, mut ticks, mut reports) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        match row {
            SinkRow::Effect(effect) => effects.push(*effect),
            SinkRow::Tick(tick) => ticks.push(*tick),
            SinkRow::Report(report) => reports.push(*report),
            SinkRow::DeadLetter(letter) => batch.dead_letters.push(letter.clone()),
        }
    }
    batch.effects.push(Arc::new(effects));
    batch.ticks.push(Arc::new(ticks));
    batch.reports.push(Arc::new(reports));
    batch
}

/// A refused row as its dead letter shows it.
#[derive(Serialize)]
struct RefusedObject<'a, T> {
    sink: &'a str,
    cause: &'a str,
    row: T,
}

impl Refused {
    /// Returns the dead letter of the row; of a dead letter there is none, since that is what is refused.
    fn to_dead_letter(&self, sink: &str, symbols: &SymbolTable) -> Option<DeadLetterRecord> {
        let cause = self.cause.as_str();
        let letter = |symbol: String, received_at, origin: String, payload: Vec<u8>| DeadLetterRecord {
            reason: REFUSED.to_owned(),
            symbol: Some(symbol),
            provider: sink.to_owned(),
            received_at,
            payload: String::from_utf8_lossy(&payload).into_owned(),
            pos: None,
            origin,
            id: 0,
        };
        match &self.row {
            SinkRow::Effect(Effect::Bar(bar) | Effect::Sealed(SealedBar { bar, .. })) => {
                let (spec, window) = (symbols.spec(bar.symbol), bar.width.to_string());
                let row = BarObject::new(bar, &spec, &window);
                let payload = wire::to_json(&RefusedObject { sink, cause, row });
                let origin = format!("bar:{}:{window}:{}:{}", spec.name, bar.start.0, bar.log_pos);
                Some(letter(spec.name.clone(), bar.end(), origin, payload))
            }
            SinkRow::Effect(Effect::Indicators(point)) => {
                let (spec, window) = (symbols.spec(point.symbol), point.width.to_string());
                let row = IndicatorsObject::new(point, &spec, &window);
                let payload = wire::to_json(&RefusedObject { sink, cause, row });
                let origin = format!("indicators:{}:{window}:{}:{}", spec.name, point.start.0, point.log_pos);
                Some(letter(spec.name.clone(), point.start.plus(point.width.nanos()), origin, payload))
            }
            SinkRow::Tick(tick) => {
                let spec = symbols.spec(tick.symbol);
                let row = TickRow { symbol: &spec.name, timestamp: Time(tick.ts), seq: tick.seq };
                let payload = wire::to_json(&RefusedObject { sink, cause, row });
                let received = if tick.received == Nanos::MIN { tick.ts } else { tick.received };
                let origin = format!("tick:{}:{}", spec.name, tick.seq);
                Some(letter(spec.name.clone(), received, origin, payload))
            }
            SinkRow::Report(AcceptedReport { entry, .. }) => {
                let spec = symbols.spec(entry.symbol);
                // The source's name is in the log, where the position leads.
                let row = TickObject::new(entry, &spec, "")?;
                let payload = wire::to_json(&RefusedObject { sink, cause, row });
                let received = entry.body.received().filter(|at| *at != Nanos::MIN);
                let origin = format!("report:{}:{}", spec.name, entry.pos);
                Some(letter(spec.name.clone(), received.unwrap_or(entry.body.time()), origin, payload))
            }
            SinkRow::Effect(Effect::Anomaly(detected)) => {
                let spec = symbols.spec(detected.symbol);
                let row = AnomalyObject::new(detected.anomaly(&spec), false);
                let origin = format!("anomaly:{}:{}", row.id, detected.log_pos);
                let payload = wire::to_json(&RefusedObject { sink, cause, row });
                Some(letter(spec.name.clone(), detected.finding.time, origin, payload))
            }
            SinkRow::Effect(Effect::DeadLetter(_)) | SinkRow::DeadLetter(_) => None,
        }
    }
}

/// Enough of a tick to find it in the log.
#[derive(Serialize)]
struct TickRow<'a> {
    symbol: &'a str,
    timestamp: Time,
    seq: u64,
}
