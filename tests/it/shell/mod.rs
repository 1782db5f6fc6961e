//! The shell of venues, each promise by itself: a feed in this process, and a venue made for the test.

mod backfill;
mod handshake;
mod overlap;
mod refusals;
mod rig;
mod subscriptions;
mod symbols;
mod time;
mod tiny;
mod unnamed;
mod warm_up;

/// Runs a test on an actor system of its own.
fn run(test: impl Future<Output = ()>) {
    actix::System::new().block_on(test);
}
