//! InfluxDB away, hanging, slow and reset: the rest goes on, and every trade becomes a point or is counted as dropped.

use super::{Load, QUICK, RATE, WINDOWS};
use crate::support::influxdb::{Influx, ORG};
use crate::support::process::{Program, wait_for};
use crate::support::proxy::{Mode, Proxy};
use std::time::Duration;
use url::Url;

#[test]
fn whatever_influxdb_does_each_trade_is_a_point_or_counted() {
    let Some(influx) = Influx::take("outage") else { return };
    let mut url = Url::parse(&influx.url).unwrap();
    let proxy = Proxy::before(url.port().unwrap());
    url.set_port(Some(proxy.port())).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let environment = [
        WINDOWS,
        ("INFLUXDB_URL", url.as_str()),
        ("INFLUXDB_TOKEN", influx.token.as_str()),
        ("INFLUXDB_ORG", ORG),
        ("INFLUXDB_BUCKET", influx.bucket.as_str()),
        ("TICKWIRE__INFLUXDB__TIMEOUT", "1s"),
        ("TICKWIRE__INFLUXDB__RETRY_MAX_DELAY", QUICK),
        ("TICKWIRE__INFLUXDB__BREAKER_OPEN", QUICK),
        ("TICKWIRE__INFLUXDB__BATCH__MAX_AGE", "20ms"),
        ("TICKWIRE__PROVIDER__WARM_UP", "0s"),
    ];
    let args = ["--symbols", "AAPL,MSFT", "--rate", RATE, "--data-dir", "data"];
    let load = Load { program: Program::serve(dir.path(), &args, &environment), backend: "influxdb" };
    load.wait_for_health("healthy");
    for mode in [Mode::Close, Mode::Hang, Mode::Slow(Duration::from_secs(2)), Mode::Reset(2_000)] {
        proxy.set(mode);
        load.wait_for_health("degraded");
        load.goes_on(2_000);
        proxy.set(Mode::Pass);
        load.wait_for_health("healthy");
    }
    assert!(proxy.num_resets() > 0, "the proxy had no part in it");
    let received: u64 = ["AAPL", "MSFT"]
        .map(|symbol| load.metric(&format!("tick_messages_received_total{{symbol=\"{symbol}\"}} ")))
        .iter()
        .sum();
    assert!(received > 8_000, "{received}");
    wait_for("every trade", || {
        let dropped = load.metric("tickwire_sink_dropped_total{reason=\"full\",sink=\"influxdb\"} ");
        (influx.points(&influx.bucket, "tick_metrics").len() as u64 + dropped >= received).then_some(())
    });
    load.ends_well(dir.path(), "with an InfluxDB that was away in every way");
}
