//! What never became an entry, on its way into a sink: the log cannot bring it again.
//!
//! Promises: the sink that keeps dead letters has written them when it answers, so those who bring them bound how much there is;
//! once written they are handed to the durable sinks beside it as well. Nobody waits for those, nor for a sink that can be caught
//! up: what finds no room there is counted as dropped, and is not written again after the end of the process.
//! On failure: as with everything else that the sink writes.

use super::{SinkActor, wait_for};
use crate::actors::messages::UnparsedInput;
use crate::actors::sinks::OnFull;
use crate::stores::history::DeadLetterRecord;
use actix::{Context, Handler, Message, Recipient, ResponseFuture};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Input that never became an entry, and waits for a sink that nobody waits for: some MB.
const UNPARSED_MAX: usize = 10_000;

/// Hand what never became an entry to another sink too, once it is written here.
#[derive(Message)]
#[rtype(result = "()")]
pub struct CopyUnparsedInput {
    /// The other sink's name.
    pub name: &'static str,
    /// Where it takes it.
    pub to: Recipient<UnparsedInput>,
}

impl SinkActor {
    /// Hands on what is written.
    pub(super) fn hand_copies(&self, letters: &[DeadLetterRecord]) {
        if letters.is_empty() {
            return;
        }
        for CopyUnparsedInput { name, to } in &self.copies {
            // One that is gone stopped with the process.
            if to.try_send(UnparsedInput(letters.to_vec())).is_err() {
                self.env.metrics.sink(name).dropped.inc_by(letters.len() as u64);
            }
        }
    }
}

impl Handler<CopyUnparsedInput> for SinkActor {
    type Result = ();

    fn handle(&mut self, copy: CopyUnparsedInput, _ctx: &mut Self::Context) {
        self.copies.push(copy);
    }
}

impl Handler<UnparsedInput> for SinkActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, UnparsedInput(mut letters): UnparsedInput, ctx: &mut Context<Self>) -> Self::Result {
        let is_waited_for = self.spec.keeps_dead_letters && self.policy.on_full != OnFull::CatchUp;
        if !is_waited_for {
            let num_letters = letters.len();
            letters.truncate(UNPARSED_MAX.saturating_sub(self.unparsed.len()));
            self.metrics.dropped.inc_by((num_letters - letters.len()) as u64);
        }
        self.num_unparsed += letters.len() as u64;
        self.unparsed.extend(letters);
        self.flush(ctx);
        if !is_waited_for {
            return wait_for(None);
        }
        let target = self.num_unparsed;
        let (written, progress) = (Arc::clone(&self.num_unparsed_written), Arc::clone(&self.progress));
        Box::pin(async move {
            loop {
                let notified = progress.notified();
                if written.load(Ordering::Acquire) >= target {
                    return;
                }
                notified.await;
            }
        })
    }
}
