//! A running feed: a task on a thread of its own, and the handle that stops it.
//!
//! Promises: once [`FeedHandle::stop`] has returned, the feed takes nothing in any more. On failure: a feed whose task
//! panicked takes nothing in either; stopping it says so and succeeds.

use actix::{Arbiter, ArbiterHandle};
use std::future::Future;
use tokio::sync::{oneshot, watch};

/// A running feed.
pub struct FeedHandle {
    stop: StopSwitch,
    ended: oneshot::Receiver<()>,
    arbiter: ArbiterHandle,
}

impl FeedHandle {
    /// Runs a feed on a thread of its own.
    pub fn spawn<F>(run: impl FnOnce(StopSignal) -> F + Send + 'static) -> FeedHandle
    where
        F: Future<Output = ()> + 'static,
    {
        let (stop, stopping) = StopSwitch::new();
        let (ending, ended) = oneshot::channel();
        let arbiter = Arbiter::new();
        let handle = arbiter.handle();
        arbiter.spawn_fn(move || {
            actix::spawn(async move {
                run(stopping).await;
                // Nobody receives it where the stop was given up for taking too long.
                ending.send(()).ok();
                handle.stop();
            });
        });
        FeedHandle { stop, ended, arbiter: arbiter.handle() }
    }

    /// Stops the feed: what it has received is handed to the log first.
    pub async fn stop(self) {
        self.stop.stop();
        if self.ended.await.is_err() {
            tracing::error!("the feed's task had panicked before the stop; it took nothing in since");
            self.arbiter.stop();
        }
    }
}

/// Gives a [`StopSignal`].
pub struct StopSwitch(watch::Sender<bool>);

impl StopSwitch {
    /// Makes a switch, and the signal that it gives.
    #[must_use]
    pub fn new() -> (StopSwitch, StopSignal) {
        let (stop, stopping) = watch::channel(false);
        (StopSwitch(stop), StopSignal(stopping))
    }

    /// Gives the signal, now and for all who ask later.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// Tells a feed to stop.
#[derive(Clone)]
pub struct StopSignal(watch::Receiver<bool>);

impl StopSignal {
    /// Waits until the feed has to stop.
    pub async fn told(&self) {
        let mut stopping = self.0.clone();
        // An error means that the handle was dropped, which ends the feed as well: nobody could stop it later.
        stopping.wait_for(|is_stopping| *is_stopping).await.ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[actix::test]
    async fn a_stop_waits_for_the_feed_and_for_none_that_panicked() {
        let is_done = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&is_done);
        let feed = FeedHandle::spawn(|stop| async move {
            stop.told().await;
            tokio::task::yield_now().await;
            done.store(true, Ordering::SeqCst);
        });
        feed.stop().await;
        assert!(is_done.load(Ordering::SeqCst));
        FeedHandle::spawn(|_| async { panic!("planned") }).stop().await;
    }
}
