//! Decides before the first row which files a replay reads, and records that in the data directory.
//!
//! Promises: a file is identified by its content, so a file that the directory holds already is not read again under any
//! name. An interrupted replay resumes, whatever the order of its files on the command line, and no other replay can
//! come in between. Files that are too late as a whole are refused. On failure: a refusal changes nothing, and its error
//! says what to do instead. Standard input and pipes can be read only once, so none of this applies to them.

use super::Reached;
use super::late::lateness;
use crate::actors::ingest::file::{FileInput, FileOptions, InputBatch, content_hash, is_exported};
use crate::cli::ReplayOptions;
use crate::config::Config;
use crate::models::provenance::DataKind;
use crate::models::time::Nanos;
use crate::node::Node;
use crate::node::directory::{Record, Run, RunFile, RunState};
use crate::stores::log::TickLog;
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files to read, and the state of the directory.
pub(super) struct Plan {
    /// Files to read, ordered by their first tick; empty when the directory holds all of them already.
    pub files: Vec<PathBuf>,
    /// Limit of the number of symbols.
    symbols_max: usize,
    /// Epoch in the ids given to trades without one, where the input is not a file.
    pub epoch: u32,
    /// Progress of an earlier, interrupted replay of the same files.
    pub reached: Reached,
    /// Progress of the other replays into the directory.
    pub others: Vec<Reached>,
    /// Key under which the progress is stored; `None` where it is not stored.
    pub key: Option<String>,
    /// The record of the directory; `None` where nothing is stored.
    record: Option<Record>,
}

/// A file of the command line, with the hash of its content.
struct Named {
    path: PathBuf,
    hash: Option<String>,
}

impl Named {
    fn as_run_file(&self) -> RunFile {
        RunFile { hash: self.hash.clone(), name: self.path.display().to_string() }
    }
}

impl Plan {
    /// Decides which files to read.
    ///
    /// # Errors
    /// When a file cannot be read, or the directory does not take the replay; the error says what to do instead.
    pub(super) async fn make(options: &ReplayOptions, config: &Config, node: &Node) -> anyhow::Result<Plan> {
        if !node.is_durable() {
            let files = by_first_time(&options.files)?;
            return Ok(Plan {
                files,
                symbols_max: config.core.max_symbols.get(),
                epoch: 0,
                reached: Reached::default(),
                others: Vec::new(),
                key: None,
                record: None,
            });
        }
        let (log, dir) = (node.log.as_ref(), config.data_dir.as_path());
        let mut record = node.record.clone().unwrap_or_else(|| Record::new(DataKind::Replay, &node.core));
        record.admit(DataKind::Replay, dir)?;
        record.admit_settings(&node.core, dir)?;
        let mut symbols = options.symbols.clone().unwrap_or_default();
        symbols.sort_unstable();
        let named = distinct(by_first_time(&options.files)?)?;
        let left = not_read_yet(named, &record, &symbols);
        let tail = log.tail().await?.last;
        let mut plan = Plan {
            files: left.iter().map(|file| file.path.clone()).collect(),
            symbols_max: config.core.max_symbols.get(),
            epoch: tail as u32,
            reached: Reached::default(),
            others: Vec::new(),
            key: None,
            record: None,
        };
        if !left.is_empty() {
            let at = plan.choose(&mut record, &left, symbols, dir);
            let at = at.with_context(|| format!("nothing was read into `{}`", dir.display()))?;
            plan.key = Some(record.runs[at].key.clone());
        }
        let is_last = record.runs.last().map(|run| &run.key) == plan.key.as_ref();
        for run in &record.runs {
            let reached = Reached::load(log, &run.key).await?;
            if plan.key.as_ref() == Some(&run.key) {
                plan.reached = reached;
            } else {
                plan.others.push(reached);
            }
        }
        // A replay that resumes where the directory stopped is not late.
        if plan.key.is_some() && !(is_last && plan.reached.rows > 0) {
            plan.refuse_late(options, config, node)?;
        }
        plan.record = Some(record);
        Ok(plan)
    }

    /// Opens the files and skips the rows that were read before; `None` where there is nothing to read.
    ///
    /// # Errors
    /// When a file cannot be opened, or does not hold ticks.
    pub(super) fn open(&self, options: &ReplayOptions, node: &Node) -> anyhow::Result<Option<FileInput>> {
        if self.files.is_empty() {
            return Ok(None);
        }
        let (symbols, horizon) = (options.symbols.clone(), node.env.settings.horizon);
        let options = FileOptions { symbols, symbols_max: self.symbols_max, horizon, epoch: self.epoch };
        let (symbols, sources) = (Arc::clone(&node.symbols), Arc::clone(&node.sources));
        let mut input = FileInput::open(&self.files, options, symbols, sources)?;
        if self.reached.rows > 0 {
            tracing::info!(rows = self.reached.rows, "resuming where the replay stopped");
            input.skip_rows(self.reached.rows)?;
        }
        Ok(Some(input))
    }

    /// Records in the directory that the files are being read.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub(super) async fn begin(&self, log: &dyn TickLog) -> anyhow::Result<()> {
        match &self.record {
            Some(record) => record.save(log).await,
            None => Ok(()),
        }
    }

    /// Finds the replay in the record that resumes, or adds one. Returns its index.
    fn choose(
        &self,
        record: &mut Record,
        left: &[Named],
        symbols: Vec<String>,
        dir: &Path,
    ) -> anyhow::Result<usize> {
        let hashes = |files: &[RunFile]| {
            let mut hashes: Vec<Option<String>> = files.iter().map(|file| file.hash.clone()).collect();
            hashes.sort_unstable();
            hashes
        };
        let files: Vec<RunFile> = left.iter().map(Named::as_run_file).collect();
        let wanted = hashes(&files);
        let is_repeatable = wanted.iter().all(Option::is_some);
        let is_same = |run: &Run| hashes(&run.files) == wanted && run.symbols == symbols;
        let open = |run: &&Run| run.waits();
        if let Some(waiting) = record.runs.iter().find(open)
            && !is_same(waiting)
        {
            let limited = match waiting.symbols.as_slice() {
                [] => String::new(),
                symbols => format!(" --symbols {}", symbols.join(",")),
            };
            let (names, dir) = (waiting.names(), dir.display());
            anyhow::bail!(
                "the replay of `{names}` into it was interrupted, and the rest of it would be too late after other \
                 files: finish it first with `tickwire replay {names}{limited} --data-dir {dir}`, or name another \
                 directory with `--data-dir`"
            );
        }
        let again = |run: &Run| is_repeatable && run.state != RunState::Done && is_same(run);
        if let Some(at) = record.runs.iter().position(again) {
            record.runs[at].state = RunState::Begun;
            return Ok(at);
        }
        let key = format!("replay:{}", record.runs.len() + 1);
        record.runs.push(Run { key, files, symbols, state: RunState::Begun });
        Ok(record.runs.len() - 1)
    }

    /// Refuses files that are too late as a whole.
    fn refuse_late(&self, options: &ReplayOptions, config: &Config, node: &Node) -> anyhow::Result<()> {
        let Some(reached) = self.others.iter().filter_map(|other| other.newest).max() else { return Ok(()) };
        // Input that can be read only once is not checked.
        let is_known = |path: &&PathBuf| path.is_file();
        let files: Vec<PathBuf> = self.files.iter().filter(is_known).cloned().collect();
        if files.is_empty() {
            return Ok(());
        }
        let core = &node.env.settings;
        let found = lateness(&files, options.symbols.as_deref(), &node.symbols, core, reached)?;
        if !found.is_too_much() {
            return Ok(());
        }
        let show = |files: &[PathBuf]| {
            files.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
        };
        let (names, dir) = (show(&files), config.data_dir.display());
        anyhow::bail!(
            "{} of the {} trades checked in `{names}` would be too late: `{dir}` holds data up to {}, and they begin at \
             {}. Files go into a directory in the order of their times: replay these first, or all of them in one \
             command, which merges them by time, into a new directory",
            found.late,
            found.reports,
            reached.to_rfc3339(),
            found.earliest.unwrap_or(reached).to_rfc3339()
        )
    }

    /// True when the same command resumes the replay after an interruption.
    pub(super) fn goes_on(&self) -> bool {
        self.key.is_some() && self.files.iter().all(|path| path.is_file())
    }

    /// True when symbols were asked for and the files hold none of them.
    pub(super) fn is_missed(&self, options: &ReplayOptions, node: &Node) -> bool {
        match &options.symbols {
            Some(wanted) if self.files.is_empty() => {
                wanted.iter().all(|symbol| node.symbols.resolve(symbol).is_err())
            }
            Some(_) => !self.reached.has_entries,
            None => false,
        }
    }

    /// Records how the replay ended.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub(super) async fn note(&mut self, state: RunState, log: &dyn TickLog) -> anyhow::Result<()> {
        let (Some(record), Some(key)) = (&mut self.record, &self.key) else { return Ok(()) };
        for run in record.runs.iter_mut().filter(|run| run.key == *key) {
            run.state = state;
        }
        record.save(log).await
    }
}

/// Orders files by the time of their first tick, so that the order on the command line does not matter.
fn by_first_time(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    if paths.len() < 2 {
        return Ok(paths.to_vec());
    }
    let mut keyed = Vec::with_capacity(paths.len());
    for path in paths {
        // What was exported has an order of its own, and there may be a file of each day and symbol.
        let first = if path.is_file() && !is_exported(path) { first_time(path)? } else { None };
        keyed.push((first, path.clone()));
    }
    keyed.sort();
    Ok(keyed.into_iter().map(|(_, path)| path).collect())
}

/// Returns the time of the first tick of a file.
fn first_time(path: &Path) -> anyhow::Result<Option<Nanos>> {
    const ROWS: usize = 64;
    let options = FileOptions { symbols: None, symbols_max: usize::MAX, horizon: 0, epoch: 0 };
    let mut input = FileInput::open(&[path.to_owned()], options, Arc::default(), Arc::default())?;
    let mut batch = InputBatch::default();
    // A fault of the file is reported when the replay reads it.
    input.next_batch(ROWS, &mut batch).ok();
    Ok(batch.entries.iter().find(|entry| entry.body.looked_for().is_none()).map(|entry| entry.body.time()))
}

/// Identifies files by their content; of copies in one command only the first is read.
fn distinct(paths: Vec<PathBuf>) -> anyhow::Result<Vec<Named>> {
    let mut named: Vec<Named> = Vec::with_capacity(paths.len());
    for path in paths {
        let hash = content_hash(&path)?;
        match named.iter().find(|other| hash.is_some() && other.hash == hash) {
            Some(other) => tracing::warn!(
                file = %path.display(), copy_of = %other.path.display(),
                "the file is a copy of another one; it is read once"
            ),
            None => named.push(Named { path, hash }),
        }
    }
    Ok(named)
}

/// Leaves out the files that a finished replay has read, and logs that.
fn not_read_yet(named: Vec<Named>, record: &Record, symbols: &[String]) -> Vec<Named> {
    let covers = |run: &Run| {
        let has = |symbol: &String| run.symbols.contains(symbol);
        run.symbols.is_empty() || !symbols.is_empty() && symbols.iter().all(has)
    };
    let read_as = |hash: &String| {
        let done = record.runs.iter().filter(|run| run.state == RunState::Done && covers(run));
        done.flat_map(|run| &run.files).find(|file| file.hash.as_ref() == Some(hash)).map(|file| &file.name)
    };
    let mut left = Vec::new();
    for file in named {
        match file.hash.as_ref().and_then(read_as) {
            Some(name) => tracing::info!(
                file = %file.path.display(), read_as = %name,
                "the directory holds this file already; it is not read again"
            ),
            None => left.push(file),
        }
    }
    left
}

/// Returns some symbols of the files, for an error about symbols that the files do not hold.
pub(super) fn symbols_of(paths: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    const ROWS: usize = 4_096;
    const NAMED_MAX: usize = 20;
    let files: Vec<PathBuf> = paths.iter().filter(|path| path.is_file()).cloned().collect();
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let symbols = Arc::<crate::names::SymbolTable>::default();
    let options = FileOptions { symbols: None, symbols_max: usize::MAX, horizon: 0, epoch: 0 };
    let mut input = FileInput::open(&files, options, Arc::clone(&symbols), Arc::default())?;
    // Rows that cannot be read were reported by the replay before.
    input.next_batch(ROWS, &mut InputBatch::default()).ok();
    Ok(symbols.since(0).into_iter().take(NAMED_MAX).map(|(_, spec)| spec.name.clone()).collect())
}
