//! The samples of live frames: made by the functions that make frames for clients.

use crate::support::anomalies::price_spike;
use crate::support::fixtures::{hold, names};
use tickwire::actors::health::{ComponentHealth, Health};
use tickwire::actors::hub::frame::{
    self, ConnectionFrame, ErrorFrame, FeedFrame, List, MetricsFrame, PongFrame, ResyncFrame, SkippedFrame,
    SnapshotWriter, SubscriptionFrame,
};
use tickwire::actors::hub::ledgers::{LedgerCounts, LedgerFrame};
use tickwire::actors::hub::system::{ComponentObject, FeedCounts, SystemFrame};
use tickwire::actors::messages::LiveTick;
use tickwire::models::bar::{Bar, BarOrigin, BarState};
use tickwire::models::detection::{Cause, Detected, Finding};
use tickwire::models::effect::IndicatorPoint;
use tickwire::models::indicators::IndicatorValues;
use tickwire::models::ledger::Ledger;
use tickwire::models::num::{Price, Size};
use tickwire::models::provenance::Provenance;
use tickwire::models::symbol::{SymbolId, SymbolSpec};
use tickwire::models::time::{MINUTE, Nanos, SECOND, Width};
use tickwire::web::live::ErrorCode;
use tickwire::wire::{PastObject, Time, append_json};

const EPOCH: &str = "5a3c0f1e9b7d2846";
const RUN: &str = "c41be07a92d358f6";
const WINDOW: &str = "1min";
/// 2026-11-23T13:00:00Z.
const NOW: Nanos = Nanos(1_795_438_800 * SECOND);

fn spec() -> SymbolSpec {
    SymbolSpec::named("AAPL")
}

/// Returns the payload of a frame, without its head.
fn text(frame: &[u8]) -> String {
    let head = match frame[1] {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    String::from_utf8(frame[head..].to_vec()).unwrap()
}

/// Returns what a function appends.
fn payload(append: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    append(&mut out);
    String::from_utf8(out).unwrap()
}

fn tick(ts: Nanos, seq: u64) -> LiveTick {
    LiveTick {
        symbol: SymbolId(0),
        ts,
        received: Nanos::MIN,
        price: Price(182_310_000_000),
        size: Size(10_000_000_000),
        seq,
        log_pos: seq,
    }
}

fn bar(state: BarState) -> Bar {
    Bar {
        symbol: SymbolId(0),
        width: Width::parse(WINDOW).unwrap(),
        start: NOW,
        open: Price(182_300_000_000),
        high: Price(182_500_000_000),
        low: Price(182_100_000_000),
        close: Price(182_310_000_000),
        volume: 120_000_000_000,
        vwap: Some(182_284_166_667),
        trade_count: 9,
        state,
        origin: BarOrigin::Trades,
        revision: 0,
        coverage: 1.0,
        late: 0,
        duplicates: 0,
        cancelled: 0,
        seq: 312,
        log_pos: 1,
    }
}

fn amended() -> Bar {
    let (late, duplicates) = (2, 1);
    Bar { revision: 2, coverage: 0.75, late, duplicates, ..bar(BarState::Amended) }
}

fn point() -> IndicatorPoint {
    let bar = bar(BarState::Closed);
    IndicatorPoint {
        symbol: bar.symbol,
        width: bar.width,
        start: bar.start,
        close: bar.close,
        vwap: bar.vwap,
        values: IndicatorValues {
            sma_20: Some(182.1),
            ema_12: Some(182.2),
            ema_26: Some(182.0),
            rsi_14: Some(55.2),
            macd: Some(0.1),
            macd_signal: Some(0.08),
            macd_histogram: Some(0.02),
            bb_upper: Some(183.0),
            bb_middle: Some(182.1),
            bb_lower: Some(181.2),
            ..IndicatorValues::default()
        },
        log_pos: bar.log_pos,
    }
}

/// A trade that is 5.2 % above the mean.
fn detected() -> Detected {
    let found = price_spike(SymbolId(0), NOW);
    let finding = Finding { time: NOW.plus(SECOND + 250_000_000), ..found.finding };
    Detected {
        finding: Finding { cause: Cause { pos: 4_711, ..finding.cause }, ..finding },
        seq: 7,
        log_pos: 4_711,
        ..found
    }
}

/// A snapshot of one symbol: its last tick, and what else there is.
fn snapshot(has_bars: bool) -> String {
    let spec = spec();
    let mut writer = SnapshotWriter::default();
    let last = tick(NOW.plus(-18 * MINUTE - 50 * SECOND - 750_000_000), 40);
    writer.add(List::Ticks, EPOCH, |out| frame::last_tick(&last, &spec, "dead", out));
    if has_bars {
        let next = Bar { start: NOW.plus(MINUTE), vwap: None, volume: 0, ..bar(BarState::Forming) };
        for bar in [bar(BarState::Closed), next] {
            writer.add(List::Bars, EPOCH, |out| frame::bar(&bar, &spec, WINDOW, 312, out));
        }
        writer.add(List::Indicators, EPOCH, |out| frame::indicators(&point(), &spec, WINDOW, 312, out));
    }
    text(&writer.finish(EPOCH))
}

fn metrics(past: Option<PastObject>) -> String {
    let frame = MetricsFrame {
        r#type: "metrics",
        timestamp: Time(NOW.plus(SECOND)),
        ticks_per_second: Some(2_150.5),
        latency_p50_ms: Some(0.4),
        latency_p99_ms: Some(2.1),
        residue: 0,
        past,
    };
    text(&frame::of(&frame))
}

fn ledger() -> LedgerFrame<'static> {
    let ledger =
        Ledger { received: 1_204, in_bars: 1_190, filtered: 9, late: 3, duplicate: 2, ..Ledger::default() };
    LedgerFrame::new("AAPL", Some("live"), LedgerCounts::of(&ledger))
}

/// A snapshot of one symbol's ledger.
fn snapshot_of_ledger() -> String {
    let mut writer = SnapshotWriter::default();
    writer.add(List::Ledgers, EPOCH, |out| append_json(&ledger(), out));
    text(&writer.finish(EPOCH))
}

fn system() -> SystemFrame {
    let healthy =
        |name: &str| (name.to_owned(), ComponentHealth { status: Health::Healthy, detail: String::new() });
    let degraded = ComponentHealth { status: Health::Degraded, detail: "the last write took 4 s".to_owned() };
    let components = vec![("history".to_owned(), degraded), healthy("log")];
    let ledger = Ledger { received: 90_400, in_bars: 90_388, filtered: 9, late: 3, ..Ledger::default() };
    SystemFrame {
        r#type: "system",
        timestamp: Time(NOW.plus(SECOND)),
        messages_per_second: Some(2_150.5),
        bars_per_second: Some(0.2),
        latency: [("received_to_bar_p50_ms", 0.4), ("received_to_bar_p99_ms", 2.1)].into(),
        ledger: LedgerCounts::of(&ledger),
        dead_letters: [("late", 3)].into(),
        feeds: FeedCounts { live: 11, quiet: 1, ..FeedCounts::default() },
        components: components.into_iter().map(ComponentObject::from).collect(),
    }
}

/// One frame of each kind, and of each kind's variants, by the names of their samples.
fn frames() -> Vec<(&'static str, String)> {
    let spec = spec();
    let subscription = SubscriptionFrame {
        r#type: "subscription",
        status: "success",
        symbols: &["AAPL".to_owned()],
        unknown: &["XXXX".to_owned()],
        epoch: EPOCH,
        run: RUN,
        action: "subscribe",
    };
    let bar_of = |bar: Bar| payload(|out| frame::bar(&bar, &spec, WINDOW, 312, out));
    let refused = "`windows` has `7min`: there are `1min`, `5min`, `15min`, `1h`, `1d`";
    vec![
        ("anomaly", payload(|out| frame::anomaly(detected().anomaly(&spec), detected().seq, out))),
        ("bar", bar_of(bar(BarState::Closed))),
        ("bar_amended", bar_of(amended())),
        ("bar_forming", bar_of(bar(BarState::Forming))),
        (
            "bar_void",
            bar_of(Bar { volume: 0, vwap: None, trade_count: 0, cancelled: 9, ..bar(BarState::Void) }),
        ),
        ("connection", text(&frame::of(&ConnectionFrame::new(NOW, EPOCH, RUN, &Provenance::simulated())))),
        ("error", text(&frame::of(&ErrorFrame::new(ErrorCode::UnknownWindow.as_str(), refused)))),
        ("feed", text(&frame::of(&FeedFrame::new("AAPL", "live")))),
        ("indicators", payload(|out| frame::indicators(&point(), &spec, WINDOW, 312, out))),
        ("indicators_forming", payload(|out| frame::preview(&point(), &spec, WINDOW, 312, out))),
        ("ledger", text(&frame::of(&ledger()))),
        ("metrics", metrics(None)),
        ("metrics_past", metrics(PastObject::new(340, 1_000))),
        ("pong", text(&frame::of(&PongFrame::new(NOW.plus(SECOND))))),
        ("resync", text(&frame::of(&ResyncFrame::new(EPOCH, &["bars:AAPL:1min".to_owned()])))),
        ("skipped", text(&frame::of(&SkippedFrame::ticks("AAPL", 12)))),
        ("snapshot", snapshot(false)),
        ("snapshot_bars", snapshot(true)),
        ("snapshot_ledgers", snapshot_of_ledger()),
        ("subscription", text(&frame::of(&subscription))),
        ("system", text(&frame::of(&system()))),
        ("tick", payload(|out| frame::tick(&tick(NOW.plus(SECOND + 250_000_000), 41), &spec, out))),
    ]
}

#[test]
fn samples_of_frames_are_what_the_server_makes() {
    let frames = frames();
    for (name, made) in &frames {
        hold(&format!("live/{name}"), made);
    }
    let made: Vec<&str> = frames.iter().map(|(name, _)| *name).collect();
    assert_eq!(names("live"), made, "a sample that the server does not make");
}
