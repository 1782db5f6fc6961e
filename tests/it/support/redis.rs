//! A Redis of a test's own, to be stopped, paused and brought back; and one that many tests share.

use super::process::wait_for;
use super::skip::skipped;
use super::tls::Authority;
use deadpool_redis::redis::{Client, Commands, Connection, cmd};
use rustix::process::{Pid, Signal, kill_process};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;

/// A server without data.
pub struct RedisServer {
    child: Child,
    port: u16,
    /// Where a server of a cluster notes who else is in it.
    _dir: TempDir,
}

impl RedisServer {
    /// Starts a server on a free port. Where there is none to start it says so, and with `CI=true` it fails.
    pub fn start(test: &str) -> Option<RedisServer> {
        RedisServer::start_with(test, &[])
    }

    /// Starts a cluster of one server.
    pub fn start_cluster(test: &str) -> Option<RedisServer> {
        let server = RedisServer::start_with(test, &["--cluster-enabled", "yes"])?;
        let mut connection = server.connect();
        cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(0).arg(16_383).exec(&mut connection).unwrap();
        wait_for("a whole cluster", || {
            let info: String = cmd("CLUSTER").arg("INFO").query(&mut connection).unwrap();
            info.contains("cluster_state:ok").then_some(())
        });
        Some(server)
    }

    /// Starts a server that speaks TLS, and nothing else, with the certificate of an authority. Gives its address too.
    pub fn start_tls(test: &str, authority: &Authority) -> Option<(RedisServer, String)> {
        let file = |path: &Path| path.to_str().unwrap().to_owned();
        let (certificate, key, ca) =
            (file(&authority.certificate_file), file(&authority.key_file), file(&authority.ca_file));
        // The plain port stays for the test, on the same data.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let tls_port = port.to_string();
        let flags = [
            ["--tls-port", &tls_port],
            ["--tls-cert-file", &certificate],
            ["--tls-key-file", &key],
            ["--tls-ca-cert-file", &ca],
            ["--tls-auth-clients", "no"],
        ];
        let server = RedisServer::start_with(test, flags.as_flattened())?;
        Some((server, format!("rediss://127.0.0.1:{tls_port}/0")))
    }

    fn start_with(test: &str, flags: &[&str]) -> Option<RedisServer> {
        if Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_err() {
            skipped(&format!("{test}: redis-server is missing"));
            return None;
        }
        // Between the choice of a port and its use somebody else may take it.
        (0..20).find_map(|_| {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            RedisServer::start_at_with(port, flags)
        })
    }

    /// Starts a server on a port; gives nothing where that is taken.
    pub fn start_at(port: u16) -> Option<RedisServer> {
        RedisServer::start_at_with(port, &[])
    }

    fn start_at_with(port: u16, flags: &[&str]) -> Option<RedisServer> {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("redis-server");
        command.args([
            "--bind",
            "127.0.0.1",
            "--port",
            &port.to_string(),
            "--save",
            "",
            "--appendonly",
            "no",
        ]);
        command.args(["--dir", dir.path().to_str().unwrap()]).args(flags);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut server = RedisServer { child: command.spawn().unwrap(), port, _dir: dir };
        let is_up = wait_for("answer of redis-server, or its end", || {
            if server.child.try_wait().unwrap().is_some() {
                return Some(false);
            }
            let mut connection = Client::open(server.url()).unwrap().get_connection().ok()?;
            connection.ping::<String>().ok().map(|_| true)
        });
        is_up.then_some(server)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    pub fn connect(&self) -> Connection {
        connect(&self.url())
    }

    /// Pauses it, or lets it go on: it keeps its connections and answers nothing meanwhile.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends it as `kill -9` does. Returns its port.
    pub fn kill(mut self) -> u16 {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.port
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Connects to a server.
pub fn connect(url: &str) -> Connection {
    Client::open(url).unwrap().get_connection().unwrap()
}

/// A part of a server's keys that is a test's own.
pub struct SharedRedis {
    pub url: String,
    pub prefix: String,
    /// Where no server was given: one of the test's own, as long as it lasts.
    _own: Option<RedisServer>,
}

impl SharedRedis {
    /// Takes the server that `make test` has started, else one of its own.
    pub fn take(test: &str) -> Option<SharedRedis> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let prefix = format!("{test}-{}-{}:", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        if let Ok(url) = std::env::var("TICKWIRE_TEST_REDIS") {
            return Some(SharedRedis { url, prefix, _own: None });
        }
        let own = RedisServer::start(test)?;
        Some(SharedRedis { url: own.url(), prefix, _own: Some(own) })
    }

    pub fn connect(&self) -> Connection {
        connect(&self.url)
    }

    /// Returns the text under a key.
    pub fn get(&self, key: &str) -> Option<String> {
        self.connect().get(format!("{}{key}", self.prefix)).unwrap()
    }

    /// Returns the milliseconds that a key has left.
    pub fn ttl(&self, key: &str) -> i64 {
        self.connect().pttl(format!("{}{key}", self.prefix)).unwrap()
    }
}
