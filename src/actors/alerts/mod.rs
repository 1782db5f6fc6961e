//! Alerts: who is told of anomalies, by the policy of [`crate::models::alerts`], over the channels.
//!
//! The [`manager`] reads the inbox of the history, decides, and commits decisions and messages together; a [`sender`] for each
//! channel takes messages out of the outbox and marks them. Nothing of the data path waits for any of it: the inbox is a table,
//! and what finds nobody to read it stays there.
//!
//! Promises: an anomaly is decided on once, and a message that a channel took is marked so; between the channel's answer and
//! the mark lies the one moment in which a crash sends it again, with the same id. On failure of the history: nothing is
//! decided or sent until it answers. A panic begins again from what the history holds.

pub mod channels;
pub mod deliver;
pub mod heartbeat;
pub mod manager;
pub mod outages;
pub mod sender;
pub mod supervisor;
