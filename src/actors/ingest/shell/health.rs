//! How a feed is, for people: its connections, the symbols it does without, and what it still has to fetch.
//!
//! Promises: what changes shows within a moment; a change costs nothing where nothing is looked at, since many of them are
//! shown at once. Nothing fails.

use crate::actors::health::{Health, HealthRegistry};
use crate::metrics::VenueMetrics;
use crate::models::time::SECOND;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Symbols that are named; of more there is only the number.
const NAMED_MAX: usize = 5;

/// How a connection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// It is open, and subscribed.
    Well,
    /// It is not, and why.
    Down(String),
    /// The venue refused it for good, and why.
    Refused(String),
}

/// How a feed is.
pub(super) struct FeedHealth {
    /// Its component on the board.
    component: String,
    venue: &'static str,
    num_symbols: Cell<usize>,
    board: Arc<HealthRegistry>,
    metrics: VenueMetrics,
    connections: RefCell<Vec<Condition>>,
    /// Symbols that the venue refuses, and why.
    left_out: RefCell<BTreeMap<String, String>>,
    /// Why past trades cannot be had.
    no_past_trades: RefCell<Option<String>>,
    /// Symbols that began without their past, or a part of it, and why.
    without_past: RefCell<BTreeMap<String, String>>,
    /// Symbols that wait for their past.
    num_warming_up: Cell<usize>,
    /// Holes that are yet to be filled.
    num_holes: Cell<usize>,
    /// Until when the venue wants to be left alone over REST, and that in words.
    left_alone: RefCell<Option<(Instant, String)>>,
    /// How far our clock is ahead of the venue's, where that is too far.
    wrong_clock: Cell<Option<i64>>,
    has_changed: Cell<bool>,
}

impl FeedHealth {
    /// Makes that of a feed that connects, and shows it.
    pub fn new(
        feed: &str,
        venue: &'static str,
        num_symbols: usize,
        num_connections: usize,
        board: Arc<HealthRegistry>,
        metrics: VenueMetrics,
    ) -> FeedHealth {
        let health = FeedHealth {
            component: format!("feed_{feed}"),
            venue,
            num_symbols: Cell::new(num_symbols),
            board,
            metrics,
            connections: RefCell::new(vec![Condition::Down("connecting".to_owned()); num_connections]),
            left_out: RefCell::default(),
            no_past_trades: RefCell::default(),
            without_past: RefCell::default(),
            num_warming_up: Cell::new(0),
            num_holes: Cell::new(0),
            left_alone: RefCell::default(),
            wrong_clock: Cell::new(None),
            has_changed: Cell::new(true),
        };
        health.show();
        health
    }

    /// Notes one more connection, which is not there yet.
    pub fn add_connection(&self) {
        self.connections.borrow_mut().push(Condition::Down("connecting".to_owned()));
        self.has_changed.set(true);
    }

    /// Notes how many symbols are followed.
    pub fn note_symbols(&self, num_symbols: usize) {
        self.num_symbols.set(num_symbols);
        self.has_changed.set(true);
        self.show();
    }

    /// Notes how a connection is. Returns whether that is news.
    pub fn note(&self, connection: usize, condition: Condition) -> bool {
        let known = &mut self.connections.borrow_mut()[connection];
        let is_news = *known != condition;
        *known = condition;
        self.has_changed.set(self.has_changed.get() || is_news);
        is_news
    }

    /// True while a connection is not well; one that is refused for good is left out where there are others.
    pub fn is_in_trouble(&self) -> bool {
        let connections = self.connections.borrow();
        connections.iter().any(|condition| matches!(condition, Condition::Down(_)))
            || all_refused(&connections)
    }

    /// True when every connection is refused for good.
    pub fn is_refused(&self) -> bool {
        all_refused(&self.connections.borrow())
    }

    /// Notes that the venue refuses a symbol; `None`: that it has it after all.
    pub fn leave_out(&self, venue_symbol: &str, reason: Option<String>) {
        let mut left_out = self.left_out.borrow_mut();
        match reason {
            Some(reason) => _ = left_out.insert(venue_symbol.to_owned(), reason),
            None => _ = left_out.remove(venue_symbol),
        }
        self.metrics.left_out.set(i64::try_from(left_out.len()).unwrap_or(i64::MAX));
        self.has_changed.set(true);
    }

    /// Forgets what was said of a symbol that is followed no more.
    pub fn forget(&self, venue_symbol: &str) {
        self.without_past.borrow_mut().remove(venue_symbol);
        self.leave_out(venue_symbol, None);
    }

    /// Notes that past trades cannot be had. Returns true the first time.
    pub fn note_no_past_trades(&self, reason: &str) -> bool {
        let mut noted = self.no_past_trades.borrow_mut();
        let is_first = noted.is_none();
        if is_first {
            *noted = Some(reason.to_owned());
            self.has_changed.set(true);
        }
        is_first
    }

    /// Notes that a symbol begins without its past, or a part of it. Returns true the first time that it is for this reason.
    pub fn note_no_past(&self, venue_symbol: &str, reason: &str) -> bool {
        let mut noted = self.without_past.borrow_mut();
        let is_first = !noted.values().any(|known| known == reason);
        noted.insert(venue_symbol.to_owned(), reason.to_owned());
        self.has_changed.set(true);
        is_first
    }

    /// Notes how many symbols wait for their past.
    pub fn note_warming_up(&self, num_symbols: usize) {
        self.has_changed.set(self.has_changed.get() || self.num_warming_up.get() != num_symbols);
        self.num_warming_up.set(num_symbols);
    }

    /// Notes how many holes are yet to be filled.
    pub fn note_holes(&self, num_holes: usize) {
        self.metrics.backfill_jobs.set(i64::try_from(num_holes).unwrap_or(i64::MAX));
        self.has_changed.set(self.has_changed.get() || self.num_holes.get() != num_holes);
        self.num_holes.set(num_holes);
    }

    /// Notes until when the venue wants to be left alone over REST; `describe` says it for people, where it is news.
    pub fn note_left_alone(&self, until: Option<Instant>, describe: impl FnOnce() -> String) {
        let mut known = self.left_alone.borrow_mut();
        if known.as_ref().map(|(until, _)| *until) != until {
            *known = until.map(|until| (until, describe()));
            self.has_changed.set(true);
        }
    }

    /// Notes how far our clock is ahead of the venue's, in nanoseconds, where that is too far.
    pub fn note_clock(&self, wrong: Option<i64>) {
        self.has_changed.set(self.has_changed.get() || self.wrong_clock.get() != wrong);
        self.wrong_clock.set(wrong);
    }

    /// Puts what has changed on the board.
    pub fn show(&self) {
        if self.has_changed.replace(false) {
            let (status, detail) = self.describe();
            self.board.set(&self.component, status, detail);
        }
    }

    fn describe(&self) -> (Health, String) {
        let (connections, left_out) = (self.connections.borrow(), self.left_out.borrow());
        let is_refused = all_refused(&connections);
        let reason = |condition: &Condition| match condition {
            Condition::Down(reason) => Some(reason.clone()),
            Condition::Refused(reason) if is_refused => Some(format!("refused: {reason}")),
            // Its symbols are among those that are left out.
            Condition::Well | Condition::Refused(_) => None,
        };
        let troubles: Vec<String> = connections.iter().filter_map(reason).collect();
        let mut parts = match troubles.first() {
            None => vec![format!("{}: {} symbols", self.venue, self.num_symbols.get() - left_out.len())],
            Some(first) => {
                let (down, all) = (troubles.len(), connections.len());
                vec![format!("{}: {down} of {all} connections down: {first}", self.venue)]
            }
        };
        if !left_out.is_empty() && !is_refused {
            parts.push(format!("left out: {}", named(&left_out)));
        }
        if self.num_warming_up.get() > 0 {
            parts.push(format!("symbols that wait for their past: {}", self.num_warming_up.get()));
        }
        let without_past = self.without_past.borrow();
        if !without_past.is_empty() {
            parts.push(format!("without a whole past: {}", named(&without_past)));
        }
        if let Some(reason) = &*self.no_past_trades.borrow() {
            parts.push(format!("missed trades cannot be fetched: {reason}"));
        }
        if self.num_holes.get() > 0 {
            parts.push(format!("holes left to fill: {}", self.num_holes.get()));
        }
        if let Some((_, said)) = &*self.left_alone.borrow() {
            parts.push(said.clone());
        }
        if let Some(ahead) = self.wrong_clock.get() {
            parts.push(format!("clock here: {}", how_wrong(ahead)));
        }
        let is_whole = troubles.is_empty() && left_out.is_empty();
        (if is_whole { Health::Healthy } else { Health::Degraded }, parts.join("; "))
    }
}

fn all_refused(connections: &[Condition]) -> bool {
    connections.iter().all(|condition| matches!(condition, Condition::Refused(_)))
}

/// Names symbols and reasons, the first few of them.
fn named(symbols: &BTreeMap<String, String>) -> String {
    let first = symbols.iter().take(NAMED_MAX);
    let mut named: Vec<String> = first.map(|(symbol, reason)| format!("`{symbol}` ({reason})")).collect();
    if symbols.len() > NAMED_MAX {
        named.push(format!("{} more", symbols.len() - NAMED_MAX));
    }
    named.join(", ")
}

/// Says how far our clock is from the venue's.
pub(super) fn how_wrong(ahead: i64) -> String {
    let side = if ahead < 0 { "behind" } else { "ahead of" };
    format!("{:.1} s {side} the venue's", ahead.unsigned_abs() as f64 / SECOND as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn what_is_wrong_stands_in_one_line() {
        let board = Arc::new(HealthRegistry::default());
        let metrics = Metrics::new(0).venue("kraken");
        let health = FeedHealth::new("coins", "kraken", 9, 2, Arc::clone(&board), metrics);
        let told = || {
            health.show();
            let (name, health) = board.components().remove(0);
            assert_eq!(name, "feed_coins");
            (health.status, health.detail)
        };
        let (well, degraded) = (Health::Healthy, Health::Degraded);
        assert_eq!(told(), (degraded, "kraken: 2 of 2 connections down: connecting".to_owned()));
        health.note(0, Condition::Refused("bad key".to_owned()));
        assert_eq!(told(), (degraded, "kraken: 1 of 2 connections down: connecting".to_owned()));
        assert!(health.is_in_trouble() && !health.is_refused());
        health.note(1, Condition::Refused("bad key".to_owned()));
        assert!(health.is_in_trouble() && health.is_refused());
        assert_eq!(told(), (degraded, "kraken: 2 of 2 connections down: refused: bad key".to_owned()));
        health.note(0, Condition::Well);
        health.note(1, Condition::Well);
        assert_eq!(told(), (well, "kraken: 9 symbols".to_owned()));
        assert!(health.note_no_past_trades("the plan has none") && !health.note_no_past_trades("again"));
        health.note_holes(4);
        health.note_clock(Some(-3 * SECOND / 2));
        let said = "kraken: 9 symbols; missed trades cannot be fetched: the plan has none; holes left to fill: 4; clock here: 1.5 s behind the venue's";
        assert_eq!(told(), (well, said.to_owned()));
        for at in 0..6 {
            health.leave_out(&format!("A{at}"), Some("unknown".to_owned()));
        }
        let (status, said) = told();
        assert!(said.starts_with("kraken: 3 symbols; left out: `A0` (unknown), `A1` (unknown), "), "{said}");
        assert!(status == degraded && said.contains(", 1 more; "), "{said}");
        (0..6).for_each(|at| health.leave_out(&format!("A{at}"), None));
        health.note_holes(0);
        health.note_clock(None);
        assert_eq!(told().0, well);
    }
}
