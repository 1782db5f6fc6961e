//! Live venues: the program against fake venues on real sockets that go wrong in every way a script can say.
//!
//! Whatever goes wrong, the bars are those of the plain replay of the same trades, digest for digest, as long as the venue
//! has the trades over REST; where it has not, the gap is given up and shows in the coverage.

mod alpha_vantage;
mod backfill_command;
mod binance;
mod coinbase;
mod contract;
pub mod dialects;
mod every_venue;
pub mod fake;
mod faults;
mod feeds;
mod finage;
mod fmp;
mod fuzz;
mod holes;
mod inside;
mod keys;
mod kraken;
pub mod live;
mod polled;
mod polygon;
mod probe;
mod ready_made;
mod secure;
mod symbols;
mod warm_up;
