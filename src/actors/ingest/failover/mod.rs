//! Runs the venues of a feed: the one in charge, and others when they are needed.
//!
//! | file | subject |
//! | --- | --- |
//! | `charge.rs` | who is in charge: the rules, as a state machine without a clock |
//! | `member.rs` | one venue, as the rules see it |
//! | `breaker.rs` | the circuit breaker of a venue |
//! | `decision.rs` | what the rules decide, and why |
//! | `moment.rs` | from which event time on |
//! | `coordinator.rs` | opens and closes venues, tells the log who is in charge; `coordinator/hand_over.rs` changes that, `coordinator/follow.rs` of which symbols |
//! | `running.rs` | a venue that runs, as it stands |
//! | `divergence.rs` | how far a venue that is compared is from the one in charge |
//! | `health.rs` | what `/health` says of the feed |
//!
//! Promises: a change of the charge loses nothing and counts nothing twice. Each venue tells the whole truth of the time since
//! it was opened, which begins no later than the moment up to which the one before it had told everything; what it did not hear
//! itself is its gap, fetched over REST, and the gap holds the seal meanwhile. What cannot be fetched shows in the coverage of its
//! bars. Standbys are not connected before they are needed: they cost keys and quotas.
//! On failure: each venue's shell mends itself; a feed that can tell nothing says so in its health, and stops nothing else.

mod breaker;
mod charge;
mod coordinator;
mod decision;
mod divergence;
mod health;
mod member;
mod moment;
mod plan;
mod running;

pub use breaker::Breaker;
pub use charge::Rules;
pub use coordinator::start;
pub use moment::next_whole;
pub use plan::{FeedChange, FeedPlan, Follow, VenuePlan};
