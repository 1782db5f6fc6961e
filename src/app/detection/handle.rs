//! The handle through which the API changes what is looked for, and the requests that it brings to the service.

use crate::actors::looked_for::StatedAt;
use crate::app::requests::{Reply, RequestQueue};
use crate::web::detection_control::{DetectionChange, DetectionControl, DetectionError};
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

/// Changes that may wait: they are made one after the other. A further one is told to come again.
const WAITING_MAX: usize = 16;

/// A change, and where the answer goes.
pub struct Request {
    /// The change.
    pub change: DetectionChange,
    /// Takes the answer.
    pub reply: Reply<StatedAt, DetectionError>,
}

/// Changes on their way to the service.
pub type Requests = mpsc::Receiver<Request>;

/// The handle.
pub struct DetectionHandle(RequestQueue<Request>);

impl DetectionHandle {
    /// Makes a handle, and where its requests come out. Until somebody takes them they wait.
    #[must_use]
    pub fn new() -> (DetectionHandle, Requests) {
        let (queue, waiting) = RequestQueue::new(WAITING_MAX, "GET /api/v1/detection");
        (DetectionHandle(queue), waiting)
    }
}

impl DetectionControl for DetectionHandle {
    fn change(&self, change: DetectionChange) -> BoxFuture<'static, Result<StatedAt, DetectionError>> {
        self.0.ask(|reply| Request { change, reply }, DetectionError::Unavailable)
    }
}
