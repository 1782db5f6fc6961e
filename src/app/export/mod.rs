//! `tickwire export`: writes what a data directory holds as Parquet files, into a folder or a bucket of S3.
//!
//! Promises: it only reads the directory, so it may run beside the process that fills it; what the log held when the export
//! began is exported, to the last bit. Files lie as data frames expect them, by date and symbol, and are deterministic:
//! an export that was interrupted, however it ended, goes on where it stopped and ends in the same files. A file appears
//! under its name once it is whole. Memory is bounded by rows, not by the length of the log. On failure the error names the
//! file or the store, and the same command goes on.

mod bars;
mod destination;
mod manifest;
mod parquet_file;
mod partition;
mod ticks;

pub use manifest::refuse_unfinished;

use super::instruments::WrongUse;
use super::signals::Signals;
use crate::config::{Config, HistoryKind};
use crate::models::symbol::{SymbolId, SymbolSpec};
use crate::models::time::{Nanos, Width};
use crate::names::{SourceTable, SymbolTable};
use crate::node::directory::Record;
use crate::node::postgres;
use crate::stores::history::History;
use crate::stores::history::sqlite::SqliteHistory;
use crate::stores::log::sqlite::SqliteLog;
use crate::stores::log::{LogReader, LogTail};
use crate::visible::visible;
use anyhow::Context;
use destination::Destination;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use manifest::Manifest;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::time::Instant;

/// What is asked of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportSettings {
    /// First event time; `None` for the beginning.
    pub from: Option<Nanos>,
    /// End of the event times, exclusive; `None` for the end.
    pub to: Option<Nanos>,
    /// Only these symbols, aliases included; empty for all.
    pub symbols: Vec<String>,
    /// A folder, or `s3://BUCKET[/PREFIX]`.
    pub out: String,
    /// Whether standard output ends with the result as one line of JSON.
    pub json: bool,
}

/// What an export reads: the directory's stores, opened so that nothing in them can be changed.
struct Source {
    symbols: Arc<SymbolTable>,
    sources: Arc<SourceTable>,
    log: Arc<dyn LogReader>,
    history: Arc<dyn History>,
    tail: LogTail,
    /// Widths of the windows whose bars are exported.
    widths: Vec<Width>,
    /// The symbols asked for, by name; `None` for all.
    wanted: Option<BTreeMap<String, SymbolId>>,
    wanted_ids: Option<BTreeSet<SymbolId>>,
}

impl Source {
    async fn open(config: &Config, settings: &ExportSettings) -> anyhow::Result<Source> {
        let dir = &config.data_dir;
        anyhow::ensure!(
            dir.join("log.db").is_file(),
            "the data directory `{}` holds nothing to export: name one that `run` or `replay` has filled",
            dir.display()
        );
        let (symbols, sources) = (Arc::<SymbolTable>::default(), Arc::<SourceTable>::default());
        let sqlite = config.sqlite_settings();
        let log =
            SqliteLog::open_to_read(dir, Arc::clone(&symbols), Arc::clone(&sources), sqlite.clone()).await;
        let log = log.with_context(|| format!("cannot read the log in `{}`", dir.display()))?;
        let tail = log.tail().await?;
        let tables = || (Arc::clone(&symbols), Arc::clone(&sources));
        let history = match config.history.kind {
            HistoryKind::Sqlite => {
                let history = SqliteHistory::open_to_read(dir, tables().0, tables().1, sqlite, tail.epoch);
                let history = history.await;
                history.with_context(|| format!("cannot read the history in `{}`", dir.display()))?
            }
            HistoryKind::Postgres => postgres::open(config, tables().0, tables().1, tail.epoch).await?,
        };
        let wanted = wanted(&symbols, &settings.symbols)?;
        let record = Record::load(log.as_ref(), &sources).await;
        let record = record.with_context(|| format!("cannot read the data directory `{}`", dir.display()))?;
        let mut widths = Record::settings_in(record.as_ref(), &config.core).settings().widths;
        widths.extend(record.and_then(|record| record.core?.windows).into_iter().flatten());
        widths.sort_unstable();
        widths.dedup();
        let wanted_ids = wanted.as_ref().map(|wanted| wanted.values().copied().collect());
        Ok(Source { symbols, sources, log, history, tail, widths, wanted, wanted_ids })
    }

    /// Returns the symbols to export, by name.
    fn symbols(&self) -> BTreeMap<String, SymbolId> {
        let all = || self.symbols.since(0).into_iter().map(|(id, spec)| (spec.name.clone(), id)).collect();
        self.wanted.clone().unwrap_or_else(all)
    }

    fn is_wanted(&self, symbol: SymbolId) -> bool {
        self.wanted_ids.as_ref().is_none_or(|wanted| wanted.contains(&symbol))
    }

    fn spec(&self, symbol: SymbolId) -> Arc<SymbolSpec> {
        self.symbols.spec(symbol)
    }
}

/// Finds the symbols that are asked for.
fn wanted(symbols: &SymbolTable, names: &[String]) -> Result<Option<BTreeMap<String, SymbolId>>, WrongUse> {
    if names.is_empty() {
        return Ok(None);
    }
    let mut found = BTreeMap::new();
    for name in names {
        let id = symbols.resolve(name).map_err(|error| WrongUse(error.to_string()))?;
        found.insert(symbols.spec(id).name.clone(), id);
    }
    Ok(Some(found))
}

/// Exports.
///
/// # Errors
/// [`WrongUse`] for a destination, a range or a symbol that cannot be; otherwise when a store cannot be read, a file cannot
/// be written, or a signal comes.
pub fn run(settings: &ExportSettings, config: &Config) -> anyhow::Result<()> {
    actix::System::new().block_on(export(settings, config))
}

async fn export(settings: &ExportSettings, config: &Config) -> anyhow::Result<()> {
    let signals = Signals::arm(config.server.stop_timeout)?;
    if let (Some(from), Some(to)) = (settings.from, settings.to)
        && from >= to
    {
        return Err(WrongUse("`--from` is not before `--to`".to_owned()).into());
    }
    let started = Instant::now();
    let work = async {
        let source = Source::open(config, settings).await?;
        let destination = Destination::open(&settings.out)?;
        let mut manifest = Manifest::begin(settings, &source, &destination).await?;
        if manifest.is_complete {
            let since = source.tail.last.saturating_sub(manifest.through);
            tracing::info!(
                out = settings.out,
                entries_since = since,
                "this was exported before, and nothing is written; what has come since goes into another range or place"
            );
        } else {
            warn_of_missing(settings, &source).await?;
            let bar = progress_bar();
            let written = write(&source, &destination, &mut manifest, &bar).await;
            bar.finish_and_clear();
            written.context("the export stopped, and the same command goes on")?;
        }
        anyhow::Ok(manifest)
    };
    let manifest = tokio::select! {
        done = work => done?,
        by = signals.received() => anyhow::bail!("{by}; run the same command again to go on"),
    };
    let summary = Summary::of(&manifest, settings, started);
    match summary.write(&mut io::stdout().lock(), settings.json) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Writes what is not done yet.
async fn write(
    source: &Source,
    destination: &Destination,
    manifest: &mut Manifest,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    ticks::export(source, destination, manifest, bar).await?;
    bars::export(source, destination, manifest, bar).await?;
    manifest.is_complete = true;
    manifest.save(destination).await
}

/// Says what the log does not hold any more of what is asked for.
async fn warn_of_missing(settings: &ExportSettings, source: &Source) -> anyhow::Result<()> {
    if source.tail.dropped_through == 0 {
        return Ok(());
    }
    let first = source.log.read(source.tail.dropped_through, 1).await.context("cannot read the log")?;
    let Some(begin) = first.first().map(|entry| entry.body.time()) else { return Ok(()) };
    if settings.from.is_none_or(|from| from < begin) {
        tracing::warn!(
            begin = begin.to_rfc3339(),
            "the log begins here: retention has dropped what came before, so of that only bars are exported"
        );
    }
    Ok(())
}

/// Shows how far the export is, on standard error if that is a terminal.
fn progress_bar() -> ProgressBar {
    let style = "{prefix:5} {bar:40} {percent:>3} %  {msg}  {elapsed} (about {eta} left)";
    ProgressBar::new(0).with_style(ProgressStyle::with_template(style).expect("the template is well formed"))
}

/// The line that `--json` prints: names and order are what scripts rely on.
#[derive(Serialize)]
struct Summary<'a> {
    out: &'a str,
    ticks: u64,
    control: u64,
    bars: u64,
    files: u64,
    bytes: u64,
    /// The last position of the log that was exported.
    through: u64,
    seconds: f64,
}

impl Summary<'_> {
    fn of<'a>(manifest: &Manifest, settings: &'a ExportSettings, started: Instant) -> Summary<'a> {
        Summary {
            out: &settings.out,
            ticks: manifest.written.ticks,
            control: manifest.written.control,
            bars: manifest.written.bars,
            files: manifest.written.files,
            bytes: manifest.written.bytes,
            through: manifest.through,
            seconds: started.elapsed().as_secs_f64(),
        }
    }

    fn write(&self, out: &mut impl Write, as_json: bool) -> io::Result<()> {
        if as_json {
            return writeln!(out, "{}", serde_json::to_string(self)?);
        }
        writeln!(out, "ticks      {}", HumanCount(self.ticks))?;
        writeln!(out, "bars       {}", HumanCount(self.bars))?;
        writeln!(out, "files      {}, {}", HumanCount(self.files), HumanBytes(self.bytes))?;
        writeln!(out, "time       {:.2} s", self.seconds)?;
        writeln!(out, "written to {}", visible(self.out))
    }
}
