//! How many clients may be connected: as many as the system has file handles for, less those that stores need.
//!
//! Promises: however many connect, a store can open its files. A client too many is told so and let go of before it has
//! asked anything, so that the others pay nothing for the check.

use super::error::ApiError;
use crate::wire;
use actix_web::ResponseError;
use actix_web::rt::net::TcpStream;
use rustix::net::{Shutdown, shutdown};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// File handles that are kept for everything but clients; half of them where there are fewer than twice as many.
const HANDLES_KEPT: u64 = 256;

/// The connections of all ports.
pub struct Connections {
    max: usize,
    open: AtomicUsize,
    is_full: AtomicBool,
}

impl Connections {
    /// Makes room for that many.
    #[must_use]
    pub const fn new(max: usize) -> Connections {
        Connections { max, open: AtomicUsize::new(0), is_full: AtomicBool::new(false) }
    }

    /// Makes room for as many as the system allows, after raising its limit as far as it lets us.
    #[must_use]
    pub fn of_system() -> Connections {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        // What was refused leaves the limit as it was, which is read next.
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).ok();
        let handles = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let max = handles - HANDLES_KEPT.min(handles / 2);
        Connections::new(usize::try_from(max).unwrap_or(usize::MAX))
    }

    /// Takes a client in, until the returned place is dropped; one too many is sent away.
    #[must_use]
    pub fn admit(self: &Arc<Connections>, stream: &TcpStream) -> Option<Place> {
        let place = Place(Arc::clone(self));
        if self.open.fetch_add(1, Ordering::Relaxed) < self.max {
            self.is_full.store(false, Ordering::Relaxed);
            return Some(place);
        }
        if !self.is_full.swap(true, Ordering::Relaxed) {
            tracing::warn!(max = self.max, "no more clients can connect: the limit of open files is reached");
        }
        // A new connection has room for so little; a client that is gone misses nothing.
        rustix::io::write(stream, refusal().as_bytes()).ok();
        shutdown(stream, Shutdown::Write).ok();
        None
    }
}

/// The place of one client.
pub struct Place(Arc<Connections>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a client too many hears, whatever it was going to ask.
fn refusal() -> String {
    let error = ApiError::TooManyConnections;
    let body = String::from_utf8_lossy(&wire::to_json(&error.problem())).into_owned();
    format!(
        "HTTP/1.1 {}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\ncache-control: no-store\r\n\
         retry-after: 1\r\nconnection: close\r\n\r\n{body}",
        error.status_code(),
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::{SocketAddr, TcpStream as Client};
    use std::time::Duration;

    fn connect(address: SocketAddr) -> Client {
        let client = Client::connect(address).expect("it listens");
        client.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
        client
    }

    #[actix_web::test]
    async fn one_too_many_is_told_and_a_place_that_is_left_is_given_again() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let connections = Arc::new(Connections::new(1));

        let _first = connect(address);
        let (stream, _) = listener.accept().await.expect("connected");
        let place = connections.admit(&stream);
        assert!(place.is_some());

        let mut second = connect(address);
        let (stream, _) = listener.accept().await.expect("connected");
        assert!(connections.admit(&stream).is_none());
        let mut heard = String::new();
        second
            .read_to_string(&mut heard)
            .expect("the answer ends, although the server still holds the socket");
        let (head, body) = heard.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{head}");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
        assert!(body.contains("\"code\":\"too_many_connections\""), "{body}");

        drop(place);
        let _third = connect(address);
        let (stream, _) = listener.accept().await.expect("connected");
        assert!(connections.admit(&stream).is_some());
    }
}
