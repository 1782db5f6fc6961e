//! Who does it, and when: actors and the providers that feed them. Nothing here knows how results are shown.

pub mod providers;
