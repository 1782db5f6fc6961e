//! `anomalies`: what the detectors found, from the history.
//!
//! Promises: newest first by time, page by page; nothing is left out that the history still holds. On failure of the
//! history: 503.

use super::param_docs::{self, Answers, PageQuery, SignalTimes};
use super::signals::{SignalsAsked, SymbolAsked, severity, word};
use crate::models::anomaly::Anomaly;
use crate::stores::history::signals::AnomalyQuery;
use crate::web::answer::error::ApiError;
use crate::web::answer::format::Format;
use crate::web::answer::params::Params;
use crate::web::answer::responses::{Failures, Unchanged};
use crate::web::state::AppState;
use crate::wire::AnomalyObject;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

/// The parameters that it takes.
const PARAMS: [&str; 9] =
    ["symbol", "type", "severity", "start_time", "end_time", "limit", "cursor", "empty", "format"];

/// Anomalies, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/anomalies",
    tag = "signals",
    params(param_docs::AnomalyQuery, SignalTimes, PageQuery, Answers),
    responses((status = 200, description = "Anomalies", body = Vec<AnomalyObject>), Unchanged, Failures),
)]
pub async fn anomalies(request: HttpRequest, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    let params = Params::of(&request, &PARAMS)?;
    let asked = SignalsAsked::of(&request, &params, &state)?;
    let symbol = SymbolAsked::of(&params, &state)?;
    let query = AnomalyQuery {
        symbol: symbol.name.clone(),
        anomaly_type: word(&params, "type")?,
        severity: severity(&params)?,
        page: asked.page(),
    };
    let found = state.history.anomalies(&query).await?;
    let is_flat = asked.format() == Format::Csv;
    let object = |anomaly: Anomaly| AnomalyObject::new(anomaly, is_flat);
    asked.answer(
        &request,
        found,
        |anomaly| anomaly.time,
        object,
        || symbol.no_data("no such anomaly is there"),
    )
}
