//! What the service is, and how it is.

use super::openapi::{Failures, Unchanged};
use crate::actors::hub::frame::PastObject;
use crate::actors::views::Health;
use crate::models::provenance::DataKind;
use crate::models::time::SECOND;
use crate::web::reply::Reply;
use crate::web::state::AppState;
use crate::wire::{self, Time};
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What the service is.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServiceObject {
    /// Its name.
    #[schema(example = "tickwire")]
    pub service: &'static str,
    /// Its version.
    #[schema(example = "0.1.0")]
    pub version: &'static str,
    /// How it is.
    #[schema(example = "running")]
    pub status: &'static str,
    /// What kind of data it serves: `simulated`, `replay` or `live`.
    #[schema(example = "live")]
    pub data: DataKind,
    /// Who the data comes from.
    #[schema(example = "simulated")]
    pub provider: String,
}

/// How the service is.
#[derive(Debug, Serialize, ToSchema)]
pub struct HealthObject {
    /// The worst of the components: `healthy`, `degraded` or `unhealthy`.
    #[schema(example = "healthy")]
    pub status: &'static str,
    /// Now.
    #[schema(value_type = String, format = DateTime, example = "2023-09-05T17:00:00.123Z")]
    pub timestamp: Time,
    /// What kind of data it serves: `simulated`, `replay` or `live`.
    #[schema(example = "live")]
    pub data: DataKind,
    /// Who the data comes from.
    #[schema(example = "simulated")]
    pub provider: String,
    /// Each component: `healthy`, `degraded`, `unhealthy` or `disabled`.
    pub components: BTreeMap<String, &'static str>,
    /// More about it.
    pub details: HealthDetails,
}

/// More about how the service is.
#[derive(Debug, Serialize, ToSchema)]
pub struct HealthDetails {
    /// Its version.
    #[schema(example = "0.1.0")]
    pub version: &'static str,
    /// Seconds since it started.
    #[schema(example = 3600)]
    pub uptime_seconds: i64,
    /// Symbols seen.
    #[schema(example = 12)]
    pub symbols: usize,
    /// How far the made-up past of a first start has come; only while it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub past: Option<PastObject>,
    /// What components say about themselves, by name.
    pub messages: BTreeMap<String, String>,
}

/// How one probe came out.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProbeObject {
    /// `live`, `ready`, `not ready` or `unhealthy`.
    #[schema(example = "ready")]
    pub status: &'static str,
}

/// What the service is.
#[utoipa::path(
    get,
    path = "/",
    tag = "system",
    responses((status = 200, description = "Name, version and status", body = ServiceObject), Unchanged, Failures),
)]
pub async fn root(request: HttpRequest, state: Data<AppState>) -> HttpResponse {
    let service = ServiceObject {
        service: "tickwire",
        version: state.version,
        status: "running",
        data: state.provenance.data,
        provider: state.provenance.provider.clone(),
    };
    Reply::json(&service).send(&request)
}

/// How the service is. Always 200: the answer is the answer.
#[utoipa::path(
    get,
    path = "/health",
    tag = "system",
    responses((status = 200, description = "Status of the whole and of its components", body = HealthObject), Failures),
)]
pub async fn health(request: HttpRequest, state: Data<AppState>) -> HttpResponse {
    let now = state.now();
    let components = state.health.components();
    let health = HealthObject {
        status: state.health.overall().as_str(),
        timestamp: Time(now),
        data: state.provenance.data,
        provider: state.provenance.provider.clone(),
        components: components.iter().map(|(name, health)| (name.clone(), health.status.as_str())).collect(),
        details: HealthDetails {
            version: state.version,
            uptime_seconds: now.since(state.started).max(0) / SECOND,
            symbols: state.symbols.len(),
            past: PastObject::of(&state.metrics),
            messages: components
                .into_iter()
                .filter(|(_, health)| !health.detail.is_empty())
                .map(|(name, health)| (name, health.detail))
                .collect(),
        },
    };
    Reply::json(&health).send_volatile(&request)
}

/// Whether the process answers at all.
#[utoipa::path(
    get,
    path = "/health/live",
    tag = "system",
    responses((status = 200, description = "It answers", body = ProbeObject), Failures),
)]
pub async fn live(request: HttpRequest) -> HttpResponse {
    Reply::json(&ProbeObject { status: "live" }).send_volatile(&request)
}

/// Whether the process should be sent requests.
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "system",
    responses(
        (status = 200, description = "It is recovered and well enough", body = ProbeObject),
        (status = 503, description = "It starts, stops, or a needed component is unhealthy", body = ProbeObject),
    ),
)]
pub async fn ready(request: HttpRequest, state: Data<AppState>) -> HttpResponse {
    if state.health.is_ready() {
        return Reply::json(&ProbeObject { status: "ready" }).send_volatile(&request);
    }
    let status = if state.health.overall() == Health::Unhealthy { "unhealthy" } else { "not ready" };
    HttpResponse::build(StatusCode::SERVICE_UNAVAILABLE)
        .content_type("application/json")
        .body(wire::to_json(&ProbeObject { status }))
}
