//! How a feed is, in words for people: who is in charge, how the others are, and whether its clock goes on.
//!
//! The words `stale` and `dead` mean here what they mean of a symbol (`models/feed.rs`): how old the newest time is that the
//! feed's venues have vouched for.

use super::breaker::Breaker;
use crate::actors::health::Health;
use crate::models::time::Nanos;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// Symbols that are named; of more there is only the number.
const NAMED_MAX: usize = 5;

/// What is known of one venue.
pub(super) struct VenueHealth<'a> {
    /// Its name.
    pub name: &'a str,
    /// What its shell says, while it runs.
    pub said: Option<(Health, String)>,
    /// Its breaker.
    pub breaker: Breaker,
    /// How long until it is tried again.
    pub pause: Duration,
    /// Why it was left last; empty where it was not.
    pub left: &'a str,
    /// Symbols of the feed that it does not have.
    pub lacks: &'a [String],
}

/// What is known of a feed.
pub(super) struct FeedHealth<'a> {
    /// Its venues, in order.
    pub venues: &'a [VenueHealth<'a>],
    /// The place of the one in charge.
    pub charged: usize,
    /// What each compared venue differs by, in words.
    pub compared: &'a [String],
    /// Symbols that wait for another venue, by its place: the one in charge does not bring them.
    pub waiting: &'a BTreeMap<usize, Vec<String>>,
    /// The newest time that was vouched for.
    pub clock: Nanos,
    pub stale_after: Duration,
    pub dead_after: Duration,
}

impl FeedHealth<'_> {
    /// Returns how the feed is at this time, and why.
    pub fn at(&self, now: Nanos) -> (Health, String) {
        let charged = &self.venues[self.charged];
        let (mut health, mut text) =
            charged.said.clone().unwrap_or((Health::Degraded, format!("{}: starting", charged.name)));
        let age = Duration::from_nanos(u64::try_from(now.since(self.clock)).unwrap_or(0));
        let word = if age > self.dead_after {
            Some("dead")
        } else if age > self.stale_after {
            Some("stale")
        } else {
            None
        };
        if let Some(word) = word {
            health = health.max(Health::Degraded);
            text = format!("{word}: nothing since {}; {text}", self.clock.to_rfc3339());
        }
        if self.venues.len() > 1 {
            text = format!("`{}` in charge: {text}", charged.name);
        }
        // Writing to a text cannot fail, here and below.
        if let Some(state) = state_of(charged) {
            health = health.max(Health::Degraded);
            let _ = write!(text, "; {state}");
        }
        for (&owner, symbols) in self.waiting {
            health = health.max(Health::Degraded);
            let _ = write!(text, "; {} wait for `{}`", named(symbols), self.venues[owner].name);
        }
        for (at, venue) in self.venues.iter().enumerate().filter(|(at, _)| *at != self.charged) {
            let is_left = venue.breaker != Breaker::Closed;
            if is_left && at < self.charged || venue.breaker == Breaker::Refused {
                health = health.max(Health::Degraded);
            }
            let state = match state_of(venue) {
                Some(state) => state,
                None if venue.said.is_some() => "tried".to_owned(),
                None => "on standby".to_owned(),
            };
            let _ = write!(text, "; `{}` {state}", venue.name);
            if !venue.lacks.is_empty() {
                let _ = write!(text, " without {}", named(venue.lacks));
            }
            if is_left && !venue.left.is_empty() {
                let _ = write!(text, " ({})", venue.left);
            }
        }
        for compared in self.compared {
            let _ = write!(text, "; {compared}");
        }
        (health, text)
    }
}

/// Returns the state of a venue's breaker; `None` where it is closed.
fn state_of(venue: &VenueHealth<'_>) -> Option<String> {
    match venue.breaker {
        Breaker::Closed => None,
        Breaker::Open { .. } => Some(format!("breaker open for {} s", venue.pause.as_secs())),
        breaker => Some(format!("breaker {}", breaker.as_str())),
    }
}

/// Names symbols, the first few of them.
fn named(symbols: &[String]) -> String {
    let mut named: Vec<String> = symbols.iter().take(NAMED_MAX).map(|symbol| format!("`{symbol}`")).collect();
    if symbols.len() > NAMED_MAX {
        named.push(format!("{} more", symbols.len() - NAMED_MAX));
    }
    named.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::time::SECOND;

    fn venue(name: &str, breaker: Breaker, runs: bool) -> VenueHealth<'_> {
        let said = runs.then(|| (Health::Healthy, format!("{name}: 2 symbols")));
        let left = if breaker == Breaker::Closed { "" } else { "the venue closed the connection" };
        VenueHealth { name, said, breaker, pause: Duration::from_secs(20), left, lacks: &[] }
    }

    fn at(venues: &[VenueHealth<'_>], charged: usize, age_s: i64) -> (Health, String) {
        let feed = FeedHealth {
            venues,
            charged,
            compared: &[],
            waiting: &BTreeMap::new(),
            clock: Nanos(1_000 * SECOND),
            stale_after: Duration::from_secs(30),
            dead_after: Duration::from_mins(5),
        };
        feed.at(Nanos((1_000 + age_s) * SECOND))
    }

    #[test]
    fn a_feed_of_one_venue_says_what_the_venue_says_and_how_old_it_is() {
        let alone = [venue("a", Breaker::Closed, true)];
        assert_eq!(at(&alone, 0, 5), (Health::Healthy, "a: 2 symbols".to_owned()));
        let (health, text) = at(&alone, 0, 31);
        assert_eq!(
            (health, text.as_str()),
            (Health::Degraded, "stale: nothing since 1970-01-01T00:16:40Z; a: 2 symbols")
        );
        assert!(at(&alone, 0, 301).1.starts_with("dead: "));
        assert_eq!(at(&alone, 0, -100).0, Health::Healthy, "a clock that was set back says nothing");
    }

    #[test]
    fn who_is_in_charge_and_how_the_others_are_is_said() {
        let well = [venue("a", Breaker::Closed, true), venue("b", Breaker::Closed, false)];
        assert_eq!(
            at(&well, 0, 0),
            (Health::Healthy, "`a` in charge: a: 2 symbols; `b` on standby".to_owned())
        );
        let open = Breaker::Open { until: Duration::ZERO };
        let left = [venue("a", open, false), venue("b", Breaker::Closed, true)];
        let (health, text) = at(&left, 1, 0);
        assert_eq!(health, Health::Degraded);
        assert_eq!(
            text,
            "`b` in charge: b: 2 symbols; `a` breaker open for 20 s (the venue closed the connection)"
        );
        let trial = [venue("a", Breaker::HalfOpen, true), venue("b", Breaker::Closed, true)];
        assert!(at(&trial, 1, 0).1.contains("`a` breaker half-open"));
        let refused = [venue("a", Breaker::Refused, true), venue("b", Breaker::Closed, false)];
        let (health, text) = at(&refused, 0, 0);
        assert_eq!(health, Health::Degraded);
        assert_eq!(
            text, "`a` in charge: a: 2 symbols; breaker open for good; `b` on standby",
            "nobody else is there"
        );
    }

    #[test]
    fn symbols_that_nobody_brings_are_named() {
        let symbols = |count: usize| (0..count).map(|at| format!("S{at}")).collect::<Vec<_>>();
        let lacking = symbols(2);
        let standby = VenueHealth { lacks: &lacking, ..venue("b", Breaker::Closed, false) };
        assert!(
            at(&[venue("a", Breaker::Closed, true), standby], 0, 0)
                .1
                .ends_with("`b` on standby without `S0`, `S1`")
        );
        let feed = FeedHealth {
            venues: &[venue("a", Breaker::HalfOpen, true), venue("b", Breaker::Closed, true)],
            charged: 1,
            compared: &[],
            waiting: &BTreeMap::from([(0, symbols(7))]),
            clock: Nanos(0),
            stale_after: Duration::from_secs(30),
            dead_after: Duration::from_mins(5),
        };
        let (health, text) = feed.at(Nanos(0));
        assert_eq!(health, Health::Degraded);
        assert!(
            text.starts_with(
                "`b` in charge: b: 2 symbols; `S0`, `S1`, `S2`, `S3`, `S4`, 2 more wait for `a`; "
            ),
            "{text}"
        );
    }
}
