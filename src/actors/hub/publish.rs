//! Publishes what the shards report: ticks at once, settled bars and their indicators once the log holds their
//! entries.
//!
//! Promises: an event that was published is not published again; the numbers of a topic only grow, and where one is
//! missing clients can tell. Nothing is encoded that no client follows. On failure: what is dropped because too much
//! waits is counted, and clients are told how many ticks.

use super::HubActor;
use super::frame::{self, SkippedFrame, SnapshotWriter};
use super::topic::{Channel, Topic};
use crate::actors::messages::{LiveBatch, LiveTick};
use crate::metrics::Stage;
use crate::models::anomaly::Anomaly;
use crate::models::detection::Detected;
use crate::models::effect::Effect;
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use crate::wire::append_json;

impl HubActor {
    /// Takes in what a shard has for live clients.
    pub(super) fn take_batch(&mut self, batch: LiveBatch) {
        let num_events = batch.ticks.len() + batch.effects.len();
        self.settings.metrics.stage(Stage::Hub).received.inc_by(num_events as u64);
        for tick in &batch.ticks {
            let Some(missed) = self.last_values.note_tick(tick) else { continue };
            if !self.is_wanted(Topic::plain(Channel::Ticks, tick.symbol)) {
                continue;
            }
            if missed > 0 {
                self.add_skipped(tick.symbol, missed);
            }
            if let Some(values) = self.last_values.get(tick.symbol) {
                self.pending.add_tick(tick, &values.spec);
            }
        }
        let num_dropped = self.held.hold(batch);
        if num_dropped > 0 {
            self.settings.metrics.dropped(Stage::Hub, "not_durable", num_dropped as u64);
        }
        self.release();
        // No client waits for a made-up past.
        if self.wants_settled() && self.held.has_live() {
            self.settings.durability.request_flush();
        }
    }

    fn add_skipped(&mut self, symbol: SymbolId, count: u64) {
        let Some(values) = self.last_values.get(symbol) else { return };
        let skipped = SkippedFrame::ticks(&values.spec.name, count);
        self.pending.add(Topic::plain(Channel::Ticks, symbol), |out| {
            append_json(&skipped, out);
        });
    }

    /// Publishes the effects whose entries the log holds by now.
    pub(super) fn release(&mut self) {
        if self.held.is_empty() {
            return;
        }
        for held in self.held.release(self.settings.durability.through()) {
            let mut published = 0;
            // Before the hub serves, what recovery reads back is kept bar by bar, for clients that resume.
            let past = if self.is_serving { held.past.as_slice() } else { &[] };
            for past in past {
                let before = &held.effects[published..past.start];
                before.iter().for_each(|effect| self.publish(effect, held.received));
                self.publish_past(&held.effects[past.clone()]);
                published = past.end;
            }
            held.effects[published..].iter().for_each(|effect| self.publish(effect, held.received));
        }
    }

    /// Publishes a made-up past. Its bars are many and old, so clients get a snapshot of the newest ones, as if they
    /// had subscribed now, and read the rest over REST.
    fn publish_past(&mut self, effects: &[Effect]) {
        let mut changed: Vec<(SymbolId, usize)> = Vec::new();
        for effect in effects {
            if let Some(window) = self.last_values.settle_past(effect)
                && changed.last() != Some(&window)
            {
                changed.push(window);
            }
        }
        changed.sort_unstable();
        changed.dedup();
        for (symbol, window) in &changed {
            for channel in [Channel::Bars, Channel::Indicators] {
                self.send_snapshot(Topic { channel, symbol: *symbol, window: *window as u8 });
            }
        }
        changed.dedup_by_key(|(symbol, _)| *symbol);
        for (symbol, _) in changed {
            self.send_first_tick(symbol);
        }
    }

    /// Sends a snapshot of a topic to its followers.
    fn send_snapshot(&mut self, topic: Topic) {
        if !self.is_wanted(topic) {
            return;
        }
        let Some(values) = self.last_values.get(topic.symbol) else { return };
        let mut writer = SnapshotWriter::default();
        self.show(topic, values, &[], &mut writer);
        let frames = writer.finish(&self.settings.epoch);
        self.pending.add_framed(topic, frames);
    }

    /// Sends the last tick of a symbol of which no tick was published yet.
    fn send_first_tick(&mut self, symbol: SymbolId) {
        let topic = Topic::plain(Channel::Ticks, symbol);
        let is_published = self.last_values.get(symbol).is_some_and(|values| values.tick.is_some());
        let Some(snapshot) =
            self.settings.snapshots.get(symbol).filter(|_| !is_published && self.is_wanted(topic))
        else {
            return;
        };
        self.last_values.refresh_tick(&snapshot);
        let Some(values) = self.last_values.get(symbol) else { return };
        if let Some(tick) = &values.tick {
            // It was not received when it happened, so latencies are not measured by it.
            self.pending.add_tick(&LiveTick { received: Nanos::MIN, ..*tick }, &values.spec);
        }
    }

    /// Publishes an anomaly that is about no symbol, to those who follow the anomalies of all.
    pub(super) fn announce(&mut self, anomaly: &Anomaly) {
        self.num_announced += 1;
        let (topic, seq) = (Topic::plain(Channel::Anomalies, SymbolId::NONE), self.num_announced);
        if self.is_wanted(topic) {
            self.pending.add(topic, |out| frame::anomaly(anomaly.clone(), seq, out));
        }
    }

    /// Publishes an anomaly, unless that was done already.
    fn publish_anomaly(&mut self, detected: &Detected, received: Nanos) {
        let values = self.last_values.entry(detected.symbol);
        if detected.seq <= values.anomaly_seq {
            return;
        }
        values.anomaly_seq = detected.seq;
        let topic = Topic::plain(Channel::Anomalies, detected.symbol);
        if !self.is_wanted(topic) {
            return;
        }
        let Some(values) = self.last_values.get(detected.symbol) else { return };
        self.pending.add_settled(topic, received, |out| {
            frame::anomaly(detected.anomaly(&values.spec), detected.seq, out);
        });
    }

    /// Publishes a settled bar or its indicators, or an anomaly.
    fn publish(&mut self, effect: &Effect, received: Nanos) {
        if let Effect::Anomaly(detected) = effect {
            return self.publish_anomaly(detected, received);
        }
        let Some((window, seq)) = self.last_values.settle(effect) else { return };
        let (channel, symbol) = match effect {
            Effect::Bar(bar) => (Channel::Bars, bar.symbol),
            Effect::Indicators(point) => (Channel::Indicators, point.symbol),
            Effect::Anomaly(_) | Effect::DeadLetter(_) | Effect::Sealed(_) => return,
        };
        let topic = Topic { channel, symbol, window: window as u8 };
        if !self.is_wanted(topic) {
            return;
        }
        let Some(values) = self.last_values.get(symbol) else { return };
        let name = self.last_values.window_name(window);
        self.pending.add_settled(topic, received, |out| frame::effect(effect, &values.spec, name, seq, out));
    }
}
