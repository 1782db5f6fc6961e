//! `ticks`: reports and quotes of a symbol, from the history where it keeps them, else from the log.
//!
//! Promises: newest first by event time and position; a page and its cursor never repeat or omit a tick. On failure of
//! the history the log answers as far as it reaches back, else: 503.

use super::param_docs::{Answers, PageQuery, SymbolPath, TicksQuery};
use crate::models::time::{HOUR, Nanos};
use crate::stores::log::TickQuery;
use crate::web::answer::error::ApiError;
use crate::web::answer::paging::{PageRequest, cut};
use crate::web::answer::params::{Params, cursor};
use crate::web::answer::reply::Reply;
use crate::web::answer::responses::{Failures, Unchanged};
use crate::web::state::AppState;
use crate::wire::TickObject;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};

/// The parameters that it takes.
const PARAMS: [&str; 6] = ["start_time", "end_time", "limit", "cursor", "empty", "format"];

/// Ticks of one symbol, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/ticks/{symbol}",
    tag = "market data",
    params(
        SymbolPath,
        TicksQuery,
        PageQuery,
        Answers,
    ),
    responses((status = 200, description = "Ticks", body = Vec<TickObject>), Unchanged, Failures),
)]
pub async fn ticks(
    request: HttpRequest,
    state: Data<AppState>,
    symbol: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let params = Params::of(&request, &PARAMS)?;
    let (id, spec) = state.resolve(&symbol)?;
    let now = state.query_now();
    let page = PageRequest::<4>::of(&request, &params, 100, 1_000)?;
    let range = params.range(now)?;
    // One more than asked for tells whether there is a next page.
    let limit = page.limit + 1;
    let query = match page.cursor {
        Some([start, end, ts, pos]) => TickQuery {
            symbol: id,
            start: Nanos(start),
            end: Nanos(end),
            before: Some((Nanos(ts), pos.cast_unsigned())),
            limit,
        },
        None => {
            let end = range.end.unwrap_or(now);
            let start = range.start.unwrap_or(end.plus(-HOUR));
            TickQuery { symbol: id, start, end, before: None, limit }
        }
    };
    let mut entries = state.ticks(&query).await?;
    let next = cut(&mut entries, page.limit, |entry| {
        cursor(&[query.start.0, query.end.0, entry.body.time().0, entry.pos.cast_signed()])
    });
    let rows: Vec<TickObject<'_>> = entries
        .iter()
        .filter_map(|entry| TickObject::new(entry, &spec, &state.sources.name(entry.body.source())))
        .collect();
    if rows.is_empty() && !page.empty_is_ok {
        return Err(ApiError::NoData(format!("no tick of `{}` is in the range", spec.name)));
    }
    Ok(Reply::list(&rows, page.format).with_next(&request, next).send(&request))
}
