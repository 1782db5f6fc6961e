//! A venue that is asked again and again: its bars stand in the history as it gave them, each once, whatever goes wrong.

use super::dialects::alpha_vantage::AlphaVantage;
use super::fake::market::bars;
use super::fake::{Dialect, FakeVenue, MarketTrade, RestFault};
use super::live::{Live, held, made_market};
use crate::support::process::{Program, command, replay, wait_for};
use std::collections::BTreeMap;
use std::path::Path;
use tickwire::models::bar::{Bar, BarOrigin};
use tickwire::models::num::Scale;
use tickwire::models::time::{MINUTE, Nanos, Width};

/// Figures of a bar as text.
type Figures = [String; 5];

/// Returns the minutes of a market.
fn minutes(trades: &[MarketTrade]) -> BTreeMap<(String, i64), Figures> {
    let of = |symbol: &'static str| {
        let own = trades.iter().filter(move |trade| trade.symbol == symbol);
        bars(own, MINUTE).into_iter().map(move |bar| {
            let figures = [bar.open, bar.high, bar.low, bar.close, bar.volume];
            ((symbol.to_owned(), bar.start), figures.map(|text| plain(&text)))
        })
    };
    AlphaVantage.symbols().into_iter().flat_map(of).collect()
}

/// Takes the zeros off the end of a decimal.
fn plain(text: &str) -> String {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text.to_owned()
    }
}

fn figures(bar: &Bar) -> Figures {
    let text = |raw: i64, scale: Scale| {
        let one = 10_i64.pow(u32::from(scale.decimals()));
        plain(&format!("{}.{:0width$}", raw / one, raw % one, width = usize::from(scale.decimals())))
    };
    let prices = [bar.open, bar.high, bar.low, bar.close].map(|price| text(price.0, Scale::PRICE));
    let [open, high, low, close] = prices;
    [open, high, low, close, text(bar.volume.try_into().unwrap(), Scale::SIZE)]
}

fn symbols() -> String {
    AlphaVantage.symbols().join(",")
}

fn health(live: &Live) -> (String, String) {
    let health = live.program.get("REST", "/health").unwrap().json();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let component = "feed_alpha_vantage";
    (text(&health["components"][component]), text(&health["details"]["messages"][component]))
}

#[test]
fn each_bar_of_a_polled_venue_is_taken_once_and_as_it_is() {
    let trades = made_market(&AlphaVantage, 1_500);
    let expected = minutes(&trades);
    let dir = tempfile::tempdir().unwrap();
    let venue = FakeVenue::start(&AlphaVantage, &trades, &[]);
    venue.pause_at(700);
    let live = Live::start(dir.path(), &venue, &symbols(), &[]);
    live.program.line_with(" ready");
    // Failures of every kind are asked about again.
    for (times, fault) in [
        (2, RestFault::Status("503 Service Unavailable")),
        (1, RestFault::CutAfter(40)),
        (1, RestFault::Limit(0)),
    ] {
        let before = live.metric("failures_total");
        venue.fail_rest(times, fault);
        wait_for("a poll that failed", || (live.metric("failures_total") > before).then_some(()));
    }
    wait_for("half the market", || (venue.num_played() == 700).then_some(()));
    live.program.kill();

    // The next run is given bars again that the log has, and the rest.
    venue.resume();
    let live = Live::start(dir.path(), &venue, &symbols(), &[]);
    live.program.line_with(" ready");
    wait_for("the whole market", || (venue.num_played() == trades.len()).then_some(()));
    venue.finish();
    let newest =
        |symbol: &str| expected.keys().filter(|(name, _)| name == symbol).map(|(_, start)| *start).max();
    let last = AlphaVantage.symbols().map(|symbol| (symbol, newest(symbol).unwrap()));
    wait_for("the last bars", || {
        last.iter()
            .all(|(symbol, start)| {
                let path = format!(
                    "/api/v1/aggregated/{symbol}?window=1min&limit=1&include_forming=true&start_time=2000-01-01"
                );
                let start = Nanos(*start).to_rfc3339();
                live.program
                    .get("REST", &path)
                    .is_some_and(|bars| bars.json()[0]["window_start"] == start.as_str())
            })
            .then_some(())
    });
    let num_asked = venue.num_requests();
    wait_for("answers without news", || (venue.num_requests() > num_asked + 4).then_some(()));
    assert!(live.metric("entries_total") <= expected.len() as u64, "a bar went to the log twice");
    let letters = live.program.get("REST", "/api/v1/dead-letters").unwrap();
    assert!(letters.body.trim() == "[]" || letters.status == 404, "{}", letters.body);
    assert_eq!(health(&live).0, "healthy");
    assert_eq!(live.residue(), 0);
    live.program.stop();
    // The very last bar of a market forms still: nothing has come behind it.
    let last: Vec<(String, i64)> = last.iter().map(|(name, start)| ((*name).to_owned(), *start)).collect();
    are_held(&dir.path().join("data"), &expected, &last);
}

/// Checks that a data directory holds the bars of a market as the venue gave them, those excepted that form still.
fn are_held(data: &Path, expected: &BTreeMap<(String, i64), Figures>, forming: &[(String, i64)]) {
    let minute = Width::new(MINUTE).unwrap();
    let held = held(data);
    let own = held.bars.iter().filter(|((_, width, _), _)| *width == minute);
    let found: BTreeMap<(String, i64), Figures> = own
        .map(|((symbol, _, start), bar)| {
            assert_eq!(bar.origin, BarOrigin::Vendor);
            ((symbol.clone(), *start), figures(bar))
        })
        .collect();
    for (key, figures) in expected {
        match found.get(key) {
            Some(own) => assert_eq!(own, figures, "{key:?}"),
            None => assert!(forming.contains(key), "{key:?} is missing"),
        }
    }
    assert!(found.keys().all(|key| expected.contains_key(key)));
}

#[test]
fn recorded_answers_replay_to_the_bars_that_came() {
    let trades = made_market(&AlphaVantage, 1_500);
    let expected = minutes(&trades);
    let dir = tempfile::tempdir().unwrap();
    let venue = FakeVenue::start(&AlphaVantage, &trades, &[]);
    let (file, data) = (dir.path().join("answers.jsonl"), dir.path().join("data"));
    let file = file.to_str().unwrap();
    let args = ["probe", "alpha_vantage", "--symbols", &symbols(), "--record", file, "--seconds", "3600"];
    let mut probe = command(&args);
    probe.envs(venue.environment());
    let program = Program::start(probe);
    wait_for("the whole market", || (venue.num_played() == trades.len()).then_some(()));
    venue.finish();
    let num_asked = venue.num_requests();
    wait_for("the last answers", || (venue.num_requests() > num_asked + 4).then_some(()));
    let ended = program.stop();
    assert!(ended.stdout.contains(" frames recorded"), "{}", ended.stdout);
    let recorded = std::fs::read_to_string(file).unwrap();
    assert!(AlphaVantage.keys().iter().all(|(_, key)| !recorded.contains(key)));
    let summary = replay(&[file, "--data-dir", data.to_str().unwrap()]).summary();
    assert_eq!(
        (&summary["ledger"]["late"], &summary["ledger"]["residue"]),
        (&0.into(), &0.into()),
        "{summary}"
    );
    let newest = |symbol: &str| expected.keys().filter(|(name, _)| name == symbol).max().unwrap().clone();
    are_held(&data, &expected, &AlphaVantage.symbols().map(newest));
}

#[test]
fn a_spent_quota_is_said_and_not_asked_about_again() {
    let dir = tempfile::tempdir().unwrap();
    let venue = FakeVenue::start(&AlphaVantage, &made_market(&AlphaVantage, 50), &[]);
    venue.fail_rest(usize::MAX, RestFault::RefuseKey(1));
    let live = Live::start(dir.path(), &venue, &symbols(), &[]);
    live.program.line_with(" ready");
    wait_for("a quota that is spent", || health(&live).1.contains("25 requests per day").then_some(()));
    let (status, said) = health(&live);
    assert!(status == "degraded" && said.contains("asked again every hour"), "{said}");
    let [(_, key)] = AlphaVantage.keys()[..] else { panic!("one key") };
    assert!(said.contains("***") && !said.contains(key), "{said}");
    assert_eq!(venue.num_requests(), 1, "the other symbol waits for the same quota");
    live.program.stop();
}

#[test]
fn a_key_that_is_refused_is_not_shown_again() {
    let dir = tempfile::tempdir().unwrap();
    let venue = FakeVenue::start(&AlphaVantage, &made_market(&AlphaVantage, 50), &[]);
    venue.fail_rest(usize::MAX, RestFault::RefuseKey(0));
    let live = Live::start(dir.path(), &venue, &symbols(), &[]);
    live.program.line_with(" ready");
    wait_for("polls that are left out", || health(&live).1.contains("down: refused: ").then_some(()));
    let (status, said) = health(&live);
    assert!(status == "degraded" && said.contains("apikey is invalid or missing"), "{said}");
    assert_eq!(venue.num_requests(), 2, "once for each symbol");
    live.program.stop();
}

#[test]
fn a_symbol_of_a_polled_venue_is_asked_for_from_when_it_is_added_until_it_is_removed() {
    let trades = made_market(&AlphaVantage, 1_500);
    let [first, second] = AlphaVantage.symbols();
    let dir = tempfile::tempdir().unwrap();
    let venue = FakeVenue::start(&AlphaVantage, &trades, &[]);
    venue.pause_at(500);
    let live = Live::start(dir.path(), &venue, first, &[]);
    live.program.line_with(" ready");
    let newest = |symbol: &str| {
        let path = format!(
            "/api/v1/aggregated/{symbol}?window=1min&limit=1&include_forming=true&start_time=2000-01-01"
        );
        let bars = live.program.get("REST", &path).filter(|bars| bars.status == 200)?.json();
        bars[0]["window_start"].as_str().map(str::to_owned)
    };
    // The venue gives a bar once it has ended.
    let last_bar = |symbol: &str, num_trades: usize| {
        let (bars, now) = (minutes(&trades[..num_trades]), trades[num_trades - 1].ts);
        let own = bars.into_keys().filter(|(name, start)| name == symbol && start + MINUTE <= now);
        Nanos(own.map(|(_, start)| start).max().unwrap()).to_rfc3339()
    };
    let is_at = |symbol: &str, num_trades: usize| {
        let expected = last_bar(symbol, num_trades);
        wait_for(&format!("bar of {symbol} at {expected}"), || (newest(symbol)? == expected).then_some(()));
    };
    is_at(first, 500);
    assert_eq!(newest(second), None);
    let url = format!("{}/api/v1/symbols", live.program.address("REST"));
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let follow = |symbol: &str| {
        let answer = agent.post(&url).send_json(serde_json::json!({"symbols": [symbol]})).unwrap();
        assert_eq!(answer.status().as_u16(), 200);
    };
    let leave = |symbol: &str| {
        assert_eq!(agent.delete(format!("{url}/{symbol}")).call().unwrap().status().as_u16(), 200);
    };
    follow(second);
    is_at(second, 500);
    venue.pause_at(1_000);
    is_at(first, 1_000);
    is_at(second, 1_000);
    leave(first);
    venue.resume();
    is_at(second, trades.len());
    assert_eq!(newest(first), Some(last_bar(first, 1_000)), "it is not asked for any more");
    leave(second);
    wait_for("a feed without symbols", || health(&live).1.contains("no symbol is followed").then_some(()));
    let answers = || live.metric("requests_total");
    let num_asked = answers();
    follow(first);
    is_at(first, trades.len());
    assert!(answers() > num_asked);
    assert_eq!((health(&live).0.as_str(), live.residue()), ("healthy", 0));
    live.program.stop();
}
