//! Periodic work beside the data path: samples of the metrics, checks of the disk, of the files of the data directory and of
//! the history's replica, and retention of the history.
//!
//! Promises: nothing waits for this work. On failure: checks that may block on the disk run on a thread of their own; if
//! the disk hangs, health reports it, and the process still stops when told to.

use crate::actors::health::{Health, HealthRegistry};
use crate::actors::partition::retention::{Doubt, RetentionClock};
use crate::config::Config;
use crate::data_dir::FileWatch;
use crate::models::time::DAY;
use crate::node::Node;
use crate::stores::history::ReplicaUse;
use crate::stores::log::{LogGroup, Progress};
use crate::web::state::AppState;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::time::{MissedTickBehavior, interval};

const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
const CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// A check that takes longer than this is reported.
const CHECK_LIMIT: Duration = Duration::from_secs(10);
const RETENTION_INTERVAL: Duration = Duration::from_secs(3_600);

/// Key under which the log stores that the wall clock is in doubt, so that this outlives the process.
const DOUBT_KEY: &str = "retention_clock";

/// Makes the clock by which retention judges ages.
///
/// # Errors
/// When the log cannot be read.
pub async fn retention_clock(node: &Node) -> anyhow::Result<Arc<RetentionClock>> {
    let stored = node.log.progress(DOUBT_KEY).await?;
    // A damaged value is ignored: the newest time of the log decides then.
    let doubt = stored.and_then(|bytes| postcard::from_bytes::<Option<Doubt>>(&bytes).ok()).flatten();
    let newest = node.log.tail().await?.newest;
    Ok(Arc::new(RetentionClock::new(Arc::clone(&node.env.now), newest, doubt)))
}

/// Starts all periodic work.
pub fn start(config: &Config, node: &Node, state: Arc<AppState>, retention: Arc<RetentionClock>) {
    every(SAMPLE_INTERVAL, {
        let (state, threshold) = (Arc::clone(&state), config.metrics.latency_threshold);
        move || {
            state.metrics.sample(state.now());
            state.metrics.judge_latency(threshold);
        }
    });
    if !node.is_durable() {
        return;
    }
    let last_check = Arc::new(LastCheck::default());
    let check = DiskCheck {
        state: Arc::downgrade(&state),
        dir: config.data_dir.clone(),
        low: config.log.disk_low.0,
        watch: node.watch.clone(),
        mark_is_failing: Arc::clone(&node.mark_is_failing),
        last_check: Arc::clone(&last_check),
    };
    if let Err(error) = std::thread::Builder::new().name("disk-watch".to_owned()).spawn(move || check.run()) {
        tracing::error!(%error, "failed to start the checks of the disk");
    }
    every(SAMPLE_INTERVAL, {
        let state = Arc::clone(&state);
        move || last_check.report_overdue(&state.health)
    });
    every(CHECK_INTERVAL, {
        let (state, retention) = (Arc::clone(&state), Arc::clone(&retention));
        let mut is_doubted = false;
        move || is_doubted = check_clock(&state, &retention, is_doubted)
    });
    every(CHECK_INTERVAL, {
        let state = Arc::clone(&state);
        move || _ = actix::spawn(check_replica(Arc::clone(&state)))
    });
    let mut is_doubt_stored = false;
    every(RETENTION_INTERVAL, move || {
        let (state, now) = (Arc::clone(&state), retention.now());
        let doubt = retention.doubt();
        let must_store = doubt.is_some() || is_doubt_stored;
        is_doubt_stored = doubt.is_some();
        actix::spawn(async move {
            if must_store {
                store_doubt(&state, doubt).await;
            }
            match state.history.retain(now).await {
                Ok(0) => {}
                Ok(rows) => tracing::info!(rows, "dropped history that is past its retention"),
                Err(error) => tracing::warn!(%error, "failed to drop old history; it is tried again"),
            }
        });
    });
}

fn every(period: Duration, mut work: impl FnMut() + 'static) {
    actix::spawn(async move {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            work();
        }
    });
}

/// Reports whether reads go to the history's replica, where there is one.
async fn check_replica(state: Arc<AppState>) {
    match state.history.replica().await {
        None => {}
        Some(ReplicaUse::Read) => state.health.set("history_replica", Health::Healthy, ""),
        Some(ReplicaUse::PassedOver(reason)) => {
            state.health.set(
                "history_replica",
                Health::Degraded,
                format!("reads go to the primary: {reason}"),
            );
        }
    }
}

/// Reports when the wall clock is not trusted. Returns true while it is not.
fn check_clock(state: &AppState, retention: &RetentionClock, was_doubted: bool) -> bool {
    let trusted = retention.now();
    let is_doubted = retention.doubt().is_some();
    if is_doubted {
        let days = state.now().since(trusted) / DAY;
        let detail = format!(
            "it is {days} days ahead of the newest data: no data is dropped by its time until it has run on for a day"
        );
        if !was_doubted {
            tracing::warn!(
                days,
                "the system's clock jumped ahead: check it; no data is dropped by its time for a day"
            );
        }
        state.health.set("clock", Health::Degraded, detail);
    } else if was_doubted {
        tracing::info!("the system's clock is trusted again");
        state.health.set("clock", Health::Healthy, "");
    }
    is_doubted
}

async fn store_doubt(state: &AppState, doubt: Option<Doubt>) {
    let value = postcard::to_stdvec(&doubt).expect("a doubt is plain data");
    let progress = Some(Progress { key: DOUBT_KEY.to_owned(), value });
    if let Err(error) = state.log.append(&LogGroup { entries: Vec::new(), progress }).await {
        tracing::warn!(%error, "failed to store that the clock is in doubt; it is tried again");
    }
}

/// The time of the last check.
struct LastCheck {
    begun: Instant,
    /// Milliseconds since `begun`.
    last: AtomicU64,
}

impl Default for LastCheck {
    fn default() -> LastCheck {
        LastCheck { begun: Instant::now(), last: AtomicU64::new(0) }
    }
}

impl LastCheck {
    fn note(&self) {
        self.last.store(self.begun.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// Reports when the disk has not answered for long.
    fn report_overdue(&self, health: &HealthRegistry) {
        let since =
            self.begun.elapsed().saturating_sub(Duration::from_millis(self.last.load(Ordering::Relaxed)));
        if since > CHECK_INTERVAL + CHECK_LIMIT {
            health.set("disk", Health::Unhealthy, format!("has not answered for {} s", since.as_secs()));
        }
    }
}

/// Checks the disk and the files until the server is gone.
struct DiskCheck {
    state: Weak<AppState>,
    dir: PathBuf,
    low: u64,
    watch: Option<FileWatch>,
    mark_is_failing: Arc<AtomicBool>,
    last_check: Arc<LastCheck>,
}

impl DiskCheck {
    fn run(self) {
        let (mut disk, mut files) = (Health::Healthy, Health::Healthy);
        loop {
            let (disk_now, disk_detail) = self.disk();
            let Some(state) = self.state.upgrade() else { return };
            let (files_now, files_detail) = self.files(&state);
            if disk_now > disk {
                tracing::warn!(
                    detail = disk_detail,
                    "the disk is nearly full: make room, or lower `log.retention_size`"
                );
            }
            if files_now > files {
                tracing::error!(
                    detail = files_detail,
                    "files of the data directory are missing, replaced or damaged"
                );
            }
            (disk, files) = (disk_now, files_now);
            state.health.set("disk", disk_now, disk_detail);
            state.health.set("files", files_now, files_detail);
            state.metrics.log_size_bytes.set(self.log_bytes());
            self.last_check.note();
            drop(state);
            std::thread::sleep(CHECK_INTERVAL);
        }
    }

    /// Checks the free space of the disk.
    fn disk(&self) -> (Health, String) {
        match rustix::fs::statvfs(&self.dir) {
            Ok(disk) if disk.f_bavail * disk.f_frsize < self.low => {
                (Health::Degraded, format!("{} bytes are free", disk.f_bavail * disk.f_frsize))
            }
            Ok(_) => (Health::Healthy, String::new()),
            Err(error) => (Health::Degraded, format!("cannot be checked: {error}")),
        }
    }

    fn files(&self, state: &AppState) -> (Health, String) {
        if let Some(Err(gone)) = self.watch.as_ref().map(FileWatch::look) {
            return (
                Health::Unhealthy,
                format!("{gone}: stop the program, and put the file back from a copy"),
            );
        }
        if self.mark_is_failing.load(Ordering::Relaxed) {
            return (
                Health::Degraded,
                "`positions` cannot be written: a crash would lose uncounted entries".to_owned(),
            );
        }
        match state.log.damage().or_else(|| state.history.damage()) {
            Some(damage) => (Health::Degraded, damage),
            None => (Health::Healthy, String::new()),
        }
    }

    /// Returns the bytes of the log, its WAL included.
    fn log_bytes(&self) -> i64 {
        let size = |name: &str| std::fs::metadata(self.dir.join(name)).map_or(0, |file| file.len());
        i64::try_from(size("log.db") + size("log.db-wal")).unwrap_or(i64::MAX)
    }
}
