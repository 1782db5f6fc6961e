//! What several subjects of the integration tests share.

pub mod outcome;
pub mod program;
pub mod shared;
