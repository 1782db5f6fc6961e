//! Prometheus Alertmanager itself: what begins there, what ends, and whom it tells.

use super::{PATIENCE, spike, trusting};
use crate::support::process::wait_for;
use crate::support::receiver::Receiver;
use crate::support::skip::skipped;
use crate::support::tls::Authority;
use serde_json::Value;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tickwire::actors::channels::alertmanager::{AlertmanagerChannel, AlertmanagerSettings};
use tickwire::clock::{Clock, SystemClock};
use tickwire::models::anomaly::Severity;
use tickwire::models::notification::{Channel, Notification, NotificationKind, SendError};
use tickwire::models::time::MINUTE;

/// Debian's name, and the project's own.
const PROGRAMS: [&str; 2] = ["prometheus-alertmanager", "alertmanager"];

/// An Alertmanager of a test's own, which tells a receiver.
struct Alertmanager {
    child: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Alertmanager {
    /// Starts one; `None`, said out loud, where it is not installed.
    fn start(tells: &Receiver) -> Option<Alertmanager> {
        let is_there = |name: &&str| Command::new(name).arg("--version").output().is_ok();
        let Some(program) = PROGRAMS.into_iter().find(is_there) else {
            skipped("prometheus-alertmanager is missing");
            return None;
        };
        // Between the choice of a port and its use somebody else may take it.
        (0..20).find_map(|_| Alertmanager::start_once(program, tells))
    }

    fn start_once(program: &str, tells: &Receiver) -> Option<Alertmanager> {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "route:\n  receiver: desk\n  group_by: [alertname, symbol]\n  group_wait: 10ms\n  group_interval: 10ms\n\
             receivers:\n- name: desk\n  webhook_configs:\n  - url: {}\n    send_resolved: true\n",
            tells.url("/told")
        );
        let file = dir.path().join("alertmanager.yml");
        std::fs::write(&file, config).unwrap();
        let child = Command::new(program)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.path={}", dir.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address=")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Alertmanager { child, port, _dir: dir };
        let is_up = wait_for("answer of Alertmanager, or its end", || {
            if server.child.try_wait().unwrap().is_some() {
                return Some(false);
            }
            ureq::get(format!("{}/-/ready", server.url())).call().ok().map(|_| true)
        });
        is_up.then_some(server)
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns the alerts that are open.
    fn open(&self) -> Vec<Value> {
        let mut answer = ureq::get(format!("{}/api/v2/alerts?active=true", self.url())).call().unwrap();
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn channel(url: &str, authority: &Authority) -> AlertmanagerChannel {
    let settings = AlertmanagerSettings {
        url: url.parse().unwrap(),
        tls: trusting(&authority.ca_file),
        timeout: PATIENCE,
        open_for: Duration::from_hours(24),
    };
    AlertmanagerChannel::new(&settings, Arc::new(SystemClock))
}

/// Returns what Alertmanager told: the status, and the symbol.
fn told(desk: &Receiver) -> Vec<(String, String)> {
    let told = |alert: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&alert["status"]), text(&alert["labels"]["symbol"]))
    };
    desk.posts()
        .iter()
        .flat_map(|post| post.json()["alerts"].as_array().unwrap().iter().map(told).collect::<Vec<_>>())
        .collect()
}

#[tokio::test]
async fn what_fires_is_open_there_until_it_is_resolved() {
    let desk = Receiver::plain();
    let Some(alertmanager) = Alertmanager::start(&desk) else { return };
    let channel = channel(&alertmanager.url(), &Authority::new());
    let now = SystemClock.now();
    let symbols = vec!["AAPL".to_owned(), "BTC-USD".to_owned()];
    let fired = Notification { symbols, time: now, began: now, ..spike() };
    // A repeat changes nothing.
    for _ in 0..2 {
        assert!(channel.send(&fired).await.unwrap().0.starts_with("200"));
    }
    let mut open = alertmanager.open();
    assert_eq!(open.len(), 2, "{open:?}");
    open.sort_by_key(|alert| alert["labels"]["symbol"].as_str().unwrap().to_owned());
    let alert = &open[1];
    assert_eq!(alert["labels"]["alertname"], "price_spike");
    assert_eq!(
        (&alert["labels"]["symbol"], &alert["labels"]["severity"]),
        (&"BTC-USD".into(), &"high".into())
    );
    assert_eq!(alert["annotations"]["summary"], "[high] AAPL: 6.3 % off the mean of 20 bars");
    assert_eq!(alert["annotations"]["threshold"], "5 %");
    assert_eq!(alert["generatorURL"], "https://desk.example/#/AAPL");
    wait_for("news of what fires", || (told(&desk).len() >= 2).then_some(()));

    let end = Notification {
        kind: NotificationKind::Resolved,
        // Nobody need remember what it began with.
        severity: Severity::Low,
        symbols: vec!["BTC-USD".to_owned()],
        time: now.plus(1),
        ..fired.clone()
    };
    channel.send(&end).await.unwrap();
    wait_for("the end", || {
        let open = alertmanager.open();
        (open.len() == 1 && open[0]["labels"]["symbol"] == "AAPL").then_some(())
    });
    wait_for("news of the end", || {
        told(&desk).contains(&("resolved".to_owned(), "BTC-USD".to_owned())).then_some(())
    });
    assert!(!told(&desk).contains(&("resolved".to_owned(), "AAPL".to_owned())));
}

#[tokio::test]
async fn what_alertmanager_refuses_is_said() {
    let desk = Receiver::plain();
    let Some(alertmanager) = Alertmanager::start(&desk) else { return };
    let authority = Authority::new();
    let nameless = Notification { alert_type: String::new(), symbols: Vec::new(), ..spike() };
    // What began long ago by its data is open now.
    let old = channel(&alertmanager.url(), &authority)
        .send(&Notification { began: spike().time.plus(-MINUTE), ..spike() })
        .await;
    assert!(old.is_ok() && alertmanager.open().len() == 1, "{old:?}");
    let bad_link = Notification { link: Some("not an address".to_owned()), ..nameless };
    let error = channel(&alertmanager.url(), &authority).send(&bad_link).await.unwrap_err();
    assert!(matches!(error, SendError::Refused { .. }), "{error:?}");
    let error =
        channel(&format!("{}/elsewhere", alertmanager.url()), &authority).send(&spike()).await.unwrap_err();
    assert!(matches!(error, SendError::Unusable { .. }), "{error:?}");
}
