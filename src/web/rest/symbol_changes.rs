//! `symbols` with POST and DELETE: which symbols are followed.
//!
//! Promises: a page from elsewhere changes nothing: besides the rules for every request, the body must be said to be JSON,
//! which a page cannot do without asking first, and `*` in `server.cors_origins` does not count here. Where nothing is added
//! to the data, nothing is changed. On failure: an answer that names the field, and nothing has changed.

use super::body;
use super::param_docs::{NamedSymbols, SymbolPath};
use crate::models::symbol::{SymbolError, is_symbol_name};
use crate::web::answer::error::ApiError;
use crate::web::answer::params::Params;
use crate::web::answer::reply::Reply;
use crate::web::answer::responses::{ChangeFailures, Failures};
use crate::web::fields::Fields;
use crate::web::state::AppState;
use crate::web::symbol_control::{
    FollowSymbols, RefusedSymbol, SymbolControl, SymbolsFollowed, SymbolsUnfollowed,
};
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use std::sync::Arc;

/// Longest body in bytes: a thousand symbols of the longest names are 35 KB.
const BODY_MAX: usize = 64 << 10;

/// Symbols that one request may name.
const SYMBOLS_MAX: usize = 1_000;

/// Follows symbols from now on.
///
/// They are followed without a restart and kept in the data directory, where they win over the configuration. A new symbol
/// begins with its past as at a start. The answer is 200 where at least one symbol is followed, and tells what became of each.
#[utoipa::path(
    post,
    path = "/api/v1/symbols",
    tag = "market data",
    request_body = FollowSymbols,
    responses(
        (status = 200, description = "What became of each symbol", body = SymbolsFollowed),
        ChangeFailures,
        Failures,
    ),
)]
pub async fn follow(
    request: HttpRequest,
    state: Data<AppState>,
    body: Payload,
) -> Result<HttpResponse, ApiError> {
    let control = control(&request, &state)?;
    Params::of(&request, &[])?;
    let wanted = read(&body::read(&request, body, BODY_MAX).await?)?;
    let found = control.follow(wanted).await?;
    if found.added.is_empty() && found.present.is_empty() {
        return Err(ApiError::SymbolsRefused(in_words(&found.refused)));
    }
    Ok(Reply::json(&found).send_volatile(&request))
}

/// Follows a symbol no more.
///
/// What is known of it stays, and can be asked for. It is kept in the data directory, where it wins over the configuration.
#[utoipa::path(
    delete,
    path = "/api/v1/symbols/{symbol}",
    tag = "market data",
    params(SymbolPath),
    responses(
        (status = 200, description = "What became of it", body = SymbolsUnfollowed),
        ChangeFailures,
        Failures,
    ),
)]
pub async fn unfollow(
    request: HttpRequest,
    state: Data<AppState>,
    symbol: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let control = control(&request, &state)?;
    Params::of(&request, &[])?;
    state.resolve(&symbol)?;
    let found = control.unfollow(vec![symbol.into_inner()]).await?;
    Ok(Reply::json(&found).send_volatile(&request))
}

/// Follows symbols no more.
///
/// As for one symbol. The answer is 200 where at least one symbol is known, and tells what became of each.
#[utoipa::path(
    delete,
    path = "/api/v1/symbols",
    tag = "market data",
    params(("symbols" = NamedSymbols, Query, description = "At most 1000 symbols with commas between", example = "SOL-USD")),
    responses(
        (status = 200, description = "What became of each symbol", body = SymbolsUnfollowed),
        ChangeFailures,
        Failures,
    ),
)]
pub async fn unfollow_list(request: HttpRequest, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    let control = control(&request, &state)?;
    let params = Params::of(&request, &["symbols"])?;
    let names = params.get("symbols").unwrap_or_default().split(',').map(str::trim);
    let names: Vec<String> = names.filter(|name| !name.is_empty()).map(str::to_owned).collect();
    check_count(&names)?;
    let found = control.unfollow(names).await?;
    match found.refused.first() {
        Some(unknown) if found.removed.is_empty() && found.absent.is_empty() => {
            Err(ApiError::UnknownSymbol(unknown.symbol.clone()))
        }
        _ => Ok(Reply::json(&found).send_volatile(&request)),
    }
}

/// Returns who changes symbols, where this request may.
fn control(request: &HttpRequest, state: &AppState) -> Result<Arc<dyn SymbolControl>, ApiError> {
    state.visitors.check_change(request.headers())?;
    state.symbol_control.clone().ok_or(ApiError::SymbolsFixed)
}

fn read(text: &[u8]) -> Result<FollowSymbols, ApiError> {
    let object = body::object(text, &["symbols", "feed"])?;
    let fields = Fields(&object);
    let symbols = body::texts(fields, "symbols")?;
    let wanted = FollowSymbols {
        symbols: symbols.ok_or_else(|| body::fault(Fields::missing("symbols", "a list of names")))?,
        feed: fields.text("feed").map_err(body::fault)?.map(str::to_owned),
    };
    check_count(&wanted.symbols)?;
    match wanted.symbols.iter().find(|name| !is_symbol_name(name.as_bytes())) {
        Some(wrong) => Err(ApiError::parameter("symbols", SymbolError::malformed(wrong).to_string())),
        None => Ok(wanted),
    }
}

fn check_count(symbols: &[String]) -> Result<(), ApiError> {
    match symbols.len() {
        0 => Err(ApiError::parameter("symbols", "`symbols` names none")),
        1..=SYMBOLS_MAX => Ok(()),
        _ => Err(ApiError::parameter("symbols", format!("`symbols` has more than {SYMBOLS_MAX} symbols"))),
    }
}

/// Says why symbols were refused, the first few of them.
fn in_words(refused: &[RefusedSymbol]) -> String {
    const SAID_MAX: usize = 5;
    let said: Vec<&str> = refused.iter().take(SAID_MAX).map(|one| one.detail.as_str()).collect();
    let rest = refused.len().saturating_sub(SAID_MAX);
    let more = if rest > 0 { format!("; and {rest} more") } else { String::new() };
    format!("{}{more}", said.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_read_or_the_field_at_fault_named() {
        let read = |text: &str| read(text.as_bytes());
        let wanted = read(r#"{"symbols": ["AAPL"], "feed": "stocks"}"#).expect("it is right");
        assert_eq!((wanted.symbols, wanted.feed.as_deref()), (vec!["AAPL".to_owned()], Some("stocks")));
        let many = format!(r#"{{"symbols": [{}"A"]}}"#, r#""A","#.repeat(SYMBOLS_MAX));
        for (text, param) in [
            ("", "body"),
            ("[]", "body"),
            ("{", "body"),
            (r#"{"symbols": ["A"]} x"#, "body"),
            (r#"{"symbols": ["A"], "sort": 1}"#, "body"),
            ("{}", "symbols"),
            (r#"{"symbols": []}"#, "symbols"),
            (r#"{"symbols": {"A": 1}}"#, "symbols"),
            (r#"{"symbols": [1]}"#, "symbols"),
            (r#"{"symbols": ["AAPL", "a b"]}"#, "symbols"),
            (&many, "symbols"),
            (r#"{"symbols": ["A"], "feed": 1}"#, "feed"),
        ] {
            let problem = read(text).expect_err(text).problem();
            assert_eq!(
                (problem.status, problem.param.as_deref()),
                (422, Some(param)),
                "{text}: {}",
                problem.detail
            );
        }
    }
}
