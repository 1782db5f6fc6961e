//! `alerts/incidents`: anomalies as people are told of them, and that somebody sees to one.
//!
//! Promises: newest first, page by page. An acknowledgement is in the history when it is answered, and is acted on within
//! about a second by whichever process decides; a page from elsewhere makes none. On failure of the history: 503.

use super::body;
use super::param_docs::{self, Answers, IncidentId, PageQuery, SignalTimes};
use super::signals::{SignalsAsked, SymbolAsked, is_id, one_of, severity, word};
use crate::models::alerts::incident::IncidentState;
use crate::stores::history::alerts::{Acknowledgement, IncidentQuery};
use crate::web::answer::error::ApiError;
use crate::web::answer::params::Params;
use crate::web::answer::reply::Reply;
use crate::web::answer::responses::{Failures, NotJson, Unchanged};
use crate::web::fields::Fields;
use crate::web::state::AppState;
use crate::wire::IncidentObject;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Longest body in bytes: a thousand of the longest ids are 256 KB.
const BODY_MAX: usize = 512 << 10;

/// The parameters that it takes.
const PARAMS: [&str; 10] =
    ["symbol", "type", "severity", "state", "start_time", "end_time", "limit", "cursor", "empty", "format"];

/// Incidents that one request may name.
const IDS_MAX: usize = 1_000;

/// Incidents, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/alerts/incidents",
    tag = "signals",
    params(param_docs::AnomalyQuery, param_docs::IncidentQuery, SignalTimes, PageQuery, Answers),
    responses((status = 200, description = "Incidents", body = Vec<IncidentObject>), Unchanged, Failures),
)]
pub async fn incidents(request: HttpRequest, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    let params = Params::of(&request, &PARAMS)?;
    let asked = SignalsAsked::of(&request, &params, &state)?;
    let symbol = SymbolAsked::of(&params, &state)?;
    let query = IncidentQuery {
        symbol: symbol.name.clone(),
        anomaly_type: word(&params, "type")?,
        severity: severity(&params)?,
        state: one_of(&params, "state", &IncidentState::ALL, IncidentState::as_str)?,
        page: asked.page(),
    };
    let found = state.alerts()?.incidents(&query).await?;
    let no_data = || symbol.no_data("no such incident is there");
    asked.answer(&request, found, |incident| incident.time, IncidentObject::from, no_data)
}

/// Which incidents somebody sees to.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Acknowledge {
    /// Ids of incidents, at most 1,000.
    #[schema(
        value_type = Vec<IncidentId>,
        example = json!(["BTC-USD/price_spike/1min/1693933260000000000"]),
        min_items = 1,
        max_items = 1000,
    )]
    pub ids: Vec<String>,
    /// Who, for people.
    #[schema(example = "ann", max_length = 64, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
    pub by: Option<String>,
}

/// What became of acknowledgements.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Acknowledged {
    /// Incidents that somebody sees to now.
    #[schema(example = json!(["BTC-USD/price_spike/1min/1693933260000000000"]))]
    pub acknowledged: Vec<String>,
    /// Those that are closed: there is nothing to see to.
    #[schema(example = json!([]))]
    pub closed: Vec<String>,
    /// Those that are not known.
    #[schema(example = json!([]))]
    pub unknown: Vec<String>,
}

/// Says that somebody sees to incidents.
///
/// What has not gone out of them does not go out. The end of one that was told is told all the same.
#[utoipa::path(
    post,
    path = "/api/v1/alerts/incidents/acknowledge",
    tag = "signals",
    request_body = Acknowledge,
    responses(
        (status = 200, description = "What became of each incident", body = Acknowledged),
        NotJson,
        Failures,
    ),
)]
pub async fn acknowledge(
    request: HttpRequest,
    state: Data<AppState>,
    body: Payload,
) -> Result<HttpResponse, ApiError> {
    state.visitors.check_change(request.headers())?;
    Params::of(&request, &[])?;
    let wanted = read(&body::read(&request, body, BODY_MAX).await?)?;
    let store = state.alerts()?;
    let known = store.incidents_by_id(&wanted.ids).await?;
    let known: BTreeMap<&str, IncidentState> =
        known.iter().map(|incident| (incident.id.as_str(), incident.state)).collect();
    let mut answer = Acknowledged::default();
    for id in wanted.ids {
        match known.get(id.as_str()) {
            None => answer.unknown.push(id),
            Some(state) if state.is_closed() => answer.closed.push(id),
            Some(_) => answer.acknowledged.push(id),
        }
    }
    let (by, time) = (wanted.by.unwrap_or_default(), state.now());
    let acknowledgement = |id: &String| Acknowledgement { id: id.clone(), by: by.clone(), time };
    let acknowledgements: Vec<Acknowledgement> = answer.acknowledged.iter().map(acknowledgement).collect();
    if !acknowledgements.is_empty() {
        store.acknowledge(&acknowledgements).await?;
    }
    Ok(Reply::json(&answer).send_volatile(&request))
}

fn read(text: &[u8]) -> Result<Acknowledge, ApiError> {
    let object = body::object(text, &["ids", "by"])?;
    let fields = Fields(&object);
    let mut ids = body::texts(fields, "ids")?.unwrap_or_default();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() || ids.len() > IDS_MAX {
        return Err(ApiError::parameter("ids", format!("`ids` has 1 to {IDS_MAX} ids of incidents")));
    }
    if !ids.iter().all(|id| is_id(id)) {
        return Err(ApiError::parameter("ids", "an id has 1 to 256 visible characters of ASCII"));
    }
    Ok(Acknowledge { ids, by: body::short_text(fields, "by")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_read_or_the_field_at_fault_named() {
        let wanted = read(br#"{"ids": ["b", "a", "b"], "by": "ann"}"#).expect("it is right");
        assert_eq!((wanted.ids.join(" "), wanted.by.as_deref()), ("a b".to_owned(), Some("ann")));
        for (text, param) in [
            ("", "body"),
            ("[]", "body"),
            (r#"{"ids": ["a"], "who": "ann"}"#, "body"),
            ("{}", "ids"),
            (r#"{"ids": []}"#, "ids"),
            (r#"{"ids": ["a b"]}"#, "ids"),
            (r#"{"ids": [1]}"#, "ids"),
            (r#"{"ids": "a"}"#, "ids"),
            (r#"{"ids": ["a"], "by": 1}"#, "by"),
        ] {
            let problem = read(text.as_bytes()).expect_err(text).problem();
            assert_eq!((problem.status, problem.param.as_deref()), (422, Some(param)), "{text}");
        }
    }
}
