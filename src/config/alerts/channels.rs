//! The channels of `[alerts]`: how to reach people.
//!
//! Promises: a channel is used once it is known how to reach somebody. Faults repeat nothing of a secret.

use super::http_url;
use crate::actors::channels::email::address::SmtpAddress;
use crate::actors::channels::webhook::signature::Signer;
use crate::actors::channels::webhook::template::Template;
use crate::config::sinks::Enabled;
use crate::config::text::span;
use crate::secret::Secret;
use lettre::message::Mailbox;
use reqwest::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

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

/// A fault: its key, and what is wrong.
type KeyFault = (&'static str, String);

/// Returns the fault of an address of HTTP, where one is given.
fn address_fault(key: &'static str, url: Option<&Secret>) -> Option<KeyFault> {
    url.and_then(|url| http_url(url).err()).map(|reason| (key, reason.to_owned()))
}

/// Returns the fault of a channel that is to be used and has no address.
fn use_fault(
    key: &'static str,
    enabled: Enabled,
    has_address: bool,
    address: &'static str,
) -> Option<KeyFault> {
    (enabled == Enabled::Yes && !has_address).then(|| (key, format!("is true, and `{address}` is not set")))
}

impl AlertsSlack {
    pub(super) fn faults(&self) -> impl Iterator<Item = KeyFault> {
        let address = "alerts.slack.webhook_url";
        let unusable = use_fault("alerts.slack.enabled", self.enabled, self.has_address(), address);
        address_fault(address, self.webhook_url.as_ref()).into_iter().chain(unusable)
    }
}

impl AlertsAlertmanager {
    pub(super) fn faults(&self) -> impl Iterator<Item = KeyFault> {
        let address = "alerts.alertmanager.url";
        let unusable = use_fault("alerts.alertmanager.enabled", self.enabled, self.has_address(), address);
        let zero = self
            .open_for
            .is_zero()
            .then(|| ("alerts.alertmanager.open_for", "must be more than 0".to_owned()));
        address_fault(address, self.url.as_ref()).into_iter().chain(unusable).chain(zero)
    }
}

impl AlertsEmail {
    pub(super) fn faults(&self) -> Vec<KeyFault> {
        let address = "alerts.email.smtp_url";
        let mut found =
            Vec::from_iter(use_fault("alerts.email.enabled", self.enabled, self.has_address(), address));
        // Without its file, a password that is named counts as there.
        let in_file = Secret::new("in its file".to_owned());
        let password = self.password.as_ref().or(self.password_file.as_ref().map(|_| &in_file));
        if let Some(url) = &self.smtp_url {
            let parsed = SmtpAddress::parse(url.expose(), self.username.as_deref(), password);
            found.extend(parsed.err().map(|reason| (address, reason)));
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
    pub(super) fn faults(&self) -> Vec<KeyFault> {
        let address = "alerts.webhook.url";
        let mut found = Vec::from_iter(address_fault(address, self.url.as_ref()));
        found.extend(use_fault("alerts.webhook.enabled", self.enabled, self.has_address(), address));
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
