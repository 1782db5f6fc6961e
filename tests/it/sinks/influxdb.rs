//! The store of metrics behind its shell, on a real InfluxDB and on servers that are something else.

use super::{Place, QUICK, bar, batch, run, tick, until};
use crate::support::influxdb::{Influx, InfluxServer, ORG, Row};
use crate::support::process::wait_for;
use crate::support::tls::Authority;
use actix::{Actor, Addr};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tickwire::actors::health::Health;
use tickwire::actors::messages::{Flush, LiveTick};
use tickwire::actors::sinks::influxdb::InfluxSink;
use tickwire::actors::sinks::shell::SinkActor;
use tickwire::actors::sinks::{OnFull, SinkPolicy};
use tickwire::config::Secret;
use tickwire::metrics::TopicSample;
use tickwire::models::effect::Effect;
use tickwire::models::time::{MINUTE, Nanos, SECOND};
use tickwire::stores::influxdb::client::{InfluxClient, InfluxSettings};
use tickwire::stores::influxdb::downsample::Downsampling;
use tickwire::stores::influxdb::setup::{self, Wanted};
use tickwire::tls;

const BEST_EFFORT: SinkPolicy = SinkPolicy { on_full: OnFull::DropOldest, ..QUICK };

/// What a test wants of a bucket: it lasts for ever, and nothing copies it.
const PLAIN: Wanted = Wanted { create_bucket: true, retention: Duration::ZERO, downsampling: None };

fn client(url: &str, token: &str, bucket: &str, ca_file: Option<&Path>) -> InfluxClient {
    InfluxClient::new(InfluxSettings {
        url: url.parse().unwrap(),
        token: Some(Secret::new(token.to_owned())),
        org: ORG.to_owned(),
        bucket: bucket.to_owned(),
        gzip: true,
        timeout: Duration::from_secs(20),
        tls: tls::client(ca_file).unwrap(),
    })
}

fn client_of(influx: &Influx) -> InfluxClient {
    client(&influx.url, &influx.token, &influx.bucket, None)
}

fn start(place: &Place, client: InfluxClient, wanted: Wanted) -> Addr<SinkActor> {
    let node = &place.node;
    let (symbols, metrics) = (Arc::clone(&node.symbols), Arc::clone(&node.env.metrics));
    let sink = InfluxSink::new("influxdb", client, wanted, symbols, metrics, Arc::clone(&node.env.now));
    place.shell(Arc::new(sink), BEST_EFFORT).start()
}

/// Sends rows and waits until they are written.
async fn put(place: &Place, addr: &Addr<SinkActor>, effects: Vec<Effect>, ticks: Vec<LiveTick>) {
    let written = place.metrics().sink("influxdb").written.get();
    let num_rows = (effects.len() + ticks.len()) as u64;
    addr.send(batch(effects, ticks, 1)).await.unwrap();
    addr.send(Flush).await.unwrap();
    until("the rows", || place.metrics().sink("influxdb").written.get() == written + num_rows).await;
}

fn times(rows: &[Row]) -> BTreeSet<&str> {
    rows.iter().map(|row| row["_time"].as_str()).collect()
}

#[test]
fn trades_of_one_moment_stay_apart_and_what_comes_again_changes_nothing() {
    let Some(influx) = Influx::take("apart") else { return };
    run(async {
        let place = Place::new().await;
        let addr = start(&place, client_of(&influx), PLAIN);
        let at = |ts: i64, seq: u64| LiveTick { ts: Nanos(ts), ..tick(0, seq) };
        // Of a venue that tells milliseconds, of one that tells nanoseconds, and of another symbol.
        let coarse = (1..=300).map(|seq| at(5_000_000, seq));
        let fine = (301..=400).map(|seq| at(7_123_456, seq));
        let ticks: Vec<LiveTick> = coarse.chain(fine).chain([tick(1, 5)]).collect();
        let effects = vec![bar(0, 1, 5), bar(0, 2, 6), bar(1, 1, 7)];
        put(&place, &addr, effects.clone(), ticks.clone()).await;
        put(&place, &addr, effects, ticks.into_iter().rev().collect()).await;
        // A later version of a bar takes the place of the earlier one.
        put(&place, &addr, vec![bar(0, 2, 9)], Vec::new()).await;
        assert_eq!(place.health("influxdb").0, Health::Healthy);
        assert_eq!(place.metrics().sink("influxdb").refused.get(), 0);
    });
    let ticks = influx.points(&influx.bucket, "tick_metrics");
    let (of_first, others): (Vec<Row>, Vec<Row>) = ticks.into_iter().partition(|row| row["symbol"] == "AAPL");
    assert_eq!((of_first.len(), times(&of_first).len(), others.len()), (400, 400, 1));
    let prices: BTreeSet<&str> = of_first.iter().map(|row| row["price"].as_str()).collect();
    assert_eq!(prices.len(), 400, "each with its own price");
    assert!(times(&of_first).contains("1970-01-01T00:00:00.005000299Z"), "{:?}", times(&of_first));
    let bars = influx.points(&influx.bucket, "aggregated_metrics");
    let closes: BTreeMap<(&str, &str), &str> = bars
        .iter()
        .map(|row| ((row["symbol"].as_str(), row["_time"].as_str()), row["close"].as_str()))
        .collect();
    assert_eq!(bars.len(), 3);
    assert_eq!(closes[&("AAPL", "1970-01-01T00:03:00Z")], "1.000000009");
    assert!(
        bars.iter().all(|row| row["window"] == "1min" && row["trade_count"] == "1" && row["vwap"] == "1")
    );
}

#[test]
fn a_bucket_is_made_with_its_retention_which_refuses_old_points_alone() {
    let Some(influx) = Influx::take("retention") else { return };
    let wanted = Wanted { retention: Duration::from_hours(90 * 24), ..PLAIN };
    run(async {
        let place = Place::new().await;
        let addr = start(&place, client_of(&influx), wanted.clone());
        let now = (place.node.env.now)();
        let ago = |days: i64, seq| LiveTick { ts: now.plus(-days * 24 * 60 * MINUTE), ..tick(0, seq) };
        put(&place, &addr, Vec::new(), vec![ago(100, 1), ago(1, 2), ago(91, 3), ago(89, 4)]).await;
        assert_eq!(place.metrics().sink("influxdb").refused.get(), 2);
        assert_eq!(place.metrics().sink("influxdb").transient_failures.get(), 0);
        assert_eq!(place.health("influxdb").0, Health::Healthy);
    });
    let bucket = influx.bucket_named(&influx.bucket).unwrap();
    assert_eq!(bucket["retentionRules"][0]["everySeconds"], 90 * 24 * 3_600);
    assert_eq!(influx.points(&influx.bucket, "tick_metrics").len(), 2);
    run(async {
        // One that is there stays as it is, which is said.
        let other = Wanted { retention: Duration::from_hours(24), ..PLAIN };
        let features = setup::prepare(&client_of(&influx), &other).await.unwrap();
        assert!(features.server.starts_with("InfluxDB "), "{features:?}");
        assert!(features.present[0].contains("90 days (as it was, not as configured)"), "{features:?}");
        assert_eq!(features.missing, Vec::<String>::new());
    });
}

#[test]
fn a_point_whose_field_has_another_type_is_left_out_and_the_rest_is_written() {
    let Some(influx) = Influx::take("conflict") else { return };
    influx.make_bucket(0);
    influx.write("tick_metrics,symbol=AAPL price=1i,volume=1 1");
    run(async {
        let place = Place::new().await;
        let addr = start(&place, client_of(&influx), PLAIN);
        put(&place, &addr, vec![bar(0, 1, 5)], vec![tick(0, 1), tick(0, 2)]).await;
        assert_eq!(place.metrics().sink("influxdb").refused.get(), 2);
        assert_eq!(place.health("influxdb").0, Health::Healthy);
    });
    assert_eq!(influx.points(&influx.bucket, "aggregated_metrics").len(), 1);
}

#[test]
fn a_wrong_token_is_permanent_and_never_shown() {
    let Some(influx) = Influx::take("token") else { return };
    run(async {
        let place = Place::new().await;
        let addr = start(&place, client(&influx.url, "hunter2-hunter2", &influx.bucket, None), PLAIN);
        addr.send(batch(Vec::new(), vec![tick(0, 1)], 1)).await.unwrap();
        let metrics = place.metrics().sink("influxdb");
        until("permanent failures", || metrics.permanent_failures.get() > 1).await;
        let (health, detail) = place.health("influxdb");
        assert_eq!((health, metrics.transient_failures.get()), (Health::Degraded, 0));
        assert!(
            detail.contains("401") && detail.contains("token") && !detail.contains("hunter2"),
            "{detail}"
        );
    });
}

#[test]
fn a_token_that_may_only_write_does_and_what_it_may_not_is_said() {
    let Some(influx) = Influx::take("scope") else { return };
    influx.make_bucket(0);
    let writes = influx.token_for(&["write"]);
    let downsampling = downsampling_of(&influx, 3_600);
    run(async {
        let place = Place::new().await;
        let client = client(&influx.url, &writes, &influx.bucket, None);
        let wanted = Wanted { downsampling: Some(downsampling.clone()), ..PLAIN };
        let features = setup::prepare(&client, &wanted).await.unwrap();
        assert!(features.missing[0].contains("cannot be made"), "{features:?}");
        let addr = start(&place, client, wanted);
        put(&place, &addr, Vec::new(), vec![tick(0, 1)]).await;
        assert_eq!(place.health("influxdb").0, Health::Healthy);
    });
    assert_eq!(influx.points(&influx.bucket, "tick_metrics").len(), 1);
    // A bucket that is not there, with a token that may not make it: said, and written once somebody has made it.
    let missing = influx.with_bucket(format!("{}-missing", influx.bucket));
    run(async {
        let place = Place::new().await;
        let client = client(&missing.url, &missing.token, &missing.bucket, None);
        let addr = start(&place, client, Wanted { create_bucket: false, ..PLAIN });
        addr.send(batch(Vec::new(), vec![tick(0, 1)], 1)).await.unwrap();
        until("the refusal", || place.health("influxdb").1.contains("404")).await;
        let maker = missing.clone();
        std::thread::spawn(move || maker.make_bucket(0)).join().unwrap();
        until("health", || place.health("influxdb").0 == Health::Healthy).await;
    });
    assert_eq!(missing.points(&missing.bucket, "tick_metrics").len(), 1);
}

fn downsampling_of(influx: &Influx, seconds: u64) -> Downsampling {
    Downsampling {
        every: Duration::from_secs(seconds),
        from: influx.bucket.clone(),
        to: format!("{}_coarse", influx.bucket),
        org: ORG.to_owned(),
        window: "1min".to_owned(),
    }
}

#[test]
fn the_task_of_the_server_keeps_a_coarse_copy() {
    let Some(influx) = Influx::take("coarse") else { return };
    let downsampling = downsampling_of(&influx, 2);
    let task = downsampling.task_name();
    let wanted = Wanted { downsampling: Some(downsampling.clone()), ..PLAIN };
    run(async {
        let place = Place::new().await;
        let features = setup::prepare(&client_of(&influx), &wanted).await.unwrap();
        assert_eq!(features.missing, Vec::<String>::new());
        assert!(features.present.iter().any(|line| line.contains("task") && line.contains("(made)")));
        let addr = start(&place, client_of(&influx), wanted.clone());
        // The intervals that a run can see move on, so points are written until a run has seen them.
        let mut seq = 0;
        let limit = std::time::Instant::now() + Duration::from_secs(60);
        loop {
            let now = (place.node.env.now)();
            let trades = [1, 2, 3].map(|nth| {
                seq += 1;
                LiveTick {
                    ts: now.plus(nth),
                    price: tickwire::models::num::Price(nth * 1_000_000_000),
                    ..tick(0, seq)
                }
            });
            let Effect::Bar(mut closed) = bar(0, 1, 5) else { unreachable!() };
            closed.start = now.plus(-MINUTE);
            put(&place, &addr, vec![Effect::Bar(closed)], trades.to_vec()).await;
            let (asked, coarse) = (influx.clone(), downsampling.to.clone());
            let seen = std::thread::spawn(move || {
                ["tick_metrics", "aggregated_metrics"]
                    .map(|measurement| asked.points(&coarse, measurement).len())
            });
            if seen.join().unwrap().iter().all(|num| *num > 0) {
                break;
            }
            assert!(std::time::Instant::now() < limit, "no run has seen anything");
        }
    });
    wait_for("a run that the server calls a success", || (influx.successful_runs(&task) > 0).then_some(()));
    let ticks = influx.points(&downsampling.to, "tick_metrics");
    // Whole intervals, of which the last price is kept and the volumes are added up.
    assert!(ticks.iter().all(|row| row["price"] == "3" && row["symbol"] == "AAPL"), "{ticks:?}");
    for row in &ticks {
        let volume: f64 = row["volume"].parse().unwrap();
        let num_trades = (volume / 0.000_000_01).round();
        assert!(num_trades >= 3.0 && num_trades % 3.0 == 0.0, "{row:?}");
        let second: u32 = row["_time"][17..19].parse().unwrap();
        assert_eq!(second % 2, 0, "{row:?}");
    }
    let bars = influx.points(&downsampling.to, "aggregated_metrics");
    for row in &bars {
        assert_eq!((row["window"].as_str(), row["high"].as_str(), row["low"].as_str()), ("2s", "2", "0.5"));
    }
    // The same again changes nothing; another interval changes the task.
    run(async {
        let again = setup::prepare(&client_of(&influx), &wanted).await.unwrap();
        assert!(
            again.present.iter().any(|line| line.contains("task") && !line.contains("(made)")),
            "{again:?}"
        );
    });
}

#[test]
fn a_server_that_is_not_there_at_the_start_or_goes_is_tried_again_and_left_alone_meanwhile() {
    let Some(server) = InfluxServer::start("outage") else { return };
    let influx = server.set_up("outage");
    influx.make_bucket(0);
    let stopped = server.kill();
    run(async {
        let place = Place::new().await;
        let addr = start(&place, client_of(&influx), PLAIN);
        addr.send(batch(Vec::new(), vec![tick(0, 1)], 1)).await.unwrap();
        let metrics = place.metrics().sink("influxdb");
        until("an open breaker", || metrics.breaker_opened.get() > 0).await;
        until("its health", || place.health("influxdb").1.contains("circuit breaker open for")).await;
        assert_eq!((place.health("influxdb").0, metrics.permanent_failures.get()), (Health::Degraded, 0));
        let server = std::thread::spawn(move || stopped.start(None)).join().unwrap();
        until("health", || place.health("influxdb").0 == Health::Healthy).await;
        assert_eq!((metrics.breaker.get(), metrics.written.get()), (0, 1));
        assert_eq!(influx.points(&influx.bucket, "tick_metrics").len(), 1);
        drop(server);
    });
}

#[test]
fn tls_with_an_authority_of_ones_own() {
    let Some(server) = InfluxServer::start("tls") else { return };
    let influx = server.set_up("tls");
    influx.make_bucket(0);
    let authority = Authority::new();
    let server = server.kill().start(Some(&authority));
    run(async {
        let url = server.url();
        let place = Place::new().await;
        let addr =
            start(&place, client(&url, &influx.token, &influx.bucket, Some(&authority.ca_file)), PLAIN);
        put(&place, &addr, Vec::new(), vec![tick(0, 1)]).await;
        let stranger = setup::prepare(&client(&url, &influx.token, &influx.bucket, None), &PLAIN).await;
        assert!(stranger.unwrap_err().to_string().contains("certificate"));
    });
    let _server = server.kill().start(None);
    assert_eq!(influx.points(&influx.bucket, "tick_metrics").len(), 1);
}

/// A server of the same write API that has nothing else. Answers writes as it is told, in turn, and the last one for ever.
struct OtherServer {
    url: String,
    writes: Arc<Mutex<Vec<String>>>,
}

impl OtherServer {
    fn start(answers: &[&'static str]) -> OtherServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/behind/a/proxy", listener.local_addr().unwrap());
        let writes = Arc::<Mutex<Vec<String>>>::default();
        let (seen, mut answers) = (Arc::clone(&writes), answers.iter().copied().rev().collect::<Vec<_>>());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut reader = BufReader::new(stream);
                // One connection after another: the client opens a new one where it is told to.
                let (mut head, mut len) = (String::new(), 0);
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
                        break;
                    }
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        len = value.trim().parse().unwrap();
                    }
                    head.push_str(&line);
                }
                let mut body = vec![0; len];
                reader.read_exact(&mut body).unwrap();
                let answer = if head.starts_with("POST /behind/a/proxy/api/v2/write?") {
                    let mut text = String::new();
                    flate2::read::GzDecoder::new(body.as_slice()).read_to_string(&mut text).unwrap();
                    seen.lock().unwrap().push(text);
                    if answers.len() > 1 { answers.pop().unwrap() } else { answers[0] }
                } else if head.starts_with("GET /behind/a/proxy/ping") {
                    "204 No Content\r\nX-Influxdb-Version: 1.8"
                } else {
                    "400 Bad Request"
                };
                let head = format!("HTTP/1.1 {answer}\r\n");
                let end = if answer.contains("\r\n\r\n") {
                    ""
                } else {
                    "Content-Length: 0\r\nConnection: close\r\n\r\n"
                };
                reader.get_mut().write_all(format!("{head}{end}").as_bytes()).ok();
            }
        });
        OtherServer { url, writes }
    }
}

#[test]
fn a_server_of_the_same_write_api_that_has_nothing_else_gets_its_points() {
    let server = OtherServer::start(&["204 No Content"]);
    run(async {
        let features = setup::prepare(&client(&server.url, "t", "b", None), &PLAIN).await.unwrap();
        assert_eq!(features.server, "a server of the same write API, 1.8");
        assert_eq!((features.present.len(), features.missing.len()), (0, 1));
        let place = Place::new().await;
        let addr = start(&place, client(&server.url, "t", "b", None), PLAIN);
        put(&place, &addr, vec![bar(0, 1, 5)], vec![tick(0, 1), tick(1, 2)]).await;
        assert_eq!(place.health("influxdb").0, Health::Healthy);
    });
    let writes = server.writes.lock().unwrap().join("");
    assert_eq!(writes.lines().count(), 3, "{writes}");
}

#[test]
fn a_line_that_cannot_be_read_is_found_and_a_server_that_asks_for_time_gets_it() {
    let body = r#"{"code":"invalid","message":"unable to parse 'tick_metrics,'"}"#;
    let len = body.len();
    let refused: &'static str =
        format!("400 Bad Request\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n{body}").leak();
    let busy = "429 Too Many Requests\r\nRetry-After: 1";
    let server = OtherServer::start(&[busy, refused, "204 No Content", refused, "204 No Content"]);
    run(async {
        let place = Place::new().await;
        let addr = start(&place, client(&server.url, "t", "b", None), PLAIN);
        let begun = std::time::Instant::now();
        addr.send(batch(Vec::new(), vec![tick(0, 1), tick(0, 2)], 1)).await.unwrap();
        until("the rows", || place.metrics().sink("influxdb").written.get() == 2).await;
        assert!(begun.elapsed() >= Duration::from_secs(1), "it was left alone as long as it asked");
        assert_eq!(place.metrics().sink("influxdb").refused.get(), 1);
    });
    let sizes: Vec<usize> = server.writes.lock().unwrap().iter().map(|text| text.lines().count()).collect();
    assert_eq!(sizes[..4], [2, 2, 1, 1], "the batch twice, and its halves");
}

#[test]
fn latencies_are_written_once_each() {
    let server = OtherServer::start(&["204 No Content"]);
    run(async {
        let place = Place::new().await;
        let now = Arc::new(std::sync::atomic::AtomicI64::new(100 * SECOND));
        let clock = Arc::clone(&now);
        let client = client(&server.url, "t", "b", None);
        let (symbols, metrics) = (Arc::clone(&place.node.symbols), Arc::clone(&place.node.env.metrics));
        let tell = Arc::new(move || Nanos(clock.load(std::sync::atomic::Ordering::SeqCst)));
        let sink = InfluxSink::new("influxdb", client, PLAIN, symbols, Arc::clone(&metrics), tell);
        let addr = place.shell(Arc::new(sink), BEST_EFFORT).start();
        let topic = |messages| TopicSample { topic: "t".to_owned(), messages, ..TopicSample::default() };
        metrics.kafka.produced(Nanos(100 * SECOND), &[topic(0)], 0, 0);
        metrics.kafka.produced(Nanos(110 * SECOND), &[topic(50)], 0, 0);
        for second in 100..=120 {
            metrics.latency(tickwire::metrics::Span::ReceivedToBar).observe(0.001);
            metrics.sample(Nanos(second * SECOND));
        }
        put(&place, &addr, Vec::new(), vec![tick(0, 1)]).await;
        assert!(!server.writes.lock().unwrap().join("").contains("latency"), "not before there are enough");
        now.store(115 * SECOND, std::sync::atomic::Ordering::SeqCst);
        put(&place, &addr, Vec::new(), vec![tick(0, 2)]).await;
        put(&place, &addr, Vec::new(), vec![tick(0, 3)]).await;
    });
    let writes = server.writes.lock().unwrap().join("");
    let medians = writes
        .lines()
        .filter(|line| line.starts_with("latency_metrics,component=received_to_bar latency_ms="));
    assert_eq!(medians.count(), 20, "{writes}");
    assert!(writes.contains("latency_metrics,component=received_to_bar latency_p99_ms="));
    assert!(writes.contains("kafka_metrics,topic=t messages_per_sec=5 110000000000\n"), "{writes}");
}
