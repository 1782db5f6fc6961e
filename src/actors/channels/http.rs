//! Posts over HTTP, with the client and the TLS that the rest of the program uses.
//!
//! Promises: one post takes the timeout at the most; redirects are not followed, since an address may hold a key that another
//! server must not see; answers are read up to a limit; nothing that is secret stands in an error or in what is read of an
//! answer. On failure: [`SendError`], which says whether another try can help and whether the post may have arrived.

use crate::actors::retry_after::{PAUSE_MAX, retry_after};
use crate::models::notification::{Receipt, SendError};
use crate::secret::{Redaction, Secret};
use reqwest::header::HeaderMap;
use reqwest::{Client, StatusCode};
use rustls::ClientConfig;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Longest answer that is read: receivers say `ok`, or what is wrong in a line or two.
const BODY_LEN_MAX: usize = 64 << 10;

/// Longest text of an answer that an error or a receipt repeats.
const WORDS_LEN_MAX: usize = 300;

/// Posts to receivers.
pub struct Poster {
    http: Client,
    redaction: Redaction,
}

/// What a receiver answered.
#[derive(Clone, Debug)]
pub struct Answer {
    status: StatusCode,
    pause: Option<Duration>,
    body: String,
}

/// Where servers say in the body when to come again, in seconds: Discord at the top, Telegram below.
#[derive(Default, Deserialize)]
#[serde(default)]
struct PauseBody {
    retry_after: Option<f64>,
    parameters: Option<PauseParameters>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PauseParameters {
    retry_after: Option<f64>,
}

impl Poster {
    /// Makes one that hides these secrets.
    ///
    /// # Panics
    /// Never: the settings of the HTTP client are complete.
    #[must_use]
    pub fn new<'a>(
        tls: &Arc<ClientConfig>,
        timeout: Duration,
        secrets: impl IntoIterator<Item = &'a Secret>,
    ) -> Poster {
        let http = Client::builder()
            .use_preconfigured_tls((**tls).clone())
            .user_agent(concat!("tickwire/", env!("CARGO_PKG_VERSION")))
            .timeout(timeout)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .expect("the settings of the client are complete");
        Poster { http, redaction: Redaction::of(secrets) }
    }

    /// Posts a body.
    ///
    /// # Errors
    /// [`SendError::Transient`] where no answer came. What an answer means is for its reader to say.
    pub async fn post(&self, url: &Url, headers: HeaderMap, body: Vec<u8>) -> Result<Answer, SendError> {
        let failed = |error: reqwest::Error| {
            let may_have_arrived = !(error.is_connect() || error.is_builder());
            let is_timeout = error.is_timeout();
            let cause = root_cause(&error.without_url());
            let cause =
                if is_timeout { "no answer in time".to_owned() } else { format!("no answer: {cause}") };
            SendError::Transient {
                cause: self.redaction.apply(&cause).into_owned(),
                retry_after: None,
                may_have_arrived,
            }
        };
        let mut answer =
            self.http.post(url.clone()).headers(headers).body(body).send().await.map_err(failed)?;
        let (status, pause) = (answer.status(), retry_after(answer.headers()));
        let mut body = Vec::new();
        // The status has said whether it was taken: an answer that breaks off after it is read as far as it goes.
        while let Ok(Some(chunk)) = answer.chunk().await {
            let room = BODY_LEN_MAX - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if body.len() == BODY_LEN_MAX {
                break;
            }
        }
        let body = self.redaction.apply(&String::from_utf8_lossy(&body)).into_owned();
        Ok(Answer { status, pause, body })
    }
}

impl Answer {
    /// Returns what the answer means: taken, or why not.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn judge(&self) -> Result<Receipt, SendError> {
        let cause = self.words();
        match self.status.as_u16() {
            200..300 => Ok(Receipt(cause)),
            // What is wrong with this post is not wrong with the next one.
            400 | 413 | 422 => Err(SendError::Refused { cause }),
            // A proxy that gave up does not know what the server behind it did.
            502 | 504 => Err(self.transient(cause, true)),
            408 | 425 | 429 | 500.. => Err(self.transient(cause, false)),
            _ => Err(SendError::Unusable { cause }),
        }
    }

    fn transient(&self, cause: String, may_have_arrived: bool) -> SendError {
        SendError::Transient { cause, retry_after: self.pause(), may_have_arrived }
    }

    /// Returns how long the receiver asks to be left alone.
    fn pause(&self) -> Option<Duration> {
        let said = || {
            let body: PauseBody = serde_json::from_str(&self.body).ok()?;
            let seconds = body.retry_after.or_else(|| body.parameters?.retry_after)?;
            Duration::try_from_secs_f64(seconds).ok()
        };
        Some(self.pause.or_else(said)?.min(PAUSE_MAX))
    }

    /// Returns the status and the receiver's own words, on one line.
    fn words(&self) -> String {
        let body: Vec<&str> = self.body.split_whitespace().collect();
        let body: String = body.join(" ").chars().take(WORDS_LEN_MAX).collect();
        format!("{} {body}", self.status.as_u16()).trim_end().to_owned()
    }
}

/// Returns what lies behind an error: reqwest's own words say little.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status: StatusCode::from_u16(status).expect("a status"), pause: None, body: body.to_owned() }
    }

    #[test]
    fn a_status_says_whether_another_try_can_help() {
        assert_eq!(answer(200, "ok\n").judge(), Ok(Receipt("200 ok".to_owned())));
        for (status, is_final, is_transient, may_have_arrived) in [
            (400, true, false, false),
            (403, false, false, false),
            (404, false, false, false),
            (302, false, false, false),
            (408, false, true, false),
            (429, false, true, false),
            (500, false, true, false),
            (504, false, true, true),
        ] {
            let error = answer(status, "no").judge().expect_err("not taken");
            assert_eq!(matches!(error, SendError::Refused { .. }), is_final, "{status}");
            assert_eq!(matches!(error, SendError::Transient { .. }), is_transient, "{status}");
            assert_eq!(error.may_have_arrived(), may_have_arrived, "{status}");
            assert_eq!(error.to_string(), format!("{status} no"));
        }
    }

    #[test]
    fn a_pause_is_found_in_the_body_too() {
        for (body, seconds) in [
            (
                r#"{"message": "You are being rate limited.", "retry_after": 64.57, "global": false}"#,
                Some(64.57),
            ),
            (r#"{"ok":false,"error_code":429,"parameters":{"retry_after":35}}"#, Some(35.0)),
            (r#"{"retry_after": -1}"#, None),
            (r#"{"retry_after": 1e9}"#, Some(86_400.0)),
            ("later", None),
        ] {
            let error = answer(429, body).judge().expect_err("not taken");
            assert_eq!(error.retry_after().map(|pause| pause.as_secs_f64()), seconds, "{body}");
        }
        let said = Answer { pause: Some(Duration::from_secs(7)), ..answer(429, r#"{"retry_after": 3}"#) };
        assert_eq!(said.judge().expect_err("not taken").retry_after(), Some(Duration::from_secs(7)));
    }

    #[test]
    fn words_are_one_line_and_not_long() {
        let error =
            answer(404, &format!("<html>\n<h1>\r\n{}", "x".repeat(1_000))).judge().expect_err("no page");
        let words = error.to_string();
        assert!(
            words.starts_with("404 <html> <h1> xxx") && words.len() < 400 && !words.contains('\n'),
            "{words}"
        );
    }
}
