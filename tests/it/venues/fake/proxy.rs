//! A proxy on this machine that connects where it is asked to, for those who know its password.

use super::sockets::{LOOK_INTERVAL, Port, Stream};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Longest head of a request.
const HEAD_LEN_MAX: usize = 8 << 10;

/// A proxy.
pub struct FakeProxy {
    port: Port,
    asked: Arc<Mutex<Vec<String>>>,
    num_refused: Arc<AtomicUsize>,
}

impl FakeProxy {
    /// Starts one that asks for a name and a password.
    pub fn start(name: &str, password: &str) -> FakeProxy {
        let expected = STANDARD.encode(format!("{name}:{password}"));
        let (asked, num_refused) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicUsize>::default());
        let is_dropped = Arc::<AtomicBool>::default();
        let (targets, refused, dropped) =
            (Arc::clone(&asked), Arc::clone(&num_refused), Arc::clone(&is_dropped));
        let port = Port::serve(&is_dropped, None, move |stream| {
            let Stream::Plain(mut client) = stream else { return };
            let Some(head) = read_head(&mut client) else { return };
            let credentials = head.lines().find_map(|line| {
                let (key, value) = line.split_once(": Basic ")?;
                key.eq_ignore_ascii_case("proxy-authorization").then_some(value)
            });
            if credentials != Some(&expected) {
                refused.fetch_add(1, Ordering::SeqCst);
                client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").ok();
                return;
            }
            let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
            let target = target.unwrap_or_default().to_owned();
            targets.lock().unwrap().push(target.clone());
            match TcpStream::connect(&target) {
                Ok(server) => {
                    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").ok();
                    join(client, server, &dropped);
                }
                Err(_) => _ = client.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n"),
            }
        });
        FakeProxy { port, asked, num_refused }
    }

    /// Returns its address with a name and a password.
    pub fn url(&self, name: &str, password: &str) -> String {
        format!("http://{name}:{password}@127.0.0.1:{}", self.port.number)
    }

    /// Returns whereto it has connected.
    pub fn targets(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// Returns how many requests had no or another password.
    pub fn num_refused(&self) -> usize {
        self.num_refused.load(Ordering::SeqCst)
    }
}

fn read_head(client: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).ok().filter(|()| head.len() < HEAD_LEN_MAX)?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

/// Carries bytes both ways until one side ends, or the proxy is dropped.
fn join(mut client: TcpStream, mut server: TcpStream, is_dropped: &AtomicBool) {
    for stream in [&client, &server] {
        stream.set_read_timeout(Some(LOOK_INTERVAL)).unwrap();
        stream.set_nodelay(true).unwrap();
    }
    while !is_dropped.load(Ordering::SeqCst) {
        if !carry(&mut client, &mut server) || !carry(&mut server, &mut client) {
            break;
        }
    }
}

/// Carries what has come. Returns false at the end.
fn carry(from: &mut TcpStream, to: &mut TcpStream) -> bool {
    let mut bytes = [0; 16 << 10];
    match from.read(&mut bytes) {
        Ok(0) => false,
        Ok(len) => to.write_all(&bytes[..len]).is_ok(),
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}
