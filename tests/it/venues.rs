//! Live venues: the program against a fake Coinbase on real sockets that goes wrong in every way a script can say.
//!
//! Whatever goes wrong, the bars are those of the plain replay of the same trades, digest for digest, as long as the venue
//! has the trades over REST; where it has not, the gap is given up and shows in the coverage.

mod contract;
mod fake;

use crate::support::process::{PATIENCE, Program, command, replay, run_args, wait_for};
use crate::support::rows::block_on;
use crate::support::shared;
use contract::Fixture;
use fake::{FakeVenue, Fault, MarketTrade};
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tickwire::actors::guard::ActorKind;
use tickwire::actors::ingest::config::VenueConfig;
use tickwire::actors::ingest::registry;
use tickwire::actors::ingest::shell::{self, FeedSettings};
use tickwire::actors::ingest::venue::{Instrument, Instruments};
use tickwire::actors::pipeline::Pipeline;
use tickwire::config::{Config, Sources};
use tickwire::models::digest::Digest;
use tickwire::models::num::Scale;
use tickwire::models::symbol::SymbolSpec;
use tickwire::models::time::{MINUTE, Nanos, SECOND};
use tickwire::names::SourceTable;
use tickwire::names::SymbolTable;
use tickwire::node::{Node, pipeline_settings};
use tickwire::stores::history::History;
use tickwire::stores::history::sqlite::SqliteHistory;
use tickwire::stores::log::sqlite::SqliteLog;

/// 2023-11-14T22:15:00Z: a whole quarter of an hour.
const START: Nanos = Nanos(1_700_000_100 * SECOND);

/// A market of two products over some twelve minutes, the same each time.
fn made_market(num_trades: usize) -> Vec<MarketTrade> {
    let products = ["BTC-USD", "ETH-USD"];
    let (mut ids, mut state) = ([463_751_000_u64, 91_000], 88_172_645_463_325_252_u64);
    let mut draw = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut ts = START.plus(3 * SECOND / 2);
    (0..num_trades)
        .map(|_| {
            let at = usize::from(draw(3) == 0);
            // Some trades share a microsecond: then their ids decide which one is the last.
            ts = ts.plus(i64::try_from(draw(4).min(1) * draw(1_400_000)).unwrap() * 1_000);
            ids[at] += 1;
            let cents = if at == 0 { 6_890_000 + draw(9_000) } else { 230_000 + draw(900) };
            let size = draw(400_000_000) + 1;
            MarketTrade {
                product: products[at],
                id: ids[at],
                ts,
                price: format!("{}.{:02}", cents / 100, cents % 100),
                size: format!("{}.{:08}", size / 100_000_000, size % 100_000_000),
            }
        })
        .collect()
}

/// An hour of Coinbase, if the shared data is there.
fn recorded_market() -> Option<Vec<MarketTrade>> {
    let rows = shared::open("crypto_coinbase_btcusd_20230905_trades.csv.gz")?;
    let trade = |row: Vec<String>| MarketTrade {
        product: "BTC-USD",
        id: row[4].parse().unwrap(),
        ts: shared::nanos(&row[0]),
        price: row[2].clone(),
        size: row[3].clone(),
    };
    Some(rows.map(trade).collect())
}

/// Returns the digest of the plain replay of the trades, and how many there are.
fn replayed(dir: &Path, trades: &[MarketTrade]) -> String {
    let mut text = "ts_ns,symbol,price,size,trade_id\n".to_owned();
    for MarketTrade { product, id, ts, price, size } in trades {
        writeln!(text, "{},{product},{price},{size},{id}", ts.0).unwrap();
    }
    let file = dir.join("trades.csv");
    std::fs::write(&file, text).unwrap();
    let summary = replay(&[file.to_str().unwrap()]).summary();
    assert_eq!(summary["ledger"]["in_bars"], trades.len());
    summary["digest"].as_str().unwrap().to_owned()
}

/// Returns the digest of what a data directory holds.
fn digest_of(dir: &Path) -> String {
    block_on(async {
        let (symbols, sources) = (Arc::<SymbolTable>::default(), Arc::<SourceTable>::default());
        let settings = Config::default().sqlite_settings();
        let log =
            SqliteLog::open(dir, Arc::clone(&symbols), Arc::clone(&sources), settings.clone()).await.unwrap();
        let history =
            SqliteHistory::open(dir, Arc::clone(&symbols), sources, settings, log.epoch()).await.unwrap();
        let (mut digest, mut after) = (Digest::new(), None);
        loop {
            let page = history.scan(after, 10_000).await.unwrap();
            let Some((last, _)) = page.last() else { break };
            after = Some((last.symbol, last.width, last.start));
            for (bar, point) in &page {
                let spec = symbols.spec(bar.symbol);
                digest.add(&spec.name, &spec, bar, &point.values);
            }
        }
        digest.finish()
    })
}

/// Starts the program on a fake venue.
fn start(dir: &Path, venue: &FakeVenue, symbols: &str, environment: &[(&str, &str)]) -> Program {
    let data = dir.join("data");
    let mut run = command(&run_args(&data, &["--provider", "coinbase", "--symbols", symbols]));
    // The market trades twelve minutes in a moment: what comes over REST must find its windows open.
    run.env("TICKWIRE__CORE__HORIZON", "3h").env("TICKWIRE__CORE__GAP_HOLD", "3h");
    run.envs(venue.environment()).envs(environment.iter().copied());
    Program::start(run)
}

fn venue_metric(program: &Program, name: &str) -> u64 {
    program.metric(&format!("tickwire_venue_{name}{{venue=\"coinbase\"}}"))
}

fn ledger(program: &Program, fate: &str) -> u64 {
    program.metric(&format!("tickwire_ledger_reports{{fate=\"{fate}\",source=\"coinbase\"}}"))
}

/// Waits until every trade counts and no gap is open.
fn wait_until_whole(program: &Program, num_trades: usize) {
    program.line_with(" ready");
    wait_for("trades that all count", || {
        let is_whole =
            ledger(program, "in_bars") == num_trades as u64 && venue_metric(program, "gaps_open") == 0;
        is_whole.then_some(())
    });
}

/// Closes every bar, stops the program, and returns the digest.
fn finish(program: Program, venue: &FakeVenue, dir: &Path) -> String {
    venue.finish();
    wait_for("bars that are closed", || {
        let bars = program.get(
            "REST",
            "/api/v1/aggregated/BTC-USD?window=15min&limit=1&include_forming=true&start_time=2000-01-01",
        )?;
        let bars = bars.json();
        (bars[0]["state"] != "forming").then_some(())
    });
    assert_eq!(program.metric("tickwire_ledger_residue{source=\"coinbase\"}"), 0);
    program.stop();
    digest_of(&dir.join("data"))
}

/// A counter, and what it must be at least.
type Count = (&'static str, u64);
/// A name, what goes wrong after how many trades, and what is counted.
type Case = (&'static str, Vec<(usize, Fault)>, &'static [Count]);

#[test]
fn each_fault_alone_ends_in_the_bars_of_the_plain_replay() {
    let trades = made_market(1_500);
    let fresh = tempfile::tempdir().unwrap();
    let expected = replayed(fresh.path(), &trades);
    let garbage = |text: &'static str| Fault::Garbage(text.as_bytes());
    // A product's last trade in an outage comes with the subscription; the others over REST.
    let cases: [Case; 11] = [
        ("nothing", vec![], &[("connects_total", 1)]),
        (
            "kicks",
            vec![(400, Fault::Kick(0)), (900, Fault::Kick(0))],
            &[("connects_total", 3), ("failures_total", 2)],
        ),
        (
            "outages",
            vec![(300, Fault::Kick(250)), (800, Fault::Kick(1))],
            &[("backfilled_total", 248), ("holes_total", 2)],
        ),
        ("cuts", vec![(300, Fault::Cut), (310, Fault::Cut)], &[("connects_total", 3)]),
        (
            "skips",
            vec![(200, Fault::Skip(1)), (600, Fault::Skip(130))],
            &[("backfilled_total", 131), ("holes_total", 2)],
        ),
        ("repeats", vec![(500, Fault::Repeat(400))], &[("repeats_total", 400)]),
        ("reordered", vec![(100, Fault::Reorder(20)), (700, Fault::Reorder(2))], &[("connects_total", 1)]),
        ("silence", vec![(700, Fault::Silence(60))], &[("connects_total", 2), ("backfilled_total", 58)]),
        (
            "garbage",
            vec![
                (10, garbage("")),
                (20, garbage("{\"type\":\"match\"}")),
                (30, Fault::Garbage(b"\xff\xfe{")),
            ],
            &[("connects_total", 1), ("ignored_frames_total", 0)],
        ),
        (
            "refusals",
            vec![(50, Fault::Refuse(3)), (50, Fault::Kick(40))],
            &[("failures_total", 4), ("backfilled_total", 38)],
        ),
        (
            "REST that fails",
            vec![
                (100, Fault::RestFails(4, "503 Service Unavailable")),
                (200, Fault::Skip(30)),
                (201, Fault::RestFails(1, "429 Too Many Requests")),
            ],
            &[("backfilled_total", 30), ("requests_total", 3)],
        ),
    ];
    for (name, script, counts) in cases {
        println!("{name}");
        let dir = tempfile::tempdir().unwrap();
        let venue = FakeVenue::start(trades.clone(), &script);
        let program = start(dir.path(), &venue, "BTC-USD,ETH-USD", &[]);
        wait_until_whole(&program, trades.len());
        for (counter, least) in counts {
            let found = venue_metric(&program, counter);
            assert!(found >= *least, "{name}: {counter} is {found}, not {least} or more");
        }
        assert_eq!(venue_metric(&program, "holes_given_up_total"), 0, "{name}");
        if name == "garbage" {
            let letters = program.get("REST", "/api/v1/dead-letters?reason=malformed").unwrap().json();
            assert_eq!(letters.as_array().map(Vec::len), Some(2), "{letters}");
            assert_eq!(
                program.metric("tickwire_venue_faults_total{kind=\"malformed\",venue=\"coinbase\"}"),
                2
            );
            assert_eq!(
                program.metric("tickwire_venue_faults_total{kind=\"unknown_symbol\",venue=\"coinbase\"}"),
                1
            );
        }
        assert_eq!(finish(program, &venue, dir.path()), expected, "{name}");
    }
}

#[test]
fn a_recorded_hour_with_every_fault_ends_in_the_bars_of_the_plain_replay() {
    let Some(trades) = recorded_market() else { return };
    let dir = tempfile::tempdir().unwrap();
    let expected = replayed(dir.path(), &trades);
    let script = [
        (200, Fault::Kick(120)),
        (700, Fault::Skip(40)),
        (900, Fault::Repeat(300)),
        (1_400, Fault::Reorder(30)),
        (1_900, Fault::Refuse(2)),
        (2_000, Fault::Cut),
        (2_500, Fault::Garbage(b"{\"type\":\"match\",\"trade_id\":1}")),
        (2_600, Fault::RestFails(2, "500 Internal Server Error")),
        (2_700, Fault::Skip(1)),
        (3_300, Fault::Silence(900)),
        (5_000, Fault::Kick(3)),
    ];
    let venue = FakeVenue::start(trades.clone(), &script);
    let program = start(dir.path(), &venue, "BTC-USD", &[]);
    wait_until_whole(&program, trades.len());
    let ledger_of = |fate| ledger(&program, fate);
    assert_eq!((ledger_of("late"), ledger_of("rejected"), ledger_of("cancelled")), (0, 0, 0));
    assert_eq!(ledger_of("received"), ledger_of("in_bars") + ledger_of("duplicate"));
    let num_fetched = venue_metric(&program, "backfilled_total");
    // What was skipped first may have come with the repeats before anybody asked for it.
    assert!(num_fetched >= 119 + 1 + 899 + 2, "{num_fetched}");
    assert_eq!(finish(program, &venue, dir.path()), expected);
}

#[test]
fn a_killed_run_goes_on_and_fetches_what_it_missed() {
    let trades = made_market(1_500);
    let dir = tempfile::tempdir().unwrap();
    let expected = replayed(dir.path(), &trades);
    let venue = FakeVenue::start(trades.clone(), &[]);
    venue.pause_at(600);
    let program = start(dir.path(), &venue, "BTC-USD,ETH-USD", &[]);
    wait_until_whole(&program, 600);
    program.kill();
    venue.pass(300);
    venue.resume();
    let program = start(dir.path(), &venue, "BTC-USD,ETH-USD", &[]);
    wait_until_whole(&program, trades.len());
    assert!(venue_metric(&program, "backfilled_total") >= 298);
    assert_eq!(finish(program, &venue, dir.path()), expected);
}

#[test]
fn a_hole_that_cannot_be_filled_is_given_up_and_shows_in_the_coverage() {
    let trades = made_market(400);
    let dir = tempfile::tempdir().unwrap();
    let venue = FakeVenue::start(trades.clone(), &[(100, Fault::Skip(40))]);
    venue.forget(trades[100..140].iter().map(|trade| trade.id));
    let program = start(dir.path(), &venue, "BTC-USD,ETH-USD", &[("TICKWIRE__CORE__GAP_HOLD", "500ms")]);
    program.line_with(" ready");
    wait_for("holes that are given up", || {
        (venue_metric(&program, "holes_given_up_total") == 2).then_some(())
    });
    wait_for("the rest", || (ledger(&program, "in_bars") == 360).then_some(()));
    venue.finish();
    let lost_at = trades[120].ts;
    let minute = Nanos(lost_at.0 - lost_at.0.rem_euclid(MINUTE)).to_rfc3339();
    wait_for("a bar that is not whole", || {
        let path = "/api/v1/aggregated/BTC-USD?window=1min&limit=50&start_time=2000-01-01";
        let bars = program.get("REST", path)?.json();
        let bar = bars.as_array()?.iter().find(|bar| bar["window_start"] == minute.as_str())?;
        (bar["coverage"].as_f64()? < 1.0).then_some(())
    });
    assert_eq!(venue_metric(&program, "gaps_open"), 0);
    assert_eq!(program.metric("tickwire_ledger_residue{source=\"coinbase\"}"), 0);
    program.stop();
}

#[test]
fn symbols_are_checked_at_the_start_and_followed_unchecked_where_the_venue_is_away() {
    let dir = tempfile::tempdir().unwrap();
    let venue = FakeVenue::start(made_market(10), &[]);
    let ended = start(dir.path(), &venue, "BTC-EUR", &[]).wait();
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("`coinbase` has no symbol `BTC-EUR`; there is BTC-USD"),
        "{}",
        ended.stderr
    );
    assert!(!dir.path().join("data").exists(), "nothing was begun");

    // An address where nobody is; aliases are found in the list alone.
    let away = [("TICKWIRE__VENUES__COINBASE__REST_URL", "http://127.0.0.1:9")];
    let program = start(dir.path(), &venue, "BTC-USD", &away);
    program.line_with("followed unchecked");
    program.line_with(" ready");
    let symbols = wait_for("the symbol", || {
        let symbols = program.get("REST", "/api/v1/symbols")?.json();
        (symbols["count"] == 1).then_some(symbols)
    });
    assert_eq!(symbols["details"]["BTC-USD"]["data"], "live", "{symbols}");
    program.stop();
}

#[test]
fn health_tells_a_venue_that_refuses_and_one_that_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let venue = FakeVenue::start(made_market(200), &[(50, Fault::Refuse(1_000_000)), (50, Fault::Kick(0))]);
    let program = start(dir.path(), &venue, "BTC-USD,ETH-USD", &[]);
    program.line_with(" ready");
    let is = |status: &str| {
        let health = program.get("REST", "/health")?.json();
        (health["components"]["feed_coinbase"] == status).then_some(health)
    };
    wait_for("a feed that is down", || {
        let health = is("degraded").filter(|_| venue.num_played() == 50)?;
        health["details"]["messages"]["feed_coinbase"].as_str()?.contains("handshake failed").then_some(())
    });
    assert_eq!(program.get("REST", "/health/ready").unwrap().status, 200, "what is there is served");
    venue.forgive();
    wait_for("a feed that is well", || is("healthy"));
    wait_until_whole(&program, 200);
    program.stop();
}

#[test]
fn a_data_directory_takes_simulated_or_live_data_and_never_both() {
    let venue = FakeVenue::start(made_market(50), &[]);
    let simulated =
        |dir: &Path| Program::start(command(&run_args(&dir.join("data"), &["--symbol-count", "2"])));
    let dir = tempfile::tempdir().unwrap();
    let program = start(dir.path(), &venue, "BTC-USD,ETH-USD", &[]);
    wait_until_whole(&program, 50);
    assert_eq!(program.get("REST", "/").unwrap().json()["provider"], "coinbase");
    program.stop();
    let ended = simulated(dir.path()).wait();
    assert!(!ended.status.success() && ended.stderr.contains("a venue said"), "{}", ended.stderr);

    let dir = tempfile::tempdir().unwrap();
    let program = simulated(dir.path());
    program.line_with(" ready");
    program.stop();
    let ended = start(dir.path(), &venue, "BTC-USD", &[]).wait();
    assert!(!ended.status.success() && ended.stderr.contains("`simulated` made up"), "{}", ended.stderr);
}

#[test]
fn a_panic_while_frames_are_read_costs_nothing() {
    let trades = made_market(600);
    let dir = tempfile::tempdir().unwrap();
    let expected = replayed(dir.path(), &trades);
    let venue = FakeVenue::start(trades.clone(), &[]);
    venue.pause_at(200);
    let data = dir.path().join("data");
    let mut environment = venue.environment();
    for (key, value) in [
        ("TICKWIRE__DATA_DIR", data.to_str().unwrap()),
        ("TICKWIRE__CORE__HORIZON", "3h"),
        ("TICKWIRE__CORE__GAP_HOLD", "3h"),
    ] {
        environment.push((key.to_owned(), value.to_owned()));
    }
    let config = Config::load(&Sources { environment, ..Sources::default() }).unwrap();
    actix::System::new().block_on(async {
        let mut node = Node::open(&config).await.unwrap();
        let storage = node.storage(true);
        let views = node.publish_views();
        let (env, health) = (node.env.clone(), Arc::clone(&node.health));
        let settings = pipeline_settings(&config);
        let pipeline = Pipeline::start(env.clone(), settings, storage, Arc::clone(&health)).await.unwrap();
        let section = config.venues.coinbase.clone();
        let instrument = |name: &str| Instrument {
            symbol: node.symbols.intern(SymbolSpec::named(name)),
            venue_symbol: name.to_owned(),
            price_scale: Scale::PRICE,
            size_scale: Scale::SIZE,
        };
        let feed = FeedSettings {
            name: "coinbase".to_owned(),
            venue: (registry::find("coinbase").unwrap().open)(&section),
            config: section,
            requests_per_minute: 60_000,
            instruments: Instruments::new(["BTC-USD", "ETH-USD"].map(instrument).to_vec()),
            source: node.sources.intern("coinbase"),
            down_since: None,
            rate_max: None,
        };
        let feed = shell::start(feed, pipeline.log().clone(), env.clone(), health).unwrap();
        let until = async |num_trades: u64| {
            let begun = Instant::now();
            while views.all().iter().map(|view| view.ledger.in_bars).sum::<u64>() < num_trades {
                assert!(begun.elapsed() < PATIENCE, "the feed does not go on");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        until(200).await;
        env.faults.at_actor(ActorKind::Provider, 1);
        venue.resume();
        until(600).await;
        let restarts = "tickwire_actor_restarts_total{actor=\"provider\"} 1";
        assert!(env.metrics.encode().contains(restarts));
        feed.stop().await;
        let ledger = pipeline.finish().await.unwrap();
        assert_eq!((ledger.in_bars, ledger.late, ledger.residue()), (600, 0, 0));
        pipeline.end();
        node.close().await;
    });
    wait_for("the lock of the directory", || std::fs::File::open(data.join("lock")).ok());
    assert_eq!(digest_of(&data), expected);
}

#[test]
fn coinbase_keeps_the_contract_of_venues() {
    let entry = registry::find("coinbase").unwrap();
    let venue = (entry.open)(&VenueConfig::default());
    let trades = made_market(3);
    let page = serde_json::to_string(&serde_json::json!([
        {"time": "2026-09-08T14:30:02.028459Z", "trade_id": 463_751_434, "price": "68900.16", "size": "0.05", "side": "sell"},
        {"time": "2026-09-08T14:30:01Z", "trade_id": 463_751_433, "price": "68900.1", "size": "1", "side": "buy"},
    ]));
    let frames = [
        trades[0].frame("match"),
        trades[1].frame("match"),
        trades[2].frame("last_match"),
        r#"{"type":"heartbeat","sequence":90,"last_trade_id":20,"product_id":"BTC-USD","time":"2026-09-08T14:30:02.028459Z"}"#.to_owned(),
        r#"{"type":"subscriptions","channels":[{"name":"matches","product_ids":["BTC-USD"]}]}"#.to_owned(),
        r#"{"type":"error","message":"Failed to subscribe","reason":"X is not a valid product"}"#.to_owned(),
        r#"{"type":"ticker","sequence":37475248783,"product_id":"ETH-USD","price":"1285.22"}"#.to_owned(),
    ];
    let frames: Vec<&str> = frames.iter().map(String::as_str).collect();
    contract::holds(
        venue.as_ref(),
        &Fixture {
            frames: &frames,
            num_trades: 3,
            pages: &[&page.unwrap()],
            venue_symbols: &["BTC-USD", "ETH-USD"],
        },
    );
}
