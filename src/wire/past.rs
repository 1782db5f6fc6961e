//! How far the made-up past of a first start has come.

use serde::Serialize;
use utoipa::ToSchema;

/// How far a made-up past has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PastObject {
    /// Symbols that have their past.
    #[schema(example = 340)]
    pub done: i64,
    /// Symbols whose past is made up.
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
