//! `latest`: the newest trade of a symbol, from its published view.
//!
//! Promises: no store is read and nothing is waited for.

use super::param_docs::{Answers, SymbolName, Symbols};
use crate::models::feed;
use crate::models::symbol::SymbolSpec;
use crate::models::time::Nanos;
use crate::models::view::SymbolView;
use crate::web::answer::error::ApiError;
use crate::web::answer::format::Format;
use crate::web::answer::params::Params;
use crate::web::answer::reply::Reply;
use crate::web::answer::responses::Failures;
use crate::web::state::AppState;
use crate::wire::LatestObject;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use std::sync::Arc;

/// Symbols that one request may name.
const SYMBOLS_MAX: usize = 1_000;

fn object<'a>(
    state: &AppState,
    view: &SymbolView,
    spec: &'a SymbolSpec,
    now: Nanos,
) -> Option<LatestObject<'a>> {
    let last = view.last.as_ref()?;
    let clock = state.clocks.get(view.source).max(view.watermark.plus(state.core.lateness));
    let feed = feed::state(now, last.ts, last.received, clock);
    // A negative age means that a clock is wrong: ours was set back, or the venue's is ahead.
    Some(LatestObject::new(spec, last, view.reference, now.since(last.ts).div_euclid(1_000_000), feed))
}

/// Newest trade of one symbol.
///
/// `feed` tells a quiet market from a dead feed: `live` traded within 10 s; `quiet` did not, but its source's clock
/// runs on; `stale` the source's clock is more than 30 s old, or so far ahead that the server's must have been set
/// back; `dead` more than 5 minutes old. `age_ms` is negative where the trade's time is ahead of the server's clock.
#[utoipa::path(
    get,
    path = "/api/v1/latest/{symbol}",
    tag = "market data",
    params(("symbol" = SymbolName, Path, description = "Symbol or an alias of it", example = "AAPL")),
    responses((status = 200, description = "The newest trade", body = LatestObject), Failures),
)]
pub async fn latest(
    request: HttpRequest,
    state: Data<AppState>,
    symbol: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let (id, spec) = state.resolve(&symbol)?;
    let view = state.views.get(id);
    let object = view.as_ref().and_then(|view| object(&state, view, &spec, state.now()));
    let object = object.ok_or_else(|| ApiError::NoData(format!("`{}` has not traded yet", spec.name)))?;
    Ok(Reply::json(&object).send_volatile(&request))
}

/// Newest trades of several symbols.
///
/// Symbols that have not traded yet are left out.
#[utoipa::path(
    get,
    path = "/api/v1/latest",
    tag = "market data",
    params(
        ("symbols" = Symbols, Query, description = "At most 1000 symbols with commas between, or `*` for all", example = "*"),
        Answers,
    ),
    responses((status = 200, description = "The newest trades", body = Vec<LatestObject>), Failures),
)]
pub async fn latest_list(request: HttpRequest, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    let params = Params::of(&request)?;
    let format = Format::of(&request, &params)?;
    let empty_is_ok = params.empty_is_ok()?;
    let wanted = params.get("symbols").map(str::trim).filter(|text| !text.is_empty());
    let wanted = wanted.ok_or_else(|| {
        ApiError::parameter("symbols", "`symbols` is needed: names with commas between, or `*`")
    })?;
    let ids = if wanted == "*" {
        state.symbols_by_name()
    } else {
        let names = wanted.split(',').map(str::trim).filter(|name| !name.is_empty());
        let names: Vec<&str> = names.take(SYMBOLS_MAX + 1).collect();
        if names.len() > SYMBOLS_MAX {
            let detail = format!("`symbols` has more than {SYMBOLS_MAX} symbols; `*` is all of them");
            return Err(ApiError::parameter("symbols", detail));
        }
        names.into_iter().map(|name| state.resolve(name)).collect::<Result<_, _>>()?
    };
    let now = state.now();
    let views: Vec<(Arc<SymbolView>, Arc<SymbolSpec>)> =
        ids.into_iter().filter_map(|(id, spec)| Some((state.views.get(id)?, spec))).collect();
    let rows: Vec<LatestObject<'_>> =
        views.iter().filter_map(|(view, spec)| object(&state, view, spec, now)).collect();
    if rows.is_empty() && !empty_is_ok {
        return Err(ApiError::NoData("none of the symbols has traded yet".to_owned()));
    }
    Ok(Reply::list(&rows, format).send_volatile(&request))
}
