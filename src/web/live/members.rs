//! The sessions of one thread and the topics that they follow: how answers and flushes get into their queues.
//!
//! Promises: a topic's frames begin right after the answer that showed it, and no frame comes twice. On failure: what
//! comes for a session that has left is dropped.

use super::requests::Requests;
use super::send_queue::{SendQueue, SharedFrame};
use crate::actors::hub::messages::{Answer, Flush, Presence};
use crate::actors::hub::topic::{Channel, Topic};
use crate::models::symbol::SymbolId;
use hashbrown::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

/// Sessions woken between two clock readings: the latency of frames is measured for this many together.
const TIMED_TOGETHER: usize = 50;

/// One session of the thread.
pub(super) struct Member {
    pub queue: Rc<SendQueue>,
    pub presence: Arc<Presence>,
    /// The topics it asked for, answered or not.
    pub wanted: HashSet<Topic>,
    pub requests: Requests,
    /// The request made on behalf of a client that has not subscribed yet.
    pub broadcast: Option<u64>,
}

impl Member {
    fn waits_for(&self, request: u64) -> bool {
        self.requests.is_in_progress(request) || self.broadcast == Some(request)
    }
}

/// All sessions of the thread.
#[derive(Default)]
pub(super) struct Members {
    pub by_id: HashMap<u64, Member>,
    /// The sessions that follow each topic.
    followers: HashMap<Topic, Vec<Rc<SendQueue>>>,
    pub next_id: u64,
}

impl Members {
    fn follow(&mut self, topic: Topic, queue: &Rc<SendQueue>) {
        let followers = self.followers.entry(topic).or_default();
        if !followers.iter().any(|known| known.id == queue.id) {
            followers.push(Rc::clone(queue));
        }
    }

    /// Takes topics off a session.
    pub(super) fn unfollow(&mut self, id: u64, topics: &[Topic]) {
        for topic in topics {
            if let Some(followers) = self.followers.get_mut(topic) {
                followers.retain(|queue| queue.id != id);
                if followers.is_empty() {
                    self.followers.remove(topic);
                }
            }
        }
    }

    /// Queues a part of an answer, and makes its topics live from there on. A topic of one symbol is left out where the
    /// session follows all symbols, so that no frame comes twice.
    pub(super) fn answer(&mut self, answer: Answer) {
        let Answer { session, request, frames, topics, more_from } = answer;
        let Some(member) = self.by_id.get_mut(&session).filter(|member| member.waits_for(request)) else {
            return;
        };
        let queue = Rc::clone(&member.queue);
        queue.push(frames);
        let topics: Vec<Topic> = topics.into_iter().filter(|topic| member.wanted.contains(topic)).collect();
        let follows = |topic: &Topic| {
            self.followers.get(topic).is_some_and(|all| all.iter().any(|it| it.id == session))
        };
        if !queue.is_catching_up() {
            // Topics that it follows already stay live meanwhile.
            let of_all = topics.iter().filter(|topic| topic.is_of_all() && !follows(topic));
            let of_all: HashSet<Topic> = of_all.copied().collect();
            let parts =
                member.wanted.iter().filter(|topic| !topic.is_of_all() && of_all.contains(&topic.of_all()));
            queue.begin_catch_up(request, of_all.iter().copied().collect(), parts.copied().collect());
        }
        let is_part_of_all = |topic: &Topic| !topic.is_of_all() && member.wanted.contains(&topic.of_all());
        let begun: Vec<Topic> = topics.into_iter().filter(|topic| !is_part_of_all(topic)).collect();
        begun.into_iter().for_each(|topic| self.follow(topic, &queue));
        match more_from {
            Some(symbol) => queue.catch_up_to(symbol),
            None => {
                self.unfollow(session, &queue.end_catch_up());
                if let Some(member) =
                    self.by_id.get_mut(&session).filter(|it| it.requests.is_in_progress(request))
                {
                    member.requests.finish();
                }
            }
        }
        queue.wake();
    }

    fn followers(&self, topic: Topic) -> impl Iterator<Item = &Rc<SendQueue>> {
        let all = if topic.is_of_all() { None } else { self.followers.get(&topic.of_all()) };
        let all = all.into_iter().flatten().filter(move |queue| queue.takes(topic));
        self.followers.get(&topic).into_iter().flatten().chain(all)
    }

    /// Queues each session's slice and wakes its connection; calls `woken` after every few of them, and after the last.
    pub(super) fn deliver(&self, flush: &Flush, woken: impl Fn()) {
        for (topic, frame) in &flush.frames {
            let is_state = matches!(
                topic.channel,
                Channel::Forming
                    | Channel::Previews
                    | Channel::Feed
                    | Channel::Metrics
                    | Channel::Ledger
                    | Channel::System
            );
            let shared = SharedFrame::new(frame.clone(), frame.len());
            for queue in self.followers(*topic) {
                if is_state {
                    queue.push_newest(*topic, &shared, &shared, 1);
                } else {
                    queue.push(frame.clone());
                }
            }
        }
        self.deliver_ticks(flush);
        let of_ticks = flush.tick_parts.iter().map(|part| Topic::plain(Channel::Ticks, part.symbol));
        let topics = flush.frames.iter().map(|(topic, _)| *topic).chain(of_ticks);
        let mut num_woken = 0_usize;
        for queue in topics.flat_map(|topic| self.followers(topic)) {
            if queue.wake() {
                num_woken += 1;
                if num_woken.is_multiple_of(TIMED_TOGETHER) {
                    woken();
                }
            }
        }
        if !num_woken.is_multiple_of(TIMED_TOGETHER) {
            woken();
        }
    }

    fn deliver_ticks(&self, flush: &Flush) {
        let buffer_len = flush.ticks.len();
        let all = self.followers.get(&Topic::plain(Channel::Ticks, SymbolId::NONE));
        // Sessions that follow all symbols and keep up share the whole buffer.
        let (by_symbol, keeping_up): (Vec<&Rc<SendQueue>>, Vec<&Rc<SendQueue>>) =
            all.into_iter().flatten().partition(|queue| queue.takes_newest() || queue.is_catching_up());
        if buffer_len > 0 {
            keeping_up.iter().for_each(|queue| queue.push(flush.ticks.clone()));
        }
        for part in &flush.tick_parts {
            let topic = Topic::plain(Channel::Ticks, part.symbol);
            let own = self.followers.get(&topic);
            if own.is_none() && by_symbol.is_empty() {
                continue;
            }
            let shared = SharedFrame::new(flush.ticks.slice(part.range.clone()), buffer_len);
            let last = SharedFrame::new(flush.ticks.slice(part.last..part.range.end), buffer_len);
            let of_all = by_symbol.iter().copied().filter(|queue| queue.takes(topic));
            for queue in own.into_iter().flatten().chain(of_all) {
                queue.push_newest(topic, &shared, &last, part.count);
            }
        }
    }
}
