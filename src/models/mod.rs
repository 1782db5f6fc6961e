//! What Tickwire talks about: values and arithmetic. Pure: no actor, no I/O, no clock, no randomness.

pub mod alert;
pub mod alerts;
pub mod anomaly;
pub mod asset_class;
pub mod bar;
pub mod clock_marks;
pub mod detection;
pub mod digest;
pub mod effect;
pub mod entry;
pub mod feed;
pub mod indicators;
pub mod leap;
pub mod ledger;
pub mod log_pos;
pub mod names;
pub mod notification;
pub mod num;
pub mod prediction;
pub mod provenance;
pub mod report;
pub mod settings;
pub mod snapshot;
pub mod state;
pub mod symbol;
pub mod time;
