//! Makes the configured sinks other than the history, and the reader of the cache for REST.
//!
//! Promises: a sink that is not configured costs nothing; one that cannot be reached does not keep the program from
//! starting, and its health says so. On failure: a setting that cannot be used ends the start with an error that names
//! its key.

use super::secret_file::read_secret;
use crate::actors::sinks::SinkPolicy;
use crate::actors::sinks::cache::{CacheSink, CacheSources};
use crate::actors::sinks::influxdb::InfluxSink;
use crate::actors::sinks::kafka::{KafkaSink, KafkaSinkParts, TopicNames};
use crate::actors::sinks::set::SinkSetup;
use crate::breaker::BreakerPolicy;
use crate::config::{Config, InfluxDb, Kafka, KafkaBars, Redis, Secret};
use crate::node::Node;
use crate::retry::RetryPolicy;
use crate::stores::cache::CacheTtls;
use crate::stores::cache::limit::MessageLimit;
use crate::stores::cache::reader::CacheReader;
use crate::stores::cache::redis::{RedisCache, RedisSettings};
use crate::stores::influxdb::client::{InfluxClient, InfluxSettings};
use crate::stores::influxdb::downsample::Downsampling;
use crate::stores::influxdb::setup::Wanted;
use crate::stores::kafka::position::TopicPosition;
use crate::stores::kafka::producer::TopicProducer;
use crate::stores::kafka::topics::TopicSettings;
use crate::tls;
use anyhow::Context;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Rows that the queue of a sink holds: at most 26 MB, and 10 s at 10,000 ticks a second. For Redis a longer queue would only
/// hold older values, since only the newest of each key is written; what InfluxDB misses is in the history.
const QUEUE_ROWS_MAX: usize = 100_000;

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
/// When an address, a file or a certificate cannot be read or is malformed.
pub fn open(config: &Config, node: &mut Node) -> anyhow::Result<OtherSinks> {
    let mut sinks = OtherSinks::default();
    let redis = &config.redis;
    if redis.is_enabled() {
        let (setup, reader) = open_redis(redis, node)?;
        sinks.setups.push(setup);
        sinks.cache = Some(reader);
    } else if redis.url.is_some() || redis.url_file.is_some() {
        tracing::info!("Redis is configured and not used: {}", config.origin("redis.enabled"));
    }
    let kafka = &config.kafka;
    if kafka.is_enabled() {
        sinks.setups.push(open_kafka(kafka, config, node)?);
    } else if kafka.bootstrap_servers.is_some() {
        tracing::info!("Kafka is configured and not used: {}", config.origin("kafka.enabled"));
    }
    let influxdb = &config.influxdb;
    if influxdb.is_enabled() {
        sinks.setups.push(open_influxdb(influxdb, node)?);
    } else if influxdb.url.is_some() {
        tracing::info!("InfluxDB is configured and not used: {}", config.origin("influxdb.enabled"));
    }
    Ok(sinks)
}

fn open_redis(redis: &Redis, node: &mut Node) -> anyhow::Result<(SinkSetup, CacheReader)> {
    let settings = redis_settings(redis)?;
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
    let limit = (redis.message_limit > 0).then(|| Arc::new(MessageLimit::new(redis.message_limit)));
    let sink = CacheSink::new(name, Arc::new(writer), ttls, sources, node.env.metrics.sink(name));
    let sink = sink.with_limit(limit.clone());
    let policy = SinkPolicy {
        timeout: Some(redis.timeout),
        retry: RetryPolicy { delay: redis.retry_delay, max_delay: redis.retry_max_delay },
        breaker: BreakerPolicy { failures: redis.breaker_failures, open_for: redis.breaker_open },
        on_full: redis.on_full,
        rows_max: QUEUE_ROWS_MAX,
        batch_rows: redis.batch.max_events.min(QUEUE_ROWS_MAX),
        batch_age: redis.batch.max_age,
    };
    Ok((SinkSetup { sink: Arc::new(sink), policy }, CacheReader::new(Arc::new(reader)).with_limit(limit)))
}

fn redis_settings(redis: &Redis) -> anyhow::Result<RedisSettings> {
    let url = match (&redis.url, &redis.url_file) {
        (Some(url), _) => url.expose().to_owned(),
        (None, Some(path)) => {
            let url = read_secret("redis.url_file", path)?;
            RedisSettings::check_url(&url)
                .map_err(|fault| anyhow::anyhow!("`redis.url_file`: `{}`: {fault}", path.display()))?;
            url
        }
        (None, None) => anyhow::bail!("`redis.url` is not set"),
    };
    let ca = redis.ca_file.as_deref().map(|path| {
        let pem = std::fs::read(path);
        pem.with_context(|| format!("`redis.ca_file`: cannot read `{}`", path.display()))
    });
    let ca = ca.transpose()?;
    Ok(RedisSettings {
        url,
        is_cluster: redis.cluster,
        pool_size: redis.pool_size,
        key_prefix: redis.key_prefix.clone(),
        timeout: redis.timeout,
        ca,
    })
}

fn open_kafka(kafka: &Kafka, config: &Config, node: &Node) -> anyhow::Result<SinkSetup> {
    let settings = super::kafka::settings(kafka)?;
    let topics = &kafka.topics;
    let bars = node.env.settings.widths.iter();
    let names = TopicNames {
        ticks: topics.ticks.clone(),
        bars: bars.map(|width| (*width, format!("{}_{width}", topics.aggregated))).collect(),
        indicators: topics.indicators.clone(),
        anomalies: topics.anomalies.clone(),
        dlq: topics.dlq.clone(),
        reserved: vec![topics.predictions.clone()],
    };
    let dir = node.is_durable().then_some(config.data_dir.as_path());
    let position = TopicPosition::open(dir, node.epoch, names.filled_from_the_log())
        .with_context(|| format!("cannot read how far the topics are in `{}`", config.data_dir.display()))?;
    let metrics = Arc::clone(&node.env.metrics.kafka);
    let producer = TopicProducer::new(&settings, &kafka.compression, kafka.linger, metrics);
    let producer = producer.map_err(|fault| anyhow::anyhow!("`[kafka]` cannot be used: {fault}"))?;
    producer.say_overridden();
    tracing::info!(
        brokers = settings.bootstrap_servers,
        topics_only = kafka.topics_only,
        "topics go to Kafka; the log stays where `log.kind` says, so far without `kafka.topics_only` too"
    );
    let sink = KafkaSink::new(KafkaSinkParts {
        producer,
        settings,
        topic_settings: TopicSettings {
            create: kafka.create_topics,
            partitions: kafka.partitions,
            replication: kafka.replication,
            min_insync_replicas: kafka.min_insync_replicas,
            compression: kafka.compression.clone(),
            retention: kafka.retention,
        },
        names,
        position,
        symbols: Arc::clone(&node.symbols),
        sources: Arc::clone(&node.sources),
        log: Arc::clone(&node.log),
        only_sealed: kafka.bars == KafkaBars::Sealed,
        health: Arc::clone(&node.health),
    });
    let policy = SinkPolicy {
        // A write gives up by itself after `kafka.timeout`, and may have looked at the topics for as long before.
        timeout: Some(kafka.timeout * 2 + Duration::from_secs(5)),
        retry: RetryPolicy { delay: kafka.retry_delay, max_delay: kafka.retry_max_delay },
        breaker: BreakerPolicy { failures: kafka.breaker_failures, open_for: kafka.breaker_open },
        on_full: kafka.on_full,
        rows_max: QUEUE_ROWS_MAX,
        batch_rows: kafka.batch.max_events.min(QUEUE_ROWS_MAX),
        batch_age: kafka.batch.max_age,
    };
    Ok(SinkSetup { sink: Arc::new(sink), policy })
}

fn open_influxdb(influxdb: &InfluxDb, node: &Node) -> anyhow::Result<SinkSetup> {
    let url = influxdb.url.as_deref().context("`influxdb.url` is not set")?;
    let token = match (&influxdb.token, &influxdb.token_file) {
        (Some(token), _) => Some(token.clone()),
        (None, Some(path)) => Some(Secret::new(read_secret("influxdb.token_file", path)?)),
        (None, None) => None,
    };
    let client = InfluxClient::new(InfluxSettings {
        url: Url::parse(url).context("`influxdb.url` cannot be used")?,
        token,
        org: influxdb.org.clone(),
        bucket: influxdb.bucket.clone(),
        gzip: influxdb.gzip,
        timeout: influxdb.timeout,
        tls: tls::client(influxdb.ca_file.as_deref()).context("`influxdb.ca_file` cannot be used")?,
    });
    let downsampling = Downsampling {
        every: influxdb.downsample_every,
        from: influxdb.bucket.clone(),
        to: influxdb.coarse_bucket(),
        org: influxdb.org.clone(),
        window: node.env.settings.widths.first().map(ToString::to_string).unwrap_or_default(),
    };
    let wanted = Wanted {
        create_bucket: influxdb.create_bucket,
        retention: influxdb.retention,
        downsampling: (influxdb.downsample_every > Duration::ZERO).then_some(downsampling),
    };
    let (symbols, metrics) = (Arc::clone(&node.symbols), Arc::clone(&node.env.metrics));
    let sink = InfluxSink::new("influxdb", client, wanted, symbols, metrics, Arc::clone(&node.env.now));
    let policy = SinkPolicy {
        timeout: Some(influxdb.timeout),
        retry: RetryPolicy { delay: influxdb.retry_delay, max_delay: influxdb.retry_max_delay },
        breaker: BreakerPolicy { failures: influxdb.breaker_failures, open_for: influxdb.breaker_open },
        on_full: influxdb.on_full,
        rows_max: QUEUE_ROWS_MAX,
        batch_rows: influxdb.batch.max_events.min(QUEUE_ROWS_MAX),
        batch_age: influxdb.batch.max_age,
    };
    Ok(SinkSetup { sink: Arc::new(sink), policy })
}
