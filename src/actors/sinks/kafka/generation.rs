//! Tells the log of this process from others that wrote to the same topics.
//!
//! A new data directory begins with position 1 again, and readers of the topics keep the higher `log_pos`: they would keep what an
//! older log wrote. So a log that finds messages of another one writes in a higher generation
//! ([`LogPos`]), which makes all of its messages the later ones.
//!
//! Promises: a log is recognised by an entry that it holds, so it goes on in its generation also where the notes of the data
//! directory were removed. On failure: what the brokers answer comes back.

use crate::models::log_pos::LogPos;
use crate::names::SymbolTable;
use crate::stores::StoreError;
use crate::stores::kafka::fault::KafkaFault;
use crate::stores::kafka::settings::KafkaSettings;
use crate::stores::kafka::whole::read_newest;
use crate::stores::log::LogReader;
use serde::Deserialize;
use std::borrow::Cow;

/// What is read of a message.
#[derive(Deserialize)]
struct Value<'a> {
    #[serde(borrow)]
    log_pos: Option<Cow<'a, str>>,
    #[serde(borrow)]
    symbol: Option<Cow<'a, str>>,
    /// Stands in reports alone.
    #[serde(borrow)]
    ts_ns: Option<Cow<'a, str>>,
}

/// A report that stands in a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Report {
    pos: LogPos,
    symbol: String,
    /// Its event time in nanoseconds.
    time: i64,
}

/// What the newest messages of the topics say.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Newest {
    /// The highest place in a log.
    pub highest: Option<LogPos>,
    /// The report with the highest place.
    report: Option<Report>,
}

impl Newest {
    /// Reads the newest message of each partition of each topic.
    ///
    /// # Errors
    /// When one cannot be read.
    pub async fn read(kafka: &KafkaSettings, topics: Vec<String>) -> Result<Newest, KafkaFault> {
        let kafka = kafka.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut newest = Newest::default();
            for topic in topics {
                read_newest(&kafka, &topic, "newest", |_, _, value| newest.take(value))?;
            }
            Ok(newest)
        });
        read.await.unwrap_or_else(|_| Err(KafkaFault::transient("the look at the topics was cut off")))
    }

    /// Takes a message in. What is none of ours says nothing.
    fn take(&mut self, value: &[u8]) {
        let Ok(Value { log_pos, symbol, ts_ns }) = serde_json::from_slice(value) else { return };
        let Some(pos) = log_pos.and_then(|text| text.parse().ok()).and_then(LogPos::from_stored) else {
            return;
        };
        self.highest = self.highest.max(Some(pos));
        let time = ts_ns.and_then(|text| text.parse().ok());
        if let (Some(symbol), Some(time)) = (symbol, time)
            && self.report.as_ref().is_none_or(|known| known.pos < pos)
        {
            self.report = Some(Report { pos, symbol: symbol.into_owned(), time });
        }
    }

    /// True when the report stands in this log too.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn is_of(&self, log: &dyn LogReader, symbols: &SymbolTable) -> Result<bool, StoreError> {
        let Some(Report { pos, symbol, time }) = &self.report else { return Ok(false) };
        let at = pos.position();
        let found = log.read(at.saturating_sub(1), 1).await?;
        Ok(found.first().is_some_and(|entry| {
            entry.pos == at && entry.body.time().0 == *time && symbols.spec(entry.symbol).name == *symbol
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_place_and_the_newest_report_are_found_whatever_else_stands_there() {
        let mut newest = Newest::default();
        for value in [
            "garbage",
            r#"{"symbol":"A","price":1,"timestamp":"2023-11-14T22:13:20Z"}"#,
            r#"{"v":1,"symbol":"A","ts_ns":"70","log_pos":"9"}"#,
            r#"{"v":1,"symbol":"B","ts_ns":"60","log_pos":"11"}"#,
            r#"{"v":1,"symbol":"A","window":"1min","log_pos":"281474976710661"}"#,
            r#"{"v":1,"symbol":"A","ts_ns":"80","log_pos":"10"}"#,
        ] {
            newest.take(value.as_bytes());
        }
        let report = Report { pos: LogPos::new(0, 11).unwrap(), symbol: "B".to_owned(), time: 60 };
        assert_eq!(newest, Newest { highest: LogPos::new(1, 5), report: Some(report) });
    }
}
