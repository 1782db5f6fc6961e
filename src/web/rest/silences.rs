//! `alerts/silences`: what nobody wants to be told of for a while.
//!
//! Promises: every silence ends, after [`LENGTH_MAX`] at the latest. What is made or ended is in the history when it is
//! answered, and is acted on within about a second by whichever process decides; a page from elsewhere changes none. On
//! failure of the history: 503.

use super::body;
use super::param_docs::{NamePattern, SilencePath};
use crate::models::alerts::silence::{SILENCES_MAX, Silence};
use crate::models::anomaly::Severity;
use crate::models::time::{DAY, Nanos, parse_span};
use crate::web::answer::error::ApiError;
use crate::web::answer::params::Params;
use crate::web::answer::reply::Reply;
use crate::web::answer::responses::{Failures, NotJson};
use crate::web::fields::{Fields, wrong};
use crate::web::state::AppState;
use crate::wire::SilenceObject;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Longest body in bytes: a thousand symbols and a thousand types of the longest names are 134 KB.
const BODY_MAX: usize = 256 << 10;

/// Longest silence in nanoseconds.
const LENGTH_MAX: i64 = 90 * DAY;

/// Names that a silence may list of each kind.
const NAMES_MAX: usize = 1_000;

/// What nobody wants to be told of.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSilence {
    /// Symbols, `*` at an end standing for any rest; all where there are none.
    #[schema(value_type = Option<Vec<NamePattern>>, example = json!(["BTC-*"]), max_items = 1000)]
    pub symbols: Option<Vec<String>>,
    /// Types; all where there are none.
    #[schema(value_type = Option<Vec<NamePattern>>, example = json!(["price_spike"]), max_items = 1000)]
    pub types: Option<Vec<String>>,
    /// Highest severity, by default `critical`.
    #[schema(example = "high", pattern = "^(low|medium|high|critical)$")]
    pub max_severity: Option<String>,
    /// Begins to count then, by default now: a time, or a span after now such as `+2h`.
    #[schema(example = "+10min")]
    pub start: Option<String>,
    /// Counts no more from then on: a time, or a span after now such as `+2h`; at most 90 days after its start.
    #[schema(example = "+2h")]
    pub end: String,
    /// Why, for people.
    #[schema(example = "earnings", max_length = 64, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
    pub comment: Option<String>,
    /// Who, for people.
    #[schema(example = "ann", max_length = 64, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
    pub by: Option<String>,
}

/// Silences that are not over, the one that ends first first.
#[utoipa::path(
    get,
    path = "/api/v1/alerts/silences",
    tag = "signals",
    responses((status = 200, description = "Silences", body = Vec<SilenceObject>), Failures),
)]
pub async fn silences(request: HttpRequest, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    Params::of(&request, &[])?;
    let found = state.alerts()?.silences(state.now()).await?;
    let found: Vec<SilenceObject> = found.into_iter().map(SilenceObject::from).collect();
    Ok(Reply::json(&found).send_volatile(&request))
}

/// Makes a silence.
#[utoipa::path(
    post,
    path = "/api/v1/alerts/silences",
    tag = "signals",
    request_body = NewSilence,
    responses((status = 200, description = "The silence", body = SilenceObject), NotJson, Failures),
)]
pub async fn silence(
    request: HttpRequest,
    state: Data<AppState>,
    body: Payload,
) -> Result<HttpResponse, ApiError> {
    state.visitors.check_change(request.headers())?;
    Params::of(&request, &[])?;
    let silence = read(&body::read(&request, body, BODY_MAX).await?, state.now())?;
    let store = state.alerts()?;
    if store.silences(state.now()).await?.len() >= SILENCES_MAX {
        return Err(ApiError::parameter("body", format!("{SILENCES_MAX} silences count already: end one")));
    }
    store.put_silence(&silence).await?;
    Ok(Reply::json(&SilenceObject::from(silence)).send_volatile(&request))
}

/// Ends a silence.
#[utoipa::path(
    delete,
    path = "/api/v1/alerts/silences/{id}",
    tag = "signals",
    params(SilencePath),
    responses((status = 200, description = "The silence, which is over", body = SilenceObject), Failures),
)]
pub async fn end(
    request: HttpRequest,
    state: Data<AppState>,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    state.visitors.check_change(request.headers())?;
    Params::of(&request, &[])?;
    let (store, now) = (state.alerts()?, state.now());
    let known = store.silences(now).await?.into_iter().find(|silence| silence.id == *id);
    let Some(mut silence) = known else {
        return Err(ApiError::NoData("no such silence counts, or is to count".to_owned()));
    };
    // One that has not begun never does.
    (silence.start, silence.end) = (silence.start.min(now), now);
    store.put_silence(&silence).await?;
    Ok(Reply::json(&SilenceObject::from(silence)).send_volatile(&request))
}

fn read(text: &[u8], now: Nanos) -> Result<Silence, ApiError> {
    let known = ["symbols", "types", "max_severity", "start", "end", "comment", "by"];
    let object = body::object(text, &known)?;
    let fields = Fields(&object);
    let text = |field| fields.text(field).map_err(body::fault);
    let new = NewSilence {
        symbols: body::texts(fields, "symbols")?,
        types: body::texts(fields, "types")?,
        max_severity: text("max_severity")?.map(str::to_owned),
        start: text("start")?.map(str::to_owned),
        end: text("end")?.ok_or_else(|| body::fault(Fields::missing("end", "a time")))?.to_owned(),
        comment: body::short_text(fields, "comment")?,
        by: body::short_text(fields, "by")?,
    };
    new.silence(now)
}

impl NewSilence {
    /// Makes the silence.
    ///
    /// # Errors
    /// When a name, a time or the severity is none, or it would not end in time.
    fn silence(self, now: Nanos) -> Result<Silence, ApiError> {
        let start = match &self.start {
            Some(text) => time("start", text, now)?,
            None => now,
        };
        let end = time("end", &self.end, now)?;
        if end <= now || end <= start {
            return Err(ApiError::parameter(
                "end",
                "`end` is over: it is a time after now, and after `start`",
            ));
        }
        if end.since(start) > LENGTH_MAX {
            return Err(ApiError::parameter("end", "`end` is at most 90 days after `start`"));
        }
        let max_severity = match &self.max_severity {
            None => Severity::Critical,
            Some(text) => Severity::parse(text).ok_or_else(|| {
                let belongs = "`low`, `medium`, `high` or `critical`";
                body::fault(wrong("max_severity", &Value::from(text.as_str()), belongs))
            })?,
        };
        Ok(Silence {
            id: format!("s-{:016x}", rand::random::<u64>()),
            start,
            end,
            symbols: names("symbols", self.symbols)?,
            types: names("types", self.types)?,
            max_severity,
            comment: self.comment.unwrap_or_default(),
            created_by: self.by.unwrap_or_default(),
            created: now,
        })
    }
}

fn names(field: &'static str, names: Option<Vec<String>>) -> Result<Vec<String>, ApiError> {
    let names = names.unwrap_or_default();
    let fits =
        |name: &String| (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
    if names.len() <= NAMES_MAX && names.iter().all(fits) {
        return Ok(names);
    }
    let detail = format!("`{field}` has at most {NAMES_MAX} names of 1 to 64 visible characters");
    Err(ApiError::parameter(field, detail))
}

fn time(field: &'static str, text: &str, now: Nanos) -> Result<Nanos, ApiError> {
    let belongs = "a time such as `2023-09-05T17:00:00Z`, or a span after now such as `+2h`";
    let read = match text.strip_prefix('+') {
        Some(span) => parse_span(span).map(|span| now.plus(span)),
        None => Nanos::from_query(text, now),
    };
    read.ok_or_else(|| body::fault(wrong(field, &Value::from(text), belongs)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::time::{HOUR, MINUTE};

    #[test]
    fn a_body_is_read_or_the_field_at_fault_named() {
        let now = Nanos::from_rfc3339("2023-09-05T17:00:00Z").expect("a time");
        let silence =
            read(br#"{"symbols": ["BTC-*"], "end": "2023-09-05T19:00:00Z"}"#, now).expect("it is right");
        assert_eq!((silence.start, silence.max_severity), (now, Severity::Critical));
        assert_eq!(silence.symbols, ["BTC-*"]);
        let later = read(br#"{"start": "+10min", "end": "+2h"}"#, now).expect("it is right");
        assert_eq!((later.start.since(now), later.end.since(now)), (10 * MINUTE, 2 * HOUR));
        for (text, param) in [
            ("", "body"),
            (r#"{"end": "2023-09-06", "until": 1}"#, "body"),
            ("{}", "end"),
            (r#"{"end": 5}"#, "end"),
            (r#"{"end": "soon"}"#, "end"),
            (r#"{"end": "+soon"}"#, "end"),
            (r#"{"end": "+0s"}"#, "end"),
            (r#"{"end": "+1y"}"#, "end"),
            (r#"{"end": "+1h", "symbols": "AAPL"}"#, "symbols"),
            (r#"{"end": "2023-09-04"}"#, "end"),
            (r#"{"end": "2023-12-25"}"#, "end"),
            (r#"{"end": "2023-09-06", "start": "2023-09-07"}"#, "end"),
            (r#"{"end": "2023-09-06", "symbols": [""]}"#, "symbols"),
            (r#"{"end": "2023-09-06", "types": {}}"#, "types"),
            (r#"{"end": "2023-09-06", "max_severity": "huge"}"#, "max_severity"),
            (r#"{"end": "2023-09-06", "by": 7}"#, "by"),
        ] {
            let problem = read(text.as_bytes(), now).expect_err(text).problem();
            assert_eq!((problem.status, problem.param.as_deref()), (422, Some(param)), "{text}");
        }
    }
}
