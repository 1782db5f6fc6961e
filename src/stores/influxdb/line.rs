//! Results as points in line protocol.
//!
//! Promises: a point is the same each time it is made. Trades of a symbol never take each other's place: the digits that
//! their times do not use hold a number that differs between them (see [`apart`]). A bar or its indicators take the place
//! of their earlier version. Prices and sizes are exact decimals. Nothing here fails: what line protocol cannot hold in a
//! tag is replaced.

use crate::models::bar::{Bar, BarState};
use crate::models::detection::{AnomalyKind, Detected, Finding};
use crate::models::effect::IndicatorPoint;
use crate::models::indicators::IndicatorValues;
use crate::models::num::{Price, Scale, Size};
use crate::models::symbol::SymbolSpec;
use crate::models::time::Nanos;
use std::io::Write;

/// The measurements, by name.
pub mod measurement {
    /// Accepted trades.
    pub const TICKS: &str = "tick_metrics";
    /// Bars.
    pub const BARS: &str = "aggregated_metrics";
    /// Indicators of closed bars.
    pub const INDICATORS: &str = "technical_indicators";
    /// Anomalies.
    pub const ANOMALIES: &str = "anomalies";
    /// Latencies of this process.
    pub const LATENCY: &str = "latency_metrics";
    /// Topics of Kafka that this process writes and reads.
    pub const KAFKA: &str = "kafka_metrics";
}

/// What every point of a symbol needs to know of it.
#[derive(Clone, Debug)]
pub struct SymbolTag {
    tag: String,
    price: Scale,
    size: Scale,
}

impl SymbolTag {
    /// Makes it of a symbol.
    #[must_use]
    pub fn of(spec: &SymbolSpec) -> SymbolTag {
        SymbolTag { tag: escaped(&spec.name), price: spec.price_scale, size: spec.size_scale }
    }
}

/// Returns a text as a tag's value.
fn escaped(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ',' | '=' | ' ' => value.extend(['\\', c]),
            // A line ends at a line break, whatever stands before it, and a backslash would escape what comes after.
            _ if c.is_control() || c == '\\' => value.push('_'),
            _ => value.push(c),
        }
    }
    value
}

/// Returns the time of a trade with its number in the digits that tell nothing: of a time in whole milliseconds the last
/// six, of any other the last three. So trades of one moment stay apart as long as fewer than a thousand of a symbol fall
/// into one microsecond (or, of a venue that tells only milliseconds, a million into one).
#[must_use]
pub fn apart(ts: Nanos, seq: u64) -> Nanos {
    const MICROSECOND: i64 = 1_000;
    const MILLISECOND: i64 = 1_000_000;
    let unit = if ts.0 % MILLISECOND == 0 { MILLISECOND } else { MICROSECOND };
    Nanos(ts.0 - ts.0.rem_euclid(unit) + (seq % unit.unsigned_abs()) as i64)
}

/// Points on their way to a server.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    text: Vec<u8>,
    num_lines: usize,
}

impl Lines {
    /// Returns the text, a line a point.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Returns the number of points.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.num_lines
    }

    /// True where there is no point.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.num_lines == 0
    }

    fn put(&mut self, line: std::fmt::Arguments<'_>) {
        self.text.write_fmt(line).expect("memory takes everything");
        self.num_lines += 1;
    }

    /// Adds an accepted trade, the `seq`-th of its symbol.
    pub fn tick(&mut self, symbol: &SymbolTag, ts: Nanos, seq: u64, price: Price, size: Size) {
        let (price, size) = (symbol.price.show(price.0.into()), symbol.size.show(size.0.into()));
        let (tag, time) = (&symbol.tag, apart(ts, seq).0);
        self.put(format_args!("{},symbol={tag} price={price},volume={size} {time}\n", measurement::TICKS));
    }

    /// Adds a bar, at the end of its window. A void bar counts no trades, and keeps the prices that it had.
    pub fn bar(&mut self, symbol: &SymbolTag, bar: &Bar) {
        let (tag, window, time) = (&symbol.tag, bar.width, bar.end().0);
        let measurement = measurement::BARS;
        if bar.state == BarState::Void {
            self.put(format_args!(
                "{measurement},symbol={tag},window={window} volume=0,trade_count=0i {time}\n"
            ));
            return;
        }
        let price = |price: Price| symbol.price.show(price.0.into());
        let [open, high, low, close] = [bar.open, bar.high, bar.low, bar.close].map(price);
        let (volume, count) = (symbol.size.show(bar.volume), bar.trade_count);
        self.put(format_args!(
            "{measurement},symbol={tag},window={window} \
             open={open},high={high},low={low},close={close},volume={volume},trade_count={count}i",
        ));
        if let Some(vwap) = bar.vwap {
            write!(self.text, ",vwap={}", Scale::VWAP.show(vwap.into())).expect("memory takes everything");
        }
        writeln!(self.text, " {time}").expect("memory takes everything");
    }

    /// Adds the indicators of a window, at its end; those that are not warmed up are left out. Returns false where none is.
    pub fn indicators(&mut self, symbol: &SymbolTag, point: &IndicatorPoint) -> bool {
        let IndicatorPoint { width, start, values, vwap, .. } = point;
        let named = IndicatorValues::NAMES.into_iter().zip(values.in_order());
        // The same as `rsi_14`, under the name it had before.
        let named = named.chain([("rsi", values.rsi_14)]);
        let known = named.filter_map(|(name, value)| Some((name, value.filter(|value| value.is_finite())?)));
        let mut sign = ' ';
        let begin = |text: &mut Vec<u8>, sign: &mut char| {
            if *sign == ' ' {
                let (measurement, tag) = (measurement::INDICATORS, &symbol.tag);
                write!(text, "{measurement},symbol={tag},window={width}").expect("memory takes everything");
            }
            write!(text, "{sign}").expect("memory takes everything");
            *sign = ',';
        };
        for (name, value) in known {
            begin(&mut self.text, &mut sign);
            write!(self.text, "{name}={value}").expect("memory takes everything");
        }
        if let Some(vwap) = vwap {
            begin(&mut self.text, &mut sign);
            let vwap = Scale::VWAP.show((*vwap).into());
            write!(self.text, "vwap={vwap}").expect("memory takes everything");
        }
        if sign == ' ' {
            return false;
        }
        self.put(format_args!(" {}\n", start.plus(width.nanos()).0));
        true
    }

    /// Adds an anomaly. What is said of it later takes the place of it, while its severity stays; `state` says what has become
    /// of it.
    pub fn anomaly(&mut self, symbol: &SymbolTag, spec: &SymbolSpec, detected: &Detected) {
        let Finding { kind, time, severity, threshold, .. } = detected.finding;
        let (value, expected) = detected.values(spec);
        let (tag, state) = (&symbol.tag, detected.state.as_str());
        // A trade above and one below at one moment are two points.
        let time = time.0 + i64::from(kind == AnomalyKind::PriceBelow);
        // Two rules may find something at one moment, too.
        let rule = kind.rule().map(|name| format!(",rule={}", escaped(name))).unwrap_or_default();
        let expected = expected.map(|expected| format!("expected={expected},")).unwrap_or_default();
        let (measurement, kind, severity) = (measurement::ANOMALIES, kind.anomaly_type(), severity.as_str());
        self.put(format_args!(
            "{measurement},symbol={tag},type={kind},severity={severity}{rule} \
             value={value},{expected}threshold={threshold},state=\"{state}\" {time}\n"
        ));
    }

    /// Adds a value of a component's latency in milliseconds: `latency_ms` is the median, `latency_p99_ms` what 99 of 100
    /// stay below.
    pub fn latency(&mut self, component: &str, field: &str, value: f64, time: Nanos) {
        let (component, time) = (escaped(component), time.0);
        self.put(format_args!("{},component={component} {field}={value} {time}\n", measurement::LATENCY));
    }

    /// Adds a value of a topic: `messages_per_sec`, and of one that is read `lag`, in messages.
    pub fn topic(&mut self, topic: &str, field: &str, value: f64, time: Nanos) {
        let (topic, time) = (escaped(topic), time.0);
        self.put(format_args!("{},topic={topic} {field}={value} {time}\n", measurement::KAFKA));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::bar::BarOrigin;
    use crate::models::symbol::SymbolId;
    use crate::models::time::{MINUTE, Width};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn text_of(put: impl FnOnce(&mut Lines)) -> String {
        let mut lines = Lines::default();
        put(&mut lines);
        assert_eq!(lines.len(), lines.text().iter().filter(|byte| **byte == b'\n').count());
        String::from_utf8(lines.text().to_vec()).expect("text")
    }

    fn bar(state: BarState) -> Bar {
        Bar {
            symbol: SymbolId(0),
            width: Width::parse("5min").expect("a width"),
            start: Nanos(0),
            open: Price(1_500_000_000),
            high: Price(2_000_000_000),
            low: Price(1),
            close: Price(1_000_000_000),
            volume: 150_000_000,
            vwap: Some(1_250_000_000),
            trade_count: 3,
            state,
            revision: 0,
            coverage: 1.0,
            late: 0,
            duplicates: 0,
            cancelled: 0,
            origin: BarOrigin::Trades,
            seq: 1,
            log_pos: 1,
        }
    }

    #[test]
    fn points_hold_exact_decimals_under_the_names_that_users_know() {
        let symbol = SymbolTag::of(&SymbolSpec::named("BRK.B"));
        let tick = text_of(|lines| {
            lines.tick(&symbol, Nanos(1_700_000_000_123_456_789), 42, Price(1), Size(100_000_000));
        });
        assert_eq!(tick, "tick_metrics,symbol=BRK.B price=0.000000001,volume=1 1700000000123456042\n");
        let closed = text_of(|lines| lines.bar(&symbol, &bar(BarState::Closed)));
        assert_eq!(
            closed,
            "aggregated_metrics,symbol=BRK.B,window=5min open=1.5,high=2,low=0.000000001,close=1,volume=1.5,\
             trade_count=3i,vwap=1.25 300000000000\n"
        );
        let void = text_of(|lines| lines.bar(&symbol, &bar(BarState::Void)));
        assert_eq!(
            void,
            "aggregated_metrics,symbol=BRK.B,window=5min volume=0,trade_count=0i 300000000000\n"
        );
        let latency = text_of(|lines| lines.latency("received_to_bar", "latency_ms", 0.25, Nanos(7)));
        assert_eq!(latency, "latency_metrics,component=received_to_bar latency_ms=0.25 7\n");
        let topic = text_of(|lines| lines.topic("tick_data", "lag", 12.0, Nanos(7)));
        assert_eq!(topic, "kafka_metrics,topic=tick_data lag=12 7\n");
    }

    #[test]
    fn indicators_that_are_not_warmed_up_are_left_out_and_none_at_all_make_no_point() {
        let symbol = SymbolTag::of(&SymbolSpec::named("A"));
        let point = |values, vwap| IndicatorPoint {
            symbol: SymbolId(0),
            width: Width::parse("1min").expect("a width"),
            start: Nanos(MINUTE),
            close: Price(1),
            vwap,
            values,
            log_pos: 1,
        };
        let warm = IndicatorValues {
            sma_20: Some(1.5),
            rsi_14: Some(50.0),
            ema_12: Some(f64::NAN),
            ..Default::default()
        };
        let text = text_of(|lines| assert!(lines.indicators(&symbol, &point(warm, Some(2_000_000_000)))));
        assert_eq!(
            text,
            "technical_indicators,symbol=A,window=1min sma_20=1.5,rsi_14=50,rsi=50,vwap=2 120000000000\n"
        );
        let only_vwap =
            text_of(|lines| assert!(lines.indicators(&symbol, &point(Default::default(), Some(1)))));
        assert!(
            only_vwap.starts_with("technical_indicators,symbol=A,window=1min vwap=0.000000001 "),
            "{only_vwap}"
        );
        assert_eq!(
            text_of(|lines| assert!(!lines.indicators(&symbol, &point(Default::default(), None)))),
            ""
        );
    }

    #[test]
    fn a_name_cannot_break_out_of_its_tag() {
        let symbol = SymbolTag { tag: escaped("a,b=c d\\\ne\u{7f}"), price: Scale::PRICE, size: Scale::SIZE };
        let text = text_of(|lines| lines.tick(&symbol, Nanos(0), 1, Price(0), Size(0)));
        assert_eq!(text, "tick_metrics,symbol=a\\,b\\=c\\ d__e_ price=0,volume=0 1\n");
    }

    proptest! {
        #[test]
        fn trades_of_one_moment_stay_apart_in_order_and_close_to_their_time(
            ts in -4_000_000_000_000_000_000_i64..4_000_000_000_000_000_000,
            is_coarse in any::<bool>(),
            first in 0_u64..1_000_000_000_000,
            num in 1_usize..1_000,
        ) {
            let ts = Nanos(if is_coarse { ts - ts % 1_000_000 } else { ts });
            let times: Vec<i64> = (first..).take(num).map(|seq| apart(ts, seq).0).collect();
            prop_assert_eq!(times.iter().collect::<BTreeSet<_>>().len(), num);
            let unit = if ts.0 % 1_000_000 == 0 { 1_000_000 } else { 1_000 };
            prop_assert!(times.iter().all(|time| (time - ts.0).abs() < unit));
            prop_assert_eq!(apart(ts, first), apart(ts, first));
        }
    }
}
