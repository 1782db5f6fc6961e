//! Limits the number of connections: as many as the system has file handles for, less those that stores need.
//!
//! Promises: however many clients connect, a store can open its files. On failure: a client above the limit gets 503
//! and is disconnected before it sends a request, so that other requests pay nothing for the check.

use super::answer::error::ApiError;
use crate::wire;
use actix_web::ResponseError;
use actix_web::rt::net::TcpStream;
use rustix::net::{Shutdown, shutdown};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// File handles reserved for everything but clients; half of all handles where there are fewer than twice as many.
const HANDLES_KEPT: u64 = 256;

/// The connections of all ports.
pub struct Connections {
    max: usize,
    open: AtomicUsize,
    is_full: AtomicBool,
}

impl Connections {
    /// Allows that many connections.
    #[must_use]
    pub const fn new(max: usize) -> Connections {
        Connections { max, open: AtomicUsize::new(0), is_full: AtomicBool::new(false) }
    }

    /// Allows as many connections as the system does, after raising its limit as far as possible.
    #[must_use]
    pub fn of_system() -> Connections {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        // A refusal leaves the limit as it was; it is read next.
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).ok();
        let handles = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let max = handles - HANDLES_KEPT.min(handles / 2);
        Connections::new(usize::try_from(max).unwrap_or(usize::MAX))
    }

    /// Counts a connection until the returned permit is dropped; one above the limit is answered with 503 and closed.
    #[must_use]
    pub fn admit(self: &Arc<Connections>, stream: &TcpStream) -> Option<ConnectionPermit> {
        let permit = ConnectionPermit(Arc::clone(self));
        if self.open.fetch_add(1, Ordering::Relaxed) < self.max {
            self.is_full.store(false, Ordering::Relaxed);
            return Some(permit);
        }
        if !self.is_full.swap(true, Ordering::Relaxed) {
            tracing::warn!(max = self.max, "no more clients can connect: the limit of open files is reached");
        }
        // The send buffer of a new connection has room for this; a failure means that the client is gone.
        rustix::io::write(stream, refusal().as_bytes()).ok();
        shutdown(stream, Shutdown::Write).ok();
        None
    }
}

/// One client's share of the limit; dropping it gives it back.
pub struct ConnectionPermit(Arc<Connections>);

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The answer to a client above the limit, whatever it was going to request.
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
