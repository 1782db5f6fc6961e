//! The venue `kafka` against a real broker: ticks that other programs write to a topic, and the commands that go with it.

mod compare;
mod day;
mod poison;
mod quiet;
mod world;
