//! Fetches over REST what the stream did not bring.
//!
//! Promises: pages are asked for until the hole is covered, at the rate that the venue allows; what was missing
//! goes into the log page by page, and the gap is filled once nothing of it is missing any more, or, where ids do not tell,
//! once the pages are through; a venue that cannot be reached is asked again, with growing pauses, until `gap_hold` has
//! passed since the hole was seen: the core holds the seal as long, and what came later would be late. A venue that gives
//! no past trades is asked once.

use super::super::venue::{Cursor, Heard, Ids, TradesPage, VenueEvent};
use super::feed::{Batch, Feed};
use super::identity::Alike;
use super::job::Job;
use super::rest::RestError;
use super::{AHEAD_MAX, JOBS_MAX};
use crate::models::entry::{Body, Entry};
use crate::retry::Backoff;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// A job that waits for its next try.
struct Waiting {
    job: Job,
    due: Instant,
    backoff: Backoff,
}

enum Outcome {
    Filled,
    /// Another try may help, after the pause where one is said.
    Failed(String, Option<Duration>),
    Hopeless(String),
    /// It was given up.
    GivenUp,
    /// No hole can be filled.
    Denied(String),
    /// The process is stopping.
    Stopped,
}

/// Fills holes until the feed is dropped.
pub(super) async fn run(feed: &Feed, mut jobs: mpsc::Receiver<Job>) {
    let gap_hold = Duration::from_nanos(feed.env.settings.gap_hold.unsigned_abs());
    let mut waiting: Vec<Waiting> = Vec::new();
    let mut denied: Option<String> = None;
    loop {
        feed.health.note_holes(waiting.len() + jobs.len());
        if waiting.is_empty() {
            feed.health.show();
        }
        let next = waiting.iter().enumerate().min_by_key(|(_, waiting)| waiting.due).map(|(at, _)| at);
        let is_due = async {
            match next {
                Some(at) => tokio::time::sleep_until(waiting[at].due.into()).await,
                None => std::future::pending().await,
            }
        };
        let job = tokio::select! {
            job = jobs.recv(), if waiting.len() < JOBS_MAX => job,
            () = is_due => None,
        };
        if let Some(job) = job {
            match &denied {
                Some(reason) => feed.give_up_for_good(&job, reason),
                None => {
                    let backoff = Backoff::new(feed.config.retry_policy());
                    waiting.push(Waiting { due: job.due, job, backoff });
                }
            }
            continue;
        }
        let Some(at) = next else { return };
        // Of those that are due at once the first asked for comes first.
        let mut turn = waiting.remove(at);
        if turn.backoff.num_failures() == 0 && turn.job.due.elapsed() >= gap_hold {
            feed.give_up(&turn.job, "the venue's limit of requests left no time for it");
            continue;
        }
        match attempt(feed, &turn.job).await {
            Outcome::Filled => {
                let mut batch = Batch::default();
                if let Some(gap) = turn.job.gap {
                    feed.release_gap(&mut batch, gap);
                }
                if feed.send(&mut batch).await.is_err() {
                    return;
                }
            }
            Outcome::Failed(reason, _) if turn.job.seen.elapsed() >= gap_hold => {
                feed.give_up(&turn.job, &reason);
            }
            Outcome::Failed(reason, pause) => {
                tracing::debug!(venue = feed.venue.name(), reason, "a hole could not be filled yet");
                let pause = turn.backoff.failed().max(pause.unwrap_or_default());
                turn.due = Instant::now() + pause.min(gap_hold.saturating_sub(turn.job.seen.elapsed()));
                waiting.push(turn);
            }
            Outcome::Hopeless(reason) => feed.give_up(&turn.job, &reason),
            Outcome::Denied(reason) => {
                feed.give_up_for_good(&turn.job, &reason);
                waiting.drain(..).for_each(|turn| feed.give_up_for_good(&turn.job, &reason));
                denied = Some(reason);
            }
            Outcome::GivenUp => {}
            Outcome::Stopped => return,
        }
    }
}

/// Asks for pages until the hole is reached.
async fn attempt(feed: &Feed, job: &Job) -> Outcome {
    let instrument = &feed.instruments.all()[job.place];
    let (mut cursor, mut heard): (Option<Cursor>, _) = (None, Heard::default());
    let mut alike = Alike::default();
    loop {
        let Job { after, before, since, until, .. } = *job;
        let page = TradesPage { instrument, after, before, since, until, cursor: cursor.as_ref() };
        let Some(request) = feed.venue.trades_request(&page) else {
            // It may have those of other instruments.
            feed.give_up_for_good(job, "the venue has none");
            return Outcome::GivenUp;
        };
        let body = match feed.rest.get(feed.venue.as_ref(), request).await {
            Ok(body) => body,
            Err(RestError::Transient { reason, pause }) => return Outcome::Failed(reason, pause),
            Err(RestError::Permanent { reason }) => return Outcome::Hopeless(reason),
            Err(RestError::NotEntitled { reason }) => return Outcome::Denied(reason),
        };
        heard.clear();
        let context = feed.context((feed.env.now)());
        let next = match feed.venue.read_trades(&body, &page, &context, &mut heard) {
            Ok(next) => next,
            Err(fault) => {
                feed.metrics.fault(fault.kind);
                return Outcome::Failed(fault.reason, None);
            }
        };
        heard.faults.iter().for_each(|fault| feed.metrics.fault(fault.kind));
        feed.metrics.rounded.inc_by(heard.num_rounded);
        feed.metrics.unknown_conditions.inc_by(heard.num_unknown_conditions);
        feed.metrics.unconfirmed_conditions.inc_by(heard.num_unconfirmed_conditions);
        let trades = heard.events.iter().filter_map(|event| match event {
            VenueEvent::Report(entry) => Some(*entry),
            _ => None,
        });
        let mut trades: Vec<Entry> = trades.collect();
        match feed.needs.ids {
            Ids::Consecutive => {
                trades.sort_by_key(|entry| VenueEvent::trade_number(entry).map(|(_, id, _)| id));
            }
            Ids::Unique | Ids::None => trades.sort_by_key(|entry| entry.body.time()),
        }
        let latest = context.received.plus(AHEAD_MAX);
        let mut batch = Batch::default();
        for mut entry in trades {
            if !is_missing(feed, job, &entry) {
                continue;
            }
            if entry.body.time() > latest {
                feed.metrics.fault("bad_time");
                continue;
            }
            if feed.needs.ids == Ids::None
                && let Body::Trade(trade) = &mut entry.body
            {
                trade.id = alike.identify(entry.symbol, trade);
            }
            feed.metrics.backfilled.inc();
            feed.push(&mut batch, entry);
        }
        if feed.send(&mut batch).await.is_err() {
            return Outcome::Stopped;
        }
        // A page that leads to itself would be asked for again and again.
        if next.is_none() || next == cursor {
            break;
        }
        cursor = next;
    }
    match (job.after, job.before) {
        (Some(after), Some(before)) if feed.products.borrow()[job.place].ids.lacks(after + 1, before - 1) => {
            Outcome::Failed("past trades do not have all that is missing".to_owned(), None)
        }
        _ => Outcome::Filled,
    }
}

/// True when a trade of a page is a part of the hole and has not come meanwhile. Takes note that it comes now.
fn is_missing(feed: &Feed, job: &Job, entry: &Entry) -> bool {
    let ts = entry.body.time();
    let is_in_time = ts >= job.since && job.until.is_none_or(|until| ts < until);
    if feed.needs.ids != Ids::Consecutive {
        return is_in_time;
    }
    let Some((_, id, _)) = VenueEvent::trade_number(entry) else { return is_in_time };
    let Some(after) = job.after else {
        return is_in_time && job.before.is_none_or(|before| id < before);
    };
    if id <= after || job.before.is_some_and(|before| id >= before) {
        return false;
    }
    let ids = &mut feed.products.borrow_mut()[job.place].ids;
    ids.fill(id) || ids.reached().is_none_or(|reached| id > reached)
}
