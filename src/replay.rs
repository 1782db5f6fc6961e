//! Works out the bars and indicators of recorded ticks.
//!
//! Promises: the same actors as live do the work, so the same files give the same digest whatever the number of shards
//! and the size of batches. With a data directory an interrupted replay goes on where it stopped, and a finished one
//! adds nothing and says the same again. A signal ends it within 5 s, whatever it is doing and whatever the disk does.

mod reader;
mod summary;

use crate::actors::log::LogActor;
use crate::actors::messages::Ingest;
use crate::actors::pipeline::{Pipeline, PipelineError};
use crate::app::signals::Signals;
use crate::cli::{ReplayOptions, Speed};
use crate::config::{Config, Origin};
use crate::models::ledger::{Ledger, RejectReason};
use crate::models::time::{Nanos, SECOND};
use crate::node::{Node, pipeline_settings};
use crate::output::{BarWriter, IndicatorWriter};
use crate::stores::Progress;
use crate::stores::high_water::HighWater;
use actix::dev::Request;
use anyhow::Context;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use reader::{Reader, Stretch};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};
use summary::Summary;
use tokio::time::error::Elapsed;

/// Rows in a stretch when time does not matter (more where there are many symbols), and when it does.
const ROWS: usize = 4_096;
const ROWS_PACED: usize = 256;

/// Stretches that may be under way to the log: enough that neither waits for the other's turn on a busy machine.
const UNDER_WAY_MAX: usize = 4;

/// Waits until the log has taken a stretch.
async fn taken(sent: Request<LogActor, Ingest>) -> anyhow::Result<()> {
    sent.await.context("the pipeline has stopped")
}

/// How far a replay has come: committed together with the entries it speaks of.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Reached {
    rows: u64,
    /// Rows that became no entry, by reason.
    bad_rows: BTreeMap<String, u64>,
}

impl Reached {
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

async fn replay(options: ReplayOptions, config: Config) -> anyhow::Result<()> {
    let signals = Signals::arm(config.server.stop_timeout)?;
    let bars = options.bars.as_deref().map(|path| BarWriter::create(path, options.force)).transpose()?;
    let indicators =
        options.indicators.as_deref().map(|path| IndicatorWriter::create(path, options.force)).transpose()?;
    let keeps = matches!(config.origin("data_dir"), Origin::Flag(_));
    let begin = async {
        let mut node =
            if keeps { Node::open(&config).await? } else { Node::in_memory(&config, usize::MAX).await? };
        let started = Instant::now();
        let mut storage = node.storage(keeps);
        storage.high_water = storage.high_water.map(HighWater::held);
        let settings = pipeline_settings(&config);
        let pipeline = Pipeline::start(node.env.clone(), settings, storage, node.health.clone()).await?;
        let job = Job::open(&options, &node, config.core.max_symbols).await?;
        anyhow::Ok((node, started, pipeline, job))
    };
    let (node, started, pipeline, mut job) = tokio::select! {
        begun = begin => begun?,
        by = signals.told() => anyhow::bail!("{by} before the first row"),
    };
    let fed = tokio::select! {
        fed = job.feed(&pipeline, options.speed) => fed.map(|()| None),
        by = signals.told() => Ok(Some(by)),
    };
    if !matches!(fed, Ok(None)) {
        let stop = async {
            let stopped = pipeline.stop().await;
            node.close().await;
            stopped
        };
        let stopped = tokio::time::timeout(config.server.stop_timeout, stop).await;
        let by = fed?.unwrap_or_default();
        anyhow::bail!(
            "{by} after {} rows: {}",
            job.reached.rows,
            job.what_is_kept(keeps, stopped, &pipeline)?
        );
    }
    let finish = async {
        let mut ledger = pipeline.finish().await?;
        ledger.merge(&job.reached.ledger());
        pipeline.end();
        let windows = &node.env.settings.widths;
        let history = node.history.as_ref();
        let summary = Summary::collect(history, &node.symbols, windows, ledger, bars, indicators).await?;
        node.close().await;
        anyhow::Ok(summary)
    };
    let summary = tokio::select! {
        summary = finish => summary?,
        by = signals.told() => anyhow::bail!("{by} at the end of the input, before its bars were closed"),
    };
    job.bar.finish_and_clear();
    summary.print(started.elapsed(), options.json)
}

/// A replay under way.
struct Job {
    reader: Reader,
    reached: Reached,
    /// Under what the progress is kept; `None` where it is not.
    key: Option<String>,
    bar: ProgressBar,
}

impl Job {
    async fn open(options: &ReplayOptions, node: &Node, symbols_max: NonZeroUsize) -> anyhow::Result<Job> {
        let settings = &node.env.settings;
        let is_paced = options.speed != Speed::Max;
        let (rows, symbols) =
            if is_paced { (ROWS_PACED, None) } else { (ROWS, Some(Arc::clone(&node.symbols))) };
        let symbols_max = symbols_max.get();
        let (mut input, name) =
            reader::open(options, settings.horizon, symbols_max, &node.symbols, &node.sources)?;
        let filter = options.symbols.as_ref().map(|symbols| symbols.join(",")).unwrap_or_default();
        let key = name.filter(|_| node.is_durable());
        let key = key.map(|name| format!("replay:{name}:{filter}:{:016x}", settings.fingerprint()));
        let mut reached = Reached::default();
        if let Some(key) = &key
            && let Some(bytes) = node.log.progress(key).await?
        {
            reached = postcard::from_bytes(&bytes).context("the progress of an earlier replay is damaged")?;
            tracing::info!(rows = reached.rows, "going on where the replay stopped");
            input.skip_rows(reached.rows)?;
        }
        let bar = progress_bar();
        Ok(Job { reader: Reader::start(input, rows, symbols)?, reached, key, bar })
    }

    /// Feeds the pipeline until the input ends and all of it is applied and written. May be dropped at any await: what
    /// was not handed in by then is not part of the progress either.
    async fn feed(&mut self, pipeline: &Pipeline, speed: Speed) -> anyhow::Result<()> {
        let mut pace = Pace::new(speed);
        let mut under_way = VecDeque::new();
        loop {
            if under_way.len() == UNDER_WAY_MAX
                && let Some(oldest) = under_way.pop_front()
            {
                taken(oldest).await?;
            }
            let Some(stretch) = self.reader.next().await? else { break };
            if let Some(pause) = pace.pause_before(stretch.first_time()) {
                tokio::time::sleep(pause).await;
            }
            self.show(&stretch);
            let ingest = self.ingest(stretch)?;
            under_way.push_back(pipeline.log().send(ingest));
        }
        for rest in under_way {
            taken(rest).await?;
        }
        pipeline.drain().await?;
        Ok(())
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
        Ok(match (keeps, &self.key) {
            (false, _) => "nothing was kept".to_owned(),
            (true, Some(_)) if lost == 0 => "run the same command again to go on".to_owned(),
            (true, Some(_)) => {
                format!(
                    "{lost} entries could not be written; run the same command again to go on before them"
                )
            }
            (true, None) if lost == 0 => "what was read is kept".to_owned(),
            (true, None) => format!("{lost} entries that were read were never committed and are lost"),
        })
    }

    fn ingest(&mut self, stretch: Stretch) -> anyhow::Result<Ingest> {
        for letter in &stretch.dead_letters {
            *self.reached.bad_rows.entry(letter.reason.clone()).or_default() += 1;
        }
        self.reached.rows = stretch.rows;
        let progress = match &self.key {
            Some(key) => Some(Progress { key: key.clone(), value: postcard::to_stdvec(&self.reached)? }),
            None => None,
        };
        let Stretch { entries, dead_letters, .. } = stretch;
        Ok(Ingest { entries, dead_letters, progress, received: Nanos::MIN })
    }

    fn show(&self, stretch: &Stretch) {
        if let Some(total) = stretch.total_bytes {
            self.bar.set_length(total);
        }
        self.bar.set_position(stretch.bytes_read);
        self.bar.set_message(HumanCount(stretch.rows).to_string());
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
