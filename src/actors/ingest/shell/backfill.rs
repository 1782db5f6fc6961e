//! Fetches over REST what the stream did not bring.
//!
//! Promises: pages are asked for until the hole is covered, at the rate that the venue allows; what was missing
//! goes into the log page by page, and the gap is filled once nothing of it is missing any more, or, where ids do not tell,
//! once the pages are through. A long hole is fetched in turns with the others, each turn of so many pages, and goes on
//! where it stopped. A venue that cannot be reached is asked again, with growing pauses. Both end when `gap_hold` has
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

/// Pages of one turn: the trades of an hour of a busy pair. Other holes wait no longer than that.
const PAGES_PER_TURN: u32 = 50;

/// How long a turn takes at the most before the next page is left to another turn.
const TURN_MAX: Duration = Duration::from_secs(20);

/// A job that waits for its next try.
struct Waiting {
    job: Job,
    due: Instant,
    backoff: Backoff,
    progress: Progress,
}

/// How far a hole has been fetched.
#[derive(Default)]
struct Progress {
    /// The next page; `None`: the first one.
    cursor: Option<Cursor>,
    /// Trades of the pages so far, where they have no ids.
    alike: Alike,
    num_pages: u32,
    num_trades: u64,
    /// The venue did not know a cursor any more, and was asked from the first page on again.
    is_second_time: bool,
}

enum Outcome {
    Filled,
    /// There are more pages, which another turn is for.
    Unfinished,
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
            feed.show();
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
                    waiting.push(Waiting { due: job.due, job, backoff, progress: Progress::default() });
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
        match attempt(feed, &turn.job, &mut turn.progress, gap_hold).await {
            Outcome::Filled => {
                let mut batch = Batch::default();
                if let Some(gap) = turn.job.gap {
                    feed.release_gap(&mut batch, gap);
                }
                if feed.send(&mut batch).await.is_err() {
                    return;
                }
            }
            Outcome::Unfinished => {
                turn.backoff.reset();
                tracing::info!(
                    venue = feed.venue.name(),
                    symbol = feed.instruments.venue_symbol(turn.job.place),
                    pages = turn.progress.num_pages,
                    trades = turn.progress.num_trades,
                    "a long hole is being filled"
                );
                turn.due = Instant::now();
                waiting.push(turn);
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

/// Asks for pages until the hole is reached, or the turn is over.
async fn attempt(feed: &Feed, job: &Job, progress: &mut Progress, gap_hold: Duration) -> Outcome {
    let instrument = &feed.instruments.at(job.place);
    let (mut heard, mut num_pages, begun) = (Heard::default(), 0, Instant::now());
    if progress.cursor.is_none() {
        progress.alike = Alike::default();
    }
    loop {
        if num_pages > 0 && job.seen.elapsed() >= gap_hold {
            return Outcome::Failed("there was more of it than could be fetched in time".to_owned(), None);
        }
        if num_pages == PAGES_PER_TURN || begun.elapsed() >= TURN_MAX {
            return Outcome::Unfinished;
        }
        num_pages += 1;
        let Job { after, before, since, until, .. } = *job;
        let page = TradesPage { instrument, after, before, since, until, cursor: progress.cursor.as_ref() };
        let Some(request) = feed.venue.trades_request(&page) else {
            // It may have those of other instruments.
            feed.give_up_for_good(job, "the venue has none");
            return Outcome::GivenUp;
        };
        let body = match feed.rest.get(feed.venue.as_ref(), request).await {
            Ok(body) => body,
            Err(RestError::Transient { reason, pause }) => return Outcome::Failed(reason, pause),
            Err(RestError::Permanent { reason }) if progress.cursor.is_some() && !progress.is_second_time => {
                // What leads to the next page may live only so long.
                *progress = Progress { is_second_time: true, ..Progress::default() };
                return Outcome::Failed(reason, None);
            }
            Err(RestError::Permanent { reason }) => return Outcome::Hopeless(reason),
            Err(RestError::NotEntitled { reason }) => return Outcome::Denied(reason),
        };
        heard.clear();
        let instruments = feed.instruments.now();
        let context = feed.context(&instruments, (feed.env.now)());
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
                trade.id = progress.alike.identify(entry.symbol, trade);
            }
            feed.metrics.backfilled.inc();
            progress.num_trades += 1;
            feed.push(&mut batch, entry);
        }
        if feed.send(&mut batch).await.is_err() {
            return Outcome::Stopped;
        }
        progress.num_pages += 1;
        // A page that leads to itself would be asked for again and again.
        if next.is_none() || next == progress.cursor {
            progress.cursor = None;
            break;
        }
        progress.cursor = next;
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
