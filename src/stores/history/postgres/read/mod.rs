//! Reads bars, indicators, ticks and dead letters back, exactly as they were written.
//!
//! Promises: lists are newest first, and those of one cursor neither repeat nor omit a row; a query names the times that it is
//! about, so that the planner leaves out the partitions of other days. Rows of the system before this one are read too: what
//! they lack is what most rows have. On failure the error says whether another try can help; a row that makes no sense is one
//! that does not go away.

pub(super) mod dead_letters;
pub(super) mod route;
mod spans;
mod stamps;
pub(super) mod ticks;
pub(super) mod windows;

pub(super) use spans::NewestSeen;
