//! `[[alerts.rules]]`: rules of the user's own.
//!
//! Promises: the keys are those of a rule over REST, except that a configuration does not say where a rule comes from.

use crate::config::text::symbols;
use crate::models::anomaly::Severity;
use crate::models::rules::{Fire, Origin, Rule, RuleSet, text};
use crate::models::time::Width;
use serde::{Deserialize, Serialize};

/// One table of `[[alerts.rules]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertsRule {
    /// Its name, unlike those of all others.
    pub name: String,
    /// When it holds.
    pub when: String,
    /// The window whose bars are judged.
    #[serde(skip_serializing_if = "Option::is_none", with = "text::window")]
    pub window: Option<Width>,
    /// Symbols that it is about; empty for all.
    #[serde(with = "symbols")]
    pub symbols: Vec<String>,
    /// How long it must hold before it fires, in nanoseconds.
    #[serde(rename = "for", with = "text::span")]
    pub holds_for: i64,
    /// When it is judged.
    pub fire: Fire,
    /// How severe its anomalies are.
    #[serde(with = "text::severity")]
    pub severity: Severity,
}

impl Default for AlertsRule {
    fn default() -> Self {
        let Rule { name, when, window, symbols, holds_for, fire, severity, origin: _ } = Rule::default();
        AlertsRule { name, when, window, symbols, holds_for, fire, severity }
    }
}

impl AlertsRule {
    fn rule(&self) -> Rule {
        let AlertsRule { name, when, window, symbols, holds_for, fire, severity } = self.clone();
        Rule { name, when, window, symbols, holds_for, fire, severity, origin: Origin::Config }
    }
}

/// Returns the rules that are judged.
#[must_use]
pub(super) fn rule_set(rules: &[AlertsRule]) -> RuleSet {
    rules.iter().map(AlertsRule::rule).collect::<Vec<_>>().into()
}
