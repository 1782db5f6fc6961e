//! `predictions`: what the model said of a symbol's coming closes, from the history.
//!
//! Promises: without a range the newest prediction for each horizon, the shortest first; else the series, newest first by
//! the end of the predicted bar, page by page. On failure of the history: 503.

use super::param_docs::{Answers, PageQuery, SignalTimes, SymbolPath};
use super::signals::SignalsAsked;
use crate::stores::history::signals::PredictionQuery;
use crate::web::answer::error::ApiError;
use crate::web::answer::params::Params;
use crate::web::answer::reply::Reply;
use crate::web::answer::responses::{Failures, Unchanged};
use crate::web::state::AppState;
use crate::wire::PredictionObject;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};

/// The parameters that it takes.
const PARAMS: [&str; 6] = ["start_time", "end_time", "limit", "cursor", "empty", "format"];

/// Predictions of one symbol.
///
/// Without a range the newest one for each horizon; with `start_time`, `end_time`, `limit` or `cursor` the series, newest
/// first.
#[utoipa::path(
    get,
    path = "/api/v1/predictions/{symbol}",
    tag = "signals",
    params(SymbolPath, SignalTimes, PageQuery, Answers),
    responses((status = 200, description = "Predictions", body = Vec<PredictionObject>), Unchanged, Failures),
)]
pub async fn predictions(
    request: HttpRequest,
    state: Data<AppState>,
    symbol: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let params = Params::of(&request, &PARAMS)?;
    let asked = SignalsAsked::of(&request, &params, &state)?;
    let (_, spec) = state.resolve(&symbol)?;
    let no_data = || ApiError::NoData(format!("no prediction of `{}` is there", spec.name));
    if asked.is_newest {
        let newest = state.history.newest_predictions(&spec.name).await?;
        if newest.is_empty() && !asked.empty_is_ok() {
            return Err(no_data());
        }
        let rows: Vec<PredictionObject> = newest.into_iter().map(PredictionObject::from).collect();
        return Ok(Reply::list(&rows, asked.format()).send(&request));
    }
    let query = PredictionQuery { symbol: spec.name.clone(), page: asked.page() };
    let found = state.history.predictions(&query).await?;
    asked.answer(&request, found, |prediction| prediction.time, PredictionObject::from, no_data)
}
