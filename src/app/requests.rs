//! Requests that the API brings to a service of the program, which sees to them one after the other.
//!
//! Promises: whoever asks never waits for long: where too many wait already, or the answer takes too long, that is said.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long an answer is waited for: those before it, some venues, and the disk.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Where an answer goes.
pub type Reply<T, E> = oneshot::Sender<Result<T, E>>;

/// Requests on their way to a service.
pub struct RequestQueue<R> {
    requests: mpsc::Sender<R>,
    /// Where one sees what was done in the end.
    shown_by: &'static str,
}

impl<R> RequestQueue<R> {
    /// Makes a queue of so many requests, and where they come out. Until somebody takes them they wait.
    #[must_use]
    pub fn new(max: usize, shown_by: &'static str) -> (RequestQueue<R>, mpsc::Receiver<R>) {
        let (requests, waiting) = mpsc::channel(max);
        (RequestQueue { requests, shown_by }, waiting)
    }

    /// Sends a request now, and waits for the answer.
    ///
    /// # Errors
    /// Those of the answer; `unavailable` with a reason where there is none.
    pub fn ask<T: Send + 'static, E: Send + 'static>(
        &self,
        request: impl FnOnce(Reply<T, E>) -> R,
        unavailable: fn(String) -> E,
    ) -> BoxFuture<'static, Result<T, E>> {
        let (reply, answer) = oneshot::channel();
        let stopping = || "the server is stopping".to_owned();
        let sent = self.requests.try_send(request(reply)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => "too many changes wait already; try again".to_owned(),
            mpsc::error::TrySendError::Closed(_) => stopping(),
        });
        let shown_by = self.shown_by;
        async move {
            sent.map_err(unavailable)?;
            match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err(unavailable(stopping())),
                Err(_) => Err(unavailable(format!("it takes long; `{shown_by}` shows what was done"))),
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_is_answered_or_told_why_not() {
        let (queue, mut waiting) = RequestQueue::<(u8, Reply<u8, String>)>::new(2, "GET /here");
        let ask = |number| queue.ask(move |reply| (number, reply), |why| why);
        let asked = [ask(1), ask(2), ask(3)];
        for _ in 0..2 {
            let (number, reply) = waiting.recv().await.expect("a request");
            reply.send(Ok(number)).expect("somebody waits");
        }
        let [first, second, third] = asked;
        assert_eq!((first.await, second.await), (Ok(1), Ok(2)));
        assert!(third.await.is_err_and(|why| why.contains("too many")));
        let forgotten = ask(4);
        drop(waiting);
        assert!(forgotten.await.is_err_and(|why| why.contains("stopping")));
        assert!(ask(5).await.is_err_and(|why| why.contains("stopping")));
    }
}
