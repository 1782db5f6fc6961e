//! Which requests are admitted: methods, origins, names of the server; and what browsers are told.

use super::world::World;

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
    assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (204, near));
}

#[test]
fn what_a_path_allows_is_what_it_serves_and_is_said_to_browsers_and_people() {
    let world = World::filled();
    let paths = [
        (0, "/api/v1/ticks/BTC-USD", "GET, HEAD, OPTIONS"),
        (0, "/api/v1/symbols", "GET, HEAD, POST, DELETE, OPTIONS"),
        (0, "/api/v1/symbols/BTC-USD", "DELETE, OPTIONS"),
        (0, "/api/v1/detection", "GET, HEAD, PATCH, DELETE, OPTIONS"),
        (0, "/api/v1/rules", "GET, HEAD, POST, OPTIONS"),
        (0, "/api/v1/rules/up", "DELETE, OPTIONS"),
        (0, "/", "GET, HEAD, OPTIONS"),
        (1, "/metrics", "GET, HEAD, OPTIONS"),
        (2, "/", "GET, HEAD, OPTIONS"),
        (2, "/api/v1/symbols", "GET, HEAD, POST, DELETE, OPTIONS"),
    ];
    let origin = ("origin", "http://localhost:3000");
    let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get", "???"];
    for (port, path, allowed) in paths {
        let plain = world.send("OPTIONS", port, path, &[]);
        assert_eq!((plain.status, plain.header("allow"), plain.body.len()), (204, allowed, 0), "{path}");
        for method in methods {
            let at = format!("{method} {path}");
            let asked = [
                origin,
                ("access-control-request-method", method),
                ("access-control-request-headers", "x-a, content-type"),
            ];
            let preflight = world.send("OPTIONS", port, path, &asked);
            assert_eq!(
                (preflight.header("allow"), preflight.header("access-control-allow-origin")),
                (allowed, origin.1),
                "{at}"
            );
            if allowed.split(", ").any(|allowed| allowed == method) {
                assert_eq!(
                    (preflight.status, preflight.header("access-control-allow-methods")),
                    (204, allowed),
                    "{at}"
                );
                assert_eq!(preflight.header("access-control-allow-headers"), "x-a, content-type", "{at}");
                assert_eq!(preflight.header("access-control-max-age"), "3600", "{at}");
            } else {
                assert_eq!(
                    (preflight.status, preflight.json()["code"].as_str()),
                    (405, Some("method_not_allowed")),
                    "{at}"
                );
                assert_eq!(preflight.header("content-type"), "application/problem+json", "{at}");
                assert_eq!(preflight.header("access-control-allow-methods"), "", "{at}");
            }
        }
    }
    let asked = [origin, ("access-control-request-method", "GET"), ("access-control-request-headers", "a b")];
    let wrong = world.send("OPTIONS", 0, "/api/v1/symbols", &asked);
    assert_eq!((wrong.status, wrong.json()["param"].as_str()), (422, Some("access-control-request-headers")));
    let unknown = world.send("OPTIONS", 0, "/nowhere", &[origin, ("access-control-request-method", "GET")]);
    assert_eq!((unknown.status, unknown.json()["code"].as_str()), (404, Some("not_found")));
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
