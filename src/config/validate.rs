//! What one key alone cannot show: values out of range, and values that do not fit each other.
//!
//! Promises: all faults are returned, each with its key, its value and the source of the value; secrets are masked.

use super::fault::Fault;
use super::feeds;
use super::layers::{lookup, shown, split};
use super::print;
use super::{Config, Enabled, HistoryKind, LogKind, Redis, Secret, http_url};
use crate::actors::ingest::registry::name_fault;
use crate::actors::sinks::OnFull;
use crate::stores::cache::redis::RedisSettings;
use crate::stores::history::postgres;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Ticks a second that the simulated venue makes. One in a quarter of an hour at one end, far more than a machine takes
/// in at the other: what lies beyond is a slip.
const RATES: RangeInclusive<f64> = 0.001..=100_000_000.0;

/// Returns every fault of a configuration whose keys are all of the right type.
pub(super) fn faults(config: &Config) -> Vec<Fault> {
    let table = print::shown_table(config);
    let fault = |(key, reason): (String, String)| Fault {
        found: lookup(&table, &split(&key)).map(shown),
        origin: config.origin(&key).clone(),
        key: Some(key),
        reason,
    };
    let own =
        ranges(config).into_iter().chain(combinations(config)).map(|(key, reason)| (key.to_owned(), reason));
    let kafka = config.kafka.faults().into_iter();
    let widths = config.core.settings().widths;
    let detection = config.detection.faults(&widths).into_iter();
    let usual = config.core_settings(&config.core).rule_width();
    let rules =
        config.alerts.rule_faults(&widths, usual).into_iter().map(|(key, reason)| (key.to_owned(), reason));
    let simulated = config.provider.simulated.validate().into_iter();
    let simulated = simulated.map(|(key, reason)| (format!("provider.simulated.{key}"), reason));
    own.chain(simulated)
        .chain(kafka)
        .chain(detection)
        .chain(rules)
        .chain(feeds::faults(config))
        .map(fault)
        .collect()
}

/// Returns the values that are out of range.
fn ranges(config: &Config) -> Vec<(&'static str, String)> {
    let Config { server, provider, log, history, postgres, redis, influxdb, recovery, metrics, .. } = config;
    let limits = &server.limits;
    let counts = [
        ("server.workers", server.workers as u64),
        ("server.limits.max_connections", limits.max_connections as u64),
        ("server.limits.max_subscriptions", limits.max_subscriptions as u64),
        ("server.limits.max_message_bytes", limits.max_message_bytes.0),
        ("server.limits.max_messages_per_second", u64::from(limits.max_messages_per_second)),
        ("log.group_entries", log.group_entries as u64),
        ("log.retention_size", log.retention_size.0),
        ("log.spill_entries", log.spill_entries as u64),
        ("postgres.max_connections", u64::from(postgres.max_connections)),
        ("postgres.batch.max_events", postgres.batch.max_events as u64),
        ("redis.pool_size", redis.pool_size as u64),
        ("redis.batch.max_events", redis.batch.max_events as u64),
        ("influxdb.batch.max_events", influxdb.batch.max_events as u64),
        ("recovery.max_entries", recovery.max_entries),
        ("recovery.replay_entries", recovery.replay_entries),
        ("metrics.max_symbols", metrics.max_symbols as u64),
    ];
    let spans = [
        ("server.stop_timeout", server.stop_timeout),
        ("server.limits.ping_interval", limits.ping_interval),
        ("server.limits.idle_timeout", limits.idle_timeout),
        ("server.limits.stall_timeout", limits.stall_timeout),
        ("log.retention_age", log.retention_age),
        ("history.retention_age", history.retention_age),
        ("postgres.statement_timeout", postgres.statement_timeout),
        ("postgres.compress_after", postgres.compress_after),
        ("postgres.retention_ticks", postgres.retention_ticks),
        ("postgres.retention_bars", postgres.retention_bars),
        ("postgres.timeout", postgres.timeout),
        ("postgres.retry_delay", postgres.retry_delay),
        ("postgres.batch.max_age", postgres.batch.max_age),
        ("redis.ttl_latest", redis.ttl_latest),
        ("redis.ttl_indicators", redis.ttl_indicators),
        ("redis.ttl_aggregated", redis.ttl_aggregated),
        ("redis.timeout", redis.timeout),
        ("redis.retry_delay", redis.retry_delay),
        ("redis.batch.max_age", redis.batch.max_age),
        ("postgres.breaker_open", postgres.breaker_open),
        ("redis.breaker_open", redis.breaker_open),
        ("influxdb.timeout", influxdb.timeout),
        ("influxdb.retry_delay", influxdb.retry_delay),
        ("influxdb.breaker_open", influxdb.breaker_open),
        ("influxdb.batch.max_age", influxdb.batch.max_age),
        ("recovery.max_age", recovery.max_age),
        ("metrics.latency_threshold", metrics.latency_threshold),
    ];
    let zero_counts = counts.iter().filter(|(_, count)| *count == 0).map(|(key, _)| *key);
    let zero_spans = spans.iter().filter(|(_, span)| *span == Duration::ZERO).map(|(key, _)| *key);
    let mut found: Vec<_> =
        zero_counts.chain(zero_spans).map(|key| (key, "must be more than 0".to_owned())).collect();
    if limits.idle_timeout <= limits.ping_interval {
        let reason = "must be more than `server.limits.ping_interval`: clients speak when they are asked";
        found.push(("server.limits.idle_timeout", reason.to_owned()));
    }
    if !RATES.contains(&provider.rate) {
        let reason = format!("must be from {} to {} ticks a second", RATES.start(), RATES.end());
        found.push(("provider.rate", reason));
    }
    found.extend(name_fault(&provider.name).map(|reason| ("provider.name", reason)));
    if config.data_dir.as_os_str().is_empty() {
        found.push(("data_dir", "must not be empty".to_owned()));
    }
    found
}

/// Returns the values that do not fit each other.
fn combinations(config: &Config) -> Vec<(&'static str, String)> {
    let mut found: Vec<_> =
        config.core.settings().validate().into_iter().map(|reason| ("core.windows", reason)).collect();
    let provider = &config.provider;
    if provider.symbols.is_empty() && provider.symbol_count.is_none() {
        found.push(("provider.symbols", "must name at least one symbol".to_owned()));
    }
    if config.log.group_entries > config.log.spill_entries {
        found.push(("log.spill_entries", "must hold at least one group of `log.group_entries`".to_owned()));
    }
    found.extend(postgres_faults(config));
    found.extend(redis_faults(&config.redis));
    found.extend(config.influxdb.faults());
    found.extend(config.alerts.faults());
    found.extend(
        config
            .server
            .public_url
            .as_deref()
            .and_then(public_url_fault)
            .map(|reason| ("server.public_url", reason.to_owned())),
    );
    for (key, on_full) in
        [("redis.on_full", config.redis.on_full), ("influxdb.on_full", config.influxdb.on_full)]
    {
        if on_full == OnFull::CatchUp {
            let reason = "must be `drop_oldest` or `block`: it does not say what it holds, so nothing could be caught up";
            found.push((key, reason.to_owned()));
        }
    }
    for (address, other) in shared_addresses(config) {
        found.push((address, format!("is the address of `{other}` too")));
    }
    found
}

/// Returns the faults of the history in PostgreSQL. A fault of an address is described without repeating it, since it may
/// hold a password.
fn postgres_faults(config: &Config) -> Vec<(&'static str, String)> {
    let Config { history, postgres, log, core, .. } = config;
    let mut found = Vec::new();
    for (key, url) in [("postgres.url", &postgres.url), ("history.read_url", &history.read_url)] {
        if let Some(Err(reason)) = url.as_ref().map(|url| postgres::check_url(url.expose())) {
            found.push((key, reason));
        }
    }
    if !is_identifier(&postgres.schema) {
        let reason = "must be a name of small letters, digits and `_`, at most 63, that begins with no digit";
        found.push(("postgres.schema", reason.to_owned()));
    }
    if postgres.retry_max_delay < postgres.retry_delay {
        found.push(("postgres.retry_max_delay", "must be at least `postgres.retry_delay`".to_owned()));
    }
    if postgres.on_full == OnFull::DropOldest {
        let reason = "must be `catch_up` or `block`: the history drops nothing";
        found.push(("postgres.on_full", reason.to_owned()));
    }
    if history.kind == HistoryKind::Postgres {
        if postgres.url.is_none() && postgres.url_file.is_none() {
            found.push(("history.kind", "is `postgres`, and `postgres.url` is not set".to_owned()));
        }
        if log.kind == LogKind::Memory {
            let reason =
                "is `postgres`, and `log.kind` is `memory`: the log that fills it must outlive the process";
            found.push(("history.kind", reason.to_owned()));
        }
        if core.windows.iter().flatten().any(|width| width.nanos() % 1_000 != 0) {
            let reason = "must be of whole microseconds: PostgreSQL has no finer times";
            found.push(("core.windows", reason.to_owned()));
        }
    }
    found
}

/// Returns what is wrong with the address of the page, which other addresses are made of.
fn public_url_fault(text: &str) -> Option<&'static str> {
    let url = match http_url(&Secret::new(text.to_owned())) {
        Ok(url) => url,
        Err(reason) => return Some(reason),
    };
    let is_plain = url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    (!is_plain).then_some("must be the page's address alone, without a user, `?` or `#`")
}

/// True for a name that needs no quotes in SQL.
fn is_identifier(name: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_lowercase() || c == '_';
    name.len() <= 63
        && name.starts_with(is_letter)
        && name.chars().all(|c| is_letter(c) || c.is_ascii_digit())
}

/// Returns the faults of the section of Redis. A fault of its address is described without repeating it, since it may
/// hold a password.
fn redis_faults(redis: &Redis) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    if let Some(Err(reason)) = redis.url.as_ref().map(|url| RedisSettings::check_url(url.expose())) {
        found.push(("redis.url", reason));
    }
    if redis.enabled == Enabled::Yes && redis.url.is_none() && redis.url_file.is_none() {
        found.push(("redis.enabled", "is true, and `redis.url` is not set".to_owned()));
    }
    if redis.cluster && redis.ca_file.is_some() {
        found.push((
            "redis.ca_file",
            "cannot be used with `redis.cluster`, which trusts the system's".to_owned(),
        ));
    }
    if redis.retry_max_delay < redis.retry_delay {
        found.push(("redis.retry_max_delay", "must be at least `redis.retry_delay`".to_owned()));
    }
    found
}

/// Returns the addresses that an earlier server listens on already; each server may pick a free port of its own.
fn shared_addresses(config: &Config) -> Vec<(&'static str, &'static str)> {
    let server = &config.server;
    let all = [
        ("server.rest", &server.rest),
        ("server.websocket", &server.websocket),
        ("server.dashboard", &server.dashboard),
        ("server.metrics", &server.metrics),
    ];
    let mut shared = Vec::new();
    for (at, (key, address)) in all.iter().enumerate() {
        let earlier = all[..at].iter().find(|(_, other)| other == address && address.port != 0);
        shared.extend(earlier.map(|(other, _)| (*key, *other)));
    }
    shared
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Origin;

    #[test]
    fn the_defaults_have_no_fault() {
        assert_eq!(faults(&Config::default()), []);
    }

    #[test]
    fn each_bad_value_is_found_under_its_key() {
        type Change = fn(&mut Config);
        let table: [(&str, Change); 39] = [
            ("server.workers", |c| c.server.workers = 0),
            ("server.limits.max_message_bytes", |c| c.server.limits.max_message_bytes.0 = 0),
            ("server.limits.idle_timeout", |c| c.server.limits.idle_timeout = c.server.limits.ping_interval),
            ("server.metrics", |c| c.server.metrics = c.server.rest.clone()),
            ("server.public_url", |c| c.server.public_url = Some("desk.example".to_owned())),
            ("server.public_url", |c| c.server.public_url = Some("https://h/#/AAPL".to_owned())),
            ("server.stop_timeout", |c| c.server.stop_timeout = Duration::ZERO),
            ("provider.rate", |c| c.provider.rate = f64::NAN),
            ("provider.rate", |c| c.provider.rate = -1.0),
            ("provider.rate", |c| c.provider.rate = 100_000_001.0),
            ("provider.simulated.swing", |c| c.provider.simulated.swing = 1.0),
            ("provider.simulated.misbehaviour.drop", |c| c.provider.simulated.faults.drop = 2.0),
            ("provider.simulated.misbehaviour.delay.probability", |c| {
                c.provider.simulated.faults.delay.probability = f64::NAN;
            }),
            ("provider.symbols", |c| c.provider.symbols.clear()),
            ("provider.name", |c| c.provider.name = "file".to_owned()),
            ("core.windows", |c| c.core.windows = Some(Vec::new())),
            ("core.windows", |c| c.core.windows = Some(c.core.settings().widths.into_iter().rev().collect())),
            ("log.spill_entries", |c| c.log.spill_entries = 10),
            ("history.kind", |c| c.history.kind = HistoryKind::Postgres),
            ("history.read_url", |c| c.history.read_url = Some(Secret::new("host".to_owned()))),
            ("postgres.url", |c| c.postgres.url = Some(Secret::new("mysql://host".to_owned()))),
            ("postgres.schema", |c| c.postgres.schema = "a; DROP".to_owned()),
            ("postgres.on_full", |c| c.postgres.on_full = OnFull::DropOldest),
            ("postgres.max_connections", |c| c.postgres.max_connections = 0),
            ("redis.on_full", |c| c.redis.on_full = OnFull::CatchUp),
            ("influxdb.on_full", |c| c.influxdb.on_full = OnFull::CatchUp),
            ("redis.pool_size", |c| c.redis.pool_size = 0),
            ("redis.batch.max_age", |c| c.redis.batch.max_age = Duration::ZERO),
            ("redis.url", |c| c.redis.url = Some(Secret::new("http://host".to_owned()))),
            ("redis.enabled", |c| c.redis.enabled = Enabled::Yes),
            ("redis.retry_max_delay", |c| c.redis.retry_max_delay = Duration::from_millis(1)),
            ("redis.ca_file", |c| {
                (c.redis.cluster, c.redis.ca_file) = (true, Some("ca.pem".into()));
            }),
            ("redis.breaker_open", |c| c.redis.breaker_open = Duration::ZERO),
            ("influxdb.url", |c| c.influxdb.url = Some("influx:8086".to_owned())),
            ("influxdb.enabled", |c| c.influxdb.enabled = Enabled::Yes),
            ("influxdb.bucket", |c| {
                (c.influxdb.bucket, c.influxdb.downsample_bucket) = (String::new(), "x".to_owned());
            }),
            ("influxdb.downsample_bucket", |c| c.influxdb.downsample_bucket = c.influxdb.bucket.clone()),
            ("influxdb.retention", |c| c.influxdb.retention = Duration::from_secs(60)),
            ("influxdb.batch.max_events", |c| c.influxdb.batch.max_events = 0),
        ];
        for (key, change) in table {
            let mut config = Config::default();
            change(&mut config);
            let found = faults(&config);
            assert!(!found.is_empty(), "{key}");
            for fault in found {
                assert_eq!(fault.key.as_deref(), Some(key));
                assert_eq!(fault.origin, Origin::Default);
            }
        }
    }

    #[test]
    fn servers_may_all_pick_a_free_port() {
        let mut config = Config::default();
        config.server.rest.port = 0;
        config.server.metrics.port = 0;
        assert_eq!(faults(&config), []);
    }
}
