//! Redis away, hanging, slow and refusing.

use super::{Load, QUICK, RATE, WINDOWS};
use crate::support::process::{Program, wait_for};
use crate::support::proxy::{Mode, Proxy};
use crate::support::redis::RedisServer;
use deadpool_redis::redis::{Commands, cmd};
use std::time::Duration;

/// A write that takes longer has failed: a server that takes 2 s a call is as good as none.
const TIMEOUT: &str = "500ms";

#[test]
fn nothing_that_redis_does_holds_up_anybody_and_it_catches_up() {
    let Some(server) = RedisServer::start("outage") else { return };
    let proxy = Proxy::before(server.port());
    let url = format!("redis://127.0.0.1:{}/0", proxy.port());
    let dir = tempfile::tempdir().unwrap();
    let environment = [
        WINDOWS,
        ("REDIS_URL", url.as_str()),
        ("TICKWIRE__REDIS__TIMEOUT", TIMEOUT),
        ("TICKWIRE__REDIS__RETRY_MAX_DELAY", QUICK),
        ("TICKWIRE__REDIS__BREAKER_OPEN", QUICK),
    ];
    let args = ["--symbols", "AAPL,MSFT", "--rate", RATE, "--data-dir", "data"];
    let load = Load { program: Program::serve(dir.path(), &args, &environment), backend: "redis" };
    load.wait_for_health("healthy");
    let fresh = || {
        // Whatever is there now was written after the key was deleted.
        server.connect().del::<_, ()>("latest_price:AAPL").unwrap();
        wait_for("a new price", || {
            server.connect().exists::<_, bool>("latest_price:AAPL").unwrap().then_some(())
        });
    };
    fresh();
    for mode in [Mode::Close, Mode::Hang, Mode::Slow(Duration::from_secs(2)), Mode::Reset(10_000)] {
        proxy.set(mode);
        load.wait_for_health("degraded");
        load.goes_on(2_000);
        proxy.set(Mode::Pass);
        load.wait_for_health("healthy");
        fresh();
    }
    // No memory left: it answers, and takes nothing.
    let memory = |limit: &str| {
        cmd("CONFIG").arg("SET").arg("maxmemory").arg(limit).exec(&mut server.connect()).unwrap();
    };
    memory("1");
    load.wait_for_health("degraded");
    load.goes_on(2_000);
    memory("0");
    load.wait_for_health("healthy");
    fresh();
    assert!(proxy.num_resets() > 0 && proxy.num_connections() > 5, "the proxy had no part in it");
    assert!(load.metric("tickwire_sink_retries_total{sink=\"redis\"} ") > 0);
    load.ends_well(dir.path(), "with a Redis that was away in every way");
}

#[test]
fn a_redis_that_was_never_there_delays_nothing_but_itself() {
    let Some(server) = RedisServer::start("absent") else { return };
    let proxy = Proxy::before(server.port());
    proxy.set(Mode::Hang);
    let url = format!("redis://127.0.0.1:{}/0", proxy.port());
    let dir = tempfile::tempdir().unwrap();
    let environment = [
        WINDOWS,
        ("REDIS_URL", url.as_str()),
        ("TICKWIRE__REDIS__RETRY_MAX_DELAY", QUICK),
        ("TICKWIRE__REDIS__BREAKER_OPEN", QUICK),
    ];
    let args = ["--symbols", "AAPL,MSFT", "--rate", RATE, "--data-dir", "data"];
    let load = Load { program: Program::serve(dir.path(), &args, &environment), backend: "redis" };
    load.goes_on(2_000);
    assert_ne!(load.health(), "healthy");
    proxy.set(Mode::Pass);
    load.wait_for_health("healthy");
    load.ends_well(dir.path(), "with a Redis that came late");
}
