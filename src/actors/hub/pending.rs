//! The frames that wait for the next flush.
//!
//! Promises: a flush holds the ticks symbol by symbol, each symbol's in order, and all other frames in order. It only
//! grows: the hub drops ticks, and then delays the shards, when it grows beyond its limits.

use super::frame;
use super::messages::{Flush, TickPart};
use super::topic::Topic;
use crate::actors::messages::LiveTick;
use crate::models::symbol::{SymbolId, SymbolSpec};
use crate::models::time::Nanos;
use bytes::Bytes;
use std::ops::Range;

/// Frames that wait for the next flush.
#[derive(Default)]
pub struct Pending {
    payload: Vec<u8>,
    /// Frames of ticks in the order in which they came.
    ticks: Vec<u8>,
    tick_ranges: Vec<(SymbolId, Range<usize>)>,
    frames: Vec<(Topic, Bytes)>,
    num_frame_bytes: usize,
    /// When the oldest tick was received.
    received: Option<Nanos>,
    /// When the entry that settled the oldest bar was received; `None` while there is no settled bar.
    settled: Option<Nanos>,
}

impl Pending {
    /// True when nothing waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.tick_ranges.is_empty() && self.frames.is_empty()
    }

    /// Returns the number of frames.
    #[must_use]
    pub const fn num_frames(&self) -> usize {
        self.tick_ranges.len() + self.frames.len()
    }

    /// Returns the bytes of the waiting ticks.
    #[must_use]
    pub const fn num_tick_bytes(&self) -> usize {
        self.ticks.len()
    }

    /// Returns the bytes of all other waiting frames.
    #[must_use]
    pub const fn num_frame_bytes(&self) -> usize {
        self.num_frame_bytes
    }

    /// Adds a tick.
    pub fn add_tick(&mut self, tick: &LiveTick, spec: &SymbolSpec) {
        self.payload.clear();
        frame::tick(tick, spec, &mut self.payload);
        let start = self.ticks.len();
        frame::append_framed(&self.payload, &mut self.ticks);
        self.tick_ranges.push((tick.symbol, start..self.ticks.len()));
        if tick.received != Nanos::MIN {
            self.received = Some(self.received.map_or(tick.received, |oldest| oldest.min(tick.received)));
        }
    }

    /// True when there are settled bars, which do not wait as long as ticks.
    #[must_use]
    pub const fn is_urgent(&self) -> bool {
        self.settled.is_some()
    }

    /// Adds the frame of a settled bar or of its indicators, whose payload `append` writes; `received` is when the
    /// entry that settled it was received.
    pub fn add_settled(&mut self, topic: Topic, received: Nanos, append: impl FnOnce(&mut Vec<u8>)) {
        self.add(topic, append);
        self.settled = Some(self.settled.map_or(received, |oldest| oldest.min(received)));
    }

    /// Adds a frame, whose payload `append` writes.
    pub fn add(&mut self, topic: Topic, append: impl FnOnce(&mut Vec<u8>)) {
        self.payload.clear();
        append(&mut self.payload);
        let frame = frame::framed(&self.payload);
        self.add_framed(topic, frame);
    }

    /// Adds a finished frame.
    pub fn add_framed(&mut self, topic: Topic, frame: Bytes) {
        self.num_frame_bytes += frame.len();
        self.frames.push((topic, frame));
    }

    /// Drops the ticks. Returns how many there were.
    pub fn drop_ticks(&mut self) -> u64 {
        let count = self.tick_ranges.len() as u64;
        self.ticks.clear();
        self.tick_ranges.clear();
        count
    }

    /// Takes everything. Ticks are grouped by symbol, so that a follower of one symbol gets one slice, and a follower
    /// of all symbols gets the whole buffer.
    pub fn take(&mut self) -> Flush {
        self.tick_ranges.sort_by_key(|(symbol, _)| *symbol);
        let mut ticks = Vec::with_capacity(self.ticks.len());
        let mut tick_parts: Vec<TickPart> = Vec::new();
        for (symbol, range) in self.tick_ranges.drain(..) {
            let start = ticks.len();
            ticks.extend_from_slice(&self.ticks[range]);
            match tick_parts.last_mut().filter(|part| part.symbol == symbol) {
                Some(part) => {
                    part.range.end = ticks.len();
                    part.last = start;
                    part.count += 1;
                }
                None => {
                    tick_parts.push(TickPart { symbol, range: start..ticks.len(), last: start, count: 1 });
                }
            }
        }
        self.ticks.clear();
        self.num_frame_bytes = 0;
        Flush {
            ticks: ticks.into(),
            tick_parts,
            frames: std::mem::take(&mut self.frames),
            received: self.received.take().unwrap_or(Nanos::MIN),
            settled: self.settled.take().unwrap_or(Nanos::MIN),
        }
    }
}
