//! Asks the venues of a feed for the past of a symbol: ready-made bars of every width.
//!
//! Promises: the venue that runs is asked first, then the others of its feed over REST, in their order, each within its limit of
//! requests and in its share of the time; nothing is asked for a symbol whose past has come meanwhile. On failure: why there
//! are no bars, without a key, and whether that holds for other symbols too.

use super::super::venue::Instrument;
use super::super::warm_up::{NUM_BARS_MAX, Wanted, joint, put_in_order};
use super::bars::{Asker, BarsAsked, BarsError, Fetched, given_width};
use super::feed::Feed;
use super::held::HOLD_MAX;
use super::rest::RestError;
use super::surroundings::PastVenue;
use crate::models::entry::VenueBar;
use crate::models::time::{Nanos, Width};
use crate::retry::Backoff;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Why there are no bars.
pub(super) struct Refused {
    pub reason: String,
    pub scope: Scope,
}

/// What a refusal is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// What was asked for.
    Asked,
    /// All for the present: the venue does not answer.
    Now,
    /// All for good: the key, or its plan, has no bars.
    Always,
}

/// Who is asked for the past: the venue itself, and where it cannot give it the others of its feed, in their order.
pub(super) struct Askers<'a> {
    feed: &'a Feed,
    others: Vec<&'a PastVenue>,
    /// Those that refuse bars for good: what they said.
    denied: BTreeMap<&'static str, String>,
    /// Those that did not answer: they are left alone for the symbols that wait now.
    failed: BTreeSet<&'static str>,
}

impl<'a> Askers<'a> {
    pub fn of(feed: &'a Feed) -> Askers<'a> {
        let own = feed.venue.name();
        let others = feed.past_venues.iter().filter(|other| other.name != own).collect();
        Askers { feed, others, denied: BTreeMap::new(), failed: BTreeSet::new() }
    }

    /// Returns what the last one said, where all refuse bars for good.
    fn all_deny(&self) -> Option<&String> {
        (self.denied.len() > self.others.len()).then(|| self.denied.get(self.feed.venue.name()))?
    }

    /// Returns bars of the first one that has some; else why there are none. Each has its share of the time.
    async fn bars(
        &mut self,
        place: usize,
        width: Width,
        until: Nanos,
        deadline: Instant,
    ) -> Result<Vec<VenueBar>, String> {
        let feed = self.feed;
        let own = feed.instruments.at(place);
        let symbol = own.symbol;
        let others = self.others.iter().filter_map(|&other| Some((Some(other), other.instrument(symbol)?)));
        let all: Vec<(Option<&PastVenue>, Instrument)> = std::iter::once((None, own)).chain(others).collect();
        let mut reasons = Vec::new();
        for (at, (other, instrument)) in all.iter().enumerate() {
            let name = other.map_or(feed.venue.name(), |other| other.name);
            if self.denied.contains_key(name) || self.failed.contains(name) {
                continue;
            }
            let num_left = u32::try_from(all.len() - at).unwrap_or(u32::MAX);
            let share = deadline.saturating_duration_since(Instant::now()) / num_left;
            match stretches(feed, place, (*other, instrument), width, until, Instant::now() + share).await {
                Ok(bars) if !bars.is_empty() => return Ok(bars),
                Ok(_) => {}
                Err(Refused { reason, scope }) => {
                    reasons.push(if other.is_some() { format!("{name}: {reason}") } else { reason.clone() });
                    match scope {
                        Scope::Asked => {}
                        // What waits has no time for a second failure, unless there is nobody else.
                        Scope::Now if self.others.is_empty() => {}
                        Scope::Now => _ = self.failed.insert(name),
                        Scope::Always => _ = self.denied.insert(name, reason),
                    }
                }
            }
        }
        Err(reasons.join("; "))
    }
}

/// Returns the bars of one width that a venue has, as far back as they are needed.
async fn stretches(
    feed: &Feed,
    place: usize,
    (other, instrument): (Option<&PastVenue>, &Instrument),
    width: Width,
    until: Nanos,
    deadline: Instant,
) -> Result<Vec<VenueBar>, Refused> {
    let wanted = Wanted { num_bars: feed.warm_up_bars, joint: joint(&feed.env.settings.widths) };
    let mut bars = Vec::new();
    for (from, to) in wanted.stretches(width, until) {
        let is_wanted = feed.waiting.has(place) && feed.is_untold(place);
        if wanted.is_enough(&bars) || from >= to || !is_wanted {
            break;
        }
        // Days of a venue that has but minutes would take so many requests that other symbols could wait no longer.
        let part = other.map_or_else(|| given_width(feed.venue.as_ref(), instrument, width), |_| Some(width));
        if part.is_some_and(|part| to.since(from) / part.nanos() > 2 * i64::from(NUM_BARS_MAX)) {
            break;
        }
        let asked = BarsAsked { instrument, width, from, to };
        let given = match other {
            None => ask(feed, &asked, deadline).await,
            Some(other) => ask_other(other, &asked, deadline).await,
        };
        match given {
            // A market that has been closed for days has no bars further back that would be of use.
            Ok(Some(more)) if more.is_empty() && to != until => break,
            Ok(Some(more)) => bars.extend(more),
            Err(refused) if bars.is_empty() => return Err(refused),
            // What is there is of use.
            Ok(None) | Err(_) => break,
        }
    }
    wanted.trim(width, &mut bars);
    Ok(bars)
}

/// Returns the bars of a new symbol, in the order in which they go into the log.
pub(super) async fn past(
    feed: &Feed,
    place: usize,
    askers: &mut Askers<'_>,
) -> Result<Vec<VenueBar>, Refused> {
    // What it has traded since the feed began comes as trades.
    let to = feed.waiting.earliest(place).unwrap_or_else(|| (feed.env.now)());
    let until = feed.env.settings.base().start_of(to);
    let (mut past, mut lacking) = (Vec::new(), Vec::new());
    let deadline = Instant::now() + HOLD_MAX;
    for &width in &feed.env.settings.widths {
        match askers.bars(place, width, until, deadline).await {
            Ok(bars) => past.extend(bars),
            Err(reason) => {
                if let Some(reason) = askers.all_deny() {
                    return Err(Refused { reason: reason.clone(), scope: Scope::Always });
                }
                lacking.push(if reason.is_empty() {
                    width.to_string()
                } else {
                    format!("{width} ({reason})")
                });
            }
        }
    }
    if past.is_empty() {
        let reason = format!("the venue gave no bars: {}", lacking.join(", "));
        return Err(Refused { reason, scope: Scope::Asked });
    }
    if !lacking.is_empty() && feed.waiting.has(place) {
        feed.goes_without_past(place, &format!("the venue gave none of {}", lacking.join(", ")));
    }
    put_in_order(&mut past);
    Ok(past)
}

/// Asks another venue of the feed.
async fn ask_other(
    other: &PastVenue,
    asked: &BarsAsked<'_>,
    deadline: Instant,
) -> Result<Option<Vec<VenueBar>>, Refused> {
    match tokio::time::timeout_at(deadline.into(), other.client.bars(asked)).await {
        Ok(Ok(bars)) => Ok(bars),
        Ok(Err(error)) => {
            let scope = match error {
                BarsError::Unavailable(_) => Scope::Now,
                BarsError::Refused(_) => Scope::Asked,
                BarsError::NotEntitled(_) => Scope::Always,
            };
            Err(Refused { reason: error.to_string(), scope })
        }
        Err(_) => Err(Refused { reason: "no answer in time".to_owned(), scope: Scope::Now }),
    }
}

/// Asks for bars until they come, another try cannot help, or it is too late.
pub(super) async fn ask(
    feed: &Feed,
    asked: &BarsAsked<'_>,
    deadline: Instant,
) -> Result<Option<Vec<VenueBar>>, Refused> {
    let now = || (feed.env.now)();
    let asker = Asker {
        rest: &feed.rest,
        venue: feed.venue.as_ref(),
        source: feed.source,
        metrics: &feed.metrics,
        now: &now,
    };
    let (mut backoff, mut fetched) = (Backoff::new(feed.config.retry_policy()), Fetched::default());
    loop {
        let (reason, scope) = match asker.bars(asked, &mut fetched).await {
            Ok(bars) => return Ok(bars),
            Err(RestError::Transient { reason, pause }) => {
                let pause = backoff.failed().max(pause.unwrap_or_default());
                if Instant::now() + pause < deadline {
                    tokio::time::sleep(pause).await;
                    continue;
                }
                (reason, Scope::Now)
            }
            Err(RestError::Permanent { reason }) => (reason, Scope::Asked),
            Err(RestError::NotEntitled { reason }) => (reason, Scope::Always),
        };
        return Err(Refused { reason: feed.hide(&reason), scope });
    }
}
