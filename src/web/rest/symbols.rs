//! `symbols`: all known symbols.
//!
//! Promises: sorted by name, from memory, so nothing here fails.

use super::param_docs::Answer;
use crate::web::answer::error::ApiError;
use crate::web::answer::format::Format;
use crate::web::answer::params::Params;
use crate::web::answer::reply::Reply;
use crate::web::answer::responses::{Failures, Unchanged};
use crate::web::state::AppState;
use crate::wire::Time;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

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
    /// `equity`, `pair`, `future` or `unknown`.
    #[schema(example = "pair")]
    pub asset_class: &'static str,
    /// Event time of its newest trade.
    #[schema(value_type = Option<String>, format = DateTime, example = "2023-09-05T17:00:00.123Z")]
    pub last_tick: Option<Time>,
    /// Spelling of its source.
    #[schema(example = "X:BTCUSD")]
    pub venue_symbol: String,
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
    #[schema(example = json!(["1min", "5min", "15min"]))]
    pub windows: Vec<String>,
}

/// All symbols.
#[utoipa::path(
    get,
    path = "/api/v1/symbols",
    tag = "market data",
    params(Answer),
    responses((status = 200, description = "All symbols; as CSV the details", body = SymbolList), Unchanged, Failures),
)]
pub async fn symbols(request: HttpRequest, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    let format = Format::of(&request, &Params::of(&request)?)?;
    let details: Vec<SymbolDetails> = state
        .symbols_by_name()
        .into_iter()
        .map(|(id, spec)| {
            let snapshot = state.snapshots.get(id);
            SymbolDetails {
                symbol: spec.name.clone(),
                provider: snapshot.as_ref().map(|snapshot| state.sources.name(snapshot.source)),
                data: state.provenance.data.as_str(),
                asset_class: spec.asset_class.as_str(),
                last_tick: snapshot.and_then(|snapshot| snapshot.last).map(|last| Time(last.ts)),
                venue_symbol: state.symbols.venue_symbol(id),
            }
        })
        .collect();
    if format == Format::Csv {
        return Ok(Reply::list(&details, format).send(&request));
    }
    let list = SymbolList {
        symbols: details.iter().map(|details| details.symbol.clone()).collect(),
        count: details.len(),
        windows: state.core.widths.iter().map(ToString::to_string).collect(),
        details: details.into_iter().map(|details| (details.symbol.clone(), details)).collect(),
    };
    Ok(Reply::json(&list).send(&request))
}
