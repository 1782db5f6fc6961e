//! A feed in this process, and the test as its venue: it accepts each connection, reads what the feed says and says what it
//! likes. What reached the log is read when the feed has stopped.

use super::tiny;
use crate::support::process::WAIT_MAX;
use futures_util::{SinkExt, StreamExt};
use reqwest::Url;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tickwire::actors::environment::Environment;
use tickwire::actors::health::{Health, HealthRegistry};
use tickwire::actors::ingest::config::VenueConfig;
use tickwire::actors::ingest::handle::StopSwitch;
use tickwire::actors::ingest::shell::{
    self, Change, Changes, FeedSettings, Newcomers, Pasts, Recorder, RequestLimit, Standing, Surroundings,
    Tls,
};
use tickwire::actors::ingest::venue::{Instrument, Instruments, Needs};
use tickwire::actors::pipeline::Pipeline;
use tickwire::config::{Config, Sources};
use tickwire::models::entry::{Entry, SourceId};
use tickwire::models::ledger::Ledger;
use tickwire::models::num::Scale;
use tickwire::models::symbol::{SymbolId, SymbolSpec};
use tickwire::models::time::Nanos;
use tickwire::node::{Node, pipeline_settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// Answers a request over REST, by its path and query: a status and a body. With 429 goes a pause of two hours.
type Answer = Box<dyn FnMut(&str) -> (u16, String) + Send>;

/// What a rig is started with.
pub struct Start {
    pub needs: Needs,
    pub symbols: &'static [&'static str],
    pub config: VenueConfig,
    pub num_streams: usize,
    pub down_since: Option<Nanos>,
    /// Bars of each window that a new symbol begins with.
    pub warm_up_bars: u32,
    pub recorder: Option<Arc<dyn Recorder>>,
    /// Settings beside the defaults.
    pub environment: Vec<(&'static str, &'static str)>,
    pub answer: Answer,
}

impl Start {
    pub fn new(needs: Needs, symbols: &'static [&'static str]) -> Start {
        let config = VenueConfig {
            retry_delay: Duration::from_millis(2),
            retry_max_delay: Duration::from_millis(20),
            breaker_failures: 0,
            ..VenueConfig::default()
        };
        Start {
            needs,
            symbols,
            config,
            num_streams: 1,
            down_since: None,
            warm_up_bars: 0,
            recorder: None,
            environment: Vec::new(),
            answer: Box::new(|_| (404, "there is none".to_owned())),
        }
    }
}

/// A feed, and what it works with.
pub struct Rig {
    /// How far the feed's clock is ahead of this machine's.
    ahead: Arc<AtomicI64>,
    streams: Vec<TcpListener>,
    requests: Arc<Mutex<Vec<String>>>,
    pub env: Environment,
    pub source: SourceId,
    health: Arc<HealthRegistry>,
    node: Node,
    pipeline: Pipeline,
    pub standing: Rc<Standing>,
    changes: Rc<Changes>,
    newcomers: Rc<Newcomers>,
    stop: StopSwitch,
    feed: JoinHandle<()>,
    _dir: TempDir,
}

/// What is left of a rig.
pub struct Left {
    /// All that is in the log.
    pub entries: Vec<Entry>,
    pub ledger: Ledger,
    /// How long the feed took to stop.
    pub stop: Duration,
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

impl Rig {
    pub async fn start(start: Start) -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let mut environment: Vec<(String, String)> =
            start.environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let data = dir.path().join("data");
        environment.push(("TICKWIRE__DATA_DIR".to_owned(), data.to_str().unwrap().to_owned()));
        environment.push(("TICKWIRE__CORE__SHARDS".to_owned(), "1".to_owned()));
        let config = Config::load(&Sources { environment, ..Sources::default() }).unwrap();
        let mut node = Node::open(&config).await.unwrap();
        let storage = node.storage(true);
        node.publish_snapshots();
        let ahead = Arc::new(AtomicI64::new(0));
        let (clock, moved) = (Arc::clone(&node.env.now), Arc::clone(&ahead));
        node.env.now = Arc::new(move || clock().plus(moved.load(Ordering::SeqCst)));
        let (env, health) = (node.env.clone(), Arc::clone(&node.health));
        let pipeline =
            Pipeline::start(env.clone(), pipeline_settings(&config), storage, Arc::clone(&health)).await;
        let pipeline = pipeline.unwrap();

        let (mut streams, mut urls) = (Vec::new(), Vec::new());
        for _ in 0..start.num_streams {
            let (listener, port) = listen().await;
            streams.push(listener);
            urls.push(Url::parse(&format!("ws://127.0.0.1:{port}/")).unwrap());
        }
        let (rest, port) = listen().await;
        let requests = Arc::<Mutex<Vec<String>>>::default();
        actix::spawn(serve_rest(rest, start.answer, Arc::clone(&requests)));
        let rest_url = Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap();

        let instrument = |name: &&str| Instrument {
            symbol: node.symbols.intern(SymbolSpec::named(name)),
            venue_symbol: (*name).to_owned(),
            price_scale: Scale::PRICE,
            size_scale: Scale::SIZE,
        };
        let source = node.sources.intern(tiny::NAME);
        let settings = FeedSettings {
            name: "tested".to_owned(),
            venue: tiny::open(start.needs, urls, rest_url),
            limit: RequestLimit::new(&start.config, 60_000),
            config: start.config,
            instruments: Instruments::new(start.symbols.iter().map(instrument).collect()),
            source,
            down_since: start.down_since,
            warm_up_bars: start.warm_up_bars,
            rate_max: None,
            recorder: start.recorder,
        };
        let tls = Tls::of(&settings.config).unwrap();
        let pasts = Pasts::default();
        settings.instruments.all().iter().for_each(|one| pasts.newcomers.add(one.symbol));
        let newcomers = Rc::clone(&pasts.newcomers);
        let (stop, stopping) = StopSwitch::new();
        let (standing, changes) = (Rc::<Standing>::default(), Rc::<Changes>::default());
        let surroundings = Surroundings {
            log: pipeline.log().clone(),
            env: env.clone(),
            health: Arc::clone(&health),
            standing: Rc::clone(&standing),
            changes: Rc::clone(&changes),
            stop: stopping,
            tap: None,
            is_logged: true,
            pasts,
        };
        let feed = actix::spawn(shell::run(settings, tls, surroundings));
        Rig {
            ahead,
            streams,
            requests,
            env,
            source,
            health,
            node,
            pipeline,
            standing,
            changes,
            newcomers,
            stop,
            feed,
            _dir: dir,
        }
    }

    /// Waits for the feed's next connection to a stream.
    pub async fn accept_at(&self, stream: usize) -> Link {
        let accepted = tokio::time::timeout(WAIT_MAX, self.streams[stream].accept()).await;
        let (stream, _) = accepted.expect("no connection is made").unwrap();
        Link::new(tokio_tungstenite::accept_async(stream).await.unwrap())
    }

    /// Waits for its next connection to the first one.
    pub async fn accept(&self) -> Link {
        self.accept_at(0).await
    }

    /// Answers the feed's next connection to the first stream with these bytes, and ends it.
    pub async fn turn_away(&self, answer: &str) {
        let accepted = tokio::time::timeout(WAIT_MAX, self.streams[0].accept()).await;
        let (mut stream, _) = accepted.expect("no connection is made").unwrap();
        read_head(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
    }

    /// Has the feed follow one more symbol. Returns its id.
    pub fn follow(&self, name: &str) -> SymbolId {
        let symbol = self.node.symbols.intern(SymbolSpec::named(name));
        let instrument = Instrument {
            symbol,
            venue_symbol: name.to_owned(),
            price_scale: Scale::PRICE,
            size_scale: Scale::SIZE,
        };
        let snapshots = self.env.published.snapshots.as_ref().unwrap();
        if snapshots.get(symbol).is_none() {
            self.newcomers.add(symbol);
        }
        self.changes.push(Change::Follow(vec![instrument]));
        symbol
    }

    /// Has the feed follow a symbol no more.
    pub fn leave(&self, symbol: SymbolId) {
        self.changes.push(Change::Leave(vec![symbol]));
    }

    /// True when nobody waits to be accepted.
    pub async fn is_left_alone(&self) -> bool {
        tokio::time::timeout(Duration::from_millis(1), self.streams[0].accept()).await.is_err()
    }

    /// Returns what was asked over REST.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Moves the feed's clock on.
    pub fn let_pass(&self, nanos: i64) {
        self.ahead.fetch_add(nanos, Ordering::SeqCst);
    }

    /// Returns the time by the feed's clock.
    pub fn now(&self) -> Nanos {
        (self.env.now)()
    }

    /// Returns a series of the venue's.
    pub fn metric(&self, name: &str) -> f64 {
        self.series(&format!("tickwire_venue_{name}{{venue=\"tiny\"}}"))
    }

    pub fn num_faults(&self, kind: &str) -> f64 {
        self.series(&format!("tickwire_venue_faults_total{{kind=\"{kind}\",venue=\"tiny\"}}"))
    }

    fn series(&self, series: &str) -> f64 {
        let text = self.env.metrics.encode();
        let value = text.lines().find_map(|line| line.strip_prefix(series));
        value.map_or(0.0, |value| value.trim().parse().unwrap())
    }

    /// Returns how the feed is.
    pub fn health(&self) -> (Health, String) {
        let components = self.health.components();
        let (_, feed) = components.into_iter().find(|(name, _)| name == "feed_tested").unwrap();
        (feed.status, feed.detail)
    }

    /// Returns the time that the source's clock shows.
    pub fn clock(&self) -> Nanos {
        self.env.published.clocks.get(self.source)
    }

    /// Waits until a condition comes true.
    pub async fn until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !condition() {
            assert!(begun.elapsed() < WAIT_MAX, "{what}: {:?}", self.health());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until so many reports came over the stream.
    pub async fn until_entries(&self, num: usize) {
        self.until("reports", || self.metric("entries_total") >= num as f64).await;
    }

    /// Stops everything, and returns what is left.
    pub async fn stop(self) -> Left {
        let begun = Instant::now();
        self.stop.stop();
        self.feed.await.unwrap();
        let stop = begun.elapsed();
        let ledger = self.pipeline.finish().await.unwrap();
        assert_eq!(ledger.residue(), 0);
        let (mut entries, mut after) = (Vec::new(), 0);
        loop {
            let page = self.node.log.read(after, 10_000).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.pos;
            entries.extend(page);
        }
        self.pipeline.end();
        self.node.close().await;
        Left { entries, ledger, stop }
    }
}

/// The venue's end of a connection. Pings are answered by themselves.
pub struct Link {
    say: mpsc::UnboundedSender<Message>,
    is_silent: Arc<AtomicBool>,
    heard: mpsc::UnboundedReceiver<String>,
}

impl Link {
    fn new(socket: WebSocketStream<TcpStream>) -> Link {
        let (say, mut to_say) = mpsc::unbounded_channel();
        let (tell, heard) = mpsc::unbounded_channel();
        let is_silent = Arc::new(AtomicBool::new(false));
        let silent = Arc::clone(&is_silent);
        actix::spawn(async move {
            let (mut sink, mut stream) = socket.split();
            loop {
                if silent.load(Ordering::SeqCst) {
                    // Nothing is read, so that no ping is answered; the connection is open.
                    return std::future::pending().await;
                }
                tokio::select! {
                    message = to_say.recv() => {
                        let Some(message) = message else { return };
                        if sink.send(message).await.is_err() {
                            return;
                        }
                    }
                    message = stream.next() => match message {
                        Some(Ok(Message::Text(text))) => _ = tell.send(text.to_string()),
                        // Answers to pings go out with the next flush.
                        Some(Ok(Message::Ping(_))) => _ = sink.flush().await,
                        Some(Ok(_)) => {}
                        Some(Err(_)) | None => return,
                    }
                }
            }
        });
        Link { say, is_silent, heard }
    }

    /// Says a frame. A feed that is gone does not hear it.
    pub fn say(&self, text: impl Into<String>) {
        self.say.send(Message::text(text.into())).ok();
    }

    /// Answers nothing any more, and stays open.
    pub fn fall_silent(&self) {
        self.is_silent.store(true, Ordering::SeqCst);
        // Wakes the task.
        self.say("ALIVE");
    }

    /// Waits for what the feed says next; `None` when it has ended the connection.
    pub async fn hear(&mut self) -> Option<String> {
        tokio::time::timeout(WAIT_MAX, self.heard.recv()).await.expect("the feed says nothing")
    }

    /// Waits for the subscription and confirms it.
    pub async fn subscribe(&mut self) {
        assert!(self.hear().await.unwrap().starts_with("subscribe "));
        self.say("OK");
    }
}

/// Reads the head of a request, as far as it comes.
async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

async fn serve_rest(listener: TcpListener, mut answer: Answer, requests: Arc<Mutex<Vec<String>>>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = read_head(&mut stream).await;
        let Some(path) = head.split(' ').nth(1) else { continue };
        requests.lock().unwrap().push(path.to_owned());
        let (status, body) = answer(path);
        let pause = if status == 429 { "Retry-After: 7200\r\n" } else { "" };
        let len = body.len();
        let head =
            format!("HTTP/1.1 {status} X\r\n{pause}Content-Length: {len}\r\nConnection: close\r\n\r\n");
        // Who asked may have gone.
        stream.write_all(format!("{head}{body}").as_bytes()).await.ok();
    }
}
