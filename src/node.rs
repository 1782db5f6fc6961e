//! What `run`, `replay` and `serve` have in common: exclusive use of a data directory, the stores in it, and the
//! environment of the data path.

pub mod directory;
pub mod postgres;

use crate::actors::environment::{Environment, Published};
use crate::actors::faults::FaultPlan;
use crate::actors::health::HealthRegistry;
use crate::actors::partition::durability::Durability;
use crate::actors::partition::recovery::CheckpointPolicy;
use crate::actors::pipeline::{PipelineSettings, Storage};
use crate::actors::sinks::SinkPolicy;
use crate::actors::sinks::history::POLICY;
use crate::actors::snapshots::SymbolSnapshots;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Core, HistoryKind, LogKind};
use crate::data_dir::{DataDir, FileWatch};
use crate::metrics::Metrics;
use crate::names::{Names, SourceTable, SymbolTable};
use crate::stores::history::History;
use crate::stores::history::memory::MemoryHistory;
use crate::stores::history::sqlite::SqliteHistory;
use crate::stores::log::high_water::HighWater;
use crate::stores::log::memory::MemoryLog;
use crate::stores::log::sqlite::SqliteLog;
use crate::stores::log::{LogReader, TickLog};
use anyhow::Context;
use directory::Record;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// What a process works with, whatever its command.
pub struct Node {
    /// All symbols.
    pub symbols: Arc<SymbolTable>,
    /// All sources.
    pub sources: Arc<SourceTable>,
    /// The health of the components.
    pub health: Arc<HealthRegistry>,
    /// What the actors work with.
    pub env: Environment,
    /// The log; it keeps little when nothing outlives the process.
    pub log: Arc<dyn TickLog>,
    /// The history.
    pub history: Arc<dyn History>,
    /// How it is served.
    pub history_policy: SinkPolicy,
    /// Why nobody knows yet what it holds, where its backend was not there when it was opened.
    pub history_away: Option<String>,
    /// How far the log is durable.
    pub durability: Arc<Durability>,
    /// Names the log.
    pub epoch: u64,
    /// The settings that hold: those configured, with the windows of the data directory where none are.
    pub core: Core,
    /// What the data directory was begun with; `None` where it is new, or nothing outlives the process.
    pub record: Option<Record>,
    is_durable: bool,
    high_water: Option<HighWater>,
    /// True while the mark of positions cannot be written.
    pub mark_is_failing: Arc<AtomicBool>,
    /// Sees when a file of the data directory is deleted; `None` when nothing outlives the process.
    pub watch: Option<FileWatch>,
    /// Held as long as the process uses the directory.
    _data_dir: Option<DataDir>,
}

/// What a data directory is opened for.
enum Use<'a> {
    /// Something that has nothing to do without any of its stores.
    Whole,
    /// A run.
    Run,
    /// To show what it holds. Takes what it was begun with, whose settings then hold in place of the configuration's.
    Show(&'a mut Option<Record>),
}

/// How long the stores may take to put everything into their files at the end: what is not done by then is done by the
/// next start.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

impl Node {
    /// Opens the stores that the configuration names.
    ///
    /// # Errors
    /// When another process uses the data directory, or a store cannot be opened.
    pub async fn open(config: &Config) -> anyhow::Result<Node> {
        match config.log.kind {
            LogKind::Memory => Node::in_memory(config, MemoryHistory::MAX_ROWS).await,
            LogKind::Sqlite => Node::on_disk(config, Use::Whole).await,
        }
    }

    /// The same for a run: a history in PostgreSQL may come later.
    ///
    /// # Errors
    /// When another process uses the data directory, or a store that is there cannot be opened.
    pub async fn open_for_run(config: &Config) -> anyhow::Result<Node> {
        match config.log.kind {
            LogKind::Memory => Node::open(config).await,
            LogKind::Sqlite => Node::on_disk(config, Use::Run).await,
        }
    }

    /// Opens a data directory to serve what it holds, with the settings that its results were made with.
    ///
    /// # Errors
    /// When it holds nothing, another process uses it, or a store cannot be opened.
    pub async fn open_to_show(config: &Config) -> anyhow::Result<(Node, Record)> {
        let dir = config.data_dir.display();
        let nothing = || {
            format!(
                "the data directory `{dir}` holds nothing to serve: name one that `run` or `replay` has filled"
            )
        };
        anyhow::ensure!(config.data_dir.join("log.db").is_file(), nothing());
        let mut shown = None;
        let node = Node::on_disk(config, Use::Show(&mut shown)).await?;
        Ok((node, shown.with_context(nothing)?))
    }

    /// Makes stores that keep nothing, and at most `max_rows` bars per symbol and window.
    ///
    /// # Errors
    /// Never in practice.
    pub async fn in_memory(config: &Config, max_rows: usize) -> anyhow::Result<Node> {
        let (symbols, sources) = (Arc::<SymbolTable>::default(), Arc::<SourceTable>::default());
        let history = MemoryHistory::new(Arc::clone(&symbols), Arc::clone(&sources), max_rows);
        let log = Arc::new(MemoryLog::new());
        let epoch = log.tail().await?.epoch;
        let core = Record::settings_in(None, &config.core);
        let env = environment(config, &core, &symbols, &sources);
        Ok(Node {
            core,
            symbols,
            sources,
            health: Arc::default(),
            env,
            log,
            history: Arc::new(history),
            history_policy: POLICY,
            history_away: None,
            durability: Arc::default(),
            epoch,
            record: None,
            is_durable: false,
            high_water: None,
            mark_is_failing: Arc::default(),
            watch: None,
            _data_dir: None,
        })
    }

    /// Opens the stores of the data directory.
    async fn on_disk(config: &Config, purpose: Use<'_>) -> anyhow::Result<Node> {
        let dir = &config.data_dir;
        let data_dir = DataDir::take(dir)?;
        let (symbols, sources) = (Arc::<SymbolTable>::default(), Arc::<SourceTable>::default());
        let settings = config.sqlite_settings();
        let log = SqliteLog::open(dir, Arc::clone(&symbols), Arc::clone(&sources), settings.clone()).await;
        let log = log.with_context(|| format!("cannot open the log in `{}`", dir.display()))?;
        let epoch = log.epoch();
        let is_run = matches!(purpose, Use::Run);
        let (history, history_away): (Arc<dyn History>, _) = match config.history.kind {
            HistoryKind::Sqlite => {
                let history =
                    SqliteHistory::open(dir, Arc::clone(&symbols), Arc::clone(&sources), settings, epoch);
                let history = history.await;
                let history =
                    history.with_context(|| format!("cannot open the history in `{}`", dir.display()))?;
                (Arc::new(history), None)
            }
            HistoryKind::Postgres if is_run => {
                postgres::open_for_run(config, Arc::clone(&symbols), Arc::clone(&sources), epoch).await?
            }
            HistoryKind::Postgres => {
                (postgres::open(config, Arc::clone(&symbols), Arc::clone(&sources), epoch).await?, None)
            }
        };
        let high_water = HighWater::open(dir, log.tail().await?.last);
        let high_water = high_water
            .with_context(|| format!("failed to open the mark of positions in `{}`", dir.display()))?;
        let watch = data_dir
            .watch(config.history.kind == HistoryKind::Sqlite)
            .with_context(|| format!("failed to look at the files in `{}`", dir.display()))?;
        let log: Arc<dyn TickLog> = Arc::new(log);
        let record = Record::load(log.as_ref(), &sources).await;
        let record = record.with_context(|| format!("cannot read the data directory `{}`", dir.display()))?;
        let mut core = Record::settings_in(record.as_ref(), &config.core);
        if let Use::Show(shown) = purpose {
            if let Some(noted) = record.as_ref().and_then(|record| record.core.as_ref()) {
                core.clone_from(noted);
            }
            shown.clone_from(&record);
        } else {
            config.check_with(&core).with_context(|| {
                format!("the data directory `{}` has windows of {}", dir.display(), names_of_windows(&core))
            })?;
        }
        say_which_windows(config, &core);
        let env = environment(config, &core, &symbols, &sources);
        Ok(Node {
            core,
            symbols,
            sources,
            health: Arc::default(),
            env,
            log,
            history,
            history_policy: match config.history.kind {
                HistoryKind::Sqlite => POLICY,
                HistoryKind::Postgres => postgres::policy(config, is_run),
            },
            history_away,
            durability: Arc::default(),
            epoch,
            record,
            is_durable: true,
            mark_is_failing: high_water.failing(),
            high_water: Some(high_water),
            watch: Some(watch),
            _data_dir: Some(data_dir),
        })
    }

    /// Returns what the pipeline stores into, once.
    pub fn storage(&mut self, keeps_ticks: bool) -> Storage {
        Storage {
            log: keeps_ticks.then(|| Arc::clone(&self.log)),
            is_durable: self.is_durable,
            high_water: self.high_water.take(),
            history: Arc::clone(&self.history),
            history_policy: self.history_policy,
            history_away: self.history_away.take(),
            durability: Arc::clone(&self.durability),
            sinks: Vec::new(),
            live: None,
            retention: None,
            is_shown_only: false,
        }
    }

    /// Puts everything that was committed into the stores' files, so that each can be copied by itself. For the end of
    /// the process, when nobody reads or writes any more; what cannot be done in time is left to the next start.
    pub async fn close(&self) {
        if let Some(watch) = &self.watch {
            watch.end();
        }
        let close = async { tokio::join!(self.log.close(), self.history.close()) };
        match tokio::time::timeout(CLOSE_TIMEOUT, close).await {
            Ok((log, history)) => {
                for error in [log.err(), history.err()].into_iter().flatten() {
                    tracing::warn!(%error, "a store was not closed; its `-wal` file belongs to it");
                }
            }
            Err(_) => tracing::warn!("closing the stores took too long; their `-wal` files belong to them"),
        }
    }

    /// True when what happens outlives the process.
    #[must_use]
    pub const fn is_durable(&self) -> bool {
        self.is_durable
    }

    /// Publishes a snapshot of every symbol for readers.
    pub fn publish_snapshots(&mut self) -> Arc<SymbolSnapshots> {
        Arc::clone(self.env.published.snapshots.get_or_insert_default())
    }
}

/// Returns how the configuration wants the pipeline.
#[must_use]
pub fn pipeline_settings(config: &Config) -> PipelineSettings {
    PipelineSettings {
        num_shards: config.core.shard_count(),
        num_partitions: 1,
        group: config.group_policy(),
        checkpoints: CheckpointPolicy {
            max_age: config.recovery.max_age,
            replay_entries: config.recovery.replay_entries,
            max_entries: usize::try_from(config.recovery.max_entries).unwrap_or(usize::MAX),
        },
    }
}

fn names_of_windows(core: &Core) -> String {
    core.settings().widths.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// Says so where a directory goes on with other windows than a new one would have.
fn say_which_windows(config: &Config, core: &Core) {
    let (own, usual) = (core.settings().widths, Core::default().settings().widths);
    if config.core.windows.is_none() && own != usual {
        tracing::info!(
            windows = names_of_windows(core),
            "the data directory goes on with the windows that it was begun with; `core.windows` sets others"
        );
    }
}

fn environment(
    config: &Config,
    core: &Core,
    symbols: &Arc<SymbolTable>,
    sources: &Arc<SourceTable>,
) -> Environment {
    Environment {
        settings: Arc::new(config.core_settings(core)),
        symbols: Arc::clone(symbols),
        names: Names::interner(symbols, sources),
        published: Published::default(),
        metrics: Arc::new(Metrics::new(config.metrics.max_symbols)),
        faults: Arc::new(FaultPlan::default()),
        buffers: Arc::default(),
        now: Arc::new(|| SystemClock.now()),
    }
}
