//! `dead-letters`: what was not accepted, and why.

use super::error::ApiError;
use super::openapi::Failures;
use super::params::Params;
use super::reply::{Format, Reply};
use super::state::AppState;
use crate::models::effect::DeadReason;
use crate::models::entry::Position;
use crate::models::ledger::RejectReason;
use crate::models::symbol::SymbolError;
use crate::models::wire::Time;
use crate::stores::{DeadLetterQuery, DeadLetterRecord};
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
    let mut known = vec![DeadReason::Late.as_str()];
    known.extend(RejectReason::ALL.map(RejectReason::as_str));
    if known.contains(&text) {
        return Ok(Some(text.to_owned()));
    }
    let detail = format!("`reason` is `{text}`; it is one of {}", known.join(", "));
    Err(ApiError::parameter("reason", detail))
}

/// What was not accepted, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/dead-letters",
    tag = "system",
    params(
        ("reason" = Option<String>, Query, description = "`late` or a reason of rejection", example = "late"),
        ("symbol" = Option<String>, Query, description = "Symbol or an alias of it"),
        ("start_time" = Option<String>, Query, description = "Received at or after this"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "Rows at most; 100"),
        ("empty" = Option<String>, Query, description = "`ok`: a list without rows is an answer"),
        ("format" = Option<String>, Query, description = "`json` or `csv`"),
    ),
    responses((status = 200, description = "Dead letters", body = Vec<DeadLetterObject>), Failures),
)]
pub async fn dead_letters(request: HttpRequest, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    let params = Params::of(&request);
    let (format, empty_is_ok) = (Format::of(&request, &params)?, params.empty_is_ok()?);
    // A symbol of which nothing was ever accepted is in no table, but may well have dead letters.
    let resolved = params.get("symbol").map(|text| (text, state.symbols.resolve(text)));
    let (symbol, is_unknown) = match resolved {
        None => (None, false),
        Some((_, Ok(id))) => (Some(state.symbols.spec(id).name.clone()), false),
        Some((text, Err(SymbolError::Unknown(_)))) => (Some(text.to_owned()), true),
        Some((_, Err(error))) => return Err(error.into()),
    };
    let query = DeadLetterQuery {
        reason: reason_of(&params)?,
        symbol,
        start: params.time("start_time", state.now())?,
        limit: params.limit(100, 1_000)?,
    };
    let records = state.history.dead_letters(&query).await?;
    if records.is_empty() {
        match query.symbol {
            Some(symbol) if is_unknown => return Err(ApiError::UnknownSymbol(symbol)),
            _ if !empty_is_ok => return Err(ApiError::NoData("no such dead letter is there".to_owned())),
            _ => {}
        }
    }
    let rows: Vec<DeadLetterObject> = records.into_iter().map(DeadLetterObject::from).collect();
    Ok(Reply::list(&rows, format).send(&request))
}
