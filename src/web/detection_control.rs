//! What the API asks of whoever writes the log: to look for something else from now on.
//!
//! Promises: a change holds for every symbol from one position of the log on, and is answered once the log holds it. On
//! failure: [`DetectionError`] says whether another try can help. Unless it says so nothing has changed.

use crate::actors::looked_for::StatedAt;
use crate::models::rules::Rule;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

/// Changes what is looked for.
pub trait DetectionControl: Send + Sync {
    /// Makes a change. Returns what is looked for from then on; where the change changes nothing, that is what was before.
    fn change(&self, change: DetectionChange) -> BoxFuture<'static, Result<StatedAt, DetectionError>>;
}

/// A change.
#[derive(Clone, Debug, PartialEq)]
pub enum DetectionChange {
    /// Keys of the settings get these values; `null` goes back to the configuration's.
    Merge(Map<String, Value>),
    /// Thresholds go back to the configuration's.
    Reset,
    /// A rule is judged besides.
    AddRule(Rule),
    /// A rule, by its name, is judged no more.
    RemoveRule(String),
}

/// Why a change was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DetectionError {
    /// A field of the request cannot be used.
    #[error("{detail}")]
    Field {
        /// The field, with dots between the names of objects.
        field: String,
        /// What is wrong with it.
        detail: String,
    },
    /// There is a rule of this name.
    #[error("there is a rule `{0}` already: delete it first, or take another name")]
    RuleExists(String),
    /// The rule is one of the configuration.
    #[error("the rule `{0}` is one of the configuration: take it out of `[[alerts.rules]]` there")]
    RuleOfConfig(String),
    /// There is no such rule.
    #[error("there is no rule `{0}`")]
    UnknownRule(String),
    /// Another try may help.
    #[error("{0}")]
    Unavailable(String),
}
