//! Messages between the hub and the threads on which sessions run.
//!
//! Promises: a message owns what it says and is not changed once made; a flush is shared by all threads. A session
//! counts towards the limit until its last message was handled (see [`Presence`]).

use super::topic::Topic;
use crate::models::anomaly::Anomaly;
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use actix::{Message, Recipient};
use bytes::Bytes;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Number of a thread that runs sessions; never given twice.
pub type WorkerId = usize;

/// Number of a session within its thread.
pub type SessionId = u64;

/// Counts a session towards the limit of sessions. Messages to the hub carry it, so that a session counts until the hub
/// has handled its last message: clients that come and go faster than the hub can follow use up the limit, and the next
/// one is refused. With at most six messages per session under way, that bounds the hub's mailbox.
#[derive(Debug)]
pub struct Presence {
    has_left: AtomicBool,
    taken: Arc<AtomicUsize>,
}

impl Presence {
    /// Counts a session. Returns its presence, and the number of sessions before it.
    #[must_use]
    pub fn enter(taken: &Arc<AtomicUsize>) -> (Arc<Presence>, usize) {
        let num_before = taken.fetch_add(1, Ordering::AcqRel);
        (Arc::new(Presence { has_left: AtomicBool::new(false), taken: Arc::clone(taken) }), num_before)
    }

    /// Marks the client as gone, so that no work is done for it any more.
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

/// Registers a thread that runs sessions.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AttachWorker {
    /// The thread.
    pub worker: WorkerId,
    /// Receives the frames for its sessions.
    pub recipient: Recipient<Deliver>,
}

/// What a client has got before, when it resumes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Since {
    /// Names the log that the numbers belong to.
    pub epoch: String,
    /// Names the run of the server that gave the numbers, where the client says so.
    pub run: Option<String>,
    /// The last number of each topic.
    pub seqs: HashMap<Topic, u64>,
}

/// Subscribes a session to topics. A session sends its next request once this one was answered completely; one that
/// comes before replaces it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct SubscribeTopics {
    /// The thread of the session.
    pub worker: WorkerId,
    /// The session.
    pub session: SessionId,
    /// Number of the request within the session.
    pub request: u64,
    /// The session's presence; once it has left, nothing is encoded for it.
    pub presence: Arc<Presence>,
    /// The topics, each once.
    pub topics: Vec<Topic>,
    /// The topics among them that it did not follow before.
    pub added: Vec<Topic>,
    /// What the client has got before, of these topics.
    pub since: Option<Since>,
    /// True for a client that has not subscribed: it gets last ticks as tick frames, not as a snapshot.
    pub is_broadcast: bool,
}

/// Asks for the next part of an answer: the session has sent the part before.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct ContinueAnswer {
    /// The thread of the session.
    pub worker: WorkerId,
    /// The session.
    pub session: SessionId,
    /// Number of the request within the session.
    pub request: u64,
}

/// Unsubscribes a session from topics. A session sends its next one once this one was handled.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReleaseTopics {
    /// The thread of the session.
    pub worker: WorkerId,
    /// The session.
    pub session: SessionId,
    /// The topics.
    pub topics: Vec<Topic>,
    /// The session's presence.
    pub presence: Arc<Presence>,
    /// Dropped with this message: the session looks whether it is still alive.
    pub under_way: Arc<()>,
}

/// Recovery is done: clients may be answered.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct BeginServing;

/// The process stops: sessions are closed.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct StopServing;

/// The ticks of one symbol within a flush.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TickPart {
    /// The symbol.
    pub symbol: SymbolId,
    /// Range of their frames in the flush's bytes.
    pub range: Range<usize>,
    /// Offset of the last frame.
    pub last: usize,
    /// Number of frames.
    pub count: u64,
}

/// The frames sent to all threads together.
#[derive(Debug, Default)]
pub struct Flush {
    /// The frames of all ticks, symbol by symbol.
    pub ticks: Bytes,
    /// The part of each symbol.
    pub tick_parts: Vec<TickPart>,
    /// All other frames, in order.
    pub frames: Vec<(Topic, Bytes)>,
    /// When the oldest tick was received; [`Nanos::MIN`] without a tick, or where that is unknown.
    pub received: Nanos,
    /// When the entry that settled the oldest bar was received; [`Nanos::MIN`] without a bar, or where that is unknown.
    pub settled: Nanos,
}

/// A message from the hub to a thread.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub enum Deliver {
    /// Frames for all followers of their topics.
    Flush(Arc<Flush>),
    /// A part of the answer to [`SubscribeTopics`].
    Answer(Answer),
    /// The process stops.
    Stop,
}

/// A part of the answer to [`SubscribeTopics`]: frames for one session, after which topics become live.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The session.
    pub session: SessionId,
    /// Number of the request within the session.
    pub request: u64,
    /// The frames.
    pub frames: Bytes,
    /// The topics that become live after these frames.
    pub topics: Vec<Topic>,
    /// Topics of all symbols become live for the symbols below this one; the session asks for the next part. `None`:
    /// this is the last part, and they become live for all symbols.
    pub more_from: Option<SymbolId>,
}

/// Tells followers of the anomalies of all symbols of one that is about no symbol of theirs.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Announce(pub Box<Anomaly>);
