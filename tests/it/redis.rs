//! The cache in a real Redis: keys, times to live, values as REST gives them; and a server that goes and comes back.

use crate::support::process::{Program, wait_for};
use crate::support::redis::{RedisServer, SharedRedis};
use crate::support::rows::{assert_same_rows, block_on, history_rows, rows_by_log};
use crate::support::tls::Authority;
use async_trait::async_trait;
use deadpool_redis::redis::{Commands, Connection, cmd};
use rustix::process::Signal;
use serde_json::Value;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tickwire::clock::SystemClock;
use tickwire::models::settings::CoreSettings;
use tickwire::models::time::Width;
use tickwire::stores::StoreError;
use tickwire::stores::cache::memory::MemoryCache;
use tickwire::stores::cache::redis::{RedisCache, RedisSettings};
use tickwire::stores::cache::{Cache, CacheOutcome, CacheWrite};

/// A market whose smallest bars close every second.
const WINDOWS: (&str, &str) = ("TICKWIRE__CORE__WINDOWS", "1s,1min");

fn settings(url: &str, prefix: &str) -> RedisSettings {
    RedisSettings {
        url: url.to_owned(),
        is_cluster: false,
        pool_size: 2,
        key_prefix: prefix.to_owned(),
        timeout: Duration::from_secs(10),
        ca: None,
    }
}

fn health_of(program: &Program, component: &str) -> String {
    let health = program.get("REST", "/health").unwrap().json();
    health["components"][component].as_str().unwrap_or_default().to_owned()
}

fn wait_for_health(program: &Program, status: &str) {
    wait_for(status, || (health_of(program, "redis") == status).then_some(()));
}

/// Takes out what may differ from REST: how old the trade is, and what follows from that.
fn without_age(mut latest: Value) -> Value {
    let fields = latest.as_object_mut().unwrap();
    assert!(fields.remove("age_ms").is_some() && fields.remove("feed").is_some());
    latest
}

#[test]
fn values_are_what_rest_gives_and_live_as_long_as_they_say() {
    let Some(redis) = SharedRedis::take("values") else { return };
    let dir = tempfile::tempdir().unwrap();
    let environment =
        [WINDOWS, ("REDIS_URL", redis.url.as_str()), ("TICKWIRE__REDIS__KEY_PREFIX", redis.prefix.as_str())];
    let program = Program::serve(dir.path(), &["--symbols", "AAPL", "--rate", "5"], &environment);
    wait_for_health(&program, "healthy");
    let json = |key: &str| serde_json::from_str::<Value>(&redis.get(key)?).ok();
    let rest = |path: &str| program.get("REST", path).unwrap().json();
    wait_for("the same latest price", || {
        let cached = json("latest_price:AAPL")?;
        (without_age(cached) == without_age(rest("/api/v1/latest/AAPL"))).then_some(())
    });
    // The bar of a second is replaced by the next one while it is compared.
    wait_for("the same bar", || {
        let cached = json("aggregated:AAPL:1s")?;
        (rest("/api/v1/aggregated/AAPL?window=1s&limit=1") == Value::Array(vec![cached])).then_some(())
    });
    for (key, window) in [("indicators:AAPL", "1min"), ("indicators:AAPL:1s", "1s")] {
        wait_for("the same indicators", || {
            (rest(&format!("/api/v1/indicators/AAPL?window={window}")) == json(key)?).then_some(())
        });
    }
    assert!(redis.get("indicators:AAPL:1min").is_none(), "those of a minute have the short key");
    wait_for("a count", || redis.get("message_count:AAPL")?.parse::<u64>().ok().filter(|count| *count > 3));
    for (key, seconds) in [
        ("latest_price:AAPL", 60),
        ("message_count:AAPL", 60),
        ("indicators:AAPL", 300),
        ("indicators:AAPL:1s", 300),
        ("aggregated:AAPL:1s", 300),
        ("aggregated:AAPL:1min", 300),
    ] {
        let left = redis.ttl(key);
        assert!((1..=seconds * 1_000).contains(&left) && left > seconds * 1_000 - 60_000, "{key}: {left}");
    }
    // A symbol with a snapshot is never looked up in the cache.
    let metrics = program.get("metrics", "/metrics").unwrap().body;
    assert!(metrics.contains("tickwire_cache_reads_total{result=\"hit\"} 0"), "{metrics}");
    assert!(metrics.contains("tickwire_sink_dropped_total{reason=\"full\",sink=\"redis\"} 0"), "{metrics}");
    program.stop();
}

#[test]
fn a_symbol_of_another_process_is_answered_from_the_cache() {
    let Some(redis) = SharedRedis::take("others") else { return };
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let environment =
        [WINDOWS, ("REDIS_URL", redis.url.as_str()), ("TICKWIRE__REDIS__KEY_PREFIX", redis.prefix.as_str())];
    let feeds = Program::serve(one.path(), &["--symbols", "BTC-USD", "--rate", "5"], &environment);
    let asks = Program::serve(other.path(), &["--symbols", "MSFT", "--rate", "5"], &environment);
    for key in ["latest_price:BTC-USD", "aggregated:BTC-USD:1min", "indicators:BTC-USD"] {
        wait_for(key, || redis.get(key));
    }
    feeds.stop();
    let reads = |result: &str| asks.metric(&format!("tickwire_cache_reads_total{{result=\"{result}\"}} "));
    assert_eq!((reads("hit"), reads("miss")), (0, 0));

    let latest = asks.get("REST", "/api/v1/latest/btc%2Fusd").unwrap();
    assert_eq!(latest.status, 200, "{}", latest.body);
    let cached: Value = serde_json::from_str(&redis.get("latest_price:BTC-USD").unwrap()).unwrap();
    assert!(latest.json()["age_ms"].as_i64() >= cached["age_ms"].as_i64(), "its age goes on");
    assert_eq!(without_age(latest.json()), without_age(cached));
    let bars = asks.get("REST", "/api/v1/aggregated/BTC-USD?window=1min").unwrap();
    assert_eq!(bars.body, format!("[{}]", redis.get("aggregated:BTC-USD:1min").unwrap()));
    let indicators = asks.get("REST", "/api/v1/indicators/BTC-USD?window=1min").unwrap();
    assert_eq!(indicators.body, redis.get("indicators:BTC-USD").unwrap());
    assert_eq!((reads("hit"), reads("miss")), (3, 0));

    for path in ["latest/NOPE", "aggregated/NOPE", "indicators/NOPE?window=1s"] {
        let answer = asks.get("REST", &format!("/api/v1/{path}")).unwrap();
        assert_eq!((answer.status, answer.json()["code"].as_str()), (404, Some("unknown_symbol")), "{path}");
    }
    assert_eq!((reads("hit"), reads("miss")), (3, 3));
    // A range, a limit, a table.
    for path in [
        "aggregated/BTC-USD?window=1min&limit=1",
        "aggregated/BTC-USD?window=1min&start_time=-1h",
        "aggregated/BTC-USD?window=1min&format=csv",
        "indicators/BTC-USD?window=1min&limit=1",
        "indicators/BTC-USD?window=1min&end_time=-1s",
    ] {
        assert_eq!(asks.get("REST", &format!("/api/v1/{path}")).unwrap().status, 404, "{path}");
    }
    assert_eq!((reads("hit"), reads("miss")), (3, 3));
    asks.stop();
}

#[test]
fn a_server_that_is_killed_and_comes_back_changes_only_what_it_holds() {
    let Some(server) = RedisServer::start("killed") else { return };
    let dir = tempfile::tempdir().unwrap();
    let url = server.url();
    let environment = [
        WINDOWS,
        ("REDIS_URL", url.as_str()),
        ("TICKWIRE__REDIS__RETRY_MAX_DELAY", "200ms"),
        ("TICKWIRE__REDIS__BREAKER_OPEN", "200ms"),
    ];
    let args = ["--symbols", "AAPL,MSFT", "--rate", "500", "--data-dir", "data"];
    let program = Program::serve(dir.path(), &args, &environment);
    wait_for_health(&program, "healthy");
    let has_price = |connection: &mut Connection| connection.exists::<_, bool>("latest_price:AAPL").unwrap();
    wait_for("a price", || has_price(&mut server.connect()).then_some(()));

    let port = server.kill();
    wait_for_health(&program, "degraded");
    assert_eq!(program.get("REST", "/health/ready").unwrap().status, 200, "nothing else is worse");
    let before = program.metric("tickwire_log_position ");
    wait_for("live entries", || (program.metric("tickwire_log_position ") > before + 1_000).then_some(()));
    // Neither of these waits for the cache.
    assert_eq!(program.get("REST", "/api/v1/latest/AAPL").unwrap().status, 200);
    assert_eq!(program.get("REST", "/api/v1/latest/NOPE").unwrap().status, 404);

    let server = RedisServer::start_at(port).unwrap();
    wait_for_health(&program, "healthy");
    wait_for("a price again", || has_price(&mut server.connect()).then_some(()));
    assert!(program.metric("tickwire_sink_retries_total{sink=\"redis\"} ") > 0);
    program.stop();
    let data = dir.path().join("data");
    let (expected, ledger) =
        rows_by_log(&data, CoreSettings { widths: widths(), ..CoreSettings::default() }, false);
    assert_same_rows(&expected, &history_rows(&data), "with a cache that was gone");
    assert_eq!(ledger.residue(), 0);
}

fn widths() -> Vec<Width> {
    ["1s", "1min"].map(|name| Width::parse(name).unwrap()).to_vec()
}

#[test]
fn a_server_that_hangs_holds_nobody_and_not_the_stop() {
    let Some(server) = RedisServer::start("hangs") else { return };
    let dir = tempfile::tempdir().unwrap();
    let url = server.url();
    let environment = [WINDOWS, ("REDIS_URL", url.as_str())];
    let args = ["--symbols", "AAPL,MSFT", "--rate", "2000", "--data-dir", "data"];
    let program = Program::serve(dir.path(), &args, &environment);
    wait_for_health(&program, "healthy");
    server.signal(Signal::STOP);
    let before = program.metric("tickwire_log_position ");
    wait_for("live entries", || (program.metric("tickwire_log_position ") > before + 6_000).then_some(()));
    wait_for("a queue", || (program.metric("tickwire_sink_queue_length{sink=\"redis\"} ") > 0).then_some(()));
    assert_eq!(program.get("REST", "/api/v1/latest/NOPE").unwrap().status, 404);
    assert_eq!(program.get("REST", "/health/ready").unwrap().status, 200);
    program.stop();
    server.signal(Signal::CONT);
    let data = dir.path().join("data");
    let (expected, ledger) =
        rows_by_log(&data, CoreSettings { widths: widths(), ..CoreSettings::default() }, false);
    assert_same_rows(&expected, &history_rows(&data), "with a cache that hangs");
    assert_eq!(ledger.residue(), 0);
}

#[test]
fn an_embedded_run_uses_no_redis_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let environment = [("REDIS_URL", "redis://127.0.0.1:1/0"), ("REDIS_HOST", "nowhere")];
    let program = Program::serve(dir.path(), &["--embedded", "--rate", "5"], &environment);
    assert!(program.line_with("environment ignored").contains("REDIS_HOST REDIS_URL"));
    assert_eq!(health_of(&program, "redis"), "disabled");
    program.stop();
}

/// What every cache does, by its trait alone.
fn contract(cache: &dyn Cache) {
    let set = |key: &str, value: &str, ttl| CacheWrite::Set { key: key.to_owned(), value: value.into(), ttl };
    let count = |key: &str, by| CacheWrite::Count { key: key.to_owned(), by, ttl: Duration::from_secs(1) };
    let minute = Duration::from_mins(1);
    let get = |key: &str| block_on(cache.get(key)).unwrap().map(|value| String::from_utf8(value).unwrap());
    let write = |writes: &[CacheWrite]| block_on(cache.write(writes)).unwrap();
    let done = CacheOutcome::Done;
    assert_eq!(write(&[]), [], "it is there");
    assert_eq!(get("a"), None);
    let changes = [set("a", "1", minute), set("b", "{\"x\":2}", minute), count("n", 3)];
    assert_eq!(write(&changes), [done, done, CacheOutcome::Counted(3)]);
    assert_eq!((get("a").as_deref(), get("b").as_deref()), (Some("1"), Some("{\"x\":2}")));
    assert_eq!(write(&[set("a", "2", minute), CacheWrite::Remove { key: "b".to_owned() }]), [done, done]);
    assert_eq!((get("a").as_deref(), get("b")), (Some("2"), None));
    // What the key holds is no count: refused alone.
    let counted = write(&[count("n", 4), set("text", "x", minute)]);
    // Its second may be over by now.
    assert!(matches!(counted[..], [CacheOutcome::Counted(4 | 7), CacheOutcome::Done]), "{counted:?}");
    assert_eq!(write(&[count("text", 1), set("c", "3", minute)]), [CacheOutcome::Refused, done]);
    assert_eq!((get("text").as_deref(), get("c").as_deref()), (Some("x"), Some("3")));
    // Increments do not prolong a count: it ends though it is counted on all the time.
    wait_for("the end of the count", || {
        write(&[count("n", 1)]);
        (get("n").as_deref() == Some("1")).then_some(())
    });
    write(&[set("short", "1", Duration::from_millis(20))]);
    wait_for("the end of a value", || get("short").is_none().then_some(()));
}

#[test]
fn the_cache_in_this_process_keeps_the_contract() {
    contract(&MemoryCache::new(Arc::new(SystemClock)));
}

/// Redis by a new connection each time: each call of the contract has a runtime of its own, and connections end with it.
struct Fresh(RedisSettings);

#[async_trait]
impl Cache for Fresh {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        RedisCache::new(&self.0)?.get(key).await
    }

    async fn write(&self, writes: &[CacheWrite]) -> Result<Vec<CacheOutcome>, StoreError> {
        RedisCache::new(&self.0)?.write(writes).await
    }
}

#[test]
fn redis_keeps_the_contract() {
    let Some(redis) = SharedRedis::take("contract") else { return };
    contract(&Fresh(settings(&redis.url, &redis.prefix)));
}

#[test]
fn a_cluster_keeps_the_contract() {
    let Some(server) = RedisServer::start_cluster("cluster") else { return };
    contract(&Fresh(RedisSettings { is_cluster: true, ..settings(&server.url(), "t:") }));
}

#[test]
fn ticks_over_the_limit_are_taken_and_the_api_says_so() {
    let Some(redis) = SharedRedis::take("limit") else { return };
    let dir = tempfile::tempdir().unwrap();
    let environment = [
        ("REDIS_URL", redis.url.as_str()),
        ("TICKWIRE__REDIS__KEY_PREFIX", redis.prefix.as_str()),
        ("TICKWIRE__REDIS__MESSAGE_LIMIT", "300"),
    ];
    let program = Program::serve(dir.path(), &["--symbols", "AAPL", "--rate", "200"], &environment);
    let health = || program.get("REST", "/health").unwrap().json();
    let over = wait_for("a symbol over the limit", || {
        let limit = health()["details"]["message_limit"].clone();
        (!limit.is_null()).then_some(limit)
    });
    assert_eq!(over["limit"], 300);
    assert!(over["over"]["AAPL"].as_u64() > Some(300), "{over}");
    let latest = |path: &str| program.get("REST", &format!("/api/v1/latest{path}")).unwrap();
    assert_eq!(latest("/AAPL").json()["over_limit"], true);
    assert_eq!(latest("?symbols=*").json()[0]["over_limit"], true);
    let table = latest("?symbols=*&format=csv").body;
    assert!(!table.contains("over_limit") && table.contains("AAPL"), "{table}");
    assert!(program.line_with("redis.message_limit").contains("AAPL"));
    let before = program.metric("tick_messages_received_total{symbol=\"AAPL\"} ");
    wait_for("more ticks", || {
        (program.metric("tick_messages_received_total{symbol=\"AAPL\"} ") > before + 100).then_some(())
    });
    program.stop();
}

#[test]
fn a_counter_left_without_an_end_gets_one() {
    let Some(redis) = SharedRedis::take("counter") else { return };
    let key = format!("{}n", redis.prefix);
    redis.connect().set::<_, _, ()>(&key, 5).unwrap();
    assert_eq!(redis.ttl("n"), -1);
    let cache = settings(&redis.url, &redis.prefix);
    let count = CacheWrite::Count { key: "n".to_owned(), by: 2, ttl: Duration::from_mins(1) };
    block_on(async { RedisCache::new(&cache).unwrap().write(&[count]).await }).unwrap();
    assert_eq!(redis.get("n").as_deref(), Some("7"));
    assert!((1..=60_000).contains(&redis.ttl("n")));
}

#[test]
fn tls_with_an_authority_of_ones_own() {
    let authority = Authority::new();
    let Some((server, url)) = RedisServer::start_tls("tls", &authority) else { return };
    let ca = std::fs::read(&authority.ca_file).unwrap();
    let known = RedisSettings { ca: Some(ca), ..settings(&url, "t:") };
    contract(&Fresh(known));
    assert!(server.connect().exists::<_, bool>("t:a").unwrap());
    let stranger = block_on(async { RedisCache::new(&settings(&url, "t:")).unwrap().write(&[]).await });
    assert!(stranger.unwrap_err().to_string().to_lowercase().contains("certificate"));
    // The whole program, which names the file in its configuration.
    let dir = tempfile::tempdir().unwrap();
    let ca_file = authority.ca_file.to_str().unwrap();
    let environment = [("REDIS_URL", url.as_str()), ("TICKWIRE__REDIS__CA_FILE", ca_file)];
    let program = Program::serve(dir.path(), &["--symbols", "AAPL", "--rate", "50"], &environment);
    wait_for_health(&program, "healthy");
    wait_for("a price", || server.connect().exists::<_, bool>("latest_price:AAPL").unwrap().then_some(()));
    program.stop();
}

/// Leads to one server, and later to another one, as an address of a failover does.
struct Switch {
    url: String,
    target: Arc<AtomicU16>,
}

impl Switch {
    fn to(port: u16) -> Switch {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://{}/0", listener.local_addr().unwrap());
        let target = Arc::new(AtomicU16::new(port));
        let current = Arc::clone(&target);
        // Its threads end with the process, or with the connections that they serve.
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(("127.0.0.1", current.load(Ordering::SeqCst))).unwrap();
                let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
                let (mut from, mut to) = (server, client);
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            }
        });
        Switch { url, target }
    }
}

#[test]
fn a_master_that_became_a_replica_is_left_for_the_new_one() {
    let Some(old) = RedisServer::start("demoted") else { return };
    let new = RedisServer::start("promoted").unwrap();
    let switch = Switch::to(old.port());
    let set = |value: &str| {
        let ttl = Duration::from_mins(1);
        [CacheWrite::Set { key: "a".to_owned(), value: value.into(), ttl }]
    };
    block_on(async {
        let cache = RedisCache::new(&settings(&switch.url, "")).unwrap();
        cache.write(&set("1")).await.unwrap();
        // Its connections stay open, as those of a real one do.
        cmd("REPLICAOF").arg("127.0.0.1").arg(new.port()).exec(&mut old.connect()).unwrap();
        switch.target.store(new.port(), Ordering::SeqCst);
        let refused = cache.write(&set("2")).await.unwrap_err();
        assert!(refused.is_transient() && refused.to_string().contains("read only replica"), "{refused}");
        cache.write(&set("2")).await.unwrap();
    });
    assert_eq!(new.connect().get::<_, String>("a").unwrap(), "2");
}

#[test]
fn a_wrong_password_is_permanent_and_a_missing_server_is_not() {
    let Some(server) = RedisServer::start("password") else { return };
    server.connect().set::<_, _, ()>("x", 1).unwrap();
    let wrong = format!("redis://:hunter2@127.0.0.1:{}/0", server.port());
    let ask = |url: &str| {
        block_on(async { RedisCache::new(&settings(url, "")).unwrap().get("x").await }).map_err(|error| {
            assert!(!error.to_string().contains("hunter2"), "{error}");
            error.is_transient()
        })
    };
    assert_eq!(ask(&server.url()), Ok(Some(b"1".to_vec())));
    assert_eq!(ask(&wrong), Err(false));
    let url = server.url();
    server.kill();
    assert_eq!(ask(&url), Err(true));
}
