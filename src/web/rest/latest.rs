//! `latest`: the newest trade of a symbol, from its published snapshot; of a single symbol without one, from the cache.
//!
//! Promises: no store is read, and only the cache is waited for, within its limit.

use super::cached;
use super::param_docs::{Answers, SymbolPath, Symbols};
use crate::models::snapshot::SymbolSnapshot;
use crate::models::symbol::SymbolSpec;
use crate::models::time::Nanos;
use crate::stores::cache::latest_key;
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
    snapshot: &SymbolSnapshot,
    spec: &'a SymbolSpec,
    now: Nanos,
) -> Option<LatestObject<'a>> {
    LatestObject::of_snapshot(spec, snapshot, state.clocks.get(snapshot.source), state.core.lateness, now)
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
    params(SymbolPath),
    responses((status = 200, description = "The newest trade", body = LatestObject), Failures),
)]
pub async fn latest(
    request: HttpRequest,
    state: Data<AppState>,
    symbol: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let resolved = state.resolve(&symbol);
    if let Ok((id, spec)) = &resolved {
        let snapshot = state.snapshots.get(*id);
        if let Some(object) =
            snapshot.as_ref().and_then(|snapshot| object(&state, snapshot, spec, state.now()))
        {
            return Ok(Reply::json(&object).send_volatile(&request));
        }
    }
    let name = cached::name_of(&state, &symbol)?;
    let found = cached::read(&state, &latest_key(&name)).await;
    if let Some(body) = found.and_then(|found| cached::latest_now(&found, state.now())) {
        return Ok(Reply::json_bytes(body.into()).send_volatile(&request));
    }
    let (_, spec) = resolved?;
    Err(ApiError::NoData(format!("`{}` has not traded yet", spec.name)))
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
    let snapshots: Vec<(Arc<SymbolSnapshot>, Arc<SymbolSpec>)> =
        ids.into_iter().filter_map(|(id, spec)| Some((state.snapshots.get(id)?, spec))).collect();
    let rows: Vec<LatestObject<'_>> =
        snapshots.iter().filter_map(|(snapshot, spec)| object(&state, snapshot, spec, now)).collect();
    if rows.is_empty() && !empty_is_ok {
        return Err(ApiError::NoData("none of the symbols has traded yet".to_owned()));
    }
    Ok(Reply::list(&rows, format).send_volatile(&request))
}
