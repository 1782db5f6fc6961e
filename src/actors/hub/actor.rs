//! The hub's actor: takes what the shards say, keeps the board, and sends flushes and answers to the sessions' threads.

use super::answer::append_effect;
use super::board::Board;
use super::frame::{self, FeedFrame, MetricsFrame, PastObject, SkippedFrame, Snapshot};
use super::interest::Interest;
use super::job::{Jobs, Share};
use super::messages::{
    AttachWorker, BeginServing, ContinueAnswer, Deliver, ReleaseTopics, StopServing, SubscribeTopics,
    WorkerId,
};
use super::pace::{GATHER_MAX, GATHER_MIN, Pace};
use super::pending::Pending;
use super::topic::{Channel, Topic};
use crate::actors::guard::{self, ActorKind};
use crate::actors::messages::{LiveBatch, LiveTick, LogDurable};
use crate::actors::views::{SourceClocks, ViewBoard};
use crate::metrics::{Metrics, Stage};
use crate::models::effect::Effect;
use crate::models::entry::Position;
use crate::models::feed;
use crate::models::settings::CoreSettings;
use crate::models::symbol::{SymbolId, SymbolTable};
use crate::models::time::{Nanos, SECOND};
use crate::stores::History;
use crate::wire::{Time, append_json};
use actix::dev::SendError;
use actix::fut::wrap_future;
use actix::{Actor, AsyncContext, Context, Handler, Recipient};
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Batches of the shards that may wait. Each may be large, and the hub is fast: a full mailbox means that it has too
/// much to do, and then ticks are left out.
const MAILBOX_CAPACITY: usize = 64;

/// How often forming bars are shown: a chart draws no more.
const FORMING_INTERVAL: Duration = Duration::from_millis(50);

/// How often feeds and metrics are looked at.
const SECOND_INTERVAL: Duration = Duration::from_secs(1);

/// Flushes that may wait for one thread: it is busy with something else, such as a large answer.
const BACKLOG_MAX: usize = 64;

/// Bytes of ticks that wait here while some thread is that far behind; above it they are left out.
const TICK_BYTES_MAX: usize = 4 << 20;

/// Bytes of bars that wait here; above it the shards wait.
const FRAME_BYTES_MAX: usize = 16 << 20;

/// Requests for which the history is read at one time: after a restart all clients come at once.
const NUM_READERS: usize = 4;

/// What the hub works with.
pub struct HubSettings {
    /// Names the log.
    pub epoch: String,
    /// Names this run of the process.
    pub run: String,
    /// All symbols.
    pub symbols: Arc<SymbolTable>,
    /// The newest picture of each symbol.
    pub views: Arc<ViewBoard>,
    /// The clocks of the sources.
    pub clocks: Arc<SourceClocks>,
    /// Read for clients that come back.
    pub history: Arc<dyn History>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// What clients want.
    pub interest: Arc<Interest>,
    /// The settings of the core: which windows there are.
    pub core: Arc<CoreSettings>,
    /// Tells the time.
    pub now: Arc<dyn Fn() -> Nanos + Send + Sync>,
}

/// One thread that runs sessions.
pub(super) struct Worker {
    recipient: Recipient<Deliver>,
    /// What its mailbox had no room for.
    backlog: VecDeque<Deliver>,
}

/// Effects that the log may not hold yet.
struct Held {
    shard: usize,
    through: Position,
    /// When the oldest entry that they follow from was received.
    received: Nanos,
    effects: Arc<Vec<Effect>>,
    /// Which of them tell of the past.
    past: Vec<Range<usize>>,
}

impl Held {
    /// True when something in it is not of the past.
    fn is_live(&self) -> bool {
        self.past.iter().map(Range::len).sum::<usize>() < self.effects.len()
    }
}

/// Serves live clients.
pub struct HubActor {
    pub(super) settings: HubSettings,
    pub(super) board: Board,
    pub(super) pending: Pending,
    held: VecDeque<Held>,
    pub(super) workers: HashMap<WorkerId, Worker>,
    /// How many sessions want each topic.
    pub(super) wanted: HashMap<Topic, u32>,
    /// Wishes for each channel, of all sessions together.
    num_followers: [u32; Channel::NUM],
    pace: Pace,
    /// When what waits is looked at again.
    look_at: Option<Instant>,
    /// Requests that are being answered.
    pub(super) jobs: Jobs,
    /// The time that answers get.
    pub(super) share: Share,
    /// Places for those that read the history.
    pub(super) readers: Arc<Semaphore>,
    /// What recovery found out is known: there are answers from now on.
    pub(super) is_serving: bool,
}

impl HubActor {
    /// Makes the hub.
    #[must_use]
    pub fn new(settings: HubSettings) -> HubActor {
        HubActor {
            board: Board::new(Arc::clone(&settings.symbols), &settings.core.widths),
            settings,
            pending: Pending::default(),
            held: VecDeque::new(),
            workers: HashMap::new(),
            wanted: HashMap::new(),
            num_followers: [0; Channel::NUM],
            pace: Pace::new(Instant::now()),
            look_at: None,
            jobs: Jobs::default(),
            share: Share::new(Instant::now()),
            readers: Arc::new(Semaphore::new(NUM_READERS)),
            is_serving: false,
        }
    }

    fn is_wanted(&self, topic: Topic) -> bool {
        self.wanted.contains_key(&topic) || self.wanted.contains_key(&topic.of_all())
    }

    fn wants_channel(&self, channel: Channel) -> bool {
        self.num_followers[channel as usize] > 0
    }

    fn wants_settled(&self) -> bool {
        self.wants_channel(Channel::Bars) || self.wants_channel(Channel::Indicators)
    }

    /// Tells the data path what is wanted now.
    fn tell_interest(&self) {
        self.settings.interest.set(self.wants_channel(Channel::Ticks), self.wants_channel(Channel::Previews));
    }

    fn take_batch(&mut self, batch: LiveBatch) {
        let num_events = batch.ticks.len() + batch.effects.len();
        self.settings.metrics.stage(Stage::Hub).received.inc_by(num_events as u64);
        for tick in &batch.ticks {
            let Some(missed) = self.board.note_tick(tick) else { continue };
            if !self.is_wanted(Topic::plain(Channel::Ticks, tick.symbol)) {
                continue;
            }
            if missed > 0 {
                self.add_skipped(tick.symbol, missed);
            }
            if let Some(board) = self.board.get(tick.symbol) {
                self.pending.add_tick(tick, &board.spec);
            }
        }
        if let Some(through) = batch.effects.iter().map(Effect::log_pos).max() {
            let LiveBatch { shard, effects, past, received, .. } = batch;
            self.held.push_back(Held { shard, through, received, effects, past });
        }
        self.release();
        // Nobody waits for the past.
        if self.wants_settled() && self.held.iter().any(Held::is_live) {
            self.settings.interest.commit.notify_one();
        }
    }

    fn add_skipped(&mut self, symbol: SymbolId, count: u64) {
        let Some(board) = self.board.get(symbol) else { return };
        let skipped = SkippedFrame::ticks(&board.spec.name, count);
        self.pending.add(Topic::plain(Channel::Ticks, symbol), |out| {
            append_json(&skipped, out);
        });
    }

    /// Tells the effects that the log holds by now, in the order of each shard.
    fn release(&mut self) {
        let durable = self.settings.interest.durable.load(Ordering::Acquire);
        let mut waiting: VecDeque<Held> = VecDeque::new();
        for held in std::mem::take(&mut self.held) {
            if held.through > durable || waiting.iter().any(|before| before.shard == held.shard) {
                waiting.push_back(held);
                continue;
            }
            let mut told = 0;
            // Before it serves, what is read back is kept for clients that come back: they heard what came before.
            let past = if self.is_serving { held.past.as_slice() } else { &[] };
            for past in past {
                held.effects[told..past.start].iter().for_each(|effect| self.tell(effect, held.received));
                self.note_past(&held.effects[past.clone()]);
                told = past.end;
            }
            held.effects[told..].iter().for_each(|effect| self.tell(effect, held.received));
        }
        self.held = waiting;
    }

    /// Takes over what came of the past. Its bars are many and old: clients are shown the newest ones, as if they had
    /// subscribed now, and read the rest over REST.
    fn note_past(&mut self, effects: &[Effect]) {
        let mut changed: Vec<(SymbolId, usize)> = Vec::new();
        for effect in effects {
            if let Some(place) = self.board.settle_past(effect)
                && changed.last() != Some(&place)
            {
                changed.push(place);
            }
        }
        changed.sort_unstable();
        changed.dedup();
        for (symbol, window) in &changed {
            for channel in [Channel::Bars, Channel::Indicators] {
                self.show_anew(Topic { channel, symbol: *symbol, window: *window as u8 });
            }
        }
        changed.dedup_by_key(|(symbol, _)| *symbol);
        for (symbol, _) in changed {
            self.show_first_tick(symbol);
        }
    }

    /// Sends whoever follows the topic a snapshot of it.
    fn show_anew(&mut self, topic: Topic) {
        if !self.is_wanted(topic) {
            return;
        }
        let Some(board) = self.board.get(topic.symbol) else { return };
        let mut snapshot = Snapshot::default();
        self.show(topic, board, &[], &mut snapshot);
        let frames = snapshot.finish(&self.settings.epoch);
        self.pending.add_framed(topic, frames);
    }

    /// Sends the last tick of a symbol of which no tick was told yet.
    fn show_first_tick(&mut self, symbol: SymbolId) {
        let topic = Topic::plain(Channel::Ticks, symbol);
        let is_told = self.board.get(symbol).is_some_and(|board| board.tick.is_some());
        let Some(view) = self.settings.views.get(symbol).filter(|_| !is_told && self.is_wanted(topic)) else {
            return;
        };
        self.board.refresh_tick(&view);
        let Some(board) = self.board.get(symbol) else { return };
        if let Some(tick) = &board.tick {
            // Nobody received it when it happened: latencies are not measured by it.
            self.pending.add_tick(&LiveTick { received: Nanos::MIN, ..*tick }, &board.spec);
        }
    }

    fn tell(&mut self, effect: &Effect, received: Nanos) {
        let Some((window, seq)) = self.board.settle(effect) else { return };
        let (channel, symbol) = match effect {
            Effect::Bar(bar) => (Channel::Bars, bar.symbol),
            Effect::Indicators(point) => (Channel::Indicators, point.symbol),
            Effect::DeadLetter(_) => return,
        };
        let topic = Topic { channel, symbol, window: window as u8 };
        if !self.is_wanted(topic) {
            return;
        }
        let Some(board) = self.board.get(symbol) else { return };
        let name = self.board.window_name(window);
        self.pending.add_settled(topic, received, |out| append_effect(effect, board, name, seq, out));
    }

    /// Shows the forming bars that changed, and what their indicators would be.
    fn show_forming(&mut self) {
        let forming = self.wants_channel(Channel::Forming);
        let previews = self.wants_channel(Channel::Previews);
        if !forming && !previews {
            return;
        }
        let symbols = self.followed(&[Channel::Forming, Channel::Previews]);
        for symbol in symbols {
            let Some(view) = self.settings.views.get(symbol) else { continue };
            for (at, shown) in view.windows.iter().enumerate() {
                let topic = |channel| Topic { channel, symbol, window: at as u8 };
                let (bars, points) = (topic(Channel::Forming), topic(Channel::Previews));
                let (wants_bar, wants_preview) = (self.is_wanted(bars), self.is_wanted(points));
                if !wants_bar && !wants_preview {
                    continue;
                }
                let Some(window) = self.board.entry(symbol).windows.get_mut(at) else { continue };
                if window.formed_at == view.pos {
                    continue;
                }
                window.formed_at = view.pos;
                let seq = window.seq;
                let Some(board) = self.board.get(symbol) else { continue };
                let name = self.board.window_name(at);
                if let Some(bar) = shown.forming.as_ref().filter(|_| wants_bar) {
                    self.pending.add(bars, |out| frame::bar(bar, &board.spec, name, seq, out));
                }
                if let Some(point) = shown.preview.as_ref().filter(|_| wants_preview) {
                    self.pending.add(points, |out| frame::preview(point, &board.spec, name, seq, out));
                }
            }
        }
    }

    /// Returns the symbols that somebody follows on any of the channels.
    fn followed(&self, channels: &[Channel]) -> Vec<SymbolId> {
        self.symbols_of(self.wanted.keys().filter(|topic| channels.contains(&topic.channel)))
    }

    /// Returns the symbols of topics, each once; every symbol where one of them is of all.
    pub(super) fn symbols_of<'a>(&self, topics: impl Iterator<Item = &'a Topic> + Clone) -> Vec<SymbolId> {
        if topics.clone().any(|topic| topic.is_of_all()) {
            return (0..self.settings.symbols.len() as u32).map(SymbolId).collect();
        }
        let mut symbols: Vec<SymbolId> = topics.map(|topic| topic.symbol).collect();
        symbols.sort_unstable();
        symbols.dedup();
        symbols
    }

    /// Says which feeds have come alive or died.
    fn look_at_feeds(&mut self) {
        if self.wants_channel(Channel::Feed) {
            let followed = self.followed(&[Channel::Feed]);
            self.note_feeds(&followed);
        }
    }

    /// Looks at the feeds of symbols that somebody follows: what has changed is told, and the board holds what is now.
    pub(super) fn note_feeds(&mut self, symbols: &[SymbolId]) {
        let now = (self.settings.now)();
        for &symbol in symbols {
            let Some(view) = self.settings.views.get(symbol) else { continue };
            let Some(last) = &view.last else { continue };
            let clock = self.settings.clocks.get(view.source);
            let clock = clock.max(view.watermark.plus(self.settings.core.lateness));
            let state = feed::state(now, last.ts, last.received, clock);
            let board = self.board.entry(symbol);
            if std::mem::replace(&mut board.feed, state) == state {
                continue;
            }
            let spec = Arc::clone(&board.spec);
            self.pending.add(Topic::plain(Channel::Feed, symbol), |out| {
                append_json(&FeedFrame::new(&spec.name, state), out);
            });
        }
    }

    fn show_metrics(&mut self) {
        let topic = Topic::plain(Channel::Metrics, SymbolId::NONE);
        if !self.is_wanted(topic) {
            return;
        }
        let now = (self.settings.now)();
        let since = now.plus(-3 * SECOND);
        let (rates, latencies) =
            self.settings.metrics.with_history(|history| (history.throughput(since), history.latency(since)));
        let newest = |points: &[crate::metrics::history::Point], field: &str| {
            points.iter().rev().find(|point| point.field == field).map(|point| point.value)
        };
        let frame = MetricsFrame {
            r#type: "metrics",
            timestamp: Time(now),
            ticks_per_second: newest(&rates, "messages_per_second"),
            latency_p50_ms: newest(&latencies, "received_to_bar_p50_ms"),
            latency_p99_ms: newest(&latencies, "received_to_bar_p99_ms"),
            residue: self.settings.views.all().iter().map(|view| view.ledger.residue()).sum(),
            past: PastObject::of(&self.settings.metrics),
        };
        self.pending.add(topic, |out| append_json(&frame, out));
    }

    /// Sends what waits, or sees to it that it is sent in time.
    fn flush_in_time(&mut self, ctx: &mut Context<Self>) {
        if !self.pending.is_empty() {
            let now = Instant::now();
            let wait = self.pace.wait(now, self.num_sessions(), self.pending.is_urgent());
            if wait.is_zero() && self.has_room() {
                self.flush();
            } else {
                self.look_after(ctx, now, wait.max(GATHER_MIN));
            }
        }
        self.bound_pending(ctx);
        self.answer_in_time(ctx);
    }

    /// Looks again at what waits, unless that is to happen by then anyway.
    pub(super) fn look_after(&mut self, ctx: &mut Context<Self>, now: Instant, wait: Duration) {
        let at = now + wait;
        if self.look_at.is_some_and(|due| due <= at) {
            return;
        }
        self.look_at = Some(at);
        ctx.run_later(wait, move |hub, ctx| {
            hub.look_at.take_if(|due| *due == at);
            hub.drain_backlogs();
            hub.flush_in_time(ctx);
        });
    }

    fn num_sessions(&self) -> u32 {
        u32::try_from(self.settings.metrics.websocket_connections.get()).unwrap_or(0)
    }

    /// Leaves ticks out when a thread takes nothing for long, and in the end has the shards wait.
    fn bound_pending(&mut self, ctx: &mut Context<Self>) {
        if self.pending.num_tick_bytes() > TICK_BYTES_MAX {
            let count = self.pending.drop_ticks();
            self.settings.metrics.dropped(Stage::Hub, "ticks_conflated", count);
        }
        if self.pending.num_frame_bytes() > FRAME_BYTES_MAX {
            ctx.wait(wrap_future(tokio::time::sleep(GATHER_MAX)));
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.workers.values().all(|worker| worker.backlog.len() < BACKLOG_MAX)
    }

    pub(super) fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        self.pace.flushed(Instant::now(), self.num_sessions(), self.pending.is_urgent());
        let num_frames = self.pending.num_frames();
        let flush = Deliver::Flush(Arc::new(self.pending.take()));
        for worker in self.workers.values_mut() {
            worker.send(flush.clone());
        }
        let stage = self.settings.metrics.stage(Stage::Hub);
        stage.sent.inc_by(num_frames as u64);
        let waiting: usize = self.workers.values().map(|worker| worker.backlog.len()).sum();
        stage.queue_depth.set(waiting as i64);
    }

    fn drain_backlogs(&mut self) {
        for worker in self.workers.values_mut() {
            worker.drain();
        }
        self.workers.retain(|_, worker| worker.recipient.connected());
    }

    fn guarded(&mut self, ctx: &mut Context<Self>, work: impl FnOnce(&mut Self)) {
        let metrics = Arc::clone(&self.settings.metrics);
        guard::run(ActorKind::Hub, &metrics, || work(self));
        self.flush_in_time(ctx);
    }

    pub(super) fn want(&mut self, added: &[Topic]) {
        let had_ticks = self.wants_channel(Channel::Ticks);
        for topic in added {
            *self.wanted.entry(*topic).or_default() += 1;
        }
        for topic in added {
            self.num_followers[topic.channel as usize] += 1;
        }
        if !had_ticks && self.wants_channel(Channel::Ticks) {
            // Nobody listened: what happened since is in the views only.
            for view in self.settings.views.all() {
                self.board.refresh_tick(&view);
            }
        }
        self.tell_interest();
    }

    fn release_topics(&mut self, topics: &[Topic]) {
        for topic in topics {
            let followers = &mut self.num_followers[topic.channel as usize];
            *followers = followers.saturating_sub(1);
            if let Some(count) = self.wanted.get_mut(topic) {
                *count -= 1;
                if *count == 0 {
                    self.wanted.remove(topic);
                }
            }
        }
        self.tell_interest();
    }
}

impl Worker {
    /// Sends behind what waits.
    pub(super) fn send(&mut self, message: Deliver) {
        self.backlog.push_back(message);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(message) = self.backlog.pop_front() {
            if let Err(SendError::Full(message)) = self.recipient.try_send(message) {
                self.backlog.push_front(message);
                return;
            }
        }
    }
}

impl Actor for HubActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_CAPACITY);
        ctx.run_interval(FORMING_INTERVAL, |hub, ctx| {
            hub.drain_backlogs();
            hub.guarded(ctx, |hub| {
                // A commit is not told of while the mailbox is full.
                hub.release();
                hub.show_forming();
            });
        });
        ctx.run_interval(SECOND_INTERVAL, |hub, ctx| {
            hub.guarded(ctx, |hub| {
                hub.look_at_feeds();
                hub.show_metrics();
            });
        });
    }
}

impl Handler<LiveBatch> for HubActor {
    type Result = ();

    fn handle(&mut self, batch: LiveBatch, ctx: &mut Self::Context) {
        self.guarded(ctx, |hub| hub.take_batch(batch));
    }
}

impl Handler<LogDurable> for HubActor {
    type Result = ();

    fn handle(&mut self, _: LogDurable, ctx: &mut Self::Context) {
        if !self.held.is_empty() {
            self.guarded(ctx, HubActor::release);
        }
    }
}

impl Handler<AttachWorker> for HubActor {
    type Result = ();

    fn handle(&mut self, AttachWorker { worker, recipient }: AttachWorker, _ctx: &mut Self::Context) {
        self.workers.insert(worker, Worker { recipient, backlog: VecDeque::new() });
    }
}

impl Handler<SubscribeTopics> for HubActor {
    type Result = ();

    fn handle(&mut self, request: SubscribeTopics, ctx: &mut Self::Context) {
        let metrics = Arc::clone(&self.settings.metrics);
        guard::run(ActorKind::Hub, &metrics, || self.subscribe(request));
        self.answer_in_time(ctx);
    }
}

impl Handler<ContinueAnswer> for HubActor {
    type Result = ();

    fn handle(&mut self, message: ContinueAnswer, ctx: &mut Self::Context) {
        let ContinueAnswer { worker, session, request } = message;
        if self.jobs.resume((worker, session), request).is_some() {
            self.answer_in_time(ctx);
        }
    }
}

impl Handler<ReleaseTopics> for HubActor {
    type Result = ();

    fn handle(&mut self, message: ReleaseTopics, _ctx: &mut Self::Context) {
        self.release_topics(&message.topics);
        if message.presence.has_left() {
            self.jobs.forget((message.worker, message.session));
        }
    }
}

impl Handler<BeginServing> for HubActor {
    type Result = ();

    fn handle(&mut self, _: BeginServing, ctx: &mut Self::Context) {
        self.release();
        for view in self.settings.views.all() {
            self.board.begin(&view);
        }
        self.is_serving = true;
        self.answer_in_time(ctx);
    }
}

impl Handler<StopServing> for HubActor {
    type Result = ();

    fn handle(&mut self, _: StopServing, _ctx: &mut Self::Context) {
        self.release();
        self.flush();
        for worker in self.workers.values_mut() {
            worker.send(Deliver::Stop);
        }
    }
}
