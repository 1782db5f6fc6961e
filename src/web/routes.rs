//! Which path leads where. The same API hangs on several ports, so it is one function that any of them mounts.

use super::error::ApiError;
use super::ws::{self, WorkerSlot};
use super::{
    bars, dashboard, dead_letters, health, indicators, latest, openapi, symbols, system_metrics, ticks,
};
use actix_web::web::{self, JsonConfig, ServiceConfig};
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder, guard};
use std::rc::Rc;
use utoipa_swagger_ui::{Config, SwaggerUi};

/// Makes a resource that answers GET and HEAD and refuses every other method.
fn get<H, A>(path: &str, handler: H) -> Resource
where
    H: Handler<A>,
    A: FromRequest + 'static,
    H::Output: Responder + 'static,
{
    let reads = guard::Any(guard::Get()).or(guard::Head());
    web::resource(path)
        .route(web::route().guard(reads).to(handler))
        .default_service(web::to(method_not_allowed))
}

async fn method_not_allowed(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    Err(ApiError::MethodNotAllowed(request.method().to_string()))
}

async fn not_found(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    Err(ApiError::NotFound(request.path().to_owned()))
}

async fn to_docs() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header(("location", "/docs/")).finish()
}

/// Mounts health, `/api/v1`, the description and its page; leaves `/` and unknown paths to the port.
pub fn api(config: &mut ServiceConfig) {
    config
        .app_data(JsonConfig::default().error_handler(|error, _| ApiError::BadJson(error.to_string()).into()))
        // Routes are tried in order: what is asked most often stands first.
        .service(get("/api/v1/latest/{symbol}", latest::latest))
        .service(get("/api/v1/aggregated/{symbol}", bars::aggregated))
        .service(get("/health", health::health))
        .service(get("/health/live", health::live))
        .service(get("/health/ready", health::ready))
        .service(get("/api/v1/symbols", symbols::symbols))
        .service(get("/api/v1/latest", latest::latest_list))
        .service(get("/api/v1/ticks/{symbol}", ticks::ticks))
        .service(get("/api/v1/indicators/{symbol}", indicators::indicators))
        .service(get("/api/v1/dead-letters", dead_letters::dead_letters))
        .service(get("/api/v1/metrics/latency", system_metrics::latency))
        .service(get("/api/v1/metrics/throughput", system_metrics::throughput))
        .service(get("/api/v1/metrics/kafka", system_metrics::kafka))
        .service(get("/api/v1/metrics/ledger", system_metrics::ledger))
        .service(get("/openapi.json", openapi::openapi))
        .service(get("/docs", to_docs))
        .service(SwaggerUi::new("/docs/{_:.*}").config(Config::new(["/openapi.json"])));
}

/// Mounts the live feed at a path.
fn live(path: &'static str, config: &mut ServiceConfig) {
    config.app_data(Rc::<WorkerSlot>::default()).service(get(path, ws::websocket));
}

/// Mounts what the REST port serves.
pub fn rest(config: &mut ServiceConfig) {
    live("/ws", config);
    config.service(get("/", health::root)).configure(api).default_service(web::to(not_found));
}

/// Mounts what the WebSocket port serves.
pub fn websocket(config: &mut ServiceConfig) {
    live("/", config);
    config.service(get("/ws", ws::websocket)).default_service(web::to(not_found));
}

/// Mounts what the dashboard port serves: the page, and what it needs.
pub fn dashboard(config: &mut ServiceConfig) {
    live("/ws", config);
    config.configure(api).default_service(web::to(dashboard::file));
}

/// Mounts what the metrics port serves.
pub fn metrics(config: &mut ServiceConfig) {
    config.service(get("/metrics", system_metrics::prometheus)).default_service(web::to(not_found));
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::StatusCode;
    use actix_web::test::{TestRequest, call_service, init_service, read_body};
    use actix_web::{App, web};

    #[actix_web::test]
    async fn a_body_that_is_no_json_is_a_problem_with_its_code() {
        async fn takes_json(_: web::Json<u8>) -> HttpResponse {
            HttpResponse::Ok().finish()
        }
        let app = init_service(App::new().configure(api).route("/json", web::post().to(takes_json))).await;
        let request = TestRequest::post().uri("/json").insert_header(("content-type", "application/json"));
        let response = call_service(&app, request.set_payload("{").to_request()).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let body = read_body(response).await;
        assert!(String::from_utf8_lossy(&body).contains("\"code\":\"bad_json\""));
    }
}
