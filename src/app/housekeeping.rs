//! What happens by the clock beside the data path: samples of the metrics, a look at the disk, and the end of old history.

use crate::actors::views::Health;
use crate::config::Config;
use crate::node::Node;
use crate::web::state::AppState;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
const DISK_INTERVAL: Duration = Duration::from_secs(10);
const RETENTION_INTERVAL: Duration = Duration::from_secs(3_600);

/// Starts it all.
pub fn start(config: &Config, node: &Node, state: Arc<AppState>) {
    every(SAMPLE_INTERVAL, {
        let state = Arc::clone(&state);
        move || state.metrics.sample(state.now())
    });
    if !node.is_durable() {
        return;
    }
    every(DISK_INTERVAL, {
        let (state, dir, low) = (Arc::clone(&state), config.data_dir.clone(), config.log.disk_low.0);
        move || look_at_disk(&state, &dir, low)
    });
    every(RETENTION_INTERVAL, move || {
        let state = Arc::clone(&state);
        actix::spawn(async move {
            match state.history.retain(state.now()).await {
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

/// Warns when the disk is nearly full: the log will soon have nowhere to go.
fn look_at_disk(state: &AppState, dir: &PathBuf, low: u64) {
    let free = match rustix::fs::statvfs(dir) {
        Ok(disk) => disk.f_bavail * disk.f_frsize,
        Err(error) => {
            state.health.set("disk", Health::Degraded, format!("cannot be looked at: {error}"));
            return;
        }
    };
    if free < low {
        tracing::warn!(
            free_bytes = free,
            "the disk is nearly full: make room, or lower `log.retention_size`"
        );
        state.health.set("disk", Health::Degraded, format!("{free} bytes are free"));
    } else {
        state.health.set("disk", Health::Healthy, "");
    }
}
