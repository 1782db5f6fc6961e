//! The handle through which the API changes what is looked for, and the requests that it brings to the service.
//!
//! Promises: a request never waits for long: where too many wait already, or the answer takes too long, that is said. Nothing
//! here changes anything.

use crate::actors::looked_for::StatedAt;
use crate::web::detection_control::{DetectionChange, DetectionControl, DetectionError};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Changes that may wait: they are made one after the other. A further one is told to come again.
const WAITING_MAX: usize = 16;

/// How long an answer is waited for: that of those before it, and the disk.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A change, and where the answer goes.
pub struct Request {
    /// The change.
    pub change: DetectionChange,
    /// Takes the answer.
    pub reply: oneshot::Sender<Result<StatedAt, DetectionError>>,
}

/// Changes on their way to the service.
pub type Requests = mpsc::Receiver<Request>;

/// The handle.
pub struct DetectionHandle(mpsc::Sender<Request>);

impl DetectionHandle {
    /// Makes a handle, and where its requests come out. Until somebody takes them they wait.
    #[must_use]
    pub fn new() -> (DetectionHandle, Requests) {
        let (requests, waiting) = mpsc::channel(WAITING_MAX);
        (DetectionHandle(requests), waiting)
    }
}

impl DetectionControl for DetectionHandle {
    fn change(&self, change: DetectionChange) -> BoxFuture<'static, Result<StatedAt, DetectionError>> {
        let unavailable = |reason: &str| DetectionError::Unavailable(reason.to_owned());
        let (reply, answer) = oneshot::channel();
        let sent = self.0.try_send(Request { change, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => unavailable("too many changes wait already; try again"),
            mpsc::error::TrySendError::Closed(_) => unavailable("the server is stopping"),
        });
        async move {
            sent?;
            match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err(unavailable("the server is stopping")),
                Err(_) => Err(unavailable("it takes long; `GET /api/v1/detection` shows what was done")),
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::detection::document::Document;
    use crate::models::time::Nanos;

    #[tokio::test]
    async fn a_change_is_answered_or_told_why_not() {
        let (handle, mut requests) = DetectionHandle::new();
        let asked: Vec<_> = (0..=WAITING_MAX).map(|_| handle.change(DetectionChange::Reset)).collect();
        let document = Document::new("{}").expect("short");
        for _ in 0..WAITING_MAX {
            let Request { change, reply } = requests.recv().await.expect("a change");
            assert_eq!(change, DetectionChange::Reset);
            reply.send(Ok(StatedAt { pos: 1, at: Nanos(0), document })).expect("somebody waits");
        }
        let answers = futures_util::future::join_all(asked).await;
        assert!(answers[..WAITING_MAX].iter().all(Result::is_ok));
        assert!(
            matches!(&answers[WAITING_MAX], Err(DetectionError::Unavailable(why)) if why.contains("too many"))
        );
        drop(requests);
        let stopped = handle.change(DetectionChange::Reset).await;
        assert!(matches!(stopped, Err(DetectionError::Unavailable(why)) if why.contains("stopping")));
    }
}
