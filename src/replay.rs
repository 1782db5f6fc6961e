//! Works out the bars and indicators of recorded ticks.
//!
//! Promises: the same actors as live do the work, so the same files give the same digest whatever the number of shards
//! and the size of batches. With a data directory an interrupted replay goes on where it stopped, and a finished one
//! adds nothing and says the same again; what does not belong into the directory is refused before it is read (`plan`).
//! A signal ends it within 5 s, whatever it is doing and whatever the disk does. A full disk is waited for; a store that
//! cannot be written until somebody repairs it ends the replay with an error that says so.

mod late;
mod plan;
mod reader;
mod summary;

use crate::actors::health::StoreBroken;
use crate::actors::ingest::client::LogClient;
use crate::actors::ingest::file::{FileError, FileInput, exported_files};
use crate::actors::messages::Ingest;
use crate::actors::pipeline::{Pipeline, PipelineError};
use crate::app::export::refuse_unfinished;
use crate::app::signals::Signals;
use crate::cli::{ReplayOptions, Speed};
use crate::config::{Config, Origin};
use crate::metrics::Metrics;
use crate::models::entry::{Body, Entry};
use crate::models::ledger::{Ledger, RejectReason};
use crate::models::time::{Nanos, SECOND};
use crate::names::SymbolTable;
use crate::node::directory::RunState;
use crate::node::{Node, pipeline_settings};
use crate::output::{BarWriter, IndicatorWriter};
use crate::stores::log::high_water::HighWater;
use crate::stores::log::{Progress, TickLog};
use anyhow::Context;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use plan::{Plan, symbols_of};
use reader::{Chunk, Reader};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use summary::Summary;
use tokio::time::error::Elapsed;

/// Rows in a chunk when time does not matter (more where there are many symbols), and when it does.
const ROWS: usize = 4_096;
const ROWS_PACED: usize = 256;

/// Rows handed in after which the symbols are waited for, since some more chunks wait for the shards: with many symbols
/// these are large, and a signal must not find more to do than its time allows.
const ROWS_UNDER_WAY_MAX: usize = 1 << 18;

/// How far a replay has come: committed together with the entries it speaks of.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Reached {
    rows: u64,
    /// Whether any of them became an entry.
    has_entries: bool,
    /// Rows that became no entry, by reason.
    bad_rows: BTreeMap<String, u64>,
    /// The last clock mark: how far event time has come.
    newest: Option<Nanos>,
}

impl Reached {
    async fn load(log: &dyn TickLog, key: &str) -> anyhow::Result<Reached> {
        let Some(bytes) = log.progress(key).await? else { return Ok(Reached::default()) };
        postcard::from_bytes(&bytes).context("the progress of an earlier replay is damaged")
    }

    fn count(&mut self, chunk: &Chunk) {
        for letter in &chunk.dead_letters {
            *self.bad_rows.entry(letter.reason.clone()).or_default() += 1;
        }
        self.rows = chunk.rows;
        self.has_entries |= !chunk.entries.is_empty();
        let mark = |entry: &Entry| match entry.body {
            Body::ClockMark { time, .. } => Some(time),
            _ => None,
        };
        // Marks ascend.
        self.newest = self.newest.max(chunk.entries.iter().rev().find_map(mark));
    }

    fn ledger(&self) -> Ledger {
        let mut ledger = Ledger::default();
        for (reason, &count) in &self.bad_rows {
            let known = RejectReason::ALL.into_iter().find(|known| known.as_str() == reason);
            ledger.received += count;
            ledger.rejected[known.unwrap_or(RejectReason::Malformed) as usize] += count;
        }
        ledger
    }
}

/// Replays the files.
///
/// # Errors
/// When a file cannot be read, an output cannot be written, or the replay is interrupted.
pub fn run(options: ReplayOptions, config: Config) -> anyhow::Result<()> {
    actix::System::new().block_on(replay(options, config))
}

async fn replay(mut options: ReplayOptions, config: Config) -> anyhow::Result<()> {
    let signals = Signals::arm(config.server.stop_timeout)?;
    options.files = with_files_of_folders(&options.files)?;
    refuse_overwriting_inputs(&options)?;
    let bars = options.bars.as_deref().map(|path| BarWriter::create(path, options.force)).transpose()?;
    let indicators =
        options.indicators.as_deref().map(|path| IndicatorWriter::create(path, options.force)).transpose()?;
    let keeps = matches!(config.origin("data_dir"), Origin::Flag(_));
    let open =
        async { if keeps { Node::open(&config).await } else { Node::in_memory(&config, usize::MAX).await } };
    let mut node = tokio::select! {
        opened = open => opened?,
        by = signals.received() => anyhow::bail!("{by} before the first row"),
    };
    let health = Arc::clone(&node.health);
    let started = Instant::now();
    let begin = async {
        let mut storage = node.storage(keeps);
        storage.high_water = storage.high_water.map(HighWater::held);
        let plan = Plan::make(&options, &config, &node).await?;
        let input = plan.open(&options, &node)?;
        plan.begin(node.log.as_ref()).await?;
        let settings = pipeline_settings(&config);
        let pipeline = Pipeline::start(node.env.clone(), settings, storage, node.health.clone()).await?;
        let job = Job::start(&options, plan, input, &node.symbols)?;
        anyhow::Ok((pipeline, job))
    };
    let (pipeline, mut job) = tokio::select! {
        begun = begin => begun?,
        by = signals.received() => anyhow::bail!("{by} before the first row"),
        broken = health.broken() => return Err(anyhow::Error::from(broken).context("stopped before the first row")),
    };
    let fed = tokio::select! {
        fed = job.feed(&pipeline, &node.env.metrics, options.speed) => fed.map(|()| None),
        by = signals.received() => Ok(Some(by)),
        broken = health.broken() => return Err(job.give_up(broken, &pipeline, &node).await),
    };
    if !matches!(fed, Ok(None)) {
        let is_unreadable = fed.as_ref().is_err_and(anyhow::Error::is::<FileError>);
        let stop = async {
            let stopped = pipeline.stop().await;
            if is_unreadable && let Err(error) = job.plan.note(RunState::Failed, node.log.as_ref()).await {
                tracing::warn!(%error, "failed to note that the input cannot be read to its end");
            }
            node.close().await;
            stopped
        };
        let stopped = tokio::time::timeout(config.server.stop_timeout, stop).await;
        let by = fed?.unwrap_or_default();
        anyhow::bail!(
            "{by} after {} rows: {}",
            job.plan.reached.rows,
            job.what_is_kept(keeps, stopped, &pipeline)?
        );
    }
    let finish = async {
        let mut ledger = pipeline.finish().await?;
        let is_missed = job.plan.is_missed(&options, &node);
        let state = if is_missed { RunState::Missed } else { RunState::Done };
        job.plan.note(state, node.log.as_ref()).await?;
        pipeline.end();
        if is_missed {
            node.close().await;
            return Err(nothing_asked_for(&options)?);
        }
        warn_of_missed(&options, &node);
        for reached in job.plan.others.iter().chain([&job.plan.reached]) {
            ledger.merge(&reached.ledger());
        }
        let windows = &node.env.settings.widths;
        let history = node.history.as_ref();
        let summary = Summary::collect(history, &node.symbols, windows, ledger, bars, indicators).await?;
        node.close().await;
        anyhow::Ok(summary)
    };
    let summary = tokio::select! {
        summary = finish => summary?,
        by = signals.received() => anyhow::bail!("{by} at the end of the input, before its bars were closed"),
        broken = health.broken() => return Err(job.give_up(broken, &pipeline, &node).await),
    };
    job.bar.finish_and_clear();
    summary.print(started.elapsed(), options.json)
}

/// Puts the files of an export, or of a part of it, in place of its folder.
fn with_files_of_folders(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            refuse_unfinished(path)?;
        }
        files.extend(exported_files(path)?);
    }
    Ok(files)
}

/// Refuses outputs that are inputs, or each other: whatever they are called, what was recorded is not overwritten.
fn refuse_overwriting_inputs(options: &ReplayOptions) -> anyhow::Result<()> {
    let outputs = [("--bars", &options.bars), ("--indicators", &options.indicators)];
    let outputs = outputs.into_iter().filter_map(|(flag, path)| Some((flag, path.as_deref()?)));
    for (flag, output) in outputs {
        if let Some(input) = options.files.iter().find(|input| is_same_file(input, output)) {
            anyhow::bail!(
                "`{flag} {}` would overwrite the input `{}`: name another file",
                output.display(),
                input.display()
            );
        }
    }
    if let (Some(bars), Some(indicators)) = (&options.bars, &options.indicators)
        && (bars == indicators || is_same_file(bars, indicators))
    {
        anyhow::bail!("`--bars` and `--indicators` name the same file: each needs one of its own");
    }
    Ok(())
}

/// True for two names of one file, links included.
fn is_same_file(one: &Path, other: &Path) -> bool {
    let id = |path: &Path| path.metadata().ok().map(|file| (file.dev(), file.ino()));
    // One that is not there is no other's.
    id(one).is_some_and(|one| id(other) == Some(one))
}

/// Says that none of the symbols asked for is there, and which are.
fn nothing_asked_for(options: &ReplayOptions) -> anyhow::Result<anyhow::Error> {
    let wanted = options.symbols.as_deref().unwrap_or_default().join(",");
    let there = symbols_of(&options.files)?;
    Ok(match there.as_slice() {
        [] => anyhow::anyhow!("no row is of a symbol in `--symbols {wanted}`"),
        there => {
            anyhow::anyhow!("no row is of a symbol in `--symbols {wanted}`; there is {}", there.join(", "))
        }
    })
}

/// Warns of symbols that were asked for beside others that were found.
fn warn_of_missed(options: &ReplayOptions, node: &Node) {
    let wanted = options.symbols.iter().flatten();
    let missed: Vec<&str> =
        wanted.filter(|symbol| node.symbols.resolve(symbol).is_err()).map(String::as_str).collect();
    if !missed.is_empty() {
        tracing::warn!(symbols = missed.join(","), "no row is of these symbols that were asked for");
    }
}

/// A replay under way.
struct Job {
    reader: Reader,
    plan: Plan,
    bar: ProgressBar,
}

impl Job {
    /// Starts reading the input; `None` is one with nothing to read.
    fn start(
        options: &ReplayOptions,
        plan: Plan,
        input: Option<FileInput>,
        symbols: &Arc<SymbolTable>,
    ) -> anyhow::Result<Job> {
        let is_paced = options.speed != Speed::Max;
        let (rows, symbols) = if is_paced { (ROWS_PACED, None) } else { (ROWS, Some(Arc::clone(symbols))) };
        let reader = match input {
            Some(input) => Reader::start(input, rows, symbols)?,
            None => Reader::empty(),
        };
        Ok(Job { reader, plan, bar: progress_bar() })
    }

    /// Feeds the pipeline until the input ends and all of it is applied and written. May be dropped at any await: what
    /// was not handed in by then is not part of the progress either.
    async fn feed(
        &mut self,
        pipeline: &Pipeline,
        metrics: &Arc<Metrics>,
        speed: Speed,
    ) -> anyhow::Result<()> {
        let mut pace = Pace::new(speed);
        let mut client = LogClient::new(pipeline.log().clone(), Arc::clone(metrics));
        let mut rows_under_way = 0;
        loop {
            client.wait_for_room().await?;
            if rows_under_way >= ROWS_UNDER_WAY_MAX {
                client.settle().await?;
                pipeline.drain_symbols().await?;
                rows_under_way = 0;
            }
            let Some(chunk) = self.reader.next().await? else { break };
            rows_under_way += chunk.entries.len();
            if let Some(pause) = pace.pause_before(chunk.first_time()) {
                tokio::time::sleep(pause).await;
            }
            self.show(&chunk);
            let ingest = self.ingest(chunk)?;
            client.send(ingest).await?;
        }
        client.settle().await?;
        pipeline.drain().await?;
        Ok(())
    }

    /// Ends the pipeline at once, since what waits for the broken store would wait for ever. Returns the error to end
    /// with. What is not committed is read again: progress is committed together with the entries it speaks of.
    async fn give_up(&self, broken: StoreBroken, pipeline: &Pipeline, node: &Node) -> anyhow::Error {
        pipeline.end();
        node.close().await;
        let rows = self.plan.reached.rows;
        let advice = if self.plan.goes_on() { "; once it is repaired, the same command goes on" } else { "" };
        anyhow::Error::from(broken).context(format!("stopped after {rows} rows{advice}"))
    }

    /// Says what an interrupted replay leaves behind.
    fn what_is_kept(
        &self,
        keeps: bool,
        stopped: Result<Result<(), PipelineError>, Elapsed>,
        pipeline: &Pipeline,
    ) -> anyhow::Result<String> {
        if let Ok(stopped) = stopped {
            stopped?;
        }
        let lost = pipeline.num_uncommitted();
        Ok(match (keeps, self.plan.goes_on()) {
            (false, _) => "nothing was kept".to_owned(),
            (true, true) if lost == 0 => "run the same command again to go on".to_owned(),
            (true, true) => {
                format!(
                    "{lost} entries could not be written; run the same command again to go on before them"
                )
            }
            (true, false) if lost == 0 => "what was read is kept".to_owned(),
            (true, false) => format!("{lost} entries that were read were never committed and are lost"),
        })
    }

    fn ingest(&mut self, chunk: Chunk) -> anyhow::Result<Ingest> {
        self.plan.reached.count(&chunk);
        let progress = match &self.plan.key {
            Some(key) => Some(Progress { key: key.clone(), value: postcard::to_stdvec(&self.plan.reached)? }),
            None => None,
        };
        let Chunk { entries, dead_letters, .. } = chunk;
        Ok(Ingest { entries, dead_letters, progress, received: Nanos::MIN })
    }

    fn show(&self, chunk: &Chunk) {
        if let Some(total) = chunk.total_bytes {
            self.bar.set_length(total);
        }
        self.bar.set_position(chunk.bytes_read);
        self.bar.set_message(HumanCount(chunk.rows).to_string());
    }
}

/// Shows how far the files are read, on standard error if that is a terminal.
fn progress_bar() -> ProgressBar {
    let style = "{bar:40} {percent:>3} %  {msg} rows  {elapsed} (about {eta} left)";
    ProgressBar::new(0).with_style(ProgressStyle::with_template(style).expect("the template is well formed"))
}

/// Holds a replay back to some times the speed at which it happened.
struct Pace {
    times: Option<f64>,
    begun: Option<(Instant, Nanos)>,
}

impl Pace {
    const fn new(speed: Speed) -> Pace {
        let times = match speed {
            Speed::Times(times) => Some(times),
            Speed::Max => None,
        };
        Pace { times, begun: None }
    }

    /// Returns how long to wait before what happened at `time`.
    fn pause_before(&mut self, time: Option<Nanos>) -> Option<Duration> {
        let (times, time) = (self.times?, time?);
        let (instant, first) = *self.begun.get_or_insert((Instant::now(), time));
        let due = Duration::from_secs_f64(time.since(first).max(0) as f64 / SECOND as f64 / times);
        due.checked_sub(instant.elapsed())
    }
}
