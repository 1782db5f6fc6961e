//! The task that keeps a coarse copy of what the bucket lets go.
//!
//! Promises: each run works out the last two whole intervals anew from what is there, so that what came late, and bars that
//! were amended, are in it, and a run that was missed is made up for by the next one. Measurements, tags and fields keep their
//! names; of bars only the smallest window is taken, and its tag names the interval. Texts that come from the configuration
//! stand in string literals and cannot end them.

use super::line::measurement;
use std::fmt::Write;
use std::time::Duration;

/// Longest time that a run waits for what is still on its way.
const OFFSET_MAX: Duration = Duration::from_mins(1);

/// What is to be downsampled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downsampling {
    /// The interval, of whole seconds.
    pub every: Duration,
    /// The bucket that is read.
    pub from: String,
    /// The bucket that is written.
    pub to: String,
    /// The organization of both.
    pub org: String,
    /// Name of the smallest window.
    pub window: String,
}

impl Downsampling {
    /// Returns the name of the task.
    #[must_use]
    pub fn task_name(&self) -> String {
        format!("tickwire: {} to {}", self.from, self.to)
    }

    /// Returns the interval in seconds.
    fn seconds(&self) -> u64 {
        self.every.as_secs().max(1)
    }

    /// Returns the task in Flux.
    #[must_use]
    pub fn flux(&self) -> String {
        let seconds = self.seconds();
        let (name, from, to, org) =
            (literal(&self.task_name()), literal(&self.from), literal(&self.to), literal(&self.org));
        let window = literal(&self.window);
        // What belongs to the interval is there only when its last window has closed.
        let offset = (self.every / 10).min(OFFSET_MAX).as_secs();
        let offset = if offset == 0 { String::new() } else { format!(", offset: {offset}s") };
        let mut flux = format!(
            "option task = {{name: {name}, every: {seconds}s{offset}}}\n\
             interval = {seconds}000000000\n\
             stop = time(v: int(v: now()) / interval * interval)\n\
             start = time(v: int(v: stop) - 2 * interval)\n\
             // Windows are stamped with their ends, so one that ends where an interval does belongs to it.\n\
             ends = (measurement) => from(bucket: {from})\n\
             \x20   |> range(start: time(v: int(v: start) + 1), stop: time(v: int(v: stop) + 1))\n\
             \x20   |> filter(fn: (r) => r._measurement == measurement)\n\
             \x20   |> timeShift(duration: -1ns)\n\
             moments = (measurement) => from(bucket: {from})\n\
             \x20   |> range(start: start, stop: stop)\n\
             \x20   |> filter(fn: (r) => r._measurement == measurement)\n\
             bars = ends(measurement: \"{bars}\")\n\
             \x20   |> filter(fn: (r) => r.window == {window})\n\
             \x20   |> set(key: \"window\", value: \"{interval}\")\n",
            bars = measurement::BARS,
            interval = self.interval_name(),
        );
        let ticks = format!("moments(measurement: \"{}\")", measurement::TICKS);
        let indicators = format!("ends(measurement: \"{}\")", measurement::INDICATORS);
        let latency = format!("moments(measurement: \"{}\")", measurement::LATENCY);
        let parts: [(&str, &str, &str); 9] = [
            (&ticks, "price", "last"),
            (&ticks, "volume", "sum"),
            ("bars", "open", "first"),
            ("bars", "high", "max"),
            ("bars", "low", "min"),
            ("bars", "close", "last"),
            ("bars", "volume", "sum"),
            ("bars", "trade_count", "sum"),
            (&indicators, "", "last"),
        ];
        let parts = parts.into_iter().chain([(latency.as_str(), "", "mean")]);
        for (at, (source, field, function)) in parts.enumerate() {
            flux.push_str(source);
            if !field.is_empty() {
                write!(flux, " |> filter(fn: (r) => r._field == \"{field}\")")
                    .expect("memory takes everything");
            }
            writeln!(
                flux,
                " |> aggregateWindow(every: {seconds}s, fn: {function}, createEmpty: false)\n    \
                 |> to(bucket: {to}, org: {org}) |> yield(name: \"{at}\")"
            )
            .expect("memory takes everything");
        }
        flux
    }

    /// Returns the interval as the name of a window.
    fn interval_name(&self) -> String {
        match self.seconds() {
            seconds if seconds.is_multiple_of(86_400) => format!("{}d", seconds / 86_400),
            seconds if seconds.is_multiple_of(3_600) => format!("{}h", seconds / 3_600),
            seconds if seconds.is_multiple_of(60) => format!("{}min", seconds / 60),
            seconds => format!("{seconds}s"),
        }
    }
}

/// Returns a text as a string of Flux.
fn literal(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            // `${` would begin an expression.
            '$' => quoted.push_str("\\x24"),
            _ if c.is_control() => quoted.push(' '),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hourly() -> Downsampling {
        Downsampling {
            every: Duration::from_hours(1),
            from: "market".to_owned(),
            to: "coarse".to_owned(),
            org: "house".to_owned(),
            window: "1min".to_owned(),
        }
    }

    #[test]
    fn names_of_the_configuration_cannot_end_their_literal() {
        assert_eq!(literal("a\"b\\c${d}\ne"), "\"a\\\"b\\\\c\\x24{d} e\"");
        let flux = Downsampling { to: "x\") |> drop()".to_owned(), ..hourly() }.flux();
        assert!(flux.contains("to(bucket: \"x\\\") |> drop()\", org: \"house\")"), "{flux}");
    }

    #[test]
    fn a_task_waits_a_moment_for_what_is_on_its_way_unless_it_runs_all_the_time() {
        let flux = hourly().flux();
        assert!(flux.starts_with(
            "option task = {name: \"tickwire: market to coarse\", every: 3600s, offset: 60s}\n"
        ));
        assert!(flux.contains("value: \"1h\""));
        let often = Downsampling { every: Duration::from_secs(1), ..hourly() }.flux();
        assert!(often.contains("every: 1s}") && often.contains("value: \"1s\""), "{often}");
    }
}
