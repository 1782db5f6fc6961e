//! E-mail, by a mail server that takes it further.
//!
//! Promises: one mail to all recipients, encrypted on its way to the server unless the address says otherwise; see
//! [`message`] for what it holds and [`address`] for how the server is named. The server is connected for each mail: alerts
//! are rare, and a connection that has been idle may be dead. On failure: [`SendError`]; a server that refuses one recipient
//! gets the mail for none, so that the fault is seen.

pub mod address;
pub mod message;
mod session;

use crate::clock::Clock;
use crate::models::notification::{Channel, Notification, Receipt, SendError};
use crate::secret::Redaction;
use address::SmtpAddress;
use async_trait::async_trait;
use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters};
use message::Correspondents;
use std::sync::Arc;
use std::time::Duration;

/// How mail is sent.
#[derive(Clone, Debug)]
pub struct EmailSettings {
    /// The mail server.
    pub address: SmtpAddress,
    /// Who writes to whom.
    pub correspondents: Correspondents,
    /// Certificates that are trusted besides the public ones, as PEM.
    pub ca: Option<Vec<u8>>,
    /// How long a mail may take.
    pub timeout: Duration,
}

/// Why the certificates cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot be used: {0}")]
pub struct EmailSetupError(String);

/// Sends mail.
pub struct EmailChannel {
    settings: EmailSettings,
    tls: TlsParameters,
    redaction: Redaction,
    clock: Arc<dyn Clock>,
}

impl EmailChannel {
    /// Makes the channel. Nothing is connected before it is needed.
    ///
    /// # Errors
    /// When the certificates cannot be used.
    pub fn new(settings: EmailSettings, clock: Arc<dyn Clock>) -> Result<EmailChannel, EmailSetupError> {
        let failed = |error: lettre::transport::smtp::Error| EmailSetupError(error.to_string());
        let mut tls = TlsParameters::builder(settings.address.host.clone())
            .certificate_store(CertificateStore::WebpkiRoots);
        if let Some(pem) = &settings.ca {
            tls = tls.add_root_certificate(Certificate::from_pem(pem).map_err(failed)?);
        }
        let tls = tls.build().map_err(failed)?;
        let redaction = Redaction::of(settings.address.user.as_ref().map(|(_, password)| password));
        Ok(EmailChannel { settings, tls, redaction, clock })
    }
}

#[async_trait]
impl Channel for EmailChannel {
    fn name(&self) -> &'static str {
        "email"
    }

    async fn send(&self, notification: &Notification) -> Result<Receipt, SendError> {
        let EmailSettings { address, correspondents, timeout, .. } = &self.settings;
        let mail = message::mail(notification, correspondents, self.clock.now())
            .map_err(|error| SendError::Refused { cause: format!("cannot be made a mail: {error}") })?;
        session::hand_over(&mail, address, &self.tls, *timeout, &self.redaction).await
    }
}
