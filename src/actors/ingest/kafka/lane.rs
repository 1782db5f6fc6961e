//! One partition among others: the messages that were read and not taken, and when the next one takes its turn.
//!
//! Promises: the order within a partition stays. A message's turn is its event time, but for one time far ahead that the
//! messages behind it contradict: that takes its turn at once, so a wrong clock holds nobody up. Nothing here fails.

use crate::models::entry::Entry;
use crate::models::time::Nanos;
use crate::stores::history::DeadLetterRecord;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Messages that are looked at to find the one that confirms a time far ahead.
const LOOK_AHEAD_MAX: usize = 16;

/// How long others wait for a partition that has more and brings nothing: its broker may be gone for long.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(5);

/// What a message turned out to be.
#[derive(Debug)]
pub(super) enum What {
    /// An entry.
    Entry(Entry),
    /// Nothing for the log.
    Skipped,
    /// Nothing that can be read. Boxed, since it is rare and large.
    Bad(Box<DeadLetterRecord>),
}

/// A message.
#[derive(Debug)]
pub(super) struct Row {
    /// Its place in the partition.
    pub offset: i64,
    /// When the broker has it from, or [`Nanos::MIN`].
    pub received: Nanos,
    /// What it turned out to be.
    pub what: What,
}

/// What a partition gives when it is asked for its next message.
#[derive(Debug)]
pub(super) enum Polled {
    /// A message.
    Row(Row),
    /// None now.
    Nothing,
    /// None, and the broker had none either.
    End,
}

/// A partition.
pub(super) struct Lane {
    /// Its number.
    pub partition: i32,
    /// Offset of the first message that was not taken.
    pub next: i64,
    /// Offset behind the last message that the broker had when it was asked.
    pub end: i64,
    /// Timestamp of the last message that was taken, or [`Nanos::MIN`].
    pub last: Nanos,
    /// Messages before the next one were dropped unread, none of which happened before this time.
    lost_since: Option<Nanos>,
    horizon: i64,
    /// Newest time of the messages that took their turn in time.
    newest: Nanos,
    ahead: VecDeque<Row>,
    turn: Option<Nanos>,
    /// The broker had no more when the last message had been read. What is behind that message then may be no message at all:
    /// transactions leave marks.
    is_at_end: bool,
    /// Since when it has had nothing although the broker has more.
    starving_since: Option<Instant>,
}

impl Lane {
    /// Makes a lane that goes on at an offset. A time more than `horizon` nanoseconds ahead needs another to confirm it.
    pub fn new(partition: i32, next: i64, end: i64, horizon: i64) -> Lane {
        Lane {
            partition,
            next,
            end,
            last: Nanos::MIN,
            lost_since: None,
            horizon,
            newest: Nanos::MIN,
            ahead: VecDeque::new(),
            turn: None,
            is_at_end: false,
            starving_since: None,
        }
    }

    /// Returns when its next message takes its turn, as far as [`Lane::look`] has found one.
    pub fn turn(&self) -> Option<Nanos> {
        self.turn
    }

    /// True while the broker is known to have more than was taken.
    pub fn is_behind(&self) -> bool {
        self.next < self.end
    }

    /// Notes that messages before the next one were dropped, the first of which may have happened `since`.
    pub fn lose(&mut self, since: Nanos) {
        self.lost_since = Some(since);
    }

    /// Returns from when to when messages are missing, once the first one behind them is there. Where there is none, that is
    /// until `now`, the time at which the brokers had none.
    pub fn take_loss(&mut self, now: Option<Nanos>) -> Option<(Nanos, Nanos)> {
        let since = self.lost_since?;
        let to = match self.ahead.front().map(|row| &row.what) {
            Some(What::Entry(entry)) => entry.body.time(),
            None if !self.is_behind() => now?,
            Some(What::Skipped | What::Bad(_)) | None => return None,
        };
        self.lost_since = None;
        Some((since, to))
    }

    /// True when messages are missing of which [`Lane::take_loss`] has not told.
    pub fn has_loss(&self) -> bool {
        self.lost_since.is_some()
    }

    /// True when others have to wait for its next message.
    pub fn is_waited_for(&self, now: Instant) -> bool {
        self.turn.is_none()
            && self.is_behind()
            && !self.is_at_end
            && self.starving_since.is_none_or(|since| now.duration_since(since) < WAIT_MAX)
    }

    /// Finds out when the next message takes its turn, reading ahead as far as that needs.
    pub fn look(&mut self, now: Instant, mut read: impl FnMut() -> Polled) {
        self.turn = self.find_turn(&mut read);
        if self.turn.is_some() || !self.is_behind() {
            self.starving_since = None;
        } else if self.starving_since.is_none() {
            self.starving_since = Some(now);
        }
    }

    fn find_turn(&mut self, read: &mut impl FnMut() -> Polled) -> Option<Nanos> {
        let time = match &self.peek(0, read)?.what {
            What::Entry(entry) => entry.body.time(),
            What::Skipped | What::Bad(_) => return Some(self.newest),
        };
        let horizon = self.horizon;
        let is_far_ahead_of = |other: Nanos| time.0 > other.0.saturating_add(horizon);
        if self.newest == Nanos::MIN || is_far_ahead_of(self.newest) {
            for at in 1..LOOK_AHEAD_MAX {
                // `None` of what tells no time.
                let next = self.peek(at, read).map(|row| match &row.what {
                    What::Entry(next) => Some(next.body.time()),
                    What::Skipped | What::Bad(_) => None,
                });
                match next {
                    Some(None) => {}
                    Some(Some(next)) if is_far_ahead_of(next) => return Some(self.newest),
                    // What confirms or contradicts it is on its way.
                    None if !self.is_at_end && self.last_offset() + 1 < self.end => return None,
                    Some(Some(_)) | None => break,
                }
            }
        }
        self.newest = self.newest.max(time);
        Some(time)
    }

    fn last_offset(&self) -> i64 {
        self.ahead.back().map_or(self.next - 1, |row| row.offset)
    }

    fn peek(&mut self, at: usize, read: &mut impl FnMut() -> Polled) -> Option<&Row> {
        while self.ahead.len() <= at {
            match read() {
                Polled::Row(row) => {
                    self.is_at_end = false;
                    self.ahead.push_back(row);
                }
                Polled::Nothing => return None,
                Polled::End => {
                    self.is_at_end = true;
                    return None;
                }
            }
        }
        self.ahead.get(at)
    }

    /// Takes the next message, whose turn it is.
    pub fn take(&mut self) -> Option<Row> {
        let row = self.ahead.pop_front()?;
        self.turn = None;
        self.next = row.offset + 1;
        self.last = row.received;
        Some(row)
    }
}
