//! `symbols`: all known symbols, or those that fit a query, with what the venues list of the kind.
//!
//! Promises: known symbols are sorted by name and come from memory. What venues list is asked for within their limits; a venue
//! that does not answer is named with the reason. Nothing here fails but for a bad parameter.

use super::param_docs::{Answer, SymbolsQuery};
use crate::models::symbol::{folded, is_symbol_name};
use crate::web::answer::error::ApiError;
use crate::web::answer::format::Format;
use crate::web::answer::params::Params;
use crate::web::answer::reply::Reply;
use crate::web::answer::responses::{Failures, Unchanged};
use crate::web::state::AppState;
use crate::web::symbol_control::{FoundInstrument, SearchResult, UnaskedVenue};
use crate::wire::Time;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Instruments of each venue that a search finds, where nobody says how many, and at the most.
const FOUND_DEFAULT: usize = 20;
const FOUND_MAX: usize = 200;

/// Details of one symbol.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct SymbolDetails {
    /// The symbol in its one spelling.
    #[schema(example = "BTC-USD")]
    pub symbol: String,
    /// Name of its source; none before its first entry.
    #[schema(example = "simulated")]
    pub provider: Option<String>,
    /// Kind of the data: `simulated`, `replay` or `live`.
    #[schema(example = "live")]
    pub data: &'static str,
    /// `equity`, `pair`, `crypto`, `future` or `unknown`.
    #[schema(example = "crypto")]
    pub asset_class: &'static str,
    /// Event time of its newest trade.
    #[schema(value_type = Option<String>, format = DateTime, example = "2023-09-05T17:00:00.123Z")]
    pub last_tick: Option<Time>,
    /// Spelling of its source.
    #[schema(example = "X:BTCUSD")]
    pub venue_symbol: String,
    /// It is followed: false after it was removed, and where nothing is added to the data.
    pub is_followed: bool,
}

/// All symbols.
#[derive(Debug, Serialize, ToSchema)]
pub struct SymbolList {
    /// Their names, sorted.
    pub symbols: Vec<String>,
    /// Number of symbols.
    #[schema(example = 1)]
    pub count: usize,
    /// Details of each, by name.
    pub details: BTreeMap<String, SymbolDetails>,
    /// Names of the configured windows, ascending.
    #[schema(example = json!(["1min", "5min", "15min", "1h", "1d"]))]
    pub windows: Vec<String>,
    /// With `q`: what the venues list that could be followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<Vec<FoundInstrument>>,
    /// With `q`: venues that did not say what they have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unasked: Option<Vec<UnaskedVenue>>,
}

/// The parameters that it takes.
const PARAMS: [&str; 3] = ["q", "limit", "format"];

/// All symbols, or a search.
///
/// With `q` the answer holds the known symbols that fit, and in `found` what the venues of the feeds list of the kind.
#[utoipa::path(
    get,
    path = "/api/v1/symbols",
    tag = "market data",
    params(SymbolsQuery, Answer),
    responses((status = 200, description = "All symbols; as CSV the details", body = SymbolList), Unchanged, Failures),
)]
pub async fn symbols(request: HttpRequest, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    let params = Params::of(&request, &PARAMS)?;
    let format = Format::of(&request, &params)?;
    let query = params.get("q");
    let limit = params.limit(FOUND_DEFAULT, FOUND_MAX)?;
    if query.is_some_and(|query| !is_symbol_name(query.as_bytes())) {
        return Err(ApiError::parameter("q", "`q` is a part of a symbol's name, without blanks"));
    }
    let wanted = query.map(folded);
    let fits = |name: &str| wanted.as_ref().is_none_or(|wanted| folded(name).contains(wanted.as_str()));
    let control = state.symbol_control.as_ref();
    let details: Vec<SymbolDetails> = state
        .symbols_by_name()
        .into_iter()
        .filter(|(_, spec)| fits(&spec.name))
        .map(|(id, spec)| {
            let snapshot = state.snapshots.get(id);
            SymbolDetails {
                symbol: spec.name.clone(),
                provider: snapshot.as_ref().map(|snapshot| state.sources.name(snapshot.source)),
                data: state.provenance.data.as_str(),
                asset_class: spec.asset_class.as_str(),
                last_tick: snapshot.and_then(|snapshot| snapshot.last).map(|last| Time(last.ts)),
                venue_symbol: state.symbols.venue_symbol(id),
                is_followed: control.is_some_and(|control| control.is_followed(id)),
            }
        })
        .collect();
    if format == Format::Csv {
        return Ok(Reply::list(&details, format).send(&request));
    }
    let searched = match (query, control) {
        (Some(query), Some(control)) => Some(control.search(query.to_owned(), limit).await?),
        (Some(_), None) => Some(SearchResult::default()),
        (None, _) => None,
    };
    let (found, unasked) = searched.map(|SearchResult { found, unasked }| (found, unasked)).unzip();
    let list = SymbolList {
        found,
        unasked,
        symbols: details.iter().map(|details| details.symbol.clone()).collect(),
        count: details.len(),
        windows: state.core.widths.iter().map(ToString::to_string).collect(),
        details: details.into_iter().map(|details| (details.symbol.clone(), details)).collect(),
    };
    Ok(Reply::json(&list).send(&request))
}
