//! What every venue comes to, whatever its wire form: the bars of the plain replay of the same trades.
//!
//! Each dialect of [`dialects::ALL`] is run through its whole handshake, its market made up or recorded, with frames in
//! pieces and three disconnects. Where a venue has past trades the bars are those of the replay, digest for digest. Where it
//! has none, what the outages cost shows in the coverage, and every other bar is the same.

use super::dialects;
use super::fake::{Dialect, FakeVenue, Fault, Ids, MarketTrade, RestFault, Welcome};
use super::inside;
use super::live::{Held, Live, held, made_market, recorded_market, replayed};
use crate::support::process::wait_for;
use tickwire::models::bar::Bar;

/// What goes wrong in a market of so many trades: three disconnects, and what must not matter.
fn script(dialect: &dyn Dialect, num_trades: usize) -> Vec<(usize, Fault)> {
    let at = |part: usize| num_trades * part / 100;
    let mut script = vec![
        (at(5), Fault::Fragments(20)),
        (at(10), Fault::Together(at(4))),
        (at(25), Fault::Welcome(2, Welcome::Refuse)),
        (at(25), Fault::Kick(at(3))),
        (at(40), Fault::Garbage(b"\xff\xfe{")),
        (at(50), Fault::Cut),
        (at(60), Fault::Repeat(if dialect.ids() == Ids::None { 0 } else { at(5) })),
        (at(75), Fault::Rest(1, RestFault::Status("503 Service Unavailable"))),
        (at(75), Fault::Welcome(1, Welcome::AcceptThenKick)),
        (at(75), Fault::Kick(at(2))),
    ];
    if dialect.ids() == Ids::Consecutive {
        script.push((at(85), Fault::Skip(at(1))));
        script.push((at(90), Fault::Reorder(at(1))));
    }
    script
}

/// Runs a market through a venue, and holds its bars against the replay's.
fn check(dialect: &'static dyn Dialect, trades: &[MarketTrade]) {
    let name = dialect.name();
    println!("{name}: {} trades", trades.len());
    let dir = tempfile::tempdir().unwrap();
    let expected = replayed(dir.path(), trades);
    let venue = FakeVenue::start(dialect, trades, &script(dialect, trades.len()));
    venue.wait_for_symbols(venue.symbols().len());
    let ledger = inside::run(dir.path(), &venue, &[], async |inside| {
        let is_done = || {
            let num_missed = if dialect.has_past_trades() { 0 } else { venue.missed().len() };
            venue.num_played() == trades.len()
                && inside.num_in_bars() == (trades.len() - num_missed) as u64
                && inside.venue_metric("gaps_open") == 0
        };
        inside.until(&format!("whole market of {name}"), is_done).await;
        assert!(inside.venue_metric("connects_total") >= 4, "{name} was not disconnected three times");
        assert!(inside.venue_metric("failures_total") >= 6, "{name}");
    });
    assert_eq!((ledger.late, ledger.cancelled), (0, 0), "{name}");
    let found = held(&dir.path().join("data"));
    let missed = venue.missed();
    assert!(!missed.is_empty(), "{name} had no outage");
    if dialect.has_past_trades() {
        assert_eq!(ledger.in_bars, trades.len() as u64, "{name}");
        assert_eq!(found.digest, expected.digest, "{name}");
    } else {
        bars_are_right_or_say_what_they_lack(name, &missed, &expected, &found);
    }
}

fn bars_are_right_or_say_what_they_lack(name: &str, missed: &[MarketTrade], expected: &Held, found: &Held) {
    let figures = |bar: &Bar| {
        let prices = [bar.open, bar.high, bar.low, bar.close];
        (prices, bar.volume, bar.vwap, bar.trade_count)
    };
    let mut num_whole = 0;
    for ((symbol, width, start), bar) in &expected.bars {
        let window = *start..start + width.nanos();
        let lacks = missed.iter().any(|trade| trade.symbol == *symbol && window.contains(&trade.ts));
        let own = found.bars.get(&(symbol.clone(), *width, *start));
        if lacks {
            assert!(
                own.is_none_or(|bar| bar.coverage < 1.0),
                "{name}: a loss of {symbol} at {start} is hidden"
            );
        } else {
            assert_eq!(own.map(figures), Some(figures(bar)), "{name}: {symbol} at {start}");
            num_whole += 1;
        }
    }
    assert!(num_whole > 0, "{name}: nothing was compared");
}

#[test]
fn a_made_up_market_gives_every_venue_the_bars_of_the_plain_replay() {
    for dialect in dialects::ALL.into_iter().filter(|dialect| dialect.trades_per_answer() == 0) {
        check(dialect, &made_market(dialect, 1_500));
    }
}

#[test]
fn a_recorded_market_gives_every_venue_the_bars_of_the_plain_replay() {
    for dialect in dialects::ALL.into_iter().filter(|dialect| dialect.trades_per_answer() == 0) {
        let Some(trades) = recorded_market(dialect) else { continue };
        check(dialect, &trades);
    }
}

#[test]
fn the_program_itself_runs_every_venue() {
    for dialect in dialects::ALL {
        println!("{}", dialect.name());
        let dir = tempfile::tempdir().unwrap();
        let venue = FakeVenue::start(dialect, &made_market(dialect, 300), &[]);
        let live = Live::start(dir.path(), &venue, &dialect.symbols().join(","), &[]);
        live.program.line_with(" ready");
        wait_for("a feed that is well", || {
            let health = live.program.get("REST", "/health")?.json();
            let feed = format!("feed_{}", dialect.name());
            (health["components"][&feed] == "healthy" && live.metric("entries_total") > 0).then_some(())
        });
        assert_eq!(live.residue(), 0);
        live.program.stop();
    }
}
