//! From which event time on another venue is in charge.
//!
//! The moment is the last one up to which the venue that is left has said everything: its clock less the lateness that is
//! allowed for, or where its first gap or hole begins that is yet to be filled. What came after it is fetched by the next venue, so the
//! stretch is whole whoever had a part of it. A venue that has no past trades begins behind the last report instead, since
//! nobody could bring again what would be given up. The moment never lies before the last hand-over, which would go on to hold.
//! Venues cut the times of their trades more or less finely; so that the same trade lies on the same side of the moment for
//! both, the moment is cut to what the coarsest of them has.
//!
//! Promises: pure; nothing here fails.

use super::decision::Why;
use crate::models::time::Nanos;

/// The coarsest precision of trade times that a venue has: a millisecond.
const PRECISION_MAX: i64 = 1_000_000;

/// What a venue has told when it is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// From here on it told everything, but for its gaps.
    pub since: Nanos,
    /// Its clock; [`Nanos::MIN`] where it never told the time.
    pub clock: Nanos,
    /// The newest event time of a report; [`Nanos::MIN`] before the first.
    pub newest: Nanos,
    /// Where its first gap begins that is yet to be filled, or the first hole in its ids, though that may be no more than
    /// reordered trades; [`Nanos::MAX`] without one.
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
    cut(if last == Nanos::MIN { since } else { since.max(last.plus(-lateness).min(gap)) })
}

/// Returns the last moment up to this one that every venue tells apart from the trades before it.
fn cut(moment: Nanos) -> Nanos {
    Nanos(moment.0 - moment.0.rem_euclid(PRECISION_MAX))
}

/// Returns the first moment from this one on that every venue tells apart from the trades before it.
#[must_use]
pub fn next_whole(moment: Nanos) -> Nanos {
    Nanos(moment.0 + (-moment.0).rem_euclid(PRECISION_MAX))
}

/// Returns the moment of a hand-over: `complete` as above, of the venue that is left; `next_since`, from where on the next one
/// tells everything; `before`, the last hand-over.
#[must_use]
pub fn hand_over_at(complete: Nanos, next_since: Nanos, before: Nanos) -> Nanos {
    complete.max(next_since).max(before)
}

/// Returns from where on a venue is to tell everything that is opened beside the one in charge: `complete` as above; `before`,
/// the last hand-over; `owes`, from where on it alone can tell something.
///
/// Before the last hand-over the time belongs to others. A gap of this venue that reached back there would be one of the time
/// in which it was in charge itself, and would stay if the venue is closed again before it has filled it.
#[must_use]
pub fn opened_from(complete: Option<Nanos>, before: Nanos, owes: Option<Nanos>) -> Option<Nanos> {
    complete.map(|complete| complete.max(before)).into_iter().chain(owes).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Nanos = Nanos::MIN;

    /// Milliseconds.
    fn at(millis: i64) -> Nanos {
        Nanos(millis * PRECISION_MAX)
    }

    fn told(since: i64, clock: Nanos, newest: Nanos, gap: Nanos) -> Told {
        Told { since: at(since), clock, newest, gap }
    }

    #[test]
    fn everything_is_told_up_to_the_clock_or_the_first_gap() {
        let whole = Nanos::MAX;
        let (silent, broken) = (Why::Silent, Why::Broken);
        let table = [
            ("its clock less the lateness", told(0, at(100), at(90), whole), broken, at(98)),
            ("without a clock its newest report", told(0, NONE, at(90), whole), broken, at(88)),
            ("the first gap", told(0, at(100), at(90), at(40)), broken, at(40)),
            ("a gap behind the clock changes nothing", told(0, at(100), at(90), at(99)), broken, at(98)),
            ("of a silent one its newest report", told(0, at(100), at(70), whole), silent, at(68)),
            ("a silent one that never reported", told(0, at(100), NONE, whole), silent, at(98)),
            ("nothing was said", told(30, NONE, NONE, whole), broken, at(30)),
            ("it began a moment ago", told(99, at(100), at(100), whole), broken, at(99)),
            ("a venue with coarser times", told(0, at(100).plus(7), NONE, whole), broken, at(98)),
            ("which cuts those of a gap", told(0, at(100), NONE, at(40).plus(999_999)), broken, at(40)),
        ];
        for (name, told, why, expected) in table {
            assert_eq!(complete_until(&told, why, true, at(2).0), expected, "{name}");
        }
        let without_past = |told| complete_until(&told, Why::Broken, false, at(2).0);
        assert_eq!(
            without_past(told(0, at(90), at(100), at(40))),
            at(100).plus(1),
            "nobody can say it again"
        );
        assert_eq!(without_past(told(30, NONE, NONE, whole)), at(30));
    }

    #[test]
    fn a_moment_that_every_venue_knows_follows() {
        assert_eq!([0, 1, 999_999, 1_000_000].map(|ns| next_whole(Nanos(ns))), [at(0), at(1), at(1), at(1)]);
    }

    #[test]
    fn a_hand_over_lies_where_the_next_venue_tells_everything_and_never_before_the_last_one() {
        assert_eq!(hand_over_at(Nanos(50), Nanos(40), Nanos(10)), Nanos(50));
        assert_eq!(hand_over_at(Nanos(50), Nanos(60), Nanos(10)), Nanos(60));
        assert_eq!(hand_over_at(Nanos(50), Nanos(40), Nanos(70)), Nanos(70));
    }

    #[test]
    fn a_venue_that_is_opened_tells_nothing_of_the_time_before_the_last_hand_over_but_what_it_owes() {
        assert_eq!(opened_from(None, Nanos(9), None), None, "nobody has told anything");
        assert_eq!(opened_from(Some(Nanos(50)), Nanos(40), None), Some(Nanos(50)));
        assert_eq!(opened_from(Some(Nanos(39)), Nanos(40), None), Some(Nanos(40)));
        assert_eq!(opened_from(Some(Nanos(50)), Nanos(40), Some(Nanos(30))), Some(Nanos(30)));
        assert_eq!(opened_from(Some(Nanos(50)), Nanos(40), Some(Nanos(60))), Some(Nanos(50)));
    }
}
