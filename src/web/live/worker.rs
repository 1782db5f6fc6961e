//! The sessions of one thread: who follows what, and how a flush of the hub reaches them.
//!
//! One message a flush reaches a thread, whatever the number of its sessions; a session that follows one symbol gets
//! one piece of it, a session that follows all gets it whole.

use super::outlet::{Outlet, Piece};
use super::request::is_counted;
use super::requests::Requests;
use super::{Ending, Live};
use crate::actors::hub::messages::{
    Answer, AttachWorker, ContinueAnswer, Deliver, Flush, Presence, ReleaseTopics, Since, SubscribeTopics,
    WorkerId,
};
use crate::actors::hub::topic::{Channel, Topic};
use crate::metrics::Span;
use crate::models::time::Nanos;
use crate::web::state::AppState;
use actix::{Actor, AsyncContext, Context, Handler, Message};
use hashbrown::{HashMap, HashSet};
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Flushes that may wait for the thread; the hub keeps what does not fit.
const MAILBOX_CAPACITY: usize = 32;

/// How often it is looked whose ticks are due that wants them at intervals, and whose budget allows another request.
const RELEASE_INTERVAL: Duration = Duration::from_millis(20);

/// Sessions that are woken between two looks at the clock: how long frames took is counted for so many together.
const TIMED_TOGETHER: usize = 50;

/// How often it is looked who does not read any more.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Where a thread keeps its worker: made with its first session.
#[derive(Default)]
pub struct WorkerSlot(OnceCell<Rc<Worker>>);

impl WorkerSlot {
    /// Returns the thread's worker.
    pub fn get(&self, state: &Arc<AppState>, live: &Arc<Live>) -> Rc<Worker> {
        Rc::clone(self.0.get_or_init(|| Worker::start(state, live)))
    }
}

/// One session as its thread sees it.
struct Member {
    outlet: Rc<Outlet>,
    presence: Arc<Presence>,
    /// What it asked for; it may not have been answered yet.
    wanted: HashSet<Topic>,
    requests: Requests,
    /// The request that is made for a client that has not asked for anything.
    broadcast: Option<u64>,
}

impl Member {
    fn waits_for(&self, request: u64) -> bool {
        self.requests.is_in_progress(request) || self.broadcast == Some(request)
    }
}

#[derive(Default)]
struct Members {
    by_id: HashMap<u64, Member>,
    followers: HashMap<Topic, Vec<Rc<Outlet>>>,
    next_id: u64,
}

/// The sessions of one thread.
pub struct Worker {
    id: WorkerId,
    pub(super) live: Arc<Live>,
    pub(super) state: Arc<AppState>,
    members: RefCell<Members>,
    /// Some sessions want ticks at intervals.
    has_paced: Cell<bool>,
    /// Some sessions have requests that their budget does not allow yet.
    pub(super) has_waiting: Cell<bool>,
}

/// What became of a wish for topics.
#[derive(Debug, PartialEq, Eq)]
pub enum Subscribed {
    /// The hub answers.
    Asked,
    /// They are too many.
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

    /// Tells the hub. Its mailbox is not limited for this: a session has one request under way, and its place is not
    /// given to another before the hub has done with it (see [`Presence`]).
    #[expect(
        clippy::disallowed_methods,
        reason = "messages are limited by the number of sessions, and must not be lost"
    )]
    fn tell<M>(&self, message: M)
    where
        M: Message<Result = ()> + Send + 'static,
        crate::actors::hub::HubActor: Handler<M>,
    {
        self.live.hub.do_send(message);
    }

    /// Takes a session in.
    pub fn join(&self, presence: Arc<Presence>) -> Rc<Outlet> {
        let mut members = self.members.borrow_mut();
        members.next_id += 1;
        let outlet = Rc::new(Outlet::new(members.next_id));
        let member = Member {
            outlet: Rc::clone(&outlet),
            presence,
            wanted: HashSet::new(),
            requests: Requests::new(Instant::now()),
            broadcast: None,
        };
        members.by_id.insert(outlet.id, member);
        self.state.metrics.websocket_connections.inc();
        outlet
    }

    /// Lets a session go.
    pub fn leave(&self, id: u64) {
        let mut members = self.members.borrow_mut();
        let Some(member) = members.by_id.remove(&id) else { return };
        self.state.metrics.websocket_connections.dec();
        member.presence.leave();
        let wanted: Vec<Topic> = member.wanted.into_iter().collect();
        members.unfollow(id, &wanted);
        members.unfollow(id, &member.outlet.end_catch_up());
        drop(members);
        if member.requests.has_begun() {
            // Even with nothing to let go of: there may be an answer that nobody waits for any more.
            let (worker, presence) = (self.id, member.presence);
            self.tell(ReleaseTopics { worker, session: id, topics: wanted, presence });
        }
    }

    fn release_topics(&self, session: u64, topics: Vec<Topic>, presence: Arc<Presence>) {
        if !topics.is_empty() {
            self.tell(ReleaseTopics { worker: self.id, session, topics, presence });
        }
    }

    /// Works with the requests of a session, if it is there still.
    pub(super) fn with_requests<T>(&self, id: u64, work: impl FnOnce(&mut Requests) -> T) -> Option<T> {
        Some(work(&mut self.members.borrow_mut().by_id.get_mut(&id)?.requests))
    }

    /// Returns the way to a session.
    pub(super) fn outlet(&self, id: u64) -> Option<Rc<Outlet>> {
        Some(Rc::clone(&self.members.borrow().by_id.get(&id)?.outlet))
    }

    /// Has a session follow every tick, until it asks for something.
    pub fn broadcast(&self, id: u64) {
        let all = |channel| Topic::plain(channel, crate::models::symbol::SymbolId::NONE);
        self.ask(id, vec![all(Channel::Ticks), all(Channel::Feed)], None, true);
    }

    /// Has a session follow topics.
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
        member.outlet.end_catch_up();
        let topics: Vec<Topic> = member.wanted.drain().collect();
        let presence = Arc::clone(&member.presence);
        members.unfollow(id, &topics);
        drop(members);
        self.release_topics(id, topics, presence);
    }

    /// Has a session follow topics no more. `*` stands for every symbol.
    pub fn unsubscribe(&self, id: u64, topics: Vec<Topic>) {
        let topics: HashSet<Topic> = topics.into_iter().collect();
        let mut members = self.members.borrow_mut();
        let Some(member) = members.by_id.get_mut(&id) else { return };
        let is_meant = |topic: &Topic| topics.contains(topic) || topics.contains(&topic.of_all());
        let gone: Vec<Topic> = member.wanted.extract_if(|topic| is_meant(topic)).collect();
        if member.wanted.is_empty() && member.broadcast.take().is_some() {
            member.outlet.end_catch_up();
        }
        let presence = Arc::clone(&member.presence);
        members.unfollow(id, &gone);
        drop(members);
        self.release_topics(id, gone, presence);
    }

    /// Asks for the next part of an answer, when a session has taken the one before.
    pub fn ask_for_more(&self, outlet: &Outlet) {
        if let Some(request) = outlet.take_wish_for_more() {
            self.tell(ContinueAnswer { worker: self.id, session: outlet.id, request });
        }
    }

    /// Returns the name of a topic's symbol.
    pub fn symbol_name(&self, topic: Topic) -> String {
        self.state.symbols.spec(topic.symbol).name.clone()
    }

    fn deliver(&self, message: Deliver) {
        match message {
            Deliver::Flush(flush) => {
                // Tasks run in the order in which they are woken: the clock is read when the connections woken so far
                // have written.
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
                    member.outlet.end_behind(Ending::Shutdown);
                    member.outlet.wake();
                }
            }
        }
    }

    /// Has a session's ticks come at intervals.
    pub fn set_interval(&self, outlet: &Outlet, interval: Duration) {
        outlet.set_interval(interval);
        self.has_paced.set(true);
    }

    /// Hands the newest ticks to those who want them at intervals, where it is time.
    fn release(&self) {
        if !self.has_paced.get() {
            return;
        }
        let (now, members) = (Instant::now(), self.members.borrow());
        self.has_paced.set(members.by_id.values().any(|member| member.outlet.is_paced()));
        for member in members.by_id.values() {
            if member.outlet.release(now) {
                member.outlet.wake();
            }
        }
    }

    /// Goes on with requests that their session's budget did not allow.
    fn proceed_with_all(&self) {
        if !self.has_waiting.replace(false) {
            return;
        }
        let members = self.members.borrow();
        let waiting = members.by_id.iter().filter(|(_, member)| member.requests.waits_for_budget());
        let waiting: Vec<(u64, Rc<Outlet>)> =
            waiting.map(|(id, member)| (*id, Rc::clone(&member.outlet))).collect();
        drop(members);
        for (id, outlet) in waiting {
            self.proceed(id);
            outlet.wake();
        }
    }

    /// Lets go of what waits for those who do not read.
    fn look(&self) {
        let now = Instant::now();
        for member in self.members.borrow().by_id.values() {
            let since = member.outlet.waits_since();
            if since.is_some_and(|since| now.duration_since(since) > self.live.limits.stall_timeout) {
                member.outlet.end(Ending::Slow);
                member.outlet.wake();
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

impl Members {
    fn follow(&mut self, topic: Topic, outlet: &Rc<Outlet>) {
        let followers = self.followers.entry(topic).or_default();
        if !followers.iter().any(|known| known.id == outlet.id) {
            followers.push(Rc::clone(outlet));
        }
    }

    fn unfollow(&mut self, id: u64, topics: &[Topic]) {
        for topic in topics {
            if let Some(followers) = self.followers.get_mut(topic) {
                followers.retain(|outlet| outlet.id != id);
                if followers.is_empty() {
                    self.followers.remove(topic);
                }
            }
        }
    }

    /// Takes a part of an answer: behind its frames the session gets topics from here on. A topic of one symbol is left
    /// out where the session follows all symbols, so that nothing comes twice.
    fn answer(&mut self, answer: Answer) {
        let Answer { session, request, frames, topics, more_from } = answer;
        let Some(member) = self.by_id.get_mut(&session).filter(|member| member.waits_for(request)) else {
            return;
        };
        let outlet = Rc::clone(&member.outlet);
        outlet.push(frames);
        let topics: Vec<Topic> = topics.into_iter().filter(|topic| member.wanted.contains(topic)).collect();
        let follows = |topic: &Topic| {
            self.followers.get(topic).is_some_and(|all| all.iter().any(|it| it.id == session))
        };
        if !outlet.is_catching_up() {
            // What it follows already goes on meanwhile.
            let of_all = topics.iter().filter(|topic| topic.is_of_all() && !follows(topic));
            let of_all: HashSet<Topic> = of_all.copied().collect();
            let parts =
                member.wanted.iter().filter(|topic| !topic.is_of_all() && of_all.contains(&topic.of_all()));
            outlet.begin_catch_up(request, of_all.iter().copied().collect(), parts.copied().collect());
        }
        let is_part_of_all = |topic: &Topic| !topic.is_of_all() && member.wanted.contains(&topic.of_all());
        let begun: Vec<Topic> = topics.into_iter().filter(|topic| !is_part_of_all(topic)).collect();
        begun.into_iter().for_each(|topic| self.follow(topic, &outlet));
        match more_from {
            Some(symbol) => outlet.catch_up_to(symbol),
            None => {
                self.unfollow(session, &outlet.end_catch_up());
                if let Some(member) =
                    self.by_id.get_mut(&session).filter(|it| it.requests.is_in_progress(request))
                {
                    member.requests.finish();
                }
            }
        }
        outlet.wake();
    }

    fn followers(&self, topic: Topic) -> impl Iterator<Item = &Rc<Outlet>> {
        let all = if topic.is_of_all() { None } else { self.followers.get(&topic.of_all()) };
        let all = all.into_iter().flatten().filter(move |outlet| outlet.takes(topic));
        self.followers.get(&topic).into_iter().flatten().chain(all)
    }

    /// Gives each session its part, and wakes all of them; calls `woken` behind some of them, and behind the last.
    fn deliver(&self, flush: &Flush, woken: impl Fn()) {
        for (topic, frame) in &flush.frames {
            let is_state = matches!(
                topic.channel,
                Channel::Forming | Channel::Previews | Channel::Feed | Channel::Metrics
            );
            let piece = Piece::new(frame.clone(), frame.len());
            for outlet in self.followers(*topic) {
                if is_state {
                    outlet.push_newest(*topic, &piece, &piece, 1);
                } else {
                    outlet.push(frame.clone());
                }
            }
        }
        self.deliver_ticks(flush);
        let of_ticks = flush.tick_parts.iter().map(|part| Topic::plain(Channel::Ticks, part.symbol));
        let topics = flush.frames.iter().map(|(topic, _)| *topic).chain(of_ticks);
        let mut num_woken = 0_usize;
        for outlet in topics.flat_map(|topic| self.followers(topic)) {
            if outlet.wake() {
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
        let all = self.followers.get(&Topic::plain(Channel::Ticks, crate::models::symbol::SymbolId::NONE));
        // Those who follow all and keep up take everything in one piece.
        let (by_symbol, keeping_up): (Vec<&Rc<Outlet>>, Vec<&Rc<Outlet>>) =
            all.into_iter().flatten().partition(|outlet| outlet.takes_newest() || outlet.is_catching_up());
        if buffer_len > 0 {
            keeping_up.iter().for_each(|outlet| outlet.push(flush.ticks.clone()));
        }
        for part in &flush.tick_parts {
            let topic = Topic::plain(Channel::Ticks, part.symbol);
            let own = self.followers.get(&topic);
            if own.is_none() && by_symbol.is_empty() {
                continue;
            }
            let piece = Piece::new(flush.ticks.slice(part.range.clone()), buffer_len);
            let last = Piece::new(flush.ticks.slice(part.last..part.range.end), buffer_len);
            let of_all = by_symbol.iter().copied().filter(|outlet| outlet.takes(topic));
            for outlet in own.into_iter().flatten().chain(of_all) {
                outlet.push_newest(topic, &piece, &last, part.count);
            }
        }
    }
}

/// Takes what the hub sends.
struct WorkerActor(Rc<Worker>);

impl Actor for WorkerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_CAPACITY);
        ctx.run_interval(RELEASE_INTERVAL, |actor, _ctx| {
            actor.0.release();
            actor.0.proceed_with_all();
        });
        ctx.run_interval(LOOK_INTERVAL, |actor, _ctx| actor.0.look());
    }
}

impl Handler<Deliver> for WorkerActor {
    type Result = ();

    fn handle(&mut self, message: Deliver, _ctx: &mut Self::Context) {
        self.0.deliver(message);
    }
}
