//! A time of day in UTC, as users write it: `04:30`.

use crate::models::time::{HOUR, MINUTE};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A time of day in UTC, to the minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeOfDay {
    minutes: u16,
}

impl TimeOfDay {
    /// Returns how long after midnight it is, in nanoseconds.
    #[must_use]
    pub fn nanos(self) -> i64 {
        i64::from(self.minutes) * MINUTE
    }
}

/// Why a text is no time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time of day such as `04:30`")]
pub struct TimeOfDayError;

impl FromStr for TimeOfDay {
    type Err = TimeOfDayError;

    fn from_str(text: &str) -> Result<TimeOfDay, TimeOfDayError> {
        let part = |text: &str, below: u16| {
            let is_digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|number: &u16| is_digits && *number < below)
        };
        let (hours, minutes) = text.split_once(':').ok_or(TimeOfDayError)?;
        let (hours, minutes) = part(hours, 24).zip(part(minutes, 60)).ok_or(TimeOfDayError)?;
        Ok(TimeOfDay { minutes: hours * 60 + minutes })
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.nanos() / HOUR, self.nanos() % HOUR / MINUTE)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TimeOfDay, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_hours_and_minutes() {
        let time: TimeOfDay = "04:30".parse().expect("a time of day");
        assert_eq!((time.nanos(), time.to_string().as_str()), (4 * HOUR + 30 * MINUTE, "04:30"));
        assert_eq!(toml::Value::try_from(time).expect("text").as_str(), Some("04:30"));
        assert!("00:00".parse::<TimeOfDay>().is_ok() && "23:59".parse::<TimeOfDay>().is_ok());
        for text in ["", "4:30", "24:00", "04:60", "04:30:00", "+4:30", "0430", "04:3x"] {
            assert_eq!(text.parse::<TimeOfDay>(), Err(TimeOfDayError), "{text}");
        }
    }
}
