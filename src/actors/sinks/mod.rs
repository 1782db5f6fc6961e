//! Where effects go. Every sink takes [`super::messages::EffectBatch`]es and answers by making its sender wait when it
//! is full.

pub mod history;
