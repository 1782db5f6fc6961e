//! A durable sink that lets go of what it has no room for: nothing waits for it, and it ends with every row.

use super::durable::{config, feed};
use super::{QUICK, Scripted, Step, until};
use crate::support::scenario::bad_day;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tickwire::actors::health::Health;
use tickwire::actors::pipeline::{Pipeline, Storage};
use tickwire::actors::sinks::set::SinkSetup;
use tickwire::actors::sinks::{Delivery, OnFull, SinkPolicy};
use tickwire::config::Config;
use tickwire::models::entry::Position;
use tickwire::models::symbol::SymbolId;
use tickwire::node::{Node, pipeline_settings};

const NUM_SYMBOLS: u32 = 6;

/// Little room, so that little of an outage fills it.
const LAGGING: SinkPolicy =
    SinkPolicy { timeout: None, rows_max: 400, batch_rows: 100, on_full: OnFull::CatchUp, ..QUICK };

async fn open(config: &Config, second: &Arc<Scripted>, policy: SinkPolicy) -> (Node, Pipeline) {
    let mut node = Node::open(config).await.unwrap();
    let sinks = vec![SinkSetup { sink: second.clone(), policy }];
    let storage = Storage { sinks, ..node.storage(true) };
    let settings = pipeline_settings(config);
    let pipeline = Pipeline::start(node.env.clone(), settings, storage, node.health.clone()).await.unwrap();
    (node, pipeline)
}

fn health(node: &Node, name: &str) -> (Health, String) {
    let found = node.health.components().into_iter().find(|(component, _)| component == name);
    found.map(|(_, health)| (health.status, health.detail)).unwrap()
}

/// What a sink was given, each row once.
#[derive(Debug, PartialEq)]
struct Rows {
    positions: BTreeSet<Position>,
    ticks: BTreeMap<SymbolId, BTreeSet<u64>>,
}

fn rows(sink: &Scripted) -> Rows {
    let ticks = sink.ticks_by_symbol().into_iter();
    Rows {
        positions: sink.positions().into_iter().collect(),
        ticks: ticks.map(|(symbol, seqs)| (symbol, seqs.into_iter().collect())).collect(),
    }
}

/// Returns what a sink gets that everybody waits for.
fn expected(day: &[tickwire::models::entry::Entry]) -> Rows {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let sink = Arc::new(Scripted::new(Delivery::Durable).named("second"));
    actix::System::new().block_on(async {
        let policy = SinkPolicy { timeout: None, ..QUICK };
        let (node, pipeline) = open(&config, &sink, policy).await;
        feed(&node, &pipeline, day).await;
        pipeline.drain().await.unwrap();
        pipeline.end();
        node.close().await;
    });
    rows(&sink)
}

#[test]
fn nothing_waits_for_a_sink_that_lags_and_it_meets_the_run_again() {
    let day = bad_day(NUM_SYMBOLS, 4.0, 9_000, 31);
    let expected = expected(&day);
    assert!(expected.positions.len() > 100, "{}", expected.positions.len());
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let sink = Arc::new(Scripted::new(Delivery::Durable).named("second"));
    let last = day.len() as Position;
    actix::System::new().block_on(async {
        let (node, pipeline) = open(&config, &sink, LAGGING).await;
        let (first, rest) = day.split_at(day.len() / 3);
        sink.script([Step::Hang]);
        feed(&node, &pipeline, first).await;
        // Nobody waits: the other one has everything meanwhile, and the end would not wait either.
        until("the history", || pipeline.num_uncommitted() == 0).await;
        pipeline.drain().await.unwrap();
        let metrics = node.env.metrics.sink("second");
        assert!(metrics.deferred.get() > 1_000, "{} rows were let go of", metrics.deferred.get());
        assert!(metrics.queue_length.get() <= LAGGING.rows_max as i64, "{} wait", metrics.queue_length.get());
        until("how far it is behind", || metrics.behind.get() > 100).await;
        // It fails while it catches up, too, and the run goes on.
        sink.script([Step::Transient, Step::Permanent, Step::Panic]);
        sink.let_go();
        for part in rest.chunks(500) {
            feed(&node, &pipeline, part).await;
        }
        until("everything", || sink.acknowledged() == last).await;
        until("the run", || metrics.behind.get() == 0).await;
        until("its health", || health(&node, "second") == (Health::Healthy, String::new())).await;
        assert!(node.health.is_ready() || !node.health.lacks_what_is_needed());
        pipeline.drain().await.unwrap();
        pipeline.end();
        node.close().await;
    });
    assert_eq!(rows(&sink), expected);
}

#[test]
fn a_sink_that_is_not_there_at_the_start_delays_nothing_but_itself() {
    let day = bad_day(NUM_SYMBOLS, 4.0, 6_000, 57);
    let expected = expected(&day);
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let sink = Arc::new(Scripted::new(Delivery::Durable).named("second"));
    let last = day.len() as Position;
    sink.set_away(true);
    let (first, rest) = day.split_at(day.len() / 2);
    // It is away through a whole process, and at the start of the next one.
    actix::System::new().block_on(async {
        let (node, pipeline) = open(&config, &sink, LAGGING).await;
        feed(&node, &pipeline, first).await;
        pipeline.drain().await.unwrap();
        let (status, detail) = health(&node, "second");
        assert_eq!(status, Health::Unhealthy);
        assert!(
            detail.contains("nobody is there") && detail.contains("positions of the log behind"),
            "{detail}"
        );
        pipeline.stop().await.unwrap();
        node.close().await;
    });
    assert!(sink.positions().is_empty(), "nothing was written");
    actix::System::new().block_on(async {
        let (node, pipeline) = open(&config, &sink, LAGGING).await;
        feed(&node, &pipeline, rest).await;
        pipeline.drain().await.unwrap();
        assert_eq!(sink.acknowledged(), 0);
        sink.set_away(false);
        until("everything", || sink.acknowledged() == last).await;
        until("its health", || health(&node, "second") == (Health::Healthy, String::new())).await;
        pipeline.stop().await.unwrap();
        node.close().await;
    });
    assert_eq!(rows(&sink), expected);
}
