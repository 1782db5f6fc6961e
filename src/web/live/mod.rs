//! The live feed over WebSocket. Only this folder knows actix-web-actors.
//!
//! A session is an actor on the thread that serves its connection. Frames come ready-made from the hub to the `worker`
//! of the thread, which puts them into the session's send queue; the connection drains that as fast as the client
//! reads.
//!
//! Promises: a client that stops reading costs others nothing and holds bounded memory; it is told how many ticks it
//! missed, and is closed with a reason when it does not even keep up with closed bars.

mod dispatch;
mod gate;
mod handshake;
mod limits;
mod members;
mod reasons;
mod request;
mod requests;
mod send_queue;
mod session;
mod worker;

pub use reasons::{CloseReason, ErrorCode};
pub use session::websocket;
pub use worker::WorkerSlot;

use crate::actors::hub::HubActor;
use crate::config::Limits;
use actix::Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

/// The state that all sessions of a process share.
pub struct Live {
    /// Makes the frames.
    pub hub: Addr<HubActor>,
    /// Names the log.
    pub epoch: String,
    /// Names this run of the process.
    pub run: String,
    /// True when a client gets every tick until it subscribes.
    pub broadcast: bool,
    /// Limits of one client, and of all together.
    pub limits: Limits,
    num_connections: Arc<AtomicUsize>,
    num_workers: AtomicUsize,
    /// True once the process stops: new clients are refused.
    is_stopping: AtomicBool,
}

impl Live {
    /// Makes the state of a hub's sessions.
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

    /// Refuses new clients from now on.
    pub fn stop(&self) {
        self.is_stopping.store(true, std::sync::atomic::Ordering::Release);
    }
}
