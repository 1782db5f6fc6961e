//! Checks the lengths in frame headers before any of the payload is buffered.
//!
//! The codec behind the gate buffers a whole frame before it looks at its length, so a client could announce any length
//! and have all of it buffered. Promises: of a frame that is too long, or that makes its message too long, nothing
//! passes after its header; frames pass one at a time, so that at most one is buffered behind the gate, however fast a
//! client sends. On failure the stream ends, and `violation` says why.

use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures_util::Stream;
use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// Longest payload of a ping, pong or close frame (RFC 6455, 5.5).
const CONTROL_MAX: u64 = 125;

/// Longest frame header in bytes: opcode, length, extended length, mask.
const HEAD_MAX: usize = 14;

/// The rule that a client's frame breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A message is longer than it may be.
    TooLong,
    /// A control frame is longer than any may be.
    LongControl,
}

/// The part of a frame to which the next byte belongs.
enum Part {
    /// The header, with the bytes read so far.
    Head { bytes: [u8; HEAD_MAX], len: usize },
    /// The payload, with the number of bytes to come.
    Payload(u64),
}

const START: Part = Part::Head { bytes: [0; HEAD_MAX], len: 0 };

/// Tracks the frame boundaries of one client's stream.
pub struct Frames {
    max: u64,
    part: Part,
    /// Payload bytes of the fragmented message so far.
    num_fragmented: u64,
}

impl Frames {
    /// Allows messages of up to `max` bytes.
    #[must_use]
    pub const fn new(max: u64) -> Frames {
        Frames { max, part: START, num_fragmented: 0 }
    }

    /// Returns how many of the bytes may pass: up to the end of the frame they begin in, or all of them.
    ///
    /// # Errors
    /// When a frame must not pass. Nothing after it may pass either.
    pub fn pass(&mut self, bytes: &[u8]) -> Result<usize, Violation> {
        let mut passed = 0;
        while passed < bytes.len() {
            match &mut self.part {
                Part::Head { bytes: head, len } => {
                    head[*len] = bytes[passed];
                    *len += 1;
                    passed += 1;
                    if let Some((kind, length)) = parse_head(&head[..*len]) {
                        self.check(kind, length)?;
                        self.part = Part::Payload(length);
                    }
                }
                Part::Payload(left) => {
                    let rest = (bytes.len() - passed) as u64;
                    let taken = rest.min(*left);
                    *left -= taken;
                    passed += taken as usize;
                }
            }
            if matches!(self.part, Part::Payload(0)) {
                self.part = START;
                return Ok(passed);
            }
        }
        Ok(passed)
    }

    fn check(&mut self, kind: u8, length: u64) -> Result<(), Violation> {
        let (is_last, code) = (kind & 0x80 != 0, kind & 0x0f);
        if code & 0x08 != 0 {
            return if length > CONTROL_MAX { Err(Violation::LongControl) } else { Ok(()) };
        }
        let before = if code == 0 { self.num_fragmented } else { 0 };
        let total = before.saturating_add(length);
        if total > self.max {
            return Err(Violation::TooLong);
        }
        self.num_fragmented = if is_last { 0 } else { total };
        Ok(())
    }
}

/// Returns the first byte and the payload's length, once the header is complete.
fn parse_head(head: &[u8]) -> Option<(u8, u64)> {
    let (&kind, &second) = (head.first()?, head.get(1)?);
    let num_mask = if second & 0x80 == 0 { 0 } else { 4 };
    let num_length = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    if head.len() < 2 + num_length + num_mask {
        return None;
    }
    let long = &head[2..2 + num_length];
    let length = match num_length {
        0 => u64::from(second & 0x7f),
        _ => long.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
    };
    Some((kind, length))
}

/// A client's bytes, let through frame by frame.
pub struct Gate<S> {
    inner: Pin<Box<S>>,
    frames: Frames,
    /// Bytes received after the last frame that passed.
    rest: Bytes,
    /// True until the codec has read the frame that passed.
    is_between: bool,
    violation: Rc<Cell<Option<Violation>>>,
}

impl<S> Gate<S> {
    /// Puts a gate before a stream; `violation` receives the reason when it ends the stream.
    #[must_use]
    pub fn new(inner: S, max: u64, violation: Rc<Cell<Option<Violation>>>) -> Gate<S> {
        Gate {
            inner: Box::pin(inner),
            frames: Frames::new(max),
            rest: Bytes::new(),
            is_between: false,
            violation,
        }
    }
}

impl<S: Stream<Item = Result<Bytes, PayloadError>>> Stream for Gate<S> {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let gate = &mut *self;
        if gate.violation.get().is_some() {
            return Poll::Ready(None);
        }
        // The codec decodes the frame it was given once nothing more comes, and polls again.
        if std::mem::take(&mut gate.is_between) {
            return Poll::Pending;
        }
        if gate.rest.is_empty() {
            match gate.inner.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(bytes))) => gate.rest = bytes,
                other => return other,
            }
        }
        match gate.frames.pass(&gate.rest) {
            Ok(len) => {
                gate.is_between = matches!(gate.frames.part, Part::Head { len: 0, .. });
                Poll::Ready(Some(Ok(gate.rest.split_to(len))))
            }
            Err(violation) => {
                gate.violation.set(Some(violation));
                gate.rest.clear();
                Poll::Ready(Some(Err(PayloadError::Overflow)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAX: u64 = 1_000;

    /// The head of a frame as clients send it.
    fn head(kind: u8, length: u64) -> Vec<u8> {
        let mut head = vec![kind];
        match length {
            0..126 => head.push(0x80 | length as u8),
            126..65_536 => {
                head.push(0x80 | 126);
                head.extend((length as u16).to_be_bytes());
            }
            _ => {
                head.push(0x80 | 127);
                head.extend(length.to_be_bytes());
            }
        }
        head.extend([1, 2, 3, 4]);
        head
    }

    fn frame(kind: u8, length: u64) -> Vec<u8> {
        [head(kind, length), vec![b'x'; length as usize]].concat()
    }

    /// Passes bytes in pieces of a length. Returns how many passed, and how it ended.
    fn pass(bytes: &[u8], piece: usize) -> (usize, Option<Violation>) {
        let (mut frames, mut passed) = (Frames::new(MAX), 0);
        for mut piece in bytes.chunks(piece) {
            while !piece.is_empty() {
                match frames.pass(piece) {
                    Ok(len) => {
                        passed += len;
                        piece = &piece[len..];
                    }
                    Err(violation) => return (passed, Some(violation)),
                }
            }
        }
        (passed, None)
    }

    #[test]
    fn lengths_are_judged_when_they_are_announced_for_every_kind_of_frame() {
        const TEXT: u8 = 0x81;
        const FIRST: u8 = 0x01;
        const MORE: u8 = 0x00;
        const LAST: u8 = 0x80;
        let table: [(Vec<Vec<u8>>, Option<Violation>); 11] = [
            (vec![frame(TEXT, MAX), frame(0x82, MAX), frame(TEXT, 0)], None),
            (vec![head(TEXT, MAX + 1)], Some(Violation::TooLong)),
            (vec![head(0x82, 50 << 30)], Some(Violation::TooLong)),
            (vec![head(TEXT, u64::MAX)], Some(Violation::TooLong)),
            (vec![head(FIRST, MAX + 1)], Some(Violation::TooLong)),
            (vec![frame(FIRST, 600), frame(MORE, 300), frame(LAST, 100), frame(FIRST, 900)], None),
            (vec![frame(FIRST, 600), frame(MORE, 300), head(LAST, 101)], Some(Violation::TooLong)),
            (vec![frame(FIRST, 600), frame(0x89, 125), head(MORE, 401)], Some(Violation::TooLong)),
            (vec![head(0x89, 126)], Some(Violation::LongControl)),
            (vec![head(0x8a, 1 << 40)], Some(Violation::LongControl)),
            (vec![head(0x88, 126)], Some(Violation::LongControl)),
        ];
        for (frames, violation) in table {
            let bytes = frames.concat();
            for piece in [1, 3, bytes.len()] {
                assert_eq!(pass(&bytes, piece).1, violation, "{:?} in pieces of {piece}", &frames[0][..6]);
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_no_more_than_a_message_passes_between_two_frames(
            bytes in prop::collection::vec(any::<u8>(), 0..4_096),
            piece in 1_usize..600,
        ) {
            let (mut frames, mut waiting) = (Frames::new(MAX), 0);
            'all: for mut piece in bytes.chunks(piece) {
                while !piece.is_empty() {
                    let Ok(len) = frames.pass(piece) else { break 'all };
                    prop_assert!(len > 0);
                    waiting += len;
                    prop_assert!(waiting as u64 <= MAX + HEAD_MAX as u64);
                    if matches!(frames.part, Part::Head { len: 0, .. }) {
                        waiting = 0;
                    }
                    piece = &piece[len..];
                }
            }
        }

        #[test]
        fn good_frames_pass_whole_and_one_at_a_time(
            lengths in prop::collection::vec(0_u64..=MAX, 1..20),
            piece in 1_usize..3_000,
        ) {
            let all: Vec<Vec<u8>> = lengths.iter().map(|length| frame(0x81, *length)).collect();
            let bytes = all.concat();
            prop_assert_eq!(pass(&bytes, piece), (bytes.len(), None));
            let (mut frames, mut rest) = (Frames::new(MAX), bytes.as_slice());
            for frame in &all {
                prop_assert_eq!(frames.pass(rest), Ok(frame.len()));
                rest = &rest[frame.len()..];
            }
        }
    }
}
