//! REST against a real server: every endpoint with good and bad parameters, and the shapes that users rely on.

mod limits;
mod world;

use self::world::{NOW, START, World, bar, letter, minute, point, trade, view};
use crate::support::fixtures::{hold, names, read};
use std::io::Read;
use std::sync::atomic::Ordering;
use tickwire::actors::views::Health;
use tickwire::metrics::Span;
use tickwire::models::bar::{Bar, BarState};
use tickwire::models::entry::{Body, Cancel, Correction, Entry, Quote, SourceId, TradeId};
use tickwire::models::num::{Price, Size};
use tickwire::models::time::{MINUTE, Nanos, SECOND};
use tickwire::models::view::{SymbolView, WindowView};

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
fn errors_have_stable_codes_and_name_the_parameter() {
    let world = World::filled();
    let table = [
        ("/api/v1/latest/NOPE", 404, "unknown_symbol", ""),
        ("/api/v1/latest/BRK.B", 404, "no_data", ""),
        ("/api/v1/latest/EURUSD", 422, "ambiguous_symbol", "symbol"),
        ("/api/v1/latest/A%20B", 422, "bad_parameter", "symbol"),
        ("/api/v1/latest", 422, "bad_parameter", "symbols"),
        ("/api/v1/latest?symbols=", 422, "bad_parameter", "symbols"),
        ("/api/v1/latest?symbols=BTC-USD,NOPE", 404, "unknown_symbol", ""),
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
        ("/api/v1/dead-letters?symbol=NOPE", 404, "unknown_symbol", ""),
        ("/api/v1/dead-letters?start_time=never", 422, "bad_parameter", "start_time"),
        ("/api/v1/metrics/latency?time_range=x", 422, "bad_parameter", "time_range"),
        ("/api/v1/metrics/throughput?time_range=x", 422, "bad_parameter", "time_range"),
        ("/api/v1/metrics/kafka?time_range=x", 422, "bad_parameter", "time_range"),
        ("/api/v1/metrics/ledger?symbol=NOPE", 404, "unknown_symbol", ""),
        ("/api/v1/dead-letters?cursor=1-2", 422, "bad_parameter", "cursor"),
        ("/api/v1/anomalies", 404, "not_found", ""),
        ("/api/v1/alerts", 404, "not_found", ""),
        ("/api/v1/predictions/BTC-USD", 404, "not_found", ""),
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
    assert!(window["detail"].as_str().unwrap().contains("1min, 5min, 15min"), "{window}");
}

#[test]
fn good_parameters_are_taken_in_every_form() {
    let world = World::filled();
    let start = START.0 / SECOND;
    let paths = [
        "/api/v1/latest/btc-usd".to_owned(),
        "/api/v1/latest/BTC%2FUSD".to_owned(),
        "/api/v1/latest/X:BTCUSD".to_owned(),
        "/api/v1/latest/BTCUSD?unknown=1".to_owned(),
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
        "/api/v1/latest?symbols=BRK.B&empty=ok",
    ] {
        let answer = world.get(path);
        assert_eq!((answer.status, answer.text()), (200, "[]"), "{path}");
    }
}

#[test]
fn the_range_of_bars_is_open_at_its_start_and_closed_at_its_end() {
    let world = World::filled();
    let ends = |path: &str| -> Vec<i64> {
        let answer = world.get(path).json();
        let bars = answer.as_array().unwrap_or_else(|| panic!("{path}: {answer}"));
        bars.iter()
            .map(|bar| {
                Nanos::from_rfc3339(bar["window_end"].as_str().unwrap()).unwrap().since(START) / MINUTE
            })
            .collect()
    };
    let range = "/api/v1/aggregated/BTC-USD?start_time=2023-09-05T00:03:00Z&end_time=2023-09-05T00:06:00Z";
    assert_eq!(ends(range), [6, 5, 4]);
    let range =
        "/api/v1/aggregated/BTC-USD?start_time=2023-09-05T00:02:59.999Z&end_time=2023-09-05T00:05:59.999Z";
    assert_eq!(ends(range), [5, 4, 3]);
    // The forming bar ends at 00:11.
    let until = |minute: i64| {
        format!("/api/v1/aggregated/BTC-USD?limit=1&include_forming=true&end_time=2023-09-05T00:{minute}:00Z")
    };
    assert_eq!((ends(&until(11)), ends(&until(10))), (vec![11], vec![10]));
    assert_eq!(ends("/api/v1/aggregated/BTC-USD?limit=2&include_forming=true"), [11, 10]);
}

#[test]
fn what_the_history_does_not_know_yet_is_there_already() {
    let world = World::filled();
    world.state.views.publish(view(world.btc, 10));
    let count = |path: &str| world.get(path).json().as_array().map_or(0, Vec::len);
    for path in [
        "/api/v1/aggregated/BTC-USD",
        "/api/v1/aggregated/BTC-USD?start_time=2023-09-05",
        "/api/v1/aggregated/BTC-USD?format=json&limit=600",
        "/api/v1/indicators/BTC-USD?start_time=2023-09-05",
    ] {
        assert_eq!(count(path), 11, "{path}");
    }
    assert_eq!(count("/api/v1/aggregated/BTC-USD?end_time=2023-09-05T00:10:00Z"), 10);
    // The void of the newest bar is known to the view alone as well.
    let void = Bar { state: BarState::Void, seq: 12, log_pos: 5_000, ..bar(world.btc, 9) };
    let voided = view(world.btc, 9);
    let window = WindowView { closed: Some(void), seq: 12, ..voided.windows[0].clone() };
    world.state.views.publish(SymbolView { windows: [window].into(), pos: 5_000, ..voided });
    assert_eq!(count("/api/v1/aggregated/BTC-USD?start_time=2023-09-05"), 9);
    assert_eq!(count("/api/v1/aggregated/BTC-USD"), 9);
}

#[test]
fn newest_bars_come_from_memory_until_one_changes() {
    let world = World::filled();
    let path = "/api/v1/aggregated/BTC-USD?limit=5";
    let reads = || world.history.num_reads.load(Ordering::SeqCst);
    let by_range = |limit: usize| {
        world
            .get(&format!("/api/v1/aggregated/BTC-USD?start_time=2000-01-01&limit={limit}"))
            .text()
            .to_owned()
    };
    assert_eq!(world.get(path).text(), by_range(5));
    let before = reads();
    for limit in [1, 5, 500] {
        world.get(&format!("/api/v1/aggregated/BTC-USD?limit={limit}"));
    }
    assert_eq!(reads(), before, "the page is in memory");

    // One bar after the other closes: the view brings each, the history is not asked.
    for nth in 10..520 {
        world.state.views.publish(view(world.btc, nth));
        assert_eq!(world.get("/api/v1/aggregated/BTC-USD?limit=1").status, 200);
    }
    assert_eq!(reads(), before);
    world.history.bars.lock().unwrap().extend((10..520).map(|nth| bar(world.btc, nth)));
    for limit in [1, 2, 499, 500] {
        let answer = world.get(&format!("/api/v1/aggregated/BTC-USD?limit={limit}"));
        assert_eq!(answer.text(), by_range(limit), "{limit}");
        assert!(answer.header("link").contains("cursor="), "older bars are in the history");
    }

    // An older bar is amended: the view's `seq` moves on, and the page follows once the history has it.
    let before = reads();
    let amended =
        Bar { state: BarState::Amended, revision: 1, seq: 521, log_pos: 60_000, ..bar(world.btc, 515) };
    let newest = view(world.btc, 519);
    let window = WindowView { seq: 521, ..newest.windows[0].clone() };
    world.state.views.publish(SymbolView { windows: [window].into(), pos: 60_000, ..newest });
    assert!(!world.get(path).text().contains("amended"), "the history is behind");
    world.history.bars.lock().unwrap()[515] = amended;
    world.history.acknowledged.store(60_000, Ordering::SeqCst);
    let started = std::time::Instant::now();
    while !world.get(path).text().contains("amended") {
        assert!(started.elapsed().as_secs() < 10, "the page never follows");
    }
    let settled = reads();
    assert!(settled > before);
    world.get(path);
    assert_eq!(reads(), settled, "a page that is whole is not read again");
}

/// Walks all pages from a path on; returns the rows.
fn walk(world: &World, path: &str) -> Vec<serde_json::Value> {
    let mut rows = Vec::new();
    let mut next = path.to_owned();
    loop {
        let answer = world.get(&next);
        assert_eq!(answer.status, 200, "{next}: {}", answer.text());
        let page = answer.json();
        rows.extend(page.as_array().unwrap().iter().cloned());
        let link = answer.header("link");
        if link.is_empty() {
            return rows;
        }
        next = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
        assert!(rows.len() < 5_000, "the pages never end");
    }
}

#[test]
fn cursors_walk_the_whole_list_without_hole_or_repeat() {
    let world = World::filled();
    // Thirty ticks, three at each time, so that pages end between equal times.
    let ticks = (6..=35).map(|pos| trade(world.btc, pos, 60_000 + 100 * (pos as i64 / 3)));
    world.log.entries.lock().unwrap().extend(ticks);
    world.history.bars.lock().unwrap().extend((10..50).map(|nth| bar(world.btc, nth)));
    world.history.points.lock().unwrap().extend((10..50).map(|nth| point(world.btc, nth)));
    world.state.views.publish(view(world.btc, 49));
    // As many dead letters, again three at each time.
    let letters = (2..40).map(|id| letter(id, NOW.plus(-SECOND * (60 - id as i64 / 3))));
    world.history.dead_letters.lock().unwrap().extend(letters);
    for list in [
        "/api/v1/dead-letters?",
        "/api/v1/dead-letters?reason=late&symbol=btcusd&start_time=-1h&",
        "/api/v1/ticks/BTC-USD?",
        "/api/v1/aggregated/BTC-USD?",
        "/api/v1/aggregated/BTC-USD?include_forming=true&",
        "/api/v1/aggregated/BTC-USD?start_time=2023-09-05T00:05:00Z&end_time=2023-09-05T00:45:00Z&",
        "/api/v1/indicators/BTC-USD?end_time=now&",
    ] {
        let whole = walk(&world, &format!("{list}limit=1000"));
        assert!(whole.len() >= 35, "{list}: {}", whole.len());
        for limit in [1, 2, 7, 35] {
            assert_eq!(walk(&world, &format!("{list}limit={limit}")), whole, "{list}, {limit} a page");
        }
    }
    // A page of a relative range stays where it was while time goes on.
    let first = world.get("/api/v1/ticks/BTC-USD?limit=34&start_time=-2m");
    let next = first.header("link").split(['<', '>']).nth(1).unwrap().to_owned();
    world.now.store(NOW.plus(MINUTE).0, Ordering::SeqCst);
    assert_eq!(world.get(&next).json().as_array().map(Vec::len), Some(1));
}

#[test]
fn a_walk_through_dead_letters_is_not_disturbed_by_new_ones() {
    let world = World::filled();
    let time = |nth: i64| NOW.plus(-SECOND * (60 - nth));
    world.history.dead_letters.lock().unwrap().extend((2..12).map(|id| letter(id, time(id as i64 / 3))));
    let payloads = |path: &str| -> Vec<String> {
        let rows = walk(&world, path);
        rows.iter().map(|row| row["payload"].as_str().unwrap().to_owned()).collect()
    };
    let before = payloads("/api/v1/dead-letters");
    let first = world.get("/api/v1/dead-letters?limit=4");
    let next = first.header("link").split(['<', '>']).nth(1).unwrap().to_owned();
    // One newer than all, one at the time where the page ended.
    let shown = first.json()[3]["payload"].as_str().unwrap().parse::<i64>().unwrap();
    world.history.dead_letters.lock().unwrap().extend([letter(12, NOW), letter(13, time(shown / 3))]);
    assert_eq!(payloads(&next), before[4..]);
    assert_eq!(payloads("/api/v1/dead-letters").len(), before.len() + 2);
}

#[test]
fn lists_answer_csv_too() {
    let world = World::filled();
    let by_accept = world.ask("/api/v1/aggregated/BTC-USD?limit=2", &[("accept", "text/csv")]);
    let by_format = world.get("/api/v1/aggregated/BTC-USD?limit=2&format=csv");
    assert_eq!(by_accept.text(), by_format.text());
    assert_eq!(by_format.header("content-type"), "text/csv; charset=utf-8");
    let lines: Vec<&str> = by_format.text().lines().collect();
    let fields: Vec<String> = {
        let json = read("rest/bars");
        let first = &json[2..json.find('}').unwrap()];
        first
            .split(",\"")
            .map(|pair| pair.split("\":").next().unwrap().trim_matches('"').to_owned())
            .collect()
    };
    assert_eq!(
        (lines.len(), lines[0]),
        (3, fields.join(",").as_str()),
        "the fields of the JSON, in their order"
    );
    assert!(lines[1].starts_with("2023-09-05T00:10:00Z,BTC-USD,1min,2023-09-05T00:09:00Z,"), "{}", lines[1]);
    for path in [
        "/api/v1/symbols?format=csv",
        "/api/v1/latest?symbols=*&format=csv",
        "/api/v1/ticks/BTC-USD?format=csv",
        "/api/v1/indicators/BTC-USD?format=csv",
        "/api/v1/indicators/BTC-USD?limit=2&format=csv",
        "/api/v1/dead-letters?format=csv",
        "/api/v1/metrics/latency?format=csv",
        "/api/v1/metrics/throughput?format=csv",
        "/api/v1/metrics/kafka?format=csv",
        "/api/v1/metrics/ledger?format=csv",
        "/api/v1/ticks/BRK.B?format=csv&empty=ok",
    ] {
        let answer = world.get(path);
        let num_fields = |line: &str| line.split(',').count();
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, "text/csv; charset=utf-8"),
            "{path}"
        );
        assert!(answer.text().lines().next().is_some_and(|header| num_fields(header) >= 4), "{path}");
    }
}

#[test]
fn a_client_that_has_the_answer_gets_304() {
    let world = World::filled();
    for path in ["/api/v1/aggregated/BTC-USD", "/api/v1/ticks/BTC-USD", "/api/v1/symbols", "/openapi.json"] {
        let first = world.get(path);
        let etag = first.header("etag").to_owned();
        assert!(etag.starts_with("W/\""), "{path}: {etag}");
        assert_eq!(first.header("cache-control"), "no-cache");
        let again = world.ask(path, &[("if-none-match", &etag)]);
        assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, etag.as_str()), "{path}");
        assert_eq!(world.ask(path, &[("if-none-match", "W/\"other\"")]).status, 200, "{path}");
    }
    let path = "/api/v1/aggregated/BTC-USD";
    let etag = world.get(path).header("etag").to_owned();
    world.state.views.publish(view(world.btc, 10));
    assert_eq!(world.ask(path, &[("if-none-match", &etag)]).status, 200, "another bar, another version");
    let limits: Vec<String> =
        [1, 2, 5].map(|limit| world.get(&format!("{path}?limit={limit}")).header("etag").to_owned()).into();
    assert!(limits[0] != limits[1] && limits[1] != limits[2]);
    let latest = world.get("/api/v1/latest/BTC-USD");
    assert_eq!((latest.header("etag"), latest.header("cache-control")), ("", "no-store"));
}

#[test]
fn long_answers_are_compressed_for_who_takes_it() {
    let world = World::filled();
    let plain = world.ask("/api/v1/aggregated/BTC-USD", &[("accept-encoding", "identity")]);
    let packed = world.ask("/api/v1/aggregated/BTC-USD", &[("accept-encoding", "gzip")]);
    assert_eq!((plain.header("content-encoding"), packed.header("content-encoding")), ("", "gzip"));
    assert!(packed.body.len() < plain.body.len() / 2);
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(packed.body.as_slice()).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
    for answer in [&plain, &packed, &world.get("/api/v1/aggregated/BTC-USD")] {
        assert_eq!(answer.header("vary").split(", Origin").next(), Some("Accept, Accept-Encoding"));
    }
    // Short ones go as they are: most of the packet is their head anyway.
    let short = world.ask("/api/v1/latest/BTC-USD", &[("accept-encoding", "gzip")]);
    assert_eq!((short.status, short.header("content-encoding")), (200, ""));
    let csv = world.ask("/api/v1/aggregated/BTC-USD?format=csv", &[("accept-encoding", "gzip")]);
    assert_eq!(
        (csv.header("content-encoding"), csv.header("content-type")),
        ("gzip", "text/csv; charset=utf-8")
    );
}

#[test]
fn files_of_the_program_are_compressed_and_validated() {
    let world = World::filled();
    let script = "/docs/swagger-ui-bundle.js";
    for (port, path) in [(0, script), (0, "/docs/"), (2, "/")] {
        let ask = |headers: &[(&str, &str)]| world.send("GET", port, path, headers);
        let (plain, packed) = (ask(&[("accept-encoding", "identity")]), ask(&[("accept-encoding", "gzip")]));
        assert_eq!((plain.status, plain.header("content-encoding")), (200, ""), "{path}");
        assert_eq!((packed.status, packed.header("content-encoding")), (200, "gzip"), "{path}");
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(packed.body.as_slice()).read_to_end(&mut unpacked).unwrap();
        assert!(unpacked == plain.body && packed.body.len() < plain.body.len(), "{path}");
        for answer in [&plain, &packed] {
            assert!(
                answer.header("vary").starts_with("Accept-Encoding"),
                "{path}: {}",
                answer.header("vary")
            );
            assert_eq!(answer.header("cache-control"), "no-cache", "{path}");
        }
        let tag = packed.header("etag");
        let again = ask(&[("accept-encoding", "gzip"), ("if-none-match", tag)]);
        assert_eq!((again.status, again.header("etag"), again.body.len()), (304, tag, 0), "{path}");
        assert_eq!(ask(&[("if-none-match", tag)]).status, 200, "{path}: the plain form is another one");
        let head = world.send("HEAD", port, path, &[]);
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        assert_eq!(head.header("content-length"), plain.body.len().to_string(), "{path}");
    }
    let missing = world.get("/docs/nothing.js");
    assert_eq!((missing.status, missing.json()["code"].as_str()), (404, Some("not_found")));
}

#[test]
fn other_methods_and_other_origins() {
    let world = World::filled();
    let post = world.send("POST", 0, "/api/v1/latest/BTC-USD", &[]);
    assert_eq!((post.status, post.json()["code"].as_str()), (405, Some("method_not_allowed")));
    assert_eq!(post.header("allow"), "GET, HEAD, OPTIONS");
    let head = world.send("HEAD", 0, "/api/v1/aggregated/BTC-USD", &[]);
    assert_eq!((head.status, head.body.len()), (200, 0));
    let near = "http://localhost:3000";
    let foreign = world.ask("/api/v1/ticks/BTC-USD?limit=1", &[("origin", near)]);
    assert_eq!(foreign.header("access-control-allow-origin"), near);
    assert!(foreign.header("vary").contains("Origin"), "{}", foreign.header("vary"));
    assert!(foreign.header("access-control-expose-headers").to_lowercase().contains("link"));
    let headers = [("origin", near), ("access-control-request-method", "GET")];
    let preflight = world.send("OPTIONS", 0, "/api/v1/ticks/BTC-USD", &headers);
    assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (200, near));
    let mut allowed: Vec<&str> = preflight.header("access-control-allow-methods").split(", ").collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD"]);
}

#[test]
fn pages_of_elsewhere_and_names_that_are_not_ours_are_turned_away_on_every_port() {
    let world = World::filled();
    let paths = [
        (0, "/api/v1/symbols"),
        (0, "/docs/"),
        (0, "/nowhere"),
        (1, "/metrics"),
        (2, "/"),
        (2, "/api/v1/symbols"),
    ];
    for (port, path) in paths {
        for (header, code) in [
            (("origin", "https://evil.example"), "origin_not_allowed"),
            (("origin", "null"), "origin_not_allowed"),
            (("host", "evil.example"), "host_not_allowed"),
        ] {
            let answer = world.send("GET", port, path, &[header]);
            assert_eq!(
                (answer.status, answer.json()["code"].as_str()),
                (403, Some(code)),
                "{path} {header:?}"
            );
            assert_eq!(answer.header("access-control-allow-origin"), "", "{path} {header:?}");
            assert_eq!(answer.header("content-type"), "application/problem+json");
        }
        let answer =
            world.send("GET", port, path, &[("origin", "http://127.0.0.1:1"), ("host", "localhost")]);
        assert_ne!(answer.status, 403, "{path}");
    }
    let preflight = [("origin", "https://evil.example"), ("access-control-request-method", "GET")];
    assert_eq!(world.send("OPTIONS", 0, "/api/v1/symbols", &preflight).status, 403);
}

#[test]
fn browsers_are_told_to_be_careful() {
    let world = World::filled();
    for (port, path) in [(0, "/api/v1/symbols"), (0, "/docs/"), (0, "/nowhere"), (1, "/metrics"), (2, "/")] {
        let answer = world.send("GET", port, path, &[]);
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        let has_inline = policy.contains("unsafe-inline");
        assert_eq!(has_inline, path == "/docs/", "{path}: {policy}");
        assert!(!policy.contains("unsafe-eval"), "{path}: {policy}");
    }
}

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
fn the_description_lists_every_route_and_each_answers_as_described() {
    let world = World::filled();
    let document = world.get("/openapi.json").json();
    let paths = document["paths"].as_object().unwrap();
    let mut listed: Vec<&str> = paths.keys().map(String::as_str).collect();
    listed.sort_unstable();
    let mut expected = vec!["/", "/health", "/health/live", "/health/ready"];
    expected.extend([
        "/api/v1/symbols",
        "/api/v1/latest",
        "/api/v1/latest/{symbol}",
        "/api/v1/ticks/{symbol}",
    ]);
    expected.extend(["/api/v1/aggregated/{symbol}", "/api/v1/indicators/{symbol}", "/api/v1/dead-letters"]);
    expected.extend(["/api/v1/metrics/latency", "/api/v1/metrics/throughput"]);
    expected.extend(["/api/v1/metrics/kafka", "/api/v1/metrics/ledger"]);
    expected.sort_unstable();
    assert_eq!(listed, expected);
    for (path, item) in paths {
        let asked = path.replace("{symbol}", "BTC-USD");
        let asked = if path == "/api/v1/latest" { format!("{asked}?symbols=*") } else { asked };
        let answer = world.get(&asked);
        assert_eq!(answer.status, 200, "{path}");
        let schema = &item["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        check(&document, schema, &answer.json(), path);
    }
    let indicators = &document["paths"]["/api/v1/indicators/{symbol}"]["get"]["responses"]["200"];
    let series = world.get("/api/v1/indicators/BTC-USD?limit=2").json();
    check(&document, &indicators["content"]["application/json"]["schema"], &series, "series");

    let problem = &document["paths"]["/api/v1/latest/{symbol}"]["get"]["responses"]["404"]["content"];
    let schema = &problem["application/problem+json"]["schema"];
    check(&document, schema, &world.get("/api/v1/latest/NOPE").json(), "problem");

    assert_eq!(world.get("/docs").status, 200, "the client follows to the page");
    assert!(world.get("/docs/").text().contains("swagger"));
    assert!(world.get("/docs/swagger-initializer.js").text().contains("/openapi.json"));
}

/// Checks that a value is as its schema says: type, required fields, no field that the schema does not know.
fn check(document: &serde_json::Value, schema: &serde_json::Value, value: &serde_json::Value, at: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        let schema = &document["components"]["schemas"][name];
        assert!(schema.is_object(), "{at}: `{name}` is not described");
        return check(document, schema, value, at);
    }
    if let Some(forms) = schema["oneOf"].as_array() {
        let wanted = if value.is_array() { "array" } else { "object" };
        let resolve = |form: &serde_json::Value| match form["$ref"].as_str() {
            Some(reference) => {
                document.pointer(reference.trim_start_matches('#')).cloned().unwrap_or_default()
            }
            None => form.clone(),
        };
        let forms: Vec<serde_json::Value> = forms.iter().map(resolve).collect();
        let form = forms.iter().find(|form| form["type"] == wanted);
        return check(document, form.unwrap_or_else(|| panic!("{at}: no form is {wanted}")), value, at);
    }
    let types: Vec<&str> = match &schema["type"] {
        serde_json::Value::Array(types) => types.iter().filter_map(|name| name.as_str()).collect(),
        name => name.as_str().into_iter().collect(),
    };
    let is = match value {
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "boolean",
        serde_json::Value::Number(number) if number.is_f64() => "number",
        serde_json::Value::Number(_) => "integer",
        serde_json::Value::String(_) => "string",
        serde_json::Value::Array(_) => "array",
        serde_json::Value::Object(_) => "object",
    };
    let fits = types.contains(&is) || (is == "integer" && types.contains(&"number"));
    assert!(fits, "{at}: {value} is no {types:?}");
    match value {
        serde_json::Value::Array(rows) => {
            rows.iter().for_each(|row| check(document, &schema["items"], row, at));
        }
        serde_json::Value::Object(fields) => {
            for (name, field) in fields {
                let known = &schema["properties"][name];
                let schema = if known.is_null() { &schema["additionalProperties"] } else { known };
                check(document, schema, field, &format!("{at}.{name}"));
            }
            for name in schema["required"].as_array().into_iter().flatten() {
                assert!(fields.contains_key(name.as_str().unwrap()), "{at}: {name} is missing");
            }
        }
        _ => {}
    }
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

#[test]
fn windows_of_the_view_and_of_the_history_are_the_same_ones() {
    // Guards the world itself: bars that do not follow each other would make the other tests pass for nothing.
    let world = World::start();
    for nth in 0..3 {
        assert_eq!(bar(world.btc, nth).end(), bar(world.btc, nth + 1).start);
    }
    assert_eq!(minute().start_of(START), START);
}
