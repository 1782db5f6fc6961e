//! Several durable sinks: whatever waits for one waits for all of them, and each gets everything.

use super::{Place, QUICK, Scripted, Step, bar, batch, run, until};
use crate::support::scenario::bad_day;
use actix::Actor;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tickwire::actors::messages::{EffectBatch, Ingest, UnparsedInput};
use tickwire::actors::pipeline::{Pipeline, Storage};
use tickwire::actors::sinks::set::SinkSetup;
use tickwire::actors::sinks::shell::{CopyUnparsedInput, Followed, SinkActor};
use tickwire::actors::sinks::{Delivery, SinkPolicy};
use tickwire::config::{Config, Sources};
use tickwire::models::entry::{Entry, Position};
use tickwire::models::symbol::SymbolSpec;
use tickwire::models::time::Nanos;
use tickwire::node::{Node, pipeline_settings};
use tickwire::stores::history::DeadLetterRecord;
use tickwire::stores::log::Partition;

const NUM_SYMBOLS: u32 = 6;

pub(super) fn config(dir: &Path) -> Config {
    let environment = [
        ("TICKWIRE__DATA_DIR", dir.to_str().unwrap()),
        ("TICKWIRE__CORE__SHARDS", "2"),
        ("TICKWIRE__RECOVERY__MAX_AGE", "320ms"),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    Config::load(&Sources { environment, ..Sources::default() }).unwrap()
}

#[test]
fn a_partition_whose_log_is_behind_holds_up_no_other() {
    run(async {
        let place = Place::new().await;
        let sink = Arc::new(Scripted::new(Delivery::Durable));
        let partitions = [Partition(0), Partition(1)];
        let followed = || Followed { durable: Some(Arc::default()), num_shards: 1, ..Followed::default() };
        let [behind, other] = [followed(), followed()];
        other.durable.as_ref().unwrap().advance(100);
        let shell = SinkActor::new(
            sink.clone(),
            QUICK,
            place.node.env.clone(),
            Arc::clone(&place.health),
            partitions.into_iter().zip([behind.clone(), other.clone()]),
        );
        // A failure leaves the batch that was brought forward where it is.
        sink.script([Step::Transient]);
        let addr = shell.start();
        let send = |of, pos: Position| {
            let rows = batch(vec![bar(0, pos as i64, pos)], Vec::new(), pos);
            addr.send(EffectBatch { partition: partitions[of], ..rows })
        };
        for (of, pos) in [(0, 10), (1, 20), (0, 11), (1, 21)] {
            send(of, pos).await.unwrap();
        }
        until("the other partition's rows", || other.acknowledged.load(Ordering::SeqCst) == 21).await;
        assert_eq!((sink.positions(), behind.acknowledged.load(Ordering::SeqCst)), (vec![20, 21], 0));
        behind.durable.as_ref().unwrap().advance(10);
        send(1, 22).await.unwrap();
        until("its first row", || behind.acknowledged.load(Ordering::SeqCst) == 10).await;
        behind.durable.as_ref().unwrap().advance(11);
        until("its last row", || behind.acknowledged.load(Ordering::SeqCst) == 11).await;
        assert_eq!(sink.positions().into_iter().filter(|pos| *pos < 20).collect::<Vec<_>>(), [10, 11]);
        assert_eq!(sink.positions().len(), 5);
    });
}

#[test]
fn what_never_became_an_entry_comes_to_a_durable_sink_too_and_nobody_waits_for_that() {
    run(async {
        let place = Place::new().await;
        let keeper = Arc::new(Scripted::new(Delivery::Durable).that_keeps_dead_letters());
        let other = Arc::new(Scripted::new(Delivery::Durable));
        let keeper_addr = place.shell(keeper.clone(), QUICK).start();
        let other_addr = place.shell(other.clone(), QUICK).start();
        let copy = CopyUnparsedInput { name: "other", to: other_addr.clone().recipient() };
        keeper_addr.send(copy).await.unwrap();
        let letter = |origin: &str| DeadLetterRecord {
            reason: "malformed".to_owned(),
            symbol: None,
            provider: "a".to_owned(),
            received_at: Nanos(1),
            payload: "{".to_owned(),
            pos: None,
            origin: origin.to_owned(),
            id: 0,
        };
        other.script([Step::Hang]);
        for origin in ["file:1", "file:2"] {
            keeper_addr.send(UnparsedInput(vec![letter(origin)])).await.unwrap();
        }
        let origins = |sink: &Scripted| -> Vec<String> {
            sink.dead_letters().into_iter().map(|letter| letter.origin).collect()
        };
        assert_eq!(origins(&keeper), ["file:1", "file:2"]);
        assert_eq!(origins(&other).len(), 0);
        until("the write that hangs", || other.num_writes() == 1).await;
        other.let_go();
        until("both letters", || origins(&other) == ["file:1", "file:2"]).await;
    });
}

/// Opens a directory with a second durable sink, which has room for a whole day.
async fn open(config: &Config, second: &Arc<Scripted>) -> (Node, Pipeline) {
    let mut node = Node::open(config).await.unwrap();
    let policy = SinkPolicy { timeout: None, rows_max: 1_000_000, ..QUICK };
    let sinks = vec![SinkSetup { sink: second.clone(), policy }];
    let storage = Storage { sinks, ..node.storage(true) };
    let settings = pipeline_settings(config);
    let pipeline = Pipeline::start(node.env.clone(), settings, storage, node.health.clone()).await.unwrap();
    (node, pipeline)
}

pub(super) async fn feed(node: &Node, pipeline: &Pipeline, day: &[Entry]) {
    node.sources.intern("venue");
    for name in tickwire::actors::ingest::simulated::symbol_names(NUM_SYMBOLS as usize) {
        node.symbols.intern(SymbolSpec::named(&name));
    }
    for part in day.chunks(300) {
        let entries = part.to_vec();
        let ingest = Ingest { entries, dead_letters: Vec::new(), progress: None, received: Nanos::MIN };
        pipeline.log().send(ingest).await.unwrap();
    }
}

/// Returns up to where the checkpoints in the store hold.
async fn covered(node: &Node) -> Position {
    let found = node.log.load_checkpoints(Partition::EMBEDDED).await.unwrap();
    found.slices.iter().map(|[newest, _]| newest.covers_through).max().unwrap()
}

fn sorted(mut positions: Vec<Position>) -> Vec<Position> {
    positions.sort_unstable();
    positions
}

#[test]
fn checkpoints_and_the_end_wait_for_the_slowest_and_one_that_is_behind_is_caught_up() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let day = bad_day(NUM_SYMBOLS, 4.0, 6_000, 87);
    let last = day.len() as Position;
    let slow = Arc::new(Scripted::new(Delivery::Durable).named("second"));
    slow.script([Step::Hang]);
    let (written, ticks) = actix::System::new().block_on(async {
        let (node, pipeline) = open(&config, &slow).await;
        feed(&node, &pipeline, &day).await;
        let mut looks = tokio::time::interval(Duration::from_millis(1));
        let history_is_done = async {
            while node.history.acknowledged().await.unwrap() < last {
                looks.tick().await;
            }
        };
        let mut drain = std::pin::pin!(pipeline.drain());
        tokio::select! {
            _ = &mut drain => panic!("the end did not wait for the second sink"),
            () = history_is_done => {}
            () = tokio::time::sleep(Duration::from_secs(60)) => panic!("the history waits for the second sink"),
        }
        assert_eq!((slow.acknowledged(), covered(&node).await), (0, 0), "a checkpoint did not wait");
        slow.let_go();
        drain.await.unwrap();
        assert_eq!(slow.acknowledged(), last);
        let written = sorted(slow.positions());
        pipeline.finish().await.unwrap();
        assert_eq!(covered(&node).await, last);
        pipeline.end();
        node.close().await;
        (written, slow.ticks_by_symbol())
    });
    assert!(written.len() > 100, "{} rows", written.len());
    // All of them are told as of the past, which only durable sinks hear of.
    assert_eq!(ticks.len(), NUM_SYMBOLS as usize);
    for (symbol, seqs) in &ticks {
        assert!(seqs.iter().copied().eq(1..=seqs.len() as u64), "{symbol:?}: {seqs:?}");
    }
    for held in [last / 2, 0] {
        let second = Arc::new(Scripted::new(Delivery::Durable).named("second").holding(held));
        let num_caught_up = actix::System::new().block_on(async {
            let (node, pipeline) = open(&config, &second).await;
            until("everything", || second.acknowledged() == last).await;
            pipeline.end();
            node.close().await;
            pipeline.num_caught_up
        });
        assert!(num_caught_up >= last - held, "{num_caught_up} entries were applied again");
        let expected: Vec<Position> = written.iter().copied().filter(|pos| *pos > held).collect();
        assert_eq!(sorted(second.positions()), expected, "it held everything up to {held}");
        let again = second.ticks_by_symbol();
        for (symbol, all) in &ticks {
            let seqs = again.get(symbol).map_or(&[][..], Vec::as_slice);
            assert!(all.ends_with(seqs), "{symbol:?}: {seqs:?}");
            assert!(held > 0 || seqs.len() == all.len(), "{symbol:?}: {seqs:?}");
        }
        assert!(again.values().map(Vec::len).sum::<usize>() > 1_000);
    }
}
