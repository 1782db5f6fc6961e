//! TLS with a private authority, and a proxy: for streams and for REST alike.

use super::dialects::coinbase::Coinbase;
use super::fake::{Authority, FakeProxy, FakeVenue};
use super::live::{Live, made_market, replayed};
use crate::support::process::wait_for;
use serde_json::Value;

/// Returns what health says of the feed while it is not well.
fn trouble(live: &Live) -> Option<String> {
    let health: Value = live.program.get("REST", "/health")?.json();
    let is_down = health["components"]["feed_coinbase"] == "degraded";
    let said = health["details"]["messages"]["feed_coinbase"].as_str()?;
    (is_down && !said.ends_with("connecting")).then(|| said.to_owned())
}

#[test]
fn a_private_authority_is_trusted_where_its_file_is_named_and_refused_otherwise() {
    let trades = made_market(&Coinbase, 300);
    let authority = Authority::new();
    let venue = FakeVenue::start_secure(&Coinbase, &trades, &authority);
    let dir = tempfile::tempdir().unwrap();
    let live = Live::start(dir.path(), &venue, "BTC-USD,ETH-USD", &[]);
    // The list of instruments fails first, then the stream, and both say what is wrong.
    let warned = live.program.line_with("followed unchecked");
    assert!(warned.contains("UnknownIssuer"), "{warned}");
    live.program.line_with(" ready");
    let said = wait_for("a feed that is refused", || trouble(&live));
    assert!(said.contains("certificate") && said.contains("UnknownIssuer"), "{said}");
    assert_eq!(venue.num_played(), 0);
    live.program.stop();

    let dir = tempfile::tempdir().unwrap();
    let expected = replayed(dir.path(), &trades).digest;
    let ca_file = (venue.variable("ca_file"), authority.ca_file.to_str().unwrap().to_owned());
    let live = Live::start(dir.path(), &venue, "BTC-USD,ETH-USD", &[(&ca_file.0, &ca_file.1)]);
    live.wait_until_whole(trades.len());
    assert!(venue.num_requests() > 0 && live.program.find_line("followed unchecked").is_none());
    assert_eq!(live.finish(&venue), expected);

    let missing = [(venue.variable("ca_file"), "/no/such/ca.pem".to_owned())];
    let dir = tempfile::tempdir().unwrap();
    let ended = Live::start(dir.path(), &venue, "BTC-USD", &[(&missing[0].0, &missing[0].1)]).program.wait();
    assert!(!ended.status.success() && ended.stderr.contains("`/no/such/ca.pem`"), "{}", ended.stderr);
}

#[test]
fn streams_and_rest_go_through_a_proxy_that_knows_its_user() {
    let trades = made_market(&Coinbase, 300);
    let authority = Authority::new();
    let venue = FakeVenue::start_secure(&Coinbase, &trades, &authority);
    let proxy = FakeProxy::start("me", "open-sesame");
    let ca_file = (venue.variable("ca_file"), authority.ca_file.to_str().unwrap().to_owned());
    let through = |password: &str| (venue.variable("proxy_url"), proxy.url("me", password));

    let dir = tempfile::tempdir().unwrap();
    let wrong = through("wrong-password");
    let environment = [(ca_file.0.as_str(), ca_file.1.as_str()), (&wrong.0, &wrong.1)];
    let live = Live::start(dir.path(), &venue, "BTC-USD,ETH-USD", &environment);
    live.program.line_with(" ready");
    let said = wait_for("a feed that is refused", || trouble(&live));
    assert!(said.contains("proxy refuses") && said.contains("407"), "{said}");
    assert!(proxy.num_refused() >= 2 && proxy.targets().is_empty());
    let ended = live.program.stop();
    assert!(!ended.stderr.contains("wrong-password") && !said.contains("wrong-password"), "{}", ended.stderr);

    let dir = tempfile::tempdir().unwrap();
    let expected = replayed(dir.path(), &trades).digest;
    let right = through("open-sesame");
    let environment = [(ca_file.0.as_str(), ca_file.1.as_str()), (&right.0, &right.1)];
    let live = Live::start(dir.path(), &venue, "BTC-USD,ETH-USD", &environment);
    live.wait_until_whole(trades.len());
    let targets = proxy.targets();
    for address in venue.addresses() {
        assert!(targets.contains(&address), "{address} was not reached through the proxy: {targets:?}");
    }
    assert_eq!(live.finish(&venue), expected);
}
