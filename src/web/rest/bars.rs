//! `aggregated`: bars of a symbol. What is asked for without a range comes from [`crate::web::recent`], the rest from the
//! history, together with what the symbol's view knows and the history does not know yet.

use super::openapi::{Failures, Unchanged};
use super::param_docs::{SymbolName, WindowsQuery};
use super::windows::WindowsAsked;
use crate::models::bar::{Bar, BarState};
use crate::models::view::WindowView;
use crate::web::error::ApiError;
use crate::web::params::Params;
use crate::web::recent::{NUM_RECENT, Naming};
use crate::web::reply::{Format, Reply, hash};
use crate::web::state::{AppState, window_of};
use crate::wire::{self, BarObject};
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};

/// Puts the newest closed bar of the view among rows of the history, which lags by its batch: newest first, at equal
/// starts the higher log position wins, a void bar takes its row away.
pub fn merge_newest(rows: &mut Vec<Bar>, newest: &Bar) {
    match rows.binary_search_by(|row| newest.start.cmp(&row.start)) {
        Ok(at) if rows[at].log_pos > newest.log_pos => {}
        Ok(at) if newest.state == BarState::Void => _ = rows.remove(at),
        Ok(at) => rows[at] = *newest,
        Err(_) if newest.state == BarState::Void => {}
        Err(at) => rows.insert(at, *newest),
    }
}

/// Bars of one symbol and window, newest first: `start_time < window_end ≤ end_time`.
#[utoipa::path(
    get,
    path = "/api/v1/aggregated/{symbol}",
    tag = "market data",
    params(
        ("symbol" = SymbolName, Path, description = "Symbol or an alias of it", example = "AAPL"),
        WindowsQuery,
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
    let (id, spec) = state.resolve(&symbol)?;
    let asked = WindowsAsked::of(&request, &params, &state)?;
    let include_forming = params.flag("include_forming")?;

    let view = state.views.get(id);
    let window = view.as_ref().and_then(|view| window_of(view, asked.width));
    let forming = window
        .and_then(|window: &WindowView| window.forming.as_ref())
        .filter(|bar| include_forming && asked.is_first_page && asked.has(bar.start));
    let naming = Naming { spec: &spec, window: &asked.name };
    let num_closed = asked.limit - usize::from(forming.is_some());
    let no_data = || ApiError::NoData(format!("no {} bar of `{}` is in the range", asked.name, spec.name));

    if let (true, Some(view), Some(window)) =
        (asked.is_newest && asked.limit <= NUM_RECENT && asked.format == Format::Json, &view, window)
    {
        let recent = state.recent.page(&*state.history, id, window, view.pos, &naming).await?;
        if recent.is_empty() && forming.is_none() && !asked.empty_is_ok {
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
    if bars.is_empty() && !asked.empty_is_ok {
        return Err(no_data());
    }
    let next = bars.last().filter(|_| has_more).map(|bar| asked.cursor_behind(Some(bar.start)));
    let rows: Vec<BarObject<'_>> = bars.iter().map(|bar| naming.object(bar)).collect();
    Ok(Reply::list(&rows, asked.format).with_next(&request, next).send(&request))
}
