//! What was missed is fetched by time where ids do not tell what it is.

use super::rig::{Rig, Start};
use super::run;
use super::tiny::Tiny;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tickwire::actors::health::Health;
use tickwire::actors::ingest::venue::{Ids, Needs};
use tickwire::models::entry::Body;
use tickwire::models::time::{Nanos, SECOND};

fn unique() -> Needs {
    Needs { ids: Ids::Unique, ..Tiny::needs() }
}

/// Makes frames of trades: id and nanoseconds after a moment.
fn trade(symbol: &str, id: &str, ts: Nanos, after: i64) -> String {
    format!("T {symbol} {id} {} 5 5", ts.plus(after).0)
}

#[test]
fn an_outage_is_filled_page_by_page_and_repeats_count_once() {
    run(async {
        let now = Nanos(std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos().try_into().unwrap());
        let line = move |id: &str, after: i64| format!("{id} {} 5 5\n", now.plus(after).0);
        let answer = move |path: &str| {
            let body = match path {
                "/A" => {
                    format!("{}{}{}next c=2\n", line("old", -60_000_000_000), line("a1", 0), line("a2", 1))
                }
                "/A?c=2" => line("a3", 3),
                "/B" => line("b2", 2),
                _ => return (404, String::new()),
            };
            (200, body)
        };
        let rig = Rig::start(Start {
            down_since: Some(now),
            answer: Box::new(answer),
            ..Start::new(unique(), &["A", "B"])
        });
        let rig = rig.await;
        let mut link = rig.accept().await;
        link.subscribe().await;
        link.say(trade("A", "a1", now, 0));
        link.say(trade("B", "b1", now, 0));
        rig.until_entries(2).await;
        drop(link);
        let mut link = rig.accept().await;
        link.subscribe().await;
        link.say(trade("A", "a3", now, 3));
        rig.until_entries(3).await;
        rig.until("gaps that are filled", || {
            let is_through = rig.metric("gaps_open") == 0.0 && rig.metric("backfill_jobs") == 0.0;
            is_through && rig.requests().iter().filter(|path| *path == "/B").count() >= 2
        })
        .await;
        assert!(rig.requests().contains(&"/A?c=2".to_owned()), "{:?}", rig.requests());
        let left = rig.stop().await;
        assert_eq!((left.ledger.in_bars, left.ledger.late, left.ledger.conflicts), (5, 0, 0));
        assert_eq!(left.ledger.received, left.ledger.in_bars + left.ledger.duplicate);
        let filled = |body: &Body| matches!(body, Body::Gap(gap) if gap.filled);
        assert!(left.entries.iter().any(|entry| filled(&entry.body)));
    });
}

#[test]
fn a_gap_reaches_to_the_moment_at_which_every_symbol_is_subscribed() {
    run(async {
        let now = Nanos(std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos().try_into().unwrap());
        let rig = Rig::start(Start {
            down_since: Some(now.plus(-10 * SECOND)),
            answer: Box::new(|_| (200, String::new())),
            ..Start::new(unique(), &["A", "B"])
        });
        let rig = rig.await;
        let mut link = rig.accept().await;
        assert_eq!(link.hear().await.as_deref(), Some("subscribe A B"));
        link.say("OK A");
        link.say(trade("A", "a1", now, 1));
        link.say(trade("A", "a2", now, 5));
        rig.until_entries(2).await;
        assert_eq!(rig.requests(), [""; 0], "B may miss more");
        link.say("OK B");
        rig.until("a gap that is filled", || rig.metric("gaps_open") == 0.0).await;
        assert_eq!(rig.requests(), ["/A", "/B"]);
        let gaps = rig.stop().await.entries.into_iter().filter_map(|entry| match entry.body {
            Body::Gap(gap) => Some((gap.from.since(now), gap.to.since(now), gap.filled)),
            _ => None,
        });
        let mut gaps: Vec<_> = gaps.collect();
        // They are told again behind each symbol's first report.
        gaps.dedup();
        let begun = -12 * SECOND;
        assert_eq!(gaps, [(begun, 1, false), (1, 5, false), (begun, 5, true)]);
    });
}

#[test]
fn a_plan_without_past_trades_is_asked_once() {
    run(async {
        let answer = |_: &str| (403, "your plan has no trades".to_owned());
        let rig = Rig::start(Start {
            down_since: Some(Nanos(1_700_000_000_000_000_000)),
            answer: Box::new(answer),
            ..Start::new(unique(), &["A", "B", "C"])
        });
        let rig = rig.await;
        for outage in 1..=2 {
            let mut link = rig.accept().await;
            link.subscribe().await;
            link.say(format!("C {}", rig.now().0));
            let given_up = f64::from(3 * outage);
            rig.until("holes that are given up", || rig.metric("holes_given_up_total") == given_up).await;
        }
        assert_eq!(rig.requests(), ["/A"]);
        rig.until("a reason", || rig.health().1.contains("cannot be fetched: answer is 403: your plan"))
            .await;
        assert_eq!((rig.metric("gaps_open"), rig.metric("backfill_jobs")), (0.0, 0.0));
        let left = rig.stop().await;
        assert!(left.entries.iter().all(|entry| !matches!(entry.body, Body::Gap(gap) if gap.filled)));
    });
}

#[test]
fn what_the_rate_leaves_no_time_for_is_given_up() {
    run(async {
        let mut start = Start {
            down_since: Some(Nanos(1_700_000_000_000_000_000)),
            answer: Box::new(|_| (200, String::new())),
            environment: vec![("TICKWIRE__CORE__GAP_HOLD", "1s")],
            ..Start::new(unique(), &["A", "B", "C", "D"])
        };
        start.config.requests_per_minute = std::num::NonZeroU32::new(20);
        let rig = Rig::start(start).await;
        let mut link = rig.accept().await;
        link.subscribe().await;
        link.say(format!("C {}", rig.now().0));
        rig.until("holes that are given up", || rig.metric("holes_given_up_total") == 2.0).await;
        assert_eq!(rig.requests(), ["/A", "/B"], "one each three seconds");
        rig.until("nothing that is left", || rig.metric("backfill_jobs") == 0.0).await;
        rig.stop().await;
    });
}

#[test]
fn health_tells_how_many_holes_are_left() {
    run(async {
        let is_back = Arc::new(AtomicBool::new(false));
        let may_answer = Arc::clone(&is_back);
        let answer = move |_: &str| {
            let status = if may_answer.load(Ordering::SeqCst) { 200 } else { 503 };
            (status, String::new())
        };
        let rig = Rig::start(Start {
            down_since: Some(Nanos(1_700_000_000_000_000_000)),
            answer: Box::new(answer),
            ..Start::new(unique(), &["A", "B"])
        });
        let rig = rig.await;
        let mut link = rig.accept().await;
        link.subscribe().await;
        link.say(format!("C {}", rig.now().0));
        let left = (Health::Healthy, "tiny: 2 symbols; holes left to fill: 2".to_owned());
        rig.until("holes", || rig.health() == left).await;
        is_back.store(true, Ordering::SeqCst);
        rig.until("holes that are filled", || {
            rig.health() == (Health::Healthy, "tiny: 2 symbols".to_owned())
        })
        .await;
        assert_eq!((rig.metric("gaps_open"), rig.metric("holes_given_up_total")), (0.0, 0.0));
        rig.stop().await;
    });
}

/// Returns which page of `/A?c=PAGE` is asked for, beginning with 1.
fn page_of(path: &str) -> u32 {
    path.strip_prefix("/A?c=").map_or(1, |page| page.parse().unwrap())
}

#[test]
fn a_long_hole_is_filled_in_turns_with_the_others_and_goes_on_where_it_stopped() {
    run(async {
        let now = Nanos(std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos().try_into().unwrap());
        let mut has_failed = false;
        let answer = move |path: &str| {
            if path == "/B" {
                return (200, String::new());
            }
            let page = page_of(path);
            if page == 70 && !std::mem::replace(&mut has_failed, true) {
                return (503, String::new());
            }
            let next = if page < 120 { format!("next c={}\n", page + 1) } else { String::new() };
            (200, format!("a{page} {} 5 5\n{next}", now.plus(page.into()).0))
        };
        let rig = Rig::start(Start {
            down_since: Some(now),
            answer: Box::new(answer),
            ..Start::new(unique(), &["A", "B"])
        });
        let rig = rig.await;
        let mut link = rig.accept().await;
        link.subscribe().await;
        link.say(format!("C {}", rig.now().0));
        rig.until("holes that are filled", || {
            rig.metric("gaps_open") == 0.0 && rig.metric("backfill_jobs") == 0.0 && rig.requests().len() > 100
        })
        .await;
        let requests = rig.requests();
        assert_eq!(requests.iter().position(|path| path == "/B"), Some(50), "{requests:?}");
        let pages: Vec<u32> =
            requests.iter().filter(|path| *path != "/B").map(|path| page_of(path)).collect();
        let expected: Vec<u32> = (1..=70).chain(70..=120).collect();
        assert_eq!(pages, expected, "a page that failed is asked for again, and none before it");
        let left = rig.stop().await;
        assert_eq!((left.ledger.in_bars, left.ledger.duplicate, left.ledger.late), (120, 0, 0));
    });
}

#[test]
fn a_hole_without_end_is_given_up_when_nothing_of_it_can_count_any_more() {
    run(async {
        let answer = |path: &str| (200, format!("next c={}\n", page_of(path) + 1));
        let rig = Rig::start(Start {
            down_since: Some(Nanos(1_700_000_000_000_000_000)),
            answer: Box::new(answer),
            environment: vec![("TICKWIRE__CORE__GAP_HOLD", "1s")],
            ..Start::new(unique(), &["A"])
        });
        let rig = rig.await;
        let mut link = rig.accept().await;
        link.subscribe().await;
        link.say(format!("C {}", rig.now().0));
        rig.until("a hole that is given up", || rig.metric("holes_given_up_total") == 1.0).await;
        rig.until("nothing that is left", || rig.metric("backfill_jobs") == 0.0).await;
        assert!(!rig.requests().is_empty());
        rig.stop().await;
    });
}

#[test]
fn a_page_that_the_venue_does_not_know_any_more_is_asked_for_from_the_first_one_on() {
    run(async {
        let now = Nanos(std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos().try_into().unwrap());
        let mut has_failed = false;
        let answer = move |path: &str| match page_of(path) {
            1 => (200, format!("a1 {} 5 5\nnext c=2\n", now.0)),
            _ if !std::mem::replace(&mut has_failed, true) => (400, "no such cursor".to_owned()),
            _ => (200, format!("a2 {} 5 5\n", now.plus(1).0)),
        };
        let rig = Rig::start(Start {
            down_since: Some(now),
            answer: Box::new(answer),
            ..Start::new(unique(), &["A"])
        });
        let rig = rig.await;
        let mut link = rig.accept().await;
        link.subscribe().await;
        link.say(format!("C {}", rig.now().0));
        rig.until("a hole that is filled", || {
            rig.requests().len() == 4 && rig.metric("gaps_open") == 0.0 && rig.metric("backfill_jobs") == 0.0
        })
        .await;
        assert_eq!(rig.requests(), ["/A", "/A?c=2", "/A", "/A?c=2"]);
        assert_eq!(rig.stop().await.ledger.in_bars, 2);
    });
}

#[test]
fn a_venue_that_wants_to_be_left_alone_is_and_health_says_until_when() {
    run(async {
        let rig = Rig::start(Start {
            down_since: Some(Nanos(1_700_000_000_000_000_000)),
            answer: Box::new(|_| (429, "enough".to_owned())),
            environment: vec![("TICKWIRE__CORE__GAP_HOLD", "3s")],
            ..Start::new(unique(), &["A", "B"])
        });
        let rig = rig.await;
        let mut link = rig.accept().await;
        link.subscribe().await;
        link.say(format!("C {}", rig.now().0));
        rig.until("a pause", || {
            let (status, said) = rig.health();
            let is_said =
                said.contains("; not asked over REST before ") && said.ends_with("Z: answer is 429: enough");
            status == Health::Healthy && is_said
        })
        .await;
        rig.until("holes that are given up", || rig.metric("holes_given_up_total") == 2.0).await;
        assert_eq!(rig.requests(), ["/A"], "the pause is for every request");
        rig.stop().await;
    });
}
