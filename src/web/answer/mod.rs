//! What the endpoints share: reading parameters, reporting errors, sending answers.
//!
//! Nothing here knows an endpoint or the state behind it, so every endpoint can use all of it.

pub mod caching;
pub mod compression;
pub mod error;
pub mod format;
pub mod paging;
pub mod params;
pub mod reply;
pub mod responses;
