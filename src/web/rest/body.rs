//! Bodies of requests that change something: JSON objects with known fields.
//!
//! Promises: a body is said to be JSON, which a page from elsewhere cannot do without asking first, and is no longer than its
//! reader allows. On failure: an answer that names the field, and nothing has changed.

use crate::models::symbol::{NAME_LEN_MAX, shortened};
use crate::web::answer::error::ApiError;
use crate::web::fields::{self, FieldFault, Fields};
use actix_web::HttpRequest;
use actix_web::http::header;
use actix_web::web::{Bytes, Payload};
use serde_json::{Map, Value};

/// Longest name of a person in characters.
const SHORT_MAX: usize = 64;

/// Reads a body of at most `max` bytes that is said to be JSON.
///
/// # Errors
/// When it is not, is too long, or does not come to its end.
pub(super) async fn read(request: &HttpRequest, body: Payload, max: usize) -> Result<Bytes, ApiError> {
    let said = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = said.and_then(|said| said.split(';').next()).unwrap_or_default();
    if !media_type.trim().eq_ignore_ascii_case("application/json") {
        return Err(ApiError::NotJson);
    }
    let too_long = |_| ApiError::BodyOverLimit { max };
    let body = body.to_bytes_limited(max).await.map_err(too_long)?;
    body.map_err(|_| ApiError::parameter("body", "the body did not come to its end"))
}

/// Reads an object that has no other fields than these.
///
/// # Errors
/// When it is something else; the answer names the field that is not known.
pub(super) fn object(text: &[u8], known: &[&str]) -> Result<Map<String, Value>, ApiError> {
    let of_body = |detail: String| ApiError::parameter("body", format!("the body {detail}"));
    let Value::Object(object) = fields::parse(text).map_err(of_body)? else {
        return Err(of_body("is no object".to_owned()));
    };
    match object.keys().find(|name| !known.contains(&name.as_str())) {
        Some(other) => {
            Err(of_body(format!("has `{}`: it has `{}`", shortened(other, NAME_LEN_MAX), known.join("`, `"))))
        }
        None => Ok(object),
    }
}

/// Makes the error of a field.
pub(super) fn fault(fault: FieldFault) -> ApiError {
    ApiError::parameter(fault.field, fault.detail)
}

/// Reads a short text, such as who somebody is.
///
/// # Errors
/// When it is something else, or longer.
pub(super) fn short_text(fields: Fields<'_>, field: &'static str) -> Result<Option<String>, ApiError> {
    let Some(text) = fields.text(field).map_err(fault)? else { return Ok(None) };
    if text.chars().count() > SHORT_MAX || text.chars().any(char::is_control) {
        let detail = format!("`{field}` has at most {SHORT_MAX} characters, and none that control something");
        return Err(ApiError::parameter(field, detail));
    }
    Ok(Some(text.to_owned()))
}

/// Reads a list of texts: one text alone is none, though queries and live clients may write it so.
///
/// # Errors
/// When it is something else.
pub(super) fn texts(fields: Fields<'_>, field: &'static str) -> Result<Option<Vec<String>>, ApiError> {
    if fields.0.get(field).is_some_and(Value::is_string) {
        return Err(ApiError::parameter(field, format!("`{field}` is a text: it is a list of names")));
    }
    fields.names(field).map_err(fault)
}
