//! What an answer means before it is read. The status is 200 nearly always; the uppermost keys and words of the body tell.
//!
//! Promises: no reason holds the key, which the venue repeats in its messages.

use super::wire::Problem;
use crate::actors::ingest::venue::Judgement;
use crate::secret::MASK;
use std::time::Duration;

/// The venue wants a second between two requests, and counts it strictly.
const BURST_PAUSE: Duration = Duration::from_millis(1_200);
/// A limit that is counted by the minute.
const MINUTE_PAUSE: Duration = Duration::from_secs(60);
/// The limit of a day is spent. Nobody documents when a day begins there, and a refused request costs nothing: so it is asked
/// again every hour, and goes on within an hour of that moment.
const DAY_PAUSE: Duration = Duration::from_hours(1);

/// Characters of a message of the venue that are repeated: its point comes late.
const SAID_MAX: usize = 160;

/// Says what an answer means.
pub(super) fn judge(status: u16, body: &str, key: &str) -> Judgement {
    if !(200..=299).contains(&status) {
        return Judgement::by_status(status, &without_key(body, key));
    }
    let Ok(Problem { error, information, note, detail }) = serde_json::from_str(body) else {
        let reason = format!("answer is no JSON: {}", without_key(body, key));
        return Judgement::Transient { reason, pause: None };
    };
    let reason = |text: &str| format!("the venue says: {}", without_key(text, key));
    if let Some(text) = error {
        let reason = reason(&text);
        return if text.contains("apikey is invalid or missing") {
            Judgement::NotEntitled { reason }
        } else {
            Judgement::Permanent { reason }
        };
    }
    if let Some(text) = information {
        return of_information(&text, reason(&text));
    }
    if let Some(text) = note {
        return Judgement::Transient { reason: reason(&text), pause: Some(MINUTE_PAUSE) };
    }
    detail.map_or(Judgement::Good, |text| Judgement::Permanent { reason: reason(&text) })
}

/// The order matters: the text of a burst names the limit of a day too, and that one praises the plans.
fn of_information(text: &str, reason: String) -> Judgement {
    let text = text.to_ascii_lowercase();
    let has = |words: &str| text.contains(words);
    if has("1 request per second") || has("more sparingly") {
        Judgement::Transient { reason, pause: Some(BURST_PAUSE) }
    } else if has("requests per day") {
        Judgement::Transient { reason: format!("{reason} (asked again every hour)"), pause: Some(DAY_PAUSE) }
    } else if has("premium endpoint") || (has("premium plans") && has("unlock")) || has("demo") {
        Judgement::NotEntitled { reason }
    } else {
        Judgement::Transient { reason, pause: Some(MINUTE_PAUSE) }
    }
}

/// Returns the beginning of a text of the venue, without the key.
fn without_key(text: &str, key: &str) -> String {
    let hidden = if key.is_empty() { text.to_owned() } else { text.replace(key, MASK) };
    hidden.chars().take(SAID_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_by_their_words() {
        let told = |status, body: &str| match judge(status, body, "K3Y") {
            Judgement::Good => "good".to_owned(),
            Judgement::Transient { reason, pause } => {
                assert!(!reason.contains("K3Y"), "{reason}");
                format!("wait {:?}", pause.map(|pause| pause.as_millis()))
            }
            Judgement::Permanent { reason } => {
                assert!(!reason.contains("K3Y"), "{reason}");
                "wrong".to_owned()
            }
            Judgement::NotEntitled { reason } => {
                assert!(!reason.contains("K3Y"), "{reason}");
                "not entitled".to_owned()
            }
        };
        let of = |key: &str, text: &str| format!("{{\"{key}\":\"{text}\"}}");
        let burst = "Thank you for using Alpha Vantage! Please consider spreading out your free API requests more sparingly (1 request per second). You may subscribe to any of the premium plans to lift the free key rate limit (25 requests per day), raise the per-second burst limit, and instantly unlock all premium endpoints";
        let daily = "We have detected your API key as K3Y and our standard API rate limit is 25 requests per day. Please subscribe to any of the premium plans at https://www.alphavantage.co/premium/ to instantly remove all daily rate limits.";
        let premium = "Thank you for using Alpha Vantage! This is a premium endpoint. You may subscribe to any of the premium plans at https://www.alphavantage.co/premium/ to instantly unlock all premium endpoints";
        for (status, body, expected) in [
            (200, r#"{"Global Quote":{}}"#.to_owned(), "good"),
            (200, "{}".to_owned(), "good"),
            (200, of("Information", burst), "wait Some(1200)"),
            (200, of("Information", daily), "wait Some(3600000)"),
            (200, of("Information", premium), "not entitled"),
            (200, of("Information", "The **demo** API key is for demo purposes only."), "not entitled"),
            (200, of("Information", "K3Y is tired"), "wait Some(60000)"),
            (200, of("Note", "Our standard API call frequency is 5 calls per minute"), "wait Some(60000)"),
            (200, of("Error Message", "the parameter apikey is invalid or missing."), "not entitled"),
            (200, of("Error Message", "Invalid API call. Please retry K3Y"), "wrong"),
            (200, of("Error Message", "This API function () does not exist."), "wrong"),
            (200, of("detail", "Could not satisfy the request Accept header."), "wrong"),
            (200, "<html>K3Y</html>".to_owned(), "wait None"),
            (503, "K3Y".to_owned(), "wait None"),
        ] {
            assert_eq!(told(status, &body), expected, "{status} {body}");
        }
    }
}
