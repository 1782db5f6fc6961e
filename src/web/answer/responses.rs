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
    /// A long body, where none is read (`body_too_long`).
    #[response(status = 413, content_type = "application/problem+json")]
    BodyTooLong(Problem),
    /// The query is too long (`query_too_long`).
    #[response(status = 414, content_type = "application/problem+json")]
    QueryTooLong(Problem),
    /// A parameter cannot be used (`bad_parameter`), or an alias fits several symbols (`ambiguous_symbol`).
    #[response(status = 422, content_type = "application/problem+json")]
    Unprocessable(Problem),
    /// A store holds something that cannot be read (`internal`); the log says what.
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(Problem),
    /// A store cannot answer now (`unavailable`), or too many clients are connected (`too_many_connections`).
    #[response(
        status = 503,
        content_type = "application/problem+json",
        headers(("Retry-After" = u32, description = "Seconds after which another try may help"))
    )]
    Unavailable(Problem),
}

/// The answer to a client that has it already.
#[derive(IntoResponses)]
pub enum Unchanged {
    /// The client has it already: `If-None-Match` names its `ETag`.
    #[response(status = 304, headers(("ETag" = String, description = "Names this version of the answer")))]
    NotModified,
}
