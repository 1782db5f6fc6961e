//! Symbols that are added and removed while trades of others flow: those that stay lose nothing, a new one has all its trades
//! from its first window on, and what was changed holds after a restart.

use super::dialects;
use super::dialects::coinbase::Coinbase;
use super::dialects::kraken::Kraken;
use super::fake::{Dialect, FakeVenue, MarketTrade, RestFault, Welcome};
use super::inside::{self, Inside};
use super::live::{Held, Live, held, made_market, replayed};
use crate::support::process::wait_for;
use serde_json::{Value, json};
use tickwire::models::bar::Bar;
use tickwire::models::time::MINUTE;
use tickwire::web::symbol_control::{FollowSymbols, SymbolControl, SymbolsFollowed};

const NUM_TRADES: usize = 1_500;

/// Trades after which a symbol is added, and after which another one is removed.
const ADDED_AT: usize = 400;
const REMOVED_AT: usize = 1_100;

fn num_of(symbol: &str, trades: &[MarketTrade]) -> u64 {
    trades.iter().filter(|trade| trade.symbol == symbol).count() as u64
}

fn wanted(symbols: &[&str]) -> FollowSymbols {
    FollowSymbols { symbols: symbols.iter().map(|&name| name.to_owned()).collect(), feed: None }
}

/// Returns the figures of a bar that do not depend on how it was heard of.
fn figures(bar: &Bar) -> impl PartialEq + std::fmt::Debug + use<> {
    ([bar.open, bar.high, bar.low, bar.close], bar.volume, bar.vwap, bar.trade_count)
}

/// Holds the bars of a symbol in some stretch of time against the replay's. Returns those that were found.
fn compare<'a>(
    name: &str,
    symbol: &str,
    window: std::ops::Range<i64>,
    expected: &Held,
    found: &'a Held,
) -> Vec<&'a Bar> {
    let is_in = |start: i64, bar: &Bar| start >= window.start && start + bar.width.nanos() <= window.end;
    let mut compared = Vec::new();
    for (key, bar) in &expected.bars {
        if key.0 != symbol || !is_in(key.2, bar) {
            continue;
        }
        let own = found.bars.get(key).unwrap_or_else(|| panic!("{name}: there is no bar {key:?}"));
        assert_eq!(figures(own), figures(bar), "{name}: {key:?}");
        compared.push(own);
    }
    assert!(compared.len() > 2, "{name}: too little of {symbol} was compared");
    compared
}

fn are_whole(bars: &[&Bar]) -> bool {
    bars.iter().all(|bar| (bar.coverage - 1.0).abs() < f64::EPSILON)
}

/// Adds and removes symbols of a venue that is in charge of a feed, `more` of which the environment names.
fn check(dialect: &'static dyn Dialect, feed: &str, more: &[(String, String)]) {
    let name = dialect.name();
    println!("{name}");
    let dir = tempfile::tempdir().unwrap();
    let trades = made_market(dialect, NUM_TRADES);
    let more: Vec<(&str, &str)> = more.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let [first, second] = dialect.symbols();
    let expected = replayed(dir.path(), &trades);
    let venue = FakeVenue::start(dialect, &trades, &[]);
    venue.pause_at(ADDED_AT);
    let added = trades[ADDED_AT - 1].ts;
    let window = added - added.rem_euclid(MINUTE);
    let removed = trades[REMOVED_AT - 1].ts;
    // Of the new symbol everything since the beginning of its first window, where the venue can be asked for it.
    let since = if dialect.has_past_trades() { window } else { added + 1 };
    let ledger = inside::run_with(dir.path(), &venue, first, &more, async |inside| {
        let begun = num_of(first, &trades[..ADDED_AT]);
        // Where nobody confirms a subscription it counts as complete only some seconds later.
        let is_settled = || match dialect.has_past_trades() {
            true => inside.venue_metric("gaps_open") == 0,
            false => inside.venue_metric("holes_given_up_total") > 0,
        };
        let has_begun = || inside.in_bars(first) == begun && is_settled();
        inside.until(&format!("trades of {first}"), has_begun).await;
        let answer = inside.control.follow(wanted(&[second, first])).await.unwrap();
        let expected = SymbolsFollowed {
            added: vec![second.to_owned()],
            present: vec![first.to_owned()],
            refused: vec![],
        };
        assert_eq!(answer, expected, "{name}");
        // The market trades on once it is subscribed to both.
        venue.wait_for_symbols(2);
        venue.pause_at(REMOVED_AT);
        let own: Vec<MarketTrade> =
            trades[..REMOVED_AT].iter().filter(|trade| trade.ts >= since).cloned().collect();
        let is_there = || {
            venue.num_played() == REMOVED_AT
                && inside.in_bars(first) == num_of(first, &trades[..REMOVED_AT])
                && inside.in_bars(second) == num_of(second, &own)
        };
        inside.until(&format!("trades of both at {name}"), is_there).await;
        assert_eq!(venue.num_connections(), 1, "{name}: it is subscribed to over the connection there is");
        let left = inside.control.unfollow(vec![first.to_owned()]).await.unwrap();
        assert_eq!(left.removed, [first], "{name}");
        venue.wait_for_symbols(1);
        wait_until_unsubscribed(inside, &venue, first).await;
        venue.resume();
        let own: Vec<MarketTrade> = trades.iter().filter(|trade| trade.ts >= since).cloned().collect();
        let is_done = || venue.num_played() == trades.len() && inside.in_bars(second) == num_of(second, &own);
        inside.until(&format!("the rest of {second} at {name}"), is_done).await;
        assert_eq!(inside.in_bars(first), num_of(first, &trades[..REMOVED_AT]), "{name}: nothing of it came");
        assert_eq!(inside.venue_metric("failures_total"), 0, "{name}");
    });
    assert_eq!((ledger.late, ledger.residue()), (0, 0), "{name}");
    let found = held(&dir.path().join("data"));
    let last_window = removed - removed.rem_euclid(MINUTE);
    // What the start missed reaches to where the market waited, where nobody can be asked for it.
    let begun = if dialect.has_past_trades() { trades[0].ts + 2 * MINUTE } else { window + MINUTE };
    let stayed = begun..last_window;
    assert!(are_whole(&compare(name, first, stayed, &expected, &found)), "{name}: {first} lacks nothing");
    let whole = if dialect.has_past_trades() { window } else { window + 2 * MINUTE };
    let bars = compare(name, second, whole..i64::MAX, &expected, &found);
    // Without past trades it may lack some until the subscription counts as complete.
    assert!(
        !dialect.has_past_trades() || are_whole(&bars),
        "{name}: {second} lacks nothing since it was added"
    );
    for ((symbol, width, start), bar) in &found.bars {
        let end = start + width.nanos();
        let lacks = (symbol == second && *start < window) || (symbol == first && end > removed + MINUTE);
        assert!(
            !lacks || bar.coverage < 1.0,
            "{name}: {symbol} {width} at {start} says nothing of what it lacks"
        );
    }
    let kept: Value =
        serde_json::from_slice(&std::fs::read(dir.path().join("data/symbols.json")).unwrap()).unwrap();
    assert_eq!(kept["feeds"][feed], json!({"added": [second], "removed": [first]}));
}

/// Waits until no connection of the venue is subscribed to a symbol.
async fn wait_until_unsubscribed(inside: &Inside<'_>, venue: &FakeVenue, symbol: &str) {
    inside.until(&format!("end of the subscription of {symbol}"), || !venue.is_subscribed(symbol)).await;
}

#[test]
fn a_symbol_is_added_and_another_removed_while_trades_flow_at_every_venue() {
    for dialect in dialects::ALL.into_iter().filter(|dialect| dialect.trades_per_answer() == 0) {
        check(dialect, dialect.name(), &[]);
    }
}

/// Returns a venue that is one of two of a feed, and what the configuration says of it.
fn one_of_two(dialect: &'static dyn Dialect, list: &str) -> (FakeVenue, Vec<(String, String)>) {
    let venue = FakeVenue::start(dialect, &made_market(dialect, NUM_TRADES), &[]);
    let mut environment = venue.environment();
    environment.push(("TICKWIRE__PROVIDER__NAME".to_owned(), list.to_owned()));
    (venue, environment)
}

#[test]
fn a_symbol_is_added_and_another_removed_where_a_standby_waits() {
    let (standby, environment) = one_of_two(&Coinbase, "kraken,coinbase");
    check(&Kraken, "kraken", &environment);
    assert_eq!(standby.num_connections(), 0, "nobody needed it");
}

#[test]
fn a_symbol_is_added_and_another_removed_while_a_standby_is_in_charge() {
    let (first, environment) = one_of_two(&Kraken, "kraken,coinbase");
    first.meet(usize::MAX, Welcome::Refuse);
    first.fail_rest(usize::MAX, RestFault::Status("503 Service Unavailable"));
    check(&Coinbase, "kraken", &environment);
}

#[test]
fn what_the_venue_lists_can_be_searched_and_followed_over_rest_and_stays_so() {
    let dir = tempfile::tempdir().unwrap();
    let dialect: &dyn Dialect = &Coinbase;
    let trades = made_market(dialect, 300);
    let venue = FakeVenue::start(&Coinbase, &trades, &[]);
    venue.pause_at(100);
    let live = Live::start(dir.path(), &venue, "BTC-USD", &[]);
    live.program.line_with(" ready");
    let found = live.program.get("REST", "/api/v1/symbols?q=eth").unwrap().json();
    assert_eq!((&found["symbols"], &found["unasked"]), (&json!([]), &json!([])), "{found}");
    let listed = json!({
        "symbol": "ETH-USD", "venue": "coinbase", "feed": "coinbase", "venue_symbol": "ETH-USD",
        "asset_class": "crypto", "is_trading": true, "is_followed": false,
    });
    assert_eq!(found["found"], json!([listed]));
    let url = format!("{}/api/v1/symbols", live.program.address("REST"));
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let unknown = agent.post(&url).send_json(json!({"symbols": ["NOPE-USD"]})).unwrap();
    assert_eq!(unknown.status().as_u16(), 422);
    let unknown: Value = unknown.into_body().read_json().unwrap();
    assert_eq!(unknown["code"], "symbols_refused");
    assert!(unknown["detail"].as_str().unwrap().contains("there is BTC-USD, ETH-USD"), "{unknown}");
    let answer = agent.post(&url).send_json(json!({"symbols": ["ethusd"], "feed": "coinbase"})).unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    venue.wait_for_symbols(2);
    venue.pause_at(200);
    let latest = |live: &Live| {
        let latest = live.program.get("REST", "/api/v1/latest/ETH-USD")?;
        (latest.status == 200).then_some(())
    };
    wait_for("a trade of it", || latest(&live));
    let found = live.program.get("REST", "/api/v1/symbols?q=eth").unwrap().json();
    assert_eq!((&found["symbols"], &found["found"][0]["is_followed"]), (&json!(["ETH-USD"]), &json!(true)));
    live.program.stop();
    let live = Live::start(dir.path(), &venue, "BTC-USD", &[]);
    live.program.line_with(" ready");
    venue.resume();
    wait_for("every trade of both", || (venue.num_played() == trades.len()).then_some(()));
    wait_for("a feed that is well", || {
        let health = live.program.get("REST", "/health")?.json();
        let detail = health["details"]["messages"]["feed_coinbase"].to_string();
        detail.contains("2 symbols").then_some(())
    });
    live.program.stop();
}
