//! `aggregated`: bars of a symbol. What is asked for without a range comes from [`super::recent`], the rest from the
//! history, together with what the symbol's view knows and the history does not know yet.

use super::error::ApiError;
use super::openapi::Failures;
use super::params::{Params, cursor};
use super::recent::{NUM_RECENT, Naming};
use super::reply::{Format, Reply, hash};
use super::state::{AppState, window_of};
use crate::models::bar::{Bar, BarState};
use crate::models::time::Nanos;
use crate::models::view::WindowView;
use crate::models::wire::{self, BarObject};
use crate::stores::WindowQuery;
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};

/// Rows asked of the history beyond the page: one tells that there is a next page, one may turn out void.
pub(super) const NUM_EXTRA: usize = 2;

/// Puts the newest closed bar of the view among rows of the history, which lags by its batch: newest first, at equal
/// starts the higher log position wins, a void bar takes its row away.
pub(super) fn merge_newest(rows: &mut Vec<Bar>, newest: &Bar) {
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
        ("symbol" = String, Path, description = "Symbol or an alias of it", example = "BTC-USD"),
        ("window" = Option<String>, Query, description = "Any configured window; the smallest", example = "1min"),
        ("start_time" = Option<String>, Query, description = "Windows that end after this"),
        ("end_time" = Option<String>, Query, description = "Windows that end at or before this"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 5000, description = "Rows at most; 500"),
        ("include_forming" = Option<bool>, Query, description = "With the bar in progress, as far as it is in the range"),
        ("cursor" = Option<String>, Query, description = "From the `Link` header of the page before"),
        ("empty" = Option<String>, Query, description = "`ok`: a list without rows is an answer"),
        ("format" = Option<String>, Query, description = "`json` or `csv`"),
    ),
    responses((status = 200, description = "Bars", body = Vec<BarObject>), Failures),
)]
pub async fn aggregated(
    request: HttpRequest,
    state: Data<AppState>,
    symbol: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let params = Params::of(&request);
    let (id, spec) = state.resolve(&symbol)?;
    let (width, limit) = (params.window(&state.core)?, params.limit(500, 5_000)?);
    let (format, range) = (Format::of(&request, &params)?, params.range(state.now())?);
    let (include_forming, empty_is_ok) = (params.flag("include_forming")?, params.empty_is_ok()?);
    let page = params.cursor::<2>()?;
    let (start, end) = match page {
        Some([start, end]) => (Nanos(start), Nanos(end)),
        None => (range.start.unwrap_or(Nanos::MIN), range.end.unwrap_or(Nanos::MAX)),
    };

    let view = state.views.get(id);
    let window = view.as_ref().and_then(|view| window_of(view, width));
    let in_range = |bar: &&Bar| start < bar.end() && bar.end() <= end;
    let forming = window
        .and_then(|window: &WindowView| window.forming.as_ref())
        .filter(|_| include_forming && page.is_none())
        .filter(in_range);
    let name = width.to_string();
    let naming = Naming { spec: &spec, window: &name };
    let num_closed = limit - usize::from(forming.is_some());
    let no_data = || ApiError::NoData(format!("no {name} bar of `{}` is in the range", spec.name));

    let is_newest = page.is_none() && range.start.is_none() && range.end.is_none();
    if let (true, Some(view), Some(window)) =
        (is_newest && limit <= NUM_RECENT && format == Format::Json, &view, window)
    {
        let recent = state.recent.page(&*state.history, id, window, view.pos, &naming).await?;
        if recent.is_empty() && forming.is_none() && !empty_is_ok {
            return Err(no_data());
        }
        let next = recent.has_more(num_closed).then(|| {
            let shown = num_closed.checked_sub(1).and_then(|at| recent.start(at));
            let last = shown.or(forming.map(|bar| bar.start)).unwrap_or(end);
            cursor(&[start.0, last.0])
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

    let query = WindowQuery {
        symbol: id,
        width,
        // A window that ends after `start_time` starts more than a width before it at the earliest.
        start: start.plus(1).plus(-width.nanos()),
        end,
        limit: num_closed + NUM_EXTRA,
    };
    let mut bars = state.history.bars(&query).await?;
    if let Some(newest) = window.and_then(|window| window.closed.as_ref()).filter(in_range) {
        merge_newest(&mut bars, newest);
    }
    let has_more = bars.len() > num_closed;
    bars.truncate(num_closed);
    if let Some(forming) = forming {
        bars.insert(0, *forming);
    }
    let next = bars.last().filter(|_| has_more).map(|bar| cursor(&[start.0, bar.start.0]));
    if bars.is_empty() && page.is_none() && !empty_is_ok {
        return Err(no_data());
    }
    let rows: Vec<BarObject<'_>> = bars.iter().map(|bar| naming.object(bar)).collect();
    Ok(Reply::list(&rows, format).with_next(&request, next).send(&request))
}
