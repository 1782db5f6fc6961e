//! Carries out what a session asked for: reads its messages in turn, and passes subscriptions to the hub.
//!
//! Promises: a ping is answered at once; everything else in order, each request after the one before was answered. On
//! failure the client gets an `error` frame with the reason, and what it followed before stays.

use super::reasons::ErrorCode;
use super::request::{self, Refusal, Request, ResolvedSubscription, SubscribeRequest, too_many_topics};
use super::requests::{Next, Step};
use super::send_queue::SendQueue;
use super::worker::{Subscribed, Worker};
use crate::actors::hub::frame::{self, ErrorFrame, PongFrame, SubscriptionFrame};
use crate::actors::hub::topic::{Channel, Topic};
use std::rc::Rc;
use std::time::Instant;

/// Messages up to this length are parsed at once, in case they are pings; longer ones in their turn.
const SHORT_BYTES: usize = 256;

/// Work of reading from the history what was missed of one topic, in members of a snapshot.
const WORK_PER_RESUMED: usize = 50;

impl Worker {
    /// Receives a message: answers a ping, queues anything else.
    pub(super) fn receive(&self, queue: &SendQueue, text: &[u8]) {
        if text.len() <= SHORT_BYTES
            && let Ok(Request::Ping) = request::parse(text)
        {
            return queue.push(frame::of(&PongFrame::new(self.state.now())));
        }
        let limits = &self.live.limits;
        let bytes_max = usize::try_from(limits.max_message_bytes.0).unwrap_or(usize::MAX);
        let is_taken = self.with_requests(queue.id, |requests| {
            requests.add(text, limits.max_messages_per_second as usize, bytes_max)
        });
        match is_taken {
            Some(true) => self.proceed(queue.id),
            Some(false) => {
                let detail = "too many requests wait for an answer: this one is ignored";
                refuse(queue, &Refusal { code: ErrorCode::TooManyMessages, detail: detail.to_owned() });
            }
            None => {}
        }
    }

    /// Carries out queued requests as far as the budget allows.
    pub(super) fn proceed(&self, id: u64) {
        while let Some((queue, step)) = self.next_step(id) {
            let done = match step {
                Step::Rest => return,
                Step::Read(text) => self.read(id, &queue, &text),
                Step::Begin(next) => self.begin(&queue, next),
            };
            if let Err(refusal) = done {
                refuse(&queue, &refusal);
            }
        }
    }

    fn next_step(&self, id: u64) -> Option<(Rc<SendQueue>, Step)> {
        let step = self.with_requests(id, |requests| {
            let step = requests.step(Instant::now());
            (step, requests.is_held_back())
        });
        let (step, waits) = step?;
        if matches!(step, Step::Rest) && waits {
            self.has_waiting.set(true);
        }
        Some((self.queue(id)?, step))
    }

    fn read(&self, id: u64, queue: &SendQueue, text: &[u8]) -> Result<(), Refusal> {
        let (is_subscribe, request) = match request::parse(text)? {
            Request::Ping => {
                queue.push(frame::of(&PongFrame::new(self.state.now())));
                return Ok(());
            }
            Request::Subscribe(request) => (true, request),
            Request::Unsubscribe(request) => (false, request),
        };
        let next = self.price(is_subscribe, &request)?;
        self.with_requests(id, |requests| requests.next = Some(next));
        Ok(())
    }

    fn price(&self, is_subscribe: bool, request: &SubscribeRequest) -> Result<Next, Refusal> {
        let resolved = request.resolve(&self.state, self.live.limits.max_subscriptions)?;
        let num_symbols = self.state.symbols.len();
        let of_topic = |topic: &Topic| match topic.channel {
            Channel::Feed | Channel::Previews | Channel::Anomalies | Channel::Metrics | Channel::System => 0,
            _ if !is_subscribe => 0,
            _ if topic.is_of_all() => num_symbols,
            _ => 1,
        };
        let num_resumed = resolved.since.as_ref().map_or(0, |since| since.seqs.len());
        let num_members: usize = resolved.topics.iter().map(of_topic).sum();
        let work = 1 + num_members + WORK_PER_RESUMED * num_resumed;
        Ok(Next { is_subscribe, resolved, work })
    }

    fn begin(&self, queue: &SendQueue, next: Next) -> Result<(), Refusal> {
        let Next { is_subscribe, resolved, .. } = next;
        let ResolvedSubscription { topics, symbols, unknown, since, interval } = resolved;
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
            self.unsubscribe(queue.id, topics);
            queue.push(frame::of(&answer("unsubscribe")));
            return Ok(());
        }
        if let Some(interval) = interval {
            self.set_interval(queue, interval);
        }
        // The hub's answer comes later, so this frame precedes it.
        match self.subscribe(queue.id, topics, since) {
            Subscribed::Asked => queue.push(frame::of(&answer("subscribe"))),
            Subscribed::TooMany => return Err(too_many_topics(self.live.limits.max_subscriptions)),
        }
        Ok(())
    }
}

/// Tells a client why its message has no effect.
pub(super) fn refuse(queue: &SendQueue, refusal: &Refusal) {
    queue.push(frame::of(&ErrorFrame::new(refusal.code.as_str(), &refusal.detail)));
}
