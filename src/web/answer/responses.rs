//! The responses that the OpenAPI document lists for every endpoint. Documentation only: nothing here runs, and a test
//! compares it with what the server answers.

use super::error::Problem;
use utoipa::IntoResponses;

/// How requests fail.
#[derive(IntoResponses)]
pub enum Failures {
    /// The page that asks may not (`origin_not_allowed`), or the server is called by a name that is none of its own
    /// (`host_not_allowed`).
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
    /// The symbol is unknown (`unknown_symbol`), nothing is in the range (`no_data`), or nothing is served here
    /// (`not_found`).
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Problem),
    /// Another method (`method_not_allowed`).
    #[response(
        status = 405,
        content_type = "application/problem+json",
        headers(("Allow" = String, description = "The methods that are served"))
    )]
    MethodNotAllowed(Problem),
    /// A long body, where none is read, or one that is too long (`body_too_long`).
    #[response(status = 413, content_type = "application/problem+json")]
    BodyTooLong(Problem),
    /// The query is too long (`query_too_long`).
    #[response(status = 414, content_type = "application/problem+json")]
    QueryTooLong(Problem),
    /// A parameter or a field cannot be used (`bad_parameter`), an alias fits several symbols (`ambiguous_symbol`), or none
    /// of the symbols can be followed (`symbols_refused`).
    #[response(status = 422, content_type = "application/problem+json")]
    Unprocessable(Problem),
    /// A store holds something that cannot be read (`internal`); the log says what.
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(Problem),
    /// What answers is down or busy (`unavailable`), or too many clients are connected (`too_many_connections`).
    #[response(
        status = 503,
        content_type = "application/problem+json",
        headers(("Retry-After" = u32, description = "Seconds after which another try may help"))
    )]
    Unavailable(Problem),
}

/// How changes fail besides.
#[derive(IntoResponses)]
pub enum ChangeFailures {
    /// Nothing is added to this data: it is a recording, or only served (`symbols_fixed`, `detection_fixed`); or a rule is there
    /// already, or is one of the configuration (`rule_fixed`).
    #[response(status = 409, content_type = "application/problem+json")]
    Fixed(Problem),
    /// The body is not said to be `application/json` (`unsupported_media_type`).
    #[response(status = 415, content_type = "application/problem+json")]
    NotJson(Problem),
}

/// How a body that is read fails besides.
#[derive(IntoResponses)]
pub enum NotJson {
    /// The body is not said to be `application/json` (`unsupported_media_type`).
    #[response(status = 415, content_type = "application/problem+json")]
    NotJson(Problem),
}

/// The answer to a client that has it already.
#[derive(IntoResponses)]
pub enum Unchanged {
    /// The client has it already: `If-None-Match` names its `ETag`.
    #[response(status = 304, headers(("ETag" = String, description = "Names this version of the answer")))]
    NotModified,
}
