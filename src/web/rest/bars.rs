//! `aggregated`: bars of a symbol. Without a range they come from [`crate::web::recent`], or from the cache where this
//! process has no snapshot of the symbol; else from the history, merged with the newest bar of the symbol's snapshot, which the
//! history may not hold yet.
//!
//! Promises: newest first; a page and its cursor never repeat or omit a bar. On failure of the history: 503.

use super::cached;
use super::param_docs::{Answers, SymbolPath, WindowsQuery};
use super::windows::WindowsAsked;
use crate::models::snapshot::WindowSnapshot;
use crate::stores::cache::aggregated_key;
use crate::web::answer::caching::hash;
use crate::web::answer::error::ApiError;
use crate::web::answer::format::Format;
use crate::web::answer::params::Params;
use crate::web::answer::reply::Reply;
use crate::web::answer::responses::{Failures, Unchanged};
use crate::web::recent::{NUM_RECENT, Naming, merge_newest};
use crate::web::state::{AppState, window_of};
use crate::wire::{self, BarObject};
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};

/// Bars of one symbol and window, newest first: `start_time < window_end ≤ end_time`.
#[utoipa::path(
    get,
    path = "/api/v1/aggregated/{symbol}",
    tag = "market data",
    params(
        SymbolPath,
        WindowsQuery,
        Answers,
        ("include_forming" = Option<bool>, Query, description = "With the bar in progress, as far as it is in the range"),
    ),
    responses((status = 200, description = "Bars", body = Vec<BarObject>), Unchanged, Failures),
)]
pub async fn aggregated(
    request: HttpRequest,
    state: Data<AppState>,
    symbol: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let params = Params::of(&request)?;
    let asked = WindowsAsked::of(&request, &params, &state)?;
    let include_forming = params.flag("include_forming")?;
    let resolved = state.resolve(&symbol);
    let has_snapshot = resolved.as_ref().is_ok_and(|(id, _)| state.snapshots.get(*id).is_some());
    if asked.is_newest && params.get("limit").is_none() && asked.page.format == Format::Json && !has_snapshot
    {
        let key = aggregated_key(&cached::name_of(&state, &symbol)?, &asked.name);
        if let Some(newest) = cached::read(&state, &key).await {
            let body = [b"[".as_slice(), &newest, b"]"].concat();
            return Ok(Reply::json_bytes(body.into()).send(&request));
        }
    }
    let (id, spec) = resolved?;

    let snapshot = state.snapshots.get(id);
    let window = snapshot.as_ref().and_then(|snapshot| window_of(snapshot, asked.width));
    let forming = window
        .and_then(|window: &WindowSnapshot| window.forming.as_ref())
        .filter(|bar| include_forming && asked.page.cursor.is_none() && asked.has(bar.start));
    let naming = Naming { spec: &spec, window: &asked.name };
    let num_closed = asked.page.limit - usize::from(forming.is_some());
    let no_data = || ApiError::NoData(format!("no {} bar of `{}` is in the range", asked.name, spec.name));

    if let (true, Some(snapshot), Some(window)) = (
        asked.is_newest && asked.page.limit <= NUM_RECENT && asked.page.format == Format::Json,
        &snapshot,
        window,
    ) {
        let recent = state.recent.page(&*state.history, id, window, snapshot.pos, &naming).await?;
        if recent.is_empty() && forming.is_none() && !asked.page.empty_is_ok {
            return Err(no_data());
        }
        let next = recent.has_more(num_closed).then(|| {
            let shown = num_closed.checked_sub(1).and_then(|at| recent.start(at));
            asked.cursor_behind(shown.or(forming.map(|bar| bar.start)))
        });
        let (body, tag) = match forming {
            None => recent.body(num_closed),
            Some(bar) => {
                let body = recent.body_after(&wire::to_json(&naming.object(bar)), num_closed);
                let tag = hash(&body);
                (Bytes::from(body), tag)
            }
        };
        return Ok(Reply::json_bytes(body).with_tag(tag).with_next(&request, next).send(&request));
    }

    let mut bars = state.history.bars(&asked.query(id, num_closed)).await?;
    if let Some(newest) = window.and_then(|window| window.closed.as_ref()).filter(|bar| asked.has(bar.start))
    {
        merge_newest(&mut bars, newest);
    }
    let has_more = bars.len() > num_closed;
    bars.truncate(num_closed);
    if let Some(forming) = forming {
        bars.insert(0, *forming);
    }
    if bars.is_empty() && !asked.page.empty_is_ok {
        return Err(no_data());
    }
    // The forming bar counts as a row of the page: with a limit of 1 the next page begins behind it.
    let next = bars.last().filter(|_| has_more).map(|bar| asked.cursor_behind(Some(bar.start)));
    let rows: Vec<BarObject<'_>> = bars.iter().map(|bar| naming.object(bar)).collect();
    Ok(Reply::list(&rows, asked.page.format).with_next(&request, next).send(&request))
}
