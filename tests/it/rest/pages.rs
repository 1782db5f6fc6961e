//! Lists of REST: ranges, pages and cursors, and the newest bars, which the history does not hold yet.

use super::world::{
    NOW, START, World, alert_of, anomaly, bar, letter, minute, point, prediction, snapshot_of, trade,
};
use std::sync::atomic::Ordering;
use tickwire::models::bar::{Bar, BarState};
use tickwire::models::snapshot::{SymbolSnapshot, WindowSnapshot};
use tickwire::models::time::{MINUTE, Nanos, SECOND};
use tickwire::stores::history::signals::SignalBatch;

#[test]
fn the_range_of_bars_is_open_at_its_start_and_closed_at_its_end() {
    let world = World::filled();
    let ends = |path: &str| -> Vec<i64> {
        let answer = world.get(path).json();
        let bars = answer.as_array().unwrap_or_else(|| panic!("{path}: {answer}"));
        bars.iter()
            .map(|bar| {
                Nanos::from_rfc3339(bar["window_end"].as_str().unwrap()).unwrap().since(START) / MINUTE
            })
            .collect()
    };
    let range = "/api/v1/aggregated/BTC-USD?start_time=2023-09-05T00:03:00Z&end_time=2023-09-05T00:06:00Z";
    assert_eq!(ends(range), [6, 5, 4]);
    let range =
        "/api/v1/aggregated/BTC-USD?start_time=2023-09-05T00:02:59.999Z&end_time=2023-09-05T00:05:59.999Z";
    assert_eq!(ends(range), [5, 4, 3]);
    // The forming bar ends at 00:11.
    let until = |minute: i64| {
        format!("/api/v1/aggregated/BTC-USD?limit=1&include_forming=true&end_time=2023-09-05T00:{minute}:00Z")
    };
    assert_eq!((ends(&until(11)), ends(&until(10))), (vec![11], vec![10]));
    assert_eq!(ends("/api/v1/aggregated/BTC-USD?limit=2&include_forming=true"), [11, 10]);
}

#[test]
fn what_the_history_does_not_know_yet_is_there_already() {
    let world = World::filled();
    world.state.snapshots.publish(snapshot_of(world.btc, 10));
    let count = |path: &str| world.get(path).json().as_array().map_or(0, Vec::len);
    for path in [
        "/api/v1/aggregated/BTC-USD",
        "/api/v1/aggregated/BTC-USD?start_time=2023-09-05",
        "/api/v1/aggregated/BTC-USD?format=json&limit=600",
        "/api/v1/indicators/BTC-USD?start_time=2023-09-05",
    ] {
        assert_eq!(count(path), 11, "{path}");
    }
    assert_eq!(count("/api/v1/aggregated/BTC-USD?end_time=2023-09-05T00:10:00Z"), 10);
    // The void of the newest bar is known to the snapshot alone as well.
    let void = Bar { state: BarState::Void, seq: 12, log_pos: 5_000, ..bar(world.btc, 9) };
    let voided = snapshot_of(world.btc, 9);
    let window = WindowSnapshot { closed: Some(void), seq: 12, ..voided.windows[0].clone() };
    world.state.snapshots.publish(SymbolSnapshot { windows: [window].into(), pos: 5_000, ..voided });
    assert_eq!(count("/api/v1/aggregated/BTC-USD?start_time=2023-09-05"), 9);
    assert_eq!(count("/api/v1/aggregated/BTC-USD"), 9);
}

#[test]
fn a_bar_waits_for_those_before_it_that_the_history_does_not_hold() {
    let world = World::filled();
    world.state.snapshots.publish(snapshot_of(world.btc, 12));
    let count = |path: &str| world.get(path).json().as_array().map_or(0, Vec::len);
    let paths = [
        "/api/v1/aggregated/BTC-USD",
        "/api/v1/aggregated/BTC-USD?start_time=2023-09-05",
        "/api/v1/aggregated/BTC-USD?start_time=2023-09-05&format=csv",
        "/api/v1/aggregated/BTC-USD?fill=null",
        "/api/v1/indicators/BTC-USD?start_time=2023-09-05",
    ];
    let csv_rows = |path: &str| world.get(path).text().lines().count() - 1;
    let rows = |path: &str| if path.ends_with("csv") { csv_rows(path) } else { count(path) };
    for path in paths {
        assert_eq!(rows(path), 10, "{path}: what is missing is neither left out nor filled");
    }
    let after = "/api/v1/aggregated/BTC-USD?start_time=2023-09-05T00:10:00Z&empty=ok";
    assert_eq!(count(after), 0, "or who asks for what comes next would never see those between");
    world.history.bars.lock().unwrap().extend((10..12).map(|nth| bar(world.btc, nth)));
    assert_eq!(count(after), 3);
    assert_eq!(rows(paths[2]), 13);
}

#[test]
fn newest_bars_come_from_memory_until_one_changes() {
    let world = World::filled();
    let path = "/api/v1/aggregated/BTC-USD?limit=5";
    let reads = || world.history.num_reads.load(Ordering::SeqCst);
    let by_range = |limit: usize| {
        world
            .get(&format!("/api/v1/aggregated/BTC-USD?start_time=2000-01-01&limit={limit}"))
            .text()
            .to_owned()
    };
    assert_eq!(world.get(path).text(), by_range(5));
    let before = reads();
    for limit in [1, 5, 500] {
        world.get(&format!("/api/v1/aggregated/BTC-USD?limit={limit}"));
    }
    assert_eq!(reads(), before, "the page is in memory");

    // One bar after the other closes: the snapshot brings each, the history is not asked.
    for nth in 10..520 {
        world.state.snapshots.publish(snapshot_of(world.btc, nth));
        assert_eq!(world.get("/api/v1/aggregated/BTC-USD?limit=1").status, 200);
    }
    assert_eq!(reads(), before);
    world.history.bars.lock().unwrap().extend((10..520).map(|nth| bar(world.btc, nth)));
    for limit in [1, 2, 499, 500] {
        let answer = world.get(&format!("/api/v1/aggregated/BTC-USD?limit={limit}"));
        assert_eq!(answer.text(), by_range(limit), "{limit}");
        assert!(answer.header("link").contains("cursor="), "older bars are in the history");
    }

    // An older bar is amended: the snapshot's `seq` moves on, and the page follows once the history has it.
    let before = reads();
    let amended =
        Bar { state: BarState::Amended, revision: 1, seq: 521, log_pos: 60_000, ..bar(world.btc, 515) };
    let newest = snapshot_of(world.btc, 519);
    let window = WindowSnapshot { seq: 521, ..newest.windows[0].clone() };
    world.state.snapshots.publish(SymbolSnapshot { windows: [window].into(), pos: 60_000, ..newest });
    assert!(!world.get(path).text().contains("amended"), "the history is behind");
    world.history.bars.lock().unwrap()[515] = amended;
    world.history.acknowledged.store(60_000, Ordering::SeqCst);
    let started = std::time::Instant::now();
    while !world.get(path).text().contains("amended") {
        assert!(started.elapsed().as_secs() < 10, "the page never follows");
    }
    let settled = reads();
    assert!(settled > before);
    world.get(path);
    assert_eq!(reads(), settled, "a page that is whole is not read again");
}

/// Walks all pages from a path on; returns the rows.
fn walk(world: &World, path: &str) -> Vec<serde_json::Value> {
    let mut rows = Vec::new();
    let mut next = path.to_owned();
    loop {
        let answer = world.get(&next);
        assert_eq!(answer.status, 200, "{next}: {}", answer.text());
        let page = answer.json();
        rows.extend(page.as_array().unwrap().iter().cloned());
        let link = answer.header("link");
        if link.is_empty() {
            return rows;
        }
        next = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
        assert!(rows.len() < 5_000, "the pages never end");
    }
}

#[test]
fn cursors_walk_the_whole_list_without_hole_or_repeat() {
    let world = World::filled();
    // Thirty ticks, three at each time, so that pages end between equal times.
    let ticks = (6..=35).map(|pos| trade(world.btc, pos, 60_000 + 100 * (pos as i64 / 3)));
    world.log.entries.lock().unwrap().extend(ticks);
    world.history.bars.lock().unwrap().extend((10..50).map(|nth| bar(world.btc, nth)));
    world.history.points.lock().unwrap().extend((10..50).map(|nth| point(world.btc, nth)));
    world.state.snapshots.publish(snapshot_of(world.btc, 49));
    // As many dead letters, again three at each time.
    let letters = (2..40).map(|id| letter(id, NOW.plus(-SECOND * (60 - id as i64 / 3))));
    world.history.dead_letters.lock().unwrap().extend(letters);
    let anomalies: Vec<_> = (2..40).map(|number| anomaly(number, 60 - number as i64 / 3)).collect();
    world.write_signals(&SignalBatch {
        alerts: anomalies.iter().map(alert_of).collect(),
        anomalies,
        predictions: (0..40)
            .map(|nth| prediction(nth % 3, START.plus(i64::from(nth / 3) * MINUTE)))
            .collect(),
    });
    for list in [
        "/api/v1/anomalies?",
        "/api/v1/anomalies?symbol=btcusd&type=price_spike&severity=high&start_time=-1h&",
        "/api/v1/alerts?channel=slack&status=sent&",
        "/api/v1/predictions/BTC-USD?",
        "/api/v1/predictions/BTC-USD?end_time=now&",
        "/api/v1/dead-letters?",
        "/api/v1/dead-letters?reason=late&symbol=btcusd&start_time=-1h&",
        "/api/v1/ticks/BTC-USD?",
        "/api/v1/aggregated/BTC-USD?",
        "/api/v1/aggregated/BTC-USD?include_forming=true&",
        "/api/v1/aggregated/BTC-USD?start_time=2023-09-05T00:05:00Z&end_time=2023-09-05T00:45:00Z&",
        "/api/v1/indicators/BTC-USD?end_time=now&",
    ] {
        let whole = walk(&world, &format!("{list}limit=1000"));
        assert!(whole.len() >= 35, "{list}: {}", whole.len());
        for limit in [1, 2, 7, 35] {
            assert_eq!(walk(&world, &format!("{list}limit={limit}")), whole, "{list}, {limit} a page");
        }
    }
    // A page of a relative range stays where it was while time goes on.
    let first = world.get("/api/v1/ticks/BTC-USD?limit=34&start_time=-2m");
    let next = first.header("link").split(['<', '>']).nth(1).unwrap().to_owned();
    world.now.store(NOW.plus(MINUTE).0, Ordering::SeqCst);
    assert_eq!(world.get(&next).json().as_array().map(Vec::len), Some(1));
}

#[test]
fn a_walk_through_dead_letters_is_not_disturbed_by_new_ones() {
    let world = World::filled();
    let time = |nth: i64| NOW.plus(-SECOND * (60 - nth));
    world.history.dead_letters.lock().unwrap().extend((2..12).map(|id| letter(id, time(id as i64 / 3))));
    let payloads = |path: &str| -> Vec<String> {
        let rows = walk(&world, path);
        rows.iter().map(|row| row["payload"].as_str().unwrap().to_owned()).collect()
    };
    let before = payloads("/api/v1/dead-letters");
    let first = world.get("/api/v1/dead-letters?limit=4");
    let next = first.header("link").split(['<', '>']).nth(1).unwrap().to_owned();
    // One newer than all, one at the time where the page ended.
    let shown = first.json()[3]["payload"].as_str().unwrap().parse::<i64>().unwrap();
    world.history.dead_letters.lock().unwrap().extend([letter(12, NOW), letter(13, time(shown / 3))]);
    assert_eq!(payloads(&next), before[4..]);
    assert_eq!(payloads("/api/v1/dead-letters").len(), before.len() + 2);
}

#[test]
fn windows_of_the_snapshot_and_of_the_history_are_the_same_ones() {
    // Guards the world itself: bars that do not follow each other would make the other tests pass for nothing.
    let world = World::start();
    for nth in 0..3 {
        assert_eq!(bar(world.btc, nth).end(), bar(world.btc, nth + 1).start);
    }
    assert_eq!(minute().start_of(START), START);
}
