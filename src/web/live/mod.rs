//! The live feed over WebSocket. Only this folder knows actix-web-actors.
//!
//! A session is an actor on the thread that serves its connection. What it is sent comes framed from the hub, through
//! the `worker` of its thread into its `outlet`, from which the connection takes as fast as the client reads.
//!
//! Promises: a client that stops reading costs others nothing and holds a bounded amount of memory; it is told how many
//! ticks it missed, and is closed with a reason when it does not even keep up with closed bars.

mod gate;
mod limits;
mod outlet;
mod request;
mod requests;
mod session;
mod worker;

pub use session::websocket;
pub use worker::WorkerSlot;

use crate::actors::hub::HubActor;
use crate::config::Limits;
use actix::Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

/// What all sessions of a process share.
pub struct Live {
    /// Where frames come from.
    pub hub: Addr<HubActor>,
    /// Names the log.
    pub epoch: String,
    /// Names this run of the process.
    pub run: String,
    /// Whether a client that asked for nothing gets every tick.
    pub broadcast: bool,
    /// What one client, or all of them, may ask for.
    pub limits: Limits,
    num_connections: Arc<AtomicUsize>,
    num_workers: AtomicUsize,
    /// True once the process stops: new clients are sent away.
    is_stopping: AtomicBool,
}

impl Live {
    /// Makes it for a hub.
    #[must_use]
    pub fn new(hub: Addr<HubActor>, epoch: String, run: String, broadcast: bool, limits: Limits) -> Live {
        Live {
            hub,
            epoch,
            run,
            broadcast,
            limits,
            num_connections: Arc::default(),
            num_workers: AtomicUsize::new(0),
            is_stopping: AtomicBool::new(false),
        }
    }

    /// Sends new clients away from now on.
    pub fn stop(&self) {
        self.is_stopping.store(true, std::sync::atomic::Ordering::Release);
    }
}

/// Why a session is closed, as the close frame says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The process stops.
    Shutdown,
    /// The client does not keep up with closed bars.
    Slow,
    /// Nothing came from the client for too long.
    Idle,
    /// The client asked for more than it may.
    Limit,
    /// A message was too long.
    TooLong,
}

impl Ending {
    /// Every way to be closed.
    pub const ALL: [Ending; 5] =
        [Ending::Shutdown, Ending::Slow, Ending::Idle, Ending::Limit, Ending::TooLong];

    /// Returns the close code.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Ending::Shutdown => 1001,
            Ending::TooLong => 1009,
            Ending::Idle => 4008,
            Ending::Slow => 4013,
            Ending::Limit => 4029,
        }
    }

    /// Returns the reason in the close frame.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Ending::Shutdown => "shutdown",
            Ending::Slow => "slow",
            Ending::Idle => "idle",
            Ending::Limit | Ending::TooLong => "limit",
        }
    }
}

/// What can be wrong with what a client does: stable words for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// The message is not JSON.
    BadJson,
    /// A field is missing, or has another form.
    BadRequest,
    /// `type` is none that there is.
    UnknownType,
    /// A channel is none that there is.
    UnknownChannel,
    /// A window is not configured.
    UnknownWindow,
    /// The client would follow more topics than it may; it follows what it did.
    TooManySubscriptions,
    /// The client sends more messages than it may; they are ignored until the second is over.
    TooManyMessages,
    /// A message is longer than it may be; the client is closed.
    MessageTooLong,
    /// There are as many clients as there may be; the client is closed.
    TooManyConnections,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [ErrorCode; 9] = [
        ErrorCode::BadJson,
        ErrorCode::BadRequest,
        ErrorCode::UnknownType,
        ErrorCode::UnknownChannel,
        ErrorCode::UnknownWindow,
        ErrorCode::TooManySubscriptions,
        ErrorCode::TooManyMessages,
        ErrorCode::MessageTooLong,
        ErrorCode::TooManyConnections,
    ];

    /// Returns the word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            ErrorCode::BadJson => "bad_json",
            ErrorCode::BadRequest => "bad_request",
            ErrorCode::UnknownType => "unknown_type",
            ErrorCode::UnknownChannel => "unknown_channel",
            ErrorCode::UnknownWindow => "unknown_window",
            ErrorCode::TooManySubscriptions => "too_many_subscriptions",
            ErrorCode::TooManyMessages => "too_many_messages",
            ErrorCode::MessageTooLong => "message_too_long",
            ErrorCode::TooManyConnections => "too_many_connections",
        }
    }
}
