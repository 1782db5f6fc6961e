//! Symbols that are followed later, and left: over which connection, with which past, and what their bars lack.

use super::rig::{Rig, Start};
use super::run;
use super::tiny::Tiny;
use tickwire::actors::ingest::venue::{Ids, Needs};
use tickwire::clock::{Clock, SystemClock};
use tickwire::models::entry::{Body, Entry, Gap};
use tickwire::models::symbol::SymbolId;
use tickwire::models::time::{MINUTE, Nanos};

/// Returns the gaps that are told of a symbol alone.
fn own_gaps(entries: &[Entry], symbol: SymbolId) -> Vec<Gap> {
    let own = entries.iter().filter(|entry| entry.symbol == symbol);
    own.filter_map(|entry| if let Body::Gap(gap) = entry.body { Some(gap) } else { None }).collect()
}

/// Returns the places of the trades of a symbol in the log.
fn trades(entries: &[Entry], symbol: SymbolId) -> Vec<usize> {
    let is_own = |entry: &Entry| entry.symbol == symbol && matches!(entry.body, Body::Trade(_));
    (0..entries.len()).filter(|&at| is_own(&entries[at])).collect()
}

#[test]
fn a_symbol_joins_the_connection_and_has_its_trades_since_its_first_window_began() {
    run(async {
        let mut start = Start::new(Tiny::needs(), &["A"]);
        start.down_since = Some(Nanos::MAX);
        start.answer = Box::new(|path| match path {
            // What it traded in this minute, before anybody followed it.
            "/B" => {
                let minute = SystemClock.now().0 / MINUTE * MINUTE;
                (200, format!("7 {minute} 5 5\n8 {} 5 5\n", minute + 1))
            }
            _ => (200, String::new()),
        });
        let rig = Rig::start(start).await;
        let mut link = rig.accept().await;
        link.subscribe().await;
        let now = rig.now();
        link.say(format!("T A 1 {} 5 5", now.0));
        rig.until_entries(1).await;
        let b = rig.follow("B");
        assert_eq!(link.hear().await.as_deref(), Some("subscribe B"));
        link.say("OK");
        link.say(format!("T B 9 {} 5 5", rig.now().0));
        link.say(format!("T A 2 {} 5 5", rig.now().0));
        rig.until("its trades", || rig.metric("backfilled_total") >= 2.0 && rig.metric("gaps_open") == 0.0)
            .await;
        rig.until_entries(3).await;
        assert!(rig.is_left_alone().await, "it needs no connection of its own");
        rig.leave(b);
        assert_eq!(link.hear().await.as_deref(), Some("unsubscribe B"));
        // One that is under way still.
        link.say(format!("T B 10 {} 5 5", rig.now().0));
        link.say(format!("T A 3 {} 5 5", rig.now().0));
        rig.until_entries(5).await;
        rig.until("what both have", || rig.health().1.contains("1 symbols")).await;
        let left = rig.stop().await;
        let a = left.entries.iter().find(|entry| entry.symbol != b && entry.symbol != SymbolId::NONE);
        let a = a.unwrap().symbol;
        assert_eq!((trades(&left.entries, a).len(), trades(&left.entries, b).len()), (3, 3));
        assert_eq!(own_gaps(&left.entries, a), [], "nobody else misses anything");
        assert!(
            left.entries
                .iter()
                .all(|entry| entry.symbol != SymbolId::NONE || !matches!(entry.body, Body::Gap(_)))
        );
        let gaps = own_gaps(&left.entries, b);
        assert!(gaps.iter().any(|gap| gap.filled), "the part that past trades have brought: {gaps:?}");
        assert!(
            !gaps.last().unwrap().filled && gaps.last().unwrap().to.0 % (15 * MINUTE) == 0,
            "what it lacks since"
        );
    });
}

#[test]
fn a_symbol_that_finds_no_room_has_a_connection_and_the_others_do_not_wait_for_it() {
    run(async {
        let needs = Needs { symbols_per_connection_max: Some(1), ..Tiny::needs() };
        let mut start = Start::new(needs, &["A"]);
        start.down_since = Some(Nanos::MAX);
        let rig = Rig::start(start).await;
        let mut first = rig.accept().await;
        first.subscribe().await;
        first.say(format!("C {}", rig.now().0));
        rig.until("a clock", || rig.clock() > Nanos(0)).await;
        let b = rig.follow("B");
        let mut second = rig.accept().await;
        let before = rig.clock();
        rig.let_pass(MINUTE);
        first.say(format!("C {}", rig.now().0));
        rig.until("a clock that goes on", || rig.clock() >= before.plus(MINUTE)).await;
        assert_eq!(second.hear().await.as_deref(), Some("subscribe B"));
        second.say("OK");
        second.say(format!("T B 1 {} 5 5", rig.now().0));
        rig.until_entries(1).await;
        rig.leave(b);
        assert_eq!(second.hear().await.as_deref(), Some("unsubscribe B"));
        assert_eq!(second.hear().await, None, "nothing is followed over it any more");
        rig.let_pass(MINUTE);
        let before = rig.clock();
        first.say(format!("C {}", rig.now().0));
        rig.until("a clock that goes on", || rig.clock() > before).await;
        rig.until("a feed that is well", || rig.health().1 == "tiny: 1 symbols").await;
        assert_eq!(rig.follow("B"), b);
        let mut third = rig.accept().await;
        assert_eq!(third.hear().await.as_deref(), Some("subscribe B"));
        third.say("OK");
        // Its ids have gone on while nobody followed it, which is no hole.
        third.say(format!("T B 9000 {} 5 5", rig.now().0));
        rig.until_entries(2).await;
        assert_eq!((rig.metric("failures_total"), rig.metric("holes_total")), (0.0, 0.0));
        let left = rig.stop().await;
        assert_eq!((left.ledger.in_bars, left.ledger.late), (2, 0));
        assert!(
            left.entries
                .iter()
                .all(|entry| entry.symbol != SymbolId::NONE || !matches!(entry.body, Body::Gap(_)))
        );
    });
}

#[test]
fn a_connection_whose_symbols_were_all_refused_is_tried_again_for_another_one() {
    run(async {
        let rig = Rig::start(Start::new(Tiny::needs(), &["A"])).await;
        let mut link = rig.accept().await;
        assert_eq!(link.hear().await.as_deref(), Some("subscribe A"));
        link.say("NO A unknown");
        rig.until("a refusal", || rig.health().1.contains("it refuses every symbol")).await;
        let b = rig.follow("B");
        let mut link = rig.accept().await;
        let asked = link.hear().await.unwrap();
        assert!(asked.contains('B'), "{asked}");
        link.say("OK B");
        link.say(format!("T B 1 {} 5 5", rig.now().0));
        rig.until_entries(1).await;
        let left = rig.stop().await;
        assert_eq!(trades(&left.entries, b).len(), 1);
    });
}

#[test]
fn a_symbol_that_is_followed_later_begins_with_the_venues_bars() {
    run(async {
        let answer = |path: &str| {
            let Some((_, asked)) = path.strip_prefix("/bars/").and_then(|path| path.split_once('?')) else {
                return (404, "no past trades".to_owned());
            };
            let asked: Vec<i64> = asked.split('-').map(|number| number.parse().unwrap()).collect();
            let starts = (asked[1]..asked[2]).step_by(usize::try_from(asked[0]).unwrap());
            (200, starts.map(|start| format!("{start} 7\n")).collect())
        };
        let needs = Needs { ids: Ids::Unique, ..Tiny::needs() };
        let start = Start { warm_up_bars: 20, answer: Box::new(answer), ..Start::new(needs, &["A"]) };
        let rig = Rig::start(start).await;
        let mut link = rig.accept().await;
        link.subscribe().await;
        link.say(format!("T A a1 {} 5 5", rig.now().0));
        rig.until("nothing waits", || {
            rig.env.published.snapshots.as_ref().unwrap().all().len() == 1
                && !rig.health().1.contains("past: ")
        })
        .await;
        let b = rig.follow("B");
        assert_eq!(link.hear().await.as_deref(), Some("subscribe B"));
        link.say("OK");
        link.say(format!("T B b1 {} 5 5", rig.now().0));
        rig.until("its past", || {
            let snapshot = rig.env.published.snapshots.as_ref().unwrap().get(b);
            snapshot.is_some_and(|snapshot| snapshot.last.is_some())
        })
        .await;
        let left = rig.stop().await;
        let first_trade = trades(&left.entries, b)[0];
        let is_bar = |entry: &&Entry| entry.symbol == b && matches!(entry.body, Body::VenueBar(_));
        let num_before = left.entries[..first_trade].iter().filter(is_bar).count();
        assert!(num_before >= 60, "{num_before} bars of three windows");
        assert_eq!(num_before, left.entries.iter().filter(is_bar).count());
        assert_eq!(left.ledger.late, 0);
    });
}

#[test]
fn each_new_symbol_is_told_of_the_open_gaps_for_itself_alone() {
    run(async {
        let mut start = Start::new(Tiny::needs(), &["A", "B", "C"]);
        start.down_since = Some(SystemClock.now().plus(-MINUTE));
        start.answer = Box::new(|_| (503, "not now".to_owned()));
        let rig = Rig::start(start).await;
        let mut link = rig.accept().await;
        link.subscribe().await;
        for (num_before, symbol) in ["A", "B", "C"].into_iter().enumerate() {
            link.say(format!("T {symbol} 1 {} 5 5", rig.now().0));
            rig.until_entries(num_before + 1).await;
        }
        let left = rig.stop().await;
        let gaps_of = |symbol| own_gaps(&left.entries, symbol);
        let symbols: Vec<SymbolId> = left
            .entries
            .iter()
            .filter(|entry| matches!(entry.body, Body::Trade(_)))
            .map(|entry| entry.symbol)
            .collect();
        assert_eq!(symbols.len(), 3);
        for (at, symbol) in symbols.into_iter().enumerate() {
            let first = gaps_of(symbol)[0];
            assert!(!first.filled && first.to.since(first.from) >= MINUTE / 2, "{at}: {first:?}");
        }
        // What is told of all is told when it happens, however many symbols come after.
        let of_all = gaps_of(SymbolId::NONE).iter().filter(|gap| !gap.filled).count();
        assert!(of_all <= 2, "{of_all} gaps of all symbols");
    });
}
