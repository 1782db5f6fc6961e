//! Dead letters of what a venue sends and nobody can read.
//!
//! Promises: a frame is kept with its reason and without keys that the venue repeats; garbage without end neither fills the
//! disk nor the program's log, and how much was held back is counted. Nothing here fails.

use super::super::venue::FrameFault;
use super::limit::Limit;
use crate::models::time::Nanos;
use crate::secret::Redaction;
use crate::stores::history::DeadLetterRecord;
use std::time::Duration;

/// Dead letters a minute: garbage without end must not fill the disk. The counters know of the rest.
const LETTERS_PER_MINUTE: u32 = 1_000;

/// Bytes of a frame that are kept in its dead letter.
const PAYLOAD_LEN_MAX: usize = 4 << 10;

/// How often a fault of the venue is worth a line in the log.
const SAY_INTERVAL: Duration = Duration::from_secs(10);

/// Makes the dead letters of one feed.
pub(super) struct DeadLetters {
    venue: &'static str,
    redaction: Redaction,
    kept: Limit,
    said: Limit,
}

impl DeadLetters {
    /// Makes them for a venue.
    pub fn new(venue: &'static str, redaction: Redaction) -> DeadLetters {
        let kept = Limit::new(LETTERS_PER_MINUTE, Duration::from_secs(60));
        DeadLetters { venue, redaction, kept, said: Limit::new(1, SAY_INTERVAL) }
    }

    /// Says a fault now and then, and returns the frame's dead letter unless there are too many.
    pub fn set_aside(&mut self, fault: FrameFault, frame: &str, received: Nanos) -> Option<DeadLetterRecord> {
        let venue = self.venue;
        if let Some(num_held_back) = self.said.take() {
            let fault = self.redaction.apply(&fault.reason);
            tracing::warn!(venue, %fault, num_held_back, "a frame cannot be read and is set aside");
        }
        self.kept.take()?;
        let frame = self.redaction.apply(frame);
        let mut end = frame.len().min(PAYLOAD_LEN_MAX);
        while !frame.is_char_boundary(end) {
            end -= 1;
        }
        Some(DeadLetterRecord {
            reason: fault.kind.to_owned(),
            symbol: fault.venue_symbol.map(|symbol| self.redaction.apply(&symbol).into_owned()),
            provider: venue.to_owned(),
            received_at: received,
            payload: frame[..end].to_owned(),
            pos: None,
            origin: String::new(),
            id: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn a_dead_letter_has_the_beginning_of_the_frame_and_no_key() {
        let key = Secret::new("hunter2hunter2".to_owned());
        let mut letters = DeadLetters::new("tiny", Redaction::of([&key]));
        let fault = || FrameFault {
            kind: "malformed",
            reason: "no frame".to_owned(),
            venue_symbol: Some("hunter2hunter2".to_owned()),
        };
        let frame = format!("hunter2hunter2 {}", "é".repeat(PAYLOAD_LEN_MAX));
        let letter = letters.set_aside(fault(), &frame, Nanos(7)).expect("the first one is kept");
        assert_eq!((letter.reason.as_str(), letter.received_at), ("malformed", Nanos(7)));
        assert_eq!(letter.symbol.as_deref(), Some("***"));
        assert!(letter.payload.starts_with("*** é") && letter.payload.len() <= PAYLOAD_LEN_MAX);
        let num_kept = (1..2_000).filter_map(|_| letters.set_aside(fault(), "", Nanos(7))).count();
        assert!(num_kept < LETTERS_PER_MINUTE as usize, "{num_kept}");
    }
}
