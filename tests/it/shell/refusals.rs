//! What a venue refuses is answered rightly: left, waited for, or tried again.

use super::rig::{Rig, Start};
use super::run;
use super::tiny::Tiny;
use std::time::Duration;
use tickwire::actors::health::Health;
use tickwire::actors::ingest::shell::Phase;
use tickwire::actors::ingest::venue::{Needs, Step, Then};
use tickwire::models::time::SECOND;

#[test]
fn a_connection_that_is_refused_for_good_is_left_and_the_others_go_on() {
    run(async {
        let rig = Rig::start(Start { num_streams: 2, ..Start::new(Tiny::needs(), &["0A", "1B"]) }).await;
        let mut refused = rig.accept_at(0).await;
        assert_eq!(refused.hear().await.as_deref(), Some("subscribe 0A"));
        refused.say("STOP bad-key");
        assert_eq!(refused.hear().await, None);
        let mut other = rig.accept_at(1).await;
        other.subscribe().await;
        let now = rig.now();
        other.say(format!("C {}", now.0));
        other.say(format!("T 1B 7 {} 5 5", now.0));
        rig.until_entries(1).await;
        let told = "tiny: 1 symbols; left out: `0A` (bad-key)".to_owned();
        rig.until("a reason", || rig.health() == (Health::Degraded, told.clone())).await;
        let later = now.plus(SECOND / 2);
        other.say(format!("C {}", later.0));
        rig.until("a clock that runs", || rig.clock() >= later).await;
        assert!(rig.is_left_alone().await);
        assert_eq!((rig.metric("refusals_total"), rig.metric("connections")), (1.0, 1.0));
        let standing = &rig.standing;
        assert_eq!(
            (standing.phase(), standing.num_breaks()),
            (Phase::Up, 0),
            "the venue serves the other one"
        );
        assert_eq!(standing.refused(), None);
        other.say("STOP bad-key-too");
        assert_eq!(other.hear().await, None);
        let told = "tiny: 2 of 2 connections down: refused: bad-key".to_owned();
        rig.until("a venue that refuses all", || rig.health() == (Health::Degraded, told.clone())).await;
        assert_eq!((standing.phase(), standing.num_breaks()), (Phase::Down, 1));
        assert_eq!(standing.refused(), Some(Then::Stop));
        let left = rig.stop().await;
        assert_eq!(left.ledger.in_bars, 1);
        assert!(left.stop < Duration::from_secs(1), "{:?}", left.stop);
    });
}

#[test]
fn a_venue_that_wants_a_pause_gets_it_and_one_that_may_help_again_is_tried_at_once() {
    run(async {
        let rig = Rig::start(Start::new(Tiny::needs(), &["A"])).await;
        let mut link = rig.accept().await;
        link.subscribe().await;
        link.say(format!("C {}", rig.now().0));
        link.say("RETRY later");
        let mut link = rig.accept().await;
        link.subscribe().await;
        link.say("WAIT 3600 too-many");
        let told = "tiny: 1 of 1 connections down: the venue refuses: too-many".to_owned();
        rig.until("a reason", || rig.health() == (Health::Degraded, told.clone())).await;
        assert!(rig.is_left_alone().await);
        assert_eq!((rig.metric("refusals_total"), rig.metric("connects_total")), (2.0, 2.0));
        assert!(rig.stop().await.stop < Duration::from_secs(1));
    });
}

#[test]
fn a_handshake_goes_step_by_step_and_one_without_end_is_given_up() {
    run(async {
        let needs = Needs { first: Step::Wait, ..Tiny::needs() };
        let mut start = Start::new(needs, &["A", "B"]);
        start.config.connect_timeout = Duration::from_millis(300);
        let rig = Rig::start(start).await;
        let mut link = rig.accept().await;
        link.say("ALIVE");
        assert_eq!(link.hear().await, None, "nothing more was said");
        let mut link = rig.accept().await;
        link.say("AUTH");
        assert_eq!(link.hear().await.as_deref(), Some("auth secret"));
        link.say("SUB");
        assert_eq!(link.hear().await.as_deref(), Some("subscribe A B"));
        link.say("OK");
        rig.until("a feed that is well", || rig.health() == (Health::Healthy, "tiny: 2 symbols".to_owned()))
            .await;
        rig.stop().await;
    });
}
