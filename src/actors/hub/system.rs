//! Publishes what a view of the system shows, once a second while somebody follows it: the stages' latency, the rates, the
//! health of the components, and of each symbol what became of its reports.
//!
//! Promises: the figures are those that REST has under the same names; of a symbol only what changed is sent, however many
//! symbols there are; nothing here is done while nobody follows it, and nothing of it on the data path. On failure: a panic
//! ends the work of one second, and the next one starts afresh.

use super::HubActor;
use super::ledgers::{LedgerCounts, LedgerFrame};
use super::topic::{Channel, Topic};
use crate::actors::health::ComponentHealth;
use crate::models::ledger::{Ledger, RejectReason};
use crate::models::snapshot::SymbolSnapshot;
use crate::models::symbol::SymbolId;
use crate::models::time::{Nanos, SECOND};
use crate::wire::{Time, append_json};
use serde::Serialize;
use std::collections::BTreeMap;

/// How far back the newest sample of the metrics may lie, in nanoseconds.
const NEWEST_WITHIN: i64 = 3 * SECOND;

/// Numbers of symbols by the state of their feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FeedCounts {
    /// Those that trade.
    pub live: usize,
    /// Those that do not, while their source is heard.
    pub quiet: usize,
    /// Those whose source was not heard lately.
    pub stale: usize,
    /// Those whose source is down, or that were removed.
    pub dead: usize,
}

impl FeedCounts {
    fn add(&mut self, state: &str) {
        match state {
            "live" => self.live += 1,
            "quiet" => self.quiet += 1,
            "stale" => self.stale += 1,
            _ => self.dead += 1,
        }
    }
}

/// One component and how it is.
#[derive(Serialize)]
pub struct ComponentObject {
    name: String,
    status: &'static str,
    message: String,
}

impl From<(String, ComponentHealth)> for ComponentObject {
    fn from((name, health): (String, ComponentHealth)) -> ComponentObject {
        ComponentObject { name, status: health.status.as_str(), message: health.detail }
    }
}

/// The state of the server as a whole.
#[derive(Serialize)]
pub struct SystemFrame {
    /// Always `system`.
    pub r#type: &'static str,
    /// The end of the second that the rates and latencies are of.
    pub timestamp: Time,
    /// Ticks accepted in it.
    pub messages_per_second: Option<f64>,
    /// Bars published in it.
    pub bars_per_second: Option<f64>,
    /// Latencies in it, by the names of `metrics/latency`; none of a stage in which nothing was timed.
    pub latency: BTreeMap<&'static str, f64>,
    /// What became of the reports of all symbols.
    pub ledger: LedgerCounts,
    /// Reports that were set aside, by the reason that their dead letters have; reasons without any are left out.
    pub dead_letters: BTreeMap<&'static str, u64>,
    /// Numbers of symbols by the state of their feed.
    pub feeds: FeedCounts,
    /// Health of the components, by name.
    pub components: Vec<ComponentObject>,
}

impl HubActor {
    /// Returns the state of a symbol's feed; `None` before its first trade.
    pub(super) fn feed_of(&self, snapshot: &SymbolSnapshot, now: Nanos) -> Option<&'static str> {
        let clocks = &self.settings.clocks;
        let limits = clocks.limits_of(snapshot.symbol, snapshot.source);
        snapshot.feed(clocks.get(snapshot.source), self.settings.core.lateness, limits, now)
    }

    /// Publishes what became of the reports of the symbols that are followed, where it changed.
    pub(super) fn publish_ledgers(&mut self) {
        if !self.wants_channel(Channel::Ledger) {
            return;
        }
        let now = (self.settings.now)();
        for symbol in self.followed(&[Channel::Ledger]) {
            let Some(snapshot) = self.settings.snapshots.get(symbol) else { continue };
            let (counts, feed) = (LedgerCounts::of(&snapshot.ledger), self.feed_of(&snapshot, now));
            if self.published_ledgers.note(symbol, counts, feed) {
                let spec = self.settings.symbols.spec(symbol);
                self.pending.add(Topic::plain(Channel::Ledger, symbol), |out| {
                    append_json(&LedgerFrame::new(&spec.name, feed, counts), out);
                });
            }
        }
    }

    /// Writes what a client gets first of a symbol's ledger.
    pub(super) fn append_ledger(&self, snapshot: &SymbolSnapshot, out: &mut Vec<u8>) {
        let spec = self.settings.symbols.spec(snapshot.symbol);
        let feed = self.feed_of(snapshot, (self.settings.now)());
        append_json(&LedgerFrame::new(&spec.name, feed, LedgerCounts::of(&snapshot.ledger)), out);
    }

    /// Publishes the state of the server as a whole.
    pub(super) fn publish_system(&mut self) {
        let topic = Topic::plain(Channel::System, SymbolId::NONE);
        if self.is_wanted(topic) {
            let frame = self.system_frame();
            self.pending.add(topic, |out| append_json(&frame, out));
        }
    }

    fn system_frame(&self) -> SystemFrame {
        let now = (self.settings.now)();
        let since = now.plus(-NEWEST_WITHIN);
        let (newest, latencies, rates) = self.settings.metrics.with_history(|history| {
            (history.newest().unwrap_or(now), history.latency(since), history.throughput(since))
        });
        let is_newest = |point: &crate::metrics::history::Point| point.time == newest;
        let rate_of = |field: &str| {
            rates.iter().find(|point| is_newest(point) && point.field == field).map(|point| point.value)
        };
        let mut total = Ledger::default();
        let mut feeds = FeedCounts::default();
        for snapshot in self.settings.snapshots.all() {
            total.merge(&snapshot.ledger);
            if let Some(state) = self.feed_of(&snapshot, now) {
                feeds.add(state);
            }
        }
        let rejected =
            RejectReason::ALL.into_iter().map(RejectReason::as_str).zip(total.rejected.iter().copied());
        SystemFrame {
            r#type: "system",
            timestamp: Time(newest),
            messages_per_second: rate_of("messages_per_second"),
            bars_per_second: rate_of("bars_per_second"),
            latency: latencies
                .into_iter()
                .filter(is_newest)
                .map(|point| (point.field, point.value))
                .collect(),
            ledger: LedgerCounts::of(&total),
            dead_letters: rejected.chain([("late", total.late)]).filter(|(_, count)| *count > 0).collect(),
            feeds,
            components: self.settings.health.components().into_iter().map(ComponentObject::from).collect(),
        }
    }
}
