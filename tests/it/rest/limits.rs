//! Requests that ask for too much, or that no client should send: over plain sockets, as they come.

use super::world::World;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Sends bytes and reads until the server has nothing more to say and closes.
fn exchange(world: &World, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(world.address(0)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // A server that has said no may close before it has read everything.
    stream.write_all(request).ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
    String::from_utf8_lossy(&answer).into_owned()
}

fn request(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

/// The last request of a connection.
fn last() -> Vec<u8> {
    request("GET", "/health/live", "connection: close\r\n", b"")
}

#[test]
fn lists_and_queries_that_are_too_long_are_told_so() {
    let world = World::filled();
    let list = |count: usize| format!("/api/v1/latest?symbols={}", vec!["BTC-USD"; count].join(","));
    assert_eq!(world.get(&list(1_000)).status, 200);
    let answer = world.get(&list(1_001));
    assert_eq!((answer.status, answer.json()["param"].as_str()), (422, Some("symbols")));
    assert!(answer.text().contains("more than 1000"), "{}", answer.text());

    for path in ["/api/v1/latest", "/api/v1/ticks/BTC-USD", "/api/v1/symbols", "/api/v1/metrics/ledger"] {
        let answer = world.get(&format!("{path}?symbols=*&x={}", "x".repeat(33_000)));
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (414, Some("query_too_long")),
            "{path}: {}",
            answer.text()
        );
    }
    let answer = world.get(&format!("/{}", "x".repeat(20_000)));
    assert_eq!((answer.status, answer.json()["code"].as_str()), (404, Some("not_found")));
    assert!(answer.body.len() < 1_000, "the answer does not repeat all of the path");
}

#[test]
fn a_body_that_nobody_reads_is_passed_over_and_a_long_one_refused() {
    let world = World::filled();
    let path = "/api/v1/latest/BTC-USD";
    // What looks like a request is a body all the same, and must not be answered.
    let inner = request("GET", "/api/v1/symbols", "", b"");
    let length = format!("content-length: {}\r\n", inner.len());
    let answer = exchange(&world, &[request("GET", path, &length, &inner), last()].concat());
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(!answer.contains("\"symbols\""), "{answer}");

    let long = vec![b'x'; 1_000_000];
    let length = format!("content-length: {}\r\n", long.len());
    for expect in ["", "expect: 100-continue\r\n"] {
        let answer = exchange(&world, &request("GET", path, &format!("{length}{expect}"), &long));
        assert!(answer.contains("HTTP/1.1 413 Payload Too Large\r\n"), "{answer}");
        assert!(
            answer.contains("application/problem+json") && answer.contains("\"body_too_long\""),
            "{answer}"
        );
    }
    let answer = exchange(&world, &request("POST", path, &length, &long));
    assert!(answer.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"), "{answer}");
    assert_eq!(world.get(path).status, 200, "the server serves on");
}

#[test]
fn every_path_refuses_other_methods_with_a_problem_and_what_is_allowed() {
    let world = World::filled();
    let paths =
        ["/", "/health", "/api/v1/latest", "/api/v1/latest/BTC-USD", "/openapi.json", "/docs", "/docs/"];
    for path in paths {
        for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"] {
            let answer = exchange(&world, &request(method, path, "connection: close\r\n", b""));
            let at = format!("{method} {path}: {answer}");
            assert!(answer.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"), "{at}");
            assert!(answer.contains("\r\nallow: GET, HEAD, OPTIONS\r\n"), "{at}");
            assert!(answer.contains("\"code\":\"method_not_allowed\""), "{at}");
        }
    }
}
