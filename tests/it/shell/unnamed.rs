//! Trades without ids: told apart, recognised when they come again, and taken back by price and size.

use super::rig::{Rig, Start};
use super::run;
use super::tiny::Tiny;
use tickwire::actors::ingest::venue::{Ids, Needs};

fn without_ids() -> Needs {
    Needs { ids: Ids::None, ..Tiny::needs() }
}

#[test]
fn trades_that_are_alike_count_each_and_repeats_over_another_connection_do_not() {
    run(async {
        let rig = Rig::start(Start::new(without_ids(), &["A"])).await;
        let now = rig.now();
        let frames = [
            format!("C {}", now.0),
            format!("T A - {} 5 5", now.0),
            format!("T A - {} 5 5", now.0),
            format!("T A - {} 5 6", now.0),
        ];
        for connection in 1..=2 {
            let mut link = rig.accept().await;
            link.subscribe().await;
            frames.iter().for_each(|frame| link.say(frame.as_str()));
            rig.until_entries(3 * connection).await;
        }
        let ledger = rig.stop().await.ledger;
        assert_eq!((ledger.received, ledger.in_bars, ledger.duplicate, ledger.conflicts), (6, 3, 3, 0));
    });
}

#[test]
fn a_trade_is_taken_back_by_its_price_and_size() {
    run(async {
        let rig = Rig::start(Start::new(without_ids(), &["A", "B"])).await;
        let mut link = rig.accept().await;
        link.subscribe().await;
        let now = rig.now().0;
        link.say(format!("C {now}"));
        link.say(format!("T A - {now} 5 5"));
        link.say(format!("T A - {} 5 5", now + 1));
        link.say(format!("T A - {now} 7 5"));
        link.say(format!("T B - {now} 5 5"));
        for _ in 0..3 {
            link.say(format!("B A {} 5 5", now + 2));
        }
        rig.until("one that was not there", || rig.num_faults("no_trade") == 1.0).await;
        let ledger = rig.stop().await.ledger;
        assert_eq!((ledger.received, ledger.in_bars, ledger.cancelled), (6, 2, 4));
    });
}
