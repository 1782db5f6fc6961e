//! Alerts over REST: incidents, acknowledgements, silences.

use super::world::{NOW, World, anomaly, incident_of};
use futures_util::FutureExt;
use serde_json::json;
use tickwire::models::alerts::incident::IncidentState;
use tickwire::models::alerts::policy::Changes;
use tickwire::models::time::MINUTE;
use tickwire::stores::history::alerts::{AlertStore, InboxItem};

/// Stores three incidents, each in another state.
fn with_incidents() -> World {
    let world = World::start();
    let states = [IncidentState::Open, IncidentState::Acknowledged, IncidentState::Resolved];
    let incidents = (1..).zip(states).map(|(id, state)| {
        let mut incident = incident_of(&anomaly(id, id as i64));
        incident.state = state;
        incident
    });
    let changes = Changes { incidents: incidents.collect(), ..Changes::default() };
    let decided = world.history.signals.decide("", &[], &changes).now_or_never();
    decided.expect("memory answers at once").expect("it decides");
    world
}

#[test]
fn incidents_are_found_by_state_and_symbol_page_by_page() {
    let world = with_incidents();
    let ids = |path: &str| -> Vec<String> {
        let answer = world.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let rows = answer.json();
        rows.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    };
    let all = ids("/api/v1/alerts/incidents");
    assert_eq!(all.len(), 3);
    assert_eq!(ids("/api/v1/alerts/incidents?state=open").len(), 1);
    assert_eq!(ids("/api/v1/alerts/incidents?state=no_data&empty=ok"), [""; 0]);
    assert_eq!(world.get("/api/v1/alerts/incidents?state=no_data").status, 404);
    let first = world.get("/api/v1/alerts/incidents?limit=2");
    let link = first.headers.get("link").unwrap().to_str().unwrap().to_owned();
    let next = link.split(['<', '>']).nth(1).unwrap();
    let path = &next[next.find("/api").unwrap()..];
    assert_eq!(ids(path), all[2..]);
    for (query, param) in [("state=gone", "state"), ("severity=huge", "severity"), ("colour=red", "colour")] {
        let answer = world.get(&format!("/api/v1/alerts/incidents?{query}"));
        assert_eq!((answer.status, answer.json()["param"].as_str()), (422, Some(param)), "{query}");
    }
    let csv = world.ask("/api/v1/alerts/incidents", &[("Accept", "text/csv")]);
    assert!(csv.text().starts_with("id,time,symbol,"), "{}", csv.text());
}

#[test]
fn an_acknowledgement_waits_in_the_inbox_and_says_what_it_cannot_do() {
    let world = with_incidents();
    let id = |nth: u64| anomaly(nth, 0).id;
    let body = json!({"ids": [id(1), id(3), "nothing"], "by": "ann"}).to_string();
    let answer = world.post("/api/v1/alerts/incidents/acknowledge", &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let expected = json!({"acknowledged": [id(1)], "closed": [id(3)], "unknown": ["nothing"]});
    assert_eq!(answer.json(), expected);
    let inbox = world.history.signals.inbox(10).now_or_never().expect("memory answers").expect("it reads");
    let [InboxItem::Acknowledgement(one)] = &inbox.items[..] else { panic!("{inbox:?}") };
    assert_eq!((one.id.as_str(), one.by.as_str(), one.time), (id(1).as_str(), "ann", NOW));
    let plain = world.send("POST", 0, "/api/v1/alerts/incidents/acknowledge", &[]);
    assert_eq!(plain.status, 415);
    assert_eq!(world.get("/api/v1/alerts/incidents/acknowledge").status, 405);
    let page = world.send("DELETE", 0, "/api/v1/alerts/silences/x", &[("Origin", "https://evil.example")]);
    assert_eq!(page.status, 403);
}

#[test]
fn a_silence_is_made_listed_and_ended() {
    let world = World::start();
    assert_eq!(world.get("/api/v1/alerts/silences").json(), json!([]));
    let end = NOW.plus(30 * MINUTE).to_rfc3339();
    let body = json!({"symbols": ["BTC-*"], "end": end, "comment": "earnings", "by": "ann"}).to_string();
    let made = world.post("/api/v1/alerts/silences", &body);
    assert_eq!(made.status, 200, "{}", made.text());
    let made = made.json();
    assert_eq!((&made["symbols"], &made["comment"]), (&json!(["BTC-*"]), &json!("earnings")));
    assert_eq!(world.get("/api/v1/alerts/silences").json(), json!([made]));
    let path = format!("/api/v1/alerts/silences/{}", made["id"].as_str().unwrap());
    let ended = world.send("DELETE", 0, &path, &[]);
    assert_eq!(ended.status, 200, "{}", ended.text());
    assert_eq!(world.get("/api/v1/alerts/silences").json(), json!([]));
    assert_eq!(world.send("DELETE", 0, &path, &[]).status, 404);
    let bad = world.post("/api/v1/alerts/silences", r#"{"symbols": ["A"]}"#);
    assert_eq!((bad.status, bad.json()["param"].as_str()), (422, Some("end")));
}
