//! The hub's end of one thread that runs sessions.
//!
//! Promises: messages reach the thread in order. What its mailbox has no room for waits here; the hub makes no flush
//! and no part of an answer while [`WorkerLink::has_room`] is false, so that no more than [`BACKLOG_MAX`] and the few
//! messages of one such step wait. A thread that has ended is dropped with what waits for it.

use super::messages::Deliver;
use actix::Recipient;
use actix::dev::SendError;
use std::collections::VecDeque;

/// Messages that may wait for one thread, which is busy with something else, such as a large answer.
const BACKLOG_MAX: usize = 64;

/// One thread that runs sessions.
pub(super) struct WorkerLink {
    recipient: Recipient<Deliver>,
    /// What its mailbox had no room for.
    backlog: VecDeque<Deliver>,
}

impl WorkerLink {
    pub(super) const fn new(recipient: Recipient<Deliver>) -> WorkerLink {
        WorkerLink { recipient, backlog: VecDeque::new() }
    }

    /// Sends a message after those that wait.
    pub(super) fn send(&mut self, message: Deliver) {
        self.backlog.push_back(message);
        self.drain();
    }

    /// Sends what waits, as far as the mailbox has room.
    pub(super) fn drain(&mut self) {
        while let Some(message) = self.backlog.pop_front() {
            if let Err(SendError::Full(message)) = self.recipient.try_send(message) {
                self.backlog.push_front(message);
                return;
            }
        }
    }

    /// True while another message may wait.
    pub(super) fn has_room(&self) -> bool {
        self.backlog.len() < BACKLOG_MAX
    }

    /// Returns the number of messages that wait.
    pub(super) fn num_waiting(&self) -> usize {
        self.backlog.len()
    }

    /// True until the thread has ended.
    pub(super) fn is_connected(&self) -> bool {
        self.recipient.connected()
    }
}
