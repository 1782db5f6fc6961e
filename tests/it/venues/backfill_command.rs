//! `tickwire backfill` against fake venues: a directory gets the bars that the venue has, keeps its own, and goes on after
//! whatever interrupts it.

use super::dialects::coinbase::Coinbase;
use super::fake::market::{MarketBar, SECOND, bars};
use super::fake::{FakeVenue, MarketTrade, RestFault};
use crate::support::process::{Ended, Program, command, run_args, wait_for};
use crate::support::rows::{assert_same_rows, block_on, execute, history_rows};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tickwire::clock::{Clock, SystemClock};
use tickwire::config::Config;
use tickwire::models::bar::{Bar, BarOrigin, BarState};
use tickwire::models::effect::{Effect, IndicatorPoint};
use tickwire::models::indicators::IndicatorSeries;
use tickwire::models::num::{Price, Scale};
use tickwire::models::symbol::SymbolSpec;
use tickwire::models::time::{DAY, HOUR, MINUTE, Nanos, Width};
use tickwire::names::{SourceTable, SymbolTable};
use tickwire::stores::history::sqlite::SqliteHistory;
use tickwire::stores::history::{History, HistoryBatch};
use tickwire::stores::log::sqlite::SqliteLog;

const SYMBOL: &str = "BTC-USD";

/// A market that trades now and then: over days there are many windows without a trade.
fn market(num_days: i64) -> Vec<MarketTrade> {
    let end = SystemClock.now().0 - 2 * HOUR;
    let begin = end - num_days * DAY;
    let mut trades = Vec::new();
    let (mut ts, mut id) = (begin - begin % (30 * MINUTE) + 7 * SECOND, 1_000);
    while ts < end {
        id += 1;
        let cents = 6_890_000 + i64::try_from(id * id % 9_001).unwrap();
        trades.push(MarketTrade {
            symbol: SYMBOL.to_owned(),
            id,
            ts,
            price: format!("{}.{:02}", cents / 100, cents % 100),
            size: format!("0.{:04}", 1 + id % 977),
        });
        ts += (3 + i64::try_from(id % 11).unwrap()) * 97 * SECOND;
    }
    trades
}

/// A venue at which all of it has happened.
fn venue_of(trades: &[MarketTrade]) -> FakeVenue {
    let venue = FakeVenue::start(&Coinbase, trades, &[]);
    venue.pass(trades.len());
    venue
}

fn start(data: &Path, venue: &FakeVenue, args: &[&str], environment: &[(&str, &str)]) -> Program {
    let mut all = vec!["backfill", "--venue", venue.dialect().name(), "--symbols", SYMBOL];
    all.extend(["--data-dir", data.to_str().unwrap()]);
    all.extend(args);
    let mut backfill = command(&all);
    // Twenty days have few bars of a day, and what is asked for is counted here.
    backfill.env("TICKWIRE__CORE__WINDOWS", "1min,5min,15min");
    backfill.envs(venue.environment()).envs(environment.iter().copied());
    Program::start(backfill)
}

fn backfill(data: &Path, venue: &FakeVenue, args: &[&str]) -> Ended {
    start(data, venue, args, &[]).wait()
}

fn filled(ended: &Ended) {
    assert!(ended.status.success(), "{}\n{}", ended.stdout, ended.stderr);
}

/// Opens what a directory holds.
async fn open(data: &Path) -> (Arc<SymbolTable>, SqliteHistory) {
    let (symbols, sources) = (Arc::<SymbolTable>::default(), Arc::<SourceTable>::default());
    let settings = Config::default().sqlite_settings();
    let log =
        SqliteLog::open(data, Arc::clone(&symbols), Arc::clone(&sources), settings.clone()).await.unwrap();
    let history =
        SqliteHistory::open(data, Arc::clone(&symbols), sources, settings, log.epoch()).await.unwrap();
    (symbols, history)
}

/// Returns the bars of a directory with their indicators, by width and start.
fn held(data: &Path) -> BTreeMap<(Width, i64), (Bar, IndicatorPoint)> {
    block_on(async {
        let (_, history) = open(data).await;
        let all = history.scan(None, usize::MAX >> 1).await.unwrap();
        all.into_iter().map(|(bar, point)| ((bar.width, bar.start.0), (bar, point))).collect()
    })
}

fn width(minutes: i64) -> Width {
    Width::new(minutes * MINUTE).unwrap()
}

/// Returns the bars that the venue gives: the last window still forms.
fn ended(trades: &[MarketTrade], width: Width) -> Vec<MarketBar> {
    let mut all = bars(trades.iter(), width.nanos());
    all.retain(|bar| bar.start + width.nanos() <= trades.last().unwrap().ts);
    all
}

/// Holds the bars of a width against those of the trades.
fn are_those_of(trades: &[MarketTrade], width: Width, found: &BTreeMap<(Width, i64), (Bar, IndicatorPoint)>) {
    let text = |raw: i128, scale: Scale| scale.show(raw).to_string();
    let shown = |bar: &Bar| {
        let [open, high, low, close] =
            [bar.open, bar.high, bar.low, bar.close].map(|price| text(price.0.into(), Scale::PRICE));
        (bar.start.0, [open, high, low, close, text(bar.volume, Scale::SIZE)])
    };
    let expected: Vec<_> = ended(trades, width)
        .into_iter()
        .map(|MarketBar { start, open, high, low, close, volume, .. }| {
            (start, [open, high, low, close, volume].map(|text| shortest(&text)))
        })
        .collect();
    let own: Vec<_> = found
        .iter()
        .filter(|((of, _), _)| *of == width)
        .map(|(_, (bar, _))| {
            let (start, texts) = shown(bar);
            (start, texts.map(|text| shortest(&text)))
        })
        .collect();
    assert!(expected.len() > 100, "too few to tell");
    assert_eq!(own, expected, "{width}");
}

fn shortest(text: &str) -> String {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    }
}

/// Holds the indicators of a width against those of a run over its bars.
fn indicators_are_those_of_a_run(width: Width, found: &BTreeMap<(Width, i64), (Bar, IndicatorPoint)>) {
    let mut series = IndicatorSeries::new(Scale::PRICE);
    let mut num_compared = 0;
    for ((_, start), (bar, point)) in found.iter().filter(|((of, _), _)| *of == width) {
        series.upsert(bar.start, bar.close);
        let (_, _, expected) = series.latest().unwrap();
        series.seal(bar.start);
        for (own, expected) in point.values.in_order().into_iter().zip(expected.in_order()) {
            let (Some(own), Some(expected)) = (own, expected) else {
                assert_eq!(own, expected, "{width} at {start}");
                continue;
            };
            assert!((own - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{own} {expected}");
            num_compared += 1;
        }
    }
    assert!(num_compared > 1_000);
}

#[test]
fn a_directory_gets_the_bars_that_the_venue_has_within_its_limits() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let trades = market(20);
    let venue = venue_of(&trades);
    // Its list of instruments, and then pages of bars.
    venue.fail_rest(4, RestFault::Limit(0));
    let ended = backfill(&data, &venue, &["--from", "-21d"]);
    filled(&ended);
    assert!(ended.stdout.contains("left to the live feed"), "{}", ended.stdout);
    let found = held(&data);
    for minutes in [1, 5, 15] {
        are_those_of(&trades, width(minutes), &found);
        indicators_are_those_of_a_run(width(minutes), &found);
    }
    for (bar, point) in found.values() {
        assert_eq!((bar.origin, bar.state, bar.coverage), (BarOrigin::Vendor, BarState::Closed, 0.0));
        assert_eq!((bar.log_pos >> 48, point.log_pos), (1, bar.log_pos));
    }

    let (rows, num_requests) = (history_rows(&data), venue.num_requests());
    let again = backfill(&data, &venue, &["--from", "-20d", "--to", "-1d"]);
    filled(&again);
    assert!(again.stdout.contains("; nothing had to be asked for"), "{}", again.stdout);
    assert_eq!(venue.num_requests(), num_requests + 1, "the list of instruments alone");
    assert_same_rows(&rows, &history_rows(&data), "the second time");

    let serve = Program::start(command(&["serve", "--data-dir", data.to_str().unwrap()]));
    serve.line_with(" ready");
    let path = format!("/api/v1/aggregated/{SYMBOL}?window=15min&limit=3&start_time=2000-01-01");
    let shown = serve.get("REST", &path).unwrap().json();
    let seen = (shown[0]["origin"].as_str(), shown[0]["coverage"].as_f64());
    assert_eq!(seen, (Some("vendor"), Some(0.0)), "{shown}");
    let path = format!("/api/v1/indicators/{SYMBOL}?window=15min&start_time=2000-01-01&limit=1");
    let shown = serve.get("REST", &path).unwrap().json();
    assert!(shown[0]["sma_200"].is_number(), "{shown}");
    serve.stop();
}

#[test]
fn a_killed_back_fill_goes_on_and_ends_in_the_same_rows() {
    let dir = tempfile::tempdir().unwrap();
    let trades = market(20);
    let venue = venue_of(&trades);
    let to = Nanos(trades.last().unwrap().ts).plus(-DAY).to_rfc3339();
    let args = ["--from", "-20d", "--to", &to, "--window", "1min"];
    let whole = dir.path().join("whole");
    filled(&backfill(&whole, &venue, &args));
    let num_whole = venue.num_requests();

    let data = dir.path().join("data");
    let limit = venue.variable("requests_per_minute");
    let program = start(&data, &venue, &args, &[(limit.as_str(), "1200")]);
    // One part of three is 34 pages.
    wait_for("a part", || (venue.num_requests() >= num_whole + 50).then_some(()));
    assert!(!program.kill().status.success());
    let num_killed = venue.num_requests();
    let num_held = held(&data).len();
    assert!((1..held(&whole).len()).contains(&num_held), "{num_held}");

    filled(&backfill(&data, &venue, &args));
    assert!(venue.num_requests() - num_killed < num_whole, "what was there is not asked for again");
    assert_same_rows(&history_rows(&whole), &history_rows(&data), "after the kill");
}

#[test]
fn own_bars_stay_where_they_are_whole() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let trades = market(2);
    let given = ended(&trades, width(1));
    // Of five windows of trades the third is whole, the fourth not; the fifth is of a venue.
    let own = [(1.0, BarOrigin::Trades), (0.5, BarOrigin::Trades), (0.0, BarOrigin::Vendor)];
    let starts: Vec<i64> = given[100..105].iter().map(|bar| bar.start).collect();
    block_on(async {
        std::fs::create_dir_all(&data).unwrap();
        let (symbols, history) = open(&data).await;
        let symbol = symbols.intern(SymbolSpec::named(SYMBOL));
        let mut effects = Vec::new();
        for (&start, (coverage, origin)) in starts[2..].iter().zip(own) {
            let price = Price(7);
            let bar = Bar {
                symbol,
                width: width(1),
                start: Nanos(start),
                open: price,
                high: price,
                low: price,
                close: price,
                volume: 1,
                vwap: None,
                trade_count: 1,
                state: BarState::Closed,
                origin,
                revision: 0,
                coverage,
                late: 0,
                duplicates: 0,
                cancelled: 0,
                seq: 1,
                log_pos: 9,
            };
            effects.push(Effect::Bar(bar));
            let Bar { width, start, close, vwap, log_pos, .. } = bar;
            let values = Default::default();
            effects.push(Effect::Indicators(IndicatorPoint {
                symbol,
                width,
                start,
                close,
                vwap,
                values,
                log_pos,
            }));
        }
        let batch = HistoryBatch {
            effects: vec![Arc::new(effects)],
            reports: Vec::new(),
            dead_letters: Vec::new(),
            acknowledged: 9,
        };
        history.write(&batch).await.unwrap();
        history.close().await.unwrap();
    });
    filled(&backfill(&data, &venue_of(&trades), &["--from", "-3d", "--window", "1min"]));
    let found = held(&data);
    let is_own: Vec<bool> =
        starts.iter().map(|&start| found[&(width(1), start)].0.close == Price(7)).collect();
    assert_eq!(is_own, [false, false, true, false, true]);
    let replaced = found[&(width(1), starts[3])].0;
    assert_eq!((replaced.origin, replaced.coverage), (BarOrigin::Vendor, 0.5), "the share stays known");
    assert_eq!(found.len(), given.len());
    assert_eq!(block_on(async { open(&data).await.1.acknowledged().await.unwrap() }), 9);
}

#[test]
fn a_width_that_the_venue_lacks_is_made_of_a_smaller_one() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let trades = market(10);
    let venue = venue_of(&trades);
    let windows = [("TICKWIRE__CORE__WINDOWS", "30s,30min")];
    let args = ["--from", "-11d", "--window", "30min"];
    filled(&start(&data, &venue, &args, &windows).wait());
    let found = held(&data);
    let half = width(30);
    assert!(found.keys().all(|(of, _)| *of == half));
    are_those_of(&trades, half, &found);

    let ended = start(&data, &venue, &["--from", "-11d", "--window", "30s"], &windows).wait();
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stdout.contains("BTC-USD 30s: no venue that has it gives bars"), "{}", ended.stdout);
    assert!(ended.stderr.contains("not everything could be filled: BTC-USD 30s"), "{}", ended.stderr);
}

#[test]
fn what_a_venue_refuses_is_said_and_what_was_damaged_comes_again() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let trades = market(2);
    let venue = venue_of(&trades);
    let args = ["--from", "-2d", "--window", "1min,5min"];
    venue.fail_rest(usize::MAX, RestFault::Status("404 Not Found"));
    let ended = backfill(&data, &venue, &args);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stdout);
    assert!(
        ended.stdout.contains("BTC-USD 1min is not filled to its end: answer is 404"),
        "{}",
        ended.stdout
    );
    assert!(ended.stderr.contains("BTC-USD 1min, BTC-USD 5min; what was filled is kept"), "{}", ended.stderr);
    venue.fail_rest(2, RestFault::Limit(3_600));
    let ended = backfill(&data, &venue, &args);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stdout);
    assert!(ended.stdout.contains("it wants to be left alone for 60 minutes"), "{}", ended.stdout);
    venue.forgive();

    filled(&backfill(&data, &venue, &args));
    let rows = history_rows(&data);
    let first = "(symbol, width, start) = (SELECT symbol, width, start FROM bars LIMIT 1)";
    execute(&data, "history.db", &format!("UPDATE bars SET close = 0 WHERE {first}"));
    execute(
        &data,
        "history.db",
        "UPDATE indicators SET close = 9 WHERE start = (SELECT max(start) FROM indicators)",
    );
    let repair = Program::start(command(&["check", "--repair", "--data-dir", data.to_str().unwrap()])).wait();
    assert!(
        repair.stdout.contains("it came of `tickwire backfill`, which brings it again"),
        "{}",
        repair.stdout
    );
    assert!(history_rows(&data).len() < rows.len());
    filled(&backfill(&data, &venue, &args));
    assert_eq!(history_rows(&data).len(), rows.len());
}

#[test]
fn wrong_usage_and_a_directory_in_use_are_said() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let venue = venue_of(&market(1));
    for (args, said) in [
        (vec!["--from", "-1d", "--venue", "nope"], "nobody serves `nope`"),
        (vec!["--from", "-1d", "--venue", "simulated"], "there is no past to fetch"),
        (vec!["--from", "soon"], "`--from soon` is no time; it takes a date"),
        (vec!["--from", "-1d", "--to", "-2d"], "is not after `--from`"),
        (vec!["--from", "-1s"], "nothing is left to fill"),
        (
            vec!["--from", "-1d", "--window", "7min"],
            "none of the windows in `core.windows`: 1min, 5min, 15min, 1h, 1d",
        ),
    ] {
        let mut all = vec!["backfill", "--symbols", SYMBOL, "--data-dir", data.to_str().unwrap()];
        if !args.contains(&"--venue") {
            all.extend(["--venue", "coinbase"]);
        }
        all.extend(args);
        let mut backfill = command(&all);
        backfill.envs(venue.environment());
        let ended = Program::start(backfill).wait();
        assert_eq!(ended.status.code(), Some(2), "{all:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{all:?}: {}", ended.stderr);
    }
    let without = Program::start(command(&["backfill", "--symbols", SYMBOL])).wait();
    assert_eq!(without.status.code(), Some(2));

    let data = dir.path().join("simulated");
    let run = Program::start(command(&run_args(&data, &[])));
    run.line_with(" ready");
    let busy = backfill(&data, &venue, &["--from", "-1d"]);
    assert_eq!(busy.status.code(), Some(1));
    assert!(busy.stderr.contains("another process uses the data directory"), "{}", busy.stderr);
    run.stop();
    let made_up = backfill(&data, &venue, &["--from", "-1d"]);
    assert_eq!(made_up.status.code(), Some(1));
    assert!(made_up.stderr.contains("and what a venue says does not belong there"), "{}", made_up.stderr);
}
