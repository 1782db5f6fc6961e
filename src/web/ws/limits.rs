//! How often a client may speak.

use std::time::{Duration, Instant};

/// Counts messages by the second.
pub struct MessageRate {
    max: u32,
    since: Instant,
    count: u32,
}

/// What is to become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Take it.
    Take,
    /// Leave it, and say so.
    Refuse,
    /// Leave it; the client was told in this second.
    Ignore,
    /// The client does not listen: close.
    Close,
}

/// Messages beyond the limit, in multiples of it, that end a session.
const PATIENCE: u32 = 10;

impl MessageRate {
    /// Allows this many messages a second.
    #[must_use]
    pub const fn new(max: u32, now: Instant) -> MessageRate {
        MessageRate { max, since: now, count: 0 }
    }

    /// Judges a message.
    pub fn judge(&mut self, now: Instant) -> Verdict {
        if now.duration_since(self.since) >= Duration::from_secs(1) {
            self.since = now;
            self.count = 0;
        }
        self.count += 1;
        match self.count.saturating_sub(self.max) {
            0 => Verdict::Take,
            1 => Verdict::Refuse,
            over if over > self.max.saturating_mul(PATIENCE) => Verdict::Close,
            _ => Verdict::Ignore,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_refused_once_then_ignored_then_closed_and_forgotten_after_a_second() {
        let start = Instant::now();
        let mut rate = MessageRate::new(2, start);
        let verdicts: Vec<Verdict> = (0..24).map(|_| rate.judge(start)).collect();
        assert_eq!(verdicts[..4], [Verdict::Take, Verdict::Take, Verdict::Refuse, Verdict::Ignore]);
        assert_eq!((verdicts[21], verdicts[22]), (Verdict::Ignore, Verdict::Close));
        assert_eq!(rate.judge(start + Duration::from_secs(1)), Verdict::Take);
    }
}
