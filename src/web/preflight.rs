//! Requests with OPTIONS: what may be done with a path, for people and for browsers, which ask before a page of another origin
//! sends something unusual.
//!
//! Promises: what is allowed is what the path serves, and not what some other path does. Which pages may ask at all is decided
//! before ([`super::visitors`]), and the origin is named behind ([`super::server`]). On failure: a problem document, with the
//! methods in `Allow` where the method is at fault.

use super::answer::error::ApiError;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

/// The methods of what can only be read.
pub const READS: &str = "GET, HEAD, OPTIONS";

/// How long browsers keep an answer, in seconds.
const MAX_AGE: &str = "3600";

/// Answers a request with OPTIONS to a path with these methods; a request with another one is refused.
///
/// # Errors
/// When the method, the one that a browser asks about, or the headers that it would send are not allowed.
pub fn other_method(request: &HttpRequest, allowed: &'static str) -> Result<HttpResponse, ApiError> {
    if request.method() != actix_web::http::Method::OPTIONS {
        return Err(ApiError::method_not_allowed(request.method().as_str(), allowed));
    }
    let mut response = HttpResponse::NoContent();
    response.insert_header((header::ALLOW, allowed));
    if let Some(method) = request.headers().get(header::ACCESS_CONTROL_REQUEST_METHOD) {
        let method = String::from_utf8_lossy(method.as_bytes());
        if !allowed.split(", ").any(|allowed| allowed == method) {
            return Err(ApiError::method_not_allowed(&method, allowed));
        }
        response.insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, allowed));
        response.insert_header((header::ACCESS_CONTROL_MAX_AGE, MAX_AGE));
        if let Some(names) = headers_asked(request.headers())? {
            response.insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, names));
        }
    }
    Ok(response.finish())
}

/// Returns the headers that a browser would send: any may come, since none of them decides what is allowed.
fn headers_asked(headers: &HeaderMap) -> Result<Option<HeaderValue>, ApiError> {
    let Some(names) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) else { return Ok(None) };
    let is_list = |names: &str| {
        names.split(',').all(|name| header::HeaderName::from_bytes(name.trim().as_bytes()).is_ok())
    };
    if names.to_str().is_ok_and(is_list) {
        return Ok(Some(names.clone()));
    }
    let name = header::ACCESS_CONTROL_REQUEST_HEADERS.as_str();
    Err(ApiError::parameter(name, format!("`{name}` is no list of headers' names")))
}
