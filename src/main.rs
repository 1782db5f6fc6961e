//! Arguments, logging, run(); nothing else.

fn main() {}
