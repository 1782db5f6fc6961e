//! What crosses between the hub and the threads on which sessions run.

use super::topic::Topic;
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use actix::{Message, Recipient};
use bytes::Bytes;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A thread that runs sessions: its number is never given twice.
pub type WorkerId = usize;

/// A session of a thread.
pub type SessionId = u64;

/// The place of a session among all of them. Messages to the hub carry it, so that it is taken until the hub has done
/// with them: who comes and goes faster than the hub can follow takes places, and the next one finds none. With at most
/// one request of a session under way, that bounds what waits in the hub's mailbox.
#[derive(Debug)]
pub struct Presence {
    has_left: AtomicBool,
    taken: Arc<AtomicUsize>,
}

impl Presence {
    /// Takes a place. Returns it with the number of those that were taken before.
    #[must_use]
    pub fn enter(taken: &Arc<AtomicUsize>) -> (Arc<Presence>, usize) {
        let num_before = taken.fetch_add(1, Ordering::AcqRel);
        (Arc::new(Presence { has_left: AtomicBool::new(false), taken: Arc::clone(taken) }), num_before)
    }

    /// Says that the client is gone: nobody is to work for it any more.
    pub fn leave(&self) {
        self.has_left.store(true, Ordering::Release);
    }

    /// True once the client is gone.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.has_left.load(Ordering::Acquire)
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A thread has sessions from now on.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AttachWorker {
    /// Its number.
    pub worker: WorkerId,
    /// Where it takes frames.
    pub recipient: Recipient<Deliver>,
}

/// What a client wants to go on from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Since {
    /// Names the log that the numbers are of.
    pub epoch: String,
    /// Names the run of the server that told the numbers, where the client says so.
    pub run: Option<String>,
    /// The last number heard of each topic.
    pub seqs: HashMap<Topic, u64>,
}

/// A session wants topics. The next one of a session comes when this one was answered whole; one that comes before
/// takes its place.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct SubscribeTopics {
    /// Its thread.
    pub worker: WorkerId,
    /// The session on that thread that asked.
    pub session: SessionId,
    /// Which of the session's requests it is.
    pub request: u64,
    /// The session's place; when it has left, nothing is rendered for it.
    pub presence: Arc<Presence>,
    /// All that it asked for, each once.
    pub topics: Vec<Topic>,
    /// Those among them that it did not have before.
    pub added: Vec<Topic>,
    /// Where it goes on from; only topics that it asked for.
    pub since: Option<Since>,
    /// True for a client that has not asked for anything: it gets last ticks as ticks, not as a snapshot.
    pub is_broadcast: bool,
}

/// A session has taken a part of its answer, and has room for the next.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct ContinueAnswer {
    /// Its thread.
    pub worker: WorkerId,
    /// The session whose answer goes on.
    pub session: SessionId,
    /// Which of its requests.
    pub request: u64,
}

/// A session does not want topics any more.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReleaseTopics {
    /// Its thread.
    pub worker: WorkerId,
    /// The session that follows them no more.
    pub session: SessionId,
    /// Those.
    pub topics: Vec<Topic>,
    /// The session's place.
    pub presence: Arc<Presence>,
}

/// Everything that was said before the start is known: clients may be answered.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct BeginServing;

/// The process stops: clients are told.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct StopServing;

/// Ticks of one symbol within a flush.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TickPart {
    /// The symbol that all of them are of.
    pub symbol: SymbolId,
    /// Their frames, within the flush's bytes.
    pub range: Range<usize>,
    /// Where the last of them begins.
    pub last: usize,
    /// How many they are.
    pub count: u64,
}

/// Frames that are due.
#[derive(Debug, Default)]
pub struct Flush {
    /// All ticks, symbol by symbol.
    pub ticks: Bytes,
    /// Where each symbol's are.
    pub tick_parts: Vec<TickPart>,
    /// Everything else, in order.
    pub frames: Vec<(Topic, Bytes)>,
    /// When the oldest tick was received; [`Nanos::MIN`] where there is none, or nobody knows.
    pub received: Nanos,
    /// When what settled the oldest bar was received; [`Nanos::MIN`] where there is none, or nobody knows.
    pub settled: Nanos,
}

/// What a thread hands to its sessions.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub enum Deliver {
    /// Frames for whoever wants them.
    Flush(Arc<Flush>),
    /// A part of the answer to [`SubscribeTopics`].
    Answer(Answer),
    /// The process stops.
    Stop,
}

/// A part of the answer to [`SubscribeTopics`]: frames for one session, which gets topics from here on.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Which session.
    pub session: SessionId,
    /// Which of its requests.
    pub request: u64,
    /// Its frames.
    pub frames: Bytes,
    /// What it gets from here on.
    pub topics: Vec<Topic>,
    /// Of the topics of all symbols it gets those of the symbols below this one from here on, and the next part when it
    /// asks for it; `None`: this is the last part, and it gets them all.
    pub more_from: Option<SymbolId>,
}
