//! Failover on real sockets: two exchanges of one market that are taken away, frozen and brought back while it trades.
//!
//! Whoever was in charge when: the bars are those of the plain replay of the market's trades, digest for digest, and whole; what
//! nobody could tell shows in the coverage.

mod exchange;

use crate::support::process::{Program, WAIT_MAX, command, replay_command, run_args, wait_for};
use exchange::{Exchange, Market, PRODUCTS, State};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tickwire::actors::ingest::config::VenueConfig;
use tickwire::actors::ingest::failover::{self, FeedPlan, Rules, VenuePlan};
use tickwire::actors::ingest::handle::FeedHandle;
use tickwire::actors::ingest::registry;
use tickwire::actors::ingest::shell::Tls;
use tickwire::actors::ingest::venue::{
    Context, Cursor, FrameFault, Heard, Instrument, Instruments, Listed, Needs, Request, TradesPage, Venue,
};
use tickwire::actors::pipeline::Pipeline;
use tickwire::actors::snapshots::SymbolSnapshots;
use tickwire::config::{Config, Sources};
use tickwire::models::digest::Digest;
use tickwire::models::entry::{Body, Entry};
use tickwire::models::ledger::Ledger;
use tickwire::models::num::Scale;
use tickwire::models::snapshot::SymbolSnapshot;
use tickwire::models::symbol::SymbolSpec;
use tickwire::models::time::Nanos;
use tickwire::node::{Node, pipeline_settings};

/// Coinbase under another name: two venues with the same trades.
struct Named(Arc<dyn Venue>, &'static str);

impl Venue for Named {
    fn name(&self) -> &'static str {
        self.1
    }

    fn needs(&self) -> Needs {
        self.0.needs()
    }

    fn spell(&self, symbol: &str) -> Result<Listed, String> {
        self.0.spell(symbol)
    }

    fn subscribe(&self, venue_symbols: &[&str]) -> Vec<String> {
        self.0.subscribe(venue_symbols)
    }

    fn unsubscribe(&self, venue_symbols: &[&str]) -> Vec<String> {
        self.0.unsubscribe(venue_symbols)
    }

    fn parse(&self, frame: &str, context: &Context<'_>, heard: &mut Heard) {
        self.0.parse(frame, context, heard);
    }

    fn trades_request(&self, page: &TradesPage<'_>) -> Option<Request> {
        self.0.trades_request(page)
    }

    fn read_trades(
        &self,
        body: &str,
        page: &TradesPage<'_>,
        context: &Context<'_>,
        heard: &mut Heard,
    ) -> Result<Option<Cursor>, FrameFault> {
        self.0.read_trades(body, page, context, heard)
    }
}

/// The data path with a feed of two venues, `a` and `b`.
struct World {
    node: Node,
    pipeline: Pipeline,
    snapshots: Arc<SymbolSnapshots>,
    feed: Option<FeedHandle>,
}

const NAMES: [&str; 2] = ["a", "b"];

/// Narrow ones: a market of seconds has many of them.
const WINDOWS: (&str, &str) = ("TICKWIRE__CORE__WINDOWS", "1s,5s,15s");

impl World {
    /// Starts it. `b` is followed for so many of the products.
    async fn start(dir: &Path, exchanges: [&Exchange; 2], is_compared: bool, num_of_b: usize) -> World {
        let environment = [
            ("TICKWIRE__DATA_DIR", dir.to_str().unwrap()),
            ("TICKWIRE__CORE__SHARDS", "2"),
            WINDOWS,
            // Event times are of another year, and machines that are busy may take long.
            ("TICKWIRE__CORE__HORIZON", "3h"),
            ("TICKWIRE__CORE__GAP_HOLD", "3h"),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let config = Config::load(&Sources { environment, ..Sources::default() }).unwrap();
        let mut node = Node::open(&config).await.unwrap();
        let storage = node.storage(true);
        let snapshots = node.publish_snapshots();
        let settings = pipeline_settings(&config);
        let health = Arc::clone(&node.health);
        let pipeline = Pipeline::start(node.env.clone(), settings, storage, health).await.unwrap();
        let instruments: Vec<Instrument> = PRODUCTS
            .iter()
            .map(|name| Instrument {
                symbol: node.symbols.intern(SymbolSpec::named(name)),
                venue_symbol: (*name).to_owned(),
                price_scale: Scale::PRICE,
                size_scale: Scale::SIZE,
            })
            .collect();
        let mut venues: Vec<VenuePlan> = exchanges
            .iter()
            .zip([(NAMES[0], PRODUCTS.len()), (NAMES[1], num_of_b)])
            .map(|(exchange, (name, num_products))| {
                let config: VenueConfig = exchange.config();
                let venue = (registry::find("coinbase").unwrap().open)(&config);
                VenuePlan {
                    warm_up_bars: 0,
                    definitions: Vec::new(),
                    venue: Arc::new(Named(venue, name)),
                    tls: Tls::of(&config).unwrap(),
                    config,
                    requests_per_minute: 60_000,
                    instruments: Instruments::new(instruments[..num_products].to_vec()),
                    source: node.sources.intern(name),
                }
            })
            .collect();
        let source = venues[0].source;
        let in_charge = |instrument: &Instrument| Entry {
            pos: 0,
            symbol: instrument.symbol,
            body: Body::SourceInCharge { source, from: Nanos(0) },
        };
        let compared = if is_compared { venues.split_off(1) } else { Vec::new() };
        let plan = FeedPlan {
            name: "coins".to_owned(),
            venues,
            compared,
            rules: Rules { stale_after: Duration::from_secs(3), failback_after: Duration::from_millis(700) },
            dead_after: Duration::from_secs(60),
            opening: instruments.iter().map(in_charge).collect(),
            charged_from: Nanos(0),
            down_since: None,
            rate_max: None,
        };
        let feed = failover::start(plan, pipeline.log().clone(), node.env.clone(), Arc::clone(&node.health));
        World { node, pipeline, snapshots, feed: Some(feed) }
    }

    fn metric(&self, series: &str) -> Option<f64> {
        let text = self.node.env.metrics.encode();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map(|value| value.parse().unwrap())
    }

    fn ledger(&self) -> Ledger {
        let mut sum = Ledger::default();
        self.snapshots.all().iter().for_each(|snapshot| sum.merge(&snapshot.ledger));
        sum
    }

    async fn until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !condition() {
            let health: Vec<_> = self.node.health.components();
            assert!(begun.elapsed() < WAIT_MAX, "still no {what}: {:?} {health:?}", self.ledger());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until a venue is in charge, and something more has come since. Says how long the first took, for the benchmark.
    async fn until_in_charge(&self, name: &str, what: &str) {
        let begun = Instant::now();
        let series = format!("tickwire_feed_in_charge{{feed=\"coins\",venue=\"{name}\"}}");
        self.until(&format!("charge of {name}"), || self.metric(&series) == Some(1.0)).await;
        println!("hand-over, {what}: {:.3} s", begun.elapsed().as_secs_f64());
        let before = self.ledger().in_bars;
        self.until("trade in the bars", || self.ledger().in_bars > before).await;
    }

    /// Lets an hour pass, and waits until every bar is closed.
    async fn until_closed(&self, market: &Market) {
        market.finish();
        let is_closed =
            |snapshot: &Arc<SymbolSnapshot>| snapshot.windows.iter().all(|window| window.forming.is_none());
        self.until("closed bars", || self.snapshots.all().iter().all(is_closed)).await;
    }

    fn num_hand_overs(&self) -> f64 {
        let text = self.node.env.metrics.encode();
        let counts = text.lines().filter(|line| line.starts_with("tickwire_feed_hand_overs_total{"));
        counts.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    }

    fn feed_health(&self) -> String {
        let components = self.node.health.components();
        components
            .into_iter()
            .find(|(name, _)| name == "feed_coins")
            .map(|(_, health)| health.detail)
            .unwrap_or_default()
    }

    /// Stops, and returns the digest of all bars and the least coverage among them.
    async fn finish(mut self) -> (String, f64, Ledger) {
        self.feed.take().unwrap().stop().await;
        let ledger = self.pipeline.finish().await.unwrap();
        let (mut digest, mut after, mut coverage) = (Digest::new(), None, 1.0_f64);
        loop {
            let page = self.node.history.scan(after, 10_000).await.unwrap();
            let Some((last, _)) = page.last() else { break };
            after = Some((last.symbol, last.width, last.start));
            for (bar, point) in &page {
                let spec = self.node.symbols.spec(bar.symbol);
                digest.add(&spec.name, &spec, bar, &point.values);
                coverage = coverage.min(bar.coverage);
            }
        }
        self.pipeline.end();
        self.node.close().await;
        (digest.finish(), coverage, ledger)
    }
}

/// Returns the digest of the plain replay of a market.
fn replayed(dir: &Path, market: &Market) -> String {
    let file = dir.join("trades.csv");
    std::fs::write(&file, market.csv()).unwrap();
    let mut run = replay_command(&[file.to_str().unwrap()]);
    run.env(WINDOWS.0, WINDOWS.1);
    let summary = Program::start(run).wait().summary();
    assert_eq!(summary["ledger"]["in_bars"], market.num_played());
    summary["digest"].as_str().unwrap().to_owned()
}

/// Trades a second where venues come and go: a debug build on two cores that other tests use too cannot work through more.
const RATE: usize = if cfg!(debug_assertions) { 2_500 } else { 10_000 };

#[test]
fn whatever_happens_to_the_first_venue_the_bars_are_those_of_the_plain_replay() {
    let market = Market::new(RATE);
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (Exchange::start(&market), Exchange::start(&market));
    actix::System::new().block_on(async {
        let world = World::start(&dir.path().join("data"), [&a, &b], false, 2).await;
        world.until("connection", || a.num_connections() == 1).await;
        market.begin();
        world.until_in_charge("a", "begin").await;
        assert_eq!(b.num_connections(), 0, "standbys are not opened before they are needed");

        a.set(State::Gone);
        world.until_in_charge("b", "broken").await;
        world.until("health that says so", || world.feed_health().starts_with("`b` in charge: ")).await;
        a.set(State::Well);
        world.until_in_charge("a", "recovered").await;

        a.set(State::Frozen);
        world.until_in_charge("b", "silent").await;
        a.set(State::Well);
        world.until_in_charge("a", "recovered").await;

        let before = world.num_hand_overs();
        a.set(State::Gone);
        world.until_in_charge("b", "broken").await;
        for _ in 0..5 {
            let num_before = a.num_connections();
            a.set(State::Well);
            world.until("another try", || a.num_connections() > num_before).await;
            a.set(State::Gone);
            world.until("end of the connection", || a.num_open() == 0).await;
        }
        assert_eq!(world.num_hand_overs(), before + 1.0, "a venue that flaps stays where it is");
        a.set(State::Well);
        world.until_in_charge("a", "recovered").await;
        // The standby that was not needed any more is away as well.
        b.set(State::Gone);

        let num_trades = market.stop() as u64;
        world.until("all trades", || world.ledger().in_bars == num_trades).await;
        // All trades may have come a moment before their gap is told to be filled.
        let gaps = "tickwire_venue_gaps_open{venue=\"a\"}";
        world.until("filled gap", || world.metric(gaps) == Some(0.0)).await;
        world.until_closed(&market).await;
        let (digest, coverage, ledger) = world.finish().await;
        let expected = replayed(dir.path(), &market);
        assert_eq!((ledger.in_bars, ledger.late, ledger.residue()), (num_trades, 0, 0));
        assert!(ledger.filtered > 0, "the venues overlapped");
        assert_eq!(digest, expected);
        assert!((coverage - 1.0).abs() < f64::EPSILON, "{coverage}");
    });
}

#[test]
fn what_no_venue_can_tell_shows_in_the_coverage() {
    let market = Market::new(5_000);
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (Exchange::start(&market), Exchange::start(&market));
    b.forget_past();
    actix::System::new().block_on(async {
        let world = World::start(&dir.path().join("data"), [&a, &b], false, 2).await;
        world.until("connection", || a.num_connections() == 1).await;
        market.begin();
        world.until_in_charge("a", "begin").await;
        a.set(State::Gone);
        world.until_in_charge("b", "broken").await;
        let num_trades = market.stop() as u64;
        world.until_closed(&market).await;
        let (_, coverage, ledger) = world.finish().await;
        assert!(ledger.in_bars < num_trades && ledger.residue() == 0);
        assert!(coverage < 1.0, "{coverage}");
    });
}

#[test]
fn a_symbol_that_the_standby_lacks_is_fetched_when_its_venue_is_back() {
    let market = Market::new(2_000);
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (Exchange::start(&market), Exchange::start(&market));
    actix::System::new().block_on(async {
        let world = World::start(&dir.path().join("data"), [&a, &b], false, 1).await;
        world.until("connection", || a.num_connections() == 1).await;
        market.begin();
        world.until_in_charge("a", "begin").await;
        a.set(State::Gone);
        world.until_in_charge("b", "broken").await;
        // It is tried and found away a few times, and what it owes stays known.
        let failures = "tickwire_venue_failures_total{venue=\"a\"}";
        world.until("more tries", || world.metric(failures).is_some_and(|count| count >= 4.0)).await;
        a.set(State::Well);
        world.until_in_charge("a", "recovered").await;
        let num_trades = market.stop() as u64;
        world.until("all trades", || world.ledger().in_bars == num_trades).await;
        world.until_closed(&market).await;
        let (digest, coverage, ledger) = world.finish().await;
        assert_eq!((ledger.in_bars, ledger.late, ledger.residue()), (num_trades, 0, 0));
        assert_eq!(digest, replayed(dir.path(), &market));
        assert!((coverage - 1.0).abs() < f64::EPSILON, "{coverage}");
    });
}

#[test]
fn a_venue_that_is_compared_enters_no_bar_and_its_divergence_is_measured() {
    let market = Market::new(5_000);
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (Exchange::start(&market), Exchange::start(&market));
    actix::System::new().block_on(async {
        let world = World::start(&dir.path().join("data"), [&a, &b], true, 2).await;
        world.until("connections", || a.num_connections() == 1 && b.num_connections() == 1).await;
        market.begin();
        let volume = "tickwire_feed_divergence_volume_ratio{feed=\"coins\",venue=\"b\"}";
        let is_long = || market.num_played() > 20_000 && world.metric(volume).is_some();
        world.until("window to compare", is_long).await;
        let num_trades = market.stop() as u64;
        world.until("all trades", || world.ledger().in_bars == num_trades).await;
        let compared = "`b` differs by 0.0 bps in price and 0 % in volume";
        world.until("comparison", || world.feed_health().contains(compared)).await;
        world.until_closed(&market).await;
        let (digest, _, ledger) = world.finish().await;
        let expected = replayed(dir.path(), &market);
        assert_eq!((ledger.received, ledger.in_bars, ledger.residue()), (num_trades, num_trades, 0));
        assert_eq!(digest, expected);
    });
}

#[test]
fn a_list_of_providers_is_a_feed_with_standbys() {
    let market = Market::new(1_000);
    let dir = tempfile::tempdir().unwrap();
    let exchange = Exchange::start(&market);
    let list = "coinbase,kraken";
    let mut run =
        command(&run_args(&dir.path().join("data"), &["--provider", list, "--symbols", "BTC-USD,ETH-USD"]));
    let [stream, rest] = exchange.addresses();
    run.env("TICKWIRE__VENUES__COINBASE__STREAM_URL", stream)
        .env("TICKWIRE__VENUES__COINBASE__REST_URL", rest);
    // Nobody is there, and nobody needs it.
    run.env("TICKWIRE__VENUES__KRAKEN__STREAM_URL", "ws://127.0.0.1:9");
    run.env("TICKWIRE__VENUES__KRAKEN__REST_URL", "http://127.0.0.1:9");
    let program = Program::start(run);
    program.line_with(" ready");
    market.begin();
    wait_for("trades in bars", || {
        let series = "tickwire_ledger_reports{fate=\"in_bars\",source=\"coinbase\"}";
        (program.metric(series) > 0).then_some(())
    });
    let health = program.get("REST", "/health").unwrap().json();
    assert_eq!(health["provider"], list);
    let said = health["details"]["messages"]["feed_coinbase"].as_str().unwrap();
    assert!(said.starts_with("`coinbase` in charge: ") && said.ends_with("; `kraken` on standby"), "{said}");
    assert_eq!(program.metric("tickwire_venue_breaker_state{feed=\"coinbase\",venue=\"kraken\"}"), 0);
    assert_eq!(program.metric("tickwire_feed_in_charge{feed=\"coinbase\",venue=\"coinbase\"}"), 1);
    program.stop();
}
