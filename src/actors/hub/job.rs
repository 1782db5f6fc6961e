//! Requests of clients that are being answered: their order, and their share of the hub's time.
//!
//! An answer is made in parts, symbol by symbol, and the next part once the client has taken the one before. So nothing
//! is encoded for a client that does not read, no client waits for the large answer of another, and no answer takes
//! memory that grows with the request. Promises: answers take a bounded share of the hub's time, however many there
//! are; every request that is not abandoned is answered in the end. On failure: a part that panics ends its answer.

use super::last_values::Settled;
use super::messages::{SessionId, SubscribeTopics, WorkerId};
use super::topic::{Channel, Topic};
use crate::models::symbol::SymbolId;
use hashbrown::{HashMap, HashSet};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What was read from the history, by symbol and window: up to which number, and the values where they are complete.
pub(super) type Fetched = HashMap<(SymbolId, u8), (u64, Option<Vec<Settled>>)>;

/// The pause after a part, in multiples of the time it took: parts get a fifth of the hub's time.
const REST: u32 = 4;

/// The unused share that parts may save up, so that a single request at a quiet time is answered at once.
const SAVED_MAX: Duration = Duration::from_millis(5);

/// One request that is being answered.
pub(super) struct Job {
    pub request: SubscribeTopics,
    /// Topics of single symbols, sorted by symbol.
    explicit: Vec<Topic>,
    num_done: usize,
    /// Topics of all symbols that have values to show.
    pub of_all: Vec<Topic>,
    /// The next symbol of those topics.
    next: SymbolId,
    /// The topics that are resumed, by symbol, with the number that the client knows.
    pub resumed: HashMap<SymbolId, Vec<(Topic, u64)>>,
    pub fetched: Fetched,
    /// True once it was checked whether the history must be read.
    pub is_planned: bool,
    pub is_first: bool,
}

impl Job {
    pub(super) fn new(mut request: SubscribeTopics) -> Job {
        let has_values = |topic: &Topic| !matches!(topic.channel, Channel::Metrics | Channel::System);
        let is_shown = |topic: &&Topic| topic.is_of_all() && has_values(topic);
        let of_all: Vec<Topic> = request.topics.iter().filter(is_shown).copied().collect();
        let all: HashSet<Topic> = of_all.iter().copied().collect();
        let is_explicit = |topic: &&Topic| !topic.is_of_all() && !all.contains(&topic.of_all());
        let mut explicit: Vec<Topic> = request.topics.iter().filter(is_explicit).copied().collect();
        explicit.sort_by_key(|topic| topic.symbol);
        let mut resumed: HashMap<SymbolId, Vec<(Topic, u64)>> = HashMap::new();
        for (topic, known) in
            request.since.as_mut().map(|since| std::mem::take(&mut since.seqs)).unwrap_or_default()
        {
            resumed.entry(topic.symbol).or_default().push((topic, known));
        }
        for topics in resumed.values_mut() {
            topics.sort_unstable_by_key(|(topic, _)| (topic.window, topic.channel as u8));
        }
        // The topics left are those that become live with the first part.
        request.topics.retain(|topic| topic.is_of_all());
        Job {
            request,
            explicit,
            num_done: 0,
            of_all,
            next: SymbolId(0),
            resumed,
            fetched: Fetched::new(),
            is_planned: false,
            is_first: true,
        }
    }

    pub(super) const fn key(&self) -> Key {
        (self.request.worker, self.request.session)
    }

    /// Returns the next symbol with its topics; `num_symbols` is how many symbols there are. `None` at the end.
    pub(super) fn take_symbol(&mut self, num_symbols: usize) -> Option<(SymbolId, Vec<Topic>)> {
        let of_all = (!self.of_all.is_empty() && self.next.index() < num_symbols).then_some(self.next);
        let own = self.explicit.get(self.num_done).map(|topic| topic.symbol);
        let symbol = own.into_iter().chain(of_all).min()?;
        let mut topics: Vec<Topic> = Vec::new();
        if of_all == Some(symbol) {
            topics.extend(self.of_all.iter().map(|topic| Topic { symbol, ..*topic }));
            self.next = SymbolId(symbol.0 + 1);
        }
        while let Some(topic) = self.explicit.get(self.num_done).filter(|topic| topic.symbol == symbol) {
            topics.push(*topic);
            self.num_done += 1;
        }
        Some((symbol, topics))
    }

    /// Returns the next symbols whose feed is subscribed.
    pub(super) fn next_feeds(&self, count: usize, num_symbols: usize) -> Vec<SymbolId> {
        let is_feed = |topic: &&Topic| topic.channel == Channel::Feed;
        let own = self.explicit[self.num_done..].iter().take(count).filter(is_feed).map(|topic| topic.symbol);
        let mut symbols: Vec<SymbolId> = own.collect();
        if self.of_all.iter().any(|topic| is_feed(&topic)) {
            let end = num_symbols.min(self.next.index().saturating_add(count)) as u32;
            symbols.extend((self.next.0..end).map(SymbolId));
        }
        symbols
    }

    /// True when there is another symbol.
    pub(super) fn has_more(&self, num_symbols: usize) -> bool {
        self.num_done < self.explicit.len() || (!self.of_all.is_empty() && self.next.index() < num_symbols)
    }

    /// Returns the first symbol that topics of all symbols have not shown yet.
    pub(super) const fn next_symbol(&self) -> SymbolId {
        self.next
    }

    /// Returns what the next part depends on besides the snapshots; `None` where it depends on the client.
    pub(super) fn part_key(&self) -> Option<PartKey> {
        let is_plain = self.explicit.is_empty() && self.request.since.is_none();
        is_plain.then(|| PartKey {
            of_all: self.of_all.clone(),
            topics: self.request.topics.clone(),
            next: self.next,
            is_first: self.is_first,
            is_broadcast: self.request.is_broadcast,
        })
    }

    /// Skips a part that was made for another client and is reused.
    pub(super) fn advance_to(&mut self, more_from: Option<SymbolId>) {
        self.next = more_from.unwrap_or(SymbolId::NONE);
        self.is_first = false;
        self.request.topics.clear();
    }
}

/// Two requests with equal keys get the same part.
#[derive(PartialEq, Eq)]
pub(super) struct PartKey {
    of_all: Vec<Topic>,
    topics: Vec<Topic>,
    next: SymbolId,
    is_first: bool,
    is_broadcast: bool,
}

/// Identifies a session of the process.
pub(super) type Key = (WorkerId, SessionId);

/// All requests that are being answered, at most one per session.
#[derive(Default)]
pub(super) struct Jobs {
    by_session: HashMap<Key, Job>,
    /// Requests that wait for nothing but their turn. May name some that are gone.
    ready: VecDeque<(Key, u64)>,
}

impl Jobs {
    /// Adds a request, which replaces an unfinished one of the same session.
    pub(super) fn add(&mut self, job: Job) {
        self.ready.push_back((job.key(), job.request.request));
        self.by_session.insert(job.key(), job);
    }

    /// Sets aside a request that waits for its client, or for the history.
    pub(super) fn put_aside(&mut self, job: Job) {
        self.by_session.entry(job.key()).or_insert(job);
    }

    /// Queues a request that was set aside.
    pub(super) fn resume(&mut self, key: Key, request: u64) -> Option<&mut Job> {
        let job = self.by_session.get_mut(&key).filter(|job| job.request.request == request)?;
        self.ready.push_back((key, request));
        Some(job)
    }

    /// Takes the next request out. Requests whose client has left are dropped.
    pub(super) fn take_next(&mut self) -> Option<Job> {
        while let Some((key, request)) = self.ready.pop_front() {
            if self.by_session.get(&key).is_none_or(|job| job.request.request != request) {
                continue;
            }
            let job = self.by_session.remove(&key).filter(|job| !job.request.presence.has_left());
            if job.is_some() {
                return job;
            }
        }
        None
    }

    /// True when no request waits for its turn.
    pub(super) fn is_idle(&self) -> bool {
        self.ready.is_empty()
    }

    /// Drops the request of a session, if there is one.
    pub(super) fn forget(&mut self, key: Key) {
        self.by_session.remove(&key);
    }
}

/// The share of the hub's time that answers get.
pub(super) struct Share {
    due: Instant,
}

impl Share {
    pub(super) const fn new(now: Instant) -> Share {
        Share { due: now }
    }

    /// Returns how long the next part must wait; zero when it is due.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        self.due.saturating_duration_since(now)
    }

    /// Records the time that a part took.
    pub(super) fn spent(&mut self, now: Instant, took: Duration) {
        let saved_from = now.checked_sub(SAVED_MAX).unwrap_or(now);
        self.due = self.due.max(saved_from) + took * (REST + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::hub::messages::Presence;
    use std::sync::Arc;

    const MS: Duration = Duration::from_millis(1);

    fn request(session: SessionId, request: u64, topics: Vec<Topic>) -> SubscribeTopics {
        let (presence, _) = Presence::enter(&Arc::default());
        SubscribeTopics {
            worker: 0,
            session,
            request,
            presence,
            topics,
            added: Vec::new(),
            since: None,
            is_broadcast: false,
        }
    }

    fn ticks(symbol: u32) -> Topic {
        Topic::plain(Channel::Ticks, SymbolId(symbol))
    }

    #[test]
    fn each_symbol_comes_once_with_all_that_is_asked_of_it_in_order() {
        let of_all = |channel| Topic::plain(channel, SymbolId::NONE);
        let bars = |symbol| Topic { channel: Channel::Bars, symbol: SymbolId(symbol), window: 1 };
        let asked = vec![bars(7), of_all(Channel::Ticks), ticks(1), bars(1), of_all(Channel::Metrics)];
        let mut job = Job::new(request(1, 1, asked));
        let mut seen = Vec::new();
        while let Some((symbol, topics)) = job.take_symbol(3) {
            seen.push((symbol.0, topics));
            assert_eq!(job.has_more(3), seen.len() < 4);
        }
        let expected =
            vec![(0, vec![ticks(0)]), (1, vec![ticks(1), bars(1)]), (2, vec![ticks(2)]), (7, vec![bars(7)])];
        assert_eq!(seen, expected);
        assert_eq!(job.request.topics, [of_all(Channel::Ticks), of_all(Channel::Metrics)]);
    }

    #[test]
    fn those_that_left_are_not_answered_and_a_newer_request_takes_the_place_of_an_older_one() {
        let mut jobs = Jobs::default();
        let gone = request(1, 1, vec![ticks(0)]);
        let presence = Arc::clone(&gone.presence);
        jobs.add(Job::new(gone));
        jobs.add(Job::new(request(2, 1, vec![ticks(0)])));
        jobs.add(Job::new(request(2, 2, vec![ticks(1)])));
        presence.leave();
        let next = jobs.take_next().expect("one is left");
        assert_eq!((next.request.session, next.request.request), (2, 2));
        assert!(jobs.take_next().is_none());
        jobs.put_aside(next);
        assert!(jobs.resume((0, 2), 1).is_none(), "of a request that gave way");
        assert!(jobs.resume((0, 2), 2).is_some());
        assert_eq!(jobs.take_next().map(|job| job.request.request), Some(2));
    }

    #[test]
    fn answers_get_a_fifth_of_the_time_and_what_little_they_saved() {
        let start = Instant::now();
        let mut share = Share::new(start);
        let (mut now, mut spent) = (start + Duration::from_secs(10), Duration::ZERO);
        let begun = now;
        while now < begun + Duration::from_secs(1) {
            now += share.wait(now);
            share.spent(now, MS / 5);
            now += MS / 5;
            spent += MS / 5;
        }
        assert!((200 * MS..210 * MS).contains(&spent), "{spent:?}");
        assert_eq!(share.wait(now + MS), Duration::ZERO);
    }
}
