//! What is looked for, from the configuration and as it is changed while a run goes on.

mod handle;
mod merge;
mod service;

pub use handle::{DetectionHandle, Requests};
pub use service::DetectionService;
