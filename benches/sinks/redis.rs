//! Redis, which `redis-benchmark` is measured beside.

use super::measure::{cpu, print};
use super::rows::{bar, ticks};
use super::{NUM_BATCHES, NUM_SYMBOLS};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tickwire::actors::messages::LiveTick;
use tickwire::actors::sinks::cache::{CacheSink, CacheSources};
use tickwire::actors::sinks::{Sink, SinkBatch};
use tickwire::models::effect::Effect;
use tickwire::node::Node;
use tickwire::stores::cache::CacheTtls;
use tickwire::stores::cache::redis::{RedisCache, RedisSettings};

/// Writes of each symbol its latest trade, its count and its newest bar.
pub async fn measure(node: &Node, url: &str) {
    let settings = RedisSettings {
        url: url.to_owned(),
        is_cluster: false,
        pool_size: 1,
        key_prefix: "bench:".to_owned(),
        timeout: Duration::from_secs(60),
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
