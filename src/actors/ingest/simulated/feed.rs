//! Runs the simulated venue: sends its trades as time passes, and the past of symbols that have none.
//!
//! Promises: few messages are under way at a time, so a full pipeline delays the venue. A venue does not wait, so what it
//! traded during a long delay is lost, and a gap in the log says so; the time for which the process was down is a gap as
//! well. Live trades go first: pasts are made one by one after them (`past.rs`), and a symbol's market opens with its
//! past, so that each symbol's entries come in order of time.
//! On failure: a panic loses the batch being made and nothing that was handed in; a gap says so. A past that was being
//! made is made again.

use super::past::{Past, PastSettings};
use super::{FaultInjector, HistorySettings, InjectedFaults, Market, MarketSettings, SimulatedSymbol};
use crate::actors::environment::Environment;
use crate::actors::guard::{self, ActorKind};
use crate::actors::health::{Health, HealthRegistry};
use crate::actors::ingest::client::{LogClient, LogGone, UNDER_WAY_MAX};
use crate::actors::ingest::handle::{FeedHandle, StopSignal};
use crate::actors::messages::Ingest;
use crate::actors::partition::log::LogActor;
use crate::models::entry::{Body, Correction, Entry, Gap, SourceId, Trade};
use crate::models::symbol::SymbolId;
use crate::models::time::{Nanos, SECOND};
use actix::Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Most trades in one message: a shard sorts so many in about a millisecond.
const BATCH_MAX: usize = 8_192;

/// Shortest and longest pause between two readings of the clock.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(20);

/// The longest pause while pasts are made: the next one is due when the pipeline is done with the one before.
const PAST_PAUSE: Duration = Duration::from_millis(2);

/// Time between two clock marks of a quiet venue.
const MARK_INTERVAL: i64 = SECOND / 10;

/// Delay above which what the venue traded meanwhile is lost.
const DELAY_MAX: i64 = 2 * SECOND;

/// The settings of the venue.
pub struct SimulatedFeed {
    /// The market; it starts where the past ends.
    pub market: MarketSettings,
    /// The past to simulate, where symbols lack one.
    pub past: Option<PastSettings>,
    /// The faults injected into the feed.
    pub faults: InjectedFaults,
    /// The newest time in the log, unless this is the first start: the time since is a gap.
    pub down_since: Option<Nanos>,
    /// Most messages a second.
    pub rate_max: Option<u32>,
    /// Tells which symbols are traded from now on.
    pub changes: mpsc::Receiver<MarketChange>,
}

/// A change of what is traded.
#[derive(Clone, Debug)]
pub enum MarketChange {
    /// Symbols are traded from now on.
    Follow(Vec<SimulatedSymbol>),
    /// Symbols are traded no more.
    Leave(Vec<SymbolId>),
}

/// Starts the venue on a thread of its own.
#[must_use]
pub fn start(
    feed: SimulatedFeed,
    log: Addr<LogActor>,
    env: Environment,
    health: Arc<HealthRegistry>,
) -> FeedHandle {
    FeedHandle::spawn(move |stop| {
        let client = LogClient::new(log, Arc::clone(&env.metrics));
        Simulator::new(feed, client, env, health).run(stop)
    })
}

/// The running venue.
struct Simulator {
    market: Market,
    /// What the market is made of now.
    settings: MarketSettings,
    /// What past new symbols get; `None`: none.
    history: Option<HistorySettings>,
    /// Pasts that are still to be made.
    past: Option<Past>,
    injector: Option<FaultInjector>,
    source: SourceId,
    /// Time up to which the market has been asked for trades.
    reached: Nanos,
    marked: Nanos,
    gap: Option<Gap>,
    pause: Duration,
    batch_max: usize,
    clean: Vec<Entry>,
    client: LogClient,
    env: Environment,
    health: Arc<HealthRegistry>,
    changes: mpsc::Receiver<MarketChange>,
}

impl Simulator {
    fn new(
        feed: SimulatedFeed,
        client: LogClient,
        env: Environment,
        health: Arc<HealthRegistry>,
    ) -> Simulator {
        health.set("provider", Health::Healthy, "simulated");
        let SimulatedFeed { market, past, faults, down_since, rate_max, changes } = feed;
        let gap = |from| Gap { source: market.source, from, to: market.start, filled: false };
        let injector = (!faults.is_off())
            .then(|| FaultInjector::new(&faults, market.source, market.symbols.len(), market.seed));
        // About one trade per reading, within bounds: nobody notices a millisecond, and each reading costs some
        // microseconds.
        let pause = Duration::from_secs_f64(1.0 / market.rate_per_second).clamp(PAUSE_MIN, PAUSE_MAX);
        let allowed = rate_max.map(|rate| (f64::from(rate) * pause.as_secs_f64()).max(1.0) as usize);
        Simulator {
            history: past.as_ref().map(|past| past.history.clone()),
            past: past
                .filter(|_| !market.symbols.is_empty())
                .and_then(|settings| Past::new(&market, settings, env.clone(), Arc::clone(&health))),
            injector,
            source: market.source,
            reached: market.start,
            marked: Nanos::MIN,
            gap: down_since.filter(|since| *since < market.start).map(gap),
            pause,
            batch_max: allowed.unwrap_or(BATCH_MAX).min(BATCH_MAX),
            clean: Vec::new(),
            market: Market::new(&market),
            settings: market,
            client,
            env,
            health,
            changes,
        }
    }

    /// Runs until the stop, or until the log is gone.
    async fn run(mut self, stop: StopSignal) {
        tokio::select! {
            () = stop.told() => {}
            // It ends by itself only when the log is gone: the process is stopping.
            _ = self.trade() => {}
        }
    }

    /// Makes and sends messages as time passes; waits while the most are under way.
    async fn trade(&mut self) -> Result<(), LogGone> {
        loop {
            self.client.wait_for_room().await?;
            while let Ok(change) = self.changes.try_recv() {
                self.change(change);
            }
            if self.send_live().await? {
                continue;
            }
            self.send_past().await?;
            let pause = if self.past.is_some() { self.pause.min(PAST_PAUSE) } else { self.pause };
            tokio::time::sleep(pause).await;
        }
    }

    /// Trades other symbols from now on; the market begins for new ones, and ends for those that are left. With none it makes
    /// nothing until there is one.
    fn change(&mut self, change: MarketChange) {
        let now = (self.env.now)();
        let mut lacking = self.past.take().map_or_else(Vec::new, |past| past.lacking());
        let symbols = &mut self.settings.symbols;
        match change {
            MarketChange::Follow(added) => {
                let is_known = |id| {
                    let snapshots = self.env.published.snapshots.as_ref();
                    snapshots.is_some_and(|snapshots| snapshots.get(id).is_some())
                };
                lacking.extend(added.iter().map(|one| one.id).filter(|&id| !is_known(id)));
                if let Some(injector) = &mut self.injector {
                    injector.expect(added.len());
                }
                symbols.extend(added);
            }
            MarketChange::Leave(left) => symbols.retain(|one| !left.contains(&one.id)),
        }
        if symbols.is_empty() {
            return;
        }
        // Ids of new symbols follow from the time at which they begin.
        self.settings.start = now.max(self.market.next_time());
        self.market.follow(&self.settings);
        if let Some(history) = self.history.clone() {
            let places = self.settings.symbols.iter().enumerate();
            let places = places.filter(|(_, one)| lacking.contains(&one.id)).map(|(place, _)| place);
            let settings = PastSettings { history, lacking: places.collect() };
            self.past = Past::new(&self.settings, settings, self.env.clone(), Arc::clone(&self.health));
        }
    }

    /// Makes the next message of live trades and sends it. Returns whether there is more to send at once.
    async fn send_live(&mut self) -> Result<bool, LogGone> {
        let metrics = Arc::clone(&self.env.metrics);
        let now = (self.env.now)();
        let made = guard::run(ActorKind::Provider, &metrics, || {
            self.env.faults.actor(ActorKind::Provider);
            self.live_entries(now)
        });
        let (entries, is_behind) = made.unwrap_or_else(|| {
            self.injector = None;
            self.note_gap(self.reached, now);
            (Vec::new(), false)
        });
        if !entries.is_empty() {
            self.send(entries, now).await?;
        }
        Ok(is_behind)
    }

    /// Makes the past of the next symbol and sends it, if the pipeline has room beside live trades.
    async fn send_past(&mut self) -> Result<(), LogGone> {
        // One place is left for live trades.
        if self.past.is_none() || self.client.num_under_way()? + 1 >= UNDER_WAY_MAX {
            return Ok(());
        }
        let Some(past) = &mut self.past else { return Ok(()) };
        let now = (self.env.now)();
        let (metrics, market) = (Arc::clone(&self.env.metrics), &self.market);
        let made = guard::run(ActorKind::Provider, &metrics, || past.next(now, |place| market.price(place)));
        if past.is_done() {
            self.past = None;
        }
        match made.flatten() {
            // A past has no time of receipt: latencies are not measured by it, and clients do not get it bar by bar.
            Some(entries) => self.send(entries, Nanos::MIN).await,
            None => Ok(()),
        }
    }

    async fn send(&mut self, entries: Vec<Entry>, received: Nanos) -> Result<(), LogGone> {
        self.client.send(Ingest { entries, dead_letters: Vec::new(), progress: None, received }).await
    }

    /// Returns the entries to send now, and whether the market has more up to now.
    fn live_entries(&mut self, now: Nanos) -> (Vec<Entry>, bool) {
        let mut entries = Vec::new();
        self.catch_up(now);
        if let Some(gap) = self.gap.take() {
            entries.push(Entry { pos: 0, symbol: SymbolId::NONE, body: Body::Gap(gap) });
        }
        self.clean.clear();
        let num_trades = self.market.fill(now, self.batch_max, &mut self.clean);
        let through = self.clean.last().map_or(now, |entry| entry.body.time());
        if let Some(past) = &self.past {
            self.clean.retain(|entry| past.is_open(entry.symbol));
        }
        match &mut self.injector {
            None => {
                self.reached = through;
                if entries.is_empty() {
                    entries = std::mem::take(&mut self.clean);
                } else {
                    entries.append(&mut self.clean);
                }
                for entry in &mut entries {
                    stamp(entry, now);
                }
                if now.since(self.marked) >= MARK_INTERVAL && self.market.next_time() > now {
                    self.marked = now;
                    let body = Body::ClockMark { source: self.source, time: now };
                    entries.push(Entry { pos: 0, symbol: SymbolId::NONE, body });
                }
            }
            Some(injector) => {
                self.clean.iter().for_each(|entry| injector.send(entry));
                self.reached = if num_trades < self.batch_max { now } else { through };
                injector.deliver(self.reached, &mut entries);
            }
        }
        let is_behind = num_trades >= self.batch_max && self.batch_max == BATCH_MAX;
        (entries, is_behind)
    }

    /// Drops what was traded during a long delay.
    fn catch_up(&mut self, now: Nanos) {
        if now.since(self.reached) > DELAY_MAX && self.batch_max == BATCH_MAX {
            let (from, resumed) = (self.reached, now.plus(-DELAY_MAX / 2));
            self.clean.clear();
            while self.market.fill(resumed, BATCH_MAX, &mut self.clean) == BATCH_MAX {
                self.clean.clear();
            }
            self.reached = resumed;
            self.note_gap(from, resumed);
            let seconds = resumed.since(from) as f64 / SECOND as f64;
            tracing::warn!(
                seconds,
                "the pipeline delayed the venue for long; what it traded meanwhile is a gap"
            );
        }
    }

    fn note_gap(&mut self, from: Nanos, to: Nanos) {
        let from = self.gap.map_or(from, |gap| gap.from.min(from));
        self.gap = Some(Gap { source: self.source, from, to, filled: false });
    }
}

/// Sets when an entry was received.
fn stamp(entry: &mut Entry, now: Nanos) {
    match &mut entry.body {
        Body::Trade(Trade { received, .. })
        | Body::Correction(Correction { trade: Trade { received, .. }, .. }) => *received = now,
        Body::Cancel(cancel) => cancel.received = now,
        Body::Quote(quote) => quote.received = now,
        Body::VenueBar(bar) => bar.received = now,
        Body::Gap(_)
        | Body::SourceInCharge { .. }
        | Body::Symbol { .. }
        | Body::Detection { .. }
        | Body::ClockMark { .. } => {}
    }
}
