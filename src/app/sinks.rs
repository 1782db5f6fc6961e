//! Makes the sinks that the configuration names, beside the history, and what REST reads of them.
//!
//! Promises: a sink that is not configured costs nothing; one that cannot be reached does not keep the program from
//! starting, and health says so. What is configured wrongly ends the start with the key.

use crate::actors::sinks::SinkPolicy;
use crate::actors::sinks::cache::{CacheSink, CacheSources};
use crate::actors::sinks::set::SinkSetup;
use crate::config::{Config, Redis};
use crate::node::Node;
use crate::retry::RetryPolicy;
use crate::stores::cache::CacheTtls;
use crate::stores::cache::reader::CacheReader;
use crate::stores::cache::redis::{RedisCache, RedisSettings};
use anyhow::Context;
use std::sync::Arc;

/// Rows that fill the queue of the cache: 26 MB at the most, and at 10,000 ticks a second what comes in 10 s. More would
/// only be older: of each key the newest is written.
const CACHE_ROWS_MAX: usize = 100_000;

/// The sinks beside the history.
#[derive(Default)]
pub struct OtherSinks {
    /// What is to be started.
    pub setups: Vec<SinkSetup>,
    /// Reads the cache, where there is one.
    pub cache: Option<CacheReader>,
}

/// Makes what the configuration names.
///
/// # Errors
/// When an address cannot be read or is none.
pub fn open(config: &Config, node: &mut Node) -> anyhow::Result<OtherSinks> {
    let redis = &config.redis;
    if !redis.is_enabled() {
        if redis.url.is_some() || redis.url_file.is_some() {
            tracing::info!("Redis is configured and not used: {}", config.origin("redis.enabled"));
        }
        return Ok(OtherSinks::default());
    }
    let settings = settings(redis)?;
    let reader = RedisCache::new(&settings).context("`redis.url` cannot be used")?;
    // A connection of its own: requests do not wait behind its batches, nor it for a connection.
    let writer =
        RedisCache::new(&RedisSettings { pool_size: 1, ..settings }).context("`redis.url` cannot be used")?;
    let ttls = CacheTtls {
        latest: redis.ttl_latest,
        indicators: redis.ttl_indicators,
        aggregated: redis.ttl_aggregated,
    };
    let sources = CacheSources {
        symbols: Arc::clone(&node.symbols),
        snapshots: node.publish_snapshots(),
        clocks: Arc::clone(&node.env.published.clocks),
        core: Arc::clone(&node.env.settings),
        now: Arc::clone(&node.env.now),
    };
    let name = "redis";
    let sink = CacheSink::new(name, Arc::new(writer), ttls, sources, node.env.metrics.sink(name));
    let policy = SinkPolicy {
        timeout: Some(redis.timeout),
        retry: RetryPolicy { delay: redis.retry_delay, max_delay: redis.retry_max_delay },
        on_full: redis.on_full,
        rows_max: CACHE_ROWS_MAX,
        batch_rows: redis.batch.max_events.min(CACHE_ROWS_MAX),
        batch_age: redis.batch.max_age,
    };
    Ok(OtherSinks {
        setups: vec![SinkSetup { sink: Arc::new(sink), policy }],
        cache: Some(CacheReader::new(Arc::new(reader))),
    })
}

fn settings(redis: &Redis) -> anyhow::Result<RedisSettings> {
    let url = match (&redis.url, &redis.url_file) {
        (Some(url), _) => url.expose().to_owned(),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path);
            let text = text.with_context(|| format!("`redis.url_file`: cannot read `{}`", path.display()))?;
            let url = text.trim().to_owned();
            RedisSettings::check_url(&url)
                .map_err(|fault| anyhow::anyhow!("`redis.url_file`: `{}`: {fault}", path.display()))?;
            url
        }
        (None, None) => anyhow::bail!("`redis.url` is not set"),
    };
    Ok(RedisSettings {
        url,
        is_cluster: redis.cluster,
        pool_size: redis.pool_size,
        key_prefix: redis.key_prefix.clone(),
        timeout: redis.timeout,
    })
}
