//! Whether a symbol's feed is alive: a quiet market and a dead feed never look the same.
//!
//! The rule, by the age of the symbol's last trade and of its source's clock (the newest event time the source has
//! vouched for by any entry, clock marks included):
//!
//! | word | when |
//! | --- | --- |
//! | `dead` | the source's clock is more than 5 minutes old |
//! | `stale` | it is more than 30 s old |
//! | `live` | the symbol traded within 10 s |
//! | `quiet` | it did not, but the source's clock runs on |

use super::time::{MINUTE, Nanos, SECOND};

const LIVE_AGE_MAX: i64 = 10 * SECOND;
const CLOCK_AGE_STALE: i64 = 30 * SECOND;
const CLOCK_AGE_DEAD: i64 = 5 * MINUTE;

/// Returns the word for a symbol that last traded at `traded` and whose source's clock shows `clock`.
#[must_use]
pub fn state(now: Nanos, traded: Nanos, clock: Nanos) -> &'static str {
    match now.since(clock.max(traded)) {
        age if age > CLOCK_AGE_DEAD => "dead",
        age if age > CLOCK_AGE_STALE => "stale",
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
            assert_eq!(state(now, before(traded), before(clock)), word, "{traded} s, {clock} s");
        }
        assert_eq!(state(now, before(900), Nanos::MIN), "dead");
    }
}
