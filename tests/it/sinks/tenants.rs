//! The same tests for each sink that there is: the history in memory and in SQLite, and the cache in Redis.

use super::{Place, QUICK, bar, batch, run, tick, until};
use crate::support::postgres::SharedPostgres;
use crate::support::redis::{RedisServer, SharedRedis, connect};
use crate::support::rows::execute;
use actix::{Actor, Addr};
use async_trait::async_trait;
use deadpool_redis::redis::Commands;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tickwire::actors::health::Health;
use tickwire::actors::messages::Flush;
use tickwire::actors::sinks::cache::{CacheSink, CacheSources};
use tickwire::actors::sinks::history::HistorySink;
use tickwire::actors::sinks::shell::SinkActor;
use tickwire::actors::sinks::{OnFull, Sink, SinkBatch, SinkError, SinkPolicy, SinkSpec};
use tickwire::models::effect::Effect;
use tickwire::models::entry::Position;
use tickwire::models::symbol::SymbolId;
use tickwire::models::time::{MINUTE, Nanos, Width};
use tickwire::stores::cache::CacheTtls;
use tickwire::stores::cache::redis::{RedisCache, RedisSettings};
use tickwire::stores::history::memory::MemoryHistory;
use tickwire::stores::history::postgres::migrate::{Migration, MigrationSettings};
use tickwire::stores::history::postgres::{PostgresHistory, PostgresSettings};
use tickwire::stores::history::sqlite::SqliteHistory;
use tickwire::stores::history::{DeadLetterQuery, DeadLetterRecord, History, WindowQuery};
use tickwire::stores::log::Partition;
use tickwire::stores::sqlite::SqliteSettings;

/// A sink whose next writes fail before they reach it.
struct Flaky {
    sink: Arc<dyn Sink>,
    num_failures: AtomicU32,
}

#[async_trait]
impl Sink for Flaky {
    fn spec(&self) -> SinkSpec {
        self.sink.spec()
    }

    async fn acknowledged(&self, partition: Partition) -> Result<Position, SinkError> {
        self.sink.acknowledged(partition).await
    }

    async fn write(&self, batch: &SinkBatch) -> Result<(), SinkError> {
        let left =
            self.num_failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match left {
            Ok(_) => Err(SinkError::Transient {
                context: "failed to write",
                cause: "told to".to_owned(),
                pause: Some(Duration::from_millis(1)),
            }),
            Err(_) => self.sink.write(batch).await,
        }
    }
}

fn closes(effects: &[Effect]) -> Vec<(i64, i64)> {
    let bars =
        effects.iter().filter_map(|effect| if let Effect::Bar(bar) = effect { Some(bar) } else { None });
    bars.map(|bar| (bar.start.0 / MINUTE, bar.close.0)).collect()
}

/// Returns the bars of the first symbol that a history holds: minute and close, newest first.
async fn held(history: &dyn History) -> Vec<(i64, i64)> {
    let query = WindowQuery {
        symbol: SymbolId(0),
        width: Width::parse("1min").unwrap(),
        start: Nanos::MIN,
        end: Nanos::MAX,
        limit: 1_000,
    };
    let bars = history.bars(&query).await.unwrap();
    closes(&bars.into_iter().map(Effect::Bar).collect::<Vec<_>>())
}

/// Order, repeats, failures that pass, and the end, for a history.
async fn history_contract(place: &Place, history: Arc<dyn History>) {
    let sink = HistorySink::new(Arc::clone(&history), Partition::EMBEDDED, Arc::clone(&place.node.symbols));
    let flaky = Flaky { sink: Arc::new(sink), num_failures: AtomicU32::new(3) };
    let addr = place.shell(Arc::new(flaky), QUICK).start();
    let first = || batch(vec![bar(0, 1, 5), bar(0, 2, 6)], Vec::new(), 6);
    addr.send(first()).await.unwrap();
    until("the rows after three failures", || place.acknowledged() == 6).await;
    assert_eq!(place.metrics().sink("history").transient_failures.get(), 3);
    assert_eq!(held(&*history).await, [(2, 1_000_000_006), (1, 1_000_000_005)]);
    // A later version of a bar, then the earlier one again: the higher position stays.
    addr.send(batch(vec![bar(0, 2, 9)], Vec::new(), 9)).await.unwrap();
    addr.send(Flush).await.unwrap();
    addr.send(first()).await.unwrap();
    addr.send(Flush).await.unwrap();
    assert_eq!(held(&*history).await, [(2, 1_000_000_009), (1, 1_000_000_005)]);
    // The end writes what has come in, and that it was reached.
    addr.send(batch(vec![bar(0, 3, 10)], Vec::new(), 12)).await.unwrap();
    addr.send(Flush).await.unwrap();
    assert_eq!(held(&*history).await.len(), 3);
    assert_eq!((history.acknowledged().await.unwrap(), place.acknowledged()), (12, 12));
}

#[test]
fn the_history_in_memory() {
    run(async {
        let place = Place::new().await;
        let names = (Arc::clone(&place.node.symbols), Arc::clone(&place.node.sources));
        history_contract(&place, Arc::new(MemoryHistory::new(names.0, names.1, 1_000))).await;
    });
}

/// Writes bars to a history that refuses the one of the seventh minute; the others are there, and it is a dead letter, which is
/// returned.
async fn letter_of_the_seventh(place: &Place, history: &Arc<dyn History>) -> DeadLetterRecord {
    let sink = HistorySink::new(Arc::clone(history), Partition::EMBEDDED, Arc::clone(&place.node.symbols));
    let addr = place.shell(Arc::new(sink), QUICK).start();
    let bars = (4..=20).map(|nth| bar(0, nth, 20 + nth as u64)).collect();
    addr.send(batch(bars, Vec::new(), 40)).await.unwrap();
    addr.send(Flush).await.unwrap();
    let minutes: Vec<i64> = held(&**history).await.into_iter().map(|(minute, _)| minute).collect();
    assert!(minutes.into_iter().rev().eq((1..=20).filter(|minute| *minute != 7)));
    assert_eq!((history.acknowledged().await.unwrap(), place.acknowledged()), (40, 40));
    let query = DeadLetterQuery { limit: 10, ..DeadLetterQuery::default() };
    let mut letters = history.dead_letters(&query).await.unwrap();
    assert_eq!(letters.len(), 1, "{letters:?}");
    let letter = letters.remove(0);
    assert_eq!((letter.reason.as_str(), letter.symbol.as_deref()), ("refused", Some("AAPL")));
    letter
}

#[test]
fn the_history_in_sqlite_which_also_names_no_row_that_it_refuses() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let place = Place::new().await;
        let names = (Arc::clone(&place.node.symbols), Arc::clone(&place.node.sources));
        let history = SqliteHistory::open(dir.path(), names.0, names.1, SqliteSettings::default(), 7);
        let history: Arc<dyn History> = Arc::new(history.await.unwrap());
        history_contract(&place, Arc::clone(&history)).await;

        let refuse = format!(
            "CREATE TRIGGER refuse BEFORE INSERT ON bars WHEN NEW.start = {} BEGIN SELECT RAISE(ABORT, 'told to'); END",
            7 * MINUTE
        );
        let path = dir.path().to_owned();
        std::thread::spawn(move || execute(&path, "history.db", &refuse)).join().unwrap();
        let letter = letter_of_the_seventh(&place, &history).await;
        assert!(
            letter.payload.contains("told to") && letter.payload.contains("\"window\":\"1min\""),
            "{letter:?}"
        );
        assert_eq!(place.health("history").0, Health::Healthy);
    });
}

#[test]
fn the_history_in_postgres_which_names_no_row_that_it_refuses() {
    let Some(database) = SharedPostgres::take("tenant") else { return };
    run(async {
        let settings = PostgresSettings::of_url(&database.url);
        let migration = Migration::begin(&settings, MigrationSettings::default()).await.unwrap();
        migration.apply().await.unwrap();
        database.execute(
            "ALTER TABLE aggregated_data ADD CONSTRAINT told CHECK (extract(minute FROM window_start) <> 7)",
        );
        let place = Place::new().await;
        let names = (Arc::clone(&place.node.symbols), Arc::clone(&place.node.sources));
        let history = PostgresHistory::open(&settings, names.0, names.1, 7).await.unwrap();
        let history: Arc<dyn History> = Arc::new(history);
        history_contract(&place, Arc::clone(&history)).await;
        let letter = letter_of_the_seventh(&place, &history).await;
        assert!(letter.payload.contains("told"), "{letter:?}");
    });
}

fn redis_settings(url: &str, prefix: &str) -> RedisSettings {
    RedisSettings {
        url: url.to_owned(),
        is_cluster: false,
        pool_size: 1,
        key_prefix: prefix.to_owned(),
        timeout: Duration::from_secs(10),
        ca: None,
    }
}

fn redis_sink(place: &Place, settings: &RedisSettings) -> Arc<dyn Sink> {
    let node = &place.node;
    let sources = CacheSources {
        symbols: Arc::clone(&node.symbols),
        snapshots: Arc::default(),
        clocks: Arc::clone(&node.env.published.clocks),
        core: Arc::clone(&node.env.settings),
        now: Arc::clone(&node.env.now),
    };
    let minute = Duration::from_mins(1);
    let ttls = CacheTtls { latest: minute, indicators: minute, aggregated: minute };
    let cache = Arc::new(RedisCache::new(settings).unwrap());
    Arc::new(CacheSink::new("redis", cache, ttls, sources, node.env.metrics.sink("redis")))
}

const BEST_EFFORT: SinkPolicy = SinkPolicy { on_full: OnFull::DropOldest, ..QUICK };

fn json(text: Option<String>, field: &str) -> serde_json::Value {
    let value: serde_json::Value = serde_json::from_str(&text.unwrap()).unwrap();
    value[field].clone()
}

#[test]
fn the_cache_in_redis() {
    let Some(redis) = SharedRedis::take("tenant") else { return };
    run(async {
        let place = Place::new().await;
        let settings = redis_settings(&redis.url, &redis.prefix);
        let flaky = Flaky { sink: redis_sink(&place, &settings), num_failures: AtomicU32::new(3) };
        let addr = place.shell(Arc::new(flaky), BEST_EFFORT).start();
        let rows = || batch(vec![bar(0, 2, 6), bar(0, 1, 7)], vec![tick(0, 3), tick(0, 4), tick(0, 2)], 7);
        addr.send(rows()).await.unwrap();
        addr.send(Flush).await.unwrap();
        // The newest window and trade by their times, whatever came last.
        let newest = || {
            let bar = json(redis.get("aggregated:AAPL:1min"), "time");
            (bar, json(redis.get("latest_price:AAPL"), "timestamp"))
        };
        let expected =
            (serde_json::json!("1970-01-01T00:03:00Z"), serde_json::json!("1970-01-01T00:00:00.004Z"));
        assert_eq!((newest(), redis.get("message_count:AAPL").as_deref()), (expected.clone(), Some("3")));
        addr.send(rows()).await.unwrap();
        addr.send(Flush).await.unwrap();
        assert_eq!((newest(), redis.get("message_count:AAPL").as_deref()), (expected, Some("6")));
        // What somebody else keeps under one key is left alone, and the rest is written.
        connect(&redis.url).set::<_, _, ()>(format!("{}message_count:MSFT", redis.prefix), "theirs").unwrap();
        addr.send(batch(vec![bar(1, 3, 9)], vec![tick(1, 1)], 9)).await.unwrap();
        addr.send(Flush).await.unwrap();
        assert_eq!(redis.get("message_count:MSFT").as_deref(), Some("theirs"));
        assert!(redis.get("latest_price:MSFT").is_some() && redis.get("aggregated:MSFT:1min").is_some());
        assert_eq!(place.metrics().sink("redis").refused.get(), 1);
        assert_eq!(place.health("redis").0, Health::Healthy);
        assert_eq!(place.acknowledged(), 0, "nobody may rely on what it holds");
    });
}

async fn unhealthy(place: &Place, addr: &Addr<SinkActor>) {
    addr.send(batch(Vec::new(), vec![tick(0, 1)], 1)).await.unwrap();
    until("degraded health", || place.health("redis").0 == Health::Degraded).await;
}

#[test]
fn a_redis_that_refuses_or_is_gone_is_said_and_tried_again() {
    let Some(server) = RedisServer::start("refuses") else { return };
    run(async {
        let place = Place::new().await;
        let url = format!("redis://:wrong@127.0.0.1:{}/0", server.port());
        let addr = place.shell(redis_sink(&place, &redis_settings(&url, "")), BEST_EFFORT).start();
        unhealthy(&place, &addr).await;
        let metrics = place.metrics().sink("redis");
        until("a permanent failure", || metrics.permanent_failures.get() > 0).await;
        assert_eq!(metrics.transient_failures.get(), 0);
    });
    run(async {
        let place = Place::new().await;
        let (url, port) = (server.url(), server.kill());
        let addr = place.shell(redis_sink(&place, &redis_settings(&url, "")), BEST_EFFORT).start();
        unhealthy(&place, &addr).await;
        assert_eq!(place.metrics().sink("redis").permanent_failures.get(), 0);
        let server = std::thread::spawn(move || RedisServer::start_at(port).unwrap()).join().unwrap();
        until("health", || place.health("redis").0 == Health::Healthy).await;
        assert_eq!(server.connect().get::<_, Option<u64>>("message_count:AAPL").unwrap(), Some(1));
    });
}
