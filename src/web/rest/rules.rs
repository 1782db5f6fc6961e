//! `rules`: rules of the user's own, as they are judged now; those of the API are made and deleted here.
//!
//! Promises: as for `detection`, of which they are a part: a rule is judged from one position of the log on, and is kept there.
//! On failure: an answer that names the key, with the place in the text of the rule, and nothing has changed.

use super::body;
use super::detection::{Now, control};
use super::param_docs::RulePath;
use crate::models::rules::{Origin, Rule};
use crate::web::answer::error::ApiError;
use crate::web::answer::params::Params;
use crate::web::answer::reply::Reply;
use crate::web::answer::responses::{ChangeFailures, Failures};
use crate::web::detection_control::DetectionChange;
use crate::web::state::AppState;
use crate::wire::RuleKeys;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;

/// Longest body in bytes: a text, and a thousand symbols of the longest names, which are 35 KB.
const BODY_MAX: usize = 64 << 10;

/// Keys of a rule that a request may have.
const KEYS: [&str; 7] = ["name", "when", "window", "symbols", "for", "fire", "severity"];

/// The last part of the path at which rules are tried.
const TRIAL: &str = "test";

/// Rules that are judged.
#[utoipa::path(
    get,
    path = "/api/v1/rules",
    tag = "signals",
    responses((status = 200, description = "Rules, those of the configuration first", body = Vec<RuleKeys>), Failures),
)]
pub async fn rules(request: HttpRequest, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    Params::of(&request, &[])?;
    let now = Now::of(&state, state.looked_for.now());
    Ok(Reply::json(&now.settings().rules).send_volatile(&request))
}

/// Makes a rule, which is judged from now on.
#[utoipa::path(
    post,
    path = "/api/v1/rules",
    tag = "signals",
    request_body = RuleKeys,
    responses((status = 200, description = "The rule", body = RuleKeys), ChangeFailures, Failures),
)]
pub async fn add(
    request: HttpRequest,
    state: Data<AppState>,
    body: Payload,
) -> Result<HttpResponse, ApiError> {
    let control = control(&request, &state)?;
    Params::of(&request, &[])?;
    let mut rule = read(&body::read(&request, body, BODY_MAX).await?)?;
    for symbol in &mut rule.symbols {
        // One that is unknown now may come.
        if let Ok((_, spec)) = state.resolve(symbol) {
            symbol.clone_from(&spec.name);
        }
    }
    control.change(DetectionChange::AddRule(rule.clone())).await?;
    Ok(Reply::json(&rule).send_volatile(&request))
}

/// Deletes a rule: what it found and goes on ends.
#[utoipa::path(
    delete,
    path = "/api/v1/rules/{name}",
    tag = "signals",
    params(RulePath),
    responses((status = 200, description = "The rule, which is judged no more", body = RuleKeys), ChangeFailures, Failures),
)]
pub async fn remove(
    request: HttpRequest,
    state: Data<AppState>,
    name: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let control = control(&request, &state)?;
    Params::of(&request, &[])?;
    let now = Now::of(&state, state.looked_for.now());
    let known = now.settings().rules.iter().find(|rule| rule.name == *name).cloned();
    control.change(DetectionChange::RemoveRule(name.into_inner())).await?;
    let rule = known.ok_or_else(|| ApiError::Unavailable("it was made and deleted just now".to_owned()))?;
    Ok(Reply::json(&rule).send_volatile(&request))
}

fn read(text: &[u8]) -> Result<Rule, ApiError> {
    let object = body::object(text, &KEYS)?;
    // What is `null` counts as absent, as everywhere.
    let given = object.into_iter().filter(|(_, value)| !value.is_null()).collect();
    let rule: Rule = serde_path_to_error::deserialize(Value::Object(given)).map_err(|error| {
        let field = match error.path().to_string() {
            path if path == "." => "body".to_owned(),
            path => path,
        };
        let detail = format!("`{field}`: {}", error.inner());
        ApiError::parameter(field, detail)
    })?;
    if rule.name == TRIAL {
        return Err(ApiError::parameter(
            "name",
            format!("`{TRIAL}` names no rule: a rule is tried at its path"),
        ));
    }
    Ok(Rule { origin: Origin::Api, ..rule })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_read_or_the_key_at_fault_named() {
        let rule =
            read(br#"{"name": "a", "when": "price > 1", "window": null, "for": "5min"}"#).expect("right");
        assert_eq!((rule.name.as_str(), rule.holds_for, rule.origin), ("a", 300_000_000_000, Origin::Api));
        for (text, param) in [
            (r#"{"name": "a"}"#, "body"),
            (r#"{"name": "a", "when": "x", "origin": "config"}"#, "body"),
            (r#"{"name": "a", "when": 1}"#, "when"),
            (r#"{"name": "test", "when": "price > 1"}"#, "name"),
            (r#"{"name": "a", "when": "x", "for": "long"}"#, "for"),
            (r#"{"name": "a", "when": "x", "fire": "never"}"#, "fire"),
        ] {
            let problem = read(text.as_bytes()).expect_err(text).problem();
            assert_eq!(
                (problem.status, problem.param.as_deref()),
                (422, Some(param)),
                "{text}: {}",
                problem.detail
            );
        }
    }
}
