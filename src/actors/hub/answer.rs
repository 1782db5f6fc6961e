//! What a session is told when it asks for topics: what it missed, and what is now.

use super::HubActor;
use super::board::{Resumption, Settled, SymbolBoard};
use super::frame::{self, List, ResyncFrame, SkippedFrame, Snapshot};
use super::messages::{Deliver, SubscribeTopics};
use super::resume;
use super::topic::{Channel, Topic};
use crate::models::effect::Effect;
use crate::models::symbol::SymbolId;
use actix::fut::wrap_future;
use actix::{ActorFutureExt, AsyncContext, Context};
use bytes::Bytes;
use hashbrown::HashMap;
use std::sync::Arc;

/// Windows of symbols that one request may resume out of the history.
const NUM_RESUMED_MAX: usize = 64;

/// What the history gave, by symbol and window: up to which number, and the frames where it had them all.
type Fetched = HashMap<(SymbolId, u8), (u64, Option<Vec<Settled>>)>;

impl HubActor {
    /// Returns the topics that a client resumes, with the number that it knows of each.
    fn resumed(&self, request: &SubscribeTopics) -> HashMap<Topic, u64> {
        let Some(since) = &request.since else { return HashMap::new() };
        let asked =
            |topic: &Topic| request.topics.contains(topic) || request.topics.contains(&topic.of_all());
        since.seqs.iter().filter(|(topic, _)| asked(topic)).map(|(topic, seq)| (*topic, *seq)).collect()
    }

    /// Answers a request, after a look into the history where that is needed.
    pub(super) fn subscribe(&mut self, request: SubscribeTopics, ctx: &mut Context<Self>) {
        self.want(&request.added);
        let is_same_log = request.since.as_ref().is_some_and(|since| since.epoch == self.settings.epoch);
        let resumed = if is_same_log { self.resumed(&request) } else { HashMap::new() };
        let mut wanted: HashMap<(SymbolId, u8), (u64, u64)> = HashMap::new();
        for (topic, known) in &resumed {
            if !matches!(topic.channel, Channel::Bars | Channel::Indicators) {
                continue;
            }
            let Some(board) = self.board.get(topic.symbol) else { continue };
            if let Resumption::OlderUpTo(floor) = board.windows[usize::from(topic.window)].resume(*known) {
                let range = wanted.entry((topic.symbol, topic.window)).or_insert((*known, floor));
                range.0 = range.0.min(*known);
            }
        }
        if wanted.is_empty() || wanted.len() > NUM_RESUMED_MAX {
            self.answer(&request, &Fetched::new());
            return;
        }
        let history = Arc::clone(&self.settings.history);
        let widths: Vec<_> = (0..self.board.num_windows()).map(|at| self.board.width(at)).collect();
        let read = async move {
            let mut fetched = Fetched::new();
            for ((symbol, window), (known, last)) in wanted {
                let width = widths[usize::from(window)];
                let missed = resume::missed(history.as_ref(), symbol, width, known, last).await;
                fetched.insert((symbol, window), (last, missed));
            }
            fetched
        };
        ctx.spawn(wrap_future(read).map(move |fetched, hub: &mut Self, ctx| {
            hub.guarded(ctx, |hub| hub.answer(&request, &fetched));
        }));
    }

    /// Sends what is now, behind what was missed. What gathered before goes first, so that nothing comes twice.
    fn answer(&mut self, request: &SubscribeTopics, fetched: &Fetched) {
        // The feeds of what is shown are those of now, also where nobody has followed them: a change is told to those
        // who know the state before, and the snapshot holds the one after it.
        let feeds = request.topics.iter().filter(|topic| topic.channel == Channel::Feed);
        let feeds = self.symbols_of(feeds);
        self.note_feeds(&feeds);
        self.flush();
        let epoch = self.settings.epoch.clone();
        let is_same_log = request.since.as_ref().is_some_and(|since| since.epoch == epoch);
        let resumed = self.resumed(request);
        let mut anew: Vec<String> = Vec::new();
        let mut replay: Vec<u8> = Vec::new();
        let mut whole: Vec<Topic> = Vec::new();
        let mut topics: Vec<(&Topic, &u64)> = resumed.iter().collect();
        topics.sort_unstable_by_key(|(topic, _)| (topic.symbol, topic.window, topic.channel as u8));
        for (topic, known) in topics {
            let missed = if is_same_log { self.missed(*topic, *known, fetched) } else { None };
            match missed {
                Some(frames) => {
                    replay.extend_from_slice(&frames);
                    whole.push(*topic);
                }
                None => anew.push(self.topic_name(*topic)),
            }
        }
        let mut frames: Vec<u8> = Vec::new();
        if !anew.is_empty() || (request.since.is_some() && !is_same_log) {
            frames.extend_from_slice(&frame::of(&ResyncFrame::new(&epoch, &anew)));
        }
        frames.extend_from_slice(&replay);
        if request.is_broadcast {
            self.append_last_ticks(&mut frames);
        } else {
            frames.extend_from_slice(&self.snapshot(request, &whole));
        }
        let answer = Deliver::Answer {
            session: request.session,
            frames: frames.into(),
            topics: request.topics.clone(),
            is_broadcast: request.is_broadcast,
        };
        if let Some(worker) = self.workers.get_mut(&request.worker) {
            worker.send(answer);
        }
    }

    /// Returns the frames of what a client missed of a topic; `None` when they cannot be had whole.
    fn missed(&self, topic: Topic, known: u64, fetched: &Fetched) -> Option<Vec<u8>> {
        let board = self.board.get(topic.symbol)?;
        let mut frames = Vec::new();
        if topic.channel == Channel::Ticks {
            let last = board.tick.map_or(0, |tick| tick.seq);
            let count = last.checked_sub(known)?;
            if count > 1 {
                // The last one is in the snapshot.
                frames.extend_from_slice(&frame::of(&SkippedFrame::ticks(&board.spec.name, count - 1)));
            }
            return Some(frames);
        }
        let at = usize::from(topic.window);
        let window = board.windows.get(at)?;
        let settled = match window.resume(known) {
            Resumption::Missed(settled) => settled,
            Resumption::Unknown => return None,
            Resumption::OlderUpTo(floor) => {
                let (last, older) = fetched.get(&(topic.symbol, topic.window))?;
                let Resumption::Missed(newer) = window.resume(floor) else { return None };
                let older = older.as_ref().filter(|_| *last == floor)?;
                older.iter().filter(|settled| settled.seq > known).copied().chain(newer).collect()
            }
        };
        let name = self.board.window_name(at);
        let mut payload = Vec::new();
        for Settled { seq, effect } in settled {
            let is_asked = match effect {
                Effect::Bar(_) => topic.channel == Channel::Bars,
                Effect::Indicators(_) => topic.channel == Channel::Indicators,
                Effect::DeadLetter(_) => false,
            };
            if is_asked {
                payload.clear();
                append_effect(&effect, board, name, seq, &mut payload);
                frame::append_framed(&payload, &mut frames);
            }
        }
        Some(frames)
    }

    fn topic_name(&self, topic: Topic) -> String {
        let symbol = self.board.get(topic.symbol).map_or("*", |board| &board.spec.name);
        match topic.channel {
            Channel::Ticks | Channel::Feed | Channel::Metrics => {
                format!("{}:{symbol}", topic.channel.as_str())
            }
            _ => {
                let window = self.board.window_name(usize::from(topic.window));
                format!("{}:{symbol}:{window}", topic.channel.as_str())
            }
        }
    }

    fn append_last_ticks(&self, frames: &mut Vec<u8>) {
        let mut payload = Vec::new();
        for (_, board) in self.board.all() {
            if let Some(tick) = &board.tick {
                payload.clear();
                frame::last_tick(tick, &board.spec, board.feed, &mut payload);
                frame::append_framed(&payload, frames);
            }
        }
    }

    /// Frames what is now of the topics asked for; settled bars of topics that were resumed are known already.
    fn snapshot(&self, request: &SubscribeTopics, whole: &[Topic]) -> Bytes {
        let epoch = &self.settings.epoch;
        let mut snapshot = Snapshot::default();
        for topic in &request.topics {
            let one = self.board.get(topic.symbol).map(|board| (topic.symbol, board));
            if topic.is_of_all() {
                for (symbol, board) in self.board.all() {
                    self.show(Topic { symbol, ..*topic }, board, whole, &mut snapshot);
                }
            } else if let Some((_, board)) = one {
                self.show(*topic, board, whole, &mut snapshot);
            }
        }
        snapshot.finish(epoch)
    }

    pub(super) fn show(&self, topic: Topic, board: &SymbolBoard, whole: &[Topic], snapshot: &mut Snapshot) {
        let epoch = &self.settings.epoch;
        let (spec, at) = (&board.spec, usize::from(topic.window));
        let Some(window) = board.windows.get(at) else { return };
        let (name, seq) = (self.board.window_name(at), window.seq);
        match topic.channel {
            Channel::Ticks => {
                if let Some(tick) = &board.tick {
                    snapshot.add(List::Ticks, epoch, |out| frame::last_tick(tick, spec, board.feed, out));
                }
            }
            Channel::Bars => {
                if let Some(bar) = window.closed.as_ref().filter(|_| !whole.contains(&topic)) {
                    snapshot.add(List::Bars, epoch, |out| frame::bar(bar, spec, name, seq, out));
                }
            }
            Channel::Forming => {
                let view = self.settings.views.get(topic.symbol);
                let forming = view.as_ref().and_then(|view| view.windows.get(at)?.forming.as_ref());
                if let Some(bar) = forming {
                    snapshot.add(List::Bars, epoch, |out| frame::bar(bar, spec, name, seq, out));
                }
            }
            Channel::Indicators => {
                if let Some(point) = window.indicators.as_ref().filter(|_| !whole.contains(&topic)) {
                    snapshot.add(List::Indicators, epoch, |out| {
                        frame::indicators(point, spec, name, seq, out);
                    });
                }
            }
            Channel::Feed | Channel::Previews | Channel::Metrics => {}
        }
    }
}

/// Appends the payload of a bar or of indicators.
pub(super) fn append_effect(effect: &Effect, board: &SymbolBoard, window: &str, seq: u64, out: &mut Vec<u8>) {
    match effect {
        Effect::Bar(bar) => frame::bar(bar, &board.spec, window, seq, out),
        Effect::Indicators(point) => frame::indicators(point, &board.spec, window, seq, out),
        Effect::DeadLetter(_) => {}
    }
}
