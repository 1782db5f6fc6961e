//! For tests and benchmarks: what must come of a stream of entries, by a second judgement, and days that put it to the
//! test.
//!
//! It is a module of the crate and not a crate of its own, since it needs the simulated venue and the models' types and
//! nothing else, and a crate more would have to be versioned with them. Nothing in the program uses it: imports run
//! from here to the rest, never back.
//!
//! Promises: seeded, and the same however the batches are cut. [`Truth`] shares the types of the models, and none of
//! their arithmetic: it divides time into windows, orders trades, adds them up and rounds by code of its own.

mod scenario;
mod sums;
mod truth;

pub use scenario::Scenario;
pub use truth::{ExpectedBar, Truth};
