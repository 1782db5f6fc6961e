//! Prometheus Alertmanager, by its API: <https://prometheus.io/docs/alerting/latest/alerts_api/>.
//!
//! Each symbol of a notification is an alert of its own, so that Alertmanager routes, groups and silences by symbol; all of a
//! notification are sent together. An alert is known there by its labels, which are therefore the same from its beginning to
//! its end: `alertname` (the type), `symbol` and `severity`.
//!
//! Promises: the end of an alert ends it at every severity that it may have begun with; one whose end never comes ends by
//! itself after [`AlertmanagerSettings::open_for`]. Sending a notification twice changes nothing. On failure: as
//! [`super::http`] reads the status.

use super::http::Poster;
use super::text::headline;
use crate::clock::Clock;
use crate::models::anomaly::Severity;
use crate::models::notification::{Channel, Notification, NotificationKind, Receipt, SendError};
use crate::models::time::{MINUTE, Nanos};
use crate::secret::Secret;
use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use rustls::ClientConfig;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// How long a test is open: long enough to be seen.
const TEST_OPEN_FOR: Nanos = Nanos(5 * MINUTE);

/// Where Alertmanager is.
#[derive(Clone, Debug)]
pub struct AlertmanagerSettings {
    /// Its address, with a path where it stands behind a proxy; a user and a password in it are sent as Basic.
    pub url: Url,
    /// Whom TLS trusts.
    pub tls: Arc<ClientConfig>,
    /// How long a post may take.
    pub timeout: Duration,
    /// How long an alert stays open there when nothing more is said of it.
    pub open_for: Duration,
}

/// Posts to one Alertmanager, or to a cluster by any of its members.
pub struct AlertmanagerChannel {
    poster: Poster,
    url: Url,
    open_for: Nanos,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct PostedAlert<'a> {
    labels: BTreeMap<&'static str, &'a str>,
    annotations: BTreeMap<String, String>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL", skip_serializing_if = "Option::is_none")]
    generator_url: Option<&'a str>,
}

impl AlertmanagerChannel {
    /// Makes the channel. Nothing is connected before it is needed.
    #[must_use]
    pub fn new(settings: &AlertmanagerSettings, clock: Arc<dyn Clock>) -> AlertmanagerChannel {
        let mut url = settings.url.clone();
        url.set_path(&format!("{}/api/v2/alerts", settings.url.path().trim_end_matches('/')));
        let password = url.password().map(|password| Secret::new(password.to_owned()));
        let open_for = i64::try_from(settings.open_for.as_nanos()).unwrap_or(i64::MAX);
        AlertmanagerChannel {
            poster: Poster::new(&settings.tls, settings.timeout, &password),
            url,
            open_for: Nanos(open_for),
            clock,
        }
    }
}

#[async_trait]
impl Channel for AlertmanagerChannel {
    fn name(&self) -> &'static str {
        "alertmanager"
    }

    async fn send(&self, notification: &Notification) -> Result<Receipt, SendError> {
        let alerts = alerts(notification, self.open_for, self.clock.now());
        let body =
            serde_json::to_vec(&alerts).map_err(|error| SendError::Refused { cause: error.to_string() })?;
        let json = HeaderValue::from_static("application/json");
        self.poster.post(&self.url, HeaderMap::from_iter([(CONTENT_TYPE, json)]), body).await?.judge()
    }
}

/// Returns the alerts of a notification that is sent now.
fn alerts(notification: &Notification, open_for: Nanos, now: Nanos) -> Vec<PostedAlert<'_>> {
    let is_end = notification.kind.is_end();
    // Alertmanager does not say which severity it knows: one that it never heard of ends without a word to anybody.
    let severities: &[Severity] =
        if is_end { &Severity::ALL } else { std::slice::from_ref(&notification.severity) };
    let open_for = if notification.kind == NotificationKind::Test { TEST_OPEN_FOR } else { open_for };
    // What began long ago by its data is open from now on.
    let ends_at = if is_end { notification.time } else { notification.time.max(now).plus(open_for.0) };
    let symbols: Vec<Option<&str>> = match &notification.symbols[..] {
        [] => vec![None],
        symbols => symbols.iter().map(|symbol| Some(symbol.as_str())).collect(),
    };
    let mut alerts = Vec::with_capacity(symbols.len() * severities.len());
    for symbol in symbols {
        for severity in severities {
            let mut labels = BTreeMap::from([
                ("alertname", notification.alert_type.as_str()),
                ("severity", severity.as_str()),
                ("job", "tickwire"),
            ]);
            labels.extend(symbol.map(|symbol| ("symbol", symbol)));
            alerts.push(PostedAlert {
                labels,
                annotations: annotations(notification),
                starts_at: notification.began.min(notification.time).to_rfc3339(),
                ends_at: ends_at.to_rfc3339(),
                generator_url: notification.link.as_deref(),
            });
        }
    }
    alerts
}

fn annotations(notification: &Notification) -> BTreeMap<String, String> {
    let facts = notification.facts.iter().map(|fact| (name_of(&fact.label), fact.text.clone()));
    let own = [
        ("summary", headline(notification)),
        ("description", notification.text.clone()),
        ("state", notification.kind.as_str().to_owned()),
        ("decision", notification.id.clone()),
    ];
    // Ours win over a fact of the same name.
    let mut all: BTreeMap<String, String> = facts.collect();
    all.extend(own.map(|(name, text)| (name.to_owned(), text)));
    all.retain(|_, text| !text.is_empty());
    all
}

/// Makes a name of annotations out of a label: letters, digits and `_`, with no digit first.
fn name_of(label: &str) -> String {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name: String = label.to_lowercase().chars().map(|c| if is_allowed(c) { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') { name } else { format!("_{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::channels::sample::sample;
    use crate::models::time::HOUR;

    #[test]
    fn each_symbol_is_an_alert_with_labels_that_stay() {
        let notification = Notification {
            kind: NotificationKind::Fired,
            severity: Severity::High,
            alert_type: "price_spike".to_owned(),
            symbols: vec!["AAPL".to_owned(), "BTC-USD".to_owned()],
            ..sample(Some(Nanos(0)), Some("https://desk.example/".to_owned()))
        };
        let fired = alerts(&notification, Nanos(HOUR), Nanos(0));
        assert_eq!(fired.len(), 2);
        assert_eq!(fired[1].labels["symbol"], "BTC-USD");
        assert_eq!(
            (fired[0].starts_at.as_str(), fired[0].ends_at.as_str()),
            ("1970-01-01T00:00:00Z", "1970-01-01T01:00:00Z")
        );
        assert_eq!(fired[0].annotations["mean_of_20_bars"], "200.60 USD");
        let json = serde_json::to_value(&fired[0]).expect("plain data");
        assert_eq!(json["generatorURL"], "https://desk.example/");

        let end =
            Notification { kind: NotificationKind::Resolved, time: Nanos(MINUTE), ..notification.clone() };
        let ended = alerts(&end, Nanos(HOUR), Nanos(HOUR));
        assert_eq!(ended.len(), 8);
        assert!(ended.iter().any(|alert| alert.labels == fired[0].labels), "what began ends");
        assert!(ended.iter().all(|alert| alert.ends_at == "1970-01-01T00:01:00Z"));
    }

    #[test]
    fn what_is_about_no_symbol_is_an_alert_too() {
        let notification = Notification { symbols: Vec::new(), ..sample(None, None) };
        let posted = alerts(&notification, Nanos(HOUR), Nanos(0));
        assert_eq!(posted.len(), 1);
        assert!(!posted[0].labels.contains_key("symbol"));
    }

    #[test]
    fn labels_of_facts_become_names() {
        for (label, name) in
            [("Off the mean", "off_the_mean"), ("p99 (ms)", "p99__ms_"), ("24h", "_24h"), ("", "_")]
        {
            assert_eq!(name_of(label), name);
        }
    }
}
