//! The text of a message: one incident, or several that go out together.
//!
//! Promises: the most severe come first; what is not listed is counted. Its length is bounded by
//! [`lines_max`](super::settings::AlertSettings::lines_max), besides the list of symbols, which holds each once.

use super::groups::GroupKey;
use super::incident::Incident;
use super::settings::AlertSettings;
use crate::models::anomaly::RULE;
use crate::models::conditions::ALL_SYMBOLS;
use crate::models::notification::{Fact, Notification, NotificationKind};
use crate::models::time::Nanos;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Makes the message about incidents that have a key in common. Without members it says nothing.
#[must_use]
pub fn notification(
    key: &GroupKey,
    members: &[&Incident],
    id: &str,
    settings: &AlertSettings,
    now: Nanos,
) -> Notification {
    let kind = key.kind();
    let mut members: Vec<&Incident> = members.to_vec();
    members.sort_by(|a, b| {
        (Reverse(a.severity), &a.symbol, &a.id).cmp(&(Reverse(b.severity), &b.symbol, &b.id))
    });
    let symbols: BTreeSet<&str> = members.iter().filter_map(|member| symbol(member)).collect();
    let began = members.iter().map(|member| member.time).min().unwrap_or(now);
    let newest = members.iter().map(|member| member.time).max().unwrap_or(now);
    let only = match members.as_slice() {
        [only] => Some(*only),
        _ => None,
    };
    let rule = only.and_then(Incident::rule).map(|name| format!("{RULE} {name}"));
    let what = rule.unwrap_or_else(|| key.anomaly_type.replace('_', " "));
    Notification {
        id: id.to_owned(),
        kind,
        severity: members.first().map(|first| first.severity).unwrap_or_default(),
        alert_type: key.anomaly_type.clone(),
        title: title(what, &symbols, members.len(), settings.is_simulated),
        text: match only {
            Some(only) => only.description.clone(),
            None => list(&members, settings.lines_max),
        },
        facts: only.map_or_else(|| counts(&members), facts),
        link: link(settings.public_url.as_deref(), &symbols),
        symbols: symbols.into_iter().map(str::to_owned).collect(),
        time: if kind == NotificationKind::Fired { newest } else { now },
        began,
        bars: Vec::new(),
    }
}

/// Returns the symbol that an incident is about, where it is about one.
fn symbol(incident: &Incident) -> Option<&str> {
    (incident.symbol != ALL_SYMBOLS).then_some(incident.symbol.as_str())
}

/// Returns one line: what happened to whom. Channels say in front of it what has become of it.
fn title(what: String, symbols: &BTreeSet<&str>, num_members: usize, is_simulated: bool) -> String {
    // Nobody acts on what is made up, taking it for a market.
    let kind_of_data = if is_simulated { "SIMULATED " } else { "" };
    let happened = match symbols.first() {
        None if num_members == 1 => what,
        None => format!("{what}, {num_members} times"),
        Some(symbol) if symbols.len() == 1 && num_members == 1 => format!("{symbol}: {what}"),
        Some(symbol) if symbols.len() == 1 => format!("{symbol}: {what}, {num_members} times"),
        Some(_) => format!("{} symbols: {what}", symbols.len()),
    };
    format!("{kind_of_data}{happened}")
}

fn list(members: &[&Incident], lines_max: usize) -> String {
    let line = |member: &&Incident| {
        let (severity, description) = (member.severity.as_str(), &member.description);
        match symbol(member) {
            Some(symbol) => format!("{symbol} ({severity}): {description}"),
            None => format!("{severity}: {description}"),
        }
    };
    let mut lines: Vec<String> = members.iter().take(lines_max).map(line).collect();
    let num_others = members.len() - lines.len();
    if num_others > 0 {
        lines.push(format!("and {num_others} more"));
    }
    lines.join("\n")
}

fn facts(incident: &Incident) -> Vec<Fact> {
    let value = |label: &str, value: Option<f64>| value.map(|value| Fact::new(label, short(value)));
    let values = [
        value("Value", incident.current_value),
        value("Usual", incident.expected_value),
        value("Threshold", incident.threshold),
    ];
    values.into_iter().flatten().chain([Fact::new("Severity", incident.severity.as_str())]).collect()
}

/// Says how many there are of each severity.
fn counts(members: &[&Incident]) -> Vec<Fact> {
    let mut counts: Vec<Fact> = Vec::new();
    // They are sorted by severity.
    for same in members.chunk_by(|a, b| a.severity == b.severity) {
        counts.extend(same.first().map(|first| Fact::new(first.severity.as_str(), same.len().to_string())));
    }
    counts
}

/// Writes a number as people read it: at most six decimals, without zeros at the end.
fn short(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn link(public_url: Option<&str>, symbols: &BTreeSet<&str>) -> Option<String> {
    let base = public_url?.trim_end_matches('/');
    Some(match symbols.first() {
        Some(symbol) if symbols.len() == 1 => format!("{base}/#/{symbol}"),
        _ => format!("{base}/"),
    })
}
