//! The simulated venue at work: makes up a past on a first start, then trades as time goes by.
//!
//! Promises: few messages are under way at a time, so a full pipeline holds the venue up. A venue does not wait: what it
//! traded while held up for long is gone, which the log learns as a gap. So is the time the process was down.
//! On failure: a panic loses the batch being made, nothing that was handed in; the gap is told as well.

use super::{History, HistorySettings, Market, MarketSettings, Misbehaver, Misbehaviour};
use crate::actors::guard::{self, ActorKind};
use crate::actors::log::LogActor;
use crate::actors::messages::{Drain, Ingest};
use crate::actors::shard::Environment;
use crate::actors::views::{Health, HealthBoard};
use crate::metrics::Stage;
use crate::models::entry::{Body, Correction, Entry, Gap, SourceId, Trade};
use crate::models::symbol::SymbolId;
use crate::models::time::{Nanos, SECOND};
use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, WrapFuture};
use std::sync::Arc;
use std::time::Duration;

/// Trades in one message at the most: what a shard sorts in about a millisecond.
const BATCH_MAX: usize = 8_192;

/// Messages that may be under way to the log: enough that neither waits for the other's turn on a busy machine.
const UNDER_WAY_MAX: usize = 4;

/// How long the venue waits between two looks at the clock, at its shortest and its longest.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(20);

/// Time between two clock marks of a quiet venue.
const MARK_INTERVAL: i64 = SECOND / 10;

/// A venue held up for longer than this has lost what it traded meanwhile.
const HELD_UP_MAX: i64 = 2 * SECOND;

/// What the venue is to do.
pub struct SimulatedFeed {
    /// The market; it starts where the past ends.
    pub market: MarketSettings,
    /// The past to make up first.
    pub history: Option<HistorySettings>,
    /// How the feed misbehaves.
    pub misbehaviour: Misbehaviour,
    /// Where the log ended, if this is no first start: the time since is a gap.
    pub down_since: Option<Nanos>,
    /// Messages a second that are taken at the most.
    pub rate_max: Option<u32>,
}

/// Trades as time goes by.
pub struct SimulatedActor {
    market: Market,
    history: Option<History>,
    misbehaver: Option<Misbehaver>,
    source: SourceId,
    /// The last moment up to which the market was asked.
    reached: Nanos,
    marked: Nanos,
    gap: Option<Gap>,
    pause: Duration,
    batch_max: usize,
    under_way: usize,
    /// Nothing is sent until something under way is taken.
    held_up: bool,
    clean: Vec<Entry>,
    log: Addr<LogActor>,
    env: Environment,
    stopped: bool,
}

impl SimulatedActor {
    /// Makes the venue that feeds a log.
    #[must_use]
    pub fn new(
        feed: SimulatedFeed,
        log: Addr<LogActor>,
        env: Environment,
        health: &HealthBoard,
    ) -> SimulatedActor {
        health.set("provider", Health::Healthy, "simulated");
        let SimulatedFeed { market, history, misbehaviour, down_since, rate_max } = feed;
        let gap = |from| Gap { source: market.source, from, to: market.start, filled: false };
        let misbehaver = (!misbehaviour.is_off())
            .then(|| Misbehaver::new(&misbehaviour, market.source, market.symbols.len(), market.seed));
        // About one trade a look, within bounds: nobody sees a millisecond, and each look costs some microseconds.
        let pause = Duration::from_secs_f64(1.0 / market.rate_per_second).clamp(PAUSE_MIN, PAUSE_MAX);
        let allowed = rate_max.map(|rate| (f64::from(rate) * pause.as_secs_f64()).max(1.0) as usize);
        SimulatedActor {
            history: history.map(|settings| History::new(&market, &settings)),
            misbehaver,
            source: market.source,
            reached: market.start,
            marked: Nanos::MIN,
            gap: down_since.filter(|since| *since < market.start).map(gap),
            pause,
            batch_max: allowed.unwrap_or(BATCH_MAX).min(BATCH_MAX),
            under_way: 0,
            held_up: false,
            clean: Vec::new(),
            market: Market::new(&market),
            log,
            env,
            stopped: false,
        }
    }

    /// Makes and sends messages until the market has come to now, or as many are under way as may be.
    fn turn(&mut self, ctx: &mut Context<Self>) {
        while !self.stopped {
            if self.under_way == UNDER_WAY_MAX {
                self.held_up = true;
                return;
            }
            let is_behind = self.send_next(ctx);
            if !is_behind {
                ctx.run_later(self.pause, SimulatedActor::turn);
                return;
            }
        }
    }

    /// Makes the next message and sends it. Returns whether there is more to send at once.
    fn send_next(&mut self, ctx: &mut Context<Self>) -> bool {
        let metrics = Arc::clone(&self.env.metrics);
        let now = (self.env.now)();
        let is_past = self.history.is_some();
        let entries = guard::run(ActorKind::Provider, &metrics, || {
            self.env.faults.actor(ActorKind::Provider);
            self.next_entries(now)
        });
        let entries = entries.unwrap_or_else(|| {
            self.misbehaver = None;
            self.note_gap(self.reached, now);
            Vec::new()
        });
        if entries.is_empty() {
            return is_past;
        }
        metrics.stage(Stage::Provider).received.inc_by(entries.len() as u64);
        let is_behind = is_past || (entries.len() >= self.batch_max && self.batch_max == BATCH_MAX);
        let received = if is_past { Nanos::MIN } else { now };
        let sent = self.log.send(Ingest { entries, dead_letters: Vec::new(), progress: None, received });
        self.under_way += 1;
        ctx.spawn(sent.into_actor(self).map(|taken, actor, ctx| {
            actor.under_way -= 1;
            actor.stopped |= taken.is_err();
            if std::mem::take(&mut actor.held_up) {
                actor.turn(ctx);
            }
        }));
        is_behind
    }

    fn next_entries(&mut self, now: Nanos) -> Vec<Entry> {
        let mut entries = Vec::new();
        if let Some(history) = &mut self.history {
            if !history.fill(BATCH_MAX, &mut entries) {
                self.history = None;
                tracing::info!("the past is made up; the market is open");
            }
            return entries;
        }
        self.catch_up(now);
        if let Some(gap) = self.gap.take() {
            entries.push(Entry { pos: 0, symbol: SymbolId::NONE, body: Body::Gap(gap) });
        }
        match &mut self.misbehaver {
            None => {
                self.market.fill(now, self.batch_max, &mut entries);
                self.reached = entries.last().map_or(now, |entry| entry.body.time());
                for entry in &mut entries {
                    stamp(entry, now);
                }
                if now.since(self.marked) >= MARK_INTERVAL && self.market.next_time() > now {
                    self.marked = now;
                    let body = Body::ClockMark { source: self.source, time: now };
                    entries.push(Entry { pos: 0, symbol: SymbolId::NONE, body });
                }
            }
            Some(misbehaver) => {
                self.clean.clear();
                self.market.fill(now, self.batch_max, &mut self.clean);
                self.clean.iter().for_each(|entry| misbehaver.send(entry));
                let through = self.clean.last().map_or(now, |entry| entry.body.time());
                self.reached = if self.clean.len() < self.batch_max { now } else { through };
                misbehaver.deliver(self.reached, &mut entries);
            }
        }
        entries
    }

    /// Lets go of what was traded while the venue was held up for long.
    fn catch_up(&mut self, now: Nanos) {
        if now.since(self.reached) > HELD_UP_MAX && self.batch_max == BATCH_MAX {
            let (from, resumed) = (self.reached, now.plus(-HELD_UP_MAX / 2));
            self.clean.clear();
            while self.market.fill(resumed, BATCH_MAX, &mut self.clean) == BATCH_MAX {
                self.clean.clear();
            }
            self.reached = resumed;
            self.note_gap(from, resumed);
            let seconds = resumed.since(from) as f64 / SECOND as f64;
            tracing::warn!(seconds, "the pipeline held the venue up; what it traded meanwhile is a gap");
        }
    }

    fn note_gap(&mut self, from: Nanos, to: Nanos) {
        let from = self.gap.map_or(from, |gap| gap.from.min(from));
        self.gap = Some(Gap { source: self.source, from, to, filled: false });
    }
}

/// Notes when an entry was received.
fn stamp(entry: &mut Entry, now: Nanos) {
    match &mut entry.body {
        Body::Trade(Trade { received, .. })
        | Body::Correction(Correction { trade: Trade { received, .. }, .. }) => *received = now,
        Body::Cancel(cancel) => cancel.received = now,
        Body::Quote(quote) => quote.received = now,
        Body::VenueBar(bar) => bar.received = now,
        Body::Gap(_) | Body::SourceInCharge { .. } | Body::ClockMark { .. } => {}
    }
}

impl Actor for SimulatedActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.turn(ctx);
    }
}

impl Handler<Drain> for SimulatedActor {
    type Result = ();

    /// Stops trading for good.
    fn handle(&mut self, _: Drain, _ctx: &mut Self::Context) {
        self.stopped = true;
    }
}
