//! `alerts`: which anomalies were sent to people over which channel, held back or given up, from the history.
//!
//! Promises: newest first by the time of the decision, page by page; nothing is left out that the history still holds. On
//! failure of the history: 503.

use super::param_docs::{self, Answers, PageQuery, SignalTimes};
use super::signals::{SignalsAsked, SymbolAsked, anomaly_id, one_of, severity, word};
use crate::models::alert::AlertStatus;
use crate::stores::history::signals::AlertQuery;
use crate::web::answer::error::ApiError;
use crate::web::answer::params::Params;
use crate::web::answer::responses::{Failures, Unchanged};
use crate::web::state::AppState;
use crate::wire::AlertObject;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

/// The parameters that it takes.
const PARAMS: [&str; 12] = [
    "symbol",
    "type",
    "severity",
    "channel",
    "status",
    "anomaly_id",
    "start_time",
    "end_time",
    "limit",
    "cursor",
    "empty",
    "format",
];

/// Alerts, newest first, one for each channel.
#[utoipa::path(
    get,
    path = "/api/v1/alerts",
    tag = "signals",
    params(param_docs::AnomalyQuery, param_docs::AlertQuery, SignalTimes, PageQuery, Answers),
    responses((status = 200, description = "Alerts", body = Vec<AlertObject>), Unchanged, Failures),
)]
pub async fn alerts(request: HttpRequest, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    let params = Params::of(&request, &PARAMS)?;
    let asked = SignalsAsked::of(&request, &params, &state)?;
    let symbol = SymbolAsked::of(&params, &state)?;
    let query = AlertQuery {
        symbol: symbol.name.clone(),
        anomaly_type: word(&params, "type")?,
        severity: severity(&params)?,
        channel: word(&params, "channel")?,
        anomaly_id: anomaly_id(&params)?,
        status: one_of(&params, "status", &AlertStatus::ALL, AlertStatus::as_str)?,
        page: asked.page(),
    };
    let found = state.history.alerts(&query).await?;
    let no_data = || symbol.no_data("no such alert is there");
    asked.answer(&request, found, |alert| alert.time, AlertObject::from, no_data)
}
