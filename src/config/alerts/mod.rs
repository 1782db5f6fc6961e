//! Section `[alerts]`: who is told of anomalies, over which channels, and how long each message is tried.
//!
//! Promises: the defaults tell nobody; no address that may hold a key, no password and no header is ever printed. A template,
//! an address, a secret or a route that cannot be used is a fault of the configuration and not of the first alert. Faults
//! repeat nothing of a secret.

mod channels;
mod routes;
mod rules;

pub use channels::{AlertsAlertmanager, AlertsEmail, AlertsSlack, AlertsWebhook};
pub use routes::AlertsRoute;
pub use rules::AlertsRule;

use super::text::span;
use crate::models::alerts::settings::{AlertSettings, SPAN_MAX};
use crate::models::rules::{KeyFault, RuleSet};
use crate::models::time::Width;
use crate::secret::Secret;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// The longest time for one try. A sender takes four messages under a lease of five minutes, and tries each over at most four
/// channels.
const TIMEOUT_MAX: Duration = Duration::from_secs(15);

/// Section `alerts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alerts {
    /// Whether anybody is told of anything.
    pub enabled: bool,
    /// How long after an alert of a symbol and type no other one of both is sent.
    #[serde(with = "span")]
    pub cooldown: Duration,
    /// How long the first alert of a group waits for others of its kind.
    #[serde(with = "span")]
    pub group_wait: Duration,
    /// How long after a group its next one goes out at the earliest.
    #[serde(with = "span")]
    pub group_interval: Duration,
    /// How long after an outage of its feed nothing is sent of a symbol's prices.
    #[serde(with = "span")]
    pub feed_settle: Duration,
    /// Nothing is sent of a spike that becomes known later than this after it happened.
    #[serde(with = "span")]
    pub max_age: Duration,
    /// How long a spike, which has no end by itself, stays open.
    #[serde(with = "span")]
    pub open_for: Duration,
    /// Incidents that are kept open at one time.
    pub max_open: NonZeroUsize,
    /// A message that no channel took for so long is given up.
    #[serde(with = "span")]
    pub outbox_age: Duration,
    /// How long incidents that are closed, and messages that are sent, are kept.
    #[serde(with = "span")]
    pub keep: Duration,
    /// A channel that takes longer has failed.
    #[serde(with = "span")]
    pub timeout: Duration,
    /// Longest pause before the first new try of a notification that was not taken.
    #[serde(with = "span")]
    pub retry_delay: Duration,
    /// Longest pause before any.
    #[serde(with = "span")]
    pub retry_max_delay: Duration,
    /// Failures in a row after which a channel is left alone for `breaker_open`; 0 is never.
    pub breaker_failures: u32,
    /// How long it is left alone before the next try.
    #[serde(with = "span")]
    pub breaker_open: Duration,
    /// Failed tries of a notification after which it goes to the route's `fallback`. What cannot get better goes at once.
    pub fallback_after: u32,
    /// Who is told of what; where there is none, every channel of everything.
    pub routes: Vec<AlertsRoute>,
    /// Rules of the user's own.
    pub rules: Vec<AlertsRule>,
    /// Slack.
    pub slack: AlertsSlack,
    /// E-mail.
    pub email: AlertsEmail,
    /// An address of your own.
    pub webhook: AlertsWebhook,
    /// Prometheus Alertmanager.
    pub alertmanager: AlertsAlertmanager,
    /// A dead man's switch.
    pub heartbeat: AlertsHeartbeat,
}

/// Section `alerts.heartbeat`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertsHeartbeat {
    /// The address to ping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Secret>,
    /// A file that holds it; `url` wins over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_file: Option<PathBuf>,
    /// The pause between two pings.
    #[serde(with = "span")]
    pub every: Duration,
    /// Certificates to trust besides the public ones, as PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

impl Default for AlertsHeartbeat {
    fn default() -> Self {
        AlertsHeartbeat { url: None, url_file: None, every: Duration::from_mins(1), ca_file: None }
    }
}

impl Default for Alerts {
    fn default() -> Self {
        let policy = AlertSettings::default();
        let span = |nanos: i64| Duration::from_nanos(nanos.unsigned_abs());
        Alerts {
            enabled: true,
            cooldown: span(policy.cooldown),
            group_wait: span(policy.group_wait),
            group_interval: span(policy.group_interval),
            feed_settle: span(policy.feed_settle),
            max_age: span(policy.age_max),
            open_for: span(policy.open_for),
            max_open: NonZeroUsize::new(policy.incidents_max).expect("not 0"),
            outbox_age: Duration::from_hours(24),
            keep: Duration::from_hours(90 * 24),
            timeout: Duration::from_secs(10),
            retry_delay: Duration::from_secs(2),
            retry_max_delay: Duration::from_mins(5),
            breaker_failures: 5,
            breaker_open: Duration::from_mins(1),
            fallback_after: 3,
            routes: Vec::new(),
            rules: Vec::new(),
            slack: AlertsSlack::default(),
            email: AlertsEmail::default(),
            webhook: AlertsWebhook::default(),
            alertmanager: AlertsAlertmanager::default(),
            heartbeat: AlertsHeartbeat::default(),
        }
    }
}

impl Alerts {
    /// Returns the names of the channels that are used.
    #[must_use]
    pub fn channels(&self) -> Vec<&'static str> {
        let channels = [
            ("slack", self.slack.is_enabled()),
            ("email", self.email.is_enabled()),
            ("webhook", self.webhook.is_enabled()),
            ("alertmanager", self.alertmanager.is_enabled()),
        ];
        channels.into_iter().filter(|(_, is_enabled)| *is_enabled).map(|(name, _)| name).collect()
    }

    /// Returns the rules that are judged.
    #[must_use]
    pub fn rule_set(&self) -> RuleSet {
        rules::rule_set(&self.rules)
    }

    /// Returns the faults of rules; `widths` are those of the windows, `usual` is judged where a rule names none.
    pub(super) fn rule_faults(&self, widths: &[Width], usual: Width) -> Vec<(&'static str, String)> {
        let set = self.rule_set();
        let say = |(at, fault): (usize, KeyFault)| {
            let KeyFault { key, reason, place } = fault;
            let name = set.get(at).map(|rule| rule.name.as_str()).unwrap_or_default();
            let shown = place.zip(set.get(at)).map(|(place, rule)| place.shown_in(&rule.when));
            let shown = shown.map(|shown| format!("\n{shown}")).unwrap_or_default();
            ("alerts.rules", format!("[{at}] `{name}`: `{key}`: {reason}{shown}"))
        };
        set.faults(widths, usual).into_iter().map(say).collect()
    }

    /// Returns every fault but those of rules: its key, and what is wrong.
    pub(super) fn faults(&self) -> Vec<(&'static str, String)> {
        let spans = [
            ("alerts.open_for", self.open_for),
            ("alerts.max_age", self.max_age),
            ("alerts.outbox_age", self.outbox_age),
            ("alerts.timeout", self.timeout),
            ("alerts.retry_delay", self.retry_delay),
            ("alerts.breaker_open", self.breaker_open),
            ("alerts.heartbeat.every", self.heartbeat.every),
        ];
        let zeros = spans.into_iter().filter(|(_, span)| span.is_zero()).map(|(key, _)| key);
        let zeros = zeros.chain((self.fallback_after == 0).then_some("alerts.fallback_after"));
        let mut found: Vec<_> = zeros.map(|key| (key, "must be more than 0".to_owned())).collect();
        let limited = [
            ("alerts.cooldown", self.cooldown),
            ("alerts.group_wait", self.group_wait),
            ("alerts.group_interval", self.group_interval),
            ("alerts.feed_settle", self.feed_settle),
            ("alerts.max_age", self.max_age),
            ("alerts.open_for", self.open_for),
        ];
        let longest = Duration::from_nanos(SPAN_MAX.unsigned_abs());
        let too_long = limited.into_iter().filter(|(_, span)| *span > longest);
        found.extend(too_long.map(|(key, _)| (key, "must be at most 31d".to_owned())));
        if self.timeout > TIMEOUT_MAX {
            found.push(("alerts.timeout", format!("must be at most {}s", TIMEOUT_MAX.as_secs())));
        }
        if self.keep < self.open_for.max(self.outbox_age) {
            let reason = "must be at least `alerts.open_for` and `alerts.outbox_age`";
            found.push(("alerts.keep", reason.to_owned()));
        }
        if self.retry_max_delay < self.retry_delay {
            found.push(("alerts.retry_max_delay", "must be at least `alerts.retry_delay`".to_owned()));
        }
        found.extend(self.slack.faults());
        found.extend(self.email.faults());
        found.extend(self.webhook.faults());
        found.extend(self.alertmanager.faults());
        let heartbeat = self.heartbeat.url.as_ref().and_then(|url| http_url(url).err());
        found.extend(heartbeat.map(|reason| ("alerts.heartbeat.url", reason.to_owned())));
        found.extend(routes::faults(&self.routes, &self.channels()));
        found
    }
}

/// Reads an address of HTTP.
///
/// # Errors
/// What is wrong with it, without repeating it.
pub(crate) fn http_url(text: &Secret) -> Result<Url, &'static str> {
    let url = Url::parse(text.expose()).map_err(|_| "is no address such as `https://host/path`")?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err("must begin with `http://` or `https://` and name a host");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::sinks::Enabled;
    use std::collections::BTreeMap;

    fn secret(text: &str) -> Option<Secret> {
        Some(Secret::new(text.to_owned()))
    }

    #[test]
    fn a_channel_is_used_once_it_is_known_how_to_reach_somebody() {
        let slack = AlertsSlack { webhook_url: secret("https://h/x"), ..AlertsSlack::default() };
        assert!(slack.is_enabled() && !AlertsSlack { enabled: Enabled::No, ..slack }.is_enabled());
        let email = AlertsEmail { smtp_url: secret("smtp://h"), ..AlertsEmail::default() };
        assert!(!email.is_enabled(), "nobody would get it");
        assert!(AlertsEmail { to: vec!["a@b.example".to_owned()], ..email }.is_enabled());
    }

    #[test]
    fn each_bad_value_is_found_under_its_key_and_no_secret_is_repeated() {
        type Change = fn(&mut Alerts);
        let table: [(&str, Change); 20] = [
            ("alerts.timeout", |a| a.timeout = Duration::ZERO),
            ("alerts.timeout", |a| a.timeout = Duration::from_secs(16)),
            ("alerts.fallback_after", |a| a.fallback_after = 0),
            ("alerts.cooldown", |a| a.cooldown = Duration::from_hours(32 * 24)),
            ("alerts.keep", |a| a.keep = Duration::from_hours(1)),
            ("alerts.heartbeat.url", |a| a.heartbeat.url = secret("ping.example/hunter2")),
            ("alerts.heartbeat.every", |a| a.heartbeat.every = Duration::ZERO),
            ("alerts.routes", |a| {
                a.routes = vec![AlertsRoute { channels: vec!["slack".to_owned()], ..AlertsRoute::default() }];
            }),
            ("alerts.retry_max_delay", |a| a.retry_max_delay = Duration::from_millis(1)),
            ("alerts.slack.enabled", |a| a.slack.enabled = Enabled::Yes),
            ("alerts.slack.webhook_url", |a| a.slack.webhook_url = secret("hooks.example/hunter2")),
            ("alerts.email.smtp_url", |a| a.email.smtp_url = secret("smtp://h?hunter2")),
            ("alerts.email.from", |a| a.email.from = "nobody".to_owned()),
            ("alerts.email.to", |a| a.email.to = vec!["a@b.example".to_owned(), "nobody".to_owned()]),
            ("alerts.webhook.url", |a| a.webhook.url = secret("ftp://h/hunter2")),
            ("alerts.webhook.secret", |a| a.webhook.secret = secret("whsec_hunter2!")),
            ("alerts.webhook.body", |a| a.webhook.body = "{{ titel }}".to_owned()),
            ("alerts.webhook.headers", |a| {
                a.webhook.headers = BTreeMap::from([("x".to_owned(), Secret::new("hunter2\n".to_owned()))]);
            }),
            ("alerts.alertmanager.url", |a| a.alertmanager.url = secret("http://")),
            ("alerts.alertmanager.open_for", |a| a.alertmanager.open_for = Duration::ZERO),
        ];
        assert_eq!(Alerts::default().faults(), []);
        for (key, change) in table {
            let mut alerts = Alerts::default();
            change(&mut alerts);
            let found = alerts.faults();
            assert_eq!(found.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [key]);
            assert!(!found[0].1.contains("hunter2"), "{found:?}");
        }
    }
}
