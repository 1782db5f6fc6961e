//! Whether a symbol's feed is alive: a quiet market and a dead feed never look the same.
//!
//! The rule, by the age of the symbol's last trade and of its source's clock (the newest event time the source has
//! vouched for by any entry, clock marks included):
//!
//! | word | when |
//! | --- | --- |
//! | `dead` | the source's clock is older than `dead_after` of its feed, 5 minutes where nothing else is configured; or the symbol was removed while a run went on, so that no feed brings it |
//! | `stale` | it is older than `stale_after` of its feed, 30 s where nothing else is configured |
//! | `live` | the symbol traded within 10 s |
//! | `quiet` | it did not, but the source's clock runs on |
//!
//! Where the source's clock is more than 30 s ahead, ours was set back: event times say nothing about age then, and only
//! a trade that was received within 10 s shows that the feed is `live`; else it is `stale`. A trade alone that is so far
//! ahead has a wrong time, and counts from when it was received.

use super::time::{MINUTE, Nanos, SECOND};

const LIVE_AGE_MAX: i64 = 10 * SECOND;
const CLOCK_AHEAD_MAX: i64 = 30 * SECOND;

/// How old a source's clock may be, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgeLimits {
    /// Above this age the feed is `stale`.
    pub stale: i64,
    /// Above this age the feed is `dead`.
    pub dead: i64,
}

impl AgeLimits {
    /// Those of a symbol that nobody follows any more: it is `dead`, however new its last trade.
    pub const UNFOLLOWED: AgeLimits = AgeLimits { stale: i64::MIN, dead: i64::MIN };
}

impl Default for AgeLimits {
    fn default() -> AgeLimits {
        AgeLimits { stale: 30 * SECOND, dead: 5 * MINUTE }
    }
}

/// Returns the word for a symbol whose last trade is of the time `traded` and was received at `received`
/// ([`Nanos::MIN`] where nobody knows), and whose source's clock shows `clock`.
#[must_use]
pub fn state(now: Nanos, traded: Nanos, received: Nanos, clock: Nanos, limits: AgeLimits) -> &'static str {
    let latest_credible = now.plus(CLOCK_AHEAD_MAX);
    if clock > latest_credible {
        let was_just_received = (0..=LIVE_AGE_MAX).contains(&now.since(received));
        return if was_just_received { "live" } else { "stale" };
    }
    let traded = if traded > latest_credible { received.min(now) } else { traded };
    match now.since(clock.max(traded)) {
        age if age > limits.dead => "dead",
        age if age > limits.stale => "stale",
        _ if now.since(traded) <= LIVE_AGE_MAX => "live",
        _ => "quiet",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_and_dead_are_told_apart() {
        let now = Nanos(1_000 * SECOND);
        let before = |seconds: i64| now.plus(-seconds * SECOND);
        let table = [
            (0, 0, "live"),
            (10, 10, "live"),
            (11, 11, "quiet"),
            (11, 0, "quiet"),
            (900, 1, "quiet"),
            (31, 31, "stale"),
            (900, 31, "stale"),
            (900, 300, "stale"),
            (900, 301, "dead"),
            (301, 900, "dead"),
            (-5, -5, "live"),
        ];
        for (traded, clock, word) in table {
            let (received, limits) = (before(traded), AgeLimits::default());
            let found = state(now, before(traded), received, before(clock), limits);
            assert_eq!(found, word, "{traded} s, {clock} s");
        }
        assert_eq!(state(now, before(900), Nanos::MIN, Nanos::MIN, AgeLimits::default()), "dead");
    }

    #[test]
    fn a_feed_has_ages_of_its_own() {
        let now = Nanos(1_000 * SECOND);
        let limits = AgeLimits { stale: 100 * SECOND, dead: 200 * SECOND };
        let after = |age: i64| {
            let then = now.plus(-age * SECOND);
            state(now, then, then, then, limits)
        };
        assert_eq!([100, 101, 200, 201].map(after), ["quiet", "stale", "stale", "dead"]);
        assert_eq!(state(now, now, now, now.plus(SECOND), AgeLimits::UNFOLLOWED), "dead");
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nothing_live() {
        let now = Nanos(100_000 * SECOND);
        let after = |seconds: i64| now.plus(seconds * SECOND);
        let set_back = 3 * 3_600;
        let table = [
            (set_back, set_back, set_back, "stale"),
            (set_back, -1, set_back, "live"),
            (set_back, -11, set_back, "stale"),
            (set_back, -5, 0, "live"),
            (set_back, -900, -1, "quiet"),
            (set_back, -900, -31, "stale"),
            (29, 29, 29, "live"),
        ];
        for (traded, received, clock, word) in table {
            let state = state(now, after(traded), after(received), after(clock), AgeLimits::default());
            assert_eq!(state, word, "{traded} s, {received} s, {clock} s");
        }
    }
}
