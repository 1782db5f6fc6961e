//! Asks a venue again and again that has no stream.
//!
//! Promises: each poll is asked at its interval and not more often, one at a time, within the rate that the venue allows; one
//! that fails is asked again after a growing pause, and one that cannot work is left out, with a line that says why; what an
//! answer repeats does not go to the log again. The source's clock goes only as far as every poll has been answered, so
//! that a window stays open while its bar may yet come; bars that no answer holds any more are a gap. A stop takes no
//! longer than handing in what came.
//! On failure: a panic loses one answer, which is asked for again.

use super::super::recording::Origin;
use super::super::venue::{Clock, FrameFault, Heard, Poll, Then, Transport};
use super::brought::{Brought, News};
use super::feed::{Batch, Feed};
use super::health::Condition;
use super::rest::RestError;
use crate::actors::guard::{self, ActorKind};
use crate::models::entry::Body;
use crate::models::time::{HOUR, MINUTE, Nanos, Width};
use crate::retry::Backoff;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The slot of the polls among the feed's connections: there are no others.
const SLOT: usize = 0;

/// How late a venue may be with a bar that is over. Its clock stays so far behind ours where nothing newer has come.
const LAG_MAX: i64 = 2 * MINUTE;

/// A pause that a venue asks for from which on it counts as one that refuses, so that another one may take its place.
const REFUSAL_PAUSE_MIN: Duration = Duration::from_secs(60);

/// A poll, and how it stands.
struct Asked {
    poll: Poll,
    due: Instant,
    backoff: Backoff,
    brought: Brought,
    /// Our time when it was asked last with success.
    answered: Option<Nanos>,
    /// What went wrong last; empty: nothing.
    trouble: String,
    /// Another try gives the same.
    is_left_out: bool,
    /// It is of a symbol that was not followed from the beginning.
    is_added: bool,
}

impl Asked {
    fn new(feed: &Feed, poll: Poll, brought: Brought) -> Asked {
        Asked {
            poll,
            due: Instant::now(),
            backoff: Backoff::new(feed.config.retry_policy()),
            brought,
            answered: None,
            trouble: String::new(),
            is_left_out: false,
            is_added: false,
        }
    }
}

/// Returns what is to be asked of the venue.
fn wanted(feed: &Feed) -> Vec<Poll> {
    let instruments = feed.instruments.now();
    let spelled = |place: usize| instruments.all()[place].venue_symbol.as_str();
    let symbols: Vec<&str> = feed.instruments.places().into_iter().map(spelled).collect();
    feed.venue.polls(&symbols)
}

/// The polls of a feed.
struct Polls {
    feed: Rc<Feed>,
    all: Vec<Asked>,
    /// Gaps at the beginning that were told.
    told: BTreeSet<(Nanos, Nanos)>,
    /// How the feed was shown to be last.
    shown: Option<Condition>,
    /// Widths of bars that no window has, which were said.
    odd_widths: BTreeSet<u32>,
    /// How far back a bar can still change a window.
    horizon: i64,
    batch: Batch,
}

/// Asks until the feed stops. Of a venue that has streams it does nothing.
pub(super) async fn run(feed: Rc<Feed>) {
    if feed.needs.transport != Transport::Polls {
        return;
    }
    let mut polls = Polls::new(Rc::clone(&feed));
    loop {
        let Some(at) = polls.next() else {
            tokio::select! {
                () = feed.stop.told() => return,
                () = feed.is_changed.notified() => polls.renew(),
            }
            continue;
        };
        let (due, reached) = (polls.all[at].due, polls.all[at].brought.reached());
        let wait = async {
            tokio::select! {
                () = tokio::time::sleep_until(due.into()) => false,
                () = feed.is_changed.notified() => true,
            }
        };
        let is_changed = tokio::select! {
            biased;
            () = feed.stop.told() => return,
            is_changed = wait => is_changed,
        };
        if is_changed {
            polls.renew();
            continue;
        }
        let turn = async { guard::watch(ActorKind::Provider, &feed.env.metrics, polls.ask(at)).await };
        let outcome = tokio::select! {
            biased;
            () = feed.stop.told() => return,
            outcome = turn => outcome,
        };
        if outcome.is_none() {
            // What of the answer went to the log is unknown: it is taken as if nothing had.
            polls.all[at].brought = Brought::new(reached, polls.horizon);
            polls.failed(at, "reading the answer panicked".to_owned(), None);
        }
        polls.show();
        if feed.send(&mut polls.batch).await.is_err() {
            return;
        }
    }
}

impl Polls {
    fn new(feed: Rc<Feed>) -> Polls {
        let settings = Arc::clone(&feed.env.settings);
        let reached = feed.down_since.map(|since| since.plus(-settings.lateness));
        let horizon = settings.horizon.saturating_add(settings.lateness);
        let asked = |poll| Asked::new(&feed, poll, Brought::new(reached, horizon));
        let all: Vec<Asked> = wanted(&feed).into_iter().map(asked).collect();
        let seldom = all.iter().map(|asked| asked.poll.every).max().unwrap_or_default();
        let venue = feed.venue.name();
        tracing::info!(venue, requests = all.len(), every = ?seldom, "the venue is asked again and again");
        let (told, odd_widths) = (BTreeSet::new(), BTreeSet::new());
        Polls { feed, all, told, shown: None, odd_widths, horizon, batch: Batch::default() }
    }

    /// Asks for what is followed now: what was asked for before goes on where it is.
    fn renew(&mut self) {
        let feed = Rc::clone(&self.feed);
        let mut before = std::mem::take(&mut self.all);
        for poll in wanted(&feed) {
            let subject = |poll: &Poll| (poll.venue_symbols.clone(), poll.request.url.path().to_owned());
            let is_same =
                |asked: &Asked| asked.poll.request == poll.request || subject(&asked.poll) == subject(&poll);
            let at = before.iter().position(|asked| asked.poll.request == poll.request);
            let at = at.or_else(|| before.iter().position(is_same));
            let asked = match at.map(|at| before.remove(at)) {
                Some(asked) => Asked { poll, ..asked },
                None => Asked { is_added: true, ..Asked::new(&feed, poll, Brought::new(None, self.horizon)) },
            };
            self.all.push(asked);
        }
        let left = before.into_iter().flat_map(|asked| asked.poll.venue_symbols);
        left.for_each(|symbol| feed.health.forget(&symbol));
        self.show();
    }

    /// Returns the poll that is due next; `None` where none is asked any more.
    fn next(&self) -> Option<usize> {
        let asked = self.all.iter().enumerate().filter(|(_, asked)| !asked.is_left_out);
        asked.min_by_key(|(_, asked)| asked.due).map(|(at, _)| at)
    }

    /// Asks one, and takes its answer.
    async fn ask(&mut self, at: usize) {
        let feed = Rc::clone(&self.feed);
        feed.env.faults.actor(ActorKind::Provider);
        let asked_at = (feed.env.now)();
        let request = self.all[at].poll.request.clone();
        let body = match feed.rest.get(feed.venue.as_ref(), request).await {
            Ok(body) => body,
            Err(RestError::Transient { reason, pause }) => return self.failed(at, reason, pause),
            Err(RestError::Permanent { reason } | RestError::NotEntitled { reason }) => {
                return self.leave_out(at, &reason);
            }
        };
        feed.metrics.frames.inc();
        let received = (feed.env.now)();
        if let Some(recorder) = &feed.recorder {
            recorder.frame(received, Origin::Poll(at), &body);
        }
        self.batch.received.get_or_insert(received);
        let mut heard = Heard::default();
        let asked = &mut self.all[at];
        let instruments = feed.instruments.now();
        let context = feed.context(&instruments, received);
        if let Err(fault) = feed.venue.read_poll(&body, &asked.poll, &context, &mut heard) {
            let reason = fault.reason.clone();
            let news = asked.brought.take(&[], vec![fault]);
            self.set_aside(news.faults, &body, received);
            return self.failed(at, reason, None);
        }
        feed.metrics.ignored.inc_by(heard.num_ignored);
        feed.metrics.rounded.inc_by(heard.num_rounded);
        let is_first = asked.brought.reached().is_none();
        let news = asked.brought.take(&heard.events, heard.faults);
        asked.backoff.reset();
        asked.trouble.clear();
        asked.answered = Some(asked_at);
        asked.due = Instant::now() + asked.poll.every;
        self.give_on(at, news, is_first, &body, received);
    }

    /// Puts news into the batch, and the clock behind them.
    fn give_on(&mut self, at: usize, news: News, is_first: bool, body: &str, received: Nanos) {
        let feed = Rc::clone(&self.feed);
        if let Some((from, to)) = news.hole.or_else(|| self.partial_window(at, is_first, news.oldest)) {
            feed.metrics.holes.inc();
            feed.metrics.given_up.inc();
            // What one symbol lacks that was added nobody else does.
            let place = match &self.all[at] {
                Asked { is_added: true, poll, .. } => {
                    poll.venue_symbols.first().and_then(|symbol| feed.instruments.place_of(symbol))
                }
                _ => None,
            };
            feed.open_gap_of(&mut self.batch, place, (from, to), 0);
        }
        self.set_aside(news.faults, body, received);
        for entry in news.entries {
            if let Body::VenueBar(bar) = entry.body
                && !bar.width().is_some_and(|width| feed.env.settings.widths.contains(&width))
            {
                self.leave_width(bar.width_ms);
                continue;
            }
            feed.metrics.entries.inc();
            feed.push(&mut self.batch, entry);
        }
        if let Some(time) = self.clock() {
            feed.mark(&mut self.batch, SLOT, time);
        }
    }

    /// Returns the stretch from the beginning of the largest window to the first bar there is: that window is not whole.
    fn partial_window(&mut self, at: usize, is_first: bool, oldest: Option<Nanos>) -> Option<(Nanos, Nanos)> {
        let oldest = oldest.filter(|_| is_first)?;
        let widths = self.feed.env.settings.widths.iter().filter(|width| width.nanos() <= HOUR);
        let start = widths.max().map_or(oldest, |width: &Width| width.start_of(oldest));
        let is_news = self.all[at].is_added || self.told.insert((start, oldest));
        (start < oldest && is_news).then_some((start, oldest))
    }

    fn set_aside(&mut self, faults: Vec<FrameFault>, body: &str, received: Nanos) {
        for fault in faults {
            self.feed.fault(&mut self.batch, fault, body, received);
        }
    }

    fn leave_width(&mut self, width_ms: u32) {
        self.feed.metrics.ignored.inc();
        if self.odd_widths.insert(width_ms) {
            tracing::warn!(
                venue = self.feed.venue.name(),
                width = ?Duration::from_millis(u64::from(width_ms)),
                "bars of a width that no window has are left out"
            );
        }
    }

    /// Returns up to when nothing is outstanding: no further than every poll was asked, and no further than what came
    /// tells, or what a venue lets nobody wait for.
    fn clock(&self) -> Option<Nanos> {
        let asked = || self.all.iter().filter(|asked| !asked.is_left_out);
        let answered = asked().map(|asked| asked.answered).min()??;
        let told = asked().filter_map(|asked| asked.brought.reached()).max().map(|told| told.min(answered));
        match self.feed.needs.clock {
            Clock::Told => told,
            Clock::Ours { delay } => {
                let delay = i64::try_from(delay.as_nanos()).unwrap_or(i64::MAX);
                told.max(Some(answered.plus(-LAG_MAX).plus(-delay)))
            }
        }
    }

    /// Notes that a poll failed, and when it is asked again.
    fn failed(&mut self, at: usize, reason: String, pause: Option<Duration>) {
        let feed = &self.feed;
        feed.metrics.failures.inc();
        let asked = &mut self.all[at];
        let said = pause.unwrap_or_default();
        let pause = asked.backoff.failed().max(said);
        asked.due = Instant::now() + pause;
        if asked.trouble != reason {
            tracing::warn!(
                venue = feed.venue.name(),
                symbols = asked.poll.venue_symbols.join(","),
                reason,
                pause_s = pause.as_secs_f64(),
                "the venue did not give what it was asked for"
            );
        }
        asked.trouble = reason;
        if said >= REFUSAL_PAUSE_MIN {
            feed.note_refusal(Then::Wait(said));
        }
    }

    /// Notes that a poll cannot work.
    fn leave_out(&mut self, at: usize, reason: &str) {
        let feed = &self.feed;
        feed.metrics.failures.inc();
        let asked = &mut self.all[at];
        asked.trouble.clear();
        asked.is_left_out = true;
        let symbols = asked.poll.venue_symbols.join(",");
        let venue = feed.venue.name();
        tracing::warn!(venue, symbols, reason, "the venue is not asked for this any more");
        for symbol in &asked.poll.venue_symbols {
            if let Some(place) = feed.instruments.place_of(symbol) {
                feed.leave_out(place, Some(reason.to_owned()));
            }
        }
        if self.next().is_none() {
            self.feed.note_refusal(Then::Stop);
            self.show_as(Condition::Refused(reason.to_owned()));
        }
    }

    /// Shows what is wrong, or that every poll has been answered.
    fn show(&mut self) {
        let asked = || self.all.iter().filter(|asked| !asked.is_left_out);
        let wrong = asked().find(|asked| !asked.trouble.is_empty());
        let is_answered = asked().next().is_some() && asked().all(|asked| asked.answered.is_some());
        match wrong {
            Some(asked) => {
                let symbols = asked.poll.venue_symbols.join(",");
                self.show_as(Condition::Down(format!("`{symbols}`: {}", asked.trouble)));
            }
            None if is_answered => self.show_as(Condition::Well),
            None => {}
        }
        self.feed.show();
    }

    fn show_as(&mut self, condition: Condition) {
        if self.shown.as_ref() != Some(&condition) {
            self.feed.note(SLOT, condition.clone());
            self.shown = Some(condition);
        }
    }
}
