//! Answers subscriptions: what a client missed, and the newest values; in parts, see [`super::job`].
//!
//! Promises: frames gathered before a part never follow it, since parts are made only while nothing waits to be sent.
//! So a snapshot shows what was published last, and its topics become live at that very place. On failure: a part that
//! panics is the last one of its answer.

use super::HubActor;
use super::frame::{self, List, ResyncFrame, SkippedFrame, SnapshotWriter};
use super::job::{Fetched, Job, PartKey};
use super::last_values::{Resumption, Settled, SymbolValues};
use super::messages::{Answer, Deliver, SubscribeTopics};
use super::resume;
use super::topic::{Channel, Topic};
use crate::actors::guard::{self, ActorKind};
use crate::models::effect::Effect;
use crate::models::symbol::SymbolId;
use actix::fut::wrap_future;
use actix::{ActorFutureExt, AsyncContext, Context};
use bytes::Bytes;
use hashbrown::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// Windows of symbols that one request may resume from the history.
const NUM_RESUMED_MAX: usize = 64;

/// Bytes of a part, above which the rest goes into the next one: a fraction of a millisecond's work.
const PART_BYTES: usize = 64 << 10;

/// Symbols of a part, above which the rest goes into the next one: symbols without values take time as well.
const PART_SYMBOLS: usize = 512;

/// A part of an answer, before it is addressed to a session.
#[derive(Clone, Default)]
struct Part {
    frames: Bytes,
    topics: Vec<Topic>,
    more_from: Option<SymbolId>,
}

impl HubActor {
    /// Accepts a request.
    pub(super) fn subscribe(&mut self, mut request: SubscribeTopics) {
        self.want(&std::mem::take(&mut request.added));
        self.jobs.add(Job::new(request));
    }

    /// Makes the parts that are due, within the share of time that answers get.
    pub(super) fn answer_in_time(&mut self, ctx: &mut Context<Self>) {
        if !self.is_serving {
            return;
        }
        // Clients that connect at the same time mostly ask the same, so a part made for one serves the next.
        let mut shared: Option<(PartKey, Part)> = None;
        while !self.jobs.is_idle() && self.pending.is_empty() {
            let begun = Instant::now();
            let wait = self.share.wait(begun);
            if !wait.is_zero() || !self.has_room() {
                self.check_after(ctx, begun, wait.max(super::pace::GATHER_MIN));
                return;
            }
            let Some(mut job) = self.jobs.take_next() else { return };
            if !job.is_planned {
                job.is_planned = true;
                let ranges = self.missing_ranges(&job);
                if !ranges.is_empty() {
                    self.read_history(&job, ranges, ctx);
                    self.jobs.put_aside(job);
                    continue;
                }
            }
            let part = self.part_of(&mut job, &mut shared);
            self.share.spent(Instant::now(), begun.elapsed());
            let SubscribeTopics { worker, session, request, .. } = job.request;
            let Part { frames, topics, more_from } = part;
            let answer = Answer { session, request, frames, topics, more_from };
            if let Some(worker) = self.workers.get_mut(&worker) {
                worker.send(Deliver::Answer(answer));
            }
            if more_from.is_some() {
                self.jobs.put_aside(job);
            }
        }
    }

    /// Makes the next part, or reuses the one made for another client that asked the same.
    fn part_of(&mut self, job: &mut Job, shared: &mut Option<(PartKey, Part)>) -> Part {
        let part_key = job.part_key();
        if let Some((like, part)) = shared.as_ref()
            && part_key.as_ref() == Some(like)
        {
            job.advance_to(part.more_from);
            return part.clone();
        }
        // A snapshot shows the current feed state, even where no client followed it so far. Followers that know the
        // state before must get the change first, so it is flushed before the part is made.
        let feeds = job.next_feeds(PART_SYMBOLS, self.settings.symbols.len());
        self.refresh_feeds(&feeds);
        self.flush();
        let metrics = Arc::clone(&self.settings.metrics);
        let topics = std::mem::take(&mut job.request.topics);
        let made = guard::run(ActorKind::Hub, &metrics, || self.make_part(job, topics.clone()));
        // A part that cannot be made is the last one; its topics become live all the same.
        let part = made.unwrap_or_else(|| Part { topics, ..Part::default() });
        *shared = part_key.map(|part_key| (part_key, part.clone()));
        part
    }

    /// Returns the ranges of numbers that only the history holds, by symbol and window: above the first, up to the
    /// second.
    fn missing_ranges(&self, job: &Job) -> HashMap<(SymbolId, u8), (u64, u64)> {
        let mut ranges: HashMap<(SymbolId, u8), (u64, u64)> = HashMap::new();
        if !self.is_same_log(&job.request) {
            return ranges;
        }
        for (topic, known) in job.resumed.values().flatten() {
            let Some(values) = self.last_values.get(topic.symbol) else { continue };
            let is_settled = matches!(topic.channel, Channel::Bars | Channel::Indicators);
            let Some(window) = values.windows.get(usize::from(topic.window)).filter(|_| is_settled) else {
                continue;
            };
            if let Resumption::OlderUpTo(floor) = window.resume(*known) {
                let range = ranges.entry((topic.symbol, topic.window)).or_insert((*known, floor));
                range.0 = range.0.min(*known);
            }
        }
        if ranges.len() > NUM_RESUMED_MAX {
            ranges.clear();
        }
        ranges
    }

    /// Reads what a client missed, and resumes its request afterwards.
    fn read_history(&self, job: &Job, ranges: HashMap<(SymbolId, u8), (u64, u64)>, ctx: &mut Context<Self>) {
        let (history, readers) = (Arc::clone(&self.settings.history), Arc::clone(&self.readers));
        let core = Arc::clone(&self.settings.core);
        let (key, request) = (job.key(), job.request.request);
        let read = async move {
            // The semaphore is never closed; without a permit reading goes on all the same.
            let _permit = readers.acquire().await.ok();
            let mut fetched = Fetched::new();
            for ((symbol, window), (known, last)) in ranges {
                let width = core.widths[usize::from(window)];
                let missed = resume::missed(history.as_ref(), &core, symbol, width, known, last).await;
                fetched.insert((symbol, window), (last, missed));
            }
            fetched
        };
        ctx.spawn(wrap_future(read).map(move |fetched, hub: &mut Self, ctx| {
            if let Some(job) = hub.jobs.resume(key, request) {
                job.fetched = fetched;
            }
            hub.answer_in_time(ctx);
        }));
    }

    fn is_same_log(&self, request: &SubscribeTopics) -> bool {
        request.since.as_ref().is_some_and(|since| since.epoch == self.settings.epoch)
    }

    /// Makes the next part: of each symbol what was missed, then its newest values.
    fn make_part(&self, job: &mut Job, topics: Vec<Topic>) -> Part {
        let num_symbols = self.settings.symbols.len();
        let is_same_log = self.is_same_log(&job.request);
        let is_whole_answer_anew = job.is_first && job.request.since.is_some() && !is_same_log;
        let mut part = Part { topics, ..Part::default() };
        let mut anew: Vec<Topic> = Vec::new();
        let mut replay: Vec<u8> = Vec::new();
        let mut last_ticks: Vec<u8> = Vec::new();
        let mut writer = SnapshotWriter::default();
        let mut num_taken = 0;
        while replay.len() + last_ticks.len() + writer.num_bytes() < PART_BYTES && num_taken < PART_SYMBOLS {
            let Some((symbol, asked)) = job.take_symbol(num_symbols) else { break };
            num_taken += 1;
            part.topics.extend(asked.iter().filter(|topic| !job.of_all.contains(&topic.of_all())));
            let mut whole: Vec<Topic> = Vec::new();
            for (topic, known) in job.resumed.remove(&symbol).unwrap_or_default() {
                let missed = if is_same_log { self.missed(topic, known, job) } else { None };
                match missed {
                    Some(frames) => {
                        replay.extend_from_slice(&frames);
                        whole.push(topic);
                    }
                    None => anew.push(topic),
                }
            }
            let Some(values) = self.last_values.get(symbol) else { continue };
            if job.request.is_broadcast {
                append_last_tick(values, &mut last_ticks);
            } else {
                asked.into_iter().for_each(|topic| self.show(topic, values, &whole, &mut writer));
            }
        }
        if job.has_more(num_symbols) {
            part.more_from = Some(job.next_symbol());
        } else {
            // Symbols without a snapshot.
            anew.extend(job.resumed.drain().flat_map(|(_, topics)| topics).map(|(topic, _)| topic));
        }
        let mut frames: Vec<u8> = Vec::new();
        if !anew.is_empty() || is_whole_answer_anew {
            let names: Vec<String> = anew.iter().map(|topic| self.topic_name(*topic)).collect();
            frames.extend_from_slice(&frame::of(&ResyncFrame::new(&self.settings.epoch, &names)));
        }
        frames.extend_from_slice(&replay);
        frames.extend_from_slice(&last_ticks);
        if !job.request.is_broadcast && (job.is_first || writer.num_bytes() > 0) {
            frames.extend_from_slice(&writer.finish(&self.settings.epoch));
        }
        job.is_first = false;
        part.frames = frames.into();
        part
    }

    /// Returns the frames of what a client missed of a topic; `None` when they are not complete.
    fn missed(&self, topic: Topic, known: u64, job: &Job) -> Option<Vec<u8>> {
        let values = self.last_values.get(topic.symbol)?;
        let mut frames = Vec::new();
        if topic.channel == Channel::Ticks {
            let last = values.tick.map_or(0, |tick| tick.seq);
            let count = last.checked_sub(known)?;
            // Ticks are published before the log holds them, and a crash may take some back: beyond what the log held
            // at the start, numbers are valid only for clients that got them from this run.
            let run = job.request.since.as_ref().and_then(|since| since.run.as_ref());
            if known > values.tick_floor && run != Some(&self.settings.run) {
                return None;
            }
            if count > 1 {
                // The last of them is in the snapshot.
                frames.extend_from_slice(&frame::of(&SkippedFrame::ticks(&values.spec.name, count - 1)));
            }
            return Some(frames);
        }
        let at = usize::from(topic.window);
        let window = values.windows.get(at)?;
        let settled = match window.resume(known) {
            Resumption::Missed(settled) => settled,
            Resumption::Unknown => return None,
            Resumption::OlderUpTo(floor) => {
                let (last, older) = job.fetched.get(&(topic.symbol, topic.window))?;
                let Resumption::Missed(newer) = window.resume(floor) else { return None };
                let older = older.as_ref().filter(|_| *last == floor)?;
                older.iter().filter(|settled| settled.seq > known).copied().chain(newer).collect()
            }
        };
        let name = self.last_values.window_name(at);
        let mut payload = Vec::new();
        for Settled { seq, effect } in settled {
            let is_asked = match effect {
                Effect::Bar(_) => topic.channel == Channel::Bars,
                Effect::Indicators(_) => topic.channel == Channel::Indicators,
                Effect::Anomaly(_) | Effect::DeadLetter(_) | Effect::Sealed(_) => false,
            };
            if is_asked {
                payload.clear();
                frame::effect(&effect, &values.spec, name, seq, &mut payload);
                frame::append_framed(&payload, &mut frames);
            }
        }
        Some(frames)
    }

    fn topic_name(&self, topic: Topic) -> String {
        let symbol = self.last_values.get(topic.symbol).map_or("*", |values| &values.spec.name);
        match topic.channel {
            Channel::Ticks
            | Channel::Feed
            | Channel::Anomalies
            | Channel::Metrics
            | Channel::Ledger
            | Channel::System => {
                format!("{}:{symbol}", topic.channel.as_str())
            }
            _ => {
                let window = self.last_values.window_name(usize::from(topic.window));
                format!("{}:{symbol}:{window}", topic.channel.as_str())
            }
        }
    }

    pub(super) fn show(
        &self,
        topic: Topic,
        values: &SymbolValues,
        whole: &[Topic],
        writer: &mut SnapshotWriter,
    ) {
        let epoch = &self.settings.epoch;
        let (spec, at) = (&values.spec, usize::from(topic.window));
        let Some(window) = values.windows.get(at) else { return };
        let (name, seq) = (self.last_values.window_name(at), window.seq);
        match topic.channel {
            Channel::Ticks => {
                if let Some(tick) = &values.tick {
                    writer.add(List::Ticks, epoch, |out| frame::last_tick(tick, spec, values.feed, out));
                }
            }
            Channel::Bars => {
                if let Some(bar) = window.closed.as_ref().filter(|_| !whole.contains(&topic)) {
                    writer.add(List::Bars, epoch, |out| frame::bar(bar, spec, name, seq, out));
                }
            }
            Channel::Forming => {
                let snapshot = self.settings.snapshots.get(topic.symbol);
                let forming =
                    snapshot.as_ref().and_then(|snapshot| snapshot.windows.get(at)?.forming.as_ref());
                if let Some(bar) = forming {
                    writer.add(List::Bars, epoch, |out| frame::bar(bar, spec, name, seq, out));
                }
            }
            Channel::Indicators => {
                if let Some(point) = window.indicators.as_ref().filter(|_| !whole.contains(&topic)) {
                    writer.add(List::Indicators, epoch, |out| {
                        frame::indicators(point, spec, name, seq, out);
                    });
                }
            }
            Channel::Ledger => {
                if let Some(snapshot) = self.settings.snapshots.get(topic.symbol) {
                    writer.add(List::Ledgers, epoch, |out| self.append_ledger(&snapshot, out));
                }
            }
            Channel::Feed | Channel::Previews | Channel::Anomalies | Channel::Metrics | Channel::System => {}
        }
    }
}

fn append_last_tick(values: &SymbolValues, frames: &mut Vec<u8>) {
    if let Some(tick) = &values.tick {
        let mut payload = Vec::with_capacity(128);
        frame::last_tick(tick, &values.spec, values.feed, &mut payload);
        frame::append_framed(&payload, frames);
    }
}
