//! How the subscription of one connection stands: what was asked for, what is confirmed, and what is refused.
//!
//! Venues confirm a subscription as a whole, symbol by symbol, or not at all; some refuse one symbol without naming it. All
//! of them end up the same here: after [`ACK_WINDOW`] in which the venue says no more of it, what was not refused counts
//! as subscribed, and where a refusal named nobody, what was not confirmed is what was refused. No clock is read here,
//! and nothing fails.

use crate::models::time::Nanos;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long confirmations are waited for after the last one.
const ACK_WINDOW: Duration = Duration::from_secs(5);

/// A moment, as both of our clocks tell it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// For spans.
    pub instant: Instant,
    /// As entries have it.
    pub time: Nanos,
}

/// The subscription of one connection.
#[derive(Debug, Default)]
pub(super) struct Subscription {
    /// Places of symbols that were asked for, and neither confirmed nor refused.
    waiting: BTreeSet<usize>,
    /// When it was asked for, or the venue last spoke of it. `None`: it was not asked for.
    spoken: Option<Instant>,
    /// When the venue first showed that it has what was asked for.
    since: Option<Nanos>,
    /// Why symbols were refused that the venue did not name.
    unnamed: Option<String>,
}

impl Subscription {
    /// Notes that symbols were asked for.
    pub fn ask(&mut self, places: &[usize], now: Instant) {
        self.waiting.extend(places);
        self.spoken = Some(now);
    }

    /// Notes that the venue confirms one symbol, or all of them.
    pub fn confirm(&mut self, place: Option<usize>, now: Moment) {
        match place {
            Some(place) => _ = self.waiting.remove(&place),
            None => self.waiting.clear(),
        }
        self.since.get_or_insert(now.time);
        self.spoken = Some(now.instant);
    }

    /// Notes that the venue refuses one symbol.
    pub fn refuse(&mut self, place: usize, now: Instant) {
        self.waiting.remove(&place);
        self.spoken = Some(now);
    }

    /// Notes that a symbol is not wanted any more.
    pub fn leave(&mut self, place: usize) {
        self.waiting.remove(&place);
    }

    /// Notes that the venue refuses a symbol and does not say which.
    pub fn refuse_unnamed(&mut self, reason: String, now: Instant) {
        self.unnamed.get_or_insert(reason);
        self.spoken = Some(now);
    }

    /// Notes that something came, which shows that a venue without confirmations has been asked.
    pub fn show_alive(&mut self, now: Nanos) {
        if self.is_asked() {
            self.since.get_or_insert(now);
        }
    }

    /// True when the symbols were asked for.
    pub fn is_asked(&self) -> bool {
        self.spoken.is_some()
    }

    /// Returns since when, by our clock, the venue sends what was asked for, as far as that shows: only once
    /// [`Subscription::is_settled`] is it known of every symbol.
    pub fn since(&self) -> Option<Nanos> {
        self.since
    }

    /// True when nothing more will be said of it.
    pub fn is_settled(&self, now: Instant) -> bool {
        self.since.is_some() && self.unnamed.is_none() && (self.waiting.is_empty() || self.is_quiet(now))
    }

    /// True when the venue has said nothing of it for [`ACK_WINDOW`].
    pub fn is_quiet(&self, now: Instant) -> bool {
        self.spoken.is_some_and(|spoken| now.saturating_duration_since(spoken) >= ACK_WINDOW)
    }

    /// Returns who was refused without a name, once the others have been confirmed, and why.
    pub fn find_refused(&mut self, now: Instant) -> Option<(Vec<usize>, String)> {
        if !self.is_quiet(now) {
            return None;
        }
        let reason = self.unnamed.take()?;
        Some((std::mem::take(&mut self.waiting).into_iter().collect(), reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens to a subscription.
    enum Said {
        Confirmed(Option<usize>),
        Refused(usize),
        Unnamed,
        Alive,
    }
    use Said::{Alive, Confirmed, Refused, Unnamed};

    /// Asks for three symbols at 0, lets things happen at so many seconds, and looks at another one.
    fn subscription(said: &[(u64, Said)], look: u64) -> (Option<i64>, bool, Option<Vec<usize>>) {
        let begun = Instant::now();
        let at = |seconds: u64| Moment {
            instant: begun + Duration::from_secs(seconds),
            time: Nanos(seconds.cast_signed()),
        };
        let mut subscription = Subscription::default();
        assert!(!subscription.is_settled(at(99).instant) && !subscription.is_asked());
        subscription.ask(&[3, 5, 7], begun);
        for (seconds, said) in said {
            let now = at(*seconds);
            match said {
                Confirmed(place) => subscription.confirm(*place, now),
                Refused(place) => subscription.refuse(*place, now.instant),
                Unnamed => subscription.refuse_unnamed("not authorized".to_owned(), now.instant),
                Alive => subscription.show_alive(now.time),
            }
        }
        let now = at(look).instant;
        let refused = subscription.find_refused(now).map(|(places, _)| places);
        (subscription.since().map(|time| time.0), subscription.is_settled(now), refused)
    }

    #[test]
    fn a_subscription_settles_by_what_is_said_or_by_what_is_not() {
        assert_eq!(subscription(&[], 99), (None, false, None), "nothing shows that the venue is there");
        assert_eq!(subscription(&[(1, Confirmed(None))], 1), (Some(1), true, None));
        let one_by_one = || [(1, Confirmed(Some(3))), (2, Confirmed(Some(7))), (2, Confirmed(Some(5)))];
        assert_eq!(subscription(&one_by_one()[..2], 6), (Some(1), false, None), "one may yet be confirmed");
        assert_eq!(subscription(&one_by_one()[..2], 7), (Some(1), true, None));
        assert_eq!(subscription(&one_by_one(), 2), (Some(1), true, None));
        let refused = [(1, Confirmed(Some(3))), (1, Refused(5)), (2, Confirmed(Some(7)))];
        assert_eq!(subscription(&refused, 2), (Some(1), true, None));
        assert_eq!(subscription(&[(2, Alive), (3, Alive)], 4), (Some(2), false, None));
        assert_eq!(subscription(&[(2, Alive), (3, Alive)], 5), (Some(2), true, None), "it never confirms");
    }

    #[test]
    fn who_is_refused_without_a_name_is_who_is_not_confirmed() {
        let said = || [(1, Confirmed(Some(3))), (1, Unnamed), (4, Confirmed(Some(7)))];
        assert_eq!(subscription(&said(), 8), (Some(1), false, None), "confirmations come still");
        assert_eq!(subscription(&said(), 9), (Some(1), true, Some(vec![5])));
        let all = [(1, Confirmed(None)), (1, Unnamed)];
        assert_eq!(subscription(&all, 6), (Some(1), true, Some(vec![])), "a topic beside the symbols");
        assert_eq!(subscription(&[(1, Unnamed)], 6), (None, false, Some(vec![3, 5, 7])));
    }
}
