//! `indicators`: the newest of a window from its view, a series from the history.
//!
//! Promises: without a range no store is read. On failure of the history a series is 503.

use super::param_docs::{Answers, SymbolName, WindowsQuery};
use super::windows::WindowsAsked;
use crate::web::answer::error::ApiError;
use crate::web::answer::format::Format;
use crate::web::answer::paging::cut;
use crate::web::answer::params::Params;
use crate::web::answer::reply::Reply;
use crate::web::answer::responses::{Failures, Unchanged};
use crate::web::recent::merge_newest;
use crate::web::state::{AppState, window_of};
use crate::wire::IndicatorsObject;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

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
        ("symbol" = SymbolName, Path, description = "Symbol or an alias of it", example = "AAPL"),
        WindowsQuery,
        Answers,
    ),
    responses((status = 200, description = "Indicators; of a range, a list of them", body = IndicatorsAnswer), Unchanged, Failures),
)]
pub async fn indicators(
    request: HttpRequest,
    state: Data<AppState>,
    symbol: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let params = Params::of(&request)?;
    let (id, spec) = state.resolve(&symbol)?;
    let asked = WindowsAsked::of(&request, &params, &state)?;
    let no_data = || ApiError::NoData(format!("no {} indicators of `{}` are there", asked.name, spec.name));

    let view = state.views.get(id);
    let window = view.as_ref().and_then(|view| window_of(view, asked.width));
    let newest = window.and_then(|window| window.indicators.as_ref());
    let object = |point| IndicatorsObject::new(point, &spec, &asked.name);
    if asked.is_newest && params.get("limit").is_none() {
        let newest = newest.map(object).ok_or_else(no_data)?;
        let reply = match asked.page.format {
            Format::Csv => Reply::list(&[newest], asked.page.format),
            Format::Json => Reply::json(&IndicatorsAnswer::Newest(Box::new(newest))),
        };
        return Ok(reply.send(&request));
    }

    let mut points = state.history.indicators(&asked.query(id, asked.page.limit)).await?;
    if let Some(newest) = newest.filter(|point| asked.has(point.start)) {
        merge_newest(&mut points, newest);
    }
    let next = cut(&mut points, asked.page.limit, |point| asked.cursor_behind(Some(point.start)));
    if points.is_empty() && !asked.page.empty_is_ok {
        return Err(no_data());
    }
    let rows: Vec<IndicatorsObject<'_>> = points.iter().map(object).collect();
    let reply = match asked.page.format {
        Format::Csv => Reply::list(&rows, asked.page.format),
        Format::Json => Reply::json(&IndicatorsAnswer::Series(rows)),
    };
    Ok(reply.with_next(&request, next).send(&request))
}
