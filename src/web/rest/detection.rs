//! `detection`: what is looked for now, and how it is changed while the service runs.
//!
//! Promises: a change has the keys and the faults of the section `detection` of the configuration, holds from one position of
//! the log on, and is answered once the log holds it; a page from elsewhere changes nothing. What the system itself is watched
//! for is read at the start and not changed here. On failure: an answer that names the key, and nothing has changed.

use super::body;
use super::param_docs::SymbolName;
use crate::actors::looked_for::StatedAt;
use crate::models::detection::settings::DetectionSettings;
use crate::models::detection::statement::{self, StatedBy, Statement};
use crate::web::answer::error::ApiError;
use crate::web::answer::params::Params;
use crate::web::answer::reply::Reply;
use crate::web::answer::responses::{ChangeFailures, Failures};
use crate::web::detection_control::{DetectionChange, DetectionControl};
use crate::web::state::AppState;
use crate::wire::{DetectionKeys, DetectionObject, Digits, SymbolDetection, Time};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use std::sync::Arc;

/// Longest body in bytes: a thousand symbols of the longest names are 35 KB.
const BODY_MAX: usize = 64 << 10;

/// Keys that a change may have.
const KEYS: [&str; 7] = ["enabled", "window", "price_spike", "volume_spike", "rsi", "severity", "overrides"];

/// Returns what is looked for.
///
/// With `symbol`, also what holds for that symbol.
#[utoipa::path(
    get,
    path = "/api/v1/detection",
    tag = "signals",
    params(("symbol" = Option<SymbolName>, Query, description = "A symbol or an alias of it")),
    responses((status = 200, description = "What is looked for", body = DetectionObject), Failures),
)]
pub async fn detection(request: HttpRequest, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    let params = Params::of(&request, &["symbol"])?;
    let now = Now::of(&state, state.looked_for.now());
    let mut answer = now.object();
    if let Some(symbol) = params.get("symbol") {
        let (_, spec) = state.resolve(symbol)?;
        let settings = now.settings();
        let is_about = |symbols: &[String]| symbols.is_empty() || symbols.contains(&spec.name);
        let rules = settings.rules.iter().filter(|rule| is_about(&rule.symbols));
        let rules = rules.map(|rule| rule.name.clone()).collect();
        answer.symbol = Some(SymbolDetection::new(spec.name.clone(), settings.of(&spec), rules));
    }
    Ok(Reply::json(&answer).send_volatile(&request))
}

/// Changes what is looked for, from now on.
///
/// What is left out stays, and `null` goes back to the configuration. The answer comes once the log holds the change. It is kept
/// there over a restart; what the configuration changes in between wins over it.
#[utoipa::path(
    patch,
    path = "/api/v1/detection",
    tag = "signals",
    request_body = DetectionKeys,
    responses(
        (status = 200, description = "What is looked for from now on", body = DetectionObject),
        ChangeFailures,
        Failures,
    ),
)]
pub async fn change(
    request: HttpRequest,
    state: Data<AppState>,
    body: Payload,
) -> Result<HttpResponse, ApiError> {
    let control = control(&request, &state)?;
    Params::of(&request, &[])?;
    let change = body::object(&body::read(&request, body, BODY_MAX).await?, &KEYS)?;
    let stated = control.change(DetectionChange::Merge(change)).await?;
    Ok(Reply::json(&Now::of(&state, Some(stated)).object()).send_volatile(&request))
}

/// Goes back to what the configuration says.
///
/// Rules that were made over the API stay.
#[utoipa::path(
    delete,
    path = "/api/v1/detection",
    tag = "signals",
    responses(
        (status = 200, description = "What is looked for from now on", body = DetectionObject),
        ChangeFailures,
        Failures,
    ),
)]
pub async fn reset(request: HttpRequest, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    let control = control(&request, &state)?;
    Params::of(&request, &[])?;
    let stated = control.change(DetectionChange::Reset).await?;
    Ok(Reply::json(&Now::of(&state, Some(stated)).object()).send_volatile(&request))
}

/// Returns who changes what is looked for, where this request may.
///
/// # Errors
/// When it may not, or nothing is added to the data.
pub(super) fn control(
    request: &HttpRequest,
    state: &AppState,
) -> Result<Arc<dyn DetectionControl>, ApiError> {
    state.visitors.check_change(request.headers())?;
    state.detection_control.clone().ok_or(ApiError::DetectionFixed)
}

/// What is looked for now.
pub(super) struct Now {
    /// Where the log says it.
    stated: Option<StatedAt>,
    statement: Arc<Statement>,
}

impl Now {
    /// Reads what the log says; where it says nothing that can be read, the configuration holds.
    pub(super) fn of(state: &AppState, stated: Option<StatedAt>) -> Now {
        let read = stated.and_then(|stated| Some((stated, statement::read(stated.document).ok()?)));
        match read {
            Some((stated, statement)) => Now { stated: Some(stated), statement },
            None => {
                let nothing = || {
                    let mut nothing = DetectionSettings::default();
                    nothing.thresholds.enabled = false;
                    nothing
                };
                let config = state.core.detection.clone().unwrap_or_else(nothing);
                Now { stated: None, statement: Arc::new(Statement::of_config(&config)) }
            }
        }
    }

    /// Returns what is looked for.
    pub(super) fn settings(&self) -> &DetectionSettings {
        &self.statement.settings
    }

    fn object(&self) -> DetectionObject {
        let Statement { by, settings, .. } = &*self.statement;
        DetectionObject {
            by: if self.stated.is_some() { *by } else { StatedBy::Config }.as_str(),
            log_pos: self.stated.map(|stated| Digits::from(stated.pos)),
            since: self.stated.map(|stated| Time(stated.at)),
            settings: settings.clone(),
            config: self.statement.config().clone(),
            symbol: None,
        }
    }
}
