//! A running feed: a task on a thread of its own, and the way to stop it.
//!
//! Promises: whoever stops a feed knows that it takes nothing in any more once that returns. On failure: a feed that has
//! ended by itself is as good as stopped.

use actix::Arbiter;
use std::future::Future;
use tokio::sync::{oneshot, watch};

/// A running feed.
pub struct FeedHandle {
    stop: watch::Sender<bool>,
    ended: oneshot::Receiver<()>,
}

impl FeedHandle {
    /// Runs a feed on a thread of its own.
    pub fn spawn<F>(run: impl FnOnce(StopSignal) -> F + Send + 'static) -> FeedHandle
    where
        F: Future<Output = ()> + 'static,
    {
        let (stop, stopping) = watch::channel(false);
        let (ending, ended) = oneshot::channel();
        let arbiter = Arbiter::new();
        let handle = arbiter.handle();
        arbiter.spawn_fn(move || {
            actix::spawn(async move {
                run(StopSignal(stopping)).await;
                // Whoever stops the feed may have given up waiting for it.
                ending.send(()).ok();
                handle.stop();
            });
        });
        FeedHandle { stop, ended }
    }

    /// Stops the feed: what it has received is handed to the log first.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        // An error means that it has ended already.
        self.ended.await.ok();
    }
}

/// Tells a feed that it is to stop.
#[derive(Clone)]
pub struct StopSignal(watch::Receiver<bool>);

impl StopSignal {
    /// Waits until the feed is to stop.
    pub async fn told(&self) {
        let mut stopping = self.0.clone();
        // An error means that whoever could stop it is gone, and the process with it.
        stopping.wait_for(|is_stopping| *is_stopping).await.ok();
    }
}
