//! One venue in every trouble that a script can make, each alone and all in one hour: what the shell does is the same for
//! all venues, and Coinbase has what it can be told by: ids without holes, a clock, past trades.

use super::dialects::coinbase::Coinbase;
use super::fake::market::{SECOND, rfc3339};
use super::fake::{FakeVenue, Fault, RestFault, Welcome};
use super::inside;
use super::live::{Live, held, made_market, recorded_market, replayed};
use crate::support::process::{Program, command, run_args, wait_for};
use std::path::Path;
use tickwire::actors::guard::ActorKind;

/// A counter, and what it must be at least.
type Count = (&'static str, u64);
/// A name, what goes wrong after how many trades, and what is counted.
type Case = (&'static str, Vec<(usize, Fault)>, &'static [Count]);

/// What does not answer is given up soon.
const HANGS_ARE_SHORT: (&str, &str) = ("TICKWIRE__VENUES__COINBASE__CONNECT_TIMEOUT", "1s");

#[test]
fn each_fault_alone_ends_in_the_bars_of_the_plain_replay() {
    let trades = made_market(&Coinbase, 1_500);
    let fresh = tempfile::tempdir().unwrap();
    let expected = replayed(fresh.path(), &trades).digest;
    let garbage = |text: &'static str| Fault::Garbage(text.as_bytes());
    // A product's last trade in an outage comes with the subscription; the others over REST.
    let cases: [Case; 16] = [
        ("nothing", vec![], &[("connects_total", 1)]),
        (
            "kicks",
            vec![(400, Fault::Kick(0)), (900, Fault::Kick(0))],
            &[("connects_total", 3), ("failures_total", 2)],
        ),
        (
            "outages",
            vec![(300, Fault::Kick(250)), (800, Fault::Kick(1))],
            &[("backfilled_total", 248), ("holes_total", 2)],
        ),
        ("cuts", vec![(300, Fault::Cut), (310, Fault::Cut)], &[("connects_total", 3)]),
        (
            "skips",
            vec![(200, Fault::Skip(1)), (600, Fault::Skip(130))],
            &[("backfilled_total", 131), ("holes_total", 2)],
        ),
        ("repeats", vec![(500, Fault::Repeat(400))], &[("repeats_total", 400)]),
        ("reordered", vec![(100, Fault::Reorder(20)), (700, Fault::Reorder(2))], &[("connects_total", 1)]),
        ("silence", vec![(700, Fault::Silence(60))], &[("connects_total", 2), ("backfilled_total", 58)]),
        (
            "garbage",
            vec![
                (10, garbage("")),
                (20, garbage("{\"type\":\"match\"}")),
                (30, Fault::Garbage(b"\xff\xfe{")),
            ],
            &[("connects_total", 1), ("ignored_frames_total", 0)],
        ),
        (
            "refusals",
            vec![(50, Fault::Welcome(3, Welcome::Refuse)), (50, Fault::Kick(40))],
            &[("failures_total", 4), ("backfilled_total", 38)],
        ),
        (
            "REST that fails",
            vec![
                (100, Fault::Rest(4, RestFault::Status("503 Service Unavailable"))),
                (200, Fault::Skip(30)),
                (201, Fault::Rest(1, RestFault::Limit(0))),
            ],
            &[("backfilled_total", 30), ("requests_total", 3)],
        ),
        (
            "frames in pieces and many at once",
            vec![(100, Fault::Fragments(60)), (200, Fault::Together(300)), (700, Fault::Fragments(5))],
            &[("connects_total", 1), ("failures_total", 0)],
        ),
        (
            "cuts within a frame",
            vec![
                (100, Fault::CutInFrame(0)),
                (200, Fault::CutInFrame(1)),
                (300, Fault::CutInFrame(3)),
                (400, Fault::CutInFrame(150)),
                (500, Fault::CutInFrame(100_000)),
            ],
            &[("connects_total", 6), ("failures_total", 5)],
        ),
        (
            "connections that are accepted and ended",
            vec![(50, Fault::Welcome(3, Welcome::AcceptThenKick)), (50, Fault::Kick(40))],
            &[("connects_total", 5), ("failures_total", 4)],
        ),
        (
            "a connection that hangs",
            vec![(50, Fault::Welcome(1, Welcome::Hang)), (50, Fault::Kick(40))],
            &[("failures_total", 2), ("backfilled_total", 38)],
        ),
        (
            "REST that is cut, hangs and limits",
            vec![
                (100, Fault::Rest(3, RestFault::CutAfter(200))),
                (200, Fault::Skip(30)),
                (400, Fault::Rest(1, RestFault::Hang)),
                (401, Fault::Skip(30)),
                (600, Fault::Rest(1, RestFault::Limit(1))),
                (601, Fault::Skip(30)),
            ],
            &[("backfilled_total", 90), ("requests_total", 6)],
        ),
    ];
    for (name, script, counts) in cases {
        println!("{name}");
        let dir = tempfile::tempdir().unwrap();
        let venue = FakeVenue::start(&Coinbase, &trades, &script);
        let live = Live::start(dir.path(), &venue, "BTC-USD,ETH-USD", &[HANGS_ARE_SHORT]);
        live.wait_until_whole(trades.len());
        for (counter, least) in counts {
            let found = live.metric(counter);
            assert!(found >= *least, "{name}: {counter} is {found}, not {least} or more");
        }
        assert_eq!(live.metric("holes_given_up_total"), 0, "{name}");
        if name == "garbage" {
            let letters = live.program.get("REST", "/api/v1/dead-letters?reason=malformed").unwrap().json();
            assert_eq!(letters.as_array().map(Vec::len), Some(2), "{letters}");
            assert_eq!((live.num_faults("malformed"), live.num_faults("unknown_symbol")), (2, 1));
        }
        assert_eq!(live.finish(&venue), expected, "{name}");
    }
}

#[test]
fn a_recorded_hour_with_every_fault_ends_in_the_bars_of_the_plain_replay() {
    let Some(trades) = recorded_market(&Coinbase) else { return };
    let dir = tempfile::tempdir().unwrap();
    let expected = replayed(dir.path(), &trades).digest;
    let script = [
        (200, Fault::Kick(120)),
        (700, Fault::Skip(40)),
        (900, Fault::Repeat(300)),
        (1_400, Fault::Reorder(30)),
        (1_900, Fault::Welcome(2, Welcome::Refuse)),
        (2_000, Fault::Cut),
        (2_500, Fault::Garbage(b"{\"type\":\"match\",\"trade_id\":1}")),
        (2_600, Fault::Rest(2, RestFault::Status("500 Internal Server Error"))),
        (2_700, Fault::Skip(1)),
        (3_300, Fault::Silence(900)),
        (5_000, Fault::Kick(3)),
    ];
    let venue = FakeVenue::start(&Coinbase, &trades, &script);
    let live = Live::start(dir.path(), &venue, "BTC-USD", &[]);
    live.wait_until_whole(trades.len());
    let ledger_of = |outcome| live.ledger(outcome);
    assert_eq!((ledger_of("late"), ledger_of("rejected"), ledger_of("cancelled")), (0, 0, 0));
    assert_eq!(ledger_of("received"), ledger_of("in_bars") + ledger_of("duplicate"));
    let num_fetched = live.metric("backfilled_total");
    // What was skipped first may have come with the repeats before anybody asked for it.
    assert!(num_fetched >= 119 + 1 + 899 + 2, "{num_fetched}");
    assert_eq!(live.finish(&venue), expected);
}

#[test]
fn a_killed_run_goes_on_and_fetches_what_it_missed() {
    let trades = made_market(&Coinbase, 1_500);
    let dir = tempfile::tempdir().unwrap();
    let expected = replayed(dir.path(), &trades).digest;
    let venue = FakeVenue::start(&Coinbase, &trades, &[]);
    venue.pause_at(600);
    let live = Live::start(dir.path(), &venue, "BTC-USD,ETH-USD", &[]);
    live.wait_until_whole(600);
    live.program.kill();
    venue.pass(300);
    venue.resume();
    let live = Live::start(dir.path(), &venue, "BTC-USD,ETH-USD", &[]);
    live.wait_until_whole(trades.len());
    assert!(live.metric("backfilled_total") >= 298);
    assert_eq!(live.finish(&venue), expected);
}

#[test]
fn a_hole_that_cannot_be_filled_is_given_up_and_shows_in_the_coverage() {
    let trades = made_market(&Coinbase, 400);
    let dir = tempfile::tempdir().unwrap();
    let venue = FakeVenue::start(&Coinbase, &trades, &[(100, Fault::Skip(40))]);
    venue.forget(&trades[100..140]);
    let live = Live::start(dir.path(), &venue, "BTC-USD,ETH-USD", &[("TICKWIRE__CORE__GAP_HOLD", "500ms")]);
    live.program.line_with(" ready");
    wait_for("holes that are given up", || (live.metric("holes_given_up_total") == 2).then_some(()));
    wait_for("the rest", || (live.ledger("in_bars") == 360).then_some(()));
    venue.finish();
    let lost_at = trades[120].ts;
    let minute = rfc3339(lost_at - lost_at.rem_euclid(60 * SECOND), 0);
    wait_for("a bar that is not whole", || {
        let path = "/api/v1/aggregated/BTC-USD?window=1min&limit=50&start_time=2000-01-01";
        let bars = live.program.get("REST", path)?.json();
        let bar = bars.as_array()?.iter().find(|bar| bar["window_start"] == minute.as_str())?;
        (bar["coverage"].as_f64()? < 1.0).then_some(())
    });
    assert_eq!(live.metric("gaps_open"), 0);
    assert_eq!(live.residue(), 0);
    live.program.stop();
}

#[test]
fn symbols_are_checked_at_the_start_and_followed_unchecked_where_the_venue_is_away() {
    let dir = tempfile::tempdir().unwrap();
    let venue = FakeVenue::start(&Coinbase, &made_market(&Coinbase, 10), &[]);
    let ended = Live::start(dir.path(), &venue, "BTC-EUR", &[]).program.wait();
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("`coinbase` has no symbol `BTC-EUR`; there is BTC-USD"),
        "{}",
        ended.stderr
    );
    assert!(!dir.path().join("data").exists(), "nothing was begun");

    // An address where nobody is; aliases are found in the list alone.
    let away = [("TICKWIRE__VENUES__COINBASE__REST_URL", "http://127.0.0.1:9")];
    let live = Live::start(dir.path(), &venue, "BTC-USD", &away);
    live.program.line_with("followed unchecked");
    live.program.line_with(" ready");
    let symbols = wait_for("the symbol", || {
        let symbols = live.program.get("REST", "/api/v1/symbols")?.json();
        (symbols["count"] == 1).then_some(symbols)
    });
    assert_eq!(symbols["details"]["BTC-USD"]["data"], "live", "{symbols}");
    live.program.stop();
}

#[test]
fn health_tells_a_venue_that_refuses_and_one_that_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let script = [(50, Fault::Welcome(usize::MAX, Welcome::Refuse)), (50, Fault::Kick(0))];
    let venue = FakeVenue::start(&Coinbase, &made_market(&Coinbase, 200), &script);
    let live = Live::start(dir.path(), &venue, "BTC-USD,ETH-USD", &[]);
    live.program.line_with(" ready");
    let is = |status: &str| {
        let health = live.program.get("REST", "/health")?.json();
        (health["components"]["feed_coinbase"] == status).then_some(health)
    };
    wait_for("a feed that is down", || {
        let health = is("degraded").filter(|_| venue.num_played() == 50)?;
        health["details"]["messages"]["feed_coinbase"].as_str()?.contains("handshake failed").then_some(())
    });
    assert_eq!(live.program.get("REST", "/health/ready").unwrap().status, 200, "what is there is served");
    venue.forgive();
    wait_for("a feed that is well", || is("healthy"));
    live.wait_until_whole(200);
    live.program.stop();
}

#[test]
fn a_data_directory_takes_simulated_or_live_data_and_never_both() {
    let venue = FakeVenue::start(&Coinbase, &made_market(&Coinbase, 50), &[]);
    let simulated =
        |dir: &Path| Program::start(command(&run_args(&dir.join("data"), &["--symbol-count", "2"])));
    let dir = tempfile::tempdir().unwrap();
    let live = Live::start(dir.path(), &venue, "BTC-USD,ETH-USD", &[]);
    live.wait_until_whole(50);
    assert_eq!(live.program.get("REST", "/").unwrap().json()["provider"], "coinbase");
    live.program.stop();
    let ended = simulated(dir.path()).wait();
    assert!(!ended.status.success() && ended.stderr.contains("a venue said"), "{}", ended.stderr);

    let dir = tempfile::tempdir().unwrap();
    let program = simulated(dir.path());
    program.line_with(" ready");
    program.stop();
    let ended = Live::start(dir.path(), &venue, "BTC-USD", &[]).program.wait();
    assert!(!ended.status.success() && ended.stderr.contains("`simulated` made up"), "{}", ended.stderr);
}

#[test]
fn a_panic_while_frames_are_read_costs_nothing() {
    let trades = made_market(&Coinbase, 600);
    let dir = tempfile::tempdir().unwrap();
    let expected = replayed(dir.path(), &trades).digest;
    let venue = FakeVenue::start(&Coinbase, &trades, &[]);
    venue.pause_at(200);
    inside::run(dir.path(), &venue, &[], async |inside| {
        inside.until("trades before the panic", || inside.num_in_bars() == 200).await;
        inside.node.env.faults.at_actor(ActorKind::Provider, 1);
        venue.resume();
        inside.until("trades after it", || inside.num_in_bars() == 600).await;
        assert_eq!(inside.metric("tickwire_actor_restarts_total{actor=\"provider\"}"), 1);
    });
    assert_eq!(held(&dir.path().join("data")).digest, expected);
}
