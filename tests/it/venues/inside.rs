//! A live venue in this process, with the market's time in place of the machine's: a venue that does not tell the time is
//! told it by the program's clock, which must be where the market is.

use super::fake::FakeVenue;
use super::live::OPEN_WINDOWS;
use crate::support::process::{WAIT_MAX, wait_for};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tickwire::actors::pipeline::Pipeline;
use tickwire::actors::snapshots::SymbolSnapshots;
use tickwire::app::symbols::{FollowedSymbols, KeptSymbols, SymbolHandle, SymbolService};
use tickwire::app::venue::Plan;
use tickwire::config::{Config, Sources};
use tickwire::models::ledger::Ledger;
use tickwire::models::time::Nanos;
use tickwire::node::{Node, pipeline_settings};

/// What a test sees of the run.
pub struct Inside<'a> {
    pub node: &'a Node,
    /// Changes what is followed, as the API does.
    pub control: SymbolHandle,
    snapshots: Arc<SymbolSnapshots>,
    venue: &'static str,
}

impl Inside<'_> {
    /// Returns how many reports count in bars.
    pub fn num_in_bars(&self) -> u64 {
        self.snapshots.all().iter().map(|snapshot| snapshot.ledger.in_bars).sum()
    }

    /// Returns how many reports of a symbol count in bars.
    pub fn in_bars(&self, symbol: &str) -> u64 {
        let snapshot = self.node.symbols.get(symbol).and_then(|id| self.snapshots.get(id));
        snapshot.map_or(0, |snapshot| snapshot.ledger.in_bars)
    }

    /// Returns the value of a metric.
    pub fn metric(&self, name: &str) -> u64 {
        let text = self.node.env.metrics.encode();
        let value = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
        value.trim().parse().unwrap()
    }

    /// Returns a counter of the venue.
    pub fn venue_metric(&self, name: &str) -> u64 {
        self.metric(&format!("tickwire_venue_{name}{{venue=\"{}\"}}", self.venue))
    }

    /// Returns what was counted, for whoever has to find out why something did not come.
    fn counts(&self) -> String {
        let names =
            ["connects_total", "failures_total", "backfilled_total", "holes_given_up_total", "gaps_open"];
        let counts: Vec<String> =
            names.iter().map(|name| format!("{name} {}", self.venue_metric(name))).collect();
        let ledgers: Vec<String> =
            self.snapshots.all().iter().map(|one| format!("{:?}", one.ledger)).collect();
        format!("{} {}", counts.join(", "), ledgers.join(" "))
    }

    /// Waits for a condition.
    pub async fn until(&self, what: &str, is_true: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_true() {
            assert!(begun.elapsed() < WAIT_MAX, "no {what}: {}", self.counts());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// Runs all symbols of a venue into the data directory `data` of a directory until the work is done, closes every bar, and
/// returns what became of the reports.
pub fn run(
    dir: &Path,
    venue: &FakeVenue,
    environment: &[(&str, &str)],
    work: impl AsyncFnOnce(&Inside<'_>),
) -> Ledger {
    run_with(dir, venue, &venue.symbols().join(","), environment, work)
}

/// As [`run`], with these symbols to begin with.
pub fn run_with(
    dir: &Path,
    venue: &FakeVenue,
    symbols: &str,
    environment: &[(&str, &str)],
    work: impl AsyncFnOnce(&Inside<'_>),
) -> Ledger {
    let data = dir.join("data");
    let own = [
        ("TICKWIRE__DATA_DIR", data.to_str().unwrap()),
        ("TICKWIRE__PROVIDER__NAME", venue.dialect().name()),
        ("TICKWIRE__PROVIDER__SYMBOLS", symbols),
        ("TICKWIRE__CORE__SHARDS", "2"),
    ];
    let given = own.iter().chain(&OPEN_WINDOWS).chain(environment);
    let mut variables = venue.environment();
    variables.extend(given.map(|&(name, value)| (name.to_owned(), value.to_owned())));
    let config = Config::load(&Sources { environment: variables, ..Sources::default() }).unwrap();
    let ledger = actix::System::new().block_on(async {
        let mut node = Node::open(&config).await.unwrap();
        let clock = venue.clock();
        node.env.now = Arc::new(move || Nanos(clock()));
        let storage = node.storage(true);
        let snapshots = node.publish_snapshots();
        let settings = pipeline_settings(&config);
        let (env, health) = (node.env.clone(), Arc::clone(&node.health));
        let pipeline = Pipeline::start(env, settings, storage, health).await.unwrap();
        let kept = KeptSymbols::open(&config).unwrap();
        let plan = Plan::make(&config, &kept).await.unwrap();
        let feeds = plan.start(&config, &node, &pipeline).await.unwrap();
        let followed = Arc::<FollowedSymbols>::default();
        let (control, mut requests) = SymbolHandle::new(Arc::clone(&followed));
        let mut service = SymbolService::new(&node, feeds, kept, followed, config.core.max_symbols.get());
        let inside = Inside { node: &node, control, snapshots, venue: venue.dialect().name() };
        tokio::select! {
            () = work(&inside) => {}
            () = service.serve(&mut requests) => panic!("the handle is there still"),
        }
        service.stop().await;
        let ledger = pipeline.finish().await.unwrap();
        pipeline.end();
        node.close().await;
        ledger
    });
    wait_for("the lock of the directory", || std::fs::File::open(data.join("lock")).ok());
    assert_eq!(ledger.residue(), 0);
    ledger
}
