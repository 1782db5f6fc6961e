//! Requests to InfluxDB, with the HTTP client and the TLS that the rest of the program uses.
//!
//! Promises: one request takes [`InfluxSettings::timeout`] at the most; addresses keep the path that they have, since servers
//! stand behind proxies; redirects are not followed, since they could lead a token astray; answers are read up to a limit. On
//! failure: [`InfluxError`], in which neither token nor address appears.

use super::answer::{Answer, InfluxError, LeftOut};
use super::line::Lines;
use crate::secret::{Redaction, Secret};
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::{Client, Method, header};
use rustls::ClientConfig;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Longest answer that is read: a list of buckets or tasks under one name is some kB.
const BODY_LEN_MAX: usize = 1 << 20;

/// How a server is reached.
#[derive(Clone, Debug)]
pub struct InfluxSettings {
    /// `http://` or `https://`, with a path where it stands behind a proxy.
    pub url: Url,
    /// What shows who we are; `None` where the server does not ask.
    pub token: Option<Secret>,
    /// The organization.
    pub org: String,
    /// The bucket.
    pub bucket: String,
    /// Whether requests are compressed.
    pub gzip: bool,
    /// How long a request may take.
    pub timeout: Duration,
    /// Whom TLS trusts.
    pub tls: Arc<ClientConfig>,
}

/// Asks one server.
pub struct InfluxClient {
    http: Client,
    settings: InfluxSettings,
    write_url: Url,
    redaction: Redaction,
}

/// An answer to a request that is not a write.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The version that the server names in a header.
    pub version: Option<String>,
    /// The body.
    pub body: String,
    retry_after: Option<String>,
    date: Option<String>,
}

impl Reply {
    /// True for a status that says that it worked.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// Returns the server's own words.
    #[must_use]
    pub fn words(&self) -> String {
        self.answer().words()
    }

    /// Returns the error that the status stands for.
    #[must_use]
    pub fn error(&self) -> InfluxError {
        self.answer().error()
    }

    fn answer(&self) -> Answer<'_> {
        Answer {
            status: self.status,
            retry_after: self.retry_after.as_deref(),
            body: &self.body,
            date: self.date.as_deref(),
        }
    }
}

impl InfluxClient {
    /// Makes the client. Nothing is connected before it is needed.
    ///
    /// # Panics
    /// Never: the settings of the HTTP client are complete.
    #[must_use]
    pub fn new(settings: InfluxSettings) -> InfluxClient {
        let agent = concat!("tickwire/", env!("CARGO_PKG_VERSION"));
        let http = Client::builder()
            .use_preconfigured_tls((*settings.tls).clone())
            .user_agent(agent)
            .timeout(settings.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .expect("the settings of the client are complete");
        let mut write_url = endpoint(&settings.url, "api/v2/write");
        write_url
            .query_pairs_mut()
            .append_pair("org", &settings.org)
            .append_pair("bucket", &settings.bucket)
            .append_pair("precision", "ns");
        InfluxClient { http, redaction: Redaction::of(&settings.token), settings, write_url }
    }

    /// Returns how the server is reached.
    #[must_use]
    pub const fn settings(&self) -> &InfluxSettings {
        &self.settings
    }

    /// Writes points. Returns those that the server has left out, and will leave out each time.
    ///
    /// # Errors
    /// [`InfluxError`].
    pub async fn write(&self, lines: &Lines) -> Result<Option<LeftOut>, InfluxError> {
        let mut request = self
            .http
            .request(Method::POST, self.write_url.clone())
            .header(header::CONTENT_TYPE, "text/plain; charset=utf-8");
        let body = if self.settings.gzip {
            request = request.header(header::CONTENT_ENCODING, "gzip");
            compressed(lines.text())
        } else {
            lines.text().to_vec()
        };
        self.send(request.body(body)).await?.answer().of_write()
    }

    /// Asks for something, with these parameters.
    ///
    /// # Errors
    /// [`InfluxError::Transient`] where no answer came. What the server says is in the reply.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Reply, InfluxError> {
        let mut url = endpoint(&self.settings.url, path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.send(self.http.request(Method::GET, url)).await
    }

    /// Sends a JSON body.
    ///
    /// # Errors
    /// As [`InfluxClient::get`].
    pub async fn send_json(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Reply, InfluxError> {
        let request = self.http.request(method, endpoint(&self.settings.url, path));
        self.send(request.header(header::CONTENT_TYPE, "application/json").body(body)).await
    }

    async fn send(&self, mut request: reqwest::RequestBuilder) -> Result<Reply, InfluxError> {
        let failed = |error: reqwest::Error| InfluxError::Transient {
            cause: format!("no answer: {}", self.redaction.apply(&root_cause(&error.without_url()))),
            pause: None,
        };
        if let Some(token) = &self.settings.token {
            request = request.header(header::AUTHORIZATION, format!("Token {}", token.expose()));
        }
        let mut answer = request.send().await.map_err(failed)?;
        let status = answer.status().as_u16();
        let named = |name: &str| Some(answer.headers().get(name)?.to_str().ok()?.to_owned());
        let [retry_after, date, version] = ["retry-after", "date", "x-influxdb-version"].map(named);
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            let room = BODY_LEN_MAX - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if body.len() == BODY_LEN_MAX {
                break;
            }
        }
        let body = self.redaction.apply(&String::from_utf8_lossy(&body)).into_owned();
        Ok(Reply { status, version, body, retry_after, date })
    }
}

/// Returns the address of a path below the server's own.
fn endpoint(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url
}

/// Compresses quickly: the network is seldom what is scarce.
fn compressed(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 4), Compression::fast());
    encoder.write_all(text).and_then(|()| encoder.finish()).expect("memory takes everything")
}

/// Returns what lies behind an error: reqwest's own words say little.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_the_address_stays_in_front() {
        for (base, url) in [
            ("http://h:8086", "http://h:8086/api/v2/write"),
            ("http://h:8086/", "http://h:8086/api/v2/write"),
            ("https://h/influx/", "https://h/influx/api/v2/write"),
        ] {
            assert_eq!(endpoint(&Url::parse(base).expect("a URL"), "api/v2/write").as_str(), url);
        }
    }
}
