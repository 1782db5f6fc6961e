//! One visit to a mail server: connect, encrypt, say who we are, hand a mail over.
//!
//! The steps are taken one by one, since what a failure means depends on the step: only once the mail itself has been sent can
//! it have arrived, and only what the server says of the mail itself is about this mail.
//!
//! Promises: nothing is said before the connection is as encrypted as the address asks. On failure: [`SendError`], without the
//! password.

use super::address::{Encryption, SmtpAddress};
use crate::models::notification::{Receipt, SendError};
use crate::secret::Redaction;
use lettre::Message;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::Response;
use lettre::transport::smtp::{Error, authentication};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The ways to say who we are, the shortest first. Both send the password, which the encryption hides.
const MECHANISMS: &[Mechanism] = authentication::DEFAULT_MECHANISMS;

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Connect,
    Encrypt,
    Authenticate,
    /// Who writes to whom.
    Envelope,
    /// The mail itself.
    Content,
}

impl Step {
    const fn in_words(self) -> &'static str {
        match self {
            Step::Connect => "connecting",
            Step::Encrypt => "beginning TLS",
            Step::Authenticate => "logging in",
            Step::Envelope => "naming sender and recipients",
            Step::Content => "sending the mail",
        }
    }
}

/// A step that failed; `None` for one that took too long.
struct Failed {
    step: Step,
    error: Option<Error>,
}

/// Hands a mail over, within a time.
///
/// # Errors
/// [`SendError`].
pub(super) async fn hand_over(
    mail: &Message,
    address: &SmtpAddress,
    tls: &TlsParameters,
    timeout: Duration,
    redaction: &Redaction,
) -> Result<Receipt, SendError> {
    let until = Instant::now() + timeout;
    let mut step = Step::Connect;
    let visit = visit(mail, address, tls, timeout, &mut step);
    let visited = timeout_at(until, visit).await;
    let result = match visited {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(Failed { step, error: Some(error) }),
        Err(_) => Err(Failed { step, error: None }),
    };
    match result {
        Ok(response) => {
            let words: Vec<&str> = response.message().collect();
            let words = format!("{} {}", response.code(), words.join(" "));
            Ok(Receipt(redaction.apply(words.trim_end()).into_owned()))
        }
        Err(failed) => Err(failed.judge(redaction)),
    }
}

async fn visit(
    mail: &Message,
    address: &SmtpAddress,
    tls: &TlsParameters,
    timeout: Duration,
    step: &mut Step,
) -> Result<Response, Error> {
    let name = ClientId::default();
    let from_the_start = (address.encryption == Encryption::Tls).then(|| tls.clone());
    let server = (address.host.as_str(), address.port);
    let mut connection =
        AsyncSmtpConnection::connect_tokio1(server, Some(timeout), &name, from_the_start, None).await?;
    if address.encryption == Encryption::StartTls {
        *step = Step::Encrypt;
        connection.starttls(tls.clone(), &name).await?;
    }
    if let Some((user, password)) = &address.user {
        *step = Step::Authenticate;
        let credentials = Credentials::new(user.clone(), password.expose().to_owned());
        connection.auth(MECHANISMS, &credentials).await?;
    }
    *step = Step::Envelope;
    let (envelope, content) = (mail.envelope(), mail.formatted());
    let server = connection.server_info();
    let mut parameters = Vec::new();
    let mut addresses = envelope.to().iter().chain(envelope.from());
    if addresses.any(|address| !AsRef::<str>::as_ref(address).is_ascii())
        && server.supports_feature(Extension::SmtpUtfEight)
    {
        parameters.push(MailParameter::SmtpUtfEight);
    }
    if !content.is_ascii() && server.supports_feature(Extension::EightBitMime) {
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    connection.command(Mail::new(envelope.from().cloned(), parameters)).await?;
    for recipient in envelope.to() {
        connection.command(Rcpt::new(recipient.clone(), Vec::new())).await?;
    }
    connection.command(Data).await?;
    *step = Step::Content;
    let response = connection.message(&content).await?;
    // It is taken; how the server says goodbye changes nothing, and it may take its time.
    _ = tokio::time::timeout(GOODBYE, connection.quit()).await;
    Ok(response)
}

/// How long the server's goodbye is waited for.
const GOODBYE: Duration = Duration::from_secs(1);

impl Failed {
    fn judge(self, redaction: &Redaction) -> SendError {
        let Failed { step, error } = self;
        let said = error.as_ref().map_or_else(|| "no answer in time".to_owned(), ToString::to_string);
        let said: Vec<&str> = said.split_whitespace().collect();
        let cause = format!("{}: {}", step.in_words(), said.join(" "));
        let cause = redaction.apply(&cause).into_owned();
        match &error {
            // What is said of the mail itself is not said of the next one.
            Some(error) if error.is_permanent() && step == Step::Content => SendError::Refused { cause },
            // No such user, no TLS, a certificate of somebody else: the settings are wrong, here or there.
            Some(error) if error.is_permanent() || error.is_client() || error.is_tls() => {
                SendError::Unusable { cause }
            }
            Some(error) => {
                // A server that says no has not taken it; one that says nothing may have.
                let may_have_arrived = step == Step::Content && !error.is_transient();
                SendError::Transient { cause, retry_after: None, may_have_arrived }
            }
            None => {
                SendError::Transient { cause, retry_after: None, may_have_arrived: step == Step::Content }
            }
        }
    }
}
