//! What crosses between the hub and the threads on which sessions run.

use super::topic::Topic;
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use actix::{Message, Recipient};
use bytes::Bytes;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// A thread that runs sessions: its number is never given twice.
pub type WorkerId = usize;

/// A session of a thread.
pub type SessionId = u64;

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
    /// The last number heard of each topic.
    pub seqs: HashMap<Topic, u64>,
}

/// A session wants topics.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct SubscribeTopics {
    /// Its thread.
    pub worker: WorkerId,
    /// Which one.
    pub session: SessionId,
    /// All that it asked for.
    pub topics: Vec<Topic>,
    /// Those among them that it did not have before.
    pub added: Vec<Topic>,
    /// Where it goes on from.
    pub since: Option<Since>,
    /// True for a client that has not asked for anything: it gets last ticks as ticks, not as a snapshot.
    pub is_broadcast: bool,
}

/// A session does not want topics any more.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct ReleaseTopics(pub Vec<Topic>);

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
    /// Whose.
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
    /// The answer to [`SubscribeTopics`]: frames for one session, which gets the topics from here on.
    Answer {
        /// Which one.
        session: SessionId,
        /// Its frames.
        frames: Bytes,
        /// What it gets from here on.
        topics: Vec<Topic>,
        /// True when it is for a client that had not asked for anything; by now it may have.
        is_broadcast: bool,
    },
    /// The process stops.
    Stop,
}
