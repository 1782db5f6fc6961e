//! Who does it, when: the stages of the data path, and what they publish for readers.

pub mod providers;
pub mod views;
