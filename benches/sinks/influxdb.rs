//! InfluxDB, beside its own client for Rust.

use super::measure::{cpu, print};
use super::rows::ticks;
use super::{BATCH_ROWS, NUM_BATCHES, NUM_SYMBOLS};
use futures_util::stream;
use influxdb2::models::DataPoint;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tickwire::actors::messages::LiveTick;
use tickwire::actors::sinks::influxdb::InfluxSink;
use tickwire::actors::sinks::{Sink, SinkBatch};
use tickwire::config::Secret;
use tickwire::models::num::Scale;
use tickwire::node::Node;
use tickwire::stores::influxdb::client::{InfluxClient, InfluxSettings};
use tickwire::stores::influxdb::setup::Wanted;

const ORG: &str = "tickwire";
const TIMEOUT: Duration = Duration::from_secs(60);

/// Writes the same points with the sink and with the client of the crate `influxdb2`.
pub async fn measure(node: &Node, url: &str, token: &str) {
    let bucket = format!("bench-{}", std::process::id());
    let client = InfluxClient::new(InfluxSettings {
        url: url.parse().expect("an address"),
        token: Some(Secret::new(token.to_owned())),
        org: ORG.to_owned(),
        bucket: bucket.clone(),
        gzip: true,
        timeout: TIMEOUT,
        tls: tickwire::tls::client(None).expect("the public certificates"),
    });
    let wanted = Wanted { create_bucket: true, retention: Duration::ZERO, downsampling: None };
    let (symbols, metrics) = (Arc::clone(&node.symbols), Arc::clone(&node.env.metrics));
    let sink = InfluxSink::new("influxdb", client, wanted, symbols, metrics, Arc::clone(&node.env.now));
    let batches: Vec<Vec<LiveTick>> = (0..NUM_BATCHES).map(ticks).collect();
    sink.write(&SinkBatch::default()).await.expect("a server that answers");
    let (begun, before) = (Instant::now(), cpu());
    for ticks in &batches {
        let batch = SinkBatch { ticks: vec![Arc::new(ticks.clone())], ..SinkBatch::default() };
        sink.write(&batch).await.expect("it is written");
    }
    print("influxdb", "points", NUM_BATCHES * BATCH_ROWS, begun.elapsed(), cpu() - before);

    let own = influxdb2::ClientBuilder::new(url, ORG, token).gzip(true).build().expect("a client");
    let names: Vec<String> = (0..NUM_SYMBOLS).map(|at| format!("SIM{at:04}")).collect();
    let (begun, before) = (Instant::now(), cpu());
    for ticks in &batches {
        let points: Vec<DataPoint> = ticks
            .iter()
            .map(|tick| {
                DataPoint::builder("tick_metrics")
                    .tag("symbol", names[tick.symbol.index()].as_str())
                    .field("price", Scale::PRICE.to_f64(tick.price.0))
                    .field("volume", Scale::SIZE.to_f64(tick.size.0))
                    // A point of its own, as the others are.
                    .timestamp(tick.ts.0 + 1)
                    .build()
                    .expect("it has fields")
            })
            .collect();
        own.write(&bucket, stream::iter(points)).await.expect("it is written");
    }
    print("influxdb2", "points", NUM_BATCHES * BATCH_ROWS, begun.elapsed(), cpu() - before);
}
