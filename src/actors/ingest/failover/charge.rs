//! Which venue of a feed is in charge: decided from how they stand, by the rules below. No clock is read here: time comes in
//! as the time since the feed began.
//!
//! The first venue of the list is in charge. It is left when its connection is broken, when it refuses, and when nothing of
//! the whole feed has come for `stale_after`. Then the next ones are opened, one after the other, and the first of them that
//! shows to be better takes charge: one that is subscribed, and of a silent venue one that tells of something newer. So a
//! venue that comes back before a standby is there stays, a network that is down everywhere changes nothing, and a market that
//! is closed is not taken for a dead venue.
//!
//! Each venue has a circuit breaker. It opens when the venue is left, and for as long as the venue's `breaker_open` says the
//! venue is not asked. Then it is half open: the venue is connected beside the one in charge. One that breaks, or is silent
//! while the other is not, opens it again; one that has been well for `failback_after` without a break, and lacks nothing,
//! takes charge again and closes it. So a venue that comes and goes changes the charge once.
//!
//! Promises: exactly one venue is in charge at each moment; those in front of it in the list are tried again for ever,
//! but for one that refuses for good; those behind it are closed as soon as it is well. Nothing here fails.

use super::breaker::Breaker;
use super::decision::{Action, Why};
use super::member::{Member, Seen};
use crate::actors::ingest::shell::Phase;
use crate::actors::ingest::venue::Then;
use crate::models::time::Nanos;
use std::time::Duration;

/// How long a standby may take to come up before the next one is tried beside it: what a handshake takes over far lines,
/// twice.
const STANDBY_WAIT_MAX: Duration = Duration::from_secs(1);

/// How long the venue in charge may take to come up when it is opened: nothing is lost yet, and standbys cost keys.
const FIRST_WAIT_MAX: Duration = Duration::from_secs(5);

/// How often in a row standbys that knew nothing newer make the next look at them come later.
const RESTS_MAX: u32 = 4;

/// When the charge changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long nothing may come of the whole feed.
    pub stale_after: Duration,
    /// How long a better venue must be well to take charge again.
    pub failback_after: Duration,
}

/// The charge of a feed.
#[derive(Debug)]
pub struct Charge {
    rules: Rules,
    members: Vec<Member>,
    charged: usize,
    /// Looks at standbys that found nothing newer than a silent venue knew.
    num_rests: u32,
    /// No standby of a silent venue is opened before then.
    rest_until: Duration,
    /// When the venue in charge was silent last.
    silent_at: Option<Duration>,
}

impl Charge {
    /// Makes the charge of venues, by how long each one's breaker stays open. The first one is in charge.
    #[must_use]
    pub fn new(rules: Rules, pauses: &[Duration]) -> Charge {
        Charge {
            rules,
            members: pauses.iter().map(|&pause| Member::new(pause)).collect(),
            charged: 0,
            num_rests: 0,
            rest_until: Duration::ZERO,
            silent_at: None,
        }
    }

    /// Returns the venue in charge.
    #[must_use]
    pub const fn charged(&self) -> usize {
        self.charged
    }

    /// Returns the breaker of a venue.
    #[must_use]
    pub fn breaker(&self, venue: usize) -> Breaker {
        self.members[venue].breaker
    }

    /// Begins: the first venue is opened.
    pub fn begin(&mut self, now: Duration) -> Vec<Action> {
        let mut actions = Vec::new();
        self.start(self.charged, now, &mut actions);
        actions
    }

    /// Looks at how the venues stand (`None` for those that do not run), and says what is to be done.
    pub fn look(&mut self, now: Duration, seen: &[Option<Seen>]) -> Vec<Action> {
        for (member, seen) in self.members.iter_mut().zip(seen) {
            if let Some(seen) = seen {
                member.observe(seen, now);
            }
        }
        let mut actions = Vec::new();
        match self.trouble(now, seen) {
            Some(why) => self.take_over(why, now, seen, &mut actions),
            None => self.keep(now, seen, &mut actions),
        }
        actions
    }

    /// Returns what is wrong with the venue in charge.
    fn trouble(&mut self, now: Duration, seen: &[Option<Seen>]) -> Option<Why> {
        let member = &self.members[self.charged];
        let (run, seen) = (member.run?, seen[self.charged]?);
        match seen.phase {
            Phase::Down => Some(match seen.refused {
                Some(then @ (Then::Stop | Then::Wait(_))) => Why::Refused(then),
                Some(Then::Retry) | None => Why::Broken,
            }),
            Phase::Connecting if now.saturating_sub(run.since) >= FIRST_WAIT_MAX => Some(Why::Broken),
            Phase::Up if member.silent_for(now) >= self.rules.stale_after => {
                let rest_max = self.rules.stale_after * 10;
                if self.silent_at.is_none_or(|at| now.saturating_sub(at) > rest_max) {
                    (self.num_rests, self.rest_until) = (0, Duration::ZERO);
                }
                self.silent_at = Some(now);
                Some(Why::Silent)
            }
            Phase::Connecting | Phase::Up => None,
        }
    }

    /// The venue in charge is in trouble: whoever is better takes charge, and until there is one others are tried.
    fn take_over(&mut self, why: Why, now: Duration, seen: &[Option<Seen>], actions: &mut Vec<Action>) {
        let others = || (0..self.members.len()).filter(|&at| at != self.charged);
        let knows_more = |at: usize| {
            let newest = |at: usize| seen[at].map_or(Nanos::MIN, |seen| seen.newest);
            why != Why::Silent || newest(at) > newest(self.charged)
        };
        let better = others().find(|&at| self.members[at].up_for(now).is_some() && knows_more(at));
        if let Some(to) = better {
            self.hand_over(to, why, now, actions);
            return;
        }
        let charged = &mut self.members[self.charged];
        if let Why::Refused(then) = why
            && charged.breaker.may_be_tried(now)
        {
            // Nobody takes its place, and it is not asked either.
            charged.leave(Some(then), now);
        }
        let others = || (0..self.members.len()).filter(|&at| at != self.charged);
        for at in others().collect::<Vec<_>>() {
            let stale_after = self.rules.stale_after;
            let is_refused = seen[at].and_then(|seen| seen.refused).filter(|then| *then != Then::Retry);
            let knows_nothing = self.members[at].up_for(now).is_some_and(|span| span >= stale_after);
            if self.members[at].run.is_some() && is_refused.is_some() {
                self.members[at].leave(is_refused, now);
                self.stop(at, actions);
            } else if knows_nothing {
                // It is as silent: the market is closed, or nobody hears it.
                self.rest_until = now + stale_after * (1 << self.num_rests.min(RESTS_MAX));
                self.num_rests += 1;
                self.give_up(at, now, actions);
            }
        }
        let may_come = |at: usize| {
            let member = &self.members[at];
            let is_down = seen[at].is_none_or(|seen| seen.phase == Phase::Down);
            let since = member.run.map(|run| run.up_since.unwrap_or(run.since));
            !is_down && since.is_some_and(|since| now.saturating_sub(since) < STANDBY_WAIT_MAX)
        };
        let rests = why == Why::Silent && now < self.rest_until;
        let others = || (0..self.members.len()).filter(|&at| at != self.charged);
        if rests || others().any(may_come) {
            return;
        }
        let may_start =
            |at: &usize| self.members[*at].run.is_none() && self.members[*at].breaker.may_be_tried(now);
        if let Some(next) = others().find(may_start) {
            self.start(next, now, actions);
        }
    }

    /// The venue in charge is well: standbys are closed, and better ones tried again.
    fn keep(&mut self, now: Duration, seen: &[Option<Seen>], actions: &mut Vec<Action>) {
        self.members[self.charged].breaker = Breaker::Closed;
        for at in self.charged + 1..self.members.len() {
            if self.members[at].run.is_some() {
                self.give_up(at, now, actions);
            }
        }
        for at in 0..self.charged {
            let Rules { stale_after, failback_after } = self.rules;
            let member = &mut self.members[at];
            let (Some(run), Some(seen_now)) = (member.run, seen[at]) else {
                if member.breaker.may_be_tried(now) {
                    self.start(at, now, actions);
                }
                continue;
            };
            if seen_now.phase == Phase::Down || run.has_broken || member.silent_for(now) >= stale_after {
                member.leave(seen_now.refused, now);
                self.stop(at, actions);
                continue;
            }
            let is_well = member.up_for(now).is_some_and(|span| span >= failback_after)
                && run.num_reports > 0
                && seen_now.is_whole;
            // What the one in charge still fetches would be lost with it, and so would a symbol that only it brings.
            let may_go = |charged: Seen| charged.is_whole && charged.num_symbols <= seen_now.num_symbols;
            if is_well && seen[self.charged].is_some_and(may_go) {
                self.hand_over(at, Why::Recovered, now, actions);
                return;
            }
        }
    }

    fn hand_over(&mut self, to: usize, why: Why, now: Duration, actions: &mut Vec<Action>) {
        actions.push(Action::HandOver { to, why });
        let from = std::mem::replace(&mut self.charged, to);
        self.members[to].breaker = Breaker::Closed;
        match why {
            Why::Recovered => self.members[from].breaker = Breaker::Closed,
            Why::Refused(then) => self.members[from].leave(Some(then), now),
            Why::Broken | Why::Silent => self.members[from].leave(None, now),
        }
        self.stop(from, actions);
        for at in 0..self.members.len() {
            if at == to || self.members[at].run.is_none() {
                continue;
            }
            if at < to {
                // It is not there, or it would have the charge.
                self.members[at].leave(None, now);
            }
            self.give_up(at, now, actions);
        }
        (self.num_rests, self.rest_until) = (0, Duration::ZERO);
    }

    fn start(&mut self, at: usize, now: Duration, actions: &mut Vec<Action>) {
        let is_better = at < self.charged;
        let member = &mut self.members[at];
        if is_better || member.breaker != Breaker::Closed {
            member.breaker = Breaker::HalfOpen;
        }
        member.begin(now);
        actions.push(Action::Start(at));
    }

    /// Closes a standby that is not needed, or of no use.
    fn give_up(&mut self, at: usize, now: Duration, actions: &mut Vec<Action>) {
        let member = &mut self.members[at];
        if member.breaker == Breaker::HalfOpen {
            member.leave(None, now);
        }
        self.stop(at, actions);
    }

    fn stop(&mut self, at: usize, actions: &mut Vec<Action>) {
        self.members[at].run = None;
        actions.push(Action::Stop(at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules =
        Rules { stale_after: Duration::from_secs(30), failback_after: Duration::from_secs(60) };
    const PAUSE: Duration = Duration::from_secs(30);

    /// How a venue of a test is, whenever it is opened.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Is {
        /// It comes up and reports.
        Well,
        /// It comes up, and says nothing.
        Silent,
        /// It cannot be reached.
        Gone,
        /// It does not answer.
        Mute,
        Refusing(Then),
        /// It comes up, reports, and lacks something.
        Lacking,
        /// It comes up, and what it says is not taken.
        HeldUp,
        /// It comes up, reports, and refuses a symbol.
        Refused,
    }

    /// Venues and their charge, looked at every tenth of a second.
    struct World {
        charge: Charge,
        venues: Vec<Is>,
        seen: Vec<Option<Seen>>,
        now: Duration,
        /// Every action with its time in tenths of a second.
        log: Vec<(u128, Action)>,
    }

    impl World {
        fn new(venues: &[Is]) -> World {
            let charge = Charge::new(RULES, &vec![PAUSE; venues.len()]);
            let seen = vec![None; venues.len()];
            let mut world =
                World { charge, venues: venues.to_vec(), seen, now: Duration::ZERO, log: Vec::new() };
            let actions = world.charge.begin(world.now);
            world.carry_out(actions);
            world
        }

        fn carry_out(&mut self, actions: Vec<Action>) {
            for action in actions {
                let fresh = Seen {
                    phase: Phase::Connecting,
                    num_breaks: 0,
                    num_reports: 0,
                    newest: Nanos::MIN,
                    is_whole: true,
                    is_held_up: false,
                    num_symbols: 2,
                    refused: None,
                };
                match action {
                    Action::Start(at) => {
                        assert_eq!(self.seen[at].replace(fresh), None, "it runs already");
                    }
                    Action::Stop(at) => assert!(self.seen[at].take().is_some(), "it does not run"),
                    Action::HandOver { to, .. } => assert!(self.seen[to].is_some()),
                }
                self.log.push((self.now.as_millis() / 100, action));
            }
        }

        /// Lets time pass.
        fn pass(&mut self, span: Duration) -> &mut World {
            let end = self.now + span;
            while self.now < end {
                self.now += Duration::from_millis(100);
                for (seen, is) in self.seen.iter_mut().zip(&self.venues) {
                    let Some(seen) = seen else { continue };
                    let is_new_break = seen.phase != Phase::Down;
                    seen.is_whole = *is != Is::Lacking;
                    seen.is_held_up = *is == Is::HeldUp;
                    seen.num_symbols = if *is == Is::Refused { 1 } else { 2 };
                    match is {
                        Is::Well | Is::Lacking | Is::Refused => {
                            seen.num_reports += u64::from(seen.phase == Phase::Up);
                            seen.newest = Nanos(i64::try_from(self.now.as_nanos()).expect("short"));
                            (seen.phase, seen.refused) = (Phase::Up, None);
                        }
                        Is::Silent | Is::HeldUp => seen.phase = Phase::Up,
                        Is::Mute if seen.phase == Phase::Up => seen.phase = Phase::Down,
                        Is::Mute => {}
                        Is::Gone | Is::Refusing(_) => {
                            seen.num_breaks += u32::from(is_new_break);
                            seen.phase = Phase::Down;
                            seen.refused = match is {
                                Is::Refusing(then) => Some(*then),
                                _ => None,
                            };
                        }
                    }
                }
                let actions = self.charge.look(self.now, &self.seen);
                self.carry_out(actions);
                let running = self.seen.iter().filter(|seen| seen.is_some()).count();
                assert!(self.seen[self.charge.charged()].is_some() && running <= self.venues.len());
            }
            self
        }

        fn secs(&mut self, secs: u64) -> &mut World {
            self.pass(Duration::from_secs(secs))
        }

        fn set(&mut self, venue: usize, is: Is) -> &mut World {
            self.venues[venue] = is;
            self
        }

        /// Returns who took charge when, in tenths of a second since a moment.
        fn hand_overs(&self, since: Duration) -> Vec<(u128, usize, &'static str)> {
            let since = since.as_millis() / 100;
            let hand_over = |(at, action): &(u128, Action)| match action {
                Action::HandOver { to, why } if *at >= since => Some((at - since, *to, why.as_str())),
                _ => None,
            };
            self.log.iter().filter_map(hand_over).collect()
        }

        fn running(&self) -> Vec<usize> {
            (0..self.seen.len()).filter(|&at| self.seen[at].is_some()).collect()
        }
    }

    #[test]
    fn standbys_are_not_opened_while_the_first_venue_is_well() {
        let mut world = World::new(&[Is::Well, Is::Well]);
        world.secs(3_600);
        assert_eq!(world.log, [(0, Action::Start(0))]);
    }

    #[test]
    fn a_broken_connection_is_taken_over_within_a_second_and_taken_back_after_good_health() {
        let mut world = World::new(&[Is::Well, Is::Well]);
        let broken_at = world.secs(10).now;
        world.set(0, Is::Gone).secs(40);
        let taken = world.hand_overs(broken_at);
        assert_eq!(taken.len(), 1);
        assert!(taken[0].0 <= 3 && (taken[0].1, taken[0].2) == (1, "broken"), "{taken:?}");
        assert_eq!(world.running(), [1]);
        assert!(matches!(world.charge.breaker(0), Breaker::Open { .. }));
        let back_at = world.set(0, Is::Well).now;
        world.secs(120);
        let back = world.hand_overs(back_at);
        assert_eq!(back.len(), 1);
        let (after, to, why) = back[0];
        assert!((600..=920).contains(&after) && (to, why) == (0, "recovered"), "{back:?}");
        assert_eq!((world.running(), world.charge.breaker(0)), (vec![0], Breaker::Closed));
    }

    #[test]
    fn a_silent_venue_is_left_for_one_that_speaks() {
        let mut world = World::new(&[Is::Well, Is::Well]);
        let silent_at = world.secs(10).now;
        world.set(0, Is::Silent).secs(32);
        let taken = world.hand_overs(silent_at);
        assert_eq!(taken.len(), 1);
        assert!((300..=310).contains(&taken[0].0) && (taken[0].1, taken[0].2) == (1, "silent"), "{taken:?}");
        // It comes up and says nothing: that is no health.
        world.secs(600);
        assert_eq!(world.charge.charged(), 1);
    }

    #[test]
    fn where_all_are_silent_nothing_changes_and_standbys_are_seldom_asked() {
        let mut world = World::new(&[Is::Well, Is::Silent, Is::Silent]);
        world.secs(10).set(0, Is::Silent).secs(4 * 3_600);
        assert_eq!(world.charge.charged(), 0);
        let num_starts = world.log.iter().filter(|(_, action)| matches!(action, Action::Start(_))).count();
        assert!(num_starts < 100, "{num_starts}");
        let morning = world.set(1, Is::Well).now;
        world.secs(600);
        assert_eq!(world.hand_overs(morning).len(), 1, "one that speaks is found");
    }

    #[test]
    fn a_venue_that_flaps_changes_the_charge_once() {
        let mut world = World::new(&[Is::Well, Is::Well]);
        let begun = world.secs(10).now;
        for _ in 0..100 {
            world.set(0, Is::Gone).secs(2).set(0, Is::Well).secs(4);
        }
        assert_eq!(world.hand_overs(begun).len(), 1, "{:?}", world.hand_overs(begun));
        assert_eq!(world.charge.charged(), 1);
        let back_at = world.now;
        world.secs(100);
        assert_eq!(world.hand_overs(back_at).len(), 1);
        assert_eq!(world.charge.charged(), 0);
    }

    #[test]
    fn where_nobody_can_be_reached_the_first_that_comes_back_has_the_charge() {
        let mut world = World::new(&[Is::Well, Is::Well, Is::Well]);
        world.secs(10);
        for venue in 0..3 {
            world.set(venue, Is::Gone);
        }
        world.secs(60);
        assert_eq!((world.charge.charged(), world.running()), (0, vec![0, 1, 2]));
        let back_at = world.set(2, Is::Well).now;
        world.secs(1);
        assert_eq!(world.hand_overs(back_at).len(), 1);
        assert_eq!((world.charge.charged(), world.running()), (2, vec![2]));
        world.set(0, Is::Well).set(1, Is::Well).secs(100);
        assert_eq!((world.charge.charged(), world.running()), (0, vec![0]));
    }

    #[test]
    fn a_first_venue_that_comes_back_before_a_standby_is_there_stays() {
        let mut world = World::new(&[Is::Well, Is::Mute]);
        world.secs(10).set(0, Is::Gone).pass(Duration::from_millis(300)).set(0, Is::Well).secs(5);
        assert_eq!((world.charge.charged(), world.running()), (0, vec![0]));
        assert_eq!(world.hand_overs(Duration::ZERO), []);
    }

    #[test]
    fn a_standby_that_does_not_answer_holds_up_the_next_one_for_a_second() {
        let mut world = World::new(&[Is::Well, Is::Mute, Is::Well]);
        let broken_at = world.secs(10).now;
        world.set(0, Is::Gone).secs(5);
        let taken = world.hand_overs(broken_at);
        assert_eq!(taken.len(), 1);
        assert!(taken[0].0 <= 15 && taken[0].1 == 2, "{taken:?}");
    }

    #[test]
    fn a_refusal_is_left_for_good_or_for_as_long_as_the_venue_wants() {
        let mut world = World::new(&[Is::Refusing(Then::Stop), Is::Well]);
        world.secs(3_600);
        assert_eq!((world.charge.charged(), world.charge.breaker(0)), (1, Breaker::Refused));
        let taken = world.hand_overs(Duration::ZERO);
        assert!(taken.len() == 1 && taken[0].0 <= 3 && taken[0].2 == "refused", "at once: {taken:?}");
        let num_starts = world.log.iter().filter(|(_, action)| *action == Action::Start(0)).count();
        assert_eq!(num_starts, 1);

        let wait = Then::Wait(Duration::from_secs(60));
        let mut world = World::new(&[Is::Refusing(wait), Is::Well]);
        world.secs(1).set(0, Is::Well).secs(55);
        assert_eq!((world.charge.charged(), world.running()), (1, vec![1]), "not before a minute");
        world.secs(70);
        assert_eq!(world.charge.charged(), 0);
    }

    #[test]
    fn a_refusal_shows_where_nobody_takes_the_place() {
        let mut world = World::new(&[Is::Refusing(Then::Stop), Is::Gone]);
        world.secs(100);
        assert_eq!((world.charge.charged(), world.charge.breaker(0)), (0, Breaker::Refused));
        let mut alone = World::new(&[Is::Refusing(Then::Wait(Duration::from_secs(60)))]);
        alone.secs(50);
        assert!(matches!(alone.charge.breaker(0), Breaker::Open { .. }), "{:?}", alone.charge.breaker(0));
        alone.set(0, Is::Well).secs(1);
        assert_eq!(alone.charge.breaker(0), Breaker::Closed);
    }

    #[test]
    fn a_refusing_standby_is_passed_over() {
        let mut world = World::new(&[Is::Well, Is::Refusing(Then::Stop), Is::Well]);
        world.secs(10).set(0, Is::Gone).secs(5);
        assert_eq!((world.charge.charged(), world.charge.breaker(1)), (2, Breaker::Refused));
    }

    #[test]
    fn nobody_takes_charge_while_something_is_yet_to_be_fetched() {
        let mut world = World::new(&[Is::Gone, Is::Lacking]);
        world.secs(5).set(0, Is::Well).secs(200);
        assert_eq!(world.charge.charged(), 1, "what the standby fetches would be lost");
        world.set(1, Is::Well).set(0, Is::Lacking).secs(200);
        assert_eq!(world.charge.charged(), 1, "it lacks something itself");
        world.set(0, Is::Well).secs(2);
        assert_eq!(world.charge.charged(), 0);
    }

    #[test]
    fn a_full_log_is_no_silence_of_the_venue() {
        let mut world = World::new(&[Is::Well, Is::Well]);
        world.secs(10).set(0, Is::HeldUp).secs(300);
        assert_eq!((world.charge.charged(), world.log.len()), (0, 1));
        world.set(0, Is::Silent).secs(40);
        assert_eq!(world.charge.charged(), 1);
    }

    #[test]
    fn a_venue_that_brings_fewer_symbols_than_the_one_in_charge_is_not_well() {
        let mut world = World::new(&[Is::Gone, Is::Well]);
        world.secs(5).set(0, Is::Refused).secs(300);
        assert_eq!((world.charge.charged(), world.charge.breaker(0)), (1, Breaker::HalfOpen));
        world.set(1, Is::Refused).secs(1);
        assert_eq!(world.charge.charged(), 0, "the other one brings no more");
    }

    #[test]
    fn a_feed_of_one_venue_goes_on_with_it() {
        let mut world = World::new(&[Is::Well]);
        world.secs(10).set(0, Is::Gone).secs(100).set(0, Is::Silent).secs(100);
        assert_eq!(world.log, [(0, Action::Start(0))]);
    }
}
