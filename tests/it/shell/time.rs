//! The clock of a source: told by the venue, or by ours while the venue lives.

use super::rig::{Rig, Start};
use super::run;
use super::tiny::Tiny;
use std::time::Duration;
use tickwire::actors::ingest::venue::{Clock, Ids, Needs};
use tickwire::models::entry::{Body, Gap};
use tickwire::models::time::{MINUTE, Nanos, SECOND};

/// A venue that tells neither the time nor anything else while nothing trades.
fn quiet(delay: Duration) -> Needs {
    Needs { has_heartbeats: false, clock: Clock::Ours { delay }, ids: Ids::Unique, ..Tiny::needs() }
}

/// Answers that there are no past trades.
fn nothing_missed(start: Start) -> Start {
    Start { answer: Box::new(|_| (200, String::new())), ..start }
}

#[test]
fn our_clock_runs_while_a_quiet_venue_answers() {
    run(async {
        let rig = Rig::start(nothing_missed(Start::new(quiet(Duration::ZERO), &["A"]))).await;
        let mut link = rig.accept().await;
        assert_eq!(link.hear().await.as_deref(), Some("subscribe A"));
        let traded = rig.now();
        link.say(format!("T A a1 {} 5 5", traded.0));
        rig.until_entries(1).await;
        rig.until("a clock that runs", || rig.clock() >= traded.plus(SECOND)).await;
        assert!(rig.clock() <= rig.now());
        rig.stop().await;
    });
}

#[test]
fn our_clock_does_not_run_on_for_a_venue_that_is_gone() {
    run(async {
        let mut start = nothing_missed(Start::new(quiet(Duration::ZERO), &["A"]));
        start.config.idle_timeout = Some(Duration::from_secs(3));
        start.config.ping_interval = Duration::from_secs(1);
        let rig = Rig::start(start).await;
        let mut link = rig.accept().await;
        assert_eq!(link.hear().await.as_deref(), Some("subscribe A"));
        let traded = rig.now();
        link.say(format!("T A a1 {} 5 5", traded.0));
        rig.until("a clock that runs", || rig.clock() >= traded.plus(SECOND)).await;
        link.fall_silent();
        rig.until("a connection that is lost", || rig.metric("failures_total") == 1.0).await;
        let behind = rig.now().since(rig.clock());
        assert!(behind >= 5 * SECOND / 2, "the last sign of life is three seconds ago, not {behind} ns");
        rig.stop().await;
    });
}

#[test]
fn a_quiet_market_ends_an_outage_too() {
    run(async {
        let mut start = nothing_missed(Start::new(quiet(Duration::ZERO), &["A", "B"]));
        let down_since = Nanos(1_700_000_000 * SECOND);
        start.down_since = Some(down_since);
        let rig = Rig::start(start).await;
        let begun = rig.now();
        let mut link = rig.accept().await;
        assert_eq!(link.hear().await.as_deref(), Some("subscribe A B"));
        let subscribed = rig.now();
        rig.until("an outage that is over", || rig.metric("holes_total") == 1.0).await;
        rig.until("a clock that runs", || rig.clock() >= subscribed).await;
        rig.until("a gap that is filled", || rig.metric("gaps_open") == 0.0 && rig.requests().len() == 2)
            .await;
        let gaps = rig.stop().await.entries.into_iter().filter_map(|entry| match entry.body {
            Body::Gap(gap) => Some(gap),
            _ => None,
        });
        let gaps: Vec<Gap> = gaps.collect();
        let (first, last) = (gaps[0], gaps[gaps.len() - 1]);
        assert_eq!((first.from, first.filled), (down_since.plus(-2 * SECOND), false), "{gaps:?}");
        assert!(first.to >= begun, "what was traded before the subscription may be missing: {gaps:?}");
        assert_eq!((last.from, last.filled), (first.from, true), "{gaps:?}");
        assert!(last.to >= first.to, "{gaps:?}");
    });
}

#[test]
fn a_venue_that_is_behind_has_a_clock_that_is_behind() {
    run(async {
        let delay = 15 * MINUTE;
        let needs = quiet(Duration::from_nanos(delay.unsigned_abs()));
        let rig = Rig::start(nothing_missed(Start::new(needs, &["A"]))).await;
        let mut link = rig.accept().await;
        assert_eq!(link.hear().await.as_deref(), Some("subscribe A"));
        let traded = rig.now().plus(-delay);
        link.say(format!("T A a1 {} 5 5", traded.0));
        rig.until("a clock that runs", || rig.clock() >= traded.plus(SECOND)).await;
        assert!(rig.clock() <= rig.now().plus(-delay));
        rig.stop().await;
    });
}

#[test]
fn a_clock_that_is_off_shows_in_health_and_as_a_metric() {
    run(async {
        let rig = Rig::start(Start::new(Tiny::needs(), &["A"])).await;
        let mut link = rig.accept().await;
        link.subscribe().await;
        for at in 0..20 {
            link.say(format!("C {}", rig.now().plus(-2 * SECOND).0));
            rig.until("frames", || rig.metric("frames_total") == f64::from(at + 2)).await;
            rig.let_pass(SECOND);
        }
        rig.until("a clock that is off", || rig.health().1.contains(" s ahead of the venue's")).await;
        let offset = rig.metric("clock_offset_seconds");
        assert!(offset >= 2.0, "{offset}");
        rig.stop().await;
    });
}

#[test]
fn what_claims_to_be_of_the_future_is_set_aside() {
    run(async {
        let rig = Rig::start(Start::new(Tiny::needs(), &["A"])).await;
        let mut link = rig.accept().await;
        link.subscribe().await;
        let now = rig.now();
        link.say(format!("C {}", now.0));
        link.say(format!("T A 6 {} 5 5", now.0));
        link.say(format!("T A 7 {} 5 5", now.plus(6 * MINUTE).0));
        link.say(format!("T A 8 {} 5 5", now.plus(1).0));
        rig.until_entries(2).await;
        assert_eq!(rig.num_faults("bad_time"), 1.0);
        let left = rig.stop().await;
        assert_eq!((left.ledger.received, left.ledger.in_bars), (2, 2));
        let newest = left.entries.iter().map(|entry| entry.body.time()).max().unwrap();
        assert!(newest < now.plus(MINUTE), "{newest:?}");
    });
}
