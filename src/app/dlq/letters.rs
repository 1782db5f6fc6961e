//! Dead letters of either home: the history, and the topic `tick_data_dlq`.
//!
//! Promises: letters of both homes have one form, and the same names for the same things; nothing in a home is changed. On
//! failure the error names the home.

use crate::app::beside::Beside;
use crate::models::time::Nanos;
use crate::stores::history::{DeadLetterQuery, DeadLetterRecord};
use crate::stores::kafka::place::{parse_place, place};
use crate::stores::kafka::settings::KafkaSettings;
use crate::stores::kafka::whole::read_topic;
use crate::wire::Time;
use anyhow::Context;
use serde::{Deserialize, Serialize};

/// Letters that are read of the history at once.
const PAGE: usize = 1_000;

/// A dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Letter {
    /// Its name in its home: a number of the history, or its place in the topic.
    pub id: String,
    /// Why it was not accepted.
    pub reason: String,
    /// The symbol, where it was readable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    /// The source's name.
    pub provider: String,
    /// When it was received.
    pub received_at: Time,
    /// Where it stood: `topic[partition]@offset`, `file:row`, or nowhere.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub origin: String,
    /// What was received.
    pub payload: String,
}

/// Which letters are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// By their names; empty: all that the rest allows.
    pub ids: Vec<String>,
    /// Only of this reason.
    pub reason: Option<String>,
    /// Only of this symbol.
    pub symbol: Option<String>,
    /// Only those received from then on.
    pub since: Option<Nanos>,
    /// At most so many, the newest.
    pub limit: usize,
}

impl Wanted {
    fn wants(&self, letter: &Letter) -> bool {
        (self.ids.is_empty() || self.ids.contains(&letter.id))
            && self.reason.as_ref().is_none_or(|reason| *reason == letter.reason)
            && self.symbol.as_ref().is_none_or(|symbol| letter.symbol.as_ref() == Some(symbol))
            && self.since.is_none_or(|since| letter.received_at.0 >= since)
    }
}

impl From<DeadLetterRecord> for Letter {
    fn from(record: DeadLetterRecord) -> Letter {
        Letter {
            id: record.id.to_string(),
            reason: record.reason,
            symbol: record.symbol,
            provider: record.provider,
            received_at: Time(record.received_at),
            origin: record.origin,
            payload: record.payload,
        }
    }
}

/// Finds letters in the history, newest first.
///
/// # Errors
/// When it cannot be read.
pub async fn in_history(beside: &Beside, wanted: &Wanted) -> anyhow::Result<Vec<Letter>> {
    let mut found = Vec::new();
    let mut query = DeadLetterQuery {
        reason: wanted.reason.clone(),
        symbol: wanted.symbol.clone(),
        start: wanted.since,
        before: None,
        limit: PAGE,
    };
    while found.len() < wanted.limit {
        let page = beside.history.dead_letters(&query).await.context("cannot read the history")?;
        let Some(last) = page.last() else { break };
        query.before = Some((last.received_at, last.id));
        let is_last = page.len() < PAGE;
        let room = wanted.limit - found.len();
        found.extend(page.into_iter().map(Letter::from).filter(|letter| wanted.wants(letter)).take(room));
        if is_last {
            break;
        }
    }
    Ok(found)
}

/// A letter as it stands in the topic.
#[derive(Deserialize)]
struct TopicValue {
    reason: String,
    #[serde(default)]
    symbol: Option<String>,
    #[serde(default)]
    provider: String,
    #[serde(default)]
    received_at: String,
    #[serde(default)]
    payload: serde_json::Value,
    #[serde(default)]
    origin: String,
    topic: Option<String>,
    partition: Option<i32>,
    offset: Option<i64>,
}

/// Reads a letter of the topic. What is none is shown as it is, since somebody else may write there.
fn of_topic(id: String, value: &[u8]) -> Letter {
    let Ok(read) = serde_json::from_slice::<TopicValue>(value) else {
        return Letter {
            id,
            reason: "unreadable".to_owned(),
            symbol: None,
            provider: String::new(),
            received_at: Time(Nanos(0)),
            origin: String::new(),
            payload: String::from_utf8_lossy(value).into_owned(),
        };
    };
    let origin = match (read.topic, read.partition, read.offset) {
        (Some(topic), Some(partition), Some(offset)) => place(&topic, partition, offset),
        _ => read.origin,
    };
    Letter {
        id,
        reason: read.reason,
        symbol: read.symbol,
        provider: read.provider,
        received_at: Time(Nanos::from_rfc3339(&read.received_at).unwrap_or(Nanos(0))),
        origin,
        payload: match read.payload {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        },
    }
}

/// Finds letters in a topic, newest first: all that were there when the reading began. Blocking.
///
/// # Errors
/// When it is not there, or cannot be read to its end.
pub fn in_topic(kafka: &KafkaSettings, topic: &str, wanted: &Wanted) -> anyhow::Result<Vec<Letter>> {
    let mut found = Vec::new();
    read_topic(kafka, topic, "dlq", |partition, offset, value| {
        let letter = of_topic(place(topic, partition, offset), value);
        if wanted.wants(&letter) {
            found.push(letter);
        }
    })?;
    found.sort_by(|one, other| {
        let place =
            |letter: &Letter| parse_place(&letter.id).map(|(_, partition, offset)| (offset, partition));
        other.received_at.0.cmp(&one.received_at.0).then_with(|| place(other).cmp(&place(one)))
    });
    found.truncate(wanted.limit);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_of_the_topic_says_where_it_stood() {
        let value = br#"{"v":1,"reason":"malformed","provider":"kafka","received_at":"2023-11-14T22:13:20Z","payload":"garbage","topic":"ticks","partition":3,"offset":47}"#;
        let letter = of_topic("dlq[0]@1".to_owned(), value);
        assert_eq!((letter.reason.as_str(), letter.payload.as_str()), ("malformed", "garbage"));
        assert_eq!(
            (letter.origin.as_str(), letter.received_at.0),
            ("ticks[3]@47", Nanos(1_700_000_000_000_000_000))
        );
        let letter = of_topic("dlq[0]@2".to_owned(), b"\xff no letter");
        assert_eq!((letter.reason.as_str(), letter.received_at.0), ("unreadable", Nanos(0)));
    }

    #[test]
    fn letters_are_chosen_by_name_reason_symbol_and_time() {
        let letter = of_topic(
            "d[0]@1".to_owned(),
            br#"{"reason":"late","symbol":"A","received_at":"2023-11-14T22:13:20Z","payload":{"symbol":"A"}}"#,
        );
        assert_eq!(letter.payload, r#"{"symbol":"A"}"#);
        let text = |text: &str| Some(text.to_owned());
        for (wanted, is_wanted) in [
            (Wanted::default(), true),
            (Wanted { ids: vec!["d[0]@1".to_owned()], ..Wanted::default() }, true),
            (Wanted { ids: vec!["d[0]@2".to_owned()], ..Wanted::default() }, false),
            (Wanted { reason: text("late"), symbol: text("A"), ..Wanted::default() }, true),
            (Wanted { reason: text("malformed"), ..Wanted::default() }, false),
            (Wanted { symbol: text("B"), ..Wanted::default() }, false),
            (Wanted { since: Some(letter.received_at.0.plus(1)), ..Wanted::default() }, false),
        ] {
            assert_eq!(wanted.wants(&letter), is_wanted, "{wanted:?}");
        }
    }
}
