//! The OpenAPI document, generated from the handlers, and the page that shows it.
//!
//! Promises: it describes every path, parameter and status; a test sends the server what it allows and forbids. On
//! failure: 404 for a file that the page does not have.

use super::param_docs::{
    EmptyName, FillName, FormatName, IncidentStateName, NamedSymbols, QueryTime, ReasonName, SeverityName,
    StatusName, SymbolName, Symbols,
};
use super::{
    alerts, anomalies, bars, dead_letters, detection, health, incidents, indicators, latest, predictions,
    rule_trials, rules, silences, symbol_changes, symbols, system_metrics, ticks,
};
use crate::models::time::Width;
use crate::web::answer::caching::{REVALIDATE, hash};
use crate::web::answer::error::{ApiError, Problem};
use crate::web::answer::reply::Reply;
use crate::web::page::assets::Asset;
use crate::web::state::AppState;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use std::sync::Arc;
use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, Parameter};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, HeaderBuilder, RefOr, Response, Schema};

/// The API.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tickwire",
        description = "Real-time market data: ticks, bars, indicators, and what is unusual about them. Times in queries may be RFC 3339, a date, an \
                       epoch number or relative (`-1h`); a parameter that an endpoint does not take is refused. Lists also answer `text/csv`.",
    ),
    paths(
        health::root,
        health::health,
        health::live,
        health::ready,
        symbols::symbols,
        symbol_changes::follow,
        symbol_changes::unfollow,
        symbol_changes::unfollow_list,
        latest::latest,
        latest::latest_list,
        ticks::ticks,
        bars::aggregated,
        indicators::indicators,
        anomalies::anomalies,
        alerts::alerts,
        incidents::incidents,
        incidents::acknowledge,
        silences::silences,
        silences::silence,
        silences::end,
        rule_trials::test,
        rules::rules,
        rules::add,
        rules::remove,
        detection::detection,
        detection::change,
        detection::reset,
        predictions::predictions,
        dead_letters::dead_letters,
        system_metrics::latency,
        system_metrics::throughput,
        system_metrics::kafka,
        system_metrics::ledger,
    ),
    components(schemas(
        Problem, SymbolName, NamedSymbols, Symbols, QueryTime, ReasonName, SeverityName, StatusName, IncidentStateName, FormatName, EmptyName,
        FillName
    )),
    tags(
        (name = "market data", description = "What the markets do"),
        (name = "signals", description = "What detectors and models say of it"),
        (name = "system", description = "What the service does"),
    ),
)]
struct ApiDoc;

/// Returns the OpenAPI document of a service with these windows.
#[must_use]
pub fn document(windows: &[Width]) -> utoipa::openapi::OpenApi {
    let mut document = ApiDoc::openapi();
    for operation in document.paths.paths.values_mut().filter_map(|item| item.get.as_mut()) {
        list_windows(operation, windows);
        complete_success(operation);
    }
    document
}

/// Lists the configured windows where a parameter takes one.
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

/// Completes a response by the parameters: with `format` it is also CSV, with `cursor` it has a `Link`, and where it
/// may be unchanged it has an `ETag`.
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

/// Serves the OpenAPI document.
pub async fn openapi(request: HttpRequest, state: Data<AppState>) -> HttpResponse {
    let document = document(&state.core.widths);
    let json = document.to_json().expect("the document is plain data");
    Reply::json_bytes(json.into()).send(&request)
}

/// Content security policy of the page: its own files, and styles that it sets itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Serves the page that shows the document, and its files.
///
/// # Errors
/// When there is no such file.
pub async fn docs(request: HttpRequest, file: Path<String>) -> Result<HttpResponse, ApiError> {
    let name = match file.as_str() {
        "" => "index.html",
        name => name,
    };
    let config = Arc::new(utoipa_swagger_ui::Config::new(["/openapi.json"]));
    // It fails only where a file built into the program is not what its crate expects: then there is no such page.
    let found = utoipa_swagger_ui::serve(name, config).ok().flatten();
    let found = found.ok_or_else(|| ApiError::not_found(request.path()))?;
    let hash = hash(&found.bytes);
    Ok(Asset::new(name, found.bytes, hash, REVALIDATE).with_policy(POLICY.to_owned()).send(&request))
}
