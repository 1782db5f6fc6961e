//! The data path with a feed of two venues, in this process, and what it must come to.

use super::exchange::{Exchange, Market, PRODUCTS};
use crate::support::process::{Program, WAIT_MAX, replay_command};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tickwire::actors::pipeline::Pipeline;
use tickwire::actors::snapshots::SymbolSnapshots;
use tickwire::app::running::RunningFeeds;
use tickwire::app::symbols::KeptSymbols;
use tickwire::app::venue::Plan;
use tickwire::config::{Config, Sources};
use tickwire::models::digest::Digest;
use tickwire::models::ledger::Ledger;
use tickwire::models::snapshot::SymbolSnapshot;
use tickwire::models::time::Width;
use tickwire::node::{Node, pipeline_settings};

/// The data path with a feed of two venues, in this process, with the market's time in place of the machine's.
pub struct World {
    pub node: Node,
    pipeline: Pipeline,
    snapshots: Arc<SymbolSnapshots>,
    feed: Option<RunningFeeds>,
}

/// What a run comes to.
pub struct Outcome {
    pub digest: String,
    /// The least of all bars.
    pub coverage: f64,
    pub ledger: Ledger,
    /// Trades and coverage of the bars of the smallest window, by symbol and start.
    pub bars: BTreeMap<(String, i64), (u64, f64)>,
}

/// Narrow ones: a market of seconds has many of them.
const WINDOWS: (&str, &str) = ("TICKWIRE__CORE__WINDOWS", "1s,5s,15s");

impl World {
    /// Starts it with a first venue and a second one, which takes over or is compared.
    pub async fn start(
        dir: &Path,
        market: &Arc<Market>,
        exchanges: [&Exchange; 2],
        is_compared: bool,
    ) -> World {
        let data = dir.join("data");
        let [first, second] = exchanges.map(Exchange::name);
        let venues = if is_compared { format!("['{first}']") } else { format!("['{first}', '{second}']") };
        let compare = if is_compared { format!("['{second}']") } else { "[]".to_owned() };
        let file = dir.join("config.toml");
        let feed = format!(
            "[[feeds]]\nname = 'coins'\nvenues = {venues}\ncompare = {compare}\nsymbols = {PRODUCTS:?}\n\
             warm_up_bars = 0\nstale_after = '3s'\ndead_after = '400s'\nfailback_after = '700ms'\n"
        );
        std::fs::write(&file, feed).unwrap();
        let own = [
            ("TICKWIRE__DATA_DIR", data.to_str().unwrap()),
            ("TICKWIRE__CORE__SHARDS", "2"),
            WINDOWS,
            // Machines that are busy may take long.
            ("TICKWIRE__CORE__HORIZON", "3h"),
            ("TICKWIRE__CORE__GAP_HOLD", "3h"),
        ];
        let mut environment = own.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        environment.extend(exchanges.iter().flat_map(|exchange| exchange.environment()));
        let config = Config::load(&Sources { file: Some(file), environment, ..Sources::default() }).unwrap();
        let mut node = Node::open(&config).await.unwrap();
        let clock = Arc::clone(market);
        node.env.now = Arc::new(move || clock.now());
        let storage = node.storage(true);
        let snapshots = node.publish_snapshots();
        let settings = pipeline_settings(&config);
        let health = Arc::clone(&node.health);
        let pipeline = Pipeline::start(node.env.clone(), settings, storage, health).await.unwrap();
        let plan = Plan::make(&config, &KeptSymbols::open(&config).unwrap()).await.unwrap();
        let feed = plan.start(&config, &node, &pipeline).await.unwrap();
        World { node, pipeline, snapshots, feed: Some(feed) }
    }

    pub fn metric(&self, series: &str) -> Option<f64> {
        let text = self.node.env.metrics.encode();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map(|value| value.parse().unwrap())
    }

    pub fn ledger(&self) -> Ledger {
        let mut sum = Ledger::default();
        self.snapshots.all().iter().for_each(|snapshot| sum.merge(&snapshot.ledger));
        sum
    }

    pub async fn until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !condition() {
            let health: Vec<_> = self.node.health.components();
            assert!(begun.elapsed() < WAIT_MAX, "still no {what}: {:?} {health:?}", self.ledger());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until a venue is in charge, and something more has come since. Says how long the first took, for the benchmark.
    pub async fn until_in_charge(&self, name: &str, what: &str) {
        let begun = Instant::now();
        self.until(&format!("charge of {name}"), || self.is_in_charge(name)).await;
        println!("hand-over, {what}: {:.3} s", begun.elapsed().as_secs_f64());
        let before = self.ledger().in_bars;
        self.until("trade in the bars", || self.ledger().in_bars > before).await;
    }

    /// Lets an hour pass, and waits until every bar is closed.
    pub async fn until_closed(&self, market: &Market) {
        market.finish();
        let is_closed =
            |snapshot: &Arc<SymbolSnapshot>| snapshot.windows.iter().all(|window| window.forming.is_none());
        self.until("closed bars", || self.snapshots.all().iter().all(is_closed)).await;
    }

    pub fn num_hand_overs(&self) -> f64 {
        let text = self.node.env.metrics.encode();
        let counts = text.lines().filter(|line| line.starts_with("tickwire_feed_hand_overs_total{"));
        counts.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    }

    pub fn feed_health(&self) -> String {
        let components = self.node.health.components();
        components
            .into_iter()
            .find(|(name, _)| name == "feed_coins")
            .map(|(_, health)| health.detail)
            .unwrap_or_default()
    }

    /// Returns whether a venue is in charge.
    pub fn is_in_charge(&self, name: &str) -> bool {
        self.metric(&format!("tickwire_feed_in_charge{{feed=\"coins\",venue=\"{name}\"}}")) == Some(1.0)
    }

    /// Waits until all trades count and no gap of a venue is open any more.
    pub async fn until_whole(&self, num_trades: u64, venue: &str) {
        self.until("all trades", || self.ledger().in_bars == num_trades).await;
        // All trades may have come a moment before their gap is told to be filled.
        self.until_filled(venue).await;
    }

    /// Waits until the last trade of each symbol has come.
    pub async fn until_last(&self, market: &Market) {
        let last = market.last_times();
        let time = |snapshot: &Arc<SymbolSnapshot>| snapshot.last.as_ref().map(|last| last.ts.0);
        let is_last = |snapshot: &Arc<SymbolSnapshot>| {
            last.get(&self.node.symbols.spec(snapshot.symbol).name).copied() == time(snapshot)
        };
        self.until("last trades", || self.snapshots.all().iter().all(is_last)).await;
    }

    /// Waits until no gap of a venue is open.
    pub async fn until_filled(&self, venue: &str) {
        let gaps = format!("tickwire_venue_gaps_open{{venue=\"{venue}\"}}");
        self.until("filled gap", || self.metric(&gaps) == Some(0.0)).await;
    }

    /// Stops, and returns what the run came to.
    pub async fn finish(mut self) -> Outcome {
        self.feed.take().unwrap().stop().await;
        let ledger = self.pipeline.finish().await.unwrap();
        let (mut digest, mut after, mut coverage) = (Digest::new(), None, 1.0_f64);
        let mut bars = BTreeMap::new();
        loop {
            let page = self.node.history.scan(after, 10_000).await.unwrap();
            let Some((last, _)) = page.last() else { break };
            after = Some((last.symbol, last.width, last.start));
            for (bar, point) in &page {
                let spec = self.node.symbols.spec(bar.symbol);
                digest.add(&spec.name, &spec, bar, &point.values);
                coverage = coverage.min(bar.coverage);
                if Some(bar.width) == Width::new(1_000_000_000) {
                    bars.insert((spec.name.clone(), bar.start.0), (bar.trade_count, bar.coverage));
                }
            }
        }
        self.pipeline.end();
        self.node.close().await;
        Outcome { digest: digest.finish(), coverage, ledger, bars }
    }
}

impl Outcome {
    /// The run lost nothing and counted nothing twice.
    fn has_all(&self, num_trades: u64, digest: &str) {
        let ledger = &self.ledger;
        assert_eq!((ledger.in_bars, ledger.late, ledger.residue()), (num_trades, 0, 0));
        assert_eq!(self.digest, digest);
    }

    /// Nor does it doubt that.
    pub fn is_whole(&self, num_trades: u64, digest: &str) {
        self.has_all(num_trades, digest);
        let lacking: Vec<_> = self.bars.iter().filter(|(_, (_, coverage))| *coverage < 1.0).collect();
        assert!((self.coverage - 1.0).abs() < f64::EPSILON, "{} {lacking:?}", self.coverage);
    }
}

/// Returns the digest of the plain replay of a market.
pub fn replayed(dir: &Path, market: &Market) -> String {
    let file = dir.join("trades.csv");
    std::fs::write(&file, market.csv()).unwrap();
    let mut run = replay_command(&[file.to_str().unwrap()]);
    run.env(WINDOWS.0, WINDOWS.1);
    let summary = Program::start(run).wait().summary();
    assert_eq!(summary["ledger"]["in_bars"], market.num_played());
    summary["digest"].as_str().unwrap().to_owned()
}
