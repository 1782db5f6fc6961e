//! A symbol that is new begins with the venue's bars of its past; where trades cannot be had, bars fill what was missed.

use super::rig::{Left, Rig, Start};
use super::run;
use super::tiny::Tiny;
use crate::support::outcome::{Outcome, core};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tickwire::actors::ingest::venue::{Ids, Needs};
use tickwire::models::bar::BarOrigin;
use tickwire::models::effect::Effect;
use tickwire::models::entry::{Body, Entry, SourceId, VenueBar};
use tickwire::models::settings::CoreSettings;
use tickwire::models::time::{DAY, HOUR, MINUTE, Nanos, SECOND, Width};

/// Bars of a page: few, so that a past takes several.
const PAGE_LEN: i64 = 150;

fn unique() -> Needs {
    Needs { ids: Ids::Unique, ..Tiny::needs() }
}

/// Returns the price of a window.
fn price(width: i64, start: i64) -> i64 {
    1_000 + (start / width) % 97
}

/// Answers `/bars/A?WIDTH-FROM-TO` with a bar of each window, and says that there are no past trades.
fn bars(path: &str) -> (u16, String) {
    let Some((_, asked)) = path.strip_prefix("/bars/").and_then(|path| path.split_once('?')) else {
        return (404, "no past trades".to_owned());
    };
    let asked: Vec<i64> = asked.split('-').map(|number| number.parse().unwrap()).collect();
    let (width, from, to) = (asked[0], asked[1], asked[2]);
    let starts = (from..to).step_by(usize::try_from(width).unwrap());
    let mut body: String = starts
        .take(usize::try_from(PAGE_LEN).unwrap())
        .map(|start| format!("{start} {}\n", price(width, start)))
        .collect();
    let next = from + PAGE_LEN * width;
    if next < to {
        body.push_str(&format!("next {next}\n"));
    }
    (200, body)
}

/// What the core makes of entries.
fn replayed(entries: &[Entry], widths: &[Width]) -> (Outcome, usize) {
    let settings = Arc::new(CoreSettings { widths: widths.to_vec(), ..CoreSettings::default() });
    let (mut state, mut outcome, mut effects) = (core(&settings), Outcome::default(), Vec::new());
    state.apply(entries, &mut effects);
    outcome.extend(&effects);
    (outcome, effects.iter().filter(|effect| matches!(effect, Effect::DeadLetter(_))).count())
}

fn bar_of(entry: &Entry) -> Option<VenueBar> {
    match entry.body {
        Body::VenueBar(bar) => Some(bar),
        _ => None,
    }
}

/// Returns the entries of a run up to its end, and a clock mark that closes every bar.
fn closed(left: &Left) -> Vec<Entry> {
    let mut entries = left.entries.clone();
    let last = entries.last().expect("something happened").pos;
    let newest = entries.iter().map(|entry| entry.body.time()).max().unwrap();
    let body = Body::ClockMark { source: SourceId::ANY, time: newest.plus(20 * MINUTE) };
    entries.push(Entry { pos: last + 1, symbol: entries[0].symbol, body });
    entries
}

#[test]
fn a_new_symbol_has_every_indicator_before_its_first_trade_counts() {
    run(async {
        let may_answer = Arc::new(AtomicBool::new(false));
        let open = Arc::clone(&may_answer);
        let answer = move |path: &str| match open.load(Ordering::SeqCst) {
            false => (503, "not now".to_owned()),
            true => bars(path),
        };
        let start = Start { warm_up_bars: 200, answer: Box::new(answer), ..Start::new(unique(), &["A"]) };
        let rig = Rig::start(start).await;
        let mut link = rig.accept().await;
        link.subscribe().await;
        let now = rig.now();
        for (id, after) in [("a1", 0), ("a2", 1)] {
            link.say(format!("T A {id} {} 1050 5", now.plus(after).0));
        }
        rig.until_entries(2).await;
        rig.until("the symbol waits", || rig.health().1.contains("wait for their past: 1")).await;
        assert!(
            rig.env.published.snapshots.as_ref().unwrap().all().is_empty(),
            "nothing of it is in the log"
        );
        may_answer.store(true, Ordering::SeqCst);
        rig.until("the trades", || {
            let all = rig.env.published.snapshots.as_ref().unwrap().all();
            all.first().is_some_and(|snapshot| snapshot.last.is_some())
        })
        .await;
        rig.until("nothing waits", || !rig.health().1.contains("past")).await;
        let left = rig.stop().await;
        assert_eq!((left.ledger.in_bars, left.ledger.late), (2, 0));

        let entries = closed(&left);
        let first_trade = entries.iter().position(|entry| matches!(entry.body, Body::Trade(_))).unwrap();
        let past: Vec<VenueBar> = entries[..first_trade].iter().filter_map(bar_of).collect();
        assert_eq!(past.len(), entries.iter().filter_map(bar_of).count(), "bars come before trades");
        let widths = CoreSettings::default().widths;
        assert!(widths.last().is_some_and(|widest| widest.nanos() == DAY));
        let (outcome, num_dead_letters) = replayed(&entries, &widths);
        assert_eq!(num_dead_letters, 0, "no bar is too late");
        for width in widths {
            let own: Vec<VenueBar> = past.iter().filter(|bar| bar.width() == Some(width)).copied().collect();
            let num_more = (HOUR / width.nanos()).max(1);
            assert!((200..=200 + num_more).contains(&(own.len() as i64)), "{} bars of {width}", own.len());
            let newest = own.last().unwrap().start;
            let point = outcome.indicators[&(width, newest)];
            assert!(point.values.sma_200.is_some(), "{width}");
        }
        // A day before the bars of minutes is the venue's own; the one that they begin in says what it lacks.
        let begin = past.iter().find(|bar| bar.width_ms == 60_000).unwrap().start;
        assert_eq!(begin.0 % HOUR, 0);
        let day = Width::new(DAY).unwrap();
        assert_eq!(outcome.bars[&(day, day.start_of(begin.plus(-DAY)))].coverage, 0.0);
        // It forms, but just after midnight.
        if let Some(bar) = outcome.bars.get(&(day, day.start_of(begin))) {
            assert!(bar.coverage < 1.05 - (begin.0 % DAY) as f64 / DAY as f64, "{bar:?}");
        }
        let lacks = |entry: &Entry| match entry.body {
            Body::Gap(gap) => gap.from == day.start_of(begin) && gap.to == begin && !gap.filled,
            _ => false,
        };
        assert!(begin.0 % DAY == 0 || entries.iter().any(lacks), "what the day lacks is told");
        // The smallest windows hold the venue's bars as they are: their indicators are those of a run over the bars alone.
        let width = Width::new(MINUTE).unwrap();
        let only: Vec<Entry> = entries
            .iter()
            .filter(|entry| bar_of(entry).is_none_or(|bar| bar.width() == Some(width)))
            .copied()
            .collect();
        let (alone, _) = replayed(&only, &[width]);
        let of_width: BTreeMap<_, _> = outcome
            .indicators
            .iter()
            .filter(|((own, _), _)| *own == width)
            .map(|(key, point)| (*key, point.values))
            .collect();
        let alone: BTreeMap<_, _> =
            alone.indicators.iter().map(|(key, point)| (*key, point.values)).collect();
        assert_eq!(of_width, alone);
    });
}

#[test]
fn what_the_venue_cannot_give_is_said_and_holds_nobody_up() {
    run(async {
        let answer = |path: &str| match path.starts_with("/bars/A?") {
            true => bars(path),
            false => (404, "no such thing".to_owned()),
        };
        let start = Start { warm_up_bars: 3, answer: Box::new(answer), ..Start::new(unique(), &["A", "B"]) };
        let rig = Rig::start(start).await;
        let mut link = rig.accept().await;
        link.subscribe().await;
        let now = rig.now().0;
        link.say(format!("T A a1 {now} 1050 5"));
        link.say(format!("T B b1 {now} 1050 5"));
        let said = "without a whole past: `B` (the venue gave no bars: 1min";
        rig.until("what is missing is said", || rig.health().1.contains(said)).await;
        rig.until("both trade", || {
            let all = rig.env.published.snapshots.as_ref().unwrap().all();
            all.iter().filter(|snapshot| snapshot.last.is_some()).count() == 2
        })
        .await;
        assert!(!rig.health().1.contains("`A`"));
        assert_eq!(rig.stop().await.ledger.in_bars, 2);
    });
}

#[test]
fn without_a_right_to_bars_they_are_asked_for_once() {
    run(async {
        let answer =
            |path: &str| (if path.starts_with("/bars/") { 403 } else { 404 }, "your plan".to_owned());
        let start =
            Start { warm_up_bars: 200, answer: Box::new(answer), ..Start::new(unique(), &["A", "B", "C"]) };
        let rig = Rig::start(start).await;
        let mut link = rig.accept().await;
        link.subscribe().await;
        let now = rig.now().0;
        for symbol in ["A", "B", "C"] {
            link.say(format!("T {symbol} 1 {now} 1050 5"));
        }
        rig.until_entries(3).await;
        rig.until("all are said to have none", || rig.health().1.contains("`C` (answer is 403")).await;
        let num_asked = rig.requests().iter().filter(|path| path.starts_with("/bars/")).count();
        assert_eq!(num_asked, 1);
        assert_eq!(rig.stop().await.ledger.received, 3);
    });
}

#[test]
fn a_stop_lets_go_what_waits() {
    run(async {
        let answer = |_: &str| (503, "not now".to_owned());
        let start = Start { warm_up_bars: 200, answer: Box::new(answer), ..Start::new(unique(), &["A"]) };
        let rig = Rig::start(start).await;
        let mut link = rig.accept().await;
        link.subscribe().await;
        link.say(format!("T A 1 {} 1050 5", rig.now().0));
        rig.until_entries(1).await;
        assert_eq!(rig.stop().await.ledger.in_bars, 1);
    });
}

#[test]
fn bars_fill_a_hole_whose_trades_cannot_be_had() {
    run(async {
        let start = Start { warm_up_bars: 200, answer: Box::new(bars), ..Start::new(unique(), &["A"]) };
        let rig = Rig::start(start).await;
        let mut link = rig.accept().await;
        link.subscribe().await;
        link.say(format!("T A a1 {} 1050 5", rig.now().0));
        rig.until("it trades", || {
            let all = rig.env.published.snapshots.as_ref().unwrap().all();
            all.first().is_some_and(|snapshot| snapshot.last.is_some())
        })
        .await;
        let lost = rig.now();
        drop(link);
        rig.let_pass(17 * MINUTE);
        let mut link = rig.accept().await;
        link.subscribe().await;
        let back = rig.now();
        link.say(format!("T A a2 {} 1050 5", back.0));
        let asked = || rig.requests().iter().filter(|path| path.starts_with("/bars/")).count();
        let before = asked();
        // The smallest windows of the hole, and those over them that lie in it.
        rig.until("bars are asked for", || {
            asked() >= before + 2 && rig.metric("holes_given_up_total") >= 2.0
        })
        .await;
        link.say(format!("C {}", back.plus(SECOND).0));
        let minute = Width::new(MINUTE).unwrap();
        rig.until("a bar in the hole", || {
            let all = rig.env.published.snapshots.as_ref().unwrap().all();
            all[0].windows[0].closed.is_some_and(|bar| bar.origin == BarOrigin::Vendor && bar.start > lost)
        })
        .await;
        let left = rig.stop().await;
        assert_eq!((left.ledger.in_bars, left.ledger.late), (2, 0));
        let in_hole = |entry: &&Entry| bar_of(entry).is_some_and(|bar| bar.start > lost);
        let starts: Vec<Nanos> =
            left.entries.iter().filter(in_hole).filter_map(bar_of).map(|bar| bar.start).collect();
        assert!(
            starts.contains(&minute.end_of(lost)) && starts.iter().all(|start| *start < back),
            "{starts:?}"
        );
    });
}
