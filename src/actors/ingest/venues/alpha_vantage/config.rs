//! What is Alpha Vantage's own in `[venues.alpha_vantage]`: its address, limits, channels, and how often it is asked.

use crate::actors::ingest::config::{BarStamp, Entitlement, VenueConfig};
use crate::models::time::{MINUTE, Width};
use reqwest::Url;
use std::time::Duration;

/// Name of the provider and of its source.
pub const NAME: &str = "alpha_vantage";

/// What is followed where nobody names symbols.
pub const DEFAULT_SYMBOLS: [&str; 2] = ["AAPL", "MSFT"];

/// A free key has one request a second, and is told off for the next one within 1.2 s. The slowest paid plan has 75 a minute.
pub const REQUESTS_PER_MINUTE: u32 = 50;

/// Requests a day of a free key that are planned with: of its 25, some are left for restarts and the user's own.
const FREE_REQUESTS_PER_DAY: u32 = 20;

const DAY: Duration = Duration::from_hours(24);

/// How far data is behind for a key that is entitled to delayed data.
const DELAY: Duration = Duration::from_mins(15);

/// Widths of the bars that there are, which are channels by these names.
pub(super) const INTERVALS: [(&str, i64); 5] = [
    ("1min", MINUTE),
    ("5min", 5 * MINUTE),
    ("15min", 15 * MINUTE),
    ("30min", 30 * MINUTE),
    ("60min", 60 * MINUTE),
];

/// The channel of the exchange rates of pairs.
const QUOTES: &str = "quotes";

const REST_URL: &str = "https://www.alphavantage.co";

/// What the venue is made of.
pub(super) struct Settings {
    pub key: String,
    pub rest_url: Url,
    pub entitlement: Option<Entitlement>,
    pub stamp: BarStamp,
    /// Widths of the bars that are asked for.
    pub intervals: Vec<(&'static str, Width)>,
    pub has_quotes: bool,
    poll_interval: Option<Duration>,
    /// Requests a minute of a paid plan.
    paid_rate: Option<u32>,
}

impl Settings {
    pub fn of(config: &VenueConfig) -> Settings {
        let is_asked_for = |name: &str| config.channels.iter().any(|channel| channel == name);
        let asked = INTERVALS.iter().filter(|(name, _)| is_asked_for(name)).copied();
        let asked: Vec<(&'static str, i64)> =
            if config.channels.is_empty() { vec![INTERVALS[0]] } else { asked.collect() };
        let width = |nanos| Width::new(nanos).expect("the venue's intervals divide a day");
        Settings {
            key: config.key_text(),
            rest_url: config.rest_at(REST_URL),
            entitlement: config.entitlement,
            stamp: config.bar_stamp.unwrap_or(BarStamp::Start),
            intervals: asked.into_iter().map(|(name, nanos)| (name, width(nanos))).collect(),
            has_quotes: is_asked_for(QUOTES),
            poll_interval: config.poll_interval,
            paid_rate: config.requests_per_minute.map(std::num::NonZeroU32::get),
        }
    }

    /// Returns how often each of so many requests is made. Whoever says how many a minute a plan allows has no limit a day,
    /// and asks as often as that and the width of a bar let it be of use.
    pub fn every(&self, num_polls: usize, width: Option<Width>) -> Duration {
        let num_polls = u32::try_from(num_polls).unwrap_or(u32::MAX).max(1);
        let width = width.map_or(Duration::ZERO, |width| Duration::from_nanos(width.nanos().unsigned_abs()));
        self.poll_interval.unwrap_or_else(|| match self.paid_rate {
            Some(rate) => width.max(Duration::from_mins(1) * num_polls / rate),
            None => width.max(DAY * num_polls / FREE_REQUESTS_PER_DAY),
        })
    }

    /// Returns how far the venue is behind, if that is known: without an entitlement it is up to a day.
    pub fn delay(&self) -> Option<Duration> {
        self.entitlement.map(|entitlement| match entitlement {
            Entitlement::Realtime => Duration::ZERO,
            Entitlement::Delayed => DELAY,
        })
    }
}

/// Returns what is wrong with the channels asked for.
#[must_use]
pub fn channel_fault(channels: &[String]) -> Option<String> {
    let is_width = |name: &str| INTERVALS.iter().any(|(interval, _)| *interval == name);
    let widths: Vec<String> = INTERVALS.iter().map(|(name, _)| format!("`{name}`")).collect();
    let there = format!("there are {} and `{QUOTES}`", widths.join(", "));
    let unknown = channels.iter().find(|name| !is_width(name) && *name != QUOTES)?;
    Some(format!("the channel `{unknown}` is not served; {there}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        Settings::of(&toml::from_str(text).expect("a section"))
    }

    #[test]
    fn channels_that_are_not_served_are_refused_with_those_that_are() {
        let fault =
            |names: &[&str]| channel_fault(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        for names in [&[][..], &["1min"], &["15min", "quotes"], &["quotes"]] {
            assert_eq!(fault(names), None, "{names:?}");
        }
        assert!(fault(&["trades"]).is_some_and(|said| said.contains("`1min`") && said.contains("`quotes`")));
    }

    #[test]
    fn a_key_is_asked_for_no_more_than_it_has() {
        let minute = Width::new(MINUTE);
        for (text, num_polls, width, every) in [
            ("", 1, minute, Duration::from_mins(72)),
            ("", 10, minute, Duration::from_hours(12)),
            ("requests_per_minute = 75", 2, minute, Duration::from_mins(1)),
            ("requests_per_minute = 75", 150, minute, Duration::from_mins(2)),
            ("requests_per_minute = 75", 5, None, Duration::from_secs(4)),
            ("requests_per_minute = 75", 1, Width::new(15 * MINUTE), Duration::from_mins(15)),
            ("poll_interval = '10s'\nrequests_per_minute = 75", 150, minute, Duration::from_secs(10)),
        ] {
            assert_eq!(settings(text).every(num_polls, width), every, "{text} {num_polls}");
        }
    }

    #[test]
    fn bars_of_a_minute_are_asked_for_unless_others_are() {
        let names = |text| settings(text).intervals.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        assert_eq!(names(""), ["1min"]);
        assert_eq!(names("channels = ['15min', '5min', 'quotes']"), ["5min", "15min"]);
        assert_eq!(names("channels = ['quotes']"), Vec::<&str>::new());
        assert_eq!(settings("").delay(), None);
        assert_eq!(settings("entitlement = 'delayed'").delay(), Some(Duration::from_mins(15)));
    }
}
