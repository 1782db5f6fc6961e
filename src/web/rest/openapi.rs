//! The description of the API, made from the handlers themselves, and the page that shows it.

use super::param_docs::{EmptyName, FormatName, QueryTime, ReasonName, SymbolName, Symbols};
use super::{bars, dead_letters, health, indicators, latest, symbols, system_metrics, ticks};
use crate::models::time::Width;
use crate::web::error::{ApiError, Problem};
use crate::web::page::assets::{ASK_AGAIN, Asset};
use crate::web::reply::{Reply, hash};
use crate::web::state::AppState;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use std::sync::Arc;
use utoipa::openapi::path::{Operation, Parameter};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, HeaderBuilder, RefOr, Response, Schema};
use utoipa::{IntoResponses, OpenApi};

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
    /// A store cannot answer now (`unavailable`).
    #[response(
        status = 503,
        content_type = "application/problem+json",
        headers(("Retry-After" = u32, description = "Seconds after which another try may help"))
    )]
    Unavailable(Problem),
}

/// What a client hears that has the answer already.
#[derive(IntoResponses)]
pub enum Unchanged {
    /// The client has it already: `If-None-Match` names its `ETag`.
    #[response(status = 304, headers(("ETag" = String, description = "Names this version of the answer")))]
    NotModified,
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
    components(schemas(Problem, SymbolName, Symbols, QueryTime, ReasonName, FormatName, EmptyName)),
    tags(
        (name = "market data", description = "What the markets do"),
        (name = "system", description = "What the service does"),
    ),
)]
struct ApiDoc;

/// Returns the description of a service with these windows.
#[must_use]
pub fn document(windows: &[Width]) -> utoipa::openapi::OpenApi {
    let mut document = ApiDoc::openapi();
    for operation in document.paths.paths.values_mut().filter_map(|item| item.get.as_mut()) {
        list_windows(operation, windows);
        complete_success(operation);
    }
    document
}

/// Lists the configured windows where one is asked for.
fn list_windows(operation: &mut Operation, windows: &[Width]) {
    let windows: Vec<String> = windows.iter().map(ToString::to_string).collect();
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter
            && parameter.name == "window"
        {
            let one_of = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(windows.clone()));
            parameter.schema = Some(Schema::from(one_of).into());
        }
    }
}

/// Adds to an answer what follows from the rest: what takes `format` is a table, what takes a `cursor` has pages, and
/// what may be unchanged has a version.
fn complete_success(operation: &mut Operation) {
    let is = |parameter: &RefOr<Parameter>, name: &str| matches!(parameter, RefOr::T(it) if it.name == name);
    let has = |name: &str| operation.parameters.iter().flatten().any(|parameter| is(parameter, name));
    let (is_table, has_pages) = (has("format"), has("cursor"));
    let responses = &mut operation.responses.responses;
    let has_version = responses.contains_key("304");
    let Some(RefOr::T(success)) = responses.get_mut("200") else { return };
    let text = || ObjectBuilder::new().schema_type(Type::String);
    if is_table {
        let csv = ContentBuilder::new().schema(Some(Schema::from(text())));
        success.content.insert("text/csv".to_owned(), RefOr::T(csv.build()));
    }
    let describe = |success: &mut Response, name: &str, description: &str| {
        let header = HeaderBuilder::new().schema(Some(Schema::from(text()))).description(Some(description));
        success.headers.insert(name.to_owned(), RefOr::T(header.build()));
    };
    if has_pages {
        describe(success, "Link", "The next page, `rel=\"next\"`, where there is one");
    }
    if has_version {
        describe(success, "ETag", "Names this version of the answer");
    }
}

/// Serves the description.
pub async fn openapi(request: HttpRequest, state: Data<AppState>) -> HttpResponse {
    let document = document(&state.core.widths);
    let json = document.to_json().expect("the description is plain data");
    Reply::json_bytes(json.into()).send(&request)
}

/// What the page that shows the description may load: its own files. It draws with styles of its own making.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Serves the page that shows the description, and its files.
///
/// # Errors
/// When there is no such file.
pub async fn docs(request: HttpRequest, file: Path<String>) -> Result<HttpResponse, ApiError> {
    let name = match file.as_str() {
        "" => "index.html",
        name => name,
    };
    let config = Arc::new(utoipa_swagger_ui::Config::new(["/openapi.json"]));
    let found = utoipa_swagger_ui::serve(name, config).ok().flatten();
    let found = found.ok_or_else(|| ApiError::not_found(request.path()))?;
    let hash = hash(&found.bytes);
    Ok(Asset::new(name, found.bytes, hash, ASK_AGAIN).with_policy(POLICY.to_owned()).send(&request))
}
