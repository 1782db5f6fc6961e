//! What every sink does behind its shell, shown for each of them; and the shell before a backend that does as it is told.

mod durable;
mod influxdb;
mod lagging;
mod scripted;
mod tenants;

use crate::support::process::wait_for;
use crate::support::rows::{assert_same_rows, history_rows, rows_by_log};
use crate::support::scenario::bad_day;
use actix::{Actor, Addr};
use scripted::{Scripted, Step};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tickwire::actors::health::{Health, HealthRegistry};
use tickwire::actors::messages::{EffectBatch, Flush, Ingest, LiveTick, LogDurable, UnparsedInput};
use tickwire::actors::partition::durability::Durability;
use tickwire::actors::pipeline::{Pipeline, Storage};
use tickwire::actors::sinks::set::SinkSetup;
use tickwire::actors::sinks::shell::{Followed, SinkActor};
use tickwire::actors::sinks::{Delivery, OnFull, SinkPolicy};
use tickwire::breaker::BreakerPolicy;
use tickwire::config::{Config, Sources};
use tickwire::metrics::Metrics;
use tickwire::models::bar::{Bar, BarOrigin, BarState};
use tickwire::models::effect::Effect;
use tickwire::models::entry::Position;
use tickwire::models::num::{Price, Size};
use tickwire::models::settings::CoreSettings;
use tickwire::models::symbol::{SymbolId, SymbolSpec};
use tickwire::models::time::{MINUTE, Nanos, Width};
use tickwire::node::{Node, pipeline_settings};
use tickwire::retry::RetryPolicy;
use tickwire::stores::log::Partition;

/// A policy that tries again at once, so that tests wait for nothing but what they ask for.
const QUICK: SinkPolicy = SinkPolicy {
    timeout: Some(Duration::from_secs(20)),
    retry: RetryPolicy { delay: Duration::from_millis(2), max_delay: Duration::from_millis(4) },
    breaker: BreakerPolicy { failures: 5, open_for: Duration::from_millis(4) },
    on_full: OnFull::Block,
    rows_max: 1_000,
    batch_rows: 100,
    batch_age: Duration::from_millis(2),
};

/// The bar of the n-th minute as the entry at `pos` left it.
fn bar(symbol: u32, nth: i64, pos: Position) -> Effect {
    Effect::Bar(Bar {
        symbol: SymbolId(symbol),
        width: Width::parse("1min").unwrap(),
        start: Nanos(nth * MINUTE),
        open: Price(1_000_000_000),
        high: Price(2_000_000_000),
        low: Price(500_000_000),
        close: Price(1_000_000_000 + pos as i64),
        volume: 100_000_000,
        vwap: Some(1_000_000_000),
        trade_count: 1,
        state: BarState::Closed,
        revision: 0,
        coverage: 1.0,
        late: 0,
        duplicates: 0,
        cancelled: 0,
        origin: BarOrigin::Trades,
        seq: nth as u64 + 1,
        log_pos: pos,
    })
}

fn tick(symbol: u32, seq: u64) -> LiveTick {
    let ts = Nanos(seq as i64 * 1_000_000);
    let (symbol, price) = (SymbolId(symbol), Price(seq as i64));
    LiveTick { symbol, ts, received: ts, price, size: Size(1), seq, log_pos: seq }
}

fn batch(effects: Vec<Effect>, ticks: Vec<LiveTick>, through: Position) -> EffectBatch {
    EffectBatch {
        partition: Partition::EMBEDDED,
        shard: 0,
        effects: Arc::new(effects),
        ticks: Arc::new(ticks),
        reports: Arc::default(),
        through,
    }
}

/// What a shell stands in.
struct Place {
    node: Node,
    health: Arc<HealthRegistry>,
    acknowledged: Arc<AtomicU64>,
    wanted: Arc<AtomicU64>,
    durable: Arc<Durability>,
}

impl Place {
    async fn new() -> Place {
        let node = Node::in_memory(&Config::default(), usize::MAX).await.unwrap();
        for name in ["AAPL", "MSFT"] {
            node.symbols.intern(SymbolSpec::named(name));
        }
        let durable = Arc::<Durability>::default();
        durable.advance(Position::MAX - 1);
        Place { node, health: Arc::default(), acknowledged: Arc::default(), wanted: Arc::default(), durable }
    }

    fn shell(&self, sink: Arc<dyn tickwire::actors::sinks::Sink>, policy: SinkPolicy) -> SinkActor {
        let followed = Followed {
            durable: Some(Arc::clone(&self.durable)),
            acknowledged: Arc::clone(&self.acknowledged),
            wanted: Arc::clone(&self.wanted),
            num_shards: 1,
        };
        SinkActor::new(
            sink,
            policy,
            self.node.env.clone(),
            Arc::clone(&self.health),
            [(Partition::EMBEDDED, followed)],
        )
    }

    fn start(&self, sink: &Arc<Scripted>, policy: SinkPolicy) -> Addr<SinkActor> {
        self.shell(sink.clone(), policy).start()
    }

    fn acknowledged(&self) -> Position {
        self.acknowledged.load(Ordering::SeqCst)
    }

    fn health(&self, name: &str) -> (Health, String) {
        let found = self.health.components().into_iter().find(|(component, _)| component == name);
        found.map(|(_, health)| (health.status, health.detail)).unwrap()
    }

    fn metrics(&self) -> &Metrics {
        &self.node.env.metrics
    }
}

/// Waits, letting the actors of this thread work, until the condition holds.
async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let limit = Duration::from_secs(60);
    let mut looks = tokio::time::interval(Duration::from_millis(1));
    let wait = async {
        while !condition() {
            looks.tick().await;
        }
    };
    assert!(tokio::time::timeout(limit, wait).await.is_ok(), "still no {what}");
}

fn run(test: impl Future<Output = ()>) {
    actix::System::new().block_on(test);
}

#[test]
fn rows_come_in_order_by_size_and_are_acknowledged_once_they_are_written() {
    run(async {
        let place = Place::new().await;
        let sink = Arc::new(Scripted::new(Delivery::Durable));
        let addr = place.start(&sink, QUICK);
        for pos in 1..=250 {
            addr.send(batch(vec![bar(0, pos as i64, pos)], vec![tick(0, pos)], pos)).await.unwrap();
        }
        addr.send(Flush).await.unwrap();
        assert!(sink.positions().into_iter().eq(1..=250));
        assert!(sink.seqs().into_iter().eq(1..=250));
        assert!(sink.batch_sizes().iter().all(|rows| *rows <= 100), "{:?}", sink.batch_sizes());
        assert_eq!((place.acknowledged(), sink.acknowledged()), (250, 250));
        let metrics = place.metrics().sink("scripted");
        assert_eq!((metrics.written.get(), metrics.queue_length.get(), metrics.retries.get()), (500, 0, 0));
    });
}

#[test]
fn what_the_log_does_not_hold_waits_for_it() {
    run(async {
        let place = Place { durable: Arc::default(), ..Place::new().await };
        place.durable.advance(10);
        let sink = Arc::new(Scripted::new(Delivery::Durable));
        let addr = place.start(&sink, QUICK);
        for pos in [10, 11] {
            addr.send(batch(vec![bar(0, pos as i64, pos)], Vec::new(), pos)).await.unwrap();
        }
        until("first row", || sink.positions() == [10]).await;
        place.durable.advance(11);
        addr.send(LogDurable(11)).await.unwrap();
        until("second row", || sink.positions() == [10, 11] && place.acknowledged() == 11).await;
    });
}

#[test]
fn a_sink_that_hurries_has_the_log_commit_and_writes_as_soon_as_it_has() {
    run(async {
        let place = Place { durable: Arc::default(), ..Place::new().await };
        let sink = Arc::new(Scripted::new(Delivery::Durable).that_hurries());
        let patient = SinkPolicy { batch_age: Duration::from_secs(3_600), ..QUICK };
        let addr = place.start(&sink, patient);
        addr.send(batch(vec![bar(0, 1, 1)], Vec::new(), 1)).await.unwrap();
        place.durable.flush_requested().await;
        place.durable.advance(1);
        addr.send(LogDurable(1)).await.unwrap();
        until("the row", || sink.positions() == [1]).await;
    });
}

#[test]
fn progress_without_rows_is_written_only_when_somebody_waits_for_it() {
    run(async {
        let place = Place::new().await;
        let sink = Arc::new(Scripted::new(Delivery::Durable));
        let addr = place.start(&sink, QUICK);
        addr.send(batch(Vec::new(), Vec::new(), 5)).await.unwrap();
        addr.send(batch(vec![bar(0, 1, 6)], Vec::new(), 6)).await.unwrap();
        until("the row", || place.acknowledged() == 6).await;
        let num_writes = sink.num_writes();
        addr.send(batch(Vec::new(), Vec::new(), 9)).await.unwrap();
        addr.send(UnparsedInput(Vec::new())).await.unwrap();
        assert_eq!((sink.num_writes(), place.acknowledged()), (num_writes, 6));
        place.wanted.store(7, Ordering::SeqCst);
        until("the progress", || place.acknowledged() == 9).await;
        assert_eq!((sink.num_writes(), sink.acknowledged()), (num_writes + 1, 9));
    });
}

#[test]
fn a_transient_failure_is_tried_again_and_a_permanent_one_said() {
    run(async {
        let place = Place::new().await;
        let sink = Arc::new(Scripted::new(Delivery::Durable));
        sink.script([Step::Transient, Step::Panic, Step::Permanent, Step::Permanent]);
        let addr = place.start(&sink, QUICK);
        addr.send(batch(vec![bar(0, 1, 1)], Vec::new(), 1)).await.unwrap();
        let broken = place.health.broken().await;
        assert_eq!((broken.store, broken.cause.as_str()), ("scripted", "failed to write: told to"));
        until("the row", || place.acknowledged() == 1).await;
        assert_eq!(sink.positions(), [1]);
        assert_eq!(place.health("scripted"), (Health::Healthy, String::new()));
        let metrics = place.metrics().sink("scripted");
        let failures = (metrics.transient_failures.get(), metrics.permanent_failures.get());
        assert_eq!((failures, metrics.retries.get()), ((2, 2), 4));
    });
}

#[test]
fn after_failures_in_a_row_nothing_is_asked_for_a_while_and_then_one_try_decides() {
    let breaker = |open_for| BreakerPolicy { failures: 3, open_for };
    run(async {
        let place = Place::new().await;
        let sink = Arc::new(Scripted::new(Delivery::BestEffort));
        sink.script((0..100).map(|_| Step::Transient));
        let policy =
            SinkPolicy { breaker: breaker(Duration::from_hours(1)), on_full: OnFull::DropOldest, ..QUICK };
        let addr = place.start(&sink, policy);
        addr.send(batch(vec![bar(0, 1, 1)], Vec::new(), 1)).await.unwrap();
        let metrics = place.metrics().sink("scripted");
        until("an open breaker", || metrics.breaker.get() == 2).await;
        for pos in 2..=500 {
            addr.send(batch(vec![bar(0, pos as i64, pos)], Vec::new(), pos)).await.unwrap();
        }
        assert_eq!((sink.num_writes(), metrics.breaker_opened.get()), (3, 1));
        let (health, detail) = place.health("scripted");
        assert!(health == Health::Degraded && detail.contains("circuit breaker open for 3600s"), "{detail}");
        // Who waits for the end does not wait for that.
        addr.send(Flush).await.unwrap();
        assert_eq!(sink.num_writes(), 4);
    });
    run(async {
        let place = Place::new().await;
        let sink = Arc::new(Scripted::new(Delivery::Durable));
        sink.script([Step::Transient, Step::Permanent, Step::Panic, Step::Transient, Step::Hang]);
        let addr = place.start(&sink, SinkPolicy { breaker: breaker(Duration::from_millis(4)), ..QUICK });
        addr.send(batch(vec![bar(0, 1, 1)], Vec::new(), 1)).await.unwrap();
        let metrics = place.metrics().sink("scripted");
        until("the try that decides", || sink.num_writes() == 5).await;
        assert_eq!((metrics.breaker.get(), metrics.breaker_opened.get()), (1, 2));
        sink.let_go();
        until("the row", || place.acknowledged() == 1).await;
        assert_eq!((metrics.breaker.get(), place.health("scripted")), (0, (Health::Healthy, String::new())));
    });
}

#[test]
fn refused_rows_go_to_the_dead_letters_and_the_others_get_through() {
    for says_which in [true, false] {
        run(async {
            let place = Place::new().await;
            let sink = Arc::new(Scripted::new(Delivery::Durable));
            sink.refuse([7, 8, 40], says_which);
            let keeper = Arc::new(Scripted::new(Delivery::Durable).that_keeps_dead_letters());
            let kept = Arc::new(AtomicU64::new(0));
            let followed = Followed { acknowledged: kept, num_shards: 1, ..Followed::default() };
            let env = place.node.env.clone();
            let keeper_addr = SinkActor::new(
                keeper.clone(),
                QUICK,
                env,
                Arc::clone(&place.health),
                [(Partition::EMBEDDED, followed)],
            )
            .start();
            let shell = place.shell(sink.clone(), QUICK).with_dead_letters(keeper_addr.recipient());
            let addr = shell.start();
            let bars = (1..=50).map(|pos| bar(0, pos as i64, pos)).collect();
            addr.send(batch(bars, vec![tick(1, 40), tick(1, 41)], 50)).await.unwrap();
            addr.send(Flush).await.unwrap();
            assert!(sink.positions().into_iter().eq((1..=50).filter(|pos| ![7, 8, 40].contains(pos))));
            assert_eq!(sink.seqs(), [41]);
            assert_eq!((place.acknowledged(), sink.acknowledged()), (50, 50));
            let letters = keeper.dead_letters();
            let origins: Vec<&str> = letters.iter().map(|letter| letter.origin.as_str()).collect();
            let minute = |nth: i64| nth * MINUTE;
            let expected = [
                format!("bar:AAPL:1min:{}:7", minute(7)),
                format!("bar:AAPL:1min:{}:8", minute(8)),
                format!("bar:AAPL:1min:{}:40", minute(40)),
                "tick:MSFT:40".to_owned(),
            ];
            assert_eq!(origins, expected);
            assert!(letters.iter().all(|letter| letter.reason == "refused" && letter.provider == "scripted"));
            let payload: serde_json::Value = serde_json::from_str(&letters[0].payload).unwrap();
            assert_eq!((&payload["cause"], &payload["row"]["symbol"]), (&"told to".into(), &"AAPL".into()));
            assert_eq!(place.metrics().sink("scripted").refused.get(), 4);
        });
    }
}

#[test]
fn a_full_queue_blocks_or_drops_the_oldest_as_told() {
    run(async {
        let place = Place::new().await;
        let sink = Arc::new(Scripted::new(Delivery::Durable));
        sink.script([Step::Hang]);
        let policy = SinkPolicy { rows_max: 20, batch_rows: 10, ..QUICK };
        let addr = place.start(&sink, policy);
        let send = |pos: u64| addr.send(batch(vec![bar(0, pos as i64, pos)], Vec::new(), pos));
        for pos in 1..=20 {
            send(pos).await.unwrap();
        }
        let one_too_many = actix::spawn(send(21));
        until("the hanging write", || sink.num_writes() == 1).await;
        assert!(!one_too_many.is_finished(), "who finds it full waits");
        sink.let_go();
        one_too_many.await.unwrap().unwrap();
        addr.send(Flush).await.unwrap();
        assert!(sink.positions().into_iter().eq(1..=21), "{:?}", sink.positions());
    });
    run(async {
        let place = Place::new().await;
        let sink = Arc::new(Scripted::new(Delivery::BestEffort));
        sink.script([Step::Hang]);
        let policy = SinkPolicy { rows_max: 20, batch_rows: 10, on_full: OnFull::DropOldest, ..QUICK };
        let addr = place.start(&sink, policy);
        addr.send(batch(vec![bar(0, 1, 1)], Vec::new(), 1)).await.unwrap();
        until("the hanging write", || sink.num_writes() == 1).await;
        for pos in 2..=500 {
            // The first is being written and stays.
            addr.send(batch(vec![bar(0, pos as i64, pos)], Vec::new(), pos)).await.unwrap();
        }
        let metrics = place.metrics().sink("scripted");
        assert_eq!((metrics.queue_length.get(), metrics.dropped.get()), (20, 480));
        assert_eq!(place.health("scripted").0, Health::Degraded);
        sink.let_go();
        until("the rest", || metrics.queue_length.get() == 0).await;
        assert!(sink.positions().into_iter().eq([1].into_iter().chain(482..=500)), "{:?}", sink.positions());
        assert_eq!(place.health("scripted").0, Health::Healthy);
    });
}

#[test]
fn the_end_waits_for_what_is_durable_and_only_for_a_moment_for_what_is_not() {
    run(async {
        let place = Place::new().await;
        let sink = Arc::new(Scripted::new(Delivery::Durable));
        sink.script([Step::Transient, Step::Transient]);
        // Whoever waits for the end does not wait for the next try.
        let never = RetryPolicy { delay: Duration::from_secs(3_600), max_delay: Duration::from_secs(3_600) };
        let addr = place.start(&sink, SinkPolicy { retry: never, ..QUICK });
        addr.send(batch(vec![bar(0, 1, 1)], Vec::new(), 1)).await.unwrap();
        until("the first failure", || place.health("scripted").0 == Health::Unhealthy).await;
        let first_end = actix::spawn(addr.send(Flush));
        until("the second failure", || sink.num_writes() == 2).await;
        until("its report", || place.metrics().sink("scripted").transient_failures.get() == 2).await;
        addr.send(Flush).await.unwrap();
        first_end.await.unwrap().unwrap();
        assert_eq!((sink.positions(), place.acknowledged()), (vec![1], 1));
    });
    run(async {
        let place = Place::new().await;
        let sink = Arc::new(Scripted::new(Delivery::BestEffort));
        sink.script([Step::Hang]);
        let addr = place.start(&sink, SinkPolicy { on_full: OnFull::DropOldest, ..QUICK });
        addr.send(batch(vec![bar(0, 1, 1)], Vec::new(), 1)).await.unwrap();
        addr.send(Flush).await.unwrap();
        assert_eq!(sink.positions(), Vec::<Position>::new());
    });
}

#[test]
fn a_sink_that_hangs_refuses_or_panics_changes_nothing_for_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let day = bad_day(6, 4.0, 12_000, 77);
    let environment = [
        ("TICKWIRE__DATA_DIR", dir.path().to_str().unwrap()),
        ("TICKWIRE__CORE__SHARDS", "2"),
        ("TICKWIRE__RECOVERY__MAX_AGE", "320ms"),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let config = Config::load(&Sources { environment, ..Sources::default() }).unwrap();
    let policy = SinkPolicy { rows_max: 200, on_full: OnFull::DropOldest, ..QUICK };
    let best_effort = |name| Arc::new(Scripted::new(Delivery::BestEffort).named(name));
    let [hangs, refuses, panics, well] = ["hangs", "refuses", "panics", "well"].map(best_effort);
    hangs.script([Step::Hang]);
    refuses.script((0..100_000).map(|_| Step::Permanent));
    panics.script((0..100_000).map(|_| Step::Panic));
    // The fan-out waits for it, so that it gets everything.
    let roomy = SinkPolicy { on_full: OnFull::Block, ..policy };
    let ledger = actix::System::new().block_on(async {
        let mut node = Node::open(&config).await.unwrap();
        let mut setups: Vec<SinkSetup> = [&hangs, &refuses, &panics]
            .map(|sink| SinkSetup { sink: sink.clone(), policy })
            .into_iter()
            .collect();
        setups.push(SinkSetup { sink: well.clone(), policy: roomy });
        let storage = Storage { sinks: setups, ..node.storage(true) };
        let env = node.env.clone();
        let pipeline = Pipeline::start(env.clone(), pipeline_settings(&config), storage, node.health.clone());
        let pipeline = pipeline.await.unwrap();
        node.sources.intern("venue");
        for name in tickwire::actors::ingest::simulated::symbol_names(6) {
            node.symbols.intern(SymbolSpec::named(&name));
        }
        for part in day.chunks(300) {
            let (entries, received) = (part.to_vec(), (env.now)());
            let ingest = Ingest { entries, dead_letters: Vec::new(), progress: None, received };
            pipeline.log().send(ingest).await.unwrap();
        }
        pipeline.drain().await.unwrap();
        for sink in ["hangs", "refuses", "panics"] {
            let metrics = env.metrics.sink(sink);
            // Its own thread may take its time.
            until(sink, || metrics.dropped.get() > 1_000).await;
            // One batch may be with the sink already.
            assert!(metrics.queue_length.get() <= 2_000, "{sink}: {}", metrics.queue_length.get());
            assert_eq!(metrics.written.get(), 0, "{sink}");
        }
        let ledger = pipeline.finish().await.unwrap();
        let metrics = env.metrics.sink("well");
        until("the last rows", || metrics.queue_length.get() == 0).await;
        assert_eq!(metrics.dropped.get(), 0);
        pipeline.end();
        node.close().await;
        ledger
    });
    assert_eq!(ledger.residue(), 0);
    let (expected, _) = rows_by_log(dir.path(), CoreSettings::default(), true);
    assert_same_rows(&expected, &history_rows(dir.path()), "beside sinks that are gone");
    // Each symbol's accepted trades are numbered without a hole, and so are its bars.
    let mut seqs = well.ticks_by_symbol();
    assert_eq!(seqs.len(), 6);
    for (symbol, seqs) in &mut seqs {
        assert!(seqs.iter().copied().eq(1..=seqs.len() as u64), "{symbol:?}: {seqs:?}");
    }
    assert!(seqs.values().map(Vec::len).sum::<usize>() > 8_000);
    wait_for("the lock of the directory", || std::fs::File::open(dir.path().join("lock")).ok());
}
