//! How long a server wants to be left alone: the `Retry-After` of an answer over HTTP.
//!
//! Promises: seconds and dates are read alike; a date counts from the answer's own `Date`, so that no clock of ours is
//! needed; a longer pause than [`PAUSE_MAX`] is believed that far. What cannot be read is no pause. Nothing here fails.

use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use std::time::Duration;

/// Longest pause that is believed. Servers lock addresses out for up to days; a try a day costs nothing, and a mistake
/// of theirs must not end what asks them.
pub(crate) const PAUSE_MAX: Duration = Duration::from_hours(24);

/// Returns the pause that an answer asks for, if it asks for one.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let said = text(RETRY_AFTER)?;
    let pause = match said.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = httpdate::parse_http_date(said).ok()?;
            let now = httpdate::parse_http_date(text(DATE)?).ok()?;
            // A date that has passed allows another try now.
            until.duration_since(now).unwrap_or_default()
        }
    };
    Some(pause.min(PAUSE_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause(said: Option<&str>, date: Option<&str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for (name, value) in [(RETRY_AFTER, said), (DATE, date)] {
            headers.extend(value.map(|value| (name, value.parse().expect("a header"))));
        }
        retry_after(&headers).map(|pause| pause.as_secs())
    }

    #[test]
    fn a_pause_is_believed_for_a_day_in_either_form() {
        let now = Some("Tue, 08 Sep 2026 14:00:00 GMT");
        for (said, date, read) in [
            (None, now, None),
            (Some("0"), None, Some(0)),
            (Some(" 7200 "), None, Some(7_200)),
            (Some("259200"), None, Some(86_400)),
            (Some("Tue, 08 Sep 2026 15:00:00 GMT"), now, Some(3_600)),
            (Some("Tue, 08 Sep 2026 13:00:00 GMT"), now, Some(0)),
            (Some("Tue, 08 Sep 2026 15:00:00 GMT"), None, None),
            (Some("-5"), None, None),
            (Some("soon"), now, None),
        ] {
            assert_eq!(pause(said, date), read, "{said:?}");
        }
    }
}
