//! Opens connections: TCP, a proxy where there is one, TLS, WebSocket.
//!
//! Promises: each step counts against one time limit; no error of ours names a secret: addresses are shown without path,
//! user and password. What a venue answers in place of a WebSocket is handed on as it came.

use super::super::config::{ProxyUrl, shown};
use crate::actors::retry_after::retry_after;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use rustls::ClientConfig;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

/// A connection to a venue.
pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Longest message of a venue: hundreds of trades in one frame are some 100 kB; what is longer is no frame of trades.
const MESSAGE_LEN_MAX: usize = 4 << 20;

/// Longest answer of a proxy to CONNECT.
const PROXY_ANSWER_LEN_MAX: usize = 8 << 10;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    /// It took too long.
    #[error("no connection within {0:?}")]
    Timeout(Duration),
    /// The address cannot be reached.
    #[error("cannot reach `{address}`: {cause}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The proxy does not connect.
    #[error("proxy refuses: {0}")]
    Proxy(String),
    /// The venue answers over HTTP, and not with a WebSocket.
    #[error("the venue answers {status} in place of a stream")]
    Answered {
        /// The status.
        status: u16,
        /// The beginning of the body, as far as it came with the head; it may repeat the key.
        body: String,
        /// How long it wants to be left alone, where it says so.
        pause: Option<Duration>,
    },
    /// TLS or the WebSocket handshake failed.
    #[error("handshake failed: {0}")]
    Handshake(String),
}

impl ConnectError {
    fn of_handshake(error: tungstenite::Error) -> ConnectError {
        match error {
            tungstenite::Error::Http(answer) => ConnectError::Answered {
                status: answer.status().as_u16(),
                pause: retry_after(answer.headers()),
                body: String::from_utf8_lossy(answer.body().as_deref().unwrap_or_default()).into_owned(),
            },
            error => ConnectError::Handshake(error.to_string()),
        }
    }
}

/// Opens a connection.
///
/// # Errors
/// [`ConnectError`].
pub(super) async fn open(
    url: &Url,
    proxy: Option<&ProxyUrl>,
    tls: &Arc<ClientConfig>,
    timeout: Duration,
) -> Result<Socket, ConnectError> {
    let open = async {
        let stream = match proxy {
            None => reach(url).await?,
            Some(proxy) => through(proxy.url(), url).await?,
        };
        // Acknowledgements of pings are small and are not to wait for more.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "small packets of a venue's connection may be held back");
        }
        let config = WebSocketConfig::default().max_message_size(Some(MESSAGE_LEN_MAX));
        let connector = Connector::Rustls(Arc::clone(tls));
        let opened = client_async_tls_with_config(url.as_str(), stream, Some(config), Some(connector)).await;
        opened.map(|(socket, _)| socket).map_err(ConnectError::of_handshake)
    };
    tokio::time::timeout(timeout, open).await.unwrap_or(Err(ConnectError::Timeout(timeout)))
}

/// Returns host and port, an IPv6 address in brackets.
fn address(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{}:{port}", url.host_str().unwrap_or_default())
}

async fn reach(url: &Url) -> Result<TcpStream, ConnectError> {
    let address = address(url);
    TcpStream::connect(&address).await.map_err(|cause| ConnectError::Unreachable { address, cause })
}

/// Has a proxy connect.
async fn through(proxy: &Url, url: &Url) -> Result<TcpStream, ConnectError> {
    let mut stream = reach(proxy).await?;
    let target = address(url);
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
    if let Some(password) = proxy.password() {
        let credentials = STANDARD.encode(format!("{}:{password}", proxy.username()));
        request.push_str(&format!("Proxy-Authorization: Basic {credentials}\r\n"));
    }
    request.push_str("\r\n");
    let failed = |cause| ConnectError::Unreachable { address: shown(proxy), cause };
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    // Byte by byte: what follows the answer belongs to the connection.
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() == PROXY_ANSWER_LEN_MAX {
            return Err(ConnectError::Proxy("its answer has no end".to_owned()));
        }
        answer.push(stream.read_u8().await.map_err(failed)?);
    }
    let line = String::from_utf8_lossy(&answer);
    let line = line.lines().next().unwrap_or_default();
    match line.split(' ').nth(1) {
        Some("200") => Ok(stream),
        _ => Err(ConnectError::Proxy(line.chars().take(80).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_proxy_is_asked_to_connect_with_its_credentials_and_what_it_refuses_is_said() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let proxy = Url::parse(&format!("http://me:secret@127.0.0.1:{port}")).expect("a URL");
        let url = Url::parse("wss://stream.example/x").expect("a URL");
        for (answer, is_open) in
            [("HTTP/1.1 200 Connection established", true), ("HTTP/1.1 407 Who are you", false)]
        {
            let serve = async {
                let (mut stream, _) = listener.accept().await.expect("a client");
                let mut asked = Vec::new();
                while !asked.ends_with(b"\r\n\r\n") {
                    asked.push(stream.read_u8().await.expect("a request"));
                }
                stream.write_all(format!("{answer}\r\nVia: x\r\n\r\nrest").as_bytes()).await.expect("taken");
                (String::from_utf8(asked).expect("text"), stream)
            };
            let (opened, (asked, _stream)) = tokio::join!(through(&proxy, &url), serve);
            assert!(asked.starts_with("CONNECT stream.example:443 HTTP/1.1\r\n"), "{asked}");
            assert!(asked.contains("Proxy-Authorization: Basic bWU6c2VjcmV0\r\n"), "{asked}");
            match opened {
                Ok(mut stream) => {
                    let mut rest = [0; 4];
                    stream.read_exact(&mut rest).await.expect("what follows");
                    assert!(is_open && &rest == b"rest");
                }
                Err(error) => assert!(!is_open && error.to_string().contains("407"), "{error}"),
            }
        }
    }
}
