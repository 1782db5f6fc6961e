//! The dashboard: the page and the files that are built into the program.

pub mod assets;

pub(super) mod dashboard;
