//! What the answers to one poll have brought, so that an answer that repeats it says only what is new.
//!
//! Promises: a bar or quote is given on once, and again only where it changed; bars whose windows are sealed are not given
//! on, since the core would take none of them. What is remembered lies within a horizon. No clock is read here.

use super::super::venue::{Context, FrameFault, Heard, Poll, Venue, VenueEvent};
use crate::models::entry::{Body, Entry, Quote, VenueBar};
use crate::models::symbol::SymbolId;
use crate::models::time::{DAY, Nanos};
use std::collections::BTreeMap;

/// How far back the longest answers reach.
const ANSWER_SPAN_MAX: i64 = 31 * DAY;

/// What one report is about: the symbol, and of a bar its width in milliseconds and its start.
type Subject = (SymbolId, u32, Nanos);

/// What the answers to one poll have brought.
#[derive(Debug)]
pub struct Brought {
    /// Up to which event time everything has come, as far as the answers tell.
    reached: Option<Nanos>,
    /// How far back a bar can still change a window.
    horizon: i64,
    recent: BTreeMap<Subject, Body>,
    faults: Vec<FrameFault>,
}

/// What an answer says that none before it said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Reports, oldest first.
    pub entries: Vec<Entry>,
    /// Parts that cannot be read.
    pub faults: Vec<FrameFault>,
    /// A stretch between what came before and the oldest bar of this answer, of which nobody knows.
    pub hole: Option<(Nanos, Nanos)>,
    /// Start of the oldest bar of the answer.
    pub oldest: Option<Nanos>,
}

impl Brought {
    /// Makes it for a poll that has brought everything up to a time already, if it has: in another run.
    #[must_use]
    pub fn new(reached: Option<Nanos>, horizon: i64) -> Brought {
        Brought { reached, horizon, recent: BTreeMap::new(), faults: Vec::new() }
    }

    /// Makes it for answers that were recorded, where nobody knows what was sealed when they came: repeats are known
    /// however old they are.
    #[must_use]
    pub fn of_recording() -> Brought {
        Brought::new(None, ANSWER_SPAN_MAX)
    }

    /// Reads an answer: leaves in `heard` what none before it said.
    pub fn read(
        &mut self,
        venue: &dyn Venue,
        body: &str,
        poll: &Poll,
        context: &Context<'_>,
        heard: &mut Heard,
    ) {
        let read = venue.read_poll(body, poll, context, heard);
        let mut faults = std::mem::take(&mut heard.faults);
        if let Err(fault) = read {
            heard.events.clear();
            faults = vec![fault];
        }
        let news = self.take(&heard.events, faults);
        heard.events.clear();
        heard.events.extend(news.entries.into_iter().map(VenueEvent::Report));
        heard.faults = news.faults;
    }

    /// Returns up to which event time everything has come.
    #[must_use]
    pub fn reached(&self) -> Option<Nanos> {
        self.reached
    }

    /// Takes an answer.
    pub(super) fn take(&mut self, events: &[VenueEvent], faults: Vec<FrameFault>) -> News {
        let reports = events.iter().filter_map(|event| match event {
            VenueEvent::Report(entry) => Some(*entry),
            _ => None,
        });
        let mut reports: Vec<Entry> = reports.collect();
        reports.sort_by_key(|entry| entry.body.time());
        let before = self.reached;
        let mut news = News::default();
        for entry in reports {
            if let Body::VenueBar(bar) = entry.body {
                news.oldest.get_or_insert(bar.start);
            }
            let (end, subject, said) = as_said(&entry);
            let is_sealed = before.is_some_and(|before| end.plus(self.horizon) < before);
            let is_known = subject.is_some_and(|subject| self.recent.get(&subject) == Some(&said));
            self.reached = self.reached.max(Some(end));
            if !is_sealed && !is_known {
                self.recent.extend(subject.map(|subject| (subject, said)));
                news.entries.push(entry);
            }
        }
        news.hole = before.zip(news.oldest).filter(|(before, oldest)| before < oldest);
        news.faults = faults.iter().filter(|fault| !self.faults.contains(fault)).cloned().collect();
        self.faults = faults;
        self.forget();
        news
    }

    /// Forgets what is sealed.
    fn forget(&mut self) {
        let Some(reached) = self.reached else { return };
        let horizon = self.horizon;
        self.recent.retain(|_, body| match body {
            Body::VenueBar(bar) => end_of(bar).plus(horizon) >= reached,
            _ => true,
        });
    }
}

/// Returns up to when a report speaks, what it is about, and what it says whenever it was received.
fn as_said(entry: &Entry) -> (Nanos, Option<Subject>, Body) {
    match entry.body {
        Body::VenueBar(bar) => {
            let subject = (entry.symbol, bar.width_ms, bar.start);
            (end_of(&bar), Some(subject), Body::VenueBar(VenueBar { received: Nanos::MIN, ..bar }))
        }
        Body::Quote(quote) => {
            let subject = (entry.symbol, 0, Nanos::MIN);
            (quote.ts, Some(subject), Body::Quote(Quote { received: Nanos::MIN, ..quote }))
        }
        // The core knows repeats of other reports by their ids.
        body => (body.time(), None, body),
    }
}

fn end_of(bar: &VenueBar) -> Nanos {
    bar.start.plus(i64::from(bar.width_ms) * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::entry::SourceId;
    use crate::models::num::{Price, Size};
    use crate::models::time::MINUTE;

    fn bar(minute: i64, close: i64, received: i64) -> VenueEvent {
        VenueEvent::Report(Entry {
            pos: 0,
            symbol: SymbolId(1),
            body: Body::VenueBar(VenueBar {
                start: Nanos(minute * MINUTE),
                received: Nanos(received),
                open: Price(1),
                high: Price(9),
                low: Price(1),
                close: Price(close),
                volume: Size(5),
                vwap: Price(0),
                trade_count: 0,
                width_ms: 60_000,
                source: SourceId(0),
            }),
        })
    }

    fn quote(ts: i64, bid: i64, received: i64) -> VenueEvent {
        VenueEvent::Report(Entry {
            pos: 0,
            symbol: SymbolId(1),
            body: Body::Quote(Quote {
                ts: Nanos(ts),
                received: Nanos(received),
                bid: Price(bid),
                ask: Price(bid + 1),
                bid_size: Size(0),
                ask_size: Size(0),
                source: SourceId(0),
            }),
        })
    }

    fn minutes(news: &News) -> Vec<i64> {
        news.entries.iter().map(|entry| entry.body.time().0 / MINUTE).collect()
    }

    #[test]
    fn an_answer_that_repeats_bars_says_only_what_is_new_or_changed() {
        let mut brought = Brought::new(None, 5 * MINUTE);
        let first = brought.take(&[bar(12, 2, 1), bar(10, 2, 1), bar(11, 2, 1)], Vec::new());
        assert_eq!(
            (minutes(&first), first.hole, first.oldest),
            (vec![10, 11, 12], None, Some(Nanos(10 * MINUTE)))
        );
        assert_eq!(brought.reached(), Some(Nanos(13 * MINUTE)));
        let second = brought.take(&[bar(11, 2, 7), bar(12, 3, 7), bar(13, 2, 7)], Vec::new());
        assert_eq!((minutes(&second), second.hole), (vec![12, 13], None), "12 has changed");
        assert_eq!(minutes(&brought.take(&[bar(12, 3, 8), bar(13, 2, 8)], Vec::new())), Vec::<i64>::new());
        let sealed = brought.take(&[bar(6, 9, 9), bar(8, 9, 9), bar(12, 3, 9)], Vec::new());
        assert_eq!(minutes(&sealed), [8], "a bar that ended more than a horizon ago is as good as late");
        brought.take(&[bar(40, 2, 9)], Vec::new());
        assert_eq!(brought.recent.len(), 1, "what is sealed is forgotten");
    }

    #[test]
    fn what_lies_between_two_answers_is_a_hole() {
        let mut brought = Brought::new(None, 5 * MINUTE);
        brought.take(&[bar(10, 2, 1)], Vec::new());
        let after = brought.take(&[bar(11, 2, 2)], Vec::new());
        assert_eq!(after.hole, None);
        let later = brought.take(&[bar(90, 2, 3), bar(91, 2, 3)], Vec::new());
        assert_eq!(later.hole, Some((Nanos(12 * MINUTE), Nanos(90 * MINUTE))));
        assert_eq!(brought.take(&[], Vec::new()), News::default(), "an answer without bars tells nothing");
        let mut restarted = Brought::new(Some(Nanos(50 * MINUTE)), 5 * MINUTE);
        let first = restarted.take(&[bar(43, 2, 4), bar(49, 2, 4), bar(50, 2, 4)], Vec::new());
        assert_eq!((minutes(&first), first.hole), (vec![49, 50], None));
    }

    #[test]
    fn quotes_are_given_on_when_they_change() {
        let mut brought = Brought::new(None, 5 * MINUTE);
        let num_news = |brought: &mut Brought, event| brought.take(&[event], Vec::new()).entries.len();
        assert_eq!(num_news(&mut brought, quote(5, 10, 6)), 1);
        assert_eq!(num_news(&mut brought, quote(5, 10, 9)), 0);
        assert_eq!(num_news(&mut brought, quote(7, 10, 10)), 1);
        assert_eq!(num_news(&mut brought, quote(7, 11, 11)), 1);
        assert_eq!((brought.reached(), brought.recent.len()), (Some(Nanos(7)), 1));
    }

    #[test]
    fn a_fault_that_stays_in_the_answers_is_said_once() {
        let fault =
            |reason: &str| FrameFault { kind: "bad_price", reason: reason.to_owned(), venue_symbol: None };
        let mut brought = Brought::new(None, 0);
        assert_eq!(brought.take(&[], vec![fault("a"), fault("b")]).faults, [fault("a"), fault("b")]);
        assert_eq!(brought.take(&[], vec![fault("b"), fault("c")]).faults, [fault("c")]);
        assert_eq!(brought.take(&[], vec![]).faults, []);
        assert_eq!(brought.take(&[], vec![fault("a")]).faults, [fault("a")]);
    }
}
