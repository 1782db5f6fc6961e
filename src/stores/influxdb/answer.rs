//! What a server's answers to writes mean.
//!
//! Promises: pure. An answer is a success, also where the server has left out points that it will never take; or it says
//! whether another try of the same can help. On failure: an answer that cannot be read counts by its status alone.

use chrono::DateTime;
use serde::Deserialize;
use std::time::Duration;

/// Longest pause that a server's `Retry-After` is believed.
const PAUSE_MAX: Duration = Duration::from_mins(5);

/// Longest text of an answer that an error repeats.
const TEXT_LEN_MAX: usize = 300;

/// Why a server did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InfluxError {
    /// May go away by itself: no connection, busy, starting.
    #[error("{cause}")]
    Transient {
        /// What was said.
        cause: String,
        /// How long the server asks to be left alone, where it says so.
        pause: Option<Duration>,
    },
    /// Will not go away by itself: a wrong token, a wrong address.
    #[error("{cause}")]
    Permanent {
        /// What was said.
        cause: String,
    },
    /// There is no such bucket (or organization).
    #[error("{cause}")]
    NoBucket {
        /// What was said.
        cause: String,
    },
    /// Lines are refused, and with them the request: without them the others are taken.
    #[error("{cause}")]
    Lines {
        /// What was said.
        cause: String,
        /// Their places in the request, from 0; empty where the server does not say.
        lines: Vec<usize>,
    },
}

/// Points that a server left out of a request that it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// How many.
    pub num_points: u64,
    /// What was said.
    pub cause: String,
}

/// An answer, as far as it matters.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The status.
    pub status: u16,
    /// The header `Retry-After`.
    pub retry_after: Option<&'a str>,
    /// The body.
    pub body: &'a str,
    /// The header `Date`: the server's clock, by which it says when to come again.
    pub date: Option<&'a str>,
}

/// The body of an error: InfluxDB 2 says `message`, InfluxDB 3 `error` and, for each line that it refuses, `data`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    message: Option<String>,
    error: Option<String>,
    data: Vec<RefusedLine>,
}

#[derive(Debug, Deserialize)]
struct RefusedLine {
    /// From 1.
    line_number: usize,
    error_message: Option<String>,
}

impl Answer<'_> {
    fn read(&self) -> ErrorBody {
        serde_json::from_str(self.body).unwrap_or_default()
    }

    /// Returns the server's own words, or its status.
    #[must_use]
    pub fn words(&self) -> String {
        let read = self.read();
        let first = read.data.first().and_then(|line| line.error_message.as_deref());
        let said = read.message.or(read.error).unwrap_or_else(|| self.body.trim().to_owned());
        let said = first.map_or_else(|| said.clone(), |first| format!("{said}: {first}"));
        let short: String = said.chars().take(TEXT_LEN_MAX).collect();
        format!("{} {short}", self.status).trim_end().to_owned()
    }

    /// Returns how long the server asks to be left alone: seconds, or a time of day.
    fn pause(&self) -> Option<Duration> {
        let text = self.retry_after?.trim();
        let seconds = text.parse().ok().map(Duration::from_secs);
        let time = |text: &str| DateTime::parse_from_rfc2822(text).ok();
        let until = || time(text)?.signed_duration_since(time(self.date?)?).to_std().ok();
        Some(seconds.or_else(until)?.min(PAUSE_MAX))
    }

    /// Returns the error that the status stands for, whatever was asked.
    #[must_use]
    pub fn error(&self) -> InfluxError {
        let cause = self.words();
        match self.status {
            404 => InfluxError::NoBucket { cause },
            408 | 429 | 500.. => InfluxError::Transient { cause, pause: self.pause() },
            _ => InfluxError::Permanent { cause },
        }
    }

    /// Returns what an answer to a write means.
    ///
    /// # Errors
    /// [`InfluxError`].
    pub fn of_write(&self) -> Result<Option<LeftOut>, InfluxError> {
        match self.status {
            200..300 => Ok(None),
            400 => {
                let read = self.read();
                let lines: Vec<usize> =
                    read.data.iter().filter_map(|line| line.line_number.checked_sub(1)).collect();
                let cause = self.words();
                // Anything else is wrong with every request, and taking it apart would not help.
                let is_of_lines = !lines.is_empty() || cause.contains("parse");
                Err(if is_of_lines {
                    InfluxError::Lines { cause, lines }
                } else {
                    InfluxError::Permanent { cause }
                })
            }
            // Halves of it are shorter.
            413 => Err(InfluxError::Lines { cause: self.words(), lines: Vec::new() }),
            422 => {
                let cause = self.words();
                // The server took the other points: nothing of them need be written again.
                match num_dropped(&cause) {
                    Some(num_points) => Ok(Some(LeftOut { num_points, cause })),
                    None => Err(InfluxError::Lines { cause, lines: Vec::new() }),
                }
            }
            _ => Err(self.error()),
        }
    }
}

/// Returns the number in `... dropped=3`.
fn num_dropped(words: &str) -> Option<u64> {
    let (_, after) = words.rsplit_once("dropped=")?;
    let digits = after.find(|c: char| !c.is_ascii_digit()).map_or(after, |end| &after[..end]);
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer<'_> {
        Answer { status, retry_after: None, body, date: Some("Thu, 01 Jan 1970 00:00:00 GMT") }
    }

    #[test]
    fn a_request_that_was_taken_in_part_is_a_success_that_counts_what_is_missing() {
        assert_eq!(answer(204, "").of_write(), Ok(None));
        for (body, num_points) in [
            (
                r#"{"code":"unprocessable entity","message":"failure writing points to database: partial write: points beyond retention policy dropped=3"}"#,
                3,
            ),
            (
                r#"{"code":"unprocessable entity","message":"partial write: field type conflict: input field \"price\" on measurement \"tick_metrics\" is type float, already exists as type integer dropped=12"}"#,
                12,
            ),
        ] {
            let left_out = answer(422, body).of_write().expect("it was taken").expect("some are missing");
            assert_eq!(left_out.num_points, num_points);
            assert!(
                left_out.cause.starts_with("422 ") && left_out.cause.contains("partial write"),
                "{left_out:?}"
            );
        }
    }

    #[test]
    fn lines_are_refused_by_name_where_the_server_says_which() {
        let named = r#"{"error":"partial write of line protocol occurred","data":[{"original_line":"x","line_number":2,"error_message":"bad"},{"original_line":"y","line_number":5,"error_message":"bad"}]}"#;
        let Err(InfluxError::Lines { cause, lines }) = answer(400, named).of_write() else { panic!() };
        assert_eq!((lines, cause.as_str()), (vec![1, 4], "400 partial write of line protocol occurred: bad"));
        let unnamed = r#"{"code":"invalid","message":"unable to parse 'x y': missing field value"}"#;
        for (status, body) in [(400, unnamed), (413, "too large"), (422, r#"{"message":"no"}"#)] {
            let refused = answer(status, body).of_write();
            assert!(
                matches!(&refused, Err(InfluxError::Lines { lines, .. }) if lines.is_empty()),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn the_status_says_whether_another_try_can_help_and_when() {
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(matches!(answer(status, "").of_write(), Err(InfluxError::Transient { pause: None, .. })));
        }
        for (status, body) in [(301, ""), (400, r#"{"message":"precision"}"#), (401, ""), (403, "")] {
            assert!(
                matches!(answer(status, body).of_write(), Err(InfluxError::Permanent { .. })),
                "{status}"
            );
        }
        assert!(matches!(answer(404, "").of_write(), Err(InfluxError::NoBucket { .. })));
        for (text, seconds) in [
            ("7", Some(7)),
            ("86400", Some(300)),
            ("Thu, 01 Jan 1970 00:00:09 GMT", Some(9)),
            ("Wed, 31 Dec 1969 00:00:00 GMT", None),
            ("soon", None),
        ] {
            let busy = Answer { retry_after: Some(text), ..answer(429, "") };
            let Err(InfluxError::Transient { pause, .. }) = busy.of_write() else { panic!("{text}") };
            assert_eq!(pause, seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn an_error_repeats_a_bounded_part_of_what_the_server_says() {
        let long = "x".repeat(10_000);
        assert!(answer(500, &long).words().len() < 400);
        assert_eq!(answer(502, "").words(), "502");
        assert_eq!(
            answer(401, r#"{"code":"unauthorized","message":"unauthorized access"}"#).words(),
            "401 unauthorized access"
        );
    }
}
