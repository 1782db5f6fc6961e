//! Makes the configured sinks other than the history, and the reader of the cache for REST.
//!
//! Promises: a sink that is not configured costs nothing; one that cannot be reached does not keep the program from
//! starting, and its health says so. On failure: a setting that cannot be used ends the start with an error that names
//! its key.

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

/// Rows that the queue of the cache holds: at most 26 MB, and 10 s at 10,000 ticks a second. A longer queue would only
/// hold older values, since only the newest of each key is written.
const CACHE_ROWS_MAX: usize = 100_000;

/// The sinks other than the history.
#[derive(Default)]
pub struct OtherSinks {
    /// The sinks to start.
    pub setups: Vec<SinkSetup>,
    /// The reader of the cache, where one is configured.
    pub cache: Option<CacheReader>,
}

/// Makes the configured sinks.
///
/// # Errors
/// When an address cannot be read or is malformed.
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
    // The sink has a connection of its own, so that requests do not wait behind its batches, nor batches for requests.
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
