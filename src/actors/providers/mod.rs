//! Providers: each turns what one kind of source says into entries of the log.

pub mod file;
