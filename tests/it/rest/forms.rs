//! The forms in which answers leave: CSV, 304 for clients that have the answer, compressed bodies, embedded files.

use super::world::{World, snapshot_of};
use crate::support::fixtures::read;
use std::io::Read;

#[test]
fn lists_answer_csv_too() {
    let world = World::filled();
    let by_accept = world.ask("/api/v1/aggregated/BTC-USD?limit=2", &[("accept", "text/csv")]);
    let by_format = world.get("/api/v1/aggregated/BTC-USD?limit=2&format=csv");
    assert_eq!(by_accept.text(), by_format.text());
    for both in ["application/json, text/csv", "text/csv, application/json", "*/*"] {
        let answer = world.ask("/api/v1/aggregated/BTC-USD?limit=2", &[("accept", both)]);
        assert_eq!(answer.header("content-type"), "application/json", "who takes both gets JSON: {both}");
    }
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
        "/api/v1/anomalies?format=csv",
        "/api/v1/alerts?format=csv",
        "/api/v1/predictions/BTC-USD?format=csv",
        "/api/v1/predictions/BTC-USD?limit=2&format=csv",
        "/api/v1/anomalies?severity=low&format=csv&empty=ok",
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
    world.state.snapshots.publish(snapshot_of(world.btc, 10));
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
