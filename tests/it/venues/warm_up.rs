//! Symbols that begin with their past, and go on after hours away, at every venue that gives bars: what the history holds in the
//! end is the market's own, and every indicator is that of a run over the same bars.

use super::dialects;
use super::dialects::coinbase::Coinbase;
use super::dialects::kraken::Kraken;
use super::fake::market::{MarketBar, SECOND, bars, formed};
use super::fake::{Dialect, FakeVenue, MarketTrade, RestFault, Welcome};
use super::inside::{self, Inside};
use crate::support::process::WAIT_MAX;
use crate::support::rows::block_on;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tickwire::config::Config;
use tickwire::models::bar::{Bar, BarOrigin};
use tickwire::models::effect::IndicatorPoint;
use tickwire::models::indicators::IndicatorSeries;
use tickwire::models::num::{Price, Scale};
use tickwire::models::time::{HOUR, MINUTE, Nanos, Width};
use tickwire::names::{SourceTable, SymbolTable};
use tickwire::stores::history::sqlite::SqliteHistory;
use tickwire::stores::history::{History, WindowQuery};
use tickwire::stores::log::sqlite::SqliteLog;
use tickwire::web::symbol_control::{FollowSymbols, SymbolControl};

/// 2023-11-14T22:15:00Z: a whole quarter of an hour.
const START: i64 = 1_700_000_100 * SECOND;

/// The market is too short for days: `shell/warm_up.rs` has those.
const WITH_PAST: [(&str, &str); 2] =
    [("TICKWIRE__PROVIDER__WARM_UP", "1h"), ("TICKWIRE__CORE__WINDOWS", "1min,5min,15min")];

/// Windows of each width that a new symbol begins with.
const NUM_BARS: usize = 200;

/// A trade of each symbol in every minute.
fn market(dialect: &dyn Dialect, hours: i64) -> Vec<MarketTrade> {
    let mut trades = Vec::new();
    for minute in 0..hours * 60 {
        for (at, symbol) in (0..).zip(dialect.symbols()) {
            let draw = (minute * 7_919 + at * 104_729) % 1_013;
            let cents = 230_000 + draw * 7;
            trades.push(MarketTrade {
                symbol: symbol.to_owned(),
                id: 1_000 + minute.unsigned_abs(),
                ts: START + minute * MINUTE + (2 + draw % 55) * SECOND,
                price: format!("{}.{:02}", cents / 100, cents % 100),
                size: format!("{}", 1 + draw % 9),
            });
        }
    }
    formed(trades, dialect.form())
}

/// The dialects of venues that give bars of the past.
fn with_bars() -> Vec<&'static dyn Dialect> {
    let found: Vec<_> =
        dialects::ALL.into_iter().filter(|dialect| dialect.trades_per_answer() == 0).collect();
    assert!(found.len() >= 6, "only {} venues give bars", found.len());
    found
}

fn width(minutes: i64) -> Width {
    Width::new(minutes * MINUTE).unwrap()
}

type Held = BTreeMap<(String, Width), Vec<(Bar, IndicatorPoint)>>;

/// Returns the bars of a directory with their indicators, by symbol and width, oldest first.
fn held(data: &Path) -> Held {
    block_on(async {
        let (symbols, sources) = (Arc::<SymbolTable>::default(), Arc::<SourceTable>::default());
        let settings = Config::default().sqlite_settings();
        let log = SqliteLog::open(data, Arc::clone(&symbols), Arc::clone(&sources), settings.clone())
            .await
            .unwrap();
        let history =
            SqliteHistory::open(data, Arc::clone(&symbols), sources, settings, log.epoch()).await.unwrap();
        let mut held = Held::new();
        for (bar, point) in history.scan(None, usize::MAX >> 1).await.unwrap() {
            let name = symbols.spec(bar.symbol).name.clone();
            held.entry((name, bar.width)).or_default().push((bar, point));
        }
        held
    })
}

/// Runs the market on to where it rests, and waits until every trade that the stream brings counts, and the bars of the minute
/// that holds a time are there.
fn run_on(dir: &Path, venue: &FakeVenue, num_trades: usize, time: i64) {
    run_among(dir, venue, &[], num_trades, time);
}

/// The same of a venue that is one of several.
fn run_among(dir: &Path, venue: &FakeVenue, more: &[(String, String)], num_trades: usize, time: i64) {
    let name = venue.dialect().name();
    let num_missed = venue.missed().len();
    let num_played = venue.num_played();
    venue.pause_at(num_trades);
    let mut environment = WITH_PAST.to_vec();
    environment.extend(more.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let ledger = inside::run(dir, venue, &environment, async |inside| {
        let is_done = || {
            // Trades that have happened are among those missed until a stream has brought them.
            let num_left_out = venue.missed().len() - num_missed;
            let num_streamed = (num_trades - num_played).saturating_sub(num_left_out);
            venue.num_played() == num_trades
                && num_streamed > 0
                && inside.num_in_bars() >= num_streamed as u64
                && inside.venue_metric("gaps_open") == 0
        };
        inside.until(&format!("every trade of {name}"), is_done).await;
        if !more.is_empty() {
            // The last trade may have come before the venue that brought it took charge, and nothing moves the clock since.
            venue.finish();
        }
        wait_for_bars(inside, venue, time).await;
    });
    assert_eq!((ledger.late, ledger.residue()), (0, 0), "{name}");
}

/// Waits until the bars of the minute that holds a time are there.
async fn wait_for_bars(inside: &Inside<'_>, venue: &FakeVenue, time: i64) {
    for symbol in venue.symbols() {
        let symbol = inside.node.symbols.get(symbol).unwrap();
        let start = width(1).start_of(Nanos(time));
        let query = WindowQuery { symbol, width: width(1), start, end: start.plus(MINUTE), limit: 1 };
        let begun = Instant::now();
        while inside.node.history.bars(&query).await.unwrap().is_empty() {
            let (name, start) = (venue.dialect().name(), start.to_rfc3339());
            let health = inside.node.health.components();
            assert!(begun.elapsed() < WAIT_MAX, "{name}: no bar of {start}: {health:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// Holds what a directory has against the market. `seams` are times at which a stream began or ended: a venue without past
/// trades may lack what happened in their minutes.
fn is_the_market(name: &str, held: &Held, trades: &[MarketTrade], seams: &[i64]) {
    let (mut num_compared, mut wrong) = (0, Vec::new());
    for ((symbol, width), rows) in held {
        let mut series = IndicatorSeries::new(Scale::PRICE);
        for (bar, point) in rows {
            series.upsert(bar.start, bar.close);
            let (_, _, expected) = series.latest().unwrap();
            assert_eq!(point.values, expected, "{name}: {symbol} {width} at {}", bar.start.to_rfc3339());
        }
        let of_symbol = trades.iter().filter(|trade| trade.symbol == *symbol);
        let first = rows[0].0.start.0;
        let is_at_seam = |start: i64| {
            seams.iter().any(|seam| (start - MINUTE..start + width.nanos() + MINUTE).contains(seam))
        };
        let closes: BTreeMap<i64, &Bar> = rows.iter().map(|(bar, _)| (bar.start.0, bar)).collect();
        for MarketBar { start, close, high, low, .. } in bars(of_symbol, width.nanos()) {
            if start < first || is_at_seam(start) {
                continue;
            }
            let found = closes.get(&start).map(|bar| [bar.close, bar.high, bar.low].map(shown));
            let expected = [close, high, low].map(|text| format!("{:.2}", text.parse::<f64>().unwrap()));
            if found.as_ref() != Some(&expected) {
                wrong.push(format!(
                    "{symbol} {width} {}: {found:?}, not {expected:?}",
                    Nanos(start).to_rfc3339()
                ));
            }
            num_compared += 1;
        }
    }
    assert!(wrong.is_empty(), "{name}: {}", wrong.join("\n"));
    assert!(num_compared > 6 * NUM_BARS, "{name}: {num_compared}");
}

fn shown(price: Price) -> String {
    format!("{:.2}", Scale::PRICE.to_f64(price.0))
}

/// Checks that every indicator was there with the last bar before a time.
fn was_warm_at(name: &str, held: &Held, time: i64) {
    assert_eq!(held.len(), 6, "{name}: two symbols of three widths");
    for ((symbol, width), rows) in held {
        let before: Vec<_> = rows.iter().take_while(|(bar, _)| bar.end().0 <= time).collect();
        assert!(before.len() >= NUM_BARS, "{name}: {} bars of {symbol} {width}", before.len());
        let (_, point) = before.last().unwrap();
        assert_eq!(before[0].0.origin, BarOrigin::Vendor, "{name}: {symbol} {width}");
        assert!(point.values.in_order().iter().all(Option::is_some), "{name}: {symbol} {width}: {point:?}");
    }
}

#[test]
fn a_new_symbol_has_every_indicator_of_every_window_at_every_venue() {
    for dialect in with_bars() {
        let name = dialect.name();
        println!("{name}");
        let dir = tempfile::tempdir().unwrap();
        let trades = market(dialect, 56);
        let venue = FakeVenue::start(dialect, &trades, &[]);
        venue.wait_for_symbols(venue.symbols().len());
        let num_past = trades.partition_point(|trade| trade.ts < START + 54 * HOUR + 7 * MINUTE);
        venue.pass(num_past);
        let begun = trades[num_past].ts;
        run_on(dir.path(), &venue, trades.len(), begun - 3 * MINUTE);
        let held = held(&dir.path().join("data"));
        was_warm_at(name, &held, begun - begun.rem_euclid(MINUTE));
        is_the_market(name, &held, &trades, &[begun]);
    }
}

#[test]
fn a_symbol_that_was_away_for_hours_goes_on_with_its_own_bars_and_the_venues() {
    for dialect in with_bars() {
        let name = dialect.name();
        println!("{name}");
        let dir = tempfile::tempdir().unwrap();
        let trades = market(dialect, 60);
        let venue = FakeVenue::start(dialect, &trades, &[]);
        venue.wait_for_symbols(venue.symbols().len());
        let at = |hours: i64| trades.partition_point(|trade| trade.ts < START + hours * HOUR + 7 * MINUTE);
        venue.pass(at(54));
        let seams = [54, 55, 58].map(|hours| trades[at(hours)].ts);
        run_on(dir.path(), &venue, at(55), seams[0] - 3 * MINUTE);
        venue.pass(at(58) - at(55));
        run_on(dir.path(), &venue, trades.len(), seams[2] - 3 * MINUTE);
        let held = held(&dir.path().join("data"));
        is_the_market(name, &held, &trades, &seams);
    }
}

/// Two venues of one feed, and its configuration.
fn kraken_before_coinbase(trades: &[MarketTrade]) -> ([FakeVenue; 2], Vec<(String, String)>) {
    let venues: [FakeVenue; 2] =
        [&Kraken as &'static dyn Dialect, &Coinbase].map(|dialect| FakeVenue::start(dialect, trades, &[]));
    let mut environment: Vec<_> = venues.iter().flat_map(FakeVenue::environment).collect();
    environment.push(("TICKWIRE__PROVIDER__NAME".to_owned(), "kraken,coinbase".to_owned()));
    venues.iter().for_each(|venue| venue.wait_for_symbols(venue.symbols().len()));
    (venues, environment)
}

#[test]
fn the_past_that_the_first_venue_cannot_give_comes_from_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let trades = market(&Coinbase, 56);
    let num_past = trades.partition_point(|trade| trade.ts < START + 54 * HOUR + 7 * MINUTE);
    let begun = trades[num_past].ts;
    let ([first, second], environment) = kraken_before_coinbase(&trades);
    first.pass(num_past);
    second.pass(num_past);
    first.fail_rest(usize::MAX, RestFault::Status("404 Not Found"));
    run_among(dir.path(), &first, &environment, trades.len(), begun - 3 * MINUTE);
    assert_eq!(second.num_connections(), 0, "nobody listens to it");
    let held = held(&dir.path().join("data"));
    was_warm_at("kraken with bars of coinbase", &held, begun - begun.rem_euclid(MINUTE));
    is_the_market("kraken with bars of coinbase", &held, &trades, &[begun]);
}

#[test]
fn a_venue_that_takes_over_before_the_past_is_there_brings_it() {
    let dir = tempfile::tempdir().unwrap();
    let trades = market(&Coinbase, 56);
    let num_past = trades.partition_point(|trade| trade.ts < START + 54 * HOUR + 7 * MINUTE);
    let begun = trades[num_past].ts;
    let ([first, second], environment) = kraken_before_coinbase(&trades);
    second.pass(num_past);
    first.meet(usize::MAX, Welcome::Refuse);
    first.fail_rest(usize::MAX, RestFault::Status("503 Service Unavailable"));
    run_among(dir.path(), &second, &environment, trades.len(), begun - 3 * MINUTE);
    let held = held(&dir.path().join("data"));
    was_warm_at("coinbase in place of kraken", &held, begun - begun.rem_euclid(MINUTE));
    is_the_market("coinbase in place of kraken", &held, &trades, &[begun]);
}

/// Has a venue follow its second symbol, which is new, while it brings the first one, and checks that it begins with its past.
/// The market rests at `num_past` trades.
fn add_among(name: &str, venue: &FakeVenue, environment: &[(String, String)], num_past: usize) {
    let dir = tempfile::tempdir().unwrap();
    let (trades, [first, second]) = (market(&Coinbase, 56), venue.dialect().symbols());
    let added_at = num_past + 60;
    let added = trades[added_at - 1].ts;
    let num_of = |symbol: &str, from: usize| {
        trades[from..].iter().filter(|trade| trade.symbol == symbol).count() as u64
    };
    venue.wait_for_symbols(1);
    venue.pause_at(added_at);
    let mut variables = WITH_PAST.to_vec();
    variables.extend(environment.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let ledger = inside::run_with(dir.path(), venue, first, &variables, async |inside| {
        let is_begun = || {
            venue.num_played() == added_at
                && inside.in_bars(first) >= num_of(first, num_past) - num_of(first, added_at)
                && inside.venue_metric("gaps_open") == 0
        };
        inside.until(&format!("trades of {first}: {name}"), is_begun).await;
        let wanted = FollowSymbols { symbols: vec![second.to_owned()], feed: None };
        assert_eq!(inside.control.follow(wanted).await.unwrap().added, [second], "{name}");
        venue.wait_for_symbols(2);
        venue.resume();
        let is_done =
            || venue.num_played() == trades.len() && inside.in_bars(second) >= num_of(second, added_at);
        inside.until(&format!("trades of {second}: {name}"), is_done).await;
        venue.finish();
        wait_for_bars(inside, venue, trades[trades.len() - 3 * 2].ts).await;
    });
    assert_eq!((ledger.late, ledger.residue()), (0, 0), "{name}");
    let held = held(&dir.path().join("data"));
    was_warm_at(name, &held, added - added.rem_euclid(MINUTE));
    is_the_market(name, &held, &trades, &[trades[num_past].ts, added]);
}

#[test]
fn a_symbol_that_is_added_to_several_venues_begins_with_its_past() {
    let trades = market(&Coinbase, 56);
    let num_past = trades.partition_point(|trade| trade.ts < START + 54 * HOUR + 7 * MINUTE);
    let ([first, second], environment) = kraken_before_coinbase(&trades);
    first.pass(num_past);
    second.pass(num_past);
    add_among("kraken before coinbase", &first, &environment, num_past);
    assert_eq!(second.num_connections(), 0, "nobody listens to it");
}

#[test]
fn a_symbol_that_is_added_while_a_standby_is_in_charge_begins_with_the_standbys_past() {
    let trades = market(&Coinbase, 56);
    let num_past = trades.partition_point(|trade| trade.ts < START + 54 * HOUR + 7 * MINUTE);
    let ([first, second], environment) = kraken_before_coinbase(&trades);
    second.pass(num_past);
    first.meet(usize::MAX, Welcome::Refuse);
    first.fail_rest(usize::MAX, RestFault::Status("503 Service Unavailable"));
    add_among("coinbase in place of kraken", &second, &environment, num_past);
}
