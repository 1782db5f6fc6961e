//! The queue of one client's requests, carried out one after the other within a budget of work.
//!
//! A request begins when the answer to the one before was sent, and when the client's budget allows it; an unsubscription
//! also waits until the hub has handled the one before. Until then requests wait here as they were received. Promises: what a client costs others is bounded whatever it sends, and no message is
//! dropped silently. When more messages wait than a client may send per second, or more bytes than one message may
//! have, the next one is refused as `too_many_messages`.

use super::limits::Budget;
use super::request::ResolvedSubscription;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};
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
    /// Alive until the hub has handled what the session unsubscribed from last.
    release: Weak<()>,
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
            release: Weak::new(),
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

    /// Returns what goes to the hub with an unsubscription, and is dropped when the hub has handled it. Another
    /// unsubscription waits until then; a subscription does not, since its answer is waited for anyway.
    pub(super) fn release(&mut self) -> Arc<()> {
        let under_way = Arc::new(());
        self.release = Arc::downgrade(&under_way);
        under_way
    }

    /// True when a request waits for the budget or for the unsubscription before it: nothing tells the session when that
    /// is over.
    pub(super) fn is_held_back(&self) -> bool {
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

    /// Returns what can be done now.
    pub(super) fn step(&mut self, now: Instant) -> Step {
        if self.in_progress.is_some() {
            return Step::Rest;
        }
        if let Some(next) = self.next.take() {
            let may_begin = next.is_subscribe || self.release.strong_count() == 0;
            if may_begin && self.budget.take(now, next.work) {
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
        assert!(matches!(requests.step(now), Step::Rest) && !requests.is_held_back());
        requests.finish();
        assert!(matches!(requests.step(now), Step::Read(text) if text.len() == 100));
        assert!(requests.add(b"a", 2, 50) && requests.add(b"b", 2, 50) && !requests.add(b"c", 2, 50));
        assert!(matches!(requests.step(now), Step::Read(text) if text == b"a"));
        assert!(matches!(requests.step(now), Step::Read(text) if text == b"b"));
        assert!(!requests.is_held_back());
    }

    #[test]
    fn an_unsubscription_waits_for_the_one_before_and_a_subscription_does_not() {
        let now = Instant::now();
        let mut requests = Requests::new(now);
        let next = |is_subscribe| Next { is_subscribe, resolved: ResolvedSubscription::default(), work: 1 };
        let under_way = requests.release();
        requests.next = Some(next(false));
        assert!(matches!(requests.step(now), Step::Rest) && requests.is_held_back());
        drop(under_way);
        assert!(matches!(requests.step(now), Step::Begin(_)));
        let _under_way = requests.release();
        requests.next = Some(next(true));
        assert!(matches!(requests.step(now), Step::Begin(_)));
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
        assert!(matches!(requests.step(now), Step::Rest) && requests.is_held_back());
        let later = now + std::time::Duration::from_secs(2);
        assert!(matches!(requests.step(later), Step::Begin(next) if next.work == 2_000));
        assert!(matches!(requests.step(later), Step::Read(_)));
    }
}
