//! REST against a real server: every endpoint with good and bad parameters, and the shapes that users rely on.

mod access;
mod alerts;
mod description;
mod fill;
mod forms;
mod limits;
mod pages;
mod parameters;
mod rules;
mod service;
mod world;

use self::world::{NOW, START, World, trade};
use crate::support::fixtures::{hold, names};
use tickwire::actors::health::Health;
use tickwire::models::entry::{Body, Cancel, Correction, Entry, Quote, SourceId, TradeId};
use tickwire::models::num::{Price, Size};
use tickwire::models::time::{Nanos, SECOND};

/// Puts a report of each kind into the log.
fn fill_with_all_kinds(world: &World) {
    let ts = NOW.plus(-500_000_000);
    let source = SourceId(0);
    let correction = Correction { target: TradeId::number(1_001), trade: trade_of(trade(world.btc, 7, 400)) };
    let bodies = [
        Body::Cancel(Cancel { ts, received: Nanos::MIN, target: TradeId::number(1_002), source }),
        Body::Correction(correction),
        Body::Quote(Quote {
            ts: ts.plus(200_000_001),
            received: ts.plus(201_000_000),
            bid: Price(25_714_000_000_000),
            ask: Price(25_714_250_000_000),
            bid_size: Size(100_000_000),
            ask_size: Size(50_000_000),
            source,
        }),
    ];
    let entries = (6..).zip(bodies).map(|(pos, body)| Entry { pos, symbol: world.btc, body });
    world.log.entries.lock().unwrap().extend(entries);
}

fn trade_of(entry: Entry) -> tickwire::models::entry::Trade {
    match entry.body {
        Body::Trade(trade) => trade,
        _ => unreachable!("made as a trade"),
    }
}

#[test]
fn samples_of_answers_are_what_the_server_answers() {
    let world = World::filled();
    fill_with_all_kinds(&world);
    world.state.health.set("history", Health::Healthy, "");
    world.state.health.set("log", Health::Degraded, "disk is slow");
    world.state.health.set("kafka", Health::Disabled, "");
    let table = [
        ("service", "/"),
        ("health", "/health"),
        ("symbols", "/api/v1/symbols"),
        ("latest", "/api/v1/latest/BTC-USD"),
        ("latest_list", "/api/v1/latest?symbols=*"),
        ("ticks", "/api/v1/ticks/BTC-USD?limit=4"),
        ("bars", "/api/v1/aggregated/BTC-USD?limit=3&include_forming=true"),
        ("indicators", "/api/v1/indicators/BTC-USD"),
        ("indicators_list", "/api/v1/indicators/BTC-USD?limit=2"),
        ("anomalies", "/api/v1/anomalies"),
        ("alerts", "/api/v1/alerts"),
        ("predictions", "/api/v1/predictions/BTC-USD"),
        ("dead_letters", "/api/v1/dead-letters"),
        ("metrics_ledger", "/api/v1/metrics/ledger?symbol=BTC-USD"),
        ("metrics_kafka", "/api/v1/metrics/kafka"),
        ("problem", "/api/v1/latest/BTC-USD2"),
        ("problem_parameter", "/api/v1/ticks/BTC-USD?limit=0"),
    ];
    for (name, path) in table {
        hold(&format!("rest/{name}"), world.get(path).text());
    }
    let mut made: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
    made.sort_unstable();
    assert_eq!(names("rest"), made, "a sample that no endpoint answers");
}

#[test]
fn the_newest_trade_of_a_symbol_without_a_view_is_read_from_the_log() {
    let world = World::filled();
    let brk = world.state.symbols.get("BRK.B").unwrap();
    let priced = |pos, before_ms, price: i64| {
        let mut entry = trade(brk, pos, before_ms);
        if let Body::Trade(trade) = &mut entry.body {
            trade.price = Price(price * 1_000_000_000);
        }
        entry
    };
    let source = SourceId(0);
    let cancel = Cancel { ts: NOW, received: Nanos::MIN, target: TradeId::number(1_103), source };
    let entries = [
        priced(101, 900_000, 301),
        priced(102, 800_000, 302),
        priced(103, 700_000, 303),
        Entry { pos: 104, symbol: brk, body: Body::Cancel(cancel) },
    ];
    let latest = || world.get("/api/v1/latest/BRK.B").json();
    assert_eq!(latest()["code"], "no_data");
    world.log.entries.lock().unwrap().extend(entries);
    let found = latest();
    assert_eq!((&found["symbol"], &found["price"]), (&"BRK.B".into(), &302.into()), "{found}");
    assert_eq!((&found["age_ms"], &found["change"]), (&800_000.into(), &serde_json::Value::Null));
    let trade = trade_of(priced(105, 600_000, 305));
    let correction = Body::Correction(Correction { target: TradeId::number(1_102), trade });
    world.log.entries.lock().unwrap().push(Entry { pos: 105, symbol: brk, body: correction });
    assert_eq!(latest()["price"], 305.0);
}

#[test]
fn errors_have_stable_codes_and_name_the_parameter() {
    let world = World::filled();
    let table = [
        ("/api/v1/latest/NOPE", 404, "unknown_symbol", ""),
        ("/api/v1/latest/BRK.B", 404, "no_data", ""),
        ("/api/v1/latest/EURUSD", 422, "ambiguous_symbol", "symbol"),
        ("/api/v1/latest/A%20B", 422, "bad_parameter", "symbol"),
        ("/api/v1/latest", 422, "bad_parameter", "symbols"),
        ("/api/v1/latest?symbols=", 422, "bad_parameter", "symbols"),
        ("/api/v1/latest?symbols=,", 422, "bad_parameter", "symbols"),
        ("/api/v1/latest?symbols=BTC-USD,EURUSD", 422, "ambiguous_symbol", "symbol"),
        ("/api/v1/latest?symbols=NOPE", 404, "unknown_symbol", ""),
        ("/api/v1/latest/BTC-USD?format=csv", 422, "bad_parameter", "format"),
        ("/api/v1/latest?symbols=BRK.B", 404, "no_data", ""),
        ("/api/v1/latest?symbols=*&format=xml", 422, "bad_parameter", "format"),
        ("/api/v1/symbols?format=xml", 422, "bad_parameter", "format"),
        ("/api/v1/ticks/NOPE", 404, "unknown_symbol", ""),
        ("/api/v1/ticks/BRK.B", 404, "no_data", ""),
        ("/api/v1/ticks/BTC-USD?end_time=2020-01-01", 404, "no_data", ""),
        ("/api/v1/ticks/BTC-USD?limit=0", 422, "bad_parameter", "limit"),
        ("/api/v1/ticks/BTC-USD?limit=1001", 422, "bad_parameter", "limit"),
        ("/api/v1/ticks/BTC-USD?limit=ten", 422, "bad_parameter", "limit"),
        ("/api/v1/ticks/BTC-USD?limit=-1", 422, "bad_parameter", "limit"),
        ("/api/v1/ticks/BTC-USD?start_time=yesterday", 422, "bad_parameter", "start_time"),
        ("/api/v1/ticks/BTC-USD?end_time=", 422, "bad_parameter", "end_time"),
        ("/api/v1/ticks/BTC-USD?start_time=now&end_time=-1h", 422, "bad_parameter", "start_time"),
        ("/api/v1/ticks/BTC-USD?cursor=1-2", 422, "bad_parameter", "cursor"),
        ("/api/v1/ticks/BTC-USD?empty=yes", 422, "bad_parameter", "empty"),
        ("/api/v1/aggregated/NOPE", 404, "unknown_symbol", ""),
        ("/api/v1/aggregated/BRK.B", 404, "no_data", ""),
        ("/api/v1/aggregated/BTC-USD?end_time=2020-01-01", 404, "no_data", ""),
        ("/api/v1/aggregated/BTC-USD?window=5min", 404, "no_data", ""),
        ("/api/v1/aggregated/BTC-USD?window=2min", 422, "bad_parameter", "window"),
        ("/api/v1/aggregated/BTC-USD?window=long", 422, "bad_parameter", "window"),
        ("/api/v1/aggregated/BTC-USD?limit=5001", 422, "bad_parameter", "limit"),
        ("/api/v1/aggregated/BTC-USD?include_forming=maybe", 422, "bad_parameter", "include_forming"),
        ("/api/v1/aggregated/BTC-USD?cursor=x", 422, "bad_parameter", "cursor"),
        ("/api/v1/indicators/NOPE", 404, "unknown_symbol", ""),
        ("/api/v1/indicators/BRK.B", 404, "no_data", ""),
        ("/api/v1/indicators/BTC-USD?window=2min", 422, "bad_parameter", "window"),
        ("/api/v1/indicators/BTC-USD?end_time=2020-01-01", 404, "no_data", ""),
        ("/api/v1/indicators/BTC-USD?start_time=x", 422, "bad_parameter", "start_time"),
        ("/api/v1/dead-letters?reason=bad", 422, "bad_parameter", "reason"),
        ("/api/v1/dead-letters?reason=bad_price", 404, "no_data", ""),
        ("/api/v1/dead-letters?reason=refused", 404, "no_data", ""),
        ("/api/v1/dead-letters?reason=unknown_symbol", 404, "no_data", ""),
        ("/api/v1/dead-letters?symbol=NOPE", 404, "unknown_symbol", ""),
        ("/api/v1/dead-letters?start_time=never", 422, "bad_parameter", "start_time"),
        ("/api/v1/metrics/latency?time_range=x", 422, "bad_parameter", "time_range"),
        ("/api/v1/metrics/throughput?time_range=x", 422, "bad_parameter", "time_range"),
        ("/api/v1/metrics/kafka?time_range=x", 422, "bad_parameter", "time_range"),
        ("/api/v1/metrics/ledger?symbol=NOPE", 404, "unknown_symbol", ""),
        ("/api/v1/dead-letters?cursor=1-2", 422, "bad_parameter", "cursor"),
        ("/api/v1/anomalies?type=rsi_oversold", 404, "no_data", ""),
        ("/api/v1/anomalies?type=a%20b", 422, "bad_parameter", "type"),
        ("/api/v1/anomalies?severity=worst", 422, "bad_parameter", "severity"),
        ("/api/v1/anomalies?symbol=NOPE", 404, "unknown_symbol", ""),
        ("/api/v1/anomalies?symbol=EURUSD", 422, "ambiguous_symbol", "symbol"),
        ("/api/v1/anomalies?end_time=2020-01-01", 404, "no_data", ""),
        ("/api/v1/anomalies?start_time=now&end_time=-1h", 422, "bad_parameter", "start_time"),
        ("/api/v1/anomalies?limit=1001", 422, "bad_parameter", "limit"),
        ("/api/v1/anomalies?cursor=1-2", 422, "bad_parameter", "cursor"),
        ("/api/v1/alerts?status=lost", 422, "bad_parameter", "status"),
        ("/api/v1/alerts?status=held", 404, "no_data", ""),
        ("/api/v1/alerts?channel=", 422, "bad_parameter", "channel"),
        ("/api/v1/alerts?channel=email", 404, "no_data", ""),
        ("/api/v1/alerts?severity=low", 404, "no_data", ""),
        ("/api/v1/predictions/NOPE", 404, "unknown_symbol", ""),
        ("/api/v1/predictions/BRK.B", 404, "no_data", ""),
        ("/api/v1/predictions/BTC-USD?end_time=2020-01-01", 404, "no_data", ""),
        ("/api/v1/predictions/BTC-USD?start_time=soon", 422, "bad_parameter", "start_time"),
        ("/nowhere", 404, "not_found", ""),
        ("/ws", 426, "upgrade_required", ""),
    ];
    for (path, status, code, param) in table {
        let answer = world.get(path);
        let problem = answer.json();
        assert_eq!((answer.status, problem["code"].as_str()), (status, Some(code)), "{path}: {problem}");
        assert_eq!(problem["param"].as_str().unwrap_or(""), param, "{path}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
        assert_eq!(problem["type"], format!("urn:tickwire:problem:{code}"), "{path}");
        assert_eq!(problem["status"], status, "{path}");
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{path}");
    }
    let window = world.get("/api/v1/aggregated/BTC-USD?window=2min").json();
    assert!(window["detail"].as_str().unwrap().contains("1min, 5min, 15min, 1h, 1d"), "{window}");
}

#[test]
fn good_parameters_are_taken_in_every_form() {
    let world = World::filled();
    let start = START.0 / SECOND;
    let paths = [
        "/api/v1/latest/btc-usd".to_owned(),
        "/api/v1/latest/BTC%2FUSD".to_owned(),
        "/api/v1/latest/X:BTCUSD".to_owned(),
        "/api/v1/latest/BTCUSD".to_owned(),
        "/api/v1/latest?symbols=btcusd,%20BRK.B".to_owned(),
        "/api/v1/ticks/BTC%2FUSD?limit=1000&start_time=-30m&end_time=now".to_owned(),
        format!("/api/v1/ticks/BTC-USD?start_time={start}"),
        format!("/api/v1/ticks/BTC-USD?start_time={start}000&end_time={}000000", start + 3_601),
        "/api/v1/ticks/BTC-USD?start_time=2023-09-05".to_owned(),
        "/api/v1/ticks/BTC-USD?start_time=2023-09-05T01:00:00+01:00".to_owned(),
        "/api/v1/ticks/BTC-USD?start_time=2023-09-05T00:00:00".to_owned(),
        "/api/v1/aggregated/BTC-USD?window=1m&limit=5000".to_owned(),
        "/api/v1/aggregated/BTC-USD?window=60s&include_forming=1".to_owned(),
        "/api/v1/indicators/BTC-USD?window=1min&start_time=2023-09-05&end_time=now".to_owned(),
        "/api/v1/dead-letters?reason=late&symbol=BTCUSD&start_time=-1h&limit=1".to_owned(),
        "/api/v1/anomalies?symbol=btcusd&type=price_spike&severity=high&start_time=-1h&end_time=now&limit=1".to_owned(),
        "/api/v1/alerts?symbol=btcusd&type=price_spike&severity=high&channel=slack&status=sent&start_time=-1h".to_owned(),
        "/api/v1/predictions/btcusd?end_time=2030-01-01&limit=1".to_owned(),
        "/api/v1/aggregated/BTC-USD?start_time=0001-01-01T00:00:00Z&end_time=9999-12-31".to_owned(),
        "/api/v1/ticks/BTC-USD?start_time=-9223372036854775807&end_time=now".to_owned(),
    ];
    for path in paths {
        let answer = world.get(&path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert!(answer.text().contains("\"BTC-USD\""), "{path} answers with our spelling");
    }
    for path in [
        "/api/v1/ticks/BRK.B?empty=ok",
        "/api/v1/aggregated/BRK.B?empty=ok",
        "/api/v1/aggregated/BTC-USD?window=5min&empty=ok",
        "/api/v1/indicators/BRK.B?limit=5&empty=ok",
        "/api/v1/dead-letters?reason=poison&empty=ok",
        "/api/v1/anomalies?severity=low&empty=ok",
        "/api/v1/alerts?status=failed&empty=ok",
        "/api/v1/predictions/BRK.B?empty=ok",
        "/api/v1/predictions/BTC-USD?end_time=2020-01-01&empty=ok",
        "/api/v1/latest?symbols=BRK.B&empty=ok",
    ] {
        let answer = world.get(path);
        assert_eq!((answer.status, answer.text()), (200, "[]"), "{path}");
    }
}
