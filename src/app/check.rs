//! `tickwire check`: reads everything in a data directory, reports damage, and repairs it on request.
//!
//! Promises: repaired rows are what they were, since they are computed again from the log; where the log does not reach
//! back far enough, nothing is guessed: the row stays deleted, and the report says so. Without `--repair` nothing is
//! changed, except that files of an earlier version are migrated.

use crate::actors::health::StoreBroken;
use crate::actors::pipeline::PipelineError;
use crate::config::{Config, HistoryKind};
use crate::data_dir::DataDir;
use crate::models::effect::Effect;
use crate::models::entry::Position;
use crate::models::names::Interner;
use crate::models::settings::CoreSettings;
use crate::models::state::{CheckpointError, SymbolState};
use crate::models::symbol::SymbolId;
use crate::names::{Names, SourceTable, SymbolTable};
use crate::node::directory::Record;
use crate::stores::StoreError;
use crate::stores::history::signals::{SignalBatch, SignalHistory};
use crate::stores::history::sqlite::{SqliteHistory, check_history, missing_windows};
use crate::stores::history::{History, HistoryBatch};
use crate::stores::log::high_water::HighWater;
use crate::stores::log::sqlite::{SqliteLog, check_log};
use crate::stores::log::{CheckpointStore, LogReader, Partition, TickLog};
use crate::stores::sqlite::check::Checked;
use anyhow::Context;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Entries read from the log per page, and effects written to the history per batch.
const PAGE_ENTRIES: usize = 8_192;
const BATCH_EFFECTS: usize = 20_000;

/// How often a long check reports its progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);

/// Checks the data directory of the configuration; `repair` repairs it as well. Succeeds when nothing is damaged, or
/// everything was repaired.
///
/// # Errors
/// When something is damaged and was not repaired, or cannot be read.
pub fn run(config: &Config, repair: bool) -> anyhow::Result<()> {
    actix::System::new().block_on(check(config, repair))
}

/// Returns advice for a command that failed because a store is damaged; `None` for every other failure.
#[must_use]
pub fn advice(error: &anyhow::Error, data_dir: &Path, history: HistoryKind) -> Option<String> {
    if history == HistoryKind::Postgres && !format!("{error:#}").contains("log") {
        // The file that it is about is none of the directory's.
        return None;
    }
    let is_damaged = |cause: &(dyn std::error::Error + 'static)| {
        let of_pipeline = || match cause.downcast_ref() {
            Some(PipelineError::Store(error)) => Some(error),
            _ => None,
        };
        cause.is::<StoreBroken>()
            || cause
                .downcast_ref()
                .or_else(of_pipeline)
                .is_some_and(|error: &StoreError| !error.is_transient())
    };
    error.chain().any(is_damaged).then(|| {
        let dir = data_dir.display();
        format!(
            "`tickwire check --data-dir {dir}` lists what is damaged; with `--repair` it restores the history from the log"
        )
    })
}

async fn check(config: &Config, repair: bool) -> anyhow::Result<()> {
    let dir = &config.data_dir;
    anyhow::ensure!(dir.is_dir(), "there is no data directory `{}`", dir.display());
    let _taken = DataDir::take(dir)?;
    let mut progress = Progress { reported: Instant::now() };
    let log = check_log(dir, repair, &mut |table, rows| progress.report(table, rows)).await?;
    let history = match config.history.kind {
        HistoryKind::Sqlite => {
            check_history(dir, repair, &mut |table, rows| progress.report(table, rows)).await?
        }
        HistoryKind::Postgres => {
            say("the history is in PostgreSQL, whose own tools check it");
            Checked::default()
        }
    };
    let mut outcome = Outcome::default();
    outcome.add(&log);
    outcome.add(&history);
    outcome.add_positions(dir, &log, repair)?;
    if log.num_missing > 0 {
        let missing = log.num_missing;
        say(&format!(
            "`log.db` lacks {missing} positions in between: their entries were lost when a process ended"
        ));
    }
    if repair {
        let num_unusable = history.findings.iter().filter(|finding| !finding.is_mended).count();
        if num_unusable > 0 {
            restore_all(config, &log, num_unusable, &mut outcome).await?;
        } else if !(history.windows.is_empty() && history.letters.is_empty()) {
            restore_rows(config, &log, &history, &mut outcome).await?;
        }
    }
    outcome.end(log.num_rows + history.num_rows, repair)
}

/// Writes a line to standard output. A closed pipe is no failure: the exit code carries the result.
fn say(line: &str) {
    writeln!(std::io::stdout(), "{line}").ok();
}

struct Progress {
    reported: Instant,
}

impl Progress {
    fn report(&mut self, table: &str, rows: u64) {
        if self.reported.elapsed() >= PROGRESS_INTERVAL {
            self.reported = Instant::now();
            tracing::info!(table, rows, "checking");
        }
    }
}

/// The report at the end.
#[derive(Default)]
struct Outcome {
    num_mended: usize,
    num_damaged: usize,
}

impl Outcome {
    fn add(&mut self, checked: &Checked) {
        for finding in &checked.findings {
            let (mark, count) = match finding.is_mended {
                true => ("mended", &mut self.num_mended),
                false => ("damaged", &mut self.num_damaged),
            };
            *count += 1;
            say(&format!("{mark}: {}", finding.text));
        }
    }

    fn add_positions(&mut self, dir: &Path, log: &Checked, repair: bool) -> anyhow::Result<()> {
        let Some(fault) = HighWater::fault(dir, log.last).context("failed to read `positions`")? else {
            return Ok(());
        };
        if repair {
            HighWater::open(dir, log.last).context("failed to mend `positions`")?;
            self.num_mended += 1;
            say(&format!("mended: `positions`: {fault}"));
        } else {
            self.num_damaged += 1;
            say(&format!("damaged: `positions`: {fault}"));
        }
        Ok(())
    }

    fn lost(&mut self, line: &str) {
        self.num_damaged += 1;
        say(&format!("lost: {line}"));
    }

    fn end(self, num_rows: u64, repair: bool) -> anyhow::Result<()> {
        say(&format!("{num_rows} rows read, {} mended, {} damaged", self.num_mended, self.num_damaged));
        match (self.num_damaged, repair) {
            (0, _) => Ok(()),
            (_, false) => {
                anyhow::bail!("damage was found: keep a copy of the directory, then add `--repair`")
            }
            (_, true) => anyhow::bail!("some of the damage cannot be mended from what the directory holds"),
        }
    }
}

/// The log from which the history can be computed again.
struct Origin {
    log: SqliteLog,
    symbols: Arc<SymbolTable>,
    sources: Arc<SourceTable>,
    core: Arc<CoreSettings>,
    last: Position,
}

impl Origin {
    /// Opens the log, or returns why the history cannot be computed from it: only a log from its beginning, under the
    /// settings of that time, gives every state there was, and so every row.
    async fn open(config: &Config, checked: &Checked) -> anyhow::Result<Result<Origin, &'static str>> {
        if checked.findings.iter().any(|finding| !finding.is_mended) {
            return Ok(Err("the log is damaged itself"));
        }
        let (symbols, sources) = (Arc::<SymbolTable>::default(), Arc::<SourceTable>::default());
        let settings = config.sqlite_settings();
        let log =
            SqliteLog::open(&config.data_dir, Arc::clone(&symbols), Arc::clone(&sources), settings).await?;
        // Where the note is damaged the configuration says what was meant, and checkpoints tell whether that is so.
        let record = Record::load(&log, &sources).await.unwrap_or(None);
        let core = Arc::new(config.core_settings(&Record::settings_in(record.as_ref(), &config.core)));
        let tail = log.tail().await?;
        let reason = if tail.first > 1 {
            "the log does not reach back to its beginning"
        } else if has_other_settings(&log, &core).await? {
            "the directory was made under other `core` settings: check it with the same `--config`"
        } else {
            return Ok(Ok(Origin { log, symbols, sources, core, last: tail.last }));
        };
        log.close().await?;
        Ok(Err(reason))
    }

    async fn history(&self, config: &Config) -> anyhow::Result<SqliteHistory> {
        let (symbols, sources) = (Arc::clone(&self.symbols), Arc::clone(&self.sources));
        let settings = config.sqlite_settings();
        let history =
            SqliteHistory::open(&config.data_dir, symbols, sources, settings, self.log.epoch()).await?;
        Ok(history)
    }
}

/// Moves a history that cannot be used aside, and computes another from the log.
async fn restore_all(
    config: &Config,
    checked_log: &Checked,
    num_unusable: usize,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let origin = match Origin::open(config, checked_log).await? {
        Ok(origin) => origin,
        Err(reason) => {
            say(&format!("`history.db` cannot be restored: {reason}"));
            return Ok(());
        }
    };
    for suffix in ["", "-wal", "-shm"] {
        let path = |name: &str| config.data_dir.join(format!("{name}{suffix}"));
        match std::fs::rename(path("history.db"), path("history.db.damaged")) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).context("failed to move `history.db` aside");
            }
            _ => {}
        }
    }
    let history = origin.history(config).await?;
    apply_log(&origin, &history).await?;
    history.close().await?;
    origin.log.close().await?;
    outcome.num_damaged -= num_unusable;
    outcome.num_mended += num_unusable;
    say(
        "mended: `history.db` was restored from the log, the old one is `history.db.damaged`; bars that only the end of a \
         replay closed come back when the same replay is run again, and a venue's bars that `tickwire backfill` wrote when \
         it is",
    );
    Ok(())
}

/// Computes again what was deleted from the history. All rows are written, which does not change existing ones: a
/// damaged key may have been that of another row.
async fn restore_rows(
    config: &Config,
    checked_log: &Checked,
    checked: &Checked,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let origin = match Origin::open(config, checked_log).await? {
        Ok(origin) => origin,
        Err(reason) => {
            let num = checked.windows.len() + checked.letters.len();
            outcome.lost(&format!(
                "{num} rows of the history were deleted and cannot be computed again: {reason}"
            ));
            return Ok(());
        }
    };
    let history = origin.history(config).await?;
    let mut states = apply_log(&origin, &history).await?;
    let missing = missing_windows(&config.data_dir, &checked.windows).await?;
    // A finished replay closed the bars that its log leaves open; nothing else may be closed here.
    let mut rest = Vec::new();
    states.values_mut().for_each(|state| state.finish(&mut rest));
    rest.retain(|effect| {
        let (table, symbol, width, start) = match effect {
            Effect::Bar(bar) => ("bars", bar.symbol, bar.width, bar.start),
            Effect::Indicators(point) => ("indicators", point.symbol, point.width, point.start),
            Effect::Anomaly(_) | Effect::DeadLetter(_) | Effect::Sealed(_) => return false,
        };
        let number = history.number_of(symbol).map(i64::from);
        number.is_some_and(|number| missing.contains(&(table, (number, width.nanos(), start.0))))
    });
    write(&history, &origin.symbols, rest, 0).await?;
    history.close().await?;
    origin.log.close().await?;
    for (table, (symbol, width, start)) in missing_windows(&config.data_dir, &checked.windows).await? {
        say(&format!(
            "note: `history.db`, table `{table}`, symbol {symbol}, width {width}, start {start}: the log has nothing for \
             this row; either its key was damaged, and the row with the right key is restored, or it came of \
             `tickwire backfill`, which brings it again"
        ));
    }
    let num_unparsed = checked.letters.iter().filter(|pos| pos.is_none()).count();
    if num_unparsed > 0 {
        outcome.lost(&format!("{num_unparsed} dead letters that never became entries"));
    }
    Ok(())
}

/// True when a checkpoint shows that the log was processed under other settings.
async fn has_other_settings(log: &SqliteLog, core: &Arc<CoreSettings>) -> anyhow::Result<bool> {
    let found = log.load_checkpoints(Partition::EMBEDDED).await?;
    // Only whether they can be decoded matters, so the names may be any.
    let names = || Arc::<Names>::default() as Arc<dyn Interner>;
    let is_other = |bytes: &[u8]| {
        matches!(SymbolState::decode(bytes, Arc::clone(core), names()), Err(CheckpointError::Settings))
    };
    Ok(found.symbols.iter().flatten().any(|checkpoint| is_other(&checkpoint.bytes)))
}

/// Applies the whole log to new states and writes the effects. Returns the final states.
async fn apply_log(
    origin: &Origin,
    history: &SqliteHistory,
) -> anyhow::Result<BTreeMap<SymbolId, SymbolState>> {
    let Origin { log, symbols, sources, core, .. } = origin;
    let names = Names::interner(symbols, sources);
    let poison = log.poison(Partition::EMBEDDED).await?;
    let mut states: BTreeMap<SymbolId, SymbolState> = BTreeMap::new();
    let (mut effects, mut after): (Vec<Effect>, Position) = (Vec::new(), 0);
    loop {
        let page = log.read(after, PAGE_ENTRIES).await?;
        let Some(last) = page.last() else { break };
        after = last.pos;
        for entry in &page {
            if entry.body.is_broadcast() {
                states.values_mut().for_each(|state| state.apply(std::slice::from_ref(entry), &mut effects));
                continue;
            }
            let new = || {
                let spec = symbols.spec(entry.symbol);
                SymbolState::new(entry.symbol, &spec, Arc::clone(core), Arc::clone(&names))
            };
            let state = states.entry(entry.symbol).or_insert_with(new);
            if poison.binary_search(&entry.pos).is_ok() {
                state.set_aside_poison(entry, &mut effects);
            } else {
                state.apply(std::slice::from_ref(entry), &mut effects);
            }
        }
        if effects.len() >= BATCH_EFFECTS {
            write(history, symbols, std::mem::take(&mut effects), 0).await?;
        }
    }
    write(history, symbols, effects, origin.last).await?;
    Ok(states)
}

async fn write(
    history: &SqliteHistory,
    symbols: &SymbolTable,
    effects: Vec<Effect>,
    acknowledged: Position,
) -> anyhow::Result<()> {
    let signals = SignalBatch::of_effects(&effects, symbols);
    if !signals.is_empty() {
        history.write_signals(&signals).await?;
    }
    Ok(history
        .write(&HistoryBatch { effects: vec![Arc::new(effects)], acknowledged, ..HistoryBatch::default() })
        .await?)
}
