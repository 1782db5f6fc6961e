//! Providers: where market data comes from. Each turns what its venue says into entries of the log.

pub mod file;
pub mod simulated;
