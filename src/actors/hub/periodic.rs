//! Publishes what changes by itself: forming bars 20 times a second, feed states and the server's figures every second.
//!
//! Promises: only what clients follow is looked up, and only what changed is sent. On failure: a panic ends the work of
//! one interval, and the next one starts afresh.

use super::HubActor;
use super::frame::{self, FeedFrame, MetricsFrame};
use super::topic::{Channel, Topic};
use crate::metrics::history::Point;
use crate::models::symbol::SymbolId;
use crate::models::time::SECOND;
use crate::wire::{PastObject, Time, append_json};
use std::sync::Arc;

impl HubActor {
    /// Publishes the forming bars that changed, and their preview indicators.
    pub(super) fn publish_forming(&mut self) {
        let forming = self.wants_channel(Channel::Forming);
        let previews = self.wants_channel(Channel::Previews);
        if !forming && !previews {
            return;
        }
        let symbols = self.followed(&[Channel::Forming, Channel::Previews]);
        for symbol in symbols {
            let Some(snapshot) = self.settings.snapshots.get(symbol) else { continue };
            for (at, current) in snapshot.windows.iter().enumerate() {
                let topic = |channel| Topic { channel, symbol, window: at as u8 };
                let (bars, points) = (topic(Channel::Forming), topic(Channel::Previews));
                let (wants_bar, wants_preview) = (self.is_wanted(bars), self.is_wanted(points));
                if !wants_bar && !wants_preview {
                    continue;
                }
                let Some(window) = self.last_values.entry(symbol).windows.get_mut(at) else { continue };
                if window.formed_at == snapshot.pos {
                    continue;
                }
                window.formed_at = snapshot.pos;
                let seq = window.seq;
                let Some(values) = self.last_values.get(symbol) else { continue };
                let name = self.last_values.window_name(at);
                if let Some(bar) = current.forming.as_ref().filter(|_| wants_bar) {
                    self.pending.add(bars, |out| frame::bar(bar, &values.spec, name, seq, out));
                }
                if let Some(point) = current.preview.as_ref().filter(|_| wants_preview) {
                    self.pending.add(points, |out| frame::preview(point, &values.spec, name, seq, out));
                }
            }
        }
    }

    /// Returns the symbols that are followed on any of the channels.
    pub(super) fn followed(&self, channels: &[Channel]) -> Vec<SymbolId> {
        self.symbols_of(self.wanted.keys().filter(|topic| channels.contains(&topic.channel)))
    }

    /// Returns the symbols of topics, each once; all symbols where one of the topics is of all.
    fn symbols_of<'a>(&self, topics: impl Iterator<Item = &'a Topic> + Clone) -> Vec<SymbolId> {
        if topics.clone().any(|topic| topic.is_of_all()) {
            return (0..self.settings.symbols.len() as u32).map(SymbolId).collect();
        }
        let mut symbols: Vec<SymbolId> = topics.map(|topic| topic.symbol).collect();
        symbols.sort_unstable();
        symbols.dedup();
        symbols
    }

    /// Publishes the feeds whose state changed.
    pub(super) fn publish_feeds(&mut self) {
        if self.wants_channel(Channel::Feed) {
            let followed = self.followed(&[Channel::Feed]);
            self.refresh_feeds(&followed);
        }
    }

    /// Brings the feed states of symbols up to date, and publishes those that changed.
    pub(super) fn refresh_feeds(&mut self, symbols: &[SymbolId]) {
        let now = (self.settings.now)();
        for &symbol in symbols {
            let Some(snapshot) = self.settings.snapshots.get(symbol) else { continue };
            let Some(state) = self.feed_of(&snapshot, now) else { continue };
            let values = self.last_values.entry(symbol);
            if std::mem::replace(&mut values.feed, state) == state {
                continue;
            }
            let spec = Arc::clone(&values.spec);
            self.pending.add(Topic::plain(Channel::Feed, symbol), |out| {
                append_json(&FeedFrame::new(&spec.name, state), out);
            });
        }
    }

    /// Publishes the server's own figures.
    pub(super) fn publish_metrics(&mut self) {
        let topic = Topic::plain(Channel::Metrics, SymbolId::NONE);
        if !self.is_wanted(topic) {
            return;
        }
        let now = (self.settings.now)();
        let since = now.plus(-3 * SECOND);
        let (rates, latencies) =
            self.settings.metrics.with_history(|history| (history.throughput(since), history.latency(since)));
        let newest = |points: &[Point], field: &str| {
            points.iter().rev().find(|point| point.field == field).map(|point| point.value)
        };
        let metrics = &self.settings.metrics;
        let frame = MetricsFrame {
            r#type: "metrics",
            timestamp: Time(now),
            ticks_per_second: newest(&rates, "messages_per_second"),
            latency_p50_ms: newest(&latencies, "received_to_bar_p50_ms"),
            latency_p99_ms: newest(&latencies, "received_to_bar_p99_ms"),
            residue: self.settings.snapshots.all().iter().map(|snapshot| snapshot.ledger.residue()).sum(),
            past: PastObject::new(metrics.past_symbols_made.get(), metrics.past_symbols.get()),
        };
        self.pending.add(topic, |out| append_json(&frame, out));
    }
}
