//! What every history promises of alerts: the inbox, decisions, the outbox.

use super::signals::{alert_at, anomaly_at};
use super::*;
use std::collections::BTreeMap;
use tickwire::models::alert::{Alert, AlertStatus};
use tickwire::models::alerts::incident::{Incident, IncidentState, Waiting};
use tickwire::models::alerts::outgoing::{Outgoing, OutgoingBody, OutgoingState};
use tickwire::models::alerts::policy::Changes;
use tickwire::models::alerts::silence::Silence;
use tickwire::models::anomaly::{Anomaly, Severity};
use tickwire::models::notification::{Notification, NotificationKind};
use tickwire::stores::history::alerts::{Acknowledgement, AlertStore, InboxItem, IncidentQuery};
use tickwire::stores::history::signals::{AlertQuery, SignalBatch, SignalPage};

fn store(history: &dyn History) -> &dyn AlertStore {
    history.alert_store().expect("it keeps alerts")
}

async fn write(history: &dyn History, anomalies: Vec<Anomaly>) {
    let batch = SignalBatch { anomalies, ..SignalBatch::default() };
    history.write_signals(&batch).await.expect("writes");
}

fn at(seconds: i64) -> Nanos {
    Nanos(BEGIN + seconds * SECOND)
}

fn incident(id: &str, seconds: i64, state: IncidentState) -> Incident {
    Incident {
        id: id.to_owned(),
        symbol: "AAPL".to_owned(),
        anomaly_type: "price_spike".to_owned(),
        severity: Severity::High,
        time: at(seconds),
        description: "far \"off\"".to_owned(),
        current_value: Some(1.0 / 3.0),
        state,
        changed: at(seconds),
        told: ["slack".to_owned()].into(),
        num_decisions: 2,
        log_pos: u64::MAX / 2,
        ..Incident::default()
    }
}

fn message(id: &str, channel: &str, due: i64) -> Outgoing {
    let alerts = vec![alert_at(7, 0, 0, AlertStatus::Retrying)];
    let notification =
        Notification { id: id.to_owned(), title: "it is high".to_owned(), ..Notification::default() };
    Outgoing {
        id: id.to_owned(),
        channel: channel.to_owned(),
        decided: at(due),
        due: at(due),
        body: OutgoingBody { notification, alerts, fallback: vec!["email".to_owned()] },
        ..Outgoing::default()
    }
}

async fn decide(store: &dyn AlertStore, numbers: &[u64], changes: Changes) -> bool {
    assert!(store.lead("one", at(0), at(60)).await.expect("asks"));
    store.decide("one", numbers, &changes).await.expect("decides")
}

#[test]
fn an_anomaly_that_changes_something_is_in_the_inbox_until_it_is_decided_on() {
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        for history in &names.histories(dir.path()).await.all {
            let history = &**history;
            let store = store(history);
            write(history, vec![anomaly_at(1, 0, 5)]).await;
            assert_eq!(store.inbox(10).await.expect("reads").items, [], "nobody asked for it: a replay");
            store.begin_inbox();
            write(history, vec![anomaly_at(1, 0, 5), anomaly_at(1, 0, 4)]).await;
            assert_eq!(store.inbox(10).await.expect("reads").items, [], "a repeat changes nothing");
            write(history, vec![anomaly_at(2, 0, 7), anomaly_at(3, 0, 8)]).await;
            write(history, vec![anomaly_at(2, 0, 9)]).await;
            let by = Acknowledgement { id: "2-0".to_owned(), by: "ann".to_owned(), time: at(1) };
            store.acknowledge(std::slice::from_ref(&by)).await.expect("writes");
            let inbox = store.inbox(10).await.expect("reads");
            assert_eq!(inbox.numbers.len(), 4);
            let mut items = inbox.items.clone();
            assert_eq!(items.pop(), Some(InboxItem::Acknowledgement(by)));
            let mut found: Vec<&Anomaly> = Vec::new();
            for item in &items {
                let InboxItem::Anomaly(anomaly) = item else { panic!("{item:?}") };
                found.push(anomaly);
            }
            found.sort_by_key(|anomaly| anomaly.id.clone());
            assert_eq!(found, [&anomaly_at(2, 0, 9), &anomaly_at(3, 0, 8)], "each once, as it is now");
            let first = &store.inbox(1).await.expect("reads").numbers;
            assert_eq!(first.as_slice(), &inbox.numbers[..1]);
            assert!(decide(store, &inbox.numbers[..3], Changes::default()).await);
            assert_eq!(store.inbox(10).await.expect("reads").numbers, inbox.numbers[3..]);
        }
    });
}

#[test]
fn a_decision_is_there_whole_and_is_read_back_as_it_was() {
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        for history in &names.histories(dir.path()).await.all {
            let history = &**history;
            let store = store(history);
            let open = Incident { sent: Some(at(2)), ..incident("a/b", 1, IncidentState::Open) };
            let mut waits = incident("w", 2, IncidentState::Resolved);
            let waiting = Waiting { kind: NotificationKind::Resolved, since: at(3) };
            waits.waiting = BTreeMap::from([("slack".to_owned(), waiting)]);
            let closed = incident("c", 3, IncidentState::Withdrawn);
            let recent = Incident { sent: Some(at(9)), ..incident("r", 4, IncidentState::Expired) };
            let changes = Changes {
                incidents: vec![open.clone(), waits.clone(), closed.clone(), recent.clone()],
                alerts: vec![alert_at(7, 0, 0, AlertStatus::Retrying), alert_at(8, 0, 0, AlertStatus::Held)],
                outgoing: vec![message("m1", "slack", 0)],
            };
            assert!(decide(store, &[], changes.clone()).await);
            assert!(decide(store, &[], changes).await, "a repeat changes nothing");
            let kept = store.kept_incidents(at(5)).await.expect("reads");
            assert_eq!(kept, [open.clone(), waits.clone(), recent.clone()]);
            let ids = ["c".to_owned(), "none".to_owned()];
            assert_eq!(store.incidents_by_id(&ids).await.expect("reads"), std::slice::from_ref(&closed));
            let mut query = IncidentQuery {
                symbol: Some("AAPL".to_owned()),
                anomaly_type: None,
                severity: None,
                state: None,
                page: SignalPage::newest(2),
            };
            let found = store.incidents(&query).await.expect("reads");
            let last = found.last().expect("a page");
            query.page.before = Some((last.row.time, last.number));
            let next = store.incidents(&query).await.expect("reads");
            let ids: Vec<&str> = found.iter().chain(&next).map(|found| found.row.id.as_str()).collect();
            assert_eq!(ids, ["r", "c", "w", "a/b"]);
            query.page = SignalPage::newest(10);
            query.state = Some(IncidentState::Withdrawn);
            assert_eq!(store.incidents(&query).await.expect("reads")[0].row, closed);
            // One that changes stays one.
            let ended = Incident { state: IncidentState::Resolved, ..open };
            assert!(decide(store, &[], Changes { incidents: vec![ended], ..Changes::default() }).await);
            assert_eq!(store.kept_incidents(at(5)).await.expect("reads"), [waits, recent]);
            let of_anomaly = AlertQuery {
                symbol: None,
                anomaly_type: None,
                severity: None,
                channel: None,
                status: None,
                anomaly_id: Some("7-0".to_owned()),
                page: SignalPage::newest(10),
            };
            let found = history.alerts(&of_anomaly).await.expect("reads");
            assert_eq!(
                found.into_iter().map(|found| found.row).collect::<Vec<Alert>>(),
                [alert_at(7, 0, 0, AlertStatus::Retrying)]
            );
        }
    });
}

#[test]
fn a_message_is_given_to_one_at_a_time_until_it_is_settled() {
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        for history in &names.histories(dir.path()).await.all {
            let history = &**history;
            let store = store(history);
            let changes = Changes {
                outgoing: vec![
                    message("m1", "slack", 0),
                    message("m2", "slack", 10),
                    message("m3", "email", 0),
                ],
                ..Changes::default()
            };
            assert!(decide(store, &[], changes).await);
            assert_eq!(store.waiting().await.expect("counts"), (3, Some(at(0))));
            let take = async |now, limit| {
                let taken = store.take_outgoing("slack", "one", at(now), at(now + 60), limit).await;
                taken.expect("takes")
            };
            let taken = take(0, 10).await;
            assert_eq!(taken.iter().map(|message| message.id.as_str()).collect::<Vec<_>>(), ["m1"]);
            assert_eq!(taken[0].body, message("m1", "slack", 0).body);
            assert_eq!(take(1, 10).await, [], "it is being tried");
            assert_eq!(take(20, 1).await[0].id, "m2");
            // Whoever had it is gone.
            let again = take(61, 10).await;
            assert_eq!(again.iter().map(|message| message.id.as_str()).collect::<Vec<_>>(), ["m1"]);
            let mut sent = again[0].clone();
            (sent.state, sent.attempts, sent.lease_until) = (OutgoingState::Sent, 1, Nanos(0));
            let alert = alert_at(7, 0, 1, AlertStatus::Sent);
            store.settle(&[sent], std::slice::from_ref(&alert)).await.expect("settles");
            let mut later = message("m2", "slack", 10);
            (later.attempts, later.due) = (1, at(500));
            store.settle(&[later], &[]).await.expect("settles");
            assert_eq!(take(400, 10).await, []);
            assert_eq!(take(500, 10).await[0].attempts, 1);
            assert_eq!(store.waiting().await.expect("counts"), (2, Some(at(0))));
            assert_eq!(store.prune(at(400)).await.expect("drops"), 1, "what waits stays");
        }
    });
}

#[test]
fn silences_are_known_until_they_end() {
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        for history in &names.histories(dir.path()).await.all {
            let history = &**history;
            let store = store(history);
            let silence = |id: &str, end: i64| Silence {
                id: id.to_owned(),
                start: at(0),
                end: at(end),
                symbols: vec!["AAPL".to_owned()],
                max_severity: Severity::Critical,
                comment: "it is known".to_owned(),
                ..Silence::default()
            };
            for one in [silence("b", 100), silence("a", 50), silence("a", 60)] {
                store.put_silence(&one).await.expect("writes");
            }
            let known = async |now| store.silences(at(now)).await.expect("reads");
            assert_eq!(known(0).await, [silence("a", 60), silence("b", 100)]);
            assert_eq!(known(60).await, [silence("b", 100)]);
            assert_eq!(store.prune(at(70)).await.expect("drops"), 1);
        }
    });
}

#[test]
fn only_who_has_the_right_decides() {
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        let histories = names.histories(dir.path()).await;
        let mut num_shared = 0;
        for history in &histories.all {
            let history = &**history;
            let store = store(history);
            assert!(store.lead("one", at(0), at(30)).await.expect("asks"));
            // Only a history that several processes use has somebody to refuse.
            if store.lead("two", at(1), at(31)).await.expect("asks") {
                continue;
            }
            num_shared += 1;
            assert!(store.lead("one", at(10), at(40)).await.expect("asks"), "it keeps it");
            assert!(!store.lead("two", at(39), at(69)).await.expect("asks"));
            assert!(store.lead("two", at(40), at(70)).await.expect("asks"), "the other is gone");
            let changes = Changes { outgoing: vec![message("m1", "slack", 0)], ..Changes::default() };
            assert!(!store.decide("one", &[], &changes).await.expect("asks"), "it wakes up too late");
            assert_eq!(store.waiting().await.expect("counts"), (0, None));
            assert!(store.decide("two", &[], &changes).await.expect("decides"));
        }
        assert!(num_shared < histories.all.len(), "{num_shared}");
    });
}
