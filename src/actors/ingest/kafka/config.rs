//! The section `[venues.kafka]`: which topic is read, and from where on.

use crate::models::time::Nanos;
use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Which topic is read, and from where on.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopicConfig {
    /// The topic of ticks; not set: `kafka.topics.ticks`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// The group under which the reading shows in metrics. Positions are kept in the log and not in it.
    pub group: String,
    /// Where a topic is begun of which the log holds no position: `earliest`, `latest` or a time.
    pub start: Start,
}

impl Default for TopicConfig {
    fn default() -> TopicConfig {
        TopicConfig { topic: None, group: "tickwire".to_owned(), start: Start::Earliest }
    }
}

/// Where a topic is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the oldest message that is there.
    Earliest,
    /// With what comes from now on.
    Latest,
    /// With the first message that the broker has from that time on.
    Time(Nanos),
}

/// A text that is none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be `earliest`, `latest` or a time such as `2026-11-02T14:30:00Z`")]
pub struct StartError;

impl FromStr for Start {
    type Err = StartError;

    fn from_str(text: &str) -> Result<Start, StartError> {
        match text {
            "earliest" => Ok(Start::Earliest),
            "latest" => Ok(Start::Latest),
            time => Nanos::from_rfc3339(time).map(Start::Time).ok_or(StartError),
        }
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Start::Earliest => f.write_str("earliest"),
            Start::Latest => f.write_str("latest"),
            Start::Time(time) => f.write_str(&time.to_rfc3339()),
        }
    }
}

impl Serialize for Start {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Start {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Start, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_a_word_or_a_time() {
        for text in ["earliest", "latest", "2026-11-02T14:30:00Z"] {
            assert_eq!(text.parse::<Start>().expect("valid").to_string(), text);
        }
        assert_eq!("yesterday".parse::<Start>(), Err(StartError));
    }
}
