//! Who is told of an anomaly, when, and what is held back.
//!
//! [`policy`] decides; the rest are its parts: [`settings`], [`incident`] (an anomaly as people are told of it), [`silence`],
//! [`outages`] (symbols whose data do not come), [`groups`] (what waits to go out together), [`message`] (the text).
//!
//! Promises: pure. The time is an argument, nothing is random, and the same calls give the same decisions. What is kept in
//! memory is bounded ([`settings::AlertSettings::incidents_max`]). Nothing here fails.

pub mod groups;
pub mod incident;
pub mod message;
pub mod outages;
pub mod outgoing;
pub mod policy;
pub mod settings;
pub mod silence;

#[cfg(test)]
mod tests;
