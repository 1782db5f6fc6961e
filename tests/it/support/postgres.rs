//! A PostgreSQL that many tests share, each with a database of its own; and servers of a test's own, to be stopped, cut
//! off and promoted.

use super::process::wait_for;
use super::skip::skipped;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;

/// Returns where the server's programs are: Debian keeps them out of the path.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    found.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    found.reverse();
    found.extend(std::env::split_paths(&path));
    found.into_iter().find(|dir| dir.join("initdb").is_file() && dir.join("postgres").is_file())
}

/// Runs SQL on a connection of its own, in a thread of its own, so that tests may call it from anywhere.
pub fn execute(url: &str, sql: &str) {
    try_execute(url, sql).unwrap();
}

/// The same; gives what the server says where it refuses.
pub fn try_execute(url: &str, sql: &str) -> Result<(), String> {
    let (url, sql) = (url.to_owned(), sql.to_owned());
    let work = move || {
        block_on(async {
            let mut conn = PgConnection::connect(&url).await.map_err(|error| error.to_string())?;
            let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut conn).await;
            conn.close().await.map_err(|error| error.to_string())?;
            done.map(|_| ()).map_err(|error| error.to_string())
        })
    };
    std::thread::spawn(work).join().unwrap()
}

/// Returns the rows of a query as texts, the columns with `|` between.
pub fn rows(url: &str, sql: &str) -> Vec<String> {
    try_rows(url, sql).unwrap()
}

fn try_rows(url: &str, sql: &str) -> Result<Vec<String>, sqlx::Error> {
    let (url, sql) = (url.to_owned(), sql.to_owned());
    let work = move || {
        block_on(async {
            let mut conn = PgConnection::connect(&url).await?;
            let wrapped = format!(
                "SELECT array_to_string(ARRAY(SELECT value FROM json_each_text(row_to_json(found))), '|') FROM ({sql}) AS found"
            );
            let rows = sqlx::query_scalar(AssertSqlSafe(wrapped)).fetch_all(&mut conn).await;
            conn.close().await?;
            rows
        })
    };
    std::thread::spawn(work).join().unwrap()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// A server of a test's own.
pub struct PostgresServer {
    child: Option<Child>,
    dir: TempDir,
    port: u16,
    /// What stands behind the user in its address.
    password: String,
}

impl PostgresServer {
    /// Starts a server without data. Where there is none to start it says so, and with `CI=true` it fails.
    pub fn start(test: &str) -> Option<PostgresServer> {
        let dir = scratch(test)?;
        run(
            &dir,
            "initdb",
            &["-D", &data(&dir), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
        );
        Some(PostgresServer::launch(dir))
    }

    /// Starts a server that speaks TLS alone over TCP, and asks for a password there.
    pub fn start_secure(test: &str, certificate: &str, key: &str, password: &str) -> Option<PostgresServer> {
        let mut server = PostgresServer::start(test)?;
        execute(&server.url("postgres"), &format!("ALTER ROLE postgres PASSWORD '{password}'"));
        execute(&server.url("postgres"), "ALTER SYSTEM SET ssl = on");
        server.kill();
        let hosts = "hostssl all all 127.0.0.1/32 scram-sha-256\n";
        for (name, text) in [("server.crt", certificate), ("server.key", key), ("pg_hba.conf", hosts)] {
            let path = Path::new(&data(&server.dir)).join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            if let Some((user, group)) = server_user() {
                std::os::unix::fs::chown(&path, Some(user), Some(group)).unwrap();
            }
        }
        server.password = format!(":{password}");
        server.start_anywhere();
        server.password.clear();
        Some(server)
    }

    /// Starts a standby that follows this server.
    pub fn standby(&self, test: &str) -> PostgresServer {
        let dir = scratch(test).unwrap();
        let source = format!("host=127.0.0.1 port={} user=postgres", self.port);
        run(&dir, "pg_basebackup", &["-D", &data(&dir), "-d", &source, "-R", "-X", "stream", "-c", "fast"]);
        PostgresServer::launch(dir)
    }

    fn launch(dir: TempDir) -> PostgresServer {
        let mut server = PostgresServer { child: None, dir, port: 0, password: String::new() };
        server.start_anywhere();
        server
    }

    /// Starts it on a free port.
    fn start_anywhere(&mut self) {
        // Between the choice of a port and its use somebody else may take it.
        let is_up = (0..20).any(|_| {
            self.port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            self.start_again()
        });
        let log = || std::fs::read_to_string(self.dir.path().join("log"));
        assert!(is_up, "PostgreSQL does not start: {:?}", log());
    }

    /// Starts it on its port. Returns false where that is taken.
    pub fn start_again(&mut self) -> bool {
        let log = std::fs::File::create(self.dir.path().join("log")).unwrap();
        let mut command = command(&self.dir, "postgres");
        command.args([
            "-D",
            &data(&self.dir),
            "-p",
            &self.port.to_string(),
            "-c",
            "listen_addresses=127.0.0.1",
        ]);
        command.args(["-c", &format!("unix_socket_directories={}", data(&self.dir)), "-c", "fsync=off"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut child = command.spawn().unwrap();
        let is_up = wait_for("answer of PostgreSQL, or its end", || {
            if child.try_wait().unwrap().is_some() {
                return Some(false);
            }
            try_rows(&self.url("postgres"), "SELECT 1 AS one").is_ok().then_some(true)
        });
        self.child = is_up.then_some(child);
        is_up
    }

    /// Makes a standby a server that may be written to.
    pub fn promote(&self) {
        execute(&self.url("postgres"), "SELECT pg_promote()");
    }

    /// Ends it as `kill -9` of all its processes does: nothing is said to anybody.
    pub fn kill(&mut self) {
        run(&self.dir, "pg_ctl", &["-D", &data(&self.dir), "-m", "immediate", "-w", "stop"]);
        if let Some(mut child) = self.child.take() {
            child.wait().unwrap();
        }
    }

    /// Returns what the server has written down.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres{}@127.0.0.1:{}/{database}", self.password, self.port)
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}

fn data(dir: &TempDir) -> String {
    dir.path().join("data").to_str().unwrap().to_owned()
}

/// Makes a folder that the server may use.
fn scratch(test: &str) -> Option<TempDir> {
    if programs().is_none() {
        skipped(&format!("{test}: PostgreSQL is missing"));
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).unwrap();
    if let Some((user, group)) = server_user() {
        std::os::unix::fs::chown(&data, Some(user), Some(group)).unwrap();
    }
    Some(dir)
}

/// Returns who runs the server where that cannot be the user of the tests: it refuses to run as root.
fn server_user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let known = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = known.lines().find(|line| line.starts_with("postgres:")).expect("the package makes a user");
    let mut ids = line.split(':').skip(2).map(|id| id.parse().unwrap());
    Some((ids.next().unwrap(), ids.next().unwrap()))
}

fn command(dir: &TempDir, program: &str) -> Command {
    let mut command = Command::new(programs().unwrap().join(program));
    command.current_dir(Path::new("/")).env("TMPDIR", dir.path());
    if let Some((user, group)) = server_user() {
        command.uid(user).gid(group);
    }
    command
}

fn run(dir: &TempDir, program: &str, args: &[&str]) {
    let output = command(dir, program).args(args).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A database of a test's own on the server that tests share.
pub struct SharedPostgres {
    pub url: String,
    /// The server's address, with its superuser.
    pub server: String,
    name: String,
    /// Where no server was given: one of the test's own, as long as it lasts.
    _own: Option<PostgresServer>,
}

impl SharedPostgres {
    /// Makes a database on the server that `make test` has started, else on one of its own.
    pub fn take(test: &str) -> Option<SharedPostgres> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (server, own) = match std::env::var("TICKWIRE_TEST_POSTGRES") {
            Ok(url) => (url, None),
            Err(_) => {
                let own = PostgresServer::start(test)?;
                (own.url("postgres"), Some(own))
            }
        };
        let name = format!("t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        execute(&server, &format!("CREATE DATABASE {name}"));
        let mut url = url::Url::parse(&server).unwrap();
        url.set_path(&name);
        Some(SharedPostgres { url: url.into(), server, name, _own: own })
    }

    pub fn execute(&self, sql: &str) {
        execute(&self.url, sql);
    }

    pub fn rows(&self, sql: &str) -> Vec<String> {
        rows(&self.url, sql)
    }
}

impl Drop for SharedPostgres {
    fn drop(&mut self) {
        execute(&self.server, &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}
