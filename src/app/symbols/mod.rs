//! Symbols that are added and removed while a run goes on: what the API asks for, and what the data directory keeps of it.

mod file;
mod handle;
mod service;

pub use file::{FILE_NAME, FeedChanges, KeptSymbols};
pub use handle::{FollowedSymbols, Requests, SymbolHandle};
pub use service::SymbolService;
