//! A connection that the venue is about to end is replaced before, with nothing missed and nothing twice.

use super::rig::{Link, Rig, Start};
use super::run;
use super::tiny::Tiny;
use std::time::Duration;
use tickwire::actors::ingest::venue::Needs;
use tickwire::models::entry::Body;
use tickwire::models::time::Nanos;

/// Lets a connection say some trades.
fn trades(link: &Link, now: Nanos, ids: std::ops::RangeInclusive<i64>) {
    ids.for_each(|id| link.say(format!("T A {id} {} 5 5", now.plus(id).0)));
}

/// Starts a feed that missed nothing so far, and its first connection.
async fn begin(needs: Needs) -> (Rig, Link, Nanos) {
    let mut start = Start::new(needs, &["A"]);
    // What the first connection brings is not missing.
    start.down_since = Some(Nanos::MAX);
    let rig = Rig::start(start).await;
    let mut link = rig.accept().await;
    link.subscribe().await;
    let now = rig.now();
    trades(&link, now, 1..=2);
    rig.until_entries(2).await;
    (rig, link, now)
}

#[test]
fn a_connection_that_is_ending_is_read_until_another_one_is_subscribed() {
    run(async {
        let (rig, mut first, now) = begin(Tiny::needs()).await;
        first.say("END");
        let mut second = rig.accept().await;
        trades(&first, now, 3..=3);
        rig.until_entries(3).await;
        assert_eq!(second.hear().await.as_deref(), Some("subscribe A"));
        trades(&first, now, 4..=4);
        rig.until_entries(4).await;
        second.say("OK");
        trades(&second, now, 3..=5);
        assert_eq!(first.hear().await, None, "it was closed");
        trades(&second, now, 6..=6);
        rig.until_entries(8).await;
        assert_eq!((rig.metric("replaced_total"), rig.metric("connections")), (1.0, 1.0));
        assert_eq!((rig.metric("failures_total"), rig.metric("holes_total")), (0.0, 0.0));
        let left = rig.stop().await;
        assert_eq!((left.ledger.in_bars, left.ledger.duplicate, left.ledger.conflicts), (6, 2, 0));
        assert!(left.entries.iter().all(|entry| !matches!(entry.body, Body::Gap(_))));
    });
}

#[test]
fn a_connection_of_a_certain_age_is_replaced_and_one_that_fails_meanwhile_harms_nobody() {
    run(async {
        let age = Duration::from_millis(200);
        let (rig, mut first, now) = begin(Needs { connection_age_max: Some(age), ..Tiny::needs() }).await;
        drop(rig.accept().await);
        let second = rig.accept().await;
        second.say("RETRY full");
        let mut third = rig.accept().await;
        trades(&first, now, 3..=3);
        rig.until_entries(3).await;
        third.subscribe().await;
        trades(&third, now, 4..=4);
        assert_eq!(first.hear().await, None, "it was closed");
        rig.until_entries(4).await;
        assert_eq!((rig.metric("failures_total"), rig.metric("holes_total")), (0.0, 0.0));
        assert_eq!(rig.stop().await.ledger.in_bars, 4);
    });
}
