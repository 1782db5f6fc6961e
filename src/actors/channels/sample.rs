//! The notification that `tickwire alert test` sends.
//!
//! Promises: it says that it is a test, and has everything that a real one has, so that whoever sees it arrive has seen all.

use crate::models::anomaly::Severity;
use crate::models::notification::{ChartBar, Fact, Notification, NotificationKind};
use crate::models::time::{MINUTE, Nanos};

/// Bars of its picture.
const NUM_BARS: i32 = 30;

/// Makes a sample at a time, with a link where there is a page to link to. Without a time it is of 2026-01-02 15:04:05 UTC.
#[must_use]
pub fn sample(time: Option<Nanos>, link: Option<String>) -> Notification {
    let time = time.unwrap_or(Nanos(1_767_366_245_000_000_000));
    let price = |at: i32| {
        let at = f64::from(at);
        let spike = if at >= f64::from(NUM_BARS - 1) { 12.5 } else { 0.0 };
        200.0 + (at * 0.9).sin() * 1.5 + at * 0.05 + spike
    };
    let minute = time.0 - time.0.rem_euclid(MINUTE);
    let bar = |at: i32| {
        let (open, close) = (price(at - 1), price(at));
        let start = Nanos(minute - i64::from(NUM_BARS - 1 - at) * MINUTE);
        ChartBar { start, open, high: open.max(close) + 0.4, low: open.min(close) - 0.4, close }
    };
    Notification {
        id: format!("test-{}", time.0),
        kind: NotificationKind::Test,
        severity: Severity::Low,
        alert_type: "test".to_owned(),
        title: "Tickwire can reach you here".to_owned(),
        text: "This is a test. Nothing has happened; the values below are made up.".to_owned(),
        symbols: vec!["AAPL".to_owned()],
        facts: vec![
            Fact::new("Price", "213.30 USD"),
            Fact::new("Mean of 20 bars", "200.60 USD"),
            Fact::new("Off the mean", "6.3 %"),
            Fact::new("Threshold", "5 %"),
        ],
        time,
        began: time,
        bars: (0..NUM_BARS).map(bar).collect(),
        link,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::notification::CHART_BARS_MAX;

    #[test]
    fn it_has_everything_that_a_real_one_has() {
        let sample = sample(Some(Nanos(90 * MINUTE + 5)), Some("https://desk.example".to_owned()));
        assert_eq!(sample.kind, NotificationKind::Test);
        assert!(!(sample.facts.is_empty() || sample.symbols.is_empty() || sample.link.is_none()));
        assert!(sample.bars.len() <= CHART_BARS_MAX);
        assert_eq!(sample.bars.last().map(|bar| bar.start), Some(Nanos(90 * MINUTE)));
        assert!(
            sample
                .bars
                .iter()
                .all(|bar| bar.low <= bar.open.min(bar.close) && bar.high >= bar.open.max(bar.close))
        );
    }
}
