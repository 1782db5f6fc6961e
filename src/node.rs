//! What `run` and `replay` have in common: a data directory that is ours alone, the stores in it, and the environment
//! of the data path.

use crate::actors::faults::FaultPlan;
use crate::actors::pipeline::{PipelineSettings, Storage};
use crate::actors::recovery::PointPolicy;
use crate::actors::shard::Environment;
use crate::actors::views::{HealthBoard, SourceClocks, ViewBoard};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, LogKind};
use crate::metrics::Metrics;
use crate::models::source::SourceTable;
use crate::models::symbol::SymbolTable;
use crate::stores::high_water::HighWater;
use crate::stores::memory::{MemoryHistory, MemoryLog};
use crate::stores::sqlite::{SqliteHistory, SqliteLog};
use crate::stores::{History, TickLog};
use anyhow::Context;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;

/// What a process works with, whatever it does.
pub struct Node {
    /// All symbols.
    pub symbols: Arc<SymbolTable>,
    /// All sources.
    pub sources: Arc<SourceTable>,
    /// How the components are.
    pub health: Arc<HealthBoard>,
    /// What the actors work with.
    pub env: Environment,
    /// The log; it keeps little when nothing outlives the process.
    pub log: Arc<dyn TickLog>,
    /// The history.
    pub history: Arc<dyn History>,
    /// Names the log.
    pub epoch: u64,
    is_durable: bool,
    high_water: Option<HighWater>,
    /// Held as long as the process uses the directory.
    _lock: Option<File>,
}

impl Node {
    /// Opens the stores that the configuration names.
    ///
    /// # Errors
    /// When another process uses the data directory, or a store cannot be opened.
    pub async fn open(config: &Config) -> anyhow::Result<Node> {
        match config.log.kind {
            LogKind::Memory => Node::in_memory(config, MemoryHistory::MAX_ROWS).await,
            LogKind::Sqlite => Node::on_disk(config).await,
        }
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
        let env = environment(config, &symbols, None);
        Ok(Node {
            symbols,
            sources,
            health: Arc::default(),
            env,
            log,
            history: Arc::new(history),
            epoch,
            is_durable: false,
            high_water: None,
            _lock: None,
        })
    }

    async fn on_disk(config: &Config) -> anyhow::Result<Node> {
        let dir = &config.data_dir;
        std::fs::create_dir_all(dir)
            .with_context(|| format!("failed to make the data directory `{}`", dir.display()))?;
        let lock = lock(dir)?;
        let (symbols, sources) = (Arc::<SymbolTable>::default(), Arc::<SourceTable>::default());
        let settings = config.sqlite_settings();
        let log = SqliteLog::open(dir, Arc::clone(&symbols), Arc::clone(&sources), settings.clone()).await;
        let log = log.with_context(|| format!("cannot open the log in `{}`", dir.display()))?;
        let epoch = log.epoch();
        let history =
            SqliteHistory::open(dir, Arc::clone(&symbols), Arc::clone(&sources), settings, epoch).await;
        let history = history.with_context(|| format!("cannot open the history in `{}`", dir.display()))?;
        let high_water = HighWater::open(dir).context("failed to open the mark of positions")?;
        let log: Arc<dyn TickLog> = Arc::new(log);
        let env = environment(config, &symbols, Some(Arc::clone(&log)));
        Ok(Node {
            symbols,
            sources,
            health: Arc::default(),
            env,
            log,
            history: Arc::new(history),
            epoch,
            is_durable: true,
            high_water: Some(high_water),
            _lock: Some(lock),
        })
    }

    /// Returns what the pipeline stores into, once.
    pub fn storage(&mut self, keeps_ticks: bool) -> Storage {
        Storage {
            log: keeps_ticks.then(|| Arc::clone(&self.log)),
            is_durable: self.is_durable,
            high_water: self.high_water.take(),
            history: Arc::clone(&self.history),
            live: None,
        }
    }

    /// True when what happens outlives the process.
    #[must_use]
    pub const fn is_durable(&self) -> bool {
        self.is_durable
    }

    /// Lets readers see a picture of every symbol.
    pub fn publish_views(&mut self) -> Arc<ViewBoard> {
        Arc::clone(self.env.views.get_or_insert_default())
    }
}

/// Returns how the configuration wants the pipeline.
#[must_use]
pub fn pipeline_settings(config: &Config) -> PipelineSettings {
    PipelineSettings {
        num_shards: config.core.shard_count(),
        group: config.group_policy(),
        points: PointPolicy {
            max_age: config.recovery.max_age,
            replay_entries: config.recovery.replay_entries,
        },
    }
}

fn environment(config: &Config, symbols: &Arc<SymbolTable>, log: Option<Arc<dyn TickLog>>) -> Environment {
    Environment {
        settings: Arc::new(config.core_settings()),
        symbols: Arc::clone(symbols),
        views: None,
        live: None,
        clocks: Arc::new(SourceClocks::default()),
        metrics: Arc::new(Metrics::new(config.metrics.max_symbols)),
        faults: Arc::new(FaultPlan::default()),
        log,
        max_entries: usize::try_from(config.recovery.max_entries).unwrap_or(usize::MAX),
        urgent: Arc::default(),
        now: Arc::new(|| SystemClock.now()),
    }
}

/// Takes the directory for this process. The system lets go of it when the process ends, however it does.
fn lock(dir: &Path) -> anyhow::Result<File> {
    let path = dir.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("failed to open `{}`", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => anyhow::bail!(
            "another process uses the data directory `{}`: stop it, or name another with `--data-dir`",
            dir.display()
        ),
        Err(TryLockError::Error(error)) => Err(error).context("failed to lock the data directory"),
    }
}
