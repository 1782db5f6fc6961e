//! Serves an existing data directory over REST, WebSocket and the dashboard, without adding to it.
//!
//! Promises: no provider runs, no entry is written, nothing is dropped and no checkpoint is taken; what the log holds
//! beyond the history is computed again, as at any start. The directory's own settings apply. Relative times of
//! requests count from the newest time in the directory, since nothing newer will come. On failure: a directory that
//! holds nothing, or that cannot be opened, ends the command with an error.

use super::listeners::Listeners;
use super::signals::Signals;
use super::{announce, app_state, live};
use crate::actors::hub::messages::{BeginServing, StopServing};
use crate::actors::pipeline::{LiveOutputs, Pipeline, Storage};
use crate::config::Config;
use crate::models::provenance::DataKind;
use crate::models::time::Nanos;
use crate::node::directory::Run;
use crate::node::{Node, pipeline_settings};
use anyhow::Context;
use std::sync::Arc;

/// Serves the data directory until stopped.
///
/// # Errors
/// When the directory holds nothing, another process uses it, or a port or a store cannot be opened.
pub fn show(config: Config) -> anyhow::Result<()> {
    actix::System::new().block_on(serve(config))
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let signals = Signals::arm(config.server.stop_timeout)?;
    let (mut node, record) = tokio::select! {
        opened = Node::open_to_show(&config) => opened?,
        _ = signals.received() => return Ok(()),
    };
    let listeners = Listeners::bind(&config)?;
    let live = live(&config, &mut node);
    let provenance = record.provenance(&node.sources);
    announce(&provenance);
    let state = app_state(&config, &mut node, &live, provenance, None, None);
    let server = listeners.serve(&config, Arc::clone(&state))?;

    let outputs =
        LiveOutputs { batches: live.hub.clone().recipient(), durable: live.hub.clone().recipient() };
    let storage =
        Storage { live: Some(outputs), high_water: None, is_shown_only: true, ..node.storage(true) };
    let pipeline =
        Pipeline::start(node.env.clone(), pipeline_settings(&config), storage, node.health.clone());
    let pipeline = tokio::select! {
        started = pipeline => started?,
        _ = signals.received() => return Ok(()),
    };
    if record.data == DataKind::Replay && !record.runs.iter().any(Run::waits) {
        // The end of the replay closed every bar, which no checkpoint holds.
        pipeline.finish().await?;
    } else {
        pipeline.drain().await?;
    }
    let newest =
        state.snapshots.all().iter().map(|snapshot| snapshot.watermark.plus(state.core.lateness)).max();
    let newest = newest.filter(|time| *time > Nanos::MIN.plus(state.core.lateness));
    if let Some(newest) = newest.or(node.log.tail().await?.newest) {
        // An error would mean that it is set already; nothing else sets it.
        state.shown_until.set(newest).ok();
    }
    live.hub.send(BeginServing).await.context("the hub is gone")?;
    node.health.set_ready(true);
    tracing::info!("ready: the data directory is served, and nothing is added to it");

    let by = signals.received().await;
    tracing::info!("{by}; stopping");
    node.health.set_ready(false);
    let stop = async {
        live.stop();
        live.hub.send(StopServing).await.context("the hub is gone")?;
        actix_web::web::block(|| server.stop()).await.context("the web servers are gone")??;
        pipeline.end();
        node.close().await;
        anyhow::Ok(())
    };
    tokio::time::timeout(config.server.stop_timeout, stop).await.context("the stop took too long")??;
    tracing::info!("stopped");
    Ok(())
}
