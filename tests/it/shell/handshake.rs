//! What a venue answers over HTTP in place of a stream is answered rightly: left, waited for, or tried again.

use super::rig::{Rig, Start};
use super::run;
use super::tiny::Tiny;
use std::time::Duration;
use tickwire::actors::health::Health;
use tickwire::actors::ingest::shell::Phase;
use tickwire::actors::ingest::venue::Then;
use tickwire::secret::Secret;

/// Starts a feed whose first connection is answered so.
async fn turned_away(answer: &str) -> Rig {
    let mut start = Start::new(Tiny::needs(), &["A"]);
    start.config.key = Some(Secret::new("hunter2-hunter2".to_owned()));
    let rig = Rig::start(start).await;
    rig.turn_away(answer).await;
    rig
}

async fn until_down(rig: &Rig, said: &str) {
    rig.until("a connection that is down", || {
        let (status, detail) = rig.health();
        (status, detail.contains(said)) == (Health::Degraded, true)
    })
    .await;
    assert!(!rig.health().1.contains("hunter2"), "{:?}", rig.health());
}

#[test]
fn a_key_that_is_refused_is_not_tried_again() {
    for status in ["401 Unauthorized", "403 Forbidden"] {
        run(async {
            let rig = turned_away(&format!("HTTP/1.1 {status}\r\n\r\nhunter2-hunter2 is no key")).await;
            until_down(&rig, &format!("down: refused: answer is {}", &status[..3])).await;
            assert_eq!((rig.standing.phase(), rig.standing.refused()), (Phase::Down, Some(Then::Stop)));
            assert_eq!((rig.metric("refusals_total"), rig.metric("connects_total")), (1.0, 0.0));
            assert!(rig.is_left_alone().await);
            assert!(rig.stop().await.stop < Duration::from_secs(1));
        });
    }
}

#[test]
fn a_pause_that_is_asked_for_is_kept() {
    run(async {
        let rig = turned_away("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 259200\r\n\r\n").await;
        until_down(&rig, "the venue refuses: answer is 429").await;
        let day = Duration::from_hours(24);
        assert_eq!(rig.standing.refused(), Some(Then::Wait(day)), "a day is believed, and no more");
        assert!(rig.is_left_alone().await);
        rig.stop().await;
    });
}

#[test]
fn a_venue_that_is_away_for_a_moment_is_tried_again() {
    run(async {
        let rig = turned_away("HTTP/1.1 503 Service Unavailable\r\n\r\n").await;
        rig.turn_away("HTTP/1.1 404 Not Found\r\n\r\n").await;
        let mut link = rig.accept().await;
        link.subscribe().await;
        rig.until("a feed that is well", || rig.health() == (Health::Healthy, "tiny: 1 symbols".to_owned()))
            .await;
        assert_eq!((rig.metric("refusals_total"), rig.metric("failures_total")), (0.0, 2.0));
        rig.stop().await;
    });
}
