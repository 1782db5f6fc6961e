//! `aggregated`: bars of a symbol. Without a range they come from [`crate::web::recent`], or from the cache where this
//! process has no snapshot of the symbol; else from the history, merged with the newest bar of the symbol's snapshot, where that
//! is the only one that the history may not hold yet.
//!
//! With `fill` windows without a trade have a row too, as far as the history is known to hold those that have one.
//!
//! Promises: newest first; a page and its cursor never repeat or omit a bar. On failure of the history: 503.

use super::cached;
use super::fill::{self, Fill, Known};
use super::param_docs::{Answers, FillName, SymbolPath, WindowsQuery};
use super::windows::WindowsAsked;
use crate::models::snapshot::WindowSnapshot;
use crate::models::time::Nanos;
use crate::stores::cache::aggregated_key;
use crate::web::answer::caching::hash;
use crate::web::answer::error::ApiError;
use crate::web::answer::format::Format;
use crate::web::answer::params::Params;
use crate::web::answer::reply::Reply;
use crate::web::answer::responses::{Failures, Unchanged};
use crate::web::recent::{NUM_RECENT, Naming, Reach, merge_newest};
use crate::web::state::{AppState, window_of};
use crate::wire::{self, BarObject, FilledBarObject};
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

/// Bars, with gaps or without. Both are described as the latter: a bar that is there has every value that a window may lack.
#[derive(Serialize)]
#[serde(untagged)]
enum BarsAnswer<'a> {
    /// Those that are there.
    Known(Vec<BarObject<'a>>),
    /// With `fill`: one for every window.
    Filled(Vec<FilledBarObject<'a>>),
}

/// The parameters that it takes.
const PARAMS: [&str; 9] =
    ["window", "start_time", "end_time", "limit", "cursor", "include_forming", "fill", "empty", "format"];

/// Bars of one symbol and window, newest first: `start_time < window_end ≤ end_time`.
#[utoipa::path(
    get,
    path = "/api/v1/aggregated/{symbol}",
    tag = "market data",
    params(
        SymbolPath,
        WindowsQuery,
        Answers,
        (
            "fill" = Option<FillName>,
            Query,
            description = "What stands for windows without a trade; `none` is the default. A filled bar has the state `empty`. Windows are filled \
                           from the symbol's first bar to the last one that is closed",
        ),
        ("include_forming" = Option<bool>, Query, description = "With the bar in progress, as far as it is in the range"),
    ),
    responses((status = 200, description = "Bars", body = [FilledBarObject]), Unchanged, Failures),
)]
pub async fn aggregated(
    request: HttpRequest,
    state: Data<AppState>,
    symbol: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let params = Params::of(&request, &PARAMS)?;
    let asked = WindowsAsked::of(&request, &params, &state)?;
    let include_forming = params.flag("include_forming")?;
    let fill = Fill::of(&params)?;
    let resolved = state.resolve(&symbol);
    let has_snapshot = resolved.as_ref().is_ok_and(|(id, _)| state.snapshots.get(*id).is_some());
    let takes_newest = asked.is_newest && fill.is_none() && asked.page.format == Format::Json;
    if takes_newest && params.get("limit").is_none() && !has_snapshot {
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

    if let (true, Some(snapshot), Some(window)) =
        (takes_newest && asked.page.limit <= NUM_RECENT, &snapshot, window)
    {
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

    let mut query = asked.query(id, num_closed);
    if fill.is_some() {
        // The bar before the range says with which close it begins, and that there are windows before the oldest bar in it.
        query.start = Nanos::MIN;
    }
    let newest = window.and_then(|window| window.closed.as_ref()).filter(|bar| asked.has(bar.start));
    let reach = if newest.is_some() || fill.is_some() {
        Reach::of(&*state.history, id, asked.width, window).await?
    } else {
        // Neither asks how far it is.
        Reach::Snapshot
    };
    let mut bars = state.history.bars(&query).await?;
    let are_all = bars.len() < query.limit;
    if let (Some(newest), Reach::Snapshot) = (newest, reach) {
        merge_newest(&mut bars, newest);
    }
    if let Some(fill) = fill {
        let closed_until = match reach {
            Reach::Until(end) => end,
            Reach::Snapshot => snapshot.as_ref().map_or(Nanos::MIN, |snapshot| snapshot.watermark),
        };
        let known = Known { bars: &bars, are_all, closed_until };
        let (mut rows, has_more) = fill::rows(&known, fill, &asked, num_closed, &naming);
        if let Some(forming) = forming {
            rows.insert(0, naming.object(forming).into());
        }
        if rows.is_empty() && !asked.page.empty_is_ok {
            return Err(no_data());
        }
        let next = rows.last().filter(|_| has_more).map(|row| asked.cursor_behind(Some(row.window_start.0)));
        let reply = match asked.page.format {
            Format::Csv => Reply::list(&rows, Format::Csv),
            Format::Json => Reply::json(&BarsAnswer::Filled(rows)),
        };
        return Ok(reply.with_next(&request, next).send(&request));
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
    let reply = match asked.page.format {
        Format::Csv => Reply::list(&rows, Format::Csv),
        Format::Json => Reply::json(&BarsAnswer::Known(rows)),
    };
    Ok(reply.with_next(&request, next).send(&request))
}
