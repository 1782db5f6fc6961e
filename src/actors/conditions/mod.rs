//! Conditions of the system: what [`crate::models::conditions`] judges, read every few seconds from what the others publish.
//!
//! ```text
//! metrics, health, snapshots, clocks ─► readings ─► watch ─► history (and with it the inbox of the alerts), hub
//! ```
//!
//! Promises: nothing of the data path waits for it. On failure of the history: what was found is kept and written once it
//! answers. A panic ends one round, and the next one begins afresh.

pub mod readings;
pub mod watch;
