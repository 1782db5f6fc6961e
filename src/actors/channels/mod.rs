//! The channels by which notifications reach people: Slack, e-mail, a webhook, Alertmanager.
//!
//! Each implements [`Channel`](crate::models::notification::Channel) and knows one thing: how its receiver wants to be told.
//! [`delivery`] does the rest for all of them alike: the breaker, the pauses between tries, what a receiver asks for, and the
//! channels to fall back to.
//!
//! Promises: a channel sends once and never tries again by itself; what is too long for its receiver is cut, and the cut text
//! says how much is left out; no error, receipt or log line holds a secret. On failure: the error says whether another try
//! can help.

pub mod alertmanager;
pub mod chart;
pub mod delivery;
pub mod email;
pub mod gate;
pub mod http;
pub mod link;
pub mod sample;
pub mod slack;
mod text;
pub mod webhook;
