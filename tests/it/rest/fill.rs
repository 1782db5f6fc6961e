//! Bars without gaps: `fill` of `aggregated`.

use super::world::{START, World, bar, snapshot_of};
use serde_json::Value;
use tickwire::models::bar::{Bar, BarState};
use tickwire::models::time::{MINUTE, Nanos, SECOND};

/// The minutes that have bars.
const TRADED: [i64; 4] = [0, 1, 4, 8];

/// A world whose symbol traded in a few minutes, and whose watermark has passed the twelfth.
fn quiet_world() -> World {
    let world = World::start();
    world.history.bars.lock().unwrap().extend(TRADED.map(|nth| bar(world.btc, nth)));
    let mut snapshot = snapshot_of(world.btc, 8);
    snapshot.watermark = START.plus(12 * MINUTE + SECOND);
    let mut windows = snapshot.windows.to_vec();
    windows[0].forming = None;
    snapshot.windows = windows.into();
    world.state.snapshots.publish(snapshot);
    world
}

/// The minute, state and close of each row.
fn rows(answer: &Value) -> Vec<(i64, String, Option<f64>)> {
    let rows = answer.as_array().unwrap_or_else(|| panic!("{answer}"));
    let minute_of = |row: &Value| {
        let start = row["window_start"].as_str().unwrap();
        (Nanos::from_rfc3339(start).unwrap().0 - START.0) / MINUTE
    };
    rows.iter()
        .map(|row| (minute_of(row), row["state"].as_str().unwrap().to_owned(), row["close"].as_f64()))
        .collect()
}

/// What the rows of these minutes are, newest first.
fn expected(minutes: impl Iterator<Item = i64>, is_previous: bool) -> Vec<(i64, String, Option<f64>)> {
    let close_of = |nth: i64| 25_001.0 + nth as f64;
    let row = |nth: i64| {
        if TRADED.contains(&nth) {
            return (nth, "closed".to_owned(), Some(close_of(nth)));
        }
        let before = TRADED.into_iter().rev().find(|traded| *traded < nth).map(close_of);
        (nth, "empty".to_owned(), before.filter(|_| is_previous))
    };
    minutes.map(row).collect()
}

#[test]
fn every_closed_window_has_a_row_with_no_price_or_the_last_one() {
    let world = quiet_world();
    let get = |query: &str| world.get(&format!("/api/v1/aggregated/BTC-USD?{query}")).json();
    assert_eq!(rows(&get("fill=null")), expected((0..12).rev(), false));
    assert_eq!(rows(&get("fill=previous")), expected((0..12).rev(), true));
    assert_eq!(get("fill=none"), get(""), "none is the default");
    assert_eq!(rows(&get("fill=none")).len(), TRADED.len());

    // A range that begins and ends in quiet minutes, before which there was a trade.
    let range = "start_time=2023-09-05T00:03:00Z&end_time=2023-09-05T00:08:00Z";
    assert_eq!(rows(&get(&format!("fill=previous&{range}"))), expected((3..8).rev(), true));
    let quiet = "start_time=2023-09-05T00:09:00Z&end_time=2023-09-05T00:11:00Z";
    assert_eq!(rows(&get(&format!("fill=previous&{quiet}"))), expected((9..11).rev(), true));
    let beyond = rows(&get("fill=null&start_time=2023-09-04&end_time=2024-01-01"));
    assert_eq!(
        beyond,
        expected((0..12).rev(), false),
        "nothing before the first bar and after the last closed window"
    );

    let first = &get("fill=previous&limit=1")[0];
    assert_eq!((&first["volume"], &first["trade_count"]), (&0.into(), &0.into()), "{first}");
    assert_eq!(
        (&first["vwap"], &first["coverage"], &first["origin"]),
        (&Value::Null, &Value::Null, &"none".into())
    );
    assert_eq!(first["time"], "2023-09-05T00:12:00Z");

    let wrong = get("fill=linear");
    assert_eq!((wrong["code"].as_str(), wrong["param"].as_str()), (Some("bad_parameter"), Some("fill")));
    assert_eq!(world.get("/api/v1/aggregated/BRK.B?fill=null").json()["code"], "no_data");
    assert_eq!(world.get("/api/v1/aggregated/BRK.B?fill=null&empty=ok").text(), "[]");
    let csv = world.get("/api/v1/aggregated/BTC-USD?fill=null&format=csv");
    let lines: Vec<&str> = csv.text().lines().collect();
    assert!(lines.len() == 13 && lines[1].ends_with(",,,,,0.0,,0,empty,0,,0,0,0,none"), "{}", csv.text());
}

#[test]
fn pages_of_filled_bars_repeat_and_leave_out_nothing() {
    let world = quiet_world();
    for limit in 1..=13 {
        let mut path = format!("/api/v1/aggregated/BTC-USD?fill=previous&limit={limit}");
        let mut all = Vec::new();
        loop {
            let answer = world.get(&path);
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            let page = rows(&answer.json());
            assert!((1..=limit).contains(&page.len()), "{path}: {page:?}");
            all.extend(page);
            let link = answer.header("link");
            if link.is_empty() {
                break;
            }
            path = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
        }
        assert_eq!(all, expected((0..12).rev(), true), "{limit} a page");
    }
}

#[test]
fn the_bar_in_progress_stands_before_the_filled_ones() {
    let world = quiet_world();
    let mut snapshot = snapshot_of(world.btc, 8);
    let mut windows = snapshot.windows.to_vec();
    windows[0].forming = Some(Bar { state: BarState::Forming, ..bar(world.btc, 12) });
    snapshot.watermark = START.plus(12 * MINUTE + SECOND);
    snapshot.windows = windows.into();
    world.state.snapshots.publish(snapshot);
    let answer = world.get("/api/v1/aggregated/BTC-USD?fill=null&include_forming=true&limit=3");
    let found: Vec<(i64, String)> =
        rows(&answer.json()).into_iter().map(|(nth, state, _)| (nth, state)).collect();
    assert_eq!(found, [(12, "forming".to_owned()), (11, "empty".to_owned()), (10, "empty".to_owned())]);
}
