//! `indicators`: the newest of a window from its snapshot, else from the cache, else from the history; a series from the
//! history.
//!
//! Promises: without a range no store is read while there is a snapshot. On failure of the history: 503.

use super::cached;
use super::param_docs::{Answers, SymbolPath, WindowsQuery};
use super::windows::WindowsAsked;
use crate::models::symbol::SymbolId;
use crate::models::time::Width;
use crate::stores::cache::indicators_key;
use crate::web::answer::error::ApiError;
use crate::web::answer::format::Format;
use crate::web::answer::paging::cut;
use crate::web::answer::params::Params;
use crate::web::answer::reply::Reply;
use crate::web::answer::responses::{Failures, Unchanged};
use crate::web::recent::{Reach, merge_newest};
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

/// True when this process has a snapshot with indicators of the window.
fn has_indicators(state: &AppState, symbol: SymbolId, width: Width) -> bool {
    let snapshot = state.snapshots.get(symbol);
    snapshot
        .is_some_and(|snapshot| window_of(&snapshot, width).is_some_and(|window| window.indicators.is_some()))
}

/// The parameters that it takes.
const PARAMS: [&str; 7] = ["window", "start_time", "end_time", "limit", "cursor", "empty", "format"];

/// Indicators of one symbol and window.
///
/// Without a range the newest ones as one object; with `start_time`, `end_time`, `limit` or `cursor` the series,
/// newest first, `start_time < window_end ≤ end_time`.
#[utoipa::path(
    get,
    path = "/api/v1/indicators/{symbol}",
    tag = "market data",
    params(
        SymbolPath,
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
    let params = Params::of(&request, &PARAMS)?;
    let asked = WindowsAsked::of(&request, &params, &state)?;
    let wants_newest = asked.is_newest && params.get("limit").is_none();
    let resolved = state.resolve(&symbol);
    let has_snapshot = resolved.as_ref().is_ok_and(|(id, _)| has_indicators(&state, *id, asked.width));
    if wants_newest && asked.page.format == Format::Json && !has_snapshot {
        let key = indicators_key(&cached::name_of(&state, &symbol)?, &asked.name);
        if let Some(found) = cached::read(&state, &key).await {
            return Ok(Reply::json_bytes(found.into()).send(&request));
        }
    }
    let (id, spec) = resolved?;
    let no_data = || ApiError::NoData(format!("no {} indicators of `{}` are there", asked.name, spec.name));

    let snapshot = state.snapshots.get(id);
    let window = snapshot.as_ref().and_then(|snapshot| window_of(snapshot, asked.width));
    let newest = window.and_then(|window| window.indicators.as_ref());
    let object = |point| IndicatorsObject::new(point, &spec, &asked.name);
    if wants_newest {
        let kept = match newest {
            Some(_) => None,
            None => state.history.indicators(&asked.query(id, 1)).await?.into_iter().next(),
        };
        let newest = newest.or(kept.as_ref()).map(object).ok_or_else(no_data)?;
        let reply = match asked.page.format {
            Format::Csv => Reply::list(&[newest], asked.page.format),
            Format::Json => Reply::json(&IndicatorsAnswer::Newest(Box::new(newest))),
        };
        return Ok(reply.send(&request));
    }

    let newest = match newest.filter(|point| asked.has(point.start)) {
        Some(newest) => {
            let reach = Reach::of(&*state.history, id, asked.width, window).await?;
            (reach == Reach::Snapshot).then_some(newest)
        }
        None => None,
    };
    let mut points = state.history.indicators(&asked.query(id, asked.page.limit)).await?;
    if let Some(newest) = newest {
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
