//! Routes of each port. Several ports serve the same API, so one function mounts it on any of them.
//!
//! Promises: a known path with another method is 405, an unknown path 404, both as problems; OPTIONS says what a path serves.
//! Where no request body is read, a long one is refused.

use super::answer::error::ApiError;
use super::live::{self, WorkerSlot};
use super::page::dashboard;
use super::preflight::{READS, other_method};
use super::rest::{
    alerts, anomalies, bars, dead_letters, detection, health, incidents, indicators, latest, openapi,
    predictions, rule_trials, rules, silences, symbol_changes, symbols, system_metrics, ticks,
};
use actix_web::guard::{self, GuardContext, fn_guard};
use actix_web::http::header;
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder};
use std::rc::Rc;

/// Longest request body in bytes that is ignored: what clients send by habit, such as `{}`.
const IDLE_BODY_MAX: u64 = 16 << 10;

/// True for a request whose declared body is short or absent.
fn has_no_long_body(context: &GuardContext<'_>) -> bool {
    let headers = &context.head().headers;
    let is_short = |len: &header::HeaderValue| {
        len.to_str().ok().and_then(|len| len.parse().ok()).is_some_and(|len: u64| len <= IDLE_BODY_MAX)
    };
    headers.get(header::CONTENT_LENGTH).is_none_or(is_short)
}

/// Makes a resource that answers GET and HEAD, reads no body, and refuses every other method.
fn get<H, A>(path: &str, handler: H) -> Resource
where
    H: Handler<A>,
    A: FromRequest + 'static,
    H::Output: Responder + 'static,
{
    read(web::resource(path), handler).default_service(web::to(only_read))
}

/// Has a resource answer GET and HEAD without reading a body.
fn read<H, A>(resource: Resource, handler: H) -> Resource
where
    H: Handler<A>,
    A: FromRequest + 'static,
    H::Output: Responder + 'static,
{
    let reads = || guard::Any(guard::Get()).or(guard::Head());
    resource
        .route(web::route().guard(reads()).guard(fn_guard(has_no_long_body)).to(handler))
        .route(web::route().guard(reads()).to(body_too_long))
}

/// Makes the resource of all symbols, which can be read and changed.
fn symbol_list() -> Resource {
    read(web::resource("/api/v1/symbols"), symbols::symbols)
        .route(web::post().to(symbol_changes::follow))
        .route(web::delete().guard(fn_guard(has_no_long_body)).to(symbol_changes::unfollow_list))
        .route(web::delete().to(body_too_long))
        .default_service(web::to(list_changed))
}

/// Makes the resource of one symbol, which can be removed.
fn one_symbol() -> Resource {
    web::resource("/api/v1/symbols/{symbol}")
        .route(web::delete().guard(fn_guard(has_no_long_body)).to(symbol_changes::unfollow))
        .route(web::delete().to(body_too_long))
        .default_service(web::to(only_removed))
}

/// Makes the resource of acknowledgements.
fn acknowledgements() -> Resource {
    web::resource("/api/v1/alerts/incidents/acknowledge")
        .route(web::post().to(incidents::acknowledge))
        .default_service(web::to(only_posted))
}

/// Makes the resource of all silences, which can be read and added to.
fn silence_list() -> Resource {
    read(web::resource("/api/v1/alerts/silences"), silences::silences)
        .route(web::post().to(silences::silence))
        .default_service(web::to(list_added_to))
}

/// Makes the resource of one silence, which can be ended.
fn one_silence() -> Resource {
    web::resource("/api/v1/alerts/silences/{id}")
        .route(web::delete().guard(fn_guard(has_no_long_body)).to(silences::end))
        .route(web::delete().to(body_too_long))
        .default_service(web::to(only_removed))
}

/// Makes the resource of what is looked for, which can be read and changed.
fn looked_for() -> Resource {
    read(web::resource("/api/v1/detection"), detection::detection)
        .route(web::patch().to(detection::change))
        .route(web::delete().guard(fn_guard(has_no_long_body)).to(detection::reset))
        .route(web::delete().to(body_too_long))
        .default_service(web::to(keys_changed))
}

/// Makes the resource of all rules, which can be read and added to.
fn rule_list() -> Resource {
    read(web::resource("/api/v1/rules"), rules::rules)
        .route(web::post().to(rules::add))
        .default_service(web::to(list_added_to))
}

/// Makes the resource of one rule, which can be deleted.
fn one_rule() -> Resource {
    web::resource("/api/v1/rules/{name}")
        .route(web::delete().guard(fn_guard(has_no_long_body)).to(rules::remove))
        .route(web::delete().to(body_too_long))
        .default_service(web::to(only_removed))
}

/// Makes the resource of trials of rules.
fn rule_trial() -> Resource {
    web::resource("/api/v1/rules/test")
        .route(web::post().to(rule_trials::test))
        .default_service(web::to(only_posted))
}

async fn only_posted(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    other_method(&request, "POST, OPTIONS")
}

async fn list_added_to(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    other_method(&request, "GET, HEAD, POST, OPTIONS")
}

async fn only_read(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    other_method(&request, READS)
}

async fn list_changed(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    other_method(&request, "GET, HEAD, POST, DELETE, OPTIONS")
}

async fn keys_changed(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    other_method(&request, "GET, HEAD, PATCH, DELETE, OPTIONS")
}

async fn only_removed(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    other_method(&request, "DELETE, OPTIONS")
}

async fn body_too_long() -> Result<HttpResponse, ApiError> {
    Err(ApiError::BodyTooLong)
}

async fn not_found(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    Err(ApiError::not_found(request.path()))
}

async fn to_docs() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header(("location", "/docs/")).finish()
}

/// Mounts health, `/api/v1`, the OpenAPI document and its page; `/` and unknown paths are left to the port.
pub fn api(config: &mut ServiceConfig) {
    config
        // Routes are tried in order, so the most frequent come first.
        .service(get("/api/v1/latest/{symbol}", latest::latest))
        .service(get("/api/v1/aggregated/{symbol}", bars::aggregated))
        .service(get("/health", health::health))
        .service(get("/health/live", health::live))
        .service(get("/health/ready", health::ready))
        .service(symbol_list())
        .service(one_symbol())
        .service(get("/api/v1/latest", latest::latest_list))
        .service(get("/api/v1/ticks/{symbol}", ticks::ticks))
        .service(get("/api/v1/indicators/{symbol}", indicators::indicators))
        .service(get("/api/v1/anomalies", anomalies::anomalies))
        .service(get("/api/v1/alerts", alerts::alerts))
        .service(get("/api/v1/alerts/incidents", incidents::incidents))
        .service(acknowledgements())
        .service(silence_list())
        .service(one_silence())
        .service(looked_for())
        .service(rule_list())
        .service(rule_trial())
        .service(one_rule())
        .service(get("/api/v1/predictions/{symbol}", predictions::predictions))
        .service(get("/api/v1/dead-letters", dead_letters::dead_letters))
        .service(get("/api/v1/metrics/latency", system_metrics::latency))
        .service(get("/api/v1/metrics/throughput", system_metrics::throughput))
        .service(get("/api/v1/metrics/kafka", system_metrics::kafka))
        .service(get("/api/v1/metrics/ledger", system_metrics::ledger))
        .service(get("/openapi.json", openapi::openapi))
        .service(get("/docs", to_docs))
        .service(get("/docs/{file:.*}", openapi::docs));
}

/// Mounts the live feed at a path.
fn live(path: &'static str, config: &mut ServiceConfig) {
    config.app_data(Rc::<WorkerSlot>::default()).service(get(path, live::websocket));
}

/// Mounts the routes of the REST port.
pub fn rest(config: &mut ServiceConfig) {
    live("/ws", config);
    config.service(get("/", health::root)).configure(api).default_service(web::to(not_found));
}

/// Mounts the routes of the WebSocket port.
pub fn websocket(config: &mut ServiceConfig) {
    live("/", config);
    config.service(get("/ws", live::websocket)).default_service(web::to(not_found));
}

/// Mounts the routes of the dashboard's port: the page, the API and the live feed.
pub fn dashboard(config: &mut ServiceConfig) {
    live("/ws", config);
    config.configure(api).default_service(web::to(dashboard::file));
}

/// Mounts the routes of the metrics port.
pub fn metrics(config: &mut ServiceConfig) {
    config.service(get("/metrics", system_metrics::prometheus)).default_service(web::to(not_found));
}
