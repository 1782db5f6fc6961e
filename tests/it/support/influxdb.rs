//! A real InfluxDB for tests: the one that `make test` has started, or one of a test's own, to be stopped and brought back.

use super::process::wait_for;
use super::skip::skipped;
use super::tls::Authority;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;

/// The organization of every server of the tests.
pub const ORG: &str = "tickwire";

/// A row of an answer to a query: its columns by name.
pub type Row = BTreeMap<String, String>;

/// Where a server is, and a bucket that is a test's own.
#[derive(Clone)]
pub struct Influx {
    pub url: String,
    /// It may do everything.
    pub token: String,
    pub bucket: String,
    agent: ureq::Agent,
    /// Where no server was given: one of the test's own, as long as it lasts.
    _own: Option<Arc<InfluxServer>>,
}

/// A server of a test's own.
pub struct InfluxServer {
    child: Child,
    port: u16,
    dir: Option<TempDir>,
    is_tls: bool,
}

/// Returns the server's program; without one it says so, and with `CI=true` it fails.
fn program(test: &str) -> Option<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/influxdb.sh");
    let found = Command::new(script).arg("--cached").output().unwrap();
    if found.status.success() {
        return Some(PathBuf::from(String::from_utf8(found.stdout).unwrap().trim()));
    }
    skipped(&format!("{test}: InfluxDB has not been built: scripts/influxdb.sh does"));
    None
}

impl InfluxServer {
    /// Starts a server without data on a free port.
    pub fn start(test: &str) -> Option<InfluxServer> {
        let program = program(test)?;
        let dir = tempfile::tempdir().unwrap();
        // Between the choice of a port and its use somebody else may take it.
        let start = |_| InfluxServer::start_at(&program, free_port(), dir.path(), None);
        let mut server = (0..20).find_map(start)?;
        server.dir = Some(dir);
        Some(server)
    }

    fn start_at(program: &Path, port: u16, dir: &Path, tls: Option<&Authority>) -> Option<InfluxServer> {
        let mut command = Command::new(program);
        command.args(["--http-bind-address", &format!("127.0.0.1:{port}"), "--reporting-disabled"]);
        for (flag, file) in
            [("--bolt-path", "bolt"), ("--sqlite-path", "sqlite"), ("--engine-path", "engine")]
        {
            command.arg(flag).arg(dir.join(file));
        }
        if let Some(tls) = tls {
            command.arg("--tls-cert").arg(&tls.certificate_file).arg("--tls-key").arg(&tls.key_file);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut server =
            InfluxServer { child: command.spawn().unwrap(), port, dir: None, is_tls: tls.is_some() };
        let is_up = wait_for("answer of InfluxDB, or its end", || {
            if server.child.try_wait().unwrap().is_some() {
                return Some(false);
            }
            if server.is_tls {
                return TcpStream::connect(("127.0.0.1", port)).ok().map(|_| true);
            }
            let health = agent().get(format!("{}/health", server.url())).call();
            health.ok().filter(|answer| answer.status() == 200).map(|_| true)
        });
        is_up.then_some(server)
    }

    pub fn url(&self) -> String {
        format!("http{}://127.0.0.1:{}", if self.is_tls { "s" } else { "" }, self.port)
    }

    /// Makes user, organization and token. Returns the server as tests use it.
    pub fn set_up(&self, test: &str) -> Influx {
        let token = "token-of-this-test".to_owned();
        let body = json!({
            "username": "tickwire", "password": "a-password", "org": ORG, "bucket": "first", "token": token
        });
        let influx = Influx { url: self.url(), token, bucket: bucket(test), agent: agent(), _own: None };
        assert_eq!(influx.post("/api/v2/setup", &body).0, 201);
        influx
    }

    /// Ends it as `kill -9` does. Returns what it takes to bring it back.
    pub fn kill(mut self) -> Stopped {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        Stopped { port: self.port, dir: self.dir.take().unwrap() }
    }
}

impl Drop for InfluxServer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A server that was killed.
pub struct Stopped {
    port: u16,
    dir: TempDir,
}

impl Stopped {
    /// Starts it again where it was, with what it holds; with an authority it speaks TLS.
    pub fn start(self, tls: Option<&Authority>) -> InfluxServer {
        let program = program("a server that ran").unwrap();
        let mut server = InfluxServer::start_at(&program, self.port, self.dir.path(), tls).unwrap();
        server.dir = Some(self.dir);
        server
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn bucket(test: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{test}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}

impl Influx {
    /// Takes the server that `make test` has started, else one of its own.
    pub fn take(test: &str) -> Option<Influx> {
        let given = |name: &str| std::env::var(format!("TICKWIRE_TEST_INFLUXDB{name}")).ok();
        if let (Some(url), Some(token)) = (given(""), given("_TOKEN")) {
            return Some(Influx { url, token, bucket: bucket(test), agent: agent(), _own: None });
        }
        let own = InfluxServer::start(test)?;
        let influx = own.set_up(test);
        Some(Influx { _own: Some(Arc::new(own)), ..influx })
    }

    /// Returns the same server with another bucket.
    pub fn with_bucket(&self, bucket: String) -> Influx {
        Influx { bucket, ..self.clone() }
    }

    fn post(&self, path: &str, body: &Value) -> (u16, String) {
        let mut answer = self
            .agent
            .post(format!("{}{path}", self.url))
            .header("Authorization", format!("Token {}", self.token))
            .send_json(body)
            .unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    }

    fn get(&self, path: &str) -> Value {
        let answer = self
            .agent
            .get(format!("{}{path}", self.url))
            .header("Authorization", format!("Token {}", self.token))
            .call();
        answer.unwrap().body_mut().read_json().unwrap()
    }

    /// Returns the number of the organization.
    fn org_id(&self) -> String {
        self.get(&format!("/api/v2/orgs?org={ORG}"))["orgs"][0]["id"].as_str().unwrap().to_owned()
    }

    /// Returns a bucket as the server describes it.
    pub fn bucket_named(&self, name: &str) -> Option<Value> {
        self.get(&format!("/api/v2/buckets?org={ORG}&name={name}"))["buckets"].get(0).cloned()
    }

    /// Makes the test's bucket, which keeps points for so many seconds; 0 is for ever.
    pub fn make_bucket(&self, seconds: u64) {
        let rules =
            if seconds == 0 { json!([]) } else { json!([{"type": "expire", "everySeconds": seconds}]) };
        let body = json!({"orgID": self.org_id(), "name": self.bucket, "retentionRules": rules});
        assert_eq!(self.post("/api/v2/buckets", &body).0, 201);
    }

    /// Makes a token that may do this, and nothing else, with the test's bucket.
    pub fn token_for(&self, actions: &[&str]) -> String {
        let bucket = self.bucket_named(&self.bucket).unwrap();
        let resource = json!({"type": "buckets", "id": bucket["id"], "orgID": bucket["orgID"]});
        let permissions: Vec<Value> =
            actions.iter().map(|action| json!({"action": action, "resource": resource})).collect();
        let body = json!({"orgID": bucket["orgID"], "permissions": permissions});
        let (status, answer) = self.post("/api/v2/authorizations", &body);
        assert_eq!(status, 201, "{answer}");
        serde_json::from_str::<Value>(&answer).unwrap()["token"].as_str().unwrap().to_owned()
    }

    /// Writes line protocol into the test's bucket.
    pub fn write(&self, lines: &str) {
        let url = format!("{}/api/v2/write?org={ORG}&bucket={}&precision=ns", self.url, self.bucket);
        let mut answer = self
            .agent
            .post(url)
            .header("Authorization", format!("Token {}", self.token))
            .send(lines)
            .unwrap();
        assert_eq!(answer.status(), 204, "{:?}", answer.body_mut().read_to_string());
    }

    /// Asks in Flux. Returns the rows of all tables.
    pub fn query(&self, flux: &str) -> Vec<Row> {
        let path = format!("/api/v2/query?org={ORG}");
        let (status, answer) = self.post(&path, &json!({"query": flux, "type": "flux"}));
        assert_eq!(status, 200, "{flux}: {answer}");
        let mut rows = Vec::new();
        // Tables with other columns begin with a head of their own, after an empty line.
        for table in answer.replace("\r\n", "\n").split("\n\n").filter(|table| !table.trim().is_empty()) {
            let mut reader = csv::Reader::from_reader(table.trim_start().as_bytes());
            rows.extend(reader.deserialize::<Row>().map(Result::unwrap));
        }
        rows
    }

    /// Returns the points of a measurement in a bucket, whatever their time: each its time, its tags and its fields.
    pub fn points(&self, bucket: &str, measurement: &str) -> Vec<Row> {
        self.query(&format!(
            "from(bucket: \"{bucket}\") |> range(start: 1970-01-01T00:00:00Z, stop: 2200-01-01T00:00:00Z) \
             |> filter(fn: (r) => r._measurement == \"{measurement}\") \
             |> pivot(rowKey: [\"_time\"], columnKey: [\"_field\"], valueColumn: \"_value\") |> group() \
             |> sort(columns: [\"_time\"])"
        ))
    }

    /// Returns the runs of our task that have ended well.
    pub fn successful_runs(&self, task: &str) -> usize {
        let tasks = self.get(&format!("/api/v2/tasks?org={ORG}&limit=500"));
        let found = tasks["tasks"].as_array().unwrap().iter().find(|found| found["name"] == task);
        let Some(id) = found.and_then(|found| found["id"].as_str()) else { return 0 };
        let runs = self.get(&format!("/api/v2/tasks/{id}/runs"));
        let runs = runs["runs"].as_array().cloned().unwrap_or_default();
        runs.iter().filter(|run| run["status"] == "success").count()
    }
}
