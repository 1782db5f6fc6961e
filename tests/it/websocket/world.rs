//! A hub behind a real server, fed by hand, and a client.

use crate::support::anomalies::price_spike;
use serde_json::Value;
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::sync::{Arc, OnceLock, mpsc};
use std::time::{Duration, Instant};
use tickwire::actors::faults::FaultPlan;
use tickwire::actors::health::{Health, HealthRegistry};
use tickwire::actors::hub::demand::LiveDemand;
use tickwire::actors::hub::messages::{Announce, BeginServing, StopServing};
use tickwire::actors::hub::{HubActor, HubSettings};
use tickwire::actors::messages::{LiveBatch, LiveTick};
use tickwire::actors::partition::durability::Durability;
use tickwire::actors::snapshots::SymbolSnapshots;
use tickwire::actors::source_clocks::SourceClocks;
use tickwire::clock::{Clock, ManualClock};
use tickwire::config::{Limits, OriginPattern};
use tickwire::metrics::Metrics;
use tickwire::models::anomaly::{Anomaly, AnomalyState};
use tickwire::models::bar::{Bar, BarOrigin, BarState};
use tickwire::models::detection::Detected;
use tickwire::models::effect::{Effect, IndicatorPoint};
use tickwire::models::entry::{SourceId, Updates};
use tickwire::models::indicators::IndicatorValues;
use tickwire::models::ledger::Ledger;
use tickwire::models::num::{Price, Size};
use tickwire::models::provenance::Provenance;
use tickwire::models::settings::CoreSettings;
use tickwire::models::snapshot::{LastTrade, SymbolSnapshot, WindowSnapshot};
use tickwire::models::symbol::{SymbolId, SymbolSpec};
use tickwire::models::time::{MINUTE, Nanos, SECOND, Width};
use tickwire::names::{SourceTable, SymbolTable};
use tickwire::stores::history::memory::MemoryHistory;
use tickwire::stores::history::{History, HistoryBatch};
use tickwire::stores::log::memory::MemoryLog;
use tickwire::telemetry::Throttle;
use tickwire::web::live::Live;
use tickwire::web::recent::RecentBars;
use tickwire::web::routes;
use tickwire::web::server::{Endpoint, Server};
use tickwire::web::state::{AppState, STORE_FAULTS_PER_MINUTE};
use tickwire::web::visitors::Visitors;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, WebSocket};

/// What the clock shows at the start: a full minute.
pub const NOW: Nanos = Nanos(1_693_875_600 * SECOND);

/// Names the log.
pub const EPOCH: &str = "00000000000000ff";
pub const RUN: &str = "0000000000000001";

/// Everything but the data path.
pub struct World {
    pub aapl: SymbolId,
    pub msft: SymbolId,
    pub state: Arc<AppState>,
    pub demand: Arc<LiveDemand>,
    pub durability: Arc<Durability>,
    pub faults: Arc<FaultPlan>,
    pub clock: Arc<ManualClock>,
    hub: actix::Addr<HubActor>,
    server: Option<Server>,
    stop: mpsc::Sender<()>,
}

impl World {
    pub fn start(limits: Limits, broadcast: bool) -> World {
        World::with_history(limits, broadcast, &[])
    }

    /// Starts with a history that holds these effects, as after a restart; snapshots show the newest of them.
    pub fn with_history(limits: Limits, broadcast: bool, past: &[Effect]) -> World {
        let symbols = Arc::<SymbolTable>::default();
        let sources = Arc::<SourceTable>::default();
        sources.intern("simulated");
        let (aapl, msft) =
            (symbols.intern(SymbolSpec::named("AAPL")), symbols.intern(SymbolSpec::named("MSFT")));
        let snapshots = Arc::<SymbolSnapshots>::default();
        let clock = Arc::new(ManualClock::new(NOW));
        let history = Arc::new(MemoryHistory::new(Arc::clone(&symbols), Arc::clone(&sources), 1_000));
        let metrics = Arc::new(Metrics::new(500));
        let (demand, faults) = (Arc::<LiveDemand>::default(), Arc::<FaultPlan>::default());
        let durability = Arc::<Durability>::default();
        durability.advance(u64::MAX);
        let core = Arc::new(CoreSettings::default());
        let now: Arc<dyn Fn() -> Nanos + Send + Sync> = {
            let clock = Arc::clone(&clock);
            Arc::new(move || clock.now())
        };
        let (sender, receiver) = mpsc::channel();
        let (stop, stopped) = mpsc::channel::<()>();
        let health = Arc::<HealthRegistry>::default();
        health.set("log", Health::Healthy, "");
        let settings = HubSettings {
            epoch: EPOCH.to_owned(),
            run: RUN.to_owned(),
            symbols: Arc::clone(&symbols),
            snapshots: Arc::clone(&snapshots),
            clocks: Arc::default(),
            history: history.clone(),
            metrics: Arc::clone(&metrics),
            health: Arc::clone(&health),
            demand: Arc::clone(&demand),
            durability: Arc::clone(&durability),
            core: Arc::clone(&core),
            faults: Arc::clone(&faults),
            now: Arc::clone(&now),
        };
        let past = past.to_vec();
        let kept = Arc::clone(&history);
        std::thread::spawn(move || {
            actix::System::new().block_on(async move {
                kept.write(&HistoryBatch { effects: vec![Arc::new(past)], ..HistoryBatch::default() })
                    .await
                    .unwrap();
                let arbiter = actix::Arbiter::new();
                let hub = actix::Actor::start_in_arbiter(&arbiter.handle(), move |_| HubActor::new(settings));
                sender.send(hub).unwrap();
                actix_web::web::block(move || stopped.recv()).await.ok();
            });
        });
        let hub: actix::Addr<HubActor> = receiver.recv().unwrap();
        let live = Arc::new(Live::new(hub.clone(), EPOCH.to_owned(), RUN.to_owned(), broadcast, limits));
        let state = Arc::new(AppState {
            symbols,
            sources,
            snapshots,
            clocks: Arc::new(SourceClocks::default()),
            log: Arc::new(MemoryLog::new()),
            history,
            health,
            metrics,
            cache: None,
            recent: RecentBars::new(1 << 20),
            clock: now,
            core,
            provenance: Provenance::simulated(),
            shown_until: OnceLock::new(),
            store_faults: Throttle::new(STORE_FAULTS_PER_MINUTE),
            version: "0.1.0",
            started: NOW,
            visitors: Visitors::new(&OriginPattern::of_this_machine(), ["127.0.0.1"]),
            live: Some(live),
            symbol_control: None,
            looked_for: Arc::default(),
            detection_control: None,
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoints = vec![Endpoint { listener, routes: routes::websocket, workers: 1 }];
        let server = Server::start(endpoints, Arc::clone(&state)).unwrap();
        World { aapl, msft, state, demand, durability, faults, clock, hub, server: Some(server), stop }
    }

    /// Lets the hub answer.
    pub fn begin(&self) {
        self.hub.try_send(BeginServing).unwrap();
    }

    /// Hands the hub what a shard would say.
    pub fn say(&self, effects: Vec<Effect>, ticks: Vec<LiveTick>) {
        self.hand(LiveBatch { shard: 0, effects: Arc::new(effects), past: Vec::new(), received: NOW, ticks });
    }

    /// Hands the hub effects of which some tell of the past.
    pub fn say_past(&self, effects: Vec<Effect>, past: Range<usize>) {
        let (effects, past) = (Arc::new(effects), vec![past]);
        self.hand(LiveBatch { shard: 0, effects, past, received: NOW, ticks: Vec::new() });
    }

    /// Hands the hub a condition of the system.
    pub fn announce(&self, anomaly: Anomaly) {
        self.hub.try_send(Announce(Box::new(anomaly))).unwrap();
    }

    fn hand(&self, mut batch: LiveBatch) {
        while let Err(actix::dev::SendError::Full(back)) = self.hub.try_send(batch) {
            batch = back;
            std::thread::yield_now();
        }
    }

    pub fn stop_serving(&self) {
        self.hub.try_send(StopServing).unwrap();
    }

    pub fn address(&self) -> std::net::SocketAddr {
        self.server.as_ref().unwrap().addresses()[0]
    }

    pub fn connect(&self) -> Client {
        let address = self.address();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(WAIT_MAX)).unwrap();
        let config = WebSocketConfig::default();
        let url = format!("ws://{address}/");
        let (socket, _) = tungstenite::client::client_with_config(url, stream, Some(config)).unwrap();
        Client { socket }
    }

    /// Waits until something holds.
    pub fn wait_until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < WAIT_MAX, "never: {what}");
            std::thread::yield_now();
        }
    }

    pub fn num_connections(&self) -> i64 {
        self.state.metrics.websocket_connections.get()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop_serving();
        self.server.take().unwrap().stop().unwrap();
        self.stop.send(()).ok();
    }
}

const WAIT_MAX: Duration = Duration::from_secs(20);

/// How a session ended: close code and reason.
pub type Closed = (u16, String);

/// One client.
pub struct Client {
    pub socket: WebSocket<TcpStream>,
}

impl Client {
    pub fn send(&mut self, text: &str) {
        self.socket.send(Message::text(text)).unwrap();
    }

    /// Reads the next frame, as text.
    pub fn text(&mut self) -> Result<String, Closed> {
        loop {
            match self.socket.read().unwrap() {
                Message::Text(text) => return Ok(text.to_string()),
                Message::Close(Some(frame)) => return Err((frame.code.into(), frame.reason.to_string())),
                Message::Close(None) => return Err((1005, String::new())),
                _ => {}
            }
        }
    }

    /// Reads the next frame.
    pub fn frame(&mut self) -> Value {
        serde_json::from_str(&self.text().expect("the session goes on")).unwrap()
    }

    /// Reads frames up to one of this type.
    pub fn until(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.frame();
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// Reads everything until the session ends.
    pub fn closed(&mut self) -> (Vec<Value>, Closed) {
        let mut frames = Vec::new();
        loop {
            match self.text() {
                Ok(text) => frames.push(serde_json::from_str(&text).unwrap()),
                Err(closed) => return (frames, closed),
            }
        }
    }
}

pub fn tick(symbol: SymbolId, seq: u64) -> LiveTick {
    LiveTick {
        symbol,
        ts: NOW.plus(seq as i64 * 1_000_000),
        received: NOW,
        price: Price(182_310_000_000),
        size: Size(10_000_000_000),
        seq,
        log_pos: seq,
    }
}

pub fn minute() -> Width {
    Width::parse("1min").unwrap()
}

/// The bar of the n-th minute, told as number `nth`.
pub fn bar(symbol: SymbolId, nth: u64) -> Bar {
    Bar {
        symbol,
        width: minute(),
        start: NOW.plus((nth as i64 - 100) * MINUTE),
        open: Price(182_300_000_000),
        high: Price(182_500_000_000),
        low: Price(182_100_000_000),
        close: Price(182_310_000_000),
        volume: 120_000_000_000,
        vwap: Some(182_284_166_667),
        trade_count: 9,
        state: BarState::Closed,
        origin: BarOrigin::Trades,
        revision: 0,
        coverage: 1.0,
        late: 0,
        duplicates: 0,
        cancelled: 0,
        seq: nth,
        log_pos: 10 * nth,
    }
}

pub fn point(bar: &Bar) -> IndicatorPoint {
    IndicatorPoint {
        symbol: bar.symbol,
        width: bar.width,
        start: bar.start,
        close: bar.close,
        vwap: bar.vwap,
        values: IndicatorValues { sma_20: Some(182.1), ..IndicatorValues::default() },
        log_pos: bar.log_pos,
    }
}

/// A price spike that was told as number `seq`.
pub fn anomaly(symbol: SymbolId, seq: u64, state: AnomalyState) -> Effect {
    let (revision, log_pos) = (seq as u32 - 1, 60 + seq);
    Effect::Anomaly(Detected { state, revision, seq, log_pos, ..price_spike(symbol, NOW) })
}

/// A closed bar and its indicators.
pub fn closed(symbol: SymbolId, nth: u64) -> Vec<Effect> {
    let bar = bar(symbol, nth);
    vec![Effect::Bar(bar), Effect::Indicators(point(&bar))]
}

/// The snapshot of a symbol whose last closed bar is the n-th.
pub fn snapshot_of(symbol: SymbolId, nth: u64) -> SymbolSnapshot {
    let newest = bar(symbol, nth);
    let forming = Bar { state: BarState::Forming, seq: nth, ..bar(symbol, nth + 1) };
    let window = WindowSnapshot {
        width: newest.width,
        forming: Some(forming),
        closed: Some(newest),
        indicators: Some(point(&newest)),
        preview: Some(Box::new(point(&forming))),
        seq: nth,
    };
    SymbolSnapshot {
        symbol,
        pos: newest.log_pos + 1,
        last: Some(LastTrade {
            ts: NOW,
            received: NOW,
            price: Price(182_310_000_000),
            size: Size(10_000_000_000),
            updates: Updates::ALL,
            seq: 41,
        }),
        reference: None,
        source: SourceId(0),
        charged_from: Nanos::MIN,
        watermark: NOW,
        sealed_until: NOW,
        ledger: Ledger::default(),
        ledgers: Arc::new([]),
        windows: Arc::new([window]),
    }
}
