//! What of two histories can be compared: the time that both have, the symbols that only one has, and whether the times of one
//! are those of another zone.
//!
//! Promises: a history that began later than the other is no difference; it is said instead. Nothing here fails.

use super::Bars;
use super::judge::{Ours, Values, Verdict, judge};
use crate::models::time::{MINUTE, Nanos};
use crate::visible::visible;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Offsets of time zones are multiples of this.
const ZONE_STEP: i64 = 15 * MINUTE;
/// The largest offset of a time zone, in steps.
const ZONE_STEPS_MAX: i64 = 14 * 4;
/// Bars that are looked at to find another zone.
const SAMPLE_MAX: usize = 2_000;
/// Symbols that the text names.
const NAMES_MAX: usize = 5;

/// What is compared of both.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scope {
    /// First start of a window; `None` where there is nothing to compare.
    #[serde(rename = "from")]
    shown_from: Option<String>,
    /// Last start of a window.
    #[serde(rename = "to")]
    shown_to: Option<String>,
    #[serde(skip)]
    span: Option<(Nanos, Nanos)>,
    /// Windows of ours that the topic cannot have: it begins later, or ends before.
    before_or_behind_theirs: u64,
    /// Windows of theirs that we cannot have.
    before_or_behind_ours: u64,
    /// Symbols of which they have no bar.
    symbols_only_here: BTreeSet<String>,
    /// Symbols of which we have none.
    symbols_only_there: BTreeSet<String>,
    /// Minutes that their times have to be moved by for most bars to be equal, where they are not as they stand.
    their_times_off_by_minutes: Option<i64>,
}

impl Scope {
    /// Finds out what can be compared. What the user asked for is compared, whoever has it; else what both have.
    pub fn of(from: Option<Nanos>, to: Option<Nanos>, ours: &Bars<Ours>, theirs: &Bars<Values>) -> Scope {
        let (own, other) = (span_of(ours), span_of(theirs));
        let both = own.zip(other).map(|(own, other)| (own.0.max(other.0), own.1.min(other.1)));
        let all = own.or(other).map(|(first, last)| {
            let (other_first, other_last) = other.unwrap_or((first, last));
            (first.min(other_first), last.max(other_last))
        });
        let span = match (both.filter(|(first, last)| first <= last), all) {
            (Some(both), Some(all)) => {
                Some((if from.is_some() { all.0 } else { both.0 }, if to.is_some() { all.1 } else { both.1 }))
            }
            // They have no time in common, which the verdicts say.
            (_, all) => all,
        };
        let is_outside = |start: Nanos| span.is_none_or(|(first, last)| start < first || last < start);
        let names_of = |keys: &mut dyn Iterator<Item = &(String, Nanos)>| -> BTreeSet<String> {
            keys.map(|(symbol, _)| symbol.clone()).collect()
        };
        let (here, there) = (names_of(&mut ours.keys()), names_of(&mut theirs.keys()));
        let show = |time: Nanos| time.to_rfc3339();
        Scope {
            shown_from: span.map(|span| show(span.0)),
            shown_to: span.map(|span| show(span.1)),
            span,
            before_or_behind_theirs: ours.keys().filter(|key| is_outside(key.1)).count() as u64,
            before_or_behind_ours: theirs.keys().filter(|key| is_outside(key.1)).count() as u64,
            symbols_only_here: here.difference(&there).cloned().collect(),
            symbols_only_there: there.difference(&here).cloned().collect(),
            their_times_off_by_minutes: zone_between(ours, theirs).map(|nanos| nanos / MINUTE),
        }
    }

    /// True for a window that is compared.
    pub fn holds(&self, start: Nanos) -> bool {
        self.span.is_some_and(|(first, last)| (first..=last).contains(&start))
    }

    /// Says it, a line each.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        if let Some((from, to)) = self.shown_from.as_ref().zip(self.shown_to.as_ref()) {
            _ = writeln!(text, "windows that start from {from} to {to}");
        }
        if let Some(minutes) = self.their_times_off_by_minutes {
            let (sign, minutes) = (if minutes < 0 { '-' } else { '+' }, minutes.unsigned_abs());
            _ = writeln!(
                text,
                "their times are likely to be of another zone: with {sign}{:02}:{:02} most bars are equal. A time that names no \
                 zone is read as UTC.",
                minutes / 60,
                minutes % 60
            );
        }
        for (count, whose, other) in
            [(self.before_or_behind_theirs, "here", "there"), (self.before_or_behind_ours, "there", "here")]
        {
            if count > 0 {
                _ = writeln!(
                    text,
                    "{count} windows {whose} are left out: they are before the first or after the last one {other}; `--from` and \
                     `--to` compare them too"
                );
            }
        }
        for (names, whose) in [(&self.symbols_only_here, "here"), (&self.symbols_only_there, "there")] {
            if !names.is_empty() {
                let mut shown: Vec<String> =
                    names.iter().take(NAMES_MAX).map(|name| visible(name).to_string()).collect();
                if names.len() > NAMES_MAX {
                    shown.push("…".to_owned());
                }
                _ = writeln!(text, "{} symbols only {whose}: {}", names.len(), shown.join(" "));
            }
        }
        text
    }
}

/// Returns the first and the last start.
fn span_of<T>(bars: &Bars<T>) -> Option<(Nanos, Nanos)> {
    let starts = || bars.keys().map(|key| key.1);
    starts().min().zip(starts().max())
}

/// Returns how far their times have to be moved for most bars to be equal, where that makes more of them equal than there are.
fn zone_between(ours: &Bars<Ours>, theirs: &Bars<Values>) -> Option<i64> {
    let step = theirs.len().div_ceil(SAMPLE_MAX).max(1);
    let sample: Vec<_> = theirs.iter().step_by(step).collect();
    let num_equal = |shift: i64| {
        let is_equal = |((symbol, start), values): &&(&(String, Nanos), &Values)| {
            let own = ours.get(&(symbol.clone(), start.plus(shift)));
            own.is_some_and(|own| judge(own, values, [None; 2]) == Verdict::Equal)
        };
        sample.iter().filter(is_equal).count()
    };
    let num_as_they_stand = num_equal(0);
    // What is equal as it stands is of the right zone.
    if 2 * num_as_they_stand >= sample.len() {
        return None;
    }
    let shifts = (-ZONE_STEPS_MAX..=ZONE_STEPS_MAX).filter(|step| *step != 0).map(|step| step * ZONE_STEP);
    let (num, shift) = shifts.map(|shift| (num_equal(shift), shift)).max()?;
    (num > num_as_they_stand && 2 * num > sample.len()).then_some(shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(at: i64) -> Values {
        let price = 10.0 + (at % 97) as f64;
        Values { open: price, high: price, low: price, close: price, volume: 1.0, ..Values::default() }
    }

    fn key(at: i64) -> (String, Nanos) {
        ("A".to_owned(), Nanos(at * MINUTE))
    }

    fn ours(minutes: std::ops::Range<i64>) -> Bars<Ours> {
        minutes.map(|at| (key(at), Ours { values: bar(at), coverage: 1.0, ..Ours::default() })).collect()
    }

    fn theirs(minutes: std::ops::Range<i64>, shift: i64) -> Bars<Values> {
        minutes.map(|at| (key(at + shift), bar(at))).collect()
    }

    #[test]
    fn what_only_one_can_have_is_left_out_unless_it_is_asked_for() {
        let (ours, theirs) = (ours(100..200), theirs(50..180, 0));
        let scope = Scope::of(None, None, &ours, &theirs);
        assert_eq!(scope.span, Some((Nanos(100 * MINUTE), Nanos(179 * MINUTE))));
        assert_eq!((scope.before_or_behind_ours, scope.before_or_behind_theirs), (50, 20));
        assert!(scope.holds(Nanos(100 * MINUTE)) && !scope.holds(Nanos(180 * MINUTE)));
        let text = scope.describe();
        assert!(text.contains("50 windows there are left out") && !text.contains("zone:"), "{text}");
        let scope = Scope::of(Some(Nanos(0)), Some(Nanos(1_000 * MINUTE)), &ours, &theirs);
        assert_eq!(scope.span, Some((Nanos(50 * MINUTE), Nanos(199 * MINUTE))));
        assert_eq!((scope.before_or_behind_ours, scope.before_or_behind_theirs), (0, 0));
    }

    #[test]
    fn nothing_in_common_is_no_reason_to_compare_nothing() {
        let scope = Scope::of(None, None, &ours(0..10), &theirs(100..110, 0));
        assert_eq!(scope.span, Some((Nanos(0), Nanos(109 * MINUTE))));
        let scope = Scope::of(None, None, &ours(0..10), &Bars::new());
        assert_eq!(scope.span, Some((Nanos(0), Nanos(9 * MINUTE))));
        assert_eq!(scope.symbols_only_here.len(), 1);
        assert_eq!(Scope::of(None, None, &Bars::new(), &Bars::new()), Scope::default());
    }

    #[test]
    fn times_of_another_zone_are_told() {
        for (shift, told) in [(0, None), (-300, Some(300)), (330, Some(-330))] {
            let scope = Scope::of(None, None, &ours(0..3_000), &theirs(0..3_000, shift));
            assert_eq!(scope.their_times_off_by_minutes, told);
        }
        let scope = Scope::of(None, None, &ours(0..3_000), &theirs(0..3_000, 330));
        assert!(scope.describe().contains("with -05:30 most bars are equal"), "{}", scope.describe());
        let other: Bars<Values> = (0..1_000).map(|at| (key(at), bar(at * at + 1))).collect();
        assert_eq!(zone_between(&ours(0..1_000), &other), None, "bars that differ everywhere");
    }
}
