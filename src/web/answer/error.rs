//! Errors of requests, as `application/problem+json` with a stable code.
//!
//! Promises: a client sees a code and a sentence without internals; what a store said goes to the log (see
//! [`crate::web::safeguards`]). Every code and
//! status here is one that the OpenAPI document lists.

use super::caching::NEVER_KEEP;
use crate::models::symbol::{SymbolError, shortened};
use crate::stores::StoreError;
use crate::web::detection_control::DetectionError;
use crate::web::symbol_control::ControlError;
use crate::wire;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use std::borrow::Cow;
use utoipa::ToSchema;

/// Everything that can go wrong with a request.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The symbol is unknown.
    #[error("symbol `{0}` is unknown")]
    UnknownSymbol(String),
    /// Nothing is in the range.
    #[error("{0}")]
    NoData(String),
    /// A parameter cannot be used.
    #[error("{detail}")]
    BadParameter {
        /// The parameter's name.
        param: Cow<'static, str>,
        /// What is wrong with it.
        detail: String,
    },
    /// The alias fits several symbols.
    #[error("{0}")]
    AmbiguousSymbol(String),
    /// No such endpoint.
    #[error("nothing is served at `{0}`")]
    NotFound(String),
    /// The endpoint exists for other methods.
    #[error("`{method}` is not allowed here")]
    MethodNotAllowed {
        /// The method that was tried.
        method: String,
        /// Those that are served.
        allowed: &'static str,
    },
    /// A change where nothing is changed.
    #[error("nothing is added to this data, so symbols are not changed here")]
    SymbolsFixed,
    /// A change of what is looked for where nothing is judged.
    #[error("nothing is added to this data, so what is looked for is not changed here")]
    DetectionFixed,
    /// A rule that is there already, or cannot be deleted.
    #[error("{0}")]
    RuleFixed(String),
    /// None of the symbols can be followed, or is known.
    #[error("{0}")]
    SymbolsRefused(String),
    /// A body that is not said to be JSON.
    #[error("the body is JSON: send it with `Content-Type: application/json`")]
    NotJson,
    /// A body longer than any that makes sense.
    #[error("the body has more than {max} bytes")]
    BodyOverLimit {
        /// The longest that is read, in bytes.
        max: usize,
    },
    /// What answers is busy, or does not answer now.
    #[error("{0}")]
    Unavailable(String),
    /// A plain request where the live feed is.
    #[error("here is the live feed: connect with a WebSocket client")]
    UpgradeRequired,
    /// A handshake of another version of the protocol.
    #[error("the live feed speaks version {0} of the WebSocket protocol")]
    UnknownVersion(&'static str),
    /// A handshake that the protocol does not allow.
    #[error("the handshake cannot be used: {0}")]
    BadHandshake(String),
    /// The query is longer than any that makes sense.
    #[error("the query has more than {max} bytes")]
    QueryTooLong {
        /// The longest that is read, in bytes.
        max: usize,
    },
    /// A long body where none is read.
    #[error("nothing is read from a body here, and this one is long")]
    BodyTooLong,
    /// Every place for a client is taken.
    #[error("too many clients are connected")]
    TooManyConnections,
    /// The request calls the server by a name that is none of its own.
    #[error("`{0}` is no name of this server; `server.cors_origins` adds names")]
    HostNotAllowed(String),
    /// The page that asks is none of those that may.
    #[error("pages of `{0}` may not use this server; `server.cors_origins` lists those that may")]
    OriginNotAllowed(String),
    /// A store did not answer.
    #[error("the store cannot answer now")]
    Store(#[from] StoreError),
}

/// How much of a method an answer repeats, in characters.
const METHOD_SHOWN_MAX: usize = 32;

/// How much of a path an answer repeats, in characters.
const PATH_SHOWN_MAX: usize = 256;

/// A problem as RFC 9457 has it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Names the kind of problem: `urn:tickwire:problem:` and the code.
    #[serde(rename = "type")]
    #[schema(example = "urn:tickwire:problem:unknown_symbol")]
    pub kind: String,
    /// The status in words.
    #[schema(example = "Not Found")]
    pub title: &'static str,
    /// The status.
    #[schema(example = 404)]
    pub status: u16,
    /// What is wrong with this request, for people.
    #[schema(example = "symbol `NOPE` is unknown")]
    pub detail: String,
    /// What is wrong, for programs.
    #[schema(example = "unknown_symbol")]
    pub code: &'static str,
    /// The parameter at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub param: Option<Cow<'static, str>>,
}

impl ApiError {
    /// Makes the error of a path that leads nowhere; a very long one is cut.
    #[must_use]
    pub fn not_found(path: &str) -> ApiError {
        ApiError::NotFound(shortened(path, PATH_SHOWN_MAX))
    }

    /// Makes the error of a method that is not among those allowed.
    #[must_use]
    pub fn method_not_allowed(method: &str, allowed: &'static str) -> ApiError {
        ApiError::MethodNotAllowed { method: shortened(method, METHOD_SHOWN_MAX), allowed }
    }

    /// Makes the error of a parameter that cannot be used.
    pub fn parameter(param: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> ApiError {
        ApiError::BadParameter { param: param.into(), detail: detail.into() }
    }

    /// Returns the code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            ApiError::UnknownSymbol(_) => "unknown_symbol",
            ApiError::NoData(_) => "no_data",
            ApiError::BadParameter { .. } => "bad_parameter",
            ApiError::AmbiguousSymbol(_) => "ambiguous_symbol",
            ApiError::NotFound(_) => "not_found",
            ApiError::MethodNotAllowed { .. } => "method_not_allowed",
            ApiError::SymbolsFixed => "symbols_fixed",
            ApiError::DetectionFixed => "detection_fixed",
            ApiError::RuleFixed(_) => "rule_fixed",
            ApiError::SymbolsRefused(_) => "symbols_refused",
            ApiError::NotJson => "unsupported_media_type",
            ApiError::UpgradeRequired | ApiError::UnknownVersion(_) => "upgrade_required",
            ApiError::BadHandshake(_) => "bad_handshake",
            ApiError::QueryTooLong { .. } => "query_too_long",
            ApiError::BodyTooLong | ApiError::BodyOverLimit { .. } => "body_too_long",
            ApiError::TooManyConnections => "too_many_connections",
            ApiError::HostNotAllowed(_) => "host_not_allowed",
            ApiError::OriginNotAllowed(_) => "origin_not_allowed",
            ApiError::Unavailable(_) | ApiError::Store(StoreError::Transient { .. }) => "unavailable",
            ApiError::Store(
                StoreError::Permanent { .. } | StoreError::Fenced { .. } | StoreError::Refused { .. },
            ) => "internal",
        }
    }

    /// Returns the problem as the client reads it.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let status = self.status_code();
        Problem {
            kind: format!("urn:tickwire:problem:{}", self.code()),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: self.to_string(),
            code: self.code(),
            param: match self {
                ApiError::BadParameter { param, .. } => Some(param.clone()),
                ApiError::AmbiguousSymbol(_) => Some(Cow::Borrowed("symbol")),
                _ => None,
            },
        }
    }
}

impl From<ControlError> for ApiError {
    fn from(error: ControlError) -> ApiError {
        match error {
            ControlError::Field { field, detail } => ApiError::parameter(field, detail),
            ControlError::Unavailable(reason) => ApiError::Unavailable(reason),
        }
    }
}

impl From<DetectionError> for ApiError {
    fn from(error: DetectionError) -> ApiError {
        match error {
            DetectionError::Field { field, detail } => ApiError::parameter(field, detail),
            DetectionError::RuleExists(_) | DetectionError::RuleOfConfig(_) => {
                ApiError::RuleFixed(error.to_string())
            }
            DetectionError::UnknownRule(_) => ApiError::NoData(error.to_string()),
            DetectionError::Unavailable(reason) => ApiError::Unavailable(reason),
        }
    }
}

impl From<SymbolError> for ApiError {
    fn from(error: SymbolError) -> ApiError {
        match error {
            SymbolError::Unknown(name) => ApiError::UnknownSymbol(name),
            SymbolError::Ambiguous(..) => ApiError::AmbiguousSymbol(error.to_string()),
            SymbolError::Malformed(_) => ApiError::parameter("symbol", error.to_string()),
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        match self {
            ApiError::UnknownSymbol(_) | ApiError::NoData(_) | ApiError::NotFound(_) => StatusCode::NOT_FOUND,
            ApiError::BadParameter { .. } | ApiError::AmbiguousSymbol(_) | ApiError::SymbolsRefused(_) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            ApiError::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            ApiError::SymbolsFixed | ApiError::DetectionFixed | ApiError::RuleFixed(_) => {
                StatusCode::CONFLICT
            }
            ApiError::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ApiError::UpgradeRequired | ApiError::UnknownVersion(_) => StatusCode::UPGRADE_REQUIRED,
            ApiError::BadHandshake(_) => StatusCode::BAD_REQUEST,
            ApiError::QueryTooLong { .. } => StatusCode::URI_TOO_LONG,
            ApiError::BodyTooLong | ApiError::BodyOverLimit { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            ApiError::HostNotAllowed(_) | ApiError::OriginNotAllowed(_) => StatusCode::FORBIDDEN,
            ApiError::TooManyConnections
            | ApiError::Unavailable(_)
            | ApiError::Store(StoreError::Transient { .. }) => StatusCode::SERVICE_UNAVAILABLE,
            ApiError::Store(
                StoreError::Permanent { .. } | StoreError::Fenced { .. } | StoreError::Refused { .. },
            ) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.status_code();
        let mut response = HttpResponse::build(status);
        response.content_type("application/problem+json").insert_header((header::CACHE_CONTROL, NEVER_KEEP));
        if let ApiError::MethodNotAllowed { allowed, .. } = self {
            response.insert_header((header::ALLOW, *allowed));
        }
        if status == StatusCode::UPGRADE_REQUIRED {
            response.insert_header((header::UPGRADE, "websocket"));
        }
        if let ApiError::UnknownVersion(version) = self {
            response.insert_header((header::SEC_WEBSOCKET_VERSION, *version));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header((header::RETRY_AFTER, "1"));
        }
        response.body(wire::to_json(&self.problem()))
    }
}
