//! `indicators`: the newest of a window from its view, a series from the history.

use super::bars::NUM_EXTRA;
use super::error::ApiError;
use super::openapi::Failures;
use super::params::{Params, cursor};
use super::reply::{Format, Reply};
use super::state::{AppState, window_of};
use crate::models::effect::IndicatorPoint;
use crate::models::time::Nanos;
use crate::models::wire::IndicatorsObject;
use crate::stores::WindowQuery;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

fn merge_newest(rows: &mut Vec<IndicatorPoint>, newest: &IndicatorPoint) {
    match rows.binary_search_by(|row| newest.start.cmp(&row.start)) {
        Ok(at) if rows[at].log_pos > newest.log_pos => {}
        Ok(at) => rows[at] = *newest,
        Err(at) => rows.insert(at, *newest),
    }
}

/// The newest indicators, or a series of them.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum IndicatorsAnswer<'a> {
    /// Without a range.
    Newest(Box<IndicatorsObject<'a>>),
    /// Of a range, newest first.
    Series(Vec<IndicatorsObject<'a>>),
}

/// Indicators of one symbol and window.
///
/// Without a range the newest ones as one object; with `start_time`, `end_time`, `limit` or `cursor` the series,
/// newest first, `start_time < window_end ≤ end_time`.
#[utoipa::path(
    get,
    path = "/api/v1/indicators/{symbol}",
    tag = "market data",
    params(
        ("symbol" = String, Path, description = "Symbol or an alias of it", example = "BTC-USD"),
        ("window" = Option<String>, Query, description = "Any configured window; the smallest", example = "1min"),
        ("start_time" = Option<String>, Query, description = "Windows that end after this"),
        ("end_time" = Option<String>, Query, description = "Windows that end at or before this"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 5000, description = "Rows at most; 500"),
        ("cursor" = Option<String>, Query, description = "From the `Link` header of the page before"),
        ("empty" = Option<String>, Query, description = "`ok`: a list without rows is an answer"),
        ("format" = Option<String>, Query, description = "`json` or `csv`, of a series"),
    ),
    responses((status = 200, description = "Indicators; of a range, a list of them", body = IndicatorsAnswer), Failures),
)]
pub async fn indicators(
    request: HttpRequest,
    state: Data<AppState>,
    symbol: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let params = Params::of(&request);
    let (id, spec) = state.resolve(&symbol)?;
    let (width, limit) = (params.window(&state.core)?, params.limit(500, 5_000)?);
    let (format, range) = (Format::of(&request, &params)?, params.range(state.now())?);
    let empty_is_ok = params.empty_is_ok()?;
    let page = params.cursor::<2>()?;
    let name = width.to_string();
    let no_data = || ApiError::NoData(format!("no {name} indicators of `{}` are there", spec.name));

    let view = state.views.get(id);
    let newest =
        view.as_ref().and_then(|view| window_of(view, width)).and_then(|window| window.indicators.as_ref());
    let is_series =
        ["start_time", "end_time", "limit", "cursor"].iter().any(|name| params.get(name).is_some());
    if !is_series {
        let object = newest.map(|point| IndicatorsObject::new(point, &spec, &name)).ok_or_else(no_data)?;
        return Ok(Reply::json(&IndicatorsAnswer::Newest(Box::new(object))).send(&request));
    }

    let (start, end) = match page {
        Some([start, end]) => (Nanos(start), Nanos(end)),
        None => (range.start.unwrap_or(Nanos::MIN), range.end.unwrap_or(Nanos::MAX)),
    };
    let query = WindowQuery {
        symbol: id,
        width,
        start: start.plus(1).plus(-width.nanos()),
        end,
        limit: limit + NUM_EXTRA,
    };
    let mut points = state.history.indicators(&query).await?;
    let end_of = |point: &IndicatorPoint| point.start.plus(width.nanos());
    if let Some(newest) = newest.filter(|point| start < end_of(point) && end_of(point) <= end) {
        merge_newest(&mut points, newest);
    }
    let has_more = points.len() > limit;
    points.truncate(limit);
    let next = points.last().filter(|_| has_more).map(|point| cursor(&[start.0, point.start.0]));
    if points.is_empty() && page.is_none() && !empty_is_ok {
        return Err(no_data());
    }
    let rows: Vec<IndicatorsObject<'_>> =
        points.iter().map(|point| IndicatorsObject::new(point, &spec, &name)).collect();
    let reply = match format {
        Format::Csv => Reply::list(&rows, format),
        Format::Json => Reply::json(&IndicatorsAnswer::Series(rows)),
    };
    Ok(reply.with_next(&request, next).send(&request))
}
