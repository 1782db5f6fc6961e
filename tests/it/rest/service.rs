//! How the service tells its own state: feeds, health, stores that are down, metrics, the end.

use super::world::{NOW, World};
use std::sync::atomic::Ordering;
use tickwire::actors::health::Health;
use tickwire::metrics::Span;
use tickwire::models::entry::SourceId;
use tickwire::models::time::SECOND;

#[test]
fn the_feed_tells_a_quiet_market_from_a_dead_one() {
    let world = World::filled();
    let feed = || world.get("/api/v1/latest/BTC-USD").json()["feed"].as_str().unwrap().to_owned();
    let later = |seconds: i64| world.now.store(NOW.plus(seconds * SECOND).0, Ordering::SeqCst);
    assert_eq!(feed(), "live");
    later(20);
    assert_eq!(feed(), "quiet");
    later(40);
    assert_eq!(feed(), "stale");
    world.state.clocks.advance(SourceId(0), NOW.plus(35 * SECOND));
    assert_eq!(feed(), "quiet", "the source's clock runs on");
    later(400);
    assert_eq!(feed(), "dead");
    assert_eq!(world.get("/api/v1/latest/BTC-USD").json()["age_ms"], 400_042);
}

#[test]
fn a_clock_that_was_set_back_is_not_hidden() {
    let world = World::filled();
    world.state.clocks.advance(SourceId(0), NOW);
    let three_hours = 3 * 3_600 * SECOND;
    world.now.store(NOW.plus(-three_hours).0, Ordering::SeqCst);
    let latest = world.get("/api/v1/latest/BTC-USD").json();
    assert_eq!((latest["age_ms"].as_i64(), latest["feed"].as_str()), (Some(42 - 10_800_000), Some("stale")));
}

#[test]
fn health_says_how_each_component_is() {
    let world = World::start();
    let status = |path: &str| world.get(path).status;
    assert_eq!((status("/health"), status("/health/live"), status("/health/ready")), (200, 200, 200));
    world.state.health.set("history", Health::Unhealthy, "disk full");
    let health = world.get("/health");
    assert_eq!((health.status, health.json()["status"].as_str()), (200, Some("unhealthy")));
    assert_eq!(health.json()["details"]["messages"]["history"], "disk full");
    assert_eq!((status("/health/live"), status("/health/ready")), (200, 503));
    world.state.health.set("history", Health::Degraded, "busy");
    assert_eq!(status("/health/ready"), 200);
    world.state.health.set_ready(false);
    assert_eq!(status("/health/ready"), 503);
}

#[test]
fn a_store_that_is_down_fails_what_needs_it_and_tells_no_secrets() {
    let world = World::filled();
    assert_eq!(world.get("/api/v1/aggregated/BTC-USD").status, 200);
    world.history.is_down.store(true, Ordering::SeqCst);
    let answer = world.get("/api/v1/aggregated/BTC-USD?start_time=-1h");
    assert_eq!((answer.status, answer.json()["code"].as_str()), (503, Some("unavailable")));
    assert!(!answer.text().contains("secret"), "{}", answer.text());
    assert_eq!(answer.header("retry-after"), "1");
    for path in
        ["/api/v1/latest/BTC-USD", "/api/v1/aggregated/BTC-USD", "/api/v1/indicators/BTC-USD", "/health"]
    {
        assert_eq!(world.get(path).status, 200, "{path}");
    }
}

#[test]
fn while_the_history_is_down_ticks_come_from_the_log_as_far_as_it_reaches() {
    let world = World::filled();
    world.history.keeps_ticks.store(true, Ordering::SeqCst);
    let get = |query: &str| world.get(&format!("/api/v1/ticks/BTC-USD?empty=ok{query}"));
    assert_eq!(get("").json().as_array().map(Vec::len), Some(0), "the history answers");
    world.history.is_down.store(true, Ordering::SeqCst);
    let all = get("").json();
    assert!(all.as_array().is_some_and(|ticks| ticks.len() == 5), "{all}");
    // From here on the log does not have everything any more.
    world.log.dropped_through.store(1, Ordering::SeqCst);
    assert_eq!(get("&limit=3").json().as_array().map(Vec::len), Some(3), "a page that is full");
    let answer = get("");
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"), "{}", answer.text());
}

#[test]
fn metrics_answer_on_their_own_port_and_as_json() {
    let world = World::filled();
    let metrics = &world.state.metrics;
    metrics.sample(NOW.plus(-2 * SECOND));
    metrics.symbol("BTC-USD").ticks.inc_by(500);
    metrics.observe(Span::ReceivedToBar, NOW, NOW.plus(300_000));
    metrics.sample(NOW.plus(-SECOND));

    let text = world.send("GET", 1, "/metrics", &[]);
    assert_eq!(text.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    for line in [
        "tick_messages_received_total{symbol=\"BTC-USD\"} 500",
        "messages_per_second{symbol=\"BTC-USD\"} 500",
        "tickwire_ledger_reports{fate=\"received\",source=\"simulated\"} 20",
        "tickwire_ledger_residue{source=\"simulated\"} 0",
    ] {
        assert!(text.text().contains(line), "{line} is not in\n{}", text.text());
    }
    assert_eq!(world.send("GET", 1, "/api/v1/symbols", &[]).status, 404);
    assert_eq!(world.get("/metrics").status, 404);

    let latency = world.get("/api/v1/metrics/latency?time_range=-1h").json();
    assert_eq!(latency["metrics"][0]["field"], "received_to_bar_p50_ms");
    assert_eq!(latency["metrics"][0]["value"], 0.375);
    let throughput = world.get("/api/v1/metrics/throughput").json();
    assert_eq!(throughput["metrics"][0]["value"], 500, "{throughput}");
    let ledger = world.get("/api/v1/metrics/ledger").json();
    let symbols: Vec<&str> =
        ledger["metrics"].as_array().unwrap().iter().filter_map(|row| row["symbol"].as_str()).collect();
    assert!(symbols.contains(&"*") && symbols.contains(&"BTC-USD"));
}

#[test]
fn a_stop_ends_the_servers_although_clients_are_connected() {
    let world = World::filled();
    assert_eq!(world.get("/health/live").status, 200);
    let started = std::time::Instant::now();
    world.stop();
    assert!(started.elapsed().as_secs() < 4, "{:?}", started.elapsed());
}
