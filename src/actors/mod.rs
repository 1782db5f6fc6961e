//! Who does it, and when: providers bring entries in, the rest carries them through the core to those who wait for them.

pub mod providers;
