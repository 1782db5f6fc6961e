//! Integration tests: one binary, so that everything links once.

mod stores;
