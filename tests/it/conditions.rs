//! Conditions of the system, read from what the data path publishes: each begins, is told, and ends once.

use actix::{Actor, Context, Handler};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use tickwire::actors::conditions::readings::{Observed, Readings};
use tickwire::actors::conditions::watch::{Watch, WatchParts};
use tickwire::actors::health::{Health, HealthRegistry};
use tickwire::actors::hub::messages::Announce;
use tickwire::actors::snapshots::SymbolSnapshots;
use tickwire::actors::source_clocks::SourceClocks;
use tickwire::config::Config;
use tickwire::metrics::{Metrics, Span};
use tickwire::models::anomaly::{Anomaly, AnomalyState, Severity};
use tickwire::models::entry::Updates;
use tickwire::models::ledger::Ledger;
use tickwire::models::num::{Price, Size};
use tickwire::models::snapshot::{LastTrade, SymbolSnapshot};
use tickwire::models::symbol::SymbolId;
use tickwire::models::time::{Nanos, SECOND};
use tickwire::names::{SourceTable, SymbolTable};
use tickwire::stores::history::History;
use tickwire::stores::history::memory::MemoryHistory;
use tickwire::stores::history::signals::{AnomalyQuery, SignalPage};

const BEGIN: Nanos = Nanos(1_780_000_000 * SECOND);

/// A hub that remembers what was announced.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<Anomaly>>>);

impl Actor for Heard {
    type Context = Context<Self>;
}

impl Handler<Announce> for Heard {
    type Result = ();

    fn handle(&mut self, Announce(anomaly): Announce, _: &mut Self::Context) {
        self.0.lock().unwrap().push(*anomaly);
    }
}

struct World {
    metrics: Arc<Metrics>,
    health: Arc<HealthRegistry>,
    snapshots: Arc<SymbolSnapshots>,
    clocks: Arc<SourceClocks>,
    sources: Arc<SourceTable>,
    history: Arc<dyn History>,
    heard: Heard,
    now: Arc<AtomicI64>,
}

impl World {
    fn new() -> World {
        let sources = Arc::new(SourceTable::default());
        sources.intern("coinbase");
        let history = MemoryHistory::new(Arc::new(SymbolTable::default()), Arc::clone(&sources), 10);
        World {
            metrics: Arc::new(Metrics::new(0)),
            health: Arc::default(),
            snapshots: Arc::default(),
            clocks: Arc::default(),
            sources,
            history: Arc::new(history),
            heard: Heard::default(),
            now: Arc::new(AtomicI64::new(BEGIN.0)),
        }
    }

    /// Makes a watch, as a process does at its start. A minute later it judges.
    fn watch(&self) -> Watch {
        let config = Config::default();
        let settings = config.detection.conditions(config.metrics.latency_threshold);
        let observed = Observed {
            metrics: Arc::clone(&self.metrics),
            health: Arc::clone(&self.health),
            snapshots: Arc::clone(&self.snapshots),
            clocks: Arc::clone(&self.clocks),
            sources: Arc::clone(&self.sources),
            core: Arc::new(config.core.settings()),
        };
        let now = Arc::clone(&self.now);
        Watch::new(WatchParts {
            readings: Readings::new(observed, settings),
            history: Arc::clone(&self.history),
            hub: self.heard.clone().start().recipient(),
            metrics: Arc::clone(&self.metrics),
            now: Arc::new(move || Nanos(now.load(Ordering::SeqCst))),
        })
    }

    /// Judges at this many seconds after the begin.
    async fn at(&self, watch: &mut Watch, seconds: i64) {
        self.now.store(BEGIN.plus(seconds * SECOND).0, Ordering::SeqCst);
        watch.round().await.expect("the history takes everything");
    }

    /// Returns what the history holds, newest first: type, subject, state, severity.
    async fn stored(&self) -> Vec<(String, String, AnomalyState, Severity)> {
        let query =
            AnomalyQuery { symbol: None, anomaly_type: None, severity: None, page: SignalPage::newest(100) };
        let found = self.history.anomalies(&query).await.expect("reads");
        let shown = |anomaly: Anomaly| {
            let subject = anomaly.metadata["subject"].as_str().expect("a subject").to_owned();
            assert_eq!(anomaly.symbol, "*");
            (anomaly.anomaly_type, subject, anomaly.state, anomaly.severity)
        };
        found.into_iter().map(|found| shown(found.row)).collect()
    }

    fn publish(&self, traded: i64, ledger: Ledger) {
        let ts = BEGIN.plus(traded * SECOND);
        let source = self.sources.intern("coinbase");
        self.snapshots.publish(SymbolSnapshot {
            symbol: SymbolId(0),
            pos: 1,
            last: Some(LastTrade {
                ts,
                received: ts,
                price: Price(1),
                size: Size(1),
                updates: Updates::ALL,
                seq: 1,
            }),
            reference: None,
            source,
            charged_from: Nanos::MIN,
            watermark: ts,
            sealed_until: ts,
            ledger,
            ledgers: Arc::new([(source, ledger)]),
            windows: Arc::new([]),
        });
    }
}

fn run(test: impl Future<Output = ()>) {
    actix::System::new().block_on(test);
}

#[test]
fn a_sink_that_fails_for_long_is_told_once_and_its_end_too_across_a_restart() {
    run(async {
        let world = World::new();
        let mut watch = world.watch();
        world.health.set("kafka", Health::Degraded, "no broker answers");
        world.health.set("redis", Health::Disabled, "");
        for seconds in [5, 59, 60, 85, 90] {
            world.at(&mut watch, seconds).await;
        }
        assert!(world.stored().await.is_empty(), "it may fail for 30 s");
        world.at(&mut watch, 95).await;
        world.at(&mut watch, 100).await;
        let fails = |state| ("sink_behind".to_owned(), "kafka".to_owned(), state, Severity::Medium);
        assert_eq!(world.stored().await, [fails(AnomalyState::Active)]);
        // A new process goes on with it, and tells nobody of it once more.
        let mut watch = world.watch();
        world.at(&mut watch, 161).await;
        world.at(&mut watch, 166).await;
        assert_eq!(world.stored().await, [fails(AnomalyState::Active)]);
        world.health.set("kafka", Health::Healthy, "");
        world.at(&mut watch, 171).await;
        world.at(&mut watch, 176).await;
        assert_eq!(world.stored().await, [fails(AnomalyState::Ended)]);
        // The actor has its mailbox emptied by the time it answers.
        tokio::task::yield_now().await;
        let heard = world.heard.0.lock().unwrap();
        let states: Vec<AnomalyState> = heard.iter().map(|anomaly| anomaly.state).collect();
        assert_eq!(states, [AnomalyState::Active, AnomalyState::Ended]);
        let counted = "tickwire_anomalies_total{severity=\"medium\",type=\"sink_behind\"} 1";
        assert!(world.metrics.encode().contains(counted));
    });
}

#[test]
fn each_kind_is_read_from_where_it_is_published() {
    run(async {
        let world = World::new();
        let mut watch = world.watch();
        let lost = Ledger { received: 5, in_bars: 3, ..Ledger::default() };
        world.publish(0, lost);
        world.metrics.venue("kraken").gaps_open.set(3);
        world.metrics.venue("kraken").clock_offset.set(-7.5);
        world.metrics.divergence("coins", "kraken").price_bps.set(80.0);
        for second in [61, 66] {
            // Each sample sees five slow ticks more than the one before.
            for _ in 0..5 {
                world.metrics.observe(Span::ReceivedToBar, BEGIN, BEGIN.plus(SECOND / 2));
            }
            world.metrics.sample(BEGIN.plus((second - 1) * SECOND));
            world.metrics.observe(Span::ReceivedToBar, BEGIN, BEGIN.plus(SECOND / 2));
            world.metrics.sample(BEGIN.plus(second * SECOND));
            world.at(&mut watch, second).await;
        }
        let mut stored = world.stored().await;
        stored.sort();
        let found: Vec<(&str, &str, Severity)> = stored
            .iter()
            .map(|(kind, subject, _, severity)| (kind.as_str(), subject.as_str(), *severity))
            .collect();
        assert_eq!(
            found,
            [
                ("clock_off", "kraken", Severity::Critical),
                ("gap", "kraken", Severity::Low),
                ("high_latency", "received_to_bar", Severity::Critical),
                ("ledger_residue", "coinbase", Severity::Critical),
                ("stale_feed", "coinbase", Severity::High),
                ("venue_divergence", "coins/kraken", Severity::Medium),
            ]
        );
        // Everything mends.
        world.publish(70, Ledger { in_bars: 5, ..Ledger { received: 5, ..Ledger::default() } });
        world.metrics.venue("kraken").gaps_open.set(0);
        world.metrics.venue("kraken").clock_offset.set(0.1);
        world.metrics.divergence("coins", "kraken").price_bps.set(1.0);
        for second in [90, 95] {
            world.clocks.advance(world.sources.intern("coinbase"), BEGIN.plus(second * SECOND));
            world.metrics.sample(BEGIN.plus((second - 1) * SECOND));
            world.metrics.observe(Span::ReceivedToBar, BEGIN, BEGIN.plus(SECOND / 1_000));
            world.metrics.sample(BEGIN.plus(second * SECOND));
            world.at(&mut watch, second).await;
        }
        let stored = world.stored().await;
        assert_eq!(stored.len(), 6);
        assert!(stored.iter().all(|(_, _, state, _)| *state == AnomalyState::Ended), "{stored:?}");
    });
}
