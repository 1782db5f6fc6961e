//! One thread that runs sessions: its end of the messages with the hub, and its timers.
//!
//! A flush is one message per thread, whatever the number of its sessions; a session that follows one symbol gets a
//! slice of it, a session that follows all symbols gets it whole. Promises: nothing here waits for a client. On
//! failure: a full mailbox makes the hub gather for longer, and a session that reads nothing is closed.

use super::Live;
use super::members::{Member, Members};
use super::reasons::CloseReason;
use super::request::is_counted;
use super::requests::Requests;
use super::send_queue::SendQueue;
use crate::actors::hub::messages::{
    AttachWorker, ContinueAnswer, Deliver, Flush, Presence, ReleaseTopics, Since, SubscribeTopics, WorkerId,
};
use crate::actors::hub::topic::{Channel, Topic};
use crate::metrics::Span;
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use crate::web::state::AppState;
use actix::{Actor, AsyncContext, Context, Handler, Message};
use hashbrown::HashSet;
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Flushes that may wait for the thread; the hub holds back what does not fit.
const MAILBOX_CAPACITY: usize = 32;

/// How often sessions with an interval get their ticks, and requests that were held back are tried again.
const RELEASE_INTERVAL: Duration = Duration::from_millis(20);

/// How often clients that stopped reading are looked for.
const STALL_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Holds the worker of a thread, which is made with its first session.
#[derive(Default)]
pub struct WorkerSlot(OnceCell<Rc<Worker>>);

impl WorkerSlot {
    /// Returns the thread's worker.
    pub fn get(&self, state: &Arc<AppState>, live: &Arc<Live>) -> Rc<Worker> {
        Rc::clone(self.0.get_or_init(|| Worker::start(state, live)))
    }
}

/// The sessions of one thread.
pub struct Worker {
    id: WorkerId,
    pub(super) live: Arc<Live>,
    pub(super) state: Arc<AppState>,
    members: RefCell<Members>,
    /// True when some session has an interval.
    has_paced: Cell<bool>,
    /// True when some session has a request that is held back.
    pub(super) has_waiting: Cell<bool>,
}

/// The result of a subscription.
#[derive(Debug, PartialEq, Eq)]
pub enum Subscribed {
    /// It was passed to the hub, which answers.
    Asked,
    /// It exceeds the limit of topics.
    TooMany,
}

impl Worker {
    fn start(state: &Arc<AppState>, live: &Arc<Live>) -> Rc<Worker> {
        let id = live.num_workers.fetch_add(1, Ordering::Relaxed);
        let worker = Rc::new(Worker {
            id,
            live: Arc::clone(live),
            state: Arc::clone(state),
            members: RefCell::default(),
            has_paced: Cell::new(false),
            has_waiting: Cell::new(false),
        });
        let recipient = WorkerActor(Rc::clone(&worker)).start().recipient();
        worker.tell(AttachWorker { worker: id, recipient });
        worker
    }

    /// Sends a message to the hub past its mailbox limit. Nothing may be lost here (a topic that is not released is
    /// worked for as long as the process runs), and nothing can wait here either: one thread serves many sessions. The
    /// messages are bounded all the same. A session has at most one subscription, one request for more of its answer,
    /// and one unsubscription under way (see [`Requests::release`]), besides the one in which it leaves and the two of
    /// the broadcast before its first subscription; and it counts towards the limit of sessions until the hub has
    /// handled them all (see [`Presence`]).
    #[expect(
        clippy::disallowed_methods,
        reason = "a session has six messages under way at the most, and none may be lost"
    )]
    fn tell<M>(&self, message: M)
    where
        M: Message<Result = ()> + Send + 'static,
        crate::actors::hub::HubActor: Handler<M>,
    {
        self.live.hub.do_send(message);
    }

    /// Adds a session.
    pub fn join(&self, presence: Arc<Presence>) -> Rc<SendQueue> {
        let mut members = self.members.borrow_mut();
        members.next_id += 1;
        let queue = Rc::new(SendQueue::new(members.next_id));
        let member = Member {
            queue: Rc::clone(&queue),
            presence,
            wanted: HashSet::new(),
            requests: Requests::new(Instant::now()),
            broadcast: None,
        };
        members.by_id.insert(queue.id, member);
        self.state.metrics.websocket_connections.inc();
        queue
    }

    /// Removes a session.
    pub fn leave(&self, id: u64) {
        let mut members = self.members.borrow_mut();
        let Some(member) = members.by_id.remove(&id) else { return };
        self.state.metrics.websocket_connections.dec();
        member.presence.leave();
        let wanted: Vec<Topic> = member.wanted.into_iter().collect();
        members.unfollow(id, &wanted);
        members.unfollow(id, &member.queue.end_catch_up());
        drop(members);
        if member.requests.has_begun() {
            // Even without topics: the hub may be making an answer that is not needed any more.
            let (worker, presence) = (self.id, member.presence);
            let under_way = Arc::default();
            self.tell(ReleaseTopics { worker, session: id, topics: wanted, presence, under_way });
        }
    }

    fn release_topics(&self, session: u64, topics: Vec<Topic>, presence: Arc<Presence>) {
        if topics.is_empty() {
            return;
        }
        let Some(under_way) = self.with_requests(session, Requests::release) else { return };
        self.tell(ReleaseTopics { worker: self.id, session, topics, presence, under_way });
    }

    /// Applies a function to the requests of a session, if it is still connected.
    pub(super) fn with_requests<T>(&self, id: u64, work: impl FnOnce(&mut Requests) -> T) -> Option<T> {
        Some(work(&mut self.members.borrow_mut().by_id.get_mut(&id)?.requests))
    }

    /// Returns the send queue of a session.
    pub(super) fn queue(&self, id: u64) -> Option<Rc<SendQueue>> {
        Some(Rc::clone(&self.members.borrow().by_id.get(&id)?.queue))
    }

    /// Subscribes a session to every tick, until it subscribes itself.
    pub fn broadcast(&self, id: u64) {
        let all = |channel| Topic::plain(channel, SymbolId::NONE);
        self.ask(id, vec![all(Channel::Ticks), all(Channel::Feed)], None, true);
    }

    /// Subscribes a session to topics.
    pub fn subscribe(&self, id: u64, topics: Vec<Topic>, since: Option<Since>) -> Subscribed {
        self.end_broadcast(id);
        self.ask(id, topics, since, false)
    }

    fn ask(&self, id: u64, topics: Vec<Topic>, since: Option<Since>, is_broadcast: bool) -> Subscribed {
        let mut members = self.members.borrow_mut();
        let Some(member) = members.by_id.get_mut(&id) else { return Subscribed::Asked };
        let added: Vec<Topic> =
            topics.iter().filter(|topic| !member.wanted.contains(*topic)).copied().collect();
        let count = member.wanted.iter().chain(&added).filter(|topic| is_counted(**topic)).count();
        if count > self.live.limits.max_subscriptions {
            return Subscribed::TooMany;
        }
        member.wanted.extend(added.iter().copied());
        let request = member.requests.begin();
        if is_broadcast {
            member.broadcast = Some(request);
        } else {
            member.requests.wait_for(request);
        }
        let presence = Arc::clone(&member.presence);
        drop(members);
        let worker = self.id;
        self.tell(SubscribeTopics {
            worker,
            session: id,
            request,
            presence,
            topics,
            added,
            since,
            is_broadcast,
        });
        Subscribed::Asked
    }

    fn end_broadcast(&self, id: u64) {
        let mut members = self.members.borrow_mut();
        let Some(member) = members.by_id.get_mut(&id) else { return };
        if member.broadcast.take().is_none() {
            return;
        }
        member.queue.end_catch_up();
        let topics: Vec<Topic> = member.wanted.drain().collect();
        let presence = Arc::clone(&member.presence);
        members.unfollow(id, &topics);
        drop(members);
        self.release_topics(id, topics, presence);
    }

    /// Unsubscribes a session from topics; one of all symbols stands for those of every symbol.
    pub fn unsubscribe(&self, id: u64, topics: Vec<Topic>) {
        let topics: HashSet<Topic> = topics.into_iter().collect();
        let mut members = self.members.borrow_mut();
        let Some(member) = members.by_id.get_mut(&id) else { return };
        let is_meant = |topic: &Topic| topics.contains(topic) || topics.contains(&topic.of_all());
        let gone: Vec<Topic> = member.wanted.extract_if(|topic| is_meant(topic)).collect();
        if member.wanted.is_empty() && member.broadcast.take().is_some() {
            member.queue.end_catch_up();
        }
        let presence = Arc::clone(&member.presence);
        members.unfollow(id, &gone);
        drop(members);
        self.release_topics(id, gone, presence);
    }

    /// Asks the hub for the next part of an answer, when the part before was sent.
    pub fn ask_for_more(&self, queue: &SendQueue) {
        if let Some(request) = queue.take_continuation() {
            self.tell(ContinueAnswer { worker: self.id, session: queue.id, request });
        }
    }

    /// Returns the name of a topic's symbol.
    pub fn symbol_name(&self, topic: Topic) -> String {
        self.state.symbols.spec(topic.symbol).name.clone()
    }

    fn deliver(&self, message: Deliver) {
        match message {
            Deliver::Flush(flush) => {
                // Tasks run in the order in which they were woken, so the clock is read after the connections woken so
                // far have written.
                let time_written = || {
                    let (state, flush) = (Arc::clone(&self.state), Arc::clone(&flush));
                    actix::spawn(async move { observe_sent(&state, &flush) });
                };
                self.members.borrow().deliver(&flush, time_written);
            }
            Deliver::Answer(answer) => {
                let session = answer.session;
                self.members.borrow_mut().answer(answer);
                self.proceed(session);
            }
            Deliver::Stop => {
                self.live.stop();
                for member in self.members.borrow().by_id.values() {
                    member.queue.close_after_queued(CloseReason::Shutdown);
                    member.queue.wake();
                }
            }
        }
    }

    /// Sets the interval of a session's ticks.
    pub fn set_interval(&self, queue: &SendQueue, interval: Duration) {
        queue.set_interval(interval);
        self.has_paced.set(true);
    }

    /// Releases the newest ticks of the sessions whose interval is over.
    fn release(&self) {
        if !self.has_paced.get() {
            return;
        }
        let (now, members) = (Instant::now(), self.members.borrow());
        self.has_paced.set(members.by_id.values().any(|member| member.queue.is_paced()));
        for member in members.by_id.values() {
            if member.queue.release(now) {
                member.queue.wake();
            }
        }
    }

    /// Tries the requests again that were held back.
    fn proceed_with_all(&self) {
        if !self.has_waiting.replace(false) {
            return;
        }
        let members = self.members.borrow();
        let waiting = members.by_id.iter().filter(|(_, member)| member.requests.is_held_back());
        let waiting: Vec<(u64, Rc<SendQueue>)> =
            waiting.map(|(id, member)| (*id, Rc::clone(&member.queue))).collect();
        drop(members);
        for (id, queue) in waiting {
            self.proceed(id);
            queue.wake();
        }
    }

    /// Closes sessions whose client has stopped reading.
    fn close_stalled(&self) {
        let now = Instant::now();
        for member in self.members.borrow().by_id.values() {
            let since = member.queue.waits_since();
            if since.is_some_and(|since| now.duration_since(since) > self.live.limits.stall_timeout) {
                member.queue.close(CloseReason::Slow);
                member.queue.wake();
            }
        }
    }
}

fn observe_sent(state: &AppState, flush: &Flush) {
    let now = state.now();
    for (span, since) in [(Span::ReceivedToSent, flush.received), (Span::ReceivedToBarSent, flush.settled)] {
        if since != Nanos::MIN {
            state.metrics.observe(span, since, now);
        }
    }
}

/// Receives what the hub sends to the thread.
struct WorkerActor(Rc<Worker>);

impl Actor for WorkerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_CAPACITY);
        ctx.run_interval(RELEASE_INTERVAL, |actor, _ctx| {
            actor.0.release();
            actor.0.proceed_with_all();
        });
        ctx.run_interval(STALL_CHECK_INTERVAL, |actor, _ctx| actor.0.close_stalled());
    }
}

impl Handler<Deliver> for WorkerActor {
    type Result = ();

    fn handle(&mut self, message: Deliver, _ctx: &mut Self::Context) {
        self.0.deliver(message);
    }
}
