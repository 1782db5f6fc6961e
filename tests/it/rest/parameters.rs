//! Parameters: those that an endpoint takes are those that the document lists, and each is read in every form it promises.

use super::world::World;

/// Every operation below `/api/v1` that can be asked with a query, with its parameters of the query.
fn operations(world: &World) -> Vec<(String, String, Vec<String>)> {
    let document = world.get("/openapi.json").json();
    let mut found = Vec::new();
    for (path, item) in
        document["paths"].as_object().unwrap().iter().filter(|(path, _)| path.starts_with("/api/v1"))
    {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(method, _)| *method == "get") {
            let listed = operation["parameters"].as_array().into_iter().flatten();
            let names = listed
                .filter(|parameter| parameter["in"] == "query")
                .map(|parameter| parameter["name"].clone());
            let mut names: Vec<String> = names.map(|name| name.as_str().unwrap().to_owned()).collect();
            names.sort_unstable();
            found.push((method.to_uppercase(), path.replace("{symbol}", "BTC-USD"), names));
        }
    }
    found
}

#[test]
fn an_unknown_parameter_is_refused_everywhere_and_the_known_ones_are_those_of_the_document() {
    let world = World::filled();
    let operations = operations(&world);
    assert!(operations.len() > 10, "{operations:?}");
    for (method, path, names) in operations {
        let answer = world.send(&method, 0, &format!("{path}?zzz=1"), &[]);
        let problem = answer.json();
        assert_eq!(
            (answer.status, problem["code"].as_str()),
            (422, Some("bad_parameter")),
            "{method} {path}: {problem}"
        );
        assert_eq!(problem["param"], "zzz", "{path}");
        let detail = problem["detail"].as_str().unwrap();
        let (_, all) = detail.split_once("here: ").unwrap();
        let mut taken: Vec<&str> = all.split(", ").map(|name| name.trim_matches('`')).collect();
        taken.sort_unstable();
        let listed: Vec<&str> =
            if names.is_empty() { vec!["none is taken"] } else { names.iter().map(String::as_str).collect() };
        assert_eq!(taken, listed, "{path}");
    }
    let problem = world.get("/api/v1/aggregated/BTC-USD?windw=5min").json();
    assert_eq!(problem["param"], "windw");
    assert!(problem["detail"].as_str().unwrap().ends_with("did you mean `window`?"), "{problem}");
    // Probes and pages are asked with whatever their callers add.
    for path in ["/health?x=1", "/health/live?probe", "/openapi.json?v=2", "/docs/?x"] {
        assert_eq!(world.get(path).status, 200, "{path}");
    }
}

#[test]
fn times_are_read_in_every_form_that_scripts_and_people_write() {
    let world = World::filled();
    // The bars are of 2023-09-05 00:00 to 00:10, the clock shows 01:00:00.5.
    for (time, count) in [
        ("1693872300.5", 5),
        ("1693872300500", 5),
        ("2023-09-05%2000:05:00", 5),
        ("2023-09-05+00:05:00", 5),
        ("2023-09-05%2000:05", 5),
        ("2023-09-05%2000:05:00Z", 5),
        ("2023-09-05T02:05:00%2B02:00", 5),
        ("2023-09-05T02:05:00+02:00", 5),
        ("-55min", 5),
        ("-1d", 10),
        ("-1w", 10),
        ("-1y", 10),
        ("-99999y", 10),
    ] {
        let answer = world.get(&format!("/api/v1/aggregated/BTC-USD?start_time={time}"));
        assert_eq!(answer.status, 200, "{time}: {}", answer.text());
        assert_eq!(answer.json().as_array().unwrap().len(), count, "{time}");
    }
}

#[test]
fn a_name_that_was_cut_is_never_repeated_as_one_that_could_be_right() {
    let world = World::filled();
    let long = "A".repeat(40);
    for path in [
        format!("/api/v1/latest/{long}"),
        format!("/api/v1/ticks/{long}"),
        format!("/api/v1/latest?symbols=BTC-USD,{long}"),
        format!("/api/v1/dead-letters?symbol={long}"),
        format!("/api/v1/anomalies?symbol={long}"),
        format!("/api/v1/metrics/ledger?symbol={long}"),
    ] {
        let answer = world.get(&path);
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert_eq!(answer.status, 422, "{path}: {detail}");
        let shown = detail.split('`').nth(1).unwrap();
        assert!(shown.ends_with('…') && long.starts_with(shown.trim_end_matches('…')), "{path}: {detail}");
    }
}

#[test]
fn a_list_of_symbols_answers_what_it_can_and_lists_what_is_unknown() {
    let world = World::filled();
    for form in ["", "&format=csv"] {
        let answer = world.get(&format!("/api/v1/latest?symbols=BTC-USD,XXXX,%20nope{form}"));
        assert_eq!((answer.status, answer.header("tickwire-unknown")), (200, "XXXX, nope"));
        assert!(answer.text().contains("BTC-USD") && !answer.text().contains("XXXX"), "{}", answer.text());
    }
    let known = world.get("/api/v1/latest?symbols=BTC-USD");
    assert!(!known.headers.contains_key("tickwire-unknown"), "only where there is one");
    let none = world.get("/api/v1/latest?symbols=XXXX,NOPE");
    assert_eq!((none.status, none.json()["code"].as_str()), (404, Some("unknown_symbol")));
    let empty = world.get("/api/v1/latest?symbols=,%20,");
    let detail = empty.json()["detail"].as_str().unwrap().to_owned();
    assert_eq!((empty.status, empty.json()["param"].as_str()), (422, Some("symbols")));
    assert!(detail.contains("`, ,`") && detail.contains("names none"), "{detail}");
    let many: Vec<String> = (0..200).map(|number| format!("NOPE{number}")).collect();
    let answer = world.get(&format!("/api/v1/latest?symbols=BTC-USD,{}", many.join(",")));
    assert_eq!((answer.status, answer.header("tickwire-unknown").split(", ").count()), (200, 100));
    let page = world.ask("/api/v1/latest?symbols=BTC-USD,XXXX", &[("origin", "http://localhost:3000")]);
    let exposed = page.header("access-control-expose-headers").to_lowercase();
    assert!(exposed.contains("tickwire-unknown"), "pages of other origins may read it: {exposed}");
}
