//! `latest`: the newest trade of a symbol, from its published snapshot; of a single symbol without one, from the cache, else
//! from the log or a history that keeps ticks, as while the states are not recovered yet.
//!
//! Promises: of several symbols a name that none has does not keep the others back; a symbol with a snapshot costs no store anything; the cache is waited for within its limit. On failure of either:
//! 503.

use super::cached;
use super::param_docs::{Answers, SymbolPath, Symbols};
use crate::models::entry::{Body, Correction, Entry, Quote, SourceId, Trade, TradeId, Updates};
use crate::models::feed;
use crate::models::num::Size;
use crate::models::snapshot::{LastTrade, SymbolSnapshot};
use crate::models::symbol::{PriceSource, SymbolError, SymbolId, SymbolSpec};
use crate::models::time::Nanos;
use crate::stores::cache::latest_key;
use crate::stores::log::TickQuery;
use crate::web::answer::error::ApiError;
use crate::web::answer::format::Format;
use crate::web::answer::params::Params;
use crate::web::answer::reply::Reply;
use crate::web::answer::responses::Failures;
use crate::web::state::AppState;
use crate::wire::LatestObject;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use std::collections::HashSet;
use std::sync::Arc;

/// Reports that are looked at for the newest trade.
const REPORTS_MAX: usize = 100;

/// Symbols that one request may name.
const SYMBOLS_MAX: usize = 1_000;

fn object<'a>(
    state: &AppState,
    snapshot: &SymbolSnapshot,
    spec: &'a SymbolSpec,
    now: Nanos,
) -> Option<LatestObject<'a>> {
    let (clock, limits) =
        (state.clocks.get(snapshot.source), state.clocks.limits_of(snapshot.symbol, snapshot.source));
    LatestObject::of_snapshot(spec, snapshot, clock, limits, state.core.lateness, now)
}

/// Returns the newest trade among the last stored reports of a symbol, or the newest quote where quotes make its bars,
/// and who reported it.
async fn newest_stored(
    state: &AppState,
    symbol: SymbolId,
    spec: &SymbolSpec,
) -> Result<Option<(LastTrade, SourceId)>, ApiError> {
    let query = TickQuery { symbol, start: Nanos::MIN, end: Nanos::MAX, before: None, limit: REPORTS_MAX };
    let entries = state.ticks(&query).await?;
    let withdrawn: HashSet<(SourceId, TradeId)> = entries.iter().filter_map(withdrawn_by).collect();
    let quotes_make_bars = spec.price != PriceSource::Trade;
    let of_trade = |trade: &Trade| LastTrade {
        ts: trade.ts,
        received: trade.received,
        price: trade.price,
        size: trade.size,
        updates: trade.updates,
        seq: 0,
    };
    let mut trades = entries.iter().filter_map(|entry| match &entry.body {
        Body::Trade(trade) if withdrawn.contains(&(trade.source, trade.id)) => None,
        Body::Trade(trade) | Body::Correction(Correction { trade, .. }) if !quotes_make_bars => {
            trade.updates.open_close().then(|| (of_trade(trade), trade.source))
        }
        Body::Quote(quote) => {
            let Quote { ts, received, source, .. } = *quote;
            let price = quote.price(spec.price)?;
            Some((LastTrade { ts, received, price, size: Size(0), updates: Updates::ALL, seq: 0 }, source))
        }
        _ => None,
    });
    Ok(trades.next())
}

/// Returns the trade that a report withdraws.
const fn withdrawn_by(entry: &Entry) -> Option<(SourceId, TradeId)> {
    match &entry.body {
        Body::Cancel(cancel) => Some((cancel.source, cancel.target)),
        Body::Correction(correction) => Some((correction.trade.source, correction.target)),
        _ => None,
    }
}

/// Newest trade of one symbol.
///
/// `feed` tells a quiet market from a dead feed: `live` traded within 10 s; `quiet` did not, but its source's clock
/// runs on; `stale` the source's clock is older than `stale_after` of its feed (30 s), or so far ahead that the
/// server's must have been set back; `dead` older than `dead_after` (5 minutes), or the symbol was removed. `age_ms` is
/// negative where the trade's time is ahead of the server's clock.
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
    Params::of(&request, &[])?;
    let resolved = state.resolve(&symbol);
    let snapshot = resolved.as_ref().ok().and_then(|(id, _)| state.snapshots.get(*id));
    if let (Ok((_, spec)), Some(snapshot)) = (&resolved, &snapshot)
        && let Some(object) = object(&state, snapshot, spec, state.now())
    {
        let over_limit = state.is_over_limit(snapshot.symbol);
        let object = LatestObject { over_limit, ..object };
        return Ok(Reply::json(&object).send_volatile(&request));
    }
    let name = cached::name_of(&state, &symbol)?;
    let found = cached::read(&state, &latest_key(&name)).await;
    if let Some(body) = found.and_then(|found| cached::latest_now(&found, state.now())) {
        return Ok(Reply::json_bytes(body.into()).send_volatile(&request));
    }
    let (id, spec) = resolved?;
    // A snapshot without a trade knows of none that stands.
    if snapshot.is_none()
        && let Some((last, source)) = newest_stored(&state, id, &spec).await?
    {
        let (now, clock) = (state.now(), state.clocks.get(source));
        let age_ms = now.since(last.ts).div_euclid(1_000_000);
        let feed = feed::state(now, last.ts, last.received, clock, state.clocks.limits_of(id, source));
        return Ok(Reply::json(&LatestObject::new(&spec, &last, None, age_ms, feed)).send_volatile(&request));
    }
    Err(ApiError::NoData(format!("`{}` has not traded yet", spec.name)))
}

/// The parameters that the list takes.
const PARAMS: [&str; 3] = ["symbols", "empty", "format"];

/// Names in the header `Tickwire-Unknown` at most: clients limit what the headers of an answer may take in all.
const UNKNOWN_MAX: usize = 100;

/// The header that lists names of no symbol.
pub static UNKNOWN: HeaderName = HeaderName::from_static("tickwire-unknown");

/// The symbols that a list is asked for.
#[derive(Default)]
struct SymbolsAsked<'r> {
    known: Vec<(SymbolId, Arc<SymbolSpec>)>,
    unknown: Vec<&'r str>,
}

impl<'r> SymbolsAsked<'r> {
    /// Reads names with commas between.
    ///
    /// # Errors
    /// When there is none, or too many; when one is no symbol's name, or may mean several; when nobody knows any.
    fn read(text: &'r str, state: &AppState) -> Result<SymbolsAsked<'r>, ApiError> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let names: Vec<&str> = names.take(SYMBOLS_MAX + 1).collect();
        if names.is_empty() {
            let detail =
                format!("`symbols` is `{text}`, which names none: it is names with commas between, or `*`");
            return Err(ApiError::parameter("symbols", detail));
        }
        if names.len() > SYMBOLS_MAX {
            let detail = format!("`symbols` has more than {SYMBOLS_MAX} symbols; `*` is all of them");
            return Err(ApiError::parameter("symbols", detail));
        }
        let mut asked = SymbolsAsked::default();
        for name in names {
            match state.symbols.resolve(name) {
                Ok(id) => asked.known.push((id, state.symbols.spec(id))),
                Err(SymbolError::Unknown(_)) => asked.unknown.push(name),
                Err(error @ SymbolError::Malformed(_)) => {
                    return Err(ApiError::parameter("symbols", error.to_string()));
                }
                Err(error @ SymbolError::Ambiguous(..)) => return Err(error.into()),
            }
        }
        match asked.unknown.first() {
            Some(first) if asked.known.is_empty() => Err(ApiError::UnknownSymbol((*first).to_owned())),
            _ => Ok(asked),
        }
    }
}

/// Newest trades of several symbols.
///
/// Symbols that have not traded yet are left out, and so are names that no symbol has: the header `Tickwire-Unknown` lists
/// those, the first hundred.
#[utoipa::path(
    get,
    path = "/api/v1/latest",
    tag = "market data",
    params(
        ("symbols" = Symbols, Query, description = "At most 1000 symbols with commas between, or `*` for all", example = "*"),
        Answers,
    ),
    responses(
        (
            status = 200,
            description = "The newest trades",
            body = Vec<LatestObject>,
            headers(("Tickwire-Unknown" = String, description = "Names that no symbol has, with commas between")),
        ),
        Failures,
    ),
)]
pub async fn latest_list(request: HttpRequest, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    let params = Params::of(&request, &PARAMS)?;
    let format = Format::of(&request, &params)?;
    let empty_is_ok = params.empty_is_ok()?;
    let wanted = params.get("symbols").map(str::trim).filter(|text| !text.is_empty());
    let wanted = wanted.ok_or_else(|| {
        ApiError::parameter("symbols", "`symbols` is needed: names with commas between, or `*`")
    })?;
    let asked = if wanted == "*" {
        SymbolsAsked { known: state.symbols_by_name(), unknown: Vec::new() }
    } else {
        SymbolsAsked::read(wanted, &state)?
    };
    let now = state.now();
    // Rows of a table all have the same columns.
    let is_over_limit = |symbol| format == Format::Json && state.is_over_limit(symbol);
    let snapshots: Vec<(Arc<SymbolSnapshot>, Arc<SymbolSpec>)> =
        asked.known.into_iter().filter_map(|(id, spec)| Some((state.snapshots.get(id)?, spec))).collect();
    let mut rows: Vec<LatestObject<'_>> = Vec::with_capacity(snapshots.len());
    for (snapshot, spec) in &snapshots {
        if let Some(object) = object(&state, snapshot, spec, now) {
            rows.push(LatestObject { over_limit: is_over_limit(snapshot.symbol), ..object });
        }
    }
    if rows.is_empty() && !empty_is_ok {
        return Err(ApiError::NoData("none of the symbols has traded yet".to_owned()));
    }
    let mut response = Reply::list(&rows, format).send_volatile(&request);
    if !asked.unknown.is_empty() {
        let listed = &asked.unknown[..asked.unknown.len().min(UNKNOWN_MAX)];
        let value = HeaderValue::from_str(&listed.join(", ")).expect("symbols' names are plain text");
        response.headers_mut().insert(UNKNOWN.clone(), value);
    }
    Ok(response)
}
