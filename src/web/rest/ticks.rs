//! `ticks`: reports and quotes of a symbol, from the log.

use super::openapi::{Failures, Unchanged};
use super::param_docs::{SymbolName, TicksQuery};
use crate::models::entry::Position;
use crate::models::time::{HOUR, Nanos};
use crate::stores::TickQuery;
use crate::web::error::ApiError;
use crate::web::params::{Params, cursor};
use crate::web::reply::{Format, Reply};
use crate::web::state::AppState;
use crate::wire::TickObject;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};

/// Ticks of one symbol, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/ticks/{symbol}",
    tag = "market data",
    params(
        ("symbol" = SymbolName, Path, description = "Symbol or an alias of it", example = "AAPL"),
        TicksQuery,
    ),
    responses((status = 200, description = "Ticks", body = Vec<TickObject>), Unchanged, Failures),
)]
pub async fn ticks(
    request: HttpRequest,
    state: Data<AppState>,
    symbol: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let params = Params::of(&request)?;
    let (id, spec) = state.resolve(&symbol)?;
    let now = state.query_now();
    let (format, limit) = (Format::of(&request, &params)?, params.limit(100, 1_000)?);
    let (range, empty_is_ok) = (params.range(now)?, params.empty_is_ok()?);
    let page = params.cursor::<4>()?;
    let query = match page {
        Some([start, end, ts, pos]) => TickQuery {
            symbol: id,
            start: Nanos(start),
            end: Nanos(end),
            before: Some((Nanos(ts), pos.cast_unsigned())),
            limit: limit + 1,
        },
        None => {
            let end = range.end.unwrap_or(now);
            let start = range.start.unwrap_or(end.plus(-HOUR));
            TickQuery { symbol: id, start, end, before: None, limit: limit + 1 }
        }
    };
    let mut entries = state.log.ticks(&query).await?;
    // One more than asked for tells whether there is a next page.
    let has_more = entries.len() > limit;
    entries.truncate(limit);
    let next = entries.last().filter(|_| has_more).map(|entry| {
        let pos: Position = entry.pos;
        cursor(&[query.start.0, query.end.0, entry.body.time().0, pos.cast_signed()])
    });
    let rows: Vec<TickObject<'_>> = entries
        .iter()
        .filter_map(|entry| TickObject::new(entry, &spec, &state.sources.name(entry.body.source())))
        .collect();
    if rows.is_empty() && page.is_none() && !empty_is_ok {
        return Err(ApiError::NoData(format!("no tick of `{}` is in the range", spec.name)));
    }
    Ok(Reply::list(&rows, format).with_next(&request, next).send(&request))
}
