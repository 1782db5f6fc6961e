//! A manager and a sender over one history, with a channel that does what it is told.

use async_trait::async_trait;
use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tickwire::actors::alerts::deliver::{Deliver, Outcome, Round};
use tickwire::actors::alerts::manager::{Manager, ManagerParts, Turn};
use tickwire::actors::alerts::outages::FeedWatch;
use tickwire::actors::alerts::sender::{Sender, SenderParts};
use tickwire::actors::health::HealthRegistry;
use tickwire::metrics::Metrics;
use tickwire::models::alert::Alert;
use tickwire::models::alerts::settings::{AlertSettings, Route};
use tickwire::models::anomaly::{Anomaly, AnomalyState, Severity};
use tickwire::models::notification::{Notification, NotificationKind, SendError};
use tickwire::models::time::{DAY, Nanos, SECOND};
use tickwire::names::{SourceTable, SymbolTable};
use tickwire::stores::history::History;
use tickwire::stores::history::memory::MemoryHistory;
use tickwire::stores::history::signals::{AlertQuery, SignalBatch, SignalPage};
use tickwire::stores::history::sqlite::SqliteHistory;
use tickwire::stores::sqlite::SqliteSettings;

pub const BEGIN: Nanos = Nanos(1_780_000_000 * SECOND);

/// A channel that takes everything but where it was told to fail, and remembers what it took.
#[derive(Default)]
pub struct Scripted {
    pub name: &'static str,
    pub faults: Mutex<VecDeque<SendError>>,
    pub taken: Mutex<Vec<Notification>>,
}

impl Scripted {
    fn send(&self, notification: &Notification) -> Result<(), SendError> {
        if let Some(fault) = self.faults.lock().unwrap().pop_front() {
            return Err(fault);
        }
        self.taken.lock().unwrap().push(notification.clone());
        Ok(())
    }
}

/// Channels that are asked in the order of the route: what may pass is tried again, anything else falls back.
pub struct Channels(pub Vec<Arc<Scripted>>);

#[async_trait]
impl Deliver for Channels {
    fn names(&self) -> Vec<String> {
        self.0.iter().map(|channel| channel.name.to_owned()).collect()
    }

    async fn deliver(&self, route: &[String], notification: &Notification, _: u32) -> Round {
        let mut cause = String::new();
        for name in route {
            let channel = self.0.iter().find(|channel| channel.name == name).expect("it is ours");
            let outcome = match channel.send(notification) {
                Ok(()) => Outcome::Sent(name.clone()),
                Err(SendError::Transient { cause, .. }) => {
                    return Round { outcome: Outcome::Retry(Duration::from_secs(1)), was_tried: true, cause };
                }
                Err(error) => {
                    if cause.is_empty() {
                        cause = error.to_string();
                    }
                    continue;
                }
            };
            return Round { outcome, was_tried: true, cause };
        }
        Round { outcome: Outcome::GivenUp, was_tried: true, cause }
    }
}

/// Feeds that are down where a test says so.
#[derive(Default)]
pub struct Feeds(pub Mutex<BTreeSet<String>>);

impl FeedWatch for Feeds {
    fn down(&self, _: Nanos) -> BTreeSet<String> {
        self.0.lock().unwrap().clone()
    }
}

pub struct World {
    pub history: Arc<dyn History>,
    pub manager: Manager,
    pub senders: Vec<Sender>,
    pub slack: Arc<Scripted>,
    pub email: Arc<Scripted>,
    pub feeds: Arc<Feeds>,
    pub metrics: Arc<Metrics>,
    pub health: Arc<HealthRegistry>,
    now: Arc<AtomicI64>,
    settings: AlertSettings,
}

pub fn settings() -> AlertSettings {
    let route =
        Route { channels: vec!["slack".to_owned()], fallback: vec!["email".to_owned()], ..Route::default() };
    AlertSettings { routes: vec![route], ..AlertSettings::default() }
}

pub fn anomaly(symbol: &str, anomaly_type: &str, seconds: i64) -> Anomaly {
    Anomaly {
        id: format!("{symbol}/{anomaly_type}/{seconds}"),
        time: BEGIN.plus(seconds * SECOND),
        symbol: symbol.to_owned(),
        anomaly_type: anomaly_type.to_owned(),
        severity: Severity::High,
        description: "far off".to_owned(),
        current_value: Some(231.5),
        log_pos: 10,
        ..Anomaly::default()
    }
}

pub fn busy() -> SendError {
    SendError::Transient { cause: "busy".to_owned(), retry_after: None, may_have_arrived: false }
}

impl World {
    pub fn in_memory(settings: AlertSettings) -> World {
        let history =
            MemoryHistory::new(Arc::new(SymbolTable::default()), Arc::new(SourceTable::default()), 10);
        World::over(Arc::new(history), settings)
    }

    pub async fn on_disk(dir: &Path, settings: AlertSettings) -> World {
        World::over(on_disk(dir).await, settings)
    }

    pub fn over(history: Arc<dyn History>, settings: AlertSettings) -> World {
        let now = Arc::new(AtomicI64::new(BEGIN.0));
        let slack = Arc::new(Scripted { name: "slack", ..Scripted::default() });
        let email = Arc::new(Scripted { name: "email", ..Scripted::default() });
        World::with(history, settings, now, slack, email)
    }

    fn with(
        history: Arc<dyn History>,
        settings: AlertSettings,
        now: Arc<AtomicI64>,
        slack: Arc<Scripted>,
        email: Arc<Scripted>,
    ) -> World {
        let (metrics, feeds) = (Arc::new(Metrics::new(0)), Arc::new(Feeds::default()));
        let health = Arc::<HealthRegistry>::default();
        let manager = Manager::new(ManagerParts {
            history: Arc::clone(&history),
            settings: settings.clone(),
            owner: "test".to_owned(),
            feeds: Arc::clone(&feeds) as Arc<dyn FeedWatch>,
            symbols: Arc::default(),
            width: None,
            metrics: Arc::clone(&metrics),
            health: Arc::clone(&health),
        });
        let clock = Arc::clone(&now);
        let parts = SenderParts {
            history: Arc::clone(&history),
            deliveries: Arc::new(Channels(vec![Arc::clone(&slack), Arc::clone(&email)])),
            owner: format!("{:x}", rand::random::<u64>()),
            outbox_age: DAY,
            metrics: Arc::clone(&metrics),
            health: Arc::clone(&health),
            now: Arc::new(move || Nanos(clock.load(Ordering::SeqCst))),
        };
        let senders =
            vec![Sender::new(parts.clone(), "slack".to_owned()), Sender::new(parts, "email".to_owned())];
        World { history, manager, senders, slack, email, feeds, metrics, health, now, settings }
    }

    /// Begins again over the same history, as a new process would.
    pub fn restart(self) -> World {
        World::with(self.history, self.settings, self.now, self.slack, self.email)
    }

    pub async fn write(&self, anomalies: Vec<Anomaly>) {
        let batch = SignalBatch { anomalies, ..SignalBatch::default() };
        self.history.write_signals(&batch).await.expect("writes");
    }

    /// Goes to a second, decides there, and sends what is due.
    pub async fn at(&mut self, seconds: i64) -> Turn {
        let now = BEGIN.plus(seconds * SECOND);
        self.now.store(now.0, Ordering::SeqCst);
        let turn = self.manager.turn(now).await.expect("decides");
        self.send().await;
        turn
    }

    pub async fn send(&self) {
        for sender in &self.senders {
            sender.turn().await.expect("reads");
        }
    }

    /// Returns what a channel was told: kinds and titles.
    pub fn told(channel: &Scripted) -> Vec<(NotificationKind, String)> {
        let taken = channel.taken.lock().unwrap();
        taken.iter().map(|notification| (notification.kind, notification.title.clone())).collect()
    }

    /// Returns the decisions, oldest first.
    pub async fn decisions(&self) -> Vec<Alert> {
        let query = AlertQuery {
            symbol: None,
            anomaly_type: None,
            severity: None,
            channel: None,
            status: None,
            anomaly_id: None,
            page: SignalPage::newest(100_000),
        };
        let found = self.history.alerts(&query).await.expect("reads");
        found.into_iter().rev().map(|found| found.row).collect()
    }
}

pub async fn on_disk(dir: &Path) -> Arc<dyn History> {
    let (symbols, sources) = (Arc::default(), Arc::default());
    let history = SqliteHistory::open(dir, symbols, sources, SqliteSettings::default(), 7).await;
    Arc::new(history.expect("opens"))
}

pub fn ended(anomaly: &Anomaly) -> Anomaly {
    Anomaly { state: AnomalyState::Ended, log_pos: anomaly.log_pos + 1, ..anomaly.clone() }
}

pub fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(test)
}
