//! Name and health of the service, and the probes of orchestrators.
//!
//! Promises: answered from memory, whatever state the stores are in. On failure: only readiness fails, with 503, while
//! the process starts or stops or a needed component is unhealthy.

use crate::models::provenance::DataKind;
use crate::models::time::{Nanos, SECOND};
use crate::web::answer::reply::Reply;
use crate::web::answer::responses::{Failures, Unchanged};
use crate::web::state::AppState;
use crate::wire::{self, PastObject, Time};
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The service.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServiceObject {
    /// Name of the program.
    #[schema(example = "tickwire")]
    pub service: &'static str,
    /// Version of the program.
    #[schema(example = "0.1.0")]
    pub version: &'static str,
    /// Always `running`.
    #[schema(example = "running")]
    pub status: &'static str,
    /// Kind of the data: `simulated`, `replay` or `live`.
    #[schema(value_type = String, example = "live")]
    pub data: DataKind,
    /// Name of the provider.
    #[schema(example = "simulated")]
    pub provider: String,
}

/// Health of the service.
#[derive(Debug, Serialize, ToSchema)]
pub struct HealthObject {
    /// The worst of the components: `healthy`, `degraded` or `unhealthy`.
    #[schema(example = "healthy")]
    pub status: &'static str,
    /// Time of the answer.
    #[schema(value_type = String, format = DateTime, example = "2023-09-05T17:00:00.123Z")]
    pub timestamp: Time,
    /// Kind of the data: `simulated`, `replay` or `live`.
    #[schema(value_type = String, example = "live")]
    pub data: DataKind,
    /// Name of the provider.
    #[schema(example = "simulated")]
    pub provider: String,
    /// Each component: `healthy`, `degraded`, `unhealthy` or `disabled`.
    pub components: BTreeMap<String, &'static str>,
    /// Details.
    pub details: HealthDetails,
}

/// Details of the health.
#[derive(Debug, Serialize, ToSchema)]
pub struct HealthDetails {
    /// Version of the program.
    #[schema(example = "0.1.0")]
    pub version: &'static str,
    /// Seconds since it started.
    #[schema(example = 3600)]
    pub uptime_seconds: i64,
    /// Symbols seen.
    #[schema(example = 12)]
    pub symbols: usize,
    /// Progress of the made-up past of a first start; only while it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub past: Option<PastObject>,
    /// Symbols that get more messages than the limit allows; only where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_limit: Option<MessageLimitObject>,
    /// Messages of the components, by name.
    pub messages: BTreeMap<String, String>,
}

/// Symbols that get more messages in a minute than `redis.message_limit`. Their ticks are taken all the same.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageLimitObject {
    /// The limit.
    #[schema(example = 6000)]
    pub limit: u64,
    /// The count of each symbol that is over it.
    pub over: BTreeMap<String, u64>,
}

impl MessageLimitObject {
    fn of(state: &AppState, now: Nanos) -> Option<MessageLimitObject> {
        let limit = state.cache.as_ref()?.limit()?;
        let over = limit.all(now).into_iter();
        let over: BTreeMap<String, u64> =
            over.map(|(symbol, count)| (state.symbols.spec(symbol).name.clone(), count)).collect();
        (!over.is_empty()).then(|| MessageLimitObject { limit: limit.max(), over })
    }
}

/// Result of a probe.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProbeObject {
    /// `live`, `ready`, `not ready` or `unhealthy`.
    #[schema(example = "ready")]
    pub status: &'static str,
}

/// The service.
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

/// Health of the service. Always 200; the status is in the body.
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
            past: PastObject::new(state.metrics.past_symbols_made.get(), state.metrics.past_symbols.get()),
            message_limit: MessageLimitObject::of(&state, now),
            messages: components
                .into_iter()
                .filter(|(_, health)| !health.detail.is_empty())
                .map(|(name, health)| (name, health.detail))
                .collect(),
        },
    };
    Reply::json(&health).send_volatile(&request)
}

/// Liveness: the process answers.
#[utoipa::path(
    get,
    path = "/health/live",
    tag = "system",
    responses((status = 200, description = "The process answers", body = ProbeObject), Failures),
)]
pub async fn live(request: HttpRequest) -> HttpResponse {
    Reply::json(&ProbeObject { status: "live" }).send_volatile(&request)
}

/// Readiness: the process should be sent requests.
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "system",
    responses(
        Failures,
        (status = 200, description = "Recovery is done, and no needed component is unhealthy", body = ProbeObject),
        (status = 503, description = "The process starts or stops, or a needed component is unhealthy", body = ProbeObject),
    ),
)]
pub async fn ready(request: HttpRequest, state: Data<AppState>) -> HttpResponse {
    if state.health.is_ready() {
        return Reply::json(&ProbeObject { status: "ready" }).send_volatile(&request);
    }
    let status = if state.health.lacks_what_is_needed() { "unhealthy" } else { "not ready" };
    HttpResponse::build(StatusCode::SERVICE_UNAVAILABLE)
        .content_type("application/json")
        .body(wire::to_json(&ProbeObject { status }))
}
