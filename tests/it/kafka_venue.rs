//! The venue `kafka` against a real broker: ticks that other programs write to a topic.

mod day;
mod quiet;
mod world;
