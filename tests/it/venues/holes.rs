//! Holes that cannot be filled, and whose bars they show in.

use super::dialects::kraken::Kraken;
use super::fake::{FakeVenue, Fault, RestFault};
use super::inside;
use super::live::{held, made_market};

#[test]
fn a_hole_of_one_symbol_shows_in_the_coverage_of_no_other() {
    let trades = made_market(&Kraken, 1_500);
    let dir = tempfile::tempdir().unwrap();
    let venue = FakeVenue::start(&Kraken, &trades, &[(301, Fault::Skip(1))]);
    venue.wait_for_symbols(2);
    venue.pause_at(300);
    inside::run(dir.path(), &venue, &[], async |inside| {
        inside
            .until("whole beginning", || inside.num_in_bars() == 300 && inside.venue_metric("gaps_open") == 0)
            .await;
        venue.fail_rest(usize::MAX, RestFault::Status("404 Not Found"));
        venue.resume();
        // The venue is asked for it again and again, and the bars close meanwhile.
        let is_known = || inside.venue_metric("gaps_open") == 1 && inside.num_in_bars() == 1_499;
        inside.until("hole", is_known).await;
    });
    let [missed] = &venue.missed()[..] else { panic!("one trade is missed") };
    let found = held(&dir.path().join("data"));
    let (mut num_lacking, mut num_others) = (0, 0);
    for ((symbol, width, start), bar) in &found.bars {
        let is_of_hole = (*start..start + width.nanos()).contains(&missed.ts);
        if *symbol != missed.symbol {
            num_others += u32::from(is_of_hole);
            assert!((bar.coverage - 1.0).abs() < f64::EPSILON, "{symbol} {start}: {}", bar.coverage);
        } else if is_of_hole {
            num_lacking += 1;
            assert!(bar.coverage < 1.0, "{symbol} {start}");
        }
    }
    assert!(num_lacking > 0 && num_others > 0, "{num_lacking} {num_others}");
}
