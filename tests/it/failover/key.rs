//! A first venue that refuses the key, or one connection more: the next one takes its place, and everything says why.

use crate::support::process::{Program, command, run_args, wait_for};
use crate::venues::dialects::finage::Finage;
use crate::venues::dialects::polygon::Polygon;
use crate::venues::fake::{Dialect, FakeVenue, Welcome};
use crate::venues::live::made_market;

/// Starts a feed of two venues, the first of which refuses in one of its ways, and waits until health says so.
fn refused(which: usize, said: &str) {
    let dir = tempfile::tempdir().unwrap();
    let trades = made_market(&Finage, 100);
    let first = FakeVenue::start(&Polygon, &trades, &[]);
    first.meet(usize::MAX, Welcome::RefuseKey(which));
    let second = FakeVenue::start(&Finage, &trades, &[]);
    let list = ["--provider", "polygon,finage", "--symbols", "AAPL,MSFT"];
    let mut run = command(&run_args(&dir.path().join("data"), &list));
    run.envs(first.environment()).envs(second.environment());
    let program = Program::start(run);
    let line = program.line_with("another venue takes charge");
    assert!(line.contains("venue=\"finage\"") && line.contains("in_place_of=\"polygon\""), "{line}");
    wait_for("health that says who is in charge, and why", || {
        let health = program.get("REST", "/health")?.json();
        let message = health["details"]["messages"]["feed_polygon"].as_str()?.to_owned();
        (message.starts_with("`finage` in charge: ") && message.contains(said)).then_some(())
    });
    let breaker = |venue: &str| {
        program.metric(&format!("tickwire_venue_breaker_state{{feed=\"polygon\",venue=\"{venue}\"}}"))
    };
    assert_eq!((breaker("polygon"), breaker("finage")), (2, 0));
    let reason = "tickwire_feed_hand_overs_total{feed=\"polygon\",reason=\"refused\",venue=\"finage\"}";
    assert_eq!(program.metric(reason), 1);
    let ended = program.stop();
    for (_, key) in Polygon.keys().into_iter().chain(Finage.keys()) {
        assert!(!ended.stderr.contains(key), "a key is shown");
    }
}

#[test]
fn a_venue_that_refuses_the_key_is_left_for_good() {
    refused(0, "`polygon` breaker open for good (");
}

#[test]
fn a_venue_that_has_too_many_connections_is_left_for_a_while() {
    refused(3, "`polygon` breaker open for ");
}
