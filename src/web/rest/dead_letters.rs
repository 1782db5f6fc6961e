//! `dead-letters`: input that was not accepted, with the reason.
//!
//! Promises: newest first, page by page; nothing is left out that the history still holds. On failure of the history:
//! 503.

use super::param_docs::{Answers, DeadLettersQuery, reasons};
use crate::models::entry::Position;
use crate::models::symbol::SymbolError;
use crate::models::time::Nanos;
use crate::stores::history::{DeadLetterQuery, DeadLetterRecord};
use crate::web::answer::error::ApiError;
use crate::web::answer::paging::{PageRequest, cut};
use crate::web::answer::params::{Params, cursor};
use crate::web::answer::reply::Reply;
use crate::web::answer::responses::{Failures, Unchanged};
use crate::web::state::AppState;
use crate::wire::Time;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

/// Input that was not accepted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct DeadLetterObject {
    /// The reason.
    #[schema(example = "late")]
    pub reason: String,
    /// The symbol, where it could be read.
    #[schema(example = "BTC-USD")]
    pub symbol: Option<String>,
    /// Name of the source.
    #[schema(example = "simulated")]
    pub provider: String,
    /// Time of receipt, or the event time where that is unknown.
    #[schema(value_type = String, format = DateTime, example = "2023-09-05T17:00:00.123Z")]
    pub received_at: Time,
    /// The tick as JSON, or the row as it stood in its file.
    pub payload: String,
    /// Position in the log, if it has one.
    #[schema(value_type = Option<u64>, example = 3)]
    pub log_pos: Option<Position>,
    /// Place in its input, such as file and row.
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

/// The parameters that it takes.
const PARAMS: [&str; 7] = ["reason", "symbol", "start_time", "limit", "cursor", "empty", "format"];

/// Input that was not accepted, newest first by time of receipt.
#[utoipa::path(
    get,
    path = "/api/v1/dead-letters",
    tag = "system",
    params(DeadLettersQuery, Answers),
    responses((status = 200, description = "Dead letters", body = Vec<DeadLetterObject>), Unchanged, Failures),
)]
pub async fn dead_letters(request: HttpRequest, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    let params = Params::of(&request, &PARAMS)?;
    let page = PageRequest::<3>::of(&request, &params, 100, 1_000)?;
    // A symbol of which nothing was ever accepted is unknown, but may have dead letters.
    let resolved = params.get("symbol").map(|text| (text, state.symbols.resolve(text)));
    let (symbol, is_unknown) = match resolved {
        None => (None, false),
        Some((_, Ok(id))) => (Some(state.symbols.spec(id).name.clone()), false),
        Some((text, Err(SymbolError::Unknown(_)))) => (Some(text.to_owned()), true),
        Some((_, Err(error))) => return Err(error.into()),
    };
    let start = params.time("start_time", state.now())?;
    let (start, before) = match page.cursor {
        Some([start, received_at, id]) => {
            (Some(Nanos(start)), Some((Nanos(received_at), id.cast_unsigned())))
        }
        None => (start, None),
    };
    // One more than asked for tells whether there is a next page.
    let query = DeadLetterQuery { reason: reason_of(&params)?, symbol, start, before, limit: page.limit + 1 };
    let mut records = state.history.dead_letters(&query).await?;
    let next = cut(&mut records, page.limit, |record| {
        cursor(&[start.unwrap_or(Nanos::MIN).0, record.received_at.0, record.id.cast_signed()])
    });
    if records.is_empty() && page.cursor.is_none() {
        match query.symbol {
            Some(symbol) if is_unknown => return Err(ApiError::UnknownSymbol(symbol)),
            _ if !page.empty_is_ok => {
                return Err(ApiError::NoData("no such dead letter is there".to_owned()));
            }
            _ => {}
        }
    }
    let rows: Vec<DeadLetterObject> = records.into_iter().map(DeadLetterObject::from).collect();
    Ok(Reply::list(&rows, page.format).with_next(&request, next).send(&request))
}
