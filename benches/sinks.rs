//! How fast InfluxDB and Redis take what this program writes, beside InfluxDB's own client for Rust.
//!
//! `scripts/bench/sinks.py` starts the servers, runs this and writes the figures down. `cargo bench --bench sinks -- --json`
//! by itself needs their addresses in TICKWIRE_TEST_INFLUXDB (with its token in TICKWIRE_TEST_INFLUXDB_TOKEN) and
//! TICKWIRE_TEST_REDIS; one that is not named is left out. Prints an object a line.

use futures_util::stream;
use influxdb2::models::DataPoint;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tickwire::actors::messages::LiveTick;
use tickwire::actors::sinks::cache::{CacheSink, CacheSources};
use tickwire::actors::sinks::influxdb::InfluxSink;
use tickwire::actors::sinks::{Sink, SinkBatch};
use tickwire::config::{Config, Secret};
use tickwire::models::bar::{Bar, BarOrigin, BarState};
use tickwire::models::effect::Effect;
use tickwire::models::num::{Price, Scale, Size};
use tickwire::models::symbol::{SymbolId, SymbolSpec};
use tickwire::models::time::{MINUTE, Nanos, Width};
use tickwire::node::Node;
use tickwire::stores::cache::CacheTtls;
use tickwire::stores::cache::redis::{RedisCache, RedisSettings};
use tickwire::stores::influxdb::client::{InfluxClient, InfluxSettings};
use tickwire::stores::influxdb::setup::Wanted;

const NUM_SYMBOLS: u32 = 1_000;
/// Rows of a request, as `influxdb.batch.max_events` has it.
const BATCH_ROWS: usize = 5_000;
const NUM_BATCHES: usize = 100;
const ORG: &str = "tickwire";
const TIMEOUT: Duration = Duration::from_secs(60);

fn main() {
    actix::System::new().block_on(async {
        let node = Node::in_memory(&Config::default(), usize::MAX).await.expect("a node in memory");
        for at in 0..NUM_SYMBOLS {
            node.symbols.intern(SymbolSpec::named(&format!("SIM{at:04}")));
        }
        let given = |name: &str| std::env::var(name).ok();
        if let Some((url, token)) = given("TICKWIRE_TEST_INFLUXDB").zip(given("TICKWIRE_TEST_INFLUXDB_TOKEN"))
        {
            influxdb(&node, &url, &token).await;
        }
        if let Some(url) = given("TICKWIRE_TEST_REDIS") {
            redis(&node, &url).await;
        }
    });
}

/// Trades of now, of all symbols in turn.
fn ticks(nth: usize) -> Vec<LiveTick> {
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock that is set");
    let begin = i64::try_from(now.as_nanos()).expect("a time of this age");
    let tick = |at: usize| {
        let seq = (nth * BATCH_ROWS + at) as u64;
        let mixed = seq.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let ts = Nanos(begin + at as i64 * 1_000);
        LiveTick {
            symbol: SymbolId(at as u32 % NUM_SYMBOLS),
            ts,
            received: ts,
            price: Price(100_000_000_000 + (mixed >> 50) as i64 * 10_000_000),
            size: Size(((mixed >> 30) as i64 % 500 + 1) * 100_000_000),
            seq,
            log_pos: seq,
        }
    };
    (0..BATCH_ROWS).map(tick).collect()
}

/// CPU time that the process has used, all threads together.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn print(what: &str, unit: &str, num: usize, took: Duration, cpu: Duration) {
    println!(
        "{{\"what\": \"{what}\", \"unit\": \"{unit}\", \"per_second\": {:.0}, \"cpu_seconds_per_million\": {:.3}}}",
        num as f64 / took.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / num as f64,
    );
}

async fn influxdb(node: &Node, url: &str, token: &str) {
    let bucket = format!("bench-{}", std::process::id());
    let client = InfluxClient::new(InfluxSettings {
        url: url.parse().expect("an address"),
        token: Some(Secret::new(token.to_owned())),
        org: ORG.to_owned(),
        bucket: bucket.clone(),
        gzip: true,
        timeout: TIMEOUT,
        tls: tickwire::tls::client(None).expect("the public certificates"),
    });
    let wanted = Wanted { create_bucket: true, retention: Duration::ZERO, downsampling: None };
    let (symbols, metrics) = (Arc::clone(&node.symbols), Arc::clone(&node.env.metrics));
    let sink = InfluxSink::new("influxdb", client, wanted, symbols, metrics, Arc::clone(&node.env.now));
    let batches: Vec<Vec<LiveTick>> = (0..NUM_BATCHES).map(ticks).collect();
    sink.write(&SinkBatch::default()).await.expect("a server that answers");
    let (begun, before) = (Instant::now(), cpu());
    for ticks in &batches {
        let batch = SinkBatch { ticks: vec![Arc::new(ticks.clone())], ..SinkBatch::default() };
        sink.write(&batch).await.expect("it is written");
    }
    print("influxdb", "points", NUM_BATCHES * BATCH_ROWS, begun.elapsed(), cpu() - before);

    let own = influxdb2::ClientBuilder::new(url, ORG, token).gzip(true).build().expect("a client");
    let names: Vec<String> = (0..NUM_SYMBOLS).map(|at| format!("SIM{at:04}")).collect();
    let (begun, before) = (Instant::now(), cpu());
    for ticks in &batches {
        let points: Vec<DataPoint> = ticks
            .iter()
            .map(|tick| {
                DataPoint::builder("tick_metrics")
                    .tag("symbol", names[tick.symbol.index()].as_str())
                    .field("price", Scale::PRICE.to_f64(tick.price.0))
                    .field("volume", Scale::SIZE.to_f64(tick.size.0))
                    // A point of its own, as the others are.
                    .timestamp(tick.ts.0 + 1)
                    .build()
                    .expect("it has fields")
            })
            .collect();
        own.write(&bucket, stream::iter(points)).await.expect("it is written");
    }
    print("influxdb2", "points", NUM_BATCHES * BATCH_ROWS, begun.elapsed(), cpu() - before);
}

async fn redis(node: &Node, url: &str) {
    let settings = RedisSettings {
        url: url.to_owned(),
        is_cluster: false,
        pool_size: 1,
        key_prefix: "bench:".to_owned(),
        timeout: TIMEOUT,
        ca: None,
    };
    let sources = CacheSources {
        symbols: Arc::clone(&node.symbols),
        snapshots: Arc::default(),
        clocks: Arc::clone(&node.env.published.clocks),
        core: Arc::clone(&node.env.settings),
        now: Arc::clone(&node.env.now),
    };
    let minute = Duration::from_mins(1);
    let ttls = CacheTtls { latest: minute, indicators: minute, aggregated: minute };
    let cache = Arc::new(RedisCache::new(&settings).expect("an address"));
    let sink = CacheSink::new("redis", cache, ttls, sources, node.env.metrics.sink("redis"));
    let bars: Vec<Effect> = (0..NUM_SYMBOLS).map(bar).collect();
    let bars = Arc::new(bars);
    // Of each symbol its latest trade, its count and its newest bar.
    let keys = 3 * NUM_SYMBOLS as usize;
    let batches: Vec<Arc<Vec<LiveTick>>> = (0..NUM_BATCHES).map(|nth| Arc::new(ticks(nth))).collect();
    let (begun, before) = (Instant::now(), cpu());
    for ticks in batches {
        let batch =
            SinkBatch { ticks: vec![ticks], effects: vec![Arc::clone(&bars)], ..SinkBatch::default() };
        sink.write(&batch).await.expect("it is written");
    }
    print("redis", "keys", NUM_BATCHES * keys, begun.elapsed(), cpu() - before);
}

fn bar(symbol: u32) -> Effect {
    Effect::Bar(Bar {
        symbol: SymbolId(symbol),
        width: Width::parse("1min").expect("a width"),
        start: Nanos(30_000_000 * MINUTE),
        open: Price(100_000_000_000),
        high: Price(101_230_000_000),
        low: Price(99_870_000_000),
        close: Price(100_550_000_000),
        volume: 12_345_000_000,
        vwap: Some(100_432_100_000),
        trade_count: 321,
        state: BarState::Closed,
        revision: 0,
        coverage: 1.0,
        late: 0,
        duplicates: 0,
        cancelled: 0,
        origin: BarOrigin::Trades,
        seq: 1,
        log_pos: 1,
    })
}
