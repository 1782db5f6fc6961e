//! A small world behind a real server: symbols, hand-made snapshots, and stores that are lists.

use crate::support::rows::block_on;
use async_trait::async_trait;
use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use tickwire::actors::health::HealthRegistry;
use tickwire::actors::snapshots::SymbolSnapshots;
use tickwire::actors::source_clocks::SourceClocks;
use tickwire::config::OriginPattern;
use tickwire::metrics::Metrics;
use tickwire::models::alert::{Alert, AlertStatus};
use tickwire::models::alerts::incident::Incident;
use tickwire::models::alerts::policy::Changes;
use tickwire::models::anomaly::{Anomaly, Severity};
use tickwire::models::bar::{Bar, BarOrigin, BarState};
use tickwire::models::effect::IndicatorPoint;
use tickwire::models::entry::{Body, Entry, Position, Trade, TradeId, Updates};
use tickwire::models::indicators::IndicatorValues;
use tickwire::models::ledger::Ledger;
use tickwire::models::num::{Price, Size};
use tickwire::models::prediction::Prediction;
use tickwire::models::provenance::Provenance;
use tickwire::models::settings::CoreSettings;
use tickwire::models::snapshot::{LastTrade, SymbolSnapshot, WindowSnapshot};
use tickwire::models::symbol::{SymbolDefinition, SymbolId, SymbolSpec, VenueSymbol};
use tickwire::models::time::{MINUTE, Nanos, SECOND, Width};
use tickwire::names::{SourceTable, SymbolTable};
use tickwire::stores::StoreError;
use tickwire::stores::history::alerts::AlertStore;
use tickwire::stores::history::memory::MemorySignals;
use tickwire::stores::history::signals::{
    AlertQuery, AnomalyQuery, Numbered, PredictionQuery, SignalBatch, SignalHistory,
};
use tickwire::stores::history::{DeadLetterQuery, DeadLetterRecord, History, HistoryBatch, WindowQuery};
use tickwire::stores::log::{
    CheckpointSet, CheckpointStore, Checkpoints, CommitLog, LogGroup, LogReader, LogTail, Partition, TickLog,
    TickQuery,
};
use tickwire::telemetry::Throttle;
use tickwire::web::recent::RecentBars;
use tickwire::web::routes;
use tickwire::web::server::{Endpoint, Server};
use tickwire::web::state::{AppState, STORE_FAULTS_PER_MINUTE};
use tickwire::web::visitors::Visitors;

/// Midnight before [`NOW`]; windows start here.
pub const START: Nanos = Nanos(1_693_872_000 * SECOND);
/// What the clock shows: 01:00:00.5 of that day.
pub const NOW: Nanos = Nanos(1_693_875_600 * SECOND + SECOND / 2);

/// A log that is a list.
#[derive(Default)]
pub struct ListLog {
    pub entries: Mutex<Vec<Entry>>,
    pub dropped_through: AtomicU64,
}

/// A history that is lists. It can be behind, and it can be down.
#[derive(Default)]
pub struct ListHistory {
    pub bars: Mutex<Vec<Bar>>,
    pub points: Mutex<Vec<IndicatorPoint>>,
    pub dead_letters: Mutex<Vec<DeadLetterRecord>>,
    pub signals: MemorySignals,
    pub acknowledged: AtomicU64,
    pub is_down: AtomicBool,
    /// Ticks are asked of it, and not of the log.
    pub keeps_ticks: AtomicBool,
    pub num_reads: AtomicU64,
}

impl ListHistory {
    fn read(&self) -> Result<(), StoreError> {
        self.num_reads.fetch_add(1, Ordering::SeqCst);
        if self.is_down.load(Ordering::SeqCst) {
            return Err(StoreError::Transient {
                context: "read bars",
                cause: "secret inner text".to_owned(),
            });
        }
        Ok(())
    }
}

#[async_trait]
impl CommitLog for ListLog {
    async fn append(&self, group: &LogGroup) -> Result<(), StoreError> {
        self.entries.lock().unwrap().extend(&group.entries);
        Ok(())
    }

    async fn retain(&self, _: Nanos, _: Position) -> Result<u64, StoreError> {
        Ok(0)
    }
}

#[async_trait]
impl LogReader for ListLog {
    async fn tail(&self) -> Result<LogTail, StoreError> {
        let dropped_through = self.dropped_through.load(Ordering::SeqCst);
        Ok(LogTail { dropped_through, ..LogTail::default() })
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let entries = self.entries.lock().unwrap();
        Ok(entries.iter().filter(|entry| entry.pos > after).take(limit).copied().collect())
    }

    async fn ticks(&self, query: &TickQuery) -> Result<Vec<Entry>, StoreError> {
        let key = |entry: &Entry| (entry.body.time(), entry.pos);
        let mut entries: Vec<Entry> = self
            .entries
            .lock()
            .unwrap()
            .iter()
            .filter(|entry| entry.symbol == query.symbol)
            .filter(|entry| (query.start..=query.end).contains(&entry.body.time()))
            .filter(|entry| query.before.is_none_or(|before| key(entry) < before))
            .copied()
            .collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(key(entry)));
        entries.truncate(query.limit);
        Ok(entries)
    }

    async fn progress(&self, _: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }
}

#[async_trait]
impl CheckpointStore for ListLog {
    async fn save_checkpoints(&self, _: Partition, _: &CheckpointSet) -> Result<(), StoreError> {
        Ok(())
    }

    async fn load_checkpoints(&self, _: Partition) -> Result<Checkpoints, StoreError> {
        Ok(Checkpoints::default())
    }

    async fn mark_poison(&self, _: Partition, _: Position) -> Result<(), StoreError> {
        Ok(())
    }

    async fn poison(&self, _: Partition) -> Result<Vec<Position>, StoreError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl TickLog for ListLog {}

#[async_trait]
impl SignalHistory for ListHistory {
    async fn write_signals(&self, batch: &SignalBatch) -> Result<(), StoreError> {
        self.signals.write_signals(batch).await
    }

    async fn anomalies(&self, query: &AnomalyQuery) -> Result<Vec<Numbered<Anomaly>>, StoreError> {
        self.read()?;
        self.signals.anomalies(query).await
    }

    async fn predictions(&self, query: &PredictionQuery) -> Result<Vec<Numbered<Prediction>>, StoreError> {
        self.read()?;
        self.signals.predictions(query).await
    }

    async fn newest_predictions(&self, symbol: &str) -> Result<Vec<Prediction>, StoreError> {
        self.read()?;
        self.signals.newest_predictions(symbol).await
    }

    async fn alerts(&self, query: &AlertQuery) -> Result<Vec<Numbered<Alert>>, StoreError> {
        self.read()?;
        self.signals.alerts(query).await
    }
}

#[async_trait]
impl History for ListHistory {
    fn alert_store(&self) -> Option<&dyn AlertStore> {
        Some(&self.signals)
    }

    async fn write(&self, _: &HistoryBatch) -> Result<(), StoreError> {
        Ok(())
    }

    async fn acknowledged(&self) -> Result<Position, StoreError> {
        Ok(self.acknowledged.load(Ordering::SeqCst))
    }

    async fn ticks(&self, _: &TickQuery) -> Result<Option<Vec<Entry>>, StoreError> {
        if !self.keeps_ticks.load(Ordering::SeqCst) {
            return Ok(None);
        }
        self.read().map(|()| Some(Vec::new()))
    }

    async fn revisions(&self, symbol: SymbolId, width: Width, limit: usize) -> Result<Vec<Bar>, StoreError> {
        self.read()?;
        let bars = self.bars.lock().unwrap();
        let mut bars: Vec<Bar> =
            bars.iter().filter(|bar| bar.symbol == symbol && bar.width == width).copied().collect();
        bars.sort_unstable_by_key(|bar| std::cmp::Reverse(bar.start));
        bars.truncate(limit);
        Ok(bars)
    }

    async fn bars(&self, query: &WindowQuery) -> Result<Vec<Bar>, StoreError> {
        self.read()?;
        let mut bars: Vec<Bar> = self
            .bars
            .lock()
            .unwrap()
            .iter()
            .filter(|bar| bar.symbol == query.symbol && bar.width == query.width)
            .filter(|bar| bar.start >= query.start && bar.end() <= query.end && bar.state != BarState::Void)
            .copied()
            .collect();
        bars.sort_by_key(|bar| std::cmp::Reverse(bar.start));
        bars.truncate(query.limit);
        Ok(bars)
    }

    async fn indicators(&self, query: &WindowQuery) -> Result<Vec<IndicatorPoint>, StoreError> {
        self.read()?;
        let mut points: Vec<IndicatorPoint> = self
            .points
            .lock()
            .unwrap()
            .iter()
            .filter(|point| point.symbol == query.symbol && point.width == query.width)
            .filter(|point| point.start >= query.start && point.start.plus(point.width.nanos()) <= query.end)
            .copied()
            .collect();
        points.sort_by_key(|point| std::cmp::Reverse(point.start));
        points.truncate(query.limit);
        Ok(points)
    }

    async fn scan(
        &self,
        _: Option<(SymbolId, Width, Nanos)>,
        _: usize,
    ) -> Result<Vec<(Bar, IndicatorPoint)>, StoreError> {
        Ok(Vec::new())
    }

    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<Vec<DeadLetterRecord>, StoreError> {
        self.read()?;
        let letters = self.dead_letters.lock().unwrap();
        let fits = |letter: &&DeadLetterRecord| {
            query.reason.as_ref().is_none_or(|reason| *reason == letter.reason)
                && (query.symbol.is_none() || query.symbol == letter.symbol)
                && query.start.is_none_or(|start| letter.received_at >= start)
                && query.before.is_none_or(|before| (letter.received_at, letter.id) < before)
        };
        let mut found: Vec<DeadLetterRecord> = letters.iter().filter(fits).cloned().collect();
        found.sort_by_key(|letter| std::cmp::Reverse((letter.received_at, letter.id)));
        found.truncate(query.limit);
        Ok(found)
    }

    async fn retain(&self, _: Nanos) -> Result<u64, StoreError> {
        Ok(0)
    }
}

/// The one-minute width.
pub fn minute() -> Width {
    Width::parse("1min").unwrap()
}

/// The bar of the n-th minute, closed.
pub fn bar(symbol: SymbolId, nth: i64) -> Bar {
    let price = |units: i64| Price((25_000 + nth) * 1_000_000_000 + units * 10_000_000);
    Bar {
        symbol,
        width: minute(),
        start: START.plus(nth * MINUTE),
        open: price(11),
        high: price(250),
        low: price(-50),
        close: price(100),
        volume: 350_000_000,
        vwap: Some((25_000 + nth) * 1_000_000_000 + 123_456_789),
        trade_count: 17,
        state: BarState::Closed,
        origin: BarOrigin::Trades,
        revision: 0,
        coverage: 1.0,
        late: 0,
        duplicates: 1,
        cancelled: 0,
        seq: nth as u64 + 1,
        log_pos: 100 * (nth as u64 + 1),
    }
}

/// The indicators of the n-th minute.
pub fn point(symbol: SymbolId, nth: i64) -> IndicatorPoint {
    let bar = bar(symbol, nth);
    IndicatorPoint {
        symbol,
        width: bar.width,
        start: bar.start,
        close: bar.close,
        vwap: bar.vwap,
        values: IndicatorValues {
            sma_20: Some(25_001.5),
            ema_12: Some(25_002.125),
            rsi_14: Some(55.5),
            ..IndicatorValues::default()
        },
        log_pos: bar.log_pos,
    }
}

/// A trade of the symbol with that position, that many milliseconds before [`NOW`].
pub fn trade(symbol: SymbolId, pos: Position, before_ms: i64) -> Entry {
    let ts = NOW.plus(-before_ms * 1_000_000);
    let trade = Trade {
        ts,
        received: ts.plus(2_500_000),
        price: Price(25_714_110_000_000),
        size: Size(25_000_000),
        seq: 0,
        id: TradeId::number(1_000 + pos),
        source: Default::default(),
        updates: Updates::ALL,
    };
    Entry { pos, symbol, body: Body::Trade(trade) }
}

/// A dead letter whose payload is its id.
pub fn letter(id: u64, received_at: Nanos) -> DeadLetterRecord {
    DeadLetterRecord {
        reason: "late".to_owned(),
        symbol: Some("BTC-USD".to_owned()),
        provider: "simulated".to_owned(),
        received_at,
        payload: id.to_string(),
        pos: Some(3),
        origin: String::new(),
        id,
    }
}

/// An anomaly of `BTC-USD` that many seconds before [`NOW`].
pub fn anomaly(number: u64, before: i64) -> Anomaly {
    let metadata = serde_json::json!({"bars": 20, "method": "mean"});
    Anomaly {
        id: format!("{number}-0"),
        time: NOW.plus(-before * SECOND),
        symbol: "BTC-USD".to_owned(),
        anomaly_type: "price_spike".to_owned(),
        severity: Severity::High,
        description: "12.5 % above the mean of 20 bars".to_owned(),
        current_value: Some(28_928.25),
        expected_value: Some(25_714.0),
        threshold: Some(5.0),
        metadata: metadata.as_object().unwrap().clone(),
        log_pos: number,
        ..Anomaly::default()
    }
}

/// What the model said of the close of `BTC-USD` that many minutes ahead.
pub fn prediction(horizon_minutes: u32, time: Nanos) -> Prediction {
    Prediction {
        symbol: "BTC-USD".to_owned(),
        time,
        horizon_minutes,
        model_version: "20230905T0000-1".to_owned(),
        current_price: 25_714.11,
        predicted_price: 25_716.5,
        confidence: 0.61,
        lower: Some(25_700.0),
        upper: Some(25_733.0),
        skill: Some(0.08),
        ..Prediction::default()
    }
}

/// Returns the open incident of an anomaly.
pub fn incident_of(anomaly: &Anomaly) -> Incident {
    Incident::new(anomaly, anomaly.time)
}

/// The alert of an anomaly.
pub fn alert_of(anomaly: &Anomaly) -> Alert {
    Alert {
        id: format!("{}-slack", anomaly.id),
        time: anomaly.time.plus(SECOND / 4),
        symbol: anomaly.symbol.clone(),
        anomaly_type: anomaly.anomaly_type.clone(),
        severity: anomaly.severity,
        channel: "slack".to_owned(),
        status: AlertStatus::Sent,
        reason: String::new(),
        attempts: 1,
        anomaly_id: anomaly.id.clone(),
    }
}

/// The snapshot of a symbol whose newest closed bar is that of the n-th minute, with the next one forming.
pub fn snapshot_of(symbol: SymbolId, nth: i64) -> SymbolSnapshot {
    let forming = Bar { state: BarState::Forming, ..bar(symbol, nth + 1) };
    let closed = bar(symbol, nth);
    let ledger = Ledger { received: 20, in_bars: 17, late: 2, duplicate: 1, ..Ledger::default() };
    let window = WindowSnapshot {
        width: minute(),
        forming: Some(forming),
        closed: Some(closed),
        indicators: Some(point(symbol, nth)),
        preview: None,
        seq: closed.seq,
    };
    SymbolSnapshot {
        symbol,
        pos: closed.log_pos + 50,
        last: Some(LastTrade {
            ts: NOW.plus(-42_000_000),
            received: NOW.plus(-40_000_000),
            price: Price(25_714_110_000_000),
            size: Size(25_000_000),
            updates: Updates::ALL,
            seq: 17,
        }),
        reference: Some(Price(25_000_000_000_000)),
        source: Default::default(),
        charged_from: Nanos::MIN,
        watermark: NOW.plus(-2 * SECOND),
        sealed_until: NOW.plus(-400 * SECOND),
        ledger,
        ledgers: Arc::new([(Default::default(), ledger)]),
        windows: Arc::new([window]),
    }
}

/// A running server and what is behind it.
pub struct World {
    pub state: Arc<AppState>,
    pub log: Arc<ListLog>,
    pub history: Arc<ListHistory>,
    pub now: Arc<AtomicI64>,
    pub btc: SymbolId,
    server: Option<Server>,
    agent: ureq::Agent,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl World {
    /// Starts a world of three symbols: `BTC-USD` has data, `BRK.B` has none, `ETH-USD` and `ETH-USDT` share no alias
    /// but `EUR-USD` and `EURU-SD` do.
    pub fn start() -> World {
        let symbols = Arc::new(SymbolTable::default());
        let btc = symbols.intern(SymbolSpec::named("BTC-USD"));
        let spelling = VenueSymbol::new("X:BTCUSD").unwrap();
        symbols.define(btc, &SymbolDefinition::of(&symbols.spec(btc), spelling));
        for name in ["BRK.B", "EUR-USD", "EURU-SD"] {
            symbols.intern(SymbolSpec::named(name));
        }
        let sources = Arc::new(SourceTable::default());
        sources.intern("simulated");
        let (log, history) = (Arc::new(ListLog::default()), Arc::new(ListHistory::default()));
        let health = Arc::new(HealthRegistry::default());
        health.set_ready(true);
        let now = Arc::new(AtomicI64::new(NOW.0));
        let clock = {
            let now = Arc::clone(&now);
            Arc::new(move || Nanos(now.load(Ordering::SeqCst)))
        };
        let state = Arc::new(AppState {
            symbols,
            sources,
            snapshots: Arc::new(SymbolSnapshots::default()),
            clocks: Arc::new(SourceClocks::default()),
            log: log.clone(),
            history: history.clone(),
            health,
            metrics: Arc::new(Metrics::new(500)),
            cache: None,
            recent: RecentBars::new(8 << 20),
            clock,
            core: Arc::new(CoreSettings::default()),
            provenance: Provenance::simulated(),
            shown_until: OnceLock::new(),
            store_faults: Throttle::new(STORE_FAULTS_PER_MINUTE),
            version: "0.1.0",
            started: START,
            visitors: Visitors::new(&OriginPattern::of_this_machine(), ["127.0.0.1"]),
            live: None,
            symbol_control: None,
            looked_for: Arc::default(),
            detection_control: None,
        });
        let listener = || TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoints = vec![
            Endpoint { listener: listener(), routes: routes::rest, workers: 1 },
            Endpoint { listener: listener(), routes: routes::metrics, workers: 1 },
            Endpoint { listener: listener(), routes: routes::dashboard, workers: 1 },
        ];
        let server = Server::start(endpoints, Arc::clone(&state)).unwrap();
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        World { state, log, history, now, btc, server: Some(server), agent }
    }

    /// Fills the world: twelve bars with indicators (the history knows ten), ticks, a dead letter.
    pub fn filled() -> World {
        let world = World::start();
        world.history.bars.lock().unwrap().extend((0..10).map(|nth| bar(world.btc, nth)));
        world.history.points.lock().unwrap().extend((0..10).map(|nth| point(world.btc, nth)));
        world.history.acknowledged.store(bar(world.btc, 9).log_pos, Ordering::SeqCst);
        world
            .log
            .entries
            .lock()
            .unwrap()
            .extend((1..=5).map(|pos| trade(world.btc, pos, 1_000 * pos as i64)));
        let letter =
            DeadLetterRecord { payload: "{\"price\":1}".to_owned(), ..letter(1, NOW.plus(-5 * SECOND)) };
        world.history.dead_letters.lock().unwrap().push(letter);
        let found = anomaly(1, 5);
        world.write_signals(&SignalBatch {
            alerts: vec![alert_of(&found)],
            anomalies: vec![found],
            predictions: [5, 1].map(|minutes| prediction(minutes, NOW.plus(MINUTE))).into(),
        });
        let incidents = vec![incident_of(&anomaly(1, 5))];
        let changes = Changes { incidents, ..Changes::default() };
        block_on(world.history.signals.decide("", &[], &changes)).unwrap();
        world.state.snapshots.publish(snapshot_of(world.btc, 9));
        world
    }

    /// Writes anomalies, predictions and alerts.
    pub fn write_signals(&self, batch: &SignalBatch) {
        block_on(self.history.write_signals(batch)).unwrap();
    }

    /// Asks the REST port.
    pub fn get(&self, path: &str) -> Answer {
        self.ask(path, &[])
    }

    /// Asks the REST port with headers.
    pub fn ask(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", 0, path, headers)
    }

    /// Returns where a port listens: 0 is REST, 1 metrics, 2 the dashboard.
    pub fn address(&self, port: usize) -> SocketAddr {
        self.server.as_ref().unwrap().addresses()[port]
    }

    /// Sends a request to one of the ports: 0 is REST, 1 metrics, 2 the dashboard.
    pub fn send(&self, method: &str, port: usize, path: &str, headers: &[(&str, &str)]) -> Answer {
        let address = self.address(port);
        let mut request =
            ureq::http::Request::builder().method(method).uri(format!("http://{address}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.run(request.body(Vec::new()).unwrap())
    }

    /// Sends JSON to the REST port.
    pub fn post(&self, path: &str, json: &str) -> Answer {
        let uri = format!("http://{}{path}", self.address(0));
        let request = ureq::http::Request::builder().method("POST").uri(uri);
        let request = request.header("Content-Type", "application/json");
        self.run(request.body(json.as_bytes().to_vec()).unwrap())
    }

    fn run(&self, request: ureq::http::Request<Vec<u8>>) -> Answer {
        let mut response = self.agent.run(request).unwrap();
        let mut body = Vec::new();
        response.body_mut().as_reader().read_to_end(&mut body).unwrap();
        Answer { status: response.status().as_u16(), headers: response.headers().clone(), body }
    }

    /// Stops the server.
    pub fn stop(mut self) {
        let server = self.server.take().unwrap();
        assert!(server.is_running());
        server.stop().unwrap();
    }
}
