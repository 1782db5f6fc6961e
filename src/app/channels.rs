//! Makes the configured channels, and sends a sample by them for `tickwire alert test`.
//!
//! Promises: a channel that is not configured costs nothing, and one that cannot be reached does not keep the program from
//! starting. No message names a secret. On failure: a setting that cannot be used ends the start with an error that names its
//! key; a sample that is not taken is said with what came back.

use super::instruments::WrongUse;
use super::secret_file::read_secret;
use crate::actors::channels::alertmanager::{AlertmanagerChannel, AlertmanagerSettings};
use crate::actors::channels::delivery::Deliveries;
use crate::actors::channels::email::address::SmtpAddress;
use crate::actors::channels::email::message::Correspondents;
use crate::actors::channels::email::{EmailChannel, EmailSettings};
use crate::actors::channels::gate::DeliveryPolicy;
use crate::actors::channels::link::page_link;
use crate::actors::channels::sample::sample;
use crate::actors::channels::slack::SlackChannel;
use crate::actors::channels::webhook::signature::Signer;
use crate::actors::channels::webhook::template::Template;
use crate::actors::channels::webhook::{WebhookChannel, WebhookSettings};
use crate::breaker::BreakerPolicy;
use crate::clock::{Clock, SystemClock};
use crate::config::{
    Alerts, AlertsAlertmanager, AlertsEmail, AlertsSlack, AlertsWebhook, Config, Secret, http_url,
};
use crate::models::notification::{Channel, SendError};
use crate::retry::RetryPolicy;
use crate::tls;
use crate::visible::visible;
use anyhow::Context;
use lettre::message::Mailbox;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use rustls::ClientConfig;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// The channels that can be configured.
const CHANNELS: [&str; 4] = ["slack", "email", "webhook", "alertmanager"];

/// Makes the configured channels.
///
/// # Errors
/// When an address, a secret, a file or a certificate cannot be used.
pub fn open(alerts: &Alerts, clock: &Arc<dyn Clock>) -> anyhow::Result<Deliveries> {
    let timeout = alerts.timeout;
    let mut channels: Vec<Arc<dyn Channel>> = Vec::new();
    if alerts.slack.is_enabled() {
        channels.push(Arc::new(slack(&alerts.slack, timeout)?));
    }
    if alerts.email.is_enabled() {
        channels.push(Arc::new(email(&alerts.email, timeout, clock)?));
    }
    if alerts.webhook.is_enabled() {
        channels.push(Arc::new(webhook(&alerts.webhook, timeout, clock)?));
    }
    if alerts.alertmanager.is_enabled() {
        channels.push(Arc::new(alertmanager(&alerts.alertmanager, timeout, clock)?));
    }
    let policy = DeliveryPolicy {
        timeout,
        retry: RetryPolicy { delay: alerts.retry_delay, max_delay: alerts.retry_max_delay },
        breaker: BreakerPolicy { failures: alerts.breaker_failures, open_for: alerts.breaker_open },
        fallback_after: alerts.fallback_after,
    };
    Ok(Deliveries::new(channels, policy))
}

/// Returns a secret that is given, or stands in a file.
pub(super) fn given_or_read(
    given: Option<&Secret>,
    key: &'static str,
    file: Option<&Path>,
) -> anyhow::Result<Option<Secret>> {
    match (given, file) {
        (Some(secret), _) => Ok(Some(secret.clone())),
        (None, Some(path)) => {
            let text = read_secret(&format!("{key}_file"), path)?;
            anyhow::ensure!(!text.is_empty(), "`{key}_file`: there is nothing in `{}`", path.display());
            Ok(Some(Secret::new(text)))
        }
        (None, None) => Ok(None),
    }
}

/// Returns the address of a receiver over HTTP.
fn address(given: Option<&Secret>, key: &'static str, file: Option<&Path>) -> anyhow::Result<Url> {
    let text = given_or_read(given, key, file)?.with_context(|| format!("`{key}` is not set"))?;
    http_url(&text).map_err(|fault| anyhow::anyhow!("`{key}` {fault}"))
}

fn trust(key: &'static str, ca_file: Option<&Path>) -> anyhow::Result<Arc<ClientConfig>> {
    tls::client(ca_file).with_context(|| format!("`{key}` cannot be used"))
}

fn slack(slack: &AlertsSlack, timeout: Duration) -> anyhow::Result<SlackChannel> {
    let key = "alerts.slack.webhook_url";
    let url = address(slack.webhook_url.as_ref(), key, slack.webhook_url_file.as_deref())?;
    Ok(SlackChannel::new(url, &trust("alerts.slack.ca_file", slack.ca_file.as_deref())?, timeout))
}

fn email(email: &AlertsEmail, timeout: Duration, clock: &Arc<dyn Clock>) -> anyhow::Result<EmailChannel> {
    let key = "alerts.email.smtp_url";
    let url = given_or_read(email.smtp_url.as_ref(), key, email.smtp_url_file.as_deref())?;
    let url = url.with_context(|| format!("`{key}` is not set"))?;
    let password =
        given_or_read(email.password.as_ref(), "alerts.email.password", email.password_file.as_deref())?;
    let address = SmtpAddress::parse(url.expose(), email.username.as_deref(), password.as_ref())
        .map_err(|fault| anyhow::anyhow!("`{key}` {fault}"))?;
    let mailbox = |text: &str| text.parse::<Mailbox>().ok();
    let to: Option<Vec<Mailbox>> = email.to.iter().map(|text| mailbox(text)).collect();
    let to =
        to.filter(|to| !to.is_empty()).context("`alerts.email.to` names nobody, or not with an address")?;
    let user = address.user.as_ref().and_then(|(user, _)| mailbox(user));
    let from = match email.from.as_str() {
        "" => user.unwrap_or_else(|| to[0].clone()),
        from => mailbox(from).context("`alerts.email.from` is no address")?,
    };
    // Says which of it cannot be used, and that there is something in it.
    trust("alerts.email.ca_file", email.ca_file.as_deref())?;
    let ca = email.ca_file.as_deref().map(std::fs::read).transpose();
    let ca = ca.context("`alerts.email.ca_file` cannot be read")?;
    let settings = EmailSettings { address, correspondents: Correspondents { from, to }, ca, timeout };
    EmailChannel::new(settings, Arc::clone(clock)).context("`alerts.email`")
}

fn webhook(
    webhook: &AlertsWebhook,
    timeout: Duration,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<WebhookChannel> {
    let url = address(webhook.url.as_ref(), "alerts.webhook.url", webhook.url_file.as_deref())?;
    let key = "alerts.webhook.secret";
    let secret = given_or_read(webhook.secret.as_ref(), key, webhook.secret_file.as_deref())?;
    let signer = secret.as_ref().map(Signer::new).transpose();
    let signer = signer.map_err(|fault| anyhow::anyhow!("`{key}` {fault}"))?;
    let template =
        Template::new(&webhook.body).map_err(|fault| anyhow::anyhow!("`alerts.webhook.body` {fault}"))?;
    let mut headers = HeaderMap::new();
    for (name, value) in &webhook.headers {
        let parsed = name.parse::<HeaderName>().ok().zip(HeaderValue::from_str(value.expose()).ok());
        let (parsed, value) =
            parsed.with_context(|| format!("`alerts.webhook.headers.{name}` is no header"))?;
        headers.insert(parsed, value);
    }
    let tls = trust("alerts.webhook.ca_file", webhook.ca_file.as_deref())?;
    let settings = WebhookSettings { url, headers, signer, template, tls, timeout };
    Ok(WebhookChannel::new(settings, Arc::clone(clock)))
}

fn alertmanager(
    section: &AlertsAlertmanager,
    timeout: Duration,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<AlertmanagerChannel> {
    let url = address(section.url.as_ref(), "alerts.alertmanager.url", section.url_file.as_deref())?;
    let tls = trust("alerts.alertmanager.ca_file", section.ca_file.as_deref())?;
    let settings = AlertmanagerSettings { url, tls, timeout, open_for: section.open_for };
    Ok(AlertmanagerChannel::new(&settings, Arc::clone(clock)))
}

/// Sends a sample by the channels of these names, by all that are configured where none is named, and prints what each said.
///
/// # Errors
/// [`WrongUse`] for a name that is no channel's, and where none is configured; otherwise when a channel did not take it.
pub fn test(names: &[String], config: &Config) -> anyhow::Result<()> {
    if let Some(name) = names.iter().find(|name| !CHANNELS.contains(&name.as_str())) {
        let known = CHANNELS.join("`, `");
        return Err(WrongUse(format!("there is no channel `{name}`; there are `{known}`")).into());
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let deliveries = open(&config.alerts, &clock)?;
    let configured: Vec<&str> = deliveries.names().collect();
    if configured.is_empty() {
        let advice = "no channel is configured: set `alerts.slack.webhook_url`, `alerts.email.smtp_url` and `alerts.email.to`, \
                      `alerts.webhook.url` or `alerts.alertmanager.url`";
        return Err(WrongUse(advice.to_owned()).into());
    }
    if let Some(name) = names.iter().find(|name| !configured.contains(&name.as_str())) {
        let there = configured.join("`, `");
        return Err(WrongUse(format!("the channel `{name}` is not configured; configured: `{there}`")).into());
    }
    let names: Vec<&str> =
        if names.is_empty() { configured } else { names.iter().map(String::as_str).collect() };
    let link = config.server.public_url.as_deref().map(|url| page_link(url, Some("AAPL")));
    let notification = sample(Some(clock.now()), link);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut num_failed = 0;
    for name in &names {
        let said = match runtime.block_on(deliveries.send_once(name, &notification))? {
            Ok(receipt) => format!("{name}: taken: {}", receipt.0),
            Err(error) => {
                num_failed += 1;
                format!("{name}: not taken: {error}{}", advice(&error))
            }
        };
        writeln!(io::stdout(), "{}", visible(&said))?;
    }
    anyhow::ensure!(num_failed == 0, "{num_failed} of {} channels did not take the sample", names.len());
    Ok(())
}

/// Returns what an error says of the next try.
const fn advice(error: &SendError) -> &'static str {
    match error {
        SendError::Transient { may_have_arrived: true, .. } => {
            " (it may have arrived; an alert would be tried again)"
        }
        SendError::Transient { .. } => " (an alert would be tried again)",
        SendError::Unusable { .. } => " (nothing goes there until its settings, here or there, are right)",
        SendError::Refused { .. } => " (this message is refused, and would be each time)",
    }
}
