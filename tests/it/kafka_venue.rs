//! The venue `kafka` against a real broker: ticks that other programs write to a topic, and the commands that go with it.

mod changes;
mod compare;
mod day;
mod losses;
mod poison;
mod quiet;
mod world;
