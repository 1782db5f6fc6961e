//! Progress of the past that the simulator makes up on a first start, as JSON. There is none when no past is made.

use serde::Serialize;
use utoipa::ToSchema;

/// Progress of a made-up past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PastObject {
    /// Symbols that have their past.
    #[schema(example = 340)]
    pub done: i64,
    /// Symbols that have their past.
    #[schema(example = 1000)]
    pub total: i64,
}

impl PastObject {
    /// Makes the object; `None` when every symbol has its past, or none is made up.
    #[must_use]
    pub fn new(done: i64, total: i64) -> Option<PastObject> {
        (done < total).then_some(PastObject { done, total })
    }
}
