//! Section `[alerts]`: the channels by which people are told, and how long each is tried.
//!
//! Promises: the defaults tell nobody; no address that may hold a key, no password and no header is ever printed. A template,
//! an address or a secret that cannot be used is a fault of the configuration and not of the first alert. Faults repeat
//! nothing of a secret.

use super::sinks::Enabled;
use super::text::span;
use crate::actors::channels::email::address::SmtpAddress;
use crate::actors::channels::webhook::signature::Signer;
use crate::actors::channels::webhook::template::Template;
use crate::secret::Secret;
use lettre::message::Mailbox;
use reqwest::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// Section `alerts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alerts {
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
    /// Slack.
    pub slack: AlertsSlack,
    /// E-mail.
    pub email: AlertsEmail,
    /// An address of your own.
    pub webhook: AlertsWebhook,
    /// Prometheus Alertmanager.
    pub alertmanager: AlertsAlertmanager,
}

impl Default for Alerts {
    fn default() -> Self {
        Alerts {
            timeout: Duration::from_secs(10),
            retry_delay: Duration::from_secs(2),
            retry_max_delay: Duration::from_mins(5),
            breaker_failures: 5,
            breaker_open: Duration::from_mins(1),
            fallback_after: 3,
            slack: AlertsSlack::default(),
            email: AlertsEmail::default(),
            webhook: AlertsWebhook::default(),
            alertmanager: AlertsAlertmanager::default(),
        }
    }
}

/// Section `alerts.slack`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertsSlack {
    /// Whether Slack is told: `auto` where its address is known, `true` or `false`.
    pub enabled: Enabled,
    /// The address of an incoming webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_url: Option<Secret>,
    /// A file that holds it; `webhook_url` wins over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_url_file: Option<PathBuf>,
    /// Certificates to trust besides the public ones, as PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

/// Section `alerts.email`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertsEmail {
    /// Whether mail is sent: `auto` where server and recipients are known, `true` or `false`.
    pub enabled: Enabled,
    /// The mail server: `smtp://` requires STARTTLS, `smtps://` is TLS from the start, and only `?tls=none` is neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp_url: Option<Secret>,
    /// A file that holds it; `smtp_url` wins over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp_url_file: Option<PathBuf>,
    /// Who writes; empty: the user where that is an address, else the first recipient.
    pub from: String,
    /// To whom.
    pub to: Vec<String>,
    /// The user; wins over that of `smtp_url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password; wins over that of `smtp_url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// A file that holds it; `password` wins over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// Certificates to trust besides the public ones, as PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

/// Section `alerts.webhook`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertsWebhook {
    /// Whether it is told: `auto` where its address is known, `true` or `false`.
    pub enabled: Enabled,
    /// The address to post to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Secret>,
    /// A file that holds it; `url` wins over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_file: Option<PathBuf>,
    /// Signs the bodies, with HMAC-SHA256; not set, they are not signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// A file that holds it; `secret` wins over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// A template of the body, which is JSON; empty: the whole notification.
    pub body: String,
    /// Headers that are sent besides.
    pub headers: BTreeMap<String, Secret>,
    /// Certificates to trust besides the public ones, as PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

/// Section `alerts.alertmanager`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertsAlertmanager {
    /// Whether it is told: `auto` where its address is known, `true` or `false`.
    pub enabled: Enabled,
    /// Its address, with user and password where it asks for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Secret>,
    /// A file that holds it; `url` wins over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_file: Option<PathBuf>,
    /// An alert of whose end nothing is heard ends there after so long.
    #[serde(with = "span")]
    pub open_for: Duration,
    /// Certificates to trust besides the public ones, as PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

impl Default for AlertsAlertmanager {
    fn default() -> Self {
        AlertsAlertmanager {
            enabled: Enabled::Auto,
            url: None,
            url_file: None,
            open_for: Duration::from_hours(24),
            ca_file: None,
        }
    }
}

/// Returns whether a channel is used whose settings are there, or not.
const fn is_used(enabled: Enabled, is_configured: bool) -> bool {
    match enabled {
        Enabled::Auto => is_configured,
        Enabled::Yes => true,
        Enabled::No => false,
    }
}

impl AlertsSlack {
    /// True when it is used.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        is_used(self.enabled, self.has_address())
    }

    const fn has_address(&self) -> bool {
        self.webhook_url.is_some() || self.webhook_url_file.is_some()
    }
}

impl AlertsEmail {
    /// True when it is used.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        is_used(self.enabled, self.has_address() && !self.to.is_empty())
    }

    const fn has_address(&self) -> bool {
        self.smtp_url.is_some() || self.smtp_url_file.is_some()
    }
}

impl AlertsWebhook {
    /// True when it is used.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        is_used(self.enabled, self.has_address())
    }

    const fn has_address(&self) -> bool {
        self.url.is_some() || self.url_file.is_some()
    }
}

impl AlertsAlertmanager {
    /// True when it is used.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        is_used(self.enabled, self.has_address())
    }

    const fn has_address(&self) -> bool {
        self.url.is_some() || self.url_file.is_some()
    }
}

impl Alerts {
    /// Returns every fault: its key, and what is wrong.
    pub(super) fn faults(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        let spans = [
            ("alerts.timeout", self.timeout),
            ("alerts.retry_delay", self.retry_delay),
            ("alerts.breaker_open", self.breaker_open),
            ("alerts.alertmanager.open_for", self.alertmanager.open_for),
        ];
        let zeros = spans.into_iter().filter(|(_, span)| span.is_zero()).map(|(key, _)| key);
        let zeros = zeros.chain((self.fallback_after == 0).then_some("alerts.fallback_after"));
        found.extend(zeros.map(|key| (key, "must be more than 0".to_owned())));
        if self.retry_max_delay < self.retry_delay {
            found.push(("alerts.retry_max_delay", "must be at least `alerts.retry_delay`".to_owned()));
        }
        for (key, url) in [
            ("alerts.slack.webhook_url", &self.slack.webhook_url),
            ("alerts.webhook.url", &self.webhook.url),
            ("alerts.alertmanager.url", &self.alertmanager.url),
        ] {
            found.extend(
                url.as_ref().and_then(|url| http_url(url).err()).map(|reason| (key, reason.to_owned())),
            );
        }
        for (key, enabled, has_address, address) in [
            (
                "alerts.slack.enabled",
                self.slack.enabled,
                self.slack.has_address(),
                "alerts.slack.webhook_url",
            ),
            ("alerts.email.enabled", self.email.enabled, self.email.has_address(), "alerts.email.smtp_url"),
            (
                "alerts.webhook.enabled",
                self.webhook.enabled,
                self.webhook.has_address(),
                "alerts.webhook.url",
            ),
            (
                "alerts.alertmanager.enabled",
                self.alertmanager.enabled,
                self.alertmanager.has_address(),
                "alerts.alertmanager.url",
            ),
        ] {
            if enabled == Enabled::Yes && !has_address {
                found.push((key, format!("is true, and `{address}` is not set")));
            }
        }
        found.extend(self.email.faults());
        found.extend(self.webhook.faults());
        found
    }
}

impl AlertsEmail {
    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        // Without its file, a password that is named counts as there.
        let in_file = Secret::new("in its file".to_owned());
        let password = self.password.as_ref().or(self.password_file.as_ref().map(|_| &in_file));
        if let Some(url) = &self.smtp_url {
            let parsed = SmtpAddress::parse(url.expose(), self.username.as_deref(), password);
            found.extend(parsed.err().map(|reason| ("alerts.email.smtp_url", reason)));
        }
        let mailbox = |text: &str| text.parse::<Mailbox>().is_ok();
        let reason = "must be an address such as `Ops <ops@desk.example>`";
        if !self.from.is_empty() && !mailbox(&self.from) {
            found.push(("alerts.email.from", reason.to_owned()));
        }
        if !self.to.iter().all(|text| mailbox(text)) {
            found.push(("alerts.email.to", "must be addresses such as `Ops <ops@desk.example>`".to_owned()));
        }
        if self.enabled == Enabled::Yes && self.to.is_empty() {
            found.push(("alerts.email.enabled", "is true, and `alerts.email.to` names nobody".to_owned()));
        }
        found
    }
}

impl AlertsWebhook {
    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        if let Some(Err(reason)) = self.secret.as_ref().map(Signer::new) {
            found.push(("alerts.webhook.secret", reason.to_owned()));
        }
        found.extend(Template::new(&self.body).err().map(|reason| ("alerts.webhook.body", reason)));
        let is_header = |(name, value): (&String, &Secret)| {
            name.parse::<HeaderName>().is_ok() && HeaderValue::from_str(value.expose()).is_ok()
        };
        if !self.headers.iter().all(is_header) {
            let reason = "must have names and values that headers may have: no blank in a name, no line's end in a value";
            found.push(("alerts.webhook.headers", reason.to_owned()));
        }
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
        let table: [(&str, Change); 14] = [
            ("alerts.timeout", |a| a.timeout = Duration::ZERO),
            ("alerts.fallback_after", |a| a.fallback_after = 0),
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
