//! The queue of one client's requests, carried out one after the other within a budget of work.
//!
//! A request begins when the answer to the one before was sent, and when the client's budget allows it; until then it
//! waits here as it was received. Promises: what a client costs others is bounded whatever it sends, and no message is
//! dropped silently. When more messages wait than a client may send per second, or more bytes than one message may
//! have, the next one is refused as `too_many_messages`.

use super::limits::Budget;
use super::request::ResolvedSubscription;
use std::collections::VecDeque;
use std::time::Instant;

/// Bytes of a message that cost as much work as one member of a snapshot.
const BYTES_PER_WORK: usize = 16;

/// A request that was parsed and can begin.
pub(super) struct Next {
    pub is_subscribe: bool,
    pub resolved: ResolvedSubscription,
    /// Its price, in members of a snapshot.
    pub work: usize,
}

/// The requests of one session.
pub(super) struct Requests {
    /// Messages as they were received.
    waiting: VecDeque<Vec<u8>>,
    num_bytes: usize,
    pub(super) next: Option<Next>,
    /// The request that is being answered.
    in_progress: Option<u64>,
    num_begun: u64,
    budget: Budget,
}

/// What a session does next.
pub(super) enum Step {
    /// Nothing can be done now.
    Rest,
    /// Parse this message.
    Read(Vec<u8>),
    /// Carry out this request.
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

    /// Makes all others wait for this request.
    pub(super) const fn wait_for(&mut self, request: u64) {
        self.in_progress = Some(request);
    }

    /// True when this request is being answered.
    pub(super) fn is_in_progress(&self, request: u64) -> bool {
        self.in_progress == Some(request)
    }

    /// Records that the request in progress was answered.
    pub(super) const fn finish(&mut self) {
        self.in_progress = None;
    }

    /// True when a request waits for nothing but the budget.
    pub(super) fn waits_for_budget(&self) -> bool {
        self.in_progress.is_none() && (self.next.is_some() || !self.waiting.is_empty())
    }

    /// Queues a message; false when too many or too long ones wait already.
    pub(super) fn add(&mut self, text: &[u8], num_max: usize, bytes_max: usize) -> bool {
        let num_bytes = self.num_bytes + text.len();
        if !self.waiting.is_empty() && (self.waiting.len() >= num_max || num_bytes > bytes_max) {
            return false;
        }
        self.num_bytes = num_bytes;
        self.waiting.push_back(text.to_vec());
        true
    }

    /// Returns what can be done now, as far as the budget allows.
    pub(super) fn step(&mut self, now: Instant) -> Step {
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
        let next = |work| Next { is_subscribe: true, resolved: ResolvedSubscription::default(), work };
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
