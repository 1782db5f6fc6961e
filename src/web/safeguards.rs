//! Applied to every request on every port: admission before the handler, security headers after it, and a line in the log where a
//! store did not answer.
//!
//! Promises: a request that is not admitted reaches no handler. A header that a handler sets itself stays. On failure:
//! 403 with a problem document.

use super::answer::error::ApiError;
use super::state::AppState;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, ResponseError};

/// Headers that restrict what browsers do with an answer, unless its handler sets another value.
const SAFEGUARDS: [(HeaderName, HeaderValue); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
];

/// Logs what a store said that did not answer: a few a minute, since whoever asks again and again must not fill the log. The
/// store's own health says more.
fn log_fault<B>(response: &ServiceResponse<B>) {
    let Some(ApiError::Store(error)) = response.response().error().and_then(Error::as_error) else { return };
    let state = response.request().app_data::<Data<AppState>>().expect("every port has the state");
    if let Some(held_back) = state.store_faults.admit((), state.now()) {
        tracing::warn!(%error, held_back, "a store did not answer a request");
    }
}

/// Admits or refuses a request, and adds the headers to its answer.
///
/// # Errors
/// What the handler failed with.
pub async fn apply(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let state = request.app_data::<Data<AppState>>().expect("every port has the state");
    let mut response = match state.visitors.check(request.headers()) {
        Ok(()) => next.call(request).await?.map_into_left_body(),
        Err(refusal) => request.into_response(refusal.error_response()).map_into_right_body(),
    };
    log_fault(&response);
    let headers = response.headers_mut();
    for (name, value) in SAFEGUARDS {
        if !headers.contains_key(&name) {
            headers.insert(name, value);
        }
    }
    Ok(response)
}
