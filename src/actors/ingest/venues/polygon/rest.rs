//! What all requests and answers of the venue's REST have in common: the key in a header, the envelope, pages, errors.
//!
//! Promises: the key goes to the configured address alone. A page that leads elsewhere, to itself, or to nothing is the
//! last one.

use crate::actors::ingest::venue::{Cursor, FrameFault, Judgement, Request};
use crate::actors::ingest::venues::text::{excerpt, object};
use crate::secret::Secret;
use reqwest::Url;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::time::Duration;

/// Pause after the limit of a plan, which counts minutes.
const LIMIT_PAUSE: Duration = Duration::from_mins(1);

/// An answer: some rows of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope<'a> {
    /// `OK`; `DELAYED` where the plan's data is late.
    #[serde(default, borrow)]
    pub status: Option<Cow<'a, str>>,
    /// The rows; missing where there are none.
    #[serde(default, borrow)]
    pub results: Option<Vec<&'a RawValue>>,
    /// Where the next page is.
    #[serde(default, borrow)]
    pub next_url: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    error: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    message: Option<Cow<'a, str>>,
}

impl<'a> Envelope<'a> {
    /// Reads the answer to a request for what `what` names.
    pub fn read(body: &'a str, what: &str) -> Result<Envelope<'a>, FrameFault> {
        let envelope: Envelope<'_> = object(what, body)?;
        match envelope.status.as_deref() {
            Some("OK" | "DELAYED") => Ok(envelope),
            status => {
                let status = format!("status `{}`", excerpt(status.unwrap_or_default()));
                Err(FrameFault::malformed(what, envelope.said().map_or(status, excerpt)))
            }
        }
    }

    fn said(&self) -> Option<&str> {
        self.error.as_deref().or(self.message.as_deref()).filter(|text| !text.is_empty())
    }

    /// Returns where the next page is.
    pub fn next(&self, rest_url: &Url, cursor: Option<&Cursor>) -> Result<Option<Cursor>, FrameFault> {
        let Some(next) =
            self.next_url.as_deref().filter(|_| self.results.as_ref().is_some_and(|rows| !rows.is_empty()))
        else {
            return Ok(None);
        };
        if cursor.is_some_and(|cursor| cursor == next) {
            return Ok(None);
        }
        match page_url(rest_url, next) {
            Some(_) => Ok(Some(next.to_owned())),
            None => Err(FrameFault::malformed("next page", "it is on another host")),
        }
    }
}

/// Reads the address of a page; `None` for one that is not where REST is.
fn page_url(rest_url: &Url, page: &str) -> Option<Url> {
    Url::parse(page).ok().filter(|url| url.origin() == rest_url.origin())
}

/// Makes the request for a page that the one before named.
pub(super) fn next_request(rest_url: &Url, cursor: &Cursor, key: Option<&Secret>) -> Option<Request> {
    page_url(rest_url, cursor).map(|url| request(url, key))
}

/// Makes a request with the key.
pub(super) fn request(url: Url, key: Option<&Secret>) -> Request {
    let bearer = |key: &Secret| ("authorization", format!("Bearer {}", key.expose()));
    Request { headers: key.map(bearer).into_iter().collect(), ..Request::to(url) }
}

/// Says what an answer means before its rows are read.
pub(super) fn judge(status: u16, body: &str) -> Judgement {
    let envelope: Option<Envelope<'_>> =
        if (200..300).contains(&status) { None } else { serde_json::from_str(body).ok() };
    let said = envelope.as_ref().and_then(Envelope::said).map_or_else(|| excerpt(body), excerpt);
    let reason = format!("answer is {status}: {said}");
    match status {
        401 => Judgement::NotEntitled { reason: format!("the key is refused: {said}") },
        403 => Judgement::NotEntitled { reason: format!("the key's plan does not have this: {said}") },
        429 => Judgement::Transient { reason, pause: Some(LIMIT_PAUSE) },
        413 | 499 => Judgement::Transient { reason, pause: None },
        _ => Judgement::by_status(status, &said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Url {
        Url::parse("https://api.massive.com").expect("a URL")
    }

    #[test]
    fn pages_are_followed_at_the_configured_address_alone() {
        let page = "https://api.massive.com/v3/trades/AAPL?cursor=YWN0&limit=10";
        let read = |rows: &str, next: &str, cursor: Option<&str>| {
            let body = format!(r#"{{"status":"OK","results":{rows},"next_url":"{next}"}}"#);
            let envelope = Envelope::read(&body, "page").expect("a page");
            envelope.next(&base(), cursor.map(str::to_owned).as_ref())
        };
        assert_eq!(read("[{}]", page, None), Ok(Some(page.to_owned())));
        assert_eq!(read("[{}]", page, Some(page)), Ok(None), "a page that leads to itself is the last one");
        assert_eq!(read("[]", page, None), Ok(None), "so is one without rows");
        for elsewhere in
            ["https://evil.example/v3", "http://api.massive.com/v3", "https://api.massive.com:8443/", "x"]
        {
            assert!(read("[{}]", elsewhere, None).is_err(), "{elsewhere}");
            assert_eq!(next_request(&base(), &elsewhere.to_owned(), None), None, "{elsewhere}");
        }
        let key = Secret::new("KEY".to_owned());
        let request = next_request(&base(), &page.to_owned(), Some(&key)).expect("a request");
        assert_eq!(request.url.as_str(), page, "word for word");
        assert_eq!(request.headers, [("authorization", "Bearer KEY".to_owned())]);
        assert_eq!(format!("{request:?}"), "GET /v3/trades/AAPL");
    }

    #[test]
    fn answers_that_are_none_say_what_the_venue_said() {
        for (body, said) in [
            ("<html>", "not a page: "),
            (r#"{"status":"ERROR","error":"Unknown API Key"}"#, "not a page: Unknown API Key"),
            (
                r#"{"status":"NOT_AUTHORIZED","message":"You are not entitled."}"#,
                "not a page: You are not entitled.",
            ),
            ("{}", "not a page: status ``"),
        ] {
            let fault = Envelope::read(body, "page").map(|_| ()).expect_err(body);
            assert!(fault.reason.starts_with(said), "{}", fault.reason);
        }
        let late = r#"{"status":"DELAYED","count":0}"#;
        assert!(Envelope::read(late, "page").expect("a page").results.is_none());
    }

    #[test]
    fn errors_are_judged_by_their_status() {
        let not_entitled =
            r#"{"status":"NOT_AUTHORIZED","request_id":"1","message":"You are not entitled to this data."}"#;
        let unknown_key = r#"{"status":"ERROR","request_id":"1","error":"Unknown API Key"}"#;
        let limited = r#"{"status":"ERROR","request_id":"1","error":"You've exceeded the maximum requests per minute"}"#;
        assert_eq!(judge(200, "{}"), Judgement::Good);
        let reason = "the key's plan does not have this: You are not entitled to this data.".to_owned();
        assert_eq!(judge(403, not_entitled), Judgement::NotEntitled { reason });
        let reason = "the key is refused: Unknown API Key".to_owned();
        assert_eq!(judge(401, unknown_key), Judgement::NotEntitled { reason });
        for (body, said) in [(limited, "You've exceeded the maximum requests per minute"), ("", "")] {
            let reason = format!("answer is 429: {said}");
            assert_eq!(judge(429, body), Judgement::Transient { reason, pause: Some(LIMIT_PAUSE) });
        }
        for status in [413, 499, 500, 502, 503, 504] {
            assert!(matches!(judge(status, "x"), Judgement::Transient { pause: None, .. }), "{status}");
        }
        assert!(matches!(
            judge(404, r#"{"status":"NOT_FOUND","message":"no"}"#),
            Judgement::Permanent { .. }
        ));
    }
}
