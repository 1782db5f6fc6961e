//! A webhook: a signed post to an address of the user's own, or to a service with a form of its own.
//!
//! Promises: a body is JSON, by default of the whole notification, else as [`template`] makes it. With a secret it is signed
//! ([`signature`]); `webhook-id` is the decision's id each time, so that a receiver can drop repeats. The address, the headers
//! and the secret stand in no error. On failure: as [`super::http`] reads the status.

pub mod signature;
pub mod template;

use super::http::Poster;
use crate::clock::Clock;
use crate::models::notification::{Channel, Notification, Receipt, SendError};
use crate::models::time::SECOND;
use crate::secret::Secret;
use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use rustls::ClientConfig;
use signature::Signer;
use std::sync::Arc;
use std::time::Duration;
use template::Template;
use url::Url;

/// Where a webhook goes.
pub struct WebhookSettings {
    /// Its address, which often holds a key.
    pub url: Url,
    /// Headers that are sent besides, such as `Authorization`.
    pub headers: HeaderMap,
    /// Signs the bodies, where there is a secret.
    pub signer: Option<Signer>,
    /// Makes the bodies.
    pub template: Template,
    /// Whom TLS trusts.
    pub tls: Arc<ClientConfig>,
    /// How long a post may take.
    pub timeout: Duration,
}

/// Posts to one webhook.
pub struct WebhookChannel {
    poster: Poster,
    settings: WebhookSettings,
    clock: Arc<dyn Clock>,
}

impl WebhookChannel {
    /// Makes the channel. Nothing is connected before it is needed.
    #[must_use]
    pub fn new(mut settings: WebhookSettings, clock: Arc<dyn Clock>) -> WebhookChannel {
        let url = &settings.url;
        // Keys stand anywhere in such addresses. What has neither a digit nor the length of one is a word.
        let is_key = |part: &&str| part.len() >= 16 || part.contains(|c: char| c.is_ascii_digit());
        let parts = url.path_segments().into_iter().flatten().filter(is_key);
        let parts = parts.chain(url.query()).chain(url.password());
        let headers = settings.headers.values().filter_map(|value| value.to_str().ok());
        let secrets: Vec<Secret> =
            parts.chain(headers).chain([url.as_str()]).map(|text| Secret::new(text.to_owned())).collect();
        for value in settings.headers.values_mut() {
            value.set_sensitive(true);
        }
        WebhookChannel { poster: Poster::new(&settings.tls, settings.timeout, &secrets), settings, clock }
    }
}

#[async_trait]
impl Channel for WebhookChannel {
    fn name(&self) -> &'static str {
        "webhook"
    }

    async fn send(&self, notification: &Notification) -> Result<Receipt, SendError> {
        let WebhookSettings { url, headers, signer, template, .. } = &self.settings;
        let refused = |cause: String| SendError::Refused { cause };
        let body =
            template.body(notification).map_err(|fault| refused(format!("`alerts.webhook.body` {fault}")))?;
        let mut headers = headers.clone();
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        let seconds = self.clock.now().0.div_euclid(SECOND);
        let mut add = |name: &'static str, value: &str| -> Result<(), SendError> {
            let value =
                HeaderValue::from_str(value).map_err(|_| refused(format!("its `{name}` is no header")))?;
            headers.insert(HeaderName::from_static(name), value);
            Ok(())
        };
        add("webhook-id", &notification.id)?;
        add("webhook-timestamp", &seconds.to_string())?;
        if let Some(signer) = signer {
            let signatures = signer.sign(&notification.id, seconds, &body);
            add("webhook-signature", &signatures.standard)?;
            add("x-hub-signature-256", &signatures.of_body)?;
        }
        self.poster.post(url, headers, body).await?.judge()
    }
}
