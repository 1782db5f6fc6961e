//! What one client asks for: one thing after the other, within a budget of work.
//!
//! A request is begun when the one before was answered and taken, and when the client's budget allows it; until then it
//! waits here as it was sent. Pings are answered at once. When more wait than a client may send in a second, or more
//! bytes than one message may have, the next one is refused as `too_many_messages`. So what a client costs others is
//! bounded whatever it sends, and what it sends is never lost without a word.

use super::ErrorCode;
use super::limits::Budget;
use super::outlet::Outlet;
use super::request::{self, Refusal, Request, Understood, Wish, too_many_topics};
use super::worker::{Subscribed, Worker};
use crate::actors::hub::frame::{self, ErrorFrame, PongFrame, SubscriptionFrame};
use crate::actors::hub::topic::{Channel, Topic};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;

/// Messages up to this long are read at once, to see whether they are pings; longer ones when it is their turn.
const SHORT_BYTES: usize = 256;

/// Bytes of a message that are as much work as one member of a snapshot.
const BYTES_PER_WORK: usize = 16;

/// Reading from the history what was missed of one topic is as much work as so many members.
const WORK_PER_RESUMED: usize = 50;

/// A request that was read and can be begun.
struct Next {
    is_subscribe: bool,
    understood: Understood,
    work: usize,
}

/// The requests of one session.
pub(super) struct Requests {
    /// As they were sent.
    waiting: VecDeque<Vec<u8>>,
    num_bytes: usize,
    next: Option<Next>,
    /// The one that is being answered.
    in_progress: Option<u64>,
    num_begun: u64,
    budget: Budget,
}

enum Step {
    /// Nothing can be done now.
    Rest,
    Read(Vec<u8>),
    Begin(Next),
}

impl Requests {
    pub(super) fn new(now: Instant) -> Requests {
        Requests {
            waiting: VecDeque::new(),
            num_bytes: 0,
            next: None,
            in_progress: None,
            num_begun: 0,
            budget: Budget::new(now),
        }
    }

    /// Returns a number for another request to the hub.
    pub(super) const fn begin(&mut self) -> u64 {
        self.num_begun += 1;
        self.num_begun
    }

    /// True once the hub was asked for something.
    pub(super) const fn has_begun(&self) -> bool {
        self.num_begun > 0
    }

    /// Has the others wait for this one.
    pub(super) const fn wait_for(&mut self, request: u64) {
        self.in_progress = Some(request);
    }

    /// True when this one is being answered.
    pub(super) fn is_in_progress(&self, request: u64) -> bool {
        self.in_progress == Some(request)
    }

    /// Notes that the one in progress was answered.
    pub(super) const fn finish(&mut self) {
        self.in_progress = None;
    }

    /// True when one waits for nothing but the budget.
    pub(super) fn waits_for_budget(&self) -> bool {
        self.in_progress.is_none() && (self.next.is_some() || !self.waiting.is_empty())
    }

    fn add(&mut self, text: &[u8], num_max: usize, bytes_max: usize) -> bool {
        let num_bytes = self.num_bytes + text.len();
        if !self.waiting.is_empty() && (self.waiting.len() >= num_max || num_bytes > bytes_max) {
            return false;
        }
        self.num_bytes = num_bytes;
        self.waiting.push_back(text.to_vec());
        true
    }

    fn step(&mut self, now: Instant) -> Step {
        if self.in_progress.is_some() {
            return Step::Rest;
        }
        if let Some(next) = self.next.take() {
            if self.budget.take(now, next.work) {
                return Step::Begin(next);
            }
            self.next = Some(next);
            return Step::Rest;
        }
        let Some(text) = self.waiting.pop_front() else { return Step::Rest };
        if self.budget.take(now, text.len().div_ceil(BYTES_PER_WORK)) {
            self.num_bytes -= text.len();
            return Step::Read(text);
        }
        self.waiting.push_front(text);
        Step::Rest
    }
}

impl Worker {
    /// Takes what a client said.
    pub(super) fn hear(&self, outlet: &Outlet, text: &[u8]) {
        if text.len() <= SHORT_BYTES
            && let Ok(Request::Ping) = request::parse(text)
        {
            return outlet.push(frame::of(&PongFrame::new(self.state.now())));
        }
        let limits = &self.live.limits;
        let bytes_max = usize::try_from(limits.max_message_bytes.0).unwrap_or(usize::MAX);
        let is_taken = self.with_requests(outlet.id, |requests| {
            requests.add(text, limits.max_messages_per_second as usize, bytes_max)
        });
        match is_taken {
            Some(true) => self.proceed(outlet.id),
            Some(false) => {
                let detail = "too many requests wait for an answer: this one is ignored";
                refuse(outlet, &Refusal { code: ErrorCode::TooManyMessages, detail: detail.to_owned() });
            }
            None => {}
        }
    }

    /// Does what can be done of what a session asked for.
    pub(super) fn proceed(&self, id: u64) {
        while let Some((outlet, step)) = self.next_step(id) {
            let done = match step {
                Step::Rest => return,
                Step::Read(text) => self.read(id, &outlet, &text),
                Step::Begin(next) => self.begin(&outlet, next),
            };
            if let Err(refusal) = done {
                refuse(&outlet, &refusal);
            }
        }
    }

    fn next_step(&self, id: u64) -> Option<(Rc<Outlet>, Step)> {
        let step = self.with_requests(id, |requests| {
            let step = requests.step(Instant::now());
            (step, requests.waits_for_budget())
        });
        let (step, waits) = step?;
        if matches!(step, Step::Rest) && waits {
            self.has_waiting.set(true);
        }
        Some((self.outlet(id)?, step))
    }

    fn read(&self, id: u64, outlet: &Outlet, text: &[u8]) -> Result<(), Refusal> {
        let (is_subscribe, wish) = match request::parse(text)? {
            Request::Ping => {
                outlet.push(frame::of(&PongFrame::new(self.state.now())));
                return Ok(());
            }
            Request::Subscribe(wish) => (true, wish),
            Request::Unsubscribe(wish) => (false, wish),
        };
        let next = self.understand(is_subscribe, &wish)?;
        self.with_requests(id, |requests| requests.next = Some(next));
        Ok(())
    }

    fn understand(&self, is_subscribe: bool, wish: &Wish) -> Result<Next, Refusal> {
        let understood = wish.understand(&self.state, self.live.limits.max_subscriptions)?;
        let num_symbols = self.state.symbols.len();
        let of_topic = |topic: &Topic| match topic.channel {
            Channel::Feed | Channel::Previews | Channel::Metrics => 0,
            _ if !is_subscribe => 0,
            _ if topic.is_of_all() => num_symbols,
            _ => 1,
        };
        let num_resumed = understood.since.as_ref().map_or(0, |since| since.seqs.len());
        let num_members: usize = understood.topics.iter().map(of_topic).sum();
        let work = 1 + num_members + WORK_PER_RESUMED * num_resumed;
        Ok(Next { is_subscribe, understood, work })
    }

    fn begin(&self, outlet: &Outlet, next: Next) -> Result<(), Refusal> {
        let Next { is_subscribe, understood, .. } = next;
        let Understood { topics, symbols, unknown, since, interval } = understood;
        let answer = |action| SubscriptionFrame {
            r#type: "subscription",
            status: "success",
            symbols: &symbols,
            unknown: &unknown,
            epoch: &self.live.epoch,
            run: &self.live.run,
            action,
        };
        if !is_subscribe {
            self.unsubscribe(outlet.id, topics);
            outlet.push(frame::of(&answer("unsubscribe")));
            return Ok(());
        }
        if let Some(interval) = interval {
            self.set_interval(outlet, interval);
        }
        // The hub's answer comes later, so this stands before it.
        match self.subscribe(outlet.id, topics, since) {
            Subscribed::Asked => outlet.push(frame::of(&answer("subscribe"))),
            Subscribed::TooMany => return Err(too_many_topics(self.live.limits.max_subscriptions)),
        }
        Ok(())
    }
}

/// Tells a client why something is not done.
pub(super) fn refuse(outlet: &Outlet, refusal: &Refusal) {
    outlet.push(frame::of(&ErrorFrame::new(refusal.code.as_str(), &refusal.detail)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_wait_in_order_and_no_more_than_may() {
        let now = Instant::now();
        let mut requests = Requests::new(now);
        let first = requests.begin();
        requests.wait_for(first);
        assert!(requests.add(&[b'x'; 100], 2, 50), "one waits however long it is");
        assert!(!requests.add(b"y", 2, 50), "too many bytes wait");
        assert!(matches!(requests.step(now), Step::Rest) && !requests.waits_for_budget());
        requests.finish();
        assert!(matches!(requests.step(now), Step::Read(text) if text.len() == 100));
        assert!(requests.add(b"a", 2, 50) && requests.add(b"b", 2, 50) && !requests.add(b"c", 2, 50));
        assert!(matches!(requests.step(now), Step::Read(text) if text == b"a"));
        assert!(matches!(requests.step(now), Step::Read(text) if text == b"b"));
        assert!(!requests.waits_for_budget());
    }

    #[test]
    fn what_the_budget_does_not_allow_waits_and_what_is_behind_it_too() {
        let now = Instant::now();
        let mut requests = Requests::new(now);
        let next = |work| Next { is_subscribe: true, understood: Understood::default(), work };
        requests.next = Some(next(20_000));
        assert!(matches!(requests.step(now), Step::Begin(_)));
        requests.next = Some(next(2_000));
        assert!(requests.add(b"a", 2, 50));
        assert!(matches!(requests.step(now), Step::Rest) && requests.waits_for_budget());
        let later = now + std::time::Duration::from_secs(2);
        assert!(matches!(requests.step(later), Step::Begin(next) if next.work == 2_000));
        assert!(matches!(requests.step(later), Step::Read(_)));
    }
}
