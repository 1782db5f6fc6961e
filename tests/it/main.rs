//! One test binary, so that everything links once.

mod rest;
