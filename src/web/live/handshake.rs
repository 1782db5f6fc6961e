//! The opening handshake of a live session (RFC 6455, 4.2).
//!
//! Promises: what passes is a handshake that a client of version 13 makes; the library behind it takes older versions and
//! any key. On failure: a problem document, and of an unknown version with the header that names ours.

use crate::web::answer::error::ApiError;
use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// The version of the protocol that is spoken.
const VERSION: &str = "13";

/// Bytes of a client's key.
const KEY_LEN: usize = 16;

/// Checks that a request is a handshake.
///
/// # Errors
/// When it is a plain request, or a handshake that the protocol does not allow.
pub fn check(request: &HttpRequest) -> Result<(), ApiError> {
    let headers = request.headers();
    if request.method() != Method::GET || !has_token(headers, header::UPGRADE, "websocket") {
        return Err(ApiError::UpgradeRequired);
    }
    let wrong = |detail: &str| Err(ApiError::BadHandshake(detail.to_owned()));
    if !has_token(headers, header::CONNECTION, "upgrade") {
        return wrong("`Connection` does not say `Upgrade`");
    }
    let version = headers.get(header::SEC_WEBSOCKET_VERSION);
    if version.is_none_or(|version| version.as_bytes() != VERSION.as_bytes()) {
        return Err(ApiError::UnknownVersion(VERSION));
    }
    let key =
        headers.get(header::SEC_WEBSOCKET_KEY).map(|key| BASE64_STANDARD.decode(key.as_bytes().trim_ascii()));
    match key {
        Some(Ok(key)) if key.len() == KEY_LEN => Ok(()),
        Some(_) => wrong("`Sec-WebSocket-Key` is not 16 bytes in base64"),
        None => wrong("`Sec-WebSocket-Key` is missing"),
    }
}

/// True when a header lists a word.
fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case(token))
}
