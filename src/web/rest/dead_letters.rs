//! `dead-letters`: what was not accepted, and why.

use super::openapi::{Failures, Unchanged};
use super::param_docs::{DeadLettersQuery, reasons};
use crate::models::entry::Position;
use crate::models::symbol::SymbolError;
use crate::models::time::Nanos;
use crate::stores::{DeadLetterQuery, DeadLetterRecord};
use crate::web::error::ApiError;
use crate::web::params::{Params, cursor};
use crate::web::reply::{Format, Reply};
use crate::web::state::AppState;
use crate::wire::Time;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

/// Something that was not accepted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct DeadLetterObject {
    /// Why.
    #[schema(example = "late")]
    pub reason: String,
    /// The symbol, where it was readable.
    #[schema(example = "BTC-USD")]
    pub symbol: Option<String>,
    /// Name of the source.
    #[schema(example = "simulated")]
    pub provider: String,
    /// When it was received, or its event time where nobody knows.
    #[schema(value_type = String, format = DateTime, example = "2023-09-05T17:00:00.123Z")]
    pub received_at: Time,
    /// What it said.
    pub payload: String,
    /// Its place in the log, if it has one.
    #[schema(value_type = Option<u64>, example = 3)]
    pub log_pos: Option<Position>,
    /// Where it stood in its input.
    #[schema(example = "trades.csv:17")]
    pub origin: String,
}

impl From<DeadLetterRecord> for DeadLetterObject {
    fn from(record: DeadLetterRecord) -> DeadLetterObject {
        DeadLetterObject {
            reason: record.reason,
            symbol: record.symbol,
            provider: record.provider,
            received_at: Time(record.received_at),
            payload: record.payload,
            log_pos: record.pos,
            origin: record.origin,
        }
    }
}

fn reason_of(params: &Params) -> Result<Option<String>, ApiError> {
    let Some(text) = params.get("reason") else { return Ok(None) };
    let known = reasons();
    if known.contains(&text) {
        return Ok(Some(text.to_owned()));
    }
    let detail = format!("`reason` is `{text}`; it is one of {}", known.join(", "));
    Err(ApiError::parameter("reason", detail))
}

/// What was not accepted, newest first by the time of receipt.
#[utoipa::path(
    get,
    path = "/api/v1/dead-letters",
    tag = "system",
    params(DeadLettersQuery),
    responses((status = 200, description = "Dead letters", body = Vec<DeadLetterObject>), Unchanged, Failures),
)]
pub async fn dead_letters(request: HttpRequest, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    let params = Params::of(&request)?;
    let (format, empty_is_ok) = (Format::of(&request, &params)?, params.empty_is_ok()?);
    // A symbol of which nothing was ever accepted is in no table, but may well have dead letters.
    let resolved = params.get("symbol").map(|text| (text, state.symbols.resolve(text)));
    let (symbol, is_unknown) = match resolved {
        None => (None, false),
        Some((_, Ok(id))) => (Some(state.symbols.spec(id).name.clone()), false),
        Some((text, Err(SymbolError::Unknown(_)))) => (Some(text.to_owned()), true),
        Some((_, Err(error))) => return Err(error.into()),
    };
    let (limit, start) = (params.limit(100, 1_000)?, params.time("start_time", state.now())?);
    let page = params.cursor::<3>()?;
    let (start, before) = match page {
        Some([start, received_at, id]) => {
            (Some(Nanos(start)), Some((Nanos(received_at), id.cast_unsigned())))
        }
        None => (start, None),
    };
    // One more than asked for tells whether there is a next page.
    let query = DeadLetterQuery { reason: reason_of(&params)?, symbol, start, before, limit: limit + 1 };
    let mut records = state.history.dead_letters(&query).await?;
    let has_more = records.len() > limit;
    records.truncate(limit);
    let next = records.last().filter(|_| has_more).map(|record| {
        cursor(&[start.unwrap_or(Nanos::MIN).0, record.received_at.0, record.id.cast_signed()])
    });
    if records.is_empty() && page.is_none() {
        match query.symbol {
            Some(symbol) if is_unknown => return Err(ApiError::UnknownSymbol(symbol)),
            _ if !empty_is_ok => return Err(ApiError::NoData("no such dead letter is there".to_owned())),
            _ => {}
        }
    }
    let rows: Vec<DeadLetterObject> = records.into_iter().map(DeadLetterObject::from).collect();
    Ok(Reply::list(&rows, format).with_next(&request, next).send(&request))
}
