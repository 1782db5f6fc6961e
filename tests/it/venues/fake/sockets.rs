//! Sockets of a fake venue: TCP or TLS on loopback, and HTTP by hand.

use crate::support::tls::ServerTls;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often a thread that waits for its client looks whether the fake is dropped.
pub const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// A connection of a client.
pub enum Stream {
    Plain(TcpStream),
    Tls(Box<rustls::StreamOwned<rustls::ServerConnection, TcpStream>>),
}

impl Stream {
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => &stream.sock,
        }
    }

    /// Ends it without a word of WebSocket or TLS.
    pub fn cut(&self) {
        // It may be gone already.
        self.tcp().shutdown(Shutdown::Both).ok();
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.read(bytes),
            Stream::Tls(stream) => stream.read(bytes),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.write(bytes),
            Stream::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.flush(),
            Stream::Tls(stream) => stream.flush(),
        }
    }
}

/// A port that is served, a thread a connection, until it is dropped.
pub struct Port {
    pub number: u16,
    is_dropped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Port {
    /// Serves a free port. The handler ends soon after `is_dropped` is set.
    pub fn serve(
        is_dropped: &Arc<AtomicBool>,
        tls: Option<&ServerTls>,
        handle: impl Fn(Stream) + Send + Sync + 'static,
    ) -> Port {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let number = listener.local_addr().unwrap().port();
        let (tls, handle, dropped) = (tls.cloned(), Arc::new(handle), Arc::clone(is_dropped));
        let thread = std::thread::spawn(move || {
            let mut clients = Vec::new();
            for stream in listener.incoming() {
                if dropped.load(Ordering::SeqCst) {
                    break;
                }
                let (stream, tls, handle) = (stream.unwrap(), tls.clone(), Arc::clone(&handle));
                stream.set_nodelay(true).unwrap();
                clients.push(std::thread::spawn(move || handle(wrap(stream, tls.as_ref()))));
            }
            for client in clients {
                assert!(client.join().is_ok(), "a connection of a fake panicked");
            }
        });
        Port { number, is_dropped: Arc::clone(is_dropped), thread: Some(thread) }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.is_dropped.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for a connection.
        TcpStream::connect(("127.0.0.1", self.number)).ok();
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(!matches!(ended, Some(Err(_))) || std::thread::panicking(), "a fake panicked");
    }
}

fn wrap(stream: TcpStream, tls: Option<&ServerTls>) -> Stream {
    match tls {
        None => Stream::Plain(stream),
        Some(tls) => Stream::Tls(Box::new(rustls::StreamOwned::new(tls.session(), stream))),
    }
}

/// A request over HTTP.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    pub path: String,
    pub query: Vec<(String, String)>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
}

impl HttpRequest {
    /// Returns a value of the query.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns a header, its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Reads one. Gives nothing where the client goes away, which is a part of the tests.
    pub fn read(stream: &mut Stream) -> Option<HttpRequest> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|len| *len > 0)?;
        let target = line.split(' ').nth(1)?.to_owned();
        let mut headers = Vec::new();
        loop {
            line.clear();
            reader.read_line(&mut line).ok().filter(|len| *len > 0)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let query = url::form_urlencoded::parse(query.as_bytes());
        let query = query.map(|(key, value)| (key.into_owned(), value.into_owned())).collect();
        Some(HttpRequest { path: path.to_owned(), query, headers })
    }
}

/// An answer over HTTP.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    /// `200 OK`.
    pub status: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl HttpAnswer {
    pub fn ok(body: impl Into<String>) -> HttpAnswer {
        HttpAnswer::with_status("200 OK", body)
    }

    pub fn with_status(status: &'static str, body: impl Into<String>) -> HttpAnswer {
        HttpAnswer { status, headers: Vec::new(), body: body.into() }
    }

    /// Writes it, its body up to a length only.
    pub fn write(&self, stream: &mut Stream, body_len: usize) {
        let mut head = format!("HTTP/1.1 {}\r\nContent-Type: application/json\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\nConnection: close\r\n\r\n", self.body.len()));
        let body = &self.body.as_bytes()[..body_len.min(self.body.len())];
        // A client that goes away in the middle is a part of the tests.
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).ok();
        if let Stream::Tls(stream) = stream {
            stream.conn.send_close_notify();
        }
        stream.flush().ok();
    }
}
