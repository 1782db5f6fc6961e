//! A durable sink that is behind the checkpoints of a partition is caught up from the log before anything else begins.
//!
//! Checkpoints leave out the effects of everything they know, since the sink held those when the checkpoints were
//! saved. It may not hold them any more: an older copy of the history's file was put back, it was removed, a loss of power
//! took its last commits and left the log's, rows that were damaged were taken out, or the sink is new. Then the entries
//! that it lacks are applied once more, to states of their own that begin at checkpoints older than what it lacks, or at
//! the log's beginning, and what follows from them is written as if it were for the first time. The rows are the same to
//! the last bit, since effects follow from entries alone.
//!
//! Promises: when [`catch_up`] returns, the sink lacks nothing, or what it lacks is told: an error in the log, and where
//! it is the history, which notes it for good, a degraded health for as long as it would hold it.
//! On failure: a sink that cannot be written is tried again until it can; a process that ends meanwhile catches up at
//! its next start.

use super::fanout::Outputs;
use super::in_process::StoredEntries;
use super::recovered::Recovered;
use super::shard::PartitionContext;
use super::shards::{ShardGone, Shards};
use super::unit::UnitError;
use crate::actors::environment::Environment;
use crate::actors::health::{Health, HealthRegistry};
use crate::actors::messages::LogBatch;
use crate::actors::sinks::set::Sinks;
use crate::actors::sinks::shell::{Followed, LeaveOut, SinkActor};
use crate::actors::sinks::{Sink, SinkPolicy};
use crate::models::effect::{Effect, SealedBar};
use crate::models::entry::{Body, Entry, Position};
use crate::models::state::SymbolState;
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use crate::stores::StoreError;
use crate::stores::history::{History, Missing};
use crate::stores::log::{Checkpoints, LogReader, LogTail, TickLog};
use actix::{Arbiter, ArbiterHandle};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

/// How often it is said how far it is.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// Entries of the log's beginning that are searched for a clock mark.
const MARK_WITHIN: usize = 8_192;

/// What is to be brought together.
pub struct CatchUp<'a> {
    /// The partition whose part of it is brought.
    pub context: &'a PartitionContext,
    /// The truth.
    pub log: &'a Arc<dyn TickLog>,
    /// Where the log begins and ends.
    pub tail: LogTail,
    /// What may be behind.
    pub sink: &'a Arc<dyn Sink>,
    /// How it is served.
    pub policy: SinkPolicy,
    /// Where it is noted what the sink lacks for good: the history, of its own sink.
    pub notes_missing: Option<&'a Arc<dyn History>>,
    /// What it has acknowledged.
    pub acknowledged: Position,
    /// What it may be behind of.
    pub checkpoints: &'a Checkpoints,
    /// Entries to skip.
    pub poison: &'a [Position],
    /// Threads to use.
    pub threads: &'a [ArbiterHandle],
}

/// Returns up to where checkpoints rely on every durable sink. Those that were saved before this was noted may be ahead of
/// what a sink says, so of them it is only known that it held something.
#[must_use]
pub fn relied_on(checkpoints: &Checkpoints) -> Position {
    let has_checkpoints = checkpoints.slices.iter().any(|[newest, _]| newest.covers_through > 0);
    checkpoints.relied_on.unwrap_or_else(|| Position::from(has_checkpoints))
}

/// Has the sink hold what the checkpoints rely on. Returns up to where it has everything of the partition, and how many
/// entries were read. That it has it is for the caller to write, once that is true of all partitions.
///
/// # Errors
/// When the log cannot be read.
pub async fn catch_up(
    job: CatchUp<'_>,
    env: &Environment,
    health: &Arc<HealthRegistry>,
) -> Result<(Position, u64), UnitError> {
    let acknowledged = job.acknowledged;
    let relied_on = relied_on(job.checkpoints);
    if acknowledged >= relied_on {
        return Ok((acknowledged, 0));
    }
    let name = job.sink.spec().name;
    tracing::warn!(
        holds_through = acknowledged,
        checkpoints_through = relied_on,
        "the {name} is behind the checkpoints: what it lacks is worked out again from the log"
    );
    let Begin { recovered, leaves_out } =
        begin(job.log.as_ref(), job.tail, job.checkpoints, acknowledged, env, (name, job.notes_missing))
            .await?;
    let begun = Instant::now();
    let num_entries = write_again(&job, recovered, acknowledged..relied_on, leaves_out, env, health).await?;
    let seconds = begun.elapsed().as_secs_f64();
    tracing::info!(entries = num_entries, seconds, "the {name} has caught up");
    Ok((relied_on, num_entries))
}

/// What a sink is caught up from.
pub struct Begin {
    /// States, and from where on the log is read.
    pub recovered: Recovered,
    /// Effects that are not to be written.
    pub leaves_out: Option<LeaveOut>,
}

/// Finds what a sink is caught up from that holds everything up to a position. Where the log does not reach back far enough,
/// that is told, and noted in the history where the sink, which is named beside it, is its own.
///
/// # Errors
/// When the log cannot be read, or the history cannot be written.
pub async fn begin(
    log: &dyn LogReader,
    tail: LogTail,
    checkpoints: &Checkpoints,
    acknowledged: Position,
    env: &Environment,
    (name, notes_missing): (&str, Option<&Arc<dyn History>>),
) -> Result<Begin, StoreError> {
    let mut recovered = Recovered::of(checkpoints, env, acknowledged);
    let dropped = tail.dropped_through;
    let mut leaves_out = None;
    if recovered.replay_after < dropped {
        let whole_from = first_mark(log).await?;
        let exact: HashSet<SymbolId> = recovered.states.iter().map(SymbolState::symbol).collect();
        leaves_out = Some(leave_out_cut_windows(exact, whole_from));
        let through = dropped.max(acknowledged);
        match notes_missing {
            Some(history) => {
                history.note_missing(Missing { after: acknowledged, through, until: whole_from }).await?;
            }
            None => tracing::error!(
                after = acknowledged,
                through,
                "the log does not hold any more what the {name} lacks: that stays missing there"
            ),
        }
    }
    recovered.replay_after = recovered.replay_after.max(dropped);
    Ok(Begin { recovered, leaves_out })
}

/// Returns the error of a backend that does not say what it holds.
#[must_use]
pub fn no_answer(limit: Duration) -> StoreError {
    StoreError::Transient {
        context: "failed to read how far a sink is",
        cause: format!("no answer within {limit:?}"),
    }
}

/// Applies the log after the recovered states up to `lacks.end`, and writes what follows from entries after `lacks.start`.
async fn write_again(
    job: &CatchUp<'_>,
    recovered: Recovered,
    lacks: std::ops::Range<Position>,
    leaves_out: Option<LeaveOut>,
    env: &Environment,
    health: &Arc<HealthRegistry>,
) -> Result<u64, UnitError> {
    // Nobody looks at these states, and what they count was counted when it happened.
    let env = env.unobserved();
    let context =
        PartitionContext { store: None, durable: None, urgent: Arc::default(), ..job.context.clone() };
    let acknowledged = Arc::new(AtomicU64::new(lacks.start));
    let name = job.sink.spec().name;
    let followed = Followed { acknowledged, num_shards: context.num_shards, ..Followed::default() };
    // Its batches acknowledge this partition alone, so a sink with one position for all of them does not move it.
    let (sink, partitions) = (Arc::clone(job.sink), [(context.partition, followed)]);
    let shell = SinkActor::new(sink, job.policy, env.clone(), Arc::clone(health), partitions)
        .with_health(Health::Degraded, "it is behind the log and catches up".to_owned());
    let shell = match leaves_out {
        Some(leaves_out) => shell.leaving_out(leaves_out),
        None => shell,
    };
    let store = Arbiter::new();
    let sinks = Sinks::start(shell, &store.handle(), Vec::new(), &env, health);
    let outputs = Outputs { live: None, sinks: sinks.outputs() };
    let after = recovered.replay_after;
    let shards = Shards::start(&env, &context, job.threads, recovered, job.poison, &outputs).await?;
    let (mut reported, mut num_entries) = (Instant::now(), 0);
    let reader: Arc<dyn LogReader> = Arc::clone(job.log) as _;
    let PartitionContext { partition, num_partitions, .. } = context;
    let mut stored = StoredEntries::new(reader, partition, num_partitions, Arc::clone(&env.symbols), after);
    while let Some(batch) = stored.next(lacks.end).await? {
        num_entries += batch.entries.len() as u64;
        let (entries, through, received) = (batch.entries, batch.through, batch.received);
        let batch = LogBatch { entries, through, muted_through: lacks.start, received };
        Shards::feed(&shards.routers, batch).await?;
        if reported.elapsed() >= REPORT_INTERVAL {
            reported = Instant::now();
            let (done, all) = (through - after, lacks.end - after);
            tracing::info!(entries = done, of = all, "the {name} catches up with the log");
            health.set(
                name,
                Health::Degraded,
                format!("it catches up with the log: {done} of {all} entries"),
            );
        }
    }
    shards.barrier().await?;
    shards.report().await?;
    sinks.flush().await.map_err(|_| ShardGone)?;
    shards.end().await;
    store.stop();
    Ok(num_entries)
}

/// Leaves out what follows from windows that began before the log does, but for symbols whose states are exact: of such
/// a window only the later part is known.
fn leave_out_cut_windows(exact: HashSet<SymbolId>, whole_from: Nanos) -> LeaveOut {
    Box::new(move |effect: &Effect| match effect {
        Effect::Bar(bar) | Effect::Sealed(SealedBar { bar, .. }) => {
            bar.start < whole_from && !exact.contains(&bar.symbol)
        }
        Effect::Indicators(point) => point.start < whole_from && !exact.contains(&point.symbol),
        Effect::Anomaly(anomaly) => anomaly.finding.start < whole_from && !exact.contains(&anomaly.symbol),
        Effect::DeadLetter(_) => false,
    })
}

/// Returns the event time from which on the log is whole: what its first clock mark says, or the first event.
async fn first_mark(log: &dyn LogReader) -> Result<Nanos, StoreError> {
    let entries = log.read(0, MARK_WITHIN).await?;
    let is_mark = |entry: &&Entry| matches!(entry.body, Body::ClockMark { .. });
    // What is looked for goes by positions, and tells no event time.
    let tells_time = |entry: &&Entry| entry.body.looked_for().is_none();
    let first = entries.iter().find(is_mark).or_else(|| entries.iter().find(tells_time));
    Ok(first.map_or(Nanos::MIN, |entry| entry.body.time()))
}

/// Returns how a history is that lacks something for good, as health shows it; tells it too.
///
/// # Errors
/// When the history cannot be read.
pub async fn health_of(history: &dyn History) -> Result<(Health, String), StoreError> {
    let Some(Missing { after, through, until }) = history.missing().await? else {
        return Ok((Health::Healthy, String::new()));
    };
    let positions = through - after;
    let until = until.to_rfc3339();
    let detail = format!(
        "lacks what followed from {positions} entries after position {after}, and bars that began before {until} and were \
         not written in time: the log did not hold their entries any more; indicators and `seq` begin anew there"
    );
    tracing::error!("the history {detail}");
    Ok((Health::Degraded, detail))
}
