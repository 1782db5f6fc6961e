//! From which event time on another venue is in charge.
//!
//! The moment is the last one up to which the venue that is left has said everything: its clock less the lateness that is
//! allowed for, or where its first gap begins that is yet to be filled. What came after it is fetched by the next venue, so the
//! stretch is whole whoever had a part of it. A venue that has no past trades begins behind the last report instead, since
//! nobody could bring again what would be given up. The moment never lies before the last hand-over, which would go on to hold.
//!
//! Promises: pure; nothing here fails.

use super::charge::Why;
use crate::models::time::Nanos;

/// What a venue has told when it is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// From here on it told everything, but for its gaps.
    pub since: Nanos,
    /// Its clock; [`Nanos::MIN`] where it never told the time.
    pub clock: Nanos,
    /// The newest event time of a report; [`Nanos::MIN`] before the first.
    pub newest: Nanos,
    /// Where its first gap begins that is yet to be filled; [`Nanos::MAX`] without one.
    pub gap: Nanos,
}

/// Returns the moment up to which a venue has told everything, as far as the next one can say what comes after it.
#[must_use]
pub fn complete_until(told: &Told, why: Why, next_has_past: bool, lateness: i64) -> Nanos {
    let Told { since, clock, newest, gap } = *told;
    if !next_has_past {
        let last = clock.max(newest);
        return if last == Nanos::MIN { since } else { since.max(last.plus(1)) };
    }
    let last = match why {
        // Its clock may run on while its trades do not come.
        Why::Silent if newest != Nanos::MIN => newest.min(if clock == Nanos::MIN { newest } else { clock }),
        _ if clock != Nanos::MIN => clock,
        _ => newest,
    };
    if last == Nanos::MIN { since } else { since.max(last.plus(-lateness).min(gap)) }
}

/// Returns the moment of a hand-over: `complete` as above, of the venue that is left; `next_since`, from where on the next one
/// tells everything; `before`, the last hand-over.
#[must_use]
pub fn hand_over_at(complete: Nanos, next_since: Nanos, before: Nanos) -> Nanos {
    complete.max(next_since).max(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Nanos = Nanos::MIN;

    fn told(since: i64, clock: Nanos, newest: Nanos, gap: Nanos) -> Told {
        Told { since: Nanos(since), clock, newest, gap }
    }

    #[test]
    fn everything_is_told_up_to_the_clock_or_the_first_gap() {
        let whole = Nanos::MAX;
        let table = [
            ("its clock less the lateness", told(0, Nanos(100), Nanos(90), whole), Why::Broken, true, 98),
            ("without a clock its newest report", told(0, NONE, Nanos(90), whole), Why::Broken, true, 88),
            ("the first gap", told(0, Nanos(100), Nanos(90), Nanos(40)), Why::Broken, true, 40),
            (
                "a gap behind the clock changes nothing",
                told(0, Nanos(100), Nanos(90), Nanos(99)),
                Why::Broken,
                true,
                98,
            ),
            (
                "of a silent one its newest report",
                told(0, Nanos(100), Nanos(70), whole),
                Why::Silent,
                true,
                68,
            ),
            ("a silent one that never reported", told(0, Nanos(100), NONE, whole), Why::Silent, true, 98),
            ("nothing was said", told(30, NONE, NONE, whole), Why::Broken, true, 30),
            ("it began a moment ago", told(99, Nanos(100), Nanos(100), whole), Why::Broken, true, 99),
            ("the next one has no past", told(0, Nanos(90), Nanos(100), Nanos(40)), Why::Broken, false, 101),
            ("nor was anything said", told(30, NONE, NONE, whole), Why::Broken, false, 30),
        ];
        for (name, told, why, has_past, expected) in table {
            assert_eq!(complete_until(&told, why, has_past, 2), Nanos(expected), "{name}");
        }
    }

    #[test]
    fn a_hand_over_lies_where_the_next_venue_tells_everything_and_never_before_the_last_one() {
        assert_eq!(hand_over_at(Nanos(50), Nanos(40), Nanos(10)), Nanos(50));
        assert_eq!(hand_over_at(Nanos(50), Nanos(60), Nanos(10)), Nanos(60));
        assert_eq!(hand_over_at(Nanos(50), Nanos(40), Nanos(70)), Nanos(70));
    }
}
