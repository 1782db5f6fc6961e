//! The description of the API, made from the handlers themselves, and the page that shows it.

use super::error::Problem;
use super::reply::Reply;
use super::{bars, dead_letters, health, indicators, latest, symbols, system_metrics, ticks};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use std::sync::OnceLock;
use utoipa::{IntoResponses, OpenApi};

/// How requests fail.
#[derive(IntoResponses)]
pub enum Failures {
    /// The symbol is unknown (`unknown_symbol`), nothing is in the range (`no_data`), or nothing is served here
    /// (`not_found`).
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Problem),
    /// Another method (`method_not_allowed`).
    #[response(status = 405, content_type = "application/problem+json")]
    MethodNotAllowed(Problem),
    /// A parameter cannot be used (`bad_parameter`), or an alias fits several symbols (`ambiguous_symbol`).
    #[response(status = 422, content_type = "application/problem+json")]
    Unprocessable(Problem),
    /// A store cannot answer now (`unavailable`).
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
}

/// The API.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tickwire",
        description = "Real-time market data: ticks, bars, indicators. Times in queries may be RFC 3339, a date, an \
                       epoch number or relative (`-1h`); unknown parameters are ignored. Lists also answer `text/csv`.",
    ),
    paths(
        health::root,
        health::health,
        health::live,
        health::ready,
        symbols::symbols,
        latest::latest,
        latest::latest_list,
        ticks::ticks,
        bars::aggregated,
        indicators::indicators,
        dead_letters::dead_letters,
        system_metrics::latency,
        system_metrics::throughput,
        system_metrics::kafka,
        system_metrics::ledger,
    ),
    components(schemas(Problem)),
    tags(
        (name = "market data", description = "What the markets do"),
        (name = "system", description = "What the service does"),
    ),
)]
pub struct ApiDoc;

/// Serves the description.
pub async fn openapi(request: HttpRequest) -> HttpResponse {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    let document = DOCUMENT.get_or_init(|| {
        let json = ApiDoc::openapi().to_json().expect("the description is plain data");
        Bytes::from(json)
    });
    Reply::json_bytes(document.clone()).send(&request)
}
